/* What the keeper does beside answering: it keeps the time, destroys what is due, and writes down
 * what happened while no audit key was at hand. */
#ifndef KEEPER_DEEDS_H
#define KEEPER_DEEDS_H

#include "internal.h"

/* time.c */
void keeper_time_start(struct keeper *k);
/* max(clock, last recorded), and never slower than the monotonic clock. Notices jumps. */
uint64_t keeper_now(struct keeper *k);
uint64_t keeper_monotonic(const struct keeper *k);
void keeper_time_raise(struct keeper *k, uint64_t recorded_us);
void keeper_time_confirm(struct keeper *k);
/* Writes the time down so that a restart does not go back before it; note at most once a minute. */
void keeper_time_write(struct keeper *k);
void keeper_time_note(struct keeper *k);

/* purge.c */
void keeper_due_refresh(struct keeper *k);
/* Purges are never put off: next to them, a full journal is the smaller evil. */
void keeper_purge(struct keeper *k);

/* journal.c */
/* Appends entries with the current time, durable when it returns. A full journal is logged and
 * otherwise passed over; any other failure ends the process. */
void keeper_journal(struct keeper *k, struct journal_entry *entries, size_t count);
/* Unlock attempts that failed: not so many of them that a purge would find the journal full. */
void keeper_journal_failure(struct keeper *k, const struct id *slot, enum outcome outcome);
/* What destructions the journal tells of, for look-up. */
struct told;
MUST_CHECK status keeper_told_new(const struct keeper *k, struct told **ret_told, struct err *e);
void told_cleanup(struct told **t);
bool keeper_told(const struct told *t, uint8_t was, const struct id *id, uint32_t version);
/* Reports every tombstone that no journal entry explains, and scars not yet reported. */
MUST_CHECK status keeper_check_tombstones(struct keeper *k, struct err *e);
/* The cell type whose destruction a journal entry of this type reports; CELL_EMPTY if none. */
uint8_t keeper_destroyed_type(const struct journal_entry *entry);

#endif
