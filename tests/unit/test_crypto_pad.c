/* Padding hides the length within 64 bytes and comes off exactly. */
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

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)256 * 1024, NULL) == OK ? 0 : -1;
}

static void every_length_is_padded_to_the_next_block_and_back(void **state)
{
    static uint8_t plain[LIMIT_PROVIDER_KEY];

    (void)state;
    memset(plain, 'k', sizeof(plain));
    for (size_t n = 0; n <= sizeof(plain); n += n < 200 ? 1 : 77) {
        AUTO(secret) *s = NULL;
        struct span view;

        CHECK_OK(crypto_pad(span_of(plain, n), &s, NULL));
        view = secret_view(s);
        assert_int_equal(view.n, (n / 64 + 1) * 64);
        assert_memory_equal(view.p, plain, n);
        assert_int_equal(view.p[n], 0x80);
        for (size_t i = n + 1; i < view.n; i++)
            assert_int_equal(view.p[i], 0);
        CHECK_OK(crypto_unpad(s, NULL));
        assert_true(span_same(secret_view(s), span_of(plain, n)));
    }
}

static void the_longest_provider_key_fits_its_sealed_bound(void **state)
{
    static const uint8_t plain[LIMIT_PROVIDER_KEY];
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_OK(crypto_pad(SPAN(plain), &s, NULL));
    assert_true(secret_view(s).n + SEAL_OVERHEAD <= LIMIT_SEALED_KEY);
}

static void keys_that_end_like_padding_survive(void **state)
{
    static const uint8_t tricky[][4] = {
        { 'k', 0x80, 0, 0 }, { 0x80, 0x80, 0x80, 0x80 }, { 0, 0, 0, 0 }, { 'k', 0, 0, 0x80 }
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tricky) / sizeof(tricky[0]); i++) {
        AUTO(secret) *s = NULL;

        CHECK_OK(crypto_pad(SPAN(tricky[i]), &s, NULL));
        CHECK_OK(crypto_unpad(s, NULL));
        assert_true(span_same(secret_view(s), SPAN(tricky[i])));
    }
}

static void check_damaged(struct span bytes)
{
    AUTO(secret) *s = NULL;
    struct err e = { 0 };

    CHECK_OK(secret_copy(bytes, &s, NULL));
    CHECK_STATUS(crypto_unpad(s, &e), CORRUPT);
    assert_string_equal(e.why, "padding is damaged");
    assert_int_equal(secret_view(s).n, bytes.n);
}

static void what_was_not_padded_is_corrupt(void **state)
{
    uint8_t bytes[128] = { 0 };

    (void)state;
    check_damaged(span_of(bytes, 0));
    check_damaged(span_of(bytes, 64)); /* zeros only */
    bytes[63] = 'k';
    check_damaged(span_of(bytes, 64)); /* no mark */
    bytes[63] = 0x81;
    check_damaged(span_of(bytes, 64));
    bytes[63] = 0x80;
    check_damaged(span_of(bytes, 128)); /* the mark is not in the last block */
    check_damaged(span_of(bytes, 127));
    check_damaged(span_of(bytes + 63, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_is_padded_to_the_next_block_and_back),
        cmocka_unit_test(the_longest_provider_key_fits_its_sealed_bound),
        cmocka_unit_test(keys_that_end_like_padding_survive),
        cmocka_unit_test(what_was_not_padded_is_corrupt),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
