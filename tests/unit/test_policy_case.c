/* Cases that a document is tried with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "policy/case.h"
#include "provider/provider.h"

static void a_case_states_a_request_and_what_is_expected(void **state)
{
    struct policy_cases cases = policy_cases_of(
        span_text("[case on a monday]\nkey = openai\npurpose = a long one\nclass = minted\n"
                  "at = mon 09\nexpect = allow\nrule = r\n[case other]\nexpect = deny\n"));
    struct policy_trouble trouble;
    struct policy_case c;
    struct hours nine;
    bool more;

    (void)state;
    assert_int_equal(policy_case_next(&cases, &c, &more, &trouble, NULL), OK);
    assert_true(more && c.allow && span_same(c.name, span_text("on a monday")));
    assert_true(span_same(c.question.key, span_text("openai")));
    assert_true(span_same(c.question.purpose, span_text("a long one")));
    assert_true(span_same(c.rule, span_text("r")));
    assert_int_equal(c.question.gateway.n, 0);
    assert_int_equal(c.question.class, CLASS_MINTED);
    assert_int_equal(c.question.scope, SCOPE_INFERENCE);
    assert_true(hours_parse(span_text("mon-mon 09-10"), &nine));
    assert_true(hours_hold(&nine, c.question.time_us));
    assert_int_equal(policy_case_next(&cases, &c, &more, &trouble, NULL), OK);
    assert_true(more && !c.allow && span_same(c.name, span_text("other")));
    assert_int_equal(c.line, 8);
    assert_int_equal(c.question.class, CLASS_STATIC);
    assert_int_equal(policy_case_next(&cases, &c, &more, &trouble, NULL), OK);
    assert_false(more);
}

static void a_mistake_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *why;
    } wrong[] = {
        { "key = a\n", 1, "a line before the first heading" },
        { "[case]\n", 1, "a heading is [case NAME]" },
        { "[allow a]\n", 1, "a heading is [case NAME]" },
        { "[case a]\nkeys = a\n", 2, "no case has such a line" },
        { "[case a]\nkey = a\nkey = b\n", 3, "it is set twice in this case" },
        { "[case a]\nkey =\n", 2, "no value is given" },
        { "[case a]\nexpect = yes\n", 2, "expect is allow or deny" },
        { "[case a]\nat = mon 9\n", 2, "a case is at a day and an hour, as in mon 09" },
        { "[case a]\nat = mon 24\n", 2, "a case is at a day and an hour, as in mon 09" },
        { "[case a]\nclass = x\n", 2, "a class is static, killable or minted" },
        { "[case a]\nscope = x\n", 2, "a scope is inference, billing_read or admin" },
        { "[case a]\nrule = A\n", 2, "expected the name of a rule" },
        { "\n[case a]\nkey = a\n", 2, "the case expects nothing" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct policy_cases cases = policy_cases_of(span_text(wrong[i].text));
        struct policy_trouble trouble;
        struct policy_case c;
        bool more;

        assert_int_equal(policy_case_next(&cases, &c, &more, &trouble, NULL), BAD_INPUT);
        assert_string_equal(trouble.why, wrong[i].why);
        assert_int_equal(trouble.line, wrong[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_states_a_request_and_what_is_expected),
        cmocka_unit_test(a_mistake_is_told_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
