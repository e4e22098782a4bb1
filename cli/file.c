/* No file is ever seen half written: a profile that is cut off would lose pinned keys. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static status read_all(int fd, struct mspan to, size_t *ret_n, struct err *e)
{
    size_t used = 0;

    while (used < to.n) {
        ssize_t n = read(fd, to.p + used, to.n - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(e, IO, "cannot read the file", errno);
        if (n == 0)
            break;
        used += (size_t)n;
    }
    if (used == to.n)
        return fail(e, LIMIT, "the file is too large", 0);
    *ret_n = used;
    return OK;
}

status file_read(const char *path, char *out, size_t cap, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;

    if (fd < 0)
        return fail(e, errno == ENOENT ? NOT_FOUND : IO, "cannot open the file", errno);
    status st = read_all(fd, (struct mspan){ .p = (uint8_t *)out, .n = cap }, &n, e);

    close(fd);
    if (st == OK)
        out[n] = '\0';
    return st;
}

status file_read_secret(const char *path, size_t cap, struct secret **ret_content, struct err *e)
{
    AUTO(secret) *content = NULL;
    struct stat about;
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(e, errno == ENOENT ? NOT_FOUND : IO, "cannot open the file", errno);
    status st = OK;

    if (fstat(fd, &about) != 0)
        st = fail(e, IO, "cannot look at the file", errno);
    else if ((about.st_mode & 077) != 0)
        st = fail(e, DENIED, "others may read this private key: run chmod 600 on it", 0);
    if (st == OK)
        st = secret_new(cap + 1, &content, e);
    if (st == OK)
        st = read_all(fd, secret_fill(content), &n, e);
    close(fd);
    if (st == OK)
        st = secret_trim(content, n, e);
    if (st != OK)
        return st;
    *ret_content = content;
    content = NULL;
    return OK;
}

status file_begin(struct file_writer *w, const char *path, enum file_mode mode, struct err *e)
{
    *w = (struct file_writer){ .fd = -1, .mode = mode, .path = path };
    /* Early, so that nothing is made for a file that could not be kept. */
    if (mode == FILE_PRIVATE_NEW && access(path, F_OK) == 0)
        return fail(e, CONFLICT, "the file exists already and is not replaced", 0);
    int n = snprintf(w->temporary, sizeof(w->temporary), "%s.XXXXXX", path);

    if (n < 0 || (size_t)n >= sizeof(w->temporary))
        return fail(e, IO, "the path is too long", ENAMETOOLONG);
    w->fd = mkostemp(w->temporary, O_CLOEXEC);
    if (w->fd < 0)
        return fail(e, IO, "cannot write there", errno);
    return OK;
}

status file_append(struct file_writer *w, struct span s, struct err *e)
{
    while (s.n > 0) {
        ssize_t n = write(w->fd, s.p, s.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(e, IO, "cannot write the file", errno);
        s.p += n;
        s.n -= (size_t)n;
    }
    return OK;
}

static void sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        snprintf(directory, sizeof(directory), ".");
    else
        snprintf(directory, sizeof(directory), "%.*s/", (int)(slash - path), path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* The content is synced; that a new name may be late is all that can be lost here. */
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

status file_commit(struct file_writer *w, struct err *e)
{
    unsigned int flags = w->mode == FILE_PRIVATE_NEW ? RENAME_NOREPLACE : 0;
    status st = OK;

    if (fchmod(w->fd, w->mode == FILE_PUBLIC ? 0644 : 0600) != 0 || fsync(w->fd) != 0)
        st = fail(e, IO, "cannot write the file", errno);
    else if (renameat2(AT_FDCWD, w->temporary, AT_FDCWD, w->path, flags) != 0)
        st = errno == EEXIST ? fail(e, CONFLICT, "the file exists already and is not replaced", 0)
                             : fail(e, IO, "cannot put the file in its place", errno);
    if (st != OK) {
        file_abandon(w);
        return st;
    }
    close(w->fd);
    w->fd = -1;
    sync_directory_of(w->path);
    return OK;
}

void file_abandon(struct file_writer *w)
{
    if (w->fd < 0)
        return;
    close(w->fd);
    unlink(w->temporary);
    w->fd = -1;
}

status file_write(const char *path, enum file_mode mode, struct span content, struct err *e)
{
    struct file_writer w;
    status st = file_begin(&w, path, mode, e);

    if (st != OK)
        return st;
    st = file_append(&w, content, e);
    if (st != OK) {
        file_abandon(&w);
        return st;
    }
    return file_commit(&w, e);
}

status file_make_directory(const char *path, struct err *e)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof(part))
        return fail(e, IO, "the path is too long", ENAMETOOLONG);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return fail(e, IO, "cannot make the directory", errno);
    }
    return OK;
}
