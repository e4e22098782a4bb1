/* Tenants and their engagements. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 100

static json_t *tenant_json(const struct store_tenant *t)
{
    return json_pack("{s:o, s:s, s:s, s:o}", "id", json_id(&t->id), "name", t->name, "region",
                     t->region, "created", json_time(t->created_us));
}

APPLY(tenant_list)
{
    struct store_tenant page[PAGE];
    size_t count;
    json_t *list;
    const char *after = rq->after[0] == '\0' ? NULL : rq->after;
    status st = rq->limited
                    ? store_assigned_tenants(en->store, rq->peer.name, after, page, PAGE, &count, e)
                    : store_tenants(en->store, after, page, PAGE, &count, e);

    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, tenant_json(&page[i]));
    rq->reply = json_pack("{s:o, s:o}", "tenants", list, "next",
                          json_next(count == 0 ? "" : page[count - 1].name, count, PAGE));
    return OK;
}

APPLY(tenant_create)
{
    struct wire_entry entry = { .kind = ENTRY_TENANT_NEW };
    struct store_tenant *t, existing;
    struct err absent = { 0 };
    struct fields f;
    const char *name;
    status st = body_name(rq, "name", &name, e);

    if (st == OK)
        st = body_region(en, rq, e);
    if (st == OK && strcmp(name, "vault") == 0)
        st = fail(e, BAD_INPUT, "vault is the name of the vault's own log", 0);
    if (st == OK && strcmp(name, "tree") == 0)
        st = fail(e, BAD_INPUT, "tree is the name of the vault tree's log", 0);
    if (st != OK)
        return st;
    st = store_tenant(en->store, name, &existing, &absent);
    if (st == OK)
        return fail(e, CONFLICT, "a tenant of that name exists", 0);
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    t = rq->plan = calloc(1, sizeof *t);
    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for a tenant", 0);
    random_bytes((struct mspan){ t->id.b, sizeof t->id.b });
    memcpy(t->name, name, strlen(name));
    memcpy(t->region, en->region, sizeof t->region);
    t->created_us = engine_now_us(en);
    entry.log = entry.tenant = t->id;
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "tenant", t->name);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(tenant_created)
{
    const struct store_tenant *t = rq->plan;
    status st = store_tenant_add(en->store, t, e);

    (void)result;
    if (st != OK)
        return st;
    rq->created = true;
    rq->reply = tenant_json(t);
    return OK;
}

APPLY(tenant_show)
{
    struct store_tenant t;
    struct store_retention kept;
    status st = store_tenant(en->store, rq->param[0], &t, e);

    if (st == OK)
        st = store_retention(en->store, &t.id, &kept, e);
    if (st != OK)
        return st;
    rq->reply = tenant_json(&t);
    json_object_set_new(rq->reply, "retention_days", /* null: for ever */
                        kept.days == 0 ? json_null() : json_integer((json_int_t)kept.days));
    return OK;
}

static const char *state_name(uint8_t state)
{
    static const char *const names[] = { [ENGAGEMENT_ACTIVE] = "active",
                                         [ENGAGEMENT_ENDED] = "ended",
                                         [ENGAGEMENT_PURGED] = "purged",
                                         [ENGAGEMENT_HELD] = "held" };

    return state >= ENGAGEMENT_ACTIVE && state <= ENGAGEMENT_HELD ? names[state] : "unknown";
}

static json_t *engagement_json(const struct store_engagement *g)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "id", json_id(&g->id), "name", g->name,
                     "state", state_name(g->state), "started", json_time(g->started_us), "ended",
                     json_time(g->ended_us), "due", json_time(g->due_us), "purged",
                     json_time(g->purged_us));
}

APPLY(engagement_list)
{
    struct store_engagement page[PAGE];
    size_t count;
    json_t *list;
    status st = store_engagements(en->store, &rq->log, rq->after[0] == '\0' ? NULL : rq->after,
                                  page, PAGE, &count, e);

    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, engagement_json(&page[i]));
    rq->reply = json_pack("{s:o, s:o}", "engagements", list, "next",
                          json_next(count == 0 ? "" : page[count - 1].name, count, PAGE));
    return OK;
}

static status engagement_entry(struct engine *en, struct request *rq, uint8_t kind,
                               const struct store_engagement *g, struct err *e)
{
    struct wire_entry entry = {
        .kind = kind, .log = g->tenant, .tenant = g->tenant, .engagement = g->id
    };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "engagement", g->name);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

APPLY(engagement_start)
{
    struct store_engagement *g, existing;
    struct err absent = { 0 };
    const char *name;
    status st = body_name(rq, "name", &name, e);

    if (st != OK)
        return st;
    st = store_engagement(en->store, &rq->log, name, &existing, &absent);
    if (st == OK)
        return fail(e, CONFLICT, "an engagement of that name exists: choose another name", 0);
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    g = rq->plan = calloc(1, sizeof *g);
    if (g == NULL)
        return fail(e, NO_MEMORY, "no memory for an engagement", 0);
    random_bytes((struct mspan){ g->id.b, sizeof g->id.b });
    g->tenant = rq->log;
    memcpy(g->name, name, strlen(name));
    g->state = ENGAGEMENT_ACTIVE;
    g->started_us = engine_now_us(en);
    return engagement_entry(en, rq, ENTRY_ENGAGEMENT_START, g, e);
}

COMPLETE(engagement_started)
{
    const struct store_engagement *g = rq->plan;
    status st = store_engagement_add(en->store, g, e);

    (void)result;
    if (st != OK)
        return st;
    rq->created = true;
    rq->reply = engagement_json(g);
    return OK;
}

APPLY(engagement_end)
{
    struct store_engagement *g = rq->plan = calloc(1, sizeof *g);
    status st;

    if (g == NULL)
        return fail(e, NO_MEMORY, "no memory for an engagement", 0);
    st = store_engagement(en->store, &rq->log, rq->param[1], g, e);
    if (st != OK)
        return st;
    if (g->state != ENGAGEMENT_ACTIVE)
        return fail(e, CONFLICT, "the engagement has ended already", 0);
    return engagement_entry(en, rq, ENTRY_ENGAGEMENT_END, g, e);
}

/* The keeper set the date; from the next batch on nothing of this engagement is leased. */
COMPLETE(engagement_ended)
{
    struct store_engagement *g = rq->plan;
    struct lease pattern = { .tenant = g->tenant, .engagement = g->id };
    status st;

    g->state = ENGAGEMENT_ENDED;
    g->due_us = result->due_us;
    g->ended_us = result->due_us - PURGE_DELAY_S * (uint64_t)1000000;
    st = store_engagement_set(en->store, g, e);
    if (st == OK)
        leases_end(en->leases, &pattern, engine_now_us(en));
    if (st == OK)
        rq->reply = engagement_json(g);
    return st;
}
