/* Moments as people write them. */
#ifndef CLI_WHEN_H
#define CLI_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A time ago ("90s", "30m", "2h", "7d", "4w") or a UTC time ("2026-11-21", "2026-11-21T08:30",
 * "2026-11-21T08:30:33Z", with a fraction of up to 6 digits or an offset like +01:00; a space may
 * stand for the T). Microseconds since 1970; false for anything else.
 */
bool when_parse(const char *text, uint64_t now_us, uint64_t *ret_us);

#endif
