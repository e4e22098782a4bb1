/*
 * Proofs about a log's tree, as RFC 9162 (2.1.3 inclusion, 2.1.4 consistency; the same hashes as
 * RFC 6962 2.1.1 and 2.1.2) defines them, and ranges, from which both the records in between and
 * all around them are checked at once.
 *
 * Whoever makes a proof supplies the hashes of perfect subtrees; whoever checks one needs nothing
 * but the two checkpoints. Pure: no I/O.
 */
#ifndef LEDGER_PROOF_H
#define LEDGER_PROOF_H

#include "ledger/tree.h"

#define PROOF_MAX (2 * LIMIT_TREE_LEVELS) /* hashes of any proof, or of one side of a range */

struct ledger_proof {
    size_t count;
    uint8_t hash[PROOF_MAX][SHA256_SIZE];
};

/* The root of the perfect subtree over records number * 2^level up to (number + 1) * 2^level, all
 * of which the log holds. Its failure is that of the function which called it. */
typedef status (*ledger_node_fn)(void *context, unsigned level, uint64_t number,
                                 uint8_t ret_hash[static SHA256_SIZE], struct err *e);

/* Left and right below one node: SHA-256(0x01 | left | right). */
void ledger_node(const uint8_t left[static SHA256_SIZE], const uint8_t right[static SHA256_SIZE],
                 uint8_t out[static SHA256_SIZE]);

/* PATH(seq, D[size]), lowest level first. BAD_INPUT unless seq < size. */
MUST_CHECK status proof_inclusion(uint64_t seq, uint64_t size, ledger_node_fn node, void *context,
                                  struct ledger_proof *ret, struct err *e);
/* PROOF(from, D[size]). BAD_INPUT unless from <= size; empty for from 0 and from = size. */
MUST_CHECK status proof_consistency(uint64_t from, uint64_t size, ledger_node_fn node,
                                    void *context, struct ledger_proof *ret, struct err *e);
/*
 * What stands left of records [from, to) and right of them in a tree of size: the perfect subtrees
 * that [0, from) and [to, size) are made of, from left to right. BAD_INPUT unless
 * from <= to <= size.
 */
MUST_CHECK status proof_range(uint64_t from, uint64_t to, uint64_t size, ledger_node_fn node,
                              void *context, struct ledger_proof *ret_left,
                              struct ledger_proof *ret_right, struct err *e);

/* CORRUPT, "inclusion proof does not hold", unless leaf is at seq in the tree of size and root. */
MUST_CHECK status proof_inclusion_check(const uint8_t leaf[static SHA256_SIZE], uint64_t seq,
                                        uint64_t size, const uint8_t root[static SHA256_SIZE],
                                        const struct ledger_proof *p, struct err *e);
/* The root that leaf at seq has in the tree of size if p is right. CORRUPT, with the same reason,
 * if p has another number of hashes. */
MUST_CHECK status proof_inclusion_root(const uint8_t leaf[static SHA256_SIZE], uint64_t seq,
                                       uint64_t size, const struct ledger_proof *p,
                                       uint8_t ret_root[static SHA256_SIZE], struct err *e);
/* CORRUPT, "consistency proof does not hold", unless the tree of size and root begins with that of
 * from and from_root. Size 0 is the beginning of every tree. */
MUST_CHECK status proof_consistency_check(uint64_t from,
                                          const uint8_t from_root[static SHA256_SIZE],
                                          uint64_t size, const uint8_t root[static SHA256_SIZE],
                                          const struct ledger_proof *p, struct err *e);

/* Sets t, of which only log is kept, to a tree of from records that consists of left. prev is zero
 * and time_us 0: neither is known. CORRUPT if left has another number of hashes than from needs. */
MUST_CHECK status ledger_tree_start(struct ledger_tree *t, uint64_t from,
                                    const struct ledger_proof *left, struct err *e);
/* Appends right, up to size; afterwards t is good for ledger_root only. CORRUPT if right has
 * another number of hashes than it takes. */
MUST_CHECK status ledger_tree_finish(struct ledger_tree *t, uint64_t size,
                                     const struct ledger_proof *right, struct err *e);

#endif
