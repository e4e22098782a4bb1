/* Who may lease what: default deny. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/policy.h"

static const struct id gateway_a = { { 0xa } }, gateway_b = { { 0xb } };
static const struct id tenant_1 = { { 1 } }, tenant_2 = { { 2 } };
static const struct policy_bounds bounds = { .ttl_s = 300, .max_ttl_s = 3600 };

static int make(void **state)
{
    struct policy *p;

    if (policy_new(&p, NULL) != OK)
        return -1;
    *state = p;
    return 0;
}

static int drop(void **state)
{
    policy_free(*state);
    return 0;
}

static void grant(struct policy *p, const struct id *gateway, const struct id *tenant,
                  const char *pattern, uint64_t max_ttl_s)
{
    struct policy_grant g = { .gateway = *gateway, .tenant = *tenant, .max_ttl_s = max_ttl_s };

    strncpy(g.pattern, pattern, sizeof g.pattern - 1);
    assert_int_equal(policy_grant_set(p, &g, NULL), OK);
}

static status lease(struct policy *p, const struct id *gateway, const struct id *tenant,
                    const char *key, uint64_t asked_s, uint64_t *ttl_s)
{
    struct err e = { 0 };

    return policy_lease(p, gateway, tenant, key, asked_s, &bounds, ttl_s, &e);
}

static void without_a_grant_nothing_is_leased(void **state)
{
    uint64_t ttl;

    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 60, &ttl), DENIED);
}

static void a_grant_covers_its_gateway_tenant_and_key_only(void **state)
{
    uint64_t ttl;

    grant(*state, &gateway_a, &tenant_1, "openai", 0);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 60, &ttl), OK);
    assert_int_equal(ttl, 60);
    assert_int_equal(lease(*state, &gateway_b, &tenant_1, "openai", 60, &ttl), DENIED);
    assert_int_equal(lease(*state, &gateway_a, &tenant_2, "openai", 60, &ttl), DENIED);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai-2", 60, &ttl), DENIED);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "opena", 60, &ttl), DENIED);
}

static void a_star_covers_what_begins_alike(void **state)
{
    uint64_t ttl;

    grant(*state, &gateway_a, &tenant_1, "prod-*", 0);
    grant(*state, &gateway_b, &tenant_1, "*", 0);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "prod-openai", 60, &ttl), OK);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "test-openai", 60, &ttl), DENIED);
    assert_int_equal(lease(*state, &gateway_b, &tenant_1, "anything", 60, &ttl), OK);
    assert_int_equal(lease(*state, &gateway_b, &tenant_2, "anything", 60, &ttl), DENIED);
}

static void the_time_is_bounded_by_grant_and_vault(void **state)
{
    uint64_t ttl;

    grant(*state, &gateway_a, &tenant_1, "short", 30);
    grant(*state, &gateway_a, &tenant_1, "long", 99999);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "short", 60, &ttl), OK);
    assert_int_equal(ttl, 30);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "long", 86400, &ttl), OK);
    assert_int_equal(ttl, 3600);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "long", 0, &ttl), OK);
    assert_int_equal(ttl, 300);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "short", 0, &ttl), OK);
    assert_int_equal(ttl, 30);
}

static void of_several_grants_the_most_generous_counts(void **state)
{
    uint64_t ttl;

    grant(*state, &gateway_a, &tenant_1, "*", 30);
    grant(*state, &gateway_a, &tenant_1, "openai", 120);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 600, &ttl), OK);
    assert_int_equal(ttl, 120);
    grant(*state, &gateway_a, &tenant_1, "open*", 0);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 600, &ttl), OK);
    assert_int_equal(ttl, 600);
}

static void a_grant_taken_back_no_longer_counts(void **state)
{
    struct err e = { 0 };
    uint64_t ttl;

    grant(*state, &gateway_a, &tenant_1, "openai", 0);
    grant(*state, &gateway_a, &tenant_1, "other", 0);
    assert_int_equal(policy_grant_remove(*state, &gateway_a, &tenant_1, "openai", &e), OK);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 60, &ttl), DENIED);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "other", 60, &ttl), OK);
    assert_int_equal(policy_grant_remove(*state, &gateway_a, &tenant_1, "openai", &e), NOT_FOUND);
}

static struct policy_certificate certificate(enum role role, const char *name, uint8_t first)
{
    struct policy_certificate c = { .role = role, .spki = { first }, .gateway = gateway_a };

    strncpy(c.name, name, sizeof c.name - 1);
    return c;
}

static struct holder holder(enum role role, const char *name, uint8_t first)
{
    struct holder h = { .role = role, .spki = { first } };

    strncpy(h.name, name, sizeof h.name - 1);
    return h;
}

static void only_certificates_issued_here_are_known(void **state)
{
    struct policy_certificate c = certificate(ROLE_GATEWAY, "litellm", 1);
    struct holder same = holder(ROLE_GATEWAY, "litellm", 1),
                  key = holder(ROLE_GATEWAY, "litellm", 2),
                  role = holder(ROLE_OPERATOR, "litellm", 1),
                  name = holder(ROLE_GATEWAY, "other", 1);
    const struct policy_certificate *found;
    struct err e = { 0 };

    assert_int_equal(policy_certificate_set(*state, &c, NULL), OK);
    assert_int_equal(policy_resolve(*state, &same, &found, &e), OK);
    assert_true(id_same(&found->gateway, &gateway_a));
    assert_int_equal(policy_resolve(*state, &key, &found, &e), NO_IDENTITY);
    assert_int_equal(policy_resolve(*state, &role, &found, &e), NO_IDENTITY);
    assert_int_equal(policy_resolve(*state, &name, &found, &e), NO_IDENTITY);
}

static void a_revoked_certificate_is_refused(void **state)
{
    struct policy_certificate c = certificate(ROLE_TENANT, "acme", 1);
    struct holder h = holder(ROLE_TENANT, "acme", 1);
    const struct policy_certificate *found;
    struct err e = { 0 };

    assert_int_equal(policy_certificate_set(*state, &c, NULL), OK);
    policy_revoke(*state, c.spki);
    assert_int_equal(policy_resolve(*state, &h, &found, &e), NO_IDENTITY);
    assert_string_equal(e.why, "this certificate was revoked");
    assert_true(policy_knows(*state, c.spki));
}

static void a_removed_gateway_loses_grants_and_certificates(void **state)
{
    struct policy_certificate c = certificate(ROLE_GATEWAY, "litellm", 1);
    struct holder h = holder(ROLE_GATEWAY, "litellm", 1);
    const struct policy_certificate *found;
    struct err e = { 0 };
    uint64_t ttl;

    assert_int_equal(policy_certificate_set(*state, &c, NULL), OK);
    grant(*state, &gateway_a, &tenant_1, "*", 0);
    policy_gateway_remove(*state, &gateway_a);
    assert_int_equal(lease(*state, &gateway_a, &tenant_1, "openai", 60, &ttl), DENIED);
    assert_int_equal(policy_resolve(*state, &h, &found, &e), NO_IDENTITY);
}

static void an_auditor_sees_the_tenants_of_its_own_name_only(void **state)
{
    struct policy *p = *state;

    for (unsigned i = 0; i < 100; i++) { /* in no order */
        struct id tenant = { { (uint8_t)(i * 37 + 1) } };

        assert_int_equal(policy_assign(p, i % 2 == 0 ? "una" : "urs", &tenant, NULL), OK);
        assert_int_equal(policy_assign(p, i % 2 == 0 ? "una" : "urs", &tenant, NULL), OK);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct id tenant = { { (uint8_t)(i * 37 + 1) } };

        assert_int_equal(policy_assigned(p, "una", &tenant), i % 2 == 0);
        assert_int_equal(policy_assigned(p, "urs", &tenant), i % 2 == 1);
        assert_false(policy_assigned(p, "un", &tenant));
        assert_false(policy_assigned(p, "unab", &tenant));
    }
    assert_int_equal(policy_assigned_count(p, "una"), 50);
    policy_unassign(p, "una", &tenant_1);
    policy_unassign(p, "una", &tenant_1);
    assert_false(policy_assigned(p, "una", &tenant_1));
    assert_int_equal(policy_assigned_count(p, "una"), 49);
    assert_int_equal(policy_assigned_count(p, "urs"), 50);
    assert_int_equal(policy_assigned_count(p, "u"), 0);
}

static void patterns_are_names_or_beginnings_with_a_star(void **state)
{
    (void)state;
    assert_true(policy_pattern_valid("openai"));
    assert_true(policy_pattern_valid("prod-*"));
    assert_true(policy_pattern_valid("*"));
    assert_false(policy_pattern_valid(""));
    assert_false(policy_pattern_valid("**"));
    assert_false(policy_pattern_valid("a*b"));
    assert_false(policy_pattern_valid("A"));
    assert_false(policy_pattern_valid("a/b"));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(without_a_grant_nothing_is_leased),
        WITH(a_grant_covers_its_gateway_tenant_and_key_only),
        WITH(a_star_covers_what_begins_alike),
        WITH(the_time_is_bounded_by_grant_and_vault),
        WITH(of_several_grants_the_most_generous_counts),
        WITH(a_grant_taken_back_no_longer_counts),
        WITH(only_certificates_issued_here_are_known),
        WITH(a_revoked_certificate_is_refused),
        WITH(an_auditor_sees_the_tenants_of_its_own_name_only),
        WITH(a_removed_gateway_loses_grants_and_certificates),
        cmocka_unit_test(patterns_are_names_or_beginnings_with_a_star),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
