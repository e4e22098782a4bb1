/* wrap: fdatasync */
/* What only appends is durable without the pages that it touches. */
#include "test_store_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "secret/secret.h"

/* --- a disk that keeps only what was synced ------------------------------------------------------ */

static int kept = -1; /* where the tail is copied to with each sync; -1: nowhere */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static void copy(int from, int to)
{
    static uint8_t bytes[65536];
    ssize_t n;
    off_t at = 0;

    for (; (n = pread(from, bytes, sizeof bytes, at)) > 0; at += n)
        assert_int_equal(pwrite(to, bytes, (size_t)n, at), n);
}

int __wrap_fdatasync(int fd)
{
    if (kept >= 0)
        copy(fd, kept);
    return __real_fdatasync(fd);
}

/* --- work ---------------------------------------------------------------------------------------- */

/* Whether what is appended is done in the database behind it, or at once. */
static bool behind;

static void begin(struct rig *r)
{
    assert_ok(behind ? store_begin_append(r->s, NULL) : store_begin(r->s, NULL));
}

/* A record of the vault's log, and the head after it. */
static void append(struct rig *r, uint64_t seq)
{
    struct store_record record = { .seq = seq, .time_us = 1000 + seq, .type = 300 };

    record.line = span_text("{\"a\":\"record\"}");
    assert_ok(store_record_add(r->s, &record, NULL));
    assert_ok(store_head_set(r->s, &record.log, seq + 1, span_text("a head"), NULL));
    assert_ok(store_fact_set(r->s, "heads", span_text("a seal"), NULL));
}

static void commit_append(struct rig *r, uint64_t seq)
{
    begin(r);
    append(r, seq);
    assert_ok(store_commit_append(r->s, NULL));
}

static void append_unsynced(struct rig *r, uint64_t seq)
{
    bool unsynced = false;

    begin(r);
    append(r, seq);
    assert_ok(store_append(r->s, &unsynced, NULL));
    assert_true(unsynced);
}

static bool count_one(void *context, const struct store_record *record)
{
    uint64_t *next = context;

    assert_int_equal(record->seq, *next);
    ++*next;
    return true;
}

static uint64_t records(struct rig *r)
{
    const struct id vault = { { 0 } };
    uint64_t next = 0;

    assert_ok(store_records(r->s, &vault, 0, 100000, count_one, &next, NULL));
    return next;
}

/* In a process of its own: the slab is not inherited. */
static void open_in_child(struct rig *r)
{
    assert_ok(secret_start((size_t)64 * 1024, NULL));
    r->key = rig_key(0x42);
    rig_open(r);
}

/* What a process does that is killed then: nobody closes the database. */
static void work_and_die(struct rig *r, void (*work)(struct rig *r))
{
    int how = 0;
    pid_t child;

    store_cleanup(&r->s);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static struct rig *held; /* nothing is lost by a process that ends so */

        held = r;
        open_in_child(held);
        work(r);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

static void killed_after(struct rig *r, void (*work)(struct rig *r))
{
    work_and_die(r, work);
    rig_open(r);
}

/* And the machine with it: of the tail there is what was synced. */
static void power_cut_after(struct rig *r, void (*work)(struct rig *r))
{
    char name[] = "/tmp/strongroom-tail-XXXXXX", path[128];
    int tail;

    kept = mkstemp(name);
    assert_true(kept >= 0);
    work_and_die(r, work);
    rig_path(r, "-tail", path, sizeof path);
    tail = open(path, O_RDWR | O_CLOEXEC);
    assert_true(tail >= 0);
    copy(kept, tail);
    (void)close(tail);
    (void)close(kept);
    (void)unlink(name);
    kept = -1;
    rig_open(r);
}

static void append_ten(struct rig *r)
{
    for (uint64_t seq = 0; seq < 10; seq++)
        commit_append(r, seq);
}

static void what_was_appended_is_there_after_a_kill(void **state)
{
    struct rig *r = *state;
    struct span seal;
    uint64_t size = 0;

    killed_after(r, append_ten);
    assert_int_equal(records(r), 10);
    assert_ok(store_log_size(r->s, &(struct id){ { 0 } }, &size, NULL));
    assert_int_equal(size, 10);
    assert_ok(store_fact(r->s, "heads", &seal, NULL));
    assert_true(span_same(seal, span_text("a seal")));
    commit_append(r, 10);
    assert_int_equal(records(r), 11);
}

static void append_and_begin(struct rig *r)
{
    append_ten(r);
    begin(r);
    append(r, 10);
}

static void what_was_not_committed_is_not(void **state)
{
    killed_after(*state, append_and_begin);
    assert_int_equal(records(*state), 10);
}

static void append_change_and_append(struct rig *r)
{
    struct store_tenant tenant = tenant_of(1, "acme");

    append_ten(r);
    begin(r);
    append(r, 10);
    assert_ok(store_tenant_add(r->s, &tenant, NULL));
    assert_ok(store_commit_append(r->s, NULL)); /* takes along what was appended before */
    commit_append(r, 11);
}

static void other_changes_between_appends_are_there_as_well(void **state)
{
    struct rig *r = *state;
    struct store_tenant tenant;

    killed_after(r, append_change_and_append);
    assert_int_equal(records(r), 12);
    assert_ok(store_tenant(r->s, "acme", &tenant, NULL));
}

static void a_rolled_back_change_leaves_what_was_appended(void **state)
{
    struct rig *r = *state;
    struct store_tenant tenant = tenant_of(1, "acme");

    append_ten(r);
    begin(r);
    append(r, 10);
    assert_ok(store_tenant_add(r->s, &tenant, NULL));
    store_rollback(r->s);
    assert_int_equal(records(r), 10);
    assert_status(store_tenant(r->s, "acme", &tenant, NULL), NOT_FOUND);
    commit_append(r, 10);
    rig_reopen(r);
    assert_int_equal(records(r), 11);
}

static void append_many(struct rig *r)
{
    for (uint64_t seq = 0; seq < 2000; seq++)
        commit_append(r, seq);
}

static void more_than_the_tail_holds_is_there_too(void **state)
{
    killed_after(*state, append_many);
    assert_int_equal(records(*state), 2000);
}

static void append_and_settle(struct rig *r)
{
    append_ten(r);
    assert_ok(store_settle(r->s, NULL));
    commit_append(r, 10);
}

/* A frame that was cut short was never answered; those before it were. */
static void a_torn_frame_ends_what_is_taken_in(void **state)
{
    struct rig *r = *state;
    char path[128];
    uint8_t length[4];
    int fd;

    work_and_die(r, append_ten);
    rig_path(r, "-tail", path, sizeof path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    /* They are all of one length: into the eighth. */
    assert_int_equal(pread(fd, length, 4, 0), 4);
    assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 7 * (4 + length[2] * 256 + length[3]) + 100), 4);
    (void)close(fd);
    rig_open(r);
    assert_int_equal(records(r), 7);
}

static void what_went_to_its_pages_is_not_taken_in_again(void **state)
{
    killed_after(*state, append_and_settle);
    assert_int_equal(records(*state), 11);
}

static void write_back(struct rig *r, const uint8_t *bytes, size_t size)
{
    char path[128];
    int fd;

    rig_path(r, "-wal", path, sizeof path);
    (void)unlink(path);
    rig_path(r, "", path, sizeof path);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    (void)close(fd);
}

static void change_and_append(struct rig *r)
{
    struct store_tenant tenant = tenant_of(1, "acme");

    begin(r);
    append(r, 0);
    assert_ok(store_tenant_add(r->s, &tenant, NULL));
    assert_ok(store_commit_append(r->s, NULL));
    commit_append(r, 1);
}

/* Else an older database would have the heads of today, and nobody would know that it is one. */
static void a_database_that_was_put_back_takes_nothing_in(void **state)
{
    struct rig *r = *state;
    uint64_t size = 7;
    uint8_t *bytes;
    size_t n;

    assert_ok(store_checkpoint(r->s, NULL));
    store_cleanup(&r->s);
    bytes = rig_read_file(r, "", &n);
    rig_open(r);
    work_and_die(r, change_and_append);
    write_back(r, bytes, n);
    free(bytes);
    rig_open(r);
    assert_int_equal(records(r), 0);
    assert_ok(store_log_size(r->s, &(struct id){ { 0 } }, &size, NULL));
    assert_int_equal(size, 0);
}

/* --- in two halves ------------------------------------------------------------------------------- */

static void append_three_unsynced(struct rig *r)
{
    append_ten(r);
    for (uint64_t seq = 10; seq < 13; seq++)
        append_unsynced(r, seq);
}

static void what_was_appended_and_not_synced_is_there_after_a_kill(void **state)
{
    killed_after(*state, append_three_unsynced);
    assert_int_equal(records(*state), 13);
}

static void after_a_power_cut_only_what_was_synced_is(void **state)
{
    struct rig *r = *state;

    power_cut_after(r, append_three_unsynced);
    assert_int_equal(records(r), 10);
    commit_append(r, 10);
    rig_reopen(r);
    assert_int_equal(records(r), 11);
}

static void append_sync_and_append(struct rig *r)
{
    append_three_unsynced(r);
    assert_ok(store_sync(r->s, NULL));
    assert_ok(store_sync(r->s, NULL)); /* nothing new is fine */
    append_unsynced(r, 13);
}

static void a_sync_makes_durable_all_that_was_appended_before_it(void **state)
{
    power_cut_after(*state, append_sync_and_append);
    assert_int_equal(records(*state), 13);
}

static void append_and_change(struct rig *r)
{
    struct store_tenant tenant = tenant_of(1, "acme");
    bool unsynced = true;

    append_three_unsynced(r);
    begin(r);
    append(r, 13);
    assert_ok(store_tenant_add(r->s, &tenant, NULL));
    assert_ok(store_append(r->s, &unsynced, NULL));
    assert_false(unsynced); /* the pages have it, and what was before */
}

static void a_commit_takes_along_what_was_appended_and_not_synced(void **state)
{
    struct rig *r = *state;
    struct store_tenant tenant;

    power_cut_after(r, append_and_change);
    assert_int_equal(records(r), 14);
    assert_ok(store_tenant(r->s, "acme", &tenant, NULL));
}

static void append_and_settle_unsynced(struct rig *r)
{
    append_three_unsynced(r);
    assert_ok(store_settle(r->s, NULL));
}

static void settling_does_as_well(void **state)
{
    power_cut_after(*state, append_and_settle_unsynced);
    assert_int_equal(records(*state), 13);
}

static void append_and_roll_back(struct rig *r)
{
    struct store_tenant tenant = tenant_of(1, "acme");

    append_three_unsynced(r);
    begin(r);
    append(r, 13);
    assert_ok(store_tenant_add(r->s, &tenant, NULL));
    store_rollback(r->s);
    assert_int_equal(records(r), 13);
    append_unsynced(r, 13);
}

static void a_rolled_back_change_leaves_what_was_not_synced_yet(void **state)
{
    killed_after(*state, append_and_roll_back);
    assert_int_equal(records(*state), 14);
}

/* A disk may write what comes later sooner. */
static void a_frame_that_was_lost_takes_those_after_it_along(void **state)
{
    struct rig *r = *state;
    uint8_t length[4], zeros[1024] = { 0 };
    char path[128];
    size_t frame;
    int fd;

    work_and_die(r, append_three_unsynced);
    rig_path(r, "-tail", path, sizeof path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, length, 4, 0), 4);
    frame = 4 + length[2] * 256U + length[3];
    assert_true(frame <= sizeof zeros);
    assert_int_equal(pwrite(fd, zeros, frame, (off_t)(11 * frame)), frame);
    (void)close(fd);
    rig_open(r);
    assert_int_equal(records(r), 11);
    rig_reopen(r);
    assert_int_equal(records(r), 11);
}

static void append_undo_and_append(struct rig *r)
{
    begin(r);
    append(r, 0);
    assert_ok(store_mark(r->s, NULL));
    append(r, 1);
    assert_ok(store_undo(r->s, NULL));
    assert_ok(store_commit_append(r->s, NULL));
}

static void what_was_undone_is_not_taken_in(void **state)
{
    killed_after(*state, append_undo_and_append);
    assert_int_equal(records(*state), 1);
}

static void the_tail_shows_nothing_and_is_empty_after_opening(void **state)
{
    struct rig *r = *state;
    size_t size;
    uint8_t *bytes;

    append_ten(r);
    bytes = rig_read_file(r, "-tail", &size);
    assert_null(memmem(bytes, size, "record", 6));
    assert_int_not_equal(bytes[3] | bytes[2], 0);
    free(bytes);
    rig_reopen(r);
    bytes = rig_read_file(r, "-tail", &size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
}

/* --- the database behind ------------------------------------------------------------------------- */

static void whoever_asks_sees_what_was_appended_and_what_is_being(void **state)
{
    struct rig *r = *state;
    struct store_tenant tenant = tenant_of(1, "acme");

    for (uint64_t seq = 0; seq < 3000; seq++) {
        begin(r);
        append(r, seq);
        if (seq % 700 == 5)
            assert_int_equal(records(r), seq + 1);
        if (seq % 900 == 7) {
            store_rollback(r->s);
            assert_int_equal(records(r), seq);
            begin(r);
            append(r, seq);
            store_rollback(r->s); /* of what the database never saw */
            begin(r);
            append(r, seq);
        }
        if (seq == 1500)
            assert_ok(store_tenant_add(r->s, &tenant, NULL));
        assert_ok(store_commit_append(r->s, NULL));
    }
    assert_int_equal(records(r), 3000);
    rig_reopen(r);
    assert_int_equal(records(r), 3000);
    assert_ok(store_tenant(r->s, "acme", &tenant, NULL));
}

static void append_over_both_halves(struct rig *r)
{
    for (uint64_t seq = 0; seq < 9000; seq++)
        append_unsynced(r, seq);
}

static void of_two_halves_of_the_file_nothing_is_lost(void **state)
{
    killed_after(*state, append_over_both_halves);
    assert_int_equal(records(*state), 9000);
}

/* With commits under way or not, as it happens. */
static void killed_at_any_moment_all_that_was_answered_is_there(void **state)
{
    struct rig *r = *state;
    uint64_t next = 0;

    for (unsigned round = 0; round < 12; round++) {
        uint64_t told = next, seq;
        int ends[2];
        pid_t child;

        store_cleanup(&r->s);
        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            open_in_child(r);
            for (seq = next;; seq++) {
                commit_append(r, seq);
                assert_int_equal(write(ends[1], &seq, sizeof seq), sizeof seq);
            }
        }
        (void)close(ends[1]);
        while (told < next + 300 + 450 * round) {
            assert_int_equal(read(ends[0], &seq, sizeof seq), sizeof seq);
            told = seq + 1;
        }
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(ends[0], &seq, sizeof seq) == sizeof seq)
            told = seq + 1;
        (void)close(ends[0]);
        rig_open(r);
        next = records(r);
        assert_true(next == told || next == told + 1);
    }
}

static void a_record_that_contradicts_one_that_is_there_ends_everything(void **state)
{
    struct rig *r = *state;
    struct store_record other = { .time_us = 7, .type = 300, .line = span_text("another") };

    commit_append(r, 0);
    begin(r);
    assert_ok(store_record_add(r->s, &other, NULL));
    assert_ok(store_commit_append(r->s, NULL));
    assert_status(store_settle(r->s, NULL), IO);
    assert_status(store_begin(r->s, NULL), IO);
    store_cleanup(&r->s);
    assert_status(store_open(r->dir, r->key, &r->s, NULL), CONFLICT);
}

static void so_does_one_that_whoever_reads_comes_upon(void **state)
{
    struct rig *r = *state;
    struct store_record other = { .time_us = 7, .type = 300, .line = span_text("another") };
    uint64_t size;

    commit_append(r, 0);
    begin(r);
    assert_ok(store_record_add(r->s, &other, NULL));
    assert_status(store_log_size(r->s, &other.log, &size, NULL), IO);
    assert_status(store_commit_append(r->s, NULL), IO);
    rig_reopen(r);
    assert_int_equal(records(r), 1);
}

static int beside(void **state)
{
    (void)state;
    behind = true;
    return 0;
}

#define EITHER_WAY                                                                              \
    sentence(what_was_appended_is_there_after_a_kill), sentence(what_was_not_committed_is_not), \
        sentence(other_changes_between_appends_are_there_as_well),                              \
        sentence(a_rolled_back_change_leaves_what_was_appended),                                \
        sentence(more_than_the_tail_holds_is_there_too),                                        \
        sentence(a_torn_frame_ends_what_is_taken_in),                                           \
        sentence(what_went_to_its_pages_is_not_taken_in_again),                                 \
        sentence(a_database_that_was_put_back_takes_nothing_in),                                \
        sentence(what_was_appended_and_not_synced_is_there_after_a_kill),                       \
        sentence(after_a_power_cut_only_what_was_synced_is),                                    \
        sentence(a_sync_makes_durable_all_that_was_appended_before_it),                         \
        sentence(a_commit_takes_along_what_was_appended_and_not_synced),                        \
        sentence(settling_does_as_well),                                                        \
        sentence(a_rolled_back_change_leaves_what_was_not_synced_yet),                          \
        sentence(a_frame_that_was_lost_takes_those_after_it_along),                             \
        sentence(what_was_undone_is_not_taken_in),                                              \
        sentence(the_tail_shows_nothing_and_is_empty_after_opening)

int main(void)
{
    const struct CMUnitTest at_once[] = { EITHER_WAY };
    const struct CMUnitTest afterwards[] = {
        EITHER_WAY,
        sentence(whoever_asks_sees_what_was_appended_and_what_is_being),
        sentence(of_two_halves_of_the_file_nothing_is_lost),
        sentence(killed_at_any_moment_all_that_was_answered_is_there),
        sentence(a_record_that_contradicts_one_that_is_there_ends_everything),
        sentence(so_does_one_that_whoever_reads_comes_upon),
    };

    return cmocka_run_group_tests_name("in the database at once", at_once, rig_slab, NULL) +
           cmocka_run_group_tests_name("in the database afterwards", afterwards, beside, NULL);
}
