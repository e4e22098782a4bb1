/* Paths of the Vault-compatible face: what they name, and that no spelling names another tenant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compat/path.h"

static struct compat_path parsed(const char *url, const char *header)
{
    struct compat_path p;

    assert_null(compat_path_parse(url, header, &p));
    return p;
}

static void every_path_that_is_served_is_understood(void **state)
{
    static const struct {
        const char *url, *tenant, *name;
        enum compat_route route;
    } cases[] = {
        { "/v1/auth/cert/login", "", "", COMPAT_LOGIN_CERT },
        { "/v1/acme/auth/cert/login", "acme", "", COMPAT_LOGIN_CERT },
        { "/v1/auth/approle/login", "", "", COMPAT_LOGIN_APPROLE },
        { "/v1/auth/token/lookup-self", "", "", COMPAT_LOOKUP_SELF },
        { "/v1/auth/token/renew-self", "", "", COMPAT_RENEW_SELF },
        { "/v1/auth/token/revoke-self", "", "", COMPAT_REVOKE_SELF },
        { "/v1/sys/health", "", "", COMPAT_HEALTH },
        { "/v1/sys/seal-status", "", "", COMPAT_SEAL_STATUS },
        { "/v1/sys/leader", "", "", COMPAT_LEADER },
        { "/v1/sys/leases/renew", "", "", COMPAT_LEASE_RENEW },
        { "/v1/sys/leases/revoke/abc", "", "abc", COMPAT_LEASE_REVOKE },
        { "/v1/secret/data/openai", "", "openai", COMPAT_KV2_DATA },
        { "/v1/acme/secret/data/openai", "acme", "openai", COMPAT_KV2_DATA },
        { "//v1//acme//secret//data//openai//", "acme", "openai", COMPAT_KV2_DATA },
        { "/v1/secret/metadata", "", "", COMPAT_KV2_METADATA },
        { "/v1/secret/metadata/openai", "", "openai", COMPAT_KV2_METADATA },
        { "/v1/kv/openai", "", "openai", COMPAT_KV1 },
        { "/v1/acme/kv", "acme", "", COMPAT_KV1 },
        { "/v1/kv/kv", "", "kv", COMPAT_KV1 },
        { "/v1/acme/kv/secret", "acme", "secret", COMPAT_KV1 },
        { "/v1/strongroom/creds/openai", "", "openai", COMPAT_CREDS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compat_path p = parsed(cases[i].url, NULL);

        assert_int_equal(p.route, cases[i].route);
        assert_string_equal(p.tenant, cases[i].tenant);
        assert_string_equal(p.name, cases[i].name);
    }
}

static void a_probe_names_its_mount(void **state)
{
    struct compat_path p = parsed("/v1/sys/internal/ui/mounts/secret/any/thing", NULL);

    (void)state;
    assert_int_equal(p.route, COMPAT_MOUNT);
    assert_string_equal(p.mount, "secret");
    assert_false(p.below);
    p = parsed("/v1/sys/internal/ui/mounts/acme/kv/x", NULL);
    assert_string_equal(p.mount, "kv");
    assert_true(p.below);
    assert_string_equal(p.tenant, "acme");
}

static void anything_else_is_no_path(void **state)
{
    static const char *const urls[] = { "",
                                        "/",
                                        "/v1",
                                        "/v1/",
                                        "/v2/sys/health",
                                        "/v1/sys",
                                        "/v1/sys/mounts",
                                        "/v1/auth/userpass/login/x",
                                        "/v1/acme",
                                        "/v1/acme/openai",
                                        "/v1/secret/openai",
                                        "/v1/secret/data",
                                        "/v1/secret/data/a/b",
                                        "/v1/acme/bolt/secret/data/openai",
                                        "/v1/./secret/data/openai",
                                        "/v1/../secret/data/openai",
                                        "/v1/acme/../secret/data/openai",
                                        "/v1/Acme/secret/data/openai",
                                        "/v1/ac%6de/secret/data/openai",
                                        "/v1/secret/data/OPENAI",
                                        "/v1/secret/data/..",
                                        "/v1/sys/internal/ui/mounts",
                                        "/v1/sys/internal/ui/mounts/other",
                                        "/v1/data/secret/data/x/y/z/a/b/c/d" };
    struct compat_path p;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_non_null(compat_path_parse(urls[i], NULL, &p));
        assert_false(p.misnamed);
    }
}

static void header_and_path_name_one_tenant_or_none(void **state)
{
    static const char *const bad[] = {
        "a/b", "acme/bolt", "..", "Acme", "a b", "acme%2f", "/a/b/"
    };
    static const char url[] = "/v1/secret/data/openai", below[] = "/v1/acme/secret/data/openai";
    struct compat_path p;

    (void)state;
    assert_string_equal(parsed(url, "acme").tenant, "acme");
    assert_string_equal(parsed(url, "/acme/").tenant, "acme");
    assert_string_equal(parsed(below, "").tenant, "acme");
    assert_string_equal(parsed(below, "/").tenant, "acme");
    assert_string_equal(parsed(below, "acme").tenant, "acme");
    assert_string_equal(parsed(url, "").tenant, "");
    assert_non_null(compat_path_parse(below, "bolt", &p));
    assert_true(p.misnamed);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(compat_path_parse(url, bad[i], &p));
        assert_true(p.misnamed);
    }
}

static void words_of_the_paths_are_reserved(void **state)
{
    static const char *const words[] = { "auth", "sys",      "secret", "kv",
                                         "data", "metadata", "creds",  "strongroom" };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_true(compat_reserved(words[i]));
    assert_false(compat_reserved("acme"));
    assert_false(compat_reserved("secrets"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_that_is_served_is_understood),
        cmocka_unit_test(a_probe_names_its_mount),
        cmocka_unit_test(anything_else_is_no_path),
        cmocka_unit_test(header_and_path_name_one_tenant_or_none),
        cmocka_unit_test(words_of_the_paths_are_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
