/* Who may come in and lease: certificates, gateways, grants. See store/store.h. */
#ifndef STORE_ACCESS_H
#define STORE_ACCESS_H

#include "store/tenant.h"

#define STORE_PATTERN 128

/* Certificates issued by the built-in CA. Keyed by SHA-256 of the SubjectPublicKeyInfo. */
struct store_certificate {
    uint8_t spki[32];
    uint8_t role; /* enum role of identity */
    char name[STORE_NAME];
    struct id tenant;  /* role tenant; zero otherwise */
    struct id gateway; /* role gateway; zero otherwise */
    uint64_t issued_us;
    uint64_t not_after_us;
    uint64_t revoked_us; /* 0: valid */
    bool limited;        /* role auditor: sees what is assigned to its name, and no more */
};
/* CONFLICT if the key was certified before, or no such tenant or gateway exists. */
MUST_CHECK status store_certificate_add(struct store *s, const struct store_certificate *c,
                                        struct err *e);
/* Idempotent: the first time stays. NOT_FOUND. */
MUST_CHECK status store_certificate_revoke(struct store *s, const uint8_t spki[static 32],
                                           uint64_t time_us, struct err *e);
/* cap certificates after the given spki (NULL: from the start). */
MUST_CHECK status store_certificates(struct store *s, const uint8_t *after_spki,
                                     struct store_certificate *ret_certificates, size_t cap,
                                     size_t *ret_count, struct err *e);

/* People's certificates of this name, of the tenant or (zero) of the vault, are called `instead`
 * from now on. None is fine. */
MUST_CHECK status store_certificates_forget(struct store *s, const struct id *tenant,
                                            const char *name, const char *instead, struct err *e);

/* Which tenants an auditor sees who does not see the whole vault. */
struct store_assignment {
    char auditor[STORE_NAME];
    char tenant_name[STORE_NAME];
    struct id tenant;
    uint64_t assigned_us;
};
/* Idempotent: the first time stays. CONFLICT: no such tenant. */
MUST_CHECK status store_assignment_add(struct store *s, const struct store_assignment *a,
                                       struct err *e);
/* NOT_FOUND: nothing to remove. */
MUST_CHECK status store_assignment_remove(struct store *s, const struct store_assignment *a,
                                          struct err *e);
/* All, ordered by (auditor, tenant's name), from the offset-th. */
MUST_CHECK status store_assignments(struct store *s, size_t offset,
                                    struct store_assignment *ret_assignments, size_t cap,
                                    size_t *ret_count, struct err *e);
/* An auditor's tenants by name, those after the given one (NULL: from the start). */
MUST_CHECK status store_assigned_tenants(struct store *s, const char *auditor, const char *after,
                                         struct store_tenant *ret_tenants, size_t cap,
                                         size_t *ret_count, struct err *e);

/* What gateways may lease. */
struct store_grant {
    struct id gateway;
    char gateway_name[STORE_NAME];
    struct id tenant;
    char tenant_name[STORE_NAME];
    char pattern[STORE_PATTERN]; /* key name, or a prefix ending in * */
    uint64_t max_ttl_s;          /* 0: only the vault's bound */
    uint64_t created_us;
};
/* Replaces the bound of an existing (gateway, tenant, pattern). The names are not read: they are
 * those of the ids. CONFLICT: no such gateway or tenant. */
MUST_CHECK status store_grant_add(struct store *s, const struct store_grant *g, struct err *e);
/* NOT_FOUND: nothing to remove. */
MUST_CHECK status store_grant_remove(struct store *s, const struct id *gateway,
                                     const struct id *tenant, const char *pattern, struct err *e);
/* All grants, ordered by (gateway, tenant, pattern), from the offset-th. */
MUST_CHECK status store_grants(struct store *s, size_t offset, struct store_grant *ret_grants,
                               size_t cap, size_t *ret_count, struct err *e);

/* Gateways. add: CONFLICT if an active one has the name. */
struct store_gateway {
    struct id id;
    char name[STORE_NAME];
    uint64_t created_us;
    uint64_t removed_us; /* 0: active; a removed name can be added again */
};
MUST_CHECK status store_gateway_add(struct store *s, const struct store_gateway *g, struct err *e);
MUST_CHECK status store_gateway(struct store *s, const char *name,
                                struct store_gateway *ret_gateway, struct err *e); /* active ones */
MUST_CHECK status store_gateway_remove(struct store *s, const struct id *id, uint64_t time_us,
                                       struct err *e); /* its grants go too; NOT_FOUND */
/* Active ones, by name. */
MUST_CHECK status store_gateways(struct store *s, const char *after,
                                 struct store_gateway *ret_gateways, size_t cap, size_t *ret_count,
                                 struct err *e);

#endif
