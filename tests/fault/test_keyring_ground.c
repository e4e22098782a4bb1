/* wrap: statfs */
/* The ground under a keyring: refused by name, unless the operator insists. */
#include <sys/vfs.h>

#include "../unit/keyring_rig.h"

static uint32_t ground_magic; /* 0: as it is */

int __real_statfs(const char *path, struct statfs *fs);
int __wrap_statfs(const char *path, struct statfs *fs);

int __wrap_statfs(const char *path, struct statfs *fs)
{
    int rc = __real_statfs(path, fs);

    if (rc == 0 && ground_magic != 0)
        fs->f_type = (__fsword_t)ground_magic;
    return rc;
}

static void copying_and_remote_file_systems_are_refused_by_name(void **state)
{
    static const struct {
        uint32_t magic;
        const char *name;
    } bad[] = { { 0x9123683E, "btrfs" }, { 0x2FC12FC1, "ZFS" },       { 0xCA451A4E, "bcachefs" },
                { 0xF2F52010, "f2fs" },  { 0x794C7630, "overlayfs" }, { 0x6969, "NFS" },
                { 0xFF534D42, "CIFS" },  { 0xFE534D42, "SMB2" },      { 0x65735546, "FUSE" },
                { 0x01021997, "9P" },    { 0x00C36400, "Ceph" } };
    struct rig r = { .k = NULL };
    struct keyring_info info = rig_info();

    (void)state;
    rig_dir_make(r.dir);
    r.key = rig_key(1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err e = { .code = OK };

        ground_magic = bad[i].magic;
        assert_status(keyring_ground_check(r.dir, &e), DENIED);
        assert_non_null(strstr(e.why, bad[i].name));
        assert_status(keyring_create(r.dir, false, &info, NULL, 0, NULL, 0, r.key, &r.k, NULL),
                      DENIED);
        assert_null(r.k);
    }
    assert_status(keyring_create(r.dir, true, &info, NULL, 0, NULL, 0, r.key, &r.k, NULL), OK);
    rig_shut(&r);
    assert_status(keyring_open(r.dir, false, &r.k, NULL), DENIED);
    assert_status(keyring_open(r.dir, true, &r.k, NULL), OK);
    ground_magic = 0;
    rig_end(&r);
}

static void plain_file_systems_pass(void **state)
{
    static const uint32_t good[] = { 0xEF53, 0x58465342, 0x01021994, 0x858458F6 };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ground_magic = good[i];
        assert_status(keyring_ground_check("/", NULL), OK);
    }
    ground_magic = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copying_and_remote_file_systems_are_refused_by_name),
        cmocka_unit_test(plain_file_systems_pass),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
