/* Sums and report numbers, folded from usage.reported records. A record that an earlier server did
 * not store in time is counted when it is recovered: its gateway was not answered, reports again,
 * and hears that the number was there. */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DAY_US      (DAY_S * SECOND_US)
#define NUMBER_MASK (((uint64_t)1 << USAGE_NUMBERS) - 1)
#define OTHER_MODEL "other"
#define LATE_US     (3600 * SECOND_US) /* more than LEASE_RECENT_US */

status tally_new(struct tally **ret_tally, struct err *e)
{
    struct tally *t = calloc(1, sizeof *t);
    status st =
        t == NULL ? fail(e, NO_MEMORY, "no memory for usage", 0) : spending_new(&t->spending, e);

    if (st == OK)
        st = once_new(&t->once, e);
    if (st != OK)
        tally_free(t);
    else
        *ret_tally = t;
    return st;
}

void tally_free(struct tally *t)
{
    if (t == NULL)
        return;
    spending_free(t->spending);
    once_free(t->once);
    free(t);
}

/* --- numbers --------------------------------------------------------------------------------- */

enum usage_number usage_number_of(const struct store_usage_number *n, uint64_t number)
{
    uint64_t below;

    if (number >= n->next)
        return number == n->next ? NUMBER_NEW : NUMBER_GAP;
    below = n->next - 1 - number;
    if (below >= USAGE_NUMBERS || (n->seen >> below & 1) != 0)
        return NUMBER_SEEN;
    return NUMBER_NEW;
}

void usage_number_take(struct store_usage_number *n, uint64_t number)
{
    uint64_t ahead;

    if (number < n->next) {
        n->seen |= (uint64_t)1 << (n->next - 1 - number);
        return;
    }
    ahead = number - n->next + 1;
    n->seen = ahead < USAGE_NUMBERS ? (n->seen << ahead & NUMBER_MASK) | 1 : 1;
    n->next = number + 1;
}

/* --- sums ------------------------------------------------------------------------------------ */

struct reported {
    struct store_usage sum;
    struct id lease; /* zero: none was named */
    uint64_t number; /* 0: none */
};

static uint64_t number_in(const struct store_record *r, const char *name)
{
    uint64_t number = 0;

    return record_field_number(r->line, name, 0, STORE_SUM_MAX, &number) ? number : 0;
}

/* false: nothing that is to be summed up. */
static bool read_reported(const struct store_record *r, char key[static STORE_NAME],
                          struct reported *u)
{
    struct span path, model, inferred;
    const uint8_t *slash;
    size_t n;

    if (!record_field(r->line, "key", &path) || !record_field(r->line, "model", &model) ||
        !record_field_id(r->line, "reporter", &u->sum.gateway))
        return false;
    slash = memchr(path.p, '/', path.n);
    n = slash == NULL ? 0 : path.n - (size_t)(slash + 1 - path.p);
    if (n == 0 || n >= STORE_NAME || model.n == 0 || model.n >= STORE_MODEL)
        return false;
    memcpy(key, slash + 1, n);
    key[n] = '\0';
    memcpy(u->sum.model, model.p, model.n); /* of characters that are not escaped */
    u->sum.tenant = r->log;
    u->sum.day = r->time_us / DAY_US;
    u->sum.requests = number_in(r, "requests");
    u->sum.failures = number_in(r, "failures");
    u->sum.input_tokens = number_in(r, "input_tokens");
    u->sum.output_tokens = number_in(r, "output_tokens");
    u->sum.cost_micro = number_in(r, "cost_micro");
    u->sum.reports = 1;
    u->sum.inferred = record_field(r->line, "inferred", &inferred);
    u->number = number_in(r, "report");
    (void)record_field_id(r->line, "lease", &u->lease);
    return true;
}

/* Whoever invents models gets no more rows for it. */
static status bound_models(struct engine *en, struct store_usage *u, struct err *e)
{
    size_t count = 0;
    bool known = false;
    status st = store_usage_models(en->store, u, &count, &known, e);

    if (st == OK && !known && count >= USAGE_MODELS_MAX)
        memcpy(u->model, OTHER_MODEL, sizeof OTHER_MODEL);
    return st;
}

static status take_number(struct engine *en, const struct store_record *r, const struct reported *u,
                          struct err *e)
{
    bool by_lease = !id_is_zero(&u->lease);
    struct store_usage_number n;
    status st;

    if (u->number == 0)
        return OK;
    st = store_usage_number(en->store, &u->sum.tenant, by_lease ? &u->lease : &u->sum.key,
                            &u->sum.gateway, &n, e);
    if (st != OK || usage_number_of(&n, u->number) == NUMBER_SEEN)
        return st;
    usage_number_take(&n, u->number);
    n.until_us = r->time_us + (by_lease ? en->settings.lease_max_lifetime_s * SECOND_US + LATE_US
                                        : USAGE_KEPT_DAYS * DAY_US);
    return store_usage_number_set(en->store, &n, e);
}

status usage_heard(struct engine *en, const struct store_record *r, struct err *e)
{
    struct reported u = { .number = 0 };
    struct err absent = { 0 };
    char name[STORE_NAME];
    struct store_key key;
    uint64_t size = 0;
    status st;

    if (r->type != RECORD_USAGE_REPORTED || !read_reported(r, name, &u))
        return OK;
    /* Recovered, but its server had stored it: the head was of the same commit. */
    st = store_log_size(en->store, &r->log, &size, e);
    if (st != OK || r->seq < size)
        return st;
    st = store_key(en->store, &r->log, name, &key, &absent);
    if (st == NOT_FOUND) /* a database that was put back */
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    u.sum.key = key.id;
    u.sum.class = key.class;
    st = bound_models(en, &u.sum, e);
    if (st == OK)
        st = store_usage_add(en->store, &u.sum, e);
    if (st == OK)
        st = take_number(en, r, &u, e);
    return st == OK ? spending_add(en->tally->spending, &u.sum, e) : st;
}

status usage_sweep(struct engine *en, struct err *e)
{
    uint64_t now = engine_now_us(en);
    uint64_t today = now / DAY_US;
    status st = store_begin(en->store, e);

    if (st == OK)
        st = store_usage_forget(en->store, today < USAGE_KEPT_DAYS ? 0 : today - USAGE_KEPT_DAYS,
                                now, e);
    return st == OK ? store_commit(en->store, e) : st;
}
