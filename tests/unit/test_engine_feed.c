/* Records of all logs in one stream, and requests that wait for the next of them. */
#include "engine_customer.h"

#define MANY 1000
#define TREE "\"log\":\"ffffffffffffffffffffffffffffffff\"," /* grows by itself */

static struct request *feed(struct rig *r, const struct holder *peer, uint64_t after,
                            uint64_t limit, uint64_t wait_s)
{
    struct request *rq = rig_request(r, VERB_RECORD_FEED, peer, NULL, NULL, NULL);

    snprintf(rq->after, sizeof rq->after, "%llu", (unsigned long long)after);
    rq->limit = limit;
    rq->wait_s = wait_s;
    return rig_submit(r, rq);
}

/* For a record of the vault's log that will never be there. */
static struct request *wait_for_ever(struct rig *r, const struct holder *peer)
{
    struct request *rq = rig_request(r, VERB_LOG_RECORDS, peer, "vault", NULL, NULL);

    rq->from = UINT64_C(1) << 40;
    rq->wait_s = 60;
    return rig_submit(r, rq);
}

static struct request *feed_now(struct rig *r, uint64_t after, uint64_t limit)
{
    struct request *rq = feed(r, &r->alice, after, limit, 0);

    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    return rq;
}

static uint64_t feed_end(struct rig *r)
{
    uint64_t after = 0;
    bool more = true;

    while (more) {
        struct request *rq = feed_now(r, after, 0);

        more = rq->lines_length > 0;
        after = rq->page_end;
        request_free(rq);
    }
    return after;
}

static size_t lines_of(const struct request *rq)
{
    size_t n = 0;

    for (size_t i = 0; i < rq->lines_length; i++)
        n += rq->lines[i] == '\n';
    return n;
}

static void noted(struct request *rq)
{
    struct rig *r = rq->context;

    pthread_mutex_lock(&r->lock);
    r->held = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* All that this peer had submitted before is decided when this returns. */
static void decided(struct rig *r, const struct holder *peer)
{
    struct request *rq = rig_request(r, VERB_STATUS, peer, NULL, NULL, NULL);

    rq->done = noted;
    r->held = false;
    engine_submit(r->en, rq);
    pthread_mutex_lock(&r->lock);
    while (!r->held)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    request_free(rq);
}

static void pages_of_the_feed_hold_every_record_once_as_stored(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    char token[LEASE_TOKEN_LENGTH + 1];
    char *logs[3], *all = calloc(1, 1);
    size_t length = 0, total;
    uint64_t after = 0;

    (void)state;
    leased(r, &acme, "openai", VALUE, token);
    leased(r, &bolt, "openai", VALUE, token);
    logs[0] = trail(r, "vault");
    logs[1] = trail(r, "acme");
    logs[2] = trail(r, "bolt");
    total = strlen(logs[0]) + strlen(logs[1]) + strlen(logs[2]);
    for (bool more = true; more;) {
        struct request *rq = feed_now(r, after, 3);

        more = rq->lines_length > 0;
        assert_true(lines_of(rq) <= 3);
        assert_true(more ? rq->page_end > after : rq->page_end == after);
        all = realloc(all, length + rq->lines_length + 1);
        memcpy(all + length, rq->lines, rq->lines_length);
        length += rq->lines_length;
        all[length] = '\0';
        after = rq->page_end;
        request_free(rq);
    }
    for (const char *at = all; (at = strstr(at, TREE)) != NULL; at++) { /* of no log here */
        length -= (size_t)(strchr(at, '\n') - at) + 1 + sizeof "{\"v\":1," - 1;
    }
    assert_int_equal(length, total);
    for (size_t i = 0; i < 3; i++) {
        char *at = all;

        for (char *line = strtok(logs[i], "\n"); line != NULL; line = strtok(NULL, "\n")) {
            at = strstr(at, line); /* in the log's own order */
            assert_non_null(at);
        }
        free(logs[i]);
    }
    free(all);
    rig_free(r);
}

static void the_feed_is_for_those_who_see_all_logs(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct holder auditor = certified(r, "auditor", "vera");
    struct request *rq = feed(r, &auditor, 0, 0, 0);

    (void)state;
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
    rq = feed(r, &c.cert, 0, 0, 0);
    rig_wait(r);
    assert_int_equal(rq->outcome, DENIED);
    assert_non_null(strstr(rq->err.why, "/v1/logs/"));
    request_free(rq);
    rq = feed(r, &c.gateway, 0, 0, 30);
    rig_wait(r);
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    rig_free(r);
}

static void a_cursor_that_is_ahead_of_the_vault_is_a_conflict(void **state)
{
    struct rig *r = rig_new();
    struct request *rq = feed(r, &r->alice, feed_end(r) + 1000, 0, 30);

    (void)state;
    rig_wait(r);
    assert_int_equal(rq->outcome, CONFLICT);
    request_free(rq);
    rig_free(r);
}

static void who_waits_is_answered_by_the_next_record_that_it_may_see(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), bolt = customer_new(r, "bolt");
    struct request *all, *own = rig_request(r, VERB_LOG_RECORDS, &acme.cert, "acme", NULL, NULL);
    struct request *leased_one;
    uint64_t end = feed_end(r);
    char *before = trail(r, "acme");

    (void)state;
    for (const char *at = before; *at != '\0'; at++)
        own->from += *at == '\n';
    free(before);
    own->wait_s = 30;
    rig_submit(r, own);
    all = feed(r, &r->alice, end, 0, 30);
    decided(r, &r->alice);
    assert_true(rig_unanswered(r) >= 1);
    leased_one = lease(r, &acme, "openai"); /* waits for both others, too */
    assert_int_equal(all->outcome, OK);
    assert_true(lines_of(all) >= 1);
    assert_true(all->page_end > end);
    assert_int_equal(lines_of(own), 1);
    assert_int_equal(own->log_size, own->from + 1);
    request_free(leased_one);
    request_free(all);
    request_free(own);

    own = rig_request(r, VERB_LOG_RECORDS, &acme.cert, "acme", NULL, NULL);
    own->from = 1000;
    own->wait_s = 1;
    rig_submit(r, own);
    leased_one = lease(r, &bolt, "openai"); /* another log's: the time has to run out */
    assert_int_equal(own->outcome, OK);
    assert_int_equal(own->lines_length, 0);
    request_free(leased_one);
    request_free(own);
    rig_free(r);
}

static void a_thousand_who_wait_cost_a_batch_nothing_and_are_all_answered(void **state)
{
    struct rig *r = rig_new();
    struct customer bolt = customer_new(r, "bolt");
    struct request *rq[MANY], *one;
    uint64_t commits;

    (void)state;
    rig_do(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL, json_pack("{s:s}", "name", "acme"));
    for (size_t i = 0; i < MANY; i++) {
        rq[i] = rig_request(r, VERB_LOG_RECORDS, &r->alice, "acme", NULL, NULL);
        rq[i]->from = 1000 + i % 2 * (UINT64_C(1) << 40);
        rq[i]->wait_s = 60;
        rig_submit(r, rq[i]);
    }
    decided(r, &r->alice);
    assert_int_equal(rig_unanswered(r), MANY);
    assert_int_equal(r->en->waiting.count, MANY);
    commits = store_counters(r->en->store)->commits;
    one = rig_submit(r, rig_request(r, VERB_LEASE_ISSUE, &bolt.gateway, NULL, NULL,
                                    lease_body(&bolt, "openai")));
    decided(r, &bolt.gateway);
    assert_int_equal(one->outcome, OK);
    assert_int_equal(rig_unanswered(r), MANY);
    assert_true(store_counters(r->en->store)->commits < commits + 10);
    request_free(one);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL); /* waits for all of them */
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(rq[i]->outcome, LOCKED);
        request_free(rq[i]);
    }
    rig_free(r);
}

static void of_too_many_who_wait_the_last_is_answered_at_once(void **state)
{
    struct rig *r = rig_empty();
    struct request *first, *second;

    (void)state;
    r->settings.waiting_max = 1;
    rig_restart_engine(r);
    rig_init(r);
    first = wait_for_ever(r, &r->alice);
    decided(r, &r->alice);
    second = wait_for_ever(r, &r->alice);
    decided(r, &r->alice);
    assert_int_equal(rig_unanswered(r), 1);
    assert_int_equal(second->outcome, OK);
    assert_int_equal(second->lines_length, 0);
    rig_stop_engine(r);
    assert_int_equal(first->outcome, LOCKED);
    request_free(first);
    request_free(second);
    rig_free(r);
}

static void who_waits_when_the_certificate_is_revoked_hears_no_more(void **state)
{
    struct rig *r = rig_new();
    struct holder auditor = certified(r, "auditor", "vera");
    struct request *rq = wait_for_ever(r, &auditor);
    char spki[65];

    (void)state;
    decided(r, &auditor);
    hex_format(SPAN(auditor.spki), spki);
    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:s}", "spki", spki));
    assert_int_not_equal(rq->outcome, OK);
    assert_int_equal(rq->lines_length, 0);
    request_free(rq);
    rig_free(r);
}

static void who_waits_when_the_server_stops_is_answered(void **state)
{
    struct rig *r = rig_new();
    struct request *rq = wait_for_ever(r, &r->alice);

    (void)state;
    decided(r, &r->alice);
    rig_stop_engine(r);
    assert_int_equal(rig_unanswered(r), 0);
    assert_int_equal(rq->outcome, LOCKED);
    request_free(rq);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_the_feed_hold_every_record_once_as_stored),
        cmocka_unit_test(the_feed_is_for_those_who_see_all_logs),
        cmocka_unit_test(a_cursor_that_is_ahead_of_the_vault_is_a_conflict),
        cmocka_unit_test(who_waits_is_answered_by_the_next_record_that_it_may_see),
        cmocka_unit_test(a_thousand_who_wait_cost_a_batch_nothing_and_are_all_answered),
        cmocka_unit_test(of_too_many_who_wait_the_last_is_answered_at_once),
        cmocka_unit_test(who_waits_when_the_certificate_is_revoked_hears_no_more),
        cmocka_unit_test(who_waits_when_the_server_stops_is_answered),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
