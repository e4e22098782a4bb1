/* The current tree of every log, by log id. */
#ifndef KEEPER_HEADS_H
#define KEEPER_HEADS_H

#include "ledger/tree.h"

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
    uint64_t records;         /* in all logs together, without the batch under way */
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

#endif
