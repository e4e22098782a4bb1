/*
 * Time and its one text form. The calendar arithmetic is our own because gmtime_r may
 * read the zone file on first use, which a jailed process cannot do.
 */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#define DAY_US   (DAY_S * SECOND_US)
#define DAYS_400 146097 /* days in 400 years, the period of the calendar */
#define DAYS_100 36524  /* in a century that does not end in a leap year */
#define DAYS_4   1461

/* Days from 1 March of year 0 to 1 January 1970. Counting from March puts the leap day
 * at the very end of a year, so no month needs to know whether its year is a leap year. */
#define DAYS_TO_1970 719468
struct date {
    uint64_t year;
    uint64_t month; /* 1 to 12 */
    uint64_t day;   /* 1 to 31 */
};

/* Days before each month of a year that begins in March. */
static const uint64_t month_start[12] = { 0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337 };

static uint64_t read_clock(clockid_t which)
{
    struct timespec now;

    /* Neither clock can fail on Linux; without time the program must not go on. */
    if (clock_gettime(which, &now) != 0 || now.tv_sec < 0)
        abort();
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static struct date date_of_day(uint64_t days_since_1970)
{
    uint64_t day = days_since_1970 + DAYS_TO_1970;
    uint64_t year = day / DAYS_400 * 400;
    uint64_t part = 0;
    size_t month = 11;

    day %= DAYS_400;
    /* Capped at 3: the last day of the period would start a fifth century, or year. */
    part = day / DAYS_100 < 3 ? day / DAYS_100 : 3;
    year += part * 100;
    day -= part * DAYS_100;
    year += day / DAYS_4 * 4;
    day %= DAYS_4;
    part = day / 365 < 3 ? day / 365 : 3;
    year += part;
    day -= part * 365;
    while (month_start[month] > day)
        month--;
    return (struct date){
        .year = month < 10 ? year : year + 1, /* January and February end the March year */
        .month = month < 10 ? month + 3 : month - 9,
        .day = day - month_start[month] + 1,
    };
}

static uint64_t day_of_date(struct date d)
{
    uint64_t year = d.month > 2 ? d.year : d.year - 1;
    uint64_t month = d.month > 2 ? d.month - 3 : d.month + 9;
    uint64_t leap_days = year / 4 - year / 100 + year / 400;

    return year * 365 + leap_days + month_start[month] + d.day - 1 - DAYS_TO_1970;
}

/* value as exactly `digits` digits at *at, which moves on. */
static void put_digits(char **at, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        (*at)[i] = (char)('0' + value % 10);
    *at += digits;
}

void time_format(uint64_t time_us, char out[TIME_TEXT_LENGTH + 1])
{
    uint64_t shown = time_us < TIME_END_US ? time_us : TIME_END_US - 1;
    struct date date = date_of_day(shown / DAY_US);
    uint64_t second = shown / SECOND_US % DAY_S;
    char *at = out;

    put_digits(&at, date.year, 4);
    *at++ = '-';
    put_digits(&at, date.month, 2);
    *at++ = '-';
    put_digits(&at, date.day, 2);
    *at++ = 'T';
    put_digits(&at, second / 3600, 2);
    *at++ = ':';
    put_digits(&at, second / 60 % 60, 2);
    *at++ = ':';
    put_digits(&at, second % 60, 2);
    *at++ = '.';
    put_digits(&at, shown % SECOND_US, 6);
    *at++ = 'Z';
    *at = '\0';
}

/* The decimal number of text[from, from + digits), whose characters are known digits. */
static uint64_t take_digits(const char *text, size_t from, size_t digits)
{
    uint64_t value = 0;

    for (size_t i = from; i < from + digits; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

bool time_parse(const char *text, size_t length, uint64_t *ret_time_us)
{
    static const char shape[] = "0000-00-00T00:00:00.000000Z"; /* 0 stands for any digit */
    struct date date;
    struct date back;
    uint64_t hour = 0;
    uint64_t minute = 0;
    uint64_t second = 0;
    uint64_t day = 0;

    if (length != TIME_TEXT_LENGTH)
        return false;
    for (size_t i = 0; i < TIME_TEXT_LENGTH; i++) {
        bool fits = shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];

        if (!fits)
            return false;
    }
    date =
        (struct date){ take_digits(text, 0, 4), take_digits(text, 5, 2), take_digits(text, 8, 2) };
    hour = take_digits(text, 11, 2);
    minute = take_digits(text, 14, 2);
    second = take_digits(text, 17, 2);
    if (date.year < 1970 || date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31 ||
        hour > 23 || minute > 59 || second > 59)
        return false;
    /* 31 April and 29 February of a common year come back as another date. */
    day = day_of_date(date);
    back = date_of_day(day);
    if (back.month != date.month || back.day != date.day)
        return false;
    *ret_time_us =
        (day * DAY_S + hour * 3600 + minute * 60 + second) * SECOND_US + take_digits(text, 20, 6);
    return true;
}
