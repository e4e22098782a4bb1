/*
 * Commitments: once a round, the vault binds itself to the newest checkpoint of each log by the
 * root of a tree, which it records in a log of its own for witnesses to see. The position of a log
 * never changes and every leaf is blinded, so that a proof tells nothing of other logs.
 *
 *   leaf = SHA-256(0x00 | LBL("tree-leaf"; u64 round, SHA-256(text of the checkpoint), blind 32))
 */
#ifndef LEDGER_COMMITMENT_H
#define LEDGER_COMMITMENT_H

#include "ledger/tree.h"

#define COMMITMENT_LEVELS 17 /* LIMIT_TENANTS < 2^17 */

struct commitment {
    uint64_t round;
    uint32_t index;
    uint8_t blind[32];
    uint8_t sibling[COMMITMENT_LEVELS][SHA256_SIZE]; /* that of the leaf first */
};

/* text: the three lines of the checkpoint with their newlines. */
void commitment_leaf(uint64_t round, struct span text, const uint8_t blind[static 32],
                     uint8_t out[static SHA256_SIZE]);
/* The root of c's round if text was committed at c's place. */
void commitment_root(const struct commitment *c, struct span text, uint8_t out[static SHA256_SIZE]);

#endif
