/*
 * memfd_secret where the kernel has it, locked memory where it has not. The former is taken out of
 * the kernel's own map of all memory, so that neither /proc/PID/mem nor process_vm_readv reach it;
 * it also keeps the machine from hibernating, which would write memory to a disk.
 */
#include "mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447 /* the same on all architectures; newer than some headers */
#endif

/* Puts hidden memory in the place of the reserved one. Locking it is the kernel's own doing. */
static bool map_hidden(uint8_t *base, size_t size)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    bool mapped = false;

    if (fd < 0)
        return false;
    if (ftruncate(fd, (off_t)size) == 0)
        mapped = mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == base;
    close(fd); /* the mapping keeps it */
    return mapped;
}

/* Pages are locked as they are first used: what was never used costs nothing, neither memory nor
 * time when the slab is closed and opened. The system call itself, as sanitizers replace the
 * library's mlock by nothing, and tests would not see a slab unlocked. */
static bool map_locked(uint8_t *base, size_t size)
{
    return mmap(base, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                0) == base &&
           syscall(SYS_mlock2, base, size, MLOCK_ONFAULT) == 0;
}

/* A huge page would be copied together by the kernel, a merged one shared with other processes.
 * A kernel that does neither does not know the words. */
static bool keep_apart(uint8_t *base, size_t size)
{
    return (madvise(base, size, MADV_NOHUGEPAGE) == 0 || errno == EINVAL) &&
           (madvise(base, size, MADV_UNMERGEABLE) == 0 || errno == EINVAL);
}

uint8_t *mapping_new(size_t size, bool *ret_hidden)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *base = NULL;
    int cause = 0;

    if (map == MAP_FAILED)
        return NULL;
    base = map + page; /* the first and last page stay as they are: the fence */
    *ret_hidden = map_hidden(base, size);
    if ((*ret_hidden || map_locked(base, size)) && keep_apart(base, size) &&
        madvise(base, size, MADV_DONTDUMP) == 0 && madvise(base, size, MADV_DONTFORK) == 0)
        return base;
    cause = errno;
    munmap(map, size + 2 * page);
    errno = cause;
    return NULL;
}
