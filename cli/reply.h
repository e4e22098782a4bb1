/* Typed members of a reply. Each takes what the API promises and nothing else. */
#ifndef CLI_REPLY_H
#define CLI_REPLY_H

#include <jansson.h>

#include "base/bytes.h"

const char *reply_text(const json_t *reply, const char *name); /* NULL if absent or no text */
bool reply_hex(const json_t *reply, const char *name, uint8_t *out, size_t n);
bool reply_id(const json_t *reply, const char *name, struct id *ret_id);
bool reply_number(const json_t *reply, const char *name, uint64_t max, uint64_t *ret_value);
/* "the server's answer lacks NAME": EXIT_OTHER. */
int reply_report(const char *what);

#endif
