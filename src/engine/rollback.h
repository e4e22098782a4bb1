/* An older database or keyring: what is said of it, and what follows when it was accepted. */
#ifndef ENGINE_ROLLBACK_H
#define ENGINE_ROLLBACK_H

#include "internal.h"

const char *rollback_why(const struct engine *en); /* literal */
/* LOCKED: what was put back, and what to do. */
status rollback_refused(const struct engine *en, struct err *e);
json_t *rollback_json(const struct engine *en);
/* Notes in the transaction under way that what is there was accepted. */
status rollback_accepted(struct engine *en, struct err *e);
/* Was a rollback accepted, and is it not over? */
status rollback_under_way(struct engine *en, bool *ret, struct err *e);
/* After reconciling: tenants are told, and it is over. */
status rollback_finish(struct engine *en, struct err *e);
/* The acceptance is stored: serve. Locks again if that does not work. */
status rollback_resume(struct engine *en, struct request *rq, struct err *e);

/* attach.c */
/* Everything between the heads and the first request. */
status engine_serve(struct engine *en, bool created, struct err *e);
/* As keyring_note_age, whatever the database knew, in the transaction under way. */
status keyring_set_age(struct engine *en, struct err *e);

#endif
