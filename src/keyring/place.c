/*
 * The cell places: reading them at open, checking them when the key is there, giving them out.
 *
 * Must:
 *  1. Two intact cells of one identity mean that a commit was cut short: the newer one stays.
 *  2. A dying cell becomes its tombstone at open. Its identity was never out of the file.
 *  3. A damaged place is not touched before the key is there. Then, if the digest holds without
 *     it, it is debris of a write that never finished and becomes a scar; else CORRUPT.
 *  4. An unproven tombstone, a scar, or a tombstone that a superblock's digest or a successor
 *     may still need is never given out again.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define READ_PLACES 256

status keyring_place_load(const struct keyring *k, uint32_t place, uint8_t ret_bytes[CELL_SIZE],
                          struct err *e)
{
    const struct place *p = &k->places[place];
    struct place now;
    status st;

    if (p->stage == STAGE_BIRTH) {
        memcpy(ret_bytes, k->births[p->staged].bytes, CELL_SIZE);
        return OK;
    }
    st = keyring_disk_read(k->disk, keyring_cell_at(place),
                           (struct mspan){ .p = ret_bytes, .n = CELL_SIZE }, e);
    if (st != OK)
        return st;
    keyring_cell_inspect(place, ret_bytes, &now);
    if (now.kind != p->kind || now.seq != p->seq || !span_same(SPAN(now.tag), SPAN(p->tag)))
        return fail(e, CORRUPT, "a cell is not what it was at open", place);
    if (p->kind == PLACE_LIVE && k->mac_key != NULL)
        return keyring_cell_check(k, place, ret_bytes, e);
    return OK;
}

static status reserve(struct keyring *k, uint32_t count, struct err *e)
{
    struct place *places;

    if (count <= k->place_cap)
        return OK;
    places = calloc(count, sizeof(*places));
    if (places == NULL)
        return fail(e, NO_MEMORY, "no memory for the places", 0);
    if (k->place_count > 0)
        memcpy(places, k->places, k->place_count * sizeof(*places));
    free(k->places);
    k->places = places;
    k->place_cap = count;
    return OK;
}

/* A whole chunk more, known to both the file and a superblock before it is used. */
static status grow(struct keyring *k, struct err *e)
{
    uint32_t count = (k->place_count / CELL_CHUNK + 1) * CELL_CHUNK;
    status st;

    if (count > CELL_PLACES_MAX)
        return fail(e, LIMIT, "the keyring is full", k->place_count);
    st = reserve(k, count, e);
    if (st == OK)
        st = keyring_disk_grow(k->disk, keyring_cell_at(k->place_count), keyring_cell_at(count), e);
    if (st != OK)
        return st;
    k->place_count = count;
    /* A successor's superblocks are written when it succeeds. */
    return k->origin != NULL ? OK : keyring_super_write(k, k->super.info.anchor_size, e);
}

status keyring_place_begin(struct keyring *k, uint32_t count, struct err *e)
{
    status st = reserve(k, count, e);

    if (st == OK)
        st = keyring_disk_grow(k->disk, 0, keyring_cell_at(count), e);
    if (st == OK)
        k->place_count = count;
    return st;
}

static bool spent(const struct place *p)
{
    return p->kind == PLACE_TOMBSTONE && p->proven && p->stage == STAGE_NONE;
}

/* An empty place, else a tombstone that is not needed. */
static bool find_free(struct keyring *k, uint32_t *ret_place)
{
    for (; k->empty_from < k->place_count; k->empty_from++) {
        const struct place *p = &k->places[k->empty_from];

        if (p->kind == PLACE_EMPTY && p->stage == STAGE_NONE) {
            *ret_place = k->empty_from++;
            return true;
        }
    }
    for (; k->reuse_from < k->place_count; k->reuse_from++) {
        const struct place *p = &k->places[k->reuse_from];

        if (spent(p) && p->seq <= k->reuse_seq && p->seq <= k->keep_seq) {
            *ret_place = k->reuse_from++;
            return true;
        }
    }
    return false;
}

/* Whether so many tombstones only wait for the superblocks that moving those on beats growing. */
static bool many_wait(const struct keyring *k)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->place_count; i++)
        n += spent(&k->places[i]) && k->places[i].seq > k->reuse_seq &&
             k->places[i].seq <= k->keep_seq;
    return n > 0 && n >= k->place_count / 4;
}

status keyring_place_take(struct keyring *k, uint32_t *ret_place, struct err *e)
{
    status st = OK;

    if (find_free(k, ret_place))
        return OK;
    if (many_wait(k)) {
        for (int i = 0; st == OK && i < SUPER_COPIES; i++)
            st = keyring_super_write(k, k->super.info.anchor_size, e);
    } else {
        st = grow(k, e);
    }
    if (st != OK)
        return st;
    return find_free(k, ret_place) ? OK : fail(e, BUG, "no place after making room", 0);
}

/* Enters a live cell; of two with one identity, the older is staged to die. */
static status scan_live(struct keyring *k, uint32_t place, const uint8_t bytes[CELL_SIZE],
                        struct err *e)
{
    uint8_t other_bytes[CELL_SIZE];
    const uint8_t *older = bytes;
    uint32_t other;
    struct cell cell, other_cell;
    status st, found;

    keyring_cell_decode(bytes, &cell);
    found = keyring_index_find(k, cell.type, &cell.id, cell.version, &other, other_bytes, e);
    if (found != OK && found != NOT_FOUND)
        return found;
    st = keyring_index_reserve(k, 1, e);
    if (st != OK)
        return st;
    if (found == OK && k->places[other].seq < k->places[place].seq)
        older = other_bytes;
    keyring_index_add(k, place, k->places[place].hash);
    k->counts[cell.type]++;
    if (found != OK)
        return OK;
    keyring_cell_decode(other_bytes, &other_cell);
    return keyring_stage_death(k, older == bytes ? place : other, older, DESTROY_REPLACED,
                               older == bytes ? other_cell.created_us : cell.created_us, e);
}

static status scan_one(struct keyring *k, uint32_t place, const uint8_t bytes[CELL_SIZE],
                       struct err *e)
{
    struct place *p = &k->places[place];
    struct cell cell;

    keyring_cell_inspect(place, bytes, p);
    keyring_cell_decode(bytes, &cell);
    if (p->seq > k->seq)
        k->seq = p->seq;
    switch (p->kind) {
    case PLACE_LIVE:
        p->hash = keyring_index_hash(k, cell.type, &cell.id, cell.version);
        return scan_live(k, place, bytes, e);
    case PLACE_TOMBSTONE: p->hash = keyring_index_hash(k, cell.was, &cell.id, cell.version); break;
    case PLACE_DYING:
        p->hash = keyring_index_hash(k, cell.was, &cell.id, cell.version);
        return keyring_stage_death(k, place, bytes, cell.reason, cell.due_us, e);
    case PLACE_DAMAGED:
    case PLACE_SCAR: k->scars++; break;
    default: break;
    }
    return OK;
}

typedef status (*place_visit)(struct keyring *k, uint32_t place, const uint8_t bytes[CELL_SIZE],
                              struct err *e);

/* All places in file order, many to a read. */
static status visit_all(struct keyring *k, place_visit visit, struct err *e)
{
    uint8_t *buffer = calloc(READ_PLACES, CELL_SIZE);
    status st = OK;

    if (buffer == NULL)
        return fail(e, NO_MEMORY, "no memory to read cells", 0);
    for (uint32_t first = 0; st == OK && first < k->place_count; first += READ_PLACES) {
        uint32_t left = k->place_count - first;
        uint32_t n = left < READ_PLACES ? left : READ_PLACES;

        st = keyring_disk_read(k->disk, keyring_cell_at(first),
                               (struct mspan){ .p = buffer, .n = (size_t)n * CELL_SIZE }, e);
        for (uint32_t i = 0; st == OK && i < n; i++)
            st = visit(k, first + i, buffer + (size_t)i * CELL_SIZE, e);
    }
    free(buffer);
    return st;
}

status keyring_place_scan(struct keyring *k, struct err *e)
{
    uint64_t size;
    status st = keyring_disk_size(k->disk, &size, e);

    if (st != OK)
        return st;
    if (size < keyring_cell_at(k->super.places))
        return fail(e, CORRUPT, "the file is too short", (int64_t)size);
    if (size > keyring_cell_at(CELL_PLACES_MAX))
        return fail(e, CORRUPT, "the file is too long", (int64_t)size);
    st = reserve(k, (uint32_t)((size - CELLS_AT) / CELL_SIZE), e);
    if (st != OK)
        return st;
    k->place_count = k->place_cap;
    k->seq = k->super.cell_seq;
    st = visit_all(k, scan_one, e);
    k->durable_seq = k->seq;
    return st;
}

static status check_one(struct keyring *k, uint32_t place, const uint8_t bytes[CELL_SIZE],
                        struct err *e)
{
    struct place *p = &k->places[place];
    struct place now;

    keyring_cell_inspect(place, bytes, &now);
    if (now.kind != p->kind || now.seq != p->seq || now.victim_seq != p->victim_seq ||
        !span_same(SPAN(now.tag), SPAN(p->tag)))
        return fail(e, CORRUPT, "a cell is not what it was at open", place);
    if (p->kind == PLACE_LIVE)
        return keyring_cell_check(k, place, bytes, e);
    if (p->kind == PLACE_TOMBSTONE) {
        status st = keyring_cell_check(k, place, bytes, NULL);

        if (st != OK && st != CORRUPT)
            return fail(e, st, "cannot check a tombstone", place);
        p->proven = st == OK;
    }
    return OK;
}

status keyring_place_authenticate(struct keyring *k, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    uint32_t live;
    status st = visit_all(k, check_one, e);

    if (st != OK)
        return st;
    keyring_super_digest(k, k->super.cell_seq, digest, &live);
    if (live != k->super.live || !span_same(SPAN(digest), SPAN(k->super.digest)))
        return fail(e, CORRUPT, "cells were taken away or put back",
                    (int64_t)live - (int64_t)k->super.live);
    return OK;
}

/* Debris may hold part of a value: it is overwritten like any other. */
static status scar(struct keyring *k, uint32_t place, struct err *e)
{
    uint8_t bytes[CELL_SIZE];
    status st;

    random_bytes((struct mspan){ .p = bytes, .n = sizeof(bytes) });
    st = keyring_disk_write(k->disk, keyring_cell_at(place), SPAN(bytes), e);
    if (st == OK)
        st = keyring_disk_sync(k->disk, e);
    if (st != OK)
        return st;
    keyring_cell_scar(k->durable_seq == 0 ? 1 : k->durable_seq, bytes);
    st = keyring_cell_finish(k, place, bytes, e);
    if (st == OK)
        st = keyring_disk_write(k->disk, keyring_cell_at(place), SPAN(bytes), e);
    if (st == OK)
        keyring_cell_inspect(place, bytes, &k->places[place]);
    return st;
}

/* A crash amid a replacement leaves a tombstone without a MAC. The living cell, newer than the
 * one that died and with a MAC of its own, is all the proof it needs. */
static status prove_replaced(struct keyring *k, uint32_t place, struct err *e)
{
    uint8_t bytes[CELL_SIZE], heir_bytes[CELL_SIZE];
    struct place *p = &k->places[place];
    struct cell cell;
    uint32_t heir;
    status st = keyring_place_load(k, place, bytes, e);

    if (st != OK)
        return st;
    keyring_cell_decode(bytes, &cell);
    if (cell.reason != DESTROY_REPLACED)
        return OK;
    st = keyring_index_find(k, cell.was, &cell.id, cell.version, &heir, heir_bytes, e);
    if (st == NOT_FOUND)
        return OK;
    if (st != OK || k->places[heir].kind != PLACE_LIVE || k->places[heir].seq <= p->victim_seq)
        return st;
    st = keyring_cell_finish(k, place, bytes, e);
    if (st == OK)
        st = keyring_disk_write(k->disk, keyring_cell_at(place), SPAN(bytes), e);
    if (st == OK)
        p->proven = true;
    return st;
}

status keyring_place_settle(struct keyring *k, struct err *e)
{
    status st = OK;

    for (uint32_t i = 0; st == OK && i < k->place_count; i++) {
        const struct place *p = &k->places[i];

        if (p->stage != STAGE_NONE)
            continue;
        if (p->kind == PLACE_DAMAGED)
            st = scar(k, i, e);
        else if (p->kind == PLACE_TOMBSTONE && !p->proven)
            st = prove_replaced(k, i, e);
    }
    return st == OK ? keyring_disk_sync(k->disk, e) : st;
}
