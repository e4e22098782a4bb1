/* Who sees what: tenants are alone in the world, gateways know only what they are granted. */
#include "engine_customer.h"

/* Two refusals that must not be told apart. */
static void same_refusal(struct request *a, struct request *b)
{
    assert_int_not_equal(a->outcome, OK);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->problem, b->problem);
    assert_string_equal(a->err.why, b->err.why);
    assert_null(a->reply);
    assert_null(b->reply);
    request_free(a);
    request_free(b);
}

static void to_a_tenant_another_one_is_as_one_that_does_not_exist(void **state)
{
    static const enum verb verbs[] = {
        VERB_TENANT_SHOW, VERB_ENGAGEMENT_LIST, VERB_ENGAGEMENT_END, VERB_KEY_LIST,
        VERB_KEY_SHOW,    VERB_KEY_PUT,         VERB_KEY_ROTATE,     VERB_KEY_REVOKE,
        VERB_LOG_SHOW,    VERB_LOG_RECORDS,     VERB_LOG_CHECK,
    };
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");

    (void)state;
    (void)customer_new(r, "bolt");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        const char *part = verbs[i] == VERB_ENGAGEMENT_END ? "work" : "openai";
        struct request *theirs = rig_ask(r, verbs[i], &a.cert, "bolt", part, NULL);
        struct request *absent = rig_ask(r, verbs[i], &a.cert, "nowhere", part, NULL);

        assert_int_equal(theirs->outcome, NOT_FOUND);
        same_refusal(theirs, absent);
    }
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &a.cert, "vault", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_TENANT_SHOW, &a.cert, "acme", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &a.cert, NULL, NULL, NULL), DENIED);
    assert_int_equal(recorded(r, "bolt", "tenant:~"), 0);
    rig_free(r);
}

static void a_tenant_lists_only_its_own_leases(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    char token[LEASE_TOKEN_LENGTH + 1];
    json_t *list;

    (void)state;
    leased(r, &a, "openai", VALUE, token);
    leased(r, &b, "openai", VALUE, token);
    leased(r, &b, "openai", VALUE, token);
    list = rig_get(r, VERB_LEASE_LIST, &a.cert, NULL, NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(list, "leases")), 1);
    assert_string_equal(rig_text(json_array_get(json_object_get(list, "leases"), 0), "tenant"),
                        "acme");
    json_decref(list);
    list = rig_get(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL);
    assert_int_equal(json_array_size(json_object_get(list, "leases")), 3);
    json_decref(list);
    rig_free(r);
}

static void a_gateway_without_a_grant_learns_nothing_about_what_exists(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme"), stranger = c;

    (void)state;
    stranger.gateway = gateway_new(r, "stranger", NULL);
    same_refusal(lease(r, &stranger, "openai"), lease(r, &stranger, "nothing"));
    snprintf(stranger.tenant, sizeof stranger.tenant, "nowhere");
    same_refusal(lease(r, &c, "nothing"), lease(r, &c, "neither"));
    {
        struct request *known =
            rig_ask(r, VERB_LEASE_ISSUE, &stranger.gateway, NULL, NULL, lease_body(&c, "openai"));

        same_refusal(known, lease(r, &stranger, "openai"));
    }
    rig_free(r);
}

static void a_lease_is_nobodys_but_its_certificates(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &a, "openai", VALUE, token);
    assert_int_equal(renew(r, &b, token), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &b.gateway, token, NULL, NULL), NOT_FOUND);
    /* The right certificate with a changed MAC is found out by the keeper. */
    token[LEASE_TOKEN_LENGTH - 1] = token[LEASE_TOKEN_LENGTH - 1] == '0' ? '1' : '0';
    assert_int_equal(renew(r, &a, token), DENIED);
    assert_int_equal(rig_try(r, VERB_LEASE_RENEW, &a.gateway, "xyz", NULL, NULL), BAD_INPUT);
    rig_free(r);
}

static void a_certificate_of_the_ca_that_is_not_in_the_list_is_nobody(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct holder forged = r->alice, promoted = c.gateway;

    (void)state;
    forged.spki[0] ^= 1;
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &forged, NULL, NULL, NULL), NO_IDENTITY);
    promoted.role = ROLE_OPERATOR;
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &promoted, NULL, NULL, NULL), NO_IDENTITY);
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &r->nobody, NULL, NULL, NULL), NO_IDENTITY);
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &r->local, NULL, NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_LOCK, &c.gateway, NULL, NULL, NULL), DENIED);
    rig_free(r);
}

static json_t *spki_body(const struct holder *holder)
{
    return json_pack("{s:o}", "spki", rig_as_hex(SPAN(holder->spki)));
}

static void revoking_a_certificate_or_a_gateway_ends_its_leases(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    char token[LEASE_TOKEN_LENGTH + 1];
    json_t *list;

    (void)state;
    leased(r, &a, "openai", VALUE, token);
    leased(r, &b, "openai", VALUE, token);
    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL, spki_body(&a.gateway));
    rig_do(r, VERB_GATEWAY_REMOVE, &r->alice, "gw-bolt", NULL, NULL);
    assert_int_equal(renew(r, &b, token), NO_IDENTITY);
    for (unsigned round = 0; round < 2; round++) {
        list = rig_get(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL);
        assert_int_equal(json_array_size(json_object_get(list, "leases")), 0);
        json_decref(list);
        rig_restart_engine(r); /* nor do they come back */
    }
    rig_free(r);
}

static void unknown_members_of_a_body_are_refused_wherever_they_are(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *body = lease_body(&c, "openai");
    char *csr = rig_csr();

    (void)state;
    json_object_set_new(body, "ttl", json_integer(5));
    assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body), BAD_INPUT);
    body = json_pack("{s:s, s:s, s:[{s:s, s:i}]}", "name", "gw", "csr", csr, "grants", "key",
                     "acme/*", "max_ttl", 5);
    assert_int_equal(rig_try(r, VERB_GATEWAY_ADD, &r->alice, NULL, NULL, body), BAD_INPUT);
    /* A part of a known name, and two known names with the space between them, are unknown too. */
    assert_int_equal(rig_try(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:s}", "name", "x", "reg", "eu")),
                     BAD_INPUT);
    assert_int_equal(rig_try(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:s}", "name", "x", "name region", "eu")),
                     BAD_INPUT);
    assert_int_equal(rig_try(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:s}", "name", "x", "", "eu")),
                     BAD_INPUT);
    free(csr);
    rig_free(r);
}

static void text_with_a_nul_in_it_names_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *path = json_stringn("acme/openai\0x", 13);

    (void)state;
    assert_int_equal(
        rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, json_pack("{s:O}", "key", path)),
        BAD_INPUT);
    assert_int_equal(
        rig_try(r, VERB_GRANT_ADD, &r->alice, "gw-acme", NULL, json_pack("{s:o}", "key", path)),
        BAD_INPUT);
    rig_free(r);
}

static void another_region_is_a_misdirected_request(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *body = lease_body(&c, "openai");
    struct request *rq;

    (void)state;
    json_object_set_new(body, "region", json_string("us"));
    rq = rig_ask(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body);
    assert_int_equal(rq->problem, PROBLEM_WRONG_REGION);
    assert_null(rq->value);
    request_free(rq);
    rq = rig_ask(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                 json_pack("{s:s, s:s}", "name", "far", "region", "us"));
    assert_int_equal(rq->problem, PROBLEM_WRONG_REGION);
    request_free(rq);
    body = lease_body(&c, "openai");
    json_object_set_new(body, "region", json_string(RIG_REGION));
    assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body), OK);
    rig_free(r);
}

static void a_tenant_or_gateway_sees_only_three_members_of_the_status(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *reply = rig_get(r, VERB_STATUS, &c.cert, NULL, NULL, NULL);

    (void)state;
    assert_int_equal(json_object_size(reply), 3);
    json_decref(reply);
    reply = rig_get(r, VERB_STATUS, &r->alice, NULL, NULL, NULL);
    assert_true(json_object_size(reply) > 3);
    json_decref(reply);
    rig_free(r);
}

static void gateways_are_listed_with_their_own_grants(void **state)
{
    struct rig *r = rig_new();
    json_t *reply, *list, *grants;

    (void)state;
    (void)customer_new(r, "acme");
    (void)customer_new(r, "bolt");
    rig_do(r, VERB_GRANT_ADD, &r->alice, "gw-bolt", NULL,
           json_pack("{s:s, s:i}", "key", "acme/openai", "max_ttl_s", 60));
    reply = rig_get(r, VERB_GATEWAY_LIST, &r->alice, NULL, NULL, NULL);
    list = json_object_get(reply, "gateways");
    assert_int_equal(json_array_size(list), 2);
    grants = json_object_get(json_array_get(list, 0), "grants");
    assert_int_equal(json_array_size(grants), 1);
    assert_string_equal(rig_text(json_array_get(grants, 0), "key"), "acme/*");
    grants = json_object_get(json_array_get(list, 1), "grants");
    assert_int_equal(json_array_size(grants), 2);
    json_decref(reply);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_a_tenant_another_one_is_as_one_that_does_not_exist),
        cmocka_unit_test(a_tenant_lists_only_its_own_leases),
        cmocka_unit_test(a_gateway_without_a_grant_learns_nothing_about_what_exists),
        cmocka_unit_test(a_lease_is_nobodys_but_its_certificates),
        cmocka_unit_test(a_certificate_of_the_ca_that_is_not_in_the_list_is_nobody),
        cmocka_unit_test(revoking_a_certificate_or_a_gateway_ends_its_leases),
        cmocka_unit_test(unknown_members_of_a_body_are_refused_wherever_they_are),
        cmocka_unit_test(text_with_a_nul_in_it_names_nothing),
        cmocka_unit_test(another_region_is_a_misdirected_request),
        cmocka_unit_test(a_tenant_or_gateway_sees_only_three_members_of_the_status),
        cmocka_unit_test(gateways_are_listed_with_their_own_grants),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
