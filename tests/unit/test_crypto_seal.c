/* Sealed values open in one context only, and say nothing about why they do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

#define CHECK_OK(call)           assert_string_equal(status_name(call), status_name(OK))
#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))
#define PLAIN_MAX                8256 /* a padded provider key */
#define COUNT(array)             (sizeof(array) / sizeof((array)[0]))

static const uint8_t kek[32] = { 0x4b, 0x45, 0x4b };
static const uint8_t aad[] = "tenant, key, version";
static const char reason[] = "sealed value does not open";

static int start_slab(void **state)
{
    uint8_t sealed[SEAL_OVERHEAD];

    (void)state;
    if (secret_start((size_t)256 * 1024, NULL) != OK)
        return -1;
    /* The first seal of a process keeps a secret of its own; the tests count the others. */
    return crypto_seal(SPAN(kek), 0, SPAN(aad), span_of(NULL, 0), sealed, NULL) == OK ? 0 : -1;
}

static int only_the_salt_key_is_left(void **state)
{
    (void)state;
    return secret_in_use() == 64 ? 0 : -1;
}

static void check_corrupt(struct span key, struct span context, struct span sealed)
{
    struct secret *s = NULL;
    struct err e = { 0 };

    CHECK_STATUS(crypto_open(key, context, sealed, &s, &e), CORRUPT);
    assert_null(s);
    assert_string_equal(e.why, reason);
    assert_int_equal(e.detail, 0);
}

static void what_is_sealed_opens_again(void **state)
{
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 32, 63, 64, 65, 1000, PLAIN_MAX };
    static uint8_t plain[PLAIN_MAX];
    static uint8_t sealed[PLAIN_MAX + SEAL_OVERHEAD];

    (void)state;
    random_bytes((struct mspan){ plain, sizeof(plain) });
    for (size_t i = 0; i < COUNT(sizes); i++) {
        AUTO(secret) *back = NULL;
        struct span in = span_of(plain, sizes[i]);

        CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), in, sealed, NULL));
        CHECK_OK(
            crypto_open(SPAN(kek), SPAN(aad), span_of(sealed, in.n + SEAL_OVERHEAD), &back, NULL));
        assert_true(span_same(secret_view(back), in));
    }
}

static void a_sealed_value_starts_with_magic_version_suite_and_epoch(void **state)
{
    static const uint8_t head[] = { 'S', 'R', 1, 1, 0x01, 0x02, 0x03, 0x04 };
    uint8_t sealed[SEAL_OVERHEAD];

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 0x01020304, SPAN(aad), span_of(NULL, 0), sealed, NULL));
    assert_memory_equal(sealed, head, sizeof(head));
}

static void the_same_value_never_seals_to_the_same_bytes(void **state)
{
    uint8_t a[SEALED_KEY_SIZE];
    uint8_t b[SEALED_KEY_SIZE];

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), a, NULL));
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), b, NULL));
    assert_memory_equal(a, b, 8);
    assert_memory_not_equal(a + 8, b + 8, 32);   /* salt */
    assert_memory_not_equal(a + 40, b + 40, 32); /* commitment */
    assert_memory_not_equal(a + 72, b + 72, 32); /* ciphertext */
}

static void any_changed_bit_keeps_it_from_opening(void **state)
{
    static const uint8_t plain[33] = "a secret of thirty-three bytes..";
    uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD];

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(plain), sealed, NULL));
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        check_corrupt(SPAN(kek), SPAN(aad), SPAN(sealed));
        sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

static void any_other_length_keeps_it_from_opening(void **state)
{
    uint8_t sealed[SEALED_KEY_SIZE + 1] = { 0 };

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    for (size_t n = 0; n <= sizeof(sealed); n++) {
        if (n != SEALED_KEY_SIZE)
            check_corrupt(SPAN(kek), SPAN(aad), span_of(sealed, n));
    }
    check_corrupt(SPAN(kek), SPAN(aad), span_of(NULL, 0));
}

static void any_other_context_keeps_it_from_opening(void **state)
{
    uint8_t sealed[SEALED_KEY_SIZE];
    uint8_t other[sizeof(aad) + 1] = { 0 };

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    memcpy(other, aad, sizeof(aad));
    for (size_t bit = 0; bit < 8 * sizeof(aad); bit++) {
        other[bit / 8] ^= (uint8_t)(1U << bit % 8);
        check_corrupt(SPAN(kek), span_of(other, sizeof(aad)), SPAN(sealed));
        other[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t n = 0; n <= sizeof(other); n++) {
        if (n != sizeof(aad))
            check_corrupt(SPAN(kek), span_of(other, n), SPAN(sealed));
    }
}

static void any_other_key_keeps_it_from_opening(void **state)
{
    uint8_t sealed[SEALED_KEY_SIZE];
    uint8_t other[sizeof(kek)];

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    memcpy(other, kek, sizeof(kek));
    for (size_t bit = 0; bit < 8 * sizeof(kek); bit++) {
        other[bit / 8] ^= (uint8_t)(1U << bit % 8);
        check_corrupt(SPAN(other), SPAN(aad), SPAN(sealed));
        other[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

/* Makes a sealed value with any header, from primitives and the text of the format. */
static void seal_by_hand(const uint8_t header[8], uint8_t sealed[SEALED_KEY_SIZE])
{
    static const uint8_t salt[32] = { 0x73 };
    AUTO(secret) *okm = NULL;
    uint8_t prk[MAC_SIZE];
    uint8_t digest[SHA256_SIZE];
    uint8_t bound[8 + sizeof(aad)];
    struct label l;
    const uint8_t *p = NULL;

    memcpy(bound, header, 8);
    memcpy(bound + 8, aad, sizeof(aad));
    sha256(SPAN(aad), digest);
    label_init(&l, "seal");
    label_field(&l, span_of(header, 8));
    label_field(&l, SPAN(digest));
    hkdf_extract(SPAN(salt), SPAN(kek), prk);
    CHECK_OK(crypto_derive(SPAN(prk), &l, 76, &okm, NULL));
    p = secret_view(okm).p;
    memcpy(sealed, header, 8);
    memcpy(sealed + 8, salt, 32);
    memcpy(sealed + 40, p + 44, 32);
    aes256gcm_encrypt(span_of(p, 32), span_of(p + 32, 12), SPAN(bound), SPAN(kek), sealed + 72);
}

static void a_well_made_value_of_another_magic_version_or_suite_is_refused(void **state)
{
    static const uint8_t right[8] = { 'S', 'R', 1, 1, 0, 0, 0, 7 };
    uint8_t sealed[SEALED_KEY_SIZE];
    AUTO(secret) *s = NULL;

    (void)state;
    seal_by_hand(right, sealed);
    CHECK_OK(crypto_open(SPAN(kek), SPAN(aad), SPAN(sealed), &s, NULL));
    for (size_t at = 0; at < 4; at++) {
        uint8_t header[8];

        memcpy(header, right, sizeof(header));
        header[at]++;
        seal_by_hand(header, sealed);
        check_corrupt(SPAN(kek), SPAN(aad), SPAN(sealed));
    }
}

static void parts_of_two_sealed_values_do_not_mix(void **state)
{
    static const size_t cuts[] = { 8, 40, 72, 72 + 32 };
    uint8_t a[SEALED_KEY_SIZE];
    uint8_t b[SEALED_KEY_SIZE];

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), a, NULL));
    CHECK_OK(crypto_seal(SPAN(kek), 8, SPAN(aad), SPAN(kek), b, NULL));
    for (size_t i = 0; i < COUNT(cuts); i++) {
        uint8_t mixed[SEALED_KEY_SIZE];

        memcpy(mixed, a, cuts[i]);
        memcpy(mixed + cuts[i], b + cuts[i], sizeof(b) - cuts[i]);
        check_corrupt(SPAN(kek), SPAN(aad), SPAN(mixed));
    }
}

static void nothing_is_sealed_or_opened_with_a_wiped_key(void **state)
{
    uint8_t sealed[SEALED_KEY_SIZE];
    const uint8_t longer[33] = { 0 };
    AUTO(secret) *wiped = NULL;
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_OK(secret_copy(SPAN(kek), &wiped, NULL));
    CHECK_OK(crypto_seal(secret_view(wiped), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    secret_wipe_all();
    CHECK_STATUS(crypto_seal(secret_view(wiped), 7, SPAN(aad), SPAN(kek), sealed, NULL), BUG);
    CHECK_STATUS(crypto_open(secret_view(wiped), SPAN(aad), SPAN(sealed), &s, NULL), BUG);
    CHECK_STATUS(crypto_seal(SPAN(longer), 7, SPAN(aad), SPAN(kek), sealed, NULL), BUG);
    assert_null(s);
    /* The salt key was wiped, too, and is made anew. */
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    CHECK_OK(crypto_open(SPAN(kek), SPAN(aad), SPAN(sealed), &s, NULL));
    assert_true(span_same(secret_view(s), SPAN(kek)));
}

static void a_context_may_be_as_long_as_a_label_and_no_longer(void **state)
{
    static const uint8_t context[LABEL_SIZE + 1];
    uint8_t sealed[SEALED_KEY_SIZE];
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_STATUS(crypto_seal(SPAN(kek), 7, SPAN(context), SPAN(kek), sealed, NULL), BUG);
    CHECK_STATUS(crypto_open(SPAN(kek), SPAN(context), SPAN(sealed), &s, NULL), BUG);
    CHECK_OK(crypto_seal(SPAN(kek), 7, span_of(context, LABEL_SIZE), SPAN(kek), sealed, NULL));
    CHECK_OK(crypto_open(SPAN(kek), span_of(context, LABEL_SIZE), SPAN(sealed), &s, NULL));
}

static void a_given_salt_must_be_32_bytes(void **state)
{
    static const uint8_t salt[33];
    uint8_t sealed[SEALED_KEY_SIZE];
    uint8_t again[SEALED_KEY_SIZE];

    (void)state;
    CHECK_STATUS(
        crypto_seal_with_salt(SPAN(kek), 7, SPAN(aad), SPAN(kek), SPAN(salt), sealed, NULL), BUG);
    CHECK_STATUS(
        crypto_seal_with_salt(SPAN(kek), 7, SPAN(aad), SPAN(kek), span_of(salt, 31), sealed, NULL),
        BUG);
    CHECK_OK(
        crypto_seal_with_salt(SPAN(kek), 7, SPAN(aad), SPAN(kek), span_of(salt, 32), sealed, NULL));
    CHECK_OK(
        crypto_seal_with_salt(SPAN(kek), 7, SPAN(aad), SPAN(kek), span_of(salt, 32), again, NULL));
    assert_memory_equal(sealed, again, sizeof(sealed));
}

static void a_full_slab_is_a_limit_and_not_corruption(void **state)
{
    uint8_t sealed[SEALED_KEY_SIZE];
    struct secret *held[4096];
    struct secret *s = NULL;
    size_t n = 0;

    (void)state;
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(kek), sealed, NULL));
    while (n < COUNT(held) && secret_new(32, &held[n], NULL) == OK)
        n++;
    /* Room comes back one block at a time, so each allocation inside fails once. */
    while (crypto_open(SPAN(kek), SPAN(aad), SPAN(sealed), &s, NULL) != OK) {
        struct err e = { 0 };

        CHECK_STATUS(crypto_open(SPAN(kek), SPAN(aad), SPAN(sealed), &s, &e), LIMIT);
        assert_null(s);
        assert_true(n > 0);
        secret_free(held[--n]);
    }
    assert_true(span_same(secret_view(s), SPAN(kek)));
    secret_free(s);
    while (n > 0)
        secret_free(held[--n]);
}

static void raw_gcm_refuses_what_is_too_short_for_a_tag(void **state)
{
    static const uint8_t nonce[12];
    static const uint8_t cipher[15];
    uint8_t plain[16];

    (void)state;
    for (size_t n = 0; n <= sizeof(cipher); n++)
        assert_false(
            aes256gcm_decrypt(SPAN(kek), SPAN(nonce), SPAN(aad), span_of(cipher, n), plain));
}

#define SEAL_TEST(name) cmocka_unit_test_teardown(name, only_the_salt_key_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEAL_TEST(what_is_sealed_opens_again),
        SEAL_TEST(a_sealed_value_starts_with_magic_version_suite_and_epoch),
        SEAL_TEST(the_same_value_never_seals_to_the_same_bytes),
        SEAL_TEST(any_changed_bit_keeps_it_from_opening),
        SEAL_TEST(any_other_length_keeps_it_from_opening),
        SEAL_TEST(any_other_context_keeps_it_from_opening),
        SEAL_TEST(any_other_key_keeps_it_from_opening),
        SEAL_TEST(a_well_made_value_of_another_magic_version_or_suite_is_refused),
        SEAL_TEST(parts_of_two_sealed_values_do_not_mix),
        SEAL_TEST(nothing_is_sealed_or_opened_with_a_wiped_key),
        SEAL_TEST(a_context_may_be_as_long_as_a_label_and_no_longer),
        SEAL_TEST(a_given_salt_must_be_32_bytes),
        SEAL_TEST(a_full_slab_is_a_limit_and_not_corruption),
        SEAL_TEST(raw_gcm_refuses_what_is_too_short_for_a_tag),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
