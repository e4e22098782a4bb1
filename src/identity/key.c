/*
 * The holder's side: its key pair and the request for a certificate. Private keys pass through
 * GnuTLS's own memory, which it wipes when it frees; everything we keep is a struct secret.
 */
#include "internal.h"

#include <string.h>

#define COMMON_NAME_MAX 64 /* RFC 5280: ub-common-name */
#define KEY_PEM_MAX     4096

status identity_key_new(struct secret **ret_pem, struct err *e)
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    AUTO(datum) pem = { { NULL, 0 } };
    AUTO(secret) *kept = NULL;
    status st;
    int rc = gnutls_x509_privkey_init(&key);

    if (rc >= 0)
        rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                          GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                               &pem.d);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key", rc);
    /* One byte more: TLS libraries want the PEM text with a NUL. */
    st = secret_new((size_t)pem.d.size + 1, &kept, e);
    if (st != OK)
        return st;
    memcpy(secret_fill(kept).p, pem.d.data, pem.d.size);
    st = secret_trim(kept, pem.d.size, e);
    if (st != OK)
        return st;
    *ret_pem = kept;
    kept = NULL;
    return OK;
}

status identity_key_curve(gnutls_pubkey_t key, struct err *e)
{
    AUTO(datum) x = { { NULL, 0 } };
    AUTO(datum) y = { { NULL, 0 } };
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    int rc;

    /* Asking an RSA key for its curve is an error in some versions, a zero in others. */
    if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_ECDSA)
        return fail(e, BAD_INPUT, "key is not on the curve P-256", 0);
    rc = gnutls_pubkey_export_ecc_raw2(key, &curve, &x.d, &y.d, GNUTLS_EXPORT_FLAG_NO_LZ);
    if (rc < 0 || curve != GNUTLS_ECC_CURVE_SECP256R1)
        return fail(e, identity_code(rc, BAD_INPUT), "key is not on the curve P-256", rc);
    return OK;
}

status identity_key_import(const struct secret *key_pem, gnutls_x509_privkey_t *ret_key,
                           struct err *e)
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    struct span view = secret_view(key_pem);
    gnutls_datum_t pem = identity_datum(view);
    unsigned int bits = 0;
    int rc;

    if (view.n == 0 || view.n > KEY_PEM_MAX)
        return fail(e, BAD_INPUT, "private key is empty or too long", 0);
    rc = gnutls_x509_privkey_init(&key);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key object", rc);
    rc = gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        return fail(e, identity_code(rc, BAD_INPUT), "not a private key in PEM form", rc);
    if (gnutls_x509_privkey_get_pk_algorithm2(key, &bits) != GNUTLS_PK_ECDSA || bits != 256)
        return fail(e, BAD_INPUT, "key is not on the curve P-256", 0);
    *ret_key = key;
    key = NULL;
    return OK;
}

status identity_csr_new(const struct secret *key_pem, const char *cn, char *out, size_t cap,
                        struct err *e)
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    AUTO(gnutls_x509_crq_int) *request = NULL;
    AUTO(datum) pem = { { NULL, 0 } };
    size_t length = strlen(cn);
    status st;
    int rc;

    if (length == 0 || length > COMMON_NAME_MAX)
        return fail(e, BAD_INPUT, "common name is empty or too long", 0);
    st = identity_key_import(key_pem, &key, e);
    if (st != OK)
        return st;
    rc = gnutls_x509_crq_init(&request);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_version(request, 1);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_dn_by_oid(request, GNUTLS_OID_X520_COMMON_NAME, 0, cn,
                                           (unsigned int)length);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_key(request, key);
    if (rc >= 0)
        rc = gnutls_x509_crq_sign2(request, key, GNUTLS_DIG_SHA256, 0);
    if (rc >= 0)
        rc = gnutls_x509_crq_export2(request, GNUTLS_X509_FMT_PEM, &pem.d);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a certificate request", rc);
    return identity_text_out(&pem.d, out, cap, e);
}

status identity_key_spki(const struct secret *key_pem, uint8_t out[static 32], struct err *e)
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    uint8_t hash[32];
    size_t length = sizeof hash;
    status st = identity_key_import(key_pem, &key, e);
    int rc;

    if (st != OK)
        return st;
    rc = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, hash, &length);
    if (rc < 0 || length != sizeof hash)
        return fail(e, identity_code(rc, BUG), "cannot hash a public key", rc);
    memcpy(out, hash, sizeof hash);
    return OK;
}
