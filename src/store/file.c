/* The files of the database, beside what SQLite does with them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "db.h"

status file_name(const char *base, const char *suffix, char ret_path[PATH_MAX], struct err *e)
{
    int length = snprintf(ret_path, PATH_MAX, "%s%s", base, suffix);

    if (length < 0 || length >= PATH_MAX)
        return fail(e, BAD_INPUT, "path of the database is too long", 0);
    return OK;
}

status file_sync_directory(const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];
    int length = slash != NULL && slash != path ? (int)(slash - path) : 1;
    int fd, synced, code;

    (void)snprintf(dir, sizeof(dir), "%.*s", length, slash != NULL ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    synced = fd < 0 ? -1 : fsync(fd);
    code = errno;
    if (fd >= 0)
        (void)close(fd);
    if (synced != 0)
        return fail(e, IO, "database directory cannot be synced", code);
    return OK;
}

/*
 * SQLite would create the file for all to read. An existing one is not opened here: closing a
 * second descriptor of a file drops the locks that the first one holds.
 */
status file_create(const char *path, struct err *e)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? OK : fail(e, IO, "database file cannot be created", errno);
    (void)close(fd);
    return file_sync_directory(path, e);
}

status file_remove(const char *path, struct err *e)
{
    if (unlink(path) == 0)
        return file_sync_directory(path, e);
    return errno == ENOENT ? OK : fail(e, IO, "file cannot be removed", errno);
}

static bool overwrite(int fd, off_t from, off_t to)
{
    static const uint8_t zeros[65536];

    while (from < to) {
        off_t left = to - from;
        size_t n = left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);
        ssize_t written = pwrite(fd, zeros, n, from);

        if (written <= 0)
            return false;
        from += written;
    }
    return fdatasync(fd) == 0;
}

/* From the end, so that the size says how far it came, even to the next process. */
status file_erase(const char *path, uint64_t bytes, uint64_t *ret_left, struct err *e)
{
    struct stat info = { 0 };
    off_t from = 0;
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT)
        return fail(e, IO, "file cannot be overwritten", errno);
    if (fd >= 0 && fstat(fd, &info) == 0 && (uint64_t)info.st_size > bytes)
        from = info.st_size - (off_t)bytes;
    /* What cannot be overwritten is still removed. */
    if (fd >= 0 && (!overwrite(fd, from, info.st_size) || ftruncate(fd, from) != 0))
        from = 0;
    if (fd >= 0)
        (void)close(fd);
    *ret_left = (uint64_t)from;
    return from == 0 ? file_remove(path, e) : OK;
}

status file_exchange(const char *a, const char *b, struct err *e)
{
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0 && rename(a, b) != 0)
        return fail(e, IO, "database cannot be replaced", errno);
    return file_sync_directory(b, e);
}

status file_check_room(const char *path, uint64_t bytes, struct err *e)
{
    struct statvfs disk;

    if (statvfs(path, &disk) != 0)
        return fail(e, IO, "free room cannot be read", errno);
    if ((uint64_t)disk.f_bavail * disk.f_frsize < bytes)
        return fail(e, LIMIT, "no room on the disk for the copy", 0);
    return OK;
}
