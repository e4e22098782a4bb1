/* Wall and monotonic time, and RFC 3339 text. Times are microseconds since 1970 UTC. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND_US ((uint64_t)1000000)
#define DAY_S     ((uint64_t)86400)

uint64_t clock_wall_us(void);
uint64_t clock_monotonic_us(void);

/* "2026-11-21T08:30:33.123456Z". Times after the year 9999 are shown as its end. */
#define TIME_TEXT_LENGTH 27
#define TIME_END_US      ((uint64_t)2932897 * DAY_S * SECOND_US) /* 10000-01-01 */
void time_format(uint64_t time_us, char out[TIME_TEXT_LENGTH + 1]);
/* Exactly that form; false otherwise. */
bool time_parse(const char *text, size_t length, uint64_t *ret_time_us);

#endif
