/*
 * unlock, lock, status, slots, and the clock: what operators do with the vault as a whole.
 */
#include <string.h>

#include "base/limits.h"
#include "card.h"
#include "cli.h"
#include "commands.h"
#include "prompt.h"
#include "remember.h"
#include "reply.h"
#include "slots.h"
#include "table.h"
#include "touch.h"

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

/* Waits until the others have given their shares, telling of each. */
static int wait_for_others(struct cli *c, uint64_t have)
{
    for (;;) {
        AUTO(json_t) *reply = NULL;
        uint64_t now = 0;
        uint64_t need = 0;
        int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);
        const json_t *quorum = json_object_get(reply, "quorum");
        const char *state = reply_text(reply, "state");

        if (code != EXIT_DONE)
            return code;
        if (state != NULL && strcmp(state, "unlocked") == 0)
            return EXIT_DONE;
        if (state != NULL && strcmp(state, "rolled-back") == 0)
            return report(EXIT_LOCKED, "the vault was rolled back: see 'strongroom status'");
        if (quorum == NULL || !reply_number(quorum, "have", 255, &now) ||
            !reply_number(quorum, "need", 255, &need))
            return reply_report("quorum");
        if (now == 0)
            return report(EXIT_LOCKED, "the shares were forgotten: ten minutes are over, or "
                                       "somebody locked the vault; begin again");
        if (now != have)
            say("%llu of %llu shares are given.", (unsigned long long)now,
                (unsigned long long)need);
        have = now;
        cli_pause();
    }
}

/* What was opened must be what was seen before, further on. If it is not, it is closed again: a
 * vault of last week leases keys that were revoked since. */
static int check_memory(struct cli *c)
{
    AUTO(json_t) *reply = NULL;

    if (cli_option(c, OPT_SOCKET) != NULL) /* the socket shows no logs */
        return EXIT_DONE;
    int code = remember_check(c, "tree");

    if (code == EXIT_DONE)
        code = remember_check(c, "vault");
    if (code == EXIT_UNVERIFIED &&
        https_call(c, METHOD_POST, "/v1/lock", json_object(), &reply) == EXIT_DONE)
        say("The vault is locked again. If what is missing is lost for good: unlock over the local "
            "socket, then 'strongroom rollback accept'.");
    else if (code != EXIT_DONE)
        say("The vault is UNLOCKED, but could not be compared with what was seen before.");
    return code;
}

static int tell_unlocked(struct cli *c, const json_t *reply)
{
    AUTO(json_t) *now = NULL;
    uint64_t used = 0;
    int code = check_memory(c);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The vault is unlocked.");
    if (https_call(c, METHOD_GET, "/v1/status", NULL, &now) == EXIT_DONE &&
        reply_number(now, "cards_used", 255, &used) && used > 0)
        say("%llu recovery card(s) have been used: make new ones with 'strongroom card renew'.",
            (unsigned long long)used);
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

    if (state == NULL || !reply_number(reply, "have", 255, &have) ||
        !reply_number(reply, "need", 255, &need))
        return reply_report("state");
    if (strcmp(state, "unlocked") == 0)
        return tell_unlocked(c, reply);
    say("%llu of %llu shares are given; the others must follow within 10 minutes: 'strongroom "
        "unlock', each on a machine of their own.",
        (unsigned long long)have, (unsigned long long)need);
    if (option_given(&c->options, OPT_WAIT)) {
        code = wait_for_others(c, have);
        json_object_set_new(reply, "state", json_string("unlocked"));
        return code == EXIT_DONE ? tell_unlocked(c, reply) : code;
    }
    if (cli_json(c))
        table_print_json(reply);
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

static int unlock_with_key(struct cli *c, const json_t *slots)
{
    struct touch t = { .device = NULL };
    AUTO(json_t) *request = NULL;
    AUTO(secret) *secrets = NULL;
    const json_t *slot = NULL;
    struct fido_credential credential;
    struct fido_assertion assertion;
    struct wire_session session;
    char sealed[SESSION_SEALED_HEX];
    int code = slots_find_key(c, &t, slots, &slot, &credential);

    if (code == EXIT_DONE)
        code = begin(c, slot, &session);
    if (code == EXIT_DONE)
        code = touch_assert(&t, &credential, &session, &assertion, &secrets);
    touch_clear(&t); /* the key is free again for whoever waits for it */
    if (code == EXIT_DONE)
        code = session_seal(&session, secret_view(secrets), sealed);
    if (code != EXIT_DONE)
        return code;
    request = unlock_request(&session, slot, sealed);
    code = session_add_assertion(request, &assertion);
    return code == EXIT_DONE ? post_unlock(c, json_incref(request)) : code;
}

static int unlock_with_card(struct cli *c, const json_t *slots)
{
    AUTO(secret) *card = NULL;
    struct wire_session session;
    char sealed[SESSION_SEALED_HEX];
    const json_t *slot = NULL;
    int code = slots_card(c, slots, &slot);

    /* The card first: typing takes longer than a session may. */
    if (code == EXIT_DONE)
        code = slots_ask_card(c, &card);
    if (code == EXIT_DONE)
        code = begin(c, slot, &session);
    if (code == EXIT_DONE)
        code = session_seal(&session, secret_view(card), sealed);
    return code == EXIT_DONE ? post_unlock(c, unlock_request(&session, slot, sealed)) : code;
}

int unlock_run(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = slots_get(c, &reply);

    if (code != EXIT_DONE)
        return code;
    if (option_given(&c->options, OPT_RECOVERY))
        return unlock_with_card(c, reply);
    return unlock_with_key(c, reply);
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
    { "state", "state", COLUMN_TEXT },
    { "reason", "reason", COLUMN_TEXT },
    { "region", "region", COLUMN_TEXT },
    { "vault", "vault", COLUMN_TEXT },
    { "epoch", "epoch", COLUMN_TEXT },
    { "leases", "leases", COLUMN_TEXT },
    { "next purge", "next_purge", COLUMN_TIME },
    { "clock held", "clock_held", COLUMN_TEXT },
    { "journal", "journal", COLUMN_TEXT },
    { "alerts (24 h)", "alerts", COLUMN_TEXT },
    { "time", "time", COLUMN_TIME },
    { "version", "version", COLUMN_TEXT },
};

/* What is under way, and what the user should do. */
static void tell_progress(const json_t *reply, const char *state)
{
    const json_t *quorum = json_object_get(reply, "quorum");
    const json_t *rekey = json_object_get(reply, "rekey");
    uint64_t have = 0;
    uint64_t need = 0;
    uint64_t used = 0;

    if (reply_number(quorum, "have", 255, &have) && reply_number(quorum, "need", 255, &need) &&
        have > 0)
        say("%llu of %llu shares are given: 'strongroom unlock' gives the next.",
            (unsigned long long)have, (unsigned long long)need);
    if (reply_text(rekey, "what") != NULL && strcmp(state, "unlocked") == 0)
        say("A rotation is under way: %.16s.", reply_text(rekey, "what"));
    if (reply_number(reply, "cards_used", 255, &used) && used > 0)
        say("%llu recovery card(s) have been used: make new ones with 'strongroom card renew'.",
            (unsigned long long)used);
}

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
    tell_progress(reply, state);
    if (strcmp(state, "rolled-back") == 0)
        say("Nothing is served. Lock the vault and put back what belongs there; if that is lost, "
            "'strongroom rollback accept' goes on with what there is.");
    if (json_is_true(json_object_get(reply, "clock_held")))
        say("The clock jumped ahead and purges wait: 'strongroom clock confirm'.");
    if (option_given(&c->options, OPT_EXIT_CODE) && strcmp(state, "unlocked") != 0)
        return EXIT_LOCKED;
    return EXIT_DONE;
}
