/*
 * The vectors that NIST and the RFCs publish: whole files and sections, not selections, except
 * for SHA-256. check_vectors.py recomputes the same files with other libraries.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "rsp.h"

static uint64_t repeat_of(void)
{
    const struct field *f = field_of("Repeat");
    uint64_t n = 1;

    check_that(f == NULL || number_parse(f->text, 1, 10000000, &n), "Repeat");
    return n;
}

static void check_sha256(void)
{
    struct span part = bytes_of("Msg");
    size_t repeat = (size_t)repeat_of();
    uint8_t *message = malloc(part.n * repeat + 1);
    uint8_t out[SHA256_SIZE];

    assert_non_null(message);
    for (size_t i = 0; part.n > 0 && i < repeat; i++)
        memcpy(message + i * part.n, part.p, part.n);
    sha256(span_of(message, part.n * repeat), out);
    check_bytes(out, sizeof(out), bytes_of("MD"));
    free(message);
}

static void check_hmac(void)
{
    struct span expected = bytes_of("MAC");
    uint8_t out[MAC_SIZE];

    hmac_sha256(bytes_of("Key"), bytes_of("Data"), out);
    assert_in_range(expected.n, 16, sizeof(out)); /* one case is published truncated */
    check_bytes(out, expected.n, expected);
}

static void check_hkdf(void)
{
    struct span expected = bytes_of("OKM");
    uint8_t prk[MAC_SIZE];
    uint8_t okm[128];

    assert_true(expected.n <= sizeof(okm));
    hkdf_extract(bytes_of("Salt"), bytes_of("IKM"), prk);
    check_bytes(prk, sizeof(prk), bytes_of("PRK"));
    hkdf_expand(SPAN(prk), bytes_of("Info"), (struct mspan){ okm, expected.n });
    check_bytes(okm, expected.n, expected);
}

static void check_gcm_encrypt(void)
{
    uint8_t expected[256];
    uint8_t out[256];
    struct span sealed = cipher_and_tag(expected, sizeof(expected));
    struct span plain = bytes_of("PT");

    assert_int_equal(plain.n + 16, sealed.n);
    aes256gcm_encrypt(bytes_of("Key"), bytes_of("IV"), bytes_of("AAD"), plain, out);
    check_bytes(out, sealed.n, sealed);
}

static void check_gcm_decrypt(void)
{
    uint8_t buffer[256];
    uint8_t out[256];
    struct span sealed = cipher_and_tag(buffer, sizeof(buffer));
    bool opened = aes256gcm_decrypt(bytes_of("Key"), bytes_of("IV"), bytes_of("AAD"), sealed, out);

    check_that(opened == (field_of("FAIL") == NULL), "wrong verdict");
    if (opened)
        check_bytes(out, sealed.n - 16, bytes_of("PT"));
}

static void check_ed25519(void)
{
    uint8_t public_key[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];

    ed25519_public(bytes_of("Seed"), public_key);
    check_bytes(public_key, sizeof(public_key), bytes_of("Public"));
    ed25519_sign(bytes_of("Seed"), bytes_of("Msg"), signature);
    check_bytes(signature, sizeof(signature), bytes_of("Signature"));
    assert_true(ed25519_verify(bytes_of("Public"), bytes_of("Msg"), bytes_of("Signature")));
}

static void check_x25519(void)
{
    static const uint8_t base[32] = { 9 };
    uint8_t scalar[32];
    uint8_t point[32];

    memcpy(scalar, bytes_of("Scalar").p, sizeof(scalar));
    memcpy(point, bytes_of("Point").p, sizeof(point));
    for (uint64_t left = repeat_of(); left > 0; left--) {
        uint8_t product[32];

        assert_int_equal(crypto_scalarmult(product, scalar, point), 0);
        memcpy(point, scalar, sizeof(point));
        memcpy(scalar, product, sizeof(scalar));
    }
    check_bytes(scalar, sizeof(scalar), bytes_of("Result"));
    if (repeat_of() == 1 && span_same(bytes_of("Point"), SPAN(base))) {
        box_public(bytes_of("Scalar"), point);
        check_bytes(point, sizeof(point), bytes_of("Result"));
    }
}

static void sha256_gives_the_digests_of_fips_180_and_cavp(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("sha256_messages.rsp", check_sha256), 15);
}

static void hmac_gives_the_macs_of_rfc_4231(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("rfc4231_hmac_sha256.rsp", check_hmac), 7);
}

static void hkdf_gives_the_keys_of_rfc_5869(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("rfc5869_hkdf_sha256.rsp", check_hkdf), 3);
}

static void gcm_gives_the_ciphertexts_of_cavp(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("cavp_gcm256_encrypt.rsp", check_gcm_encrypt), 375);
}

static void gcm_opens_what_cavp_opens_and_refuses_what_it_fails(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("cavp_gcm256_decrypt.rsp", check_gcm_decrypt), 375);
}

static void ed25519_gives_the_signatures_of_rfc_8032(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("rfc8032_ed25519.rsp", check_ed25519), 5);
}

static void x25519_gives_the_points_of_rfc_7748(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("rfc7748_x25519.rsp", check_x25519), 7);
}

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_digests_of_fips_180_and_cavp),
        cmocka_unit_test(hmac_gives_the_macs_of_rfc_4231),
        cmocka_unit_test(hkdf_gives_the_keys_of_rfc_5869),
        cmocka_unit_test(gcm_gives_the_ciphertexts_of_cavp),
        cmocka_unit_test(gcm_opens_what_cavp_opens_and_refuses_what_it_fails),
        cmocka_unit_test(ed25519_gives_the_signatures_of_rfc_8032),
        cmocka_unit_test(x25519_gives_the_points_of_rfc_7748),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
