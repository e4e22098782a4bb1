/*
 * Sealed boxes: for a recipient's X25519 key, from nobody in particular. They say nothing
 * about who sealed them; where that matters the caller signs or MACs around the box.
 */
#include <sodium.h>

#include "crypto/crypto.h"
#include "internal.h"

_Static_assert(crypto_box_SEALBYTES == BOX_OVERHEAD, "libsodium agrees");

void box_public(struct span private32, uint8_t out[static 32])
{
    insist(private32.n == KEY_SIZE);
    insist(crypto_scalarmult_base(out, private32.p) == 0);
}

status box_seal(struct span public32, struct span plain, uint8_t *ret_sealed, struct err *e)
{
    if (public32.n != KEY_SIZE)
        return fail(e, BAD_INPUT, "public key is not 32 bytes", 0);
    /* libsodium refuses points of small order, whose shared secret anyone can compute. */
    if (crypto_box_seal(ret_sealed, plain.p, plain.n, public32.p) != 0)
        return fail(e, BAD_INPUT, "public key is degenerate", 0);
    return OK;
}

status box_open(struct span private32, struct span sealed, struct secret **ret_plain, struct err *e)
{
    AUTO(secret) *plain = NULL;
    uint8_t public_key[KEY_SIZE];
    status st = OK;

    if (private32.n != KEY_SIZE)
        return fail(e, BUG, "private key is not 32 bytes", 0);
    if (sealed.n < BOX_OVERHEAD)
        return fail(e, CORRUPT, "sealed box does not open", 0);
    st = secret_new(sealed.n - BOX_OVERHEAD, &plain, e);
    if (st != OK)
        return st;
    box_public(private32, public_key);
    if (crypto_box_seal_open(secret_fill(plain).p, sealed.p, sealed.n, public_key, private32.p) !=
        0)
        return fail(e, CORRUPT, "sealed box does not open", 0);
    *ret_plain = plain;
    plain = NULL;
    return OK;
}
