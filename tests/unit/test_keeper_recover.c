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
