/* Alerts: each rule finds what it is for and nothing else, once, and across restarts. */
#include "engine/alert.h"
#include "engine_customer.h"
#include "store/db.h"

#define ALERT(rule) \
    TYPE("alert.raised") ",\"outcome\":\"ok\",\"actor\":\"system\",\"rule\":\"" rule "\""

static struct rig *rig_with(struct alert_settings alert)
{
    struct rig *r = rig_empty();

    r->settings.alert = alert;
    rig_restart_engine(r);
    rig_init(r);
    return r;
}

/* What was found is written before the engine ends. */
static size_t alerts(struct rig *r, const char *log, const char *rule)
{
    char text[128];

    rig_restart_engine(r);
    snprintf(text, sizeof text, "\"rule\":\"%s\"", rule);
    return recorded(r, log, text);
}

static status lease_by(struct rig *r, const struct customer *c, const struct holder *gateway,
                       const char *key)
{
    return rig_try(r, VERB_LEASE_ISSUE, gateway, NULL, NULL, lease_body(c, key));
}

/* --- first use ------------------------------------------------------------------------------- */

#define FIRST_USE ((struct alert_settings){ .first_use = true })

static void the_first_use_of_a_key_by_a_gateway_is_told_once_and_for_all(void **state)
{
    struct rig *r = rig_with(FIRST_USE);
    struct customer c = customer_new(r, "acme");
    struct holder other = gateway_new(r, "other", "acme/*");

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 1);
    assert_int_equal(recorded(r, "acme", ALERT("first-use")), 1);
    assert_int_equal(recorded(r, "acme", "\"key\":\"acme/openai\",\"gateway\":\"gw-acme\""), 1);
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 1);
    assert_int_equal(lease_by(r, &c, &other, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 2);
    put_key(r, &c, "groq");
    assert_int_equal(lease_by(r, &c, &c.gateway, "groq"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 3);
    rig_pass(40 * DAY_S); /* beyond any look back */
    rig_restart_engine(r);
    assert_int_equal(lease_by(r, &c, &other, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 3);
    assert_int_equal(recorded(r, "vault", "alert.raised"), 0);
    check_macs(r, "acme");
    rig_free(r);
}

static bool one_first_use(struct rig *r, const void *context)
{
    (void)context;
    return recorded(r, "acme", ALERT("first-use")) == 1;
}

static void an_alert_is_written_without_any_further_request(void **state)
{
    struct rig *r = rig_with(FIRST_USE);
    struct customer c = customer_new(r, "acme");

    (void)state;
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_true(soon(one_first_use, r, NULL));
    rig_free(r);
}

static void what_a_killed_server_found_is_told_by_the_next(void **state)
{
    struct rig *r = rig_with(FIRST_USE);
    struct customer c = customer_new(r, "acme");
    pid_t pid;

    (void)state;
    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        (void)lease_by(r, &c, &c.gateway, "openai");
        _exit(0); /* the answer comes before the alert is written */
    }
    waitpid(pid, NULL, 0);
    rig_start_engine(r);
    assert_true(soon(one_first_use, r, NULL));
    assert_int_equal(alerts(r, "acme", "first-use"), 1);
    rig_free(r);
}

static void uses_from_before_the_rule_was_on_are_no_news(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .first_use = false });
    struct customer c = customer_new(r, "acme");

    (void)state;
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 0);
    r->settings.alert = FIRST_USE;
    rig_restart_engine(r);
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 0);
    rig_free(r);
}

/* As it was before there were alerts. */
static void forget_first_uses(struct rig *r)
{
    struct store *s;

    rig_hold(r);
    s = r->en->store;
    assert_int_equal(store_begin(s, NULL), OK);
    assert_int_equal(db_run(s, "DELETE FROM first_use", NULL), OK);
    assert_int_equal(db_run(s, "DELETE FROM fact WHERE name = 'first uses'", NULL), OK);
    assert_int_equal(store_commit(s, NULL), OK);
    rig_let_go(r);
}

static void an_older_vault_tells_only_what_is_used_for_the_first_time_now(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .first_use = false });
    struct customer c = customer_new(r, "acme");
    struct holder other = gateway_new(r, "other", "acme/*");

    (void)state;
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    forget_first_uses(r);
    r->settings.alert = FIRST_USE;
    rig_restart_engine(r);
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(lease_by(r, &c, &other, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 1);
    assert_int_equal(recorded(r, "acme", "\"key\":\"acme/openai\",\"gateway\":\"other\""), 1);
    rig_free(r);
}

static bool seven_more(struct rig *r, const void *context)
{
    (void)context;
    return recorded(r, "acme", ALERT("first-use") ",\"severity\":\"notice\",\"repeated\":7}") == 1;
}

static void a_flood_of_alerts_is_counted_and_told_when_the_hour_is_over(void **state)
{
    struct rig *r = rig_with(FIRST_USE);
    struct customer c = customer_new(r, "acme");
    char key[32];

    (void)state;
    for (unsigned i = 0; i < ALERTS_PER_LOG + 7; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        put_key(r, &c, key);
        assert_int_equal(lease_by(r, &c, &c.gateway, key), OK);
    }
    assert_int_equal(alerts(r, "acme", "first-use"), ALERTS_PER_LOG);
    assert_int_equal(recorded(r, "acme", "\"repeated\""), 0);
    rig_pass(3700);
    rig_restart_engine(r); /* its first sweep is at once */
    assert_true(soon(seven_more, r, NULL));
    assert_int_equal(alerts(r, "acme", "first-use"), ALERTS_PER_LOG + 1);
    rig_pass(3700);
    assert_int_equal(alerts(r, "acme", "first-use"), ALERTS_PER_LOG + 1);
    rig_free(r);
}

/* --- bursts of refusals ---------------------------------------------------------------------- */

static void refused(struct rig *r, const struct customer *c, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        assert_int_equal(lease_by(r, c, &c->gateway, "nothing"), NOT_FOUND);
}

static void a_burst_of_refusals_is_told_at_the_threshold_and_once_an_hour(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .denied_per_minute = 5 });
    struct customer c = customer_new(r, "acme");

    (void)state;
    refused(r, &c, 4);
    assert_int_equal(alerts(r, "acme", "denied-burst"), 0);
    refused(r, &c, 1); /* the records of before the restart count */
    assert_int_equal(alerts(r, "acme", "denied-burst"), 1);
    assert_int_equal(recorded(r, "acme",
                              "\"about\":\"gateway:gw-acme\",\"severity\":\"warning\","
                              "\"count\":5,\"threshold\":5}"),
                     1);
    refused(r, &c, 30);
    rig_pass(200);
    refused(r, &c, 30);
    assert_int_equal(alerts(r, "acme", "denied-burst"), 1);
    rig_pass(3700);
    rig_restart_engine(r);
    refused(r, &c, 6);
    rig_restart_engine(r);
    assert_true(recorded(r, "acme", "\"rule\":\"denied-burst\"") >= 2);
    assert_true(recorded(r, "acme", "\"repeated\":") >= 1);
    rig_free(r);
}

static void refusals_that_are_only_counted_make_a_burst_too(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .denied_per_minute = 50 });
    struct customer c = customer_new(r, "acme");

    (void)state;
    refused(r, &c, 51); /* twenty of them are records of their own */
    assert_int_equal(alerts(r, "acme", "denied-burst"), 1);
    assert_int_equal(recorded(r, "acme", "\"count\":51,\"threshold\":50}"), 1);
    rig_free(r);
}

static void refusals_across_minutes_are_no_burst(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .denied_per_minute = 5 });
    struct customer c = customer_new(r, "acme");

    (void)state;
    refused(r, &c, 4);
    rig_pass(61);
    refused(r, &c, 4);
    assert_int_equal(alerts(r, "acme", "denied-burst"), 0);
    rig_free(r);
}

static void a_burst_over_several_tenants_is_told_in_no_tenants_log(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .denied_per_minute = 6 });
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt"), both = b;

    (void)state;
    refused(r, &b, 3);
    snprintf(both.tenant, sizeof both.tenant, "%s", a.tenant);
    for (unsigned i = 0; i < 3; i++)
        assert_int_not_equal(lease_by(r, &both, &both.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "vault", "denied-burst"), 1);
    assert_int_equal(recorded(r, "acme", "alert.raised"), 0);
    assert_int_equal(recorded(r, "bolt", "alert.raised"), 0);
    rig_free(r);
}

/* --- use after rotation ---------------------------------------------------------------------- */

static bool grace_was_over(struct rig *r, const void *context)
{
    (void)context;
    return recorded(r, "acme", "\"reason\":\"grace-over\"") == 1;
}

static void who_holds_only_an_old_version_after_its_grace_is_told(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .after_rotation = true });
    struct customer c = customer_new(r, "acme");
    struct holder other = gateway_new(r, "other", "acme/*");

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(lease_by(r, &c, &other, "openai"), OK);
    request_free(rotate(r, &c, "openai", VALUE, 30));
    assert_int_equal(lease_by(r, &c, &other, "openai"), OK); /* it takes the new one */
    assert_int_equal(alerts(r, "acme", "use-after-rotation"), 0);
    rig_pass(31);
    rig_restart_engine(r);
    rig_do(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    assert_true(soon(grace_was_over, r, NULL));
    assert_int_equal(alerts(r, "acme", "use-after-rotation"), 1);
    assert_int_equal(recorded(r, "acme",
                              "\"key\":\"acme/openai\",\"gateway\":\"gw-acme\","
                              "\"old_version\":1,\"severity\":\"notice\",\"count\":2"),
                     1);
    rig_free(r);
}

static void a_rotation_that_nobody_missed_is_not_told(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .after_rotation = true });
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_do(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL);
    request_free(rotate(r, &c, "openai", VALUE, 0));
    assert_int_equal(alerts(r, "acme", "use-after-rotation"), 0);
    leased(r, &c, "openai", VALUE, token);
    rig_do(r, VERB_KEY_REVOKE, &r->alice, c.tenant, "openai", NULL); /* another reason */
    assert_int_equal(alerts(r, "acme", "use-after-rotation"), 0);
    rig_free(r);
}

/* --- spikes ---------------------------------------------------------------------------------- */

#define SPIKE ((struct alert_settings){ .spike_factor = 3, .spike_minimum = 10 })

static void leases_in_an_hour(struct rig *r, const struct customer *c, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(lease_by(r, c, &c->gateway, "openai"), OK);
}

static void many_more_leases_than_ever_before_are_a_spike(void **state)
{
    struct rig *r = rig_with(SPIKE);
    struct customer c = customer_new(r, "acme");

    (void)state;
    leases_in_an_hour(r, &c, 40); /* without a history nothing is unusual */
    for (unsigned hour = 0; hour < 30; hour++) {
        rig_pass(3600);
        rig_do(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL);
        leases_in_an_hour(r, &c, 4);
    }
    assert_int_equal(alerts(r, "acme", "usage-spike"), 0);
    rig_pass(3600);
    rig_restart_engine(r);
    leases_in_an_hour(r, &c, 10); /* not the threefold of about five */
    assert_int_equal(alerts(r, "acme", "usage-spike"), 0);
    leases_in_an_hour(r, &c, 20); /* the ten of before the restart count */
    assert_int_equal(alerts(r, "acme", "usage-spike"), 1);
    assert_int_equal(recorded(r, "acme", "\"baseline\":5"), 1);
    leases_in_an_hour(r, &c, 50);
    assert_int_equal(alerts(r, "acme", "usage-spike"), 1);
    rig_free(r);
}

/* --- odd hours ------------------------------------------------------------------------------- */

/* All hours of all days but this one and the one that may begin meanwhile. */
static struct alert_settings expected_later(void)
{
    uint64_t hour = clock_wall_us() / HOUR_US % 24;

    return (struct alert_settings){
        .hours = { .days = 127, .from = (uint8_t)((hour + 2) % 24), .to = (uint8_t)hour }
    };
}

static void lock_and_unlock(struct rig *r)
{
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_unlock(r);
}

static void an_unlock_at_odd_hours_is_told(void **state)
{
    struct rig *r = rig_with(expected_later());

    (void)state;
    lock_and_unlock(r);
    assert_int_equal(alerts(r, "vault", "odd-hours"), 1);
    assert_int_equal(recorded(r, "vault", "\"event\":\"vault.unlocked\",\"slot\":\""), 1);
    lock_and_unlock(r);
    assert_int_equal(alerts(r, "vault", "odd-hours"), 1);
    rig_free(r);
}

static void an_unlock_at_the_usual_hours_is_not_told(void **state)
{
    struct alert_settings usual = expected_later();
    struct rig *r;

    (void)state;
    usual.hours.to = usual.hours.from;
    usual.hours.from = (uint8_t)((usual.hours.from + 22) % 24);
    r = rig_with(usual);
    lock_and_unlock(r);
    assert_int_equal(alerts(r, "vault", "odd-hours"), 0);
    r->settings.alert.hours.days = 0; /* the rule is off */
    r->settings.alert.hours.to = r->settings.alert.hours.from;
    rig_restart_engine(r);
    lock_and_unlock(r);
    assert_int_equal(alerts(r, "vault", "odd-hours"), 0);
    rig_free(r);
}

static void an_unlock_on_an_odd_day_is_told(void **state)
{
    uint64_t day = (clock_wall_us() / HOUR_US / 24 + 3) % 7;
    uint8_t others = (uint8_t)(127 & ~(3u << day) & ~(day == 6 ? 1u : 0u));
    struct rig *r = rig_with((struct alert_settings){ .hours = { .days = others, .to = 24 } });

    (void)state;
    lock_and_unlock(r);
    assert_int_equal(alerts(r, "vault", "odd-hours"), 1);
    rig_free(r);
}

static void with_all_rules_off_nothing_is_told(void **state)
{
    struct rig *r = rig_with((struct alert_settings){ .first_use = false });
    struct customer c = customer_new(r, "acme");

    (void)state;
    leases_in_an_hour(r, &c, 30);
    refused(r, &c, 60);
    request_free(rotate(r, &c, "openai", VALUE, 0));
    lock_and_unlock(r);
    rig_restart_engine(r);
    assert_int_equal(recorded(r, "acme", "alert.raised"), 0);
    assert_int_equal(recorded(r, "vault", "alert.raised"), 0);
    rig_free(r);
}

static void status_tells_how_many_alerts_there_were_in_a_day(void **state)
{
    struct rig *r = rig_with(FIRST_USE);
    struct customer c = customer_new(r, "acme");
    json_t *reply;

    (void)state;
    assert_int_equal(lease_by(r, &c, &c.gateway, "openai"), OK);
    assert_int_equal(alerts(r, "acme", "first-use"), 1);
    reply = rig_get(r, VERB_STATUS, &r->alice, NULL, NULL, NULL);
    assert_int_equal(json_integer_value(json_object_get(reply, "alerts")), 1);
    json_decref(reply);
    rig_pass(25 * 3600);
    rig_restart_engine(r);
    reply = rig_get(r, VERB_STATUS, &r->alice, NULL, NULL, NULL);
    assert_int_equal(json_integer_value(json_object_get(reply, "alerts")), 0);
    json_decref(reply);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_use_of_a_key_by_a_gateway_is_told_once_and_for_all),
        cmocka_unit_test(an_alert_is_written_without_any_further_request),
        cmocka_unit_test(what_a_killed_server_found_is_told_by_the_next),
        cmocka_unit_test(uses_from_before_the_rule_was_on_are_no_news),
        cmocka_unit_test(an_older_vault_tells_only_what_is_used_for_the_first_time_now),
        cmocka_unit_test(a_flood_of_alerts_is_counted_and_told_when_the_hour_is_over),
        cmocka_unit_test(a_burst_of_refusals_is_told_at_the_threshold_and_once_an_hour),
        cmocka_unit_test(refusals_that_are_only_counted_make_a_burst_too),
        cmocka_unit_test(refusals_across_minutes_are_no_burst),
        cmocka_unit_test(a_burst_over_several_tenants_is_told_in_no_tenants_log),
        cmocka_unit_test(who_holds_only_an_old_version_after_its_grace_is_told),
        cmocka_unit_test(a_rotation_that_nobody_missed_is_not_told),
        cmocka_unit_test(many_more_leases_than_ever_before_are_a_spike),
        cmocka_unit_test(an_unlock_at_odd_hours_is_told),
        cmocka_unit_test(an_unlock_at_the_usual_hours_is_not_told),
        cmocka_unit_test(an_unlock_on_an_odd_day_is_told),
        cmocka_unit_test(with_all_rules_off_nothing_is_told),
        cmocka_unit_test(status_tells_how_many_alerts_there_were_in_a_day),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
