/*
 * Names of people stand in records as tags, so that a name can be forgotten without touching what
 * was signed: whoever has salt and name can show that a tag means them, nobody can guess.
 *
 *   tag = first 16 bytes of SHA-256(LBL("person"; salt 16, name))      in a record: "~<32 hex>"
 */
#ifndef LEDGER_PERSON_H
#define LEDGER_PERSON_H

#include "base/bytes.h"

#define PERSON_TAG         16
#define PERSON_SALT        16
#define PERSON_TEXT_LENGTH (1 + 2 * PERSON_TAG) /* of a tag in a record */

void person_tag(const uint8_t salt[static PERSON_SALT], struct span name,
                uint8_t out[static PERSON_TAG]);
/* With the "~", and a NUL. */
void person_text(const uint8_t tag[static PERSON_TAG], char out[static PERSON_TEXT_LENGTH + 1]);
/* false: not a tag as it stands in records. */
bool person_parse(struct span text, uint8_t out[static PERSON_TAG]);

#endif
