/* Who is to hear of an event: whom a grant covers, and who held a lease, whatever became of it. */
#include "event.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MIN 4096 /* below that nobody looks for what is over */

/* A gateway had a lease of a key, or of any of a tenant's: until when. */
struct held {
    struct id pair;
    uint64_t until_us;
};

/* Ids are random, and so is this. */
static struct id pair_of(const struct id *gateway, const struct id *other)
{
    struct id pair;

    for (size_t i = 0; i < sizeof pair.b; i++)
        pair.b[i] = gateway->b[i] ^ other->b[i];
    return pair;
}

/* The table again, without what is over. */
static status drop_held(struct events *r, uint64_t now_us, struct err *e)
{
    struct table kept;
    struct held *h;
    size_t cursor = 0;
    status st = OK;

    table_init(&kept, sizeof(struct id));
    while (st == OK && (h = table_next(&r->held, &cursor)) != NULL) {
        if (h->until_us >= now_us)
            st = table_add(&kept, h->pair.b, h, e);
    }
    if (st != OK) {
        table_clear(&kept);
        return st;
    }
    cursor = 0;
    while ((h = table_next(&r->held, &cursor)) != NULL) {
        if (h->until_us < now_us)
            free(h);
    }
    table_clear(&r->held);
    r->held = kept;
    r->held_most = 2 * kept.count > HELD_MIN ? 2 * kept.count : HELD_MIN;
    return OK;
}

static status hold(struct engine *en, const struct id *gateway, const struct id *other,
                   uint64_t until_us, struct err *e)
{
    struct events *r = en->events;
    struct id pair = pair_of(gateway, other);
    struct held *h = table_find(&r->held, pair.b);
    status st;

    if (h != NULL) {
        if (h->until_us < until_us)
            h->until_us = until_us;
        return OK;
    }
    st = r->held.count < r->held_most ? OK : drop_held(r, engine_now_us(en), e);
    if (st != OK)
        return st;
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return fail(e, NO_MEMORY, "no memory for who holds leases", 0);
    *h = (struct held){ .pair = pair, .until_us = until_us };
    st = table_add(&r->held, h->pair.b, h, e);
    if (st != OK)
        free(h);
    return st;
}

status events_held(struct engine *en, const struct lease *lease, struct err *e)
{
    status st = hold(en, &lease->gateway, &lease->key, lease->expires_us, e);

    return st == OK ? hold(en, &lease->gateway, &lease->tenant, lease->expires_us, e) : st;
}

static bool has_grant(const struct engine *en, const struct id *gateway, const struct id *tenant)
{
    const struct policy_grant *g;
    size_t cursor = 0;

    while ((g = policy_grant_next(en->policy, gateway, &cursor)) != NULL) {
        if (id_same(&g->tenant, tenant))
            return true;
    }
    return false;
}

static bool has_key(const struct engine *en, const struct id *gateway, const struct event *v)
{
    const struct policy_bounds any = { .ttl_s = 1, .max_ttl_s = 1 };
    struct err none = { 0 };
    uint64_t ttl_s;

    return policy_lease(en->policy, gateway, &v->log, v->name, 1, &any, &ttl_s, &none) == OK;
}

static bool was_held(const struct events *r, const struct id *gateway, const struct id *other,
                     uint64_t time_us)
{
    const struct held *h = table_find(&r->held, pair_of(gateway, other).b);

    return h != NULL && h->until_us >= time_us;
}

bool event_is_visible(const struct engine *en, const struct request *rq, const struct event *v)
{
    const struct events *r = en->events;
    const struct id *gateway = &rq->gateway;

    if (v->type == RECORD_GATEWAY_REMOVED || v->type == RECORD_CERTIFICATE_REVOKED)
        return false;          /* whom they are about is refused */
    if (v->gateway[0] != '\0') /* its grant, or its leases */
        return strcmp(v->gateway, rq->peer.name) == 0;
    if (!id_is_zero(&v->holder))
        return id_same(&v->holder, gateway);
    if (id_is_zero(&v->log)) /* all leases, or the document that all are under */
        return true;
    if (v->name[0] != '\0')
        return has_key(en, gateway, v) || was_held(r, gateway, &v->key, v->time_us);
    return has_grant(en, gateway, &v->log) || was_held(r, gateway, &v->log, v->time_us);
}

void audience_init(struct events *r)
{
    table_init(&r->held, sizeof(struct id));
    r->held_most = HELD_MIN;
}
