/* The keyring's live data keys and engagements, sorted, as the keeper lists them. */
#ifndef ENGINE_CELLS_H
#define ENGINE_CELLS_H

#include "internal.h"
#include "keyring_codes.h"

struct cells {
    struct wire_cell *list;
    bool *stored; /* of each: the database knows it (reconcile) */
    size_t count;
    size_t capacity;
};
status cells_list(struct engine *en, struct cells *cells, struct err *e);
void cells_cleanup(struct cells *cells);
const struct wire_cell *cells_find(const struct cells *cells, uint8_t type, const struct id *id,
                                   uint32_t version);

/* rebuild.c: certificates, grants and live leases, from the database into memory */
status rebuild(struct engine *en, const struct cells *cells, struct err *e);

/* reconcile.c: the database follows the keyring */
status reconcile(struct engine *en, struct cells *cells, struct err *e);
status reconcile_purged(struct engine *en, struct err *e); /* engagements whose keys are gone */

#endif
