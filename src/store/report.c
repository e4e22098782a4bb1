/* Reported usage: sums by day, and which reports were there. */
#include "store/report.h"

#include <string.h>

#include "db.h"

status store_usage_add(struct store *s, const struct store_usage *u, struct err *e)
{
    const uint64_t sums[] = { u->requests,   u->failures, u->input_tokens, u->output_tokens,
                              u->cost_micro, u->reports,  u->inferred };
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_USAGE_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &u->tenant);
    query_put_number(&q, u->day);
    query_put_id(&q, &u->key);
    query_put_id(&q, &u->gateway);
    query_put_text(&q, u->model);
    query_put_number(&q, u->class);
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        query_put_number(&q, sums[i]);
    return query_run(&q, NULL, e);
}

status store_usage_models(struct store *s, const struct store_usage *u, size_t *ret_count,
                          bool *ret_known, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_USAGE_MODELS, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &u->tenant);
    query_put_number(&q, u->day);
    query_put_id(&q, &u->key);
    query_put_text(&q, u->model);
    st = query_step(&q, &row, e);
    if (st == OK && !row)
        return fail(e, BUG, "a count has no row", 0);
    if (st != OK)
        return st;
    uint64_t count = query_get_number(&q, INT64_MAX);
    uint64_t known = query_get_number(&q, 1);
    st = query_end(&q, e);
    if (st == OK) {
        *ret_count = (size_t)count;
        *ret_known = known != 0;
    }
    return st;
}

status store_usage_costs(struct store *s, const struct id *tenant, uint64_t from_day,
                         store_cost_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    status st = query_begin(s, SQL_USAGE_COSTS, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_number(&q, from_day);
    while (st == OK) {
        struct id key;

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        query_get_id(&q, &key);
        uint64_t day = query_get_number(&q, INT64_MAX);
        uint64_t cost = query_get_number(&q, STORE_SUM_MAX);
        st = query_end(&q, e);
        if (st == OK && !each(context, &key, day, cost))
            break;
    }
    return st;
}

static status get_row(struct query *q, struct store_usage_row *r, struct err *e)
{
    r->sum.day = query_get_number(q, INT64_MAX);
    query_get_text(q, r->tenant, sizeof(r->tenant));
    query_get_text(q, r->key, sizeof(r->key));
    query_get_text(q, r->gateway, sizeof(r->gateway));
    query_get_text(q, r->sum.model, sizeof(r->sum.model));
    r->sum.class = (uint8_t)query_get_number(q, UINT8_MAX);
    r->sum.requests = query_get_number(q, STORE_SUM_MAX);
    r->sum.failures = query_get_number(q, STORE_SUM_MAX);
    r->sum.input_tokens = query_get_number(q, STORE_SUM_MAX);
    r->sum.output_tokens = query_get_number(q, STORE_SUM_MAX);
    r->sum.cost_micro = query_get_number(q, STORE_SUM_MAX);
    r->sum.reports = query_get_number(q, STORE_SUM_MAX);
    r->sum.inferred = query_get_number(q, STORE_SUM_MAX);
    return query_end(q, e);
}

status store_usage(struct store *s, const struct store_usage_filter *f, size_t limit,
                   store_usage_fn each, void *context, struct err *e)
{
    AUTO(query) q = { 0 };
    bool of_tenant = !id_is_zero(&f->tenant);
    bool row = true;
    status st = query_begin(s, of_tenant ? SQL_USAGE_OF_TENANT : SQL_USAGE_OF_ALL, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, f->from_day);
    query_put_number(&q, f->to_day);
    query_put_number(&q, f->by);
    query_put_text(&q, f->key);
    query_put_text(&q, f->gateway);
    query_put_text(&q, f->model);
    query_put_number(&q, limit);
    if (of_tenant)
        query_put_id(&q, &f->tenant);
    else
        query_put_text(&q, f->auditor);
    while (st == OK) {
        struct store_usage_row r = { .tenant = "" };

        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_row(&q, &r, e);
        if (st == OK && !each(context, &r))
            break;
    }
    return st;
}

status store_usage_number(struct store *s, const struct id *tenant, const struct id *subject,
                          const struct id *gateway, struct store_usage_number *ret_number,
                          struct err *e)
{
    struct store_usage_number n = {
        .tenant = *tenant, .subject = *subject, .gateway = *gateway, .next = 1
    };
    AUTO(query) q = { 0 };
    bool row = false;
    status st = query_begin(s, SQL_USAGE_NUMBER_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, subject);
    query_put_id(&q, gateway);
    st = query_step(&q, &row, e);
    if (st == OK && row) {
        n.next = query_get_number(&q, INT64_MAX);
        n.seen = query_get_number(&q, INT64_MAX);
        n.until_us = query_get_number(&q, INT64_MAX);
        st = query_end(&q, e);
    }
    if (st == OK)
        *ret_number = n;
    return st;
}

status store_usage_number_set(struct store *s, const struct store_usage_number *n, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_USAGE_NUMBER_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &n->tenant);
    query_put_id(&q, &n->subject);
    query_put_id(&q, &n->gateway);
    query_put_number(&q, n->next);
    query_put_number(&q, n->seen);
    query_put_number(&q, n->until_us);
    return query_run(&q, NULL, e);
}

static status forget(struct store *s, enum statement which, uint64_t bound, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, bound);
    return query_run(&q, NULL, e);
}

status store_usage_forget(struct store *s, uint64_t day, uint64_t now_us, struct err *e)
{
    status st = forget(s, SQL_USAGE_FORGET, day, e);

    return st == OK ? forget(s, SQL_USAGE_NUMBER_FORGET, now_us, e) : st;
}
