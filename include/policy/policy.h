/*
 * Who may. Certificates, and what gateways may lease, held in memory as the database has them;
 * default deny. Pure: time and facts are arguments. One thread: the engine's, so that a decision
 * and the change that ends it are always in one order.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/bytes.h"
#include "base/status.h"
#include "identity/identity.h"

#define POLICY_PATTERN 128

struct policy;

/* A certificate that this vault issued. */
struct policy_certificate {
    uint8_t spki[32];
    enum role role;
    char name[NAME_MAX_LENGTH + 1];
    struct id tenant;  /* role tenant */
    struct id gateway; /* role gateway */
    bool revoked;
    bool limited; /* role auditor: sees only what is assigned to its name */
};

struct policy_grant {
    struct id gateway;
    struct id tenant;
    char pattern[POLICY_PATTERN]; /* a key's name, or a prefix ending in * */
    uint64_t max_ttl_s;           /* 0: only the vault's bound */
};

struct policy_bounds {
    uint64_t ttl_s;
    uint64_t max_ttl_s;
};

MUST_CHECK status policy_new(struct policy **ret_policy, struct err *e);
void policy_free(struct policy *p);

MUST_CHECK status policy_certificate_set(struct policy *p, const struct policy_certificate *c,
                                         struct err *e);
/* Was a certificate issued for this public key, revoked or not? */
bool policy_knows(const struct policy *p, const uint8_t spki[static 32]);
/* The same, and not revoked? */
bool policy_valid(const struct policy *p, const uint8_t spki[static 32]);
/* All of them in no order; start with *cursor = 0. */
const struct policy_certificate *policy_certificate_next(const struct policy *p, size_t *cursor);
/* Name of the certificate's holder; NULL if it was not issued here. */
const char *policy_name(const struct policy *p, const uint8_t spki[static 32]);
void policy_revoke(struct policy *p, const uint8_t spki[static 32]);
/* People's certificates of this name, of the tenant or (zero) the vault, are called `instead`. */
void policy_forget(struct policy *p, const struct id *tenant, const char *name,
                   const char *instead);

/* Does a valid certificate of this auditor exist, of the whole vault or a limited one? */
bool policy_auditor(const struct policy *p, const char *name, bool limited);
/* A tenant for an auditor's name; both are idempotent. */
MUST_CHECK status policy_assign(struct policy *p, const char *auditor, const struct id *tenant,
                                struct err *e);
void policy_unassign(struct policy *p, const char *auditor, const struct id *tenant);
bool policy_assigned(const struct policy *p, const char *auditor, const struct id *tenant);
/* How many the name has; what remains of an auditor whose certificates are all revoked, too. */
size_t policy_assigned_count(const struct policy *p, const char *auditor);

MUST_CHECK status policy_grant_set(struct policy *p, const struct policy_grant *g, struct err *e);
bool policy_grant_exists(const struct policy *p, const struct id *gateway, const struct id *tenant,
                         const char *pattern);
/* The grants of one gateway in no order; start with *cursor = 0. The pointer dies with a change. */
const struct policy_grant *policy_grant_next(const struct policy *p, const struct id *gateway,
                                             size_t *cursor);
/* NOT_FOUND if there is no such grant. */
MUST_CHECK status policy_grant_remove(struct policy *p, const struct id *gateway,
                                      const struct id *tenant, const char *pattern, struct err *e);
/* Removes the gateway's grants and revokes its certificates. */
void policy_gateway_remove(struct policy *p, const struct id *gateway);

/* Is pattern well formed: a name, "*", or a name's beginning and "*"? */
bool policy_pattern_valid(const char *pattern);

/* The certificate behind a verified holder. NO_IDENTITY: "this certificate was not issued here",
 * "this certificate was revoked". */
MUST_CHECK status policy_resolve(const struct policy *p, const struct holder *holder,
                                 const struct policy_certificate **ret_certificate, struct err *e);

/* May this gateway lease tenant's key, and for how long at most? asked_s 0: the default. The TTL is
 * min(asked, grant, bounds). DENIED "no grant covers this key". */
MUST_CHECK status policy_lease(const struct policy *p, const struct id *gateway,
                               const struct id *tenant, const char *key, uint64_t asked_s,
                               const struct policy_bounds *bounds, uint64_t *ret_ttl_s,
                               struct err *e);

#endif
