/*
 * How many lease requests a second one gateway may make, and how many may be for one tenant's keys:
 * settings gateway_rate and tenant_rate. As many at once as a second has, and then evenly. On the
 * engine's thread.
 */
#ifndef ENGINE_RATE_H
#define ENGINE_RATE_H

#include "engine/engine.h"

struct rates;

MUST_CHECK status rates_new(struct rates **ret_rates, struct err *e);
void rates_free(struct rates *r);

/* Counts rq, once however often it is decided. LIMIT, with retry_after_s, if there were too many. A
 * gateway's are counted whatever becomes of them; a tenant's when the gateway may have the key, so
 * that nobody else uses them up. */
status rate_gateway(struct engine *en, struct request *rq, struct err *e);
status rate_tenant(struct engine *en, struct request *rq, const struct id *tenant, struct err *e);

#endif
