/*
 * From what the rules find to records of it. The table of subjects is limit and queue in one: a
 * subject is to be told, or was told and counts what comes after. An alert that is stored is heard
 * like any record, and so its subject learns, here as after a restart, that it has been told.
 */
#include "alert.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"

#define SUBJECTS_MAX   16384
#define ALERTS_AT_ONCE 24 /* in one batch */
#define SWEPT_AT_ONCE  256
#define LOOK_BACK      100000 /* records, after a start */
#define HOURS          24

static const char about_begins[] = ",\"rule\":\"";
static const char about_ends[] = ",\"severity\":\"";
static const char repeated_begins[] = ",\"repeated\":";

static const struct {
    const char *name;
    const char *severity;
} rules_told[ALERT_RULES] = {
    [ALERT_FIRST_USE] = { "first-use", "notice" },
    [ALERT_DENIED_BURST] = { "denied-burst", "warning" },
    [ALERT_USE_AFTER_ROTATION] = { "use-after-rotation", "notice" },
    [ALERT_USAGE_SPIKE] = { "usage-spike", "warning" },
    [ALERT_ODD_HOURS] = { "odd-hours", "warning" },
};

struct subject {
    uint8_t name[32]; /* SHA-256 of log, rule and whom it is about */
    struct id log;
    bool pending;      /* to be told */
    uint64_t told_us;  /* its last alert; 0: none */
    uint64_t repeated; /* found since then */
    bool group;        /* all alerts of a rule in a log: */
    enum alert_rule rule;
    uint64_t since_us;            /* when its hour began, */
    uint32_t raised;              /* and how many there were in it */
    struct store_first_use first; /* a first use that no alert says yet */
    size_t length;
    char fields[512];
};

struct alerts {
    struct table subjects;
    size_t pending;
    bool ready; /* the memory is built */
    bool full;  /* something was not even counted */
    struct alert_rules *rules;
    struct {
        uint64_t number; /* of the hour since 1970 */
        uint64_t count;
    } hours[HOURS];
};

status alerts_new(struct alerts **ret_alerts, struct err *e)
{
    struct alerts *a = calloc(1, sizeof *a);
    status st =
        a == NULL ? fail(e, NO_MEMORY, "no memory for alerts", 0) : alert_rules_new(&a->rules, e);

    if (st != OK) {
        free(a);
        return st;
    }
    table_init(&a->subjects, sizeof((struct subject *)NULL)->name);
    *ret_alerts = a;
    return OK;
}

void alerts_free(struct alerts *a)
{
    if (a == NULL)
        return;
    table_clear_values(&a->subjects);
    alert_rules_free(a->rules);
    free(a);
}

void alert_begin(struct fields *f, enum alert_rule rule)
{
    fields_init(f);
    fields_text(f, "rule", rules_told[rule].name);
}

void alert_about(struct fields *f, enum alert_rule rule)
{
    fields_text(f, "severity", rules_told[rule].severity);
}

/* --- subjects -------------------------------------------------------------------------------- */

/* The part that says whom it is about; empty if these are not the fields of an alert. */
static struct span about_of(struct span fields)
{
    const uint8_t *end = memmem(fields.p, fields.n, about_ends, sizeof about_ends - 1);

    return span_of(fields.p, end == NULL ? 0 : (size_t)(end - fields.p));
}

static struct subject *subject_find(const struct alerts *a, const struct id *log, struct span about,
                                    uint8_t name[static 32])
{
    sha256_two(SPAN(log->b), about, name);
    return table_find(&a->subjects, name);
}

/* NULL: there is no room. */
static struct subject *subject_for(struct alerts *a, const struct id *log, struct span about)
{
    uint8_t name[32];
    struct subject *s = subject_find(a, log, about, name);

    if (s != NULL)
        return s;
    if (a->subjects.count >= SUBJECTS_MAX || (s = calloc(1, sizeof *s)) == NULL)
        return NULL;
    memcpy(s->name, name, sizeof s->name);
    s->log = *log;
    if (table_add(&a->subjects, s->name, s, NULL) != OK) {
        free(s);
        return NULL;
    }
    return s;
}

static void say(struct subject *s, struct span fields)
{
    if (fields.n > sizeof s->fields)
        return;
    memcpy(s->fields, fields.p, fields.n);
    s->length = fields.n;
}

static void make_pending(struct alerts *a, struct subject *s)
{
    a->pending += !s->pending;
    s->pending = true;
}

/* All alerts of a rule in a log, as a subject. */
static struct subject *group_for(struct alerts *a, enum alert_rule rule, const struct id *log,
                                 uint64_t time_us)
{
    struct fields f;
    struct subject *g;

    alert_begin(&f, rule);
    alert_about(&f, rule);
    g = subject_for(a, log, about_of(fields_view(&f)));
    if (g == NULL)
        return NULL;
    g->group = true;
    g->rule = rule;
    say(g, fields_view(&f));
    if (time_us >= g->since_us + HOUR_US) {
        g->since_us = time_us;
        g->raised = 0;
    }
    return g;
}

/* Too many of a rule in a log, or in all: how many it were is told later. */
static void count_only(struct alerts *a, struct subject *group)
{
    if (group != NULL)
        group->repeated++;
    else if (!a->full)
        log_info("alerts are about more than there is room for");
    a->full |= group == NULL;
}

void alert_raise(struct alerts *a, enum alert_rule rule, const struct id *log, uint64_t time_us,
                 const struct fields *f, const struct store_first_use *first)
{
    struct span fields = fields_view(f);
    struct span about = about_of(fields);
    struct subject *group, *s;
    uint8_t name[32];

    if (f->out.overflow || fields.n > sizeof s->fields)
        return;
    s = subject_find(a, log, about, name);
    if (s != NULL && (s->pending || (s->told_us != 0 && time_us < s->told_us + HOUR_US))) {
        s->repeated++;
        return;
    }
    group = group_for(a, rule, log, time_us);
    if (group != NULL && s == NULL && group->raised < ALERTS_PER_LOG)
        s = subject_for(a, log, about);
    if (group == NULL || s == NULL || group->raised >= ALERTS_PER_LOG) {
        count_only(a, group);
        return;
    }
    group->raised++;
    say(s, fields);
    if (first != NULL)
        s->first = *first;
    make_pending(a, s);
}

/* --- what was told --------------------------------------------------------------------------- */

static void count_hour(struct alerts *a, uint64_t time_us)
{
    uint64_t number = time_us / HOUR_US;

    if (a->hours[number % HOURS].number != number) {
        a->hours[number % HOURS].number = number;
        a->hours[number % HOURS].count = 0;
    }
    a->hours[number % HOURS].count++;
}

uint64_t alerts_today(struct engine *en)
{
    uint64_t now = engine_now_us(en) / HOUR_US, count = 0;

    for (size_t i = 0; en->alerts != NULL && i < HOURS; i++) {
        if (en->alerts->hours[i].number + HOURS > now)
            count += en->alerts->hours[i].count;
    }
    return count;
}

/* ALERT_RULES: one that this program does not know. */
static enum alert_rule rule_of(struct span about)
{
    enum alert_rule rule = 0;

    for (; rule < ALERT_RULES; rule++) {
        struct fields f;
        struct span begin;

        alert_begin(&f, rule);
        begin = fields_view(&f);
        if (about.n >= begin.n && memcmp(about.p, begin.p, begin.n) == 0)
            break;
    }
    return rule;
}

/* An alert is in the trail: its subject has been told. */
static void told(struct alerts *a, const struct store_record *r)
{
    const uint8_t *begin = memmem(r->line.p, r->line.n, about_begins, sizeof about_begins - 1);
    struct span fields, about;
    const uint8_t *repeated;
    struct subject *s, *group;

    count_hour(a, r->time_us);
    if (begin == NULL)
        return;
    fields = span_of(begin, (size_t)(r->line.p + r->line.n - 1 - begin)); /* without the brace */
    about = about_of(fields);
    if (rule_of(about) == ALERT_RULES)
        return;
    group = about.n == 0 ? NULL : group_for(a, rule_of(about), &r->log, r->time_us);
    s = group == NULL ? NULL : subject_for(a, &r->log, about);
    if (s == NULL)
        return;
    /* One that is told here counted when it was found. */
    if (!s->pending && s != group)
        group->raised++;
    a->pending -= s->pending;
    s->pending = false;
    s->told_us = r->time_us;
    s->repeated = 0;
    repeated = memmem(fields.p, fields.n, repeated_begins, sizeof repeated_begins - 1);
    say(s, repeated == NULL ? fields : span_of(fields.p, (size_t)(repeated - fields.p)));
}

status alerts_heard(struct engine *en, const struct store_record *r, struct err *e)
{
    struct alerts *a = en->alerts;

    if (a == NULL)
        return OK;
    if (r->type != RECORD_ALERT_RAISED)
        return alert_rules_heard(en, a, a->rules, r, a->ready ? ALERT_LIVE : ALERT_EARLY, e);
    if (a->ready)
        told(a, r);
    return OK;
}

/* --- writing --------------------------------------------------------------------------------- */

static status write_one(struct engine *en, const struct subject *s, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = s->log, .type = RECORD_ALERT_RAISED };
    struct fields f;
    status st;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    out_raw(&f.out, span_of(s->fields, s->length));
    if (s->repeated > 0)
        fields_number(&f, "repeated", s->repeated);
    entry.fields = fields_view(&f);
    st = batch_entry(en, NULL, &entry, e);
    if (st == OK && s->group && s->rule == ALERT_FIRST_USE)
        st = store_first_uses_told(en->store, &s->log, e);
    if (st == OK && !id_is_zero(&s->first.key))
        st = store_first_use_told(en->store, &s->first.tenant, &s->first.key, &s->first.gateway, e);
    return st;
}

static status write_some(struct engine *en, struct err *e)
{
    struct alerts *a = en->alerts;
    struct subject *list[ALERTS_AT_ONCE], *s;
    size_t cursor = 0, count = 0;
    status st = batch_begin(en, e);

    /* What was counted comes after what is told one by one. */
    for (int group = 0; group < 2; group++, cursor = 0) {
        while (st == OK && count < ALERTS_AT_ONCE &&
               (s = table_next(&a->subjects, &cursor)) != NULL) {
            if (s->pending && s->group == (group != 0) && (st = write_one(en, s, e)) == OK)
                list[count++] = s;
        }
    }
    if (st == OK)
        st = batch_finish(en, &batch_tolerant, e);
    for (size_t i = 0; st == OK && i < count; i++) {
        list[i]->first = (struct store_first_use){ .seq = 0 };
        if (!list[i]->pending)
            continue;
        a->pending--; /* the keeper would not: not again */
        list[i]->pending = false;
        list[i]->told_us = engine_now_us(en);
    }
    if (st == OK && count == 0)
        a->pending = 0;
    return st;
}

status alerts_write(struct engine *en, struct err *e)
{
    status st = OK;

    /* The room that is kept free is for locking, revoking and purging. */
    while (st == OK && en->alerts != NULL && en->alerts->pending > 0 && !en->disk_low)
        st = write_some(en, e);
    return st;
}

/* --- time passes ----------------------------------------------------------------------------- */

/* Makes subjects pending whose hour is over, and forgets those of which nothing is left to tell, as
 * many as a removal takes; false: there are more. */
static bool sweep_some(struct alerts *a, uint64_t now)
{
    struct subject *over[SWEPT_AT_ONCE], *s;
    size_t cursor = 0, count = 0;

    while (count < SWEPT_AT_ONCE && (s = table_next(&a->subjects, &cursor)) != NULL) {
        uint64_t last = s->told_us > s->since_us ? s->told_us : s->since_us;

        if (s->pending || now < last + HOUR_US)
            continue;
        if (s->repeated > 0)
            make_pending(a, s);
        else
            over[count++] = s;
    }
    for (size_t i = 0; i < count; i++)
        free(table_remove(&a->subjects, over[i]->name));
    return count < SWEPT_AT_ONCE;
}

status alerts_sweep(struct engine *en, struct err *e)
{
    uint64_t now = engine_now_us(en);

    (void)e;
    while (!sweep_some(en->alerts, now))
        continue;
    en->alerts->full = false;
    alert_rules_sweep(en->alerts->rules, now);
    return OK;
}

/* --- after a start --------------------------------------------------------------------------- */

struct look_back {
    struct engine *en;
    struct err *e;
    status st;
};

static bool hear_again(void *context, const struct store_record *r)
{
    struct look_back *l = context;
    struct alerts *a = l->en->alerts;

    if (r->type == RECORD_ALERT_RAISED)
        told(a, r);
    else
        l->st = alert_rules_heard(l->en, a, a->rules, r, ALERT_AGAIN, l->e);
    return l->st == OK;
}

status alerts_rebuild(struct engine *en, struct err *e)
{
    struct look_back look = { .en = en, .e = e };
    uint64_t now = engine_now_us(en), window = HOURS * HOUR_US;
    status st = store_begin(en->store, e);

    en->alerts->ready = true;
    if (st == OK)
        st = store_alert_records(en->store, LOOK_BACK, now > window ? now - window : 0, hear_again,
                                 &look, e);
    if (st == OK)
        st = look.st;
    if (st == OK)
        st = alert_first_uses_rebuild(en, en->alerts, e);
    return st == OK ? store_commit(en->store, e) : st;
}
