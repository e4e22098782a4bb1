/* From an open keeper to a serving vault and back: database and keyring are brought together. */
#ifndef ENGINE_ATTACH_H
#define ENGINE_ATTACH_H

#include "internal.h"

/* attach.c */
/* created: init made the vault just now, so that there is no database yet. */
status engine_attach(struct engine *en, bool created, struct err *e);
void engine_detach(struct engine *en);
/* Lets the database know how old the keyring of en->hello is, so that no older one follows. */
status keyring_note_age(struct engine *en, struct err *e);

struct cells;

/* rebuild.c: certificates, grants and live leases, from the database into memory */
status rebuild(struct engine *en, const struct cells *cells, struct err *e);
/* How long a record matters to the live leases: for struct store_record. */
uint64_t lease_until(const struct store_record *r);

/* reconcile.c: the database follows the keyring */
status reconcile(struct engine *en, struct cells *cells, struct err *e);
status reconcile_purged(struct engine *en, struct err *e); /* engagements whose keys are gone */

/* destroy.c */
status destroy_grace_over(struct engine *en, struct err *e); /* replaced versions */
status destroy_revoked(struct engine *en, struct err *e);    /* what still lives of revoked keys */

#endif
