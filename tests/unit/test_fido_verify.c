/* Assertions made here with a key of our own, true ones and every kind of wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>

#include "fido/internal.h"

#define UP 0x01
#define UV 0x04
#define AT 0x40
#define ED 0x80

/* {"hmac-secret": 80 bytes}, as a key answers two salts with PIN protocol 2 */
static const uint8_t hmac_extension[] = "\xa1\x6bhmac-secret\x58\x50"
                                        "0123456789abcdef0123456789abcdef0123456789abcdef"
                                        "0123456789abcdef0123456789abcdef";
static uint8_t hash[32] = { 7 };

struct signer {
    gnutls_privkey_t key;
    uint8_t public[64];
};

static void signer_init(struct signer *s)
{
    gnutls_datum_t x, y, k;
    gnutls_ecc_curve_t curve;

    assert_int_equal(gnutls_privkey_init(&s->key), 0);
    assert_int_equal(gnutls_privkey_generate(s->key, GNUTLS_PK_ECDSA, 256, 0), 0);
    assert_int_equal(
        gnutls_privkey_export_ecc_raw2(s->key, &curve, &x, &y, &k, GNUTLS_EXPORT_FLAG_NO_LZ), 0);
    memset(s->public, 0, sizeof s->public);
    memcpy(s->public + 32 - x.size, x.data, x.size);
    memcpy(s->public + 64 - y.size, y.data, y.size);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_free(k.data);
}

static int start(void **state)
{
    static struct signer s;

    signer_init(&s);
    *state = &s;
    return 0;
}

static int end(void **state)
{
    struct signer *s = *state;

    gnutls_privkey_deinit(s->key);
    return 0;
}

/* Signs the authenticator data of a with the hash. */
static void sign(const struct signer *s, struct fido_assertion *a)
{
    uint8_t message[FIDO_AUTH_DATA_MAX + 32];
    gnutls_datum_t data = { message, (unsigned int)(a->auth_data_length + 32) }, signature;

    memcpy(message, a->auth_data, a->auth_data_length);
    memcpy(message + a->auth_data_length, hash, 32);
    assert_int_equal(gnutls_privkey_sign_data(s->key, GNUTLS_DIG_SHA256, 0, &data, &signature), 0);
    assert_true(signature.size <= sizeof a->signature);
    memcpy(a->signature, signature.data, signature.size);
    a->signature_length = signature.size;
    gnutls_free(signature.data);
}

static struct fido_assertion make(const struct signer *s, const char *rp, uint8_t flags,
                                  struct span extension)
{
    struct fido_assertion a = { .auth_data_length = 37 + extension.n };

    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, rp, strlen(rp), a.auth_data), 0);
    a.auth_data[32] = flags;
    a.auth_data[36] = 9; /* counter */
    if (extension.n > 0)
        memcpy(a.auth_data + 37, extension.p, extension.n);
    sign(s, &a);
    return a;
}

static struct span extension(void)
{
    return span_of(hmac_extension, sizeof hmac_extension - 1);
}

static struct fido_assertion good(const struct signer *s)
{
    return make(s, FIDO_RP_ID, UP | UV | ED, extension());
}

static void refused(const struct signer *s, const struct fido_assertion *a, const char *why)
{
    struct err e = { 0 };

    assert_int_equal(fido_verify(s->public, SPAN(hash), a, &e), DENIED);
    assert_int_equal(e.code, DENIED);
    assert_string_equal(e.why, why);
}

static void an_assertion_with_hmac_secret_verifies(void **state)
{
    const struct signer *s = *state;
    struct fido_assertion a = good(s);
    struct err e = { 0 };

    assert_int_equal(fido_verify(s->public, SPAN(hash), &a, &e), OK);
    assert_int_equal(e.code, OK);
}

static void the_relying_party_constant_is_the_hash_of_its_name(void **state)
{
    uint8_t digest[32];

    (void)state;
    assert_int_equal(gnutls_hash_fast(GNUTLS_DIG_SHA256, FIDO_RP_ID, strlen(FIDO_RP_ID), digest),
                     0);
    assert_true(fido_rp_hash_ours(digest));
    digest[31] ^= 1;
    assert_false(fido_rp_hash_ours(digest));
}

static void another_relying_party_is_refused(void **state)
{
    struct fido_assertion a = make(*state, "strongroom.example", UP | UV | ED, extension());

    refused(*state, &a, "assertion is for another relying party");
}

static void a_signed_assertion_without_touch_is_refused(void **state)
{
    struct fido_assertion a = make(*state, FIDO_RP_ID, UV | ED, extension());

    refused(*state, &a, "assertion was made without a touch");
}

static void a_signed_assertion_without_user_verification_is_refused(void **state)
{
    struct fido_assertion a = make(*state, FIDO_RP_ID, UP | ED, extension());

    refused(*state, &a, "assertion was made without user verification");
}

static void a_signed_assertion_without_hmac_secret_is_refused(void **state)
{
    struct fido_assertion a = make(*state, FIDO_RP_ID, UP | UV, span_of(NULL, 0));

    refused(*state, &a, "assertion has other extensions than hmac-secret");
}

static void any_other_shape_of_extensions_is_refused_although_signed(void **state)
{
    static const char two[] = "\xa2\x6b"
                              "credProtect\x02\x6bhmac-secret\x58\x50"
                              "0123456789abcdef0123456789abcdef0123456789abcdef"
                              "0123456789abcdef0123456789abcdef";
    const char *why = "assertion has other extensions than hmac-secret";
    uint8_t longer[sizeof hmac_extension] = { 0 };
    struct span whole = extension();
    const struct {
        uint8_t flags;
        struct span extension;
    } bad[] = {
        { UP | UV | ED, span_text("\xff") },
        { UP | UV | ED, span_text(two) },
        { UP | UV | ED, span_of(NULL, 0) },
        { UP | UV | ED, span_of(whole.p, whole.n - 1) },
        { UP | UV | ED, SPAN(longer) },
        { UP | UV | ED, span_text("\xa1\x6bhmac-secret\x41x") },
        { UP | UV | ED, span_text("\xa1\x6bhmac-secret\xf5") },
        { UP | UV | AT, whole },
        { UP | UV | AT | ED, whole },
        { UP | UV, whole },
    };

    memcpy(longer, whole.p, whole.n);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fido_assertion a = make(*state, FIDO_RP_ID, bad[i].flags, bad[i].extension);

        refused(*state, &a, why);
    }
}

/* The library would reserve memory for it before it looks at the signature. */
static void a_map_that_claims_to_be_huge_costs_nothing(void **state)
{
    struct fido_assertion a =
        make(*state, FIDO_RP_ID, UP | UV | ED, span_text("\xba\xff\xff\xff\xff"));

    refused(*state, &a, "assertion has other extensions than hmac-secret");
}

static void both_pin_protocols_seal_their_outputs_in_a_length_of_their_own(void **state)
{
    const struct signer *s = *state;
    uint8_t first[15 + 64];
    struct fido_assertion a;

    memcpy(first, hmac_extension, sizeof first);
    first[14] = 64;
    a = make(s, FIDO_RP_ID, UP | UV | ED, SPAN(first));
    assert_int_equal(fido_verify(s->public, SPAN(hash), &a, NULL), OK);
}

static void a_signature_by_another_key_is_refused(void **state)
{
    struct signer other;
    struct fido_assertion a;

    signer_init(&other);
    a = good(&other);
    gnutls_privkey_deinit(other.key);
    refused(*state, &a, "assertion is not signed by this key");
}

static void another_client_data_hash_is_refused(void **state)
{
    const struct signer *s = *state;
    struct fido_assertion a = good(s);
    uint8_t other[32] = { 8 };
    struct err e = { 0 };

    assert_int_equal(fido_verify(s->public, SPAN(other), &a, &e), DENIED);
    assert_string_equal(e.why, "assertion is not signed by this key");
}

static void any_changed_bit_is_refused(void **state)
{
    const struct signer *s = *state;
    const struct fido_assertion a = good(s);

    for (size_t bit = 0; bit < a.auth_data_length * 8; bit += 3) {
        struct fido_assertion b = a;
        struct err e = { 0 };

        b.auth_data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(fido_verify(s->public, SPAN(hash), &b, &e), DENIED);
    }
    for (size_t bit = 0; bit < a.signature_length * 8; bit++) {
        struct fido_assertion b = a;
        struct err e = { 0 };

        b.signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(fido_verify(s->public, SPAN(hash), &b, &e), DENIED);
    }
}

static void a_public_key_that_is_no_point_is_refused(void **state)
{
    struct fido_assertion a = good(*state);
    static const uint8_t zero[64];
    uint8_t off[64];
    struct err e = { 0 }, e2 = { 0 };

    assert_int_equal(fido_verify(zero, SPAN(hash), &a, &e), DENIED);
    memcpy(off, ((const struct signer *)*state)->public, sizeof off);
    off[63] ^= 1;
    assert_int_equal(fido_verify(off, SPAN(hash), &a, &e2), DENIED);
}

static void wrong_sizes_are_refused(void **state)
{
    const struct signer *s = *state;
    struct fido_assertion a = good(s), b;
    const char *why = "assertion has the wrong size";
    struct err e = { 0 };

    b = a, b.auth_data_length = 36;
    refused(s, &b, why);
    b = a, b.auth_data_length = 0;
    refused(s, &b, why);
    b = a, b.auth_data_length = FIDO_AUTH_DATA_MAX + 1;
    refused(s, &b, why);
    b = a, b.signature_length = 0;
    refused(s, &b, why);
    b = a, b.signature_length = FIDO_SIGNATURE_MAX + 1;
    refused(s, &b, why);
    assert_int_equal(fido_verify(s->public, span_of(hash, 31), &a, &e), DENIED);
    assert_string_equal(e.why, why);
}

static void a_silent_probe_is_no_unlock(void **state)
{
    const struct signer *s = *state;
    struct fido_assertion a = make(s, FIDO_RP_ID, 0, span_of(NULL, 0));

    assert_int_equal(fido_verify_as(s->public, SPAN(hash), &a, (struct fido_expect){ 0 }, NULL),
                     OK);
    refused(s, &a, "assertion was made without a touch");
}

static void wrapped_bytes_come_out_of_a_cbor_byte_string(void **state)
{
    static uint8_t wide[3 + 300] = { 0x59, 0x01, 0x2c };
    static uint8_t mid[2 + 100] = { 0x58, 100 };

    (void)state;
    assert_int_equal(fido_unwrap(span_text("\x43"
                                           "abc"))
                         .n,
                     3);
    assert_int_equal(fido_unwrap(SPAN(mid)).n, 100);
    assert_ptr_equal(fido_unwrap(SPAN(wide)).p, wide + 3);
    assert_int_equal(fido_unwrap(SPAN(wide)).n, 300);
}

static void anything_but_one_byte_string_does_not_unwrap(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = { { "", 0 },
                { "\x43"
                  "ab",
                  3 },
                { "\x43"
                  "abcd",
                  5 },
                { "\x58", 1 },
                { "\x59\x01", 2 },
                { "\x5f\x41\x61\xff", 4 },
                { "\x63"
                  "abc",
                  4 },
                { "\x5a\0\0\0\1x", 6 } };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fido_unwrap(span_of(bad[i].bytes, bad[i].n)).n, 0);
    assert_int_equal(fido_unwrap(span_of(NULL, 0)).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assertion_with_hmac_secret_verifies),
        cmocka_unit_test(the_relying_party_constant_is_the_hash_of_its_name),
        cmocka_unit_test(another_relying_party_is_refused),
        cmocka_unit_test(a_signed_assertion_without_touch_is_refused),
        cmocka_unit_test(a_signed_assertion_without_user_verification_is_refused),
        cmocka_unit_test(a_signed_assertion_without_hmac_secret_is_refused),
        cmocka_unit_test(any_other_shape_of_extensions_is_refused_although_signed),
        cmocka_unit_test(a_map_that_claims_to_be_huge_costs_nothing),
        cmocka_unit_test(both_pin_protocols_seal_their_outputs_in_a_length_of_their_own),
        cmocka_unit_test(a_signature_by_another_key_is_refused),
        cmocka_unit_test(another_client_data_hash_is_refused),
        cmocka_unit_test(any_changed_bit_is_refused),
        cmocka_unit_test(a_public_key_that_is_no_point_is_refused),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(a_silent_probe_is_no_unlock),
        cmocka_unit_test(wrapped_bytes_come_out_of_a_cbor_byte_string),
        cmocka_unit_test(anything_but_one_byte_string_does_not_unwrap),
    };

    return cmocka_run_group_tests(tests, start, end);
}
