/* Transactions, savepoints, checkpoints, and what a killed process leaves behind. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "unit/test_store_rig.h"

static status add_tenant(struct rig *r, unsigned n, const char *name)
{
    struct store_tenant t = tenant_of(n, name);

    return store_tenant_add(r->s, &t, &r->e);
}

static bool has_tenant(struct rig *r, const char *name)
{
    struct store_tenant t;

    return store_tenant(r->s, name, &t, NULL) == OK;
}

static void a_committed_change_is_there_after_opening_again(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(add_tenant(r, 1, "acme"));
    rig_commit(r);
    rig_reopen(r);
    assert_true(has_tenant(r, "acme"));
}

static void a_rolled_back_change_is_gone(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(add_tenant(r, 1, "acme"));
    store_rollback(r->s);
    assert_false(has_tenant(r, "acme"));
    store_rollback(r->s); /* nothing to do */
    assert_int_equal(store_counters(r->s)->commits, 0);
}

static void closing_rolls_back_what_is_open(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(add_tenant(r, 1, "acme"));
    rig_reopen(r);
    assert_false(has_tenant(r, "acme"));
}

static void a_change_outside_a_transaction_is_a_bug(void **state)
{
    struct rig *r = *state;

    assert_status(add_tenant(r, 1, "acme"), BUG);
    assert_string_equal(r->e.why, "change outside a transaction");
    assert_false(has_tenant(r, "acme"));
}

static void transactions_do_not_nest_and_end_once(void **state)
{
    struct rig *r = *state;

    assert_status(store_commit(r->s, &r->e), BUG);
    rig_begin(r);
    assert_status(store_begin(r->s, &r->e), BUG);
    assert_ok(add_tenant(r, 1, "acme"));
    assert_ok(store_commit(r->s, NULL));
    assert_status(store_commit(r->s, &r->e), BUG);
    assert_true(has_tenant(r, "acme"));
}

static void an_undone_savepoint_leaves_the_rest_of_the_transaction(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(store_mark(r->s, &r->e));
    assert_ok(add_tenant(r, 1, "acme"));
    assert_ok(store_keep(r->s, &r->e));
    assert_ok(store_mark(r->s, &r->e));
    assert_ok(add_tenant(r, 2, "bolt"));
    assert_ok(store_undo(r->s, &r->e));
    assert_ok(store_mark(r->s, &r->e));
    assert_ok(add_tenant(r, 3, "crux"));
    assert_ok(store_keep(r->s, &r->e));
    rig_commit(r);
    rig_reopen(r);
    assert_true(has_tenant(r, "acme"));
    assert_false(has_tenant(r, "bolt"));
    assert_true(has_tenant(r, "crux"));
}

static void savepoints_are_refused_where_they_make_no_sense(void **state)
{
    struct rig *r = *state;

    assert_status(store_mark(r->s, NULL), BUG);
    assert_status(store_keep(r->s, NULL), BUG);
    assert_status(store_undo(r->s, NULL), BUG);
    rig_begin(r);
    assert_status(store_keep(r->s, NULL), BUG);
    assert_ok(store_mark(r->s, &r->e));
    assert_status(store_mark(r->s, NULL), BUG);
    assert_status(store_commit(r->s, NULL), BUG);
    assert_ok(store_keep(r->s, &r->e));
    assert_status(store_undo(r->s, NULL), BUG);
    rig_commit(r);
}

static void a_refused_statement_leaves_the_transaction_usable(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(add_tenant(r, 1, "acme"));
    assert_status(add_tenant(r, 2, "acme"), CONFLICT);
    r->e = (struct err){ 0 };
    assert_ok(add_tenant(r, 2, "bolt"));
    rig_commit(r);
    assert_true(has_tenant(r, "acme"));
    assert_true(has_tenant(r, "bolt"));
}

/* SQLite ends a transaction by itself after some write errors. What follows must not be written
 * on its own, and the commit must not look like one. */
static void a_lost_transaction_is_noticed(void **state)
{
    struct rig *r = *state;

    rig_begin(r);
    assert_ok(add_tenant(r, 1, "acme"));
    assert_int_equal(sqlite3_exec(r->s->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_status(add_tenant(r, 2, "bolt"), IO);
    assert_status(store_commit(r->s, NULL), IO);
    assert_status(store_begin(r->s, NULL), IO);
    assert_status(store_checkpoint(r->s, NULL), IO);
    rig_reopen(r);
    assert_false(has_tenant(r, "acme"));
    assert_false(has_tenant(r, "bolt"));
}

static void counters_count_what_was_committed(void **state)
{
    struct rig *r = *state;
    struct store_record line = record_of(1, 0, "{}");

    rig_begin(r);
    assert_ok(store_record_add(r->s, &line, &r->e));
    assert_ok(store_mark(r->s, &r->e));
    line.seq = 1;
    assert_ok(store_record_add(r->s, &line, &r->e));
    assert_ok(store_undo(r->s, &r->e));
    assert_int_equal(store_counters(r->s)->records, 0);
    rig_commit(r);
    assert_int_equal(store_counters(r->s)->records, 1);
    rig_begin(r);
    line.seq = 1;
    assert_ok(store_record_add(r->s, &line, &r->e));
    store_rollback(r->s);
    rig_begin(r);
    line.seq = 0;
    assert_ok(store_record_add(r->s, &line, &r->e)); /* there already */
    rig_commit(r);
    assert_int_equal(store_counters(r->s)->records, 1);
    assert_int_equal(store_counters(r->s)->commits, 2);
}

static void a_checkpoint_empties_the_wal(void **state)
{
    struct rig *r = *state;

    rig_fill(r);
    assert_true(rig_file_size(r, "-wal") > 0);
    assert_ok(store_checkpoint(r->s, &r->e));
    assert_int_equal(rig_file_size(r, "-wal"), 0);
    assert_true(has_tenant(r, "acme"));
    rig_begin(r);
    assert_status(store_checkpoint(r->s, NULL), BUG);
    store_rollback(r->s);
}

struct checkpointer {
    struct store *s;
    status st;
};

static bool checkpoint_within(void *context, const struct store_record *line)
{
    struct checkpointer *c = context;

    (void)line;
    c->st = store_checkpoint(c->s, NULL);
    return false;
}

static void a_checkpoint_during_a_read_is_a_limit_and_no_failure(void **state)
{
    struct rig *r = *state;
    struct checkpointer c = { .s = r->s };
    struct store_record line = record_of(1, 0, "{}");

    rig_begin(r);
    assert_ok(store_record_add(r->s, &line, &r->e));
    rig_commit(r);
    assert_ok(store_records(r->s, &line.log, 0, 10, checkpoint_within, &c, &r->e));
    assert_status(c.st, LIMIT);
    assert_ok(store_checkpoint(r->s, &r->e));
}

/* 200 KB a commit: the WAL would be 80 MB without the checkpoints in between. */
static void the_wal_does_not_grow_without_bound(void **state)
{
    static uint8_t value[200000];
    struct rig *r = *state;

    for (int i = 0; i < 400; i++) {
        memset(value, i, sizeof(value));
        rig_begin(r);
        assert_ok(store_fact_set(r->s, "big", SPAN(value), &r->e));
        rig_commit(r);
    }
    assert_true(rig_file_size(r, "-wal") < 40 * 1000 * 1000);
}

static void add_lease_rows(struct rig *r, unsigned log, uint64_t seq)
{
    char line[480];
    uint8_t head[360];
    struct id id = id_of(log);
    struct store_record record;

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memset(head, (int)seq, sizeof(head));
    record = record_of(log, seq, line);
    assert_ok(store_record_add(r->s, &record, &r->e));
    assert_ok(store_head_set(r->s, &id, seq + 1, SPAN(head), &r->e));
}

static void a_batch_of_64_is_one_transaction(void **state)
{
    struct rig *r = *state;
    struct id log;
    uint64_t size = 0;

    rig_begin(r);
    for (unsigned n = 0; n < 64; n++)
        add_lease_rows(r, n % 8, n / 8);
    store_rollback(r->s);
    rig_begin(r);
    for (unsigned n = 0; n < 64; n++) {
        assert_ok(store_mark(r->s, &r->e));
        add_lease_rows(r, n % 8, n / 8);
        assert_ok(store_keep(r->s, &r->e));
    }
    rig_commit(r);
    rig_reopen(r);
    for (unsigned n = 0; n < 8; n++) {
        log = id_of(n);
        assert_ok(store_log_size(r->s, &log, &size, &r->e));
        assert_int_equal(size, 8);
    }
}

/* Commits three records at a time and tells after each commit how many there are. */
static void commit_until_killed(struct rig *r, int acknowledge)
{
    for (uint64_t n = 0;; n += 3) {
        uint64_t done = n + 3;

        rig_begin(r);
        for (uint64_t i = 0; i < 3; i++)
            add_lease_rows(r, 1, n + i);
        rig_commit(r);
        if (write(acknowledge, &done, sizeof(done)) != (ssize_t)sizeof(done))
            _exit(1);
    }
}

static uint64_t run_and_kill(struct rig *r, unsigned commits)
{
    uint64_t done = 0, acknowledged = 0;
    int ends[2], result;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (secret_start((size_t)64 * 1024, NULL) != OK)
            _exit(1);
        (void)close(ends[0]);
        r->key = rig_key(0x42);
        rig_open(r);
        commit_until_killed(r, ends[1]);
    }
    (void)close(ends[1]);
    while (read(ends[0], &done, sizeof(done)) == (ssize_t)sizeof(done)) {
        acknowledged = done;
        if (--commits == 0)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
    return acknowledged;
}

static bool count_in_order(void *context, const struct store_record *line)
{
    uint64_t *next = context;

    assert_int_equal(line->seq, *next);
    (*next)++;
    return true;
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct rig *r = *state;
    struct id log = id_of(1);

    for (unsigned round = 0; round < 5; round++) {
        uint64_t found = 0, size = 0, acknowledged;

        store_cleanup(&r->s);
        rig_remove_files(r);
        acknowledged = run_and_kill(r, 20 + 13 * round);
        rig_open(r);
        assert_ok(store_records(r->s, &log, 0, SIZE_MAX, count_in_order, &found, &r->e));
        assert_true(found >= acknowledged);
        assert_int_equal(found % 3, 0);
        assert_ok(store_log_size(r->s, &log, &size, &r->e));
        assert_int_equal(size, found);
    }
}

/* Printed, not asserted: what the SQL of a batch costs, durability included. */
static void the_sql_of_leases_takes_this_long(void **state)
{
    static const unsigned batches[] = { 1, 64 };
    struct rig *r = *state;
    uint64_t seq = 0;

    rig_fill(r);
    for (size_t b = 0; b < COUNT(batches); b++) {
        unsigned rounds = 2048 / batches[b];
        uint64_t start = clock_monotonic_us();
        uint64_t took;

        for (unsigned round = 0; round < rounds; round++) {
            rig_begin(r);
            for (unsigned n = 0; n < batches[b]; n++, seq++) {
                struct store_leasable l;

                assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
                add_lease_rows(r, 1 + (unsigned)(seq % 50), seq / 50);
            }
            rig_commit(r);
        }
        took = clock_monotonic_us() - start;
        print_message("batch of %2u: %llu us a batch, %llu leases a second\n", batches[b],
                      (unsigned long long)(took / rounds),
                      (unsigned long long)(2048 * SECOND_US / (took + 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_committed_change_is_there_after_opening_again),
        sentence(a_rolled_back_change_is_gone),
        sentence(closing_rolls_back_what_is_open),
        sentence(a_change_outside_a_transaction_is_a_bug),
        sentence(transactions_do_not_nest_and_end_once),
        sentence(an_undone_savepoint_leaves_the_rest_of_the_transaction),
        sentence(savepoints_are_refused_where_they_make_no_sense),
        sentence(a_refused_statement_leaves_the_transaction_usable),
        sentence(a_lost_transaction_is_noticed),
        sentence(counters_count_what_was_committed),
        sentence(a_checkpoint_empties_the_wal),
        sentence(a_checkpoint_during_a_read_is_a_limit_and_no_failure),
        sentence(the_wal_does_not_grow_without_bound),
        sentence(a_batch_of_64_is_one_transaction),
        sentence(what_was_acknowledged_survives_a_kill),
        sentence(the_sql_of_leases_takes_this_long),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
