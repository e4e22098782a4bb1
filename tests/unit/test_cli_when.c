/* Moments as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../cli/when.c"

#define NOW (UINT64_C(1763714000) * SECOND_US)

static void is(const char *text, const char *expected)
{
    uint64_t us = 0;
    char shown[TIME_TEXT_LENGTH + 1];

    assert_true(when_parse(text, NOW, &us));
    time_format(us, shown);
    assert_string_equal(shown, expected);
}

static void times_are_utc_unless_they_say_otherwise(void **state)
{
    (void)state;
    is("2026-11-21", "2026-11-21T00:00:00.000000Z");
    is("2026-11-21T08:30", "2026-11-21T08:30:00.000000Z");
    is("2026-11-21 08:30:33", "2026-11-21T08:30:33.000000Z");
    is("2026-11-21T08:30:33Z", "2026-11-21T08:30:33.000000Z");
    is("2026-11-21T08:30:33.5Z", "2026-11-21T08:30:33.500000Z");
    is("2026-11-21T08:30:33.123456Z", "2026-11-21T08:30:33.123456Z");
    is("2026-11-21T00:30:00+01:00", "2026-11-20T23:30:00.000000Z");
    is("2024-02-29T00:00-00:30", "2024-02-29T00:30:00.000000Z");
}

static void a_number_with_a_unit_is_so_long_ago(void **state)
{
    uint64_t us = 0;

    (void)state;
    assert_true(when_parse("90s", NOW, &us));
    assert_int_equal(us, NOW - 90 * SECOND_US);
    assert_true(when_parse("2h", NOW, &us));
    assert_int_equal(us, NOW - 7200 * SECOND_US);
    assert_true(when_parse("7d", NOW, &us));
    assert_int_equal(us, NOW - 7 * DAY_S * SECOND_US);
    assert_true(when_parse("9999w", NOW, &us)); /* before 1970 there was nothing */
    assert_int_equal(us, 0);
}

static void anything_else_is_no_moment(void **state)
{
    static const char *const texts[] = {
        "",
        "h",
        "2",
        "2y",
        "-2h",
        "2 h",
        "2026",
        "2026-1-1",
        "2026-02-30",
        "2026-13-01",
        "1969-01-01",
        "2026-01-01T",
        "2026-01-01T24:00",
        "2026-01-01T10:00:60",
        "2026-01-01T10:00:00.",
        "2026-01-01T10:00:00.1234567",
        "2026-01-01T10:00+1",
        "2026-01-01Z10",
        "yesterday",
        "2026-01-01T10:00Zx",
    };
    uint64_t us = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(when_parse(texts[i], NOW, &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_utc_unless_they_say_otherwise),
        cmocka_unit_test(a_number_with_a_unit_is_so_long_ago),
        cmocka_unit_test(anything_else_is_no_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
