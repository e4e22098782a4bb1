/* Provider keys of a tenant: what is known about them, not their values. */
#include "db.h"

status store_key_add(struct store *s, const struct store_key *k, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_KEY_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &k->id);
    query_put_id(&q, &k->tenant);
    query_put_id(&q, &k->engagement);
    query_put_text(&q, k->name);
    query_put_number(&q, k->provider);
    query_put_number(&q, k->state);
    query_put_number(&q, k->version);
    query_put_number(&q, k->scope);
    query_put_number(&q, k->class);
    query_put_number(&q, k->created_us);
    return query_run(&q, NULL, e);
}

static void get_columns(struct query *q, struct store_key *k)
{
    query_get_id(q, &k->id);
    query_get_id(q, &k->tenant);
    query_get_id(q, &k->engagement);
    query_get_text(q, k->name, sizeof(k->name));
    k->provider = (uint16_t)query_get_number(q, UINT16_MAX);
    k->state = (uint8_t)query_get_number(q, UINT8_MAX);
    k->version = (uint32_t)query_get_number(q, UINT32_MAX);
    k->scope = (uint8_t)query_get_number(q, UINT8_MAX);
    k->class = (uint8_t)query_get_number(q, UINT8_MAX);
    k->created_us = query_get_number(q, INT64_MAX);
}

static status get_key(struct query *q, struct store_key *ret_key, struct err *e)
{
    struct store_key k = { 0 };
    status st = OK;

    get_columns(q, &k);
    st = query_end(q, e);
    if (st == OK)
        *ret_key = k;
    return st;
}

static status one_key(struct query *q, struct store_key *ret_key, struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such key", 0);
    return get_key(q, ret_key, e);
}

status store_key(struct store *s, const struct id *tenant, const char *name,
                 struct store_key *ret_key, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_KEY_BY_NAME, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_text(&q, name);
    return one_key(&q, ret_key, e);
}

status store_key_by_id(struct store *s, const struct id *tenant, const struct id *id,
                       struct store_key *ret_key, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_KEY_BY_ID, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, id);
    return one_key(&q, ret_key, e);
}

status store_key_set(struct store *s, const struct store_key *k, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_KEY_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &k->tenant);
    query_put_id(&q, &k->id);
    query_put_id(&q, &k->engagement);
    query_put_number(&q, k->provider);
    query_put_number(&q, k->state);
    query_put_number(&q, k->version);
    query_put_number(&q, k->scope);
    query_put_number(&q, k->class);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such key", 0);
    return st;
}

status store_keys(struct store *s, const struct id *tenant, const char *after,
                  struct store_key *ret_keys, size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_KEY_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_text(&q, after != NULL ? after : "");
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_key(&q, &ret_keys[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

static status get_leasable(struct query *q, struct store_leasable *ret_leasable, struct err *e)
{
    struct store_leasable l = { 0 };
    status st = OK;

    query_get_id(q, &l.tenant.id);
    query_get_text(q, l.tenant.name, sizeof(l.tenant.name));
    query_get_text(q, l.tenant.region, sizeof(l.tenant.region));
    l.tenant.created_us = query_get_number(q, INT64_MAX);
    get_columns(q, &l.key);
    l.engagement_state = (uint8_t)query_get_number(q, UINT8_MAX);
    l.version_state = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_text(q, l.hint, sizeof(l.hint));
    l.sealed = query_get_view(q);
    st = query_end(q, e);
    if (st == OK)
        *ret_leasable = l;
    return st;
}

status store_leasable(struct store *s, const char *tenant, const char *key,
                      struct store_leasable *ret_leasable, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st;

    if (remembered_find(s, tenant, key, ret_leasable))
        return OK;
    st = query_begin(s, SQL_KEY_LEASABLE, &q, e);
    if (st != OK)
        return st;
    query_put_text(&q, tenant);
    query_put_text(&q, key);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such tenant or key", 0);
    st = get_leasable(&q, ret_leasable, e);
    if (st == OK)
        remembered_keep(s, tenant, key, ret_leasable);
    return st;
}

status store_leasable_by_id(struct store *s, const struct id *tenant, const struct id *key,
                            struct store_leasable *ret_leasable, struct err *e)
{
    struct store_tenant owner;
    struct store_key named;
    status st;

    if (remembered_find_by_id(s, tenant, key, ret_leasable))
        return OK;
    st = store_tenant_by_id(s, tenant, &owner, e);
    if (st == OK)
        st = store_key_by_id(s, tenant, key, &named, e);
    if (st == OK)
        st = store_leasable(s, owner.name, named.name, ret_leasable, e);
    if (st == OK)
        remembered_by_id_too(s, owner.name, named.name);
    return st;
}
