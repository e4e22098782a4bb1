/* What stands behind the question mark of a request for records. */
#include "internal.h"

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
