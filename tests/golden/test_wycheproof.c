/*
 * Every case of Project Wycheproof for the primitives we use, the invalid and the merely
 * acceptable ones included. A failure names the file and the tcId. check_vectors.py gives the
 * same verdicts with other libraries.
 */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "rsp.h"

#define EXPAND_MAX ((size_t)255 * MAC_SIZE)

static bool result_is(const char *result)
{
    return strcmp(text_of("Result"), result) == 0;
}

/* Where acceptable is no answer. */
static bool is_valid(void)
{
    check_that(result_is("valid") || result_is("invalid"), "unknown result");
    return result_is("valid");
}

static void check_gcm(void)
{
    uint8_t buffer[1024];
    uint8_t out[sizeof(buffer)];
    struct span sealed = cipher_and_tag(buffer, sizeof(buffer));
    struct span plain = bytes_of("PT");
    bool opened = aes256gcm_decrypt(bytes_of("Key"), bytes_of("IV"), bytes_of("AAD"), sealed, out);

    check_that(opened == is_valid(), opened ? "was opened" : "was refused");
    if (opened) {
        check_bytes(out, sealed.n - 16, plain);
        aes256gcm_encrypt(bytes_of("Key"), bytes_of("IV"), bytes_of("AAD"), plain, out);
        check_bytes(out, plain.n + 16, sealed);
    }
}

/* The invalid cases ask for more than HKDF can give. hkdf_expand must not be called so; the
 * function that takes lengths from elsewhere refuses them. */
static void check_hkdf(void)
{
    static uint8_t okm[EXPAND_MAX];
    uint8_t prk[MAC_SIZE];
    uint64_t size = 0;

    check_that(number_parse(text_of("Size"), 1, 65535, &size), "Size");
    hkdf_extract(bytes_of("Salt"), bytes_of("IKM"), prk);
    check_that(is_valid() == (size <= EXPAND_MAX), "wrong verdict on the size");
    if (is_valid()) {
        hkdf_expand(SPAN(prk), bytes_of("Info"), (struct mspan){ okm, (size_t)size });
        check_bytes(okm, (size_t)size, bytes_of("OKM"));
    } else {
        struct secret *none = NULL;
        struct label l;

        label_init(&l, "wycheproof");
        check_that(crypto_derive(SPAN(prk), &l, (size_t)size, &none, NULL) == BUG && none == NULL,
                   "was derived");
    }
}

/* Tags of 128 bits are the beginning of those of 256. */
static void check_hmac(void)
{
    struct span tag = bytes_of("MAC");
    uint8_t out[MAC_SIZE];

    check_that(tag.n == sizeof(out) / 2 || tag.n == sizeof(out), "unknown size of tag");
    hmac_sha256(bytes_of("Key"), bytes_of("Data"), out);
    check_that(span_same(span_of(out, tag.n), tag) == is_valid(), "wrong verdict");
}

static void check_ed25519(void)
{
    bool verified = ed25519_verify(bytes_of("Public"), bytes_of("Msg"), bytes_of("Signature"));

    check_that(verified == is_valid(), verified ? "was accepted" : "was refused");
}

/*
 * A sealed box as a sender would make it who is public, with the shared secret of the case:
 * ephemeral key | XSalsa20-Poly1305, its key HSalsa20(shared), its nonce BLAKE2b(both keys).
 */
static void box_with_shared(struct span shared, struct span plain, uint8_t *ret_sealed)
{
    static const uint8_t zeros[crypto_core_hsalsa20_INPUTBYTES];
    uint8_t keys[64];
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
    uint8_t key[crypto_secretbox_KEYBYTES];

    memcpy(keys, bytes_of("Public").p, 32);
    box_public(bytes_of("Private"), keys + 32);
    crypto_generichash(nonce, sizeof(nonce), keys, sizeof(keys), NULL, 0);
    crypto_core_hsalsa20(key, zeros, shared.p, NULL);
    memcpy(ret_sealed, keys, 32);
    assert_int_equal(crypto_secretbox_easy(ret_sealed + 32, plain.p, plain.n, nonce, key), 0);
}

/*
 * Acceptable are points on the twist, points that are not reduced and points of small order.
 * The first two are taken as they are, as RFC 7748 has it; the last, which give the shared
 * secret 0 whatever the private key, are refused everywhere and nothing else is.
 */
static void check_x25519(void)
{
    static const uint8_t plain[] = "sealed to the key of the case";
    static const uint8_t zeros[32];
    struct span shared = bytes_of("Shared");
    bool degenerate = span_same(shared, SPAN(zeros));
    uint8_t product[32];
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD];
    AUTO(secret) *opened = NULL;
    bool refused = false;
    status st = OK;

    check_that(result_is(degenerate ? "acceptable" : "valid") || result_is("acceptable"),
               "unknown result");
    check_that(bytes_of("Public").n == 32 && bytes_of("Private").n == 32, "size of a key");
    refused = crypto_scalarmult(product, bytes_of("Private").p, bytes_of("Public").p) != 0;
    check_that(refused == degenerate, refused ? "was refused" : "was multiplied");
    if (!refused)
        check_bytes(product, sizeof(product), shared);

    st = box_seal(bytes_of("Public"), SPAN(plain), sealed, NULL);
    check_that(st == (degenerate ? BAD_INPUT : OK), "wrong verdict of box_seal");
    box_with_shared(shared, SPAN(plain), sealed);
    st = box_open(bytes_of("Private"), SPAN(sealed), &opened, NULL);
    check_that(st == (degenerate ? CORRUPT : OK), "wrong verdict of box_open");
    if (st == OK)
        check_bytes(secret_view(opened).p, secret_view(opened).n, SPAN(plain));
}

static void gcm_opens_the_valid_cases_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("wycheproof_aes_gcm.rsp", check_gcm), 66);
}

static void hkdf_gives_the_valid_keys_and_none_that_is_too_long(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("wycheproof_hkdf_sha256.rsp", check_hkdf), 86);
}

static void hmac_gives_the_valid_tags_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("wycheproof_hmac_sha256.rsp", check_hmac), 174);
}

static void x25519_gives_every_shared_secret_but_zero(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("wycheproof_x25519.rsp", check_x25519), 518);
}

static void ed25519_accepts_the_valid_signatures_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(for_each_block("wycheproof_ed25519.rsp", check_ed25519), 151);
}

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_opens_the_valid_cases_and_no_other),
        cmocka_unit_test(hkdf_gives_the_valid_keys_and_none_that_is_too_long),
        cmocka_unit_test(hmac_gives_the_valid_tags_and_no_other),
        cmocka_unit_test(x25519_gives_every_shared_secret_but_zero),
        cmocka_unit_test(ed25519_accepts_the_valid_signatures_and_no_other),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
