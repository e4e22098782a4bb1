/*
 * The slab and the secrets in it.
 *
 * 1. Secret bytes live only in the slab: one mapping (mapping.c) that is hidden from other
 *    processes or at least locked, absent from core dumps and from forked children, with an
 *    inaccessible page at either end.
 * 2. Whatever is free in the slab is zero. Blocks are wiped whole when they come back, so
 *    a new secret never shows an old one.
 * 3. Bookkeeping lives outside the slab: a write through a dangling pointer can damage
 *    another secret, but not the allocator.
 * 4. Blocks are powers of two and merge with their free neighbours, so a burst of small
 *    secrets does not leave the slab unfit for a large one.
 * 5. While the slab is closed nobody can touch it: whoever tries is killed by a fault.
 *
 * After fork the child has no slab: its copy of the mapping is gone. It may call
 * secret_start for one of its own; secrets inherited from the parent must not be used, and
 * freeing them is a no-op as long as the child has no slab. Tests that fork rely on this.
 */
#include "secret/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mapping.h"

#if defined(__SANITIZE_ADDRESS__)
#define SECRET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SECRET_ASAN 1
#endif
#endif
#ifdef SECRET_ASAN
#include <sanitizer/asan_interface.h>
/* The slab would hide overruns from the sanitizer; marking unused bytes shows them again. */
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

#define UNIT   64 /* smallest block: header and a 32-byte key */
#define ORDERS 26 /* block of order k: UNIT << k bytes; the largest is 2 GiB */
#define NONE   UINT32_MAX

/* Head of a block in the slab; the bytes follow. */
struct secret {
    size_t length;
    size_t cap;
    uint8_t bytes[];
};

/* What the slab's unit of the same index is: meaningful at the first unit of a block. */
struct unit {
    uint32_t next; /* free list of the block's order */
    uint32_t prev;
    uint8_t order;
    enum { INNER = 0, FREE, USED } state;
};

static struct {
    pthread_mutex_t lock;
    uint8_t *base;  /* NULL until secret_start, and again in a forked child */
    uint32_t count; /* units */
    uint32_t reach; /* units from here on were never handed out */
    bool hidden;
    struct unit *units;
    uint32_t free_lists[ORDERS];
    size_t in_use;
} slab = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* A broken invariant of this file: go on and a secret may be handed to two holders. */
static void insist(bool holds)
{
    if (!holds)
        abort();
}

static void slab_lock(void)
{
    insist(pthread_mutex_lock(&slab.lock) == 0);
}

static void slab_unlock(void)
{
    insist(pthread_mutex_unlock(&slab.lock) == 0);
}

/* Runs in the child after fork. The lock is held: the parent took it before the fork, so
 * that the child never inherits bookkeeping that another thread was in the middle of. */
static void slab_forget_in_child(void)
{
    if (slab.base != NULL)
        SHOW(slab.base, (size_t)slab.count * UNIT); /* the addresses may be used again */
    slab.base = NULL;
    slab.count = 0;
    slab.reach = 0;
    slab.in_use = 0;
    slab.hidden = false;
    free(slab.units);
    slab.units = NULL;
    slab_unlock();
}

static size_t order_size(unsigned order)
{
    return (size_t)UNIT << order;
}

/* The lists are doubly linked, because merging takes a block out of the middle of one. */
static void list_push(uint32_t at, unsigned order)
{
    uint32_t head = slab.free_lists[order];

    slab.units[at] =
        (struct unit){ .next = head, .prev = NONE, .order = (uint8_t)order, .state = FREE };
    if (head != NONE)
        slab.units[head].prev = at;
    slab.free_lists[order] = at;
}

static void list_remove(uint32_t at)
{
    struct unit u = slab.units[at];

    if (u.next != NONE)
        slab.units[u.next].prev = u.prev;
    if (u.prev != NONE)
        slab.units[u.prev].next = u.next;
    else
        slab.free_lists[u.order] = u.next;
    slab.units[at].state = INNER;
}

/* Takes a block off the lists, splitting a larger one when needed; NONE when full. */
static uint32_t block_take(unsigned order)
{
    unsigned from = order;
    uint32_t at = NONE;

    /* The smallest block that is large enough leaves the large ones for large secrets. */
    while (from < ORDERS && slab.free_lists[from] == NONE)
        from++;
    if (from == ORDERS)
        return NONE;
    at = slab.free_lists[from];
    list_remove(at);
    /* Halve it, keep the lower half and give the upper one back, until it fits. */
    while (from > order) {
        from--;
        list_push(at + (1U << from), from);
    }
    slab.units[at].order = (uint8_t)order;
    slab.units[at].state = USED;
    slab.in_use += order_size(order);
    if (slab.reach < at + (1U << order))
        slab.reach = at + (1U << order);
    return at;
}

/* Gives a wiped block back, merging it with its other half as long as that is free. */
static void block_give(uint32_t at)
{
    unsigned order = slab.units[at].order;

    slab.in_use -= order_size(order);
    slab.units[at].state = INNER;
    for (; order + 1 < ORDERS; order++) {
        uint32_t buddy = at ^ (1U << order); /* blocks are aligned to their size */

        /* Near the end of a slab that is not a power of two the other half may not exist. */
        if (buddy >= slab.count || slab.units[buddy].state != FREE ||
            slab.units[buddy].order != order)
            break;
        list_remove(buddy);
        at = at < buddy ? at : buddy;
    }
    list_push(at, order);
}

/* Cuts the fresh slab into the largest aligned blocks that fit. */
static void slab_carve(void)
{
    for (size_t i = 0; i < ORDERS; i++)
        slab.free_lists[i] = NONE;
    for (uint32_t at = 0; at < slab.count;) {
        unsigned order = 0;

        while (order + 1 < ORDERS && at % (1U << (order + 1)) == 0 &&
               (1U << (order + 1)) <= slab.count - at)
            order++;
        list_push(at, order);
        at += 1U << order;
    }
}

/* Without the right to lock memory there is a number to tell; otherwise the kernel's reason. */
static status mapping_refused(size_t size, struct err *e)
{
    int cause = errno;
    struct rlimit limit = { 0 };

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < size)
        return fail(e, LIMIT, "RLIMIT_MEMLOCK is too low for the keys: this many bytes are needed",
                    size);
    return fail(e, IO, "the slab cannot be mapped and locked in memory", cause);
}

/* Once per program, not per process: handlers are inherited by forked children. */
static void register_fork_handlers(void)
{
    insist(pthread_atfork(slab_lock, slab_unlock, slab_forget_in_child) == 0);
}

status secret_start(size_t slab_size, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (slab_size + page - 1) / page * page;

    if (slab.base != NULL)
        return fail(e, CONFLICT, "the slab exists already", 0);
    if (slab_size == 0 || slab_size > order_size(ORDERS - 1))
        return fail(e, LIMIT, "slab size is out of range", 0);
    if (sodium_init() < 0)
        return fail(e, BUG, "libsodium does not start", 0);
    if (crypto_aead_aes256gcm_is_available() == 0)
        return fail(e, BUG, "this processor has no hardware AES-256-GCM", 0);
    slab.units = calloc(size / UNIT, sizeof(*slab.units));
    if (slab.units == NULL)
        return fail(e, NO_MEMORY, "no memory for the slab's bookkeeping", 0);
    slab.base = mapping_new(size, &slab.hidden);
    if (slab.base == NULL) {
        status st = mapping_refused(size, e);

        free(slab.units);
        slab.units = NULL;
        return st;
    }
    slab.count = (uint32_t)(size / UNIT);
    slab_carve();
    HIDE(slab.base, size);
    /* A child that starts a slab of its own has the handlers already. */
    insist(pthread_once(&once, register_fork_handlers) == 0);
    return OK;
}

status secret_new(size_t cap, struct secret **ret_secret, struct err *e)
{
    struct secret *s = NULL;
    bool started = false;
    unsigned order = 0;
    uint32_t at = NONE;

    if (cap > order_size(ORDERS - 1) - sizeof(*s))
        return fail(e, LIMIT, "secret is larger than any slab", 0);
    while (order_size(order) < cap + sizeof(*s))
        order++;
    slab_lock();
    started = slab.base != NULL;
    if (started)
        at = block_take(order);
    /* The header is written under the lock, as secret_wipe_all reads it. */
    if (at != NONE) {
        s = (struct secret *)(void *)(slab.base + (size_t)at * UNIT);
        SHOW(s, sizeof(*s) + cap);
        s->length = cap;
        s->cap = cap;
    }
    slab_unlock();
    if (!started)
        return fail(e, BUG, "secret_start was not called in this process", 0);
    if (s == NULL)
        return fail(e, LIMIT, "the slab is full", 0);
    *ret_secret = s;
    return OK;
}

status secret_copy(struct span from, struct secret **ret_secret, struct err *e)
{
    status st = secret_new(from.n, ret_secret, e);

    if (st == OK && from.n > 0)
        memcpy((*ret_secret)->bytes, from.p, from.n);
    return st;
}

status secret_random(size_t cap, struct secret **ret_secret, struct err *e)
{
    status st = secret_new(cap, ret_secret, e);

    if (st == OK)
        randombytes_buf((*ret_secret)->bytes, cap);
    return st;
}

struct span secret_view(const struct secret *s)
{
    return span_of(s->bytes, s->length);
}

struct mspan secret_fill(struct secret *s)
{
    return (struct mspan){ .p = s->bytes, .n = s->cap };
}

status secret_trim(struct secret *s, size_t length, struct err *e)
{
    if (length > s->cap)
        return fail(e, LIMIT, "length is above the secret's capacity", 0);
    s->length = length;
    return OK;
}

/* Lengths are compared openly: they are public, and unequal ones cannot be compared at all. */
bool secret_equal(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0);
}

void secret_wipe(struct mspan m)
{
    if (m.n > 0)
        sodium_memzero(m.p, m.n);
}

/* The index of s, which must be the start of a live block: catches double and wild frees. */
static uint32_t block_of(const struct secret *s)
{
    uintptr_t offset = (uintptr_t)s - (uintptr_t)slab.base;

    insist((uintptr_t)s >= (uintptr_t)slab.base && offset % UNIT == 0);
    insist(offset / UNIT < slab.count && slab.units[offset / UNIT].state == USED);
    return (uint32_t)(offset / UNIT);
}

void secret_free(struct secret *s)
{
    uint32_t at = NONE;
    size_t size = 0;

    if (s == NULL)
        return;
    slab_lock();
    /* In a forked child: the parent's secret, whose memory is not here. */
    if (slab.base == NULL) {
        slab_unlock();
        return;
    }
    at = block_of(s);
    /* The whole block, not the length: a secret may have been longer before it was trimmed. */
    size = order_size(slab.units[at].order);
    SHOW(s, size);
    sodium_memzero(s, size);
    HIDE(s, size);
    block_give(at);
    slab_unlock();
}

void secret_cleanup(struct secret **s)
{
    secret_free(*s);
    *s = NULL;
}

/* Opens or closes the slab, if there is one; the fence at both ends is left as it is. */
static void slab_protect(int protection)
{
    if (slab.base != NULL)
        insist(mprotect(slab.base, (size_t)slab.count * UNIT, protection) == 0);
}

void secret_close(void)
{
    slab_lock();
    slab_protect(PROT_NONE);
    slab_unlock();
}

void secret_open(void)
{
    slab_lock();
    slab_protect(PROT_READ | PROT_WRITE);
    slab_unlock();
}

bool secret_is_hidden(void)
{
    bool hidden = false;

    slab_lock();
    hidden = slab.hidden;
    slab_unlock();
    return hidden;
}

void secret_wipe_all(void)
{
    slab_lock();
    slab_protect(PROT_READ | PROT_WRITE);
    /* Block by block over used and free ones alike: what is free should be zero already, but
     * a late write through a dangling pointer may have changed that. What was never handed out
     * has no pointer, and touching it would only make it take memory. */
    for (uint32_t at = 0; at < slab.reach; at += 1U << slab.units[at].order) {
        uint8_t *block = slab.base + (size_t)at * UNIT;
        size_t size = order_size(slab.units[at].order);
        size_t room = (size_t)(slab.reach - at) * UNIT;
        size_t cap = 0;

        /* Holders keep their pointers: the header stays, with its capacity and no length. */
        if (slab.units[at].state == USED)
            cap = ((const struct secret *)(void *)block)->cap;
        SHOW(block, size);
        sodium_memzero(block, size < room ? size : room);
        if (slab.units[at].state == USED) {
            ((struct secret *)(void *)block)->cap = cap;
            HIDE(block + sizeof(struct secret) + cap, size - sizeof(struct secret) - cap);
        } else {
            HIDE(block, size);
        }
    }
    slab_unlock();
}

size_t secret_in_use(void)
{
    size_t n = 0;

    slab_lock();
    n = slab.in_use;
    slab_unlock();
    return n;
}
