/* Rounds of the vault tree: what each log is shown of them, and that it proves what it says. */
#include "keeper_customer.h"
#include "ledger/checkpoint.h"
#include "ledger/commitment.h"

static const struct id tree_log = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

static void tenant_new(struct rig *r, uint8_t n)
{
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = rig_id(n) }), OK);
}

/* Slices until all are in; how many it took. */
static size_t build(struct rig *r)
{
    for (size_t slices = 1;; slices++) {
        out_u64(rig_begin(r, WIRE_ROUND), r->ack);
        assert_int_equal(rig_call(r), OK);
        if (in_u8(&r->body) == 1)
            return slices;
    }
}

/* The round and its record; its root as the record has it. */
static void commit_round(struct rig *r, uint8_t ret_root[32])
{
    struct span root;

    build(r);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_TREE_COMMITTED }), OK);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_TREE_COMMITTED);
    assert_true(id_same(&r->records[0].r.log, &tree_log));
    assert_true(record_field(r->records[0].r.line, "root", &root));
    assert_true(hex_parse((const char *)root.p, root.n, ret_root, 32));
}

/* As the engine does it: the record is durable, and the tree signed for. */
static void go_round(struct rig *r, uint8_t ret_root[32])
{
    commit_round(r, ret_root);
    assert_int_equal(rig_checkpoint(r, tree_log), OK);
}

static status branch(struct rig *r, struct id log, struct commitment *c, struct span *ret_note)
{
    out_id(rig_begin(r, WIRE_COMMITMENT), &log);
    status st = rig_call(r);
    if (st != OK)
        return st;
    c->round = in_u64(&r->body);
    c->index = in_u32(&r->body);
    in_copy(&r->body, c->blind, 32);
    for (unsigned level = 0; level < COMMITMENT_LEVELS; level++)
        in_copy(&r->body, c->sibling[level], 32);
    *ret_note = in_span16(&r->body);
    assert_true(in_end(&r->body));
    return OK;
}

static uint64_t check_branch(struct rig *r, struct id log, uint32_t index, const uint8_t root[32])
{
    uint8_t got[32], log_root[32];
    struct id vault, named;
    struct commitment c;
    struct span note, text;
    struct err e = { 0 };
    uint64_t size = 0;

    assert_int_equal(branch(r, log, &c, &note), OK);
    assert_int_equal(c.index, index);
    assert_int_equal(checkpoint_read(note, &vault, &named, &size, log_root, &text, &e), OK);
    assert_true(id_same(&named, &log));
    commitment_root(&c, text, got);
    assert_memory_equal(got, root, 32);
    return size;
}

static void every_log_has_a_branch_that_leads_to_the_root(void **state)
{
    struct rig *r = *state;
    struct id vault_log = { { 0 } };
    uint8_t root[32];

    for (uint8_t count = 0; count < 9; count++) {
        if (count > 0)
            tenant_new(r, (uint8_t)(100 + count));
        go_round(r, root);
        check_branch(r, vault_log, 0, root);
        for (uint8_t i = 1; i <= count; i++)
            assert_int_equal(check_branch(r, rig_id((uint8_t)(100 + i)), i, root), 1);
    }
}

static void a_branch_shows_the_log_as_it_was_committed_to(void **state)
{
    struct rig *r = *state;
    uint8_t first[32], second[32];
    struct wire_entry more = { .kind = ENTRY_RECORD,
                               .log = rig_id(101),
                               .type = RECORD_LEASE_REFUSED };

    tenant_new(r, 101);
    go_round(r, first);
    assert_int_equal(rig_entry(r, more), OK);
    tenant_new(r, 102);
    assert_int_equal(check_branch(r, rig_id(101), 1, first), 1);
    struct commitment c;
    struct span note;
    assert_int_equal(branch(r, rig_id(102), &c, &note), NOT_FOUND);
    go_round(r, second);
    assert_int_equal(check_branch(r, rig_id(101), 1, second), 2);
    assert_int_equal(check_branch(r, rig_id(102), 2, second), 1);
}

/* Nothing of a round comes again in the next, though no log has changed. */
static void no_two_rounds_show_the_same_hash(void **state)
{
    struct rig *r = *state;
    struct commitment one, two;
    struct span note;
    uint8_t root[32];

    tenant_new(r, 101);
    go_round(r, root);
    assert_int_equal(branch(r, rig_id(101), &one, &note), OK);
    go_round(r, root);
    assert_int_equal(branch(r, rig_id(101), &two, &note), OK);
    assert_int_equal(two.round, one.round + 1);
    assert_memory_not_equal(one.blind, two.blind, 32);
    for (unsigned level = 0; level < COMMITMENT_LEVELS; level++)
        assert_memory_not_equal(one.sibling[level], two.sibling[level], 32);
}

static void only_a_complete_round_has_a_record_and_only_one(void **state)
{
    struct rig *r = *state;
    struct wire_entry entry = { .kind = ENTRY_TREE_COMMITTED };
    struct wire_entry both[] = { entry, entry };
    uint8_t root[32];

    assert_int_equal(rig_entry(r, entry), CONFLICT);
    build(r);
    assert_int_equal(rig_batch(r, both, 2), OK);
    assert_int_equal(r->result.status, CONFLICT);
    assert_int_equal(rig_entry(r, entry), CONFLICT);
    go_round(r, root);
}

static void nobody_but_the_round_writes_to_the_trees_log(void **state)
{
    struct rig *r = *state;
    struct id vault_log = { { 0 } };
    uint8_t root[32];
    struct wire_entry entries[] = {
        { .kind = ENTRY_RECORD, .log = tree_log, .type = RECORD_SERVER_STARTED },
        { .kind = ENTRY_RECORD, .log = tree_log, .type = RECORD_TREE_COMMITTED },
        { .kind = ENTRY_TENANT_NEW, .tenant = tree_log },
        { .kind = ENTRY_ENGAGEMENT_START, .tenant = tree_log, .engagement = rig_id(9) },
    };

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
            assert_int_not_equal(rig_entry(r, entries[i]), OK);
            assert_true(id_same(&r->records[0].r.log, &vault_log));
        }
        go_round(r, root);
    }
}

static void a_lock_ends_the_rounds_and_the_next_one_has_the_next_number(void **state)
{
    struct rig *r = *state;
    struct commitment c;
    struct span note;
    uint8_t root[32];

    tenant_new(r, 101);
    go_round(r, root);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_lock(r);
    rig_unlock(r);
    assert_int_equal(branch(r, rig_id(101), &c, &note), NOT_FOUND);
    go_round(r, root);
    check_branch(r, rig_id(101), 1, root);
    assert_int_equal(branch(r, rig_id(101), &c, &note), OK);
    assert_int_equal(c.round, 1);
}

/* A server that was taken over could take it back and have another history signed. */
static void nothing_is_signed_of_a_round_that_the_anchor_does_not_cover(void **state)
{
    struct rig *r = *state;
    struct commitment c;
    struct span note;
    uint8_t root[32];

    tenant_new(r, 101);
    commit_round(r, root);
    assert_int_equal(branch(r, rig_id(101), &c, &note), NOT_FOUND);
    uint64_t before = rig_hello(r).anchor_size;
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    check_branch(r, rig_id(101), 1, root);
    assert_true(rig_hello(r).anchor_size > before);
}

static void a_large_round_is_built_in_slices(void **state)
{
    struct rig *r = *state;
    struct wire_entry many[LIMIT_BATCH_ENTRIES];
    uint8_t root[32];

    /* More than the rig can keep heads of: they are not asked for again. */
    for (unsigned batch = 0; batch < 5; batch++) {
        for (unsigned i = 0; i < 32; i++) {
            struct id id = { { 0xee, (uint8_t)batch, (uint8_t)i, 1 } };
            many[i] = (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = id };
        }
        rig_put_batch(r, many, 32);
        assert_int_equal(rig_call(r), OK);
        r->ack = in_u64(&r->body);
    }
    assert_int_equal(build(r), 3);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_TREE_COMMITTED }), OK);
    struct span field;
    assert_true(record_field(r->records[0].r.line, "root", &field));
    assert_true(hex_parse((const char *)field.p, field.n, root, 32));
    assert_int_equal(rig_checkpoint(r, tree_log), OK);
    struct id last = { { 0xee, 4, 31, 1 } };
    check_branch(r, last, 160, root);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_log_has_a_branch_that_leads_to_the_root),
        CASE(a_branch_shows_the_log_as_it_was_committed_to),
        CASE(no_two_rounds_show_the_same_hash),
        CASE(only_a_complete_round_has_a_record_and_only_one),
        CASE(nobody_but_the_round_writes_to_the_trees_log),
        CASE(a_lock_ends_the_rounds_and_the_next_one_has_the_next_number),
        CASE(nothing_is_signed_of_a_round_that_the_anchor_does_not_cover),
        CASE(a_large_round_is_built_in_slices),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
