/*
 * A disk that keeps only what was synced, for programs under test that are started with LD_PRELOAD.
 *
 * Whatever is written to the keyring, its journal and the database passes through, and what was
 * there before is noted in a file of undo records beside it. A sync empties that file when it is
 * over. When every process is dead the harness (tests/e2e/power.py) takes back what the notes tell,
 * all of it or some sectors: what is left is what a power cut may leave.
 *
 * Notes belong to a file, not to its name, so they follow it through renames; names themselves
 * count as durable at once. A successor of a killed process finds its notes and adds to them. Only
 * calls that the programs' sandboxes allow are made.
 *
 * note: u64 offset, u64 size of the file before, u32 length n, n bytes that were there; in the
 * order of this machine
 *
 * Environment: UNSYNCED_NAMES, endings of file names, separated by spaces; UNSYNCED_DEAF, endings
 * of names whose syncs do nothing, as on a disk that lies; UNSYNCED_SYNC_US, how long a sync takes.
 *
 * Beside that the supervisor's pause before a child that failed quickly again and again is left
 * out, or a thousand kills would be a matter of patience.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILES 1024 /* descriptors beyond that are not watched */
#define CHUNK 65536
#define HEAD  20

struct watched {
    int notes;  /* descriptor; 0: not watched */
    bool blind; /* cannot be read: only what is being wiped is opened like that */
    bool deaf;
};

static struct watched files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t note[HEAD + CHUNK];

static struct {
    int (*openat)(int dir, const char *path, int flags, ...);
    int (*close)(int fd);
    int (*unlink)(const char *path);
    ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t at);
    int (*ftruncate)(int fd, off_t size);
    int (*fallocate)(int fd, int mode, off_t from, off_t n);
    int (*fsync)(int fd);
    int (*fdatasync)(int fd);
    int (*nanosleep)(const struct timespec *wanted, struct timespec *left);
} libc;

static void find(const char *name, void *pointer)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL)
        abort();
    memcpy(pointer, &found, sizeof found);
}

__attribute__((constructor)) static void find_all(void)
{
    find("openat", &libc.openat);
    find("close", &libc.close);
    find("unlink", &libc.unlink);
    find("pwrite", &libc.pwrite);
    find("ftruncate", &libc.ftruncate);
    find("fallocate", &libc.fallocate);
    find("fsync", &libc.fsync);
    find("fdatasync", &libc.fdatasync);
    find("nanosleep", &libc.nanosleep);
}

/* Not the library's fstat, which may be a call that the sandboxes do not know. */
static bool status_of(int fd, struct stat *ret)
{
    return syscall(SYS_fstat, fd, ret) == 0;
}

/* Whether the name has one of the endings that a variable lists. */
static bool listed(const char *variable, const char *name)
{
    const char *list = getenv(variable);
    size_t length = strlen(name);

    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, " ");

        if (n > 0 && n <= length && memcmp(name + length - n, list, n) == 0)
            return true;
        list += n + strspn(list + n, " ");
    }
    return false;
}

static struct watched *watched(int fd)
{
    return fd > 0 && fd < FILES && files[fd].notes > 0 ? &files[fd] : NULL;
}

static void watch(int dir, const char *path, int fd, int flags)
{
    const char *slash = strrchr(path, '/');
    int room = slash != NULL ? (int)(slash - path) + 1 : 0;
    char name[4096];
    struct stat st;

    if (fd <= 0 || fd >= FILES || (flags & O_ACCMODE) == O_RDONLY ||
        !listed("UNSYNCED_NAMES", path) || !status_of(fd, &st) || !S_ISREG(st.st_mode))
        return;
    (void)snprintf(name, sizeof name, "%.*s.unsynced-%llu", room, path,
                   (unsigned long long)st.st_ino);
    int notes = libc.openat(dir, name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (notes < 0)
        abort();
    files[fd] = (struct watched){ .notes = notes,
                                  .blind = (flags & O_ACCMODE) == O_WRONLY,
                                  .deaf = listed("UNSYNCED_DEAF", path) };
}

static void full_write(int fd, const uint8_t *p, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = libc.pwrite(fd, p, n, at);
        if (done <= 0)
            abort();
        p += done;
        n -= (size_t)done;
        at += done;
    }
}

/* Notes what the bytes from..to are now, as far as there are any. */
static void remember(int fd, const struct watched *w, off_t from, off_t to)
{
    struct stat st, notes;

    if (!status_of(fd, &st) || !status_of(w->notes, &notes))
        abort();
    off_t end = notes.st_size;
    do {
        off_t last = to < st.st_size ? to : st.st_size;
        uint32_t n = last <= from ? 0 : last - from < CHUNK ? (uint32_t)(last - from) : CHUNK;
        uint64_t numbers[2] = { (uint64_t)from, (uint64_t)st.st_size };

        memcpy(note, numbers, sizeof numbers);
        memcpy(note + sizeof numbers, &n, sizeof n);
        if (w->blind)
            memset(note + HEAD, 0, n);
        else if (n > 0 && pread(fd, note + HEAD, n, from) != (ssize_t)n)
            abort();
        full_write(w->notes, note, HEAD + n, end);
        end += (off_t)(HEAD + n);
        from += n > 0 ? (off_t)n : CHUNK;
    } while (from < to && from < st.st_size);
}

static void about_to_write(int fd, off_t from, off_t to)
{
    const struct watched *w = watched(fd);

    if (w == NULL)
        return;
    pthread_mutex_lock(&lock);
    remember(fd, w, from, to);
    pthread_mutex_unlock(&lock);
}

static int synced(int fd, int result)
{
    const struct watched *w = watched(fd);

    if (result == 0 && w != NULL && !w->deaf && libc.ftruncate(w->notes, 0) != 0)
        abort();
    return result;
}

/* --- opening --------------------------------------------------------------------------------- */

#define MODE(flags, mode)                                                 \
    do {                                                                  \
        if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
            va_list list;                                                 \
            va_start(list, flags);                                        \
            (mode) = va_arg(list, mode_t);                                \
            va_end(list);                                                 \
        }                                                                 \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    int fd = libc.openat(AT_FDCWD, path, flags, mode);
    watch(AT_FDCWD, path, fd, flags);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    int fd = libc.openat(AT_FDCWD, path, flags, mode);
    watch(AT_FDCWD, path, fd, flags);
    return fd;
}

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    int fd = libc.openat(dir, path, flags, mode);
    watch(dir, path, fd, flags);
    return fd;
}

int openat64(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    int fd = libc.openat(dir, path, flags, mode);
    watch(dir, path, fd, flags);
    return fd;
}

int close(int fd)
{
    struct watched *w = watched(fd);

    if (w != NULL) {
        libc.close(w->notes);
        *w = (struct watched){ 0 };
    }
    return libc.close(fd);
}

/* The number of a file that is gone may become another one's. */
int unlink(const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[4096];
    struct stat st;

    if (listed("UNSYNCED_NAMES", path) && stat(path, &st) == 0) {
        (void)snprintf(name, sizeof name, "%.*s.unsynced-%llu",
                       slash != NULL ? (int)(slash - path) + 1 : 0, path,
                       (unsigned long long)st.st_ino);
        (void)libc.unlink(name);
    }
    return libc.unlink(path);
}

/* --- writing --------------------------------------------------------------------------------- */

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    about_to_write(fd, at, at + (off_t)n);
    return libc.pwrite(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return pwrite(fd, p, n, at);
}

int ftruncate(int fd, off_t size)
{
    struct stat st;

    if (watched(fd) != NULL && status_of(fd, &st))
        about_to_write(fd, size, st.st_size > size ? st.st_size : size);
    return libc.ftruncate(fd, size);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t from, off_t n)
{
    about_to_write(fd, from, from + n);
    return libc.fallocate(fd, mode, from, n);
}

int fallocate64(int fd, int mode, off64_t from, off64_t n)
{
    return fallocate(fd, mode, from, n);
}

/* --- syncing --------------------------------------------------------------------------------- */

/* A disk takes its time, in which the power may fail. */
static void take_time(int fd)
{
    const char *us = getenv("UNSYNCED_SYNC_US");
    struct timespec t = { .tv_nsec = us != NULL ? atol(us) * 1000 : 0 };

    if (watched(fd) != NULL && t.tv_nsec > 0)
        (void)syscall(SYS_ppoll, NULL, 0, &t, NULL, 0);
}

int fsync(int fd)
{
    take_time(fd);
    return synced(fd, libc.fsync(fd));
}

int fdatasync(int fd)
{
    take_time(fd);
    return synced(fd, libc.fdatasync(fd));
}

/* --- the supervisor -------------------------------------------------------------------------- */

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    if (strcmp(program_invocation_short_name, "strongroomd") == 0)
        return 0;
    return libc.nanosleep(wanted, left);
}
