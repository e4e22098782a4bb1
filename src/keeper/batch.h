/* One batch at work: shared by batch.c, entry.c and fold.c. */
#ifndef KEEPER_BATCH_H
#define KEEPER_BATCH_H

#include "internal.h"
#include "ledger/record.h"

#define FOLD_MAX 32 /* journal entries that one entry folds */

/* A record to come. */
struct made {
    struct id log;
    uint16_t type;
    uint8_t outcome;
    struct fields fields; /* the keeper's */
};

struct batch {
    uint64_t time_us;
    bool confirm;   /* accept the clock once the batch holds */
    bool destroyed; /* a data key died: anchor, so that its old cell cannot come back */
    size_t folded;
    uint64_t due_us; /* earliest purge date that the batch sets, 0 if none */

    /* The entry being worked on. */
    const struct wire_entry *entry;
    struct wire_result result;
    struct made made[FOLD_MAX];
    size_t made_count;
    struct secret *plain; /* behind result.data of KEY_OPEN */
    bool staged;          /* a failure now spoils the whole batch */
    char hint[8];
    uint8_t sealed[LIMIT_SEALED_KEY];

    size_t entry_count;
    struct wire_entry entries[LIMIT_BATCH_ENTRIES];
    uint8_t line[LIMIT_RECORD];
};

/* Carries out b->entry: stages its changes, fills result and made. */
MUST_CHECK status entry_perform(struct keeper *k, struct batch *b, struct err *e);
/* Fills made with the record of a failed entry. */
void entry_failed(struct keeper *k, struct batch *b, const struct err *why);
struct made *entry_make(struct batch *b, const struct id *log, uint16_t type);
MUST_CHECK status entry_fold(struct keeper *k, struct batch *b, struct err *e); /* fold.c */
/* "revoked"; NULL for an unknown code. */
const char *destroy_reason_name(uint8_t reason);

#endif
