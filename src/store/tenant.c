/* Tenants. */
#include "db.h"

status store_tenant_add(struct store *s, const struct store_tenant *t, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_TENANT_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &t->id);
    query_put_text(&q, t->name);
    query_put_text(&q, t->region);
    query_put_number(&q, t->created_us);
    return query_run(&q, NULL, e);
}

static status get_tenant(struct query *q, struct store_tenant *ret_tenant, struct err *e)
{
    struct store_tenant t = { 0 };
    status st = OK;

    query_get_id(q, &t.id);
    query_get_text(q, t.name, sizeof(t.name));
    query_get_text(q, t.region, sizeof(t.region));
    t.created_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_tenant = t;
    return st;
}

static status one_tenant(struct query *q, struct store_tenant *ret_tenant, struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such tenant", 0);
    return get_tenant(q, ret_tenant, e);
}

status store_tenant(struct store *s, const char *name, struct store_tenant *ret_tenant,
                    struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_TENANT_BY_NAME, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, name);
    return one_tenant(&q, ret_tenant, e);
}

status store_tenant_by_id(struct store *s, const struct id *id, struct store_tenant *ret_tenant,
                          struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_TENANT_BY_ID, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, id);
    return one_tenant(&q, ret_tenant, e);
}

static status list_tenants(struct query *q, struct store_tenant *ret_tenants, size_t cap,
                           size_t *ret_count, struct err *e)
{
    bool row = true;
    size_t n = 0;
    status st = OK;

    while (n < cap) {
        st = query_step(q, &row, e);
        if (st != OK || !row)
            break;
        st = get_tenant(q, &ret_tenants[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_tenants(struct store *s, const char *after, struct store_tenant *ret_tenants,
                     size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_TENANT_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, after != NULL ? after : "");
    return list_tenants(&q, ret_tenants, cap, ret_count, e);
}

status store_assigned_tenants(struct store *s, const char *auditor, const char *after,
                              struct store_tenant *ret_tenants, size_t cap, size_t *ret_count,
                              struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ASSIGNMENT_TENANTS, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, auditor);
    query_put_text(&q, after != NULL ? after : "");
    return list_tenants(&q, ret_tenants, cap, ret_count, e);
}
