/* What the files of fido share. */
#ifndef FIDO_INTERNAL_H
#define FIDO_INTERNAL_H

#include "fido/fido.h"

#include <signal.h>

#include <fido.h>
#include <fido/es256.h>

#define PIN_MIN    4 /* bytes of UTF-8, by CTAP2 */
#define PIN_MAX    63
#define HASH_BYTES 32
#define SALT_BYTES 32
#define OPEN_MS    5000 /* a key answers at once as long as no touch is needed */
#define PROBE_MS   2000
#define TOUCH_MS   60000 /* keys give up earlier, after 15 to 30 s */

struct fido_device {
    char *path;
    fido_dev_t *dev;    /* NULL after a broken exchange, until the next call */
    struct secret *pin; /* asked once, with a NUL; forgotten when the key refuses it */
    struct fido_ui ui;
    bool has_pin;
    bool has_uv;
    bool protects;      /* lists credProtect */
    size_t list_max;    /* credentials in one request */
    size_t message_max; /* bytes of one request */
};

/* Reasons that fido_explain knows more about. */
#define FIDO_WHY_NONE      "No security key is plugged in."
#define FIDO_WHY_NOT_THERE "There is no security key at this path."
#define FIDO_WHY_NO_DEVICE "This path is not a device."
#define FIDO_WHY_NO_KEY    "This path is not a security key."
#define FIDO_WHY_NO_FIDO2  "No FIDO2 security key answers there."
#define FIDO_WHY_FORBIDDEN                                                                    \
    "You may not open this device: the key needs udev's uaccess tag, which a login over SSH " \
    "or a container does not get."
#define FIDO_WHY_ALL_FORBIDDEN                                                                 \
    "A key is plugged in but you may not open it: it needs udev's uaccess tag, which a login " \
    "over SSH or a container does not get."
#define FIDO_WHY_OLD_PIN \
    "The PIN must be changed first, with the key maker's tool or: fido2-token -C DEVICE"
#define FIDO_WHY_IN_USE     "Another program is using the key."
#define FIDO_WHY_NO_SECRETS "This key cannot store secrets (no hmac-secret)."
#define FIDO_WHY_NO_ES256   "The key has no ES256."
#define FIDO_WHY_UNABLE     "The key cannot do what a vault asks of it: it is too old, or U2F only."

/* Results of ours, beside those of the library. */
enum {
    CODE_REMOVED = -1001, /* the device node is gone */
    CODE_SILENT = -1002,  /* no answer, or a broken one */
    CODE_NO_KEY = -1003,  /* something answers, but not a FIDO2 key */
};

/* Fills *e with the status and the sentence for a result code. */
status fido_message_note(struct err *e, const char *where, int code, int64_t detail);
#define fido_fail(e, code) fido_message_note((e), __func__, (code), (code))

bool fido_cancelled(const struct fido_ui *ui);
void fido_say(const struct fido_ui *ui, const char *text);

/* One device, with ui copied. patient: waits until another program lets go of it. */
MUST_CHECK status fido_device_open(const char *path, const struct fido_ui *ui, bool patient,
                                   struct fido_device **ret_device, struct err *e);
/* Every talk with the key goes through here: opens it again if the last one broke, keeps all
 * signals out of the library except at its waits, asks a busy key again for a while, and turns the
 * library's result into one that can be told to the user. */
typedef int (*fido_request_fn)(fido_dev_t *dev, void *object, const char *pin);
int fido_device_ask(struct fido_device *d, int timeout_ms, fido_request_fn request, void *object,
                    const char *pin);
/* The parts of that, for a talk with several: all signals but faults are held back and the mask
 * before goes to *ret_mask; the handle is made ready, FIDO_OK or a result code; whatever the key
 * does is cancelled and the handle closed; a moment passes. */
void fido_device_hold(sigset_t *ret_mask);
int fido_device_ready(struct fido_device *d, int timeout_ms, const sigset_t *mask);
void fido_device_drop(struct fido_device *d);
void fido_device_rest(void);
/* Which of the open devices the user touches. LIMIT (nobody in time), DENIED, NOT_FOUND, IO. */
MUST_CHECK status fido_device_choose(struct fido_device *const *devices, size_t count,
                                     const struct fido_ui *ui, size_t *ret_index, struct err *e);

/* Runs a request that needs user verification: by the key itself if it can, else with the PIN.
 * touch: what the user is asked for in the end, or NULL. */
MUST_CHECK status fido_user_run(struct fido_device *d, fido_request_fn request, void *object,
                                const char *touch, struct err *e);
/* Which of the credentials is on this key, by a verified user but without touch. NOT_FOUND. */
MUST_CHECK status fido_find(struct fido_device *d, const struct fido_credential *credentials,
                            size_t count, size_t *ret_index, struct err *e);

/* Is the device node something that may be opened as a key? One that another program uses is waited
 * for: a second, and with ui five more in which the user knows. NOT_FOUND, DENIED, CONFLICT, IO. */
MUST_CHECK status fido_path_check(const char *path, const struct fido_ui *ui, struct err *e);
/* fido_list; sysfs_root is "/sys", but for tests. */
MUST_CHECK status fido_path_list(const char *sysfs_root,
                                 struct fido_key ret_keys[static FIDO_KEYS_MAX], size_t *ret_count,
                                 struct err *e);
/* Is a FIDO key plugged in, openable or not? */
bool fido_path_plugged(const char *sysfs_root);

/* The raw bytes inside a CBOR byte string that fills wrapped exactly; {NULL, 0} otherwise. */
struct span fido_unwrap(struct span wrapped);

/* What an assertion must show. */
struct fido_expect {
    uint8_t flags;  /* all of these */
    int extensions; /* 0 or FIDO_EXT_HMAC_SECRET, and no others */
};
MUST_CHECK status fido_verify_as(const uint8_t cose_public[static 64],
                                 struct span client_data_hash32,
                                 const struct fido_assertion *assertion, struct fido_expect expect,
                                 struct err *e);
/* Is this the hash of our relying party id? */
bool fido_rp_hash_ours(const uint8_t hash[static 32]);

static inline void fido_cred_object_cleanup(fido_cred_t **cred)
{
    fido_cred_free(cred);
}

static inline void fido_assert_object_cleanup(fido_assert_t **assertion)
{
    fido_assert_free(assertion);
}

static inline void fido_key_object_cleanup(es256_pk_t **key)
{
    es256_pk_free(key);
}

#define AUTO_CRED   __attribute__((cleanup(fido_cred_object_cleanup))) fido_cred_t
#define AUTO_ASSERT __attribute__((cleanup(fido_assert_object_cleanup))) fido_assert_t
#define AUTO_ES256  __attribute__((cleanup(fido_key_object_cleanup))) es256_pk_t

#endif
