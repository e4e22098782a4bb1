/* The slab: what it protects, what it wipes, and how it answers when it is full. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "secret_child.h"

#define SLAB_SIZE      ((size_t)256 * 1024)
#define UNPRIVILEGED   65534
#define CHECK_OK(call) assert_string_equal(status_name(call), status_name(OK))

static int start_slab(void **state)
{
    (void)state;
    return secret_start(SLAB_SIZE, NULL) == OK ? 0 : -1;
}

/* Each test gives back what it took; what is missing was leaked by the module. */
static int nothing_is_left(void **state)
{
    (void)state;
    return secret_in_use() == 0 ? 0 : -1;
}

static struct secret *take(size_t cap)
{
    struct secret *s = NULL;

    CHECK_OK(secret_new(cap, &s, NULL));
    return s;
}

static void a_new_secret_is_zero_and_as_long_as_its_capacity(void **state)
{
    static const size_t sizes[] = { 0, 1, 32, 47, 48, 49, 64, 4096, 8256, 100000 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct secret *s = take(sizes[i]);

        assert_int_equal(secret_view(s).n, sizes[i]);
        assert_int_equal(secret_fill(s).n, sizes[i]);
        assert_ptr_equal(secret_view(s).p, secret_fill(s).p);
        assert_non_null(secret_view(s).p);
        assert_true(is_zero(secret_view(s).p, sizes[i]));
        secret_free(s);
    }
}

static void a_copy_holds_the_bytes_it_was_made_from(void **state)
{
    AUTO(secret) *s = NULL;
    AUTO(secret) *empty = NULL;

    (void)state;
    CHECK_OK(secret_copy(span_text("correct horse"), &s, NULL));
    assert_true(span_same(secret_view(s), span_text("correct horse")));
    CHECK_OK(secret_copy(span_of(NULL, 0), &empty, NULL));
    assert_int_equal(secret_view(empty).n, 0);
}

static void random_secrets_differ(void **state)
{
    AUTO(secret) *a = NULL;
    AUTO(secret) *b = NULL;

    (void)state;
    CHECK_OK(secret_random(32, &a, NULL));
    CHECK_OK(secret_random(32, &b, NULL));
    assert_false(secret_equal(secret_view(a), secret_view(b)));
    assert_false(is_zero(secret_view(a).p, 32));
}

static void trimming_moves_the_length_and_nothing_else(void **state)
{
    AUTO(secret) *s = NULL;
    struct err e = { 0 };

    (void)state;
    CHECK_OK(secret_copy(span_text("0123456789"), &s, NULL));
    CHECK_OK(secret_trim(s, 4, NULL));
    assert_true(span_same(secret_view(s), span_text("0123")));
    assert_int_equal(secret_fill(s).n, 10);
    CHECK_OK(secret_trim(s, 10, NULL));
    assert_true(span_same(secret_view(s), span_text("0123456789")));
    assert_int_equal(secret_trim(s, 11, &e), LIMIT);
    assert_int_equal(e.code, LIMIT);
    assert_int_equal(secret_view(s).n, 10);
}

static void a_secret_wipes_its_whole_capacity_when_freed(void **state)
{
    struct secret *s = take(200);
    const uint8_t *bytes = secret_view(s).p;

    (void)state;
    memset(secret_fill(s).p, 0x5a, 200);
    CHECK_OK(secret_trim(s, 1, NULL)); /* wiping by length would leave 199 bytes */
    secret_free(s);
    assert_true(is_zero(bytes, 200));
}

static void leaving_the_scope_frees(void **state)
{
    size_t before = secret_in_use();

    (void)state;
    {
        AUTO(secret) *s = NULL;

        CHECK_OK(secret_new(32, &s, NULL));
        assert_true(secret_in_use() > before);
    }
    assert_int_equal(secret_in_use(), before);
    secret_free(NULL);
}

static void comparing_needs_equal_length_and_content(void **state)
{
    (void)state;
    assert_true(secret_equal(span_text("same"), span_text("same")));
    assert_false(secret_equal(span_text("same"), span_text("sama")));
    assert_false(secret_equal(span_text("same"), span_text("sam")));
    assert_true(secret_equal(span_of(NULL, 0), span_text("")));
}

static void wiping_plain_memory_leaves_zeros(void **state)
{
    uint8_t bytes[40];

    (void)state;
    memset(bytes, 0x5a, sizeof(bytes));
    secret_wipe((struct mspan){ bytes, sizeof(bytes) });
    assert_true(is_zero(bytes, sizeof(bytes)));
    secret_wipe((struct mspan){ NULL, 0 });
}

static void a_full_slab_is_a_limit_and_not_an_end(void **state)
{
    struct secret *held[SLAB_SIZE / 64];
    struct secret *none = NULL;
    size_t n = 0;

    (void)state;
    while (n < SLAB_SIZE / 64 && secret_new(32, &held[n], NULL) == OK)
        n++;
    assert_int_equal(n, SLAB_SIZE / 64);
    for (int i = 0; i < 2; i++) {
        struct err e = { 0 };

        assert_int_equal(secret_new(1, &none, &e), LIMIT);
        assert_int_equal(e.code, LIMIT);
        assert_null(none);
    }
    secret_free(held[--n]);
    CHECK_OK(secret_new(48, &held[n], NULL));
    assert_int_equal(secret_new(0, &none, NULL), LIMIT);
    for (size_t i = 0; i <= n; i++)
        secret_free(held[i]);
}

static void a_secret_larger_than_the_slab_is_a_limit(void **state)
{
    struct secret *s = NULL;

    (void)state;
    assert_int_equal(secret_new(SLAB_SIZE, &s, NULL), LIMIT); /* no room for the header */
    assert_int_equal(secret_new(SIZE_MAX, &s, NULL), LIMIT);
    assert_int_equal(secret_new(SIZE_MAX - 15, &s, NULL), LIMIT);
    assert_null(s);
}

static void small_secrets_do_not_leave_the_slab_unfit_for_a_large_one(void **state)
{
    struct secret *held[SLAB_SIZE / 64];
    struct secret *large = NULL;

    (void)state;
    for (size_t i = 0; i < SLAB_SIZE / 64; i++)
        held[i] = take(32);
    /* In two passes, so that neighbours come back long after each other. */
    for (size_t i = 0; i < SLAB_SIZE / 64; i += 2)
        secret_free(held[i]);
    assert_int_equal(secret_new(64, &large, NULL), LIMIT);
    for (size_t i = 1; i < SLAB_SIZE / 64; i += 2)
        secret_free(held[i]);
    CHECK_OK(secret_new(SLAB_SIZE - 64, &large, NULL));
    secret_free(large);
}

/* Fills a secret with bytes that depend on seed, or checks that they are still there. */
static void stamp(struct secret *s, uint32_t seed)
{
    struct mspan m = secret_fill(s);

    for (size_t i = 0; i < m.n; i++)
        m.p[i] = (uint8_t)(seed * 31 + i * 7 + 1);
}

static bool stamped(struct secret *s, uint32_t seed)
{
    struct mspan m = secret_fill(s);

    for (size_t i = 0; i < m.n; i++) {
        if (m.p[i] != (uint8_t)(seed * 31 + i * 7 + 1))
            return false;
    }
    return true;
}

/* Takes and frees at random; true if no secret ever touched another one. */
static bool churn(uint32_t seed, size_t rounds)
{
    struct secret *held[24] = { 0 };
    uint32_t random = seed;
    bool whole = true;

    for (size_t round = 0; round < rounds; round++) {
        size_t at = 0;

        random = random * 1664525 + 1013904223;
        at = (random >> 8) % 24;
        if (held[at] != NULL) {
            whole = whole && stamped(held[at], (uint32_t)at + seed);
            secret_free(held[at]);
            held[at] = NULL;
        } else if (secret_new((random >> 13) % 3000, &held[at], NULL) == OK) {
            whole = whole && is_zero(secret_view(held[at]).p, secret_view(held[at]).n);
            stamp(held[at], (uint32_t)at + seed);
        }
    }
    for (size_t i = 0; i < 24; i++) {
        whole = whole && (held[i] == NULL || stamped(held[i], (uint32_t)i + seed));
        secret_free(held[i]);
    }
    return whole;
}

static void secrets_never_overlap_and_always_come_back(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++)
        assert_true(churn(seed, 2000));
}

static void *churn_thread(void *seed)
{
    return churn(*(const uint32_t *)seed, 20000) ? seed : NULL;
}

static void threads_may_take_and_free_at_once(void **state)
{
    uint32_t seeds[] = { 101, 102, 103, 104 };
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn_thread, &seeds[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
}

static void wiping_all_empties_every_secret_and_its_holder_may_still_free_it(void **state)
{
    struct secret *small = take(32);
    struct secret *large = take(9000);
    struct secret *freed = take(32);
    const uint8_t *freed_bytes = secret_view(freed).p;

    (void)state;
    stamp(small, 1);
    stamp(large, 2);
    secret_free(freed);
    secret_wipe_all();
    assert_int_equal(secret_view(small).n, 0);
    assert_int_equal(secret_view(large).n, 0);
    assert_int_equal(secret_fill(small).n, 32);
    assert_int_equal(secret_fill(large).n, 9000);
    assert_true(is_zero(secret_fill(small).p, 32));
    assert_true(is_zero(secret_fill(large).p, 9000));
    assert_true(is_zero(freed_bytes, 32));
    secret_free(large);
    CHECK_OK(secret_trim(small, 32, NULL)); /* and it may be filled anew */
    stamp(small, 3);
    assert_true(stamped(small, 3));
    secret_free(small);
}

static int use_without_slab(struct secret *parents)
{
    struct secret *s = NULL;

    if (secret_in_use() != 0 || secret_new(32, &s, NULL) != BUG)
        return 1;
    secret_wipe_all();
    secret_free(parents);
    secret_free(parents); /* means nothing here, twice */
    return 0;
}

static int start_own_slab(struct secret *parents)
{
    struct secret *s = NULL;

    (void)parents;
    if (secret_start(4096, NULL) != OK || secret_copy(span_text("child"), &s, NULL) != OK)
        return 1;
    if (!span_same(secret_view(s), span_text("child")) || secret_new(4000, &s, NULL) != LIMIT)
        return 2;
    return 0;
}

UNCHECKED static int read_parents_secret(struct secret *parents)
{
    return *(const volatile uint8_t *)parents == 77 ? 1 : 0;
}

static void a_forked_child_has_no_slab_until_it_starts_its_own(void **state)
{
    AUTO(secret) *s = NULL;

    (void)state;
    CHECK_OK(secret_copy(span_text("parent"), &s, NULL));
    assert_int_equal(in_a_child(use_without_slab, s), 0);
    assert_int_equal(in_a_child(start_own_slab, s), 0);
    /* Reading crashes, however the sanitizers choose to report it. */
    assert_int_not_equal(in_a_child(read_parents_secret, s), 0);
    assert_true(span_same(secret_view(s), span_text("parent")));
}

UNCHECKED static void write_raw(volatile uint8_t *p)
{
    *p = 1;
}

static int write_behind_the_slab(struct secret *unused)
{
    struct secret *s = NULL;

    (void)unused;
    if (secret_start(4096, NULL) != OK || secret_new(4080, &s, NULL) != OK)
        return 0;
    write_raw(secret_fill(s).p + 4080);
    return 0;
}

static int write_before_the_slab(struct secret *unused)
{
    struct secret *s = NULL;

    (void)unused;
    if (secret_start(4096, NULL) != OK || secret_new(4080, &s, NULL) != OK)
        return 0;
    write_raw((uint8_t *)s - 1);
    return 0;
}

static void running_off_either_end_of_the_slab_crashes(void **state)
{
    (void)state;
    assert_int_not_equal(in_a_child(write_behind_the_slab, NULL), 0);
    assert_int_not_equal(in_a_child(write_before_the_slab, NULL), 0);
}

static int free_twice(struct secret *unused)
{
    struct secret *s = NULL;

    (void)unused;
    if (secret_start(4096, NULL) != OK || secret_new(32, &s, NULL) != OK)
        return 0;
    secret_free(s);
    secret_free(s);
    return 0;
}

static int free_a_stranger(struct secret *unused)
{
    uint64_t stranger[4] = { 32, 32, 0, 0 };

    (void)unused;
    if (secret_start(4096, NULL) == OK)
        secret_free((struct secret *)(void *)stranger);
    return 0;
}

static void freeing_what_is_not_a_live_secret_aborts(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(free_twice, NULL), -1);
    assert_int_equal(in_a_child(free_a_stranger, NULL), -1);
}

static void the_slab_starts_once(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(secret_start(SLAB_SIZE, &e), CONFLICT);
    assert_int_equal(e.code, CONFLICT);
}

static int start_out_of_range(struct secret *unused)
{
    (void)unused;
    return secret_start(0, NULL) == LIMIT && secret_start(SIZE_MAX, NULL) == LIMIT ? 0 : 1;
}

static int start_without_lockable_memory(struct secret *unused)
{
    const struct rlimit none = { 0, 0 };
    struct secret *s = NULL;
    struct err e = { 0 };

    (void)unused;
    /* The limit does not hold for root. */
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(UNPRIVILEGED) != 0))
        return 1;
    if (secret_start(SLAB_SIZE, &e) != LIMIT || e.detail != (int64_t)SLAB_SIZE)
        return 2; /* it says how much would do */
    return secret_new(1, &s, NULL) == BUG ? 0 : 3;
}

static void a_slab_that_cannot_be_locked_or_sized_is_refused(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(start_out_of_range, NULL), 0);
    assert_int_equal(in_a_child(start_without_lockable_memory, NULL), 0);
}

/* A slab whose size is no power of two is used to its last byte, too. */
static int use_odd_slab(struct secret *unused)
{
    struct secret *held[7 * 4096 / 64];
    struct secret *s = NULL;
    size_t n = 0;

    (void)unused;
    if (secret_start(6 * 4096 + 1, NULL) != OK) /* rounded up to whole pages */
        return 1;
    for (int round = 0; round < 2; round++) {
        for (n = 0; n < 7 * 4096 / 64 && secret_new(48, &held[n], NULL) == OK; n++)
            stamp(held[n], (uint32_t)n);
        if (n != 7 * 4096 / 64 || secret_new(0, &s, NULL) != LIMIT)
            return 2;
        while (n-- > 0) {
            if (!stamped(held[n], (uint32_t)n))
                return 3;
            secret_free(held[n]);
        }
        if (secret_in_use() != 0 || secret_new(4 * 4096 - 16, &s, NULL) != OK)
            return 4;
        secret_free(s);
    }
    return 0;
}

static void a_slab_of_any_size_is_used_to_its_last_byte(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(use_odd_slab, NULL), 0);
}

#define SECRET_TEST(name) cmocka_unit_test_teardown(name, nothing_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SECRET_TEST(a_new_secret_is_zero_and_as_long_as_its_capacity),
        SECRET_TEST(a_copy_holds_the_bytes_it_was_made_from),
        SECRET_TEST(random_secrets_differ),
        SECRET_TEST(trimming_moves_the_length_and_nothing_else),
        SECRET_TEST(a_secret_wipes_its_whole_capacity_when_freed),
        SECRET_TEST(leaving_the_scope_frees),
        SECRET_TEST(comparing_needs_equal_length_and_content),
        SECRET_TEST(wiping_plain_memory_leaves_zeros),
        SECRET_TEST(a_full_slab_is_a_limit_and_not_an_end),
        SECRET_TEST(a_secret_larger_than_the_slab_is_a_limit),
        SECRET_TEST(small_secrets_do_not_leave_the_slab_unfit_for_a_large_one),
        SECRET_TEST(secrets_never_overlap_and_always_come_back),
        SECRET_TEST(threads_may_take_and_free_at_once),
        SECRET_TEST(wiping_all_empties_every_secret_and_its_holder_may_still_free_it),
        SECRET_TEST(a_forked_child_has_no_slab_until_it_starts_its_own),
        SECRET_TEST(running_off_either_end_of_the_slab_crashes),
        SECRET_TEST(freeing_what_is_not_a_live_secret_aborts),
        SECRET_TEST(the_slab_starts_once),
        SECRET_TEST(a_slab_that_cannot_be_locked_or_sized_is_refused),
        SECRET_TEST(a_slab_of_any_size_is_used_to_its_last_byte),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
