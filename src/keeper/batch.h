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

/* What happens to slots, and to approvals, once the batch holds. */
struct slot_change {
    struct slot put[CARDS_MAX]; /* new, or the next generation */
    size_t put_count;
    struct id gone[SLOTS_ROOM];
    size_t gone_count;
    uint8_t operation[32];
    uint8_t approved_x; /* the operation has one approval more: of this share's holder */
    bool consumes;      /* the operation is carried out */
};

struct batch {
    uint64_t time_us;
    bool confirm;   /* accept the clock once the batch holds */
    bool destroyed; /* a data key died: anchor, so that its old cell cannot come back */
    bool system;    /* system keys changed: open them again */
    bool round;     /* a round has its record */
    bool accepts;   /* a rollback: what is there is believed from now on */
    struct slot_change change;
    size_t folded;
    uint64_t due_us; /* earliest purge date that the batch sets, 0 if none */
    bool held;       /* it takes one away */

    /* The entry being worked on. */
    const struct wire_entry *entry;
    struct wire_result result;
    struct made made[FOLD_MAX];
    size_t made_count;
    struct secret *plain; /* behind result.data of KEY_OPEN, unless that is sealed */
    bool staged;          /* a failure now spoils the whole batch */
    char hint[8];
    uint8_t sealed[LIMIT_SEALED_KEY];

    struct id lease_ids[LIMIT_BATCH_ENTRIES]; /* for leases to come */
    size_t lease_ids_left;

    size_t entry_count;
    struct wire_entry entries[LIMIT_BATCH_ENTRIES];
    uint8_t line[LIMIT_RECORD];
};

/* Carries out b->entry: stages its changes, fills result and made. */
MUST_CHECK status entry_perform(struct keeper *k, struct batch *b, struct err *e);
/* Fills made with the record of a failed entry. */
void entry_failed(struct keeper *k, struct batch *b, const struct err *why);
struct made *entry_make(struct batch *b, const struct id *log, uint16_t type);
/* entry.c, for all kinds */
MUST_CHECK status entry_tenant(const struct keeper *k, const struct wire_entry *m, struct err *e);
/* In an engagement of the tenant that has not ended. */
MUST_CHECK status entry_active(const struct keeper *k, const struct id *tenant,
                               const struct id *engagement, struct err *e);
/* The data key's cell, if it is the tenant's. */
MUST_CHECK status entry_key(const struct keeper *k, const struct wire_entry *m,
                            struct cell *ret_cell, struct err *e);
/* The tenant key of an epoch, or with *epoch 0 the newest; *epoch says which. */
MUST_CHECK status entry_tenant_key(const struct keeper *k, const struct id *tenant, uint32_t *epoch,
                                   struct secret **ret_key, struct err *e);
struct key_name entry_key_name(const struct wire_entry *m);
void entry_put_key(struct made *made, const struct wire_entry *m);
/* lease.c */
MUST_CHECK status entry_key_open(struct keeper *k, struct batch *b, struct err *e);
MUST_CHECK status entry_lease_renew(struct keeper *k, struct batch *b, struct err *e);
MUST_CHECK status entry_lease_release(struct keeper *k, struct batch *b, struct err *e);
void lease_ids_end(struct batch *b); /* forgets the ids that were not given out */
MUST_CHECK status entry_fold(struct keeper *k, struct batch *b, struct err *e); /* fold.c */
/* delivery.c */
bool delivery_asked(const struct wire_entry *m); /* rather than the value in clear */
/* Seals and signs b->plain, wipes it and makes that the result. BAD_INPUT for a degenerate key. */
MUST_CHECK status delivery_seal(struct keeper *k, struct batch *b, const struct id *lease,
                                struct err *e);
/* approval.c */
/* A purge will be due. */
static inline void batch_due(struct batch *b, uint64_t due_us)
{
    if (b->due_us == 0 || due_us < b->due_us)
        b->due_us = due_us;
}
/* One approval or operation a batch: only its end changes slots and approvals, and what came after
 * it would be judged by what was before. */
static inline bool change_begun(const struct slot_change *c)
{
    return c->approved_x != 0 || c->consumes;
}
MUST_CHECK status entry_approve(struct keeper *k, struct batch *b, struct err *e);
void approvals_note(struct keeper *k, const uint8_t operation[static 32], uint8_t x);
/* rollback.c */
bool rollback_allows(const struct wire_entry *m); /* in a vault that was rolled back */
MUST_CHECK status rollback_accept(struct keeper *k, struct batch *b, struct err *e);
MUST_CHECK status entry_rollback_told(struct keeper *k, struct batch *b, struct err *e);
/* operation.c */
MUST_CHECK status entry_operation(struct keeper *k, struct batch *b, struct err *e);
MUST_CHECK status entry_database_rekeyed(struct keeper *k, struct batch *b, struct err *e);
/* Stages a cell; a keyring that cannot be written ends the process. */
MUST_CHECK status entry_stage(struct keeper *k, struct batch *b, const struct cell *cell,
                              struct err *e);
/* An engagement of the tenant, ended or not. */
MUST_CHECK status entry_engagement(const struct keeper *k, const struct id *tenant,
                                   const struct id *engagement, struct cell *ret_cell,
                                   struct err *e);
/* drop.c */
MUST_CHECK status entry_records_drop(struct keeper *k, struct batch *b, struct err *e);
void entry_put_enrolled(struct batch *b, const struct slot *slot); /* the record of a new slot */
/* "revoked"; NULL for an unknown code. */
const char *destroy_reason_name(uint8_t reason);

#endif
