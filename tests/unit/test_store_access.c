/* Certificates, gateways and grants. */
#include "unit/test_store_rig.h"

static struct store_gateway gateway_of(unsigned n, const char *name)
{
    struct store_gateway g = { .id = id_of(n), .created_us = CREATED_US };

    (void)snprintf(g.name, sizeof(g.name), "%s", name);
    return g;
}

static struct store_certificate certificate_of(uint8_t fill, const char *name)
{
    struct store_certificate c = { .role = 3, .issued_us = CREATED_US, .not_after_us = CREATED_US };

    memset(c.spki, fill, sizeof(c.spki));
    (void)snprintf(c.name, sizeof(c.name), "%s", name);
    return c;
}

static struct store_grant grant_of(unsigned gateway, unsigned tenant, const char *pattern)
{
    struct store_grant g = { .gateway = id_of(gateway),
                             .tenant = id_of(tenant),
                             .max_ttl_s = 300,
                             .created_us = CREATED_US };

    (void)snprintf(g.pattern, sizeof(g.pattern), "%s", pattern);
    return g;
}

/* Tenants as in rig_fill, gateways 501 "edge" and 502 "core". */
static void fill(struct rig *r)
{
    struct store_gateway edge = gateway_of(501, "edge");
    struct store_gateway core = gateway_of(502, "core");

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_gateway_add(r->s, &edge, &r->e));
    assert_ok(store_gateway_add(r->s, &core, &r->e));
    rig_commit(r);
}

static void a_gateway_is_found_while_it_is_active(void **state)
{
    struct rig *r = *state;
    struct store_gateway g;
    struct id edge = id_of(501);

    fill(r);
    assert_ok(store_gateway(r->s, "edge", &g, &r->e));
    assert_true(id_same(&g.id, &edge));
    assert_int_equal(g.created_us, CREATED_US);
    assert_int_equal(g.removed_us, 0);
    assert_status(store_gateway(r->s, "other", &g, NULL), NOT_FOUND);
    rig_begin(r);
    assert_ok(store_gateway_remove(r->s, &edge, 9, &r->e));
    assert_status(store_gateway_remove(r->s, &edge, 10, NULL), NOT_FOUND);
    assert_status(store_gateway_remove(r->s, &edge, 0, NULL), BUG);
    rig_commit(r);
    assert_status(store_gateway(r->s, "edge", &g, NULL), NOT_FOUND);
}

static void a_removed_gateways_name_is_free_again_but_its_id_is_not(void **state)
{
    struct rig *r = *state;
    struct store_gateway twin = gateway_of(503, "edge");
    struct store_gateway same = gateway_of(501, "edge");
    struct store_gateway g;
    struct id edge = id_of(501);

    fill(r);
    rig_begin(r);
    assert_status(store_gateway_add(r->s, &twin, NULL), CONFLICT);
    assert_ok(store_gateway_remove(r->s, &edge, 9, &r->e));
    assert_status(store_gateway_add(r->s, &same, NULL), CONFLICT);
    assert_ok(store_gateway_add(r->s, &twin, &r->e));
    rig_commit(r);
    assert_ok(store_gateway(r->s, "edge", &g, &r->e));
    assert_true(id_same(&g.id, &twin.id));
}

static void active_gateways_are_listed_by_name(void **state)
{
    struct rig *r = *state;
    struct store_gateway page[4];
    struct id edge = id_of(501);
    size_t count;

    fill(r);
    assert_ok(store_gateways(r->s, NULL, page, 4, &count, &r->e));
    assert_int_equal(count, 2);
    assert_string_equal(page[0].name, "core");
    assert_ok(store_gateways(r->s, "core", page, 4, &count, &r->e));
    assert_int_equal(count, 1);
    assert_string_equal(page[0].name, "edge");
    rig_begin(r);
    assert_ok(store_gateway_remove(r->s, &edge, 9, &r->e));
    rig_commit(r);
    assert_ok(store_gateways(r->s, NULL, page, 4, &count, &r->e));
    assert_int_equal(count, 1);
}

static void a_grant_is_listed_with_its_names(void **state)
{
    struct rig *r = *state;
    struct store_grant g = grant_of(501, 2, "openai-*");
    struct store_grant page[2];
    size_t count;

    fill(r);
    rig_begin(r);
    assert_ok(store_grant_add(r->s, &g, &r->e));
    rig_commit(r);
    assert_ok(store_grants(r->s, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_true(id_same(&page[0].gateway, &g.gateway));
    assert_true(id_same(&page[0].tenant, &g.tenant));
    assert_string_equal(page[0].gateway_name, "edge");
    assert_string_equal(page[0].tenant_name, "bolt");
    assert_string_equal(page[0].pattern, "openai-*");
    assert_int_equal(page[0].max_ttl_s, 300);
    assert_int_equal(page[0].created_us, CREATED_US);
}

static void a_repeated_grant_replaces_the_bound(void **state)
{
    struct rig *r = *state;
    struct store_grant g = grant_of(501, 2, "*");
    struct store_grant page[2];
    size_t count;

    fill(r);
    rig_begin(r);
    assert_ok(store_grant_add(r->s, &g, &r->e));
    g.max_ttl_s = 60;
    assert_ok(store_grant_add(r->s, &g, &r->e));
    rig_commit(r);
    assert_ok(store_grants(r->s, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_int_equal(page[0].max_ttl_s, 60);
}

static void a_grant_needs_a_gateway_and_a_tenant(void **state)
{
    struct rig *r = *state;
    struct store_grant no_gateway = grant_of(509, 1, "*");
    struct store_grant no_tenant = grant_of(501, 9, "*");

    fill(r);
    rig_begin(r);
    assert_status(store_grant_add(r->s, &no_gateway, NULL), CONFLICT);
    assert_status(store_grant_add(r->s, &no_tenant, NULL), CONFLICT);
    rig_commit(r);
}

static void grants_are_listed_in_order_from_an_offset(void **state)
{
    static const struct {
        unsigned gateway, tenant;
        const char *pattern;
    } rows[] = { { 502, 1, "a" }, { 501, 2, "b" }, { 501, 1, "d" }, { 501, 1, "c" } };
    static const char *const order[] = { "c", "d", "b", "a" };
    struct rig *r = *state;
    struct store_grant page[2];
    size_t count;

    fill(r);
    rig_begin(r);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct store_grant g = grant_of(rows[i].gateway, rows[i].tenant, rows[i].pattern);

        assert_ok(store_grant_add(r->s, &g, &r->e));
    }
    rig_commit(r);
    for (size_t offset = 0; offset < 4; offset += 2) {
        assert_ok(store_grants(r->s, offset, page, 2, &count, &r->e));
        assert_int_equal(count, 2);
        assert_string_equal(page[0].pattern, order[offset]);
        assert_string_equal(page[1].pattern, order[offset + 1]);
    }
    assert_ok(store_grants(r->s, 4, page, 2, &count, &r->e));
    assert_int_equal(count, 0);
}

static void a_removed_grant_or_gateway_takes_only_its_own(void **state)
{
    struct rig *r = *state;
    struct store_grant one = grant_of(501, 1, "*");
    struct store_grant two = grant_of(501, 2, "*");
    struct store_grant other = grant_of(502, 1, "*");
    struct store_grant page[4];
    size_t count;

    fill(r);
    rig_begin(r);
    assert_ok(store_grant_add(r->s, &one, &r->e));
    assert_ok(store_grant_add(r->s, &two, &r->e));
    assert_ok(store_grant_add(r->s, &other, &r->e));
    assert_ok(store_grant_remove(r->s, &one.gateway, &one.tenant, "*", &r->e));
    assert_status(store_grant_remove(r->s, &one.gateway, &one.tenant, "*", NULL), NOT_FOUND);
    assert_ok(store_grants(r->s, 0, page, 4, &count, &r->e));
    assert_int_equal(count, 2);
    assert_ok(store_gateway_remove(r->s, &one.gateway, 9, &r->e));
    assert_ok(store_grants(r->s, 0, page, 4, &count, &r->e));
    assert_int_equal(count, 1);
    assert_true(id_same(&page[0].gateway, &other.gateway));
    rig_commit(r);
}

static void a_certificate_comes_back_as_it_was_stored(void **state)
{
    struct rig *r = *state;
    struct store_certificate c = certificate_of(0x01, "ci");
    struct store_certificate page[2];
    size_t count;

    fill(r);
    c.tenant = id_of(1);
    c.gateway = id_of(501);
    rig_begin(r);
    assert_ok(store_certificate_add(r->s, &c, &r->e));
    assert_status(store_certificate_add(r->s, &c, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_certificates(r->s, NULL, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_memory_equal(page[0].spki, c.spki, sizeof(c.spki));
    assert_int_equal(page[0].role, 3);
    assert_string_equal(page[0].name, "ci");
    assert_true(id_same(&page[0].tenant, &c.tenant));
    assert_true(id_same(&page[0].gateway, &c.gateway));
    assert_int_equal(page[0].issued_us, CREATED_US);
    assert_int_equal(page[0].not_after_us, CREATED_US);
    assert_int_equal(page[0].revoked_us, 0);
}

static void a_certificate_may_belong_to_nobody_but_not_to_somebody_unknown(void **state)
{
    struct rig *r = *state;
    struct store_certificate c = certificate_of(0x00, "alice");
    struct store_certificate page[2];
    size_t count;

    rig_begin(r);
    c.tenant = id_of(1);
    assert_status(store_certificate_add(r->s, &c, NULL), CONFLICT);
    c.tenant = (struct id){ 0 };
    c.gateway = id_of(501);
    assert_status(store_certificate_add(r->s, &c, NULL), CONFLICT);
    c.gateway = (struct id){ 0 };
    assert_ok(store_certificate_add(r->s, &c, &r->e));
    rig_commit(r);
    assert_ok(store_certificates(r->s, NULL, page, 2, &count, &r->e)); /* of zeros, and found */
    assert_int_equal(count, 1);
    assert_true(id_is_zero(&page[0].tenant));
    assert_true(id_is_zero(&page[0].gateway));
}

static void a_revocation_is_kept_with_its_first_time(void **state)
{
    struct rig *r = *state;
    struct store_certificate c = certificate_of(0x05, "alice");
    struct store_certificate other = certificate_of(0x06, "bob");
    struct store_certificate page[2];
    size_t count;

    rig_begin(r);
    assert_ok(store_certificate_add(r->s, &c, &r->e));
    assert_status(store_certificate_revoke(r->s, other.spki, 8, NULL), NOT_FOUND);
    assert_ok(store_certificate_add(r->s, &other, &r->e));
    assert_ok(store_certificate_revoke(r->s, c.spki, 8, &r->e));
    assert_ok(store_certificate_revoke(r->s, c.spki, 9, &r->e));
    rig_commit(r);
    assert_ok(store_certificates(r->s, NULL, page, 2, &count, &r->e));
    assert_int_equal(page[0].revoked_us, 8);
    assert_int_equal(page[1].revoked_us, 0);
}

static void certificates_are_listed_in_pages(void **state)
{
    struct rig *r = *state;
    struct store_certificate page[3];
    size_t count;

    rig_begin(r);
    for (uint8_t n = 0; n < 5; n++) {
        struct store_certificate c = certificate_of((uint8_t)(0xf0 - n), "someone");

        assert_ok(store_certificate_add(r->s, &c, &r->e));
    }
    rig_commit(r);
    assert_ok(store_certificates(r->s, NULL, page, 3, &count, &r->e));
    assert_int_equal(count, 3);
    assert_int_equal(page[0].spki[0], 0xec);
    assert_ok(store_certificates(r->s, page[2].spki, page, 3, &count, &r->e));
    assert_int_equal(count, 2);
    assert_int_equal(page[1].spki[0], 0xf0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_gateway_is_found_while_it_is_active),
        sentence(a_removed_gateways_name_is_free_again_but_its_id_is_not),
        sentence(active_gateways_are_listed_by_name),
        sentence(a_grant_is_listed_with_its_names),
        sentence(a_repeated_grant_replaces_the_bound),
        sentence(a_grant_needs_a_gateway_and_a_tenant),
        sentence(grants_are_listed_in_order_from_an_offset),
        sentence(a_removed_grant_or_gateway_takes_only_its_own),
        sentence(a_certificate_comes_back_as_it_was_stored),
        sentence(a_certificate_may_belong_to_nobody_but_not_to_somebody_unknown),
        sentence(a_revocation_is_kept_with_its_first_time),
        sentence(certificates_are_listed_in_pages),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
