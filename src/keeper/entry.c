/*
 * What each kind of entry does.
 *
 * 1. A handler checks everything first and stages keyring changes last; a failure before that
 *    leaves nothing, and the entry's record says operation.failed.
 * 2. The keeper writes the ids into the record from what it opened and checked, never from the
 *    engine's fragment.
 * 3. The engagement of a key is what its cell says, not what the request says.
 */
#include <string.h>

#include "base/clock.h"
#include "round.h"

#define HINT_TAIL    4
#define HINT_MINIMUM 20 /* shorter keys would show too much of themselves */

/* --- helpers --------------------------------------------------------------------------------- */

struct made *entry_make(struct batch *b, const struct id *log, uint16_t type)
{
    struct made *made = &b->made[b->made_count++];

    made->log = *log;
    made->type = type;
    made->outcome = OUTCOME_OK;
    fields_init(&made->fields);
    return made;
}

/* Codes other than OK and NOT_FOUND carry their own reason in *e; a keyring that cannot be read
 * ends the process. */
static status find_cell(const struct keeper *k, enum cell_type type, const struct id *id,
                        uint32_t version, struct cell *ret_cell, struct err *e)
{
    struct err inner = { 0 };

    status st = keyring_cell(k->ring, (uint8_t)type, id, version, ret_cell, &inner);
    if (st == IO)
        keeper_fatal(&inner);
    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, inner.where, inner.why, inner.detail);
    return st;
}

status entry_stage(struct keeper *k, struct batch *b, const struct cell *cell, struct err *e)
{
    status st = keyring_put(k->ring, cell, e);

    if (st == IO)
        keeper_fatal(e);
    if (st == OK)
        b->staged = true;
    return st;
}

status entry_tenant(const struct keeper *k, const struct wire_entry *m, struct err *e)
{
    if (id_is_zero(&m->tenant) || id_same(&m->tenant, &ledger_log_tree) ||
        heads_find(&k->heads, &m->tenant) == NULL)
        return fail(e, NOT_FOUND, "no such tenant", 0);
    return OK;
}

status entry_engagement(const struct keeper *k, const struct id *tenant,
                        const struct id *engagement, struct cell *ret_cell, struct err *e)
{
    status st = find_cell(k, CELL_ENGAGEMENT, engagement, 0, ret_cell, e);

    if (st == NOT_FOUND || (st == OK && !id_same(&ret_cell->parent, tenant)))
        return fail(e, NOT_FOUND, "no such engagement", 0);
    return st;
}

status entry_active(const struct keeper *k, const struct id *tenant, const struct id *engagement,
                    struct err *e)
{
    struct cell cell;
    status st = entry_engagement(k, tenant, engagement, &cell, e);

    if (st == OK && cell.due_us != 0)
        return fail(e, DENIED, "the engagement has ended", 0);
    return st;
}

/* The data key's cell, if it is the tenant's. */
status entry_key(const struct keeper *k, const struct wire_entry *m, struct cell *ret_cell,
                 struct err *e)
{
    status st = find_cell(k, CELL_DATA_KEY, &m->key, m->version, ret_cell, e);

    if (st == NOT_FOUND || (st == OK && !id_same(&ret_cell->parent, &m->tenant)))
        return fail(e, NOT_FOUND, "no such key and version", 0);
    return st;
}

/* The tenant key of an epoch, or with *epoch 0 the newest; *epoch says which. */
status entry_tenant_key(const struct keeper *k, const struct id *tenant, uint32_t *epoch,
                        struct secret **ret_key, struct err *e)
{
    struct cell seed;
    status st = seed_find(k, tenant, *epoch, &seed, e);

    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "the tenant has no seed", 0);
    *epoch = (uint32_t)seed.due_us;
    return st == OK ? keys_tenant(&k->keys, &seed, ret_key, e) : st;
}

struct key_name entry_key_name(const struct wire_entry *m)
{
    return (struct key_name){
        .tenant = m->tenant, .key = m->key, .version = m->version, .provider = m->provider
    };
}

void entry_put_key(struct made *made, const struct wire_entry *m)
{
    fields_id(&made->fields, "key_id", &m->key);
    fields_number(&made->fields, "version", m->version);
}

/* --- records, tenants, engagements ----------------------------------------------------------- */

static status do_record(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;

    if (record_type_keeper_only(m->type))
        return fail(e, DENIED, "only the keeper writes records of this type", m->type);
    if (m->outcome > OUTCOME_FAILED)
        return fail(e, BAD_INPUT, "unknown outcome", m->outcome);
    if (heads_find(&k->heads, &m->log) == NULL || id_same(&m->log, &ledger_log_tree))
        return fail(e, NOT_FOUND, "no such log", 0);
    entry_make(b, &m->log, m->type)->outcome = m->outcome;
    return OK;
}

static status do_tenant_new(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct ledger_tree tree;

    if (id_is_zero(&m->tenant) || id_same(&m->tenant, &ledger_log_tree))
        return fail(e, BAD_INPUT, "a tenant needs an id", 0);
    ledger_genesis(&k->keys.vault, &m->tenant, &tree);
    status st = heads_add(&k->heads, &tree, NULL, HEADS_IN_BATCH, e);
    if (st != OK)
        return st;
    struct log_head *head = heads_find(&k->heads, &m->tenant);
    st = heads_place(&k->heads, head, e);
    if (st != OK) /* it was added: none or all of this batch */
        b->staged = true;
    if (st != OK)
        return st;
    struct made *made = entry_make(b, &m->tenant, RECORD_TENANT_CREATED);
    fields_id(&made->fields, "tenant_id", &m->tenant);
    fields_number(&made->fields, "index", head->tree.index);
    return OK;
}

static status do_engagement_start(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct cell seed = { .created_us = b->time_us };
    struct cell cell = {
        .type = CELL_ENGAGEMENT, .id = m->engagement, .parent = m->tenant, .created_us = b->time_us
    };
    struct cell found;

    status st = entry_tenant(k, m, e);
    if (st != OK)
        return st;
    if (id_is_zero(&m->engagement))
        return fail(e, BAD_INPUT, "an engagement needs an id", 0);
    st = find_cell(k, CELL_ENGAGEMENT, &m->engagement, 0, &found, e);
    if (st != NOT_FOUND)
        return st == OK ? fail(e, CONFLICT, "the engagement exists already", 0) : st;
    st = seed_find(k, &m->tenant, 0, &found, e);
    if (st == NOT_FOUND) {
        st = keys_new_seed(&k->keys, &m->tenant, 1, &seed, e);
        if (st == OK)
            st = entry_stage(k, b, &seed, e);
    }
    if (st == OK)
        st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    fields_id(&entry_make(b, &m->tenant, RECORD_ENGAGEMENT_STARTED)->fields, "engagement_id",
              &m->engagement);
    return OK;
}

static status do_engagement_end(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct cell cell;

    /* The tenant itself may be unknown: to a database that was put back. */
    status st = entry_engagement(k, &m->tenant, &m->engagement, &cell, e);
    if (st != OK)
        return st;
    if (cell.due_us != 0) {
        b->result.due_us = cell.due_us; /* may be DUE_HELD */
        return fail(e, CONFLICT, "the engagement has ended already", 0);
    }
    cell.due_us = b->time_us + PURGE_DELAY_S * SECOND_US;
    st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    b->result.due_us = cell.due_us;
    batch_due(b, cell.due_us);
    struct made *made = entry_make(b, &m->tenant, RECORD_ENGAGEMENT_ENDED);
    if (heads_find(&k->heads, &m->tenant) == NULL)
        fields_id(&made->fields, "tenant_id", &m->tenant);
    fields_id(&made->fields, "engagement_id", &m->engagement);
    fields_time(&made->fields, "due", cell.due_us);
    return OK;
}

/* --- keys ------------------------------------------------------------------------------------ */

static status check_provider_key(struct span value, struct err *e)
{
    if (value.n == 0 || value.n > LIMIT_PROVIDER_KEY)
        return fail(e, BAD_INPUT, "provider key has a bad length", 0);
    for (size_t i = 0; i < value.n; i++) {
        /* It travels in HTTP headers and JSON: anything else would only fail later. */
        if (value.p[i] < 0x20 || value.p[i] > 0x7e)
            return fail(e, BAD_INPUT, "provider key is not one line of plain ASCII", 0);
    }
    return OK;
}

/* Enough to recognise a key by, and only of keys long enough to spare it. */
static void make_hint(struct batch *b, struct span value)
{
    struct out o;

    b->result.hint = span_of(NULL, 0);
    if (value.n < HINT_MINIMUM)
        return;
    if (value.p[0] == '{') { /* its end says nothing but which field came last */
        b->result.hint = span_text("{...}");
        return;
    }
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] <= ' ' || value.p[i] > '~')
            return;
    }
    out_init(&o, (uint8_t *)b->hint, sizeof(b->hint));
    out_text(&o, "...");
    out_raw(&o, span_of(value.p + value.n - HINT_TAIL, HINT_TAIL));
    b->result.hint = span_of(o.p, o.n);
}

/* What must hold before a delivery is even opened. */
static status check_put(const struct keeper *k, const struct wire_entry *m, struct err *e)
{
    struct cell found;

    status st = entry_tenant(k, m, e);
    if (st != OK)
        return st;
    if (id_is_zero(&m->key) || m->version == 0)
        return fail(e, BAD_INPUT, "a key needs an id and a version", 0);
    st = entry_active(k, &m->tenant, &m->engagement, e);
    if (st != OK)
        return st;
    st = find_cell(k, CELL_DATA_KEY, &m->key, m->version, &found, e);
    if (st == OK)
        return fail(e, CONFLICT, "the key has this version already", 0);
    return st == NOT_FOUND ? OK : st;
}

static status open_delivery(const struct keeper *k, struct span delivery, struct secret **ret_value,
                            struct err *e)
{
    AUTO(secret) *value = NULL;

    status st = box_open(secret_view(k->keys.system[SYSTEM_INTAKE]), delivery, &value, NULL);
    if (st != OK)
        return fail(e, st == CORRUPT ? BAD_INPUT : st, "the delivery does not open", 0);
    st = check_provider_key(secret_view(value), e);
    if (st != OK)
        return st;
    *ret_value = value;
    value = NULL;
    return OK;
}

static status do_key_put(struct keeper *k, struct batch *b, struct err *e)
{
    AUTO(secret) *value = NULL;
    AUTO(secret) *wrap = NULL;
    AUTO(secret) *data_key = NULL;
    const struct wire_entry *m = b->entry;
    struct key_name name = entry_key_name(m);
    struct cell cell = { .type = CELL_DATA_KEY,
                         .id = m->key,
                         .parent = m->tenant,
                         .engagement = m->engagement,
                         .version = m->version,
                         .created_us = b->time_us };
    size_t sealed_n = 0;

    status st = check_put(k, m, e);
    if (st == OK)
        st = open_delivery(k, m->data, &value, e);
    if (st == OK)
        st = entry_tenant_key(k, &m->tenant, &cell.epoch, &wrap, e);
    if (st == OK)
        st = secret_random(KEY_SIZE, &data_key, e);
    if (st == OK)
        st =
            keys_seal_value(&k->keys, data_key, &name, secret_view(value), b->sealed, &sealed_n, e);
    if (st == OK)
        st = keys_seal_data_key(&k->keys, wrap, &name, data_key, &cell, e);
    if (st == OK)
        st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    b->result.data = span_of(b->sealed, sealed_n);
    make_hint(b, secret_view(value));
    struct made *made =
        entry_make(b, &m->tenant, m->version == 1 ? RECORD_KEY_PUT : RECORD_KEY_ROTATED);
    entry_put_key(made, m);
    fields_id(&made->fields, "engagement_id", &m->engagement);
    return OK;
}

static status do_key_destroy(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct cell cell;

    if (m->reason != DESTROY_REVOKED && m->reason != DESTROY_GRACE_OVER &&
        m->reason != DESTROY_UNANSWERED)
        return fail(e, BAD_INPUT, "not a reason to destroy a key", m->reason);
    status st = entry_key(k, m, &cell, e);
    if (st != OK)
        return st;
    st = keyring_destroy(k->ring, CELL_DATA_KEY, &m->key, m->version, m->reason, b->time_us, e);
    b->destroyed = b->destroyed || st == OK;
    if (st == IO)
        keeper_fatal(e);
    if (st != OK)
        return st;
    b->staged = true;
    struct made *made = entry_make(b, &m->tenant, RECORD_KEY_DESTROYED);
    if (heads_find(&k->heads, &m->tenant) == NULL)
        fields_id(&made->fields, "tenant_id", &m->tenant);
    entry_put_key(made, m);
    fields_id(&made->fields, "engagement_id", &cell.engagement);
    fields_text(&made->fields, "reason", destroy_reason_name(m->reason));
    return OK;
}

/* --- the vault ------------------------------------------------------------------------------- */

static status do_clock_confirm(struct keeper *k, struct batch *b, struct err *e)
{
    if (!k->clock.held || b->confirm)
        return fail(e, CONFLICT, "the clock is not held", 0);
    b->confirm = true;
    entry_make(b, &ledger_log_vault, RECORD_CLOCK_CONFIRMED);
    return OK;
}

void entry_put_enrolled(struct batch *b, const struct slot *slot)
{
    struct made *made = entry_make(b, &ledger_log_vault, RECORD_OPERATOR_ENROLLED);

    fields_text(&made->fields, "operator", slot->label);
    fields_id(&made->fields, "slot_id", &slot->id);
    fields_number(&made->fields, "share", slot->x);
    fields_hex(&made->fields, "public_key", SPAN(slot->cose_public));
    fields_hex(&made->fields, "aaguid", SPAN(slot->aaguid));
}

static status do_vault_created(struct keeper *k, struct batch *b, struct err *e)
{
    struct slot slot;
    size_t cursor = 0;

    if (heads_find(&k->heads, &ledger_log_vault)->tree.size != 0)
        return fail(e, CONFLICT, "the vault's log has begun already", 0);
    struct made *made = entry_make(b, &ledger_log_vault, RECORD_VAULT_CREATED);
    fields_id(&made->fields, "vault_id", &k->keys.vault);
    fields_text(&made->fields, "region", k->keys.region);
    fields_number(&made->fields, "quorum", keyring_info(k->ring)->k);
    while (keyring_next_slot(k->ring, &cursor, &slot)) {
        if (slot.kind == SLOT_FIDO2)
            entry_put_enrolled(b, &slot);
    }
    return OK;
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct {
    status (*perform)(struct keeper *k, struct batch *b, struct err *e);
    uint16_t type; /* of the record, as "attempt" of one that failed */
} kinds[] = {
    [ENTRY_RECORD] = { do_record, 0 },
    [ENTRY_TENANT_NEW] = { do_tenant_new, RECORD_TENANT_CREATED },
    [ENTRY_ENGAGEMENT_START] = { do_engagement_start, RECORD_ENGAGEMENT_STARTED },
    [ENTRY_ENGAGEMENT_END] = { do_engagement_end, RECORD_ENGAGEMENT_ENDED },
    [ENTRY_KEY_PUT] = { do_key_put, RECORD_KEY_PUT },
    [ENTRY_KEY_OPEN] = { entry_key_open, RECORD_LEASE_ISSUED },
    [ENTRY_LEASE_RENEW] = { entry_lease_renew, RECORD_LEASE_RENEWED },
    [ENTRY_LEASE_RELEASE] = { entry_lease_release, RECORD_LEASE_RELEASED },
    [ENTRY_KEY_DESTROY] = { do_key_destroy, RECORD_KEY_DESTROYED },
    [ENTRY_FOLD] = { entry_fold, 0 },
    [ENTRY_CLOCK_CONFIRM] = { do_clock_confirm, RECORD_CLOCK_CONFIRMED },
    [ENTRY_VAULT_CREATED] = { do_vault_created, RECORD_VAULT_CREATED },
    [ENTRY_APPROVE] = { entry_approve, RECORD_OPERATION_APPROVED },
    [ENTRY_OPERATION] = { entry_operation, 0 },
    [ENTRY_DATABASE_REKEYED] = { entry_database_rekeyed, RECORD_REKEY_DONE },
    [ENTRY_TREE_COMMITTED] = { entry_tree_committed, RECORD_TREE_COMMITTED },
    [ENTRY_ROLLBACK_TOLD] = { entry_rollback_told, RECORD_ROLLBACK_ACCEPTED },
    [ENTRY_RECORDS_DROP] = { entry_records_drop, RECORD_RECORDS_DROPPED },
};

status entry_perform(struct keeper *k, struct batch *b, struct err *e)
{
    uint8_t kind = b->entry->kind;

    if (kind >= sizeof(kinds) / sizeof(kinds[0]) || kinds[kind].perform == NULL)
        return fail(e, BAD_INPUT, "unknown kind of entry", kind);
    if (k->rolled_back && !rollback_allows(b->entry))
        return fail(e, CONFLICT, "the vault was rolled back: that has to be accepted first", 0);
    return kinds[kind].perform(k, b, e);
}

static uint16_t attempted_type(const struct wire_entry *m)
{
    if (m->kind == ENTRY_RECORD)
        return m->type;
    if (m->kind == ENTRY_KEY_PUT && m->version != 1)
        return RECORD_KEY_ROTATED;
    if (m->kind == ENTRY_KEY_OPEN && !id_is_zero(&m->lease))
        return RECORD_LEASE_REPEATED;
    return kinds[m->kind].type;
}

static void put_id(struct made *made, const char *name, const struct id *id)
{
    if (!id_is_zero(id))
        fields_id(&made->fields, name, id);
}

void entry_failed(struct keeper *k, struct batch *b, const struct err *why)
{
    const struct wire_entry *m = b->entry;
    uint64_t due_us = b->result.due_us;

    secret_cleanup(&b->plain);
    b->result = (struct wire_result){ .status = (uint8_t)why->code, .due_us = due_us };
    b->result.reason = span_text(why->why);
    b->made_count = 0;
    struct made *made = entry_make(b, &m->log, RECORD_OPERATION_FAILED);
    made->outcome = OUTCOME_FAILED;
    fields_text(&made->fields, "attempt",
                m->kind == ENTRY_OPERATION ? operation_name(m->operation.code)
                                           : record_type_name(attempted_type(m)));
    if (heads_find(&k->heads, &m->log) == NULL || id_same(&m->log, &ledger_log_tree))
        put_id(made, "tenant_id", &m->log);
    put_id(made, "engagement_id", &m->engagement);
    if (!id_is_zero(&m->key))
        entry_put_key(made, m);
    put_id(made, "gateway_id", &m->gateway);
    put_id(made, "lease_id", &m->lease);
    fields_text(&made->fields, "reason", why->why);
}
