/* What the Vault-compatible face needs to remember. See store/store.h. */
#ifndef STORE_COMPAT_H
#define STORE_COMPAT_H

#include "store/tenant.h"

/* A tenant whose keys the face serves. set: replaces the binding. remove and get: NOT_FOUND. */
struct store_compat {
    struct id tenant;
    uint8_t binding; /* enum binding of compat: the least that is accepted */
    uint64_t since_us;
};
MUST_CHECK status store_compat_set(struct store *s, const struct store_compat *c, struct err *e);
MUST_CHECK status store_compat_remove(struct store *s, const struct id *tenant, struct err *e);
MUST_CHECK status store_compat(struct store *s, const struct id *tenant,
                               struct store_compat *ret_compat, struct err *e);

/* A role to log in with. Those of removed gateways are as none. */
struct store_approle {
    struct id role;
    struct id gateway;
    char gateway_name[STORE_NAME]; /* not read: it is the id's */
    uint8_t secret_hash[32];
    uint8_t binding;
    uint8_t address[16]; /* with bits: where it may be used, as struct net of compat */
    uint8_t bits;
    uint64_t created_us;
};
/* CONFLICT: there is no such gateway. */
MUST_CHECK status store_approle_add(struct store *s, const struct store_approle *r, struct err *e);
/* NOT_FOUND: no such role of this gateway. */
MUST_CHECK status store_approle_remove(struct store *s, const struct id *role,
                                       const struct id *gateway, struct err *e);
MUST_CHECK status store_approle(struct store *s, const struct id *role,
                                struct store_approle *ret_role, struct err *e); /* NOT_FOUND */
/* All of a gateway, up to cap. */
MUST_CHECK status store_approles(struct store *s, const struct id *gateway,
                                 struct store_approle *ret_roles, size_t cap, size_t *ret_count,
                                 struct err *e);

/* A token that an administrator issued. */
struct store_issued_token {
    uint8_t hash[32];
    struct id gateway;
    char gateway_name[STORE_NAME]; /* not read: it is the id's */
    uint8_t binding;
    uint8_t address[16];
    uint8_t bits;
    uint64_t created_us;
    uint64_t expires_us;
};
MUST_CHECK status store_issued_token_add(struct store *s, const struct store_issued_token *t,
                                         struct err *e);
MUST_CHECK status store_issued_token_remove(struct store *s, const uint8_t hash[static 32],
                                            struct err *e); /* NOT_FOUND */
/* Forgets those that expired by then. None is fine. */
MUST_CHECK status store_issued_tokens_expire(struct store *s, uint64_t now_us, struct err *e);
/* Of all gateways, cap tokens after the given hash (NULL: from the start). */
MUST_CHECK status store_issued_tokens(struct store *s, const uint8_t *after,
                                      struct store_issued_token *ret_tokens, size_t cap,
                                      size_t *ret_count, struct err *e);
/* Roles and tokens of a gateway that is removed. None is fine. */
MUST_CHECK status store_compat_forget(struct store *s, const struct id *gateway, struct err *e);

#endif
