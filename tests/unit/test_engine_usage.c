/* Reports of usage and their records: counted once whatever dies in between, bounded, and summed up
 * as the records say. */
#include "engine_customer.h"

#include "engine/usage.h"

#define DAY_US (DAY_S * SECOND_US)

/* --- what a gateway sends -------------------------------------------------------------------- */

static struct request *reporting(struct rig *r, const struct holder *gateway, const char *body)
{
    struct request *rq = rig_request(r, VERB_USAGE_REPORT, gateway, NULL, NULL, NULL);
    struct err e = { 0 };

    if (usage_parse(USAGE_NATIVE, span_text(body), &rq->usage, &e) != OK)
        print_error("%s: %s\n", body, e.why);
    rig_must(rq->usage != NULL, "reports");
    return rq;
}

/* The number of reports that counted. */
static json_int_t report(struct rig *r, const struct holder *gateway, const char *body)
{
    struct request *rq = rig_submit(r, reporting(r, gateway, body));
    json_int_t counted;

    rig_wait(r);
    if (rq->outcome != OK)
        print_error("%s: %s\n", body, rq->err.why);
    assert_int_equal(rq->outcome, OK);
    counted = json_integer_value(json_object_get(rq->reply, "counted"));
    request_free(rq);
    return counted;
}

static json_int_t report_number(struct rig *r, const struct customer *c, const char *key,
                                unsigned number, const char *more)
{
    char body[512];

    snprintf(body, sizeof body, "{\"reports\":[{\"key\":\"%s/%s\",\"report\":%u%s}]}", c->tenant,
             key, number, more);
    return report(r, &c->gateway, body);
}

/* --- what is shown --------------------------------------------------------------------------- */

static json_t *shown(struct rig *r, const struct holder *who, const char *tenant, unsigned by)
{
    struct request *rq = rig_request(r, VERB_USAGE_SHOW, who, NULL, NULL, NULL);
    json_t *rows;

    rq->usage_filter = calloc(1, sizeof *rq->usage_filter);
    rq->usage_filter->by = by;
    snprintf(rq->usage_filter->tenant, sizeof rq->usage_filter->tenant, "%s", tenant);
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    rows = json_incref(json_object_get(rq->reply, "rows"));
    request_free(rq);
    return rows;
}

static json_int_t total(struct rig *r, const char *tenant, const char *member)
{
    json_t *rows = shown(r, &r->alice, tenant, BY_TENANT);
    json_int_t value = json_integer_value(json_object_get(json_array_get(rows, 0), member));

    json_decref(rows);
    return value;
}

/* While the engine's thread stands still. */
static uint64_t spent(struct rig *r, const char *tenant, const char *key, uint64_t days_ago,
                      status *ret_status)
{
    struct store_tenant t;
    struct store_key k;
    uint64_t micro = 0;

    rig_hold(r);
    assert_int_equal(store_tenant(r->en->store, tenant, &t, NULL), OK);
    if (key != NULL)
        assert_int_equal(store_key(r->en->store, &t.id, key, &k, NULL), OK);
    *ret_status = usage_spent(r->en, &t.id, key == NULL ? NULL : &k.id,
                              (engine_now_us(r->en) / DAY_US - days_ago) * DAY_US, &micro, NULL);
    rig_let_go(r);
    return micro;
}

/* --- numbers --------------------------------------------------------------------------------- */

static void a_number_counts_once_in_whatever_order_it_comes(void **state)
{
    struct store_usage_number n = { .next = 1 };
    static const struct {
        uint64_t number;
        enum usage_number what;
    } rows[] = { { 1, NUMBER_NEW },
                 { 1, NUMBER_SEEN },
                 { 2, NUMBER_NEW },
                 { 5, NUMBER_GAP },
                 { 4, NUMBER_NEW },
                 { 4, NUMBER_SEEN },
                 { 3, NUMBER_NEW },
                 { 5, NUMBER_SEEN },
                 { 6, NUMBER_NEW },
                 { 68, NUMBER_GAP },
                 { 7, NUMBER_NEW },
                 { 6, NUMBER_SEEN },
                 { 67, NUMBER_NEW },
                 { 7, NUMBER_SEEN },
                 { 500, NUMBER_GAP },
                 { 68, NUMBER_SEEN },
                 { 499, NUMBER_NEW },
                 { 439, NUMBER_NEW },
                 { 438, NUMBER_SEEN /* too old to be told apart */ } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum usage_number what = usage_number_of(&n, rows[i].number);

        if (what != rows[i].what)
            print_error("row %zu, number %u\n", i, (unsigned)rows[i].number);
        assert_int_equal(what, rows[i].what);
        if (what != NUMBER_SEEN)
            usage_number_take(&n, rows[i].number);
    }
}

/* --- crashes --------------------------------------------------------------------------------- */

static struct customer c;
static int answers; /* the child's end of a pipe */

static void report_next(struct rig *r, uint32_t number);

static void tell(struct request *rq)
{
    struct rig *r = rq->context;
    uint32_t number = (uint32_t)rq->usage->items[0].report;

    if (rq->outcome != OK || write(answers, &number, sizeof number) != sizeof number)
        _exit(1);
    request_free(rq);
    report_next(r, number + 1);
}

static void report_next(struct rig *r, uint32_t number)
{
    char body[256];
    struct request *rq;

    snprintf(
        body, sizeof body,
        "{\"reports\":[{\"key\":\"%s/openai\",\"report\":%u,\"requests\":3,\"cost\":\"0.01\"}]}",
        c.tenant, number);
    rq = reporting(r, &c.gateway, body);
    rq->done = tell;
    engine_submit(r->en, rq);
}

static pid_t serve(struct rig *r, uint32_t from, int *ret_answers)
{
    int ends[2];
    pid_t pid;

    rig_stop_engine(r);
    rig_must(pipe(ends) == 0, "pipe");
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        close(ends[0]);
        answers = ends[1];
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        report_next(r, from);
        for (;;)
            pause();
    }
    close(ends[1]);
    *ret_answers = ends[0];
    return pid;
}

/* A gateway whose server dies sends again what was not answered. */
static void sums_and_records_agree_after_the_server_was_killed_again_and_again(void **state)
{
    struct rig *r = rig_new();
    uint32_t answered = 0;

    (void)state;
    c = customer_new(r, "acme");
    for (useconds_t round = 0; round < 12; round++) {
        int fd = -1;
        pid_t pid = serve(r, answered + 1, &fd);
        uint32_t number;

        rig_must(read(fd, &number, sizeof number) == sizeof number, "an answer");
        answered = number;
        usleep(500 + 1700 * round);
        rig_kill(pid);
        while (read(fd, &number, sizeof number) == sizeof number)
            answered = number;
        close(fd);
        rig_start_engine(r);
    }
    (void)report_number(r, &c, "openai", answered + 1, ",\"requests\":3,\"cost\":\"0.01\"");
    assert_int_equal(total(r, "acme", "requests"), 3 * (json_int_t)(answered + 1));
    assert_int_equal(total(r, "acme", "cost_micro"), 10000 * (json_int_t)(answered + 1));
    assert_int_equal(recorded(r, "acme", TYPE("usage.reported")), answered + 1);
    assert_int_equal(recorded(r, "acme", TYPE("usage.gap")), 0);
    assert_true(answered >= 12); /* one a round, at least */
    rig_free(r);
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void a_key_has_so_many_models_a_day_and_the_others_are_one(void **state)
{
    struct rig *r = rig_new();
    char more[64];
    json_t *rows, *row;
    size_t i, others = 0;

    (void)state;
    c = customer_new(r, "acme");
    for (unsigned n = 1; n <= USAGE_MODELS_MAX + 5; n++) {
        snprintf(more, sizeof more, ",\"model\":\"m-%u\"", n);
        assert_int_equal(report_number(r, &c, "openai", n, more), 1);
    }
    rows = shown(r, &r->alice, "acme", BY_MODEL);
    assert_int_equal(json_array_size(rows), USAGE_MODELS_MAX + 1);
    json_array_foreach(rows, i, row)
    {
        if (strcmp(rig_text(row, "model"), "other") == 0)
            others = (size_t)json_integer_value(json_object_get(row, "requests"));
    }
    assert_int_equal(others, 5);
    assert_int_equal(recorded(r, "acme", "\"model\":\"m-37\""), 1); /* the record says it */
    json_decref(rows);
    rig_free(r);
}

static void as_many_reports_as_a_body_may_have_are_counted_at_once(void **state)
{
    struct rig *r = rig_new();
    char *body = malloc(65536), *at = body;

    (void)state;
    c = customer_new(r, "acme");
    at += sprintf(at, "{\"reports\":[");
    for (unsigned n = 1; n <= USAGE_REPORTS_MAX; n++)
        at += sprintf(at,
                      "%s{\"key\":\"acme/openai\",\"report\":%u,\"model\":\"%096u\","
                      "\"input_tokens\":1000000000000,\"output_tokens\":1000000000000,"
                      "\"cost\":1000000,\"requests\":1000000000,\"status\":{\"200\":100000000,"
                      "\"429\":100000000,\"400\":100000000,\"500\":100000000},\"request_ids\":["
                      "\"%064u\",\"%064u\",\"%064u\",\"%064u\"],\"from\":1,\"to\":1764500000}",
                      n == 1 ? "" : ",", n, n % 20, n, n, n, n);
    strcpy(at, "]}");
    assert_int_equal(report(r, &c.gateway, body), USAGE_REPORTS_MAX);
    assert_int_equal(total(r, "acme", "reports"), USAGE_REPORTS_MAX);
    assert_int_equal(total(r, "acme", "input_tokens"),
                     (json_int_t)USAGE_REPORTS_MAX * USAGE_TOKEN_MAX);
    free(body);
    rig_free(r);
}

static void what_needs_more_records_than_a_body_may_make_is_left_to_be_sent_again(void **state)
{
    struct rig *r = rig_new();
    char body[8192], *at = body;
    struct request *rq;
    json_t *refused;

    (void)state;
    c = customer_new(r, "acme");
    at += sprintf(at, "{\"reports\":[");
    for (unsigned n = 1; n <= 40; n++) /* a gap before each */
        at += sprintf(at, "%s{\"key\":\"acme/openai\",\"report\":%u}", n == 1 ? "" : ",", 3 * n);
    strcpy(at, "]}");
    rq = rig_submit(r, reporting(r, &c.gateway, body));
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    refused = json_object_get(rq->reply, "refused");
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "counted")), 31);
    assert_int_equal(json_array_size(refused), 9);
    assert_string_equal(rig_text(json_array_get(refused, 0), "title"), "limit");
    request_free(rq);
    assert_int_equal(report(r, &c.gateway, body), 9);
    assert_int_equal(total(r, "acme", "reports"), 40);
    rig_free(r);
}

static void what_many_requests_of_one_body_sum_up_to_is_bounded(void **state)
{
    struct rig *r = rig_new();
    struct request *rq;
    char *body = malloc(262144), *at = body;

    (void)state;
    c = customer_new(r, "acme");
    at += sprintf(at, "[");
    for (unsigned n = 1; n <= USAGE_ITEMS_MAX; n++)
        at +=
            sprintf(at, "%s{\"id\":\"c-%u\",\"prompt_tokens\":1000000000000,\"response_cost\":1e6}",
                    n == 1 ? "" : ",", n);
    strcpy(at, "]");
    rq = rig_request(r, VERB_USAGE_LITELLM, &c.gateway, NULL, NULL, NULL);
    assert_int_equal(usage_parse(USAGE_LITELLM, span_text(body), &rq->usage, NULL), OK);
    snprintf(rq->usage->key, sizeof rq->usage->key, "acme/openai");
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "counted")), USAGE_ITEMS_MAX);
    request_free(rq);
    assert_int_equal(total(r, "acme", "requests"), USAGE_ITEMS_MAX);
    assert_int_equal(total(r, "acme", "input_tokens"), STORE_SUM_MAX);
    assert_int_equal(total(r, "acme", "cost_micro"), STORE_SUM_MAX);
    report_number(r, &c, "openai", 1, ",\"cost\":1000000"); /* and stays there */
    assert_int_equal(total(r, "acme", "cost_micro"), STORE_SUM_MAX);
    free(body);
    rig_free(r);
}

static void what_was_sent_is_remembered_until_so_much_else_was_sent(void **state)
{
    const struct id gateway = { { 1 } }, other = { { 2 } };
    uint8_t first[ONCE_HASH], hash[ONCE_HASH];
    struct once *o = NULL;
    char text[16];

    (void)state;
    assert_int_equal(once_new(&o, NULL), OK);
    once_hash(&gateway, "first", first);
    once_note(o, first);
    for (unsigned i = 1; i < 65536; i++) {
        snprintf(text, sizeof text, "%u", i);
        once_hash(&gateway, text, hash);
        once_note(o, hash);
        once_note(o, hash); /* again is not more */
    }
    assert_true(once_seen(o, first));
    once_hash(&other, "first", hash);
    assert_false(once_seen(o, hash)); /* another gateway's is another one */
    once_note(o, hash);
    assert_false(once_seen(o, first));
    assert_true(once_seen(o, hash));
    once_free(o);
}

/* --- what was spent -------------------------------------------------------------------------- */

static void what_was_spent_is_known_by_tenant_key_and_day(void **state)
{
    struct rig *r = rig_new();
    struct customer other;
    status st;

    (void)state;
    c = customer_new(r, "acme");
    other = customer_new(r, "globex");
    put_key(r, &c, "second");
    report_number(r, &c, "openai", 1, ",\"cost\":1"); /* before anybody has asked */
    assert_int_equal(spent(r, "acme", NULL, 0, &st), 1000000);
    report_number(r, &c, "openai", 2, ",\"cost\":2"); /* and after */
    report_number(r, &c, "second", 1, ",\"cost\":0.5");
    report_number(r, &other, "openai", 1, ",\"cost\":9");
    assert_int_equal(spent(r, "acme", NULL, 0, &st), 3500000);
    assert_int_equal(spent(r, "acme", "openai", 0, &st), 3000000);
    assert_int_equal(spent(r, "acme", "second", 0, &st), 500000);
    assert_int_equal(spent(r, "globex", "openai", 0, &st), 9000000);
    rig_pass(3 * DAY_S);
    report_number(r, &c, "openai", 3, ",\"cost\":4");
    assert_int_equal(spent(r, "acme", NULL, 0, &st), 4000000);
    assert_int_equal(spent(r, "acme", NULL, 2, &st), 4000000);
    assert_int_equal(spent(r, "acme", NULL, 3, &st), 7500000);
    rig_restart_engine(r);
    assert_int_equal(spent(r, "acme", NULL, 0, &st), 4000000);
    assert_int_equal(spent(r, "acme", "second", 3, &st), 500000);
    rig_pass(40 * DAY_S);
    report_number(r, &c, "openai", 4, ",\"cost\":8");
    assert_int_equal(spent(r, "acme", NULL, USAGE_SPENT_DAYS - 1, &st), 8000000);
    assert_int_equal(st, OK);
    (void)spent(r, "acme", NULL, USAGE_SPENT_DAYS, &st);
    assert_int_equal(st, LIMIT);
    rig_free(r);
}

static bool stop_at_first(void *context, const struct store_usage_row *row)
{
    (void)row;
    ++*(size_t *)context;
    return false;
}

/* How many days have sums, up to one; and whether the number of the key's last report is known. */
static bool has_sums(struct rig *r, bool *ret_number)
{
    const struct store_usage_filter all = { .to_day = INT64_MAX, .by = BY_DAY };
    struct store_usage_number n;
    struct store_tenant t;
    struct store_key k;
    size_t count = 0;
    const struct policy_certificate *held;

    rig_hold(r);
    assert_int_equal(store_usage(r->en->store, &all, 2, stop_at_first, &count, NULL), OK);
    assert_int_equal(store_tenant(r->en->store, "acme", &t, NULL), OK);
    assert_int_equal(store_key(r->en->store, &t.id, "openai", &k, NULL), OK);
    assert_int_equal(policy_resolve(r->en->policy, &c.gateway, &held, NULL), OK);
    assert_int_equal(store_usage_number(r->en->store, &t.id, &k.id, &held->gateway, &n, NULL), OK);
    rig_let_go(r);
    *ret_number = n.next > 1;
    return count > 0;
}

/* The daily job runs at a start, too. */
static void sums_and_numbers_are_kept_for_four_hundred_days(void **state)
{
    struct rig *r = rig_new();
    bool number = false;

    (void)state;
    c = customer_new(r, "acme");
    report_number(r, &c, "openai", 1, "");
    rig_pass(USAGE_KEPT_DAYS * DAY_S - 60);
    rig_restart_engine(r);
    (void)rig_try(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    assert_true(has_sums(r, &number));
    assert_true(number);
    rig_pass(2 * DAY_S);
    rig_restart_engine(r);
    for (unsigned i = 0; i < 100 && (has_sums(r, &number) || number); i++)
        usleep(50000);
    assert_false(has_sums(r, &number));
    assert_false(number);
    rig_free(r);
}

static void sums_of_the_last_31_days_are_shown_unless_others_are_asked_for(void **state)
{
    struct rig *r = rig_new();
    struct request *rq;

    (void)state;
    c = customer_new(r, "acme");
    report_number(r, &c, "openai", 1, "");
    rig_pass(30 * DAY_S);
    report_number(r, &c, "openai", 2, "");
    assert_int_equal(total(r, "acme", "requests"), 2);
    rig_pass(DAY_S);
    report_number(r, &c, "openai", 3, "");
    assert_int_equal(total(r, "acme", "requests"), 2);
    rq = rig_request(r, VERB_USAGE_SHOW, &r->alice, NULL, NULL, NULL);
    rq->usage_filter = calloc(1, sizeof *rq->usage_filter);
    rq->usage_filter->has_since = true; /* day 0 */
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(json_array_size(json_object_get(rq->reply, "rows")), 3);
    request_free(rq);
    rig_free(r);
}

static void more_rows_than_anybody_reads_are_refused(void **state)
{
    struct rig *r = rig_new();
    struct store_usage u = { .class = CLASS_STATIC, .requests = 1 };
    struct request *rq;
    struct store_tenant t;
    struct store_key k;
    json_t *rows;

    (void)state;
    c = customer_new(r, "acme");
    rig_hold(r);
    assert_int_equal(store_tenant(r->en->store, "acme", &t, NULL), OK);
    assert_int_equal(store_key(r->en->store, &t.id, "openai", &k, NULL), OK);
    u.tenant = t.id;
    u.key = k.id;
    u.day = engine_now_us(r->en) / DAY_US;
    assert_int_equal(store_begin(r->en->store, NULL), OK);
    for (unsigned i = 0; i <= 5000; i++) {
        snprintf(u.model, sizeof u.model, "m-%u", i);
        assert_int_equal(store_usage_add(r->en->store, &u, NULL), OK);
    }
    assert_int_equal(store_commit(r->en->store, NULL), OK);
    rig_let_go(r);
    rows = shown(r, &r->alice, "acme", BY_KEY);
    assert_int_equal(json_array_size(rows), 1);
    json_decref(rows);
    rq = rig_request(r, VERB_USAGE_SHOW, &r->alice, NULL, NULL, NULL);
    rq->usage_filter = calloc(1, sizeof *rq->usage_filter);
    rq->usage_filter->by = BY_MODEL;
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(rq->outcome, LIMIT);
    request_free(rq);
    rig_free(r);
}

/* --- whose ----------------------------------------------------------------------------------- */

static void a_limited_auditor_sees_sums_of_its_tenants_alone(void **state)
{
    struct rig *r = rig_new();
    struct customer other;
    struct holder auditor;
    char *csr = rig_csr();
    json_t *made, *rows;

    (void)state;
    c = customer_new(r, "acme");
    other = customer_new(r, "globex");
    report_number(r, &c, "openai", 1, "");
    report_number(r, &other, "openai", 1, "");
    made = rig_get(r, VERB_CERTIFICATE_ISSUE, &r->alice, NULL, NULL,
                   json_pack("{s:s, s:s, s:s, s:[s]}", "role", "auditor", "name", "una", "csr", csr,
                             "tenants", "acme"));
    auditor = rig_holder(r, rig_text(made, "certificate"));
    rows = shown(r, &auditor, "", BY_TENANT);
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(rig_text(json_array_get(rows, 0), "tenant"), "acme");
    json_decref(rows);
    rows = shown(r, &r->alice, "", BY_TENANT);
    assert_int_equal(json_array_size(rows), 2);
    json_decref(rows);
    json_decref(made);
    free(csr);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_counts_once_in_whatever_order_it_comes),
        cmocka_unit_test(sums_and_records_agree_after_the_server_was_killed_again_and_again),
        cmocka_unit_test(a_key_has_so_many_models_a_day_and_the_others_are_one),
        cmocka_unit_test(as_many_reports_as_a_body_may_have_are_counted_at_once),
        cmocka_unit_test(what_needs_more_records_than_a_body_may_make_is_left_to_be_sent_again),
        cmocka_unit_test(what_many_requests_of_one_body_sum_up_to_is_bounded),
        cmocka_unit_test(what_was_sent_is_remembered_until_so_much_else_was_sent),
        cmocka_unit_test(what_was_spent_is_known_by_tenant_key_and_day),
        cmocka_unit_test(sums_and_numbers_are_kept_for_four_hundred_days),
        cmocka_unit_test(sums_of_the_last_31_days_are_shown_unless_others_are_asked_for),
        cmocka_unit_test(more_rows_than_anybody_reads_are_refused),
        cmocka_unit_test(a_limited_auditor_sees_sums_of_its_tenants_alone),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
