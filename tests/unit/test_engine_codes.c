/* The engine may not see the keyring, so it repeats a few of its codes: they must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/keyring_codes.h"
#include "keyring/keyring.h"

static void the_engines_codes_are_the_keyrings(void **state)
{
    (void)state;
    assert_int_equal(WIRE_CELL_DATA_KEY, CELL_DATA_KEY);
    assert_int_equal(WIRE_CELL_ENGAGEMENT, CELL_ENGAGEMENT);
    assert_int_equal(WIRE_DESTROY_REVOKED, DESTROY_REVOKED);
    assert_int_equal(WIRE_DESTROY_GRACE_OVER, DESTROY_GRACE_OVER);
    assert_int_equal(WIRE_DESTROY_UNANSWERED, DESTROY_UNANSWERED);
}

static void every_verb_has_a_name_roles_and_a_handler(void **state)
{
    (void)state;
    for (enum verb v = VERB_NONE + 1; v < VERB_COUNT; v++) {
        const struct verb_row *row = verb_row(v);

        assert_non_null(row->name);
        assert_non_null(row->apply);
        assert_int_not_equal(row->roles, 0);
        assert_int_not_equal(row->states, 0);
        /* What changes something has a second half, after the keeper; what reads has none. */
        if ((row->flags & FLAG_READ) != 0)
            assert_null(row->complete);
        if ((row->flags & FLAG_EXCLUSIVE) != 0)
            assert_non_null(row->complete);
        for (enum verb w = VERB_NONE + 1; w < v; w++)
            assert_string_not_equal(row->name, verb_row(w)->name);
    }
}

/* Where Vault's API is spoken, that is; elsewhere even that takes a certificate. */
static void nobody_without_an_identity_may_do_anything_but_log_in_and_see_the_state(void **state)
{
    (void)state;
    for (enum verb v = VERB_NONE; v < VERB_COUNT; v++) {
        if (v != VERB_TOKEN_LOGIN && v != VERB_FACE_STATE)
            assert_int_equal(verb_row(v)->roles & (1 << ROLE_NONE), 0);
    }
}

static void only_gateways_lease(void **state)
{
    (void)state;
    assert_int_equal(verb_row(VERB_LEASE_ISSUE)->roles, 1 << ROLE_GATEWAY);
    assert_int_equal(verb_row(VERB_LEASE_RENEW)->roles, 1 << ROLE_GATEWAY);
}

static void provider_names_and_codes_agree(void **state)
{
    (void)state;
    assert_int_equal(provider_parse("openai"), 2);
    assert_string_equal(provider_name(2), "openai");
    assert_int_equal(provider_parse("nobody"), 0);
    assert_string_equal(provider_name(999), "unknown");
    for (uint16_t code = 1; strcmp(provider_name(code), "unknown") != 0; code++)
        assert_int_equal(provider_parse(provider_name(code)), code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engines_codes_are_the_keyrings),
        cmocka_unit_test(every_verb_has_a_name_roles_and_a_handler),
        cmocka_unit_test(nobody_without_an_identity_may_do_anything_but_log_in_and_see_the_state),
        cmocka_unit_test(only_gateways_lease),
        cmocka_unit_test(provider_names_and_codes_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
