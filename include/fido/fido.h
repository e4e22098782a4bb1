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
/* DENIED without a verdict on the PIN: the same call may be made once more and asks anew. */
#define FIDO_REFUSED_PROOF "The key refused the PIN proof; try once more."
/* CONFLICT for a person who takes the wrong key. */
#define FIDO_ENROLLED "This key is already enrolled."

/* The reason of an error of this module as a sentence of what is wrong and one or two of what to
 * do, empty if there is nothing to be done. */
void fido_explain(const struct err *e, struct span *ret_what, struct span *ret_todo);

struct fido_device;

/* What the user must do or know now: one line without newline, gone after the call. It may hold
 * text that a device gave itself as a name. */
typedef void (*fido_say_fn)(void *context, const char *text);
/* Asks for the PIN of the key, retries_left as the key reports them, -1 if it does not. The PIN is
 * UTF-8, 4 to 63 bytes, and belongs to the caller of this function afterwards. */
typedef status (*fido_pin_fn)(void *context, int retries_left, struct secret **ret_pin,
                              struct err *e);
/* Has the user given up? Asked before and after each wait for a key; true ends the call in DENIED
 * "Cancelled.", and the device stays usable. The handler of a signal makes it true: SIGINT,
 * SIGTERM, SIGHUP and SIGQUIT are delivered only where this module waits, all others after the
 * call. Without SA_RESTART. */
typedef bool (*fido_cancelled_fn)(void *context);
/* Each may be NULL: nothing is said, no PIN is given, nobody gives up. */
struct fido_ui {
    fido_say_fn say;
    fido_pin_fn pin;
    fido_cancelled_fn cancelled;
    void *context;
};

/* Keys that are plugged in. */
#define FIDO_KEYS_MAX 16
struct fido_key {
    char path[64];
    char name[128]; /* of maker and product, as the device tells them */
};
/* NOT_FOUND if there is none, DENIED if there is one that may not be opened. */
MUST_CHECK status fido_list(struct fido_key ret_keys[static FIDO_KEYS_MAX], size_t *ret_count,
                            struct err *e);

/* Opens the authenticator at path, or with NULL the only one plugged in, or among several the one
 * that is touched. The reasons why a device cannot be used are found out (absent, no permission, in
 * use, no FIDO2, no hmac-secret, no PIN) and said in e. A key that another program uses is waited
 * for, 6 s at most, and the user is told. ui is copied. NOT_FOUND, DENIED, CONFLICT, LIMIT (nobody
 * touched), IO. */
MUST_CHECK status fido_open(const char *path, const struct fido_ui *ui,
                            struct fido_device **ret_device, struct err *e);
/* The same for the key that has one of the credentials (count > 0): all keys are asked silently,
 * and if several fit, the one that is touched is taken. A key that does not answer silently is
 * believed to have the only credential, or asked again with its PIN. NOT_FOUND if none fits. */
MUST_CHECK status fido_open_with(const char *path, const struct fido_ui *ui,
                                 const struct fido_credential *credentials, size_t count,
                                 struct fido_device **ret_device, size_t *ret_index, struct err *e);
void fido_close(struct fido_device *d);
void fido_device_cleanup(struct fido_device **d);

/* Makes a credential (one touch). user: operator name. exclude: credentials of the same vault, of
 * which this key may have none; those beyond what the key takes in one request count only if it
 * answers silently. CONFLICT (enrolled already, or in use), DENIED (cancelled or refused too),
 * LIMIT (nobody touched in time), NOT_FOUND (unplugged), IO, each with a sentence for the user. An
 * enrolment counts only after a fido_assert with the credential: some keys sign nothing before. The
 * PIN is asked once a device and kept until fido_close, unless the key refuses it. */
MUST_CHECK status fido_enrol(struct fido_device *d, const char *user,
                             struct span client_data_hash32, const struct fido_credential *exclude,
                             size_t exclude_count, struct fido_credential *ret_credential,
                             struct err *e);
/* One touch: assertion over client_data_hash32 and hmac-secret of salt and salt_next with user
 * verification: 64 bytes. NOT_FOUND if the credential is not on this key. */
MUST_CHECK status fido_assert(struct fido_device *d, const struct fido_credential *credential,
                              struct span client_data_hash32, struct span salt32,
                              struct span salt_next32, struct fido_assertion *ret_assertion,
                              struct secret **ret_secrets, struct err *e);
/* Without touch: is this credential on this key? A yes is believed only with a good signature, and
 * is unknown otherwise. A no may be wrong where a key hides its credentials until the PIN is given
 * (credProtect level 3, which we do not ask for). */
enum fido_answer { FIDO_NO, FIDO_UNKNOWN, FIDO_YES };
enum fido_answer fido_has(struct fido_device *d, const struct fido_credential *credential);

/* Tries of the PIN that are left, -1 if it has no PIN or does not tell. Neither touch nor PIN. */
int fido_pin_tries(struct fido_device *d);

/* Checks an assertion: relying party, user presence and verification flags, signature.
 * DENIED with a literal reason. Pure: no device. */
MUST_CHECK status fido_verify(const uint8_t cose_public[static 64], struct span client_data_hash32,
                              const struct fido_assertion *assertion, struct err *e);

#endif
