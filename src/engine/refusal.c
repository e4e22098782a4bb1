/*
 * Every refusal is a record, but a flood of them must not fill the disk: after REFUSALS_SINGLE in
 * one minute, an actor's further refusals are counted and written as one record when the minute is
 * over. Actors are told apart by certificate; all peers without one are one actor.
 */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"

#define REFUSALS_SINGLE 20
#define PURPOSE_MAX     128
#define MINUTE_US       (60 * SECOND_US)
#define ACTORS_MAX      4096
#define ACTORS_AT_ONCE  40 /* counts in one batch, with room for everyone's */

struct actor {
    uint8_t spki[32];
    struct id log;
    char name[2 * STORE_NAME]; /* as records of log say it: no person's own */
    uint64_t minute_us;        /* when it began, monotonic */
    uint32_t single;
    uint64_t counted;
};

struct refusals {
    struct table actors;   /* by spki */
    struct actor everyone; /* when there are too many to tell apart */
};

status refusals_new(struct refusals **ret_refusals, struct err *e)
{
    struct refusals *r = calloc(1, sizeof *r);

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory to count refusals", 0);
    table_init(&r->actors, 32);
    memcpy(r->everyone.name, "many", sizeof "many");
    *ret_refusals = r;
    return OK;
}

void refusals_free(struct refusals *r)
{
    if (r == NULL)
        return;
    table_clear_values(&r->actors);
    free(r);
}

static struct actor *actor_for(struct engine *en, const struct request *rq)
{
    struct refusals *r = en->refusals;
    struct actor *a = table_find(&r->actors, rq->peer.spki);

    if (a != NULL)
        return a;
    if (r->actors.count >= ACTORS_MAX || (a = calloc(1, sizeof *a)) == NULL)
        return &r->everyone;
    memcpy(a->spki, rq->peer.spki, sizeof a->spki);
    a->log = rq->log;
    if (actor_text(en, rq, &a->log, a->name, NULL) != OK ||
        table_add(&r->actors, a->spki, a, NULL) != OK) {
        free(a);
        return &r->everyone;
    }
    return a;
}

static bool is_lease(enum verb verb)
{
    return verb == VERB_LEASE_ISSUE || verb == VERB_LEASE_RENEW || verb == VERB_LEASE_RELEASE;
}

/* The path begins with the name of a person. */
static bool names_person(enum verb verb)
{
    return verb == VERB_AUDITOR_ASSIGN || verb == VERB_AUDITOR_UNASSIGN;
}

/* Ours and not the caller's. */
static bool is_trouble(status st)
{
    return st == CORRUPT || st == IO || st == NO_MEMORY || st == BUG;
}

/* With what documents of policy were asked, so that their answer can be explained. */
static void put_asked(struct engine *en, const struct request *rq, struct fields *f)
{
    const char *purpose = json_string_value(json_object_get(rq->body, "purpose"));

    if (!rq->judged.asked)
        return;
    fields_number(f, "ttl_s", rq->judged.ttl_s);
    fields_text(f, "class", class_name(rq->judged.class));
    if (purpose != NULL && strlen(purpose) <= PURPOSE_MAX)
        fields_person(en, f, "purpose", purpose, &rq->log);
    judged_fields(rq, f);
}

static status write_single(struct engine *en, struct request *rq, struct err *e)
{
    struct wire_entry entry = {
        .kind = ENTRY_RECORD,
        .log = rq->log,
        .type = is_lease(rq->verb) ? RECORD_LEASE_REFUSED : RECORD_REQUEST_REFUSED,
        .outcome = is_trouble(rq->outcome) ? OUTCOME_FAILED : OUTCOME_DENIED,
    };
    struct fields f;
    const char *wanted = json_string_value(json_object_get(rq->body, "key"));

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "verb", verb_name(rq->verb));
    fields_text(&f, "code", status_name(rq->outcome));
    fields_text(&f, "why", rq->err.why);
    if (is_lease(rq->verb)) { /* its path may hold a token, or most of one */
        if (wanted != NULL && strlen(wanted) < 2 * STORE_NAME)
            fields_text(&f, "key", wanted);
        else if (rq->judged.asked)
            fields_text(&f, "key", rq->judged.key);
        put_asked(en, rq, &f);
    } else {
        if (name_valid(rq->param[0]) && names_person(rq->verb))
            fields_person(en, &f, "on", rq->param[0], &entry.log);
        else if (name_valid(rq->param[0]))
            fields_text(&f, "on", rq->param[0]);
        if (name_valid(rq->param[1]))
            fields_text(&f, "on_part", rq->param[1]);
    }
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* What was refused in several logs is no tenant's business alone. */
static status move_to_vault(struct engine *en, struct actor *a, const struct request *rq,
                            struct err *e)
{
    if (id_is_zero(&a->log))
        return OK;
    a->log = (struct id){ { 0 } };
    return a == &en->refusals->everyone ? OK : actor_text(en, rq, &a->log, a->name, e);
}

status refusal_record(struct engine *en, struct request *rq, struct err *e)
{
    struct actor *a = actor_for(en, rq);
    uint64_t now = clock_monotonic_us();

    if (is_trouble(rq->outcome))
        log_err(LOG_ERROR_, "a request failed", &rq->err);
    if (a->minute_us == 0)
        a->minute_us = now;
    if (a->single >= REFUSALS_SINGLE) {
        a->counted++;
        return id_same(&a->log, &rq->log) ? OK : move_to_vault(en, a, rq, e);
    }
    a->single++;
    return write_single(en, rq, e);
}

static status write_count(struct engine *en, const struct actor *a, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .log = a->log,
                                .type = RECORD_REQUESTS_REFUSED,
                                .outcome = OUTCOME_DENIED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", a->name);
    fields_number(&f, "count", a->counted);
    entry.fields = fields_view(&f);
    return batch_entry(en, NULL, &entry, e);
}

static bool over(const struct actor *a, uint64_t now, bool all)
{
    return a->minute_us != 0 && (all || now - a->minute_us >= MINUTE_US);
}

/* One batch of counts; who was counted begins anew. *ret_more: the batch was full. */
static status flush_some(struct engine *en, uint64_t now, bool all, bool *ret_more, struct err *e)
{
    struct refusals *r = en->refusals;
    struct actor *done[ACTORS_AT_ONCE];
    struct actor *a = &r->everyone;
    size_t cursor = 0, count = 0;
    status st = batch_begin(en, e);

    do {
        if (st != OK || !over(a, now, all))
            continue;
        if (a->counted > 0)
            st = write_count(en, a, e);
        if (a == &r->everyone)
            a->counted = a->single = 0, a->minute_us = 0;
        else
            done[count++] = a;
    } while (st == OK && count < ACTORS_AT_ONCE && (a = table_next(&r->actors, &cursor)) != NULL);
    if (st == OK)
        st = batch_finish(en, &batch_tolerant, e);
    /* Quiet again: forget them, so that the table holds only who was refused lately. */
    for (size_t i = 0; i < count; i++)
        free(table_remove(&r->actors, done[i]->spki));
    *ret_more = count == ACTORS_AT_ONCE;
    return st;
}

status refusals_flush(struct engine *en, bool all, struct err *e)
{
    uint64_t now = clock_monotonic_us();
    bool more = true;
    status st = OK;

    while (st == OK && more)
        st = flush_some(en, now, all, &more, e);
    return st;
}
