/*
 * What the keeper does by itself against being forgotten: it proves its primitives anew every hour,
 * locks when it was open or idle for too long, and forgets shares of a quorum that did not come
 * together.
 *
 * The server is told first (HELLO's lock_due) so that it can say goodbye in order; a server that
 * does not is not waited for.
 */
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

#define SELFTEST_EVERY_US (3600 * SECOND_US)
#define GRACE_US          (10 * SECOND_US)

enum { REASON_NONE, REASON_UNLOCKED_MAX, REASON_IDLE, REASON_SELFTEST, REASON_COUNT };

static const char *const reasons[REASON_COUNT] = {
    [REASON_UNLOCKED_MAX] = "unlocked-max",
    [REASON_IDLE] = "idle",
    [REASON_SELFTEST] = "self-test",
};

const char *keeper_lock_reason(uint64_t code)
{
    return code < REASON_COUNT ? reasons[code] : NULL;
}

/* Which limit was reached grace_us ago. */
static int reached(const struct keeper *k, uint64_t grace_us)
{
    uint64_t now = keeper_monotonic(k);
    const struct keeper_settings *s = &k->settings;

    if (k->state != KEEPER_UNLOCKED)
        return REASON_NONE;
    if (s->unlocked_max_s != 0 && now - k->unlocked_us > s->unlocked_max_s * SECOND_US + grace_us)
        return REASON_UNLOCKED_MAX;
    if (s->idle_lock_s != 0 && now - k->active_us > s->idle_lock_s * SECOND_US + grace_us)
        return REASON_IDLE;
    return REASON_NONE;
}

bool keeper_lock_due(const struct keeper *k)
{
    return reached(k, 0) != REASON_NONE;
}

static void lock_for(struct keeper *k, int reason)
{
    struct journal_entry entry = { .type = RECORD_VAULT_LOCKED, .number = (uint64_t)reason };

    log_number(LOG_WARN_, "keeper.locks-itself", "reason", reason);
    keeper_lock(k);
    keeper_journal(k, &entry, 1);
}

static status selftest(const struct keeper *k, struct err *e)
{
    return k->settings.selftest != NULL ? k->settings.selftest(e) : crypto_selftest(e);
}

/* A processor that computes wrongly must not seal anything any more, and not open either. */
static void watch_primitives(struct keeper *k)
{
    struct err e = { 0 };
    uint64_t now = keeper_monotonic(k);

    if (k->selftest_us != 0 && now - k->selftest_us < SELFTEST_EVERY_US)
        return;
    k->selftest_us = now;
    if (selftest(k, &e) == OK)
        return;
    log_err(LOG_ERROR_, "keeper.self-test", &e);
    if (k->state == KEEPER_UNLOCKED)
        lock_for(k, REASON_SELFTEST);
    else
        keeper_lock(k); /* shares of an unlock under way */
    k->state = KEEPER_BROKEN;
    k->broken = "the self-test of the cryptography failed: do not trust this machine";
}

void keeper_watch(struct keeper *k)
{
    int reason = reached(k, GRACE_US);

    keeper_expire_shares(k);
    if (reason != REASON_NONE)
        lock_for(k, reason);
    watch_primitives(k);
}
