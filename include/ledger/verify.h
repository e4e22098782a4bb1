/*
 * Verifies a log from its records alone: feed every line in order, then finish against a
 * checkpoint. Pure: no I/O, no clock. The first bad record is named with a literal reason:
 *
 *   malformed, wrong log, wrong sequence,      the record at bad_seq itself
 *   time runs backwards, log is full
 *   prev does not match                        it, or the one before it, was changed
 *   size differs from checkpoint               the first missing or the first not signed for
 *   root differs                               the last, unless several were rewritten
 *   malformed checkpoint, bad signature,       bad_seq is the number of records
 *   checkpoint of another log
 */
#ifndef LEDGER_VERIFY_H
#define LEDGER_VERIFY_H

#include "ledger/checkpoint.h"
#include "ledger/proof.h"
#include "ledger/record.h"

struct ledger_verify {
    struct id vault;
    struct ledger_tree tree; /* of the records fed so far */
    bool begun_within;       /* the next line's prev is not known */
    struct record_head head; /* of the last good line */
    bool failed;
    uint64_t bad_seq; /* position of the first bad record */
    struct err err;   /* why */
};

void ledger_verify_init(struct ledger_verify *v, const struct id *vault, const struct id *log);
/* Begins at record from, behind the perfect subtrees in left. CORRUPT, and not begun, if they are
 * not as many as from has. */
MUST_CHECK status ledger_verify_from(struct ledger_verify *v, const struct id *vault,
                                     const struct id *log, uint64_t from,
                                     const struct ledger_proof *left, struct err *e);
/* Checks form, log, sequence, prev and time order, then appends. After a failure it stays failed.
 * CORRUPT names the reason in *e. */
MUST_CHECK status ledger_verify_line(struct ledger_verify *v, struct span line, struct err *e);
/* Signature, size and root of note against what was fed. */
MUST_CHECK status ledger_verify_finish(struct ledger_verify *v, struct span note,
                                       struct span public32, struct err *e);

#endif
