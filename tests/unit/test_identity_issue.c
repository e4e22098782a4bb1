/* What is issued, and every request that is turned down. */
#include "test_identity.h"

static status issue(struct fixture *f, const char *csr, const struct identity_request *request,
                    char pem[static PEM_ROOM], struct err *e)
{
    struct holder holder = { .role = ROLE_NONE };
    status st = identity_issue_client(f->ca, span_text(csr), request, pem, PEM_ROOM, &holder, e);

    assert_int_equal(holder.role, st == OK ? request->role : ROLE_NONE);
    return st;
}

static void import(const char *pem, gnutls_x509_crt_t *ret_certificate)
{
    struct err e = { 0 };

    expect(identity_pem_import(span_text(pem), ret_certificate, &e), OK, &e);
}

/* A request by any kind of key, signed with digest, that also asks for things. */
static void csr_by(gnutls_pk_algorithm_t algorithm, unsigned int bits,
                   gnutls_digest_algorithm_t digest, char out[static PEM_ROOM])
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    AUTO(gnutls_x509_crq_int) *crq = NULL;
    AUTO(datum) pem = { { NULL, 0 } };

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(key, algorithm, bits, 0), 0);
    assert_int_equal(gnutls_x509_crq_init(&crq), 0);
    assert_int_equal(gnutls_x509_crq_set_version(crq, 1), 0);
    assert_int_equal(gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, "root", 4),
                     0);
    assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
    assert_int_equal(gnutls_x509_crq_set_basic_constraints(crq, 1, 3), 0);
    assert_int_equal(gnutls_x509_crq_set_key_purpose_oid(crq, GNUTLS_KP_TLS_WWW_SERVER, 0), 0);
    assert_int_equal(gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_DNSNAME, "evil.example",
                                                          12, GNUTLS_FSAN_SET),
                     0);
    assert_int_equal(gnutls_x509_crq_sign2(crq, key, digest, 0), 0);
    assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem.d), 0);
    assert_true(pem.d.size < PEM_ROOM);
    memcpy(out, pem.d.data, pem.d.size);
    out[pem.d.size] = 0;
}

static void what_a_request_asks_for_is_ignored(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    char csr[PEM_ROOM], pem[PEM_ROOM], text[512];
    size_t length = sizeof text;
    unsigned int ca = 9, type = 0;
    struct err e = { 0 };

    csr_by(GNUTLS_PK_ECDSA, 256, GNUTLS_DIG_SHA256, csr);
    expect(issue(f, csr, &request, pem, &e), OK, &e);
    import(pem, &crt);
    assert_true(gnutls_x509_crt_get_basic_constraints(crt, NULL, &ca, NULL) >= 0);
    assert_int_equal(ca, 0);
    assert_true(gnutls_x509_crt_get_subject_alt_name2(crt, 0, text, &length, &type, NULL) >= 0);
    assert_int_equal(type, GNUTLS_SAN_URI);
    assert_string_equal(text, "strongroom://0102030405060708090a0b0c0d0e0f10/gateway/gw-1");
    length = sizeof text;
    assert_int_equal(gnutls_x509_crt_get_subject_alt_name2(crt, 1, text, &length, &type, NULL),
                     GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
    length = sizeof text;
    assert_true(gnutls_x509_crt_get_key_purpose_oid(crt, 0, text, &length, NULL) >= 0);
    assert_string_equal(text, GNUTLS_KP_TLS_WWW_CLIENT);
    length = sizeof text;
    assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(crt, 1, text, &length, NULL),
                     GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
    length = sizeof text;
    assert_int_equal(gnutls_x509_crt_get_dn(crt, text, &length), 0);
    assert_null(strstr(text, "root"));
    assert_non_null(strstr(text, "CN=gw-1"));
}

static void a_key_has_the_hash_that_its_certificate_names(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_AUDITOR, "carol");
    struct holder holder;
    struct secret *other = NULL;
    char pem[PEM_ROOM];
    uint8_t spki[32];
    struct err e = { 0 };

    expect(identity_issue_client(f->ca, span_text(f->csr), &request, pem, sizeof pem, &holder, &e),
           OK, &e);
    expect(identity_key_spki(f->key, spki, &e), OK, &e);
    assert_memory_equal(spki, holder.spki, sizeof spki);
    expect(identity_key_new(&other, &e), OK, &e);
    expect(identity_key_spki(other, spki, &e), OK, &e);
    assert_memory_not_equal(spki, holder.spki, sizeof spki);
    secret_free(other);
}

static void requests_signed_with_the_longer_hashes_are_fine(void **state)
{
    static const gnutls_digest_algorithm_t good[] = { GNUTLS_DIG_SHA384, GNUTLS_DIG_SHA512 };
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");

    for (size_t i = 0; i < 2; i++) {
        char csr[PEM_ROOM], pem[PEM_ROOM];
        struct err e = { 0 };

        csr_by(GNUTLS_PK_ECDSA, 256, good[i], csr);
        expect(issue(*state, csr, &request, pem, &e), OK, &e);
    }
}

static void keys_that_are_not_on_p256_are_refused(void **state)
{
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    char csr[PEM_ROOM], pem[PEM_ROOM];
    struct err e = { 0 }, e2 = { 0 }, e3 = { 0 };

    csr_by(GNUTLS_PK_ECDSA, 384, GNUTLS_DIG_SHA256, csr);
    expect_reason(issue(*state, csr, &request, pem, &e), BAD_INPUT, &e,
                  "key is not on the curve P-256");
    csr_by(GNUTLS_PK_RSA, 2048, GNUTLS_DIG_SHA256, csr);
    expect_reason(issue(*state, csr, &request, pem, &e2), BAD_INPUT, &e2,
                  "key is not on the curve P-256");
    csr_by(GNUTLS_PK_EDDSA_ED25519, 256, GNUTLS_DIG_SHA512, csr);
    expect_reason(issue(*state, csr, &request, pem, &e3), BAD_INPUT, &e3,
                  "key is not on the curve P-256");
}

static void a_request_with_a_weak_hash_is_refused(void **state)
{
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    char csr[PEM_ROOM], pem[PEM_ROOM];
    struct err e = { 0 };

    csr_by(GNUTLS_PK_ECDSA, 256, GNUTLS_DIG_SHA1, csr);
    expect(issue(*state, csr, &request, pem, &e), BAD_INPUT, &e);
}

/* The request's DER with one byte changed, as PEM again. */
static void damage(const char *csr, size_t from_end, char out[static PEM_ROOM])
{
    AUTO(datum) der = { { NULL, 0 } };
    AUTO(datum) pem = { { NULL, 0 } };
    gnutls_datum_t text = identity_datum(span_text(csr));

    assert_int_equal(gnutls_pem_base64_decode2("NEW CERTIFICATE REQUEST", &text, &der.d), 0);
    der.d.data[der.d.size - from_end] ^= 1;
    assert_int_equal(gnutls_pem_base64_encode2("CERTIFICATE REQUEST", &der.d, &pem.d), 0);
    memcpy(out, pem.d.data, pem.d.size);
    out[pem.d.size] = 0;
}

static void a_request_not_signed_by_its_own_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    char csr[PEM_ROOM], pem[PEM_ROOM];
    struct err e = { 0 };

    damage(f->csr, 1, csr);
    expect_reason(issue(f, csr, &request, pem, &e), BAD_INPUT, &e,
                  "request is not signed by its own key");
}

static void a_request_with_any_byte_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");

    for (size_t at = 1; at <= 200; at++) {
        char csr[PEM_ROOM], pem[PEM_ROOM];
        struct err e = { 0 };

        damage(f->csr, at, csr);
        expect(issue(f, csr, &request, pem, &e), BAD_INPUT, &e);
    }
}

static void text_that_is_no_request_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    static char long_text[LIMIT_CSR + 2];
    const char *bad[] = { "", "hello", f->ca_pem, long_text,
                          "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n"
                          "-----END CERTIFICATE REQUEST-----\n" };

    for (size_t i = 0; i < sizeof long_text - 1; i++)
        long_text[i] = 'A';
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char pem[PEM_ROOM];
        struct err e = { 0 };

        expect(issue(f, bad[i], &request, pem, &e), BAD_INPUT, &e);
    }
}

static void names_roles_and_days_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct identity_request good = request_for(ROLE_GATEWAY, "gw-1");
    struct identity_request bad[] = { good, good, good, good, good, good, good, good };
    char pem[PEM_ROOM];

    bad[0].role = ROLE_NONE;
    bad[1].role = ROLE_LOCAL;
    bad[2].role = (enum role)99;
    bad[3].name = "";
    bad[4].name = "Gw";
    bad[5].name = "a/b";
    bad[6].days = 0;
    bad[7].days = 36500;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };

        expect(issue(f, f->csr, &bad[i], pem, &e), BAD_INPUT, &e);
    }
}

static void no_certificate_outlives_its_ca(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_OPERATOR, "ann");
    uint64_t ca_end = 0, end = 0;
    char pem[PEM_ROOM];
    struct err e = { 0 };

    expect(identity_not_after(span_text(f->ca_pem), &ca_end, &e), OK, &e);
    request.now_us = ca_end - 5 * DAY_S * SECOND_US;
    expect(issue(f, f->csr, &request, pem, &e), OK, &e);
    expect(identity_not_after(span_text(pem), &end, &e), OK, &e);
    assert_int_equal(end, ca_end);
    request.now_us = ca_end + SECOND_US;
    expect_reason(issue(f, f->csr, &request, pem, &e), CONFLICT, &e, "the CA has expired");
}

static void serial_numbers_are_sixteen_bytes_positive_and_different(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    uint8_t serial[2][32];

    for (size_t i = 0; i < 2; i++) {
        AUTO(gnutls_x509_crt_int) *crt = NULL;
        size_t length = sizeof serial[i];
        char pem[PEM_ROOM];
        struct err e = { 0 };

        expect(issue(f, f->csr, &request, pem, &e), OK, &e);
        import(pem, &crt);
        assert_int_equal(gnutls_x509_crt_get_serial(crt, serial[i], &length), 0);
        assert_int_equal(length, 16);
        assert_in_range(serial[i][0], 0x40, 0x7f);
    }
    assert_memory_not_equal(serial[0], serial[1], 16);
}

static void a_certificate_that_does_not_fit_is_a_limit(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    struct holder holder = { .role = ROLE_NONE };
    char small[64];
    struct err e = { 0 };

    expect(
        identity_issue_client(f->ca, span_text(f->csr), &request, small, sizeof small, &holder, &e),
        LIMIT, &e);
    assert_int_equal(holder.role, ROLE_NONE);
}

static void a_server_certificate_carries_dns_names_and_addresses(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_NONE, NULL);
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    char pem[PEM_ROOM];
    struct err e = { 0 };

    expect(identity_issue_server(f->ca, f->key, "vault.example, *.in.example,127.0.0.1,::1",
                                 &request, pem, sizeof pem, &e),
           OK, &e);
    import(pem, &crt);
    assert_true(gnutls_x509_crt_check_hostname2(crt, "vault.example", 0));
    assert_true(gnutls_x509_crt_check_hostname2(crt, "a.in.example", 0));
    assert_true(gnutls_x509_crt_check_hostname2(crt, "127.0.0.1", 0));
    assert_true(gnutls_x509_crt_check_hostname2(crt, "::1", 0));
    assert_false(gnutls_x509_crt_check_hostname2(crt, "other.example", 0));
    assert_true(gnutls_x509_crt_check_key_purpose(crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
    assert_false(gnutls_x509_crt_check_key_purpose(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0));
}

static void names_that_no_server_has_are_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_NONE, NULL);
    static char long_name[300], many[400];
    const char *bad[] = { "",         ",",          "a.example,", ",a.example", "a..example",
                          ".example", "-a.example", "a-.example", "a.example.", "a b",
                          "a\nb",     "*",          "a*.example", "http://a",   "::g",
                          "a_b",      long_name,    many };

    for (size_t i = 0; i < sizeof long_name - 1; i++)
        long_name[i] = 'a';
    for (size_t i = 0; i < 33; i++)
        memcpy(many + 2 * i, "a,", 3);
    many[65] = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char pem[PEM_ROOM];
        struct err e = { 0 };
        status st = identity_issue_server(f->ca, f->key, bad[i], &request, pem, sizeof pem, &e);

        if (st != BAD_INPUT)
            print_error("%s gives %s\n", bad[i], status_name(st));
        assert_int_equal(st, BAD_INPUT);
    }
}

static void a_server_key_that_is_no_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_NONE, NULL);
    AUTO(secret) *bad = NULL;
    char pem[PEM_ROOM];
    struct err e = { 0 };

    expect(secret_copy(span_text("not a key"), &bad, &e), OK, &e);
    expect(identity_issue_server(f->ca, bad, "localhost", &request, pem, sizeof pem, &e), BAD_INPUT,
           &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_request_asks_for_is_ignored),
        cmocka_unit_test(a_key_has_the_hash_that_its_certificate_names),
        cmocka_unit_test(requests_signed_with_the_longer_hashes_are_fine),
        cmocka_unit_test(keys_that_are_not_on_p256_are_refused),
        cmocka_unit_test(a_request_with_a_weak_hash_is_refused),
        cmocka_unit_test(a_request_not_signed_by_its_own_key_is_refused),
        cmocka_unit_test(a_request_with_any_byte_changed_is_refused),
        cmocka_unit_test(text_that_is_no_request_is_refused),
        cmocka_unit_test(names_roles_and_days_out_of_range_are_refused),
        cmocka_unit_test(no_certificate_outlives_its_ca),
        cmocka_unit_test(serial_numbers_are_sixteen_bytes_positive_and_different),
        cmocka_unit_test(a_certificate_that_does_not_fit_is_a_limit),
        cmocka_unit_test(a_server_certificate_carries_dns_names_and_addresses),
        cmocka_unit_test(names_that_no_server_has_are_refused),
        cmocka_unit_test(a_server_key_that_is_no_key_is_refused),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
