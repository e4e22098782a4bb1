/*
 * Rotations, in slices between messages, so that leases flow meanwhile.
 *
 * The root: a whole new keyring grows beside today's, every cell wrapped anew under keys of the
 * next epoch. What changes meanwhile is copied after. At the end the new root is dealt to the slots
 * of that moment, the two files are exchanged and the old one is wiped (keyring/successor.h). A
 * tenant: its new seed stands beside the old one until every data key has moved over.
 *
 * 1. Both are asked for by what is in the keyring: a cell, a slot without share, a second seed. So
 *    a rotation that was cut off is resumed after the next unlock, by nobody's doing.
 * 2. The new root exists in this process and in the sealed shares only.
 * 3. Nothing rotates before the server has loaded the heads: until then this may be an old copy of
 *    the keyring, that the database will refuse.
 * 4. A tombstone that is not yet explained waits for its record before the root may rotate: the new
 *    keyring does not take tombstones over.
 */
#include "keyring/successor.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

#define SLICE_US    500
#define SLICE_CELLS 64
#define RETRY_US    (60 * SECOND_US) /* what failed is not tried with every batch */

struct rekey {
    struct keyring *next;
    struct keys keys; /* of the next epoch; the system keys stay with today's until the end */
    struct secret *root;
    struct keyring_info info;
    uint64_t since; /* changes up to here are copied, or will be by the walk under way */
    size_t cursor;
    uint32_t done;
    uint32_t total;

    /* The tenant keys that were needed last. */
    struct id tenant;
    uint32_t tenant_epoch;
    struct secret *tenant_from;
    struct secret *tenant_to;
};

static void rekey_free(struct rekey *r)
{
    secret_free(r->tenant_from);
    secret_free(r->tenant_to);
    secret_free(r->root);
    keys_clear(&r->keys);
    free(r);
}

void rekey_abandon(struct keeper *k)
{
    if (k->rekey == NULL)
        return;
    if (k->rekey->next != NULL)
        keyring_abandon(k->ring, &k->rekey->next);
    rekey_free(k->rekey);
    k->rekey = NULL;
}

void rekey_progress(const struct keeper *k, uint32_t *ret_done, uint32_t *ret_total)
{
    *ret_done = k->rekey != NULL ? k->rekey->done : 0;
    *ret_total = k->rekey != NULL ? k->rekey->total : 0;
}

struct cell rekey_cell(const struct keeper *k, uint8_t quorum, uint64_t flags)
{
    const struct id zero = { { 0 } };
    struct cell cell;

    if (keyring_cell(k->ring, CELL_REKEY, &zero, 0, &cell, NULL) != OK)
        cell = (struct cell){ .type = CELL_REKEY, .epoch = keyring_info(k->ring)->k };
    if (quorum != 0)
        cell.epoch = quorum;
    cell.due_us |= flags;
    return cell;
}

/* --- the root: copying ----------------------------------------------------------------------- */

static status tenant_keys(const struct keeper *k, struct rekey *r, const struct cell *cell,
                          struct err *e)
{
    struct cell seed;

    if (r->tenant_from != NULL && id_same(&r->tenant, &cell->parent) &&
        r->tenant_epoch == cell->epoch)
        return OK;
    secret_cleanup(&r->tenant_from);
    secret_cleanup(&r->tenant_to);
    status st = seed_find(k, &cell->parent, cell->epoch, &seed, e);
    if (st == NOT_FOUND)
        return fail(e, CORRUPT, "a data key has no seed", 0);
    if (st == OK)
        st = keys_tenant(&k->keys, &seed, &r->tenant_from, e);
    if (st == OK)
        st = keys_rewrap_seed(&k->keys, &r->keys, &seed, e);
    if (st == OK)
        st = keys_tenant(&r->keys, &seed, &r->tenant_to, e);
    r->tenant = cell->parent;
    r->tenant_epoch = cell->epoch;
    return st;
}

static status move_data_key(const struct keys *from, const struct secret *tenant_from,
                            const struct keys *to, const struct secret *tenant_to,
                            uint32_t to_epoch, struct cell *cell, struct err *e)
{
    AUTO(secret) *data_key = NULL;
    struct key_name name = { .tenant = cell->parent, .key = cell->id, .version = cell->version };

    status st = keys_open_data_key(from, tenant_from, &name, cell, &data_key, e);
    cell->epoch = to_epoch;
    return st == OK ? keys_seal_data_key(to, tenant_to, &name, data_key, cell, e) : st;
}

static status seal_system(struct keeper *k, struct rekey *r, struct cell *cell, struct err *e)
{
    enum system_key purpose = (enum system_key)cell->id.b[sizeof(cell->id.b) - 1];

    r->keys.system[purpose] = k->keys.system[purpose]; /* borrowed */
    status st = keys_seal_system(&r->keys, purpose, cell, e);
    r->keys.system[purpose] = NULL;
    return st;
}

static status copy(struct keeper *k, struct rekey *r, struct cell *cell, struct err *e)
{
    status st = OK;

    switch (cell->type) {
    case CELL_SYSTEM: st = seal_system(k, r, cell, e); break;
    case CELL_TENANT_SEED: st = keys_rewrap_seed(&k->keys, &r->keys, cell, e); break;
    case CELL_DATA_KEY:
        st = tenant_keys(k, r, cell, e);
        if (st == OK)
            st = move_data_key(&k->keys, r->tenant_from, &r->keys, r->tenant_to, cell->epoch, cell,
                               e);
        break;
    case CELL_ENGAGEMENT: break;
    default: return OK; /* the wish itself is not copied: it is fulfilled */
    }
    return st == OK ? keyring_put(r->next, cell, e) : st;
}

/* A cell that died; unless one of its name lives on. */
static status follow_death(const struct keeper *k, struct rekey *r, const struct cell *cell,
                           struct err *e)
{
    struct cell found;
    status st = keyring_cell(k->ring, cell->was, &cell->id, cell->version, &found, NULL);

    if (st == OK || cell->was == CELL_REKEY)
        return OK;
    if (st != NOT_FOUND)
        return fail(e, st, "cannot read the keyring", 0);
    if (keyring_cell(r->next, cell->was, &cell->id, cell->version, &found, NULL) != OK)
        return OK;
    return keyring_destroy(r->next, cell->was, &cell->id, cell->version, DESTROY_REPLACED,
                           found.created_us, e);
}

/* What changed since the last walk. Few: they happened during one walk. */
static status catch_up(struct keeper *k, struct rekey *r, struct err *e)
{
    uint64_t until = keyring_seq(k->ring);
    struct cell cell;
    size_t cursor = 0;
    status st = OK;

    while (st == OK && keyring_next_since(k->ring, r->since, &cursor, &cell))
        st = cell.type == CELL_TOMBSTONE ? follow_death(k, r, &cell, e) : copy(k, r, &cell, e);
    if (st == OK)
        st = keyring_commit(r->next, e);
    r->since = until;
    return st;
}

/* --- the root: the end ----------------------------------------------------------------------- */

/* A new key for the database too, unless one is on its way. Nobody may hear of it before the
 * successor that holds it has succeeded. */
static status add_database_key(struct keeper *k, struct rekey *r, struct err *e)
{
    struct cell cell = { .created_us = keeper_now(k) };

    if (k->keys.system[SYSTEM_DATABASE_NEXT] != NULL)
        return OK;
    status st = secret_random(KEY_SIZE, &r->keys.system[SYSTEM_DATABASE_NEXT], e);
    if (st == OK)
        st = keys_seal_system(&r->keys, SYSTEM_DATABASE_NEXT, &cell, e);
    if (st == OK)
        st = keyring_put(r->next, &cell, e);
    return st == OK ? keyring_commit(r->next, e) : st;
}

static status check_counts(const struct keeper *k, const struct rekey *r, struct err *e)
{
    static const uint8_t types[] = { CELL_TENANT_SEED, CELL_DATA_KEY, CELL_ENGAGEMENT };

    for (size_t i = 0; i < sizeof(types); i++) {
        if (keyring_count(k->ring, types[i]) != keyring_count(r->next, types[i]))
            return fail(e, BUG, "the new keyring does not hold what the old one does", types[i]);
    }
    return OK;
}

/* From here on the root is the new one. */
static void take_over(struct keeper *k, struct rekey *r)
{
    struct journal_entry entry = { .type = RECORD_REKEY_DONE, .number = r->info.epoch };

    opened_forget(k);
    keys_take_system(&r->keys, &k->keys);
    keys_clear(&k->keys);
    k->keys = r->keys;
    r->keys = (struct keys){ 0 };
    k->scars_told = 0;
    rekey_free(r);
    k->rekey = NULL;
    keeper_journal(k, &entry, 1);
}

static status finish(struct keeper *k, struct rekey *r, struct err *e)
{
    struct slot slots[SLOTS_ROOM];
    size_t count = keeper_all_slots(k, slots);
    struct cell wish = rekey_cell(k, 0, 0);

    r->info.k = (uint8_t)wish.epoch;
    r->info.anchor_size = moment_anchor(k);
    status st = check_counts(k, r, e);
    if (st == OK && (wish.due_us & REKEY_DATABASE) != 0)
        st = add_database_key(k, r, e);
    if (st == OK)
        st = slots_deal(slots, count, r->root, r->info.k, r->info.epoch, &r->info.n, e);
    if (st == OK)
        st = keyring_succeed(&k->ring, &r->next, &r->info, slots, count, e);
    if (st == OK)
        take_over(k, r);
    return st;
}

/* --- the root: one slice --------------------------------------------------------------------- */

static bool wanted(const struct keeper *k)
{
    struct slot slot;
    size_t cursor = 0;

    if (keyring_count(k->ring, CELL_REKEY) > 0)
        return true;
    while (keyring_next_slot(k->ring, &cursor, &slot)) {
        if (slot.epoch != keyring_info(k->ring)->epoch)
            return true;
    }
    return false;
}

static bool blocked(const struct keeper *k)
{
    struct cell cell;
    size_t cursor = 0;

    return keyring_next_unproven(k->ring, &cursor, &cell);
}

static status begin(struct keeper *k, struct err *e)
{
    struct rekey *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory to rekey", 0);
    k->rekey = r;
    r->info = *keyring_info(k->ring);
    r->info.epoch++;
    r->since = keyring_seq(k->ring);
    for (uint8_t type = CELL_TENANT_SEED; type <= CELL_SYSTEM; type++)
        r->total += (uint32_t)keyring_count(k->ring, type);
    status st = secret_random(KEY_SIZE, &r->root, e);
    if (st == OK)
        st = keys_root_check(&r->info, r->root, r->info.root_check, e);
    if (st == OK)
        st = keys_derive(&r->info, r->root, &r->keys, e);
    return st == OK ? keyring_successor(k->ring, &r->info, r->keys.keyring_mac, &r->next, e) : st;
}

static status root_slice(struct keeper *k, struct rekey *r, struct err *e)
{
    uint64_t until_us = clock_monotonic_us() + SLICE_US;
    struct cell cell;
    status st = OK;
    bool more = true;

    for (size_t n = 0; st == OK && n < SLICE_CELLS && clock_monotonic_us() < until_us; n++) {
        more = keyring_next(k->ring, &r->cursor, &cell);
        if (!more)
            break;
        st = copy(k, r, &cell, e);
        if (r->done < r->total)
            r->done++;
    }
    if (st == OK)
        st = keyring_commit(r->next, e);
    if (st != OK || more)
        return st;
    while (st == OK && r->since != keyring_seq(k->ring))
        st = catch_up(k, r, e);
    return st == OK ? finish(k, r, e) : st;
}

/* The vault works as well under its old root: what failed is told, and tried again later. */
static void give_up(struct keeper *k, status st, const struct err *e)
{
    if (st == IO)
        keeper_fatal(e);
    log_err(LOG_ERROR_, "keeper.rekey-failed", e);
    rekey_abandon(k);
    k->rekey_not_before_us = keeper_monotonic(k) + RETRY_US;
}

static bool root_work(struct keeper *k)
{
    struct err e = { 0 };
    status st;

    if (k->rekey == NULL &&
        (keeper_monotonic(k) < k->rekey_not_before_us || !wanted(k) || blocked(k)))
        return false;
    st = k->rekey == NULL ? begin(k, &e) : root_slice(k, k->rekey, &e);
    if (st != OK)
        give_up(k, st, &e);
    return st == OK;
}

/* --- a tenant -------------------------------------------------------------------------------- */

/* The older of two seeds, if the cell is the newer. */
static bool older_seed(const struct keeper *k, const struct cell *newer, struct cell *ret_old)
{
    return newer->type == CELL_TENANT_SEED && newer->due_us > 1 &&
           seed_find(k, &newer->id, (uint32_t)newer->due_us - 1, ret_old, NULL) == OK;
}

static status end_tenant(struct keeper *k, const struct cell *old, const struct cell *newer,
                         struct err *e)
{
    struct journal_entry entry = { .type = RECORD_REKEY_DONE,
                                   .subject = old->id,
                                   .version = old->version,
                                   .tenant = newer->id,
                                   .number = newer->due_us };

    keeper_journal(k, &entry, 1);
    status st = keyring_destroy(k->ring, CELL_TENANT_SEED, &old->id, old->version, DESTROY_REPLACED,
                                keeper_now(k), e);
    if (st == OK)
        st = keyring_commit(k->ring, e);
    if (st == OK)
        keeper_anchor(k); /* or the old cells could be copied back */
    return st;
}

/* Up to a slice of the tenant's data keys from the old seed to the new. */
static status tenant_slice(struct keeper *k, const struct cell *old, const struct cell *newer,
                           bool *ret_more, struct err *e)
{
    AUTO(secret) *from = NULL;
    AUTO(secret) *to = NULL;
    struct cell cell;
    size_t moved = 0;
    size_t n = 0;

    status st = keys_tenant(&k->keys, old, &from, e);
    if (st == OK)
        st = keys_tenant(&k->keys, newer, &to, e);
    *ret_more = true;
    while (st == OK && moved < SLICE_CELLS && n++ < 16 * SLICE_CELLS && *ret_more) {
        *ret_more = keyring_next(k->ring, &k->tenant_work.cursor, &cell);
        if (!*ret_more || cell.type != CELL_DATA_KEY || !id_same(&cell.parent, &newer->id) ||
            cell.epoch != old->due_us)
            continue;
        st = move_data_key(&k->keys, from, &k->keys, to, (uint32_t)newer->due_us, &cell, e);
        if (st == OK)
            st = keyring_put(k->ring, &cell, e);
        moved++;
    }
    return st == OK ? keyring_commit(k->ring, e) : st;
}

/* Looks for a tenant with two seeds; a slice of the cells at a time. */
static bool tenant_search(struct keeper *k)
{
    struct tenant_work *w = &k->tenant_work;
    struct cell old;

    for (size_t n = 0; n < 16 * SLICE_CELLS; n++) {
        if (!keyring_next(k->ring, &w->cursor, &w->newer)) {
            w->search = false;
            return false;
        }
        if (older_seed(k, &w->newer, &old)) {
            w->moving = true;
            w->cursor = 0;
            return true;
        }
    }
    return true;
}

static bool tenant_work(struct keeper *k)
{
    struct tenant_work *w = &k->tenant_work;
    struct err e = { 0 };
    struct cell newer;
    struct cell old;
    bool more = false;

    if (!w->search)
        return false;
    if (!w->moving)
        return tenant_search(k);
    status st = OK;
    /* Both seeds anew: a purge may have ended them, and the tenant may have begun again. */
    if (seed_find(k, &w->newer.id, (uint32_t)w->newer.due_us, &newer, NULL) == OK &&
        older_seed(k, &newer, &old)) {
        st = tenant_slice(k, &old, &newer, &more, &e);
        if (st == OK && !more)
            st = end_tenant(k, &old, &newer, &e);
    }
    if (st == IO)
        keeper_fatal(&e);
    if (st != OK) {
        keyring_abort(k->ring);
        log_err(LOG_ERROR_, "keeper.rekey-failed", &e);
    }
    if (st != OK || !more)
        *w = (struct tenant_work){ .search = st == OK };
    return true;
}

uint8_t rekey_asked(const struct keeper *k)
{
    unsigned asked = 0;

    if (k->state != KEEPER_UNLOCKED)
        return 0;
    if (wanted(k))
        asked |= REKEY_OF_ROOT;
    if (k->tenant_work.search)
        asked |= REKEY_OF_TENANT;
    if (k->keys.system[SYSTEM_DATABASE_NEXT] != NULL)
        asked |= REKEY_OF_DATABASE;
    return (uint8_t)asked;
}

void rekey_look(struct keeper *k)
{
    k->rekey_ready = true;
}

void rekey_look_for_tenants(struct keeper *k)
{
    struct tenant_work *w = &k->tenant_work;

    if (!w->moving)
        *w = (struct tenant_work){ .search = true };
}

bool rekey_ready(const struct keeper *k)
{
    return k->state == KEEPER_UNLOCKED && k->heads_loaded && !k->rolled_back && k->rekey_ready;
}

bool keeper_work(struct keeper *k)
{
    if (!rekey_ready(k))
        return false;
    /* One at a time: a seed that moves would have to be followed. */
    k->rekey_ready = root_work(k) || tenant_work(k);
    return k->rekey_ready;
}
