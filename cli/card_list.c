#include "card_list.h"

#include <string.h>

#include "card.h"
#include "cli.h"
#include "crypto/crypto.h"
#include "reply.h"

#define CARD_BYTES (sizeof(struct id) + CARD_CODE)

int card_list_open(struct card_list *list, const struct secret *private_key, const json_t *reply)
{
    AUTO(secret) *plain = NULL;
    uint8_t sealed[CARDS_MAX * CARD_BYTES + BOX_OVERHEAD];
    const char *hex = reply_text(reply, "sealed_cards");
    size_t n = hex != NULL ? strlen(hex) / 2 : 0;
    struct err e = { 0 };

    if (n < BOX_OVERHEAD || n > sizeof(sealed) || (n - BOX_OVERHEAD) % CARD_BYTES != 0 ||
        !hex_parse(hex, strlen(hex), sealed, n))
        return reply_report("recovery cards");
    status st = box_open(secret_view(private_key), span_of(sealed, n), &plain, &e);

    if (st != OK)
        return report_err("the sealed recovery cards", &e);
    struct in in = in_of(secret_view(plain));

    while (st == OK && in.n > 0) {
        list->slots[list->count] = in_id(&in);
        st = card_format(in_raw(&in, CARD_CODE), &list->codes[list->count++], &e);
    }
    return st == OK ? EXIT_DONE : report_err("the sealed recovery cards", &e);
}

void card_list_print(const struct card_list *list, const char *vault)
{
    for (size_t i = 0; i < list->count; i++) {
        char slot[ID_HEX_LENGTH + 1];
        struct span text = secret_view(list->codes[i]);

        hex_format(SPAN(list->slots[i].b), slot);
        print("\nRECOVERY CARD %zu of %zu of vault %.32s\n\n", i + 1, list->count, vault);
        print("    slot   %s\n    code   ", slot);
        /* Two lines of seven groups; each group has a space behind it but the last. */
        print_span(span_of(text.p, CARD_TEXT / 2));
        print("\n           ");
        print_span(span_of(text.p + CARD_TEXT / 2 + 1, CARD_TEXT / 2));
        print("\n");
    }
    if (list->count > 0)
        print(
            "\nWrite each on paper of its own, now, and lock them away in different places. Each\n"
            "is worth one operator's share ('strongroom unlock --recovery'). They are shown this\n"
            "once and stored nowhere.\n\n");
}

json_t *card_list_json(const struct card_list *list)
{
    json_t *cards = json_array();

    for (size_t i = 0; i < list->count; i++) {
        char slot[ID_HEX_LENGTH + 1];
        struct span text = secret_view(list->codes[i]);

        hex_format(SPAN(list->slots[i].b), slot);
        json_array_append_new(
            cards, json_pack("{s:s, s:s%}", "slot", slot, "code", (const char *)text.p, text.n));
    }
    return cards;
}

void card_list_clear(struct card_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        secret_free(list->codes[i]);
    *list = (struct card_list){ 0 };
}
