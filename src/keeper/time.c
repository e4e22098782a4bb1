/*
 * The keeper's time.
 *
 * 1. It is max(wall clock, last time recorded), and it never runs slower than the monotonic
 *    clock: a clock set back postpones nothing.
 * 2. A wall clock that is more than a day ahead of the monotonic clock, counted from the start
 *    or the last confirmation, is not followed: time then goes on by the monotonic clock and
 *    purges wait until an operator confirms. Counting from a fixed point means that many small
 *    steps are noticed like one large one.
 */
#include "base/clock.h"
#include "internal.h"

#define NOTE_EVERY_US (60 * SECOND_US)

static uint64_t wall(const struct keeper *k)
{
    return k->settings.now_wall_us != NULL ? k->settings.now_wall_us() : clock_wall_us();
}

uint64_t keeper_monotonic(const struct keeper *k)
{
    return k->settings.now_monotonic_us != NULL ? k->settings.now_monotonic_us()
                                                : clock_monotonic_us();
}

static uint64_t since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

void keeper_time_start(struct keeper *k)
{
    struct keeper_clock *c = &k->clock;
    uint64_t recorded = k->journal != NULL ? journal_time(k->journal) : 0;
    uint64_t now = wall(k);

    *c = (struct keeper_clock){ .base_us = now > recorded ? now : recorded };
    c->base_mono_us = keeper_monotonic(k);
    c->last_us = c->base_us;
    c->last_mono_us = c->base_mono_us;
    c->noted_us = recorded;
    /* Restarting is no confirmation. */
    if (k->journal != NULL && journal_held(k->journal)) {
        c->held = true;
        c->last_us = recorded;
    }
}

/* How far the wall clock may be believed; what is beyond is a jump. */
static uint64_t horizon(const struct keeper_clock *c, uint64_t mono)
{
    return c->base_us + since(mono, c->base_mono_us) + CLOCK_JUMP_S * SECOND_US;
}

uint64_t keeper_now(struct keeper *k)
{
    struct keeper_clock *c = &k->clock;
    uint64_t mono = keeper_monotonic(k);
    uint64_t now = c->last_us + since(mono, c->last_mono_us);
    uint64_t shown = wall(k);

    if (!c->held && shown > horizon(c, mono)) {
        c->held = true;
        c->jump_s = (shown - horizon(c, mono)) / SECOND_US + CLOCK_JUMP_S;
    }
    if (!c->held && shown > now)
        now = shown;
    c->last_us = now;
    c->last_mono_us = mono;
    return now;
}

void keeper_time_raise(struct keeper *k, uint64_t recorded_us)
{
    keeper_now(k);
    if (recorded_us > k->clock.last_us)
        k->clock.last_us = recorded_us;
}

void keeper_time_confirm(struct keeper *k)
{
    struct keeper_clock *c = &k->clock;
    struct err e = { 0 };

    if (k->journal != NULL)
        keeper_insist(journal_hold(k->journal, false, &e), &e);
    c->held = false;
    c->jump_s = 0;
    c->base_us = wall(k);
    c->base_mono_us = keeper_monotonic(k);
    keeper_now(k);
}

void keeper_time_write(struct keeper *k)
{
    struct err e = { 0 };
    uint64_t now = keeper_now(k);

    if (k->journal == NULL || now <= journal_time(k->journal))
        return;
    keeper_insist(journal_note_time(k->journal, now, &e), &e);
    k->clock.noted_us = now;
}

void keeper_time_note(struct keeper *k)
{
    if (keeper_now(k) >= k->clock.noted_us + NOTE_EVERY_US)
        keeper_time_write(k);
}
