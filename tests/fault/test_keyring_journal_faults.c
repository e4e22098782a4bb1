/* wrap: pwrite fdatasync ftruncate fallocate fsync renameat2 */
/* The journal on a disk that fails at every possible moment: every change is whole or absent. */
#include "keyring_faults.h"

struct state {
    uint64_t first;
    uint64_t end;
    uint64_t time_us;
};

struct scenario {
    const char *name;
    status (*act)(struct journal *j, struct err *e);
    struct state after;
};

static const struct state base = { 2, 9, 8100 };

static struct journal_entry entry(uint64_t seq)
{
    return (struct journal_entry){
        .time_us = 100 + seq * 1000, .type = 7, .subject = rig_id((uint32_t)seq), .number = seq * 3
    };
}

static status append(struct journal *j, uint64_t first, size_t count, struct err *e)
{
    struct journal_entry entries[2000];

    for (size_t i = 0; i < count; i++)
        entries[i] = entry(first + i);
    return journal_append(j, entries, count, e);
}

static status act_append_one(struct journal *j, struct err *e)
{
    return append(j, 9, 1, e);
}

static status act_append_many(struct journal *j, struct err *e)
{
    return append(j, 9, 21, e);
}

static status act_append_beyond_the_room(struct journal *j, struct err *e)
{
    return append(j, 9, 1100, e);
}

static status act_drop(struct journal *j, struct err *e)
{
    return journal_drop(j, 3, e);
}

static status act_drop_all(struct journal *j, struct err *e)
{
    return journal_drop(j, 7, e);
}

static status act_note_time(struct journal *j, struct err *e)
{
    return journal_note_time(j, 9999999, e);
}

static const struct scenario scenarios[] = {
    { "append one", act_append_one, { 2, 10, 9100 } },
    { "append many", act_append_many, { 2, 30, 29100 } },
    { "append beyond the room", act_append_beyond_the_room, { 2, 1109, 1108100 } },
    { "drop", act_drop, { 5, 9, 8100 } },
    { "drop all", act_drop_all, { 9, 9, 8100 } },
    { "note time", act_note_time, { 2, 9, 9999999 } },
};

static bool is(const struct journal *j, const struct state *want)
{
    struct journal_entry got;
    size_t cursor = 0;

    if (journal_count(j) != want->end - want->first || journal_time(j) != want->time_us)
        return false;
    for (uint64_t seq = want->first; seq < want->end; seq++) {
        struct journal_entry e = entry(seq);

        if (!journal_next(j, &cursor, &got) || got.seq != seq || got.time_us != e.time_us ||
            !id_same(&got.subject, &e.subject) || got.number != e.number)
            return false;
    }
    return true;
}

static void stage_make(struct stage *s)
{
    struct journal *j = NULL;
    struct err e = { .code = OK };

    stage_init(s, "journal");
    assert_ok(journal_open(s->dir, &j, &e), &e);
    assert_ok(append(j, 0, 4, &e), &e);
    assert_ok(journal_drop(j, 2, &e), &e);
    assert_ok(append(j, 4, 5, &e), &e);
    journal_close(j);
    copy(s->file, s->base);
}

/* What is left is before or after; then life goes on, and the chain with it. */
static void check(const struct stage *s, const struct state *before, const struct state *after,
                  bool done)
{
    struct journal *j = NULL;
    struct err e = { .code = OK };
    uint64_t end = 0;

    for (int pass = 0; pass < 2; pass++) {
        journal_close(j);
        j = NULL;
        assert_ok(journal_open(s->dir, &j, &e), &e);
        assert_true(is(j, after) || (!done && is(j, before)));
        end = is(j, after) ? after->end : before->end;
    }
    for (uint64_t i = 0; i < 3; i++) {
        assert_ok(append(j, end + i, 1, &e), &e);
        journal_close(j);
        j = NULL;
        assert_ok(journal_open(s->dir, &j, &e), &e);
    }
    journal_close(j);
}

static void check_refuses(struct journal *j, status st)
{
    struct journal_entry one = entry(9);

    if (st == LIMIT) {
        expect_that(faults.was_reserve && journal_append(j, &one, 1, NULL) == OK);
        return;
    }
    expect_that(st == IO && journal_append(j, &one, 1, NULL) == IO);
    expect_that(journal_drop(j, 1, NULL) == IO);
    expect_that(journal_note_time(j, UINT64_MAX, NULL) == IO);
}

static int act(const struct stage *s, const struct scenario *sc, enum fault fault, unsigned at,
               uint64_t seed)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct journal *j = NULL;
        struct err e = { .code = OK };
        status st;

        expect_ok(journal_open(s->dir, &j, &e), &e);
        faults_arm(fault, at, seed);
        st = sc->act(j, &e);
        if (st == OK)
            faults_lose();
        faults_disarm();
        if (st != OK && fault == FAULT_ENOSPC && st == LIMIT)
            expect_that(journal_count(j) == base.end - base.first);
        else if (st != OK)
            check_refuses(j, st);
        journal_close(j);
        _exit(st == OK ? CHILD_DONE : CHILD_FAILED);
    }
    return child_wait(pid);
}

static void run_all(enum fault fault, uint64_t seeds)
{
    struct stage s;

    stage_make(&s);
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            int result;

            /* A thousand writes of one append need not all be tried. */
            for (unsigned at = 1;; at += at > 40 ? 97 : 1) {
                copy(s.base, s.file);
                result = act(&s, &scenarios[i], fault, at, seed);
                assert_int_not_equal(result, CHILD_WRONG);
                check(&s, &base, &scenarios[i].after, result == CHILD_DONE);
                if (result == CHILD_DONE)
                    break;
            }
        }
    }
    rig_dir_remove(s.dir);
}

static void killed_at_any_call_a_change_is_whole_or_absent(void **state)
{
    (void)state;
    run_all(FAULT_KILL, 1);
}

static void without_power_at_any_call_a_change_is_whole_or_absent(void **state)
{
    (void)state;
    run_all(FAULT_POWER, 6);
}

static void after_a_failed_call_the_journal_refuses_and_the_file_is_whole(void **state)
{
    (void)state;
    run_all(FAULT_EIO, 1);
}

static void on_a_full_disk_the_journal_refuses_and_the_file_is_whole(void **state)
{
    (void)state;
    run_all(FAULT_ENOSPC, 1);
}

/* A torn append is cleared when the journal is opened; that may be torn as well. */
static void opening_may_be_interrupted_as_well(void **state)
{
    struct stage s;
    char image[RIG_PATH_SIZE];

    (void)state;
    stage_make(&s);
    snprintf(image, sizeof(image), "%s/image", s.dir);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        copy(s.base, s.file);
        assert_int_equal(act(&s, &scenarios[1], FAULT_POWER, 22, seed), CHILD_KILLED);
        copy(s.file, image);
        for (unsigned at = 1;; at++) {
            int result;
            pid_t pid;

            copy(image, s.file);
            pid = fork();
            if (pid == 0) {
                struct journal *j = NULL;

                faults_arm(FAULT_POWER, at, seed);
                expect_that(journal_open(s.dir, &j, NULL) == OK);
                faults_disarm();
                journal_close(j);
                _exit(CHILD_DONE);
            }
            result = child_wait(pid);
            assert_int_not_equal(result, CHILD_WRONG);
            check(&s, &base, &scenarios[1].after, false);
            if (result == CHILD_DONE)
                break;
        }
    }
    rig_dir_remove(s.dir);
}

static void a_journal_is_created_whole_or_not_at_all(void **state)
{
    struct stage s;

    (void)state;
    stage_make(&s);
    for (unsigned at = 1;; at++) {
        struct journal *j = NULL;
        int result;
        pid_t pid;

        unlink(s.file);
        pid = fork();
        if (pid == 0) {
            faults_arm(at % 2 ? FAULT_KILL : FAULT_POWER, at, at);
            expect_that(journal_open(s.dir, &j, NULL) == OK);
            faults_disarm();
            journal_close(j);
            _exit(CHILD_DONE);
        }
        result = child_wait(pid);
        assert_int_not_equal(result, CHILD_WRONG);
        assert_status(journal_open(s.dir, &j, NULL), OK);
        assert_int_equal(journal_count(j), 0);
        journal_close(j);
        if (result == CHILD_DONE)
            break;
    }
    rig_dir_remove(s.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_call_a_change_is_whole_or_absent),
        cmocka_unit_test(without_power_at_any_call_a_change_is_whole_or_absent),
        cmocka_unit_test(after_a_failed_call_the_journal_refuses_and_the_file_is_whole),
        cmocka_unit_test(on_a_full_disk_the_journal_refuses_and_the_file_is_whole),
        cmocka_unit_test(opening_may_be_interrupted_as_well),
        cmocka_unit_test(a_journal_is_created_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
