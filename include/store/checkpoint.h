/* Checkpoints, cosignatures, and the subtrees that proofs are made of. See store/store.h. */
#ifndef STORE_CHECKPOINT_H
#define STORE_CHECKPOINT_H

#include "base/bytes.h"
#include "base/status.h"

struct store;

/* The newest signed checkpoint of a log. NOT_FOUND if there is none; the note is a view. */
struct store_note {
    struct id log;
    uint64_t size;
    uint64_t time_us;
    struct span note;
};
MUST_CHECK status store_note_set(struct store *s, const struct store_note *n, struct err *e);
MUST_CHECK status store_note(struct store *s, const struct id *log, struct store_note *ret_note,
                             struct err *e);

/* The root of a perfect subtree that is complete; the same again is no news. */
MUST_CHECK status store_node_add(struct store *s, const struct id *log, unsigned level,
                                 uint64_t number, const uint8_t hash[static 32], struct err *e);
/* Calls each(context, number, hash) for the stored ones among count nodes of a level, from number
 * on, in order, until it returns false. each may use the store as that of store_records may. */
typedef bool (*store_node_fn)(void *context, uint64_t number, const uint8_t hash[static 32]);
MUST_CHECK status store_nodes(struct store *s, const struct id *log, unsigned level,
                              uint64_t number, uint64_t count, store_node_fn each, void *context,
                              struct err *e);

/* Recent checkpoints of the vault tree. Adding one drops those of less than keep_from that nobody
 * has cosigned. NOT_FOUND; the note is a view. */
MUST_CHECK status store_tree_note_add(struct store *s, uint64_t size, struct span note,
                                      uint64_t keep_from, struct err *e);
MUST_CHECK status store_tree_note(struct store *s, uint64_t size, struct span *ret_note,
                                  struct err *e);

#define STORE_WITNESS     272  /* name and key id */
#define STORE_COSIGNATURE 1024 /* a signature line */
struct store_cosignature {
    uint64_t size;
    char witness[STORE_WITNESS];
    char line[STORE_COSIGNATURE];
};
/* Drops all of a smaller size. A witness has one; the newest counts. */
MUST_CHECK status store_cosignature_add(struct store *s, const struct store_cosignature *c,
                                        struct err *e);
/* All there are, of the one size that has any, up to cap. */
MUST_CHECK status store_cosignatures(struct store *s, struct store_cosignature *ret, size_t cap,
                                     size_t *ret_count, struct err *e);

#endif
