#include "slots.h"

#include <string.h>

#include "card.h"
#include "cli.h"
#include "commands.h"
#include "prompt.h"
#include "reply.h"
#include "table.h"

#define CARD_TRIES 3

static const struct column columns[] = {
    { "SLOT", "id", COLUMN_TEXT },         { "KIND", "kind", COLUMN_TEXT },
    { "LABEL", "label", COLUMN_TEXT },     { "SHARE", "share", COLUMN_TEXT },
    { "PENDING", "pending", COLUMN_TEXT }, { "USED", "used", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
};

int slots_get(struct cli *c, json_t **ret_reply)
{
    int code = https_call(c, METHOD_GET, "/v1/slots", NULL, ret_reply);

    if (code == EXIT_DONE && !json_is_array(json_object_get(*ret_reply, "slots")))
        return reply_report("slots");
    return code;
}

/* The part of a slot that the hardware key is asked about. */
static bool slot_credential(const json_t *slot, struct fido_credential *ret_credential)
{
    const char *id = reply_text(slot, "credential_id");
    size_t n = id != NULL ? strlen(id) / 2 : 0;

    *ret_credential = (struct fido_credential){ 0 };
    if (n == 0 || n > sizeof(ret_credential->id) ||
        !hex_parse(id, strlen(id), ret_credential->id, n) ||
        !reply_hex(slot, "public_key", ret_credential->cose_public, 64) ||
        !reply_hex(slot, "aaguid", ret_credential->aaguid, 16))
        return false;
    ret_credential->id_length = n;
    return true;
}

/* Is it of that kind, and the one that --slot names if it was given? */
static bool wanted(const struct cli *c, const json_t *slot, const char *kind)
{
    const char *id = reply_text(slot, "id");
    const char *its_kind = reply_text(slot, "kind");
    const char *only = cli_option(c, OPT_SLOT);

    return id != NULL && its_kind != NULL && strcmp(its_kind, kind) == 0 &&
           (only == NULL || strcmp(only, id) == 0);
}

int slots_keys(const struct cli *c, const json_t *reply, struct slot_keys *ret_keys)
{
    const json_t *slot = NULL;
    size_t i = 0;

    ret_keys->count = 0;
    json_array_foreach(json_object_get(reply, "slots"), i, slot)
    {
        if (!wanted(c, slot, "fido2") || json_is_true(json_object_get(slot, "pending")) ||
            ret_keys->count == LIMIT_SLOTS)
            continue;
        if (!slot_credential(slot, &ret_keys->credentials[ret_keys->count]))
            return reply_report("slot");
        ret_keys->slots[ret_keys->count++] = slot;
    }
    return EXIT_DONE;
}

int slots_card(const struct cli *c, const json_t *reply, const json_t **ret_slot)
{
    const json_t *slot = NULL;
    size_t count = 0;
    size_t i = 0;

    json_array_foreach(json_object_get(reply, "slots"), i, slot)
    {
        if (!wanted(c, slot, "recovery"))
            continue;
        *ret_slot = slot;
        count++;
    }
    if (count == 0)
        return report(EXIT_ABSENT, "the vault has no such recovery slot");
    if (count > 1)
        return report(EXIT_USAGE, "there are several recovery cards: give the slot that is written "
                                  "on yours with --slot");
    return EXIT_DONE;
}

int slots_find_key(struct cli *c, struct touch *t, const json_t *reply, const json_t **ret_slot,
                   struct fido_credential *ret_credential)
{
    struct slot_keys keys;
    size_t at = 0;
    int code = slots_keys(c, reply, &keys);

    *t = (struct touch){ .device = NULL };
    if (code == EXIT_DONE && keys.count == 0)
        return report(EXIT_ABSENT, "the vault has no such slot: 'strongroom slot list' shows them");
    if (code == EXIT_DONE)
        code = touch_find(c, t, keys.credentials, keys.count, &at);
    if (code != EXIT_DONE)
        return code;
    *ret_slot = keys.slots[at];
    *ret_credential = keys.credentials[at];
    return EXIT_DONE;
}

/* So that a slip costs nothing. */
int slots_ask_card(const struct cli *c, struct secret **ret_code)
{
    struct err e = { 0 };
    bool piped = option_given(&c->options, OPT_PIN_STDIN);
    int tries = piped ? 1 : CARD_TRIES;

    for (int i = 1; i <= tries; i++) {
        AUTO(secret) *text = NULL;

        e = (struct err){ 0 };
        status st =
            piped ? prompt_stdin_line(CARD_TEXT_MAX, &text, &e)
                  : prompt_secret("Code of the recovery card (56 characters): ", CARD_TEXT_MAX,
                                  &text, &e);
        if (st != OK)
            break;
        if (card_parse(secret_view(text), ret_code, &e) == OK)
            return EXIT_DONE;
        if (i < tries)
            say("%s.", e.why);
    }
    return report_err("recovery card", &e);
}

int slot_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = slots_get(c, &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "slots"), COLUMNS(columns), "There are no slots.");
    return EXIT_DONE;
}
