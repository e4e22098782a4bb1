/* A part of a trail: only its records are fetched, and what is around them comes as hashes. */
#ifndef CLI_RANGE_H
#define CLI_RANGE_H

#include "proof.h"
#include "trail.h"

struct cli;

bool range_given(const struct cli *c);
/* --from and --to, the latter exclusive, cut to what there is. After trail_open. */
int range_read(const struct cli *c, struct trail *t);
/* Around the stream of the records; after trail_begin. */
int range_begin(struct cli *c, struct trail *t, struct proof_sides *sides);
int range_end(struct cli *c, struct trail *t, const struct proof_sides *sides);

#endif
