/*
 * Proofs: the published ones of the customary eight leaves, and every one there is in small trees,
 * against a tree that is computed as RFC 6962 writes it down.
 */
#include "test_ledger_log.h"

#include <jansson.h>

#include "ledger/proof.h"

#define SIZES        40
#define PUBLISHED    8
#define CHANGED_SIZE 20

/* The leaves of a tree. */
struct leaves {
    size_t count;
    uint8_t hash[SIZES][SHA256_SIZE];
};

/* MTH(D[start:end]), split at the largest power of two. */
static void subtree(const struct leaves *l, uint64_t start, uint64_t end, uint8_t *out)
{
    uint8_t left[SHA256_SIZE];
    uint8_t right[SHA256_SIZE];
    uint64_t half = 1;

    if (start == end) {
        sha256(span_of(NULL, 0), out);
        return;
    }
    if (end - start == 1) {
        memcpy(out, l->hash[start], SHA256_SIZE);
        return;
    }
    while (half * 2 < end - start)
        half *= 2;
    subtree(l, start, start + half, left);
    subtree(l, start + half, end, right);
    ledger_node(left, right, out);
}

static status node(void *context, unsigned level, uint64_t number, uint8_t *ret_hash, struct err *e)
{
    const struct leaves *l = context;

    (void)e;
    assert_true((number + 1) << level <= l->count);
    subtree(l, number << level, (number + 1) << level, ret_hash);
    return OK;
}

static status no_node(void *context, unsigned level, uint64_t number, uint8_t *ret_hash,
                      struct err *e)
{
    (void)context;
    (void)level;
    (void)number;
    (void)ret_hash;
    return fail(e, NOT_FOUND, "no such node", 0);
}

static struct leaves numbered(size_t count)
{
    struct leaves l = { .count = count };

    for (size_t i = 0; i < count; i++) {
        uint8_t line[2] = { (uint8_t)(i >> 8), (uint8_t)i };

        ledger_leaf(SPAN(line), l.hash[i]);
    }
    return l;
}

static json_t *golden(void)
{
    json_t *j = json_load_file(SOURCE_DIR "/tests/golden/ledger_rfc6962.json", 0, NULL);

    assert_non_null(j);
    return j;
}

static struct leaves published(const json_t *file)
{
    const json_t *inputs = json_object_get(file, "inputs");
    struct leaves l = { .count = PUBLISHED };

    for (size_t i = 0; i < PUBLISHED; i++) {
        const char *hex = json_string_value(json_array_get(inputs, i));
        uint8_t input[16];

        assert_true(hex_parse(hex, strlen(hex), input, strlen(hex) / 2));
        ledger_leaf(span_of(input, strlen(hex) / 2), l.hash[i]);
    }
    return l;
}

static uint64_t number_of(const json_t *j, const char *name)
{
    assert_true(json_is_integer(json_object_get(j, name)));
    return (uint64_t)json_integer_value(json_object_get(j, name));
}

static void assert_proof(const struct ledger_proof *p, const json_t *one)
{
    const json_t *hashes = json_object_get(one, "proof");

    assert_true(json_is_array(hashes));
    assert_int_equal(p->count, json_array_size(hashes));
    for (size_t i = 0; i < p->count; i++)
        assert_hex(SPAN(p->hash[i]), json_string_value(json_array_get(hashes, i)));
}

static void the_published_inclusion_paths_are_made_and_hold(void **state)
{
    json_t *file = golden();
    struct leaves l = published(file);
    json_t *one = NULL;
    size_t i = 0;

    (void)state;
    assert_int_equal(json_array_size(json_object_get(file, "inclusion")), 5);
    json_array_foreach(json_object_get(file, "inclusion"), i, one)
    {
        uint64_t seq = number_of(one, "seq");
        uint64_t size = number_of(one, "size");
        uint8_t root[SHA256_SIZE];
        struct ledger_proof p;

        subtree(&l, 0, size, root);
        assert_hex(SPAN(root),
                   json_string_value(json_array_get(json_object_get(file, "roots"), (size_t)size)));
        assert_int_equal(proof_inclusion(seq, size, node, &l, &p, NULL), OK);
        assert_proof(&p, one);
        assert_int_equal(proof_inclusion_check(l.hash[seq], seq, size, root, &p, NULL), OK);
    }
    json_decref(file);
}

static void the_published_consistency_paths_are_made_and_hold(void **state)
{
    json_t *file = golden();
    struct leaves l = published(file);
    json_t *one = NULL;
    size_t i = 0;

    (void)state;
    assert_int_equal(json_array_size(json_object_get(file, "consistency")), 4);
    json_array_foreach(json_object_get(file, "consistency"), i, one)
    {
        uint64_t from = number_of(one, "from");
        uint64_t size = number_of(one, "size");
        uint8_t before[SHA256_SIZE];
        uint8_t after[SHA256_SIZE];
        struct ledger_proof p;

        subtree(&l, 0, from, before);
        subtree(&l, 0, size, after);
        assert_int_equal(proof_consistency(from, size, node, &l, &p, NULL), OK);
        assert_proof(&p, one);
        assert_int_equal(proof_consistency_check(from, before, size, after, &p, NULL), OK);
    }
    json_decref(file);
}

static void every_record_of_every_size_is_proven_there_and_nowhere_else(void **state)
{
    struct leaves l = numbered(SIZES);

    (void)state;
    for (uint64_t size = 1; size <= SIZES; size++) {
        uint8_t root[SHA256_SIZE];

        subtree(&l, 0, size, root);
        for (uint64_t seq = 0; seq < size; seq++) {
            struct ledger_proof p;

            assert_int_equal(proof_inclusion(seq, size, node, &l, &p, NULL), OK);
            for (uint64_t at = 0; at <= size; at++)
                assert_int_equal(proof_inclusion_check(l.hash[seq], at, size, root, &p, NULL),
                                 at == seq ? OK : CORRUPT);
            if (p.count > 0) {
                p.count--;
                assert_int_equal(proof_inclusion_check(l.hash[seq], seq, size, root, &p, NULL),
                                 CORRUPT);
                p.count++;
            }
            memset(p.hash[p.count++], 0, SHA256_SIZE);
            assert_int_equal(proof_inclusion_check(l.hash[seq], seq, size, root, &p, NULL),
                             CORRUPT);
        }
    }
}

static void every_size_is_proven_to_begin_with_every_smaller_one_only(void **state)
{
    struct leaves l = numbered(SIZES);
    uint8_t roots[SIZES + 1][SHA256_SIZE];

    (void)state;
    for (uint64_t size = 0; size <= SIZES; size++)
        subtree(&l, 0, size, roots[size]);
    for (uint64_t size = 1; size <= SIZES; size++) {
        for (uint64_t from = 0; from <= size; from++) {
            struct ledger_proof p;

            assert_int_equal(proof_consistency(from, size, node, &l, &p, NULL), OK);
            assert_true(p.count == 0 || (from != 0 && from != size));
            for (uint64_t other = 1; other <= SIZES; other++)
                assert_int_equal(
                    proof_consistency_check(from, roots[other], size, roots[size], &p, NULL),
                    from == 0 || other == from ? OK : CORRUPT);
            memset(p.hash[p.count++], 0, SHA256_SIZE);
            assert_int_equal(
                proof_consistency_check(from, roots[from], size, roots[size], &p, NULL), CORRUPT);
        }
    }
}

static void any_changed_bit_of_a_proof_is_refused(void **state)
{
    struct leaves l = numbered(CHANGED_SIZE);
    uint8_t roots[CHANGED_SIZE + 1][SHA256_SIZE];
    const uint64_t size = CHANGED_SIZE;

    (void)state;
    for (uint64_t n = 0; n <= size; n++)
        subtree(&l, 0, n, roots[n]);
    for (uint64_t at = 0; at < size; at++) {
        struct ledger_proof in;
        struct ledger_proof grown;

        assert_int_equal(proof_inclusion(at, size, node, &l, &in, NULL), OK);
        assert_int_equal(proof_consistency(at, size, node, &l, &grown, NULL), OK);
        for (size_t bit = 0; bit < in.count * SHA256_SIZE * 8; bit++) {
            in.hash[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(proof_inclusion_check(l.hash[at], at, size, roots[size], &in, NULL),
                             CORRUPT);
            in.hash[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
        }
        for (size_t bit = 0; bit < grown.count * SHA256_SIZE * 8; bit++) {
            grown.hash[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(
                proof_consistency_check(at, roots[at], size, roots[size], &grown, NULL), CORRUPT);
            grown.hash[bit / 256][bit % 256 / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* The root of a tree put together from a range's two sides and the records between them. */
static status assemble(const struct leaves *l, uint64_t from, uint64_t to, uint64_t size,
                       const struct ledger_proof *left, const struct ledger_proof *right,
                       uint8_t *ret_root)
{
    struct ledger_tree t = { .size = 77 };
    status st = ledger_tree_start(&t, from, left, NULL);

    if (st != OK)
        return st;
    assert_int_equal(t.size, from);
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(ledger_append(&t, l->hash[i], 0, NULL), OK);
    st = ledger_tree_finish(&t, size, right, NULL);
    if (st == OK)
        ledger_root(&t, ret_root);
    return st;
}

static void every_range_of_every_size_gives_the_root(void **state)
{
    struct leaves l = numbered(SIZES);

    (void)state;
    for (uint64_t size = 0; size <= SIZES; size++) {
        uint8_t root[SHA256_SIZE];

        subtree(&l, 0, size, root);
        for (uint64_t from = 0; from <= size; from++) {
            for (uint64_t to = from; to <= size; to++) {
                struct ledger_proof left;
                struct ledger_proof right;
                uint8_t got[SHA256_SIZE];

                assert_int_equal(proof_range(from, to, size, node, &l, &left, &right, NULL), OK);
                assert_int_equal(assemble(&l, from, to, size, &left, &right, got), OK);
                assert_memory_equal(got, root, sizeof(root));
                left.count++;
                assert_int_equal(assemble(&l, from, to, size, &left, &right, got), CORRUPT);
                left.count--;
                right.count++;
                assert_int_equal(assemble(&l, from, to, size, &left, &right, got), CORRUPT);
                right.count--;
                if (left.count > 0) {
                    left.hash[left.count - 1][3] ^= 1;
                    assert_int_equal(assemble(&l, from, to, size, &left, &right, got), OK);
                    assert_memory_not_equal(got, root, sizeof(root));
                    left.count--;
                    assert_int_equal(assemble(&l, from, to, size, &left, &right, got), CORRUPT);
                }
            }
        }
    }
}

static void what_is_not_there_is_not_proven(void **state)
{
    struct leaves l = numbered(SIZES);
    struct ledger_proof p = { .count = 0 };
    struct ledger_proof q;
    uint8_t root[SHA256_SIZE];

    (void)state;
    subtree(&l, 0, SIZES, root);
    assert_int_equal(proof_inclusion(5, 5, node, &l, &p, NULL), BAD_INPUT);
    assert_int_equal(proof_inclusion(0, 0, node, &l, &p, NULL), BAD_INPUT);
    assert_int_equal(proof_consistency(6, 5, node, &l, &p, NULL), BAD_INPUT);
    assert_int_equal(proof_range(6, 5, 9, node, &l, &p, &q, NULL), BAD_INPUT);
    assert_int_equal(proof_range(3, 10, 9, node, &l, &p, &q, NULL), BAD_INPUT);
    assert_int_equal(proof_inclusion(5, (uint64_t)1 << LIMIT_TREE_LEVELS, no_node, &l, &p, NULL),
                     BAD_INPUT);
    assert_int_equal(proof_inclusion_check(l.hash[0], 0, 0, root, &p, NULL), CORRUPT);
    assert_int_equal(proof_consistency_check(9, root, 8, root, &p, NULL), CORRUPT);
    p.count = PROOF_MAX + 1;
    assert_int_equal(proof_inclusion_check(l.hash[0], 0, SIZES, root, &p, NULL), CORRUPT);
    assert_int_equal(proof_consistency_check(3, root, SIZES, root, &p, NULL), CORRUPT);
}

static void a_failure_of_the_source_is_passed_on(void **state)
{
    struct ledger_proof p;
    struct ledger_proof q;

    (void)state;
    assert_int_equal(proof_inclusion(1, 2, no_node, NULL, &p, NULL), NOT_FOUND);
    assert_int_equal(proof_consistency(3, 5, no_node, NULL, &p, NULL), NOT_FOUND);
    assert_int_equal(proof_range(1, 2, 3, no_node, NULL, &p, &q, NULL), NOT_FOUND);
    assert_int_equal(proof_range(0, 2, 3, no_node, NULL, &p, &q, NULL), NOT_FOUND);
}

/* In place of a tree of 2^39 records: the hash says which subtree it stands for. */
static status far_node(void *context, unsigned level, uint64_t number, uint8_t *ret_hash,
                       struct err *e)
{
    uint8_t name[9] = { (uint8_t)level };

    (void)context;
    (void)e;
    for (size_t i = 0; i < 8; i++)
        name[1 + i] = (uint8_t)(number >> (8 * i));
    sha256(SPAN(name), ret_hash);
    return OK;
}

static void the_largest_log_has_proofs_that_fit(void **state)
{
    const uint64_t size = ((uint64_t)1 << LIMIT_TREE_LEVELS) - 1;
    struct ledger_tree t = { .size = 0 };
    struct ledger_proof p;
    struct ledger_proof q;

    (void)state;
    assert_int_equal(proof_inclusion(0, size, far_node, NULL, &p, NULL), OK);
    assert_int_equal(p.count, LIMIT_TREE_LEVELS);
    assert_int_equal(proof_consistency(size - 2, size, far_node, NULL, &p, NULL), OK);
    assert_true(p.count <= LIMIT_TREE_LEVELS + 1);
    assert_int_equal(proof_range(1, 1, size, far_node, NULL, &p, &q, NULL), OK);
    assert_int_equal(ledger_tree_start(&t, 1, &p, NULL), OK);
    assert_int_equal(ledger_tree_finish(&t, size, &q, NULL), OK);
    assert_int_equal(t.size, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_inclusion_paths_are_made_and_hold),
        cmocka_unit_test(the_published_consistency_paths_are_made_and_hold),
        cmocka_unit_test(every_record_of_every_size_is_proven_there_and_nowhere_else),
        cmocka_unit_test(every_size_is_proven_to_begin_with_every_smaller_one_only),
        cmocka_unit_test(any_changed_bit_of_a_proof_is_refused),
        cmocka_unit_test(every_range_of_every_size_gives_the_root),
        cmocka_unit_test(what_is_not_there_is_not_proven),
        cmocka_unit_test(a_failure_of_the_source_is_passed_on),
        cmocka_unit_test(the_largest_log_has_proofs_that_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
