/* Names of people stand in records as tags, and can be forgotten. */
#include "engine_customer.h"

/* The tag of a name in a log, as its list of people says; false if it is not there. */
static bool tag_of(struct rig *r, const char *log, const char *name,
                   char out[PERSON_TEXT_LENGTH + 1])
{
    json_t *reply = rig_get(r, VERB_PERSON_LIST, &r->alice, log, NULL, NULL);
    json_t *person = NULL;
    size_t i = 0;
    bool found = false;

    json_array_foreach(json_object_get(reply, "people"), i, person)
    {
        uint8_t salt[PERSON_SALT], tag[PERSON_TAG];

        if (strcmp(rig_text(person, "name"), name) != 0)
            continue;
        assert_false(found); /* one row a name */
        found = true;
        rig_hex(person, "salt", salt, sizeof salt);
        person_tag(salt, span_text(name), tag);
        person_text(tag, out);
        assert_string_equal(rig_text(person, "tag"), out + 1);
    }
    json_decref(reply);
    return found;
}

static status erase(struct rig *r, const struct holder *who, const char *log, const char *name)
{
    return rig_try(r, VERB_PERSON_ERASE, who, log, NULL, json_pack("{s:s}", "name", name));
}

static void shut_out(struct rig *r, const struct holder *whose)
{
    json_t *body = json_pack("{s:o}", "spki", rig_as_hex(SPAN(whose->spki)));

    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL, body);
}

/* An admin who did something in the log of acme. */
static struct holder admin_at_work(struct rig *r, const char *name)
{
    struct holder admin = certified(r, "admin", name);

    rig_do(r, VERB_ENGAGEMENT_START, &admin, "acme", NULL, json_pack("{s:s}", "name", name));
    return admin;
}

static void people_stand_in_records_as_tags_and_gateways_by_name(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char here[PERSON_TEXT_LENGTH + 1], there[PERSON_TEXT_LENGTH + 1], token[LEASE_TOKEN_LENGTH + 1];
    char actor[80];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(recorded(r, "acme", "alice") + recorded(r, "vault", "operator:alice"), 0);
    assert_int_equal(recorded(r, "vault", "\"name\":\"alice\""), 0);
    assert_true(tag_of(r, "acme", "alice", here));
    assert_true(tag_of(r, "vault", "alice", there));
    assert_string_not_equal(here, there);
    snprintf(actor, sizeof actor, "\"actor\":\"operator:%s\"", here);
    assert_int_equal(recorded(r, "acme", actor), 5);
    assert_int_equal(recorded(r, "acme", "\"actor\":\"gateway:gw-acme\""), 1);
    rig_free(r);
}

static void what_a_gateway_says_of_its_purpose_is_a_tag_too(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char tag[PERSON_TEXT_LENGTH + 1], member[80];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        json_t *body = lease_body(&c, "openai");
        struct request *rq;

        json_object_set_new(body, "purpose", json_string("for Mrs Miller"));
        rq = rig_ask(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body);
        assert_int_equal(rq->outcome, OK);
        assert_true(value_is(rq, VALUE));
        request_free(rq);
    }
    assert_true(tag_of(r, "acme", "for Mrs Miller", tag));
    snprintf(member, sizeof member, "\"purpose\":\"%s\"", tag);
    assert_int_equal(recorded(r, "acme", member), 2);
    assert_int_equal(recorded(r, "acme", "Miller"), 0);
    rig_free(r);
}

static void names_outlive_the_server(void **state)
{
    struct rig *r = rig_new();
    char before[PERSON_TEXT_LENGTH + 1], after[PERSON_TEXT_LENGTH + 1];

    (void)state;
    (void)customer_new(r, "acme");
    assert_true(tag_of(r, "acme", "alice", before));
    rig_stop_engine(r);
    rig_start_engine(r);
    rig_do(r, VERB_ENGAGEMENT_START, &r->alice, "acme", NULL, json_pack("{s:s}", "name", "more"));
    assert_true(tag_of(r, "acme", "alice", after));
    assert_string_equal(before, after);
    rig_free(r);
}

static void a_person_who_may_still_come_in_is_not_erased(void **state)
{
    struct rig *r = rig_new();
    struct holder bob;
    char tag[PERSON_TEXT_LENGTH + 1];

    (void)state;
    (void)customer_new(r, "acme");
    bob = admin_at_work(r, "bob");
    assert_int_equal(erase(r, &r->alice, "acme", "bob"), CONFLICT);
    assert_int_equal(erase(r, &r->alice, "acme", "nobody"), NOT_FOUND);
    assert_true(tag_of(r, "acme", "bob", tag));
    shut_out(r, &bob);
    assert_int_equal(erase(r, &r->alice, "acme", "bob"), OK);
    assert_false(tag_of(r, "acme", "bob", tag));
    assert_int_equal(erase(r, &r->alice, "acme", "bob"), NOT_FOUND);
    rig_free(r);
}

static void an_erasure_is_recorded_without_the_name_and_the_records_stay(void **state)
{
    struct rig *r = rig_new();
    struct holder bob;
    char tag[PERSON_TEXT_LENGTH + 1], member[80];

    (void)state;
    (void)customer_new(r, "acme");
    bob = admin_at_work(r, "bob");
    shut_out(r, &bob);
    assert_true(tag_of(r, "acme", "bob", tag));
    assert_int_equal(erase(r, &r->alice, "acme", tag), OK); /* by its tag */
    assert_int_equal(recorded(r, "acme", TYPE("person.erased")), 1);
    snprintf(member, sizeof member, "\"person\":\"%s\"", tag);
    assert_int_equal(recorded(r, "acme", member), 1);
    snprintf(member, sizeof member, "\"actor\":\"admin:%s\"", tag);
    assert_int_equal(recorded(r, "acme", member), 1);
    check_macs(r, "acme");
    rig_free(r);
}

static void erasing_in_the_vaults_log_takes_the_name_off_the_certificates(void **state)
{
    struct rig *r = rig_new();
    struct holder bob;
    struct request *rq;
    json_t *list;
    char *text;

    (void)state;
    (void)customer_new(r, "acme");
    bob = admin_at_work(r, "bob");
    shut_out(r, &bob);
    assert_int_equal(erase(r, &r->alice, "vault", "bob"), OK);
    list = rig_get(r, VERB_CERTIFICATE_LIST, &r->alice, NULL, NULL, NULL);
    text = json_dumps(list, 0);
    assert_null(strstr(text, "\"bob\""));
    assert_non_null(strstr(text, "\"alice\""));
    free(text);
    json_decref(list);
    rig_stop_engine(r);
    rig_start_engine(r);
    rq = rig_ask(r, VERB_TENANT_LIST, &bob, NULL, NULL, NULL);
    assert_int_equal(rq->outcome, NO_IDENTITY);
    assert_string_equal(rq->err.why, "this certificate was revoked");
    request_free(rq);
    rig_free(r);
}

static void a_person_who_comes_back_has_another_tag(void **state)
{
    struct rig *r = rig_new();
    struct holder bob;
    char before[PERSON_TEXT_LENGTH + 1], after[PERSON_TEXT_LENGTH + 1];

    (void)state;
    (void)customer_new(r, "acme");
    bob = certified(r, "admin", "bob");
    rig_do(r, VERB_ENGAGEMENT_START, &bob, "acme", NULL, json_pack("{s:s}", "name", "one"));
    assert_true(tag_of(r, "acme", "bob", before));
    shut_out(r, &bob);
    assert_int_equal(erase(r, &r->alice, "acme", "bob"), OK);
    bob = certified(r, "admin", "bob");
    rig_do(r, VERB_ENGAGEMENT_START, &bob, "acme", NULL, json_pack("{s:s}", "name", "two"));
    assert_true(tag_of(r, "acme", "bob", after));
    assert_string_not_equal(before, after);
    rig_free(r);
}

static void a_tenant_erases_in_its_own_log_and_in_no_other(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");
    struct holder bob = admin_at_work(r, "bob");

    (void)state;
    (void)customer_new(r, "bolt");
    rig_do(r, VERB_ENGAGEMENT_START, &bob, "bolt", NULL, json_pack("{s:s}", "name", "one"));
    shut_out(r, &bob);
    assert_int_equal(erase(r, &a.cert, "bolt", "bob"), NOT_FOUND);
    assert_int_equal(erase(r, &a.cert, "vault", "bob"), NOT_FOUND);
    assert_int_equal(erase(r, &a.gateway, "acme", "bob"), DENIED);
    assert_int_equal(erase(r, &a.cert, "acme", "bob"), OK);
    assert_int_equal(rig_try(r, VERB_PERSON_LIST, &a.cert, "bolt", NULL, NULL), NOT_FOUND);
    rig_free(r);
}

/* Whatever a gateway calls a purpose can be erased: it would ask whether there is such a tenant. */
static void erasing_tells_a_tenant_nothing_of_another(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");
    json_t *body = lease_body(&a, "openai");

    (void)state;
    (void)customer_new(r, "bolt");
    json_object_set_new(body, "purpose", json_string("bolt"));
    rig_do(r, VERB_LEASE_ISSUE, &a.gateway, NULL, NULL, body);
    assert_int_equal(erase(r, &a.cert, "acme", "bolt"), OK);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_stand_in_records_as_tags_and_gateways_by_name),
        cmocka_unit_test(what_a_gateway_says_of_its_purpose_is_a_tag_too),
        cmocka_unit_test(names_outlive_the_server),
        cmocka_unit_test(a_person_who_may_still_come_in_is_not_erased),
        cmocka_unit_test(an_erasure_is_recorded_without_the_name_and_the_records_stay),
        cmocka_unit_test(erasing_in_the_vaults_log_takes_the_name_off_the_certificates),
        cmocka_unit_test(a_person_who_comes_back_has_another_tag),
        cmocka_unit_test(a_tenant_erases_in_its_own_log_and_in_no_other),
        cmocka_unit_test(erasing_tells_a_tenant_nothing_of_another),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
