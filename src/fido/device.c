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

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Holds back all signals but faults; the mask before goes to *ret_mask. */
static void hold_signals(sigset_t *ret_mask)
{
    sigset_t all;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, ret_mask);
}

/* What is let in while the library waits: what stops the program, unless the caller blocked it. */
static void let_in_stopping(fido_dev_t *dev, const sigset_t *mask)
{
    sigset_t waiting;

    sigfillset(&waiting);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        if (sigismember(mask, stopping[i]) == 0)
            sigdelset(&waiting, stopping[i]);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&waiting, faults[i]);
    fido_dev_set_sigmask(dev, &waiting);
}

/* FIDO_OK or CODE_NO_KEY. */
static int connect_library(struct fido_device *d)
{
    bool ours;

    fido_init(FIDO_DISABLE_U2F_FALLBACK);
    d->dev = fido_dev_new();
    if (d->dev == NULL)
        return CODE_NO_KEY;
    /* Before the open: a device that is no key would be waited for without end. */
    fido_dev_set_timeout(d->dev, OPEN_MS);
    ours = fido_dev_open(d->dev, d->path) == FIDO_OK && fido_dev_is_fido2(d->dev);
    if (!ours)
        disconnect(d);
    return ours ? FIDO_OK : CODE_NO_KEY;
}

/* Why a key that was there cannot be opened again. */
static int reconnect(struct fido_device *d)
{
    switch (fido_path_check(d->path, NULL)) {
    case OK: return connect_library(d) == FIDO_OK ? FIDO_OK : CODE_SILENT;
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

static status open_path(struct fido_device *d, struct err *e)
{
    status st = fido_path_check(d->path, e);
    sigset_t mask;
    int code;

    if (st != OK)
        return st;
    hold_signals(&mask);
    code = connect_library(d);
    if (code == FIDO_OK) {
        let_in_stopping(d->dev, &mask);
        code = examine(d);
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (code == FIDO_OK)
        return OK;
    if (code == CODE_NO_KEY) {
        /* Whoever took the key in between is the reason, not the key. */
        st = fido_path_check(d->path, e);
        if (st != OK)
            return st;
    }
    return fido_fail(e, code);
}

status fido_open(const char *path, struct fido_device **ret_device, struct err *e)
{
    AUTO(fido_device) *d = calloc(1, sizeof *d);
    status st;

    /* The library logs its traffic if this is set, whoever sets it. */
    unsetenv("FIDO_DEBUG");
    if (d == NULL)
        return fail(e, NO_MEMORY, "no memory for a device", 0);
    if (path == NULL) {
        fido_init(FIDO_DISABLE_U2F_FALLBACK);
        st = fido_path_only("/sys", &d->path, e);
        if (st != OK)
            return st;
    } else {
        d->path = strdup(path);
        if (d->path == NULL)
            return fail(e, NO_MEMORY, "no memory for a path", 0);
    }
    st = open_path(d, e);
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
    hold_signals(&mask);
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

void fido_cancel(struct fido_device *d)
{
    int saved = errno;

    atomic_store(&d->cancelled, true);
    /* The library's cancel is one write of a prepared report: fine in a signal handler. */
    if (atomic_load(&d->waiting))
        fido_dev_cancel(d->dev);
    errno = saved;
}

int fido_device_begin(struct fido_device *d, int timeout_ms)
{
    int code = FIDO_OK;

    hold_signals(&d->mask);
    if (d->dev == NULL)
        code = reconnect(d);
    if (code != FIDO_OK) {
        pthread_sigmask(SIG_SETMASK, &d->mask, NULL);
        return code;
    }
    fido_dev_set_timeout(d->dev, timeout_ms);
    let_in_stopping(d->dev, &d->mask);
    d->timeout_ms = timeout_ms;
    d->began_us = clock_monotonic_us();
    atomic_store(&d->waiting, true);
    return FIDO_OK;
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

int fido_device_end(struct fido_device *d, int code)
{
    uint64_t waited_us = clock_monotonic_us() - d->began_us;

    atomic_store(&d->waiting, false);
    if (broken(code)) {
        /* Else the key would go on blinking and refuse the next program. */
        fido_dev_cancel(d->dev);
        disconnect(d);
        if (atomic_load(&d->cancelled))
            code = FIDO_ERR_KEEPALIVE_CANCEL;
        else if (access(d->path, F_OK) != 0)
            code = CODE_REMOVED;
        else if (waited_us / 1000 >= (uint64_t)d->timeout_ms)
            code = FIDO_ERR_ACTION_TIMEOUT;
        else if (code != FIDO_ERR_KEEPALIVE_CANCEL)
            code = CODE_SILENT;
    }
    pthread_sigmask(SIG_SETMASK, &d->mask, NULL);
    return code;
}
