/*
 * Answers of the Vault-compatible face. Clients differ in what they insist on, so every reply says
 * all that any of them reads: the Content-Type to the letter, numbers as numbers, members that are
 * null rather than absent, and errors as a list of texts.
 */
#include "compat.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "provider/credential.h"

/* Clients choose what they do by the number; what is behind the plus is ours. */
#define VERSION "1.15.0+strongroom"

#define PIECES_MAX 256

/* A body under construction. Texts that are made here live in `made` until it is sent. */
struct body {
    struct piece pieces[PIECES_MAX];
    size_t count;
    char made[4096];
    size_t used;
    bool overflow;
};

static void add_span(struct body *b, struct span text, bool escaped)
{
    if (b->count == PIECES_MAX)
        b->overflow = true;
    else
        b->pieces[b->count++] = (struct piece){ text, escaped };
}

static void add(struct body *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct body *b, const char *format, ...)
{
    size_t room = sizeof b->made - b->used;
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(b->made + b->used, room, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= room) {
        b->overflow = true;
        return;
    }
    add_span(b, span_of(b->made + b->used, (size_t)n), false);
    b->used += (size_t)n;
}

/* --- members --------------------------------------------------------------------------------- */

static const char *text_of(const json_t *reply, const char *member)
{
    const char *text = json_string_value(json_object_get(reply, member));

    return text == NULL ? "" : text;
}

static long long number_of(const json_t *reply, const char *member)
{
    return json_integer_value(json_object_get(reply, member));
}

static const char *flag_of(const json_t *reply, const char *member)
{
    return json_is_true(json_object_get(reply, member)) ? "true" : "false";
}

/* 8-4-4-4-12, as UUIDs are written. */
static void add_uuid(struct body *b, const char *hex)
{
    add(b, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* What every reply begins and ends with; `data` and `auth` are in between. */
static void open_reply(const struct exchange *x, struct body *b, const char *lease, bool renewable,
                       long long seconds)
{
    add(b, "{\"request_id\":\"");
    add_uuid(b, x->rq->id);
    add(b, "\",\"lease_id\":\"%s\",\"renewable\":%s,\"lease_duration\":%lld", lease,
        renewable ? "true" : "false", seconds);
}

static void close_reply(struct body *b)
{
    add(b, ",\"wrap_info\":null,\"warnings\":null}");
}

/* --- keys ------------------------------------------------------------------------------------ */

/* Members that are not the credential's: a field of such a name is only in `value`. */
static bool is_ours(struct span name)
{
    static const char *const names[] = { "value", "bearer", "provider", "lease_id", "expires_at" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_same(name, span_text(names[i])))
            return true;
    }
    return false;
}

static void add_member(struct body *b, struct span name, struct span text, bool escaped)
{
    add(b, "\"");
    add_span(b, name, false);
    add(b, "\":\"");
    add_span(b, text, escaped);
    add(b, "\",");
}

/* The fields of a credential that is an object. What stands in its strings is fit for ours. */
static void add_fields_of(const struct provider *p, struct span value, struct body *b)
{
    struct credential_walk walk;
    struct credential_field f;
    struct err why = { 0 };
    bool more = true;

    if (credential_walk(p, value, &walk, &why) != OK)
        return;
    while (credential_next(&walk, &f, &more, &why) == OK && more) {
        if (!is_ours(f.name) && !span_same(f.name, span_text("key")) &&
            !span_same(f.name, span_text("api_key")))
            add_member(b, f.name, f.raw, false);
    }
}

/* What different clients look for: the key under every name, or what of the credential comes next
 * to one, and the fields that it has. */
static void add_fields(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;
    struct span value = secret_view(x->rq->value);
    const struct provider *p = provider_of(provider_parse(text_of(reply, "provider")));
    bool object = p != NULL && p->object && value.n > 0 && value.p[0] == '{';
    struct credential_field f = { .raw = value };
    struct err why = { 0 };
    bool has_key = !object || (p->bare >= 0 &&
                               credential_find(p, value, p->field[p->bare].name, &f, &why) == OK);

    add(b, "{");
    if (object)
        add_fields_of(p, value, b);
    add_member(b, span_text("value"), value, true);
    add_member(b, span_text("key"), f.raw, !has_key || !object);
    if (has_key) {
        add_member(b, span_text("api_key"), f.raw, !object);
        add(b, "\"bearer\":\"Bearer ");
        add_span(b, f.raw, !object);
        add(b, "\",");
    }
    add(b, "\"provider\":\"%s\",\"lease_id\":\"%s\",\"expires_at\":\"%s\"}",
        text_of(reply, "provider"), text_of(reply, "lease"), text_of(reply, "expires"));
}

static void add_metadata(struct body *b, const char *created, const char *deleted, bool destroyed,
                         const char *provider, long long version)
{
    add(b, "{\"created_time\":\"%s\",\"custom_metadata\":", created);
    if (provider[0] == '\0')
        add(b, "null");
    else
        add(b, "{\"provider\":\"%s\"}", provider);
    add(b, ",\"deletion_time\":\"%s\",\"destroyed\":%s,\"version\":%lld}", deleted,
        destroyed ? "true" : "false", version);
}

static void render_key(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;
    bool creds = x->path.route == COMPAT_CREDS;
    bool second = x->path.route == COMPAT_KV2_DATA;

    open_reply(x, b, creds ? text_of(reply, "lease") : "", creds, number_of(reply, "ttl_s"));
    add(b, second ? ",\"data\":{\"data\":" : ",\"data\":");
    add_fields(x, b);
    if (second) {
        add(b, ",\"metadata\":");
        add_metadata(b, text_of(reply, "created"), "", false, text_of(reply, "provider"),
                     number_of(reply, "version"));
        add(b, "}");
    }
    add(b, ",\"auth\":null,\"mount_type\":\"%s\"", creds ? "strongroom" : "kv");
    close_reply(b);
}

/* A version that is not the current one: not found, and yet described. */
static void render_old(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;

    open_reply(x, b, "", false, 0);
    add(b, ",\"data\":{\"data\":null,\"metadata\":");
    add_metadata(b, text_of(reply, "created"), text_of(reply, "deleted"),
                 json_is_true(json_object_get(reply, "destroyed")), "",
                 number_of(reply, "version"));
    add(b, "},\"auth\":null,\"mount_type\":\"kv\"");
    close_reply(b);
}

static void render_metadata(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;
    long long version = number_of(reply, "version");

    open_reply(x, b, "", false, 0);
    add(b,
        ",\"data\":{\"cas_required\":false,\"created_time\":\"%s\",\"updated_time\":\"%s\","
        "\"current_version\":%lld,\"oldest_version\":%lld,\"max_versions\":1,"
        "\"delete_version_after\":\"0s\",\"custom_metadata\":{\"provider\":\"%s\"},"
        "\"versions\":{\"%lld\":{\"created_time\":\"%s\",\"deletion_time\":\"\","
        "\"destroyed\":false}}},\"auth\":null,\"mount_type\":\"kv\"",
        text_of(reply, "first"), text_of(reply, "created"), version, version,
        text_of(reply, "provider"), version, text_of(reply, "created"));
    close_reply(b);
}

static void render_list(const struct exchange *x, struct body *b, char *keys)
{
    open_reply(x, b, "", false, 0);
    add(b, ",\"data\":");
    add_span(b, span_text(keys), false);
    add(b, ",\"auth\":null,\"mount_type\":\"kv\"");
    close_reply(b);
}

static void render_mount(const struct exchange *x, struct body *b)
{
    bool second = strcmp(x->path.mount, "secret") == 0;
    bool creds = strcmp(x->path.mount, "strongroom") == 0;

    open_reply(x, b, "", false, 0);
    add(b,
        ",\"data\":{\"accessor\":\"%s\",\"config\":{},\"description\":\"\",\"local\":false,"
        "\"external_entropy_access\":false,\"options\":",
        x->path.mount);
    if (creds)
        add(b, "null");
    else
        add(b, "{\"version\":\"%s\"}", second ? "2" : "1");
    add(b, ",\"path\":\"%s%s%s/\",\"seal_wrap\":false,\"type\":\"%s\",\"uuid\":\"%s\"}",
        x->path.below ? x->path.tenant : "", x->path.below ? "/" : "", x->path.mount,
        creds ? "strongroom" : "kv", x->path.mount);
    add(b, ",\"auth\":null");
    close_reply(b);
}

static void render_lease(const struct exchange *x, struct body *b)
{
    open_reply(x, b, text_of(x->rq->reply, "lease"), true, number_of(x->rq->reply, "ttl_s"));
    add(b, ",\"data\":null,\"auth\":null");
    close_reply(b);
}

/* --- tokens ---------------------------------------------------------------------------------- */

#define POLICIES "[\"strongroom-gateway\"]"

static struct span token_text(const struct exchange *x)
{
    const char *presented = compat_token(x);

    if (x->rq->value != NULL)
        return secret_view(x->rq->value);
    return span_text(presented == NULL ? "" : presented);
}

static void render_auth(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;
    const char *gateway = text_of(reply, "gateway");

    open_reply(x, b, "", false, 0);
    add(b, ",\"data\":null,\"auth\":{\"client_token\":\"");
    add_span(b, token_text(x), true);
    add(b,
        "\",\"accessor\":\"%s\",\"policies\":" POLICIES ",\"token_policies\":" POLICIES
        ",\"identity_policies\":[],\"metadata\":{\"cert_name\":\"%s\",\"common_name\":\"%s\","
        "\"role_name\":\"%s\",\"serial_number\":\"\",\"subject_key_id\":\"\","
        "\"authority_key_id\":\"\"},\"lease_duration\":%lld,\"renewable\":%s,\"entity_id\":\"%s\","
        "\"token_type\":\"service\",\"orphan\":true,\"mfa_requirement\":null,\"num_uses\":0}",
        text_of(reply, "accessor"), gateway, gateway, gateway, number_of(reply, "ttl_s"),
        flag_of(reply, "renewable"), text_of(reply, "gateway_id"));
    close_reply(b);
}

static void render_lookup(const struct exchange *x, struct body *b)
{
    const json_t *reply = x->rq->reply;

    open_reply(x, b, "", false, 0);
    add(b, ",\"data\":{\"id\":\"");
    add_span(b, token_text(x), true);
    add(b,
        "\",\"accessor\":\"%s\",\"ttl\":%lld,\"creation_ttl\":%lld,\"creation_time\":%lld,"
        "\"explicit_max_ttl\":0,\"expire_time\":\"%s\",\"issue_time\":\"%s\","
        "\"type\":\"service\",\"renewable\":%s,\"policies\":" POLICIES
        ",\"identity_policies\":[],\"meta\":{\"binding\":\"%s\"},\"path\":\"auth/%s/%s\","
        "\"display_name\":\"%s\",\"entity_id\":\"%s\",\"num_uses\":0,\"orphan\":true,"
        "\"namespace_path\":\"\"},\"auth\":null",
        text_of(reply, "accessor"), number_of(reply, "ttl_s"), number_of(reply, "creation_ttl_s"),
        number_of(reply, "issued_s"), text_of(reply, "expires"), text_of(reply, "issued"),
        flag_of(reply, "renewable"), text_of(reply, "binding"), text_of(reply, "method"),
        strcmp(text_of(reply, "method"), "token") == 0 ? "create" : "login",
        text_of(reply, "gateway"), text_of(reply, "gateway_id"));
    close_reply(b);
}

/* --- the vault ------------------------------------------------------------------------------- */

/* What sys/ replies say is both on top and under data. */
static void render_twice(const struct exchange *x, struct body *b, const char *members)
{
    open_reply(x, b, "", false, 0);
    add(b, ",\"auth\":null,");
    add_span(b, span_text(members), false);
    add(b, ",\"data\":{");
    add_span(b, span_text(members), false);
    add(b, "}");
    close_reply(b);
}

static void render_state(const struct exchange *x, struct body *b, char *members, size_t cap)
{
    const json_t *reply = x->rq->reply;

    switch (x->path.route) {
    case COMPAT_HEALTH:
        snprintf(members, cap,
                 "\"initialized\":%s,\"sealed\":%s,\"standby\":false,\"performance_standby\":false,"
                 "\"replication_performance_mode\":\"disabled\","
                 "\"replication_dr_mode\":\"disabled\",\"server_time_utc\":%lld,"
                 "\"version\":\"" VERSION "\",\"cluster_name\":\"strongroom\",\"cluster_id\":\"\"",
                 flag_of(reply, "initialized"), flag_of(reply, "sealed"),
                 number_of(reply, "time_s"));
        break;
    case COMPAT_SEAL_STATUS:
        snprintf(members, cap,
                 "\"type\":\"shamir\",\"initialized\":%s,\"sealed\":%s,\"t\":%lld,\"n\":%lld,"
                 "\"progress\":%lld,\"nonce\":\"\",\"version\":\"" VERSION "\","
                 "\"build_date\":\"1970-01-01T00:00:00Z\",\"migration\":false,"
                 "\"cluster_name\":\"strongroom\",\"cluster_id\":\"\","
                 "\"recovery_seal\":false,\"storage_type\":\"strongroom\"",
                 flag_of(reply, "initialized"), flag_of(reply, "sealed"), number_of(reply, "need"),
                 number_of(reply, "holders"), number_of(reply, "have"));
        break;
    case COMPAT_INIT:
        snprintf(members, cap, "\"initialized\":%s", flag_of(reply, "initialized"));
        break;
    default:
        snprintf(members, cap,
                 "\"ha_enabled\":false,\"is_self\":false,\"leader_address\":\"\","
                 "\"leader_cluster_address\":\"\",\"performance_standby\":false");
        break;
    }
    render_twice(x, b, members);
}

/* A client may say which number it would like to see. */
static unsigned health_code(const struct exchange *x)
{
    static const struct {
        const char *argument;
        unsigned code;
    } codes[] = { { "activecode", 200 }, { "sealedcode", 503 }, { "uninitcode", 501 } };
    const json_t *reply = x->rq->reply;
    size_t which = json_is_false(json_object_get(reply, "initialized")) ? 2
                   : json_is_true(json_object_get(reply, "sealed"))     ? 1
                                                                        : 0;
    const char *asked =
        MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, codes[which].argument);
    uint64_t code;

    return asked != NULL && number_parse(asked, 200, 599, &code) ? (unsigned)code
                                                                 : codes[which].code;
}

/* --- errors ---------------------------------------------------------------------------------- */

static bool is_login(const struct exchange *x)
{
    return x->path.route == COMPAT_LOGIN_CERT || x->path.route == COMPAT_LOGIN_APPROLE;
}

static bool is_lease(const struct exchange *x)
{
    return x->path.route == COMPAT_LEASE_RENEW || x->path.route == COMPAT_LEASE_REVOKE;
}

static unsigned error_code(const struct exchange *x)
{
    if (x->status != 0)
        return x->status;
    if (x->rq->problem == PROBLEM_STORAGE)
        return 500;
    switch (x->rq->outcome) {
    case BAD_INPUT: return 400;
    case NO_IDENTITY: return is_login(x) ? 400 : 403;
    case DENIED: return 403;
    case NOT_FOUND: return is_lease(x) ? 400 : 404;
    case CONFLICT: return 400;
    case LIMIT: return is_lease(x) ? 400 : 429;
    case LOCKED: return 503;
    default: return 500;
    }
}

/* Our reasons are literals, and quote nothing of what was sent. */
static void render_errors(const struct exchange *x, struct body *b, unsigned code)
{
    const char *why = x->rq->err.why == NULL ? "" : x->rq->err.why;

    if (code == 404)
        add(b, "{\"errors\":[]}");
    else if (code == 403)
        add(b, "{\"errors\":[\"permission denied\",\"%s\"]}", why);
    else if (code == 503)
        add(b, "{\"errors\":[\"Vault is sealed\"]}");
    else if (code == 500)
        add(b, "{\"errors\":[\"internal error\"]}");
    else
        add(b, "{\"errors\":[\"%s\"]}", why);
}

/* --- all of it ------------------------------------------------------------------------------- */

static void render(const struct exchange *x, struct body *b, char *scratch, size_t cap)
{
    switch (x->path.route) {
    case COMPAT_NOTHING: break;
    case COMPAT_LOGIN_CERT:
    case COMPAT_LOGIN_APPROLE:
    case COMPAT_RENEW_SELF: render_auth(x, b); break;
    case COMPAT_LOOKUP_SELF: render_lookup(x, b); break;
    case COMPAT_REVOKE_SELF:
    case COMPAT_LEASE_REVOKE: break;
    case COMPAT_LEASE_RENEW: render_lease(x, b); break;
    case COMPAT_HEALTH:
    case COMPAT_INIT:
    case COMPAT_SEAL_STATUS:
    case COMPAT_LEADER: render_state(x, b, scratch, cap); break;
    case COMPAT_MOUNT: render_mount(x, b); break;
    case COMPAT_KV2_METADATA: render_metadata(x, b); break;
    case COMPAT_KV2_DATA:
    case COMPAT_KV1:
    case COMPAT_CREDS:
        if (x->rq->verb == VERB_LEASE_ISSUE)
            render_key(x, b);
        break;
    }
}

static bool is_list(const struct request *rq)
{
    return rq->verb == VERB_FACE_KEYS && rq->param[1][0] == '\0';
}

static bool is_empty_list(const struct request *rq)
{
    return is_list(rq) && json_array_size(json_object_get(rq->reply, "keys")) == 0;
}

/* Returns the HTTP status. */
static unsigned answer(const struct exchange *x, struct body *b, char **keys, char *scratch,
                       size_t cap)
{
    const struct request *rq = x->rq;
    unsigned code = 200;

    if (rq->outcome == NOT_FOUND && rq->reply != NULL) {
        render_old(x, b);
        return 404;
    }
    if (rq->outcome != OK || is_empty_list(rq)) {
        code = rq->outcome == OK ? 404 : error_code(x);
        render_errors(x, b, code);
        return code;
    }
    if (x->path.route == COMPAT_REVOKE_SELF || x->path.route == COMPAT_LEASE_REVOKE)
        return 204;
    if (is_list(rq)) {
        *keys = json_dumps(rq->reply, JSON_COMPACT);
        if (*keys != NULL)
            render_list(x, b, *keys);
        return 200;
    }
    if (x->path.route == COMPAT_HEALTH)
        code = health_code(x);
    render(x, b, scratch, cap);
    return code;
}

enum MHD_Result compat_send(struct exchange *x)
{
    struct body b = { .count = 0 };
    char scratch[1024], *keys = NULL;
    unsigned code = answer(x, &b, &keys, scratch, sizeof scratch);
    struct MHD_Response *response =
        b.overflow     ? NULL
        : code == 204  ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
        : b.count == 0 ? NULL
                       : pieces_response(b.pieces, b.count);
    enum MHD_Result result;

    if (keys != NULL)
        reply_free_text(keys);
    if (response == NULL)
        return MHD_NO; /* out of memory: the connection is closed without an answer */
    if (code != 204)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    if (x->last)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (x->rq->retry_after_s > 0) {
        snprintf(scratch, sizeof scratch, "%u", x->rq->retry_after_s);
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, scratch);
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Strongroom-Request-Id", x->rq->id);
    result = MHD_queue_response(x->connection, code, response);
    MHD_destroy_response(response);
    return result;
}
