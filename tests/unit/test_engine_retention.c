/* wrap: store_records_delete retention_state */
/* Old records go when operators allowed it, with a statement, and only then. */
#include "engine_customer.h"

#include "engine/retention.h"
#include "ledger/proof.h"
#include "ledger/verify.h"

/* --- a server that dies between the statement and the rows ------------------------------------ */

status __real_store_records_delete(struct store *s, const struct id *log, size_t limit,
                                   size_t *ret_deleted, struct err *e);
status __wrap_store_records_delete(struct store *s, const struct id *log, size_t limit,
                                   size_t *ret_deleted, struct err *e);

static bool delete_nothing;
static size_t deleted;
static unsigned runs; /* of the daily job */

status __wrap_store_records_delete(struct store *s, const struct id *log, size_t limit,
                                   size_t *ret_deleted, struct err *e)
{
    status st = OK;

    *ret_deleted = 0;
    if (!__atomic_load_n(&delete_nothing, __ATOMIC_SEQ_CST))
        st = __real_store_records_delete(s, log, limit, ret_deleted, e);
    __atomic_add_fetch(&deleted, *ret_deleted, __ATOMIC_SEQ_CST);
    return st;
}

status __real_retention_state(struct engine *en, struct err *e);
status __wrap_retention_state(struct engine *en, struct err *e);

status __wrap_retention_state(struct engine *en, struct err *e)
{
    status st = __real_retention_state(en, e);

    __atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
    return st;
}

static bool has_run(struct rig *r, const void *context)
{
    (void)r;
    return __atomic_load_n(&runs, __ATOMIC_SEQ_CST) > *(const unsigned *)context;
}

static bool has_deleted(struct rig *r, const void *context)
{
    (void)r;
    return __atomic_load_n(&deleted, __ATOMIC_SEQ_CST) == *(const size_t *)context;
}

/* --- the operation --------------------------------------------------------------------------- */

static json_t *propose(struct rig *r, int days)
{
    return rig_get(r, VERB_OPERATION_PROPOSE, &r->alice, NULL, NULL,
                   json_pack("{s:s, s:s, s:i}", "operation", "retention.set", "tenant", "acme",
                             "number", days));
}

static status set_retention(struct rig *r, int days)
{
    json_t *o = propose(r, days);
    json_t *slot = json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b)));
    json_t *opened = rig_get(r, VERB_OPERATION_SESSION, &r->alice, rig_text(o, "id"), NULL, slot);
    json_t *body = rig_prove(r, opened, SESSION_APPROVE, rig_text(o, "text"));
    status st;

    json_object_set_new(body, "slot", rig_as_hex(SPAN(r->slot.b)));
    st = rig_try(r, VERB_OPERATION_APPROVE, &r->alice, rig_text(o, "id"), NULL, body);
    json_decref(opened);
    json_decref(o);
    return st;
}

/* --- the log --------------------------------------------------------------------------------- */

static json_int_t beginning(struct rig *r)
{
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &r->alice, "acme", NULL, NULL);
    json_int_t first = json_integer_value(json_object_get(shown, "first"));

    json_decref(shown);
    return first;
}

static json_int_t size_of(struct rig *r)
{
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &r->alice, "acme", NULL, NULL);
    json_int_t size = json_integer_value(json_object_get(shown, "size"));

    json_decref(shown);
    return size;
}

/* The log has exactly `size` records from now on, those that are new of this moment. */
static void fill(struct rig *r, const struct customer *c, json_int_t size)
{
    struct request *asked[1024];
    size_t count = (size_t)(size - size_of(r));

    rig_must(count <= 1024, "room");
    for (size_t i = 0; i < count; i++)
        asked[i] = rig_submit(
            r, rig_request(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, "openai")));
    rig_wait(r);
    for (size_t i = 0; i < count; i++)
        request_free(asked[i]);
    assert_int_equal(size_of(r), size);
}

/* As after a day: the jobs of an attach are those of every day. */
static void next_day(struct rig *r, uint64_t days)
{
    unsigned before;

    rig_pass(days * DAY_S);
    rig_stop_engine(r);
    before = runs;
    rig_start_engine(r);
    assert_true(soon(has_run, r, &before));
}

static struct rig *old_log(struct customer *c)
{
    struct rig *r = rig_new();

    *c = customer_new(r, "acme");
    fill(r, c, 600);
    return r;
}

/* Reads the log from where it begins and verifies it against its checkpoint. */
static void verify(struct rig *r, uint64_t *ret_statement, char root[65])
{
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &r->alice, "acme", NULL, NULL), *item;
    uint64_t first = (uint64_t)json_integer_value(json_object_get(shown, "first"));
    uint64_t size = (uint64_t)json_integer_value(json_object_get(shown, "size"));
    struct ledger_proof left = { .count = 0 };
    struct ledger_verify v;
    struct id log;
    uint8_t public_key[32], bytes[32];
    size_t i = 0, n = 0;

    rig_hex(shown, "log", log.b, 16);
    json_array_foreach(json_object_get(shown, "left"), i, item)
        hex_parse(json_string_value(item), 64, left.hash[left.count++], 32);
    rig_must(base64_parse(rig_text(shown, "public_key"), strlen(rig_text(shown, "public_key")),
                          public_key, 32, &n),
             "key");
    assert_int_equal(ledger_verify_from(&v, &r->vault, &log, first, &left, NULL), OK);
    ledger_root(&v.tree, bytes);
    hex_format(SPAN(bytes), root);
    for (uint64_t at = first; at < size;) {
        struct request *rq = rig_request(r, VERB_LOG_RECORDS, &r->alice, "acme", NULL, NULL);

        rq->from = at;
        rig_submit(r, rq);
        rig_wait(r);
        assert_int_equal(rq->outcome, OK);
        for (char *line = rq->lines, *end; line < rq->lines + rq->lines_length; line = end + 1) {
            struct span s;

            end = memchr(line, '\n', (size_t)(rq->lines + rq->lines_length - line));
            s = span_of(line, (size_t)(end - line));
            assert_int_equal(ledger_verify_line(&v, s, NULL), OK);
            if (memmem(s.p, s.n, "records.dropped", 15) != NULL)
                *ret_statement = at;
            at++;
        }
        request_free(rq);
    }
    assert_int_equal(
        ledger_verify_finish(&v, span_text(rig_text(shown, "checkpoint")), SPAN(public_key), NULL),
        OK);
    json_decref(shown);
}

static status read_from(struct rig *r, uint64_t from, enum problem *ret_problem)
{
    struct request *rq = rig_request(r, VERB_LOG_RECORDS, &r->alice, "acme", NULL, NULL);
    status st;

    rq->from = from;
    rig_submit(r, rq);
    rig_wait(r);
    st = rq->outcome;
    *ret_problem = rq->problem;
    request_free(rq);
    return st;
}

/* From a place in the log on, or of the record there. */
static status prove(struct rig *r, enum verb verb, uint64_t at, enum problem *ret_problem)
{
    struct request *rq = rig_request(r, verb, &r->alice, "acme", NULL, NULL);
    status st;

    rq->from = rq->seq = at;
    rig_submit(r, rq);
    rig_wait(r);
    st = rq->outcome;
    *ret_problem = rq->problem;
    request_free(rq);
    return st;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void nothing_goes_unless_operators_allowed_it(void **state)
{
    struct customer c;
    struct rig *r = old_log(&c);
    enum problem problem;

    (void)state;
    next_day(r, 1000);
    assert_int_equal(beginning(r), 0);
    assert_int_equal(read_from(r, 0, &problem), OK);
    assert_int_equal(recorded(r, "acme", TYPE("records.dropped")), 0);
    rig_free(r);
}

static void old_records_go_with_a_statement_and_the_rest_verifies(void **state)
{
    const json_int_t expected = 512;
    struct customer c;
    struct rig *r = old_log(&c);
    uint64_t statement = 0;
    enum problem problem;
    json_t *tenant;
    char root[65];

    (void)state;
    assert_int_equal(set_retention(r, 40), OK);
    assert_int_equal(recorded(r, "vault", TYPE("retention.set")), 1);
    assert_int_equal(recorded(r, "vault", TYPE("operation.approved")), 1);
    tenant = rig_get(r, VERB_TENANT_SHOW, &c.cert, "acme", NULL, NULL);
    assert_int_equal(json_integer_value(json_object_get(tenant, "retention_days")), 40);
    json_decref(tenant);
    next_day(r, 41);
    assert_int_equal(beginning(r), expected);
    verify(r, &statement, root);
    assert_true(statement >= 600);
    assert_int_equal(read_from(r, 511, &problem), NOT_FOUND);
    assert_int_equal(problem, PROBLEM_GONE);
    assert_int_equal(read_from(r, 512, &problem), OK);
    {
        struct request *rq = rig_request(r, VERB_LOG_RECORDS, &r->alice, "acme", NULL, NULL);

        rq->from = statement;
        rig_submit(r, rq);
        rig_wait(r);
        assert_non_null(strstr(rq->lines, "\"first_seq\":0,\"last_seq\":511,\"records\":512"));
        assert_non_null(strstr(rq->lines, root));
        assert_non_null(strstr(rq->lines, "\"days\":40"));
        request_free(rq);
    }
    rig_free(r);
}

/* It is no damage, which would be told to those who watch. */
static void proofs_that_need_what_was_dropped_are_answered_as_gone(void **state)
{
    static const enum verb verbs[] = { VERB_LOG_INCLUSION, VERB_LOG_CONSISTENCY, VERB_LOG_RANGE };
    struct customer c;
    struct rig *r = old_log(&c);
    enum problem problem;

    (void)state;
    assert_int_equal(set_retention(r, 40), OK);
    next_day(r, 41);
    assert_int_equal(beginning(r), 512);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        assert_int_equal(prove(r, verbs[i], 300, &problem), NOT_FOUND);
        assert_int_equal(problem, PROBLEM_GONE);
        assert_int_equal(prove(r, verbs[i], 512, &problem), OK);
        assert_int_equal(prove(r, verbs[i], 599, &problem), OK);
    }
    assert_int_equal(prove(r, VERB_LOG_CONSISTENCY, 256, &problem), OK);
    assert_int_equal(prove(r, VERB_LOG_RANGE, 256, &problem), OK);
    rig_free(r);
}

static void younger_records_stay(void **state)
{
    const json_int_t expected = 256;
    struct customer c;
    struct rig *r = rig_new();

    (void)state;
    c = customer_new(r, "acme");
    fill(r, &c, 300);
    assert_int_equal(set_retention(r, 40), OK);
    rig_pass(30 * DAY_S);
    fill(r, &c, 800);
    next_day(r, 11);
    assert_int_equal(beginning(r), expected);
    rig_free(r);
}

static void what_is_to_be_kept_for_ever_is(void **state)
{
    struct customer c;
    struct rig *r = old_log(&c);

    (void)state;
    assert_int_equal(set_retention(r, 40), OK);
    assert_int_equal(set_retention(r, 0), OK);
    next_day(r, 100);
    assert_int_equal(beginning(r), 0);
    assert_int_equal(rig_try(r, VERB_OPERATION_PROPOSE, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:s, s:i}", "operation", "retention.set", "tenant",
                                       "acme", "number", 29)),
                     BAD_INPUT);
    rig_free(r);
}

static void nothing_goes_while_a_purge_is_to_come_or_is_young(void **state)
{
    const json_int_t expected = 512;
    struct customer c;
    struct rig *r = old_log(&c);

    (void)state;
    assert_int_equal(set_retention(r, 40), OK);
    rig_pass(38 * DAY_S);
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    next_day(r, 3); /* old enough, and the purge is to come */
    assert_int_equal(beginning(r), 0);
    next_day(r, 5); /* purged just now */
    assert_int_equal(beginning(r), 0);
    next_day(r, 41);
    assert_int_equal(beginning(r), expected);
    rig_free(r);
}

static void a_server_that_died_after_the_statement_goes_on(void **state)
{
    const json_int_t expected = 512;
    struct customer c;
    struct rig *r = old_log(&c);
    const size_t rows = 512;
    uint64_t statement = 0;
    char root[65];

    (void)state;
    assert_int_equal(set_retention(r, 40), OK);
    __atomic_store_n(&delete_nothing, true, __ATOMIC_SEQ_CST);
    next_day(r, 41);
    assert_int_equal(beginning(r), expected);
    rig_stop_engine(r);
    __atomic_store_n(&delete_nothing, false, __ATOMIC_SEQ_CST);
    deleted = 0;
    rig_start_engine(r);
    assert_true(soon(has_deleted, r, &rows));
    verify(r, &statement, root);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_goes_unless_operators_allowed_it),
        cmocka_unit_test(old_records_go_with_a_statement_and_the_rest_verifies),
        cmocka_unit_test(proofs_that_need_what_was_dropped_are_answered_as_gone),
        cmocka_unit_test(younger_records_stay),
        cmocka_unit_test(what_is_to_be_kept_for_ever_is),
        cmocka_unit_test(nothing_goes_while_a_purge_is_to_come_or_is_young),
        cmocka_unit_test(a_server_that_died_after_the_statement_goes_on),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
