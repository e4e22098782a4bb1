/* Rows in chunks. */
#include "slab.h"

#include <stdlib.h>
#include <string.h>

void slab_init(struct slab *s, size_t row_size)
{
    *s = (struct slab){ .row_size = row_size };
}

void slab_clear(struct slab *s)
{
    for (size_t i = 0; i < SLAB_CHUNKS && s->chunks[i] != NULL; i++)
        free(s->chunks[i]);
    slab_init(s, s->row_size);
}

static uint32_t *link_of(const struct slab *s, uint32_t ref)
{
    return slab_row(s, ref);
}

status slab_take(struct slab *s, uint32_t *ret_ref, struct err *e)
{
    uint32_t chunk = s->used / SLAB_CHUNK;

    if (s->free != 0) {
        *ret_ref = s->free;
        s->free = *link_of(s, s->free);
        memset(slab_row(s, *ret_ref), 0, s->row_size);
        return OK;
    }
    if (chunk == SLAB_CHUNKS)
        return fail(e, LIMIT, "more leases than this server can hold", s->used);
    if (s->chunks[chunk] == NULL)
        s->chunks[chunk] = calloc(SLAB_CHUNK, s->row_size);
    if (s->chunks[chunk] == NULL)
        return fail(e, NO_MEMORY, "no memory for leases", 0);
    *ret_ref = ++s->used;
    return OK;
}

void slab_give(struct slab *s, uint32_t ref)
{
    *link_of(s, ref) = s->free;
    s->free = ref;
}
