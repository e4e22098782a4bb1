/* The newest events, read from the records that they are. */
#include "event.h"

#include <stdlib.h>
#include <string.h>

#define RING 4096 /* events in memory */

static bool is_event(uint16_t type)
{
    switch (type) { /* as SQL_RECORD_EVENTS has them */
    case RECORD_ENGAGEMENT_ENDED:
    case RECORD_KEY_ROTATED:
    case RECORD_KEY_REVOKED:
    case RECORD_LEASE_REVOKED:
    case RECORD_GATEWAY_REMOVED:
    case RECORD_GRANT_REMOVED:
    case RECORD_CERTIFICATE_REVOKED:
    case RECORD_POLICY_SET: return true;
    default: return false;
    }
}

void events_heard(struct engine *en, uint16_t type)
{
    if (en->events != NULL && is_event(type))
        en->events->fresh = true;
}

static struct event *at(const struct events *r, size_t i)
{
    return &r->ring[(r->newest + RING - r->count + i) % RING];
}

const struct event *event_at(const struct events *r, size_t i)
{
    return at(r, i);
}

size_t event_first_after(const struct events *r, uint64_t after)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (at(r, middle)->number > after)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void take_text(struct span line, const char *name, char *out, size_t cap)
{
    struct span value;

    if (record_field(line, name, &value) && value.n < cap) {
        memcpy(out, value.p, value.n);
        out[value.n] = '\0';
    }
}

/* "tenant/name" stands in records of leases, the name alone in those of keys. */
static void without_tenant(char *name)
{
    const char *slash = strchr(name, '/');

    if (slash != NULL)
        memmove(name, slash + 1, strlen(slash));
}

static void read_event(const struct store_record *row, struct event *v)
{
    uint64_t version = 0;

    *v = (struct event){
        .number = row->id, .time_us = row->time_us, .type = row->type, .log = row->log
    };
    record_field_id(row->line, "ended_lease", &v->lease);
    record_field_id(row->line, "engagement_id", &v->engagement);
    take_text(row->line, "gateway", v->gateway, sizeof v->gateway);
    if (record_field_number(row->line, "version", 1, UINT32_MAX, &version))
        v->version = (uint32_t)version;
    take_text(row->line, row->type == RECORD_GRANT_REMOVED ? "pattern" : "key", v->name,
              sizeof v->name);
    without_tenant(v->name);
}

static void keep_event(struct events *r, const struct event *v)
{
    if (r->count == RING)
        r->lost = at(r, 0)->number;
    else
        r->count++;
    r->ring[r->newest] = *v;
    r->newest = (r->newest + 1) % RING;
    r->last = v->number;
}

struct reading {
    struct events *r;
    size_t count;
    uint64_t first;
};

static bool take_event(void *context, const struct store_record *row)
{
    struct reading *reading = context;
    struct event v;

    if (reading->count++ == 0)
        reading->first = row->id;
    read_event(row, &v);
    keep_event(reading->r, &v);
    return true;
}

static void name_key(struct engine *en, struct event *v)
{
    struct store_key key;
    struct lease lease;
    enum lease_state state;

    if (!id_is_zero(&v->lease)) { /* one lease: of which key, and whose */
        if (!leases_recent(en->leases, &v->lease, engine_now_us(en), &lease, &state))
            return;
        v->holder = lease.gateway;
        v->key = lease.key;
        if (store_key_by_id(en->store, &v->log, &v->key, &key, NULL) == OK)
            memcpy(v->name, key.name, sizeof key.name);
        return;
    }
    if (v->type != RECORD_GRANT_REMOVED && v->name[0] != '\0' &&
        store_key(en->store, &v->log, v->name, &key, NULL) == OK)
        v->key = key.id;
}

/* Whose it is and which key: looked up when the query that gave the events is over. What is purged
 * is not there any more, and what is damaged keeps no gateway from hearing of the rest. */
static void look_up(struct engine *en, struct event *v)
{
    struct store_tenant tenant;

    if (id_is_zero(&v->log))
        return;
    if (store_tenant_by_id(en->store, &v->log, &tenant, NULL) == OK)
        memcpy(v->tenant, tenant.name, sizeof v->tenant);
    name_key(en, v);
}

status events_read(struct engine *en, struct err *e)
{
    struct events *r = en->events;
    struct reading reading = { .r = r };
    status st = OK;

    if (r == NULL || !r->fresh)
        return OK;
    r->fresh = false;
    st = store_event_records(en->store, r->last, RING, take_event, &reading, e);
    if (st == OK && reading.count == RING && r->lost < reading.first)
        r->lost = reading.first - 1; /* the newest are read: there may be older ones */
    for (size_t i = r->count - (reading.count < r->count ? reading.count : r->count); i < r->count;
         i++)
        look_up(en, at(r, i));
    en->waiting.event |= reading.count > 0;
    return st;
}

status events_new(struct events **ret_events, struct err *e)
{
    struct events *r = calloc(1, sizeof *r);

    if (r != NULL)
        r->ring = calloc(RING, sizeof *r->ring);
    if (r == NULL || r->ring == NULL) {
        free(r);
        return fail(e, NO_MEMORY, "no memory for revocations", 0);
    }
    audience_init(r);
    acknowledged_init(r);
    *ret_events = r;
    return OK;
}

status events_rebuild(struct engine *en, struct err *e)
{
    status st;

    en->events->fresh = true;
    st = events_read(en, e);
    return st == OK ? acknowledged_rebuild(en, e) : st;
}

void events_free(struct events *r)
{
    if (r == NULL)
        return;
    table_clear_values(&r->held);
    table_clear_values(&r->acknowledged);
    free(r->ring);
    free(r);
}
