/*
 * A keyring that takes the place of another: the same vault under a new root key. It is built in
 * the spare file in slices, while today's keyring goes on being changed, and then the two names
 * are exchanged. A crash leaves the old keyring or the new one, never neither, never a mixture;
 * opening wipes whatever is in the other file.
 *
 *   keyring_successor; since = keyring_seq(k); put all live cells of k, wrapped anew, into next
 *   repeat:  mark = keyring_seq(k)
 *            keyring_next_since(k, since): put what lives into next, destroy what died there
 *            since = mark
 *   until nothing came and the counts of each type are equal; keyring_succeed
 *
 * What is the vault's and not a cell or slot (vault, region, anchor) the caller carries over in
 * info. Tombstones stay behind: those not yet proven should be, before.
 */
#ifndef KEYRING_SUCCESSOR_H
#define KEYRING_SUCCESSOR_H

#include "keyring/keyring.h"

/* An empty successor in the spare file, MACed with mac_key (borrowed). All functions on cells work
 * on it as on any keyring, but no commit of it is durable, and it has no slots before it succeeds.
 * k stays what it is; from here on it keeps every tombstone. Ends in keyring_succeed or
 * keyring_abandon (keyring_close of next is the same), in any case before k is closed.
 * CONFLICT if there is a successor, LOCKED unless k is authenticated, BAD_INPUT if info is of
 * another vault or its region is not terminated, LIMIT if the disk has no room, IO. */
MUST_CHECK status keyring_successor(struct keyring *k, const struct keyring_info *info,
                                    const struct secret *mac_key, struct keyring **ret_next,
                                    struct err *e);

/*
 * Replaces *k by *next for good, with slots and info as given. In order:
 *   1 write slots and both superblocks   2 sync
 *   3 exchange the names                 4 sync the directory
 *   5 overwrite the old keyring with random bytes   6 sync   7 cut it to nothing   8 sync
 * A crash before the end of 4 leaves the old keyring or the new one, later the new one.
 * OK: the old keyring is closed, *k is the new one, open and authenticated with next's key, and
 *     *next is NULL. What keyring_info returned before is gone.
 * IO: final for both, which refuse further use and are to be closed. Opening tells which it is.
 * Anything else: nothing changed in *k, and *next is only good to be abandoned. CONFLICT if
 *     changes are staged in either, BAD_INPUT if info or slots are not valid or two slots have
 *     one id, LIMIT if there are too many or the file system cannot exchange names.
 */
MUST_CHECK status keyring_succeed(struct keyring **k, struct keyring **next,
                                  const struct keyring_info *info, const struct slot *slots,
                                  size_t slot_count, struct err *e);

/* Ends *next (NULL: nothing) and wipes the spare; *next is NULL. If wiping fails, no further
 * successor is possible before the keyring is opened again, which wipes it. */
void keyring_abandon(struct keyring *k, struct keyring **next);

/* The last change that was committed; grows with every change. A successor counts its own. */
uint64_t keyring_seq(const struct keyring *k);
/* What changed after `since`, in file order: cells that live, and as tombstones (`was`, `reason`)
 * those that died and did not come back, even if the caller never saw them live (destroying them
 * in next is then NOT_FOUND). Start with *cursor = 0; for use while nothing is staged. Complete
 * while k has a successor, for changes after that one's beginning. Ends early like keyring_next. */
bool keyring_next_since(const struct keyring *k, uint64_t since, size_t *cursor,
                        struct cell *ret_cell);

#endif
