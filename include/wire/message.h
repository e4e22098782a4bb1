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
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

#define WIRE_HEADER  16
#define WIRE_VERSION 1

enum wire_op {
    WIRE_HELLO = 1,       /* state of the keeper; always answered */
    WIRE_SESSION = 2,     /* begin init or unlock: one-time key, nonce */
    WIRE_SLOTS = 3,       /* public parts of all slots */
    WIRE_INIT = 4,        /* create the keyring; unlocked afterwards */
    WIRE_UNLOCK = 5,      /* open a slot */
    WIRE_UNLOCK_FAILED = 6, /* the server refused the assertion: journal it, end the session */
    WIRE_LOCK = 7,        /* wipe at once */
    WIRE_SYSTEM_KEYS = 8, /* what the server needs while unlocked */
    WIRE_HEADS = 9,       /* load log heads after an unlock */
    WIRE_BATCH = 10,      /* the work: entries in order, each with its records */
    WIRE_RECOVER = 11,    /* the last batch reply again, if it was not acknowledged */
    WIRE_CELLS = 12,      /* list of live cells, by page */
    WIRE_CHECK_MACS = 13, /* verify record MACs */
    WIRE_CHECKPOINT = 14  /* signed note over the current tree of a log */
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
struct wire_hello {
    uint16_t version;
    uint8_t state;
    uint8_t heads_loaded;   /* the keeper holds heads: do not send them again */
    uint8_t batch_pending;  /* RECOVER has something */
    uint8_t clock_held;     /* the clock jumped: purges wait for a confirmation */
    struct id vault;
    struct span region;
    uint32_t epoch;
    uint32_t journal_count; /* entries waiting to be folded */
    uint64_t anchor_size;   /* vault log size in the superblock */
    uint64_t next_due_us;   /* earliest purge, 0 if none */
    uint64_t time_us;       /* the keeper's time */
    struct span broken_reason; /* literal text when broken */
};
void wire_put_hello(struct out *o, const struct wire_hello *m);
void wire_get_hello(struct in *i, struct wire_hello *m);

/* SESSION */
enum session_purpose { SESSION_INIT = 1, SESSION_UNLOCK = 2 };
struct wire_session_request {
    uint8_t purpose;
    uint8_t server_certificate[32]; /* SHA-256 of the DER certificate; zeros for init */
    struct id slot;                 /* zero for init */
};
struct wire_session {
    struct id session;
    uint8_t nonce[32];
    uint8_t keeper_key[32]; /* one-time X25519: the client seals its secret to it */
    struct id vault;        /* for init: the id the vault will have */
    uint32_t epoch;
    uint8_t salt[32];       /* hmac-secret salt to use */
    uint8_t salt_next[32];
    uint8_t transcript[32]; /* = wire_transcript over all of the above; the client computes its own */
};
void wire_put_session_request(struct out *o, const struct wire_session_request *m);
void wire_get_session_request(struct in *i, struct wire_session_request *m);
void wire_put_session(struct out *o, const struct wire_session *m);
void wire_get_session(struct in *i, struct wire_session *m);

/*
 * The transcript T that the assertion signs as clientDataHash:
 * SHA-256(LBL("unlock"; u16 purpose, vault, session, nonce, keeper key, server certificate, slot,
 * u32 epoch)). For init the slot and the certificate are zero.
 */
void wire_transcript(const struct wire_session_request *request, const struct wire_session *session,
                     uint8_t out[static 32]);

/* SLOTS: reply u16 count, then slots. */
struct wire_slot {
    struct id id;
    uint8_t kind; /* enum slot_kind of the keyring: 1 FIDO2, 2 recovery card */
    uint8_t user_verification;
    uint32_t generation;
    struct span label;
    struct span credential_id;
    uint8_t cose_public[64];
    uint8_t aaguid[16];
};
void wire_put_slot(struct out *o, const struct wire_slot *m);
void wire_get_slot(struct in *i, struct wire_slot *m);

/* INIT. sealed_secret = box_seal(keeper_key, T | secret 32 | secret for salt_next 32). */
struct wire_init_request {
    struct id session;
    struct span region;
    struct span label; /* operator name */
    struct span credential_id;
    uint8_t cose_public[64];
    uint8_t aaguid[16];
    struct span sealed_secret;
    uint8_t recovery_key[32]; /* X25519 of the client: the recovery card's code is sealed to it */
    struct span ca_key;       /* 32-byte private scalar of the CA, made by the server */
};
struct wire_init {
    struct id vault;
    struct id slot;
    struct span sealed_recovery; /* box_seal(recovery_key, slot id 16 | code 32) */
};
void wire_put_init_request(struct out *o, const struct wire_init_request *m);
void wire_get_init_request(struct in *i, struct wire_init_request *m);
void wire_put_init(struct out *o, const struct wire_init *m);
void wire_get_init(struct in *i, struct wire_init *m);

/* UNLOCK. sealed_secret = box_seal(keeper_key, T | secret 32 | next secret 32), or for a
 * recovery slot T | code 32. */
struct wire_unlock_request {
    struct id session;
    struct id slot;
    struct span sealed_secret;
};
struct wire_unlock {
    uint8_t state; /* enum keeper_state */
    uint8_t have;  /* shares collected */
    uint8_t need;
};
void wire_put_unlock_request(struct out *o, const struct wire_unlock_request *m);
void wire_get_unlock_request(struct in *i, struct wire_unlock_request *m);
void wire_put_unlock(struct out *o, const struct wire_unlock *m);
void wire_get_unlock(struct in *i, struct wire_unlock *m);
/* UNLOCK_FAILED: request is session id and slot id; the reply is empty. */

/* SYSTEM_KEYS: request empty; LOCKED unless unlocked. */
struct wire_system_keys {
    struct span database_key; /* 32, secret */
    struct span ca_key;       /* 32, secret */
    uint8_t intake_public[32];  /* X25519: clients seal provider keys to it */
    uint8_t ledger_public[32];  /* Ed25519: signs checkpoints */
};
void wire_put_system_keys(struct out *o, const struct wire_system_keys *m);
void wire_get_system_keys(struct in *i, struct wire_system_keys *m);

/* HEADS: request u8 last (1: this is the last page), u16 count, count * span16 head (ledger/tree.h).
 * The reply is empty. The vault's log must be among them unless its size is 0. */

/*
 * BATCH. Request: u64 ack (number of the last batch whose records are durable; 0 if none), u16
 * count, entries. Reply: u64 batch number, u16 count of results, results, u16 count of heads, span16
 * heads of the logs touched. The keyring changes of all entries are durable before the reply.
 */
enum entry_kind {
    ENTRY_RECORD = 1,           /* a plain record */
    ENTRY_TENANT_NEW = 2,       /* log of a tenant; tenant.created is its record 0 */
    ENTRY_ENGAGEMENT_START = 3, /* engagement cell; the tenant's seed if it has none */
    ENTRY_ENGAGEMENT_END = 4,   /* due = now + 7 days */
    ENTRY_KEY_PUT = 5,          /* open the delivery, make a data key, seal */
    ENTRY_KEY_OPEN = 6,         /* lease: open a provider key */
    ENTRY_LEASE_RENEW = 7,      /* check the lease token, record */
    ENTRY_LEASE_RELEASE = 8,
    ENTRY_KEY_DESTROY = 9,      /* destroy the data key of one version */
    ENTRY_FOLD = 10,            /* journal entries become records, tombstones are proven */
    ENTRY_CLOCK_CONFIRM = 11,   /* an operator accepts the clock after a jump */
    ENTRY_VAULT_CREATED = 12    /* first record of the vault's log, once, right after INIT */
};

/* One shape for all kinds; unused members are zero. Sent are only those that the kind uses. */
struct wire_entry {
    uint8_t kind;
    struct id log;        /* RECORD, and where the others' records go: tenant, or zero = vault */
    uint16_t type;        /* RECORD: enum record_type */
    uint8_t outcome;      /* RECORD */
    uint8_t reason;       /* KEY_DESTROY: enum destroy_reason */
    struct id tenant;
    struct id engagement;
    struct id key;
    uint32_t version;
    uint16_t provider;    /* provider code, bound into the seal */
    struct id gateway;
    uint8_t certificate[32]; /* SHA-256 of the gateway's SubjectPublicKeyInfo */
    uint64_t expires_us;  /* leases */
    struct id lease;      /* RENEW, RELEASE */
    uint8_t lease_mac[16];
    struct span data;     /* KEY_PUT: delivery sealed to the intake key; KEY_OPEN: sealed value */
    struct span fields;   /* engine-built fragment, see ledger/record.h */
};
void wire_put_entry(struct out *o, const struct wire_entry *m);
void wire_get_entry(struct in *i, struct wire_entry *m);

/* A record as the keeper made it. */
struct wire_record {
    struct id log;
    uint64_t seq;
    uint64_t time_us;
    uint16_t type;
    uint8_t outcome;
    uint8_t mac[32];
    struct span line;
};
void wire_put_record(struct out *o, const struct wire_record *m);
void wire_get_record(struct in *i, struct wire_record *m);

/* What became of one entry. Result: fixed part, u16 count of records, the records.
 * status != OK: the record says operation.failed, and data is empty. */
struct wire_result {
    uint8_t status;
    struct id lease;       /* KEY_OPEN: the new lease */
    uint8_t lease_mac[16]; /* KEY_OPEN: token = lease | mac */
    uint64_t due_us;       /* ENGAGEMENT_END: when the keys die */
    struct span hint;      /* KEY_PUT: redacted hint, printable ASCII */
    struct span data;      /* KEY_PUT: sealed value; KEY_OPEN: the provider key (secret) */
    struct span reason;    /* literal text of a failure */
    uint16_t record_count; /* records follow */
};
void wire_put_result(struct out *o, const struct wire_result *m);
void wire_get_result(struct in *i, struct wire_result *m);

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
/* CHECKPOINT: request log id; reply span16 note. NOT_FOUND for an unknown log. */

#endif
