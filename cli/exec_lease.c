/* A lease over time: renewed before it ends, taken anew when the key has another version or the
 * lease is as old as it may become, lost when the vault says so or says nothing for too long. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "exec.h"
#include "reply.h"

#define TTL_MAX_S      86400
#define REQUEST_MS     10000
#define RELEASE_MS     3000
#define AWAY_MAX_US    (5 * SECOND_US) /* between two tries while the vault does not answer */
#define REFUSED_US     (60 * SECOND_US)
#define REFUSED_MAX_US (600 * SECOND_US)
#define PAUSE_LEAST    (SECOND_US / 2)

static uint64_t chance(uint64_t below)
{
    uint64_t number = 0;

    random_bytes((struct mspan){ (uint8_t *)&number, sizeof(number) });
    return below > 0 ? number % below : 0;
}

/* Between a half and two thirds of what is left, so that those who began together do not come
 * together. */
static void plan_renewal(struct held *h, uint64_t now, uint64_t left_us)
{
    uint64_t wait = left_us / 2 + chance(left_us / 6);

    h->end_us = now + left_us;
    h->due_us = now + (wait > PAUSE_LEAST ? wait : PAUSE_LEAST);
    h->failures = 0;
}

static int take_reply(struct held *h, const json_t *reply, uint64_t asked_us)
{
    const char *lease = reply_text(reply, "lease");
    const char *provider = reply_text(reply, "provider");
    const json_t *value = json_object_get(reply, "value");
    uint64_t ttl = 0;
    struct err e = { 0 };

    if (lease == NULL || strlen(lease) >= sizeof(h->lease) || provider == NULL ||
        !json_is_string(value) || !reply_number(reply, "ttl_s", TTL_MAX_S, &ttl))
        return reply_report("lease");
    h->provider = provider_of(provider_parse(provider));
    if (h->provider == NULL) /* the vault is newer than this program: --as still works */
        h->provider = provider_of(provider_parse("generic"));
    secret_cleanup(&h->value);
    if (secret_copy(span_of(json_string_value(value), json_string_length(value)), &h->value, &e) !=
        OK)
        return report_err("provider key", &e);
    snprintf(h->lease, sizeof(h->lease), "%s", lease);
    h->ttl_us = ttl * SECOND_US;
    plan_renewal(h, asked_us, h->ttl_us);
    return EXIT_DONE;
}

int held_take(struct cli *c, struct held *h)
{
    AUTO(json_t) *reply = NULL;
    uint64_t asked = clock_monotonic_us();

    https_patience(c, REQUEST_MS);
    int code = lease_take(c, h->key, &reply);

    return code == EXIT_DONE ? take_reply(h, reply, asked) : code;
}

static int post(struct cli *c, const struct held *h, const char *action, json_t *body,
                json_t **ret_reply)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/leases/%s/%s", h->lease, action);
    return https_call(c, METHOD_POST, path, body, ret_reply);
}

void held_release(struct cli *c, struct held *h)
{
    AUTO(json_t) *reply = NULL;
    char unheard[WHY];

    if (h->lease[0] == '\0')
        return;
    https_patience(c, RELEASE_MS);
    report_catch(unheard, sizeof(unheard));
    (void)post(c, h, "release", json_object(), &reply);
    report_catch(NULL, 0);
    h->lease[0] = '\0';
}

static int renew(struct cli *c, struct held *h)
{
    AUTO(json_t) *body = json_pack("{s:I}", "ttl_s", (json_int_t)(h->ttl_us / SECOND_US));
    AUTO(json_t) *reply = NULL;
    uint64_t asked = clock_monotonic_us(), ttl = 0;
    int code = lease_claims(c, body);

    https_patience(c, REQUEST_MS);
    if (code == EXIT_DONE)
        code = post(c, h, "renew", json_incref(body), &reply);
    if (code != EXIT_DONE)
        return code;
    if (!reply_number(reply, "ttl_s", TTL_MAX_S, &ttl))
        return reply_report("lease");
    plan_renewal(h, asked, ttl * SECOND_US);
    /* What is left of its lifetime gets short: take another one while this one is good. */
    return ttl * SECOND_US * 2 < h->ttl_us ? (int)EXIT_BOUND : (int)EXIT_DONE;
}

/* The old lease lives until the new one is there. */
static int take_again(struct cli *c, struct held *h, bool *ret_same)
{
    AUTO(secret) *before = h->value;
    struct held next = *h;
    struct held old = *h;

    next.value = NULL;
    h->value = NULL;
    int code = held_take(c, &next);

    if (code == EXIT_DONE) {
        *h = next;
        *ret_same = before != NULL && secret_equal(secret_view(before), secret_view(h->value));
        held_release(c, &old);
        return code;
    }
    secret_cleanup(&next.value);
    h->value = before;
    before = NULL;
    return code;
}

/* Time may change these. */
static bool passes(int code)
{
    return code == EXIT_LOCKED || code == EXIT_UNREACHABLE || code == EXIT_BOUND ||
           code == EXIT_OTHER;
}

static enum tended lose(struct held *h)
{
    enum tended what = h->lost ? TENDED_SAME : TENDED_LOST;

    secret_cleanup(&h->value);
    h->lost = true;
    h->lease[0] = '\0';
    return what;
}

/* The vault did not answer, or could not. What it gave is good until its end. */
static enum tended wait_for_it(struct held *h, uint64_t now, char why[static WHY])
{
    uint64_t pause = SECOND_US / 2 << (h->failures < 4 ? h->failures : 4);

    h->failures++;
    if (pause > AWAY_MAX_US)
        pause = AWAY_MAX_US;
    h->due_us = now + pause / 2 + chance(pause / 2);
    if (now >= h->end_us) {
        if (!h->lost)
            say("The vault gave no answer until the lease of %s ended: %.500s", h->key, why);
        return lose(h);
    }
    if (h->due_us > h->end_us)
        h->due_us = h->end_us;
    return TENDED_SAME;
}

/* What it refuses it may give again one day: a grant comes back, a budget has a new month. */
static enum tended be_refused(struct held *h, uint64_t now, const char *why)
{
    uint64_t pause = REFUSED_US << (h->failures < 8 ? h->failures : 8);

    if (!h->lost) {
        say("The lease of %s is lost: %.500s", h->key, why);
        h->failures = 0;
        pause = REFUSED_US;
    }
    h->failures++;
    if (pause > REFUSED_MAX_US)
        pause = REFUSED_MAX_US;
    h->due_us = now + pause / 2 + chance(pause / 2);
    return lose(h);
}

enum tended held_tend(struct cli *c, struct held *h, char why[static WHY])
{
    bool same = false, was_lost = h->lost;
    int code = EXIT_ABSENT;

    why[0] = '\0';
    report_catch(why, WHY);
    if (h->lease[0] != '\0')
        code = renew(c, h);
    bool renewed = code == EXIT_DONE;

    if (code == EXIT_ABSENT || code == EXIT_CONFLICT || code == EXIT_BOUND)
        code = take_again(c, h, &same);
    report_catch(NULL, 0);
    if (renewed)
        return TENDED_SAME;
    if (code == EXIT_DONE) {
        h->lost = false;
        return same && !was_lost ? TENDED_SAME : TENDED_CHANGED;
    }
    if (passes(code))
        return wait_for_it(h, clock_monotonic_us(), why);
    return be_refused(h, clock_monotonic_us(), why);
}
