/*
 * X.509: the built-in CA, certificate requests and the names in certificates. The only home of
 * GnuTLS's x509 interface. ECDSA P-256 with SHA-256 throughout (RFC 5280, RFC 5480).
 *
 * A certificate names its holder in one URI subject alternative name:
 *   strongroom://<vault id hex>/<role>/<name>
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "secret/secret.h"

enum role {
    ROLE_NONE = 0,
    ROLE_OPERATOR = 1, /* unlocks and administers */
    ROLE_ADMIN = 2,    /* administers, cannot unlock */
    ROLE_TENANT = 3,   /* its own keys and trail */
    ROLE_GATEWAY = 4,  /* leases what it is granted */
    ROLE_AUDITOR = 5,  /* reads trails */
    ROLE_LOCAL = 6,    /* peer of the Unix socket: init only; never in a certificate */
    ROLE_COUNT = 7
};
const char *role_name(enum role role);  /* "operator" */
enum role role_parse(const char *text); /* ROLE_NONE if unknown */

/* Who a verified peer certificate is. */
struct holder {
    enum role role;
    char name[NAME_MAX_LENGTH + 1];
    uint8_t spki[32]; /* SHA-256 of the DER SubjectPublicKeyInfo */
    uint64_t not_after_us;
};

/* A new P-256 key as PKCS#8 PEM. A NUL that is not counted follows the text, for TLS libraries. */
MUST_CHECK status identity_key_new(struct secret **ret_pem, struct err *e);
/* A PKCS#10 request for key_pem with common name cn (1 to 64 bytes), as PEM with NUL into out. The
 * issuer takes only the public key from it. */
MUST_CHECK status identity_csr_new(const struct secret *key_pem, const char *cn, char *out,
                                   size_t cap, struct err *e);

/* SHA-256 of its DER SubjectPublicKeyInfo, as in the holder of its certificate. */
MUST_CHECK status identity_key_spki(const struct secret *key_pem, uint8_t out[static 32],
                                    struct err *e);

struct identity_ca; /* a loaded CA: certificate and private key */

/* A new CA for vault: self-signed certificate (10 years, pathlen 0, key usage certSign and cRLSign)
 * as PEM with NUL into out, and its 32-byte private scalar. */
MUST_CHECK status identity_ca_new(const struct id *vault, char *out_pem, size_t cap,
                                  struct secret **ret_scalar, struct err *e);
/* Rebuilds the CA from certificate PEM and scalar. CORRUPT if they do not belong together. */
MUST_CHECK status identity_ca_load(struct span certificate_pem, const struct secret *scalar,
                                   struct identity_ca **ret_ca, struct err *e);
void identity_ca_free(struct identity_ca *ca);
void identity_ca_cleanup(struct identity_ca **ca);

struct identity_request {
    const struct id *vault;
    enum role role;
    const char *name;
    uint64_t now_us;
    uint64_t days;
};
/* Certificate for the public key of a PKCS#10 PEM whose self-signature is checked; only P-256 keys.
 * clientAuth, digitalSignature, the URI name; notBefore = now - 5 min; never beyond the CA's end.
 * out: PEM with NUL. BAD_INPUT for a malformed, badly signed or other-key request, CONFLICT if the
 * CA has expired. */
MUST_CHECK status identity_issue_client(const struct identity_ca *ca, struct span csr_pem,
                                        const struct identity_request *request, char *out_pem,
                                        size_t cap, struct holder *ret_holder, struct err *e);
/* Certificate for the server's own key: serverAuth, names = comma-separated DNS names and IP
 * addresses. request->name is the common name, NULL for "strongroomd"; the role does not count. */
MUST_CHECK status identity_issue_server(const struct identity_ca *ca, const struct secret *key_pem,
                                        const char *names, const struct identity_request *request,
                                        char *out_pem, size_t cap, struct err *e);

/* Verifies a peer's DER certificate against the CA certificate at now_us: signature, validity,
 * purpose clientAuth, exactly one strongroom URI of this vault. NO_IDENTITY, with one of the
 * literals "certificate has expired", "certificate is not valid yet", "certificate is not from this
 * vault", "certificate is not for clients", "certificate names nobody known here". Any number of
 * threads may verify with one verifier. */
struct identity_verifier;
MUST_CHECK status identity_verifier_new(struct span ca_pem, const struct id *vault,
                                        struct identity_verifier **ret_verifier, struct err *e);
void identity_verifier_free(struct identity_verifier *v);
MUST_CHECK status identity_verify(const struct identity_verifier *v, struct span der,
                                  uint64_t now_us, struct holder *ret_holder, struct err *e);

/* First certificate of a PEM text as DER into out; SHA-256 of it; end of validity. */
MUST_CHECK status identity_pem_to_der(struct span pem, struct out *out, struct err *e);
MUST_CHECK status identity_fingerprint(struct span pem, uint8_t out[static 32], struct err *e);
MUST_CHECK status identity_not_after(struct span pem, uint64_t *ret_time_us, struct err *e);

#endif
