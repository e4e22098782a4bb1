/*
 * Slots: a secret of 32 bytes (of a hardware key, or a recovery card's code) opens the slot's
 * private key, and that opens the slot's share of the root key.
 *
 * 1. The seal of the private key covers every descriptive field: someone who swaps the
 *    authenticator's public key or the label on disk gets a slot that does not open.
 * 2. The root epoch is not covered, because a new root is dealt to the public key while the
 *    hardware key is elsewhere. The share carries the root check instead.
 */
#include <string.h>

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

status slot_make(const struct id *vault, struct span secret32, uint8_t x, const struct secret *root,
                 struct slot *slot, struct err *e)
{
    AUTO(secret) *key = NULL;
    AUTO(secret) *private_key = NULL;
    AUTO(secret) *share = NULL;
    struct label aad;
    struct out o;

    status st = secret_random(KEY_SIZE, &private_key, e);
    if (st == OK)
        st = secret_new(SHARE_SIZE, &share, e);
    if (st == OK)
        st = slot_key(vault, slot, secret32, &key, e);
    if (st != OK)
        return st;
    box_public(secret_view(private_key), slot->public_key);
    slot_context(vault, slot, &aad);
    st = crypto_seal(secret_view(key), slot->generation, label_view(&aad), secret_view(private_key),
                     slot->sealed_private, e);
    if (st != OK)
        return st;
    /* With one share needed, the share is the root key; x is its place for the day it is not. */
    out_init(&o, secret_fill(share).p, SHARE_SIZE);
    out_u8(&o, x);
    out_raw(&o, secret_view(root));
    if (o.overflow || o.n != SHARE_SIZE)
        return fail(e, BUG, "a share has another size than the root key", 0);
    return box_seal(SPAN(slot->public_key), secret_view(share), slot->sealed_share, e);
}

status slot_open(const struct id *vault, const struct slot *slot, struct span secret32,
                 struct secret **ret_root, struct err *e)
{
    AUTO(secret) *key = NULL;
    AUTO(secret) *private_key = NULL;
    AUTO(secret) *share = NULL;
    struct label aad;

    status st = slot_key(vault, slot, secret32, &key, e);
    if (st != OK)
        return st;
    slot_context(vault, slot, &aad);
    st = crypto_open(secret_view(key), label_view(&aad), SPAN(slot->sealed_private), &private_key,
                     NULL);
    if (st != OK)
        return st == CORRUPT ? fail(e, DENIED, "the slot did not open", 0)
                             : fail(e, st, "cannot open the slot", 0);
    st = box_open(secret_view(private_key), SPAN(slot->sealed_share), &share, e);
    if (st != OK)
        return st;
    struct span opened = secret_view(share);
    if (opened.n != SHARE_SIZE)
        return fail(e, CORRUPT, "the slot's share has a bad size", 0);
    return secret_copy(span_of(opened.p + 1, opened.n - 1), ret_root, e);
}
