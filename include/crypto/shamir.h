/*
 * Shamir's secret sharing, byte by byte over GF(2^8) with the polynomial 0x11b of AES: any k
 * shares give the secret back, k - 1 say nothing at all about it. Shares carry no checksum
 * and no mark of their set: the caller binds them and checks the result.
 */
#ifndef CRYPTO_SHAMIR_H
#define CRYPTO_SHAMIR_H

#include "base/bytes.h"
#include "base/status.h"
#include "secret/secret.h"

#define SHAMIR_MAX        255 /* shares, and so the largest k */
#define SHAMIR_SECRET_MAX 64  /* bytes */

/*
 * A share of secret (1 to SHAMIR_SECRET_MAX bytes) for each of the share numbers xs, which are
 * distinct and not 0; 1 <= k <= xs.n <= SHAMIR_MAX, or BAD_INPUT. The coefficients are uniform
 * over 0 to 255, from the system's generator, and are wiped. With k = 1 every share holds the
 * secret itself. *ret_shares, the caller's to free, is xs.n shares of 1 + secret.n bytes in the
 * order of xs, each its number followed by its bytes. LIMIT when the slab is full.
 */
MUST_CHECK status shamir_split(struct span secret, unsigned k, struct span xs,
                               struct secret **ret_shares, struct err *e);

/*
 * The secret from all of the shares.n / share_size shares given, in any order; k of them or
 * more. BAD_INPUT for a share number that is 0 or comes twice, and for sizes that do not fit
 * those above. Shares that are wrong or too few give a wrong secret and OK. LIMIT when the
 * slab is full.
 */
MUST_CHECK status shamir_combine(struct span shares, size_t share_size, struct secret **ret_secret,
                                 struct err *e);

#endif
