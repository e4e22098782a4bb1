/* GET /metrics: what is counted, and that it says nothing about whom. */
#include "engine_customer.h"

static char *scrape(struct rig *r, const struct holder *peer)
{
    struct request *rq = rig_ask(r, VERB_METRICS, peer, NULL, NULL, NULL);
    char *text = rq->lines;

    assert_int_equal(rq->outcome, OK);
    assert_non_null(text);
    rq->lines = NULL;
    request_free(rq);
    return text;
}

/* The value of a sample, named with its labels; -1: it is not there. */
static double value_of(const char *text, const char *sample)
{
    size_t n = strlen(sample);

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, sample, n) == 0 && line[n] == ' ')
            return strtod(line + n + 1, NULL);
        line = end == NULL ? NULL : end + 1;
    }
    return -1;
}

static double scraped(struct rig *r, const char *sample)
{
    char *text = scrape(r, &r->alice);
    double value = value_of(text, sample);

    free(text);
    return value;
}

static void leases_are_counted_by_what_became_of_them(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct holder poor = gateway_new(r, "poor", NULL);
    char token[LEASE_TOKEN_LENGTH + 1], *text;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(renew(r, &c, token), OK);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &poor, NULL, NULL, lease_body(&c, "openai")),
                     DENIED);
    assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL,
                             json_pack("{s:s, s:s}", "key", "acme/openai", "region", "elsewhere")),
                     DENIED);
    text = scrape(r, &r->alice);
    assert_true(value_of(text, "strongroom_lease_issued_total") == 2);
    assert_true(value_of(text, "strongroom_lease_renewed_total") == 1);
    assert_true(value_of(text, "strongroom_lease_released_total") == 1);
    assert_true(value_of(text, "strongroom_leases_live") == 1);
    assert_true(value_of(text, "strongroom_lease_refused_total{operation=\"issue\","
                               "reason=\"denied\"}") == 1);
    assert_true(value_of(text, "strongroom_lease_refused_total{operation=\"issue\","
                               "reason=\"wrong-region\"}") == 1);
    assert_true(value_of(text, "strongroom_requests_total{verb=\"lease.issue\","
                               "outcome=\"denied\"}") == 2);
    free(text);
    rig_free(r);
}

static void a_histogram_counts_every_request_of_its_kind_once(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], *text;

    (void)state;
    for (size_t i = 0; i < 5; i++)
        leased(r, &c, "openai", VALUE, token);
    text = scrape(r, &r->alice);
    assert_true(value_of(text, "strongroom_request_duration_seconds_count{kind=\"lease_issue\"}") ==
                5);
    assert_true(value_of(text, "strongroom_request_duration_seconds_bucket{kind=\"lease_issue\","
                               "le=\"+Inf\"}") == 5);
    assert_true(value_of(text, "strongroom_request_duration_seconds_sum{kind=\"lease_issue\"}") >
                0);
    assert_true(value_of(text, "strongroom_commit_duration_seconds_count") >= 5);
    assert_true(value_of(text, "strongroom_batch_requests_count") >= 5);
    assert_true(value_of(text, "strongroom_batch_requests_sum") >= 5);
    free(text);
    rig_free(r);
}

static void records_are_counted_as_they_are_stored(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    double before = scraped(r, "strongroom_records_written_total");

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    assert_true(scraped(r, "strongroom_records_written_total") >= before + 1);
    rig_free(r);
}

static void no_name_of_a_tenant_a_key_or_a_gateway_is_in_it(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "zebrafish");
    char token[LEASE_TOKEN_LENGTH + 1], *text;

    (void)state;
    put_key(r, &c, "quagga");
    leased(r, &c, "quagga", VALUE, token);
    text = scrape(r, &r->alice);
    assert_null(strstr(text, "zebrafish"));
    assert_null(strstr(text, "quagga"));
    assert_null(strstr(text, "gw-"));
    free(text);
    rig_free(r);
}

static void a_locked_vault_shows_its_state_and_nothing_else_of_the_vault(void **state)
{
    struct rig *r = rig_new();
    char *text;

    (void)state;
    (void)customer_new(r, "acme");
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    text = scrape(r, &r->alice);
    assert_true(value_of(text, "strongroom_state{state=\"locked\"}") == 1);
    assert_true(value_of(text, "strongroom_state{state=\"unlocked\"}") == 0);
    assert_true(value_of(text, "process_resident_memory_bytes") > 0);
    assert_null(strstr(text, "strongroom_lease"));
    assert_null(strstr(text, "strongroom_requests"));
    free(text);
    rig_unlock(r);
    assert_true(scraped(r, "strongroom_state{state=\"unlocked\"}") == 1);
    rig_free(r);
}

static void seconds_to_the_next_purge_are_there_when_there_is_one(void **state)
{
    struct rig *r = rig_new();
    double left;

    (void)state;
    (void)customer_new(r, "acme");
    assert_true(scraped(r, "strongroom_next_purge_seconds") == -1);
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    left = scraped(r, "strongroom_next_purge_seconds");
    assert_true(left > 6 * 86400 && left <= 7 * 86400);
    rig_free(r);
}

static void gateways_and_tenants_may_not_read_it(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    assert_int_equal(rig_try(r, VERB_METRICS, &c.gateway, NULL, NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_METRICS, &c.cert, NULL, NULL, NULL), DENIED);
    assert_int_equal(rig_try(r, VERB_METRICS, &r->nobody, NULL, NULL, NULL), NO_IDENTITY);
    assert_int_equal(rig_try(r, VERB_METRICS, &r->local, NULL, NULL, NULL), OK);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases_are_counted_by_what_became_of_them),
        cmocka_unit_test(a_histogram_counts_every_request_of_its_kind_once),
        cmocka_unit_test(records_are_counted_as_they_are_stored),
        cmocka_unit_test(no_name_of_a_tenant_a_key_or_a_gateway_is_in_it),
        cmocka_unit_test(a_locked_vault_shows_its_state_and_nothing_else_of_the_vault),
        cmocka_unit_test(seconds_to_the_next_purge_are_there_when_there_is_one),
        cmocka_unit_test(gateways_and_tenants_may_not_read_it),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
