/* Tokens of the Vault-compatible face: logging in, and what a token's holder may do with it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "face.h"

#define PAGE 64

status token_new(struct secret **ret_text, uint8_t ret_hash[static 32], struct err *e)
{
    AUTO(secret) *bits = NULL;
    struct secret *text;
    char *to;
    status st = secret_random(32, &bits, e);

    if (st == OK)
        st = secret_new(TOKEN_LENGTH + 1, &text, e);
    if (st != OK)
        return st;
    to = (char *)secret_fill(text).p;
    memcpy(to, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1);
    hex_format(secret_view(bits), to + sizeof TOKEN_PREFIX - 1);
    st = secret_trim(text, TOKEN_LENGTH, e);
    if (st != OK) {
        secret_free(text);
        return st;
    }
    sha256(secret_view(text), ret_hash);
    *ret_text = text;
    return OK;
}

static json_t *token_json(const struct engine *en, const struct token *t)
{
    char accessor[TOKEN_ACCESSOR + 1];
    uint64_t now = engine_now_us((struct engine *)(uintptr_t)en);
    uint64_t left = t->expires_us > now ? (t->expires_us - now) / SECOND_US : 0;

    token_accessor(t->hash, accessor);
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:o, s:o, s:b}", "accessor", accessor, "method",
        token_kind_name(t->kind), "gateway", t->gateway_name, "gateway_id", json_id(&t->gateway),
        "binding", binding_name(t->binding), "ttl_s", (json_int_t)left, "creation_ttl_s",
        (json_int_t)((t->expires_us - t->issued_us) / SECOND_US), "issued_s",
        (json_int_t)(t->issued_us / SECOND_US), "issued", json_time(t->issued_us), "expires",
        json_time(t->expires_us), "renewable", (int)(t->kind != TOKEN_ISSUED));
}

/* The record of a token that begins, or goes on. */
static status token_entry(struct engine *en, struct request *rq, uint16_t type,
                          const struct token *t, const char *method, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = type };
    char accessor[TOKEN_ACCESSOR + 1];
    struct fields f;

    token_accessor(t->hash, accessor);
    fields_of(en, &f, rq, &entry.log);
    if (memcmp(rq->peer.spki, t->hash, sizeof t->hash) != 0) /* else it is said already */
        fields_text(&f, "accessor", accessor);
    fields_text(&f, "method", method);
    fields_text(&f, "gateway", t->gateway_name);
    if (!id_is_zero(&t->role))
        fields_id(&f, "role_id", &t->role);
    fields_text(&f, "binding", binding_name(t->binding));
    if (type == RECORD_TOKEN_ISSUED)
        fields_time(&f, "until", t->expires_us);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* The certificate that the connection has shown is the login. */
static status by_certificate(const struct request *rq, struct token *t, struct err *e)
{
    const char *role = json_string_value(json_object_get(rq->body, "role"));

    if (rq->peer.role != ROLE_GATEWAY)
        return fail(e, NO_IDENTITY, "invalid certificate or no client certificate supplied", 0);
    if (role != NULL && strcmp(role, rq->peer.name) != 0)
        return fail(e, NO_IDENTITY, "the role is the gateway's name, or none", 0);
    t->kind = TOKEN_BY_CERT;
    t->binding = BINDING_CERT_IF_PRESENTED; /* the tenant may ask for more */
    t->gateway = rq->gateway;
    t->max_expires_us = rq->peer.not_after_us;
    memcpy(t->gateway_name, rq->peer.name, sizeof t->gateway_name);
    memcpy(t->certificate, rq->peer.spki, sizeof t->certificate);
    return OK;
}

static status by_approle(struct engine *en, struct request *rq, struct token *t, struct err *e)
{
    struct store_approle role = { .bits = 0 };
    struct err absent = { 0 };
    uint8_t hash[32];
    struct net from;
    status st = body_id(rq, "role_id", &t->role, e);

    if (st == OK)
        st = body_hex_exact(rq, "secret_hash", hash, sizeof hash, e);
    if (st != OK)
        return st;
    st = store_approle(en->store, &t->role, &role, &absent);
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    from.bits = role.bits;
    memcpy(from.address, role.address, sizeof from.address);
    if (st == NOT_FOUND || !secret_equal(SPAN(hash), SPAN(role.secret_hash)) ||
        !net_holds(&from, rq->face.address))
        return fail(e, NO_IDENTITY, "invalid role or secret ID", 0);
    if (rq->peer.role == ROLE_GATEWAY && !id_same(&rq->gateway, &role.gateway))
        return fail(e, NO_IDENTITY, "the certificate is another gateway's", 0);
    if (rq->peer.role == ROLE_GATEWAY)
        memcpy(t->certificate, rq->peer.spki, sizeof t->certificate);
    else if (role.binding == BINDING_CERT)
        return fail(e, NO_IDENTITY, "this role logs in with its gateway's certificate", 0);
    t->kind = TOKEN_BY_APPROLE;
    t->binding = role.binding;
    t->gateway = role.gateway;
    t->from = from;
    t->max_expires_us = UINT64_MAX;
    memcpy(t->gateway_name, role.gateway_name, sizeof t->gateway_name);
    rq->peer.role = ROLE_GATEWAY;
    memcpy(rq->peer.name, t->gateway_name, sizeof rq->peer.name);
    return OK;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

APPLY(token_login)
{
    struct token *t = rq->plan = calloc(1, sizeof *t);
    const char *method;
    status st;

    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for a token", 0);
    st = body_name(rq, "method", &method, e);
    if (st == OK)
        st = strcmp(method, "cert") == 0 ? by_certificate(rq, t, e) : by_approle(en, rq, t, e);
    if (st != OK)
        return st;
    secret_free(rq->value); /* of a batch that it did not fit into */
    rq->value = NULL;
    st = token_new(&rq->value, t->hash, e);
    if (st != OK)
        return st;
    memcpy(t->address, rq->face.address, sizeof t->address);
    t->issued_us = engine_now_us(en);
    t->max_expires_us =
        least(t->max_expires_us, t->issued_us + en->settings.lease_max_lifetime_s * SECOND_US);
    t->expires_us = least(t->issued_us + en->settings.token_ttl_s * SECOND_US, t->max_expires_us);
    if (tokens_of_gateway(en->tokens, &t->gateway) >= TOKENS_OF_GATEWAY)
        return fail(e, LIMIT, "this gateway holds too many tokens: let it keep one", 0);
    return token_entry(en, rq, RECORD_TOKEN_ISSUED, t, token_kind_name(t->kind), e);
}

COMPLETE(token_logged_in)
{
    const struct token *t = rq->plan;
    status st = tokens_add(en->tokens, t, e);

    (void)result;
    if (st == LIMIT) { /* others of the same batch were faster */
        rq->outcome = fail(&rq->err, LIMIT, "there are too many tokens: try again later", 0);
        return OK;
    }
    rq->reply = token_json(en, t);
    return st;
}

/* verb_permit has found it in the same step. */
static struct token *own(struct engine *en, const struct request *rq)
{
    return tokens_find(en->tokens, rq->face.token, engine_now_us(en));
}

APPLY(token_show)
{
    const struct token *t = own(en, rq);

    if (t == NULL)
        return fail(e, NO_IDENTITY, "the token is unknown, or it is over", 0);
    rq->reply = token_json(en, t);
    return OK;
}

/* A token that was stolen is not made to last: the login's certificate has to be there again. */
APPLY(token_renew)
{
    const struct token *t = own(en, rq);
    struct token *plan = rq->plan = calloc(1, sizeof *plan);
    uint64_t asked_s, now = engine_now_us(en);
    status st;

    if (plan == NULL || t == NULL)
        return fail(e, NO_MEMORY, "no memory for a token", 0);
    if (t->kind == TOKEN_ISSUED)
        return fail(e, BAD_INPUT, "this token cannot be renewed: it has its end", 0);
    if (t->kind == TOKEN_BY_CERT &&
        !token_permits(t, BINDING_CERT, rq->face.shown.spki, rq->face.address))
        return fail(e, DENIED, "renewing takes the certificate of the login", 0);
    st = body_number(rq, "increment_s", 0, 0, 86400, &asked_s, e);
    if (st != OK)
        return st;
    if (asked_s == 0 || asked_s > en->settings.token_ttl_s)
        asked_s = en->settings.token_ttl_s;
    *plan = *t;
    plan->expires_us = least(now + asked_s * SECOND_US, t->max_expires_us);
    return token_entry(en, rq, RECORD_TOKEN_ISSUED, plan, "renewal", e);
}

COMPLETE(token_renewed)
{
    const struct token *plan = rq->plan;
    struct token *t = own(en, rq);

    (void)result;
    (void)e;
    if (t == NULL) {
        rq->outcome = fail(&rq->err, NO_IDENTITY, "the token is unknown, or it is over", 0);
        return OK;
    }
    t->expires_us = plan->expires_us;
    rq->reply = token_json(en, t);
    return OK;
}

APPLY(token_revoke)
{
    const struct token *t = own(en, rq);

    if (t == NULL)
        return fail(e, NO_IDENTITY, "the token is unknown, or it is over", 0);
    return token_entry(en, rq, RECORD_TOKEN_REVOKED, t, token_kind_name(t->kind), e);
}

static void end_leases(struct engine *en, const uint8_t hash[static 32])
{
    struct lease pattern = { .version = 0 };

    memcpy(pattern.certificate, hash, sizeof pattern.certificate);
    leases_end(en->leases, &pattern, engine_now_us(en));
}

void token_cut(struct engine *en, const uint8_t hash[static 32])
{
    tokens_remove(en->tokens, hash);
    end_leases(en, hash);
}

COMPLETE(token_revoked)
{
    struct err absent = { 0 };
    status st = store_issued_token_remove(en->store, rq->face.token, &absent);

    (void)result;
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    token_cut(en, rq->face.token);
    return OK;
}

static void cut_one(void *context, const uint8_t hash[static 32])
{
    end_leases(context, hash);
}

status tokens_cut(struct engine *en, const struct token_pattern *pattern, struct err *e)
{
    return tokens_end(en->tokens, pattern, cut_one, en, e);
}

void token_of_issued(const struct store_issued_token *row, struct token *ret_token)
{
    *ret_token = (struct token){ .kind = TOKEN_ISSUED,
                                 .binding = row->binding,
                                 .gateway = row->gateway,
                                 .from = { .bits = row->bits },
                                 .issued_us = row->created_us,
                                 .expires_us = row->expires_us,
                                 .max_expires_us = row->expires_us };
    memcpy(ret_token->hash, row->hash, sizeof ret_token->hash);
    memcpy(ret_token->from.address, row->address, sizeof ret_token->from.address);
    memcpy(ret_token->gateway_name, row->gateway_name, sizeof ret_token->gateway_name);
}

status tokens_load(struct engine *en, struct err *e)
{
    struct store_issued_token page[PAGE];
    uint8_t after[32];
    size_t count = 0;
    status st = tokens_new(&en->tokens, e);

    if (st == OK)
        st = store_issued_tokens(en->store, NULL, page, PAGE, &count, e);
    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++) {
            struct token t;

            if (page[i].expires_us <= engine_now_us(en))
                continue;
            token_of_issued(&page[i], &t);
            st = tokens_add(en->tokens, &t, e);
        }
        memcpy(after, page[count - 1].hash, sizeof after);
        if (st == OK)
            st = store_issued_tokens(en->store, after, page, PAGE, &count, e);
    }
    return st;
}
