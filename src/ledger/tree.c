/*
 * The Merkle tree of a log. Only its right edge is kept: one hash for each perfect subtree,
 * largest first from the left, which is one for each bit that is set in the size. Appending
 * is adding one to a binary counter whose carries hash two subtrees into one.
 */
#include "ledger/tree.h"

#include "ledger/proof.h"

#define LEAF_PREFIX 0x00 /* RFC 6962 2.1: leaves and nodes can never be mistaken */

#define HEAD_EDGE_AT 64 /* log, size, time and prev come before */

static bool edge_valid(const struct ledger_tree *t, unsigned level)
{
    return (t->size >> level & 1) != 0;
}

const struct id ledger_log_vault = { { 0 } };
const struct id ledger_log_tree = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

void ledger_genesis(const struct id *vault, const struct id *log, struct ledger_tree *ret_tree)
{
    struct label l;

    /* The vault is hashed in here and nowhere else in the chain: the records of one vault
     * cannot be passed off as those of another that has a log of the same id. */
    *ret_tree = (struct ledger_tree){ .log = *log };
    label_init(&l, "genesis");
    label_id(&l, vault);
    label_id(&l, log);
    sha256(label_view(&l), ret_tree->prev);
}

void ledger_leaf(struct span line, uint8_t out[static SHA256_SIZE])
{
    static const uint8_t prefix[] = { LEAF_PREFIX };

    sha256_two(SPAN(prefix), line, out);
}

status ledger_append(struct ledger_tree *t, const uint8_t leaf[static SHA256_SIZE],
                     uint64_t time_us, struct err *e)
{
    uint8_t hash[SHA256_SIZE];
    struct out o;
    unsigned level = 0;

    if (t->size >= LEDGER_SIZE_MAX)
        return fail(e, LIMIT, "log is full", 0);
    if (time_us < t->time_us)
        return fail(e, BAD_INPUT, "time runs backwards", 0);
    out_init(&o, hash, sizeof(hash));
    out_raw(&o, span_of(leaf, SHA256_SIZE));
    for (; edge_valid(t, level); level++)
        ledger_node(t->edge[level], hash, hash);
    /* Nothing fails from here on: most of the tree stays as it is. */
    out_init(&o, t->edge[level], SHA256_SIZE);
    out_raw(&o, SPAN(hash));
    out_init(&o, t->prev, SHA256_SIZE);
    out_raw(&o, span_of(leaf, SHA256_SIZE));
    t->size++;
    t->time_us = time_us;
    return OK;
}

void ledger_root(const struct ledger_tree *t, uint8_t out[static SHA256_SIZE])
{
    bool begun = false;

    sha256(span_of(NULL, 0), out);
    /* From the smallest subtree, which is the rightmost, up to the largest. */
    for (unsigned level = 0; level < LIMIT_TREE_LEVELS; level++) {
        struct out o;

        if (!edge_valid(t, level))
            continue;
        if (begun) {
            ledger_node(t->edge[level], out, out);
        } else {
            out_init(&o, out, SHA256_SIZE);
            out_raw(&o, SPAN(t->edge[level]));
            begun = true;
        }
    }
}

status ledger_audit_key(const struct secret *audit_root, const struct id *vault,
                        const struct id *log, struct secret **ret_key, struct err *e)
{
    struct label l;

    label_init(&l, "audit-mac");
    label_id(&l, vault);
    label_id(&l, log);
    return crypto_derive(secret_view(audit_root), &l, KEY_SIZE, ret_key, e);
}

status ledger_mac_key(struct span audit_key, struct secret **ret_mac_key, struct err *e)
{
    struct label l;

    label_init(&l, "record-mac");
    return crypto_mac_begin(audit_key, label_view(&l), ret_mac_key, e);
}

status ledger_mac(const struct secret *mac_key, struct span line, uint8_t out[static MAC_SIZE],
                  struct err *e)
{
    return crypto_mac_end(mac_key, line, out, e);
}

status ledger_head_mac_key(struct span head_key, struct secret **ret_mac_key, struct err *e)
{
    struct label l;

    label_init(&l, "ledger-head");
    return crypto_mac_begin(head_key, label_view(&l), ret_mac_key, e);
}

status ledger_head_encode(const struct ledger_tree *t, const struct secret *mac_key,
                          struct out *out, struct err *e)
{
    uint8_t mac[MAC_SIZE];
    /* In place, and nothing is kept of one that does not fit. */
    struct out o = *out;
    size_t start = o.n;
    status st = OK;

    if (o.overflow)
        return fail(e, LIMIT, "no room for the log head", 0);
    out_id(&o, &t->log);
    out_u64(&o, t->size);
    out_u64(&o, t->time_us);
    out_raw(&o, SPAN(t->prev));
    for (unsigned level = 0; level < LIMIT_TREE_LEVELS; level++) {
        if (edge_valid(t, level))
            out_raw(&o, SPAN(t->edge[level]));
    }
    if (t->index != 0)
        out_u32(&o, t->index);
    if (!o.overflow)
        st = crypto_mac_end(mac_key, span_of(o.p + start, o.n - start), mac, e);
    if (st != OK)
        return st;
    out_raw(&o, SPAN(mac));
    if (o.overflow) {
        out->overflow = true;
        return fail(e, LIMIT, "no room for the log head", 0);
    }
    *out = o;
    return OK;
}

status ledger_head_decode(struct span head, const struct secret *mac_key,
                          struct ledger_tree *ret_tree, struct err *e)
{
    struct ledger_tree tree = { .size = 0 };
    struct in i = in_of(head);
    uint8_t mac[MAC_SIZE];
    struct span given;
    status st = OK;

    if (head.n < HEAD_EDGE_AT + MAC_SIZE)
        return fail(e, CORRUPT, "log head is cut short", head.n);
    /* Nothing is read from a head that the keeper did not write. */
    st = crypto_mac_end(mac_key, span_of(head.p, head.n - MAC_SIZE), mac, e);
    if (st != OK)
        return st;
    given = span_of(head.p + head.n - MAC_SIZE, MAC_SIZE);
    if (!secret_equal(SPAN(mac), given))
        return fail(e, CORRUPT, "log head has a wrong MAC", 0);
    tree.log = in_id(&i);
    tree.size = in_u64(&i);
    tree.time_us = in_u64(&i);
    in_copy(&i, tree.prev, sizeof(tree.prev));
    for (unsigned level = 0; level < LIMIT_TREE_LEVELS; level++) {
        if (edge_valid(&tree, level))
            in_copy(&i, tree.edge[level], sizeof(tree.edge[level]));
    }
    if (!i.bad && i.n == MAC_SIZE + sizeof(tree.index)) {
        tree.index = in_u32(&i);
        if (tree.index == 0)
            i.bad = true;
    }
    in_raw(&i, MAC_SIZE);
    if (tree.size > LEDGER_SIZE_MAX || !in_end(&i))
        return fail(e, CORRUPT, "log head has a wrong shape", 0);
    *ret_tree = tree;
    return OK;
}
