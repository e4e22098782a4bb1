/*
 * Ed25519. Keys are kept as seeds; the 64-byte form that libsodium wants is made for one
 * signature and wiped, so a seed is the only thing that has to be stored and guarded.
 */
#include <sodium.h>

#include "crypto/crypto.h"
#include "internal.h"

_Static_assert(crypto_sign_BYTES == ED25519_SIGNATURE_SIZE, "libsodium agrees");

void ed25519_public(struct span seed32, uint8_t out[static 32])
{
    uint8_t pair[crypto_sign_SECRETKEYBYTES];

    insist(seed32.n == KEY_SIZE);
    insist(crypto_sign_seed_keypair(out, pair, seed32.p) == 0);
    sodium_memzero(pair, sizeof(pair));
}

void ed25519_sign(struct span seed32, struct span message,
                  uint8_t out[static ED25519_SIGNATURE_SIZE])
{
    uint8_t pair[crypto_sign_SECRETKEYBYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];

    insist(seed32.n == KEY_SIZE);
    /* The public half is derived again, never taken from storage: signing with a public
     * key that does not belong to the seed gives the seed away. */
    insist(crypto_sign_seed_keypair(public_key, pair, seed32.p) == 0);
    insist(crypto_sign_detached(out, NULL, message.p, message.n, pair) == 0);
    sodium_memzero(pair, sizeof(pair));
}

bool ed25519_verify(struct span public32, struct span message, struct span signature)
{
    /* Both arrive from outside: a wrong size is an invalid signature, not a defect. */
    if (public32.n != crypto_sign_PUBLICKEYBYTES || signature.n != crypto_sign_BYTES)
        return false;
    return crypto_sign_verify_detached(signature.p, message.p, message.n, public32.p) == 0;
}
