/*
 * What the files of the keeper share. One struct keeper a process, one thread, one message at a
 * time: nothing here locks.
 */
#ifndef KEEPER_INTERNAL_H
#define KEEPER_INTERNAL_H

#include "heads.h"
#include "keeper/keeper.h"
#include "keyring/journal.h"
#include "keys.h"
#include "ledger/record.h"
#include "moment.h"
#include "opened.h"
#include "operators.h"
#include "rollback.h"
#include "wire/message.h"

struct session {
    bool live;
    struct wire_session_request request;
    struct wire_session opened;
    uint64_t since_us; /* monotonic */
    struct secret *key;
};

struct keeper_clock {
    uint64_t base_us; /* wall time that was trusted at base_mono_us: start or confirmation */
    uint64_t base_mono_us;
    uint64_t last_us; /* latest time given out */
    uint64_t last_mono_us;
    uint64_t noted_us;
    uint64_t jump_s; /* of a jump not yet in the journal */
    bool held;
};

/* A batch that the server has not acknowledged. Only records and heads: never a result's data. */
#define PENDING 2
struct pending {
    uint64_t number;
    uint8_t *body; /* of a BATCH reply */
    size_t length;
    size_t folded;    /* journal entries to drop with the acknowledgement */
    uint64_t records; /* in all logs, with this batch */
};

struct keeper {
    struct keeper_settings settings;
    char *dir;
    enum keeper_state state;
    const char *broken; /* literal */
    struct keyring *ring;
    struct journal *journal;
    struct keys keys;
    struct opened opened;
    struct session sessions[SESSIONS];
    struct quorum quorum;
    struct candidate candidates[CANDIDATES];
    struct approval approvals[APPROVALS];
    struct rekey *rekey; /* a rotation of the root under way */
    struct tenant_work tenant_work;
    bool rekey_ready;             /* there may be something to rotate */
    uint64_t rekey_not_before_us; /* monotonic: the last try failed */
    uint64_t unlocked_us;         /* monotonic */
    uint64_t active_us;           /* monotonic: of the last batch with an entry */
    uint64_t selftest_us;         /* monotonic: of the last self-test */
    struct keeper_clock clock;
    struct heads heads;
    bool heads_loaded;
    uint64_t heads_found; /* records that were loaded */
    struct found found;
    bool rolled_back;         /* they are old, or the keyring is: until that is accepted */
    struct accepted accepted; /* since the unlock */
    struct moment moment;
    struct round *round_next;        /* under construction, or waiting for its record */
    struct round *round_last;        /* the one that branches are shown of */
    uint64_t found_changes;          /* of the keyring, before the unlock made any */
    struct pending pending[PENDING]; /* the oldest first */
    size_t pending_count;
    uint64_t batch_number;    /* of the last batch */
    uint64_t records_durable; /* in all logs, that the server has acknowledged */
    uint64_t next_due_us;
    uint32_t hygiene;
    size_t scars_told;   /* of the keyring's scars, those that have raised an alarm */
    struct batch *batch; /* workspace */
};

/* Wipes and ends the process: the state on disk is not known any more, or a rule was broken. */
__attribute__((noreturn)) void keeper_fatal(const struct err *e);
/* The same for anything but OK. */
void keeper_insist(status st, const struct err *e);

/* Writes what is alive, and how many records are known to be durable, into the keyring. batch.c */
void keeper_anchor(struct keeper *k);

#include "deeds.h"

/* unlock.c, session.c */
void keeper_lock(struct keeper *k);
void keeper_forget_shares(struct keeper *k);
void keeper_expire_shares(struct keeper *k);
size_t session_secrets(uint8_t slot_kind); /* 32 bytes each, that a client seals */
/* Moves the live session out of the keeper: whatever comes of it, it cannot be used again. */
MUST_CHECK status session_take(struct keeper *k, enum session_purpose purpose, const struct id *id,
                               const struct id *slot, struct session *ret_session, struct err *e);
void session_clear(struct session *s);
/* The count secrets of 32 bytes that were sealed to the session's key. DENIED if it is not for
 * this session. */
MUST_CHECK status session_open(const struct session *s, struct span sealed, size_t count,
                               struct secret **ret_secrets, struct err *e);

/* watch.c: self-test, automatic lock, what is to be forgotten. */
void keeper_watch(struct keeper *k);
bool keeper_lock_due(const struct keeper *k);
const char *keeper_lock_reason(uint64_t code); /* NULL for an unknown code */

/* Operations: read the body, write the reply, or fail without having changed anything. */
typedef status keeper_operation(struct keeper *k, struct in *body, struct out *reply,
                                struct err *e);
/* report.c */
keeper_operation keeper_hello, keeper_slots, keeper_system_keys, keeper_load_heads, keeper_cells,
    keeper_check_macs;
/* checkpoint.c, round.c */
keeper_operation keeper_checkpoint, keeper_round, keeper_commitment;
/* session.c, unlock.c, init.c */
keeper_operation keeper_session, keeper_unlock, keeper_unlock_failed, keeper_lock_now, keeper_init,
    keeper_enrol;
/* batch.c */
keeper_operation keeper_batch, keeper_recover;

/* What the server says that it has stored: of all batches but so many of the newest, else
 * CONFLICT. */
MUST_CHECK status keeper_take_ack(struct keeper *k, uint64_t ack, size_t but, struct err *e);
/* CONFLICT unless the loaded heads are those after the unacknowledged batches, if there are any. */
MUST_CHECK status keeper_pending_check(struct keeper *k, struct err *e);

#endif
