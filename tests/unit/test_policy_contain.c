/* Which documents narrow what another one allows, and what is odd about one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "policy/document.h"

static struct policy_document *parsed(const char *text, bool vault)
{
    struct policy_document *d = NULL;
    struct policy_trouble trouble;

    assert_int_equal(policy_document_parse(span_text(text), vault, &d, &trouble, NULL), OK);
    return d;
}

static bool within_of(const char *new, const char *old, bool vault)
{
    struct policy_document *a = parsed(new, vault), *b = parsed(old, vault);
    bool is = policy_document_within(a, b);

    policy_document_free(a);
    policy_document_free(b);
    return is;
}

static void narrows(const char *new, const char *old)
{
    assert_true(within_of(new, old, false));
}

static void widens(const char *new, const char *old)
{
    assert_false(within_of(new, old, false));
}

static const char whole[] = "[allow a]\nkeys = openai-* mistral\nproviders = openai mistral\n"
                            "hours = mon-fri 08-20\nclasses = killable minted\nmax_ttl = 15m\n"
                            "rate = 60/minute 1000/hour\nconcurrent = 20\nspend_day = 100\n"
                            "[deny b]\nkeys = openai-old\n[limits]\nspend_month = 9\n";

static void a_document_is_within_itself(void **state)
{
    (void)state;
    narrows(whole, whole);
    narrows("", "");
}

static void a_rule_less_or_a_deny_more_narrows(void **state)
{
    (void)state;
    narrows("", "[allow a]\n");
    narrows("[allow a]\n", "[allow b]\nkeys = x\n[allow a]\n");
    narrows("[allow a]\n[deny b]\n", "[allow a]\n");
    widens("[allow a]\n[allow b]\n", "[allow a]\n");
    widens("[allow b]\n", "[allow a]\n"); /* another name is another rule */
    widens("[allow a]\n", "[allow a]\n[deny b]\nkeys = x\n");
    widens("[allow b]\n", "[deny b]\n");
}

static void conditions_narrow_by_words_and_beginnings(void **state)
{
    (void)state;
    narrows("[allow a]\nkeys = openai-prod\n", "[allow a]\nkeys = openai-* x\n");
    narrows("[allow a]\nkeys = openai-p*\n", "[allow a]\nkeys = x openai-*\n");
    narrows("[allow a]\nkeys = x\n", "[allow a]\n");
    narrows("[allow a]\n", "[allow a]\nkeys = *\n"); /* every request has a key */
    narrows("[allow a]\nmodels = gpt-5*\n", "[allow a]\nmodels = *\n");
    widens("[allow a]\n", "[allow a]\nmodels = *\n"); /* but not every one says a model */
    widens("[allow a]\nkeys = openai-*\n", "[allow a]\nkeys = openai-prod\n");
    widens("[allow a]\nkeys = openai\n", "[allow a]\nkeys = openai-*\n");
    widens("[allow a]\nkeys = x y\n", "[allow a]\nkeys = x\n");
    widens("[allow a]\n", "[allow a]\nkeys = x\n");
}

static void hours_classes_and_scopes_narrow_as_sets(void **state)
{
    (void)state;
    narrows("[allow a]\nhours = tue-wed 09-19\n", "[allow a]\nhours = mon-fri 08-20\n");
    widens("[allow a]\nhours = mon-sat 08-20\n", "[allow a]\nhours = mon-fri 08-20\n");
    widens("[allow a]\nhours = mon-fri 22-06\n", "[allow a]\nhours = mon-fri 21-05\n");
    widens("[allow a]\n", "[allow a]\nhours = mon-fri 08-20\n");
    narrows("[allow a]\nclasses = minted\n", "[allow a]\nclasses = killable minted\n");
    widens("[allow a]\nclasses = static\n", "[allow a]\nclasses = killable minted\n");
    widens("[allow a]\n", "[allow a]\nclasses = static killable minted\n");
    widens("[allow a]\nscopes = billing_read\n", "[allow a]\n");
    narrows("[allow a]\nscopes = inference\n", "[allow a]\n");
}

static void limits_narrow_when_none_is_higher_or_gone(void **state)
{
    (void)state;
    narrows("[allow a]\nrate = 5/minute\nconcurrent = 1\n", "[allow a]\nrate = 6/minute\n");
    widens("[allow a]\nrate = 7/minute\n", "[allow a]\nrate = 6/minute\n");
    widens("[allow a]\nrate = 6/hour\n", "[allow a]\nrate = 6/minute\n");
    widens("[allow a]\n", "[allow a]\nspend_day = 5\n");
    narrows("[allow a]\nmax_ttl = 5m\n", "[allow a]\nmax_ttl = 15m\n");
    widens("[allow a]\nmax_ttl = 1h\n", "[allow a]\nmax_ttl = 15m\n");
    widens("[allow a]\n", "[allow a]\n[limits]\nconcurrent = 5\n");
    narrows("[allow a]\n[limits]\nconcurrent = 4\n", "[allow a]\n[limits]\nconcurrent = 5\n");
}

static void a_deny_is_kept_when_it_covers_as_much(void **state)
{
    (void)state;
    narrows("[deny b]\nkeys = x*\n", "[deny b]\nkeys = xy\n");
    widens("[deny b]\nkeys = xy\n", "[deny b]\nkeys = x*\n");
    narrows("[deny b]\n", "[deny b]\nscopes = inference\n");
    widens("[deny b]\nscopes = inference\n", "[deny b]\n");
}

/* The first rule that allows says for how long. */
static void what_lets_a_later_rule_give_more_time_widens(void **state)
{
    static const char old[] = "[allow short]\nkeys = x\nmax_ttl = 1m\n"
                              "[allow long]\nmax_ttl = 1h\n";

    (void)state;
    widens("[allow long]\nmax_ttl = 1h\n", old);
    widens("[allow long]\nmax_ttl = 1h\n[allow short]\nkeys = x\nmax_ttl = 1m\n", old);
    widens("[allow short]\nkeys = x\nhours = 08-20\nmax_ttl = 1m\n[allow long]\nmax_ttl = 1h\n",
           old);
    narrows("[allow long]\nmax_ttl = 1m\n", old);
    narrows("[allow long]\nkeys = y\nmax_ttl = 1h\n", old); /* never the same request */
    narrows("[allow short]\nkeys = x\nmax_ttl = 1m\n[allow long]\nmax_ttl = 30m\n", old);
}

static void the_vaults_keys_are_compared_as_pairs(void **state)
{
    (void)state;
    assert_true(within_of("[allow a]\nkeys = acme/x\n", "[allow a]\nkeys = ac*/x* b/c\n", true));
    assert_true(within_of("[allow a]\n", "[allow a]\nkeys = *\n", true));
    assert_false(within_of("[allow a]\nkeys = acme/x\n", "[allow a]\nkeys = acme/y b/x\n", true));
    assert_false(within_of("[allow a]\nkeys = */x\n", "[allow a]\nkeys = acme/x\n", true));
}

/* --- what is odd ----------------------------------------------------------------------------- */

static void warned(const char *text, bool vault, unsigned line, const char *why, const char *other)
{
    struct policy_document *d = parsed(text, vault);
    struct policy_warning w[4] = { 0 };
    size_t n = policy_document_review(d, w, 4);

    assert_int_equal(n, 1);
    assert_int_equal(w[0].line, line);
    assert_string_equal(w[0].why, why);
    assert_true(span_same(w[0].other, span_text(other)));
    policy_document_free(d);
}

static void quiet(const char *text)
{
    struct policy_document *d = parsed(text, false);
    struct policy_warning w[4];

    assert_int_equal(policy_document_review(d, w, 4), 0);
    policy_document_free(d);
}

static void a_rule_that_never_decides_is_told(void **state)
{
    (void)state;
    warned("[allow a]\n[allow b]\nkeys = x\n", false, 2,
           "this rule never decides: all of it is allowed before by", "a");
    warned("[allow a]\nkeys = x\n[deny c]\nkeys = x*\n[allow d]\n", false, 1,
           "this rule never decides: all of it is denied by", "c");
}

static void what_may_decide_is_not(void **state)
{
    (void)state;
    quiet("[allow a]\nrate = 5/minute\n[allow b]\n"); /* when the limit of a is reached */
    quiet("[allow b]\nkeys = x\n[allow a]\n");
    quiet("[allow a]\n[deny c]\nkeys = x\n");
}

static void a_document_that_allows_nothing_is_told(void **state)
{
    (void)state;
    warned("[limits]\nrate = 5/minute\n", false, 0,
           "no rule allows anything: with this document every lease is refused", "");
}

static void keys_of_other_tenants_are_told(void **state)
{
    (void)state;
    warned("[allow a]\nkeys = acme/x\ntenants = globex\n", true, 1,
           "no request can match this rule: its keys are of other tenants", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_within_itself),
        cmocka_unit_test(a_rule_less_or_a_deny_more_narrows),
        cmocka_unit_test(conditions_narrow_by_words_and_beginnings),
        cmocka_unit_test(hours_classes_and_scopes_narrow_as_sets),
        cmocka_unit_test(limits_narrow_when_none_is_higher_or_gone),
        cmocka_unit_test(a_deny_is_kept_when_it_covers_as_much),
        cmocka_unit_test(what_lets_a_later_rule_give_more_time_widens),
        cmocka_unit_test(the_vaults_keys_are_compared_as_pairs),
        cmocka_unit_test(a_rule_that_never_decides_is_told),
        cmocka_unit_test(what_may_decide_is_not),
        cmocka_unit_test(a_document_that_allows_nothing_is_told),
        cmocka_unit_test(keys_of_other_tenants_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
