/* Auditors: what a limited one sees, and that nothing makes it see more. */
#include "engine_customer.h"

static json_t *auditor_body(const char *name, json_t *tenants, char *csr)
{
    json_t *body = json_pack("{s:s, s:s, s:s}", "role", "auditor", "name", name, "csr", csr);

    if (tenants != NULL)
        json_object_set_new(body, "tenants", tenants);
    free(csr);
    return body;
}

static status try_issue(struct rig *r, const char *name, json_t *tenants)
{
    return rig_try(r, VERB_CERTIFICATE_ISSUE, &r->alice, NULL, NULL,
                   auditor_body(name, tenants, rig_csr()));
}

static struct holder issue(struct rig *r, const char *name, json_t *tenants)
{
    json_t *made = rig_get(r, VERB_CERTIFICATE_ISSUE, &r->alice, NULL, NULL,
                           auditor_body(name, tenants, rig_csr()));
    struct holder holder = rig_holder(r, rig_text(made, "certificate"));

    json_decref(made);
    return holder;
}

static status assign(struct rig *r, const char *name, const char *tenant)
{
    return rig_try(r, VERB_AUDITOR_ASSIGN, &r->alice, name, NULL,
                   json_pack("{s:s}", "tenant", tenant));
}

static void revoke_of(struct rig *r, const struct holder *holder)
{
    rig_do(r, VERB_CERTIFICATE_REVOKE, &r->alice, NULL, NULL,
           json_pack("{s:o}", "spki", rig_as_hex(SPAN(holder->spki))));
}

/* Every verb of the table, for an auditor of acme: what it may, and on whom. */
/* LIKE_OWN: what it may takes more than a request without anything in it has. */
enum answer { NEVER, OWN, LIKE_OWN, SELF, EVERYBODY };
static const enum answer answers[VERB_COUNT] = {
    [VERB_STATUS] = EVERYBODY,      [VERB_TENANT_LIST] = SELF,    [VERB_TENANT_SHOW] = OWN,
    [VERB_ENGAGEMENT_LIST] = OWN,   [VERB_KEY_LIST] = OWN,        [VERB_KEY_SHOW] = OWN,
    [VERB_CERTIFICATE_LIST] = SELF, [VERB_LOG_SHOW] = OWN,        [VERB_LOG_RECORDS] = OWN,
    [VERB_LOG_CHECK] = OWN,         [VERB_LOG_CONSISTENCY] = OWN, [VERB_LOG_INCLUSION] = LIKE_OWN,
    [VERB_LOG_RANGE] = OWN,         [VERB_LOG_OPERATORS] = OWN,   [VERB_LOG_COMMITMENT] = LIKE_OWN,
    [VERB_LOG_COSIGN] = LIKE_OWN,   [VERB_PERSON_LIST] = OWN,     [VERB_POLICY_SHOW] = LIKE_OWN,
    [VERB_POLICY_VERSIONS] = OWN,   [VERB_COMPAT_SHOW] = OWN,
};

static void a_limited_auditor_sees_its_tenants_and_nothing_else_through_every_verb(void **state)
{
    struct rig *r = rig_new();
    struct holder una;

    (void)state;
    (void)customer_new(r, "acme");
    (void)customer_new(r, "bolt");
    una = issue(r, "una", json_pack("[s]", "acme"));
    for (enum verb verb = VERB_NONE + 1; verb < VERB_COUNT; verb++) {
        struct request *own = rig_ask(r, verb, &una, "acme", "openai", NULL);
        struct request *other = rig_ask(r, verb, &una, "bolt", "openai", NULL);
        struct request *absent = rig_ask(r, verb, &una, "nowhere", "openai", NULL);

        if (answers[verb] == NEVER && own->outcome != DENIED)
            print_error("%s\n", verb_name(verb));
        if (answers[verb] != LIKE_OWN)
            assert_int_equal(own->outcome, answers[verb] == NEVER ? DENIED : OK);
        if (answers[verb] == OWN || answers[verb] == LIKE_OWN) {
            assert_int_equal(other->outcome, absent->outcome);
            assert_int_not_equal(other->outcome, OK);
            assert_string_equal(other->err.why, absent->err.why);
        }
        request_free(own);
        request_free(other);
        request_free(absent);
    }
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &una, "vault", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LOG_RECORDS, &una, "vault", NULL, NULL), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LOG_CHECK, &una, "vault", NULL, NULL), NOT_FOUND);
    assert_int_equal(recorded(r, "bolt", "auditor:una"), 0);
    rig_free(r);
}

static void lists_hold_what_the_auditor_may_know(void **state)
{
    struct rig *r = rig_new();
    struct holder una;
    json_t *reply, *list;

    (void)state;
    (void)customer_new(r, "acme");
    (void)customer_new(r, "bolt");
    (void)customer_new(r, "crow");
    una = issue(r, "una", json_pack("[s, s]", "crow", "acme"));
    (void)issue(r, "urs", json_pack("[s]", "bolt"));
    reply = rig_get(r, VERB_TENANT_LIST, &una, NULL, NULL, NULL);
    list = json_object_get(reply, "tenants");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(rig_text(json_array_get(list, 0), "name"), "acme");
    assert_string_equal(rig_text(json_array_get(list, 1), "name"), "crow");
    json_decref(reply);
    reply = rig_get(r, VERB_CERTIFICATE_LIST, &una, NULL, NULL, NULL);
    list = json_object_get(reply, "certificates");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(rig_text(json_array_get(list, 0), "name"), "una");
    assert_string_equal(rig_text(json_array_get(list, 0), "scope"), "tenants");
    json_decref(reply);
    reply = rig_get(r, VERB_STATUS, &una, NULL, NULL, NULL);
    assert_int_equal(json_object_size(reply), 3);
    json_decref(reply);
    reply = rig_get(r, VERB_AUDITOR_LIST, &r->alice, NULL, NULL, NULL);
    list = json_object_get(reply, "auditors");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(rig_text(json_array_get(list, 0), "name"), "una");
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "tenants")), 2);
    json_decref(reply);
    rig_free(r);
}

static void an_assignment_holds_from_its_record_to_that_of_its_end_and_over_a_restart(void **state)
{
    struct rig *r = rig_new();
    struct holder una;

    (void)state;
    (void)customer_new(r, "acme");
    (void)customer_new(r, "bolt");
    una = issue(r, "una", json_pack("[s]", "acme"));
    assert_int_equal(recorded(r, "acme", TYPE("auditor.assigned")), 1);
    assert_int_equal(assign(r, "una", "bolt"), OK);
    assert_int_equal(assign(r, "una", "bolt"), CONFLICT);
    assert_int_equal(recorded(r, "bolt", TYPE("auditor.assigned")), 1);
    rig_restart_engine(r);
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &una, "bolt", NULL, NULL), OK);
    rig_do(r, VERB_AUDITOR_UNASSIGN, &r->alice, "una", "bolt", NULL);
    rig_do(r, VERB_AUDITOR_UNASSIGN, &r->alice, "una", "acme", NULL);
    assert_int_equal(recorded(r, "bolt", TYPE("auditor.unassigned")), 1);
    for (unsigned round = 0; round < 2; round++) { /* the last one gone is nothing, not all */
        assert_int_equal(rig_try(r, VERB_LOG_SHOW, &una, "bolt", NULL, NULL), NOT_FOUND);
        assert_int_equal(rig_try(r, VERB_LOG_SHOW, &una, "acme", NULL, NULL), NOT_FOUND);
        assert_int_equal(rig_try(r, VERB_LOG_SHOW, &una, "vault", NULL, NULL), NOT_FOUND);
        rig_restart_engine(r);
    }
    assert_int_equal(rig_try(r, VERB_AUDITOR_UNASSIGN, &r->alice, "una", "acme", NULL), NOT_FOUND);
    rig_free(r);
}

static void a_renewed_certificate_never_sees_more_than_the_name_did(void **state)
{
    struct rig *r = rig_new();
    struct holder una, second;

    (void)state;
    (void)customer_new(r, "acme");
    (void)customer_new(r, "bolt");
    una = issue(r, "una", json_pack("[s, s]", "acme", "bolt"));
    assert_int_equal(try_issue(r, "una", NULL), CONFLICT);
    second = issue(r, "una", json_pack("[s]", "acme"));
    assert_int_equal(recorded(r, "acme", TYPE("auditor.assigned")), 1);
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &second, "bolt", NULL, NULL), OK);
    revoke_of(r, &una);
    revoke_of(r, &second);
    /* Somebody new of that name does not get what somebody else was given. */
    assert_int_equal(try_issue(r, "una", json_pack("[s]", "acme")), CONFLICT);
    rig_do(r, VERB_AUDITOR_UNASSIGN, &r->alice, "una", "bolt", NULL);
    second = issue(r, "una", json_pack("[s]", "acme"));
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &second, "bolt", NULL, NULL), NOT_FOUND);
    rig_free(r);
}

static void without_tenants_an_auditor_is_of_the_whole_vault_and_stays_so(void **state)
{
    struct rig *r = rig_new();
    struct holder ulf;

    (void)state;
    (void)customer_new(r, "acme");
    ulf = certified(r, "auditor", "ulf");
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &ulf, "vault", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_LOG_SHOW, &ulf, "acme", NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_GATEWAY_LIST, &ulf, NULL, NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_OPERATION_LIST, &ulf, NULL, NULL, NULL), OK);
    assert_int_equal(assign(r, "ulf", "acme"), CONFLICT);
    assert_int_equal(try_issue(r, "ulf", json_pack("[s]", "acme")), CONFLICT);
    assert_int_equal(recorded(r, "vault", "\"scope\":\"vault\""), 1);
    rig_free(r);
}

static void what_cannot_be_assigned_is_refused_and_leaves_nothing(void **state)
{
    struct rig *r = rig_new();
    struct holder una;

    (void)state;
    (void)customer_new(r, "acme");
    una = issue(r, "una", json_pack("[s]", "acme"));
    assert_int_equal(assign(r, "nobody", "acme"), NOT_FOUND);
    assert_int_equal(assign(r, "una", "nowhere"), NOT_FOUND);
    assert_int_equal(try_issue(r, "ute", json_array()), BAD_INPUT);
    assert_int_equal(try_issue(r, "ute", json_pack("[i]", 1)), BAD_INPUT);
    assert_int_equal(try_issue(r, "ute", json_pack("[s, s]", "acme", "acme")), BAD_INPUT);
    assert_int_equal(try_issue(r, "ute", json_pack("[s]", "nowhere")), NOT_FOUND);
    assert_int_equal(
        rig_try(r, VERB_AUDITOR_ASSIGN, &una, "una", NULL, json_pack("{s:s}", "tenant", "acme")),
        DENIED);
    assert_int_equal(recorded(r, "acme", TYPE("auditor.assigned")), 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limited_auditor_sees_its_tenants_and_nothing_else_through_every_verb),
        cmocka_unit_test(lists_hold_what_the_auditor_may_know),
        cmocka_unit_test(an_assignment_holds_from_its_record_to_that_of_its_end_and_over_a_restart),
        cmocka_unit_test(a_renewed_certificate_never_sees_more_than_the_name_did),
        cmocka_unit_test(without_tenants_an_auditor_is_of_the_whole_vault_and_stays_so),
        cmocka_unit_test(what_cannot_be_assigned_is_refused_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
