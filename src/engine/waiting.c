/*
 * Requests that wait for records. They stand in a list, no thread stands behind them, and a batch
 * costs them one look at a number: each log has one bit of 64, a batch notes the bits of the logs
 * that it wrote to, and whoever waits for one of them is decided anew, from the certificate on. Two
 * logs may share a bit: who was woken for nothing waits on, until the time that it had.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WAKE_AT_ONCE 64 /* so that leases do not stand behind all who wait */

static uint64_t bit_of(const struct id *log)
{
    return UINT64_C(1) << (log->b[sizeof log->b - 1] & 63);
}

/* Requests of one certificate that wait. */
struct waiter {
    uint8_t spki[32];
    size_t count;
};

static bool has_room(const struct engine *en, const struct request *rq)
{
    const struct waiting *w = &en->waiting;
    const struct waiter *one = table_find(&w->people, rq->peer.spki);

    if (one != NULL && one->count >= en->settings.waiting_each)
        return false;
    return rq->waits_for_event ? w->events < en->settings.waiting_events
                               : w->count - w->events < en->settings.waiting_max;
}

static bool count_in(struct engine *en, const struct request *rq)
{
    struct waiter *one = table_find(&en->waiting.people, rq->peer.spki);

    if (one == NULL) {
        one = calloc(1, sizeof *one);
        if (one == NULL)
            return false;
        memcpy(one->spki, rq->peer.spki, sizeof one->spki);
        if (table_add(&en->waiting.people, one->spki, one, NULL) != OK) {
            free(one);
            return false;
        }
    }
    one->count++;
    en->waiting.count++;
    en->waiting.events += rq->waits_for_event;
    return true;
}

static void count_out(struct engine *en, const struct request *rq)
{
    struct waiter *one = table_find(&en->waiting.people, rq->peer.spki);

    en->waiting.count--;
    en->waiting.events -= rq->waits_for_event;
    if (--one->count == 0)
        free(table_remove(&en->waiting.people, one->spki));
}

static bool begin(struct engine *en, struct request *rq)
{
    uint64_t now = clock_monotonic_us();

    if (rq->wait_until == 0 && rq->wait_s > 0 && has_room(en, rq))
        rq->wait_until = now + rq->wait_s * SECOND_US;
    rq->waits = now < rq->wait_until && count_in(en, rq);
    return rq->waits;
}

bool waiting_begin(struct engine *en, struct request *rq, const struct id *log)
{
    rq->waits_for = log == NULL ? UINT64_MAX : bit_of(log);
    return begin(en, rq);
}

status waiting_admit(struct engine *en, struct request *rq, struct err *e)
{
    rq->waits_for_event = true;
    if (rq->streams && rq->wait_until == 0 && !has_room(en, rq))
        return fail(e, LIMIT, "as many requests as may wait do so already", 0);
    return OK;
}

bool waiting_begin_event(struct engine *en, struct request *rq)
{
    return begin(en, rq);
}

void waiting_add(struct engine *en, struct request *rq)
{
    rq->due = false;
    rq->next = NULL;
    if (en->waiting.first == NULL)
        en->waiting.last = &en->waiting.first;
    *en->waiting.last = rq;
    en->waiting.last = &rq->next;
}

void waiting_stored(struct engine *en, const struct id *log)
{
    en->waiting.stored |= bit_of(log);
}

/* As it was before it was decided. */
static void forget_decision(struct request *rq)
{
    rq->waits = false;
    rq->outcome = OK;
    rq->err = (struct err){ 0 };
    rq->log = (struct id){ { 0 } };
}

static bool is_due(const struct engine *en, const struct request *rq, uint64_t now)
{
    return now >= rq->wait_until ||
           (rq->waits_for_event ? en->waiting.event : (rq->waits_for & en->waiting.stored) != 0);
}

/* The longest waiting first. */
static struct request *take_due(struct engine *en, bool all, bool *ret_more)
{
    struct request *taken = NULL, **end = &taken, **at = &en->waiting.first;
    uint64_t now = clock_monotonic_us();
    size_t count = 0;

    while (*at != NULL) {
        struct request *rq = *at;

        rq->due |= all || is_due(en, rq, now);
        if (!rq->due || (!all && count == WAKE_AT_ONCE)) {
            *ret_more |= rq->due;
            at = &rq->next;
            continue;
        }
        *at = rq->next;
        rq->next = NULL;
        *end = rq;
        end = &rq->next;
        count_out(en, rq);
        count++;
    }
    en->waiting.last = at;
    en->waiting.stored = 0;
    en->waiting.event = false;
    return taken;
}

bool waiting_wake(struct engine *en)
{
    bool more = false;
    struct request *due;

    if (en->waiting.first == NULL) {
        en->waiting.stored = 0;
        en->waiting.event = false;
        return false;
    }
    /* Of a vault that is not open any more they hear at once. */
    due = take_due(en, en->state != VAULT_UNLOCKED, &more);
    while (due != NULL) {
        struct request *rq = due;

        due = rq->next;
        forget_decision(rq);
        engine_submit(en, rq);
    }
    return more;
}

void waiting_end(struct engine *en)
{
    bool more = false;
    struct request *due = take_due(en, true, &more);

    while (due != NULL) {
        struct request *rq = due;

        due = rq->next;
        forget_decision(rq);
        rq->outcome = fail(&rq->err, LOCKED, "the server is stopping: try again", 0);
        engine_answer(en, rq);
    }
}
