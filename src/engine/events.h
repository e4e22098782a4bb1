/*
 * What ended, told to the gateways that it concerns. Events are records that are stored anyway, and
 * an event's number is its record's place in the order of storage: cursors outlive every restart.
 * The newest are held in memory; whoever comes with an older cursor has to lease again.
 *
 * Must:
 *  1. A gateway sees an event if a grant of its own covers it, if it held a lease of it when it
 *     happened, or if it is about this gateway. Nothing else, and nobody else's.
 *  2. An event is told after its record is durable, and to a certificate that is still valid.
 *  3. An acknowledgement is a record, once for each event and gateway.
 */
#ifndef ENGINE_EVENTS_H
#define ENGINE_EVENTS_H

#include "internal.h"

status events_new(struct events **ret_events, struct err *e);
/* From the records that the database has. */
status events_rebuild(struct engine *en, struct err *e);
void events_free(struct events *r);
/* This lease was issued, or lives longer now: its gateway is to hear of its end. */
status events_held(struct engine *en, const struct lease *lease, struct err *e);
/* A record is being stored. */
void events_heard(struct engine *en, uint16_t type);
/* Between batches: reads what was stored, and marks those who wait for it. */
status events_read(struct engine *en, struct err *e);

#endif
