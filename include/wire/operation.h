/*
 * Privileged operations: what takes the touch of operators' hardware keys, each for exactly this
 * operation. An operation has one canonical text; CLI, server and keeper each compose it from what
 * they mean to do, and only their agreement lets it happen.
 *
 *   text      = name id=<32 hex>{ member=value}        members in the order of the table below
 *   operation = SHA-256(LBL("operation"; text))
 *   signed    = SHA-256(LBL("step-up"; operation, context)) as clientDataHash
 *
 * where context is the session's (wire/unlock.h). Text, context, assertion and public key are in
 * the audit record operation.approved, so that whoever has the trail can check the signature.
 */
#ifndef WIRE_OPERATION_H
#define WIRE_OPERATION_H

#include "base/bytes.h"

/* Codes travel between server and keeper; never reused. */
enum operation_code {
    OPERATION_OPERATOR_ADD = 1,    /* operator, slot, public_key: an enrolled key becomes a slot */
    OPERATION_OPERATOR_REMOVE = 2, /* operator, slot (zero: all of the operator's) */
    OPERATION_QUORUM_SET = 3,      /* number: shares that open the vault */
    OPERATION_CARD_RENEW = 4,      /* number of cards, recovery_key: their codes are sealed to it */
    OPERATION_REKEY_ROOT = 5,
    OPERATION_REKEY_TENANT = 6, /* tenant */
    OPERATION_REKEY_DATABASE = 7,
    OPERATION_PURGE_NOW = 8, /* tenant, engagement: ended; its keys die at once */
    OPERATION_HOLD_SET = 9,  /* tenant, engagement: ended; its purge waits */
    OPERATION_HOLD_LIFT = 10,
    OPERATION_GRANT_ADD = 11, /* tenant, gateway, key, max_ttl */
    OPERATION_ROLLBACK_ACCEPT =
        12,                       /* size, root, known_size, known_root: heads of the vault's log */
    OPERATION_RETENTION_SET = 13, /* tenant, number of days its records are kept, 0: for ever */
    OPERATION_POLICY_SET = 14     /* tenant (zero: the vault), document: SHA-256 of its text */
};

/* Who must approve. */
enum operation_people {
    PEOPLE_ONE,
    PEOPLE_TWO,   /* two, if there are two operators, and no fewer than the quorum */
    PEOPLE_QUORUM /* as many as open the vault */
};

#define OPERATION_TEXT_MAX 512
#define OPERATION_KEY_MAX  64 /* bytes of a key's name or pattern */
#define RETENTION_MIN      30 /* days */
#define RETENTION_MAX      36500
#define APPROVAL_S         600 /* an operation waits that long for all its approvals */

/* Members that the code does not use are zero. */
struct wire_operation {
    uint8_t code;
    struct id id;              /* of this proposal, random: an approval is for this one only */
    struct span operator_name; /* name_valid */
    struct id slot;
    uint8_t public_key[64]; /* ES256 x | y of the hardware key to be added */
    uint32_t number;
    uint8_t recovery_key[32];
    struct id tenant;
    struct id engagement;
    struct id gateway;
    struct span key; /* key name or pattern */
    uint32_t max_ttl_s;
    uint64_t size; /* what was found: records of the vault's log, and the root of its tree */
    uint8_t root[32];
    uint64_t known_size; /* what the proposer remembers; zeros: nothing */
    uint8_t known_root[32];
    uint8_t document[32];
};

/* "operator.add"; NULL for an unknown code. */
const char *operation_name(uint8_t code);
/* 0 for an unknown name. */
uint8_t operation_parse(const char *name);
/* How many must approve it in a vault of that quorum and so many operators. */
uint8_t operation_need(uint8_t code, uint8_t quorum, uint8_t operators);
/* A recovery card may approve what brings back a vault whose hardware keys are lost. */
bool operation_recovers(uint8_t code);
/* Whether its records go to the tenant's log; else to the vault's, as those of retention.set, which
 * must outlive the tenant's. */
bool operation_of_tenant(uint8_t code);

void wire_put_operation(struct out *o, const struct wire_operation *m);
void wire_get_operation(struct in *i, struct wire_operation *m);

/* The canonical text; overflow for an unknown code or a member that cannot be part of one. */
void operation_text(const struct wire_operation *m, struct out *o);
/* The hash of a text. */
void operation_hash(struct span text, uint8_t out[static 32]);
/* What the hardware key signs. */
void operation_signed(const uint8_t operation[static 32], const uint8_t context[static 32],
                      uint8_t out[static 32]);

#endif
