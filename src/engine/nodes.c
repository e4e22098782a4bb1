/*
 * Subtrees of a log: those of levels 8, 16 and 24 are rows, written once with the record that
 * completes them; everything else is computed from the level of rows below, or from up to 256
 * records. A row that is not there, as of a log from before there were any, is computed too, and
 * kept if that was asked for: else each proof would read all of an old log.
 */
#include "nodes.h"

#include <stdlib.h>
#include <string.h>

/* Children of one level, in order, as a tree of their own: its root is the parent. */
struct gather {
    struct ledger_tree tree;
    uint64_t next; /* number of the child that is expected */
    status st;
    struct err *e;
};

static bool add(struct gather *g, const uint8_t hash[static SHA256_SIZE])
{
    g->st = ledger_append(&g->tree, hash, 0, g->e);
    g->next++;
    return g->st == OK;
}

static bool add_record(void *context, const struct store_record *r)
{
    struct gather *g = context;
    uint8_t leaf[SHA256_SIZE];

    if (r->seq != g->next)
        return false;
    ledger_leaf(r->line, leaf);
    return add(g, leaf);
}

static bool add_node(void *context, uint64_t number, const uint8_t hash[static 32])
{
    struct gather *g = context;

    return number == g->next && add(g, hash);
}

static status from_records(const struct nodes *n, struct gather *g, uint64_t end, struct err *e)
{
    status st =
        store_records(n->en->store, &n->log, g->next, (size_t)(end - g->next), add_record, g, e);

    if (st == OK)
        st = g->st;
    if (st == OK && g->next != end)
        st = fail(e, CORRUPT, "a record of the log is missing", g->next);
    return st;
}

/* What is no row is computed from the level below the rows. */
static status from_rows(struct nodes *n, struct gather *g, unsigned level, uint64_t end,
                        struct err *e)
{
    status st = OK;

    while (st == OK && g->next < end) {
        uint8_t hash[SHA256_SIZE];
        uint64_t before = g->next;

        st = store_nodes(n->en->store, &n->log, level, g->next, end - g->next, add_node, g, e);
        if (st == OK)
            st = g->st;
        if (st != OK || g->next == end || g->next > before)
            continue;
        struct gather below = { .next = g->next << NODE_STEP, .e = e };
        uint64_t below_end = (g->next + 1) << NODE_STEP;
        st = level == NODE_STEP ? from_records(n, &below, below_end, e)
                                : from_rows(n, &below, level - NODE_STEP, below_end, e);
        if (st != OK)
            continue;
        ledger_root(&below.tree, hash);
        add(g, hash);
        st = g->st;
        if (st == OK && n->keep) {
            n->en->nodes_kept = true;
            st = store_node_add(n->en->store, &n->log, level, before, hash, e);
        }
    }
    return st;
}

status nodes_of(void *context, unsigned level, uint64_t number,
                uint8_t ret_hash[static SHA256_SIZE], struct err *e)
{
    struct nodes *n = context;
    unsigned base = level / NODE_STEP * NODE_STEP;
    status st;

    if (level >= LIMIT_TREE_LEVELS)
        return fail(e, BUG, "no log has such a subtree", level);
    base = base > NODE_TOP ? NODE_TOP : base;
    struct gather g = { .next = number << (level - base), .e = e };
    uint64_t end = (number + 1) << (level - base);
    st = base == 0 ? from_records(n, &g, end, e) : from_rows(n, &g, base, end, e);
    if (st == OK)
        ledger_root(&g.tree, ret_hash);
    return st;
}

/* --- what grows ------------------------------------------------------------------------------ */

/* The records of a log since the last whole subtree of the first level, so that they need not be
 * read again for the next one. A log that is not here, or has a gap, is read. */
#define GROWTH_WAYS 4   /* logs that may share a place */
#define GROWTH_SETS 256 /* a power of two */

struct growth {
    struct id log;
    uint64_t next; /* the record that would come next; 0: nothing is here */
    uint8_t edge[NODE_STEP + 1][SHA256_SIZE]; /* as of a ledger_tree */
};

void nodes_forget(struct engine *en)
{
    free(en->growth);
    en->growth = NULL;
}

/* The log's own; if one begins, in a place that is free or else another's. */
static struct growth *growth_of(struct engine *en, const struct id *log, uint64_t seq, bool begins)
{
    size_t set = (log->b[0] | (size_t)log->b[1] << 8) & (GROWTH_SETS - 1);
    struct growth *ways = &en->growth[set * GROWTH_WAYS], *room = NULL;

    for (size_t i = 0; i < GROWTH_WAYS; i++) {
        if (ways[i].next != 0 && id_same(&ways[i].log, log))
            return &ways[i];
        if (room == NULL && ways[i].next == 0)
            room = &ways[i];
    }
    if (!begins)
        return NULL;
    return room != NULL ? room : &ways[(seq >> NODE_STEP) % GROWTH_WAYS];
}

static void grow(struct growth *g, uint64_t number, const uint8_t leaf[static SHA256_SIZE])
{
    uint8_t hash[SHA256_SIZE];
    unsigned level = 0;

    memcpy(hash, leaf, sizeof hash);
    for (; (number >> level & 1) != 0; level++)
        ledger_node(g->edge[level], hash, hash);
    memcpy(g->edge[level], hash, sizeof hash);
}

/* Takes record seq in. true: it completes a subtree, and all of it was seen: its root. The hash of
 * a record is in the one after it, so most of them need not be computed. */
static bool growth_takes(struct engine *en, const struct id *log, uint64_t seq, struct span line,
                         uint8_t ret_root[static SHA256_SIZE])
{
    const uint64_t within = seq & ((1 << NODE_STEP) - 1);
    uint8_t leaf[SHA256_SIZE];
    struct growth *g;
    struct span prev;

    if (en->growth == NULL)
        en->growth = calloc((size_t)GROWTH_SETS * GROWTH_WAYS, sizeof *en->growth);
    if (en->growth == NULL)
        return false;
    g = growth_of(en, log, seq, within == 0);
    if (g == NULL || (within > 0 && g->next != seq))
        return false;
    if (within == 0)
        *g = (struct growth){ .log = *log };
    g->next = seq + 1;
    if (within > 0) {
        if (!record_field(line, "prev", &prev) ||
            !hex_parse((const char *)prev.p, prev.n, leaf, sizeof leaf)) {
            g->next = 0;
            return false;
        }
        grow(g, within - 1, leaf);
    }
    if (within + 1 < 1 << NODE_STEP)
        return false;
    ledger_leaf(line, leaf);
    grow(g, within, leaf);
    memcpy(ret_root, g->edge[NODE_STEP], SHA256_SIZE);
    g->next = 0;
    return true;
}

status nodes_keep(struct engine *en, const struct id *log, uint64_t seq, struct span line,
                  struct err *e)
{
    struct nodes n = { .en = en, .log = *log };
    uint8_t hash[SHA256_SIZE];
    bool grown = growth_takes(en, log, seq, line, hash);
    status st = OK;

    for (unsigned level = NODE_STEP; st == OK && level <= NODE_TOP; level += NODE_STEP) {
        struct err gap = { 0 };
        struct gather g = { .e = &gap };
        uint64_t number = seq >> level;

        if ((seq + 1) & (((uint64_t)1 << level) - 1))
            break;
        g.next = number << NODE_STEP;
        if (level > NODE_STEP)
            st = from_rows(&n, &g, level - NODE_STEP, g.next + (1 << NODE_STEP), &gap);
        else if (!grown)
            st = from_records(&n, &g, g.next + (1 << NODE_STEP), &gap);
        if (st == CORRUPT) /* whoever asks for a proof is told */
            return OK;
        if (st != OK)
            return err_note(e, st, gap.where, gap.why, gap.detail);
        if (level > NODE_STEP || !grown)
            ledger_root(&g.tree, hash);
        st = store_node_add(en->store, log, level, number, hash, e);
    }
    return st;
}
