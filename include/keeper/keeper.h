/*
 * The keeper: the only process that holds root, tenant, data and ledger keys. It answers one
 * message at a time and has no other input than its socket, its keyring and the clock.
 *
 * Must:
 *  1. A provider key is opened only by a batch entry that also appends the record of that lease,
 *     and the keeper itself writes key, version, lease, gateway and expiry into that record.
 *  2. The reply to a batch leaves only after the keyring changes in it are durable.
 *  3. The records of a batch are kept until a later one acknowledges them, so that a server that
 *     died in between cannot make one disappear: of two batches at most, the newer one of leases.
 *  4. Keys of an ended engagement die when they are due, locked or not, with or without a server.
 *  5. Time is max(clock, last recorded). A jump of more than a day ahead of the monotonic clock
 *     holds purges until an operator confirms.
 *  6. A privileged operation happens only if the touches of enough operators, each sealed together
 *     with exactly this operation, have opened their slots.
 *  7. A slot rolls whenever its secret was used; the root rotates whenever who shares it changes.
 *  8. Anything malformed is refused as a whole and changes nothing.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include <signal.h>

#include "base/bytes.h"
#include "base/status.h"

struct keeper;

struct keeper_settings {
    const char *keyring_dir;
    bool allow_cow;
    /* All may be NULL. created is called when INIT has made the keyring, before its reply: the
     * process needs fewer rights from then on. A failure ends the process. */
    status (*created)(struct err *e);
    /* keeper_serve returns once it is set. */
    const volatile sig_atomic_t *stop;
    uint64_t unlocked_max_s; /* locks itself when unlocked for that long; 0: never */
    uint64_t idle_lock_s;    /* or without a request for that long; 0: never */
    /* keeper_serve closes the slab while it waits: nothing else in the process may use it. */
    bool close_slab;
    /* Clocks of tests; NULL: the real ones. */
    uint64_t (*now_wall_us)(void);
    uint64_t (*now_monotonic_us)(void);
    status (*selftest)(struct err *e); /* of tests; NULL: crypto_selftest */
};

/* Slab bytes that a keeper needs from secret_start. */
#define KEEPER_SLAB ((size_t)2 * 1024 * 1024)

/* Opens the keyring and the journal if they exist (else the state is EMPTY). The directory must
 * exist. CONFLICT if another keeper has it. A keyring that cannot be read leaves the keeper
 * BROKEN, which is not an error here: it still answers HELLO with the reason. */
MUST_CHECK status keeper_new(const struct keeper_settings *settings, struct keeper **ret_keeper,
                             struct err *e);
void keeper_free(struct keeper *k);
/* enum hygiene_fact bits of this process, for HELLO; 0 until told. */
void keeper_tell_hygiene(struct keeper *k, uint32_t facts);
/* No vault yet: INIT will need to create files. */
bool keeper_is_empty(const struct keeper *k);

/* Answers one frame: writes the reply to reply (capacity LIMIT_FRAME), length to *ret_length.
 * Never fails: refusals are replies. A poisoned keyring ends the process (fail closed). */
void keeper_answer(struct keeper *k, struct span frame, struct mspan reply, size_t *ret_length);

/* Destroys what is due; called when keeper_wait_ms is over and before each answer. */
void keeper_tick(struct keeper *k);
/* Milliseconds until the next tick is needed, at most 30,000. */
int keeper_wait_ms(const struct keeper *k);

/* One slice, under a millisecond, of what can wait until no message does: rotating the root or a
 * tenant. true if there is more to do. */
bool keeper_work(struct keeper *k);

/* Reads frames from fd until it closes, ticking in between. Wipes everything before returning. */
MUST_CHECK status keeper_serve(struct keeper *k, int fd, struct err *e);

#endif
