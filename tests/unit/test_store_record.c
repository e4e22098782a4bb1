/* Audit records and heads, and how statements find their rows. */
#include "base/limits.h"

#include "unit/test_store_rig.h"

static void add(struct rig *r, const struct store_record *record)
{
    rig_begin(r);
    assert_ok(store_record_add(r->s, record, &r->e));
    rig_commit(r);
}

struct seen {
    unsigned count;
    unsigned stop_after;
    struct store_record last;
    uint64_t seqs[16];
    char line[LIMIT_RECORD + 1];
};

static bool see(void *context, const struct store_record *record)
{
    struct seen *seen = context;

    assert_true(seen->count < COUNT(seen->seqs));
    seen->seqs[seen->count++] = record->seq;
    seen->last = *record;
    memcpy(seen->line, record->line.p, record->line.n);
    seen->line[record->line.n] = '\0';
    return seen->count != seen->stop_after;
}

static void a_record_comes_back_byte_for_byte(void **state)
{
    struct rig *r = *state;
    struct store_record record = record_of(7, 0, "{\"v\":1,\"text\":\"\\u0000 \xc3\xa4\"}");
    struct seen seen = { 0 };

    record.outcome = 2;
    record.type = 65535;
    add(r, &record);
    rig_reopen(r);
    assert_ok(store_records(r->s, &record.log, 0, 1, see, &seen, &r->e));
    assert_int_equal(seen.count, 1);
    assert_true(id_same(&seen.last.log, &record.log));
    assert_int_equal(seen.last.seq, 0);
    assert_int_equal(seen.last.time_us, record.time_us);
    assert_int_equal(seen.last.type, 65535);
    assert_int_equal(seen.last.outcome, 2);
    assert_memory_equal(seen.last.mac, record.mac, 32);
    assert_int_equal(seen.last.line.n, record.line.n);
    assert_memory_equal(seen.line, record.line.p, record.line.n);
}

static void the_same_record_again_has_no_effect(void **state)
{
    struct rig *r = *state;
    struct store_record record = record_of(7, 3, "{}");
    struct seen seen = { 0 };

    add(r, &record);
    add(r, &record);
    assert_ok(store_records(r->s, &record.log, 0, 9, see, &seen, &r->e));
    assert_int_equal(seen.count, 1);
}

static void another_record_in_the_same_place_is_a_conflict(void **state)
{
    struct rig *r = *state;
    struct store_record record = record_of(7, 3, "{}");
    struct store_record others[5];
    struct seen seen = { 0 };

    add(r, &record);
    for (size_t i = 0; i < COUNT(others); i++)
        others[i] = record;
    others[0].line = span_text("{ }");
    others[1].mac[31] ^= 1;
    others[2].time_us++;
    others[3].type++;
    others[4].outcome++;
    rig_begin(r);
    for (size_t i = 0; i < COUNT(others); i++)
        assert_status(store_record_add(r->s, &others[i], NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_records(r->s, &record.log, 0, 9, see, &seen, &r->e));
    assert_string_equal(seen.line, "{}");
}

static void a_record_that_is_empty_or_too_long_is_refused(void **state)
{
    static char text[LIMIT_RECORD + 2];
    struct rig *r = *state;
    struct store_record record = record_of(7, 0, "");

    memset(text, 'x', sizeof(text) - 1);
    rig_begin(r);
    assert_status(store_record_add(r->s, &record, NULL), BUG);
    record.line = span_text(text);
    assert_status(store_record_add(r->s, &record, NULL), LIMIT);
    record.line.n = LIMIT_RECORD;
    assert_ok(store_record_add(r->s, &record, &r->e));
    rig_commit(r);
}

static void records_of_one_log_come_in_order_from_a_place_up_to_a_limit(void **state)
{
    struct rig *r = *state;
    struct id log = id_of(7);
    struct seen seen = { 0 };

    rig_begin(r);
    for (uint64_t seq = 10; seq > 0; seq--) {
        struct store_record mine = record_of(7, seq - 1, "{}");
        struct store_record other = record_of(8, seq - 1, "{}");

        assert_ok(store_record_add(r->s, &mine, &r->e));
        assert_ok(store_record_add(r->s, &other, &r->e));
    }
    rig_commit(r);
    assert_ok(store_records(r->s, &log, 4, 3, see, &seen, &r->e));
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.seqs[0], 4);
    assert_int_equal(seen.seqs[2], 6);
    assert_true(id_same(&seen.last.log, &log));
    seen = (struct seen){ .stop_after = 2 };
    assert_ok(store_records(r->s, &log, 0, SIZE_MAX, see, &seen, &r->e));
    assert_int_equal(seen.count, 2);
    seen = (struct seen){ 0 };
    assert_ok(store_records(r->s, &log, 10, 3, see, &seen, &r->e));
    assert_ok(store_records(r->s, &log, UINT64_MAX, 3, see, &seen, &r->e));
    assert_ok(store_records(r->s, &log, 0, 0, see, &seen, &r->e));
    assert_int_equal(seen.count, 0);
}

struct nested {
    struct rig *r;
    struct id log;
    status same;
    status other;
};

static bool call_again(void *context, const struct store_record *record)
{
    struct nested *n = context;
    struct seen seen = { 0 };
    uint64_t size;

    (void)record;
    n->same = store_records(n->r->s, &n->log, 0, 1, see, &seen, NULL);
    n->other = store_log_size(n->r->s, &n->log, &size, NULL);
    return true;
}

static void a_callback_may_use_the_store_but_not_call_its_caller(void **state)
{
    struct rig *r = *state;
    struct nested n = { .r = r, .log = id_of(7) };
    struct store_record record = record_of(7, 0, "{}");

    add(r, &record);
    assert_ok(store_records(r->s, &n.log, 0, 9, call_again, &n, &r->e));
    assert_status(n.same, BUG);
    assert_status(n.other, OK);
}

static void records_that_matter_to_leases_come_oldest_first_from_all_logs(void **state)
{
    static const struct {
        unsigned log;
        uint64_t until_us;
    } rows[] = { { 1, 50 }, { 2, 31 }, { 1, 40 }, { 1, 0 }, { 2, 30 }, { 2, 41 }, { 1, 20 } };
    static const uint64_t order[] = { 0, 1, 2, 5 };
    struct rig *r = *state;
    struct seen seen = { 0 };

    rig_begin(r);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct store_record record = record_of(rows[i].log, i, "{}");

        record.until_us = rows[i].until_us;
        assert_ok(store_record_add(r->s, &record, &r->e));
    }
    rig_commit(r);
    assert_ok(store_lease_records(r->s, 30, see, &seen, &r->e));
    assert_int_equal(seen.count, COUNT(order));
    assert_memory_equal(seen.seqs, order, sizeof(order));
    seen = (struct seen){ .stop_after = 1 };
    assert_ok(store_lease_records(r->s, 0, see, &seen, &r->e));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.seqs[0], 0);
}

struct heads {
    unsigned count;
    unsigned stop_after;
    uint64_t sizes[4];
    char texts[4][16];
};

static bool see_head(void *context, const struct id *log, uint64_t size, struct span head)
{
    struct heads *h = context;

    (void)log;
    assert_true(h->count < 4 && head.n < sizeof(h->texts[0]));
    h->sizes[h->count] = size;
    memcpy(h->texts[h->count], head.p, head.n);
    h->count++;
    return h->count != h->stop_after;
}

static void the_newest_head_of_each_log_is_kept(void **state)
{
    struct rig *r = *state;
    struct id vault = { 0 }, log = id_of(7), unknown = id_of(8);
    struct heads h = { 0 };
    uint64_t size = 99;

    rig_begin(r);
    assert_ok(store_head_set(r->s, &log, 1, span_text("first"), &r->e));
    assert_ok(store_head_set(r->s, &log, 2, span_text("second"), &r->e));
    assert_ok(store_head_set(r->s, &vault, 5, span_text("vault"), &r->e));
    rig_commit(r);
    assert_ok(store_heads(r->s, see_head, &h, &r->e));
    assert_int_equal(h.count, 2);
    assert_string_equal(h.texts[0], "vault");
    assert_string_equal(h.texts[1], "second");
    assert_int_equal(h.sizes[1], 2);
    h = (struct heads){ .stop_after = 1 };
    assert_ok(store_heads(r->s, see_head, &h, &r->e));
    assert_int_equal(h.count, 1);
    assert_ok(store_log_size(r->s, &log, &size, &r->e));
    assert_int_equal(size, 2);
    assert_ok(store_log_size(r->s, &unknown, &size, &r->e));
    assert_int_equal(size, 0);
    assert_status(store_head_set(r->s, &log, 3, span_text("third"), NULL), BUG);
}

/* The steps of a statement's plan, for each of which accept must hold. */
static void check_plan(struct rig *r, enum statement which, bool (*accept)(const char *step))
{
    sqlite3_stmt *plan = NULL;
    char sql[4096];

    (void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", statement_sql[which]);
    assert_int_equal(sqlite3_prepare_v2(r->s->db, sql, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(plan, 3);

        if (!accept(step))
            print_error("%s: %s\n", statement_sql[which], step);
        assert_true(accept(step));
    }
    (void)sqlite3_finalize(plan);
}

static bool finds_by_index(const char *step)
{
    return strncmp(step, "SCAN", 4) != 0 && strstr(step, "TEMP B-TREE") == NULL &&
           strstr(step, "AUTOMATIC") == NULL;
}

static bool needs_no_sort(const char *step)
{
    return strstr(step, "TEMP B-TREE") == NULL && strstr(step, "AUTOMATIC") == NULL;
}

/* Sums by whatever is asked for are sorted, but only what is in the days, of each tenant (w). */
static bool finds_what_it_sorts(const char *step)
{
    return (strncmp(step, "SCAN", 4) != 0 || strcmp(step, "SCAN d") == 0 ||
            strncmp(step, "SCAN w USING COVERING INDEX", 27) == 0) &&
           strstr(step, "AUTOMATIC") == NULL;
}

static void no_statement_looks_through_a_whole_table_to_find_a_row(void **state)
{
    struct rig *r = *state;

    for (int which = SQL_FACT_SET; which < STATEMENT_COUNT; which++) {
        /* These are asked for everything that an index holds. */
        bool all = which == SQL_HEAD_LIST || which == SQL_GRANT_LIST ||
                   which == SQL_ASSIGNMENT_LIST || which == SQL_ENGAGEMENT_ENDED ||
                   which == SQL_VERSION_REVOKED || which == SQL_COSIGNATURE_LIST ||
                   which == SQL_RECORD_ALERTS; /* the newest row, then a range */

        bool sums = which == SQL_USAGE_OF_TENANT || which == SQL_USAGE_OF_ALL;

        check_plan(r, (enum statement)which,
                   sums  ? finds_what_it_sorts
                   : all ? needs_no_sort
                         : finds_by_index);
    }
}

static bool searches_by_all_terms(const char *step)
{
    static const char *const steps[] = {
        "SEARCH t USING PRIMARY KEY (name=?)",
        "SEARCH k USING PRIMARY KEY (tenant=? AND name=?)",
        "SEARCH g USING PRIMARY KEY (tenant=? AND id=?)",
        "SEARCH v USING INDEX sqlite_autoindex_version_1 (tenant=? AND key=? AND version=?)",
    };

    for (size_t i = 0; i < COUNT(steps); i++) {
        /* The kind of join may follow. */
        if (strncmp(step, steps[i], strlen(steps[i])) == 0)
            return true;
    }
    return false;
}

static bool finds_operators(const char *step)
{
    return strcmp(step, "SEARCH record USING INDEX record_operator (log=? AND seq>?)") == 0;
}

static void the_records_of_operators_have_an_index_of_their_own(void **state)
{
    check_plan(*state, SQL_RECORD_OPERATORS, finds_operators);
}

/* However many records there are: the index alone, then the rows by id, in order as they are. */
static bool finds_live(const char *step)
{
    return strcmp(step, "SEARCH record USING INTEGER PRIMARY KEY (rowid=?)") == 0 ||
           strcmp(step, "LIST SUBQUERY 1") == 0 ||
           strcmp(step, "SEARCH record USING COVERING INDEX record_lease (until_us>?)") == 0;
}

static void the_records_of_live_leases_are_found_by_their_end(void **state)
{
    check_plan(*state, SQL_RECORD_LEASES, finds_live);
}

static void a_lease_takes_four_searches(void **state)
{
    check_plan(*state, SQL_KEY_LEASABLE, searches_by_all_terms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_record_comes_back_byte_for_byte),
        sentence(the_same_record_again_has_no_effect),
        sentence(another_record_in_the_same_place_is_a_conflict),
        sentence(a_record_that_is_empty_or_too_long_is_refused),
        sentence(records_of_one_log_come_in_order_from_a_place_up_to_a_limit),
        sentence(a_callback_may_use_the_store_but_not_call_its_caller),
        sentence(records_that_matter_to_leases_come_oldest_first_from_all_logs),
        sentence(the_newest_head_of_each_log_is_kept),
        sentence(no_statement_looks_through_a_whole_table_to_find_a_row),
        sentence(the_records_of_operators_have_an_index_of_their_own),
        sentence(the_records_of_live_leases_are_found_by_their_end),
        sentence(a_lease_takes_four_searches),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
