/* The engine's side of a batch: entries for the keeper, and the transaction that stores what comes
 * back. */
#ifndef ENGINE_BATCH_H
#define ENGINE_BATCH_H

#include "internal.h"

void batch_run(struct engine *en, struct request **queue); /* takes requests off the queue */
status batch_entry(struct engine *en, struct request *rq, const struct wire_entry *entry,
                   struct err *e);
/* A batch of the engine's own: begin, batch_entry(en, NULL, ...), finish. */
bool batch_full(const struct engine *en);
status batch_begin(struct engine *en, struct err *e);
struct batch_listener {
    status (*result)(struct engine *en, const struct wire_result *r, void *context, struct err *e);
    void (*record)(const struct wire_record *r, void *context); /* may be NULL */
    void *context;
};
/* For entries whose failure is as good as success, or at least no reason to stop. */
extern const struct batch_listener batch_tolerant;
/* Without entries: rolls back and says OK. listener may be NULL: any failed entry is an error. */
status batch_finish(struct engine *en, const struct batch_listener *listener, struct err *e);
/* Stores records and heads of a WIRE_BATCH or WIRE_RECOVER reply in the open transaction. */
status batch_store(struct engine *en, struct in *body, const struct batch_listener *listener,
                   uint64_t *ret_number, struct err *e);

/* An empty batch: tells the keeper that everything so far is durable. */
status batch_acknowledge(struct engine *en, struct err *e);
/* One entry as a batch of its own. */
status batch_single(struct engine *en, const struct wire_entry *entry,
                    const struct batch_listener *listener, struct err *e);

#endif
