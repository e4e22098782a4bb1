/* Leases: the path that must be short. Look up, decide, one entry; the keeper opens the key and
 * writes the record in the same step. */
#include "events.h"
#include "face.h"
#include "judge.h"
#include "leasable.h"
#include "shared.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "secret/wiping.h"

#define LIST_MAX    1000
#define PURPOSE_MAX 128

struct plan {
    struct lease lease;
    uint64_t ttl_s;
    uint16_t provider;
    uint8_t class;
    char path[2 * STORE_NAME]; /* tenant/name, as the gateway asked */
    bool repeats;              /* it is the lease that this very request was answered with */
    bool sealed;               /* to the gateway's key: */
    uint8_t seal_to[32];
    uint8_t nonce[32];
};

/* What a lease is known by later, beyond its own record. */
static void put_origin(struct fields *f, const struct lease *l)
{
    static const uint8_t none[sizeof l->idempotency];

    fields_time(f, "issued", l->issued_us);
    if (span_same(SPAN(l->idempotency), SPAN(none)))
        return;
    fields_hex(f, "idempotency", SPAN(l->idempotency));
    fields_hex(f, "asked", SPAN(l->asked));
}

static status issue_entry(struct engine *en, struct request *rq, const struct plan *plan,
                          struct span sealed, const char *purpose, struct err *e)
{
    static uint8_t kept[LIMIT_SEALED_KEY]; /* one engine thread; not secret: it is sealed */
    const struct lease *l = &plan->lease;
    struct wire_entry entry = { .kind = ENTRY_KEY_OPEN,
                                .log = l->tenant,
                                .tenant = l->tenant,
                                .engagement = l->engagement,
                                .key = l->key,
                                .version = l->version,
                                .provider = plan->provider,
                                .gateway = l->gateway,
                                .expires_us = l->expires_us,
                                .lease = l->id,
                                .data = sealed };
    struct fields f;

    if (purpose != NULL) { /* its tag may take a look-up, which ends the view */
        memcpy(kept, sealed.p, sealed.n);
        entry.data = span_of(kept, sealed.n);
    }
    memcpy(entry.certificate, rq->peer.spki, sizeof entry.certificate);
    memcpy(entry.seal_to, plan->seal_to, sizeof entry.seal_to);
    memcpy(entry.nonce, plan->nonce, sizeof entry.nonce);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "key", plan->path);
    fields_number(&f, "ttl_s", plan->ttl_s);
    fields_text(&f, "class", class_name(plan->class));
    if (rq->has_idempotency)
        put_origin(&f, l);
    if (purpose != NULL) /* free text: it may name somebody */
        fields_person(en, &f, "purpose", purpose, &l->tenant);
    judged_fields(rq, &f);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

/* --- asking again ---------------------------------------------------------------------------- */

/* What may not differ in a repetition: all but where the value is sealed to, what is free text, and
 * the region, which can only be the vault's. */
static status hash_asked(const struct request *rq, uint8_t out[static 8], struct err *e)
{
    static char text[4096]; /* one engine thread */
    json_t *body = json_copy(rq->body);
    uint8_t hash[SHA256_SIZE];
    size_t n;

    json_object_del(body, "seal_to");
    json_object_del(body, "nonce");
    json_object_del(body, "purpose");
    json_object_del(body, "region");
    n = json_dumpb(body, text, sizeof text, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    if (n == 0 || n > sizeof text)
        return fail(e, BAD_INPUT, "the body is too long for an idempotency key", n);
    sha256(span_of(text, n), hash);
    memcpy(out, hash, 8);
    return OK;
}

/* The same request, twice in one batch: the second waits for what becomes of the first. */
static bool is_repeated(const struct request *rq, const struct request *other)
{
    if (!span_same(SPAN(other->peer.spki), SPAN(rq->peer.spki)))
        return false;
    return (rq->has_idempotency && other->has_idempotency &&
            span_same(SPAN(other->idempotency), SPAN(rq->idempotency))) ||
           (rq->shares && other->shares && json_equal(rq->body, other->body));
}

static status check_batch(struct engine *en, const struct request *rq, struct err *e)
{
    for (size_t i = 0; i < en->batch_repeat_count; i++) {
        if (!is_repeated(rq, en->batch_repeats[i]))
            continue;
        en->batch_no_room = true;
        return fail(e, LIMIT, "too much for one batch", 0);
    }
    return OK;
}

static void note_in_batch(struct engine *en, const struct request *rq)
{
    if ((rq->has_idempotency || rq->shares) && en->batch_repeat_count < 2 * LIMIT_BATCH_ENTRIES)
        en->batch_repeats[en->batch_repeat_count++] = rq;
}

/* What the lease that is asked for has of an earlier one with the same idempotency key. */
static status find_repeated(struct engine *en, struct request *rq, struct plan *plan, struct err *e)
{
    enum lease_state state;
    struct lease held;
    uint8_t asked[8];
    status st = rq->has_idempotency || rq->shares ? check_batch(en, rq, e) : OK;

    if (st != OK || !rq->has_idempotency)
        return st;
    st = hash_asked(rq, asked, e);
    if (st != OK)
        return st;
    memcpy(plan->lease.idempotency, rq->idempotency, sizeof rq->idempotency);
    memcpy(plan->lease.asked, asked, sizeof asked);
    if (!leases_repeated(en->leases, rq->peer.spki, rq->idempotency, engine_now_us(en), &held,
                         &state) ||
        state == LEASE_EXPIRED)
        return OK;
    rq->log = held.tenant;
    if (!span_same(SPAN(held.asked), SPAN(asked)))
        return fail(e, CONFLICT, "this idempotency key was used for another request", 0);
    if (state == LEASE_RELEASED)
        return fail(e, CONFLICT,
                    "the lease of this idempotency key was released: ask with a new one", 0);
    if (state == LEASE_REVOKED)
        return fail(e, CONFLICT, "the lease of this idempotency key was revoked", 0);
    plan->lease = held;
    plan->repeats = true;
    return OK;
}

/* Both or neither: without a nonce an older delivery would pass for this one. */
static status body_delivery(const struct request *rq, struct plan *plan, struct err *e)
{
    static const uint8_t none[sizeof plan->seal_to];
    status st;

    plan->sealed =
        json_object_get(rq->body, "seal_to") != NULL || json_object_get(rq->body, "nonce") != NULL;
    if (!plan->sealed)
        return OK;
    st = body_hex_exact(rq, "seal_to", plan->seal_to, sizeof plan->seal_to, e);
    if (st == OK)
        st = body_hex_exact(rq, "nonce", plan->nonce, sizeof plan->nonce, e);
    /* To the keeper that means in clear, which is the last thing that was asked for. */
    if (st == OK && span_same(SPAN(plan->seal_to), SPAN(none)))
        st = fail(e, BAD_INPUT, "public key is degenerate", 0);
    return st;
}

/* The times of a new lease; those of one that is asked for again stay. */
static status plan_lease(struct engine *en, const struct request *rq, struct plan *plan,
                         const struct store_leasable *found, struct err *e)
{
    struct lease *l = &plan->lease;
    uint64_t now = engine_now_us(en);

    plan->provider = found->key.provider;
    plan->class = found->key.class;
    if (plan->repeats) {
        /* It may have ended since it was found. */
        plan->ttl_s = l->expires_us > now ? (l->expires_us - now) / SECOND_US : 0;
        return found->key.version == l->version && id_same(&found->key.id, &l->key)
                   ? OK
                   : fail(e, CONFLICT, "the key was rotated: lease the new version", 0);
    }
    l->tenant = found->tenant.id;
    l->engagement = found->key.engagement;
    l->key = found->key.id;
    l->gateway = rq->gateway;
    l->version = found->key.version;
    l->issued_us = now;
    l->expires_us = now + plan->ttl_s * SECOND_US;
    l->max_expires_us = now + en->settings.lease_max_lifetime_s * SECOND_US;
    memcpy(l->certificate, rq->peer.spki, sizeof l->certificate);
    return OK;
}

APPLY(lease_issue)
{
    char tenant[STORE_NAME], key[STORE_PATTERN];
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    const char *path, *purpose;
    struct store_leasable found;
    uint64_t asked_s;
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a lease", 0);
    st = body_text(rq, "key", false, sizeof plan->path - 1, &path, e);
    if (st == OK)
        st = key_path_parse(path, false, tenant, key, e);
    if (st == OK)
        st = body_number(rq, "ttl_s", 0, 1, 86400, &asked_s, e);
    if (st == OK)
        st = body_text(rq, "purpose", true, PURPOSE_MAX, &purpose, e);
    if (st == OK)
        st = body_region(en, rq, e);
    if (st == OK)
        st = body_delivery(rq, plan, e);
    if (st == OK)
        st = face_ask(en, rq, tenant, e);
    if (st == OK)
        st = find_repeated(en, rq, plan, e);
    rq->repeats = plan->repeats || (st == OK && rq->shares && shared_there(en, rq));
    if (st == OK)
        st = leasable_find(en, rq, tenant, key, asked_s, &found, &plan->ttl_s, e);
    if (st == OK)
        st = face_decide(en, rq, &found.key, e);
    if (st == OK)
        st = plan_lease(en, rq, plan, &found, e);
    if (st != OK)
        return st;
    if (rq->shares && shared_use(en, rq, &found.key.id, found.key.version))
        return OK;
    if (rq->repeats && !plan->repeats) /* no limit was asked about a new one */
        return fail(e, NO_MEMORY, "no memory for a shared lease: ask again", 0);
    memcpy(plan->path, path, strlen(path));
    if (found.sealed.n > LIMIT_SEALED_KEY)
        return fail(e, CORRUPT, "a sealed value is too long", found.sealed.n);
    st = issue_entry(en, rq, plan, found.sealed, purpose, e);
    if (st == OK && !plan->repeats)
        st = judged_count(en, rq, &plan->lease.tenant, e);
    if (st == OK)
        note_in_batch(en, rq);
    return st;
}

/* --- replies --------------------------------------------------------------------------------- */

static json_t *lease_json(const struct engine *en, const struct plan *plan, const char *token)
{
    const struct lease *l = &plan->lease;

    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:o, s:s, s:o, s:o, s:o, s:I}", "lease", token,
                     "key", plan->path, "provider", provider_name(plan->provider), "version",
                     (int)l->version, "class", class_name(plan->class), "engagement_id",
                     json_id(&l->engagement), "region", en->region, "issued",
                     json_time(l->issued_us), "expires", json_time(l->expires_us), "max_expires",
                     json_time(l->max_expires_us), "ttl_s", (json_int_t)plan->ttl_s);
}

/* The same object as text: there is no time for a tree of it with each lease. NULL: no memory. */
static char *lease_text(const struct engine *en, const struct plan *plan, const char *token)
{
    const struct lease *l = &plan->lease;
    struct fields f;
    struct span members;
    char *text;

    fields_init(&f);
    fields_text(&f, "lease", token);
    fields_text(&f, "key", plan->path);
    fields_text(&f, "provider", provider_name(plan->provider));
    fields_number(&f, "version", l->version);
    fields_text(&f, "class", class_name(plan->class));
    fields_id(&f, "engagement_id", &l->engagement);
    fields_text(&f, "region", en->region);
    fields_time(&f, "issued", l->issued_us);
    fields_time(&f, "expires", l->expires_us);
    fields_time(&f, "max_expires", l->max_expires_us);
    fields_number(&f, "ttl_s", plan->ttl_s);
    members = fields_view(&f); /* each with a comma in front */
    text = members.n == 0 ? NULL : wiping_malloc(members.n + 2);
    if (text == NULL)
        return NULL;
    memcpy(text, members.p, members.n);
    text[0] = '{';
    text[members.n] = '}';
    text[members.n + 1] = '\0';
    secret_wipe((struct mspan){ f.bytes, members.n }); /* the token */
    return text;
}

/* What was signed beside what every lease says; the vault and the certificate are the gateway's to
 * know. */
static void add_delivery(json_t *reply, const struct plan *plan, struct span data)
{
    struct span sealed = span_of(data.p, data.n - ED25519_SIGNATURE_SIZE);
    struct span signature = span_of(data.p + sealed.n, ED25519_SIGNATURE_SIZE);

    json_object_set_new(reply, "gateway_id", json_id(&plan->lease.gateway));
    json_object_set_new(reply, "key_id", json_id(&plan->lease.key));
    json_object_set_new(reply, "sealed_value", json_hex(sealed));
    json_object_set_new(reply, "signature", json_hex(signature));
}

COMPLETE(lease_issued)
{
    struct plan *plan = rq->plan;
    char token[LEASE_TOKEN_LENGTH + 1];
    struct lease held;
    status st = OK;

    plan->lease.id = result->lease;
    if (!plan->repeats)
        st = leases_set(en->leases, &plan->lease, e);
    if (st == OK)
        st = events_held(en, &plan->lease, e);
    if (st != OK)
        return st;
    if (plan->repeats && !leases_find(en->leases, &plan->lease.id, engine_now_us(en), &held)) {
        /* Released just before, in the same batch. */
        rq->outcome = fail(&rq->err, CONFLICT,
                           "the lease of this idempotency key was released: ask with a new one", 0);
        return OK;
    }
    /* The lease is recorded; without room for its value the gateway must ask again. */
    rq->outcome = plan->sealed ? OK : secret_copy(result->data, &rq->value, &rq->err);
    if (rq->outcome != OK)
        return OK;
    lease_token_format(&result->lease, result->lease_mac, token);
    rq->created = true;
    if (rq->plain && !plan->sealed && !plan->repeats) {
        rq->text = lease_text(en, plan, token);
        return OK;
    }
    rq->reply = lease_json(en, plan, token);
    if (plan->repeats)
        json_object_set_new(rq->reply, "repeated", json_true());
    if (plan->sealed)
        add_delivery(rq->reply, plan, result->data);
    if (rq->shares)
        shared_keep(en, rq, &plan->lease);
    return face_describe(en, rq, &plan->lease, e);
}

/* --- a lease that there is -------------------------------------------------------------------- */

/* What is behind a release waits for it: the record of a renewal behind that of a release would
 * bring the lease back once only the renewal's is read after a restart. */
static status check_releases(struct engine *en, const struct id *lease, struct err *e)
{
    for (size_t i = 0; i < en->batch_release_count; i++) {
        if (!id_same(&en->batch_releases[i], lease))
            continue;
        en->batch_no_room = true;
        return fail(e, LIMIT, "too much for one batch", 0);
    }
    return OK;
}

static void note_release(struct engine *en, const struct id *lease)
{
    if (en->batch_release_count < 2 * LIMIT_BATCH_ENTRIES)
        en->batch_releases[en->batch_release_count++] = *lease;
}

/* A live lease of this very certificate. To anybody else it does not exist. */
static status find_lease(struct engine *en, struct request *rq, struct plan *plan,
                         uint8_t mac[static 16], struct err *e)
{
    struct lease held;
    struct id id;

    if (!lease_token_parse(rq->param[0], &id, mac))
        return fail(e, BAD_INPUT, "a lease is named by 64 hex digits", 0);
    if (!leases_find(en->leases, &id, engine_now_us(en), &held) ||
        !span_same(SPAN(held.certificate), SPAN(rq->peer.spki)))
        return fail(e, NOT_FOUND, "there is no such lease, or it is over", 0);
    plan->lease = held;
    rq->log = held.tenant;
    return check_releases(en, &id, e);
}

static status token_entry(struct engine *en, struct request *rq, uint8_t kind,
                          const struct plan *plan, const uint8_t mac[static 16], struct err *e)
{
    const struct lease *l = &plan->lease;
    struct wire_entry entry = { .kind = kind,
                                .log = l->tenant,
                                .tenant = l->tenant,
                                .engagement = l->engagement,
                                .key = l->key,
                                .version = l->version,
                                .gateway = l->gateway,
                                .expires_us = l->expires_us,
                                .lease = l->id };
    struct fields f;

    memcpy(entry.certificate, rq->peer.spki, sizeof entry.certificate);
    memcpy(entry.lease_mac, mac, sizeof entry.lease_mac);
    fields_of(en, &f, rq, &entry.log);
    fields_text(&f, "key", plan->path);
    if (kind == ENTRY_LEASE_RENEW) /* the lease is known from its last record alone */
        put_origin(&f, l);
    judged_fields(rq, &f);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

static status name_key(struct engine *en, struct plan *plan, struct store_leasable *found,
                       struct err *e)
{
    status st = store_leasable_by_id(en->store, &plan->lease.tenant, &plan->lease.key, found, e);

    if (st != OK)
        return st;
    snprintf(plan->path, sizeof plan->path, "%s/%s", found->tenant.name, found->key.name);
    plan->provider = found->key.provider;
    plan->class = found->key.class;
    return OK;
}

/* Renewing asks the policy again and never extends beyond the lifetime of the first issue. A
 * rotated version is not renewed: ask for the new one. */
APPLY(lease_renew)
{
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    struct store_leasable named, found;
    uint64_t asked_s, expires, now = engine_now_us(en);
    uint8_t mac[16];
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a lease", 0);
    st = find_lease(en, rq, plan, mac, e);
    if (st == OK)
        st = body_number(rq, "ttl_s", 0, 1, 86400, &asked_s, e);
    if (st == OK)
        st = name_key(en, plan, &named, e);
    if (st == OK)
        st = face_ask(en, rq, named.tenant.name, e);
    if (st == OK)
        st = leasable_find(en, rq, named.tenant.name, named.key.name, asked_s, &found, &plan->ttl_s,
                           e);
    if (st == OK)
        st = face_decide(en, rq, &found.key, e);
    if (st == OK && found.key.version != plan->lease.version)
        st = fail(e, CONFLICT, "the key was rotated: lease the new version", 0);
    if (st == OK && plan->lease.max_expires_us <= now) /* the setting was made shorter */
        st = fail(e, LIMIT, "the lease is as old as it may become: lease the key again", 0);
    if (st != OK)
        return st;
    expires = now + plan->ttl_s * SECOND_US;
    if (expires > plan->lease.max_expires_us)
        expires = plan->lease.max_expires_us;
    /* Never for less: after a restart the longest of its records counts. */
    if (expires > plan->lease.expires_us)
        plan->lease.expires_us = expires;
    plan->ttl_s = (plan->lease.expires_us - now) / SECOND_US;
    return token_entry(en, rq, ENTRY_LEASE_RENEW, plan, mac, e);
}

COMPLETE(lease_renewed)
{
    struct plan *plan = rq->plan;
    struct lease held;
    uint64_t now = engine_now_us(en);
    status st;

    (void)result;
    if (!leases_find(en->leases, &plan->lease.id, now, &held)) {
        /* Released just before, in the same batch. */
        rq->outcome = fail(&rq->err, NOT_FOUND, "there is no such lease, or it is over", 0);
        return OK;
    }
    if (held.expires_us > plan->lease.expires_us) { /* renewed just before, for longer */
        plan->lease.expires_us = held.expires_us;
        plan->ttl_s = (held.expires_us - now) / SECOND_US;
    }
    if (rq->plain)
        rq->text = lease_text(en, plan, rq->param[0]);
    else
        rq->reply = lease_json(en, plan, rq->param[0]);
    st = leases_set(en->leases, &plan->lease, e);
    return st == OK ? events_held(en, &plan->lease, e) : st;
}

APPLY(lease_release)
{
    struct plan *plan = rq->plan = calloc(1, sizeof *plan);
    struct store_leasable found;
    uint8_t mac[16];
    status st;

    if (plan == NULL)
        return fail(e, NO_MEMORY, "no memory for a lease", 0);
    st = find_lease(en, rq, plan, mac, e);
    if (st == OK)
        st = name_key(en, plan, &found, e);
    if (st == OK)
        st = token_entry(en, rq, ENTRY_LEASE_RELEASE, plan, mac, e);
    if (st == OK)
        note_release(en, &plan->lease.id);
    return st;
}

COMPLETE(lease_released)
{
    const struct plan *plan = rq->plan;

    (void)result;
    (void)e;
    leases_release(en->leases, &plan->lease.id, engine_now_us(en));
    rq->reply = json_object();
    return OK;
}

static json_t *live_json(struct engine *en, const struct lease *l)
{
    struct plan plan = { .lease = *l };
    struct store_leasable found;
    struct err gone = { 0 };
    const struct token *token = tokens_find(en->tokens, l->certificate, engine_now_us(en));
    const char *gateway =
        token != NULL ? token->gateway_name : policy_name(en->policy, l->certificate);

    if (gateway == NULL || name_key(en, &plan, &found, &gone) != OK)
        return NULL;
    return json_pack("{s:o, s:s, s:s, s:i, s:s, s:o, s:s, s:o, s:o, s:o}", "id", json_id(&l->id),
                     "tenant", found.tenant.name, "key", found.key.name, "version", (int)l->version,
                     "class", class_name(plan.class), "engagement_id", json_id(&l->engagement),
                     "gateway", gateway, "issued", json_time(l->issued_us), "expires",
                     json_time(l->expires_us), "max_expires", json_time(l->max_expires_us));
}

APPLY(lease_list)
{
    const struct id *tenant = rq->peer.role == ROLE_TENANT ? &rq->tenant : NULL;
    uint64_t now = engine_now_us(en);
    struct lease_cursor cursor = { 0 };
    json_t *list = json_array();
    struct lease l;
    bool more;

    (void)e;
    while ((more = leases_next(en->leases, tenant, now, &cursor, &l)) &&
           json_array_size(list) < LIST_MAX)
        json_array_append_new(list, live_json(en, &l));
    rq->reply = json_pack("{s:o, s:b}", "leases", list, "more", more);
    return OK;
}
