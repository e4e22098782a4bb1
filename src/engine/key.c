/* Provider keys: put, rotate, revoke. What arrives is sealed to the keeper's intake key and leaves
 * this process as it came; what is stored is sealed under a data key that only the keyring has. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "keyring_codes.h"

#define PAGE         100
#define VERSIONS_MAX 64
#define REVOKE_MAX   32 /* versions that a revocation destroys in its own batch */

/* From apply to complete. */
struct plan {
    struct store_key key;
    char tenant[STORE_NAME];
    char engagement[STORE_NAME];
    uint32_t replaced; /* version that the new one supersedes, 0: none */
    uint64_t grace_s;
    uint32_t destroyed[REVOKE_MAX + 1]; /* revoke: versions, in the order of their entries */
    size_t destroyed_count;
    bool more; /* versions are alive beside them */
};

static const char *key_state_name(uint8_t state)
{
    switch (state) {
    case KEY_ACTIVE: return "active";
    case KEY_REVOKED: return "revoked";
    default: return "purged";
    }
}

static const char *version_state_name(uint8_t state)
{
    switch (state) {
    case VERSION_CURRENT: return "current";
    case VERSION_SUPERSEDED: return "superseded";
    default: return "destroyed";
    }
}

static json_t *key_json(const struct store_key *k, const char *tenant, const char *engagement,
                        const char *hint)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o}", "id",
                     json_id(&k->id), "name", k->name, "tenant", tenant, "engagement", engagement,
                     "provider", provider_name(k->provider), "scope", scope_name(k->scope), "class",
                     class_name(k->class), "state", key_state_name(k->state), "version",
                     (int)k->version, "hint", hint, "created", json_time(k->created_us));
}

/* Hint of the current version and name of the engagement: what a listing shows beside the row. */
static status describe(struct engine *en, const struct store_key *k, const char *tenant,
                       json_t **ret_json, struct err *e)
{
    struct store_engagement g;
    struct store_version v = { .hint = "" };
    struct err absent = { 0 };
    status st = store_engagement_by_id(en->store, &k->tenant, &k->engagement, &g, e);

    if (st != OK)
        return st;
    st = store_version(en->store, &k->tenant, &k->id, k->version, &v, &absent);
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    *ret_json = key_json(k, tenant, g.name, st == OK ? v.hint : "");
    return OK;
}

APPLY(key_list)
{
    struct store_key page[PAGE];
    size_t count;
    json_t *list, *one;
    status st = store_keys(en->store, &rq->log, rq->after[0] == '\0' ? NULL : rq->after, page, PAGE,
                           &count, e);

    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; st == OK && i < count; i++) {
        st = describe(en, &page[i], rq->param[0], &one, e);
        if (st == OK)
            json_array_append_new(list, one);
    }
    rq->reply = json_pack("{s:o, s:o}", "keys", list, "next",
                          json_next(count == 0 ? "" : page[count - 1].name, count, PAGE));
    return st;
}

APPLY(key_show)
{
    struct store_version versions[VERSIONS_MAX];
    struct store_key k;
    size_t count;
    json_t *list;
    status st = store_key(en->store, &rq->log, rq->param[1], &k, e);

    if (st == OK)
        st = describe(en, &k, rq->param[0], &rq->reply, e);
    if (st == OK)
        st = store_versions(en->store, &k.tenant, &k.id, versions, VERSIONS_MAX, &count, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct store_version *v = &versions[i];

        json_array_append_new(
            list, json_pack("{s:i, s:s, s:s, s:o, s:o}", "version", (int)v->version, "state",
                            version_state_name(v->state), "hint", v->hint, "created",
                            json_time(v->created_us), "destroyed", json_time(v->destroy_at_us)));
    }
    json_object_set_new(rq->reply, "versions", list);
    return OK;
}

/* The engagement that was named, or the tenant's only active one. */
static status find_engagement(struct engine *en, struct request *rq, struct store_engagement *ret,
                              struct err *e)
{
    struct store_engagement page[PAGE];
    char after[STORE_NAME] = "";
    const char *name = NULL;
    size_t count = 0, active = 0;
    status st;

    if (json_object_get(rq->body, "engagement") != NULL) {
        st = body_name(rq, "engagement", &name, e);
        if (st == OK)
            st = store_engagement(en->store, &rq->log, name, ret, e);
        if (st == OK && ret->state != ENGAGEMENT_ACTIVE)
            st = fail(e, CONFLICT, "the engagement has ended", 0);
        return st;
    }
    do {
        st = store_engagements(en->store, &rq->log, after, page, PAGE, &count, e);
        for (size_t i = 0; st == OK && i < count; i++) {
            if (page[i].state != ENGAGEMENT_ACTIVE)
                continue;
            *ret = page[i];
            active++;
        }
        if (st == OK && count > 0)
            memcpy(after, page[count - 1].name, sizeof after);
    } while (st == OK && count == PAGE);
    if (st == OK && active == 0)
        return fail(e, CONFLICT, "the tenant has no active engagement: start one first", 0);
    if (st == OK && active > 1)
        return fail(e, BAD_INPUT, "the tenant has several active engagements: name one", 0);
    return st;
}

/* The sealed delivery of the body, and the entry that hands it to the keeper. */
static status put_entry(struct engine *en, struct request *rq, const struct plan *plan,
                        struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_KEY_PUT,
                                .log = plan->key.tenant,
                                .tenant = plan->key.tenant,
                                .engagement = plan->key.engagement,
                                .key = plan->key.id,
                                .version = plan->key.version,
                                .provider = plan->key.provider };
    static uint8_t delivery[LIMIT_DELIVERY]; /* one engine thread; not secret: it is sealed */
    const char *text;
    struct fields f;
    size_t n;
    status st = body_text(rq, "sealed_key", false, 4 * (LIMIT_DELIVERY / 3 + 1), &text, e);

    if (st != OK)
        return st;
    if (!base64_parse(text, strlen(text), delivery, sizeof delivery, &n))
        return fail(e, BAD_INPUT, "sealed_key is not base64 or is too long", 0);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "key", plan->key.name);
    fields_text(&f, "provider", provider_name(plan->key.provider));
    fields_text(&f, "scope", scope_name(plan->key.scope));
    fields_text(&f, "class", class_name(plan->key.class));
    entry.data = span_of(delivery, n);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static status plan_new(struct request *rq, struct plan **ret_plan, struct err *e)
{
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a key", 0);
    memcpy(plan->tenant, rq->param[0], strnlen(rq->param[0], STORE_NAME - 1));
    *ret_plan = plan;
    return OK;
}

/* What the key may do and what ending its leases is worth; inference and static unless said. */
static status body_attributes(const struct request *rq, struct store_key *k, struct err *e)
{
    const char *scope, *class;
    status st = body_text(rq, "scope", true, STORE_NAME, &scope, e);

    if (st == OK)
        st = body_text(rq, "class", true, STORE_NAME, &class, e);
    if (st != OK)
        return st;
    k->scope = scope == NULL ? SCOPE_INFERENCE : scope_parse(scope);
    k->class = class == NULL ? CLASS_STATIC : class_parse(class);
    if (k->scope == 0)
        return fail(e, BAD_INPUT, "scope is inference, admin or billing_read", 0);
    if (k->class == 0)
        return fail(e, BAD_INPUT, "class is static, killable or minted", 0);
    return OK;
}

APPLY(key_put)
{
    struct store_engagement g;
    struct store_key existing;
    struct err absent = { 0 };
    const char *provider;
    struct plan *plan;
    status st = plan_new(rq, &plan, e);

    if (st == OK)
        st = body_name(rq, "provider", &provider, e);
    if (st != OK)
        return st;
    if (!name_valid(rq->param[1]))
        return fail(e, BAD_INPUT, "a key's name is 1 to 63 of a-z 0-9 - _ .", 0);
    plan->key.provider = provider_parse(provider);
    if (plan->key.provider == 0)
        return fail(e, BAD_INPUT, "unknown provider: see strongroom key put --help", 0);
    st = body_attributes(rq, &plan->key, e);
    if (st != OK)
        return st;
    st = store_key(en->store, &rq->log, rq->param[1], &existing, &absent);
    if (st == OK && existing.state != KEY_ACTIVE)
        return fail(e, CONFLICT, "a key of that name ended: choose another name", 0);
    if (st == OK)
        return fail(e, CONFLICT, "a key of that name exists: rotate it", 0);
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    st = find_engagement(en, rq, &g, e);
    if (st != OK)
        return st;
    random_bytes((struct mspan){ plan->key.id.b, sizeof plan->key.id.b });
    plan->key.tenant = rq->log;
    plan->key.engagement = g.id;
    plan->key.state = KEY_ACTIVE;
    plan->key.version = 1;
    plan->key.created_us = engine_now_us(en);
    memcpy(plan->key.name, rq->param[1], STORE_NAME);
    memcpy(plan->engagement, g.name, sizeof plan->engagement);
    return put_entry(en, rq, plan, e);
}

/* A new version takes the place of the current one, if that is still there. */
static status check_current(struct engine *en, const struct store_key *k, struct err *e)
{
    struct store_version v;
    status st = store_version(en->store, &k->tenant, &k->id, k->version, &v, e);

    if (st == OK && v.state != VERSION_CURRENT)
        st = fail(e, CONFLICT, "the key was revoked", 0);
    return st;
}

APPLY(key_rotate)
{
    struct store_engagement g;
    struct plan *plan;
    status st = plan_new(rq, &plan, e);

    if (st == OK)
        st = store_key(en->store, &rq->log, rq->param[1], &plan->key, e);
    if (st == OK)
        st = body_number(rq, "grace_s", en->settings.rotate_grace_s, 0, 86400, &plan->grace_s, e);
    if (st == OK && plan->key.state != KEY_ACTIVE)
        st = fail(e, CONFLICT, "the key was revoked or purged", 0);
    if (st == OK)
        st = store_engagement_by_id(en->store, &rq->log, &plan->key.engagement, &g, e);
    if (st == OK && g.state != ENGAGEMENT_ACTIVE)
        st = fail(e, CONFLICT, "the engagement has ended", 0);
    if (st == OK)
        st = check_current(en, &plan->key, e);
    if (st != OK)
        return st;
    memcpy(plan->engagement, g.name, sizeof plan->engagement);
    plan->replaced = plan->key.version++;
    return put_entry(en, rq, plan, e);
}

static status add_version(struct engine *en, const struct plan *plan, struct store_version *v,
                          struct err *e)
{
    status st = plan->replaced == 0 ? store_key_add(en->store, &plan->key, e)
                                    : store_key_set(en->store, &plan->key, e);

    if (st == OK && plan->replaced != 0)
        st = store_version_supersede(en->store, &plan->key.tenant, &plan->key.id, plan->replaced,
                                     v->created_us + plan->grace_s * SECOND_US, e);
    return st == OK ? store_version_add(en->store, v, e) : st;
}

/* put and rotate: the keeper has sealed the new version. */
COMPLETE(key_stored)
{
    const struct plan *plan = rq->plan;
    struct store_version v = { .tenant = plan->key.tenant,
                               .key = plan->key.id,
                               .version = plan->key.version,
                               .state = VERSION_CURRENT,
                               .created_us = engine_now_us(en),
                               .sealed = result->data };
    status st;

    if (result->hint.n < sizeof v.hint)
        memcpy(v.hint, result->hint.p, result->hint.n);
    st = add_version(en, plan, &v, e);
    if (st != OK)
        return st;
    en->grace_over |= plan->replaced != 0 && plan->grace_s == 0;
    rq->created = plan->replaced == 0;
    rq->reply = key_json(&plan->key, plan->tenant, plan->engagement, v.hint);
    return OK;
}

/* The current version and the oldest others; those beyond are destroyed after this batch. */
static status plan_destroyed(struct engine *en, struct plan *plan, struct err *e)
{
    struct store_version page[REVOKE_MAX];
    size_t found = 0, count = 0;
    bool has_current = false;
    status st = store_versions_live(en->store, &plan->key.id, 0, page, REVOKE_MAX, &found, e);

    for (size_t i = 0; st == OK && i < found && id_same(&page[i].key, &plan->key.id); i++) {
        has_current |= page[i].version == plan->key.version;
        plan->destroyed[count++] = page[i].version;
    }
    plan->more = st == OK && count == REVOKE_MAX && !has_current;
    if (plan->more)
        plan->destroyed[count++] = plan->key.version;
    plan->destroyed_count = count;
    return st;
}

static status revoke_entries(struct engine *en, struct request *rq, struct plan *plan,
                             struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_KEY_DESTROY,
                                .log = rq->log,
                                .tenant = rq->log,
                                .engagement = plan->key.engagement,
                                .key = plan->key.id,
                                .reason = WIRE_DESTROY_REVOKED };
    struct fields f;
    status st = plan_destroyed(en, plan, e);

    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "key", plan->key.name);
    entry.fields = fields_view(&f);
    for (size_t i = 0; st == OK && i < plan->destroyed_count; i++) {
        entry.version = plan->destroyed[i];
        st = batch_entry(en, rq, &entry, e);
    }
    entry.kind = ENTRY_RECORD;
    entry.type = RECORD_KEY_REVOKED;
    return st == OK ? batch_entry(en, rq, &entry, e) : st;
}

APPLY(key_revoke)
{
    struct store_engagement g;
    struct plan *plan;
    status st = plan_new(rq, &plan, e);

    if (st == OK)
        st = store_key(en->store, &rq->log, rq->param[1], &plan->key, e);
    if (st == OK && plan->key.state != KEY_ACTIVE)
        st = fail(e, CONFLICT, "the key was revoked or purged already", 0);
    if (st == OK)
        st = store_engagement_by_id(en->store, &rq->log, &plan->key.engagement, &g, e);
    if (st != OK)
        return st;
    memcpy(plan->engagement, g.name, sizeof plan->engagement);
    return revoke_entries(en, rq, plan, e);
}

/* Once for each destroyed version, then for the record of the revocation itself. */
COMPLETE(key_revoked)
{
    struct plan *plan = rq->plan;
    size_t index = (size_t)rq->result_index - 1;
    struct lease pattern = { .tenant = plan->key.tenant, .key = plan->key.id };
    status st;

    (void)result;
    if (index < plan->destroyed_count)
        return store_version_destroyed(en->store, &plan->key.tenant, &plan->key.id,
                                       plan->destroyed[index], engine_now_us(en), e);
    en->revoke_more = plan->more;
    plan->key.state = KEY_REVOKED;
    st = store_key_set(en->store, &plan->key, e);
    if (st == OK)
        leases_end(en->leases, &pattern, engine_now_us(en));
    if (st == OK)
        rq->reply = key_json(&plan->key, plan->tenant, plan->engagement, "");
    return st;
}
