/* The memory of alerts. Rows of a tenant, like all of its rows, are found through the tenant. */
#include "store/usage.h"

#include "db.h"

status store_first_use_add(struct store *s, const struct store_first_use *u, bool *ret_new,
                           struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_FIRST_USE_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &u->tenant);
    query_put_id(&q, &u->key);
    query_put_id(&q, &u->gateway);
    query_put_number(&q, u->seq);
    query_put_number(&q, u->told);
    st = query_run(&q, &changes, e);
    *ret_new = st == OK && changes > 0;
    return st;
}

status store_first_use_told(struct store *s, const struct id *tenant, const struct id *key,
                            const struct id *gateway, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_FIRST_USE_TOLD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, key);
    query_put_id(&q, gateway);
    return query_run(&q, NULL, e);
}

status store_first_uses_told(struct store *s, const struct id *tenant, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_FIRST_USE_TOLD_ALL, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    return query_run(&q, NULL, e);
}

status store_first_uses_untold(struct store *s, const struct store_first_use *after,
                               struct store_first_use *ret_uses, size_t cap, size_t *ret_count,
                               struct err *e)
{
    static const struct store_first_use start;
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_FIRST_USE_UNTOLD, &q, e);

    *ret_count = 0;
    if (st != OK)
        return st;
    query_put_id(&q, after == NULL ? &start.tenant : &after->tenant);
    query_put_number(&q, after == NULL ? 0 : after->seq);
    while (st == OK && *ret_count < cap) {
        struct store_first_use u = { .told = false };
        bool row = false;

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        query_get_id(&q, &u.tenant);
        query_get_id(&q, &u.key);
        query_get_id(&q, &u.gateway);
        u.seq = query_get_number(&q, INT64_MAX);
        st = query_end(&q, e);
        if (st == OK)
            ret_uses[(*ret_count)++] = u;
    }
    return st;
}

status store_key_rate_set(struct store *s, const struct store_key_rate *r, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_KEY_RATE_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &r->tenant);
    query_put_id(&q, &r->key);
    query_put_number(&q, r->hour);
    query_put_number(&q, r->hours);
    query_put_number(&q, r->mean);
    return query_run(&q, NULL, e);
}

status store_key_rate(struct store *s, const struct id *tenant, const struct id *key,
                      struct store_key_rate *ret_rate, struct err *e)
{
    AUTO(query) q = { 0 };
    struct store_key_rate r = { .tenant = *tenant, .key = *key };
    bool row = false;
    status st = query_begin(s, SQL_KEY_RATE_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, key);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such rate", 0);
    r.hour = query_get_number(&q, INT64_MAX);
    r.hours = query_get_number(&q, INT64_MAX);
    r.mean = query_get_number(&q, INT64_MAX);
    st = query_end(&q, e);
    if (st == OK)
        *ret_rate = r;
    return st;
}
