/* A key's value by its fields, and the headers and variables that are made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "provider/credential.h"

static const struct provider *named(const char *name)
{
    const struct provider *p = provider_of(provider_parse(name));

    assert_non_null(p);
    return p;
}

#define AWS "{\"access_key_id\":\"AKIA1\", \"secret_access_key\":\"s/3\",\"region\":\"eu-west-1\"}"

static void renders(const char *provider, const char *template, const char *value,
                    const char *expected)
{
    uint8_t out[256];
    size_t n = 0;

    assert_int_equal(provider_render(named(provider), template, RENDER_HEADER, span_text(value),
                                     (struct mspan){ out, sizeof out }, &n, NULL),
                     OK);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(out, expected, n);
}

/* And leaves nothing of the value behind. */
static void does_not_render(const char *provider, const char *template, const char *value,
                            size_t room, status expected)
{
    uint8_t out[256] = { 0 };
    size_t n = 1;

    assert_int_equal(provider_render(named(provider), template, RENDER_HEADER, span_text(value),
                                     (struct mspan){ out, room }, &n, NULL),
                     expected);
    assert_int_equal(n, 0);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
}

static void headers_are_what_the_providers_ask_for(void **state)
{
    const struct provider *p = named("anthropic");

    (void)state;
    assert_string_equal(p->header[0].name, "x-api-key");
    renders("anthropic", p->header[0].text, "sk-1", "sk-1");
    assert_string_equal(p->header[1].name, "anthropic-version");
    renders("anthropic", p->header[1].text, "sk-1", "2023-06-01");
    assert_string_equal(named("openai")->header[0].name, "authorization");
    renders("openai", named("openai")->header[0].text, "sk-1", "Bearer sk-1");
    renders("openai", "{}", "{not json", "{not json");
    renders("aws-bedrock", "{access_key_id}:{secret_access_key}", AWS, "AKIA1:s/3");
    renders("aws-bedrock", "Bearer {api_key}", "ABSKx", "Bearer ABSKx");
    renders("aws-bedrock", "Bearer {api_key}", " {\"api_key\":\"ABSKx\"} ", "Bearer ABSKx");
    renders("azure-openai", "{key}", "{\"key\":\"k\",\"host\":\"h\"}", "k");
}

static void what_a_value_lacks_is_not_rendered(void **state)
{
    (void)state;
    does_not_render("aws-bedrock", "Bearer {api_key}", AWS, 256, NOT_FOUND);
    does_not_render("aws-bedrock", "{access_key_id}{session_token}", AWS, 256, NOT_FOUND);
    does_not_render("openai", "{key}", "", 256, BAD_INPUT);
}

static void what_would_not_fit_is_not_rendered_in_part(void **state)
{
    (void)state;
    does_not_render("openai", "Bearer {key}", "sk-1", 10, LIMIT);
    does_not_render("openai", "{key}.", "sk-1", 4, LIMIT);
    does_not_render("aws-bedrock", "{access_key_id}", "{\"access_key_id\":\"\\u0041B\"}", 1, LIMIT);
}

static void a_value_cannot_begin_another_header(void **state)
{
    (void)state;
    does_not_render("openai", "Bearer {key}", "a\r\nx: y", 256, BAD_INPUT);
    does_not_render("azure-openai", "{key}", "{\"key\":\"a\\r\\nx: y\"}", 256, BAD_INPUT);
    does_not_render("azure-openai", "{key}", "{\"key\":\"a\\u000ab\"}", 256, BAD_INPUT);
    does_not_render("azure-openai", "{key}", "{\"key\":\"\\u00e9\"}", 256, BAD_INPUT);
    does_not_render("openai", "{key}", " a", 256, BAD_INPUT);
}

static void escapes_of_json_are_resolved(void **state)
{
    static const char value[] =
        "{\"client_email\":\"a\\u0040b\",\"private_key\":\"-\\n\\\"\\\\\\/\\t\\u20ac\\ud83d\\ude00\"}";
    static const char expected[] = "-\n\"\\/\t\xe2\x82\xac\xf0\x9f\x98\x80";
    struct credential_field f;
    uint8_t out[64];
    size_t n;

    (void)state;
    assert_int_equal(
        credential_find(named("google-vertex"), span_text(value), "private_key", &f, NULL), OK);
    assert_true(f.escaped);
    assert_int_equal(credential_read(&f, (struct mspan){ out, sizeof out }, &n, NULL), OK);
    assert_int_equal(n, sizeof expected - 1);
    assert_memory_equal(out, expected, n);
}

static void only_a_flat_object_of_strings_is_read(void **state)
{
    static const char *const bad[] = {
        "{",
        "{}x",
        "{\"key\"}",
        "{\"key\":1}",
        "{\"key\":null}",
        "{\"key\":{\"key\":\"a\"}}",
        "{\"key\":[\"a\"]}",
        "{\"key\":\"a\"",
        "{\"key\":\"a\",}",
        "{,\"key\":\"a\"}",
        "{\"key\":\"a\" \"host\":\"b\"}",
        "{\"key\":\"a\",\"key\":\"b\"}",
        "{\"\":\"a\"}",
        "{\"k\\u0065y\":\"a\"}",
        "{\"k-y\":\"a\"}",
        "{'key':'a'}",
        "{\"key\":\"a\\\"}",
        "{\"key\":\"a\\x\"}",
        "{\"key\":\"\\u0000\"}",
        "{\"key\":\"\\u00g0\"}",
        "{\"key\":\"\\ud83d\"}",
        "{\"key\":\"\\ude00\"}",
        "{\"key\":\"a\nb\"}",
        "{\"key\":\"\xff\"}",
        "{\"key\":\"\xc0\x80\"}",
        "{\"key\":\"\xed\xa0\x80\"}",
        "{\"key\":\"\xf4\x90\x80\x80\"}",
        "{\"key\":\"\xe2\x82\"}",
    };
    const struct provider *p = named("azure-openai");

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct credential_field f;

        assert_int_equal(credential_find(p, span_text(bad[i]), "key", &f, NULL), BAD_INPUT);
        assert_null(f.raw.p);
    }
}

static status check(const char *provider, const char *value, const char **ret_missing)
{
    const struct provider_field *missing;
    status st = credential_check(named(provider), span_text(value), &missing, NULL);

    *ret_missing = missing != NULL ? missing->name : "";
    return st;
}

#define ACCOUNT "\"client_email\":\"a@b\",\"private_key\":\"-\\n\",\"auth_uri\":\"https://c\""

static void a_credential_is_one_of_its_providers_forms(void **state)
{
    const char *missing;

    (void)state;
    assert_int_equal(check("openai", "anything", &missing), OK);
    assert_int_equal(check("azure-openai", "anything", &missing), OK);
    assert_int_equal(check("azure-openai", "{\"host\":\"h\"}", &missing), BAD_INPUT);
    assert_string_equal(missing, "key");
    assert_int_equal(check("azure-openai", "{\"key\":\"\"}", &missing), BAD_INPUT);
    assert_int_equal(check("azure-openai", "{\"key\":\"a\",\"kye\":\"b\"}", &missing), BAD_INPUT);
    assert_int_equal(check("aws-bedrock", AWS, &missing), OK);
    assert_int_equal(check("aws-bedrock", "{\"access_key_id\":\"A\"}", &missing), BAD_INPUT);
    assert_string_equal(missing, "secret_access_key");
    assert_int_equal(check("aws-bedrock", "{\"api_key\":\"a\",\"access_key_id\":\"b\"}", &missing),
                     BAD_INPUT);
    assert_string_equal(missing, "");
    assert_int_equal(check("google-vertex", "{\"type\":\"service_account\"," ACCOUNT "}", &missing),
                     OK);
    assert_int_equal(check("google-vertex", "{" ACCOUNT "}", &missing), BAD_INPUT);
    assert_int_equal(check("google-vertex", "{\"type\":\"authorized_user\"," ACCOUNT "}", &missing),
                     BAD_INPUT);
    assert_int_equal(check("google-vertex", "AIzaSomething", &missing), BAD_INPUT);
}

static void the_walk_gives_every_field_once(void **state)
{
    struct credential_walk w;
    struct credential_field f;
    bool more = true;
    size_t n = 0;

    (void)state;
    assert_int_equal(credential_walk(named("aws-bedrock"), span_text(AWS), &w, NULL), OK);
    while (credential_next(&w, &f, &more, NULL) == OK && more)
        n++;
    assert_int_equal(n, 3);
    assert_int_equal(credential_walk(named("groq"), span_text("gsk"), &w, NULL), OK);
    assert_int_equal(credential_next(&w, &f, &more, NULL), OK);
    assert_true(more && span_same(f.name, span_text("key")) && span_same(f.raw, span_text("gsk")));
    assert_int_equal(credential_next(&w, &f, &more, NULL), OK);
    assert_false(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_what_the_providers_ask_for),
        cmocka_unit_test(what_a_value_lacks_is_not_rendered),
        cmocka_unit_test(what_would_not_fit_is_not_rendered_in_part),
        cmocka_unit_test(a_value_cannot_begin_another_header),
        cmocka_unit_test(escapes_of_json_are_resolved),
        cmocka_unit_test(only_a_flat_object_of_strings_is_read),
        cmocka_unit_test(a_credential_is_one_of_its_providers_forms),
        cmocka_unit_test(the_walk_gives_every_field_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
