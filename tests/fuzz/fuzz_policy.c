/*
 * Documents: whatever the text holds, it parses or is refused with a reason; a document is within
 * itself; and if one is within another, what it allows the other allows too, and for as long. The
 * input is one byte (1: the vault's), a document, a zero byte, a second document, a zero byte, and
 * bytes from which questions are made. All of it is read as cases, too.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/case.h"
#include "provider/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUESTIONS 64

static struct policy_document *parse(struct span text, bool vault)
{
    struct policy_document *d = NULL;
    struct policy_trouble trouble;
    struct err e = { 0 };
    status st = policy_document_parse(text, vault, &d, &trouble, &e);

    if ((st == OK) != (d != NULL) || (st == OK) != (trouble.why == NULL))
        abort();
    if (st != OK && st != BAD_INPUT && st != LIMIT)
        abort();
    return d;
}

/* Cases end, and what is no case has a reason. */
static void read_cases(struct span text)
{
    struct policy_cases cases = policy_cases_of(text);
    struct policy_case c;
    bool more = true;

    while (more) {
        struct policy_trouble trouble;
        size_t left = cases.rest.n;
        status st = policy_case_next(&cases, &c, &more, &trouble, NULL);

        if ((st == OK) != (trouble.why == NULL) || (st == OK && more && cases.rest.n >= left))
            abort();
        if (st != OK)
            return;
    }
}

/* Up to the next zero byte, which is taken too. */
static struct span part(struct span *rest)
{
    const uint8_t *end = rest->n > 0 ? memchr(rest->p, '\0', rest->n) : NULL;
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
    struct span found = span_of(rest->p, n);

    n += end != NULL;
    *rest = span_of(rest->p + n, rest->n - n);
    return found;
}

/* A text that some rule speaks of, or one that none does. */
static struct span fact(const struct policy_document *d, unsigned condition, size_t part_of_pair,
                        unsigned choice, char out[static 256])
{
    static const char other[] = "other";

    if (d->rule_count > 0) {
        const struct policy_rule *rule = &d->rules[choice % d->rule_count];
        const struct policy_list *list = &rule->list[condition];
        size_t step = condition == CONDITION_KEYS && d->vault ? 2 : 1;

        if (list->count >= step) {
            size_t at = choice / d->rule_count % (list->count / step) * step + part_of_pair;
            const struct policy_word *word = &d->words[list->first + at];
            size_t n = word->n < 200 ? word->n : 200;

            memcpy(out, d->text + word->at, n);
            if (word->prefix)
                out[n++] = 'x';
            return span_of(out, n);
        }
    }
    memcpy(out, other, sizeof other - 1);
    return span_of(out, sizeof other - 1);
}

static unsigned next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void ask(const struct policy_document *within, const struct policy_document *of,
                uint32_t seed)
{
    char text[CONDITION_LISTS + 1][256];
    struct span facts[CONDITION_LISTS + 1];
    struct policy_verdict inner, outer;
    size_t part_of_key = within->vault ? 1 : 0;

    for (unsigned c = 0; c < CONDITION_LISTS; c++) {
        const struct policy_document *from = next(&seed) % 2 == 0 ? within : of;

        facts[c] = fact(from, c, c == CONDITION_KEYS ? part_of_key : 0, next(&seed), text[c]);
        if (c >= CONDITION_MODELS && c <= CONDITION_PURPOSES && next(&seed) % 4 == 0)
            facts[c].n = 0;
    }
    if (within->vault && next(&seed) % 2 == 0)
        facts[CONDITION_TENANTS] =
            fact(within, CONDITION_KEYS, 0, next(&seed), text[CONDITION_LISTS]);

    const struct policy_question q = {
        .tenant = facts[CONDITION_TENANTS],
        .key = facts[CONDITION_KEYS],
        .gateway = facts[CONDITION_GATEWAYS],
        .provider = facts[CONDITION_PROVIDERS],
        .model = facts[CONDITION_MODELS],
        .environment = facts[CONDITION_ENVIRONMENTS],
        .classification = facts[CONDITION_CLASSIFICATIONS],
        .purpose = facts[CONDITION_PURPOSES],
        .region = facts[CONDITION_REGIONS],
        .class = (uint8_t)(1 + next(&seed) % 3),
        .scope = next(&seed) % 2 == 0 ? SCOPE_INFERENCE : SCOPE_BILLING_READ,
        .time_us = 1 + (uint64_t)(next(&seed) % 168) * 3600000000,
    };

    if (policy_decide(within, &q, NULL, &inner, NULL) != OK ||
        policy_decide(of, &q, NULL, &outer, NULL) != OK)
        abort();
    if (inner.answer != POLICY_ALLOWED)
        return;
    if (outer.answer != POLICY_ALLOWED)
        abort();
    if (outer.max_ttl_s != 0 && (inner.max_ttl_s == 0 || inner.max_ttl_s > outer.max_ttl_s))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    struct policy_warning warnings[8];
    uint32_t seed = 0;

    if (size == 0)
        return 0;
    bool vault = data[0] % 2 == 1;

    rest = span_of(data + 1, size - 1);
    struct policy_document *one = parse(part(&rest), vault);
    struct policy_document *two = parse(part(&rest), vault);

    if (one != NULL && !policy_document_within(one, one))
        abort();
    if (one != NULL && policy_document_review(one, warnings, 8) > 8)
        abort();
    read_cases(span_of(data + 1, size - 1));
    for (size_t i = 0; i < rest.n; i++)
        seed = seed * 31 + rest.p[i];
    if (one != NULL && two != NULL) {
        bool within = policy_document_within(one, two);

        for (uint32_t i = 0; i < QUESTIONS; i++)
            ask(within ? one : two, two, seed + i);
    }
    policy_document_free(one);
    policy_document_free(two);
    return 0;
}
