/*
 * The keyring from birth to close, and what its callers may read.
 */
#include "internal.h"

#include <stdlib.h>
#include <unistd.h>

#define KEYRING_FILE "keyring"

static status keyring_new(struct keyring **ret_keyring, struct err *e)
{
    struct keyring *k = calloc(1, sizeof(*k));
    struct disk *disk = calloc(1, sizeof(*disk));

    if (k == NULL || disk == NULL) {
        free(k);
        free(disk);
        return fail(e, NO_MEMORY, "no memory for the keyring", 0);
    }
    disk->fd = -1;
    k->disk = disk;
    random_bytes((struct mspan){ .p = (uint8_t *)&k->index_seed, .n = sizeof(k->index_seed) });
    *ret_keyring = k;
    return OK;
}

void keyring_close(struct keyring *k)
{
    if (k == NULL)
        return;
    keyring_disk_close(k->disk);
    free(k->disk);
    free(k->places);
    free(k->index);
    free(k->births);
    free(k->deaths);
    free(k->proofs);
    free(k);
}

void keyring_cleanup(struct keyring **k)
{
    keyring_close(*k);
}

/* A directory handle on ground that will do. */
static status dir_open(const char *dir, bool allow_cow, enum disk_dir mode, int *ret_fd,
                       struct err *e)
{
    int fd;
    status st = keyring_disk_dir(dir, mode, &fd, e);

    if (st == OK && !allow_cow) {
        st = keyring_ground_check(dir, e);
        if (st != OK)
            close(fd);
    }
    if (st == OK)
        *ret_fd = fd;
    return st;
}

/* All content of a new file, not yet synced. */
static status fill(struct keyring *k, const struct slot *slots, size_t slot_count,
                   const struct cell *cells, size_t cell_count, struct err *e)
{
    uint32_t places = (uint32_t)(cell_count / CELL_CHUNK + 1) * CELL_CHUNK;
    struct slot known;
    status st;

    st = keyring_place_reserve(k, places, e);
    if (st == OK)
        st = keyring_disk_grow(k->disk, 0, keyring_cell_at(places), e);
    if (st != OK)
        return st;
    k->place_count = places;
    for (size_t i = 0; st == OK && i < slot_count; i++) {
        if (keyring_slot(k, &slots[i].id, &known, NULL) == OK)
            st = fail(e, BAD_INPUT, "two slots have one id", (int64_t)i);
        else
            st = keyring_slot_write(k, (unsigned)i, &slots[i], e);
    }
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
    int dir_fd;
    status st;

    if (info->region[LIMIT_REGION] != '\0')
        return fail(e, BAD_INPUT, "the region is not terminated", 0);
    if (slot_count > LIMIT_SLOTS || cell_count > CELL_PLACES_MAX - CELL_CHUNK)
        return fail(e, LIMIT, "too much for a new keyring", (int64_t)cell_count);
    st = dir_open(dir, allow_cow, DISK_DIR_MAKE, &dir_fd, e);
    if (st != OK)
        return st;
    st = keyring_new(&k, e);
    if (st == OK)
        st = keyring_disk_create(dir_fd, KEYRING_FILE, k->disk, e);
    if (st == OK) {
        k->mac_key = mac_key;
        k->super.info = *info;
        st = fill(k, slots, slot_count, cells, cell_count, e);
        if (st == OK)
            st = keyring_disk_publish(dir_fd, KEYRING_FILE, k->disk, e);
        else
            keyring_disk_discard(dir_fd, KEYRING_FILE);
    }
    close(dir_fd);
    if (st != OK)
        return st;
    *ret_keyring = k;
    k = NULL;
    return OK;
}

status keyring_open(const char *dir, bool allow_cow, struct keyring **ret_keyring, struct err *e)
{
    AUTO(keyring) *k = NULL;
    int dir_fd;
    status st = dir_open(dir, allow_cow, DISK_DIR_EXISTING, &dir_fd, e);

    if (st != OK)
        return st;
    st = keyring_new(&k, e);
    if (st == OK)
        st = keyring_disk_open(dir_fd, KEYRING_FILE, k->disk, e);
    close(dir_fd);
    if (st == OK)
        st = keyring_super_read(k, e);
    if (st == OK)
        st = keyring_slot_scan(k, e);
    if (st == OK)
        st = keyring_place_scan(k, e);
    /* The scan staged what a crash interrupted. */
    if (st == OK)
        st = keyring_commit(k, e);
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

size_t keyring_count(const struct keyring *k, uint8_t type)
{
    return type < CELL_TYPES ? k->counts[type] : 0;
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
