/* Opt-ins, AppRoles and issued tokens of the Vault-compatible face. */
#include "db.h"

status store_compat_set(struct store *s, const struct store_compat *c, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_COMPAT_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &c->tenant);
    query_put_number(&q, c->binding);
    query_put_number(&q, c->since_us);
    return query_run(&q, NULL, e);
}

status store_compat_remove(struct store *s, const struct id *tenant, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_COMPAT_REMOVE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "the tenant has not opted in", 0);
    return st;
}

status store_compat(struct store *s, const struct id *tenant, struct store_compat *ret_compat,
                    struct err *e)
{
    AUTO(query) q = { 0 };
    struct store_compat c = { .tenant = *tenant };
    bool row = false;
    status st = query_begin(s, SQL_COMPAT_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    st = query_step(&q, &row, e);
    if (st == OK && !row)
        st = fail(e, NOT_FOUND, "the tenant has not opted in", 0);
    if (st != OK)
        return st;
    c.binding = (uint8_t)query_get_number(&q, UINT8_MAX);
    c.since_us = query_get_number(&q, INT64_MAX);
    st = query_end(&q, e);
    if (st == OK)
        *ret_compat = c;
    return st;
}

status store_approle_add(struct store *s, const struct store_approle *r, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_APPROLE_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &r->role);
    query_put_id(&q, &r->gateway);
    query_put_span(&q, SPAN(r->secret_hash));
    query_put_number(&q, r->binding);
    query_put_span(&q, SPAN(r->address));
    query_put_number(&q, r->bits);
    query_put_number(&q, r->created_us);
    return query_run(&q, NULL, e);
}

status store_approle_remove(struct store *s, const struct id *role, const struct id *gateway,
                            struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_APPROLE_REMOVE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, role);
    query_put_id(&q, gateway);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such role", 0);
    return st;
}

static status get_approle(struct query *q, struct store_approle *ret_role, struct err *e)
{
    struct store_approle r = { .bits = 0 };
    status st;

    query_get_id(q, &r.role);
    query_get_id(q, &r.gateway);
    query_get_text(q, r.gateway_name, sizeof r.gateway_name);
    query_get_bytes(q, r.secret_hash, sizeof r.secret_hash);
    r.binding = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_bytes(q, r.address, sizeof r.address);
    r.bits = (uint8_t)query_get_number(q, 128);
    r.created_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_role = r;
    return st;
}

status store_approle(struct store *s, const struct id *role, struct store_approle *ret_role,
                     struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_APPROLE_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, role);
    st = query_step(&q, &row, e);
    if (st == OK && !row)
        st = fail(e, NOT_FOUND, "no such role", 0);
    return st == OK ? get_approle(&q, ret_role, e) : st;
}

status store_approles(struct store *s, const struct id *gateway, struct store_approle *ret_roles,
                      size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_APPROLE_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, gateway);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_approle(&q, &ret_roles[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_issued_token_add(struct store *s, const struct store_issued_token *t, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ISSUED_TOKEN_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, SPAN(t->hash));
    query_put_id(&q, &t->gateway);
    query_put_number(&q, t->binding);
    query_put_span(&q, SPAN(t->address));
    query_put_number(&q, t->bits);
    query_put_number(&q, t->created_us);
    query_put_number(&q, t->expires_us);
    return query_run(&q, NULL, e);
}

status store_issued_token_remove(struct store *s, const uint8_t hash[static 32], struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_ISSUED_TOKEN_REMOVE, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, span_of(hash, 32));
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such token", 0);
    return st;
}

status store_issued_tokens_expire(struct store *s, uint64_t now_us, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ISSUED_TOKEN_EXPIRE, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, now_us);
    return query_run(&q, NULL, e);
}

static status get_issued_token(struct query *q, struct store_issued_token *ret_token, struct err *e)
{
    struct store_issued_token t = { .bits = 0 };
    status st;

    query_get_bytes(q, t.hash, sizeof t.hash);
    query_get_id(q, &t.gateway);
    query_get_text(q, t.gateway_name, sizeof t.gateway_name);
    t.binding = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_bytes(q, t.address, sizeof t.address);
    t.bits = (uint8_t)query_get_number(q, 128);
    t.created_us = query_get_number(q, INT64_MAX);
    t.expires_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_token = t;
    return st;
}

status store_issued_tokens(struct store *s, const uint8_t *after,
                           struct store_issued_token *ret_tokens, size_t cap, size_t *ret_count,
                           struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_ISSUED_TOKEN_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, span_of(after, after == NULL ? 0 : 32));
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_issued_token(&q, &ret_tokens[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_compat_forget(struct store *s, const struct id *gateway, struct err *e)
{
    static const enum statement statements[] = { SQL_APPROLE_REMOVE_GATEWAY,
                                                 SQL_ISSUED_TOKEN_REMOVE_GATEWAY };

    for (size_t i = 0; i < 2; i++) {
        AUTO(query) q = { 0 };
        status st = query_begin(s, statements[i], &q, e);

        if (st == OK) {
            query_put_id(&q, gateway);
            st = query_run(&q, NULL, e);
        }
        if (st != OK)
            return st;
    }
    return OK;
}
