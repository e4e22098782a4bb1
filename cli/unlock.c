/*
 * unlock, lock, status, slots, and the clock: what operators do with the vault as a whole.
 */
#include <string.h>

#include "base/limits.h"
#include "card.h"
#include "cli.h"
#include "commands.h"
#include "prompt.h"
#include "reply.h"
#include "table.h"
#include "touch.h"

#define CARD_TRIES 3

static const struct column slot_columns[] = {
    { "SLOT", "id", COLUMN_TEXT },
    { "KIND", "kind", COLUMN_TEXT },
    { "LABEL", "label", COLUMN_TEXT },
};

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

/* The only slot of kind that --slot allows; NULL if there is none or more than one. */
static const json_t *only_slot(const struct cli *c, const json_t *slots, const char *kind,
                               size_t *ret_count)
{
    const char *wanted = cli_option(c, OPT_SLOT);
    const json_t *found = NULL;
    const json_t *slot = NULL;
    size_t i = 0;

    *ret_count = 0;
    json_array_foreach(slots, i, slot)
    {
        const char *id = reply_text(slot, "id");
        const char *its_kind = reply_text(slot, "kind");

        if (id == NULL || its_kind == NULL || strcmp(its_kind, kind) != 0 ||
            (wanted != NULL && strcmp(id, wanted) != 0))
            continue;
        found = slot;
        (*ret_count)++;
    }
    return *ret_count == 1 ? found : NULL;
}

/* The slot whose credential is on the key. A key that does not answer silently is believed to have
 * the only slot there is: the assertion will tell. */
static int find_slot(const struct cli *c, struct touch *t, const json_t *slots,
                     const json_t **ret_slot, struct fido_credential *ret_credential)
{
    const char *wanted = cli_option(c, OPT_SLOT);
    const json_t *slot = NULL;
    size_t count = 0;
    size_t i = 0;

    json_array_foreach(slots, i, slot)
    {
        const char *id = reply_text(slot, "id");
        const char *kind = reply_text(slot, "kind");

        if (id == NULL || kind == NULL || strcmp(kind, "fido2") != 0 ||
            (wanted != NULL && strcmp(id, wanted) != 0))
            continue;
        if (!slot_credential(slot, ret_credential))
            return reply_report("slot");
        if (fido_has(t->device, ret_credential) == FIDO_YES) {
            *ret_slot = slot;
            return EXIT_DONE;
        }
    }
    slot = only_slot(c, slots, "fido2", &count);
    if (slot != NULL && slot_credential(slot, ret_credential)) {
        *ret_slot = slot;
        return EXIT_DONE;
    }
    if (count == 0)
        return report(EXIT_ABSENT, "the vault has no such slot: 'strongroom slot list' shows them");
    return report(EXIT_AUTHENTICATOR, "this hardware key does not belong to this vault: plug in "
                                      "another, or name its slot with --slot");
}

/* A session for slot, of the vault that the profile knows. */
static int begin(struct cli *c, const json_t *slot, struct wire_session *ret_session)
{
    struct wire_session_request request = { .purpose = SESSION_UNLOCK };
    struct id vault;

    if (!reply_id(slot, "id", &request.slot))
        return reply_report("slot");
    int code =
        session_begin(c, "/v1/unlock/session", json_pack("{s:s}", "slot", reply_text(slot, "id")),
                      &request, ret_session);

    if (code != EXIT_DONE)
        return code;
    if (profile_hex(&c->profile, "vault", vault.b, sizeof(vault.b)) &&
        !id_same(&vault, &ret_session->vault))
        return report(EXIT_CONFLICT,
                      "this is not the vault of the profile: its identifier differs. "
                      "Do not touch the key; find out who answers at %s",
                      c->https.base);
    return EXIT_DONE;
}

static int post_unlock(struct cli *c, json_t *request)
{
    AUTO(json_t) *reply = NULL;
    uint64_t have = 0;
    uint64_t need = 0;
    int code = https_call(c, METHOD_POST, "/v1/unlock", request, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *state = reply_text(reply, "state");

    if (cli_json(c))
        table_print_json(reply);
    else if (state != NULL && strcmp(state, "unlocked") == 0)
        say("The vault is unlocked.");
    else if (reply_number(reply, "have", 255, &have) && reply_number(reply, "need", 255, &need))
        say("%llu of %llu slots are open; the others must follow within 10 minutes.",
            (unsigned long long)have, (unsigned long long)need);
    return EXIT_DONE;
}

static json_t *unlock_request(const struct wire_session *session, const json_t *slot,
                              const char *sealed_hex)
{
    char id[ID_HEX_LENGTH + 1];

    hex_format(SPAN(session->session.b), id);
    return json_pack("{s:s, s:s, s:s}", "session", id, "slot", reply_text(slot, "id"),
                     "sealed_secret", sealed_hex);
}

static int unlock_with_key(struct cli *c, struct touch *t, const json_t *slots)
{
    AUTO(json_t) *request = NULL;
    AUTO(secret) *secrets = NULL;
    const json_t *slot = NULL;
    struct fido_credential credential;
    struct fido_assertion assertion;
    struct wire_session session;
    char sealed[SESSION_SEALED_HEX];
    int code = find_slot(c, t, slots, &slot, &credential);

    if (code == EXIT_DONE)
        code = begin(c, slot, &session);
    if (code == EXIT_DONE)
        code = touch_assert(t, &credential, &session, &assertion, &secrets);
    if (code == EXIT_DONE)
        code = session_seal(&session, secret_view(secrets), sealed);
    if (code != EXIT_DONE)
        return code;
    request = unlock_request(&session, slot, sealed);
    code = session_add_assertion(request, &assertion);
    return code == EXIT_DONE ? post_unlock(c, json_incref(request)) : code;
}

/* Asks until the check characters fit, so that a slip costs nothing. */
static int ask_card(const struct cli *c, struct secret **ret_code)
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

static int unlock_with_card(struct cli *c, const json_t *slots)
{
    AUTO(secret) *card = NULL;
    struct wire_session session;
    char sealed[SESSION_SEALED_HEX];
    size_t count = 0;
    const json_t *slot = only_slot(c, slots, "recovery", &count);

    if (slot == NULL && count == 0)
        return report(EXIT_ABSENT, "the vault has no such recovery slot");
    if (slot == NULL)
        return report(EXIT_USAGE, "there are several recovery cards: give the slot that is written "
                                  "on yours with --slot");
    /* The card first: typing takes longer than a session may. */
    int code = ask_card(c, &card);

    if (code == EXIT_DONE)
        code = begin(c, slot, &session);
    if (code == EXIT_DONE)
        code = session_seal(&session, secret_view(card), sealed);
    return code == EXIT_DONE ? post_unlock(c, unlock_request(&session, slot, sealed)) : code;
}

static int get_slots(struct cli *c, json_t **ret_reply)
{
    int code = https_call(c, METHOD_GET, "/v1/slots", NULL, ret_reply);

    if (code == EXIT_DONE && !json_is_array(json_object_get(*ret_reply, "slots")))
        return reply_report("slots");
    return code;
}

int unlock_run(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct touch t;

    int code = get_slots(c, &reply);

    if (code != EXIT_DONE)
        return code;
    const json_t *slots = json_object_get(reply, "slots");

    if (option_given(&c->options, OPT_RECOVERY))
        return unlock_with_card(c, slots);
    code = touch_open(c, &t);
    if (code == EXIT_DONE)
        code = unlock_with_key(c, &t, slots);
    touch_clear(&t);
    return code;
}

int slot_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = get_slots(c, &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "slots"), COLUMNS(slot_columns), "There are no slots.");
    return EXIT_DONE;
}

int lock_run(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_POST, "/v1/lock", json_object(), &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The vault is locked: its keys are wiped from memory.");
    return EXIT_DONE;
}

int clock_confirm(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = cli_confirm(c, "The vault's clock jumped ahead. Keys that are due by the new time "
                              "are destroyed once you confirm it.");

    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, "/v1/clock/confirm", json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The clock is confirmed.");
    return EXIT_DONE;
}

static const struct column status_columns[] = {
    { "state", "state", COLUMN_TEXT },           { "reason", "reason", COLUMN_TEXT },
    { "region", "region", COLUMN_TEXT },         { "vault", "vault", COLUMN_TEXT },
    { "epoch", "epoch", COLUMN_TEXT },           { "leases", "leases", COLUMN_TEXT },
    { "next purge", "next_purge", COLUMN_TIME }, { "clock held", "clock_held", COLUMN_TEXT },
    { "journal", "journal", COLUMN_TEXT },       { "time", "time", COLUMN_TIME },
    { "version", "version", COLUMN_TEXT },
};

int status_run(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *state = reply_text(reply, "state");

    if (state == NULL)
        return reply_report("state");
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print_one(reply, COLUMNS(status_columns));
    if (json_is_true(json_object_get(reply, "clock_held")))
        say("The clock jumped ahead and purges wait: 'strongroom clock confirm'.");
    if (option_given(&c->options, OPT_EXIT_CODE) && strcmp(state, "unlocked") != 0)
        return EXIT_LOCKED;
    return EXIT_DONE;
}
