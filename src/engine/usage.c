/* Reports of usage: whose they are, which of them are new, one record each. What is summed up
 * follows from the records (usage_count.c). */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/table.h"

#define GROUPS_MAX USAGE_REPORTS_MAX
/* One record says what was refused of a body. */
#define RECORDS_MAX 64 /* of one body */
#define ENTRIES_MAX (RECORDS_MAX - 1)

/* What a report is about. */
struct subject {
    const char *why; /* a literal: it is refused, as */
    status code;
    struct id tenant;
    struct id key;
    struct id lease; /* zero: only the key was named */
    uint32_t version;
    uint8_t class;
    char path[2 * STORE_NAME]; /* tenant/name */
};

/* What becomes one record: one report, or what a body says of one lease or key and model. */
struct group {
    struct usage_item sum;
    struct subject subject;
    bool counts;
};

struct plan {
    struct group groups[GROUPS_MAX];
    size_t group_count;
    struct store_usage_number numbers[GROUPS_MAX]; /* as they are after this body */
    size_t number_count;
    struct {
        const char *why; /* it is refused */
        status code;
        bool seen; /* it was there before */
        struct group *group;
        uint8_t once[ONCE_HASH]; /* if the item says what it is about */
    } items[USAGE_ITEMS_MAX];
    size_t refused, seen, counted;
    size_t first; /* item that was refused */
    size_t gaps;
    uint64_t dropped;
};

/* --- whose it is ----------------------------------------------------------------------------- */

static status refuse_subject(struct subject *s, status code, const char *why)
{
    s->code = code;
    s->why = why;
    return OK;
}

/* Of this very certificate: to anybody else the lease does not exist. One that ended just now is
 * still known. */
static status subject_of_lease(struct engine *en, const struct request *rq, const char *text,
                               struct subject *s, struct err *e)
{
    enum lease_state state;
    struct lease held;
    struct store_tenant tenant;
    struct store_key key;
    status st;

    if (!hex_parse(text, ID_HEX_LENGTH, s->lease.b, sizeof s->lease.b) ||
        !leases_recent(en->leases, &s->lease, engine_now_us(en), &held, &state) ||
        !span_same(SPAN(held.certificate), SPAN(rq->peer.spki)))
        return refuse_subject(s, NOT_FOUND, "there is no such lease, or it has been over for long");
    s->tenant = held.tenant;
    s->key = held.key;
    s->version = held.version;
    st = store_tenant_by_id(en->store, &s->tenant, &tenant, e);
    if (st == OK)
        st = store_key_by_id(en->store, &s->tenant, &s->key, &key, e);
    if (st != OK)
        return st;
    s->class = key.class;
    snprintf(s->path, sizeof s->path, "%s/%s", tenant.name, key.name);
    return OK;
}

/* A key that was revoked may still be reported of; one without a grant is not known here. */
static status subject_of_key(struct engine *en, const struct request *rq, const char *path,
                             struct subject *s, struct err *e)
{
    struct policy_bounds bounds = { .ttl_s = 1, .max_ttl_s = 1 };
    char tenant_name[STORE_NAME], key_name[STORE_PATTERN];
    struct err absent = { 0 };
    struct store_tenant tenant;
    struct store_key key;
    uint64_t ttl_s;
    status st;

    if (key_path_parse(path, false, tenant_name, key_name, NULL) != OK)
        return refuse_subject(s, BAD_INPUT, "a key is named tenant/name");
    st = store_tenant(en->store, tenant_name, &tenant, &absent);
    if (st == NOT_FOUND || (st == OK && policy_lease(en->policy, &rq->gateway, &tenant.id, key_name,
                                                     1, &bounds, &ttl_s, NULL) != OK))
        return refuse_subject(s, DENIED, "no grant covers this key");
    if (st == OK)
        st = store_key(en->store, &tenant.id, key_name, &key, &absent);
    if (st == NOT_FOUND)
        return refuse_subject(s, NOT_FOUND, "there is no such key");
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    s->tenant = tenant.id;
    s->key = key.id;
    s->class = key.class;
    snprintf(s->path, sizeof s->path, "%s/%s", tenant.name, key.name);
    return OK;
}

static status find_subject(struct engine *en, const struct request *rq,
                           const struct usage_item *item, struct subject *s, struct err *e)
{
    const char *key = item->key[0] != '\0' ? item->key : rq->usage->key;

    if (item->lease[0] != '\0')
        return subject_of_lease(en, rq, item->lease, s, e);
    if (key[0] == '\0')
        return refuse_subject(s, BAD_INPUT, "it names neither a lease nor a key");
    return subject_of_key(en, rq, key, s, e);
}

/* --- what becomes one record ----------------------------------------------------------------- */

static bool same_group(const struct usage_item *a, const struct usage_item *b)
{
    return strcmp(a->lease, b->lease) == 0 && strcmp(a->key, b->key) == 0 &&
           strcmp(a->model, b->model) == 0;
}

/* Up to what a record's number and a sum may be. */
static void grow(uint64_t *sum, uint64_t by, uint64_t max)
{
    *sum = by < max - *sum ? *sum + by : max;
}

static void add_item(struct usage_item *sum, const struct usage_item *item)
{
    sum->requests += item->requests;
    grow(&sum->input_tokens, item->input_tokens, STORE_SUM_MAX);
    grow(&sum->output_tokens, item->output_tokens, STORE_SUM_MAX);
    grow(&sum->cost_nano, item->cost_nano, (uint64_t)STORE_SUM_MAX * 1000);
    sum->dropped += item->dropped;
    for (size_t i = 0; i < USAGE_ENDINGS; i++)
        sum->ended[i] += item->ended[i];
    if (item->from_us != 0 && (sum->from_us == 0 || item->from_us < sum->from_us))
        sum->from_us = item->from_us;
    if (item->to_us > sum->to_us)
        sum->to_us = item->to_us;
    if (item->ids[0] != '\0' && strlen(sum->ids) + strlen(item->ids) + 2 <= sizeof sum->ids) {
        size_t used = strlen(sum->ids);

        snprintf(sum->ids + used, sizeof sum->ids - used, "%s%s", used > 0 ? " " : "", item->ids);
    }
}

static struct group *group_of(struct plan *plan, const struct usage *u,
                              const struct usage_item *item)
{
    for (size_t i = 0; u->format != USAGE_NATIVE && i < plan->group_count; i++) {
        if (same_group(&plan->groups[i].sum, item))
            return &plan->groups[i];
    }
    return NULL;
}

static void refuse(struct plan *plan, size_t i, status code, const char *why)
{
    if (plan->refused++ == 0)
        plan->first = i;
    plan->items[i].code = code;
    plan->items[i].why = why;
}

static status place_item(struct engine *en, const struct request *rq, struct plan *plan, size_t i,
                         struct err *e)
{
    const struct usage_item *item = &rq->usage->items[i];
    struct group *g = group_of(plan, rq->usage, item);
    status st = OK;

    if (g == NULL && plan->group_count == GROUPS_MAX) {
        refuse(plan, i, LIMIT, "a body tells of at most 64 leases, keys and models");
        return OK;
    }
    if (g == NULL) {
        g = &plan->groups[plan->group_count++];
        g->sum = *item;
        st = find_subject(en, rq, item, &g->subject, e);
    } else {
        add_item(&g->sum, item);
    }
    plan->items[i].group = g;
    if (st == OK && g->subject.why != NULL)
        refuse(plan, i, g->subject.code, g->subject.why);
    return st;
}

/* The same twice in one body, or in one of the last bodies. */
static status was_there(const struct engine *en, const struct request *rq, struct plan *plan,
                        size_t i, struct table *body, bool *ret_there, struct err *e)
{
    uint8_t *hash = plan->items[i].once;

    *ret_there = false;
    if (rq->usage->items[i].once[0] == '\0')
        return OK;
    once_hash(&rq->gateway, rq->usage->items[i].once, hash);
    *ret_there = once_seen(en->tally->once, hash) || table_find(body, hash) != NULL;
    return *ret_there ? OK : table_add(body, hash, hash, e);
}

static status place_items(struct engine *en, const struct request *rq, struct plan *plan,
                          struct err *e)
{
    const struct usage *u = rq->usage;
    struct table body;
    status st = OK;

    table_init(&body, ONCE_HASH);
    plan->dropped = u->dropped;
    for (size_t i = 0; st == OK && i < u->count; i++) {
        plan->dropped += u->items[i].dropped;
        if (u->items[i].why != NULL) {
            refuse(plan, i, BAD_INPUT, u->items[i].why);
            continue;
        }
        st = was_there(en, rq, plan, i, &body, &plan->items[i].seen, e);
        if (st == OK && plan->items[i].seen)
            plan->seen++;
        else if (st == OK)
            st = place_item(en, rq, plan, i, e);
    }
    table_clear(&body);
    return st;
}

/* --- report numbers -------------------------------------------------------------------------- */

static status number_state(struct engine *en, const struct request *rq, struct plan *plan,
                           const struct subject *s, struct store_usage_number **ret_number,
                           struct err *e)
{
    const struct id *subject = id_is_zero(&s->lease) ? &s->key : &s->lease;
    struct store_usage_number *n;
    status st;

    for (size_t i = 0; i < plan->number_count; i++) {
        if (id_same(&plan->numbers[i].subject, subject)) {
            *ret_number = &plan->numbers[i];
            return OK;
        }
    }
    n = &plan->numbers[plan->number_count];
    st = store_usage_number(en->store, &s->tenant, subject, &rq->gateway, n, e);
    if (st == OK)
        plan->number_count++;
    *ret_number = n;
    return st;
}

/* --- records --------------------------------------------------------------------------------- */

static void put_subject(struct fields *f, const struct request *rq, const struct subject *s)
{
    bool inferred = id_is_zero(&s->lease);

    fields_text(f, "key", s->path);
    fields_text(f, "class", class_name(s->class));
    fields_id(f, "reporter", &rq->gateway);
    if (inferred)
        return;
    fields_id(f, "lease", &s->lease);
    fields_number(f, "key_version", s->version);
}

static void put_endings(struct fields *f, const struct usage_item *sum)
{
    static const char *const names[USAGE_ENDINGS] = {
        [ENDED_WELL] = "status_ok",
        [ENDED_THROTTLED] = "status_throttled",
        [ENDED_CLIENT_ERROR] = "status_client_error",
        [ENDED_SERVER_ERROR] = "status_server_error",
        [ENDED_BADLY] = "status_failed",
    };
    uint64_t failures = 0;

    for (size_t i = 0; i < USAGE_ENDINGS; i++) {
        if (i != ENDED_WELL)
            failures += sum->ended[i];
        if (sum->ended[i] > 0)
            fields_number(f, names[i], sum->ended[i]);
    }
    if (failures > 0)
        fields_number(f, "failures", failures);
}

/* Rounded half up; a sum at its bound stays there. */
static uint64_t micro_of(uint64_t nano)
{
    return nano / 1000 + (nano % 1000 >= 500);
}

static status report_entry(struct engine *en, struct request *rq, const struct group *g,
                           struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .log = g->subject.tenant,
                                .type = RECORD_USAGE_REPORTED };
    const struct usage_item *sum = &g->sum;
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    put_subject(&f, rq, &g->subject);
    if (id_is_zero(&g->subject.lease))
        fields_true(&f, "inferred");
    if (sum->report > 0)
        fields_number(&f, "report", sum->report);
    fields_text(&f, "model", sum->model);
    fields_number(&f, "requests", sum->requests);
    fields_number(&f, "input_tokens", sum->input_tokens);
    fields_number(&f, "output_tokens", sum->output_tokens);
    fields_number(&f, "cost_micro", micro_of(sum->cost_nano));
    put_endings(&f, sum);
    if (sum->from_us > 0)
        fields_time(&f, "since", sum->from_us);
    if (sum->to_us > 0)
        fields_time(&f, "until", sum->to_us);
    if (sum->ids[0] != '\0')
        fields_text(&f, "request_ids", sum->ids);
    if (sum->dropped > 0)
        fields_number(&f, "dropped", sum->dropped);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static status gap_entry(struct engine *en, struct request *rq, const struct group *g,
                        uint64_t missing, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .log = g->subject.tenant,
                                .type = RECORD_USAGE_GAP };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    put_subject(&f, rq, &g->subject);
    fields_number(&f, "first_report", missing);
    fields_number(&f, "last_report", g->sum.report - 1);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* Is there room for so many more entries, and for the one that says what was refused? */
static bool has_room(const struct request *rq, const struct plan *plan, size_t needed, bool last)
{
    size_t after = rq->entry_count + needed;

    return after <= ENTRIES_MAX || (last && after == RECORDS_MAX && plan->refused == 0);
}

/* A report by its number: new, seen, or new with others missing before it. */
static status number_entry(struct engine *en, struct request *rq, struct plan *plan, size_t i,
                           struct err *e)
{
    struct group *g = plan->items[i].group;
    struct store_usage_number *n;
    enum usage_number what;
    status st = number_state(en, rq, plan, &g->subject, &n, e);

    if (st != OK)
        return st;
    what = usage_number_of(n, g->sum.report);
    if (what == NUMBER_SEEN) {
        plan->items[i].seen = true;
        plan->seen++;
        return OK;
    }
    if (!has_room(rq, plan, what == NUMBER_GAP ? 2 : 1, i + 1 == rq->usage->count)) {
        refuse(plan, i, LIMIT, "the body makes too many records: send this report again");
        return OK;
    }
    if (what == NUMBER_GAP) {
        st = gap_entry(en, rq, g, n->next, e);
        plan->gaps++;
    }
    usage_number_take(n, g->sum.report);
    g->counts = true;
    plan->counted++;
    return st == OK ? report_entry(en, rq, g, e) : st;
}

static status native_entries(struct engine *en, struct request *rq, struct plan *plan,
                             struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < rq->usage->count; i++) {
        if (plan->items[i].group != NULL && plan->items[i].why == NULL)
            st = number_entry(en, rq, plan, i, e);
    }
    return st;
}

static status group_entries(struct engine *en, struct request *rq, struct plan *plan, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < plan->group_count; i++) {
        struct group *g = &plan->groups[i];

        if (g->subject.why != NULL)
            continue;
        g->counts = has_room(rq, plan, 1, i + 1 == plan->group_count);
        if (g->counts)
            st = report_entry(en, rq, g, e);
    }
    for (size_t i = 0; st == OK && i < rq->usage->count; i++) {
        const struct group *g = plan->items[i].group;

        if (g == NULL || plan->items[i].why != NULL)
            continue;
        if (g->counts)
            plan->counted++;
        else
            refuse(plan, i, LIMIT, "the body makes too many records: send fewer at once");
    }
    return st;
}

/* What is refused of a body is recorded, and limited, like any refusal. */
static status refusal_entry(struct engine *en, struct request *rq, const struct plan *plan,
                            struct err *e)
{
    status st;

    rq->outcome = plan->items[plan->first].code;
    err_note(&rq->err, rq->outcome, __func__, plan->items[plan->first].why, 0);
    st = refusal_record(en, rq, e);
    rq->outcome = OK;
    rq->err = (struct err){ 0 };
    return st;
}

/* --- the verbs ------------------------------------------------------------------------------- */

static bool is_otlp(const struct request *rq)
{
    return rq->verb == VERB_USAGE_TRACES || rq->verb == VERB_USAGE_LOGS;
}

static json_t *reply_json(const struct request *rq, const struct plan *plan)
{
    json_t *seen = json_array(), *refused = json_array();

    for (size_t i = 0; i < rq->usage->count; i++) {
        if (plan->items[i].seen)
            json_array_append_new(seen, json_integer((json_int_t)i));
        if (plan->items[i].why != NULL)
            json_array_append_new(refused, json_pack("{s:I, s:s, s:s}", "index", (json_int_t)i,
                                                     "title", status_name(plan->items[i].code),
                                                     "detail", plan->items[i].why));
    }
    return json_pack("{s:I, s:I, s:o, s:o, s:I}", "counted", (json_int_t)plan->counted, "gaps",
                     (json_int_t)plan->gaps, "duplicates", seen, "refused", refused, "dropped",
                     (json_int_t)plan->dropped);
}

/* As the OTLP specification has a partial success: numbers of 64 bits are text. */
static json_t *otlp_json(const struct request *rq, const struct plan *plan)
{
    const char *name = rq->verb == VERB_USAGE_LOGS ? "rejectedLogRecords" : "rejectedSpans";
    char count[24];

    if (plan->refused == 0)
        return json_object();
    snprintf(count, sizeof count, "%zu", plan->refused);
    return json_pack("{s:{s:s, s:s}}", "partialSuccess", name, count, "errorMessage",
                     plan->items[plan->first].why);
}

static void reply(struct request *rq, const struct plan *plan)
{
    rq->reply = is_otlp(rq) ? otlp_json(rq, plan) : reply_json(rq, plan);
}

APPLY(usage_report)
{
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for reports", 0);
    if (rq->usage == NULL)
        return fail(e, BAD_INPUT, "there are no reports", 0);
    st = place_items(en, rq, plan, e);
    if (st == OK)
        st = rq->usage->format == USAGE_NATIVE ? native_entries(en, rq, plan, e)
                                               : group_entries(en, rq, plan, e);
    if (st != OK)
        return st;
    if (plan->refused > 0 && plan->counted == 0 && plan->seen == 0 && !is_otlp(rq))
        return err_note(e, plan->items[plan->first].code, __func__, plan->items[plan->first].why,
                        0);
    if (plan->refused > 0)
        st = refusal_entry(en, rq, plan, e);
    if (st == OK && rq->entry_count == 0)
        reply(rq, plan);
    return st;
}

COMPLETE(usage_reported)
{
    const struct plan *plan = rq->plan;

    (void)result;
    (void)e;
    if (rq->result_index < rq->entry_count)
        return OK;
    for (size_t i = 0; i < rq->usage->count; i++) {
        if (plan->items[i].group != NULL && plan->items[i].group->counts &&
            plan->items[i].why == NULL && rq->usage->items[i].once[0] != '\0')
            once_note(en->tally->once, plan->items[i].once);
    }
    reply(rq, plan);
    return OK;
}
