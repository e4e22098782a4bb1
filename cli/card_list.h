/* Recovery cards as the vault hands them out: sealed to a one-time key, shown once. */
#ifndef CLI_CARD_LIST_H
#define CLI_CARD_LIST_H

#include <jansson.h>

#include "secret/secret.h"
#include "wire/message.h"

struct card_list {
    struct id slots[CARDS_MAX];
    struct secret *codes[CARDS_MAX]; /* as text */
    size_t count;
};

/* Opens the member "sealed_cards" of reply: (slot id | code)*, sealed to private_key. */
int card_list_open(struct card_list *list, const struct secret *private_key, const json_t *reply);
void card_list_print(const struct card_list *list, const char *vault);
/* [{"slot", "code"}], in memory that is wiped when it is freed. */
json_t *card_list_json(const struct card_list *list);
void card_list_clear(struct card_list *list);

#endif
