/* The subtrees of a log that proofs are made of. */
#ifndef ENGINE_NODES_H
#define ENGINE_NODES_H

#include "internal.h"
#include "ledger/proof.h"

/* Perfect subtrees of these levels are kept once they are complete. */
#define NODE_STEP 8
#define NODE_TOP  24

struct nodes {
    struct engine *en;
    struct id log;
    bool keep; /* in the open transaction: rows that had to be computed, so that it is done once */
};
/* A ledger_node_fn; context is struct nodes. CORRUPT if a record is missing. */
status nodes_of(void *context, unsigned level, uint64_t number,
                uint8_t ret_hash[static SHA256_SIZE], struct err *e);
/* In the transaction that stores record seq of log: keeps the subtrees that it completes. */
status nodes_keep(struct engine *en, const struct id *log, uint64_t seq, struct span line,
                  struct err *e);
/* Forgets what it remembers of records that no subtree is kept of yet. */
void nodes_forget(struct engine *en);

#endif
