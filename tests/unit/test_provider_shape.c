/* What an entered key is taken for. The keys here are made up to the shape of real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "provider/shape.h"

#define X32  "0123456789abcdef0123456789abcdef"
#define X64  X32 X32
#define X128 X64 X64

static struct advice advise(const char *provider, uint8_t scope, const char *value)
{
    const struct provider *p = provider_of(provider_parse(provider));

    assert_non_null(p);
    return provider_advise(p, scope, span_text(value));
}

static void a_key_of_known_form_fits(void **state)
{
    (void)state;
    assert_int_equal(advise("openai", SCOPE_INFERENCE, "sk-proj-" X128).kind, ADVICE_FITS);
    assert_int_equal(advise("openai", SCOPE_BILLING_READ, "sk-proj-" X128).kind, ADVICE_FITS);
    assert_int_equal(advise("openai", SCOPE_ADMIN, "sk-admin-" X128).kind, ADVICE_FITS);
    assert_int_equal(advise("deepseek", SCOPE_INFERENCE, "sk-" X32).kind, ADVICE_FITS);
    assert_int_equal(advise("mistral", SCOPE_INFERENCE, X32).kind, ADVICE_FITS);
    assert_int_equal(advise("openrouter", SCOPE_INFERENCE, "sk-or-v1-" X64).kind, ADVICE_FITS);
    assert_int_equal(advise("generic", SCOPE_INFERENCE, "whatever").kind, ADVICE_FITS);
}

static void one_that_was_cut_off_is_unusual_and_what_was_expected_is_said(void **state)
{
    struct advice a = advise("groq", SCOPE_INFERENCE, "gsk_" X32);
    char text[SHAPE_TEXT];

    (void)state;
    assert_int_equal(a.kind, ADVICE_UNUSUAL);
    assert_string_equal(a.field->name, "key");
    shape_format(a.shape, text);
    assert_string_equal(text, "gsk_ and 52 of A-Z a-z 0-9");
    a = advise("openai", SCOPE_INFERENCE, "sk-proj-short");
    assert_int_equal(a.kind, ADVICE_UNUSUAL);
    shape_format(a.shape, text);
    assert_string_equal(text, "sk-proj- and 40 to 200 of A-Z a-z 0-9 _ -");
    assert_int_equal(advise("mistral", SCOPE_INFERENCE, "short").kind, ADVICE_UNUSUAL);
    /* A form that is not known yet is nobody else's either. */
    assert_int_equal(advise("anthropic", SCOPE_INFERENCE, "sk-ant-new-" X64).kind, ADVICE_UNUSUAL);
}

static void an_admin_key_is_known_whatever_it_is_put_as(void **state)
{
    struct advice a = advise("anthropic", SCOPE_INFERENCE, "sk-ant-admin01-" X128);

    (void)state;
    assert_int_equal(a.kind, ADVICE_ADMIN);
    assert_string_equal(a.provider->name, "anthropic");
    assert_int_equal(advise("openai", SCOPE_INFERENCE, "sk-admin-cut").kind, ADVICE_ADMIN);
    assert_int_equal(advise("openai", SCOPE_BILLING_READ, "sk-admin-" X128).kind, ADVICE_ADMIN);
    assert_int_equal(advise("generic", SCOPE_INFERENCE, "sk-admin-" X128).kind, ADVICE_ADMIN);
    assert_int_equal(advise("openai", SCOPE_ADMIN, "sk-proj-" X128).kind, ADVICE_UNUSUAL);
}

static void a_key_of_another_provider_is_told(void **state)
{
    static const struct {
        const char *put_as;
        const char *value;
        const char *is;
    } rows[] = {
        { "openai", "sk-ant-api03-" X64 X32, "anthropic" },
        { "openai", "sk-or-v1-" X64, "openrouter" },
        { "openai", "sk-" X32, "deepseek" },
        { "anthropic", "sk-proj-" X128, "openai" },
        { "deepseek", "sk-proj-" X128, "openai" },
        { "groq", "xai-cut", "xai" },
        { "azure-openai", "{\"key\":\"hf_" X32 "aa\"}", "huggingface" },
        { "google", "AKIA0123456789ABCDEF", "aws-bedrock" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct advice a = advise(rows[i].put_as, SCOPE_INFERENCE, rows[i].value);

        assert_int_equal(a.kind, ADVICE_FOREIGN);
        assert_string_equal(a.provider->name, rows[i].is);
    }
}

static void each_field_is_looked_at(void **state)
{
    struct advice a = advise("aws-bedrock", SCOPE_INFERENCE,
                             "{\"access_key_id\":\"AKIA0123456789ABCDEF\","
                             "\"secret_access_key\":\"short\"}");

    (void)state;
    assert_int_equal(a.kind, ADVICE_UNUSUAL);
    assert_string_equal(a.field->name, "secret_access_key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_of_known_form_fits),
        cmocka_unit_test(one_that_was_cut_off_is_unusual_and_what_was_expected_is_said),
        cmocka_unit_test(an_admin_key_is_known_whatever_it_is_put_as),
        cmocka_unit_test(a_key_of_another_provider_is_told),
        cmocka_unit_test(each_field_is_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
