/*
 * Issuing. From a request only the public key is taken: names, purposes and validity are decided
 * here, so a request can ask for nothing. No certificate outlives its CA.
 */
#include "internal.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define DAYS_MAX     3653
#define DNS_NAME_MAX 253
#define NAMES_MAX    32

/* End of validity of a new certificate, bounded by the CA's. */
static status not_after(const struct identity_ca *ca, const struct identity_request *request,
                        uint64_t *ret_s, struct err *e)
{
    time_t ca_end = gnutls_x509_crt_get_expiration_time(ca->certificate);
    uint64_t end_s;

    if (request->days == 0 || request->days > DAYS_MAX)
        return fail(e, BAD_INPUT, "days of validity out of range", request->days);
    end_s = request->now_us / SECOND_US + request->days * DAY_S;
    if (ca_end < 0 || request->now_us / SECOND_US > (uint64_t)ca_end)
        return fail(e, CONFLICT, "the CA has expired", 0);
    *ret_s = end_s < (uint64_t)ca_end ? end_s : (uint64_t)ca_end;
    return OK;
}

/* The public key of a request, once the request is known to be signed by it. */
static status request_key(struct span csr_pem, gnutls_pubkey_t key, struct err *e)
{
    AUTO(gnutls_x509_crq_int) *csr = NULL;
    gnutls_datum_t text = identity_datum(csr_pem);
    int rc, algorithm;
    status st;

    if (csr_pem.n == 0 || csr_pem.n > LIMIT_CSR)
        return fail(e, BAD_INPUT, "request is empty or too long", 0);
    rc = gnutls_x509_crq_init(&csr);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a request object", rc);
    rc = gnutls_x509_crq_import(csr, &text, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        return fail(e, identity_code(rc, BAD_INPUT), "not a certificate request in PEM form", rc);
    rc = gnutls_pubkey_import_x509_crq(key, csr, 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BAD_INPUT), "request has no usable key", rc);
    /* The curve first: verifying with a key of any size and kind is work for the asking. */
    st = identity_key_curve(key, e);
    if (st != OK)
        return st;
    algorithm = gnutls_x509_crq_get_signature_algorithm(csr);
    if (algorithm != GNUTLS_SIGN_ECDSA_SHA256 && algorithm != GNUTLS_SIGN_ECDSA_SHA384 &&
        algorithm != GNUTLS_SIGN_ECDSA_SHA512)
        return fail(e, BAD_INPUT, "request is not signed with ECDSA and SHA-2", algorithm);
    rc = gnutls_x509_crq_verify(csr, 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BAD_INPUT), "request is not signed by its own key", rc);
    return OK;
}

static status holder_fill(gnutls_x509_crt_t crt, const struct identity_request *request,
                          uint64_t not_after_s, struct holder *ret_holder, struct err *e)
{
    struct holder holder = { .role = request->role, .not_after_us = not_after_s * SECOND_US };
    size_t length = sizeof holder.spki;
    int rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, holder.spki, &length);

    if (rc < 0 || length != sizeof holder.spki)
        return fail(e, identity_code(rc, BUG), "cannot hash a public key", rc);
    memcpy(holder.name, request->name, strlen(request->name) + 1);
    *ret_holder = holder;
    return OK;
}

status identity_issue_client(const struct identity_ca *ca, struct span csr_pem,
                             const struct identity_request *request, char *out_pem, size_t cap,
                             struct holder *ret_holder, struct err *e)
{
    AUTO(gnutls_pubkey_st) *key = NULL;
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    char uri[URI_MAX];
    struct identity_shape shape = { .now_us = request->now_us,
                                    .usage = GNUTLS_KEY_DIGITAL_SIGNATURE };
    struct holder holder;
    status st;
    int rc;

    if (request->role <= ROLE_NONE || request->role >= ROLE_LOCAL)
        return fail(e, BAD_INPUT, "no certificates for this role", request->role);
    if (!name_valid(request->name))
        return fail(e, BAD_INPUT, "not a valid name", 0);
    st = not_after(ca, request, &shape.not_after_s, e);
    if (st != OK)
        return st;
    rc = gnutls_pubkey_init(&key);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot make a key object", rc);
    st = request_key(csr_pem, key, e);
    if (st != OK)
        return st;

    shape.key = key;
    shape.common_name = request->name;
    shape.unit = role_name(request->role);
    st = identity_shape_new(&shape, &crt, e);
    if (st != OK)
        return st;
    identity_uri_format(request->vault, request->role, request->name, uri);
    rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, uri,
                                                  (unsigned int)strlen(uri), GNUTLS_FSAN_SET);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot fill a certificate", rc);
    st = holder_fill(crt, request, shape.not_after_s, &holder, e);
    if (st == OK)
        st = identity_sign(crt, ca->certificate, ca->key, out_pem, cap, e);
    if (st == OK)
        *ret_holder = holder;
    return st;
}

static bool dns_name_valid(const char *name)
{
    const char *p = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    char before = '.';

    if (strlen(name) > DNS_NAME_MAX || *p == 0)
        return false;
    for (; *p != 0; before = *p++) {
        bool inner = isalnum((unsigned char)*p) || (*p == '-' && before != '.');

        if (!inner && !(*p == '.' && before != '.' && before != '-'))
            return false;
    }
    return before != '.' && before != '-';
}

static status server_name_add(gnutls_x509_crt_t crt, const char *name, struct err *e)
{
    uint8_t address[16];
    int rc;

    if (inet_pton(AF_INET, name, address) == 1)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 4,
                                                  GNUTLS_FSAN_APPEND);
    else if (inet_pton(AF_INET6, name, address) == 1)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 16,
                                                  GNUTLS_FSAN_APPEND);
    else if (dns_name_valid(name))
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
                                                  (unsigned int)strlen(name), GNUTLS_FSAN_APPEND);
    else
        return fail(e, BAD_INPUT, "not a DNS name or an IP address", 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot fill a certificate", rc);
    return OK;
}

/* names is a list with commas; white space around an entry is skipped. */
static status server_names_add(gnutls_x509_crt_t crt, const char *names, struct err *e)
{
    for (unsigned int count = 1;; count++) {
        char name[DNS_NAME_MAX + 1];
        const char *comma = strchrnul(names, ','), *end = comma;
        status st;

        while (names < end && isspace((unsigned char)*names))
            names++;
        while (end > names && isspace((unsigned char)end[-1]))
            end--;
        if ((size_t)(end - names) >= sizeof name)
            return fail(e, BAD_INPUT, "not a DNS name or an IP address", 0);
        memcpy(name, names, (size_t)(end - names));
        name[end - names] = 0;
        st = server_name_add(crt, name, e);
        if (st != OK || *comma == 0)
            return st;
        if (count == NAMES_MAX)
            return fail(e, BAD_INPUT, "too many server names", NAMES_MAX);
        names = comma + 1;
    }
}

/* Certificate to be signed for the server's own key, all but its names. */
static status server_shape(const struct secret *key_pem, struct identity_shape *shape,
                           gnutls_x509_crt_t *ret_certificate, struct err *e)
{
    AUTO(gnutls_x509_privkey_int) *own = NULL;
    AUTO(gnutls_privkey_st) *key = NULL;
    AUTO(gnutls_pubkey_st) *pubkey = NULL;
    status st = identity_key_import(key_pem, &own, e);
    int rc;

    if (st != OK)
        return st;
    rc = gnutls_privkey_init(&key);
    if (rc >= 0)
        rc = gnutls_pubkey_init(&pubkey);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509(key, own, GNUTLS_PRIVKEY_IMPORT_COPY);
    if (rc >= 0)
        rc = gnutls_pubkey_import_privkey(pubkey, key, 0, 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot take the public half of a key", rc);
    st = identity_key_curve(pubkey, e);
    if (st != OK)
        return st;
    shape->key = pubkey;
    st = identity_shape_new(shape, ret_certificate, e);
    shape->key = NULL;
    return st;
}

status identity_issue_server(const struct identity_ca *ca, const struct secret *key_pem,
                             const char *names, const struct identity_request *request,
                             char *out_pem, size_t cap, struct err *e)
{
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    struct identity_shape shape = { .now_us = request->now_us,
                                    .usage = GNUTLS_KEY_DIGITAL_SIGNATURE };
    status st = not_after(ca, request, &shape.not_after_s, e);
    int rc;

    if (st != OK)
        return st;
    shape.common_name = "strongroomd"; /* clients look at the alternative names only */
    if (request->name != NULL) {
        if (!name_valid(request->name))
            return fail(e, BAD_INPUT, "not a valid name", 0);
        shape.common_name = request->name;
    }
    st = server_shape(key_pem, &shape, &crt, e);
    if (st != OK)
        return st;
    rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc < 0)
        return fail(e, identity_code(rc, BUG), "cannot fill a certificate", rc);
    st = server_names_add(crt, names, e);
    if (st != OK)
        return st;
    return identity_sign(crt, ca->certificate, ca->key, out_pem, cap, e);
}
