/* Provider keys and their versions, as rows of the store. See store/store.h. */
#ifndef STORE_KEY_H
#define STORE_KEY_H

#include "store/tenant.h"

/* Keys (provider keys) of a tenant. add: CONFLICT if the name or the id exists, or the engagement
 * does not. */
enum key_state { KEY_ACTIVE = 1, KEY_REVOKED = 2, KEY_PURGED = 3 };
struct store_key {
    struct id id;
    struct id tenant;
    struct id engagement;
    char name[STORE_NAME];
    uint16_t provider;
    uint8_t state;
    uint32_t version; /* current */
    uint8_t scope;    /* enum key_scope of provider */
    uint8_t class;    /* enum key_class */
    uint64_t created_us;
};
MUST_CHECK status store_key_add(struct store *s, const struct store_key *k, struct err *e);
MUST_CHECK status store_key(struct store *s, const struct id *tenant, const char *name,
                            struct store_key *ret_key, struct err *e);
MUST_CHECK status store_key_by_id(struct store *s, const struct id *tenant, const struct id *id,
                                  struct store_key *ret_key, struct err *e);
/* Changes state, engagement, provider, current version, scope and class of (tenant, id). */
MUST_CHECK status store_key_set(struct store *s, const struct store_key *k, struct err *e);
MUST_CHECK status store_keys(struct store *s, const struct id *tenant, const char *after,
                             struct store_key *ret_keys, size_t cap, size_t *ret_count,
                             struct err *e);

/* Versions of a key. sealed is empty once destroyed, and only then. */
enum version_state { VERSION_CURRENT = 1, VERSION_SUPERSEDED = 2, VERSION_DESTROYED = 3 };
struct store_version {
    struct id tenant;
    struct id key;
    uint32_t version;
    uint8_t state;
    char hint[STORE_HINT];
    uint64_t created_us;
    uint64_t destroy_at_us; /* superseded: end of the grace period; destroyed: when it was */
    struct span sealed;
};
MUST_CHECK status store_version_add(struct store *s, const struct store_version *v, struct err *e);
MUST_CHECK status store_version(struct store *s, const struct id *tenant, const struct id *key,
                                uint32_t version, struct store_version *ret_version, struct err *e);
/* CONFLICT: not the current one. */
MUST_CHECK status store_version_supersede(struct store *s, const struct id *tenant,
                                          const struct id *key, uint32_t version,
                                          uint64_t destroy_at_us, struct err *e);
/* State destroyed; the sealed bytes are deleted. Idempotent: the first time stays. */
MUST_CHECK status store_version_destroyed(struct store *s, const struct id *tenant,
                                          const struct id *key, uint32_t version, uint64_t time_us,
                                          struct err *e);
/* All versions of one key, newest first. */
MUST_CHECK status store_versions(struct store *s, const struct id *tenant, const struct id *key,
                                 struct store_version *ret_versions, size_t cap, size_t *ret_count,
                                 struct err *e);
/* Superseded versions of any tenant whose grace is over at time_us, longest first (without
 * sealed). */
MUST_CHECK status store_versions_due(struct store *s, uint64_t time_us,
                                     struct store_version *ret_versions, size_t cap,
                                     size_t *ret_count, struct err *e);
/* Versions of revoked keys, of any tenant, that are not destroyed (without sealed). */
MUST_CHECK status store_versions_revoked(struct store *s, struct store_version *ret_versions,
                                         size_t cap, size_t *ret_count, struct err *e);
/* All versions, of any tenant, that are not destroyed, in order of (key, version), after the given
 * pair: the other half of the comparison with the keyring (without sealed). */
MUST_CHECK status store_versions_live(struct store *s, const struct id *after_key,
                                      uint32_t after_version, struct store_version *ret_versions,
                                      size_t cap, size_t *ret_count, struct err *e);
/* Everything a lease needs in one look-up, by names or by ids. NOT_FOUND: no such tenant or key. A
 * purged key is found, with a destroyed version. */
struct store_leasable {
    struct store_tenant tenant;
    struct store_key key;
    uint8_t engagement_state;
    uint8_t version_state;
    char hint[STORE_HINT];
    struct span sealed; /* of the current version; view */
};
MUST_CHECK status store_leasable(struct store *s, const char *tenant, const char *key,
                                 struct store_leasable *ret_leasable, struct err *e);
MUST_CHECK status store_leasable_by_id(struct store *s, const struct id *tenant,
                                       const struct id *key, struct store_leasable *ret_leasable,
                                       struct err *e);

#endif
