/* One case at a time: its heading, then its lines up to the next heading. */
#include "policy/case.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/sections.h"
#include "provider/provider.h"
#include "setting.h"

static const struct {
    const char *name;
    size_t at;
} facts[] = {
    { "gateway", offsetof(struct policy_question, gateway) },
    { "key", offsetof(struct policy_question, key) },
    { "tenant", offsetof(struct policy_question, tenant) },
    { "provider", offsetof(struct policy_question, provider) },
    { "model", offsetof(struct policy_question, model) },
    { "environment", offsetof(struct policy_question, environment) },
    { "classification", offsetof(struct policy_question, classification) },
    { "purpose", offsetof(struct policy_question, purpose) },
    { "region", offsetof(struct policy_question, region) },
};
#define FACTS (sizeof facts / sizeof facts[0])

/* What else a case sets, as bits behind those of the facts. */
enum { SET_CLASS = FACTS, SET_SCOPE, SET_AT, SET_EXPECT, SET_RULE };

struct policy_cases policy_cases_of(struct span text)
{
    return (struct policy_cases){ .rest = text };
}

static const char *set_code(struct span value, uint8_t (*parse)(const char *), uint8_t *ret_code,
                            const char *otherwise)
{
    char name[16] = { 0 };

    if (value.n > 0 && value.n < sizeof name)
        memcpy(name, value.p, value.n);
    *ret_code = parse(name);
    return *ret_code != 0 ? NULL : otherwise;
}

/* "mon 09": some week's hour. */
static const char *set_at(struct span value, uint64_t *ret_us)
{
    static const char wrong[] = "a case is at a day and an hour, as in mon 09";
    struct hours hours;
    char text[16];
    unsigned day = 0;

    if (value.n != 6 || value.p[3] != ' ')
        return wrong;
    /* As hours that end with the day: "mon-mon 09-24". */
    snprintf(text, sizeof text, "%.3s-%.3s %.2s-24", (const char *)value.p, (const char *)value.p,
             (const char *)value.p + 4);
    if (!hours_parse(span_text(text), &hours) || hours.from > 23)
        return wrong;
    while ((hours.days & 1u << day) == 0)
        day++;
    *ret_us = ((4 + day) * DAY_S + hours.from * (uint64_t)3600) * SECOND_US; /* 1970-01-05 */
    return NULL;
}

static const char *set_fact(size_t i, struct span value, struct policy_question *q)
{
    struct span *fact = (void *)((char *)q + facts[i].at);

    if (value.n == 0)
        return "no value is given";
    *fact = value;
    return NULL;
}

static const char *set_expect(struct span value, struct policy_case *c)
{
    c->allow = span_same(value, span_text("allow"));
    return c->allow || span_same(value, span_text("deny")) ? NULL : "expect is allow or deny";
}

static const char *set_line(const struct sections_line *line, struct policy_case *c, uint32_t *set)
{
    static const char *const others[] = { "class", "scope", "at", "expect", "rule" };
    size_t which = 0;

    while (which < FACTS && !span_same(line->name, span_text(facts[which].name)))
        which++;
    for (size_t i = 0; which == FACTS + i && i < sizeof others / sizeof others[0]; i++)
        which += !span_same(line->name, span_text(others[i]));
    if (which > SET_RULE)
        return "no case has such a line";
    if ((*set & 1u << which) != 0)
        return "it is set twice in this case";
    *set |= 1u << which;
    switch (which) {
    case SET_CLASS:
        return set_code(line->value, class_parse, &c->question.class,
                        "a class is static, killable or minted");
    case SET_SCOPE:
        return set_code(line->value, scope_parse, &c->question.scope,
                        "a scope is inference, billing_read or admin");
    case SET_AT: return set_at(line->value, &c->question.time_us);
    case SET_EXPECT: return set_expect(line->value, c);
    case SET_RULE:
        c->rule = line->value;
        return setting_name_valid(line->value) ? NULL : "expected the name of a rule";
    default: return set_fact(which, line->value, &c->question);
    }
}

static const char *begin(const struct sections_line *line, struct policy_case *c)
{
    *c = (struct policy_case){ .name = line->value, .line = line->number };
    c->question.class = CLASS_STATIC;
    c->question.scope = SCOPE_INFERENCE;
    if (!line->heading)
        return "a line before the first heading";
    if (!span_same(line->name, span_text("case")) || line->value.n == 0)
        return "a heading is [case NAME]";
    return NULL;
}

status policy_case_next(struct policy_cases *cases, struct policy_case *ret_case, bool *ret_more,
                        struct policy_trouble *ret_trouble, struct err *e)
{
    struct sections s = { .rest = cases->rest, .line = cases->line }, before;
    struct sections_line line;
    struct err broken = { 0 };
    uint32_t set = 0;
    bool begun = false, more;

    *ret_trouble = (struct policy_trouble){ 0 };
    *ret_more = false;
    for (;;) {
        const char *why = NULL;

        before = s;
        if (sections_next(&s, &line, &more, &broken) != OK)
            why = broken.why;
        else if (!more || (begun && line.heading))
            break;
        else if (!begun)
            why = begin(&line, ret_case);
        else
            why = set_line(&line, ret_case, &set);
        begun = true;
        if (why != NULL) {
            *ret_trouble = (struct policy_trouble){ .line = s.line, .why = why };
            return err_note(e, BAD_INPUT, __func__, why, s.line);
        }
    }
    *cases = (struct policy_cases){ .rest = before.rest, .line = before.line };
    *ret_more = begun;
    if (begun && (set & 1u << SET_EXPECT) == 0) {
        *ret_trouble = (struct policy_trouble){ ret_case->line, "the case expects nothing" };
        return err_note(e, BAD_INPUT, __func__, ret_trouble->why, ret_case->line);
    }
    return OK;
}
