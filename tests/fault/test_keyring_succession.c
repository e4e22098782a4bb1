/* wrap: pwrite fdatasync ftruncate fallocate fsync renameat2 */
/*
 * One keyring in place of another, on a disk that fails at every possible moment. Whatever the
 * moment: the keyring is the old one or the new one, whole, under its own key and no other, and
 * once it was opened nothing of the one that it is not is in either file.
 */
#include "keyring/successor.h"
#include "keyring_faults.h"

#define KEYS         6
#define CELLS        (KEYS + 4)
#define WRAPPED_ANEW 500 /* added to a salt */

struct
try {
    struct rig r;
    struct secret *new_key;
    struct keyring *next;
    char spare[RIG_PATH_SIZE];
};

struct scenario {
    const char *name;
    status (*prepare)(struct try *t, struct err *e); /* before faults are on; may be NULL */
    status (*act)(struct try *t, struct err *e);
    bool succeeds;
};

static struct cell cell_of(uint32_t i, uint32_t salt)
{
    static const uint8_t others[] = { CELL_ENGAGEMENT, CELL_TENANT_SEED, CELL_SYSTEM, CELL_REKEY };

    return rig_cell(i < KEYS ? CELL_DATA_KEY : others[i - KEYS], i + 1, salt);
}

/* The old keyring has slots 1 and 2 of generation 1, the new one slots 1 and 3 of generation 2. */
static struct slot slot_of(bool new, uint32_t i)
{
    return rig_slot(i == 0 ? 1 : new ? 3 : 2, new ? 2 : 1);
}

static struct try try_on(const struct stage *s)
{
    struct try t = { .next = NULL };

    if (rig_start(NULL) != 0)
        _exit(CHILD_WRONG);
    memcpy(t.r.dir, s->dir, sizeof(t.r.dir));
    memcpy(t.r.file, s->file, sizeof(t.r.file));
    snprintf(t.spare, sizeof(t.spare), "%s/keyring.next", s->dir);
    t.r.key = rig_key(1);
    t.new_key = rig_key(101);
    return t;
}

static status begin(struct try *t, struct err *e)
{
    struct keyring_info info = rig_info();

    return keyring_successor(t->r.k, &info, t->new_key, &t->next, e);
}

static status copy_all(struct try *t, struct err *e)
{
    status st = OK;

    for (uint32_t i = 0; st == OK && i < CELLS; i++) {
        struct cell anew = cell_of(i, 1 + WRAPPED_ANEW);

        st = keyring_put(t->next, &anew, e);
    }
    return st == OK ? keyring_commit(t->next, e) : st;
}

static status succeed(struct try *t, struct err *e)
{
    struct keyring_info info = rig_info();
    struct slot slots[2] = { slot_of(true, 0), slot_of(true, 1) };

    info.epoch = 2;
    info.anchor_size = 9;
    return keyring_succeed(&t->r.k, &t->next, &info, slots, 2, e);
}

static status begin_and_copy(struct try *t, struct err *e)
{
    status st = begin(t, e);

    return st == OK ? copy_all(t, e) : st;
}

static status all(struct try *t, struct err *e)
{
    status st = begin_and_copy(t, e);

    return st == OK ? succeed(t, e) : st;
}

static status abandon(struct try *t, struct err *e)
{
    status st = begin_and_copy(t, e);

    keyring_abandon(t->r.k, &t->next);
    return st;
}

static const struct scenario scenarios[] = {
    { "succeed", begin_and_copy, succeed, true },
    { "all of it", NULL, all, true },
    { "abandon", NULL, abandon, false },
};

static void base_make(const struct stage *s)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct try t = try_on(s);
        struct keyring_info info = rig_info();
        struct slot slots[2] = { slot_of(false, 0), slot_of(false, 1) };
        struct cell cells[CELLS];

        for (uint32_t i = 0; i < CELLS; i++)
            cells[i] = cell_of(i, 1);
        expect_ok(
            keyring_create(t.r.dir, false, &info, slots, 2, cells, CELLS, t.r.key, &t.r.k, &t.r.e),
            &t.r.e);
        rig_shut(&t.r);
        _exit(CHILD_DONE);
    }
    assert_int_equal(child_wait(pid), CHILD_DONE);
    copy(s->file, s->base);
}

static void path_of(const struct stage *s, const char *name, char path[RIG_PATH_SIZE])
{
    snprintf(path, RIG_PATH_SIZE, "%s/%s", s->dir, name);
}

/* The old keyring beside an empty spare. */
static void reset(const struct stage *s)
{
    char spare[RIG_PATH_SIZE];

    path_of(s, "keyring.next", spare);
    copy(s->base, s->file);
    rig_file_write(spare, NULL, 0);
}

static size_t size_of(const char *path)
{
    struct stat st;

    expect_that(stat(path, &st) == 0);
    return (size_t)st.st_size;
}

static void expect_gone(const char *path, bool new)
{
    struct slot slot = slot_of(new, 1);

    expect_that(!rig_file_has(path, slot.sealed_private, sizeof(slot.sealed_private)));
    for (uint32_t n = 1; n <= KEYS; n++) {
        uint8_t value[SEALED_KEY_SIZE];

        rig_value(n, new ? 1 + WRAPPED_ANEW : 1, value);
        expect_that(!rig_file_has(path, value, sizeof(value)));
    }
}

static void check_content(struct try *t, bool new)
{
    const struct keyring_info *info = keyring_info(t->r.k);
    struct cell cell;
    struct slot slot, want;
    size_t cursor = 0, cells = 0, slots = 0;

    expect_that(info->epoch == (new ? 2 : 1) && info->anchor_size == (new ? 9 : 0));
    for (; keyring_next(t->r.k, &cursor, &cell); cells++) {
    }
    expect_that(cells == CELLS && keyring_scars(t->r.k) == 0);
    for (uint32_t i = 0; i < CELLS; i++) {
        struct cell meant = cell_of(i, new ? 1 + WRAPPED_ANEW : 1);

        expect_ok(keyring_cell(t->r.k, meant.type, &meant.id, 1, &cell, &t->r.e), &t->r.e);
        expect_that(span_same(SPAN(cell.sealed), SPAN(meant.sealed)) &&
                    cell.due_us == meant.due_us && cell.created_us == meant.created_us);
    }
    for (cursor = 0; keyring_next_slot(t->r.k, &cursor, &slot); slots++) {
    }
    expect_that(slots == 2);
    for (uint32_t i = 0; i < 2; i++) {
        want = slot_of(new, i);
        expect_ok(keyring_slot(t->r.k, &want.id, &slot, &t->r.e), &t->r.e);
        expect_that(slot.generation == want.generation && slot.x == want.x);
    }
}

enum outcome { OLD_ONE, NEW_ONE, EITHER };

/* Opens, finds out which it is, and holds it to that. */
static bool open_one(struct try *t)
{
    bool new;
    status st;

    rig_shut(&t->r);
    expect_ok(keyring_open(t->r.dir, false, &t->r.k, &t->r.e), &t->r.e);
    expect_that(size_of(t->spare) == 0);
    st = keyring_authenticate(t->r.k, t->r.key, NULL);
    new = st != OK;
    expect_that(new == (keyring_authenticate(t->r.k, t->new_key, NULL) == OK));
    expect_that(!new || st == CORRUPT);
    expect_ok(keyring_authenticate(t->r.k, new ? t->new_key : t->r.key, &t->r.e), &t->r.e);
    check_content(t, new);
    expect_gone(t->r.file, !new);
    return new;
}

static int check(const struct stage *s, enum outcome outcome)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct try t = try_on(s);
        bool new = open_one(&t);

        expect_that(outcome == EITHER || new == (outcome == NEW_ONE));
        expect_that(open_one(&t) == new);
        /* Life goes on: the old one can still be succeeded, the new one be changed. */
        if (new)
            expect_ok(keyring_anchor(t.r.k, 9, &t.r.e), &t.r.e);
        else
            expect_ok(all(&t, &t.r.e), &t.r.e);
        expect_that(open_one(&t));
        rig_shut(&t.r);
        _exit(CHILD_DONE);
    }
    return child_wait(pid);
}

/* After a failure: on the way to a successor only that one is lost, in succeeding both. */
static void check_refuses(struct try *t, const struct scenario *sc, status st)
{
    struct cell cell = cell_of(0, 3);
    bool successor_only = t->next == NULL || keyring_put(t->r.k, &cell, NULL) == OK;

    keyring_abort(t->r.k);
    expect_that(st == IO || (st == LIMIT && faults.was_reserve));
    expect_that(successor_only || sc->succeeds);
    expect_that(sc->prepare == NULL || !successor_only);
    expect_that(keyring_anchor(t->r.k, 0, NULL) == (successor_only ? OK : IO));
    if (t->next != NULL)
        expect_that(keyring_put(t->next, &cell, NULL) == IO);
    keyring_close(t->next);
}

static int act(const struct stage *s, const struct scenario *sc, enum fault fault, unsigned at,
               uint64_t seed)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct try t = try_on(s);
        struct err e = { .code = OK };
        status st;
        bool hit;

        expect_ok(keyring_open(t.r.dir, false, &t.r.k, &t.r.e), &t.r.e);
        expect_ok(keyring_authenticate(t.r.k, t.r.key, &t.r.e), &t.r.e);
        if (sc->prepare != NULL)
            expect_ok(sc->prepare(&t, &t.r.e), &t.r.e);
        faults_arm(fault, at, seed);
        st = sc->act(&t, &e);
        hit = faults.calls >= faults.at;
        /* What is done is durable, even if the power goes the moment after. */
        if (st == OK)
            faults_lose();
        faults_disarm();
        if (st != OK)
            check_refuses(&t, sc, st);
        rig_shut(&t.r);
        _exit(hit ? CHILD_FAILED : CHILD_DONE);
    }
    return child_wait(pid);
}

static void wrong(const struct scenario *sc, enum fault fault, unsigned at, uint64_t seed)
{
    print_error("%s, fault %d at call %u, seed %u\n", sc->name, (int)fault, at, (unsigned)seed);
    _fail(__FILE__, __LINE__);
}

static unsigned run(const struct stage *s, const struct scenario *sc, enum fault fault,
                    uint64_t seed)
{
    for (unsigned at = 1;; at++) {
        enum outcome outcome = sc->succeeds ? EITHER : OLD_ONE;
        int result;

        reset(s);
        result = act(s, sc, fault, at, seed);
        if (result == CHILD_DONE && sc->succeeds)
            outcome = NEW_ONE;
        if (result == CHILD_WRONG || check(s, outcome) != CHILD_DONE)
            wrong(sc, fault, at, seed);
        if (result == CHILD_DONE)
            return at;
        assert_true(result ==
                    (fault == FAULT_KILL || fault == FAULT_POWER ? CHILD_KILLED : CHILD_FAILED));
    }
}

static void run_all(enum fault fault, uint64_t seeds)
{
    struct stage s;

    stage_init(&s, "keyring");
    base_make(&s);
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        for (uint64_t seed = 1; seed <= seeds; seed++)
            assert_true(run(&s, &scenarios[i], fault, seed) > 10);
    }
    rig_dir_remove(s.dir);
}

static void killed_at_any_call_it_is_the_old_or_the_new(void **state)
{
    (void)state;
    run_all(FAULT_KILL, 1);
}

static void without_power_at_any_call_it_is_the_old_or_the_new(void **state)
{
    (void)state;
    run_all(FAULT_POWER, 3);
}

static void after_a_failed_call_it_is_the_old_or_the_new(void **state)
{
    (void)state;
    run_all(FAULT_EIO, 1);
}

static void on_a_full_disk_it_is_the_old_or_the_new(void **state)
{
    (void)state;
    run_all(FAULT_ENOSPC, 1);
}

static int open_with_fault(const struct stage *s, enum fault fault, unsigned at)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct try t = try_on(s);
        status st;

        faults_arm(fault, at, at);
        st = keyring_open(t.r.dir, false, &t.r.k, NULL);
        faults_disarm();
        rig_shut(&t.r);
        _exit(st == OK ? CHILD_DONE : CHILD_FAILED);
    }
    return child_wait(pid);
}

/* The two files as the crash left them, each opened with a fault at each call. */
static void opening_afterwards_may_be_interrupted_as_well(void **state)
{
    static const enum fault kinds[] = { FAULT_KILL, FAULT_POWER, FAULT_EIO };
    char spare[RIG_PATH_SIZE], image[RIG_PATH_SIZE], spare_image[RIG_PATH_SIZE];
    struct stage s;

    (void)state;
    stage_init(&s, "keyring");
    base_make(&s);
    path_of(&s, "keyring.next", spare);
    path_of(&s, "image", image);
    path_of(&s, "image.next", spare_image);
    for (unsigned first = 2;; first += 5) {
        reset(&s);
        if (act(&s, &scenarios[0], FAULT_POWER, first, first) == CHILD_DONE)
            break;
        copy(s.file, image);
        copy(spare, spare_image);
        for (unsigned at = 1;; at++) {
            enum fault fault = kinds[at % 3];
            int result;

            copy(image, s.file);
            copy(spare_image, spare);
            result = open_with_fault(&s, fault, at);
            if (check(&s, EITHER) != CHILD_DONE)
                wrong(&scenarios[0], fault, at, first);
            if (result == CHILD_DONE)
                break;
        }
    }
    rig_dir_remove(s.dir);
}

static struct {
    char old_file[RIG_PATH_SIZE]; /* its name by then */
    size_t size;
    unsigned syncs;
} seen;

/* The second sync of a succession is that of the overwritten file, still at its full length. */
static void look_at_old(void)
{
    if (++seen.syncs != 2)
        return;
    expect_that(size_of(seen.old_file) == seen.size);
    expect_gone(seen.old_file, false);
}

static void a_succession_is_eight_steps(void **state)
{
    struct stage s;
    pid_t pid;

    (void)state;
    stage_init(&s, "keyring");
    base_make(&s);
    pid = fork();
    if (pid == 0) {
        struct try t = try_on(&s);

        expect_ok(keyring_open(t.r.dir, false, &t.r.k, &t.r.e), &t.r.e);
        expect_ok(keyring_authenticate(t.r.k, t.r.key, &t.r.e), &t.r.e);
        faults.trace_length = 0;
        expect_ok(begin_and_copy(&t, &t.r.e), &t.r.e);
        faults.trace[faults.trace_length] = '\0';
        /* Building it only writes. */
        expect_that(span_same(span_text(faults.trace), span_text("wwwwwwwwww")));
        memcpy(seen.old_file, t.spare, sizeof(seen.old_file));
        seen.size = size_of(t.r.file);
        faults.trace_length = 0;
        faults.on_sync = look_at_old;
        expect_ok(succeed(&t, &t.r.e), &t.r.e);
        faults.trace[faults.trace_length] = '\0';
        /* Two slots and two superblocks; 396 KiB of random bytes, 64 at a time. */
        expect_that(span_same(span_text(faults.trace), span_text("wwww"
                                                                 "s"
                                                                 "x"
                                                                 "d"
                                                                 "wwwwwww"
                                                                 "s"
                                                                 "t"
                                                                 "s")));
        expect_that(seen.syncs == 3);
        rig_shut(&t.r);
        _exit(CHILD_DONE);
    }
    assert_int_equal(child_wait(pid), CHILD_DONE);
    rig_dir_remove(s.dir);
}

static void where_names_cannot_be_exchanged_nothing_changes(void **state)
{
    struct stage s;
    pid_t pid;

    (void)state;
    stage_init(&s, "keyring");
    base_make(&s);
    pid = fork();
    if (pid == 0) {
        struct try t = try_on(&s);

        expect_ok(keyring_open(t.r.dir, false, &t.r.k, &t.r.e), &t.r.e);
        expect_ok(keyring_authenticate(t.r.k, t.r.key, &t.r.e), &t.r.e);
        faults.no_exchange = true;
        expect_that(all(&t, NULL) == LIMIT);
        keyring_abandon(t.r.k, &t.next);
        expect_that(size_of(t.spare) == 0);
        check_content(&t, false);
        expect_ok(keyring_anchor(t.r.k, 0, &t.r.e), &t.r.e);
        expect_that(!open_one(&t));
        rig_shut(&t.r);
        _exit(CHILD_DONE);
    }
    assert_int_equal(child_wait(pid), CHILD_DONE);
    rig_dir_remove(s.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_call_it_is_the_old_or_the_new),
        cmocka_unit_test(without_power_at_any_call_it_is_the_old_or_the_new),
        cmocka_unit_test(after_a_failed_call_it_is_the_old_or_the_new),
        cmocka_unit_test(on_a_full_disk_it_is_the_old_or_the_new),
        cmocka_unit_test(opening_afterwards_may_be_interrupted_as_well),
        cmocka_unit_test(a_succession_is_eight_steps),
        cmocka_unit_test(where_names_cannot_be_exchanged_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
