/* wrap: pwrite fdatasync fsync ftruncate unlink renameat2 statvfs */
/*
 * A change of the database's key that is killed or fails at the n-th operation on a file, for every
 * n. After each the database opens with one of the two keys and holds every committed row, and
 * nothing else is left in the directory.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "fault/store_faults.h"

/* --- the calls that the store makes itself --------------------------------------------------- */

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_ftruncate(int fd, off_t size);
int __real_unlink(const char *path);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_statvfs(const char *path, struct statvfs *disk);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_unlink(const char *path);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_statvfs(const char *path, struct statvfs *disk);

static struct {
    bool fail_too;    /* and not only kill */
    bool no_exchange; /* a file system that cannot */
    uint64_t room;    /* free bytes; 0: as it is */
} calls;

static bool call_fails(void)
{
    if (!calls.fail_too && faulty.code != FAULT_KILL)
        return false;
    errno = EIO;
    return fails_now();
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    return call_fails() ? -1 : __real_pwrite(fd, p, n, at);
}

int __wrap_fdatasync(int fd)
{
    return call_fails() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    return call_fails() ? -1 : __real_fsync(fd);
}

int __wrap_ftruncate(int fd, off_t size)
{
    return call_fails() ? -1 : __real_ftruncate(fd, size);
}

int __wrap_unlink(const char *path)
{
    return call_fails() ? -1 : __real_unlink(path);
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (calls.no_exchange) {
        errno = EINVAL;
        return -1;
    }
    return call_fails() ? -1 : __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_statvfs(const char *path, struct statvfs *disk)
{
    int rc = __real_statvfs(path, disk);

    if (rc == 0 && calls.room != 0) {
        disk->f_frsize = 4096;
        disk->f_bavail = calls.room / 4096;
    }
    return rc;
}

/* --- the work -------------------------------------------------------------------------------- */

/* Two keys; the database is under keys[now]. */
struct change {
    struct secret *keys[2];
    unsigned now;
    bool swapped; /* by the last run */
};

/* What was committed for certain, where a child that is killed can say so. */
static uint64_t *committed;

static status commit_next(struct rig *r)
{
    uint64_t value = *committed + 1;
    status st = store_begin(r->s, &r->e);

    if (st == OK)
        st = store_fact_set(r->s, "committed", span_of(&value, sizeof(value)), &r->e);
    if (st != OK) {
        store_rollback(r->s);
        return st;
    }
    st = store_commit(r->s, &r->e);
    if (st == OK)
        *committed = value;
    return st;
}

/* The last commit, or the one that nobody was told of. */
static void assert_committed(struct rig *r)
{
    struct span stored;
    uint64_t value = 0;

    assert_ok(store_fact(r->s, "committed", &stored, &r->e));
    assert_int_equal(stored.n, sizeof(value));
    memcpy(&value, stored.p, sizeof(value));
    assert_true(value == *committed || value == *committed + 1);
    *committed = value;
}

/* A whole change with commits in between; *swapped tells how far it came. */
static status change_key(struct rig *r, const struct secret *key, bool *swapped)
{
    uint32_t left = 1, total;
    status st = store_rekey_begin(r->s, key, &r->e);

    while (st == OK && left > 0) {
        st = store_rekey_step(r->s, 8, &left, &total, &r->e);
        if (st == OK)
            st = commit_next(r);
    }
    if (st == OK)
        st = store_rekey_finish(&r->s, key, &r->e);
    if (st != OK)
        return st;
    *swapped = true;
    st = commit_next(r);
    left = 1;
    while (st == OK && left > 0)
        st = store_rekey_erase(r->s, 8, &left, &r->e);
    return st;
}

static void open_and_check(struct rig *r, struct change *c)
{
    bool next = false;

    store_cleanup(&r->s);
    r->e = (struct err){ 0 };
    assert_ok(store_open_either(r->dir, c->keys[c->now], c->keys[!c->now], &r->s, &next, &r->e));
    c->now ^= next;
    c->swapped = next;
    assert_committed(r);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(rig_file_size(r, ".next-wal"), -1);
}

static struct change begin_changes(struct rig *r)
{
    struct change c = { .keys = { rig_key(0x42), rig_key(0x77) } };

    *committed = 0;
    assert_ok(commit_next(r));
    return c;
}

static void end_changes(struct change *c)
{
    secret_free(c->keys[0]);
    secret_free(c->keys[1]);
}

static bool run_and_kill(struct rig *r, const struct change *c, long at)
{
    int result;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct secret *key = NULL;
        struct secret *other = NULL;
        bool swapped = false;

        if (secret_start((size_t)64 * 1024, NULL) != OK)
            _exit(2);
        key = rig_key(c->now == 0 ? 0x42 : 0x77);
        other = rig_key(c->now == 0 ? 0x77 : 0x42);
        if (store_open(r->dir, key, &r->s, NULL) != OK)
            _exit(3);
        fail_from(at, FAULT_KILL);
        _exit(change_key(r, other, &swapped) == OK ? 0 : 4);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    if (WIFSIGNALED(result)) {
        assert_int_equal(WTERMSIG(result), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(result), 0);
    return false;
}

static void a_kill_at_every_operation_leaves_a_whole_database(void **state)
{
    struct rig *r = *state;
    struct change c = begin_changes(r);
    unsigned old_key = 0, new_key = 0;
    bool killed = true;

    for (long n = 1; killed; n++) {
        store_cleanup(&r->s);
        killed = run_and_kill(r, &c, n);
        open_and_check(r, &c);
        *(c.swapped ? &new_key : &old_key) += 1;
        assert_true(n < 2000);
    }
    assert_true(old_key > 50 && new_key > 5);
    end_changes(&c);
}

/* After a failure the store either goes on, or says that it does not. */
static void changes_that_fail(struct rig *r, void (*fail_at)(long operation, int code))
{
    struct change c = begin_changes(r);
    bool done = false;

    calls.fail_too = true;
    for (long n = 1; !done; n++) {
        bool swapped = false;
        status st;

        r->e = (struct err){ 0 };
        fail_at(n, SQLITE_IOERR_WRITE);
        st = change_key(r, c.keys[!c.now], &swapped);
        done = !failed();
        assert_true(st == OK || (st == IO && !done));
        fail_never();
        open_and_check(r, &c);
        assert_true(!swapped || c.swapped);
        assert_true(n < 2000);
    }
    calls.fail_too = false;
    assert_true(c.swapped);
    end_changes(&c);
}

static void a_disk_that_breaks_at_any_operation_leaves_a_whole_database(void **state)
{
    changes_that_fail(*state, fail_from);
}

static void an_operation_that_fails_once_leaves_a_whole_database(void **state)
{
    changes_that_fail(*state, fail_once);
}

static void a_copy_that_fills_the_disk_is_a_limit_and_the_store_goes_on(void **state)
{
    struct rig *r = *state;
    struct change c = begin_changes(r);
    unsigned limits = 0;
    bool done = false;

    faulty.only = ".next"; /* of files opened from now on */
    open_and_check(r, &c);
    for (long n = 1; !done; n++) {
        bool swapped = false;
        status st;

        r->e = (struct err){ 0 };
        fail_from(n, SQLITE_FULL);
        st = change_key(r, c.keys[!c.now], &swapped);
        done = !failed();
        if (done) {
            assert_status(st, OK);
            break;
        }
        limits += st == LIMIT;
        if (st == LIMIT) {
            assert_string_equal(r->e.why, "no room on the disk for the copy");
            assert_ok(commit_next(r)); /* although the disk is still full */
            assert_int_equal(rig_file_size(r, ".next"), -1);
            fail_never();
            continue;
        }
        assert_status(st, IO); /* of a sync */
        fail_never();
        open_and_check(r, &c);
        assert_false(c.swapped);
    }
    faulty.only = NULL;
    fail_never();
    assert_true(limits > 20);
    open_and_check(r, &c);
    assert_true(c.swapped);
    end_changes(&c);
}

/* Commits need room as well: what they may take is left to them. */
static void a_disk_without_room_for_both_is_a_limit_before_it_is_full(void **state)
{
    struct rig *r = *state;
    struct change c = begin_changes(r);
    uint32_t left, total;

    calls.room = (uint64_t)60 << 20;
    assert_status(store_rekey_begin(r->s, c.keys[1], &r->e), LIMIT);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    calls.room = (uint64_t)80 << 20;
    assert_ok(store_rekey_begin(r->s, c.keys[1], &r->e));
    assert_ok(store_rekey_step(r->s, 8, &left, &total, &r->e));
    calls.room = (uint64_t)60 << 20;
    assert_status(store_rekey_step(r->s, 8, &left, &total, &r->e), LIMIT);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_status(store_rekey_step(r->s, 8, &left, &total, NULL), BUG);
    calls.room = 0;
    assert_ok(commit_next(r));
    open_and_check(r, &c);
    assert_false(c.swapped);
    end_changes(&c);
}

static void a_file_system_that_cannot_exchange_loses_the_old_file_at_once(void **state)
{
    struct rig *r = *state;
    struct change c = begin_changes(r);
    uint32_t left = 1, total;

    calls.no_exchange = true;
    assert_ok(store_rekey_begin(r->s, c.keys[1], &r->e));
    while (left > 0)
        assert_ok(store_rekey_step(r->s, 8, &left, &total, &r->e));
    assert_ok(store_rekey_finish(&r->s, c.keys[1], &r->e));
    calls.no_exchange = false;
    assert_int_equal(rig_file_size(r, ".next"), -1);
    left = 1;
    assert_ok(store_rekey_erase(r->s, 8, &left, &r->e));
    assert_int_equal(left, 0);
    open_and_check(r, &c);
    assert_true(c.swapped);
    end_changes(&c);
}

static int prepare(void **state)
{
    committed =
        mmap(NULL, sizeof(*committed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(committed, MAP_FAILED);
    return faulty_register(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_kill_at_every_operation_leaves_a_whole_database),
        sentence(a_disk_that_breaks_at_any_operation_leaves_a_whole_database),
        sentence(an_operation_that_fails_once_leaves_a_whole_database),
        sentence(a_copy_that_fills_the_disk_is_a_limit_and_the_store_goes_on),
        sentence(a_disk_without_room_for_both_is_a_limit_before_it_is_full),
        sentence(a_file_system_that_cannot_exchange_loses_the_old_file_at_once),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
