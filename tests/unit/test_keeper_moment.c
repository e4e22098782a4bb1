/* A trail that was signed does not go back: the anchor, the seal on the heads, and what the keeper
 * believes of a database that was put back. */
#include "keeper_customer.h"
#include <sys/stat.h>

#include "ledger/checkpoint.h"

/* What a server has stored at some time. */
struct stored {
    uint8_t heads[sizeof(((struct rig *)0)->heads)];
    size_t head_count;
    uint8_t seal[HEADS_SEAL_MAX];
    size_t seal_n;
};

static void store(const struct rig *r, struct stored *s)
{
    memcpy(s->heads, r->heads, sizeof(s->heads));
    s->head_count = r->head_count;
    memcpy(s->seal, r->seal, sizeof(s->seal));
    s->seal_n = r->seal_n;
}

static void put_back(struct rig *r, const struct stored *s)
{
    memcpy(r->heads, s->heads, sizeof(s->heads));
    r->head_count = s->head_count;
    memcpy(r->seal, s->seal, sizeof(s->seal));
    r->seal_n = s->seal_n;
}

static void append(struct rig *r)
{
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
}

static void acknowledge(struct rig *r)
{
    assert_int_equal(rig_batch(r, NULL, 0), OK);
}

/* The keeper dies, and the next one is unlocked and given what the server has. */
static status come_back(struct rig *r)
{
    rig_restart(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    return rig_load_heads(r);
}

static void check_put_back(struct rig *r, const struct stored *s, const char *why)
{
    put_back(r, s);
    assert_int_equal(come_back(r), CORRUPT);
    assert_string_equal(r->reason, why);
}

#define OLDER   "the database is older than the keyring"
#define MIXED   "the heads are not of one moment"
#define THE_LOG ((struct id){ { 0 } })

static void one_record_less_than_was_signed_is_refused(void **state)
{
    static struct stored before;
    struct rig *r = *state;

    store(r, &before);
    append(r);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    check_put_back(r, &before, OLDER);
}

static void what_was_not_signed_may_be_lost(void **state)
{
    static struct stored before;
    struct rig *r = *state;

    store(r, &before);
    append(r);
    put_back(r, &before);
    assert_int_equal(come_back(r), OK);
}

static void a_signature_of_the_same_again_writes_nothing(void **state)
{
    struct rig *r = *state;
    struct stat first, second;
    char path[512];

    append(r);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    snprintf(path, sizeof(path), "%s/keyring", r->dir);
    assert_int_equal(stat(path, &first), 0);
    rig_pass(1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    assert_int_equal(stat(path, &second), 0);
    assert_true(first.st_mtim.tv_sec == second.st_mtim.tv_sec &&
                first.st_mtim.tv_nsec == second.st_mtim.tv_nsec);
}

static void nothing_is_signed_that_is_not_acknowledged(void **state)
{
    struct rig *r = *state;

    append(r);
    r->ack--;
    assert_int_equal(rig_checkpoint(r, THE_LOG), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    r->ack++;
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
}

static void heads_of_two_moments_are_refused(void **state)
{
    static struct stored before, now;
    struct rig *r = *state;

    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(2) }), OK);
    append(r);
    store(r, &before);
    append(r);
    append(r);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD,
                                                       .log = rig_id(2),
                                                       .type = RECORD_LEASE_REFUSED }),
                     OK);
    store(r, &now);
    /* Not one record less than the anchor says, and yet the vault's log is older than the
     * tenant's. */
    memcpy(r->heads, before.heads, sizeof(r->heads[0]));
    assert_int_equal(come_back(r), CORRUPT);
    assert_string_equal(r->reason, MIXED);
    put_back(r, &now);
    memcpy(r->seal, before.seal, sizeof(r->seal));
    assert_int_equal(come_back(r), CORRUPT);
    assert_string_equal(r->reason, MIXED);
    r->seal_n = 0;
    assert_int_equal(come_back(r), CORRUPT);
    assert_string_equal(r->reason, OLDER);
    put_back(r, &now);
    r->head_count--;
    assert_int_equal(come_back(r), CORRUPT);
    put_back(r, &now);
    assert_int_equal(come_back(r), OK);
}

/* Two histories of one length, of which the second was signed. */
static void a_history_that_was_given_up_does_not_come_back(void **state)
{
    static struct stored common, first;
    struct rig *r = *state;

    store(r, &common);
    append(r);
    append(r);
    store(r, &first);
    put_back(r, &common);
    assert_int_equal(come_back(r), OK);
    append(r);
    append(r);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    check_put_back(r, &first, OLDER);
    check_put_back(r, &common, OLDER);
}

/* The keyring knows of a run of which the database never heard. */
static void a_run_whose_first_batch_was_lost_begins_again_and_again(void **state)
{
    static struct stored before, lost, now;
    struct rig *r = *state;

    append(r);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    store(r, &before);
    for (unsigned i = 0; i < 3; i++) {
        put_back(r, &before);
        assert_int_equal(come_back(r), OK);
        append(r);
        append(r);
        store(r, &lost);
    }
    put_back(r, &before);
    assert_int_equal(come_back(r), OK);
    append(r);
    append(r);
    acknowledge(r);
    rig_lock(r);
    store(r, &now);
    check_put_back(r, &lost, OLDER);
    check_put_back(r, &before, OLDER);
    put_back(r, &now);
    assert_int_equal(come_back(r), OK);
}

static void a_checkpoint_right_after_an_unlock_is_covered(void **state)
{
    static struct stored before;
    struct rig *r = *state;

    store(r, &before);
    append(r);
    assert_int_equal(come_back(r), OK);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    check_put_back(r, &before, OLDER);
}

static void the_same_log_is_signed_in_longer_and_longer_extensions_only(void **state)
{
    struct rig *r = *state;
    struct wire_system_keys keys;
    uint8_t public32[32], root[SHA256_SIZE];
    uint64_t last = 0, size = 0;
    struct id log = THE_LOG;
    struct err e = { 0 };

    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), OK);
    wire_get_system_keys(&r->body, &keys);
    memcpy(public32, keys.ledger_public, sizeof(public32));
    for (unsigned i = 0; i < 4; i++) {
        append(r);
        assert_int_equal(rig_checkpoint(r, log), OK);
        struct span note = in_span16(&r->body);
        assert_int_equal(checkpoint_verify(note, &r->vault, &log, SPAN(public32), &size, root, &e),
                         OK);
        assert_true(size > last);
        last = size;
        assert_int_equal(come_back(r), OK);
    }
}

static void a_vault_without_a_seal_is_taken_over_once(void **state)
{
    static struct stored now;
    struct rig *r = *state;

    store(r, &now);
    /* Its heads are of run 1 here, so that none at all is a step back. */
    r->seal_n = 0;
    assert_int_equal(come_back(r), CORRUPT);
    put_back(r, &now);
    assert_int_equal(come_back(r), OK);
}

static void a_tenant_has_one_place_in_the_vault_tree_for_ever(void **state)
{
    struct rig *r = *state;
    struct span index;

    for (uint8_t i = 1; i <= 3; i++) {
        struct wire_entry entry = { .kind = ENTRY_TENANT_NEW, .tenant = rig_id(50 + i) };
        assert_int_equal(rig_entry(r, entry), OK);
        assert_true(record_field(r->records[0].r.line, "index", &index));
        assert_int_equal(index.n, 1);
        assert_int_equal(index.p[0], '0' + i);
        assert_int_equal(come_back(r), OK);
    }
    /* One that could not be created takes none. */
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(51) }),
        CONFLICT);
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(60) }), OK);
    assert_true(record_field(r->records[0].r.line, "index", &index));
    assert_int_equal(index.p[0], '4');
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_record_less_than_was_signed_is_refused),
        CASE(what_was_not_signed_may_be_lost),
        CASE(a_signature_of_the_same_again_writes_nothing),
        CASE(nothing_is_signed_that_is_not_acknowledged),
        CASE(heads_of_two_moments_are_refused),
        CASE(a_history_that_was_given_up_does_not_come_back),
        CASE(a_run_whose_first_batch_was_lost_begins_again_and_again),
        CASE(a_checkpoint_right_after_an_unlock_is_covered),
        CASE(the_same_log_is_signed_in_longer_and_longer_extensions_only),
        CASE(a_vault_without_a_seal_is_taken_over_once),
        CASE(a_tenant_has_one_place_in_the_vault_tree_for_ever),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
