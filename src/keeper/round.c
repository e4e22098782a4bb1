/*
 * A round commits to the checkpoint of every log at once, in a Merkle tree of fixed depth in which
 * each log has a place for ever (ledger/commitment.h). The blind of (round, log) is a MAC under a
 * key that stays here, and what stands for a place, or a subtree of places, that has no log is one
 * too: from its own branch a tenant learns nothing of
 * others, nor how many there are. The number of a round is that of its record in the tree's log, so
 * a log is never committed to twice in one.
 *
 * It is built in slices of SLICE leaves, each log as it is when its turn comes; the server asks for
 * them between batches, and when all are in, for the record. The last round is kept for those who
 * ask for their branch.
 */
#include "round.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/checkpoint.h"
#include "ledger/commitment.h"
#include "ledger/proof.h"

#define SLICE 64
#define DEPTH COMMITMENT_LEVELS

/* What was committed to of one log. */
struct committed {
    struct id log;
    bool present;
    uint64_t size;
    uint8_t root[SHA256_SIZE];
};

struct round {
    uint64_t number;
    uint64_t at;  /* records in all logs, with its own: what a branch may be signed behind */
    size_t count; /* of places that may have a log: those before the next free one */
    size_t done;
    struct committed *logs;
    uint8_t (*levels[DEPTH + 1])[SHA256_SIZE]; /* leaves first, each as far as count goes */
};

static size_t width(const struct round *r, unsigned level)
{
    return ((r->count - 1) >> level) + 1;
}

void round_free(struct round *r)
{
    if (r == NULL)
        return;
    for (unsigned level = 0; level <= DEPTH; level++)
        free(r->levels[level]);
    free(r->logs);
    free(r);
}

void round_forget_all(struct keeper *k)
{
    round_free(k->round_next);
    round_free(k->round_last);
    k->round_next = k->round_last = NULL;
}

static status round_new(const struct keeper *k, struct round **ret_round, struct err *e)
{
    const struct log_head *tree = heads_find(&k->heads, &ledger_log_tree);
    struct round *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory for a round", 0);
    r->number = tree != NULL ? tree->tree.size : 0;
    r->count = k->heads.settled_index;
    r->logs = calloc(r->count, sizeof(*r->logs));
    bool enough = r->logs != NULL;
    for (unsigned level = 0; level <= DEPTH; level++) {
        r->levels[level] = malloc(width(r, level) * SHA256_SIZE);
        enough = enough && r->levels[level] != NULL;
    }
    if (!enough) {
        round_free(r);
        return fail(e, NO_MEMORY, "no memory for a round", 0);
    }
    *ret_round = r;
    return OK;
}

/* --- leaves and nodes ------------------------------------------------------------------------- */

static status blind_of(const struct keeper *k, const struct round *r, const struct id *log,
                       uint8_t out[static MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "tree-blind");
    label_u64(&l, r->number);
    label_id(&l, log);
    return crypto_mac(secret_view(k->keys.system[SYSTEM_HEAD]), &l, span_of(NULL, 0), out, e);
}

/* In the place of a subtree without a log. */
static status absent(const struct keeper *k, const struct round *r, unsigned level, size_t number,
                     uint8_t out[static MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "tree-absent");
    label_u64(&l, r->number);
    label_u32(&l, level);
    label_u32(&l, (uint32_t)number);
    return crypto_mac(secret_view(k->keys.system[SYSTEM_HEAD]), &l, span_of(NULL, 0), out, e);
}

static status present(const struct keeper *k, const struct round *r, const struct committed *c,
                      uint8_t out[static SHA256_SIZE], struct err *e)
{
    uint8_t text[CHECKPOINT_MAX], blind[MAC_SIZE];
    struct out o;

    out_init(&o, text, sizeof(text));
    checkpoint_text(&k->keys.vault, &c->log, c->size, c->root, &o);
    if (o.overflow)
        return fail(e, BUG, "no room for a checkpoint's text", 0);
    status st = blind_of(k, r, &c->log, blind, e);
    if (st == OK)
        commitment_leaf(r->number, span_of(o.p, o.n), blind, out);
    return st;
}

static status add_leaf(const struct keeper *k, struct round *r, struct err *e)
{
    const struct log_head *head = r->done < k->heads.leaves_room ? k->heads.leaves[r->done] : NULL;
    struct committed *c = &r->logs[r->done];
    size_t at = r->done;
    status st;

    if (head == NULL) {
        st = absent(k, r, 0, at, r->levels[0][at], e);
    } else {
        *c = (struct committed){ .log = head->tree.log, .present = true, .size = head->tree.size };
        ledger_root(&head->tree, c->root);
        st = present(k, r, c, r->levels[0][at], e);
    }
    if (st != OK)
        return st;
    r->done++;
    /* Every node whose right half this leaf completes. */
    for (unsigned level = 0; level < DEPTH && (at & 1) != 0; level++, at >>= 1)
        ledger_node(r->levels[level][at - 1], r->levels[level][at], r->levels[level + 1][at >> 1]);
    return OK;
}

/* The right edge, from below: beyond it nobody has a place. */
static status close_edge(const struct keeper *k, struct round *r, struct err *e)
{
    uint8_t right[SHA256_SIZE];

    for (unsigned level = 0; level < DEPTH; level++) {
        size_t last = width(r, level) - 1;
        uint8_t(*nodes)[SHA256_SIZE] = r->levels[level];

        if ((last & 1) != 0) {
            ledger_node(nodes[last - 1], nodes[last], r->levels[level + 1][last >> 1]);
            continue;
        }
        status st = absent(k, r, level, last + 1, right, e);
        if (st != OK)
            return st;
        ledger_node(nodes[last], right, r->levels[level + 1][last >> 1]);
    }
    return OK;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool complete(const struct round *r)
{
    return r->done == r->count;
}

status keeper_round(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint64_t ack = in_u64(body);

    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    if (!k->heads_loaded)
        return fail(e, CONFLICT, "load the heads first", 0);
    if (k->rolled_back)
        return fail(e, CONFLICT, "a rollback waits to be accepted", 0);
    status st = keeper_take_ack(k, ack, 0, e);
    if (st == OK && k->round_next == NULL)
        st = round_new(k, &k->round_next, e);
    if (st != OK)
        return st;
    struct round *r = k->round_next;
    bool begun_complete = complete(r);
    for (size_t i = 0; st == OK && i < SLICE && !complete(r); i++)
        st = add_leaf(k, r, e);
    if (st == OK && complete(r) && !begun_complete)
        st = close_edge(k, r, e);
    if (st != OK) {
        round_free(r);
        k->round_next = NULL;
        return st;
    }
    out_u8(reply, complete(r));
    return OK;
}

status entry_tree_committed(struct keeper *k, struct batch *b, struct err *e)
{
    const struct round *r = k->round_next;
    const struct log_head *head = heads_find(&k->heads, &ledger_log_tree);

    if (r == NULL || !complete(r) || b->round)
        return fail(e, CONFLICT, "no round is complete", 0);
    if (head == NULL) {
        struct ledger_tree tree;
        ledger_genesis(&k->keys.vault, &ledger_log_tree, &tree);
        status st = heads_add(&k->heads, &tree, NULL, HEADS_IN_BATCH, e);
        if (st != OK)
            return st;
    }
    b->round = true;
    struct made *made = entry_make(b, &ledger_log_tree, RECORD_TREE_COMMITTED);
    fields_number(&made->fields, "round", r->number);
    fields_hex(&made->fields, "root", span_of(r->levels[DEPTH][0], SHA256_SIZE));
    return OK;
}

void round_settle(struct keeper *k)
{
    round_free(k->round_last);
    k->round_last = k->round_next;
    k->round_last->at = k->heads.records;
    k->round_next = NULL;
}

/* The branch of the log at index. */
static status put_branch(const struct keeper *k, const struct round *r, size_t index,
                         struct out *reply, struct err *e)
{
    uint8_t blind[MAC_SIZE], nobody[MAC_SIZE];

    status st = blind_of(k, r, &r->logs[index].log, blind, e);
    if (st != OK)
        return st;
    out_u64(reply, r->number);
    out_u32(reply, (uint32_t)index);
    out_raw(reply, SPAN(blind));
    for (unsigned level = 0; level < DEPTH; level++) {
        size_t beside = index >> level ^ 1;

        if (beside < width(r, level)) {
            out_raw(reply, SPAN(r->levels[level][beside]));
            continue;
        }
        st = absent(k, r, level, beside, nobody, e);
        if (st != OK)
            return st;
        out_raw(reply, SPAN(nobody));
    }
    return OK;
}

/* Is all that the round commits to in the anchor's reach? As with any checkpoint (checkpoint.c). */
static bool covered(struct keeper *k, const struct round *r)
{
    if (moment_anchored(k) < r->at && k->records_durable >= r->at)
        keeper_anchor(k);
    return moment_anchored(k) >= r->at;
}

status keeper_commitment(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint8_t note[CHECKPOINT_MAX];
    struct id log = in_id(body);
    const struct round *r = k->round_last;
    struct out o;

    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    const struct log_head *head = heads_find(&k->heads, &log);
    size_t index = head != NULL ? head->tree.index : 0;
    if (head == NULL || r == NULL || index >= r->count || !r->logs[index].present ||
        !id_same(&r->logs[index].log, &log))
        return fail(e, NOT_FOUND, "no round has this log yet", 0);
    if (!covered(k, r))
        return fail(e, NOT_FOUND, "the round's record is not durable yet", r->number);
    const struct committed *c = &r->logs[index];
    out_init(&o, note, sizeof(note));
    status st = checkpoint_sign_root(&k->keys.vault, &log, c->size, c->root,
                                     secret_view(k->keys.system[SYSTEM_LEDGER]), &o, e);
    if (st == OK)
        st = put_branch(k, r, index, reply, e);
    if (st == OK)
        out_span16(reply, span_of(o.p, o.n));
    return st;
}
