/*
 * Who may do what, when. Everything else about a verb is in its handler.
 *
 * The local socket (L) is for whoever is root on the machine: it creates the vault, and it is the
 * way back when every operator's certificate has expired or is lost. It opens nothing by itself:
 * unlocking takes the hardware key or the recovery card there too.
 */
#include "document.h"
#include "face.h"
#include "rate.h"
#include "rollback.h"

#include <string.h>

#define N (1 << ROLE_NONE) /* only where the face asks for no identity */
#define L (1 << ROLE_LOCAL)
#define O (1 << ROLE_OPERATOR)
#define A (1 << ROLE_ADMIN)
#define T (1 << ROLE_TENANT)
#define G (1 << ROLE_GATEWAY)
#define U (1 << ROLE_AUDITOR)

#define DIRECT   FLAG_DIRECT
#define READ     (FLAG_READ)
#define READ_T   (FLAG_READ | FLAG_TENANT)
#define CHANGE   FLAG_EXCLUSIVE
#define CHANGE_T (FLAG_EXCLUSIVE | FLAG_TENANT)
#define STORE_T  (FLAG_EXCLUSIVE | FLAG_TENANT | FLAG_STORES)
#define STORES   FLAG_STORES
#define WHOLE    FLAG_WHOLE
#define AHEAD    FLAG_AHEAD

#define EMPTY   VAULT_EMPTY
#define LOCKED_ VAULT_LOCKED
#define OPEN    VAULT_UNLOCKED
#define AWAKE   (VAULT_UNLOCKED | VAULT_ROLLED_BACK)
#define ANY     VAULT_ANY

static const struct verb_row rows[VERB_COUNT] = {
    [VERB_NONE] = { "none", 0, ANY, 0, "", NULL, NULL },
    [VERB_STATUS] = { "vault.status", L | O | A | T | G | U, ANY, DIRECT, "", vault_status, NULL },
    [VERB_INIT_SESSION] = { "vault.init-session", L, EMPTY, DIRECT, "", vault_init_session, NULL },
    [VERB_INIT] = { "vault.init", L, EMPTY, DIRECT,
                    "session quorum cards operators recovery_key csr", vault_init, NULL },
    [VERB_SLOTS] = { "vault.slots", O | L, LOCKED_ | AWAKE, DIRECT, "", vault_slots, NULL },
    [VERB_UNLOCK_SESSION] = { "vault.unlock-session", O | L, LOCKED_, DIRECT, "slot",
                              vault_unlock_session, NULL },
    [VERB_UNLOCK] = { "vault.unlock", O | L, LOCKED_, DIRECT,
                      "session slot auth_data signature sealed_secret", vault_unlock, NULL },
    [VERB_LOCK] = { "vault.lock", O | L, LOCKED_ | AWAKE | VAULT_BROKEN, DIRECT, "", vault_lock,
                    NULL },
    [VERB_CLOCK_CONFIRM] = { "clock.confirm", O, OPEN, CHANGE, "", vault_clock_confirm,
                             vault_clock_confirmed },
    [VERB_PUBLIC_KEYS] = { "vault.public-keys", O | A | T | G, AWAKE, READ, "", vault_public_keys,
                           NULL },
    [VERB_DOCTOR] = { "vault.doctor", O | L, ANY, DIRECT, "", vault_doctor, NULL },
    [VERB_METRICS] = { "vault.metrics", L | O | A | U, ANY, DIRECT | WHOLE, "", vault_metrics,
                       NULL },

    [VERB_OPERATOR_SESSION] = { "operator.session", O | A | L, OPEN, DIRECT, "", operator_session,
                                NULL },
    [VERB_OPERATOR_ENROL] = { "operator.enrol", O | A | L, OPEN, DIRECT,
                              "session operator credential_id public_key aaguid auth_data "
                              "signature sealed_secret",
                              operator_enrol, NULL },
    [VERB_OPERATION_PROPOSE] = { "operation.propose", O | A | L, AWAKE, CHANGE,
                                 "operation operator slot public_key number recovery_key tenant "
                                 "engagement gateway key max_ttl_s known_size known_root owner "
                                 "document",
                                 operation_propose, operation_proposed },
    [VERB_OPERATION_LIST] = { "operation.list", O | A | U | L, AWAKE, READ | WHOLE, "",
                              operation_list, NULL },
    [VERB_OPERATION_SHOW] = { "operation.show", O | A | U | L, AWAKE, READ | WHOLE, "",
                              operation_show, NULL },
    [VERB_OPERATION_WITHDRAW] = { "operation.withdraw", O | A | L, AWAKE, CHANGE, "",
                                  operation_withdraw, operation_withdrawn },
    [VERB_OPERATION_SESSION] = { "operation.session", O | L, AWAKE, DIRECT, "slot",
                                 operation_session, NULL },
    [VERB_OPERATION_APPROVE] = { "operation.approve", O | L, AWAKE, DIRECT,
                                 "session slot auth_data signature sealed_secret",
                                 operation_approve, NULL },

    [VERB_TENANT_LIST] = { "tenant.list", O | A | U, OPEN, READ, "", tenant_list, NULL },
    [VERB_TENANT_CREATE] = { "tenant.create", O | A, OPEN, CHANGE | STORES, "name region",
                             tenant_create, tenant_created },
    [VERB_TENANT_SHOW] = { "tenant.show", O | A | T | U, OPEN, READ_T, "", tenant_show, NULL },
    [VERB_ENGAGEMENT_LIST] = { "engagement.list", O | A | T | U, OPEN, READ_T, "", engagement_list,
                               NULL },
    [VERB_ENGAGEMENT_START] = { "engagement.start", O | A, OPEN, STORE_T, "name", engagement_start,
                                engagement_started },
    [VERB_ENGAGEMENT_END] = { "engagement.end", O | A | T, OPEN, CHANGE_T, "", engagement_end,
                              engagement_ended },

    [VERB_KEY_LIST] = { "key.list", O | A | T | U, OPEN, READ_T, "", key_list, NULL },
    [VERB_KEY_SHOW] = { "key.show", O | A | T | U, OPEN, READ_T, "", key_show, NULL },
    [VERB_KEY_PUT] = { "key.put", O | A | T, OPEN, STORE_T,
                       "provider engagement scope class sealed_key", key_put, key_stored },
    [VERB_KEY_ROTATE] = { "key.rotate", O | A | T, OPEN, STORE_T, "sealed_key grace_s", key_rotate,
                          key_stored },
    [VERB_KEY_REVOKE] = { "key.revoke", O | A | T, OPEN, CHANGE_T | FLAG_DESTROYS, "", key_revoke,
                          key_revoked },

    [VERB_GATEWAY_LIST] = { "gateway.list", O | A | U, OPEN, READ | WHOLE, "", gateway_list, NULL },
    [VERB_GATEWAY_ADD] = { "gateway.add", O | A, OPEN, CHANGE | STORES, "name csr grants",
                           gateway_add, gateway_added },
    [VERB_GATEWAY_REMOVE] = { "gateway.remove", O | A, OPEN, CHANGE, "", gateway_remove,
                              gateway_removed },
    [VERB_GRANT_ADD] = { "grant.add", O | A, OPEN, CHANGE | STORES, "key max_ttl_s", grant_add,
                         grant_added },
    [VERB_GRANT_REMOVE] = { "grant.remove", O | A, OPEN, CHANGE, "key", grant_remove,
                            grant_removed },
    [VERB_CERTIFICATE_LIST] = { "certificate.list", O | A | U, OPEN, READ, "", certificate_list,
                                NULL },
    [VERB_CERTIFICATE_ISSUE] = { "certificate.issue", O | A | L, OPEN, CHANGE | STORES,
                                 "role name csr tenants", certificate_issue, certificate_issued },
    [VERB_CERTIFICATE_REVOKE] = { "certificate.revoke", O | A, OPEN, CHANGE, "spki",
                                  certificate_revoke, certificate_revoked },
    [VERB_AUDITOR_LIST] = { "auditor.list", O | A, OPEN, READ, "", auditor_list, NULL },
    [VERB_AUDITOR_ASSIGN] = { "auditor.assign", O | A, OPEN, CHANGE | STORES, "tenant",
                              auditor_assign, auditor_assigned },
    [VERB_AUDITOR_UNASSIGN] = { "auditor.unassign", O | A, OPEN, CHANGE, "", auditor_unassign,
                                auditor_unassigned },

    [VERB_LEASE_ISSUE] = { "lease.issue", G, OPEN, STORES | AHEAD,
                           "key ttl_s region purpose seal_to nonce "
                           "model environment classification",
                           lease_issue, lease_issued },
    [VERB_LEASE_RENEW] = { "lease.renew", G, OPEN, STORES | AHEAD,
                           "ttl_s purpose model environment classification", lease_renew,
                           lease_renewed },
    [VERB_LEASE_RELEASE] = { "lease.release", G, OPEN, AHEAD, "", lease_release, lease_released },
    [VERB_LEASE_LIST] = { "lease.list", O | A | T, OPEN, READ, "", lease_list, NULL },
    [VERB_LEASE_REVOKE] = { "lease.revoke", O | A | T, OPEN, CHANGE, "lease key gateway tenant all",
                            lease_revoke, lease_revoked },

    [VERB_LOG_SHOW] = { "log.show", O | A | T | G | U, OPEN, DIRECT, "", log_show, NULL },
    [VERB_LOG_RECORDS] = { "log.records", O | A | T | G | U, AWAKE, READ, "", log_records, NULL },
    [VERB_PERSON_LIST] = { "person.list", O | A | T | U, OPEN, READ, "", person_list, NULL },
    [VERB_PERSON_ERASE] = { "person.erase", O | T, OPEN, CHANGE, "name", person_erase,
                            person_erased },
    [VERB_LOG_CHECK] = { "log.check", O | A | T | U, OPEN, DIRECT, "from to", log_check, NULL },
    [VERB_LOG_CONSISTENCY] = { "log.consistency", O | A | T | G | U, OPEN, READ, "",
                               log_consistency, NULL },
    [VERB_LOG_INCLUSION] = { "log.inclusion", O | A | T | U, OPEN, READ, "", log_inclusion, NULL },
    [VERB_LOG_RANGE] = { "log.range", O | A | T | G | U, OPEN, READ, "", log_range, NULL },
    [VERB_LOG_OPERATORS] = { "log.operators", O | A | T | U, OPEN, DIRECT, "", log_operators,
                             NULL },
    [VERB_LOG_COMMITMENT] = { "log.commitment", O | A | T | U, OPEN, DIRECT, "", log_commitment,
                              NULL },
    [VERB_LOG_COSIGN] = { "log.cosign", O | U, OPEN, DIRECT | WHOLE, "size cosignature", log_cosign,
                          NULL },
    [VERB_RECORD_FEED] = { "record.feed", O | A | T | U, OPEN, READ, "", record_feed, NULL },
    [VERB_REVOCATION_LIST] = { "revocation.list", G, OPEN, READ, "", revocation_list, NULL },
    [VERB_REVOCATION_ACKNOWLEDGE] = { "revocation.acknowledge", G, OPEN, 0, "events",
                                      revocation_acknowledge, NULL },
    [VERB_LEASE_FORWARD] = { "lease.forward", G, OPEN, STORES, "", lease_issue, lease_issued },

    [VERB_POLICY_SHOW] = { "policy.show", O | A | T | U, OPEN, READ, "", policy_show, NULL },
    [VERB_POLICY_VERSIONS] = { "policy.versions", O | A | T | U, OPEN, READ, "", policy_versions,
                               NULL },
    [VERB_POLICY_SET] = { "policy.set", O | A | T, OPEN, CHANGE, "document", policy_set,
                          policy_was_set },

    [VERB_USAGE_REPORT] = { "usage.report", G, OPEN, CHANGE | STORES, "", usage_report,
                            usage_reported },
    [VERB_USAGE_LITELLM] = { "usage.report-litellm", G, OPEN, CHANGE | STORES, "", usage_report,
                             usage_reported },
    [VERB_USAGE_TRACES] = { "usage.report-traces", G, OPEN, CHANGE | STORES, "", usage_report,
                            usage_reported },
    [VERB_USAGE_LOGS] = { "usage.report-logs", G, OPEN, CHANGE | STORES, "", usage_report,
                          usage_reported },
    [VERB_USAGE_SHOW] = { "usage.show", O | A | T | U, OPEN, READ, "", usage_show, NULL },

    [VERB_COMPAT_SHOW] = { "compat.show", O | A | T | U, OPEN, READ_T, "", compat_show, NULL },
    [VERB_COMPAT_SET] = { "compat.set", O | A | T, OPEN, CHANGE_T, "enabled binding", compat_set,
                          compat_kept },
    [VERB_COMPAT_LIST] = { "compat.list", O | A, OPEN, READ, "", compat_list, NULL },
    [VERB_APPROLE_ADD] = { "approle.add", O | A, OPEN, CHANGE | STORES, "binding cidr", approle_add,
                           approle_added },
    [VERB_APPROLE_REMOVE] = { "approle.remove", O | A, OPEN, CHANGE, "", approle_remove,
                              approle_removed },
    [VERB_TOKEN_ISSUE] = { "token.issue", O | A, OPEN, CHANGE | STORES, "cidr days", token_issue,
                           token_issued },
    [VERB_TOKEN_WITHDRAW] = { "token.withdraw", O | A, OPEN, CHANGE, "", token_withdraw,
                              token_withdrawn },
    [VERB_FACE_STATE] = { "face.state", N | G, ANY, DIRECT, "", face_state, NULL },
    [VERB_FACE_KEYS] = { "face.keys", G, OPEN, READ, "", face_keys, NULL },
    [VERB_TOKEN_LOGIN] = { "token.login", N | G, OPEN, STORES, "method role role_id secret_hash",
                           token_login, token_logged_in },
    [VERB_TOKEN_SHOW] = { "token.show", G, OPEN, READ, "", token_show, NULL },
    [VERB_TOKEN_RENEW] = { "token.renew", G, OPEN, 0, "increment_s", token_renew, token_renewed },
    [VERB_TOKEN_REVOKE] = { "token.revoke", G, OPEN, CHANGE, "", token_revoke, token_revoked },
};

const struct verb_row *verb_row(enum verb verb)
{
    return &rows[verb < VERB_COUNT ? verb : VERB_NONE];
}

const char *verb_name(enum verb verb)
{
    return verb_row(verb)->name;
}

/* The certificate must be one that this vault issued and did not revoke. While the vault is locked
 * there is no list to ask: the CA's signature and the role in it are what counts then. */
static status resolve(struct engine *en, struct request *rq, struct err *e)
{
    const struct policy_certificate *c;
    status st;

    if (rq->face.on)
        return face_resolve(en, rq, e);
    if (rq->peer.role == ROLE_NONE) {
        if (rq->err.code == NO_IDENTITY) /* the face found out more */
            return err_note(e, NO_IDENTITY, rq->err.where, rq->err.why, rq->err.detail);
        return fail(e, NO_IDENTITY, "a client certificate of this vault is required", 0);
    }
    if (rq->peer.role == ROLE_LOCAL || en->state != VAULT_UNLOCKED)
        return OK;
    st = policy_resolve(en->policy, &rq->peer, &c, e);
    if (st != OK)
        return st;
    rq->tenant = c->tenant;
    rq->gateway = c->gateway;
    if (rq->peer.role == ROLE_TENANT)
        rq->log = c->tenant;
    rq->limited = c->role == ROLE_AUDITOR && c->limited;
    return OK;
}

/* Nobody's certificate can be looked up in a vault that was rolled back: whoever is no operator
 * waits. */
static status permit_state(const struct engine *en, const struct request *rq,
                           const struct verb_row *row, struct err *e)
{
    if (en->state == VAULT_ROLLED_BACK && rq->verb != VERB_STATUS && rq->verb != VERB_METRICS &&
        rq->peer.role != ROLE_LOCAL && rq->peer.role != ROLE_OPERATOR)
        return rollback_refused(en, e);
    if ((row->states & en->state) != 0)
        return OK;
    switch (en->state) {
    case VAULT_EMPTY: return fail(e, LOCKED, "the vault is empty: run strongroom init", 0);
    case VAULT_LOCKED:
        if (row->states == EMPTY)
            return fail(e, CONFLICT, "the vault exists already", 0);
        return fail(e, LOCKED, "the vault is locked: an operator must unlock it", 0);
    case VAULT_UNLOCKED: return fail(e, CONFLICT, "the vault is unlocked already", 0);
    case VAULT_ROLLED_BACK: return rollback_refused(en, e);
    case VAULT_BROKEN: break;
    }
    return fail(e, LOCKED, "the vault is broken: see strongroom status", 0);
}

/* May this peer know of the tenant? */
static bool is_theirs(const struct engine *en, const struct request *rq, const struct id *tenant)
{
    if (rq->peer.role == ROLE_TENANT)
        return id_same(tenant, &rq->tenant);
    return !rq->limited || policy_assigned(en->policy, rq->peer.name, tenant);
}

/* A tenant sees only itself, a limited auditor what was assigned; another one is to them as one
 * that does not exist, to the word. */
status verb_tenant(struct engine *en, struct request *rq, struct err *e)
{
    struct store_tenant tenant;
    struct err absent = { 0 };
    status st = store_tenant(en->store, rq->param[0], &tenant, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (st == NOT_FOUND || !is_theirs(en, rq, &tenant.id))
        return fail(e, NOT_FOUND, "there is no such tenant", 0);
    rq->log = tenant.id;
    return OK;
}

bool member_listed(const char *members, const char *name)
{
    size_t n = strlen(name);

    while (*members != '\0') {
        size_t length = strcspn(members, " ");

        if (length == n && memcmp(members, name, n) == 0)
            return true;
        members += length;
        members += *members == ' ';
    }
    return false;
}

static status permit_body(const struct request *rq, const struct verb_row *row, struct err *e)
{
    const char *name;
    json_t *value;

    if (rq->body == NULL)
        return OK;
    json_object_foreach(rq->body, name, value)
    {
        if (!member_listed(row->members, name))
            return fail(e, BAD_INPUT, "the body has a member that is not known here", 0);
    }
    return OK;
}

/* Does it come too fast? */
static status permit_pace(struct engine *en, struct request *rq, struct err *e)
{
    if (rq->crowded) {
        en->metrics.limited[LIMITED_BY_QUEUE]++;
        rq->retry_after_s = 1;
        return fail(e, LIMIT, "too many requests of this client wait already: try again later", 0);
    }
    if (en->state == VAULT_UNLOCKED && rq->peer.role == ROLE_GATEWAY &&
        (rq->verb == VERB_LEASE_ISSUE || rq->verb == VERB_LEASE_RENEW))
        return rate_gateway(en, rq, e);
    return OK;
}

status verb_permit(struct engine *en, struct request *rq, struct err *e)
{
    const struct verb_row *row = verb_row(rq->verb);
    status st = resolve(en, rq, e);

    if (st != OK)
        return st;
    if (row->apply == NULL) /* what the face refused, recorded like any refusal */
        return err_note(e, rq->err.code, rq->err.where, rq->err.why, rq->err.detail);
    st = permit_pace(en, rq, e);
    if (st != OK)
        return st;
    if ((row->roles & (1 << rq->peer.role)) == 0)
        return fail(e, DENIED, "this role may not do that", 0);
    if (rq->limited && (row->flags & FLAG_WHOLE) != 0)
        return fail(e, DENIED, "this auditor sees only the tenants that are assigned", 0);
    st = permit_state(en, rq, row, e);
    if (st == OK)
        st = permit_body(rq, row, e);
    if (st == OK && (row->flags & FLAG_TENANT) != 0)
        st = verb_tenant(en, rq, e);
    if (st == OK && (row->flags & FLAG_STORES) != 0 && en->disk_low) {
        rq->problem = PROBLEM_STORAGE;
        return fail(e, LIMIT, "the disk is nearly full: free space first", 0);
    }
    return st;
}
