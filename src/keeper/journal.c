/*
 * What the keeper writes into the journal, and what the journal explains.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/table.h"
#include "internal.h"

/* Failed unlocks beyond this are only counted by the server: the rest of the journal's room is
 * for purges, which an attacker must not be able to crowd out. */
#define FAILURES_MAX 32768

void keeper_journal(struct keeper *k, struct journal_entry *entries, size_t count)
{
    struct err e = { 0 };
    uint64_t now = keeper_now(k);

    for (size_t i = 0; i < count; i++)
        entries[i].time_us = now;
    status st = journal_append(k->journal, entries, count, &e);
    if (st == LIMIT) {
        log_err(LOG_ERROR_, "keeper.journal-full", &e);
        return;
    }
    keeper_insist(st, &e);
    keeper_time_write(k);
}

void keeper_journal_failure(struct keeper *k, const struct id *slot, enum outcome outcome)
{
    struct journal_entry entry = { .type = RECORD_VAULT_UNLOCK_FAILED,
                                   .outcome = (uint8_t)outcome,
                                   .subject = *slot };

    if (journal_count(k->journal) < FAILURES_MAX)
        keeper_journal(k, &entry, 1);
}

/* --- what the journal explains --------------------------------------------------------------- */

/* Who died, as one key: id 16 | version 4 | the type it had | zeros. */
struct death {
    uint8_t key[24];
};

struct told {
    struct table table; /* by death: the C library's sort makes system calls of its own */
    size_t count;
    struct death deaths[];
};

static struct death death_of(uint8_t was, const struct id *id, uint32_t version)
{
    struct death d = { { 0 } };
    struct out o;

    out_init(&o, d.key, sizeof(d.key));
    out_id(&o, id);
    out_u32(&o, version);
    out_u8(&o, was);
    return d;
}

uint8_t keeper_destroyed_type(const struct journal_entry *entry)
{
    switch (entry->type) {
    case RECORD_KEY_DESTROYED: return CELL_DATA_KEY;
    case RECORD_PURGE_KEYS_DESTROYED: return CELL_ENGAGEMENT;
    case RECORD_TENANT_SEED_DESTROYED: return CELL_TENANT_SEED;
    case RECORD_REKEY_DONE: return id_is_zero(&entry->tenant) ? CELL_EMPTY : CELL_TENANT_SEED;
    case RECORD_TOMBSTONE_ALARM: return (uint8_t)entry->number;
    default: return CELL_EMPTY;
    }
}

status keeper_told_new(const struct keeper *k, struct told **ret_told, struct err *e)
{
    AUTO(told) *t = NULL;
    size_t cap = journal_count(k->journal);
    struct journal_entry entry;
    size_t cursor = 0;

    t = calloc(1, sizeof(*t) + cap * sizeof(t->deaths[0]));
    if (t == NULL)
        return fail(e, NO_MEMORY, "no memory for the journal's index", 0);
    table_init(&t->table, sizeof(struct death));
    while (t->count < cap && journal_next(k->journal, &cursor, &entry)) {
        uint8_t was = keeper_destroyed_type(&entry);
        struct death *d = &t->deaths[t->count];
        if (was == CELL_EMPTY)
            continue;
        *d = death_of(was, &entry.subject, entry.version);
        if (table_find(&t->table, d->key) != NULL)
            continue;
        status st = table_add(&t->table, d->key, d, e);
        if (st != OK)
            return st;
        t->count++;
    }
    *ret_told = t;
    t = NULL;
    return OK;
}

void told_cleanup(struct told **t)
{
    if (*t != NULL)
        table_clear(&(*t)->table);
    free(*t);
    *t = NULL;
}

bool keeper_told(const struct told *t, uint8_t was, const struct id *id, uint32_t version)
{
    struct death d = death_of(was, id, version);

    return table_find(&t->table, d.key) != NULL;
}

#define ALARMS_AT_ONCE 64

/* The keyring does not remember how many there were, so each process tells once: an auditor sees
 * whether the number has grown. number 0 is no cell type and explains no tombstone. */
static void check_scars(struct keeper *k)
{
    size_t scars = keyring_scars(k->ring);
    struct journal_entry alarm = { .type = RECORD_TOMBSTONE_ALARM,
                                   .outcome = OUTCOME_FAILED,
                                   .version = scars < UINT32_MAX ? (uint32_t)scars : UINT32_MAX };

    if (scars <= k->scars_told)
        return;
    keeper_journal(k, &alarm, 1);
    k->scars_told = scars;
}

/* The next key of the database died because it became the key, in the same change: no journal was
 * told, because the batch has a record of it, but a crash may have cut the change off. */
static bool database_followed(const struct keeper *k, const struct cell *tombstone)
{
    const struct id key = keys_system_id(SYSTEM_DATABASE);
    const struct id next = keys_system_id(SYSTEM_DATABASE_NEXT);
    struct cell cell;

    return tombstone->was == CELL_SYSTEM && id_same(&tombstone->id, &next) &&
           tombstone->reason == DESTROY_REPLACED &&
           keyring_cell(k->ring, CELL_SYSTEM, &key, 0, &cell, NULL) == OK &&
           cell.created_us == tombstone->due_us;
}

/* Stages the proof of a tombstone that this keyring explains by itself. */
static bool explained(struct keeper *k, const struct told *told, const struct cell *cell)
{
    struct err e = { 0 };

    if (keeper_told(told, cell->was, &cell->id, cell->version))
        return true;
    if (!database_followed(k, cell))
        return false;
    keeper_insist(keyring_prove(k->ring, cell->was, &cell->id, cell->version, &e), &e);
    return true;
}

status keeper_check_tombstones(struct keeper *k, struct err *e)
{
    AUTO(told) *told = NULL;
    struct journal_entry alarms[ALARMS_AT_ONCE];
    size_t count = 0;
    size_t cursor = 0;
    struct cell cell;

    status st = keeper_told_new(k, &told, e);
    if (st != OK)
        return st;
    while (keyring_next_unproven(k->ring, &cursor, &cell)) {
        if (explained(k, told, &cell))
            continue;
        alarms[count++] = (struct journal_entry){ .type = RECORD_TOMBSTONE_ALARM,
                                                  .outcome = OUTCOME_FAILED,
                                                  .reason = cell.reason,
                                                  .subject = cell.id,
                                                  .tenant = cell.parent,
                                                  .engagement = cell.engagement,
                                                  .version = cell.version,
                                                  .number = cell.was };
        if (count == ALARMS_AT_ONCE) {
            keeper_journal(k, alarms, count);
            count = 0;
        }
    }
    keeper_insist(keyring_commit(k->ring, e), e);
    if (count > 0)
        keeper_journal(k, alarms, count);
    check_scars(k);
    return OK;
}
