/*
 * User verification. A key has two secrets for each credential, one for a verified user and one for
 * anybody; only the first is ever used, so every request goes through here. A PIN is never sent
 * twice by itself: each wrong one brings the key nearer to its end.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static int count_pin(fido_dev_t *dev, void *object, const char *pin)
{
    (void)pin;
    return fido_dev_get_retry_count(dev, object);
}

static int count_finger(fido_dev_t *dev, void *object, const char *pin)
{
    (void)pin;
    return fido_dev_get_uv_retry_count(dev, object);
}

/* What the key says it has left, -1 if it does not tell. */
static int tries_left(struct fido_device *d, fido_request_fn count)
{
    int tries = -1;

    return fido_device_ask(d, OPEN_MS, count, &tries, NULL) == FIDO_OK ? tries : -1;
}

int fido_pin_tries(struct fido_device *d)
{
    return d->has_pin ? tries_left(d, count_pin) : -1;
}

static void forget_pin(struct fido_device *d)
{
    secret_free(d->pin);
    d->pin = NULL;
}

static status keep_pin(struct fido_device *d, const struct secret *pin, struct err *e)
{
    struct span text = secret_view(pin);
    status st;

    if (text.n < PIN_MIN || text.n > PIN_MAX || memchr(text.p, 0, text.n) != NULL)
        return fail(e, BAD_INPUT, "A PIN has 4 to 63 bytes.", 0);
    st = secret_new(text.n + 1, &d->pin, e); /* with a NUL for the library */
    if (st != OK)
        return st;
    memcpy(secret_fill(d->pin).p, text.p, text.n);
    return OK;
}

static status ask_pin(struct fido_device *d, struct err *e)
{
    AUTO(secret) *pin = NULL;
    int tries = tries_left(d, count_pin);
    status st;

    if (fido_cancelled(&d->ui))
        return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
    if (tries == 0)
        return fido_fail(e, FIDO_ERR_PIN_BLOCKED);
    if (d->ui.pin == NULL)
        return fido_fail(e, FIDO_ERR_PIN_REQUIRED);
    st = d->ui.pin(d->ui.context, tries, &pin, e);
    if (st != OK)
        return st;
    if (pin == NULL)
        return fido_fail(e, FIDO_ERR_PIN_REQUIRED);
    return keep_pin(d, pin, e);
}

static bool wants_pin(int code)
{
    return code == FIDO_ERR_UV_INVALID || code == FIDO_ERR_UV_BLOCKED ||
           code == FIDO_ERR_PIN_REQUIRED;
}

static bool refuses_pin(int code)
{
    return code == FIDO_ERR_PIN_INVALID || code == FIDO_ERR_PIN_AUTH_INVALID ||
           code == FIDO_ERR_PIN_AUTH_BLOCKED || code == FIDO_ERR_PIN_BLOCKED ||
           code == FIDO_ERR_PIN_POLICY_VIOLATION;
}

/* FIDO_ERR_PIN_REQUIRED if the PIN must follow. */
static int try_finger(struct fido_device *d, fido_request_fn request, void *object)
{
    int code;

    fido_say(&d->ui, "Verify yourself on your key");
    code = fido_device_ask(d, TOUCH_MS, request, object, NULL);
    if (!d->has_pin || !wants_pin(code))
        return code;
    if (code == FIDO_ERR_UV_INVALID)
        fido_say(&d->ui, FIDO_WRONG_FINGER);
    if (code == FIDO_ERR_UV_BLOCKED)
        fido_say(&d->ui, "Too many bad fingers: enter the PIN.");
    return FIDO_ERR_PIN_REQUIRED;
}

status fido_user_run(struct fido_device *d, fido_request_fn request, void *object,
                     const char *touch, struct err *e)
{
    int code = FIDO_ERR_PIN_REQUIRED;
    status st;

    if (d->has_uv && d->pin == NULL)
        code = try_finger(d, request, object);
    if (code == FIDO_ERR_UV_INVALID)
        return fido_message_note(e, __func__, code, tries_left(d, count_finger));
    if (code != FIDO_ERR_PIN_REQUIRED)
        return code == FIDO_OK ? OK : fido_fail(e, code);
    if (d->pin == NULL) {
        st = ask_pin(d, e);
        if (st != OK)
            return st;
    }
    if (touch != NULL)
        fido_say(&d->ui, touch);
    code = fido_device_ask(d, TOUCH_MS, request, object, (const char *)secret_view(d->pin).p);
    if (code == FIDO_OK)
        return OK;
    if (refuses_pin(code))
        forget_pin(d);
    if (code == FIDO_ERR_PIN_INVALID)
        return fido_message_note(e, __func__, code, tries_left(d, count_pin));
    return fido_fail(e, code);
}
