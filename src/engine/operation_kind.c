/*
 * The kinds of privileged operations, as one table: what a body must say, and what the database and
 * the policy do when the keeper has carried one out.
 */
#include <string.h>

#include "document.h"
#include "rollback.h"

/* --- reading --------------------------------------------------------------------------------- */

static status read_name(const struct request *rq, const char *member, char out[STORE_NAME],
                        struct err *e)
{
    const char *name;
    status st = body_name(rq, member, &name, e);

    if (st == OK)
        snprintf(out, STORE_NAME, "%s", name);
    return st;
}

static status read_operator(const struct request *rq, struct operation *o, struct err *e)
{
    status st = read_name(rq, "operator", o->operator_name, e);

    o->op.operator_name = span_text(o->operator_name);
    return st;
}

static status read_operator_add(struct engine *en, struct request *rq, struct operation *o,
                                struct err *e)
{
    status st = read_operator(rq, o, e);

    (void)en;
    if (st == OK)
        st = body_id(rq, "slot", &o->op.slot, e);
    if (st == OK)
        st = body_hex_exact(rq, "public_key", o->op.public_key, sizeof o->op.public_key, e);
    return st;
}

static status read_operator_remove(struct engine *en, struct request *rq, struct operation *o,
                                   struct err *e)
{
    status st = read_operator(rq, o, e);

    (void)en;
    if (st == OK && json_object_get(rq->body, "slot") != NULL)
        st = body_id(rq, "slot", &o->op.slot, e);
    return st;
}

static status read_number(const struct request *rq, uint64_t min, uint64_t max, struct operation *o,
                          struct err *e)
{
    uint64_t number = 0;
    status st = json_object_get(rq->body, "number") == NULL
                    ? fail(e, BAD_INPUT, "a number is missing", 0)
                    : body_number(rq, "number", 0, min, max, &number, e);

    o->op.number = (uint32_t)number;
    return st;
}

static status read_quorum(struct engine *en, struct request *rq, struct operation *o, struct err *e)
{
    (void)en;
    return read_number(rq, 1, LIMIT_SLOTS, o, e);
}

static status read_cards(struct engine *en, struct request *rq, struct operation *o, struct err *e)
{
    status st = read_number(rq, 0, CARDS_MAX, o, e);

    (void)en;
    return st == OK ? body_hex_exact(rq, "recovery_key", o->op.recovery_key, 32, e) : st;
}

static status read_nothing(struct engine *en, struct request *rq, struct operation *o,
                           struct err *e)
{
    (void)en;
    (void)rq;
    (void)o;
    (void)e;
    return OK;
}

static status read_tenant(struct engine *en, struct request *rq, struct operation *o, struct err *e)
{
    struct store_tenant tenant;
    status st = read_name(rq, "tenant", o->tenant_name, e);

    if (st == OK)
        st = store_tenant(en->store, o->tenant_name, &tenant, e);
    if (st == OK)
        o->op.tenant = tenant.id;
    return st;
}

static status read_engagement(struct engine *en, struct request *rq, struct operation *o,
                              struct err *e)
{
    struct store_engagement g;
    status st = read_tenant(en, rq, o, e);

    if (st == OK)
        st = read_name(rq, "engagement", o->engagement_name, e);
    if (st == OK)
        st = store_engagement(en->store, &o->op.tenant, o->engagement_name, &g, e);
    if (st == OK)
        o->op.engagement = g.id;
    return st;
}

static status read_grant(struct engine *en, struct request *rq, struct operation *o, struct err *e)
{
    struct store_gateway gateway;
    struct store_tenant tenant;
    const char *path;
    uint64_t ttl = 0;
    status st = read_name(rq, "gateway", o->gateway_name, e);

    if (st == OK)
        st = body_text(rq, "key", false, STORE_NAME + STORE_PATTERN, &path, e);
    if (st == OK)
        st = key_path_parse(path, true, o->tenant_name, o->pattern, e);
    if (st == OK)
        st = body_number(rq, "max_ttl_s", 0, 1, 86400, &ttl, e);
    if (st == OK)
        st = store_gateway(en->store, o->gateway_name, &gateway, e);
    if (st == OK)
        st = store_tenant(en->store, o->tenant_name, &tenant, e);
    if (st != OK)
        return st;
    o->op.gateway = gateway.id;
    o->op.tenant = tenant.id;
    o->op.key = span_text(o->pattern);
    o->op.max_ttl_s = (uint32_t)ttl;
    return grant_room(en, &gateway.id, e);
}

/* The gateway may have gone since it was proposed. */
static status still_grant(struct engine *en, const struct operation *o, struct err *e)
{
    struct store_gateway gateway;
    struct err absent = { 0 };
    status st = store_gateway(en->store, o->gateway_name, &gateway, &absent);

    if (st == NOT_FOUND || (st == OK && !id_same(&gateway.id, &o->op.gateway)))
        return fail(e, NOT_FOUND, "the gateway has been removed since", 0);
    return st == OK ? grant_room(en, &gateway.id, e)
                    : err_note(e, st, absent.where, absent.why, absent.detail);
}

/* The head that is there is the keeper's word; the other one the proposer's. */
static status read_rollback(struct engine *en, struct request *rq, struct operation *o,
                            struct err *e)
{
    status st = body_number(rq, "known_size", 0, 0, (uint64_t)1 << 53, &o->op.known_size, e);

    if (st == OK && json_object_get(rq->body, "known_root") != NULL)
        st = body_hex_exact(rq, "known_root", o->op.known_root, sizeof o->op.known_root, e);
    o->op.size = en->hello.found_size;
    memcpy(o->op.root, en->hello.found_root, sizeof o->op.root);
    return st;
}

/* --- what follows ---------------------------------------------------------------------------- */

/* Whoever is no operator any more has no operator's certificate either. One who loses a slot of
 * several keeps it. */
static status store_removed(struct engine *en, struct operation *o,
                            const struct wire_result *result, struct err *e)
{
    size_t count = 0;
    status st = OK;

    (void)result;
    if (id_is_zero(&o->op.slot))
        st = certificates_revoke_operator(en, o->operator_name, &count, e);
    o->result = json_pack("{s:i}", "certificates_revoked", (int)count);
    return st;
}

static status store_cards(struct engine *en, struct operation *o, const struct wire_result *result,
                          struct err *e)
{
    (void)en;
    o->result = json_pack("{s:o}", "sealed_cards", json_hex(result->data));
    return o->result != NULL ? OK : fail(e, BUG, "the keeper's cards are malformed", 0);
}

static status store_hastened(struct engine *en, struct operation *o,
                             const struct wire_result *result, struct err *e)
{
    struct store_engagement g;
    status st = store_engagement_by_id(en->store, &o->op.tenant, &o->op.engagement, &g, e);

    if (st != OK)
        return st;
    g.due_us = result->due_us;
    return store_engagement_set(en->store, &g, e);
}

static status store_held(struct engine *en, struct operation *o, const struct wire_result *result,
                         struct err *e)
{
    (void)result;
    return store_engagement_hold(en->store, &o->op.tenant, &o->op.engagement, engine_now_us(en), e);
}

static status store_lifted(struct engine *en, struct operation *o, const struct wire_result *result,
                           struct err *e)
{
    return store_engagement_lift(en->store, &o->op.tenant, &o->op.engagement, result->due_us, e);
}

static status store_granted(struct engine *en, struct operation *o,
                            const struct wire_result *result, struct err *e)
{
    struct store_grant g = { .gateway = o->op.gateway,
                             .tenant = o->op.tenant,
                             .max_ttl_s = o->op.max_ttl_s,
                             .created_us = engine_now_us(en) };

    (void)result;
    memcpy(g.pattern, o->pattern, sizeof g.pattern);
    return grant_keep(en, &g, e);
}

static status store_accepted(struct engine *en, struct operation *o,
                             const struct wire_result *result, struct err *e)
{
    (void)o;
    (void)result;
    return rollback_accepted(en, e);
}

static status read_retention(struct engine *en, struct request *rq, struct operation *o,
                             struct err *e)
{
    status st = read_tenant(en, rq, o, e);

    if (st == OK)
        st = read_number(rq, 0, RETENTION_MAX, o, e);
    if (st == OK && o->op.number != 0 && o->op.number < RETENTION_MIN)
        st = fail(e, BAD_INPUT, "records are kept for 30 days at least; 0 is for ever", 0);
    return st;
}

static status store_retained(struct engine *en, struct operation *o,
                             const struct wire_result *result, struct err *e)
{
    struct store_retention r = { .tenant = o->op.tenant, .days = o->op.number, .seq = o->seq };

    (void)result;
    return store_retention_set(en->store, &r, e);
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct operation_kind kinds[] = {
    [OPERATION_OPERATOR_ADD] = { "operator slot public_key", read_operator_add, NULL, NULL },
    [OPERATION_OPERATOR_REMOVE] = { "operator slot", read_operator_remove, NULL, store_removed },
    [OPERATION_QUORUM_SET] = { "number", read_quorum, NULL, NULL },
    [OPERATION_CARD_RENEW] = { "number recovery_key", read_cards, NULL, store_cards },
    [OPERATION_REKEY_ROOT] = { "", read_nothing, NULL, NULL },
    [OPERATION_REKEY_TENANT] = { "tenant", read_tenant, NULL, NULL },
    [OPERATION_REKEY_DATABASE] = { "", read_nothing, NULL, NULL },
    [OPERATION_PURGE_NOW] = { "tenant engagement", read_engagement, NULL, store_hastened },
    [OPERATION_HOLD_SET] = { "tenant engagement", read_engagement, NULL, store_held },
    [OPERATION_HOLD_LIFT] = { "tenant engagement", read_engagement, NULL, store_lifted },
    [OPERATION_GRANT_ADD] = { "gateway key max_ttl_s", read_grant, still_grant, store_granted },
    [OPERATION_ROLLBACK_ACCEPT] = { "known_size known_root", read_rollback, NULL, store_accepted },
    [OPERATION_RETENTION_SET] = { "tenant number", read_retention, NULL, store_retained },
    [OPERATION_POLICY_SET] = { "owner document", document_read_operation, document_still,
                               document_store_operation },
};

const struct operation_kind *operation_kind(uint8_t code)
{
    return &kinds[code < sizeof kinds / sizeof kinds[0] ? code : OPERATION_REKEY_ROOT];
}

bool operation_members(const struct operation_kind *kind, const json_t *body)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)body, name, value)
    {
        if (strcmp(name, "operation") != 0 && !member_listed(kind->members, name))
            return false;
    }
    return true;
}
