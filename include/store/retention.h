/* How long records are kept, and where logs begin. See store/store.h. */
#ifndef STORE_RETENTION_H
#define STORE_RETENTION_H

#include "base/bytes.h"
#include "base/status.h"

struct store;

struct store_retention {
    struct id tenant;
    uint32_t days; /* 0: for ever */
    uint64_t seq;  /* of the record in the vault's log that says so */
};
/* CONFLICT: no such tenant. */
MUST_CHECK status store_retention_set(struct store *s, const struct store_retention *r,
                                      struct err *e);
/* Of a tenant without a row: 0 days. */
MUST_CHECK status store_retention(struct store *s, const struct id *tenant,
                                  struct store_retention *ret_retention, struct err *e);
/* Those that are not for ever, by tenant after the given one (NULL: from the start). */
MUST_CHECK status store_retentions(struct store *s, const struct id *after,
                                   struct store_retention *ret_retentions, size_t cap,
                                   size_t *ret_count, struct err *e);

/* The sequence number that log begins with. Setting goes forward only. */
MUST_CHECK status store_log_first(struct store *s, const struct id *log, uint64_t *ret_first,
                                  struct err *e);
MUST_CHECK status store_log_begin(struct store *s, const struct id *log, uint64_t first,
                                  struct err *e);
/* Deletes up to limit of the oldest records of log, none that it begins with or that follow. */
MUST_CHECK status store_records_delete(struct store *s, const struct id *log, size_t limit,
                                       size_t *ret_deleted, struct err *e);
/* Logs that do not begin with 0, in order, after the given one (NULL: from the start). */
MUST_CHECK status store_beginnings(struct store *s, const struct id *after, struct id *ret_logs,
                                   size_t cap, size_t *ret_count, struct err *e);

#endif
