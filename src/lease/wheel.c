/*
 * When leases are to be looked at: a timing wheel, with each lease in the slot of its time. A lease
 * is looked at when it has expired, to count it off, and once more when nobody asks for it any
 * more.
 */
#include "internal.h"

/* The first tick that is wholly after due_us, but none that was looked at. */
static uint32_t slot_of(const struct leases *l, uint64_t due_us)
{
    uint64_t tick = (due_us >> WHEEL_SHIFT) + 1;

    return (uint32_t)((tick > l->tick ? tick : l->tick) % WHEEL_SLOTS);
}

static void put_into(struct leases *l, uint32_t ref, uint32_t slot)
{
    struct row *row = row_at(l, ref);

    row->wheel_before = WHEEL_HEAD | slot;
    row->wheel_after = l->wheel[slot];
    if (row->wheel_after != 0)
        row_at(l, row->wheel_after)->wheel_before = ref;
    l->wheel[slot] = ref;
}

void wheel_put(struct leases *l, uint32_t ref, uint64_t due_us)
{
    put_into(l, ref, slot_of(l, due_us));
}

void wheel_take(struct leases *l, uint32_t ref)
{
    const struct row *row = row_at(l, ref);

    if ((row->wheel_before & WHEEL_HEAD) != 0)
        l->wheel[row->wheel_before & ~WHEEL_HEAD] = row->wheel_after;
    else
        row_at(l, row->wheel_before)->wheel_after = row->wheel_after;
    if (row->wheel_after != 0)
        row_at(l, row->wheel_after)->wheel_before = row->wheel_before;
}

/* The whole slot to where it is worked off; the head of it must know. */
static void open_slot(struct leases *l, uint64_t tick)
{
    uint32_t *from = &l->wheel[tick % WHEEL_SLOTS];
    uint32_t *to = &l->wheel[WHEEL_SLOTS];

    *to = *from;
    *from = 0;
    if (*to != 0)
        row_at(l, *to)->wheel_before = WHEEL_HEAD | WHEEL_SLOTS;
}

/* Over for long enough: gone. Else again when that will be so, or when it will expire. */
static void look_at(struct leases *l, uint32_t ref, uint64_t now_us)
{
    struct row *row = row_at(l, ref);
    uint64_t over_us, due_us;

    if (row_state(l, row, now_us, &over_us) == LEASE_LIVE) {
        due_us = row->expires_us;
    } else {
        row_count_off(l, row);
        due_us = over_us + LEASE_RECENT_US;
    }
    if (due_us <= now_us)
        row_drop(l, ref);
    else {
        wheel_take(l, ref);
        wheel_put(l, ref, due_us);
    }
}

bool leases_expire(struct leases *l, uint64_t now_us, size_t max)
{
    uint64_t now = now_us >> WHEEL_SHIFT;

    if (now >= WHEEL_SLOTS && l->tick < now - WHEEL_SLOTS) /* once round is everything */
        l->tick = now - WHEEL_SLOTS;
    for (;;) {
        while (l->wheel[WHEEL_SLOTS] != 0) {
            if (max-- == 0)
                return true;
            look_at(l, l->wheel[WHEEL_SLOTS], now_us);
        }
        if (l->tick > now)
            return false;
        open_slot(l, l->tick++);
    }
}
