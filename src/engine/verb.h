/* Who may do what, and the two halves of every verb: apply decides and adds entries to the batch,
 * complete stores what follows when the keeper has carried them out. */
#ifndef ENGINE_VERB_H
#define ENGINE_VERB_H

#include "internal.h"

/* verb.c: one row a verb; the security summary of the product on one screen */
struct verb_row {
    const char *name;
    uint16_t roles;      /* 1 << role */
    uint8_t states;      /* enum vault_state */
    uint8_t flags;       /* enum verb_flag */
    const char *members; /* of the body, separated by spaces */
    status (*apply)(struct engine *en, struct request *rq, struct err *e);
    status (*complete)(struct engine *en, struct request *rq, const struct wire_result *result,
                       struct err *e);
};
enum verb_flag {
    FLAG_DIRECT = 1,    /* talks to the keeper itself, outside batches */
    FLAG_EXCLUSIVE = 2, /* changes what others read: last in its batch */
    FLAG_TENANT = 4,    /* the first path parameter names a tenant */
    FLAG_READ = 8,      /* makes no record */
    FLAG_STORES = 16,   /* refused when the disk is nearly full */
    FLAG_DESTROYS = 32, /* what the keyring does not have any more counts as destroyed */
    FLAG_WHOLE = 64,    /* about the whole vault: not for an auditor of some tenants */
    FLAG_AHEAD = 128    /* changes nothing that its like are decided by: see batch.c */
};
const struct verb_row *verb_row(enum verb verb);
/* Role, state, tenant and body members. */
status verb_permit(struct engine *en, struct request *rq, struct err *e);
bool member_listed(const char *members, const char *name); /* is it one of the words? */
/* The tenant that the path names, into rq->log: NOT_FOUND if it is none of this peer's business. */
status verb_tenant(struct engine *en, struct request *rq, struct err *e);

#include "handler.h"

#include "certificate.h"

#endif
