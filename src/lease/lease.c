/* The table: leases by id and by idempotency key, and what becomes of them. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SECOND ((uint64_t)1000000)

static uint64_t hash_id(const struct id *id, uint64_t seed)
{
    uint64_t word;

    memcpy(&word, id->b, sizeof word); /* the keeper's ids are random */
    return index_mix(word ^ seed);
}

static uint64_t row_hash(const void *row, uint64_t seed)
{
    return hash_id(&((const struct row *)row)->id, seed);
}

static uint64_t hash_key(const uint8_t key[static 16], uint64_t seed)
{
    uint64_t a, b;

    memcpy(&a, key, sizeof a);
    memcpy(&b, key + 8, sizeof b);
    return index_mix(index_mix(a ^ seed) ^ b);
}

static uint64_t repeat_hash(const void *repeat, uint64_t seed)
{
    return hash_key(((const struct repeat *)repeat)->key, seed);
}

/* --- the table ------------------------------------------------------------------------------- */

status leases_new(struct leases **ret_leases, struct err *e)
{
    struct leases *l = calloc(1, sizeof *l);
    uint64_t seed;
    status st;

    if (l == NULL)
        return fail(e, NO_MEMORY, "no memory for leases", 0);
    /* Who chooses idempotency keys must not know which of them share a bucket. */
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        free(l);
        return fail(e, IO, "no random bytes", 0);
    }
    slab_init(&l->rows, sizeof(struct row));
    slab_init(&l->groups, sizeof(struct group));
    slab_init(&l->tallies, sizeof(struct tally));
    slab_init(&l->repeats, sizeof(struct repeat));
    st = index_init(&l->by_id, &l->rows, row_hash, seed, e);
    if (st == OK)
        st = index_init(&l->by_likeness, &l->groups, group_hash, seed, e);
    if (st == OK)
        st = index_init(&l->by_tally, &l->tallies, tally_hash, seed, e);
    if (st == OK)
        st = index_init(&l->by_repeat, &l->repeats, repeat_hash, seed, e);
    if (st != OK)
        leases_free(l);
    else
        *ret_leases = l;
    return st;
}

void leases_free(struct leases *l)
{
    if (l == NULL)
        return;
    index_clear(&l->by_id);
    index_clear(&l->by_likeness);
    index_clear(&l->by_tally);
    index_clear(&l->by_repeat);
    slab_clear(&l->rows);
    slab_clear(&l->groups);
    slab_clear(&l->tallies);
    slab_clear(&l->repeats);
    free(l);
}

size_t leases_count(const struct leases *l)
{
    return l->live;
}

/* --- one lease ------------------------------------------------------------------------------- */

static uint32_t find_row(const struct leases *l, const struct id *id)
{
    uint32_t ref = index_first(&l->by_id, hash_id(id, l->by_id.seed));

    while (ref != 0 && !id_same(&row_at(l, ref)->id, id))
        ref = index_next(&l->by_id, ref);
    return ref;
}

enum lease_state row_state(const struct leases *l, const struct row *row, uint64_t now_us,
                           uint64_t *ret_over_us)
{
    uint64_t ended_us = group_at(l, row->group)->ended_us;

    *ret_over_us = row->expires_us;
    if ((row->flags & ROW_RELEASED) != 0)
        return LEASE_RELEASED;
    if ((row->flags & ROW_REVOKED) != 0)
        return LEASE_REVOKED;
    if (ended_us != 0 && ended_us < row->expires_us) {
        *ret_over_us = ended_us;
        return LEASE_REVOKED;
    }
    return row->expires_us <= now_us ? LEASE_EXPIRED : LEASE_LIVE;
}

void row_count_off(struct leases *l, struct row *row)
{
    struct group *g = group_at(l, row->group);

    if ((row->flags & ROW_COUNTED_OFF) != 0)
        return;
    row->flags |= ROW_COUNTED_OFF;
    if (g->ended_us == 0)
        group_count(l, g, -1);
}

static void copy_row(const struct leases *l, const struct row *row, struct lease *ret)
{
    const struct group *g = group_at(l, row->group);

    *ret = (struct lease){ .id = row->id,
                           .tenant = g->tenant,
                           .engagement = g->engagement,
                           .key = g->key,
                           .gateway = g->gateway,
                           .version = g->version,
                           .issued_us = row->issued_us,
                           .expires_us = row->expires_us,
                           .max_expires_us = row->issued_us + row->lifetime_s * SECOND };
    memcpy(ret->certificate, g->certificate, sizeof ret->certificate);
    if (row->repeat != 0) {
        memcpy(ret->idempotency, repeat_at(l, row->repeat)->key, sizeof ret->idempotency);
        memcpy(ret->asked, repeat_at(l, row->repeat)->asked, sizeof ret->asked);
    }
}

/* false: over for too long. */
static bool copy_recent(const struct leases *l, uint32_t ref, uint64_t now_us, struct lease *ret,
                        enum lease_state *ret_state)
{
    uint64_t over_us;

    *ret_state = row_state(l, row_at(l, ref), now_us, &over_us);
    if (*ret_state != LEASE_LIVE && over_us + LEASE_RECENT_US <= now_us)
        return false;
    copy_row(l, row_at(l, ref), ret);
    if (*ret_state != LEASE_LIVE)
        ret->expires_us = over_us;
    return true;
}

bool leases_recent(const struct leases *l, const struct id *id, uint64_t now_us, struct lease *ret,
                   enum lease_state *ret_state)
{
    uint32_t ref = find_row(l, id);

    return ref != 0 && copy_recent(l, ref, now_us, ret, ret_state);
}

bool leases_find(const struct leases *l, const struct id *id, uint64_t now_us, struct lease *ret)
{
    enum lease_state state;

    return leases_recent(l, id, now_us, ret, &state) && state == LEASE_LIVE;
}

bool leases_next(const struct leases *l, const struct id *tenant, uint64_t now_us,
                 struct lease_cursor *cursor, struct lease *ret)
{
    struct lease_cursor groups = { .group = cursor->group };
    struct lease like;
    uint64_t over_us;
    size_t live;

    for (;;) {
        if (cursor->row != 0)
            cursor->row = row_at(l, cursor->row)->group_after;
        while (cursor->row == 0) {
            if (!leases_next_group(l, tenant, &groups, &like, &live))
                return false;
            cursor->group = groups.group;
            cursor->row = group_at(l, groups.group)->first;
        }
        if (row_state(l, row_at(l, cursor->row), now_us, &over_us) == LEASE_LIVE) {
            copy_row(l, row_at(l, cursor->row), ret);
            return true;
        }
    }
}

/* --- idempotency keys ------------------------------------------------------------------------ */

static uint32_t find_repeat(const struct leases *l, const uint8_t certificate[static 32],
                            const uint8_t key[static 16])
{
    uint32_t ref = index_first(&l->by_repeat, hash_key(key, l->by_repeat.seed));

    while (ref != 0) {
        const struct repeat *r = repeat_at(l, ref);
        const struct group *g = group_at(l, row_at(l, r->row)->group);

        if (span_same(SPAN(r->key), span_of(key, sizeof r->key)) &&
            span_same(SPAN(g->certificate), span_of(certificate, sizeof g->certificate)))
            break;
        ref = index_next(&l->by_repeat, ref);
    }
    return ref;
}

static void drop_repeat(struct leases *l, uint32_t ref)
{
    index_remove(&l->by_repeat, ref);
    row_at(l, repeat_at(l, ref)->row)->repeat = 0;
    slab_give(&l->repeats, ref);
}

bool leases_repeated(const struct leases *l, const uint8_t certificate[static 32],
                     const uint8_t idempotency[static 16], uint64_t now_us, struct lease *ret,
                     enum lease_state *ret_state)
{
    uint32_t ref = find_repeat(l, certificate, idempotency);

    return ref != 0 && copy_recent(l, repeat_at(l, ref)->row, now_us, ret, ret_state);
}

/* The key is the newest lease's from now on. */
static void put_repeat(struct leases *l, uint32_t ref, uint32_t row, const struct lease *lease)
{
    uint32_t older = find_repeat(l, lease->certificate, lease->idempotency);
    struct repeat *r = repeat_at(l, ref);

    if (older != 0)
        drop_repeat(l, older);
    r->row = row;
    memcpy(r->key, lease->idempotency, sizeof r->key);
    memcpy(r->asked, lease->asked, sizeof r->asked);
    row_at(l, row)->repeat = ref;
    index_add(&l->by_repeat, ref);
}

/* --- coming and going ------------------------------------------------------------------------ */

static uint32_t lifetime_of(const struct lease *lease)
{
    const uint64_t most = (UINT32_C(1) << (32 - ROW_FLAGS)) - 1;
    uint64_t s = lease->max_expires_us > lease->issued_us
                     ? (lease->max_expires_us - lease->issued_us) / SECOND
                     : 0;

    return (uint32_t)(s < most ? s : most);
}

static void put_times(struct row *row, const struct lease *lease)
{
    row->issued_us = lease->issued_us;
    row->expires_us = lease->expires_us;
    row->lifetime_s = lifetime_of(lease) & ((UINT32_C(1) << (32 - ROW_FLAGS)) - 1);
}

/* A renewal. One that was counted off meanwhile counts again. */
static void renew(struct leases *l, uint32_t ref, const struct lease *lease)
{
    struct row *row = row_at(l, ref);
    struct group *g = group_at(l, row->group);

    if ((row->flags & (ROW_RELEASED | ROW_REVOKED)) != 0 || g->ended_us != 0)
        return;
    put_times(row, lease);
    if ((row->flags & ROW_COUNTED_OFF) != 0) {
        row->flags &= ROW_RELEASED | ROW_REVOKED;
        group_count(l, g, 1);
    }
    wheel_take(l, ref);
    wheel_put(l, ref, row->expires_us);
}

static status take_rows(struct leases *l, const struct lease *lease, uint32_t *ret_row,
                        uint32_t *ret_repeat, struct err *e)
{
    static const uint8_t none[sizeof lease->idempotency];
    status st = slab_take(&l->rows, ret_row, e);

    *ret_repeat = 0;
    if (st != OK || span_same(SPAN(lease->idempotency), SPAN(none)))
        return st;
    st = slab_take(&l->repeats, ret_repeat, e);
    if (st != OK)
        slab_give(&l->rows, *ret_row);
    return st;
}

status leases_set(struct leases *l, const struct lease *lease, struct err *e)
{
    uint32_t ref = find_row(l, &lease->id), repeat, group;
    struct row *row;
    status st;

    if (ref != 0) {
        renew(l, ref, lease);
        return OK;
    }
    st = take_rows(l, lease, &ref, &repeat, e);
    if (st != OK)
        return st;
    st = group_of(l, lease, &group, e);
    if (st != OK) {
        slab_give(&l->rows, ref);
        if (repeat != 0)
            slab_give(&l->repeats, repeat);
        return st;
    }
    row = row_at(l, ref);
    row->id = lease->id;
    row->group = group;
    put_times(row, lease);
    group_enter(l, ref);
    group_count(l, group_at(l, group), 1);
    index_add(&l->by_id, ref);
    wheel_put(l, ref, row->expires_us);
    if (repeat != 0)
        put_repeat(l, repeat, ref, lease);
    return OK;
}

void row_drop(struct leases *l, uint32_t ref)
{
    struct row *row = row_at(l, ref);

    row_count_off(l, row);
    if (row->repeat != 0)
        drop_repeat(l, row->repeat);
    wheel_take(l, ref);
    index_remove(&l->by_id, ref);
    group_leave(l, ref);
    slab_give(&l->rows, ref);
}

/* Over before its time: it is to be forgotten earlier too. */
static bool end_row(struct leases *l, const struct id *id, uint64_t now_us, unsigned how)
{
    uint32_t ref = find_row(l, id);
    struct row *row;
    uint64_t over_us;

    if (ref == 0)
        return false;
    row = row_at(l, ref);
    if (row_state(l, row, now_us, &over_us) != LEASE_LIVE)
        return false;
    row->flags = (row->flags | how) & ((1u << ROW_FLAGS) - 1);
    row->expires_us = now_us;
    row_count_off(l, row);
    wheel_take(l, ref);
    wheel_put(l, ref, now_us + LEASE_RECENT_US);
    return true;
}

void leases_release(struct leases *l, const struct id *id, uint64_t now_us)
{
    end_row(l, id, now_us, ROW_RELEASED);
}

bool row_revoke(struct leases *l, const struct id *id, uint64_t now_us)
{
    return end_row(l, id, now_us, ROW_REVOKED);
}
