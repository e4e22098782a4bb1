/* Privileged operations: whose touch they take, for exactly what, and what they do. */
#include "keeper_customer.h"
#include "keeper_people.h"

#define CODES   OPERATION_ROLLBACK_ACCEPT
#define GATEWAY rig_id(200)

static int three_operators(void **state)
{
    *state = people_new(3, 2, 2);
    return 0;
}

static int one_operator(void **state)
{
    *state = people_new(1, 1, 1);
    return 0;
}

static const struct rig_record *recorded(const struct rig *r, uint16_t type)
{
    for (size_t i = 0; i < r->record_count; i++) {
        if (r->records[i].r.type == type)
            return &r->records[i];
    }
    return NULL;
}

static bool has_id(const struct rig_record *record, const char *name, const struct id *id)
{
    char hex[33], field[80];

    hex_format(SPAN(id->b), hex);
    snprintf(field, sizeof(field), "\"%s\":\"%s\"", name, hex);
    return record != NULL && rig_line_has(record, field);
}

/* Every member has a value; a code uses some of them. */
static struct wire_operation full(uint8_t code)
{
    struct wire_operation m = people_operation(code);

    m.operator_name = span_text("zoe");
    m.slot = rig_id(90);
    m.public_key[0] = 1;
    m.number = 2;
    m.recovery_key[0] = 5;
    m.tenant = TENANT;
    m.engagement = ENGAGEMENT;
    m.gateway = GATEWAY;
    m.key = span_text("open*");
    m.max_ttl_s = 60;
    m.size = 5;
    m.known_size = 6;
    return m;
}

/* --- exactly this operation ------------------------------------------------------------------ */

static void nothing_happens_without_approvals(void **state)
{
    struct rig *r = *state;
    char attempt[64];

    for (uint8_t code = 1; code <= CODES; code++) {
        struct wire_operation m = full(code);
        assert_int_equal(people_carry_out(r, &m), DENIED);
        assert_int_equal(r->record_count, 1);
        assert_int_equal(r->records[0].r.type, RECORD_OPERATION_FAILED);
        snprintf(attempt, sizeof(attempt), "\"attempt\":\"%s\"", operation_name(code));
        assert_true(rig_line_has(&r->records[0], attempt));
        assert_true(rig_line_has(&r->records[0], "the operation has not been approved"));
    }
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 1);
}

/* The n-th change to a member; false when there are no more. */
static bool change_member(struct wire_operation *m, size_t n)
{
    switch (n) {
    case 0: m->id.b[15] ^= 1; return true;
    case 1: m->operator_name = span_text("zoey"); return true;
    case 2: m->slot.b[15] ^= 1; return true;
    case 3: m->slot = (struct id){ { 0 } }; return true;
    case 4: m->public_key[63] ^= 1; return true;
    case 5: m->number += 1; return true;
    case 6: m->recovery_key[31] ^= 1; return true;
    case 7: m->tenant.b[15] ^= 1; return true;
    case 8: m->engagement.b[15] ^= 1; return true;
    case 9: m->gateway.b[15] ^= 1; return true;
    case 10: m->key = span_text("open"); return true;
    case 11: m->max_ttl_s += 1; return true;
    case 12: m->size += 1; return true;
    case 13: m->root[31] ^= 1; return true;
    case 14: m->known_size += 1; return true;
    case 15: m->known_root[31] ^= 1; return true;
    default: return false;
    }
}

static void an_approval_is_none_for_an_operation_that_differs_in_one_member(void **state)
{
    static const size_t members[CODES + 1] = { 0, 5, 4, 2, 3, 1, 2, 1, 3, 3, 3, 5, 5 };
    struct rig *r = *state;
    uint8_t hash[32], other[32];

    for (uint8_t code = 1; code <= CODES; code++) {
        struct wire_operation m = full(code);
        struct wire_operation changed = m;
        size_t differ = 0;
        people_hash(&m, hash);
        for (size_t key = 0; key < 2; key++)
            assert_int_equal(people_approve(r, key, &m), OK);
        for (size_t n = 0; change_member(&changed, n); n++) {
            people_hash(&changed, other);
            if (memcmp(hash, other, 32) != 0) {
                differ++;
                assert_int_equal(people_carry_out(r, &changed), DENIED);
                assert_true(rig_line_has(&r->records[0], "has not been approved"));
            }
            changed = m;
        }
        assert_int_equal(differ, members[code]);
        for (changed.code = 1; changed.code <= CODES; changed.code++) {
            if (changed.code != code)
                assert_int_equal(people_carry_out(r, &changed), DENIED);
        }
    }
}

static void a_session_for_one_operation_approves_no_other(void **state)
{
    struct rig *r = *state;
    struct wire_operation meant = full(OPERATION_HOLD_SET);
    struct wire_operation other = full(OPERATION_PURGE_NOW);
    struct wire_session s;
    uint8_t hash[32], sealed[RIG_SEALED];

    people_hash(&meant, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[0], hash, &s), OK);
    size_t n = rig_seal(&s, rig_touch(r, 0, &s), sealed);
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[0], &other, span_of(sealed, n))),
                     DENIED);
    assert_true(rig_line_has(&r->records[0], "the session is for another operation"));
    /* And it is spent. */
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[0], &meant, span_of(sealed, n))),
                     CONFLICT);
}

static void a_touch_sealed_for_another_operation_is_denied(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);
    struct wire_session s;
    uint8_t hash[32], sealed[RIG_SEALED];

    people_hash(&m, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[0], hash, &s), OK);
    s.transcript[0] ^= 1;
    size_t n = rig_seal(&s, rig_touch(r, 0, &s), sealed);
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[0], &m, span_of(sealed, n))),
                     DENIED);
    assert_true(rig_line_has(&r->records[0], "\"attempt\":\"operation.approved\""));
}

static void a_wrong_secret_approves_nothing(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);
    struct wire_session s;
    uint8_t hash[32], sealed[RIG_SEALED], wrong[64] = { 1 };

    people_hash(&m, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[0], hash, &s), OK);
    size_t n = rig_seal(&s, SPAN(wrong), sealed);
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[0], &m, span_of(sealed, n))),
                     DENIED);
    assert_int_equal(people_approve(r, 1, &m), OK);
    assert_int_equal(r->data[0], 1);
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

static void what_the_record_says_suffices_to_check_the_signature(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_GRANT_ADD);
    struct wire_session s;
    uint8_t hash[32], sealed[RIG_SEALED], context[32], computed[32], stated[32];
    struct span text, hex, key;
    char expected[129];

    rig_tenant(r, TENANT, ENGAGEMENT);
    people_hash(&m, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[1], hash, &s), OK);
    size_t n = rig_seal(&s, rig_touch(r, 1, &s), sealed);
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[1], &m, span_of(sealed, n))), OK);
    const struct rig_record *record = recorded(r, RECORD_OPERATION_APPROVED);
    assert_non_null(record);
    struct id tenant = TENANT;
    assert_true(id_same(&record->r.log, &tenant)); /* whose keys it is about */
    assert_true(record_field(record->r.line, "text", &text));
    assert_true(record_field(record->r.line, "operation", &hex));
    assert_true(hex_parse((const char *)hex.p, hex.n, stated, 32));
    operation_hash(text, computed);
    assert_memory_equal(computed, stated, 32);
    assert_true(record_field(record->r.line, "context", &hex));
    assert_true(hex_parse((const char *)hex.p, hex.n, context, 32));
    operation_signed(computed, context, computed);
    assert_memory_equal(computed, s.transcript, 32); /* what the hardware key signs */
    assert_true(record_field(record->r.line, "public_key", &key));
    uint8_t cose[64] = { 0 };
    memcpy(cose, r->key_seeds[1], 32);
    hex_format(SPAN(cose), expected);
    assert_true(span_same(key, span_text(expected)));
    assert_true(has_id(record, "slot_id", &r->slots[1]));
    assert_true(rig_line_has(record, "\"operator\":\"bob\""));
}

/* --- how many, and who ----------------------------------------------------------------------- */

/* One after the other approves; only the one that makes it enough lets it happen. */
static void check_people(uint8_t operators, uint8_t quorum)
{
    static const uint8_t kinds[CODES + 1] = { 9,
                                              PEOPLE_QUORUM,
                                              PEOPLE_QUORUM,
                                              PEOPLE_QUORUM,
                                              PEOPLE_QUORUM,
                                              PEOPLE_QUORUM,
                                              PEOPLE_ONE,
                                              PEOPLE_ONE,
                                              PEOPLE_TWO,
                                              PEOPLE_TWO,
                                              PEOPLE_TWO,
                                              PEOPLE_ONE,
                                              PEOPLE_QUORUM };
    uint8_t two = operators < 2 ? operators : quorum > 2 ? quorum : 2;
    const uint8_t needs[] = { [PEOPLE_ONE] = 1, [PEOPLE_TWO] = two, [PEOPLE_QUORUM] = quorum };

    for (uint8_t code = 1; code <= CODES; code++) {
        struct rig *r = people_new(operators, quorum, 1);
        struct wire_operation m = full(code);
        uint8_t need = needs[kinds[code]];
        for (size_t key = 0; key < need; key++) {
            assert_int_equal(people_carry_out(r, &m), DENIED);
            assert_int_equal(people_approve(r, key, &m), OK);
            assert_int_equal(r->result.data.n, 2);
            assert_int_equal(r->data[0], key + 1);
            assert_int_equal(r->data[1], need);
        }
        assert_int_not_equal(people_carry_out(r, &m), DENIED);
        rig_free(r);
    }
}

static void each_kind_takes_as_many_operators_as_it_should(void **state)
{
    (void)state;
    check_people(1, 1);
    check_people(3, 1);
    check_people(3, 2);
    check_people(4, 3);
}

static void one_operator_approves_once_with_whatever_key(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);

    assert_int_equal(people_enrol(r, 3, "alice"), OK);
    struct wire_operation add = people_add(r, 3, "alice");
    assert_int_equal(people_do(r, 2, &add), OK);
    people_settle(r);
    assert_int_equal(people_approve(r, 0, &m), OK);
    assert_int_equal(people_approve(r, 0, &m), CONFLICT);
    assert_int_equal(people_approve(r, 3, &m), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "this operator has approved already"));
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

static void a_card_approves_only_what_recovers(void **state)
{
    struct rig *r = *state;

    for (uint8_t code = 1; code <= CODES; code++) {
        struct wire_operation m = full(code);
        bool may = code <= OPERATION_CARD_RENEW;
        assert_int_equal(people_card_approve(r, 0, &m), may ? OK : DENIED);
        if (may)
            assert_true(rig_line_has(&r->records[0], "\"recovery\":true"));
    }
    assert_int_equal(rig_hello(r).cards_used, 1);
    assert_int_equal(people_folded(r, RECORD_CARD_USED), OPERATION_CARD_RENEW);
}

static void two_cards_bring_a_new_operator_in(void **state)
{
    struct rig *r = *state;

    assert_int_equal(people_enrol(r, 4, "erin"), OK);
    struct wire_operation add = people_add(r, 4, "erin");
    assert_int_equal(people_card_approve(r, 0, &add), OK);
    assert_int_equal(people_card_approve(r, 1, &add), OK);
    assert_int_equal(people_carry_out(r, &add), OK);
    people_settle(r);
    rig_lock(r);
    assert_int_equal(rig_share(r, 4, NULL), OK);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void every_approval_rolls_its_slot(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_GRANT_ADD);
    struct wire_session before, s;
    struct wire_slot slot;
    uint8_t hash[32], sealed[RIG_SEALED], old[64];

    people_hash(&m, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[0], hash, &before), OK);
    memcpy(old, rig_touch(r, 0, &before).p, sizeof(old));
    assert_int_equal(people_approve(r, 0, &m), OK);
    assert_true(people_slot(r, &r->slots[0], &slot));
    assert_int_equal(slot.generation, 2);
    /* The touch for the session of before is worth nothing any more. */
    size_t n = rig_seal(&before, SPAN(old), sealed);
    assert_int_not_equal(
        rig_entry(r, people_approval(&before, &r->slots[0], &m, span_of(sealed, n))), OK);
    m = full(OPERATION_REKEY_DATABASE);
    people_hash(&m, hash);
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[0], hash, &s), OK);
    n = rig_seal(&s, SPAN(old), sealed);
    assert_int_equal(rig_entry(r, people_approval(&s, &r->slots[0], &m, span_of(sealed, n))),
                     DENIED);
    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
}

/* --- how long -------------------------------------------------------------------------------- */

static void carrying_out_uses_the_approvals_up(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);

    assert_int_equal(people_do(r, 2, &m), OK);
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

static void an_operation_that_could_not_be_carried_out_keeps_them(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_PURGE_NOW);

    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(people_do(r, 2, &m), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "the engagement has not ended"));
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = TENANT,
                                                       .engagement = ENGAGEMENT }),
                     OK);
    assert_int_equal(people_carry_out(r, &m), OK);
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

static void one_batch_carries_out_one_operation(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);
    struct wire_operation n = full(OPERATION_REKEY_DATABASE);
    const struct wire_entry twice[] = { { .kind = ENTRY_OPERATION, .operation = m },
                                        { .kind = ENTRY_OPERATION, .operation = n } };

    for (size_t key = 0; key < 2; key++)
        assert_int_equal(people_approve(r, key, &m), OK);
    assert_int_equal(people_approve(r, 0, &n), OK);
    assert_int_equal(rig_batch(r, twice, 2), OK);
    assert_int_equal(r->result.status, BAD_INPUT);
    assert_int_equal(r->records[0].r.type, RECORD_REKEY_BEGUN);
    assert_int_equal(r->records[1].r.type, RECORD_OPERATION_FAILED);
    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_carry_out(r, &n), OK);
}

static void approvals_are_over_after_ten_minutes(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);

    assert_int_equal(people_approve(r, 0, &m), OK);
    rig_pass(APPROVAL_S - 1);
    assert_int_equal(people_approve(r, 1, &m), OK);
    assert_int_equal(r->data[0], 2);
    rig_pass(2);
    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_approve(r, 0, &m), OK); /* begins anew */
    assert_int_equal(r->data[0], 1);
}

static void a_lock_forgets_approvals_and_enrolments(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);

    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    struct wire_operation add = people_add(r, 3, "dave");
    for (size_t key = 0; key < 2; key++)
        assert_int_equal(people_approve(r, key, &m), OK);
    rig_lock(r);
    for (size_t key = 0; key < 2; key++)
        assert_int_equal(rig_share(r, key, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_do(r, 2, &add), NOT_FOUND);
}

static void approvals_do_not_outlive_who_gave_them(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_ROOT);
    struct wire_operation remove = people_remove("carol");

    assert_int_equal(people_approve(r, 2, &m), OK);
    assert_int_equal(people_do(r, 2, &remove), OK);
    assert_int_equal(people_approve(r, 0, &m), OK);
    assert_int_equal(r->data[0], 1);
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

/* --- operators ------------------------------------------------------------------------------- */

static void an_added_operator_waits_for_the_rotation_and_then_opens_the_vault(void **state)
{
    struct rig *r = *state;
    struct wire_operation other = full(OPERATION_REKEY_ROOT);
    struct wire_slot slot;

    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    assert_false(people_slot(r, &r->slots[3], &slot)); /* in no file yet */
    struct wire_operation add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), OK);
    const struct rig_record *record = recorded(r, RECORD_OPERATOR_ENROLLED);
    assert_true(has_id(record, "slot_id", &r->slots[3]));
    assert_true(rig_line_has(record, "\"operator\":\"dave\""));
    assert_true(people_slot(r, &r->slots[3], &slot));
    assert_int_equal(slot.pending, 1);
    assert_int_equal(people_approve(r, 3, &other), DENIED);
    assert_true(rig_line_has(&r->records[0], "until it has a share it approves nothing"));
    people_settle(r);
    assert_true(people_slot(r, &r->slots[3], &slot));
    assert_int_equal(slot.pending, 0);
    assert_int_equal(rig_hello(r).epoch, 2);
    assert_int_equal(people_approve(r, 3, &other), OK);
    rig_lock(r);
    assert_int_equal(rig_share(r, 3, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void an_enrolment_is_over_after_ten_minutes(void **state)
{
    struct rig *r = *state;

    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    rig_pass(APPROVAL_S + 1);
    struct wire_operation add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), NOT_FOUND);
    assert_true(rig_line_has(&r->records[0], "the enrolment is over"));
}

static void the_key_that_was_approved_must_be_the_enrolled_one(void **state)
{
    struct rig *r = *state;

    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    struct wire_operation add = people_add(r, 3, "dave");
    add.public_key[5] ^= 1;
    assert_int_equal(people_do(r, 2, &add), DENIED);
    add = people_add(r, 3, "mallory");
    assert_int_equal(people_do(r, 2, &add), DENIED);
    assert_true(rig_line_has(&r->records[0], "another hardware key was enrolled than approved"));
    add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), OK);
}

static void a_hardware_key_becomes_one_slot(void **state)
{
    struct rig *r = *state;
    struct id first = r->slots[0];

    assert_int_equal(people_enrol(r, 0, "alice"), CONFLICT);
    assert_string_equal(r->reason, "this hardware key is enrolled already");
    r->slots[0] = first;
    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    struct wire_operation add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), OK);
    people_settle(r);
    /* Its enrolment still waits, but must not put the slot back to where it began. */
    add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), CONFLICT);
    rig_lock(r);
    assert_int_equal(rig_share(r, 3, NULL), OK);
}

static void a_removed_operator_has_no_slot_and_leaves_records(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_remove("carol");
    struct wire_session s;
    struct wire_slot slot;
    uint8_t hash[32] = { 1 };

    assert_int_equal(people_do(r, 2, &m), OK);
    const struct rig_record *record = recorded(r, RECORD_OPERATOR_REMOVED);
    assert_true(rig_line_has(record, "\"operator\":\"carol\""));
    assert_false(rig_line_has(record, "slot_id")); /* it is all of her */
    assert_false(people_slot(r, &r->slots[2], &slot));
    assert_int_equal(rig_session_for(r, SESSION_APPROVE, &r->slots[2], hash, &s), NOT_FOUND);
    people_settle(r);
    assert_int_equal(people_folded(r, RECORD_SLOT_DESTROYED), 1);
    assert_true(has_id(recorded(r, RECORD_SLOT_DESTROYED), "slot_id", &r->slots[2]));
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[2], &s), NOT_FOUND);
}

static void one_key_of_several_can_be_removed(void **state)
{
    struct rig *r = *state;
    struct wire_slot slot;

    assert_int_equal(people_enrol(r, 3, "alice"), OK);
    struct wire_operation add = people_add(r, 3, "alice");
    assert_int_equal(people_do(r, 2, &add), OK);
    people_settle(r);
    struct wire_operation m = people_remove("alice");
    m.slot = r->slots[0];
    assert_int_equal(people_approve(r, 1, &m), OK);
    assert_int_equal(people_approve(r, 3, &m), OK);
    assert_int_equal(people_carry_out(r, &m), OK);
    assert_true(has_id(recorded(r, RECORD_OPERATOR_REMOVED), "slot_id", &r->slots[0]));
    assert_false(people_slot(r, &r->slots[0], &slot));
    assert_true(people_slot(r, &r->slots[3], &slot));
    people_settle(r);
    rig_lock(r);
    assert_int_equal(rig_share(r, 3, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void so_many_operators_stay_that_the_vault_can_be_opened(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_remove("zoe");

    assert_int_equal(people_do(r, 2, &m), NOT_FOUND);
    m = people_remove("alice");
    m.slot = r->slots[1]; /* bob's */
    assert_int_equal(people_do(r, 2, &m), NOT_FOUND);
    m = people_remove("carol");
    assert_int_equal(people_do(r, 2, &m), OK);
    people_settle(r);
    m = people_remove("bob");
    assert_int_equal(people_do(r, 2, &m), CONFLICT);
    people_settle(r);
    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

/* Dave's slot has no share before the rotation is over: a lock now must not be for ever. */
static void nobody_is_removed_for_one_who_has_no_share_yet(void **state)
{
    struct rig *r = *state;
    struct wire_operation carol = people_remove("carol");
    struct wire_operation bob = people_remove("bob");

    assert_int_equal(people_do(r, 2, &carol), OK);
    people_settle(r);
    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    struct wire_operation add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), OK);
    assert_int_equal(people_do(r, 2, &bob), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "the rotation under way must end first"));
    people_settle(r);
    assert_int_equal(people_carry_out(r, &bob), OK);
    rig_free(r);
    *state = people_new(3, 3, 0);
    r = *state;
    struct wire_operation lower = people_operation(OPERATION_QUORUM_SET);
    lower.number = 2;
    assert_int_equal(people_do(r, 3, &lower), OK);
    assert_int_equal(people_do(r, 3, &carol), CONFLICT); /* three shares are still needed */
    people_settle(r);
    assert_int_equal(people_carry_out(r, &carol), OK);
}

static void the_quorum_is_between_one_and_the_number_of_operators(void **state)
{
    static const uint32_t bad[] = { 0, 4, 255, 257, UINT32_MAX };
    struct rig *r = *state;
    struct wire_operation m = people_operation(OPERATION_QUORUM_SET);

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        m.number = bad[i];
        assert_int_equal(people_do(r, 2, &m), BAD_INPUT);
    }
    m.number = 2;
    assert_int_equal(people_do(r, 2, &m), CONFLICT); /* as it is */
    m.number = 3;
    assert_int_equal(people_do(r, 2, &m), OK);
    assert_true(rig_line_has(recorded(r, RECORD_QUORUM_CHANGED), "\"quorum\":3"));
    assert_int_equal(rig_hello(r).need, 2); /* until the root has rotated */
    people_settle(r);
    assert_int_equal(rig_hello(r).need, 3);
    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
    assert_int_equal(rig_share(r, 2, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

/* --- cards ----------------------------------------------------------------------------------- */

static void renewed_cards_replace_all_old_ones(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_operation(OPERATION_CARD_RENEW);
    struct id old[2] = { r->cards[0], r->cards[1] };
    struct wire_session s;

    m.number = CARDS_MAX + 1;
    box_public(SPAN(rig_card_private), m.recovery_key);
    assert_int_equal(people_do(r, 2, &m), BAD_INPUT);
    m.number = 3;
    assert_int_equal(people_do(r, 2, &m), OK);
    assert_true(rig_line_has(recorded(r, RECORD_CARDS_RENEWED), "\"cards\":3"));
    rig_take_cards(r, span_of(r->data, r->result.data.n));
    assert_int_equal(r->card_count, 3);
    people_settle(r);
    assert_int_equal(rig_hello(r).holders, 6);
    rig_lock(r);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(rig_session(r, SESSION_UNLOCK, &old[i], &s), NOT_FOUND);
    assert_int_equal(rig_card_share(r, 2), OK);
    assert_int_equal(rig_card_share(r, 0), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void cards_can_be_given_up(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_operation(OPERATION_CARD_RENEW);

    box_public(SPAN(rig_card_private), m.recovery_key);
    assert_int_equal(people_do(r, 2, &m), OK);
    people_settle(r);
    assert_int_equal(rig_hello(r).holders, 3);
}

/* --- rekeying -------------------------------------------------------------------------------- */

static void each_rekeying_says_in_a_record_that_it_has_begun(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_REKEY_TENANT);
    struct id tenant = TENANT;

    assert_int_equal(people_do(r, 1, &m), NOT_FOUND);
    assert_true(rig_line_has(&r->records[0], "the tenant has no seed"));
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(people_carry_out(r, &m), OK);
    const struct rig_record *record = recorded(r, RECORD_REKEY_BEGUN);
    assert_true(id_same(&record->r.log, &tenant));
    assert_true(rig_line_has(record, "\"what\":\"tenant\",\"epoch\":2"));
    m = full(OPERATION_REKEY_TENANT);
    assert_int_equal(people_do(r, 1, &m), CONFLICT);
    m = full(OPERATION_REKEY_DATABASE);
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_true(rig_line_has(recorded(r, RECORD_REKEY_BEGUN), "\"what\":\"database\""));
    m = full(OPERATION_REKEY_DATABASE);
    assert_int_equal(people_do(r, 1, &m), CONFLICT);
    m = full(OPERATION_REKEY_ROOT);
    assert_int_equal(people_do(r, 2, &m), OK);
    assert_true(rig_line_has(recorded(r, RECORD_REKEY_BEGUN), "\"what\":\"root\",\"epoch\":2"));
}

/* --- purge and hold -------------------------------------------------------------------------- */

static void end_engagement(struct rig *r)
{
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = TENANT,
                                                       .engagement = ENGAGEMENT }),
                     OK);
}

static status destroy_key(struct rig *r)
{
    return rig_entry(r, (struct wire_entry){ .kind = ENTRY_KEY_DESTROY,
                                             .tenant = TENANT,
                                             .key = KEY,
                                             .version = 1,
                                             .reason = DESTROY_REVOKED });
}

static void a_hastened_purge_happens_at_once(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_operation m = full(OPERATION_PURGE_NOW);

    put_key(r, sealed);
    end_engagement(r);
    m.engagement = rig_id(77);
    assert_int_equal(people_do(r, 2, &m), NOT_FOUND);
    m = full(OPERATION_PURGE_NOW);
    m.tenant = OTHER; /* not whose engagement it is */
    assert_int_equal(people_do(r, 2, &m), NOT_FOUND);
    m = full(OPERATION_PURGE_NOW);
    assert_int_equal(people_do(r, 2, &m), OK);
    assert_true(has_id(recorded(r, RECORD_PURGE_HASTENED), "engagement_id", &m.engagement));
    assert_int_equal(r->result.due_us, r->records[0].r.time_us);
    keeper_tick(r->k);
    assert_int_equal(destroy_key(r), NOT_FOUND);
    assert_int_equal(people_folded(r, RECORD_PURGE_KEYS_DESTROYED), 1);
}

static void a_purge_on_hold_waits_and_the_time_that_was_left_runs_again(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_operation hold = full(OPERATION_HOLD_SET);
    struct wire_operation lift = full(OPERATION_HOLD_LIFT);
    struct wire_operation hasten = full(OPERATION_PURGE_NOW);

    put_key(r, sealed);
    assert_int_equal(people_do(r, 2, &hold), CONFLICT); /* it has not ended */
    assert_int_equal(people_do(r, 2, &lift), CONFLICT);
    end_engagement(r);
    assert_int_equal(people_carry_out(r, &lift), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "the purge is not on hold"));
    rig_pass(PURGE_DELAY_S - 1000);
    hold = full(OPERATION_HOLD_SET);
    assert_int_equal(people_do(r, 2, &hold), OK);
    assert_true(has_id(recorded(r, RECORD_ENGAGEMENT_HELD), "engagement_id", &hold.engagement));
    assert_true(r->result.due_us == DUE_HELD);
    assert_int_equal(rig_hello(r).next_due_us, 0);
    rig_pass(5 * PURGE_DELAY_S);
    keeper_tick(r->k);
    hold = full(OPERATION_HOLD_SET);
    assert_int_equal(people_do(r, 2, &hold), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "the purge is on hold already"));
    assert_int_equal(people_do(r, 2, &hasten), CONFLICT);
    assert_true(rig_line_has(&r->records[0], "lift the hold first"));
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = TENANT,
                                                       .engagement = ENGAGEMENT }),
                     CONFLICT);
    assert_true(r->result.due_us == DUE_HELD);

    lift = full(OPERATION_HOLD_LIFT);
    assert_int_equal(people_do(r, 2, &lift), OK);
    assert_true(has_id(recorded(r, RECORD_ENGAGEMENT_LIFTED), "engagement_id", &lift.engagement));
    uint64_t left_us = r->result.due_us - r->records[0].r.time_us;
    assert_in_range(left_us, 1000 * SECOND_US, 1001 * SECOND_US);
    assert_true(rig_hello(r).next_due_us == r->result.due_us);
    rig_pass(990);
    keeper_tick(r->k);
    assert_int_equal(people_folded(r, RECORD_PURGE_KEYS_DESTROYED), 0);
    rig_pass(12);
    keeper_tick(r->k);
    assert_int_equal(people_folded(r, RECORD_PURGE_KEYS_DESTROYED), 1);
    assert_int_equal(destroy_key(r), NOT_FOUND);
}

static void a_hold_survives_the_keeper(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_operation hold = full(OPERATION_HOLD_SET);

    put_key(r, sealed);
    end_engagement(r);
    assert_int_equal(people_do(r, 2, &hold), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_restart(r);
    rig_pass(3 * PURGE_DELAY_S);
    keeper_tick(r->k);
    for (size_t key = 0; key < 2; key++)
        assert_int_equal(rig_share(r, key, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
    assert_int_equal(destroy_key(r), OK);
}

/* --- grants ---------------------------------------------------------------------------------- */

static void a_grant_is_recorded_in_the_tenants_log(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_GRANT_ADD);
    struct id gateway = GATEWAY, tenant = TENANT;

    assert_int_equal(people_do(r, 1, &m), NOT_FOUND);
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(people_carry_out(r, &m), OK);
    const struct rig_record *record = recorded(r, RECORD_GRANT_ADDED);
    assert_true(has_id(record, "gateway_id", &gateway));
    assert_true(id_same(&record->r.log, &tenant));
}

/* --- policy ----------------------------------------------------------------------------------- */

static void a_document_is_recorded_by_its_hash_in_the_log_it_is_for(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_POLICY_SET);
    struct id tenant = TENANT;

    m.document[0] = 0xab;
    assert_int_equal(people_do(r, 1, &m), NOT_FOUND);
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(people_carry_out(r, &m), OK);
    const struct rig_record *record = recorded(r, RECORD_POLICY_SET);
    assert_true(rig_line_has(record, "\"document\":\"ab00"));
    assert_true(id_same(&record->r.log, &tenant));
    m = full(OPERATION_POLICY_SET);
    m.tenant = (struct id){ { 0 } }; /* the vault's */
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_true(id_is_zero(&recorded(r, RECORD_POLICY_SET)->r.log));
}

/* Approved is one text for one owner. */
static void another_document_than_the_approved_one_is_denied(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = full(OPERATION_POLICY_SET);

    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(people_approve(r, 0, &m), OK);
    m.document[31] ^= 1;
    assert_int_equal(people_carry_out(r, &m), DENIED);
    m.document[31] ^= 1;
    m.tenant = (struct id){ { 0 } };
    assert_int_equal(people_carry_out(r, &m), DENIED);
}

#define THREE(f) cmocka_unit_test_setup_teardown(f, three_operators, teardown)
#define ONE(f)   cmocka_unit_test_setup_teardown(f, one_operator, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THREE(nothing_happens_without_approvals),
        THREE(an_approval_is_none_for_an_operation_that_differs_in_one_member),
        ONE(a_session_for_one_operation_approves_no_other),
        ONE(a_touch_sealed_for_another_operation_is_denied),
        THREE(a_wrong_secret_approves_nothing),
        THREE(what_the_record_says_suffices_to_check_the_signature),
        cmocka_unit_test(each_kind_takes_as_many_operators_as_it_should),
        THREE(one_operator_approves_once_with_whatever_key),
        THREE(a_card_approves_only_what_recovers),
        THREE(two_cards_bring_a_new_operator_in),
        ONE(every_approval_rolls_its_slot),
        THREE(carrying_out_uses_the_approvals_up),
        THREE(an_operation_that_could_not_be_carried_out_keeps_them),
        THREE(one_batch_carries_out_one_operation),
        THREE(approvals_are_over_after_ten_minutes),
        THREE(a_lock_forgets_approvals_and_enrolments),
        THREE(approvals_do_not_outlive_who_gave_them),
        THREE(an_added_operator_waits_for_the_rotation_and_then_opens_the_vault),
        THREE(an_enrolment_is_over_after_ten_minutes),
        THREE(the_key_that_was_approved_must_be_the_enrolled_one),
        THREE(a_hardware_key_becomes_one_slot),
        THREE(a_removed_operator_has_no_slot_and_leaves_records),
        THREE(one_key_of_several_can_be_removed),
        THREE(so_many_operators_stay_that_the_vault_can_be_opened),
        THREE(nobody_is_removed_for_one_who_has_no_share_yet),
        THREE(the_quorum_is_between_one_and_the_number_of_operators),
        THREE(renewed_cards_replace_all_old_ones),
        THREE(cards_can_be_given_up),
        THREE(each_rekeying_says_in_a_record_that_it_has_begun),
        THREE(a_hastened_purge_happens_at_once),
        THREE(a_purge_on_hold_waits_and_the_time_that_was_left_runs_again),
        THREE(a_hold_survives_the_keeper),
        THREE(a_grant_is_recorded_in_the_tenants_log),
        THREE(a_document_is_recorded_by_its_hash_in_the_log_it_is_for),
        THREE(another_document_than_the_approved_one_is_denied),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
