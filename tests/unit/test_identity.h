/* A CA, keys and odd certificates for the tests of identity. */
#ifndef TEST_IDENTITY_H
#define TEST_IDENTITY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers it needs */
#include <cmocka.h>

#include "base/clock.h"
#include "identity/internal.h"

#include <string.h>

#define PEM_ROOM 8192
#define NOW      (clock_wall_us())

static const struct id vault = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
static const struct id other_vault = { { 99 } };

struct fixture {
    char ca_pem[PEM_ROOM];
    struct secret *scalar;
    struct identity_ca *ca;
    struct identity_verifier *verifier;
    struct secret *key; /* of a holder */
    char csr[PEM_ROOM];
};

static inline void expect(status st, status wanted, const struct err *e)
{
    if (st != wanted)
        print_error("%s: %s (%lld)\n", e->where ? e->where : "-", e->why ? e->why : "-",
                    (long long)e->detail);
    assert_int_equal(st, wanted);
}

static inline void expect_reason(status st, status wanted, const struct err *e, const char *why)
{
    expect(st, wanted, e);
    assert_non_null(e->why);
    assert_string_equal(e->why, why);
}

static inline struct identity_request request_for(enum role role, const char *name)
{
    return (struct identity_request){
        .vault = &vault, .role = role, .name = name, .now_us = NOW, .days = 30
    };
}

static inline void fixture_fill(struct fixture *f)
{
    struct err e = { 0 };

    expect(identity_ca_new(&vault, f->ca_pem, sizeof f->ca_pem, &f->scalar, &e), OK, &e);
    expect(identity_ca_load(span_text(f->ca_pem), f->scalar, &f->ca, &e), OK, &e);
    expect(identity_verifier_new(span_text(f->ca_pem), &vault, &f->verifier, &e), OK, &e);
    expect(identity_key_new(&f->key, &e), OK, &e);
    expect(identity_csr_new(f->key, "whoever", f->csr, sizeof f->csr, &e), OK, &e);
}

static inline void fixture_clear(struct fixture *f)
{
    identity_ca_free(f->ca);
    identity_verifier_free(f->verifier);
    secret_free(f->scalar);
    secret_free(f->key);
}

static inline int group_start(void **state)
{
    static struct fixture f;
    struct err e = { 0 };

    if (secret_start((size_t)1 << 20, &e) != OK)
        return -1;
    fixture_fill(&f);
    *state = &f;
    return 0;
}

static inline int group_end(void **state)
{
    fixture_clear(*state);
    assert_int_equal(secret_in_use(), 0);
    return 0;
}

/* A certificate signed by the fixture's CA whose odd parts the caller chooses. */
struct odd {
    const char *purpose; /* key purpose OID, or NULL */
    const char *uris[3]; /* up to the first NULL */
    const char *dns;     /* or NULL */
    int ca;              /* basic constraints */
    int64_t not_after_s; /* relative to now; 0: one day */
};

static inline struct span odd_certificate(struct fixture *f, const struct odd *odd,
                                          uint8_t der[static PEM_ROOM])
{
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    AUTO(gnutls_privkey_st) *key = NULL;
    AUTO(gnutls_pubkey_st) *pubkey = NULL;
    struct identity_shape shape = { .common_name = "odd", .usage = GNUTLS_KEY_DIGITAL_SIGNATURE };
    char pem[PEM_ROOM];
    struct out out;
    struct err e = { 0 };

    assert_int_equal(gnutls_privkey_init(&key), 0);
    assert_int_equal(gnutls_pubkey_init(&pubkey), 0);
    assert_int_equal(gnutls_privkey_generate(key, GNUTLS_PK_ECDSA, 256, 0), 0);
    assert_int_equal(gnutls_pubkey_import_privkey(pubkey, key, 0, 0), 0);
    shape.key = pubkey;
    shape.now_us = NOW;
    shape.not_after_s = (uint64_t)((int64_t)(shape.now_us / SECOND_US) +
                                   (odd->not_after_s != 0 ? odd->not_after_s : 86400));
    expect(identity_shape_new(&shape, &crt, &e), OK, &e);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(crt, (unsigned int)odd->ca, -1), 0);
    if (odd->purpose != NULL)
        assert_int_equal(gnutls_x509_crt_set_key_purpose_oid(crt, odd->purpose, 0), 0);
    for (size_t i = 0; i < 3 && odd->uris[i] != NULL; i++)
        assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, odd->uris[i],
                                                              (unsigned int)strlen(odd->uris[i]),
                                                              GNUTLS_FSAN_APPEND),
                         0);
    if (odd->dns != NULL)
        assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, odd->dns,
                                                              (unsigned int)strlen(odd->dns),
                                                              GNUTLS_FSAN_APPEND),
                         0);
    expect(identity_sign(crt, f->ca->certificate, f->ca->key, pem, sizeof pem, &e), OK, &e);
    out_init(&out, der, PEM_ROOM);
    expect(identity_pem_to_der(span_text(pem), &out, &e), OK, &e);
    return span_of(der, out.n);
}

#endif
