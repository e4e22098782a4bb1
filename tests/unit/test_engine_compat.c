/* Tokens of the Vault-compatible face in the engine: how they begin, what they open, what ends them. */
#include "engine_customer.h"

/* As the face fills a request: from this address, with this token and certificate, if any. */
static struct request *asked(struct rig *r, enum verb verb, const char *token,
                             const struct holder *shown, json_t *body)
{
    static const struct holder nobody = { .role = ROLE_NONE };
    struct request *rq = rig_request(r, verb, &nobody, NULL, NULL, body);

    rq->face.on = true;
    rq->face.address[15] = 1;
    if (shown != NULL)
        rq->face.shown = *shown;
    if (token != NULL) {
        rq->face.has_token = true;
        sha256(span_text(token), rq->face.token);
    }
    return rq;
}

static struct request *ask(struct rig *r, enum verb verb, const char *token,
                           const struct holder *shown, json_t *body)
{
    struct request *rq = rig_submit(r, asked(r, verb, token, shown, body));

    rig_wait(r);
    return rq;
}

static status try(struct rig *r, enum verb verb, const char *token, const struct holder *shown,
                  json_t *body)
{
    struct request *rq = ask(r, verb, token, shown, body);
    status st = rq->outcome;

    request_free(rq);
    return st;
}

static void token_of(struct request *rq, char token[TOKEN_LENGTH + 1])
{
    assert_int_equal(rq->outcome, OK);
    assert_int_equal(secret_view(rq->value).n, TOKEN_LENGTH);
    memcpy(token, secret_view(rq->value).p, TOKEN_LENGTH);
    token[TOKEN_LENGTH] = '\0';
    request_free(rq);
}

static void log_in(struct rig *r, const struct holder *who, char token[TOKEN_LENGTH + 1])
{
    token_of(ask(r, VERB_TOKEN_LOGIN, NULL, who, json_pack("{s:s}", "method", "cert")), token);
}

static void opt_in(struct rig *r, const struct customer *c, const char *binding)
{
    rig_do(r, VERB_COMPAT_SET, &r->alice, c->tenant, NULL,
           json_pack("{s:b, s:s}", "enabled", 1, "binding", binding));
}

static status read_key(struct rig *r, const struct customer *c, const char *token,
                       const struct holder *shown)
{
    struct request *rq = ask(r, VERB_LEASE_ISSUE, token, shown, lease_body(c, "openai"));
    status st = rq->outcome;

    if (st == OK)
        assert_true(value_is(rq, VALUE));
    request_free(rq);
    return st;
}

static size_t live(struct rig *r)
{
    json_t *reply = rig_get(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL);
    size_t count = json_array_size(json_object_get(reply, "leases"));

    json_decref(reply);
    return count;
}

static void a_login_opens_what_its_gateway_is_granted_where_the_tenant_opted_in(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme"), other = customer_new(r, "bolt");
    char token[TOKEN_LENGTH + 1];

    (void)state;
    log_in(r, &c.gateway, token);
    assert_int_equal(read_key(r, &c, token, &c.gateway), DENIED);
    opt_in(r, &c, "cert");
    opt_in(r, &other, "cert");
    assert_int_equal(read_key(r, &c, token, &c.gateway), OK);
    assert_int_equal(read_key(r, &other, token, &c.gateway), DENIED);
    assert_int_equal(read_key(r, &c, token, NULL), DENIED);
    assert_int_equal(read_key(r, &c, token, &other.gateway), DENIED);
    assert_int_equal(read_key(r, &c, NULL, &c.gateway), NO_IDENTITY);
    assert_int_equal(recorded(r, "vault", TYPE("token.issued")), 1);
    assert_int_equal(recorded(r, "acme", "\"accessor\""), 3); /* two refused */
    rig_free(r);
}

static void whoever_has_no_gateways_certificate_does_not_log_in(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    assert_int_equal(try(r, VERB_TOKEN_LOGIN, NULL, NULL, json_pack("{s:s}", "method", "cert")),
                     NO_IDENTITY);
    assert_int_equal(try(r, VERB_TOKEN_LOGIN, NULL, &c.cert, json_pack("{s:s}", "method", "cert")),
                     NO_IDENTITY);
    assert_int_equal(
        try(r, VERB_TOKEN_LOGIN, NULL, &r->alice, json_pack("{s:s}", "method", "cert")),
        NO_IDENTITY);
    rig_free(r);
}

/* The engine hears of time with the keeper's next record. */
static void pass(struct rig *r, const struct customer *c, uint64_t seconds)
{
    char token[TOKEN_LENGTH + 1];

    rig_pass(seconds);
    log_in(r, &c->gateway, token);
}

static void a_token_expires_and_is_renewed_no_further_than_its_lifetime(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[TOKEN_LENGTH + 1];

    (void)state;
    opt_in(r, &c, "cert");
    log_in(r, &c.gateway, token);
    pass(r, &c, 1700);
    assert_int_equal(try(r, VERB_TOKEN_RENEW, token, NULL, NULL), DENIED);
    assert_int_equal(try(r, VERB_TOKEN_RENEW, token, &c.gateway, NULL), OK);
    pass(r, &c, 1700);
    assert_int_equal(read_key(r, &c, token, &c.gateway), OK);
    assert_int_equal(try(r, VERB_TOKEN_RENEW, token, &c.gateway, NULL), OK);
    pass(r, &c, 300); /* the lifetime is an hour in the rig */
    assert_int_equal(read_key(r, &c, token, &c.gateway), NO_IDENTITY);
    rig_free(r);
}

static void no_login_outlives_its_certificate(void **state)
{
    struct rig *r = rig_new();
    struct customer c;
    struct request *rq;
    json_int_t ttl_s;

    (void)state;
    r->settings.certificate_days = 1;
    r->settings.lease_max_lifetime_s = 7 * 86400;
    r->settings.token_ttl_s = 2 * 86400;
    rig_restart_engine(r);
    c = customer_new(r, "acme");
    rq = ask(r, VERB_TOKEN_LOGIN, NULL, &c.gateway, json_pack("{s:s}", "method", "cert"));
    assert_int_equal(rq->outcome, OK);
    ttl_s = json_integer_value(json_object_get(rq->reply, "ttl_s"));
    assert_true(ttl_s > 86000 && ttl_s <= 86400);
    request_free(rq);
    rig_free(r);
}

static void a_token_and_its_leases_die_with_its_certificate(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[TOKEN_LENGTH + 1], kept[TOKEN_LENGTH + 1];
    struct holder other;

    (void)state;
    opt_in(r, &c, "none");
    other = gateway_new(r, "other", "acme/*");
    log_in(r, &c.gateway, token);
    log_in(r, &other, kept);
    assert_int_equal(read_key(r, &c, token, NULL), OK);
    assert_int_equal(read_key(r, &c, kept, NULL), OK);
    assert_int_equal(live(r), 2);
    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL,
           json_pack("{s:o}", "spki", rig_as_hex(SPAN(c.gateway.spki))));
    assert_int_equal(read_key(r, &c, token, NULL), NO_IDENTITY);
    assert_int_equal(read_key(r, &c, kept, NULL), OK);
    assert_int_equal(live(r), 2);
    rig_do(r, VERB_GATEWAY_REMOVE, &r->alice, "other", NULL, NULL);
    assert_int_equal(read_key(r, &c, kept, NULL), NO_IDENTITY);
    assert_int_equal(live(r), 0);
    rig_free(r);
}

static void a_token_revokes_itself_and_its_leases_and_no_others(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[TOKEN_LENGTH + 1], kept[TOKEN_LENGTH + 1];

    (void)state;
    opt_in(r, &c, "none");
    log_in(r, &c.gateway, token);
    log_in(r, &c.gateway, kept);
    assert_int_equal(read_key(r, &c, token, NULL), OK);
    assert_int_equal(read_key(r, &c, kept, NULL), OK);
    assert_int_equal(try(r, VERB_TOKEN_REVOKE, token, NULL, NULL), OK);
    assert_int_equal(try(r, VERB_TOKEN_SHOW, token, NULL, NULL), NO_IDENTITY);
    assert_int_equal(try(r, VERB_TOKEN_SHOW, kept, NULL, NULL), OK);
    assert_int_equal(live(r), 1);
    assert_int_equal(recorded(r, "vault", TYPE("token.revoked")), 1);
    rig_free(r);
}

static void issued_tokens_and_roles_outlive_a_restart_and_logins_do_not(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char login[TOKEN_LENGTH + 1], issued[TOKEN_LENGTH + 1], secret[TOKEN_LENGTH + 1], role[40];
    char by_role[TOKEN_LENGTH + 1];
    uint8_t hash[32];
    struct request *rq;

    (void)state;
    opt_in(r, &c, "source_ip");
    log_in(r, &c.gateway, login);
    token_of(
        rig_ask(r, VERB_TOKEN_ISSUE, &r->alice, "gw-acme", NULL, json_pack("{s:s}", "cidr", "::1")),
        issued);
    rq = rig_ask(r, VERB_APPROLE_ADD, &r->alice, "gw-acme", NULL,
                 json_pack("{s:s}", "binding", "source_ip"));
    snprintf(role, sizeof role, "%s", rig_text(rq->reply, "role_id"));
    token_of(rq, secret);
    sha256(span_text(secret), hash);
    assert_int_equal(read_key(r, &c, issued, NULL), OK);
    assert_int_equal(read_key(r, &c, login, NULL), OK);
    rig_restart_engine(r);
    assert_int_equal(read_key(r, &c, login, NULL), NO_IDENTITY);
    assert_int_equal(read_key(r, &c, issued, NULL), OK);
    assert_int_equal(live(r), 2); /* of the issued token: one from before, one from now */
    token_of(ask(r, VERB_TOKEN_LOGIN, NULL, NULL,
                 json_pack("{s:s, s:s, s:o}", "method", "approle", "role_id", role, "secret_hash",
                           rig_as_hex(SPAN(hash)))),
             by_role);
    assert_int_equal(read_key(r, &c, by_role, NULL), OK);
    rig_do(r, VERB_APPROLE_REMOVE, &r->alice, "gw-acme", role, NULL);
    assert_int_equal(read_key(r, &c, by_role, NULL), NO_IDENTITY);
    assert_int_equal(live(r), 2);
    rig_free(r);
}

static status look_for(struct rig *r, const char *path, const char *token)
{
    return try(r, VERB_LEASE_ISSUE, token, NULL, json_pack("{s:s}", "key", path));
}

static void a_token_that_opens_nothing_does_not_tell_which_keys_there_are(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[TOKEN_LENGTH + 1];

    (void)state;
    log_in(r, &c.gateway, token);
    assert_int_equal(look_for(r, "acme/openai", token), DENIED);
    assert_int_equal(look_for(r, "acme/nothing", token), DENIED);
    opt_in(r, &c, "cert"); /* which is not shown */
    assert_int_equal(look_for(r, "acme/openai", token), DENIED);
    assert_int_equal(look_for(r, "acme/nothing", token), DENIED);
    opt_in(r, &c, "none");
    assert_int_equal(look_for(r, "acme/openai", token), OK);
    assert_int_equal(look_for(r, "acme/nothing", token), NOT_FOUND);
    rig_free(r);
}

static size_t issued_to(struct rig *r, const char *gateway)
{
    json_t *reply = rig_get(r, VERB_COMPAT_LIST, &r->alice, gateway, NULL, NULL);
    size_t count = json_array_size(json_object_get(reply, "tokens"));

    json_decref(reply);
    return count;
}

/* Else they would pile up until there are more than an unlock takes. */
static void issued_tokens_that_expired_are_forgotten(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    for (size_t i = 0; i < 2; i++)
        rig_do(r, VERB_TOKEN_ISSUE, &r->alice, "gw-acme", NULL,
               json_pack("{s:s, s:i}", "cidr", "::1", "days", 1));
    assert_int_equal(issued_to(r, "gw-acme"), 2);
    pass(r, &c, 2 * 86400);
    rig_restart_engine(r);
    rig_do(r, VERB_TOKEN_ISSUE, &r->alice, "gw-acme", NULL,
           json_pack("{s:s, s:i}", "cidr", "::1", "days", 1));
    assert_int_equal(issued_to(r, "gw-acme"), 1);
    rig_free(r);
}

static void requests_of_one_batch_do_not_disturb_each_other(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[TOKEN_LENGTH + 1];
    struct request *rq[40];

    (void)state;
    opt_in(r, &c, "none");
    log_in(r, &c.gateway, token);
    rig_hold(r);
    for (size_t i = 0; i < 40; i++)
        rq[i] = rig_submit(
            r, i % 2 == 0 ? asked(r, VERB_LEASE_ISSUE, token, NULL, lease_body(&c, "openai"))
                          : asked(r, VERB_TOKEN_LOGIN, NULL, &c.gateway,
                                  json_pack("{s:s}", "method", "cert")));
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        if (i % 2 == 0)
            assert_true(value_is(rq[i], VALUE));
        else
            assert_int_equal(secret_view(rq[i]->value).n, TOKEN_LENGTH);
        request_free(rq[i]);
    }
    check_macs(r, "vault");
    check_macs(r, "acme");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_login_opens_what_its_gateway_is_granted_where_the_tenant_opted_in),
        cmocka_unit_test(whoever_has_no_gateways_certificate_does_not_log_in),
        cmocka_unit_test(a_token_expires_and_is_renewed_no_further_than_its_lifetime),
        cmocka_unit_test(no_login_outlives_its_certificate),
        cmocka_unit_test(a_token_and_its_leases_die_with_its_certificate),
        cmocka_unit_test(a_token_revokes_itself_and_its_leases_and_no_others),
        cmocka_unit_test(issued_tokens_and_roles_outlive_a_restart_and_logins_do_not),
        cmocka_unit_test(a_token_that_opens_nothing_does_not_tell_which_keys_there_are),
        cmocka_unit_test(issued_tokens_that_expired_are_forgotten),
        cmocka_unit_test(requests_of_one_batch_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
