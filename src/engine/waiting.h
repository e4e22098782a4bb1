/* Requests that are answered when there is a record for them. */
#ifndef ENGINE_WAITING_H
#define ENGINE_WAITING_H

#include "engine/engine.h"

struct waiting {
    struct request *first, **last;
    size_t count;
    uint64_t stored; /* bits of logs that got records since somebody was last woken */
};

/* A read that found nothing of a log (NULL: of any) waits if it may: true. It will be decided anew,
 * and waits no longer than it asked for. */
bool waiting_begin(struct engine *en, struct request *rq, const struct id *log);
void waiting_add(struct engine *en, struct request *rq); /* when its batch is done */
void waiting_stored(struct engine *en, const struct id *log);
/* Queues again whose time or record has come, a few at once: true if there are more. */
bool waiting_wake(struct engine *en);
void waiting_end(struct engine *en); /* the engine stops: answers them all */

#endif
