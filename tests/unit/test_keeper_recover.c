/* The keeper's rules 1, 2, 3 and 6: no lease without its record, nothing answered that is not
 * durable, no record lost with a server, nothing half done. */
#include "keeper_customer.h"

/* Entries with fields of the largest size that fit a request, and whose reply does not. */
#define TOO_MANY (LIMIT_FRAME / (LIMIT_FIELDS + 440))

static void acknowledge(struct rig *r)
{
    assert_int_equal(rig_batch(r, NULL, 0), OK);
}

static bool contains(struct span in, struct span what)
{
    for (size_t i = 0; i + what.n <= in.n; i++) {
        if (span_same(span_of(in.p + i, what.n), what))
            return true;
    }
    return false;
}

static void rule_1_a_key_leaves_only_with_the_record_of_its_lease(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));

    rig_put_batch(r, &open, 1);
    assert_int_equal(rig_call(r), OK);
    assert_true(contains(span_of(r->reply, r->reply_n), span_text(provider_key)));
    assert_int_equal(rig_take_batch(r), 1);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_ISSUED);

    /* With bad fields there is a record of the failure, and no key. */
    open.fields = span_text(",\"key_id\":1");
    rig_put_batch(r, &open, 1);
    assert_int_equal(rig_call(r), OK);
    assert_false(contains(span_of(r->reply, r->reply_n), span_text(provider_key)));
    assert_int_equal(rig_take_batch(r), 1);
    assert_int_equal(r->records[0].r.type, RECORD_OPERATION_FAILED);

    /* In a batch that is refused as a whole there is neither. */
    struct wire_entry many[TOO_MANY];
    static char filler[LIMIT_FIELDS];
    memset(filler, 'x', sizeof(filler));
    memcpy(filler, ",\"a\":\"", 6);
    filler[sizeof(filler) - 1] = '"';
    for (size_t i = 0; i < TOO_MANY; i++) {
        many[i] = rig_open_entry(TENANT, KEY, 1, open.data);
        many[i].fields = span_of(filler, sizeof(filler));
    }
    rig_put_batch(r, many, TOO_MANY);
    assert_int_equal(rig_call(r), LIMIT);
    for (size_t at = r->reply_n; at < sizeof(r->reply); at++)
        assert_int_equal(r->reply[at], 0);
}

static void rule_2_what_was_answered_survives_the_keepers_death(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    rig_restart(r);
    rig_unlock(r);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    assert_true(span_same(span_of(r->data, r->result.data.n), span_text(provider_key)));
}

static void rule_3_a_lost_reply_is_recovered_without_its_key(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));
    char line[LIMIT_RECORD + 1];

    rig_put_batch(r, &open, 1);
    assert_int_equal(rig_call(r), OK);
    uint64_t ack_before = r->ack;
    assert_int_equal(rig_take_batch(r), 1);
    memcpy(line, r->records[0].line, sizeof(line));

    /* The server died without storing it; the new one knows nothing. */
    r->ack = 0;
    assert_int_equal(rig_hello(r).batch_pending, 1);
    rig_put_batch(r, &open, 1);
    assert_int_equal(rig_call(r), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    r->ack = ack_before;
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), CONFLICT);

    assert_int_equal(rig_recover(r, 0), OK);
    assert_false(contains(span_of(r->reply, r->reply_n), span_text(provider_key)));
    assert_int_equal(rig_take_batch(r), 1);
    assert_string_equal(line, r->records[0].line);
    assert_int_equal(r->result.data.n, 0);
    assert_true(id_is_zero(&r->result.lease));
    acknowledge(r);
    assert_int_equal(rig_hello(r).batch_pending, 0);
    assert_int_equal(rig_recover(r, 0), OK);
    assert_int_equal(rig_take_batch(r), 0);
}

static void an_unacknowledged_batch_survives_a_lock(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_session s;

    put_key(r, sealed);
    acknowledge(r);
    /* A server that dies with the reply keeps its older heads. */
    struct rig *before = malloc(sizeof(*before));
    assert_non_null(before);
    memcpy(before->heads, r->heads, sizeof(r->heads));
    before->head_count = r->head_count;
    memcpy(before->seal, r->seal, sizeof(r->seal));
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(2) }), OK);
    memcpy(r->heads, before->heads, sizeof(r->heads));
    r->head_count = before->head_count;
    memcpy(r->seal, before->seal, sizeof(r->seal));
    free(before);

    rig_lock(r);
    assert_int_equal(rig_hello(r).batch_pending, 1);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    assert_int_equal(rig_load_heads(r), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    assert_int_equal(rig_recover(r, 0), OK);
    assert_int_equal(rig_take_batch(r), 1);
    assert_int_equal(rig_load_heads(r), OK);
    acknowledge(r);
    assert_int_equal(rig_hello(r).batch_pending, 0);
}

/* --- one batch ahead --------------------------------------------------------------------------- */

/* A lease's batch by a server that has stored what came up to ack. */
static status lease_ahead(struct rig *r, uint64_t ack, struct id tenant, struct id key,
                          struct span sealed)
{
    struct wire_entry open = rig_open_entry(tenant, key, 1, sealed);

    r->ack = ack;
    return rig_batch(r, &open, 1);
}

static void leases_may_leave_one_batch_unacknowledged_and_no_second_one(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    uint64_t first;

    acknowledge(r);
    first = r->ack + 1;
    assert_int_equal(lease_ahead(r, first - 1, TENANT, KEY, value), OK);
    assert_int_equal(lease_ahead(r, first - 1, TENANT, KEY, value), OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(lease_ahead(r, first - 1, TENANT, KEY, value), CONFLICT);
        assert_string_equal(r->reason, "recover first");
    }
    /* One more is known to be durable, and so there may be one more. */
    for (uint64_t n = first; n < first + 5; n++)
        assert_int_equal(lease_ahead(r, n, TENANT, KEY, value), OK);
    assert_int_equal(lease_ahead(r, first + 4, TENANT, KEY, value), CONFLICT);
    r->ack = first + 5;
    assert_int_equal(rig_hello(r).batch_pending, 1);
    r->ack = first + 6;
    acknowledge(r);
    assert_int_equal(rig_hello(r).batch_pending, 0);
    /* Behind each other in the trail, as they were asked for. */
    assert_int_equal(lease_ahead(r, r->ack, TENANT, KEY, value), OK);
    assert_int_equal(r->records[0].r.seq, 10);
}

static void renewals_releases_and_plain_records_may_go_ahead_as_well(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry entries[3];
    uint64_t ack;

    entries[0] = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));
    ack = r->ack;
    assert_int_equal(rig_batch(r, entries, 1), OK);
    entries[0].kind = ENTRY_LEASE_RENEW;
    entries[0].data = span_of(NULL, 0);
    entries[0].lease = r->result.lease;
    memcpy(entries[0].lease_mac, r->result.lease_mac, sizeof(entries[0].lease_mac));
    entries[1] = entries[0];
    entries[1].kind = ENTRY_LEASE_RELEASE;
    entries[2] = (struct wire_entry){
        .kind = ENTRY_RECORD, .log = TENANT, .type = RECORD_LEASE_REFUSED, .outcome = OUTCOME_DENIED
    };
    r->ack = ack + 1;
    assert_int_equal(rig_batch(r, entries, 3), OK);
    r->ack = ack + 1;
    assert_int_equal(rig_batch(r, entries, 3), OK);
    assert_int_equal(r->record_count, 3);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_RENEWED);
    assert_int_equal(r->records[1].r.type, RECORD_LEASE_RELEASED);
    assert_int_equal(r->records[2].r.type, RECORD_LEASE_REFUSED);
}

static void whatever_is_no_lease_waits_until_all_is_acknowledged(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct wire_entry entries[2] = { rig_open_entry(TENANT, KEY, 1, value) };
    static const uint8_t others[] = { ENTRY_TENANT_NEW,     ENTRY_ENGAGEMENT_START,
                                      ENTRY_ENGAGEMENT_END, ENTRY_KEY_PUT,
                                      ENTRY_KEY_DESTROY,    ENTRY_FOLD,
                                      ENTRY_CLOCK_CONFIRM,  ENTRY_DATABASE_REKEYED,
                                      ENTRY_TREE_COMMITTED, ENTRY_ROLLBACK_TOLD,
                                      ENTRY_RECORDS_DROP };
    uint64_t ack;

    acknowledge(r);
    ack = r->ack;
    assert_int_equal(lease_ahead(r, ack, TENANT, KEY, value), OK);
    for (size_t i = 0; i < sizeof(others); i++) {
        entries[1] =
            (struct wire_entry){ .kind = others[i], .tenant = OTHER, .engagement = ENGAGEMENT };
        r->ack = ack;
        for (size_t n = 0; n < 2; n++) { /* alone, and behind a lease */
            rig_put_batch(r, entries + 1 - n, n + 1);
            assert_int_equal(rig_call(r), CONFLICT);
            assert_string_equal(r->reason, "recover first");
        }
    }
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), CONFLICT);
    assert_int_equal(rig_checkpoint(r, TENANT), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    out_u64(rig_begin(r, WIRE_ROUND), ack);
    assert_int_equal(rig_call(r), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    r->ack = ack + 1;
    assert_int_equal(rig_checkpoint(r, TENANT), OK);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = OTHER }),
                     OK);
}

/* The seals are the vault's of that moment, so a server has both replies or asks for them. */
static void both_unacknowledged_batches_are_recovered_in_order_and_without_their_keys(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    char lines[2][LIMIT_RECORD + 1];
    uint64_t ack;

    acknowledge(r);
    ack = r->ack;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(lease_ahead(r, ack, TENANT, KEY, value), OK);
        assert_int_equal(r->record_count, 1);
        memcpy(lines[i], r->records[0].line, sizeof(lines[i]));
    }
    r->ack = 0;
    for (size_t i = 0; i < 2; i++) {
        uint64_t after = r->ack;

        for (unsigned again = 0; again < 2; again++) { /* asking changes nothing */
            assert_int_equal(rig_recover(r, after), OK);
            assert_false(contains(span_of(r->reply, r->reply_n), span_text(provider_key)));
            assert_int_equal(rig_take_batch(r), 1);
            assert_int_equal(r->ack, ack + 1 + i);
            assert_string_equal(r->records[0].line, lines[i]);
            assert_int_equal(r->result.data.n, 0);
            assert_true(id_is_zero(&r->result.lease));
        }
    }
    assert_int_equal(rig_recover(r, r->ack), OK);
    assert_int_equal(rig_take_batch(r), 0);
    assert_int_equal(r->ack, ack + 2);
    acknowledge(r);
    assert_int_equal(rig_hello(r).batch_pending, 0);
}

static void a_server_that_was_started_anew_leaves_out_nothing(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    acknowledge(r);
    assert_int_equal(lease_ahead(r, r->ack, TENANT, KEY, value), OK);
    assert_int_equal(lease_ahead(r, 0, TENANT, KEY, value), CONFLICT);
    assert_string_equal(r->reason, "recover first");
    assert_int_equal(rig_recover(r, 0), OK);
    rig_take_batch(r);
    acknowledge(r);
    /* Nor the very first batch of a keeper. */
    rig_restart(r);
    rig_unlock(r);
    assert_int_equal(lease_ahead(r, 0, TENANT, KEY, value), OK);
    assert_int_equal(r->ack, 1);
    assert_int_equal(lease_ahead(r, 0, TENANT, KEY, value), CONFLICT);
    assert_string_equal(r->reason, "recover first");
}

/* A server that dies with both replies keeps its older heads. Recovers them after a lock. */
static void recover_both_after_a_lock(struct rig *r, struct id first, struct id second)
{
    uint8_t sealed[2][LIMIT_SEALED_KEY];
    struct id tenants[2] = { first, second };
    struct id engagements[2] = { rig_id(11), rig_id(id_same(&first, &second) ? 11 : 12) };
    struct rig *before = malloc(sizeof(*before));
    struct span values[2];
    struct wire_session s;
    uint64_t ack;

    assert_non_null(before);
    for (uint8_t i = 0; i < 2; i++) {
        if (i == 0 || !id_same(&first, &second))
            rig_tenant(r, tenants[i], engagements[i]);
        assert_int_equal(
            rig_put(r, tenants[i], engagements[i], rig_id((uint8_t)(21 + i)), 1, provider_key), OK);
        memcpy(sealed[i], r->data, r->result.data.n);
        values[i] = span_of(sealed[i], r->result.data.n);
    }
    acknowledge(r);
    ack = r->ack;
    memcpy(before, r, sizeof(*r));
    for (uint8_t i = 0; i < 2; i++)
        assert_int_equal(lease_ahead(r, ack, tenants[i], rig_id((uint8_t)(21 + i)), values[i]), OK);
    memcpy(r->heads, before->heads, sizeof(r->heads));
    r->head_count = before->head_count;
    memcpy(r->seal, before->seal, sizeof(r->seal));
    free(before);

    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    r->ack = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(rig_load_heads(r), CONFLICT);
        assert_string_equal(r->reason, "recover first");
        assert_int_equal(rig_recover(r, r->ack), OK);
        assert_int_equal(rig_take_batch(r), 1);
    }
    assert_int_equal(rig_load_heads(r), OK);
    acknowledge(r);
    assert_int_equal(rig_hello(r).batch_pending, 0);
    assert_int_equal(lease_ahead(r, r->ack, first, rig_id(21), values[0]), OK);
}

static void two_unacknowledged_batches_of_one_log_survive_a_lock(void **state)
{
    recover_both_after_a_lock(*state, TENANT, TENANT);
}

static void two_unacknowledged_batches_of_two_logs_survive_a_lock(void **state)
{
    recover_both_after_a_lock(*state, TENANT, OTHER);
}

static void an_acknowledgement_of_the_future_is_refused(void **state)
{
    struct rig *r = *state;

    r->ack += 1;
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), BAD_INPUT);
    r->ack -= 1;
    acknowledge(r);
}

static void rule_6_a_malformed_batch_changes_nothing(void **state)
{
    struct rig *r = *state;
    const struct wire_entry entries[] = {
        { .kind = ENTRY_TENANT_NEW, .tenant = TENANT },
        { .kind = ENTRY_ENGAGEMENT_START, .tenant = TENANT, .engagement = ENGAGEMENT },
    };

    rig_put_batch(r, entries, 2);
    size_t whole = r->out.n;
    for (size_t cut = WIRE_HEADER + 8; cut < whole; cut++) {
        rig_put_batch(r, entries, 2);
        r->out.n = cut;
        assert_int_equal(rig_call(r), BAD_INPUT);
    }
    rig_put_batch(r, entries, 2);
    out_u8(&r->out, 0);
    assert_int_equal(rig_call(r), BAD_INPUT);
    assert_int_equal(rig_batch(r, entries, 2), OK);
    assert_int_equal(r->record_count, 2);
    assert_int_equal(r->records[0].r.type, RECORD_TENANT_CREATED);
    assert_int_equal(r->records[1].r.type, RECORD_ENGAGEMENT_STARTED);
    assert_int_equal(r->records[0].r.seq, 0);
}

static void a_reply_that_would_not_fit_changes_nothing(void **state)
{
    struct rig *r = *state;
    struct wire_entry entries[TOO_MANY];
    static char filler[LIMIT_FIELDS];

    memset(filler, 'x', sizeof(filler));
    memcpy(filler, ",\"a\":\"", 6);
    filler[sizeof(filler) - 1] = '"';
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    for (size_t i = 1; i < TOO_MANY; i++) {
        entries[i] = rig_open_entry(TENANT, KEY, 1, value);
        entries[i].fields = span_of(filler, sizeof(filler));
    }
    entries[0] = (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(2) };
    entries[TOO_MANY - 1] = (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                 .tenant = TENANT,
                                                 .engagement = ENGAGEMENT };
    rig_put_batch(r, entries, TOO_MANY);
    assert_int_equal(rig_call(r), LIMIT);
    assert_int_equal(rig_hello(r).batch_pending, 0);
    assert_int_equal(rig_hello(r).next_due_us, 0);
    entries[1] = entries[TOO_MANY - 1];
    assert_int_equal(rig_batch(r, entries, 2), OK);
    assert_int_equal(r->record_count, 2);
    assert_int_equal(r->records[0].r.type, RECORD_TENANT_CREATED);
    assert_int_equal(r->records[0].r.seq, 0);
    assert_int_equal(r->records[1].r.type, RECORD_ENGAGEMENT_ENDED);
    assert_int_equal(r->records[1].r.seq, 3);
}

static void malformed_frames_are_answered_and_nothing_else(void **state)
{
    struct rig *r = *state;
    uint8_t frame[64] = { 0 };
    struct wire_header h;

    for (size_t n = 0; n < sizeof(frame); n++) {
        keeper_answer(r->k, span_of(frame, n), (struct mspan){ r->reply, sizeof(r->reply) },
                      &r->reply_n);
        struct in i = in_of(span_of(r->reply, r->reply_n));
        wire_get_header(&i, &h);
        assert_false(i.bad);
        assert_int_equal(h.status, BAD_INPUT);
    }
    rig_begin(r, 99);
    assert_int_equal(rig_call(r), BAD_INPUT);
    assert_string_equal(r->reason, "unknown operation");
    for (unsigned op = WIRE_HELLO; op <= WIRE_COMMITMENT; op++) {
        struct out *o = rig_begin(r, op);
        out_text(o, "this is no request of any kind");
        status st = rig_call(r);
        /* Some are for another state of the keeper anyway. */
        assert_true(st == BAD_INPUT || st == CONFLICT);
    }
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void no_batch_before_the_heads_are_loaded(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_tenant(r, TENANT, ENGAGEMENT);
    acknowledge(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    assert_int_equal(rig_hello(r).heads_loaded, 0);
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), CONFLICT);
    assert_string_equal(r->reason, "load the heads first");

    /* A changed head is refused with its page; then everything begins again. */
    r->heads[1].bytes[20] ^= 1;
    assert_int_equal(rig_load_heads(r), CORRUPT);
    r->heads[1].bytes[20] ^= 1;
    assert_int_equal(rig_load_heads(r), OK);
    assert_int_equal(rig_load_heads(r), CONFLICT);
    assert_int_equal(rig_hello(r).heads_loaded, 1);
    acknowledge(r);
}

/* Only a tenant's log has grown since, and yet the sum of all logs tells. */
static void a_tenants_log_that_was_put_back_is_noticed(void **state)
{
    struct rig *r = *state;
    struct id tenant = rig_id(40);
    struct wire_session s;
    uint8_t old[LEDGER_HEAD_MAX];
    size_t old_n = 0, which = 0;

    rig_tenant(r, tenant, rig_id(41));
    for (size_t i = 0; i < r->head_count; i++) {
        if (id_same(&r->heads[i].log, &tenant))
            which = i;
    }
    old_n = r->heads[which].n;
    memcpy(old, r->heads[which].bytes, old_n);
    assert_int_equal(rig_put(r, tenant, rig_id(41), rig_id(42), 1, "a provider key"), OK);
    acknowledge(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    memcpy(r->heads[which].bytes, old, old_n);
    r->heads[which].n = old_n;
    assert_int_equal(rig_load_heads(r), CORRUPT);
    assert_string_equal(r->reason, "the database is older than the keyring");
}

static void a_vault_log_that_was_put_back_is_noticed(void **state)
{
    struct rig *r = *state;
    struct wire_session s;
    uint8_t old[LEDGER_HEAD_MAX];
    size_t old_n = r->heads[0].n;

    memcpy(old, r->heads[0].bytes, old_n);
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
    acknowledge(r);
    rig_lock(r);
    /* Creation, alice's enrolment, and this. */
    assert_int_equal(rig_hello(r).anchor_size, 3);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    memcpy(r->heads[0].bytes, old, old_n);
    r->heads[0].n = old_n;
    assert_int_equal(rig_load_heads(r), CORRUPT);
    assert_string_equal(r->reason, "the database is older than the keyring");
    r->head_count = 0;
    assert_int_equal(rig_load_heads(r), CORRUPT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rule_1_a_key_leaves_only_with_the_record_of_its_lease),
        CASE(rule_2_what_was_answered_survives_the_keepers_death),
        CASE(rule_3_a_lost_reply_is_recovered_without_its_key),
        CASE(an_unacknowledged_batch_survives_a_lock),
        CASE(leases_may_leave_one_batch_unacknowledged_and_no_second_one),
        CASE(renewals_releases_and_plain_records_may_go_ahead_as_well),
        CASE(whatever_is_no_lease_waits_until_all_is_acknowledged),
        CASE(both_unacknowledged_batches_are_recovered_in_order_and_without_their_keys),
        CASE(a_server_that_was_started_anew_leaves_out_nothing),
        CASE(two_unacknowledged_batches_of_one_log_survive_a_lock),
        CASE(two_unacknowledged_batches_of_two_logs_survive_a_lock),
        CASE(an_acknowledgement_of_the_future_is_refused),
        CASE(rule_6_a_malformed_batch_changes_nothing),
        CASE(a_reply_that_would_not_fit_changes_nothing),
        CASE(malformed_frames_are_answered_and_nothing_else),
        CASE(no_batch_before_the_heads_are_loaded),
        CASE(a_tenants_log_that_was_put_back_is_noticed),
        CASE(a_vault_log_that_was_put_back_is_noticed),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
