/*
 * TLS and HTTP libraries leave copies of what they carried in freed memory. The C library can
 * overwrite that itself (its tunable "perturb"), but only without its per-thread cache and by
 * filling whatever it gives out as well, which cost a third of the time of a lease. So its free is
 * replaced for all libraries of the process: overwritten first, then given back.
 *
 * What the C library frees inside of itself does not pass here.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "sanitized.h"

#ifndef SANITIZED /* sanitizers replace the allocator themselves */

void __libc_free(void *p); /* the C library's own, under the name it keeps for this */

void free(void *p)
{
    int error = errno;

    if (p == NULL)
        return;
    explicit_bzero(p, malloc_usable_size(p));
    __libc_free(p);
    errno = error;
}

void *realloc(void *p, size_t size) /* public */
{
    size_t room = p == NULL ? 0 : malloc_usable_size(p);
    void *q;

    if (p != NULL && size > 0 && size <= room && size >= room / 2)
        return p;
    if (p != NULL && size == 0) {
        free(p);
        return NULL;
    }
    q = malloc(size);
    if (q == NULL || p == NULL)
        return q;
    memcpy(q, p, size < room ? size : room);
    free(p);
    return q;
}

#endif

/* Looks into a block right after it was freed: through a pointer that the compiler knows nothing
 * of, past the words that the C library writes there for its own use. */
#if defined(__clang__) || defined(__GNUC__)
__attribute__((noinline, no_sanitize_address, no_sanitize_thread))
#endif
bool measure_freed_memory_is_overwritten(void)
{
    enum { SIZE = 200, OWN = 32 };
    static const unsigned char pattern = 0x5a;
    unsigned char *p = malloc(SIZE);
    uintptr_t at = (uintptr_t)p;
    bool overwritten = p != NULL;

    if (p == NULL)
        return false;
    memset(p, pattern, SIZE); /* public */
    __asm__ volatile("" : "+r"(at) : "r"(p) : "memory");
    free(p);
    __asm__ volatile("" : "+r"(at) : : "memory");
    for (size_t i = OWN; i < SIZE; i++)
        overwritten &= ((const volatile unsigned char *)at)[i] != pattern;
    return overwritten;
}
