/*
 * Privileged operations: proposed by whoever may, approved by operators' touches, carried out with
 * the last approval they need. They live in memory for APPROVAL_S; the records of proposal,
 * approvals and effect are what stays.
 */
#ifndef ENGINE_OPERATION_H
#define ENGINE_OPERATION_H

#include "policy/document.h"
#include "session.h"

status operations_new(struct operations **ret_operations, struct err *e);
void operations_free(struct operations *o);
void operations_forget(struct operations *o);

enum operation_state { OPERATION_FREE, OPERATION_PENDING, OPERATION_DONE, OPERATION_FAILED };

struct operation {
    enum operation_state state;
    struct wire_operation op; /* its spans point into what follows */
    char operator_name[STORE_NAME];
    char pattern[STORE_PATTERN];
    char tenant_name[STORE_NAME];
    char engagement_name[STORE_NAME];
    char gateway_name[STORE_NAME];
    char text[OPERATION_TEXT_MAX + 1];
    uint8_t hash[32];
    char proposer[2 * STORE_NAME];
    uint64_t since_us; /* monotonic */
    uint8_t have, need;
    uint64_t seq;                /* of its effect's record */
    char setter[2 * STORE_NAME]; /* of a document, as its record says */
    size_t document_length;
    char document[DOCUMENT_MAX];
    json_t *result;  /* owned: once it is done */
    char reason[96]; /* once it has failed */
};

#define OPERATIONS 32
struct operations {
    struct operation list[OPERATIONS];
};

/* operation_kind.c: what each kind reads from a body, and what follows when the keeper did it. */
struct operation_kind {
    const char *members; /* of the body, beside "operation" */
    status (*read)(struct engine *en, struct request *rq, struct operation *o, struct err *e);
    /* May be NULL. Can it be done still, now that it has its approvals? */
    status (*still)(struct engine *en, const struct operation *o, struct err *e);
    /* May be NULL. In the transaction that holds the record. */
    status (*store)(struct engine *en, struct operation *o, const struct wire_result *result,
                    struct err *e);
};
const struct operation_kind *operation_kind(uint8_t code); /* never NULL for a known code */
/* Is every member of the body one of this kind's? */
bool operation_members(const struct operation_kind *kind, const json_t *body);

status operations_new(struct operations **ret_operations, struct err *e);
void operations_free(struct operations *o);
void operations_forget(struct operations *o);

#endif
