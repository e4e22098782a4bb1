/* What records look like to those that receive them: syslog messages and signed webhooks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../cli/syslog.c"
#include "../../cli/webhook.c"

#include <regex.h>

void json_t_cleanup(json_t **json)
{
    json_decref(*json);
}

#define LINE                                                                                     \
    "{\"v\":1,\"log\":\"00112233445566778899aabbccddeeff\",\"seq\":7,\"prev\":\"00\","           \
    "\"time\":\"2026-11-24T10:00:00.000123Z\",\"type\":\"lease.issued\",\"outcome\":\"denied\"," \
    "\"actor\":\"gateway:a\",\"purpose\":\"q\\\"uote ] \\\\ \xc3\xa4\"}"

/* RFC 5424 section 6, as a pattern: HEADER, one SD-ELEMENT, a space. */
#define HEADER                                                                    \
    "^<[1-9][0-9]{0,2}>1 "                                                        \
    "(-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?Z) " \
    "[!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} "                          \
    "\\[[^] =\"]{1,32}( [^] =\"]{1,32}=\"([^]\\\"]|\\\\[]\\\"])*\")*\\] $"

static const char *head_of(const char *line, const char *host)
{
    static char out[SYSLOG_HEAD_MAX + 1];
    regex_t grammar;

    out[syslog_head(span_text(line), host, out)] = '\0';
    assert_int_equal(regcomp(&grammar, HEADER, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&grammar, out, 0, NULL, 0) != 0)
        print_error("not a header: %s\n", out);
    assert_int_equal(regexec(&grammar, out, 0, NULL, 0), 0);
    regfree(&grammar);
    return out;
}

static void a_message_says_in_its_header_what_the_record_is(void **state)
{
    (void)state;
    assert_string_equal(head_of(LINE, "siem.example"),
                        "<108>1 2026-11-24T10:00:00.000123Z siem.example strongroom - lease.issued "
                        "[strongroom@32473 log=\"00112233445566778899aabbccddeeff\" seq=\"7\" "
                        "type=\"lease.issued\" outcome=\"denied\"] ");
}

static void the_severity_follows_from_the_outcome(void **state)
{
    (void)state;
    assert_memory_equal(head_of("{\"outcome\":\"ok\"}", "h"), "<110>1 ", 7);
    assert_memory_equal(head_of("{\"outcome\":\"denied\"}", "h"), "<108>1 ", 7);
    assert_memory_equal(head_of("{\"outcome\":\"failed\"}", "h"), "<107>1 ", 7);
}

static void what_cannot_be_read_is_left_out_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(head_of("no JSON", ""), "<110>1 - - strongroom - - [strongroom@32473] ");
    assert_string_equal(
        head_of("{\"time\":\"two words\",\"type\":\"a type of more than thirty two letters\"}",
                "two hosts"),
        "<110>1 - - strongroom - - [strongroom@32473 type=\"a type of more than thirty two "
        "letters\"] ");
    assert_non_null(
        strstr(head_of("{\"type\":\"a\\\"b]c\\\\d\"}", "h"), " type=\"a\\\"b\\]c\\\\d\"] "));
}

static void the_three_special_characters_of_a_value_are_escaped_and_no_others(void **state)
{
    char out[64];
    size_t n = syslog_escape(span_text("a\"b]c\\d[=\xc3\xa4"), out, sizeof(out));

    (void)state;
    assert_int_equal(n, 14);
    assert_memory_equal(out, "a\\\"b\\]c\\\\d[=\xc3\xa4", 14);
    assert_int_equal(syslog_escape(span_text("a\"b"), out, 2), 1); /* no half escape */
}

static struct secret *secret_of(const char *text)
{
    struct secret *s = NULL;

    assert_int_equal(secret_copy(span_text(text), &s, NULL), OK);
    return s;
}

/* The example of the specification and of its libraries. */
static void the_published_example_has_its_published_signature(void **state)
{
    struct secret *text = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), *key = NULL;
    char signature[WEBHOOK_SIGNATURE_MAX];

    (void)state;
    assert_int_equal(webhook_secret(text, &key, NULL), OK);
    assert_int_equal(webhook_sign(secret_view(key), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                  span_text("{\"test\": 2432232314}"), signature, NULL),
                     OK);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    secret_free(key);
    secret_free(text);
}

static void a_secret_of_another_form_is_refused(void **state)
{
    static const char *const bad[] = { "", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                       "whsec_not base64!", "whsec_c2hvcnQ=" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct secret *text = secret_of(bad[i]), *key = NULL;

        assert_int_equal(webhook_secret(text, &key, NULL), BAD_INPUT);
        assert_null(key);
        secret_free(text);
    }
}

static int start(void **state)
{
    (void)state;
    return secret_start(1 << 20, NULL) == OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_says_in_its_header_what_the_record_is),
        cmocka_unit_test(the_severity_follows_from_the_outcome),
        cmocka_unit_test(what_cannot_be_read_is_left_out_of_the_header),
        cmocka_unit_test(the_three_special_characters_of_a_value_are_escaped_and_no_others),
        cmocka_unit_test(the_published_example_has_its_published_signature),
        cmocka_unit_test(a_secret_of_another_form_is_refused),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
