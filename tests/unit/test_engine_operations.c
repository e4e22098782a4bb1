/* wrap: store_commit store_commit_append */
/* Privileged operations over the verbs: proposed, approved by touches, carried out, and finished
 * after a crash between keyring and database. */
#include "engine_customer.h"

#include "fido/fido.h"

/* --- a server that dies at a commit ---------------------------------------------------------- */

static unsigned kill_at; /* the commit at which it dies, from 1; 0: none */
static unsigned commits;

status __real_store_commit(struct store *s, struct err *e);
status __wrap_store_commit(struct store *s, struct err *e);

status __wrap_store_commit(struct store *s, struct err *e)
{
    if (kill_at != 0 && ++commits == kill_at)
        raise(SIGKILL);
    return __real_store_commit(s, e);
}

/* A batch that only appends is committed by this one. */
status __wrap_store_commit_append(struct store *s, struct err *e);
status __real_store_commit_append(struct store *s, struct err *e);

status __wrap_store_commit_append(struct store *s, struct err *e)
{
    if (kill_at != 0 && ++commits == kill_at)
        raise(SIGKILL);
    return __real_store_commit_append(s, e);
}

/* --- people ---------------------------------------------------------------------------------- */

/* A hardware key beside the one that the rig holds. */
struct person {
    gnutls_privkey_t authenticator;
    uint8_t cose[64];
    uint8_t device_secret[32];
    struct id slot;
};

/* The rig's key is now this one, and the other way round. */
static void swap_hands(struct rig *r, struct person *p)
{
    struct person other = { .authenticator = r->authenticator, .slot = r->slot };

    memcpy(other.cose, r->cose, sizeof other.cose);
    memcpy(other.device_secret, r->device_secret, sizeof other.device_secret);
    r->authenticator = p->authenticator;
    r->slot = p->slot;
    memcpy(r->cose, p->cose, sizeof p->cose);
    memcpy(r->device_secret, p->device_secret, sizeof p->device_secret);
    *p = other;
}

static struct person person_new(struct rig *r)
{
    struct person p = { .authenticator = r->authenticator, .slot = r->slot };

    memcpy(p.cose, r->cose, sizeof p.cose);
    memcpy(p.device_secret, r->device_secret, sizeof p.device_secret);
    memset(r->cose, 0, sizeof r->cose);
    rig_make_authenticator(r);
    swap_hands(r, &p);
    return p;
}

static void person_free(struct person *p)
{
    gnutls_privkey_deinit(p->authenticator);
}

/* --- proposals and approvals ----------------------------------------------------------------- */

static json_t *propose(struct rig *r, json_t *body)
{
    json_t *o = rig_get(r, VERB_OPERATION_PROPOSE, &r->alice, NULL, NULL, body);

    assert_string_equal(rig_text(o, "state"), "pending");
    return o;
}

static json_t *simple(const char *operation)
{
    return json_pack("{s:s}", "operation", operation);
}

static json_t *about(const struct customer *c, const char *operation)
{
    return json_pack("{s:s, s:s, s:s}", "operation", operation, "tenant", c->tenant, "engagement",
                     "work");
}

/* The body of an approval with the rig's hardware key. */
static json_t *touched(struct rig *r, const json_t *o)
{
    json_t *slot = json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b)));
    json_t *opened = rig_get(r, VERB_OPERATION_SESSION, &r->alice, rig_text(o, "id"), NULL, slot);
    json_t *body = rig_prove(r, opened, SESSION_APPROVE, rig_text(o, "text"));

    json_object_set_new(body, "slot", rig_as_hex(SPAN(r->slot.b)));
    json_decref(opened);
    return body;
}

static struct request *approve(struct rig *r, const json_t *o)
{
    return rig_ask(r, VERB_OPERATION_APPROVE, &r->alice, rig_text(o, "id"), NULL, touched(r, o));
}

/* Proposed and approved by the one who must; what became of it. */
static status carry_out(struct rig *r, json_t *body)
{
    json_t *o = propose(r, body);
    struct request *rq = approve(r, o);
    status st = rq->outcome;

    if (st == OK)
        assert_string_equal(rig_text(rq->reply, "state"), "done");
    request_free(rq);
    json_decref(o);
    return st;
}

static json_t *show(struct rig *r, const json_t *o)
{
    return rig_get(r, VERB_OPERATION_SHOW, &r->alice, rig_text(o, "id"), NULL, NULL);
}

static size_t listed(struct rig *r)
{
    json_t *reply = rig_get(r, VERB_OPERATION_LIST, &r->alice, NULL, NULL, NULL);
    size_t count = json_array_size(json_object_get(reply, "operations"));

    json_decref(reply);
    return count;
}

static void a_proposal_waits_for_its_touch_and_is_then_carried_out(void **state)
{
    struct rig *r = rig_new();
    json_t *o = propose(r, simple("rekey.root")), *shown;
    struct request *rq;

    (void)state;
    assert_int_equal(strncmp(rig_text(o, "text"), "rekey.root id=", 14), 0);
    assert_string_equal(rig_text(o, "proposer"), "operator:alice");
    assert_int_equal(listed(r), 1);
    assert_int_equal(recorded(r, "vault", TYPE("operation.proposed")), 1);
    assert_int_equal(recorded(r, "vault", TYPE("rekey.begun")), 0);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, OK);
    assert_string_equal(rig_text(rq->reply, "state"), "done");
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "have")), 1);
    request_free(rq);
    assert_int_equal(recorded(r, "vault", TYPE("rekey.begun")), 1);
    assert_int_equal(listed(r), 0);
    shown = show(r, o);
    assert_string_equal(rig_text(shown, "state"), "done");
    json_decref(shown);
    /* It was for once. */
    assert_int_equal(rig_try(r, VERB_OPERATION_SESSION, &r->alice, rig_text(o, "id"), NULL,
                             json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b)))),
                     CONFLICT);
    json_decref(o);
    rig_free(r);
}

static void record_bytes(const char *line, const char *field, uint8_t *bytes, size_t *n)
{
    struct span value;

    rig_must(record_field(span_text(line), field, &value) && value.n / 2 <= *n, field);
    *n = value.n / 2;
    rig_must(hex_parse((const char *)value.p, value.n, bytes, *n), field);
}

/* By nothing but what the trail says. */
static void whoever_has_the_trail_can_check_the_signature(void **state)
{
    struct rig *r = rig_new();
    struct fido_assertion assertion = { .auth_data_length = 0 };
    uint8_t cose[64], context[32], operation[32], signed_[32];
    size_t cose_n = 64, context_n = 32;
    char *lines, *line;
    struct span text;

    (void)state;
    assert_int_equal(carry_out(r, simple("rekey.root")), OK);
    lines = trail(r, "vault");
    line = strstr(lines, TYPE("operation.approved"));
    assert_non_null(line);
    while (line > lines && line[-1] != '\n')
        line--;
    *strchr(line, '\n') = '\0';
    rig_must(record_field(span_text(line), "text", &text), "text");
    operation_hash(text, operation);
    record_bytes(line, "context", context, &context_n);
    record_bytes(line, "public_key", cose, &cose_n);
    assertion.auth_data_length = sizeof assertion.auth_data;
    record_bytes(line, "auth_data", assertion.auth_data, &assertion.auth_data_length);
    assertion.signature_length = sizeof assertion.signature;
    record_bytes(line, "signature", assertion.signature, &assertion.signature_length);
    operation_signed(operation, context, signed_);
    assert_int_equal(fido_verify(cose, SPAN(signed_), &assertion, NULL), OK);
    signed_[0] ^= 1;
    assert_int_equal(fido_verify(cose, SPAN(signed_), &assertion, NULL), DENIED);
    free(lines);
    rig_free(r);
}

static void a_withdrawn_proposal_is_gone_and_on_record(void **state)
{
    struct rig *r = rig_new();
    json_t *o = propose(r, simple("rekey.root"));
    json_t *body = touched(r, o);

    (void)state;
    rig_do(r, VERB_OPERATION_WITHDRAW, &r->alice, rig_text(o, "id"), NULL, NULL);
    assert_int_equal(recorded(r, "vault", TYPE("operation.withdrawn")), 1);
    assert_int_equal(rig_try(r, VERB_OPERATION_SHOW, &r->alice, rig_text(o, "id"), NULL, NULL),
                     NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_OPERATION_APPROVE, &r->alice, rig_text(o, "id"), NULL, body),
                     NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_OPERATION_WITHDRAW, &r->alice, rig_text(o, "id"), NULL, NULL),
                     NOT_FOUND);
    assert_int_equal(recorded(r, "vault", TYPE("rekey.begun")), 0);
    json_decref(o);
    rig_free(r);
}

static void an_operation_that_fails_says_why(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *o = propose(r, about(&c, "purge.now")), *shown;
    struct request *rq = approve(r, o);

    (void)state;
    assert_int_equal(rq->outcome, CONFLICT);
    assert_string_equal(rq->err.why, "the engagement has not ended");
    request_free(rq);
    shown = show(r, o);
    assert_string_equal(rig_text(shown, "state"), "failed");
    assert_string_equal(rig_text(shown, "reason"), "the engagement has not ended");
    json_decref(shown);
    json_decref(o);
    assert_int_equal(recorded(r, "acme", TYPE("operation.approved")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("operation.failed")), 1);
    rig_free(r);
}

static void a_proposal_says_all_that_its_kind_needs_and_no_more(void **state)
{
    struct rig *r = rig_new();
    static const struct {
        const char *body;
        status expected;
    } cases[] = {
        { "{}", BAD_INPUT },
        { "{\"operation\":\"rekey.everything\"}", BAD_INPUT },
        { "{\"operation\":\"rekey.root\",\"tenant\":\"acme\"}", BAD_INPUT },
        { "{\"operation\":\"rekey.root\",\"speed\":1}", BAD_INPUT },
        { "{\"operation\":\"rekey.tenant\"}", BAD_INPUT },
        { "{\"operation\":\"rekey.tenant\",\"tenant\":\"nobody\"}", NOT_FOUND },
        { "{\"operation\":\"quorum.set\"}", BAD_INPUT },
        { "{\"operation\":\"quorum.set\",\"number\":0}", BAD_INPUT },
        { "{\"operation\":\"card.renew\",\"number\":1}", BAD_INPUT },
        { "{\"operation\":\"operator.add\",\"operator\":\"bob\"}", BAD_INPUT },
        { "{\"operation\":\"operator.remove\",\"operator\":\"B o b\"}", BAD_INPUT },
        { "{\"operation\":\"hold.set\",\"tenant\":\"acme\",\"engagement\":\"none\"}", NOT_FOUND },
        { "{\"operation\":\"grant.add\",\"gateway\":\"none\",\"key\":\"acme/*\"}", NOT_FOUND },
        { "{\"operation\":\"grant.add\",\"gateway\":\"gw-acme\",\"key\":\"acme\"}", BAD_INPUT },
    };

    (void)state;
    customer_new(r, "acme");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *body = json_loads(cases[i].body, 0, NULL);

        assert_non_null(body);
        assert_int_equal(rig_try(r, VERB_OPERATION_PROPOSE, &r->alice, NULL, NULL, body),
                         cases[i].expected);
    }
    assert_int_equal(listed(r), 0);
    rig_free(r);
}

static void roles_that_run_nothing_propose_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct holder admin = certified(r, "admin", "ann"), auditor = certified(r, "auditor", "aud");
    json_t *o, *body;

    (void)state;
    assert_int_equal(
        rig_try(r, VERB_OPERATION_PROPOSE, &c.gateway, NULL, NULL, simple("rekey.root")), DENIED);
    assert_int_equal(rig_try(r, VERB_OPERATION_PROPOSE, &c.cert, NULL, NULL, simple("rekey.root")),
                     DENIED);
    assert_int_equal(rig_try(r, VERB_OPERATION_PROPOSE, &auditor, NULL, NULL, simple("rekey.root")),
                     DENIED);
    assert_int_equal(rig_try(r, VERB_OPERATION_LIST, &auditor, NULL, NULL, NULL), OK);
    o = rig_get(r, VERB_OPERATION_PROPOSE, &admin, NULL, NULL, simple("rekey.root"));
    body = touched(r, o);
    assert_int_equal(rig_try(r, VERB_OPERATION_APPROVE, &admin, rig_text(o, "id"), NULL, body),
                     DENIED);
    json_decref(o);
    rig_free(r);
}

static void another_touch_than_the_slots_is_denied(void **state)
{
    struct rig *r = rig_new();
    struct person mallory = person_new(r);
    json_t *o = propose(r, simple("rekey.root")), *other = propose(r, simple("rekey.root")), *body;
    struct request *rq;

    (void)state;
    mallory.slot = r->slot; /* another hardware key for alice's slot */
    swap_hands(r, &mallory);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    swap_hands(r, &mallory);
    /* A good touch, but for another proposal of the same. */
    body = touched(r, other);
    assert_int_equal(rig_try(r, VERB_OPERATION_APPROVE, &r->alice, rig_text(o, "id"), NULL, body),
                     BAD_INPUT);
    assert_int_equal(recorded(r, "vault", TYPE("operation.approved")), 0);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
    json_decref(o);
    json_decref(other);
    person_free(&mallory);
    rig_free(r);
}

/* --- grants ---------------------------------------------------------------------------------- */

static struct rig *stepped_up(void)
{
    struct rig *r = rig_new();

    r->settings.grant_step_up = true;
    rig_restart_engine(r);
    return r;
}

static json_t *grant_body(const char *gateway)
{
    return json_pack("{s:s, s:s, s:s}", "operation", "grant.add", "gateway", gateway, "key",
                     "acme/*");
}

static struct customer ungranted(struct rig *r)
{
    struct customer c = { .tenant = "acme" };

    rig_do(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL, json_pack("{s:s}", "name", "acme"));
    rig_do(r, VERB_ENGAGEMENT_START, &r->alice, "acme", NULL, json_pack("{s:s}", "name", "work"));
    put_key(r, &c, "openai");
    c.gateway = gateway_new(r, "edge", NULL);
    return c;
}

static void a_grant_takes_a_touch_when_it_is_configured(void **state)
{
    struct rig *r = stepped_up();
    struct customer c = ungranted(r);
    char token[LEASE_TOKEN_LENGTH + 1], *csr = rig_csr();
    struct request *rq;

    (void)state;
    assert_int_equal(
        rig_try(r, VERB_GRANT_ADD, &r->alice, "edge", NULL, json_pack("{s:s}", "key", "acme/*")),
        DENIED);
    assert_int_equal(rig_try(r, VERB_GATEWAY_ADD, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:s, s:[{s:s}]}", "name", "two", "csr", csr, "grants",
                                       "key", "acme/*")),
                     DENIED);
    rq = lease(r, &c, "openai");
    assert_int_not_equal(rq->outcome, OK);
    request_free(rq);
    assert_int_equal(carry_out(r, grant_body("edge")), OK);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(recorded(r, "acme", TYPE("grant.added")), 1);
    rig_restart_engine(r);
    leased(r, &c, "openai", VALUE, token);
    free(csr);
    rig_free(r);
}

static void a_grant_for_a_gateway_that_is_gone_fails_and_nothing_else_does(void **state)
{
    struct rig *r = stepped_up();
    struct customer c = ungranted(r);
    json_t *o = propose(r, grant_body("edge")), *shown;
    struct request *rq;

    (void)state;
    (void)c;
    rig_do(r, VERB_GATEWAY_REMOVE, &r->alice, "edge", NULL, NULL);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, NOT_FOUND);
    request_free(rq);
    shown = show(r, o);
    assert_string_equal(rig_text(shown, "state"), "failed");
    assert_string_equal(rig_text(shown, "reason"), "the gateway has been removed since");
    json_decref(shown);
    json_decref(o);
    assert_int_equal(recorded(r, "acme", TYPE("grant.added")), 0);
    assert_true(rig_is(r, "unlocked"));
    rig_free(r);
}

/* --- operators ------------------------------------------------------------------------------- */

static json_t *slots_of(struct rig *r)
{
    return rig_get(r, VERB_SLOTS, &r->alice, NULL, NULL, NULL);
}

static bool none_pending(struct rig *r, const void *context)
{
    json_t *reply = slots_of(r), *slot;
    bool none = true;
    size_t i;

    (void)context;
    json_array_foreach(json_object_get(reply, "slots"), i, slot)
    {
        none = none && !json_is_true(json_object_get(slot, "pending"));
    }
    json_decref(reply);
    return none;
}

/* Bob's hardware key is enrolled and waits for its operation; its body. */
static json_t *enrol_bob(struct rig *r, struct person *bob)
{
    static const uint8_t aaguid[16] = { 4 };
    json_t *opened, *body, *made, *add;

    swap_hands(r, bob);
    opened = rig_get(r, VERB_OPERATOR_SESSION, &r->alice, NULL, NULL, NULL);
    body = rig_prove(r, opened, SESSION_ENROL, NULL);
    json_object_set_new(body, "operator", json_string("bob"));
    json_object_set_new(body, "credential_id", rig_as_hex(span_text("bobs")));
    json_object_set_new(body, "public_key", rig_as_hex(SPAN(r->cose)));
    json_object_set_new(body, "aaguid", rig_as_hex(SPAN(aaguid)));
    made = rig_get(r, VERB_OPERATOR_ENROL, &r->alice, NULL, NULL, body);
    rig_hex(made, "slot", r->slot.b, 16);
    add = json_pack("{s:s, s:s, s:s, s:o}", "operation", "operator.add", "operator", "bob", "slot",
                    rig_text(made, "slot"), "public_key", rig_as_hex(SPAN(r->cose)));
    swap_hands(r, bob);
    json_decref(opened);
    json_decref(made);
    return add;
}

static json_t *remove_bob(void)
{
    return json_pack("{s:s, s:s}", "operation", "operator.remove", "operator", "bob");
}

/* Alice and bob, one of whom is enough. */
static struct holder add_bob(struct rig *r, struct person *bob)
{
    *bob = person_new(r);
    assert_int_equal(carry_out(r, enrol_bob(r, bob)), OK);
    assert_true(soon(none_pending, r, NULL));
    return certified(r, "operator", "bob");
}

static status asks(struct rig *r, const struct holder *who)
{
    return rig_try(r, VERB_TENANT_LIST, who, NULL, NULL, NULL);
}

static void a_new_operator_opens_the_vault_and_a_removed_one_loses_everything(void **state)
{
    struct rig *r = rig_new();
    struct person bob;
    struct holder cert = add_bob(r, &bob);
    json_t *o, *shown;
    struct request *rq;

    (void)state;
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    swap_hands(r, &bob);
    rig_unlock(r);
    swap_hands(r, &bob);
    assert_int_equal(asks(r, &cert), OK);
    o = propose(r, remove_bob());
    rq = approve(r, o);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
    shown = show(r, o);
    assert_int_equal(json_integer_value(
                         json_object_get(json_object_get(shown, "result"), "certificates_revoked")),
                     1);
    json_decref(shown);
    json_decref(o);
    assert_int_not_equal(asks(r, &cert), OK);
    assert_int_equal(asks(r, &r->alice), OK);
    rig_restart_engine(r);
    assert_int_not_equal(asks(r, &cert), OK);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    swap_hands(r, &bob);
    rq = rig_ask(r, VERB_UNLOCK_SESSION, &r->alice, NULL, NULL,
                 json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b))));
    assert_int_equal(rq->outcome, NOT_FOUND);
    request_free(rq);
    swap_hands(r, &bob);
    rig_unlock(r);
    person_free(&bob);
    rig_free(r);
}

static void two_operators_are_needed_where_two_there_are(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct person bob;
    json_t *o;
    struct request *rq;

    (void)state;
    add_bob(r, &bob);
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    o = propose(r, about(&c, "hold.set"));
    rq = approve(r, o);
    assert_int_equal(rq->outcome, OK);
    assert_string_equal(rig_text(rq->reply, "state"), "pending");
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "have")), 1);
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "need")), 2);
    request_free(rq);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, CONFLICT); /* alice twice is alice */
    request_free(rq);
    swap_hands(r, &bob);
    rq = approve(r, o);
    assert_int_equal(rq->outcome, OK);
    assert_string_equal(rig_text(rq->reply, "state"), "done");
    request_free(rq);
    swap_hands(r, &bob);
    json_decref(o);
    person_free(&bob);
    rig_free(r);
}

/* --- purge and hold -------------------------------------------------------------------------- */

static bool engagement_is(struct rig *r, const void *wanted)
{
    json_t *reply = rig_get(r, VERB_ENGAGEMENT_LIST, &r->alice, "acme", NULL, NULL);
    json_t *one = json_array_get(json_object_get(reply, "engagements"), 0);
    bool is = strcmp(rig_text(one, "state"), wanted) == 0;

    json_decref(reply);
    return is;
}

static void a_hold_is_shown_and_lifted_and_a_purge_hastened(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    assert_int_equal(carry_out(r, about(&c, "hold.set")), OK);
    assert_true(engagement_is(r, "held"));
    rig_restart_engine(r);
    assert_true(engagement_is(r, "held"));
    rig_pass(30 * 86400 - 1);
    assert_int_equal(carry_out(r, about(&c, "purge.now")), CONFLICT);
    assert_int_equal(carry_out(r, about(&c, "hold.lift")), OK);
    assert_true(engagement_is(r, "ended"));
    assert_int_equal(carry_out(r, about(&c, "purge.now")), OK);
    assert_true(soon(engagement_is, r, "purged"));
    assert_int_equal(recorded(r, "acme", TYPE("purge.hastened")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("purge.done")), 1);
    check_macs(r, "acme");
    rig_free(r);
}

/* --- rotations ------------------------------------------------------------------------------- */

static bool epoch_is(struct rig *r, const void *wanted)
{
    json_t *reply = rig_get(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    bool is = json_integer_value(json_object_get(reply, "epoch")) == *(const int *)wanted;

    json_decref(reply);
    return is;
}

static void leases_flow_while_the_root_rotates(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char first[LEASE_TOKEN_LENGTH + 1], token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, first);
    for (int epoch = 2; epoch < 5; epoch++) {
        assert_int_equal(carry_out(r, simple("rekey.root")), OK);
        for (unsigned i = 0; i < 500 && !epoch_is(r, &epoch); i++)
            leased(r, &c, "openai", VALUE, token);
        assert_true(soon(epoch_is, r, &epoch));
        assert_int_equal(renew(r, &c, first), OK);
    }
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_unlock(r);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(renew(r, &c, first), OK);
    assert_int_equal(recorded(r, "vault", TYPE("rekey.done")), 3);
    check_macs(r, "vault");
    rig_free(r);
}

static bool database_done(struct rig *r, const void *times)
{
    json_t *reply = rig_get(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    bool rest = json_is_null(json_object_get(reply, "rekey"));

    json_decref(reply);
    return rest && recorded(r, "vault", TYPE("rekey.done")) == *(const size_t *)times;
}

static void leases_flow_while_the_database_changes_its_key(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    for (size_t times = 1; times < 3; times++) {
        assert_int_equal(carry_out(r, simple("rekey.database")), OK);
        assert_int_equal(carry_out(r, simple("rekey.database")), CONFLICT);
        for (unsigned i = 0; i < 300 && !database_done(r, &times); i++) {
            char name[32];

            leased(r, &c, "openai", VALUE, token);
            snprintf(name, sizeof name, "k-%zu-%u", times, i);
            put_key(r, &c, name);
            usleep(10000);
        }
        assert_true(soon(database_done, r, &times));
        rig_restart_engine(r);
        leased(r, &c, "k-1-0", VALUE, token);
        rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
        rig_unlock(r);
        assert_int_equal(renew(r, &c, token), OK);
    }
    check_macs(r, "acme");
    check_macs(r, "vault");
    rig_free(r);
}

/* --- killed ---------------------------------------------------------------------------------- */

/* In a server of its own, which dies at its n-th commit after the proposal. true: it did not. */
static bool dies_at(struct rig *r, unsigned n, json_t *body)
{
    int result = 0;
    pid_t pid;

    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        json_t *o;

        setenv("CMOCKA_TEST_ABORT", "1", 1);
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        o = propose(r, body);
        commits = 0;
        kill_at = n;
        request_free(approve(r, o));
        rig_stop_engine(r);
        _exit(0);
    }
    waitpid(pid, &result, 0);
    json_decref(body);
    rig_must(WIFSIGNALED(result) ? WTERMSIG(result) == SIGKILL : WEXITSTATUS(result) == 0,
             "the server died otherwise");
    rig_start_engine(r);
    return !WIFSIGNALED(result);
}

/* Whatever was stored, database and keyring say the same: what they show can be undone. */
static void hold_and_lift_survive_a_server_that_dies_at_any_commit(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    bool over = false;

    (void)state;
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    for (unsigned n = 1; !over; n++) {
        bool held = engagement_is(r, "held");

        over = dies_at(r, n, about(&c, held ? "hold.lift" : "hold.set"));
        held = engagement_is(r, "held");
        assert_true(held || engagement_is(r, "ended"));
        assert_int_equal(carry_out(r, about(&c, held ? "hold.set" : "hold.lift")), CONFLICT);
        assert_true(n < 20);
        if (!over) { /* and the other way round at the same moment */
            dies_at(r, n, about(&c, held ? "hold.lift" : "hold.set"));
            held = engagement_is(r, "held");
            assert_int_equal(carry_out(r, about(&c, held ? "hold.lift" : "hold.set")), OK);
        }
    }
    check_macs(r, "acme");
    rig_free(r);
}

static size_t bobs_slots(struct rig *r)
{
    json_t *reply = slots_of(r), *slot;
    size_t i, count = 0;

    json_array_foreach(json_object_get(reply, "slots"), i, slot)
    {
        count += strcmp(rig_text(slot, "label"), "bob") == 0;
    }
    json_decref(reply);
    return count;
}

static void a_removed_operator_has_no_certificate_whenever_the_server_died(void **state)
{
    bool over = false;

    (void)state;
    for (unsigned n = 1; !over; n++) {
        struct rig *r = rig_new();
        struct person bob;
        struct holder cert = add_bob(r, &bob);

        over = dies_at(r, n, remove_bob());
        assert_int_equal(asks(r, &cert) == OK, bobs_slots(r) == 1);
        assert_int_equal(asks(r, &r->alice), OK);
        assert_true(n < 20);
        person_free(&bob);
        rig_free(r);
    }
}

static void a_server_that_dies_in_the_middle_of_a_database_rekeying_goes_on(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    for (size_t times = 1; times < 7; times++) {
        int ends[2];
        char ready;
        pid_t pid;

        rig_stop_engine(r);
        rig_must(pipe(ends) == 0, "pipe");
        pid = fork();
        rig_must(pid >= 0, "fork");
        if (pid == 0) {
            setenv("CMOCKA_TEST_ABORT", "1", 1);
            rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
            rig_start_engine(r);
            assert_int_equal(carry_out(r, simple("rekey.database")), OK);
            rig_must(write(ends[1], "r", 1) == 1, "write");
            for (;;)
                leased(r, &c, "openai", VALUE, token);
        }
        close(ends[1]);
        rig_must(read(ends[0], &ready, 1) == 1, "the server's word");
        close(ends[0]);
        usleep((useconds_t)(times - 1) * 450000); /* it looks every two seconds */
        rig_kill(pid);
        rig_start_engine(r);
        leased(r, &c, "openai", VALUE, token);
        assert_true(soon(database_done, r, &times));
        leased(r, &c, "openai", VALUE, token);
    }
    check_macs(r, "vault");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proposal_waits_for_its_touch_and_is_then_carried_out),
        cmocka_unit_test(whoever_has_the_trail_can_check_the_signature),
        cmocka_unit_test(a_withdrawn_proposal_is_gone_and_on_record),
        cmocka_unit_test(an_operation_that_fails_says_why),
        cmocka_unit_test(a_proposal_says_all_that_its_kind_needs_and_no_more),
        cmocka_unit_test(roles_that_run_nothing_propose_nothing),
        cmocka_unit_test(another_touch_than_the_slots_is_denied),
        cmocka_unit_test(a_grant_takes_a_touch_when_it_is_configured),
        cmocka_unit_test(a_grant_for_a_gateway_that_is_gone_fails_and_nothing_else_does),
        cmocka_unit_test(a_new_operator_opens_the_vault_and_a_removed_one_loses_everything),
        cmocka_unit_test(two_operators_are_needed_where_two_there_are),
        cmocka_unit_test(a_hold_is_shown_and_lifted_and_a_purge_hastened),
        cmocka_unit_test(leases_flow_while_the_root_rotates),
        cmocka_unit_test(leases_flow_while_the_database_changes_its_key),
        cmocka_unit_test(hold_and_lift_survive_a_server_that_dies_at_any_commit),
        cmocka_unit_test(a_removed_operator_has_no_certificate_whenever_the_server_died),
        cmocka_unit_test(a_server_that_dies_in_the_middle_of_a_database_rekeying_goes_on),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
