/*
 * Checkpoints: C2SP signed notes in the tlog-checkpoint form, Ed25519.
 *
 *   strongroom/<vault id hex>/<log id hex>\n<size>\n<base64 root>\n
 *   \n
 *   U+2014 <origin> <base64(key id | signature)>\n
 *
 * There are no extension lines. A note may carry up to 16 signature lines; those of other keys
 * (witnesses) are passed over, those under our name and key id must all verify.
 *
 * The key name of the signature line is the origin; the key id is
 * SHA-256(name | "\n" | 0x01 | public key)[0:4], as C2SP signed-note defines.
 */
#ifndef LEDGER_CHECKPOINT_H
#define LEDGER_CHECKPOINT_H

#include "ledger/tree.h"

#define CHECKPOINT_MAX 512 /* of what checkpoint_sign writes */

MUST_CHECK status checkpoint_sign(const struct id *vault, const struct ledger_tree *t,
                                  struct span seed32, struct out *out, struct err *e);
/* The same for a state that is known by size and root. */
MUST_CHECK status checkpoint_sign_root(const struct id *vault, const struct id *log, uint64_t size,
                                       const uint8_t root[static SHA256_SIZE], struct span seed32,
                                       struct out *out, struct err *e);
/* The three lines that are signed. */
void checkpoint_text(const struct id *vault, const struct id *log, uint64_t size,
                     const uint8_t root[static SHA256_SIZE], struct out *out);
/* Verifies note against public32 and the expected vault and log. CORRUPT otherwise: "malformed
 * checkpoint", "checkpoint of another log" or "bad signature". */
MUST_CHECK status checkpoint_verify(struct span note, const struct id *vault, const struct id *log,
                                    struct span public32, uint64_t *ret_size,
                                    uint8_t ret_root[static SHA256_SIZE], struct err *e);
/* What note says of itself, verified by nobody: whose checkpoint it claims to be. ret_text is a
 * view of the three lines that are signed. CORRUPT: "malformed checkpoint". */
MUST_CHECK status checkpoint_read(struct span note, struct id *ret_vault, struct id *ret_log,
                                  uint64_t *ret_size, uint8_t ret_root[static SHA256_SIZE],
                                  struct span *ret_text, struct err *e);

#endif
