/* The keyring as the keeper lists it: what there is and what it is called, without any value. */
#include "cells.h"

#include <stdlib.h>
#include <string.h>

static status cells_add(struct cells *cells, const struct wire_cell *cell, struct err *e)
{
    if (cells->count == cells->capacity) {
        size_t capacity = cells->capacity == 0 ? 1024 : cells->capacity * 2;
        struct wire_cell *wider = reallocarray(cells->list, capacity, /* public */
                                               sizeof *wider);

        if (wider == NULL)
            return fail(e, NO_MEMORY, "no memory for the keyring's cells", 0);
        cells->list = wider;
        cells->capacity = capacity;
    }
    cells->list[cells->count++] = *cell;
    return OK;
}

static int order(const void *a, const void *b)
{
    const struct wire_cell *x = a, *y = b;
    int by_id = memcmp(x->id.b, y->id.b, sizeof x->id.b);

    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    if (by_id != 0)
        return by_id;
    return x->version < y->version ? -1 : x->version > y->version;
}

status cells_list(struct engine *en, struct cells *cells, struct err *e)
{
    uint64_t cursor = 0;
    status st = OK;

    do {
        struct in body;
        uint16_t count;

        out_u64(wire_client_begin(en->client, WIRE_CELLS), cursor);
        st = engine_call(en, &body, e);
        if (st != OK)
            return st;
        cursor = in_u64(&body);
        count = in_u16(&body);
        for (uint16_t i = 0; st == OK && i < count && !body.bad; i++) {
            struct wire_cell cell;

            wire_get_cell(&body, &cell);
            if (cell.type == WIRE_CELL_DATA_KEY || cell.type == WIRE_CELL_ENGAGEMENT)
                st = cells_add(cells, &cell, e);
        }
        if (st == OK && !in_end(&body))
            st = fail(e, BUG, "the keeper's list of cells is malformed", 0);
    } while (st == OK && cursor != 0);
    if (st == OK && cells->count > 0)
        qsort(cells->list, cells->count, sizeof *cells->list, order);
    cells->stored = calloc(cells->count + 1, sizeof *cells->stored);
    return st != OK || cells->stored != NULL
               ? st
               : fail(e, NO_MEMORY, "no memory for the keyring's cells", 0);
}

void cells_cleanup(struct cells *cells)
{
    free(cells->list);
    free(cells->stored);
    *cells = (struct cells){ 0 };
}

const struct wire_cell *cells_find(const struct cells *cells, uint8_t type, const struct id *id,
                                   uint32_t version)
{
    struct wire_cell wanted = { .type = type, .id = *id, .version = version };

    return cells->count == 0 ? NULL
                             : bsearch(&wanted, cells->list, cells->count, sizeof wanted, order);
}
