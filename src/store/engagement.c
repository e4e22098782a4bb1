/* Engagements of a tenant, and their purge. */
#include "db.h"

status store_engagement_add(struct store *s, const struct store_engagement *g, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ENGAGEMENT_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &g->id);
    query_put_id(&q, &g->tenant);
    query_put_text(&q, g->name);
    query_put_number(&q, g->state);
    query_put_number(&q, g->started_us);
    query_put_number(&q, g->ended_us);
    query_put_number(&q, g->due_us);
    query_put_number(&q, g->left_us);
    query_put_number(&q, g->purged_us);
    return query_run(&q, NULL, e);
}

static status get_engagement(struct query *q, struct store_engagement *ret_engagement,
                             struct err *e)
{
    struct store_engagement g = { 0 };
    status st = OK;

    query_get_id(q, &g.id);
    query_get_id(q, &g.tenant);
    query_get_text(q, g.name, sizeof(g.name));
    g.state = (uint8_t)query_get_number(q, UINT8_MAX);
    g.started_us = query_get_number(q, INT64_MAX);
    g.ended_us = query_get_number(q, INT64_MAX);
    g.due_us = query_get_number(q, INT64_MAX);
    g.left_us = query_get_number(q, INT64_MAX);
    g.purged_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_engagement = g;
    return st;
}

static status one_engagement(struct query *q, struct store_engagement *ret_engagement,
                             struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st != OK)
        return st;
    if (!row)
        return fail(e, NOT_FOUND, "no such engagement", 0);
    return get_engagement(q, ret_engagement, e);
}

status store_engagement(struct store *s, const struct id *tenant, const char *name,
                        struct store_engagement *ret_engagement, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ENGAGEMENT_BY_NAME, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_text(&q, name);
    return one_engagement(&q, ret_engagement, e);
}

status store_engagement_by_id(struct store *s, const struct id *tenant, const struct id *id,
                              struct store_engagement *ret_engagement, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ENGAGEMENT_BY_ID, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, id);
    return one_engagement(&q, ret_engagement, e);
}

status store_engagement_set(struct store *s, const struct store_engagement *g, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_ENGAGEMENT_SET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &g->tenant);
    query_put_id(&q, &g->id);
    query_put_number(&q, g->state);
    query_put_number(&q, g->started_us);
    query_put_number(&q, g->ended_us);
    query_put_number(&q, g->due_us);
    query_put_number(&q, g->left_us);
    query_put_number(&q, g->purged_us);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such engagement", 0);
    return st;
}

/* Stops or starts the clock of an engagement; not *ret_turned: it is in no state for that. */
static status turn_clock(struct store *s, enum statement which, const struct id *tenant,
                         const struct id *id, uint64_t time_us, bool *ret_turned, struct err *e)
{
    AUTO(query) q = { 0 };
    struct store_engagement g;
    size_t changes = 0;
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, id);
    query_put_number(&q, time_us);
    st = query_run(&q, &changes, e);
    *ret_turned = changes > 0;
    return st == OK && changes == 0 ? store_engagement_by_id(s, tenant, id, &g, e) : st;
}

status store_engagement_hold(struct store *s, const struct id *tenant, const struct id *id,
                             uint64_t time_us, struct err *e)
{
    bool turned = false;
    status st = turn_clock(s, SQL_ENGAGEMENT_HOLD, tenant, id, time_us, &turned, e);

    if (st != OK || turned)
        return st;
    return fail(e, CONFLICT, "only an engagement that ended and is not held can be held", 0);
}

status store_engagement_lift(struct store *s, const struct id *tenant, const struct id *id,
                             uint64_t due_us, struct err *e)
{
    bool turned = false;
    status st = turn_clock(s, SQL_ENGAGEMENT_LIFT, tenant, id, due_us, &turned, e);

    if (st != OK || turned)
        return st;
    return fail(e, CONFLICT, "engagement is not held", 0);
}

static status get_engagements(struct query *q, struct store_engagement *ret_engagements, size_t cap,
                              size_t *ret_count, struct err *e)
{
    size_t n = 0;

    while (n < cap) {
        bool row = false;
        status st = query_step(q, &row, e);

        if (st == OK && !row)
            break;
        if (st == OK)
            st = get_engagement(q, &ret_engagements[n], e);
        if (st != OK)
            return st;
        n++;
    }
    *ret_count = n;
    return OK;
}

status store_engagements(struct store *s, const struct id *tenant, const char *after,
                         struct store_engagement *ret_engagements, size_t cap, size_t *ret_count,
                         struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ENGAGEMENT_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_text(&q, after != NULL ? after : "");
    return get_engagements(&q, ret_engagements, cap, ret_count, e);
}

status store_engagements_ended(struct store *s, size_t offset,
                               struct store_engagement *ret_engagements, size_t cap,
                               size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ENGAGEMENT_ENDED, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, cap);
    query_put_number(&q, offset);
    return get_engagements(&q, ret_engagements, cap, ret_count, e);
}

/* Runs a statement whose parameters are the tenant and the engagement. */
static status purge_step(struct store *s, enum statement which, const struct id *tenant,
                         const struct id *engagement, size_t *ret_changes, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, which, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, tenant);
    query_put_id(&q, engagement);
    return query_run(&q, ret_changes, e);
}

status store_purge(struct store *s, const struct id *tenant, const struct id *engagement,
                   size_t *ret_count, struct err *e)
{
    struct store_engagement g;
    size_t versions = 0;
    status st = store_engagement_by_id(s, tenant, engagement, &g, e);

    if (st != OK)
        return st;
    st = purge_step(s, SQL_VERSION_PURGE, tenant, engagement, &versions, e);
    if (st == OK)
        st = purge_step(s, SQL_KEY_PURGE, tenant, engagement, NULL, e);
    if (st == OK)
        *ret_count = versions;
    return st;
}
