/* Why a trail that was signed never goes back. */
#ifndef KEEPER_MOMENT_H
#define KEEPER_MOMENT_H

#include "base/bytes.h"
#include "base/status.h"

struct keeper;

/* Of which run the current heads are. */
struct moment {
    uint32_t run; /* 0: from before there were runs */
    bool begun;   /* by this life of the heads; else run is the one they were loaded from */
};

uint64_t moment_anchored(const struct keeper *k); /* records that the keyring's anchor covers */
/* The anchor that covers all records known to be durable. */
uint64_t moment_anchor(const struct keeper *k);
/* To be called before the first record of a life leaves: its run is in the keyring. */
void moment_begin(struct keeper *k);
/* What a head adds to the sum that is sealed; and what makes it (crypto_mac_begin). */
MUST_CHECK status moment_term(struct keeper *k, struct span head, uint8_t out[static 32],
                              struct err *e);
MUST_CHECK status moment_term_key(const struct keeper *k, struct secret **ret_mac_key,
                                  struct err *e);
/* Seals the heads as they will be once the batch holds. */
MUST_CHECK status moment_seal(const struct keeper *k, struct out *out, struct err *e);
/* CORRUPT if the loaded heads are not of one moment, or of one before the anchor unless old ones
 * are expected. */
MUST_CHECK status moment_load(struct keeper *k, struct span seal, bool old, struct err *e);

#endif
