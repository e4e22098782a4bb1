/*
 * What waits for the engine's thread, by client: whoever sends much waits behind itself and not in
 * front of others. Requests are taken from the clients in turn, each client's own in their order.
 * A client is a certificate (its SubjectPublicKeyInfo, which the face has verified); all peers
 * without one are one client, the local socket is one. The engine's lock is around it.
 */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include "engine/engine.h"

#define QUEUE_TAKEN (2 * LIMIT_BATCH_ENTRIES) /* at once */

struct queue;

/* per_client: how many of one client's may wait, 0 for any number. NO_MEMORY. */
MUST_CHECK status queue_new(size_t per_client, struct queue **ret_queue, struct err *e);
void queue_free(struct queue *q); /* requests in it stay the caller's */

/* Takes rq until queue_take. If too many of its client's wait it is marked `crowded`: it will be
 * taken soon, to be refused. One that comes back from waiting for records always has room. */
void queue_add(struct queue *q, struct request *rq);
/* At most max (2 or more), as a list by next: half of them to be refused, if there are so many, and
 * then one of each client in turn. NULL: there are none. */
struct request *queue_take(struct queue *q, size_t max);
/* What was taken and not used, in the order in which it was taken: it is first in turn again. */
void queue_return(struct queue *q, struct request *list);

/* engine.c, under its lock: what waits, without waiting for more (NULL: nothing does); and what did
 * not come into the batch, which waits with what has come meanwhile, so that nobody stands behind
 * all that one client had sent before. */
struct request *engine_take(struct engine *en);
void engine_give_back(struct engine *en, struct request *list);

size_t queue_size(const struct queue *q);
size_t queue_clients(const struct queue *q); /* with something in it */

#endif
