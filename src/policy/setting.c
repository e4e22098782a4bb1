/* The lines of a document. One table says which there are; what a line holds is checked by kind. */
#include "setting.h"

#include <string.h>

#include "base/limits.h"
#include "base/sections.h"
#include "policy/policy.h"
#include "provider/provider.h"

#define WORD_MAX       128
#define CONCURRENT_MAX 1000000
#define RATE_MAX       1000000
#define DAY_SECONDS    86400

enum kind {
    KIND_LIST,
    KIND_HOURS,
    KIND_CLASSES,
    KIND_SCOPES,
    KIND_TTL,
    KIND_RATE,
    KIND_COUNT,
    KIND_MONEY
};

struct row {
    const char *name;
    enum kind kind;
    uint8_t what; /* enum policy_condition or enum policy_limit */
    const char *(*check)(struct span word);
};

bool setting_name_valid(struct span name)
{
    char text[NAME_MAX_LENGTH + 1];

    if (name.n >= sizeof text || (name.n > 0 && memchr(name.p, '\0', name.n) != NULL))
        return false;
    if (name.n > 0)
        memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return name_valid(text);
}

/* A name, its beginning and a star, or a star. */
static bool is_pattern(struct span word)
{
    if (word.n > 0 && word.p[word.n - 1] == '*')
        return word.n == 1 || setting_name_valid(span_of(word.p, word.n - 1));
    return setting_name_valid(word);
}

static const char *check_name(struct span word)
{
    return is_pattern(word) ? NULL : "expected names, or beginnings of names and a *";
}

static const char *check_provider(struct span word)
{
    char name[NAME_MAX_LENGTH + 1] = { 0 };

    if (!is_pattern(word))
        return "expected names, or beginnings of names and a *";
    if (word.p[word.n - 1] == '*')
        return NULL;
    memcpy(name, word.p, word.n);
    return provider_parse(name) != 0 ? NULL : "there is no such provider";
}

/* What a gateway says of a request: any visible characters; a star ends it or is not there. */
static const char *check_claim(struct span word)
{
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] <= 0x20 || word.p[i] > 0x7e || word.p[i] == '#')
            return "expected words of visible ASCII characters";
        if (word.p[i] == '*' && i + 1 < word.n)
            return "a * is only the end of a word";
    }
    return word.n <= WORD_MAX ? NULL : "the word is too long";
}

static const char *check_purpose(struct span word)
{
    if (word.n > 1 && memchr(word.p, '*', word.n) != NULL)
        return "a purpose is a whole word, or * for any";
    return check_claim(word);
}

static const struct row rows[] = {
    { "gateways", KIND_LIST, CONDITION_GATEWAYS, check_name },
    { "keys", KIND_LIST, CONDITION_KEYS, check_name },
    { "tenants", KIND_LIST, CONDITION_TENANTS, check_name },
    { "providers", KIND_LIST, CONDITION_PROVIDERS, check_provider },
    { "models", KIND_LIST, CONDITION_MODELS, check_claim },
    { "environments", KIND_LIST, CONDITION_ENVIRONMENTS, check_claim },
    { "classifications", KIND_LIST, CONDITION_CLASSIFICATIONS, check_claim },
    { "purposes", KIND_LIST, CONDITION_PURPOSES, check_purpose },
    { "regions", KIND_LIST, CONDITION_REGIONS, check_name },
    { "hours", KIND_HOURS, CONDITION_HOURS, NULL },
    { "classes", KIND_CLASSES, CONDITION_CLASSES, NULL },
    { "scopes", KIND_SCOPES, CONDITION_SCOPES, NULL },
    { "max_ttl", KIND_TTL, 0, NULL },
    { "rate", KIND_RATE, 0, NULL },
    { "concurrent", KIND_COUNT, POLICY_CONCURRENT, NULL },
    { "spend_day", KIND_MONEY, POLICY_SPEND_DAY, NULL },
    { "spend_month", KIND_MONEY, POLICY_SPEND_MONTH, NULL },
};

static const struct row *find(struct span name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (span_same(name, span_text(rows[i].name)))
            return &rows[i];
    }
    return NULL;
}

const char *policy_condition_name(enum policy_condition condition)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].kind <= KIND_SCOPES && rows[i].what == condition)
            return rows[i].name;
    }
    return "unknown";
}

const char *policy_limit_name(enum policy_limit limit)
{
    static const char *const names[POLICY_LIMITS] = {
        [POLICY_RATE_MINUTE] = "rate per minute", [POLICY_RATE_HOUR] = "rate per hour",
        [POLICY_CONCURRENT] = "concurrent",       [POLICY_SPEND_DAY] = "spend_day",
        [POLICY_SPEND_MONTH] = "spend_month",
    };

    return limit < POLICY_LIMITS ? names[limit] : "unknown";
}

/* --- conditions ------------------------------------------------------------------------------ */

static void add_word(const struct setting *s, struct span word, struct words *words)
{
    bool prefix = word.n > 0 && word.p[word.n - 1] == '*';

    words->word[words->count++] = (struct policy_word){ .at = (uint16_t)(word.p - s->text.p),
                                                        .n = (uint16_t)(word.n - prefix),
                                                        .prefix = prefix };
}

/* The vault's keys are of some tenant; a lone star is every key of every tenant. */
static const char *add_pair(const struct setting *s, struct span word, struct words *words)
{
    const uint8_t *slash = memchr(word.p, '/', word.n);
    struct span tenant = word, key = word;

    if (slash == NULL && !span_same(word, span_text("*")))
        return "in the vault's document a key is TENANT/KEY";
    if (slash != NULL) {
        tenant = span_of(word.p, (size_t)(slash - word.p));
        key = span_of(slash + 1, word.n - tenant.n - 1);
    }
    if (!is_pattern(tenant) || !is_pattern(key))
        return "expected names, or beginnings of names and a *";
    add_word(s, tenant, words);
    add_word(s, key, words);
    return NULL;
}

static const char *set_list(const struct setting *s, const struct row *row,
                            struct policy_list *list, struct words *words)
{
    struct span rest = s->value, word;
    const char *why = NULL;

    list->first = (uint16_t)words->count;
    while (why == NULL && sections_word(&rest, &word)) {
        if (row->what == CONDITION_KEYS && s->vault) {
            why = add_pair(s, word, words);
            continue;
        }
        why = row->check(word);
        if (why == NULL)
            add_word(s, word, words);
    }
    list->count = (uint16_t)(words->count - list->first);
    return why != NULL || list->count > 0 ? why : "no value is given";
}

/* Words of a small set, as bits. */
static const char *set_bits(const struct setting *s, uint8_t (*parse)(const char *name),
                            uint8_t *ret_bits, const char *otherwise)
{
    struct span rest = s->value, word;
    char name[16];

    *ret_bits = 0;
    while (sections_word(&rest, &word)) {
        uint8_t code = 0;

        if (word.n < sizeof name) {
            memcpy(name, word.p, word.n);
            name[word.n] = '\0';
            code = parse(name);
        }
        if (code == 0)
            return otherwise;
        *ret_bits |= (uint8_t)(1u << code);
    }
    return *ret_bits != 0 ? NULL : "no value is given";
}

uint8_t setting_scopes_unnamed(bool deny)
{
    return deny ? UINT8_MAX : 1u << SCOPE_INFERENCE;
}

static const char *set_scopes(const struct setting *s, struct policy_rule *rule)
{
    const char *why =
        set_bits(s, scope_parse, &rule->scopes, "a scope is inference or billing_read");

    if (why == NULL && (rule->scopes & 1u << SCOPE_ADMIN) != 0)
        why = "an admin key is never leased";
    return why;
}

static const char *set_condition(const struct setting *s, const struct row *row,
                                 struct policy_rule *rule, struct words *words)
{
    uint16_t *line = &rule->condition_line[row->what];

    if (*line != 0)
        return "it is set twice in this rule";
    if (row->what == CONDITION_TENANTS && !s->vault)
        return "tenants are only of the vault's document";
    *line = s->line;
    switch (row->kind) {
    case KIND_HOURS:
        return hours_parse(s->value, &rule->hours) && rule->hours.days != 0
                   ? NULL
                   : "hours are like mon-fri 08-20 or 08-20, UTC";
    case KIND_CLASSES:
        return set_bits(s, class_parse, &rule->classes, "a class is static, killable or minted");
    case KIND_SCOPES: return set_scopes(s, rule);
    default: return set_list(s, row, &rule->list[row->what], words);
    }
}

/* --- limits ---------------------------------------------------------------------------------- */

static bool take_number(struct span *text, uint64_t max, uint64_t *ret_value)
{
    char digits[21] = { 0 };
    size_t n = 0;

    while (n < text->n && n < sizeof digits - 1 && text->p[n] >= '0' && text->p[n] <= '9') {
        digits[n] = (char)text->p[n];
        n++;
    }
    *text = span_of(text->p + n, text->n - n);
    return number_parse(digits, 1, max, ret_value);
}

bool policy_duration_parse(struct span text, uint32_t *ret_seconds)
{
    uint64_t number, unit;

    *ret_seconds = 0;
    if (!take_number(&text, DAY_SECONDS, &number) || text.n != 1)
        return false;
    unit = text.p[0] == 's' ? 1 : text.p[0] == 'm' ? 60 : text.p[0] == 'h' ? 3600 : 0;
    if (unit == 0 || number * unit > DAY_SECONDS)
        return false;
    *ret_seconds = (uint32_t)(number * unit);
    return true;
}

#define MONEY_DIGITS 12 /* before the point */

bool policy_money_parse(struct span text, uint64_t *ret_micro)
{
    size_t whole = 0, at = 0, decimals = 0;
    uint64_t value = 0;

    for (; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++, whole++)
        value = whole < MONEY_DIGITS ? value * 10 + (uint64_t)(text.p[at] - '0') : value;
    if (at < text.n && text.p[at] == '.') {
        for (at++; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++, decimals++)
            value = decimals < 6 ? value * 10 + (uint64_t)(text.p[at] - '0') : value;
        if (decimals == 0 || decimals > 6)
            return false;
    }
    for (; decimals < 6; decimals++)
        value *= 10;
    *ret_micro = value;
    return at == text.n && whole > 0 && whole <= MONEY_DIGITS;
}

static const char *set_once(const struct setting *s, struct policy_limits *limits,
                            enum policy_limit limit, uint64_t value)
{
    if (limits->line[limit] != 0)
        return "it is set twice";
    limits->line[limit] = s->line;
    limits->most[limit] = value;
    return NULL;
}

static const char *set_rate(const struct setting *s, struct policy_limits *limits)
{
    static const char wrong[] = "a rate is like 60/minute or 1000/hour, or both";
    struct span rest = s->value, word;
    const char *why = s->value.n > 0 ? NULL : wrong;

    if (limits->line[POLICY_RATE_MINUTE] != 0 || limits->line[POLICY_RATE_HOUR] != 0)
        return "it is set twice";
    while (why == NULL && sections_word(&rest, &word)) {
        uint64_t count;

        if (!take_number(&word, RATE_MAX, &count))
            why = wrong;
        else if (span_same(word, span_text("/minute")))
            why = set_once(s, limits, POLICY_RATE_MINUTE, count);
        else if (span_same(word, span_text("/hour")))
            why = set_once(s, limits, POLICY_RATE_HOUR, count);
        else
            why = wrong;
    }
    return why;
}

static const char *set_limit(const struct setting *s, const struct row *row,
                             struct policy_limits *limits)
{
    struct span text = s->value;
    uint64_t value;

    if (row->kind == KIND_RATE)
        return set_rate(s, limits);
    if (row->kind == KIND_COUNT) {
        if (!take_number(&text, CONCURRENT_MAX, &value) || text.n > 0)
            return "expected a whole number from 1 to 1000000";
    } else if (!policy_money_parse(text, &value) || value == 0) {
        return "an amount is like 100 or 99.50, and more than nothing";
    }
    return set_once(s, limits, (enum policy_limit)row->what, value);
}

static const char *set_ttl(const struct setting *s, struct policy_rule *rule)
{
    if (rule->max_ttl_line != 0)
        return "it is set twice";
    rule->max_ttl_line = s->line;
    return policy_duration_parse(s->value, &rule->max_ttl_s)
               ? NULL
               : "a time is like 90s, 15m or 1h, and at most a day";
}

const char *setting_of_rule(const struct setting *s, struct policy_rule *rule, struct words *words)
{
    const struct row *row = find(s->name);

    if (row == NULL)
        return "no rule has such a line";
    if (row->kind <= KIND_SCOPES)
        return set_condition(s, row, rule, words);
    if (rule->deny)
        return "a rule that denies has no limits";
    return row->kind == KIND_TTL ? set_ttl(s, rule) : set_limit(s, row, &rule->limits);
}

const char *setting_of_limits(const struct setting *s, struct policy_limits *limits)
{
    const struct row *row = find(s->name);

    if (row == NULL || row->kind < KIND_RATE)
        return "[limits] has rate, concurrent, spend_day and spend_month";
    return set_limit(s, row, limits);
}
