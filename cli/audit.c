/* The audit trail: shown, verified here without trusting the vault, and exported for others. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "cli.h"
#include "commands.h"
#include "people.h"
#include "reply.h"
#include "table.h"

#define SHOW_DEFAULT 50

/* What the table shows in columns of their own, or not at all: the actor has a name. */
static bool is_head(const char *name)
{
    static const char *const head[] = { "v",    "log",     "seq",   "prev",       "time",
                                        "type", "outcome", "actor", "request_id", "certificate" };

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        if (strcmp(name, head[i]) == 0)
            return true;
    }
    return false;
}

/* People tell identifiers apart by their beginning; --json has all of them. */
static int shown_length(const char *text)
{
    size_t n = strlen(text);

    return n >= ID_HEX_LENGTH && strspn(text, "0123456789abcdef") == n ? 8 : (int)n;
}

/* "name=value ..." of the fields a record type has of its own, as member "details". */
static void add_details(json_t *record)
{
    char text[1024] = "";
    size_t used = 0;
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach(record, name, value)
    {
        AUTO(wiped) *form = NULL;
        const char *shown = json_string_value(value);
        int n = 0;

        if (is_head(name))
            continue;
        if (shown == NULL) {
            form = (struct wiped *)json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
            shown = (const char *)form;
        }
        if (shown == NULL)
            break;
        n = snprintf(text + used, sizeof(text) - used, "%s%s=%.*s", used > 0 ? " " : "", name,
                     shown_length(shown), shown);
        if (n < 0 || (size_t)n >= sizeof(text) - used)
            break;
        used += (size_t)n;
    }
    (void)json_object_set_new(record, "details", json_string(text));
}

/* The page as an array of records, each with "details". */
static int parse_page(struct span page, const json_t *people, json_t *records)
{
    while (page.n > 0) {
        const uint8_t *end = memchr(page.p, '\n', page.n);
        size_t n = end != NULL ? (size_t)(end - page.p) : page.n;
        json_t *record = json_loadb((const char *)page.p, n, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(record)) {
            json_decref(record);
            return report(EXIT_UNVERIFIED, "a record is malformed: run 'strongroom audit verify'");
        }
        people_resolve(people, record);
        add_details(record);
        if (json_array_append_new(records, record) != 0)
            return report(EXIT_OTHER, "no memory");
        page = end != NULL ? span_of(end + 1, page.n - n - 1) : span_of(NULL, 0);
    }
    return EXIT_DONE;
}

static const struct column record_columns[] = {
    { "TIME", "time", COLUMN_TIME },   { "SEQ", "seq", COLUMN_TEXT },
    { "TYPE", "type", COLUMN_TEXT },   { "OUTCOME", "outcome", COLUMN_TEXT },
    { "ACTOR", "actor", COLUMN_TEXT }, { "DETAILS", "details", COLUMN_TEXT },
};

/* Where to begin when nobody said: so that the last records are seen. */
static int first_record(struct cli *c, const char *name, uint64_t limit, uint64_t *ret_from)
{
    AUTO(json_t) *reply = NULL;
    uint64_t size = 0;
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s", name);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (!reply_number(reply, "size", INT64_MAX, &size))
        return reply_report("size");
    *ret_from = size > limit ? size - limit : 0;
    return EXIT_DONE;
}

int audit_show(struct cli *c)
{
    AUTO(json_t) *records = json_array();
    AUTO(json_t) *people = NULL;
    struct bounds limits = { .min = 1, .max = TRAIL_PAGE, .fallback = SHOW_DEFAULT };
    struct bounds sequence = { .max = INT64_MAX };
    const char *name = NULL;
    uint64_t from = 0;
    uint64_t limit = 0;
    struct span page;
    char path[192];
    int code = cli_name(c, 0, "a log", &name);

    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_LIMIT, limits, &limit);
    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_FROM, sequence, &from);
    if (code == EXIT_DONE && !option_given(&c->options, OPT_FROM))
        code = first_record(c, name, limit, &from);
    if (code == EXIT_DONE && !cli_json(c))
        code = people_list(c, name, &people);
    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/logs/%s/records?from=%llu&limit=%llu", name,
             (unsigned long long)from, (unsigned long long)limit);
    code = https_lines(c, path, &page);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        print_span(page); /* the stored lines: signed bytes are not written anew */
        return EXIT_DONE;
    }
    code = parse_page(page, people, records);
    if (code == EXIT_DONE)
        table_print(records, COLUMNS(record_columns), "There are no records there.");
    return code;
}

/* The keeper holds the MAC keys: it checks what only it can check. */
static int check_macs(struct cli *c, struct trail *t)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s/check", t->name);
    for (uint64_t from = t->first; from < t->size; from += TRAIL_PAGE) {
        AUTO(json_t) *reply = NULL;
        uint64_t to = t->size - from < TRAIL_PAGE ? t->size : from + TRAIL_PAGE;
        uint64_t checked = 0;
        uint64_t bad = 0;
        int code = https_call(
            c, METHOD_POST, path,
            json_pack("{s:I, s:I}", "from", (json_int_t)from, "to", (json_int_t)to), &reply);

        if (code != EXIT_DONE)
            return code;
        if (reply_number(reply, "bad", INT64_MAX, &bad))
            return trail_report_bad(c, t, bad, "its MAC is wrong: the keeper did not write it");
        if (!json_is_null(json_object_get(reply, "bad")) ||
            !reply_number(reply, "checked", TRAIL_PAGE, &checked) || checked != to - from)
            return reply_report("check of MACs");
    }
    t->macs = true;
    return EXIT_DONE;
}

static int take_for_verify(void *context, struct span line)
{
    trail_line(context, line);
    return EXIT_DONE;
}

/* The vault's own log, if one was given, must be the one that this trail is to be held against. */
static int check_fit(const struct trail *t, const struct trail *vault)
{
    if (vault == NULL)
        return EXIT_DONE;
    if (id_is_zero(&t->log))
        return report(EXIT_USAGE, "--vault-bundle goes with a tenant's trail: this is the vault's");
    if (!id_same(&t->vault, &vault->vault) ||
        !span_same(SPAN(t->public_key), SPAN(vault->public_key)))
        return report(EXIT_USAGE, "--vault-bundle is of another vault than the trail");
    return EXIT_DONE;
}

static int verify_live(struct cli *c, struct trail *t, const struct trail *vault)
{
    struct seen now = { .known = true };
    int code = trail_open(c, cli_argument(c, 0), t);

    if (code == EXIT_DONE)
        code = check_fit(t, vault);
    if (code != EXIT_DONE)
        return code;
    trail_begin(c, t);
    if (t->seen.known && t->size < t->seen.size)
        return trail_report_bad(c, t, t->size,
                                "more records were verified before: some were removed, "
                                "or the vault was set back");
    code = trail_stream(c, t, take_for_verify, t);
    if (code == EXIT_DONE && !t->verify.failed)
        code = check_macs(c, t);
    if (code == EXIT_DONE)
        code = trail_finish(c, t);
    if (code != EXIT_DONE)
        return code;
    now.size = t->verify.tree.size;
    ledger_root(&t->verify.tree, now.root);
    return profile_see(c, &t->log, &now);
}

static int verify_bundle(struct cli *c, const char *path, struct trail *t,
                         const struct trail *vault)
{
    const char *given = cli_option(c, OPT_PUBLIC_KEY);
    uint8_t key[32];

    if (given != NULL && !bundle_key_parse(given, key))
        return report(EXIT_USAGE, "--public-key must be 32 bytes in base64 or hexadecimal");
    int code = bundle_read(c, path, false, t);

    if (code == EXIT_DONE)
        code = check_fit(t, vault);
    return code == EXIT_DONE ? trail_finish(c, t) : code;
}

/* Signed by the key that it names; check_fit compares that one with the trail's. */
static int verify_vault(struct cli *c, const char *path, struct trail *vault)
{
    int code = bundle_read(c, path, true, vault);

    if (code == EXIT_DONE && !id_is_zero(&vault->log))
        return report(EXIT_USAGE, "--vault-bundle takes the export of the log 'vault'");
    return code == EXIT_DONE ? trail_check(c, vault) : code;
}

static int verify(struct cli *c, struct trail *t, struct trail *vault)
{
    const char *bundle = cli_option(c, OPT_BUNDLE);
    const char *vault_bundle = cli_option(c, OPT_VAULT_BUNDLE);
    int code = profile_exists(c) ? profile_load(c) : EXIT_DONE;

    if (code == EXIT_DONE && vault_bundle != NULL)
        code = verify_vault(c, vault_bundle, vault);
    if (code != EXIT_DONE)
        return code;
    if (vault_bundle == NULL)
        vault = NULL;
    return bundle != NULL ? verify_bundle(c, bundle, t, vault) : verify_live(c, t, vault);
}

int audit_verify(struct cli *c)
{
    const char *bundle = cli_option(c, OPT_BUNDLE);
    struct step_ups vault_ups = { .vault = NULL };
    struct step_ups ups = { .vault = NULL };
    struct trail vault = { .step_ups = &vault_ups };
    struct trail t = { .step_ups = NULL };

    if ((bundle != NULL) == (cli_argument(c, 0) != NULL))
        return report(EXIT_USAGE, "give the name of a log, or --bundle FILE");
    if (bundle == NULL && cli_option(c, OPT_PUBLIC_KEY) != NULL)
        return report(EXIT_USAGE, "--public-key goes with --bundle; a profile has its pinned key");
    if (cli_option(c, OPT_VAULT_BUNDLE) != NULL && cli_option(c, OPT_STEP_UPS) == NULL)
        return report(EXIT_USAGE, "--vault-bundle goes with --step-ups");
    if (cli_option(c, OPT_STEP_UPS) != NULL)
        t.step_ups = &ups;
    if (cli_option(c, OPT_VAULT_BUNDLE) != NULL)
        ups.vault = &vault_ups;
    int code = verify(c, &t, &vault);

    step_ups_clear(&ups);
    step_ups_clear(&vault_ups);
    return code;
}

struct export_context {
    struct trail *trail;
    struct file_writer *writer;
};

static int take_for_export(void *context, struct span line)
{
    struct export_context *x = context;

    trail_line(x->trail, line);
    return bundle_write_line(x->writer, line);
}

static int write_bundle(struct cli *c, struct trail *t, struct file_writer *w)
{
    struct export_context context = { .trail = t, .writer = w };
    int code = bundle_write_header(w, t);

    if (code == EXIT_DONE)
        code = bundle_write_left(w, t);
    if (code == EXIT_DONE)
        code = trail_stream(c, t, take_for_export, &context);
    return code == EXIT_DONE ? bundle_write_checkpoint(w, t) : code;
}

/* A trail that does not verify is exported too: it is evidence. */
int audit_export(struct cli *c)
{
    struct trail t = { .step_ups = NULL };
    struct file_writer w;
    struct err e = { 0 };
    const char *path = cli_option(c, OPT_OUT);
    int code = trail_open(c, cli_argument(c, 0), &t);

    if (code != EXIT_DONE)
        return code;
    if (file_begin(&w, path, FILE_PUBLIC, &e) != OK)
        return report_file(path, &e);
    trail_begin(c, &t);
    code = write_bundle(c, &t, &w);
    if (code != EXIT_DONE) {
        file_abandon(&w);
        return code;
    }
    if (file_commit(&w, &e) != OK)
        return report_file(path, &e);
    if (!cli_json(c))
        say("%s is written to %s.", t.name, path);
    return trail_finish(c, &t);
}
