/* What the keeper does against being forgotten: it locks itself, and proves its primitives. */
#include "keeper_customer.h"
#include "keeper_people.h"

#define GRACE_S 10 /* for the server to say goodbye */

static void begin_with(struct rig *r, uint64_t unlocked_max_s, uint64_t idle_lock_s)
{
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    r->settings.unlocked_max_s = unlocked_max_s;
    r->settings.idle_lock_s = idle_lock_s;
    people_reopen(r, 1);
    people_folded(r, 0);
}

/* The vault has locked itself, and once it is open again its log says why. */
static void check_locked(struct rig *r, const char *reason)
{
    char field[64];

    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
    rig_unlock(r);
    assert_int_equal(people_folded(r, RECORD_VAULT_LOCKED), 1);
    snprintf(field, sizeof(field), "\"reason\":\"%s\"", reason);
    assert_true(rig_line_has(&r->records[0], field));
}

static void without_settings_the_vault_stays_open(void **state)
{
    struct rig *r = *state;

    for (unsigned day = 0; day < 60; day++) {
        rig_pass(86400);
        assert_int_equal(rig_hello(r).lock_due, 0);
    }
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void a_vault_that_was_open_for_long_enough_locks_itself(void **state)
{
    struct rig *r = *state;

    begin_with(r, 3600, 0);
    rig_pass(3600);
    assert_int_equal(rig_hello(r).lock_due, 0);
    rig_pass(1);
    assert_int_equal(rig_hello(r).lock_due, 1); /* the server may end in order */
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_VAULT_LOCKED }), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_pass(GRACE_S);
    check_locked(r, "unlocked-max");
    assert_int_equal(rig_hello(r).lock_due, 0); /* counts anew */
}

static void work_keeps_an_idle_lock_away_and_questions_do_not(void **state)
{
    struct rig *r = *state;

    begin_with(r, 0, 600);
    for (unsigned i = 0; i < 5; i++) {
        rig_pass(500);
        assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD,
                                                           .type = RECORD_SERVER_STARTED }),
                         OK);
    }
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    for (unsigned i = 0; i < 6; i++) {
        rig_pass(100);
        assert_int_equal(rig_hello(r).lock_due, 0);
        assert_int_equal(rig_batch(r, NULL, 0), OK); /* an acknowledgement is no work */
    }
    rig_pass(1);
    assert_int_equal(rig_hello(r).lock_due, 1);
    rig_pass(GRACE_S);
    check_locked(r, "idle");
}

static void a_lock_that_is_due_leaves_no_secret_behind(void **state)
{
    struct rig *r = *state;

    begin_with(r, 60, 0);
    rig_pass(61 + GRACE_S);
    keeper_tick(r->k);
    assert_true(secret_in_use() <= 64);
    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), LOCKED);
}

static void a_lock_cuts_a_rotation_off_and_it_goes_on_later(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_operation(OPERATION_REKEY_ROOT);

    begin_with(r, 60, 0);
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_true(keeper_work(r->k));
    assert_true(rig_hello(r).rekey_total > 0);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_pass(61 + GRACE_S);
    check_locked(r, "unlocked-max");
    assert_int_equal(rig_hello(r).epoch, 1);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
}

/* --- the self-test --------------------------------------------------------------------------- */

static unsigned tests_run;
static bool broken;

static status selftest(struct err *e)
{
    tests_run++;
    return broken ? fail(e, CORRUPT, "a known answer is wrong", 0) : OK;
}

static void the_primitives_are_proven_every_hour(void **state)
{
    struct rig *r = *state;

    r->settings.selftest = selftest;
    tests_run = 0;
    broken = false;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 1);
    assert_int_equal(tests_run, 1);
    for (unsigned hour = 1; hour < 5; hour++) {
        rig_pass(3599);
        keeper_tick(r->k);
        assert_int_equal(tests_run, hour);
        rig_pass(1);
        keeper_tick(r->k);
        assert_int_equal(tests_run, hour + 1);
    }
}

static void a_failed_self_test_locks_and_trusts_the_machine_no_more(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    r->settings.selftest = selftest;
    broken = false;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 1);
    broken = true;
    rig_pass(3600);
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.state, KEEPER_BROKEN);
    assert_true(hello.broken_reason.n > 0);
    assert_true(secret_in_use() <= 64);
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), CORRUPT);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), CORRUPT);
    rig_begin(r, WIRE_LOCK);
    assert_int_equal(rig_call(r), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_BROKEN);
    /* On another machine it is a vault as before, and says what happened. */
    broken = false;
    rig_restart(r);
    rig_unlock(r);
    assert_int_equal(people_folded(r, RECORD_VAULT_LOCKED), 1);
    size_t at = 0;
    while (r->records[at].r.type != RECORD_VAULT_LOCKED)
        at++;
    assert_true(rig_line_has(&r->records[at], "\"reason\":\"self-test\""));
}

static void a_failed_self_test_forgets_the_shares_of_an_unlock_under_way(void **state)
{
    struct rig *r = *state;

    rig_free(r);
    r = *state = people_new(2, 2, 0);
    r->settings.selftest = selftest;
    broken = false;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_restart(r);
    keeper_tick(r->k);
    rig_pass(3500); /* of the hour */
    assert_int_equal(rig_share(r, 0, NULL), OK);
    broken = true;
    rig_pass(100);
    assert_int_equal(rig_hello(r).state, KEEPER_BROKEN);
    assert_true(secret_in_use() <= 64);
}

/* Keys of an ended engagement die when they are due, whatever else is wrong. */
static void purges_go_on_in_a_keeper_that_is_broken(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];

    put_key(r, sealed);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = TENANT,
                                                       .engagement = ENGAGEMENT }),
                     OK);
    r->settings.selftest = selftest;
    broken = true;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_restart(r);
    assert_int_equal(rig_hello(r).state, KEEPER_BROKEN);
    rig_pass(PURGE_DELAY_S + 1);
    keeper_tick(r->k);
    broken = false;
    rig_restart(r);
    rig_unlock(r);
    assert_int_equal(people_folded(r, RECORD_PURGE_KEYS_DESTROYED), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_settings_the_vault_stays_open),
        CASE(a_vault_that_was_open_for_long_enough_locks_itself),
        CASE(work_keeps_an_idle_lock_away_and_questions_do_not),
        CASE(a_lock_that_is_due_leaves_no_secret_behind),
        CASE(a_lock_cuts_a_rotation_off_and_it_goes_on_later),
        CASE(the_primitives_are_proven_every_hour),
        CASE(a_failed_self_test_locks_and_trusts_the_machine_no_more),
        CASE(a_failed_self_test_forgets_the_shares_of_an_unlock_under_way),
        CASE(purges_go_on_in_a_keeper_that_is_broken),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
