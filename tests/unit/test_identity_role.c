/* Roles and the URI that names a holder. */
#include "test_identity.h"

#include <stdio.h>

static void every_role_comes_back_from_its_name(void **state)
{
    (void)state;
    for (enum role role = ROLE_OPERATOR; role < ROLE_COUNT; role++)
        assert_int_equal(role_parse(role_name(role)), role);
    assert_string_equal(role_name(ROLE_GATEWAY), "gateway");
}

static void unknown_role_names_are_no_role(void **state)
{
    (void)state;
    assert_int_equal(role_parse(""), ROLE_NONE);
    assert_int_equal(role_parse("none"), ROLE_NONE);
    assert_int_equal(role_parse("Operator"), ROLE_NONE);
    assert_int_equal(role_parse("operator "), ROLE_NONE);
}

static void a_number_that_is_no_role_has_a_harmless_name(void **state)
{
    (void)state;
    assert_string_equal(role_name((enum role)77), "none");
    assert_string_equal(role_name(ROLE_NONE), "none");
}

static void a_uri_names_vault_role_and_holder(void **state)
{
    char uri[URI_MAX];
    struct holder holder;

    (void)state;
    identity_uri_format(&vault, ROLE_GATEWAY, "gw-1", uri);
    assert_string_equal(uri, "strongroom://0102030405060708090a0b0c0d0e0f10/gateway/gw-1");
    assert_true(identity_uri_parse(span_text(uri), &vault, &holder));
    assert_int_equal(holder.role, ROLE_GATEWAY);
    assert_string_equal(holder.name, "gw-1");
}

static void the_longest_name_fits(void **state)
{
    char name[NAME_MAX_LENGTH + 1], uri[URI_MAX];
    struct holder holder;

    (void)state;
    for (size_t i = 0; i < NAME_MAX_LENGTH; i++)
        name[i] = 'x';
    name[NAME_MAX_LENGTH] = 0;
    identity_uri_format(&vault, ROLE_OPERATOR, name, uri);
    assert_true(identity_uri_parse(span_text(uri), &vault, &holder));
    assert_string_equal(holder.name, name);
}

#define V "0102030405060708090a0b0c0d0e0f10"

static void every_other_text_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "/",
        "//",
        "strongroom://",
        "strongroom://" V,
        "strongroom://" V "/gateway",
        "strongroom://" V "/gateway/",
        "strongroom://" V "//gw-1",
        "strongroom://" V "/local/gw-1",
        "strongroom://" V "/none/gw-1",
        "strongroom://" V "/root/gw-1",
        "strongroom://" V "/gateway/GW",
        "strongroom://" V "/gateway/-gw",
        "strongroom://" V "/gateway/gw 1",
        "strongroom://" V "/gateway/gw-1/",
        "strongroom://" V "/gateway/gw-1?x",
        "strongroom://" V "/x/gateway/gw-1",
        "strongroom:/" V "/gateway/gw-1",
        "Strongroom://" V "/gateway/gw-1",
        "https://" V "/gateway/gw-1",
        "strongroom://0102030405060708090A0B0C0D0E0F10/gateway/gw-1",
        "strongroom://0102030405060708090a0b0c0d0e0f11/gateway/gw-1",
        " strongroom://" V "/gateway/gw-1",
    };
    struct holder holder = { .role = ROLE_NONE };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool accepted = identity_uri_parse(span_text(bad[i]), &vault, &holder);

        if (accepted)
            print_error("accepted: %s\n", bad[i]);
        assert_false(accepted);
        assert_int_equal(holder.role, ROLE_NONE);
    }
}

static void a_nul_inside_a_uri_is_refused(void **state)
{
    static const char bad[] = "strongroom://" V "/gateway/gw-1\0x";
    struct holder holder;

    (void)state;
    assert_false(identity_uri_parse(span_of(bad, sizeof bad - 1), &vault, &holder));
}

static void a_very_long_uri_is_refused(void **state)
{
    static char bad[5000];
    struct holder holder;

    (void)state;
    for (size_t i = 0; i < sizeof bad - 1; i++)
        bad[i] = 'a';
    assert_false(identity_uri_parse(span_text(bad), &vault, &holder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_comes_back_from_its_name),
        cmocka_unit_test(unknown_role_names_are_no_role),
        cmocka_unit_test(a_number_that_is_no_role_has_a_harmless_name),
        cmocka_unit_test(a_uri_names_vault_role_and_holder),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(every_other_text_is_refused),
        cmocka_unit_test(a_nul_inside_a_uri_is_refused),
        cmocka_unit_test(a_very_long_uri_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
