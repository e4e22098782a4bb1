/*
 * One record with its proof, as a file of the C2SP tlog-proof form:
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64 of the record's line>
 *   index <sequence number>
 *   <base64 hash>*                         lowest level first
 *                                          (an empty line)
 *   <checkpoint, a signed note>
 *
 * That form allows other extra data or none; here the record must be there.
 */
#ifndef LEDGER_TLOG_PROOF_H
#define LEDGER_TLOG_PROOF_H

#include "ledger/note.h"
#include "ledger/verify.h"

#define TLOG_PROOF_MAGIC "c2sp.org/tlog-proof@v1\n" /* what such a file begins with */
#define TLOG_PROOF_MAX   32768

struct tlog_proof {
    uint64_t index;
    struct ledger_proof proof;
    struct span note; /* view of what was read */
    size_t record_length;
    uint8_t record[LIMIT_RECORD];
};

/* LIMIT if it does not fit. */
MUST_CHECK status tlog_proof_write(struct span record, uint64_t index,
                                   const struct ledger_proof *proof, struct span note,
                                   struct out *out, struct err *e);
/* BAD_INPUT for anything that is not of this form. The text must outlive ret. */
MUST_CHECK status tlog_proof_read(struct span text, struct tlog_proof *ret, struct err *e);
/*
 * CORRUPT unless the record is at its place in the log of a checkpoint that public32 and each
 * witness have signed. Reasons are those of ledger/verify.h, ledger/proof.h and ledger/bundle.h.
 * ret_vault, ret_head and ret_size say what was proven.
 */
MUST_CHECK status tlog_proof_verify(const struct tlog_proof *p, struct span public32,
                                    const struct note_key *witness, size_t witnesses,
                                    struct id *ret_vault, struct record_head *ret_head,
                                    uint64_t *ret_size, struct err *e);

#endif
