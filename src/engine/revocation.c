/* The feed of revocations: what ended and concerns the gateway that asks. */
#include "event.h"

#include <string.h>

#include "ledger/tree.h"
#include "store/checkpoint.h"

#define EVENTS_AT_ONCE 100

static json_t *id_or_null(const struct id *id)
{
    return id_is_zero(id) ? json_null() : json_id(id);
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *event_json(const struct event *v)
{
    return json_pack("{s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "event", (json_int_t)v->number,
                     "time", json_time(v->time_us), "what", record_type_name(v->type), "tenant",
                     text_or_null(v->tenant), "key", text_or_null(v->name), "lease",
                     id_or_null(&v->lease), "engagement_id", id_or_null(&v->engagement), "version",
                     v->version == 0 ? json_null() : json_integer((json_int_t)v->version));
}

/* The newest of the vault tree: a sign of life that cannot be made up. */
static status checkpoint_json(struct engine *en, json_t **ret_note, struct err *e)
{
    struct err absent = { 0 };
    struct store_note note;
    status st = store_note(en->store, &ledger_log_tree, &note, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    *ret_note = st == OK ? json_stringn((const char *)note.note.p, note.note.n) : json_null();
    return OK;
}

static status read_after(const struct request *rq, uint64_t *ret_after, struct err *e)
{
    *ret_after = 0;
    if (rq->after[0] != '\0' && !number_parse(rq->after, 0, INT64_MAX, ret_after))
        return fail(e, BAD_INPUT, "after is the number that next gave", 0);
    return OK;
}

/* The visible ones after a number, and where the next page begins. */
static json_t *events_after(const struct engine *en, const struct request *rq, uint64_t after,
                            uint64_t *ret_next)
{
    const struct events *r = en->events;
    json_t *list = json_array();

    *ret_next = r->last;
    for (size_t i = event_first_after(r, after); i < r->count; i++) {
        const struct event *v = event_at(r, i);

        if (!event_is_visible(en, rq, v))
            continue;
        json_array_append_new(list, event_json(v));
        if (json_array_size(list) == EVENTS_AT_ONCE) {
            *ret_next = v->number;
            break;
        }
    }
    return list;
}

/* Who begins, and who was away for too long, hears where now is: there is nothing to wait for. */
APPLY(revocation_list)
{
    const struct events *r = en->events;
    bool begins = rq->after[0] == '\0', lost;
    json_t *list, *note = NULL;
    uint64_t after, next;
    status st = read_after(rq, &after, e);

    if (st == OK)
        st = waiting_admit(en, rq, e);
    if (st == OK)
        st = events_read(en, e);
    if (st != OK)
        return st;
    lost = !begins && (after < r->lost || after > r->last);
    list = events_after(en, rq, begins || lost ? r->last : after, &next);
    if (json_array_size(list) == 0 && !begins && !lost && waiting_begin_event(en, rq)) {
        json_decref(list);
        return OK;
    }
    st = checkpoint_json(en, &note, e);
    if (st != OK) {
        json_decref(list);
        return st;
    }
    rq->reply =
        json_pack("{s:o, s:I, s:o}", "events", list, "next", (json_int_t)next, "checkpoint", note);
    if (lost)
        json_object_set_new(rq->reply, "lost", json_true());
    return OK;
}
