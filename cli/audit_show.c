/*
 * Records for people, and the stored lines for programs. What is asked for is filtered by the
 * vault, which looks at so many records a request and says how far it came.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli.h"
#include "commands.h"
#include "names.h"
#include "table.h"
#include "trail.h"
#include "when.h"

#define SHOW_DEFAULT   50
#define FOLLOW_DEFAULT 10
#define SHOW_MAX       10000
#define QUERY_MAX      1024
#define WAIT_S         20

static const struct column columns[] = {
    { "TIME", "time", COLUMN_TIME },   { "SEQ", "seq", COLUMN_TEXT },
    { "TYPE", "type", COLUMN_TEXT },   { "OUTCOME", "outcome", COLUMN_TEXT },
    { "ACTOR", "actor", COLUMN_TEXT }, { "DETAILS", "details", COLUMN_TEXT },
};
/* While following nobody knows what is to come. */
static const size_t widths[] = { 20, 6, 20, 7, 20, 0 };

/* --- what is asked for ----------------------------------------------------------------------- */

struct show {
    const char *log;
    char query[QUERY_MAX]; /* "&name=value..." of the filter; "" without one */
    uint64_t from;
    uint64_t limit;
    struct names names;
};

/* RFC 3986: what is not unreserved is escaped. */
static int add_argument(struct show *s, const char *name, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    size_t used = strlen(s->query);

    used += (size_t)snprintf(s->query + used, sizeof(s->query) - used, "&%s=", name);
    for (; *value != '\0' && used < sizeof(s->query) - 4; value++) {
        bool escape = strchr(plain, *value) == NULL;

        used += (size_t)snprintf(s->query + used, sizeof(s->query) - used, escape ? "%%%02X" : "%c",
                                 (unsigned char)*value);
    }
    return *value == '\0' ? EXIT_DONE : report(EXIT_USAGE, "the filter is too long");
}

static int add_time(const struct cli *c, struct show *s, enum option_id option)
{
    const char *text = cli_option(c, option);
    const char *name = option_row(option)->name;
    char formatted[TIME_TEXT_LENGTH + 1];
    uint64_t us = 0;

    if (text == NULL)
        return EXIT_DONE;
    if (!when_parse(text, clock_wall_us(), &us))
        return report(EXIT_USAGE,
                      "--%s is a time ago, such as 2h or 7d, or a UTC time, such as "
                      "2026-11-21T08:30Z",
                      name);
    time_format(us, formatted);
    return add_argument(s, name, formatted);
}

/* The vault knows a lease by the first half of what its gateway was given; the other half is the
 * gateway's alone and stays here. */
static int add_lease(const struct cli *c, struct show *s)
{
    const char *text = cli_option(c, OPT_LEASE);
    char id[ID_HEX_LENGTH + 1] = "";
    struct id parsed;

    if (text == NULL)
        return EXIT_DONE;
    snprintf(id, sizeof(id), "%.*s", ID_HEX_LENGTH, text);
    if ((strlen(text) != ID_HEX_LENGTH && strlen(text) != (size_t)2 * ID_HEX_LENGTH) ||
        !id_parse(id, &parsed))
        return report(EXIT_USAGE, "--lease is the 32 hexadecimal digits of a lease's id");
    return add_argument(s, "lease", id);
}

static int read_filter(const struct cli *c, struct show *s)
{
    static const enum option_id texts[] = { OPT_ACTOR, OPT_KEY, OPT_GATEWAY, OPT_OUTCOME,
                                            OPT_TYPE };
    const char *outcome = cli_option(c, OPT_OUTCOME);
    int code = EXIT_DONE;

    if (outcome != NULL && strcmp(outcome, "ok") != 0 && strcmp(outcome, "denied") != 0 &&
        strcmp(outcome, "failed") != 0)
        return report(EXIT_USAGE, "--outcome is ok, denied or failed");
    code = add_time(c, s, OPT_SINCE);
    if (code == EXIT_DONE)
        code = add_time(c, s, OPT_UNTIL);
    if (code == EXIT_DONE)
        code = add_lease(c, s);
    for (size_t i = 0; code == EXIT_DONE && i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *value = cli_option(c, texts[i]);

        if (value != NULL && value[0] == '\0')
            return report(EXIT_USAGE, "--%s must not be empty", option_row(texts[i])->name);
        if (value != NULL)
            code = add_argument(s, option_row(texts[i])->name, value);
    }
    return code;
}

static int read_options(const struct cli *c, struct show *s)
{
    bool follow = option_given(&c->options, OPT_FOLLOW);
    struct bounds limits = { .min = 1,
                             .max = SHOW_MAX,
                             .fallback = follow ? FOLLOW_DEFAULT : SHOW_DEFAULT };
    struct bounds sequence = { .max = INT64_MAX };
    int code = cli_name(c, 0, "a log", &s->log);

    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_LIMIT, limits, &s->limit);
    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_FROM, sequence, &s->from);
    if (code == EXIT_DONE && follow && option_given(&c->options, OPT_UNTIL))
        return report(EXIT_USAGE, "--follow has no end, so --until does not go with it");
    return code == EXIT_DONE ? read_filter(c, s) : code;
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Lines that were fetched, in the order in which they came. */
struct lines {
    struct span *line;
    size_t count;
    size_t cap;
};

static void lines_clear(struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((void *)(uintptr_t)l->line[i].p);
    free(l->line);
    *l = (struct lines){ .line = NULL };
}

static int lines_add(struct lines *l, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + 1); /* public */

    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct span *wider = reallocarray(l->line, cap, sizeof(*wider)); /* public */

        if (wider != NULL) {
            l->line = wider;
            l->cap = cap;
        }
    }
    if (copy == NULL || l->count == l->cap) {
        free(copy);
        return report(EXIT_OTHER, "no memory");
    }
    memcpy(copy, p, n);
    copy[n] = '\n';
    l->line[l->count++] = span_of(copy, n + 1);
    return EXIT_DONE;
}

static int lines_take(struct lines *l, struct span page)
{
    int code = EXIT_DONE;

    while (page.n > 0 && code == EXIT_DONE) {
        const uint8_t *end = memchr(page.p, '\n', page.n);
        size_t n = end != NULL ? (size_t)(end - page.p) : page.n;

        code = lines_add(l, page.p, n);
        page = end != NULL ? span_of(end + 1, page.n - n - 1) : span_of(NULL, 0);
    }
    return code;
}

static void lines_reverse(struct lines *l)
{
    for (size_t i = 0; i < l->count / 2; i++) {
        struct span first = l->line[i];

        l->line[i] = l->line[l->count - 1 - i];
        l->line[l->count - 1 - i] = first;
    }
}

/* The lines as an array of records, each with "details". */
static int parse(const struct lines *l, const struct names *names, json_t *records)
{
    for (size_t i = 0; i < l->count; i++) {
        json_t *record =
            json_loadb((const char *)l->line[i].p, l->line[i].n - 1, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(record)) {
            json_decref(record);
            return report(EXIT_UNVERIFIED, "a record is malformed: run 'strongroom audit verify'");
        }
        names_describe(names, record);
        if (json_array_append_new(records, record) != 0)
            return report(EXIT_OTHER, "no memory");
    }
    return EXIT_DONE;
}

static void print_lines(const struct lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        print_span(l->line[i]); /* as stored: signed bytes are not written anew */
}

/* --- pages ----------------------------------------------------------------------------------- */

static int fetch(struct cli *c, const struct show *s, const char *arguments, struct span *ret_page,
                 uint64_t *ret_size)
{
    char path[QUERY_MAX + 256];

    snprintf(path, sizeof(path), "/v1/logs/%s/records?%s%s", s->log, arguments, s->query);
    int code = https_lines(c, path, ret_page);

    if (code == EXIT_DONE && !https_header_number(c, "Strongroom-Log-Size", ret_size))
        return report(EXIT_OTHER, "the server's answer lacks the size of the log");
    return code;
}

/* Up to s->limit records from the newest down, in the order of the log. *ret_more: there are more;
 * *ret_size: of the log, when it was first asked. */
static int last_records(struct cli *c, const struct show *s, struct lines *l, bool *ret_more,
                        uint64_t *ret_size)
{
    uint64_t before = INT64_MAX;
    int code = EXIT_DONE;

    *ret_size = UINT64_MAX;
    while (code == EXIT_DONE && l->count < s->limit && before > 0) {
        char arguments[96];
        uint64_t size = 0;
        uint64_t want = s->limit - l->count;
        uint64_t next = 0;
        struct span page;

        snprintf(arguments, sizeof(arguments), "before=%llu&limit=%llu", (unsigned long long)before,
                 (unsigned long long)(want < TRAIL_PAGE ? want : TRAIL_PAGE));
        code = fetch(c, s, arguments, &page, &size);
        if (code == EXIT_DONE &&
            (!https_header_number(c, "Strongroom-Next", &next) || next >= before))
            return report(EXIT_OTHER, "the server's answer does not say how far it looked");
        if (code == EXIT_DONE)
            code = lines_take(l, page);
        before = next;
        if (*ret_size == UINT64_MAX)
            *ret_size = size;
    }
    lines_reverse(l);
    *ret_more = before > 0;
    return code;
}

/* Up to s->limit records from *at on, which is moved behind what was looked at. */
static int next_records(struct cli *c, const struct show *s, uint64_t *at, struct lines *l,
                        uint64_t *ret_size)
{
    int code = EXIT_DONE;

    *ret_size = UINT64_MAX;
    while (code == EXIT_DONE && l->count < s->limit && *at < *ret_size) {
        char arguments[96];
        uint64_t want = s->limit - l->count;
        size_t had = l->count;
        uint64_t next = 0;
        struct span page;

        snprintf(arguments, sizeof(arguments), "from=%llu&limit=%llu", (unsigned long long)*at,
                 (unsigned long long)(want < TRAIL_PAGE ? want : TRAIL_PAGE));
        code = fetch(c, s, arguments, &page, ret_size);
        if (code == EXIT_DONE)
            code = lines_take(l, page);
        if (code != EXIT_DONE)
            return code;
        if (!https_header_number(c, "Strongroom-Next",
                                 &next)) /* without a filter it has no need to */
            next = *at + (l->count - had);
        if (next <= *at)
            return EXIT_DONE;
        *at = next;
    }
    return code;
}

static int print_table(const struct show *s, const struct lines *l, bool more)
{
    AUTO(json_t) *records = json_array();
    int code = parse(l, &s->names, records);

    if (code != EXIT_DONE)
        return code;
    table_print(records, COLUMNS(columns),
                s->query[0] != '\0' ? "No record fits." : "There are no records there.");
    if (more && l->count > 0)
        say("These are the last %zu; --limit shows more, --from another part.", l->count);
    return code;
}

static int show_once(struct cli *c, struct show *s, struct lines *l)
{
    uint64_t size = 0;
    bool more = false;
    int code = option_given(&c->options, OPT_FROM) ? next_records(c, s, &s->from, l, &size)
                                                   : last_records(c, s, l, &more, &size);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        print_lines(l);
        return EXIT_DONE;
    }
    if (l->count > 0)
        names_load(c, s->log, &s->names);
    return print_table(s, l, more);
}

/* --- follow ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t printing;
static volatile sig_atomic_t interrupted;

/* Between records this is the end; a line that is being written is written whole. */
static void on_interrupt(int number)
{
    (void)number;
    if (printing == 0)
        _exit(EXIT_DONE);
    interrupted = 1;
}

static void catch_interrupt(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };

    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static int print_followed(const struct cli *c, const struct show *s, const struct lines *l)
{
    AUTO(json_t) *records = json_array();
    int code = EXIT_DONE;

    printing = 1;
    if (cli_json(c)) {
        print_lines(l);
    } else {
        code = parse(l, &s->names, records);
        if (code == EXIT_DONE)
            table_print_rows(records, COLUMNS(columns), widths);
    }
    printing = 0;
    if (interrupted != 0)
        _exit(EXIT_DONE);
    return code == EXIT_DONE ? print_finish(code) : code;
}

/* The vault's state may change while it is watched: it is locked, or starts anew. Tells once. */
static bool comes_back(int code, const char *why, bool *told)
{
    if (code != EXIT_LOCKED && code != EXIT_UNREACHABLE) {
        (void)report((enum exit_code)code, "%s", why);
        return false;
    }
    if (!*told)
        say("%s: waiting. (%s)",
            code == EXIT_LOCKED ? "The vault is locked" : "The vault is not reachable", why);
    *told = true;
    cli_pause();
    return true;
}

/* Until there is a record at at; *ret_size says so, or that time was up. */
static int await_record(struct cli *c, const struct show *s, uint64_t at, uint64_t *ret_size)
{
    char path[192];
    uint64_t begun = clock_monotonic_us();
    struct span page;

    snprintf(path, sizeof(path), "/v1/logs/%s/records?from=%llu&limit=1&wait=%d", s->log,
             (unsigned long long)at, WAIT_S);
    int code = https_lines(c, path, &page);

    if (code == EXIT_DONE && !https_header_number(c, "Strongroom-Log-Size", ret_size))
        return report(EXIT_OTHER, "the server's answer lacks the size of the log");
    if (code == EXIT_DONE && page.n == 0 && clock_monotonic_us() - begun < SECOND_US)
        cli_pause(); /* one that does not let us wait */
    return code;
}

/* What is new at *at, if something is. */
static int follow_step(struct cli *c, struct show *s, uint64_t *at, struct lines *l)
{
    uint64_t size = 0;
    int code = await_record(c, s, *at, &size);

    if (code == EXIT_DONE && size < *at)
        return report(EXIT_UNVERIFIED,
                      "%s has %llu records, and %llu were there before: the vault was set back. "
                      "Keep what you have",
                      s->log, (unsigned long long)size, (unsigned long long)*at);
    return code == EXIT_DONE && size > *at ? next_records(c, s, at, l, &size) : code;
}

static int follow_on(struct cli *c, struct show *s, uint64_t at)
{
    bool told = false;

    s->limit = TRAIL_PAGE;
    for (;;) {
        struct lines l = { .line = NULL };
        char why[1024] = "";

        report_catch(why, sizeof(why));
        int code = follow_step(c, s, &at, &l);

        report_catch(NULL, 0);
        if (code == EXIT_DONE) {
            if (told)
                say("The vault is back.");
            told = false;
            code = print_followed(c, s, &l);
            lines_clear(&l);
            if (code != EXIT_DONE)
                return code;
        } else {
            lines_clear(&l);
            if (!comes_back(code, why, &told))
                return code;
        }
    }
}

static int follow(struct cli *c, struct show *s, struct lines *l)
{
    uint64_t at = s->from;
    bool more = false;
    int code = EXIT_DONE;

    catch_interrupt();
    if (!option_given(&c->options, OPT_FROM))
        code = last_records(c, s, l, &more, &at);
    if (code != EXIT_DONE)
        return code;
    if (!cli_json(c)) {
        names_load(c, s->log, &s->names);
        table_print_titles(COLUMNS(columns), widths);
    }
    code = print_followed(c, s, l);
    return code == EXIT_DONE ? follow_on(c, s, at) : code;
}

int audit_show(struct cli *c)
{
    struct show s = { .log = NULL };
    struct lines l = { .line = NULL };
    int code = read_options(c, &s);

    if (code == EXIT_DONE)
        code = option_given(&c->options, OPT_FOLLOW) ? follow(c, &s, &l) : show_once(c, &s, &l);
    lines_clear(&l);
    names_clear(&s.names);
    return code;
}
