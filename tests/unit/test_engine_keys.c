/* Keys over time: rotated with and without grace, revoked, ended with their engagement, purged. */
#include "engine_customer.h"

#define SECOND_VALUE "sk-proj-the-second-one-ABCD"

static json_t *shown(struct rig *r, const char *tenant, const char *key)
{
    return rig_get(r, VERB_KEY_SHOW, &r->alice, tenant, key, NULL);
}

/* "current", "superseded" or "destroyed". */
static bool version_is(struct rig *r, const char *key, int version, const char *state)
{
    json_t *reply = shown(r, "acme", key), *v;
    size_t i;
    bool is = false;

    json_array_foreach(json_object_get(reply, "versions"), i, v)
    {
        if (json_integer_value(json_object_get(v, "version")) == version)
            is = strcmp(rig_text(v, "state"), state) == 0;
    }
    json_decref(reply);
    return is;
}

static bool first_is_destroyed(struct rig *r, const void *context)
{
    return version_is(r, context, 1, "destroyed");
}

static void a_rotated_key_lives_on_for_its_grace_and_not_longer(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], newer[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    request_free(rotate(r, &c, "openai", SECOND_VALUE, 60));
    leased(r, &c, "openai", SECOND_VALUE, newer);
    assert_true(version_is(r, "openai", 1, "superseded"));
    assert_int_equal(renew(r, &c, token), CONFLICT); /* but it is still a lease */
    rig_pass(61);
    assert_true(soon(first_is_destroyed, r, "openai"));
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    assert_int_equal(renew(r, &c, newer), OK);
    assert_int_equal(recorded(r, "acme", "\"reason\":\"grace-over\""), 1);
    rig_free(r);
}

static void without_grace_the_old_version_is_gone_when_the_answer_comes(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rq = rotate(r, &c, "openai", SECOND_VALUE, 0);
    assert_int_equal(rq->outcome, OK);
    assert_false(rq->created);
    request_free(rq);
    assert_true(version_is(r, "openai", 1, "destroyed"));
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    leased(r, &c, "openai", SECOND_VALUE, token);
    rig_free(r);
}

static void a_rotation_whose_delivery_does_not_open_changes_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;
    uint8_t intake[32];

    (void)state;
    memcpy(intake, r->intake, 32);
    r->intake[3] ^= 1;
    rq = rotate(r, &c, "openai", SECOND_VALUE, 0);
    memcpy(r->intake, intake, 32);
    assert_int_equal(rq->outcome, BAD_INPUT);
    request_free(rq);
    leased(r, &c, "openai", VALUE, token);
    assert_true(version_is(r, "openai", 1, "current"));
    assert_int_equal(recorded(r, "acme", TYPE("operation.failed")), 1);
    rig_free(r);
}

static void revoking_destroys_all_versions_and_ends_the_leases_at_once(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char old[LEASE_TOKEN_LENGTH + 1], token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    leased(r, &c, "openai", VALUE, old);
    request_free(rotate(r, &c, "openai", SECOND_VALUE, 3600));
    leased(r, &c, "openai", SECOND_VALUE, token);
    rig_do(r, VERB_KEY_REVOKE, &c.cert, "acme", "openai", NULL);
    assert_int_equal(renew(r, &c, old), NOT_FOUND);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    assert_true(version_is(r, "openai", 1, "destroyed"));
    assert_true(version_is(r, "openai", 2, "destroyed"));
    rq = lease(r, &c, "openai");
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    rq = rotate(r, &c, "openai", VALUE, 0);
    assert_int_equal(rq->outcome, CONFLICT);
    request_free(rq);
    assert_int_equal(recorded(r, "acme", TYPE("key.revoked")), 1);
    assert_int_equal(recorded(r, "acme", "\"reason\":\"revoked\""), 2);
    rig_free(r);
}

static void a_key_with_more_versions_than_a_batch_takes_is_revoked_as_a_whole(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");

    (void)state;
    for (int i = 0; i < 80; i++) {
        struct request *rq = rotate(r, &c, "openai", SECOND_VALUE, 86400);

        assert_int_equal(rq->outcome, OK);
        request_free(rq);
    }
    rig_do(r, VERB_KEY_REVOKE, &r->alice, "acme", "openai", NULL);
    assert_int_equal(recorded(r, "acme", TYPE("key.destroyed")), 81);
    for (int version = 18; version <= 81; version++)
        assert_true(version_is(r, "openai", version, "destroyed"));
    rig_free(r);
}

static bool is_purged(struct rig *r, const void *context)
{
    json_t *reply = rig_get(r, VERB_ENGAGEMENT_LIST, &r->alice, "acme", NULL, NULL);
    const json_t *g = json_array_get(json_object_get(reply, "engagements"), 0);
    bool purged = strcmp(rig_text(g, "state"), "purged") == 0;

    (void)context;
    json_decref(reply);
    return purged;
}

static void an_ended_engagement_leases_nothing_and_is_purged_when_its_time_comes(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;
    json_t *key;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_do(r, VERB_ENGAGEMENT_END, &c.cert, "acme", "work", NULL);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    rq = lease(r, &c, "openai");
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    assert_int_equal(rig_try(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL), CONFLICT);
    rig_pass(PURGE_DELAY_S - 60);
    usleep(1500000);
    assert_false(is_purged(r, NULL));
    rig_pass(120);
    assert_true(soon(is_purged, r, NULL));
    key = shown(r, "acme", "openai");
    assert_string_equal(rig_text(key, "state"), "purged");
    assert_int_equal(json_array_size(json_object_get(key, "versions")), 0);
    json_decref(key);
    assert_int_equal(recorded(r, "acme", TYPE("purge.keys_destroyed")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("purge.done")), 1);
    rig_free(r);
}

static void a_purge_while_locked_is_completed_at_the_next_unlock(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    (void)customer_new(r, "acme");
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_pass(PURGE_DELAY_S + 1);
    rig_unlock(r);
    assert_true(is_purged(r, NULL));
    assert_int_equal(recorded(r, "acme", TYPE("purge.keys_destroyed")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("purge.done")), 1);
    check_macs(r, "acme");
    check_macs(r, "vault");
    rig_free(r);
}

static void the_clock_of_this_machine_does_not_move_leases(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    /* Ten days ahead in one step: not believed, so nothing expires. */
    __atomic_store_n(&rig_clock->wall_us, 10 * DAY_S * SECOND_US, __ATOMIC_SEQ_CST);
    usleep(1500000);
    assert_int_equal(renew(r, &c, token), OK);
    assert_int_equal(rig_try(r, VERB_CLOCK_CONFIRM, &r->alice, NULL, NULL, NULL), OK);
    usleep(1500000);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_CLOCK_CONFIRM, &r->alice, NULL, NULL, NULL), CONFLICT);
    /* And back again: time does not follow. */
    leased(r, &c, "openai", VALUE, token);
    __atomic_store_n(&rig_clock->wall_us, 0, __ATOMIC_SEQ_CST);
    rig_pass(301);
    usleep(1500000);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    rig_free(r);
}

static void put_scoped(struct rig *r, const struct customer *c, const char *key, const char *scope)
{
    json_t *body = put_body(r, VALUE);

    json_object_set_new(body, "scope", json_string(scope));
    rig_do(r, VERB_KEY_PUT, &r->alice, c->tenant, key, body);
}

/* What it could do lasts longer than any lease of it. */
static void an_admin_key_is_never_leased(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    put_scoped(r, &c, "root", "admin");
    rq = lease(r, &c, "root");
    assert_int_equal(rq->outcome, DENIED);
    assert_string_equal(rq->err.why, "an admin key is never leased");
    assert_null(rq->value);
    request_free(rq);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 0);
    put_scoped(r, &c, "costs", "billing_read");
    leased(r, &c, "costs", VALUE, token);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_admin_key_is_never_leased),
        cmocka_unit_test(a_rotated_key_lives_on_for_its_grace_and_not_longer),
        cmocka_unit_test(without_grace_the_old_version_is_gone_when_the_answer_comes),
        cmocka_unit_test(a_rotation_whose_delivery_does_not_open_changes_nothing),
        cmocka_unit_test(revoking_destroys_all_versions_and_ends_the_leases_at_once),
        cmocka_unit_test(a_key_with_more_versions_than_a_batch_takes_is_revoked_as_a_whole),
        cmocka_unit_test(an_ended_engagement_leases_nothing_and_is_purged_when_its_time_comes),
        cmocka_unit_test(a_purge_while_locked_is_completed_at_the_next_unlock),
        cmocka_unit_test(the_clock_of_this_machine_does_not_move_leases),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
