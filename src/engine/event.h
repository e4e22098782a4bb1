/* What the files about revocations share: the events in memory, and who is to hear of them. */
#ifndef ENGINE_EVENT_H
#define ENGINE_EVENT_H

#include "base/table.h"
#include "events.h"

struct event {
    uint64_t number;
    uint64_t time_us;
    uint16_t type;
    uint32_t version;
    struct id log; /* the tenant's; zero: the vault's */
    struct id key, lease, engagement;
    struct id holder; /* of the lease, if it is still known */
    char tenant[STORE_NAME];
    char name[STORE_PATTERN]; /* of the key, or the grant's pattern */
    char gateway[STORE_NAME]; /* that it is about */
};

struct events {
    struct event *ring;
    size_t count, newest; /* newest: where the next one goes */
    uint64_t lost;        /* the number of the last event that is not held any more */
    uint64_t last;        /* of the last event */
    uint64_t settled;     /* up to here nothing is acknowledged any more */
    bool fresh;           /* something was stored that was not read yet */
    struct table held, acknowledged;
    size_t held_most; /* as many as there may be before those are dropped that are over */
};

/* The i-th of those that are held, oldest first. */
const struct event *event_at(const struct events *r, size_t i);
/* The index of the first one with a number above after; r->count: none has. */
size_t event_first_after(const struct events *r, uint64_t after);

/* audience.c */
void audience_init(struct events *r);
bool event_is_visible(const struct engine *en, const struct request *rq, const struct event *v);

/* acknowledge.c */
void acknowledged_init(struct events *r);
status acknowledged_rebuild(struct engine *en, struct err *e);

#endif
