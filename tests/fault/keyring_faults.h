/*
 * A disk that fails on demand. The n-th call that changes the file kills the process, or fails;
 * when it kills, writes that were not synced may be lost sector by sector, as a power cut loses
 * them. Everything runs in children: act dies, check looks at what is left.
 */
#ifndef KEYRING_FAULTS_H
#define KEYRING_FAULTS_H

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "../unit/keyring_rig.h"

#define SECTOR      512
#define SECTORS_MAX 4096
#define FILES_MAX   4

enum fault { FAULT_NONE, FAULT_KILL, FAULT_POWER, FAULT_EIO, FAULT_ENOSPC };

static struct {
    enum fault fault;
    unsigned at;    /* the call that fails, from 1 */
    unsigned calls; /* so far */
    uint64_t random;
    bool was_reserve; /* the call that failed only reserved room */
    struct {
        int fd;
        off_t at;
        uint8_t before[SECTOR];
    } unsynced[SECTORS_MAX];
    size_t unsynced_count;
    char trace[64]; /* calls so far, while no fault is on: see faults_trace */
    size_t trace_length;
    void (*on_sync)(void);
    struct {
        int fd;
        off_t before; /* when it last was synced */
    } sizes[FILES_MAX];
    size_t size_count;
    struct {
        int dir_fd;
        char one[RIG_PATH_SIZE];
        char other[RIG_PATH_SIZE];
    } exchange; /* of names, and the directory not synced since */
    bool exchanged;
    bool no_exchange; /* a file system that does not know it */
} faults;

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __real_fallocate(int fd, int mode, off_t at, off_t n);
int __real_fsync(int fd);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fallocate(int fd, int mode, off_t at, off_t n);
int __wrap_fsync(int fd);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);

static uint64_t faults_random(void)
{
    faults.random ^= faults.random << 13;
    faults.random ^= faults.random >> 7;
    faults.random ^= faults.random << 17;
    return faults.random;
}

/* What a power cut does to what was not synced. */
static void faults_lose(void)
{
    /* Latest first, so that a sector written twice may keep its older content. */
    while (faults.fault == FAULT_POWER && faults.unsynced_count > 0) {
        faults.unsynced_count--;
        if (faults_random() % 2 == 0)
            (void)__real_pwrite(faults.unsynced[faults.unsynced_count].fd,
                                faults.unsynced[faults.unsynced_count].before, SECTOR,
                                faults.unsynced[faults.unsynced_count].at);
    }
    for (size_t i = 0; faults.fault == FAULT_POWER && i < faults.size_count; i++) {
        if (faults_random() % 2 == 0)
            (void)__real_ftruncate(faults.sizes[i].fd, faults.sizes[i].before);
    }
    if (faults.fault == FAULT_POWER && faults.exchanged && faults_random() % 2 == 0)
        (void)__real_renameat2(faults.exchange.dir_fd, faults.exchange.one, faults.exchange.dir_fd,
                               faults.exchange.other, RENAME_EXCHANGE);
}

static void faults_die(void)
{
    faults_lose();
    raise(SIGKILL);
}

/* Whether this call is to fail; does not return if it is to kill. */
static bool faults_hit(bool power_too)
{
    if (faults.fault == FAULT_NONE || ++faults.calls != faults.at)
        return false;
    if (faults.fault == FAULT_KILL || (faults.fault == FAULT_POWER && !power_too))
        faults_die();
    errno = faults.fault == FAULT_ENOSPC ? ENOSPC : EIO;
    return faults.fault != FAULT_POWER;
}

/* w write, s sync, t truncate, x exchange of names, d sync of the directory */
static void faults_trace(char what)
{
    if (faults.fault == FAULT_NONE && faults.trace_length < sizeof(faults.trace) - 1)
        faults.trace[faults.trace_length++] = what;
}

static void faults_note_size(int fd)
{
    struct stat st;

    for (size_t i = 0; i < faults.size_count; i++) {
        if (faults.sizes[i].fd == fd)
            return;
    }
    if (faults.size_count == FILES_MAX || fstat(fd, &st) != 0)
        abort();
    faults.sizes[faults.size_count].fd = fd;
    faults.sizes[faults.size_count++].before = st.st_size;
}

/* This file is durable as it is. */
static void faults_settle(int fd)
{
    size_t sectors = 0, sizes = 0;

    for (size_t i = 0; i < faults.unsynced_count; i++) {
        if (faults.unsynced[i].fd != fd)
            faults.unsynced[sectors++] = faults.unsynced[i];
    }
    faults.unsynced_count = sectors;
    for (size_t i = 0; i < faults.size_count; i++) {
        if (faults.sizes[i].fd != fd)
            faults.sizes[sizes++] = faults.sizes[i];
    }
    faults.size_count = sizes;
}

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    off_t sector = at / SECTOR * SECTOR;
    ssize_t rc;

    faults_trace('w');
    if (faults_hit(true))
        return -1;
    for (; faults.fault == FAULT_POWER && sector < at + (off_t)n; sector += SECTOR) {
        if (faults.unsynced_count == SECTORS_MAX)
            abort();
        faults.unsynced[faults.unsynced_count].fd = fd;
        faults.unsynced[faults.unsynced_count].at = sector;
        for (size_t i = 0; i < SECTOR; i++)
            faults.unsynced[faults.unsynced_count].before[i] = 0;
        if (pread(fd, faults.unsynced[faults.unsynced_count].before, SECTOR, sector) >= 0)
            faults.unsynced_count++;
    }
    rc = __real_pwrite(fd, p, n, at);
    if (faults.fault == FAULT_POWER && faults.calls == faults.at)
        faults_die();
    return rc;
}

int __wrap_fdatasync(int fd)
{
    faults_trace('s');
    if (faults_hit(false))
        return -1;
    faults_settle(fd);
    if (faults.on_sync != NULL)
        faults.on_sync();
    return __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
    faults_trace('d');
    if (faults_hit(false))
        return -1;
    faults.exchanged = false;
    return __real_fsync(fd);
}

int __wrap_ftruncate(int fd, off_t size)
{
    faults_trace('t');
    if (faults_hit(false))
        return -1;
    faults_note_size(fd);
    return __real_ftruncate(fd, size);
}

int __wrap_fallocate(int fd, int mode, off_t at, off_t n)
{
    if (faults_hit(false)) {
        faults.was_reserve = true;
        return -1;
    }
    faults_note_size(fd);
    return __real_fallocate(fd, mode, at, n);
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (flags != RENAME_EXCHANGE)
        return faults_hit(false) ? -1 : __real_renameat2(from_dir, from, to_dir, to, flags);
    faults_trace('x');
    errno = EINVAL;
    if (faults.no_exchange || faults_hit(false))
        return -1;
    faults.exchange.dir_fd = from_dir;
    snprintf(faults.exchange.one, RIG_PATH_SIZE, "%s", from);
    snprintf(faults.exchange.other, RIG_PATH_SIZE, "%s", to);
    faults.exchanged = true;
    return __real_renameat2(from_dir, from, to_dir, to, flags);
}

static void faults_arm(enum fault fault, unsigned at, uint64_t seed)
{
    faults.fault = fault;
    faults.at = at;
    faults.calls = 0;
    faults.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 88172645463325252U;
    faults.unsynced_count = 0;
    faults.size_count = 0;
    faults.exchanged = false;
}

static void faults_disarm(void)
{
    faults.fault = FAULT_NONE;
}

/* Where a test plays: the file under test, and the base every try starts from. */
struct stage {
    char dir[64];
    char file[RIG_PATH_SIZE];
    char base[RIG_PATH_SIZE];
};

static void stage_init(struct stage *s, const char *name)
{
    rig_dir_make(s->dir);
    snprintf(s->file, sizeof(s->file), "%s/%s", s->dir, name);
    snprintf(s->base, sizeof(s->base), "%s/base", s->dir);
}

static void copy(const char *from, const char *to)
{
    size_t n;
    uint8_t *bytes = rig_file(from, &n);

    rig_file_write(to, bytes, n);
    free(bytes);
}

/* In a child: says what was expected and leaves. */
#define expect_that(what)                                                      \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

#define expect_ok(got, e)                                                                       \
    do {                                                                                        \
        if ((got) != OK) {                                                                      \
            fprintf(stderr, "%s:%d: %s: %s (%lld)\n", __FILE__, __LINE__, (e)->where, (e)->why, \
                    (long long)(e)->detail);                                                    \
            _exit(1);                                                                           \
        }                                                                                       \
    } while (0)

enum { CHILD_KILLED = -1, CHILD_DONE = 0, CHILD_WRONG = 1, CHILD_FAILED = 2 };

/* The exit code of a child, or CHILD_KILLED if it was. */
static int child_wait(pid_t pid)
{
    int result;

    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &result, 0), pid);
    if (WIFSIGNALED(result))
        return WTERMSIG(result) == SIGKILL ? CHILD_KILLED : CHILD_WRONG;
    return WEXITSTATUS(result);
}

#endif
