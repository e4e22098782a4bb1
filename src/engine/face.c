/* The Vault-compatible face's way in, and what it shows without leasing anything. */
#include "face.h"

#include <string.h>

#include "base/clock.h"
#include "compat/path.h"

#define PAGE 64

/* A certificate of this vault's that was revoked, or of no gateway, is as none. */
static const struct policy_certificate *shown_certificate(const struct engine *en,
                                                          const struct request *rq)
{
    const struct policy_certificate *c = NULL;
    struct err why = { 0 };

    if (rq->face.shown.role != ROLE_GATEWAY ||
        policy_resolve(en->policy, &rq->face.shown, &c, &why) != OK)
        return NULL;
    return c;
}

static bool needs_no_token(enum verb verb)
{
    return verb == VERB_NONE || verb == VERB_FACE_STATE || verb == VERB_TOKEN_LOGIN;
}

static const struct token *token_of(struct engine *en, const struct request *rq)
{
    return rq->face.has_token ? tokens_find(en->tokens, rq->face.token, engine_now_us(en)) : NULL;
}

static bool permits(struct engine *en, const struct request *rq, const struct token *token,
                    uint8_t binding)
{
    const struct policy_certificate *c = shown_certificate(en, rq);

    return token_permits(token, binding, c == NULL ? NULL : c->spki, rq->face.address);
}

status face_resolve(struct engine *en, struct request *rq, struct err *e)
{
    const struct policy_certificate *c;
    const struct token *token;

    rq->peer = (struct holder){ .role = ROLE_NONE };
    if (en->state != VAULT_UNLOCKED)
        return rq->verb == VERB_FACE_STATE ? OK : fail(e, LOCKED, "Vault is sealed", 0);
    c = shown_certificate(en, rq);
    if (needs_no_token(rq->verb)) {
        if (c != NULL) {
            rq->peer = rq->face.shown;
            rq->gateway = c->gateway;
        }
        return OK;
    }
    if (!rq->face.has_token)
        return fail(e, NO_IDENTITY, "a token is required: log in first", 0);
    token = token_of(en, rq);
    if (token == NULL)
        return fail(e, NO_IDENTITY, "the token is unknown, or it is over", 0);
    rq->peer.role = ROLE_GATEWAY;
    rq->peer.not_after_us = token->expires_us;
    memcpy(rq->peer.name, token->gateway_name, sizeof rq->peer.name);
    memcpy(rq->peer.spki, token->hash, sizeof rq->peer.spki);
    rq->gateway = token->gateway;
    return permits(en, rq, token, token->binding)
               ? OK
               : fail(e, DENIED, "this token does not count on this connection", 0);
}

static bool has_grant(const struct engine *en, const struct request *rq,
                      const struct store_tenant *tenant)
{
    const struct policy_grant *g;
    size_t cursor = 0;

    while ((g = policy_grant_next(en->policy, &rq->gateway, &cursor)) != NULL) {
        if (id_same(&g->tenant, &tenant->id))
            return true;
    }
    return false;
}

static status decide_binding(struct engine *en, struct request *rq, struct err *e)
{
    const struct token *token = token_of(en, rq);

    if (rq->face.least == 0 || token == NULL)
        return fail(e, DENIED, "no grant covers this key", 0);
    return permits(en, rq, token, rq->face.least > token->binding ? rq->face.least : token->binding)
               ? OK
               : fail(e, DENIED, "the tenant asks for a stronger binding of tokens", 0);
}

/* Where the gateway has a grant the token is decided on before it is looked whether the key is
 * there: else a token that opens nothing would tell. */
status face_ask(struct engine *en, struct request *rq, const char *tenant, struct err *e)
{
    struct store_tenant found = { .name = "" };
    struct store_compat compat;
    struct err absent = { 0 };
    status st;

    rq->face.least = 0;
    if (!rq->face.on)
        return OK;
    st = store_tenant(en->store, tenant, &found, &absent);
    if (st == OK)
        st = store_compat(en->store, &found.id, &compat, &absent);
    if (st == OK)
        rq->face.least = compat.binding;
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, 0);
    if (id_is_zero(&found.id) || !has_grant(en, rq, &found))
        return OK;
    rq->log = found.id; /* its gateway, its log */
    return decide_binding(en, rq, e);
}

/* What a version that is not served any more leaves to be told. */
static status old_version(struct engine *en, struct request *rq, const struct store_key *key,
                          struct err *e)
{
    struct store_version v;
    struct err absent = { 0 };

    if (rq->face.version < key->version &&
        store_version(en->store, &key->tenant, &key->id, (uint32_t)rq->face.version, &v, &absent) ==
            OK)
        rq->reply = json_pack("{s:i, s:o, s:o, s:b}", "version", (int)v.version, "created",
                              json_time(v.created_us), "deleted",
                              json_time(v.destroy_at_us != 0 ? v.destroy_at_us : v.created_us),
                              "destroyed", v.state == VERSION_DESTROYED);
    return fail(e, NOT_FOUND, "only the current version is served", 0);
}

status face_decide(struct engine *en, struct request *rq, const struct store_key *key,
                   struct err *e)
{
    status st;

    if (!rq->face.on)
        return OK;
    st = decide_binding(en, rq, e);
    if (st == OK && rq->face.version != 0 && rq->face.version != key->version)
        st = old_version(en, rq, key, e);
    return st;
}

status face_describe(struct engine *en, struct request *rq, const struct lease *l, struct err *e)
{
    struct store_version v;
    status st;

    if (!rq->face.on || rq->reply == NULL)
        return OK;
    st = store_version(en->store, &l->tenant, &l->key, l->version, &v, e);
    if (st == OK)
        json_object_set_new(rq->reply, "created", json_time(v.created_us));
    return st;
}

/* Asked by anybody: an open vault does not bother its keeper with it. */
APPLY(face_state)
{
    status st = en->state == VAULT_UNLOCKED ? OK : engine_hello(en, e);

    if (st != OK)
        return st;
    rq->reply =
        json_pack("{s:b, s:b, s:s, s:i, s:i, s:i, s:I, s:o}", "initialized",
                  en->state != VAULT_EMPTY, "sealed", en->state != VAULT_UNLOCKED, "region",
                  en->region, "have", (int)en->hello.have, "need", (int)en->hello.need, "holders",
                  (int)en->hello.holders, "time_s", (json_int_t)(engine_now_us(en) / SECOND_US),
                  "vault", id_is_zero(&en->vault) ? json_null() : json_id(&en->vault));
    return OK;
}

/* Would it be leased? Names that would not are not there. */
static bool is_granted(struct engine *en, const struct request *rq, const struct store_key *key)
{
    struct policy_bounds bounds = { .ttl_s = en->settings.lease_ttl_s,
                                    .max_ttl_s = en->settings.lease_max_ttl_s };
    struct err why = { 0 };
    uint64_t ttl_s;

    return key->state == KEY_ACTIVE && key->scope != SCOPE_ADMIN &&
           policy_lease(en->policy, &rq->gateway, &key->tenant, key->name, 0, &bounds, &ttl_s,
                        &why) == OK;
}

/* The tenant of a list or a look: to whoever has no grant there, as one that does not exist. */
static status find_tenant(struct engine *en, struct request *rq, struct store_tenant *tenant,
                          struct err *e)
{
    struct err absent = { 0 };
    status st = face_ask(en, rq, rq->param[0], e);

    if (st != OK)
        return st;
    st = store_tenant(en->store, rq->param[0], tenant, &absent);
    if (st == NOT_FOUND || (st == OK && !has_grant(en, rq, tenant)))
        return fail(e, DENIED, "no grant covers this key", 0);
    return st == OK ? OK : err_note(e, st, absent.where, absent.why, absent.detail);
}

/* The names of all that are granted. */
static status list_keys(struct engine *en, struct request *rq, const struct store_tenant *tenant,
                        struct err *e)
{
    struct store_key page[PAGE];
    char after[STORE_NAME] = "";
    size_t count = PAGE;
    json_t *list = json_array();
    status st = OK;

    while (st == OK && count == PAGE) {
        st = store_keys(en->store, &tenant->id, after[0] == '\0' ? NULL : after, page, PAGE, &count,
                        e);
        for (size_t i = 0; st == OK && i < count; i++) {
            if (is_granted(en, rq, &page[i]))
                json_array_append_new(list, json_string(page[i].name));
            memcpy(after, page[i].name, sizeof after);
        }
    }
    rq->reply = json_pack("{s:o}", "keys", list);
    return st == OK ? decide_binding(en, rq, e) : st;
}

/* What is told of one without leasing it. */
static status describe_key(struct engine *en, struct request *rq, const struct store_tenant *tenant,
                           struct err *e)
{
    struct store_key key;
    struct store_version v;
    struct err absent = { 0 };
    status st = store_key(en->store, &tenant->id, rq->param[1], &key, &absent);

    if (st == NOT_FOUND || (st == OK && !is_granted(en, rq, &key)))
        return fail(e, DENIED, "no grant covers this key", 0);
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    st = decide_binding(en, rq, e);
    if (st == OK)
        st = store_version(en->store, &tenant->id, &key.id, key.version, &v, e);
    if (st == OK)
        rq->reply = json_pack("{s:i, s:o, s:o, s:s}", "version", (int)key.version, "first",
                              json_time(key.created_us), "created", json_time(v.created_us),
                              "provider", provider_name(key.provider));
    return st;
}

/* param[1] names a key; without one, they are listed. */
APPLY(face_keys)
{
    struct store_tenant tenant;
    status st = find_tenant(en, rq, &tenant, e);

    if (st != OK)
        return st;
    return rq->param[1][0] == '\0' ? list_keys(en, rq, &tenant, e)
                                   : describe_key(en, rq, &tenant, e);
}
