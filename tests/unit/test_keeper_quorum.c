/* Unlocking by several: whose shares come together, and what a share is good for afterwards. */

#include "keeper_file.h"
#include "keeper_people.h"

static int two_of_three(void **state)
{
    *state = people_new(3, 2, 1);
    return 0;
}

static int one_of_one(void **state)
{
    *state = people_new(1, 1, 1);
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static bool is_open(struct rig *r)
{
    return rig_hello(r).state == KEEPER_UNLOCKED;
}

/* --- whose shares ---------------------------------------------------------------------------- */

static void any_two_operators_open_the_vault(void **state)
{
    struct rig *r = *state;
    uint8_t have = 0;

    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            if (i == j)
                continue;
            rig_lock(r);
            assert_int_equal(rig_share(r, i, &have), OK);
            assert_int_equal(have, 1);
            assert_false(is_open(r));
            assert_int_equal(rig_share(r, j, &have), OK);
            assert_int_equal(have, 2);
            assert_true(is_open(r));
            assert_int_equal(rig_load_heads(r), OK);
        }
    }
}

static void an_operator_and_a_card_open_the_vault(void **state)
{
    struct rig *r = *state;

    rig_lock(r);
    assert_int_equal(rig_card_share(r, 0), OK);
    assert_false(is_open(r));
    assert_int_equal(rig_share(r, 2, NULL), OK);
    assert_true(is_open(r));
    assert_int_equal(rig_hello(r).cards_used, 1);
}

static void one_operator_alone_opens_nothing_however_often(void **state)
{
    struct rig *r = *state;
    uint8_t have = 0;

    rig_lock(r);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(rig_share(r, 1, &have), OK);
        assert_int_equal(have, 1);
        assert_false(is_open(r));
    }
    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), LOCKED);
}

static void two_keys_of_one_operator_are_one_share(void **state)
{
    struct rig *r = *state;
    uint8_t have = 0;

    assert_int_equal(people_enrol(r, 3, "alice"), OK);
    struct wire_operation add = people_add(r, 3, "alice");
    assert_int_equal(people_do(r, 2, &add), OK);
    people_settle(r);
    assert_int_equal(rig_hello(r).holders, 4); /* three operators and the card */
    rig_lock(r);
    assert_int_equal(rig_share(r, 0, &have), OK);
    assert_int_equal(rig_share(r, 3, &have), OK);
    assert_int_equal(have, 1);
    assert_false(is_open(r));
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_true(is_open(r));
    /* Each alone is as good as the other. */
    rig_lock(r);
    assert_int_equal(rig_share(r, 3, NULL), OK);
    assert_int_equal(rig_share(r, 2, NULL), OK);
    assert_true(is_open(r));
}

static void hello_tells_how_far_the_quorum_is(void **state)
{
    struct rig *r = *state;

    rig_lock(r);
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.need, 2);
    assert_int_equal(hello.have, 0);
    assert_int_equal(hello.holders, 4);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_hello(r).have, 1);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_hello(r).have, 0);
    assert_true(is_open(r));
}

static void every_share_leaves_a_record(void **state)
{
    struct rig *r = *state;
    char slot[64];

    rig_lock(r);
    assert_int_equal(rig_share(r, 2, NULL), OK);
    assert_int_equal(rig_share(r, 2, NULL), OK); /* no second share: no second record */
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
    assert_int_equal(people_folded(r, RECORD_UNLOCK_SHARE), 2);
    assert_int_equal(r->record_count, 3);
    assert_int_equal(r->records[2].r.type, RECORD_VAULT_UNLOCKED);
    hex_format(SPAN(r->slots[2].b), slot);
    assert_true(rig_line_has(&r->records[0], slot));
    hex_format(SPAN(r->slots[0].b), slot);
    assert_true(rig_line_has(&r->records[1], slot));
}

/* --- how long a share waits ------------------------------------------------------------------ */

static void shares_are_forgotten_after_ten_minutes(void **state)
{
    struct rig *r = *state;
    uint8_t have = 0;

    rig_lock(r);
    size_t before = secret_in_use();
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_true(secret_in_use() > before);
    rig_pass(APPROVAL_S);
    assert_int_equal(rig_hello(r).have, 1);
    rig_pass(1);
    assert_int_equal(rig_hello(r).have, 0);
    assert_int_equal(secret_in_use(), before);
    assert_int_equal(rig_share(r, 1, &have), OK);
    assert_int_equal(have, 1);
    assert_false(is_open(r));
}

static void a_lock_forgets_the_shares_of_a_locked_vault(void **state)
{
    struct rig *r = *state;
    uint8_t have = 0;

    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    rig_lock(r);
    assert_int_equal(rig_hello(r).have, 0);
    assert_int_equal(rig_share(r, 1, &have), OK);
    assert_int_equal(have, 1);
}

static void a_wrong_secret_leaves_the_shares_of_others(void **state)
{
    struct rig *r = *state;
    uint8_t wrong[64] = { 1 };
    struct wire_session s;

    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[1], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[1], SPAN(wrong)), DENIED);
    assert_int_equal(rig_hello(r).have, 1);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_true(is_open(r));
}

/* --- the file, changed while the keeper is away ---------------------------------------------- */

/* A share that opens well and is none. */
static void shares_that_give_no_root_are_forgotten(void **state)
{
    struct rig *r = *state;
    uint8_t share[SHARE_SIZE] = { 0 };
    uint8_t sealed[SHARE_SIZE + BOX_OVERHEAD];

    close_keeper(r);
    struct slot bob = slot_of(r, &r->slots[1]);
    share[0] = bob.x;
    assert_int_equal(box_seal(SPAN(bob.public_key), SPAN(share), sealed, NULL), OK);
    swap(r, &r->slots[1], SPAN(bob.sealed_share), SPAN(sealed));
    open_keeper(r);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_int_equal(rig_share(r, 0, NULL), CORRUPT);
    assert_string_equal(r->reason, "the slots hold another root key");
    assert_int_equal(rig_hello(r).have, 0);
    assert_false(is_open(r));
    /* Put right, those two open it: nothing has rolled. */
    close_keeper(r);
    swap(r, &r->slots[1], SPAN(sealed), SPAN(bob.sealed_share));
    open_keeper(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_share(r, 1, NULL), OK);
    assert_true(is_open(r));
}

/* A share of another number than its slot's would count twice. */
static void a_slot_with_the_number_of_another_does_not_open(void **state)
{
    struct rig *r = *state;
    uint8_t was[20], now[20];

    close_keeper(r);
    struct slot alice = slot_of(r, &r->slots[0]);
    memcpy(was, alice.id.b, 16);
    was[16] = alice.kind;
    was[17] = alice.user_verification;
    was[18] = alice.x;
    was[19] = alice.used;
    memcpy(now, was, sizeof(now));
    now[18] = 77;
    swap(r, &r->slots[0], SPAN(was), SPAN(now));
    open_keeper(r);
    assert_int_equal(rig_share(r, 0, NULL), CORRUPT);
    assert_int_equal(rig_hello(r).have, 0);
}

static status try_swapped(struct rig *r, struct span was, struct span now)
{
    struct wire_session s;

    swap(r, &r->slots[0], was, now);
    open_keeper(r);
    /* The hardware key answers what it always did: the client may not see the change. */
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    status st = rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s));
    close_keeper(r);
    swap(r, &r->slots[0], now, was);
    return st;
}

static void a_slot_with_a_swapped_description_does_not_open(void **state)
{
    struct rig *r = *state;
    uint8_t other[64];

    close_keeper(r);
    struct slot alice = slot_of(r, &r->slots[0]);
    const struct span fields[] = {
        SPAN(alice.cose_public), span_of(alice.label, SLOT_LABEL),
        SPAN(alice.salt),        SPAN(alice.salt_next),
        SPAN(alice.public_key),  span_of(alice.credential_id, alice.credential_id_length)
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        memcpy(other, fields[i].p, fields[i].n);
        other[0] ^= 1;
        assert_int_equal(try_swapped(r, fields[i], span_of(other, fields[i].n)), DENIED);
    }
    /* As it was, it opens. */
    open_keeper(r);
    rig_unlock(r);
}

static void a_slot_with_one_flipped_byte_in_a_seal_does_not_open(void **state)
{
    struct rig *r = *state;
    uint8_t key[SEALED_KEY_SIZE];
    uint8_t share[SHARE_SIZE + BOX_OVERHEAD];

    close_keeper(r);
    struct slot alice = slot_of(r, &r->slots[0]);
    for (size_t i = 0; i < sizeof(key); i++) {
        memcpy(key, alice.sealed_private, sizeof(key));
        key[i] ^= 0x20;
        assert_int_equal(try_swapped(r, SPAN(alice.sealed_private), SPAN(key)), DENIED);
    }
    for (size_t i = 0; i < sizeof(share); i++) {
        memcpy(share, alice.sealed_share, sizeof(share));
        share[i] ^= 0x20;
        assert_int_equal(try_swapped(r, SPAN(alice.sealed_share), SPAN(share)), CORRUPT);
    }
    open_keeper(r);
    rig_unlock(r);
}

/* --- rolling --------------------------------------------------------------------------------- */

static void the_secret_of_one_unlock_does_not_open_the_next(void **state)
{
    struct rig *r = *state;
    struct wire_session first, second;
    uint8_t secrets[64];

    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &first), OK);
    memcpy(secrets, rig_touch(r, 0, &first).p, sizeof(secrets));
    assert_int_equal(rig_try_unlock(r, &first, &r->slots[0], SPAN(secrets)), OK);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &second), OK);
    assert_memory_equal(second.salt, first.salt_next, 32);
    assert_memory_not_equal(second.salt_next, first.salt_next, 32);
    assert_int_equal(rig_try_unlock(r, &second, &r->slots[0], SPAN(secrets)), DENIED);
    rig_unlock(r);
}

static void an_old_copy_of_the_keyring_still_takes_the_old_secret(void **state)
{
    struct rig *r = *state;
    struct wire_session before, now;
    uint8_t old[64], new[64];
    size_t n = 0;

    close_keeper(r);
    uint8_t *copy = file_read(r, &n);
    open_keeper(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &before), OK);
    memcpy(old, rig_touch(r, 0, &before).p, sizeof(old));
    rig_unlock(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &now), OK);
    memcpy(new, rig_touch(r, 0, &now).p, sizeof(new));
    rig_unlock(r);
    close_keeper(r);
    file_write(r, copy, n);
    free(copy);
    open_keeper(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &now), OK);
    assert_memory_equal(now.salt, before.salt, 32);
    assert_int_equal(rig_try_unlock(r, &now, &r->slots[0], SPAN(new)), DENIED);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &now), OK);
    assert_int_equal(rig_try_unlock(r, &now, &r->slots[0], SPAN(old)), OK);
}

static void an_unlock_message_cannot_be_sent_again(void **state)
{
    struct rig *r = *state;
    struct wire_session s;
    uint8_t message[LIMIT_FRAME];

    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    size_t n = r->out.n;
    memcpy(message, r->request, n);
    rig_lock(r);
    for (unsigned again = 0; again < 2; again++) {
        rig_begin(r, WIRE_UNLOCK);
        out_raw(&r->out, span_of(message + WIRE_HEADER, n - WIRE_HEADER));
        assert_int_equal(rig_call(r), CONFLICT);
        /* Nor under a session that is alive. */
        assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
        memcpy(message + WIRE_HEADER, s.session.b, sizeof(s.session.b));
        rig_begin(r, WIRE_UNLOCK);
        out_raw(&r->out, span_of(message + WIRE_HEADER, n - WIRE_HEADER));
        assert_int_equal(rig_call(r), DENIED);
    }
    assert_false(is_open(r));
}

static void only_slots_that_helped_roll(void **state)
{
    struct rig *r = *state;
    struct wire_slot slot;

    rig_lock(r);
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_true(people_slot(r, &r->slots[0], &slot));
    assert_int_equal(slot.generation, 1); /* a share alone proves nothing yet */
    assert_int_equal(rig_share(r, 1, NULL), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(people_slot(r, &r->slots[i], &slot));
        assert_int_equal(slot.generation, i < 2 ? 2 : 1);
    }
    assert_true(people_slot(r, &r->cards[0], &slot));
    assert_int_equal(slot.used, 0);
}

#define QUORUM(f) cmocka_unit_test_setup_teardown(f, two_of_three, teardown)
#define SINGLE(f) cmocka_unit_test_setup_teardown(f, one_of_one, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUORUM(any_two_operators_open_the_vault),
        QUORUM(an_operator_and_a_card_open_the_vault),
        QUORUM(one_operator_alone_opens_nothing_however_often),
        QUORUM(two_keys_of_one_operator_are_one_share),
        QUORUM(hello_tells_how_far_the_quorum_is),
        QUORUM(every_share_leaves_a_record),
        QUORUM(shares_are_forgotten_after_ten_minutes),
        QUORUM(a_lock_forgets_the_shares_of_a_locked_vault),
        QUORUM(a_wrong_secret_leaves_the_shares_of_others),
        QUORUM(shares_that_give_no_root_are_forgotten),
        QUORUM(a_slot_with_the_number_of_another_does_not_open),
        SINGLE(a_slot_with_a_swapped_description_does_not_open),
        SINGLE(a_slot_with_one_flipped_byte_in_a_seal_does_not_open),
        SINGLE(the_secret_of_one_unlock_does_not_open_the_next),
        SINGLE(an_old_copy_of_the_keyring_still_takes_the_old_secret),
        SINGLE(an_unlock_message_cannot_be_sent_again),
        QUORUM(only_slots_that_helped_roll),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
