/*
 * The journal beside the keyring: what happened while no audit key was at hand (unlock attempts,
 * purges on time, clock alarms), as fixed-size entries in a hash chain, folded into the vault's
 * log at the next unlock. It also keeps the latest time ever recorded, so that a clock set back
 * cannot postpone a purge. Every append is durable when it returns.
 *
 *   hash = SHA-256(prev | entry bytes before the hash)
 *
 * where the first prev is SHA-256("strongroom/v1/journal").
 */
#ifndef KEYRING_JOURNAL_H
#define KEYRING_JOURNAL_H

#include "base/bytes.h"
#include "base/status.h"

struct journal_entry {
    uint64_t seq; /* from 0, over the life of the file */
    uint64_t time_us;
    uint16_t type; /* enum record_type that it becomes */
    uint8_t outcome;
    uint8_t reason;    /* enum destroy_reason, or 0 */
    struct id subject; /* slot, key or engagement */
    struct id tenant;  /* zero: vault */
    struct id engagement;
    uint32_t version;
    uint64_t number; /* count, seconds of a jump */
};

struct journal;

/* Opens or creates dir/journal. A torn last entry is cut off; a broken chain is CORRUPT. */
MUST_CHECK status journal_open(const char *dir, struct journal **ret_journal, struct err *e);
void journal_close(struct journal *j);
void journal_cleanup(struct journal **j);

/* Appends count entries with one sync and fills in their seq; LIMIT when 65,536 entries would
 * wait for an unlock. */
MUST_CHECK status journal_append(struct journal *j, struct journal_entry *entries, size_t count,
                                 struct err *e);
/* Oldest first; *cursor = 0 to start. */
bool journal_next(const struct journal *j, size_t *cursor, struct journal_entry *ret_entry);
size_t journal_count(const struct journal *j);
/* Drops the first count entries (they are folded and durable elsewhere). The chain continues. */
MUST_CHECK status journal_drop(struct journal *j, size_t count, struct err *e);

/* The latest time recorded; durable when note returns. Never goes back. */
uint64_t journal_time(const struct journal *j);
MUST_CHECK status journal_note_time(struct journal *j, uint64_t time_us, struct err *e);

/* Whether a jump of the clock waits for an operator: kept here, because neither a restart nor
 * folding the journal confirms anything. Durable when hold returns. */
bool journal_held(const struct journal *j);
MUST_CHECK status journal_hold(struct journal *j, bool held, struct err *e);

#endif
