/* Spans of time as clients of the Vault-compatible face write them. */
#ifndef COMPAT_DURATION_H
#define COMPAT_DURATION_H

#include <stdbool.h>
#include <stdint.h>

/* "90", "90s", "1h30m": seconds. false for anything else, or above 2^31. */
bool duration_parse(const char *text, uint64_t *ret_s);

#endif
