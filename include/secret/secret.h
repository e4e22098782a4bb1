/*
 * struct secret: the one type for every byte we would not print. It lives in a single slab
 * that no other process can read where the kernel has memfd_secret, and that is locked in memory
 * where it has not; left out of core dumps, forked children, huge and merged pages, and fenced by
 * inaccessible pages. Capacity is fixed at birth: nothing grows, so growth leaves nothing
 * behind. Wiping is by capacity, on every path.
 *
 * What this does not cover: registers, stack temporaries of libraries, TLS buffers.
 */
#ifndef SECRET_SECRET_H
#define SECRET_SECRET_H

#include "base/bytes.h"
#include "base/status.h"

struct secret;

/*
 * Maps and locks the slab and initialises libsodium. Once per process, before threads and
 * before the first secret_new. LIMIT if RLIMIT_MEMLOCK is too low (detail = bytes needed; also for
 * a slab_size that is out of range), IO if the kernel refuses otherwise (detail = errno), BUG if
 * libsodium does not start or lacks hardware AES-256-GCM, CONFLICT
 * if it was called before. A forked child has no slab until it calls this itself; secrets of
 * its parent are then out of reach, and freeing them before that call does nothing.
 */
MUST_CHECK status secret_start(size_t slab_size, struct err *e);

/* A zeroed secret of length and capacity cap. LIMIT when the slab is full. Thread-safe. */
MUST_CHECK status secret_new(size_t cap, struct secret **ret_secret, struct err *e);
/* A secret that holds a copy of from; the caller wipes from. */
MUST_CHECK status secret_copy(struct span from, struct secret **ret_secret, struct err *e);
/* cap random bytes. */
MUST_CHECK status secret_random(size_t cap, struct secret **ret_secret, struct err *e);

/* Borrowed views; they die with the secret. view: length bytes; fill: capacity bytes. */
struct span secret_view(const struct secret *s);
struct mspan secret_fill(struct secret *s);
/* Moves the length only; LIMIT above capacity. */
MUST_CHECK status secret_trim(struct secret *s, size_t length, struct err *e);

/* Constant time in the content; lengths are public. */
bool secret_equal(struct span a, struct span b);
/* Wipes plain memory (for buffers a library forces on us). */
void secret_wipe(struct mspan m);

/* Wipes the capacity and gives it back. NULL is fine; anything not live aborts. */
void secret_free(struct secret *s);
void secret_cleanup(struct secret **s);

/* Wipes the whole slab at once, whoever holds what: for lock and for fatal exits. Every
 * live struct secret becomes empty (length 0). */
void secret_wipe_all(void);

/*
 * Between uses: while the slab is closed, no code of this process can read or write any of it, and
 * whoever tries, by any function above or a view, ends the process. For a process of one thread
 * that waits. Neither counts: one open undoes any number of closes. secret_wipe_all opens. The cost
 * is two changes of page tables: they grow with what the slab has ever held at once.
 */
void secret_close(void);
void secret_open(void);

/* The slab of this process is memfd_secret: not even root reads it from outside. */
bool secret_is_hidden(void);

/* Bytes of the slab in use, for status and tests. */
size_t secret_in_use(void);

#endif
