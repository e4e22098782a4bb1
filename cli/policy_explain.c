/*
 * Why a lease was issued or refused: its record says what was asked and which documents decided;
 * they are fetched by their hashes, and the decision is made once more, aloud. What the record says
 * and what the documents say must be the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "commands.h"
#include "people.h"
#include "policy.h"
#include "provider/provider.h"
#include "reply.h"

struct search {
    char id[ID_HEX_LENGTH + 1]; /* of a request or a lease */
    json_t *found;
};

static bool is_decision(const char *type)
{
    return type != NULL &&
           (strcmp(type, "lease.issued") == 0 || strcmp(type, "lease.renewed") == 0 ||
            strcmp(type, "lease.refused") == 0);
}

static bool says(const json_t *record, const char *name, const char *text)
{
    const char *value = reply_text(record, name);

    return value != NULL && strcmp(value, text) == 0;
}

/* Of a lease the first: that it was issued. */
static int look_at(void *context, json_t *record)
{
    struct search *s = context;

    if (s->found == NULL && is_decision(reply_text(record, "type")) &&
        (says(record, "request_id", s->id) || says(record, "lease_id", s->id)))
        s->found = json_incref(record);
    return EXIT_DONE;
}

static int find_record(struct cli *c, const char *log, const char *text, json_t **ret_record)
{
    AUTO(json_t) *people = NULL;
    struct search s = { .found = NULL };
    char refusal[1024];
    struct id id;
    int code = EXIT_DONE;

    snprintf(s.id, sizeof(s.id), "%.*s", ID_HEX_LENGTH, text);
    if ((strlen(text) != ID_HEX_LENGTH && strlen(text) != (size_t)2 * ID_HEX_LENGTH) ||
        !id_parse(s.id, &id))
        return report(EXIT_USAGE, "the id of a request or of a lease has 32 hexadecimal digits");
    code = policy_records(c, log, "lease.", 0, look_at, &s);
    if (code != EXIT_DONE)
        json_decref(s.found);
    if (code == EXIT_DONE && s.found == NULL)
        return report(EXIT_ABSENT, "%s has no record of a lease with that id", log);
    if (code != EXIT_DONE)
        return code;
    report_catch(refusal, sizeof(refusal));
    (void)people_list(c, log, &people);
    report_catch(NULL, 0);
    people_resolve(people, s.found);
    *ret_record = s.found;
    return EXIT_DONE;
}

/* --- aloud ----------------------------------------------------------------------------------- */

/* The text of a line, without what surrounds it. */
static struct span line_text(const struct policy_version *v, unsigned line)
{
    struct span rest = span_text(reply_text(v->reply, "document"));

    for (;;) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end != NULL ? (size_t)(end - rest.p) : rest.n;

        if (--line == 0 || end == NULL)
            return span_of(rest.p, n);
        rest = span_of(end + 1, rest.n - n - 1);
    }
}

static void print_line(const struct policy_version *v, unsigned line, const char *indent,
                       const char *what)
{
    struct span text = line_text(v, line);
    char shown[128];

    snprintf(shown, sizeof(shown), "%.*s", (int)(text.n < 100 ? text.n : 100),
             (const char *)text.p);
    text_tame(shown);
    print("  %4u%s%-44s %s\n", line, indent, shown, what);
}

/* What the request said where a condition looked. */
static void fact_text(const struct policy_question *q, unsigned condition, char out[static 160])
{
    static const char days[] = "montuewedthufrisatsun";
    const struct span facts[CONDITION_LISTS] = { q->gateway,        q->key,     q->tenant,
                                                 q->provider,       q->model,   q->environment,
                                                 q->classification, q->purpose, q->region };
    unsigned hour = (unsigned)(q->time_us / SECOND_US / 3600 % 24);
    unsigned day = (unsigned)((q->time_us / SECOND_US / DAY_S + 3) % 7);

    if (condition == CONDITION_HOURS)
        snprintf(out, 160, "%.3s %02u", days + 3 * (size_t)day, hour);
    else if (condition == CONDITION_CLASSES)
        snprintf(out, 160, "%s", class_name(q->class));
    else if (condition == CONDITION_SCOPES)
        snprintf(out, 160, "%s", scope_name(q->scope));
    else
        snprintf(out, 160, "%.*s", (int)(facts[condition].n < 140 ? facts[condition].n : 140),
                 facts[condition].n > 0 ? (const char *)facts[condition].p : "");
    text_tame(out);
}

static void explain_condition(const struct policy_version *v, const struct policy_rule *rule,
                              unsigned condition, const struct policy_question *q)
{
    enum policy_match match =
        policy_condition_match(v->document, rule, (enum policy_condition)condition, q);
    unsigned line = rule->condition_line[condition];
    char fact[160], what[200];

    fact_text(q, condition, fact);
    if (match == MATCH_UNNAMED)
        return;
    if (match == MATCH_HOLDS)
        snprintf(what, sizeof(what), "holds: %s", fact);
    else if (match == MATCH_UNSTATED)
        snprintf(what, sizeof(what), "fails: the request does not state it");
    else
        snprintf(what, sizeof(what), "fails: it is %s", fact);
    if (line != 0)
        print_line(v, line, "    ", what);
    else
        print("            without a line scopes, keys for inference only: %s\n", what);
}

static void explain_rule(const struct policy_version *v, const struct policy_rule *rule,
                         const struct policy_question *q, const char *limit)
{
    bool matches = policy_rule_matches(v->document, rule, q);
    char what[96];

    snprintf(what, sizeof(what), "%s",
             !matches     ? "does not match"
             : rule->deny ? "DENIES"
                          : "matches");
    if (matches && !rule->deny && limit != NULL)
        snprintf(what, sizeof(what), "matches, but its limit is reached: %s", limit);
    print_line(v, rule->line, "  ", what);
    for (unsigned condition = 0; condition < CONDITION_COUNT; condition++)
        explain_condition(v, rule, condition, q);
}

/* --- the decision once more ------------------------------------------------------------------ */

/* What the record says of one document. */
struct said {
    const char *owner; /* "vault" or the tenant */
    const char *hash;
    const char *rule;
    const char *limit;
    bool refused; /* by this document */
};

/* Limits are facts of that moment: a rule that matches and has one may have been passed over. */
static bool has_limits(const struct policy_limits *limits)
{
    for (size_t i = 0; i < POLICY_LIMITS; i++) {
        if (limits->most[i] != 0)
            return true;
    }
    return false;
}

/* Does what the record says follow from the document? */
static bool agrees(const struct policy_document *d, const struct policy_question *q,
                   const struct said *said)
{
    const struct policy_rule *named =
        said->rule != NULL ? policy_document_rule(d, span_text(said->rule)) : NULL;
    struct policy_verdict v;

    if (policy_decide(d, q, NULL, &v, NULL) != OK)
        return false;
    if (v.answer == POLICY_DENIED || v.answer == POLICY_NO_RULE)
        return said->refused && said->limit == NULL && v.rule == named;
    if (said->refused && said->limit != NULL && named == NULL)
        return has_limits(&d->limits);
    if (named == NULL || named->deny || !policy_rule_matches(d, named, q))
        return false;
    for (const struct policy_rule *r = v.rule; r < named; r++) {
        if (!r->deny && policy_rule_matches(d, r, q) && !has_limits(&r->limits))
            return false;
    }
    return said->refused ? said->limit != NULL && has_limits(&named->limits) : true;
}

static void explain_result(const struct said *said)
{
    if (!said->refused)
        print("  It is allowed by [allow %s].\n", said->rule);
    else if (said->limit != NULL && said->rule == NULL)
        print("  It is refused: the limit '%s' of [limits] was reached.\n", said->limit);
    else if (said->limit != NULL)
        print("  It is refused: the limit '%s' of [allow %s] was reached.\n", said->limit,
              said->rule);
    else if (said->rule != NULL)
        print("  It is denied by [deny %s].\n", said->rule);
    else
        print("  It is refused: no rule allows it.\n");
}

static int explain_document(struct cli *c, const struct said *said, const struct policy_question *q)
{
    struct policy_version v;
    int code = policy_fetch_hash(c, said->owner, said->hash, &v);

    if (code == EXIT_DONE && (v.lost || v.document == NULL)) {
        print("\nThe document of %s with the hash %.12s... cannot be read: it denies "
              "everything.\n",
              said->owner, said->hash);
    } else if (code == EXIT_DONE) {
        print("\nThe document of %s, version %llu (%.12s...):\n", said->owner,
              (unsigned long long)v.version, said->hash);
        for (size_t i = 0; i < v.document->rule_count; i++) {
            const struct policy_rule *rule = &v.document->rules[i];
            bool named = said->rule != NULL && span_same(rule->name, span_text(said->rule));

            explain_rule(&v, rule, q, named ? said->limit : NULL);
        }
        explain_result(said);
        if (!agrees(v.document, q, said))
            code = report(EXIT_UNVERIFIED,
                          "the record says something else than the document: do not believe "
                          "this vault, and ask its operators");
    }
    policy_version_clear(&v);
    return code;
}

static void print_asked(const char *log, const json_t *record)
{
    static const char *const names[] = { "key",         "ttl_s",          "provider",
                                         "class",       "scope",          "model",
                                         "environment", "classification", "purpose" };

    print("%s of %s at %.19sZ by %s: %s\n", reply_text(record, "type"), log,
          reply_text(record, "time"), reply_text(record, "actor"), reply_text(record, "outcome"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const json_t *value = json_object_get(record, names[i]);
        char shown[160];

        if (json_is_integer(value))
            print("  %s = %lld\n", names[i], (long long)json_integer_value(value));
        if (!json_is_string(value))
            continue;
        snprintf(shown, sizeof(shown), "%s", json_string_value(value));
        text_tame(shown);
        print("  %s = %s\n", names[i], shown);
    }
    if (reply_text(record, "why") != NULL)
        print("  refused: %s\n", reply_text(record, "why"));
}

/* Who is not asked any more has allowed nothing; so the last one that was asked refused, unless the
 * reason was another. */
static int explain(struct cli *c, const char *log, const json_t *record,
                   const struct policy_question *q)
{
    const char *why = reply_text(record, "why");
    bool by_policy = why != NULL && strstr(why, "policy") != NULL;
    struct said tenant = { .owner = log,
                           .hash = reply_text(record, "policy"),
                           .rule = reply_text(record, "rule"),
                           .limit = reply_text(record, "limit") };
    struct said vault = { .owner = "vault",
                          .hash = reply_text(record, "vault_policy"),
                          .rule = reply_text(record, "vault_rule"),
                          .limit = reply_text(record, "vault_limit") };
    int code = EXIT_DONE;

    if (tenant.hash == NULL) {
        print("\nDocuments of policy were not asked: grants, or the request itself, decided.\n");
        return EXIT_DONE;
    }
    tenant.refused = by_policy && vault.hash == NULL;
    vault.refused = by_policy;
    if (strcmp(tenant.hash, "none") == 0)
        print("\n%s had no document of policy.\n", log);
    else
        code = explain_document(c, &tenant, q);
    if (code == EXIT_DONE && vault.hash != NULL)
        code = explain_document(c, &vault, q);
    return code;
}

int policy_explain(struct cli *c)
{
    AUTO(json_t) *record = NULL;
    struct policy_question q;
    const char *log = NULL;
    char region[32];
    int code = cli_name(c, 0, "a log", &log);

    if (code == EXIT_DONE)
        code = find_record(c, log, cli_argument(c, 1), &record);
    if (code == EXIT_DONE)
        code = policy_region(c, region);
    if (code != EXIT_DONE)
        return code;
    print_asked(log, record);
    if (!policy_asked(record, region, &q)) {
        print("\nThe record does not say which key was asked for: documents were not asked.\n");
        return EXIT_DONE;
    }
    return explain(c, log, record, &q);
}
