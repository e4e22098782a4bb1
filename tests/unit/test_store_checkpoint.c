/* Checkpoints, cosignatures and subtrees as rows. */
#include "unit/test_store_rig.h"

static void the_newest_checkpoint_of_a_log_replaces_the_one_before(void **state)
{
    struct rig *r = *state;
    struct store_note n = { .log = id_of(1), .size = 3, .time_us = 7, .note = span_text("one\n") };

    assert_status(store_note(r->s, &n.log, &n, NULL), NOT_FOUND);
    for (unsigned i = 0; i < 2; i++) {
        n.size += i;
        n.note = span_text(i == 0 ? "one\n" : "two\n");
        rig_begin(r);
        assert_ok(store_note_set(r->s, &n, &r->e));
        rig_commit(r);
    }
    struct store_note got = { 0 };
    assert_ok(store_note(r->s, &n.log, &got, &r->e));
    assert_true(got.size == 4 && got.time_us == 7 && span_same(got.note, span_text("two\n")));
}

static bool count_nodes(void *context, uint64_t number, const uint8_t hash[static 32])
{
    uint64_t *seen = context;

    assert_int_equal(hash[0], number);
    *seen = *seen * 10 + number;
    return true;
}

static void subtrees_come_back_in_order_within_their_log_and_level(void **state)
{
    struct rig *r = *state;
    struct id log = id_of(1), other = id_of(2);
    uint64_t seen = 0;

    rig_begin(r);
    for (uint8_t i = 5; i-- > 1;) {
        uint8_t hash[32] = { i };
        assert_ok(store_node_add(r->s, &log, 8, i, hash, &r->e));
        assert_ok(store_node_add(r->s, &log, 8, i, hash, &r->e));
        assert_ok(store_node_add(r->s, &log, 16, i, hash, &r->e));
        assert_ok(store_node_add(r->s, &other, 8, i, hash, &r->e));
    }
    rig_commit(r);
    assert_ok(store_nodes(r->s, &log, 8, 2, 2, count_nodes, &seen, &r->e));
    assert_int_equal(seen, 23);
}

static void cosign(struct rig *r, uint64_t size, const char *witness, const char *line)
{
    struct store_cosignature c = { .size = size };

    snprintf(c.witness, sizeof(c.witness), "%s", witness);
    snprintf(c.line, sizeof(c.line), "%s", line);
    rig_begin(r);
    assert_ok(store_cosignature_add(r->s, &c, &r->e));
    rig_commit(r);
}

static void a_cosigned_checkpoint_of_the_tree_is_kept_until_a_later_one_is(void **state)
{
    struct rig *r = *state;
    struct store_cosignature got[4];
    struct span note;
    size_t count = 0;

    for (uint64_t size = 1; size <= 9; size++) {
        rig_begin(r);
        assert_ok(
            store_tree_note_add(r->s, size, span_text("note\n"), size > 3 ? size - 3 : 0, &r->e));
        rig_commit(r);
        if (size == 2) {
            cosign(r, 2, "b", "of b");
            cosign(r, 2, "a", "of a, at first");
            cosign(r, 2, "a", "of a");
        }
    }
    assert_ok(store_tree_note(r->s, 2, &note, &r->e));
    assert_ok(store_tree_note(r->s, 6, &note, &r->e));
    assert_status(store_tree_note(r->s, 5, &note, NULL), NOT_FOUND);
    assert_ok(store_cosignatures(r->s, got, 4, &count, &r->e));
    assert_int_equal(count, 2);
    assert_string_equal(got[0].line, "of a");
    assert_int_equal(got[1].size, 2);
    cosign(r, 8, "b", "of b again");
    assert_ok(store_cosignatures(r->s, got, 4, &count, &r->e));
    assert_int_equal(count, 1);
    assert_int_equal(got[0].size, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(the_newest_checkpoint_of_a_log_replaces_the_one_before),
        sentence(subtrees_come_back_in_order_within_their_log_and_level),
        sentence(a_cosigned_checkpoint_of_the_tree_is_kept_until_a_later_one_is),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
