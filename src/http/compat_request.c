/* Requests to the Vault-compatible face: from its paths, verbs and bodies to ours. */
#include "compat.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "compat/duration.h"
#include "crypto/crypto.h"

#define INCREMENT_MAX 86400

/* PUT is POST, and LIST is GET with list=true. */
enum kind { KIND_READ = 1, KIND_LIST = 2, KIND_WRITE = 4, KIND_HEAD = 8 };

enum names { NAME_NONE, NAME_ANY, NAME_SOME };

static const struct row {
    enum compat_route route;
    uint8_t kinds;
    enum names name;
    enum verb verb;
} rows[] = {
    { COMPAT_LOGIN_CERT, KIND_WRITE, NAME_NONE, VERB_TOKEN_LOGIN },
    { COMPAT_LOGIN_APPROLE, KIND_WRITE, NAME_NONE, VERB_TOKEN_LOGIN },
    { COMPAT_LOOKUP_SELF, KIND_READ, NAME_NONE, VERB_TOKEN_SHOW },
    { COMPAT_RENEW_SELF, KIND_WRITE, NAME_NONE, VERB_TOKEN_RENEW },
    { COMPAT_REVOKE_SELF, KIND_WRITE, NAME_NONE, VERB_TOKEN_REVOKE },
    { COMPAT_HEALTH, KIND_READ | KIND_HEAD, NAME_NONE, VERB_FACE_STATE },
    { COMPAT_INIT, KIND_READ, NAME_NONE, VERB_FACE_STATE },
    { COMPAT_SEAL_STATUS, KIND_READ, NAME_NONE, VERB_FACE_STATE },
    { COMPAT_LEADER, KIND_READ, NAME_NONE, VERB_FACE_STATE },
    { COMPAT_MOUNT, KIND_READ, NAME_NONE, VERB_TOKEN_SHOW },
    { COMPAT_LEASE_RENEW, KIND_WRITE, NAME_ANY, VERB_LEASE_RENEW },
    { COMPAT_LEASE_REVOKE, KIND_WRITE, NAME_ANY, VERB_LEASE_RELEASE },
    { COMPAT_KV2_DATA, KIND_READ, NAME_SOME, VERB_LEASE_ISSUE },
    { COMPAT_KV2_METADATA, KIND_READ, NAME_SOME, VERB_FACE_KEYS },
    { COMPAT_KV2_METADATA, KIND_LIST, NAME_NONE, VERB_FACE_KEYS },
    { COMPAT_KV1, KIND_READ, NAME_SOME, VERB_LEASE_ISSUE },
    { COMPAT_KV1, KIND_LIST, NAME_NONE, VERB_FACE_KEYS },
    { COMPAT_CREDS, KIND_READ, NAME_SOME, VERB_LEASE_ISSUE },
};

static const char *argument(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

struct count {
    const char *name;
    unsigned n;
};

static enum MHD_Result count_one(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct count *c = context;

    (void)kind;
    (void)value;
    c->n += strcasecmp(name, c->name) == 0;
    return MHD_YES;
}

/* Whoever stands in between may have read the other one. */
static bool twice(const struct exchange *x, const char *name)
{
    struct count c = { .name = name };

    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, count_one, &c);
    return c.n > 1;
}

static void refuse(struct exchange *x, unsigned code, status outcome, const char *why)
{
    x->status = code;
    x->rq->verb = VERB_NONE;
    err_note(&x->rq->err, outcome, __func__, why, 0);
}

static bool is_true(const char *text)
{
    static const char *const words[] = { "1", "t", "T", "true", "True", "TRUE" };

    for (size_t i = 0; text != NULL && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

static uint8_t kind_of(const struct exchange *x, const char *method)
{
    if (strcmp(method, "GET") == 0)
        return is_true(argument(x, "list")) ? KIND_LIST : KIND_READ;
    if (strcmp(method, "HEAD") == 0)
        return KIND_HEAD;
    if (strcmp(method, "LIST") == 0)
        return KIND_LIST;
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ? KIND_WRITE : 0;
}

static const struct row *find(const struct exchange *x, uint8_t kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].route == x->path.route && (rows[i].kinds & kind) != 0)
            return &rows[i];
    }
    return NULL;
}

static bool is_of_tenant(enum verb verb)
{
    return verb == VERB_LEASE_ISSUE || verb == VERB_FACE_KEYS;
}

/* Secrets in clear where a wrapped one was asked for would be a leak. */
static bool wants_wrapping(const struct exchange *x)
{
    const char *ttl = header(x, "X-Vault-Wrap-TTL");

    return ttl != NULL && ttl[0] != '\0';
}

static void take_names(struct exchange *x, const struct row *row)
{
    struct request *rq = x->rq;
    const char *version = argument(x, "version");

    rq->verb = row->verb;
    if (is_of_tenant(row->verb)) {
        memcpy(rq->param[0], x->path.tenant, sizeof x->path.tenant);
        memcpy(rq->param[1], x->path.name, sizeof rq->param[1]);
    }
    if (x->path.tenant[0] == '\0' && is_of_tenant(row->verb))
        refuse(x, 400, BAD_INPUT, "say the tenant: by X-Vault-Namespace, or before the mount");
    else if (version != NULL && x->path.route == COMPAT_KV2_DATA &&
             !number_parse(version, 0, UINT32_MAX, &rq->face.version))
        refuse(x, 400, BAD_INPUT, "version is a number");
}

_Static_assert(COMPAT_SEGMENT <= REQUEST_PARAM, "a name fits into a parameter");

void compat_route(struct exchange *x, const char *method, const char *url)
{
    const char *why = compat_path_parse(url, header(x, "X-Vault-Namespace"), &x->path);
    uint8_t kind = kind_of(x, method);
    const struct row *row;

    x->rq->face.on = true;
    if (twice(x, "X-Vault-Namespace") || twice(x, "X-Vault-Token") || twice(x, "Authorization")) {
        refuse(x, 400, BAD_INPUT, "a header was sent twice");
        return;
    }
    if (wants_wrapping(x)) {
        refuse(x, 400, BAD_INPUT, "response wrapping is not supported");
        return;
    }
    if (why != NULL) {
        refuse(x, x->path.misnamed ? 400 : 404, x->path.misnamed ? BAD_INPUT : NOT_FOUND, why);
        return;
    }
    row = find(x, kind);
    if (row == NULL || (row->name == NAME_SOME && x->path.name[0] == '\0'))
        refuse(x, 405, BAD_INPUT, "unsupported operation");
    else if (row->name == NAME_NONE && x->path.name[0] != '\0')
        refuse(x, 404, NOT_FOUND, "there is no such path");
    else
        take_names(x, row);
}

/* --- who ------------------------------------------------------------------------------------- */

const char *compat_token(const struct exchange *x)
{
    static const char scheme[] = "Bearer ";
    const char *token = header(x, "X-Vault-Token");
    const char *bearer = header(x, "Authorization");

    if (token != NULL && token[0] != '\0')
        return token;
    return bearer != NULL && strncasecmp(bearer, scheme, sizeof scheme - 1) == 0
               ? bearer + sizeof scheme - 1
               : NULL;
}

static void take_address(struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    address_read(info == NULL ? NULL : info->client_addr, x->rq->face.address);
}

void compat_identify(struct exchange *x)
{
    struct compat_asked *face = &x->rq->face;
    const char *token = compat_token(x);
    struct err none = { 0 };

    memcpy(x->rq->server_certificate, x->http->credentials.fingerprint, 32);
    take_address(x);
    if (peer_certificate(x, &face->shown, &none) != OK)
        face->shown = (struct holder){ .role = ROLE_NONE };
    if (token == NULL)
        return;
    face->has_token = true;
    sha256(span_text(token), face->token);
}

/* --- bodies ---------------------------------------------------------------------------------- */

/* An object, null or nothing; unknown members are none of our business. */
static json_t *load(struct exchange *x)
{
    json_error_t trouble;
    json_t *body;

    if (x->body_length == 0)
        return json_object();
    body = json_loadb((const char *)x->body, x->body_length,
                      JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &trouble);
    if (json_is_null(body))
        return json_object();
    if (json_is_object(body))
        return body;
    json_decref(body);
    return NULL;
}

static void login(struct exchange *x, const json_t *from, json_t *to)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    const char *role = json_string_value(json_object_get(from, "role_id"));
    const char *secret = json_string_value(json_object_get(from, "secret_id"));
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    if (x->path.route == COMPAT_LOGIN_CERT) {
        json_object_set_new(to, "method", json_string("cert"));
        if (name != NULL && name[0] != '\0')
            json_object_set_new(to, "role", json_string(name));
        return;
    }
    sha256(span_text(secret == NULL ? "" : secret), hash);
    hex_format(SPAN(hash), hex);
    json_object_set_new(to, "method", json_string("approle"));
    json_object_set_new(to, "role_id", json_string(role == NULL ? "" : role));
    json_object_set_new(to, "secret_hash", json_string(hex));
}

/* A number, or a text such as "1h". Too much is as much as there is. */
static bool increment(const json_t *from, const char *member, json_t *to)
{
    const json_t *value = json_object_get(from, "increment");
    const char *text = json_string_value(value);
    uint64_t seconds = 0;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        seconds = (uint64_t)json_integer_value(value);
    else if (text != NULL && text[0] == '\0')
        seconds = 0;
    else if (value != NULL && !json_is_null(value) &&
             (text == NULL || !duration_parse(text, &seconds)))
        return false;
    if (seconds > INCREMENT_MAX)
        seconds = INCREMENT_MAX;
    if (seconds > 0)
        json_object_set_new(to, member, json_integer((json_int_t)seconds));
    return true;
}

/* In the path, or in the body; either way its last part counts. */
static bool lease_name(struct exchange *x, const json_t *from)
{
    const char *name = x->path.name;
    const char *slash;

    if (name[0] == '\0')
        name = json_string_value(json_object_get(from, "lease_id"));
    if (name == NULL)
        return false;
    slash = strrchr(name, '/');
    name = slash == NULL ? name : slash + 1;
    if (strlen(name) >= REQUEST_PARAM)
        return false;
    memcpy(x->rq->param[0], name, strlen(name) + 1);
    return true;
}

static void translate(struct exchange *x, const json_t *from, json_t *to)
{
    bool fine = true;

    switch (x->path.route) {
    case COMPAT_LOGIN_CERT:
    case COMPAT_LOGIN_APPROLE: login(x, from, to); break;
    case COMPAT_RENEW_SELF: fine = increment(from, "increment_s", to); break;
    case COMPAT_LEASE_RENEW: fine = increment(from, "ttl_s", to) && lease_name(x, from); break;
    case COMPAT_LEASE_REVOKE: fine = lease_name(x, from); break;
    default: break;
    }
    if (!fine)
        refuse(x, 400, BAD_INPUT, "increment is a time, lease_id a text");
}

void compat_body(struct exchange *x)
{
    struct request *rq = x->rq;
    char key[2 * NAME_MAX_LENGTH + 2 + COMPAT_SEGMENT];
    json_t *from;

    if (rq->verb == VERB_NONE)
        return;
    rq->body = json_object();
    if (rq->verb == VERB_LEASE_ISSUE) {
        snprintf(key, sizeof key, "%s/%s", x->path.tenant, x->path.name);
        json_object_set_new(rq->body, "key", json_string(key));
    }
    if ((find(x, KIND_WRITE)) == NULL) /* a body on GET is not looked at */
        return;
    if (x->too_large) {
        refuse(x, MHD_HTTP_CONTENT_TOO_LARGE, LIMIT, "the body is larger than 64 KiB");
        return;
    }
    from = load(x);
    if (from == NULL) {
        refuse(x, 400, BAD_INPUT, "the body is not a JSON object");
        return;
    }
    translate(x, from, rq->body);
    json_decref(from);
}
