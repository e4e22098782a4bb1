/*
 * PEM and DER, and the few plain facts about a certificate that need no trust.
 */
#include "internal.h"

#include "base/clock.h"

#include <string.h>

/* A chain file has several certificates; only the first is read. */
#define PEM_MAX ((size_t)16 * LIMIT_CERTIFICATE)

gnutls_datum_t identity_datum(struct span s)
{
    union {
        const uint8_t *borrowed;
        unsigned char *data;
    } p = { .borrowed = s.p };

    return (gnutls_datum_t){ .data = p.data, .size = (unsigned int)s.n };
}

status identity_text_out(const gnutls_datum_t *from, char *out, size_t cap, struct err *e)
{
    if (from->size >= cap)
        return fail(e, LIMIT, "certificate is longer than its room", from->size);
    memcpy(out, from->data, from->size);
    out[from->size] = 0;
    return OK;
}

status identity_pem_import(struct span pem, gnutls_x509_crt_t *ret_certificate, struct err *e)
{
    AUTO(gnutls_x509_crt_int) *certificate = NULL;
    gnutls_datum_t text = identity_datum(pem);
    int rc;

    if (pem.n == 0 || pem.n > PEM_MAX)
        return fail(e, BAD_INPUT, "certificate is empty or too long", 0);
    rc = gnutls_x509_crt_init(&certificate);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a certificate object", rc);
    rc = gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        return fail(e, identity_code(rc, BAD_INPUT), "not a certificate in PEM form", rc);
    *ret_certificate = certificate;
    certificate = NULL;
    return OK;
}

status identity_pem_to_der(struct span pem, struct out *out, struct err *e)
{
    AUTO(gnutls_x509_crt_int) *certificate = NULL;
    AUTO(datum) der = { { NULL, 0 } };
    status st = identity_pem_import(pem, &certificate, e);
    int rc;

    if (st != OK)
        return st;
    rc = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_DER, &der.d);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot export a certificate", rc);
    out_raw(out, span_of(der.d.data, der.d.size));
    if (out->overflow)
        return fail(e, LIMIT, "certificate is longer than its room", der.d.size);
    return OK;
}

status identity_fingerprint(struct span pem, uint8_t out[static 32], struct err *e)
{
    AUTO(gnutls_x509_crt_int) *certificate = NULL;
    uint8_t hash[32];
    size_t length = sizeof hash;
    status st = identity_pem_import(pem, &certificate, e);
    int rc;

    if (st != OK)
        return st;
    rc = gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, hash, &length);
    if (rc < 0 || length != sizeof hash)
        return fail(e, identity_code(rc, BUG), "cannot hash a certificate", rc);
    memcpy(out, hash, sizeof hash);
    return OK;
}

status identity_not_after(struct span pem, uint64_t *ret_time_us, struct err *e)
{
    AUTO(gnutls_x509_crt_int) *certificate = NULL;
    status st = identity_pem_import(pem, &certificate, e);
    time_t not_after;

    if (st != OK)
        return st;
    not_after = gnutls_x509_crt_get_expiration_time(certificate);
    if (not_after < 0)
        return fail(e, BAD_INPUT, "certificate has no end of validity", 0);
    *ret_time_us = (uint64_t)not_after * SECOND_US;
    return OK;
}
