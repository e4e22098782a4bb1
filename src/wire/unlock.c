/*
 * The messages of init and unlock, and the transcript that ties the touch of a hardware key to
 * one session, one keeper key, one server certificate and one slot.
 */
#include "crypto/crypto.h"
#include "internal.h"

#define LABEL_MAX 63

/* T | two secrets, sealed; the recovery card has only one. */
#define SEALED_SECRET_MAX (3 * 32 + BOX_OVERHEAD)

static bool purpose_known(uint8_t purpose)
{
    return purpose == SESSION_INIT || purpose == SESSION_UNLOCK;
}

void wire_put_session_request(struct out *o, const struct wire_session_request *m)
{
    out_u8(o, m->purpose);
    out_raw(o, SPAN(m->server_certificate));
    out_id(o, &m->slot);
}

void wire_get_session_request(struct in *i, struct wire_session_request *m)
{
    m->purpose = in_u8(i);
    in_copy(i, m->server_certificate, sizeof(m->server_certificate));
    m->slot = in_id(i);
    if (!purpose_known(m->purpose))
        i->bad = true;
}

void wire_put_session(struct out *o, const struct wire_session *m)
{
    out_id(o, &m->session);
    out_raw(o, SPAN(m->nonce));
    out_raw(o, SPAN(m->keeper_key));
    out_id(o, &m->vault);
    out_u32(o, m->epoch);
    out_raw(o, SPAN(m->salt));
    out_raw(o, SPAN(m->salt_next));
    out_raw(o, SPAN(m->transcript));
}

void wire_get_session(struct in *i, struct wire_session *m)
{
    m->session = in_id(i);
    in_copy(i, m->nonce, sizeof(m->nonce));
    in_copy(i, m->keeper_key, sizeof(m->keeper_key));
    m->vault = in_id(i);
    m->epoch = in_u32(i);
    in_copy(i, m->salt, sizeof(m->salt));
    in_copy(i, m->salt_next, sizeof(m->salt_next));
    in_copy(i, m->transcript, sizeof(m->transcript));
}

void wire_transcript(const struct wire_session_request *request, const struct wire_session *session,
                     uint8_t out[static 32])
{
    struct label label;
    label_init(&label, "unlock");
    label_u16(&label, request->purpose);
    label_id(&label, &session->vault);
    label_id(&label, &session->session);
    label_field(&label, SPAN(session->nonce));
    label_field(&label, SPAN(session->keeper_key));
    label_field(&label, SPAN(request->server_certificate));
    label_id(&label, &request->slot);
    label_u32(&label, session->epoch);
    sha256(label_view(&label), out);
}

void wire_put_slot(struct out *o, const struct wire_slot *m)
{
    out_id(o, &m->id);
    out_u8(o, m->kind);
    out_u8(o, m->user_verification);
    out_u32(o, m->generation);
    out_span16(o, m->label);
    out_span16(o, m->credential_id);
    out_raw(o, SPAN(m->cose_public));
    out_raw(o, SPAN(m->aaguid));
}

void wire_get_slot(struct in *i, struct wire_slot *m)
{
    m->id = in_id(i);
    m->kind = in_u8(i);
    m->user_verification = in_u8(i);
    m->generation = in_u32(i);
    m->label = wire_get_bounded(i, LABEL_MAX);
    m->credential_id = wire_get_bounded(i, LIMIT_CREDENTIAL_ID);
    in_copy(i, m->cose_public, sizeof(m->cose_public));
    in_copy(i, m->aaguid, sizeof(m->aaguid));
    if (m->user_verification > 1)
        i->bad = true;
}

void wire_put_init_request(struct out *o, const struct wire_init_request *m)
{
    out_id(o, &m->session);
    out_span16(o, m->region);
    out_span16(o, m->label);
    out_span16(o, m->credential_id);
    out_raw(o, SPAN(m->cose_public));
    out_raw(o, SPAN(m->aaguid));
    out_span16(o, m->sealed_secret);
    out_raw(o, SPAN(m->recovery_key));
    out_span16(o, m->ca_key);
}

void wire_get_init_request(struct in *i, struct wire_init_request *m)
{
    m->session = in_id(i);
    m->region = wire_get_bounded(i, LIMIT_REGION);
    m->label = wire_get_bounded(i, LABEL_MAX);
    m->credential_id = wire_get_bounded(i, LIMIT_CREDENTIAL_ID);
    in_copy(i, m->cose_public, sizeof(m->cose_public));
    in_copy(i, m->aaguid, sizeof(m->aaguid));
    m->sealed_secret = wire_get_bounded(i, SEALED_SECRET_MAX);
    in_copy(i, m->recovery_key, sizeof(m->recovery_key));
    m->ca_key = in_span16(i);
    if (m->ca_key.n != 32)
        i->bad = true;
}

void wire_put_init(struct out *o, const struct wire_init *m)
{
    out_id(o, &m->vault);
    out_id(o, &m->slot);
    out_span16(o, m->sealed_recovery);
}

void wire_get_init(struct in *i, struct wire_init *m)
{
    m->vault = in_id(i);
    m->slot = in_id(i);
    m->sealed_recovery = in_span16(i);
    if (m->sealed_recovery.n != 16 + 32 + BOX_OVERHEAD)
        i->bad = true;
}

void wire_put_unlock_request(struct out *o, const struct wire_unlock_request *m)
{
    out_id(o, &m->session);
    out_id(o, &m->slot);
    out_span16(o, m->sealed_secret);
}

void wire_get_unlock_request(struct in *i, struct wire_unlock_request *m)
{
    m->session = in_id(i);
    m->slot = in_id(i);
    m->sealed_secret = wire_get_bounded(i, SEALED_SECRET_MAX);
}

void wire_put_unlock(struct out *o, const struct wire_unlock *m)
{
    out_u8(o, m->state);
    out_u8(o, m->have);
    out_u8(o, m->need);
}

void wire_get_unlock(struct in *i, struct wire_unlock *m)
{
    m->state = in_u8(i);
    m->have = in_u8(i);
    m->need = in_u8(i);
    if (m->state > KEEPER_BROKEN)
        i->bad = true;
}
