/*
 * Approvals: an operator's touch for exactly one operation.
 *
 * 1. The keeper believes a touch because the secret that came with it opens the slot, sealed
 *    together with the transcript that names the operation. It checks no signature: that is for
 *    those who read the trail, and the server has checked it. docs/THREATS.md says what a server
 *    that was taken over gains by that.
 * 2. Approvals count by share number: two keys of one operator, or two approvals by one, are one.
 * 3. What was approved is one proposal. Carrying it out uses its approvals up; APPROVAL_S seconds
 *    after the first they are forgotten, and so they are by lock.
 * 4. Approvals do not outlive who gave them: with a slot that goes, all go, and its number may get
 *    another holder.
 * 5. A recovery card approves only what brings back a vault whose hardware keys are lost.
 */
#include <string.h>

#include "base/clock.h"
#include "batch.h"

static bool waits(const struct keeper *k, const struct approval *a)
{
    return a->since_us != 0 && keeper_monotonic(k) - a->since_us <= APPROVAL_S * SECOND_US;
}

static struct approval *find(struct keeper *k, const uint8_t operation[static 32])
{
    for (size_t i = 0; i < APPROVALS; i++) {
        if (waits(k, &k->approvals[i]) &&
            span_same(SPAN(k->approvals[i].operation), span_of(operation, 32)))
            return &k->approvals[i];
    }
    return NULL;
}

void approvals_drop(struct keeper *k)
{
    for (size_t i = 0; i < APPROVALS; i++)
        k->approvals[i] = (struct approval){ 0 };
}

void approvals_forget(struct keeper *k)
{
    approvals_drop(k);
    for (size_t i = 0; i < CANDIDATES; i++)
        k->candidates[i] = (struct candidate){ 0 };
}

uint8_t approvals_need(const struct keeper *k, uint8_t code)
{
    struct slot slots[SLOTS_ROOM];

    return operation_need(code, keyring_info(k->ring)->k,
                          slots_operators(slots, keeper_all_slots(k, slots)));
}

status approvals_check(struct keeper *k, uint8_t code, const uint8_t operation[static 32],
                       struct err *e)
{
    const struct approval *a = find(k, operation);

    if (a == NULL || a->count < approvals_need(k, code))
        return fail(e, DENIED, "the operation has not been approved", 0);
    return OK;
}

void approvals_consume(struct keeper *k, const uint8_t operation[static 32])
{
    struct approval *a = find(k, operation);

    if (a != NULL)
        *a = (struct approval){ 0 };
}

static size_t approved(struct keeper *k, const uint8_t operation[static 32], uint8_t x,
                       bool *ret_by)
{
    const struct approval *a = find(k, operation);

    *ret_by = false;
    for (size_t i = 0; a != NULL && i < a->count; i++)
        *ret_by = *ret_by || a->xs[i] == x;
    return a == NULL ? 0 : a->count;
}

void approvals_note(struct keeper *k, const uint8_t operation[static 32], uint8_t x)
{
    struct approval *a = find(k, operation);

    if (a == NULL) {
        a = &k->approvals[0];
        for (size_t i = 1; i < APPROVALS && waits(k, a); i++) {
            if (!waits(k, &k->approvals[i]) || k->approvals[i].since_us < a->since_us)
                a = &k->approvals[i];
        }
        *a = (struct approval){ .since_us = keeper_monotonic(k) };
        memcpy(a->operation, operation, sizeof(a->operation));
    }
    if (a->count < LIMIT_SLOTS)
        a->xs[a->count++] = x;
}

/* The touch itself: opens the slot and leaves its next generation in *slot. */
static status open_slot(struct keeper *k, const struct session *session, struct span sealed,
                        struct slot *slot, struct err *e)
{
    AUTO(secret) *secrets = NULL;
    AUTO(secret) *private_key = NULL;
    AUTO(secret) *share = NULL;
    const struct id *vault = &keyring_info(k->ring)->vault;

    status st = session_open(session, sealed, session_secrets(slot->kind), &secrets, e);
    if (st == OK)
        st = slot_open(vault, slot, span_of(secret_view(secrets).p, KEY_SIZE), &private_key, e);
    if (st != OK || slot->kind == SLOT_RECOVERY)
        return st;
    st = slot_share(slot, private_key, &share, e);
    if (st != OK)
        return st;
    return slot_roll(vault, slot, span_of(secret_view(secrets).p + KEY_SIZE, KEY_SIZE), share, e);
}

static status take(struct keeper *k, const struct wire_entry *m, const uint8_t operation[static 32],
                   struct session *session, struct slot *slot, struct err *e)
{
    status st = session_take(k, SESSION_APPROVE, &m->session, &m->slot, session, e);

    if (st != OK)
        return st;
    if (!span_same(SPAN(session->request.operation), span_of(operation, 32)))
        return fail(e, DENIED, "the session is for another operation", 0);
    st = keyring_slot(k->ring, &m->slot, slot, e);
    if (st == OK && slot->epoch != keyring_info(k->ring)->epoch)
        st = fail(e, DENIED, "this slot is new: until it has a share it approves nothing", 0);
    if (st == OK && slot->kind == SLOT_RECOVERY && !operation_recovers(m->operation.code))
        st = fail(e, DENIED, "a recovery card does not approve this: a hardware key must", 0);
    return st;
}

static void put_fields(struct batch *b, const struct session *session, const struct slot *slot,
                       struct span text, uint8_t have, uint8_t need)
{
    const struct wire_entry *m = b->entry;
    struct made *made =
        entry_make(b, operation_of_tenant(m->operation.code) ? &m->tenant : &ledger_log_vault,
                   RECORD_OPERATION_APPROVED);
    uint8_t context[32];

    wire_context(&session->request, &session->opened, context);
    fields_hex(&made->fields, "operation", SPAN(session->request.operation));
    fields_span(&made->fields, "text", text);
    fields_number(&made->fields, "have", have);
    fields_number(&made->fields, "need", need);
    fields_id(&made->fields, "slot_id", &slot->id);
    fields_text(&made->fields, "operator", slot->label);
    if (slot->kind == SLOT_RECOVERY) {
        out_text(&made->fields.out, ",\"recovery\":true");
        return;
    }
    fields_hex(&made->fields, "public_key", SPAN(slot->cose_public));
    fields_hex(&made->fields, "context", SPAN(context));
}

status entry_approve(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_entry *m = b->entry;
    struct session session = { 0 };
    uint8_t text[OPERATION_TEXT_MAX];
    uint8_t operation[32];
    struct slot slot;
    struct out o;
    bool again = false;

    out_init(&o, text, sizeof(text));
    operation_text(&m->operation, &o);
    if (o.overflow || change_begun(&b->change))
        return fail(e, BAD_INPUT, "not an operation, or not alone", 0);
    operation_hash(span_of(o.p, o.n), operation);
    uint8_t need = approvals_need(k, m->operation.code);
    status st = take(k, m, operation, &session, &slot, e);
    size_t have = st == OK ? approved(k, operation, slot.x, &again) : 0;
    if (st == OK && again)
        st = fail(e, CONFLICT, "this operator has approved already", 0);
    if (st == OK)
        st = open_slot(k, &session, m->data, &slot, e);
    if (st == OK) {
        put_fields(b, &session, &slot, span_of(o.p, o.n), (uint8_t)(have + 1), need);
        slot.used = slot.kind == SLOT_RECOVERY;
        b->change.put[b->change.put_count++] = slot;
        b->change.approved_x = slot.x;
        memcpy(b->change.operation, operation, sizeof(operation));
        b->sealed[0] = (uint8_t)(have + 1);
        b->sealed[1] = need;
        b->result.data = span_of(b->sealed, 2);
    }
    session_clear(&session);
    return st;
}
