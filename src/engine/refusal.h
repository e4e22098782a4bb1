/* Refusals are records; floods of one actor are counted instead of written. */
#ifndef ENGINE_REFUSAL_H
#define ENGINE_REFUSAL_H

#include "internal.h"

status refusals_new(struct refusals **ret_refusals, struct err *e);
void refusals_free(struct refusals *r);
/* Adds the record of rq's refusal to the batch, or counts it. */
status refusal_record(struct engine *en, struct request *rq, struct err *e);
status refusals_flush(struct engine *en, bool all,
                      struct err *e); /* aggregates whose minute is over */

#endif
