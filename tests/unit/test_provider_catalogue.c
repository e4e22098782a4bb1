/* The catalogue of providers: what came with the program, and what is refused of another text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "provider/catalogue.h"
#include "provider/credential.h"

static void the_catalogue_that_came_with_the_program_is_whole(void **state)
{
    struct err e = { 0 };
    const struct provider *p;
    size_t n = 0;

    (void)state;
    assert_int_equal(provider_start(&e), OK);
    for (; (p = provider_at(n)) != NULL; n++) {
        assert_ptr_equal(provider_of(p->code), p);
        assert_int_equal(provider_parse(p->name), p->code);
        assert_string_equal(provider_name(p->code), p->name);
    }
    assert_int_equal(n, 14);
}

/* A code is in every sealed value and every row of a key: a change would make them unreadable. */
static void codes_stay_what_they_were(void **state)
{
    static const char *const names[] = {
        NULL,           "generic",     "openai",  "anthropic", "google",
        "azure-openai", "aws-bedrock", "mistral", "cohere",    "groq",
        "openrouter",   "huggingface", "xai",     "deepseek",  "google-vertex",
    };

    (void)state;
    for (uint16_t i = 1; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(provider_parse(names[i]), i);
    assert_int_equal(provider_parse("nobody"), 0);
    assert_null(provider_of(0));
    assert_string_equal(provider_name(15), "unknown");
}

static void every_header_name_is_one_that_http2_takes_too(void **state)
{
    const struct provider *p;

    (void)state;
    for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
        for (size_t k = 0; k < p->header_count; k++)
            assert_int_equal(strspn(p->header[k].name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
                             strlen(p->header[k].name));
        for (size_t k = 0; k < p->envoy_count; k++)
            assert_int_equal(strncmp(p->envoy[k].name, "x-aigw-", 7), 0);
    }
}

static status parse(const char *text, struct err *e)
{
    struct catalogue *c = malloc(sizeof *c);
    status st;

    assert_non_null(c);
    st = catalogue_parse(span_text(text), c, e);
    free(c);
    return st;
}

#define WHOLE "[provider a]\ncode = 1\ntitle = A\nfield = key secret Key\nform = key\nbare = key\n"

static void a_broken_line_is_refused_with_its_number(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
    } bad[] = {
        { "code = 1\n", 1 },
        { "[vendor a]\n", 1 },
        { "[provider]\n", 1 },
        { "[provider A!]\n", 1 },
        { "[provider a]\ncode = 0\n", 2 },
        { "[provider a]\ncode = 1\n", 2 }, /* and nothing else */
        { "[provider a]\nfield = key hidden Key\n", 2 },
        { "[provider a]\nfield = key secret\n", 2 },
        { "[provider a]\nbare = key\n", 2 },
        { "[provider a]\nform = key\n", 2 },
        { WHOLE "[provider a]\n", 7 },
        { WHOLE "[provider b]\ncode = 1\n", 8 },
        { WHOLE "field = key secret Key\n", 7 },
        { WHOLE "colour = red\n", 7 },
        { WHOLE "open = no\n", 7 },
        { WHOLE "header = x {key\n", 7 },
        { WHOLE "header = x key}\n", 7 },
        { WHOLE "header = x {other}\n", 7 },
        { WHOLE "header = x\n", 7 },
        { WHOLE "shape = key inference sk- token 3\n", 7 },
        { WHOLE "shape = key inference sk- token 3..2\n", 7 },
        { WHOLE "shape = key inference sk- token 3..4 5\n", 7 },
        { WHOLE "shape = key inference sk- klingon 3..4\n", 7 },
        { WHOLE "shape = key root sk- token 3..4\n", 7 },
        { WHOLE "shape = lock inference sk- token 3..4\n", 7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = { 0 };

        assert_int_equal(parse(bad[i].text, &e), BAD_INPUT);
        assert_int_equal(e.detail, bad[i].line);
    }
    assert_int_equal(parse(WHOLE, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalogue_that_came_with_the_program_is_whole),
        cmocka_unit_test(codes_stay_what_they_were),
        cmocka_unit_test(every_header_name_is_one_that_http2_takes_too),
        cmocka_unit_test(a_broken_line_is_refused_with_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
