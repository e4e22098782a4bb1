/*
 * The quorum in force changes when a rotation of the root ends, not when it was asked for, and a
 * rotation takes the wish of the moment it ends. Its record may come after later wishes; so until a
 * rotation is known to have taken the last one, the least of all wishes since is what may hold.
 */
#include "roster.h"

#include <stdio.h>
#include <string.h>

#include "memory.h"
#include "reply.h"

void roster_clear(struct roster *r)
{
    json_decref(r->slots);
    json_decref(r->steps);
    *r = (struct roster){ .slots = NULL };
}

static bool enrolled_then(const json_t *slot, const char *time)
{
    const char *until = reply_text(slot, "until");

    return strcmp(reply_text(slot, "from"), time) <= 0 &&
           (until == NULL || strcmp(until, time) >= 0);
}

static bool is_of(const json_t *slot, const char *operator_name)
{
    return reply_text(slot, "until") == NULL &&
           strcmp(reply_text(slot, "operator"), operator_name) == 0;
}

/* Different names among the keys that are enrolled. */
static uint64_t count_operators(const struct roster *r)
{
    AUTO(json_t) *names = json_object();
    const char *id = NULL;
    json_t *slot = NULL;

    json_object_foreach(r->slots, id, slot)
    {
        if (reply_text(slot, "until") == NULL)
            (void)json_object_set_new(names, reply_text(slot, "operator"), json_true());
    }
    return json_object_size(names);
}

static const char *add_step(struct roster *r, const char *time)
{
    json_t *step = json_pack("{s:s, s:I, s:I}", "time", time, "quorum", (json_int_t)r->quorum,
                             "operators", (json_int_t)count_operators(r));

    return json_array_append_new(r->steps, step) == 0 ? NULL : "no memory";
}

static const char *take_enrolled(struct roster *r, const struct record_head *head,
                                 const json_t *record)
{
    const char *id = reply_text(record, "slot_id");
    const char *name = reply_text(record, "operator");
    const char *key = reply_text(record, "public_key");

    if (id == NULL || name == NULL || key == NULL)
        return "malformed record of operators";
    if (json_object_get(r->slots, id) != NULL)
        return "slot is enrolled twice";
    if (roster_birth(r, head))
        r->birth_next++;
    json_t *slot = json_pack("{s:s, s:s, s:s}", "operator", name, "public_key", key, "from",
                             reply_text(record, "time"));
    return json_object_set_new(r->slots, id, slot) == 0 ? NULL : "no memory";
}

/* One key may be named by its slot; otherwise it is all that the operator has. */
static const char *take_removed(struct roster *r, const json_t *record)
{
    const char *name = reply_text(record, "operator");
    const char *only = reply_text(record, "slot_id");
    const char *id = NULL;
    json_t *slot = NULL;
    uint64_t number = 0;
    uint64_t gone = 0;

    if (name == NULL || !reply_number(record, "number", LIMIT_SLOTS, &number))
        return "malformed record of operators";
    json_object_foreach(r->slots, id, slot)
    {
        if (!is_of(slot, name) || (number == 1 && only != NULL && strcmp(id, only) != 0))
            continue;
        if (json_object_set(slot, "until", json_object_get(record, "time")) != 0)
            return "no memory";
        gone++;
    }
    return gone > 0 && gone == number ? NULL : "no such keys to remove";
}

static const char *take_quorum(struct roster *r, const json_t *record)
{
    if (!reply_number(record, "quorum", LIMIT_SLOTS, &r->wanted) || r->wanted == 0)
        return "malformed record of operators";
    if (r->wanted < r->quorum)
        r->quorum = r->wanted;
    snprintf(r->wanted_at, sizeof(r->wanted_at), "%s", reply_text(record, "time"));
    return NULL;
}

static const char *take_rotated(struct roster *r, const json_t *record)
{
    const char *what = reply_text(record, "what");
    const char *happened = reply_text(record, "happened");

    if (what != NULL && strcmp(what, "root") == 0 && happened != NULL &&
        strcmp(r->wanted_at, happened) <= 0)
        r->quorum = r->wanted;
    return NULL;
}

static const char *take_created(struct roster *r, const struct record_head *head,
                                const json_t *record)
{
    if (r->slots != NULL)
        return "malformed record of operators";
    r->slots = json_object();
    r->steps = json_array();
    if (!reply_number(record, "quorum", LIMIT_SLOTS, &r->quorum) || r->quorum == 0)
        return "malformed record of operators";
    r->wanted = r->quorum;
    r->birth_next = head->seq + 1;
    return NULL;
}

const char *roster_take(struct roster *r, const struct record_head *head, const json_t *record)
{
    const char *why = NULL;

    if (head->type != RECORD_VAULT_CREATED && r->slots == NULL)
        return "malformed record of operators";
    switch (head->type) {
    case RECORD_VAULT_CREATED: why = take_created(r, head, record); break;
    case RECORD_OPERATOR_ENROLLED: why = take_enrolled(r, head, record); break;
    case RECORD_OPERATOR_REMOVED: why = take_removed(r, record); break;
    case RECORD_QUORUM_CHANGED: why = take_quorum(r, record); break;
    case RECORD_REKEY_DONE: why = take_rotated(r, record); break;
    default: return NULL;
    }
    return why != NULL ? why : add_step(r, reply_text(record, "time"));
}

bool roster_birth(const struct roster *r, const struct record_head *head)
{
    return head->type == RECORD_OPERATOR_ENROLLED && r->birth_next != 0 &&
           head->seq == r->birth_next;
}

const json_t *roster_slot(const struct roster *r, const char *slot, const char *time)
{
    const json_t *found = json_object_get(r->slots, slot);

    return found != NULL && enrolled_then(found, time) ? found : NULL;
}

bool roster_knows(const struct roster *r, const char *slot)
{
    return json_object_get(r->slots, slot) != NULL;
}

static uint8_t least_of(const json_t *step, uint8_t code)
{
    json_int_t quorum = json_integer_value(json_object_get(step, "quorum"));
    json_int_t operators = json_integer_value(json_object_get(step, "operators"));

    if (operators > LIMIT_SLOTS) /* no vault has as many, but a forged log may say so */
        operators = LIMIT_SLOTS;
    return operation_need(code, (uint8_t)quorum, (uint8_t)operators);
}

/* What held before that time, or began at it. */
uint8_t roster_least(const struct roster *r, uint8_t code, const char *time)
{
    uint8_t least = 0;

    for (size_t i = json_array_size(r->steps); i > 0; i--) {
        const json_t *step = json_array_get(r->steps, i - 1);
        int order = strcmp(reply_text(step, "time"), time);

        if (order > 0)
            continue;
        if (least == 0 || least_of(step, code) < least)
            least = least_of(step, code);
        if (order < 0)
            break;
    }
    return least;
}
