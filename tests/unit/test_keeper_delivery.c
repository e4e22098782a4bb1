/* Leases whose value leaves the keeper only sealed to the gateway's key, and signed. */
#include "keeper_customer.h"
#include "wire/delivery.h"

static const uint8_t gateway_private[32] = { 7, 7, 7 };

/* A lease of KEY, sealed to the gateway's key. */
static struct wire_entry sealed_entry(struct span value)
{
    struct wire_entry entry = rig_open_entry(TENANT, KEY, 1, value);

    box_public(SPAN(gateway_private), entry.seal_to);
    memset(entry.nonce, 0x5e, sizeof(entry.nonce));
    return entry;
}

static struct span box_of(const struct rig *r)
{
    assert_true(r->result.data.n > BOX_OVERHEAD + ED25519_SIGNATURE_SIZE);
    return span_of(r->data, r->result.data.n - ED25519_SIGNATURE_SIZE);
}

/* What the gateway expects to be signed after having sent entry. */
static struct wire_delivery expected(const struct rig *r, const struct wire_entry *entry)
{
    struct wire_delivery d = { .vault = r->vault,
                               .lease = r->result.lease,
                               .gateway = entry->gateway,
                               .key = entry->key,
                               .version = entry->version,
                               .expires_us = entry->expires_us,
                               .sealed = box_of(r) };

    memcpy(d.certificate, entry->certificate, sizeof(d.certificate));
    memcpy(d.nonce, entry->nonce, sizeof(d.nonce));
    return d;
}

static void take_signer(struct rig *r, uint8_t out[static 32])
{
    struct wire_system_keys keys;

    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), OK);
    wire_get_system_keys(&r->body, &keys);
    memcpy(out, keys.delivery_public, 32);
}

static bool is_signed(const struct rig *r, const uint8_t signer[static 32],
                      const struct wire_delivery *d)
{
    uint8_t bytes[DELIVERY_SIGNED_MAX];
    struct span box = box_of(r);
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    wire_delivery_signed(d, &o);
    assert_false(o.overflow);
    return ed25519_verify(span_of(signer, 32), span_of(o.p, o.n),
                          span_of(box.p + box.n, ED25519_SIGNATURE_SIZE));
}

static void a_sealed_delivery_opens_with_the_gateways_key_only(void **state)
{
    struct rig *r = *state;
    AUTO(secret) *opened = NULL;
    AUTO(secret) *stolen = NULL;
    static const uint8_t other[32] = { 8 };
    uint8_t sealed[LIMIT_SEALED_KEY];

    assert_int_equal(rig_entry(r, sealed_entry(put_key(r, sealed))), OK);
    assert_int_equal(r->result.data.n,
                     strlen(provider_key) + BOX_OVERHEAD + ED25519_SIGNATURE_SIZE);
    assert_int_equal(box_open(SPAN(gateway_private), box_of(r), &opened, NULL), OK);
    assert_true(span_same(secret_view(opened), span_text(provider_key)));
    assert_int_equal(box_open(SPAN(other), box_of(r), &stolen, NULL), CORRUPT);
}

static void the_value_in_clear_is_nowhere_in_the_reply(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);

    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    assert_non_null(memmem(r->reply, r->reply_n, provider_key, strlen(provider_key)));
    assert_int_equal(rig_entry(r, sealed_entry(value)), OK);
    assert_null(memmem(r->reply, sizeof(r->reply), provider_key, strlen(provider_key)));
}

static void the_largest_key_fits_a_sealed_delivery(void **state)
{
    static char large[LIMIT_PROVIDER_KEY + 1];
    struct rig *r = *state;
    AUTO(secret) *opened = NULL;
    uint8_t signer[32];
    uint8_t sealed[LIMIT_SEALED_KEY];

    take_signer(r, signer);
    memset(large, 'k', LIMIT_PROVIDER_KEY);
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, large), OK);
    memcpy(sealed, r->data, r->result.data.n);
    struct wire_entry entry = sealed_entry(span_of(sealed, r->result.data.n));
    assert_int_equal(rig_entry(r, entry), OK);
    struct wire_delivery d = expected(r, &entry);
    assert_true(is_signed(r, signer, &d));
    assert_int_equal(box_open(SPAN(gateway_private), box_of(r), &opened, NULL), OK);
    assert_true(span_same(secret_view(opened), span_text(large)));
}

/* Each byte of each. */
static void the_signature_covers_every_member_and_the_box(void **state)
{
    struct rig *r = *state;
    uint8_t signer[32];
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry entry = sealed_entry(put_key(r, sealed));

    take_signer(r, signer);
    assert_int_equal(rig_entry(r, entry), OK);
    struct wire_delivery good = expected(r, &entry);
    assert_true(is_signed(r, signer, &good));
    const struct {
        size_t at, n;
    } members[] = {
        { offsetof(struct wire_delivery, vault), 16 },
        { offsetof(struct wire_delivery, lease), 16 },
        { offsetof(struct wire_delivery, gateway), 16 },
        { offsetof(struct wire_delivery, certificate), 32 },
        { offsetof(struct wire_delivery, nonce), 32 },
        { offsetof(struct wire_delivery, key), 16 },
        { offsetof(struct wire_delivery, version), 4 },
        { offsetof(struct wire_delivery, expires_us), 8 },
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        for (size_t j = 0; j < members[i].n; j++) {
            struct wire_delivery bad = good;
            ((uint8_t *)&bad)[members[i].at + j] ^= 1;
            assert_false(is_signed(r, signer, &bad));
        }
    }
    for (size_t i = 0; i < good.sealed.n; i++) {
        r->data[i] ^= 1;
        assert_false(is_signed(r, signer, &good));
        r->data[i] ^= 1;
    }
    good.sealed.n--;
    assert_false(is_signed(r, signer, &good));
}

static void the_record_says_that_the_delivery_was_sealed(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct span value = put_key(r, sealed);
    struct wire_entry lying = rig_open_entry(TENANT, KEY, 1, value);

    assert_int_equal(rig_entry(r, sealed_entry(value)), OK);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_ISSUED);
    assert_true(rig_line_has(&r->records[0], ",\"delivery\":\"sealed\""));
    assert_int_equal(rig_entry(r, rig_open_entry(TENANT, KEY, 1, value)), OK);
    assert_false(rig_line_has(&r->records[0], "delivery"));
    lying.fields = span_text(",\"delivery\":\"sealed\"");
    assert_int_equal(rig_entry(r, lying), BAD_INPUT);
}

/* RFC 7748, section 6.1: these give the same secret to everybody. */
static void a_degenerate_key_gets_nothing(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry entry = sealed_entry(put_key(r, sealed));
    size_t held;

    assert_int_equal(rig_entry(r, entry), OK); /* what opens the value is kept from here on */
    held = secret_in_use();
    memset(entry.seal_to, 0, sizeof(entry.seal_to));
    entry.seal_to[0] = 1;
    assert_int_equal(rig_entry(r, entry), BAD_INPUT);
    assert_int_equal(r->result.data.n, 0);
    assert_true(id_is_zero(&r->result.lease));
    assert_int_equal(r->record_count, 1);
    assert_int_equal(r->records[0].r.type, RECORD_OPERATION_FAILED);
    assert_true(rig_line_has(&r->records[0], "\"reason\":\"public key is degenerate\""));
    assert_int_equal(secret_in_use(), held);
}

static void recovered_batches_hold_no_delivery(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];

    assert_int_equal(rig_entry(r, sealed_entry(put_key(r, sealed))), OK);
    assert_int_equal(rig_recover(r, 0), OK);
    assert_int_equal(rig_take_batch(r), 1);
    assert_int_equal(r->records[0].r.type, RECORD_LEASE_ISSUED);
    assert_int_equal(r->result.data.n, 0);
}

static void the_lease_of_a_sealed_delivery_is_renewed_as_any_other(void **state)
{
    struct rig *r = *state;
    uint8_t sealed[LIMIT_SEALED_KEY];
    struct wire_entry entry = sealed_entry(put_key(r, sealed));

    assert_int_equal(rig_entry(r, entry), OK);
    entry.kind = ENTRY_LEASE_RENEW;
    entry.lease = r->result.lease;
    memcpy(entry.lease_mac, r->result.lease_mac, sizeof(entry.lease_mac));
    assert_int_equal(rig_entry(r, entry), OK);
    assert_int_equal(r->result.data.n, 0);
    assert_false(rig_line_has(&r->records[0], "delivery"));
}

#define DELIVERY_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DELIVERY_TEST(a_sealed_delivery_opens_with_the_gateways_key_only),
        DELIVERY_TEST(the_value_in_clear_is_nowhere_in_the_reply),
        DELIVERY_TEST(the_largest_key_fits_a_sealed_delivery),
        DELIVERY_TEST(the_signature_covers_every_member_and_the_box),
        DELIVERY_TEST(the_record_says_that_the_delivery_was_sealed),
        DELIVERY_TEST(a_degenerate_key_gets_nothing),
        DELIVERY_TEST(recovered_batches_hold_no_delivery),
        DELIVERY_TEST(the_lease_of_a_sealed_delivery_is_renewed_as_any_other),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
