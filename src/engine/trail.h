/* Logs by name, and the vault tree's checkpoints. */
#ifndef ENGINE_TRAIL_H
#define ENGINE_TRAIL_H

#include "internal.h"
#include "ledger/proof.h"

/* The log that the path names, as far as this peer may see it. */
status trail_find(struct engine *en, struct request *rq, struct id *ret_log, struct err *e);

/* The log's checkpoint, signed afresh. Speaks to the keeper. */
status trail_checkpoint(struct engine *en, const struct id *log, json_t **ret_note, struct err *e);

/* commitment.c */
#define COSIGNATURES_MAX 15 /* a note may have 16 lines, and one is ours */
/* The newest checkpoint of the vault tree that witnesses have signed, with their lines; NULL if
 * there is none. */
status cosigned_note(struct engine *en, json_t **ret_note, uint64_t *ret_size, struct err *e);
/* The same as member "cosigned". */
status cosigned_add(struct engine *en, json_t *reply, struct err *e);

/* proof.c */
json_t *proof_json(const struct ledger_proof *p); /* base64, or NULL without memory */

#endif
