/*
 * Checking an assertion without a device. The bytes are read here first: so the reason can be told,
 * and because the library would parse what a stranger sent before it looks at the signature, and
 * its CBOR decoder reserves whatever size a map of four bytes claims to have. Only data of the one
 * shape that a key answers to our request gets through; then the library checks it all again,
 * together with the signature.
 */
#include "internal.h"

#include <string.h>

/* Relying party hash, flags, counter. */
#define AUTH_DATA_MIN 37
#define FLAGS_AT      32

/* {"hmac-secret": bytes(two sealed outputs)}, canonical as CTAP2 demands. */
static const uint8_t extension_head[] = { 0xa1, 0x6b, 'h', 'm', 'a', 'c', '-',
                                          's',  'e',  'c', 'r', 'e', 't', 0x58 };
#define SEALED_V1 64 /* PIN protocol 1 */
#define SEALED_V2 80 /* PIN protocol 2: with an initialisation vector */

bool fido_rp_hash_ours(const uint8_t hash[static 32])
{
    /* SHA-256 of FIDO_RP_ID */
    static const uint8_t ours[32] = {
        0xfa, 0x8f, 0x53, 0xb6, 0x51, 0xf0, 0x3a, 0x20, 0x60, 0x98, 0x0b,
        0x45, 0xb9, 0xd7, 0xc1, 0x5c, 0x3b, 0xc9, 0x07, 0xca, 0x21, 0xc0,
        0xcb, 0x6d, 0x97, 0xad, 0x25, 0xd9, 0x92, 0xaf, 0xe1, 0xc4,
    };

    return span_same(span_of(hash, sizeof ours), SPAN(ours));
}

struct span fido_unwrap(struct span wrapped)
{
    struct in in = in_of(wrapped);
    uint8_t head = wrapped.p != NULL ? in_u8(&in) : 0;
    struct span raw = { NULL, 0 };

    if (head >= 0x40 && head <= 0x57)
        raw = in_raw(&in, head - 0x40u);
    else if (head == 0x58)
        raw = in_raw(&in, in_u8(&in));
    else if (head == 0x59)
        raw = in_raw(&in, in_u16(&in));
    if (!in_end(&in))
        return (struct span){ NULL, 0 };
    return raw;
}

/* Nothing but the extensions expected, which are none or hmac-secret for two salts. */
static bool shape_ours(const struct fido_assertion *assertion, int extensions)
{
    uint8_t flags = assertion->auth_data[FLAGS_AT];
    struct in in = in_of(
        span_of(assertion->auth_data + AUTH_DATA_MIN, assertion->auth_data_length - AUTH_DATA_MIN));
    uint8_t sealed;

    if (flags & CTAP_AUTHDATA_ATT_CRED)
        return false;
    if (extensions == 0)
        return !(flags & CTAP_AUTHDATA_EXT_DATA) && in_end(&in);
    if (!(flags & CTAP_AUTHDATA_EXT_DATA) ||
        !span_same(in_raw(&in, sizeof extension_head), SPAN(extension_head)))
        return false;
    sealed = in_u8(&in);
    in_raw(&in, sealed);
    return (sealed == SEALED_V1 || sealed == SEALED_V2) && in_end(&in);
}

static int fill(fido_assert_t *object, const uint8_t cose_public[static 64], es256_pk_t *key,
                struct span client_data_hash, const struct fido_assertion *assertion)
{
    int code = es256_pk_from_ptr(key, cose_public, 64); /* also: is it a point of the curve? */

    if (code == FIDO_OK)
        code = fido_assert_set_clientdata_hash(object, client_data_hash.p, client_data_hash.n);
    if (code == FIDO_OK)
        code = fido_assert_set_rp(object, FIDO_RP_ID);
    if (code == FIDO_OK)
        code = fido_assert_set_count(object, 1);
    if (code == FIDO_OK)
        code = fido_assert_set_authdata_raw(object, 0, assertion->auth_data,
                                            assertion->auth_data_length);
    if (code == FIDO_OK)
        code = fido_assert_set_sig(object, 0, assertion->signature, assertion->signature_length);
    return code;
}

status fido_verify_as(const uint8_t cose_public[static 64], struct span client_data_hash32,
                      const struct fido_assertion *assertion, struct fido_expect expect,
                      struct err *e)
{
    AUTO_ASSERT *object = NULL;
    AUTO_ES256 *key = NULL;
    uint8_t missing;
    int code;

    if (client_data_hash32.n != HASH_BYTES || assertion->auth_data_length < AUTH_DATA_MIN ||
        assertion->auth_data_length > sizeof assertion->auth_data ||
        assertion->signature_length == 0 ||
        assertion->signature_length > sizeof assertion->signature)
        return fail(e, DENIED, "assertion has the wrong size", 0);
    if (!fido_rp_hash_ours(assertion->auth_data))
        return fail(e, DENIED, "assertion is for another relying party", 0);
    missing = (uint8_t)(expect.flags & ~assertion->auth_data[FLAGS_AT]);
    if (missing & CTAP_AUTHDATA_USER_PRESENT)
        return fail(e, DENIED, "assertion was made without a touch", 0);
    if (missing != 0)
        return fail(e, DENIED, "assertion was made without user verification", 0);
    if (!shape_ours(assertion, expect.extensions))
        return fail(e, DENIED, "assertion has other extensions than hmac-secret", 0);

    object = fido_assert_new();
    key = es256_pk_new();
    if (object == NULL || key == NULL)
        return fail(e, NO_MEMORY, "no memory for an assertion", 0);
    code = fill(object, cose_public, key, client_data_hash32, assertion);
    if (code == FIDO_OK)
        code = fido_assert_set_extensions(object, expect.extensions);
    if (code == FIDO_OK && (expect.flags & CTAP_AUTHDATA_USER_PRESENT))
        code = fido_assert_set_up(object, FIDO_OPT_TRUE);
    if (code == FIDO_OK && (expect.flags & CTAP_AUTHDATA_USER_VERIFIED))
        code = fido_assert_set_uv(object, FIDO_OPT_TRUE);
    if (code != FIDO_OK)
        return fail(e, DENIED, "assertion is malformed", code);
    code = fido_assert_verify(object, 0, COSE_ES256, key);
    if (code != FIDO_OK)
        return fail(e, DENIED, "assertion is not signed by this key", code);
    return OK;
}

status fido_verify(const uint8_t cose_public[static 64], struct span client_data_hash32,
                   const struct fido_assertion *assertion, struct err *e)
{
    const struct fido_expect expect = {
        .flags = CTAP_AUTHDATA_USER_PRESENT | CTAP_AUTHDATA_USER_VERIFIED,
        .extensions = FIDO_EXT_HMAC_SECRET,
    };

    return fido_verify_as(cose_public, client_data_hash32, assertion, expect, e);
}
