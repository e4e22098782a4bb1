/*
 * Files in memory. Each exec has a directory of its own and holds a lock on it: one that can
 * be locked belongs to nobody any more, whatever process ids mean in whichever container.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "exec.h"

#define PREFIX "strongroom-exec-"
#define TRIES  10

#ifndef RAMFS_MAGIC
#define RAMFS_MAGIC 0x858458f6
#endif

/* Where such directories may be, the best place first; NULL: no such place. */
static const char *place(size_t i)
{
    switch (i) {
    case 0: return getenv("XDG_RUNTIME_DIR");
    case 1: return "/dev/shm";
    default: return NULL;
    }
}
#define PLACES 2

static bool is_in_memory(const char *path)
{
    struct statfs about;

    return statfs(path, &about) == 0 &&
           ((uint64_t)about.f_type == TMPFS_MAGIC || (uint64_t)about.f_type == RAMFS_MAGIC);
}

/* --- removal ---------------------------------------------------------------------------------- */

/* Only what is a file of ours is written to: the name may have been taken by something else. */
static void overwrite(int fd)
{
    static const uint8_t zeros[4096];
    struct stat about;

    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode) || about.st_nlink != 1)
        return;
    for (off_t at = 0; at < about.st_size; at += (off_t)sizeof(zeros)) {
        off_t left = about.st_size - at;
        size_t n = left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);

        if (pwrite(fd, zeros, n, at) != (ssize_t)n)
            return;
    }
}

static void drop(int directory, const char *name)
{
    int fd = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0) {
        overwrite(fd);
        close(fd);
    }
    (void)unlinkat(directory, name, 0);
}

static void empty(int directory)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    if (entries == NULL) {
        if (copy >= 0)
            close(copy);
        return;
    }
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            drop(directory, entry->d_name);
    }
    closedir(entries);
}

/* One that is ours by name and owner, if nobody holds it. */
static void sweep(int below, const char *name)
{
    struct stat about;
    int fd = openat(below, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fstat(fd, &about) == 0 && about.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        empty(fd);
        (void)unlinkat(below, name, AT_REMOVEDIR);
    }
    close(fd);
}

void memory_sweep(void)
{
    for (size_t i = 0; i < PLACES; i++) {
        DIR *entries = place(i) != NULL ? opendir(place(i)) : NULL;
        const struct dirent *entry;

        if (entries == NULL)
            continue;
        while ((entry = readdir(entries)) != NULL) {
            if (strncmp(entry->d_name, PREFIX, sizeof(PREFIX) - 1) == 0)
                sweep(dirfd(entries), entry->d_name);
        }
        closedir(entries);
    }
}

/* --- making ----------------------------------------------------------------------------------- */

/* Somebody who sweeps may come between making and locking: then there is another try. */
static bool make_locked(const char *below, struct memory_directory *d)
{
    struct stat held, named;
    uint8_t chance[8];
    char text[2 * sizeof(chance) + 1];

    random_bytes((struct mspan){ chance, sizeof(chance) });
    hex_format(SPAN(chance), text);
    int n = snprintf(d->path, sizeof(d->path), "%s/%s%s", below, PREFIX, text);

    if (n < 0 || (size_t)n >= sizeof(d->path) || mkdir(d->path, 0700) != 0)
        return false;
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->fd >= 0 && flock(d->fd, LOCK_EX | LOCK_NB) == 0 && fstat(d->fd, &held) == 0 &&
        stat(d->path, &named) == 0 && held.st_ino == named.st_ino && held.st_uid == geteuid() &&
        fchmod(d->fd, 0700) == 0)
        return true;
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    (void)rmdir(d->path);
    return false;
}

int memory_make(struct memory_directory *d)
{
    d->fd = -1;
    for (size_t i = 0; i < PLACES; i++) {
        const char *below = place(i);

        if (below == NULL || below[0] != '/' || !is_in_memory(below))
            continue;
        for (unsigned k = 0; k < TRIES; k++) {
            if (make_locked(below, d))
                return EXIT_DONE;
        }
    }
    return report(EXIT_OTHER, "there is no directory in memory for files: neither $XDG_RUNTIME_DIR "
                              "nor /dev/shm is a tmpfs that can be written to");
}

static status write_all(int fd, struct span value, struct err *e)
{
    while (value.n > 0) {
        ssize_t n = write(fd, value.p, value.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(e, IO, "cannot write the file", errno);
        value = span_of(value.p + n, value.n - (size_t)n);
    }
    return OK;
}

status memory_put(const struct memory_directory *d, const char *name, struct span value,
                  struct err *e)
{
    static const char fresh[] = ".new"; /* no key's file begins with a dot */
    int fd;
    status st;

    (void)unlinkat(d->fd, fresh, 0);
    fd = openat(d->fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(e, IO, "cannot make the file", errno);
    st = fchmod(fd, 0600) == 0 ? write_all(fd, value, e)
                               : fail(e, IO, "cannot make the file", errno);
    close(fd);
    if (st == OK && renameat(d->fd, fresh, d->fd, name) != 0)
        st = fail(e, IO, "cannot put the file in place", errno);
    if (st != OK)
        drop(d->fd, fresh);
    return st;
}

void memory_drop(const struct memory_directory *d, const char *name)
{
    if (d->fd >= 0)
        drop(d->fd, name);
}

void memory_remove(struct memory_directory *d)
{
    if (d->fd < 0)
        return;
    empty(d->fd);
    (void)rmdir(d->path);
    close(d->fd);
    d->fd = -1;
}
