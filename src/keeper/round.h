/* Rounds of the vault tree: one commitment to the states of all logs, of which each tenant is shown
 * its own branch and nothing else. */
#ifndef KEEPER_ROUND_H
#define KEEPER_ROUND_H

#include "batch.h"

struct round;
void round_free(struct round *r);
/* Forgets the round under construction and the last one. */
void round_forget_all(struct keeper *k);
/* The batch with its record holds and its heads are settled: it is the last one now. */
void round_settle(struct keeper *k);
MUST_CHECK status entry_tree_committed(struct keeper *k, struct batch *b, struct err *e);

#endif
