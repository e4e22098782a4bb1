/* The current tree of every log, by log id. */
#ifndef KEEPER_HEADS_H
#define KEEPER_HEADS_H

#include "ledger/commitment.h"

/* The vault's own log, and that of the vault tree. */

struct log_head {
    struct log_head *next;
    struct log_head *next_touched;
    struct spare *before; /* as it was when the batch began; NULL: made by the batch */
    bool touched;
    struct ledger_tree tree;
    uint8_t term[32];      /* of the head of tree (moment.c); zeros: it was never given out */
    uint8_t term_next[32]; /* as it will be once the batch holds */
    uint64_t at;           /* records in all logs when it last grew; 0: before it was loaded */
};

struct heads {
    struct log_head **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint64_t seed;
    struct log_head *touched; /* newest first */
    struct spare *spares;     /* trees to remember the next touched ones in */
    uint64_t records;         /* in all logs together, without the batch under way */
    uint8_t sum[32];          /* of all heads' terms, modulo 2^256, big-endian; likewise */
    struct log_head **leaves; /* by index in the vault tree; NULL where there is none */
    size_t leaves_room;
    uint32_t next_index;    /* for the next new log, with the batch under way */
    uint32_t settled_index; /* the same without it */
};

MUST_CHECK status heads_init(struct heads *h, struct err *e);
void heads_clear(struct heads *h); /* forgets all trees */
void heads_free(struct heads *h);
struct log_head *heads_find(const struct heads *h, const struct id *log);
/* CONFLICT if the log is there. Added within a batch it counts as touched. */
enum heads_mode { HEADS_LOADED, HEADS_IN_BATCH };
/* term: of a head that was loaded, else NULL. */
MUST_CHECK status heads_add(struct heads *h, const struct ledger_tree *tree, const uint8_t *term,
                            enum heads_mode mode, struct err *e);
/* Remembers the tree before its first change in a batch. */
MUST_CHECK status heads_touch(struct heads *h, struct log_head *head, struct err *e);
void heads_settle(struct heads *h); /* the batch holds */
/* What records, logs and terms will be once the batch holds; every touched head has term_next. */
struct heads_sum {
    uint64_t records;
    uint64_t count;
    uint8_t sum[32];
};
struct heads_sum heads_sum(const struct heads *h);
/* Gives a touched log its place in the vault tree, for ever. LIMIT when the tree is full. */
MUST_CHECK status heads_place(struct heads *h, struct log_head *head, struct err *e);
void heads_undo(struct heads *h); /* it never was */

#endif
