/* What may be leased: the key by its name, and whether policy lets this gateway have it. */
#include "leasable.h"

#include "judge.h"
#include "rate.h"

static struct policy_bounds bounds_of(const struct engine *en)
{
    return (struct policy_bounds){ .ttl_s = en->settings.lease_ttl_s,
                                   .max_ttl_s = en->settings.lease_max_ttl_s };
}

/* Grants say who may come; documents may take from that. What they read ends the view of the key,
 * which is looked up again then. */
static status ask_policy(struct engine *en, struct request *rq, uint64_t asked_s,
                         struct store_leasable *found, uint64_t *ret_ttl_s, struct err *e)
{
    struct policy_bounds bounds = bounds_of(en);
    struct store_leasable asked;
    bool read = false;
    status st = policy_lease(en->policy, &rq->gateway, &found->tenant.id, found->key.name, asked_s,
                             &bounds, ret_ttl_s, e);

    rq->log = found->tenant.id;
    if (st != OK)
        return st;
    if (found->key.scope == SCOPE_ADMIN) /* whoever has it makes keys that no lease ends */
        return fail(e, DENIED, "an admin key is never leased", 0);
    asked = *found;
    st = judge(en, rq, &asked, ret_ttl_s, &read, e);
    return st == OK && read ? store_leasable(en->store, asked.tenant.name, asked.key.name, found, e)
                            : st;
}

/* Policy first, existence second: a gateway without a grant learns nothing about what exists. */
status leasable_find(struct engine *en, struct request *rq, const char *tenant_name,
                     const char *key_name, uint64_t asked_s, struct store_leasable *found,
                     uint64_t *ret_ttl_s, struct err *e)
{
    struct policy_bounds bounds = bounds_of(en);
    struct store_tenant tenant;
    struct err absent = { 0 };
    status st = store_leasable(en->store, tenant_name, key_name, found, &absent);

    if (st == NOT_FOUND) {
        if (store_tenant(en->store, tenant_name, &tenant, &absent) != OK)
            return fail(e, DENIED, "no grant covers this key", 0);
        st = policy_lease(en->policy, &rq->gateway, &tenant.id, key_name, asked_s, &bounds,
                          ret_ttl_s, e);
        if (st == OK) {
            rq->log = tenant.id; /* its gateway, its log */
            st = fail(e, NOT_FOUND, "there is no such key", 0);
        }
        return st;
    }
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    st = ask_policy(en, rq, asked_s, found, ret_ttl_s, e);
    if (st != OK)
        return st;
    if (found->engagement_state != ENGAGEMENT_ACTIVE)
        return fail(e, DENIED, "the engagement has ended", 0);
    if (found->key.state != KEY_ACTIVE || found->version_state != VERSION_CURRENT ||
        found->sealed.n == 0)
        return fail(e, DENIED, "the key was revoked", 0);
    return rate_tenant(en, rq, &found->tenant.id, e);
}
