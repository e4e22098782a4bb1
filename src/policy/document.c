/* A document's text, taken apart: headings begin rules, and each line sets one thing of a rule. */
#include "policy/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/sections.h"
#include "setting.h"

/* What is being read; rules and words move into one piece of memory at the end. */
struct draft {
    struct span text;
    bool vault;
    struct policy_rule rules[DOCUMENT_RULES];
    struct policy_limits limits;
    uint16_t rule_count;
    uint16_t limits_line;
    bool open; /* a heading was seen */
    struct words words;
};

static const char *begin_limits(struct draft *d, const struct sections_line *line)
{
    if (line->value.n > 0)
        return "[limits] has no name";
    if (d->limits_line != 0)
        return "a document has one [limits]";
    d->limits_line = (uint16_t)line->number;
    return NULL;
}

static const char *begin_rule(struct draft *d, const struct sections_line *line, bool deny)
{
    struct policy_rule *rule = &d->rules[d->rule_count];

    if (!setting_name_valid(line->value))
        return "a rule has a name of a-z, 0-9, - _ and . behind allow or deny";
    for (size_t i = 0; i < d->rule_count; i++) {
        if (span_same(d->rules[i].name, line->value))
            return "a rule of this name is there already";
    }
    if (d->rule_count == DOCUMENT_RULES)
        return "a document has at most 64 rules";
    *rule =
        (struct policy_rule){ .name = line->value, .line = (uint16_t)line->number, .deny = deny };
    rule->scopes = setting_scopes_unnamed(deny);
    d->rule_count++;
    return NULL;
}

/* Which of the two a line belongs to follows from which heading came last. */
static bool in_limits(const struct draft *d)
{
    return d->limits_line != 0 &&
           (d->rule_count == 0 || d->limits_line > d->rules[d->rule_count - 1].line);
}

static const char *take_heading(struct draft *d, const struct sections_line *line)
{
    d->open = true;
    if (span_same(line->name, span_text("allow")))
        return begin_rule(d, line, false);
    if (span_same(line->name, span_text("deny")))
        return begin_rule(d, line, true);
    if (span_same(line->name, span_text("limits")))
        return begin_limits(d, line);
    return "a heading is [allow NAME], [deny NAME] or [limits]";
}

static const char *take_line(struct draft *d, const struct sections_line *line)
{
    struct setting s = { .name = line->name,
                         .value = line->value,
                         .line = (uint16_t)line->number,
                         .vault = d->vault,
                         .text = d->text };

    if (line->heading)
        return take_heading(d, line);
    if (!d->open)
        return "a line before the first heading";
    if (in_limits(d))
        return setting_of_limits(&s, &d->limits);
    return setting_of_rule(&s, &d->rules[d->rule_count - 1], &d->words);
}

static status take_lines(struct draft *d, struct policy_trouble *trouble, struct err *e)
{
    struct sections sections = sections_of(d->text);
    struct sections_line line;
    struct err broken = { 0 };
    bool more = false;

    do {
        status st = sections_next(&sections, &line, &more, &broken);

        *trouble = (struct policy_trouble){ .line = sections.line };
        if (st != OK)
            trouble->why = broken.why;
        else if (more)
            trouble->why = take_line(d, &line);
        if (trouble->why != NULL)
            return err_note(e, BAD_INPUT, __func__, trouble->why, trouble->line);
    } while (more);
    *trouble = (struct policy_trouble){ 0 };
    return OK;
}

/* Names are views of the text: the copy's, from now on. */
static status finish(const struct draft *d, struct policy_document **ret_document, struct err *e)
{
    size_t rules = d->rule_count * sizeof d->rules[0];
    size_t words = d->words.count * sizeof d->words.word[0];
    size_t size = sizeof(struct policy_document) + rules + words + d->text.n;
    uint8_t *memory = calloc(1, size);
    struct policy_document *document = (void *)memory;
    struct policy_rule *rule;
    uint8_t *text;

    if (memory == NULL)
        return fail(e, NO_MEMORY, "no memory for a document", 0);
    memory += sizeof *document;
    rule = (void *)memory;
    text = memory + rules + words;
    memcpy(rule, d->rules, rules);
    if (words > 0)
        memcpy(memory + rules, d->words.word, words);
    if (d->text.n > 0)
        memcpy(text, d->text.p, d->text.n);
    for (size_t i = 0; i < d->rule_count; i++)
        rule[i].name.p = text + (rule[i].name.p - d->text.p);
    *document = (struct policy_document){ .vault = d->vault,
                                          .rule_count = d->rule_count,
                                          .word_count = (uint16_t)d->words.count,
                                          .limits_line = d->limits_line,
                                          .limits = d->limits,
                                          .text = (const char *)text,
                                          .rules = rule,
                                          .words = (const void *)(memory + rules),
                                          .size = size };
    *ret_document = document;
    return OK;
}

status policy_document_parse(struct span text, bool vault, struct policy_document **ret_document,
                             struct policy_trouble *ret_trouble, struct err *e)
{
    struct draft *d;
    status st;

    *ret_document = NULL;
    *ret_trouble = (struct policy_trouble){ .why = "a document has at most 32 KiB" };
    if (text.n > DOCUMENT_MAX)
        return fail(e, LIMIT, "a document has at most 32 KiB", text.n);
    *ret_trouble = (struct policy_trouble){ .why = "no memory for a document" };
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return fail(e, NO_MEMORY, "no memory for a document", 0);
    d->text = text;
    d->vault = vault;
    /* Each word of a pair has a character at least, but for one that is a star for both. */
    d->words.word = calloc(text.n + 2, sizeof d->words.word[0]);
    st = d->words.word != NULL ? take_lines(d, ret_trouble, e)
                               : fail(e, NO_MEMORY, "no memory for a document", 0);
    if (st == OK)
        st = finish(d, ret_document, e);
    free(d->words.word);
    free(d);
    return st;
}

void policy_document_free(struct policy_document *d)
{
    free(d);
}

const struct policy_rule *policy_document_rule(const struct policy_document *d, struct span name)
{
    for (size_t i = 0; i < d->rule_count; i++) {
        if (span_same(d->rules[i].name, name))
            return &d->rules[i];
    }
    return NULL;
}

struct span policy_word_text(const struct policy_document *d, const struct policy_word *word)
{
    return span_of(d->text + word->at, word->n);
}
