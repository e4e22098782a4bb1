/* The CA, keys, requests, and plain facts about PEM files. */
#include "test_identity.h"

static void a_new_ca_is_a_ca_of_path_length_zero_for_ten_years(void **state)
{
    struct fixture *f = *state;
    unsigned int ca = 0, critical = 0, usage = 0;
    int path_length = -1;
    uint64_t end = 0;
    struct err e = { 0 };

    assert_true(gnutls_x509_crt_get_basic_constraints(f->ca->certificate, &critical, &ca,
                                                      &path_length) >= 0);
    assert_int_equal(ca, 1);
    assert_int_equal(critical, 1);
    assert_int_equal(path_length, 0);
    assert_true(gnutls_x509_crt_get_key_usage(f->ca->certificate, &usage, &critical) >= 0);
    assert_int_equal(usage, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    expect(identity_not_after(span_text(f->ca_pem), &end, &e), OK, &e);
    assert_in_range(end / SECOND_US, NOW / SECOND_US + 3650 * DAY_S,
                    NOW / SECOND_US + 3654 * DAY_S);
}

static void the_private_scalar_has_thirty_two_bytes_and_is_a_secret(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(secret_view(f->scalar).n, 32);
}

static void a_ca_with_a_scalar_that_begins_with_zeros_loads(void **state)
{
    struct err e = { 0 };
    bool seen = false;

    (void)state;
    /* One key in 256 has a short scalar: the padding must survive. */
    for (int i = 0; i < 3000 && !seen; i++) {
        AUTO(secret) *scalar = NULL;
        AUTO(identity_ca) *ca = NULL;
        char pem[PEM_ROOM];

        expect(identity_ca_new(&vault, pem, sizeof pem, &scalar, &e), OK, &e);
        seen = secret_view(scalar).p[0] == 0;
        if (seen)
            expect(identity_ca_load(span_text(pem), scalar, &ca, &e), OK, &e);
    }
    assert_true(seen);
}

static void a_scalar_of_another_ca_is_corrupt(void **state)
{
    struct fixture *f = *state, g = { 0 };
    struct identity_ca *ca = NULL;
    struct err e = { 0 };

    fixture_fill(&g);
    expect_reason(identity_ca_load(span_text(f->ca_pem), g.scalar, &ca, &e), CORRUPT, &e,
                  "CA certificate and key do not belong together");
    assert_null(ca);
    fixture_clear(&g);
}

static void a_scalar_with_one_bit_changed_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct identity_ca *ca = NULL;

    for (size_t bit = 0; bit < 256; bit += 13) {
        AUTO(secret) *bad = NULL;
        struct err e = { 0 };

        expect(secret_copy(secret_view(f->scalar), &bad, &e), OK, &e);
        secret_fill(bad).p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        expect(identity_ca_load(span_text(f->ca_pem), bad, &ca, &e), CORRUPT, &e);
        assert_null(ca);
    }
}

static void scalars_of_zero_or_of_another_length_are_corrupt(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = { 0, 1, 31, 32, 33 };

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        AUTO(secret) *bad = NULL;
        struct identity_ca *ca = NULL;
        struct err e = { 0 };

        expect(secret_new(64, &bad, &e), OK, &e);
        expect(secret_trim(bad, lengths[i], &e), OK, &e);
        expect(identity_ca_load(span_text(f->ca_pem), bad, &ca, &e), CORRUPT, &e);
        assert_null(ca);
    }
}

static void text_that_is_no_ca_certificate_is_corrupt(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_ADMIN, "ann");
    struct identity_ca *ca = NULL;
    char leaf[PEM_ROOM];
    struct holder holder;
    struct err e = { 0 }, e2 = { 0 }, e3 = { 0 };

    expect(identity_ca_load(span_text(""), f->scalar, &ca, &e), CORRUPT, &e);
    expect(identity_ca_load(span_text("-----BEGIN CERTIFICATE-----\nAAAA\n"), f->scalar, &ca, &e2),
           CORRUPT, &e2);
    e = (struct err){ 0 };
    expect(
        identity_issue_client(f->ca, span_text(f->csr), &request, leaf, sizeof leaf, &holder, &e),
        OK, &e);
    expect_reason(identity_ca_load(span_text(leaf), f->scalar, &ca, &e3), CORRUPT, &e3,
                  "not the certificate of a CA");
    assert_null(ca);
}

static void a_certificate_that_does_not_fit_is_a_limit(void **state)
{
    struct secret *scalar = NULL;
    char small[100];
    struct err e = { 0 };

    (void)state;
    expect(identity_ca_new(&vault, small, sizeof small, &scalar, &e), LIMIT, &e);
    assert_null(scalar);
}

static void a_new_key_is_pkcs8_pem_followed_by_a_nul(void **state)
{
    struct fixture *f = *state;
    struct span view = secret_view(f->key);

    assert_true(span_same(span_of(view.p, 27), span_text("-----BEGIN PRIVATE KEY-----")));
    assert_int_equal(secret_fill(f->key).n, view.n + 1);
    assert_int_equal(view.p[view.n], 0);
}

static void a_request_needs_a_name_of_one_to_sixty_four_bytes(void **state)
{
    struct fixture *f = *state;
    static const char long_name[] =
        "12345678901234567890123456789012345678901234567890123456789012345";
    char out[PEM_ROOM];
    struct err e = { 0 }, e2 = { 0 }, e3 = { 0 };

    expect(identity_csr_new(f->key, "", out, sizeof out, &e), BAD_INPUT, &e);
    expect(identity_csr_new(f->key, long_name, out, sizeof out, &e2), BAD_INPUT, &e2);
    expect(identity_csr_new(f->key, long_name + 1, out, sizeof out, &e3), OK, &e3);
}

static void a_request_from_something_that_is_no_key_is_refused(void **state)
{
    AUTO(secret) *bad = NULL, *empty = NULL;
    char out[PEM_ROOM];
    struct err e = { 0 }, e2 = { 0 };

    (void)state;
    expect(secret_copy(span_text("-----BEGIN PRIVATE KEY-----\nnonsense\n"), &bad, &e), OK, &e);
    expect(identity_csr_new(bad, "x", out, sizeof out, &e), BAD_INPUT, &e);
    expect(secret_new(8, &empty, &e2), OK, &e2);
    expect(secret_trim(empty, 0, &e2), OK, &e2);
    expect(identity_csr_new(empty, "x", out, sizeof out, &e2), BAD_INPUT, &e2);
}

static void a_request_from_a_key_on_another_curve_is_refused(void **state)
{
    AUTO(gnutls_x509_privkey_int) *key = NULL;
    AUTO(datum) pem = { { NULL, 0 } };
    AUTO(secret) *kept = NULL;
    char out[PEM_ROOM];
    struct err e = { 0 };

    (void)state;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1), 0),
                     0);
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                                       GNUTLS_PKCS_PLAIN, &pem.d),
                     0);
    expect(secret_copy(span_of(pem.d.data, pem.d.size), &kept, &e), OK, &e);
    expect_reason(identity_csr_new(kept, "x", out, sizeof out, &e), BAD_INPUT, &e,
                  "key is not on the curve P-256");
}

static void a_request_that_does_not_fit_is_a_limit(void **state)
{
    struct fixture *f = *state;
    char small[20];
    struct err e = { 0 };

    expect(identity_csr_new(f->key, "x", small, sizeof small, &e), LIMIT, &e);
}

static void the_fingerprint_is_that_of_the_der_form(void **state)
{
    struct fixture *f = *state;
    uint8_t der[PEM_ROOM], print[32], wanted[32];
    size_t length = sizeof wanted;
    struct out out;
    gnutls_datum_t data;
    struct err e = { 0 };

    out_init(&out, der, sizeof der);
    expect(identity_pem_to_der(span_text(f->ca_pem), &out, &e), OK, &e);
    data = identity_datum(span_of(der, out.n));
    assert_int_equal(gnutls_fingerprint(GNUTLS_DIG_SHA256, &data, wanted, &length), 0);
    expect(identity_fingerprint(span_text(f->ca_pem), print, &e), OK, &e);
    assert_memory_equal(print, wanted, 32);
}

static void text_that_is_no_certificate_has_no_facts(void **state)
{
    uint8_t der[64], print[32];
    uint64_t end;
    struct out out;
    struct span bad[] = { span_text(""), span_text("hello"),
                          span_text(
                              "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n") };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 }, e2 = { 0 }, e3 = { 0 };

        out_init(&out, der, sizeof der);
        expect(identity_pem_to_der(bad[i], &out, &e), BAD_INPUT, &e);
        expect(identity_fingerprint(bad[i], print, &e2), BAD_INPUT, &e2);
        expect(identity_not_after(bad[i], &end, &e3), BAD_INPUT, &e3);
        assert_int_equal(out.n, 0);
    }
}

static void der_that_does_not_fit_is_a_limit(void **state)
{
    struct fixture *f = *state;
    uint8_t der[64];
    struct out out;
    struct err e = { 0 };

    out_init(&out, der, sizeof der);
    expect(identity_pem_to_der(span_text(f->ca_pem), &out, &e), LIMIT, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ca_is_a_ca_of_path_length_zero_for_ten_years),
        cmocka_unit_test(the_private_scalar_has_thirty_two_bytes_and_is_a_secret),
        cmocka_unit_test(a_ca_with_a_scalar_that_begins_with_zeros_loads),
        cmocka_unit_test(a_scalar_of_another_ca_is_corrupt),
        cmocka_unit_test(a_scalar_with_one_bit_changed_is_corrupt),
        cmocka_unit_test(scalars_of_zero_or_of_another_length_are_corrupt),
        cmocka_unit_test(text_that_is_no_ca_certificate_is_corrupt),
        cmocka_unit_test(a_certificate_that_does_not_fit_is_a_limit),
        cmocka_unit_test(a_new_key_is_pkcs8_pem_followed_by_a_nul),
        cmocka_unit_test(a_request_needs_a_name_of_one_to_sixty_four_bytes),
        cmocka_unit_test(a_request_from_something_that_is_no_key_is_refused),
        cmocka_unit_test(a_request_from_a_key_on_another_curve_is_refused),
        cmocka_unit_test(a_request_that_does_not_fit_is_a_limit),
        cmocka_unit_test(the_fingerprint_is_that_of_the_der_form),
        cmocka_unit_test(text_that_is_no_certificate_has_no_facts),
        cmocka_unit_test(der_that_does_not_fit_is_a_limit),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
