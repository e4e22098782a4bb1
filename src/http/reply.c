/* From a finished request to an HTTP response. Values of leases are put into locked memory that is
 * wiped when the response is done. */
#include "compat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *title;
    unsigned http;
} mapping[STATUS_COUNT] = {
    [OK] = { "ok", 200 },
    [BAD_INPUT] = { "bad-input", 400 },
    [NO_IDENTITY] = { "no-identity", 401 },
    [DENIED] = { "denied", 403 },
    [NOT_FOUND] = { "not-found", 404 },
    [CONFLICT] = { "conflict", 409 },
    [LIMIT] = { "limit", 429 },
    [LOCKED] = { "locked", 503 },
    [CORRUPT] = { "internal", 500 },
    [IO] = { "internal", 500 },
    [NO_MEMORY] = { "internal", 500 },
    [BUG] = { "internal", 500 },
};

void reply_map(const struct exchange *x, unsigned *ret_http, const char **ret_title)
{
    const struct request *rq = x->rq;

    *ret_http = mapping[rq->outcome].http;
    *ret_title = mapping[rq->outcome].title;
    if (x->status != 0 && rq->outcome != OK && rq->outcome != NO_IDENTITY) {
        *ret_http = x->status;
        *ret_title = x->title;
    } else if (rq->problem == PROBLEM_WRONG_REGION) {
        *ret_http = MHD_HTTP_MISDIRECTED_REQUEST;
        *ret_title = "wrong-region";
    } else if (rq->problem == PROBLEM_STORAGE) {
        *ret_http = MHD_HTTP_INSUFFICIENT_STORAGE;
        *ret_title = "storage";
    } else if (rq->problem == PROBLEM_GONE) {
        *ret_http = MHD_HTTP_GONE;
        *ret_title = "gone";
    } else if (rq->outcome == OK && rq->created && !x->authz) {
        *ret_http = MHD_HTTP_CREATED;
    }
    if (x->authz)
        authz_map(ret_http);
}

static struct MHD_Response *text_response(char *text, size_t length)
{
    return text == NULL ? NULL
                        : MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
}

/* As jansson itself frees: http_new gave it the allocator that wipes. */
void reply_free_text(void *text)
{
    json_malloc_t take = NULL;
    json_free_t give = NULL;

    json_get_alloc_funcs(&take, &give);
    give(text);
}

static char *json_text(const json_t *json)
{
    return json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
}

/* Takes text over. */
static struct MHD_Response *json_response(char *text)
{
    struct MHD_Response *response = NULL;

    if (text == NULL)
        return NULL;
    response =
        MHD_create_response_from_buffer_with_free_callback(strlen(text), text, reply_free_text);
    if (response == NULL)
        reply_free_text(text);
    return response;
}

static struct MHD_Response *problem_response(const struct exchange *x, unsigned http,
                                             const char *title)
{
    const char *why = http == 500 ? "the request could not be carried out" : x->rq->err.why;
    json_t *problem =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", title, "status",
                  (int)http, "detail", why == NULL ? title : why, "request_id", x->rq->id);
    struct MHD_Response *response;

    if (x->rq->line > 0)
        json_object_set_new(problem, "line", json_integer(x->rq->line));
    response = json_response(json_text(problem));
    json_decref(problem);
    return response;
}

/* What the secret of a reply is called. */
static const char *value_name(enum verb verb)
{
    return verb == VERB_APPROLE_ADD ? "secret_id" : verb == VERB_TOKEN_ISSUE ? "token" : "value";
}

/* The object that is the reply, taken out of rq. */
static char *take_object(struct request *rq)
{
    char *text = rq->text;

    rq->text = NULL;
    return text != NULL ? text : json_text(rq->reply);
}

/* The reply with the provider key as its last member, in locked memory only. */
static struct MHD_Response *value_response(struct request *rq)
{
    const char *name = value_name(rq->verb);
    char *open = take_object(rq);
    struct MHD_Response *response;

    if (open == NULL)
        return NULL;
    const struct piece pieces[] = {
        { span_of(open, strlen(open) - 1), false }, /* without the closing brace */
        { span_text(",\""), false },
        { span_text(name), false },
        { span_text("\":\""), false },
        { secret_view(rq->value), true },
        { span_text("\"}"), false },
    };
    response = pieces_response(pieces, sizeof pieces / sizeof pieces[0]);
    reply_free_text(open);
    return response;
}

static struct MHD_Response *content(struct exchange *x, unsigned http, const char *title,
                                    const char **ret_type)
{
    struct request *rq = x->rq;
    struct MHD_Response *response;

    *ret_type = "application/json";
    if (rq->outcome != OK) {
        *ret_type = "application/problem+json";
        return problem_response(x, http, title);
    }
    if (rq->lines != NULL) {
        *ret_type = rq->verb == VERB_METRICS ? "text/plain; version=0.0.4; charset=utf-8"
                                             : "application/x-ndjson";
        response = text_response(rq->lines, rq->lines_length);
        rq->lines = NULL;
        return response;
    }
    if (rq->streams) {
        *ret_type = "text/event-stream";
        return stream_response(x);
    }
    return rq->value != NULL ? value_response(rq) : json_response(take_object(rq));
}

static void add_number(struct MHD_Response *response, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    MHD_add_response_header(response, name, text);
}

/* Takes response. */
static enum MHD_Result queue(struct exchange *x, unsigned http, struct MHD_Response *response)
{
    enum MHD_Result result;

    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Strongroom-Request-Id", x->rq->id);
    MHD_add_response_header(response, "Strongroom-Region", x->http->settings.region);
    result = MHD_queue_response(x->connection, http, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_authz(struct exchange *x)
{
    bool again;
    struct MHD_Response *response = authz_response(x, &again);

    if (response != NULL)
        return queue(x, MHD_HTTP_OK, response);
    if (!again)
        return MHD_NO;
    exchange_ask(x);
    return MHD_YES;
}

enum MHD_Result reply_send(struct exchange *x)
{
    struct MHD_Response *response;
    const char *title, *type;
    unsigned http;

    if (x->authz_why.why != NULL) { /* what was leased is given back, and this is why */
        x->rq->outcome = x->authz_why.code;
        x->rq->err = x->authz_why;
    }
    if (x->authz && x->rq->outcome == OK)
        return send_authz(x);
    reply_map(x, &http, &title);
    response = content(x, http, title, &type);
    if (response == NULL)
        return MHD_NO; /* out of memory: the connection is closed without an answer */
    if (x->last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (type[12] == 'x')
        add_number(response,
                   x->rq->verb == VERB_RECORD_FEED ? "Strongroom-Next" : "Strongroom-Log-Size",
                   x->rq->verb == VERB_RECORD_FEED ? x->rq->page_end : x->rq->log_size);
    if (type[12] == 'x' && x->rq->filter != NULL)
        add_number(response, "Strongroom-Next", x->rq->page_end);
    if (x->rq->retry_after_s > 0)
        add_number(response, MHD_HTTP_HEADER_RETRY_AFTER, x->rq->retry_after_s);
    return queue(x, http, response);
}
