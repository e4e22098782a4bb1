/* Hours of the week, UTC, as people write them: "08-20" or "mon-fri 08-20". */
#ifndef BASE_HOURS_H
#define BASE_HOURS_H

#include "base/bytes.h"

struct hours {
    uint8_t days; /* bit 0 Monday; 0: no hours at all */
    uint8_t from; /* inclusive, 0 to 24 */
    uint8_t to;   /* exclusive */
};

/* Days and hours may each wrap around; the hours after midnight belong to the day they are on.
 * Empty text: no days. false: something else. */
bool hours_parse(struct span text, struct hours *ret_hours);
/* One hour: day 0 to 6 from Monday, hour 0 to 23. */
bool hours_include(const struct hours *h, unsigned day, unsigned hour);
bool hours_hold(const struct hours *h, uint64_t time_us);

#endif
