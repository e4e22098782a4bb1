/* What gateways are told of what ended, who is told, and what they say to it. */
#include "engine_customer.h"

#define MANY 1000

static struct request *ask(struct rig *r, const struct holder *peer, const char *after,
                           uint64_t wait_s)
{
    struct request *rq = rig_request(r, VERB_REVOCATION_LIST, peer, NULL, NULL, NULL);

    snprintf(rq->after, sizeof rq->after, "%s", after);
    rq->wait_s = wait_s;
    return rig_submit(r, rq);
}

static json_t *heard(struct rig *r, struct request *rq)
{
    json_t *reply;

    rig_wait(r);
    if (rq->outcome != OK)
        print_error("revocations: %s\n", rq->err.why);
    assert_int_equal(rq->outcome, OK);
    reply = json_incref(rq->reply);
    request_free(rq);
    return reply;
}

/* Where a gateway's feed is now, as text for after. */
static const char *now(struct rig *r, const struct holder *peer, char out[24])
{
    json_t *reply = heard(r, ask(r, peer, "", 60)); /* which does not wait: it begins */

    assert_int_equal(json_array_size(json_object_get(reply, "events")), 0);
    snprintf(out, 24, "%lld", (long long)json_integer_value(json_object_get(reply, "next")));
    json_decref(reply);
    return out;
}

static json_t *events_of(struct rig *r, const struct holder *peer, const char *after)
{
    json_t *reply = heard(r, ask(r, peer, after, 0));
    json_t *events = json_incref(json_object_get(reply, "events"));

    assert_null(json_object_get(reply, "lost"));
    json_decref(reply);
    return events;
}

static size_t count_of(struct rig *r, const struct holder *peer, const char *after)
{
    json_t *events = events_of(r, peer, after);
    size_t count = json_array_size(events);

    json_decref(events);
    return count;
}

static void revoke_key(struct rig *r, const char *tenant, const char *key)
{
    rig_do(r, VERB_KEY_REVOKE, &r->alice, tenant, key, NULL);
}

static status say(struct rig *r, const struct holder *peer, json_int_t event)
{
    return rig_try(r, VERB_REVOCATION_ACKNOWLEDGE, peer, NULL, NULL,
                   json_pack("{s:[I]}", "events", event));
}

static void noted(struct request *rq)
{
    struct rig *r = rq->context;

    pthread_mutex_lock(&r->lock);
    r->held = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    request_free(rq);
}

/* All that was submitted before has been decided when this returns. */
static void settle(struct rig *r)
{
    struct request *rq = rig_request(r, VERB_STATUS, &r->local, NULL, NULL, NULL);

    rq->done = noted;
    r->held = false;
    engine_submit(r->en, rq);
    pthread_mutex_lock(&r->lock);
    while (!r->held)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

static void a_gateway_hears_of_a_key_that_was_revoked_and_nobody_elses(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    char acme_at[24], bolt_at[24];
    json_t *events, *one;

    (void)state;
    now(r, &acme.gateway, acme_at);
    now(r, &bolt.gateway, bolt_at);
    revoke_key(r, "acme", "openai");
    events = events_of(r, &acme.gateway, acme_at);
    assert_int_equal(json_array_size(events), 1);
    one = json_array_get(events, 0);
    assert_string_equal(rig_text(one, "what"), "key.revoked");
    assert_string_equal(rig_text(one, "tenant"), "acme");
    assert_string_equal(rig_text(one, "key"), "openai");
    assert_true(json_is_null(json_object_get(one, "lease")));
    json_decref(events);
    assert_int_equal(count_of(r, &bolt.gateway, bolt_at), 0);
    rig_free(r);
}

static void a_rotation_an_end_and_a_grant_that_goes_are_events_too(void **state)
{
    static const char *const expected[] = { "key.rotated", "grant.removed", "engagement.ended" };
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");
    char at[24], token[LEASE_TOKEN_LENGTH + 1];
    json_t *events;

    (void)state;
    leased(r, &acme, "openai", VALUE, token);
    now(r, &acme.gateway, at);
    request_free(rotate(r, &acme, "openai", "sk-proj-another-one-0123456789", 0));
    rig_do(r, VERB_GRANT_REMOVE, &r->alice, "gw-acme", NULL, json_pack("{s:s}", "key", "acme/*"));
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    events = events_of(r, &acme.gateway, at);
    assert_int_equal(json_array_size(events), 3); /* the last one because it had a lease */
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(rig_text(json_array_get(events, i), "what"), expected[i]);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 0), "version")), 2);
    assert_string_equal(rig_text(json_array_get(events, 1), "key"), "*");
    assert_int_equal(strlen(rig_text(json_array_get(events, 2), "engagement_id")), 32);
    json_decref(events);
    rig_free(r);
}

static size_t revoke_leases(struct rig *r, json_t *which)
{
    json_t *reply = rig_get(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, which);
    json_int_t count = json_integer_value(json_object_get(reply, "revoked"));

    json_decref(reply);
    return (size_t)count;
}

static void a_lease_that_is_revoked_is_told_to_its_holder_and_all_to_all(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    struct holder other = gateway_new(r, "other", "acme/*");
    char at[24], token[LEASE_TOKEN_LENGTH + 1], id[ID_HEX_LENGTH + 1];
    json_t *events;

    (void)state;
    leased(r, &acme, "openai", VALUE, token);
    snprintf(id, sizeof id, "%.*s", ID_HEX_LENGTH, token);
    now(r, &acme.gateway, at);
    assert_int_equal(revoke_leases(r, json_pack("{s:s}", "lease", id)), 1);
    assert_int_equal(count_of(r, &other, at), 0);
    events = events_of(r, &acme.gateway, at);
    assert_int_equal(json_array_size(events), 1);
    assert_string_equal(rig_text(json_array_get(events, 0), "what"), "lease.revoked");
    assert_string_equal(rig_text(json_array_get(events, 0), "lease"), id);
    assert_string_equal(rig_text(json_array_get(events, 0), "key"), "openai");
    json_decref(events);

    now(r, &acme.gateway, at);
    assert_int_equal(revoke_leases(r, json_pack("{s:s}", "gateway", "gw-acme")), 0);
    assert_int_equal(count_of(r, &acme.gateway, at), 1);
    assert_int_equal(count_of(r, &other, at), 0);

    leased(r, &acme, "openai", VALUE, token);
    leased(r, &bolt, "openai", VALUE, token);
    now(r, &acme.gateway, at);
    assert_int_equal(revoke_leases(r, json_pack("{s:b}", "all", 1)), 2);
    assert_int_equal(count_of(r, &acme.gateway, at), 2); /* the vault's, and its tenant's */
    assert_int_equal(count_of(r, &bolt.gateway, at), 2);
    rig_free(r);
}

static void who_had_a_lease_hears_of_it_without_a_grant_and_after_a_restart(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");
    struct holder other = gateway_new(r, "other", "acme/*");
    char at[24], token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &acme, "openai", VALUE, token);
    rig_do(r, VERB_GRANT_REMOVE, &r->alice, "gw-acme", NULL, json_pack("{s:s}", "key", "acme/*"));
    rig_do(r, VERB_GRANT_REMOVE, &r->alice, "other", NULL, json_pack("{s:s}", "key", "acme/*"));
    now(r, &acme.gateway, at);
    revoke_key(r, "acme", "openai");
    assert_int_equal(count_of(r, &acme.gateway, at), 1);
    assert_int_equal(count_of(r, &other, at), 0);
    rig_restart_engine(r);
    assert_int_equal(count_of(r, &acme.gateway, at), 1);
    assert_int_equal(count_of(r, &other, at), 0);
    rig_free(r);
}

static void a_cursor_is_good_after_a_restart_and_one_ahead_of_the_vault_is_lost(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");
    char at[24], again[24];
    json_t *reply;

    (void)state;
    now(r, &acme.gateway, at);
    put_key(r, &acme, "second");
    revoke_key(r, "acme", "openai");
    rig_restart_engine(r);
    assert_int_equal(count_of(r, &acme.gateway, at), 1);
    now(r, &acme.gateway, again);
    assert_int_equal(count_of(r, &acme.gateway, again), 0);
    reply = heard(r, ask(r, &acme.gateway, "1000000", 60));
    assert_true(json_is_true(json_object_get(reply, "lost")));
    assert_int_equal(json_integer_value(json_object_get(reply, "next")), atoll(again));
    json_decref(reply);
    rig_free(r);
}

static void a_thousand_who_wait_are_woken_by_what_ends_and_by_no_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    struct request *rq[MANY], *stranger, *one;
    char at[24], bolt_at[24];

    (void)state;
    now(r, &acme.gateway, at);
    now(r, &bolt.gateway, bolt_at);
    for (size_t i = 0; i < MANY; i++)
        rq[i] = ask(r, &acme.gateway, at, 60);
    stranger = ask(r, &bolt.gateway, bolt_at, 60);
    one = rig_submit(r, rig_request(r, VERB_LEASE_ISSUE, &acme.gateway, NULL, NULL,
                                    lease_body(&acme, "openai")));
    while (rig_unanswered(r) > MANY + 1) /* it has a turn, as every client has */
        settle(r);
    settle(r);
    assert_int_equal(one->outcome, OK);
    assert_int_equal(rig_unanswered(r), MANY + 1);
    request_free(one);
    one = rig_submit(r, rig_request(r, VERB_KEY_REVOKE, &r->alice, "acme", "openai", NULL));
    while (rig_unanswered(r) > 1)
        settle(r);
    assert_int_equal(one->outcome, OK);
    request_free(one);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        assert_int_equal(json_array_size(json_object_get(rq[i]->reply, "events")), 1);
        request_free(rq[i]);
    }
    settle(r);
    assert_int_equal(rig_unanswered(r), 1); /* it was nothing to bolt's */
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    assert_int_equal(stranger->outcome, LOCKED);
    request_free(stranger);
    rig_free(r);
}

static void who_waits_hears_of_a_revoked_certificate_at_once(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");
    char at[24], spki[65];
    struct request *rq;

    (void)state;
    rq = ask(r, &acme.gateway, now(r, &acme.gateway, at), 60);
    settle(r);
    hex_format(SPAN(acme.gateway.spki), spki);
    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:s}", "spki", spki));
    assert_int_equal(rq->outcome, NO_IDENTITY);
    request_free(rq);
    rig_free(r);
}

static void one_certificate_cannot_take_all_places_to_wait(void **state)
{
    struct rig *r = rig_empty();
    struct request *rq[3], *other;
    struct customer acme, bolt;
    char at[24];

    (void)state;
    r->settings.waiting_each = 2;
    rig_restart_engine(r);
    rig_init(r);
    acme = customer_new(r, "acme");
    bolt = customer_new(r, "bolt");
    now(r, &acme.gateway, at);
    for (size_t i = 0; i < 3; i++) {
        rq[i] = ask(r, &acme.gateway, at, 60);
        settle(r);
    }
    assert_int_equal(rig_unanswered(r), 2); /* the third was answered at once */
    assert_int_equal(rq[2]->outcome, OK);
    other = ask(r, &bolt.gateway, at, 60);
    settle(r);
    assert_int_equal(rig_unanswered(r), 3);
    rig_stop_engine(r);
    assert_int_equal(rq[0]->outcome, LOCKED);
    for (size_t i = 0; i < 3; i++)
        request_free(rq[i]);
    request_free(other);
    rig_free(r);
}

static void an_acknowledgement_is_one_record_whatever_is_repeated(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    struct request *first, *second;
    char at[24];
    json_t *events;
    json_int_t number;

    (void)state;
    now(r, &acme.gateway, at);
    revoke_key(r, "acme", "openai");
    events = events_of(r, &acme.gateway, at);
    number = json_integer_value(json_object_get(json_array_get(events, 0), "event"));
    json_decref(events);
    assert_int_equal(say(r, &bolt.gateway, number), NOT_FOUND);
    assert_int_equal(say(r, &acme.gateway, number + 1), NOT_FOUND);
    assert_int_equal(say(r, &acme.gateway, 0), BAD_INPUT);
    rig_hold(r); /* both in one batch */
    first = rig_submit(r, rig_request(r, VERB_REVOCATION_ACKNOWLEDGE, &acme.gateway, NULL, NULL,
                                      json_pack("{s:[I,I]}", "events", number, number)));
    second = rig_submit(r, rig_request(r, VERB_REVOCATION_ACKNOWLEDGE, &acme.gateway, NULL, NULL,
                                       json_pack("{s:[I]}", "events", number)));
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(first->outcome, OK);
    assert_int_equal(second->outcome, OK);
    request_free(first);
    request_free(second);
    rig_restart_engine(r);
    assert_int_equal(say(r, &acme.gateway, number), OK);
    assert_int_equal(recorded(r, "acme", TYPE("revocation.acknowledged")), 1);
    assert_int_equal(recorded(r, "acme", "\"event_type\":\"key.revoked\""), 1);
    assert_int_equal(recorded(r, "bolt", TYPE("revocation.acknowledged")), 0);
    rig_free(r);
}

static void the_feed_is_for_gateways(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme");

    (void)state;
    assert_int_equal(rig_try(r, VERB_REVOCATION_LIST, &acme.cert, NULL, NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_REVOCATION_LIST, &r->alice, NULL, NULL, NULL), DENIED);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_hears_of_a_key_that_was_revoked_and_nobody_elses),
        cmocka_unit_test(a_rotation_an_end_and_a_grant_that_goes_are_events_too),
        cmocka_unit_test(a_lease_that_is_revoked_is_told_to_its_holder_and_all_to_all),
        cmocka_unit_test(who_had_a_lease_hears_of_it_without_a_grant_and_after_a_restart),
        cmocka_unit_test(a_cursor_is_good_after_a_restart_and_one_ahead_of_the_vault_is_lost),
        cmocka_unit_test(a_thousand_who_wait_are_woken_by_what_ends_and_by_no_lease),
        cmocka_unit_test(who_waits_hears_of_a_revoked_certificate_at_once),
        cmocka_unit_test(one_certificate_cannot_take_all_places_to_wait),
        cmocka_unit_test(an_acknowledgement_is_one_record_whatever_is_repeated),
        cmocka_unit_test(the_feed_is_for_gateways),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
