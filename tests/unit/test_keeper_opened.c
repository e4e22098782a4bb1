/* What the keeper keeps of keys that were leased: nothing outlives what it was derived from. */
#include "keeper_customer.h"

static void leasing_again_takes_nothing_more_and_a_lock_leaves_nothing(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));
    size_t first;

    assert_int_equal(rig_entry(r, open), OK);
    first = secret_in_use();
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rig_entry(r, open), OK);
        assert_true(span_same(span_of(r->data, r->result.data.n), span_text(provider_key)));
    }
    assert_int_equal(secret_in_use(), first);
    rig_lock(r);
    assert_true(secret_in_use() <= 64);
}

static void a_key_that_was_leased_and_is_destroyed_is_gone_at_once(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));
    struct wire_entry destroy = { .kind = ENTRY_KEY_DESTROY,
                                  .tenant = TENANT,
                                  .key = KEY,
                                  .version = 1,
                                  .reason = DESTROY_REVOKED };
    struct wire_entry both[2] = { destroy, open };
    size_t before;

    keeper_tick(r->k);
    before = secret_in_use();
    assert_int_equal(rig_entry(r, open), OK);
    assert_true(secret_in_use() > before);
    /* In the very batch. */
    assert_int_equal(rig_batch(r, both, 2), OK);
    assert_int_equal(r->result.status, NOT_FOUND);
    keeper_tick(r->k);
    assert_true(secret_in_use() <= before);
    assert_int_equal(rig_entry(r, open), NOT_FOUND);
}

static void an_engagement_that_ends_ends_leases_of_keys_that_were_leased(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed));
    struct wire_entry end = { .kind = ENTRY_ENGAGEMENT_END,
                              .tenant = TENANT,
                              .engagement = ENGAGEMENT };

    assert_int_equal(rig_entry(r, open), OK);
    assert_int_equal(rig_entry(r, end), OK);
    assert_int_equal(rig_entry(r, open), DENIED);
}

static void another_tenant_or_another_value_finds_nothing_of_it(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, put_key(r, sealed)), other = open;

    rig_tenant(r, OTHER, rig_id(12));
    assert_int_equal(rig_entry(r, open), OK);
    other.tenant = OTHER;
    assert_int_equal(rig_entry(r, other), NOT_FOUND);
    other = open;
    other.provider++;
    assert_int_equal(rig_entry(r, other), CORRUPT);
    sealed[20] ^= 1; /* its salt */
    assert_int_equal(rig_entry(r, open), CORRUPT);
    sealed[20] ^= 1;
    sealed[open.data.n - 1] ^= 1; /* its tag */
    assert_int_equal(rig_entry(r, open), CORRUPT);
    sealed[open.data.n - 1] ^= 1;
    assert_int_equal(rig_entry(r, open), OK);
}

/* More than there are places for what begins alike. */
static void keys_and_logs_that_want_the_same_places_all_work(void **state)
{
    static uint8_t sealed[6][LIMIT_SEALED_KEY];
    struct wire_entry open[6];
    struct rig *r = *state;

    for (uint8_t i = 0; i < 6; i++) {
        struct id id = rig_id(30);
        id.b[15] = i;
        rig_tenant(r, id, rig_id((uint8_t)(40 + i)));
        assert_int_equal(rig_put(r, id, rig_id((uint8_t)(40 + i)), id, 1, provider_key), OK);
        memcpy(sealed[i], r->data, r->result.data.n);
        open[i] = rig_open_entry(id, id, 1, span_of(sealed[i], r->result.data.n));
    }
    for (size_t i = 0; i < 24; i++) {
        assert_int_equal(rig_entry(r, open[i % 6]), OK);
        assert_true(span_same(span_of(r->data, r->result.data.n), span_text(provider_key)));
        assert_true(id_same(&r->records[0].r.log, &open[i % 6].tenant));
    }
}

static void leases_of_one_batch_have_ids_of_their_own(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry entries[20];
    struct id seen[40];
    size_t count = 0;

    for (size_t i = 0; i < 20; i++)
        entries[i] = rig_open_entry(TENANT, KEY, 1, span_of(sealed, 0));
    entries[0].data = put_key(r, sealed);
    for (size_t i = 1; i < 20; i++)
        entries[i].data = entries[0].data;
    entries[3].version = 9; /* refused: it takes none */
    entries[5].lease = rig_id(77);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(rig_batch(r, entries, 20), OK);
        for (size_t i = 0; i < 20; i++) {
            struct id lease;
            struct span value;
            if (i == 3 || i == 5)
                continue;
            assert_true(record_field(r->records[i].r.line, "lease_id", &value));
            assert_true(hex_parse((const char *)value.p, value.n, lease.b, sizeof(lease.b)));
            assert_false(id_is_zero(&lease));
            for (size_t k = 0; k < count; k++)
                assert_false(id_same(&lease, &seen[k]));
            seen[count++] = lease;
        }
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(leasing_again_takes_nothing_more_and_a_lock_leaves_nothing),
        CASE(a_key_that_was_leased_and_is_destroyed_is_gone_at_once),
        CASE(an_engagement_that_ends_ends_leases_of_keys_that_were_leased),
        CASE(another_tenant_or_another_value_finds_nothing_of_it),
        CASE(keys_and_logs_that_want_the_same_places_all_work),
        CASE(leases_of_one_batch_have_ids_of_their_own),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
