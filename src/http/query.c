/* What stands behind the question mark of a request for records or sums. */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const char *argument(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Each returns whether the argument, if it is there, is well formed, and counts it in *any. */
static bool take_text(const struct exchange *x, const char *name, char *out, size_t cap, bool *any)
{
    const char *text = argument(x, name);
    size_t n = text == NULL ? 0 : strlen(text);

    if (text == NULL)
        return true;
    *any = true;
    if (n == 0 || n >= cap)
        return false;
    memcpy(out, text, n + 1);
    return true;
}

static bool take_time(const struct exchange *x, const char *name, uint64_t *out, bool *any)
{
    const char *text = argument(x, name);

    if (text == NULL)
        return true;
    *any = true;
    return time_parse(text, strlen(text), out);
}

static bool take_outcome(const struct exchange *x, struct record_filter *f, bool *any)
{
    static const char *const names[] = { "ok", "denied", "failed" }; /* as ledger counts them */
    const char *text = argument(x, "outcome");

    if (text == NULL)
        return true;
    *any = f->has_outcome = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        f->outcome = (uint8_t)i;
        if (strcmp(text, names[i]) == 0)
            return true;
    }
    return false;
}

static bool take_before(const struct exchange *x, struct record_filter *f, bool *any)
{
    const char *text = argument(x, "before");

    if (text == NULL)
        return true;
    *any = f->backwards = true;
    return number_parse(text, 0, INT64_MAX, &f->before);
}

static bool take_lease(const struct exchange *x, struct record_filter *f, bool *any)
{
    struct id id;

    return take_text(x, "lease", f->lease, sizeof f->lease, any) &&
           (f->lease[0] == '\0' || id_parse(f->lease, &id));
}

bool query_filter(struct exchange *x)
{
    struct record_filter f = { .before = INT64_MAX, .until_us = UINT64_MAX };
    bool any = false, fine = true;

    fine &= take_before(x, &f, &any);
    fine &= take_time(x, "since", &f.since_us, &any);
    fine &= take_time(x, "until", &f.until_us, &any);
    fine &= take_outcome(x, &f, &any);
    fine &= take_text(x, "actor", f.actor, sizeof f.actor, &any);
    fine &= take_text(x, "key", f.key, sizeof f.key, &any);
    fine &= take_text(x, "gateway", f.gateway, sizeof f.gateway, &any);
    fine &= take_text(x, "type", f.type, sizeof f.type, &any);
    fine &= take_lease(x, &f, &any);
    if (!any || !fine)
        return fine;
    x->rq->filter = malloc(sizeof f);
    if (x->rq->filter != NULL)
        *x->rq->filter = f;
    return x->rq->filter != NULL;
}

/* --- sums of usage --------------------------------------------------------------------------- */

/* "2026-11-30" */
static bool take_day(const struct exchange *x, const char *name, bool *ret_given, uint64_t *ret_day)
{
    static const char midnight[] = "T00:00:00.000000Z";
    char time[TIME_TEXT_LENGTH + 1];
    const char *text = argument(x, name);
    uint64_t time_us;

    *ret_given = text != NULL;
    if (text == NULL)
        return true;
    if (strlen(text) + sizeof midnight != sizeof time)
        return false;
    snprintf(time, sizeof time, "%s%s", text, midnight);
    if (!time_parse(time, TIME_TEXT_LENGTH, &time_us))
        return false;
    *ret_day = time_us / (DAY_S * SECOND_US);
    return true;
}

/* A name, if it is there. */
static bool take_name(const struct exchange *x, const char *name, char *out, size_t cap)
{
    bool any;

    return take_text(x, name, out, cap, &any) && (out[0] == '\0' || name_valid(out));
}

/* A key's name, or tenant/name. */
static bool take_key(const struct exchange *x, struct usage_filter *f)
{
    char key[sizeof f->tenant + sizeof f->key] = "";
    char *slash;
    bool any;

    if (!take_text(x, "key", key, sizeof key, &any))
        return false;
    slash = strchr(key, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (!name_valid(key) || (f->tenant[0] != '\0' && strcmp(key, f->tenant) != 0))
            return false;
        memcpy(f->tenant, key, strlen(key) + 1);
    }
    slash = slash == NULL ? key : slash + 1;
    if (key[0] != '\0' && !name_valid(slash))
        return false;
    memcpy(f->key, slash, strlen(slash) + 1);
    return true;
}

/* Words with commas between. */
static bool take_by(const struct exchange *x, unsigned *ret_by)
{
    static const struct {
        const char *name;
        unsigned by;
    } words[] = { { "day", BY_DAY },
                  { "tenant", BY_TENANT },
                  { "key", BY_KEY },
                  { "gateway", BY_GATEWAY },
                  { "model", BY_MODEL } };
    const char *text = argument(x, "by");

    while (text != NULL) {
        size_t n = strcspn(text, ",");
        unsigned found = 0;

        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (strlen(words[i].name) == n && strncmp(text, words[i].name, n) == 0)
                found = words[i].by;
        }
        if (found == 0)
            return false;
        *ret_by |= found;
        text = text[n] == '\0' ? NULL : text + n + 1;
    }
    return true;
}

bool query_usage(struct exchange *x)
{
    struct usage_filter f = { .by = 0 };
    bool any, fine = true;

    fine &= take_day(x, "since", &f.has_since, &f.from_day);
    fine &= take_day(x, "until", &f.has_until, &f.to_day);
    fine &= take_name(x, "tenant", f.tenant, sizeof f.tenant);
    fine &= take_name(x, "gateway", f.gateway, sizeof f.gateway);
    fine &= take_text(x, "model", f.model, sizeof f.model, &any);
    fine = fine && take_key(x, &f) && take_by(x, &f.by);
    if (!fine)
        return false;
    x->rq->usage_filter = malloc(sizeof f);
    if (x->rq->usage_filter != NULL)
        *x->rq->usage_filter = f;
    return x->rq->usage_filter != NULL;
}
