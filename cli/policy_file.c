/* Documents of policy in files: are they well formed, and do they say what was meant? No vault is
 * asked. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "file.h"
#include "policy.h"
#include "policy/case.h"

#define CASES_MAX    (256 * 1024)
#define WARNINGS_MAX 64

int policy_file_read(const char *path, bool vault, struct policy_file *f)
{
    struct policy_trouble trouble;
    struct err e = { 0 };

    f->document = NULL;
    if (file_read(path, f->text, sizeof(f->text), &e) != OK)
        return report_file(path, &e);
    f->length = strlen(f->text);
    if (policy_document_parse(span_of(f->text, f->length), vault, &f->document, &trouble, &e) == OK)
        return EXIT_DONE;
    if (trouble.line == 0)
        return report(EXIT_USAGE, "%s: %s", path, trouble.why);
    return report(EXIT_USAGE, "%s:%u: %s", path, trouble.line, trouble.why);
}

size_t policy_file_warn(const char *path, const struct policy_document *d)
{
    struct policy_warning warning[WARNINGS_MAX];
    size_t count = policy_document_review(d, warning, WARNINGS_MAX);

    for (size_t i = 0; i < count; i++) {
        const struct policy_warning *w = &warning[i];

        say("%s:%u: warning: %s%s%.*s", path, w->line, w->why, w->other.n > 0 ? " " : "",
            (int)w->other.n, w->other.n > 0 ? (const char *)w->other.p : "");
    }
    return count;
}

/* The document of a command that is about a file. Its memory is the process's. */
static int read_argument(struct cli *c, bool vault, struct policy_file **ret_file)
{
    *ret_file = calloc(1, sizeof(**ret_file));
    return *ret_file == NULL ? report(EXIT_OTHER, "no memory")
                             : policy_file_read(cli_argument(c, 0), vault, *ret_file);
}

static void drop(struct policy_file *f)
{
    if (f != NULL)
        policy_document_free(f->document);
    free(f);
}

int policy_check(struct cli *c)
{
    struct policy_file *f = NULL;
    size_t warnings = 0;
    int code = read_argument(c, option_given(&c->options, OPT_VAULT), &f);

    if (code == EXIT_DONE) {
        warnings = policy_file_warn(cli_argument(c, 0), f->document);
        if (cli_json(c))
            print("{\"rules\": %u, \"warnings\": %zu}\n", f->document->rule_count, warnings);
        else
            print("%s: %u %s, %zu %s\n", cli_argument(c, 0), f->document->rule_count,
                  f->document->rule_count == 1 ? "rule" : "rules", warnings,
                  warnings == 1 ? "warning" : "warnings");
    }
    drop(f);
    return code;
}

/* --- cases ----------------------------------------------------------------------------------- */

/* What the document said, for whoever reads the result. */
static const char *answer_text(const struct policy_verdict *v)
{
    switch (v->answer) {
    case POLICY_ALLOWED: return "allowed by";
    case POLICY_DENIED: return "denied by";
    case POLICY_LIMITED: return "limited by";
    case POLICY_NO_RULE: break;
    }
    return "no rule allows it";
}

static bool as_expected(const struct policy_case *t, const struct policy_verdict *v)
{
    struct span rule = v->rule != NULL ? v->rule->name : span_text("");

    return t->allow == (v->answer == POLICY_ALLOWED) &&
           (t->rule.n == 0 || span_same(t->rule, rule));
}

static int try_case(const struct policy_document *d, const struct policy_case *t, bool *ret_passed)
{
    struct policy_verdict v;
    struct err e = { 0 };
    struct span rule;

    if (policy_decide(d, &t->question, NULL, &v, &e) != OK)
        return report_err("policy", &e);
    *ret_passed = as_expected(t, &v);
    rule = v.rule != NULL ? v.rule->name : span_text("");
    print("%s  %.*s: %s%s%.*s\n", *ret_passed ? "ok    " : "FAILED", (int)t->name.n,
          (const char *)t->name.p, answer_text(&v), rule.n > 0 ? " " : "", (int)rule.n,
          (const char *)rule.p);
    return EXIT_DONE;
}

static int try_cases(const char *path, const struct policy_document *d, struct span text)
{
    struct policy_cases cases = policy_cases_of(text);
    size_t count = 0, failed = 0;
    int code = EXIT_DONE;

    while (code == EXIT_DONE) {
        struct policy_case t;
        struct policy_trouble trouble;
        struct err e = { 0 };
        bool more = false, passed = false;

        if (policy_case_next(&cases, &t, &more, &trouble, &e) != OK)
            return report(EXIT_USAGE, "%s:%u: %s", path, trouble.line, trouble.why);
        if (!more)
            break;
        code = try_case(d, &t, &passed);
        count++;
        failed += !passed;
    }
    if (code != EXIT_DONE)
        return code;
    if (count == 0)
        return report(EXIT_USAGE, "%s holds no case", path);
    print("%zu cases, %zu failed\n", count, failed);
    return failed == 0 ? EXIT_DONE : EXIT_OTHER;
}

int policy_test(struct cli *c)
{
    static char text[CASES_MAX];
    struct policy_file *f = NULL;
    struct err e = { 0 };
    int code = read_argument(c, option_given(&c->options, OPT_VAULT), &f);

    if (code == EXIT_DONE && file_read(cli_argument(c, 1), text, sizeof(text), &e) != OK)
        code = report_file(cli_argument(c, 1), &e);
    if (code == EXIT_DONE)
        code = try_cases(cli_argument(c, 1), f->document, span_text(text));
    drop(f);
    return code;
}
