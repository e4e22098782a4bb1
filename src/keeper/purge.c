/*
 * Purge on time. It needs no key, so it works while the vault is locked.
 *
 * For each engagement that is due: the journal is told which data keys will die, then they die;
 * this repeats until none is left; then the journal is told of the engagement and, if it was the
 * tenant's last, of the tenant's seed, and they die too. The engagement's own cell dies last:
 * as long as it lives a restarted keeper finds it due and goes on. What the journal has been
 * told already is not told again, so a crash in between leaves one entry for each tombstone.
 */
#include "internal.h"

#define DESTROY_AT_ONCE 256

struct purge {
    struct cell engagement;
    struct told *told;
    uint64_t now_us;
};

void keeper_due_refresh(struct keeper *k)
{
    struct cell cell;
    size_t cursor = 0;

    k->next_due_us = 0;
    if (k->ring == NULL)
        return;
    while (keyring_next(k->ring, &cursor, &cell)) {
        if (cell.type == CELL_ENGAGEMENT && cell.due_us != 0 &&
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

/* Up to DESTROY_AT_ONCE data keys of the engagement. false when there were none. */
static bool purge_some(struct keeper *k, const struct purge *p, size_t *cursor)
{
    struct journal_entry entries[DESTROY_AT_ONCE];
    struct cell doomed[DESTROY_AT_ONCE];
    size_t entry_count = 0;
    size_t count = 0;

    while (count < DESTROY_AT_ONCE && keyring_next(k->ring, cursor, &doomed[count])) {
        const struct cell *cell = &doomed[count];
        if (cell->type != CELL_DATA_KEY || !id_same(&cell->engagement, &p->engagement.id))
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

/* Data keys of the engagement whose purge the journal tells of, before or after a crash. */
static uint64_t purged_count(const struct keeper *k, const struct id *engagement)
{
    struct journal_entry entry;
    size_t cursor = 0;
    uint64_t count = 0;

    while (journal_next(k->journal, &cursor, &entry)) {
        if (entry.type == RECORD_KEY_DESTROYED && entry.reason == DESTROY_PURGED &&
            id_same(&entry.engagement, engagement))
            count++;
    }
    return count;
}

static bool has_other_engagement(const struct keeper *k, const struct cell *engagement)
{
    struct cell cell;
    size_t cursor = 0;

    while (keyring_next(k->ring, &cursor, &cell)) {
        if (cell.type == CELL_ENGAGEMENT && id_same(&cell.parent, &engagement->parent) &&
            !id_same(&cell.id, &engagement->id))
            return true;
    }
    return false;
}

static void purge_end(struct keeper *k, const struct purge *p)
{
    const struct cell *engagement = &p->engagement;
    struct journal_entry entries[2];
    struct err e = { 0 };
    struct cell seed = { 0 };
    size_t count = 0;

    status st = has_other_engagement(k, engagement)
                    ? NOT_FOUND
                    : keyring_cell(k->ring, CELL_TENANT_SEED, &engagement->parent, 0, &seed, &e);
    if (st != OK && st != NOT_FOUND)
        keeper_fatal(&e);
    if (!keeper_told(p->told, CELL_ENGAGEMENT, &engagement->id, 0))
        entries[count++] = (struct journal_entry){ .type = RECORD_PURGE_KEYS_DESTROYED,
                                                   .reason = DESTROY_PURGED,
                                                   .subject = engagement->id,
                                                   .tenant = engagement->parent,
                                                   .engagement = engagement->id,
                                                   .number = purged_count(k, &engagement->id) };
    if (st == OK && !keeper_told(p->told, CELL_TENANT_SEED, &seed.id, 0))
        entries[count++] = (struct journal_entry){ .type = RECORD_TENANT_SEED_DESTROYED,
                                                   .reason = DESTROY_PURGED,
                                                   .subject = seed.id,
                                                   .tenant = seed.id,
                                                   .engagement = engagement->id };
    if (count > 0)
        keeper_journal(k, entries, count);
    if (st == OK)
        destroy(k, &seed, p);
    destroy(k, engagement, p);
    commit(k);
}

/* The next engagement that is due, in file order. */
static bool find_due(const struct keeper *k, uint64_t now_us, struct cell *ret_cell)
{
    size_t cursor = 0;

    while (keyring_next(k->ring, &cursor, ret_cell)) {
        if (ret_cell->type == CELL_ENGAGEMENT && ret_cell->due_us != 0 &&
            ret_cell->due_us <= now_us)
            return true;
    }
    return false;
}

void keeper_purge(struct keeper *k)
{
    AUTO(told) *told = NULL;
    struct purge p = { .now_us = keeper_now(k) };
    struct err e = { 0 };

    keeper_insist(keeper_told_new(k, &told, &e), &e);
    p.told = told;
    while (find_due(k, p.now_us, &p.engagement)) {
        size_t cursor = 0;
        while (purge_some(k, &p, &cursor))
            ;
        purge_end(k, &p);
    }
    keeper_due_refresh(k);
}

void keeper_tick(struct keeper *k)
{
    if (k->ring == NULL)
        return;
    uint64_t now = keeper_now(k);
    if (k->clock.jump_s != 0) {
        struct journal_entry jump = { .type = RECORD_CLOCK_JUMPED,
                                      .outcome = OUTCOME_FAILED,
                                      .number = k->clock.jump_s };
        k->clock.jump_s = 0;
        keeper_journal(k, &jump, 1);
    }
    keeper_time_note(k);
    if (k->next_due_us != 0 && now >= k->next_due_us && !k->clock.held)
        keeper_purge(k);
}

#define WAIT_MAX_MS 30000

int keeper_wait_ms(const struct keeper *k)
{
    if (k->ring == NULL || k->next_due_us == 0 || k->clock.held)
        return WAIT_MAX_MS;
    if (k->next_due_us <= k->clock.last_us)
        return 0;
    uint64_t wait_ms = (k->next_due_us - k->clock.last_us) / 1000 + 1;
    return wait_ms < WAIT_MAX_MS ? (int)wait_ms : WAIT_MAX_MS;
}
