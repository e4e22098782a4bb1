/* The two halves of the bundle verifier: the order of lines, and what stands beside the records.
 * Private to the module. */
#ifndef LEDGER_SRC_BUNDLE_LINES_H
#define LEDGER_SRC_BUNDLE_LINES_H

#include "ledger/bundle.h"

/* In the order in which they stand. Lines of a kind below the stage are out of place. */
enum stage {
    STAGE_HEADER,
    STAGE_LEFT,
    STAGE_RECORDS,
    STAGE_RIGHT,
    STAGE_PERSONS,
    STAGE_OPERATORS,
    STAGE_VAULT_CHECKPOINT,
    STAGE_COMMITMENT,
    STAGE_CHECKPOINT,
    STAGE_DONE
};

/* Fails at record seq. The first failure is kept. */
#define bundle_refuse(b, seq, why, e) \
    bundle_failed((b), (seq), fail(&(b)->err, CORRUPT, why, (seq)), (e))
status bundle_failed(struct bundle *b, uint64_t seq, status code, struct err *e);

/* One line each, of the kinds after the records. */
status bundle_person(struct bundle *b, struct span line, struct err *e);
status bundle_operator(struct bundle *b, struct span line, struct err *e);
status bundle_vault_checkpoint(struct bundle *b, struct span line, struct err *e);
status bundle_commitment(struct bundle *b, struct span line, struct err *e);
/* Which of the witnesses have signed note. "bad signature" if a line claims so falsely. */
status bundle_witnesses(struct bundle *b, struct span note, struct err *e);
/* The text of a line  {name:TEXT} ; false if it is none. bytes holds BUNDLE_LINE_MAX. */
bool bundle_text(struct span line, const char *name, uint8_t *bytes, struct span *ret_text);

#endif
