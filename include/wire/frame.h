/*
 * What server and keeper say to each other: one request, one reply, each a single message on a
 * SOCK_SEQPACKET socketpair, at most LIMIT_FRAME bytes, integers big-endian.
 *
 *   frame = u32 length of the whole frame | u16 op | u8 status | u8 0 | u64 number | body
 *
 * The reply repeats op and number; a reply with another number belongs to a server that died and
 * is dropped. status is the keeper's; with anything but OK the body is u16-prefixed text, one of
 * the keeper's literal reasons. Spans in decoded messages are views into the frame.
 *
 * Every put function writes with sticky overflow, every get function leaves in.bad set on a short
 * or impossible message; receivers also demand in_end().
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

#define WIRE_HEADER  16
#define WIRE_VERSION 5

enum wire_op {
    WIRE_HELLO = 1,         /* state of the keeper; always answered */
    WIRE_SESSION = 2,       /* begin init or unlock: one-time key, nonce */
    WIRE_SLOTS = 3,         /* public parts of all slots */
    WIRE_INIT = 4,          /* create the keyring; unlocked afterwards */
    WIRE_UNLOCK = 5,        /* open a slot */
    WIRE_UNLOCK_FAILED = 6, /* the server refused the assertion: journal it, end the session */
    WIRE_LOCK = 7,          /* wipe at once */
    WIRE_SYSTEM_KEYS = 8,   /* what the server needs while unlocked */
    WIRE_HEADS = 9,         /* load log heads after an unlock */
    WIRE_BATCH = 10,        /* the work: entries in order, each with its records */
    WIRE_RECOVER = 11,      /* the replies of batches that were not acknowledged again */
    WIRE_CELLS = 12,        /* list of live cells, by page */
    WIRE_CHECK_MACS = 13,   /* verify record MACs */
    WIRE_CHECKPOINT = 14,   /* signed notes over the current trees of logs */
    WIRE_ENROL = 15,        /* make the slot of a new hardware key; an operation may then add it */
    WIRE_ROUND = 16,        /* a slice of the vault tree's next round */
    WIRE_COMMITMENT = 17    /* what the last round says of one log */
};

struct wire_header {
    uint32_t length;
    uint16_t op;
    uint8_t status;
    uint64_t number;
};
void wire_put_header(struct out *o, const struct wire_header *h); /* length patched by finish */
void wire_finish(struct out *o);
void wire_get_header(struct in *i, struct wire_header *h);

/* HELLO: request empty. */
enum keeper_state { KEEPER_EMPTY = 0, KEEPER_LOCKED = 1, KEEPER_UNLOCKED = 2, KEEPER_BROKEN = 3 };
enum rekey_what { REKEY_OF_ROOT = 1, REKEY_OF_TENANT = 2, REKEY_OF_DATABASE = 4 };
struct wire_hello {
    uint16_t version;
    uint8_t state;
    uint8_t heads_loaded;  /* the keeper holds heads: do not send them again */
    uint8_t batch_pending; /* RECOVER has something */
    uint8_t clock_held;    /* the clock jumped: purges wait for a confirmation */
    struct id vault;
    struct span region;
    uint32_t epoch;
    uint64_t changes;          /* of the keyring in this epoch; heads not loaded: when unlocked */
    uint32_t journal_count;    /* entries waiting to be folded */
    uint64_t anchor_size;      /* records in all logs, as the superblock has it */
    uint64_t next_due_us;      /* earliest purge, 0 if none */
    uint64_t time_us;          /* the keeper's time */
    struct span broken_reason; /* literal text when broken */
    uint8_t need;              /* shares that open the vault */
    uint8_t have;              /* shares given so far by an unlock under way */
    uint8_t operators;         /* with a slot of their own */
    uint8_t holders;           /* operators and recovery cards with a share */
    uint8_t cards_used;        /* recovery cards whose code has been used: renew them */
    uint8_t lock_due;          /* unlocked or idle for longer than the settings allow */
    uint8_t rekey;             /* enum rekey_what: rotations asked for and not done */
    uint32_t rekey_done;       /* cells that the one of the root has copied */
    uint32_t rekey_total;      /* 0: it has not begun */
    uint32_t hygiene;          /* enum hygiene_fact bits that hold in the keeper */
    uint8_t rolled_back;       /* database or keyring is an older one: only accepting goes on */
    uint64_t found_records;    /* in all logs, when the heads were loaded */
    uint64_t found_anchored;   /* anchor_size then */
    uint64_t found_size;       /* of the vault's log then */
    uint8_t found_root[32];
};
void wire_put_hello(struct out *o, const struct wire_hello *m);
void wire_get_hello(struct in *i, struct wire_hello *m);

/* SYSTEM_KEYS: request empty; LOCKED unless unlocked. */
struct wire_system_keys {
    struct span database_key;    /* 32, secret */
    struct span database_next;   /* 32, secret: the database is to change to it; or empty */
    struct span ca_key;          /* 32, secret */
    uint8_t intake_public[32];   /* X25519: clients seal provider keys to it */
    uint8_t ledger_public[32];   /* Ed25519: signs checkpoints */
    uint8_t delivery_public[32]; /* Ed25519: signs sealed deliveries of leases */
};
void wire_put_system_keys(struct out *o, const struct wire_system_keys *m);
void wire_get_system_keys(struct in *i, struct wire_system_keys *m);

/* CELLS: request u64 cursor; reply u64 next cursor (0: end), u16 count, cells. */
struct wire_cell {
    uint8_t type; /* enum cell_type */
    struct id id;
    struct id parent;
    struct id engagement;
    uint32_t version;
    uint64_t created_us;
    uint64_t due_us;
};
void wire_put_cell(struct out *o, const struct wire_cell *m);
void wire_get_cell(struct in *i, struct wire_cell *m);

/* CHECK_MACS: request log id, u16 count, count * (span16 line, mac 32). Reply u16 index of the
 * first that does not match, or count. */
/* CHECKPOINT: request u64 ack as in BATCH, u16 count, count * log id; reply count * span16 note.
 * NOT_FOUND for an unknown log, CONFLICT while a batch is not acknowledged. */
#define CHECKPOINTS_AT_ONCE 32
/* ROUND: request u64 ack; reply u8 1 if all logs are in: ENTRY_TREE_COMMITTED makes it the last
 * round, and the next one begins with the next request. */
/* COMMITMENT: request log id; reply u64 round, u32 index, blind 32, COMMITMENT_LEVELS siblings of
 * 32 from the leaf up, span16 note of the log as it was committed to. NOT_FOUND. */

#endif
