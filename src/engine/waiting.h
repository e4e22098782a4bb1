/* Requests that are answered when there is a record for them. */
#ifndef ENGINE_WAITING_H
#define ENGINE_WAITING_H

#include "base/table.h"
#include "engine/engine.h"

struct waiting {
    struct request *first, **last;
    size_t count;
    size_t events;       /* of these, for the next event of events.h */
    struct table people; /* how many requests of each certificate */
    uint64_t stored;     /* bits of logs that got records since somebody was last woken */
    bool event;          /* there was an event since */
};

/* A read that found nothing of a log (NULL: of any) waits if it may: true. It will be decided anew,
 * and waits no longer than it asked for. */
bool waiting_begin(struct engine *en, struct request *rq, const struct id *log);
/* The same for the next event, after waiting_admit: a stream that may not wait is LIMIT, since it
 * would ask again at once. */
status waiting_admit(struct engine *en, struct request *rq, struct err *e);
bool waiting_begin_event(struct engine *en, struct request *rq);
void waiting_add(struct engine *en, struct request *rq); /* when its batch is done */
void waiting_stored(struct engine *en, const struct id *log);
/* Queues again whose time or record has come, a few at once: true if there are more. */
bool waiting_wake(struct engine *en);
void waiting_end(struct engine *en); /* the engine stops: answers them all */

#endif
