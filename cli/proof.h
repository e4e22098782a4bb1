/* Proofs as the API gives them: lists of hashes in base64. */
#ifndef CLI_PROOF_H
#define CLI_PROOF_H

#include <jansson.h>

#include "ledger/proof.h"

struct cli;

/* A list of hashes; false if it is none, or longer than any proof. */
bool proof_parse(const json_t *list, struct ledger_proof *ret);
/* What stands left of records [from, to) of a log and right of them in its tree of size. */
struct proof_sides {
    struct ledger_proof left;
    struct ledger_proof right;
};
int proof_fetch_range(struct cli *c, const char *log, uint64_t from, uint64_t to, uint64_t size,
                      struct proof_sides *ret);

#endif
