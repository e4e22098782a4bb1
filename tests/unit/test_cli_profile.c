/* Profiles: pinned values stay, checkpoints only grow, and a missing profile is no identity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/file.c"
#include "../../cli/profile.c"
#include "../../cli/report.c"

void *wiping_malloc(size_t size)
{
    return malloc(size);
}

void wiping_free(void *p)
{
    free(p);
}

void wiped_cleanup(struct wiped **p)
{
    free(*p);
}

void json_t_cleanup(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static char directory[] = "/tmp/strongroom-profile-XXXXXX";

static struct cli fresh(const char *name)
{
    static char path[128];
    struct cli c = { .options = { .given = 0 } };

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    c.options.value[OPT_PROFILE] = path;
    c.options.given = BIT(OPT_PROFILE);
    assert_int_equal(profile_locate(&c), EXIT_DONE);
    return c;
}

static void write_new(struct cli *c)
{
    assert_int_equal(
        profile_write_new(c, json_pack("{s:s, s:s}", "url", "https://v:1", "extra", "kept")),
        EXIT_DONE);
}

static void no_profile_is_no_identity(void **state)
{
    struct cli c = fresh("none");

    (void)state;
    assert_false(profile_exists(&c));
    assert_int_equal(profile_load(&c), EXIT_DENIED);
}

static void a_new_profile_is_private_and_comes_back(void **state)
{
    struct cli c = fresh("deep/new");
    struct stat about;

    (void)state;
    write_new(&c);
    assert_true(profile_exists(&c));
    assert_int_equal(stat(c.profile.directory, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    char path[PATH_MAX];

    profile_path(&c.profile, "profile.json", path);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    profile_clear(&c.profile);
    assert_int_equal(profile_load(&c), EXIT_DONE);
    assert_string_equal(profile_text(&c.profile, "url"), "https://v:1");
    assert_null(profile_text(&c.profile, "nothing"));
    profile_clear(&c.profile);
}

static void a_pinned_value_is_never_replaced(void **state)
{
    struct cli c = fresh("pins");
    const uint8_t one[32] = { 1 };
    const uint8_t two[32] = { 2 };
    uint8_t held[32];

    (void)state;
    write_new(&c);
    assert_false(profile_hex(&c.profile, "ledger_key", held, sizeof(held)));
    assert_int_equal(profile_pin(&c, "ledger_key", SPAN(one)), EXIT_DONE);
    assert_int_equal(profile_pin(&c, "ledger_key", SPAN(one)), EXIT_DONE);
    assert_int_equal(profile_pin(&c, "ledger_key", SPAN(two)), EXIT_CONFLICT);
    profile_clear(&c.profile);
    assert_int_equal(profile_load(&c), EXIT_DONE);
    assert_true(profile_hex(&c.profile, "ledger_key", held, sizeof(held)));
    assert_memory_equal(held, one, sizeof(one));
    assert_string_equal(profile_text(&c.profile, "extra"), "kept");
    profile_clear(&c.profile);
}

static void what_another_command_pinned_meanwhile_counts(void **state)
{
    struct cli a = fresh("race");
    const uint8_t one[32] = { 1 };
    const uint8_t two[32] = { 2 };

    (void)state;
    write_new(&a);
    struct cli b = fresh("race");

    assert_int_equal(profile_load(&b), EXIT_DONE);
    assert_int_equal(profile_pin(&b, "intake_key", SPAN(one)), EXIT_DONE);
    assert_int_equal(profile_pin(&a, "intake_key", SPAN(two)), EXIT_CONFLICT);
    assert_int_equal(profile_pin(&a, "ledger_key", SPAN(two)), EXIT_DONE);
    profile_clear(&b.profile);
    assert_int_equal(profile_load(&b), EXIT_DONE);
    assert_non_null(profile_text(&b.profile, "intake_key"));
    assert_non_null(profile_text(&b.profile, "ledger_key"));
    profile_clear(&a.profile);
    profile_clear(&b.profile);
}

static void checkpoints_only_grow(void **state)
{
    struct cli c = fresh("seen");
    const struct id log = { .b = { 9 } };
    const struct id other = { .b = { 8 } };
    struct seen seen = { .known = true, .size = 10, .root = { 1 }, .note = "as signed" };
    struct seen smaller = { .known = true, .size = 9, .root = { 2 } };
    struct seen held;

    (void)state;
    write_new(&c);
    profile_seen(&c.profile, &log, &held);
    assert_false(held.known);
    assert_int_equal(profile_see(&c, &log, &seen), EXIT_DONE);
    assert_int_equal(profile_see(&c, &log, &smaller), EXIT_DONE);
    profile_clear(&c.profile);
    assert_int_equal(profile_load(&c), EXIT_DONE);
    profile_seen(&c.profile, &log, &held);
    assert_true(held.known);
    assert_int_equal(held.size, 10);
    assert_memory_equal(held.root, seen.root, sizeof(held.root));
    assert_string_equal(held.note, "as signed");
    profile_seen(&c.profile, &other, &held);
    assert_false(held.known);
    seen.size = 11;
    assert_int_equal(profile_see(&c, &log, &seen), EXIT_DONE);
    profile_seen(&c.profile, &log, &held);
    assert_int_equal(held.size, 11);
    profile_clear(&c.profile);
}

static void a_damaged_profile_is_said_so(void **state)
{
    struct cli c = fresh("damaged");
    char path[PATH_MAX];

    (void)state;
    write_new(&c);
    profile_clear(&c.profile);
    profile_path(&c.profile, "profile.json", path);
    assert_int_equal(file_write(path, FILE_PRIVATE, span_text("{\"url\": "), NULL), OK);
    assert_int_equal(profile_load(&c), EXIT_OTHER);
    assert_null(c.profile.root);
}

static void a_path_without_room_for_its_files_is_refused(void **state)
{
    static char longest[PATH_MAX];
    struct cli c = { .options = { .given = BIT(OPT_PROFILE) } };

    (void)state;
    memset(longest, 'a', sizeof(longest) - 20);
    c.options.value[OPT_PROFILE] = longest;
    assert_int_equal(profile_locate(&c), EXIT_USAGE);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_profile_is_no_identity),
        cmocka_unit_test(a_new_profile_is_private_and_comes_back),
        cmocka_unit_test(a_pinned_value_is_never_replaced),
        cmocka_unit_test(what_another_command_pinned_meanwhile_counts),
        cmocka_unit_test(checkpoints_only_grow),
        cmocka_unit_test(a_damaged_profile_is_said_so),
        cmocka_unit_test(a_path_without_room_for_its_files_is_refused),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
