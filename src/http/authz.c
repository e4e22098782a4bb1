/*
 * Forward authentication: a proxy asks before each request that it passes on, and is answered with
 * the headers that the provider wants to see. It is a lease like any other, asked for with a path,
 * a query and headers instead of a body, and answered with headers instead of a value.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "provider/credential.h"

#define HEADER_MAX (LIMIT_PROVIDER_KEY + 256) /* what a template adds to a value */

static const struct said {
    const char *member; /* of a lease's body, and in the query */
    const char *header; /* says the same */
} said[] = {
    { "purpose", "Strongroom-Purpose" },
    { "model", "Strongroom-Model" },
    { "environment", "Strongroom-Environment" },
    { "classification", "Strongroom-Classification" },
};

static const char *argument(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool is_one_of(const char *text, const char *no, const char *yes, bool *ret_yes)
{
    *ret_yes = text != NULL && strcmp(text, yes) == 0;
    return text == NULL || *ret_yes || strcmp(text, no) == 0;
}

/* What the query says comes first: it is the proxy's, while headers may be a client's. */
static status take_body(struct exchange *x, json_t *body, struct err *e)
{
    const char *ttl = argument(x, "ttl_s");
    uint64_t seconds;

    json_object_set_new(body, "key", json_sprintf("%s/%s", x->rq->param[0], x->rq->param[1]));
    if (ttl != NULL && !number_parse(ttl, 1, 86400, &seconds))
        return fail(e, BAD_INPUT, "ttl_s is a number from 1 to 86400", 0);
    if (ttl != NULL)
        json_object_set_new(body, "ttl_s", json_integer((json_int_t)seconds));
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        const char *text = argument(x, said[i].member);

        if (text == NULL)
            text = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, said[i].header);
        if (text == NULL || text[0] == '\0')
            continue;
        if (json_object_set_new(body, said[i].member, json_string(text)) != 0)
            return fail(e, BAD_INPUT, "a claim is not UTF-8 text", 0);
    }
    return OK;
}

status authz_read(struct exchange *x, struct err *e)
{
    status st;

    x->authz = true;
    x->rq->body = json_object();
    if (!is_one_of(argument(x, "share"), "0", "1", &x->rq->shares))
        return fail(e, BAD_INPUT, "share is 0 or 1", 0);
    if (!is_one_of(argument(x, "style"), "provider", "aigw", &x->aigw))
        return fail(e, BAD_INPUT, "style is provider or aigw", 0);
    st = take_body(x, x->rq->body, e);
    memset(x->rq->param, 0, sizeof x->rq->param);
    return st;
}

/* --- the answer ------------------------------------------------------------------------------- */

/* A proxy understands yes, who are you, no, and not now. */
void authz_map(unsigned *http)
{
    if (*http >= 400 && *http < 500 && *http != MHD_HTTP_UNAUTHORIZED)
        *http = MHD_HTTP_FORBIDDEN;
    else if (*http == MHD_HTTP_INSUFFICIENT_STORAGE)
        *http = MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* libmicrohttpd copies a header's value into memory that the C library overwrites when it is
 * freed; ours is guarded. */
static status add_header(struct MHD_Response *response, const struct provider *p,
                         const struct provider_text *header, struct span value, struct secret *text,
                         struct err *e)
{
    struct mspan room = secret_fill(text);
    size_t n = 0;
    status st = provider_render(p, header->text, RENDER_HEADER, value,
                                (struct mspan){ room.p, room.n - 1 }, &n, e);

    if (st != OK)
        return st;
    room.p[n] = '\0';
    if (MHD_add_response_header(response, header->name, (const char *)room.p) != MHD_YES)
        st = fail(e, NO_MEMORY, "no memory for a header", 0);
    secret_wipe(room);
    return st;
}

/* All headers that this value has; one at the least. */
static status add_headers(const struct exchange *x, struct MHD_Response *response, struct err *e)
{
    const char *name = json_string_value(json_object_get(x->rq->reply, "provider"));
    const struct provider *p = provider_of(provider_parse(name == NULL ? "" : name));
    struct span value = secret_view(x->rq->value);
    AUTO(secret) *text = NULL;
    size_t count = 0, added = 0;
    status st = secret_new(HEADER_MAX, &text, e);

    if (st == OK && p != NULL)
        count = x->aigw ? p->envoy_count : p->header_count;
    for (size_t i = 0; st == OK && i < count; i++) {
        st = add_header(response, p, x->aigw ? &p->envoy[i] : &p->header[i], value, text, e);
        added += st == OK;
        st = st == NOT_FOUND ? OK : st;
    }
    if (st == OK && added == 0)
        st = fail(e, CONFLICT, "no header can carry this provider's credential", 0);
    return st;
}

static void add_lease(const struct exchange *x, struct MHD_Response *response)
{
    const char *token = json_string_value(json_object_get(x->rq->reply, "lease"));
    const char *expires = json_string_value(json_object_get(x->rq->reply, "expires"));
    char id[ID_HEX_LENGTH + 1];

    if (token == NULL || expires == NULL)
        return;
    snprintf(id, sizeof id, "%.*s", ID_HEX_LENGTH, token);
    MHD_add_response_header(response, "Strongroom-Lease", id);
    MHD_add_response_header(response, "Strongroom-Lease-Expires", expires);
}

/* Nobody got the key: the lease is given back, and then the exchange is answered with why. */
static bool give_back(struct exchange *x, const struct err *why)
{
    const char *token = json_string_value(json_object_get(x->rq->reply, "lease"));
    struct request *rq = request_new();

    if (rq == NULL || token == NULL) {
        request_free(rq);
        return false;
    }
    rq->verb = VERB_LEASE_RELEASE;
    rq->peer = x->rq->peer;
    memcpy(rq->server_certificate, x->rq->server_certificate, sizeof rq->server_certificate);
    snprintf(rq->param[0], sizeof rq->param[0], "%s", token);
    rq->body = json_object();
    rq->context = x;
    rq->done = x->rq->done;
    x->authz_why = *why;
    request_free(x->rq);
    x->rq = rq;
    x->answered = false;
    return true;
}

struct MHD_Response *authz_response(struct exchange *x, bool *ret_again)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct err why = { 0 };

    *ret_again = false;
    if (response == NULL)
        return NULL;
    if (add_headers(x, response, &why) == OK) {
        add_lease(x, response);
        return response;
    }
    MHD_destroy_response(response);
    *ret_again = give_back(x, &why);
    return NULL;
}
