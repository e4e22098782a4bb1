/* One hash table by the tokens' hashes, another that counts them by gateway. */
#include "compat/token.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct count {
    struct id gateway;
    size_t n;
};

struct tokens {
    struct table table;
    struct table counts; /* by gateway; those that have any */
};

static const struct {
    uint8_t code;
    const char *name;
} bindings[] = {
    { BINDING_NONE, "none" },
    { BINDING_CERT_IF_PRESENTED, "cert_if_presented" },
    { BINDING_SOURCE_IP, "source_ip" },
    { BINDING_CERT, "cert" },
};
#define BINDINGS (sizeof bindings / sizeof bindings[0])

uint8_t binding_parse(const char *name)
{
    for (size_t i = 0; i < BINDINGS; i++) {
        if (strcmp(bindings[i].name, name) == 0)
            return bindings[i].code;
    }
    return 0;
}

const char *binding_name(uint8_t binding)
{
    for (size_t i = 0; i < BINDINGS; i++) {
        if (bindings[i].code == binding)
            return bindings[i].name;
    }
    return "unknown";
}

const char *token_kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [TOKEN_BY_CERT] = "cert", [TOKEN_BY_APPROLE] = "approle", [TOKEN_ISSUED] = "token"
    };

    return kind >= TOKEN_BY_CERT && kind <= TOKEN_ISSUED ? names[kind] : "unknown";
}

void token_accessor(const uint8_t hash[static 32], char out[TOKEN_ACCESSOR + 1])
{
    hex_format(span_of(hash, 16), out);
}

status tokens_new(struct tokens **ret_tokens, struct err *e)
{
    struct tokens *t = calloc(1, sizeof *t);

    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for tokens", 0);
    table_init(&t->table, sizeof((struct token *)NULL)->hash);
    table_init(&t->counts, sizeof(struct id));
    *ret_tokens = t;
    return OK;
}

void tokens_free(struct tokens *t)
{
    if (t == NULL)
        return;
    table_clear_values(&t->table);
    table_clear_values(&t->counts);
    free(t);
}

static status count_up(struct tokens *t, const struct id *gateway, struct err *e)
{
    struct count *c = table_find(&t->counts, gateway->b);
    status st;

    if (c != NULL && c->n >= TOKENS_OF_GATEWAY)
        return fail(e, LIMIT, "this gateway holds too many tokens: let it keep one", 0);
    if (c != NULL) {
        c->n++;
        return OK;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return fail(e, NO_MEMORY, "no memory for a token", 0);
    c->gateway = *gateway;
    c->n = 1;
    st = table_add(&t->counts, c->gateway.b, c, e);
    if (st != OK)
        free(c);
    return st;
}

static void count_down(struct tokens *t, const struct id *gateway)
{
    struct count *c = table_find(&t->counts, gateway->b);

    if (c != NULL && --c->n == 0)
        free(table_remove(&t->counts, gateway->b));
}

status tokens_add(struct tokens *t, const struct token *token, struct err *e)
{
    struct token *held;
    status st;

    if (t->table.count >= TOKENS_HELD)
        return fail(e, LIMIT, "there are too many tokens: try again later", 0);
    st = count_up(t, &token->gateway, e);
    if (st != OK)
        return st;
    held = malloc(sizeof *held);
    if (held == NULL)
        st = fail(e, NO_MEMORY, "no memory for a token", 0);
    else
        *held = *token;
    if (st == OK)
        st = table_add(&t->table, held->hash, held, e);
    if (st != OK) {
        free(held);
        count_down(t, &token->gateway);
    }
    return st;
}

struct token *tokens_find(struct tokens *t, const uint8_t hash[static 32], uint64_t now_us)
{
    struct token *token = table_find(&t->table, hash);

    return token != NULL && token->expires_us > now_us ? token : NULL;
}

void tokens_remove(struct tokens *t, const uint8_t hash[static 32])
{
    struct token *token = table_remove(&t->table, hash);

    if (token == NULL)
        return;
    count_down(t, &token->gateway);
    free(token);
}

static bool wanted(struct span pattern, struct span value)
{
    static const uint8_t zero[32];

    return span_same(pattern, span_of(zero, pattern.n)) || span_same(pattern, value);
}

static bool matches(const struct token_pattern *p, const struct token *token)
{
    return wanted(SPAN(p->gateway.b), SPAN(token->gateway.b)) &&
           wanted(SPAN(p->role.b), SPAN(token->role.b)) &&
           wanted(SPAN(p->certificate), SPAN(token->certificate)) &&
           (p->expires_us == 0 || token->expires_us <= p->expires_us);
}

/* The table may not change while it is walked: collect first, then remove. */
status tokens_end(struct tokens *t, const struct token_pattern *pattern,
                  void (*ended)(void *context, const uint8_t hash[static 32]), void *context,
                  struct err *e)
{
    struct token **doomed = calloc(t->table.count + 1, sizeof(struct token *));
    struct token *token;
    size_t cursor = 0, count = 0;

    if (doomed == NULL)
        return fail(e, NO_MEMORY, "no memory to end tokens", 0);
    while ((token = table_next(&t->table, &cursor)) != NULL) {
        if (matches(pattern, token))
            doomed[count++] = token;
    }
    for (size_t i = 0; i < count; i++) {
        if (ended != NULL)
            ended(context, doomed[i]->hash);
        tokens_remove(t, doomed[i]->hash);
    }
    free(doomed);
    return OK;
}

status tokens_expire(struct tokens *t, uint64_t now_us, struct err *e)
{
    struct token_pattern pattern = { .expires_us = now_us };

    return tokens_end(t, &pattern, NULL, NULL, e);
}

size_t tokens_count(const struct tokens *t)
{
    return t->table.count;
}

size_t tokens_of_gateway(const struct tokens *t, const struct id *gateway)
{
    const struct count *c = table_find(&t->counts, gateway->b);

    return c == NULL ? 0 : c->n;
}

/* Without a login there is no address of it: then the range that it was issued for is meant. */
static bool from_there(const struct token *token, const uint8_t address[static 16])
{
    static const uint8_t none[16];

    if (memcmp(token->address, none, sizeof none) == 0)
        return !net_is_everywhere(&token->from);
    return memcmp(token->address, address, sizeof token->address) == 0;
}

bool token_permits(const struct token *token, uint8_t binding, const uint8_t *certificate,
                   const uint8_t address[static 16])
{
    static const uint8_t none[32];
    bool has = memcmp(token->certificate, none, sizeof none) != 0;
    bool same = has && certificate != NULL &&
                memcmp(token->certificate, certificate, sizeof token->certificate) == 0;
    bool other = has && certificate != NULL && !same;

    if (!net_holds(&token->from, address))
        return false;
    switch ((enum binding)binding) {
    case BINDING_NONE: return true;
    case BINDING_CERT_IF_PRESENTED: return !other;
    case BINDING_SOURCE_IP: return !other && from_there(token, address);
    case BINDING_CERT: return same;
    }
    return false;
}
