/* What the engine does without being asked. */
#ifndef ENGINE_SCHEDULE_H
#define ENGINE_SCHEDULE_H

#include "internal.h"

/* schedule.c */
void schedule_start(struct engine *en);
void schedule_run(struct engine *en);
status schedule_fold(struct engine *en, struct err *e);
status engagement_purge(struct engine *en, struct store_engagement *g, struct err *e);
bool schedule_disk_low(const struct engine *en);

/* rekey.c: another database key */
status database_watch(struct engine *en, struct err *e);   /* begins it if the keeper has one */
bool database_rekey(struct engine *en);                    /* a slice; true if there is more */
status database_rekeyed(struct engine *en, struct err *e); /* tells the keeper that it is done */

#endif
