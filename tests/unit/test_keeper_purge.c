/* The keeper's rules 4 and 5: keys die on time, locked or not, and a lying clock changes nothing. */
#include "keeper_customer.h"
#include "keyring/journal.h"

static void end(struct rig *r, struct id tenant, struct id engagement)
{
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_END,
                                                       .tenant = tenant,
                                                       .engagement = engagement }),
                     OK);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
}

/* Folds until the journal is empty; counts the records of a type. */
static size_t fold(struct rig *r, uint16_t type, struct rig_record *ret_last)
{
    size_t count = 0;

    do {
        assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
        for (size_t i = 0; i < r->record_count; i++) {
            if (r->records[i].r.type != type)
                continue;
            count++;
            if (ret_last != NULL)
                *ret_last = r->records[i];
        }
    } while (r->record_count > 0);
    assert_int_equal(rig_hello(r).journal_count, 0);
    return count;
}

static size_t count_cells(const char *dir, uint8_t type, size_t *ret_unproven)
{
    struct keyring *ring = NULL;
    struct cell cell;
    size_t cursor = 0;

    assert_int_equal(keyring_open(dir, true, &ring, NULL), OK);
    size_t count = keyring_count(ring, type);
    *ret_unproven = 0;
    while (keyring_next_unproven(ring, &cursor, &cell))
        ++*ret_unproven;
    keyring_close(ring);
    return count;
}

static void rule_4_keys_of_an_ended_engagement_die_on_time_while_locked(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct rig_record last;

    end(r, TENANT, ENGAGEMENT);
    rig_lock(r);
    rig_pass(PURGE_DELAY_S - 1);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).journal_count, 0);
    assert_true(keeper_wait_ms(r->k) > 0 && keeper_wait_ms(r->k) <= 1001);
    rig_pass(1);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).next_due_us, 0);
    assert_int_equal(rig_hello(r).journal_count, 3);

    rig_unlock(r);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), NOT_FOUND);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
    assert_int_equal(r->record_count, 4);
    assert_int_equal(r->records[0].r.type, RECORD_KEY_DESTROYED);
    assert_true(rig_line_has(&r->records[0], "\"reason\":\"purged\""));
    struct id tenant = TENANT;
    assert_true(id_same(&r->records[0].r.log, &tenant));
    assert_int_equal(r->records[1].r.type, RECORD_PURGE_KEYS_DESTROYED);
    assert_true(rig_line_has(&r->records[1], ",\"number\":1,"));
    assert_int_equal(r->records[2].r.type, RECORD_TENANT_SEED_DESTROYED);
    assert_int_equal(r->records[3].r.type, RECORD_VAULT_UNLOCKED);
    assert_int_equal(fold(r, RECORD_TOMBSTONE_ALARM, &last), 0);
}

static void keys_die_on_time_while_unlocked_too(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    size_t unproven = 0;

    put_key(r, sealed);
    end(r, TENANT, ENGAGEMENT);
    rig_pass(PURGE_DELAY_S);
    assert_int_equal(rig_hello(r).journal_count, 3);
    assert_int_equal(fold(r, RECORD_KEY_DESTROYED, NULL), 1);
    keeper_free(r->k);
    r->k = NULL;
    assert_int_equal(count_cells(r->keyring, CELL_DATA_KEY, &unproven), 0);
    assert_int_equal(count_cells(r->keyring, CELL_TENANT_SEED, &unproven), 0);
    assert_int_equal(count_cells(r->keyring, CELL_ENGAGEMENT, &unproven), 0);
}

static void a_keeper_that_was_down_purges_when_it_starts(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];

    put_key(r, sealed);
    end(r, TENANT, ENGAGEMENT);
    rig_pass(30 * DAY_S);
    rig_restart(r);
    assert_int_equal(keeper_wait_ms(r->k), 0);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).journal_count, 3);
    assert_int_equal(rig_hello(r).clock_held, 0);
}

static void the_seed_stays_while_another_engagement_lives(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct id second = rig_id(12);

    put_key(r, sealed);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_START,
                                                       .tenant = TENANT,
                                                       .engagement = second }),
                     OK);
    assert_int_equal(rig_put(r, TENANT, second, rig_id(22), 1, "the other engagement's key"), OK);
    uint8_t other[LIMIT_SEALED_KEY];
    memcpy(other, r->data, r->result.data.n);
    struct span value = span_of(other, r->result.data.n);
    end(r, TENANT, ENGAGEMENT);
    rig_lock(r);
    rig_pass(PURGE_DELAY_S);
    keeper_tick(r->k);
    rig_unlock(r);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, rig_id(22), 1, value)), OK);
    assert_int_equal(fold(r, RECORD_TENANT_SEED_DESTROYED, NULL), 0);
    end(r, TENANT, second);
    rig_pass(PURGE_DELAY_S);
    keeper_tick(r->k);
    assert_int_equal(fold(r, RECORD_TENANT_SEED_DESTROYED, NULL), 1);
}

static void a_large_purge_leaves_one_entry_for_each_key(void **state)
{
    struct rig *r = *state;
    struct rig_record last;
    struct id key = KEY;

    rig_tenant(r, TENANT, ENGAGEMENT);
    for (uint32_t version = 1; version <= 600; version++)
        assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, key, version, provider_key), OK);
    end(r, TENANT, ENGAGEMENT);
    rig_lock(r);
    rig_pass(PURGE_DELAY_S);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).journal_count, 602);
    rig_unlock(r);
    assert_int_equal(rig_hello(r).journal_count, 603);
    assert_int_equal(fold(r, RECORD_PURGE_KEYS_DESTROYED, &last), 1);
    assert_true(rig_line_has(&last, ",\"number\":600,"));
    rig_lock(r);
    rig_unlock(r);
    assert_int_equal(fold(r, RECORD_TOMBSTONE_ALARM, NULL), 0);
}

static void an_interrupted_purge_goes_on_without_telling_twice(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct journal *journal = NULL;
    struct journal_entry told = { .time_us = RIG_START_US,
                                  .type = RECORD_KEY_DESTROYED,
                                  .reason = DESTROY_PURGED,
                                  .subject = KEY,
                                  .tenant = TENANT,
                                  .engagement = ENGAGEMENT,
                                  .version = 1 };

    put_key(r, sealed);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 2, "the second version"), OK);
    end(r, TENANT, ENGAGEMENT);
    keeper_free(r->k);
    r->k = NULL;
    /* As if the keeper had died between journal and destruction of the first key. */
    assert_int_equal(journal_open(r->keyring, &journal, NULL), OK);
    assert_int_equal(journal_append(journal, &told, 1, NULL), OK);
    journal_close(journal);
    rig_pass(PURGE_DELAY_S);
    rig_open(r);
    r->ack = 0;
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).journal_count, 4);
    rig_unlock(r);
    struct rig_record last;
    assert_int_equal(fold(r, RECORD_PURGE_KEYS_DESTROYED, &last), 1);
    assert_true(rig_line_has(&last, ",\"number\":2,"));
}

static void a_tombstone_without_a_purge_raises_one_alarm(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct keyring *ring = NULL;
    struct rig_record last;
    struct id key = KEY;

    put_key(r, sealed);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    keeper_free(r->k);
    r->k = NULL;
    assert_int_equal(keyring_open(r->keyring, true, &ring, NULL), OK);
    assert_int_equal(
        keyring_destroy(ring, CELL_DATA_KEY, &key, 1, DESTROY_PURGED, rig_wall_us, NULL), OK);
    assert_int_equal(keyring_commit(ring, NULL), OK);
    keyring_close(ring);
    rig_open(r);
    r->ack = 0;
    rig_unlock(r);
    rig_lock(r);
    rig_unlock(r); /* not told twice */
    assert_int_equal(fold(r, RECORD_TOMBSTONE_ALARM, &last), 1);
    assert_true(id_is_zero(&last.r.log));
    assert_int_equal(last.r.outcome, OUTCOME_FAILED);
    rig_lock(r);
    rig_unlock(r);
    assert_int_equal(fold(r, RECORD_TOMBSTONE_ALARM, NULL), 0);
}

static void a_scar_raises_an_alarm_once_a_process(void **state)
{
    struct rig *r = *state;
    struct rig_record last;
    char path[128];
    static const uint8_t debris[CELL_SIZE] = { 1, 2, 3, 4 };

    assert_int_equal(rig_batch(r, NULL, 0), OK);
    keeper_free(r->k);
    r->k = NULL;
    /* What a write leaves that a power cut interrupted: in the last place, which is empty. */
    snprintf(path, sizeof(path), "%s/keyring", r->keyring);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, -(long)CELL_SIZE, SEEK_END), 0);
    assert_int_equal(fwrite(debris, 1, sizeof(debris), f), sizeof(debris));
    assert_int_equal(fclose(f), 0);
    rig_open(r);
    r->ack = 0;
    rig_unlock(r);
    rig_lock(r);
    rig_unlock(r);
    assert_int_equal(fold(r, RECORD_TOMBSTONE_ALARM, &last), 1);
    assert_true(rig_line_has(&last, ",\"scars\":1,"));
}

static void folded_entries_leave_with_the_acknowledgement_only(void **state)
{
    struct rig *r = *state;

    rig_lock(r);
    rig_unlock(r);
    assert_int_equal(rig_hello(r).journal_count, 1);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_FOLD }), OK);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(rig_hello(r).journal_count, 1);
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    assert_int_equal(rig_hello(r).journal_count, 0);
}

static void two_folds_in_a_batch_take_different_entries(void **state)
{
    struct rig *r = *state;
    const struct wire_entry entries[] = { { .kind = ENTRY_FOLD }, { .kind = ENTRY_FOLD } };

    for (size_t i = 0; i < 40; i++) {
        rig_lock(r);
        rig_unlock(r);
    }
    assert_int_equal(rig_batch(r, entries, 2), OK);
    assert_int_equal(r->record_count, 40);
    assert_true(rig_line_has(&r->records[39], ",\"journal\":39}"));
    assert_int_equal(rig_batch(r, NULL, 0), OK);
    assert_int_equal(rig_hello(r).journal_count, 0);
}

static void rule_5_a_clock_set_back_postpones_nothing(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];

    put_key(r, sealed);
    end(r, TENANT, ENGAGEMENT);
    rig_pass(3 * DAY_S);
    uint64_t before = rig_hello(r).time_us;
    rig_wall_us -= 300 * DAY_S * SECOND_US;
    assert_true(rig_hello(r).time_us >= before);
    rig_pass(DAY_S);
    assert_true(rig_hello(r).time_us >= before + DAY_S * SECOND_US);
    rig_restart(r);
    assert_true(rig_hello(r).time_us >= before + DAY_S * SECOND_US);
    rig_pass(PURGE_DELAY_S - 4 * DAY_S);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).next_due_us, 0);
    rig_unlock(r);
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
    assert_true(r->records[0].r.time_us >= before);
}

static void rule_5_a_jump_ahead_holds_purges_until_it_is_confirmed(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct rig_record last;

    end(r, TENANT, ENGAGEMENT);
    rig_wall_us += 10 * DAY_S * SECOND_US;
    rig_mono_us += SECOND_US;
    struct wire_hello hello = rig_hello(r);
    assert_int_equal(hello.clock_held, 1);
    assert_int_equal(hello.journal_count, 1);
    assert_true(hello.time_us < RIG_START_US + DAY_S * SECOND_US);
    assert_true(hello.next_due_us != 0);
    assert_int_equal(rig_hello(r).journal_count, 1);

    /* Restarting is no confirmation. */
    rig_restart(r);
    assert_int_equal(rig_hello(r).clock_held, 1);
    assert_true(rig_hello(r).next_due_us != 0);
    assert_true(rig_hello(r).time_us < RIG_START_US + DAY_S * SECOND_US);
    rig_unlock(r);
    assert_int_equal(fold(r, RECORD_CLOCK_JUMPED, &last), 1);
    assert_true(rig_line_has(&last, ",\"number\":863999,"));
    (void)value;

    /* Nor is that the record of the jump is in the trail. */
    rig_restart(r);
    assert_int_equal(rig_hello(r).clock_held, 1);
    assert_true(rig_hello(r).next_due_us != 0);
    rig_unlock(r);

    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_CLOCK_CONFIRM }), OK);
    assert_int_equal(r->records[0].r.type, RECORD_CLOCK_CONFIRMED);
    hello = rig_hello(r);
    assert_int_equal(hello.clock_held, 0);
    assert_true(hello.time_us >= RIG_START_US + 10 * DAY_S * SECOND_US);
    assert_int_equal(hello.next_due_us, 0);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_CLOCK_CONFIRM }), CONFLICT);
}

static void many_small_jumps_are_one_large_jump(void **state)
{
    struct rig *r = *state;

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(rig_hello(r).clock_held, 0);
        rig_wall_us += DAY_S / 4 * SECOND_US;
    }
    rig_wall_us += SECOND_US;
    assert_int_equal(rig_hello(r).clock_held, 1);
}

static void a_long_quiet_time_is_no_jump(void **state)
{
    struct rig *r = *state;

    rig_pass(400 * DAY_S);
    keeper_tick(r->k);
    assert_int_equal(rig_hello(r).clock_held, 0);
    assert_int_equal(rig_hello(r).journal_count, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(rule_4_keys_of_an_ended_engagement_die_on_time_while_locked),
        CASE(keys_die_on_time_while_unlocked_too),
        CASE(a_keeper_that_was_down_purges_when_it_starts),
        CASE(the_seed_stays_while_another_engagement_lives),
        CASE(a_large_purge_leaves_one_entry_for_each_key),
        CASE(an_interrupted_purge_goes_on_without_telling_twice),
        CASE(a_tombstone_without_a_purge_raises_one_alarm),
        CASE(a_scar_raises_an_alarm_once_a_process),
        CASE(folded_entries_leave_with_the_acknowledgement_only),
        CASE(two_folds_in_a_batch_take_different_entries),
        CASE(rule_5_a_clock_set_back_postpones_nothing),
        CASE(rule_5_a_jump_ahead_holds_purges_until_it_is_confirmed),
        CASE(many_small_jumps_are_one_large_jump),
        CASE(a_long_quiet_time_is_no_jump),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
