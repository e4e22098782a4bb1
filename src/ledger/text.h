/* Text forms that records and checkpoints share. Private to the module. */
#ifndef LEDGER_SRC_TEXT_H
#define LEDGER_SRC_TEXT_H

#include "base/bytes.h"
#include "base/clock.h"

/* Bytes of the UTF-8 character (RFC 3629) that s begins with: 1 to 4, or 0 if it is none. */
size_t text_character(struct span s);

/* How many bytes s begins with that need no look in a string: ASCII from the space on, but for
 * quotes and backslashes. */
size_t text_plain_run(struct span s);

/* value in decimal, without leading zeros. */
void text_number_put(struct out *o, uint64_t value);
/* Exactly what text_number_put writes for a value of at most max; false otherwise. */
bool text_number_parse(struct span text, uint64_t max, uint64_t *ret_value);

/* in in lower-case hex. */
void text_hex_put(struct out *o, struct span in);

/* time_us as base/clock writes it; an instant that has no such form sets overflow. */
void text_time_put(struct out *o, uint64_t time_us);

#endif
