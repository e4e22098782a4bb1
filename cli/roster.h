/*
 * Who could approve at a time, and how many had to: read from the records of the vault's own log.
 *
 * Times are compared, not positions, so that a tenant's log can be held against it too: the keeper
 * dates both by one clock. Where two records share their microsecond the milder reading counts.
 */
#ifndef CLI_ROSTER_H
#define CLI_ROSTER_H

#include <jansson.h>

#include "ledger/record.h"
#include "wire/operation.h"

struct roster {
    json_t *slots;       /* slot id -> {"operator", "public_key", "from", "until"} */
    json_t *steps;       /* [{"time", "quorum", "operators"}]: what held from that time on */
    uint64_t quorum;     /* the least that may be in force */
    uint64_t wanted;     /* what it will be after the next rotation of the root */
    char wanted_at[32];  /* when that was said */
    uint64_t birth_next; /* where the next key of those that came with the vault would be */
};

void roster_clear(struct roster *r);

/* A record of the vault's log. NULL, or what is wrong with it:
 *   malformed record of operators, slot is enrolled twice, no such keys to remove */
const char *roster_take(struct roster *r, const struct record_head *head, const json_t *record);

/* Whether this is a record of one of the first keys, which nobody could approve. */
bool roster_birth(const struct roster *r, const struct record_head *head);

/* The slot as it was enrolled, if it was at that time; else NULL. */
const json_t *roster_slot(const struct roster *r, const char *slot, const char *time);
/* Whether a hardware key was ever enrolled as this slot. */
bool roster_knows(const struct roster *r, const char *slot);

/* The fewest approvals that the keeper can have asked for then; 0 if that is not known. */
uint8_t roster_least(const struct roster *r, uint8_t code, const char *time);

#endif
