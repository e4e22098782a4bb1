/*
 * Every refusal is a record, but a flood of them must not fill the disk: after REFUSALS_SINGLE in
 * one minute, an actor's further refusals are counted and written as one record when the minute is
 * over. Actors are told apart by certificate; all peers without one are one actor.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"

#define REFUSALS_SINGLE 20
#define MINUTE_US       (60 * SECOND_US)
#define ACTORS_MAX      4096

struct actor {
    uint8_t spki[32];
    struct id log;
    char name[2 * STORE_NAME];
    uint64_t minute_us; /* when it began, monotonic */
    uint32_t single;
    uint64_t counted;
};

struct refusals {
    struct table actors; /* by spki */
    struct actor everyone; /* when there are too many to tell apart */
};

status refusals_new(struct refusals **ret_refusals, struct err *e)
{
    struct refusals *r = calloc(1, sizeof *r);

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory to count refusals", 0);
    table_init(&r->actors, 32);
    strcpy(r->everyone.name, "many");
    *ret_refusals = r;
    return OK;
}

void refusals_free(struct refusals *r)
{
    size_t cursor = 0;
    void *actor;

    if (r == NULL)
        return;
    while ((actor = table_next(&r->actors, &cursor)) != NULL)
        free(actor);
    table_clear(&r->actors);
    free(r);
}

static struct actor *actor_for(struct refusals *r, const struct request *rq)
{
    struct actor *a = table_find(&r->actors, rq->peer.spki);

    if (a != NULL)
        return a;
    if (r->actors.count >= ACTORS_MAX || (a = calloc(1, sizeof *a)) == NULL)
        return &r->everyone;
    memcpy(a->spki, rq->peer.spki, sizeof a->spki);
    a->log = rq->log;
    actor_of(rq, a->name);
    if (table_add(&r->actors, a->spki, a, NULL) != OK) {
        free(a);
        return &r->everyone;
    }
    return a;
}

static bool is_lease(enum verb verb)
{
    return verb == VERB_LEASE_ISSUE || verb == VERB_LEASE_RENEW || verb == VERB_LEASE_RELEASE;
}

static status write_single(struct engine *en, struct request *rq, struct err *e)
{
    struct wire_entry entry = {
        .kind = ENTRY_RECORD,
        .log = rq->log,
        .type = is_lease(rq->verb) ? RECORD_LEASE_REFUSED : RECORD_REQUEST_REFUSED,
        .outcome = rq->outcome == BUG || rq->outcome == NO_MEMORY ? OUTCOME_FAILED
                                                                  : OUTCOME_DENIED,
    };
    struct fields f;
    const char *wanted = json_string_value(json_object_get(rq->body, "key"));

    fields_of(&f, rq);
    fields_text(&f, "verb", verb_name(rq->verb));
    fields_text(&f, "code", status_name(rq->outcome));
    fields_text(&f, "why", rq->err.why);
    if (is_lease(rq->verb) && wanted != NULL && strlen(wanted) < 2 * STORE_NAME)
        fields_text(&f, "key", wanted);
    else if (name_valid(rq->param[0]))
        fields_text(&f, "on", rq->param[0]);
    if (name_valid(rq->param[1]))
        fields_text(&f, "on_part", rq->param[1]);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

status refusal_record(struct engine *en, struct request *rq, struct err *e)
{
    struct actor *a = actor_for(en->refusals, rq);
    uint64_t now = clock_monotonic_us();

    if (a->minute_us == 0)
        a->minute_us = now;
    if (a->single >= REFUSALS_SINGLE) {
        a->counted++;
        return OK;
    }
    a->single++;
    return write_single(en, rq, e);
}

static status write_count(struct engine *en, const struct actor *a, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = a->log,
                                .type = RECORD_REQUESTS_REFUSED, .outcome = OUTCOME_DENIED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", a->name);
    fields_number(&f, "count", a->counted);
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, false, e);
}

static status flush_actor(struct engine *en, struct actor *a, struct err *e)
{
    status st = a->counted == 0 ? OK : write_count(en, a, e);

    a->minute_us = 0;
    a->single = 0;
    a->counted = 0;
    return st;
}

static bool over(const struct actor *a, uint64_t now, bool all)
{
    return a->minute_us != 0 && (all || now - a->minute_us >= MINUTE_US);
}

status refusals_flush(struct engine *en, bool all, struct err *e)
{
    struct refusals *r = en->refusals;
    uint64_t now = clock_monotonic_us();
    struct actor *done[64];
    size_t cursor = 0, count = 0;
    struct actor *a;
    status st = OK;

    if (over(&r->everyone, now, all))
        st = flush_actor(en, &r->everyone, e);
    while (st == OK && (a = table_next(&r->actors, &cursor)) != NULL) {
        if (!over(a, now, all))
            continue;
        st = flush_actor(en, a, e);
        if (count < 64)
            done[count++] = a;
    }
    /* Quiet again: forget them, so that the table holds only who was refused lately. */
    for (size_t i = 0; i < count; i++)
        free(table_remove(&r->actors, done[i]->spki));
    return st;
}
