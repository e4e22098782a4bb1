/*
 * The keyring is the truth. After a crash it may be one batch ahead of the database: a data key
 * whose version was never stored is destroyed (nobody was told that it exists), a version whose
 * data key is gone is marked so, and an engagement that ended in the keyring ends in the database.
 */
#include "cells.h"
#include "rollback.h"

#include <stdlib.h>
#include <string.h>

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

/* Versions without a data key are marked destroyed; cells that have a version are ticked off. */
static status follow_versions(struct engine *en, struct cells *cells, struct err *e)
{
    struct store_version page[256];
    struct id after = { { 0 } };
    uint32_t after_version = 0;
    uint64_t now = engine_now_us(en);
    size_t count = 0;
    status st;

    do {
        st = store_versions_live(en->store, &after, after_version, page, 256, &count, e);
        for (size_t i = 0; st == OK && i < count; i++) {
            const struct store_version *v = &page[i];
            const struct wire_cell *cell =
                cells_find(cells, WIRE_CELL_DATA_KEY, &v->key, v->version);

            after = v->key;
            after_version = v->version;
            if (cell == NULL)
                st = follow_key(en, cells, v, now, e);
            else
                cells->stored[cell - cells->list] = true;
        }
    } while (st == OK && count == 256);
    return st;
}

/* An end, a hold, a lift or a hastened purge that was not stored. */
static status follow_due(struct engine *en, struct store_engagement *g, uint64_t due_us,
                         struct err *e)
{
    if (due_us == 0 || g->state == ENGAGEMENT_PURGED)
        return OK;
    if (due_us == DUE_HELD)
        return g->state == ENGAGEMENT_HELD
                   ? OK
                   : store_engagement_hold(en->store, &g->tenant, &g->id, engine_now_us(en), e);
    if (g->state == ENGAGEMENT_HELD)
        return store_engagement_lift(en->store, &g->tenant, &g->id, due_us, e);
    if (g->state == ENGAGEMENT_ENDED && g->due_us == due_us)
        return OK;
    if (g->state == ENGAGEMENT_ACTIVE)
        g->ended_us = due_us - PURGE_DELAY_S * (uint64_t)1000000;
    g->state = ENGAGEMENT_ENDED;
    g->due_us = due_us;
    return store_engagement_set(en->store, g, e);
}

static status follow_engagement(struct engine *en, struct cells *cells, size_t at, struct err *e)
{
    const struct wire_cell *cell = &cells->list[at];
    struct store_engagement g;
    struct err absent = { 0 };
    status st = store_engagement_by_id(en->store, &cell->parent, &cell->id, &g, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    cells->stored[at] = st == OK || cell->due_us != 0; /* one that ends is no orphan */
    return st == NOT_FOUND ? OK : follow_due(en, &g, cell->due_us, e);
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

static uint64_t newest_us(const struct cells *cells)
{
    uint64_t newest = 0;

    for (size_t i = 0; i < cells->count; i++) {
        if (cells->list[i].created_us > newest)
            newest = cells->list[i].created_us;
    }
    return newest;
}

/* Of a database that was put back, and accepted as it is: nobody can use them any more. */
static status end_all_orphans(struct engine *en, const struct cells *cells, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < cells->count; i++) {
        if (!cells->stored[i])
            st = cells->list[i].type == WIRE_CELL_DATA_KEY ? destroy_orphan(en, &cells->list[i], e)
                                                           : end_orphan(en, &cells->list[i], e);
    }
    return st;
}

/* What the keyring has and the database does not. Only the last batch can have left something
 * behind, and all that a batch makes has its one time, the newest there is: anything older means
 * that this is not the keyring's database, and then nothing may be destroyed. */
static status end_orphans(struct engine *en, const struct cells *cells, struct err *e)
{
    const struct wire_cell *orphans[LIMIT_BATCH_ENTRIES];
    uint64_t newest = newest_us(cells);
    size_t count = 0;
    bool accepted = false;
    status st = rollback_under_way(en, &accepted, e);

    if (st != OK || accepted)
        return st == OK ? end_all_orphans(en, cells, e) : st;
    for (size_t i = 0; i < cells->count; i++) {
        const struct wire_cell *cell = &cells->list[i];

        if (cells->stored[i])
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

status reconcile(struct engine *en, struct cells *cells, struct err *e)
{
    status st = store_begin(en->store, e);

    if (st == OK)
        st = follow_versions(en, cells, e);
    for (size_t i = 0; st == OK && i < cells->count; i++) {
        if (cells->list[i].type == WIRE_CELL_ENGAGEMENT)
            st = follow_engagement(en, cells, i, e);
    }
    if (st == OK)
        st = store_commit(en->store, e);
    return st == OK ? end_orphans(en, cells, e) : st;
}

status reconcile_purged(struct engine *en, struct err *e)
{
    struct store_engagement page[32];
    struct cells cells = { 0 };
    size_t offset = 0, count = 0;
    status st = store_engagements_ended(en->store, 0, page, 1, &count, e);

    if (st != OK || count == 0)
        return st;
    st = cells_list(en, &cells, e);
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
    cells_cleanup(&cells);
    return st;
}
