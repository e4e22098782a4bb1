/*
 * The vocabulary of the audit trail. Codes and names are stored and exported: a row may be
 * added, but never changed, removed or given to another meaning.
 */
#include "ledger/record_type.h"

enum origin {
    ORIGIN_KEEPER, /* appears only through the keeper operation that it describes */
    ORIGIN_ENGINE  /* the engine may ask for it */
};

struct row {
    uint16_t type;
    enum origin origin;
    const char *name;
};

static const struct row rows[] = {
    { RECORD_VAULT_CREATED, ORIGIN_KEEPER, "vault.created" },
    { RECORD_VAULT_UNLOCKED, ORIGIN_KEEPER, "vault.unlocked" },
    { RECORD_VAULT_UNLOCK_FAILED, ORIGIN_KEEPER, "vault.unlock_failed" },
    { RECORD_VAULT_LOCKED, ORIGIN_ENGINE, "vault.locked" },
    { RECORD_SERVER_STARTED, ORIGIN_ENGINE, "server.started" },
    { RECORD_RECOVERY_UNANSWERED, ORIGIN_ENGINE, "recovery.unanswered" },
    { RECORD_CLOCK_JUMPED, ORIGIN_KEEPER, "clock.jumped" },
    { RECORD_CLOCK_CONFIRMED, ORIGIN_KEEPER, "clock.confirmed" },
    { RECORD_TOMBSTONE_ALARM, ORIGIN_KEEPER, "tombstone.alarm" },
    { RECORD_OPERATOR_ENROLLED, ORIGIN_KEEPER, "operator.enrolled" },
    { RECORD_UNLOCK_SHARE, ORIGIN_KEEPER, "unlock.share" },
    { RECORD_CARD_USED, ORIGIN_KEEPER, "card.used" },
    { RECORD_OPERATOR_REMOVED, ORIGIN_KEEPER, "operator.removed" },
    { RECORD_QUORUM_CHANGED, ORIGIN_KEEPER, "quorum.changed" },
    { RECORD_CARDS_RENEWED, ORIGIN_KEEPER, "cards.renewed" },
    { RECORD_REKEY_BEGUN, ORIGIN_KEEPER, "rekey.begun" },
    { RECORD_REKEY_DONE, ORIGIN_KEEPER, "rekey.done" },
    { RECORD_SLOT_DESTROYED, ORIGIN_KEEPER, "slot.destroyed" },
    { RECORD_TREE_COMMITTED, ORIGIN_KEEPER, "tree.committed" },
    { RECORD_ROLLBACK_ACCEPTED, ORIGIN_KEEPER, "rollback.accepted" },
    { RECORD_TENANT_CREATED, ORIGIN_KEEPER, "tenant.created" },
    { RECORD_ENGAGEMENT_STARTED, ORIGIN_KEEPER, "engagement.started" },
    { RECORD_ENGAGEMENT_ENDED, ORIGIN_KEEPER, "engagement.ended" },
    { RECORD_PURGE_KEYS_DESTROYED, ORIGIN_KEEPER, "purge.keys_destroyed" },
    { RECORD_PURGE_DONE, ORIGIN_ENGINE, "purge.done" },
    { RECORD_TENANT_SEED_DESTROYED, ORIGIN_KEEPER, "tenant.seed_destroyed" },
    { RECORD_ENGAGEMENT_HELD, ORIGIN_KEEPER, "engagement.held" },
    { RECORD_ENGAGEMENT_LIFTED, ORIGIN_KEEPER, "engagement.lifted" },
    { RECORD_PURGE_HASTENED, ORIGIN_KEEPER, "purge.hastened" },
    { RECORD_KEY_PUT, ORIGIN_KEEPER, "key.put" },
    { RECORD_KEY_ROTATED, ORIGIN_KEEPER, "key.rotated" },
    { RECORD_KEY_REVOKED, ORIGIN_ENGINE, "key.revoked" },
    { RECORD_KEY_DESTROYED, ORIGIN_KEEPER, "key.destroyed" },
    { RECORD_LEASE_ISSUED, ORIGIN_KEEPER, "lease.issued" },
    { RECORD_LEASE_RENEWED, ORIGIN_KEEPER, "lease.renewed" },
    { RECORD_LEASE_RELEASED, ORIGIN_KEEPER, "lease.released" },
    { RECORD_LEASE_REFUSED, ORIGIN_ENGINE, "lease.refused" },
    { RECORD_LEASE_REVOKED, ORIGIN_ENGINE, "lease.revoked" },
    { RECORD_LEASE_REPEATED, ORIGIN_KEEPER, "lease.repeated" },
    { RECORD_USAGE_REPORTED, ORIGIN_ENGINE, "usage.reported" },
    { RECORD_USAGE_GAP, ORIGIN_ENGINE, "usage.gap" },
    { RECORD_REVOCATION_ACKNOWLEDGED, ORIGIN_ENGINE, "revocation.acknowledged" },
    { RECORD_GATEWAY_ADDED, ORIGIN_ENGINE, "gateway.added" },
    { RECORD_GATEWAY_REMOVED, ORIGIN_ENGINE, "gateway.removed" },
    { RECORD_GRANT_ADDED, ORIGIN_ENGINE, "grant.added" },
    { RECORD_GRANT_REMOVED, ORIGIN_ENGINE, "grant.removed" },
    { RECORD_CERTIFICATE_ISSUED, ORIGIN_ENGINE, "certificate.issued" },
    { RECORD_CERTIFICATE_REVOKED, ORIGIN_ENGINE, "certificate.revoked" },
    { RECORD_REQUEST_REFUSED, ORIGIN_ENGINE, "request.refused" },
    { RECORD_REQUESTS_REFUSED, ORIGIN_ENGINE, "requests.refused" },
    { RECORD_AUDIT_EXPORTED, ORIGIN_ENGINE, "audit.exported" },
    { RECORD_OPERATION_FAILED, ORIGIN_KEEPER, "operation.failed" },
    { RECORD_OPERATION_APPROVED, ORIGIN_KEEPER, "operation.approved" },
    { RECORD_OPERATION_PROPOSED, ORIGIN_ENGINE, "operation.proposed" },
    { RECORD_OPERATION_WITHDRAWN, ORIGIN_ENGINE, "operation.withdrawn" },
    { RECORD_ALERT_RAISED, ORIGIN_ENGINE, "alert.raised" },
    { RECORD_RETENTION_SET, ORIGIN_KEEPER, "retention.set" },
    { RECORD_RECORDS_DROPPED, ORIGIN_KEEPER, "records.dropped" },
    { RECORD_PERSON_ERASED, ORIGIN_ENGINE, "person.erased" },
    { RECORD_AUDITOR_ASSIGNED, ORIGIN_ENGINE, "auditor.assigned" },
    { RECORD_AUDITOR_UNASSIGNED, ORIGIN_ENGINE, "auditor.unassigned" },
    { RECORD_POLICY_SET, ORIGIN_ENGINE, "policy.set" },
    { RECORD_COMPAT_SET, ORIGIN_ENGINE, "compat.set" },
    { RECORD_APPROLE_ADDED, ORIGIN_ENGINE, "approle.added" },
    { RECORD_APPROLE_REMOVED, ORIGIN_ENGINE, "approle.removed" },
    { RECORD_TOKEN_ISSUED, ORIGIN_ENGINE, "token.issued" },
    { RECORD_TOKEN_REVOKED, ORIGIN_ENGINE, "token.revoked" },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static const struct row *find(uint16_t type)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (rows[i].type == type)
            return &rows[i];
    }
    return NULL;
}

const char *record_type_name(uint16_t type)
{
    const struct row *row = find(type);

    return row == NULL ? NULL : row->name;
}

bool record_type_keeper_only(uint16_t type)
{
    const struct row *row = find(type);

    /* An unknown code comes from a server that is not ours: the closed answer. */
    return row == NULL || row->origin == ORIGIN_KEEPER;
}

uint16_t record_type_parse(struct span name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const char *known = rows[i].name;

        if (known[0] == (char)(name.n > 0 ? name.p[0] : 0) && span_same(name, span_text(known)))
            return rows[i].type;
    }
    return 0;
}
