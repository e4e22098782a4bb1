/*
 * What leases needed and will need again: for keys that were leased lately the cell, found live and
 * in an engagement that has not ended, and what opens the value; for logs what makes their records'
 * MACs, and the other MACs of every batch. It is all derived from what the keyring holds at this
 * edition and is forgotten, wiped, with the first change of it, before the keeper waits for the
 * next message: what was destroyed in the keyring is not kept here. Less than what an unlocked
 * keeper can derive from its keys anyway.
 */
#ifndef KEEPER_OPENED_H
#define KEEPER_OPENED_H

#include "keyring/keyring.h"
#include "keys.h"

#define OPENED_KEYS 1024 /* a power of two, as the next */
#define OPENED_LOGS 1024
#define OPENED_WAYS 4 /* places that an entry may have */

struct keeper;

struct opened_key {
    struct id tenant;
    struct id key;
    uint32_t version; /* 0: nothing is kept here */
    struct cell cell;
    /* What opens the value of this provider that begins so; NULL: not asked for yet. */
    struct secret *value_key;
    uint16_t provider;
    uint8_t prefix[SEAL_PREFIX];
};

struct opened_log {
    struct id log;
    struct secret *mac_key; /* NULL: nothing is kept here */
};

/* MACs under system keys that every batch makes. */
enum opened_mac { OPENED_LEASE, OPENED_HEAD, OPENED_TERM, OPENED_MACS };

struct opened {
    uint64_t edition;
    struct secret *macs[OPENED_MACS]; /* begun; NULL: not yet */
    struct opened_key *keys;          /* NULL: none yet */
    struct opened_log *logs;
};

/* What is kept of a key, NULL if there is nothing. Lives until the next call here. */
struct opened_key *opened_find(struct keeper *k, const struct id *tenant, const struct id *key,
                               uint32_t version);
/* Keeps that a key was found to be leasable; NULL without memory. */
struct opened_key *opened_keep(struct keeper *k, const struct id *tenant, const struct cell *cell);
/* What opens this value, if it is kept; borrowed. */
const struct secret *opened_value_key(const struct opened_key *o, uint16_t provider,
                                      struct span sealed);
/* Keeps it; takes it over. */
void opened_keep_value_key(struct opened_key *o, uint16_t provider, struct span sealed,
                           struct secret *value_key);
/* What makes the MACs of a log's records, derived unless it is kept. Borrowed until the next call
 * here, as that of opened_mac, which crypto_mac_end takes. */
MUST_CHECK status opened_log_mac(struct keeper *k, const struct id *log,
                                 const struct secret **ret_mac, struct err *e);
MUST_CHECK status opened_mac(struct keeper *k, enum opened_mac which, const struct secret **ret_mac,
                             struct err *e);
/* Forgets everything if the keyring has changed since; to be called before the keeper waits. */
void opened_settle(struct keeper *k);
void opened_forget(struct keeper *k);

#endif
