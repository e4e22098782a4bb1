/*
 * Failing writes, syncs and truncations, the n-th for n = 1, 2, ... until the work succeeds. The
 * failures come from a file system layer below the store's. After each: the store said IO if it
 * said anything wrong, and opening again shows all of a transaction or nothing of it.
 */
#include <limits.h>

#include "unit/test_store_rig.h"

/* --- a file system that fails on demand ------------------------------------------------------ */

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* follows in the same memory */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    long first; /* operation to fail, counted from 1; 0: none */
    long last;
    long operations;
    int code;
} faulty;

static bool fails_now(void)
{
    faulty.operations++;
    return faulty.operations >= faulty.first && faulty.operations <= faulty.last;
}

static void fail_never(void)
{
    faulty.first = faulty.last = faulty.operations = 0;
}

/* A disk that breaks. */
static void fail_from(long operation, int code)
{
    faulty.operations = 0;
    faulty.first = operation;
    faulty.last = LONG_MAX;
    faulty.code = code;
}

/* A disk that works again at once, which must not tempt anyone to try again. */
static void fail_once(long operation, int code)
{
    fail_from(operation, code);
    faulty.last = operation;
}

static bool failed(void)
{
    return faulty.first != 0 && faulty.operations >= faulty.first;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static int faulty_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods->xClose(real);
}

static int faulty_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), to, n, at);
}

/* A write that fails has written half: what a power cut or a full disk leaves. */
static int faulty_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);

    if (!fails_now())
        return real->pMethods->xWrite(real, from, n, at);
    (void)real->pMethods->xWrite(real, from, n / 2, at);
    return faulty.code;
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails_now())
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    if (fails_now())
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int faulty_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int faulty_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int faulty_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int faulty_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int faulty_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int faulty_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which an exclusive lock does without. */
static const sqlite3_io_methods faulty_methods = {
    .iVersion = 1,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_traits,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags)
{
    struct faulty_file *f = (struct faulty_file *)file;
    int code;

    (void)vfs;
    f->real = (sqlite3_file *)(f + 1);
    code = faulty.real->xOpen(faulty.real, name, f->real, flags, ret_flags);
    file->pMethods = code == SQLITE_OK ? &faulty_methods : NULL;
    return code;
}

static int faulty_register(void **state)
{
    faulty.real = sqlite3_vfs_find(NULL);
    assert_non_null(faulty.real);
    faulty.vfs = *faulty.real;
    faulty.vfs.pNext = NULL;
    faulty.vfs.zName = "faulty";
    faulty.vfs.szOsFile += (int)sizeof(struct faulty_file);
    faulty.vfs.xOpen = faulty_open;
    assert_int_equal(sqlite3_vfs_register(&faulty.vfs, 1), SQLITE_OK);
    return rig_slab(state);
}

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
