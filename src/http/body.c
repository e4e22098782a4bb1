/* The body of a request: a JSON object or nothing, or reports of usage. These alone may be large,
 * of a gateway, and only so many at once. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define SURPLUS_MAX (16 * LIMIT_HTTP_BODY) /* read so that the refusal can be heard */
#define FIRST_ROOM  256                    /* a lease's fits */
#define LARGE_MAX   8                      /* large bodies at once */

static bool is_report(enum verb verb, enum usage_format *ret_format)
{
    switch (verb) {
    case VERB_USAGE_REPORT: *ret_format = USAGE_NATIVE; return true;
    case VERB_USAGE_LITELLM: *ret_format = USAGE_LITELLM; return true;
    case VERB_USAGE_TRACES: *ret_format = USAGE_TRACES; return true;
    case VERB_USAGE_LOGS: *ret_format = USAGE_LOGS; return true;
    default: return false;
    }
}

/* --- collecting ------------------------------------------------------------------------------ */

void body_free(struct exchange *x)
{
    secret_wipe((struct mspan){ .p = x->body, .n = x->body_length });
    free(x->body);
    if (x->large)
        atomic_fetch_sub(&x->http->large, 1);
    x->body = NULL;
    x->large = false;
}

/* Nobody's large body is kept: who it is shows in the handshake, before the first byte. */
static bool may_be_large(struct exchange *x)
{
    enum usage_format format;

    if (!is_report(x->rq->verb, &format))
        return false;
    if (x->rq->peer.role == ROLE_NONE)
        peer_identify(x);
    return x->rq->peer.role == ROLE_GATEWAY;
}

static bool enlarge(struct exchange *x)
{
    uint8_t *larger;

    if (x->large || !may_be_large(x))
        return false;
    if (atomic_fetch_add(&x->http->large, 1) >= LARGE_MAX) {
        atomic_fetch_sub(&x->http->large, 1);
        x->too_many = true;
        return false;
    }
    larger = malloc(LIMIT_USAGE_BODY);
    if (larger == NULL) {
        atomic_fetch_sub(&x->http->large, 1);
        return false;
    }
    memcpy(larger, x->body, x->body_length);
    secret_wipe((struct mspan){ .p = x->body, .n = x->body_length });
    free(x->body);
    x->body = larger;
    x->body_room = LIMIT_USAGE_BODY;
    x->large = true;
    return true;
}

/* Room for n bytes, up to LIMIT_HTTP_BODY: most bodies are short, and large ones cost at birth and
 * at their end. false: without memory. */
static bool reserve(struct exchange *x, size_t n)
{
    size_t room = x->body_room == 0 ? FIRST_ROOM : x->body_room;
    uint8_t *body;

    if (n <= x->body_room || x->body_room >= LIMIT_HTTP_BODY)
        return true;
    while (room < n && room < LIMIT_HTTP_BODY)
        room *= 2;
    body = malloc(room);
    if (body == NULL)
        return false;
    if (x->body_length > 0)
        memcpy(body, x->body, x->body_length);
    secret_wipe((struct mspan){ .p = x->body, .n = x->body_length });
    free(x->body);
    x->body = body;
    x->body_room = room;
    return true;
}

bool body_collect(struct exchange *x, const char *data, size_t n)
{
    if (x->authz) /* the client's, which is none of our business */
        return true;
    if (!reserve(x, x->body_length + n))
        return false;
    if (!x->too_large && n > x->body_room - x->body_length)
        x->too_large = !enlarge(x) || n > x->body_room - x->body_length;
    if (x->too_large) {
        x->surplus += n;
        return x->surplus <= SURPLUS_MAX;
    }
    memcpy(x->body + x->body_length, data, n);
    x->body_length += n;
    return true;
}

/* --- parsing --------------------------------------------------------------------------------- */

static status too_large(const struct exchange *x, struct err *e)
{
    enum usage_format format;

    if (x->too_many)
        return fail(e, LIMIT, "too many large bodies at once: send this one again", 0);
    if (is_report(x->rq->verb, &format))
        return fail(e, LIMIT, "the body is larger than 4 MiB: send fewer reports at once", 0);
    return fail(e, LIMIT, "the body is larger than 64 KiB", 0);
}

static status parse_object(struct exchange *x, struct err *e)
{
    json_error_t trouble;
    json_t *body;

    if (x->body_length == 0) {
        x->rq->body = json_object();
        return OK;
    }
    body = json_loadb((const char *)x->body, x->body_length, JSON_REJECT_DUPLICATES, &trouble);
    if (body == NULL)
        return fail(e, BAD_INPUT, "the body is not valid JSON", trouble.position);
    if (!json_is_object(body)) {
        json_decref(body);
        return fail(e, BAD_INPUT, "the body is not a JSON object", 0);
    }
    x->rq->body = body;
    return OK;
}

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* JSON that is neither packed nor something else. */
static status check_media(struct exchange *x, struct err *e)
{
    static const char json[] = "application/json", lines[] = "application/x-ndjson";
    const char *type = header(x, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *encoding = header(x, MHD_HTTP_HEADER_CONTENT_ENCODING);

    x->status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    x->title = "unsupported-media";
    if (encoding != NULL && strcasecmp(encoding, "identity") != 0)
        return fail(e, BAD_INPUT, "reports are taken as they are: switch compression off", 0);
    if (type != NULL && strncasecmp(type, json, sizeof json - 1) != 0 &&
        strncasecmp(type, lines, sizeof lines - 1) != 0)
        return fail(e, BAD_INPUT,
                    "reports are JSON: set the exporter to http/json and not to protobuf", 0);
    x->status = 0;
    return OK;
}

/* The key of items that name none: LiteLLM's callback has one URL and some headers. */
static status take_key(const struct exchange *x, struct err *e)
{
    const char *key = header(x, "Strongroom-Key");

    if (key == NULL)
        key = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "key");
    if (key == NULL)
        return OK;
    if (strlen(key) >= sizeof x->rq->usage->key)
        return fail(e, BAD_INPUT, "a key is named tenant/name", 0);
    memcpy(x->rq->usage->key, key, strlen(key) + 1);
    return OK;
}

static status parse_reports(struct exchange *x, enum usage_format format, struct err *e)
{
    status st = check_media(x, e);

    if (st == OK)
        st = usage_parse(format, span_of(x->body, x->body_length), &x->rq->usage, e);
    body_free(x); /* what else was in it is needed no longer */
    x->body_length = 0;
    return st == OK ? take_key(x, e) : st;
}

static status parse(struct exchange *x, struct err *e)
{
    enum usage_format format;

    if (x->too_large)
        return too_large(x, e);
    if (!is_report(x->rq->verb, &format))
        return parse_object(x, e);
    /* Nobody else's is looked at: the engine refuses it. */
    return x->rq->peer.role == ROLE_GATEWAY ? parse_reports(x, format, e) : OK;
}

void body_parse(struct exchange *x)
{
    struct request *rq = x->rq;

    if (x->status != 0 || rq->verb == VERB_NONE || x->authz) /* refused already, or not looked at */
        return;
    if (parse(x, &rq->err) == OK)
        return;
    rq->verb = VERB_NONE;
    if (x->too_large && !x->too_many) {
        x->status = MHD_HTTP_CONTENT_TOO_LARGE;
        x->title = "too-large";
    }
}
