/* The vault's feed of revocations, as far as it concerns leases that are held. It makes them be
 * looked after at once; what became of them the lease itself tells, so nothing here is believed. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "exec.h"
#include "reply.h"

#define WAIT_MAX_S 20 /* a vault that is gone is noticed after that */
#define SLACK_MS   10000
#define AWAY_US    (5 * SECOND_US)
#define LEAST_US   SECOND_US /* between two requests that were answered at once */

static bool is_null_or(const json_t *member, struct span text)
{
    return !json_is_string(member) ||
           span_same(span_of(json_string_value(member), json_string_length(member)), text);
}

/* Names of keys may be patterns: those are looked after to be sure. */
static bool concerns(const json_t *event, const struct held *h)
{
    size_t tenant = strcspn(h->key, "/");
    const char *key = json_string_value(json_object_get(event, "key"));

    if (!is_null_or(json_object_get(event, "tenant"), span_of(h->key, tenant)) ||
        !is_null_or(json_object_get(event, "lease"), span_of(h->lease, strnlen(h->lease, 32))))
        return false;
    return key == NULL || strchr(key, '*') != NULL || strcmp(key, h->key + tenant + 1) == 0;
}

static int ask(struct cli *c, struct feed *f, const char *query, json_t **ret_reply)
{
    char path[128];
    char unheard[WHY];

    snprintf(path, sizeof(path), "/v1/revocations%s", query);
    report_catch(unheard, sizeof(unheard));
    int code = https_call(c, METHOD_GET, path, NULL, ret_reply);

    if (code == EXIT_DONE && !reply_number(*ret_reply, "next", INT64_MAX, &f->after))
        code = reply_report("next event");
    report_catch(NULL, 0);
    return code;
}

void feed_begin(struct cli *c, struct feed *f)
{
    AUTO(json_t) *reply = NULL;

    *f = (struct feed){ .pause_us = UINT64_MAX };
    https_patience(c, SLACK_MS);
    if (ask(c, f, "", &reply) == EXIT_DONE)
        f->pause_us = 0;
}

/* An answer that came sooner than it was asked for, with nothing in it: the vault has no room for
 * one more that waits. */
static void take_events(struct feed *f, const json_t *reply, struct held *held, size_t count,
                        uint64_t asked_us)
{
    const json_t *events = json_object_get(reply, "events");
    bool lost = json_is_true(json_object_get(reply, "lost"));

    for (size_t i = 0; i < count; i++) {
        size_t k;
        json_t *event;

        if (lost)
            held[i].due_us = 0;
        json_array_foreach(events, k, event)
        {
            if (concerns(event, &held[i]))
                held[i].due_us = 0;
        }
    }
    f->pause_us = json_array_size(events) == 0 ? asked_us + LEAST_US : 0;
}

bool feed_listen(struct cli *c, struct feed *f, struct held *held, size_t count, uint64_t until_us)
{
    AUTO(json_t) *reply = NULL;
    uint64_t now = clock_monotonic_us(), wait_s = until_us > now ? (until_us - now) / SECOND_US : 0;
    char query[64];

    if (now < f->pause_us || wait_s == 0)
        return false;
    wait_s = wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s;
    snprintf(query, sizeof(query), "?after=%llu&wait=%llu", (unsigned long long)f->after,
             (unsigned long long)wait_s);
    https_patience(c, (long)wait_s * 1000 + SLACK_MS);
    int code = ask(c, f, query, &reply);

    if (child_stop != 0)
        return true;
    if (code == EXIT_DONE) {
        take_events(f, reply, held, count, now);
        return true;
    }
    f->pause_us = clock_monotonic_us() + AWAY_US;
    /* A vault without a feed, or one that does not know us any more. */
    if (code == EXIT_ABSENT || code == EXIT_USAGE || code == EXIT_DENIED)
        f->pause_us = UINT64_MAX;
    for (size_t i = 0; i < count && code == EXIT_DENIED; i++)
        held[i].due_us = 0;
    return true;
}
