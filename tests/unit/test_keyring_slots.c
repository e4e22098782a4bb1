/* Slots: rolling, the full table, the end of a slot. */
#include "keyring_rig.h"

static bool same(const struct slot *a, const struct slot *b)
{
    return id_same(&a->id, &b->id) && a->kind == b->kind &&
           a->user_verification == b->user_verification && a->x == b->x && a->used == b->used &&
           a->generation == b->generation && a->epoch == b->epoch &&
           span_same(SPAN(a->label), SPAN(b->label)) &&
           span_same(SPAN(a->aaguid), SPAN(b->aaguid)) &&
           a->credential_id_length == b->credential_id_length &&
           span_same(SPAN(a->credential_id), SPAN(b->credential_id)) &&
           span_same(SPAN(a->cose_public), SPAN(b->cose_public)) &&
           span_same(SPAN(a->salt), SPAN(b->salt)) &&
           span_same(SPAN(a->salt_next), SPAN(b->salt_next)) &&
           span_same(SPAN(a->public_key), SPAN(b->public_key)) &&
           span_same(SPAN(a->sealed_private), SPAN(b->sealed_private)) &&
           span_same(SPAN(a->sealed_share), SPAN(b->sealed_share)) &&
           a->created_us == b->created_us;
}

static size_t slot_count(const struct keyring *k)
{
    struct slot slot;
    size_t cursor = 0, n = 0;

    while (keyring_next_slot(k, &cursor, &slot))
        n++;
    return n;
}

static void a_slot_comes_back_as_it_was_put(void **state)
{
    struct rig r;
    struct slot slot = rig_slot(9, 3), got;

    (void)state;
    rig_make(&r, 0, 0);
    slot.credential_id_length = LIMIT_CREDENTIAL_ID;
    for (size_t i = 0; i < LIMIT_CREDENTIAL_ID; i++)
        slot.credential_id[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < SLOT_LABEL; i++)
        slot.label[i] = 'x';
    for (size_t i = 0; i < 64; i++)
        slot.cose_public[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < 32; i++) {
        slot.salt[i] = (uint8_t)(i + 2);
        slot.salt_next[i] = (uint8_t)(i + 3);
        slot.public_key[i] = (uint8_t)(i + 4);
        slot.aaguid[i / 2] = (uint8_t)(i + 5);
    }
    slot.kind = SLOT_RECOVERY;
    slot.x = 255;
    slot.used = 1;
    slot.epoch = 0;
    assert_ok(keyring_put_slot(r.k, &slot, &r.e), &r.e);
    for (int pass = 0; pass < 2; pass++) {
        assert_ok(keyring_slot(r.k, &slot.id, &got, &r.e), &r.e);
        assert_true(same(&slot, &got));
        assert_int_equal(slot_count(r.k), 1);
        rig_reopen(&r);
    }
    rig_end(&r);
}

static void a_rolled_slot_leaves_nothing_of_the_one_before(void **state)
{
    struct rig r;
    struct slot got;

    (void)state;
    rig_make(&r, 3, 2);
    for (uint32_t generation = 2; generation < 150; generation++) {
        struct slot slot = rig_slot(2, generation), old = rig_slot(2, generation - 1);

        assert_ok(keyring_put_slot(r.k, &slot, &r.e), &r.e);
        assert_false(rig_file_has(r.file, old.sealed_private, sizeof(old.sealed_private)));
        assert_int_equal(slot_count(r.k), 3);
        if (generation % 50 == 0)
            rig_reopen(&r);
    }
    assert_status(keyring_slot(r.k, &(struct id){ { 0 } }, &got, NULL), NOT_FOUND);
    rig_reopen(&r);
    assert_int_equal(slot_count(r.k), 3);
    rig_end(&r);
}

static void a_full_table_can_still_roll_but_not_grow(void **state)
{
    struct rig r;
    struct slot more = rig_slot(100, 1);

    (void)state;
    rig_make(&r, LIMIT_SLOTS, 1);
    assert_int_equal(slot_count(r.k), LIMIT_SLOTS);
    assert_status(keyring_put_slot(r.k, &more, NULL), LIMIT);
    for (uint32_t n = 1; n <= LIMIT_SLOTS; n++) {
        struct slot rolled = rig_slot(n, 2);

        assert_ok(keyring_put_slot(r.k, &rolled, &r.e), &r.e);
    }
    rig_reopen(&r);
    assert_int_equal(slot_count(r.k), LIMIT_SLOTS);
    assert_status(keyring_put_slot(r.k, &more, NULL), LIMIT);
    assert_status(keyring_destroy_slot(r.k, &(struct id){ { 0 } }, NULL), NOT_FOUND);
    more.id = rig_id(5);
    assert_ok(keyring_destroy_slot(r.k, &more.id, &r.e), &r.e);
    more = rig_slot(100, 1);
    assert_ok(keyring_put_slot(r.k, &more, &r.e), &r.e);
    rig_reopen(&r);
    assert_int_equal(slot_count(r.k), LIMIT_SLOTS);
    rig_end(&r);
}

static void a_destroyed_slot_is_gone(void **state)
{
    struct rig r;
    struct slot old = rig_slot(2, 1), got;

    (void)state;
    rig_make(&r, 3, 2);
    assert_ok(keyring_destroy_slot(r.k, &old.id, &r.e), &r.e);
    for (int pass = 0; pass < 2; pass++) {
        assert_status(keyring_slot(r.k, &old.id, &got, NULL), NOT_FOUND);
        assert_int_equal(slot_count(r.k), 2);
        assert_false(rig_file_has(r.file, old.sealed_private, sizeof(old.sealed_private)));
        rig_reopen(&r);
    }
    assert_status(keyring_destroy_slot(r.k, &old.id, NULL), NOT_FOUND);
    rig_end(&r);
}

static void a_senseless_slot_is_refused(void **state)
{
    struct rig r;
    struct slot slot = rig_slot(9, 1);

    (void)state;
    rig_make(&r, 0, 0);
    slot.kind = SLOT_NONE;
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    slot = rig_slot(9, 1);
    slot.credential_id_length = LIMIT_CREDENTIAL_ID + 1;
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    slot = rig_slot(9, 1);
    slot.x = 0;
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    slot = rig_slot(9, 1);
    slot.used = 2;
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    slot = rig_slot(9, 1);
    slot.label[SLOT_LABEL] = 'x';
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    slot = rig_slot(9, 1);
    slot.id = (struct id){ { 0 } };
    assert_status(keyring_put_slot(r.k, &slot, NULL), BAD_INPUT);
    assert_int_equal(slot_count(r.k), 0);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_comes_back_as_it_was_put),
        cmocka_unit_test(a_rolled_slot_leaves_nothing_of_the_one_before),
        cmocka_unit_test(a_full_table_can_still_roll_but_not_grow),
        cmocka_unit_test(a_destroyed_slot_is_gone),
        cmocka_unit_test(a_senseless_slot_is_refused),
    };

    return cmocka_run_group_tests(tests, rig_start, NULL);
}
