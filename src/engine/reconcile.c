/*
 * The keyring is the truth. After a crash it may be one batch ahead of the database: a data key
 * whose version was never stored is destroyed (nobody was told that it exists), a version whose
 * data key is gone is marked so, and an engagement that ended in the keyring ends in the database.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "keyring_codes.h"

struct cells {
    struct wire_cell *list;
    size_t count;
    size_t capacity;
};

static status cells_add(struct cells *cells, const struct wire_cell *cell, struct err *e)
{
    if (cells->count == cells->capacity) {
        size_t capacity = cells->capacity == 0 ? 1024 : cells->capacity * 2;
        struct wire_cell *wider = reallocarray(cells->list, capacity, /* public */
                                               sizeof *wider);

        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for the keyring's cells", 0);
        cells->list = wider;
        cells->capacity = capacity;
    }
    cells->list[cells->count++] = *cell;
    return OK;
}

static int order(const void *a, const void *b)
{
    const struct wire_cell *x = a, *y = b;
    int by_id = memcmp(x->id.b, y->id.b, sizeof x->id.b);

    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    if (by_id != 0)
        return by_id;
    return x->version < y->version ? -1 : x->version > y->version;
}

/* Data-key and engagement cells, sorted. */
static status cells_list(struct engine *en, struct cells *cells, struct err *e)
{
    uint64_t cursor = 0;
    status st = OK;

    do {
        struct in body;
        uint16_t count;

        out_u64(wire_client_begin(en->client, WIRE_CELLS), cursor);
        st = engine_call(en, &body, e);
        if (st != OK)
            return st;
        cursor = in_u64(&body);
        count = in_u16(&body);
        for (uint16_t i = 0; st == OK && i < count && !body.bad; i++) {
            struct wire_cell cell;

            wire_get_cell(&body, &cell);
            if (cell.type == WIRE_CELL_DATA_KEY || cell.type == WIRE_CELL_ENGAGEMENT)
                st = cells_add(cells, &cell, e);
        }
        if (st == OK && !in_end(&body))
            st = fail(e, BUG, "the keeper's list of cells is malformed", 0);
    } while (st == OK && cursor != 0);
    if (st == OK && cells->count > 0)
        qsort(cells->list, cells->count, sizeof *cells->list, order);
    return st;
}

static const struct wire_cell *cells_find(const struct cells *cells, uint8_t type,
                                          const struct id *id, uint32_t version)
{
    struct wire_cell wanted = { .type = type, .id = *id, .version = version };

    return cells->count == 0 ? NULL
                             : bsearch(&wanted, cells->list, cells->count, sizeof wanted, order);
}

/* The database's half of a destruction that only the keyring has seen: a key whose current version
 * is gone was revoked, and keys of an engagement that is gone were purged. */
static status follow_key(struct engine *en, const struct cells *cells,
                         const struct store_version *v, uint64_t now, struct err *e)
{
    struct store_engagement g;
    struct store_key k;
    status st = store_version_destroyed(en->store, &v->tenant, &v->key, v->version, now, e);

    if (st == OK)
        st = store_key_by_id(en->store, &v->tenant, &v->key, &k, e);
    if (st == OK && v->state == VERSION_CURRENT && k.state == KEY_ACTIVE) {
        k.state = KEY_REVOKED;
        st = store_key_set(en->store, &k, e);
    }
    if (st != OK || cells_find(cells, WIRE_CELL_ENGAGEMENT, &k.engagement, 0) != NULL)
        return st;
    st = store_engagement_by_id(en->store, &v->tenant, &k.engagement, &g, e);
    if (st != OK || g.state != ENGAGEMENT_ACTIVE)
        return st;
    g.state = ENGAGEMENT_ENDED;
    g.ended_us = g.due_us = now;
    return store_engagement_set(en->store, &g, e);
}

/* Versions without a data key are marked destroyed. */
static status follow_versions(struct engine *en, const struct cells *cells, struct err *e)
{
    struct store_version page[64];
    struct id after = { { 0 } };
    uint32_t after_version = 0;
    uint64_t now = engine_now_us(en);
    size_t count = 0;
    status st;

    do {
        st = store_versions_live(en->store, &after, after_version, page, 64, &count, e);
        for (size_t i = 0; st == OK && i < count; i++) {
            const struct store_version *v = &page[i];

            after = v->key;
            after_version = v->version;
            if (cells_find(cells, WIRE_CELL_DATA_KEY, &v->key, v->version) == NULL)
                st = follow_key(en, cells, v, now, e);
        }
    } while (st == OK && count == 64);
    return st;
}

static status follow_engagement(struct engine *en, const struct wire_cell *cell, struct err *e)
{
    struct store_engagement g;
    struct err absent = { 0 };
    status st = store_engagement_by_id(en->store, &cell->parent, &cell->id, &g, &absent);

    if (st == NOT_FOUND || (st == OK && (g.state != ENGAGEMENT_ACTIVE || cell->due_us == 0)))
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    g.state = ENGAGEMENT_ENDED;
    g.due_us = cell->due_us;
    g.ended_us = cell->due_us - PURGE_DELAY_S * (uint64_t)1000000;
    return store_engagement_set(en->store, &g, e);
}

static bool stored(struct engine *en, const struct wire_cell *cell, status *ret_st, struct err *e)
{
    struct store_version v;
    struct err absent = { 0 };
    status st = store_version(en->store, &cell->parent, &cell->id, cell->version, &v, &absent);

    if (st != OK && st != NOT_FOUND)
        *ret_st = err_note(e, st, absent.where, absent.why, absent.detail);
    return st == OK && v.state != VERSION_DESTROYED;
}

/* A start that nobody was told of holds no keys, but as the tenant's last engagement it would keep
 * the tenant's seed alive for ever: it ends. */
static status end_orphan(struct engine *en, const struct wire_cell *cell, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_ENGAGEMENT_END,
                                .tenant = cell->parent,
                                .engagement = cell->id };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, &batch_tolerant, e);
}

static status destroy_orphan(struct engine *en, const struct wire_cell *cell, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_KEY_DESTROY,
                                .log = cell->parent,
                                .tenant = cell->parent,
                                .engagement = cell->engagement,
                                .key = cell->id,
                                .version = cell->version,
                                .reason = WIRE_DESTROY_UNANSWERED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, &batch_tolerant, e);
}

static bool orphan(struct engine *en, const struct wire_cell *cell, status *ret_st, struct err *e)
{
    struct store_engagement g;
    struct err absent = { 0 };
    status st;

    if (cell->type == WIRE_CELL_DATA_KEY)
        return !stored(en, cell, ret_st, e);
    st = store_engagement_by_id(en->store, &cell->parent, &cell->id, &g, &absent);
    if (st != OK && st != NOT_FOUND)
        *ret_st = err_note(e, st, absent.where, absent.why, absent.detail);
    return st == NOT_FOUND && cell->due_us == 0;
}

static uint64_t newest_us(const struct cells *cells)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < cells->count; i++) {
        if (cells->list[i].created_us > newest)
            newest = cells->list[i].created_us;
    }
    return newest;
}

/* What the keyring has and the database does not. Only the last batch can have left something
 * behind, and all that a batch makes has its one time, the newest there is: anything older means
 * that this is not the keyring's database, and then nothing may be destroyed. */
static status end_orphans(struct engine *en, const struct cells *cells, struct err *e)
{
    const struct wire_cell *orphans[LIMIT_BATCH_ENTRIES];
    uint64_t newest = newest_us(cells);
    size_t count = 0;
    status st = OK;

    for (size_t i = 0; st == OK && i < cells->count; i++) {
        const struct wire_cell *cell = &cells->list[i];

        if (!orphan(en, cell, &st, e) || st != OK)
            continue;
        if (count == LIMIT_BATCH_ENTRIES || cell->created_us != newest)
            return fail(e, CORRUPT, "the database is older than the keyring", 0);
        orphans[count++] = cell;
    }
    for (size_t i = 0; st == OK && i < count; i++)
        st = orphans[i]->type == WIRE_CELL_DATA_KEY ? destroy_orphan(en, orphans[i], e)
                                                    : end_orphan(en, orphans[i], e);
    return st;
}

status reconcile(struct engine *en, struct err *e)
{
    struct cells cells = { 0 };
    status st = cells_list(en, &cells, e);

    if (st == OK)
        st = store_begin(en->store, e);
    if (st == OK)
        st = follow_versions(en, &cells, e);
    for (size_t i = 0; st == OK && i < cells.count; i++) {
        if (cells.list[i].type == WIRE_CELL_ENGAGEMENT)
            st = follow_engagement(en, &cells.list[i], e);
    }
    if (st == OK)
        st = store_commit(en->store, e);
    if (st == OK)
        st = end_orphans(en, &cells, e);
    free(cells.list);
    return st;
}

status reconcile_purged(struct engine *en, struct err *e)
{
    struct store_engagement page[32];
    struct cells cells = { 0 };
    size_t offset = 0, count = 0;
    status st = cells_list(en, &cells, e);

    do {
        if (st == OK)
            st = store_engagements_ended(en->store, offset, page, 32, &count, e);
        for (size_t i = 0; st == OK && i < count; i++) {
            if (cells_find(&cells, WIRE_CELL_ENGAGEMENT, &page[i].id, 0) == NULL)
                st = engagement_purge(en, &page[i], e);
            else
                offset++; /* stays in the list of ended ones */
        }
    } while (st == OK && count == 32);
    free(cells.list);
    return st;
}
