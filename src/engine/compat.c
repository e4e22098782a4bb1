/* Who may use the Vault-compatible face: tenants that opt in, and for gateways the roles and tokens
 * of those that cannot log in with their certificate. Nothing here gives more than grants do. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compat/path.h"
#include "face.h"

#define ROLES_MAX 100 /* of a gateway */
#define PAGE      64

/* --- a tenant's opt-in ----------------------------------------------------------------------- */

static json_t *compat_json(const struct store_compat *c)
{
    return json_pack("{s:b, s:s?, s:o}", "enabled", c->binding != 0, "binding",
                     c->binding == 0 ? NULL : binding_name(c->binding), "since",
                     json_time(c->since_us));
}

APPLY(compat_show)
{
    struct store_compat c = { .binding = 0 };
    struct err absent = { 0 };
    status st = store_compat(en->store, &rq->log, &c, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    rq->reply = compat_json(&c);
    return OK;
}

/* A binding by its name; absent: the strictest. */
static status body_binding(const struct request *rq, uint8_t *ret_binding, struct err *e)
{
    const char *text;
    status st = body_text(rq, "binding", true, 32, &text, e);

    *ret_binding = st == OK && text != NULL ? binding_parse(text) : BINDING_CERT;
    if (st == OK && *ret_binding == 0)
        st = fail(e, BAD_INPUT, "binding is cert, cert_if_presented, source_ip or none", 0);
    return st;
}

APPLY(compat_set)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = rq->log, .type = RECORD_COMPAT_SET };
    struct store_compat *c = rq->plan = calloc(1, sizeof *c);
    const json_t *enabled = json_object_get(rq->body, "enabled");
    struct fields f;
    status st;

    if (c == NULL)
        return fail(e, NO_MEMORY, "no memory for a tenant", 0);
    if (!json_is_boolean(enabled))
        return fail(e, BAD_INPUT, "enabled is true or false", 0);
    st = body_binding(rq, &c->binding, e);
    if (st == OK && json_is_true(enabled) && compat_reserved(rq->param[0]))
        st = fail(e, CONFLICT, "a tenant of this name cannot be told from a path's own words", 0);
    if (st != OK)
        return st;
    c->tenant = rq->log;
    c->since_us = engine_now_us(en);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "enabled", json_is_true(enabled) ? "yes" : "no");
    if (json_is_true(enabled))
        fields_text(&f, "binding", binding_name(c->binding));
    else
        c->binding = 0;
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(compat_kept)
{
    struct store_compat *c = rq->plan;
    struct err absent = { 0 };
    status st;

    (void)result;
    if (c->binding != 0)
        st = store_compat_set(en->store, c, &absent);
    else
        st = store_compat_remove(en->store, &c->tenant, &absent);
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (c->binding == 0)
        c->since_us = 0;
    rq->reply = compat_json(c);
    return OK;
}

/* --- roles of a gateway ---------------------------------------------------------------------- */

static status body_net(const struct request *rq, bool optional, struct net *ret_net, struct err *e)
{
    const char *text;
    status st = body_text(rq, "cidr", optional, NET_TEXT - 1, &text, e);

    *ret_net = (struct net){ .bits = 0 };
    if (st == OK && text != NULL && !net_parse(text, ret_net))
        st = fail(e, BAD_INPUT, "cidr is an address, or a range such as 10.0.0.0/8", 0);
    return st;
}

static json_t *net_json(const uint8_t address[static 16], uint8_t bits)
{
    struct net net = { .bits = bits };
    char text[NET_TEXT];

    if (bits == 0)
        return json_null();
    memcpy(net.address, address, sizeof net.address);
    net_format(&net, text);
    return json_string(text);
}

static json_t *approle_json(const struct store_approle *r)
{
    return json_pack("{s:o, s:s, s:o, s:o}", "role_id", json_id(&r->role), "binding",
                     binding_name(r->binding), "cidr", net_json(r->address, r->bits), "created",
                     json_time(r->created_us));
}

static status approle_entry(struct engine *en, struct request *rq, uint16_t type,
                            const struct store_approle *r, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = type };
    struct net from = { .bits = r->bits };
    char text[NET_TEXT];
    struct fields f;

    memcpy(from.address, r->address, sizeof from.address);
    net_format(&from, text);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "gateway", r->gateway_name);
    fields_id(&f, "role_id", &r->role);
    if (type == RECORD_APPROLE_ADDED) {
        fields_text(&f, "binding", binding_name(r->binding));
        fields_text(&f, "cidr", text);
    }
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static status approle_room(struct engine *en, const struct id *gateway, struct err *e)
{
    struct store_approle roles[ROLES_MAX];
    size_t count = 0;
    status st = store_approles(en->store, gateway, roles, ROLES_MAX, &count, e);

    if (st == OK && count == ROLES_MAX)
        st = fail(e, LIMIT, "a gateway has at most 100 roles: remove one", 0);
    return st;
}

/* The secret's text is made here and shown once; its hash is what stays. */
static status new_secret(struct request *rq, uint8_t hash[static 32], struct err *e)
{
    secret_free(rq->value);
    rq->value = NULL;
    return token_new(&rq->value, hash, e);
}

APPLY(approle_add)
{
    struct store_approle *r = rq->plan = calloc(1, sizeof *r);
    struct store_gateway gateway;
    struct net from;
    status st;

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory for a role", 0);
    st = store_gateway(en->store, rq->param[0], &gateway, e);
    if (st == OK)
        st = body_binding(rq, &r->binding, e);
    if (st == OK)
        st = body_net(rq, true, &from, e);
    if (st == OK)
        st = approle_room(en, &gateway.id, e);
    if (st == OK)
        st = new_secret(rq, r->secret_hash, e);
    if (st != OK)
        return st;
    random_bytes((struct mspan){ r->role.b, sizeof r->role.b });
    r->gateway = gateway.id;
    r->bits = from.bits;
    r->created_us = engine_now_us(en);
    memcpy(r->gateway_name, gateway.name, sizeof r->gateway_name);
    memcpy(r->address, from.address, sizeof r->address);
    return approle_entry(en, rq, RECORD_APPROLE_ADDED, r, e);
}

COMPLETE(approle_added)
{
    const struct store_approle *r = rq->plan;

    (void)result;
    rq->created = true;
    rq->reply = approle_json(r);
    return store_approle_add(en->store, r, e);
}

APPLY(approle_remove)
{
    struct store_approle *r = rq->plan = calloc(1, sizeof *r);
    struct store_gateway gateway;
    struct id role;
    status st;

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory for a role", 0);
    if (!id_parse(rq->param[1], &role))
        return fail(e, BAD_INPUT, "a role is named by its role_id, 32 hex digits", 0);
    st = store_gateway(en->store, rq->param[0], &gateway, e);
    if (st == OK)
        st = store_approle(en->store, &role, r, e);
    if (st == OK && !id_same(&r->gateway, &gateway.id))
        st = fail(e, NOT_FOUND, "no such role", 0);
    return st == OK ? approle_entry(en, rq, RECORD_APPROLE_REMOVED, r, e) : st;
}

COMPLETE(approle_removed)
{
    const struct store_approle *r = rq->plan;
    struct token_pattern tokens = { .role = r->role };
    status st = store_approle_remove(en->store, &r->role, &r->gateway, e);

    (void)result;
    if (st == OK)
        st = tokens_cut(en, &tokens, e);
    rq->reply = json_object();
    return st;
}

/* --- tokens for those that cannot log in ------------------------------------------------------ */

static json_t *issued_json(const struct store_issued_token *t)
{
    char accessor[TOKEN_ACCESSOR + 1];

    token_accessor(t->hash, accessor);
    return json_pack("{s:s, s:o, s:o, s:o}", "accessor", accessor, "cidr",
                     net_json(t->address, t->bits), "created", json_time(t->created_us), "expires",
                     json_time(t->expires_us));
}

/* Walks all issued tokens; visit says whether to go on. */
static status walk(struct engine *en, bool (*visit)(void *, const struct store_issued_token *),
                   void *context, struct err *e)
{
    struct store_issued_token page[PAGE];
    uint8_t after[32];
    size_t count = PAGE;
    bool more = true;
    status st = store_issued_tokens(en->store, NULL, page, PAGE, &count, e);

    while (st == OK && more && count > 0) {
        for (size_t i = 0; more && i < count; i++)
            more = visit(context, &page[i]);
        memcpy(after, page[count - 1].hash, sizeof after);
        if (more)
            st = store_issued_tokens(en->store, after, page, PAGE, &count, e);
    }
    return st;
}

struct listing {
    struct id gateway;
    json_t *list;
};

static bool list_one(void *context, const struct store_issued_token *t)
{
    struct listing *l = context;

    if (id_same(&t->gateway, &l->gateway))
        json_array_append_new(l->list, issued_json(t));
    return true;
}

APPLY(compat_list)
{
    struct store_approle roles[ROLES_MAX];
    struct store_gateway gateway;
    struct listing l;
    size_t count = 0;
    json_t *list;
    status st = store_gateway(en->store, rq->param[0], &gateway, e);

    if (st == OK)
        st = store_approles(en->store, &gateway.id, roles, ROLES_MAX, &count, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, approle_json(&roles[i]));
    l = (struct listing){ .gateway = gateway.id, .list = json_array() };
    st = walk(en, list_one, &l, e);
    rq->reply = json_pack("{s:o, s:o}", "approles", list, "tokens", l.list);
    return st;
}

static status issued_entry(struct engine *en, struct request *rq, uint16_t type,
                           const struct store_issued_token *t, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = type };
    char accessor[TOKEN_ACCESSOR + 1], text[NET_TEXT];
    struct net from = { .bits = t->bits };
    struct fields f;

    token_accessor(t->hash, accessor);
    memcpy(from.address, t->address, sizeof from.address);
    net_format(&from, text);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "accessor", accessor);
    fields_text(&f, "method", "token");
    fields_text(&f, "gateway", t->gateway_name);
    fields_text(&f, "cidr", text);
    if (type == RECORD_TOKEN_ISSUED)
        fields_time(&f, "until", t->expires_us);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* Whoever holds it is the gateway, so it must say from where: cidr is not optional. */
APPLY(token_issue)
{
    struct store_issued_token *t = rq->plan = calloc(1, sizeof *t);
    struct store_gateway gateway;
    struct net from;
    uint64_t days;
    status st;

    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for a token", 0);
    st = store_gateway(en->store, rq->param[0], &gateway, e);
    if (st == OK)
        st = body_net(rq, false, &from, e);
    if (st == OK && net_is_everywhere(&from))
        st = fail(e, BAD_INPUT, "a token needs a range of addresses that is not everywhere", 0);
    if (st == OK)
        st = body_number(rq, "days", 90, 1, 825, &days, e);
    if (st == OK)
        st = new_secret(rq, t->hash, e);
    if (st != OK)
        return st;
    t->gateway = gateway.id;
    t->binding = BINDING_SOURCE_IP;
    t->bits = from.bits;
    t->created_us = engine_now_us(en);
    t->expires_us = t->created_us + days * DAY_S * SECOND_US;
    memcpy(t->gateway_name, gateway.name, sizeof t->gateway_name);
    memcpy(t->address, from.address, sizeof t->address);
    if (tokens_of_gateway(en->tokens, &gateway.id) >= TOKENS_OF_GATEWAY)
        return fail(e, LIMIT, "this gateway holds too many tokens: let it keep one", 0);
    if (tokens_count(en->tokens) >= TOKENS_HELD) /* behind its record it would be too late */
        return fail(e, LIMIT, "there are too many tokens: try again later", 0);
    return issued_entry(en, rq, RECORD_TOKEN_ISSUED, t, e);
}

COMPLETE(token_issued)
{
    const struct store_issued_token *t = rq->plan;
    struct token held;
    status st = store_issued_token_add(en->store, t, e);

    (void)result;
    token_of_issued(t, &held);
    if (st == OK) /* or they would pile up until there are more than an unlock takes */
        st = store_issued_tokens_expire(en->store, engine_now_us(en), e);
    if (st == OK)
        st = tokens_add(en->tokens, &held, e);
    rq->created = true;
    rq->reply = issued_json(t);
    return st;
}

struct search {
    struct id gateway;
    const char *accessor;
    struct store_issued_token *found;
    bool there;
};

static bool look_at(void *context, const struct store_issued_token *t)
{
    struct search *s = context;
    char accessor[TOKEN_ACCESSOR + 1];

    token_accessor(t->hash, accessor);
    if (id_same(&t->gateway, &s->gateway) && strcmp(accessor, s->accessor) == 0) {
        *s->found = *t;
        s->there = true;
    }
    return !s->there;
}

APPLY(token_withdraw)
{
    struct store_issued_token *t = rq->plan = calloc(1, sizeof *t);
    struct search s = { .accessor = rq->param[1], .found = t };
    struct store_gateway gateway;
    status st;

    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for a token", 0);
    st = store_gateway(en->store, rq->param[0], &gateway, e);
    s.gateway = gateway.id;
    if (st == OK)
        st = walk(en, look_at, &s, e);
    if (st == OK && !s.there)
        st = fail(e, NOT_FOUND, "there is no such token", 0);
    return st == OK ? issued_entry(en, rq, RECORD_TOKEN_REVOKED, t, e) : st;
}

COMPLETE(token_withdrawn)
{
    const struct store_issued_token *t = rq->plan;
    status st = store_issued_token_remove(en->store, t->hash, e);

    (void)result;
    if (st == OK)
        token_cut(en, t->hash);
    rq->reply = json_object();
    return st;
}
