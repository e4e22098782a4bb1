/*
 * Requests that wait for records. They stand in a list, no thread stands behind them, and a batch
 * costs them one look at a number: each log has one bit of 64, a batch notes the bits of the logs
 * that it wrote to, and whoever waits for one of them is decided anew, from the certificate on. Two
 * logs may share a bit: who was woken for nothing waits on, until the time that it had.
 */
#include "internal.h"

#include "base/clock.h"

#define WAKE_AT_ONCE 64 /* so that leases do not stand behind all who wait */

static uint64_t bit_of(const struct id *log)
{
    return UINT64_C(1) << (log->b[sizeof log->b - 1] & 63);
}

bool waiting_begin(struct engine *en, struct request *rq, const struct id *log)
{
    uint64_t now = clock_monotonic_us();

    if (rq->wait_until == 0 && rq->wait_s > 0 && en->waiting.count < en->settings.waiting_max)
        rq->wait_until = now + rq->wait_s * SECOND_US;
    rq->waits_for = log == NULL ? UINT64_MAX : bit_of(log);
    rq->waits = now < rq->wait_until;
    return rq->waits;
}

void waiting_add(struct engine *en, struct request *rq)
{
    rq->due = false;
    rq->next = NULL;
    if (en->waiting.first == NULL)
        en->waiting.last = &en->waiting.first;
    *en->waiting.last = rq;
    en->waiting.last = &rq->next;
    en->waiting.count++;
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

/* The longest waiting first. */
static struct request *take_due(struct engine *en, bool all, bool *ret_more)
{
    struct request *taken = NULL, **end = &taken, **at = &en->waiting.first;
    uint64_t stored = en->waiting.stored, now = clock_monotonic_us();
    size_t count = 0;

    while (*at != NULL) {
        struct request *rq = *at;

        rq->due |= all || (rq->waits_for & stored) != 0 || now >= rq->wait_until;
        if (!rq->due || (!all && count == WAKE_AT_ONCE)) {
            *ret_more |= rq->due;
            at = &rq->next;
            continue;
        }
        *at = rq->next;
        rq->next = NULL;
        *end = rq;
        end = &rq->next;
        count++;
    }
    en->waiting.last = at;
    en->waiting.stored = 0;
    en->waiting.count -= count;
    return taken;
}

bool waiting_wake(struct engine *en)
{
    bool more = false;
    struct request *due;

    if (en->waiting.first == NULL) {
        en->waiting.stored = 0;
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
