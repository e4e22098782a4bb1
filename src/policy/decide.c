/* Denies, then the first rule that allows. No memory is taken, and nothing is remembered. */
#include "policy/decide.h"

#include <string.h>

static bool meets(const struct policy_document *d, const struct policy_word *word, struct span fact)
{
    if (word->prefix ? fact.n < word->n : fact.n != word->n)
        return false;
    return word->n == 0 || memcmp(d->text + word->at, fact.p, word->n) == 0;
}

static bool meets_any(const struct policy_document *d, const struct policy_list *list,
                      struct span fact)
{
    const struct policy_word *word = d->words + list->first;

    for (size_t i = 0; i < list->count; i++) {
        if (meets(d, &word[i], fact))
            return true;
    }
    return false;
}

static bool meets_any_pair(const struct policy_document *d, const struct policy_list *list,
                           struct span tenant, struct span key)
{
    const struct policy_word *word = d->words + list->first;

    for (size_t i = 0; i + 1 < list->count; i += 2) {
        if (meets(d, &word[i], tenant) && meets(d, &word[i + 1], key))
            return true;
    }
    return false;
}

static struct span fact_of(const struct policy_question *q, enum policy_condition condition)
{
    switch (condition) {
    case CONDITION_GATEWAYS: return q->gateway;
    case CONDITION_KEYS: return q->key;
    case CONDITION_TENANTS: return q->tenant;
    case CONDITION_PROVIDERS: return q->provider;
    case CONDITION_MODELS: return q->model;
    case CONDITION_ENVIRONMENTS: return q->environment;
    case CONDITION_CLASSIFICATIONS: return q->classification;
    case CONDITION_PURPOSES: return q->purpose;
    case CONDITION_REGIONS: return q->region;
    default: return (struct span){ 0 };
    }
}

static enum policy_match match_of(bool holds)
{
    return holds ? MATCH_HOLDS : MATCH_FAILS;
}

static enum policy_match match_bits(uint8_t bits, uint8_t code)
{
    return code == 0 || code > 7 ? MATCH_UNSTATED : match_of((bits & 1u << code) != 0);
}

static enum policy_match match_list(const struct policy_document *d, const struct policy_rule *rule,
                                    enum policy_condition condition,
                                    const struct policy_question *q)
{
    struct span fact = fact_of(q, condition);
    bool pairs = condition == CONDITION_KEYS && d->vault;

    if (fact.n == 0 || (pairs && q->tenant.n == 0))
        return MATCH_UNSTATED;
    return match_of(pairs ? meets_any_pair(d, &rule->list[condition], q->tenant, q->key)
                          : meets_any(d, &rule->list[condition], fact));
}

/* Without the line, a rule that allows is about keys for inference. */
static enum policy_match match_scope(const struct policy_rule *rule,
                                     const struct policy_question *q)
{
    enum policy_match match = match_bits(rule->scopes, q->scope);

    if (rule->condition_line[CONDITION_SCOPES] == 0)
        return rule->deny || match == MATCH_HOLDS ? MATCH_UNNAMED : match;
    return match;
}

enum policy_match policy_condition_match(const struct policy_document *d,
                                         const struct policy_rule *rule,
                                         enum policy_condition condition,
                                         const struct policy_question *q)
{
    if (condition == CONDITION_SCOPES)
        return match_scope(rule, q);
    if (rule->condition_line[condition] == 0)
        return MATCH_UNNAMED;
    if (condition == CONDITION_HOURS)
        return q->time_us == 0 ? MATCH_UNSTATED : match_of(hours_hold(&rule->hours, q->time_us));
    if (condition == CONDITION_CLASSES)
        return match_bits(rule->classes, q->class);
    return match_list(d, rule, condition, q);
}

bool policy_rule_matches(const struct policy_document *d, const struct policy_rule *rule,
                         const struct policy_question *q)
{
    for (unsigned c = 0; c < CONDITION_COUNT; c++) {
        enum policy_match match = policy_condition_match(d, rule, (enum policy_condition)c, q);

        if (match == MATCH_FAILS || match == MATCH_UNSTATED)
            return false;
    }
    return true;
}

/* --- limits ---------------------------------------------------------------------------------- */

static bool are_set(const struct policy_limits *limits)
{
    for (size_t i = 0; i < POLICY_LIMITS; i++) {
        if (limits->most[i] != 0)
            return true;
    }
    return false;
}

/* Which of the limits is reached, if one is. With more than one, the one that lasts longest is
 * what is worth knowing. */
static status reached(const struct policy_rule *rule, const struct policy_limits *limits,
                      const struct policy_facts *facts, struct policy_verdict *verdict,
                      bool *ret_reached, struct err *e)
{
    struct policy_use use = { 0 };
    status st;

    *ret_reached = false;
    if (facts == NULL || !are_set(limits))
        return OK;
    st = facts->use(facts->context, rule, limits, &use, e);
    for (unsigned i = 0; st == OK && i < POLICY_LIMITS; i++) {
        if (limits->most[i] == 0 || use.used[i] < limits->most[i])
            continue;
        if (!*ret_reached || use.wait_s[i] > verdict->wait_s)
            *verdict = (struct policy_verdict){ .answer = POLICY_LIMITED,
                                                .rule = rule,
                                                .limit = (enum policy_limit)i,
                                                .wait_s = use.wait_s[i] };
        *ret_reached = true;
    }
    return st;
}

static bool is_denied(const struct policy_document *d, const struct policy_question *q,
                      struct policy_verdict *verdict)
{
    for (size_t i = 0; i < d->rule_count; i++) {
        if (!d->rules[i].deny || !policy_rule_matches(d, &d->rules[i], q))
            continue;
        *verdict = (struct policy_verdict){ .answer = POLICY_DENIED, .rule = &d->rules[i] };
        return true;
    }
    return false;
}

/* The first rule that allows; else the first limit that stood in the way. */
static status find_rule(const struct policy_document *d, const struct policy_question *q,
                        const struct policy_facts *facts, struct policy_verdict *verdict,
                        struct err *e)
{
    struct policy_verdict limited = { .answer = POLICY_NO_RULE };

    for (size_t i = 0; i < d->rule_count; i++) {
        const struct policy_rule *rule = &d->rules[i];
        struct policy_verdict found = { 0 };
        bool full;
        status st;

        if (rule->deny || !policy_rule_matches(d, rule, q))
            continue;
        st = reached(rule, &rule->limits, facts, &found, &full, e);
        if (st != OK)
            return st;
        if (!full) {
            *verdict = (struct policy_verdict){ .answer = POLICY_ALLOWED,
                                                .rule = rule,
                                                .max_ttl_s = rule->max_ttl_s };
            return OK;
        }
        if (limited.answer == POLICY_NO_RULE)
            limited = found;
    }
    *verdict = limited;
    return OK;
}

status policy_decide(const struct policy_document *d, const struct policy_question *q,
                     const struct policy_facts *facts, struct policy_verdict *ret_verdict,
                     struct err *e)
{
    struct policy_verdict verdict = { .answer = POLICY_NO_RULE };
    bool full = false;
    status st = OK;

    *ret_verdict = verdict;
    if (!is_denied(d, q, &verdict))
        st = find_rule(d, q, facts, &verdict, e);
    if (st == OK && verdict.answer == POLICY_ALLOWED) {
        struct policy_verdict whole = { 0 };

        st = reached(NULL, &d->limits, facts, &whole, &full, e);
        if (full)
            verdict = whole;
    }
    if (st == OK)
        *ret_verdict = verdict;
    return st;
}
