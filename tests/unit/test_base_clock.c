/* Clocks and the one text form of time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    uint64_t time_us;
    const char *text;
} known[] = {
    { 0, "1970-01-01T00:00:00.000000Z" },
    { 1, "1970-01-01T00:00:00.000001Z" },
    { 951782399999999, "2000-02-28T23:59:59.999999Z" },
    { 951782400000000, "2000-02-29T00:00:00.000000Z" },
    { 951868800000000, "2000-03-01T00:00:00.000000Z" },
    { 1000000000000000, "2001-09-09T01:46:40.000000Z" },
    { 4107542400000000, "2100-03-01T00:00:00.000000Z" },
    { 4107542399000000, "2100-02-28T23:59:59.000000Z" },
    { 253402300799999999, "9999-12-31T23:59:59.999999Z" },
};

static void known_times_have_known_texts(void **state)
{
    char text[TIME_TEXT_LENGTH + 1];
    uint64_t back = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(known); i++) {
        time_format(known[i].time_us, text);
        assert_string_equal(text, known[i].text);
        assert_true(time_parse(text, strlen(text), &back));
        assert_true(back == known[i].time_us);
    }
}

/* The C library has its own calendar: both must agree on every day of four centuries. */
static void every_day_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 146097 + 366; day++) {
        time_t seconds = (time_t)(day * DAY_S + 86399);
        char text[TIME_TEXT_LENGTH + 1];
        char expected[64];
        struct tm tm;
        uint64_t back = 0;

        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(expected, sizeof(expected), "%04d-%02d-%02dT23:59:59.000042Z", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday);
        time_format((uint64_t)seconds * SECOND_US + 42, text);
        assert_string_equal(text, expected);
        assert_true(time_parse(text, TIME_TEXT_LENGTH, &back));
        assert_true(back == (uint64_t)seconds * SECOND_US + 42);
    }
}

static void times_beyond_four_digits_of_year_show_the_last_one(void **state)
{
    char text[TIME_TEXT_LENGTH + 1];

    (void)state;
    time_format(253402300800000000, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    time_format(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

static void every_other_form_of_time_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "2026-11-21T08:30:33.123456",
        "2026-11-21T08:30:33.12345Z",
        "2026-11-21T08:30:33.1234567Z",
        "2026-11-21T08:30:33Z",
        "2026-11-21t08:30:33.123456Z",
        "2026-11-21T08:30:33.123456z",
        "2026-11-21 08:30:33.123456Z",
        "2026-11-21T08:30:33,123456Z",
        "2026/11/21T08:30:33.123456Z",
        " 026-11-21T08:30:33.123456Z",
        "+026-11-21T08:30:33.123456Z",
        "2026-00-21T08:30:33.123456Z",
        "2026-13-21T08:30:33.123456Z",
        "2026-11-00T08:30:33.123456Z",
        "2026-11-31T08:30:33.123456Z",
        "2026-12-32T08:30:33.123456Z",
        "2026-02-29T08:30:33.123456Z",
        "2100-02-29T08:30:33.123456Z",
        "2026-11-21T24:00:00.000000Z",
        "2026-11-21T08:60:33.123456Z",
        "2026-11-21T08:30:60.123456Z",
        "1969-12-31T23:59:59.999999Z",
        "0000-01-01T00:00:00.000000Z",
    };
    uint64_t v = 42;

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(time_parse(wrong[i], strlen(wrong[i]), &v));
    assert_int_equal(v, 42);
}

static void no_single_changed_character_keeps_the_same_time(void **state)
{
    static const char text[] = "2028-02-29T08:30:33.123456Z";
    uint64_t original = 0;

    (void)state;
    assert_true(time_parse(text, TIME_TEXT_LENGTH, &original));
    for (size_t at = 0; at < TIME_TEXT_LENGTH; at++) {
        for (int c = 0; c < 256; c++) {
            char changed[TIME_TEXT_LENGTH + 1];
            uint64_t other = 0;

            memcpy(changed, text, sizeof(changed));
            changed[at] = (char)c;
            if (changed[at] != text[at] && time_parse(changed, TIME_TEXT_LENGTH, &other))
                assert_true(other != original);
        }
    }
}

static void the_clocks_go_forward(void **state)
{
    uint64_t monotonic = clock_monotonic_us();

    (void)state;
    assert_true(clock_wall_us() > 1577836800 * SECOND_US); /* 2020 */
    assert_true(clock_monotonic_us() >= monotonic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_have_known_texts),
        cmocka_unit_test(every_day_agrees_with_the_c_library),
        cmocka_unit_test(times_beyond_four_digits_of_year_show_the_last_one),
        cmocka_unit_test(every_other_form_of_time_is_refused),
        cmocka_unit_test(no_single_changed_character_keeps_the_same_time),
        cmocka_unit_test(the_clocks_go_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
