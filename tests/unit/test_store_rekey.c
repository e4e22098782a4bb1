/* Another key for a database in use: what is copied, what opens with which key, what is left. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "unit/test_store_rig.h"

#define MARKER "MARKER-5b1f0c77-MARKER"

static void add_records(struct rig *r, uint64_t from, uint64_t to)
{
    char line[600];

    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, MARKER, sizeof(MARKER) - 1);
    line[sizeof(line) - 1] = '\0';
    rig_begin(r);
    for (uint64_t seq = from; seq < to; seq++) {
        struct store_record record = record_of(1, seq, line);

        assert_ok(store_record_add(r->s, &record, &r->e));
    }
    rig_commit(r);
}

static bool count_in_order(void *context, const struct store_record *line)
{
    uint64_t *next = context;

    assert_int_equal(line->seq, *next);
    (*next)++;
    return true;
}

static uint64_t count_records(struct rig *r)
{
    struct id log = id_of(1);
    uint64_t found = 0;

    assert_ok(store_records(r->s, &log, 0, SIZE_MAX, count_in_order, &found, &r->e));
    return found;
}

static void set_fact(struct rig *r, const char *name, const char *value)
{
    rig_begin(r);
    assert_ok(store_fact_set(r->s, name, span_text(value), &r->e));
    rig_commit(r);
}

static void assert_fact(struct rig *r, const char *name, const char *expected)
{
    struct span value;

    assert_ok(store_fact(r->s, name, &value, &r->e));
    assert_true(span_same(value, span_text(expected)));
}

/* Steps until nothing is left; without work in between. */
static void copy_all(struct rig *r)
{
    uint32_t left = 1, total;

    while (left > 0)
        assert_ok(store_rekey_step(r->s, 64, &left, &total, &r->e));
}

static void erase_all(struct rig *r)
{
    uint32_t left = 1;

    while (left > 0)
        assert_ok(store_rekey_erase(r->s, 64, &left, &r->e));
}

static bool opens_with(struct rig *r, const struct secret *key)
{
    struct store *s = NULL;
    status st = store_open(r->dir, key, &s, NULL);

    assert_true(st == OK || st == CORRUPT);
    store_close(s);
    return st == OK;
}

static void assert_no_marker(struct rig *r, const char *suffix)
{
    size_t size;
    uint8_t *bytes = rig_read_file(r, suffix, &size);

    assert_null(memmem(bytes, size, MARKER, sizeof(MARKER) - 1));
    assert_null(memmem(bytes, size, "CREATE TABLE", 12));
    assert_null(memmem(bytes, size, "SQLite format", 13));
    free(bytes);
}

static void what_is_committed_between_slices_is_in_the_new_database(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left = 1, total = 0;
    uint64_t records = 2000;
    char value[32] = "";
    unsigned slices = 0;

    rig_fill(r);
    add_records(r, 0, records);
    set_fact(r, "turn", "before");
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    for (; left > 0; slices++) {
        assert_ok(store_rekey_step(r->s, 20, &left, &total, &r->e));
        assert_true(total > 300);
        (void)snprintf(value, sizeof(value), "after slice %u", slices);
        set_fact(r, "turn", value); /* a page that is copied already */
        add_records(r, records, records + 3);
        records += 3;
        if (slices % 8 == 0)
            assert_ok(store_checkpoint(r->s, &r->e));
    }
    assert_true(slices > 15);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    assert_int_equal(count_records(r), records);
    assert_fact(r, "turn", value);
    store_cleanup(&r->s);
    secret_free(r->key);
    assert_ok(secret_copy(secret_view(new_key), &r->key, &r->e));
    rig_open(r);
    assert_int_equal(count_records(r), records);
    assert_fact(r, "turn", value);
}

/* A transaction that spills is in the copy before it is rolled back. */
static void what_is_rolled_back_between_slices_is_not(void **state)
{
    static uint8_t big[900000];
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left, total;
    struct span value;
    char name[16];

    rig_fill(r);
    add_records(r, 0, 500);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    assert_ok(store_rekey_step(r->s, 80, &left, &total, &r->e));
    rig_begin(r);
    assert_ok(store_fact_set(r->s, "vault", span_text("never"), &r->e));
    for (unsigned n = 0; n < 30; n++) { /* more than the cache holds */
        (void)snprintf(name, sizeof(name), "big-%u", n);
        assert_ok(store_fact_set(r->s, name, SPAN(big), &r->e));
    }
    store_rollback(r->s);
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    assert_status(store_fact(r->s, "vault", &value, NULL), NOT_FOUND);
    assert_int_equal(count_records(r), 500);
    r->s->phase = PHASE_SETUP;
    assert_ok(db_run(r->s, "PRAGMA integrity_check", &r->e));
}

static void each_file_opens_with_its_own_key_alone(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    char db[128], next[128], aside[128];

    rig_fill(r);
    add_records(r, 0, 300);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    store_cleanup(&r->s);
    rig_path(r, "", db, sizeof(db));
    rig_path(r, ".next", next, sizeof(next));
    rig_path(r, ".aside", aside, sizeof(aside));
    assert_int_equal(rename(next, aside), 0); /* or the first to open would erase it */
    assert_false(opens_with(r, r->key));
    assert_true(opens_with(r, new_key));
    assert_int_equal(rename(aside, db), 0);
    assert_false(opens_with(r, new_key));
    assert_true(opens_with(r, r->key));
}

static void no_file_shows_anything_at_any_time(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left = 1, total;
    uint64_t records = 300;

    rig_fill(r);
    add_records(r, 0, records);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    while (left > 0) {
        assert_ok(store_rekey_step(r->s, 20, &left, &total, &r->e));
        add_records(r, records, records + 1);
        records++;
        assert_no_marker(r, "");
        assert_no_marker(r, "-wal");
        assert_no_marker(r, ".next");
        assert_int_equal(rig_file_size(r, ".next-wal"), -1);
        assert_int_equal(rig_file_size(r, ".next-journal"), -1);
    }
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    add_records(r, records, records + 1);
    assert_no_marker(r, "");
    assert_no_marker(r, "-wal");
    assert_no_marker(r, ".next");
}

/* A page of the copy that was encrypted under anything else would not open. */
static void every_page_of_the_new_database_is_under_the_new_key(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    sqlite3_stmt *bad = NULL;

    rig_fill(r);
    add_records(r, 0, 500);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    r->s->phase = PHASE_SETUP;
    assert_int_equal(sqlite3_prepare_v2(r->s->db, "PRAGMA cipher_integrity_check", -1, &bad, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(bad), SQLITE_DONE); /* a row names a bad page */
    assert_int_equal(sqlite3_finalize(bad), SQLITE_OK);
    r->s->phase = PHASE_SERVE;
}

static void the_store_works_on_after_the_change(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    struct store_leasable l;
    struct store *again = NULL;
    uint64_t commits, records;

    rig_fill(r);
    add_records(r, 0, 50);
    commits = store_counters(r->s)->commits;
    records = store_counters(r->s)->records;
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    assert_int_equal(store_counters(r->s)->commits, commits);
    assert_int_equal(store_counters(r->s)->records, records);
    add_records(r, 50, 60);
    assert_int_equal(store_counters(r->s)->commits, commits + 1);
    assert_int_equal(store_counters(r->s)->records, records + 10);
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_status(store_open(r->dir, new_key, &again, NULL), CONFLICT); /* it is locked */
    assert_int_equal(sqlite3_exec(r->s->db, "DROP TABLE record", NULL, NULL, NULL), SQLITE_AUTH);
    assert_ok(store_checkpoint(r->s, &r->e));
    assert_int_equal(count_records(r), 60);
}

static void the_copy_is_guarded_like_the_database(void **state)
{
    static const char *const forbidden[] = { "ATTACH ':memory:' AS other", "CREATE TABLE t (x)",
                                             "PRAGMA journal_mode = WAL",
                                             "SELECT load_extension('x')" };
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    struct stat info;
    char next[128];
    int on = 0;

    rig_fill(r);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    for (size_t i = 0; i < COUNT(forbidden); i++)
        assert_int_not_equal(sqlite3_exec(r->s->copy->db, forbidden[i], NULL, NULL, NULL),
                             SQLITE_OK);
    assert_int_equal(sqlite3_db_config(r->s->copy->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &on),
                     SQLITE_OK);
    assert_int_equal(on, 1);
    rig_path(r, ".next", next, sizeof(next));
    assert_int_equal(stat(next, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

static void two_changes_at_a_time_are_a_conflict(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left = 99;

    rig_fill(r);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    assert_status(store_rekey_begin(r->s, new_key, NULL), CONFLICT);
    assert_status(store_rekey_erase(r->s, 1, &left, NULL), CONFLICT);
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
}

static void misuse_is_a_bug_and_changes_nothing(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    AUTO(secret) *shorter = NULL;
    uint32_t left, total;

    rig_fill(r);
    assert_ok(secret_new(16, &shorter, NULL));
    assert_status(store_rekey_begin(r->s, shorter, NULL), BUG);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_status(store_rekey_step(r->s, 1, &left, &total, NULL), BUG);
    assert_status(store_rekey_finish(&r->s, new_key, NULL), BUG);
    store_rekey_abandon(r->s);
    rig_begin(r);
    assert_status(store_rekey_begin(r->s, new_key, NULL), BUG);
    rig_commit(r);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    rig_begin(r);
    assert_status(store_rekey_step(r->s, 1, &left, &total, NULL), BUG);
    assert_status(store_rekey_finish(&r->s, new_key, NULL), BUG);
    rig_commit(r);
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
}

struct finisher {
    struct store *s;
    const struct secret *key;
    status st;
};

static bool finish_within(void *context, const struct store_record *line)
{
    struct finisher *f = context;

    (void)line;
    f->st = store_rekey_finish(&f->s, f->key, NULL);
    return false;
}

static void finishing_during_a_read_is_a_limit_and_can_be_repeated(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    struct id log = id_of(1);
    struct finisher f = { .s = r->s, .key = new_key };

    add_records(r, 0, 10);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_records(r->s, &log, 0, 10, finish_within, &f, &r->e));
    assert_status(f.st, LIMIT);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    assert_int_equal(count_records(r), 10);
}

static void finishing_with_another_key_gives_the_copy_up(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    AUTO(secret) *other = rig_key(0x78);

    add_records(r, 0, 10);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_status(store_rekey_finish(&r->s, other, NULL), CORRUPT);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(rig_file_size(r, ".next-wal"), -1);
    add_records(r, 10, 20);
    rig_reopen(r);
    assert_int_equal(count_records(r), 20);
}

static void an_abandoned_change_leaves_the_old_key_and_no_file(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left, total;

    add_records(r, 0, 300);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    assert_ok(store_rekey_step(r->s, 20, &left, &total, &r->e));
    store_rekey_abandon(r->s);
    store_rekey_abandon(r->s);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    add_records(r, 300, 310);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    rig_reopen(r); /* closing abandons as well */
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(count_records(r), 310);
}

static void put_file(const struct rig *r, const char *suffix)
{
    char path[128];
    FILE *file;

    rig_path(r, suffix, path, sizeof(path));
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(path, 1, sizeof(path), file), sizeof(path));
    assert_int_equal(fclose(file), 0);
}

static void what_an_interrupted_change_left_is_removed(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);

    rig_fill(r);
    put_file(r, ".next");
    put_file(r, ".next-wal");
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    store_cleanup(&r->s);
    put_file(r, ".next-wal");
    assert_ok(store_open(r->dir, new_key, &r->s, &r->e));
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(rig_file_size(r, ".next-wal"), -1);
}

static void the_old_file_is_overwritten_before_it_goes(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    uint32_t left = 0;
    uint8_t page[4096];
    uint8_t zeros[4096] = { 0 };
    long long size;
    char next[128];
    int old;

    add_records(r, 0, 300);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    size = rig_file_size(r, ".next");
    rig_path(r, ".next", next, sizeof(next));
    assert_ok(store_rekey_erase(r->s, 20, &left, &r->e));
    assert_int_equal(left, size / 4096 - 20);
    assert_int_equal(rig_file_size(r, ".next"), size - 20 * 4096);
    old = open(next, O_RDWR);
    assert_true(old >= 0);
    assert_int_equal(pread(old, page, sizeof(page), 0), sizeof(page));
    assert_memory_not_equal(page, zeros, sizeof(page));
    erase_all(r);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(lseek(old, 0, SEEK_END), 0); /* cut off after it was overwritten */
    (void)close(old);
    assert_ok(store_rekey_erase(r->s, 20, &left, &r->e));
    assert_int_equal(left, 0);
    assert_int_equal(count_records(r), 300);
}

static void either_key_opens_and_it_is_said_which(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    AUTO(secret) *third = rig_key(0x78);
    bool next = true;

    add_records(r, 0, 10);
    store_cleanup(&r->s);
    assert_ok(store_open_either(r->dir, r->key, new_key, &r->s, &next, &r->e));
    assert_false(next);
    assert_ok(store_rekey_begin(r->s, new_key, &r->e));
    copy_all(r);
    assert_ok(store_rekey_finish(&r->s, new_key, &r->e));
    store_cleanup(&r->s);
    assert_status(store_open_either(r->dir, r->key, NULL, &r->s, &next, NULL), CORRUPT);
    assert_status(store_open_either(r->dir, r->key, third, &r->s, &next, NULL), CORRUPT);
    assert_null(r->s);
    assert_false(next);
    assert_true(rig_file_size(r, ".next") > 0); /* who knows nothing removes nothing */
    assert_ok(store_open_either(r->dir, r->key, new_key, &r->s, &next, &r->e));
    assert_true(next);
    assert_int_equal(rig_file_size(r, ".next"), -1);
    assert_int_equal(count_records(r), 10);
}

static void a_key_can_be_changed_again_and_back(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    const struct secret *keys[] = { new_key, r->key };

    for (unsigned round = 0; round < 4; round++) {
        add_records(r, round * 10, round * 10 + 10);
        assert_ok(store_rekey_begin(r->s, keys[round % 2], &r->e));
        copy_all(r);
        assert_ok(store_rekey_finish(&r->s, keys[round % 2], &r->e));
    }
    rig_reopen(r);
    assert_int_equal(count_records(r), 40);
}

/* In a child: commits, steps, finishes and erases over and over, and says how many records are
 * committed. */
static void change_keys_until_killed(struct rig *r, int acknowledge)
{
    struct secret *keys[2] = { rig_key(0x77), rig_key(0x42) };
    uint64_t done = count_records(r);

    for (unsigned round = 0;; round++) {
        uint32_t left = 1, total;
        bool swapped = false;

        assert_ok(store_rekey_begin(r->s, keys[round % 2], &r->e));
        while (!swapped || left > 0) {
            add_records(r, done, done + 3);
            done += 3;
            if (write(acknowledge, &done, sizeof(done)) != (ssize_t)sizeof(done))
                _exit(1);
            if (swapped) {
                assert_ok(store_rekey_erase(r->s, 10, &left, &r->e));
            } else if (left > 0) {
                assert_ok(store_rekey_step(r->s, 10, &left, &total, &r->e));
            } else {
                assert_ok(store_rekey_finish(&r->s, keys[round % 2], &r->e));
                swapped = true;
                left = 1;
            }
        }
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
        struct secret *other;
        bool next;

        if (secret_start((size_t)64 * 1024, NULL) != OK)
            _exit(1);
        (void)close(ends[0]);
        r->key = rig_key(0x42);
        other = rig_key(0x77);
        assert_ok(store_open_either(r->dir, r->key, other, &r->s, &next, &r->e));
        change_keys_until_killed(r, ends[1]);
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

static void a_kill_at_any_moment_loses_no_commit(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *new_key = rig_key(0x77);
    unsigned swapped = 0;

    add_records(r, 0, 300);
    for (unsigned round = 0; round < 40; round++) {
        uint64_t acknowledged, found;
        bool next = false;

        store_cleanup(&r->s);
        acknowledged = run_and_kill(r, 1 + (round * 29) % 61);
        assert_ok(store_open_either(r->dir, r->key, new_key, &r->s, &next, &r->e));
        swapped += next;
        found = count_records(r);
        assert_true(found >= acknowledged && found <= acknowledged + 3);
        assert_int_equal(rig_file_size(r, ".next"), -1);
        assert_int_equal(rig_file_size(r, ".next-wal"), -1);
    }
    assert_true(swapped > 0 && swapped < 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(what_is_committed_between_slices_is_in_the_new_database),
        sentence(what_is_rolled_back_between_slices_is_not),
        sentence(each_file_opens_with_its_own_key_alone),
        sentence(no_file_shows_anything_at_any_time),
        sentence(every_page_of_the_new_database_is_under_the_new_key),
        sentence(the_store_works_on_after_the_change),
        sentence(the_copy_is_guarded_like_the_database),
        sentence(two_changes_at_a_time_are_a_conflict),
        sentence(misuse_is_a_bug_and_changes_nothing),
        sentence(finishing_during_a_read_is_a_limit_and_can_be_repeated),
        sentence(finishing_with_another_key_gives_the_copy_up),
        sentence(an_abandoned_change_leaves_the_old_key_and_no_file),
        sentence(what_an_interrupted_change_left_is_removed),
        sentence(the_old_file_is_overwritten_before_it_goes),
        sentence(either_key_opens_and_it_is_said_which),
        sentence(a_key_can_be_changed_again_and_back),
        sentence(a_kill_at_any_moment_loses_no_commit),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
