/*
 * Versions of a key with their sealed values. Destroying a version here is hygiene: what makes it
 * unreadable is the keyring, which destroys the data key first.
 */
#include "base/limits.h"

#include "db.h"

/* Whether a row comes with its sealed value. */
enum columns { WITHOUT_SEALED, WITH_SEALED };

status store_version_add(struct store *s, const struct store_version *v, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = OK;

    if (v->sealed.n > LIMIT_SEALED_KEY)
        return fail(e, LIMIT, "sealed value is too long", v->sealed.n);
    st = query_begin(s, SQL_VERSION_ADD, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, &v->tenant);
    query_put_id(&q, &v->key);
    query_put_number(&q, v->version);
    query_put_number(&q, v->state);
    query_put_text(&q, v->hint);
    query_put_number(&q, v->created_us);
    query_put_number(&q, v->destroy_at_us);
    query_put_span(&q, v->sealed);
    return query_run(&q, NULL, e);
}

static status get_version(struct query *q, enum columns columns, struct store_version *ret_version,
                          struct err *e)
{
    struct store_version v = { 0 };
    status st = OK;

    query_get_id(q, &v.tenant);
    query_get_id(q, &v.key);
    v.version = (uint32_t)query_get_number(q, UINT32_MAX);
    v.state = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_text(q, v.hint, sizeof(v.hint));
    v.created_us = query_get_number(q, INT64_MAX);
    v.destroy_at_us = query_get_number(q, INT64_MAX);
    if (columns == WITH_SEALED)
        v.sealed = query_get_view(q);
    st = query_end(q, e);
    if (st == OK)
        *ret_version = v;
    return st;
}

static status get_versions(struct query *q, enum columns columns,
                           struct store_version *ret_versions, size_t cap, size_t *ret_count,
                           struct err *e)
{
    size_t n = 0;

    while (n < cap) {
        bool row = false;
        status st = query_step(q, &row, e);

        if (st == OK && !row)
            break;
        if (st == OK)
            st = get_version(q, columns, &ret_versions[n], e);
        if (st != OK)
            return st;
        n++;
    }
    *ret_count = n;
    return OK;
}

static void put_place(struct query *q, const struct id *tenant, const struct id *key,
                      uint32_t version)
{
    query_put_id(q, tenant);
    query_put_id(q, key);
    query_put_number(q, version);
}

status store_version(struct store *s, const struct id *tenant, const struct id *key,
                     uint32_t version, struct store_version *ret_version, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_VERSION_GET, &q, e);

    if (st != OK)
        return st;
    put_place(&q, tenant, key, version);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such version", 0);
    return get_version(&q, WITH_SEALED, ret_version, e);
}

/* Moves a version to another state; *ret_changes is 0 if it is not in a state to move from. */
static status move(struct store *s, enum statement which, const struct store_version *to,
                   size_t *ret_changes, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    put_place(&q, &to->tenant, &to->key, to->version);
    query_put_number(&q, to->destroy_at_us);
    return query_run(&q, ret_changes, e);
}

static status check_exists(struct store *s, const struct store_version *v, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_VERSION_STATE, &q, e);

    if (st != OK)
        return st;
    put_place(&q, &v->tenant, &v->key, v->version);
    st = query_step(&q, &row, e);
    if (st == OK && !row)
        return fail(e, NOT_FOUND, "no such version", 0);
    return st;
}

status store_version_supersede(struct store *s, const struct id *tenant, const struct id *key,
                               uint32_t version, uint64_t destroy_at_us, struct err *e)
{
    const struct store_version to = {
        .tenant = *tenant, .key = *key, .version = version, .destroy_at_us = destroy_at_us
    };
    size_t changes = 0;
    status st = move(s, SQL_VERSION_SUPERSEDE, &to, &changes, e);

    if (st != OK || changes > 0)
        return st;
    st = check_exists(s, &to, e);
    if (st != OK)
        return st;
    return fail(e, CONFLICT, "version is not the current one", 0);
}

status store_version_destroyed(struct store *s, const struct id *tenant, const struct id *key,
                               uint32_t version, uint64_t time_us, struct err *e)
{
    const struct store_version to = {
        .tenant = *tenant, .key = *key, .version = version, .destroy_at_us = time_us
    };
    size_t changes = 0;
    status st = move(s, SQL_VERSION_DESTROY, &to, &changes, e);

    if (st != OK || changes > 0)
        return st;
    return check_exists(s, &to, e);
}

status store_versions(struct store *s, const struct id *tenant, const struct id *key,
                      struct store_version *ret_versions, size_t cap, size_t *ret_count,
                      struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_VERSION_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, key);
    return get_versions(&q, WITH_SEALED, ret_versions, cap, ret_count, e);
}

status store_versions_due(struct store *s, uint64_t time_us, struct store_version *ret_versions,
                          size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_VERSION_DUE, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, time_us);
    return get_versions(&q, WITHOUT_SEALED, ret_versions, cap, ret_count, e);
}

status store_versions_revoked(struct store *s, struct store_version *ret_versions, size_t cap,
                              size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_VERSION_REVOKED, &q, e);

    return st == OK ? get_versions(&q, WITHOUT_SEALED, ret_versions, cap, ret_count, e) : st;
}

status store_versions_live(struct store *s, const struct id *after_key, uint32_t after_version,
                           struct store_version *ret_versions, size_t cap, size_t *ret_count,
                           struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_VERSION_LIVE, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, after_key);
    query_put_number(&q, after_version);
    return get_versions(&q, WITHOUT_SEALED, ret_versions, cap, ret_count, e);
}
