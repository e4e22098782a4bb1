/*
 * The keyring from birth to close, and what its callers may read.
 */
#include "internal.h"

#include "keyring/successor.h"

#include <stdlib.h>
#include <unistd.h>

status keyring_new(struct keyring **ret_keyring, struct err *e)
{
    struct keyring *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return fail(e, NO_MEMORY, "no memory for the keyring", 0);
    k->dir_fd = -1;
    k->keep_seq = UINT64_MAX;
    random_bytes((struct mspan){ .p = (uint8_t *)&k->index_seed, .n = sizeof(k->index_seed) });
    *ret_keyring = k;
    return OK;
}

static struct disk *disk_new(void)
{
    struct disk *d = calloc(1, sizeof(*d));

    if (d != NULL)
        d->fd = -1;
    return d;
}

static void disk_free(struct disk *d)
{
    if (d != NULL)
        keyring_disk_close(d);
    free(d);
}

void keyring_free(struct keyring *k)
{
    disk_free(k->disk);
    disk_free(k->spare);
    if (k->dir_fd >= 0)
        close(k->dir_fd);
    free(k->places);
    free(k->index);
    free(k->births);
    free(k->deaths);
    free(k->proofs);
    free(k);
}

void keyring_close(struct keyring *k)
{
    if (k == NULL)
        return;
    if (k->origin != NULL)
        keyring_abandon(k->origin, &k);
    else
        keyring_free(k);
}

void keyring_cleanup(struct keyring **k)
{
    keyring_close(*k);
}

/* In a directory on ground that will do, with no file open yet. */
static status begin(const char *dir, bool allow_cow, enum disk_dir mode,
                    struct keyring **ret_keyring, struct err *e)
{
    AUTO(keyring) *k = NULL;
    status st = keyring_new(&k, e);

    if (st != OK)
        return st;
    k->disk = disk_new();
    k->spare = disk_new();
    if (k->disk == NULL || k->spare == NULL)
        return fail(e, NO_MEMORY, "no memory for the keyring", 0);
    st = keyring_disk_dir(dir, mode, &k->dir_fd, e);
    if (st == OK && !allow_cow)
        st = keyring_ground_check(dir, e);
    if (st != OK)
        return st;
    *ret_keyring = k;
    k = NULL;
    return OK;
}

/* The spare is locked like the keyring: whoever opened the keyring's name just before another
 * process exchanged the two finds that what it has is the spare, and taken. */
static status spare_open(struct keyring *k, struct err *e)
{
    return keyring_disk_open(k->dir_fd, SPARE_FILE, DISK_FILE_MAKE, k->spare, e);
}

/* All content of a new file, not yet synced. */
static status fill(struct keyring *k, const struct slot *slots, size_t slot_count,
                   const struct cell *cells, size_t cell_count, struct err *e)
{
    uint32_t places = (uint32_t)(cell_count / CELL_CHUNK + 1) * CELL_CHUNK;
    status st = keyring_place_begin(k, places, e);

    if (st == OK)
        st = keyring_slot_write_all(k, slots, slot_count, e);
    for (size_t i = 0; st == OK && i < cell_count; i++)
        st = keyring_put(k, &cells[i], e);
    if (st == OK)
        st = keyring_commit(k, e);
    /* Both copies, so that from the first moment one of them may be torn. */
    for (unsigned i = 0; st == OK && i < SUPER_COPIES; i++)
        st = keyring_super_write(k, k->super.info.anchor_size, e);
    return st;
}

status keyring_create(const char *dir, bool allow_cow, const struct keyring_info *info,
                      const struct slot *slots, size_t slot_count, const struct cell *cells,
                      size_t cell_count, const struct secret *mac_key, struct keyring **ret_keyring,
                      struct err *e)
{
    AUTO(keyring) *k = NULL;
    status st;

    if (info->region[LIMIT_REGION] != '\0')
        return fail(e, BAD_INPUT, "the region is not terminated", 0);
    if (cell_count > CELL_PLACES_MAX - CELL_CHUNK)
        return fail(e, LIMIT, "too much for a new keyring", (int64_t)cell_count);
    st = begin(dir, allow_cow, DISK_DIR_MAKE, &k, e);
    if (st == OK)
        st = keyring_disk_create(k->dir_fd, KEYRING_FILE, k->disk, e);
    if (st != OK)
        return st;
    k->mac_key = mac_key;
    k->super.info = *info;
    st = spare_open(k, e);
    if (st == OK)
        st = keyring_disk_wipe(k->spare, e);
    if (st == OK)
        st = fill(k, slots, slot_count, cells, cell_count, e);
    if (st != OK) {
        keyring_disk_discard(k->dir_fd, KEYRING_FILE);
        return st;
    }
    st = keyring_disk_publish(k->dir_fd, KEYRING_FILE, k->disk, e);
    if (st != OK)
        return st;
    *ret_keyring = k;
    k = NULL;
    return OK;
}

status keyring_open(const char *dir, bool allow_cow, struct keyring **ret_keyring, struct err *e)
{
    AUTO(keyring) *k = NULL;
    status st = begin(dir, allow_cow, DISK_DIR_EXISTING, &k, e);

    if (st == OK)
        st = keyring_disk_open(k->dir_fd, KEYRING_FILE, DISK_FILE_EXISTING, k->disk, e);
    if (st == OK)
        st = spare_open(k, e);
    if (st == OK)
        st = keyring_super_read(k, e);
    if (st == OK)
        st = keyring_slot_scan(k, e);
    if (st == OK)
        st = keyring_place_scan(k, e);
    /* The scan staged what a crash interrupted. */
    if (st == OK)
        st = keyring_commit(k, e);
    /* Only now: should the keyring be beyond reading, nothing more is lost. */
    if (st == OK)
        st = keyring_disk_wipe(k->spare, e);
    if (st != OK)
        return st;
    *ret_keyring = k;
    k = NULL;
    return OK;
}

const struct keyring_info *keyring_info(const struct keyring *k)
{
    return &k->super.info;
}

status keyring_authenticate(struct keyring *k, const struct secret *mac_key, struct err *e)
{
    status st = keyring_usable(k, e);

    if (st != OK)
        return st;
    k->mac_key = mac_key;
    st = keyring_super_authenticate(k, e);
    if (st == OK)
        st = keyring_slot_authenticate(k, e);
    if (st == OK)
        st = keyring_place_authenticate(k, e);
    /* Only now is it certain that what looks like debris is not damage. */
    if (st == OK)
        st = keyring_slot_settle(k, e);
    if (st == OK)
        st = keyring_place_settle(k, e);
    if (st != OK)
        k->mac_key = NULL;
    return st;
}

void keyring_forget(struct keyring *k)
{
    k->mac_key = NULL;
}

/* Reads a cell for an iteration. A caller who walks the cells and then commits must not act on
 * half a list, and an iteration has no other way to say so: the keyring is not used again. */
static bool step(const struct keyring *k, uint32_t place, struct cell *ret_cell)
{
    uint8_t bytes[CELL_SIZE];

    if (keyring_place_load(k, place, bytes, NULL) != OK) {
        k->disk->broken = true;
        return false;
    }
    keyring_cell_decode(bytes, ret_cell);
    return true;
}

bool keyring_next(const struct keyring *k, size_t *cursor, struct cell *ret_cell)
{
    while (!k->disk->broken && *cursor < k->place_count) {
        uint32_t i = (uint32_t)(*cursor)++;
        const struct place *p = &k->places[i];

        if (p->stage == STAGE_BIRTH || (p->kind == PLACE_LIVE && p->stage != STAGE_DEATH))
            return step(k, i, ret_cell);
    }
    return false;
}

static bool lives(const struct keyring *k, const struct cell *dead)
{
    uint8_t bytes[CELL_SIZE];
    uint32_t place;
    status st = keyring_index_find(k, dead->was, &dead->id, dead->version, &place, bytes, NULL);

    if (st != OK && st != NOT_FOUND)
        k->disk->broken = true;
    return st == OK;
}

bool keyring_next_since(const struct keyring *k, uint64_t since, size_t *cursor,
                        struct cell *ret_cell)
{
    while (!k->disk->broken && *cursor < k->place_count) {
        uint32_t i = (uint32_t)(*cursor)++;
        const struct place *p = &k->places[i];

        if (p->seq <= since || (p->kind != PLACE_LIVE && p->kind != PLACE_TOMBSTONE))
            continue;
        if (!step(k, i, ret_cell))
            return false;
        if (p->kind == PLACE_LIVE || !lives(k, ret_cell))
            return !k->disk->broken;
    }
    return false;
}

bool keyring_next_unproven(const struct keyring *k, size_t *cursor, struct cell *ret_cell)
{
    while (!k->disk->broken && *cursor < k->place_count) {
        uint32_t i = (uint32_t)(*cursor)++;
        const struct place *p = &k->places[i];

        if (p->kind == PLACE_TOMBSTONE && !p->proven && p->stage == STAGE_NONE)
            return step(k, i, ret_cell);
    }
    return false;
}

status keyring_cell(const struct keyring *k, uint8_t type, const struct id *id, uint32_t version,
                    struct cell *ret_cell, struct err *e)
{
    uint8_t bytes[CELL_SIZE];
    uint32_t place;
    status st = keyring_usable(k, e);

    if (st != OK)
        return st;
    st = keyring_index_find(k, type, id, version, &place, bytes, e);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "no such cell", type);
    if (st == OK)
        keyring_cell_decode(bytes, ret_cell);
    return st;
}

uint64_t keyring_edition(const struct keyring *k)
{
    return k->edition;
}

size_t keyring_count(const struct keyring *k, uint8_t type)
{
    return type < CELL_TYPES ? k->counts[type] : 0;
}

uint64_t keyring_seq(const struct keyring *k)
{
    return k->durable_seq;
}

size_t keyring_scars(const struct keyring *k)
{
    return k->scars;
}

status keyring_anchor(struct keyring *k, uint64_t records, struct err *e)
{
    status st = keyring_usable(k, e);

    if (st != OK)
        return st;
    if (k->mac_key == NULL)
        return fail(e, LOCKED, "anchoring needs the MAC key", 0);
    return keyring_super_write(k, records, e);
}
