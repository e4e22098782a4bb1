/* Tenants of an auditor, as the issuing of certificates and the assigning share them. */
#ifndef ENGINE_AUDITOR_H
#define ENGINE_AUDITOR_H

#include "internal.h"

/* The tenants that an auditor's new certificate names, as far as the auditor does not have them. */
#define ASSIGN_MAX 32
struct assign_plan {
    bool limited;
    struct store_tenant tenants[ASSIGN_MAX];
    size_t count;
};
/* Reads rq's "tenants" for a new certificate of name; CONFLICT where the new certificate would see
 * more than the auditor's others, or what an earlier holder of the name left. */
status assign_read(struct engine *en, struct request *rq, const char *name,
                   struct assign_plan *plan, struct err *e);
/* One entry, and what follows from it. */
status assign_entry(struct engine *en, struct request *rq, uint16_t type, const char *auditor,
                    const struct store_tenant *tenant, struct err *e);
status assign_keep(struct engine *en, const char *auditor, const struct store_tenant *tenant,
                   struct err *e);

#endif
