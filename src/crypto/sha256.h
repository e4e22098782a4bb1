/*
 * SHA-256 as a running state (FIPS 180-4): by the processor's instructions where it has them, else
 * by libsodium, which does not use them. Half of the keeper's time for a lease is this function.
 */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <sodium.h>

#include "base/bytes.h"

struct sha256_state {
    bool fast; /* by the processor's instructions */
    crypto_hash_sha256_state slow;
    uint32_t h[8];
    uint64_t length;
    uint8_t block[64];
};

void sha256_init(struct sha256_state *s);
void sha256_update(struct sha256_state *s, struct span in);
/* Wipes s. */
void sha256_final(struct sha256_state *s, uint8_t out[static 32]);
/* Of tests: the other implementation, where there are two. */
void sha256_init_slow(struct sha256_state *s);

#endif
