/*
 * Purge on time. It needs no key, so it works while the vault is locked.
 *
 * All engagements that are due are purged together, in three walks: which are due; then the journal
 * is told which data keys will die, and they die, some hundred at a time; then the journal is told
 * of the engagements and of the seeds of tenants that have no other, and those die too. The
 * engagement's own cell dies last: as long as it lives a restarted keeper finds it due and goes on.
 * What the journal has been told already is not told again, so a crash in between leaves one entry
 * for each tombstone.
 */
#include <stdlib.h>

#include "base/table.h"
#include "internal.h"

#define DESTROY_AT_ONCE 256
#define END_AT_ONCE     64

/* One engagement that is due. */
struct due {
    struct cell cell;
    uint64_t keys; /* data keys whose death the journal tells of */
};

/* A tenant with an engagement that goes on, and so with a seed that stays. */
struct keeps {
    struct id tenant;
};

struct purge {
    uint64_t now_us;
    struct told *told;
    struct due *due;
    size_t due_count;
    struct keeps *keeps;
    size_t keeps_count;
    struct table due_by_id;
    struct table keeps_by_tenant;
};

void keeper_due_refresh(struct keeper *k)
{
    struct cell cell;
    size_t cursor = 0;

    k->next_due_us = 0;
    if (k->ring == NULL)
        return;
    while (keyring_next(k->ring, &cursor, &cell)) {
        if (cell.type == CELL_ENGAGEMENT && cell.due_us != 0 && cell.due_us != DUE_HELD &&
            (k->next_due_us == 0 || cell.due_us < k->next_due_us))
            k->next_due_us = cell.due_us;
    }
}

static void destroy(struct keeper *k, const struct cell *cell, const struct purge *p)
{
    struct err e = { 0 };

    keeper_insist(keyring_destroy(k->ring, cell->type, &cell->id, cell->version, DESTROY_PURGED,
                                  p->now_us, &e),
                  &e);
}

static void commit(struct keeper *k)
{
    struct err e = { 0 };

    keeper_insist(keyring_commit(k->ring, &e), &e);
}

static void remember(struct table *t, const uint8_t *key, void *value)
{
    struct err e = { 0 };

    if (table_find(t, key) == NULL)
        keeper_insist(table_add(t, key, value, &e), &e);
}

/* Which engagements are due, and which tenants have others. false when none is. */
static bool find_due(struct keeper *k, struct purge *p)
{
    size_t cap = keyring_count(k->ring, CELL_ENGAGEMENT);
    struct err e = { 0 };
    struct cell cell;
    size_t cursor = 0;

    p->due = calloc(cap + 1, sizeof(*p->due));
    p->keeps = calloc(cap + 1, sizeof(*p->keeps));
    if (p->due == NULL || p->keeps == NULL)
        keeper_insist(fail(&e, NO_MEMORY, "no memory to purge", 0), &e);
    table_init(&p->due_by_id, sizeof(struct id));
    table_init(&p->keeps_by_tenant, sizeof(struct id));
    while (p->due_count + p->keeps_count < cap && keyring_next(k->ring, &cursor, &cell)) {
        if (cell.type != CELL_ENGAGEMENT)
            continue;
        if (cell.due_us != 0 && cell.due_us <= p->now_us) {
            struct due *d = &p->due[p->due_count++];
            d->cell = cell;
            remember(&p->due_by_id, d->cell.id.b, d);
        } else {
            struct keeps *t = &p->keeps[p->keeps_count++];
            t->tenant = cell.parent;
            remember(&p->keeps_by_tenant, t->tenant.b, t);
        }
    }
    return p->due_count > 0;
}

/* Up to DESTROY_AT_ONCE data keys of due engagements. false when there were none. */
static bool purge_some(struct keeper *k, const struct purge *p, size_t *cursor)
{
    struct journal_entry entries[DESTROY_AT_ONCE];
    struct cell doomed[DESTROY_AT_ONCE];
    size_t entry_count = 0;
    size_t count = 0;

    while (count < DESTROY_AT_ONCE && keyring_next(k->ring, cursor, &doomed[count])) {
        const struct cell *cell = &doomed[count];
        if (cell->type != CELL_DATA_KEY || table_find(&p->due_by_id, cell->engagement.b) == NULL)
            continue;
        count++;
        if (keeper_told(p->told, CELL_DATA_KEY, &cell->id, cell->version))
            continue;
        entries[entry_count++] = (struct journal_entry){ .type = RECORD_KEY_DESTROYED,
                                                         .reason = DESTROY_PURGED,
                                                         .subject = cell->id,
                                                         .tenant = cell->parent,
                                                         .engagement = cell->engagement,
                                                         .version = cell->version };
    }
    if (count == 0)
        return false;
    if (entry_count > 0)
        keeper_journal(k, entries, entry_count);
    for (size_t i = 0; i < count; i++)
        destroy(k, &doomed[i], p);
    commit(k);
    return true;
}

/* How many keys of each engagement the journal tells of, before or after a crash. */
static void count_keys(const struct keeper *k, const struct purge *p)
{
    struct journal_entry entry;
    size_t cursor = 0;

    while (journal_next(k->journal, &cursor, &entry)) {
        struct due *d = table_find(&p->due_by_id, entry.engagement.b);
        if (d != NULL && entry.type == RECORD_KEY_DESTROYED && entry.reason == DESTROY_PURGED)
            d->keys++;
    }
}

/* A seed of the engagement's tenant, if this was the last; each seed once. */
static bool last_seed(struct keeper *k, struct purge *p, const struct due *d, struct cell *ret_seed)
{
    struct err e = { 0 };

    if (table_find(&p->keeps_by_tenant, d->cell.parent.b) != NULL)
        return false;
    status st = seed_find(k, &d->cell.parent, 0, ret_seed, &e);
    if (st != OK && st != NOT_FOUND)
        keeper_fatal(&e);
    return st == OK;
}

/* Up to END_AT_ONCE engagements from the first one on: their keys are gone. */
static void purge_end(struct keeper *k, struct purge *p, size_t first)
{
    struct journal_entry entries[3 * END_AT_ONCE];
    size_t count = 0;
    size_t end = first + END_AT_ONCE < p->due_count ? first + END_AT_ONCE : p->due_count;

    for (size_t i = first; i < end; i++) {
        const struct cell *g = &p->due[i].cell;
        struct cell seed = { 0 };
        if (!keeper_told(p->told, CELL_ENGAGEMENT, &g->id, 0))
            entries[count++] = (struct journal_entry){ .type = RECORD_PURGE_KEYS_DESTROYED,
                                                       .reason = DESTROY_PURGED,
                                                       .subject = g->id,
                                                       .tenant = g->parent,
                                                       .engagement = g->id,
                                                       .number = p->due[i].keys };
        /* Two seeds while the tenant is rekeyed. Staged: the next of this tenant finds none. */
        while (last_seed(k, p, &p->due[i], &seed)) {
            if (!keeper_told(p->told, CELL_TENANT_SEED, &seed.id, seed.version))
                entries[count++] = (struct journal_entry){ .type = RECORD_TENANT_SEED_DESTROYED,
                                                           .reason = DESTROY_PURGED,
                                                           .subject = seed.id,
                                                           .tenant = seed.id,
                                                           .engagement = g->id,
                                                           .version = seed.version };
            destroy(k, &seed, p);
        }
    }
    if (count > 0)
        keeper_journal(k, entries, count);
    for (size_t i = first; i < end; i++)
        destroy(k, &p->due[i].cell, p);
    commit(k);
}

void keeper_purge(struct keeper *k)
{
    AUTO(told) *told = NULL;
    struct purge p = { .now_us = keeper_now(k) };
    struct err e = { 0 };
    size_t cursor = 0;

    keeper_insist(keeper_told_new(k, &told, &e), &e);
    p.told = told;
    if (find_due(k, &p)) {
        while (purge_some(k, &p, &cursor))
            ;
        count_keys(k, &p);
        for (size_t first = 0; first < p.due_count; first += END_AT_ONCE)
            purge_end(k, &p, first);
    }
    table_clear(&p.due_by_id);
    table_clear(&p.keeps_by_tenant);
    free(p.due);
    free(p.keeps);
    keeper_due_refresh(k);
}

void keeper_tick(struct keeper *k)
{
    if (k->ring == NULL)
        return;
    uint64_t now = keeper_now(k);
    keeper_watch(k);
    if (k->clock.jump_s != 0) {
        struct journal_entry jump = { .type = RECORD_CLOCK_JUMPED,
                                      .outcome = OUTCOME_FAILED,
                                      .number = k->clock.jump_s };
        struct err e = { 0 };
        k->clock.jump_s = 0;
        keeper_insist(journal_hold(k->journal, true, &e), &e);
        keeper_journal(k, &jump, 1);
    }
    keeper_time_note(k);
    if (k->next_due_us != 0 && now >= k->next_due_us && !k->clock.held)
        keeper_purge(k);
    opened_settle(k);
}

#define WAIT_MAX_MS 30000

int keeper_wait_ms(const struct keeper *k)
{
    if (rekey_ready(k))
        return 0;
    if (k->ring == NULL || k->next_due_us == 0 || k->clock.held)
        return WAIT_MAX_MS;
    if (k->next_due_us <= k->clock.last_us)
        return 0;
    uint64_t wait_ms = (k->next_due_us - k->clock.last_us) / 1000 + 1;
    return wait_ms < WAIT_MAX_MS ? (int)wait_ms : WAIT_MAX_MS;
}
