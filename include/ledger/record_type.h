/* The vocabulary of the audit trail. */
#ifndef LEDGER_RECORD_TYPE_H
#define LEDGER_RECORD_TYPE_H

#include "base/bytes.h"

/*
 * The record types. Codes are stored (hundreds: 0 vault, 1 tenants and engagements, 2 keys,
 * 3 leases, 4 access) and never reused. keeper_only: the engine cannot ask for a plain record
 * of this type; it appears only through the keeper operation that it describes.
 */
enum record_type {
    RECORD_VAULT_CREATED = 1,       /* keeper_only */
    RECORD_VAULT_UNLOCKED = 2,      /* keeper_only, folded */
    RECORD_VAULT_UNLOCK_FAILED = 3, /* keeper_only, folded */
    RECORD_VAULT_LOCKED = 4,
    RECORD_SERVER_STARTED = 5,
    RECORD_RECOVERY_UNANSWERED = 6,  /* records first_seq..last_seq of this log were not answered */
    RECORD_CLOCK_JUMPED = 7,         /* keeper_only, folded */
    RECORD_CLOCK_CONFIRMED = 8,      /* keeper_only */
    RECORD_TOMBSTONE_ALARM = 9,      /* keeper_only: destroyed cell without a matching purge */
    RECORD_OPERATOR_ENROLLED = 10,   /* keeper_only: a hardware key, at init or by an operation */
    RECORD_UNLOCK_SHARE = 11,        /* keeper_only, folded: one share of several */
    RECORD_CARD_USED = 12,           /* keeper_only, folded, an alarm: renew the cards */
    RECORD_OPERATOR_REMOVED = 13,    /* keeper_only */
    RECORD_QUORUM_CHANGED = 14,      /* keeper_only */
    RECORD_CARDS_RENEWED = 15,       /* keeper_only */
    RECORD_REKEY_BEGUN = 16,         /* keeper_only */
    RECORD_REKEY_DONE = 17,          /* keeper_only, folded unless of the database */
    RECORD_SLOT_DESTROYED = 18,      /* keeper_only, folded */
    RECORD_TREE_COMMITTED = 19,      /* keeper_only: one round, in the vault tree's log */
    RECORD_ROLLBACK_ACCEPTED = 20,   /* keeper_only: names the old and the new head */
    RECORD_TENANT_CREATED = 100,     /* keeper_only */
    RECORD_ENGAGEMENT_STARTED = 101, /* keeper_only */
    RECORD_ENGAGEMENT_ENDED = 102,   /* keeper_only */
    RECORD_PURGE_KEYS_DESTROYED = 103, /* keeper_only, folded: the engagement's data keys */
    RECORD_PURGE_DONE = 104,
    RECORD_TENANT_SEED_DESTROYED = 105, /* keeper_only, folded */
    RECORD_ENGAGEMENT_HELD = 106,       /* keeper_only: its purge waits */
    RECORD_ENGAGEMENT_LIFTED = 107,     /* keeper_only: the time that was left runs again */
    RECORD_PURGE_HASTENED = 108,        /* keeper_only: due at once */
    RECORD_KEY_PUT = 200,               /* keeper_only: version 1 */
    RECORD_KEY_ROTATED = 201,           /* keeper_only: a later version */
    RECORD_KEY_REVOKED = 202,           /* all versions; each destruction is its own record */
    RECORD_KEY_DESTROYED = 203,         /* keeper_only: one version's data key */
    RECORD_LEASE_ISSUED = 300,          /* keeper_only */
    RECORD_LEASE_RENEWED = 301,         /* keeper_only */
    RECORD_LEASE_RELEASED = 302,        /* keeper_only */
    RECORD_LEASE_REFUSED = 303,
    RECORD_LEASE_REVOKED = 304,  /* all that match and were issued before it */
    RECORD_LEASE_REPEATED = 305, /* keeper_only: opened again for the request it was issued to */
    RECORD_USAGE_REPORTED = 306, /* what a gateway says that it did with a lease */
    RECORD_USAGE_GAP = 307,      /* reports that never came */
    RECORD_REVOCATION_ACKNOWLEDGED = 308,
    RECORD_GATEWAY_ADDED = 400,
    RECORD_GATEWAY_REMOVED = 401,
    RECORD_GRANT_ADDED = 402,
    RECORD_GRANT_REMOVED = 403,
    RECORD_CERTIFICATE_ISSUED = 404,
    RECORD_CERTIFICATE_REVOKED = 405,
    RECORD_REQUEST_REFUSED = 406,
    RECORD_REQUESTS_REFUSED = 407, /* aggregate with a count */
    RECORD_AUDIT_EXPORTED = 408,
    RECORD_OPERATION_FAILED = 409,   /* keeper_only: an entry the keeper could not carry out */
    RECORD_OPERATION_APPROVED = 410, /* keeper_only: by one operator, see wire/operation.h */
    RECORD_OPERATION_PROPOSED = 411,
    RECORD_OPERATION_WITHDRAWN = 412,
    RECORD_ALERT_RAISED = 413,     /* by a rule over other records */
    RECORD_RETENTION_SET = 414,    /* keeper_only: how long a tenant's records are kept */
    RECORD_RECORDS_DROPPED = 415,  /* keeper_only: records 0..last_seq; their root is in it */
    RECORD_PERSON_ERASED = 416,    /* a name behind a tag was forgotten */
    RECORD_AUDITOR_ASSIGNED = 417, /* a tenant's trail is opened to an auditor */
    RECORD_AUDITOR_UNASSIGNED = 418,
    RECORD_POLICY_SET = 419, /* a document, by its hash */
    RECORD_COMPAT_SET = 420, /* a tenant's keys are served by the compatible face, or no more */
    RECORD_APPROLE_ADDED = 421,
    RECORD_APPROLE_REMOVED = 422,
    RECORD_TOKEN_ISSUED = 423,
    RECORD_TOKEN_REVOKED = 424
};

/* "lease.issued"; NULL for an unknown code. */
const char *record_type_name(uint16_t type);
bool record_type_keeper_only(uint16_t type); /* true for unknown codes too */
/* The code of a name; 0 if unknown. */
uint16_t record_type_parse(struct span name);

#endif
