/*
 * C2SP signed notes: lines of text, an empty line, and lines of signatures. The text is whatever
 * stands before the last empty line.
 *
 *   U+2014 <name> <base64(key id 4 | signature)>
 *
 * Two kinds of keys are known: Ed25519 over the text (type 1), and the timestamped cosignatures of
 * witnesses over a checkpoint (type 4, C2SP tlog-cosignature, Ed25519).
 */
#ifndef LEDGER_NOTE_H
#define LEDGER_NOTE_H

#include "base/bytes.h"
#include "base/status.h"

#define NOTE_ED25519     0x01
#define NOTE_COSIGNATURE 0x04
#define NOTE_NAME_MAX    255
#define NOTE_KEY_ID      4
#define NOTE_SIGNATURES  16 /* lines that a note may have */

struct note_key {
    uint8_t type;
    uint8_t id[NOTE_KEY_ID]; /* SHA-256(name | "\n" | type | public key)[0:4] */
    uint8_t public32[32];
    size_t name_length;
    uint8_t name[NOTE_NAME_MAX];
};

/* BAD_INPUT unless name is 1 to 255 printable ASCII characters without space and plus sign. */
MUST_CHECK status note_key_set(struct note_key *ret_key, struct span name, uint8_t type,
                               struct span public32, struct err *e);
/* From  name+<key id in 8 hex digits>+<base64(type | public key)>. BAD_INPUT unless the three fit
 * together and the type is known. */
MUST_CHECK status note_key_parse(struct span text, struct note_key *ret_key, struct err *e);
/*
 * CORRUPT: "malformed note"; "bad signature" if a line claims to be by this key and is not;
 * "not signed by this key". *ret_time_s is when a witness signed, 0 for a key of type 1; NULL is
 * allowed. Signatures of other keys are passed over.
 */
MUST_CHECK status note_verify(struct span note, const struct note_key *key, uint64_t *ret_time_s,
                              struct err *e);

#endif
