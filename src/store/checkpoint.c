/* What is served of the trail beside its records: checkpoints, cosignatures, subtrees. */
#include "store/checkpoint.h"

#include "db.h"

/* --- checkpoints ------------------------------------------------------------------------------ */

status store_note_set(struct store *s, const struct store_note *n, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_NOTE_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &n->log);
    query_put_number(&q, n->size);
    query_put_number(&q, n->time_us);
    query_put_span(&q, n->note);
    return query_run(&q, NULL, e);
}

status store_note(struct store *s, const struct id *log, struct store_note *ret_note, struct err *e)
{
    AUTO(query) q = { 0 };
    struct store_note n = { .log = *log };
    bool row = false;
    status st = query_begin(s, SQL_NOTE_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no checkpoint yet", 0);
    n.size = query_get_number(&q, INT64_MAX);
    n.time_us = query_get_number(&q, INT64_MAX);
    n.note = query_get_view(&q);
    st = query_end(&q, e);
    if (st == OK)
        *ret_note = n;
    return st;
}

/* --- subtrees --------------------------------------------------------------------------------- */

status store_node_add(struct store *s, const struct id *log, unsigned level, uint64_t number,
                      const uint8_t hash[static 32], struct err *e)
{
    AUTO(query) q = { 0 };
    status st;

    if (tail_defers(s, span_of(hash, 32))) {
        tail_node(s, log, level, number, hash);
        return OK;
    }
    st = query_begin(s, SQL_NODE_ADD, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, level);
    query_put_number(&q, number);
    query_put_span(&q, span_of(hash, 32));
    st = query_run(&q, NULL, e);
    if (st == OK)
        tail_node(s, log, level, number, hash);
    return st;
}

status store_nodes(struct store *s, const struct id *log, unsigned level, uint64_t number,
                   uint64_t count, store_node_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_NODE_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, level);
    query_put_number(&q, number);
    query_put_number(&q, number + count);
    for (;;) {
        uint8_t hash[32];
        uint64_t at = 0;
        bool row = false;

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            return st;
        at = query_get_number(&q, INT64_MAX);
        query_get_bytes(&q, hash, sizeof(hash));
        st = query_end(&q, e);
        if (st != OK || !each(context, at, hash))
            return st;
    }
}

/* --- the vault tree --------------------------------------------------------------------------- */

status store_tree_note_add(struct store *s, uint64_t size, struct span note, uint64_t keep_from,
                           struct err *e)
{
    AUTO(query) add = { 0 };
    AUTO(query) drop = { 0 };
    status st = query_begin(s, SQL_TREE_NOTE_ADD, &add, e);

    if (st != OK)
        return st;
    query_put_number(&add, size);
    query_put_span(&add, note);
    st = query_run(&add, NULL, e);
    if (st == OK)
        st = query_begin(s, SQL_TREE_NOTE_DROP, &drop, e);
    if (st != OK)
        return st;
    query_put_number(&drop, keep_from);
    return query_run(&drop, NULL, e);
}

status store_tree_note(struct store *s, uint64_t size, struct span *ret_note, struct err *e)
{
    AUTO(query) q = { 0 };
    struct span note;
    bool row = false;
    status st = query_begin(s, SQL_TREE_NOTE_GET, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, size);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no checkpoint of this size is kept", 0);
    note = query_get_view(&q);
    st = query_end(&q, e);
    if (st == OK)
        *ret_note = note;
    return st;
}

status store_cosignature_add(struct store *s, const struct store_cosignature *c, struct err *e)
{
    AUTO(query) drop = { 0 };
    AUTO(query) add = { 0 };
    status st = query_begin(s, SQL_COSIGNATURE_DROP, &drop, e);

    if (st != OK)
        return st;
    query_put_number(&drop, c->size);
    st = query_run(&drop, NULL, e);
    if (st == OK)
        st = query_begin(s, SQL_COSIGNATURE_ADD, &add, e);
    if (st != OK)
        return st;
    query_put_number(&add, c->size);
    query_put_text(&add, c->witness);
    query_put_text(&add, c->line);
    return query_run(&add, NULL, e);
}

status store_cosignatures(struct store *s, struct store_cosignature *ret, size_t cap,
                          size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t n = 0;
    status st = query_begin(s, SQL_COSIGNATURE_LIST, &q, e);

    while (st == OK && n < cap) {
        struct store_cosignature c = { 0 };
        bool row = false;

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        c.size = query_get_number(&q, INT64_MAX);
        query_get_text(&q, c.witness, sizeof(c.witness));
        query_get_text(&q, c.line, sizeof(c.line));
        st = query_end(&q, e);
        if (st == OK)
            ret[n++] = c;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}
