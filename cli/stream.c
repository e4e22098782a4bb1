/*
 * strongroom audit stream: from the vault's feed to one sink, until it is told to stop. Nothing is
 * kept in between: what a sink lost is read from the vault again, from where the cursor is. What
 * goes on is logged as JSON lines, each state once.
 */
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli.h"
#include "commands.h"
#include "patience.h"

#define WAIT_S       50 /* below the patience of the HTTP client */
#define CONFIRM_S    2  /* how long a sink is left without a confirmation when nothing comes, */
#define CONFIRM_US   (5 * SECOND_US) /* and at most */
#define PAUSE_MAX_US (300 * SECOND_US)
#define VAULT_MAX_US (10 * SECOND_US)

struct stream {
    struct cli *c;
    struct sink sink;
    struct cursor cursor; /* confirmed and saved */
    struct cursor sent;
    uint64_t sent_since_us; /* monotonic; 0: everything is confirmed */
    struct patience vault, receiver;
    bool once;
    bool sink_down;
};

/* --- settings --------------------------------------------------------------------------------- */

static int check_certificate(const char *path)
{
    struct stat about;

    if (path == NULL)
        return EXIT_DONE;
    if (stat(path, &about) != 0)
        return report(EXIT_USAGE, "%s: %s", path, strerror(errno));
    if ((about.st_mode & 077) != 0)
        return report(EXIT_DENIED, "%s: others may read this private key: run chmod 600 on it",
                      path);
    return EXIT_DONE;
}

static int open_sink(struct stream *st)
{
    static const struct sink_kind *const kinds[] = { &sink_file, &sink_syslog, &sink_webhook };
    const char *to = cli_option(st->c, OPT_TO);
    struct sink *s = &st->sink;

    *s = (struct sink){ .fd = -1,
                        .ca = cli_option(st->c, OPT_SINK_CA),
                        .certificate = cli_option(st->c, OPT_SINK_CERTIFICATE),
                        .reopen = &patience_reopen };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strncmp(to, kinds[i]->scheme, strlen(kinds[i]->scheme)) == 0)
            s->kind = kinds[i];
    }
    if (s->kind == NULL)
        return report(EXIT_USAGE, "--to takes file:///PATH, syslog+tls://HOST:PORT or https://...");
    s->target = to + strlen(s->kind->scheme);
    int code = check_certificate(s->certificate);

    return code == EXIT_DONE ? s->kind->open(st->c, s) : code;
}

static int open_cursor(struct stream *st)
{
    const char *log = cli_option(st->c, OPT_LOG);

    if (log != NULL && !name_valid(log))
        return report(EXIT_USAGE, "--log takes the name of a tenant, 'vault' or 'tree'");
    int code = cursor_open(&st->cursor, cli_option(st->c, OPT_CURSOR), log != NULL ? log : "*");

    st->sent = st->cursor;
    return code;
}

/* --- the vault -------------------------------------------------------------------------------- */

static bool one_log(const struct stream *st)
{
    return strcmp(st->cursor.log, "*") != 0;
}

static int fetch(struct stream *st, uint64_t from, size_t limit, unsigned wait_s,
                 struct span *ret_lines)
{
    char path[192];

    if (one_log(st))
        snprintf(path, sizeof(path), "/v1/logs/%s/records?from=%llu&limit=%zu&wait=%u",
                 st->cursor.log, (unsigned long long)from, limit, wait_s);
    else
        snprintf(path, sizeof(path), "/v1/records?after=%llu&limit=%zu&wait=%u",
                 (unsigned long long)from, limit, wait_s);
    return https_lines(st->c, path, ret_lines);
}

static bool seq_of(struct span line, uint64_t *ret_seq)
{
    AUTO(json_t) *record = json_loadb((const char *)line.p, line.n, 0, NULL);
    json_t *seq = json_object_get(record, "seq");

    *ret_seq = (uint64_t)json_integer_value(seq);
    return json_is_integer(seq) && json_integer_value(seq) >= 0;
}

/* Where the page that was just fetched ends. */
static int page_end(struct stream *st, struct span lines, struct cursor *ret_end)
{
    struct span line, last = { 0 };

    *ret_end = st->sent;
    while (take_line(&lines, &line))
        last = line;
    if (lines.n > 0)
        return report(EXIT_OTHER, "the vault's answer ends amid a record");
    if (last.n > 0) {
        sha256(last, ret_end->last);
        ret_end->known = true;
    }
    if (one_log(st)) {
        if (last.n > 0 && !seq_of(last, &ret_end->next))
            return report(EXIT_UNVERIFIED, "a record of the vault has no number");
        ret_end->next += last.n > 0;
    } else if (!https_header_number(st->c, "Strongroom-Next", &ret_end->next)) {
        return report(EXIT_UNVERIFIED,
                      "the vault does not say where it goes on: is it older than this "
                      "program?");
    }
    return EXIT_DONE;
}

/* The last record that was delivered must still be where it was. One that was dropped by now, by
 * its age, is no longer there to be compared. */
static int check_history(struct stream *st)
{
    struct span lines, line;
    struct cursor found;
    int code;

    if (!st->cursor.known || st->cursor.next == 0)
        return EXIT_DONE;
    code = fetch(st, st->cursor.next - 1, 1, 0, &lines);
    if (code != EXIT_DONE)
        return code;
    code = page_end(st, lines, &found);
    if (code != EXIT_DONE)
        return code;
    if (!take_line(&lines, &line) || (found.next == st->cursor.next &&
                                      memcmp(found.last, st->cursor.last, sizeof(found.last)) != 0))
        return report(EXIT_UNVERIFIED,
                      "the vault does not have the record that was delivered last: "
                      "it was set back, or is another one. Find out before "
                      "removing the cursor.");
    return EXIT_DONE;
}

/* Calls get until the vault's answer is final; a failure that does not pass is reported. */
static int patiently(struct stream *st, int (*get)(struct stream *st, void *context), void *context)
{
    char text[1024];
    int code;

    for (;;) {
        text[0] = '\0';
        report_catch(text, sizeof(text));
        code = get(st, context);
        report_catch(NULL, 0);
        bool passes = patience_vault(&st->vault, code) && !st->once;

        if (code == EXIT_DONE)
            st->vault.pause_us = 0;
        if (patience_stop)
            return EXIT_DONE;
        if (code == EXIT_DONE || !passes)
            break;
        patience_back_off(&st->vault, VAULT_MAX_US);
    }
    return code == EXIT_DONE ? code : report((enum exit_code)code, "%s", text);
}

struct page {
    struct span lines;
    struct cursor end;
};

static int get_page(struct stream *st, void *context)
{
    struct page *page = context;
    unsigned wait_s = st->once ? 0 : st->sent_since_us != 0 ? CONFIRM_S : WAIT_S;
    int code = fetch(st, st->sent.next, st->sink.kind->page, wait_s, &page->lines);

    return code == EXIT_DONE ? page_end(st, page->lines, &page->end) : code;
}

static int get_history(struct stream *st, void *context)
{
    (void)context;
    return check_history(st);
}

/* --- the sink --------------------------------------------------------------------------------- */

static void sink_up(struct stream *st)
{
    if (st->sink_down)
        log_info("the receiver takes records again");
    st->sink_down = false;
    st->receiver.pause_us = 0;
}

/* What is not confirmed is sent again. */
static int sink_failed(struct stream *st, const struct err *e)
{
    if (!st->sink_down)
        log_err(LOG_WARN_, "the receiver does not take records: waiting", e);
    st->sink_down = true;
    st->sink.kind->close(&st->sink);
    st->sent = st->cursor;
    st->sent_since_us = 0;
    if (st->once)
        return report_err(cli_option(st->c, OPT_TO), e);
    patience_back_off(&st->receiver, PAUSE_MAX_US);
    return EXIT_DONE;
}

/* Everything that was sent is there: the cursor may say so. */
static int confirm(struct stream *st)
{
    struct err e = { 0 };

    if (st->sent_since_us == 0)
        return EXIT_DONE;
    if (st->sink.kind->confirm(&st->sink, &e) != OK)
        return sink_failed(st, &e);
    sink_up(st);
    if (cursor_save(&st->sent, &e) != OK)
        return report_file(st->cursor.path, &e);
    st->cursor = st->sent;
    st->sent_since_us = 0;
    return EXIT_DONE;
}

/* A sink that confirms each page gets the same page until it has it, and so the same identifier. */
static int deliver(struct stream *st, const struct page *page)
{
    struct err e = { 0 };

    while (st->sink.kind->send(&st->sink, page->lines, &e) != OK) {
        int code = sink_failed(st, &e);

        if (code != EXIT_DONE || patience_stop || !st->sink.kind->each_page)
            return code;
        e = (struct err){ 0 };
    }
    st->sent = page->end;
    if (st->sent_since_us == 0)
        st->sent_since_us = clock_monotonic_us();
    if (st->sink.kind->each_page || clock_monotonic_us() - st->sent_since_us >= CONFIRM_US)
        return confirm(st);
    return EXIT_DONE;
}

static int step(struct stream *st, bool *ret_more)
{
    struct page page = { 0 };
    int code = patiently(st, get_page, &page);

    if (code != EXIT_DONE || patience_stop)
        return code;
    if (page.lines.n > 0)
        return deliver(st, &page);
    code = confirm(st);
    *ret_more = !st->once;
    return code;
}

static int run(struct stream *st)
{
    bool more = true;
    int code = patiently(st, get_history, NULL);

    if (code == EXIT_DONE)
        log_number(LOG_INFO_, "records are delivered", "from", st->cursor.next);
    while (code == EXIT_DONE && more && !patience_stop)
        code = step(st, &more);
    if (code == EXIT_DONE)
        code = confirm(st);
    log_number(LOG_INFO_, "the delivery ends", "at", st->cursor.next);
    return code;
}

int audit_stream(struct cli *c)
{
    struct stream st = { .c = c, .once = option_given(&c->options, OPT_ONCE) };
    int code;

    patience_start("stream");
    c->https.stop = &patience_stop;
    code = open_sink(&st);
    if (code == EXIT_DONE)
        code = open_cursor(&st);
    if (code == EXIT_DONE)
        code = run(&st);
    if (st.sink.kind != NULL)
        st.sink.kind->close(&st.sink);
    secret_free(st.sink.secret);
    free(st.sink.buffer);
    return code;
}
