/* doctor: the hardware keys, without touch and without PIN. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "reply.h"
#include "slots.h"

#define FEW_TRIES 3

/* A key that cannot be used is a failure if it is the one that would be. */
struct looked_at {
    char text[224]; /* path and name */
    enum verdict bad;
};

static void found_trouble(struct examination *x, enum verdict v, const char *text,
                          const struct err *e)
{
    struct span what, todo;
    char advice[256];

    fido_explain(e, &what, &todo);
    snprintf(advice, sizeof(advice), "%.*s", (int)todo.n, (const char *)todo.p);
    found(x, v, todo.n > 0 ? advice : NULL, "%s%s%.*s", text, text[0] != '\0' ? ": " : "",
          (int)what.n, (const char *)what.p);
}

static void look_at_tries(struct examination *x, struct fido_device *d, const struct looked_at *key)
{
    int tries = fido_pin_tries(d);

    x->name = "hardware-key-pin";
    if (tries < 0)
        found(x, UNCHECKED, NULL, "%s: Not checked: the key does not count wrong PINs for us.",
              key->text);
    else if (tries == 0)
        found(
            x, key->bad,
            "Use another key or the recovery card. Only a reset frees it, and it erases the key's "
            "secrets.",
            "%s: The PIN of this key is blocked for good.", key->text);
    else if (tries <= FEW_TRIES)
        found(x, WARNED, "Be sure of the PIN: the right one, once, gives all of them back.",
              "%s: %d tries of the PIN are left.", key->text, tries);
    else
        found(x, FINE, NULL, "%s: %d tries of the PIN are left.", key->text, tries);
}

/* The slots, or false and x->why. */
static bool get_slots(struct examination *x, json_t **ret_reply, struct slot_keys *ret_keys)
{
    int code = EXIT_OTHER;

    snprintf(x->why, sizeof(x->why), "the vault was not reached");
    if ((x->facts & HAS_VAULT) == 0)
        return false;
    report_catch(x->why, sizeof(x->why));
    code = slots_get(x->c, ret_reply);
    if (code == EXIT_DONE)
        code = slots_keys(x->c, *ret_reply, ret_keys);
    report_catch(NULL, 0);
    return code == EXIT_DONE;
}

static void look_at_slot(struct examination *x, struct fido_device *d, const struct looked_at *key)
{
    AUTO(json_t) *reply = NULL;
    struct slot_keys keys = { .count = 0 };
    enum fido_answer answer = FIDO_NO;
    size_t i = 0;

    x->name = "hardware-key-slot";
    if (!get_slots(x, &reply, &keys)) {
        found_refusal(x, UNCHECKED, NULL);
        return;
    }
    /* One that does not answer one silent question does not answer the others. */
    for (; i < keys.count && answer == FIDO_NO; i++)
        answer = fido_has(d, &keys.credentials[i]);
    if (answer == FIDO_YES)
        found(x, FINE, NULL, "%s: It opens the slot of %.63s.", key->text,
              reply_text(keys.slots[i - 1], "label"));
    else if (answer == FIDO_UNKNOWN)
        found(x, UNCHECKED, NULL, "%s: Not checked: the key tells nothing without its PIN.",
              key->text);
    else
        found(
            x, key->bad,
            "Plug in the key that was enrolled, or enrol this one with 'strongroom operator add'.",
            "%s: It belongs to no slot of this vault.", key->text);
}

static void look_at_key(struct examination *x, const char *path, const struct looked_at *key)
{
    AUTO(fido_device) *d = NULL;
    const struct fido_ui silent = { .say = NULL };
    struct err e = { 0 };

    x->name = "hardware-key";
    if (fido_open(path, &silent, &d, &e) != OK) {
        found_trouble(x, key->bad, key->text, &e);
        return;
    }
    found(x, FINE, NULL, "%s: It can do what a vault needs.", key->text);
    look_at_tries(x, d, key);
    look_at_slot(x, d, key);
}

/* Only an operator, or whoever is not known yet, needs one. */
static void found_none(struct examination *x, const struct err *e)
{
    bool operator_ = (x->facts & HAS_CERTIFICATE) == 0 || x->holder.role == ROLE_OPERATOR;

    if (e->code == NOT_FOUND && !operator_)
        found(x, FINE, NULL, "No hardware key is plugged in, and this profile needs none.");
    else
        found_trouble(x, e->code == NOT_FOUND ? WARNED : FAILED, "", e);
}

void look_at_hardware_keys(struct examination *x)
{
    const struct repeated *named = &x->c->options.devices;
    struct fido_key keys[FIDO_KEYS_MAX];
    struct looked_at key;
    size_t count = 0;
    struct err e = { 0 };

    for (size_t i = 0; i < named->count; i++) {
        key.bad = FAILED;
        snprintf(key.text, sizeof(key.text), "%.200s", named->value[i]);
        look_at_key(x, named->value[i], &key);
    }
    if (named->count > 0)
        return;
    if (fido_list(keys, &count, &e) != OK) {
        found_none(x, &e);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        key.bad = count == 1 ? FAILED : WARNED;
        snprintf(key.text, sizeof(key.text), "%.60s (%.120s)", keys[i].path, keys[i].name);
        look_at_key(x, keys[i].path, &key);
    }
}
