/* What documents of policy say of a lease that is asked for, and how much was used of what they
 * limit. */
#ifndef ENGINE_JUDGE_H
#define ENGINE_JUDGE_H

#include "internal.h"

/* Do the tenant's document and the vault's allow rq this key? *ttl_s: what grants give; becomes
 * shorter if a rule says so. What was asked and decided is in rq->judged. *ret_read: the database
 * was read, views of it died. DENIED; LIMIT with rq->retry_after_s. A store that fails allows
 * nothing. */
status judge(struct engine *en, struct request *rq, const struct store_leasable *found,
             uint64_t *ttl_s, bool *ret_read, struct err *e);

/* What the record of a lease, or of its refusal, says of that; the claims as they were stated. */
void judged_fields(const struct request *rq, struct fields *f);

/* The lease's entry is in the batch: it counts from now on. NO_MEMORY: it must not be issued. */
status judged_count(struct engine *en, const struct request *rq, const struct id *tenant,
                    struct err *e);
/* What was counted until now goes to the keeper; is live by now, or is not. */
void judge_batch_sent(struct engine *en);
void judge_batch_over(struct engine *en);

/* Counts the lease records of the last hour again, so that a restart forgives nothing. */
status judge_rebuild(struct engine *en, struct err *e);

#endif
