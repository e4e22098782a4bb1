/* How long records are kept, where logs begin, and the one way in which records go. */
#include "store/retention.h"

#include "db.h"

status store_retention_set(struct store *s, const struct store_retention *r, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RETENTION_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &r->tenant);
    query_put_number(&q, r->days);
    query_put_number(&q, r->seq);
    return query_run(&q, NULL, e);
}

static status get_retention(struct query *q, struct store_retention *ret_retention, struct err *e)
{
    struct store_retention r = { .days = 0 };
    status st = OK;

    query_get_id(q, &r.tenant);
    r.days = (uint32_t)query_get_number(q, UINT32_MAX);
    r.seq = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_retention = r;
    return st;
}

status store_retention(struct store *s, const struct id *tenant,
                       struct store_retention *ret_retention, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_RETENTION_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    st = query_step(&q, &row, e);
    if (st == OK && row)
        return get_retention(&q, ret_retention, e);
    if (st == OK)
        *ret_retention = (struct store_retention){ .tenant = *tenant };
    return st;
}

/* The empty value is below all others, even one of only zeros. */
static void put_after(struct query *q, const struct id *after)
{
    query_put_span(q, after != NULL ? SPAN(after->b) : span_of(NULL, 0));
}

status store_retentions(struct store *s, const struct id *after,
                        struct store_retention *ret_retentions, size_t cap, size_t *ret_count,
                        struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_RETENTION_LIST, &q, e);

    if (st != OK)
        return st;
    put_after(&q, after);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_retention(&q, &ret_retentions[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

/* The number that a statement about log says; absent if it says nothing. */
static status get_number(struct store *s, enum statement which, const struct id *log,
                         uint64_t absent, uint64_t *ret_number, struct err *e)
{
    AUTO(query) q = { 0 };
    uint64_t number = absent;
    bool row = false;
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    st = query_step(&q, &row, e);
    if (st == OK && row)
        number = query_get_number(&q, INT64_MAX);
    if (st == OK)
        st = query_end(&q, e);
    if (st == OK)
        *ret_number = number;
    return st;
}

status store_log_first(struct store *s, const struct id *log, uint64_t *ret_first, struct err *e)
{
    return get_number(s, SQL_BEGINNING_GET, log, 0, ret_first, e);
}

status store_log_begin(struct store *s, const struct id *log, uint64_t first, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_BEGINNING_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, first);
    return query_run(&q, NULL, e);
}

status store_records_delete(struct store *s, const struct id *log, size_t limit,
                            size_t *ret_deleted, struct err *e)
{
    AUTO(query) q = { 0 };
    uint64_t first = 0, oldest = 0;
    status st = store_log_first(s, log, &first, e);

    if (st == OK)
        st = get_number(s, SQL_RECORD_OLDEST, log, first, &oldest, e);
    if (st != OK)
        return st;
    *ret_deleted = 0;
    if (oldest >= first)
        return OK;
    st = query_begin(s, SQL_RECORD_DELETE, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, first - oldest > limit ? oldest + limit : first);
    return query_run(&q, ret_deleted, e);
}

status store_beginnings(struct store *s, const struct id *after, struct id *ret_logs, size_t cap,
                        size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_BEGINNING_LIST, &q, e);

    if (st != OK)
        return st;
    put_after(&q, after);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        query_get_id(&q, &ret_logs[n]);
        st = query_end(&q, e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}
