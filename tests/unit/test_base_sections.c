/* Text in sections: what a line is, where it stands, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/sections.h"

#define SAME(span, text) assert_true(span_same((span), span_text(text)))

static struct sections_line next(struct sections *s)
{
    struct sections_line line;
    bool more = false;

    assert_int_equal(sections_next(s, &line, &more, NULL), OK);
    assert_true(more);
    return line;
}

static void headings_and_settings_come_with_the_number_of_their_line(void **state)
{
    struct sections s = sections_of(span_text(
        "# rules\n\n[allow  night batch ]\r\n  ttl =  15m # not a comment\nempty=\n[limits]"));
    struct sections_line line = next(&s);
    bool more = true;

    (void)state;
    assert_int_equal(line.number, 3);
    assert_true(line.heading);
    SAME(line.name, "allow");
    SAME(line.value, "night batch");
    line = next(&s);
    assert_int_equal(line.number, 4);
    assert_false(line.heading);
    SAME(line.name, "ttl");
    SAME(line.value, "15m # not a comment");
    line = next(&s);
    SAME(line.name, "empty");
    assert_int_equal(line.value.n, 0);
    line = next(&s);
    SAME(line.name, "limits");
    assert_int_equal(line.value.n, 0);
    assert_int_equal(sections_next(&s, &line, &more, NULL), OK);
    assert_false(more);
}

static void a_line_that_is_neither_is_refused_with_its_number(void **state)
{
    static const char *const bad[] = { "\nword", "\n= value",  "\n[open",   "\n[]",
                                       "\n[ ]",  "\na = \x01", "\na = \x7f" };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sections s = sections_of(span_text(bad[i]));
        struct sections_line line;
        struct err e = { 0 };
        bool more;

        assert_int_equal(sections_next(&s, &line, &more, &e), BAD_INPUT);
        assert_int_equal(e.detail, 2);
    }
}

static void a_line_that_is_too_long_is_refused(void **state)
{
    static char text[SECTIONS_LINE + 2];
    struct sections s;
    struct sections_line line;
    bool more;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[1] = '=';
    s = sections_of(span_text(text));
    assert_int_equal(sections_next(&s, &line, &more, NULL), BAD_INPUT);
    text[SECTIONS_LINE] = '\0';
    s = sections_of(span_text(text));
    assert_int_equal(sections_next(&s, &line, &more, NULL), OK);
}

static void words_are_apart_by_commas_or_white_space(void **state)
{
    struct span rest = span_text(" openai,anthropic , groq\t "), word;

    (void)state;
    assert_true(sections_word(&rest, &word));
    SAME(word, "openai");
    assert_true(sections_word(&rest, &word));
    SAME(word, "anthropic");
    assert_true(sections_word(&rest, &word));
    SAME(word, "groq");
    assert_false(sections_word(&rest, &word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headings_and_settings_come_with_the_number_of_their_line),
        cmocka_unit_test(a_line_that_is_neither_is_refused_with_its_number),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
        cmocka_unit_test(words_are_apart_by_commas_or_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
