/*
 * Revoking leases. One record says what was revoked, and ends all leases that match and were issued
 * before it, after a restart too. If it concerned several tenants, that record is the vault's, and
 * each of the tenants has one of its own: they are written in batches after it, in the order of the
 * tenants' ids. A fact says how far that is, so that whoever is cut off finds where to go on.
 */
#include "revoke.h"

#include <stdlib.h>
#include <string.h>

#define AT_ONCE 32
#define FACT    "revocation"
#define DONE    "done"

enum scope { SCOPE_LEASE, SCOPE_KEY, SCOPE_GATEWAY, SCOPE_TENANT, SCOPE_ALL, SCOPE_COUNT };

/* Names of members and of what records say. */
static const char *const scopes[SCOPE_COUNT] = { "lease", "key", "gateway", "tenant", "all" };

struct told {
    struct id tenant;
    uint64_t count;
};

/* From apply to the last record. */
struct revocation {
    enum scope scope;
    struct lease pattern;
    struct id log;             /* a tenant's, or zero: of several */
    char name[2 * STORE_NAME]; /* of the key or gateway */
    char by[16];               /* role: the name is the vault's business */
    char request[ID_HEX_LENGTH + 1];
    uint64_t time_us;
    uint64_t revoked;
    struct id after; /* tenants up to this one have their record */
    size_t count, next;
    struct told list[]; /* by tenant */
};

/* --- who is concerned ------------------------------------------------------------------------ */

static int by_tenant(const void *a, const void *b)
{
    return memcmp(((const struct told *)a)->tenant.b, ((const struct told *)b)->tenant.b,
                  sizeof(struct id));
}

/* A copy of r with the tenants after r->after whose leases match. */
static status with_tenants(struct engine *en, const struct revocation *r,
                           struct revocation **ret_full, struct err *e)
{
    struct lease_cursor cursor = { 0 };
    struct revocation *full;
    struct told told;
    size_t room = 0;

    while (leases_next_tenant(en->leases, &cursor, &told.tenant))
        room++;
    full = calloc(1, sizeof *full + room * sizeof told);
    if (full == NULL)
        return fail(e, NO_MEMORY, "no memory to revoke leases", 0);
    *full = *r;
    full->count = full->next = 0;
    *ret_full = full;
    cursor = (struct lease_cursor){ 0 };
    while (leases_next_tenant(en->leases, &cursor, &told.tenant)) {
        struct lease pattern = r->pattern;

        pattern.tenant = told.tenant;
        told.count = leases_matching(en->leases, &pattern);
        full->revoked += told.count;
        if (told.count > 0 && memcmp(told.tenant.b, r->after.b, sizeof r->after.b) > 0)
            full->list[full->count++] = told;
    }
    if (full->count > 1)
        qsort(full->list, full->count, sizeof told, by_tenant);
    return OK;
}

static status of_one(struct engine *en, const struct revocation *r, struct revocation **ret_full,
                     struct err *e)
{
    struct revocation *full = malloc(sizeof *full);

    if (full == NULL)
        return fail(e, NO_MEMORY, "no memory to revoke leases", 0);
    *full = *r;
    full->revoked = r->scope == SCOPE_LEASE ? 1 : leases_matching(en->leases, &r->pattern);
    *ret_full = full;
    return OK;
}

/* --- what is asked for ----------------------------------------------------------------------- */

static status find_scope(const struct request *rq, enum scope *ret_scope, struct err *e)
{
    unsigned found = 0;

    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        if (json_object_get(rq->body, scopes[i]) == NULL)
            continue;
        *ret_scope = (enum scope)i;
        found++;
    }
    return found == 1
               ? OK
               : fail(e, BAD_INPUT,
                      "say which leases: exactly one of lease, key, gateway, tenant, all", 0);
}

/* To a tenant another one is as one that does not exist, to the word. */
static status find_tenant(struct engine *en, struct request *rq, const char *name,
                          struct revocation *r, struct err *e)
{
    struct store_tenant tenant;
    struct err absent = { 0 };
    status st = store_tenant(en->store, name, &tenant, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (st == NOT_FOUND || (rq->peer.role == ROLE_TENANT && !id_same(&tenant.id, &rq->tenant)))
        return fail(e, NOT_FOUND, "there is no such tenant", 0);
    r->pattern.tenant = r->log = rq->log = tenant.id;
    return OK;
}

static status find_lease(struct engine *en, struct request *rq, struct revocation *r, struct err *e)
{
    struct lease held;
    struct id id;
    status st = body_id(rq, "lease", &id, e);

    if (st != OK)
        return st;
    if (!leases_find(en->leases, &id, engine_now_us(en), &held) ||
        (rq->peer.role == ROLE_TENANT && !id_same(&held.tenant, &rq->tenant)))
        return fail(e, NOT_FOUND, "there is no such lease, or it is over", 0);
    r->pattern.id = id;
    r->log = rq->log = held.tenant;
    return OK;
}

static status find_key(struct engine *en, struct request *rq, struct revocation *r, struct err *e)
{
    char tenant[STORE_NAME], name[STORE_PATTERN];
    struct store_key key;
    const char *path;
    status st = body_text(rq, "key", false, 2 * STORE_NAME, &path, e);

    if (st == OK)
        st = key_path_parse(path, false, tenant, name, e);
    if (st == OK)
        st = find_tenant(en, rq, tenant, r, e);
    if (st == OK)
        st = store_key(en->store, &r->log, name, &key, e);
    if (st != OK)
        return st;
    r->pattern.key = key.id;
    memcpy(r->name, key.name, sizeof key.name);
    return OK;
}

static status find_gateway(struct engine *en, struct request *rq, struct revocation *r,
                           struct err *e)
{
    struct store_gateway gateway;
    const char *name;
    status st = body_name(rq, "gateway", &name, e);

    if (st == OK)
        st = store_gateway(en->store, name, &gateway, e);
    if (st != OK)
        return st;
    r->pattern.gateway = gateway.id;
    memcpy(r->name, gateway.name, sizeof gateway.name);
    return OK;
}

static status find_what(struct engine *en, struct request *rq, struct revocation *r, struct err *e)
{
    const char *name;
    status st = find_scope(rq, &r->scope, e);

    if (st == OK && rq->peer.role == ROLE_TENANT &&
        (r->scope == SCOPE_GATEWAY || r->scope == SCOPE_ALL))
        st = fail(e, DENIED, "a tenant revokes by lease, key or tenant", 0);
    if (st != OK)
        return st;
    switch (r->scope) {
    case SCOPE_LEASE: return find_lease(en, rq, r, e);
    case SCOPE_KEY: return find_key(en, rq, r, e);
    case SCOPE_GATEWAY: return find_gateway(en, rq, r, e);
    case SCOPE_TENANT:
        st = body_name(rq, "tenant", &name, e);
        return st == OK ? find_tenant(en, rq, name, r, e) : st;
    default: break;
    }
    return json_is_true(json_object_get(rq->body, "all"))
               ? OK
               : fail(e, BAD_INPUT, "all is true or absent", 0);
}

/* --- the records ----------------------------------------------------------------------------- */

static void put_what(struct fields *f, const struct revocation *r, uint64_t count)
{
    fields_text(f, "scope", scopes[r->scope]);
    if (r->scope == SCOPE_LEASE)
        fields_id(f, "ended_lease", &r->pattern.id);
    if (r->scope == SCOPE_KEY) {
        fields_text(f, "key", r->name);
        fields_id(f, "ended_key", &r->pattern.key);
    }
    if (r->scope == SCOPE_GATEWAY) {
        fields_text(f, "gateway", r->name);
        fields_id(f, "ended_gateway", &r->pattern.gateway);
    }
    fields_number(f, "count", count);
}

/* Alone in its batch: what it says of the leases that it ends must be so. */
APPLY(lease_revoke)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_LEASE_REVOKED };
    struct revocation r = { .time_us = engine_now_us(en) };
    struct revocation *plan;
    struct fields f;
    status st;

    if (en->batch_count > 0) {
        en->batch_no_room = true;
        return fail(e, LIMIT, "too much for one batch", en->batch_count);
    }
    leases_expire(en->leases, r.time_us, SIZE_MAX);
    st = find_what(en, rq, &r, e);
    snprintf(r.by, sizeof r.by, "%s", role_name(rq->peer.role));
    memcpy(r.request, rq->id, sizeof r.request);
    if (st == OK)
        st = id_is_zero(&r.log) ? with_tenants(en, &r, &plan, e) : of_one(en, &r, &plan, e);
    if (st != OK)
        return st;
    rq->plan = plan;
    entry.log = r.log;
    fields_of(en, &f, rq, &entry.log);
    put_what(&f, plan, plan->revoked);
    if (id_is_zero(&r.log))
        fields_number(&f, "tenants", plan->count);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* How far it is. */
static status note(struct engine *en, const struct revocation *r, struct err *e)
{
    uint8_t bytes[512];
    struct out o;

    out_init(&o, bytes, sizeof bytes);
    out_u64(&o, r->time_us);
    out_u8(&o, (uint8_t)r->scope);
    out_id(&o, &r->pattern.gateway);
    out_id(&o, &r->after);
    out_span16(&o, span_text(r->request));
    out_span16(&o, span_text(r->by));
    out_span16(&o, span_text(r->name));
    if (o.overflow)
        return fail(e, BUG, "how far a revocation is does not fit", 0);
    return store_fact_set(en->store, FACT, span_of(o.p, o.n), e);
}

COMPLETE(lease_revoked)
{
    struct revocation *r = rq->plan;
    status st = OK;

    (void)result;
    leases_end(en->leases, &r->pattern, engine_now_us(en));
    rq->reply = json_pack("{s:I}", "revoked", (json_int_t)r->revoked);
    if (r->count == 0)
        return OK;
    st = note(en, r, e);
    revocation_forget(en);
    en->revocation = r;
    en->revoked = true;
    rq->plan = NULL;
    return st;
}

/* The next tenants, and in the same transaction that they have their records. */
static status tell_some(struct engine *en, struct revocation *r, struct err *e)
{
    status st = batch_begin(en, e);

    for (size_t i = 0; st == OK && i < AT_ONCE && r->next < r->count; i++) {
        const struct told *told = &r->list[r->next++];
        struct wire_entry entry = { .kind = ENTRY_RECORD,
                                    .log = told->tenant,
                                    .type = RECORD_LEASE_REVOKED };
        struct fields f;

        fields_init(&f);
        fields_text(&f, "actor", "system");
        fields_text(&f, "by", r->by);
        fields_text(&f, "request_id", r->request);
        put_what(&f, r, told->count);
        entry.fields = fields_view(&f);
        st = batch_entry(en, NULL, &entry, e);
        r->after = told->tenant;
    }
    if (st == OK)
        st = r->next < r->count ? note(en, r, e)
                                : store_fact_set(en->store, FACT, span_text(DONE), e);
    return st == OK ? batch_finish(en, &batch_tolerant, e) : st;
}

/* Loaded, and nobody is left to be told. */
static status note_done(struct engine *en, struct err *e)
{
    status st = store_begin(en->store, e);

    if (st == OK)
        st = store_fact_set(en->store, FACT, span_text(DONE), e);
    return st == OK ? store_commit(en->store, e) : st;
}

status revocation_finish(struct engine *en, struct err *e)
{
    struct revocation *r = en->revocation;
    status st = OK;

    en->revoked = false;
    if (r != NULL && r->count == 0)
        st = note_done(en, e);
    while (st == OK && r != NULL && r->next < r->count)
        st = tell_some(en, r, e);
    revocation_forget(en);
    return st;
}

void revocation_forget(struct engine *en)
{
    free(en->revocation);
    en->revocation = NULL;
}

/* --- after a crash --------------------------------------------------------------------------- */

static bool take_text(struct span from, char *out, size_t cap)
{
    if (from.n >= cap)
        return false;
    memcpy(out, from.p, from.n);
    out[from.n] = '\0';
    return true;
}

/* What a record says that it ended. false: it is one of a tenant beside the vault's. */
static bool parse(const struct store_record *record, struct revocation *r)
{
    struct span scope, text;

    r->log = r->pattern.tenant = record->log;
    if (record_field(record->line, "by", &text) || !record_field(record->line, "scope", &scope))
        return false;
    r->scope = SCOPE_COUNT;
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        if (span_same(scope, span_text(scopes[i])))
            r->scope = (enum scope)i;
    }
    switch (r->scope) {
    case SCOPE_LEASE: return record_field_id(record->line, "ended_lease", &r->pattern.id);
    case SCOPE_KEY: return record_field_id(record->line, "ended_key", &r->pattern.key);
    case SCOPE_GATEWAY:
        return record_field_id(record->line, "ended_gateway", &r->pattern.gateway) &&
               record_field(record->line, "gateway", &text) &&
               take_text(text, r->name, sizeof r->name);
    case SCOPE_TENANT: return !id_is_zero(&r->log);
    default: return r->scope == SCOPE_ALL;
    }
}

static status load(struct engine *en, struct revocation *r, bool *ret_there, struct err *e)
{
    struct err absent = { 0 };
    struct span held;
    status st = store_fact(en->store, FACT, &held, &absent);

    *ret_there = false;
    if (st == NOT_FOUND || (st == OK && span_same(held, span_text(DONE))))
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    struct in i = in_of(held);
    r->time_us = in_u64(&i);
    r->scope = (enum scope)in_u8(&i);
    r->pattern.gateway = in_id(&i);
    r->after = in_id(&i);
    *ret_there = take_text(in_span16(&i), r->request, sizeof r->request) &&
                 take_text(in_span16(&i), r->by, sizeof r->by) &&
                 take_text(in_span16(&i), r->name, sizeof r->name) && in_end(&i) &&
                 (r->scope == SCOPE_GATEWAY || r->scope == SCOPE_ALL);
    return *ret_there ? OK : fail(e, CORRUPT, "how far a revocation is cannot be read", 0);
}

/* The first record: all tenants are still to be told. A tenant's: those up to it are. */
status revocation_recover(struct engine *en, const struct wire_record *record, struct err *e)
{
    struct store_record row = { .log = record->log, .line = record->line };
    struct revocation r = { .time_us = record->time_us };
    struct span text;
    bool there;
    status st;

    if (record->type != RECORD_LEASE_REVOKED)
        return OK;
    if (!id_is_zero(&record->log)) {
        st = record_field(record->line, "by", &text) ? load(en, &r, &there, e) : OK;
        if (st != OK || r.request[0] == '\0')
            return st;
        r.after = record->log;
        return note(en, &r, e);
    }
    if (!parse(&row, &r) || !record_field(record->line, "actor", &text))
        return OK;
    text.n = text.n < sizeof r.by - 1 ? text.n : sizeof r.by - 1;
    (void)take_text(text, r.by, sizeof r.by);
    r.by[strcspn(r.by, ":")] = '\0';
    if (!record_field(record->line, "request_id", &text) ||
        !take_text(text, r.request, sizeof r.request))
        return OK;
    return note(en, &r, e);
}

status revocation_load(struct engine *en, uint64_t *ret_since_us, struct err *e)
{
    struct revocation r = { .count = 0 };
    bool there = false;
    status st = load(en, &r, &there, e);

    revocation_forget(en);
    *ret_since_us = UINT64_MAX;
    if (st != OK || !there)
        return st;
    en->revocation = malloc(sizeof r);
    if (en->revocation == NULL)
        return fail(e, NO_MEMORY, "no memory to revoke leases", 0);
    *en->revocation = r;
    *ret_since_us = r.time_us;
    return OK;
}

status revocation_replay(struct engine *en, const struct store_record *record, struct err *e)
{
    struct revocation r = { .count = 0 }, *unfinished = en->revocation, *full;
    struct span request;
    status st = OK;

    if (!parse(record, &r))
        return OK;
    if (unfinished != NULL && id_is_zero(&record->log) &&
        record_field(record->line, "request_id", &request) &&
        span_same(request, span_text(unfinished->request))) {
        leases_expire(en->leases, record->time_us, SIZE_MAX);
        st = with_tenants(en, unfinished, &full, e);
        if (st != OK)
            return st;
        revocation_forget(en);
        en->revocation = full;
    }
    leases_end(en->leases, &r.pattern, record->time_us);
    return st;
}
