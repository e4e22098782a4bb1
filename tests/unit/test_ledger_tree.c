/* The Merkle tree of a log, its MACs, and the head that is stored between unlocks. */
#include "test_ledger_log.h"

#define LEAVES 200

static const uint8_t head_key32[32] = { 0x4b };
static struct secret *head_key;

static void add_numbered(struct ledger_tree *t, uint64_t number)
{
    uint8_t line[2] = { (uint8_t)(number >> 8), (uint8_t)number };
    uint8_t leaf[SHA256_SIZE];

    ledger_leaf(SPAN(line), leaf);
    assert_int_equal(ledger_append(t, leaf, number, NULL), OK);
}

static void a_new_log_is_empty_and_bound_to_its_vault(void **state)
{
    struct ledger_tree a;
    struct ledger_tree b;
    uint8_t root[SHA256_SIZE];

    (void)state;
    ledger_genesis(&vault, &log_id, &a);
    assert_int_equal(a.size, 0);
    assert_int_equal(a.time_us, 0);
    assert_true(id_same(&a.log, &log_id));
    ledger_root(&a, root);
    assert_hex(SPAN(root), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ledger_genesis(&log_id, &log_id, &b);
    assert_memory_not_equal(a.prev, b.prev, sizeof(a.prev));
    ledger_genesis(&vault, &vault, &b);
    assert_memory_not_equal(a.prev, b.prev, sizeof(a.prev));
}

static void appending_moves_size_time_and_prev(void **state)
{
    struct ledger_tree t;
    uint8_t leaf[SHA256_SIZE];

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    ledger_leaf(span_text("line"), leaf);
    assert_int_equal(ledger_append(&t, leaf, 5, NULL), OK);
    assert_int_equal(t.size, 1);
    assert_int_equal(t.time_us, 5);
    assert_memory_equal(t.prev, leaf, sizeof(leaf));
    assert_int_equal(ledger_append(&t, leaf, 5, NULL), OK);
}

static void time_does_not_run_backwards(void **state)
{
    struct ledger_tree before;
    struct ledger_tree t;
    uint8_t leaf[SHA256_SIZE] = { 1 };

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    assert_int_equal(ledger_append(&t, leaf, 5, NULL), OK);
    before = t;
    assert_int_equal(ledger_append(&t, leaf, 4, NULL), BAD_INPUT);
    assert_memory_equal(&t, &before, sizeof(t));
}

static void a_full_log_takes_no_more(void **state)
{
    struct ledger_tree t;
    uint8_t leaf[SHA256_SIZE] = { 1 };

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    t.size = ((uint64_t)1 << LIMIT_TREE_LEVELS) - 2;
    assert_int_equal(ledger_append(&t, leaf, 0, NULL), OK);
    assert_int_equal(ledger_append(&t, leaf, 0, NULL), LIMIT);
    assert_int_equal(t.size, ((uint64_t)1 << LIMIT_TREE_LEVELS) - 1);
}

static void leaves_and_nodes_are_never_mistaken(void **state)
{
    struct ledger_tree t;
    uint8_t both[2 * SHA256_SIZE];
    uint8_t root[SHA256_SIZE];
    uint8_t leaf[SHA256_SIZE];

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    for (size_t i = 0; i < 2; i++) {
        ledger_leaf(span_of(&"ab"[i], 1), leaf);
        memcpy(both + i * SHA256_SIZE, leaf, SHA256_SIZE);
        assert_int_equal(ledger_append(&t, leaf, 0, NULL), OK);
    }
    ledger_root(&t, root);
    ledger_leaf(SPAN(both), leaf);
    assert_memory_not_equal(root, leaf, sizeof(root));
}

static void a_head_brings_back_the_tree_at_every_size(void **state)
{
    struct ledger_tree t;

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    for (uint64_t n = 0; n < LEAVES; n++) {
        uint8_t bytes[LEDGER_HEAD_MAX];
        uint8_t root[SHA256_SIZE];
        uint8_t same[SHA256_SIZE];
        struct ledger_tree back;
        struct out o;

        out_init(&o, bytes, sizeof(bytes));
        assert_int_equal(ledger_head_encode(&t, head_key, &o, NULL), OK);
        assert_int_equal(ledger_head_decode(span_of(o.p, o.n), head_key, &back, NULL), OK);
        assert_int_equal(back.size, n);
        assert_int_equal(back.time_us, t.time_us);
        assert_memory_equal(back.prev, t.prev, sizeof(t.prev));
        /* It must not only look alike but grow alike. */
        add_numbered(&back, n);
        add_numbered(&t, n);
        ledger_root(&back, root);
        ledger_root(&t, same);
        assert_memory_equal(root, same, sizeof(root));
    }
}

static void a_head_with_any_changed_byte_is_refused(void **state)
{
    struct ledger_tree back = { .size = 99 };
    struct ledger_tree t;
    uint8_t bytes[LEDGER_HEAD_MAX];
    AUTO(secret) *other_key = NULL;
    struct out o;

    (void)state;
    assert_int_equal(ledger_head_mac_key(SPAN(seed32), &other_key, NULL), OK);
    ledger_genesis(&vault, &log_id, &t);
    for (uint64_t n = 0; n < 5; n++)
        add_numbered(&t, n);
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(ledger_head_encode(&t, head_key, &o, NULL), OK);
    for (size_t i = 0; i < o.n; i++) {
        bytes[i] ^= 1;
        assert_int_equal(ledger_head_decode(span_of(o.p, o.n), head_key, &back, NULL), CORRUPT);
        bytes[i] ^= 1;
    }
    for (size_t n = 0; n < o.n; n++)
        assert_int_equal(ledger_head_decode(span_of(o.p, n), head_key, &back, NULL), CORRUPT);
    assert_int_equal(ledger_head_decode(span_of(o.p, o.n), other_key, &back, NULL), CORRUPT);
    assert_int_equal(back.size, 99); /* untouched */
}

/* A head of the given size and number of edge hashes with a MAC that is right. */
static status decode_made(uint64_t size, size_t hashes)
{
    struct ledger_tree back;
    uint8_t bytes[LEDGER_HEAD_MAX + 64] = { 0 };
    uint8_t mac[MAC_SIZE];
    struct label l;
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    out_id(&o, &log_id);
    out_u64(&o, size);
    assert_non_null(out_room(&o, 8 + 32 + 32 * hashes));
    label_init(&l, "ledger-head");
    assert_int_equal(crypto_mac(SPAN(head_key32), &l, span_of(o.p, o.n), mac, NULL), OK);
    out_raw(&o, SPAN(mac));
    assert_false(o.overflow);
    return ledger_head_decode(span_of(o.p, o.n), head_key, &back, NULL);
}

static void a_head_whose_hashes_do_not_fit_its_size_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_made(5, 2), OK);
    assert_int_equal(decode_made(5, 1), CORRUPT);
    assert_int_equal(decode_made(5, 3), CORRUPT);
    assert_int_equal(decode_made(0, 1), CORRUPT);
    assert_int_equal(decode_made(((uint64_t)1 << LIMIT_TREE_LEVELS) - 1, LIMIT_TREE_LEVELS), OK);
    assert_int_equal(decode_made((uint64_t)1 << LIMIT_TREE_LEVELS, 0), CORRUPT);
    assert_int_equal(decode_made((uint64_t)1 << 63, 0), CORRUPT);
}

static void a_head_that_does_not_fit_its_buffer_is_not_written(void **state)
{
    struct ledger_tree t;
    uint8_t bytes[95];
    struct out o;

    (void)state;
    ledger_genesis(&vault, &log_id, &t);
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(ledger_head_encode(&t, head_key, &o, NULL), LIMIT);
    assert_int_equal(o.n, 0);
}

static void each_log_has_its_own_audit_key(void **state)
{
    static const uint8_t bytes[32] = { 0x47 };
    AUTO(secret) *root = NULL;
    AUTO(secret) *a = NULL;
    AUTO(secret) *b = NULL;
    AUTO(secret) *c = NULL;
    AUTO(secret) *a_macs = NULL;
    AUTO(secret) *b_macs = NULL;
    uint8_t one[MAC_SIZE];
    uint8_t two[MAC_SIZE];

    (void)state;
    assert_int_equal(secret_copy(SPAN(bytes), &root, NULL), OK);
    assert_int_equal(ledger_audit_key(root, &vault, &log_id, &a, NULL), OK);
    assert_int_equal(ledger_audit_key(root, &vault, &vault, &b, NULL), OK);
    assert_int_equal(ledger_audit_key(root, &log_id, &vault, &c, NULL), OK);
    assert_int_equal(secret_view(a).n, KEY_SIZE);
    assert_false(secret_equal(secret_view(a), secret_view(b)));
    assert_false(secret_equal(secret_view(b), secret_view(c)));
    assert_int_equal(ledger_mac_key(secret_view(a), &a_macs, NULL), OK);
    assert_int_equal(ledger_mac_key(secret_view(b), &b_macs, NULL), OK);
    assert_int_equal(ledger_mac(a_macs, span_text("line"), one, NULL), OK);
    assert_int_equal(ledger_mac(b_macs, span_text("line"), two, NULL), OK);
    assert_memory_not_equal(one, two, sizeof(one));
    assert_int_equal(ledger_mac(a_macs, span_text("linf"), two, NULL), OK);
    assert_memory_not_equal(one, two, sizeof(one));
}

static int start(void **state)
{
    (void)state;
    if (secret_start(65536, NULL) != OK)
        return -1;
    return ledger_head_mac_key(SPAN(head_key32), &head_key, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_log_is_empty_and_bound_to_its_vault),
        cmocka_unit_test(appending_moves_size_time_and_prev),
        cmocka_unit_test(time_does_not_run_backwards),
        cmocka_unit_test(a_full_log_takes_no_more),
        cmocka_unit_test(leaves_and_nodes_are_never_mistaken),
        cmocka_unit_test(a_head_brings_back_the_tree_at_every_size),
        cmocka_unit_test(a_head_with_any_changed_byte_is_refused),
        cmocka_unit_test(a_head_whose_hashes_do_not_fit_its_size_is_refused),
        cmocka_unit_test(a_head_that_does_not_fit_its_buffer_is_not_written),
        cmocka_unit_test(each_log_has_its_own_audit_key),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
