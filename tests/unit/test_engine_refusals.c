/* Refusals are records, floods of them are one record with the exact count, none tells a secret. */
#include "engine_customer.h"

#define SINGLE 20 /* a minute, before counting begins */

static bool one_count(struct rig *r, const void *context)
{
    (void)context;
    return recorded(r, "acme", TYPE("requests.refused")) == 1;
}

static void refused(struct rig *r, const struct customer *c, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        struct request *rq = lease(r, c, "nothing");

        assert_int_equal(rq->outcome, NOT_FOUND);
        request_free(rq);
    }
}

static void a_flood_of_refusals_is_counted_exactly_by_the_time_of_the_lock(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    refused(r, &c, SINGLE + 37);
    assert_int_equal(recorded(r, "acme", TYPE("lease.refused")), SINGLE);
    assert_int_equal(recorded(r, "acme", TYPE("requests.refused")), 0);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.refused")), SINGLE);
    assert_int_equal(recorded(r, "acme", "\"count\":37"), 1);
    assert_int_equal(recorded(r, "acme", TYPE("requests.refused")), 1);
    rig_free(r);
}

static void a_flood_is_counted_exactly_when_the_server_stops(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    refused(r, &c, SINGLE + 3);
    rig_restart_engine(r);
    assert_true(one_count(r, NULL));
    assert_int_equal(recorded(r, "acme", "\"count\":3"), 1);
    rig_free(r);
}

static void floods_of_different_actors_are_counted_apart(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");

    (void)state;
    refused(r, &a, SINGLE + 5);
    refused(r, &b, SINGLE + 6);
    for (unsigned i = 0; i < SINGLE + 7; i++)
        assert_int_equal(rig_try(r, VERB_LEASE_LIST, &r->nobody, NULL, NULL, NULL), NO_IDENTITY);
    rig_do(r, VERB_LOCK, &r->local, NULL, NULL, NULL);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", "\"actor\":\"gateway:gw-acme\",\"count\":5"), 1);
    assert_int_equal(recorded(r, "bolt", "\"actor\":\"gateway:gw-bolt\",\"count\":6"), 1);
    assert_int_equal(recorded(r, "vault", "\"actor\":\"nobody\",\"count\":7"), 1);
    rig_free(r);
}

static void a_count_over_several_tenants_is_in_no_tenants_log(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt"), both = b;

    (void)state;
    refused(r, &b, SINGLE);
    both.gateway = b.gateway;
    snprintf(both.tenant, sizeof both.tenant, "%s", a.tenant);
    for (unsigned i = 0; i < 4; i++)
        request_free(lease(r, &both, "openai"));
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_unlock(r);
    assert_int_equal(recorded(r, "vault", "\"count\":4"), 1);
    assert_int_equal(recorded(r, "acme", TYPE("requests.refused")), 0);
    assert_int_equal(recorded(r, "bolt", TYPE("requests.refused")), 0);
    rig_free(r);
}

static void more_actors_than_one_batch_takes_are_all_counted(void **state)
{
    struct rig *r = rig_new();
    struct holder stranger = { .role = ROLE_GATEWAY };

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(stranger.name, sizeof stranger.name, "stranger-%u", i);
        random_bytes((struct mspan){ stranger.spki, sizeof stranger.spki });
        for (unsigned k = 0; k < SINGLE + 2; k++)
            (void)rig_try(r, VERB_LEASE_LIST, &stranger, NULL, NULL, NULL);
    }
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_unlock(r);
    assert_int_equal(recorded(r, "vault", TYPE("requests.refused")), 100);
    assert_int_equal(recorded(r, "vault", "\"count\":2"), 100);
    rig_free(r);
}

static void a_refusal_never_records_a_token_or_a_part_of_one(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], part[LEASE_TOKEN_LENGTH];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    memcpy(part, token, sizeof part - 1);
    part[sizeof part - 1] = '\0';
    assert_int_equal(rig_try(r, VERB_LEASE_RENEW, &c.gateway, part, NULL, NULL), BAD_INPUT);
    token[LEASE_TOKEN_LENGTH - 1] ^= 1;
    (void)rig_try(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL);
    part[40] = '\0'; /* beyond the lease's id, which is no secret */
    assert_int_equal(recorded(r, "acme", part), 0);
    assert_int_equal(recorded(r, "vault", part), 0);
    rig_free(r);
}

/* Whatever a peer writes, the server goes on and the trail stays readable. */
static void odd_text_in_refused_requests_harms_nobody(void **state)
{
    static const char *const odd[] = {
        "\"",           "\\",   "a\nb",  "\x01\x02", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
        "\xef\xbf\xbe", "%s",   "acme/", "/",        "acme/../bolt",
        "\xff\xfe",     "ACME", "",
    };
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        json_t *body = json_object();

        json_object_set_new(body, "key", json_string_nocheck(odd[i]));
        assert_int_not_equal(rig_try(r, VERB_LEASE_ISSUE, &c.gateway, odd[i], odd[i], body), OK);
        body = json_object();
        json_object_set_new(body, "purpose", json_string_nocheck(odd[i]));
        json_object_set_new(body, "key", json_string("acme/openai"));
        (void)rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body);
        assert_int_not_equal(rig_try(r, VERB_KEY_SHOW, &r->alice, odd[i], odd[i], NULL), OK);
        assert_int_not_equal(rig_try(r, VERB_LOG_SHOW, &r->alice, odd[i], odd[i], NULL), OK);
        assert_int_not_equal(
            rig_try(r, VERB_KEY_PUT, &r->alice, "acme", odd[i], put_body(r, VALUE)), OK);
    }
    leased(r, &c, "openai", VALUE, token);
    check_macs(r, "acme");
    check_macs(r, "vault");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_of_refusals_is_counted_exactly_by_the_time_of_the_lock),
        cmocka_unit_test(a_flood_is_counted_exactly_when_the_server_stops),
        cmocka_unit_test(floods_of_different_actors_are_counted_apart),
        cmocka_unit_test(a_count_over_several_tenants_is_in_no_tenants_log),
        cmocka_unit_test(more_actors_than_one_batch_takes_are_all_counted),
        cmocka_unit_test(a_refusal_never_records_a_token_or_a_part_of_one),
        cmocka_unit_test(odd_text_in_refused_requests_harms_nobody),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
