/* The vault as a whole: create, unlock, lock, status. These verbs speak to the keeper directly. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fido/fido.h"
#include "tls_files.h"

static const char *state_name(enum vault_state state)
{
    switch (state) {
    case VAULT_EMPTY: return "empty";
    case VAULT_LOCKED: return "locked";
    case VAULT_UNLOCKED: return "unlocked";
    case VAULT_BROKEN: break;
    }
    return "broken";
}

APPLY(vault_status)
{
    status st = engine_hello(en, e);

    if (st != OK)
        return st;
    rq->reply = json_pack("{s:s, s:s, s:s}", "state", state_name(en->state), "region", en->region,
                          "version", STRONGROOM_VERSION);
    if (rq->peer.role == ROLE_TENANT || rq->peer.role == ROLE_GATEWAY)
        return OK;
    if (en->state == VAULT_BROKEN)
        json_object_set_new(rq->reply, "reason", json_string(en->broken_why));
    json_object_set_new(rq->reply, "vault",
                        id_is_zero(&en->vault) ? json_null() : json_id(&en->vault));
    json_object_set_new(rq->reply, "epoch", json_integer(en->hello.epoch));
    json_object_set_new(rq->reply, "next_purge", json_time(en->hello.next_due_us));
    json_object_set_new(rq->reply, "clock_held", json_boolean(en->hello.clock_held));
    json_object_set_new(rq->reply, "journal", json_integer(en->hello.journal_count));
    json_object_set_new(rq->reply, "time", json_time(en->hello.time_us));
    if (en->state == VAULT_UNLOCKED)
        json_object_set_new(rq->reply, "leases",
                            json_integer((json_int_t)leases_count(en->leases)));
    return OK;
}

/* A refusal's reason must outlive the engine's next call: the reply is sent by another thread. */
static status keeper_call(struct engine *en, struct request *rq, struct in *body, struct err *e)
{
    struct err refused = { 0 };
    status st = engine_call(en, body, &refused);

    if (st == OK)
        return OK;
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "%s", refused.why);
    return err_note(e, st, refused.where, rq->keeper_why, refused.detail);
}

static status session_begin(struct engine *en, struct request *rq, struct err *e)
{
    struct in body;
    status st;

    wire_put_session_request(wire_client_begin(en->client, WIRE_SESSION), &en->session_request);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    wire_get_session(&body, &en->session);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's session is malformed", 0);
    rq->reply = json_pack("{s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:s}", "session",
                          json_id(&en->session.session), "nonce", json_hex(SPAN(en->session.nonce)),
                          "keeper_key", json_hex(SPAN(en->session.keeper_key)), "vault",
                          json_id(&en->session.vault), "epoch", (int)en->session.epoch, "salt",
                          json_hex(SPAN(en->session.salt)), "salt_next",
                          json_hex(SPAN(en->session.salt_next)), "rp_id", FIDO_RP_ID);
    return OK;
}

APPLY(vault_init_session)
{
    en->session_request = (struct wire_session_request){ .purpose = SESSION_INIT };
    return session_begin(en, rq, e);
}

static status read_assertion(struct request *rq, struct fido_assertion *ret, struct err *e)
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

static status check_session(struct engine *en, struct request *rq, struct err *e)
{
    struct id session;
    status st = body_id(rq, "session", &session, e);

    if (st == OK && (id_is_zero(&session) || !id_same(&session, &en->session.session)))
        return fail(e, CONFLICT, "the session is over: begin again", 0);
    return st;
}

/* What init sends to the keeper, read from the body; the buffers stay with the caller. */
struct init_input {
    struct wire_init_request request;
    uint8_t credential[LIMIT_CREDENTIAL_ID];
    uint8_t sealed[256];
    const char *operator_name;
    const char *csr;
};

static status read_init(struct engine *en, struct request *rq, struct init_input *in, struct err *e)
{
    struct fido_assertion assertion;
    struct out credential, sealed;
    status st = check_session(en, rq, e);

    out_init(&credential, in->credential, sizeof in->credential);
    out_init(&sealed, in->sealed, sizeof in->sealed);
    in->request.session = en->session.session;
    in->request.region = span_text(en->settings.region);
    if (st == OK)
        st = body_name(rq, "operator", &in->operator_name, e);
    if (st == OK)
        st = body_text(rq, "csr", false, LIMIT_CSR, &in->csr, e);
    if (st == OK)
        st = body_hex(rq, "credential_id", sizeof in->credential, &credential, e);
    if (st == OK)
        st = body_hex_exact(rq, "public_key", in->request.cose_public, 64, e);
    if (st == OK)
        st = body_hex_exact(rq, "aaguid", in->request.aaguid, 16, e);
    if (st == OK)
        st = body_hex(rq, "sealed_secret", sizeof in->sealed, &sealed, e);
    if (st == OK)
        st = body_hex_exact(rq, "recovery_key", in->request.recovery_key, 32, e);
    if (st == OK)
        st = read_assertion(rq, &assertion, e);
    if (st == OK)
        st = fido_verify(in->request.cose_public, SPAN(en->session.transcript), &assertion, e);
    in->request.label = span_text(st == OK ? in->operator_name : "");
    in->request.credential_id = span_of(in->credential, credential.n);
    in->request.sealed_secret = span_of(in->sealed, sealed.n);
    return st;
}

/* The first records of the vault: its creation, and the first operator's certificate. */
static status init_records(struct engine *en, struct request *rq, const struct store_certificate *c,
                           struct err *e)
{
    struct wire_entry created = { .kind = ENTRY_VAULT_CREATED };
    struct wire_entry issued = { .kind = ENTRY_RECORD, .type = RECORD_CERTIFICATE_ISSUED };
    struct fields f, g;
    status st;

    fields_of(&f, rq);
    fields_text(&f, "operator", c->name);
    created.fields = fields_view(&f);
    fields_of(&g, rq);
    fields_text(&g, "role", role_name((enum role)c->role));
    fields_text(&g, "name", c->name);
    fields_hex(&g, "spki", SPAN(c->spki));
    issued.fields = fields_view(&g);
    st = batch_begin(en, e);
    if (st == OK)
        st = batch_entry(en, NULL, &created, e);
    if (st == OK)
        st = batch_entry(en, NULL, &issued, e);
    if (st == OK)
        st = certificate_keep(en, c, e);
    return st == OK ? batch_finish(en, NULL, e) : st;
}

/* From the keeper's answer on the vault exists. */
static status init_keeper(struct engine *en, struct request *rq, const struct init_input *in,
                          struct err *e)
{
    struct wire_init made;
    struct in body;
    status st;

    wire_put_init_request(wire_client_begin(en->client, WIRE_INIT), &in->request);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    wire_get_init(&body, &made);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's answer to init is malformed", 0);
    rq->reply = json_pack("{s:o, s:o, s:o}", "vault", json_id(&made.vault), "slot",
                          json_id(&made.slot), "sealed_recovery", json_hex(made.sealed_recovery));
    return OK;
}

/* The CA, the server's certificate and the operator's: whatever the request may have wrong shows
 * before the keeper makes a vault that could not be made a second time. */
static status init_certificates(struct engine *en, struct request *rq, struct init_input *in,
                                struct secret **ret_ca_key, struct store_certificate *c,
                                char *ret_pem, struct err *e)
{
    AUTO(identity_ca) *ca = NULL;
    struct identity_request request = { .vault = &en->session.vault,
                                        .role = ROLE_OPERATOR,
                                        .name = in->operator_name,
                                        .now_us = engine_now_us(en),
                                        .days = en->settings.certificate_days };
    status st = tls_files_make(en, &en->session.vault, ret_ca_key, &ca, e);

    if (st != OK)
        return st;
    in->request.ca_key = secret_view(*ret_ca_key);
    return certificate_sign(ca, &request, rq, c, ret_pem, e);
}

APPLY(vault_init)
{
    AUTO(secret) *ca_key = NULL;
    struct init_input in = { 0 };
    struct store_certificate c;
    char pem[LIMIT_CERTIFICATE];
    status st = read_init(en, rq, &in, e);

    /* Another daemon may have made a vault here meanwhile: its certificates must stay. */
    if (st == OK && store_exists(en->settings.store_dir))
        st = fail(e, CONFLICT, "data_dir holds a vault already: restart the daemon", 0);
    if (st == OK)
        st = init_certificates(en, rq, &in, &ca_key, &c, pem, e);
    if (st == OK)
        st = init_keeper(en, rq, &in, e);
    if (st != OK)
        return st;
    st = engine_hello(en, e);
    if (st == OK)
        st = engine_attach(en, true, e);
    if (st == OK)
        st = init_records(en, rq, &c, e);
    if (st != OK) /* the next server finds a vault without an owner and says so */
        engine_die(__func__, e);
    json_object_set_new(rq->reply, "certificate", json_string(pem));
    json_object_set_new(rq->reply, "ca", json_string(en->ca_pem));
    json_object_set_new(rq->reply, "ledger_key", json_hex(SPAN(en->ledger_public)));
    json_object_set_new(rq->reply, "intake_key", json_hex(SPAN(en->intake_public)));
    rq->created = true;
    en->settings.tls_ready(en->settings.tls_context);
    return OK;
}

/* All slots, or the one with the given id. */
struct slots {
    struct id wanted;
    bool found;
    struct wire_slot slot;
    json_t *list;
};

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
        if (s->list != NULL)
            json_array_append_new(s->list, json_pack("{s:o, s:s, s:s%, s:o, s:o, s:o}", "id",
                                                     json_id(&slot.id), "kind",
                                                     slot.kind == 1 ? "fido2" : "recovery", "label",
                                                     (const char *)slot.label.p, slot.label.n,
                                                     "credential_id", json_hex(slot.credential_id),
                                                     "public_key", json_hex(SPAN(slot.cose_public)),
                                                     "aaguid", json_hex(SPAN(slot.aaguid))));
    }
    return in_end(&body) ? OK : fail(e, BUG, "the keeper's list of slots is malformed", 0);
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

APPLY(vault_unlock_session)
{
    status st;

    en->session_request = (struct wire_session_request){ .purpose = SESSION_UNLOCK };
    memcpy(en->session_request.server_certificate, rq->server_certificate, 32);
    st = body_id(rq, "slot", &en->session_request.slot, e);
    return st == OK ? session_begin(en, rq, e) : st;
}

/* A wrong assertion ends the session and goes into the keeper's journal. */
static status unlock_failed(struct engine *en, const struct id *slot, const struct err *why,
                            struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_UNLOCK_FAILED);
    struct in body;

    out_id(out, &en->session.session);
    out_id(out, slot);
    (void)!engine_call(en, &body, NULL); /* the session may be over already */
    en->session = (struct wire_session){ 0 };
    return err_note(e, why->code, why->where, why->why, why->detail);
}

static status check_assertion(struct engine *en, struct request *rq, const struct id *slot_id,
                              struct err *e)
{
    struct slots s = { .wanted = *slot_id };
    struct fido_assertion assertion;
    struct err why = { 0 };
    status st = slots_read(en, rq, &s, e);

    if (st != OK)
        return st;
    if (!s.found)
        return fail(e, NOT_FOUND, "there is no such slot", 0);
    if (s.slot.kind != 1)
        return OK; /* a recovery card has no assertion: its code is the proof */
    st = read_assertion(rq, &assertion, e);
    if (st != OK)
        return st;
    if (fido_verify(s.slot.cose_public, SPAN(en->session.transcript), &assertion, &why) != OK)
        return unlock_failed(en, slot_id, &why, e);
    return OK;
}

static status read_unlock(struct engine *en, struct request *rq,
                          struct wire_unlock_request *request, struct out *sealed, struct err *e)
{
    status st = check_session(en, rq, e);

    if (st == OK)
        st = body_id(rq, "slot", &request->slot, e);
    if (st == OK && !id_same(&request->slot, &en->session_request.slot))
        st = fail(e, BAD_INPUT, "the session is for another slot", 0);
    if (st == OK)
        st = body_hex(rq, "sealed_secret", sealed->cap, sealed, e);
    if (st == OK)
        st = check_assertion(en, rq, &request->slot, e);
    request->session = en->session.session;
    request->sealed_secret = span_of(sealed->p, sealed->n);
    return st;
}

/* The keeper is open. If the database cannot follow, the vault is locked again: an operator can
 * mend what is wrong and unlock once more. */
static status unlocked(struct engine *en, struct request *rq, struct err *e)
{
    struct err trouble = { 0 };
    status st = engine_hello(en, &trouble);

    if (st == OK)
        st = engine_attach(en, false, &trouble);
    if (st == OK)
        return OK;
    log_err(LOG_ERROR_, "the unlocked vault could not be attached", &trouble);
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "locked again: %s", trouble.why);
    if (engine_lock_keeper(en, &trouble) != OK)
        engine_die(__func__, &trouble);
    return err_note(e, LOCKED, __func__, rq->keeper_why, 0);
}

APPLY(vault_unlock)
{
    struct wire_unlock_request request = { 0 };
    struct wire_unlock answer;
    struct err old = { 0 };
    uint8_t sealed[256];
    struct out sealed_out;
    struct in body;
    status st;

    out_init(&sealed_out, sealed, sizeof sealed);
    st = read_unlock(en, rq, &request, &sealed_out, e);
    if (st != OK)
        return st;
    wire_put_unlock_request(wire_client_begin(en->client, WIRE_UNLOCK), &request);
    st = keeper_call(en, rq, &body, e);
    en->session = (struct wire_session){ 0 };
    if (st != OK)
        return st;
    wire_get_unlock(&body, &answer);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's answer to unlock is malformed", 0);
    if (answer.state == KEEPER_UNLOCKED)
        st = unlocked(en, rq, e);
    if (st != OK)
        return st;
    if (en->state == VAULT_UNLOCKED && tls_files_renew(en, &old) != OK)
        log_err(LOG_WARN_, "the server certificate could not be renewed", &old);
    rq->reply = json_pack("{s:s, s:i, s:i}", "state", state_name(en->state), "have",
                          (int)answer.have, "need", (int)answer.need);
    return OK;
}

/* The last records of an open vault: who was refused how often, and who locked it. */
static status lock_records(struct engine *en, struct request *rq, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_VAULT_LOCKED };
    struct fields f;
    status st = refusals_flush(en, true, e);

    fields_of(&f, rq);
    entry.fields = fields_view(&f);
    if (st == OK)
        st = batch_single(en, &entry, &batch_tolerant, e);
    return st == OK ? batch_acknowledge(en, e) : st;
}

/* The keys go whatever becomes of the records: a full disk must not keep the vault open. */
APPLY(vault_lock)
{
    bool open = en->state == VAULT_UNLOCKED;
    struct err trouble = { 0 };
    status st;

    (void)e;
    rq->reply = json_pack("{s:s}", "state", "locked");
    if (en->state == VAULT_LOCKED)
        return OK;
    st = open ? lock_records(en, rq, &trouble) : OK;
    if (engine_lock_keeper(en, &trouble) != OK || st != OK)
        engine_die(__func__, &trouble);
    return OK;
}

APPLY(vault_clock_confirm)
{
    struct wire_entry entry = { .kind = ENTRY_CLOCK_CONFIRM };
    struct fields f;

    fields_of(&f, rq);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(vault_clock_confirmed)
{
    (void)en;
    (void)result;
    (void)e;
    rq->reply = json_object();
    return OK;
}

APPLY(vault_public_keys)
{
    (void)e;
    rq->reply = json_pack("{s:o, s:o}", "intake_key", json_hex(SPAN(en->intake_public)),
                          "ledger_key", json_hex(SPAN(en->ledger_public)));
    return OK;
}
