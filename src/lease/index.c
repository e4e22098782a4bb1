/* Linear hashing: bucket n takes from bucket n without its top bit what belongs to it. */
#include "index.h"

#include <stdlib.h>

static uint32_t *head_of(const struct index *x, uint32_t bucket)
{
    return &x->chunks[bucket / SLAB_CHUNK][bucket % SLAB_CHUNK];
}

static uint32_t *link_of(const struct index *x, uint32_t ref)
{
    return slab_row(x->rows, ref);
}

static uint32_t bucket_of(const struct index *x, uint64_t hash)
{
    uint32_t bucket = (uint32_t)hash & x->mask;

    return bucket < x->buckets ? bucket : bucket & (x->mask >> 1);
}

static uint32_t bucket_of_row(const struct index *x, uint32_t ref)
{
    return bucket_of(x, x->hash(slab_row(x->rows, ref), x->seed));
}

static bool add_bucket(struct index *x)
{
    uint32_t chunk = x->buckets / SLAB_CHUNK;

    if (chunk == SLAB_CHUNKS)
        return false;
    if (x->chunks[chunk] == NULL)
        x->chunks[chunk] = calloc(SLAB_CHUNK, sizeof(uint32_t));
    if (x->chunks[chunk] == NULL)
        return false;
    if (x->buckets > x->mask)
        x->mask = 2 * x->mask + 1;
    x->buckets++;
    return true;
}

status index_init(struct index *x, const struct slab *rows,
                  uint64_t (*hash)(const void *row, uint64_t seed), uint64_t seed, struct err *e)
{
    *x = (struct index){ .rows = rows, .hash = hash, .seed = seed };
    return add_bucket(x) ? OK : fail(e, NO_MEMORY, "no memory for leases", 0);
}

void index_clear(struct index *x)
{
    for (size_t i = 0; i < SLAB_CHUNKS && x->chunks[i] != NULL; i++)
        free(x->chunks[i]);
    *x = (struct index){ .rows = x->rows };
}

/* Without memory for one bucket more the chains only get longer. */
static void split(struct index *x)
{
    uint32_t made = x->buckets, *from, *to;

    if (!add_bucket(x))
        return;
    from = head_of(x, made & (x->mask >> 1));
    to = head_of(x, made);
    while (*from != 0) {
        uint32_t ref = *from;

        if (bucket_of_row(x, ref) == made) {
            *from = *link_of(x, ref);
            *link_of(x, ref) = *to;
            *to = ref;
        } else {
            from = link_of(x, ref);
        }
    }
}

void index_add(struct index *x, uint32_t ref)
{
    uint32_t *head;

    if (x->buckets < x->rows->used)
        split(x);
    head = head_of(x, bucket_of_row(x, ref));
    *link_of(x, ref) = *head;
    *head = ref;
}

void index_remove(struct index *x, uint32_t ref)
{
    uint32_t *from = head_of(x, bucket_of_row(x, ref));

    while (*from != 0 && *from != ref)
        from = link_of(x, *from);
    if (*from == ref)
        *from = *link_of(x, ref);
}

uint32_t index_first(const struct index *x, uint64_t hash)
{
    return *head_of(x, bucket_of(x, hash));
}

uint32_t index_next(const struct index *x, uint32_t ref)
{
    return *link_of(x, ref);
}
