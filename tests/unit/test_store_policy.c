/* Policy documents and their versions. */
#include "unit/test_store_rig.h"

static struct store_policy policy_of(unsigned owner, uint32_t version, const char *text)
{
    struct store_policy p = { .owner = id_of(owner),
                              .version = version,
                              .hash = { (uint8_t)text[0] },
                              .set_us = CREATED_US + version,
                              .actor = "admin:~1234",
                              .document = span_text(text) };

    return p;
}

static void add(struct rig *r, unsigned owner, uint32_t version, const char *text)
{
    struct store_policy p = policy_of(owner, version, text);

    rig_begin(r);
    assert_ok(store_policy_add(r->s, &p, &r->e));
    rig_commit(r);
}

static void the_newest_version_is_the_one_in_force_and_all_are_kept(void **state)
{
    struct rig *r = *state;
    struct store_policy p;
    struct id owner = id_of(1);

    add(r, 1, 1, "first");
    add(r, 1, 2, "second");
    add(r, 2, 1, "other");
    rig_reopen(r);
    assert_ok(store_policy(r->s, &owner, 0, &p, &r->e));
    assert_int_equal(p.version, 2);
    assert_true(span_same(p.document, span_text("second")));
    assert_int_equal(p.set_us, CREATED_US + 2);
    assert_string_equal(p.actor, "admin:~1234");
    assert_ok(store_policy(r->s, &owner, 1, &p, &r->e));
    assert_true(span_same(p.document, span_text("first")));
    assert_status(store_policy(r->s, &owner, 3, &p, NULL), NOT_FOUND);
    owner = id_of(3);
    assert_status(store_policy(r->s, &owner, 0, &p, NULL), NOT_FOUND);
}

static void a_version_is_never_replaced(void **state)
{
    struct rig *r = *state;
    struct store_policy p = policy_of(1, 1, "again");
    struct id owner = id_of(1);

    add(r, 1, 1, "first");
    rig_begin(r);
    assert_status(store_policy_add(r->s, &p, NULL), CONFLICT);
    rig_commit(r);
    assert_ok(store_policy(r->s, &owner, 1, &p, &r->e));
    assert_true(span_same(p.document, span_text("first")));
}

static void a_document_is_found_by_its_hash_and_owner(void **state)
{
    struct rig *r = *state;
    struct store_policy p;
    struct id owner = id_of(1);
    uint8_t hash[32] = { 'f' };

    add(r, 1, 1, "first");
    add(r, 1, 2, "second");
    add(r, 1, 3, "first");
    assert_ok(store_policy_by_hash(r->s, &owner, hash, &p, &r->e));
    assert_int_equal(p.version, 3);
    hash[0] = 'x';
    assert_status(store_policy_by_hash(r->s, &owner, hash, &p, NULL), NOT_FOUND);
    owner = id_of(2);
    hash[0] = 'f';
    assert_status(store_policy_by_hash(r->s, &owner, hash, &p, NULL), NOT_FOUND);
}

static void versions_are_listed_from_the_newest_in_pages(void **state)
{
    struct rig *r = *state;
    struct store_policy page[2];
    struct id owner = { { 0 } }; /* the vault's */
    size_t count = 0;

    for (uint32_t version = 1; version <= 3; version++) {
        struct store_policy p = policy_of(0, version, version == 3 ? "" : "text");

        p.owner = owner;
        rig_begin(r);
        assert_ok(store_policy_add(r->s, &p, &r->e));
        rig_commit(r);
    }
    assert_ok(store_policies(r->s, &owner, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_int_equal(page[0].version, 3);
    assert_int_equal(page[1].version, 2);
    assert_ok(store_policies(r->s, &owner, 2, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_int_equal(page[0].version, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(the_newest_version_is_the_one_in_force_and_all_are_kept),
        sentence(a_version_is_never_replaced),
        sentence(a_document_is_found_by_its_hash_and_owner),
        sentence(versions_are_listed_from_the_newest_in_pages),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
