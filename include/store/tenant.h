/* Tenants and their engagements, as rows of the store. See store/store.h. */
#ifndef STORE_TENANT_H
#define STORE_TENANT_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

#define STORE_NAME (NAME_MAX_LENGTH + 1)
#define STORE_HINT 16

struct store;

/* Tenants. add: CONFLICT if the name or the id exists. */
struct store_tenant {
    struct id id;
    char name[STORE_NAME];
    char region[LIMIT_REGION + 1];
    uint64_t created_us;
};
MUST_CHECK status store_tenant_add(struct store *s, const struct store_tenant *t, struct err *e);
MUST_CHECK status store_tenant(struct store *s, const char *name, struct store_tenant *ret_tenant,
                               struct err *e);
MUST_CHECK status store_tenant_by_id(struct store *s, const struct id *id,
                                     struct store_tenant *ret_tenant, struct err *e);
/* Up to cap tenants with a name above after (NULL: from the start), by name. */
MUST_CHECK status store_tenants(struct store *s, const char *after,
                                struct store_tenant *ret_tenants, size_t cap, size_t *ret_count,
                                struct err *e);

/* Engagements of a tenant. add: CONFLICT if the name or the id exists, or the tenant does not. A
 * held one has ended, but its purge waits: it is not due, whatever the time. */
enum engagement_state {
    ENGAGEMENT_ACTIVE = 1,
    ENGAGEMENT_ENDED = 2,
    ENGAGEMENT_PURGED = 3,
    ENGAGEMENT_HELD = 4
};
struct store_engagement {
    struct id id;
    struct id tenant;
    char name[STORE_NAME];
    uint8_t state;
    uint64_t started_us;
    uint64_t ended_us;
    uint64_t due_us;  /* 0 while active or held; UINT64_MAX / 4 and above: BUG */
    uint64_t left_us; /* while held: from the hold to the due date there was; else 0 */
    uint64_t purged_us;
};
MUST_CHECK status store_engagement_add(struct store *s, const struct store_engagement *g,
                                       struct err *e);
MUST_CHECK status store_engagement(struct store *s, const struct id *tenant, const char *name,
                                   struct store_engagement *ret_engagement, struct err *e);
MUST_CHECK status store_engagement_by_id(struct store *s, const struct id *tenant,
                                         const struct id *id,
                                         struct store_engagement *ret_engagement, struct err *e);
/* Changes state and times of (tenant, id). NOT_FOUND. */
MUST_CHECK status store_engagement_set(struct store *s, const struct store_engagement *g,
                                       struct err *e);
MUST_CHECK status store_engagements(struct store *s, const struct id *tenant, const char *after,
                                    struct store_engagement *ret_engagements, size_t cap,
                                    size_t *ret_count, struct err *e);
/* An ended engagement at time_us becomes a held one and keeps the time that was left; with lift it
 * is ended again and due at due_us, as the keyring says. NOT_FOUND; CONFLICT: not an ended or held
 * one. */
MUST_CHECK status store_engagement_hold(struct store *s, const struct id *tenant,
                                        const struct id *id, uint64_t time_us, struct err *e);
MUST_CHECK status store_engagement_lift(struct store *s, const struct id *tenant,
                                        const struct id *id, uint64_t due_us, struct err *e);
/* Engagements of any tenant that ended and are not purged, by due time, from the offset-th; held
 * ones come first. */
MUST_CHECK status store_engagements_ended(struct store *s, size_t offset,
                                          struct store_engagement *ret_engagements, size_t cap,
                                          size_t *ret_count, struct err *e);
/* Deletes all sealed values and versions of an engagement's keys and marks the keys purged.
 * Names of keys stay. *ret_count: versions deleted. NOT_FOUND: no such engagement. */
MUST_CHECK status store_purge(struct store *s, const struct id *tenant, const struct id *engagement,
                              size_t *ret_count, struct err *e);

#endif
