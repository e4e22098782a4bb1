/*
 * How many leases there were in the last minute and hour, of what a limit is about. In memory only:
 * after a start the lease records of the last hour are counted again. A window holds the time unit
 * that is going on and the 60 before it, so that in no minute and no hour more is let through than
 * the limit says.
 */
#ifndef POLICY_RATE_H
#define POLICY_RATE_H

#include "policy/document.h"

#define POLICY_RATE_MEMORY_S (62 * 60) /* what is older than that counts no more */

/* Whose leases: of one gateway under one rule of an owner's document, or (rule empty) of one
 * tenant under its [limits]. */
struct policy_rate_key {
    uint8_t b[8 + 16 + 16 + NAME_MAX_LENGTH + 1];
};
struct policy_rate_key policy_rate_key(const struct id *owner, struct span rule,
                                       const struct id *gateway_or_tenant);

struct policy_rates;
MUST_CHECK status policy_rates_new(struct policy_rates **ret_rates, struct err *e);
void policy_rates_free(struct policy_rates *r);

/* Counts one at time_us. Time goes forward; a little behind counts as now. NO_MEMORY. */
MUST_CHECK status policy_rates_count(struct policy_rates *r, const struct policy_rate_key *key,
                                     uint64_t time_us, struct err *e);
/* How many there were in a window (POLICY_RATE_MINUTE or POLICY_RATE_HOUR) that ends at now_us. If
 * that is not below most, *ret_wait_s is when it will be. */
uint64_t policy_rates_used(struct policy_rates *r, const struct policy_rate_key *key,
                           enum policy_limit window, uint64_t most, uint64_t now_us,
                           uint64_t *ret_wait_s);
size_t policy_rates_size(const struct policy_rates *r); /* keys that are remembered */

#endif
