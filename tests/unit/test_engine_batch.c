/* Group commit: what is queued together is decided in order, made durable together, answered once. */
#include "engine_customer.h"

#define MANY 200

static void two_creations_of_one_name_queued_together_are_one_success_and_one_conflict(void **state)
{
    struct rig *r = rig_new();
    struct request *first, *second;

    (void)state;
    rig_hold(r);
    first = rig_submit(r, rig_request(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                                      json_pack("{s:s}", "name", "acme")));
    second = rig_submit(r, rig_request(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                                       json_pack("{s:s}", "name", "acme")));
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(first->outcome, OK);
    assert_true(first->created);
    assert_int_equal(second->outcome, CONFLICT);
    request_free(first);
    request_free(second);
    rig_free(r);
}

/* On the engine's thread, where the store may be asked. */
static uint64_t commits[MANY];

static void count_commits(struct request *rq)
{
    struct rig *r = rq->context;

    commits[rq->from] = store_counters(r->en->store)->commits;
    rig_done(rq);
}

static void many_leases_queued_at_once_come_back_right_and_in_few_commits(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq[MANY];

    (void)state;
    rig_hold(r);
    for (size_t i = 0; i < MANY; i++) {
        rq[i] = rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai"));
        rq[i]->from = i;
        rq[i]->done = count_commits;
        rig_submit(r, rq[i]);
    }
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        assert_true(value_is(rq[i], VALUE));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rig_text(rq[i]->reply, "lease"),
                                    rig_text(rq[k]->reply, "lease"));
    }
    assert_true(commits[MANY - 1] - commits[0] < MANY / 20);
    for (size_t i = 0; i < MANY; i++)
        request_free(rq[i]);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), MANY);
    rig_free(r);
}

static void requests_of_different_gateways_get_their_own_answers(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    struct request *rq[60];

    (void)state;
    request_free(rotate(r, &b, "openai", "sk-of-bolt-and-nobody-else", 0));
    rig_hold(r);
    for (size_t i = 0; i < 60; i++) {
        const struct customer *asks = i % 3 == 0 ? &a : &b, *about = i % 3 == 1 ? &b : &a;

        rq[i] = rig_submit(r, rig_request(r, VERB_LEASE_ISSUE, &asks->gateway, NULL, NULL,
                                          lease_body(about, "openai")));
    }
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(rq[i]->outcome, i % 3 == 2 ? DENIED : OK);
        if (i % 3 != 2)
            assert_true(value_is(rq[i], i % 3 == 0 ? VALUE : "sk-of-bolt-and-nobody-else"));
        request_free(rq[i]);
    }
    rig_free(r);
}

static void a_request_too_large_for_the_rest_of_a_batch_waits_for_the_next(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *leases[40], *add;
    json_t *grants = json_array();
    char *csr = rig_csr();

    (void)state;
    for (int i = 0; i < 60; i++) {
        char key[32];

        snprintf(key, sizeof key, "acme/key-%d", i);
        json_array_append_new(grants, json_pack("{s:s}", "key", key));
    }
    rig_hold(r);
    for (size_t i = 0; i < 40; i++)
        leases[i] = rig_submit(
            r, rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai")));
    add = rig_submit(r, rig_request(r, VERB_GATEWAY_ADD, &r->alice, NULL, NULL,
                                    json_pack("{s:s, s:s, s:o}", "name", "large", "csr", csr,
                                              "grants", grants)));
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(add->outcome, OK);
    assert_int_equal(json_array_size(json_object_get(add->reply, "grants")), 60);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(leases[i]->outcome, OK);
        request_free(leases[i]);
    }
    request_free(add);
    free(csr);
    rig_free(r);
}

static void a_lock_comes_in_its_turn_and_not_behind_all_that_one_client_has_queued(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq[30], *lock;

    (void)state;
    rig_hold(r);
    for (size_t i = 0; i < 30; i++) {
        if (i == 15)
            lock = rig_submit(r, rig_request(r, VERB_LOCK, &r->alice, NULL, NULL, NULL));
        rq[i] = rig_submit(
            r, rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai")));
    }
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(lock->outcome, OK);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(rq[i]->outcome, i < 1 ? OK : LOCKED);
        assert_int_equal(rq[i]->value != NULL, i < 1);
        request_free(rq[i]);
    }
    request_free(lock);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1);
    assert_int_equal(recorded(r, "vault", TYPE("vault.locked")), 1);
    rig_free(r);
}

static void what_is_queued_when_the_server_stops_is_answered(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq[80];

    (void)state;
    rig_hold(r);
    for (size_t i = 0; i < 80; i++)
        rq[i] = rig_submit(
            r, rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai")));
    rig_let_go(r);
    engine_stop(r->en);
    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        request_free(rq[i]);
    }
    /* And what comes later is refused at once. */
    assert_int_equal(rig_try(r, VERB_STATUS, &r->local, NULL, NULL, NULL), LOCKED);
    assert_int_equal(r->waiting, 0);
    engine_free(r->en);
    wire_client_free(r->client);
    r->en = NULL;
    rig_start_engine(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 80);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 0);
    rig_free(r);
}

static void a_release_and_a_renewal_in_one_batch_agree_about_the_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *release, *renewal;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_hold(r);
    release = rig_submit(r, rig_request(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL));
    renewal = rig_submit(r, rig_request(r, VERB_LEASE_RENEW, &c.gateway, token, NULL, NULL));
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(release->outcome, OK);
    assert_int_equal(renewal->outcome, NOT_FOUND);
    request_free(release);
    request_free(renewal);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    rig_free(r);
}

static void a_full_disk_refuses_what_stores_but_not_what_ends(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    r->settings.disk_reserve_mib = (uint64_t)1 << 40;
    rig_restart_engine(r);
    rq = lease(r, &c, "openai");
    assert_int_equal(rq->outcome, LIMIT);
    assert_int_equal(rq->problem, PROBLEM_STORAGE);
    assert_null(rq->value);
    request_free(rq);
    rq = rig_ask(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL, json_pack("{s:s}", "name", "bolt"));
    assert_int_equal(rq->problem, PROBLEM_STORAGE);
    request_free(rq);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_KEY_REVOKE, &r->alice, "acme", "openai", NULL), OK);
    assert_int_equal(rig_try(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOCK, &r->alice, NULL, NULL, NULL), OK);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            two_creations_of_one_name_queued_together_are_one_success_and_one_conflict),
        cmocka_unit_test(many_leases_queued_at_once_come_back_right_and_in_few_commits),
        cmocka_unit_test(requests_of_different_gateways_get_their_own_answers),
        cmocka_unit_test(a_request_too_large_for_the_rest_of_a_batch_waits_for_the_next),
        cmocka_unit_test(a_lock_comes_in_its_turn_and_not_behind_all_that_one_client_has_queued),
        cmocka_unit_test(what_is_queued_when_the_server_stops_is_answered),
        cmocka_unit_test(a_release_and_a_renewal_in_one_batch_agree_about_the_lease),
        cmocka_unit_test(a_full_disk_refuses_what_stores_but_not_what_ends),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
