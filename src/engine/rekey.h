/* Another database key: a copy of the database, made in slices. */
#ifndef ENGINE_REKEY_H
#define ENGINE_REKEY_H

#include "internal.h"

status database_watch(struct engine *en, struct err *e);   /* begins it if the keeper has one */
bool database_rekey(struct engine *en);                    /* a slice; true if there is more */
status database_rekeyed(struct engine *en, struct err *e); /* tells the keeper that it is done */

#endif
