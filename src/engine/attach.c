/*
 * From an open keeper to a serving vault: open the database, hand over the heads of the logs, store
 * what the last server did not live to store, and let the database follow the keyring.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* The keys that the server needs while the vault is open. */
static status get_system_keys(struct engine *en, struct secret **ret_database,
                              struct secret **ret_ca, struct err *e)
{
    struct wire_system_keys keys;
    struct in body;
    status st;

    wire_client_begin(en->client, WIRE_SYSTEM_KEYS);
    st = wire_client_call(en->client, &body, e);
    if (st != OK)
        return st;
    wire_get_system_keys(&body, &keys);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's system keys are malformed", 0);
    memcpy(en->intake_public, keys.intake_public, sizeof en->intake_public);
    memcpy(en->ledger_public, keys.ledger_public, sizeof en->ledger_public);
    st = secret_copy(keys.database_key, ret_database, e);
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

/* A database of another vault must not be used even if it opens. */
static status check_vault(struct engine *en, struct err *e)
{
    struct span held;
    struct err absent = { 0 };
    status st = store_fact(en->store, "vault", &held, &absent);

    if (st == OK)
        return span_same(held, SPAN(en->vault.b))
                   ? OK
                   : fail(e, CORRUPT, "the database belongs to another vault", 0);
    if (st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    st = store_begin(en->store, e);
    if (st == OK)
        st = store_fact_set(en->store, "vault", SPAN(en->vault.b), e);
    return st == OK ? store_commit(en->store, e) : st;
}

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

static void head_page_send(struct head_page *page, bool last)
{
    struct in body;

    page->out->p[page->count_at - 1] = last;
    page->out->p[page->count_at] = (uint8_t)(page->count >> 8);
    page->out->p[page->count_at + 1] = (uint8_t)page->count;
    page->st = wire_client_call(page->en->client, &body, page->e);
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
    head_page_send(page, false);
    if (page->st == OK)
        head_page_begin(page);
    return page->st == OK;
}

static status load_heads(struct engine *en, struct err *e)
{
    struct head_page page = { .en = en, .e = e };
    status st;

    if (en->hello.heads_loaded)
        return OK;
    head_page_begin(&page);
    st = store_heads(en->store, head_page_add, &page, e);
    if (st == OK && page.st == OK)
        head_page_send(&page, true);
    return st == OK ? page.st : st;
}

/* Records of a batch that a dead server did not store, by log. */
struct unanswered {
    struct { struct id log; uint64_t first, last; } logs[LIMIT_BATCH_ENTRIES * 2];
    size_t count;
};

static void note_unanswered(const struct wire_record *r, void *context)
{
    struct unanswered *u = context;

    for (size_t i = 0; i < u->count; i++) {
        if (id_same(&u->logs[i].log, &r->log)) {
            u->logs[i].last = r->seq;
            return;
        }
    }
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
        struct wire_entry entry = { .kind = ENTRY_RECORD, .log = u->logs[i].log,
                                    .type = RECORD_RECOVERY_UNANSWERED, .outcome = OUTCOME_FAILED };
        struct fields f;

        fields_init(&f);
        fields_text(&f, "actor", "system");
        fields_number(&f, "first_seq", u->logs[i].first);
        fields_number(&f, "last_seq", u->logs[i].last);
        entry.fields = fields_view(&f);
        st = batch_single(en, &entry, false, e);
    }
    return st;
}

/* The keeper keeps the records of its last batch until they are known to be durable. Storing them
 * again is harmless; losing one would hide an opened key. */
static status recover(struct engine *en, struct err *e)
{
    struct unanswered unanswered = { .count = 0 };
    struct batch_listener listener = { .record = note_unanswered, .context = &unanswered };
    uint64_t number;
    struct in body;
    status st;

    if (!en->hello.batch_pending)
        return OK;
    wire_client_begin(en->client, WIRE_RECOVER);
    st = wire_client_call(en->client, &body, e);
    if (st == OK)
        st = store_begin(en->store, e);
    if (st == OK)
        st = batch_store(en, &body, &listener, &number, e);
    if (st == OK)
        st = store_commit(en->store, e);
    if (st != OK)
        return st;
    en->acked = number;
    log_number(LOG_WARN_, "records of an unanswered batch were recovered", "logs",
               unanswered.count);
    return record_unanswered(en, &unanswered, e);
}

static status load_certificates(struct engine *en, struct err *e)
{
    struct store_certificate page[64];
    uint8_t after[32];
    size_t count = 0;
    status st = store_certificates(en->store, NULL, page, 64, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++) {
            struct policy_certificate c = { .role = (enum role)page[i].role,
                                            .tenant = page[i].tenant,
                                            .gateway = page[i].gateway,
                                            .revoked = page[i].revoked_us != 0 };

            memcpy(c.spki, page[i].spki, sizeof c.spki);
            memcpy(c.name, page[i].name, sizeof c.name);
            st = policy_certificate_set(en->policy, &c, e);
        }
        memcpy(after, page[count - 1].spki, sizeof after);
        if (st == OK)
            st = store_certificates(en->store, after, page, 64, &count, e);
    }
    return st;
}

static status load_grants(struct engine *en, struct err *e)
{
    struct store_grant page[64];
    size_t offset = 0, count = 0;
    status st = store_grants(en->store, 0, page, 64, &count, e);

    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++) {
            struct policy_grant g = { .gateway = page[i].gateway, .tenant = page[i].tenant,
                                      .max_ttl_s = page[i].max_ttl_s };

            memcpy(g.pattern, page[i].pattern, sizeof g.pattern);
            st = policy_grant_set(en->policy, &g, e);
        }
        offset += count;
        if (st == OK)
            st = store_grants(en->store, offset, page, 64, &count, e);
    }
    return st;
}

static bool field_id(struct span line, const char *name, struct id *ret_id)
{
    struct span value;

    return record_field(line, name, &value)
           && hex_parse((const char *)value.p, value.n, ret_id->b, sizeof ret_id->b);
}

/* One lease record, applied to the live table. Its certificate is the one in the record. */
static bool replay_lease(void *context, const struct store_record *r)
{
    struct engine *en = context;
    struct lease lease = { .tenant = r->log, .issued_us = r->time_us };
    struct span value;
    uint64_t version = 0;
    char number[16];

    if (!field_id(r->line, "lease_id", &lease.id))
        return true;
    if (r->type == RECORD_LEASE_RELEASED) {
        leases_remove(en->leases, &lease.id);
        return true;
    }
    if (!record_field(r->line, "expires", &value)
        || !time_parse((const char *)value.p, value.n, &lease.expires_us))
        return true;
    if (r->type == RECORD_LEASE_RENEWED) {
        const struct lease *held = leases_find(en->leases, &lease.id, 0);
        struct lease longer;

        if (held != NULL) {
            longer = *held;
            longer.expires_us = lease.expires_us;
            return leases_set(en->leases, &longer, NULL) == OK;
        }
        return true;
    }
    if (!field_id(r->line, "key_id", &lease.key) || !field_id(r->line, "gateway_id", &lease.gateway)
        || !field_id(r->line, "engagement_id", &lease.engagement)
        || !record_field(r->line, "version", &value) || value.n >= sizeof number
        || !record_field(r->line, "certificate", &value)
        || !hex_parse((const char *)value.p, value.n, lease.certificate, 32))
        return true;
    (void)record_field(r->line, "version", &value);
    memcpy(number, value.p, value.n);
    number[value.n] = '\0';
    if (!number_parse(number, 1, UINT32_MAX, &version))
        return true;
    lease.version = (uint32_t)version;
    lease.max_expires_us = r->time_us + en->settings.lease_max_lifetime_s * SECOND_US;
    return leases_set(en->leases, &lease, NULL) == OK;
}

/* A lease whose key was revoked, rotated away or purged since is over. */
static status drop_dead_leases(struct engine *en, struct err *e)
{
    const struct lease *lease;
    struct lease dead[64];
    size_t cursor = 0, count = 0;
    status st = OK;

    while (st == OK && (lease = leases_next(en->leases, &cursor)) != NULL) {
        struct store_version version;
        struct err absent = { 0 };
        status found = store_version(en->store, &lease->tenant, &lease->key, lease->version,
                                     &version, &absent);

        if (found == OK && version.state != VERSION_DESTROYED)
            continue;
        if (count < 64)
            dead[count++] = *lease;
    }
    for (size_t i = 0; st == OK && i < count; i++) {
        struct lease pattern = { .key = dead[i].key, .version = dead[i].version };
        size_t ended;

        st = leases_end(en->leases, &pattern, &ended, e);
    }
    /* More than fit: they share few keys, so another round ends them. */
    return st == OK && count == 64 ? drop_dead_leases(en, e) : st;
}

static status load_leases(struct engine *en, struct err *e)
{
    uint64_t now = engine_now_us(en);
    uint64_t window = en->settings.lease_max_lifetime_s * SECOND_US;
    status st = store_lease_records(en->store, now > window ? now - window : 0, replay_lease, en, e);

    if (st == OK)
        st = leases_expire(en->leases, now, e);
    return st == OK ? drop_dead_leases(en, e) : st;
}

static status record_started(struct engine *en, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    fields_text(&f, "software", STRONGROOM_VERSION);
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, false, e);
}

static status attach_database(struct engine *en, struct err *e)
{
    AUTO(secret) *database_key = NULL;
    AUTO(secret) *ca_key = NULL;
    status st = get_system_keys(en, &database_key, &ca_key, e);

    if (st == OK)
        st = read_ca(en, e);
    if (st == OK)
        st = identity_ca_load(span_text(en->ca_pem), ca_key, &en->ca, e);
    if (st == OK)
        st = store_open(en->settings.store_dir, database_key, &en->store, e);
    return st == OK ? check_vault(en, e) : st;
}

static status attach_facts(struct engine *en, struct err *e)
{
    status st = policy_new(&en->policy, e);

    if (st == OK)
        st = leases_new(&en->leases, e);
    if (st == OK)
        st = load_certificates(en, e);
    if (st == OK)
        st = load_grants(en, e);
    if (st == OK)
        st = load_leases(en, e);
    return st;
}

status engine_attach(struct engine *en, struct err *e)
{
    status st = attach_database(en, e);

    if (st == OK)
        st = load_heads(en, e);
    if (st == OK)
        st = recover(en, e);
    if (st == OK)
        st = reconcile(en, e);
    if (st == OK)
        st = schedule_fold(en, e);
    if (st == OK)
        st = schedule_purge(en, e);
    if (st == OK)
        st = attach_facts(en, e);
    if (st == OK && en->hello.anchor_size > 0)
        st = record_started(en, e);
    if (st != OK)
        return st;
    en->state = VAULT_UNLOCKED;
    schedule_start(en);
    return OK;
}

void engine_detach(struct engine *en)
{
    store_cleanup(&en->store);
    policy_free(en->policy);
    leases_free(en->leases);
    identity_ca_cleanup(&en->ca);
    en->store = NULL;
    en->policy = NULL;
    en->leases = NULL;
    en->ca = NULL;
    if (en->state == VAULT_UNLOCKED)
        en->state = VAULT_LOCKED;
}
