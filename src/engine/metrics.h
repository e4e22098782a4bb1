/*
 * What the engine counts about itself, for GET /metrics: the Prometheus text format 0.0.4. No names
 * of tenants, keys or gateways are in it, so whoever scrapes learns how busy the vault is and not
 * whose keys are used. All of it belongs to the engine's thread, which writes it out as well: a
 * lease costs a few additions. Only what other threads add is atomic.
 */
#ifndef ENGINE_METRICS_H
#define ENGINE_METRICS_H

#include <stdatomic.h>

#include "engine/engine.h"

#define HISTOGRAM_BUCKETS 15

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last one is +Inf */
    uint64_t sum;                            /* microseconds, or pieces */
};

/* Which requests are timed together. */
enum request_kind {
    KIND_LEASE_ISSUE,
    KIND_LEASE_RENEW,
    KIND_LEASE_RELEASE,
    KIND_READ,
    KIND_CHANGE,
    KIND_DIRECT,
    KIND_COUNT
};

enum limiter { LIMITED_BY_QUEUE, LIMITED_BY_GATEWAY, LIMITED_BY_TENANT, LIMITER_COUNT };

/* Why a lease was refused: a status, or behind them a problem with a title of its own. */
#define LEASE_KINDS   (KIND_LEASE_RELEASE + 1)
#define LEASE_REASONS (STATUS_COUNT + 8)

struct metrics {
    uint64_t requests[VERB_COUNT][STATUS_COUNT];
    uint64_t lease_refused[LEASE_KINDS][LEASE_REASONS];
    struct histogram durations[KIND_COUNT]; /* from arrival in the engine to the answer */
    struct histogram batch_duration;
    struct histogram batch_requests;
    struct histogram commit;
    struct histogram keeper;
    uint64_t records;
    uint64_t alerts;
    uint64_t limited[LIMITER_COUNT];
    uint64_t started_us; /* wall clock */

    atomic_int connections;
};

struct engine;
struct request;

void metrics_size(struct histogram *h, uint64_t pieces);
/* rq is about to be answered. */
void metrics_answered(struct metrics *m, const struct request *rq);
/* engine.c: requests that wait, and how many clients they are of. */
void engine_queue_size(struct engine *en, size_t *ret_requests, size_t *ret_clients);
void metrics_recorded(struct metrics *m, uint16_t type);
/* How long it took since begun_us, of the monotonic clock. */
void metrics_since(struct histogram *h, uint64_t begun_us);

#endif
