/* Documents of policy: what they may say, and what they decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "policy/decide.h"
#include "provider/provider.h"

static struct policy_document *parsed(const char *text, bool vault)
{
    struct policy_document *d = NULL;
    struct policy_trouble trouble;
    status st = policy_document_parse(span_text(text), vault, &d, &trouble, NULL);

    if (st != OK)
        print_message("line %u: %s\n", trouble.line, trouble.why);
    assert_int_equal(st, OK);
    return d;
}

static void refused(const char *text, bool vault, unsigned line, const char *why)
{
    struct policy_document *d = NULL;
    struct policy_trouble trouble;
    struct err e = { 0 };

    assert_int_equal(policy_document_parse(span_text(text), vault, &d, &trouble, &e), BAD_INPUT);
    assert_null(d);
    assert_string_equal(trouble.why, why);
    assert_int_equal(trouble.line, line);
}

/* A request that states everything. */
static struct policy_question usual(void)
{
    struct policy_question q = { .tenant = span_text("acme"),
                                 .key = span_text("openai-prod"),
                                 .gateway = span_text("litellm-1"),
                                 .provider = span_text("openai"),
                                 .model = span_text("gpt-5-mini"),
                                 .environment = span_text("prod"),
                                 .classification = span_text("public"),
                                 .purpose = span_text("chat"),
                                 .region = span_text("eu"),
                                 .class = CLASS_KILLABLE,
                                 .scope = SCOPE_INFERENCE };

    assert_true(time_parse("2026-11-30T12:00:00.000000Z", TIME_TEXT_LENGTH, &q.time_us));
    return q;
}

static struct policy_verdict verdict(const struct policy_document *d,
                                     const struct policy_question *q,
                                     const struct policy_facts *facts)
{
    struct policy_verdict v;

    assert_int_equal(policy_decide(d, q, facts, &v, NULL), OK);
    return v;
}

static enum policy_answer answer(const char *text, const struct policy_question *q)
{
    struct policy_document *d = parsed(text, false);
    enum policy_answer a = verdict(d, q, NULL).answer;

    policy_document_free(d);
    return a;
}

static enum policy_answer answer_of_vault(const char *text, const struct policy_question *q)
{
    struct policy_document *d = parsed(text, true);
    enum policy_answer a = verdict(d, q, NULL).answer;

    policy_document_free(d);
    return a;
}

/* --- parsing --------------------------------------------------------------------------------- */

static void a_mistake_is_told_with_its_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *why;
    } wrong[] = {
        { "keys = *\n", 1, "a line before the first heading" },
        { "[permit a]\n", 1, "a heading is [allow NAME], [deny NAME] or [limits]" },
        { "[allow]\n", 1, "a rule has a name of a-z, 0-9, - _ and . behind allow or deny" },
        { "[allow a b]\n", 1, "a rule has a name of a-z, 0-9, - _ and . behind allow or deny" },
        { "[allow a]\n[deny a]\n", 2, "a rule of this name is there already" },
        { "[limits x]\n", 1, "[limits] has no name" },
        { "[limits]\n[limits]\n", 2, "a document has one [limits]" },
        { "[allow a]\n\n# more\nkey = x\n", 4, "no rule has such a line" },
        { "[allow a]\nkeys = x\nkeys = y\n", 3, "it is set twice in this rule" },
        { "[allow a]\nkeys =\n", 2, "no value is given" },
        { "[allow a]\nkeys = a*b\n", 2, "expected names, or beginnings of names and a *" },
        { "[allow a]\nkeys = acme/b\n", 2, "expected names, or beginnings of names and a *" },
        { "[allow a]\ntenants = b\n", 2, "tenants are only of the vault's document" },
        { "[allow a]\nproviders = opnai\n", 2, "there is no such provider" },
        { "[allow a]\nmodels = a*b\n", 2, "a * is only the end of a word" },
        { "[allow a]\nmodels = x # new\n", 2, "expected words of visible ASCII characters" },
        { "[allow a]\npurposes = ch*\n", 2, "a purpose is a whole word, or * for any" },
        { "[allow a]\nhours = 8-20\n", 2, "hours are like mon-fri 08-20 or 08-20, UTC" },
        { "[allow a]\nhours =\n", 2, "hours are like mon-fri 08-20 or 08-20, UTC" },
        { "[allow a]\nclasses = soft\n", 2, "a class is static, killable or minted" },
        { "[allow a]\nscopes = all\n", 2, "a scope is inference or billing_read" },
        { "[allow a]\nscopes = inference admin\n", 2, "an admin key is never leased" },
        { "[allow a]\nmax_ttl = 15\n", 2, "a time is like 90s, 15m or 1h, and at most a day" },
        { "[allow a]\nmax_ttl = 25h\n", 2, "a time is like 90s, 15m or 1h, and at most a day" },
        { "[allow a]\nmax_ttl = 1h\nmax_ttl = 1h\n", 3, "it is set twice" },
        { "[allow a]\nrate = 60\n", 2, "a rate is like 60/minute or 1000/hour, or both" },
        { "[allow a]\nrate = 0/minute\n", 2, "a rate is like 60/minute or 1000/hour, or both" },
        { "[allow a]\nrate = 6/minute 7/minute\n", 2, "it is set twice" },
        { "[allow a]\nrate = 6/minute\nrate = 7/hour\n", 3, "it is set twice" },
        { "[allow a]\nconcurrent = 0\n", 2, "expected a whole number from 1 to 1000000" },
        { "[allow a]\nspend_day = 1e3\n", 2,
          "an amount is like 100 or 99.50, and more than nothing" },
        { "[allow a]\nspend_day = 0.0000001\n", 2,
          "an amount is like 100 or 99.50, and more than nothing" },
        { "[deny a]\nrate = 6/minute\n", 2, "a rule that denies has no limits" },
        { "[limits]\nkeys = a\n", 2, "[limits] has rate, concurrent, spend_day and spend_month" },
        { "[limits]\nmax_ttl = 1h\n", 2,
          "[limits] has rate, concurrent, spend_day and spend_month" },
        { "[allow a]\nkeys\n", 2, "expected: name = value" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refused(wrong[i].text, false, wrong[i].line, wrong[i].why);
    refused("[allow a]\nkeys = openai\n", true, 2, "in the vault's document a key is TENANT/KEY");
}

static void a_document_has_at_most_64_rules_and_32_kib(void **state)
{
    static char text[DOCUMENT_MAX + 2];
    struct policy_document *d = NULL;
    struct policy_trouble trouble;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < DOCUMENT_RULES; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "[allow r%d]\n", i);
    d = parsed(text, false);
    assert_int_equal(d->rule_count, DOCUMENT_RULES);
    policy_document_free(d);
    snprintf(text + n, sizeof text - n, "[allow more]\n");
    refused(text, false, 65, "a document has at most 64 rules");
    memset(text, '\n', sizeof text);
    assert_int_equal(policy_document_parse(span_of(text, DOCUMENT_MAX), false, &d, &trouble, NULL),
                     OK);
    policy_document_free(d);
    assert_int_equal(
        policy_document_parse(span_of(text, DOCUMENT_MAX + 1), false, &d, &trouble, NULL), LIMIT);
}

static void times_and_amounts_are_read_exactly(void **state)
{
    struct policy_document *d = parsed("[allow a]\nmax_ttl = 15m\nrate = 60/minute, 1000/hour\n"
                                       "concurrent = 20\nspend_day = 99.5\n"
                                       "spend_month = 2000.000001\n",
                                       false);
    const struct policy_rule *rule = policy_document_rule(d, span_text("a"));

    (void)state;
    assert_int_equal(rule->max_ttl_s, 900);
    assert_int_equal(rule->limits.most[POLICY_RATE_MINUTE], 60);
    assert_int_equal(rule->limits.most[POLICY_RATE_HOUR], 1000);
    assert_int_equal(rule->limits.most[POLICY_CONCURRENT], 20);
    assert_int_equal(rule->limits.most[POLICY_SPEND_DAY], 99500000);
    assert_int_equal(rule->limits.most[POLICY_SPEND_MONTH], 2000000001);
    policy_document_free(d);
}

/* --- deciding -------------------------------------------------------------------------------- */

static void nothing_is_allowed_that_no_rule_allows(void **state)
{
    struct policy_question q = usual();

    (void)state;
    assert_int_equal(answer("", &q), POLICY_NO_RULE);
    assert_int_equal(answer("[allow a]\nkeys = other\n", &q), POLICY_NO_RULE);
    assert_int_equal(answer("[limits]\nconcurrent = 5\n", &q), POLICY_NO_RULE);
    assert_int_equal(answer("[allow a]\n", &q), POLICY_ALLOWED);
}

/* Each condition alone: a line that holds, one that does not, and what the request must state. */
static void each_condition_must_hold_and_be_stated(void **state)
{
    static const struct {
        const char *holds;
        const char *fails;
        size_t fact; /* offset in the question; 0: none to leave out */
    } rows[] = {
        { "gateways = litellm-* x", "gateways = nginx-*",
          offsetof(struct policy_question, gateway) },
        { "keys = openai-prod", "keys = openai", offsetof(struct policy_question, key) },
        { "providers = anthropic openai", "providers = anthropic",
          offsetof(struct policy_question, provider) },
        { "models = claude-* gpt-5*", "models = gpt-5", offsetof(struct policy_question, model) },
        { "environments = prod", "environments = test",
          offsetof(struct policy_question, environment) },
        { "classifications = public", "classifications = internal",
          offsetof(struct policy_question, classification) },
        { "purposes = *", "purposes = cha", offsetof(struct policy_question, purpose) },
        { "purposes = mail chat", "purposes = mail", offsetof(struct policy_question, purpose) },
        { "regions = eu", "regions = us", offsetof(struct policy_question, region) },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct policy_question q = usual();
        char text[128];

        snprintf(text, sizeof text, "[allow a]\n%s\n", rows[i].fails);
        assert_int_equal(answer(text, &q), POLICY_NO_RULE);
        snprintf(text, sizeof text, "[allow a]\n%s\n", rows[i].holds);
        assert_int_equal(answer(text, &q), POLICY_ALLOWED);
        memset((char *)&q + rows[i].fact, 0, sizeof(struct span));
        assert_int_equal(answer(text, &q), POLICY_NO_RULE);
    }
}

static void hours_classes_and_scopes_are_conditions_too(void **state)
{
    struct policy_question q = usual(); /* a Monday, at noon */

    (void)state;
    assert_int_equal(answer("[allow a]\nhours = mon-fri 08-20\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer("[allow a]\nhours = sat-sun 00-24\n", &q), POLICY_NO_RULE);
    assert_int_equal(answer("[allow a]\nclasses = killable minted\n", &q), POLICY_ALLOWED);
    q.class = CLASS_STATIC;
    assert_int_equal(answer("[allow a]\nclasses = killable minted\n", &q), POLICY_NO_RULE);
    q.scope = SCOPE_BILLING_READ; /* without a line only keys for inference */
    assert_int_equal(answer("[allow a]\n", &q), POLICY_NO_RULE);
    assert_int_equal(answer("[allow a]\nscopes = billing_read\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer("[allow a]\nscopes = billing_read\n[deny b]\n", &q), POLICY_DENIED);
    q.scope = SCOPE_ADMIN;
    assert_int_equal(answer("[allow a]\nscopes = billing_read inference\n", &q), POLICY_NO_RULE);
}

static void a_deny_goes_before_every_allow(void **state)
{
    struct policy_question q = usual();

    (void)state;
    assert_int_equal(answer("[allow a]\n[deny b]\nkeys = openai-*\n", &q), POLICY_DENIED);
    assert_int_equal(answer("[allow a]\n[deny b]\nkeys = mistral-*\n", &q), POLICY_ALLOWED);
    q.model = (struct span){ 0 }; /* what is not stated does not match a deny either */
    assert_int_equal(answer("[allow a]\n[deny b]\nmodels = *\n", &q), POLICY_ALLOWED);
}

static void the_first_rule_that_allows_decides(void **state)
{
    struct policy_document *d = parsed("[allow none]\nkeys = x\n[allow first]\nmax_ttl = 5m\n"
                                       "[allow second]\nmax_ttl = 1h\n",
                                       false);
    struct policy_question q = usual();
    struct policy_verdict v = verdict(d, &q, NULL);

    (void)state;
    assert_true(span_same(v.rule->name, span_text("first")));
    assert_int_equal(v.max_ttl_s, 300);
    policy_document_free(d);
}

static void the_vaults_document_speaks_of_tenants(void **state)
{
    struct policy_question q = usual();

    (void)state;
    assert_int_equal(answer_of_vault("[allow a]\nkeys = acme/openai-*\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer_of_vault("[allow a]\nkeys = */openai-*\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer_of_vault("[allow a]\nkeys = *\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer_of_vault("[allow a]\nkeys = b/openai-* acme/x\n", &q), POLICY_NO_RULE);
    assert_int_equal(answer_of_vault("[allow a]\ntenants = ac*\n", &q), POLICY_ALLOWED);
    assert_int_equal(answer_of_vault("[allow a]\ntenants = a\n", &q), POLICY_NO_RULE);
}

/* --- limits ---------------------------------------------------------------------------------- */

/* What was used, by the name of the rule; "" are the [limits]. */
struct used {
    const char *rule;
    uint64_t count;
    status st;
};

static status use(void *context, const struct policy_rule *rule, const struct policy_limits *limits,
                  struct policy_use *ret_use, struct err *e)
{
    const struct used *u = context;

    (void)limits;
    (void)e;
    if (span_same(rule != NULL ? rule->name : span_text(""), span_text(u->rule))) {
        ret_use->used[POLICY_RATE_MINUTE] = u->count;
        ret_use->wait_s[POLICY_RATE_MINUTE] = 17;
    }
    return u->st;
}

static void a_rule_whose_limit_is_reached_gives_way_to_the_next(void **state)
{
    struct policy_document *d =
        parsed("[allow a]\nrate = 3/minute\n[allow b]\nrate = 9/minute\n", false);
    struct policy_question q = usual();
    struct used used = { .rule = "a", .count = 3 };
    struct policy_facts facts = { use, &used };

    (void)state;
    assert_true(span_same(verdict(d, &q, &facts).rule->name, span_text("b")));
    used.count = 2;
    assert_true(span_same(verdict(d, &q, &facts).rule->name, span_text("a")));
    policy_document_free(d);
}

static void a_refusal_names_the_limit_and_the_time_to_wait(void **state)
{
    struct policy_document *d = parsed("[allow a]\nrate = 3/minute\n[allow b]\nkeys = x\n", false);
    struct policy_question q = usual();
    struct used used = { .rule = "a", .count = 3 };
    struct policy_facts facts = { use, &used };
    struct policy_verdict v = verdict(d, &q, &facts);

    (void)state;
    assert_int_equal(v.answer, POLICY_LIMITED);
    assert_int_equal(v.limit, POLICY_RATE_MINUTE);
    assert_int_equal(v.wait_s, 17);
    assert_true(span_same(v.rule->name, span_text("a")));
    policy_document_free(d);
}

static void the_limits_of_the_whole_hold_whatever_rule_allows(void **state)
{
    struct policy_document *d =
        parsed("[limits]\nrate = 3/minute\n[allow a]\n[deny b]\nkeys = x\n", false);
    struct policy_question q = usual();
    struct used used = { .rule = "", .count = 3 };
    struct policy_facts facts = { use, &used };
    struct policy_verdict v = verdict(d, &q, &facts);

    (void)state;
    assert_int_equal(v.answer, POLICY_LIMITED);
    assert_null(v.rule);
    used.count = 2;
    assert_int_equal(verdict(d, &q, &facts).answer, POLICY_ALLOWED);
    q.key = span_text("x");
    used.count = 3;
    assert_int_equal(verdict(d, &q, &facts).answer, POLICY_DENIED);
    policy_document_free(d);
}

static void facts_that_cannot_be_had_allow_nothing(void **state)
{
    struct policy_document *d = parsed("[allow a]\nrate = 3/minute\n[allow b]\n", false);
    struct policy_question q = usual();
    struct used used = { .rule = "a", .st = IO };
    struct policy_facts facts = { use, &used };
    struct policy_verdict v = { .answer = POLICY_ALLOWED };

    (void)state;
    assert_int_equal(policy_decide(d, &q, &facts, &v, NULL), IO);
    assert_int_equal(v.answer, POLICY_NO_RULE);
    policy_document_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistake_is_told_with_its_line),
        cmocka_unit_test(a_document_has_at_most_64_rules_and_32_kib),
        cmocka_unit_test(times_and_amounts_are_read_exactly),
        cmocka_unit_test(nothing_is_allowed_that_no_rule_allows),
        cmocka_unit_test(each_condition_must_hold_and_be_stated),
        cmocka_unit_test(hours_classes_and_scopes_are_conditions_too),
        cmocka_unit_test(a_deny_goes_before_every_allow),
        cmocka_unit_test(the_first_rule_that_allows_decides),
        cmocka_unit_test(the_vaults_document_speaks_of_tenants),
        cmocka_unit_test(a_rule_whose_limit_is_reached_gives_way_to_the_next),
        cmocka_unit_test(a_refusal_names_the_limit_and_the_time_to_wait),
        cmocka_unit_test(the_limits_of_the_whole_hold_whatever_rule_allows),
        cmocka_unit_test(facts_that_cannot_be_had_allow_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
