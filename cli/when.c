#include "when.h"

#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"

static bool ago(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', DAY_S }, { 'w', 7 * DAY_S } };
    size_t n = strlen(text);
    char digits[10] = "";
    uint64_t count = 0;

    if (n < 2 || n - 1 >= sizeof(digits))
        return false;
    memcpy(digits, text, n - 1);
    if (!number_parse(digits, 0, UINT32_MAX, &count))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text[n - 1] == units[i].unit) {
            uint64_t passed = count * units[i].seconds * SECOND_US;

            *ret_us = passed < now_us ? now_us - passed : 0;
            return true;
        }
    }
    return false;
}

/* Exactly n digits, as a number within [min, max]; moves *at behind them. */
static bool digits(const char **at, size_t n, int min, int max, int *ret)
{
    int value = 0;

    for (size_t i = 0; i < n; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return false;
        value = value * 10 + ((*at)[i] - '0');
    }
    *at += n;
    *ret = value;
    return value >= min && value <= max;
}

static bool passes(const char **at, char c)
{
    if (**at != c)
        return false;
    ++*at;
    return true;
}

static bool date(const char **at, struct tm *t)
{
    bool fine = digits(at, 4, 1970, 9999, &t->tm_year) && passes(at, '-') &&
                digits(at, 2, 1, 12, &t->tm_mon) && passes(at, '-') &&
                digits(at, 2, 1, 31, &t->tm_mday);

    t->tm_year -= 1900;
    t->tm_mon -= 1;
    return fine;
}

/* Up to six digits of a second's fraction. */
static bool fraction(const char **at, uint64_t *ret_us)
{
    uint64_t unit = 100000;
    const char *from = *at;

    for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        *ret_us += unit * (uint64_t)(**at - '0');
    return *at > from && *at - from <= 6;
}

static bool offset(const char **at, int64_t *ret_seconds)
{
    int hours = 0;
    int minutes = 0;
    int sign = **at == '-' ? 1 : -1; /* east of Greenwich it is later */

    if (**at == '\0' || passes(at, 'Z'))
        return true;
    if (!passes(at, '+') && !passes(at, '-'))
        return false;
    if (!digits(at, 2, 0, 23, &hours) || !passes(at, ':') || !digits(at, 2, 0, 59, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool clock_time(const char **at, struct tm *t, uint64_t *ret_us)
{
    if (!digits(at, 2, 0, 23, &t->tm_hour) || !passes(at, ':') || !digits(at, 2, 0, 59, &t->tm_min))
        return false;
    if (!passes(at, ':'))
        return true;
    return digits(at, 2, 0, 59, &t->tm_sec) && (!passes(at, '.') || fraction(at, ret_us));
}

bool when_parse(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    struct tm t = { 0 };
    const char *at = text;
    uint64_t us = 0;
    int64_t shift = 0;

    if (ago(text, now_us, ret_us))
        return true;
    if (!date(&at, &t))
        return false;
    int day = t.tm_mday;

    if (*at != '\0' && ((!passes(&at, 'T') && !passes(&at, ' ')) || !clock_time(&at, &t, &us) ||
                        !offset(&at, &shift)))
        return false;
    int64_t seconds = (int64_t)timegm(&t) + shift;

    if (*at != '\0' || t.tm_mday != day || seconds < 0)
        return false;
    *ret_us = (uint64_t)seconds * SECOND_US + us;
    return true;
}
