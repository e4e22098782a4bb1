#include "range.h"

#include "cli.h"

int range_read(const struct cli *c, struct trail *t)
{
    struct bounds first = { .max = INT64_MAX, .fallback = t->first };
    struct bounds end = { .min = 1, .max = INT64_MAX, .fallback = t->size };
    int code = option_number(&c->options, OPT_FROM, first, &t->from);

    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_TO, end, &t->to);
    if (code != EXIT_DONE)
        return code;
    if (t->to > t->size)
        t->to = t->size;
    if (t->from >= t->to)
        return report(EXIT_USAGE, "%s has %llu records: there are none from --from to --to",
                      t->name, (unsigned long long)t->size);
    return EXIT_DONE;
}

bool range_given(const struct cli *c)
{
    return option_given(&c->options, OPT_FROM) || option_given(&c->options, OPT_TO);
}

int range_begin(struct cli *c, struct trail *t, struct proof_sides *sides)
{
    struct err e = { 0 };
    int code = proof_fetch_range(c, t->name, t->from, t->to, t->size, sides);

    if (code != EXIT_DONE)
        return code;
    if (ledger_verify_from(&t->verify, &t->vault, &t->log, t->from, &sides->left, &e) != OK)
        return trail_report_bad(c, t, t->from, e.why);
    return EXIT_DONE;
}

int range_end(struct cli *c, struct trail *t, const struct proof_sides *sides)
{
    struct err e = { 0 };

    if (!t->verify.failed && ledger_tree_finish(&t->verify.tree, t->size, &sides->right, &e) != OK)
        return trail_report_bad(c, t, t->to, e.why);
    return EXIT_DONE;
}
