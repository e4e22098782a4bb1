/* What alerts remember of the use of keys, and the records they look back at. See store/store.h. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "store/record.h"

/* That a gateway has leased a key, and in which record of the tenant's log for the first time. */
struct store_first_use {
    struct id tenant;
    struct id key;
    struct id gateway;
    uint64_t seq;
    bool told; /* an alert says so, or none needs to */
};
/* *ret_new: it was not known; else nothing changes. */
MUST_CHECK status store_first_use_add(struct store *s, const struct store_first_use *u,
                                      bool *ret_new, struct err *e);
MUST_CHECK status store_first_use_told(struct store *s, const struct id *tenant,
                                       const struct id *key, const struct id *gateway,
                                       struct err *e);
/* All of a tenant's. */
MUST_CHECK status store_first_uses_told(struct store *s, const struct id *tenant, struct err *e);
/* Up to cap of those that no alert says, of any tenant, in order of (tenant, seq) after the given
 * pair; NULL: from the start. */
MUST_CHECK status store_first_uses_untold(struct store *s, const struct store_first_use *after,
                                          struct store_first_use *ret_uses, size_t cap,
                                          size_t *ret_count, struct err *e);

/* How many leases an hour a key has: the mean, in thousandths, over the hours before `hour`. */
struct store_key_rate {
    struct id tenant;
    struct id key;
    uint64_t hour;  /* since 1970 */
    uint64_t hours; /* in the mean */
    uint64_t mean;
};
/* Adds or replaces. */
MUST_CHECK status store_key_rate_set(struct store *s, const struct store_key_rate *r,
                                     struct err *e);
/* NOT_FOUND. */
MUST_CHECK status store_key_rate(struct store *s, const struct id *tenant, const struct id *key,
                                 struct store_key_rate *ret_rate, struct err *e);

/* Those of the last `last` records of all logs, in the order of storage, that were made at since_us
 * or later and that alerts are about. */
MUST_CHECK status store_alert_records(struct store *s, uint64_t last, uint64_t since_us,
                                      store_record_fn each, void *context, struct err *e);

#endif
