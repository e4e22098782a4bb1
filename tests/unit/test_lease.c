/* The table of live leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lease/lease.h"

static int make(void **state)
{
    struct leases *l;

    if (leases_new(&l, NULL) != OK)
        return -1;
    for (uint8_t i = 1; i <= 100; i++) {
        struct lease lease = { .id = { { i } },
                               .tenant = { { (uint8_t)(i % 2) } },
                               .key = { { (uint8_t)(i % 4) } },
                               .gateway = { { (uint8_t)(i % 5) } },
                               .version = 1 + i % 3u,
                               .expires_us = 1000u + i };

        lease.tenant.b[15] = lease.key.b[15] = lease.gateway.b[15] = 1;
        if (leases_set(l, &lease, NULL) != OK)
            return -1;
    }
    *state = l;
    return 0;
}

static int drop(void **state)
{
    leases_free(*state);
    return 0;
}

static void a_lease_is_found_until_it_expires(void **state)
{
    const struct id id = { { 7 } }, unknown = { { 200 } };

    assert_non_null(leases_find(*state, &id, 1006));
    assert_null(leases_find(*state, &id, 1007));
    assert_null(leases_find(*state, &unknown, 0));
}

static void expired_leases_are_dropped(void **state)
{
    assert_int_equal(leases_expire(*state, 1050, NULL), OK);
    assert_int_equal(leases_count(*state), 50);
}

static void leases_end_by_key_version_gateway_and_tenant(void **state)
{
    struct lease by_key = { .key = { { 1 } } }, by_gateway = { .gateway = { { 2 } } },
                 by_tenant = { .tenant = { { 0 } } };
    size_t ended;

    by_key.key.b[15] = by_gateway.gateway.b[15] = by_tenant.tenant.b[15] = 1;
    by_key.version = 2;
    assert_int_equal(leases_end(*state, &by_key, &ended, NULL), OK);
    assert_int_equal(ended, 9); /* i = 1 mod 4 and 1 mod 3: 1, 13, ..., 97 */
    assert_int_equal(leases_end(*state, &by_gateway, &ended, NULL), OK);
    assert_int_equal(ended, 20 - 2); /* without 37 and 97, which ended above */
    assert_int_equal(leases_end(*state, &by_tenant, &ended, NULL), OK);
    assert_int_equal(leases_count(*state), 100 - 9 - 18 - ended);
}

static void a_renewed_lease_replaces_itself(void **state)
{
    const struct id id = { { 7 } };
    struct lease longer = *leases_find(*state, &id, 0);

    longer.expires_us = 5000;
    assert_int_equal(leases_set(*state, &longer, NULL), OK);
    assert_int_equal(leases_count(*state), 100);
    assert_non_null(leases_find(*state, &id, 4999));
}

static void a_released_lease_is_gone(void **state)
{
    const struct id id = { { 7 } };

    leases_remove(*state, &id);
    leases_remove(*state, &id);
    assert_null(leases_find(*state, &id, 0));
    assert_int_equal(leases_count(*state), 99);
}

static void a_token_reads_back_and_nothing_else_does(void **state)
{
    const struct id id = { { 1, 2, 3 } };
    const uint8_t mac[16] = { 9, 8, 7 };
    char token[LEASE_TOKEN_LENGTH + 1];
    uint8_t mac_again[16];
    struct id again;

    (void)state;
    lease_token_format(&id, mac, token);
    assert_int_equal(strlen(token), LEASE_TOKEN_LENGTH);
    assert_true(lease_token_parse(token, &again, mac_again));
    assert_true(id_same(&id, &again));
    assert_memory_equal(mac, mac_again, 16);
    token[5] = 'g';
    assert_false(lease_token_parse(token, &again, mac_again));
    assert_false(lease_token_parse("", &again, mac_again));
    token[5] = '0';
    token[63] = '\0';
    assert_false(lease_token_parse(token, &again, mac_again));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_lease_is_found_until_it_expires),
        WITH(expired_leases_are_dropped),
        WITH(leases_end_by_key_version_gateway_and_tenant),
        WITH(a_renewed_lease_replaces_itself),
        WITH(a_released_lease_is_gone),
        cmocka_unit_test(a_token_reads_back_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
