/* A request from anybody: it is refused, or the certificate names whom we said and nobody else. */
#include "base/clock.h"
#include "identity/identity.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 8192

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct id vault = { { 1, 2, 3 } };
static char ca_pem[ROOM];
static struct identity_ca *ca;
static struct identity_verifier *verifier;

static void need(bool truth)
{
    if (!truth)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    AUTO(secret) *scalar = NULL;

    (void)argc;
    (void)argv;
    need(secret_start((size_t)1 << 18, NULL) == OK);
    need(identity_ca_new(&vault, ca_pem, sizeof ca_pem, &scalar, NULL) == OK);
    need(identity_ca_load(span_text(ca_pem), scalar, &ca, NULL) == OK);
    need(identity_verifier_new(span_text(ca_pem), &vault, &verifier, NULL) == OK);
    return 0;
}

/* Text begins with a dash; anything else is taken for DER, which mutates better, and dressed up. */
static size_t as_pem(const uint8_t *data, size_t size, char *out, size_t cap)
{
    static const char begin[] = "-----BEGIN CERTIFICATE REQUEST-----\n";
    static const char end[] = "\n-----END CERTIFICATE REQUEST-----\n";

    if (size > LIMIT_CSR)
        return 0;
    if (size == 0 || data[0] == '-') {
        if (size > 0)
            memcpy(out, data, size);
        return size;
    }
    memcpy(out, begin, sizeof begin - 1);
    base64_format(span_of(data, size), out + sizeof begin - 1);
    memcpy(out + strlen(out), end, sizeof end);
    need(strlen(out) < cap);
    return strlen(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct identity_request request = {
        .vault = &vault, .role = ROLE_GATEWAY, .name = "gw-1", .now_us = clock_wall_us(), .days = 1
    };
    struct holder issued, seen;
    char pem[ROOM], text[2 * LIMIT_CSR];
    uint8_t der[ROOM];
    struct out out;
    struct err e = { 0 };
    size_t length = as_pem(data, size, text, sizeof text);
    status st =
        identity_issue_client(ca, span_of(text, length), &request, pem, sizeof pem, &issued, &e);

    if (st != OK) {
        need(st == BAD_INPUT && e.code == BAD_INPUT && e.why != NULL);
        return 0;
    }
    out_init(&out, der, sizeof der);
    need(identity_pem_to_der(span_text(pem), &out, NULL) == OK);
    need(identity_verify(verifier, span_of(der, out.n), request.now_us, &seen, NULL) == OK);
    need(seen.role == ROLE_GATEWAY && strcmp(seen.name, "gw-1") == 0);
    need(span_same(SPAN(seen.spki), SPAN(issued.spki)));
    return 0;
}
