/* What a witness is asked and what it answers: C2SP tlog-witness, add-checkpoint. */
#ifndef CLI_WITNESS_H
#define CLI_WITNESS_H

#include "base/bytes.h"
#include "ledger/note.h"

#define WITNESS_PROOF_MAX 63

/* A checkpoint's size line. false if text is no checkpoint. */
bool witness_size(struct span note, uint64_t *ret_size);

/* What the answer asks for. */
enum witness_verdict {
    WITNESS_SIGNED,
    WITNESS_OTHER_SIZE, /* its tree has another size than the request said */
    WITNESS_FORK,       /* it saw another history */
    WITNESS_NO_KEY,     /* none of the signatures is by a key that it knows for this log */
    WITNESS_NO_LOG,
    WITNESS_BUSY,   /* it failed: later */
    WITNESS_MISFIT, /* request or answer is not what the protocol says */
};
struct witness_answer {
    long status;
    char type[64]; /* Content-Type */
    struct span body;
};
/* size: of its tree, with WITNESS_OTHER_SIZE. */
enum witness_verdict witness_verdict(const struct witness_answer *a, uint64_t *ret_size);
/* The line of the body that is key's good signature over note, without its newline. CORRUPT if
 * there is none. */
MUST_CHECK status witness_line(struct span body, struct span note, const struct note_key *key,
                               struct span *ret_line, uint64_t *ret_time_s, struct err *e);

#endif
