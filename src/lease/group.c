/*
 * What leases have in common. A gateway's leases of one version of a key are a group, so ending
 * leases takes as long as there are groups, however many leases are in them: a group that was ended
 * is left to those of its rows that are still to be forgotten, and the next lease makes a new one.
 */
#include "internal.h"

#include <string.h>

static uint64_t mix_bytes(uint64_t hash, const void *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof word);
    return index_mix(hash ^ word);
}

static uint64_t hash_like(const struct id *key, const struct id *gateway, uint32_t version,
                          const uint8_t certificate[static 32], uint64_t seed)
{
    return mix_bytes(mix_bytes(mix_bytes(seed ^ version, key), gateway), certificate);
}

uint64_t group_hash(const void *group, uint64_t seed)
{
    const struct group *g = group;

    return hash_like(&g->key, &g->gateway, g->version, g->certificate, seed);
}

static uint64_t hash_tally(const struct id *tenant, const struct id *gateway, uint64_t seed)
{
    return mix_bytes(mix_bytes(seed, tenant), gateway);
}

uint64_t tally_hash(const void *tally, uint64_t seed)
{
    const struct tally *t = tally;

    return hash_tally(&t->tenant, &t->gateway, seed);
}

/* --- tallies --------------------------------------------------------------------------------- */

static uint32_t tally_find(const struct leases *l, const struct id *tenant,
                           const struct id *gateway)
{
    uint32_t ref = index_first(&l->by_tally, hash_tally(tenant, gateway, l->by_tally.seed));

    while (ref != 0 && !(id_same(&tally_at(l, ref)->tenant, tenant) &&
                         id_same(&tally_at(l, ref)->gateway, gateway)))
        ref = index_next(&l->by_tally, ref);
    return ref;
}

static status tally_of(struct leases *l, const struct id *tenant, const struct id *gateway,
                       uint32_t *ret_ref, struct err *e)
{
    struct tally *t;
    status st;

    *ret_ref = tally_find(l, tenant, gateway);
    if (*ret_ref != 0)
        return OK;
    st = slab_take(&l->tallies, ret_ref, e);
    if (st != OK)
        return st;
    t = tally_at(l, *ret_ref);
    t->tenant = *tenant;
    t->gateway = *gateway;
    index_add(&l->by_tally, *ret_ref);
    return OK;
}

static void tally_drop_unused(struct leases *l, uint32_t ref)
{
    if (tally_at(l, ref)->groups > 0)
        return;
    index_remove(&l->by_tally, ref);
    slab_give(&l->tallies, ref);
}

static const struct id no_gateway;

size_t leases_live(struct leases *l, const struct id *tenant, const struct id *gateway,
                   uint64_t now_us)
{
    uint32_t ref;

    leases_expire(l, now_us, 256);
    ref = tally_find(l, tenant, gateway == NULL ? &no_gateway : gateway);
    return ref == 0 ? 0 : tally_at(l, ref)->live;
}

/* --- groups ---------------------------------------------------------------------------------- */

static bool is_like(const struct group *g, const struct lease *lease)
{
    return g->version == lease->version && id_same(&g->key, &lease->key) &&
           id_same(&g->gateway, &lease->gateway) && id_same(&g->tenant, &lease->tenant) &&
           id_same(&g->engagement, &lease->engagement) &&
           span_same(SPAN(g->certificate), SPAN(lease->certificate));
}

static void join_tallies(struct leases *l, uint32_t ref)
{
    struct group *g = group_at(l, ref);
    struct tally *t = tally_at(l, g->of_tenant);

    t->groups++;
    tally_at(l, g->of_gateway)->groups++;
    g->tenant_after = t->first;
    if (t->first != 0)
        group_at(l, t->first)->tenant_before = ref;
    t->first = ref;
}

static void leave_tallies(struct leases *l, struct group *g)
{
    struct tally *t = tally_at(l, g->of_tenant);

    if (g->tenant_before != 0)
        group_at(l, g->tenant_before)->tenant_after = g->tenant_after;
    else
        t->first = g->tenant_after;
    if (g->tenant_after != 0)
        group_at(l, g->tenant_after)->tenant_before = g->tenant_before;
    t->groups--;
    tally_at(l, g->of_gateway)->groups--;
    tally_drop_unused(l, g->of_tenant);
    tally_drop_unused(l, g->of_gateway);
}

static status group_new(struct leases *l, const struct lease *like, uint32_t *ret_ref,
                        struct err *e)
{
    uint32_t of_tenant, of_gateway;
    struct group *g;
    status st = tally_of(l, &like->tenant, &no_gateway, &of_tenant, e);

    if (st != OK)
        return st;
    st = tally_of(l, &like->tenant, &like->gateway, &of_gateway, e);
    if (st == OK) {
        st = slab_take(&l->groups, ret_ref, e);
        if (st != OK)
            tally_drop_unused(l, of_gateway);
    }
    if (st != OK) {
        tally_drop_unused(l, of_tenant);
        return st;
    }
    g = group_at(l, *ret_ref);
    g->tenant = like->tenant;
    g->engagement = like->engagement;
    g->key = like->key;
    g->gateway = like->gateway;
    g->version = like->version;
    memcpy(g->certificate, like->certificate, sizeof g->certificate);
    g->of_tenant = of_tenant;
    g->of_gateway = of_gateway;
    join_tallies(l, *ret_ref);
    index_add(&l->by_likeness, *ret_ref);
    return OK;
}

status group_of(struct leases *l, const struct lease *like, uint32_t *ret_ref, struct err *e)
{
    uint64_t hash = hash_like(&like->key, &like->gateway, like->version, like->certificate,
                              l->by_likeness.seed);
    uint32_t ref = index_first(&l->by_likeness, hash);

    while (ref != 0 && !is_like(group_at(l, ref), like))
        ref = index_next(&l->by_likeness, ref);
    *ret_ref = ref;
    return ref != 0 ? OK : group_new(l, like, ret_ref, e);
}

/* One that was ended is in no index and in no tally any more. */
void group_drop_unused(struct leases *l, uint32_t ref)
{
    struct group *g = group_at(l, ref);

    if (g->rows > 0)
        return;
    if (g->ended_us == 0) {
        index_remove(&l->by_likeness, ref);
        leave_tallies(l, g);
    }
    slab_give(&l->groups, ref);
}

void group_enter(struct leases *l, uint32_t ref)
{
    struct row *row = row_at(l, ref);
    struct group *g = group_at(l, row->group);

    row->group_before = 0;
    row->group_after = g->first;
    if (g->first != 0)
        row_at(l, g->first)->group_before = ref;
    g->first = ref;
    g->rows++;
}

void group_leave(struct leases *l, uint32_t ref)
{
    const struct row *row = row_at(l, ref);
    struct group *g = group_at(l, row->group);

    if (row->group_before != 0)
        row_at(l, row->group_before)->group_after = row->group_after;
    else
        g->first = row->group_after;
    if (row->group_after != 0)
        row_at(l, row->group_after)->group_before = row->group_before;
    g->rows--;
    group_drop_unused(l, row->group);
}

void group_count(struct leases *l, struct group *g, int change)
{
    uint32_t by = (uint32_t)change; /* modulo 2^32 it is the same */

    g->live += by;
    l->live += by;
    tally_at(l, g->of_tenant)->live += by;
    tally_at(l, g->of_gateway)->live += by;
}

/* --- walks ----------------------------------------------------------------------------------- */

/* The next group that may have live leases, after *ref or at the beginning. */
static bool next_group(const struct leases *l, const struct id *tenant, uint32_t *ref)
{
    if (tenant == NULL) {
        while (*ref < l->groups.used) {
            if (group_at(l, ++*ref)->live > 0)
                return true;
        }
        return false;
    }
    do {
        if (*ref == 0) {
            uint32_t tally = tally_find(l, tenant, &no_gateway);

            *ref = tally == 0 ? 0 : tally_at(l, tally)->first;
        } else {
            *ref = group_at(l, *ref)->tenant_after;
        }
    } while (*ref != 0 && group_at(l, *ref)->live == 0);
    return *ref != 0;
}

static void copy_group(const struct group *g, struct lease *ret)
{
    *ret = (struct lease){ .tenant = g->tenant,
                           .engagement = g->engagement,
                           .key = g->key,
                           .gateway = g->gateway,
                           .version = g->version };
    memcpy(ret->certificate, g->certificate, sizeof ret->certificate);
}

bool leases_next_group(const struct leases *l, const struct id *tenant, struct lease_cursor *cursor,
                       struct lease *ret, size_t *ret_live)
{
    if (cursor->row != 0 || !next_group(l, tenant, &cursor->group)) {
        cursor->row = 1; /* the list of a tenant would begin again */
        return false;
    }
    copy_group(group_at(l, cursor->group), ret);
    *ret_live = group_at(l, cursor->group)->live;
    return true;
}

bool leases_next_tenant(const struct leases *l, struct lease_cursor *cursor, struct id *ret_tenant)
{
    while (cursor->row < l->tallies.used) {
        const struct tally *t = tally_at(l, ++cursor->row);

        if (t->live > 0 && id_is_zero(&t->gateway)) {
            *ret_tenant = t->tenant;
            return true;
        }
    }
    return false;
}

/* --- ending ---------------------------------------------------------------------------------- */

static bool wanted(const struct id *pattern, const struct id *value)
{
    return id_is_zero(pattern) || id_same(pattern, value);
}

static bool matches(const struct lease *pattern, const struct lease *like)
{
    static const uint8_t any[32];
    struct span certificate = SPAN(pattern->certificate);

    return wanted(&pattern->engagement, &like->engagement) && wanted(&pattern->key, &like->key) &&
           wanted(&pattern->gateway, &like->gateway) &&
           (pattern->version == 0 || pattern->version == like->version) &&
           (span_same(certificate, SPAN(any)) || span_same(certificate, SPAN(like->certificate)));
}

static void end_group(struct leases *l, uint32_t ref, uint64_t now_us)
{
    struct group *g = group_at(l, ref);

    group_count(l, g, -(int)g->live);
    g->ended_us = now_us;
    index_remove(&l->by_likeness, ref);
    leave_tallies(l, g);
}

static const struct id *tenant_of(const struct lease *pattern)
{
    return id_is_zero(&pattern->tenant) ? NULL : &pattern->tenant;
}

size_t leases_matching(const struct leases *l, const struct lease *pattern)
{
    struct lease_cursor cursor = { 0 };
    struct lease like;
    size_t live, count = 0;

    while (leases_next_group(l, tenant_of(pattern), &cursor, &like, &live))
        count += matches(pattern, &like) ? live : 0;
    return count;
}

size_t leases_end(struct leases *l, const struct lease *pattern, uint64_t now_us)
{
    const struct id *tenant = tenant_of(pattern);
    uint32_t ref = 0, next;
    size_t count = 0;
    bool more;

    if (!id_is_zero(&pattern->id))
        return row_revoke(l, &pattern->id, now_us) ? 1 : 0;
    for (more = next_group(l, tenant, &ref); more; ref = next) {
        struct lease like;

        next = ref; /* what is ended leaves the list */
        more = next_group(l, tenant, &next);
        copy_group(group_at(l, ref), &like);
        if (!matches(pattern, &like))
            continue;
        count += group_at(l, ref)->live;
        end_group(l, ref, now_us);
    }
    return count;
}
