/* Heads of an older moment: held aside until operators accept them, and from then on the truth. */
#include "keeper_customer.h"
#include "keeper_people.h"

#define THE_LOG  ((struct id){ { 0 } })
#define REFUSED  "the vault was rolled back: that has to be accepted first"
#define OLDER    "the database is older than the keyring"
#define LAST     1
#define LAST_OLD 2

/* What a server has stored at some time. */
struct stored {
    uint8_t heads[sizeof(((struct rig *)0)->heads)];
    size_t head_count;
    uint8_t seal[HEADS_SEAL_MAX];
    size_t seal_n;
};

static struct stored before, after;

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

static status load(struct rig *r, uint8_t last)
{
    struct out *o = rig_begin(r, WIRE_HEADS);

    out_u8(o, last);
    out_u16(o, (uint16_t)r->head_count);
    for (size_t i = 0; i < r->head_count; i++)
        out_span16(o, span_of(r->heads[i].bytes, r->heads[i].n));
    out_span16(o, span_of(r->seal, r->seal_n));
    return rig_call(r);
}

static status come_back(struct rig *r, uint8_t last)
{
    rig_restart(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    return load(r, last);
}

static status append(struct rig *r)
{
    return rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED });
}

static struct wire_operation acceptance(struct rig *r)
{
    struct wire_operation m = people_operation(OPERATION_ROLLBACK_ACCEPT);
    struct wire_hello hello = rig_hello(r);

    m.size = hello.found_size;
    memcpy(m.root, hello.found_root, sizeof(m.root));
    m.known_size = 77;
    return m;
}

/* Before and after some records that were signed; the heads from before are held aside. */
static int with_old_heads(void **state)
{
    struct rig *r = people_new(1, 1, 1);

    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(50) }), OK);
    store(r, &before);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(append(r), OK);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    store(r, &after);
    put_back(r, &before);
    assert_int_equal(come_back(r, LAST), CORRUPT);
    assert_string_equal(r->reason, OLDER);
    assert_int_equal(load(r, LAST_OLD), OK);
    *state = r;
    return 0;
}

static void old_heads_are_held_aside_and_the_anchor_stays(void **state)
{
    struct rig *r = *state;
    struct wire_hello hello = rig_hello(r);
    uint64_t anchor = hello.anchor_size;

    assert_int_equal(hello.rolled_back, 1);
    assert_true(hello.found_records < hello.found_anchored);
    assert_int_equal(hello.found_anchored, anchor);
    assert_int_equal(append(r), OK);
    assert_int_equal(rig_checkpoint(r, THE_LOG), CONFLICT);
    rig_lock(r);
    assert_int_equal(rig_hello(r).anchor_size, anchor);
    assert_int_equal(rig_hello(r).rolled_back, 0);
    /* What was appended aside is no less rolled back, however much it is. */
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(rig_share(r, 0, NULL), OK);
        assert_int_equal(load(r, LAST), CORRUPT);
        assert_int_equal(load(r, LAST_OLD), OK);
        assert_int_equal(append(r), OK);
        rig_lock(r);
    }
}

static void nothing_but_records_and_the_acceptance_is_done(void **state)
{
    struct rig *r = *state;

    for (uint8_t kind = ENTRY_RECORD; kind <= ENTRY_ROLLBACK_TOLD; kind++) {
        struct wire_entry entry = { .kind = kind,
                                    .type = RECORD_SERVER_STARTED,
                                    .tenant = rig_id(50),
                                    .operation = people_operation(OPERATION_REKEY_ROOT) };
        status st = rig_entry(r, entry);

        if (kind == ENTRY_RECORD) {
            assert_int_equal(st, OK);
            continue;
        }
        assert_int_not_equal(st, OK);
        if (kind != ENTRY_APPROVE)
            assert_true(rig_line_has(&r->records[0], REFUSED));
    }
    struct wire_operation rekey = people_operation(OPERATION_REKEY_ROOT);
    assert_int_equal(people_approve(r, 0, &rekey), OK);
    assert_int_equal(people_carry_out(r, &rekey), CONFLICT);
}

static void the_right_heads_work_after_others_were_held_aside(void **state)
{
    struct rig *r = *state;

    assert_int_equal(append(r), OK);
    put_back(r, &after);
    assert_int_equal(come_back(r, LAST), OK);
    assert_int_equal(rig_hello(r).rolled_back, 0);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
}

static void accepting_names_both_heads_and_what_was_given_up_never_comes_back(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = acceptance(r);
    char hex[65], field[96];

    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_int_equal(r->records[0].r.type, RECORD_ROLLBACK_ACCEPTED);
    hex_format(SPAN(m.root), hex);
    snprintf(field, sizeof(field), "\"root\":\"%s\"", hex);
    assert_true(rig_line_has(&r->records[0], field));
    snprintf(field, sizeof(field), "\"size\":%u", (unsigned)m.size);
    assert_true(rig_line_has(&r->records[0], field));
    assert_true(rig_line_has(&r->records[0], "\"known_size\":77"));
    assert_true(rig_line_has(&r->records[0], "\"anchored\":"));
    assert_int_equal(rig_hello(r).rolled_back, 0);
    assert_int_equal(append(r), OK);
    assert_int_equal(rig_checkpoint(r, THE_LOG), OK);
    assert_int_equal(come_back(r, LAST), OK);
    assert_int_equal(append(r), OK);
    put_back(r, &after);
    assert_int_equal(come_back(r, LAST), CORRUPT);
    put_back(r, &before);
    assert_int_equal(load(r, LAST), CORRUPT);
}

static void an_acceptance_that_was_not_stored_has_to_be_given_again(void **state)
{
    static struct stored aside;
    struct rig *r = *state;
    struct wire_operation m = acceptance(r);

    assert_int_equal(people_approve(r, 0, &m), OK);
    store(r, &aside);
    assert_int_equal(people_carry_out(r, &m), OK);
    put_back(r, &aside);
    assert_int_equal(come_back(r, LAST), CORRUPT);
    assert_int_equal(load(r, LAST_OLD), OK);
    m = acceptance(r);
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_int_equal(come_back(r, LAST), OK);
}

static void an_acceptance_of_other_heads_is_refused(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = acceptance(r);

    m.root[0] ^= 1;
    assert_int_equal(people_do(r, 1, &m), CONFLICT);
    assert_int_equal(rig_hello(r).rolled_back, 1);
    m = acceptance(r);
    m.size++;
    assert_int_equal(people_do(r, 1, &m), CONFLICT);
    assert_int_equal(rig_hello(r).rolled_back, 1);
}

static void a_tenants_log_is_told_only_of_what_was_accepted(void **state)
{
    struct rig *r = *state;
    struct wire_entry told = { .kind = ENTRY_ROLLBACK_TOLD, .tenant = rig_id(50) };
    struct wire_operation m = acceptance(r);

    assert_int_equal(people_do(r, 1, &m), OK);
    assert_int_equal(rig_entry(r, told), OK);
    assert_int_equal(r->records[0].r.type, RECORD_ROLLBACK_ACCEPTED);
    assert_true(id_same(&r->records[0].r.log, &told.tenant));
    assert_true(rig_line_has(&r->records[0], "\"accepted_by\":"));
    told.tenant = rig_id(51);
    assert_int_equal(rig_entry(r, told), NOT_FOUND);
    told.tenant = rig_id(50);
    assert_int_equal(come_back(r, LAST), OK);
    assert_int_equal(rig_entry(r, told), CONFLICT);
}

static void old_heads_of_two_moments_or_without_a_seal_are_refused_even_so(void **state)
{
    struct rig *r = *state;

    put_back(r, &before);
    r->seal_n = 0;
    assert_int_equal(come_back(r, LAST_OLD), CORRUPT);
    put_back(r, &before);
    memcpy(r->heads, after.heads, sizeof(r->heads[0]));
    assert_int_equal(load(r, LAST_OLD), CORRUPT);
    put_back(r, &before);
    assert_int_equal(load(r, LAST_OLD), OK);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, with_old_heads, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(old_heads_are_held_aside_and_the_anchor_stays),
        CASE(nothing_but_records_and_the_acceptance_is_done),
        CASE(the_right_heads_work_after_others_were_held_aside),
        CASE(accepting_names_both_heads_and_what_was_given_up_never_comes_back),
        CASE(an_acceptance_that_was_not_stored_has_to_be_given_again),
        CASE(an_acceptance_of_other_heads_is_refused),
        CASE(a_tenants_log_is_told_only_of_what_was_accepted),
        CASE(old_heads_of_two_moments_or_without_a_seal_are_refused_even_so),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
