/* What the files of identity share: GnuTLS objects that free themselves, and few small steps. */
#ifndef IDENTITY_INTERNAL_H
#define IDENTITY_INTERNAL_H

#include "identity/identity.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdlib.h>

static inline void gnutls_x509_crt_int_cleanup(gnutls_x509_crt_t *crt)
{
    gnutls_x509_crt_deinit(*crt);
}

static inline void gnutls_x509_crq_int_cleanup(gnutls_x509_crq_t *crq)
{
    gnutls_x509_crq_deinit(*crq);
}

static inline void gnutls_x509_privkey_int_cleanup(gnutls_x509_privkey_t *key)
{
    gnutls_x509_privkey_deinit(*key);
}

static inline void gnutls_privkey_st_cleanup(gnutls_privkey_t *key)
{
    gnutls_privkey_deinit(*key);
}

static inline void gnutls_pubkey_st_cleanup(gnutls_pubkey_t *key)
{
    gnutls_pubkey_deinit(*key);
}

/* Bytes GnuTLS allocated: wiped, since some are keys, then given back. */
struct datum {
    gnutls_datum_t d;
};

static inline void datum_cleanup(struct datum *datum)
{
    if (datum->d.data != NULL)
        gnutls_memset(datum->d.data, 0, datum->d.size);
    gnutls_free(datum->d.data);
}

struct identity_ca {
    gnutls_x509_crt_t certificate;
    gnutls_privkey_t key;
};

/* Room for a subject or authority key identifier. */
#define KEY_ID_LENGTH 32
#define URI_SCHEME    "strongroom://"
/* Scheme, vault, role, name, two slashes, NUL. */
#define URI_MAX (sizeof URI_SCHEME + ID_HEX_LENGTH + 16 + NAME_MAX_LENGTH + 2)

/* A failed GnuTLS call: out of memory is told apart, everything else is otherwise. */
static inline status identity_code(int rc, status otherwise)
{
    return rc == GNUTLS_E_MEMORY_ERROR ? NO_MEMORY : otherwise;
}

/* Borrowed; GnuTLS takes no const but does not write. BAD_INPUT-sized spans do not fit: check
 * lengths before. */
gnutls_datum_t identity_datum(struct span s);
/* from with a NUL into out; LIMIT if it does not fit. */
MUST_CHECK status identity_text_out(const gnutls_datum_t *from, char *out, size_t cap,
                                    struct err *e);
/* The first certificate of a PEM text. */
MUST_CHECK status identity_pem_import(struct span pem, gnutls_x509_crt_t *ret_certificate,
                                      struct err *e);
/* A P-256 private key from PEM; BAD_INPUT for anything else. */
MUST_CHECK status identity_key_import(const struct secret *key_pem, gnutls_x509_privkey_t *ret_key,
                                      struct err *e);
/* BAD_INPUT unless the key is on P-256. */
MUST_CHECK status identity_key_curve(gnutls_pubkey_t key, struct err *e);

/* A new certificate for key with what all of ours have: version, random serial, subject, validity
 * from five minutes before now_us, key identifier, keyUsage. */
struct identity_shape {
    gnutls_pubkey_t key;
    const char *common_name;
    const char *unit; /* organizational unit, or NULL */
    unsigned int usage;
    uint64_t now_us;
    uint64_t not_after_s;
};
MUST_CHECK status identity_shape_new(const struct identity_shape *shape,
                                     gnutls_x509_crt_t *ret_certificate, struct err *e);
/* Signs certificate by issuer (itself for a new CA) and writes it as PEM. */
MUST_CHECK status identity_sign(gnutls_x509_crt_t certificate, gnutls_x509_crt_t issuer,
                                gnutls_privkey_t key, char *out_pem, size_t cap, struct err *e);

/* Everything the verifier checks after the signature. */
MUST_CHECK status identity_holder_of(gnutls_x509_crt_t certificate, const struct id *vault,
                                     uint64_t now_us, struct holder *ret_holder, struct err *e);
/* strongroom://<vault hex>/<role>/<name>, and back: false for any other text, another vault, a role
 * that no certificate has or a malformed name. */
void identity_uri_format(const struct id *vault, enum role role, const char *name,
                         char out[static URI_MAX]);
bool identity_uri_parse(struct span uri, const struct id *vault, struct holder *ret_holder);

#endif
