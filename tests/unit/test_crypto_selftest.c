/* wrap: sha256 hmac_sha256 hkdf_expand aes256gcm_encrypt aes256gcm_decrypt ed25519_sign box_public */
/* A primitive that answers wrongly stops the process at start, whichever it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

/* The linker sends the self-test's calls here; one of them at a time gives a wrong answer. */
static enum { NONE, SHA256, HMAC, HKDF, GCM_ENCRYPT, GCM_TAG, ED25519, X25519 } broken;

void __real_sha256(struct span in, uint8_t *out);
void __real_hmac_sha256(struct span key, struct span in, uint8_t *out);
void __real_hkdf_expand(struct span prk, struct span info, struct mspan out);
void __real_aes256gcm_encrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span plain, uint8_t *ret_cipher_and_tag);
bool __real_aes256gcm_decrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span cipher_and_tag, uint8_t *ret_plain);
void __real_ed25519_sign(struct span seed32, struct span message, uint8_t *out);
void __real_box_public(struct span private32, uint8_t *out);

void __wrap_sha256(struct span in, uint8_t *out);
void __wrap_hmac_sha256(struct span key, struct span in, uint8_t *out);
void __wrap_hkdf_expand(struct span prk, struct span info, struct mspan out);
void __wrap_aes256gcm_encrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span plain, uint8_t *ret_cipher_and_tag);
bool __wrap_aes256gcm_decrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span cipher_and_tag, uint8_t *ret_plain);
void __wrap_ed25519_sign(struct span seed32, struct span message, uint8_t *out);
void __wrap_box_public(struct span private32, uint8_t *out);

void __wrap_sha256(struct span in, uint8_t *out)
{
    __real_sha256(in, out);
    out[31] ^= broken == SHA256;
}

void __wrap_hmac_sha256(struct span key, struct span in, uint8_t *out)
{
    __real_hmac_sha256(key, in, out);
    /* Wrong for long keys only, as a backend with a block-size mistake would be. */
    out[0] ^= broken == HMAC && key.n > 64;
}

void __wrap_hkdf_expand(struct span prk, struct span info, struct mspan out)
{
    __real_hkdf_expand(prk, info, out);
    /* Wrong in the third block only. */
    if (broken == HKDF && out.n > 64)
        out.p[64] ^= 1;
}

void __wrap_aes256gcm_encrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span plain, uint8_t *ret_cipher_and_tag)
{
    __real_aes256gcm_encrypt(key32, nonce12, aad, plain, ret_cipher_and_tag);
    ret_cipher_and_tag[plain.n + 15] ^= broken == GCM_ENCRYPT;
}

bool __wrap_aes256gcm_decrypt(struct span key32, struct span nonce12, struct span aad,
                              struct span cipher_and_tag, uint8_t *ret_plain)
{
    bool authentic = __real_aes256gcm_decrypt(key32, nonce12, aad, cipher_and_tag, ret_plain);

    return broken == GCM_TAG || authentic; /* decrypts, but does not look at the tag */
}

void __wrap_ed25519_sign(struct span seed32, struct span message, uint8_t *out)
{
    __real_ed25519_sign(seed32, message, out);
    out[63] ^= broken == ED25519;
}

void __wrap_box_public(struct span private32, uint8_t *out)
{
    __real_box_public(private32, out);
    out[0] ^= broken == X25519;
}

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

static void check_notices(const char *why)
{
    struct err e = { 0 };

    assert_int_equal(crypto_selftest(&e), BUG);
    assert_string_equal(e.why, why);
    broken = NONE;
    assert_int_equal(crypto_selftest(NULL), OK);
}

static void a_wrong_hash_is_noticed(void **state)
{
    (void)state;
    broken = SHA256;
    check_notices("SHA-256 gives a wrong answer");
}

static void a_wrong_mac_is_noticed(void **state)
{
    (void)state;
    broken = HMAC;
    check_notices("HMAC-SHA256 gives a wrong answer");
}

static void a_wrong_derivation_is_noticed(void **state)
{
    (void)state;
    broken = HKDF;
    check_notices("HKDF-SHA256 gives a wrong answer");
}

static void a_wrong_tag_is_noticed(void **state)
{
    (void)state;
    broken = GCM_ENCRYPT;
    check_notices("AES-256-GCM gives a wrong answer");
}

static void a_decryption_that_does_not_authenticate_is_noticed(void **state)
{
    (void)state;
    broken = GCM_TAG;
    check_notices("AES-256-GCM gives a wrong answer");
}

static void a_wrong_signature_is_noticed(void **state)
{
    (void)state;
    broken = ED25519;
    check_notices("Ed25519 gives a wrong answer");
}

static void a_wrong_public_key_is_noticed(void **state)
{
    (void)state;
    broken = X25519;
    check_notices("X25519 gives a wrong answer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_hash_is_noticed),
        cmocka_unit_test(a_wrong_mac_is_noticed),
        cmocka_unit_test(a_wrong_derivation_is_noticed),
        cmocka_unit_test(a_wrong_tag_is_noticed),
        cmocka_unit_test(a_decryption_that_does_not_authenticate_is_noticed),
        cmocka_unit_test(a_wrong_signature_is_noticed),
        cmocka_unit_test(a_wrong_public_key_is_noticed),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
