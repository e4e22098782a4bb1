/*
 * Sessions: a one-time key and a nonce, good for one attempt within two minutes, or for init, where
 * several operators take their time, half an hour.
 * Several operators may be under way at once; when all places are taken the oldest gives way, so
 * nobody can hold them.
 */
#include <string.h>

#include "base/clock.h"
#include "internal.h"

static struct session *find(struct keeper *k, const struct id *id)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        if (k->sessions[i].live && id_same(&k->sessions[i].opened.session, id))
            return &k->sessions[i];
    }
    return NULL;
}

static struct session *place_for_new(struct keeper *k)
{
    struct session *place = &k->sessions[0];

    for (size_t i = 1; i < SESSIONS && place->live; i++) {
        if (!k->sessions[i].live || k->sessions[i].since_us < place->since_us)
            place = &k->sessions[i];
    }
    return place;
}

void session_clear(struct session *s)
{
    secret_free(s->key);
    *s = (struct session){ 0 };
}

static status describe_init(struct keeper *k, struct wire_session *opened, struct err *e)
{
    if (k->state != KEEPER_EMPTY)
        return fail(e, CONFLICT, "there is a vault already", 0);
    random_bytes((struct mspan){ opened->vault.b, sizeof(opened->vault.b) });
    opened->epoch = 1;
    return OK;
}

/* A slot that is there is asked for its own salts, a new one gets fresh ones. */
static status describe(struct keeper *k, const struct wire_session_request *request,
                       struct wire_session *opened, struct err *e)
{
    static const struct wire_session_request none;
    enum session_purpose purpose = (enum session_purpose)request->purpose;
    bool fresh = purpose == SESSION_INIT || purpose == SESSION_ENROL;
    struct slot slot;

    if (fresh == !id_is_zero(&request->slot) ||
        (purpose != SESSION_APPROVE && !span_same(SPAN(request->operation), SPAN(none.operation))))
        return fail(e, BAD_INPUT, "this session does not name a slot or an operation so", 0);
    random_bytes((struct mspan){ opened->salt, sizeof(opened->salt) });
    random_bytes((struct mspan){ opened->salt_next, sizeof(opened->salt_next) });
    if (purpose == SESSION_INIT)
        return describe_init(k, opened, e);
    if (k->state == KEEPER_EMPTY)
        return fail(e, CONFLICT, "there is no vault yet", 0);
    if ((purpose == SESSION_UNLOCK) != (k->state == KEEPER_LOCKED))
        return purpose == SESSION_UNLOCK ? fail(e, CONFLICT, "the vault is unlocked already", 0)
                                         : fail(e, LOCKED, "the vault is locked", 0);
    opened->vault = keyring_info(k->ring)->vault;
    opened->epoch = keyring_info(k->ring)->epoch;
    if (fresh)
        return OK;
    status st = keyring_slot(k->ring, &request->slot, &slot, NULL);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "no such slot", 0);
    if (st != OK)
        return fail(e, st, "cannot read the slot", 0);
    memcpy(opened->salt, slot.salt, sizeof(opened->salt));
    memcpy(opened->salt_next, slot.salt_next, sizeof(opened->salt_next));
    return OK;
}

/* The client has pinned the ledger key: what is signed with it comes from here, whatever the server
 * in between has become. A locked keeper has no key that could say so. */
static void sign(const struct keeper *k, struct session *s)
{
    struct label l;

    wire_session_signed(&s->request, &s->opened, &l);
    ed25519_sign(secret_view(k->keys.system[SYSTEM_LEDGER]), label_view(&l), s->opened.signature);
}

status keeper_session(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct session made = { 0 };

    wire_get_session_request(body, &made.request);
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = describe(k, &made.request, &made.opened, e);
    if (st == OK)
        st = secret_random(KEY_SIZE, &made.key, e);
    if (st != OK)
        return st;
    random_bytes((struct mspan){ made.opened.session.b, sizeof(made.opened.session.b) });
    random_bytes((struct mspan){ made.opened.nonce, sizeof(made.opened.nonce) });
    box_public(secret_view(made.key), made.opened.keeper_key);
    wire_transcript(&made.request, &made.opened, made.opened.transcript);
    if (k->state == KEEPER_UNLOCKED)
        sign(k, &made);
    made.since_us = keeper_monotonic(k);
    made.live = true;

    struct session *place = place_for_new(k);
    session_clear(place);
    *place = made;
    wire_put_session(reply, &place->opened);
    return OK;
}

status session_take(struct keeper *k, enum session_purpose purpose, const struct id *id,
                    const struct id *slot, struct session *ret_session, struct err *e)
{
    struct session *place = find(k, id);
    uint64_t limit_s = purpose == SESSION_INIT ? INIT_SESSION_S : UNLOCK_SESSION_S;

    if (place == NULL || place->request.purpose != purpose)
        return fail(e, CONFLICT, "no such session", 0);
    if (keeper_monotonic(k) - place->since_us > limit_s * SECOND_US) {
        session_clear(place);
        return fail(e, CONFLICT, "the session is over", 0);
    }
    if (!id_same(&place->request.slot, slot)) {
        session_clear(place);
        return fail(e, CONFLICT, "the session is for another slot", 0);
    }
    *ret_session = *place;
    *place = (struct session){ 0 };
    return OK;
}

status session_open(const struct session *s, struct span sealed, size_t count,
                    struct secret **ret_secrets, struct err *e)
{
    AUTO(secret) *opened = NULL;

    status st = box_open(secret_view(s->key), sealed, &opened, NULL);
    if (st != OK && st != CORRUPT)
        return fail(e, st, "cannot open the sealed secret", 0);
    if (st == CORRUPT)
        return fail(e, DENIED, "the slot did not open", 0);
    struct in i = in_of(secret_view(opened));
    struct span transcript = in_raw(&i, 32);
    struct span secrets = in_raw(&i, 32 * count);
    /* The sender must have meant this very session, not only have known its key. */
    if (!in_end(&i) || !secret_equal(transcript, SPAN(s->opened.transcript)))
        return fail(e, DENIED, "the slot did not open", 0);
    return secret_copy(secrets, ret_secrets, e);
}
