/*
 * Documents of policy: versions in the database, the one in force of each owner in memory, parsed,
 * as far as it was asked for lately. What is in force is what its record says: a document that is
 * not the one of that hash, or does not parse, denies everything until another one is set.
 */
#ifndef ENGINE_DOCUMENT_H
#define ENGINE_DOCUMENT_H

#include "base/table.h"
#include "operation.h"
#include "policy/decide.h"
#include "policy/rate.h"

enum document_state {
    DOCUMENT_NONE, /* never set, or removed */
    DOCUMENT_READY,
    DOCUMENT_BAD
};

struct document {
    struct id owner; /* a tenant; zero: the vault */
    enum document_state state;
    uint32_t version; /* 0: never set */
    uint8_t hash[32];
    struct policy_document *parsed; /* DOCUMENT_READY */
};

/* A lease that is in a batch, and not among the live ones yet. */
struct document_pending {
    struct id tenant;
    struct id gateway;
};

struct documents {
    struct document vault; /* held apart: asked with every lease */
    bool vault_known;
    struct table tenants; /* struct document by owner */
    size_t size;          /* of theirs, in bytes */
    struct policy_rates *rates;
    /* At the keeper, and behind them those of the batch under construction. */
    struct document_pending pending[2 * LIMIT_BATCH_ENTRIES];
    size_t pending_sent, pending_count;
};

status documents_new(struct documents **ret_documents, struct err *e);
void documents_free(struct documents *d);

/* The one in force. The pointer to a tenant's dies with the next call for another tenant, that to
 * the vault's with a change. *ret_read becomes true if the database was read: views of it died.
 * Fails as the store does. */
status document_current(struct engine *en, const struct id *owner,
                        const struct document **ret_document, bool *ret_read, struct err *e);

/* The operation policy.set: see operation_kind.c. */
status document_read_operation(struct engine *en, struct request *rq, struct operation *o,
                               struct err *e);
status document_still(struct engine *en, const struct operation *o, struct err *e);
/* What the record of its effect says beside the hash. */
void document_say(struct engine *en, const struct request *rq, struct operation *o,
                  struct fields *f);
status document_store_operation(struct engine *en, struct operation *o,
                                const struct wire_result *result, struct err *e);

/* The verbs. */
APPLY(policy_show);
APPLY(policy_versions);
APPLY(policy_set);
COMPLETE(policy_was_set);

/* A record that a dead server left: if it set a document that is lost, nothing is allowed. */
status document_recover(struct engine *en, const struct wire_record *r, struct err *e);

#endif
