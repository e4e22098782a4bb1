/* Counters, and their text for GET /metrics. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static const uint64_t times_us[HISTOGRAM_BUCKETS] = { 100,    250,    500,     1000,    2500,
                                                      5000,   10000,  25000,   50000,   100000,
                                                      250000, 500000, 1000000, 2500000, 10000000 };
static const uint64_t sizes[HISTOGRAM_BUCKETS] = { 1,   2,   4,   8,   16,   24,   32,  64,
                                                   128, 192, 256, 512, 1024, 2048, 4096 };

static void observe(struct histogram *h, const uint64_t bounds[static HISTOGRAM_BUCKETS],
                    uint64_t value)
{
    size_t i = 0;

    while (i < HISTOGRAM_BUCKETS && value > bounds[i])
        i++;
    h->buckets[i]++;
    h->sum += value;
}

void metrics_since(struct histogram *h, uint64_t begun_us)
{
    observe(h, times_us, clock_monotonic_us() - begun_us);
}

void metrics_size(struct histogram *h, uint64_t pieces)
{
    observe(h, sizes, pieces);
}

static enum request_kind kind_of(enum verb verb)
{
    uint8_t flags = verb_row(verb)->flags;

    switch (verb) {
    case VERB_LEASE_ISSUE: return KIND_LEASE_ISSUE;
    case VERB_LEASE_RENEW: return KIND_LEASE_RENEW;
    case VERB_LEASE_RELEASE: return KIND_LEASE_RELEASE;
    default: break;
    }
    return (flags & FLAG_DIRECT) != 0 ? KIND_DIRECT
           : (flags & FLAG_READ) != 0 ? KIND_READ
                                      : KIND_CHANGE;
}

static size_t reason_of(const struct request *rq)
{
    size_t reason =
        rq->problem == PROBLEM_BY_STATUS ? (size_t)rq->outcome : STATUS_COUNT + (size_t)rq->problem;

    return reason < LEASE_REASONS ? reason : BUG;
}

void metrics_answered(struct metrics *m, const struct request *rq)
{
    enum verb verb = rq->verb < VERB_COUNT ? rq->verb : VERB_NONE;
    enum request_kind kind = kind_of(verb);

    m->requests[verb][rq->outcome < STATUS_COUNT ? rq->outcome : BUG]++;
    if (rq->outcome != OK && kind < LEASE_KINDS)
        m->lease_refused[kind][reason_of(rq)]++;
    /* Whoever waited for records did what it came for, and nothing was slow. */
    if (rq->wait_until == 0)
        metrics_since(&m->durations[kind], rq->arrived_us);
}

void metrics_recorded(struct metrics *m, uint16_t type)
{
    m->records++;
    m->alerts += type == RECORD_ALERT_RAISED;
}

/* --- writing --------------------------------------------------------------------------------- */

static void head(FILE *to, const char *name, const char *type, const char *help)
{
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(FILE *to, const char *name, const char *type, const char *help, uint64_t value)
{
    head(to, name, type, help);
    fprintf(to, "%s %llu\n", name, (unsigned long long)value);
}

/* Microseconds as seconds, exactly. */
static void seconds(FILE *to, uint64_t us)
{
    fprintf(to, "%llu.%06llu", (unsigned long long)(us / SECOND_US),
            (unsigned long long)(us % SECOND_US));
}

static void quantity(FILE *to, uint64_t value, bool timed)
{
    if (timed)
        seconds(to, value);
    else
        fprintf(to, "%llu", (unsigned long long)value);
}

/* label: NULL, or one as in kind="read". */
static void histogram(FILE *to, const char *name, const char *label, const struct histogram *h,
                      bool timed)
{
    const uint64_t *bounds = timed ? times_us : sizes;
    const char *open = label == NULL ? "" : "{", *close = label == NULL ? "" : "}";
    uint64_t count = 0;

    if (label == NULL)
        label = "";
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += h->buckets[i];
        fprintf(to, "%s_bucket{%s%sle=\"", name, label, *label == '\0' ? "" : ",");
        quantity(to, bounds[i], timed);
        fprintf(to, "\"} %llu\n", (unsigned long long)count);
    }
    count += h->buckets[HISTOGRAM_BUCKETS];
    fprintf(to, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, *label == '\0' ? "" : ",",
            (unsigned long long)count);
    fprintf(to, "%s_sum%s%s%s ", name, open, label, close);
    quantity(to, h->sum, timed);
    fprintf(to, "\n%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)count);
}

static void single(FILE *to, const char *name, const char *help, const struct histogram *h,
                   bool timed)
{
    head(to, name, "histogram", help);
    histogram(to, name, NULL, h, timed);
}

/* --- what there is in every state ------------------------------------------------------------ */

static void write_state(FILE *to, struct engine *en)
{
    static const enum vault_state states[] = { VAULT_EMPTY, VAULT_LOCKED, VAULT_UNLOCKED,
                                               VAULT_ROLLED_BACK, VAULT_BROKEN };
    const struct wire_hello *h = &en->hello;

    head(to, "strongroom_state", "gauge", "Which state the vault is in: 1 for that one.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        fprintf(to, "strongroom_state{state=\"%s\"} %d\n", vault_state_name(states[i]),
                en->state == states[i]);
    number(to, "strongroom_clock_held", "gauge",
           "1 while the clock waits for an operator after a jump.", h->clock_held);
    if (h->next_due_us != 0) { /* else there is nothing to come, and no sample */
        uint64_t now = engine_now_us(en), left = h->next_due_us > now ? h->next_due_us - now : 0;

        head(to, "strongroom_next_purge_seconds", "gauge",
             "Seconds until the next engagement's keys are destroyed.");
        fputs("strongroom_next_purge_seconds ", to);
        seconds(to, left);
        fputc('\n', to);
    }
    number(to, "strongroom_connections", "gauge", "Open TLS connections.",
           (uint64_t)atomic_load(&en->metrics.connections));
    number(to, "strongroom_connections_limit", "gauge", "How many there may be at once.",
           en->settings.connections_max);
}

/* Of this process alone; without /proc there is no sample. */
static void write_process(FILE *to, const struct engine *en)
{
    struct timespec used = { 0 };
    unsigned long long pages;
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm != NULL && fscanf(statm, "%*u %llu", &pages) == 1)
        number(to, "process_resident_memory_bytes", "gauge", "Resident memory of the server.",
               pages * (uint64_t)sysconf(_SC_PAGESIZE));
    if (statm != NULL)
        fclose(statm);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    head(to, "process_cpu_seconds_total", "counter", "Processor time of the server.");
    fprintf(to, "process_cpu_seconds_total %lld.%06ld\n", (long long)used.tv_sec,
            used.tv_nsec / 1000);
    head(to, "process_start_time_seconds", "gauge", "When the server started, Unix time.");
    fputs("process_start_time_seconds ", to);
    seconds(to, en->metrics.started_us);
    fputc('\n', to);
    head(to, "strongroom_build_info", "gauge", "1, with the version as a label.");
    fputs("strongroom_build_info{version=\"" STRONGROOM_VERSION "\"} 1\n", to);
}

/* --- what there is of an open vault ---------------------------------------------------------- */

static void write_requests(FILE *to, const struct metrics *m)
{
    head(to, "strongroom_requests_total", "counter", "Requests answered, by verb and outcome.");
    for (unsigned v = 0; v < VERB_COUNT; v++) {
        for (unsigned s = 0; s < STATUS_COUNT; s++) {
            if (m->requests[v][s] > 0 || s == OK)
                fprintf(to, "strongroom_requests_total{verb=\"%s\",outcome=\"%s\"} %llu\n",
                        verb_name((enum verb)v), status_name((status)s),
                        (unsigned long long)m->requests[v][s]);
        }
    }
}

static const char *reason_name(size_t reason)
{
    static const char *const titles[] = { [PROBLEM_WRONG_REGION] = "wrong-region",
                                          [PROBLEM_STORAGE] = "storage",
                                          [PROBLEM_GONE] = "gone" };

    if (reason < STATUS_COUNT)
        return status_name((status)reason);
    reason -= STATUS_COUNT;
    return reason < sizeof titles / sizeof titles[0] && titles[reason] != NULL ? titles[reason]
                                                                               : "other";
}

static void write_leases(FILE *to, const struct engine *en)
{
    static const char *const operations[LEASE_KINDS] = { "issue", "renew", "release" };
    const struct metrics *m = &en->metrics;

    number(to, "strongroom_lease_issued_total", "counter", "Leases issued.",
           m->requests[VERB_LEASE_ISSUE][OK]);
    number(to, "strongroom_lease_renewed_total", "counter", "Leases renewed.",
           m->requests[VERB_LEASE_RENEW][OK]);
    number(to, "strongroom_lease_released_total", "counter", "Leases released.",
           m->requests[VERB_LEASE_RELEASE][OK]);
    head(to, "strongroom_lease_refused_total", "counter", "Requests about leases refused.");
    for (size_t k = 0; k < LEASE_KINDS; k++) {
        for (size_t i = OK + 1; i < LEASE_REASONS; i++) {
            if (m->lease_refused[k][i] > 0 || i == DENIED || i == LIMIT)
                fprintf(to, "strongroom_lease_refused_total{operation=\"%s\",reason=\"%s\"} %llu\n",
                        operations[k], reason_name(i), (unsigned long long)m->lease_refused[k][i]);
        }
    }
    number(to, "strongroom_leases_live", "gauge", "Leases that are not over.",
           leases_count(en->leases));
}

static void write_limited(FILE *to, const struct metrics *m)
{
    static const char *const names[LIMITER_COUNT] = { "queue", "gateway_rate", "tenant_rate" };

    head(to, "strongroom_limited_total", "counter", "Requests answered 429, by what limits them.");
    for (size_t i = 0; i < LIMITER_COUNT; i++)
        fprintf(to, "strongroom_limited_total{by=\"%s\"} %llu\n", names[i],
                (unsigned long long)m->limited[i]);
}

static void write_durations(FILE *to, const struct metrics *m)
{
    static const char *const kinds[KIND_COUNT] = { "lease_issue", "lease_renew", "lease_release",
                                                   "read",        "change",      "direct" };
    static const char name[] = "strongroom_request_duration_seconds";

    head(to, name, "histogram", "From arrival in the engine to the answer, records included.");
    for (size_t i = 0; i < KIND_COUNT; i++) {
        char label[32];

        snprintf(label, sizeof label, "kind=\"%s\"", kinds[i]);
        histogram(to, name, label, &m->durations[i], true);
    }
    single(to, "strongroom_batch_duration_seconds",
           "One batch: decisions, keeper, records, COMMIT.", &m->batch_duration, true);
    single(to, "strongroom_commit_duration_seconds", "COMMIT, which waits for the disk.",
           &m->commit, true);
    single(to, "strongroom_keeper_call_duration_seconds", "One call of the keeper.", &m->keeper,
           true);
    single(to, "strongroom_batch_requests", "Requests in one batch.", &m->batch_requests, false);
}

static void write_open(FILE *to, struct engine *en)
{
    const struct metrics *m = &en->metrics;
    size_t queued, clients;

    write_requests(to, m);
    write_leases(to, en);
    write_limited(to, m);
    write_durations(to, m);
    engine_queue_size(en, &queued, &clients);
    number(to, "strongroom_queue_requests", "gauge", "Requests that wait for the next batch.",
           queued);
    number(to, "strongroom_queue_clients", "gauge", "Clients they are of.", clients);
    number(to, "strongroom_waiting_readers", "gauge", "Readers that wait for records.",
           en->waiting.count);
    number(to, "strongroom_records_written_total", "counter", "Records stored.", m->records);
    number(to, "strongroom_alerts_total", "counter", "Alerts raised.", m->alerts);
    number(to, "strongroom_disk_low", "gauge", "1 while less than disk_reserve_mib is free.",
           en->disk_low);
}

/* Of a locked vault its state alone: who asks may have been revoked, and there is no list to look
 * that up in. */
APPLY(vault_metrics)
{
    struct err stale = { 0 };
    FILE *to = open_memstream(&rq->lines, &rq->lines_length);

    if (to == NULL)
        return fail(e, NO_MEMORY, "no memory for the metrics", 0);
    (void)engine_hello(en, &stale); /* what was heard before is better than nothing */
    write_state(to, en);
    write_process(to, en);
    if (en->state == VAULT_UNLOCKED)
        write_open(to, en);
    if (fclose(to) != 0) {
        free(rq->lines);
        rq->lines = NULL;
        return fail(e, NO_MEMORY, "no memory for the metrics", 0);
    }
    return OK;
}
