/* Audit records and the heads of their logs, as rows of the store. See store/store.h. */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"

struct store;

/* Audit records, as made by the keeper. log zero: the vault's. */
struct store_record {
    struct id log;
    uint64_t seq;
    uint64_t time_us;
    uint16_t type;
    uint8_t outcome;
    uint8_t mac[32];
    struct span line;
    uint64_t until_us; /* store_record_add: how long it matters to live leases; 0: not at all */
    uint64_t id;       /* its place in the order of storage; only store_feed fills it */
};
/* CONFLICT if (log, seq) exists with other bytes; OK without effect if it exists with the same. */
MUST_CHECK status store_record_add(struct store *s, const struct store_record *r, struct err *e);
/* Calls each(context, record) for up to limit records of log from seq on, in order, until it
 * returns false. The record's spans are views for the time of the call. each may use the store, but
 * not the function that called it, nor commit. */
typedef bool (*store_record_fn)(void *context, const struct store_record *r);
MUST_CHECK status store_records(struct store *s, const struct id *log, uint64_t from_seq,
                                size_t limit, store_record_fn each, void *context, struct err *e);
/* The same downwards, from the last record before before_seq. */
MUST_CHECK status store_records_before(struct store *s, const struct id *log, uint64_t before_seq,
                                       size_t limit, store_record_fn each, void *context,
                                       struct err *e);
/* Up to limit records of all logs in the order in which they were stored, after the one whose id is
 * after (0: from the first that is left). An id is never used for another record. */
MUST_CHECK status store_feed(struct store *s, uint64_t after, size_t limit, store_record_fn each,
                             void *context, struct err *e);
/* Those that say who the operators were and what the quorum (types 1, 10, 13, 14 and 17), in the
 * vault's log, from seq on. */
MUST_CHECK status store_operator_records(struct store *s, uint64_t from_seq, store_record_fn each,
                                         void *context, struct err *e);
/* Records of any log that matter to live leases for longer than until_us, oldest first. */
MUST_CHECK status store_lease_records(struct store *s, uint64_t until_us, store_record_fn each,
                                      void *context, struct err *e);
/* Of what ends leases or keys (types 102, 201, 202, 304, 401, 403, 405 and 419), the newest limit
 * after a place in the order of storage, upwards; and all acknowledgements after one. With ids. */
MUST_CHECK status store_event_records(struct store *s, uint64_t after, size_t limit,
                                      store_record_fn each, void *context, struct err *e);
MUST_CHECK status store_acknowledgements(struct store *s, uint64_t after, store_record_fn each,
                                         void *context, struct err *e);
/* Heads of logs as the keeper made them. */
MUST_CHECK status store_head_set(struct store *s, const struct id *log, uint64_t size,
                                 struct span head, struct err *e);
typedef bool (*store_head_fn)(void *context, const struct id *log, uint64_t size, struct span head);
MUST_CHECK status store_heads(struct store *s, store_head_fn each, void *context, struct err *e);
/* Size of a log; 0 if it has no head. */
MUST_CHECK status store_log_size(struct store *s, const struct id *log, uint64_t *ret_size,
                                 struct err *e);

#endif
