/* Gateways say that they have heard of an event: once, in the log of whose it was. */
#include "event.h"

#include <stdlib.h>
#include <string.h>

#define ACKNOWLEDGE_MAX  64
#define ACKNOWLEDGED_MAX 262144 /* in memory; then those of the older events are forgotten */

struct acknowledged {
    struct id pair; /* of event and gateway */
    uint64_t event;
};

/* Of an event by a gateway of that name. */
static struct id acknowledgement(uint64_t event, struct span gateway)
{
    uint8_t digest[SHA256_SIZE];
    struct id pair;

    sha256(gateway, digest);
    memcpy(pair.b, digest, sizeof pair.b);
    for (size_t i = 0; i < sizeof event; i++)
        pair.b[i] ^= (uint8_t)(event >> 8 * i);
    return pair;
}

static void forget_acknowledged(struct events *r)
{
    struct acknowledged **old = calloc(r->acknowledged.count + 1, sizeof(void *)), *a;
    size_t cursor = 0, count = 0;

    if (old == NULL || r->count == 0) {
        free(old);
        return;
    }
    r->settled = event_at(r, r->count / 2)->number;
    while ((a = table_next(&r->acknowledged, &cursor)) != NULL) {
        if (a->event <= r->settled)
            old[count++] = a;
    }
    for (size_t i = 0; i < count; i++) {
        table_remove(&r->acknowledged, old[i]->pair.b);
        free(old[i]);
    }
    free(old);
}

static bool is_acknowledged(const struct events *r, uint64_t event, struct span gateway)
{
    return table_find(&r->acknowledged, acknowledgement(event, gateway).b) != NULL;
}

static status note_acknowledged(struct events *r, uint64_t event, struct span gateway,
                                struct err *e)
{
    struct acknowledged *a = calloc(1, sizeof *a);
    status st;

    if (a == NULL)
        return fail(e, NO_MEMORY, "no memory for what was acknowledged", 0);
    if (r->acknowledged.count >= ACKNOWLEDGED_MAX)
        forget_acknowledged(r);
    *a = (struct acknowledged){ .pair = acknowledgement(event, gateway), .event = event };
    st = table_add(&r->acknowledged, a->pair.b, a, e);
    if (st != OK)
        free(a);
    return st;
}

static void unnote_acknowledged(struct events *r, uint64_t event, struct span gateway)
{
    free(table_remove(&r->acknowledged, acknowledgement(event, gateway).b));
}

struct rebuilding {
    struct events *r;
    struct err *e;
    status st;
};

static bool take_acknowledged(void *context, const struct store_record *row)
{
    struct rebuilding *rebuilding = context;
    struct span gateway;
    uint64_t event;

    if (!record_field_number(row->line, "event", 1, INT64_MAX, &event) ||
        !record_field(row->line, "gateway", &gateway) || event <= rebuilding->r->settled ||
        is_acknowledged(rebuilding->r, event, gateway))
        return true;
    rebuilding->st = note_acknowledged(rebuilding->r, event, gateway, rebuilding->e);
    return rebuilding->st == OK;
}

struct plan {
    size_t count;
    uint64_t events[ACKNOWLEDGE_MAX];
};

static const struct event *find_event(const struct engine *en, const struct request *rq,
                                      uint64_t number)
{
    const struct events *r = en->events;
    size_t i = event_first_after(r, number - 1);
    const struct event *v = i < r->count ? event_at(r, i) : NULL;

    return v != NULL && v->number == number && number > r->settled && event_is_visible(en, rq, v)
               ? v
               : NULL;
}

static status acknowledge_entry(struct engine *en, struct request *rq, const struct event *v,
                                struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .log = v->log,
                                .type = RECORD_REVOCATION_ACKNOWLEDGED };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "gateway", rq->peer.name);
    fields_number(&f, "event", v->number);
    fields_text(&f, "event_type", record_type_name(v->type));
    if (v->name[0] != '\0')
        fields_text(&f, v->type == RECORD_GRANT_REMOVED ? "pattern" : "key", v->name);
    if (v->version != 0)
        fields_number(&f, "ended_version", v->version);
    if (!id_is_zero(&v->lease))
        fields_id(&f, "lease", &v->lease);
    if (!id_is_zero(&v->engagement))
        fields_id(&f, "engagement", &v->engagement);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static status acknowledge_one(struct engine *en, struct request *rq, struct plan *plan,
                              const json_t *number, struct err *e)
{
    json_int_t value = json_integer_value(number);
    const struct event *v;
    status st;

    if (!json_is_integer(number) || value < 1)
        return fail(e, BAD_INPUT, "events are the numbers of events", 0);
    v = find_event(en, rq, (uint64_t)value);
    if (v == NULL)
        return fail(e, NOT_FOUND, "there is no such event, or it is too old", 0);
    if (is_acknowledged(en->events, v->number, span_text(rq->peer.name)))
        return OK;
    st = note_acknowledged(en->events, v->number, span_text(rq->peer.name), e);
    if (st != OK)
        return st;
    plan->events[plan->count++] = v->number;
    return acknowledge_entry(en, rq, v, e);
}

/* Noted at once, so that the same again in this batch makes no second record: a batch is stored as
 * a whole, or the process ends. */
APPLY(revocation_acknowledge)
{
    const json_t *events = json_object_get(rq->body, "events");
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    size_t count = json_array_size(events);
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory to acknowledge", 0);
    if (count < 1 || count > ACKNOWLEDGE_MAX)
        return fail(e, BAD_INPUT, "events is a list of 1 to 64 numbers", 0);
    st = events_read(en, e);
    for (size_t i = 0; st == OK && i < count; i++)
        st = acknowledge_one(en, rq, plan, json_array_get(events, i), e);
    for (size_t i = 0; st != OK && i < plan->count; i++)
        unnote_acknowledged(en->events, plan->events[i], span_text(rq->peer.name));
    if (st == OK)
        rq->reply = json_pack("{s:I}", "acknowledged", (json_int_t)plan->count);
    return st;
}

void acknowledged_init(struct events *r)
{
    table_init(&r->acknowledged, sizeof(struct id));
}

status acknowledged_rebuild(struct engine *en, struct err *e)
{
    struct events *r = en->events;
    struct rebuilding rebuilding = { .r = r, .e = e };
    status st = r->count == 0
                    ? OK
                    : store_acknowledgements(en->store, r->lost, take_acknowledged, &rebuilding, e);

    return st == OK ? rebuilding.st : st;
}
