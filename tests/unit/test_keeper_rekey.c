/* Rotations in slices: what opened before opens during and after, what must not does not, and
 * whatever is cut off goes on by itself. */
#include "keeper/keys.h"
#include "keeper_customer.h"
#include "keeper_file.h"
#include "keeper_people.h"

#define KEYS       120
#define KEYS_FIRST 100 /* of them the first tenant's: more than a slice takes */
#define SPARE_KEYS 40  /* put while a rotation goes on */
#define TENANTS    2

/* A provider key as the server would keep it. */
struct key {
    size_t tenant;
    struct id id;
    uint8_t sealed[LIMIT_SEALED_KEY];
    size_t n;
    char value[48];
    bool live;
};
struct world {
    struct rig *r;
    struct key keys[KEYS + SPARE_KEYS];
    size_t count;
};

static struct id tenant_id(size_t n)
{
    return rig_id((uint8_t)(1 + n));
}

static struct id engagement_id(size_t tenant)
{
    return rig_id((uint8_t)(11 + tenant));
}

static void put_more(struct world *w, size_t tenant)
{
    struct key *key = &w->keys[w->count];

    assert_true(w->count < KEYS + SPARE_KEYS);
    *key = (struct key){ .tenant = tenant, .live = true };
    key->id.b[0] = 1;
    key->id.b[1] = (uint8_t)w->count;
    snprintf(key->value, sizeof(key->value), "sk-proj-%zu-abcdefghijklmnopqrst", w->count);
    assert_int_equal(
        rig_put(w->r, tenant_id(tenant), engagement_id(tenant), key->id, 1, key->value), OK);
    memcpy(key->sealed, w->r->data, w->r->result.data.n);
    key->n = w->r->result.data.n;
    w->count++;
}

static void check(struct world *w, const struct key *key)
{
    struct wire_entry open =
        rig_open_entry(tenant_id(key->tenant), key->id, 1, span_of(key->sealed, key->n));

    open.expires_us = rig_wall_us + 900 * SECOND_US;
    assert_int_equal(rig_entry(w->r, open), key->live ? OK : NOT_FOUND);
    if (key->live)
        assert_true(span_same(span_of(w->r->data, w->r->result.data.n), span_text(key->value)));
}

static void check_all(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        check(w, &w->keys[i]);
}

static void destroy(struct world *w, struct key *key)
{
    assert_int_equal(rig_entry(w->r, (struct wire_entry){ .kind = ENTRY_KEY_DESTROY,
                                                          .tenant = tenant_id(key->tenant),
                                                          .key = key->id,
                                                          .version = 1,
                                                          .reason = DESTROY_REVOKED }),
                     OK);
    key->live = false;
}

static void end(struct world *w, size_t tenant)
{
    assert_int_equal(rig_entry(w->r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                          .tenant = tenant_id(tenant),
                                                          .engagement = engagement_id(tenant) }),
                     OK);
}

static void purge_is_due(struct world *w, size_t tenant)
{
    rig_pass(PURGE_DELAY_S + 1);
    keeper_tick(w->r->k);
    for (size_t i = 0; i < w->count; i++)
        w->keys[i].live = w->keys[i].live && w->keys[i].tenant != tenant;
}

/* Two of three operators, two tenants, and keys of each. */
static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    w->r = people_new(3, 2, 1);
    for (size_t i = 0; i < TENANTS; i++)
        rig_tenant(w->r, tenant_id(i), engagement_id(i));
    for (size_t i = 0; i < KEYS; i++)
        put_more(w, i < KEYS_FIRST ? 0 : 1);
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *w = *state;

    rig_free(w->r);
    free(w);
    return 0;
}

static void ask_root(struct rig *r)
{
    struct wire_operation m = people_operation(OPERATION_REKEY_ROOT);

    assert_int_equal(people_do(r, 2, &m), OK);
}

static void ask_tenant(struct rig *r, size_t tenant)
{
    struct wire_operation m = people_operation(OPERATION_REKEY_TENANT);

    m.tenant = tenant_id(tenant);
    assert_int_equal(people_do(r, 1, &m), OK);
}

/* Live cells of a type, of one parent or id if that is given. */
static size_t cells_of(struct rig *r, uint8_t type, const struct id *of)
{
    uint64_t cursor = 0;
    size_t found = 0;

    do {
        struct wire_cell cell;
        out_u64(rig_begin(r, WIRE_CELLS), cursor);
        assert_int_equal(rig_call(r), OK);
        cursor = in_u64(&r->body);
        for (uint16_t count = in_u16(&r->body); count > 0; count--) {
            wire_get_cell(&r->body, &cell);
            found += cell.type == type &&
                     (of == NULL || id_same(of, &cell.id) || id_same(of, &cell.parent));
        }
        assert_true(in_end(&r->body));
    } while (cursor != 0);
    return found;
}

/* --- the root -------------------------------------------------------------------------------- */

static void all_keys_open_before_during_and_after(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct wire_entry renew =
        rig_open_entry(tenant_id(0), w->keys[0].id, 1, span_of(w->keys[0].sealed, w->keys[0].n));
    size_t slices = 0;

    check_all(w);
    assert_int_equal(rig_entry(r, renew), OK);
    renew.lease = r->result.lease;
    memcpy(renew.lease_mac, r->result.lease_mac, sizeof(renew.lease_mac));
    renew.kind = ENTRY_LEASE_RENEW;
    ask_root(r);
    while (keeper_work(r->k)) {
        struct wire_hello hello = rig_hello(r);
        if (hello.epoch == 1) {
            assert_int_equal(hello.rekey_total, KEYS + 2 * TENANTS + 8);
            assert_true(hello.rekey_done <= hello.rekey_total);
        }
        check(w, &w->keys[(7 * slices) % KEYS_FIRST]);
        if (slices % 3 == 0 && w->count < KEYS + SPARE_KEYS)
            put_more(w, 0);
        if (slices % 4 == 1 && slices < KEYS_FIRST)
            destroy(w, &w->keys[slices]);
        if (slices == 2)
            end(w, 1);
        assert_int_equal(rig_entry(r, renew), OK);
        slices++;
    }
    assert_true(slices > 2);
    assert_int_equal(rig_hello(r).epoch, 2);
    assert_int_equal(rig_hello(r).rekey_total, 0);
    for (size_t i = 0; i < w->count; i++) {
        if (w->keys[i].tenant == 0)
            check(w, &w->keys[i]);
    }
    assert_int_equal(rig_entry(r, renew), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 2);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    assert_int_equal(rig_entry(r, renew), OK);
    purge_is_due(w, 1); /* the end came over too */
    assert_int_equal(people_folded(r, RECORD_TOMBSTONE_ALARM), 0);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, NULL), 1);
    check_all(w);
}

static void a_rotation_that_is_cut_off_at_any_slice_goes_on_after_the_next_unlock(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    uint32_t epoch = 1;
    bool over = false;

    for (size_t cut = 0; !over; cut++) {
        ask_root(r);
        for (size_t n = 0; n < cut && !over; n++)
            over = !keeper_work(r->k);
        assert_int_equal(rig_batch(r, NULL, 0), OK);
        people_reopen(r, 2);
        check(w, &w->keys[cut % w->count]);
        people_settle(r);
        assert_int_equal(rig_hello(r).epoch, ++epoch);
        assert_true(cut < 200);
    }
    check_all(w);
    assert_int_equal(people_folded(r, RECORD_TOMBSTONE_ALARM), 0);
}

static void the_trail_goes_on(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    uint8_t mac[32];
    char line[LIMIT_RECORD + 1];
    struct id vault_log = { { 0 } };

    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
    uint64_t seq = r->records[0].r.seq;
    memcpy(mac, r->records[0].r.mac, 32);
    memcpy(line, r->records[0].line, sizeof(line));
    ask_root(r);
    people_settle(r);
    assert_int_equal(people_folded(r, RECORD_REKEY_DONE), 1);
    struct rig_record *done = &r->records[r->record_count - 1];
    assert_true(rig_line_has(done, "\"what\":\"root\",\"epoch\":2"));
    assert_true(done->r.seq > seq);
    struct out *o = rig_begin(r, WIRE_CHECK_MACS);
    out_id(o, &vault_log);
    out_u16(o, 1);
    out_span16(o, span_text(line));
    out_raw(o, SPAN(mac));
    assert_int_equal(rig_call(r), OK);
    assert_int_equal(in_u16(&r->body), 1);
    seq = done->r.seq;
    people_reopen(r, 2);
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
    assert_int_equal(r->records[0].r.seq, seq + 1);
}

static void what_is_asked_for_during_a_rotation_is_covered_by_it(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct wire_operation quorum = people_operation(OPERATION_QUORUM_SET);

    ask_root(r);
    for (unsigned i = 0; i < 3; i++)
        assert_true(keeper_work(r->k));
    assert_int_equal(people_enrol(r, 3, "dave"), OK);
    struct wire_operation add = people_add(r, 3, "dave");
    assert_int_equal(people_do(r, 2, &add), OK);
    quorum.number = 3;
    assert_int_equal(people_do(r, 2, &quorum), OK);
    ask_root(r);
    people_settle(r);
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.epoch, 2);
    assert_int_equal(hello.need, 3);
    assert_int_equal(hello.holders, 5);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_restart(r);
    for (size_t key = 1; key < 4; key++)
        assert_int_equal(rig_share(r, key, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
    assert_false(keeper_work(r->k) && rig_hello(r).rekey_total > 0);
    check_all(w);
}

/* A share of the root of before, sealed to a slot that is still there. */
static void shares_of_the_old_root_do_not_open_the_new_file(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;

    /* Without a touch in between, which would roll the slots. */
    struct wire_operation m = people_operation(OPERATION_REKEY_ROOT);
    assert_int_equal(people_approve(r, 0, &m), OK);
    assert_int_equal(people_approve(r, 1, &m), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    struct wire_slot before;
    assert_true(people_slot(r, &r->slots[0], &before));
    assert_int_equal(people_carry_out(r, &m), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    close_keeper(r);
    struct slot old = slot_of(r, &r->slots[0]);
    open_keeper(r);
    assert_int_equal(rig_share(r, 2, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_false(keeper_work(r->k)); /* not before the database is there */
    assert_int_equal(rig_load_heads(r), OK);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    close_keeper(r);
    struct slot now = slot_of(r, &r->slots[0]);
    assert_memory_equal(now.public_key, old.public_key, 32);
    swap(r, &r->slots[0], SPAN(now.sealed_share), SPAN(old.sealed_share));
    open_keeper(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), CORRUPT);
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
    close_keeper(r);
    swap(r, &r->slots[0], SPAN(old.sealed_share), SPAN(now.sealed_share));
    open_keeper(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_UNLOCKED);
}

static void a_tombstone_without_its_record_delays_the_rotation(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;

    end(w, 1);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    rig_lock(r);
    purge_is_due(w, 1);
    for (size_t key = 0; key < 2; key++)
        assert_int_equal(rig_share(r, key, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
    ask_root(r);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 1);
    size_t destroyed = 0;
    while (rig_hello(r).journal_count > 0)
        destroyed += people_folded(r, RECORD_KEY_DESTROYED);
    assert_int_equal(destroyed, KEYS - KEYS_FIRST);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    people_reopen(r, 2);
    assert_int_equal(people_folded(r, RECORD_TOMBSTONE_ALARM), 0);
    check_all(w);
}

static void a_purge_in_the_middle_of_a_rotation_is_one(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;

    end(w, 1);
    ask_root(r);
    for (unsigned i = 0; i < 4; i++)
        assert_true(keeper_work(r->k));
    purge_is_due(w, 1);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    check_all(w);
    people_reopen(r, 2);
    size_t destroyed = 0, alarms = 0;
    while (rig_hello(r).journal_count > 0) {
        assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
        for (size_t i = 0; i < r->record_count; i++) {
            destroyed += r->records[i].r.type == RECORD_KEY_DESTROYED;
            alarms += r->records[i].r.type == RECORD_TOMBSTONE_ALARM;
        }
        assert_int_equal(rig_batch(r, NULL, 0), OK);
    }
    assert_int_equal(destroyed, KEYS - KEYS_FIRST);
    assert_int_equal(alarms, 0);
    check_all(w);
    struct id tenant = tenant_id(1);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 0);
}

/* --- who was removed ------------------------------------------------------------------------- */

/* Everything that a root leads to, taken from a file by whoever has one hardware key. */
static void derive(const struct rig *r, size_t key, struct keyring *ring, struct keys *keys)
{
    AUTO(secret) *private_key = NULL;
    AUTO(secret) *share = NULL;
    AUTO(secret) *root = NULL;
    struct wire_session s = { .epoch = 0 };
    struct slot slot;

    assert_int_equal(keyring_slot(ring, &r->slots[key], &slot, NULL), OK);
    memcpy(s.salt, slot.salt, sizeof(s.salt));
    assert_int_equal(
        slot_open(&r->vault, &slot, span_of(rig_touch(r, key, &s).p, 32), &private_key, NULL), OK);
    assert_int_equal(slot_share(&slot, private_key, &share, NULL), OK);
    assert_int_equal(secret_copy(span_of(secret_view(share).p + 1, 32), &root, NULL), OK);
    assert_int_equal(keys_derive(keyring_info(ring), root, keys, NULL), OK);
}

static void an_old_copy_and_the_removed_key_open_nothing_that_came_after(void **state)
{
    struct world *w = *state;
    struct id tenant = TENANT, late = rig_id(99);
    struct keyring *old = NULL, *now = NULL;
    struct keys thief = { .epoch = 0 }, owner = { .epoch = 0 };
    struct cell old_seed, new_seed, cell;
    char aside[96], command[300];

    rig_free(w->r);
    struct rig *r = w->r = people_new(2, 1, 0);
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, provider_key), OK);
    close_keeper(r);
    snprintf(aside, sizeof(aside), "%s/aside", r->dir);
    snprintf(command, sizeof(command), "cp -r %s %s", r->keyring, aside);
    assert_int_equal(system(command), 0);
    open_keeper(r);
    rig_unlock(r);
    struct wire_operation m = people_remove("bob");
    assert_int_equal(people_do(r, 1, &m), OK);
    people_settle(r);
    rig_take_system_keys(r);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, late, 1, provider_key), OK);
    close_keeper(r);

    assert_int_equal(keyring_open(aside, true, &old, NULL), OK);
    assert_int_equal(keyring_open(r->keyring, true, &now, NULL), OK);
    derive(r, 1, old, &thief);
    derive(r, 0, now, &owner);
    AUTO(secret) *old_wrap = NULL;
    AUTO(secret) *new_wrap = NULL;
    AUTO(secret) *data_key = NULL;
    struct key_name name = { .tenant = tenant, .key = late, .version = 1, .provider = 3 };
    assert_int_equal(keyring_cell(old, CELL_TENANT_SEED, &tenant, 1, &old_seed, NULL), OK);
    assert_int_equal(keyring_cell(now, CELL_TENANT_SEED, &tenant, 1, &new_seed, NULL), OK);
    assert_int_equal(keyring_cell(now, CELL_DATA_KEY, &late, 1, &cell, NULL), OK);
    /* What bob's key opens in the copy, it opens: that is what a removal cannot undo. */
    assert_int_equal(keys_tenant(&thief, &old_seed, &old_wrap, NULL), OK);
    /* But nothing of the file as it is now. */
    assert_int_equal(keys_tenant(&thief, &new_seed, &new_wrap, NULL), CORRUPT);
    assert_int_equal(keys_open_data_key(&thief, old_wrap, &name, &cell, &data_key, NULL), CORRUPT);
    assert_int_equal(keyring_authenticate(now, thief.keyring_mac, NULL), CORRUPT);
    /* The same with alice's, so that it is not for another reason. */
    assert_int_equal(keys_tenant(&owner, &new_seed, &new_wrap, NULL), OK);
    assert_int_equal(keys_open_data_key(&owner, new_wrap, &name, &cell, &data_key, NULL), OK);
    keys_clear(&thief);
    keys_clear(&owner);
    keyring_forget(now);
    keyring_close(old);
    keyring_close(now);
    open_keeper(r);
}

/* --- a tenant -------------------------------------------------------------------------------- */

static void a_tenant_moves_to_a_new_seed_while_its_keys_are_in_use(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct id tenant = tenant_id(0);
    size_t slices = 0;

    ask_tenant(r, 0);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 2);
    while (keeper_work(r->k)) {
        check(w, &w->keys[(7 * slices) % KEYS_FIRST]);
        if (slices < 3) {
            put_more(w, 0);
            destroy(w, &w->keys[slices + 20]);
        }
        slices++;
    }
    assert_true(slices >= 2);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 1);
    check_all(w);
    while (rig_hello(r).journal_count > 1)
        people_folded(r, RECORD_REKEY_DONE);
    assert_int_equal(people_folded(r, RECORD_REKEY_DONE), 1);
    assert_true(rig_line_has(&r->records[0], "\"what\":\"tenant\",\"epoch\":2"));
    assert_true(id_same(&r->records[0].r.log, &tenant));
    /* Again and again: the places of the two seeds take turns. */
    for (unsigned i = 0; i < 3; i++) {
        ask_tenant(r, 0);
        people_settle(r);
        assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 1);
    }
    ask_root(r);
    people_settle(r);
    check_all(w);
    people_reopen(r, 2);
    check_all(w);
    assert_int_equal(people_folded(r, RECORD_TOMBSTONE_ALARM), 0);
}

static void a_move_that_is_cut_off_at_any_slice_goes_on_after_the_next_unlock(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    bool over = false;

    for (size_t cut = 0; !over; cut++) {
        ask_tenant(r, 0);
        for (size_t n = 0; n < cut && !over; n++)
            over = !keeper_work(r->k);
        assert_int_equal(rig_batch(r, NULL, 0), OK);
        people_reopen(r, 2);
        check(w, &w->keys[cut]);
        people_settle(r);
        assert_int_equal(cells_of(r, CELL_TENANT_SEED, NULL), TENANTS);
        assert_true(cut < 100);
    }
    check_all(w);
    assert_int_equal(people_folded(r, RECORD_TOMBSTONE_ALARM), 0);
}

static void both_rotations_at_once_take_turns(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;

    ask_tenant(r, 0);
    assert_true(keeper_work(r->k));
    ask_root(r);
    for (unsigned i = 0; i < 3; i++)
        assert_true(keeper_work(r->k));
    ask_tenant(r, 1);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, NULL), TENANTS);
    check_all(w);
}

static void a_purge_in_the_middle_of_a_move_ends_both_seeds(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct id tenant = tenant_id(0);

    end(w, 0);
    ask_tenant(r, 0);
    assert_true(keeper_work(r->k));
    assert_true(keeper_work(r->k));
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 2); /* it is the middle */
    purge_is_due(w, 0);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 0);
    people_settle(r);
    check_all(w);
    size_t seeds = 0;
    while (rig_hello(r).journal_count > 0)
        seeds += people_folded(r, RECORD_TENANT_SEED_DESTROYED);
    assert_int_equal(seeds, 2);
}

/* The move must not go on with a seed that is gone, nor end the new one. */
static void a_tenant_that_begins_again_in_the_middle_of_its_move_keeps_its_keys(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct id tenant = tenant_id(0);

    end(w, 0);
    ask_tenant(r, 0);
    assert_true(keeper_work(r->k));
    assert_true(keeper_work(r->k));
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 2);
    purge_is_due(w, 0);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_START,
                                                       .tenant = tenant,
                                                       .engagement = rig_id(50) }),
                     OK);
    struct id key = rig_id(51);
    assert_int_equal(rig_put(r, tenant, rig_id(50), key, 1, provider_key), OK);
    uint8_t sealed[LIMIT_SEALED_KEY];
    size_t n = r->result.data.n;
    memcpy(sealed, r->data, n);
    people_settle(r);
    struct wire_entry open = rig_open_entry(tenant, key, 1, span_of(sealed, n));
    open.expires_us = rig_wall_us + 900 * SECOND_US;
    assert_int_equal(rig_entry(r, open), OK);
    assert_int_equal(cells_of(r, CELL_TENANT_SEED, &tenant), 1);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 2);
    people_settle(r);
    assert_int_equal(rig_entry(r, open), OK);
}

/* --- the database ---------------------------------------------------------------------------- */

static void database_keys(struct rig *r, uint8_t key[32], uint8_t next[32], bool *ret_next)
{
    struct wire_system_keys m;

    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), OK);
    wire_get_system_keys(&r->body, &m);
    assert_true(in_end(&r->body));
    memcpy(key, m.database_key.p, 32);
    *ret_next = m.database_next.n == 32;
    if (*ret_next)
        memcpy(next, m.database_next.p, 32);
}

/* The server says that the file is swapped: the next key is the key. */
static void check_database_change(struct rig *r, const uint8_t before[32])
{
    uint8_t key[32], next[32], after[32];
    bool two = false;

    database_keys(r, key, next, &two);
    assert_true(two);
    assert_memory_equal(key, before, 32);
    assert_memory_not_equal(next, before, 32);
    people_reopen(r, 2);
    database_keys(r, key, after, &two);
    assert_true(two);
    assert_memory_equal(after, next, 32);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_DATABASE_REKEYED }), OK);
    assert_int_equal(r->records[0].r.type, RECORD_REKEY_DONE);
    assert_true(rig_line_has(&r->records[0], "\"what\":\"database\""));
    database_keys(r, key, after, &two);
    assert_false(two);
    assert_memory_equal(key, next, 32);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_DATABASE_REKEYED }), CONFLICT);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 2);
    database_keys(r, key, after, &two);
    assert_false(two);
    assert_memory_equal(key, next, 32);
}

static void the_database_has_two_keys_until_it_is_under_the_next(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct wire_operation m = people_operation(OPERATION_REKEY_DATABASE);
    uint8_t before[32], next[32];
    bool two = true;

    database_keys(r, before, next, &two);
    assert_false(two);
    assert_int_equal(people_do(r, 1, &m), OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    check_database_change(r, before);
}

static void a_removal_gives_the_database_a_new_key_too(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct wire_operation m = people_remove("carol");
    uint8_t before[32], next[32];
    bool two = true;

    assert_int_equal(people_do(r, 2, &m), OK);
    database_keys(r, before, next, &two);
    assert_false(two); /* with the new root, not before */
    people_settle(r);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    check_database_change(r, before);
    check_all(w);
}

static void a_change_of_the_database_may_meet_a_rotation(void **state)
{
    struct world *w = *state;
    struct rig *r = w->r;
    struct wire_operation m = people_operation(OPERATION_REKEY_DATABASE);
    uint8_t before[32], next[32], key[32];
    bool two = true;

    ask_root(r);
    assert_true(keeper_work(r->k));
    assert_true(keeper_work(r->k));
    assert_int_equal(people_do(r, 1, &m), OK);
    database_keys(r, before, next, &two);
    assert_true(two);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 2);
    ask_root(r);
    assert_true(keeper_work(r->k));
    assert_true(keeper_work(r->k));
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_DATABASE_REKEYED }), OK);
    people_settle(r);
    assert_int_equal(rig_hello(r).epoch, 3);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    people_reopen(r, 2);
    database_keys(r, key, before, &two);
    assert_false(two);
    assert_memory_equal(key, next, 32);
    check_all(w);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_keys_open_before_during_and_after),
        CASE(a_rotation_that_is_cut_off_at_any_slice_goes_on_after_the_next_unlock),
        CASE(the_trail_goes_on),
        CASE(what_is_asked_for_during_a_rotation_is_covered_by_it),
        CASE(shares_of_the_old_root_do_not_open_the_new_file),
        CASE(a_tombstone_without_its_record_delays_the_rotation),
        CASE(a_purge_in_the_middle_of_a_rotation_is_one),
        CASE(an_old_copy_and_the_removed_key_open_nothing_that_came_after),
        CASE(a_tenant_moves_to_a_new_seed_while_its_keys_are_in_use),
        CASE(a_move_that_is_cut_off_at_any_slice_goes_on_after_the_next_unlock),
        CASE(both_rotations_at_once_take_turns),
        CASE(a_purge_in_the_middle_of_a_move_ends_both_seeds),
        CASE(a_tenant_that_begins_again_in_the_middle_of_its_move_keeps_its_keys),
        CASE(the_database_has_two_keys_until_it_is_under_the_next),
        CASE(a_removal_gives_the_database_a_new_key_too),
        CASE(a_change_of_the_database_may_meet_a_rotation),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
