/*
 * Auditors and the tenants they see. A certificate for the whole vault is one thing, one that is
 * limited another, and a name has either: so a renewal never sees more than what it renews, and
 * taking the last tenant away leaves nothing instead of everything.
 */
#include "auditor.h"

#include <stdlib.h>
#include <string.h>

#define TENANTS_SHOWN  100
#define AUDITORS_SHOWN 50

status assign_entry(struct engine *en, struct request *rq, uint16_t type, const char *auditor,
                    const struct store_tenant *tenant, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = tenant->id, .type = type };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    fields_person(en, &f, "auditor", auditor, &entry.log);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static struct store_assignment assignment_of(struct engine *en, const char *auditor,
                                             const struct store_tenant *tenant)
{
    struct store_assignment a = { .tenant = tenant->id, .assigned_us = engine_now_us(en) };

    memcpy(a.auditor, auditor, strlen(auditor));
    memcpy(a.tenant_name, tenant->name, sizeof a.tenant_name);
    return a;
}

status assign_keep(struct engine *en, const char *auditor, const struct store_tenant *tenant,
                   struct err *e)
{
    struct store_assignment a = assignment_of(en, auditor, tenant);
    status st = store_assignment_add(en->store, &a, e);

    return st == OK ? policy_assign(en->policy, auditor, &tenant->id, e) : st;
}

static bool is_planned(const struct assign_plan *plan, const struct id *tenant)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (id_same(&plan->tenants[i].id, tenant))
            return true;
    }
    return false;
}

/* What the name has already takes no record; *had counts it. */
static status read_tenants(struct engine *en, const json_t *list, const char *name,
                           struct assign_plan *plan, size_t *had, struct err *e)
{
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > ASSIGN_MAX)
        return fail(e, BAD_INPUT, "tenants is a list of 1 to 32 names", 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_string_value(item);
        struct store_tenant tenant;
        status st;

        if (text == NULL || strlen(text) != json_string_length(item) || !name_valid(text))
            return fail(e, BAD_INPUT, "tenants is a list of 1 to 32 names", 0);
        st = store_tenant(en->store, text, &tenant, e);
        if (st != OK)
            return st;
        if (is_planned(plan, &tenant.id))
            return fail(e, BAD_INPUT, "a tenant is named twice", 0);
        if (policy_assigned(en->policy, name, &tenant.id))
            ++*had;
        else
            plan->tenants[plan->count++] = tenant;
    }
    return OK;
}

status assign_read(struct engine *en, struct request *rq, const char *name,
                   struct assign_plan *plan, struct err *e)
{
    const json_t *list = json_object_get(rq->body, "tenants");
    bool limited = policy_auditor(en->policy, name, true);
    size_t had = 0;
    status st;

    plan->limited = list != NULL;
    if (list == NULL && limited)
        return fail(e, CONFLICT, "an auditor of that name is limited to tenants: name them", 0);
    if (list == NULL)
        return OK;
    if (policy_auditor(en->policy, name, false))
        return fail(e, CONFLICT, "an auditor of that name sees the whole vault", 0);
    st = read_tenants(en, list, name, plan, &had, e);
    /* Nobody holds the name, yet tenants are assigned to it that nobody spoke of just now. */
    if (st == OK && !limited && policy_assigned_count(en->policy, name) > had)
        return fail(e, CONFLICT, "other tenants are still assigned to that name: unassign them", 0);
    return st;
}

/* The auditor that the path names and a tenant, with rq->log the tenant's. */
static status find_pair(struct engine *en, struct request *rq, const char *tenant,
                        struct store_tenant **ret_tenant, struct err *e)
{
    struct store_tenant *t = rq->plan = calloc(1, sizeof *t);
    status st;

    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for an assignment", 0);
    if (!name_valid(rq->param[0]))
        return fail(e, BAD_INPUT, "a name is missing or is not 1 to 63 of a-z 0-9 - _ .", 0);
    st = store_tenant(en->store, tenant, t, e);
    if (st == OK)
        rq->log = t->id;
    *ret_tenant = t;
    return st;
}

APPLY(auditor_assign)
{
    struct store_tenant *tenant;
    const char *name;
    status st = body_name(rq, "tenant", &name, e);

    if (st == OK)
        st = find_pair(en, rq, name, &tenant, e);
    if (st != OK)
        return st;
    if (policy_auditor(en->policy, rq->param[0], false))
        return fail(e, CONFLICT, "this auditor sees the whole vault", 0);
    if (!policy_auditor(en->policy, rq->param[0], true))
        return fail(e, NOT_FOUND, "there is no such auditor", 0);
    if (policy_assigned(en->policy, rq->param[0], &tenant->id))
        return fail(e, CONFLICT, "the tenant is assigned to this auditor already", 0);
    return assign_entry(en, rq, RECORD_AUDITOR_ASSIGNED, rq->param[0], tenant, e);
}

static void answer(struct request *rq, const struct store_tenant *tenant)
{
    rq->reply = json_pack("{s:s, s:s}", "auditor", rq->param[0], "tenant", tenant->name);
}

COMPLETE(auditor_assigned)
{
    const struct store_tenant *tenant = rq->plan;
    status st = assign_keep(en, rq->param[0], tenant, e);

    (void)result;
    rq->created = true;
    answer(rq, tenant);
    return st;
}

APPLY(auditor_unassign)
{
    struct store_tenant *tenant;
    status st = find_pair(en, rq, rq->param[1], &tenant, e);

    if (st != OK)
        return st;
    if (!policy_assigned(en->policy, rq->param[0], &tenant->id))
        return fail(e, NOT_FOUND, "the tenant is not assigned to this auditor", 0);
    return assign_entry(en, rq, RECORD_AUDITOR_UNASSIGNED, rq->param[0], tenant, e);
}

COMPLETE(auditor_unassigned)
{
    const struct store_tenant *tenant = rq->plan;
    struct store_assignment a = assignment_of(en, rq->param[0], tenant);
    status st = store_assignment_remove(en->store, &a, e);

    (void)result;
    if (st != OK)
        return st;
    policy_unassign(en->policy, rq->param[0], &tenant->id);
    answer(rq, tenant);
    return OK;
}

/* The names of the first tenants, and how many there are. */
static status add_tenants(struct engine *en, json_t *auditor, const char *name, struct err *e)
{
    struct store_tenant page[TENANTS_SHOWN];
    json_t *list = json_array();
    size_t count = 0;
    status st = store_assigned_tenants(en->store, name, NULL, page, TENANTS_SHOWN, &count, e);

    for (size_t i = 0; st == OK && i < count; i++)
        json_array_append_new(list, json_string(page[i].name));
    json_object_set_new(auditor, "tenants", list);
    json_object_set_new(auditor, "tenant_count",
                        json_integer((json_int_t)policy_assigned_count(en->policy, name)));
    return st;
}

/* The next name in order among auditors with a certificate that is good; NULL at the end. */
static const struct policy_certificate *next_auditor(const struct engine *en, const char *after)
{
    const struct policy_certificate *c, *best = NULL;
    size_t cursor = 0;

    while ((c = policy_certificate_next(en->policy, &cursor)) != NULL) {
        if (c->role == ROLE_AUDITOR && !c->revoked && strcmp(c->name, after) > 0 &&
            (best == NULL || strcmp(c->name, best->name) < 0))
            best = c;
    }
    return best;
}

APPLY(auditor_list)
{
    const struct policy_certificate *c = NULL;
    const char *last = rq->after;
    json_t *list = json_array();
    size_t count = 0;
    status st = OK;

    while (st == OK && count < AUDITORS_SHOWN && (c = next_auditor(en, last)) != NULL) {
        json_t *auditor =
            json_pack("{s:s, s:s}", "name", c->name, "scope", c->limited ? "tenants" : "vault");

        json_array_append_new(list, auditor);
        if (c->limited)
            st = add_tenants(en, auditor, c->name, e);
        last = c->name;
        count++;
    }
    rq->reply =
        json_pack("{s:o, s:o}", "auditors", list, "next", json_next(last, count, AUDITORS_SHOWN));
    return st;
}
