/*
 * New slots: of a hardware key that an operator enrolled, and of recovery cards. Enrolling changes
 * nothing on disk: the slot waits in memory until its operator.add is approved. What opens it is
 * forgotten at once: the slot is dealt its share by its public key.
 */
#include <string.h>

#include "base/clock.h"
#include "internal.h"

static status describe(struct slot *slot, const struct wire_enrolment *m, struct err *e)
{
    if (m->label.n == 0 || m->label.n > SLOT_LABEL || memchr(m->label.p, 0, m->label.n) != NULL)
        return fail(e, BAD_INPUT, "operator name is not valid", 0);
    memcpy(slot->label, m->label.p, m->label.n);
    if (!name_valid(slot->label))
        return fail(e, BAD_INPUT, "operator name is not valid", 0);
    if (m->credential_id.n == 0 || m->credential_id.n > LIMIT_CREDENTIAL_ID)
        return fail(e, BAD_INPUT, "credential id has a bad length", 0);
    slot->credential_id_length = (uint16_t)m->credential_id.n;
    memcpy(slot->credential_id, m->credential_id.p, m->credential_id.n);
    memcpy(slot->cose_public, m->cose_public, sizeof(slot->cose_public));
    memcpy(slot->aaguid, m->aaguid, sizeof(slot->aaguid));
    return OK;
}

static void begin(struct slot *slot, uint8_t kind, uint64_t now_us)
{
    *slot = (struct slot){ .kind = kind, .generation = 1, .created_us = now_us };
    random_bytes((struct mspan){ slot->id.b, sizeof(slot->id.b) });
}

status enrol_slot(const struct id *vault, const struct session *session,
                  const struct wire_enrolment *m, uint64_t now_us, struct slot *ret_slot,
                  struct err *e)
{
    AUTO(secret) *secrets = NULL;

    begin(ret_slot, SLOT_FIDO2, now_us);
    ret_slot->user_verification = 1;
    memcpy(ret_slot->salt, session->opened.salt, sizeof(ret_slot->salt));
    memcpy(ret_slot->salt_next, session->opened.salt_next, sizeof(ret_slot->salt_next));
    status st = describe(ret_slot, m, e);
    if (st == OK)
        st = session_open(session, m->sealed_secret, session_secrets(SLOT_FIDO2), &secrets, e);
    if (st != OK)
        return st;
    return slot_make(vault, span_of(secret_view(secrets).p, KEY_SIZE), ret_slot, e);
}

status enrol_card(const struct id *vault, uint64_t now_us, struct slot *ret_slot,
                  struct secret **ret_code, struct err *e)
{
    AUTO(secret) *code = NULL;

    begin(ret_slot, SLOT_RECOVERY, now_us);
    memcpy(ret_slot->label, "recovery", sizeof("recovery"));
    random_bytes((struct mspan){ ret_slot->salt, sizeof(ret_slot->salt) });
    status st = secret_random(KEY_SIZE, &code, e);
    if (st == OK)
        st = slot_make(vault, secret_view(code), ret_slot, e);
    if (st != OK)
        return st;
    *ret_code = code;
    code = NULL;
    return OK;
}

size_t keeper_all_slots(const struct keeper *k, struct slot slots[static SLOTS_ROOM])
{
    size_t cursor = 0;
    size_t count = 0;

    while (count < SLOTS_ROOM && keyring_next_slot(k->ring, &cursor, &slots[count]))
        count++;
    return count;
}

/* --- waiting for approval -------------------------------------------------------------------- */

static bool waits(const struct keeper *k, const struct candidate *c)
{
    return c->since_us != 0 && keeper_monotonic(k) - c->since_us <= APPROVAL_S * SECOND_US;
}

const struct slot *enrol_candidate(struct keeper *k, const struct id *slot)
{
    for (size_t i = 0; i < CANDIDATES; i++) {
        if (waits(k, &k->candidates[i]) && id_same(&k->candidates[i].slot.id, slot))
            return &k->candidates[i].slot;
    }
    return NULL;
}

/* A place that is free or whose time is over, else the oldest. */
static struct candidate *place_for_new(struct keeper *k)
{
    struct candidate *place = &k->candidates[0];

    for (size_t i = 1; i < CANDIDATES && waits(k, place); i++) {
        if (!waits(k, &k->candidates[i]) || k->candidates[i].since_us < place->since_us)
            place = &k->candidates[i];
    }
    return place;
}

bool enrol_known(const struct keeper *k, const struct slot *wanted)
{
    struct slot slot;
    size_t cursor = 0;

    while (keyring_next_slot(k->ring, &cursor, &slot)) {
        if (slot.kind == SLOT_FIDO2 && span_same(SPAN(slot.cose_public), SPAN(wanted->cose_public)))
            return true;
    }
    return false;
}

status keeper_enrol(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct session session = { 0 };
    struct wire_enrolment m;
    struct slot slot;
    const struct id no_slot = { { 0 } };
    struct id id = in_id(body);

    wire_get_enrolment(body, &m);
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = session_take(k, SESSION_ENROL, &id, &no_slot, &session, e);
    if (st == OK)
        st = enrol_slot(&keyring_info(k->ring)->vault, &session, &m, keeper_now(k), &slot, e);
    if (st == OK && enrol_known(k, &slot))
        st = fail(e, CONFLICT, "this hardware key is enrolled already", 0);
    session_clear(&session);
    if (st != OK)
        return st;
    *place_for_new(k) = (struct candidate){ .since_us = keeper_monotonic(k), .slot = slot };
    out_id(reply, &slot.id);
    return OK;
}
