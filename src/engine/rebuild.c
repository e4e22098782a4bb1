/*
 * What the engine holds in memory, built again from the database: certificates and grants become
 * the policy, and the lease records of the last window become the live leases.
 */
#include "cells.h"
#include "revocation.h"

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

/* What was written into the record when the lease was issued. false: not a lease of this form. */
static bool read_issued(const struct engine *en, const struct store_record *r, struct lease *lease)
{
    struct span certificate;
    uint64_t version;

    if (!record_field_id(r->line, "key_id", &lease->key) ||
        !record_field_id(r->line, "gateway_id", &lease->gateway) ||
        !record_field_id(r->line, "engagement_id", &lease->engagement) ||
        !field_time(r->line, "expires", &lease->expires_us) ||
        !record_field_number(r->line, "version", 1, UINT32_MAX, &version) ||
        !record_field(r->line, "certificate", &certificate) ||
        !hex_parse((const char *)certificate.p, certificate.n, lease->certificate, 32))
        return false;
    lease->tenant = r->log;
    lease->version = (uint32_t)version;
    lease->issued_us = r->time_us;
    lease->max_expires_us = r->time_us + en->settings.lease_max_lifetime_s * SECOND_US;
    return true;
}

struct replay {
    struct engine *en;
    struct err *e;
    status st;
};

/* One lease record, applied to the live table. */
static bool replay_lease(void *context, const struct store_record *r)
{
    struct replay *replay = context;
    struct leases *leases = replay->en->leases;
    const struct lease *held;
    struct lease lease = { .issued_us = 0 };
    struct id id;

    if (!record_field_id(r->line, "lease_id", &id))
        return true;
    held = leases_find(leases, &id, 0);
    if (r->type == RECORD_LEASE_RELEASED) {
        leases_remove(leases, &id);
        return true;
    }
    if (r->type == RECORD_LEASE_RENEWED) {
        if (held == NULL)
            return true;
        lease = *held;
        if (!field_time(r->line, "expires", &lease.expires_us))
            return true;
    } else if (!read_issued(replay->en, r, &lease)) {
        return true;
    }
    lease.id = id;
    replay->st = leases_set(leases, &lease, replay->e);
    if (replay->st == OK)
        replay->st = revocations_held(replay->en, &lease, replay->e);
    return replay->st == OK;
}

/* Is the lease over although its time is not: its key, its engagement or its holder ended? */
static bool is_dead(const struct engine *en, const struct cells *cells, const struct lease *l)
{
    const struct wire_cell *g = cells_find(cells, WIRE_CELL_ENGAGEMENT, &l->engagement, 0);

    return g == NULL || g->due_us != 0 || !policy_valid(en->policy, l->certificate) ||
           cells_find(cells, WIRE_CELL_DATA_KEY, &l->key, l->version) == NULL;
}

static status drop_dead_leases(struct engine *en, const struct cells *cells, struct err *e)
{
    struct id *dead = calloc(leases_count(en->leases) + 1, sizeof *dead);
    const struct lease *lease;
    size_t cursor = 0, count = 0;

    if (dead == NULL)
        return fail(e, NO_MEMORY, "no memory to rebuild leases", 0);
    while ((lease = leases_next(en->leases, &cursor)) != NULL) {
        if (is_dead(en, cells, lease))
            dead[count++] = lease->id;
    }
    for (size_t i = 0; i < count; i++)
        leases_remove(en->leases, &dead[i]);
    free(dead);
    return OK;
}

static status load_leases(struct engine *en, const struct cells *cells, struct err *e)
{
    struct replay replay = { .en = en, .e = e };
    uint64_t now = engine_now_us(en);
    uint64_t window = en->settings.lease_max_lifetime_s * SECOND_US;
    status st =
        store_lease_records(en->store, now > window ? now - window : 0, replay_lease, &replay, e);

    if (st == OK)
        st = replay.st;
    if (st == OK)
        st = leases_expire(en->leases, now, e);
    return st == OK ? drop_dead_leases(en, cells, e) : st;
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
    return st == OK ? load_leases(en, cells, e) : st;
}
