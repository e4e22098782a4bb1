/*
 * What approved operations do. Handlers check everything and stage; slots change only when the
 * batch holds (settle in batch.c), and a rotation of the root follows by itself from the cell that
 * asks for it.
 */
#include <string.h>

#include "base/clock.h"
#include "batch.h"

/* --- slots and quorum ------------------------------------------------------------------------ */

/* The root is to be rotated; with a quorum that an earlier request may have changed. */
static status ask_rekey(struct keeper *k, struct batch *b, uint8_t quorum, uint64_t flags,
                        struct err *e)
{
    struct cell cell = rekey_cell(k, quorum, flags);

    cell.created_us = b->time_us;
    return entry_stage(k, b, &cell, e);
}

static status do_operator_add(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_operation *m = &b->entry->operation;
    const struct slot *candidate = enrol_candidate(k, &m->slot);
    struct slot slots[SLOTS_ROOM];
    size_t count = keeper_all_slots(k, slots);

    if (candidate == NULL)
        return fail(e, NOT_FOUND, "the enrolment is over: enrol the hardware key again", 0);
    if (!span_same(span_text(candidate->label), m->operator_name) ||
        !span_same(SPAN(candidate->cose_public), SPAN(m->public_key)))
        return fail(e, DENIED, "another hardware key was enrolled than approved", 0);
    if (enrol_known(k, candidate))
        return fail(e, CONFLICT, "this hardware key is enrolled already", 0);
    if (count >= LIMIT_SLOTS)
        return fail(e, LIMIT, "all slots are taken", LIMIT_SLOTS);
    struct slot *put = &b->change.put[b->change.put_count++];
    *put = *candidate;
    put->x = slots_x(slots, count, SLOT_FIDO2, put->label);
    status st = ask_rekey(k, b, 0, 0, e);
    if (st == OK)
        entry_put_enrolled(b, put);
    return st;
}

/* Fills change.gone with the operator's slots; what remains is counted. */
static size_t choose_removed(struct batch *b, const struct slot *slots, size_t count,
                             struct slot *ret_left)
{
    const struct wire_operation *m = &b->entry->operation;
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        bool its = slots[i].kind == SLOT_FIDO2 &&
                   span_same(span_text(slots[i].label), m->operator_name) &&
                   (id_is_zero(&m->slot) || id_same(&slots[i].id, &m->slot));
        if (its)
            b->change.gone[b->change.gone_count++] = slots[i].id;
        else
            ret_left[left++] = slots[i];
    }
    return left;
}

static uint8_t wanted_quorum(const struct keeper *k)
{
    struct cell cell = rekey_cell(k, 0, 0);

    return (uint8_t)cell.epoch;
}

/* Until the root has rotated, today's quorum opens the vault: those left must have as many shares
 * of today's root. */
static bool still_open(const struct keeper *k, const struct slot *left, size_t count)
{
    const struct keyring_info *info = keyring_info(k->ring);
    struct slot dealt[SLOTS_ROOM];
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        if (left[i].epoch == info->epoch)
            dealt[n++] = left[i];
    }
    return slots_operators(dealt, n) >= info->k;
}

static status do_operator_remove(struct keeper *k, struct batch *b, struct err *e)
{
    struct slot slots[SLOTS_ROOM];
    struct slot left[SLOTS_ROOM];
    size_t left_count = choose_removed(b, slots, keeper_all_slots(k, slots), left);

    if (b->change.gone_count == 0)
        return fail(e, NOT_FOUND, "there is no such operator or slot", 0);
    if (slots_operators(left, left_count) < wanted_quorum(k)) {
        b->change.gone_count = 0;
        return fail(e, CONFLICT,
                    "fewer operators would be left than the quorum needs: add one, or lower it", 0);
    }
    if (!still_open(k, left, left_count)) {
        b->change.gone_count = 0;
        return fail(e, CONFLICT,
                    "the rotation under way must end first, or a lock could be for ever", 0);
    }
    status st = ask_rekey(k, b, 0, REKEY_DATABASE, e);
    if (st != OK)
        return st;
    struct made *made = entry_make(b, &ledger_log_vault, RECORD_OPERATOR_REMOVED);
    fields_span(&made->fields, "operator", b->entry->operation.operator_name);
    if (!id_is_zero(&b->entry->operation.slot)) /* one key, not the operator */
        fields_id(&made->fields, "slot_id", &b->entry->operation.slot);
    fields_number(&made->fields, "number", b->change.gone_count);
    return OK;
}

static status do_quorum_set(struct keeper *k, struct batch *b, struct err *e)
{
    struct slot slots[SLOTS_ROOM];
    uint8_t operators = slots_operators(slots, keeper_all_slots(k, slots));
    uint32_t wanted = b->entry->operation.number;

    if (wanted == 0 || wanted > operators)
        return fail(e, BAD_INPUT, "the quorum is not between 1 and the number of operators",
                    operators);
    if (wanted == wanted_quorum(k))
        return fail(e, CONFLICT, "that is the quorum already", 0);
    status st = ask_rekey(k, b, (uint8_t)wanted, 0, e);
    if (st == OK)
        fields_number(&entry_make(b, &ledger_log_vault, RECORD_QUORUM_CHANGED)->fields, "quorum",
                      wanted);
    return st;
}

/* The new cards' slots and codes; the codes leave sealed to the key that was approved. */
static status make_cards(struct keeper *k, struct batch *b, struct slot *slots, size_t count,
                         struct err *e)
{
    AUTO(secret) *codes = NULL;
    const struct wire_operation *m = &b->entry->operation;
    struct out o;

    status st = secret_new(m->number * (sizeof(struct id) + KEY_SIZE), &codes, e);
    if (st != OK)
        return st;
    out_init(&o, secret_fill(codes).p, secret_fill(codes).n);
    for (uint32_t i = 0; i < m->number; i++) {
        AUTO(secret) *code = NULL;
        struct slot *card = &b->change.put[b->change.put_count];
        st = enrol_card(&k->keys.vault, b->time_us, card, &code, e);
        if (st != OK)
            return st;
        card->x = slots_x(slots, count, SLOT_RECOVERY, card->label);
        slots[count++] = *card;
        b->change.put_count++;
        out_id(&o, &card->id);
        out_raw(&o, secret_view(code));
    }
    st = box_seal(SPAN(m->recovery_key), secret_view(codes), b->sealed, e);
    b->result.data = span_of(b->sealed, secret_view(codes).n + BOX_OVERHEAD);
    return st;
}

static status do_card_renew(struct keeper *k, struct batch *b, struct err *e)
{
    struct slot slots[SLOTS_ROOM + CARDS_MAX];
    size_t count = keeper_all_slots(k, slots);
    size_t kept = 0;

    if (b->entry->operation.number > CARDS_MAX)
        return fail(e, BAD_INPUT, "too many cards", CARDS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (slots[i].kind == SLOT_RECOVERY)
            b->change.gone[b->change.gone_count++] = slots[i].id;
        else
            slots[kept++] = slots[i];
    }
    if (kept + b->entry->operation.number > LIMIT_SLOTS)
        return fail(e, LIMIT, "all slots are taken", LIMIT_SLOTS);
    status st = make_cards(k, b, slots, kept, e);
    if (st == OK)
        st = ask_rekey(k, b, 0, 0, e);
    if (st == OK)
        fields_number(&entry_make(b, &ledger_log_vault, RECORD_CARDS_RENEWED)->fields, "cards",
                      b->entry->operation.number);
    return st;
}

/* --- rekeying -------------------------------------------------------------------------------- */

static void put_begun(struct batch *b, const struct id *log, const char *what, uint64_t epoch)
{
    struct made *made = entry_make(b, log, RECORD_REKEY_BEGUN);

    fields_text(&made->fields, "what", what);
    if (epoch != 0)
        fields_number(&made->fields, "epoch", epoch);
}

static status do_rekey_root(struct keeper *k, struct batch *b, struct err *e)
{
    status st = ask_rekey(k, b, 0, 0, e);

    if (st == OK)
        put_begun(b, &ledger_log_vault, "root", (uint64_t)k->keys.epoch + 1);
    return st;
}

/* The new seed stands beside the old one; the data keys move over in slices (rekey.c). */
static status do_rekey_tenant(struct keeper *k, struct batch *b, struct err *e)
{
    const struct id *tenant = &b->entry->operation.tenant;
    struct cell old;
    struct cell seed = { .created_us = b->time_us };
    struct err inner = { 0 };

    status st = seed_find(k, tenant, 0, &old, &inner);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "the tenant has no seed", 0);
    if (st != OK)
        return err_note(e, st, inner.where, inner.why, inner.detail);
    if (old.due_us > 1 && seed_find(k, tenant, (uint32_t)old.due_us - 1, &seed, NULL) == OK)
        return fail(e, CONFLICT, "the tenant is being rekeyed already", 0);
    seed = (struct cell){ .created_us = b->time_us };
    st = keys_new_seed(&k->keys, tenant, (uint32_t)old.due_us + 1, &seed, e);
    if (st == OK)
        st = entry_stage(k, b, &seed, e);
    if (st != OK)
        return st;
    rekey_look_for_tenants(k);
    put_begun(b, tenant, "tenant", seed.due_us);
    return OK;
}

/* Only the cell: memory follows when the batch holds. */
static status do_rekey_database(struct keeper *k, struct batch *b, struct err *e)
{
    struct cell cell = { .created_us = b->time_us };
    struct secret **next = &k->keys.system[SYSTEM_DATABASE_NEXT];

    if (*next != NULL)
        return fail(e, CONFLICT, "the database is being rekeyed already", 0);
    status st = secret_random(KEY_SIZE, next, e);
    if (st == OK)
        st = keys_seal_system(&k->keys, SYSTEM_DATABASE_NEXT, &cell, e);
    secret_cleanup(next);
    if (st == OK)
        st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    b->system = true;
    put_begun(b, &ledger_log_vault, "database", 0);
    return OK;
}

static void swap_database_keys(struct keys *keys)
{
    struct secret *other = keys->system[SYSTEM_DATABASE];

    keys->system[SYSTEM_DATABASE] = keys->system[SYSTEM_DATABASE_NEXT];
    keys->system[SYSTEM_DATABASE_NEXT] = other;
}

/* The server has swapped the file: the next key becomes the key. */
status entry_database_rekeyed(struct keeper *k, struct batch *b, struct err *e)
{
    struct cell cell = { .created_us = b->time_us };
    const struct id next = keys_system_id(SYSTEM_DATABASE_NEXT);

    if (k->keys.system[SYSTEM_DATABASE_NEXT] == NULL)
        return fail(e, CONFLICT, "the database is not being rekeyed", 0);
    swap_database_keys(&k->keys);
    status st = keys_seal_system(&k->keys, SYSTEM_DATABASE, &cell, e);
    swap_database_keys(&k->keys);
    if (st == OK)
        st = entry_stage(k, b, &cell, e);
    if (st == OK)
        st = keyring_destroy(k->ring, CELL_SYSTEM, &next, 0, DESTROY_REPLACED, b->time_us, e);
    if (st != OK)
        return st;
    b->system = true;
    b->destroyed = true;
    fields_text(&entry_make(b, &ledger_log_vault, RECORD_REKEY_DONE)->fields, "what", "database");
    return OK;
}

/* --- purge and hold -------------------------------------------------------------------------- */

static status find_ended(const struct keeper *k, const struct wire_operation *m,
                         struct cell *ret_cell, struct err *e)
{
    status st = entry_engagement(k, &m->tenant, &m->engagement, ret_cell, e);

    if (st == OK && ret_cell->due_us == 0)
        st = fail(e, CONFLICT, "the engagement has not ended", 0);
    return st;
}

static struct made *set_due(struct batch *b, const struct cell *cell, uint16_t type)
{
    struct made *made = entry_make(b, &cell->parent, type);

    b->result.due_us = cell->due_us;
    fields_id(&made->fields, "engagement_id", &cell->id);
    return made;
}

static status do_purge_now(struct keeper *k, struct batch *b, struct err *e)
{
    struct cell cell;

    status st = find_ended(k, &b->entry->operation, &cell, e);
    if (st == OK && cell.due_us == DUE_HELD)
        st = fail(e, CONFLICT, "the purge is on hold: lift the hold first", 0);
    if (st != OK)
        return st;
    cell.due_us = b->time_us;
    st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    batch_due(b, cell.due_us);
    fields_time(&set_due(b, &cell, RECORD_PURGE_HASTENED)->fields, "due", cell.due_us);
    return OK;
}

static status do_hold_set(struct keeper *k, struct batch *b, struct err *e)
{
    struct cell cell;

    status st = find_ended(k, &b->entry->operation, &cell, e);
    if (st == OK && cell.due_us == DUE_HELD)
        st = fail(e, CONFLICT, "the purge is on hold already", 0);
    if (st != OK)
        return st;
    uint64_t left_us = cell.due_us > b->time_us ? cell.due_us - b->time_us : 0;
    cell.epoch = (uint32_t)(left_us / SECOND_US) + 1; /* 0 would mean: not on hold */
    cell.due_us = DUE_HELD;
    st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    b->held = true;
    set_due(b, &cell, RECORD_ENGAGEMENT_HELD);
    return OK;
}

static status do_hold_lift(struct keeper *k, struct batch *b, struct err *e)
{
    struct cell cell;

    status st = find_ended(k, &b->entry->operation, &cell, e);
    if (st == OK && cell.due_us != DUE_HELD)
        st = fail(e, CONFLICT, "the purge is not on hold", 0);
    if (st != OK)
        return st;
    cell.due_us = b->time_us + cell.epoch * SECOND_US;
    cell.epoch = 0;
    st = entry_stage(k, b, &cell, e);
    if (st != OK)
        return st;
    batch_due(b, cell.due_us);
    fields_time(&set_due(b, &cell, RECORD_ENGAGEMENT_LIFTED)->fields, "due", cell.due_us);
    return OK;
}

static status do_grant_add(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_operation *m = &b->entry->operation;

    if (heads_find(&k->heads, &m->tenant) == NULL || id_is_zero(&m->tenant))
        return fail(e, NOT_FOUND, "no such tenant", 0);
    fields_id(&entry_make(b, &m->tenant, RECORD_GRANT_ADDED)->fields, "gateway_id", &m->gateway);
    return OK;
}

/* Only said: what follows from it is done by the engine, and has to be shown to drop.c. */
static status do_retention_set(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_operation *m = &b->entry->operation;

    if (heads_find(&k->heads, &m->tenant) == NULL || id_is_zero(&m->tenant))
        return fail(e, NOT_FOUND, "no such tenant", 0);
    if (m->number != 0 && (m->number < RETENTION_MIN || m->number > RETENTION_MAX))
        return fail(e, BAD_INPUT, "records are kept for 30 to 36500 days, or for ever", 0);
    struct made *made = entry_make(b, &ledger_log_vault, RECORD_RETENTION_SET);
    fields_id(&made->fields, "tenant_id", &m->tenant);
    fields_number(&made->fields, "days", m->number);
    return OK;
}

/* Which document counts is the engine's to know; the hash says which one was approved. */
static status do_policy_set(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_operation *m = &b->entry->operation;

    if (!id_is_zero(&m->tenant) && heads_find(&k->heads, &m->tenant) == NULL)
        return fail(e, NOT_FOUND, "no such tenant", 0);
    fields_hex(&entry_make(b, &m->tenant, RECORD_POLICY_SET)->fields, "document",
               SPAN(m->document));
    return OK;
}

/* --- the table ------------------------------------------------------------------------------- */

static status (*const handlers[])(struct keeper *k, struct batch *b, struct err *e) = {
    [OPERATION_OPERATOR_ADD] = do_operator_add,
    [OPERATION_OPERATOR_REMOVE] = do_operator_remove,
    [OPERATION_QUORUM_SET] = do_quorum_set,
    [OPERATION_CARD_RENEW] = do_card_renew,
    [OPERATION_REKEY_ROOT] = do_rekey_root,
    [OPERATION_REKEY_TENANT] = do_rekey_tenant,
    [OPERATION_REKEY_DATABASE] = do_rekey_database,
    [OPERATION_PURGE_NOW] = do_purge_now,
    [OPERATION_HOLD_SET] = do_hold_set,
    [OPERATION_HOLD_LIFT] = do_hold_lift,
    [OPERATION_GRANT_ADD] = do_grant_add,
    [OPERATION_ROLLBACK_ACCEPT] = rollback_accept,
    [OPERATION_RETENTION_SET] = do_retention_set,
    [OPERATION_POLICY_SET] = do_policy_set,
};

status entry_operation(struct keeper *k, struct batch *b, struct err *e)
{
    uint8_t code = b->entry->operation.code;
    uint8_t text[OPERATION_TEXT_MAX];
    uint8_t operation[32];
    struct out o;

    out_init(&o, text, sizeof(text));
    operation_text(&b->entry->operation, &o);
    if (o.overflow || code >= sizeof(handlers) / sizeof(handlers[0]) || handlers[code] == NULL ||
        change_begun(&b->change))
        return fail(e, BAD_INPUT, "not an operation, or not alone", 0);
    operation_hash(span_of(o.p, o.n), operation);
    status st = approvals_check(k, code, operation, e);
    if (st == OK)
        st = handlers[code](k, b, e);
    if (st != OK) {
        b->change = (struct slot_change){ 0 };
        return st;
    }
    memcpy(b->change.operation, operation, sizeof(operation));
    b->change.consumes = true;
    if (b->accepts)
        memcpy(k->accepted.operation, operation, sizeof(operation));
    fields_hex(&b->made[0].fields, "operation", SPAN(operation));
    return OK;
}
