/*
 * Padding of provider keys, so that the length of what is stored does not name the
 * provider. Both directions run in time that depends on the padded length only.
 */
#include <sodium.h>
#include <string.h>

#include "crypto/crypto.h"

#define PAD_BLOCK 64

status crypto_pad(struct span plain, struct secret **ret_padded, struct err *e)
{
    AUTO(secret) *padded = NULL;
    size_t n = plain.n / PAD_BLOCK * PAD_BLOCK + PAD_BLOCK; /* always at least the 0x80 */
    status st = OK;

    if (n < plain.n)
        return fail(e, LIMIT, "too long to pad", 0);
    st = secret_new(n, &padded, e);
    if (st != OK)
        return st;
    if (plain.n > 0)
        memcpy(secret_fill(padded).p, plain.p, plain.n);
    if (sodium_pad(NULL, secret_fill(padded).p, plain.n, PAD_BLOCK, n) != 0)
        return fail(e, BUG, "padding does not fit", 0);
    *ret_padded = padded;
    padded = NULL;
    return OK;
}

status crypto_unpad(struct secret *padded, struct err *e)
{
    struct span view = secret_view(padded);
    size_t n = 0;

    if (view.n == 0 || view.n % PAD_BLOCK != 0 || sodium_unpad(&n, view.p, view.n, PAD_BLOCK) != 0)
        return fail(e, CORRUPT, "padding is damaged", 0);
    return secret_trim(padded, n, e);
}
