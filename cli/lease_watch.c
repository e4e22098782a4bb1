/*
 * strongroom lease watch: what ends, a line for each, for whatever holds keys and cannot listen
 * itself. A vault that does not answer ends them too, 30 seconds later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli.h"
#include "commands.h"
#include "patience.h"
#include "stream.h"
#include "table.h"

#define WAIT_S       20 /* so that an idle vault is heard often enough, */
#define ANSWER_S     28 /* and a dead one noticed in time */
#define SILENT_US    (30 * SECOND_US)
#define PAUSE_MAX_US (4 * SECOND_US)

struct watch {
    struct cli *c;
    struct cursor cursor;
    bool begun; /* cursor.next says where */
    bool silent;
    uint64_t heard_us; /* monotonic: the vault's last answer */
    struct patience patience;
};

/* --- lines ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *event, const char *member)
{
    return json_string_value(json_object_get(event, member));
}

/* "2026-11-21T08:30:00.000000Z key.revoked acme/openai-prod" */
static void print_line(const json_t *event)
{
    const char *tenant = text_of(event, "tenant"), *key = text_of(event, "key");
    const char *lease = text_of(event, "lease"), *engagement = text_of(event, "engagement_id");
    const json_t *version = json_object_get(event, "version");

    print("%s %s", text_of(event, "time"), text_of(event, "what"));
    if (tenant != NULL)
        print(" %s%s%s", tenant, key != NULL ? "/" : "", key != NULL ? key : "");
    if (json_is_integer(version))
        print(" version=%" JSON_INTEGER_FORMAT, json_integer_value(version));
    if (lease != NULL)
        print(" lease=%s", lease);
    if (engagement != NULL)
        print(" engagement_id=%s", engagement);
    print("\n");
}

static void print_event(const struct watch *w, const json_t *event)
{
    if (cli_json(w->c))
        table_print_json_line(event);
    else
        print_line(event);
}

/* What the vault cannot say itself. */
static void print_feed(const struct watch *w, const char *what)
{
    char time[TIME_TEXT_LENGTH + 1];

    time_format(clock_wall_us(), time);
    AUTO(json_t) *event = json_pack("{s:s, s:s}", "time", time, "what", what);

    print_event(w, event);
}

/* --- the vault -------------------------------------------------------------------------------- */

static void note_answer(struct watch *w)
{
    w->heard_us = clock_monotonic_us();
    w->patience.pause_us = 0;
    if (w->silent)
        print_feed(w, "feed.answers");
    w->silent = false;
}

static void note_silence(struct watch *w)
{
    if (!w->silent && clock_monotonic_us() - w->heard_us >= SILENT_US)
        print_feed(w, "feed.silent");
    w->silent |= clock_monotonic_us() - w->heard_us >= SILENT_US;
}

static int call(struct watch *w, enum method method, const char *path, json_t *body,
                json_t **ret_reply)
{
    return https_call(w->c, method, path, body, ret_reply);
}

/* Again and again while the vault is away; every other failure is final, and reported. */
static int patiently(struct watch *w, enum method method, const char *path, const json_t *body,
                     json_t **ret_reply)
{
    char why[1024];
    int code;

    for (;;) {
        why[0] = '\0';
        report_catch(why, sizeof(why));
        code = call(w, method, path, body == NULL ? NULL : json_deep_copy(body), ret_reply);
        report_catch(NULL, 0);
        if (code == EXIT_DONE || patience_stop)
            break;
        if (!patience_vault(&w->patience, code) || option_given(&w->c->options, OPT_ONCE))
            break;
        note_silence(w);
        patience_back_off(&w->patience, PAUSE_MAX_US);
    }
    if (patience_stop)
        return EXIT_DONE;
    if (code != EXIT_DONE)
        return report((enum exit_code)code, "%s", why);
    patience_vault(&w->patience, code);
    note_answer(w);
    return EXIT_DONE;
}

/* One after the other was printed: from here on they are the caller's. */
static int acknowledge(struct watch *w, const json_t *events)
{
    size_t count = json_array_size(events);
    int code = EXIT_DONE;

    for (size_t at = 0; code == EXIT_DONE && at < count && !patience_stop;) {
        AUTO(json_t) *body = json_pack("{s:[]}", "events");
        AUTO(json_t) *reply = NULL;

        for (size_t i = 0; i < 64 && at < count; i++, at++)
            json_array_append(json_object_get(body, "events"),
                              json_object_get(json_array_get(events, at), "event"));
        code = patiently(w, METHOD_POST, "/v1/revocations/acknowledge", body, &reply);
    }
    return code;
}

static int save(struct watch *w, const json_t *reply)
{
    struct err e = { 0 };

    w->cursor.next = (uint64_t)json_integer_value(json_object_get(reply, "next"));
    w->begun = true;
    if (w->cursor.path == NULL || cursor_save(&w->cursor, &e) == OK)
        return EXIT_DONE;
    return report_file(w->cursor.path, &e);
}

static int step(struct watch *w, bool *ret_more)
{
    AUTO(json_t) *reply = NULL;
    bool once = option_given(&w->c->options, OPT_ONCE);
    char path[96] = "/v1/revocations";
    const json_t *events;
    bool waits = w->begun && !once;
    uint64_t began_us = clock_monotonic_us();
    int code;

    if (w->begun)
        snprintf(path, sizeof(path), "/v1/revocations?after=%llu&wait=%u",
                 (unsigned long long)w->cursor.next, once ? 0 : WAIT_S);
    code = patiently(w, METHOD_GET, path, NULL, &reply);
    if (code != EXIT_DONE || patience_stop)
        return code;
    if (json_is_true(json_object_get(reply, "lost")))
        print_feed(w, "feed.lost");
    events = json_object_get(reply, "events");
    for (size_t i = 0; i < json_array_size(events); i++)
        print_event(w, json_array_get(events, i));
    code = print_finish(EXIT_DONE);
    if (code == EXIT_DONE && option_given(&w->c->options, OPT_ACKNOWLEDGE))
        code = acknowledge(w, events);
    if (code == EXIT_DONE && !patience_stop)
        code = save(w, reply);
    /* Too many wait already. */
    if (waits && json_array_size(events) == 0 && clock_monotonic_us() - began_us < SECOND_US)
        patience_pause(2 * SECOND_US);
    *ret_more = !once || json_array_size(events) > 0;
    return code;
}

int lease_watch(struct cli *c)
{
    struct watch w = { .c = c, .heard_us = clock_monotonic_us() };
    bool more = true;
    int code = EXIT_DONE;

    patience_start("watch");
    c->https.stop = &patience_stop;
    c->https.patience_s = ANSWER_S;
    if (option_given(&c->options, OPT_CURSOR)) {
        code = cursor_open(&w.cursor, cli_option(c, OPT_CURSOR), "revocations");
        w.begun = w.cursor.known;
    }
    while (code == EXIT_DONE && more && !patience_stop)
        code = step(&w, &more);
    return code;
}
