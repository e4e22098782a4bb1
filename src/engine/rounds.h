/* Checkpoints of logs that changed, and rounds of the vault tree. */
#ifndef ENGINE_ROUNDS_H
#define ENGINE_ROUNDS_H

#include "internal.h"

status rounds_new(struct rounds **ret_rounds, struct err *e);
void rounds_free(struct rounds *r);
status rounds_start(struct engine *en, struct err *e); /* all logs are due */
void rounds_forget(struct rounds *r);
/* A log has grown. Without memory to note it the hourly round finds it. */
void rounds_heard(struct rounds *r, const struct id *log);
bool rounds_work(struct engine *en); /* a slice; true if there is more */

#endif
