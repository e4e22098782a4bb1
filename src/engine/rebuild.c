/*
 * What the engine holds in memory, built again from the database: certificates and grants become
 * the policy, and the lease records of the last window become the live leases.
 */
#include "cells.h"
#include "events.h"
#include "face.h"
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PAGE 64

static status load_certificates(struct engine *en, struct err *e)
{
    struct store_certificate page[PAGE];
    uint8_t after[32];
    size_t count = 0;
    status st = store_certificates(en->store, NULL, page, PAGE, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++) {
            struct policy_certificate c = { .role = (enum role)page[i].role,
                                            .tenant = page[i].tenant,
                                            .gateway = page[i].gateway,
                                            .revoked = page[i].revoked_us != 0,
                                            .limited = page[i].limited };

            memcpy(c.spki, page[i].spki, sizeof c.spki);
            memcpy(c.name, page[i].name, sizeof c.name);
            st = policy_certificate_set(en->policy, &c, e);
        }
        memcpy(after, page[count - 1].spki, sizeof after);
        if (st == OK)
            st = store_certificates(en->store, after, page, PAGE, &count, e);
    }
    return st;
}

static status load_grants(struct engine *en, struct err *e)
{
    struct store_grant page[PAGE];
    size_t offset = 0, count = 0;
    status st = store_grants(en->store, 0, page, PAGE, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++) {
            struct policy_grant g = { .gateway = page[i].gateway,
                                      .tenant = page[i].tenant,
                                      .max_ttl_s = page[i].max_ttl_s };

            memcpy(g.pattern, page[i].pattern, sizeof g.pattern);
            st = policy_grant_set(en->policy, &g, e);
        }
        offset += count;
        if (st == OK)
            st = store_grants(en->store, offset, page, PAGE, &count, e);
    }
    return st;
}

static status load_assignments(struct engine *en, struct err *e)
{
    struct store_assignment page[PAGE];
    size_t offset = 0, count = 0;
    status st = store_assignments(en->store, 0, page, PAGE, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++)
            st = policy_assign(en->policy, page[i].auditor, &page[i].tenant, e);
        offset += count;
        if (st == OK)
            st = store_assignments(en->store, offset, page, PAGE, &count, e);
    }
    return st;
}

static bool field_time(struct span line, const char *name, uint64_t *ret_time_us)
{
    struct span value;

    return record_field(line, name, &value) &&
           time_parse((const char *)value.p, value.n, ret_time_us);
}

/* No lease that is live longer after a revocation than one may last was there before it. */
#define TTL_MAX_US (86400 * SECOND_US)

uint64_t lease_until(const struct store_record *r)
{
    uint64_t expires_us = 0;

    switch (r->type) {
    case RECORD_LEASE_ISSUED:
    case RECORD_LEASE_RENEWED:
    case RECORD_LEASE_RELEASED: return field_time(r->line, "expires", &expires_us) ? expires_us : 0;
    case RECORD_LEASE_REVOKED: return r->time_us + TTL_MAX_US;
    default: return 0;
    }
}

/* In one pass: a restart reads as many records as there are live leases. */
enum { F_LEASE, F_KEY, F_GATEWAY, F_ENGAGEMENT, F_EXPIRES, F_VERSION, F_CERTIFICATE, F_NEEDED };
enum { F_ISSUED = F_NEEDED, F_IDEMPOTENCY, F_ASKED, F_COUNT };

static const char *const field_names[F_COUNT] = {
    [F_LEASE] = "lease_id",          [F_KEY] = "key_id",
    [F_GATEWAY] = "gateway_id",      [F_ENGAGEMENT] = "engagement_id",
    [F_EXPIRES] = "expires",         [F_VERSION] = "version",
    [F_CERTIFICATE] = "certificate", [F_ISSUED] = "issued",
    [F_IDEMPOTENCY] = "idempotency", [F_ASKED] = "asked",
};

static bool hex_of(struct span value, uint8_t *out, size_t n)
{
    return hex_parse((const char *)value.p, value.n, out, n);
}

static bool number_of(struct span value, uint32_t *ret_number)
{
    char text[16] = "";
    uint64_t number;

    if (value.n >= sizeof text)
        return false;
    memcpy(text, value.p, value.n);
    if (!number_parse(text, 1, UINT32_MAX, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool time_of(struct span value, uint64_t *ret_time_us)
{
    return value.p != NULL && time_parse((const char *)value.p, value.n, ret_time_us);
}

/* What was written into the record when the lease was issued or renewed. false: not a lease of this
 * form. */
static bool read_lease(const struct engine *en, const struct store_record *r, struct lease *lease)
{
    struct span f[F_COUNT];

    if (!record_fields(r->line, field_names, F_COUNT, F_NEEDED, f) ||
        !hex_of(f[F_LEASE], lease->id.b, sizeof lease->id.b) ||
        !hex_of(f[F_KEY], lease->key.b, sizeof lease->key.b) ||
        !hex_of(f[F_GATEWAY], lease->gateway.b, sizeof lease->gateway.b) ||
        !hex_of(f[F_ENGAGEMENT], lease->engagement.b, sizeof lease->engagement.b) ||
        !time_of(f[F_EXPIRES], &lease->expires_us) || !number_of(f[F_VERSION], &lease->version) ||
        !hex_of(f[F_CERTIFICATE], lease->certificate, sizeof lease->certificate))
        return false;
    lease->tenant = r->log;
    if (!time_of(f[F_ISSUED], &lease->issued_us))
        lease->issued_us = r->time_us;
    lease->max_expires_us = lease->issued_us + en->settings.lease_max_lifetime_s * SECOND_US;
    if (f[F_ASKED].p != NULL && f[F_IDEMPOTENCY].p != NULL &&
        hex_of(f[F_ASKED], lease->asked, sizeof lease->asked) &&
        !hex_of(f[F_IDEMPOTENCY], lease->idempotency, sizeof lease->idempotency))
        memset(lease->idempotency, 0, sizeof lease->idempotency);
    return true;
}

struct replay {
    struct engine *en;
    struct err *e;
    status st;
};

static status keep_lease(struct engine *en, const struct lease *lease, struct err *e)
{
    status st = leases_set(en->leases, lease, e);

    return st == OK ? events_held(en, lease, e) : st;
}

/* Of two renewals that were decided beside each other the longer one counts, as it did then. */
static void keep_longer(const struct leases *leases, const struct store_record *r,
                        struct lease *lease)
{
    struct lease held;

    if (r->type == RECORD_LEASE_RENEWED && leases_find(leases, &lease->id, r->time_us, &held) &&
        held.expires_us > lease->expires_us)
        lease->expires_us = held.expires_us;
}

/* One lease record, applied to the live table. */
static bool replay_lease(void *context, const struct store_record *r)
{
    struct replay *replay = context;
    struct leases *leases = replay->en->leases;
    struct lease lease = { .issued_us = 0 };

    if (r->type == RECORD_LEASE_REVOKED)
        replay->st = revocation_replay(replay->en, r, replay->e);
    else if (r->type != RECORD_LEASE_RELEASED && read_lease(replay->en, r, &lease)) {
        keep_longer(leases, r, &lease);
        replay->st = keep_lease(replay->en, &lease, replay->e);
    } else if (record_field_id(r->line, "lease_id", &lease.id))
        leases_release(leases, &lease.id, r->time_us);
    return replay->st == OK;
}

/* Its certificate, or the token it was made with: of logins none has survived. */
static bool has_holder(const struct engine *en, const struct lease *l)
{
    return policy_valid(en->policy, l->certificate) ||
           tokens_find(en->tokens, l->certificate, l->issued_us) != NULL;
}

/* Is the lease over although its time is not: its key, its engagement or its holder ended? */
static bool is_dead(const struct engine *en, const struct cells *cells, const struct lease *l)
{
    const struct wire_cell *g = cells_find(cells, WIRE_CELL_ENGAGEMENT, &l->engagement, 0);

    return g == NULL || g->due_us != 0 || !has_holder(en, l) ||
           cells_find(cells, WIRE_CELL_DATA_KEY, &l->key, l->version) == NULL;
}

static void drop_dead_leases(struct engine *en, const struct cells *cells)
{
    struct lease_cursor cursor = { 0 };
    struct lease like;
    size_t live;

    while (leases_next_group(en->leases, NULL, &cursor, &like, &live)) {
        if (is_dead(en, cells, &like))
            leases_end(en->leases, &like, engine_now_us(en));
    }
}

/* What may be live now, or was a moment ago, and no more: also what was live when a revocation was
 * cut off that is still to be told to tenants. */
static status load_leases(struct engine *en, const struct cells *cells, struct err *e)
{
    struct replay replay = { .en = en, .e = e };
    uint64_t now = engine_now_us(en), since;
    status st = revocation_load(en, &since, e);

    if (st != OK)
        return st;
    since = since < now ? since : now;
    st = store_lease_records(en->store, since > LEASE_RECENT_US ? since - LEASE_RECENT_US : 0,
                             replay_lease, &replay, e);
    if (st == OK)
        st = replay.st;
    if (st != OK)
        return st;
    leases_expire(en->leases, now, SIZE_MAX);
    drop_dead_leases(en, cells);
    return OK;
}

status rebuild(struct engine *en, const struct cells *cells, struct err *e)
{
    status st = policy_new(&en->policy, e);

    if (st == OK)
        st = leases_new(&en->leases, e);
    if (st == OK)
        st = load_certificates(en, e);
    if (st == OK)
        st = load_grants(en, e);
    if (st == OK)
        st = load_assignments(en, e);
    if (st == OK)
        st = judge_rebuild(en, e);
    if (st == OK)
        st = tokens_load(en, e);
    return st == OK ? load_leases(en, cells, e) : st;
}
