/* The body of a request: a JSON object or nothing. */
#include "internal.h"

#include <string.h>

static status parse(struct exchange *x, struct err *e)
{
    json_error_t trouble;
    json_t *body;

    if (x->too_large)
        return fail(e, LIMIT, "the body is larger than 64 KiB", 0);
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

void body_parse(struct exchange *x)
{
    struct request *rq = x->rq;

    if (x->status != 0 || rq->verb == VERB_NONE || x->authz) /* refused already, or not looked at */
        return;
    if (parse(x, &rq->err) == OK)
        return;
    rq->verb = VERB_NONE;
    if (x->too_large) {
        x->status = MHD_HTTP_CONTENT_TOO_LARGE;
        x->title = "too-large";
    }
}
