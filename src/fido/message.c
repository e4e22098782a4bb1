/*
 * Result codes of authenticators, and what they mean for the person in front of one.
 */
#include "internal.h"

#include <string.h>

struct message {
    int code;
    status st;
    const char *why;
};

#define FOREIGN   "This key does not belong to this vault (or was reset)."
#define UNTOUCHED "Nobody touched the key in time."
#define TOO_LONG  "The key finds the question too long."
#define UNPROVED  "The answer does not come from the enrolled key or lacks verification."

static const struct message messages[] = {
    { FIDO_ERR_PIN_INVALID, DENIED, FIDO_WRONG_PIN },
    { FIDO_ERR_PIN_AUTH_INVALID, DENIED, FIDO_REFUSED_PROOF },
    { FIDO_ERR_PIN_AUTH_BLOCKED, DENIED,
      "Three wrong PINs. Unplug the key, plug it in again, then try." },
    { FIDO_ERR_PIN_BLOCKED, DENIED,
      "The PIN of this key is blocked for good. Use another key or the recovery code. A reset "
      "would erase the key's secrets." },
    { FIDO_ERR_PIN_NOT_SET, CONFLICT,
      "This key has no PIN. Set one first, with its maker's tool or: fido2-token -S DEVICE" },
    { FIDO_ERR_PIN_REQUIRED, DENIED, "This key wants its PIN." },
    { FIDO_ERR_PIN_POLICY_VIOLATION, CONFLICT, FIDO_WHY_OLD_PIN },
    { FIDO_ERR_UV_INVALID, DENIED, FIDO_WRONG_FINGER },
    { FIDO_ERR_UV_BLOCKED, DENIED, "Too many bad fingers: enter the PIN." },
    { FIDO_ERR_NO_CREDENTIALS, NOT_FOUND, FOREIGN },
    { FIDO_ERR_INVALID_CREDENTIAL, NOT_FOUND, FOREIGN },
    { FIDO_ERR_CREDENTIAL_EXCLUDED, CONFLICT, FIDO_ENROLLED },
    { FIDO_ERR_ACTION_TIMEOUT, LIMIT, UNTOUCHED },
    { FIDO_ERR_USER_ACTION_TIMEOUT, LIMIT, UNTOUCHED },
    { FIDO_ERR_TIMEOUT, LIMIT, UNTOUCHED },
    { FIDO_ERR_OPERATION_DENIED, DENIED, "Refused on the key." },
    { FIDO_ERR_KEEPALIVE_CANCEL, DENIED, "Cancelled." },
    { FIDO_ERR_UNSUPPORTED_EXTENSION, DENIED, FIDO_WHY_NO_SECRETS },
    { FIDO_ERR_UNSUPPORTED_ALGORITHM, DENIED, FIDO_WHY_NO_ES256 },
    { FIDO_ERR_UP_REQUIRED, DENIED, "The key answers this only when it is touched." },
    { FIDO_ERR_UNSUPPORTED_OPTION, DENIED, FIDO_WHY_UNABLE },
    { FIDO_ERR_INVALID_OPTION, DENIED, FIDO_WHY_UNABLE },
    { FIDO_ERR_LIMIT_EXCEEDED, LIMIT, TOO_LONG },
    { FIDO_ERR_REQUEST_TOO_LARGE, LIMIT, TOO_LONG },
    { FIDO_ERR_INVALID_LENGTH, LIMIT, TOO_LONG },
    { FIDO_ERR_KEY_STORE_FULL, LIMIT, "No room for more credentials on this key." },
    { FIDO_ERR_CHANNEL_BUSY, CONFLICT, FIDO_WHY_IN_USE },
    { FIDO_ERR_NOT_ALLOWED, CONFLICT, FIDO_WHY_IN_USE },
    { FIDO_ERR_OPERATION_PENDING, CONFLICT, FIDO_WHY_IN_USE },
    { FIDO_ERR_INVALID_PARAM, DENIED, UNPROVED },
    { FIDO_ERR_INVALID_SIG, DENIED, UNPROVED },
    { CODE_REMOVED, NOT_FOUND, "The key was unplugged." },
    { CODE_SILENT, IO, "The key does not answer. Unplug it, plug it in again, then try." },
    { CODE_NO_KEY, IO, FIDO_WHY_NO_FIDO2 },
};

status fido_message_note(struct err *e, const char *where, int code, int64_t detail)
{
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (messages[i].code == code)
            return err_note(e, messages[i].st, where, messages[i].why, detail);
    return err_note(e, BUG, where, "The key gave an answer that makes no sense.", detail);
}

bool fido_cancelled(const struct fido_ui *ui)
{
    return ui->cancelled != NULL && ui->cancelled(ui->context);
}

void fido_say(const struct fido_ui *ui, const char *text)
{
    if (ui->say != NULL)
        ui->say(ui->context, text);
}

int fido_tries_left(const struct err *e)
{
    if (e->code != DENIED || e->why == NULL || e->detail < 0 || e->detail > 255)
        return -1;
    if (strcmp(e->why, FIDO_WRONG_PIN) != 0 && strcmp(e->why, FIDO_WRONG_FINGER) != 0)
        return -1;
    return (int)e->detail;
}
