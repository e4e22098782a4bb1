/* Grants: which gateway may lease which keys of which tenant. */
#include "db.h"

status store_grant_add(struct store *s, const struct store_grant *g, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_GRANT_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &g->gateway);
    query_put_id(&q, &g->tenant);
    query_put_text(&q, g->pattern);
    query_put_number(&q, g->max_ttl_s);
    query_put_number(&q, g->created_us);
    return query_run(&q, NULL, e);
}

status store_grant_remove(struct store *s, const struct id *gateway, const struct id *tenant,
                          const char *pattern, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_GRANT_REMOVE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, gateway);
    query_put_id(&q, tenant);
    query_put_text(&q, pattern);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such grant", 0);
    return st;
}

static status get_grant(struct query *q, struct store_grant *ret_grant, struct err *e)
{
    struct store_grant g = { 0 };
    status st = OK;

    query_get_id(q, &g.gateway);
    query_get_text(q, g.gateway_name, sizeof(g.gateway_name));
    query_get_id(q, &g.tenant);
    query_get_text(q, g.tenant_name, sizeof(g.tenant_name));
    query_get_text(q, g.pattern, sizeof(g.pattern));
    g.max_ttl_s = query_get_number(q, INT64_MAX);
    g.created_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_grant = g;
    return st;
}

status store_grants(struct store *s, size_t offset, struct store_grant *ret_grants, size_t cap,
                    size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_GRANT_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, cap);
    query_put_number(&q, offset);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_grant(&q, &ret_grants[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}
