/*
 * The builder of record fields. Whatever text it is given, what comes out is either a
 * well-formed fragment or, after an overflow, a view that no check accepts: a caller who
 * forgets to look at overflow gets a refusal, never a record with a field missing.
 */
#include "ledger/record.h"

#include <string.h>

#include "fragment.h"
#include "text.h"

/* Begins with no comma, so it is no fragment. */
static const char refused[] = "!";

void fields_init(struct fields *f)
{
    out_init(&f->out, f->bytes, sizeof(f->bytes));
}

/* ,"name": in one piece. */
static void put_name(struct fields *f, const char *name)
{
    struct span s = span_text(name);
    uint8_t *at = out_room(&f->out, s.n + 4);

    if (at == NULL)
        return;
    at[0] = ',';
    at[1] = '"';
    memcpy(at + 2, s.p, s.n);
    at[s.n + 2] = '"';
    at[s.n + 3] = ':';
}

/* One character of one byte, in the only form this builder writes it. */
static void put_ascii(struct out *o, uint8_t c)
{
    static const char plain[] = "\"\\\b\f\n\r\t";
    static const char letter[] = "\"\\bfnrt";

    for (size_t i = 0; plain[i] != '\0'; i++) {
        if (c == (uint8_t)plain[i]) {
            out_u8(o, '\\');
            out_u8(o, (uint8_t)letter[i]);
            return;
        }
    }
    if (c < 0x20) {
        out_text(o, "\\u00");
        text_hex_put(o, span_of(&c, 1));
        return;
    }
    out_u8(o, c);
}

void fields_span(struct fields *f, const char *name, struct span value)
{
    struct in rest = in_of(value);

    put_name(f, name);
    out_u8(&f->out, '"');
    for (;;) {
        out_raw(&f->out, in_raw(&rest, text_plain_run(span_of(rest.p, rest.n))));
        if (rest.n == 0 || f->out.overflow)
            break;
        size_t length = text_character(span_of(rest.p, rest.n));

        /* Nor does a record hold a NUL: many readers would end the text there. */
        if (length == 0 || rest.p[0] == '\0')
            f->out.overflow = true;
        else if (length == 1)
            put_ascii(&f->out, in_u8(&rest));
        else
            out_raw(&f->out, in_raw(&rest, length));
    }
    out_u8(&f->out, '"');
}

void fields_text(struct fields *f, const char *name, const char *value)
{
    if (value != NULL)
        fields_span(f, name, span_text(value));
}

void fields_id(struct fields *f, const char *name, const struct id *id)
{
    fields_hex(f, name, SPAN(id->b));
}

void fields_hex(struct fields *f, const char *name, struct span value)
{
    put_name(f, name);
    out_u8(&f->out, '"');
    text_hex_put(&f->out, value);
    out_u8(&f->out, '"');
}

void fields_number(struct fields *f, const char *name, uint64_t value)
{
    put_name(f, name);
    if (value > FRAGMENT_NUMBER_MAX)
        f->out.overflow = true;
    text_number_put(&f->out, value);
}

void fields_true(struct fields *f, const char *name)
{
    put_name(f, name);
    out_text(&f->out, "true");
}

void fields_time(struct fields *f, const char *name, uint64_t time_us)
{
    put_name(f, name);
    out_u8(&f->out, '"');
    text_time_put(&f->out, time_us);
    out_u8(&f->out, '"');
}

struct span fields_view(const struct fields *f)
{
    return f->out.overflow ? span_text(refused) : span_of(f->out.p, f->out.n);
}
