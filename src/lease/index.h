/*
 * Hash index over the rows of a slab, which are chained through their first uint32_t. It grows by
 * linear hashing: each row that comes splits one bucket, so no insertion waits for a table to be
 * made anew, and there is about one bucket a row.
 */
#ifndef LEASE_INDEX_H
#define LEASE_INDEX_H

#include "slab.h"

struct index {
    const struct slab *rows;
    uint64_t (*hash)(const void *row, uint64_t seed);
    uint64_t seed;
    uint32_t *chunks[SLAB_CHUNKS]; /* of SLAB_CHUNK first rows of buckets */
    uint32_t buckets;
    uint32_t mask; /* the least 2^n - 1 that is not less than buckets - 1 */
};

MUST_CHECK status index_init(struct index *x, const struct slab *rows,
                             uint64_t (*hash)(const void *row, uint64_t seed), uint64_t seed,
                             struct err *e);
void index_clear(struct index *x);
void index_add(struct index *x, uint32_t ref);
void index_remove(struct index *x, uint32_t ref);
/* The first row of the bucket of a hash, then those after it; 0 at the end. */
uint32_t index_first(const struct index *x, uint64_t hash);
uint32_t index_next(const struct index *x, uint32_t ref);

/* A well mixed hash of a, for which each bit of it counts. */
static inline uint64_t index_mix(uint64_t a)
{
    a = (a ^ (a >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    a = (a ^ (a >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return a ^ (a >> 32);
}

#endif
