/* wrap: store_commit store_commit_append */
/* Documents of policy over the verbs: what they take from grants, who may set which, and that a
 * restart or a crash forgives nothing. */
#include "engine_customer.h"

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

/* --- setting and asking ---------------------------------------------------------------------- */

static json_t *document(const char *text)
{
    return json_pack("{s:s}", "document", text);
}

static status set_by(struct rig *r, const struct holder *who, const char *owner, const char *text)
{
    return rig_try(r, VERB_POLICY_SET, who, owner, NULL, document(text));
}

static void set(struct rig *r, const char *owner, const char *text)
{
    rig_do(r, VERB_POLICY_SET, &r->alice, owner, NULL, document(text));
}

/* A lease that is asked for with claims: name, value, ..., NULL. */
static struct request *ask(struct rig *r, const struct customer *c, const char *key,
                           const char *const *claims)
{
    json_t *body = lease_body(c, key);

    for (; claims != NULL && *claims != NULL; claims += 2)
        json_object_set_new(body, claims[0], json_string(claims[1]));
    return rig_ask(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, body);
}

static status asked(struct rig *r, const struct customer *c, const char *key,
                    const char *const *claims)
{
    struct request *rq = ask(r, c, key, claims);
    status st = rq->outcome;

    request_free(rq);
    return st;
}

static void denied(struct rig *r, const struct customer *c, const char *key, status expected,
                   const char *why)
{
    struct request *rq = ask(r, c, key, NULL);

    assert_int_equal(rq->outcome, expected);
    assert_non_null(strstr(rq->err.why, why));
    request_free(rq);
}

static size_t record_says(struct rig *r, const char *log, const char *type, const char *text)
{
    char *lines = trail(r, log), *rest = lines, *line;
    size_t count = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        count += strstr(line, type) != NULL && strstr(line, text) != NULL;
    free(lines);
    return count;
}

/* --- what a document takes ------------------------------------------------------------------- */

static void a_document_takes_from_what_grants_permit_and_gives_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), globex = customer_new(r, "globex");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    put_key(r, &acme, "other");
    leased(r, &acme, "other", VALUE, token);
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"), "\"policy\":\"none\""), 1);
    set(r, "acme", "[allow main]\nkeys = openai*\n");
    leased(r, &acme, "openai", VALUE, token);
    denied(r, &acme, "other", DENIED, "no rule of the policy allows this");
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"), "\"rule\":\"main\""), 1);
    assert_int_equal(record_says(r, "acme", TYPE("lease.refused"), "\"provider\":\"openai\""), 1);
    leased(r, &globex, "openai", VALUE, token); /* it is none of theirs */
    assert_int_equal(asked(r, &globex, "../acme/openai", NULL), BAD_INPUT);
    globex.gateway = acme.gateway; /* which has no grant there */
    set(r, "globex", "[allow everybody]\n");
    denied(r, &globex, "openai", DENIED, "no grant covers this key");
    rig_free(r);
}

static void records_name_the_document_by_its_hash(void **state)
{
    static const char text[] = "[allow main]\nkeys = openai*\n";
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], hex[65], field[160];
    uint8_t hash[32];

    (void)state;
    sha256(span_text(text), hash);
    hex_format(SPAN(hash), hex);
    set(r, "acme", text);
    leased(r, &c, "openai", VALUE, token);
    denied(r, &c, "openai-2", NOT_FOUND, "");
    snprintf(field, sizeof field, "\"document\":\"%s\",\"policy_version\":1,\"change\":\"narrows\"",
             hex);
    assert_int_equal(record_says(r, "acme", TYPE("policy.set"), field), 1);
    snprintf(field, sizeof field, "\"policy\":\"%s\"", hex);
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"), field), 1);
    check_macs(r, "acme");
    rig_free(r);
}

static void the_vaults_document_holds_for_all_tenants(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), globex = customer_new(r, "globex");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    set(r, "vault", "[allow most]\n[deny one]\nkeys = globex/*\n");
    leased(r, &acme, "openai", VALUE, token);
    denied(r, &globex, "openai", DENIED, "a rule of the policy denies this");
    assert_int_equal(record_says(r, "globex", TYPE("lease.refused"), "\"vault_rule\":\"one\""), 1);
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"), "\"vault_rule\":\"most\""), 1);
    assert_int_equal(recorded(r, "vault", TYPE("policy.set")), 1);
    set(r, "acme", "[allow nothing]\nkeys = none\n"); /* both must allow */
    denied(r, &acme, "openai", DENIED, "no rule of the policy allows this");
    rig_free(r);
}

static void claims_are_what_the_request_states_and_are_recorded(void **state)
{
    static const char *const good[] = { "model", "gpt-5-mini", "environment", "prod", NULL };
    static const char *const other[] = { "model", "gpt-4", "environment", "prod", NULL };
    static const char *const bad[] = { "model", "gpt 5", NULL };
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    set(r, "acme", "[allow a]\nmodels = gpt-5*\nenvironments = prod\n");
    assert_int_equal(asked(r, &c, "openai", good), OK);
    assert_int_equal(asked(r, &c, "openai", other), DENIED);
    assert_int_equal(asked(r, &c, "openai", NULL), DENIED);
    assert_int_equal(asked(r, &c, "openai", bad), BAD_INPUT);
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"),
                                 "\"model\":\"gpt-5-mini\",\"environment\":\"prod\""),
                     1);
    assert_int_equal(record_says(r, "acme", TYPE("lease.refused"), "\"model\":\"gpt-4\""), 1);
    rig_free(r);
}

/* Each character of them is two in a record. */
static void the_longest_claims_fit_into_a_record(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char long_one[129];
    const char *const claims[] = { "model",  long_one,  "environment", long_one, "classification",
                                   long_one, "purpose", long_one,      NULL };

    (void)state;
    memset(long_one, '"', 128);
    long_one[128] = '\0';
    set(r, "vault", "[allow a-rule-with-a-name-that-is-as-long-as-the-name-of-one-may-be]\n");
    set(r, "acme",
        "[allow a-rule-with-a-name-that-is-as-long-as-the-name-of-one-may-be]\n"
        "[deny another-rule-with-a-name-that-is-as-long-as-a-name-may-ever-be]\n"
        "keys = other\n");
    put_key(r, &c, "other");
    assert_int_equal(asked(r, &c, "openai", claims), OK);
    assert_int_equal(asked(r, &c, "other", claims), DENIED);
    assert_int_equal(record_says(r, "acme", TYPE("lease.issued"), "\"vault_rule\":\"a-rule"), 1);
    assert_int_equal(record_says(r, "acme", TYPE("lease.refused"), "\"rule\":\"another"), 1);
    rig_free(r);
}

static void a_purpose_is_asked_for_and_its_record_holds_a_tag(void **state)
{
    static const char *const said[] = { "purpose", "chat", NULL };
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    set(r, "acme", "[allow a]\npurposes = mail chat\n");
    assert_int_equal(asked(r, &c, "openai", NULL), DENIED);
    assert_int_equal(asked(r, &c, "openai", said), OK);
    assert_int_equal(recorded(r, "acme", "\"purpose\":\"chat\""), 0);
    assert_int_equal(recorded(r, "acme", "\"purpose\":\"~"), 1);
    rig_free(r);
}

static void a_rule_makes_leases_shorter(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq;

    (void)state;
    set(r, "acme", "[allow a]\nmax_ttl = 30s\n");
    rq = ask(r, &c, "openai", NULL);
    assert_int_equal(json_integer_value(json_object_get(rq->reply, "ttl_s")), 30);
    request_free(rq);
    rig_free(r);
}

static void a_renewal_is_judged_by_what_it_states_itself(void **state)
{
    static const char *const prod[] = { "environment", "prod", NULL };
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq;
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    set(r, "acme", "[allow a]\nenvironments = prod\nrate = 1/minute\nconcurrent = 1\n");
    rq = ask(r, &c, "openai", prod);
    assert_int_equal(rq->outcome, OK);
    snprintf(token, sizeof token, "%s", rig_text(rq->reply, "lease"));
    request_free(rq);
    assert_int_equal(renew(r, &c, token), DENIED);
    /* It is no further lease: neither the rate nor the number of live ones stops it. */
    assert_int_equal(rig_try(r, VERB_LEASE_RENEW, &c.gateway, token, NULL,
                             json_pack("{s:s}", "environment", "prod")),
                     OK);
    set(r, "acme", "[deny all]\n[allow a]\nenvironments = prod\nrate = 1/minute\nconcurrent = 1\n");
    assert_int_equal(rig_try(r, VERB_LEASE_RENEW, &c.gateway, token, NULL,
                             json_pack("{s:s}", "environment", "prod")),
                     DENIED);
    assert_int_equal(record_says(r, "acme", TYPE("lease.refused"), "\"key\":\"acme/openai\""), 2);
    rig_free(r);
}

static void a_tenant_without_a_document_leases_nothing_where_one_is_required(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    r->settings.policy_required = true;
    r->settings.grant_step_up = true;
    rig_restart_engine(r);
    denied(r, &c, "openai", DENIED, "the tenant has no document of policy, and needs one");
    /* So the first one allows more than before. */
    assert_int_equal(set_by(r, &r->alice, "acme", "[allow a]\n"), DENIED);
    r->settings.grant_step_up = false;
    rig_restart_engine(r);
    set(r, "acme", "[allow a]\n");
    leased(r, &c, "openai", VALUE, token);
    rig_free(r);
}

/* --- limits ---------------------------------------------------------------------------------- */

static void a_reached_rate_says_when_to_come_back_and_a_restart_forgives_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    set(r, "acme", "[allow a]\nrate = 2/minute\n");
    leased(r, &c, "openai", VALUE, token);
    leased(r, &c, "openai", VALUE, token);
    rq = ask(r, &c, "openai", NULL);
    assert_int_equal(rq->outcome, LIMIT);
    assert_in_range(rq->retry_after_s, 1, 61);
    assert_string_equal(rq->err.why, "the policy's rate of leases per minute is reached");
    request_free(rq);
    assert_int_equal(record_says(r, "acme", TYPE("lease.refused"), "\"limit\":\"rate per minute\""),
                     1);
    rig_restart_engine(r);
    denied(r, &c, "openai", LIMIT, "rate of leases per minute");
    rig_pass(62);
    rig_restart_engine(r);
    leased(r, &c, "openai", VALUE, token);
    rig_free(r);
}

/* What a restart reads of leases is what matters to live ones; a rate counts the others too. */
static void leases_that_are_over_count_in_a_rate_after_a_restart_too(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *body = lease_body(&c, "openai");

    (void)state;
    set(r, "acme", "[allow a]\nrate = 1/hour\n");
    json_object_set_new(body, "ttl_s", json_integer(1));
    rig_do(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body);
    rig_pass(1800);
    rig_restart_engine(r);
    denied(r, &c, "openai", LIMIT, "per hour");
    rig_free(r);
}

static void the_limits_of_a_tenant_count_all_its_gateways(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme"), other = c;
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    other.gateway = gateway_new(r, "second", "acme/*");
    set(r, "acme", "[limits]\nrate = 2/hour\n[allow a]\nrate = 1/minute\n");
    leased(r, &c, "openai", VALUE, token);
    denied(r, &c, "openai", LIMIT, "per minute");
    leased(r, &other, "openai", VALUE, token); /* a rule's are of one gateway */
    rig_pass(62);
    rig_restart_engine(r);
    denied(r, &other, "openai", LIMIT, "per hour");
    rig_free(r);
}

/* Also those that are asked for at once, and are decided before any of them is live. */
static void no_more_leases_are_live_than_a_rule_permits(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *list[5];
    size_t fine = 0, limited = 0;
    char token[LEASE_TOKEN_LENGTH + 1] = "";

    (void)state;
    set(r, "acme", "[allow a]\nconcurrent = 3\n");
    rig_hold(r);
    for (size_t i = 0; i < 5; i++)
        list[i] = rig_submit(
            r, rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai")));
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 5; i++) {
        fine += list[i]->outcome == OK;
        limited += list[i]->outcome == LIMIT;
        if (list[i]->outcome == OK)
            snprintf(token, sizeof token, "%s", rig_text(list[i]->reply, "lease"));
        request_free(list[i]);
    }
    assert_int_equal(fine, 3);
    assert_int_equal(limited, 2);
    rig_do(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL);
    leased(r, &c, "openai", VALUE, token);
    denied(r, &c, "openai", LIMIT, "as many leases are live as the policy permits");
    rig_free(r);
}

static status share(struct rig *r, const struct customer *c, char token[LEASE_TOKEN_LENGTH + 1])
{
    struct request *rq =
        rig_request(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, "openai"));
    status st;

    rq->shares = true;
    rig_submit(r, rq);
    rig_wait(r);
    st = rq->outcome;
    if (st == OK)
        snprintf(token, LEASE_TOKEN_LENGTH + 1, "%s", rig_text(rq->reply, "lease"));
    request_free(rq);
    return st;
}

static void a_lease_that_is_shared_is_one_to_its_limits(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char first[LEASE_TOKEN_LENGTH + 1] = "", again[LEASE_TOKEN_LENGTH + 1] = "";

    (void)state;
    set(r, "acme", "[allow a]\nrate = 1/hour\nconcurrent = 1\n");
    assert_int_equal(share(r, &c, first), OK);
    assert_int_equal(share(r, &c, again), OK);
    assert_string_equal(first, again);
    denied(r, &c, "openai", LIMIT, "rate");
    request_free(rotate(r, &c, "openai", VALUE, 30));
    assert_int_equal(share(r, &c, again), LIMIT); /* that would be another one */
    set(r, "acme", "[deny a]\n");
    assert_int_equal(share(r, &c, again), DENIED);
    rig_free(r);
}

static void spend(struct rig *r, const struct customer *c, const char *key, unsigned number,
                  const char *cost)
{
    struct request *rq = rig_request(r, VERB_USAGE_REPORT, &c->gateway, NULL, NULL, NULL);
    char body[256];

    snprintf(body, sizeof body, "{\"reports\":[{\"key\":\"%s/%s\",\"report\":%u,\"cost\":\"%s\"}]}",
             c->tenant, key, number, cost);
    assert_int_equal(usage_parse(USAGE_NATIVE, span_text(body), &rq->usage, NULL), OK);
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
}

static void what_is_reported_to_be_spent_stops_further_leases_of_the_key(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    put_key(r, &c, "other");
    set(r, "acme", "[allow a]\nspend_day = 1.50\n");
    spend(r, &c, "openai", 1, "1.499999");
    leased(r, &c, "openai", VALUE, token);
    spend(r, &c, "openai", 2, "0.000001");
    rq = ask(r, &c, "openai", NULL);
    assert_int_equal(rq->outcome, LIMIT);
    assert_non_null(strstr(rq->err.why, "spend in a day"));
    assert_in_range(rq->retry_after_s, 1, DAY_S);
    request_free(rq);
    assert_int_equal(renew(r, &c, token), LIMIT); /* a renewal costs as much */
    leased(r, &c, "other", VALUE, token);
    rig_restart_engine(r);
    denied(r, &c, "openai", LIMIT, "spend in a day");
    rig_pass(DAY_S);
    rig_restart_engine(r);
    leased(r, &c, "openai", VALUE, token);
    rig_free(r);
}

static void the_spending_of_a_tenant_is_that_of_all_its_keys(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), globex = customer_new(r, "globex");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    put_key(r, &acme, "other");
    set(r, "vault", "[limits]\nspend_month = 2\n[allow all]\n");
    spend(r, &acme, "openai", 1, "1");
    leased(r, &acme, "other", VALUE, token);
    spend(r, &acme, "other", 1, "1");
    denied(r, &acme, "openai", LIMIT, "spend in a month");
    assert_int_equal(
        record_says(r, "acme", TYPE("lease.refused"), "\"vault_limit\":\"spend_month\""), 1);
    leased(r, &globex, "openai", VALUE, token);
    rig_free(r);
}

static struct request *ask_again(struct rig *r, const struct customer *c)
{
    struct request *rq =
        rig_request(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, "openai"));

    rq->has_idempotency = true;
    rq->idempotency[0] = 7;
    rig_submit(r, rq);
    rig_wait(r);
    return rq;
}

/* It is the same lease: what it needs is to be allowed, not room. */
static void a_lease_that_is_asked_for_again_counts_once(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    set(r, "acme", "[allow a]\nrate = 1/hour\nconcurrent = 1\n");
    for (int i = 0; i < 3; i++) {
        struct request *rq = ask_again(r, &c);

        assert_int_equal(rq->outcome, OK);
        request_free(rq);
    }
    denied(r, &c, "openai", LIMIT, "per hour");
    set(r, "acme", "[deny all]\n");
    struct request *rq = ask_again(r, &c);
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    assert_int_equal(record_says(r, "acme", TYPE("lease.repeated"), "\"rule\":\"a\""), 2);
    rig_free(r);
}

/* --- who sets what --------------------------------------------------------------------------- */

static json_t *proposal(const char *owner, const char *text)
{
    return json_pack("{s:s, s:s, s:s}", "operation", "policy.set", "owner", owner, "document",
                     text);
}

/* Proposed by alice and approved with her touch; what became of it. */
static status carry_out(struct rig *r, json_t *body)
{
    json_t *o = rig_get(r, VERB_OPERATION_PROPOSE, &r->alice, NULL, NULL, body);
    json_t *slot = json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b)));
    json_t *opened = rig_get(r, VERB_OPERATION_SESSION, &r->alice, rig_text(o, "id"), NULL, slot);
    json_t *touched = rig_prove(r, opened, SESSION_APPROVE, rig_text(o, "text"));
    status st;

    json_object_set_new(touched, "slot", rig_as_hex(SPAN(r->slot.b)));
    st = rig_try(r, VERB_OPERATION_APPROVE, &r->alice, rig_text(o, "id"), NULL, touched);
    json_decref(opened);
    json_decref(o);
    return st;
}

static struct rig *stepped_up(void)
{
    struct rig *r = rig_new();

    r->settings.grant_step_up = true;
    return r;
}

static void what_allows_more_takes_a_touch_and_what_takes_does_not(void **state)
{
    struct rig *r = stepped_up();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    rig_restart_engine(r);
    set(r, "acme", "[allow a]\nkeys = none\n");
    assert_int_equal(set_by(r, &r->alice, "acme", "[allow a]\n"), DENIED);
    assert_int_equal(set_by(r, &r->alice, "acme", ""), DENIED);
    denied(r, &c, "openai", DENIED, "no rule");
    assert_int_equal(carry_out(r, proposal("acme", "[allow a]\n")), OK);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(record_says(r, "acme", TYPE("policy.set"), "\"operation\":\""), 1);
    assert_int_equal(
        record_says(r, "acme", TYPE("policy.set"), "\"policy_version\":2,\"change\":\"widens\""),
        1);
    assert_int_equal(carry_out(r, proposal("acme", "")), OK); /* without a document */
    assert_int_equal(record_says(r, "acme", TYPE("policy.set"), "\"change\":\"removed\""), 1);
    leased(r, &c, "openai", VALUE, token);
    set(r, "vault", "[allow a]\nkeys = none/none\n");
    assert_int_equal(carry_out(r, proposal("vault", "[allow a]\n")), OK);
    leased(r, &c, "openai", VALUE, token);
    rig_restart_engine(r);
    leased(r, &c, "openai", VALUE, token);
    check_macs(r, "acme");
    check_macs(r, "vault");
    rig_free(r);
}

static void a_tenant_narrows_its_own_and_widens_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer acme = customer_new(r, "acme"), globex = customer_new(r, "globex");
    struct holder auditor = certified(r, "auditor", "aud");

    (void)state;
    assert_int_equal(set_by(r, &acme.cert, "acme", "[allow a]\nkeys = open*\n"), OK);
    assert_int_equal(set_by(r, &acme.cert, "acme", "[allow a]\nkeys = openai\n"), OK);
    assert_int_equal(set_by(r, &acme.cert, "acme", "[allow a]\n"), DENIED);
    assert_int_equal(set_by(r, &acme.cert, "acme", ""), DENIED);
    assert_int_equal(set_by(r, &globex.cert, "acme", "[deny a]\n"), NOT_FOUND);
    assert_int_equal(set_by(r, &acme.cert, "vault", "[deny a]\n"), NOT_FOUND);
    assert_int_equal(set_by(r, &acme.gateway, "acme", "[deny a]\n"), DENIED);
    assert_int_equal(set_by(r, &auditor, "acme", "[deny a]\n"), DENIED);
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &acme.cert, "acme", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &auditor, "acme", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &globex.cert, "acme", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_POLICY_VERSIONS, &globex.cert, "acme", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &acme.gateway, "acme", NULL, NULL), DENIED);
    rig_free(r);
}

static void a_document_with_a_mistake_changes_nothing_and_says_where(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq;
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    rq = rig_ask(r, VERB_POLICY_SET, &r->alice, "acme", NULL, document("[deny a]\n\nkey = x\n"));
    assert_int_equal(rq->outcome, BAD_INPUT);
    assert_string_equal(rq->err.why, "no rule has such a line");
    assert_int_equal(rq->line, 3);
    request_free(rq);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &r->alice, "acme", NULL, NULL), NOT_FOUND);
    assert_int_equal(set_by(r, &r->alice, "acme", ""), CONFLICT);
    set(r, "acme", "[allow a]\n");
    assert_int_equal(set_by(r, &r->alice, "acme", "[allow a]\n"), CONFLICT);
    rig_free(r);
}

static void every_version_stays(void **state)
{
    struct rig *r = rig_new();
    struct request *rq;
    json_t *reply, *list;

    (void)state;
    customer_new(r, "acme");
    set(r, "acme", "[allow a]\n");
    set(r, "acme", "[allow b]\n");
    set(r, "acme", "");
    reply = rig_get(r, VERB_POLICY_VERSIONS, &r->alice, "acme", NULL, NULL);
    list = json_object_get(reply, "versions");
    assert_int_equal(json_array_size(list), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "version")), 3);
    json_decref(reply);
    rq = rig_request(r, VERB_POLICY_SHOW, &r->alice, "acme", NULL, NULL);
    rq->version = 1;
    rig_submit(r, rq);
    rig_wait(r);
    assert_string_equal(rig_text(rq->reply, "document"), "[allow a]\n");
    request_free(rq);
    reply = rig_get(r, VERB_POLICY_SHOW, &r->alice, "acme", NULL, NULL);
    assert_string_equal(rig_text(reply, "document"), "");
    json_decref(reply);
    rig_free(r);
}

/* --- crashes --------------------------------------------------------------------------------- */

/* A server that dies at its n-th commit while the document is set; false: it lived. */
static bool dies_at(struct rig *r, unsigned n, const char *text)
{
    int result;
    pid_t pid;

    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        /* what starting commits is not meant */
        rig_do(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
        commits = 0;
        kill_at = n;
        rig_do(r, VERB_POLICY_SET, &r->alice, "acme", NULL, document(text));
        _exit(0);
    }
    waitpid(pid, &result, 0);
    rig_start_engine(r);
    return WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL;
}

/* Before the record nothing has happened. With the record and without the text: it may have denied
 * anything. */
static void a_document_is_set_or_not_and_if_it_is_lost_nothing_is_allowed(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    bool lost = false;

    (void)state;
    for (unsigned n = 1; !lost; n++) {
        assert_true(dies_at(r, n, "[allow a]\n"));
        lost = recorded(r, "acme", TYPE("policy.set")) > 0;
        if (!lost)
            leased(r, &c, "openai", VALUE, token);
    }
    denied(r, &c, "openai", DENIED, "the document of policy cannot be read");
    assert_int_equal(rig_try(r, VERB_POLICY_SHOW, &r->alice, "acme", NULL, NULL), CONFLICT);
    set(r, "acme", "[allow a]\n");
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(record_says(r, "acme", TYPE("policy.set"), "\"change\":\"widens\""), 1);
    check_macs(r, "acme");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_takes_from_what_grants_permit_and_gives_nothing),
        cmocka_unit_test(records_name_the_document_by_its_hash),
        cmocka_unit_test(the_vaults_document_holds_for_all_tenants),
        cmocka_unit_test(claims_are_what_the_request_states_and_are_recorded),
        cmocka_unit_test(the_longest_claims_fit_into_a_record),
        cmocka_unit_test(a_purpose_is_asked_for_and_its_record_holds_a_tag),
        cmocka_unit_test(a_rule_makes_leases_shorter),
        cmocka_unit_test(a_renewal_is_judged_by_what_it_states_itself),
        cmocka_unit_test(a_tenant_without_a_document_leases_nothing_where_one_is_required),
        cmocka_unit_test(a_reached_rate_says_when_to_come_back_and_a_restart_forgives_nothing),
        cmocka_unit_test(leases_that_are_over_count_in_a_rate_after_a_restart_too),
        cmocka_unit_test(the_limits_of_a_tenant_count_all_its_gateways),
        cmocka_unit_test(no_more_leases_are_live_than_a_rule_permits),
        cmocka_unit_test(a_lease_that_is_shared_is_one_to_its_limits),
        cmocka_unit_test(what_is_reported_to_be_spent_stops_further_leases_of_the_key),
        cmocka_unit_test(the_spending_of_a_tenant_is_that_of_all_its_keys),
        cmocka_unit_test(a_lease_that_is_asked_for_again_counts_once),
        cmocka_unit_test(what_allows_more_takes_a_touch_and_what_takes_does_not),
        cmocka_unit_test(a_tenant_narrows_its_own_and_widens_nothing),
        cmocka_unit_test(a_document_with_a_mistake_changes_nothing_and_says_where),
        cmocka_unit_test(every_version_stays),
        cmocka_unit_test(a_document_is_set_or_not_and_if_it_is_lost_nothing_is_allowed),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
