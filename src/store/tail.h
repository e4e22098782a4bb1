/*
 * The tail: a file beside the database that makes a transaction durable which only appended to
 * logs, without the many pages that it touches. They are brought up to date behind it (applier.h),
 * in one transaction of SQLite's that takes the next ones along, until something else is committed
 * or enough has been carried.
 *
 *   file  = half | half
 *   half  = frames, all for one generation, from its beginning
 *   frame = length u32 | sealed(steps), sealed with the tail's key, for a generation and an index
 *
 * The generation is a fact in the database. It is another one after each commit of SQLite's, in the
 * very transaction, so frames are either ahead of this state of the database or void, never half of
 * it: they do not make a database that was put back look like one of today. A half that is full
 * ends with a step that names the next generation: that one's frames are in the other half, while
 * those of this one are committed. Opening the database does the steps of those that are ahead; the
 * first frame that does not open ends them: it was never answered.
 */
#ifndef STORE_TAIL_H
#define STORE_TAIL_H

#include "statement.h"
#include "store/store.h"

struct tail;

/* Does what is ahead of the database, commits it, and overwrites the file. */
MUST_CHECK status tail_open(struct store *s, const char *path, const struct secret *key,
                            struct err *e);
void tail_close(struct store *s);

/* A transaction begins; a statement that changes something is about to run. */
void tail_begin(struct store *s);
void tail_changes(struct store *s, enum statement which);
/* Whether a step with these bytes is only noted for now: in a transaction that has not asked the
 * database anything yet. */
bool tail_defers(const struct store *s, struct span bytes);
bool tail_is_carried(const char *fact);
bool tail_has_noted(const struct store *s);
/* Does what this transaction noted; what is in a frame. */
MUST_CHECK status tail_do_noted(struct store *s, struct err *e);
MUST_CHECK status tail_do(struct store *s, struct span steps, struct err *e);
/* Steps, as they were done or are to be done. */
void tail_record(struct store *s, const struct store_record *r);
void tail_head(struct store *s, const struct id *log, uint64_t size, struct span head);
void tail_node(struct store *s, const struct id *log, unsigned level, uint64_t number,
               const uint8_t hash[static 32]);
void tail_fact(struct store *s, const char *name, struct span value);

/* The connection is this thread's: all that was carried is done. IO: final. */
MUST_CHECK status tail_wait(struct store *s, struct err *e);
/* Whether something was carried since the last commit of SQLite's, or the last turn of the file. */
bool tail_carries(const struct store *s);
/* Writes the steps of this transaction. *ret_carried false: it has others, or too many. */
MUST_CHECK status tail_carry(struct store *s, bool *ret_carried, struct err *e);
MUST_CHECK status tail_sync(struct store *s, struct err *e); /* what was written is durable then */
/* Before a commit of SQLite's, in its transaction; after it. */
MUST_CHECK status tail_settle(struct store *s, struct err *e);
void tail_settled(struct store *s);
MUST_CHECK status tail_set_generation(struct store *s, struct span generation, struct err *e);
/* After SQLite's transaction was rolled back: does again, in a new one, what was carried. */
MUST_CHECK status tail_again(struct store *s, struct err *e);

#endif
