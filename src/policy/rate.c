/* Windows of 61 buckets: seconds for the minute, minutes for the hour. */
#include "policy/rate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"

#define BUCKETS   61
#define SWEEP_MIN 1024

struct window {
    uint64_t newest; /* unit of time */
    uint32_t count[BUCKETS];
    uint64_t total;
};

struct rate {
    struct policy_rate_key key;
    struct window minute, hour;
};

struct policy_rates {
    struct table table; /* struct rate by key */
    size_t sweep_at;    /* so many are swept for those that are over */
};

struct policy_rate_key policy_rate_key(const struct id *owner, struct span rule,
                                       const struct id *gateway_or_tenant)
{
    struct policy_rate_key key = { { 0 } };
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: the table's hash is the key's beginning */

    memcpy(key.b + 8, owner->b, 16);
    memcpy(key.b + 24, gateway_or_tenant->b, 16);
    if (rule.n > 0)
        memcpy(key.b + 40, rule.p, rule.n < NAME_MAX_LENGTH ? rule.n : NAME_MAX_LENGTH);
    for (size_t i = 8; i < sizeof key.b; i++)
        hash = (hash ^ key.b[i]) * 0x100000001b3;
    memcpy(key.b, &hash, sizeof hash);
    return key;
}

status policy_rates_new(struct policy_rates **ret_rates, struct err *e)
{
    struct policy_rates *r = calloc(1, sizeof *r);

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory to count leases", 0);
    table_init(&r->table, sizeof(struct policy_rate_key));
    r->sweep_at = SWEEP_MIN;
    *ret_rates = r;
    return OK;
}

void policy_rates_free(struct policy_rates *r)
{
    if (r == NULL)
        return;
    table_clear_values(&r->table);
    free(r);
}

size_t policy_rates_size(const struct policy_rates *r)
{
    return r->table.count;
}

/* Forgets what has left the window by then. */
static void advance(struct window *w, uint64_t unit)
{
    uint64_t steps = unit > w->newest ? unit - w->newest : 0;

    if (steps >= BUCKETS) {
        *w = (struct window){ .newest = unit };
        return;
    }
    for (; steps > 0; steps--) {
        uint32_t *bucket = &w->count[++w->newest % BUCKETS];

        w->total -= *bucket;
        *bucket = 0;
    }
}

static void add(struct window *w, uint64_t unit)
{
    advance(w, unit);
    w->count[w->newest % BUCKETS]++;
    w->total++;
}

static uint64_t seconds(uint64_t time_us)
{
    return time_us / SECOND_US;
}

static bool is_over(const struct rate *rate, uint64_t now_us)
{
    return rate->minute.newest + POLICY_RATE_MEMORY_S < seconds(now_us);
}

/* Removing ends a walk of the table: one walk notes, the list is removed after it. */
static void sweep(struct policy_rates *r, uint64_t now_us)
{
    struct rate **over = calloc(r->table.count + 1, sizeof *over);
    struct rate *rate;
    size_t cursor = 0, count = 0;

    while (over != NULL && (rate = table_next(&r->table, &cursor)) != NULL) {
        if (is_over(rate, now_us))
            over[count++] = rate;
    }
    for (size_t i = 0; i < count; i++)
        free(table_remove(&r->table, over[i]->key.b));
    free(over);
    r->sweep_at = 2 * r->table.count + SWEEP_MIN;
}

status policy_rates_count(struct policy_rates *r, const struct policy_rate_key *key,
                          uint64_t time_us, struct err *e)
{
    struct rate *rate = table_find(&r->table, key->b);
    status st;

    if (rate == NULL) {
        if (r->table.count >= r->sweep_at)
            sweep(r, time_us);
        rate = calloc(1, sizeof *rate);
        if (rate == NULL)
            return fail(e, NO_MEMORY, "no memory to count leases", 0);
        rate->key = *key;
        st = table_add(&r->table, rate->key.b, rate, e);
        if (st != OK) {
            free(rate);
            return st;
        }
    }
    add(&rate->minute, seconds(time_us));
    add(&rate->hour, seconds(time_us) / 60);
    return OK;
}

/* When enough of the oldest has left the window. */
static uint64_t wait_of(const struct window *w, uint64_t most)
{
    uint64_t left = w->total;

    for (uint64_t age = BUCKETS - 1; age > 0; age--) {
        left -= w->count[(w->newest + BUCKETS - age) % BUCKETS];
        if (left < most)
            return BUCKETS - age;
    }
    return BUCKETS;
}

uint64_t policy_rates_used(struct policy_rates *r, const struct policy_rate_key *key,
                           enum policy_limit window, uint64_t most, uint64_t now_us,
                           uint64_t *ret_wait_s)
{
    struct rate *rate = table_find(&r->table, key->b);
    bool minute = window == POLICY_RATE_MINUTE;
    struct window *w;

    *ret_wait_s = 0;
    if (rate == NULL)
        return 0;
    w = minute ? &rate->minute : &rate->hour;
    advance(w, seconds(now_us) / (minute ? 1 : 60));
    if (w->total >= most)
        *ret_wait_s = wait_of(w, most) * (minute ? 1 : 60);
    return w->total;
}
