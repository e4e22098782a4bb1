/*
 * AES-256-GCM as libsodium gives it: hardware only, which secret_start checks, and with a
 * tag that is verified before any plaintext is released.
 */
#include <sodium.h>

#include "crypto/crypto.h"
#include "internal.h"

void aes256gcm_encrypt(struct span key32, struct span nonce12, struct span aad, struct span plain,
                       uint8_t *ret_cipher_and_tag)
{
    insist(key32.n == KEY_SIZE && nonce12.n == NONCE_SIZE);
    insist(crypto_aead_aes256gcm_encrypt(ret_cipher_and_tag, NULL, plain.p, plain.n, aad.p, aad.n,
                                         NULL, nonce12.p, key32.p) == 0);
}

bool aes256gcm_decrypt(struct span key32, struct span nonce12, struct span aad,
                       struct span cipher_and_tag, uint8_t *ret_plain)
{
    insist(key32.n == KEY_SIZE && nonce12.n == NONCE_SIZE);
    if (cipher_and_tag.n < TAG_SIZE)
        return false;
    return crypto_aead_aes256gcm_decrypt(ret_plain, NULL, NULL, cipher_and_tag.p, cipher_and_tag.n,
                                         aad.p, aad.n, nonce12.p, key32.p) == 0;
}
