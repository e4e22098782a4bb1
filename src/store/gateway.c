/* Gateways. A removed one stays as a row, so that its certificates still refer to something. */
#include "db.h"

status store_gateway_add(struct store *s, const struct store_gateway *g, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_GATEWAY_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &g->id);
    query_put_text(&q, g->name);
    query_put_number(&q, g->created_us);
    query_put_number(&q, g->removed_us);
    return query_run(&q, NULL, e);
}

static status get_gateway(struct query *q, struct store_gateway *ret_gateway, struct err *e)
{
    struct store_gateway g = { 0 };
    status st = OK;

    query_get_id(q, &g.id);
    query_get_text(q, g.name, sizeof(g.name));
    g.created_us = query_get_number(q, INT64_MAX);
    g.removed_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_gateway = g;
    return st;
}

status store_gateway(struct store *s, const char *name, struct store_gateway *ret_gateway,
                     struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_GATEWAY_BY_NAME, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, name);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such gateway", 0);
    return get_gateway(&q, ret_gateway, e);
}

static status mark_removed(struct store *s, const struct id *id, uint64_t time_us, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = OK;

    /* 0 means active. */
    if (time_us == 0)
        return fail(e, BUG, "gateway removed at no time", 0);
    st = query_begin(s, SQL_GATEWAY_REMOVE, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, id);
    query_put_number(&q, time_us);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such gateway", 0);
    return st;
}

status store_gateway_remove(struct store *s, const struct id *id, uint64_t time_us, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = mark_removed(s, id, time_us, e);

    if (st != OK)
        return st;
    st = query_begin(s, SQL_GRANT_REMOVE_GATEWAY, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, id);
    return query_run(&q, NULL, e);
}

status store_gateways(struct store *s, const char *after, struct store_gateway *ret_gateways,
                      size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_GATEWAY_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, after != NULL ? after : "");
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_gateway(&q, &ret_gateways[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}
