/* Hours of the week. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hours.h"

static struct hours hours(const char *text)
{
    struct hours h;

    assert_true(hours_parse(span_text(text), &h));
    return h;
}

static bool hold(const char *text, const char *time)
{
    struct hours h = hours(text);
    uint64_t us = 0;

    assert_true(time_parse(time, TIME_TEXT_LENGTH, &us));
    return hours_hold(&h, us);
}

static void hours_are_days_and_a_range_and_either_may_wrap_around(void **state)
{
    struct hours h = hours("08-20");

    (void)state;
    assert_int_equal(h.days, 127);
    assert_int_equal(h.from, 8);
    assert_int_equal(h.to, 20);
    h = hours("mon-fri 22-06");
    assert_int_equal(h.days, 31);
    assert_true(h.from > h.to);
    assert_int_equal(hours("sat-mon 00-24").days, 1 | 32 | 64);
    assert_int_equal(hours("").days, 0);
}

static void anything_else_is_refused(void **state)
{
    static const char *const wrong[] = { "8-20",          "08-08",        "08-25",
                                         "24:00",         "mon 08-20",    "mon-fri",
                                         "mon-fry 08-20", "mon-fri08-20", "mon-fri 08-20 ",
                                         "Mon-Fri 08-20" };
    struct hours h;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(hours_parse(span_text(wrong[i]), &h));
}

static void the_last_hour_is_excluded_and_days_count(void **state)
{
    (void)state;
    assert_true(hold("mon-fri 08-20", "2026-11-30T08:00:00.000000Z")); /* a Monday */
    assert_false(hold("mon-fri 08-20", "2026-11-30T07:59:59.999999Z"));
    assert_true(hold("mon-fri 08-20", "2026-11-30T19:59:59.999999Z"));
    assert_false(hold("mon-fri 08-20", "2026-11-30T20:00:00.000000Z"));
    assert_false(hold("mon-fri 08-20", "2026-11-29T12:00:00.000000Z"));
    assert_true(hold("sat-sun 00-24", "2026-11-29T23:59:59.999999Z"));
    assert_true(hold("22-06", "2026-11-30T23:00:00.000000Z"));
    assert_true(hold("22-06", "2026-11-30T05:00:00.000000Z"));
    assert_false(hold("22-06", "2026-11-30T06:00:00.000000Z"));
}

static void hours_after_midnight_belong_to_the_day_they_are_on(void **state)
{
    (void)state;
    assert_true(hold("mon-mon 22-06", "2026-11-30T05:00:00.000000Z"));
    assert_false(hold("mon-mon 22-06", "2026-12-01T05:00:00.000000Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_are_days_and_a_range_and_either_may_wrap_around),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(the_last_hour_is_excluded_and_days_count),
        cmocka_unit_test(hours_after_midnight_belong_to_the_day_they_are_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
