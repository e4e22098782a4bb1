/*
 * The applier: does in the database what the tail has made durable, on a thread of its own beside
 * whoever goes on appending. That one is the caller of everything here.
 *
 * The connection is the applier's from applier_give and applier_commit on, and the caller's again
 * when applier_wait returns. Whatever fails here is final: all that follows fails with it.
 */
#ifndef STORE_APPLIER_H
#define STORE_APPLIER_H

#include "base/bytes.h"
#include "base/status.h"

struct store;
struct applier;

MUST_CHECK status applier_new(struct store *s, struct applier **ret_applier, struct err *e);
/* Drops what was not begun. NULL is fine. */
void applier_free(struct applier *a);

/* Steps of the tail, which are copied. They are done by the time something waits for them. */
MUST_CHECK status applier_give(struct applier *a, struct span steps, struct err *e);
/* Once the commit before is done: a commit of what was given, with this generation of the tail. */
MUST_CHECK status applier_commit(struct applier *a, struct span generation, struct err *e);
/* Everything that was given is done. */
MUST_CHECK status applier_wait(struct applier *a, struct err *e);

#endif
