/* Certificates by the hash of their public key, grants by gateway. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

/* All grants of one gateway. */
struct gateway {
    struct id id;
    struct policy_grant *grants;
    size_t count;
    size_t capacity;
};

struct policy {
    struct table certificates; /* by spki */
    struct table gateways;     /* by id */
    struct assignments *assignments;
};

status policy_new(struct policy **ret_policy, struct err *e)
{
    struct policy *p = calloc(1, sizeof *p);

    if (p == NULL)
        return fail(e, NO_MEMORY, "no memory for the policy", 0);
    table_init(&p->certificates, 32);
    table_init(&p->gateways, sizeof(struct id));
    p->assignments = assignments_new();
    if (p->assignments == NULL) {
        policy_free(p);
        return fail(e, NO_MEMORY, "no memory for the policy", 0);
    }
    *ret_policy = p;
    return OK;
}

void policy_free(struct policy *p)
{
    struct gateway *g;
    size_t cursor = 0;

    if (p == NULL)
        return;
    while ((g = table_next(&p->gateways, &cursor)) != NULL) {
        free(g->grants);
        free(g);
    }
    table_clear(&p->gateways);
    table_clear_values(&p->certificates);
    assignments_free(p->assignments);
    free(p);
}

status policy_certificate_set(struct policy *p, const struct policy_certificate *c, struct err *e)
{
    struct policy_certificate *held = table_find(&p->certificates, c->spki);
    status st;

    if (held != NULL) {
        *held = *c;
        return OK;
    }
    held = malloc(sizeof *held);
    if (held == NULL)
        return fail(e, NO_MEMORY, "no memory for a certificate", 0);
    *held = *c;
    st = table_add(&p->certificates, held->spki, held, e);
    if (st != OK)
        free(held);
    return st;
}

bool policy_knows(const struct policy *p, const uint8_t spki[static 32])
{
    return table_find(&p->certificates, spki) != NULL;
}

bool policy_valid(const struct policy *p, const uint8_t spki[static 32])
{
    const struct policy_certificate *c = table_find(&p->certificates, spki);

    return c != NULL && !c->revoked;
}

const char *policy_name(const struct policy *p, const uint8_t spki[static 32])
{
    const struct policy_certificate *c = table_find(&p->certificates, spki);

    return c == NULL ? NULL : c->name;
}

void policy_revoke(struct policy *p, const uint8_t spki[static 32])
{
    struct policy_certificate *c = table_find(&p->certificates, spki);

    if (c != NULL)
        c->revoked = true;
}

void policy_forget(struct policy *p, const struct id *tenant, const char *name, const char *instead)
{
    struct policy_certificate *c;
    size_t cursor = 0;

    while ((c = table_next(&p->certificates, &cursor)) != NULL) {
        if (c->role != ROLE_GATEWAY && id_same(&c->tenant, tenant) && strcmp(c->name, name) == 0)
            snprintf(c->name, sizeof c->name, "%s", instead);
    }
}

bool policy_auditor(const struct policy *p, const char *name, bool limited)
{
    const struct policy_certificate *c;
    size_t cursor = 0;

    while ((c = table_next(&p->certificates, &cursor)) != NULL) {
        if (c->role == ROLE_AUDITOR && !c->revoked && c->limited == limited &&
            strcmp(c->name, name) == 0)
            return true;
    }
    return false;
}

status policy_assign(struct policy *p, const char *auditor, const struct id *tenant, struct err *e)
{
    return assignments_add(p->assignments, auditor, tenant, e);
}

void policy_unassign(struct policy *p, const char *auditor, const struct id *tenant)
{
    assignments_remove(p->assignments, auditor, tenant);
}

bool policy_assigned(const struct policy *p, const char *auditor, const struct id *tenant)
{
    return assignments_have(p->assignments, auditor, tenant);
}

size_t policy_assigned_count(const struct policy *p, const char *auditor)
{
    return assignments_count(p->assignments, auditor);
}

const struct policy_certificate *policy_certificate_next(const struct policy *p, size_t *cursor)
{
    return table_next(&p->certificates, cursor);
}

static struct policy_grant *find_grant(const struct policy *p, const struct id *gateway,
                                       const struct id *tenant, const char *pattern)
{
    struct gateway *g = table_find(&p->gateways, gateway->b);

    for (size_t i = 0; g != NULL && i < g->count; i++) {
        if (id_same(&g->grants[i].tenant, tenant) && strcmp(g->grants[i].pattern, pattern) == 0)
            return &g->grants[i];
    }
    return NULL;
}

bool policy_grant_exists(const struct policy *p, const struct id *gateway, const struct id *tenant,
                         const char *pattern)
{
    return find_grant(p, gateway, tenant, pattern) != NULL;
}

const struct policy_grant *policy_grant_next(const struct policy *p, const struct id *gateway,
                                             size_t *cursor)
{
    const struct gateway *g = table_find(&p->gateways, gateway->b);

    return g != NULL && *cursor < g->count ? &g->grants[(*cursor)++] : NULL;
}

static status gateway_of(struct policy *p, const struct id *id, struct gateway **ret_gateway,
                         struct err *e)
{
    struct gateway *g = table_find(&p->gateways, id->b);
    status st;

    if (g == NULL) {
        g = calloc(1, sizeof *g);
        if (g == NULL)
            return fail(e, NO_MEMORY, "no memory for a gateway", 0);
        g->id = *id;
        st = table_add(&p->gateways, g->id.b, g, e);
        if (st != OK) {
            free(g);
            return st;
        }
    }
    *ret_gateway = g;
    return OK;
}

status policy_grant_set(struct policy *p, const struct policy_grant *grant, struct err *e)
{
    struct policy_grant *held = find_grant(p, &grant->gateway, &grant->tenant, grant->pattern);
    struct gateway *g;
    status st;

    if (held != NULL) {
        *held = *grant;
        return OK;
    }
    st = gateway_of(p, &grant->gateway, &g, e);
    if (st != OK)
        return st;
    if (g->count == g->capacity) {
        size_t capacity = g->capacity == 0 ? 4 : g->capacity * 2;
        struct policy_grant *wider = reallocarray(g->grants, capacity, /* public */
                                                  sizeof *wider);

        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for a grant", 0);
        g->grants = wider;
        g->capacity = capacity;
    }
    g->grants[g->count++] = *grant;
    return OK;
}

status policy_grant_remove(struct policy *p, const struct id *gateway, const struct id *tenant,
                           const char *pattern, struct err *e)
{
    struct policy_grant *held = find_grant(p, gateway, tenant, pattern);
    struct gateway *g = table_find(&p->gateways, gateway->b);

    if (held == NULL)
        return fail(e, NOT_FOUND, "there is no such grant", 0);
    *held = g->grants[--g->count];
    return OK;
}

void policy_gateway_remove(struct policy *p, const struct id *gateway)
{
    struct gateway *g = table_remove(&p->gateways, gateway->b);
    struct policy_certificate *c;
    size_t cursor = 0;

    if (g != NULL) {
        free(g->grants);
        free(g);
    }
    while ((c = table_next(&p->certificates, &cursor)) != NULL) {
        if (c->role == ROLE_GATEWAY && id_same(&c->gateway, gateway))
            c->revoked = true;
    }
}

bool policy_pattern_valid(const char *pattern)
{
    char name[NAME_MAX_LENGTH + 1];
    size_t n = strlen(pattern);

    if (strcmp(pattern, "*") == 0)
        return true;
    if (n > 0 && pattern[n - 1] == '*')
        n--;
    if (n == 0 || n >= sizeof name)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)n, pattern);
    return name_valid(name);
}

status policy_resolve(const struct policy *p, const struct holder *holder,
                      const struct policy_certificate **ret_certificate, struct err *e)
{
    const struct policy_certificate *c = table_find(&p->certificates, holder->spki);

    if (c != NULL && c->revoked) /* its name may have been erased */
        return fail(e, NO_IDENTITY, "this certificate was revoked", 0);
    if (c == NULL || c->role != holder->role || strcmp(c->name, holder->name) != 0)
        return fail(e, NO_IDENTITY, "this certificate was not issued here", 0);
    *ret_certificate = c;
    return OK;
}

static bool covers(const char *pattern, const char *key)
{
    size_t n = strlen(pattern);

    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, key, n - 1) == 0;
    return strcmp(pattern, key) == 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

status policy_lease(const struct policy *p, const struct id *gateway, const struct id *tenant,
                    const char *key, uint64_t asked_s, const struct policy_bounds *bounds,
                    uint64_t *ret_ttl_s, struct err *e)
{
    const struct gateway *g = table_find(&p->gateways, gateway->b);
    bool covered = false;
    uint64_t longest = 0; /* of all grants that cover the key */

    for (size_t i = 0; g != NULL && i < g->count; i++) {
        const struct policy_grant *grant = &g->grants[i];

        if (!id_same(&grant->tenant, tenant) || !covers(grant->pattern, key))
            continue;
        covered = true;
        if (grant->max_ttl_s == 0 || grant->max_ttl_s > bounds->max_ttl_s)
            longest = bounds->max_ttl_s;
        else if (grant->max_ttl_s > longest)
            longest = grant->max_ttl_s;
    }
    if (!covered)
        return fail(e, DENIED, "no grant covers this key", 0);
    *ret_ttl_s = least(asked_s == 0 ? bounds->ttl_s : asked_s, longest);
    return OK;
}
