/*
 * Slots: a secret of 32 bytes (of a hardware key, or a recovery card's code) opens the slot's
 * private key, and that opens the slot's share of the root key.
 *
 * 1. The seal of the private key covers every descriptive field: someone who swaps the
 *    authenticator's public key or the label on disk gets a slot that does not open.
 * 2. Share and root epoch are not covered, because a new root is dealt to the public key while the
 *    hardware key is elsewhere. The root check proves what the shares give.
 * 3. All slots of one operator hold the same share: a spare key is no second person.
 */
#include <string.h>

#include "crypto/shamir.h"
#include "internal.h"

static void slot_context(const struct id *vault, const struct slot *slot, struct label *l)
{
    label_init(l, "aad.slot");
    label_id(l, vault);
    label_id(l, &slot->id);
    label_u16(l, slot->kind);
    label_u16(l, slot->user_verification);
    label_u32(l, slot->generation);
    label_u64(l, slot->created_us);
    label_field(l, span_text(slot->label));
    label_field(l, span_of(slot->credential_id, slot->credential_id_length));
    label_field(l, SPAN(slot->cose_public));
    label_field(l, SPAN(slot->aaguid));
    label_field(l, SPAN(slot->salt));
    label_field(l, SPAN(slot->salt_next));
    label_field(l, SPAN(slot->public_key));
}

static status slot_key(const struct id *vault, const struct slot *slot, struct span secret32,
                       struct secret **ret_key, struct err *e)
{
    AUTO(secret) *extracted = NULL;
    struct label l;

    status st = secret_new(KEY_SIZE, &extracted, e);
    if (st != OK)
        return st;
    hkdf_extract(SPAN(slot->salt), secret32, secret_fill(extracted).p);
    label_init(&l, "slot-key");
    label_id(&l, vault);
    label_id(&l, &slot->id);
    label_u32(&l, slot->generation);
    return crypto_derive(secret_view(extracted), &l, KEY_SIZE, ret_key, e);
}

status slot_make(const struct id *vault, struct span secret32, struct slot *slot, struct err *e)
{
    AUTO(secret) *key = NULL;
    AUTO(secret) *private_key = NULL;
    struct label aad;

    status st = secret_random(KEY_SIZE, &private_key, e);
    if (st == OK)
        st = slot_key(vault, slot, secret32, &key, e);
    if (st != OK)
        return st;
    slot->epoch = 0;
    box_public(secret_view(private_key), slot->public_key);
    slot_context(vault, slot, &aad);
    return crypto_seal(secret_view(key), slot->generation, label_view(&aad),
                       secret_view(private_key), slot->sealed_private, e);
}

status slot_open(const struct id *vault, const struct slot *slot, struct span secret32,
                 struct secret **ret_private, struct err *e)
{
    AUTO(secret) *key = NULL;
    struct label aad;

    status st = slot_key(vault, slot, secret32, &key, e);
    if (st != OK)
        return st;
    slot_context(vault, slot, &aad);
    st = crypto_open(secret_view(key), label_view(&aad), SPAN(slot->sealed_private), ret_private,
                     NULL);
    if (st != OK)
        return st == CORRUPT ? fail(e, DENIED, "the slot did not open", 0)
                             : fail(e, st, "cannot open the slot", 0);
    return OK;
}

status slot_share(const struct slot *slot, const struct secret *private_key,
                  struct secret **ret_share, struct err *e)
{
    AUTO(secret) *share = NULL;

    status st = box_open(secret_view(private_key), SPAN(slot->sealed_share), &share, e);
    if (st != OK)
        return st;
    struct span opened = secret_view(share);
    if (opened.n != SHARE_SIZE || opened.p[0] != slot->x)
        return fail(e, CORRUPT, "the slot holds another share than it says", 0);
    *ret_share = share;
    share = NULL;
    return OK;
}

static status seal_share(struct slot *slot, struct span share, uint32_t epoch, struct err *e)
{
    slot->epoch = epoch;
    return box_seal(SPAN(slot->public_key), share, slot->sealed_share, e);
}

status slot_roll(const struct id *vault, struct slot *slot, struct span next_secret32,
                 const struct secret *share, struct err *e)
{
    struct slot rolled = *slot;

    rolled.generation++;
    memcpy(rolled.salt, slot->salt_next, sizeof(rolled.salt));
    random_bytes((struct mspan){ rolled.salt_next, sizeof(rolled.salt_next) });
    status st = slot_make(vault, next_secret32, &rolled, e);
    if (st == OK)
        st = seal_share(&rolled, secret_view(share), slot->epoch, e);
    if (st == OK)
        *slot = rolled;
    return st;
}

/* --- all slots together ---------------------------------------------------------------------- */

/* The different x of the slots, of one kind or (SLOT_NONE) of any. */
static size_t numbers(const struct slot *slots, size_t count, uint8_t kind, uint8_t xs[LIMIT_SLOTS])
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < n && xs[at] != slots[i].x)
            at++;
        if (at == n && (kind == SLOT_NONE || slots[i].kind == kind))
            xs[n++] = slots[i].x;
    }
    return n;
}

uint8_t slots_operators(const struct slot *slots, size_t count)
{
    uint8_t xs[LIMIT_SLOTS];

    return (uint8_t)numbers(slots, count, SLOT_FIDO2, xs);
}

uint8_t slots_x(const struct slot *slots, size_t count, uint8_t kind, const char *label)
{
    uint8_t x = 1;

    for (size_t i = 0; kind == SLOT_FIDO2 && i < count; i++) {
        if (slots[i].kind == SLOT_FIDO2 && span_same(span_text(slots[i].label), span_text(label)))
            return slots[i].x;
    }
    for (size_t i = 0; i < count; i++) {
        if (slots[i].x == x) { /* taken: look again from the start for the next */
            x++;
            i = SIZE_MAX;
        }
    }
    return x;
}

status slots_deal(struct slot *slots, size_t count, const struct secret *root, uint8_t quorum,
                  uint32_t epoch, uint8_t *ret_holders, struct err *e)
{
    AUTO(secret) *shares = NULL;
    uint8_t xs[LIMIT_SLOTS];
    size_t holders = numbers(slots, count, SLOT_NONE, xs);

    status st = shamir_split(secret_view(root), quorum, span_of(xs, holders), &shares, e);
    for (size_t i = 0; st == OK && i < count; i++) {
        size_t at = 0;
        while (xs[at] != slots[i].x)
            at++;
        st = seal_share(&slots[i], span_of(secret_view(shares).p + at * SHARE_SIZE, SHARE_SIZE),
                        epoch, e);
    }
    *ret_holders = (uint8_t)holders;
    return st;
}
