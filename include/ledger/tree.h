/*
 * The log itself: an RFC 6962 section 2.1 Merkle tree whose leaf index is the sequence number,
 * kept as the compact range of its right edge. The hash of the last leaf is the next record's prev.
 *
 *   leaf = SHA-256(0x00 | line)        node = SHA-256(0x01 | left | right)
 *   mac  = HMAC-SHA256(audit key of the log, LBL("record-mac") | line)
 *   prev of record 0 = SHA-256(LBL("genesis"; vault, log))
 */
#ifndef LEDGER_TREE_H
#define LEDGER_TREE_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "crypto/crypto.h"

/* One less than the levels could count: the size itself must fit the same number of bits. */
#define LEDGER_SIZE_MAX (((uint64_t)1 << LIMIT_TREE_LEVELS) - 1)

/* The logs that are no tenant's: the vault's own is zero, that of the vault tree all ones. */
extern const struct id ledger_log_vault, ledger_log_tree;

struct ledger_tree {
    struct id log;
    uint32_t index;                      /* leaf in the vault tree; 0: the vault's, or none yet */
    uint64_t size;                       /* = sequence number of the next record */
    uint64_t time_us;                    /* of the last record: time never runs backwards */
    uint8_t prev[32];                    /* leaf hash of the last record, or the genesis value */
    uint8_t edge[LIMIT_TREE_LEVELS][32]; /* edge[i] is valid where bit i of size is set */
};

void ledger_genesis(const struct id *vault, const struct id *log, struct ledger_tree *ret_tree);
void ledger_leaf(struct span line, uint8_t out[static SHA256_SIZE]);
/* Appends a leaf. LIMIT when 2^LIMIT_TREE_LEVELS - 1 are there, BAD_INPUT if time_us is before
 * that of the last record. */
MUST_CHECK status ledger_append(struct ledger_tree *t, const uint8_t leaf[static SHA256_SIZE],
                                uint64_t time_us, struct err *e);
/* RFC 6962 root of the current size; SHA-256 of the empty string for size 0. */
void ledger_root(const struct ledger_tree *t, uint8_t out[static SHA256_SIZE]);

/* Audit key of one log: EXP(audit root, "audit-mac"; vault, log). */
MUST_CHECK status ledger_audit_key(const struct secret *audit_root, const struct id *vault,
                                   const struct id *log, struct secret **ret_key, struct err *e);
/* What makes the MACs of a log's records: crypto_mac_begin of its audit key. */
MUST_CHECK status ledger_mac_key(struct span audit_key, struct secret **ret_mac_key, struct err *e);
MUST_CHECK status ledger_mac(const struct secret *mac_key, struct span line,
                             uint8_t out[static MAC_SIZE], struct err *e);

/*
 * A head is the tree as the server stores it between unlocks, authenticated by the keeper:
 * log 16 | size u64 | time u64 | prev 32 | edge hashes (lowest level first) |
 * index u32 unless 0 | mac 32,
 * mac = HMAC-SHA256(head key, LBL("ledger-head") | all before it).
 */
#define LEDGER_HEAD_MAX (16 + 8 + 8 + 32 + 32 * LIMIT_TREE_LEVELS + 4 + 32)
/* What makes the MACs of heads, as ledger_mac_key. */
MUST_CHECK status ledger_head_mac_key(struct span head_key, struct secret **ret_mac_key,
                                      struct err *e);
MUST_CHECK status ledger_head_encode(const struct ledger_tree *t, const struct secret *mac_key,
                                     struct out *out, struct err *e);
/* CORRUPT if the MAC or the shape is wrong. */
MUST_CHECK status ledger_head_decode(struct span head, const struct secret *mac_key,
                                     struct ledger_tree *ret_tree, struct err *e);

#endif
