/* Asking again for a lease whose answer was lost: one idempotency key, one lease. */
#include "engine_customer.h"

#include "crypto/crypto.h"

static struct request *with_key(struct rig *r, const struct holder *gateway, const char *key,
                                json_t *body)
{
    struct request *rq = rig_request(r, VERB_LEASE_ISSUE, gateway, NULL, NULL, body);
    uint8_t hash[SHA256_SIZE];

    sha256(span_text(key), hash);
    memcpy(rq->idempotency, hash, sizeof rq->idempotency);
    rq->has_idempotency = true;
    return rq;
}

static struct request *ask_with(struct rig *r, const struct customer *c, const char *key,
                                json_t *body)
{
    struct request *rq = rig_submit(r, with_key(r, &c->gateway, key, body));

    rig_wait(r);
    return rq;
}

static status try_with(struct rig *r, const struct customer *c, const char *key, json_t *body)
{
    struct request *rq = ask_with(r, c, key, body);
    status st = rq->outcome;

    request_free(rq);
    return st;
}

static bool is_repeated(const struct request *rq)
{
    return json_is_true(json_object_get(rq->reply, "repeated"));
}

/* The same lease in every member that names it. */
static void assert_same_lease(const struct request *a, const struct request *b)
{
    static const char *const members[] = { "lease", "key", "issued", "expires", "max_expires" };

    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        assert_string_equal(rig_text(a->reply, members[i]), rig_text(b->reply, members[i]));
}

static void the_same_request_again_is_the_same_lease_and_opens_the_value_again(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *first = ask_with(r, &c, "one", lease_body(&c, "openai")), *again;

    (void)state;
    assert_int_equal(first->outcome, OK);
    assert_false(is_repeated(first));
    for (unsigned round = 0; round < 3; round++) {
        again = ask_with(r, &c, "one", lease_body(&c, "openai"));
        assert_int_equal(again->outcome, OK);
        assert_true(is_repeated(again));
        assert_true(value_is(again, VALUE));
        assert_same_lease(first, again);
        request_free(again);
        if (round == 0) /* the new server knows it from the record */
            rig_restart_engine(r);
        if (round == 1) {
            assert_int_equal(renew(r, &c, rig_text(first->reply, "lease")), OK);
            request_free(first);
            first = ask_with(r, &c, "one", lease_body(&c, "openai"));
            rig_restart_engine(r); /* or from that of the renewal */
        }
    }
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("lease.repeated")), 4);
    again = ask_with(r, &c, "two", lease_body(&c, "openai"));
    assert_false(is_repeated(again));
    assert_string_not_equal(rig_text(first->reply, "lease"), rig_text(again->reply, "lease"));
    request_free(again);
    request_free(first);
    check_macs(r, "acme");
    rig_free(r);
}

static void two_of_a_kind_queued_together_are_one_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *rq[5];

    (void)state;
    rig_hold(r);
    for (size_t i = 0; i < 5; i++)
        rq[i] = rig_submit(r, with_key(r, &c.gateway, "one", lease_body(&c, "openai")));
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        assert_true(value_is(rq[i], VALUE));
        assert_int_equal(is_repeated(rq[i]), i > 0);
        assert_same_lease(rq[0], rq[i]);
    }
    for (size_t i = 0; i < 5; i++)
        request_free(rq[i]);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1);
    rig_free(r);
}

static void another_request_with_the_same_key_is_a_conflict(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    json_t *body;

    (void)state;
    put_key(r, &c, "other");
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), OK);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "other")), CONFLICT);
    body = lease_body(&c, "openai");
    json_object_set_new(body, "ttl_s", json_integer(60));
    assert_int_equal(try_with(r, &c, "one", body), CONFLICT);
    body = lease_body(&c, "openai"); /* what a repetition may differ in */
    json_object_set_new(body, "purpose", json_string("the same in other words"));
    json_object_set_new(body, "region", json_string(RIG_REGION));
    assert_int_equal(try_with(r, &c, "one", body), OK);
    rig_restart_engine(r);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "other")), CONFLICT);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("lease.refused")), 3);
    rig_free(r);
}

static void the_same_key_of_another_gateway_is_another_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme"), other = c;
    struct request *a, *b;

    (void)state;
    other.gateway = gateway_new(r, "second", "acme/*");
    a = ask_with(r, &c, "one", lease_body(&c, "openai"));
    b = ask_with(r, &other, "one", lease_body(&c, "openai"));
    assert_int_equal(b->outcome, OK);
    assert_false(is_repeated(b));
    assert_string_not_equal(rig_text(a->reply, "lease"), rig_text(b->reply, "lease"));
    request_free(a);
    request_free(b);
    rig_free(r);
}

static void a_lease_that_was_given_back_is_not_repeated(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *first = ask_with(r, &c, "one", lease_body(&c, "openai"));
    const char *token = rig_text(first->reply, "lease");

    (void)state;
    rig_do(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), CONFLICT);
    rig_restart_engine(r);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), CONFLICT);
    rig_pass(91); /* the key is free again */
    usleep(1200000);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), OK);
    rig_do(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:s}", "tenant", "acme"));
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), CONFLICT);
    rig_restart_engine(r);
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), CONFLICT);
    assert_int_equal(recorded(r, "acme", TYPE("lease.repeated")), 0);
    request_free(first);
    rig_free(r);
}

static void after_its_expiry_the_key_makes_a_new_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct request *first = ask_with(r, &c, "one", lease_body(&c, "openai")), *again;

    (void)state;
    rig_pass(301);
    usleep(1200000);
    again = ask_with(r, &c, "one", lease_body(&c, "openai"));
    assert_int_equal(again->outcome, OK);
    assert_false(is_repeated(again));
    assert_string_not_equal(rig_text(first->reply, "lease"), rig_text(again->reply, "lease"));
    request_free(first);
    request_free(again);
    rig_free(r);
}

/* Nothing is given out again that would not be given out now. */
static void a_repetition_is_asked_of_policy_again(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), OK);
    request_free(rotate(r, &c, "openai", "sk-another-value-0123456789", 60));
    assert_int_equal(try_with(r, &c, "one", lease_body(&c, "openai")), CONFLICT);
    assert_int_equal(try_with(r, &c, "two", lease_body(&c, "openai")), OK);
    rig_do(r, VERB_GRANT_REMOVE, &r->alice, "gw-acme", NULL, json_pack("{s:s}", "key", "acme/*"));
    assert_int_equal(try_with(r, &c, "two", lease_body(&c, "openai")), DENIED);
    assert_int_equal(recorded(r, "acme", TYPE("lease.repeated")), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_request_again_is_the_same_lease_and_opens_the_value_again),
        cmocka_unit_test(two_of_a_kind_queued_together_are_one_lease),
        cmocka_unit_test(another_request_with_the_same_key_is_a_conflict),
        cmocka_unit_test(the_same_key_of_another_gateway_is_another_lease),
        cmocka_unit_test(a_lease_that_was_given_back_is_not_repeated),
        cmocka_unit_test(after_its_expiry_the_key_makes_a_new_lease),
        cmocka_unit_test(a_repetition_is_asked_of_policy_again),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
