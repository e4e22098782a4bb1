/* Policy documents and their versions. See store/store.h. */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "base/bytes.h"
#include "base/status.h"

#define STORE_ACTOR 128

struct store;

struct store_policy {
    struct id owner; /* a tenant; zero: the vault */
    uint32_t version;
    uint8_t hash[32]; /* SHA-256 of the document, as its record says */
    uint64_t set_us;
    char actor[STORE_ACTOR]; /* as its record says; no person's own name */
    struct span document;    /* a view that dies with the next use of the store */
};

/* CONFLICT if the owner has that version. */
MUST_CHECK status store_policy_add(struct store *s, const struct store_policy *p, struct err *e);
/* One version, 0: the newest. NOT_FOUND. */
MUST_CHECK status store_policy(struct store *s, const struct id *owner, uint32_t version,
                               struct store_policy *ret_policy, struct err *e);
/* The newest with this hash. NOT_FOUND. */
MUST_CHECK status store_policy_by_hash(struct store *s, const struct id *owner,
                                       const uint8_t hash[static 32],
                                       struct store_policy *ret_policy, struct err *e);
/* Versions below `before` (0: from the newest), newest first; without their documents. */
MUST_CHECK status store_policies(struct store *s, const struct id *owner, uint32_t before,
                                 struct store_policy *ret_policies, size_t cap, size_t *ret_count,
                                 struct err *e);

/* Who comes after `after` in the order of owners that ever had a document; NULL: the first, which
 * is the vault if it had one. NOT_FOUND: nobody. */
MUST_CHECK status store_policy_owner(struct store *s, const struct id *after, struct id *ret_owner,
                                     struct err *e);

#endif
