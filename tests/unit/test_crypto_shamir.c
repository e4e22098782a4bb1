/* Any k shares give the secret back, k - 1 say nothing; checked over whole sets, not samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/internal.h"
#include "crypto/shamir.h"

#define CHECK_OK(call)           assert_string_equal(status_name(call), status_name(OK))
#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))

#define WIDTH 32
#define SHARE (1 + WIDTH)

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)256 * 1024, NULL) == OK ? 0 : -1;
}

/* The field by its definition: multiply polynomials over GF(2), then take the remainder. */
static uint8_t product_by_definition(unsigned a, unsigned b)
{
    unsigned long product = 0;

    for (unsigned i = 0; i < 8; i++) {
        if ((b & 1u << i) != 0)
            product ^= (unsigned long)a << i;
    }
    for (unsigned degree = 14; degree >= 8; degree--) {
        if ((product & 1ul << degree) != 0)
            product ^= 0x11bul << (degree - 8);
    }
    return (uint8_t)product;
}

static void all_65536_products_are_those_of_the_definition(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++)
            assert_int_equal(gf256_multiply((uint8_t)a, (uint8_t)b), product_by_definition(a, b));
    }
}

static void multiplication_is_associative_and_distributes_over_addition(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256 * 256; i++) {
        uint8_t a = (uint8_t)i;
        uint8_t b = (uint8_t)(i >> 8);
        uint8_t c = (uint8_t)(i * 151 + i / 256 * 29 + 7);
        uint8_t ab = gf256_multiply(a, b);
        uint8_t sum = (uint8_t)(b ^ c);

        assert_int_equal(gf256_multiply(ab, c), gf256_multiply(a, gf256_multiply(b, c)));
        assert_int_equal(gf256_multiply(a, sum), ab ^ gf256_multiply(a, c));
    }
}

static void every_byte_but_0_has_an_inverse_and_0_gives_0(void **state)
{
    (void)state;
    assert_int_equal(gf256_inverse(0), 0);
    for (unsigned a = 1; a < 256; a++)
        assert_int_equal(product_by_definition(a, gf256_inverse((uint8_t)a)), 1);
}

static void given_coefficients_give_the_published_shares(void **state)
{
    /* Secret 2a and coefficient 53; beside it a second byte with both exchanged. */
    static const uint8_t polynomial[] = { 0x2a, 0x53, 0x53, 0x2a };
    static const uint8_t xs[] = { 1, 2, 3 };
    static const uint8_t expected[] = { 1, 0x79, 0x79, 2, 0x8c, 0x07, 3, 0xdf, 0x2d };
    uint8_t shares[sizeof(expected)];

    (void)state;
    shamir_evaluate(SPAN(polynomial), 2, SPAN(xs), shares);
    assert_memory_equal(shares, expected, sizeof(expected));
}

/* The shares whose bits are set in which, one after another. */
static size_t pick(struct span shares, unsigned which, uint8_t *ret_picked)
{
    size_t n = 0;

    for (size_t s = 0; s < shares.n / SHARE; s++) {
        if ((which & 1u << s) == 0)
            continue;
        memcpy(ret_picked + n, shares.p + s * SHARE, SHARE);
        n += SHARE;
    }
    return n;
}

static void check_every_subset(struct span secret, unsigned k, struct span xs)
{
    AUTO(secret) *shares = NULL;

    CHECK_OK(shamir_split(secret, k, xs, &shares, NULL));
    assert_int_equal(secret_view(shares).n, xs.n * SHARE);
    for (unsigned which = 1; which < 1u << xs.n; which++) {
        uint8_t picked[5 * SHARE];
        size_t n = pick(secret_view(shares), which, picked);
        AUTO(secret) *got = NULL;

        CHECK_OK(shamir_combine(span_of(picked, n), SHARE, &got, NULL));
        assert_int_equal(span_same(secret_view(got), secret), n / SHARE >= k);
    }
}

static void every_subset_of_k_or_more_opens_and_no_smaller_one(void **state)
{
    static const uint8_t xs[5] = { 7, 1, 255, 128, 2 };
    uint8_t secret[WIDTH];

    (void)state;
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)(0xa5 ^ (i * 37));
    for (size_t n = 1; n <= sizeof(xs); n++) {
        for (unsigned k = 1; k <= n; k++)
            check_every_subset(SPAN(secret), k, span_of(xs, n));
    }
}

static void shares_open_in_any_order(void **state)
{
    static const uint8_t secret[WIDTH] = "in any order";
    static const uint8_t xs[] = { 1, 2, 3 };
    uint8_t turned[3 * SHARE];
    AUTO(secret) *shares = NULL;
    AUTO(secret) *got = NULL;

    (void)state;
    CHECK_OK(shamir_split(SPAN(secret), 3, SPAN(xs), &shares, NULL));
    for (size_t s = 0; s < 3; s++)
        memcpy(turned + s * SHARE, secret_view(shares).p + (2 - s) * SHARE, SHARE);
    CHECK_OK(shamir_combine(SPAN(turned), SHARE, &got, NULL));
    assert_true(span_same(secret_view(got), SPAN(secret)));
}

static void with_k_1_every_share_is_the_secret(void **state)
{
    static const uint8_t secret[WIDTH] = "one share is enough";
    static const uint8_t xs[] = { 9, 200 };
    AUTO(secret) *shares = NULL;

    (void)state;
    CHECK_OK(shamir_split(SPAN(secret), 1, SPAN(xs), &shares, NULL));
    for (size_t s = 0; s < 2; s++) {
        assert_int_equal(secret_view(shares).p[s * SHARE], xs[s]);
        assert_memory_equal(secret_view(shares).p + s * SHARE + 1, secret, WIDTH);
    }
}

static void the_largest_sets_and_the_smallest_and_largest_secrets_open(void **state)
{
    static const size_t widths[] = { 1, SHAMIR_SECRET_MAX };
    uint8_t secret[SHAMIR_SECRET_MAX];
    uint8_t xs[SHAMIR_MAX];

    (void)state;
    memset(secret, 0xc3, sizeof(secret));
    for (size_t i = 0; i < sizeof(xs); i++)
        xs[i] = (uint8_t)(i + 1);
    for (size_t w = 0; w < 2; w++) {
        AUTO(secret) *shares = NULL;
        AUTO(secret) *got = NULL;

        CHECK_OK(shamir_split(span_of(secret, widths[w]), SHAMIR_MAX, SPAN(xs), &shares, NULL));
        CHECK_OK(shamir_combine(secret_view(shares), 1 + widths[w], &got, NULL));
        assert_true(span_same(secret_view(got), span_of(secret, widths[w])));
    }
}

/* For k = 2 a share is a line's value: every secret must make every value equally often. */
static void one_share_of_two_is_independent_of_the_secret(void **state)
{
    static const uint8_t numbers[] = { 1, 2, 3, 0x80, 0xff };

    (void)state;
    for (unsigned at = 0; at < sizeof(numbers); at++) {
        for (unsigned secret = 0; secret < 256; secret++) {
            bool seen[256] = { false };

            for (unsigned coefficient = 0; coefficient < 256; coefficient++) {
                const uint8_t line[] = { (uint8_t)secret, (uint8_t)coefficient };
                uint8_t share[2];

                shamir_evaluate(SPAN(line), 1, span_of(numbers + at, 1), share);
                assert_false(seen[share[1]]);
                seen[share[1]] = true;
            }
        }
    }
}

/* The same for k = 3: the 65,536 coefficients give each pair of share bytes once. */
static void two_shares_of_three_are_independent_of_the_secret(void **state)
{
    static const uint8_t secrets[] = { 0, 1, 0x2a, 0xff };
    static const uint8_t xs[] = { 5, 0xfa };
    static bool seen[65536];

    (void)state;
    for (size_t s = 0; s < sizeof(secrets); s++) {
        memset(seen, 0, sizeof(seen));
        for (unsigned c = 0; c < 65536; c++) {
            const uint8_t curve[] = { secrets[s], (uint8_t)c, (uint8_t)(c >> 8) };
            uint8_t shares[4];
            size_t pair = 0;

            shamir_evaluate(SPAN(curve), 1, SPAN(xs), shares);
            pair = (size_t)shares[1] << 8 | shares[3];
            assert_false(seen[pair]);
            seen[pair] = true;
        }
    }
}

/* A generator that leaves out 0, or fixes coefficients, would show here: 64 bytes of share 1
 * minus secret are the coefficients themselves. 200 rounds miss a value of 256 with a chance
 * below 10^-19. */
static void coefficients_take_every_value_and_are_fresh(void **state)
{
    static const uint8_t secret[SHAMIR_SECRET_MAX];
    static const uint8_t xs[] = { 1, 2 };
    bool seen[256] = { false };
    uint8_t last[SHAMIR_SECRET_MAX] = { 0 };

    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        AUTO(secret) *shares = NULL;

        CHECK_OK(shamir_split(SPAN(secret), 2, SPAN(xs), &shares, NULL));
        assert_memory_not_equal(secret_view(shares).p + 1, last, sizeof(last));
        memcpy(last, secret_view(shares).p + 1, sizeof(last));
        for (size_t i = 0; i < sizeof(last); i++)
            seen[last[i]] = true;
    }
    for (unsigned value = 0; value < 256; value++)
        assert_true(seen[value]);
}

static void what_cannot_be_split_is_refused(void **state)
{
    static const uint8_t bytes[SHAMIR_SECRET_MAX + 1];
    static const uint8_t xs[] = { 1, 2, 3 };
    static const uint8_t with_zero[] = { 1, 0, 3 };
    static const uint8_t twice[] = { 1, 2, 1 };
    static uint8_t many[SHAMIR_MAX + 1];
    const struct {
        size_t secret_size;
        unsigned k;
        struct span xs;
    } refused[] = {
        { 0, 2, SPAN(xs) },        { SHAMIR_SECRET_MAX + 1, 2, SPAN(xs) },
        { 32, 0, SPAN(xs) },       { 32, 4, SPAN(xs) },
        { 32, 1, span_of(xs, 0) }, { 32, 2, SPAN(with_zero) },
        { 32, 2, SPAN(twice) },    { 32, 2, SPAN(many) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(many); i++)
        many[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct secret *shares = NULL;
        struct span secret = span_of(bytes, refused[i].secret_size);

        CHECK_STATUS(shamir_split(secret, refused[i].k, refused[i].xs, &shares, NULL), BAD_INPUT);
        assert_null(shares);
    }
}

static void what_cannot_be_combined_is_refused(void **state)
{
    static const uint8_t shares[] = { 1, 0xaa, 0xbb, 2, 0xcc, 0xdd };
    static const uint8_t with_zero[] = { 1, 0xaa, 0xbb, 0, 0xcc, 0xdd };
    static const uint8_t twice[] = { 1, 0xaa, 0xbb, 1, 0xaa, 0xbb };
    static const uint8_t wide[2 * (2 + SHAMIR_SECRET_MAX)] = { 1 };
    static uint8_t many[256 * 2];
    const struct {
        struct span shares;
        size_t size;
    } refused[] = {
        { SPAN(with_zero), 3 },    { SPAN(twice), 3 },
        { SPAN(shares), 0 },       { SPAN(shares), 1 },
        { SPAN(shares), 4 },       { span_of(shares, 5), 3 },
        { span_of(shares, 0), 3 }, { span_of(wide, 2 + SHAMIR_SECRET_MAX), 2 + SHAMIR_SECRET_MAX },
        { SPAN(many), 2 }, /* 256 cannot all have numbers of their own */
    };

    (void)state;
    for (size_t i = 0; i < 256; i++)
        many[2 * i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct secret *got = NULL;

        CHECK_STATUS(shamir_combine(refused[i].shares, refused[i].size, &got, NULL), BAD_INPUT);
        assert_null(got);
    }
}

static void nothing_stays_in_the_slab_but_the_result(void **state)
{
    static const uint8_t secret[WIDTH] = "leaves nothing behind";
    static const uint8_t xs[] = { 1, 2, 3 };
    size_t before = secret_in_use();
    struct secret *shares = NULL;
    struct secret *got = NULL;

    (void)state;
    CHECK_OK(shamir_split(SPAN(secret), 2, SPAN(xs), &shares, NULL));
    CHECK_OK(shamir_combine(secret_view(shares), SHARE, &got, NULL));
    secret_free(shares);
    secret_free(got);
    assert_int_equal(secret_in_use(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_65536_products_are_those_of_the_definition),
        cmocka_unit_test(multiplication_is_associative_and_distributes_over_addition),
        cmocka_unit_test(every_byte_but_0_has_an_inverse_and_0_gives_0),
        cmocka_unit_test(given_coefficients_give_the_published_shares),
        cmocka_unit_test(every_subset_of_k_or_more_opens_and_no_smaller_one),
        cmocka_unit_test(shares_open_in_any_order),
        cmocka_unit_test(with_k_1_every_share_is_the_secret),
        cmocka_unit_test(the_largest_sets_and_the_smallest_and_largest_secrets_open),
        cmocka_unit_test(one_share_of_two_is_independent_of_the_secret),
        cmocka_unit_test(two_shares_of_three_are_independent_of_the_secret),
        cmocka_unit_test(coefficients_take_every_value_and_are_fresh),
        cmocka_unit_test(what_cannot_be_split_is_refused),
        cmocka_unit_test(what_cannot_be_combined_is_refused),
        cmocka_unit_test(nothing_stays_in_the_slab_but_the_result),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
