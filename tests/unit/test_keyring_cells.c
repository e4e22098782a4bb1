/* Cells: staging, commit, abort, growth, reuse of places. */
#include <time.h>

#include "keyring_rig.h"

static void a_new_keyring_holds_what_it_was_given(void **state)
{
    struct rig r;
    struct keyring_info info = rig_info();

    (void)state;
    rig_make(&r, 2, 3);
    for (int pass = 0; pass < 2; pass++) {
        assert_true(id_same(&keyring_info(r.k)->vault, &info.vault));
        assert_string_equal(keyring_info(r.k)->region, "eu");
        assert_memory_equal(keyring_info(r.k)->root_check, info.root_check, 32);
        assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 3);
        assert_int_equal(keyring_count(r.k, CELL_SYSTEM), 0);
        for (uint32_t n = 1; n <= 3; n++)
            assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, n), 1);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 4), 0);
        assert_int_equal(rig_salt(r.k, CELL_SYSTEM, 1), 0);
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void staged_changes_are_read_but_not_durable_before_commit(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 0, 3);
    rig_put(&r, CELL_DATA_KEY, 10, 2);
    rig_put(&r, CELL_DATA_KEY, 1, 2);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 10), 2);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 1), 2);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 0);
    assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 3);
    rig_reopen(&r);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 10), 0);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 1), 1);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 1);
    rig_end(&r);
}

static void abort_forgets_what_is_staged(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 0, 3);
    rig_put(&r, CELL_DATA_KEY, 10, 2);
    rig_put(&r, CELL_DATA_KEY, 11, 2);
    rig_put(&r, CELL_DATA_KEY, 1, 2);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    rig_destroy(&r, CELL_DATA_KEY, 10, DESTROY_REVOKED);
    keyring_abort(r.k);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 3);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 10), 0);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 11), 0);
        for (uint32_t n = 1; n <= 3; n++)
            assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, n), 1);
        rig_commit(&r);
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void a_commit_makes_all_kinds_of_change_durable(void **state)
{
    struct rig r;
    size_t cursor = 0;
    struct cell cell;

    (void)state;
    rig_make(&r, 0, 3);
    rig_put(&r, CELL_TENANT_SEED, 1, 2);
    rig_put(&r, CELL_ENGAGEMENT, 1, 2);
    rig_put(&r, CELL_SYSTEM, 1, 2);
    rig_put(&r, CELL_DATA_KEY, 1, 2);
    rig_destroy(&r, CELL_DATA_KEY, 3, DESTROY_REVOKED);
    rig_commit(&r);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(rig_salt(r.k, CELL_TENANT_SEED, 1), 2);
        assert_int_equal(rig_salt(r.k, CELL_ENGAGEMENT, 1), 2);
        assert_int_equal(rig_salt(r.k, CELL_SYSTEM, 1), 2);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 1), 2);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 1);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 3), 0);
        assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 2);
        assert_int_equal(keyring_count(r.k, CELL_ENGAGEMENT), 1);
        cursor = 0;
        assert_false(keyring_next_unproven(r.k, &cursor, &cell));
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void versions_of_one_key_are_different_cells(void **state)
{
    struct rig r;
    struct cell cell = rig_cell(CELL_DATA_KEY, 1, 5), got;

    (void)state;
    rig_make(&r, 0, 1);
    cell.version = 2;
    assert_status(keyring_put(r.k, &cell, NULL), OK);
    rig_commit(&r);
    rig_destroy(&r, CELL_DATA_KEY, 1, DESTROY_GRACE_OVER);
    rig_commit(&r);
    assert_status(keyring_cell(r.k, CELL_DATA_KEY, &cell.id, 1, &got, NULL), NOT_FOUND);
    assert_status(keyring_cell(r.k, CELL_DATA_KEY, &cell.id, 2, &got, NULL), OK);
    assert_int_equal(got.created_us, cell.created_us);
    rig_end(&r);
}

static void the_last_of_several_changes_to_one_cell_counts(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 0, 3);
    rig_put(&r, CELL_DATA_KEY, 1, 2);
    rig_put(&r, CELL_DATA_KEY, 1, 3);
    rig_put(&r, CELL_DATA_KEY, 2, 2);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    rig_destroy(&r, CELL_DATA_KEY, 3, DESTROY_REVOKED);
    rig_put(&r, CELL_DATA_KEY, 3, 4);
    rig_put(&r, CELL_DATA_KEY, 9, 4);
    rig_destroy(&r, CELL_DATA_KEY, 9, DESTROY_REVOKED);
    rig_commit(&r);
    for (int pass = 0; pass < 2; pass++) {
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 1), 3);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 0);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 3), 4);
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 9), 0);
        assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 2);
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void next_gives_every_live_cell_once(void **state)
{
    struct rig r;
    bool seen[101] = { false };
    struct cell cell;
    size_t cursor = 0, n = 0;

    (void)state;
    rig_make(&r, 0, 90);
    for (uint32_t i = 91; i <= 100; i++)
        rig_put(&r, CELL_DATA_KEY, i, 1);
    for (uint32_t i = 1; i <= 100; i += 10)
        rig_destroy(&r, CELL_DATA_KEY, i, DESTROY_REVOKED);
    while (keyring_next(r.k, &cursor, &cell)) {
        for (uint32_t i = 1; i <= 100; i++) {
            struct id id = rig_id(i);

            if (!id_same(&id, &cell.id))
                continue;
            assert_false(seen[i]);
            seen[i] = true;
        }
        n++;
    }
    assert_int_equal(n, 90);
    assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 90);
    for (uint32_t i = 1; i <= 100; i++)
        assert_int_equal(seen[i], i % 10 != 1);
    rig_end(&r);
}

static void changes_that_need_the_key_are_refused_without_it(void **state)
{
    struct rig r;
    struct cell cell = rig_cell(CELL_DATA_KEY, 50, 1);
    struct slot slot = rig_slot(50, 1);

    (void)state;
    rig_make(&r, 1, 1);
    rig_reopen_locked(&r);
    assert_status(keyring_put(r.k, &cell, NULL), LOCKED);
    assert_status(keyring_put_slot(r.k, &slot, NULL), LOCKED);
    assert_status(keyring_destroy_slot(r.k, &slot.id, NULL), LOCKED);
    assert_status(keyring_anchor(r.k, 5, NULL), LOCKED);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &cell.id, 1, NULL), LOCKED);
    assert_status(keyring_authenticate(r.k, r.key, NULL), OK);
    keyring_forget(r.k);
    assert_status(keyring_put(r.k, &cell, NULL), LOCKED);
    rig_destroy(&r, CELL_DATA_KEY, 1, DESTROY_PURGED);
    rig_commit(&r);
    rig_end(&r);
}

static void senseless_changes_are_refused(void **state)
{
    struct rig r;
    struct cell cell = rig_cell(CELL_DATA_KEY, 50, 1);

    (void)state;
    rig_make(&r, 0, 1);
    cell.type = CELL_TOMBSTONE;
    assert_status(keyring_put(r.k, &cell, NULL), BAD_INPUT);
    cell.type = CELL_EMPTY;
    assert_status(keyring_put(r.k, &cell, NULL), BAD_INPUT);
    cell.id = rig_id(1);
    assert_status(keyring_destroy(r.k, CELL_DATA_KEY, &cell.id, 1, 0, 1, NULL), BAD_INPUT);
    assert_status(keyring_destroy(r.k, CELL_DATA_KEY, &cell.id, 1, 6, 1, NULL), BAD_INPUT);
    assert_status(keyring_destroy(r.k, CELL_DATA_KEY, &cell.id, 2, 1, 1, NULL), NOT_FOUND);
    assert_status(keyring_destroy(r.k, CELL_SYSTEM, &cell.id, 1, 1, 1, NULL), NOT_FOUND);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 1), 1);
    rig_end(&r);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void twenty_thousand_cells_are_quick(void **state)
{
    struct rig r;
    double start = seconds();

    (void)state;
    rig_make(&r, 1, 10000);
    for (uint32_t n = 10001; n <= 20000; n++) {
        rig_put(&r, CELL_DATA_KEY, n, 1);
        if (n % 500 == 0)
            rig_commit(&r);
    }
    rig_reopen(&r);
    assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 20000);
    for (uint32_t n = 1; n <= 20000; n += 7)
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, n), 1);
    for (uint32_t n = 1; n <= 20000; n++)
        rig_destroy(&r, CELL_DATA_KEY, n, DESTROY_PURGED);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(keyring_count(r.k, CELL_DATA_KEY), 0);
    rig_end(&r);
    /* Seconds, not minutes, even under sanitizers on a busy machine. */
    assert_true(seconds() - start < 60);
}

static void places_of_proven_tombstones_are_used_again(void **state)
{
    struct rig r;
    struct stat before, after;

    (void)state;
    rig_make(&r, 0, 100);
    assert_int_equal(stat(r.file, &before), 0);
    for (uint32_t salt = 2; salt < 60; salt++) {
        for (uint32_t n = 1; n <= 100; n++)
            rig_put(&r, CELL_DATA_KEY, n, salt);
        rig_commit(&r);
        if (salt % 8 == 0)
            rig_reopen(&r);
        assert_ok(keyring_anchor(r.k, salt, &r.e), &r.e);
    }
    rig_reopen(&r);
    assert_int_equal(keyring_info(r.k)->anchor_size, 59);
    for (uint32_t n = 1; n <= 100; n++)
        assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, n), 59);
    assert_int_equal(stat(r.file, &after), 0);
    assert_true(before.st_size == after.st_size);
    rig_end(&r);
}

static void growth_does_not_depend_on_anchors(void **state)
{
    struct rig r;
    struct stat after;

    (void)state;
    rig_make(&r, 0, 100);
    for (uint32_t salt = 2; salt < 100; salt++) {
        for (uint32_t n = 1; n <= 100; n++)
            rig_put(&r, CELL_DATA_KEY, n, salt);
        rig_commit(&r);
    }
    assert_int_equal(stat(r.file, &after), 0);
    assert_true((size_t)after.st_size <= RIG_CELLS_AT + 4 * 1024 * CELL_SIZE);
    rig_reopen(&r);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 100), 99);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_keyring_holds_what_it_was_given),
        cmocka_unit_test(staged_changes_are_read_but_not_durable_before_commit),
        cmocka_unit_test(abort_forgets_what_is_staged),
        cmocka_unit_test(a_commit_makes_all_kinds_of_change_durable),
        cmocka_unit_test(versions_of_one_key_are_different_cells),
        cmocka_unit_test(the_last_of_several_changes_to_one_cell_counts),
        cmocka_unit_test(next_gives_every_live_cell_once),
        cmocka_unit_test(changes_that_need_the_key_are_refused_without_it),
        cmocka_unit_test(senseless_changes_are_refused),
        cmocka_unit_test(twenty_thousand_cells_are_quick),
        cmocka_unit_test(places_of_proven_tombstones_are_used_again),
        cmocka_unit_test(growth_does_not_depend_on_anchors),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
