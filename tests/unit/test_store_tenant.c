/* Facts, tenants, engagements, and the purge of an engagement. */
#include "unit/test_store_rig.h"

static void a_fact_is_set_replaced_and_read(void **state)
{
    struct rig *r = *state;
    struct span value = { NULL, 0 };

    assert_status(store_fact(r->s, "vault", &value, &r->e), NOT_FOUND);
    rig_begin(r);
    assert_ok(store_fact_set(r->s, "vault", span_text("one"), &r->e));
    assert_ok(store_fact_set(r->s, "vault", span_text("two"), &r->e));
    assert_ok(store_fact_set(r->s, "empty", span_of(NULL, 0), &r->e));
    rig_commit(r);
    assert_ok(store_fact(r->s, "vault", &value, &r->e));
    assert_true(span_same(value, span_text("two")));
    assert_ok(store_fact(r->s, "empty", &value, &r->e));
    assert_int_equal(value.n, 0);
}

static void a_fact_of_more_than_a_megabyte_is_a_limit(void **state)
{
    static uint8_t value[(1 << 20) + 1];
    struct rig *r = *state;

    rig_begin(r);
    assert_status(store_fact_set(r->s, "big", SPAN(value), NULL), LIMIT);
    assert_ok(store_fact_set(r->s, "big", span_of(value, 1 << 19), &r->e));
    rig_commit(r);
}

static void a_tenant_is_found_by_name_and_id(void **state)
{
    struct rig *r = *state;
    struct store_tenant t;
    struct id id = id_of(2);

    rig_fill(r);
    assert_ok(store_tenant(r->s, "bolt", &t, &r->e));
    assert_true(id_same(&t.id, &id));
    assert_string_equal(t.region, "eu-central");
    assert_int_equal(t.created_us, CREATED_US);
    assert_ok(store_tenant_by_id(r->s, &id, &t, &r->e));
    assert_string_equal(t.name, "bolt");
}

static void an_unknown_tenant_is_not_found_and_the_result_untouched(void **state)
{
    struct rig *r = *state;
    struct store_tenant t = tenant_of(9, "before");
    struct id id = id_of(3);

    rig_fill(r);
    assert_status(store_tenant(r->s, "Acme", &t, &r->e), NOT_FOUND);
    assert_status(store_tenant(r->s, "acme' OR '1'='1", &t, NULL), NOT_FOUND);
    assert_status(store_tenant_by_id(r->s, &id, &t, NULL), NOT_FOUND);
    assert_string_equal(t.name, "before");
}

static void a_tenant_with_a_used_name_or_id_is_a_conflict(void **state)
{
    struct rig *r = *state;
    struct store_tenant same_name = tenant_of(3, "acme");
    struct store_tenant same_id = tenant_of(1, "crux");

    rig_fill(r);
    rig_begin(r);
    assert_status(store_tenant_add(r->s, &same_name, NULL), CONFLICT);
    assert_status(store_tenant_add(r->s, &same_id, NULL), CONFLICT);
    rig_commit(r);
}

static void values_that_no_row_may_hold_are_a_bug(void **state)
{
    struct rig *r = *state;
    struct store_tenant nameless = tenant_of(3, "");
    struct store_tenant timeless = tenant_of(3, "crux");
    struct store_engagement stateless = engagement_of(103, 1, "other");

    rig_fill(r);
    timeless.created_us = UINT64_MAX;
    stateless.state = 5;
    rig_begin(r);
    assert_status(store_tenant_add(r->s, &nameless, NULL), BUG);
    assert_status(store_tenant_add(r->s, &timeless, NULL), BUG);
    assert_status(store_engagement_add(r->s, &stateless, NULL), BUG);
    rig_commit(r);
}

static void tenants_are_listed_by_name_in_pages(void **state)
{
    struct rig *r = *state;
    struct store_tenant page[4];
    size_t count = 99;
    char name[16];

    assert_ok(store_tenants(r->s, NULL, page, 4, &count, &r->e));
    assert_int_equal(count, 0);
    rig_begin(r);
    for (unsigned n = 10; n > 0; n--) {
        struct store_tenant t;

        (void)snprintf(name, sizeof(name), "t%02u", n);
        t = tenant_of(n, name);
        assert_ok(store_tenant_add(r->s, &t, &r->e));
    }
    rig_commit(r);
    assert_ok(store_tenants(r->s, NULL, page, 4, &count, &r->e));
    assert_int_equal(count, 4);
    assert_string_equal(page[0].name, "t01");
    assert_ok(store_tenants(r->s, page[3].name, page, 4, &count, &r->e));
    assert_string_equal(page[0].name, "t05");
    assert_ok(store_tenants(r->s, page[3].name, page, 4, &count, &r->e));
    assert_int_equal(count, 2);
    assert_string_equal(page[1].name, "t10");
    assert_ok(store_tenants(r->s, NULL, page, 0, &count, &r->e));
    assert_int_equal(count, 0);
}

static void an_engagement_is_found_only_by_its_tenant(void **state)
{
    struct rig *r = *state;
    struct store_engagement g;
    struct id one = id_of(1), two = id_of(2), third = id_of(3), id = id_of(101);

    rig_fill(r);
    assert_ok(store_engagement(r->s, &one, "audit", &g, &r->e));
    assert_true(id_same(&g.id, &id));
    assert_true(id_same(&g.tenant, &one));
    assert_int_equal(g.state, ENGAGEMENT_ACTIVE);
    assert_int_equal(g.started_us, CREATED_US);
    assert_ok(store_engagement_by_id(r->s, &one, &id, &g, &r->e));
    assert_string_equal(g.name, "audit");
    assert_status(store_engagement_by_id(r->s, &two, &id, &g, NULL), NOT_FOUND);
    assert_status(store_engagement(r->s, &third, "audit", &g, NULL), NOT_FOUND);
    assert_status(store_engagement(r->s, &one, "other", &g, NULL), NOT_FOUND);
}

static void an_engagement_needs_a_tenant_and_a_free_name(void **state)
{
    struct rig *r = *state;
    struct store_engagement orphan = engagement_of(103, 3, "audit");
    struct store_engagement twin = engagement_of(103, 1, "audit");
    struct store_engagement same = engagement_of(101, 1, "other");
    struct store_engagement second = engagement_of(103, 1, "other");

    rig_fill(r);
    rig_begin(r);
    assert_status(store_engagement_add(r->s, &orphan, NULL), CONFLICT);
    assert_status(store_engagement_add(r->s, &twin, NULL), CONFLICT);
    assert_status(store_engagement_add(r->s, &same, NULL), CONFLICT);
    assert_ok(store_engagement_add(r->s, &second, &r->e));
    rig_commit(r);
}

static void an_engagement_changes_only_for_its_tenant(void **state)
{
    struct rig *r = *state;
    struct store_engagement g = engagement_of(101, 1, "ignored");
    struct store_engagement other = engagement_of(101, 2, "ignored");
    struct store_engagement now;

    rig_fill(r);
    g.state = ENGAGEMENT_ENDED;
    g.ended_us = 5;
    g.due_us = 6;
    other.state = ENGAGEMENT_PURGED;
    rig_begin(r);
    assert_ok(store_engagement_set(r->s, &g, &r->e));
    assert_status(store_engagement_set(r->s, &other, NULL), NOT_FOUND);
    rig_commit(r);
    assert_ok(store_engagement(r->s, &g.tenant, "audit", &now, &r->e));
    assert_int_equal(now.state, ENGAGEMENT_ENDED);
    assert_int_equal(now.ended_us, 5);
    assert_int_equal(now.due_us, 6);
    assert_int_equal(now.purged_us, 0);
}

static void engagements_are_listed_for_one_tenant_in_pages(void **state)
{
    struct rig *r = *state;
    struct store_engagement page[2];
    struct store_engagement second = engagement_of(103, 1, "zeal");
    struct id one = id_of(1), third = id_of(3);
    size_t count;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_engagement_add(r->s, &second, &r->e));
    rig_commit(r);
    assert_ok(store_engagements(r->s, &one, NULL, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_string_equal(page[0].name, "audit");
    assert_string_equal(page[1].name, "zeal");
    assert_ok(store_engagements(r->s, &one, "audit", page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_ok(store_engagements(r->s, &third, NULL, page, 2, &count, &r->e));
    assert_int_equal(count, 0);
}

static void ended_engagements_of_all_tenants_are_listed_by_due_time(void **state)
{
    struct rig *r = *state;
    struct store_engagement page[2];
    struct store_engagement one = engagement_of(101, 1, "audit");
    struct store_engagement two = engagement_of(102, 2, "audit");
    size_t count;

    rig_fill(r);
    assert_ok(store_engagements_ended(r->s, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 0);
    one.state = ENGAGEMENT_ENDED;
    one.due_us = 9;
    two.state = ENGAGEMENT_ENDED;
    two.due_us = 8;
    rig_begin(r);
    assert_ok(store_engagement_set(r->s, &one, &r->e));
    assert_ok(store_engagement_set(r->s, &two, &r->e));
    rig_commit(r);
    assert_ok(store_engagements_ended(r->s, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 2);
    assert_true(id_same(&page[0].id, &two.id));
    assert_ok(store_engagements_ended(r->s, 1, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
    assert_true(id_same(&page[0].id, &one.id));
    one.state = ENGAGEMENT_PURGED;
    rig_begin(r);
    assert_ok(store_engagement_set(r->s, &one, &r->e));
    rig_commit(r);
    assert_ok(store_engagements_ended(r->s, 0, page, 2, &count, &r->e));
    assert_int_equal(count, 1);
}

/* Engagement 101 of tenant 1, ended and due at 1000. */
static struct store_engagement end_audit(struct rig *r)
{
    struct store_engagement g = engagement_of(101, 1, "audit");

    rig_fill(r);
    g.state = ENGAGEMENT_ENDED;
    g.ended_us = 400;
    g.due_us = 1000;
    rig_begin(r);
    assert_ok(store_engagement_set(r->s, &g, &r->e));
    return g;
}

static void a_held_engagement_is_not_due_and_keeps_the_time_left(void **state)
{
    struct rig *r = *state;
    struct store_engagement g = end_audit(r);
    struct store_engagement now;

    assert_ok(store_engagement_hold(r->s, &g.tenant, &g.id, 700, &r->e));
    rig_commit(r);
    rig_reopen(r);
    assert_ok(store_engagement(r->s, &g.tenant, "audit", &now, &r->e));
    assert_int_equal(now.state, ENGAGEMENT_HELD);
    assert_int_equal(now.due_us, 0);
    assert_int_equal(now.left_us, 300);
    assert_int_equal(now.ended_us, 400);
    rig_begin(r);
    assert_ok(store_engagement_lift(r->s, &g.tenant, &g.id, 5300, &r->e));
    rig_commit(r);
    assert_ok(store_engagement(r->s, &g.tenant, "audit", &now, &r->e));
    assert_int_equal(now.state, ENGAGEMENT_ENDED);
    assert_int_equal(now.due_us, 5300);
    assert_int_equal(now.left_us, 0);
}

static void an_overdue_engagement_is_held_with_no_time_left(void **state)
{
    struct rig *r = *state;
    struct store_engagement g = end_audit(r);

    assert_ok(store_engagement_hold(r->s, &g.tenant, &g.id, 1001, &r->e));
    rig_commit(r);
    assert_ok(store_engagement(r->s, &g.tenant, "audit", &g, &r->e));
    assert_int_equal(g.state, ENGAGEMENT_HELD);
    assert_int_equal(g.left_us, 0);
}

static void only_what_ended_is_held_and_only_what_is_held_is_lifted(void **state)
{
    struct rig *r = *state;
    struct store_engagement g = end_audit(r);
    struct id two = id_of(2), active = id_of(102);

    assert_status(store_engagement_lift(r->s, &g.tenant, &g.id, 5, NULL), CONFLICT);
    assert_status(store_engagement_hold(r->s, &two, &active, 5, NULL), CONFLICT);
    assert_status(store_engagement_hold(r->s, &two, &g.id, 5, NULL), NOT_FOUND);
    assert_status(store_engagement_lift(r->s, &two, &g.id, 5, NULL), NOT_FOUND);
    assert_ok(store_engagement_hold(r->s, &g.tenant, &g.id, 5, &r->e));
    assert_status(store_engagement_hold(r->s, &g.tenant, &g.id, 6, NULL), CONFLICT);
    rig_commit(r);
    assert_status(store_engagement_lift(r->s, &g.tenant, &g.id, 5, NULL), BUG); /* no transaction */
}

static void the_sign_for_held_is_no_date(void **state)
{
    const uint64_t held = UINT64_MAX / 4;
    struct rig *r = *state;
    struct store_engagement g = end_audit(r);

    g.due_us = held;
    assert_status(store_engagement_set(r->s, &g, NULL), BUG);
    g.due_us = 6;
    g.left_us = 6;
    g.state = ENGAGEMENT_HELD;
    assert_status(store_engagement_set(r->s, &g, NULL), BUG);
    g.due_us = 0;
    assert_ok(store_engagement_set(r->s, &g, &r->e));
    assert_status(store_engagement_lift(r->s, &g.tenant, &g.id, held, NULL), BUG);
    assert_ok(store_engagement_lift(r->s, &g.tenant, &g.id, held - 1, &r->e));
    rig_commit(r);
}

/* So that one whose keys are gone from the keyring is found whatever the database thought of it. */
static void held_engagements_are_listed_with_the_ended_ones(void **state)
{
    struct rig *r = *state;
    struct store_engagement g = end_audit(r);
    struct store_engagement other = engagement_of(102, 2, "audit");
    struct store_engagement page[3];
    size_t count;

    other.state = ENGAGEMENT_ENDED;
    other.due_us = 1;
    assert_ok(store_engagement_set(r->s, &other, &r->e));
    assert_ok(store_engagement_hold(r->s, &g.tenant, &g.id, 5, &r->e));
    rig_commit(r);
    assert_ok(store_engagements_ended(r->s, 0, page, 3, &count, &r->e));
    assert_int_equal(count, 2);
    assert_true(id_same(&page[0].id, &g.id));
    assert_int_equal(page[0].state, ENGAGEMENT_HELD);
    page[0].state = ENGAGEMENT_PURGED;
    rig_begin(r);
    assert_ok(store_engagement_set(r->s, &page[0], &r->e));
    rig_commit(r);
    assert_ok(store_engagement(r->s, &g.tenant, "audit", &g, &r->e));
    assert_int_equal(g.state, ENGAGEMENT_PURGED);
    assert_int_equal(g.left_us, 0);
}

static void a_purge_takes_one_engagement_of_one_tenant(void **state)
{
    struct rig *r = *state;
    struct id one = id_of(1), two = id_of(2), purged = id_of(101), unknown = id_of(109);
    struct store_engagement second = engagement_of(103, 1, "other");
    struct store_key kept = key_of(1003, 1, 103, "mistral");
    struct store_version old = version_of(1001, 1, 2, "the second");
    struct store_version kept_version = version_of(1003, 1, 1, "kept");
    struct store_version v;
    struct store_leasable l;
    size_t count = 99;

    rig_fill(r);
    rig_begin(r);
    assert_ok(store_engagement_add(r->s, &second, &r->e));
    assert_ok(store_key_add(r->s, &kept, &r->e));
    assert_ok(store_version_add(r->s, &old, &r->e));
    assert_ok(store_version_add(r->s, &kept_version, &r->e));
    assert_status(store_purge(r->s, &two, &purged, &count, NULL), NOT_FOUND);
    assert_status(store_purge(r->s, &one, &unknown, &count, NULL), NOT_FOUND);
    assert_int_equal(count, 99);
    assert_ok(store_purge(r->s, &one, &purged, &count, &r->e));
    assert_int_equal(count, 2);
    assert_ok(store_purge(r->s, &one, &purged, &count, &r->e));
    assert_int_equal(count, 0);
    rig_commit(r);
    assert_status(store_version(r->s, &one, &old.key, 1, &v, NULL), NOT_FOUND);
    assert_status(store_version(r->s, &one, &old.key, 2, &v, NULL), NOT_FOUND);
    assert_ok(store_leasable(r->s, "acme", "openai", &l, &r->e)); /* the name stays */
    assert_int_equal(l.key.state, KEY_PURGED);
    assert_int_equal(l.version_state, VERSION_DESTROYED);
    assert_int_equal(l.sealed.n, 0);
    assert_ok(store_leasable(r->s, "acme", "mistral", &l, &r->e));
    assert_int_equal(l.key.state, KEY_ACTIVE);
    assert_true(span_same(l.sealed, span_text("kept")));
    assert_ok(store_leasable(r->s, "bolt", "openai", &l, &r->e));
    assert_true(span_same(l.sealed, span_text("sealed for bolt")));
}

/* Whether a text is anywhere in the pages of the database, in clear: the file itself is encrypted,
 * so that searching it would prove nothing. */
static bool in_any_page(struct rig *r, const char *text)
{
    sqlite3_int64 size = 0;
    unsigned char *image = NULL;
    bool found = false;

    r->s->phase = PHASE_SETUP;
    image = sqlite3_serialize(r->s->db, "main", &size, 0);
    r->s->phase = PHASE_SERVE;
    assert_non_null(image);
    found = memmem(image, (size_t)size, text, strlen(text)) != NULL;
    sqlite3_free(image);
    return found;
}

static void nothing_of_a_purged_value_is_left_in_any_page(void **state)
{
    static const char marker[] = "MARKER-b3d1c59f-MARKER";
    static uint8_t sealed[8192];
    struct rig *r = *state;
    struct id one = id_of(1), engagement = id_of(101);
    struct store_version big = version_of(1001, 1, 2, "");
    size_t count;

    for (size_t i = 0; i + sizeof(marker) < sizeof(sealed); i += sizeof(marker))
        memcpy(sealed + i, marker, sizeof(marker));
    big.sealed = SPAN(sealed);
    rig_fill(r);
    rig_begin(r);
    assert_ok(store_version_add(r->s, &big, &r->e));
    rig_commit(r);
    assert_true(in_any_page(r, marker));
    assert_true(in_any_page(r, "sealed for acme"));
    rig_begin(r);
    assert_ok(store_purge(r->s, &one, &engagement, &count, &r->e));
    rig_commit(r);
    assert_ok(store_checkpoint(r->s, &r->e));
    assert_int_equal(rig_file_size(r, "-wal"), 0);
    rig_reopen(r);
    assert_false(in_any_page(r, marker));
    assert_false(in_any_page(r, "sealed for acme"));
    assert_true(in_any_page(r, "sealed for bolt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        sentence(a_fact_is_set_replaced_and_read),
        sentence(a_fact_of_more_than_a_megabyte_is_a_limit),
        sentence(a_tenant_is_found_by_name_and_id),
        sentence(an_unknown_tenant_is_not_found_and_the_result_untouched),
        sentence(a_tenant_with_a_used_name_or_id_is_a_conflict),
        sentence(values_that_no_row_may_hold_are_a_bug),
        sentence(tenants_are_listed_by_name_in_pages),
        sentence(an_engagement_is_found_only_by_its_tenant),
        sentence(an_engagement_needs_a_tenant_and_a_free_name),
        sentence(an_engagement_changes_only_for_its_tenant),
        sentence(engagements_are_listed_for_one_tenant_in_pages),
        sentence(ended_engagements_of_all_tenants_are_listed_by_due_time),
        sentence(a_held_engagement_is_not_due_and_keeps_the_time_left),
        sentence(an_overdue_engagement_is_held_with_no_time_left),
        sentence(only_what_ended_is_held_and_only_what_is_held_is_lifted),
        sentence(the_sign_for_held_is_no_date),
        sentence(held_engagements_are_listed_with_the_ended_ones),
        sentence(a_purge_takes_one_engagement_of_one_tenant),
        sentence(nothing_of_a_purged_value_is_left_in_any_page),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
