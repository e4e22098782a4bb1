/*
 * A reply that does not end: revocations as server-sent events (WHATWG HTML, section 9.2). Each
 * part is a request to the engine like any other, from the certificate on; between two of them the
 * connection is suspended and no thread stands behind it. A part that waited in vain is a sign of
 * life.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define HEARTBEAT_S 10
#define BLOCK       4096

/* Does the peer ask for a stream? Parameters and other types beside it do not matter. */
static bool accepts_stream(const struct exchange *x)
{
    const char *accept =
        MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

    return accept != NULL && strstr(accept, "text/event-stream") != NULL;
}

bool stream_begin(struct exchange *x)
{
    const char *last;

    if (x->rq->verb != VERB_REVOCATION_LIST || !accepts_stream(x))
        return true;
    x->rq->streams = true;
    x->rq->wait_s = 0; /* the headers are not to wait */
    last = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Last-Event-ID");
    if (last == NULL)
        return true;
    if (strlen(last) >= sizeof x->rq->after)
        return false;
    memcpy(x->rq->after, last, strlen(last) + 1); /* newer than what the address says */
    return true;
}

/* --- the text of a part ----------------------------------------------------------------------- */

/* "id: 4711\nevent: key.revoked\ndata: {...}\n\n"; JSON in one line has no newline. */
static void put_event(FILE *out, const char *name, json_int_t id, const json_t *data)
{
    char *text = json_dumps(data, JSON_COMPACT);

    if (text == NULL)
        return;
    fprintf(out, "id: %" JSON_INTEGER_FORMAT "\nevent: %s\ndata: %s\n\n", id, name, text);
    reply_free_text(text);
}

static void put_page(FILE *out, const json_t *reply, bool first)
{
    const json_t *events = json_object_get(reply, "events"), *event;
    json_int_t next = json_integer_value(json_object_get(reply, "next"));
    size_t i;

    if (json_is_true(json_object_get(reply, "lost")))
        fprintf(out, "id: %" JSON_INTEGER_FORMAT "\nevent: lost\ndata: {}\n\n", next);
    json_array_foreach(events, i, event)
    {
        put_event(out, json_string_value(json_object_get(event, "what")),
                  json_integer_value(json_object_get(event, "event")), event);
    }
    if (json_array_size(events) == 0 || first) {
        json_t *alive = json_pack("{s:I, s:O}", "next", next, "checkpoint",
                                  json_object_get(reply, "checkpoint"));

        put_event(out, "checkpoint", next, alive);
        json_decref(alive);
    }
}

/* Why it ends; without an id, so that whoever comes back goes on from the last event. */
static void put_end(FILE *out, const struct exchange *x)
{
    unsigned http;
    const char *title;
    json_t *why;
    char *text;

    reply_map(x, &http, &title);
    why = json_pack("{s:i, s:s, s:s}", "status", (int)http, "title", title, "detail",
                    x->rq->err.why == NULL ? title : x->rq->err.why);
    text = json_dumps(why, JSON_COMPACT);
    if (text != NULL)
        fprintf(out, "event: end\ndata: %s\n\n", text);
    reply_free_text(text);
    json_decref(why);
}

/* What the engine answered becomes the text to be sent. false: no memory. */
static bool take_part(struct exchange *x)
{
    struct stream *s = &x->stream;
    bool first = s->text == NULL;
    FILE *out;

    free(s->text);
    s->text = NULL;
    s->length = s->at = 0;
    out = open_memstream(&s->text, &s->length);
    if (out == NULL)
        return false;
    if (x->rq->outcome == OK) {
        put_page(out, x->rq->reply, first);
    } else {
        put_end(out, x);
        s->over = true;
    }
    return fclose(out) == 0;
}

/* --- asking for the next one ------------------------------------------------------------------ */

/* Goes on where the last part ended. */
static struct request *next_request(const struct request *last)
{
    struct request *rq = request_new();

    if (rq == NULL)
        return NULL;
    rq->verb = last->verb;
    rq->peer = last->peer;
    memcpy(rq->server_certificate, last->server_certificate, sizeof rq->server_certificate);
    snprintf(rq->after, sizeof rq->after, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(last->reply, "next")));
    rq->streams = true;
    rq->wait_s = HEARTBEAT_S;
    rq->body = json_object();
    rq->context = last->context;
    rq->done = last->done;
    return rq;
}

static ssize_t ask(struct exchange *x)
{
    struct request *rq = next_request(x->rq);

    if (rq == NULL)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    request_free(x->rq);
    x->rq = rq;
    x->answered = false;
    if (clock_wall_us() >= rq->peer.not_after_us) { /* it was verified when the stream began */
        rq->peer.role = ROLE_NONE;
        err_note(&rq->err, NO_IDENTITY, __func__, "certificate has expired", 0);
    }
    exchange_ask(x);
    return 0;
}

static ssize_t read_on(void *context, uint64_t position, char *to, size_t max)
{
    struct exchange *x = context;
    struct stream *s = &x->stream;
    size_t n;

    (void)position;
    if (s->at == s->length) {
        if (s->over)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!x->answered)
            return ask(x);
        x->answered = false;
        link_enter(link_of(x->connection), STRETCH_REPLY);
        if (!take_part(x))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    n = s->length - s->at < max ? s->length - s->at : max;
    memcpy(to, s->text + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

/* The exchange outlives its response: libmicrohttpd tells that it is completed when the last byte
 * was read. */
struct MHD_Response *stream_response(struct exchange *x)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_on, x, NULL);
}
