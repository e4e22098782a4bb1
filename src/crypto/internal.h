/* What the files of this module share and nobody else sees. */
#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include <stdbool.h>
#include <stdlib.h>

#include "base/bytes.h"

#define NONCE_SIZE 12
#define TAG_SIZE   16
#define SALT_SIZE  32

/*
 * For the functions that return nothing: a key of the wrong size is a defect of the caller,
 * and there is no safe answer to it. Never compiled out.
 */
static inline void insist(bool holds)
{
    if (!holds)
        abort();
}

/* GF(2^8) with the polynomial 0x11b, in constant time. The inverse of 0 is 0. */
uint8_t gf256_multiply(uint8_t a, uint8_t b);
uint8_t gf256_inverse(uint8_t a);

/* Shares as shamir_split gives them. polynomials is rows of width bytes: the secret, then the
 * coefficients of x, of x^2 and so on. */
void shamir_evaluate(struct span polynomials, size_t width, struct span xs, uint8_t *ret_shares);

#endif
