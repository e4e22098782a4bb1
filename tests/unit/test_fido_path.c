/* Which device, why not this one, and what a person is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <pty.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fido/internal.h"

#define PATH_ROOM 256

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int make_root(void **state)
{
    static char root[64];

    snprintf(root, sizeof root, "/tmp/fido-path-XXXXXX");
    *state = mkdtemp(root);
    return *state == NULL ? -1 : 0;
}

static int remove_root(void **state)
{
    return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A hidraw node of that name with this report descriptor, as sysfs shows it. */
static void plug(const char *root, const char *node, struct span descriptor)
{
    char path[PATH_ROOM];
    FILE *f;

    snprintf(path, sizeof path, "%s/class", root);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/class/hidraw", root);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/class/hidraw/%s", root, node);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/class/hidraw/%s/device", root, node);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/class/hidraw/%s/device/report_descriptor", root, node);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(descriptor.p, 1, descriptor.n, f), descriptor.n);
    fclose(f);
}

static const struct fido_ui nobody = { .context = NULL };

static const uint8_t key_descriptor[] = { 0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0xc0 };
static const uint8_t mouse_descriptor[] = { 0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0xc0 };

static void no_hidraw_at_all_means_nothing_is_plugged_in(void **state)
{
    assert_false(fido_path_plugged(*state));
    assert_false(fido_path_plugged("/nonexistent"));
}

static void a_mouse_is_no_key(void **state)
{
    plug(*state, "hidraw0", SPAN(mouse_descriptor));
    plug(*state, "hidraw1", span_of(key_descriptor, 2));
    plug(*state, "hidraw2", span_of(key_descriptor, 0));
    assert_false(fido_path_plugged(*state));
}

static void a_key_is_seen_beside_other_devices(void **state)
{
    plug(*state, "hidraw0", SPAN(mouse_descriptor));
    plug(*state, "hidraw1", SPAN(key_descriptor));
    assert_true(fido_path_plugged(*state));
}

static bool machine_has_hidraw(void)
{
    return access("/sys/class/hidraw/hidraw0", F_OK) == 0;
}

static void nothing_plugged_in_is_not_found(void **state)
{
    struct fido_key keys[FIDO_KEYS_MAX];
    size_t count = 0;
    struct err e = { 0 };

    if (machine_has_hidraw())
        skip();
    assert_int_equal(fido_path_list(*state, keys, &count, &e), NOT_FOUND);
    assert_string_equal(e.why, "No security key is plugged in.");
    assert_int_equal(count, 0);
}

static void a_key_that_cannot_be_listed_is_a_matter_of_permission(void **state)
{
    struct fido_key keys[FIDO_KEYS_MAX];
    size_t count = 0;
    struct err e = { 0 };

    if (machine_has_hidraw())
        skip();
    plug(*state, "hidraw0", SPAN(key_descriptor));
    assert_int_equal(fido_path_list(*state, keys, &count, &e), DENIED);
    assert_non_null(strstr(e.why, "A key is plugged in but you may not open it"));
    assert_int_equal(count, 0);
}

static void paths_that_are_no_devices_are_not_found(void **state)
{
    char file[PATH_ROOM], below[PATH_ROOM];
    const char *bad[] = { "", "/nonexistent", *state, file, below, "/dev/null" };
    int fd;

    snprintf(file, sizeof file, "%s/file", (const char *)*state);
    snprintf(below, sizeof below, "%s/file/below", (const char *)*state);
    fd = open(file, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fido_device *d = NULL;
        struct err e = { 0 };

        assert_int_equal(fido_path_check(bad[i], NULL, &e), NOT_FOUND);
        e = (struct err){ 0 };
        assert_int_equal(fido_open(bad[i], &nobody, &d, &e), NOT_FOUND);
        assert_null(d);
    }
}

static void a_locked_device_is_a_conflict(void **state)
{
    char name[PATH_ROOM];
    int master, slave, other;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
    assert_int_equal(fido_path_check(name, NULL, &e), OK);
    other = open(name, O_RDWR | O_NOCTTY);
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(fido_path_check(name, NULL, &e), CONFLICT);
    assert_string_equal(e.why, "Another program is using the key.");
    close(other);
    e = (struct err){ 0 };
    assert_int_equal(fido_path_check(name, NULL, &e), OK); /* and the check kept no lock */
    close(slave);
    close(master);
}

static void the_number_of_tries_left_comes_only_with_a_wrong_pin_or_finger(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(fido_tries_left(&e), -1);
    assert_int_equal(fido_message_note(&e, "here", FIDO_ERR_PIN_INVALID, 5), DENIED);
    assert_int_equal(fido_tries_left(&e), 5);
    e = (struct err){ 0 };
    assert_int_equal(fido_message_note(&e, "here", FIDO_ERR_UV_INVALID, 2), DENIED);
    assert_int_equal(fido_tries_left(&e), 2);
    e = (struct err){ 0 };
    assert_int_equal(fido_message_note(&e, "here", FIDO_ERR_PIN_INVALID, -1), DENIED);
    assert_int_equal(fido_tries_left(&e), -1);
    e = (struct err){ 0 };
    assert_int_equal(fido_fail(&e, FIDO_ERR_PIN_BLOCKED), DENIED);
    assert_int_equal(fido_tries_left(&e), -1);
}

static void every_code_has_a_status_and_a_sentence(void **state)
{
    static const struct {
        int code;
        status st;
        const char *why;
    } told[] = {
        { FIDO_ERR_PIN_AUTH_BLOCKED, DENIED,
          "Three wrong PINs. Unplug the key, plug it in again, then try." },
        { FIDO_ERR_PIN_REQUIRED, DENIED, "This key wants its PIN." },
        { FIDO_ERR_UV_BLOCKED, DENIED, "Too many bad fingers: enter the PIN." },
        { FIDO_ERR_INVALID_CREDENTIAL, NOT_FOUND,
          "This key does not belong to this vault (or was reset)." },
        { FIDO_ERR_CREDENTIAL_EXCLUDED, CONFLICT, "This key is already enrolled." },
        { FIDO_ERR_TIMEOUT, LIMIT, "Nobody touched the key in time." },
        { FIDO_ERR_UNSUPPORTED_EXTENSION, DENIED,
          "This key cannot store secrets (no hmac-secret)." },
        { FIDO_ERR_UNSUPPORTED_ALGORITHM, DENIED, "The key has no ES256." },
        { FIDO_ERR_CHANNEL_BUSY, CONFLICT, "Another program is using the key." },
        { CODE_SILENT, IO, "The key does not answer. Unplug it, plug it in again, then try." },
        { FIDO_ERR_LIMIT_EXCEEDED, LIMIT, "The key finds the question too long." },
        { 12345, BUG, "The key gave an answer that makes no sense." },
    };

    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        struct err e = { 0 };

        assert_int_equal(fido_fail(&e, told[i].code), told[i].st);
        assert_string_equal(e.why, told[i].why);
        assert_int_equal(e.detail, told[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_hidraw_at_all_means_nothing_is_plugged_in, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(a_mouse_is_no_key, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_key_is_seen_beside_other_devices, make_root, remove_root),
        cmocka_unit_test_setup_teardown(nothing_plugged_in_is_not_found, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_key_that_cannot_be_listed_is_a_matter_of_permission,
                                        make_root, remove_root),
        cmocka_unit_test_setup_teardown(paths_that_are_no_devices_are_not_found, make_root,
                                        remove_root),
        cmocka_unit_test(a_locked_device_is_a_conflict),
        cmocka_unit_test(the_number_of_tries_left_comes_only_with_a_wrong_pin_or_finger),
        cmocka_unit_test(every_code_has_a_status_and_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
