/*
 * Leases that one certificate shares among its requests: the value stays in guarded memory until
 * the lease is over, so that only the first use of it is a lease and a record, and counts in
 * limits. Whether it may be had is asked of policy at each use.
 *
 * Must:
 *  1. A value is given out only while its lease is live and its version is the key's current one.
 *  2. It is wiped when the lease is over, within a second, and with everything else at lock.
 */
#ifndef ENGINE_SHARED_H
#define ENGINE_SHARED_H

#include "internal.h"

status shared_new(struct shared **ret_shared, struct err *e);
void shared_free(struct shared *s);
/* Whether shared_use would find it: what is asked for is no new lease to limits of policy. */
bool shared_there(struct engine *en, const struct request *rq);
/* What this certificate asks for, with the same words, as it was leased to it: into rq's answer. */
bool shared_use(struct engine *en, struct request *rq, const struct id *key, uint32_t version);
/* rq was answered with a new lease: the next who asks the same may use it too. */
void shared_keep(struct engine *en, const struct request *rq, const struct lease *lease);
/* Wipes what is over; with versions, also what was rotated. */
void shared_sweep(struct engine *en, bool versions);

#endif
