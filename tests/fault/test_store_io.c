/*
 * Failing writes, syncs and truncations, the n-th for n = 1, 2, ... until the work succeeds. The
 * failures come from a file system layer below the store's. After each: the store said IO if it
 * said anything wrong, and opening again shows all of a transaction or nothing of it.
 */
#include "fault/store_faults.h"

/* --- the work -------------------------------------------------------------------------------- */

#define RECORDS 40

/* A transaction over several tables; it replaces nothing, so that all or nothing can be seen. */
static status add_batch(struct rig *r, unsigned log)
{
    struct id id = id_of(log);
    char name[16];
    char line[600];
    struct store_tenant t;
    status st = store_begin(r->s, &r->e);

    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    (void)snprintf(name, sizeof(name), "tenant-%u", log);
    t = tenant_of(log, name);
    if (st == OK)
        st = store_tenant_add(r->s, &t, &r->e);
    for (uint64_t seq = 0; st == OK && seq < RECORDS; seq++) {
        struct store_record record = record_of(log, seq, line);

        st = store_record_add(r->s, &record, &r->e);
    }
    if (st == OK)
        st = store_head_set(r->s, &id, RECORDS, span_text("head"), &r->e);
    if (st != OK) {
        store_rollback(r->s);
        return st;
    }
    return store_commit(r->s, &r->e);
}

static bool count_record(void *context, const struct store_record *record)
{
    (void)record;
    ++*(unsigned *)context;
    return true;
}

/* Whether the batch is there; asserts that it is not there in part. */
static bool batch_is_there(struct rig *r, unsigned log)
{
    struct id id = id_of(log);
    struct store_tenant t;
    struct err e = { 0 };
    unsigned records = 0;
    uint64_t size = 0;
    bool there = store_tenant_by_id(r->s, &id, &t, &e) == OK;

    assert_true(there || e.code == NOT_FOUND);
    assert_ok(store_records(r->s, &id, 0, SIZE_MAX, count_record, &records, &r->e));
    assert_int_equal(records, there ? RECORDS : 0);
    assert_ok(store_log_size(r->s, &id, &size, &r->e));
    assert_int_equal(size, there ? RECORDS : 0);
    return there;
}

static void open_again(struct rig *r)
{
    store_cleanup(&r->s);
    fail_never();
    rig_open(r);
}

static void commits_that_fail(struct rig *r, void (*fail_at)(long operation, int code), int code)
{
    bool done = false;
    unsigned log = 1;

    rig_begin(r);
    rig_commit(r);
    for (long n = 1; !done; n++, log++) {
        status st;

        r->e = (struct err){ 0 };
        fail_at(n, code);
        st = add_batch(r, log);
        done = !failed();
        assert_status(st, done ? OK : IO);
        if (!done)
            assert_status(store_begin(r->s, NULL), IO);
        open_again(r);
        assert_true(batch_is_there(r, log) || !done);
        for (unsigned before = 1; before < log; before++)
            (void)batch_is_there(r, before);
        assert_true(n < 1000);
    }
    assert_true(log > 10);
}

static void a_failed_write_or_sync_commits_all_or_nothing(void **state)
{
    commits_that_fail(*state, fail_from, SQLITE_IOERR_WRITE);
}

static void a_single_failed_write_or_sync_is_as_final(void **state)
{
    commits_that_fail(*state, fail_once, SQLITE_IOERR_WRITE);
}

static void a_full_disk_commits_all_or_nothing(void **state)
{
    commits_that_fail(*state, fail_from, SQLITE_FULL);
}

static void nothing_runs_after_a_failed_commit(void **state)
{
    struct rig *r = *state;
    struct store_tenant t;

    rig_fill(r);
    fail_from(1, SQLITE_IOERR_WRITE);
    assert_status(add_batch(r, 9), IO);
    fail_never(); /* even though the disk works again */
    assert_status(store_tenant(r->s, "acme", &t, NULL), IO);
    assert_status(store_begin(r->s, NULL), IO);
    assert_status(store_checkpoint(r->s, NULL), IO);
    open_again(r);
    assert_ok(store_tenant(r->s, "acme", &t, &r->e));
}

static void a_failed_checkpoint_is_io_and_loses_nothing(void **state)
{
    struct rig *r = *state;
    bool done = false;

    for (long n = 1; !done; n++) {
        status st;

        assert_ok(add_batch(r, (unsigned)n));
        fail_from(n, SQLITE_IOERR_WRITE);
        st = store_checkpoint(r->s, &r->e);
        done = !failed();
        assert_status(st, done ? OK : IO);
        if (!done)
            assert_status(store_begin(r->s, NULL), IO);
        open_again(r);
        for (unsigned log = 1; log <= n; log++)
            assert_true(batch_is_there(r, log));
        assert_true(n < 1000);
    }
}

/* The value is bigger than what may gather in the WAL, so that its commit brings a checkpoint. */
static void a_failed_checkpoint_after_a_commit_is_io_and_the_commit_holds(void **state)
{
    static uint8_t value[600000];
    struct rig *r = *state;
    unsigned failures = 0;

    for (unsigned round = 0; round < 100 && failures == 0; round++) {
        struct span stored;
        status st;

        memset(value, (int)round, sizeof(value));
        rig_begin(r);
        assert_ok(store_fact_set(r->s, "big", SPAN(value), &r->e));
        assert_ok(store_fact_set(r->s, "round", span_of(&round, sizeof(round)), &r->e));
        /* Behind all frames and the sync of the commit itself: there are 2 writes a page. */
        fail_from(2 * (long)(sizeof(value) / 4096) + 60, SQLITE_IOERR_WRITE);
        st = store_commit(r->s, &r->e);
        if (st == OK)
            continue;
        assert_status(st, IO);
        assert_string_equal(r->e.why, "checkpoint after a commit failed");
        failures++;
        open_again(r);
        assert_ok(store_fact(r->s, "round", &stored, &r->e));
        assert_true(span_same(stored, span_of(&round, sizeof(round))));
    }
    assert_int_equal(failures, 1);
}

/* The first start: creating the file, the WAL and the schema. */
static void a_start_that_fails_is_io_and_the_next_one_works(void **state)
{
    struct rig *r = *state;
    bool done = false;

    for (long n = 1; !done; n++) {
        status st;

        store_cleanup(&r->s);
        rig_remove_files(r);
        r->e = (struct err){ 0 };
        fail_from(n, SQLITE_IOERR_WRITE);
        st = store_open(r->dir, r->key, &r->s, &r->e);
        done = !failed();
        assert_status(st, done ? OK : IO);
        open_again(r);
        assert_ok(add_batch(r, 1));
        assert_true(batch_is_there(r, 1));
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_failed_write_or_sync_commits_all_or_nothing),
        sentence(a_single_failed_write_or_sync_is_as_final),
        sentence(a_full_disk_commits_all_or_nothing),
        sentence(nothing_runs_after_a_failed_commit),
        sentence(a_failed_checkpoint_is_io_and_loses_nothing),
        sentence(a_failed_checkpoint_after_a_commit_is_io_and_the_commit_holds),
        sentence(a_start_that_fails_is_io_and_the_next_one_works),
    };

    return cmocka_run_group_tests(tests, faulty_register, NULL);
}
