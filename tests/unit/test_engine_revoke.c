/* wrap: store_commit store_commit_append */
/* Revoking live leases: which are over, who finds it in the trail, and that it holds. */
#include "engine_customer.h"

static status try_revoke(struct rig *r, const struct holder *peer, const char *member,
                         const char *value)
{
    json_t *body =
        value == NULL ? json_pack("{s:b}", member, 1) : json_pack("{s:s}", member, value);

    return rig_try(r, VERB_LEASE_REVOKE, peer, NULL, NULL, body);
}

static json_int_t revoked(struct rig *r, const struct holder *peer, const char *member,
                          const char *value)
{
    json_t *body =
        value == NULL ? json_pack("{s:b}", member, 1) : json_pack("{s:s}", member, value);
    json_t *reply = rig_get(r, VERB_LEASE_REVOKE, peer, NULL, NULL, body);
    json_int_t count = json_integer_value(json_object_get(reply, "revoked"));

    json_decref(reply);
    return count;
}

typedef char token_text[LEASE_TOKEN_LENGTH + 1];

static void revoking_ends_what_matches_and_nothing_else(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt"), both = a;
    token_text one, two, other, by_both, of_bolt;
    char id[ID_HEX_LENGTH + 1];

    (void)state;
    put_key(r, &a, "other");
    both.gateway = gateway_new(r, "both", "acme/*");
    leased(r, &a, "openai", VALUE, one);
    leased(r, &a, "openai", VALUE, two);
    leased(r, &a, "other", VALUE, other);
    leased(r, &both, "other", VALUE, by_both);
    leased(r, &b, "openai", VALUE, of_bolt);
    snprintf(id, sizeof id, "%.32s", one);
    assert_int_equal(revoked(r, &r->alice, "lease", id), 1);
    assert_int_equal(try_revoke(r, &r->alice, "lease", id), NOT_FOUND);
    assert_int_equal(renew(r, &a, one), NOT_FOUND);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &a.gateway, one, NULL, NULL), NOT_FOUND);
    assert_int_equal(renew(r, &a, two), OK);
    assert_int_equal(revoked(r, &r->alice, "gateway", "both"), 1);
    assert_int_equal(renew(r, &both, by_both), NOT_FOUND);
    assert_int_equal(revoked(r, &r->alice, "key", "acme/other"), 1);
    assert_int_equal(renew(r, &a, other), NOT_FOUND);
    assert_int_equal(renew(r, &a, two), OK);
    assert_int_equal(revoked(r, &r->alice, "tenant", "acme"), 1);
    assert_int_equal(renew(r, &a, two), NOT_FOUND);
    assert_int_equal(renew(r, &b, of_bolt), OK);
    assert_int_equal(revoked(r, &r->alice, "all", NULL), 1);
    assert_int_equal(renew(r, &b, of_bolt), NOT_FOUND);
    assert_int_equal(revoked(r, &r->alice, "all", NULL), 0);
    leased(r, &a, "openai", VALUE, one); /* what may be leased is as before */
    assert_int_equal(renew(r, &a, one), OK);
    rig_restart_engine(r);
    assert_int_equal(renew(r, &a, one), OK);
    assert_int_equal(renew(r, &a, two), NOT_FOUND);
    assert_int_equal(renew(r, &a, other), NOT_FOUND);
    assert_int_equal(renew(r, &both, by_both), NOT_FOUND);
    assert_int_equal(renew(r, &b, of_bolt), NOT_FOUND);
    rig_free(r);
}

static void each_log_says_what_concerns_it(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    token_text token;

    (void)state;
    leased(r, &a, "openai", VALUE, token);
    leased(r, &a, "openai", VALUE, token);
    leased(r, &b, "openai", VALUE, token);
    revoked(r, &r->alice, "gateway", "gw-acme");
    assert_int_equal(recorded(r, "vault", TYPE("lease.revoked")), 1);
    assert_int_equal(recorded(r, "vault", "\"scope\":\"gateway\",\"gateway\":\"gw-acme\""), 1);
    assert_int_equal(recorded(r, "acme", "\"actor\":\"system\",\"by\":\"operator\""), 1);
    assert_int_equal(recorded(r, "acme", ",\"count\":2}"), 1);
    assert_int_equal(recorded(r, "bolt", TYPE("lease.revoked")), 0);
    revoked(r, &r->alice, "all", NULL);
    assert_int_equal(recorded(r, "vault", "\"scope\":\"all\",\"count\":1,\"tenants\":1}"), 1);
    assert_int_equal(recorded(r, "bolt", "\"scope\":\"all\",\"count\":1}"), 1);
    assert_int_equal(recorded(r, "acme", TYPE("lease.revoked")), 1);
    leased(r, &b, "openai", VALUE, token);
    revoked(r, &r->alice, "tenant", "bolt"); /* nobody else's business */
    assert_int_equal(recorded(r, "vault", TYPE("lease.revoked")), 2);
    assert_int_equal(recorded(r, "bolt", TYPE("lease.revoked")), 2);
    check_macs(r, "vault");
    check_macs(r, "acme");
    rig_free(r);
}

static void check_no_such_tenant(struct rig *r, const struct holder *peer, const char *member,
                                 const char *value)
{
    struct request *rq =
        rig_ask(r, VERB_LEASE_REVOKE, peer, NULL, NULL, json_pack("{s:s}", member, value));

    assert_int_equal(rq->outcome, NOT_FOUND);
    assert_string_equal(rq->err.why, "there is no such tenant");
    request_free(rq);
}

static void another_tenant_is_as_one_that_does_not_exist(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");

    (void)state;
    (void)customer_new(r, "bolt");
    check_no_such_tenant(r, &a.cert, "tenant", "bolt");
    check_no_such_tenant(r, &a.cert, "tenant", "nobody");
    check_no_such_tenant(r, &a.cert, "key", "bolt/openai");
    check_no_such_tenant(r, &a.cert, "key", "nobody/openai");
    rig_free(r);
}

static void a_tenant_revokes_its_own_leases_only(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme"), b = customer_new(r, "bolt");
    token_text token, of_bolt;
    char id[ID_HEX_LENGTH + 1];

    (void)state;
    leased(r, &a, "openai", VALUE, token);
    leased(r, &b, "openai", VALUE, of_bolt);
    snprintf(id, sizeof id, "%.32s", of_bolt);
    assert_int_equal(try_revoke(r, &a.cert, "lease", id), NOT_FOUND);
    assert_int_equal(try_revoke(r, &a.cert, "key", "bolt/openai"), NOT_FOUND);
    assert_int_equal(try_revoke(r, &a.cert, "tenant", "bolt"), NOT_FOUND);
    assert_int_equal(try_revoke(r, &a.cert, "gateway", "gw-acme"), DENIED);
    assert_int_equal(try_revoke(r, &a.cert, "all", NULL), DENIED);
    assert_int_equal(renew(r, &b, of_bolt), OK);
    assert_int_equal(revoked(r, &a.cert, "key", "acme/openai"), 1);
    leased(r, &a, "openai", VALUE, token);
    assert_int_equal(revoked(r, &a.cert, "tenant", "acme"), 1);
    leased(r, &a, "openai", VALUE, token);
    snprintf(id, sizeof id, "%.32s", token);
    assert_int_equal(revoked(r, &a.cert, "lease", id), 1);
    assert_int_equal(try_revoke(r, &a.gateway, "lease", id), DENIED); /* it may release */
    rig_free(r);
}

static void a_revocation_says_exactly_what_it_is_of(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");

    (void)state;
    assert_int_equal(rig_try(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, NULL), BAD_INPUT);
    assert_int_equal(rig_try(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL,
                             json_pack("{s:s, s:b}", "tenant", "acme", "all", 1)),
                     BAD_INPUT);
    assert_int_equal(
        rig_try(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:b}", "all", 0)),
        BAD_INPUT);
    assert_int_equal(try_revoke(r, &r->alice, "lease", "abc"), BAD_INPUT);
    assert_int_equal(try_revoke(r, &r->alice, "key", "acme"), BAD_INPUT);
    assert_int_equal(try_revoke(r, &r->alice, "key", "acme/none"), NOT_FOUND);
    assert_int_equal(try_revoke(r, &r->alice, "gateway", "none"), NOT_FOUND);
    assert_int_equal(try_revoke(r, &r->alice, "tenant", "none"), NOT_FOUND);
    assert_int_equal(recorded(r, "vault", TYPE("lease.revoked")), 0);
    (void)a;
    rig_free(r);
}

static void what_is_leased_in_the_same_breath_is_counted_too(void **state)
{
    struct rig *r = rig_new();
    struct customer a = customer_new(r, "acme");
    struct request *first, *end, *after;

    (void)state;
    rig_hold(r);
    first = rig_submit(
        r, rig_request(r, VERB_LEASE_ISSUE, &a.gateway, NULL, NULL, lease_body(&a, "openai")));
    end = rig_submit(
        r, rig_request(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL, json_pack("{s:b}", "all", 1)));
    after = rig_submit(
        r, rig_request(r, VERB_LEASE_ISSUE, &a.gateway, NULL, NULL, lease_body(&a, "openai")));
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(json_integer_value(json_object_get(end->reply, "revoked")), 1);
    assert_int_equal(renew(r, &a, rig_text(first->reply, "lease")), NOT_FOUND);
    assert_int_equal(renew(r, &a, rig_text(after->reply, "lease")), OK);
    rig_restart_engine(r);
    assert_int_equal(renew(r, &a, rig_text(first->reply, "lease")), NOT_FOUND);
    assert_int_equal(renew(r, &a, rig_text(after->reply, "lease")), OK);
    request_free(first);
    request_free(end);
    request_free(after);
    rig_free(r);
}

/* --- cut off --------------------------------------------------------------------------------- */

#define TENANTS 40 /* more than one batch has room for */

static int commits_left = -1; /* until the process dies; -1: it does not */
static bool dies_after;       /* the commit, instead of before it */

status __wrap_store_commit(struct store *s, struct err *e);
status __real_store_commit(struct store *s, struct err *e);

status __wrap_store_commit(struct store *s, struct err *e)
{
    bool dies = commits_left == 0;
    status st;

    if (commits_left > 0)
        commits_left--;
    if (dies && !dies_after)
        _exit(0);
    st = __real_store_commit(s, e);
    if (dies)
        _exit(0);
    return st;
}

/* A batch that only appends is committed by this one. */
status __wrap_store_commit_append(struct store *s, struct err *e);
status __real_store_commit_append(struct store *s, struct err *e);

status __wrap_store_commit_append(struct store *s, struct err *e)
{
    bool dies = commits_left == 0;
    status st;

    if (commits_left > 0)
        commits_left--;
    if (dies && !dies_after)
        _exit(0);
    st = __real_store_commit_append(s, e);
    if (dies)
        _exit(0);
    return st;
}

static void revoke_and_die(struct rig *r, int commits, bool after)
{
    pid_t pid;

    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        rig_hold(r);
        rig_submit(r, rig_request(r, VERB_LEASE_REVOKE, &r->alice, NULL, NULL,
                                  json_pack("{s:s}", "gateway", "wide")));
        commits_left = commits;
        dies_after = after;
        rig_let_go(r);
        rig_wait(r);
        _exit(1); /* it was answered */
    }
    waitpid(pid, NULL, 0);
    rig_start_engine(r);
}

static void name_tenant(unsigned i, char out[static 32])
{
    snprintf(out, 32, "t-%u", i);
}

static struct customer many_tenants(struct rig *r)
{
    struct customer c = { .tenant = "t-0" };

    c.gateway = gateway_new(r, "wide", NULL);
    for (unsigned i = 0; i < TENANTS; i++) {
        struct customer one = { .tenant = "" };
        char grant[64];

        name_tenant(i, one.tenant);
        snprintf(grant, sizeof grant, "%s/*", one.tenant);
        rig_do(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
               json_pack("{s:s}", "name", one.tenant));
        rig_do(r, VERB_ENGAGEMENT_START, &r->alice, one.tenant, NULL,
               json_pack("{s:s}", "name", "work"));
        put_key(r, &one, "openai");
        rig_do(r, VERB_GRANT_ADD, &r->alice, "wide", NULL, json_pack("{s:s}", "key", grant));
    }
    return c;
}

/* On its own: the compiler does not follow how long one of many tokens may be. */
static __attribute__((noinline)) status renew_one(struct rig *r, const struct customer *c,
                                                  const char *token)
{
    return renew(r, c, token);
}

/* Wherever it is cut off, it is done or it is not: for all of them the same. */
static void a_revocation_that_was_cut_off_is_finished_by_the_next_server(void **state)
{
    struct rig *r = rig_new();
    struct customer c = many_tenants(r);
    size_t told = 0;

    (void)state;
    for (int at = 0; at < 6; at++) {
        token_text tokens[TENANTS];

        for (unsigned i = 0; i < TENANTS; i++) {
            name_tenant(i, c.tenant);
            leased(r, &c, "openai", VALUE, tokens[i]);
        }
        revoke_and_die(r, at / 2, at % 2 == 1);
        told++;
        assert_int_equal(recorded(r, "vault", TYPE("lease.revoked")), told);
        for (unsigned i = 0; i < TENANTS; i++) {
            name_tenant(i, c.tenant);
            assert_int_equal(renew_one(r, &c, tokens[i]), NOT_FOUND);
            assert_int_equal(recorded(r, c.tenant, TYPE("lease.revoked")), told);
            assert_int_equal(recorded(r, c.tenant, "\"by\":\"operator\""), told);
        }
    }
    rig_restart_engine(r);
    assert_int_equal(recorded(r, "t-7", TYPE("lease.revoked")), told);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(revoking_ends_what_matches_and_nothing_else),
        cmocka_unit_test(each_log_says_what_concerns_it),
        cmocka_unit_test(a_tenant_revokes_its_own_leases_only),
        cmocka_unit_test(another_tenant_is_as_one_that_does_not_exist),
        cmocka_unit_test(a_revocation_says_exactly_what_it_is_of),
        cmocka_unit_test(what_is_leased_in_the_same_breath_is_counted_too),
        cmocka_unit_test(a_revocation_that_was_cut_off_is_finished_by_the_next_server),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
