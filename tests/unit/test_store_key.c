/* Keys, their versions, and the look-up of a lease. No tenant sees another one's rows. */
#include "base/limits.h"

#include "unit/test_store_rig.h"

static void a_key_is_found_by_name_and_id(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), id = id_of(1001), engagement = id_of(101);
    struct store_key k;

    rig_fill(r);
    assert_ok(store_key(r->s, &one, "openai", &k, &r->e));
    assert_true(id_same(&k.id, &id));
    assert_true(id_same(&k.tenant, &one));
    assert_true(id_same(&k.engagement, &engagement));
    assert_int_equal(k.provider, 7);
    assert_int_equal(k.state, KEY_ACTIVE);
    assert_int_equal(k.version, 1);
    assert_int_equal(k.created_us, CREATED_US);
    assert_ok(store_key_by_id(r->s, &one, &id, &k, &r->e));
    assert_string_equal(k.name, "openai");
    assert_status(store_key(r->s, &one, "other", &k, NULL), NOT_FOUND);
}

static void a_key_needs_a_free_name_and_an_engagement_of_its_tenant(void **state)
{
    struct rig *r = *state;
    struct store_key twin = key_of(1003, 1, 101, "openai");
    struct store_key same = key_of(1001, 1, 101, "other");
    struct store_key homeless = key_of(1003, 1, 109, "other");
    struct store_key stray = key_of(1003, 1, 102, "other");
    struct store_key ok = key_of(1003, 2, 102, "other");

    rig_fill(r);
    rig_begin(r);
    assert_status(store_key_add(r->s, &twin, NULL), CONFLICT);
    assert_status(store_key_add(r->s, &same, NULL), CONFLICT);
    assert_status(store_key_add(r->s, &homeless, NULL), CONFLICT);
    assert_status(store_key_add(r->s, &stray, NULL), CONFLICT); /* another tenant's engagement */
    assert_ok(store_key_add(r->s, &ok, &r->e));
    rig_commit(r);
}

static void a_key_changes_only_for_its_tenant(void **state)
{
    struct rig *r = *state;
    struct store_key k = key_of(1001, 1, 101, "ignored");
    struct store_key foreign = key_of(1001, 2, 102, "ignored");
    struct store_key moved = key_of(1001, 1, 102, "ignored");
    struct store_key now;

    rig_fill(r);
    k.state = KEY_REVOKED;
    k.version = 4;
    k.provider = 9;
    rig_begin(r);
    assert_ok(store_key_set(r->s, &k, &r->e));
    assert_status(store_key_set(r->s, &foreign, NULL), NOT_FOUND);
    assert_status(store_key_set(r->s, &moved, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_key(r->s, &k.tenant, "openai", &now, &r->e));
    assert_int_equal(now.state, KEY_REVOKED);
    assert_int_equal(now.version, 4);
    assert_int_equal(now.provider, 9);
}

static void keys_are_listed_for_one_tenant_in_pages(void **state)
{
    struct rig *r = *state;
    struct store_key second = key_of(1003, 1, 101, "zeal");
    struct store_key page[2];
    struct id one = id_of(1), two = id_of(2);
    size_t count;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_key_add(r->s, &second, &r->e));
    rig_commit(r);
    assert_ok(store_keys(r->s, &one, NULL, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_string_equal(page[0].name, "openai");
    assert_ok(store_keys(r->s, &one, "openai", page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_string_equal(page[0].name, "zeal");
    assert_ok(store_keys(r->s, &two, NULL, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
}

static void no_tenant_reads_or_changes_another_ones_rows(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), two = id_of(2), key = id_of(1001), engagement = id_of(101);
    struct store_version v, page[2];
    struct store_key k;
    struct store_engagement g;
    size_t count = 9;

    rig_fill(r);
    assert_status(store_engagement_by_id(r->s, &two, &engagement, &g, NULL), NOT_FOUND);
    assert_status(store_key_by_id(r->s, &two, &key, &k, NULL), NOT_FOUND);
    assert_status(store_version(r->s, &two, &key, 1, &v, NULL), NOT_FOUND);
    assert_ok(store_versions(r->s, &two, &key, page, 2, &count, &r->e));
    assert_int_equal(count, 0);
    rig_begin(r);
    assert_status(store_version_supersede(r->s, &two, &key, 1, 5, NULL), NOT_FOUND);
    assert_status(store_version_destroyed(r->s, &two, &key, 1, 5, NULL), NOT_FOUND);
    assert_status(store_purge(r->s, &two, &engagement, &count, NULL), NOT_FOUND);
    v = version_of(1001, 2, 2, "stray");
    assert_status(store_version_add(r->s, &v, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_version(r->s, &one, &key, 1, &v, &r->e));
    assert_int_equal(v.state, VERSION_CURRENT);
}

static void a_version_comes_back_as_it_was_stored(void **state)
{
    static uint8_t sealed[LIMIT_SEALED_KEY + 1];
    struct rig *r = *state;
    struct store_version big = version_of(1001, 1, 2, "");
    struct store_version v;
    struct id one = id_of(1), key = id_of(1001);

    memset(sealed, 0xe7, sizeof(sealed));
    big.destroy_at_us = 77;
    rig_fill(r);
    rig_begin(r);
    big.sealed = SPAN(sealed);
    assert_status(store_version_add(r->s, &big, NULL), LIMIT);
    big.sealed.n--;
    assert_ok(store_version_add(r->s, &big, &r->e));
    assert_status(store_version_add(r->s, &big, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_version(r->s, &one, &key, 2, &v, &r->e));
    assert_int_equal(v.version, 2);
    assert_int_equal(v.state, VERSION_CURRENT);
    assert_string_equal(v.hint, "sk-...a1b2");
    assert_int_equal(v.created_us, CREATED_US);
    assert_int_equal(v.destroy_at_us, 77);
    assert_true(span_same(v.sealed, big.sealed));
    assert_status(store_version(r->s, &one, &key, 3, &v, NULL), NOT_FOUND);
}

static void only_a_destroyed_version_has_no_sealed_value(void **state)
{
    struct rig *r = *state;
    struct store_version empty = version_of(1001, 1, 2, "");
    struct store_version full = version_of(1001, 1, 3, "sealed");

    full.state = VERSION_DESTROYED;
    rig_fill(r);
    rig_begin(r);
    assert_status(store_version_add(r->s, &empty, NULL), BUG);
    assert_status(store_version_add(r->s, &full, NULL), BUG);
    empty.state = VERSION_DESTROYED;
    assert_ok(store_version_add(r->s, &empty, &r->e));
    rig_commit(r);
}

static void versions_go_from_current_to_superseded_to_destroyed(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), key = id_of(1001);
    struct store_version v;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_version_supersede(r->s, &one, &key, 1, 50, &r->e));
    assert_status(store_version_supersede(r->s, &one, &key, 1, 60, NULL), CONFLICT);
    assert_status(store_version_supersede(r->s, &one, &key, 2, 60, NULL), NOT_FOUND);
    rig_commit(r);
    assert_ok(store_version(r->s, &one, &key, 1, &v, &r->e));
    assert_int_equal(v.state, VERSION_SUPERSEDED);
    assert_int_equal(v.destroy_at_us, 50);
    assert_int_equal(v.sealed.n, strlen("sealed for acme"));
    rig_begin(r);
    assert_ok(store_version_destroyed(r->s, &one, &key, 1, 70, &r->e));
    assert_ok(store_version_destroyed(r->s, &one, &key, 1, 80, &r->e));
    assert_status(store_version_destroyed(r->s, &one, &key, 2, 70, NULL), NOT_FOUND);
    assert_status(store_version_supersede(r->s, &one, &key, 1, 60, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_version(r->s, &one, &key, 1, &v, &r->e));
    assert_int_equal(v.state, VERSION_DESTROYED);
    assert_int_equal(v.destroy_at_us, 70); /* the first time stays */
    assert_int_equal(v.sealed.n, 0);
}

static void versions_are_listed_newest_first(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), key = id_of(1001);
    struct store_version page[2];
    size_t count;

    rig_fill(r);
    rig_begin(r);
    for (uint32_t n = 2; n <= 3; n++) {
        struct store_version v = version_of(1001, 1, n, n == 2 ? "the second" : "the third");

        assert_ok(store_version_add(r->s, &v, &r->e));
    }
    rig_commit(r);
    assert_ok(store_versions(r->s, &one, &key, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_int_equal(page[0].version, 3);
    assert_true(span_same(page[0].sealed, span_text("the third")));
    assert_true(span_same(page[1].sealed, span_text("the second")));
}

static void due_versions_are_the_superseded_ones_whose_time_has_come(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), two = id_of(2), first = id_of(1001), second = id_of(1002);
    struct store_version page[4];
    size_t count;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_version_supersede(r->s, &one, &first, 1, 60, &r->e));
    assert_ok(store_version_supersede(r->s, &two, &second, 1, 50, &r->e));
    rig_commit(r);
    assert_ok(store_versions_due(r->s, 49, page, 4, &count, &r->e));
    assert_int_equal(count, 0);
    assert_ok(store_versions_due(r->s, 50, page, 4, &count, &r->e));
    assert_int_equal(count, 1);
    assert_ok(store_versions_due(r->s, 1000, page, 4, &count, &r->e));
    assert_int_equal(count, 2);
    assert_true(id_same(&page[0].key, &second));
    assert_true(id_same(&page[1].tenant, &one));
    assert_int_equal(page[0].sealed.n, 0);
    rig_begin(r);
    assert_ok(store_version_destroyed(r->s, &two, &second, 1, 51, &r->e));
    rig_commit(r);
    assert_ok(store_versions_due(r->s, 1000, page, 4, &count, &r->e));
    assert_int_equal(count, 1);
}

static void live_versions_come_in_order_of_key_and_version(void **state)
{
    struct rig *r = *state;
    struct store_version second = version_of(1001, 1, 2, "the second");
    struct store_version page[2];
    struct id one = id_of(1), other = id_of(1002), none = { 0 };
    size_t count;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_version_add(r->s, &second, &r->e));
    rig_commit(r);
    assert_ok(store_versions_live(r->s, &none, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_int_equal(page[0].version, 1);
    assert_int_equal(page[1].version, 2);
    assert_ok(store_versions_live(r->s, &page[1].key, 2, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_true(id_same(&page[0].key, &other));
    rig_begin(r);
    assert_ok(store_version_destroyed(r->s, &one, &second.key, 1, 9, &r->e));
    rig_commit(r);
    assert_ok(store_versions_live(r->s, &none, 0, page, 2, &count, &r->e));
    assert_int_equal(page[0].version, 2);
    assert_true(id_same(&page[1].key, &other));
}

static void a_lease_finds_everything_by_two_names(void **state)
{
    struct rig *r = *state;
    struct store_leasable l;
    struct id tenant = id_of(2), key = id_of(1002), engagement = id_of(102);

    rig_fill(r);
    assert_ok(store_leasable(r->s, "bolt", "openai", &l, &r->e));
    assert_true(id_same(&l.tenant.id, &tenant));
    assert_string_equal(l.tenant.name, "bolt");
    assert_string_equal(l.tenant.region, "eu-central");
    assert_true(id_same(&l.key.id, &key));
    assert_true(id_same(&l.key.tenant, &tenant));
    assert_true(id_same(&l.key.engagement, &engagement));
    assert_string_equal(l.key.name, "openai");
    assert_int_equal(l.engagement_state, ENGAGEMENT_ACTIVE);
    assert_int_equal(l.version_state, VERSION_CURRENT);
    assert_string_equal(l.hint, "sk-...a1b2");
    assert_true(span_same(l.sealed, span_text("sealed for bolt")));
    assert_status(store_leasable(r->s, "bolt", "other", &l, NULL), NOT_FOUND);
    assert_status(store_leasable(r->s, "crux", "openai", &l, NULL), NOT_FOUND);
    assert_status(store_leasable(r->s, "", "", &l, NULL), NOT_FOUND);
}

static void a_lease_sees_the_current_version_only(void **state)
{
    struct rig *r = *state;
    struct store_version second = version_of(1001, 1, 2, "the second");
    struct store_key k = key_of(1001, 1, 101, "openai");
    struct store_leasable l;

    k.version = 2;
    rig_fill(r);
    rig_begin(r);
    assert_ok(store_version_supersede(r->s, &k.tenant, &k.id, 1, 50, &r->e));
    assert_ok(store_version_add(r->s, &second, &r->e));
    assert_ok(store_key_set(r->s, &k, &r->e));
    rig_commit(r);
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_int_equal(l.key.version, 2);
    assert_int_equal(l.version_state, VERSION_CURRENT);
    assert_true(span_same(l.sealed, span_text("the second")));
}

static void a_row_of_a_form_we_never_write_is_corrupt(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), key = id_of(1001);
    struct store_version v = version_of(1, 1, 9, "before");
    struct store_leasable l;

    rig_fill(r);
    store_cleanup(&r->s);
    rig_tamper(r, "UPDATE version SET hint = 'much longer than any hint that we would keep'");
    rig_open(r);
    assert_status(store_version(r->s, &one, &key, 1, &v, NULL), CORRUPT);
    assert_int_equal(v.version, 9);
    assert_status(store_leasable(r->s, "acme", "openai", &l, NULL), CORRUPT);
    store_cleanup(&r->s);
    rig_tamper(r, "UPDATE version SET hint = 'a' || char(0) || 'b'");
    rig_open(r);
    assert_status(store_version(r->s, &one, &key, 1, &v, NULL), CORRUPT);
}

/* What was looked up before is remembered: not longer than it is so. */
static void a_leasable_key_is_found_as_it_is_now(void **state)
{
    struct rig *r = *state;
    struct store_leasable before, l;
    struct store_key key;

    rig_fill(r);
    assert_ok(store_leasable(r->s, "acme", "openai", &before, &r->e));
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_true(span_same(l.sealed, before.sealed));
    key = before.key;
    key.state = KEY_REVOKED;
    rig_begin(r);
    assert_ok(store_key_set(r->s, &key, &r->e));
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_int_equal(l.key.state, KEY_REVOKED);
    store_rollback(r->s);
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_int_equal(l.key.state, KEY_ACTIVE);
    rig_begin(r);
    assert_ok(store_key_set(r->s, &key, &r->e));
    rig_commit(r);
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e));
    assert_int_equal(l.key.state, KEY_REVOKED);
}

#define CROWD 1100 /* more than are remembered: some drive others out */

static void find_each_of_the_crowd(struct rig *r, unsigned revoked)
{
    const struct id tenant = id_of(1), other = id_of(2);

    for (unsigned i = 0; i < CROWD; i++) {
        struct id id = id_of(2000 + i);
        struct store_leasable l;
        char name[32], sealed[32];

        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)snprintf(sealed, sizeof(sealed), "sealed %u", i);
        assert_ok(store_leasable(r->s, "acme", name, &l, &r->e));
        assert_true(id_same(&l.key.id, &id));
        assert_true(span_same(l.sealed, span_text(sealed)));
        assert_int_equal(l.key.state, i == revoked ? KEY_REVOKED : KEY_ACTIVE);
        assert_ok(store_leasable_by_id(r->s, &tenant, &id, &l, &r->e));
        assert_string_equal(l.key.name, name);
        assert_true(span_same(l.sealed, span_text(sealed)));
        assert_int_equal(l.key.state, i == revoked ? KEY_REVOKED : KEY_ACTIVE);
        assert_status(store_leasable_by_id(r->s, &other, &id, &l, NULL), NOT_FOUND);
    }
}

static void of_more_keys_than_are_remembered_each_is_found_as_itself(void **state)
{
    struct rig *r = *state;
    struct store_key key;

    rig_fill(r);
    rig_begin(r);
    for (unsigned i = 0; i < CROWD; i++) {
        struct store_version v;
        char name[32], sealed[32];

        (void)snprintf(name, sizeof(name), "key-%u", i);
        (void)snprintf(sealed, sizeof(sealed), "sealed %u", i);
        key = key_of(2000 + i, 1, 101, name);
        v = version_of(2000 + i, 1, 1, sealed);
        assert_ok(store_key_add(r->s, &key, &r->e));
        assert_ok(store_version_add(r->s, &v, &r->e));
    }
    rig_commit(r);
    find_each_of_the_crowd(r, CROWD);
    find_each_of_the_crowd(r, CROWD);
    key = key_of(2000 + 77, 1, 101, "key-77");
    key.state = KEY_REVOKED;
    rig_begin(r);
    assert_ok(store_key_set(r->s, &key, &r->e));
    rig_commit(r);
    find_each_of_the_crowd(r, 77);
    find_each_of_the_crowd(r, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_leasable_key_is_found_as_it_is_now),
        sentence(of_more_keys_than_are_remembered_each_is_found_as_itself),
        sentence(a_key_is_found_by_name_and_id),
        sentence(a_key_needs_a_free_name_and_an_engagement_of_its_tenant),
        sentence(a_key_changes_only_for_its_tenant),
        sentence(keys_are_listed_for_one_tenant_in_pages),
        sentence(no_tenant_reads_or_changes_another_ones_rows),
        sentence(a_version_comes_back_as_it_was_stored),
        sentence(only_a_destroyed_version_has_no_sealed_value),
        sentence(versions_go_from_current_to_superseded_to_destroyed),
        sentence(versions_are_listed_newest_first),
        sentence(due_versions_are_the_superseded_ones_whose_time_has_come),
        sentence(live_versions_come_in_order_of_key_and_version),
        sentence(a_lease_finds_everything_by_two_names),
        sentence(a_lease_sees_the_current_version_only),
        sentence(a_row_of_a_form_we_never_write_is_corrupt),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
