/*
 * From (type, id, version) to a place: open addressing with linear probing, at most half full,
 * removal by shifting back. Only a 32-bit hash is kept in memory; a hit is confirmed by reading
 * the cell. The hash starts from a random seed, so nobody can choose ids that collide.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 4096

static uint64_t stir(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

uint32_t keyring_index_hash(const struct keyring *k, uint8_t type, const struct id *id,
                            uint32_t version)
{
    struct in in = in_of(SPAN(id->b));
    uint64_t h = stir(k->index_seed, (uint64_t)type << 32 | version);

    h = stir(h, in_u64(&in));
    h = stir(h, in_u64(&in));
    h = stir(h, k->index_seed);
    return (uint32_t)(h >> 32);
}

static uint32_t hash_of(const struct keyring *k, uint32_t place)
{
    const struct place *p = &k->places[place];

    return p->stage == STAGE_BIRTH ? k->births[p->staged].hash : p->hash;
}

static void insert(uint32_t *index, uint32_t cap, uint32_t place, uint32_t hash)
{
    uint32_t i = hash & (cap - 1);

    while (index[i] != 0)
        i = (i + 1) & (cap - 1);
    index[i] = place + 1;
}

status keyring_index_reserve(struct keyring *k, uint32_t more, struct err *e)
{
    uint32_t need = k->index_count + more;
    uint32_t cap = k->index_cap == 0 ? FIRST_CAP : k->index_cap;
    uint32_t *index;

    while (cap / 2 < need)
        cap *= 2;
    if (cap == k->index_cap)
        return OK;
    index = calloc(cap, sizeof(*index));
    if (index == NULL)
        return fail(e, NO_MEMORY, "no memory for the index", 0);
    for (uint32_t i = 0; i < k->index_cap; i++) {
        if (k->index[i] != 0)
            insert(index, cap, k->index[i] - 1, hash_of(k, k->index[i] - 1));
    }
    free(k->index);
    k->index = index;
    k->index_cap = cap;
    return OK;
}

/* The caller reserved room. */
void keyring_index_add(struct keyring *k, uint32_t place, uint32_t hash)
{
    insert(k->index, k->index_cap, place, hash);
    k->index_count++;
}

void keyring_index_remove(struct keyring *k, uint32_t place, uint32_t hash)
{
    uint32_t mask = k->index_cap - 1;
    uint32_t hole = hash & mask;

    while (k->index[hole] != place + 1) {
        if (k->index[hole] == 0)
            return;
        hole = (hole + 1) & mask;
    }
    /* Whatever could not be reached over the hole moves into it. */
    for (uint32_t i = (hole + 1) & mask; k->index[i] != 0; i = (i + 1) & mask) {
        uint32_t home = hash_of(k, k->index[i] - 1) & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            k->index[hole] = k->index[i];
            hole = i;
        }
    }
    k->index[hole] = 0;
    k->index_count--;
}

status keyring_index_find(const struct keyring *k, uint8_t type, const struct id *id,
                          uint32_t version, uint32_t *ret_place, uint8_t ret_bytes[CELL_SIZE],
                          struct err *e)
{
    uint32_t hash = keyring_index_hash(k, type, id, version);
    uint32_t mask = k->index_cap - 1;

    if (k->index_cap == 0)
        return NOT_FOUND;
    for (uint32_t i = hash & mask; k->index[i] != 0; i = (i + 1) & mask) {
        uint32_t place = k->index[i] - 1;
        uint8_t bytes[CELL_SIZE];
        status st;

        if (hash_of(k, place) != hash)
            continue;
        st = keyring_place_load(k, place, bytes, e);
        if (st != OK)
            return st;
        if (!keyring_cell_is(bytes, type, id, version))
            continue;
        *ret_place = place;
        memcpy(ret_bytes, bytes, CELL_SIZE);
        return OK;
    }
    return NOT_FOUND;
}
