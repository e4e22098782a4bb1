/* How many leases there were in the last minute and hour. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "policy/rate.h"

#define START (UINT64_C(1763714010) * SECOND_US)

static const struct id owner = { { 1 } }, gateway = { { 2 } };

static int make(void **state)
{
    struct policy_rates *r;

    if (policy_rates_new(&r, NULL) != OK)
        return -1;
    *state = r;
    return 0;
}

static int drop(void **state)
{
    policy_rates_free(*state);
    return 0;
}

static void count(struct policy_rates *r, uint64_t after_s)
{
    struct policy_rate_key key = policy_rate_key(&owner, span_text("rule"), &gateway);

    assert_int_equal(policy_rates_count(r, &key, START + after_s * SECOND_US, NULL), OK);
}

static uint64_t used(struct policy_rates *r, enum policy_limit window, uint64_t most,
                     uint64_t after_s, uint64_t *ret_wait_s)
{
    struct policy_rate_key key = policy_rate_key(&owner, span_text("rule"), &gateway);

    return policy_rates_used(r, &key, window, most, START + after_s * SECOND_US, ret_wait_s);
}

static void what_is_a_minute_old_counts_no_more_and_in_the_hour_it_does(void **state)
{
    uint64_t wait;

    count(*state, 0);
    count(*state, 30);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 9, 30, &wait), 2);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 9, 60, &wait), 2);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 9, 61, &wait), 1);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 9, 91, &wait), 0);
    assert_int_equal(used(*state, POLICY_RATE_HOUR, 9, 3600, &wait), 2);
    assert_int_equal(used(*state, POLICY_RATE_HOUR, 9, POLICY_RATE_MEMORY_S, &wait), 0);
}

static void the_wait_ends_when_there_is_room(void **state)
{
    uint64_t wait;

    count(*state, 0);
    count(*state, 10);
    count(*state, 20);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 4, 20, &wait), 3);
    assert_int_equal(wait, 0);
    (void)used(*state, POLICY_RATE_MINUTE, 3, 20, &wait);
    assert_int_equal(wait, 41);
    assert_int_equal(used(*state, POLICY_RATE_MINUTE, 3, 20 + wait, &wait), 2);
    (void)used(*state, POLICY_RATE_MINUTE, 1, 61, &wait);
    assert_int_equal(wait, 20);
}

/* However leases are spread, no minute holds more of them than the limit. */
static void no_minute_holds_more_than_the_limit(void **state)
{
    uint64_t issued[1000], wait;
    size_t n = 0;

    for (uint64_t half = 0; half < 600; half++) {
        struct policy_rate_key key = policy_rate_key(&owner, span_text("rule"), &gateway);
        uint64_t now = START + half * SECOND_US / 2;

        if (policy_rates_used(*state, &key, POLICY_RATE_MINUTE, 7, now, &wait) >= 7)
            continue;
        assert_int_equal(policy_rates_count(*state, &key, now, NULL), OK);
        issued[n++] = now;
    }
    assert_true(n > 28); /* and it is used */
    for (size_t i = 7; i < n; i++)
        assert_true(issued[i] - issued[i - 7] >= 60 * SECOND_US);
}

static void rules_gateways_and_owners_are_counted_apart(void **state)
{
    const struct policy_rate_key others[] = {
        policy_rate_key(&owner, span_text("other"), &gateway),
        policy_rate_key(&owner, span_text(""), &gateway),
        policy_rate_key(&owner, span_text("rule"), &owner),
        policy_rate_key(&gateway, span_text("rule"), &gateway),
    };
    uint64_t wait;

    count(*state, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(policy_rates_used(*state, &others[i], POLICY_RATE_MINUTE, 9, START, &wait),
                         0);
}

static void what_is_over_is_forgotten(void **state)
{
    struct id other = gateway;

    for (unsigned i = 0; i < 5000; i++) {
        struct policy_rate_key key;

        other.b[14] = (uint8_t)(i >> 8);
        other.b[15] = (uint8_t)i;
        key = policy_rate_key(&owner, span_text("rule"), &other);
        assert_int_equal(policy_rates_count(*state, &key, START + 2ull * i * SECOND_US, NULL), OK);
    }
    assert_true(policy_rates_size(*state) < 4500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_a_minute_old_counts_no_more_and_in_the_hour_it_does,
                                        make, drop),
        cmocka_unit_test_setup_teardown(the_wait_ends_when_there_is_room, make, drop),
        cmocka_unit_test_setup_teardown(no_minute_holds_more_than_the_limit, make, drop),
        cmocka_unit_test_setup_teardown(rules_gateways_and_owners_are_counted_apart, make, drop),
        cmocka_unit_test_setup_teardown(what_is_over_is_forgotten, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
