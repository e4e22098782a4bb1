/*
 * The recovery card: 32 bytes as 52 characters of base32 (RFC 4648 section 6, no padding) and 4
 * that check them, in 14 groups of 4. The check is the first 20 bits of SHA-256 of the 32 bytes:
 * it finds a slip of the pen before the vault counts a wrong try.
 */
#ifndef CLI_CARD_H
#define CLI_CARD_H

#include "base/status.h"
#include "secret/secret.h"

#define CARD_CODE       32
#define CARD_CHARACTERS 56
#define CARD_TEXT       (CARD_CHARACTERS + 13) /* with a space between the groups */
#define CARD_TEXT_MAX   256                    /* of what may be typed */

/* code is 32 bytes; the text has no NUL. */
MUST_CHECK status card_format(struct span code, struct secret **ret_text, struct err *e);
/* Lower case, spaces and hyphens are fine, and 0, 1 and 8 are read as O, I and B. BAD_INPUT with a
 * reason otherwise. */
MUST_CHECK status card_parse(struct span text, struct secret **ret_code, struct err *e);

#endif
