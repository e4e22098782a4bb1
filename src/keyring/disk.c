/*
 * The files under keyring and journal. After opening them only pread, pwrite, fdatasync, lseek,
 * fallocate, ftruncate, and on the directory renameat2 and fsync are called, so that the sandbox
 * need not allow more.
 */
#include "disk.h"

#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_SUFFIX  ".new"
#define NAME_LENGTH 32
#define WIPE_CHUNK  65536

static status dir_check(int fd, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail(e, IO, "cannot examine the keyring directory", errno);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fail(e, DENIED, "others may write to the keyring directory", st.st_mode & 07777);
    return OK;
}

static status dir_make(const char *dir, struct err *e)
{
    int fd, parent;

    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? OK : fail(e, IO, "cannot make the keyring directory", errno);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, IO, "cannot open the keyring directory", errno);
    parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    if (parent < 0)
        return fail(e, IO, "cannot open the parent of the keyring directory", errno);
    if (fsync(parent) != 0) {
        int error = errno;

        close(parent);
        return fail(e, IO, "cannot sync the parent of the keyring directory", error);
    }
    close(parent);
    return OK;
}

status keyring_disk_dir(const char *dir, enum disk_dir mode, int *ret_fd, struct err *e)
{
    status st = OK;
    int fd;

    if (mode == DISK_DIR_MAKE)
        st = dir_make(dir, e);
    if (st != OK)
        return st;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? fail(e, NOT_FOUND, "there is no keyring directory", errno)
                               : fail(e, IO, "cannot open the keyring directory", errno);
    st = dir_check(fd, e);
    if (st != OK) {
        close(fd);
        return st;
    }
    *ret_fd = fd;
    return OK;
}

/* flock is on the open file, not the name: it survives the rename and dies with the process. */
static status lock(int fd, struct err *e)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return OK;
    return errno == EWOULDBLOCK ? fail(e, CONFLICT, "another process has the file", errno)
                                : fail(e, IO, "cannot lock the file", errno);
}

static status file_check(int fd, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return fail(e, IO, "cannot examine the file", errno);
    if (!S_ISREG(st.st_mode))
        return fail(e, DENIED, "not a regular file", 0);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(e, DENIED, "others may use the file", st.st_mode & 07777);
    if (st.st_nlink > 1)
        return fail(e, DENIED, "the file has a second name", (int64_t)st.st_nlink);
    return OK;
}

static status take(int fd, struct disk *ret_disk, struct err *e)
{
    status st = lock(fd, e);

    if (st == OK)
        st = file_check(fd, e);
    if (st != OK) {
        close(fd);
        return st;
    }
    *ret_disk = (struct disk){ .fd = fd };
    return OK;
}

status keyring_disk_open(int dir_fd, const char *name, enum disk_file mode, struct disk *ret_disk,
                         struct err *e)
{
    int make = mode == DISK_FILE_MAKE ? O_CREAT : 0;
    int fd = openat(dir_fd, name, O_RDWR | make | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0 && errno == ENOENT)
        return fail(e, NOT_FOUND, "there is no such file", errno);
    if (fd < 0)
        return errno == ELOOP ? fail(e, DENIED, "the file is a symbolic link", errno)
                              : fail(e, IO, "cannot open the file", errno);
    return take(fd, ret_disk, e);
}

static status name_new(const char *name, char out[NAME_LENGTH], struct err *e)
{
    int n = snprintf(out, NAME_LENGTH, "%s" NEW_SUFFIX, name);

    return n > 0 && n < NAME_LENGTH ? OK : fail(e, BUG, "file name too long", n);
}

status keyring_disk_create(int dir_fd, const char *name, struct disk *ret_disk, struct err *e)
{
    struct disk d = { .fd = -1 };
    char fresh[NAME_LENGTH];
    status st = name_new(name, fresh, e);

    /* A leftover from a crash may be there: it never had its name, so it is simply used again. */
    if (st == OK)
        st = keyring_disk_open(dir_fd, fresh, DISK_FILE_MAKE, &d, e);
    if (st != OK)
        return st;
    /* Asked under the lock; the rename below asks again. */
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        st = fail(e, CONFLICT, "the file exists", 0);
    else if (errno != ENOENT)
        st = fail(e, IO, "cannot look for the file", errno);
    else if (ftruncate(d.fd, 0) != 0)
        st = fail(e, IO, "cannot empty the file", errno);
    if (st != OK) {
        if (st == CONFLICT)
            keyring_disk_discard(dir_fd, name); /* ours alone by the lock */
        keyring_disk_close(&d);
        return st;
    }
    *ret_disk = d;
    return OK;
}

status keyring_disk_publish(int dir_fd, const char *name, struct disk *d, struct err *e)
{
    char fresh[NAME_LENGTH];
    status st = name_new(name, fresh, e);

    if (st == OK)
        st = keyring_disk_sync(d, e);
    if (st != OK)
        return st;
    if (renameat2(dir_fd, fresh, dir_fd, name, RENAME_NOREPLACE) != 0)
        return errno == EEXIST ? fail(e, CONFLICT, "the file exists", errno)
                               : fail(e, IO, "cannot name the file", errno);
    if (fsync(dir_fd) != 0)
        return fail(e, IO, "cannot sync the directory", errno);
    return OK;
}

void keyring_disk_discard(int dir_fd, const char *name)
{
    char fresh[NAME_LENGTH];

    /* If it stays, the next create uses it again. */
    if (name_new(name, fresh, NULL) == OK)
        (void)unlinkat(dir_fd, fresh, 0);
}

status keyring_disk_exchange(int dir_fd, const char *one, const char *other, struct err *e)
{
    if (renameat2(dir_fd, one, dir_fd, other, RENAME_EXCHANGE) != 0)
        return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP
                   ? fail(e, LIMIT, "the file system cannot exchange two names", errno)
                   : fail(e, IO, "cannot exchange two names", errno);
    return fsync(dir_fd) == 0 ? OK : fail(e, IO, "cannot sync the directory", errno);
}

void keyring_disk_close(struct disk *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

status keyring_disk_size(const struct disk *d, uint64_t *ret_size, struct err *e)
{
    /* Not fstat, which the C library may make of other calls: this is asked in the sandbox too. */
    off_t size = lseek(d->fd, 0, SEEK_END);

    if (size < 0)
        return fail(e, IO, "cannot examine the file", errno);
    *ret_size = (uint64_t)size;
    return OK;
}

status keyring_disk_read(const struct disk *d, uint64_t at, struct mspan to, struct err *e)
{
    while (to.n > 0) {
        ssize_t n = pread(d->fd, to.p, to.n, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(e, IO, "cannot read", errno);
        if (n == 0)
            return fail(e, CORRUPT, "the file is too short", (int64_t)at);
        to.p += n;
        to.n -= (size_t)n;
        at += (uint64_t)n;
    }
    return OK;
}

status keyring_disk_write(struct disk *d, uint64_t at, struct span from, struct err *e)
{
    if (d->broken)
        return fail(e, IO, "a write failed before", 0);
    d->dirty = true;
    while (from.n > 0) {
        ssize_t n = pwrite(d->fd, from.p, from.n, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            d->broken = true;
            return fail(e, IO, "cannot write", n < 0 ? errno : 0);
        }
        from.p += n;
        from.n -= (size_t)n;
        at += (uint64_t)n;
    }
    return OK;
}

/* For file systems that cannot reserve room: zeros, written out. */
static status grow_by_writing(struct disk *d, uint64_t from, uint64_t to, struct err *e)
{
    static const uint8_t zeros[4096];

    while (from < to) {
        size_t n = to - from < sizeof(zeros) ? (size_t)(to - from) : sizeof(zeros);
        status st = keyring_disk_write(d, from, span_of(zeros, n), e);

        if (st != OK)
            return st;
        from += n;
    }
    return OK;
}

status keyring_disk_grow(struct disk *d, uint64_t from, uint64_t to, struct err *e)
{
    status st = OK;
    int rc;

    if (d->broken)
        return fail(e, IO, "a write failed before", 0);
    do {
        rc = fallocate(d->fd, 0, (off_t)from, (off_t)(to - from));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return fail(e, LIMIT, "no room on the disk", errno);
    if (rc != 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        st = grow_by_writing(d, from, to, e);
    } else if (rc != 0) {
        d->broken = true;
        st = fail(e, IO, "cannot reserve room", errno);
    }
    if (st != OK)
        return st;
    d->dirty = true;
    return keyring_disk_sync(d, e);
}

status keyring_disk_sync(struct disk *d, struct err *e)
{
    if (d->broken)
        return fail(e, IO, "a write failed before", 0);
    if (!d->dirty || d->draft)
        return OK;
    if (fdatasync(d->fd) != 0) {
        d->broken = true;
        return fail(e, IO, "cannot sync", errno);
    }
    d->dirty = false;
    return OK;
}

status keyring_disk_keep(struct disk *d, struct err *e)
{
    d->draft = false;
    return keyring_disk_sync(d, e);
}

status keyring_disk_wipe(struct disk *d, struct err *e)
{
    uint64_t size;
    status st = keyring_disk_size(d, &size, e);

    d->draft = false;
    for (uint64_t at = 0; st == OK && at < size; at += WIPE_CHUNK) {
        uint8_t noise[WIPE_CHUNK];
        size_t n = size - at < WIPE_CHUNK ? (size_t)(size - at) : WIPE_CHUNK;

        random_bytes((struct mspan){ .p = noise, .n = n });
        st = keyring_disk_write(d, at, span_of(noise, n), e);
    }
    if (st == OK)
        st = keyring_disk_sync(d, e);
    if (st != OK || size == 0)
        return st;
    if (ftruncate(d->fd, 0) != 0) {
        d->broken = true;
        return fail(e, IO, "cannot cut the file off", errno);
    }
    d->dirty = true;
    return keyring_disk_sync(d, e);
}
