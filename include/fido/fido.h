/*
 * FIDO2 by libfido2, the only home of that library. The device half runs in the CLI, on the
 * operator's machine; the daemon uses only fido_verify. Always user verification, ES256,
 * non-resident credentials, hmac-secret; an answer is believed only after its signature, flags,
 * credential id and secret length were checked. CTAP 2.1, WebAuthn level 2.
 */
#ifndef FIDO_FIDO_H
#define FIDO_FIDO_H

#include "base/bytes.h"
#include "base/limits.h"
#include "base/status.h"
#include "secret/secret.h"

#define FIDO_RP_ID         "strongroom"
#define FIDO_AUTH_DATA_MAX 512
#define FIDO_SIGNATURE_MAX 128

struct fido_credential {
    uint8_t id[LIMIT_CREDENTIAL_ID];
    size_t id_length;
    uint8_t cose_public[64]; /* x | y */
    uint8_t aaguid[16];
};

struct fido_assertion {
    uint8_t auth_data[FIDO_AUTH_DATA_MAX]; /* raw, without the CBOR wrapper */
    size_t auth_data_length;
    uint8_t signature[FIDO_SIGNATURE_MAX]; /* DER */
    size_t signature_length;
};

/* Reasons of DENIED that come with a number in err.detail: the tries left, or -1 if the key does
 * not tell. The PIN or finger was wrong; the same call may be made again and asks anew. */
#define FIDO_WRONG_PIN    "Wrong PIN."
#define FIDO_WRONG_FINGER "Finger not recognised."
/* That number, or -1 if e is about anything else. */
int fido_tries_left(const struct err *e);

struct fido_device;

/* What the user must do now; text is a literal without newline ("Touch your key"). */
typedef void (*fido_say_fn)(void *context, const char *text);
/* Asks for the PIN of the key, retries_left as the key reports them, -1 if it does not. The PIN is
 * UTF-8, 4 to 63 bytes, and belongs to the caller of this function afterwards. */
typedef status (*fido_pin_fn)(void *context, int retries_left, struct secret **ret_pin,
                              struct err *e);
struct fido_ui {
    fido_say_fn say;
    fido_pin_fn pin;
    void *context;
};

/* Opens the authenticator at path, or with NULL the only one plugged in. The reasons why a device
 * cannot be used are found out (absent, no permission, in use, no FIDO2, no hmac-secret, no PIN)
 * and said in e. NOT_FOUND, DENIED, CONFLICT, LIMIT (several: use --device), IO. */
MUST_CHECK status fido_open(const char *path, struct fido_device **ret_device, struct err *e);
void fido_close(struct fido_device *d);
void fido_device_cleanup(struct fido_device **d);
/* Cancels a waiting call, which ends in DENIED "Cancelled."; the device stays usable. Meant for the
 * handler of a signal: SIGINT, SIGTERM, SIGHUP and SIGQUIT are delivered to the calling thread only
 * where it waits for the key, all others after the call. Another thread may call it too, but not
 * together with fido_close. Does nothing to calls that begin later. */
void fido_cancel(struct fido_device *d);

/* Makes a credential (one touch). user: operator name. CONFLICT, DENIED (cancelled or refused too),
 * LIMIT (nobody touched in time), NOT_FOUND (unplugged), IO, each with a sentence for the user. An
 * enrolment counts only after a fido_assert with the credential: some keys sign nothing before. The
 * PIN is asked once a device and kept until fido_close, unless the key refuses it. */
MUST_CHECK status fido_enrol(struct fido_device *d, const struct fido_ui *ui, const char *user,
                             struct span client_data_hash32, struct fido_credential *ret_credential,
                             struct err *e);
/* One touch: assertion over client_data_hash32 and hmac-secret of salt and salt_next with user
 * verification: 64 bytes. NOT_FOUND if the credential is not on this key. */
MUST_CHECK status fido_assert(struct fido_device *d, const struct fido_ui *ui,
                              const struct fido_credential *credential,
                              struct span client_data_hash32, struct span salt32,
                              struct span salt_next32, struct fido_assertion *ret_assertion,
                              struct secret **ret_secrets, struct err *e);
/* Without touch: is this credential on this key? Believed only with a good signature. */
bool fido_has(struct fido_device *d, const struct fido_credential *credential);

/* Checks an assertion: relying party, user presence and verification flags, signature.
 * DENIED with a literal reason. Pure: no device. */
MUST_CHECK status fido_verify(const uint8_t cose_public[static 64], struct span client_data_hash32,
                              const struct fido_assertion *assertion, struct err *e);

#endif
