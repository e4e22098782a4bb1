/* What time demands of the engine, as a table of jobs. Destroying keys on time is not among them:
 * the keeper does that itself; the engine only stores what follows from it. */
#include "alert.h"
#include "cells.h"

#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "retention.h"
#include "shared.h"
#include "tls_files.h"
#include "usage.h"

#define FOLD_ROUNDS 4096 /* more than a full journal needs; a purge may add to it meanwhile */

/* Folds until the journal is empty: one entry of the batch takes up to 32 of the journal's. */
status schedule_fold(struct engine *en, struct err *e)
{
    status st = engine_hello(en, e);

    for (size_t round = 0; st == OK && en->hello.journal_count > 0; round++) {
        struct wire_entry entry = { .kind = ENTRY_FOLD };

        if (round == FOLD_ROUNDS)
            return fail(e, BUG, "the keeper's journal does not shrink", en->hello.journal_count);
        st = batch_single(en, &entry, NULL, e);
        /* What was folded leaves the journal when the keeper hears that it is durable. */
        if (st == OK)
            st = batch_acknowledge(en, e);
        if (st == OK)
            st = engine_hello(en, e);
    }
    return st;
}

/* The keys are gone already: delete rows, empty the WAL, say so. */
status engagement_purge(struct engine *en, struct store_engagement *g, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .log = g->tenant, .type = RECORD_PURGE_DONE };
    struct fields f;
    size_t count = 0;
    status st = batch_begin(en, e);

    if (st == OK)
        st = store_purge(en->store, &g->tenant, &g->id, &count, e);
    g->state = ENGAGEMENT_PURGED;
    g->purged_us = engine_now_us(en);
    if (st == OK)
        st = store_engagement_set(en->store, g, e);
    fields_init(&f);
    fields_text(&f, "actor", "system");
    fields_text(&f, "engagement", g->name);
    fields_number(&f, "rows_deleted", count);
    entry.fields = fields_view(&f);
    if (st == OK)
        st = batch_entry(en, NULL, &entry, e);
    if (st == OK)
        st = batch_finish(en, NULL, e);
    return st == OK ? store_checkpoint(en->store, e) : st;
}

/* The keeper purged, or noted something else, while the vault was open. */
static status watch_keeper(struct engine *en, struct err *e)
{
    status st = engine_hello(en, e);

    if (st == OK && (en->hello.lock_due || en->hello.state != KEEPER_UNLOCKED))
        return vault_lock_itself(en, e);
    if (st == OK)
        doctor_watch(en);
    if (st == OK)
        st = keyring_note_age(en, e);
    if (st != OK || en->hello.journal_count == 0)
        return st;
    st = schedule_fold(en, e);
    return st == OK ? reconcile_purged(en, e) : st;
}

static status expire_tokens(struct engine *en, struct err *e)
{
    return tokens_expire(en->tokens, engine_now_us(en), e);
}

static status flush_refusals(struct engine *en, struct err *e)
{
    return refusals_flush(en, false, e);
}

bool schedule_disk_low(const struct engine *en)
{
    struct statvfs fs;

    if (statvfs(en->settings.store_dir, &fs) != 0)
        return true;
    return (uint64_t)fs.f_bavail * fs.f_frsize < en->settings.disk_reserve_mib * 1024 * 1024;
}

static status watch_disk(struct engine *en, struct err *e)
{
    bool low = schedule_disk_low(en);

    (void)e;
    if (low != en->disk_low)
        log_number(LOG_WARN_, "free disk space crossed the reserve", "low", low);
    en->disk_low = low;
    return OK;
}

/* An old server certificate still works for a month: failing to renew is no reason to stop. */
static status renew_certificate(struct engine *en, struct err *e)
{
    struct err trouble = { 0 };

    (void)e;
    if (tls_files_renew(en, &trouble) != OK)
        log_err(LOG_WARN_, "the server certificate could not be renewed", &trouble);
    return OK;
}

/* Values of leases that are over do not stay in memory. */
static status sweep_shared(struct engine *en, struct err *e)
{
    (void)e;
    shared_sweep(en, false);
    return OK;
}

static const struct job {
    uint64_t period_s;
    status (*run)(struct engine *en, struct err *e);
} jobs[] = {
    { 1, watch_keeper },     { 1, destroy_grace_over },   { 1, watch_disk },
    { 2, database_watch },   { 5, flush_refusals },       { 1, alerts_write },
    { 60, alerts_sweep },    { 3600, renew_certificate }, { 86400, retention_state },
    { 1, retention_delete }, { 86400, usage_sweep },      { 1, expire_tokens },
    { 1, sweep_shared },
};

#define JOB_COUNT (sizeof jobs / sizeof jobs[0])

static uint64_t next_run_us[JOB_COUNT]; /* monotonic; one engine a process */

void schedule_start(struct engine *en)
{
    for (size_t i = 0; i < JOB_COUNT; i++)
        next_run_us[i] = 0;
    en->disk_low = schedule_disk_low(en);
}

/* The keeper's limits of an open vault hold for one that only waits to be accepted, too. */
static void watch_rolled_back(struct engine *en)
{
    struct err e = { 0 };
    status st = engine_hello(en, &e);

    if (st == OK && (en->hello.lock_due || en->hello.state != KEEPER_UNLOCKED))
        st = engine_lock_keeper(en, &e);
    if (st != OK)
        engine_die(__func__, &e);
}

void schedule_run(struct engine *en)
{
    uint64_t now = clock_monotonic_us();
    struct err e = { 0 };

    if (en->state == VAULT_ROLLED_BACK)
        watch_rolled_back(en);
    if (en->state != VAULT_UNLOCKED)
        return;
    for (size_t i = 0; i < JOB_COUNT; i++) {
        if (now < next_run_us[i])
            continue;
        next_run_us[i] = now + jobs[i].period_s * SECOND_US;
        if (jobs[i].run(en, &e) != OK)
            engine_die(__func__, &e);
        if (en->state != VAULT_UNLOCKED) /* it locked itself */
            return;
    }
}
