/* wrap: fdatasync */
/* Batches of leases are under way at once: one written, one at the keeper, one being decided. The
 * disk can be held, so that the first of them stays where it is. */
#include "engine_customer.h"

#include <errno.h>

#define MANY 200

/* --- a disk to be held ------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, fails;
    unsigned waiting;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
    bool fails;

    pthread_mutex_lock(&disk.lock);
    disk.waiting++;
    pthread_cond_broadcast(&disk.changed);
    while (disk.held)
        pthread_cond_wait(&disk.changed, &disk.lock);
    disk.waiting--;
    fails = disk.fails;
    pthread_mutex_unlock(&disk.lock);
    if (!fails)
        return __real_fdatasync(fd);
    errno = EIO;
    return -1;
}

static void disk_set(bool held, bool fails)
{
    pthread_mutex_lock(&disk.lock);
    disk.held = held;
    disk.fails = fails;
    pthread_cond_broadcast(&disk.changed);
    pthread_mutex_unlock(&disk.lock);
}

/* Until somebody waits for the disk; the keeper has the next batch a moment later. */
static void disk_awaited(void)
{
    pthread_mutex_lock(&disk.lock);
    while (disk.waiting == 0)
        pthread_cond_wait(&disk.changed, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
    usleep(300000);
}

static struct customer c;

static struct rig *rig_with_customer(void)
{
    char token[LEASE_TOKEN_LENGTH + 1];
    struct rig *r = rig_new();

    c = customer_new(r, "acme");
    leased(r, &c, "openai", VALUE, token);
    return r;
}

static struct request *lease_request(struct rig *r)
{
    return rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai"));
}

static void answered_too_early(struct request *rq)
{
    (void)rq;
    _exit(1);
}

static void submit_many(struct rig *r, struct request *rq[MANY])
{
    rig_hold(r);
    for (size_t i = 0; i < MANY; i++)
        rq[i] = rig_submit(r, lease_request(r));
}

/* --- durable before it is answered -------------------------------------------------------------- */

static void nobody_is_answered_before_the_records_are_synced(void **state)
{
    struct rig *r = rig_with_customer();
    struct request *rq[MANY];

    (void)state;
    submit_many(r, rq);
    disk_set(true, false);
    rig_let_go(r);
    disk_awaited();
    assert_int_equal(rig_unanswered(r), MANY);
    disk_set(false, false);
    rig_wait(r);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(rq[i]->outcome, OK);
        assert_true(value_is(rq[i], VALUE));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(rig_text(rq[i]->reply, "lease"),
                                    rig_text(rq[k]->reply, "lease"));
    }
    for (size_t i = 0; i < MANY; i++)
        request_free(rq[i]);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), MANY + 1);
    rig_free(r);
}

/* A server in a process of its own, with one batch written and one at the keeper, where the disk
 * does not answer; then `end`. The exit status. */
static int serve_to_the_disk(struct rig *r, void (*end)(struct rig *r))
{
    int how = 0;
    pid_t pid;

    rig_stop_engine(r);
    pid = fork();
    rig_must(pid >= 0, "fork");
    if (pid == 0) {
        char token[LEASE_TOKEN_LENGTH + 1];
        struct request *rq[MANY];

        rig_must(secret_start(RIG_SLAB, NULL) == OK, "slab");
        rig_start_engine(r);
        leased(r, &c, "openai", VALUE, token); /* the first one changes more than the trail */
        submit_many(r, rq);
        for (size_t i = 0; i < MANY; i++)
            rq[i]->done = answered_too_early;
        disk_set(true, false);
        rig_let_go(r);
        disk_awaited();
        end(r);
        _exit(2);
    }
    rig_must(waitpid(pid, &how, 0) == pid, "wait");
    return how;
}

static void die(struct rig *r)
{
    (void)r;
    kill(getpid(), SIGKILL);
}

static void let_the_disk_fail(struct rig *r)
{
    (void)r;
    disk_set(false, true);
    sleep(30);
}

static void a_sync_that_fails_ends_the_server_and_nobody_was_answered(void **state)
{
    struct rig *r = rig_with_customer();
    int how = serve_to_the_disk(r, let_the_disk_fail);

    (void)state;
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 70);
    rig_start_engine(r);
    check_macs(r, "acme");
    rig_free(r);
}

/* The number of lease.issued among the records from first to last, of which there are no others. */
static size_t leases_among(struct rig *r, size_t first, size_t last)
{
    char *lines = trail(r, c.tenant), *line = lines;
    size_t count = 0;

    for (size_t seq = 0; *line != '\0'; seq++) {
        char *end = strchr(line, '\n');

        *end = '\0';
        if (seq >= first && seq <= last) {
            assert_non_null(strstr(line, TYPE("lease.issued")));
            count++;
        }
        line = end + 1;
    }
    free(lines);
    return count;
}

static void
of_a_killed_server_both_batches_are_stored_and_the_second_is_called_unanswered(void **state)
{
    struct rig *r = rig_with_customer();
    unsigned long first = 0, last = 0;
    size_t issued, second;
    char *lines, *record;
    int how = serve_to_the_disk(r, die);

    (void)state;
    assert_true(WIFSIGNALED(how));
    rig_start_engine(r);
    assert_true(rig_is(r, "unlocked"));
    issued = recorded(r, "acme", TYPE("lease.issued")) - 2;
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 1);
    lines = trail(r, "acme");
    record = strstr(strstr(lines, TYPE("recovery.unanswered")), "\"first_seq\"");
    assert_int_equal(sscanf(record, "\"first_seq\":%lu,\"last_seq\":%lu", &first, &last), 2);
    free(lines);
    /* What was written may have been answered, for all that the next server knows. */
    second = leases_among(r, first, last);
    assert_int_equal(second, last - first + 1);
    assert_true(second > 0 && second < issued && issued <= MANY);
    assert_int_equal(leases_among(r, first - (issued - second), first - 1), issued - second);
    check_macs(r, "acme");
    rig_restart_engine(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")) - 2, issued);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 1);
    rig_free(r);
}

static void copy(const char *from, const char *to)
{
    static uint8_t bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n;

    rig_must(in != NULL && out != NULL, "copy");
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        rig_must(fwrite(bytes, 1, n, out) == n, "copy");
    rig_must(fclose(out) == 0, "copy");
    fclose(in);
}

static char tail[128], synced[128];

/* The frame that is not synced yet is the last one, and the file is of a fixed size. */
static void leave_what_was_synced(struct rig *r)
{
    copy(tail, synced);
    die(r);
}

static void a_power_cut_before_the_sync_loses_only_what_nobody_was_answered(void **state)
{
    struct rig *r = rig_with_customer();
    uint8_t zeros[64] = { 0 };
    unsigned long at = 0;
    uint8_t length[4];
    FILE *f;
    int how;

    (void)state;
    snprintf(tail, sizeof tail, "%s/strongroom.db-tail", r->store);
    snprintf(synced, sizeof synced, "%s/tail.synced", r->dir);
    how = serve_to_the_disk(r, leave_what_was_synced);
    assert_true(WIFSIGNALED(how));
    /* Of the frames there are, the last one was not. */
    f = fopen(synced, "rb+");
    assert_non_null(f);
    for (unsigned long next = 0;; next += 4 + (unsigned long)length[1] * 65536 +
                                          (unsigned long)length[2] * 256 + length[3]) {
        assert_int_equal(fseek(f, (long)next, SEEK_SET), 0);
        assert_int_equal(fread(length, 1, 4, f), 4);
        if (memcmp(length, zeros, 4) == 0)
            break;
        at = next;
    }
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(zeros, 1, sizeof zeros, f), sizeof zeros);
    assert_int_equal(fclose(f), 0);
    copy(synced, tail);
    rig_replace_keeper(r);
    rig_start_engine(r);
    rig_unlock(r);
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 2);
    assert_int_equal(recorded(r, "acme", TYPE("recovery.unanswered")), 0);
    check_macs(r, "acme");
    check_macs(r, "vault");
    rig_free(r);
}

/* --- decided beside each other ------------------------------------------------------------------ */

#define CROWD 400

static void
of_far_more_requests_than_fit_a_batch_exactly_as_many_as_may_live_are_granted(void **state)
{
    struct rig *r = rig_with_customer();
    static struct request *rq[CROWD];
    size_t fine = 0, limited = 0;
    char token[LEASE_TOKEN_LENGTH + 1] = "";

    (void)state;
    rig_do(r, VERB_POLICY_SET, &r->alice, "acme", NULL,
           json_pack("{s:s}", "document", "[allow a]\nconcurrent = 171\n"));
    rig_hold(r);
    for (size_t i = 0; i < CROWD; i++)
        rq[i] = rig_submit(r, lease_request(r));
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < CROWD; i++) {
        fine += rq[i]->outcome == OK;
        limited += rq[i]->outcome == LIMIT;
        if (rq[i]->outcome == OK)
            snprintf(token, sizeof token, "%s", rig_text(rq[i]->reply, "lease"));
        request_free(rq[i]);
    }
    assert_int_equal(fine, 170); /* and the one before */
    assert_int_equal(limited, CROWD - 170);
    /* Nothing is counted twice, or for good. */
    rig_do(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL);
    leased(r, &c, "openai", VALUE, token);
    assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL, lease_body(&c, "openai")),
                     LIMIT);
    rig_free(r);
}

/* Every fourth from one on asks with the key, the others without. How often it was repeated. */
static size_t ask_with_key(struct rig *r, size_t from, uint8_t key)
{
    struct request *rq[MANY];
    size_t first = MANY, repeated = 0;

    rig_hold(r);
    for (size_t i = 0; i < MANY; i++) {
        rq[i] = lease_request(r);
        if (i >= from && i % 4 == 3) {
            memset(rq[i]->idempotency, key, sizeof rq[i]->idempotency);
            rq[i]->has_idempotency = true;
        }
        rig_submit(r, rq[i]);
    }
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < MANY; i++) {
        bool again = rq[i]->has_idempotency && first < i;

        if (rq[i]->has_idempotency && !again)
            first = i;
        assert_int_equal(rq[i]->outcome, OK);
        assert_true(value_is(rq[i], VALUE));
        assert_int_equal(json_is_true(json_object_get(rq[i]->reply, "repeated")), again);
        if (again)
            assert_string_equal(rig_text(rq[i]->reply, "lease"),
                                rig_text(rq[first]->reply, "lease"));
        repeated += again;
    }
    for (size_t i = 0; i < MANY; i++)
        request_free(rq[i]);
    return repeated;
}

static void one_idempotency_key_in_many_batches_is_one_lease(void **state)
{
    struct rig *r = rig_with_customer();
    size_t repeated = ask_with_key(r, 0, 5);

    (void)state;
    repeated += ask_with_key(r, 120, 6); /* first decided while the keeper has a batch */
    assert_int_equal(recorded(r, "acme", TYPE("lease.issued")), 1 + 2 * MANY - repeated);
    assert_int_equal(recorded(r, "acme", TYPE("lease.repeated")), repeated);
    rig_free(r);
}

#define LEASES 40

static char *token_of_a_lease(struct rig *r)
{
    char token[LEASE_TOKEN_LENGTH + 1];

    leased(r, &c, "openai", VALUE, token);
    return strdup(token);
}

/* Wherever one batch ends and the next one begins. */
static void a_renewal_behind_a_release_is_refused_in_the_next_batch_as_within_one(void **state)
{
    struct rig *r = rig_with_customer();
    char *tokens[LEASES];
    struct request *rq[LEASES][4];

    (void)state;
    for (size_t i = 0; i < LEASES; i++)
        tokens[i] = token_of_a_lease(r);
    rig_hold(r);
    for (size_t i = 0; i < LEASES; i++) {
        static const enum verb verbs[] = { VERB_LEASE_RENEW, VERB_LEASE_RELEASE, VERB_LEASE_RENEW };

        for (size_t k = 0; k < 3; k++)
            rq[i][k] = rig_submit(r, rig_request(r, verbs[k], &c.gateway, tokens[i], NULL, NULL));
        rq[i][3] = rig_submit(r, lease_request(r));
    }
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < LEASES; i++) {
        static const status outcomes[] = { OK, OK, NOT_FOUND, OK };

        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(rq[i][k]->outcome, outcomes[k]);
            request_free(rq[i][k]);
        }
        assert_int_equal(renew(r, &c, tokens[i]), NOT_FOUND);
    }
    rig_restart_engine(r);
    for (size_t i = 0; i < LEASES; i++) {
        assert_int_equal(renew(r, &c, tokens[i]), NOT_FOUND);
        free(tokens[i]);
    }
    rig_free(r);
}

static struct request *renew_for(struct rig *r, const char *token, int ttl_s)
{
    return rig_submit(r, rig_request(r, VERB_LEASE_RENEW, &c.gateway, token, NULL,
                                     json_pack("{s:i}", "ttl_s", ttl_s)));
}

static void of_renewals_beside_each_other_the_longest_counts_in_whatever_order(void **state)
{
    struct rig *r = rig_with_customer();
    char *tokens[LEASES];
    struct request *longer[LEASES], *shorter[LEASES];

    (void)state;
    for (size_t i = 0; i < LEASES; i++)
        tokens[i] = token_of_a_lease(r);
    rig_hold(r);
    for (size_t i = 0; i < LEASES; i++) {
        longer[i] = renew_for(r, tokens[i], 900);
        shorter[i] = renew_for(r, tokens[i], 60);
    }
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < LEASES; i++) {
        assert_int_equal(longer[i]->outcome, OK);
        assert_int_equal(shorter[i]->outcome, OK);
        assert_string_equal(rig_text(longer[i]->reply, "expires"),
                            rig_text(shorter[i]->reply, "expires"));
        request_free(longer[i]);
        request_free(shorter[i]);
    }
    rig_restart_engine(r);
    rig_pass(600);
    usleep(1200000);
    for (size_t i = 0; i < LEASES; i++) {
        assert_int_equal(renew(r, &c, tokens[i]), OK);
        free(tokens[i]);
    }
    rig_free(r);
}

static void
a_lease_that_was_given_back_beside_a_renewal_does_not_come_back_after_a_restart(void **state)
{
    struct rig *r = rig_with_customer();
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *a, *b;

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    rig_hold(r);
    a = rig_submit(r, rig_request(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL));
    b = renew_for(r, token, 900);
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(a->outcome, OK);
    assert_int_equal(b->outcome, NOT_FOUND);
    request_free(a);
    request_free(b);
    rig_pass(500);
    usleep(1200000);
    rig_restart_engine(r); /* the release does not matter to it any more */
    assert_int_equal(renew(r, &c, token), NOT_FOUND);
    assert_int_equal(recorded(r, "acme", TYPE("lease.renewed")), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_answered_before_the_records_are_synced),
        cmocka_unit_test(a_sync_that_fails_ends_the_server_and_nobody_was_answered),
        cmocka_unit_test(
            of_a_killed_server_both_batches_are_stored_and_the_second_is_called_unanswered),
        cmocka_unit_test(a_power_cut_before_the_sync_loses_only_what_nobody_was_answered),
        cmocka_unit_test(
            of_far_more_requests_than_fit_a_batch_exactly_as_many_as_may_live_are_granted),
        cmocka_unit_test(one_idempotency_key_in_many_batches_is_one_lease),
        cmocka_unit_test(a_renewal_behind_a_release_is_refused_in_the_next_batch_as_within_one),
        cmocka_unit_test(
            a_lease_that_was_given_back_beside_a_renewal_does_not_come_back_after_a_restart),
        cmocka_unit_test(of_renewals_beside_each_other_the_longest_counts_in_whatever_order),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
