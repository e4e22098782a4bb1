/* What was reported, summed up as asked for. */
#include "usage.h"

#include <string.h>

#include "base/clock.h"

#define DAY_US       (DAY_S * SECOND_US)
#define ROWS_MAX     5000
#define DEFAULT_DAYS 31
#define DAY_TEXT     10 /* 2026-11-30 */

struct listing {
    json_t *rows;
    unsigned by;
};

static json_t *json_day(uint64_t day)
{
    char text[TIME_TEXT_LENGTH + 1];

    time_format(day * DAY_US, text);
    return json_stringn(text, DAY_TEXT);
}

static void set_text(json_t *row, const struct listing *l, unsigned by, const char *name,
                     const char *text)
{
    if ((l->by & by) != 0)
        json_object_set_new(row, name, json_string(text));
}

static bool add_row(void *context, const struct store_usage_row *r)
{
    struct listing *l = context;
    const struct store_usage *sum = &r->sum;
    const char *class = class_name(sum->class);
    json_t *row = json_object();

    if ((l->by & BY_DAY) != 0)
        json_object_set_new(row, "day", json_day(sum->day));
    set_text(row, l, BY_TENANT, "tenant", r->tenant);
    set_text(row, l, BY_KEY, "key", r->key);
    set_text(row, l, BY_GATEWAY, "gateway", r->gateway);
    set_text(row, l, BY_MODEL, "model", sum->model);
    json_object_set_new(row, "class", sum->class == 0 ? json_null() : json_string(class));
    json_object_set_new(row, "requests", json_integer((json_int_t)sum->requests));
    json_object_set_new(row, "failures", json_integer((json_int_t)sum->failures));
    json_object_set_new(row, "input_tokens", json_integer((json_int_t)sum->input_tokens));
    json_object_set_new(row, "output_tokens", json_integer((json_int_t)sum->output_tokens));
    json_object_set_new(row, "cost_micro", json_integer((json_int_t)sum->cost_micro));
    json_object_set_new(row, "reports", json_integer((json_int_t)sum->reports));
    json_object_set_new(row, "inferred", json_integer((json_int_t)sum->inferred));
    return json_array_append_new(l->rows, row) == 0;
}

/* Whose sums this peer may see. */
static status scope(struct engine *en, struct request *rq, const char *tenant,
                    struct store_usage_filter *f, struct err *e)
{
    status st;

    if (tenant[0] != '\0') {
        memcpy(rq->param[0], tenant, STORE_NAME);
        st = verb_tenant(en, rq, e);
        f->tenant = rq->log;
        return st;
    }
    if (rq->peer.role == ROLE_TENANT)
        f->tenant = rq->tenant;
    if (rq->limited)
        memcpy(f->auditor, rq->peer.name, sizeof f->auditor);
    return OK;
}

static void read_filter(const struct usage_filter *asked, uint64_t today,
                        struct store_usage_filter *f)
{
    uint64_t first = today < DEFAULT_DAYS ? 0 : today - DEFAULT_DAYS + 1;

    f->from_day = asked->has_since ? asked->from_day : first;
    f->to_day = asked->has_until ? asked->to_day : INT64_MAX;
    f->by = asked->by != 0 ? asked->by : BY_DAY;
    memcpy(f->key, asked->key, sizeof f->key);
    memcpy(f->gateway, asked->gateway, sizeof f->gateway);
    memcpy(f->model, asked->model, sizeof f->model);
}

APPLY(usage_show)
{
    static const struct usage_filter all;
    const struct usage_filter *asked = rq->usage_filter == NULL ? &all : rq->usage_filter;
    struct store_usage_filter f = { .by = 0 };
    struct listing listing = { .rows = NULL };
    status st = scope(en, rq, asked->tenant, &f, e);

    if (st != OK)
        return st;
    read_filter(asked, engine_now_us(en) / DAY_US, &f);
    listing.by = f.by;
    listing.rows = json_array();
    st = store_usage(en->store, &f, ROWS_MAX + 1, add_row, &listing, e);
    if (st == OK && json_array_size(listing.rows) > ROWS_MAX)
        st = fail(e, LIMIT,
                  "more than 5000 rows: name a tenant, a key or fewer days, or tell less apart", 0);
    if (st != OK) {
        json_decref(listing.rows);
        return st;
    }
    rq->reply = json_pack("{s:o, s:o}", "since", json_day(f.from_day), "rows", listing.rows);
    return OK;
}
