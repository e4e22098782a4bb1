/* Dropping old records of tenants who allowed it: see retention.c. */
#ifndef ENGINE_RETENTION_H
#define ENGINE_RETENTION_H

#include "internal.h"

/* Once a day, and after an attach: states what is old enough; what is stated is no longer read. */
status retention_state(struct engine *en, struct err *e);
/* Deletes a few slices of what was stated. */
status retention_delete(struct engine *en, struct err *e);
/* What a record that a dead server did not get to changes, in the open transaction. */
status retention_recover(struct engine *en, const struct wire_record *r, struct err *e);
/* NOT_FOUND, and gone, if log begins after from. */
status retention_kept(struct engine *en, struct request *rq, const struct id *log, uint64_t from,
                      struct err *e);

#endif
