/* What each kind of batch entry does, and what it refuses. */
#include "keeper_customer.h"
#include "ledger/verify.h"

static void assert_failed(struct rig *r, status expected, const char *reason)
{
    char quoted[160];

    assert_int_equal(r->result.status, expected);
    assert_int_equal(r->result.data.n, 0);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_OPERATION_FAILED);
    assert_int_equal(r->records[0].r.outcome, OUTCOME_FAILED);
    snprintf(quoted, sizeof(quoted), "\"reason\":\"%s\"", reason);
    assert_true(rig_line_has(&r->records[0], quoted));
}

static void the_vaults_log_begins_once(void **state)
{
    struct rig *r = *state;
    char vault[ID_HEX_LENGTH + 1];

    assert_int_equal(r->records[0].r.type, RECORD_VAULT_CREATED);
    assert_int_equal(r->records[0].r.seq, 0);
    hex_format(SPAN(r->vault.b), vault);
    assert_true(rig_line_has(&r->records[0], vault));
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_VAULT_CREATED }), CONFLICT);
    assert_failed(r, CONFLICT, "the vault's log has begun already");
}

static void a_key_comes_back_as_it_was_put(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    assert_string_equal(r->hint, "...WXYZ");
    assert_int_equal(r->records[0].r.type, RECORD_KEY_PUT);
    assert_int_equal(value.n % 64, SEAL_OVERHEAD % 64);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    assert_true(span_same(span_of(r->data, r->result.data.n), span_text(provider_key)));
    assert_false(id_is_zero(&r->result.lease));
}

static void opening_writes_the_lease_into_the_tenants_log(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    char lease[ID_HEX_LENGTH + 1];
    char expected[512];
    struct id tenant = TENANT;
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, value);

    open.fields = span_text(",\"actor\":\"gateway\"");
    assert_int_equal(rig_entry(r, open), OK);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_ISSUED);
    assert_true(id_same(&r->records[0].r.log, &tenant));
    hex_format(SPAN(r->result.lease.b), lease);
    snprintf(expected, sizeof(expected), "\"version\":1,\"lease_id\":\"%s\",\"gateway_id\":\"",
             lease);
    assert_true(rig_line_has(&r->records[0], expected));
    assert_true(rig_line_has(&r->records[0], ",\"engagement_id\":\""));
    assert_true(rig_line_has(&r->records[0], ",\"expires\":\"20"));
    assert_true(rig_line_has(&r->records[0], ",\"actor\":\"gateway\"}"));
    assert_false(rig_line_has(&r->records[0], provider_key));
}

static void a_value_moved_elsewhere_does_not_open(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct id second = rig_id(22);

    rig_tenant(r, OTHER, rig_id(12));
    assert_int_equal(rig_put(r, OTHER, rig_id(12), rig_id(23), 1, "another tenant's key"), OK);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, second, 1, "another key"), OK);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 2, "another version"), OK);
    assert_int_equal(r->records[0].r.type, RECORD_KEY_ROTATED);

    assert_int_equal(rig_entry(r, rig_open_entry(OTHER, rig_id(23), 1, value)), CORRUPT);
    assert_failed(r, CORRUPT, "the sealed value does not open");
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, second, 1, value)), CORRUPT);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 2, value)), CORRUPT);
    struct wire_entry provider = rig_open_entry(TENANT, KEY, 1, value);
    provider.provider++;
    assert_int_equal(rig_entry(r, provider), CORRUPT);
    /* Another tenant's key under its own name. */
    assert_int_equal(rig_entry(r, rig_open_entry(OTHER, KEY, 1, value)), NOT_FOUND);
    assert_failed(r, NOT_FOUND, "no such key and version");
    /* And the right one still does. */
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
}

static void every_changed_byte_of_a_value_is_noticed(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    for (size_t i = 0; i < value.n; i++) {
        sealed[i] ^= 0x20;
        assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), CORRUPT);
        sealed[i] ^= 0x20;
    }
    value.n--;
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), CORRUPT);
}

static void a_destroyed_version_does_not_open_and_others_do(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    uint8_t sealed2[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct wire_entry destroy = { .kind = ENTRY_KEY_DESTROY,
                                  .tenant = TENANT,
                                  .key = KEY,
                                  .version = 1,
                                  .reason = DESTROY_REVOKED };

    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 2, "second version of the key"), OK);
    memcpy(sealed2, r->data, r->result.data.n);
    struct span value2 = span_of(sealed2, r->result.data.n);
    assert_int_equal(rig_entry(r, destroy), OK);
    assert_int_equal(r->records[0].r.type, RECORD_KEY_DESTROYED);
    assert_true(rig_line_has(&r->records[0], "\"reason\":\"revoked\""));
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), NOT_FOUND);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 2, value2)), OK);
    assert_int_equal(rig_entry(r, destroy), NOT_FOUND);
    destroy.version = 2;
    destroy.reason = DESTROY_PURGED;
    assert_int_equal(rig_entry(r, destroy), BAD_INPUT);
    destroy.reason = DESTROY_GRACE_OVER;
    destroy.tenant = OTHER;
    assert_int_equal(rig_entry(r, destroy), NOT_FOUND);
    rig_restart(r);
    rig_unlock(r);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), NOT_FOUND);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 2, value2)), OK);
}

/* The whole keyring file, to be freed. */
static uint8_t *keyring_bytes(struct rig *r, size_t *ret_n)
{
    char path[128];
    FILE *f;
    uint8_t *bytes;

    snprintf(path, sizeof(path), "%s/keyring", r->keyring);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *ret_n = (size_t)ftell(f);
    rewind(f);
    bytes = malloc(*ret_n);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *ret_n, f), *ret_n);
    fclose(f);
    return bytes;
}

/* Writes back every cell of old that is another one now; superblocks and slots stay. */
static size_t put_old_cells_back(struct rig *r, const uint8_t *old, size_t old_n)
{
    size_t n, changed = 0;
    uint8_t *now = keyring_bytes(r, &n);
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/keyring", r->keyring);
    f = fopen(path, "r+b");
    assert_non_null(f);
    for (size_t at = 2 * 4096 + (LIMIT_SLOTS + 2) * SLOT_SIZE; at < old_n; at += CELL_SIZE) {
        if (span_same(span_of(old + at, CELL_SIZE), span_of(now + at, CELL_SIZE)))
            continue;
        assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
        assert_int_equal(fwrite(old + at, 1, CELL_SIZE, f), CELL_SIZE);
        changed++;
    }
    fclose(f);
    free(now);
    return changed;
}

static void the_cell_of_a_destroyed_key_cannot_be_copied_back(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_session s;
    uint8_t *old;
    size_t old_n;

    put_key(r, sealed);
    old = keyring_bytes(r, &old_n);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_KEY_DESTROY,
                                                       .tenant = TENANT,
                                                       .key = KEY,
                                                       .version = 1,
                                                       .reason = DESTROY_REVOKED }),
                     OK);
    keeper_free(r->k); /* as a crash would: nothing more is written for the key's sake */
    r->k = NULL;
    assert_int_equal(put_old_cells_back(r, old, old_n), 1);
    free(old);
    rig_open(r);
    assert_int_equal(rig_session(r, SESSION_UNLOCK, &r->slots[0], &s), OK);
    assert_int_equal(rig_try_unlock(r, &s, &r->slots[0], rig_touch(r, 0, &s)), CORRUPT);
}

static void a_delivery_must_hold_a_usable_provider_key(void **state)
{
    struct rig *r = *state;
    uint8_t delivery[LIMIT_DELIVERY + 64];
    char longest[LIMIT_PROVIDER_KEY + 2];
    struct wire_entry put = {
        .kind = ENTRY_KEY_PUT, .tenant = TENANT, .engagement = ENGAGEMENT, .key = KEY, .version = 1
    };

    rig_tenant(r, TENANT, ENGAGEMENT);
    memset(longest, 'k', sizeof(longest));
    longest[LIMIT_PROVIDER_KEY + 1] = '\0';
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, longest), BAD_INPUT);
    assert_failed(r, BAD_INPUT, "provider key has a bad length");
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, ""), BAD_INPUT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, "two\nlines"), BAD_INPUT);
    assert_int_equal(box_seal(SPAN(r->intake), span_of("a\0b", 3), delivery, NULL), OK);
    put.data = span_of(delivery, 3 + BOX_OVERHEAD);
    assert_int_equal(rig_entry(r, put), BAD_INPUT);
    delivery[40] ^= 1;
    assert_int_equal(rig_entry(r, put), BAD_INPUT);
    assert_failed(r, BAD_INPUT, "the delivery does not open");
    /* A degenerate ephemeral key. */
    memset(delivery, 0, sizeof(delivery));
    assert_int_equal(rig_entry(r, put), BAD_INPUT);
    longest[LIMIT_PROVIDER_KEY] = '\0';
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, longest), OK);
    assert_string_equal(r->hint, "...kkkk");
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, "again"), CONFLICT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 0, "no version"), BAD_INPUT);
    assert_int_equal(rig_put(r, TENANT, rig_id(12), rig_id(24), 1, "nowhere"), NOT_FOUND);
    assert_int_equal(rig_put(r, OTHER, ENGAGEMENT, rig_id(24), 1, "no tenant"), NOT_FOUND);
}

static void short_keys_have_no_hint(void **state)
{
    struct rig *r = *state;

    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, rig_id(31), 1, "nineteen-characters"), OK);
    assert_string_equal(r->hint, "");
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, rig_id(32), 1, "twenty-characters-xx"), OK);
    assert_string_equal(r->hint, "...s-xx");
}

static void a_provider_key_is_one_line_of_plain_ascii(void **state)
{
    static const char *const bad[] = { "a key of two\nlines", "a key with \x7f in it",
                                       "caf\xc3\xa9", "\xff\xfe", "tab\there" };
    struct rig *r = *state;

    rig_tenant(r, TENANT, ENGAGEMENT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, rig_id(33), 1, bad[i]), BAD_INPUT);
}

static void tenants_and_engagements_begin_once(void **state)
{
    struct rig *r = *state;
    struct wire_entry tenant = { .kind = ENTRY_TENANT_NEW, .tenant = TENANT };
    struct wire_entry start = { .kind = ENTRY_ENGAGEMENT_START,
                                .tenant = TENANT,
                                .engagement = ENGAGEMENT };

    assert_int_equal(rig_entry(r, start), NOT_FOUND);
    assert_failed(r, NOT_FOUND, "no such tenant");
    assert_true(id_is_zero(&r->records[0].r.log));
    assert_true(rig_line_has(&r->records[0], "\"attempt\":\"engagement.started\",\"tenant_id\":"));
    assert_int_equal(rig_entry(r, tenant), OK);
    assert_int_equal(r->records[0].r.seq, 0);
    assert_int_equal(rig_entry(r, tenant), CONFLICT);
    assert_int_equal(r->records[0].r.seq, 1);
    assert_int_equal(rig_entry(r, start), OK);
    assert_int_equal(rig_entry(r, start), CONFLICT);
    assert_failed(r, CONFLICT, "the engagement exists already");
}

static void an_ended_engagement_gives_nothing_out(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct wire_entry end = { .kind = ENTRY_ENGAGEMENT_END,
                              .tenant = TENANT,
                              .engagement = ENGAGEMENT };

    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    struct wire_entry renew = rig_open_entry(TENANT, KEY, 1, value);
    renew.kind = ENTRY_LEASE_RENEW;
    renew.lease = r->result.lease;
    memcpy(renew.lease_mac, r->result.lease_mac, sizeof(renew.lease_mac));
    assert_int_equal(rig_entry(r, renew), OK);

    assert_int_equal(rig_entry(r, end), OK);
    uint64_t due = RIG_START_US + PURGE_DELAY_S * SECOND_US;
    assert_int_equal(r->result.due_us, due);
    assert_int_equal(rig_hello(r).next_due_us, due);
    assert_int_equal(rig_entry(r, end), CONFLICT);
    assert_int_equal(r->result.due_us, due);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), DENIED);
    assert_failed(r, DENIED, "the engagement has ended");
    assert_int_equal(rig_entry(r, renew), DENIED);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, rig_id(24), 1, "too late"), DENIED);
    renew.kind = ENTRY_LEASE_RELEASE;
    assert_int_equal(rig_entry(r, renew), OK);
}

static void a_lease_that_is_named_is_opened_again_under_its_own_token(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY], mac[16];
    struct span value = put_key(r, sealed);
    struct wire_entry open = rig_open_entry(TENANT, KEY, 1, value);
    struct wire_entry end = { .kind = ENTRY_ENGAGEMENT_END,
                              .tenant = TENANT,
                              .engagement = ENGAGEMENT };

    assert_int_equal(rig_entry(r, open), OK);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_ISSUED);
    open.lease = r->result.lease;
    memcpy(mac, r->result.lease_mac, sizeof(mac));
    assert_int_equal(rig_entry(r, open), OK);
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_REPEATED);
    assert_true(id_same(&r->result.lease, &open.lease));
    assert_memory_equal(r->result.lease_mac, mac, sizeof(mac));
    assert_true(r->result.data.n > 0);
    open.gateway = rig_id(201); /* of another gateway the token is another one */
    assert_int_equal(rig_entry(r, open), OK);
    assert_memory_not_equal(r->result.lease_mac, mac, sizeof(mac));
    assert_int_equal(rig_entry(r, end), OK);
    assert_int_equal(rig_entry(r, open), DENIED); /* like a new one */
    assert_failed(r, DENIED, "the engagement has ended");
}

static void a_lease_token_works_only_as_issued(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 2, "another version of it"), OK);
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    struct wire_entry good = rig_open_entry(TENANT, KEY, 1, value);
    good.kind = ENTRY_LEASE_RENEW;
    good.lease = r->result.lease;
    memcpy(good.lease_mac, r->result.lease_mac, sizeof(good.lease_mac));
    good.expires_us += 600 * SECOND_US;
    assert_int_equal(rig_entry(r, good), OK);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_RENEWED);

    struct wire_entry bad = good;
    bad.certificate[31] ^= 1;
    assert_int_equal(rig_entry(r, bad), DENIED);
    assert_failed(r, DENIED, "the lease token is not valid");
    bad = good;
    bad.gateway = rig_id(201);
    assert_int_equal(rig_entry(r, bad), DENIED);
    bad = good;
    bad.version = 2;
    assert_int_equal(rig_entry(r, bad), DENIED);
    bad = good;
    bad.lease_mac[15] ^= 1;
    assert_int_equal(rig_entry(r, bad), DENIED);
    bad = good;
    bad.lease.b[0] ^= 1;
    bad.kind = ENTRY_LEASE_RELEASE;
    assert_int_equal(rig_entry(r, bad), DENIED);
    bad = good;
    bad.expires_us = 0;
    assert_int_equal(rig_entry(r, bad), BAD_INPUT);
    good.kind = ENTRY_LEASE_RELEASE;
    assert_int_equal(rig_entry(r, good), OK);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_RELEASED);
}

static void the_engine_cannot_speak_for_the_keeper(void **state)
{
    struct rig *r = *state;
    struct wire_entry record = { .kind = ENTRY_RECORD, .type = RECORD_LEASE_ISSUED };

    assert_int_equal(rig_entry(r, record), DENIED);
    assert_failed(r, DENIED, "only the keeper writes records of this type");
    assert_true(rig_line_has(&r->records[0], "\"attempt\":\"lease.issued\""));
    record.type = 999;
    assert_int_equal(rig_entry(r, record), DENIED);
    record.type = RECORD_SERVER_STARTED;
    record.outcome = 3;
    assert_int_equal(rig_entry(r, record), BAD_INPUT);
    record.outcome = OUTCOME_OK;
    record.fields = span_text(",\"lease_id\":\"00\"");
    assert_int_equal(rig_entry(r, record), BAD_INPUT);
    record.fields = span_text("nonsense");
    assert_int_equal(rig_entry(r, record), BAD_INPUT);
    assert_false(rig_line_has(&r->records[0], "nonsense"));
    record.fields = span_text(",\"actor\":\"x\"");
    record.log = TENANT;
    assert_int_equal(rig_entry(r, record), NOT_FOUND);
    assert_true(rig_line_has(&r->records[0], ",\"actor\":\"x\"}"));
    record.log = (struct id){ { 0 } };
    assert_int_equal(rig_entry(r, record), OK);
    assert_int_equal(r->records[0].r.type, RECORD_SERVER_STARTED);
    struct wire_entry fold = { .kind = ENTRY_FOLD, .fields = span_text(",\"happened\":1") };
    assert_int_equal(rig_entry(r, fold), BAD_INPUT);
}

static void a_failed_entry_does_not_spoil_the_others(void **state)
{
    struct rig *r = *state;
    const struct wire_entry entries[] = {
        { .kind = ENTRY_TENANT_NEW, .tenant = TENANT },
        { .kind = ENTRY_ENGAGEMENT_END, .tenant = TENANT, .engagement = ENGAGEMENT },
        { .kind = ENTRY_ENGAGEMENT_START, .tenant = TENANT, .engagement = ENGAGEMENT },
        { .kind = ENTRY_ENGAGEMENT_START, .tenant = TENANT, .engagement = ENGAGEMENT },
        { .kind = ENTRY_ENGAGEMENT_END, .tenant = TENANT, .engagement = ENGAGEMENT },
    };
    static const uint16_t types[] = { RECORD_TENANT_CREATED, RECORD_OPERATION_FAILED,
                                      RECORD_ENGAGEMENT_STARTED, RECORD_OPERATION_FAILED,
                                      RECORD_ENGAGEMENT_ENDED };

    assert_int_equal(rig_batch(r, entries, 5), OK);
    assert_int_equal(r->record_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(r->records[i].r.type, types[i]);
        assert_int_equal(r->records[i].r.seq, i);
    }
}

static void records_verify_offline_against_the_signed_checkpoint(void **state)
{
    struct rig *r = *state;
    struct ledger_verify v;
    struct wire_system_keys keys;
    struct id tenant = TENANT;
    uint8_t note[CHECKPOINT_MAX];
    struct err e = { 0 };

    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), OK);
    wire_get_system_keys(&r->body, &keys);
    ledger_verify_init(&v, &r->vault, &tenant);
    for (uint8_t i = 0; i < 20; i++) {
        struct wire_entry entry = { .kind = ENTRY_RECORD,
                                    .log = TENANT,
                                    .type = RECORD_LEASE_REFUSED };
        if (i == 0)
            entry = (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = TENANT };
        assert_int_equal(rig_entry(r, entry), OK);
        assert_int_equal(ledger_verify_line(&v, r->records[0].r.line, &e), OK);
        rig_pass(1);
    }
    assert_int_equal(rig_checkpoint(r, tenant), OK);
    struct span signed_note = in_span16(&r->body);
    assert_true(in_end(&r->body) && signed_note.n <= sizeof(note));
    memcpy(note, signed_note.p, signed_note.n);
    assert_int_equal(
        ledger_verify_finish(&v, span_of(note, signed_note.n), SPAN(keys.ledger_public), &e), OK);
    struct id nobody = rig_id(77);
    assert_int_equal(rig_checkpoint(r, nobody), NOT_FOUND);
}

static void record_macs_are_checked_on_request(void **state)
{
    struct rig *r = *state;
    struct id vault_log = { { 0 } };

    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_RECORD, .type = RECORD_SERVER_STARTED }),
        OK);
    for (unsigned wrong = 0; wrong < 3; wrong++) {
        struct out *o = rig_begin(r, WIRE_CHECK_MACS);
        out_id(o, &vault_log);
        out_u16(o, 2);
        for (unsigned i = 0; i < 2; i++) {
            uint8_t mac[32];
            memcpy(mac, r->records[0].r.mac, 32);
            mac[0] ^= i == wrong;
            out_span16(o, r->records[0].r.line);
            out_raw(o, SPAN(mac));
        }
        assert_int_equal(rig_call(r), OK);
        assert_int_equal(in_u16(&r->body), wrong);
    }
}

static void live_cells_are_listed(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_cell cell;
    size_t keys = 0;
    size_t engagements = 0;
    size_t seeds = 0;

    put_key(r, sealed);
    out_u64(rig_begin(r, WIRE_CELLS), 0);
    assert_int_equal(rig_call(r), OK);
    assert_int_equal(in_u64(&r->body), 0);
    for (uint16_t count = in_u16(&r->body); count > 0; count--) {
        wire_get_cell(&r->body, &cell);
        keys += cell.type == CELL_DATA_KEY;
        engagements += cell.type == CELL_ENGAGEMENT;
        seeds += cell.type == CELL_TENANT_SEED;
    }
    assert_true(in_end(&r->body));
    assert_int_equal(keys, 1);
    assert_int_equal(engagements, 1);
    assert_int_equal(seeds, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_vaults_log_begins_once),
        CASE(a_key_comes_back_as_it_was_put),
        CASE(opening_writes_the_lease_into_the_tenants_log),
        CASE(a_value_moved_elsewhere_does_not_open),
        CASE(every_changed_byte_of_a_value_is_noticed),
        CASE(a_destroyed_version_does_not_open_and_others_do),
        CASE(the_cell_of_a_destroyed_key_cannot_be_copied_back),
        CASE(a_delivery_must_hold_a_usable_provider_key),
        CASE(short_keys_have_no_hint),
        CASE(a_provider_key_is_one_line_of_plain_ascii),
        CASE(tenants_and_engagements_begin_once),
        CASE(an_ended_engagement_gives_nothing_out),
        CASE(a_lease_that_is_named_is_opened_again_under_its_own_token),
        CASE(a_lease_token_works_only_as_issued),
        CASE(the_engine_cannot_speak_for_the_keeper),
        CASE(a_failed_entry_does_not_spoil_the_others),
        CASE(records_verify_offline_against_the_signed_checkpoint),
        CASE(record_macs_are_checked_on_request),
        CASE(live_cells_are_listed),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
