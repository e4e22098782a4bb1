/* Asking documents about a lease. Grants were asked before: documents only take away. */
#include "judge.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "document.h"
#include "usage.h"

#define CLAIM_MAX   128
#define PURPOSE_MAX 128

static const struct id nobody = { { 0 } };

/* --- facts ----------------------------------------------------------------------------------- */

/* Whose document is asked, about what. */
struct inquiry {
    struct engine *en;
    const struct request *rq;
    const struct store_leasable *found;
    struct id owner;
    uint64_t now_us;
    bool *ret_read;
};

/* A lease that is renewed, or asked for again, is no other one: it counts in no window, and among
 * the live ones it is already. */
static bool is_there(const struct request *rq)
{
    return rq->verb == VERB_LEASE_RENEW || rq->repeats;
}

static void use_rates(const struct inquiry *q, const struct policy_rule *rule,
                      const struct policy_limits *limits, struct policy_use *use)
{
    struct policy_rate_key key =
        policy_rate_key(&q->owner, rule != NULL ? rule->name : span_of(NULL, 0),
                        rule != NULL ? &q->rq->gateway : &q->found->tenant.id);

    for (unsigned i = POLICY_RATE_MINUTE; i <= POLICY_RATE_HOUR; i++) {
        if (limits->most[i] != 0)
            use->used[i] = policy_rates_used(q->en->documents->rates, &key, (enum policy_limit)i,
                                             limits->most[i], q->now_us, &use->wait_s[i]);
    }
}

/* Live, or in this batch. */
static uint64_t count_live(const struct inquiry *q, const struct id *gateway)
{
    const struct documents *d = q->en->documents;
    const struct id *tenant = &q->found->tenant.id;
    uint64_t count = leases_live(q->en->leases, tenant, gateway, q->now_us);

    for (size_t i = 0; i < d->pending_count; i++)
        count += id_same(&d->pending[i].tenant, tenant) &&
                 (gateway == NULL || id_same(&d->pending[i].gateway, gateway));
    return count;
}

/* Microseconds of the UTC day's or month's begin, and seconds until the next one. */
static void period(uint64_t now_us, bool month, uint64_t *ret_since_us, uint64_t *ret_wait_s)
{
    time_t now = (time_t)(now_us / SECOND_US);
    uint64_t day = now_us / SECOND_US / DAY_S, next = day + 1;
    struct tm tm = { 0 };

    if (month && gmtime_r(&now, &tm) != NULL) {
        static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        int year = tm.tm_year + 1900;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        day -= (uint64_t)(tm.tm_mday - 1);
        next = day + days[tm.tm_mon] + (tm.tm_mon == 1 && leap);
    }
    *ret_since_us = day * DAY_S * SECOND_US;
    *ret_wait_s = next * DAY_S - now_us / SECOND_US;
}

static status use_spending(const struct inquiry *q, const struct id *key, enum policy_limit limit,
                           struct policy_use *use, struct err *e)
{
    uint64_t since_us;

    period(q->now_us, limit == POLICY_SPEND_MONTH, &since_us, &use->wait_s[limit]);
    *q->ret_read = true;
    return usage_spent(q->en, &q->found->tenant.id, key, since_us, &use->used[limit], e);
}

static status use_of(void *context, const struct policy_rule *rule,
                     const struct policy_limits *limits, struct policy_use *ret_use, struct err *e)
{
    const struct inquiry *q = context;
    const struct id *key = rule != NULL ? &q->found->key.id : NULL;
    status st = OK;

    if (!is_there(q->rq)) {
        use_rates(q, rule, limits, ret_use);
        if (limits->most[POLICY_CONCURRENT] != 0)
            ret_use->used[POLICY_CONCURRENT] = count_live(q, rule != NULL ? &q->rq->gateway : NULL);
    }
    for (unsigned i = POLICY_SPEND_DAY; st == OK && i <= POLICY_SPEND_MONTH; i++) {
        if (limits->most[i] != 0)
            st = use_spending(q, key, (enum policy_limit)i, ret_use, e);
    }
    return st;
}

/* --- the question ---------------------------------------------------------------------------- */

static status read_claim(const struct request *rq, const char *member, struct span *ret_claim,
                         struct err *e)
{
    const char *text;
    status st = body_text(rq, member, true, CLAIM_MAX, &text, e);

    *ret_claim = span_of(NULL, 0);
    if (st != OK || text == NULL)
        return st;
    *ret_claim = span_text(text);
    for (size_t i = 0; i < ret_claim->n; i++) {
        if (ret_claim->p[i] <= ' ' || ret_claim->p[i] > '~')
            return fail(e, BAD_INPUT, "a claim is 1 to 128 visible ASCII characters", 0);
    }
    return ret_claim->n > 0 ? OK
                            : fail(e, BAD_INPUT, "a claim is 1 to 128 visible ASCII characters", 0);
}

static status read_claims(const struct request *rq, struct policy_question *q, struct err *e)
{
    const char *purpose;
    status st = read_claim(rq, "model", &q->model, e);

    if (st == OK)
        st = read_claim(rq, "environment", &q->environment, e);
    if (st == OK)
        st = read_claim(rq, "classification", &q->classification, e);
    if (st == OK)
        st = body_text(rq, "purpose", true, PURPOSE_MAX, &purpose, e);
    if (st == OK)
        q->purpose = purpose != NULL ? span_text(purpose) : span_of(NULL, 0);
    return st;
}

static void note_asked(struct request *rq, const struct store_leasable *found, uint64_t ttl_s)
{
    struct judged *j = &rq->judged;

    *j = (struct judged){ .asked = true,
                          .provider = found->key.provider,
                          .class = found->key.class,
                          .scope = found->key.scope,
                          .ttl_s = ttl_s };
    snprintf(j->key, sizeof j->key, "%s/%s", found->tenant.name, found->key.name);
}

/* --- the answer ------------------------------------------------------------------------------ */

static const char *limit_why(enum policy_limit limit)
{
    static const char *const whys[POLICY_LIMITS] = {
        [POLICY_RATE_MINUTE] = "the policy's rate of leases per minute is reached",
        [POLICY_RATE_HOUR] = "the policy's rate of leases per hour is reached",
        [POLICY_CONCURRENT] = "as many leases are live as the policy permits: give one back",
        [POLICY_SPEND_DAY] = "what the policy lets this key or tenant spend in a day is spent",
        [POLICY_SPEND_MONTH] = "what the policy lets this key or tenant spend in a month is spent",
    };

    return whys[limit];
}

static status refuse(struct request *rq, const struct policy_verdict *v, struct err *e)
{
    switch (v->answer) {
    case POLICY_ALLOWED: return OK;
    case POLICY_DENIED:
        return fail(e, DENIED, "a rule of the policy denies this: see strongroom policy explain",
                    0);
    case POLICY_LIMITED:
        rq->retry_after_s = v->wait_s < UINT32_MAX ? (unsigned)v->wait_s : UINT32_MAX;
        return err_note(e, LIMIT, __func__, limit_why(v->limit), 0);
    case POLICY_NO_RULE: break;
    }
    return fail(e, DENIED, "no rule of the policy allows this: see strongroom policy explain", 0);
}

static void note_verdict(struct judged_document *j, const struct document *d,
                         const struct policy_verdict *v)
{
    j->there = true;
    memcpy(j->hash, d->hash, sizeof j->hash);
    if (v->rule != NULL)
        snprintf(j->rule, sizeof j->rule, "%.*s", (int)v->rule->name.n,
                 (const char *)v->rule->name.p);
    if (v->answer == POLICY_LIMITED)
        j->limit = policy_limit_name(v->limit);
}

static status ask(struct inquiry *inquiry, struct request *rq, const struct policy_question *q,
                  struct judged_document *j, uint64_t *ttl_s, struct err *e)
{
    struct policy_facts facts = { .use = use_of, .context = inquiry };
    const struct document *d;
    struct policy_verdict v;
    bool required = inquiry->en->settings.policy_required && !id_is_zero(&inquiry->owner);
    status st = document_current(inquiry->en, &inquiry->owner, &d, inquiry->ret_read, e);

    if (st != OK)
        return st;
    if (d->state == DOCUMENT_NONE)
        return required ? fail(e, DENIED, "the tenant has no document of policy, and needs one", 0)
                        : OK;
    if (d->state == DOCUMENT_BAD) {
        j->there = true;
        memcpy(j->hash, d->hash, sizeof j->hash);
        return fail(e, DENIED, "the document of policy cannot be read: it must be set again", 0);
    }
    st = policy_decide(d->parsed, q, &facts, &v, e);
    if (st != OK)
        return st;
    note_verdict(j, d, &v);
    if (v.answer == POLICY_ALLOWED && v.max_ttl_s != 0 && v.max_ttl_s < *ttl_s)
        *ttl_s = v.max_ttl_s;
    return refuse(rq, &v, e);
}

status judge(struct engine *en, struct request *rq, const struct store_leasable *found,
             uint64_t *ttl_s, bool *ret_read, struct err *e)
{
    const char *provider = provider_name(found->key.provider);
    struct policy_question q = { .tenant = span_text(found->tenant.name),
                                 .key = span_text(found->key.name),
                                 .gateway = span_text(rq->peer.name),
                                 .provider = span_text(provider),
                                 .region = span_text(en->region),
                                 .class = found->key.class,
                                 .scope = found->key.scope,
                                 .time_us = engine_now_us(en) };
    struct inquiry inquiry = { .en = en,
                               .rq = rq,
                               .found = found,
                               .owner = found->tenant.id,
                               .now_us = q.time_us,
                               .ret_read = ret_read };
    status st;

    note_asked(rq, found, *ttl_s);
    st = read_claims(rq, &q, e);
    if (st == OK)
        st = ask(&inquiry, rq, &q, &rq->judged.tenant, ttl_s, e);
    inquiry.owner = nobody; /* the vault's */
    if (st == OK)
        st = ask(&inquiry, rq, &q, &rq->judged.vault, ttl_s, e);
    return st;
}

/* --- records --------------------------------------------------------------------------------- */

static void put_claim(const struct request *rq, const char *member, struct fields *f)
{
    const json_t *claim = json_object_get(rq->body, member);

    if (json_is_string(claim) && json_string_length(claim) > 0 &&
        json_string_length(claim) <= CLAIM_MAX)
        fields_span(f, member, span_of(json_string_value(claim), json_string_length(claim)));
}

static void put_text(struct fields *f, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        fields_text(f, name, value);
}

void judged_fields(const struct request *rq, struct fields *f)
{
    const struct judged *j = &rq->judged;

    if (!j->asked)
        return;
    fields_text(f, "provider", provider_name(j->provider));
    fields_text(f, "scope", scope_name(j->scope));
    put_claim(rq, "model", f);
    put_claim(rq, "environment", f);
    put_claim(rq, "classification", f);
    if (j->tenant.there)
        fields_hex(f, "policy", SPAN(j->tenant.hash));
    else
        fields_text(f, "policy", "none");
    put_text(f, "rule", j->tenant.rule);
    put_text(f, "limit", j->tenant.limit);
    if (j->vault.there)
        fields_hex(f, "vault_policy", SPAN(j->vault.hash));
    put_text(f, "vault_rule", j->vault.rule);
    put_text(f, "vault_limit", j->vault.limit);
}

/* --- counting -------------------------------------------------------------------------------- */

static status count_of(struct policy_rates *rates, const struct id *owner, struct span rule,
                       const struct id *gateway, const struct id *tenant, uint64_t time_us,
                       struct err *e)
{
    struct policy_rate_key of_rule = policy_rate_key(owner, rule, gateway);
    struct policy_rate_key of_all = policy_rate_key(owner, span_of(NULL, 0), tenant);
    status st = policy_rates_count(rates, &of_rule, time_us, e);

    return st == OK ? policy_rates_count(rates, &of_all, time_us, e) : st;
}

status judged_count(struct engine *en, const struct request *rq, const struct id *tenant,
                    struct err *e)
{
    struct documents *d = en->documents;
    const struct judged *j = &rq->judged;
    uint64_t now = engine_now_us(en);
    status st = OK;

    if (j->tenant.there)
        st = count_of(d->rates, tenant, span_text(j->tenant.rule), &rq->gateway, tenant, now, e);
    if (st == OK && j->vault.there)
        st = count_of(d->rates, &nobody, span_text(j->vault.rule), &rq->gateway, tenant, now, e);
    if (st == OK && d->pending_count < 2 * LIMIT_BATCH_ENTRIES)
        d->pending[d->pending_count++] =
            (struct document_pending){ .tenant = *tenant, .gateway = rq->gateway };
    return st;
}

void judge_batch_sent(struct engine *en)
{
    if (en->documents != NULL)
        en->documents->pending_sent = en->documents->pending_count;
}

void judge_batch_over(struct engine *en)
{
    struct documents *d = en->documents;

    if (d == NULL)
        return;
    d->pending_count -= d->pending_sent;
    memmove(d->pending, d->pending + d->pending_sent, d->pending_count * sizeof *d->pending);
    d->pending_sent = 0;
}

struct replay {
    struct engine *en;
    struct err *e;
    uint64_t since_us;
    uint64_t from; /* of a log: the first record since then */
    status st;
};

static bool replay_count(void *context, const struct store_record *r)
{
    struct replay *replay = context;
    struct policy_rates *rates = replay->en->documents->rates;
    struct span rule;
    struct id gateway;

    if (r->type != RECORD_LEASE_ISSUED || r->time_us < replay->since_us ||
        !record_field_id(r->line, "gateway_id", &gateway))
        return true;
    if (record_field(r->line, "rule", &rule))
        replay->st = count_of(rates, &r->log, rule, &gateway, &r->log, r->time_us, replay->e);
    if (replay->st == OK && record_field(r->line, "vault_rule", &rule))
        replay->st = count_of(rates, &nobody, rule, &gateway, &r->log, r->time_us, replay->e);
    return replay->st == OK;
}

/* From where on a log's records are of the last hour: downwards, for that may be few of many. */
static bool find_since(void *context, const struct store_record *r)
{
    struct replay *replay = context;

    if (r->time_us < replay->since_us)
        return false;
    replay->from = r->seq;
    return true;
}

static status count_log(struct replay *replay, const struct id *log)
{
    struct store *store = replay->en->store;
    status st;

    replay->from = INT64_MAX;
    st = store_records_before(store, log, INT64_MAX, SIZE_MAX, find_since, replay, replay->e);
    if (st == OK && replay->from != INT64_MAX)
        st = store_records(store, log, replay->from, SIZE_MAX, replay_count, replay, replay->e);
    return st == OK ? replay->st : st;
}

/* Only who has a document has counts: of the others nothing is read. With one of the vault all
 * have; a lease of the last hour ended after that began, so it is among those that mattered since.
 */
status judge_rebuild(struct engine *en, struct err *e)
{
    struct replay replay = { .en = en, .e = e };
    uint64_t now = engine_now_us(en), memory = POLICY_RATE_MEMORY_S * SECOND_US;
    struct err end = { 0 };
    struct id owner;
    status st = documents_new(&en->documents, e);

    if (st != OK)
        return st;
    replay.since_us = now > memory ? now - memory : 0;
    st = store_policy_owner(en->store, NULL, &owner, &end);
    if (st == OK && id_is_zero(&owner)) {
        st = store_lease_records(en->store, replay.since_us, replay_count, &replay, e);
        return st == OK ? replay.st : st;
    }
    while (st == OK) {
        struct id after = owner;

        st = count_log(&replay, &owner);
        if (st != OK)
            return st;
        st = store_policy_owner(en->store, &after, &owner, &end);
    }
    return st == NOT_FOUND ? OK : err_note(e, st, end.where, end.why, end.detail);
}
