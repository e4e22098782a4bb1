/* The reasons of this module that do not say what to do say it here. */
#include "internal.h"

#include <string.h>

#define OTHER_KEY "Use another key: a FIDO2 key with a PIN and hmac-secret."
#define LET_IN                                                                                  \
    "Log in at the machine itself, or let a udev rule give your user or group the hidraw node " \
    "(in a container: pass the node in)."
#define LOOK    "Look for the right path: /dev/hidraw and a number."
#define PLUG_IN "Plug it in; in a virtual machine or container, pass the device in."

static const struct remedy {
    const char *why;
    const char *todo;
    const char *what; /* if it is not the whole reason */
} remedies[] = {
    { FIDO_WHY_NONE, PLUG_IN, NULL },
    { FIDO_WHY_NOT_THERE, LOOK, NULL },
    { FIDO_WHY_NO_DEVICE, LOOK, NULL },
    { FIDO_WHY_NO_KEY, LOOK, NULL },
    { FIDO_WHY_FORBIDDEN, LET_IN, NULL },
    { FIDO_WHY_ALL_FORBIDDEN, LET_IN, NULL },
    { FIDO_WHY_IN_USE,
      "Close what uses it: a browser at a login page, ssh-agent, GnuPG's scdaemon.", NULL },
    { FIDO_WHY_OLD_PIN, "Change it with the key maker's tool or: fido2-token -C DEVICE",
      "The PIN must be changed first." },
    { FIDO_WHY_NO_SECRETS, OTHER_KEY, NULL },
    { FIDO_WHY_NO_ES256, OTHER_KEY, NULL },
    { FIDO_WHY_UNABLE, OTHER_KEY, NULL },
    { FIDO_WHY_NO_FIDO2, OTHER_KEY, NULL },
};

void fido_explain(const struct err *e, struct span *ret_what, struct span *ret_todo)
{
    const char *gap = strstr(e->why, ". ");
    size_t n = gap != NULL ? (size_t)(gap - e->why) + 1 : strlen(e->why);

    *ret_what = span_of((const uint8_t *)e->why, n);
    *ret_todo = span_text(gap != NULL ? gap + 2 : "");
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (strcmp(remedies[i].why, e->why) != 0)
            continue;
        *ret_todo = span_text(remedies[i].todo);
        if (remedies[i].what != NULL)
            *ret_what = span_text(remedies[i].what);
    }
}
