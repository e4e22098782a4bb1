/* The vault's slots as a command needs them: which hardware keys, which cards. */
#ifndef CLI_SLOTS_H
#define CLI_SLOTS_H

#include <jansson.h>

#include "touch.h"

/* {"slots": [...]}, checked to be a list. */
int slots_get(struct cli *c, json_t **ret_reply);

/* The credentials of hardware keys, and the slot of each. */
struct slot_keys {
    struct fido_credential credentials[LIMIT_SLOTS];
    const json_t *slots[LIMIT_SLOTS]; /* borrowed from the reply */
    size_t count;
};
/* Those that hold a share; only --slot's if it was given. */
int slots_keys(const struct cli *c, const json_t *reply, struct slot_keys *ret_keys);
/* The recovery card that --slot names, or the only one. */
int slots_card(const struct cli *c, const json_t *reply, const json_t **ret_slot);

/* Opens the hardware key of one of the slots (touch_find). */
int slots_find_key(struct cli *c, struct touch *t, const json_t *reply, const json_t **ret_slot,
                   struct fido_credential *ret_credential);
/* Asks for the code of a recovery card until its check characters fit. */
int slots_ask_card(const struct cli *c, struct secret **ret_code);

#endif
