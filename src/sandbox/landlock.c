/*
 * Landlock without a library. Everything that the running kernel knows how to restrict is
 * restricted; what an older kernel does not know is left out, never guessed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/sandbox.h"

/* Newer than the oldest headers that we build with. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Neither execution nor devices: nobody here makes or runs one. */
#define ACCESS_WRITE                                                                              \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)
#define ACCESS_FILE \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
/* Every right of the first version of the interface. */
#define ACCESS_FIRST ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* All rights that a kernel with this version of the interface can take away. */
static uint64_t handled_rights(long version)
{
    uint64_t rights = ACCESS_FIRST;

    if (version >= 2)
        rights |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (version >= 5)
        rights |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return rights;
}

static status allow_path(int ruleset, const char *path, uint64_t rights, struct err *e)
{
    struct stat about;
    int fd = open(path, O_PATH | O_CLOEXEC);

    if (fd < 0)
        return fail(e, errno == ENOENT ? NOT_FOUND : IO, "cannot open a directory", errno);
    /* A rule on a file may only name rights that a file can have. */
    if (fstat(fd, &about) == 0 && !S_ISDIR(about.st_mode))
        rights &= ACCESS_FILE;
    struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U);
    int cause = errno;
    close(fd);
    return failed != 0 ? fail(e, IO, "cannot add a Landlock rule", cause) : OK;
}

static status allow_paths(int ruleset, const char *const *read_dirs, const char *const *write_dirs,
                          uint64_t handled, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && read_dirs != NULL && read_dirs[i] != NULL; i++) {
        st = allow_path(ruleset, read_dirs[i], ACCESS_READ & handled, NULL);
        if (st == NOT_FOUND)
            st = OK;
        if (st != OK)
            return fail(e, st, "cannot allow a directory to be read", 0);
    }
    for (size_t i = 0; st == OK && write_dirs != NULL && write_dirs[i] != NULL; i++)
        st = allow_path(ruleset, write_dirs[i], ACCESS_WRITE & handled, e);
    return st;
}

status sandbox_paths(const char *const *read_dirs, const char *const *write_dirs, struct err *e)
{
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(e, IO, "cannot set no-new-privs", errno);
    if (version < 1)
        return OK;
    struct landlock_ruleset_attr attr = { .handled_access_fs = handled_rights(version) };
    int ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0U);
    if (ruleset < 0)
        return fail(e, IO, "cannot create a Landlock ruleset", errno);
    status st = allow_paths(ruleset, read_dirs, write_dirs, attr.handled_access_fs, e);
    if (st == OK && syscall(SYS_landlock_restrict_self, ruleset, 0U) != 0)
        st = fail(e, IO, "cannot enter the Landlock ruleset", errno);
    close(ruleset);
    return st;
}
