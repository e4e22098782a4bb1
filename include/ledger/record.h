/*
 * Audit records: one line of JSON each, stored, hashed and exported as the same bytes and
 * never re-serialised. The keeper composes the line; the engine contributes only a checked
 * fragment of flat fields, so whatever the engine sends, a record says what the keeper did.
 *
 *   {"v":1,"log":"<32 hex>","seq":0,"prev":"<64 hex>","time":"<RFC 3339, us>","type":"<name>",
 *    "outcome":"ok|denied|failed"<,keeper fields><,engine fields>}
 *
 * The bytes have no white space outside strings and no newline; LIMIT_RECORD bounds them.
 */
#ifndef LEDGER_RECORD_H
#define LEDGER_RECORD_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

enum outcome { OUTCOME_OK = 0, OUTCOME_DENIED = 1, OUTCOME_FAILED = 2 };

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
    RECORD_AUDITOR_UNASSIGNED = 418
};

/* "lease.issued"; NULL for an unknown code. */
const char *record_type_name(uint16_t type);
bool record_type_keeper_only(uint16_t type); /* true for unknown codes too */
/* The code of a name; 0 if unknown. */
uint16_t record_type_parse(struct span name);

/*
 * Checks an engine-built fragment: zero or more of  ,"name":value  where name is [a-z_]{1,32},
 * not one the keeper writes and not repeated, and value is a JSON string (RFC 8259, valid UTF-8,
 * escapes allowed but for NUL and unpaired surrogates, no raw control characters), a whole number
 * of at most 15 digits without sign or leading zero, true or false.
 * BAD_INPUT otherwise, LIMIT above LIMIT_FIELDS.
 */
MUST_CHECK status record_fields_check(struct span fields, struct err *e);

/*
 * Builds a fragment. Values are escaped. Text that is not UTF-8 or holds a NUL, a number above 15
 * digits and a time after the year 9999 set overflow. After an overflow the view is one that
 * record_fields_check and record_compose refuse.
 */
struct fields {
    struct out out;
    uint8_t bytes[LIMIT_FIELDS];
};
void fields_init(struct fields *f);
void fields_text(struct fields *f, const char *name, const char *value); /* NULL value: nothing */
void fields_span(struct fields *f, const char *name, struct span value);
void fields_id(struct fields *f, const char *name, const struct id *id); /* 32 hex */
void fields_hex(struct fields *f, const char *name, struct span value);
void fields_number(struct fields *f, const char *name, uint64_t value);
void fields_time(struct fields *f, const char *name, uint64_t time_us);
struct span fields_view(const struct fields *f);

/* What the head of a line says. */
struct record_head {
    struct id log;
    uint64_t seq;
    uint8_t prev[32];
    uint64_t time_us;
    uint16_t type;
    enum outcome outcome;
};

/*
 * Composes a line into out (cap LIMIT_RECORD). keeper_fields come from fields_*; engine_fields
 * must have passed record_fields_check. LIMIT if it does not fit, BAD_INPUT for an unknown type
 * or outcome, BUG if the line would not parse, such as when the two fragments share a name.
 */
MUST_CHECK status record_compose(const struct record_head *head, struct span keeper_fields,
                                 struct span engine_fields, struct out *out, struct err *e);
/* Parses the head of a line strictly (the exact bytes compose writes) and checks that the rest
 * is a well-formed fragment with a closing brace and that no name occurs twice in the line.
 * CORRUPT otherwise. Fuzzed. */
MUST_CHECK status record_parse(struct span line, struct record_head *ret_head, struct err *e);
/* Finds one field of a parsed line: view of the raw value (strings without their quotes, still
 * escaped). false if absent. */
bool record_field(struct span line, const char *name, struct span *ret_value);
/* The same, read as an identifier or a whole number within [min, max]; false for anything else. */
bool record_field_id(struct span line, const char *name, struct id *ret_id);
bool record_field_number(struct span line, const char *name, uint64_t min, uint64_t max,
                         uint64_t *ret_number);

#endif
