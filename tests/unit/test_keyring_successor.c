/* A keyring in place of another: what it holds, what it leaves behind, what happens meanwhile. */
#include <sys/file.h>

#include "keyring/successor.h"
#include "keyring_rig.h"

#define WRAPPED_ANEW 500 /* added to a salt */

struct rotation {
    struct rig r;
    char spare[RIG_PATH_SIZE];
    struct secret *key; /* of the successor */
    struct keyring *next;
    uint64_t since;
};

static struct keyring_info info_of(uint32_t epoch)
{
    struct keyring_info info = rig_info();

    info.epoch = epoch;
    info.k = 2;
    info.n = 3;
    info.root_check[0] = (uint8_t)(77 + epoch);
    info.anchor_size = 40 + epoch;
    return info;
}

static void start(struct rotation *t, size_t slots, size_t cells)
{
    *t = (struct rotation){ .since = 0 };
    rig_make(&t->r, slots, cells);
    snprintf(t->spare, sizeof(t->spare), "%s/keyring.next", t->r.dir);
    t->key = rig_key(101);
}

static void begin(struct rotation *t)
{
    struct keyring_info info = info_of(2);

    t->since = keyring_seq(t->r.k);
    assert_ok(keyring_successor(t->r.k, &info, t->key, &t->next, &t->r.e), &t->r.e);
}

static uint32_t number_of(const struct id *id)
{
    uint32_t n = 0;

    for (size_t i = 4; i-- > 0;)
        n = n << 8 | (uint8_t)(id->b[i] ^ i * 37);
    return n;
}

/* What the caller of all this is for: the same cell under another key. */
static void wrap_anew(struct rotation *t, const struct cell *cell)
{
    uint32_t salt = (uint32_t)(cell->created_us - 1000);
    struct cell anew = rig_cell(cell->type, number_of(&cell->id), salt + WRAPPED_ANEW);

    assert_ok(keyring_put(t->next, &anew, &t->r.e), &t->r.e);
}

static void copy_all(struct rotation *t)
{
    struct cell cell;
    size_t cursor = 0;

    while (keyring_next(t->r.k, &cursor, &cell))
        wrap_anew(t, &cell);
    assert_ok(keyring_commit(t->next, &t->r.e), &t->r.e);
}

/* One round of what changed; how much that was. */
static size_t follow(struct rotation *t)
{
    uint64_t mark = keyring_seq(t->r.k);
    struct cell cell;
    size_t cursor = 0, n = 0;

    for (; keyring_next_since(t->r.k, t->since, &cursor, &cell); n++) {
        status st;

        if (cell.type != CELL_TOMBSTONE) {
            wrap_anew(t, &cell);
            continue;
        }
        st = keyring_destroy(t->next, cell.was, &cell.id, cell.version, cell.reason, cell.due_us,
                             NULL);
        assert_true(st == OK || st == NOT_FOUND);
    }
    assert_ok(keyring_commit(t->next, &t->r.e), &t->r.e);
    t->since = mark;
    return n;
}

static void succeed(struct rotation *t, size_t slot_count)
{
    struct keyring_info info = info_of(2);
    struct slot slots[8];

    for (size_t i = 0; i < slot_count; i++) {
        slots[i] = rig_slot((uint32_t)i + 1, 5);
        slots[i].epoch = 2;
    }
    assert_ok(keyring_succeed(&t->r.k, &t->next, &info, slots, slot_count, &t->r.e), &t->r.e);
    assert_null(t->next);
}

/* From here on the rig's key is the new one. */
static void adopt(struct rotation *t)
{
    struct secret *old = t->r.key;

    t->r.key = t->key;
    t->key = old;
}

static void end(struct rotation *t)
{
    keyring_abandon(t->r.k, &t->next);
    secret_free(t->key);
    rig_end(&t->r);
}

static size_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

static void expect_value_gone(const struct rotation *t, uint32_t n, uint32_t salt)
{
    uint8_t value[SEALED_KEY_SIZE];

    rig_value(n, salt, value);
    assert_false(rig_file_has(t->r.file, value, sizeof(value)));
}

static void it_holds_what_was_copied_and_nothing_else(void **state)
{
    struct rotation t;
    struct slot slot;

    (void)state;
    start(&t, 3, 1500);
    rig_put(&t.r, CELL_ENGAGEMENT, 3001, 1);
    rig_put(&t.r, CELL_TENANT_SEED, 3002, 1);
    rig_put(&t.r, CELL_SYSTEM, 3003, 1);
    rig_put(&t.r, CELL_REKEY, 3004, 1);
    rig_destroy(&t.r, CELL_DATA_KEY, 7, DESTROY_REVOKED);
    rig_commit(&t.r);
    begin(&t);
    copy_all(&t);
    assert_int_equal(follow(&t), 0);
    for (uint8_t type = CELL_TENANT_SEED; type <= CELL_REKEY; type++)
        assert_int_equal(keyring_count(t.next, type), keyring_count(t.r.k, type));
    succeed(&t, 2);
    adopt(&t);
    for (int pass = 0; pass < 2; pass++) {
        const struct keyring_info *info = keyring_info(t.r.k);

        assert_true(info->epoch == 2 && info->k == 2 && info->n == 3 && info->anchor_size == 42 &&
                    info->root_check[0] == 79);
        assert_int_equal(keyring_count(t.r.k, CELL_DATA_KEY), 1499);
        for (uint32_t n = 1; n <= 1500; n++)
            assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, n), n == 7 ? 0 : 1 + WRAPPED_ANEW);
        assert_int_equal(rig_salt(t.r.k, CELL_ENGAGEMENT, 3001), 1 + WRAPPED_ANEW);
        assert_int_equal(rig_salt(t.r.k, CELL_TENANT_SEED, 3002), 1 + WRAPPED_ANEW);
        assert_int_equal(rig_salt(t.r.k, CELL_SYSTEM, 3003), 1 + WRAPPED_ANEW);
        assert_int_equal(rig_salt(t.r.k, CELL_REKEY, 3004), 1 + WRAPPED_ANEW);
        for (uint32_t n = 1; n <= 3; n++) {
            struct id id = rig_id(n);

            assert_status(keyring_slot(t.r.k, &id, &slot, NULL), n == 3 ? NOT_FOUND : OK);
            assert_true(n == 3 || (slot.generation == 5 && slot.epoch == 2));
        }
        assert_int_equal(size_of(t.spare), 0);
        expect_value_gone(&t, 1, 1);
        expect_value_gone(&t, 1500, 1);
        rig_reopen(&t.r);
    }
    end(&t);
}

static void only_its_own_key_authenticates_it(void **state)
{
    struct rotation t;

    (void)state;
    start(&t, 1, 3);
    begin(&t);
    copy_all(&t);
    keyring_abandon(t.r.k, &t.next);
    rig_reopen_locked(&t.r);
    assert_status(keyring_authenticate(t.r.k, t.key, NULL), CORRUPT);
    assert_status(keyring_authenticate(t.r.k, t.r.key, NULL), OK);
    begin(&t);
    copy_all(&t);
    succeed(&t, 1);
    rig_reopen_locked(&t.r);
    assert_status(keyring_authenticate(t.r.k, t.r.key, NULL), CORRUPT);
    assert_status(keyring_authenticate(t.r.k, t.key, NULL), OK);
    end(&t);
}

static void it_lives_on_like_any_keyring_and_is_succeeded_in_turn(void **state)
{
    struct rotation t;
    struct slot rolled = rig_slot(1, 6);

    (void)state;
    start(&t, 1, 5);
    for (uint32_t round = 1; round <= 4; round++) {
        begin(&t);
        copy_all(&t);
        succeed(&t, 1);
        adopt(&t);
        rig_put(&t.r, CELL_DATA_KEY, 100 + round, 3);
        rig_destroy(&t.r, CELL_DATA_KEY, round, DESTROY_PURGED);
        rig_commit(&t.r);
        assert_ok(keyring_put_slot(t.r.k, &rolled, &t.r.e), &t.r.e);
        assert_ok(keyring_anchor(t.r.k, 90 + round, &t.r.e), &t.r.e);
    }
    rig_reopen(&t.r);
    assert_int_equal(keyring_count(t.r.k, CELL_DATA_KEY), 5);
    assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 5), 1 + 4 * WRAPPED_ANEW);
    assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 104), 3);
    assert_int_equal(keyring_info(t.r.k)->anchor_size, 94);
    end(&t);
}

static void what_changes_during_the_copy_arrives(void **state)
{
    struct rotation t;
    struct cell cell;
    size_t cursor = 0;

    (void)state;
    start(&t, 1, 20);
    begin(&t);
    for (int i = 0; i < 10 && keyring_next(t.r.k, &cursor, &cell); i++)
        wrap_anew(&t, &cell);
    assert_ok(keyring_commit(t.next, &t.r.e), &t.r.e);
    /* Among what was copied, what was not yet, and what never was. */
    rig_put(&t.r, CELL_DATA_KEY, 2, 9);
    rig_put(&t.r, CELL_DATA_KEY, 15, 9);
    rig_put(&t.r, CELL_DATA_KEY, 50, 9);
    rig_put(&t.r, CELL_DATA_KEY, 51, 9);
    rig_destroy(&t.r, CELL_DATA_KEY, 3, DESTROY_REVOKED);
    rig_destroy(&t.r, CELL_DATA_KEY, 16, DESTROY_REVOKED);
    rig_destroy(&t.r, CELL_DATA_KEY, 4, DESTROY_REVOKED);
    rig_commit(&t.r);
    rig_destroy(&t.r, CELL_DATA_KEY, 51, DESTROY_UNANSWERED);
    rig_put(&t.r, CELL_DATA_KEY, 4, 9);
    rig_commit(&t.r);
    while (keyring_next(t.r.k, &cursor, &cell))
        wrap_anew(&t, &cell);
    assert_ok(keyring_commit(t.next, &t.r.e), &t.r.e);
    /* 2, 15, 50, 4 live; 3, 16, 51 died; what was only replaced did not. */
    assert_int_equal(follow(&t), 7);
    assert_int_equal(follow(&t), 0);
    /* What lives may die between two rounds, and what died may live. */
    rig_destroy(&t.r, CELL_DATA_KEY, 50, DESTROY_REVOKED);
    rig_put(&t.r, CELL_DATA_KEY, 3, 10);
    rig_commit(&t.r);
    assert_int_equal(follow(&t), 2);
    assert_int_equal(follow(&t), 0);
    assert_int_equal(keyring_count(t.next, CELL_DATA_KEY), keyring_count(t.r.k, CELL_DATA_KEY));
    succeed(&t, 1);
    adopt(&t);
    rig_reopen(&t.r);
    for (uint32_t n = 1; n <= 51; n++) {
        uint32_t salt = n == 2 || n == 15 || n == 4 ? 9 : n == 3 ? 10 : n == 16 || n > 20 ? 0 : 1;

        assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, n), salt == 0 ? 0 : salt + WRAPPED_ANEW);
    }
    end(&t);
}

static void changes_are_listed_with_what_they_are(void **state)
{
    struct rotation t;
    struct cell cell;
    struct id dead = rig_id(2), born = rig_id(9);
    uint64_t before;
    size_t cursor = 0;

    (void)state;
    start(&t, 1, 3);
    before = keyring_seq(t.r.k);
    rig_destroy(&t.r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    rig_put(&t.r, CELL_SYSTEM, 9, 4);
    assert_true(keyring_seq(t.r.k) == before);
    rig_commit(&t.r);
    assert_true(keyring_seq(t.r.k) > before);
    assert_true(keyring_next_since(t.r.k, before, &cursor, &cell));
    assert_true(cell.type == CELL_TOMBSTONE && cell.was == CELL_DATA_KEY &&
                cell.reason == DESTROY_REVOKED && id_same(&cell.id, &dead));
    assert_true(keyring_next_since(t.r.k, before, &cursor, &cell));
    assert_true(cell.type == CELL_SYSTEM && id_same(&cell.id, &born));
    assert_false(keyring_next_since(t.r.k, before, &cursor, &cell));
    cursor = 0;
    assert_false(keyring_next_since(t.r.k, keyring_seq(t.r.k), &cursor, &cell));
    end(&t);
}

/* More die and are born than there is room for: places would be used again, whether the
 * superblocks have moved on or could be moved on for it. */
static void outlive(uint32_t count, bool anchored)
{
    struct rotation t;
    struct cell cell;
    size_t cursor = 0, deaths = 0;

    start(&t, 1, count);
    begin(&t);
    copy_all(&t);
    for (uint32_t n = 1; n <= count; n++) {
        rig_destroy(&t.r, CELL_DATA_KEY, n, DESTROY_PURGED);
        rig_put(&t.r, CELL_DATA_KEY, 10000 + n, 2);
        if (n % 50 == 0)
            rig_commit(&t.r);
        if (n % 50 == 0 && anchored)
            assert_ok(keyring_anchor(t.r.k, n, &t.r.e), &t.r.e);
    }
    assert_int_equal(size_of(t.r.file), RIG_CELLS_AT + (size_t)2048 * CELL_SIZE);
    while (keyring_next_since(t.r.k, t.since, &cursor, &cell))
        deaths += cell.type == CELL_TOMBSTONE;
    assert_int_equal(deaths, count);
    assert_int_equal(follow(&t), 2 * count);
    succeed(&t, 1);
    adopt(&t);
    rig_reopen(&t.r);
    assert_int_equal(keyring_count(t.r.k, CELL_DATA_KEY), count);
    assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 10000 + count), 2 + WRAPPED_ANEW);
    end(&t);
}

static void no_death_is_missed_however_many_there_are(void **state)
{
    (void)state;
    outlive(900, true);
    outlive(600, false);
}

static void when_it_is_abandoned_places_are_used_again(void **state)
{
    struct rotation t;

    (void)state;
    start(&t, 1, 900);
    for (uint32_t round = 0; round < 6; round++) {
        begin(&t);
        for (uint32_t n = 1; n <= 100; n++)
            rig_put(&t.r, CELL_DATA_KEY, n, round + 2);
        rig_commit(&t.r);
        keyring_abandon(t.r.k, &t.next);
        assert_null(t.next);
        for (uint32_t n = 101; n <= 600; n++)
            rig_put(&t.r, CELL_DATA_KEY, n, round + 2);
        rig_commit(&t.r);
    }
    assert_true(size_of(t.r.file) <= RIG_CELLS_AT + (size_t)2048 * CELL_SIZE);
    end(&t);
}

static void abandoned_or_closed_it_leaves_an_empty_spare_and_the_keyring_as_it_was(void **state)
{
    struct rotation t;

    (void)state;
    start(&t, 2, 5);
    for (int round = 0; round < 3; round++) {
        begin(&t);
        copy_all(&t);
        assert_true(size_of(t.spare) > 0);
        if (round == 1) {
            keyring_close(t.next);
            t.next = NULL;
        } else {
            keyring_abandon(t.r.k, &t.next);
        }
        assert_int_equal(size_of(t.spare), 0);
        assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 5), 1);
    }
    keyring_abandon(t.r.k, &t.next);
    rig_reopen(&t.r);
    assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 5), 1);
    end(&t);
}

static void what_is_left_in_the_spare_is_wiped_at_open(void **state)
{
    struct rotation t;
    uint8_t *bytes;
    size_t n;

    (void)state;
    start(&t, 2, 5);
    rig_shut(&t.r);
    bytes = rig_file(t.r.file, &n);
    rig_file_write(t.spare, bytes, n);
    rig_reopen(&t.r);
    assert_int_equal(size_of(t.spare), 0);
    assert_int_equal(rig_salt(t.r.k, CELL_DATA_KEY, 5), 1);
    /* A keyring that cannot be read costs nothing more. */
    rig_shut(&t.r);
    rig_file_write(t.spare, bytes, n);
    rig_file_write(t.r.file, bytes, 5000);
    assert_status(keyring_open(t.r.dir, false, &t.r.k, NULL), CORRUPT);
    assert_int_equal(size_of(t.spare), n);
    /* The name is the truth: a spare alone is no keyring. */
    assert_int_equal(unlink(t.r.file), 0);
    assert_status(keyring_open(t.r.dir, false, &t.r.k, NULL), NOT_FOUND);
    assert_int_equal(size_of(t.spare), n);
    free(bytes);
    end(&t);
}

static void a_spare_that_is_taken_or_not_ours_is_refused(void **state)
{
    struct rotation t;
    int fd;

    (void)state;
    start(&t, 1, 2);
    rig_shut(&t.r);
    fd = open(t.spare, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_status(keyring_open(t.r.dir, false, &t.r.k, NULL), CONFLICT);
    close(fd);
    assert_int_equal(unlink(t.spare), 0);
    assert_int_equal(symlink(t.r.file, t.spare), 0);
    assert_status(keyring_open(t.r.dir, false, &t.r.k, NULL), DENIED);
    assert_int_equal(unlink(t.spare), 0);
    assert_int_equal(link(t.r.file, t.spare), 0);
    assert_status(keyring_open(t.r.dir, false, &t.r.k, NULL), DENIED);
    assert_int_equal(unlink(t.spare), 0);
    rig_reopen(&t.r);
    assert_int_equal(size_of(t.spare), 0);
    end(&t);
}

static void there_is_one_successor_of_an_open_vault_and_for_it(void **state)
{
    struct rotation t;
    struct keyring_info info = info_of(2);
    struct keyring *second = NULL;

    (void)state;
    start(&t, 1, 2);
    begin(&t);
    assert_status(keyring_successor(t.r.k, &info, t.key, &second, NULL), CONFLICT);
    assert_status(keyring_successor(t.next, &info, t.key, &second, NULL), CONFLICT);
    keyring_abandon(t.r.k, &t.next);
    info.vault = rig_id(2);
    assert_status(keyring_successor(t.r.k, &info, t.key, &second, NULL), BAD_INPUT);
    info = info_of(2);
    memset(info.region, 'x', sizeof(info.region));
    assert_status(keyring_successor(t.r.k, &info, t.key, &second, NULL), BAD_INPUT);
    rig_reopen_locked(&t.r);
    info = info_of(2);
    assert_status(keyring_successor(t.r.k, &info, t.key, &second, NULL), LOCKED);
    assert_null(second);
    end(&t);
}

static void refused(struct rotation *t, const struct keyring_info *info, const struct slot *slots,
                    size_t slot_count, status want)
{
    assert_status(keyring_succeed(&t->r.k, &t->next, info, slots, slot_count, NULL), want);
    keyring_abort(t->r.k);
    keyring_abandon(t->r.k, &t->next);
    assert_int_equal(size_of(t->spare), 0);
    rig_reopen(&t->r);
    assert_int_equal(rig_salt(t->r.k, CELL_DATA_KEY, 5), 1);
    assert_int_equal(keyring_info(t->r.k)->epoch, 1);
    begin(t);
    copy_all(t);
}

static void a_succession_that_is_refused_changes_nothing(void **state)
{
    struct rotation t;
    struct keyring_info info = info_of(2), other = info;
    struct slot slots[LIMIT_SLOTS + 1];
    struct id id = rig_id(1);

    (void)state;
    start(&t, 1, 5);
    for (size_t i = 0; i <= LIMIT_SLOTS; i++)
        slots[i] = rig_slot((uint32_t)i + 1, 1);
    begin(&t);
    copy_all(&t);
    rig_put(&t.r, CELL_DATA_KEY, 70, 1);
    refused(&t, &info, slots, 2, CONFLICT);
    assert_ok(keyring_destroy(t.next, CELL_DATA_KEY, &id, 1, 1, 1, &t.r.e), &t.r.e);
    refused(&t, &info, slots, 2, CONFLICT);
    refused(&t, &info, slots, LIMIT_SLOTS + 1, LIMIT);
    other.vault = rig_id(9);
    refused(&t, &other, slots, 2, BAD_INPUT);
    slots[1].id = slots[0].id;
    refused(&t, &info, slots, 2, BAD_INPUT);
    slots[0].x = 0;
    refused(&t, &info, slots, 1, BAD_INPUT);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_what_was_copied_and_nothing_else),
        cmocka_unit_test(only_its_own_key_authenticates_it),
        cmocka_unit_test(it_lives_on_like_any_keyring_and_is_succeeded_in_turn),
        cmocka_unit_test(what_changes_during_the_copy_arrives),
        cmocka_unit_test(changes_are_listed_with_what_they_are),
        cmocka_unit_test(no_death_is_missed_however_many_there_are),
        cmocka_unit_test(when_it_is_abandoned_places_are_used_again),
        cmocka_unit_test(abandoned_or_closed_it_leaves_an_empty_spare_and_the_keyring_as_it_was),
        cmocka_unit_test(what_is_left_in_the_spare_is_wiped_at_open),
        cmocka_unit_test(a_spare_that_is_taken_or_not_ours_is_refused),
        cmocka_unit_test(there_is_one_successor_of_an_open_vault_and_for_it),
        cmocka_unit_test(a_succession_that_is_refused_changes_nothing),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
