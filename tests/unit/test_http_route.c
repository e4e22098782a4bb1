/* The route table, held against the table of docs/API.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

#define FACE_VERBS 6 /* of the Vault-compatible face alone: docs/COMPAT.md */

static enum verb find(const char *method, const char *url, struct request *ret_rq, unsigned *code)
{
    struct request *rq = request_new();
    struct exchange x = { .rq = rq };
    enum verb verb;

    assert_non_null(rq);
    route_find(&x, method, url);
    verb = rq->verb;
    if (ret_rq != NULL)
        memcpy(ret_rq->param, rq->param, sizeof rq->param);
    if (code != NULL)
        *code = x.status;
    request_free(rq);
    return verb;
}

/* "/v1/tenants/{tenant}" becomes "/v1/tenants/tenant". */
static void without_braces(const char *pattern, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        if (pattern[i] != '{' && pattern[i] != '}')
            *out++ = pattern[i];
    }
    *out = '\0';
}

static void every_documented_route_exists_and_every_verb_is_documented(void **state)
{
    bool documented[VERB_COUNT] = { false };
    char line[512], method[16], url[256];
    FILE *f = fopen(SOURCE_DIR "/docs/API.md", "r");
    size_t rows = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        const char *path;
        enum verb verb;

        if (sscanf(line, "| `%15[A-Z] ", method) != 1)
            continue;
        path = strchr(line, '/');
        assert_non_null(path);
        without_braces(path, strcspn(path, "`"), url);
        verb = find(method, url, NULL, NULL);
        if (verb == VERB_NONE)
            print_error("documented, but not there: %s %s\n", method, url);
        assert_int_not_equal(verb, VERB_NONE);
        assert_false(documented[verb]);
        documented[verb] = true;
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, VERB_COUNT - 1 - FACE_VERBS);
}

static void segments_become_parameters(void **state)
{
    struct request rq;

    (void)state;
    assert_int_equal(find("POST", "/v1/tenants/acme/keys/openai/rotate", &rq, NULL),
                     VERB_KEY_ROTATE);
    assert_string_equal(rq.param[0], "acme");
    assert_string_equal(rq.param[1], "openai");
}

static void a_known_path_with_another_method_is_405(void **state)
{
    unsigned code = 0;

    (void)state;
    assert_int_equal(find("DELETE", "/v1/leases", NULL, &code), VERB_NONE);
    assert_int_equal(code, 405);
}

static void a_proxy_may_ask_with_any_method(void **state)
{
    static const char *const methods[] = { "GET", "POST", "DELETE", "PATCH", "PROPFIND" };

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        assert_int_equal(find(methods[i], "/v1/authz/acme/openai", NULL, NULL), VERB_LEASE_FORWARD);
}

static void anything_else_is_404(void **state)
{
    static const char *const urls[] = { "/",
                                        "",
                                        "/v1",
                                        "/v1/leases/",
                                        "/v1//status",
                                        "/v1/statuses",
                                        "/v1/tenants//keys",
                                        "/v2/status",
                                        "/v1/tenants/a/keys/b/c",
                                        "/v1/status/../leases" };
    unsigned code = 0;
    char longest[2048] = "/v1/tenants/";

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_int_equal(find("GET", urls[i], NULL, &code), VERB_NONE);
        assert_int_equal(code, 404);
    }
    memset(longest + 12, 'a', sizeof longest - 13);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(find("GET", longest, NULL, &code), VERB_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_route_exists_and_every_verb_is_documented),
        cmocka_unit_test(segments_become_parameters),
        cmocka_unit_test(a_known_path_with_another_method_is_405),
        cmocka_unit_test(a_proxy_may_ask_with_any_method),
        cmocka_unit_test(anything_else_is_404),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
