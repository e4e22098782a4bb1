/*
 * The messages of init and unlock, and the transcript that ties the touch of a hardware key to
 * one session, one keeper key, one server certificate and one slot.
 */
#include "crypto/crypto.h"
#include "internal.h"

#include <string.h>

#include "wire/operation.h"

#define LABEL_MAX 63

/* T | two secrets, sealed; the recovery card has only one. */
#define SEALED_SECRET_MAX (3 * 32 + BOX_OVERHEAD)

static bool purpose_known(uint8_t purpose)
{
    return purpose >= SESSION_INIT && purpose <= SESSION_APPROVE;
}

void wire_put_session_request(struct out *o, const struct wire_session_request *m)
{
    out_u8(o, m->purpose);
    out_raw(o, SPAN(m->server_certificate));
    out_id(o, &m->slot);
    out_raw(o, SPAN(m->operation));
}

void wire_get_session_request(struct in *i, struct wire_session_request *m)
{
    m->purpose = in_u8(i);
    in_copy(i, m->server_certificate, sizeof(m->server_certificate));
    m->slot = in_id(i);
    in_copy(i, m->operation, sizeof(m->operation));
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
    out_raw(o, SPAN(m->signature));
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
    in_copy(i, m->signature, sizeof(m->signature));
}

void wire_context(const struct wire_session_request *request, const struct wire_session *session,
                  uint8_t out[static 32])
{
    struct label label;
    label_init(&label, "session");
    label_u16(&label, request->purpose);
    label_id(&label, &session->vault);
    label_id(&label, &session->session);
    label_field(&label, SPAN(session->nonce));
    label_field(&label, SPAN(session->keeper_key));
    label_field(&label, SPAN(request->server_certificate));
    label_id(&label, &request->slot);
    label_u32(&label, session->epoch);
    label_field(&label, SPAN(session->salt));
    label_field(&label, SPAN(session->salt_next));
    sha256(label_view(&label), out);
}

void wire_transcript(const struct wire_session_request *request, const struct wire_session *session,
                     uint8_t out[static 32])
{
    uint8_t context[32];

    wire_context(request, session, context);
    if (request->purpose == SESSION_APPROVE)
        operation_signed(request->operation, context, out);
    else
        memcpy(out, context, sizeof(context));
}

void wire_session_signed(const struct wire_session_request *request,
                         const struct wire_session *session, struct label *ret_label)
{
    uint8_t context[32];

    wire_context(request, session, context);
    label_init(ret_label, "session-key");
    label_field(ret_label, SPAN(context));
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
    out_u8(o, m->x);
    out_u8(o, m->used);
    out_u8(o, m->pending);
    out_u64(o, m->created_us);
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
    m->x = in_u8(i);
    m->used = in_u8(i);
    m->pending = in_u8(i);
    m->created_us = in_u64(i);
    if (m->user_verification > 1 || m->used > 1 || m->pending > 1)
        i->bad = true;
}

void wire_put_enrolment(struct out *o, const struct wire_enrolment *m)
{
    out_span16(o, m->label);
    out_span16(o, m->credential_id);
    out_raw(o, SPAN(m->cose_public));
    out_raw(o, SPAN(m->aaguid));
    out_span16(o, m->sealed_secret);
}

void wire_get_enrolment(struct in *i, struct wire_enrolment *m)
{
    m->label = wire_get_bounded(i, LABEL_MAX);
    m->credential_id = wire_get_bounded(i, LIMIT_CREDENTIAL_ID);
    in_copy(i, m->cose_public, sizeof(m->cose_public));
    in_copy(i, m->aaguid, sizeof(m->aaguid));
    m->sealed_secret = wire_get_bounded(i, SEALED_SECRET_MAX);
}

void wire_put_init_request(struct out *o, const struct wire_init_request *m)
{
    out_id(o, &m->session);
    out_span16(o, m->region);
    out_u8(o, m->quorum);
    out_u8(o, m->cards);
    out_raw(o, SPAN(m->recovery_key));
    out_span16(o, m->ca_key);
    out_u8(o, m->operator_count);
    for (size_t i = 0; i < m->operator_count && i < INIT_OPERATORS_MAX; i++)
        wire_put_enrolment(o, &m->operators[i]);
}

void wire_get_init_request(struct in *i, struct wire_init_request *m)
{
    m->session = in_id(i);
    m->region = wire_get_bounded(i, LIMIT_REGION);
    m->quorum = in_u8(i);
    m->cards = in_u8(i);
    in_copy(i, m->recovery_key, sizeof(m->recovery_key));
    m->ca_key = in_span16(i);
    m->operator_count = in_u8(i);
    if (m->ca_key.n != 32 || m->operator_count == 0 || m->operator_count > INIT_OPERATORS_MAX ||
        m->cards > CARDS_MAX) {
        i->bad = true;
        return;
    }
    for (size_t k = 0; k < m->operator_count; k++)
        wire_get_enrolment(i, &m->operators[k]);
}

void wire_put_init(struct out *o, const struct wire_init *m)
{
    out_id(o, &m->vault);
    out_u8(o, m->slot_count);
    for (size_t i = 0; i < m->slot_count && i < INIT_OPERATORS_MAX; i++)
        out_id(o, &m->slots[i]);
    out_span16(o, m->sealed_cards);
}

void wire_get_init(struct in *i, struct wire_init *m)
{
    m->vault = in_id(i);
    m->slot_count = in_u8(i);
    if (m->slot_count > INIT_OPERATORS_MAX) {
        i->bad = true;
        return;
    }
    for (size_t k = 0; k < m->slot_count; k++)
        m->slots[k] = in_id(i);
    m->sealed_cards = wire_get_bounded(i, CARDS_MAX * (16 + 32) + BOX_OVERHEAD);
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
