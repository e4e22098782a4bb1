/* Hashes, MACs and derivation: what the published vectors in tests/golden do not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

#define CHECK_OK(call)           assert_string_equal(status_name(call), status_name(OK))
#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))

static const uint8_t key[32] = { 1, 2, 3 };

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)256 * 1024, NULL) == OK ? 0 : -1;
}

static struct label label_of(const char *purpose)
{
    struct label l;

    label_init(&l, purpose);
    return l;
}

static void the_self_test_passes_here(void **state)
{
    struct err e = { 0 };

    (void)state;
    CHECK_OK(crypto_selftest(&e));
    assert_int_equal(e.code, OK);
}

static void hashing_two_parts_is_hashing_them_joined(void **state)
{
    static const char text[] = "strongroom strongroom strongroom strongroom strongroom strongroom "
                               "strongroom strongroom strongroom strongroom";
    uint8_t whole[SHA256_SIZE];
    uint8_t parts[SHA256_SIZE];

    (void)state;
    sha256(span_text(text), whole);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        sha256_two(span_of(text, cut), span_text(text + cut), parts);
        assert_memory_equal(whole, parts, sizeof(whole));
    }
}

static void empty_inputs_may_be_null(void **state)
{
    const struct span none = { NULL, 0 };
    uint8_t a[MAC_SIZE];
    uint8_t b[MAC_SIZE];

    (void)state;
    sha256(none, a);
    sha256(span_text(""), b);
    assert_memory_equal(a, b, sizeof(a));
    hmac_sha256(none, none, a);
    hmac_sha256(span_text(""), span_text(""), b);
    assert_memory_equal(a, b, sizeof(a));
    random_bytes((struct mspan){ NULL, 0 });
    hkdf_expand(SPAN(key), none, (struct mspan){ NULL, 0 });
}

static void an_absent_salt_is_a_salt_of_zeros(void **state)
{
    static const uint8_t zeros[32];
    uint8_t a[MAC_SIZE];
    uint8_t b[MAC_SIZE];

    (void)state;
    hkdf_extract(span_of(NULL, 0), SPAN(key), a);
    hkdf_extract(SPAN(zeros), SPAN(key), b);
    assert_memory_equal(a, b, sizeof(a));
}

static void random_bytes_fill_everything_and_differ(void **state)
{
    uint8_t a[64] = { 0 };
    uint8_t b[64] = { 0 };
    uint8_t seen[64] = { 0 };

    (void)state;
    random_bytes((struct mspan){ a, sizeof(a) });
    random_bytes((struct mspan){ b, sizeof(b) });
    assert_memory_not_equal(a, b, sizeof(a));
    for (size_t round = 0; round < 16; round++) {
        random_bytes((struct mspan){ a, sizeof(a) });
        for (size_t i = 0; i < sizeof(a); i++)
            seen[i] |= a[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_int_not_equal(seen[i], 0);
}

static void a_derived_key_has_the_length_asked_for_and_depends_on_it(void **state)
{
    struct label l = label_of("test");
    AUTO(secret) *shorter = NULL;
    AUTO(secret) *longer = NULL;

    (void)state;
    CHECK_OK(crypto_derive(SPAN(key), &l, 32, &shorter, NULL));
    CHECK_OK(crypto_derive(SPAN(key), &l, 33, &longer, NULL));
    assert_int_equal(secret_view(shorter).n, 32);
    assert_int_equal(secret_view(longer).n, 33);
    /* Plain HKDF would give a prefix here. */
    assert_memory_not_equal(secret_view(shorter).p, secret_view(longer).p, 32);
}

static void derived_keys_differ_by_key_purpose_and_field(void **state)
{
    static const uint8_t other_key[32] = { 1, 2, 4 };
    struct label labels[4];
    struct secret *keys[5] = { 0 };

    (void)state;
    for (size_t i = 0; i < 4; i++)
        label_init(&labels[i], i == 1 ? "other" : "test");
    label_u16(&labels[2], 1);
    label_u16(&labels[3], 2);
    for (size_t i = 0; i < 4; i++)
        CHECK_OK(crypto_derive(SPAN(key), &labels[i], 32, &keys[i], NULL));
    CHECK_OK(crypto_derive(SPAN(other_key), &labels[0], 32, &keys[4], NULL));
    for (size_t i = 0; i < 5; i++) {
        for (size_t k = 0; k < i; k++)
            assert_false(secret_equal(secret_view(keys[i]), secret_view(keys[k])));
    }
    for (size_t i = 0; i < 5; i++)
        secret_free(keys[i]);
}

static void nothing_is_derived_from_a_wiped_key(void **state)
{
    struct label l = label_of("test");
    AUTO(secret) *wiped = NULL;
    AUTO(secret) *derived = NULL;
    uint8_t mac[MAC_SIZE];
    struct err e = { 0 };

    (void)state;
    CHECK_OK(secret_random(KEY_SIZE, &wiped, NULL));
    secret_wipe_all();
    CHECK_STATUS(crypto_derive(secret_view(wiped), &l, 32, &derived, &e), BUG);
    assert_null(derived);
    CHECK_STATUS(crypto_derive(span_of(key, 31), &l, 32, &derived, NULL), BUG);
    CHECK_STATUS(crypto_mac(secret_view(wiped), &l, span_text("line"), mac, NULL), BUG);
}

static void impossible_lengths_are_refused(void **state)
{
    struct label l = label_of("test");
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_STATUS(crypto_derive(SPAN(key), &l, 0, &s, NULL), BUG);
    CHECK_STATUS(crypto_derive(SPAN(key), &l, 255 * 32 + 1, &s, NULL), BUG);
    CHECK_STATUS(crypto_derive(SPAN(key), &l, SIZE_MAX, &s, NULL), BUG);
    assert_null(s);
    CHECK_OK(crypto_derive(SPAN(key), &l, 255 * 32, &s, NULL));
    assert_int_equal(secret_view(s).n, 255 * 32);
}

static void a_full_slab_is_passed_on_as_a_limit(void **state)
{
    struct label l = label_of("test");
    AUTO(secret) *everything = NULL;
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_OK(secret_new((size_t)256 * 1024 - 16, &everything, NULL));
    CHECK_STATUS(crypto_derive(SPAN(key), &l, 32, &s, NULL), LIMIT);
    assert_null(s);
}

static void a_mac_binds_label_and_content(void **state)
{
    struct label one = label_of("one");
    struct label two = label_of("two");
    uint8_t macs[4][MAC_SIZE];

    (void)state;
    CHECK_OK(crypto_mac(SPAN(key), &one, span_text("line"), macs[0], NULL));
    CHECK_OK(crypto_mac(SPAN(key), &two, span_text("line"), macs[1], NULL));
    CHECK_OK(crypto_mac(SPAN(key), &one, span_text("lines"), macs[2], NULL));
    CHECK_OK(crypto_mac(SPAN(key), &one, span_of(NULL, 0), macs[3], NULL));
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(macs[i], macs[k], MAC_SIZE);
    }
}

static void a_mac_begun_once_ends_as_whole_ones_do(void **state)
{
    static const uint8_t text[200] = { 0x2a };
    struct label l = label_of("test");
    AUTO(secret) *begun = NULL;
    AUTO(secret) *bare = NULL;
    uint8_t whole[MAC_SIZE];
    uint8_t ended[MAC_SIZE];

    (void)state;
    CHECK_OK(crypto_mac_begin(SPAN(key), label_view(&l), &begun, NULL));
    CHECK_OK(crypto_mac_begin(SPAN(key), span_of(NULL, 0), &bare, NULL));
    for (size_t n = 0; n <= sizeof(text); n++) {
        CHECK_OK(crypto_mac(SPAN(key), &l, span_of(text, n), whole, NULL));
        CHECK_OK(crypto_mac_end(begun, span_of(text, n), ended, NULL));
        assert_memory_equal(whole, ended, MAC_SIZE);
        hmac_sha256(SPAN(key), span_of(text, n), whole);
        CHECK_OK(crypto_mac_end(bare, span_of(text, n), ended, NULL));
        assert_memory_equal(whole, ended, MAC_SIZE);
    }
}

static void no_mac_is_begun_with_a_wiped_key_nor_ended_once_wiped(void **state)
{
    AUTO(secret) *begun = NULL;
    AUTO(secret) *none = NULL;
    uint8_t mac[MAC_SIZE];

    (void)state;
    CHECK_STATUS(crypto_mac_begin(span_of(key, 31), span_of(NULL, 0), &none, NULL), BUG);
    assert_null(none);
    CHECK_OK(crypto_mac_begin(SPAN(key), span_of(NULL, 0), &begun, NULL));
    secret_wipe_all();
    CHECK_STATUS(crypto_mac_end(begun, span_text("line"), mac, NULL), BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_self_test_passes_here),
        cmocka_unit_test(hashing_two_parts_is_hashing_them_joined),
        cmocka_unit_test(empty_inputs_may_be_null),
        cmocka_unit_test(an_absent_salt_is_a_salt_of_zeros),
        cmocka_unit_test(random_bytes_fill_everything_and_differ),
        cmocka_unit_test(a_derived_key_has_the_length_asked_for_and_depends_on_it),
        cmocka_unit_test(derived_keys_differ_by_key_purpose_and_field),
        cmocka_unit_test(nothing_is_derived_from_a_wiped_key),
        cmocka_unit_test(impossible_lengths_are_refused),
        cmocka_unit_test(a_full_slab_is_passed_on_as_a_limit),
        cmocka_unit_test(a_mac_binds_label_and_content),
        cmocka_unit_test(a_mac_begun_once_ends_as_whole_ones_do),
        cmocka_unit_test(no_mac_is_begun_with_a_wiped_key_nor_ended_once_wiped),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
