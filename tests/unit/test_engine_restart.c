/* Beginnings: init, unlock and attach, whole or cut off half-way, and what memory is rebuilt. */
#include "engine_customer.h"

/* --- init ------------------------------------------------------------------------------------ */

static void init_makes_a_vault_whose_first_records_say_so(void **state)
{
    struct rig *r = rig_empty();
    char *lines;

    (void)state;
    assert_true(rig_is(r, "empty"));
    rig_init(r);
    assert_true(rig_is(r, "unlocked"));
    lines = trail(r, "vault");
    assert_non_null(strstr(lines, TYPE("vault.created")));
    assert_true(strstr(lines, TYPE("vault.created")) < strstr(lines, TYPE("certificate.issued")));
    free(lines);
    assert_int_equal(rig_try(r, VERB_INIT_SESSION, &r->local, NULL, NULL, NULL), CONFLICT);
    rig_free(r);
}

static void a_bad_certificate_request_makes_no_vault(void **state)
{
    struct rig *r = rig_empty();

    (void)state;
    assert_int_equal(rig_try(r, VERB_INIT, &r->local, NULL, NULL, rig_init_body(r, "nonsense")),
                     BAD_INPUT);
    assert_true(rig_is(r, "empty"));
    rig_init(r);
    assert_true(rig_is(r, "unlocked"));
    rig_free(r);
}

static void init_believes_only_its_own_session_and_signature(void **state)
{
    struct rig *r = rig_empty();
    json_t *body = rig_init_body(r, NULL);

    (void)state;
    json_object_set_new(body, "session", json_string("00000000000000000000000000000000"));
    assert_int_equal(rig_try(r, VERB_INIT, &r->local, NULL, NULL, body), CONFLICT);
    body = rig_init_body(r, NULL);
    json_object_del(json_array_get(json_object_get(body, "operators"), 0), "signature");
    assert_int_equal(rig_try(r, VERB_INIT, &r->local, NULL, NULL, body), BAD_INPUT);
    body = rig_init_body(r, NULL);
    r->cose[5] ^= 1;
    json_object_set_new(json_array_get(json_object_get(body, "operators"), 0), "public_key",
                        rig_as_hex(SPAN(r->cose)));
    r->cose[5] ^= 1;
    assert_int_equal(rig_try(r, VERB_INIT, &r->local, NULL, NULL, body), DENIED);
    assert_true(rig_is(r, "empty"));
    rig_free(r);
}

/* The keeper made the vault, and the server died before anybody had a certificate. */
static void an_init_that_was_cut_off_is_found_out(void **state)
{
    struct rig *r = rig_empty();
    pid_t pid;

    (void)state;
    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        /* Init dies where its database should be. */
        snprintf(r->settings.store_dir, sizeof r->settings.store_dir, "/nowhere");
        rig_start_engine(r);
        rig_init(r);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    rig_start_engine(r);
    assert_true(rig_is(r, "broken"));
    assert_int_equal(rig_try(r, VERB_INIT_SESSION, &r->local, NULL, NULL, NULL), LOCKED);
    rig_free(r);
}

/* --- unlock ---------------------------------------------------------------------------------- */

static void a_lock_and_an_unlock_bring_everything_back(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    assert_true(rig_is(r, "locked"));
    assert_int_equal(rig_try(r, VERB_LOCK, &r->alice, NULL, NULL, NULL), OK);
    assert_int_equal(rig_try(r, VERB_TENANT_LIST, &r->alice, NULL, NULL, NULL), LOCKED);
    rig_unlock(r);
    assert_int_equal(rig_try(r, VERB_UNLOCK_SESSION, &r->alice, NULL, NULL, NULL), CONFLICT);
    assert_int_equal(renew(r, &c, token), OK);
    leased(r, &c, "openai", VALUE, token);
    check_macs(r, "vault");
    rig_free(r);
}

static void a_wrong_assertion_leaves_the_vault_locked_and_is_recorded(void **state)
{
    struct rig *r = rig_new();
    struct rig good = *r;
    struct request *rq;

    (void)state;
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    memset(r->cose, 0, sizeof r->cose);
    rig_make_authenticator(r); /* another hardware key, which also answers other secrets */
    rq = rig_try_unlock(r);
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    gnutls_privkey_deinit(r->authenticator);
    r->authenticator = good.authenticator;
    memcpy(r->cose, good.cose, sizeof r->cose);
    rq = rig_try_unlock(r); /* signs well, but the secret is still the other one's */
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    assert_true(rig_is(r, "locked"));
    memcpy(r->device_secret, good.device_secret, sizeof r->device_secret);
    rig_unlock(r);
    assert_int_equal(recorded(r, "vault", TYPE("vault.unlock_failed")), 2);
    assert_int_equal(recorded(r, "vault", TYPE("vault.unlocked")), 1);
    rig_free(r);
}

static void move(const char *from, const char *to)
{
    rig_must(rename(from, to) == 0, "rename");
}

static void a_vault_without_its_database_locks_itself_again_and_destroys_nothing(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], aside[96];
    struct request *rq;

    (void)state;
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    snprintf(aside, sizeof aside, "%s/aside", r->dir);
    move(r->store, aside);
    rig_must(mkdir(r->store, 0700) == 0, "mkdir"); /* as if a disk were not mounted */
    rq = rig_try_unlock(r);
    assert_int_equal(rq->outcome, LOCKED);
    request_free(rq);
    assert_true(rig_is(r, "locked"));
    assert_int_equal(nftw(r->store, rig_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
    move(aside, r->store);
    rig_unlock(r);
    leased(r, &c, "openai", VALUE, token);
    rig_free(r);
}

static void a_new_server_without_its_database_is_broken_and_can_be_locked(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1], aside[96];

    (void)state;
    rig_stop_engine(r);
    snprintf(aside, sizeof aside, "%s/aside", r->dir);
    move(r->store, aside);
    rig_start_engine(r);
    assert_true(rig_is(r, "broken"));
    assert_int_equal(rig_try(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL), LOCKED);
    rig_do(r, VERB_LOCK, &r->local, NULL, NULL, NULL);
    assert_true(rig_is(r, "locked"));
    move(aside, r->store);
    rig_unlock(r);
    leased(r, &c, "openai", VALUE, token);
    rig_free(r);
}

static void a_vault_of_another_region_is_broken(void **state)
{
    struct rig *r = rig_new();
    json_t *reply;

    (void)state;
    rig_stop_engine(r);
    snprintf(r->settings.region, sizeof r->settings.region, "us");
    rig_start_engine(r);
    reply = rig_get(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    assert_string_equal(rig_text(reply, "state"), "broken");
    assert_non_null(strstr(rig_text(reply, "reason"), "region"));
    assert_string_equal(rig_text(reply, "region"), RIG_REGION);
    json_decref(reply);
    rig_free(r);
}

static void a_keyring_that_cannot_be_read_is_told_with_the_vault_it_was(void **state)
{
    struct rig *r = rig_new();
    char path[128], vault[ID_HEX_LENGTH + 1];
    static const uint8_t zeros[8192];
    json_t *reply;
    FILE *f;

    (void)state;
    rig_stop_engine(r);
    rig_kill(r->keeper);
    close(r->end);
    snprintf(path, sizeof path, "%s/keyring", r->keyring);
    f = fopen(path, "r+b");
    rig_must(f != NULL && fwrite(zeros, sizeof zeros, 1, f) == 1 && fclose(f) == 0, "keyring");
    rig_start_keeper(r);
    rig_start_engine(r);
    reply = rig_get(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    assert_string_equal(rig_text(reply, "state"), "broken");
    assert_non_null(strstr(rig_text(reply, "reason"), "keyring"));
    assert_string_equal(rig_text(reply, "region"), RIG_REGION);
    hex_format(SPAN(r->vault.b), vault);
    assert_string_equal(rig_text(reply, "vault"), vault);
    json_decref(reply);
    rig_free(r);
}

/* --- memory ---------------------------------------------------------------------------------- */

static size_t live(struct rig *r)
{
    json_t *list = rig_get(r, VERB_LEASE_LIST, &r->alice, NULL, NULL, NULL);
    size_t count = json_array_size(json_object_get(list, "leases"));

    json_decref(list);
    return count;
}

static void live_leases_are_rebuilt_and_no_others(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    char kept[LEASE_TOKEN_LENGTH + 1], renewed[LEASE_TOKEN_LENGTH + 1];
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    put_key(r, &a, "revoked");
    leased(r, &a, "openai", VALUE, token);
    rig_do(r, VERB_LEASE_RELEASE, &a.gateway, token, NULL, NULL);
    leased(r, &a, "revoked", VALUE, token);
    rig_do(r, VERB_KEY_REVOKE, &r->alice, "acme", "revoked", NULL);
    leased(r, &b, "openai", VALUE, token);
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "bolt", "work", NULL);
    leased(r, &a, "openai", VALUE, token);   /* to expire */
    leased(r, &a, "openai", VALUE, renewed); /* would expire */
    rig_pass(200);
    usleep(1500000);
    assert_int_equal(renew(r, &a, renewed), OK);
    leased(r, &a, "openai", VALUE, kept);
    rig_pass(150);
    usleep(1500000);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(live(r), 2);
        assert_int_equal(renew(r, &a, token), NOT_FOUND);
        assert_int_equal(renew(r, &a, kept), OK);
        assert_int_equal(renew(r, &a, renewed), OK);
        if (round == 0)
            rig_restart_engine(r);
        if (round == 1) {
            rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
            rig_unlock(r);
        }
    }
    rig_free(r);
}

/* Reads from the engine's memory, while it has nothing to do. */
static enum lease_state state_of(struct rig *r, const char *token, uint64_t *ret_expires_us)
{
    enum lease_state how = LEASE_LIVE;
    uint8_t mac[16];
    struct lease l;
    struct id id;

    assert_true(lease_token_parse(token, &id, mac));
    assert_true(leases_recent(r->en->leases, &id, engine_now_us(r->en), &l, &how));
    *ret_expires_us = l.expires_us;
    return how;
}

static void what_is_over_is_known_for_a_while_after_a_restart_too(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char expired[LEASE_TOKEN_LENGTH + 1], released[LEASE_TOKEN_LENGTH + 1];
    char revoked[LEASE_TOKEN_LENGTH + 1];
    uint64_t expires_us;

    (void)state;
    put_key(r, &c, "other");
    leased(r, &c, "openai", VALUE, expired);
    rig_pass(280);
    usleep(1200000);
    leased(r, &c, "openai", VALUE, released);
    leased(r, &c, "other", VALUE, revoked);
    rig_do(r, VERB_LEASE_RELEASE, &c.gateway, released, NULL, NULL);
    rig_do(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:s}", "key", "acme/other"));
    rig_pass(40);
    usleep(1200000);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(live(r), 0);
        assert_int_equal(leases_count(r->en->leases), 0);
        assert_int_equal(state_of(r, expired, &expires_us), LEASE_EXPIRED);
        assert_int_equal(state_of(r, released, &expires_us), LEASE_RELEASED);
        assert_int_equal(state_of(r, revoked, &expires_us), LEASE_REVOKED);
        rig_restart_engine(r);
    }
    rig_free(r);
}

/* Or its first record would bring it back for longer than its last one says. */
static void a_renewal_never_shortens_a_lease(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    uint64_t before_us, after_us;
    struct request *rq;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(state_of(r, token, &before_us), LEASE_LIVE);
    rq = rig_ask(r, VERB_LEASE_RENEW, &c.gateway, token, NULL, json_pack("{s:i}", "ttl_s", 10));
    assert_int_equal(rq->outcome, OK);
    assert_true(json_integer_value(json_object_get(rq->reply, "ttl_s")) > 290);
    request_free(rq);
    assert_int_equal(state_of(r, token, &after_us), LEASE_LIVE);
    assert_int_equal(after_us, before_us);
    rig_restart_engine(r);
    assert_int_equal(state_of(r, token, &after_us), LEASE_LIVE);
    assert_int_equal(after_us, before_us);
    rig_free(r);
}

static void no_renewal_goes_beyond_the_lifetime_of_the_first_issue(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    for (unsigned i = 0; i < 4; i++) { /* 4 * 800 s of 3600 */
        rig_pass(800);
        usleep(1200000);
        rq =
            rig_ask(r, VERB_LEASE_RENEW, &c.gateway, token, NULL, json_pack("{s:i}", "ttl_s", 900));
        assert_int_equal(rq->outcome, i == 0 ? NOT_FOUND : OK);
        request_free(rq);
        if (i == 0) { /* 300 s were over; again, and longer */
            json_t *body = lease_body(&c, "openai");

            json_object_set_new(body, "ttl_s", json_integer(900));
            rq = rig_ask(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, body);
            snprintf(token, sizeof token, "%s", rig_text(rq->reply, "lease"));
            request_free(rq);
        }
    }
    rig_pass(800);
    usleep(1200000);
    rq = rig_ask(r, VERB_LEASE_RENEW, &c.gateway, token, NULL, json_pack("{s:i}", "ttl_s", 900));
    assert_int_equal(rq->outcome, OK);
    assert_true(json_integer_value(json_object_get(rq->reply, "ttl_s")) <= 400);
    request_free(rq);
    rig_pass(401);
    usleep(1200000);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    rig_free(r);
}

static void a_shorter_lifetime_in_the_settings_cuts_off_renewals(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_pass(100);
    rig_stop_engine(r);
    r->settings.lease_max_lifetime_s = 101;
    rig_start_engine(r);
    rig_pass(2);
    usleep(1200000);
    assert_int_equal(renew(r, &c, token), LIMIT);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL), OK);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_makes_a_vault_whose_first_records_say_so),
        cmocka_unit_test(a_bad_certificate_request_makes_no_vault),
        cmocka_unit_test(init_believes_only_its_own_session_and_signature),
        cmocka_unit_test(an_init_that_was_cut_off_is_found_out),
        cmocka_unit_test(a_lock_and_an_unlock_bring_everything_back),
        cmocka_unit_test(a_wrong_assertion_leaves_the_vault_locked_and_is_recorded),
        cmocka_unit_test(a_vault_without_its_database_locks_itself_again_and_destroys_nothing),
        cmocka_unit_test(a_new_server_without_its_database_is_broken_and_can_be_locked),
        cmocka_unit_test(a_vault_of_another_region_is_broken),
        cmocka_unit_test(a_keyring_that_cannot_be_read_is_told_with_the_vault_it_was),
        cmocka_unit_test(live_leases_are_rebuilt_and_no_others),
        cmocka_unit_test(what_is_over_is_known_for_a_while_after_a_restart_too),
        cmocka_unit_test(a_renewal_never_shortens_a_lease),
        cmocka_unit_test(no_renewal_goes_beyond_the_lifetime_of_the_first_issue),
        cmocka_unit_test(a_shorter_lifetime_in_the_settings_cuts_off_renewals),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
