/*
 * User verification. A key has two secrets for each credential, one for a verified user and one for
 * anybody; only the first is ever used, so every request goes through here. A PIN is never sent
 * twice by itself: each wrong one brings the key nearer to its end.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static int run(struct fido_device *d, fido_request_fn request, void *object, const char *pin)
{
    int code;

    if (atomic_load(&d->cancelled))
        return FIDO_ERR_KEEPALIVE_CANCEL;
    code = fido_device_begin(d, TOUCH_MS);
    if (code != FIDO_OK)
        return code;
    return fido_device_end(d, request(d->dev, object, pin));
}

/* What the key says it has left, -1 if it does not tell. */
static int tries_left(struct fido_device *d, int (*count)(fido_dev_t *, int *))
{
    int tries = -1;

    if (fido_device_begin(d, OPEN_MS) != FIDO_OK)
        return -1;
    if (fido_device_end(d, count(d->dev, &tries)) != FIDO_OK)
        return -1;
    return tries;
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

static status ask_pin(struct fido_device *d, const struct fido_ui *ui, struct err *e)
{
    AUTO(secret) *pin = NULL;
    int tries = tries_left(d, fido_dev_get_retry_count);
    status st;

    if (atomic_load(&d->cancelled))
        return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
    if (tries == 0)
        return fido_fail(e, FIDO_ERR_PIN_BLOCKED);
    if (ui->pin == NULL)
        return fido_fail(e, FIDO_ERR_PIN_REQUIRED);
    st = ui->pin(ui->context, tries, &pin, e);
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

static void say(const struct fido_ui *ui, const char *text)
{
    if (ui->say != NULL)
        ui->say(ui->context, text);
}

status fido_user_run(struct fido_device *d, const struct fido_ui *ui, fido_request_fn request,
                     void *object, struct err *e)
{
    int code = FIDO_ERR_PIN_REQUIRED;
    status st;

    atomic_store(&d->cancelled, false);
    if (d->has_uv && d->pin == NULL) {
        say(ui, "Verify yourself on your key");
        code = run(d, request, object, NULL);
        if (code == FIDO_OK)
            return OK;
        if (code == FIDO_ERR_UV_INVALID && !d->has_pin)
            return fido_message_note(e, __func__, code, tries_left(d, fido_dev_get_uv_retry_count));
        if (!wants_pin(code) || !d->has_pin)
            return fido_fail(e, code);
    }
    if (d->pin == NULL) {
        st = ask_pin(d, ui, e);
        if (st != OK)
            return st;
    }
    say(ui, "Touch your key");
    code = run(d, request, object, (const char *)secret_view(d->pin).p);
    if (code == FIDO_OK)
        return OK;
    if (refuses_pin(code))
        forget_pin(d);
    if (code == FIDO_ERR_PIN_INVALID)
        return fido_message_note(e, __func__, code, tries_left(d, fido_dev_get_retry_count));
    return fido_fail(e, code);
}
