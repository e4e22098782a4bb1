/*
 * Bearer tokens of the Vault-compatible face: who holds one, until when, and from where it counts.
 * Only the SHA-256 of a token is ever here. In memory; one thread, the engine's; time is an
 * argument. What a token may read is the policy's to say: a token stands for a gateway.
 */
#ifndef COMPAT_TOKEN_H
#define COMPAT_TOKEN_H

#include "base/bytes.h"
#include "base/status.h"

/* What a request must show beside the token, from weak to strong. Stored: never renumbered. */
enum binding {
    BINDING_NONE = 1,
    BINDING_CERT_IF_PRESENTED = 2, /* a certificate, if there is one, is that of the login */
    BINDING_SOURCE_IP = 3,         /* the address of the login, or of the range it was issued for */
    BINDING_CERT = 4               /* the certificate of the login */
};
uint8_t binding_parse(const char *name); /* "cert", "source_ip"...; 0 if unknown */
const char *binding_name(uint8_t binding);

/* A range of addresses; IPv4 as ::ffff:a.b.c.d. Zeroed: everywhere. */
struct net {
    uint8_t address[16];
    uint8_t bits;
};
#define NET_TEXT 64
/* "10.0.0.0/8", "192.0.2.7", "2001:db8::/32". false: neither, or bits set behind the prefix. */
bool net_parse(const char *text, struct net *ret_net);
void net_format(const struct net *net, char out[NET_TEXT]);
bool net_is_everywhere(const struct net *net); /* or all of IPv4 */
bool net_holds(const struct net *net, const uint8_t address[static 16]);

enum token_kind { TOKEN_BY_CERT = 1, TOKEN_BY_APPROLE = 2, TOKEN_ISSUED = 3 };
const char *token_kind_name(uint8_t kind); /* "cert", "approle", "token" */

struct token {
    uint8_t hash[32]; /* SHA-256 of its text */
    uint8_t kind;
    uint8_t binding;
    struct id gateway;
    char gateway_name[NAME_MAX_LENGTH + 1];
    struct id role;          /* of an AppRole login */
    uint8_t certificate[32]; /* shown at the login: SHA-256 of its public key; zero: none */
    uint8_t address[16];     /* of the login; zero: issued without one */
    struct net from;         /* counts from there only, whatever the binding */
    uint64_t issued_us;
    uint64_t expires_us;
    uint64_t max_expires_us; /* with all renewals */
};

/* The text a client holds: a prefix by which scanners know it, and 256 random bits. */
#define TOKEN_PREFIX "srt_"
#define TOKEN_LENGTH 68
/* What records and replies call it: the first half of its hash. */
#define TOKEN_ACCESSOR ID_HEX_LENGTH
void token_accessor(const uint8_t hash[static 32], char out[TOKEN_ACCESSOR + 1]);

struct tokens;

#define TOKENS_HELD       65536
#define TOKENS_OF_GATEWAY 8192

MUST_CHECK status tokens_new(struct tokens **ret_tokens, struct err *e);
void tokens_free(struct tokens *t);
/* Adds a copy. LIMIT: too many of this gateway, or in all; CONFLICT: it is there. */
MUST_CHECK status tokens_add(struct tokens *t, const struct token *token, struct err *e);
/* One that is live at now_us; NULL if unknown or expired. The pointer dies with the next change. */
struct token *tokens_find(struct tokens *t, const uint8_t hash[static 32], uint64_t now_us);
void tokens_remove(struct tokens *t, const uint8_t hash[static 32]);
/* Drops what expired by now_us. */
MUST_CHECK status tokens_expire(struct tokens *t, uint64_t now_us, struct err *e);
/* Drops all that match; zero members match everything, so that a zeroed pattern drops all. ended is
 * told each hash before it is gone; it may be NULL. */
struct token_pattern {
    struct id gateway;
    struct id role;
    uint8_t certificate[32];
    uint64_t expires_us; /* those that expire by then */
};
MUST_CHECK status tokens_end(struct tokens *t, const struct token_pattern *pattern,
                             void (*ended)(void *context, const uint8_t hash[static 32]),
                             void *context, struct err *e);
size_t tokens_count(const struct tokens *t);
size_t tokens_of_gateway(const struct tokens *t, const struct id *gateway);

/* May it be used like this? certificate: what the connection has shown, NULL for none. */
bool token_permits(const struct token *token, uint8_t binding, const uint8_t *certificate,
                   const uint8_t address[static 16]);

#endif
