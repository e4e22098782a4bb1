/* Messages: what is put comes back, and what cannot be is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "crypto/crypto.h"
#include "secret/secret.h"
#include "wire/message.h"

static uint8_t buffer[LIMIT_FRAME];
static struct out out;

static struct in written(void)
{
    assert_false(out.overflow);
    return in_of(span_of(out.p, out.n));
}

static void begin(void)
{
    out_init(&out, buffer, sizeof(buffer));
}

static struct id id_of(uint8_t n)
{
    struct id id;

    memset(id.b, n, sizeof(id.b));
    return id;
}

static void a_frame_begins_with_its_own_length(void **state)
{
    struct wire_header h;

    (void)state;
    begin();
    wire_put_header(&out, &(struct wire_header){ .op = WIRE_BATCH, .status = LIMIT, .number = 7 });
    out_text(&out, "body");
    wire_finish(&out);
    struct in in = written();
    wire_get_header(&in, &h);
    assert_false(in.bad);
    assert_int_equal(h.length, WIRE_HEADER + 4);
    assert_int_equal(h.op, WIRE_BATCH);
    assert_int_equal(h.status, LIMIT);
    assert_int_equal(h.number, 7);
    assert_int_equal(in.n, 4);
}

static void a_header_that_lies_is_refused(void **state)
{
    struct wire_header h;

    (void)state;
    for (size_t at = 0; at < 8; at++) {
        begin();
        wire_put_header(&out, &(struct wire_header){ .op = WIRE_HELLO, .number = 1 });
        wire_finish(&out);
        buffer[at] ^= 0x80;
        struct in in = written();
        wire_get_header(&in, &h);
        /* The operation is the only part that may be anything. */
        assert_int_equal(in.bad, at != 4 && at != 5);
    }
    struct in empty = in_of(span_of(NULL, 0));
    wire_get_header(&empty, &h);
    assert_true(empty.bad);
}

static void finish_refuses_what_is_no_frame(void **state)
{
    (void)state;
    begin();
    wire_finish(&out);
    assert_true(out.overflow);
    out_init(&out, buffer, WIRE_HEADER - 1);
    wire_put_header(&out, &(struct wire_header){ .op = WIRE_HELLO });
    wire_finish(&out);
    assert_true(out.overflow);
}

static void hello_comes_back(void **state)
{
    struct wire_hello m = { .version = WIRE_VERSION,
                            .state = KEEPER_BROKEN,
                            .heads_loaded = 1,
                            .batch_pending = 1,
                            .clock_held = 1,
                            .vault = id_of(3),
                            .region = span_text("eu"),
                            .epoch = 4,
                            .journal_count = 5,
                            .anchor_size = 6,
                            .next_due_us = 7,
                            .time_us = 8,
                            .broken_reason = span_text("why"),
                            .hygiene = 9 };
    struct wire_hello got;

    (void)state;
    begin();
    wire_put_hello(&out, &m);
    struct in in = written();
    wire_get_hello(&in, &got);
    assert_true(in_end(&in));
    assert_true(id_same(&got.vault, &m.vault));
    assert_true(span_same(got.region, m.region));
    assert_true(span_same(got.broken_reason, m.broken_reason));
    assert_int_equal(got.state, m.state);
    assert_int_equal(got.epoch + got.journal_count + got.anchor_size, 4 + 5 + 6);
    assert_int_equal(got.next_due_us + got.time_us, 7 + 8);
    assert_int_equal(got.hygiene, 9);
    buffer[2] = KEEPER_BROKEN + 1;
    in = written();
    wire_get_hello(&in, &got);
    assert_true(in.bad);
}

/* Every message must be refused at every cut, and not read beyond it. */
#define CUTS(put, get, type, ...)                     \
    do {                                              \
        struct type original = { __VA_ARGS__ };       \
        struct type got;                              \
        begin();                                      \
        put(&out, &original);                         \
        struct in whole = written();                  \
        get(&whole, &got);                            \
        assert_true(in_end(&whole));                  \
        for (size_t n = 0; n < out.n; n++) {          \
            struct in cut = in_of(span_of(out.p, n)); \
            get(&cut, &got);                          \
            assert_true(cut.bad);                     \
        }                                             \
    } while (0)

static void every_cut_of_every_message_is_refused(void **state)
{
    static const uint8_t bytes[48 + 48];

    (void)state;
    CUTS(wire_put_session_request, wire_get_session_request, wire_session_request,
         .purpose = SESSION_UNLOCK);
    CUTS(wire_put_session, wire_get_session, wire_session, .epoch = 1);
    CUTS(wire_put_slot, wire_get_slot, wire_slot, .kind = 1, .label = span_text("a"));
    CUTS(wire_put_enrolment, wire_get_enrolment, wire_enrolment, .label = span_text("a"));
    CUTS(wire_put_init_request, wire_get_init_request, wire_init_request, .region = span_text("eu"),
         .ca_key = span_of(bytes, 32), .operator_count = 2);
    CUTS(wire_put_init, wire_get_init, wire_init, .slot_count = 2, .sealed_cards = SPAN(bytes));
    CUTS(wire_put_unlock_request, wire_get_unlock_request, wire_unlock_request,
         .sealed_secret = SPAN(bytes));
    CUTS(wire_put_unlock, wire_get_unlock, wire_unlock, .state = KEEPER_UNLOCKED);
    CUTS(wire_put_system_keys, wire_get_system_keys, wire_system_keys,
         .database_key = span_of(bytes, 32), .ca_key = span_of(bytes, 32));
    CUTS(wire_put_record, wire_get_record, wire_record, .line = span_text("{}"));
    CUTS(wire_put_result, wire_get_result, wire_result, .data = span_text("x"));
    CUTS(wire_put_cell, wire_get_cell, wire_cell, .type = 2);
    for (uint8_t code = OPERATION_OPERATOR_ADD; code <= OPERATION_ROLLBACK_ACCEPT; code++)
        CUTS(wire_put_operation, wire_get_operation, wire_operation, .code = code,
             .operator_name = span_text("a"), .key = span_text("a*"));
    for (uint8_t kind = ENTRY_RECORD; kind <= ENTRY_ROLLBACK_TOLD; kind++)
        CUTS(wire_put_entry, wire_get_entry, wire_entry, .kind = kind,
             .operation = { .code = OPERATION_REKEY_ROOT }, .fields = span_text(",\"a\":1"));
}

static void an_entry_carries_only_what_its_kind_uses(void **state)
{
    struct wire_entry m = { .log = id_of(1),
                            .type = 2,
                            .outcome = 1,
                            .reason = 3,
                            .tenant = id_of(4),
                            .engagement = id_of(5),
                            .key = id_of(6),
                            .version = 7,
                            .provider = 8,
                            .gateway = id_of(9),
                            .certificate = { 10 },
                            .expires_us = 11,
                            .seal_to = { 14 },
                            .nonce = { 15 },
                            .lease = id_of(12),
                            .lease_mac = { 13 },
                            .data = span_text("data"),
                            .fields = span_text("fields") };
    struct wire_entry got;

    (void)state;
    for (m.kind = ENTRY_RECORD; m.kind <= ENTRY_VAULT_CREATED; m.kind++) {
        begin();
        wire_put_entry(&out, &m);
        struct in in = written();
        wire_get_entry(&in, &got);
        assert_true(in_end(&in));
        assert_int_equal(got.kind, m.kind);
        assert_true(span_same(got.fields, m.fields));
        bool leases = m.kind >= ENTRY_KEY_OPEN && m.kind <= ENTRY_LEASE_RELEASE;
        assert_int_equal(id_same(&got.gateway, &m.gateway), leases);
        assert_int_equal(got.provider == 8, m.kind == ENTRY_KEY_PUT || m.kind == ENTRY_KEY_OPEN);
        assert_int_equal(got.seal_to[0] == 14 && got.nonce[0] == 15, m.kind == ENTRY_KEY_OPEN);
        assert_int_equal(got.reason == 3, m.kind == ENTRY_KEY_DESTROY);
        assert_int_equal(got.data.n == 4, m.kind == ENTRY_KEY_PUT || m.kind == ENTRY_KEY_OPEN);
        /* A tenant's records go to its own log, whatever the request says. */
        const struct id zero = { { 0 } };
        if (m.kind == ENTRY_RECORD)
            assert_true(id_same(&got.log, &m.log));
        else if (m.kind <= ENTRY_KEY_DESTROY)
            assert_true(id_same(&got.log, &m.tenant));
        else
            assert_true(id_same(&got.log, &zero));
    }
}

static void unknown_kinds_purposes_and_states_are_refused(void **state)
{
    struct wire_entry entry;
    struct wire_session_request request;
    struct wire_result result;

    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        uint8_t bytes[512] = { (uint8_t)kind };
        if (kind == ENTRY_APPROVE)
            bytes[1 + 16 + 16] = OPERATION_REKEY_ROOT;
        if (kind == ENTRY_OPERATION)
            bytes[1] = OPERATION_REKEY_ROOT;
        struct in in = in_of(SPAN(bytes));
        wire_get_entry(&in, &entry);
        assert_int_equal(in.bad, kind < ENTRY_RECORD || kind > ENTRY_RECORDS_DROP);
    }
    for (unsigned purpose = 0; purpose < 256; purpose++) {
        uint8_t bytes[81] = { (uint8_t)purpose };
        struct in in = in_of(SPAN(bytes));
        wire_get_session_request(&in, &request);
        assert_int_equal(in.bad, purpose < SESSION_INIT || purpose > SESSION_APPROVE);
    }
    uint8_t bytes[64] = { STATUS_COUNT };
    struct in in = in_of(SPAN(bytes));
    wire_get_result(&in, &result);
    assert_true(in.bad);
    begin();
    wire_put_entry(&out, &(struct wire_entry){ .kind = 0 });
    assert_true(out.overflow);
}

static void the_transcript_depends_on_every_field(void **state)
{
    struct wire_session_request request = { .purpose = SESSION_UNLOCK };
    struct wire_session session = { .epoch = 1 };
    uint8_t seen[10][32];

    (void)state;
    wire_transcript(&request, &session, seen[0]);
    request.purpose = SESSION_INIT;
    wire_transcript(&request, &session, seen[1]);
    request.server_certificate[31] = 1;
    wire_transcript(&request, &session, seen[2]);
    request.slot.b[0] = 1;
    wire_transcript(&request, &session, seen[3]);
    session.vault.b[0] = 1;
    wire_transcript(&request, &session, seen[4]);
    session.session.b[0] = 1;
    wire_transcript(&request, &session, seen[5]);
    session.nonce[0] = 1;
    session.keeper_key[0] = 1;
    wire_transcript(&request, &session, seen[6]);
    session.epoch = 2;
    wire_transcript(&request, &session, seen[7]);
    session.salt[31] = 1;
    wire_transcript(&request, &session, seen[8]);
    session.salt_next[31] = 1;
    wire_transcript(&request, &session, seen[9]);
    for (size_t i = 0; i < 10; i++) {
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], 32);
    }
}

static void an_approval_signs_its_operation_and_its_session(void **state)
{
    struct wire_session_request request = { .purpose = SESSION_APPROVE, .operation = { 1 } };
    struct wire_session session = { .epoch = 1 };
    uint8_t context[32], signed_[32], transcript[32], other[32];

    (void)state;
    wire_context(&request, &session, context);
    operation_signed(request.operation, context, signed_);
    wire_transcript(&request, &session, transcript);
    assert_memory_equal(transcript, signed_, 32);
    request.operation[31] = 1;
    wire_transcript(&request, &session, other);
    assert_memory_not_equal(other, transcript, 32);
    request.operation[31] = 0;
    session.nonce[31] = 1;
    wire_transcript(&request, &session, other);
    assert_memory_not_equal(other, transcript, 32);
    /* An unlock's transcript is its context, so no touch for the one serves the other. */
    request.purpose = SESSION_UNLOCK;
    wire_context(&request, &session, context);
    wire_transcript(&request, &session, transcript);
    assert_memory_equal(transcript, context, 32);
}

/* Computed by hand from the definition; a change here locks every client out. */
static void the_transcript_is_what_the_header_says(void **state)
{
    struct wire_session_request request = { .purpose = SESSION_UNLOCK };
    struct wire_session session = { .epoch = 0x01020304, .salt = { 5 }, .salt_next = { 6 } };
    uint8_t bytes[512];
    uint8_t expected[32];
    uint8_t got[32];
    static const char purpose[] = "strongroom/v1/session";
    static const size_t sizes[] = { 16, 16, 32, 32, 32, 16 };
    struct out o;

    (void)state;
    out_init(&o, bytes, sizeof(bytes));
    out_u8(&o, sizeof(purpose) - 1);
    out_text(&o, purpose);
    out_u8(&o, 10);
    out_u16(&o, 2);
    out_u16(&o, SESSION_UNLOCK);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        static const uint8_t zeros[32];
        out_span16(&o, span_of(zeros, sizes[i]));
    }
    out_u16(&o, 4);
    out_u32(&o, 0x01020304);
    out_span16(&o, SPAN(session.salt));
    out_span16(&o, SPAN(session.salt_next));
    sha256(span_of(o.p, o.n), expected);
    wire_transcript(&request, &session, got);
    assert_memory_equal(got, expected, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_begins_with_its_own_length),
        cmocka_unit_test(a_header_that_lies_is_refused),
        cmocka_unit_test(finish_refuses_what_is_no_frame),
        cmocka_unit_test(hello_comes_back),
        cmocka_unit_test(every_cut_of_every_message_is_refused),
        cmocka_unit_test(an_entry_carries_only_what_its_kind_uses),
        cmocka_unit_test(unknown_kinds_purposes_and_states_are_refused),
        cmocka_unit_test(the_transcript_depends_on_every_field),
        cmocka_unit_test(the_transcript_is_what_the_header_says),
        cmocka_unit_test(an_approval_signs_its_operation_and_its_session),
    };

    if (secret_start((size_t)1 << 20, NULL) != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
