/* Creating and opening: who may, where, and how often. */
#include <sys/wait.h>

#include "keyring_rig.h"

static void opening_where_there_is_none_is_not_found(void **state)
{
    struct rig r = { .k = NULL };

    (void)state;
    rig_dir_make(r.dir);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), NOT_FOUND);
    rig_dir_remove(r.dir);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), NOT_FOUND);
    assert_status(keyring_ground_check(r.dir, NULL), NOT_FOUND);
    assert_null(r.k);
}

static void a_second_create_is_a_conflict_and_changes_nothing(void **state)
{
    struct rig r;
    struct keyring_info info = rig_info();
    struct keyring *other = NULL;
    size_t n, m;
    uint8_t *before, *after;

    (void)state;
    rig_make(&r, 1, 2);
    before = rig_file(r.file, &n);
    assert_status(keyring_create(r.dir, false, &info, NULL, 0, NULL, 0, r.key, &other, NULL),
                  CONFLICT);
    rig_shut(&r);
    assert_status(keyring_create(r.dir, false, &info, NULL, 0, NULL, 0, r.key, &other, NULL),
                  CONFLICT);
    assert_null(other);
    after = rig_file(r.file, &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
    rig_end(&r);
}

static void the_directory_is_made_and_closed_to_others(void **state)
{
    struct rig r = { .k = NULL };
    struct keyring_info info = rig_info();
    char inner[RIG_PATH_SIZE];
    struct stat st;

    (void)state;
    rig_dir_make(r.dir);
    snprintf(inner, sizeof(inner), "%s/inner", r.dir);
    r.key = rig_key(1);
    assert_ok(keyring_create(inner, false, &info, NULL, 0, NULL, 0, r.key, &r.k, &r.e), &r.e);
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    rig_shut(&r);
    secret_free(r.key);
    rig_dir_remove(inner);
    rig_dir_remove(r.dir);
}

static void a_file_or_directory_open_to_others_is_denied(void **state)
{
    struct rig r;
    char other[RIG_PATH_SIZE];
    struct stat st;

    (void)state;
    rig_make(&r, 1, 2);
    assert_int_equal(stat(r.file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    rig_shut(&r);
    assert_int_equal(chmod(r.file, 0640), 0);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    assert_int_equal(chmod(r.file, 0600), 0);
    assert_int_equal(chmod(r.dir, 0770), 0);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    assert_int_equal(chmod(r.dir, 0700), 0);
    snprintf(other, sizeof(other), "%s/other", r.dir);
    assert_int_equal(link(r.file, other), 0);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    assert_int_equal(unlink(r.file), 0);
    assert_int_equal(symlink(other, r.file), 0);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    assert_int_equal(unlink(r.file), 0);
    assert_int_equal(mkfifo(r.file, 0600), 0);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    rig_end(&r);
}

static void two_processes_cannot_have_one_keyring(void **state)
{
    struct rig r;
    struct keyring *other = NULL;
    int result;
    pid_t pid;

    (void)state;
    rig_make(&r, 1, 2);
    for (int pass = 0; pass < 2; pass++) {
        assert_status(keyring_open(r.dir, false, &other, NULL), CONFLICT);
        pid = fork();
        if (pid == 0)
            _exit(keyring_open(r.dir, false, &other, NULL) == CONFLICT ? 0 : 1);
        assert_int_equal(waitpid(pid, &result, 0), pid);
        assert_int_equal(result, 0);
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void what_a_crashed_create_left_is_used_again(void **state)
{
    struct rig r;
    struct keyring_info info = rig_info();
    char fresh[RIG_PATH_SIZE];
    uint8_t junk[5000];

    (void)state;
    rig_make(&r, 1, 2);
    rig_shut(&r);
    assert_int_equal(unlink(r.file), 0);
    snprintf(fresh, sizeof(fresh), "%s/keyring.new", r.dir);
    for (size_t i = 0; i < sizeof(junk); i++)
        junk[i] = (uint8_t)(i * 31);
    rig_file_write(fresh, junk, sizeof(junk));
    assert_ok(keyring_create(r.dir, false, &info, NULL, 0, NULL, 0, r.key, &r.k, &r.e), &r.e);
    assert_int_not_equal(access(fresh, F_OK), 0);
    rig_reopen(&r);
    rig_end(&r);
}

static void senseless_content_is_refused_and_leaves_nothing(void **state)
{
    struct rig r = { .k = NULL };
    struct keyring_info info = rig_info();
    struct slot twins[2] = { rig_slot(1, 1), rig_slot(1, 2) };
    struct cell bad = { .type = CELL_TOMBSTONE };
    char path[RIG_PATH_SIZE];

    (void)state;
    rig_dir_make(r.dir);
    r.key = rig_key(1);
    assert_status(keyring_create(r.dir, false, &info, twins, 2, NULL, 0, r.key, &r.k, NULL),
                  BAD_INPUT);
    assert_status(keyring_create(r.dir, false, &info, NULL, 0, &bad, 1, r.key, &r.k, NULL),
                  BAD_INPUT);
    assert_status(
        keyring_create(r.dir, false, &info, twins, LIMIT_SLOTS + 1, NULL, 0, r.key, &r.k, NULL),
        LIMIT);
    info.region[LIMIT_REGION] = 'x';
    assert_status(keyring_create(r.dir, false, &info, NULL, 0, NULL, 0, r.key, &r.k, NULL),
                  BAD_INPUT);
    assert_null(r.k);
    snprintf(path, sizeof(path), "%s/keyring", r.dir);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/keyring.new", r.dir);
    assert_int_not_equal(access(path, F_OK), 0);
    secret_free(r.key);
    rig_dir_remove(r.dir);
}

static void the_anchor_is_kept(void **state)
{
    struct rig r;

    (void)state;
    rig_make(&r, 1, 2);
    for (uint64_t size = 1; size < 20; size++) {
        assert_ok(keyring_anchor(r.k, size * 10, &r.e), &r.e);
        assert_int_equal(keyring_info(r.k)->anchor_size, size * 10);
        rig_reopen(&r);
        assert_int_equal(keyring_info(r.k)->anchor_size, size * 10);
    }
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_where_there_is_none_is_not_found),
        cmocka_unit_test(a_second_create_is_a_conflict_and_changes_nothing),
        cmocka_unit_test(the_directory_is_made_and_closed_to_others),
        cmocka_unit_test(a_file_or_directory_open_to_others_is_denied),
        cmocka_unit_test(two_processes_cannot_have_one_keyring),
        cmocka_unit_test(what_a_crashed_create_left_is_used_again),
        cmocka_unit_test(senseless_content_is_refused_and_leaves_nothing),
        cmocka_unit_test(the_anchor_is_kept),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
