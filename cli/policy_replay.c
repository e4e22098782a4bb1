/*
 * A document before it is in force: what it would have decided of the leases that were issued and
 * refused lately. Rates are counted as they would have been; what was live or spent at a moment is
 * not in the records of leases, and is not judged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "commands.h"
#include "people.h"
#include "policy.h"
#include "policy/rate.h"
#include "provider/provider.h"
#include "reply.h"
#include "table.h"
#include "when.h"

#define DEFAULT_SINCE "7d"
#define EXAMPLES      3

static const struct column columns[] = {
    { "LEASES", "leases", COLUMN_TEXT },   { "GATEWAY", "gateway", COLUMN_TEXT },
    { "KEY", "key", COLUMN_TEXT },         { "REASON", "reason", COLUMN_TEXT },
    { "EXAMPLE", "example", COLUMN_TEXT },
};

struct replay {
    const struct policy_document *document;
    struct policy_rates *rates;
    char region[32];
    json_t *people; /* of the log that is read */
    json_t *keys;   /* of its tenant, name -> key */
    uint64_t now_us;
    uint64_t issued, refused_now; /* issued then, refused by the document */
    uint64_t refused, allowed_now;
    json_t *groups; /* "gateway key reason" -> {gateway, key, reason, leases, examples} */
};

/* --- rates ----------------------------------------------------------------------------------- */

/* A gateway or tenant is known by its name here. */
static struct policy_rate_key key_of(const struct policy_rule *rule,
                                     const struct policy_question *q)
{
    struct span name = rule != NULL ? q->gateway : q->tenant;
    struct id of = { { 0 } }, more = { { 0 } };
    size_t n = name.n < 32 ? name.n : 32;

    memcpy(of.b, name.p, n < 16 ? n : 16);
    if (n > 16)
        memcpy(more.b, name.p + 16, n - 16);
    return policy_rate_key(&more, rule != NULL ? rule->name : span_of(NULL, 0), &of);
}

struct moment {
    struct replay *r;
    const struct policy_question *q;
};

static status use_of(void *context, const struct policy_rule *rule,
                     const struct policy_limits *limits, struct policy_use *ret_use, struct err *e)
{
    const struct moment *m = context;
    struct policy_rate_key key = key_of(rule, m->q);

    (void)e;
    for (unsigned i = POLICY_RATE_MINUTE; i <= POLICY_RATE_HOUR; i++) {
        if (limits->most[i] != 0)
            ret_use->used[i] =
                policy_rates_used(m->r->rates, &key, (enum policy_limit)i, limits->most[i],
                                  m->q->time_us, &ret_use->wait_s[i]);
    }
    return OK;
}

static status count(struct replay *r, const struct policy_rule *rule,
                    const struct policy_question *q, struct err *e)
{
    struct policy_rate_key of_rule = key_of(rule, q);
    struct policy_rate_key of_all = key_of(NULL, q);
    status st = policy_rates_count(r->rates, &of_rule, q->time_us, e);

    return st == OK ? policy_rates_count(r->rates, &of_all, q->time_us, e) : st;
}

/* --- records --------------------------------------------------------------------------------- */

static void reason_of(const struct policy_verdict *v, char out[static 128])
{
    struct span rule = v->rule != NULL ? v->rule->name : span_text("");

    switch (v->answer) {
    case POLICY_DENIED: snprintf(out, 128, "deny %.*s", (int)rule.n, (const char *)rule.p); break;
    case POLICY_LIMITED:
        snprintf(out, 128, "%s of %.*s", policy_limit_name(v->limit), rule.n > 0 ? (int)rule.n : 8,
                 rule.n > 0 ? (const char *)rule.p : "[limits]");
        break;
    default: snprintf(out, 128, "no rule allows it"); break;
    }
}

static int note_refused(struct replay *r, const json_t *record, const struct policy_question *q,
                        const struct policy_verdict *v)
{
    const char *example = reply_text(record, "request_id");
    char reason[128], gateway[64], key[160], name[400];
    json_t *group = NULL;

    reason_of(v, reason);
    snprintf(gateway, sizeof(gateway), "%.*s", (int)q->gateway.n, (const char *)q->gateway.p);
    snprintf(key, sizeof(key), "%.*s/%.*s", (int)q->tenant.n, (const char *)q->tenant.p,
             (int)q->key.n, (const char *)q->key.p);
    snprintf(name, sizeof(name), "%s %s %s", gateway, key, reason);
    group = json_object_get(r->groups, name);
    if (group == NULL) {
        group = json_pack("{s:s, s:s, s:s, s:i, s:[], s:s*}", "gateway", gateway, "key", key,
                          "reason", reason, "leases", 0, "examples", "example", example);
        if (group == NULL || json_object_set_new(r->groups, name, group) != 0)
            return report(EXIT_OTHER, "no memory");
    }
    json_object_set_new(group, "leases",
                        json_integer(json_integer_value(json_object_get(group, "leases")) + 1));
    if (example != NULL && json_array_size(json_object_get(group, "examples")) < EXAMPLES)
        json_array_append_new(json_object_get(group, "examples"), json_string(example));
    return EXIT_DONE;
}

/* Records from before documents lack what the key itself says. */
static void complete(const struct replay *r, struct policy_question *q, json_t *record)
{
    static const char *const names[] = { "provider", "class", "scope" };
    char key[NAME_MAX_LENGTH + 1];
    const json_t *known = NULL;

    snprintf(key, sizeof(key), "%.*s", (int)q->key.n, (const char *)q->key.p);
    known = json_object_get(r->keys, key);
    for (size_t i = 0; known != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_object_get(record, names[i]) == NULL && json_object_get(known, names[i]) != NULL)
            (void)json_object_set(record, names[i], json_object_get(known, names[i]));
    }
    (void)policy_asked(record, r->region, q);
}

/* A refusal that no document could have changed says so: it names none. */
static bool was_refused_by_policy(const json_t *record)
{
    const char *why = reply_text(record, "why");

    return reply_text(record, "policy") != NULL && why != NULL && strstr(why, "policy") != NULL;
}

static int take(void *context, json_t *record)
{
    struct replay *r = context;
    const char *type = reply_text(record, "type");
    bool issued = type != NULL && strcmp(type, "lease.issued") == 0;
    bool refused = type != NULL && strcmp(type, "lease.refused") == 0;
    struct policy_question q;
    struct policy_verdict v;
    struct moment moment = { .r = r, .q = &q };
    struct policy_facts facts = { .use = use_of, .context = &moment };
    struct err e = { 0 };

    people_resolve(r->people, record);
    if ((!issued && !(refused && was_refused_by_policy(record))) ||
        !policy_asked(record, r->region, &q))
        return EXIT_DONE;
    complete(r, &q, record);
    if (policy_decide(r->document, &q, &facts, &v, &e) != OK ||
        (v.answer == POLICY_ALLOWED && count(r, v.rule, &q, &e) != OK))
        return report_err("policy", &e);
    r->issued += issued;
    r->refused += refused;
    r->refused_now += issued && v.answer != POLICY_ALLOWED;
    r->allowed_now += refused && v.answer == POLICY_ALLOWED;
    return issued && v.answer != POLICY_ALLOWED ? note_refused(r, record, &q, &v) : EXIT_DONE;
}

static int load_keys(struct cli *c, const char *tenant, json_t **ret_keys)
{
    AUTO(json_t) *reply = NULL;
    json_t *item = NULL;
    char path[128];
    size_t i = 0;

    snprintf(path, sizeof(path), "/v1/tenants/%s/keys", tenant);
    int code = https_list(c, path, "keys", &reply);

    *ret_keys = json_object();
    json_array_foreach(json_object_get(reply, "keys"), i, item)
    {
        if (reply_text(item, "name") != NULL)
            (void)json_object_set(*ret_keys, reply_text(item, "name"), item);
    }
    return code;
}

static int replay_tenant(struct cli *c, struct replay *r, const char *tenant, uint64_t since_us)
{
    char refusal[1024];
    int code = load_keys(c, tenant, &r->keys);

    report_catch(refusal, sizeof(refusal));
    (void)people_list(c, tenant, &r->people);
    report_catch(NULL, 0);
    if (code == EXIT_DONE)
        code = policy_records(c, tenant, "lease.", since_us, take, r);
    json_t_cleanup(&r->keys);
    json_t_cleanup(&r->people);
    return code;
}

/* The vault's document is asked for every tenant. */
static int replay_all(struct cli *c, struct replay *r, uint64_t since_us)
{
    AUTO(json_t) *reply = NULL;
    json_t *item = NULL;
    size_t i = 0;
    int code = https_list(c, "/v1/tenants", "tenants", &reply);

    json_array_foreach(json_object_get(reply, "tenants"), i, item)
    {
        if (code == EXIT_DONE && reply_text(item, "name") != NULL)
            code = replay_tenant(c, r, reply_text(item, "name"), since_us);
    }
    return code;
}

/* --- the report ------------------------------------------------------------------------------ */

static json_t *group_list(const struct replay *r)
{
    json_t *list = json_array();
    const char *name = NULL;
    json_t *group = NULL;

    json_object_foreach(r->groups, name, group) json_array_append(list, group);
    return list;
}

static void print_report(const struct cli *c, const struct replay *r)
{
    AUTO(json_t) *groups = group_list(r);

    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:I, s:I, s:I, s:I, s:O}", "issued", (json_int_t)r->issued, "refused_now",
                      (json_int_t)r->refused_now, "refused", (json_int_t)r->refused, "allowed_now",
                      (json_int_t)r->allowed_now, "groups", groups);

        table_print_json(summary);
        return;
    }
    print("Of %llu leases that were issued, this document refuses %llu.\n",
          (unsigned long long)r->issued, (unsigned long long)r->refused_now);
    print("Of %llu that policy refused, it allows %llu.\n", (unsigned long long)r->refused,
          (unsigned long long)r->allowed_now);
    if (r->refused_now > 0)
        table_print(groups, COLUMNS(columns), "");
}

static int replay_file(struct cli *c, const char *owner, bool vault, uint64_t since_us,
                       const struct policy_document *document)
{
    struct replay r = { .document = document, .groups = json_object() };
    struct err e = { 0 };
    int code = policy_region(c, r.region);

    if (code == EXIT_DONE && policy_rates_new(&r.rates, &e) != OK)
        code = report_err("policy", &e);
    if (code == EXIT_DONE)
        code = vault ? replay_all(c, &r, since_us) : replay_tenant(c, &r, owner, since_us);
    if (code == EXIT_DONE)
        print_report(c, &r);
    policy_rates_free(r.rates);
    json_decref(r.groups);
    return code;
}

int policy_replay(struct cli *c)
{
    const char *text = cli_option(c, OPT_SINCE) != NULL ? cli_option(c, OPT_SINCE) : DEFAULT_SINCE;
    struct policy_file *f = calloc(1, sizeof(*f));
    const char *owner = NULL;
    bool vault = false;
    uint64_t since_us = 0;
    int code = f == NULL ? report(EXIT_OTHER, "no memory") : policy_owner(c, &owner, &vault);

    if (code == EXIT_DONE && !when_parse(text, clock_wall_us(), &since_us))
        code = report(EXIT_USAGE, "--since is a time ago, such as 2h or 7d, or a UTC time");
    if (code == EXIT_DONE)
        code = policy_file_read(cli_argument(c, 1), vault, f);
    if (code == EXIT_DONE)
        code = replay_file(c, owner, vault, since_us, f->document);
    if (f != NULL)
        policy_document_free(f->document);
    free(f);
    return code;
}
