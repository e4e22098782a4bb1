/* Status names and the failure record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/status.h"

static status fails_below(struct err *e)
{
    return fail(e, IO, "the disk said no", 5);
}

static status fails_above(struct err *e)
{
    status st = fails_below(e);

    if (st != OK)
        return fail(e, BUG, "could not save", 0);
    return OK;
}

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < STATUS_COUNT; a++) {
        assert_non_null(status_name((status)a));
        assert_string_not_equal(status_name((status)a), "unknown");
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(status_name((status)a), status_name((status)b));
    }
    assert_string_equal(status_name(OK), "ok");
    assert_string_equal(status_name(BAD_INPUT), "bad-input");
    assert_string_equal(status_name(BUG), "bug");
}

static void a_number_that_is_no_code_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(status_name((status)STATUS_COUNT), "unknown");
    assert_string_equal(status_name((status)-1), "unknown");
}

static void a_failure_records_where_why_and_the_foreign_code(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(fails_below(&e), IO);
    assert_int_equal(e.code, IO);
    assert_string_equal(e.where, "fails_below");
    assert_string_equal(e.why, "the disk said no");
    assert_int_equal(e.detail, 5);
}

static void the_first_failure_survives_while_the_caller_returns_its_own(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_int_equal(fails_above(&e), BUG);
    assert_int_equal(e.code, IO);
    assert_string_equal(e.where, "fails_below");
}

static void nobody_has_to_take_the_record(void **state)
{
    (void)state;
    assert_int_equal(fails_above(NULL), BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(a_number_that_is_no_code_is_unknown),
        cmocka_unit_test(a_failure_records_where_why_and_the_foreign_code),
        cmocka_unit_test(the_first_failure_survives_while_the_caller_returns_its_own),
        cmocka_unit_test(nobody_has_to_take_the_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
