/* Operators, the quorum and the recovery cards: who shares the root key. */
#include <stdio.h>
#include <string.h>

#include "card_list.h"
#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "operation.h"
#include "prompt.h"
#include "reply.h"
#include "slots.h"
#include "table.h"

static const struct column columns[] = {
    { "OPERATOR", "operator", COLUMN_TEXT }, { "SHARE", "share", COLUMN_TEXT },
    { "KEYS", "keys", COLUMN_TEXT },         { "PENDING", "pending", COLUMN_TEXT },
    { "SINCE", "created", COLUMN_TIME },
};

/* --- list ------------------------------------------------------------------------------------ */

static json_t *find_operator(const json_t *operators, const char *name)
{
    json_t *one = NULL;
    size_t i = 0;

    json_array_foreach(operators, i, one)
    {
        if (strcmp(reply_text(one, "operator"), name) == 0)
            return one;
    }
    return NULL;
}

/* Where a name belongs in the list, which is by name. */
static size_t place_of(const json_t *operators, const char *name)
{
    size_t at = 0;

    while (at < json_array_size(operators) &&
           strcmp(reply_text(json_array_get(operators, at), "operator"), name) < 0)
        at++;
    return at;
}

/* One element an operator, from the slots of their hardware keys. */
static json_t *operators_of(const json_t *slots)
{
    json_t *operators = json_array();
    const json_t *slot = NULL;
    size_t i = 0;

    json_array_foreach(slots, i, slot)
    {
        const char *kind = reply_text(slot, "kind");
        const char *label = reply_text(slot, "label");

        if (kind == NULL || label == NULL || strcmp(kind, "fido2") != 0)
            continue;
        json_t *one = find_operator(operators, label);

        if (one == NULL) {
            one = json_pack("{s:s, s:O?, s:O?, s:O?, s:i, s:[]}", "operator", label, "share",
                            json_object_get(slot, "share"), "created",
                            json_object_get(slot, "created"), "pending",
                            json_object_get(slot, "pending"), "keys", 0, "slots");
            json_array_insert_new(operators, place_of(operators, label), one);
        }
        json_integer_set(json_object_get(one, "keys"),
                         json_integer_value(json_object_get(one, "keys")) + 1);
        json_array_append(json_object_get(one, "slots"), json_object_get(slot, "id"));
    }
    return operators;
}

static size_t cards_of(const json_t *slots)
{
    const json_t *slot = NULL;
    size_t i = 0;
    size_t n = 0;

    json_array_foreach(slots, i, slot)
    {
        const char *kind = reply_text(slot, "kind");

        n += kind != NULL && strcmp(kind, "recovery") == 0;
    }
    return n;
}

int operator_list(struct cli *c)
{
    AUTO(json_t) *slots = NULL;
    AUTO(json_t) *state = NULL;
    AUTO(json_t) *summary = NULL;
    uint64_t need = 0;
    int code = slots_get(c, &slots);

    if (code == EXIT_DONE)
        code = https_call(c, METHOD_GET, "/v1/status", NULL, &state);
    if (code != EXIT_DONE)
        return code;
    if (!reply_number(json_object_get(state, "quorum"), "need", 255, &need))
        return reply_report("quorum");
    json_t *operators = operators_of(json_object_get(slots, "slots"));
    size_t cards = cards_of(json_object_get(slots, "slots"));

    summary = json_pack("{s:o, s:I, s:I}", "operators", operators, "quorum", (json_int_t)need,
                        "cards", (json_int_t)cards);
    if (cli_json(c)) {
        table_print_json(summary);
        return EXIT_DONE;
    }
    table_print(operators, COLUMNS(columns), "There are no operators.");
    say("%llu of them open%s the vault%s. Recovery cards: %zu.", (unsigned long long)need,
        need == 1 ? "s" : "", need == 1 ? "" : " together", cards);
    return EXIT_DONE;
}

/* --- add ------------------------------------------------------------------------------------- */

static json_t *enrolment(const char *name, const struct wire_session *session,
                         const struct fido_credential *credential, const char *sealed)
{
    char id[ID_HEX_LENGTH + 1];
    char aaguid[33];
    char credential_id[2 * LIMIT_CREDENTIAL_ID + 1];
    char public_key[129];

    hex_format(SPAN(session->session.b), id);
    hex_format(SPAN(credential->aaguid), aaguid);
    hex_format(span_of(credential->id, credential->id_length), credential_id);
    hex_format(SPAN(credential->cose_public), public_key);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "session", id, "operator", name,
                     "credential_id", credential_id, "public_key", public_key, "aaguid", aaguid,
                     "sealed_secret", sealed);
}

/* Two touches; the vault then holds the slot until it is approved. */
static int enrol(struct cli *c, struct touch *t, const char *name, struct wire_operation *meant)
{
    AUTO(json_t) *slots = NULL;
    AUTO(json_t) *request = NULL;
    AUTO(json_t) *reply = NULL;
    AUTO(secret) *secrets = NULL;
    struct wire_session_request asked = { .purpose = SESSION_ENROL };
    struct wire_session session;
    struct slot_keys known;
    struct fido_credential credential;
    struct fido_assertion assertion;
    char sealed[SESSION_SEALED_HEX];
    int code = slots_get(c, &slots);

    if (code == EXIT_DONE)
        code = slots_keys(c, slots, &known);
    if (code == EXIT_DONE)
        say("The new hardware key asks for its PIN and for two touches: one enrols it, one opens.");
    if (code == EXIT_DONE)
        code = touch_enrol(t, name, known.credentials, known.count, &credential);
    if (code == EXIT_DONE)
        code = session_begin(c, "/v1/operators/session", json_object(), &asked, &session);
    if (code == EXIT_DONE)
        code = touch_assert(t, &credential, &session, &assertion, &secrets);
    if (code == EXIT_DONE)
        code = session_seal(&session, secret_view(secrets), sealed);
    if (code != EXIT_DONE)
        return code;
    request = enrolment(name, &session, &credential, sealed);
    code = session_add_assertion(request, &assertion);
    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, "/v1/operators", json_incref(request), &reply);
    if (code != EXIT_DONE)
        return code;
    memcpy(meant->public_key, credential.cose_public, sizeof(meant->public_key));
    return reply_id(reply, "slot", &meant->slot) ? EXIT_DONE : reply_report("slot");
}

/* The key that approves is another one than the one that was just enrolled: the second --device, or
 * the one that is plugged in now. Without a terminal to ask on, others approve. */
static struct approver choose_approver(const struct cli *c)
{
    const struct repeated *devices = &c->options.devices;
    struct approver approver = { .device = devices->count > 1 ? devices->value[1] : NULL };

    if (devices->count > 1 || option_given(&c->options, OPT_RECOVERY))
        return approver;
    approver.absent =
        devices->count == 1 ||
        prompt_enter(
            "Now plug in the hardware key of an operator who approves (or press Ctrl-C and "
            "let one approve elsewhere).",
            NULL) != OK;
    return approver;
}

int operator_add(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_OPERATOR_ADD };
    struct approver approver;
    char slot[ID_HEX_LENGTH + 1];
    char public_key[129];
    struct touch t;
    const char *name = NULL;
    int code = cli_name(c, 0, "an operator", &name);

    if (code != EXIT_DONE)
        return code;
    meant.operator_name = span_text(name);
    code = touch_open(c, &t);
    if (code == EXIT_DONE)
        code = enrol(c, &t, name, &meant);
    touch_clear(&t);
    if (code != EXIT_DONE)
        return code;
    approver = choose_approver(c);
    hex_format(SPAN(meant.slot.b), slot);
    hex_format(SPAN(meant.public_key), public_key);
    code = operation_perform(c,
                             json_pack("{s:s, s:s, s:s, s:s}", "operation", "operator.add",
                                       "operator", name, "slot", slot, "public_key", public_key),
                             &meant, &approver, &done);
    return code == EXIT_DONE
               ? operation_tell(c, done,
                                "The operator is added. An operator also needs a certificate: "
                                "'strongroom certificate issue --role operator'.")
               : code;
}

/* --- remove ---------------------------------------------------------------------------------- */

int operator_remove(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_OPERATOR_REMOVE };
    const char *slot = cli_option(c, OPT_SLOT);
    const char *name = NULL;
    char question[256];
    int code = cli_name(c, 0, "an operator", &name);

    if (code != EXIT_DONE)
        return code;
    if (slot != NULL && !id_parse(slot, &meant.slot))
        return report(EXIT_USAGE, "--slot has 32 hex digits: 'strongroom slot list' shows them");
    meant.operator_name = span_text(name);
    snprintf(question, sizeof(question), "Removing %s rotates the root key and the database key%s.",
             name, slot == NULL ? " and revokes the operator's certificates" : "");
    code = cli_confirm(c, question);
    if (code != EXIT_DONE)
        return code;
    c->options.value[OPT_SLOT] = NULL; /* the key that approves is looked for among all */
    code = operation_perform(c,
                             json_pack("{s:s, s:s, s:s*}", "operation", "operator.remove",
                                       "operator", name, "slot", slot),
                             &meant, NULL, &done);
    return code == EXIT_DONE ? operation_tell(c, done, "The operator is removed.") : code;
}

/* --- quorum and cards ------------------------------------------------------------------------ */

int quorum_set(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_QUORUM_SET };
    uint64_t number = 0;

    if (!number_parse(cli_argument(c, 0), 1, LIMIT_SLOTS, &number))
        return report(EXIT_USAGE, "a quorum is a number of operators");
    meant.number = (uint32_t)number;
    int code = operation_perform(
        c, json_pack("{s:s, s:I}", "operation", "quorum.set", "number", (json_int_t)number), &meant,
        NULL, &done);

    return code == EXIT_DONE ? operation_tell(c, done, "The quorum is set.") : code;
}

/* The cards that the operation made, sealed to our key. */
static int show_cards(const struct cli *c, const struct secret *private_key, const json_t *done)
{
    struct card_list list = { .count = 0 };
    int code = card_list_open(&list, private_key, json_object_get(done, "result"));
    char vault[ID_HEX_LENGTH + 1] = "";
    struct id id;

    if (profile_hex(&c->profile, "vault", id.b, sizeof(id.b)))
        hex_format(SPAN(id.b), vault);
    if (code == EXIT_DONE && cli_json(c)) {
        AUTO(json_t) *summary = json_pack("{s:o}", "cards", card_list_json(&list));
        table_print_json(summary);
    } else if (code == EXIT_DONE) {
        card_list_print(&list, vault);
        say("The old cards are worthless now: burn them.");
    }
    card_list_clear(&list);
    return code;
}

int card_renew(struct cli *c)
{
    AUTO(json_t) *state = NULL;
    AUTO(json_t) *done = NULL;
    AUTO(secret) *private_key = NULL;
    struct wire_operation meant = { .code = OPERATION_CARD_RENEW };
    struct bounds bounds = { .min = 0, .max = CARDS_MAX, .fallback = 1 };
    struct err e = { 0 };
    uint64_t number = 0;
    char recovery_key[65];
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &state);

    if (code == EXIT_DONE)
        (void)reply_number(json_object_get(state, "quorum"), "need", CARDS_MAX, &bounds.fallback);
    if (code == EXIT_DONE)
        code = option_number(&c->options, OPT_CARDS, bounds, &number);
    if (code == EXIT_DONE)
        code =
            cli_confirm(c, "The old recovery cards become worthless; the new ones are shown once.");
    if (code != EXIT_DONE)
        return code;
    if (secret_random(KEY_SIZE, &private_key, &e) != OK)
        return report_err("making a key", &e);
    box_public(secret_view(private_key), meant.recovery_key);
    hex_format(SPAN(meant.recovery_key), recovery_key);
    meant.number = (uint32_t)number;
    code = operation_perform(c,
                             json_pack("{s:s, s:I, s:s}", "operation", "card.renew", "number",
                                       (json_int_t)number, "recovery_key", recovery_key),
                             &meant, NULL, &done);
    if (code != EXIT_DONE)
        return code;
    if (!operation_is_done(done))
        return report(EXIT_USAGE, "the new cards can only be shown here: run it again without "
                                  "--no-wait, and withdraw this one");
    return show_cards(c, private_key, done);
}
