/* A peer's certificate, in full and past the signature, which no mutation would get through. The CA
 * below signed the seeds; its key is gone. */
#include "identity/internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIB1TCCAXygAwIBAgIQUNvFmLHnO3RLyAizIueDQTAKBggqhkjOPQQDAjA5MTcw\n"
                             "NQYDVQQDEy5TdHJvbmdyb29tIENBIDAxMDIwMzA0MDUwNjA3MDgwOTBhMGIwYzBk\n"
                             "MGUwZjEwMB4XDTI2MTEyMTA5MjIxNloXDTM2MTEyMTA5MjcxNlowOTE3MDUGA1UE\n"
                             "AxMuU3Ryb25ncm9vbSBDQSAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYx\n"
                             "MDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCKSopxnjnmQTAUFfGofbcbXTAqz\n"
                             "Q2crB0nch7XXBmMPyvoCEORW+BXjxOfG8Uxuy3VcS3GRbynmDAEmQWN3e0KjZjBk\n"
                             "MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQU7kWljBf5m+AgWENSEa1imM4TvI4w\n"
                             "EgYDVR0TAQH/BAgwBgEB/wIBADAfBgNVHSMEGDAWgBTuRaWMF/mb4CBYQ1IRrWKY\n"
                             "zhO8jjAKBggqhkjOPQQDAgNHADBEAiAwgFtuOnylX4ShxZqhdmRYizKyB2FrKzJ2\n"
                             "cVL6lvvk1QIgdW4PP3OJrmxb6/rsxHmcrzRQxRMGeWgiQzrc90FkWJ8=\n"
                             "-----END CERTIFICATE-----\n";
static const struct id vault = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
static struct identity_verifier *verifier;

/* 2027-01-01, within the validity of the seeds. */
#define NOW_US (1798761600 * SECOND_US)

static void need(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    need(identity_verifier_new(span_text(ca_pem), &vault, &verifier, NULL) == OK);
    return 0;
}

static void check(status st, const struct holder *holder, const struct err *e)
{
    if (st != OK) {
        need(st == NO_IDENTITY && e->why != NULL && holder->role == ROLE_NONE);
        return;
    }
    need(holder->role > ROLE_NONE && holder->role < ROLE_LOCAL);
    need(name_valid(holder->name));
    need(holder->not_after_us + SECOND_US > NOW_US);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(gnutls_x509_crt_int) *crt = NULL;
    gnutls_datum_t der = identity_datum(span_of(data, size));
    struct holder holder = { .role = ROLE_NONE }, past = { .role = ROLE_NONE };
    struct err e = { 0 }, e2 = { 0 };

    check(identity_verify(verifier, span_of(data, size), NOW_US, &holder, &e), &holder, &e);
    need(gnutls_x509_crt_init(&crt) == 0);
    if (size > LIMIT_CERTIFICATE || gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) < 0)
        return 0;
    check(identity_holder_of(crt, &vault, NOW_US, &past, &e2), &past, &e2);
    need(holder.role == ROLE_NONE || past.role == holder.role);
    return 0;
}
