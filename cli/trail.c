/*
 * Must:
 *  1. The key that signs checkpoints is the pinned one; a server's own word is taken once.
 *  2. A log that is smaller than one seen before, or that has another history below that size, is
 *     a fork or a rollback, whatever signature it bears.
 */
#include "trail.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "progress.h"
#include "reply.h"
#include "table.h"

/* The pinned value if there is one, else the offered one, which is pinned from now on. */
static int pin_or_compare(struct cli *c, const char *name, struct span offered, const char *what)
{
    uint8_t pinned[32];
    char text[65];

    if (profile_text(&c->profile, name) != NULL) {
        if (profile_hex(&c->profile, name, pinned, offered.n) &&
            span_same(span_of(pinned, offered.n), offered))
            return EXIT_DONE;
        return report(EXIT_UNVERIFIED,
                      "the vault offers another %s than the profile has pinned: do "
                      "not believe its trail, and ask its operators",
                      what);
    }
    hex_format(offered, text);
    say("The vault's %s is seen for the first time and pinned: %s", what, text);
    say("Compare it with what an operator's 'strongroom profile show' says.");
    return profile_pin(c, name, offered);
}

/* Where the log begins, and the subtrees of what was before. */
static bool read_beginning(const json_t *reply, struct trail *t)
{
    const json_t *left = json_object_get(reply, "left");
    size_t i = 0;
    json_t *hash = NULL;

    t->first = 0;
    t->left.count = 0;
    if (!reply_number(reply, "first", INT64_MAX, &t->first) || t->first > t->size)
        return false;
    json_array_foreach(left, i, hash)
    {
        const char *hex = json_string_value(hash);

        if (hex == NULL || t->left.count == PROOF_MAX ||
            !hex_parse(hex, strlen(hex), t->left.hash[t->left.count], SHA256_SIZE))
            return false;
        t->left.count++;
    }
    return true;
}

int trail_open(struct cli *c, const char *name, struct trail *t)
{
    AUTO(json_t) *reply = NULL;
    char path[128];
    size_t n = 0;

    if (!name_valid(name))
        return report(EXIT_USAGE, "a log is the name of a tenant, or 'vault'");
    snprintf(path, sizeof(path), "/v1/logs/%s", name);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *key = reply_text(reply, "public_key");
    const char *note = reply_text(reply, "checkpoint");

    if (!reply_id(reply, "vault", &t->vault) || !reply_id(reply, "log", &t->log) ||
        !reply_number(reply, "size", INT64_MAX, &t->size) || note == NULL ||
        strlen(note) >= sizeof(t->note) || key == NULL ||
        !base64_parse(key, strlen(key), t->public_key, sizeof(t->public_key), &n) || n != 32 ||
        !read_beginning(reply, t))
        return reply_report("log");
    snprintf(t->name, sizeof(t->name), "%s", name);
    snprintf(t->note, sizeof(t->note), "%s", note);
    t->from = t->first;
    t->to = t->size;
    code = pin_or_compare(c, "vault", SPAN(t->vault.b), "identifier");
    if (code == EXIT_DONE)
        code = pin_or_compare(c, "ledger_key", SPAN(t->public_key), "ledger key");
    return code;
}

static void compare_with_seen(struct trail *t)
{
    uint8_t root[32];

    if (!t->seen.known || t->tree->size != t->seen.size)
        return;
    ledger_root(t->tree, root);
    t->forked = !span_same(SPAN(root), SPAN(t->seen.root));
}

void trail_begin(const struct cli *c, struct trail *t)
{
    if (t->first == 0)
        ledger_verify_init(&t->verify, &t->vault, &t->log);
    else if (ledger_verify_from(&t->verify, &t->vault, &t->log, t->first, &t->left,
                                &t->verify.err) != OK)
        t->verify.failed = true;
    t->verify.bad_seq = t->first;
    if (t->tree == NULL)
        t->tree = &t->verify.tree;
    if (c->profile.root != NULL)
        profile_seen(&c->profile, &t->log, &t->seen);
    compare_with_seen(t);
    if (t->step_ups != NULL)
        step_ups_begin(t->step_ups, &t->log);
}

/* What a vault does not have any more must be stated in a record, with its root. */
static void look_for_statement(struct trail *t, struct span line)
{
    struct ledger_tree dropped;
    uint8_t root[SHA256_SIZE];
    uint8_t said[SHA256_SIZE];
    char last[24];
    struct span value;

    if (t->first == 0 || t->verify.head.type != RECORD_RECORDS_DROPPED)
        return;
    snprintf(last, sizeof(last), "%llu", (unsigned long long)t->first - 1);
    if (!record_field(line, "last_seq", &value) || !span_same(value, span_text(last)) ||
        !record_field(line, "root", &value) ||
        !hex_parse((const char *)value.p, value.n, said, sizeof(said)) ||
        ledger_tree_start(&dropped, t->first, &t->left, NULL) != OK)
        return;
    ledger_root(&dropped, root);
    t->stated = t->stated || span_same(SPAN(root), SPAN(said));
}

void trail_line(struct trail *t, struct span line)
{
    if (ledger_verify_line(&t->verify, line, NULL) != OK)
        return;
    look_for_statement(t, line);
    trail_record(t, line);
}

void trail_record(struct trail *t, struct span line)
{
    t->records++;
    compare_with_seen(t);
    if (t->step_ups != NULL)
        step_ups_line(t->step_ups, line);
}

static int report_bad(const struct cli *c, const char *log_name, uint64_t seq, const char *why)
{
    if (cli_json(c)) {
        AUTO(json_t) *summary = json_pack("{s:s, s:b, s:I, s:s}", "log", log_name, "verified", 0,
                                          "bad_seq", (json_int_t)seq, "reason", why);
        table_print_json(summary);
    }
    return report(EXIT_UNVERIFIED,
                  "%s does NOT verify at record %llu: %s. Keep what you have and "
                  "ask the vault's operators",
                  log_name, (unsigned long long)seq, why);
}

int trail_report_bad(const struct cli *c, const struct trail *t, uint64_t seq, const char *why)
{
    return report_bad(c, t->name, seq, why);
}

/* Who approved is known from the vault's log; so what is wrong there comes first. */
static int check_step_ups(const struct cli *c, const struct trail *t)
{
    const struct step_ups *own = t->step_ups;

    if (own->vault != NULL && own->vault->bad_why != NULL)
        return report_bad(c, "vault", own->vault->bad_seq, own->vault->bad_why);
    return own->bad_why != NULL ? trail_report_bad(c, t, own->bad_seq, own->bad_why) : EXIT_DONE;
}

static int report_good(const struct cli *c, const struct trail *t)
{
    uint8_t root[32];
    char text[65];
    unsigned long long count = (unsigned long long)t->records;

    ledger_root(t->tree, root);
    hex_format(SPAN(root), text);
    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:s, s:b, s:I, s:b, s:s}", "log", t->name, "verified", 1, "records",
                      (json_int_t)count, "macs", t->macs ? 1 : 0, "root", text);

        if (t->step_ups != NULL)
            (void)json_object_set_new(summary, "step_ups", step_ups_summary(t->step_ups));
        table_print_json(summary);
    } else if (t->from > t->first || t->to < t->size) {
        print("%s: %llu records verified, %llu to %llu of %llu: chained, gapless, %sin the signed "
              "checkpoint\n",
              t->name, count, (unsigned long long)t->from, (unsigned long long)t->to - 1,
              (unsigned long long)t->size, t->macs ? "MACs good, " : "");
    } else {
        print("%s: %llu records verified: chained, gapless, %scheckpoint signed\n", t->name, count,
              t->macs ? "MACs good, " : "");
        if (t->first > 0)
            print("%s: %llu older records were dropped, as a record states\n", t->name,
                  (unsigned long long)t->first);
        if (t->step_ups != NULL)
            step_ups_print(t->step_ups, t->name);
    }
    return EXIT_DONE;
}

int trail_check(const struct cli *c, struct trail *t)
{
    struct err e = { 0 };

    if (t->forked)
        return trail_report_bad(c, t, t->seen.size,
                                "its history is not the one that was verified before (a fork)");
    if (t->bad_why != NULL)
        return trail_report_bad(c, t, t->bad_seq, t->bad_why);
    if (!t->judged &&
        ledger_verify_finish(&t->verify, span_text(t->note), SPAN(t->public_key), &e) != OK)
        return trail_report_bad(c, t, t->verify.bad_seq, e.why);
    if (!t->judged && t->first > 0 && t->from == t->first && t->to == t->size && !t->stated)
        return trail_report_bad(c, t, t->first, "records are missing without a statement");
    return t->step_ups != NULL ? check_step_ups(c, t) : EXIT_DONE;
}

int trail_finish(const struct cli *c, struct trail *t)
{
    int code = trail_check(c, t);

    return code == EXIT_DONE ? report_good(c, t) : code;
}

/* A page must hold exactly the records it was asked for. */
static int take_page(struct span page, uint64_t want, trail_fn take, void *context)
{
    uint64_t count = 0;
    int code = EXIT_DONE;

    while (page.n > 0 && code == EXIT_DONE) {
        const uint8_t *end = memchr(page.p, '\n', page.n);
        size_t n = end != NULL ? (size_t)(end - page.p) : 0;

        if (end == NULL || ++count > want)
            break;
        code = take(context, span_of(page.p, n));
        page = span_of(end + 1, page.n - n - 1);
    }
    if (code == EXIT_DONE && (page.n > 0 || count != want))
        return report(EXIT_UNVERIFIED, "the vault does not send the records that it says it has");
    return code;
}

int trail_stream(struct cli *c, const struct trail *t, trail_fn take, void *context)
{
    struct progress progress;
    char path[192];
    int code = EXIT_DONE;

    progress_begin(&progress, t->name, t->to - t->from, TRAIL_PAGE + 1);
    for (uint64_t from = t->from; from < t->to && code == EXIT_DONE;) {
        uint64_t want = t->to - from < TRAIL_PAGE ? t->to - from : TRAIL_PAGE;
        struct span page;

        snprintf(path, sizeof(path), "/v1/logs/%s/records?from=%llu&limit=%llu", t->name,
                 (unsigned long long)from, (unsigned long long)want);
        code = https_lines(c, path, &page);
        if (code == EXIT_DONE)
            code = take_page(page, want, take, context);
        from += want;
        if (code == EXIT_DONE)
            progress_show(&progress, from - t->from);
    }
    progress_end(&progress);
    return code;
}
