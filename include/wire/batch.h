/*
 * The work: entries in order, carried out together, with the records that they leave.
 */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "wire/frame.h"
#include "wire/operation.h"

/* HEADS: request u8 last (1: this is the last page; 2: it is, and keyring or heads are known to be
 * old ones: the keeper then holds them as rolled back), u16 count, count * span16 head (see
 * ledger/tree.h), with the last page span16 seal (empty if there never was one). The reply is
 * empty. The vault's log must be among them unless its size is 0. CORRUPT if together they hold
 * fewer records than HELLO's anchor_size, or are not of one moment. CONFLICT while heads are older
 * than a pending batch. */
#define HEADS_SEAL_MAX (4 + 32) /* u32 run | mac, see src/keeper/moment.c */

/*
 * BATCH. Request: u64 ack (number of the last batch whose records are durable; 0 if none), u16
 * count, entries. Reply: u64 batch number, u16 count of results, results, u16 count of heads,
 * span16 heads of the logs touched, span16 seal of all heads (empty if there is no record).
 * The keyring changes of all entries are durable before the reply. A batch of nothing but leases,
 * their renewals and releases, and plain records may leave the batch before it unacknowledged, if
 * it acknowledges the one before that; no other may. CONFLICT otherwise: recover first. RECOVER:
 * request u64 number; the reply of the oldest unacknowledged batch after that number, without data
 * and lease tokens, or one without results.
 */
#define DUE_HELD (UINT64_MAX / 4) /* an engagement's due date while its purge is on hold */

enum entry_kind {
    ENTRY_RECORD = 1,           /* a plain record */
    ENTRY_TENANT_NEW = 2,       /* log of a tenant; tenant.created is its record 0 */
    ENTRY_ENGAGEMENT_START = 3, /* engagement cell; the tenant's seed if it has none */
    ENTRY_ENGAGEMENT_END = 4,   /* due = now + 7 days */
    ENTRY_KEY_PUT = 5,          /* open the delivery, make a data key, seal */
    ENTRY_KEY_OPEN = 6,         /* lease: open a provider key; again, if it names a lease */
    ENTRY_LEASE_RENEW = 7,      /* check the lease token, record */
    ENTRY_LEASE_RELEASE = 8,
    ENTRY_KEY_DESTROY = 9,       /* destroy the data key of one version */
    ENTRY_FOLD = 10,             /* journal entries become records, tombstones are proven */
    ENTRY_CLOCK_CONFIRM = 11,    /* an operator accepts the clock after a jump */
    ENTRY_VAULT_CREATED = 12,    /* first records of the vault's log, once, right after INIT */
    ENTRY_APPROVE = 13,          /* an operator's touch, for one operation; data: sealed secrets */
    ENTRY_OPERATION = 14,        /* carry out an operation that has its approvals */
    ENTRY_DATABASE_REKEYED = 15, /* the database is under its next key: forget the old one */
    ENTRY_TREE_COMMITTED = 16,   /* the round of the vault tree that is complete */
    ENTRY_ROLLBACK_TOLD = 17,    /* a tenant's log says what was accepted since the unlock */
    ENTRY_RECORDS_DROP = 18      /* a statement of what is not kept; data: struct wire_drop */
};

/* One shape for all kinds; unused members are zero. Sent are only those that the kind uses. */
struct wire_entry {
    uint8_t kind;
    struct id log;   /* RECORD; the others' records go to the tenant's log or the vault's */
    uint16_t type;   /* RECORD: enum record_type */
    uint8_t outcome; /* RECORD */
    uint8_t reason;  /* KEY_DESTROY: enum destroy_reason */
    struct id tenant;
    struct id engagement; /* ENGAGEMENT_*, KEY_PUT; later the key's cell says it */
    struct id key;
    uint32_t version;
    uint16_t provider; /* provider code, bound into the seal */
    struct id gateway;
    uint8_t certificate[32]; /* SHA-256 of the gateway's SubjectPublicKeyInfo */
    uint64_t expires_us;     /* leases */
    uint8_t seal_to[32];     /* KEY_OPEN: X25519, of the gateway; zero: the value in clear */
    uint8_t nonce[32];       /* KEY_OPEN: the gateway's, signed with a sealed delivery */
    struct id lease;         /* RENEW, RELEASE; KEY_OPEN: one that exists, or zero for a new one */
    uint8_t lease_mac[16];   /* RENEW, RELEASE */
    struct id session;       /* APPROVE */
    struct id slot;          /* APPROVE */
    struct wire_operation operation; /* APPROVE, OPERATION */
    struct span data;   /* KEY_PUT: delivery sealed to the intake key; KEY_OPEN: sealed value */
    struct span fields; /* engine-built fragment, see ledger/record.h */
};
void wire_put_entry(struct out *o, const struct wire_entry *m);
void wire_get_entry(struct in *i, struct wire_entry *m);

/*
 * What shows that records [0, from) of a tenant's log may be dropped, and what their root is. The
 * keeper believes none of it: its own MACs are on both lines, its own tree consists of the hashes.
 *
 *   span16 line of the retention.set in force, of the vault's log | mac 32
 *   span16 line of record from - 1 | mac 32
 *   u8 count, hashes of the perfect subtrees of [0, from); the same for [from, size of the log)
 */
#define DROP_UNIT     256 /* from is a multiple of this: proofs go on needing the subtrees above */
#define DROP_DATA_MAX (2 * (2 + LIMIT_RECORD + 32) + 2 * (1 + LIMIT_TREE_LEVELS * 32))
struct wire_drop {
    struct span allowed;
    uint8_t allowed_mac[32];
    struct span last;
    uint8_t last_mac[32];
    struct span left, right; /* 32 bytes each */
};
void wire_put_drop(struct out *o, const struct wire_drop *m);
void wire_get_drop(struct in *i, struct wire_drop *m);

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
    struct id lease;       /* KEY_OPEN: the lease, new or as named */
    uint8_t lease_mac[16]; /* KEY_OPEN: token = lease | mac */
    uint64_t due_us;       /* ENGAGEMENT_END: when the keys die */
    struct span hint;      /* KEY_PUT: redacted hint, printable ASCII */
    /* KEY_PUT: sealed value; KEY_OPEN: the provider key (secret), or sealed (wire/delivery.h)
     * box | signature 64; APPROVE: u8 have, u8 need;
     * OPERATION card.renew: box_seal(recovery_key, (slot id 16 | code 32)*) */
    struct span data;
    struct span reason;    /* literal text of a failure */
    uint16_t record_count; /* records follow */
};
void wire_put_result(struct out *o, const struct wire_result *m);
void wire_get_result(struct in *i, struct wire_result *m);

#endif
