/* Alerts: each rule finds what it is for and nothing else, once, and across restarts. */
#include "engine/alert.h"
#include "engine_customer.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_use_of_a_key_by_a_gateway_is_told_once_and_for_all),
        cmocka_unit_test(an_alert_is_written_without_any_further_request),
        cmocka_unit_test(what_a_killed_server_found_is_told_by_the_next),
        cmocka_unit_test(uses_from_before_the_rule_was_on_are_no_news),
        cmocka_unit_test(a_flood_of_alerts_is_counted_and_told_when_the_hour_is_over),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
