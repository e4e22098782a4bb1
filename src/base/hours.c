/* Days by their first three letters, hours by two digits. */
#include "base/hours.h"

#include <string.h>

#include "base/clock.h"

#define HOUR_US (3600 * SECOND_US)

static bool day_parse(const uint8_t *text, unsigned *ret_day)
{
    static const char days[] = "montuewedthufrisatsun";

    for (*ret_day = 0; *ret_day < 7; ++*ret_day) {
        if (memcmp(text, days + 3 * (size_t)*ret_day, 3) == 0)
            return true;
    }
    return false;
}

static bool hour_parse(const uint8_t *text, uint8_t *ret_hour)
{
    bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';

    *ret_hour = digits ? (uint8_t)(10 * (text[0] - '0') + text[1] - '0') : 0;
    return digits && *ret_hour <= 24;
}

bool hours_parse(struct span text, struct hours *ret_hours)
{
    unsigned first = 0, last = 6;

    *ret_hours = (struct hours){ 0 };
    if (text.n == 0)
        return true;
    if (text.n == 13) {
        if (!day_parse(text.p, &first) || text.p[3] != '-' || !day_parse(text.p + 4, &last) ||
            text.p[7] != ' ')
            return false;
        text = span_of(text.p + 8, text.n - 8);
    }
    if (text.n != 5 || !hour_parse(text.p, &ret_hours->from) || text.p[2] != '-' ||
        !hour_parse(text.p + 3, &ret_hours->to) || ret_hours->from == ret_hours->to)
        return false;
    for (unsigned day = first;; day = (day + 1) % 7) {
        ret_hours->days |= (uint8_t)(1u << day);
        if (day == last)
            return true;
    }
}

bool hours_include(const struct hours *h, unsigned day, unsigned hour)
{
    bool within =
        h->from < h->to ? hour >= h->from && hour < h->to : hour >= h->from || hour < h->to;

    return (h->days & 1u << day) != 0 && within;
}

bool hours_hold(const struct hours *h, uint64_t time_us)
{
    uint64_t hour = time_us / HOUR_US;

    return hours_include(h, (unsigned)((hour / 24 + 3) % 7), (unsigned)(hour % 24)); /* Thursday */
}
