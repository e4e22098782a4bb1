/* The birth of a vault: the operators' hardware keys, the CA, the first certificate. */
#include <stdlib.h>
#include <string.h>

#include "session.h"
#include "tls_files.h"

APPLY(vault_init_session)
{
    const struct wire_session_request request = { .purpose = SESSION_INIT };

    return session_begin(en, rq, &request, e);
}

/* What init sends to the keeper, read from the body. */
struct init_input {
    struct wire_init_request request;
    struct session session;
    struct enrolment_input operators[INIT_OPERATORS_MAX];
    char operator_name[STORE_NAME]; /* the first, whose machine this is */
};

#define OPERATOR_MEMBERS 7

static status read_operators(const struct request *rq, struct init_input *in, struct err *e)
{
    const json_t *list = json_object_get(rq->body, "operators");
    size_t count = json_array_size(list);
    const char *name;
    status st = OK;

    if (count == 0 || count > INIT_OPERATORS_MAX)
        return fail(e, BAD_INPUT, "operators is a list of 1 to 16", 0);
    for (size_t i = 0; st == OK && i < count; i++) {
        const struct request one = { .body = json_array_get(list, i) };

        if (json_object_size(one.body) != OPERATOR_MEMBERS)
            return fail(e, BAD_INPUT, "an operator has seven members", 0);
        st = read_enrolment(&one, &in->session, &in->operators[i], e);
        in->request.operators[i] = in->operators[i].enrolment;
        if (st == OK && i == 0 && body_name(&one, "operator", &name, e) == OK)
            snprintf(in->operator_name, sizeof in->operator_name, "%s", name);
    }
    in->request.operator_count = (uint8_t)count;
    return st;
}

static status read_init(struct engine *en, struct request *rq, struct init_input *in, struct err *e)
{
    const char *csr;
    uint64_t quorum = 1, cards = 1;
    status st = session_claim(en, rq, SESSION_INIT, &in->session, e);

    in->request.session = in->session.opened.session;
    in->request.region = span_text(en->settings.region);
    if (st == OK)
        st = body_text(rq, "csr", false, LIMIT_CSR, &csr, e);
    if (st == OK)
        st = body_number(rq, "quorum", 1, 1, INIT_OPERATORS_MAX, &quorum, e);
    if (st == OK)
        st = body_number(rq, "cards", quorum, 0, CARDS_MAX, &cards, e);
    if (st == OK)
        st = body_hex_exact(rq, "recovery_key", in->request.recovery_key, 32, e);
    in->request.quorum = (uint8_t)quorum;
    in->request.cards = (uint8_t)cards;
    return st == OK ? read_operators(rq, in, e) : st;
}

/* The first records of the vault: its creation, and the first operator's certificate. */
static status init_records(struct engine *en, struct request *rq, const struct store_certificate *c,
                           struct err *e)
{
    struct wire_entry created = { .kind = ENTRY_VAULT_CREATED };
    struct wire_entry issued = { .kind = ENTRY_RECORD, .type = RECORD_CERTIFICATE_ISSUED };
    struct fields f, g;
    status st;

    fields_of(en, &f, rq, &created.log);
    created.fields = fields_view(&f);
    fields_of(en, &g, rq, &issued.log);
    fields_text(&g, "role", role_name((enum role)c->role));
    fields_person(en, &g, "name", c->name, &issued.log);
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
    json_t *slots;
    status st;

    wire_put_init_request(wire_client_begin(en->client, WIRE_INIT), &in->request);
    st = keeper_call(en, rq, &body, e);
    if (st != OK)
        return st;
    wire_get_init(&body, &made);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's answer to init is malformed", 0);
    slots = json_array();
    for (size_t i = 0; i < made.slot_count; i++)
        json_array_append_new(slots, json_id(&made.slots[i]));
    rq->reply = json_pack("{s:o, s:o, s:o}", "vault", json_id(&made.vault), "slots", slots,
                          "sealed_cards", json_hex(made.sealed_cards));
    return OK;
}

/* The CA, the server's certificate and the operator's: whatever the request may have wrong shows
 * before the keeper makes a vault that could not be made a second time. */
static status init_certificates(struct engine *en, struct request *rq, struct init_input *in,
                                struct secret **ret_ca_key, struct store_certificate *c,
                                char *ret_pem, struct err *e)
{
    AUTO(identity_ca) *ca = NULL;
    struct identity_request request = { .vault = &in->session.opened.vault,
                                        .role = ROLE_OPERATOR,
                                        .name = in->operator_name,
                                        .now_us = engine_now_us(en),
                                        .days = en->settings.certificate_days };
    status st = tls_files_make(en, &in->session.opened.vault, ret_ca_key, &ca, e);

    if (st != OK)
        return st;
    in->request.ca_key = secret_view(*ret_ca_key);
    return certificate_sign(ca, &request, rq, c, ret_pem, e);
}

APPLY(vault_init)
{
    AUTO(secret) *ca_key = NULL;
    struct init_input *in = rq->plan = calloc(1, sizeof *in);
    struct store_certificate c;
    char pem[LIMIT_CERTIFICATE];
    status st = in == NULL ? fail(e, NO_MEMORY, "no memory for init", 0) : read_init(en, rq, in, e);

    /* Another daemon may have made a vault here meanwhile: its certificates must stay. */
    if (st == OK && store_exists(en->settings.store_dir))
        st = fail(e, CONFLICT, "data_dir holds a vault already: restart the daemon", 0);
    if (st == OK)
        st = init_certificates(en, rq, in, &ca_key, &c, pem, e);
    if (st == OK)
        st = init_keeper(en, rq, in, e);
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
    json_object_set_new(rq->reply, "delivery_key", json_hex(SPAN(en->delivery_public)));
    rq->created = true;
    en->settings.tls_ready(en->settings.tls_context, false);
    return OK;
}
