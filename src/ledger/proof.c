/*
 * Proofs about trees. Every hash in one is the root of a subtree of the tree, and any subtree is a
 * row of perfect ones, so whoever can give the roots of perfect subtrees can give any proof. The
 * makers walk from the root down; the proofs are written from the leaf up.
 */
#include "ledger/proof.h"

#define PREFIX_NODE 0x01

void ledger_node(const uint8_t left[static SHA256_SIZE], const uint8_t right[static SHA256_SIZE],
                 uint8_t out[static SHA256_SIZE])
{
    uint8_t both[1 + 2 * SHA256_SIZE];
    struct out o;

    out_init(&o, both, sizeof(both));
    out_u8(&o, PREFIX_NODE);
    out_raw(&o, span_of(left, SHA256_SIZE));
    out_raw(&o, span_of(right, SHA256_SIZE));
    sha256(SPAN(both), out);
}

static void copy_hash(uint8_t to[static SHA256_SIZE], const uint8_t from[static SHA256_SIZE])
{
    struct in i = in_of(span_of(from, SHA256_SIZE));

    in_copy(&i, to, SHA256_SIZE);
}

static bool same_hash(const uint8_t a[static SHA256_SIZE], const uint8_t b[static SHA256_SIZE])
{
    return span_same(span_of(a, SHA256_SIZE), span_of(b, SHA256_SIZE));
}

/* --- making ---------------------------------------------------------------------------------- */

/* Where the subtrees come from. */
struct source {
    ledger_node_fn node;
    void *context;
};

static uint64_t power(unsigned level)
{
    return (uint64_t)1 << level;
}

/* The largest power of two that is less than n, which is at least 2: where RFC 9162 splits. */
static uint64_t split(uint64_t n)
{
    unsigned level = 0;

    while (power(level + 1) < n)
        level++;
    return power(level);
}

/* The largest perfect subtree that begins at start and does not go beyond end. */
static unsigned widest(uint64_t start, uint64_t end)
{
    unsigned level = 0;

    while (start % power(level + 1) == 0 && power(level + 1) <= end - start)
        level++;
    return level;
}

/* Appends the roots of the perfect subtrees of [start, end) to p. */
static status add_row(const struct source *s, uint64_t start, uint64_t end, struct ledger_proof *p,
                      struct err *e)
{
    while (start < end) {
        unsigned level = widest(start, end);
        status st = OK;

        if (p->count == PROOF_MAX)
            return fail(e, BUG, "proof is too long", 0);
        st = s->node(s->context, level, start >> level, p->hash[p->count], e);
        if (st != OK)
            return st;
        p->count++;
        start += power(level);
    }
    return OK;
}

/* Appends the root of [start, end), which is a subtree of the whole. */
static status add_subtree(const struct source *s, uint64_t start, uint64_t end,
                          struct ledger_proof *p, struct err *e)
{
    struct ledger_proof row = { .count = 0 };
    status st = add_row(s, start, end, &row, e);

    if (st != OK)
        return st;
    if (row.count == 0 || p->count == PROOF_MAX)
        return fail(e, BUG, "proof is too long", 0);
    for (size_t i = row.count - 1; i > 0; i--)
        ledger_node(row.hash[i - 1], row.hash[i], row.hash[i - 1]);
    copy_hash(p->hash[p->count++], row.hash[0]);
    return OK;
}

static void reverse(struct ledger_proof *p)
{
    for (size_t i = 0; i < p->count / 2; i++) {
        uint8_t kept[SHA256_SIZE];

        copy_hash(kept, p->hash[i]);
        copy_hash(p->hash[i], p->hash[p->count - 1 - i]);
        copy_hash(p->hash[p->count - 1 - i], kept);
    }
}

/*
 * One step down from [*start, *end) to the half that holds record at; appends the other half.
 * *ret_left says whether it went left.
 */
static status descend(const struct source *s, uint64_t at, uint64_t *start, uint64_t *end,
                      bool *ret_left, struct ledger_proof *p, struct err *e)
{
    uint64_t middle = *start + split(*end - *start);
    status st = OK;

    *ret_left = at < middle;
    if (*ret_left) {
        st = add_subtree(s, middle, *end, p, e);
        *end = middle;
    } else {
        st = add_subtree(s, *start, middle, p, e);
        *start = middle;
    }
    return st;
}

status proof_inclusion(uint64_t seq, uint64_t size, ledger_node_fn node, void *context,
                       struct ledger_proof *ret, struct err *e)
{
    struct source s = { .node = node, .context = context };
    uint64_t start = 0;
    uint64_t end = size;
    bool left = false;

    if (seq >= size || size > LEDGER_SIZE_MAX)
        return fail(e, BAD_INPUT, "no such record in a tree of that size", 0);
    ret->count = 0;
    while (end - start > 1) {
        status st = descend(&s, seq, &start, &end, &left, ret, e);

        if (st != OK)
            return st;
    }
    reverse(ret);
    return OK;
}

status proof_consistency(uint64_t from, uint64_t size, ledger_node_fn node, void *context,
                         struct ledger_proof *ret, struct err *e)
{
    struct source s = { .node = node, .context = context };
    uint64_t start = 0;
    uint64_t end = size;
    bool known = true; /* the subtree that ends at from is the whole old tree */
    status st = OK;

    if (from > size || size > LEDGER_SIZE_MAX)
        return fail(e, BAD_INPUT, "no such earlier size", 0);
    ret->count = 0;
    if (from == 0)
        return OK;
    while (end != from && st == OK) {
        bool left = false;

        st = descend(&s, from - 1, &start, &end, &left, ret, e);
        known = known && left;
    }
    if (st == OK && !known)
        st = add_subtree(&s, start, end, ret, e);
    if (st == OK)
        reverse(ret);
    return st;
}

status proof_range(uint64_t from, uint64_t to, uint64_t size, ledger_node_fn node, void *context,
                   struct ledger_proof *ret_left, struct ledger_proof *ret_right, struct err *e)
{
    struct source s = { .node = node, .context = context };
    status st = OK;

    if (from > to || to > size || size > LEDGER_SIZE_MAX)
        return fail(e, BAD_INPUT, "no such range", 0);
    ret_left->count = 0;
    ret_right->count = 0;
    st = add_row(&s, 0, from, ret_left, e);
    return st == OK ? add_row(&s, to, size, ret_right, e) : st;
}

/* --- checking: RFC 9162 2.1.3.2 and 2.1.4.2 --------------------------------------------------- */

/* Positions, at the level reached, of the node in question and of the last one. */
struct climb {
    uint64_t at;
    uint64_t last;
};

static void up(struct climb *c)
{
    c->at >>= 1;
    c->last >>= 1;
}

/* Whether the next hash of the proof stands left of the node; up to where it does otherwise. */
static bool sibling_is_left(struct climb *c)
{
    if (c->at % 2 == 0 && c->at != c->last)
        return false;
    /* The last node of a level without a partner rises as it is. */
    while (c->at % 2 == 0 && c->at != 0)
        up(c);
    return true;
}

status proof_inclusion_root(const uint8_t leaf[static SHA256_SIZE], uint64_t seq, uint64_t size,
                            const struct ledger_proof *p, uint8_t ret_root[static SHA256_SIZE],
                            struct err *e)
{
    struct climb c = { .at = seq, .last = size - 1 };
    uint8_t hash[SHA256_SIZE];

    if (seq >= size || p->count > PROOF_MAX)
        return fail(e, CORRUPT, "inclusion proof does not hold", 0);
    copy_hash(hash, leaf);
    for (size_t i = 0; i < p->count; i++) {
        if (c.last == 0)
            return fail(e, CORRUPT, "inclusion proof does not hold", 0);
        if (sibling_is_left(&c))
            ledger_node(p->hash[i], hash, hash);
        else
            ledger_node(hash, p->hash[i], hash);
        up(&c);
    }
    if (c.last != 0)
        return fail(e, CORRUPT, "inclusion proof does not hold", 0);
    copy_hash(ret_root, hash);
    return OK;
}

status proof_inclusion_check(const uint8_t leaf[static SHA256_SIZE], uint64_t seq, uint64_t size,
                             const uint8_t root[static SHA256_SIZE], const struct ledger_proof *p,
                             struct err *e)
{
    uint8_t hash[SHA256_SIZE];
    status st = proof_inclusion_root(leaf, seq, size, p, hash, e);

    if (st == OK && !same_hash(hash, root))
        return fail(e, CORRUPT, "inclusion proof does not hold", 0);
    return st;
}

/* Both roots from one path, which begins with the subtree that ends where the old tree did. */
static bool climb_both(uint64_t from, const uint8_t from_root[static SHA256_SIZE], uint64_t size,
                       const uint8_t root[static SHA256_SIZE], const struct ledger_proof *p)
{
    struct climb c = { .at = from - 1, .last = size - 1 };
    bool whole = (from & (from - 1)) == 0; /* then that subtree is the old tree and not sent */
    uint8_t before[SHA256_SIZE];
    uint8_t after[SHA256_SIZE];

    if (p->count == 0)
        return false;
    while (c.at % 2 == 1)
        up(&c);
    copy_hash(before, whole ? from_root : p->hash[0]);
    copy_hash(after, before);
    for (size_t i = whole ? 0 : 1; i < p->count; i++) {
        if (c.last == 0)
            return false;
        if (sibling_is_left(&c)) {
            ledger_node(p->hash[i], before, before);
            ledger_node(p->hash[i], after, after);
        } else {
            ledger_node(after, p->hash[i], after);
        }
        up(&c);
    }
    return c.last == 0 && same_hash(before, from_root) && same_hash(after, root);
}

status proof_consistency_check(uint64_t from, const uint8_t from_root[static SHA256_SIZE],
                               uint64_t size, const uint8_t root[static SHA256_SIZE],
                               const struct ledger_proof *p, struct err *e)
{
    bool holds = false;

    if (from == 0)
        holds = p->count == 0;
    else if (from == size)
        holds = p->count == 0 && same_hash(from_root, root);
    else
        holds = from < size && p->count <= PROOF_MAX && climb_both(from, from_root, size, root, p);
    if (!holds)
        return fail(e, CORRUPT, "consistency proof does not hold", 0);
    return OK;
}

/* --- a tree that consists of a row of perfect subtrees ---------------------------------------- */

/* Appends perfect subtrees until t has size; false if row has another number of them. */
static bool grow(struct ledger_tree *t, uint64_t size, const struct ledger_proof *row)
{
    size_t used = 0;

    while (t->size < size) {
        unsigned level = widest(t->size, size);
        uint8_t hash[SHA256_SIZE];

        if (used == row->count || used == PROOF_MAX)
            return false;
        copy_hash(hash, row->hash[used++]);
        t->size += power(level);
        /* Adding a bit to a number: where one was, it is carried. */
        for (; (t->size >> level & 1) == 0; level++)
            ledger_node(t->edge[level], hash, hash);
        copy_hash(t->edge[level], hash);
    }
    return used == row->count;
}

status ledger_tree_start(struct ledger_tree *t, uint64_t from, const struct ledger_proof *left,
                         struct err *e)
{
    struct ledger_tree begun = { .log = t->log };

    if (from > LEDGER_SIZE_MAX || !grow(&begun, from, left))
        return fail(e, CORRUPT, "other number of hashes than the size has", left->count);
    *t = begun;
    return OK;
}

status ledger_tree_finish(struct ledger_tree *t, uint64_t size, const struct ledger_proof *right,
                          struct err *e)
{
    struct ledger_tree whole = *t;

    if (size < t->size || size > LEDGER_SIZE_MAX || !grow(&whole, size, right))
        return fail(e, CORRUPT, "other number of hashes than the size has", right->count);
    *t = whole;
    return OK;
}
