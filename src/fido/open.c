/*
 * Which of several keys. Asking silently is better than asking for a touch, and a touch is better
 * than a PIN: the PIN is wanted only from a key that is the right one as far as can be told.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

struct opened {
    struct fido_device *device[FIDO_KEYS_MAX];
    char text[FIDO_KEYS_MAX][256]; /* for the user */
    size_t count;
};

static void opened_cleanup(struct opened *o)
{
    for (size_t i = 0; i < o->count; i++)
        fido_close(o->device[i]);
    o->count = 0;
}

/* Takes number i out of the others, which are closed. */
static struct fido_device *take(struct opened *o, size_t i)
{
    struct fido_device *d = o->device[i];

    o->device[i] = NULL;
    opened_cleanup(o);
    return d;
}

/* All keys plugged in that can be used; why the others cannot is said, and told if none can. */
static status open_all(const char *path, const struct fido_ui *ui, struct opened *o, struct err *e)
{
    struct fido_key keys[FIDO_KEYS_MAX];
    struct err why = { 0 }; /* of the first that failed */
    size_t found = 1;
    status st = OK;

    if (path == NULL)
        st = fido_list(keys, &found, e);
    if (st != OK)
        return st;
    if (found == 1) {
        st = fido_device_open(path != NULL ? path : keys[0].path, ui, true, &o->device[0], e);
        o->count = st == OK ? 1 : 0;
        return st;
    }
    for (size_t i = 0; i < found && !fido_cancelled(ui); i++) {
        char *text = o->text[o->count];
        struct err problem = { 0 };
        size_t n = (size_t)snprintf(text, sizeof o->text[0], "%s (%s)", keys[i].path, keys[i].name);

        st = fido_device_open(keys[i].path, ui, false, &o->device[o->count], &problem);
        if (st == OK) {
            o->count++;
            continue;
        }
        snprintf(text + n, sizeof o->text[0] - n, ": %s", problem.why);
        fido_say(ui, text);
        err_note(&why, st, problem.where, problem.why, problem.detail);
    }
    if (fido_cancelled(ui))
        return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
    if (o->count == 0)
        return err_note(e, why.code, why.where, why.why, why.detail);
    return OK;
}

/* Among those marked in fits, the only one or the one that is touched. */
static status choose(const struct opened *o, const bool fits[static FIDO_KEYS_MAX],
                     const struct fido_ui *ui, size_t *ret_index, struct err *e)
{
    struct fido_device *some[FIDO_KEYS_MAX];
    size_t at[FIDO_KEYS_MAX], count = 0, chosen = 0;
    status st = OK;

    for (size_t i = 0; i < o->count; i++) {
        if (!fits[i])
            continue;
        some[count] = o->device[i];
        at[count++] = i;
    }
    if (count > 1) {
        fido_say(ui, "Several keys are plugged in. Touch the one to use:");
        for (size_t i = 0; i < count; i++)
            fido_say(ui, o->text[at[i]]);
        st = fido_device_choose(some, count, ui, &chosen, e);
    }
    if (count == 1 && o->count > 1) {
        char text[sizeof o->text[0] + 8];

        snprintf(text, sizeof text, "Using %s", o->text[at[0]]);
        fido_say(ui, text);
    }
    *ret_index = at[chosen];
    return st;
}

status fido_open(const char *path, const struct fido_ui *ui, struct fido_device **ret_device,
                 struct err *e)
{
    __attribute__((cleanup(opened_cleanup))) struct opened o = { .count = 0 };
    bool all[FIDO_KEYS_MAX];
    size_t chosen = 0;
    status st = open_all(path, ui, &o, e);

    memset(all, true, sizeof all);
    if (st == OK)
        st = choose(&o, all, ui, &chosen, e);
    if (st == OK)
        *ret_device = take(&o, chosen);
    return st;
}

/* The answer of a key, and for which credential. One that does not answer one silent question will
 * not answer the others, and may take its time. */
static enum fido_answer ask(struct fido_device *d, const struct fido_credential *credentials,
                            size_t count, size_t *ret_index)
{
    enum fido_answer answer = FIDO_NO;

    *ret_index = 0;
    for (size_t i = 0; i < count && answer == FIDO_NO; i++) {
        answer = fido_has(d, &credentials[i]);
        *ret_index = i;
    }
    return answer;
}

status fido_open_with(const char *path, const struct fido_ui *ui,
                      const struct fido_credential *credentials, size_t count,
                      struct fido_device **ret_device, size_t *ret_index, struct err *e)
{
    __attribute__((cleanup(opened_cleanup))) struct opened o = { .count = 0 };
    enum fido_answer answers[FIDO_KEYS_MAX], best = FIDO_NO;
    size_t which[FIDO_KEYS_MAX], chosen = 0;
    bool fits[FIDO_KEYS_MAX];
    status st = open_all(path, ui, &o, e);

    if (st != OK)
        return st;
    for (size_t i = 0; i < o.count; i++) {
        answers[i] = ask(o.device[i], credentials, count, &which[i]);
        if (answers[i] > best)
            best = answers[i];
    }
    if (fido_cancelled(ui))
        return fido_fail(e, FIDO_ERR_KEEPALIVE_CANCEL);
    /* One key that says no may only hide what it has; several keys are most likely others. */
    if (best == FIDO_NO && o.count > 1)
        return fail(e, NOT_FOUND, "None of the keys plugged in belongs to this vault.", o.count);
    for (size_t i = 0; i < o.count; i++)
        fits[i] = answers[i] == best;
    st = choose(&o, fits, ui, &chosen, e);
    if (st == OK && best != FIDO_YES && count > 1)
        st = fido_find(o.device[chosen], credentials, count, &which[chosen], e);
    if (st != OK)
        return st;
    *ret_index = which[chosen];
    *ret_device = take(&o, chosen);
    return OK;
}
