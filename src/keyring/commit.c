/*
 * Changes: staged in memory, made durable together. New places are written first and old ones
 * are destroyed after, so that at every moment the file holds one intact cell of an identity
 * that lives, and opening can tell which.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 64

status keyring_usable(const struct keyring *k, struct err *e)
{
    return k->disk->broken ? fail(e, IO, "the keyring failed before and is not used again", 0) : OK;
}

static status usable_with_key(const struct keyring *k, struct err *e)
{
    status st = keyring_usable(k, e);

    if (st == OK && k->mac_key == NULL)
        st = fail(e, LOCKED, "this change needs the MAC key", 0);
    return st;
}

/* A larger copy of an array that is full; NULL without memory. */
static void *larger(void *array, size_t count, size_t size, size_t *cap)
{
    size_t new_cap = *cap == 0 ? FIRST_CAP : *cap * 2;
    void *copy = calloc(new_cap, size);

    if (copy == NULL)
        return NULL;
    if (count > 0)
        memcpy(copy, array, count * size);
    free(array);
    *cap = new_cap;
    return copy;
}

static status births_reserve(struct keyring *k, struct err *e)
{
    struct birth *births;

    if (k->birth_count < k->birth_cap)
        return OK;
    births = larger(k->births, k->birth_count, sizeof(*births), &k->birth_cap);
    if (births == NULL)
        return fail(e, NO_MEMORY, "no memory for changes", 0);
    k->births = births;
    return OK;
}

static status changes_reserve(struct change **changes, size_t count, size_t *cap, struct err *e)
{
    struct change *copy;

    if (count < *cap)
        return OK;
    copy = larger(*changes, count, sizeof(*copy), cap);
    if (copy == NULL)
        return fail(e, NO_MEMORY, "no memory for changes", 0);
    *changes = copy;
    return OK;
}

status keyring_stage_death(struct keyring *k, uint32_t place, const uint8_t live[CELL_SIZE],
                           uint8_t reason, uint64_t time_us, struct err *e)
{
    struct place *p = &k->places[place];
    struct change *death;
    status st = changes_reserve(&k->deaths, k->death_count, &k->death_cap, e);

    if (st != OK)
        return st;
    death = &k->deaths[k->death_count];
    death->place = place;
    memcpy(death->bytes, live, CELL_SIZE);
    if (p->kind == PLACE_DYING) {
        keyring_cell_revive(death->bytes);
    } else {
        keyring_cell_kill(death->bytes, reason, time_us);
        keyring_index_remove(k, place, p->hash);
        k->counts[p->type]--;
    }
    p->stage = STAGE_DEATH;
    p->staged = (uint32_t)k->death_count++;
    return OK;
}

static void birth_add(struct keyring *k, uint32_t place, uint32_t hash,
                      const uint8_t bytes[CELL_SIZE])
{
    struct birth *b = &k->births[k->birth_count];

    b->place = place;
    b->hash = hash;
    memcpy(b->bytes, bytes, CELL_SIZE);
    k->places[place].stage = STAGE_BIRTH;
    k->places[place].staged = (uint32_t)k->birth_count++;
    keyring_index_add(k, place, hash);
    k->counts[bytes[0]]++;
}

/* A staged cell that shall not be born after all; its place is free again. */
static void birth_remove(struct keyring *k, uint32_t place)
{
    uint32_t i = k->places[place].staged;
    struct birth *last = &k->births[k->birth_count - 1];

    keyring_index_remove(k, place, k->births[i].hash);
    k->counts[k->births[i].bytes[0]]--;
    k->places[last->place].staged = i;
    k->births[i] = *last;
    k->birth_count--;
    k->places[place].stage = STAGE_NONE;
    k->empty_from = 0;
    k->reuse_from = 0;
}

status keyring_put(struct keyring *k, const struct cell *cell, struct err *e)
{
    uint8_t old[CELL_SIZE], bytes[CELL_SIZE];
    uint32_t old_place = 0, place = 0;
    status found, st = usable_with_key(k, e);

    if (st != OK)
        return st;
    if (!keyring_cell_type_lives(cell->type))
        return fail(e, BAD_INPUT, "not a type of cell", cell->type);
    k->edition++;
    found = keyring_index_find(k, cell->type, &cell->id, cell->version, &old_place, old, e);
    if (found != OK && found != NOT_FOUND)
        return found;
    /* Staged twice in one commit: the place is chosen already. */
    if (found == OK && k->places[old_place].stage == STAGE_BIRTH)
        place = old_place;
    else
        st = keyring_place_take(k, &place, e);
    if (st == OK)
        st = births_reserve(k, e);
    if (st == OK)
        st = changes_reserve(&k->deaths, k->death_count, &k->death_cap, e);
    if (st == OK)
        st = keyring_index_reserve(k, 1, e);
    if (st != OK)
        return st;
    keyring_cell_encode(cell, ++k->seq, bytes);
    st = keyring_cell_finish(k, place, bytes, e);
    if (st != OK)
        return st;
    if (found == OK && place == old_place) {
        memcpy(k->births[k->places[place].staged].bytes, bytes, CELL_SIZE);
        return OK;
    }
    if (found == OK)
        st = keyring_stage_death(k, old_place, old, DESTROY_REPLACED, cell->created_us, e);
    if (st == OK)
        birth_add(k, place, keyring_index_hash(k, cell->type, &cell->id, cell->version), bytes);
    return st;
}

status keyring_destroy(struct keyring *k, uint8_t type, const struct id *id, uint32_t version,
                       uint8_t reason, uint64_t time_us, struct err *e)
{
    uint8_t bytes[CELL_SIZE];
    uint32_t place;
    status st = keyring_usable(k, e);

    if (st != OK)
        return st;
    if (reason < DESTROY_REPLACED || reason > DESTROY_UNANSWERED)
        return fail(e, BAD_INPUT, "not a reason to destroy", reason);
    k->edition++;
    st = keyring_index_find(k, type, id, version, &place, bytes, e);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "no such cell", type);
    if (st != OK)
        return st;
    if (k->places[place].stage != STAGE_BIRTH)
        return keyring_stage_death(k, place, bytes, reason, time_us, e);
    birth_remove(k, place);
    /* It was to replace one that is to die already: of that death, this is now the reason. */
    for (size_t i = 0; i < k->death_count; i++) {
        if (keyring_cell_is(k->deaths[i].bytes, type, id, version))
            keyring_cell_set_reason(k->deaths[i].bytes, reason, time_us);
    }
    return OK;
}

status keyring_prove(struct keyring *k, uint8_t was, const struct id *id, uint32_t version,
                     struct err *e)
{
    uint32_t hash = keyring_index_hash(k, was, id, version);
    bool found = false;
    status st = usable_with_key(k, e);

    for (uint32_t i = 0; st == OK && i < k->place_count; i++) {
        struct place *p = &k->places[i];
        uint8_t bytes[CELL_SIZE];

        if (p->kind != PLACE_TOMBSTONE || p->proven || p->stage != STAGE_NONE || p->hash != hash)
            continue;
        st = keyring_place_load(k, i, bytes, e);
        if (st != OK || !keyring_cell_is(bytes, was, id, version))
            continue;
        st = keyring_cell_finish(k, i, bytes, e);
        if (st == OK)
            st = changes_reserve(&k->proofs, k->proof_count, &k->proof_cap, e);
        if (st != OK)
            continue;
        k->proofs[k->proof_count].place = i;
        memcpy(k->proofs[k->proof_count].bytes, bytes, CELL_SIZE);
        p->stage = STAGE_PROOF;
        p->staged = (uint32_t)k->proof_count++;
        found = true;
    }
    if (st == OK && !found)
        st = fail(e, NOT_FOUND, "no such unproven tombstone", was);
    return st;
}

static status write_changes(struct keyring *k, const struct change *changes, size_t count,
                            struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < count; i++)
        st = keyring_disk_write(k->disk, keyring_cell_at(changes[i].place), SPAN(changes[i].bytes),
                                e);
    return st;
}

static status write_births(struct keyring *k, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < k->birth_count; i++)
        st = keyring_disk_write(k->disk, keyring_cell_at(k->births[i].place),
                                SPAN(k->births[i].bytes), e);
    return st;
}

static status overwrite_deaths(struct keyring *k, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < k->death_count; i++) {
        uint8_t dying[CELL_SIZE];

        keyring_cell_dying(k->deaths[i].place, k->deaths[i].bytes, dying);
        st = keyring_disk_write(k->disk, keyring_cell_at(k->deaths[i].place), SPAN(dying), e);
    }
    return st;
}

/* Memory follows the file. */
static void settle(struct keyring *k)
{
    for (size_t i = 0; i < k->birth_count; i++) {
        const struct birth *b = &k->births[i];

        keyring_cell_inspect(b->place, b->bytes, &k->places[b->place]);
        k->places[b->place].hash = b->hash;
    }
    for (size_t i = 0; i < k->death_count; i++) {
        const struct change *c = &k->deaths[i];
        uint32_t hash = k->places[c->place].hash;

        keyring_cell_inspect(c->place, c->bytes, &k->places[c->place]);
        k->places[c->place].hash = hash;
    }
    for (size_t i = 0; i < k->proof_count; i++) {
        k->places[k->proofs[i].place].proven = true;
        k->places[k->proofs[i].place].stage = STAGE_NONE;
    }
    k->birth_count = 0;
    k->death_count = 0;
    k->proof_count = 0;
    k->durable_seq = k->seq;
}

status keyring_commit(struct keyring *k, struct err *e)
{
    status st = keyring_usable(k, e);

    for (size_t i = 0; st == OK && i < k->death_count; i++) {
        keyring_cell_set_seq(k->deaths[i].bytes, ++k->seq);
        st = keyring_cell_finish(k, k->deaths[i].place, k->deaths[i].bytes, e);
    }
    if (st != OK)
        return st;

    /* A sync with nothing written since the last one is no call at all. */
    st = write_births(k, e); /* 1 */
    if (st == OK)
        st = keyring_disk_sync(k->disk, e); /* 2 */
    if (st == OK)
        st = overwrite_deaths(k, e); /* 3 */
    if (st == OK)
        st = keyring_disk_sync(k->disk, e); /* 4 */
    if (st == OK)
        st = write_changes(k, k->deaths, k->death_count, e); /* 5 */
    if (st == OK)
        st = write_changes(k, k->proofs, k->proof_count, e);
    if (st == OK)
        st = keyring_disk_sync(k->disk, e); /* 6 */
    if (st == OK)
        settle(k);
    return st;
}

void keyring_abort(struct keyring *k)
{
    if (k->birth_count + k->death_count > 0)
        k->edition++;
    /* Births leave the index before deaths come back: it never needs more room than it had. */
    while (k->birth_count > 0)
        birth_remove(k, k->births[k->birth_count - 1].place);
    for (size_t i = 0; i < k->death_count; i++) {
        struct place *p = &k->places[k->deaths[i].place];

        p->stage = STAGE_NONE;
        keyring_index_add(k, k->deaths[i].place, p->hash);
        k->counts[p->type]++;
    }
    for (size_t i = 0; i < k->proof_count; i++)
        k->places[k->proofs[i].place].stage = STAGE_NONE;
    k->death_count = 0;
    k->proof_count = 0;
    k->seq = k->durable_seq;
}
