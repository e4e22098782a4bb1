/* Gateways and what they may lease. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define PAGE        100
#define GRANTS_MAX  60  /* with a new gateway: all of it is one batch */
#define GRANTS_HELD 256 /* by one gateway */

static bool is_grant(const json_t *from)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)from, name, value)
    {
        if (strcmp(name, "key") != 0 && strcmp(name, "max_ttl_s") != 0)
            return false;
    }
    return json_is_object(from);
}

/* One grant on its way from a body to the database. */
static status grant_parse(struct engine *en, const json_t *from, struct store_grant *g,
                          struct err *e)
{
    const json_t *key = json_object_get(from, "key");
    const char *path = json_string_value(key);
    const json_t *ttl = json_object_get(from, "max_ttl_s");
    struct store_tenant tenant;
    status st;

    if (path == NULL || !is_grant(from) || strlen(path) != json_string_length(key))
        return fail(e, BAD_INPUT, "a grant names a key as tenant/name or tenant/prefix*", 0);
    st = key_path_parse(path, true, g->tenant_name, g->pattern, e);
    if (st == OK)
        st = store_tenant(en->store, g->tenant_name, &tenant, e);
    if (st != OK)
        return st;
    if (ttl != NULL) {
        json_int_t seconds = json_integer_value(ttl);

        if (!json_is_integer(ttl) || seconds < 1 || seconds > 86400)
            return fail(e, BAD_INPUT, "max_ttl_s is a number from 1 to 86400", 0);
        g->max_ttl_s = (uint64_t)seconds;
    }
    g->tenant = tenant.id;
    g->created_us = engine_now_us(en);
    return OK;
}

static json_t *grant_json(const struct store_grant *g)
{
    char path[STORE_NAME + STORE_PATTERN];

    snprintf(path, sizeof path, "%s/%s", g->tenant_name, g->pattern);
    return json_pack("{s:s, s:o}", "key", path, "max_ttl_s",
                     g->max_ttl_s == 0 ? json_null() : json_integer((json_int_t)g->max_ttl_s));
}

status grant_keep(struct engine *en, const struct store_grant *g, struct err *e)
{
    struct policy_grant held = { .gateway = g->gateway,
                                 .tenant = g->tenant,
                                 .max_ttl_s = g->max_ttl_s };
    status st = store_grant_add(en->store, g, e);

    memcpy(held.pattern, g->pattern, sizeof held.pattern);
    return st == OK ? policy_grant_set(en->policy, &held, e) : st;
}

/* The record of a grant is in the log of the tenant whose keys it opens: it should know. */
static status grant_entry(struct engine *en, struct request *rq, const struct store_grant *g,
                          uint16_t type, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = g->tenant, .type = type };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "gateway", g->gateway_name);
    fields_text(&f, "pattern", g->pattern);
    if (g->max_ttl_s != 0)
        fields_number(&f, "max_ttl_s", g->max_ttl_s);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* What the policy holds for a gateway, as a list. */
static status grants_json(struct engine *en, const struct id *gateway, json_t *list, struct err *e)
{
    const struct policy_grant *held;
    size_t cursor = 0;
    status st = OK;

    while (st == OK && (held = policy_grant_next(en->policy, gateway, &cursor)) != NULL) {
        struct store_grant g = { .max_ttl_s = held->max_ttl_s };
        struct store_tenant tenant;

        st = store_tenant_by_id(en->store, &held->tenant, &tenant, e);
        if (st != OK)
            break;
        memcpy(g.tenant_name, tenant.name, sizeof g.tenant_name);
        memcpy(g.pattern, held->pattern, sizeof g.pattern);
        json_array_append_new(list, grant_json(&g));
    }
    return st;
}

APPLY(gateway_list)
{
    struct store_gateway page[PAGE];
    size_t count = 0;
    json_t *list;
    status st =
        store_gateways(en->store, rq->after[0] == '\0' ? NULL : rq->after, page, PAGE, &count, e);

    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; st == OK && i < count; i++) {
        json_t *grants = json_array();

        st = grants_json(en, &page[i].id, grants, e);
        json_array_append_new(list, json_pack("{s:o, s:s, s:o, s:o}", "id", json_id(&page[i].id),
                                              "name", page[i].name, "created",
                                              json_time(page[i].created_us), "grants", grants));
    }
    rq->reply = json_pack("{s:o, s:o}", "gateways", list, "next",
                          json_next(count == 0 ? "" : page[count - 1].name, count, PAGE));
    return st;
}

struct plan {
    struct store_gateway gateway;
    struct store_certificate certificate;
    struct store_grant grants[GRANTS_MAX];
    size_t grant_count;
    char pem[LIMIT_CERTIFICATE];
};

static status check_step_up(const struct engine *en, struct err *e)
{
    return en->settings.grant_step_up
               ? fail(e, DENIED, "a grant takes an operator's touch: propose grant.add", 0)
               : OK;
}

static status read_grants(struct engine *en, struct request *rq, struct plan *plan, struct err *e)
{
    const json_t *list = json_object_get(rq->body, "grants");
    status st = OK;

    if (list != NULL && (!json_is_array(list) || json_array_size(list) > GRANTS_MAX))
        return fail(e, BAD_INPUT, "grants is a list of at most 60", 0);
    if (json_array_size(list) > 0)
        st = check_step_up(en, e);
    for (size_t i = 0; st == OK && i < json_array_size(list); i++) {
        struct store_grant *g = &plan->grants[plan->grant_count++];

        st = grant_parse(en, json_array_get(list, i), g, e);
        g->gateway = plan->gateway.id;
        memcpy(g->gateway_name, plan->gateway.name, sizeof g->gateway_name);
    }
    return st;
}

APPLY(gateway_add)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_GATEWAY_ADDED };
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    struct store_gateway existing;
    struct err absent = { 0 };
    const char *name;
    struct fields f;
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a gateway", 0);
    st = body_name(rq, "name", &name, e);
    if (st != OK)
        return st;
    st = store_gateway(en->store, name, &existing, &absent);
    if (st == OK)
        return fail(e, CONFLICT, "a gateway of that name exists", 0);
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    random_bytes((struct mspan){ plan->gateway.id.b, sizeof plan->gateway.id.b });
    memcpy(plan->gateway.name, name, strlen(name));
    plan->gateway.created_us = engine_now_us(en);
    st = read_grants(en, rq, plan, e);
    if (st == OK)
        st = certificate_make(en, rq, ROLE_GATEWAY, name, &plan->certificate, plan->pem, e);
    if (st != OK)
        return st;
    plan->certificate.gateway = plan->gateway.id;
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "gateway", name);
    fields_hex(&f, "spki", SPAN(plan->certificate.spki));
    entry.fields = fields_view(&f);
    st = batch_entry(en, rq, &entry, e);
    for (size_t i = 0; st == OK && i < plan->grant_count; i++)
        st = grant_entry(en, rq, &plan->grants[i], RECORD_GRANT_ADDED, e);
    return st;
}

/* First the gateway and its certificate, then one call for each grant. */
COMPLETE(gateway_added)
{
    const struct plan *plan = rq->plan;
    json_t *grants;
    status st;

    (void)result;
    if (rq->result_index > 1) {
        const struct store_grant *g = &plan->grants[rq->result_index - 2];

        json_array_append_new(json_object_get(rq->reply, "grants"), grant_json(g));
        return grant_keep(en, g, e);
    }
    st = store_gateway_add(en->store, &plan->gateway, e);
    if (st == OK)
        st = certificate_keep(en, &plan->certificate, e);
    if (st != OK)
        return st;
    grants = json_array();
    rq->created = true;
    rq->reply = json_pack("{s:o, s:s, s:s, s:s, s:o, s:o}", "id", json_id(&plan->gateway.id),
                          "name", plan->gateway.name, "certificate", plan->pem, "ca", en->ca_pem,
                          "not_after", json_time(plan->certificate.not_after_us), "grants", grants);
    return OK;
}

APPLY(gateway_remove)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_GATEWAY_REMOVED };
    struct store_gateway *g = rq->plan = calloc(1, sizeof *g);
    struct fields f;
    status st;

    if (g == NULL)
        return fail(e, NO_MEMORY, "no memory for a gateway", 0);
    st = store_gateway(en->store, rq->param[0], g, e);
    if (st != OK)
        return st;
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "gateway", g->name);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* In the database too, or they would be good again after a restart. */
static status revoke_certificates(struct engine *en, const struct id *gateway, struct err *e)
{
    const struct policy_certificate *c;
    size_t cursor = 0;
    status st = OK;

    while (st == OK && (c = policy_certificate_next(en->policy, &cursor)) != NULL) {
        if (c->role == ROLE_GATEWAY && id_same(&c->gateway, gateway))
            st = store_certificate_revoke(en->store, c->spki, engine_now_us(en), e);
    }
    return st;
}

COMPLETE(gateway_removed)
{
    const struct store_gateway *g = rq->plan;
    struct lease pattern = { .gateway = g->id };
    struct token_pattern tokens = { .gateway = g->id };
    status st = store_gateway_remove(en->store, &g->id, engine_now_us(en), e);

    (void)result;
    if (st == OK)
        st = revoke_certificates(en, &g->id, e);
    if (st == OK)
        st = store_compat_forget(en->store, &g->id, e);
    if (st == OK)
        st = tokens_end(en->tokens, &tokens, NULL, NULL, e);
    if (st == OK)
        leases_end(en->leases, &pattern, engine_now_us(en));
    if (st != OK)
        return st;
    policy_gateway_remove(en->policy, &g->id);
    rq->reply = json_object();
    return OK;
}

static status grant_plan(struct engine *en, struct request *rq, struct store_grant **ret_grant,
                         struct err *e)
{
    struct store_grant *g = rq->plan = calloc(1, sizeof *g);
    struct store_gateway gateway;
    status st;

    if (g == NULL)
        return fail(e, NO_MEMORY, "no memory for a grant", 0);
    st = store_gateway(en->store, rq->param[0], &gateway, e);
    if (st == OK)
        st = grant_parse(en, rq->body, g, e);
    if (st != OK)
        return st;
    g->gateway = gateway.id;
    memcpy(g->gateway_name, gateway.name, sizeof g->gateway_name);
    *ret_grant = g;
    return OK;
}

status grant_room(struct engine *en, const struct id *gateway, struct err *e)
{
    size_t cursor = 0, count = 0;

    while (policy_grant_next(en->policy, gateway, &cursor) != NULL)
        count++;
    return count < GRANTS_HELD
               ? OK
               : fail(e, LIMIT, "a gateway has at most 256 grants: use patterns", 0);
}

APPLY(grant_add)
{
    struct store_grant *g;
    status st = check_step_up(en, e);

    if (st == OK)
        st = grant_plan(en, rq, &g, e);
    if (st == OK)
        st = grant_room(en, &g->gateway, e);
    return st == OK ? grant_entry(en, rq, g, RECORD_GRANT_ADDED, e) : st;
}

COMPLETE(grant_added)
{
    const struct store_grant *g = rq->plan;

    (void)result;
    rq->created = true;
    rq->reply = grant_json(g);
    return grant_keep(en, g, e);
}

APPLY(grant_remove)
{
    struct store_grant *g;
    status st = grant_plan(en, rq, &g, e);

    if (st == OK && !policy_grant_exists(en->policy, &g->gateway, &g->tenant, g->pattern))
        return fail(e, NOT_FOUND, "there is no such grant", 0);
    return st == OK ? grant_entry(en, rq, g, RECORD_GRANT_REMOVED, e) : st;
}

COMPLETE(grant_removed)
{
    const struct store_grant *g = rq->plan;
    status st = store_grant_remove(en->store, &g->gateway, &g->tenant, g->pattern, e);

    (void)result;
    if (st == OK)
        st = policy_grant_remove(en->policy, &g->gateway, &g->tenant, g->pattern, e);
    rq->reply = json_object();
    return st;
}
