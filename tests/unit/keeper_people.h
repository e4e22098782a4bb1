/* Operators at work on the rig: approvals, operations, enrolments, and the rotations that follow. */
#ifndef TEST_KEEPER_PEOPLE_H
#define TEST_KEEPER_PEOPLE_H

#include "keeper_rig.h"

/* Operators alice, bob, ... with keys 0, 1, ... and a vault whose log has begun. */
static inline struct rig *people_new(uint8_t operators, uint8_t quorum, uint8_t cards)
{
    struct rig *r = rig_new();
    struct rig_plan plan = {
        .region = "eu-central", .operators = operators, .quorum = quorum, .cards = cards
    };

    rig_init_plan(r, plan);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_VAULT_CREATED }), OK);
    return r;
}

/* An operation of this code, a proposal of its own. */
static inline struct wire_operation people_operation(uint8_t code)
{
    struct wire_operation m = { .code = code };

    random_bytes((struct mspan){ m.id.b, sizeof(m.id.b) });
    return m;
}

static inline void people_hash(const struct wire_operation *m, uint8_t out[static 32])
{
    uint8_t text[OPERATION_TEXT_MAX];
    struct out o;

    out_init(&o, text, sizeof(text));
    operation_text(m, &o);
    assert_false(o.overflow);
    operation_hash(span_of(o.p, o.n), out);
}

/* --- approvals ------------------------------------------------------------------------------- */

/* The entry of an approval; the sealed secrets are the caller's buffer. */
static inline struct wire_entry people_approval(const struct wire_session *s, const struct id *slot,
                                                const struct wire_operation *m, struct span sealed)
{
    return (struct wire_entry){
        .kind = ENTRY_APPROVE, .session = s->session, .slot = *slot, .operation = *m, .data = sealed
    };
}

/* Hardware key number key approves m; the status of session or entry. */
static inline status people_approve(struct rig *r, size_t key, const struct wire_operation *m)
{
    struct wire_session s;
    uint8_t operation[32];
    uint8_t sealed[RIG_SEALED];

    people_hash(m, operation);
    status st = rig_session_for(r, SESSION_APPROVE, &r->slots[key], operation, &s);
    if (st != OK)
        return st;
    size_t n = rig_seal(&s, rig_touch(r, key, &s), sealed);
    return rig_entry(r, people_approval(&s, &r->slots[key], m, span_of(sealed, n)));
}

static inline status people_card_approve(struct rig *r, size_t card, const struct wire_operation *m)
{
    struct wire_session s;
    uint8_t operation[32];
    uint8_t sealed[RIG_SEALED];

    people_hash(m, operation);
    status st = rig_session_for(r, SESSION_APPROVE, &r->cards[card], operation, &s);
    if (st != OK)
        return st;
    size_t n = rig_seal(&s, SPAN(r->codes[card]), sealed);
    return rig_entry(r, people_approval(&s, &r->cards[card], m, span_of(sealed, n)));
}

/* --- carrying out ---------------------------------------------------------------------------- */

static inline status people_carry_out(struct rig *r, const struct wire_operation *m)
{
    return rig_entry(r, (struct wire_entry){ .kind = ENTRY_OPERATION, .operation = *m });
}

/* Approved by keys 0 to people - 1, then carried out. */
static inline status people_do(struct rig *r, size_t people, const struct wire_operation *m)
{
    for (size_t i = 0; i < people; i++)
        assert_int_equal(people_approve(r, i, m), OK);
    return people_carry_out(r, m);
}

/* A hardware key is enrolled under that name and waits; r->slots[key] is its slot to be. */
static inline status people_enrol(struct rig *r, size_t key, const char *name)
{
    struct wire_session s;
    uint8_t sealed[RIG_SEALED];
    status st = rig_session(r, SESSION_ENROL, NULL, &s);

    if (st != OK)
        return st;
    struct wire_enrolment m = rig_enrolment(r, key, name, &s, sealed);
    struct out *o = rig_begin(r, WIRE_ENROL);
    out_id(o, &s.session);
    wire_put_enrolment(o, &m);
    st = rig_call(r);
    if (st != OK)
        return st;
    r->slots[key] = in_id(&r->body);
    assert_true(in_end(&r->body));
    return OK;
}

/* The operation that adds what was enrolled as key. */
static inline struct wire_operation people_add(struct rig *r, size_t key, const char *name)
{
    struct wire_operation m = people_operation(OPERATION_OPERATOR_ADD);

    m.operator_name = span_text(name);
    m.slot = r->slots[key];
    memcpy(m.public_key, r->key_seeds[key], 32);
    return m;
}

static inline struct wire_operation people_remove(const char *name)
{
    struct wire_operation m = people_operation(OPERATION_OPERATOR_REMOVE);

    m.operator_name = span_text(name);
    return m;
}

/* --- afterwards ------------------------------------------------------------------------------ */

/* All that can be done between messages. */
static inline void people_settle(struct rig *r)
{
    for (unsigned slices = 0; keeper_work(r->k); slices++)
        assert_true(slices < 100000);
}

/* The journal becomes records; how many of them are of this type. */
static inline size_t people_folded(struct rig *r, uint16_t type)
{
    size_t count = 0;

    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
    for (size_t i = 0; i < r->record_count; i++)
        count += r->records[i].r.type == type;
    size_t folded = r->record_count;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    r->record_count = folded;
    return count;
}

/* The keeper dies, comes back and is unlocked by keys 0 to people - 1. */
static inline void people_reopen(struct rig *r, size_t people)
{
    rig_restart(r);
    for (size_t i = 0; i < people; i++)
        assert_int_equal(rig_share(r, i, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
    assert_int_equal(rig_load_heads(r), OK);
}

/* One of the slots as the keeper tells of it; its spans are dead. */
static inline bool people_slot(struct rig *r, const struct id *id, struct wire_slot *ret)
{
    bool found = false;

    rig_begin(r, WIRE_SLOTS);
    assert_int_equal(rig_call(r), OK);
    for (uint16_t count = in_u16(&r->body); count > 0; count--) {
        struct wire_slot slot;
        wire_get_slot(&r->body, &slot);
        assert_false(r->body.bad);
        if (id_same(&slot.id, id)) {
            *ret = slot;
            found = true;
        }
    }
    assert_true(in_end(&r->body));
    return found;
}

#endif
