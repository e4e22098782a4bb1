/* Init, lock, unlock: what opens the vault and what does not. */
#include "keeper_rig.h"

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static void a_keeper_without_a_keyring_is_empty(void **state)
{
    struct rig *r = *state;
    struct wire_hello hello = rig_hello(r);

    assert_int_equal(hello.version, WIRE_VERSION);
    assert_int_equal(hello.state, KEEPER_EMPTY);
    assert_true(id_is_zero(&hello.vault));
    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), CONFLICT);
    assert_string_equal(r->reason, "there is no vault yet");
}

static void init_makes_an_unlocked_vault_with_two_slots(void **state)
{
    struct rig *r = *state;
    struct wire_slot slot;

    rig_init(r);
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.state, KEEPER_UNLOCKED);
    assert_int_equal(hello.heads_loaded, 1);
    assert_true(id_same(&hello.vault, &r->vault));
    assert_true(span_same(hello.region, span_text("eu-central")));
    assert_int_equal(hello.epoch, 1);
    rig_begin(r, WIRE_SLOTS);
    assert_int_equal(rig_call(r), OK);
    assert_int_equal(in_u16(&r->body), 2);
    wire_get_slot(&r->body, &slot);
    assert_int_equal(slot.kind, SLOT_FIDO2);
    assert_true(id_same(&slot.id, &r->slots[0]));
    assert_true(span_same(slot.label, span_text("alice")));
    assert_true(span_same(slot.credential_id, span_of(r->key_seeds[0], 16)));
    wire_get_slot(&r->body, &slot);
    assert_int_equal(slot.kind, SLOT_RECOVERY);
    assert_true(id_same(&slot.id, &r->cards[0]));
    assert_true(in_end(&r->body));
}

static void init_refuses_a_bad_region_and_spends_the_session(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    assert_int_equal(rig_session(r, SESSION_INIT, NULL, &s), OK);
    assert_int_equal(rig_try_init(r, &s, RIG_SIMPLE("EU")), BAD_INPUT);
    assert_int_equal(rig_try_init(r, &s, RIG_SIMPLE("eu")), CONFLICT);
    assert_int_equal(rig_hello(r).state, KEEPER_EMPTY);
    rig_init(r);
}

static void a_vault_is_made_only_once(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    assert_int_equal(rig_session(r, SESSION_INIT, NULL, &s), OK);
    assert_int_equal(rig_try_init(r, &s, RIG_SIMPLE("eu")), OK);
    assert_int_equal(rig_try_init(r, &s, RIG_SIMPLE("eu")), CONFLICT);
    assert_string_equal(r->reason, "there is a vault already");
}

static void lock_forgets_every_secret(void **state)
{
    struct rig *r = *state;

    rig_init(r);
    assert_true(secret_in_use() > 10 * KEY_SIZE);
    rig_lock(r);
    /* What is left is the sealing module's salt key, which lock has emptied too. */
    assert_true(secret_in_use() <= 64);
    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), LOCKED);
    rig_put_batch(r, NULL, 0);
    assert_int_equal(rig_call(r), LOCKED);
    rig_lock(r); /* again is fine */
}

static void the_hardware_key_opens_the_vault_again(void **state)
{
    struct rig *r = *state;
    uint8_t intake[32];

    rig_init(r);
    memcpy(intake, r->intake, 32);
    rig_lock(r);
    rig_unlock(r);
    rig_take_system_keys(r);
    assert_memory_equal(intake, r->intake, 32);
    rig_restart(r);
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
    rig_unlock(r);
    rig_take_system_keys(r);
    assert_memory_equal(intake, r->intake, 32);
}

static void the_recovery_card_opens_the_vault(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->cards[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->cards[0], SPAN(r->codes[0])), OK);
    assert_int_equal(rig_load_heads(r), OK);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
    assert_int_equal(r->record_count, 2);
    assert_int_equal(r->records[0].r.type, RECORD_CARD_USED);
    assert_int_equal(r->records[0].r.outcome, OUTCOME_FAILED); /* an alarm */
    assert_true(rig_line_has(&r->records[0], "\"recovery\":true"));
    assert_int_equal(r->records[1].r.type, RECORD_VAULT_UNLOCKED);
    assert_true(rig_line_has(&r->records[1], "\"recovery\":true"));
    assert_int_equal(rig_hello(r).cards_used, 1);
}

static void a_wrong_secret_is_denied_and_recorded(void **state)
{
    struct rig *r = *state;
    struct wire_session s;
    uint8_t wrong[64] = { 1 };

    rig_init(r);
    rig_lock(r);
    uint32_t before = rig_hello(r).journal_count;
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], SPAN(wrong)), DENIED);
    assert_string_equal(r->reason, "the slot did not open");
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
    assert_int_equal(rig_hello(r).journal_count, before + 1);
    rig_unlock(r);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
    assert_int_equal(r->record_count, 2);
    assert_int_equal(r->records[0].r.type, RECORD_VAULT_UNLOCK_FAILED);
    assert_int_equal(r->records[0].r.outcome, OUTCOME_DENIED);
    assert_int_equal(r->records[1].r.type, RECORD_VAULT_UNLOCKED);
    assert_false(rig_line_has(&r->records[1], "recovery"));
}

static void a_session_serves_one_attempt(void **state)
{
    struct rig *r = *state;
    struct wire_session s;
    uint8_t wrong[64] = { 1 };

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], SPAN(wrong)), DENIED);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
    assert_string_equal(r->reason, "no such session");
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), OK);
    rig_lock(r);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
}

static void sixteen_sessions_live_at_once_and_the_oldest_gives_way(void **state)
{
    struct rig *r = *state;
    struct wire_session s[17];

    rig_init(r);
    rig_lock(r);
    for (size_t i = 0; i < 17; i++) {
        assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s[i]), OK);
        rig_mono_us++;
    }
    assert_int_equal(rig_try_unlock(r, &s[0], &r->slots[0], rig_touch(r, 0, &s[0])), CONFLICT);
    assert_string_equal(r->reason, "no such session");
    assert_int_equal(rig_try_unlock(r, &s[1], &r->slots[0], rig_touch(r, 0, &s[1])), OK);
}

/* Two operators were under way; one was quicker. */
static void a_session_for_unlocking_opens_nothing_once_the_vault_is_open(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    rig_unlock(r);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
    assert_string_equal(r->reason, "the vault is unlocked already");
    assert_int_equal(rig_batch(r, NULL, 0), OK);
}

static void a_session_ends_after_two_minutes(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    rig_mono_us += (UNLOCK_SESSION_S + 1) * SECOND_US;
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
    assert_string_equal(r->reason, "the session is over");
}

static void a_session_is_for_one_slot(void **state)
{
    struct rig *r = *state;
    struct wire_session s;
    struct id nobody = rig_id(99);

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &nobody, &s), NOT_FOUND);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->cards[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
}

static void a_secret_sealed_under_another_transcript_is_denied(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    s.transcript[5] ^= 1;
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), DENIED);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    /* One secret instead of two. */
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], span_of(rig_touch(r, 0, &s).p, 32)),
                     DENIED);
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
}

static void a_refused_assertion_ends_the_session_and_is_recorded(void **state)
{
    struct rig *r = *state;
    struct wire_session s;

    rig_init(r);
    rig_lock(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    struct out *o = rig_begin(r, WIRE_UNLOCK_FAILED);
    out_id(o, &s.session);
    out_id(o, &r->slots[0]);
    assert_int_equal(rig_call(r), OK);
    assert_true(in_end(&r->body));
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CONFLICT);
    assert_int_equal(rig_hello(r).journal_count, 1);
}

static void a_second_keeper_on_the_same_keyring_is_refused(void **state)
{
    struct rig *r = *state;
    struct keeper *second = NULL;
    struct keeper_settings settings = { .keyring_dir = r->keyring, .allow_cow = true };

    rig_init(r);
    assert_int_equal(keeper_new(&settings, &second, NULL), CONFLICT);
    assert_null(second);
}

static void a_damaged_keyring_leaves_a_keeper_that_says_so(void **state)
{
    struct rig *r = *state;
    char path[128];
    static const uint8_t zeros[64 * 1024];

    rig_init(r);
    keeper_free(r->k);
    snprintf(path, sizeof(path), "%s/keyring", r->keyring);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fwrite(zeros, 1, sizeof(zeros), f), sizeof(zeros));
    fclose(f);
    rig_open(r);
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.state, KEEPER_BROKEN);
    assert_true(hello.broken_reason.n > 0);
    rig_begin(r, WIRE_SLOTS);
    assert_int_equal(rig_call(r), CORRUPT);
}

static int created_calls;

static status on_created(struct err *e)
{
    (void)e;
    created_calls++;
    return OK;
}

static void the_process_is_told_when_the_keyring_exists(void **state)
{
    struct rig *r = *state;
    struct keeper_settings settings = { .keyring_dir = r->keyring,
                                        .allow_cow = true,
                                        .created = on_created };

    keeper_free(r->k);
    assert_int_equal(keeper_new(&settings, &r->k, NULL), OK);
    assert_true(keeper_is_empty(r->k));
    rig_init(r);
    assert_int_equal(created_calls, 1);
    assert_false(keeper_is_empty(r->k));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_keeper_without_a_keyring_is_empty),
        CASE(init_makes_an_unlocked_vault_with_two_slots),
        CASE(init_refuses_a_bad_region_and_spends_the_session),
        CASE(a_vault_is_made_only_once),
        CASE(lock_forgets_every_secret),
        CASE(the_hardware_key_opens_the_vault_again),
        CASE(the_recovery_card_opens_the_vault),
        CASE(a_wrong_secret_is_denied_and_recorded),
        CASE(a_session_serves_one_attempt),
        CASE(sixteen_sessions_live_at_once_and_the_oldest_gives_way),
        CASE(a_session_for_unlocking_opens_nothing_once_the_vault_is_open),
        CASE(a_session_ends_after_two_minutes),
        CASE(a_session_is_for_one_slot),
        CASE(a_secret_sealed_under_another_transcript_is_denied),
        CASE(a_refused_assertion_ends_the_session_and_is_recorded),
        CASE(a_second_keeper_on_the_same_keyring_is_refused),
        CASE(a_damaged_keyring_leaves_a_keeper_that_says_so),
        CASE(the_process_is_told_when_the_keyring_exists),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
