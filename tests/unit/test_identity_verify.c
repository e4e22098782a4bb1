/* Who a peer certificate is, and every certificate that is nobody. */
#include "test_identity.h"

#include <pthread.h>

#define V   "0102030405060708090a0b0c0d0e0f10"
#define URI "strongroom://" V "/gateway/gw-1"

static const char *const from_elsewhere = "certificate is not from this vault";
static const char *const not_for_clients = "certificate is not for clients";
static const char *const nobody = "certificate names nobody known here";

static struct span issue(struct fixture *f, const struct identity_request *request,
                         uint8_t der[static PEM_ROOM], struct holder *holder)
{
    char pem[PEM_ROOM];
    struct out out;
    struct err e = { 0 };

    expect(identity_issue_client(f->ca, span_text(f->csr), request, pem, sizeof pem, holder, &e),
           OK, &e);
    out_init(&out, der, PEM_ROOM);
    expect(identity_pem_to_der(span_text(pem), &out, &e), OK, &e);
    return span_of(der, out.n);
}

static void refused(struct fixture *f, struct span der, uint64_t now, const char *why)
{
    struct holder holder = { .role = ROLE_NONE };
    struct err e = { 0 };

    expect_reason(identity_verify(f->verifier, der, now, &holder, &e), NO_IDENTITY, &e, why);
    assert_int_equal(holder.role, ROLE_NONE);
}

static void odd_refused(struct fixture *f, struct odd odd, const char *why)
{
    uint8_t der[PEM_ROOM];

    refused(f, odd_certificate(f, &odd, der), NOW, why);
}

static void every_role_that_has_certificates_is_recognised(void **state)
{
    struct fixture *f = *state;

    for (enum role role = ROLE_OPERATOR; role < ROLE_LOCAL; role++) {
        struct identity_request request = request_for(role, "someone");
        uint8_t der[PEM_ROOM];
        struct holder issued, seen;
        struct err e = { 0 };
        struct span certificate = issue(f, &request, der, &issued);

        expect(identity_verify(f->verifier, certificate, NOW, &seen, &e), OK, &e);
        assert_int_equal(seen.role, role);
        assert_string_equal(seen.name, "someone");
        assert_memory_equal(seen.spki, issued.spki, sizeof seen.spki);
        assert_int_equal(seen.not_after_us, issued.not_after_us);
    }
}

static void it_holds_from_five_minutes_before_issue_to_its_last_second(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    uint64_t begin = request.now_us / SECOND_US - 300,
             end = request.now_us / SECOND_US + 30 * DAY_S;
    uint8_t der[PEM_ROOM];
    struct holder holder;
    struct err e = { 0 };
    struct span certificate = issue(f, &request, der, &holder);

    assert_int_equal(holder.not_after_us, end * SECOND_US);
    expect(identity_verify(f->verifier, certificate, begin * SECOND_US, &holder, &e), OK, &e);
    expect(identity_verify(f->verifier, certificate, end * SECOND_US, &holder, &e), OK, &e);
    refused(f, certificate, begin * SECOND_US - 1, "certificate is not valid yet");
    refused(f, certificate, (end + 1) * SECOND_US, "certificate has expired");
    refused(f, certificate, 0, "certificate is not valid yet");
    refused(f, certificate, UINT64_MAX, "certificate has expired");
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    struct fixture *f = *state, g = { 0 };
    struct identity_request request = request_for(ROLE_OPERATOR, "eve");
    uint8_t der[PEM_ROOM];
    struct holder holder;

    fixture_fill(&g); /* same vault name, other key */
    refused(f, issue(&g, &request, der, &holder), NOW, from_elsewhere);
    fixture_clear(&g);
}

static void the_ca_itself_is_no_client(void **state)
{
    struct fixture *f = *state;
    uint8_t der[PEM_ROOM];
    struct out out;
    struct err e = { 0 };

    out_init(&out, der, sizeof der);
    expect(identity_pem_to_der(span_text(f->ca_pem), &out, &e), OK, &e);
    refused(f, span_of(der, out.n), NOW, not_for_clients);
}

static void a_certificate_for_another_vault_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_OPERATOR, "ann");
    uint8_t der[PEM_ROOM];
    struct holder holder;

    request.vault = &other_vault;
    refused(f, issue(f, &request, der, &holder), NOW, nobody);
}

static void a_server_certificate_is_no_client(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_NONE, NULL);
    char pem[PEM_ROOM];
    uint8_t der[PEM_ROOM];
    struct out out;
    struct err e = { 0 };

    expect(
        identity_issue_server(f->ca, f->key, "localhost,127.0.0.1", &request, pem, sizeof pem, &e),
        OK, &e);
    out_init(&out, der, sizeof der);
    expect(identity_pem_to_der(span_text(pem), &out, &e), OK, &e);
    refused(f, span_of(der, out.n), NOW, not_for_clients);
}

static void the_purpose_must_be_stated_and_must_be_that_of_a_client(void **state)
{
    struct fixture *f = *state;

    odd_refused(f, (struct odd){ .uris = { URI } }, not_for_clients);
    odd_refused(f, (struct odd){ .uris = { URI }, .purpose = GNUTLS_KP_TLS_WWW_SERVER },
                not_for_clients);
    odd_refused(f, (struct odd){ .uris = { URI }, .purpose = GNUTLS_KP_ANY }, not_for_clients);
}

static void a_ca_below_the_ca_is_no_client(void **state)
{
    odd_refused(*state,
                (struct odd){ .uris = { URI }, .purpose = GNUTLS_KP_TLS_WWW_CLIENT, .ca = 1 },
                not_for_clients);
}

static void the_name_must_be_one_uri_and_nothing_else(void **state)
{
    static const char *const client = GNUTLS_KP_TLS_WWW_CLIENT;
    struct fixture *f = *state;
    struct odd good = { .uris = { URI }, .purpose = client };
    struct holder holder;
    uint8_t der[PEM_ROOM];
    struct err e = { 0 };

    expect(identity_verify(f->verifier, odd_certificate(f, &good, der), NOW, &holder, &e), OK, &e);
    odd_refused(f, (struct odd){ .purpose = client }, nobody);
    odd_refused(f, (struct odd){ .purpose = client, .dns = "strongroom" }, nobody);
    odd_refused(f, (struct odd){ .purpose = client, .uris = { URI, URI } }, nobody);
    odd_refused(f, (struct odd){ .purpose = client, .uris = { URI }, .dns = "a.example" }, nobody);
    odd_refused(f, (struct odd){ .purpose = client, .uris = { "https://a.example/" } }, nobody);
    odd_refused(f, (struct odd){ .purpose = client, .uris = { "strongroom://" V "/local/root" } },
                nobody);
    odd_refused(f, (struct odd){ .purpose = client, .uris = { URI "/extra" } }, nobody);
}

static void a_second_name_of_any_length_is_refused(void **state)
{
    static char long_uri[2000] = "https://";

    for (size_t i = strlen(long_uri); i < sizeof long_uri - 1; i++)
        long_uri[i] = 'a';
    odd_refused(*state,
                (struct odd){ .purpose = GNUTLS_KP_TLS_WWW_CLIENT, .uris = { URI, long_uri } },
                nobody);
    odd_refused(*state, (struct odd){ .purpose = GNUTLS_KP_TLS_WWW_CLIENT, .uris = { long_uri } },
                nobody);
}

static void a_certificate_with_any_bit_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    uint8_t der[PEM_ROOM];
    struct holder holder = { .role = ROLE_NONE };
    struct span certificate = issue(f, &request, der, &(struct holder){ 0 });

    for (size_t bit = 0; bit < certificate.n * 8; bit += 7) {
        struct err e = { 0 };

        der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        expect(identity_verify(f->verifier, certificate, NOW, &holder, &e), NO_IDENTITY, &e);
        assert_int_equal(holder.role, ROLE_NONE);
        der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void bytes_that_are_no_certificate_are_refused(void **state)
{
    struct fixture *f = *state;
    static uint8_t zeros[LIMIT_CERTIFICATE + 1];
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    uint8_t der[PEM_ROOM];
    struct holder holder;
    struct span certificate = issue(f, &request, der, &holder);

    refused(f, span_of(NULL, 0), NOW, from_elsewhere);
    refused(f, span_text("hello"), NOW, from_elsewhere);
    refused(f, SPAN(zeros), NOW, from_elsewhere);
    refused(f, span_text(f->ca_pem), NOW, from_elsewhere);
    refused(f, span_of(certificate.p, certificate.n - 1), NOW, from_elsewhere);
    refused(f, span_of(certificate.p, certificate.n + 1), NOW, from_elsewhere);
}

static void a_verifier_needs_the_certificate_of_a_ca(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    struct identity_verifier *v = NULL;
    char pem[PEM_ROOM];
    struct holder holder;
    struct err e = { 0 }, e2 = { 0 };

    expect(identity_verifier_new(span_text("nothing"), &vault, &v, &e), BAD_INPUT, &e);
    e = (struct err){ 0 };
    expect(identity_issue_client(f->ca, span_text(f->csr), &request, pem, sizeof pem, &holder, &e),
           OK, &e);
    expect_reason(identity_verifier_new(span_text(pem), &vault, &v, &e2), BAD_INPUT, &e2,
                  "not the certificate of a CA");
    assert_null(v);
}

struct reader {
    struct fixture *f;
    struct span good, bad;
    int wrong;
};

static void *read_often(void *context)
{
    struct reader *r = context;

    for (int i = 0; i < 100; i++) {
        struct holder holder;
        struct err e = { 0 };

        if (identity_verify(r->f->verifier, r->good, NOW, &holder, &e) != OK)
            r->wrong++;
        if (identity_verify(r->f->verifier, r->bad, NOW, &holder, &e) != NO_IDENTITY)
            r->wrong++;
    }
    return NULL;
}

static void many_threads_may_share_a_verifier(void **state)
{
    struct fixture *f = *state;
    struct identity_request request = request_for(ROLE_GATEWAY, "gw-1");
    uint8_t good[PEM_ROOM], bad[PEM_ROOM];
    struct odd no_purpose = { .uris = { URI } };
    struct reader readers[8];
    pthread_t threads[8];
    struct span good_span = issue(f, &request, good, &(struct holder){ 0 });
    struct span bad_span = odd_certificate(f, &no_purpose, bad);

    for (size_t i = 0; i < 8; i++) {
        readers[i] = (struct reader){ .f = f, .good = good_span, .bad = bad_span };
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &readers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_that_has_certificates_is_recognised),
        cmocka_unit_test(it_holds_from_five_minutes_before_issue_to_its_last_second),
        cmocka_unit_test(a_certificate_of_another_ca_is_refused),
        cmocka_unit_test(the_ca_itself_is_no_client),
        cmocka_unit_test(a_certificate_for_another_vault_is_refused),
        cmocka_unit_test(a_server_certificate_is_no_client),
        cmocka_unit_test(the_purpose_must_be_stated_and_must_be_that_of_a_client),
        cmocka_unit_test(a_ca_below_the_ca_is_no_client),
        cmocka_unit_test(the_name_must_be_one_uri_and_nothing_else),
        cmocka_unit_test(a_second_name_of_any_length_is_refused),
        cmocka_unit_test(a_certificate_with_any_bit_changed_is_refused),
        cmocka_unit_test(bytes_that_are_no_certificate_are_refused),
        cmocka_unit_test(a_verifier_needs_the_certificate_of_a_ca),
        cmocka_unit_test(many_threads_may_share_a_verifier),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
