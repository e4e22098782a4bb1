/*
 * Rows of one size, named by small numbers that stay theirs: 0 is no row. Memory comes in chunks,
 * so that growing moves nothing; what was given back is taken again, and nothing returns to the
 * system before the end. A row begins with a uint32_t that the free list and the index use.
 */
#ifndef LEASE_SLAB_H
#define LEASE_SLAB_H

#include "base/bytes.h"
#include "base/status.h"

#define SLAB_CHUNK  8192 /* rows */
#define SLAB_CHUNKS 8192

struct slab {
    uint8_t *chunks[SLAB_CHUNKS];
    size_t row_size;
    uint32_t used; /* rows that were ever taken */
    uint32_t free; /* first of those given back */
};

void slab_init(struct slab *s, size_t row_size);
void slab_clear(struct slab *s);
/* A zeroed row. NO_MEMORY; LIMIT beyond 67 million. */
MUST_CHECK status slab_take(struct slab *s, uint32_t *ret_ref, struct err *e);
void slab_give(struct slab *s, uint32_t ref);

static inline void *slab_row(const struct slab *s, uint32_t ref)
{
    uint32_t at = ref - 1;

    return s->chunks[at / SLAB_CHUNK] + (size_t)(at % SLAB_CHUNK) * s->row_size;
}

#endif
