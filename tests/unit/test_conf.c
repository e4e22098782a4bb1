/* The configuration file: what is accepted, and that every mistake is named with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

static status parse(const char *text, struct conf *c, struct conf_trouble *trouble)
{
    struct err e = { 0 };

    *trouble = (struct conf_trouble){ 0 };
    return conf_parse(span_text(text), c, trouble, &e);
}

static void refused(const char *text, unsigned line, const char *why)
{
    struct conf_trouble trouble;
    struct conf c;

    assert_int_equal(parse(text, &c, &trouble), BAD_INPUT);
    assert_int_equal(trouble.line, line);
    assert_string_equal(trouble.why, why);
}

static void an_empty_file_gives_the_defaults(void **state)
{
    struct conf_trouble trouble;
    struct conf c;

    (void)state;
    assert_int_equal(parse("", &c, &trouble), OK);
    assert_string_equal(c.listen, "127.0.0.1:8443");
    assert_int_equal(c.lease_ttl_s, 300);
    assert_int_equal(c.allow_copy_on_write, 0);
}

static void values_comments_and_spaces_are_read(void **state)
{
    struct conf_trouble trouble;
    struct conf c;

    (void)state;
    assert_int_equal(parse("# hello\n\n  region =  eu \r\nlease_ttl_s=60\nlog_level = debug\n"
                           "allow_copy_on_write = yes",
                           &c, &trouble),
                     OK);
    assert_string_equal(c.region, "eu");
    assert_int_equal(c.lease_ttl_s, 60);
    assert_int_equal(c.log_level, 0);
    assert_int_equal(c.allow_copy_on_write, 1);
}

static void an_unknown_setting_is_refused_with_its_line(void **state)
{
    (void)state;
    refused("region = eu\nregoin = us\n", 2, "unknown setting");
}

static void a_setting_given_twice_is_refused(void **state)
{
    (void)state;
    refused("region = eu\n#\nregion = us\n", 3, "set twice");
}

static void a_line_without_an_equals_sign_is_refused(void **state)
{
    (void)state;
    refused("region eu\n", 1, "expected: name = value");
}

static void numbers_out_of_range_or_malformed_are_refused(void **state)
{
    static const char *const bad[] = { "0",   "3601", "-1", "1e3", "", "05", "99999999999999999999",
                                       "5 5", "0x10" };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "lease_ttl_s = %s\n", bad[i]);
        refused(text, 1, "not a whole number within the allowed range");
    }
}

static void a_region_takes_only_lower_case_letters_digits_and_hyphens(void **state)
{
    (void)state;
    refused("region = EU\n", 1, "only lower-case letters, digits and hyphens are allowed");
    refused("region = \n", 1, "the value is too long or too short");
    refused("region = abcdefghijklmnop\n", 1, "the value is too long or too short");
}

static void paths_are_absolute_and_the_listener_is_numeric(void **state)
{
    char text[256] = "socket = /run/";

    (void)state;
    refused("data_dir = var/lib\n", 1, "must be an absolute path");
    refused("socket = /s.sock\n", 1, "must be an absolute path in a directory of its own");
    memset(text + 14, 'x', 120);
    refused(text, 1, "must not be longer than 107 characters");
    refused("listen = 8443\n", 1, "must be address:port");
    refused("listen = 127.0.0.1:99999\n", 1, "must be address:port");
    refused("listen = localhost:8443\n", 1, "must have a numeric address");
    refused("listen = [::1:8443\n", 1, "must have a numeric address");
}

static void an_ipv6_listener_is_written_in_brackets(void **state)
{
    struct conf_trouble trouble;
    struct conf c;

    (void)state;
    assert_int_equal(parse("listen = [::1]:8443\n", &c, &trouble), OK);
    assert_string_equal(c.listen, "[::1]:8443");
}

static void times_must_be_in_order(void **state)
{
    (void)state;
    refused("lease_ttl_s = 600\nlease_max_ttl_s = 300\n", 0,
            "lease_ttl_s <= lease_max_ttl_s <= lease_max_lifetime_s does not hold");
}

static void a_value_that_is_not_plain_ascii_is_refused(void **state)
{
    (void)state;
    refused("user = caf\xc3\xa9\n", 1, "the value is too long or not plain ASCII");
}

static void the_trouble_names_the_setting_and_never_the_value(void **state)
{
    struct conf_trouble trouble;
    struct conf c;

    (void)state;
    assert_int_equal(parse("lease_ttl_s = hunter2\n", &c, &trouble), BAD_INPUT);
    assert_string_equal(trouble.setting, "lease_ttl_s");
    assert_null(strstr(trouble.why, "hunter2"));
}

static void the_sample_file_parses_to_the_defaults_when_uncommented(void **state)
{
    struct conf_trouble trouble;
    struct conf c, defaults;
    char *text = NULL;
    size_t size = 0, n = 0;
    FILE *f = open_memstream(&text, &size);
    char *plain;

    (void)state;
    assert_non_null(f);
    conf_sample(f);
    fclose(f);
    plain = calloc(1, size + 1);
    assert_non_null(plain);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# ", 2) == 0 && strstr(line, " = ") != NULL &&
            strchr(line, ':') != line && line[2] >= 'a' &&
            strcspn(line + 2, " ") == (size_t)(strstr(line, " = ") - line - 2))
            n += (size_t)sprintf(plain + n, "%s\n", line + 2);
    }
    conf_init(&defaults);
    assert_int_equal(defaults.grant_step_up, 1); /* a flag whose default is yes */
    assert_true(n > 0);
    assert_int_equal(parse(plain, &c, &trouble), OK);
    assert_memory_equal(&c, &defaults, sizeof c);
    free(plain);
    free(text);
}

static void a_file_that_is_not_there_is_not_found(void **state)
{
    struct conf_trouble trouble;
    struct conf c;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(conf_load("/nonexistent/strongroom.conf", &c, &trouble, &e), NOT_FOUND);
}

static void hours_that_are_none_are_refused(void **state)
{
    (void)state;
    refused("alert_hours = always\n", 1, "must be like mon-fri 08-20 or 08-20");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_that_are_none_are_refused),
        cmocka_unit_test(an_empty_file_gives_the_defaults),
        cmocka_unit_test(values_comments_and_spaces_are_read),
        cmocka_unit_test(an_unknown_setting_is_refused_with_its_line),
        cmocka_unit_test(a_setting_given_twice_is_refused),
        cmocka_unit_test(a_line_without_an_equals_sign_is_refused),
        cmocka_unit_test(numbers_out_of_range_or_malformed_are_refused),
        cmocka_unit_test(a_region_takes_only_lower_case_letters_digits_and_hyphens),
        cmocka_unit_test(paths_are_absolute_and_the_listener_is_numeric),
        cmocka_unit_test(an_ipv6_listener_is_written_in_brackets),
        cmocka_unit_test(times_must_be_in_order),
        cmocka_unit_test(a_value_that_is_not_plain_ascii_is_refused),
        cmocka_unit_test(the_trouble_names_the_setting_and_never_the_value),
        cmocka_unit_test(the_sample_file_parses_to_the_defaults_when_uncommented),
        cmocka_unit_test(a_file_that_is_not_there_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
