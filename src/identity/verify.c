/*
 * Who is this peer? Every step must pass:
 *
 * 1. signed by this vault's CA, ECDSA with SHA-256, and not the CA itself;
 * 2. valid at the given time, which is ours and not the library's;
 * 3. for clients: the purpose is stated, and it is not a CA;
 * 4. exactly one alternative name: a strongroom URI of this vault, with a role that certificates
 *    have.
 *
 * A verifier is only read after it was made, so any number of threads may use one.
 */
#include "internal.h"

#include "base/clock.h"

#include <string.h>

struct identity_verifier {
    gnutls_x509_crt_t ca;
    struct id vault;
};

status identity_verifier_new(struct span ca_pem, const struct id *vault,
                             struct identity_verifier **ret_verifier, struct err *e)
{
    struct identity_verifier *v = calloc(1, sizeof *v);
    status st;

    if (v == NULL)
        return fail(e, NO_MEMORY, "no memory for the verifier", 0);
    v->vault = *vault;
    st = identity_pem_import(ca_pem, &v->ca, e);
    if (st == OK && gnutls_x509_crt_get_ca_status(v->ca, NULL) <= 0)
        st = fail(e, BAD_INPUT, "not the certificate of a CA", 0);
    if (st != OK) {
        identity_verifier_free(v);
        return st;
    }
    *ret_verifier = v;
    return OK;
}

void identity_verifier_free(struct identity_verifier *v)
{
    if (v == NULL)
        return;
    gnutls_x509_crt_deinit(v->ca);
    free(v);
}

static bool for_clients(gnutls_x509_crt_t crt)
{
    for (unsigned int i = 0; i < 16; i++) {
        char oid[64];
        size_t length = sizeof oid;
        int rc = gnutls_x509_crt_get_key_purpose_oid(crt, i, oid, &length, NULL);

        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue; /* longer than the one looked for */
        if (rc < 0)
            return false;
        if (strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0)
            return true;
    }
    return false;
}

static bool is_ca(gnutls_x509_crt_t crt)
{
    unsigned int ca = 0;
    int rc = gnutls_x509_crt_get_basic_constraints(crt, NULL, &ca, NULL);

    /* Without the extension it is none; what cannot be read counts as one. */
    return rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE ? false : rc < 0 || ca != 0;
}

static bool named(gnutls_x509_crt_t crt, const struct id *vault, struct holder *holder)
{
    char uri[URI_MAX], more[URI_MAX];
    size_t length = sizeof uri, more_length = sizeof more;
    unsigned int type = 0;
    int rc = gnutls_x509_crt_get_subject_alt_name2(crt, 0, uri, &length, &type, NULL);

    if (rc < 0 || type != GNUTLS_SAN_URI)
        return false;
    rc = gnutls_x509_crt_get_subject_alt_name2(crt, 1, more, &more_length, &type, NULL);
    if (rc != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return false;
    return identity_uri_parse(span_of(uri, length), vault, holder);
}

status identity_holder_of(gnutls_x509_crt_t crt, const struct id *vault, uint64_t now_us,
                          struct holder *ret_holder, struct err *e)
{
    struct holder holder = { 0 };
    size_t length = sizeof holder.spki;
    time_t begin = gnutls_x509_crt_get_activation_time(crt);
    time_t end = gnutls_x509_crt_get_expiration_time(crt);
    int rc;

    /* Both ends belong to the validity, in whole seconds. */
    if (begin < 0 || now_us / SECOND_US < (uint64_t)begin)
        return fail(e, NO_IDENTITY, "certificate is not valid yet", 0);
    if (end < 0 || now_us / SECOND_US > (uint64_t)end)
        return fail(e, NO_IDENTITY, "certificate has expired", 0);
    if (!for_clients(crt) || is_ca(crt))
        return fail(e, NO_IDENTITY, "certificate is not for clients", 0);
    if (!named(crt, vault, &holder))
        return fail(e, NO_IDENTITY, "certificate names nobody known here", 0);
    rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, holder.spki, &length);
    if (rc < 0 || length != sizeof holder.spki)
        return fail(e, identity_code(rc, NO_IDENTITY), "certificate is not from this vault", rc);
    holder.not_after_us = (uint64_t)end * SECOND_US;
    *ret_holder = holder;
    return OK;
}

status identity_verify(const struct identity_verifier *v, struct span der, uint64_t now_us,
                       struct holder *ret_holder, struct err *e)
{
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    gnutls_datum_t bytes = identity_datum(der);
    unsigned int found = 0;
    int rc;

    if (der.n == 0 || der.n > LIMIT_CERTIFICATE)
        return fail(e, NO_IDENTITY, "certificate is not from this vault", 0);
    rc = gnutls_x509_crt_init(&crt);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a certificate object", rc);
    rc = gnutls_x509_crt_import(crt, &bytes, GNUTLS_X509_FMT_DER);
    if (rc < 0)
        return fail(e, identity_code(rc, NO_IDENTITY), "certificate is not from this vault", rc);
    if (gnutls_x509_crt_get_signature_algorithm(crt) != GNUTLS_SIGN_ECDSA_SHA256)
        return fail(e, NO_IDENTITY, "certificate is not from this vault", 0);
    rc = gnutls_x509_crt_verify(crt, &v->ca, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &found);
    if (rc < 0 || found != 0)
        return fail(e, identity_code(rc, NO_IDENTITY), "certificate is not from this vault",
                    rc < 0 ? rc : (int64_t)found);
    return identity_holder_of(crt, &v->vault, now_us, ret_holder, e);
}
