/* What every record of a request says about who asked, and small JSON helpers for replies. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

const char *actor_of(const struct request *rq, char out[2 * STORE_NAME])
{
    if (rq->peer.role == ROLE_NONE)
        snprintf(out, 2 * STORE_NAME, "nobody");
    else if (rq->peer.role == ROLE_LOCAL)
        snprintf(out, 2 * STORE_NAME, "local");
    else
        snprintf(out, 2 * STORE_NAME, "%s:%s", role_name(rq->peer.role), rq->peer.name);
    return out;
}

static bool role_is_person(enum role role)
{
    return role == ROLE_OPERATOR || role == ROLE_ADMIN || role == ROLE_TENANT ||
           role == ROLE_AUDITOR;
}

status actor_text(struct engine *en, const struct request *rq, const struct id *log,
                  char out[2 * STORE_NAME], struct err *e)
{
    char tag[PERSON_TEXT_LENGTH + 1];
    status st;

    if (!role_is_person(rq->peer.role)) {
        actor_of(rq, out);
        return OK;
    }
    st = person_text_of(en, log, rq->peer.name, tag, e);
    snprintf(out, 2 * STORE_NAME, "%s:%s", role_name(rq->peer.role), st == OK ? tag : "~");
    return st;
}

/* Whoever logs in with a role may have shown none. */
static bool has_key(const struct request *rq)
{
    static const uint8_t none[sizeof rq->peer.spki];

    return memcmp(rq->peer.spki, none, sizeof none) != 0;
}

void fields_of(struct engine *en, struct fields *f, const struct request *rq, const struct id *log)
{
    char actor[2 * STORE_NAME];

    fields_init(f);
    if (actor_text(en, rq, log, actor, NULL) == OK)
        fields_text(f, "actor", actor);
    else
        f->out.overflow = true;
    if (rq->peer.role != ROLE_NONE && rq->peer.role != ROLE_LOCAL && has_key(rq))
        fields_hex(f, "certificate", SPAN(rq->peer.spki)); /* or a token's hash: */
    if (rq->face.has_token && rq->peer.role == ROLE_GATEWAY &&
        memcmp(rq->peer.spki, rq->face.token, sizeof rq->face.token) == 0) {
        char accessor[TOKEN_ACCESSOR + 1];

        token_accessor(rq->face.token, accessor);
        fields_text(f, "accessor", accessor);
    }
    fields_text(f, "request_id", rq->id);
}

json_t *json_time(uint64_t time_us)
{
    char text[TIME_TEXT_LENGTH + 1];

    if (time_us == 0)
        return json_null();
    time_format(time_us, text);
    return json_string(text);
}

json_t *json_hex(struct span s)
{
    char text[2 * LIMIT_DELIVERY + 1];

    if (s.n > LIMIT_DELIVERY)
        return NULL;
    hex_format(s, text);
    return json_string(text);
}

json_t *json_id(const struct id *id)
{
    return json_hex(SPAN(id->b));
}

json_t *json_next(const char *last, size_t count, size_t page)
{
    return count < page ? json_null() : json_string(last);
}
