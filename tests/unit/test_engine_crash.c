/* Death at any moment: what was answered is on record, and database and keyring agree again. */
#include "engine_customer.h"

#include <stdatomic.h>

#include "engine/keyring_codes.h"

#define TOKENS_MAX 4096
#define AT_ONCE    6

static struct customer c;

/* --- a server to be killed ------------------------------------------------------------------- */

static int answers; /* the child's end of a pipe */

static void lease_again(struct rig *r);

/* Tells the parent about an answer, as a gateway would have seen it, and asks for more. */
static void tell(struct request *rq)
{
    struct rig *r = rq->context;
    const char *token = json_string_value(json_object_get(rq->reply, "lease"));

    if (token != NULL && rq->value != NULL &&
        write(answers, token, LEASE_TOKEN_LENGTH) != LEASE_TOKEN_LENGTH)
        _exit(1);
    request_free(rq);
    lease_again(r);
}

/* Now and then a new key or a new version instead, so that the keyring changes too. */
static void lease_again(struct rig *r)
{
    static atomic_uint next; /* asked for by two threads at first */
    unsigned count = atomic_fetch_add(&next, 1) + 1;
    struct request *rq;
    char name[32];

    snprintf(name, sizeof name, "k-%d-%u", (int)getpid(), count);
    if (count % 9 == 0)
        rq = rig_request(r, VERB_KEY_PUT, &r->alice, c.tenant, name, put_body(r, VALUE));
    else if (count % 13 == 0)
        rq = rig_request(r, VERB_KEY_ROTATE, &r->alice, c.tenant, "openai",
                         json_pack("{s:o, s:i}", "sealed_key", sealed_value(r, VALUE), "grace_s",
                                   (int)(count % 2)));
    else
        rq = rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai"));
    rq->done = tell;
    engine_submit(r->en, rq);
}

static pid_t serve(struct rig *r, int *ret_answers)
{
    int ends[2];
    pid_t pid;

    rig_stop_engine(r);
    rig_must(pipe(ends) == 0, "pipe");
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        close(ends[0]);
        answers = ends[1];
        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        for (unsigned i = 0; i < AT_ONCE; i++)
            lease_again(r);
        for (;;)
            pause();
    }
    close(ends[1]);
    *ret_answers = ends[0];
    return pid;
}

static size_t read_tokens(int fd, char tokens[][LEASE_TOKEN_LENGTH + 1], size_t count)
{
    FILE *f = fdopen(fd, "r");

    while (count < TOKENS_MAX && fread(tokens[count], LEASE_TOKEN_LENGTH, 1, f) == 1)
        tokens[count++][LEASE_TOKEN_LENGTH] = '\0';
    fclose(f);
    return count;
}

static void wait_for_some(int fd, useconds_t more)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    rig_must(select(fd + 1, &set, NULL, NULL, &(struct timeval){ .tv_sec = 30 }) == 1, "answers");
    usleep(more);
}

static void everything_is_recorded(struct rig *r, char tokens[][LEASE_TOKEN_LENGTH + 1],
                                   size_t count)
{
    char *lines = trail(r, c.tenant);
    json_t *list, *key;
    size_t i;

    for (i = 0; i < count; i++) {
        char field[64];

        snprintf(field, sizeof field, "\"lease_id\":\"%.32s\"", tokens[i]);
        assert_non_null(strstr(lines, field));
    }
    free(lines);
    check_macs(r, c.tenant);
    check_macs(r, "vault");
    /* Every key that is there opens. */
    list = rig_get(r, VERB_KEY_LIST, &r->alice, c.tenant, NULL, NULL);
    json_array_foreach(json_object_get(list, "keys"), i, key)
    {
        char token[LEASE_TOKEN_LENGTH + 1];

        leased(r, &c, rig_text(key, "name"), VALUE, token);
    }
    json_decref(list);
}

static char tokens[TOKENS_MAX][LEASE_TOKEN_LENGTH + 1];

static void no_answered_lease_is_missing_after_the_server_was_killed_again_and_again(void **state)
{
    struct rig *r = rig_new();
    size_t count = 0;

    (void)state;
    c = customer_new(r, "acme");
    for (useconds_t round = 0; round < 8; round++) {
        int fd = -1;
        pid_t pid = serve(r, &fd);

        wait_for_some(fd, 3000 + 7300 * round % 41000);
        rig_kill(pid);
        count = read_tokens(fd, tokens, count);
        rig_start_engine(r);
        everything_is_recorded(r, tokens, count);
    }
    assert_true(count > 8);
    rig_free(r);
}

static void no_answered_lease_is_missing_after_keeper_and_server_were_killed(void **state)
{
    struct rig *r = rig_new();
    size_t count = 0;

    (void)state;
    c = customer_new(r, "acme");
    for (useconds_t round = 0; round < 4; round++) {
        int fd = -1;
        pid_t pid = serve(r, &fd);

        wait_for_some(fd, 2000 + 9100 * round % 37000);
        rig_replace_keeper(r); /* the server sees it go and ends by itself */
        waitpid(pid, NULL, 0);
        count = read_tokens(fd, tokens, count);
        rig_start_engine(r);
        assert_true(rig_is(r, "locked"));
        rig_unlock(r);
        everything_is_recorded(r, tokens, count);
        assert_int_equal(recorded(r, "vault", TYPE("vault.unlocked")), round + 1);
    }
    assert_true(count > 4);
    rig_free(r);
}

/* --- one batch that the keeper carried out and nobody stored ----------------------------------- */

static void lost_batch(struct rig *r, const struct wire_entry *entries, size_t count)
{
    struct out *out;
    struct in body;

    rig_stop_engine(r);
    r->client = rig_connect(r);
    out = wire_client_begin(r->client, WIRE_BATCH);
    out_u64(out, 0);
    out_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_entry(out, &entries[i]);
    assert_int_equal(wire_client_call(r->client, &body, NULL), OK);
    wire_client_free(r->client);
    rig_start_engine(r);
    assert_true(rig_is(r, "unlocked"));
}

static void id_member(const json_t *object, const char *member, struct id *ret_id)
{
    rig_hex(object, member, ret_id->b, sizeof ret_id->b);
}

/* The ids of the usual tenant, engagement and key. */
struct ids {
    struct id tenant, engagement, key;
};

static struct ids ids_of(struct rig *r)
{
    struct ids ids;
    json_t *t = rig_get(r, VERB_TENANT_SHOW, &r->alice, "acme", NULL, NULL);
    json_t *g = rig_get(r, VERB_ENGAGEMENT_LIST, &r->alice, "acme", NULL, NULL);
    json_t *k = rig_get(r, VERB_KEY_SHOW, &r->alice, "acme", "openai", NULL);

    id_member(t, "id", &ids.tenant);
    id_member(json_array_get(json_object_get(g, "engagements"), 0), "id", &ids.engagement);
    id_member(k, "id", &ids.key);
    json_decref(t);
    json_decref(g);
    json_decref(k);
    return ids;
}

static size_t size_of_log(struct rig *r, const char *log)
{
    json_t *shown = rig_get(r, VERB_LOG_SHOW, &r->alice, log, NULL, NULL);
    size_t size = (size_t)json_integer_value(json_object_get(shown, "size"));

    json_decref(shown);
    return size;
}

static void records_of_an_unanswered_batch_are_stored_and_named(void **state)
{
    struct rig *r = rig_new();
    struct ids ids;
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_GRANT_ADDED };
    struct wire_entry both[2];
    char range[64];
    size_t size;

    (void)state;
    c = customer_new(r, "acme");
    ids = ids_of(r);
    size = size_of_log(r, "acme");
    entry.log = ids.tenant;
    both[0] = both[1] = entry;
    lost_batch(r, both, 2);
    snprintf(range, sizeof range, "\"first_seq\":%zu,\"last_seq\":%zu", size, size + 1);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 1);
    assert_int_equal(recorded(r, "acme", range), 1);
    assert_int_equal(recorded(r, "vault", TYPE("recovery.unanswered")), 0);
    check_macs(r, "acme");
    rig_free(r);
}

static void what_was_stored_and_may_have_been_answered_is_not_called_unanswered(void **state)
{
    struct rig *r = rig_new();
    pid_t pid;

    (void)state;
    c = customer_new(r, "acme");
    for (unsigned i = 0; i < 2; i++)
        rig_restart_engine(r); /* in order: nothing is left to recover */
    assert_int_equal(recorded(r, "vault", TYPE("recovery.unanswered")), 0);
    /* Killed when idle, with a batch that is stored but not acknowledged. */
    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        char token[LEASE_TOKEN_LENGTH + 1];

        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        leased(r, &c, "openai", VALUE, token);
        kill(getpid(), SIGKILL);
    }
    waitpid(pid, NULL, 0);
    rig_start_engine(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 0);
    assert_int_equal(recorded(r, "vault", TYPE("server.started")), 4);
    rig_free(r);
}

static void a_data_key_whose_version_was_never_stored_is_destroyed(void **state)
{
    struct rig *r = rig_new();
    uint8_t delivery[sizeof VALUE - 1 + BOX_OVERHEAD];
    struct wire_entry entry = { .kind = ENTRY_KEY_PUT, .version = 1, .provider = 2 };
    struct ids ids;

    (void)state;
    c = customer_new(r, "acme");
    ids = ids_of(r);
    assert_int_equal(box_seal(SPAN(r->intake), span_text(VALUE), delivery, NULL), OK);
    random_bytes((struct mspan){ entry.key.b, 16 });
    entry.tenant = ids.tenant;
    entry.engagement = ids.engagement;
    entry.data = SPAN(delivery);
    lost_batch(r, &entry, 1);
    assert_int_equal(recorded(r, "acme", "\"reason\":\"unanswered\""), 1);
    rig_restart_engine(r); /* and it is gone for good */
    assert_int_equal(recorded(r, "acme", "\"reason\":\"unanswered\""), 1);
    check_macs(r, "acme");
    rig_free(r);
}

static void a_version_whose_data_key_is_gone_counts_as_revoked(void **state)
{
    struct rig *r = rig_new();
    struct ids ids;
    struct wire_entry entry = { .kind = ENTRY_KEY_DESTROY,
                                .version = 1,
                                .reason = WIRE_DESTROY_REVOKED };
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;
    json_t *key;

    (void)state;
    c = customer_new(r, "acme");
    leased(r, &c, "openai", VALUE, token);
    ids = ids_of(r);
    entry.tenant = ids.tenant;
    entry.key = ids.key;
    lost_batch(r, &entry, 1);
    key = rig_get(r, VERB_KEY_SHOW, &r->alice, "acme", "openai", NULL);
    assert_string_equal(rig_text(key, "state"), "revoked");
    assert_string_equal(rig_text(json_array_get(json_object_get(key, "versions"), 0), "state"),
                        "destroyed");
    json_decref(key);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    /* Whatever is asked of it now is refused, and the server lives. */
    rq = lease(r, &c, "openai");
    assert_int_equal(rq->outcome, DENIED);
    request_free(rq);
    rq = rotate(r, &c, "openai", VALUE, 0);
    assert_int_equal(rq->outcome, CONFLICT);
    request_free(rq);
    assert_int_equal(rig_try(r, VERB_KEY_REVOKE, &r->alice, "acme", "openai", NULL), CONFLICT);
    rig_free(r);
}

static void an_engagement_that_ended_in_the_keyring_ends_in_the_database(void **state)
{
    struct rig *r = rig_new();
    struct wire_entry entry = { .kind = ENTRY_ENGAGEMENT_END };
    char token[LEASE_TOKEN_LENGTH + 1];
    struct ids ids;
    json_t *list;
    const json_t *g;

    (void)state;
    c = customer_new(r, "acme");
    leased(r, &c, "openai", VALUE, token);
    ids = ids_of(r);
    entry.tenant = ids.tenant;
    entry.engagement = ids.engagement;
    lost_batch(r, &entry, 1);
    list = rig_get(r, VERB_ENGAGEMENT_LIST, &r->alice, "acme", NULL, NULL);
    g = json_array_get(json_object_get(list, "engagements"), 0);
    assert_string_equal(rig_text(g, "state"), "ended");
    assert_true(json_is_string(json_object_get(g, "due")));
    json_decref(list);
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    rig_free(r);
}

static void an_engagement_that_nobody_was_told_of_does_not_keep_the_tenants_seed(void **state)
{
    struct rig *r = rig_new();
    struct wire_entry entry = { .kind = ENTRY_ENGAGEMENT_START };
    struct ids ids;

    (void)state;
    c = customer_new(r, "acme");
    ids = ids_of(r);
    entry.tenant = ids.tenant;
    random_bytes((struct mspan){ entry.engagement.b, 16 });
    lost_batch(r, &entry, 1);
    assert_int_equal(recorded(r, "acme", TYPE("engagement.ended")), 1);
    rig_do(r, VERB_ENGAGEMENT_END, &r->alice, "acme", "work", NULL);
    rig_do(r, VERB_LOCK, &r->alice, NULL, NULL, NULL);
    rig_pass(PURGE_DELAY_S + 60);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", TYPE("tenant.seed_destroyed")), 1);
    rig_free(r);
}

static void an_unanswered_batch_survives_a_lock_in_between(void **state)
{
    struct rig *r = rig_new();
    struct wire_entry entry = { .kind = ENTRY_RECORD, .type = RECORD_GRANT_ADDED };
    struct out *out;
    struct in body;

    (void)state;
    c = customer_new(r, "acme");
    entry.log = ids_of(r).tenant;
    rig_stop_engine(r);
    r->client = rig_connect(r);
    out = wire_client_begin(r->client, WIRE_BATCH);
    out_u64(out, 0);
    out_u16(out, 1);
    wire_put_entry(out, &entry);
    assert_int_equal(wire_client_call(r->client, &body, NULL), OK);
    wire_client_begin(r->client, WIRE_LOCK);
    assert_int_equal(wire_client_call(r->client, &body, NULL), OK);
    wire_client_free(r->client);
    rig_start_engine(r);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 1);
    check_macs(r, "acme");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answered_lease_is_missing_after_the_server_was_killed_again_and_again),
        cmocka_unit_test(no_answered_lease_is_missing_after_keeper_and_server_were_killed),
        cmocka_unit_test(records_of_an_unanswered_batch_are_stored_and_named),
        cmocka_unit_test(what_was_stored_and_may_have_been_answered_is_not_called_unanswered),
        cmocka_unit_test(a_data_key_whose_version_was_never_stored_is_destroyed),
        cmocka_unit_test(a_version_whose_data_key_is_gone_counts_as_revoked),
        cmocka_unit_test(an_engagement_that_ended_in_the_keyring_ends_in_the_database),
        cmocka_unit_test(an_engagement_that_nobody_was_told_of_does_not_keep_the_tenants_seed),
        cmocka_unit_test(an_unanswered_batch_survives_a_lock_in_between),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
