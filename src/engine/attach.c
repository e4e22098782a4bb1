/*
 * From an open keeper to a serving vault: open the database, hand over the heads of the logs, store
 * what the last server did not live to store, and let the database follow the keyring.
 */
#include "alert.h"
#include "cells.h"
#include "document.h"
#include "nodes.h"
#include "trail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "events.h"
#include "retention.h"
#include "rollback.h"
#include "shared.h"
#include "store/rekey.h"
#include "usage.h"

/* The keys that the server needs while the vault is open. */
static status get_system_keys(struct engine *en, struct secret **ret_database,
                              struct secret **ret_next, struct secret **ret_ca, struct err *e)
{
    struct wire_system_keys keys;
    struct in body;
    status st;

    wire_client_begin(en->client, WIRE_SYSTEM_KEYS);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    wire_get_system_keys(&body, &keys);
    if (!in_end(&body)) {
        wire_client_wipe(en->client);
        return fail(e, BUG, "the keeper's system keys are malformed", 0);
    }
    memcpy(en->intake_public, keys.intake_public, sizeof en->intake_public);
    memcpy(en->ledger_public, keys.ledger_public, sizeof en->ledger_public);
    memcpy(en->delivery_public, keys.delivery_public, sizeof en->delivery_public);
    st = secret_copy(keys.database_key, ret_database, e);
    if (st == OK && keys.database_next.n > 0)
        st = secret_copy(keys.database_next, ret_next, e);
    if (st == OK)
        st = secret_copy(keys.ca_key, ret_ca, e);
    wire_client_wipe(en->client);
    return st;
}

static status read_ca(struct engine *en, struct err *e)
{
    char path[sizeof en->settings.tls_dir + 16];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "%s/ca.crt", en->settings.tls_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, IO, "cannot open the CA certificate", errno);
    n = read(fd, en->ca_pem, sizeof en->ca_pem - 1);
    close(fd);
    if (n <= 0)
        return fail(e, IO, "cannot read the CA certificate", errno);
    en->ca_pem[n] = '\0';
    return OK;
}

/* A database of another vault must not be used even if it opens, nor an empty one where a database
 * should be (a disk that is not mounted): the keyring would be emptied after its example. */
static status check_vault(struct engine *en, bool created, struct err *e)
{
    struct store_certificate first;
    struct span held;
    struct err absent = { 0 };
    size_t count = 0;
    status st = store_fact(en->store, "vault", &held, &absent);

    if (st == OK && !span_same(held, SPAN(en->vault.b)))
        return fail(e, CORRUPT, "the database belongs to another vault", 0);
    if (st == OK) {
        st = store_certificates(en->store, NULL, &first, 1, &count, e);
        return st == OK && count == 0 ? fail(e, CORRUPT,
                                             "init was interrupted: nobody has a "
                                             "certificate; empty data_dir and begin again",
                                             0)
                                      : st;
    }
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    if (!created)
        return fail(e, CORRUPT, "the database is empty, or init was interrupted", 0);
    st = store_begin(en->store, e);
    if (st == OK)
        st = store_fact_set(en->store, "vault", SPAN(en->vault.b), e);
    return st == OK ? store_commit(en->store, e) : st;
}

/* What the keeper says of heads from before its anchor. */
#define OLD_DATABASE "the database is older than the keyring"

/* --- how old the keyring is ------------------------------------------------------------------ */

/* Of two copies of one keyring, the older has less of these. */
struct age {
    uint32_t epoch;
    uint64_t changes;
};

static bool is_older(const struct age *a, const struct age *b)
{
    return a->epoch < b->epoch || (a->epoch == b->epoch && a->changes < b->changes);
}

static status known_age(struct engine *en, struct age *ret, struct err *e)
{
    struct err absent = { 0 };
    struct span held;
    status st = store_fact(en->store, "keyring", &held, &absent);

    *ret = (struct age){ 0 };
    if (st == NOT_FOUND)
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    struct in i = in_of(held);
    ret->epoch = in_u32(&i);
    ret->changes = in_u64(&i);
    return in_end(&i) ? OK : fail(e, CORRUPT, "the keyring's age is malformed", 0);
}

/* One that was put back is refused before the database follows it, for that would give up, silently
 * and for good, every key that the copy lacks. */
static status check_age(struct engine *en, bool *ret_older, struct err *e)
{
    struct age now = { en->hello.epoch, en->hello.changes };
    struct age known;
    status st = known_age(en, &known, e);

    *ret_older = st == OK && is_older(&now, &known);
    return st;
}

status keyring_set_age(struct engine *en, struct err *e)
{
    struct out o;
    uint8_t bytes[12];

    out_init(&o, bytes, sizeof bytes);
    out_u32(&o, en->hello.epoch);
    out_u64(&o, en->hello.changes);
    return store_fact_set(en->store, "keyring", span_of(o.p, o.n), e);
}

status keyring_note_age(struct engine *en, struct err *e)
{
    struct age now = { en->hello.epoch, en->hello.changes };
    struct age known;
    status st = known_age(en, &known, e);

    if (st != OK || !is_older(&known, &now))
        return st;
    st = store_begin(en->store, e);
    if (st == OK)
        st = keyring_set_age(en, e);
    return st == OK ? store_commit(en->store, e) : st;
}

/* --- the heads ------------------------------------------------------------------------------- */

/* Heads go in pages, because a frame holds about a hundred. */
struct head_page {
    struct engine *en;
    struct out *out;
    size_t count_at;
    uint16_t count;
    struct err *e;
    status st;
};

static void head_page_begin(struct head_page *page)
{
    page->out = wire_client_begin(page->en->client, WIRE_HEADS);
    out_u8(page->out, 0);
    page->count_at = page->out->n;
    out_u16(page->out, 0);
    page->count = 0;
}

static void head_page_send(struct head_page *page, uint8_t last)
{
    struct in body;

    page->out->p[page->count_at - 1] = last;
    page->out->p[page->count_at] = (uint8_t)(page->count >> 8);
    page->out->p[page->count_at + 1] = (uint8_t)page->count;
    page->st = engine_call(page->en, &body, page->e);
}

static bool head_page_add(void *context, const struct id *log, uint64_t size, struct span head)
{
    struct head_page *page = context;

    (void)log;
    (void)size;
    out_span16(page->out, head);
    page->count++;
    if (page->out->n < LIMIT_FRAME - 4096)
        return true;
    head_page_send(page, 0);
    if (page->st == OK)
        head_page_begin(page);
    return page->st == OK;
}

/* That they are of one moment; a vault from before has none. */
static status heads_seal_put(struct engine *en, struct out *out, struct err *e)
{
    struct err absent = { 0 };
    struct span seal = { 0 };
    status st = store_fact(en->store, "heads", &seal, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    out_span16(out, st == OK ? seal : span_of(NULL, 0));
    return OK;
}

/* old: the keeper is to hold them as those of a vault that was rolled back. */
static status send_heads(struct engine *en, bool old, struct err *e)
{
    struct head_page page = { .en = en, .e = e };
    status st;

    head_page_begin(&page);
    st = store_heads(en->store, head_page_add, &page, e);
    if (st == OK)
        st = page.st;
    if (st == OK)
        st = heads_seal_put(en, page.out, e);
    if (st != OK)
        return st;
    head_page_send(&page, old ? 2 : 1);
    return page.st;
}

/* What was put back shows here: by the database's idea of the keyring, or the keeper's anchor. */
static status load_heads(struct engine *en, bool *ret_old, struct err *e)
{
    struct err why = { 0 };
    status st = check_age(en, &en->rolled_keyring, e);

    *ret_old = en->hello.rolled_back != 0;
    if (st != OK || en->hello.heads_loaded)
        return st;
    if (!en->rolled_keyring) {
        st = send_heads(en, false, &why);
        if (st != CORRUPT || strcmp(why.why, OLD_DATABASE) != 0)
            return st == OK ? OK : err_note(e, st, why.where, why.why, why.detail);
    }
    *ret_old = true;
    log_warn("the vault was rolled back: see strongroom status");
    return send_heads(en, true, e);
}

/* Records that a dead server neither stored nor answered, by log. What it had stored it may have
 * answered too. */
struct unanswered {
    struct engine *en;
    struct {
        struct id log;
        uint64_t first, last;
    } logs[LIMIT_BATCH_ENTRIES * 4];
    size_t count;
    size_t records;
    char removed[STORE_NAME]; /* an operator whose certificates were not revoked yet */
    bool accepted;            /* a rollback */
    status st;                /* of what follows from the records */
    struct err e;
};

static void note_removed(struct unanswered *u, const struct wire_record *r)
{
    struct span name, slot;

    if (r->type == RECORD_OPERATOR_REMOVED && record_field(r->line, "operator", &name) &&
        !record_field(r->line, "slot_id", &slot))
        snprintf(u->removed, sizeof u->removed, "%.*s", (int)name.n, (const char *)name.p);
}

static void note_unanswered(const struct wire_record *r, void *context)
{
    struct unanswered *u = context;
    uint64_t stored = 0;

    u->records++;
    note_removed(u, r);
    if (r->type == RECORD_ROLLBACK_ACCEPTED && id_is_zero(&r->log))
        u->accepted = true;
    if (u->st == OK)
        u->st = retention_recover(u->en, r, &u->e);
    if (u->st == OK)
        u->st = revocation_recover(u->en, r, &u->e);
    if (u->st == OK)
        u->st = document_recover(u->en, r, &u->e);
    for (size_t i = 0; i < u->count; i++) {
        if (id_same(&u->logs[i].log, &r->log)) {
            u->logs[i].last = r->seq;
            return;
        }
    }
    if (id_same(&r->log, &ledger_log_tree)) /* nobody asked */
        return;
    /* The heads follow the records: the size is still that of before. */
    if (store_log_size(u->en->store, &r->log, &stored, NULL) == OK && r->seq < stored)
        return;
    if (u->count == sizeof u->logs / sizeof u->logs[0])
        return;
    u->logs[u->count].log = r->log;
    u->logs[u->count].first = u->logs[u->count].last = r->seq;
    u->count++;
}

static status record_unanswered(struct engine *en, const struct unanswered *u, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < u->count; i++) {
        struct wire_entry entry = { .kind = ENTRY_RECORD,
                                    .log = u->logs[i].log,
                                    .type = RECORD_RECOVERY_UNANSWERED,
                                    .outcome = OUTCOME_FAILED };
        struct fields f;

        fields_init(&f);
        fields_text(&f, "actor", "system");
        fields_number(&f, "first_seq", u->logs[i].first);
        fields_number(&f, "last_seq", u->logs[i].last);
        entry.fields = fields_view(&f);
        st = batch_single(en, &entry, NULL, e);
    }
    return st;
}

/* The one after so many batches; number is that of the keeper's last batch if there is none. */
static status recover_one(struct engine *en, struct unanswered *unanswered, uint64_t after,
                          uint64_t *ret_number, struct err *e)
{
    struct batch_listener listener = { .record = note_unanswered, .context = unanswered };
    size_t revoked;
    struct in body;
    status st;

    out_u64(wire_client_begin(en->client, WIRE_RECOVER), after);
    st = engine_call(en, &body, e);
    if (st == OK)
        st = store_begin(en->store, e);
    if (st == OK)
        st = batch_store(en, &body, &listener, ret_number, e);
    if (st == OK && unanswered->st != OK)
        st = err_note(e, unanswered->st, unanswered->e.where, unanswered->e.why,
                      unanswered->e.detail);
    if (st == OK && unanswered->removed[0] != '\0')
        st = certificates_revoke_operator(en, unanswered->removed, &revoked, e);
    if (st == OK && unanswered->accepted)
        st = rollback_accepted(en, e);
    return st == OK ? store_commit(en->store, e) : st;
}

/* The keeper keeps the records of its last batches until they are known to be durable. Storing them
 * again is harmless; losing one would hide an opened key. */
static status recover(struct engine *en, struct unanswered *unanswered, struct err *e)
{
    uint64_t number = 0;
    status st = OK;

    if (!en->hello.batch_pending)
        return OK;
    for (size_t before = SIZE_MAX; st == OK && before != unanswered->records;) {
        before = unanswered->records;
        st = recover_one(en, unanswered, number, &number, e);
    }
    if (st != OK)
        return st;
    en->acked = number;
    log_number(LOG_WARN_, "the last batches of another server were recovered", "unanswered_logs",
               unanswered->count);
    return OK;
}

static status record_started(struct engine *en, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    fields_text(&f, "software", STRONGROOM_VERSION);
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, NULL, e);
}

/* *ret_next: the database is under its next key already. */
static status attach_database(struct engine *en, bool created, bool *ret_next, struct err *e)
{
    AUTO(secret) *database_key = NULL;
    AUTO(secret) *next_key = NULL;
    AUTO(secret) *ca_key = NULL;
    status st = get_system_keys(en, &database_key, &next_key, &ca_key, e);

    if (st == OK)
        st = read_ca(en, e);
    if (st == OK)
        st = identity_ca_load(span_text(en->ca_pem), ca_key, &en->ca, e);
    if (st == OK)
        st = store_open_either(en->settings.store_dir, database_key, next_key, &en->store, ret_next,
                               e);
    if (st == OK)
        st = persons_new(&en->persons, e);
    return st == OK ? check_vault(en, created, e) : st;
}

status engine_serve(struct engine *en, bool created, struct err *e)
{
    struct cells cells = { 0 };
    status st = cells_list(en, &cells, e);

    if (st == OK)
        st = reconcile(en, &cells, e);
    if (st == OK)
        st = rollback_finish(en, e);
    if (st == OK)
        st = schedule_fold(en, e);
    if (st == OK)
        st = reconcile_purged(en, e);
    if (st == OK)
        st = events_new(&en->events, e);
    if (st == OK)
        st = shared_new(&en->shared, e);
    if (st == OK)
        st = rebuild(en, &cells, e);
    cells_cleanup(&cells);
    if (st == OK)
        st = destroy_revoked(en, e); /* a revocation that was cut off */
    if (st == OK)
        st = revocation_finish(en, e); /* the same, of leases */
    if (st == OK)
        st = alerts_rebuild(en, e);
    if (st == OK)
        st = events_rebuild(en, e);
    if (st == OK && !created)
        st = record_started(en, e);
    if (st == OK)
        st = rounds_start(en, e);
    if (st != OK)
        return st;
    en->state = VAULT_UNLOCKED;
    schedule_start(en);
    return OK;
}

status engine_attach(struct engine *en, bool created, struct err *e)
{
    struct unanswered unanswered = { .en = en };
    bool rekeyed = false, old = false;
    status st = attach_database(en, created, &rekeyed, e);

    if (st == OK)
        st = alerts_new(&en->alerts, e);
    if (st == OK)
        st = tally_new(&en->tally, e);
    /* Before the heads: those of the recovered batch belong to them. */
    if (st == OK)
        st = recover(en, &unanswered, e);
    if (st == OK)
        st = load_heads(en, &old, e);
    if (st == OK)
        st = engine_hello(en, e);
    if (st == OK && old) {
        en->state = VAULT_ROLLED_BACK;
        return OK;
    }
    if (st == OK)
        st = keyring_note_age(en, e);
    if (st == OK)
        st = record_unanswered(en, &unanswered, e);
    if (st == OK && rekeyed)
        st = database_rekeyed(en, e);
    return st == OK ? engine_serve(en, created, e) : st;
}

void engine_detach(struct engine *en)
{
    en->database.phase = DATABASE_REST;
    rounds_forget(en->rounds);
    store_cleanup(&en->store);
    persons_free(en->persons);
    policy_free(en->policy);
    leases_free(en->leases);
    revocation_forget(en);
    documents_free(en->documents);
    tokens_free(en->tokens);
    alerts_free(en->alerts);
    nodes_forget(en);
    events_free(en->events);
    tally_free(en->tally);
    shared_free(en->shared);
    identity_ca_cleanup(&en->ca);
    en->store = NULL;
    en->persons = NULL;
    en->policy = NULL;
    en->leases = NULL;
    en->documents = NULL;
    en->tokens = NULL;
    en->alerts = NULL;
    en->events = NULL;
    en->tally = NULL;
    en->shared = NULL;
    en->ca = NULL;
    if (en->state == VAULT_UNLOCKED || en->state == VAULT_ROLLED_BACK)
        en->state = VAULT_LOCKED;
}
