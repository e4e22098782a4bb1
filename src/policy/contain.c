/* Is one document within another? Compared rule by rule, of the same name; whatever this cannot
 * see counts as more. */
#include <string.h>

#include "policy/document.h"
#include "provider/provider.h"

/* A rule where it stands. */
struct side {
    const struct policy_document *d;
    const struct policy_rule *rule;
};

/* Is what inner covers covered by outer? */
static bool word_within(struct side inner, const struct policy_word *a, struct side outer,
                        const struct policy_word *b)
{
    if (!b->prefix && a->prefix)
        return false;
    if (b->prefix ? a->n < b->n : a->n != b->n)
        return false;
    return b->n == 0 || memcmp(inner.d->text + a->at, outer.d->text + b->at, b->n) == 0;
}

/* Is there a text that both cover? */
static bool words_meet(struct side one, const struct policy_word *a, struct side other,
                       const struct policy_word *b)
{
    return word_within(one, a, other, b) || word_within(other, b, one, a);
}

static size_t stride(struct side side, size_t condition)
{
    return condition == CONDITION_KEYS && side.d->vault ? 2 : 1;
}

typedef bool (*relation)(struct side one, const struct policy_word *a, struct side other,
                         const struct policy_word *b);

/* Does element i of the one list stand in the relation to some element of the other? */
static bool any_related(struct side one, struct side other, size_t condition, size_t i,
                        relation related)
{
    const struct policy_word *a = one.d->words + one.rule->list[condition].first + i;
    const struct policy_list *list = &other.rule->list[condition];
    size_t step = stride(other, condition);

    for (size_t k = 0; k + step <= list->count; k += step) {
        const struct policy_word *b = other.d->words + list->first + k;
        bool all = true;

        for (size_t part = 0; part < step; part++)
            all = all && related(one, a + part, other, b + part);
        if (all)
            return true;
    }
    return false;
}

/* What every request states: there a star demands nothing. */
static bool always_stated(size_t condition)
{
    return condition == CONDITION_GATEWAYS || condition == CONDITION_KEYS ||
           condition == CONDITION_TENANTS || condition == CONDITION_PROVIDERS ||
           condition == CONDITION_REGIONS;
}

static bool demands_nothing(struct side side, size_t condition)
{
    const struct policy_list *list = &side.rule->list[condition];
    size_t step = stride(side, condition);

    if (side.rule->condition_line[condition] == 0)
        return true;
    for (size_t i = 0; always_stated(condition) && i + step <= list->count; i += step) {
        bool star = true;

        for (size_t part = 0; part < step; part++) {
            const struct policy_word *word = side.d->words + list->first + i + part;

            star = star && word->prefix && word->n == 0;
        }
        if (star)
            return true;
    }
    return false;
}

static bool list_within(struct side inner, struct side outer, size_t condition)
{
    const struct policy_list *list = &inner.rule->list[condition];
    size_t step = stride(inner, condition);

    if (demands_nothing(outer, condition))
        return true;
    if (inner.rule->condition_line[condition] == 0)
        return false;
    for (size_t i = 0; i + step <= list->count; i += step) {
        if (!any_related(inner, outer, condition, i, word_within))
            return false;
    }
    return true;
}

static bool hours_within(const struct policy_rule *inner, const struct policy_rule *outer)
{
    if (outer->condition_line[CONDITION_HOURS] == 0)
        return true;
    if (inner->condition_line[CONDITION_HOURS] == 0)
        return false;
    for (unsigned i = 0; i < 7 * 24; i++) {
        if (hours_include(&inner->hours, i / 24, i % 24) &&
            !hours_include(&outer->hours, i / 24, i % 24))
            return false;
    }
    return true;
}

static bool classes_within(const struct policy_rule *inner, const struct policy_rule *outer)
{
    if (outer->condition_line[CONDITION_CLASSES] == 0)
        return true;
    return inner->condition_line[CONDITION_CLASSES] != 0 && (inner->classes & ~outer->classes) == 0;
}

/* A deny without the line is about scopes that are not known, too. */
static bool scopes_within(const struct policy_rule *inner, const struct policy_rule *outer)
{
    return (inner->scopes & ~outer->scopes) == 0;
}

static bool conditions_within(struct side inner, struct side outer)
{
    if (inner.d->vault != outer.d->vault)
        return false;
    for (size_t c = 0; c < CONDITION_LISTS; c++) {
        if (!list_within(inner, outer, c))
            return false;
    }
    return hours_within(inner.rule, outer.rule) && classes_within(inner.rule, outer.rule) &&
           scopes_within(inner.rule, outer.rule);
}

bool policy_rule_within(const struct policy_document *inner_document,
                        const struct policy_rule *inner,
                        const struct policy_document *outer_document,
                        const struct policy_rule *outer)
{
    return conditions_within((struct side){ inner_document, inner },
                             (struct side){ outer_document, outer });
}

static bool limits_within(const struct policy_limits *inner, const struct policy_limits *outer)
{
    for (size_t i = 0; i < POLICY_LIMITS; i++) {
        if (outer->most[i] != 0 && (inner->most[i] == 0 || inner->most[i] > outer->most[i]))
            return false;
    }
    return true;
}

static bool ttl_within(const struct policy_rule *inner, const struct policy_rule *outer)
{
    return outer->max_ttl_s == 0 || (inner->max_ttl_s != 0 && inner->max_ttl_s <= outer->max_ttl_s);
}

static bool allow_within(struct side inner, struct side outer)
{
    return conditions_within(inner, outer) && ttl_within(inner.rule, outer.rule) &&
           limits_within(&inner.rule->limits, &outer.rule->limits);
}

/* Can no request match both? */
static bool are_apart(struct side one, struct side other)
{
    for (size_t c = 0; c < CONDITION_LISTS; c++) {
        const struct policy_list *list = &one.rule->list[c];
        size_t step = stride(one, c);
        bool met = one.rule->condition_line[c] == 0 || other.rule->condition_line[c] == 0;

        for (size_t i = 0; !met && i + step <= list->count; i += step)
            met = any_related(one, other, c, i, words_meet);
        if (!met)
            return true;
    }
    return (one.rule->scopes & other.rule->scopes) == 0 ||
           (one.rule->condition_line[CONDITION_CLASSES] != 0 &&
            other.rule->condition_line[CONDITION_CLASSES] != 0 &&
            (one.rule->classes & other.rule->classes) == 0);
}

/* The first rule that allows says for how long. A rule that gave less time and stood before this
 * one must stand there still as it was, or what it took would come here and get more. */
static bool order_within(struct side inner, struct side outer)
{
    for (const struct policy_rule *r = outer.d->rules; r < outer.rule; r++) {
        struct side earlier = { outer.d, r }, kept = { inner.d, NULL };

        if (r->deny || ttl_within(inner.rule, r) || are_apart(inner, earlier))
            continue;
        kept.rule = policy_document_rule(inner.d, r->name);
        if (kept.rule == NULL || kept.rule > inner.rule || kept.rule->deny ||
            !allow_within(kept, earlier) || !allow_within(earlier, kept))
            return false;
    }
    return true;
}

bool policy_document_within(const struct policy_document *new, const struct policy_document *old)
{
    struct side inner = { .d = new }, outer = { .d = old };

    if (new->vault != old->vault || !limits_within(&new->limits, &old->limits))
        return false;
    for (size_t i = 0; i < new->rule_count; i++) {
        inner.rule = &new->rules[i];
        outer.rule = policy_document_rule(old, inner.rule->name);
        if (inner.rule->deny)
            continue;
        if (outer.rule == NULL || outer.rule->deny || !allow_within(inner, outer) ||
            !order_within(inner, outer))
            return false;
    }
    for (size_t i = 0; i < old->rule_count; i++) {
        outer.rule = &old->rules[i];
        inner.rule = policy_document_rule(new, outer.rule->name);
        if (outer.rule->deny &&
            (inner.rule == NULL || !inner.rule->deny || !conditions_within(outer, inner)))
            return false;
    }
    return true;
}

/* --- what is odd ----------------------------------------------------------------------------- */

struct review {
    const struct policy_document *d;
    struct policy_warning *out;
    size_t cap;
    size_t count;
};

static void warn(struct review *w, unsigned line, const char *why, struct span other)
{
    if (w->count < w->cap)
        w->out[w->count++] = (struct policy_warning){ .line = line, .why = why, .other = other };
}

static bool has_limits(const struct policy_rule *rule)
{
    for (size_t i = 0; i < POLICY_LIMITS; i++) {
        if (rule->limits.most[i] != 0)
            return true;
    }
    return false;
}

/* Keys of one tenant, and a tenant that is another. */
static bool never_holds(struct side side)
{
    const struct policy_list *keys = &side.rule->list[CONDITION_KEYS];
    const struct policy_list *tenants = &side.rule->list[CONDITION_TENANTS];

    if (!side.d->vault || keys->count == 0 || tenants->count == 0)
        return false;
    for (size_t i = 0; i + 1 < keys->count; i += 2) {
        for (size_t k = 0; k < tenants->count; k++) {
            if (words_meet(side, side.d->words + keys->first + i, side,
                           side.d->words + tenants->first + k))
                return false;
        }
    }
    return true;
}

static void review_rule(struct review *w, struct side side)
{
    if (never_holds(side))
        warn(w, side.rule->line, "no request can match this rule: its keys are of other tenants",
             (struct span){ 0 });
    for (size_t i = 0; i < w->d->rule_count; i++) {
        struct side other = { w->d, &w->d->rules[i] };
        bool before = other.rule < side.rule;

        if (other.rule == side.rule || !conditions_within(side, other))
            continue;
        if (other.rule->deny && (!side.rule->deny || before))
            warn(w, side.rule->line, "this rule never decides: all of it is denied by",
                 other.rule->name);
        else if (!other.rule->deny && !side.rule->deny && before && !has_limits(other.rule))
            warn(w, side.rule->line, "this rule never decides: all of it is allowed before by",
                 other.rule->name);
    }
}

size_t policy_document_review(const struct policy_document *d, struct policy_warning *out,
                              size_t cap)
{
    struct review w = { .d = d, .out = out, .cap = cap };
    bool allows = false;

    for (size_t i = 0; i < d->rule_count; i++)
        allows = allows || !d->rules[i].deny;
    if (!allows)
        warn(&w, 0, "no rule allows anything: with this document every lease is refused",
             (struct span){ 0 });
    for (size_t i = 0; i < d->rule_count; i++)
        review_rule(&w, (struct side){ d, &d->rules[i] });
    return w.count;
}
