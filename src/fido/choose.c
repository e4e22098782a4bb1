/*
 * Which of several keys the user means: all blink, and the first one touched is it. They are asked
 * to do nothing else, as a touch of a second key would give an answer that nobody reads.
 */
#include "internal.h"

#include "base/clock.h"

#include <pthread.h>
#include <unistd.h>

#define CHOICE_US 30000000u
#define LOOK_MS   200 /* for one round over all devices */

/* One look at a device. One that fails is out: its handle is closed. */
static int look(struct fido_device *d, int wait_ms, bool *touched)
{
    uint64_t until_us = clock_monotonic_us() + (uint64_t)wait_ms * 1000;
    int yes = 0;
    int code = fido_dev_get_touch_status(d->dev, &yes, wait_ms);

    *touched = code == FIDO_OK && yes != 0;
    if (code == FIDO_OK && access(d->path, F_OK) != 0)
        code = CODE_REMOVED;
    if (code != FIDO_OK)
        fido_device_drop(d);
    /* The library hides that a device broke; without a pause this would spin. */
    else if (!*touched && clock_monotonic_us() < until_us)
        fido_device_rest();
    return code;
}

/* FIDO_OK and the index, or why nobody was chosen: the last device's reason if all failed. */
static int await_choice(struct fido_device *const *devices, size_t count, const struct fido_ui *ui,
                        size_t *ret_index)
{
    uint64_t until_us = clock_monotonic_us() + CHOICE_US;
    int code = CODE_SILENT;
    bool touched = false;
    size_t left;

    do {
        left = 0;
        for (size_t i = 0; i < count; i++) {
            if (fido_cancelled(ui))
                return FIDO_ERR_KEEPALIVE_CANCEL;
            if (devices[i]->dev == NULL)
                continue;
            code = look(devices[i], LOOK_MS / (int)count, &touched);
            *ret_index = i;
            if (touched)
                return FIDO_OK;
            left += code == FIDO_OK;
        }
    } while (left > 0 && clock_monotonic_us() < until_us);
    return left > 0 ? FIDO_ERR_ACTION_TIMEOUT : code;
}

status fido_device_choose(struct fido_device *const *devices, size_t count,
                          const struct fido_ui *ui, size_t *ret_index, struct err *e)
{
    sigset_t mask;
    int code;

    fido_device_hold(&mask);
    for (size_t i = 0; i < count; i++)
        if (fido_device_ready(devices[i], OPEN_MS, &mask) == FIDO_OK &&
            fido_dev_get_touch_begin(devices[i]->dev) != FIDO_OK)
            fido_device_drop(devices[i]);
    code = await_choice(devices, count, ui, ret_index);
    /* The others blink; and what any of them still answers must not be read later. */
    for (size_t i = 0; i < count; i++)
        fido_device_drop(devices[i]);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return code == FIDO_OK ? OK : fido_fail(e, code);
}
