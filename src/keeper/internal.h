/*
 * What the files of the keeper share. One struct keeper a process, one thread, one message at a
 * time: nothing here locks.
 */
#ifndef KEEPER_INTERNAL_H
#define KEEPER_INTERNAL_H

#include "crypto/crypto.h"
#include "keeper/keeper.h"
#include "keyring/journal.h"
#include "keyring/keyring.h"
#include "ledger/record.h"
#include "ledger/tree.h"
#include "wire/message.h"

#define EXIT_FATAL 70

/* --- keys.c: every derivation, every sealing context ---------------------------------------- */

/* Stored as the last byte of a system cell's id; never reused. */
enum system_key {
    SYSTEM_DATABASE = 1,
    SYSTEM_LEDGER = 2, /* Ed25519 seed that signs checkpoints */
    SYSTEM_INTAKE = 3, /* X25519: clients seal provider keys to it */
    SYSTEM_CA = 4,     /* private scalar, made by the server at init */
    SYSTEM_AUDIT = 5,  /* root of the record MAC keys */
    SYSTEM_COUNT = 6   /* 0 is not used */
};

/* What an unlocked keeper knows. The root key itself is gone once these are derived. */
struct keys {
    struct id vault;
    char region[LIMIT_REGION + 1];
    uint32_t epoch;
    struct secret *tenant_root;
    struct secret *seed_wrap;
    struct secret *system_wrap;
    struct secret *keyring_mac;
    struct secret *lease_mac;
    struct secret *head_mac;
    struct secret *system[SYSTEM_COUNT];
};

/* Which value: everything that its seal is bound to. */
struct key_name {
    struct id tenant;
    struct id key;
    uint32_t version;
    uint16_t provider;
};

MUST_CHECK status keys_root_check(const struct keyring_info *info, const struct secret *root,
                                  uint8_t out[static 32], struct err *e);
MUST_CHECK status keys_derive(const struct keyring_info *info, const struct secret *root,
                              struct keys *keys, struct err *e);
void keys_clear(struct keys *keys);

MUST_CHECK status keys_seal_system(const struct keys *keys, enum system_key purpose,
                                   struct cell *ret_cell, struct err *e);
MUST_CHECK status keys_open_system(struct keys *keys, const struct keyring *ring, struct err *e);

MUST_CHECK status keys_new_seed(const struct keys *keys, const struct id *tenant,
                                struct cell *ret_cell, struct err *e);
/* CORRUPT if the seed does not belong to this vault and tenant. */
MUST_CHECK status keys_tenant(const struct keys *keys, const struct cell *seed,
                              struct secret **ret_tenant_key, struct err *e);
MUST_CHECK status keys_seal_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct secret *data_key,
                                     uint8_t ret_sealed[static SEALED_KEY_SIZE], struct err *e);
MUST_CHECK status keys_open_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct cell *cell,
                                     struct secret **ret_data_key, struct err *e);
/* Pads, then seals. ret_sealed has room for LIMIT_SEALED_KEY bytes. */
MUST_CHECK status keys_seal_value(const struct keys *keys, const struct secret *data_key,
                                  const struct key_name *name, struct span value,
                                  uint8_t *ret_sealed, size_t *ret_n, struct err *e);
MUST_CHECK status keys_open_value(const struct keys *keys, const struct secret *data_key,
                                  const struct key_name *name, struct span sealed,
                                  struct secret **ret_value, struct err *e);

/* What a lease token proves. The expiry is left out: a renewed lease keeps its token. */
struct lease_name {
    struct id tenant;
    struct id lease;
    struct id gateway;
    struct id key;
    uint32_t version;
    struct span certificate;
};
#define LEASE_MAC_SIZE 16
MUST_CHECK status keys_lease_mac(const struct keys *keys, const struct lease_name *name,
                                 uint8_t out[static LEASE_MAC_SIZE], struct err *e);

/* --- slot.c: the ways in --------------------------------------------------------------------- */

/* Fills key pair, seals and share; the caller has filled the descriptive fields and the salts. */
MUST_CHECK status slot_make(const struct id *vault, struct span secret32, uint8_t x,
                            const struct secret *root, struct slot *slot, struct err *e);
/* The root key from the slot's share. DENIED if the secret is not the slot's. */
MUST_CHECK status slot_open(const struct id *vault, const struct slot *slot, struct span secret32,
                            struct secret **ret_root, struct err *e);

/* --- heads.c: the current tree of every log -------------------------------------------------- */

struct log_head {
    struct log_head *next;
    struct log_head *next_touched;
    struct ledger_tree *before; /* as it was when the batch began; NULL: made by the batch */
    bool touched;
    struct ledger_tree tree;
};

struct heads {
    struct log_head **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint64_t seed;
    struct log_head *touched; /* newest first */
};

MUST_CHECK status heads_init(struct heads *h, struct err *e);
void heads_clear(struct heads *h); /* forgets all trees */
void heads_free(struct heads *h);
struct log_head *heads_find(const struct heads *h, const struct id *log);
/* CONFLICT if the log is there. Added within a batch it counts as touched. */
enum heads_mode { HEADS_LOADED, HEADS_IN_BATCH };
MUST_CHECK status heads_add(struct heads *h, const struct ledger_tree *tree, enum heads_mode mode,
                            struct err *e);
/* Remembers the tree before its first change in a batch. */
MUST_CHECK status heads_touch(struct heads *h, struct log_head *head, struct err *e);
void heads_settle(struct heads *h); /* the batch holds */
void heads_undo(struct heads *h);   /* it never was */

/* --- the keeper ------------------------------------------------------------------------------ */

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
struct pending {
    bool exists;
    uint64_t number;
    uint8_t *body; /* of a BATCH reply */
    size_t length;
    size_t folded; /* journal entries to drop with the acknowledgement */
    uint64_t vault_size;
};

struct keeper {
    struct keeper_settings settings;
    char *dir;
    enum keeper_state state;
    const char *broken; /* literal */
    struct keyring *ring;
    struct journal *journal;
    struct keys keys;
    struct session sessions[2]; /* init, unlock */
    struct keeper_clock clock;
    struct heads heads;
    bool heads_loaded;
    struct pending pending;
    uint64_t batch_number; /* of the last batch */
    uint64_t vault_durable; /* size of the vault's log that the server has acknowledged */
    uint64_t next_due_us;
    struct batch *batch; /* workspace */
};

/* Wipes and ends the process: the state on disk is not known any more, or a rule was broken. */
__attribute__((noreturn)) void keeper_fatal(const struct err *e);
/* The same for anything but OK. */
void keeper_insist(status st, const struct err *e);

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
/* Reports every tombstone that no journal entry explains. */
MUST_CHECK status keeper_check_tombstones(struct keeper *k, struct err *e);
/* The cell type whose destruction a journal entry of this type reports; CELL_EMPTY if none. */
uint8_t keeper_destroyed_type(const struct journal_entry *entry);

/* unlock.c */
void keeper_lock(struct keeper *k);
/* Moves the live session out of the keeper: whatever comes of it, it cannot be used again. */
MUST_CHECK status session_take(struct keeper *k, enum session_purpose purpose, const struct id *id,
                               const struct id *slot, struct session *ret_session, struct err *e);
void session_clear(struct session *s);
/* The count secrets of 32 bytes that were sealed to the session's key. DENIED if it is not for
 * this session. */
MUST_CHECK status session_open(const struct session *s, struct span sealed, size_t count,
                               struct secret **ret_secrets, struct err *e);

/* Operations: read the body, write the reply, or fail without having changed anything. */
typedef status keeper_operation(struct keeper *k, struct in *body, struct out *reply,
                                struct err *e);
keeper_operation keeper_hello, keeper_slots, keeper_system_keys, keeper_load_heads, keeper_cells,
    keeper_check_macs, keeper_checkpoint;                      /* report.c */
keeper_operation keeper_session, keeper_unlock, keeper_unlock_failed, keeper_lock_now; /* unlock.c */
keeper_operation keeper_init;                                  /* init.c */
keeper_operation keeper_batch, keeper_recover;                 /* batch.c */

/* CONFLICT unless the loaded heads are those after the unacknowledged batch, if there is one. */
MUST_CHECK status keeper_pending_check(const struct keeper *k, struct err *e);

/* --- batch.c and entry.c --------------------------------------------------------------------- */

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
    bool confirm; /* accept the clock once the batch holds */
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
