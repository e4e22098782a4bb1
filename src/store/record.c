/*
 * Audit records: kept as the bytes they were hashed as and never changed. There is no statement
 * here that updates or removes one; the oldest of a log may go in retention.c.
 */
#include "base/limits.h"
#include "store/usage.h"

#include "db.h"

static status insert(struct store *s, const struct store_record *r, size_t *ret_changes,
                     struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &r->log);
    query_put_number(&q, r->seq);
    query_put_number(&q, r->time_us);
    query_put_number(&q, r->type);
    query_put_number(&q, r->outcome);
    query_put_span(&q, SPAN(r->mac));
    query_put_span(&q, r->line);
    query_put_number(&q, r->until_us);
    return query_run(&q, ret_changes, e);
}

static void get_record(struct query *q, struct store_record *r)
{
    query_get_id(q, &r->log);
    r->seq = query_get_number(q, INT64_MAX);
    r->time_us = query_get_number(q, INT64_MAX);
    r->type = (uint16_t)query_get_number(q, UINT16_MAX);
    r->outcome = (uint8_t)query_get_number(q, UINT8_MAX);
    query_get_bytes(q, r->mac, sizeof(r->mac));
    r->line = query_get_span(q);
}

static bool same_record(const struct store_record *a, const struct store_record *b)
{
    return a->time_us == b->time_us && a->type == b->type && a->outcome == b->outcome &&
           span_same(SPAN(a->mac), SPAN(b->mac)) && span_same(a->line, b->line);
}

/* The keeper repeats the records of an unanswered batch: the same one again is no news. */
static status compare_with_stored(struct store *s, const struct store_record *r, struct err *e)
{
    AUTO(query) q = { 0 };
    struct store_record stored = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_RECORD_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &r->log);
    query_put_number(&q, r->seq);
    st = query_step(&q, &row, e);
    if (st != OK)
        return st;
    if (!row)
        return fail(e, BUG, "record is there and not there", 0);
    get_record(&q, &stored);
    st = query_end(&q, e);
    if (st != OK)
        return st;
    if (!same_record(&stored, r))
        return fail(e, CONFLICT, "another record has this place", 0);
    return OK;
}

status store_record_add(struct store *s, const struct store_record *r, struct err *e)
{
    size_t changes = 0;
    status st = OK;

    if (r->line.n > LIMIT_RECORD)
        return fail(e, LIMIT, "record is too long", r->line.n);
    if (tail_defers(s, r->line)) {
        tail_record(s, r);
        s->records_pending++;
        return OK;
    }
    st = insert(s, r, &changes, e);
    if (st != OK)
        return st;
    if (changes == 0)
        return compare_with_stored(s, r, e);
    tail_record(s, r);
    s->records_pending++;
    return OK;
}

static status each_row(struct query *q, bool has_id, store_record_fn each, void *context,
                       struct err *e)
{
    for (;;) {
        struct store_record r = { 0 };
        bool row = false;
        status st = query_step(q, &row, e);

        if (st != OK || !row)
            return st;
        get_record(q, &r);
        if (has_id)
            r.id = query_get_number(q, INT64_MAX);
        st = query_end(q, e);
        if (st != OK)
            return st;
        if (!each(context, &r))
            return OK;
    }
}

static status each_record(struct query *q, store_record_fn each, void *context, struct err *e)
{
    return each_row(q, false, each, context, e);
}

status store_records(struct store *s, const struct id *log, uint64_t from_seq, size_t limit,
                     store_record_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = OK;

    /* Above what a row can hold: nothing is there. */
    if (from_seq > INT64_MAX)
        return OK;
    st = query_begin(s, SQL_RECORD_LIST, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, from_seq);
    query_put_number(&q, limit < INT64_MAX ? limit : INT64_MAX);
    return each_record(&q, each, context, e);
}

status store_records_before(struct store *s, const struct id *log, uint64_t before_seq,
                            size_t limit, store_record_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_LIST_BACK, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, log);
    query_put_number(&q, before_seq < INT64_MAX ? before_seq : INT64_MAX);
    query_put_number(&q, limit < INT64_MAX ? limit : INT64_MAX);
    return each_record(&q, each, context, e);
}

status store_operator_records(struct store *s, uint64_t from_seq, store_record_fn each,
                              void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    struct id vault = { { 0 } };
    status st = OK;

    if (from_seq > INT64_MAX)
        return OK;
    st = query_begin(s, SQL_RECORD_OPERATORS, &q, e);
    if (st != OK)
        return st;
    query_put_id(&q, &vault);
    query_put_number(&q, from_seq);
    return each_record(&q, each, context, e);
}

status store_lease_records(struct store *s, uint64_t until_us, store_record_fn each, void *context,
                           struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_LEASES, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, until_us);
    return each_record(&q, each, context, e);
}

status store_feed(struct store *s, uint64_t after, size_t limit, store_record_fn each,
                  void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = OK;

    if (after > INT64_MAX)
        return OK;
    st = query_begin(s, SQL_RECORD_FEED, &q, e);
    if (st != OK)
        return st;
    query_put_number(&q, after);
    query_put_number(&q, limit < INT64_MAX ? limit : INT64_MAX);
    return each_row(&q, true, each, context, e);
}

status store_event_records(struct store *s, uint64_t after, size_t limit, store_record_fn each,
                           void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_EVENTS, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, after < INT64_MAX ? after : INT64_MAX);
    query_put_number(&q, limit < INT64_MAX ? limit : INT64_MAX);
    return each_row(&q, true, each, context, e);
}

status store_acknowledgements(struct store *s, uint64_t after, store_record_fn each, void *context,
                              struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_ACKNOWLEDGED, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, after < INT64_MAX ? after : INT64_MAX);
    return each_row(&q, true, each, context, e);
}

status store_alert_records(struct store *s, uint64_t last, uint64_t since_us, store_record_fn each,
                           void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_RECORD_ALERTS, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, last);
    query_put_number(&q, since_us);
    return each_record(&q, each, context, e);
}
