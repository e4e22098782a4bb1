/*
 * Sessions of init and unlock: a one-time key and a nonce, good for one attempt within
 * UNLOCK_SESSION_S seconds. One of each purpose exists at a time; a new one replaces the old, so
 * nobody can hold the place.
 */
#include "base/clock.h"
#include "internal.h"

/* Names one purpose's place. */
static struct session *place_of(struct keeper *k, enum session_purpose purpose)
{
    return &k->sessions[purpose == SESSION_INIT ? 0 : 1];
}

void session_clear(struct session *s)
{
    secret_free(s->key);
    *s = (struct session){ 0 };
}

/* What the client needs to know beside nonce and key. */
static status describe(struct keeper *k, const struct wire_session_request *request,
                       struct wire_session *opened, struct err *e)
{
    static const uint8_t zeros[32];
    struct slot slot;

    if (request->purpose == SESSION_INIT) {
        if (k->state != KEEPER_EMPTY)
            return fail(e, CONFLICT, "there is a vault already", 0);
        if (!id_is_zero(&request->slot) ||
            !span_same(SPAN(request->server_certificate), SPAN(zeros)))
            return fail(e, BAD_INPUT, "init names neither slot nor certificate", 0);
        random_bytes((struct mspan){ opened->vault.b, sizeof(opened->vault.b) });
        opened->epoch = 1;
        random_bytes((struct mspan){ opened->salt, sizeof(opened->salt) });
        random_bytes((struct mspan){ opened->salt_next, sizeof(opened->salt_next) });
        return OK;
    }
    if (k->state != KEEPER_LOCKED)
        return fail(e, CONFLICT, "there is no vault yet", 0);
    status st = keyring_slot(k->ring, &request->slot, &slot, NULL);
    if (st == NOT_FOUND)
        return fail(e, NOT_FOUND, "no such slot", 0);
    if (st != OK)
        return fail(e, st, "cannot read the slot", 0);
    opened->vault = keyring_info(k->ring)->vault;
    opened->epoch = keyring_info(k->ring)->epoch;
    struct out o;
    out_init(&o, opened->salt, sizeof(opened->salt));
    out_raw(&o, SPAN(slot.salt));
    out_init(&o, opened->salt_next, sizeof(opened->salt_next));
    out_raw(&o, SPAN(slot.salt_next));
    return OK;
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
    made.since_us = keeper_monotonic(k);
    made.live = true;

    struct session *place = place_of(k, (enum session_purpose)made.request.purpose);
    session_clear(place);
    *place = made;
    wire_put_session(reply, &place->opened);
    return OK;
}

status session_take(struct keeper *k, enum session_purpose purpose, const struct id *id,
                    const struct id *slot, struct session *ret_session, struct err *e)
{
    struct session *place = place_of(k, purpose);

    if (!place->live || !id_same(&place->opened.session, id))
        return fail(e, CONFLICT, "no such session", 0);
    if (keeper_monotonic(k) - place->since_us > UNLOCK_SESSION_S * SECOND_US) {
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
