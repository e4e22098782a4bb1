/* wrap: pwrite fdatasync ftruncate fallocate fsync renameat2 */
/*
 * The keyring on a disk that fails at every possible moment. Whatever the moment: every cell is
 * as before or as meant, never neither and never both, nothing else changed, and no byte of a
 * value that is not alive is in the file once it was opened.
 */
#include "keyring_faults.h"

/* What one cell may be: the salt of its value before and after; 0 is not there. */
struct change {
    uint8_t type;
    uint32_t n;
    uint32_t before;
    uint32_t after;
};

enum slot_change { SLOT_AS_IT_WAS, SLOT_ROLLED, SLOT_ADDED, SLOT_ENDED };
enum opened { OPENED_WITH_KEY, OPENED_LOCKED, OPENED_NOT };

struct scenario {
    const char *name;
    status (*act)(struct rig *r, struct err *e);
    enum opened opened;
    struct change changes[8];
    enum slot_change slot;
    uint64_t anchor; /* after */
};

#define BASE_KEYS 12

static status put(struct rig *r, uint8_t type, uint32_t n, uint32_t salt, struct err *e)
{
    struct cell cell = rig_cell(type, n, salt);

    return keyring_put(r->k, &cell, e);
}

static status end(struct rig *r, uint32_t n, struct err *e)
{
    struct id id = rig_id(n);

    return keyring_destroy(r->k, CELL_DATA_KEY, &id, 1, DESTROY_PURGED, 99, e);
}

static status act_put(struct rig *r, struct err *e)
{
    status st = put(r, CELL_DATA_KEY, 50, 2, e);

    return st == OK ? keyring_commit(r->k, e) : st;
}

static status act_replace(struct rig *r, struct err *e)
{
    status st = put(r, CELL_DATA_KEY, 1, 2, e);

    return st == OK ? keyring_commit(r->k, e) : st;
}

static status act_destroy(struct rig *r, struct err *e)
{
    status st = end(r, 2, e);

    if (st == OK)
        st = end(r, 3, e);
    if (st == OK)
        st = end(r, 9, e);
    return st == OK ? keyring_commit(r->k, e) : st;
}

static status act_all(struct rig *r, struct err *e)
{
    struct id id = rig_id(12);
    status st = put(r, CELL_DATA_KEY, 50, 2, e);

    if (st == OK)
        st = put(r, CELL_TENANT_SEED, 51, 2, e);
    if (st == OK)
        st = put(r, CELL_DATA_KEY, 1, 2, e);
    if (st == OK)
        st = put(r, CELL_ENGAGEMENT, 20, 2, e);
    if (st == OK)
        st = end(r, 5, e);
    if (st == OK)
        st = end(r, 6, e);
    if (st == OK)
        st = keyring_prove(r->k, CELL_DATA_KEY, &id, 1, e);
    return st == OK ? keyring_commit(r->k, e) : st;
}

/* More than there is room for is staged, and then forgotten: the file has grown for it. */
static status act_grow(struct rig *r, struct err *e)
{
    status st = OK;

    for (uint32_t n = 5000; st == OK && n < 5000 + 1024; n++)
        st = put(r, CELL_SYSTEM, n, 1, e);
    keyring_abort(r->k);
    return st == OK ? act_put(r, e) : st;
}

static status act_roll(struct rig *r, struct err *e)
{
    struct slot slot = rig_slot(1, 2);

    return keyring_put_slot(r->k, &slot, e);
}

static status act_add_slot(struct rig *r, struct err *e)
{
    struct slot slot = rig_slot(3, 1);

    return keyring_put_slot(r->k, &slot, e);
}

static status act_end_slot(struct rig *r, struct err *e)
{
    struct id id = rig_id(1);

    return keyring_destroy_slot(r->k, &id, e);
}

static status act_anchor(struct rig *r, struct err *e)
{
    return keyring_anchor(r->k, 77, e);
}

/* Opening finishes what is left to finish, which may be interrupted as well. */
static status act_open(struct rig *r, struct err *e)
{
    status st = keyring_open(r->dir, false, &r->k, e);

    return st == OK ? keyring_authenticate(r->k, r->key, e) : st;
}

static status act_open_and_roll(struct rig *r, struct err *e)
{
    status st = act_open(r, e);

    return st == OK ? act_roll(r, e) : st;
}

static const struct scenario scenarios[] = {
    { "put", act_put, OPENED_WITH_KEY, { { CELL_DATA_KEY, 50, 0, 2 } }, SLOT_AS_IT_WAS, 5 },
    { "replace", act_replace, OPENED_WITH_KEY, { { CELL_DATA_KEY, 1, 1, 2 } }, SLOT_AS_IT_WAS, 5 },
    { "destroy",
      act_destroy,
      OPENED_WITH_KEY,
      { { CELL_DATA_KEY, 2, 1, 0 }, { CELL_DATA_KEY, 3, 1, 0 }, { CELL_DATA_KEY, 9, 1, 0 } },
      SLOT_AS_IT_WAS,
      5 },
    { "destroy while locked",
      act_destroy,
      OPENED_LOCKED,
      { { CELL_DATA_KEY, 2, 1, 0 }, { CELL_DATA_KEY, 3, 1, 0 }, { CELL_DATA_KEY, 9, 1, 0 } },
      SLOT_AS_IT_WAS,
      5 },
    { "all kinds",
      act_all,
      OPENED_WITH_KEY,
      { { CELL_DATA_KEY, 50, 0, 2 },
        { CELL_TENANT_SEED, 51, 0, 2 },
        { CELL_DATA_KEY, 1, 1, 2 },
        { CELL_ENGAGEMENT, 20, 1, 2 },
        { CELL_DATA_KEY, 5, 1, 0 },
        { CELL_DATA_KEY, 6, 1, 0 } },
      SLOT_AS_IT_WAS,
      5 },
    { "grow", act_grow, OPENED_WITH_KEY, { { CELL_DATA_KEY, 50, 0, 2 } }, SLOT_AS_IT_WAS, 5 },
    { "roll a slot", act_roll, OPENED_WITH_KEY, { { 0 } }, SLOT_ROLLED, 5 },
    { "add a slot", act_add_slot, OPENED_WITH_KEY, { { 0 } }, SLOT_ADDED, 5 },
    { "end a slot", act_end_slot, OPENED_WITH_KEY, { { 0 } }, SLOT_ENDED, 5 },
    { "anchor", act_anchor, OPENED_WITH_KEY, { { 0 } }, SLOT_AS_IT_WAS, 77 },
};

static struct rig rig_on(const struct stage *s)
{
    struct rig r = { .k = NULL };

    expect_that(secret_start((size_t)1024 * 1024, NULL) == OK);
    memcpy(r.dir, s->dir, sizeof(r.dir));
    memcpy(r.file, s->file, sizeof(r.file));
    r.key = rig_key(1);
    return r;
}

static status create(struct rig *r, struct err *e)
{
    struct keyring_info info = rig_info();
    struct slot slots[2] = { rig_slot(1, 1), rig_slot(2, 1) };
    struct cell cells[BASE_KEYS + 3];

    info.anchor_size = 5;
    for (uint32_t i = 0; i < BASE_KEYS; i++)
        cells[i] = rig_cell(CELL_DATA_KEY, i + 1, 1);
    cells[BASE_KEYS] = rig_cell(CELL_ENGAGEMENT, 20, 1);
    cells[BASE_KEYS + 1] = rig_cell(CELL_TENANT_SEED, 21, 1);
    cells[BASE_KEYS + 2] = rig_cell(CELL_SYSTEM, 22, 1);
    return keyring_create(r->dir, false, &info, slots, 2, cells, BASE_KEYS + 3, r->key, &r->k, e);
}

/* A keyring with the cells above, of which data key 12 has died while locked. */
static void base_make(const struct stage *s)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct rig r = rig_on(s);

        expect_ok(create(&r, &r.e), &r.e);
        rig_shut(&r);
        expect_ok(keyring_open(r.dir, false, &r.k, &r.e), &r.e);
        expect_ok(end(&r, 12, &r.e), &r.e);
        expect_ok(keyring_commit(r.k, &r.e), &r.e);
        rig_shut(&r);
        _exit(CHILD_DONE);
    }
    assert_int_equal(child_wait(pid), CHILD_DONE);
    copy(s->file, s->base);
}

static const struct change *change_of(const struct scenario *sc, uint8_t type, uint32_t n)
{
    for (size_t i = 0; i < sizeof(sc->changes) / sizeof(sc->changes[0]); i++) {
        if (sc->changes[i].type == type && sc->changes[i].n == n)
            return &sc->changes[i];
    }
    return NULL;
}

static uint32_t salt_of(struct rig *r, uint8_t type, uint32_t n)
{
    struct id id = rig_id(n);
    struct cell got, want;
    status st = keyring_cell(r->k, type, &id, 1, &got, &r->e);

    if (st == NOT_FOUND) {
        r->e.code = OK;
        return 0;
    }
    expect_ok(st, &r->e);
    want = rig_cell(type, n, (uint32_t)(got.created_us - 1000));
    expect_that(span_same(SPAN(got.sealed), SPAN(want.sealed)) && got.due_us == want.due_us &&
                id_same(&got.parent, &want.parent));
    return (uint32_t)(got.created_us - 1000);
}

static void expect_gone(const struct rig *r, uint8_t type, uint32_t n, uint32_t salt)
{
    uint8_t value[SEALED_KEY_SIZE];

    if (salt == 0 || type == CELL_ENGAGEMENT)
        return;
    rig_value(n, salt, value);
    expect_that(!rig_file_has(r->file, value, sizeof(value)));
}

/* Every cell of base and scenario; returns how many live. */
static size_t check_cells(struct rig *r, const struct scenario *sc, bool done)
{
    static const struct change others[] = { { CELL_ENGAGEMENT, 20, 1, 1 },
                                            { CELL_TENANT_SEED, 21, 1, 1 },
                                            { CELL_SYSTEM, 22, 1, 1 } };
    struct change all[BASE_KEYS + 3 + 8];
    size_t count = 0, live = 0;

    for (uint32_t n = 1; n <= BASE_KEYS; n++) {
        uint32_t salt = n != 12;

        if (change_of(sc, CELL_DATA_KEY, n) == NULL)
            all[count++] = (struct change){ CELL_DATA_KEY, n, salt, salt };
    }
    for (size_t i = 0; i < 3; i++) {
        if (change_of(sc, others[i].type, others[i].n) == NULL)
            all[count++] = others[i];
    }
    for (size_t i = 0; i < 8 && sc->changes[i].type != 0; i++)
        all[count++] = sc->changes[i];
    for (size_t i = 0; i < count; i++) {
        uint32_t salt = salt_of(r, all[i].type, all[i].n);

        expect_that(salt == all[i].after || (!done && salt == all[i].before));
        live += salt != 0;
        if (salt != all[i].before)
            expect_gone(r, all[i].type, all[i].n, all[i].before);
        if (salt != all[i].after)
            expect_gone(r, all[i].type, all[i].n, all[i].after);
    }
    return live;
}

static void check_slots(struct rig *r, const struct scenario *sc, bool done)
{
    struct slot one = rig_slot(1, 1), rolled = rig_slot(1, 2), added = rig_slot(3, 1), got;
    bool has_one = keyring_slot(r->k, &one.id, &got, NULL) == OK;
    uint32_t generation = has_one ? got.generation : 0;
    bool has_added = keyring_slot(r->k, &added.id, &got, NULL) == OK;
    size_t cursor = 0, n = 0;

    while (keyring_next_slot(r->k, &cursor, &got))
        n++;
    expect_that(n == 1 + (size_t)has_one + (size_t)has_added);
    added.id = rig_id(2);
    expect_that(keyring_slot(r->k, &added.id, &got, NULL) == OK && got.generation == 1);
    if (sc->slot == SLOT_ROLLED)
        expect_that(generation == 2 || (!done && generation == 1));
    else if (sc->slot == SLOT_ENDED)
        expect_that(generation == 0 || (!done && generation == 1));
    else
        expect_that(generation == 1);
    expect_that(has_added == (sc->slot == SLOT_ADDED) || (!done && !has_added));
    if (generation != 1)
        expect_that(!rig_file_has(r->file, one.sealed_private, sizeof(one.sealed_private)));
    if (generation != 2)
        expect_that(!rig_file_has(r->file, rolled.sealed_private, sizeof(rolled.sealed_private)));
}

static void check_all(struct rig *r, const struct scenario *sc, bool done)
{
    struct cell cell;
    size_t live, cursor = 0;
    uint64_t anchor = keyring_info(r->k)->anchor_size;

    live = check_cells(r, sc, done);
    while (keyring_next(r->k, &cursor, &cell))
        live--;
    expect_that(live == 0);
    check_slots(r, sc, done);
    expect_that(anchor == sc->anchor || (!done && anchor == 5));
    expect_that(keyring_scars(r->k) == 0);
    /* Births are durable before the first old cell goes. */
    if (sc->act == act_all && salt_of(r, CELL_DATA_KEY, 5) == 0)
        expect_that(salt_of(r, CELL_DATA_KEY, 50) == 2 && salt_of(r, CELL_TENANT_SEED, 51) == 2 &&
                    salt_of(r, CELL_DATA_KEY, 1) == 2);
}

static void reopen(struct rig *r)
{
    rig_shut(r);
    expect_ok(keyring_open(r->dir, false, &r->k, &r->e), &r->e);
    expect_ok(keyring_authenticate(r->k, r->key, &r->e), &r->e);
}

static int check(const struct stage *s, const struct scenario *sc, bool done)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct rig r = rig_on(s);

        for (int pass = 0; pass < 2; pass++) {
            reopen(&r);
            check_all(&r, sc, done);
        }
        /* Life goes on. */
        expect_ok(keyring_anchor(r.k, keyring_info(r.k)->anchor_size, &r.e), &r.e);
        expect_ok(put(&r, CELL_SYSTEM, 300, 4, &r.e), &r.e);
        expect_ok(keyring_commit(r.k, &r.e), &r.e);
        expect_ok(act_roll(&r, &r.e), &r.e);
        reopen(&r);
        expect_that(salt_of(&r, CELL_SYSTEM, 300) == 4);
        rig_shut(&r);
        _exit(CHILD_DONE);
    }
    return child_wait(pid);
}

/* After a failure nothing more is possible, except after one that only reserved room. */
static void check_refuses(struct rig *r, status st)
{
    struct cell cell = rig_cell(CELL_SYSTEM, 301, 1);
    struct id id = rig_id(7);
    struct slot slot = rig_slot(1, 3);

    if (r->k == NULL)
        return;
    if (st == LIMIT) {
        expect_that(faults.was_reserve);
        expect_that(keyring_commit(r->k, NULL) == OK);
        return;
    }
    expect_that(st == IO);
    expect_that(keyring_put(r->k, &cell, NULL) == IO);
    expect_that(keyring_destroy(r->k, CELL_DATA_KEY, &id, 1, 1, 1, NULL) == IO);
    expect_that(keyring_cell(r->k, CELL_DATA_KEY, &id, 1, &cell, NULL) == IO);
    expect_that(keyring_put_slot(r->k, &slot, NULL) == IO);
    expect_that(keyring_anchor(r->k, 1, NULL) == IO);
    expect_that(keyring_commit(r->k, NULL) == IO);
}

static int act(const struct stage *s, const struct scenario *sc, enum fault fault, unsigned at,
               uint64_t seed)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct rig r = rig_on(s);
        struct err e = { .code = OK };
        status st;

        if (sc->opened != OPENED_NOT)
            expect_ok(keyring_open(r.dir, false, &r.k, &r.e), &r.e);
        if (sc->opened == OPENED_WITH_KEY)
            expect_ok(keyring_authenticate(r.k, r.key, &r.e), &r.e);
        faults_arm(fault, at, seed);
        st = sc->act(&r, &e);
        /* What is done is durable, even if the power goes the moment after. */
        if (st == OK)
            faults_lose();
        faults_disarm();
        if (st != OK)
            check_refuses(&r, st);
        rig_shut(&r);
        _exit(st == OK ? CHILD_DONE : CHILD_FAILED);
    }
    return child_wait(pid);
}

static void wrong(const struct scenario *sc, enum fault fault, unsigned at, uint64_t seed)
{
    print_error("%s, fault %d at call %u, seed %u\n", sc->name, (int)fault, at, (unsigned)seed);
    _fail(__FILE__, __LINE__);
}

/* One scenario with the fault at call 1, 2, ... until it gets through. Returns how far. */
static unsigned run(const struct stage *s, const struct scenario *sc, enum fault fault,
                    uint64_t seed)
{
    for (unsigned at = 1;; at++) {
        int result;

        copy(s->base, s->file);
        result = act(s, sc, fault, at, seed);
        if (result == CHILD_WRONG || check(s, sc, result == CHILD_DONE) != CHILD_DONE)
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
            assert_true(run(&s, &scenarios[i], fault, seed) > 2);
    }
    rig_dir_remove(s.dir);
}

static void killed_at_any_call_every_cell_is_old_or_new(void **state)
{
    (void)state;
    run_all(FAULT_KILL, 1);
}

static void without_power_at_any_call_every_cell_is_old_or_new(void **state)
{
    (void)state;
    run_all(FAULT_POWER, 5);
}

static void after_a_failed_call_the_keyring_refuses_and_the_file_is_whole(void **state)
{
    (void)state;
    run_all(FAULT_EIO, 1);
}

static void on_a_full_disk_the_keyring_refuses_and_the_file_is_whole(void **state)
{
    (void)state;
    run_all(FAULT_ENOSPC, 1);
}

/* Images in which each call of a change was the last, each opened with a fault at each call. */
static void opening_may_be_interrupted_as_well(void **state)
{
    static const size_t interrupted[] = { 1, 3, 4, 6, 8 };
    struct stage s;

    (void)state;
    stage_init(&s, "keyring");
    base_make(&s);
    for (size_t i = 0; i < sizeof(interrupted) / sizeof(interrupted[0]); i++) {
        const struct scenario *sc = &scenarios[interrupted[i]];
        struct scenario opening = *sc;
        char image[RIG_PATH_SIZE];

        opening.act = sc->slot == SLOT_ROLLED ? act_open_and_roll : act_open;
        opening.opened = OPENED_NOT;
        snprintf(image, sizeof(image), "%s/image", s.dir);
        for (unsigned first = 1;; first += 2) {
            int result;

            copy(s.base, s.file);
            if (act(&s, sc, FAULT_POWER, first, first) == CHILD_DONE)
                break;
            copy(s.file, image);
            for (unsigned at = 1;; at++) {
                copy(image, s.file);
                result = act(&s, &opening, at % 2 ? FAULT_POWER : FAULT_KILL, at, at);
                /* Whether the change itself is done was decided before. */
                if (result == CHILD_WRONG || check(&s, &opening, false) != CHILD_DONE)
                    wrong(&opening, FAULT_POWER, at, first);
                if (result == CHILD_DONE)
                    break;
            }
        }
    }
    rig_dir_remove(s.dir);
}

static struct {
    char file[RIG_PATH_SIZE];
    size_t victim_at;
    unsigned syncs;
    uint8_t victim[3][CELL_SIZE]; /* as of each sync */
} seen;

static void look_at_victim(void)
{
    int fd = open(seen.file, O_RDONLY | O_CLOEXEC);

    if (seen.syncs < 3)
        expect_that(pread(fd, seen.victim[seen.syncs++], CELL_SIZE, (off_t)seen.victim_at) ==
                    CELL_SIZE);
    close(fd);
}

static void a_commit_is_six_steps(void **state)
{
    struct stage s;
    pid_t pid;

    (void)state;
    stage_init(&s, "keyring");
    base_make(&s);
    pid = fork();
    if (pid == 0) {
        struct rig r = rig_on(&s);
        unsigned same = 0, zero = 0;

        expect_ok(act_open(&r, &r.e), &r.e);
        memcpy(seen.file, r.file, sizeof(seen.file));
        seen.victim_at = rig_cell_at(r.file, 5, 1);
        faults.trace_length = 0;
        faults.on_sync = look_at_victim;
        expect_ok(act_all(&r, &r.e), &r.e);
        faults.trace[faults.trace_length] = '\0';
        /* Four births; two replaced and two destroyed; their tombstones and a proof. */
        expect_that(span_same(span_text(faults.trace), span_text("wwwwswwwwswwwwws")));
        /* Whole, then dying with random bytes where the value was, then a tombstone. */
        expect_that(seen.victim[0][0] == CELL_DATA_KEY && seen.victim[2][0] == CELL_TOMBSTONE);
        for (size_t i = 112; i < CELL_SIZE; i++) {
            same += seen.victim[0][i] == seen.victim[1][i];
            zero += seen.victim[1][i] == 0;
        }
        expect_that(same < 12 && zero < 12);
        rig_shut(&r);
        _exit(CHILD_DONE);
    }
    assert_int_equal(child_wait(pid), CHILD_DONE);
    rig_dir_remove(s.dir);
}

static status act_create(struct rig *r, struct err *e)
{
    return create(r, e);
}

static void a_keyring_is_created_whole_or_not_at_all(void **state)
{
    static const enum fault kinds[] = { FAULT_KILL, FAULT_POWER, FAULT_EIO, FAULT_ENOSPC };
    const struct scenario sc = { "create",       act_create,
                                 OPENED_NOT,     { { CELL_DATA_KEY, 12, 1, 1 } },
                                 SLOT_AS_IT_WAS, 5 };
    struct stage s;

    (void)state;
    stage_init(&s, "keyring");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned at = 1;; at++) {
            int result;

            unlink(s.file);
            result = act(&s, &sc, kinds[i], at, at);
            if (result == CHILD_WRONG)
                wrong(&sc, kinds[i], at, at);
            if (access(s.file, F_OK) == 0 && check(&s, &sc, true) != CHILD_DONE)
                wrong(&sc, kinds[i], at, at);
            if (result != CHILD_DONE)
                continue;
            assert_int_equal(access(s.file, F_OK), 0);
            break;
        }
    }
    rig_dir_remove(s.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_call_every_cell_is_old_or_new),
        cmocka_unit_test(without_power_at_any_call_every_cell_is_old_or_new),
        cmocka_unit_test(after_a_failed_call_the_keyring_refuses_and_the_file_is_whole),
        cmocka_unit_test(on_a_full_disk_the_keyring_refuses_and_the_file_is_whole),
        cmocka_unit_test(opening_may_be_interrupted_as_well),
        cmocka_unit_test(a_commit_is_six_steps),
        cmocka_unit_test(a_keyring_is_created_whole_or_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
