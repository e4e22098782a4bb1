/* Ending live leases by hand: one, or those of a key, a gateway, a tenant, or all. */
#ifndef ENGINE_REVOKE_H
#define ENGINE_REVOKE_H

#include "internal.h"

/* The records of a revocation that concerned several tenants, in the log of each: before its
 * answer, or, if the server died in between, before the next one serves. */
status revocation_finish(struct engine *en, struct err *e);
void revocation_forget(struct engine *en);
/* At attach, in this order: a record that a dead server did not store is noted; what is left to be
 * told is loaded (*ret_since_us: leases that were live then are wanted, or UINT64_MAX); a
 * lease.revoked is applied to the live leases again. */
status revocation_recover(struct engine *en, const struct wire_record *r, struct err *e);
status revocation_load(struct engine *en, uint64_t *ret_since_us, struct err *e);
status revocation_replay(struct engine *en, const struct store_record *r, struct err *e);

#endif
