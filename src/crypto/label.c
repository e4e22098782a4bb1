/*
 * Labels: the one way to say what a derivation, MAC or sealed value is for. The layout is
 * written in the header and is part of every stored byte: changing it is a migration.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "internal.h"

#define LABEL_PREFIX "strongroom/v1/"

void label_init(struct label *l, const char *purpose)
{
    size_t n = strlen(LABEL_PREFIX) + strlen(purpose);

    out_init(&l->out, l->bytes, sizeof(l->bytes));
    if (n > UINT8_MAX)
        l->out.overflow = true; /* its length would not fit its byte */
    out_u8(&l->out, (uint8_t)n);
    out_text(&l->out, LABEL_PREFIX);
    out_text(&l->out, purpose);
    l->count_at = l->out.n;
    out_u8(&l->out, 0);
}

void label_field(struct label *l, struct span field)
{
    l->out.p = l->bytes; /* the label may be a copy of the one that was begun */
    out_span16(&l->out, field);
    if (l->out.overflow)
        return;
    if (l->bytes[l->count_at] == UINT8_MAX) {
        l->out.overflow = true;
        return;
    }
    l->bytes[l->count_at]++;
}

void label_id(struct label *l, const struct id *id)
{
    label_field(l, SPAN(id->b));
}

/* Numbers are fields of their own width, so 1 as u16 and 1 as u32 differ. */
static void label_number(struct label *l, uint64_t v, size_t size)
{
    uint8_t bytes[sizeof(v)];

    for (size_t i = size; i-- > 0; v >>= 8)
        bytes[i] = (uint8_t)v;
    label_field(l, span_of(bytes, size));
}

void label_u16(struct label *l, uint16_t v)
{
    label_number(l, v, sizeof(v));
}

void label_u32(struct label *l, uint32_t v)
{
    label_number(l, v, sizeof(v));
}

void label_u64(struct label *l, uint64_t v)
{
    label_number(l, v, sizeof(v));
}

struct span label_view(const struct label *l)
{
    /* A cut-off label would no longer tell two contexts apart; nobody may use one. */
    insist(!l->out.overflow);
    return span_of(l->bytes, l->out.n);
}
