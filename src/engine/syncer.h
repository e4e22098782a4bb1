/*
 * A thread that waits for the disk, so that the engine's need not: one sync at a time.
 */
#ifndef ENGINE_SYNCER_H
#define ENGINE_SYNCER_H

#include "store/store.h"

struct syncer;

/* NO_MEMORY, IO: no thread. */
MUST_CHECK status syncer_new(struct syncer **ret_syncer, struct err *e);
void syncer_free(struct syncer *s); /* waits for what it does; NULL is fine */

/* Begins a store_sync. The store stays open until syncer_wait. */
void syncer_begin(struct syncer *s, struct store *store);
/* Whether it is over, without waiting. */
bool syncer_over(struct syncer *s);
/* Waits for it, and fails as it did. */
MUST_CHECK status syncer_wait(struct syncer *s, struct err *e);

#endif
