/*
 * Sessions of the keeper, as they pass through here: what was begun by whom, and the check of the
 * touch that answers. Several operators may be at it at once.
 */
#include "session.h"

#include <string.h>

#include "fido/fido.h"

status keeper_call(struct engine *en, struct request *rq, struct in *body, struct err *e)
{
    struct err refused = { 0 };
    status st = engine_call(en, body, &refused);

    if (st == OK)
        return OK;
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "%s", refused.why);
    return err_note(e, st, refused.where, rq->keeper_why, refused.detail);
}

/* All slots, or the one with the given id. */
struct slots {
    struct id wanted;
    bool found;
    struct wire_slot slot;
    struct ways_in ways;
    json_t *list;
};

static json_t *slot_json(const struct wire_slot *slot)
{
    return json_pack(
        "{s:o, s:s, s:s%, s:o, s:o, s:o, s:i, s:i, s:b, s:b, s:o}", "id", json_id(&slot->id),
        "kind", slot->kind == SLOT_KIND_FIDO2 ? "fido2" : "recovery", "label",
        (const char *)slot->label.p, slot->label.n, "credential_id", json_hex(slot->credential_id),
        "public_key", json_hex(SPAN(slot->cose_public)), "aaguid", json_hex(SPAN(slot->aaguid)),
        "share", (int)slot->x, "generation", (int)slot->generation, "pending", (int)slot->pending,
        "used", (int)slot->used, "created", json_time(slot->created_us));
}

static status slots_read(struct engine *en, struct request *rq, struct slots *s, struct err *e)
{
    struct in body;
    uint16_t count;
    status st;

    wire_client_begin(en->client, WIRE_SLOTS);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    count = in_u16(&body);
    for (uint16_t i = 0; i < count && !body.bad; i++) {
        struct wire_slot slot;

        wire_get_slot(&body, &slot);
        if (body.bad)
            break;
        if (id_same(&slot.id, &s->wanted)) {
            s->found = true;
            s->slot = slot;
        }
        s->ways.keys += slot.kind == SLOT_KIND_FIDO2;
        s->ways.cards += slot.kind != SLOT_KIND_FIDO2;
        if (s->list != NULL)
            json_array_append_new(s->list, slot_json(&slot));
    }
    return in_end(&body) ? OK : fail(e, BUG, "the keeper's list of slots is malformed", 0);
}

status session_ways_in(struct engine *en, struct request *rq, struct ways_in *ret_ways,
                       struct err *e)
{
    struct slots s = { .list = NULL };
    status st = slots_read(en, rq, &s, e);

    *ret_ways = s.ways;
    return st;
}

status session_begin(struct engine *en, struct request *rq,
                     const struct wire_session_request *request, struct err *e)
{
    struct slots slots = { .wanted = request->slot };
    struct wire_session opened;
    struct session *s;
    struct in body;
    status st = id_is_zero(&request->slot) ? OK : slots_read(en, rq, &slots, e);

    if (st == OK && !id_is_zero(&request->slot) && !slots.found)
        st = fail(e, NOT_FOUND, "there is no such slot", 0);
    if (st != OK)
        return st;
    wire_put_session_request(wire_client_begin(en->client, WIRE_SESSION), request);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    wire_get_session(&body, &opened);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's session is malformed", 0);
    s = &en->sessions[en->session_next];
    en->session_next = (en->session_next + 1) % SESSIONS;
    *s = (struct session){ .request = *request, .opened = opened, .slot_kind = slots.slot.kind };
    memcpy(s->cose_public, slots.slot.cose_public, sizeof s->cose_public);
    rq->reply = json_pack(
        "{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:s}", "session", json_id(&opened.session),
        "nonce", json_hex(SPAN(opened.nonce)), "keeper_key", json_hex(SPAN(opened.keeper_key)),
        "vault", json_id(&opened.vault), "epoch", (int)opened.epoch, "salt",
        json_hex(SPAN(opened.salt)), "salt_next", json_hex(SPAN(opened.salt_next)), "signature",
        json_hex(SPAN(opened.signature)), "rp_id", FIDO_RP_ID);
    return OK;
}

status session_claim(struct engine *en, const struct request *rq, enum session_purpose purpose,
                     struct session *ret_session, struct err *e)
{
    struct id id;
    status st = body_id(rq, "session", &id, e);

    if (st != OK)
        return st;
    for (size_t i = 0; i < SESSIONS; i++) {
        struct session *s = &en->sessions[i];

        if (id_is_zero(&id) || !id_same(&s->opened.session, &id) || s->request.purpose != purpose)
            continue;
        *ret_session = *s;
        *s = (struct session){ 0 };
        return OK;
    }
    return fail(e, CONFLICT, "the session is over: begin again", 0);
}

void sessions_forget(struct engine *en)
{
    memset(en->sessions, 0, sizeof en->sessions);
}

status read_assertion(const struct request *rq, struct fido_assertion *ret, struct err *e)
{
    struct out auth_data, signature;
    status st;

    out_init(&auth_data, ret->auth_data, sizeof ret->auth_data);
    out_init(&signature, ret->signature, sizeof ret->signature);
    st = body_hex(rq, "auth_data", sizeof ret->auth_data, &auth_data, e);
    if (st == OK)
        st = body_hex(rq, "signature", sizeof ret->signature, &signature, e);
    ret->auth_data_length = auth_data.n;
    ret->signature_length = signature.n;
    return st;
}

status read_enrolment(const struct request *rq, const struct session *session,
                      struct enrolment_input *in, struct err *e)
{
    struct wire_enrolment *m = &in->enrolment;
    struct fido_assertion assertion;
    struct out credential, sealed;
    const char *name;
    status st = body_name(rq, "operator", &name, e);

    out_init(&credential, in->credential, sizeof in->credential);
    out_init(&sealed, in->sealed, sizeof in->sealed);
    if (st == OK)
        st = body_hex(rq, "credential_id", sizeof in->credential, &credential, e);
    if (st == OK)
        st = body_hex_exact(rq, "public_key", m->cose_public, sizeof m->cose_public, e);
    if (st == OK)
        st = body_hex_exact(rq, "aaguid", m->aaguid, sizeof m->aaguid, e);
    if (st == OK)
        st = body_hex(rq, "sealed_secret", sizeof in->sealed, &sealed, e);
    if (st == OK)
        st = read_assertion(rq, &assertion, e);
    if (st == OK)
        st = fido_verify(m->cose_public, SPAN(session->opened.transcript), &assertion, e);
    m->label = span_text(st == OK ? name : "");
    m->credential_id = span_of(in->credential, credential.n);
    m->sealed_secret = span_of(in->sealed, sealed.n);
    return st;
}

APPLY(vault_slots)
{
    struct slots s = { .list = json_array() };
    status st = slots_read(en, rq, &s, e);

    if (st != OK) {
        json_decref(s.list);
        return st;
    }
    rq->reply = json_pack("{s:o}", "slots", s.list);
    return OK;
}

status check_touch(const struct request *rq, const struct session *session,
                   struct fido_assertion *ret_assertion, struct err *e)
{
    struct id slot;
    status st = body_id(rq, "slot", &slot, e);

    *ret_assertion = (struct fido_assertion){ 0 };
    if (st == OK && !id_same(&slot, &session->request.slot))
        st = fail(e, BAD_INPUT, "the session is for another slot", 0);
    if (st != OK || session->slot_kind != SLOT_KIND_FIDO2)
        return st; /* a recovery card has no assertion: its code is the proof */
    st = read_assertion(rq, ret_assertion, e);
    return st == OK ? fido_verify(session->cose_public, SPAN(session->opened.transcript),
                                  ret_assertion, e)
                    : st;
}
