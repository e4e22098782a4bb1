/* What stands between a gateway that asks and a lease. */
#ifndef ENGINE_LEASABLE_H
#define ENGINE_LEASABLE_H

#include "internal.h"

/* The key tenant_name/key_name, if rq's gateway may lease it now; *ret_ttl_s is what it gets of
 * asked_s (0: the default). rq->log becomes the tenant as soon as the gateway may know of it.
 * found->sealed is a view that dies with the next use of the store. DENIED with the reason;
 * NOT_FOUND: policy covers the name, but there is no such key. */
status leasable_find(struct engine *en, struct request *rq, const char *tenant_name,
                     const char *key_name, uint64_t asked_s, struct store_leasable *found,
                     uint64_t *ret_ttl_s, struct err *e);

#endif
