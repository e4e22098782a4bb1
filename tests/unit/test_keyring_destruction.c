/* Destruction: nothing of a value is left, with or without the key; and it can be proven. */
#include "keyring_rig.h"

static size_t unproven(struct keyring *k)
{
    struct cell cell;
    size_t cursor = 0, n = 0;

    while (keyring_next_unproven(k, &cursor, &cell)) {
        assert_int_equal(cell.type, CELL_TOMBSTONE);
        n++;
    }
    return n;
}

static bool value_in_file(const struct rig *r, uint32_t n, uint32_t salt)
{
    uint8_t value[SEALED_KEY_SIZE];

    rig_value(n, salt, value);
    return rig_file_has(r->file, value, sizeof(value));
}

static void a_destroyed_value_is_nowhere_in_the_file(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 1, 5);
    assert_true(value_in_file(&r, 3, 1));
    rig_put(&r, CELL_DATA_KEY, 1, 2);
    rig_destroy(&r, CELL_DATA_KEY, 3, DESTROY_REVOKED);
    rig_commit(&r);
    assert_false(value_in_file(&r, 1, 1));
    assert_false(value_in_file(&r, 3, 1));
    assert_true(value_in_file(&r, 1, 2));
    rig_reopen_locked(&r);
    rig_destroy(&r, CELL_DATA_KEY, 4, DESTROY_PURGED);
    rig_commit(&r);
    assert_false(value_in_file(&r, 4, 1));
    assert_true(value_in_file(&r, 5, 1));
    rig_end(&r);
}

static void the_mac_of_a_destroyed_cell_survives_only_as_its_first_half(void **state)
{
    struct rig r;
    uint8_t *bytes;
    size_t n, at;

    (void)state;
    rig_make(&r, 1, 5);
    at = rig_cell_at(r.file, 3, 1);
    bytes = rig_file(r.file, &n);
    rig_destroy(&r, CELL_DATA_KEY, 3, DESTROY_REVOKED);
    rig_commit(&r);
    assert_true(rig_file_has(r.file, bytes + at + 224, 16));
    assert_false(rig_file_has(r.file, bytes + at + 224 + 9, 23));
    free(bytes);
    rig_end(&r);
}

static void destroying_while_locked_leaves_tombstones_to_prove(void **state)
{
    struct rig r;
    struct cell cell;
    struct id id = rig_id(2);
    size_t cursor = 0;

    (void)state;
    rig_make(&r, 1, 5);
    rig_reopen_locked(&r);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_PURGED);
    rig_destroy(&r, CELL_DATA_KEY, 4, DESTROY_PURGED);
    rig_commit(&r);
    assert_int_equal(unproven(r.k), 2);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 2);
    assert_true(keyring_next_unproven(r.k, &cursor, &cell));
    assert_true(cell.was == CELL_DATA_KEY && cell.reason == DESTROY_PURGED && cell.due_us == 77);
    assert_true(id_same(&cell.id, &id) && cell.version == 1 && cell.created_us == 1001);
    for (size_t i = 0; i < sizeof(cell.sealed); i++)
        assert_int_equal(cell.sealed[i], 0);
    assert_status(keyring_prove(r.k, CELL_SYSTEM, &id, 1, NULL), NOT_FOUND);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &id, 2, NULL), NOT_FOUND);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &id, 1, NULL), OK);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &id, 1, NULL), NOT_FOUND);
    assert_int_equal(unproven(r.k), 1);
    keyring_abort(r.k);
    assert_int_equal(unproven(r.k), 2);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &id, 1, NULL), OK);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 1);
    id = rig_id(4);
    assert_status(keyring_prove(r.k, CELL_DATA_KEY, &id, 1, NULL), OK);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 0);
    rig_end(&r);
}

static void an_unproven_tombstone_is_never_written_over(void **state)
{
    struct rig r;
    struct stat before, after;

    (void)state;
    rig_make(&r, 0, 1000);
    rig_reopen_locked(&r);
    for (uint32_t n = 1; n <= 500; n++)
        rig_destroy(&r, CELL_DATA_KEY, n, DESTROY_PURGED);
    rig_commit(&r);
    assert_int_equal(stat(r.file, &before), 0);
    assert_ok(keyring_authenticate(r.k, r.key, &r.e), &r.e);
    assert_ok(keyring_anchor(r.k, 1, &r.e), &r.e);
    assert_ok(keyring_anchor(r.k, 2, &r.e), &r.e);
    for (uint32_t n = 2001; n <= 2400; n++)
        rig_put(&r, CELL_DATA_KEY, n, 1);
    rig_commit(&r);
    assert_int_equal(unproven(r.k), 500);
    assert_int_equal(stat(r.file, &after), 0);
    assert_true(after.st_size > before.st_size);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 500);
    rig_end(&r);
}

static void a_forged_tombstone_is_listed_not_believed(void **state)
{
    struct rig r;
    uint8_t byte = 1;
    size_t at;
    int fd;

    (void)state;
    rig_make(&r, 1, 5);
    at = rig_cell_at(r.file, 2, 1);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 0);
    rig_shut(&r);
    fd = open(r.file, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at + 230), 1);
    close(fd);
    rig_reopen(&r);
    assert_int_equal(unproven(r.k), 1);
    rig_end(&r);
}

static void what_was_destroyed_may_be_put_again(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 1, 5);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    rig_commit(&r);
    rig_put(&r, CELL_DATA_KEY, 2, 9);
    rig_commit(&r);
    rig_reopen(&r);
    assert_int_equal(rig_salt(r.k, CELL_DATA_KEY, 2), 9);
    assert_int_equal(unproven(r.k), 0);
    rig_end(&r);
}

static void replacing_and_destroying_in_one_commit_says_why_it_was_destroyed(void **state)
{
    struct rig r;
    struct cell cell;
    size_t cursor = 0;

    (void)state;
    rig_make(&r, 1, 5);
    rig_put(&r, CELL_DATA_KEY, 2, 3);
    rig_destroy(&r, CELL_DATA_KEY, 2, DESTROY_REVOKED);
    keyring_forget(r.k); /* the tombstone stays unproven, so it can be listed */
    rig_commit(&r);
    assert_true(keyring_next_unproven(r.k, &cursor, &cell));
    assert_int_equal(cell.reason, DESTROY_REVOKED);
    assert_int_equal(cell.due_us, 77);
    assert_false(keyring_next_unproven(r.k, &cursor, &cell));
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_destroyed_value_is_nowhere_in_the_file),
        cmocka_unit_test(the_mac_of_a_destroyed_cell_survives_only_as_its_first_half),
        cmocka_unit_test(destroying_while_locked_leaves_tombstones_to_prove),
        cmocka_unit_test(an_unproven_tombstone_is_never_written_over),
        cmocka_unit_test(a_forged_tombstone_is_listed_not_believed),
        cmocka_unit_test(what_was_destroyed_may_be_put_again),
        cmocka_unit_test(replacing_and_destroying_in_one_commit_says_why_it_was_destroyed),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
