/*
 * The CA's own certificate and key. The key is kept elsewhere as its bare 32-byte scalar; the
 * public point comes back from the certificate, and a test signature proves that the two belong
 * together before anything is issued.
 */
#include "internal.h"

#include "base/clock.h"

#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#define CA_DAYS      3653 /* ten years */
#define SCALAR_BYTES 32
#define SERIAL_BYTES 16
#define BACKDATE_S   300 /* clocks of holders may be behind ours */

status identity_shape_new(const struct identity_shape *shape, gnutls_x509_crt_t *ret_certificate,
                          struct err *e)
{
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    uint8_t serial[SERIAL_BYTES], key_id[KEY_ID_LENGTH];
    size_t key_id_length = sizeof key_id;
    time_t now = (time_t)(shape->now_us / SECOND_US);
    int rc = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    /* Positive, and always all of its bytes long. */
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    if (rc >= 0)
        rc = gnutls_x509_crt_init(&crt);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_version(crt, 3);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    if (rc >= 0 && shape->unit != NULL)
        rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, 0,
                                           shape->unit, (unsigned int)strlen(shape->unit));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, shape->common_name,
                                           (unsigned int)strlen(shape->common_name));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_activation_time(crt, now > BACKDATE_S ? now - BACKDATE_S : 0);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_expiration_time(crt, (time_t)shape->not_after_s);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_pubkey(crt, shape->key);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_usage(crt, shape->usage);
    if (rc >= 0)
        rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, key_id, &key_id_length);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_subject_key_id(crt, key_id, key_id_length);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot fill a certificate", rc);
    *ret_certificate = crt;
    crt = NULL;
    return OK;
}

status identity_sign(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer, gnutls_privkey_t key,
                     char *out_pem, size_t cap, struct err *e)
{
    AUTO(datum) pem = { { NULL, 0 } };
    uint8_t key_id[KEY_ID_LENGTH];
    size_t length = sizeof key_id;
    int rc = gnutls_x509_crt_get_subject_key_id(issuer, key_id, &length, NULL);

    if (rc >= 0)
        rc = gnutls_x509_crt_set_authority_key_id(certificate, key_id, length);
    if (rc >= 0)
        rc = gnutls_x509_crt_privkey_sign(certificate, issuer, key, GNUTLS_DIG_SHA256, 0);
    if (rc >= 0)
        rc = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem.d);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot sign a certificate", rc);
    return identity_text_out(&pem.d, out_pem, cap, e);
}

/* A P-256 key, with its scalar padded to full length. */
static status generate(gnutls_privkey_t key, gnutls_pubkey_t pubkey, struct secret **ret_scalar,
                       struct err *e)
{
    AUTO(datum) x = { { NULL, 0 } };
    AUTO(datum) y = { { NULL, 0 } };
    AUTO(datum) k = { { NULL, 0 } };
    AUTO(secret) *scalar = NULL;
    gnutls_ecc_curve_t curve;
    status st;
    int rc = gnutls_privkey_generate(key, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);

    if (rc >= 0)
        rc = gnutls_pubkey_import_privkey(pubkey, key, 0, 0);
    if (rc >= 0)
        rc =
            gnutls_privkey_export_ecc_raw2(key, &curve, &x.d, &y.d, &k.d, GNUTLS_EXPORT_FLAG_NO_LZ);
    if (rc < 0 || k.d.size > SCALAR_BYTES)
        return fail(e, identity_code(rc, BUG), "cannot make the CA key", rc);
    st = secret_new(SCALAR_BYTES, &scalar, e);
    if (st != OK)
        return st;
    memcpy(secret_fill(scalar).p + SCALAR_BYTES - k.d.size, k.d.data, k.d.size);
    *ret_scalar = scalar;
    scalar = NULL;
    return OK;
}

status identity_ca_new(const struct id *vault, char *out_pem, size_t cap,
                       struct secret **ret_scalar, struct err *e)
{
    AUTO(gnutls_privkey_st) *key = NULL;
    AUTO(gnutls_pubkey_st) *pubkey = NULL;
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    AUTO(secret) *scalar = NULL;
    char hex[ID_HEX_LENGTH + 1], name[64];
    uint64_t now_us = clock_wall_us();
    struct identity_shape shape = { .common_name = name, .now_us = now_us };
    status st;
    int rc = gnutls_privkey_init(&key);

    if (rc >= 0)
        rc = gnutls_pubkey_init(&pubkey);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key object", rc);
    st = generate(key, pubkey, &scalar, e);
    if (st != OK)
        return st;

    hex_format(SPAN(vault->b), hex);
    snprintf(name, sizeof name, "Strongroom CA %s", hex);
    shape.key = pubkey;
    shape.usage = GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN;
    shape.not_after_s = now_us / SECOND_US + CA_DAYS * DAY_S;
    st = identity_shape_new(&shape, &crt, e);
    if (st != OK)
        return st;
    rc = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot fill a certificate", rc);
    st = identity_sign(crt, crt, key, out_pem, cap, e);
    if (st != OK)
        return st;
    *ret_scalar = scalar;
    scalar = NULL;
    return OK;
}

/* Signs a constant with key and verifies it with the certificate's public key. */
static int proves_pair(gnutls_privkey_t key, gnutls_pubkey_t pubkey)
{
    AUTO(datum) signature = { { NULL, 0 } };
    gnutls_datum_t text = identity_datum(span_text("strongroom/v1/ca-pair"));
    int rc = gnutls_privkey_sign_data(key, GNUTLS_DIG_SHA256, 0, &text, &signature.d);

    if (rc < 0)
        return rc;
    return gnutls_pubkey_verify_data2(pubkey, GNUTLS_SIGN_ECDSA_SHA256, 0, &text, &signature.d);
}

/* CORRUPT if scalar is not the private half of the certificate's key. */
static status rebuild_key(gnutls_x509_crt_t crt, const struct secret *scalar, gnutls_privkey_t key,
                          struct err *e)
{
    AUTO(gnutls_pubkey_st) *pubkey = NULL;
    AUTO(datum) x = { { NULL, 0 } };
    AUTO(datum) y = { { NULL, 0 } };
    gnutls_datum_t k = identity_datum(secret_view(scalar));
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    int rc;

    if (k.size != SCALAR_BYTES)
        return fail(e, CORRUPT, "CA key has the wrong length", k.size);
    rc = gnutls_pubkey_init(&pubkey);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key object", rc);
    rc = gnutls_pubkey_import_x509(pubkey, crt, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_export_ecc_raw2(pubkey, &curve, &x.d, &y.d, 0);
    if (rc < 0 || curve != GNUTLS_ECC_CURVE_SECP256R1)
        return fail(e, identity_code(rc, CORRUPT), "CA certificate has no P-256 key", rc);
    rc = gnutls_privkey_import_ecc_raw(key, curve, &x.d, &y.d, &k);
    if (rc >= 0)
        rc = proves_pair(key, pubkey);
    if (rc < 0)
        return fail(e, identity_code(rc, CORRUPT), "CA certificate and key do not belong together",
                    rc);
    return OK;
}

status identity_ca_load(struct span certificate_pem, const struct secret *scalar,
                        struct identity_ca **ret_ca, struct err *e)
{
    AUTO(identity_ca) *ca = calloc(1, sizeof *ca);
    struct err reason = { 0 };
    status st;
    int rc;

    if (ca == NULL)
        return fail(e, NO_MEMORY, "no memory for the CA", 0);
    st = identity_pem_import(certificate_pem, &ca->certificate, &reason);
    if (st == BAD_INPUT)
        return fail(e, CORRUPT, "CA certificate cannot be read", reason.detail);
    if (st != OK)
        return err_note(e, st, reason.where, reason.why, reason.detail);
    if (gnutls_x509_crt_get_ca_status(ca->certificate, NULL) <= 0)
        return fail(e, CORRUPT, "not the certificate of a CA", 0);
    rc = gnutls_privkey_init(&ca->key);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key object", rc);
    st = rebuild_key(ca->certificate, scalar, ca->key, e);
    if (st != OK)
        return st;
    *ret_ca = ca;
    ca = NULL;
    return OK;
}

void identity_ca_free(struct identity_ca *ca)
{
    if (ca == NULL)
        return;
    gnutls_x509_crt_deinit(ca->certificate);
    gnutls_privkey_deinit(ca->key);
    free(ca);
}

void identity_ca_cleanup(struct identity_ca **ca)
{
    identity_ca_free(*ca);
}
