/* Step-ups in records as the keeper composes them, signed here; and the operators over time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "../../cli/reply.c"
#include "../../cli/report.c"
#include "../../cli/roster.c"
#include "../../cli/step_up.c"
#include "../../cli/table.c"

#define START_US ((uint64_t)1795251633 * 1000000)

void wiped_cleanup(struct wiped **p)
{
    free(*p);
}

void json_t_cleanup(json_t **json)
{
    json_decref(*json);
    *json = NULL;
}

static const struct id tenant = { { 0x10, 0x11 } };
static const struct id vault_log;

/* --- a log ----------------------------------------------------------------------------------- */

/* Records with the keeper's fields, handed to the verifier one by one. */
struct log {
    struct step_ups s;
    uint64_t seq;
    uint64_t time_us;
};

static void add(struct log *log, uint16_t type, const struct fields *f)
{
    uint8_t bytes[LIMIT_RECORD];
    struct record_head head = { .log = log->s.log, .type = type };
    struct out line;

    head.seq = log->seq++;
    head.time_us = log->time_us;
    log->time_us += 1000000;
    out_init(&line, bytes, sizeof(bytes));
    assert_int_equal(record_compose(&head, fields_view(f), span_of(NULL, 0), &line, NULL), OK);
    step_ups_line(&log->s, span_of(line.p, line.n));
}

static struct log begin(const struct id *id)
{
    struct log log = { .time_us = START_US };

    step_ups_begin(&log.s, id);
    return log;
}

/* Ends the log; the verdict must be why. */
static void end_with(struct log *log, const char *why)
{
    if (why == NULL)
        assert_null(log->s.bad_why);
    else
        assert_string_equal(log->s.bad_why, why);
    step_ups_clear(&log->s);
}

/* --- operations ------------------------------------------------------------------------------ */

static struct wire_operation make_operation(uint8_t code, uint8_t number)
{
    struct wire_operation m = { .code = code,
                                .id = { { number } },
                                .operator_name = span_text("bob"),
                                .slot = { { 7 } },
                                .public_key = { 8 },
                                .number = 2,
                                .recovery_key = { 9 },
                                .tenant = tenant,
                                .engagement = { { 10 } },
                                .gateway = { { 11 } },
                                .key = span_text("openai-*"),
                                .max_ttl_s = 900,
                                .size = 12,
                                .root = { 13 },
                                .known_size = 14,
                                .known_root = { 15 },
                                .document = { 16 } };

    return m;
}

static void compose(const struct wire_operation *m, char text[static OPERATION_TEXT_MAX + 1],
                    uint8_t hash[static 32])
{
    struct out o;

    out_init(&o, (uint8_t *)text, OPERATION_TEXT_MAX);
    operation_text(m, &o);
    assert_false(o.overflow);
    text[o.n] = '\0';
    operation_hash(span_of(o.p, o.n), hash);
}

static void every_operation_has_a_row_and_its_text_is_understood(void **state)
{
    char text[OPERATION_TEXT_MAX + 1];
    uint8_t hash[32];
    struct words w;
    uint8_t code = 1;

    (void)state;
    for (; operation_name(code) != NULL; code++) {
        struct wire_operation m = make_operation(code, code);

        compose(&m, text, hash);
        read_text(text, &w);
        assert_int_equal(w.code, code);
        assert_int_equal(operation_of_tenant(code),
                         kinds[code].members[0].name != NULL &&
                             strcmp(kinds[code].members[0].name, "tenant") == 0);
    }
    assert_int_equal(code, KIND_COUNT);
}

/* The effect's record with the fields that the keeper and the server write for make_operation. */
static void add_effect(struct log *log, const struct wire_operation *m, const uint8_t hash[32])
{
    struct fields f;

    fields_init(&f);
    switch (m->code) {
    case OPERATION_OPERATOR_ADD:
        fields_span(&f, "operator", m->operator_name);
        fields_id(&f, "slot_id", &m->slot);
        fields_hex(&f, "public_key", SPAN(m->public_key));
        break;
    case OPERATION_OPERATOR_REMOVE:
        fields_span(&f, "operator", m->operator_name);
        fields_id(&f, "slot_id", &m->slot);
        fields_number(&f, "number", 1);
        break;
    case OPERATION_QUORUM_SET: fields_number(&f, "quorum", m->number); break;
    case OPERATION_CARD_RENEW: fields_number(&f, "cards", m->number); break;
    case OPERATION_REKEY_ROOT: fields_text(&f, "what", "root"); break;
    case OPERATION_REKEY_TENANT: fields_text(&f, "what", "tenant"); break;
    case OPERATION_REKEY_DATABASE: fields_text(&f, "what", "database"); break;
    case OPERATION_GRANT_ADD:
        fields_id(&f, "gateway_id", &m->gateway);
        fields_span(&f, "pattern", m->key);
        fields_number(&f, "max_ttl_s", m->max_ttl_s);
        break;
    case OPERATION_ROLLBACK_ACCEPT:
        fields_number(&f, "size", m->size);
        fields_hex(&f, "root", SPAN(m->root));
        fields_number(&f, "known_size", m->known_size);
        fields_hex(&f, "known_root", SPAN(m->known_root));
        break;
    case OPERATION_RETENTION_SET:
        fields_number(&f, "days", m->number);
        fields_id(&f, "tenant_id", &m->tenant);
        break;
    case OPERATION_POLICY_SET: fields_hex(&f, "document", SPAN(m->document)); break;
    default: fields_id(&f, "engagement_id", &m->engagement); break;
    }
    fields_hex(&f, "operation", span_of(hash, 32));
    add(log, kinds[m->code].effect, &f);
}

/* --- a hardware key -------------------------------------------------------------------------- */

struct signer {
    gnutls_privkey_t key;
    uint8_t public[64];
};

static int make_signer(void **state)
{
    static struct signer s;
    gnutls_datum_t x, y, k;
    gnutls_ecc_curve_t curve;

    assert_int_equal(gnutls_privkey_init(&s.key), 0);
    assert_int_equal(gnutls_privkey_generate(s.key, GNUTLS_PK_ECDSA, 256, 0), 0);
    assert_int_equal(
        gnutls_privkey_export_ecc_raw2(s.key, &curve, &x, &y, &k, GNUTLS_EXPORT_FLAG_NO_LZ), 0);
    memcpy(s.public + 32 - x.size, x.data, x.size);
    memcpy(s.public + 64 - y.size, y.data, y.size);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_free(k.data);
    *state = &s;
    return 0;
}

static int free_signer(void **state)
{
    struct signer *s = *state;

    gnutls_privkey_deinit(s->key);
    return 0;
}

#define AUTH_DATA_SIZE (37 + 15 + 64)

static void put_touch(struct fields *f, const struct signer *s, const uint8_t hash[static 32],
                      const uint8_t context[static 32])
{
    static const char extension[] = "\xa1\x6bhmac-secret\x58\x40";
    uint8_t message[AUTH_DATA_SIZE + 32] = { 0 };
    gnutls_datum_t data = { message, sizeof(message) }, signature;

    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, FIDO_RP_ID, strlen(FIDO_RP_ID), message),
                     0);
    message[32] = 0x85; /* touched, verified, with extensions */
    memcpy(message + 37, extension, sizeof(extension) - 1);
    operation_signed(hash, context, message + AUTH_DATA_SIZE);
    assert_int_equal(gnutls_privkey_sign_data(s->key, GNUTLS_DIG_SHA256, 0, &data, &signature), 0);
    fields_hex(f, "public_key", SPAN(s->public));
    fields_hex(f, "context", span_of(context, 32));
    fields_hex(f, "auth_data", span_of(message, AUTH_DATA_SIZE));
    fields_hex(f, "signature", span_of(signature.data, signature.size));
    gnutls_free(signature.data);
}

/* One approval: by the hardware key of s, or with NULL by a card. */
static void approve(struct log *log, const struct signer *s, const struct wire_operation *m,
                    uint8_t hash[static 32])
{
    char text[OPERATION_TEXT_MAX + 1];
    uint8_t context[32] = { m->id.b[0], m->code };
    struct id slot = { { s != NULL ? 1 : 2 } };
    struct fields f;

    compose(m, text, hash);
    fields_init(&f);
    fields_hex(&f, "operation", span_of(hash, 32));
    fields_text(&f, "text", text);
    fields_number(&f, "have", 1);
    fields_number(&f, "need", 1);
    fields_id(&f, "slot_id", &slot);
    fields_text(&f, "operator", s != NULL ? "alice" : "recovery");
    if (s == NULL)
        out_text(&f.out, ",\"recovery\":true");
    else
        put_touch(&f, s, hash, context);
    add(log, RECORD_OPERATION_APPROVED, &f);
}

static void create_vault(struct log *log, const struct signer *s)
{
    struct fields f;
    struct id slot = { { 1 } };

    fields_init(&f);
    fields_number(&f, "quorum", 1);
    add(log, RECORD_VAULT_CREATED, &f);
    fields_init(&f);
    fields_text(&f, "operator", "alice");
    fields_id(&f, "slot_id", &slot);
    fields_hex(&f, "public_key", SPAN(s->public));
    add(log, RECORD_OPERATOR_ENROLLED, &f);
}

static void every_operation_that_a_hardware_key_approved_is_good_once(void **state)
{
    const struct signer *s = *state;
    uint8_t hash[32];

    for (uint8_t code = 1; code < KIND_COUNT; code++) {
        struct wire_operation m = make_operation(code, 1);
        struct log log = begin(operation_of_tenant(code) ? &tenant : &vault_log);

        if (code == OPERATION_OPERATOR_ADD)
            memset(m.public_key, 3, sizeof(m.public_key));
        if (!operation_of_tenant(code))
            create_vault(&log, s);
        if (code == OPERATION_OPERATOR_REMOVE) { /* someone must be there to be removed */
            struct wire_operation adds = make_operation(OPERATION_OPERATOR_ADD, 2);

            approve(&log, s, &adds, hash);
            add_effect(&log, &adds, hash);
        }
        approve(&log, s, &m, hash);
        add_effect(&log, &m, hash);
        assert_null(log.s.bad_why);
        assert_int_equal(json_array_size(log.s.done), code == OPERATION_OPERATOR_REMOVE ? 2 : 1);
        add_effect(&log, &m, hash);
        end_with(&log, "approvals were used before");
    }
}

static void a_card_approves_just_what_recovers(void **state)
{
    const struct signer *s = *state;
    uint8_t hash[32];

    for (uint8_t code = 1; code < KIND_COUNT; code++) {
        struct wire_operation m = make_operation(code, 1);
        struct log log = begin(operation_of_tenant(code) ? &tenant : &vault_log);

        if (!operation_of_tenant(code))
            create_vault(&log, s);
        approve(&log, NULL, &m, hash);
        if (operation_recovers(code))
            assert_int_equal(log.s.cards, 1);
        end_with(&log, operation_recovers(code) ? NULL : "a recovery card does not approve this");
    }
}

static void the_same_touch_does_not_count_twice(void **state)
{
    struct wire_operation m = make_operation(OPERATION_REKEY_TENANT, 1);
    struct log log = begin(&tenant);
    uint8_t hash[32];

    approve(&log, *state, &m, hash);
    add_effect(&log, &m, hash);
    approve(&log, *state, &m, hash); /* another signature, but of the same session */
    assert_int_equal(log.s.bad_seq, 2);
    end_with(&log, "approval repeats an earlier one");
}

/* A key that the vault's log has as another's is no key of this operator; what waits is judged by
 * records that come after it. */
static void lines_wait_for_the_records_of_operators_that_are_enclosed(void **state)
{
    const struct signer *s = *state;
    struct step_ups vault = { .vault = NULL };
    struct log own = { .s = { .enclosed = &vault }, .time_us = START_US + 9000000 };
    struct wire_operation m = make_operation(OPERATION_REKEY_TENANT, 1);
    struct id slot = { { 1 } };
    uint8_t bytes[LIMIT_RECORD], hash[32];
    struct out line;
    struct fields f;

    step_ups_begin(&own.s, &tenant);
    approve(&own, s, &m, hash);
    add_effect(&own, &m, hash);
    assert_int_equal(own.s.approvals, 0);
    for (uint64_t seq = 0; seq < 2; seq++) {
        struct record_head head = { .seq = seq, .time_us = START_US + seq };

        head.type = seq == 0 ? RECORD_VAULT_CREATED : RECORD_OPERATOR_ENROLLED;
        fields_init(&f);
        fields_number(&f, "quorum", 1);
        fields_text(&f, "operator", "bob");
        fields_id(&f, "slot_id", &slot);
        fields_hex(&f, "public_key", SPAN(s->public));
        out_init(&line, bytes, sizeof(bytes));
        assert_int_equal(record_compose(&head, fields_view(&f), span_of(NULL, 0), &line, NULL), OK);
        step_ups_operator(&own.s, span_of(line.p, line.n));
    }
    assert_null(own.s.bad_why);
    step_ups_release(&own.s);
    assert_null(vault.bad_why);
    assert_int_equal(own.s.bad_seq, 0);
    end_with(&own, "slot has another operator or key");
    step_ups_clear(&vault);
}

/* --- operators over time --------------------------------------------------------------------- */

static void tell(struct roster *r, uint16_t type, const char *time, json_t *taken, const char *why)
{
    AUTO(json_t) *record = taken;
    struct record_head head = { .type = type, .seq = 100 };

    assert_int_equal(json_object_set_new(record, "time", json_string(time)), 0);
    const char *said = roster_take(r, &head, record);

    if (why == NULL)
        assert_null(said);
    else
        assert_string_equal(said, why);
}

static json_t *key_of(const char *name, const char *slot)
{
    return json_pack("{s:s, s:s, s:s}", "operator", name, "slot_id", slot, "public_key", slot);
}

static void a_key_is_enrolled_from_its_record_to_its_removal(void **state)
{
    struct roster r = { .slots = NULL };

    (void)state;
    tell(&r, RECORD_VAULT_CREATED, "t1", json_pack("{s:i}", "quorum", 1), NULL);
    tell(&r, RECORD_OPERATOR_ENROLLED, "t2", key_of("alice", "a1"), NULL);
    tell(&r, RECORD_OPERATOR_ENROLLED, "t3", key_of("alice", "a2"), NULL);
    tell(&r, RECORD_OPERATOR_ENROLLED, "t3", key_of("bob", "b1"), NULL);
    tell(&r, RECORD_OPERATOR_REMOVED, "t5",
         json_pack("{s:s, s:s, s:i}", "operator", "alice", "slot_id", "a1", "number", 1), NULL);
    assert_null(roster_slot(&r, "a1", "t1"));
    assert_non_null(roster_slot(&r, "a1", "t2"));
    assert_non_null(roster_slot(&r, "a1", "t5")); /* in the same microsecond, before it perhaps */
    assert_null(roster_slot(&r, "a1", "t6"));
    assert_true(roster_knows(&r, "a1"));
    assert_non_null(roster_slot(&r, "a2", "t6"));
    tell(&r, RECORD_OPERATOR_ENROLLED, "t7", key_of("alice", "a1"), "slot is enrolled twice");
    tell(&r, RECORD_OPERATOR_REMOVED, "t8", json_pack("{s:s, s:i}", "operator", "bob", "number", 1),
         NULL); /* not one key of his, but all that he had */
    assert_null(roster_slot(&r, "b1", "t9"));
    tell(&r, RECORD_OPERATOR_REMOVED, "t9",
         json_pack("{s:s, s:i}", "operator", "alice", "number", 2), "no such keys to remove");
    roster_clear(&r);
}

static void the_least_number_follows_operators_and_quorum(void **state)
{
    struct roster r = { .slots = NULL };

    (void)state;
    assert_int_equal(roster_least(&r, OPERATION_REKEY_ROOT, "t1"), 0);
    tell(&r, RECORD_VAULT_CREATED, "t1", json_pack("{s:i}", "quorum", 1), NULL);
    tell(&r, RECORD_OPERATOR_ENROLLED, "t1", key_of("alice", "a1"), NULL);
    tell(&r, RECORD_OPERATOR_ENROLLED, "t3", key_of("bob", "b1"), NULL);
    assert_int_equal(roster_least(&r, OPERATION_HOLD_SET, "t2"), 1);
    assert_int_equal(roster_least(&r, OPERATION_HOLD_SET, "t3"), 1);
    assert_int_equal(roster_least(&r, OPERATION_HOLD_SET, "t4"), 2);
    assert_int_equal(roster_least(&r, OPERATION_REKEY_ROOT, "t4"), 1);
    tell(&r, RECORD_QUORUM_CHANGED, "t5", json_pack("{s:i}", "quorum", 3), NULL);
    assert_int_equal(roster_least(&r, OPERATION_REKEY_ROOT, "t6"), 1);
    tell(&r, RECORD_REKEY_DONE, "t7", json_pack("{s:s, s:s}", "what", "root", "happened", "t4"),
         NULL);
    assert_int_equal(roster_least(&r, OPERATION_REKEY_ROOT, "t8"), 1);
    tell(&r, RECORD_REKEY_DONE, "t9", json_pack("{s:s, s:s}", "what", "root", "happened", "t8"),
         NULL);
    assert_int_equal(roster_least(&r, OPERATION_REKEY_ROOT, "t90"), 3);
    assert_int_equal(roster_least(&r, OPERATION_HOLD_SET, "t90"), 3);
    assert_int_equal(roster_least(&r, OPERATION_REKEY_TENANT, "t90"), 1);
    roster_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_row_and_its_text_is_understood),
        cmocka_unit_test(every_operation_that_a_hardware_key_approved_is_good_once),
        cmocka_unit_test(a_card_approves_just_what_recovers),
        cmocka_unit_test(the_same_touch_does_not_count_twice),
        cmocka_unit_test(lines_wait_for_the_records_of_operators_that_are_enclosed),
        cmocka_unit_test(a_key_is_enrolled_from_its_record_to_its_removal),
        cmocka_unit_test(the_least_number_follows_operators_and_quorum),
    };

    return cmocka_run_group_tests(tests, make_signer, free_signer);
}
