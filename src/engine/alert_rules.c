/*
 * The rules, as a table: which records each one looks at. A rule reads what the record says and
 * nothing else, but for one: what is leased when a version's grace is over is in no record.
 */
#include "alert.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"

#define MINUTE_US     (60 * SECOND_US)
#define AGGREGATE_US  (75 * SECOND_US) /* a count of refusals is about the minute before it */
#define PAIRS_MAX     65536            /* beyond: the store is asked */
#define ACTORS_MAX    4096             /* as many as refusal.c tells apart */
#define RATES_MAX     131072           /* keys leased since the start; beyond: not watched */
#define MEAN_HOURS    24               /* the mean forgets about as fast as this */
#define SWEPT_AT_ONCE 256
#define HOLDERS_MAX   32
#define UNTOLD_PAGE   64

struct pair {
    uint8_t name[40]; /* something random of both, key, gateway */
};

struct actor {
    uint8_t name[32]; /* SHA-256 of how records call it */
    struct id log;
    uint64_t since_us;
    uint64_t count;
    bool found;
};

struct rate {
    struct store_key_rate past;
    uint64_t count; /* in past.hour */
    bool found;
};

struct alert_rules {
    struct table pairs, actors, rates;
};

/* A record, and where it is heard. */
struct hearing {
    struct engine *en;
    struct alerts *a;
    struct alert_rules *rules;
    const struct store_record *r;
    enum alert_phase phase;
};

/* --- memory ---------------------------------------------------------------------------------- */

status alert_rules_new(struct alert_rules **ret_rules, struct err *e)
{
    struct alert_rules *rules = calloc(1, sizeof *rules);

    if (rules == NULL)
        return fail(e, NO_MEMORY, "no memory for alerts", 0);
    table_init(&rules->pairs, sizeof((struct pair *)NULL)->name);
    table_init(&rules->actors, sizeof((struct actor *)NULL)->name);
    table_init(&rules->rates, sizeof(struct id));
    *ret_rules = rules;
    return OK;
}

void alert_rules_free(struct alert_rules *rules)
{
    if (rules == NULL)
        return;
    table_clear_values(&rules->pairs);
    table_clear_values(&rules->actors);
    table_clear_values(&rules->rates);
    free(rules);
}

/* --- reading a record ------------------------------------------------------------------------ */

/* Names need no escapes: what has some is not repeated. */
static void put_raw(struct fields *f, const char *name, struct span value)
{
    if (memchr(value.p, '\\', value.n) == NULL)
        fields_span(f, name, value);
}

static void put_field(struct fields *f, const char *name, struct span line, const char *from)
{
    struct span value;

    if (record_field(line, from, &value))
        put_raw(f, name, value);
}

static void put_gateway(struct fields *f, struct span line)
{
    static const char role[] = "gateway:";
    struct span actor;

    if (record_field(line, "actor", &actor) && actor.n > sizeof role - 1 &&
        memcmp(actor.p, role, sizeof role - 1) == 0)
        put_raw(f, "gateway", span_of(actor.p + sizeof role - 1, actor.n - (sizeof role - 1)));
}

/* --- first use ------------------------------------------------------------------------------- */

static void raise_first_use(struct alerts *a, const struct store_record *r,
                            const struct store_first_use *u)
{
    struct fields f;

    alert_begin(&f, ALERT_FIRST_USE);
    put_field(&f, "key", r->line, "key");
    put_gateway(&f, r->line);
    put_field(&f, "certificate", r->line, "certificate");
    alert_about(&f, ALERT_FIRST_USE);
    fields_number(&f, "record", r->seq);
    alert_raise(a, ALERT_FIRST_USE, &r->log, r->time_us, &f, u);
}

static bool seen(struct table *pairs, const struct store_first_use *u)
{
    struct pair *p, wanted;

    for (size_t i = 0; i < 8; i++)
        wanted.name[i] = u->key.b[i] ^ u->gateway.b[i];
    memcpy(wanted.name + 8, u->key.b, 16);
    memcpy(wanted.name + 24, u->gateway.b, 16);
    if (table_find(pairs, wanted.name) != NULL)
        return true;
    if (pairs->count >= PAIRS_MAX)
        table_clear_values(pairs);
    p = malloc(sizeof *p);
    if (p == NULL)
        return false;
    *p = wanted;
    if (table_add(pairs, p->name, p, NULL) != OK)
        free(p);
    return false;
}

static bool use_of(const struct store_record *r, struct store_first_use *u)
{
    *u = (struct store_first_use){ .tenant = r->log, .seq = r->seq };
    return record_field_id(r->line, "key_id", &u->key) &&
           record_field_id(r->line, "gateway_id", &u->gateway);
}

/* The pair is stored with the record of the lease, and marked with the record of the alert: what
 * lies between is made up for after a start. */
static status first_use(struct hearing *h, struct err *e)
{
    struct store_first_use u;
    bool fresh = false;
    status st;

    if (h->phase == ALERT_AGAIN || !use_of(h->r, &u) || seen(&h->rules->pairs, &u))
        return OK;
    u.told = !h->en->settings.alert.first_use;
    st = store_first_use_add(h->en->store, &u, &fresh, e);
    if (st == OK && fresh && !u.told && h->phase == ALERT_LIVE)
        raise_first_use(h->a, h->r, &u);
    return st;
}

struct late {
    struct alerts *a;
    const struct store_first_use *u;
};

static bool raise_late(void *context, const struct store_record *r)
{
    struct late *l = context;

    if (r->seq == l->u->seq)
        raise_first_use(l->a, r, l->u);
    return false;
}

/* A vault of before there were alerts: what was used then is known. */
struct known {
    struct engine *en;
    struct err *e;
    status st;
};

static bool note_known(void *context, const struct store_record *r)
{
    struct known *k = context;
    struct store_first_use u;
    bool fresh;

    if (r->type != RECORD_LEASE_ISSUED || !use_of(r, &u))
        return true;
    u.told = true;
    k->st = store_first_use_add(k->en->store, &u, &fresh, k->e);
    return k->st == OK;
}

static status know_the_past(struct engine *en, struct err *e)
{
    struct known k = { .en = en, .e = e };
    struct err absent = { 0 };
    struct span done;
    status st = store_fact(en->store, "first uses", &done, &absent);

    if (st != NOT_FOUND)
        return st == OK ? OK : err_note(e, st, absent.where, absent.why, absent.detail);
    st = store_lease_records(en->store, 0, note_known, &k, e);
    if (st == OK)
        st = k.st;
    return st == OK ? store_fact_set(en->store, "first uses", span_text("known"), e) : st;
}

/* Those of a page. Whatever the rule does not want to be told is told. */
static status tell_late(struct engine *en, struct alerts *a, const struct store_first_use *list,
                        size_t count, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < count; i++) {
        struct late late = { .a = a, .u = &list[i] };

        st = en->settings.alert.first_use
                 ? store_records(en->store, &list[i].tenant, list[i].seq, 1, raise_late, &late, e)
                 : store_first_use_told(en->store, &list[i].tenant, &list[i].key, &list[i].gateway,
                                        e);
    }
    return st;
}

status alert_first_uses_rebuild(struct engine *en, struct alerts *a, struct err *e)
{
    struct store_first_use page[UNTOLD_PAGE], last;
    size_t count = 0;
    status st = know_the_past(en, e);

    if (st == OK)
        st = store_first_uses_untold(en->store, NULL, page, UNTOLD_PAGE, &count, e);
    while (st == OK && count > 0) {
        last = page[count - 1];
        st = tell_late(en, a, page, count, e);
        if (st == OK)
            st = store_first_uses_untold(en->store, &last, page, UNTOLD_PAGE, &count, e);
    }
    return st;
}

/* --- bursts of refusals ---------------------------------------------------------------------- */

static struct actor *actor_named(struct table *actors, struct span name)
{
    uint8_t hash[32];
    struct actor *who;

    sha256(name, hash);
    who = table_find(actors, hash);
    if (who != NULL || actors->count >= ACTORS_MAX || (who = calloc(1, sizeof *who)) == NULL)
        return who;
    memcpy(who->name, hash, sizeof who->name);
    if (table_add(actors, who->name, who, NULL) != OK) {
        free(who);
        return NULL;
    }
    return who;
}

static status denied_burst(struct hearing *h, struct err *e)
{
    const struct store_record *r = h->r;
    bool many = r->type == RECORD_REQUESTS_REFUSED;
    uint64_t threshold = h->en->settings.alert.denied_per_minute, count = 1;
    struct span name;
    struct actor *who;
    struct fields f;

    (void)e;
    if (threshold == 0 || r->outcome != OUTCOME_DENIED || !record_field(r->line, "actor", &name) ||
        (many && !record_field_number(r->line, "count", 0, INT64_MAX, &count)))
        return OK;
    who = actor_named(&h->rules->actors, name);
    if (who == NULL)
        return OK;
    if (who->count == 0 || r->time_us >= who->since_us + MINUTE_US + (many ? AGGREGATE_US : 0)) {
        who->since_us = r->time_us;
        who->count = 0;
        who->found = false;
        who->log = r->log;
    }
    who->count += count;
    if (!id_same(&who->log, &r->log)) /* no tenant's business alone */
        who->log = (struct id){ { 0 } };
    if (who->found || who->count < threshold)
        return OK;
    who->found = true;
    alert_begin(&f, ALERT_DENIED_BURST);
    put_raw(&f, "about", name);
    alert_about(&f, ALERT_DENIED_BURST);
    fields_number(&f, "count", who->count);
    fields_number(&f, "threshold", threshold);
    alert_raise(h->a, ALERT_DENIED_BURST, &who->log, r->time_us, &f, NULL);
    return OK;
}

/* --- use after rotation ---------------------------------------------------------------------- */

struct holder_of {
    struct lease lease; /* what its leases of the old version have in common */
    uint64_t count;
    bool moved_on; /* it has a newer version as well */
};

/* Gateways with live leases of a version, as far as there is room. */
static size_t find_holders(struct engine *en, const struct id *tenant, const struct id *key,
                           uint32_t version, struct holder_of *list)
{
    size_t count = 0, live, i;
    struct lease l;

    for (int pass = 0; pass < 2; pass++) {
        struct lease_cursor cursor = { 0 };

        while (leases_next_group(en->leases, tenant, &cursor, &l, &live)) {
            if (!id_same(&l.key, key) || (pass == 0 ? l.version != version : l.version <= version))
                continue;
            for (i = 0; i < count && !id_same(&list[i].lease.gateway, &l.gateway); i++)
                continue;
            if (i == count && (pass > 0 || count == HOLDERS_MAX))
                continue;
            if (i == count)
                list[count++] = (struct holder_of){ .lease = l };
            list[i].count += pass == 0 ? live : 0;
            list[i].moved_on |= pass > 0;
        }
    }
    return count;
}

static status path_of(struct engine *en, const struct id *tenant_id, const struct id *key_id,
                      char path[static 2 * STORE_NAME], struct err *e)
{
    struct store_tenant tenant;
    struct store_key key;
    status st = store_tenant_by_id(en->store, tenant_id, &tenant, e);

    if (st == OK)
        st = store_key_by_id(en->store, tenant_id, key_id, &key, e);
    if (st == OK)
        snprintf(path, 2 * STORE_NAME, "%s/%s", tenant.name, key.name);
    return st;
}

/* When the grace is over, whoever took the new version may still hold an old lease, and nobody else
 * should. Asking to renew in the grace is how a gateway learns of the rotation, and no alarm. */
static status use_after_rotation(struct hearing *h, struct err *e)
{
    const struct store_record *r = h->r;
    struct holder_of list[HOLDERS_MAX];
    char path[2 * STORE_NAME];
    struct err gone = { 0 };
    struct span reason;
    struct id key;
    uint64_t version;
    size_t count;

    (void)e;
    if (h->phase == ALERT_AGAIN || !h->en->settings.alert.after_rotation || h->en->leases == NULL ||
        !record_field(r->line, "reason", &reason) || !span_same(reason, span_text("grace-over")) ||
        !record_field_id(r->line, "key_id", &key) ||
        !record_field_number(r->line, "version", 0, INT64_MAX, &version))
        return OK;
    count = find_holders(h->en, &r->log, &key, (uint32_t)version, list);
    if (count == 0 || path_of(h->en, &r->log, &key, path, &gone) != OK)
        return OK;
    for (size_t i = 0; i < count; i++) {
        struct fields f;

        if (list[i].moved_on)
            continue;
        alert_begin(&f, ALERT_USE_AFTER_ROTATION);
        fields_text(&f, "key", path);
        fields_text(&f, "gateway", policy_name(h->en->policy, list[i].lease.certificate));
        fields_number(&f, "old_version", version);
        alert_about(&f, ALERT_USE_AFTER_ROTATION);
        fields_number(&f, "count", list[i].count);
        fields_number(&f, "record", r->seq);
        alert_raise(h->a, ALERT_USE_AFTER_ROTATION, &r->log, r->time_us, &f, NULL);
    }
    return OK;
}

/* --- spikes ---------------------------------------------------------------------------------- */

/* One more hour goes into the mean: a plain one at first, an exponentially weighted one later. */
static void add_hour(struct store_key_rate *past, uint64_t count)
{
    uint64_t weight = past->hours + 1 < MEAN_HOURS ? past->hours + 1 : MEAN_HOURS;

    past->mean = (past->mean * (weight - 1) + count * 1000) / weight;
    past->hours++;
    past->hour++;
}

static void roll(struct rate *rate, uint64_t hour)
{
    uint64_t silent = hour - rate->past.hour - 1;

    add_hour(&rate->past, rate->count);
    for (uint64_t i = 0; i < silent && rate->past.mean > 0; i++)
        add_hour(&rate->past, 0);
    if (rate->past.hour < hour) { /* nothing is left of it but how long it is known */
        rate->past.hours += hour - rate->past.hour;
        rate->past.hour = hour;
    }
    rate->count = 0;
    rate->found = false;
}

static status rate_for(struct hearing *h, const struct id *key, uint64_t hour,
                       struct rate **ret_rate, struct err *e)
{
    struct table *rates = &h->rules->rates;
    struct rate *rate = table_find(rates, key->b);
    struct err absent = { 0 };
    status st;

    *ret_rate = rate;
    if (rate != NULL || rates->count >= RATES_MAX || (rate = calloc(1, sizeof *rate)) == NULL)
        return OK;
    st = store_key_rate(h->en->store, &h->r->log, key, &rate->past, &absent);
    if (st == NOT_FOUND)
        rate->past = (struct store_key_rate){ .tenant = h->r->log, .key = *key, .hour = hour };
    else if (st != OK)
        err_note(e, st, absent.where, absent.why, absent.detail);
    if (st == NOT_FOUND)
        st = OK;
    if (st != OK || table_add(rates, rate->past.key.b, rate, NULL) != OK)
        free(rate);
    else
        *ret_rate = rate;
    return st;
}

static void raise_spike(struct hearing *h, const struct rate *rate, uint64_t threshold)
{
    struct fields f;

    alert_begin(&f, ALERT_USAGE_SPIKE);
    put_field(&f, "key", h->r->line, "key");
    alert_about(&f, ALERT_USAGE_SPIKE);
    put_gateway(&f, h->r->line);
    fields_number(&f, "count", rate->count);
    fields_number(&f, "baseline", rate->past.mean / 1000);
    fields_number(&f, "threshold", threshold);
    fields_number(&f, "record", h->r->seq);
    alert_raise(h->a, ALERT_USAGE_SPIKE, &h->r->log, h->r->time_us, &f, NULL);
}

static status usage_spike(struct hearing *h, struct err *e)
{
    const struct alert_settings *set = &h->en->settings.alert;
    uint64_t hour = h->r->time_us / HOUR_US, threshold;
    struct rate *rate;
    struct id key;
    status st;

    if (set->spike_factor == 0 || !record_field_id(h->r->line, "key_id", &key))
        return OK;
    st = rate_for(h, &key, hour, &rate, e);
    if (st != OK || rate == NULL || hour < rate->past.hour) /* that hour is in the mean */
        return st;
    if (hour > rate->past.hour) {
        roll(rate, hour);
        st = store_key_rate_set(h->en->store, &rate->past, e);
    }
    rate->count++;
    threshold = rate->past.mean * set->spike_factor / 1000;
    if (threshold < set->spike_minimum)
        threshold = set->spike_minimum;
    if (st != OK || rate->found || rate->past.hours < MEAN_HOURS || rate->count < threshold)
        return st;
    rate->found = true;
    raise_spike(h, rate, threshold);
    return OK;
}

/* --- odd hours ------------------------------------------------------------------------------- */

/* When it happened: the record of it is written when the vault opens. */
static status odd_hours(struct hearing *h, struct err *e)
{
    const struct store_record *r = h->r;
    struct span happened;
    uint64_t time_us;
    struct fields f;

    (void)e;
    if (h->en->settings.alert.hours.days == 0 || r->outcome != OUTCOME_OK)
        return OK;
    if (!record_field(r->line, "happened", &happened) ||
        !time_parse((const char *)happened.p, happened.n, &time_us))
        time_us = r->time_us;
    if (hours_hold(&h->en->settings.alert.hours, time_us))
        return OK;
    alert_begin(&f, ALERT_ODD_HOURS);
    fields_text(&f, "event", record_type_name(r->type));
    put_field(&f, "slot", r->line, "slot_id");
    alert_about(&f, ALERT_ODD_HOURS);
    fields_time(&f, "at", time_us);
    fields_number(&f, "record", r->seq);
    alert_raise(h->a, ALERT_ODD_HOURS, &r->log, r->time_us, &f, NULL);
    return OK;
}

/* --- all of them ----------------------------------------------------------------------------- */

static const struct {
    uint16_t type; /* as in SQL_RECORD_ALERTS, but for what is not looked back at */
    status (*rule)(struct hearing *h, struct err *e);
} rows[] = {
    { RECORD_LEASE_ISSUED, first_use },        { RECORD_LEASE_ISSUED, usage_spike },
    { RECORD_LEASE_REFUSED, denied_burst },    { RECORD_REQUEST_REFUSED, denied_burst },
    { RECORD_REQUESTS_REFUSED, denied_burst }, { RECORD_KEY_DESTROYED, use_after_rotation },
    { RECORD_VAULT_UNLOCKED, odd_hours },      { RECORD_UNLOCK_SHARE, odd_hours },
    { RECORD_CARD_USED, odd_hours },
};

status alert_rules_heard(struct engine *en, struct alerts *a, struct alert_rules *rules,
                         const struct store_record *r, enum alert_phase phase, struct err *e)
{
    struct hearing h = { .en = en, .a = a, .rules = rules, .r = r, .phase = phase };
    status st = OK;

    for (size_t i = 0; st == OK && i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].type == r->type && (phase != ALERT_EARLY || rows[i].rule == first_use))
            st = rows[i].rule(&h, e);
    }
    return st;
}

/* Actors that are quiet again. */
static bool sweep_some(struct table *actors, uint64_t now_us)
{
    struct actor *over[SWEPT_AT_ONCE], *who;
    size_t cursor = 0, count = 0;

    while (count < SWEPT_AT_ONCE && (who = table_next(actors, &cursor)) != NULL) {
        if (now_us > who->since_us + MINUTE_US + AGGREGATE_US)
            over[count++] = who;
    }
    for (size_t i = 0; i < count; i++)
        free(table_remove(actors, over[i]->name));
    return count < SWEPT_AT_ONCE;
}

void alert_rules_sweep(struct alert_rules *rules, uint64_t now_us)
{
    while (!sweep_some(&rules->actors, now_us))
        continue;
}
