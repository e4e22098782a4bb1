/* The statement of dropped records: what has to be shown for it, all of which the keeper checks. */
#include "keeper_customer.h"
#include "keeper_people.h"
#include "ledger/proof.h"

#define DAYS  30
#define SIZE  300
#define UNITS 256

/* What a server has of two logs. */
static struct kept {
    struct rig_record records[SIZE + 16];
    size_t count;
    struct rig_record allowed;
} kept;

static void keep(const struct rig *r)
{
    const struct id tenant = TENANT;

    for (size_t i = 0; i < r->record_count; i++) {
        struct rig_record *to = &kept.records[kept.count];

        if (r->records[i].r.type == RECORD_RETENTION_SET)
            kept.allowed = r->records[i];
        if (!id_same(&r->records[i].r.log, &tenant))
            continue;
        *to = r->records[i];
        to->r.line = span_text(to->line);
        kept.count++;
    }
    kept.allowed.r.line = span_text(kept.allowed.line);
}

static status allow(struct rig *r, uint32_t days)
{
    struct wire_operation m = people_operation(OPERATION_RETENTION_SET);

    m.tenant = TENANT;
    m.number = days;
    status st = people_do(r, 2, &m);
    keep(r);
    return st;
}

/* A log of SIZE records, and a month later. */
static int old_log(void **state)
{
    struct rig *r = people_new(3, 2, 1);
    struct wire_entry entries[32];

    memset(&kept, 0, sizeof(kept));
    assert_int_equal(
        rig_entry(r,
                  (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .log = TENANT, .tenant = TENANT }),
        OK);
    keep(r);
    for (size_t i = 0; i < 32; i++)
        entries[i] = (struct wire_entry){ .kind = ENTRY_RECORD,
                                          .log = TENANT,
                                          .type = RECORD_LEASE_REFUSED };
    while (kept.count < SIZE) {
        size_t n = SIZE - kept.count < 32 ? SIZE - kept.count : 32;
        assert_int_equal(rig_batch(r, entries, n), OK);
        keep(r);
    }
    *state = r;
    return 0;
}

static status node(void *context, unsigned level, uint64_t number,
                   uint8_t ret_hash[static SHA256_SIZE], struct err *e)
{
    const struct id tenant = TENANT;
    struct ledger_tree t = { .log = tenant };

    (void)context;
    for (uint64_t seq = number << level; seq < (number + 1) << level; seq++) {
        uint8_t leaf[SHA256_SIZE];

        ledger_leaf(kept.records[seq].r.line, leaf);
        assert_int_equal(ledger_append(&t, leaf, 0, e), OK);
    }
    ledger_root(&t, ret_hash);
    return OK;
}

struct statement {
    struct wire_drop m;
    struct ledger_proof left, right;
};

static void statement(struct statement *s, uint64_t from)
{
    assert_int_equal(proof_range(from, from, kept.count, node, NULL, &s->left, &s->right, NULL),
                     OK);
    s->m = (struct wire_drop){
        .allowed = kept.allowed.r.line,
        .last = kept.records[from - 1].r.line,
        .left = span_of(s->left.hash[0], s->left.count * SHA256_SIZE),
        .right = span_of(s->right.hash[0], s->right.count * SHA256_SIZE),
    };
    memcpy(s->m.allowed_mac, kept.allowed.r.mac, 32);
    memcpy(s->m.last_mac, kept.records[from - 1].r.mac, 32);
}

static status drop(struct rig *r, const struct statement *s)
{
    uint8_t data[DROP_DATA_MAX];
    struct out o;

    out_init(&o, data, sizeof(data));
    wire_put_drop(&o, &s->m);
    assert_false(o.overflow);
    status st = rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORDS_DROP,
                                                  .log = TENANT,
                                                  .tenant = TENANT,
                                                  .data = span_of(o.p, o.n) });
    keep(r); /* a refusal is a record of the log too */
    return st;
}

static void what_is_old_enough_is_stated_with_the_root_of_the_keepers_own_tree(void **state)
{
    struct rig *r = *state;
    struct statement s;
    uint8_t root[SHA256_SIZE];
    char hex[65];

    assert_int_equal(allow(r, DAYS), OK);
    rig_pass(DAYS * DAY_S + 1);
    statement(&s, UNITS);
    assert_int_equal(drop(r, &s), OK);
    assert_int_equal(node(NULL, 8, 0, root, NULL), OK);
    hex_format(SPAN(root), hex);
    assert_int_equal(r->records[0].r.type, RECORD_RECORDS_DROPPED);
    assert_true(rig_line_has(&r->records[0], "\"first_seq\":0,\"last_seq\":255,\"records\":256"));
    assert_true(rig_line_has(&r->records[0], hex));
    assert_true(rig_line_has(&r->records[0], "\"days\":30"));
    assert_true(rig_line_has(&r->records[0], "\"allowed_by\":\""));
}

static void records_that_are_younger_are_not(void **state)
{
    struct rig *r = *state;
    struct statement s;

    assert_int_equal(allow(r, DAYS), OK);
    rig_pass(DAYS * DAY_S - 60);
    statement(&s, UNITS);
    assert_int_equal(drop(r, &s), DENIED);
    assert_true(rig_line_has(&r->records[0], "the records are not old enough"));
}

static void records_that_are_to_be_kept_for_ever_are_not(void **state)
{
    struct rig *r = *state;
    struct statement s;

    assert_int_equal(allow(r, 0), OK);
    rig_pass(1000 * DAY_S);
    statement(&s, UNITS);
    assert_int_equal(drop(r, &s), DENIED);
    assert_true(rig_line_has(&r->records[0], "the tenant's records are to be kept"));
    assert_int_equal(allow(r, RETENTION_MIN - 1), BAD_INPUT);
}

static void neither_line_may_be_another_than_the_keeper_wrote(void **state)
{
    struct rig *r = *state;
    struct statement s;

    assert_int_equal(allow(r, DAYS), OK);
    rig_pass(DAYS * DAY_S + 1);
    statement(&s, UNITS);
    s.m.allowed_mac[0] ^= 1;
    assert_int_equal(drop(r, &s), DENIED);
    statement(&s, UNITS);
    s.m.last_mac[0] ^= 1;
    assert_int_equal(drop(r, &s), DENIED);
    statement(&s, UNITS); /* the tenant's own record is no retention.set of the vault */
    s.m.allowed = s.m.last;
    memcpy(s.m.allowed_mac, s.m.last_mac, 32);
    assert_int_equal(drop(r, &s), DENIED);
    statement(&s, UNITS); /* nor is that of the vault one of the tenant's */
    s.m.last = s.m.allowed;
    memcpy(s.m.last_mac, s.m.allowed_mac, 32);
    assert_int_equal(drop(r, &s), DENIED);
}

static void other_subtrees_than_the_keepers_are_refused(void **state)
{
    struct rig *r = *state;
    struct statement s;

    assert_int_equal(allow(r, DAYS), OK);
    rig_pass(DAYS * DAY_S + 1);
    statement(&s, UNITS);
    s.left.hash[0][0] ^= 1;
    assert_int_equal(drop(r, &s), DENIED);
    statement(&s, UNITS);
    s.right.hash[0][31] ^= 1;
    assert_int_equal(drop(r, &s), DENIED);
    statement(&s, UNITS);
    s.m.right.n -= SHA256_SIZE;
    assert_int_not_equal(drop(r, &s), OK);
    statement(&s, UNITS);
    assert_int_equal(drop(r, &s), OK);
}

static void only_whole_units_go(void **state)
{
    struct rig *r = *state;
    struct statement s;

    assert_int_equal(allow(r, DAYS), OK);
    rig_pass(DAYS * DAY_S + 1);
    statement(&s, UNITS - 1);
    assert_int_equal(drop(r, &s), BAD_INPUT);
    statement(&s, UNITS + 1);
    assert_int_equal(drop(r, &s), BAD_INPUT);
}

static void two_people_set_it_where_there_are_two(void **state)
{
    struct rig *r = *state;
    struct wire_operation m = people_operation(OPERATION_RETENTION_SET);

    m.tenant = TENANT;
    m.number = DAYS;
    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_approve(r, 0, &m), OK);
    assert_int_equal(people_carry_out(r, &m), DENIED);
    assert_int_equal(people_approve(r, 1, &m), OK);
    m.number++;
    assert_int_equal(people_carry_out(r, &m), DENIED);
    m.number--;
    assert_int_equal(people_carry_out(r, &m), OK);
    assert_true(id_is_zero(&r->records[0].r.log)); /* the vault's log, which is never dropped */
    assert_int_equal(people_card_approve(r, 0, &m), DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, old_log, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_old_enough_is_stated_with_the_root_of_the_keepers_own_tree),
        TEST(records_that_are_younger_are_not),
        TEST(records_that_are_to_be_kept_for_ever_are_not),
        TEST(neither_line_may_be_another_than_the_keeper_wrote),
        TEST(other_subtrees_than_the_keepers_are_refused),
        TEST(only_whole_units_go),
        TEST(two_people_set_it_where_there_are_two),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
