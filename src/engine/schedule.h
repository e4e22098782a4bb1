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

#endif
