/* Sealed boxes open for their recipient only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "crypto/crypto.h"

#define CHECK_OK(call)           assert_string_equal(status_name(call), status_name(OK))
#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))

static const uint8_t private_key[32] = { 0x42, 0x4f, 0x58 };
static const uint8_t plain[] = "sk-test-0123456789abcdef";
static uint8_t public_key[32];

static int start_slab(void **state)
{
    (void)state;
    if (secret_start((size_t)64 * 1024, NULL) != OK)
        return -1;
    box_public(SPAN(private_key), public_key);
    return 0;
}

static int nothing_is_left(void **state)
{
    (void)state;
    return secret_in_use() == 0 ? 0 : -1;
}

static void check_corrupt(struct span key, struct span sealed)
{
    struct secret *s = NULL;
    struct err e = { 0 };

    CHECK_STATUS(box_open(key, sealed, &s, &e), CORRUPT);
    assert_null(s);
    assert_string_equal(e.why, "sealed box does not open");
}

static void what_is_sealed_opens_for_its_recipient(void **state)
{
    static const size_t sizes[] = { 0, 1, sizeof(plain), LIMIT_PROVIDER_KEY };
    static uint8_t content[LIMIT_PROVIDER_KEY];
    static uint8_t sealed[LIMIT_PROVIDER_KEY + BOX_OVERHEAD];

    (void)state;
    random_bytes((struct mspan){ content, sizeof(content) });
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        AUTO(secret) *back = NULL;
        struct span in = span_of(content, sizes[i]);

        CHECK_OK(box_seal(SPAN(public_key), in, sealed, NULL));
        CHECK_OK(box_open(SPAN(private_key), span_of(sealed, in.n + BOX_OVERHEAD), &back, NULL));
        assert_true(span_same(secret_view(back), in));
    }
    assert_int_equal(sizeof(sealed), LIMIT_DELIVERY);
}

static void sealing_twice_gives_different_bytes(void **state)
{
    uint8_t a[sizeof(plain) + BOX_OVERHEAD];
    uint8_t b[sizeof(plain) + BOX_OVERHEAD];

    (void)state;
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), a, NULL));
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), b, NULL));
    assert_memory_not_equal(a, b, 32);
    assert_memory_not_equal(a + BOX_OVERHEAD, b + BOX_OVERHEAD, sizeof(plain));
}

static void any_changed_byte_keeps_it_from_opening(void **state)
{
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD];

    (void)state;
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), sealed, NULL));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        check_corrupt(SPAN(private_key), SPAN(sealed));
        sealed[i] ^= 1;
    }
}

static void any_other_length_keeps_it_from_opening(void **state)
{
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD + 1] = { 0 };

    (void)state;
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), sealed, NULL));
    for (size_t n = 0; n <= sizeof(sealed); n++) {
        if (n != sizeof(sealed) - 1)
            check_corrupt(SPAN(private_key), span_of(sealed, n));
    }
}

static void nobody_else_opens_it(void **state)
{
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD];
    uint8_t other[32];

    (void)state;
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), sealed, NULL));
    memcpy(other, private_key, sizeof(other));
    other[1] ^= 1;
    check_corrupt(SPAN(other), SPAN(sealed));
}

static void degenerate_public_keys_are_bad_input(void **state)
{
    /* The points of small order: whatever the private key, the shared secret is zero. */
    static const uint8_t zero[32];
    static const uint8_t one[32] = { 1 };
    static const uint8_t minus_one[32] = { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f };
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD];

    (void)state;
    CHECK_STATUS(box_seal(SPAN(zero), SPAN(plain), sealed, NULL), BAD_INPUT);
    CHECK_STATUS(box_seal(SPAN(one), SPAN(plain), sealed, NULL), BAD_INPUT);
    CHECK_STATUS(box_seal(SPAN(minus_one), SPAN(plain), sealed, NULL), BAD_INPUT);
}

static void keys_of_another_size_are_refused(void **state)
{
    uint8_t sealed[sizeof(plain) + BOX_OVERHEAD];
    struct secret *s = NULL;

    (void)state;
    CHECK_STATUS(box_seal(span_of(public_key, 31), SPAN(plain), sealed, NULL), BAD_INPUT);
    CHECK_STATUS(box_seal(span_of(NULL, 0), SPAN(plain), sealed, NULL), BAD_INPUT);
    CHECK_OK(box_seal(SPAN(public_key), SPAN(plain), sealed, NULL));
    CHECK_STATUS(box_open(span_of(private_key, 31), SPAN(sealed), &s, NULL), BUG);
    CHECK_STATUS(box_open(span_of(NULL, 0), SPAN(sealed), &s, NULL), BUG);
    assert_null(s);
}

#define BOX_TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOX_TEST(what_is_sealed_opens_for_its_recipient),
        BOX_TEST(sealing_twice_gives_different_bytes),
        BOX_TEST(any_changed_byte_keeps_it_from_opening),
        BOX_TEST(any_other_length_keeps_it_from_opening),
        BOX_TEST(nobody_else_opens_it),
        BOX_TEST(degenerate_public_keys_are_bad_input),
        BOX_TEST(keys_of_another_size_are_refused),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
