/*
 * One authenticator, from open to close.
 *
 * 1. A handle on which anything went wrong is closed, never used again: late answers of the key
 *    would be taken for answers to the next question.
 * 2. Signals are held back while the library works and let in only where it waits for the key, so a
 *    cancel message never lands between two frames of another one, and no stray signal ends a wait.
 * 3. The library keeps its settings a thread, and whether a U2F key may pass as one of ours is one
 *    of them: it is set at each open.
 */
#include "internal.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_US 2000000u /* how long a busy key is asked again */

/* Signals by which people and service managers stop a program. */
static const int stopping[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
/* Raised by the program's own faults: holding these back helps nobody. */
static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

static void disconnect(struct fido_device *d)
{
    if (d->dev == NULL)
        return;
    fido_dev_close(d->dev);
    fido_dev_free(&d->dev);
}

void fido_device_hold(sigset_t *ret_mask)
{
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, ret_mask);
}

/* What is held back while the library waits: all but what stops the program, unless the caller
 * blocked that too. */
static void all_but_stopping(const sigset_t *mask, sigset_t *ret_waiting)
{
    sigfillset(ret_waiting);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        if (sigismember(mask, stopping[i]) == 0)
            sigdelset(ret_waiting, stopping[i]);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(ret_waiting, faults[i]);
}

static void let_in_stopping(fido_dev_t *dev, const sigset_t *mask)
{
    sigset_t waiting;

    all_but_stopping(mask, &waiting);
    fido_dev_set_sigmask(dev, &waiting);
}

/* FIDO_OK, CODE_NO_KEY (U2F only) or CODE_SILENT. The library may wait here for a lock, up to 21 s,
 * and for an answer, and knows no mask yet: signals that stop the program come at any time, and
 * spoil nothing but the open. */
static int connect_once(struct fido_device *d, const sigset_t *mask)
{
    int code = CODE_NO_KEY;
    sigset_t waiting;

    fido_init(FIDO_DISABLE_U2F_FALLBACK);
    d->dev = fido_dev_new();
    if (d->dev == NULL)
        return CODE_NO_KEY;
    /* Before the open: a device that is no key would be waited for without end. */
    fido_dev_set_timeout(d->dev, OPEN_MS);
    all_but_stopping(mask, &waiting);
    pthread_sigmask(SIG_SETMASK, &waiting, NULL);
    if (fido_dev_open(d->dev, d->path) != FIDO_OK)
        code = CODE_SILENT;
    else if (fido_dev_is_fido2(d->dev))
        code = FIDO_OK;
    fido_device_hold(NULL);
    if (code != FIDO_OK)
        disconnect(d);
    return code;
}

void fido_device_rest(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 100 * 1000 * 1000 }, NULL);
}

/* After a cancel some keys are busy for a moment, even for the first question of an open. */
static int connect_patiently(struct fido_device *d, const sigset_t *mask)
{
    uint64_t until_us = clock_monotonic_us() + BUSY_US;
    int code = connect_once(d, mask);

    while (code == CODE_SILENT && !fido_cancelled(&d->ui) && clock_monotonic_us() < until_us) {
        fido_device_rest();
        code = connect_once(d, mask);
    }
    return code;
}

/* Why a key that was there cannot be opened again. */
static int reconnect(struct fido_device *d, const sigset_t *mask)
{
    switch (fido_path_check(d->path, NULL, NULL)) {
    case OK:
        if (connect_patiently(d, mask) == FIDO_OK)
            return FIDO_OK;
        return fido_cancelled(&d->ui) ? FIDO_ERR_KEEPALIVE_CANCEL : CODE_SILENT;
    case NOT_FOUND: return CODE_REMOVED;
    case CONFLICT: return FIDO_ERR_CHANNEL_BUSY;
    default: return CODE_SILENT;
    }
}

static bool lists(char **extensions, size_t count, const char *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(extensions[i], wanted) == 0)
            return true;
    return false;
}

static bool lists_es256(const fido_cbor_info_t *info)
{
    size_t count = fido_cbor_info_algorithm_count(info);

    for (size_t i = 0; i < count; i++)
        if (fido_cbor_info_algorithm_cose(info, i) == COSE_ES256)
            return true;
    return count == 0; /* keys before CTAP 2.1 do not tell, and have it */
}

/* Can this key do what a vault needs? */
static int examine(struct fido_device *d)
{
    fido_cbor_info_t *info = fido_cbor_info_new();
    int code;

    if (info == NULL)
        return CODE_NO_KEY;
    code = fido_dev_get_cbor_info(d->dev, info) == FIDO_OK ? FIDO_OK : CODE_NO_KEY;
    if (code == FIDO_OK) {
        char **extensions = fido_cbor_info_extensions_ptr(info);
        size_t count = fido_cbor_info_extensions_len(info);

        d->has_pin = fido_dev_has_pin(d->dev);
        d->has_uv = fido_dev_has_uv(d->dev);
        d->protects = lists(extensions, count, "credProtect");
        /* A key that does not tell takes one for sure, and messages of 1024 bytes. */
        d->list_max = (size_t)fido_cbor_info_maxcredcntlst(info);
        if (d->list_max == 0)
            d->list_max = 1;
        d->message_max = (size_t)fido_cbor_info_maxmsgsiz(info);
        if (d->message_max == 0)
            d->message_max = 1024;
        if (!lists(extensions, count, "hmac-secret"))
            code = FIDO_ERR_UNSUPPORTED_EXTENSION;
        else if (!lists_es256(info))
            code = FIDO_ERR_UNSUPPORTED_ALGORITHM;
        else if (!d->has_pin && !d->has_uv)
            code = FIDO_ERR_PIN_NOT_SET;
        else if (fido_cbor_info_new_pin_required(info))
            code = FIDO_ERR_PIN_POLICY_VIOLATION;
    }
    fido_cbor_info_free(&info);
    return code;
}

static status open_path(struct fido_device *d, bool patient, struct err *e)
{
    const struct fido_ui *ui = patient ? &d->ui : NULL;
    status st = fido_path_check(d->path, ui, e);
    sigset_t mask;
    int code;

    if (st != OK)
        return st;
    fido_device_hold(&mask);
    code = connect_patiently(d, &mask);
    if (code == FIDO_OK) {
        let_in_stopping(d->dev, &mask);
        code = examine(d);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (code == FIDO_OK)
        return OK;
    if (fido_cancelled(&d->ui))
        return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
    if (code == CODE_SILENT) {
        /* Whoever took the key in between is the reason, not the key. */
        st = fido_path_check(d->path, ui, e);
        if (st != OK)
            return st;
        code = CODE_NO_KEY;
    }
    return fido_fail(e, code);
}

status fido_device_open(const char *path, const struct fido_ui *ui, bool patient,
                        struct fido_device **ret_device, struct err *e)
{
    AUTO(fido_device) *d = calloc(1, sizeof *d);
    status st;

    /* The library logs its traffic if this is set, whoever sets it. */
    unsetenv("FIDO_DEBUG");
    if (d == NULL)
        return fail(e, NO_MEMORY, "no memory for a device", 0);
    d->ui = *ui;
    d->path = strdup(path);
    if (d->path == NULL)
        return fail(e, NO_MEMORY, "no memory for a path", 0);
    st = open_path(d, patient, e);
    if (st != OK)
        return st;
    *ret_device = d;
    d = NULL;
    return OK;
}

void fido_close(struct fido_device *d)
{
    sigset_t mask;

    if (d == NULL)
        return;
    fido_device_hold(&mask);
    disconnect(d);
    secret_free(d->pin);
    free(d->path);
    free(d);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void fido_device_cleanup(struct fido_device **d)
{
    fido_close(*d);
}

/* Does this result leave the handle in doubt? */
static bool broken(int code)
{
    switch (code) {
    case FIDO_ERR_RX:
    case FIDO_ERR_TX:
    case FIDO_ERR_RX_NOT_CBOR:
    case FIDO_ERR_RX_INVALID_CBOR:
    case FIDO_ERR_KEEPALIVE_CANCEL:
    case FIDO_ERR_INTERNAL: return true;
    default: return false;
    }
}

int fido_device_ready(struct fido_device *d, int timeout_ms, const sigset_t *mask)
{
    int code = d->dev != NULL ? FIDO_OK : reconnect(d, mask);

    if (code != FIDO_OK)
        return code;
    fido_dev_set_timeout(d->dev, timeout_ms);
    let_in_stopping(d->dev, mask);
    return FIDO_OK;
}

void fido_device_drop(struct fido_device *d)
{
    /* Else the key would go on blinking and refuse the next program. */
    if (d->dev != NULL)
        fido_dev_cancel(d->dev);
    disconnect(d);
}

/* What a broken exchange means; closes the handle. */
static int conclude(struct fido_device *d, int code, int timeout_ms, uint64_t began_us)
{
    uint64_t waited_us = clock_monotonic_us() - began_us;

    fido_device_drop(d);
    if (fido_cancelled(&d->ui))
        return FIDO_ERR_KEEPALIVE_CANCEL;
    if (access(d->path, F_OK) != 0)
        return CODE_REMOVED;
    if (waited_us / 1000 >= (uint64_t)timeout_ms)
        return FIDO_ERR_ACTION_TIMEOUT;
    return code == FIDO_ERR_KEEPALIVE_CANCEL ? code : CODE_SILENT;
}

static int ask_once(struct fido_device *d, int timeout_ms, fido_request_fn request, void *object,
                    const char *pin)
{
    int code = FIDO_ERR_KEEPALIVE_CANCEL;
    uint64_t began_us;
    sigset_t mask;

    /* First the signals: one that comes after the question whether to go on ends the wait. */
    fido_device_hold(&mask);
    if (!fido_cancelled(&d->ui))
        code = fido_device_ready(d, timeout_ms, &mask);
    if (code == FIDO_OK) {
        began_us = clock_monotonic_us();
        code = request(d->dev, object, pin);
        if (broken(code))
            code = conclude(d, code, timeout_ms, began_us);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return code;
}

int fido_device_ask(struct fido_device *d, int timeout_ms, fido_request_fn request, void *object,
                    const char *pin)
{
    uint64_t until_us = clock_monotonic_us() + BUSY_US;
    int code = ask_once(d, timeout_ms, request, object, pin);

    while (code == FIDO_ERR_CHANNEL_BUSY && clock_monotonic_us() < until_us) {
        fido_device_rest();
        code = ask_once(d, timeout_ms, request, object, pin);
    }
    return code;
}
