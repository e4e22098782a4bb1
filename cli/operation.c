/*
 * Must:
 *  1. The touch signs the text that was composed here, or that the user was shown; never one that
 *     only the server knows.
 *  2. Whatever becomes of the wait, the operation is either done, or pending and named.
 */
#include "operation.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "reply.h"
#include "slots.h"
#include "table.h"

static const struct column columns[] = {
    { "ID", "id", COLUMN_TEXT },
    { "OPERATION", "operation", COLUMN_TEXT },
    { "PROPOSER", "proposer", COLUMN_TEXT },
    { "HAVE", "have", COLUMN_TEXT },
    { "NEED", "need", COLUMN_TEXT },
    { "SECONDS LEFT", "expires_s", COLUMN_TEXT },
};

/* --- approving ------------------------------------------------------------------------------- */

static int begin(struct cli *c, const json_t *operation, const json_t *slot,
                 struct wire_session *ret_session)
{
    struct wire_session_request request = { .purpose = SESSION_APPROVE };
    char path[96];

    if (!reply_id(slot, "id", &request.slot))
        return reply_report("slot");
    operation_hash(span_text(reply_text(operation, "text")), request.operation);
    snprintf(path, sizeof(path), "/v1/operations/%.32s/session", reply_text(operation, "id"));
    return session_begin(c, path, json_pack("{s:s}", "slot", reply_text(slot, "id")), &request,
                         ret_session);
}

static int post_approval(struct cli *c, const json_t *operation, const json_t *slot,
                         const struct wire_session *session, struct span secrets,
                         const struct fido_assertion *assertion, json_t **ret_operation)
{
    AUTO(json_t) *request = NULL;
    char sealed[SESSION_SEALED_HEX];
    char id[ID_HEX_LENGTH + 1];
    char path[96];
    int code = session_seal(session, secrets, sealed);

    if (code != EXIT_DONE)
        return code;
    hex_format(SPAN(session->session.b), id);
    request = json_pack("{s:s, s:s, s:s}", "session", id, "slot", reply_text(slot, "id"),
                        "sealed_secret", sealed);
    if (assertion != NULL)
        code = session_add_assertion(request, assertion);
    snprintf(path, sizeof(path), "/v1/operations/%.32s/approve", reply_text(operation, "id"));
    return code == EXIT_DONE ? https_call(c, METHOD_POST, path, json_incref(request), ret_operation)
                             : code;
}

static int approve_with_key(struct cli *c, const json_t *slots, const json_t *operation,
                            json_t **ret_operation)
{
    struct touch t = { .device = NULL };
    AUTO(secret) *secrets = NULL;
    const json_t *slot = NULL;
    struct fido_credential credential;
    struct fido_assertion assertion;
    struct wire_session session;
    int code = slots_find_key(c, &t, slots, &slot, &credential);

    if (code == EXIT_DONE)
        code = begin(c, operation, slot, &session);
    if (code == EXIT_DONE)
        code = touch_assert(&t, &credential, &session, &assertion, &secrets);
    touch_clear(&t); /* the key is free again, and Ctrl-C ends the program */
    return code == EXIT_DONE ? post_approval(c, operation, slot, &session, secret_view(secrets),
                                             &assertion, ret_operation)
                             : code;
}

static int approve_with_card(struct cli *c, const json_t *slots, const json_t *operation,
                             json_t **ret_operation)
{
    AUTO(secret) *card = NULL;
    const json_t *slot = NULL;
    struct wire_session session;
    int code = slots_card(c, slots, &slot);

    if (code == EXIT_DONE)
        code = slots_ask_card(c, &card);
    if (code == EXIT_DONE)
        code = begin(c, operation, slot, &session);
    return code == EXIT_DONE
               ? post_approval(c, operation, slot, &session, secret_view(card), NULL, ret_operation)
               : code;
}

static int approve(struct cli *c, const json_t *operation, json_t **ret_operation)
{
    AUTO(json_t) *slots = NULL;
    int code = slots_get(c, &slots);

    if (code != EXIT_DONE)
        return code;
    if (option_given(&c->options, OPT_RECOVERY))
        return approve_with_card(c, slots, operation, ret_operation);
    return approve_with_key(c, slots, operation, ret_operation);
}

/* --- waiting --------------------------------------------------------------------------------- */

bool operation_is_done(const json_t *operation)
{
    const char *state = reply_text(operation, "state");

    return state != NULL && strcmp(state, "done") == 0;
}

static bool is_pending(const json_t *operation)
{
    const char *state = reply_text(operation, "state");

    return state != NULL && strcmp(state, "pending") == 0;
}

static int show(struct cli *c, const char *id, json_t **ret_operation)
{
    char path[96];
    int code;

    snprintf(path, sizeof(path), "/v1/operations/%.32s", id);
    code = https_call(c, METHOD_GET, path, NULL, ret_operation);
    if (code != EXIT_DONE)
        return code;
    return reply_text(*ret_operation, "id") != NULL && reply_text(*ret_operation, "text") != NULL &&
                   reply_text(*ret_operation, "state") != NULL
               ? EXIT_DONE
               : reply_report("operation");
}

static void tell_pending(const json_t *operation)
{
    uint64_t have = 0;
    uint64_t need = 0;

    if (reply_number(operation, "have", 255, &have) && reply_number(operation, "need", 255, &need))
        say("%llu of %llu approvals are given. Within ten minutes an operator runs: strongroom "
            "operation approve %.32s",
            (unsigned long long)have, (unsigned long long)need, reply_text(operation, "id"));
}

/* Until it is done or over; *operation is replaced. */
static int wait_for_others(struct cli *c, json_t **operation)
{
    uint64_t told = UINT64_MAX;

    while (is_pending(*operation)) {
        json_t *now = NULL;
        uint64_t have = 0;
        int code = EXIT_DONE;

        if (reply_number(*operation, "have", 255, &have) && have != told) {
            tell_pending(*operation);
            told = have;
        }
        cli_pause();
        code = show(c, reply_text(*operation, "id"), &now);
        if (code != EXIT_DONE)
            return code;
        json_decref(*operation);
        *operation = now;
    }
    if (operation_is_done(*operation))
        return EXIT_DONE;
    const char *reason = reply_text(*operation, "reason");

    return report(EXIT_CONFLICT, "the operation failed: %s", reason != NULL ? reason : "no reason");
}

/* What the operation began: a rotation, in the background of the vault. */
static int wait_for_rotation(struct cli *c)
{
    uint64_t told = UINT64_MAX;

    for (;;) {
        AUTO(json_t) *reply = NULL;
        uint64_t done = 0;
        uint64_t total = 0;
        int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);
        const json_t *rekey = json_object_get(reply, "rekey");
        const char *state = reply_text(reply, "state");

        if (code != EXIT_DONE)
            return code;
        if (state == NULL || strcmp(state, "unlocked") != 0)
            return report(EXIT_LOCKED, "the vault was locked meanwhile: the rotation goes on after "
                                       "the next unlock");
        if (!json_is_object(rekey))
            return EXIT_DONE;
        if (reply_number(rekey, "done", INT64_MAX, &done) &&
            reply_number(rekey, "total", INT64_MAX, &total) && total > 0 && done != told)
            say("Rotating: %llu of %llu.", (unsigned long long)done, (unsigned long long)total);
        told = done;
        cli_pause();
    }
}

static bool rotates(uint8_t code)
{
    return code >= OPERATION_OPERATOR_ADD && code <= OPERATION_REKEY_DATABASE;
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Does the vault ask for the signature of what is meant? */
static int check_text(const json_t *operation, struct wire_operation *meant)
{
    uint8_t text[OPERATION_TEXT_MAX];
    const char *theirs = reply_text(operation, "text");
    struct out o;

    if (theirs == NULL || reply_text(operation, "state") == NULL ||
        !reply_id(operation, "id", &meant->id))
        return reply_report("operation");
    out_init(&o, text, sizeof(text));
    operation_text(meant, &o);
    if (o.overflow || !span_same(span_of(o.p, o.n), span_text(theirs)))
        return report(EXIT_OTHER, "the vault asks to approve something else than was meant; do not "
                                  "touch the key, and find out who answers there");
    return EXIT_DONE;
}

static int propose(struct cli *c, json_t *body, struct wire_operation *meant, json_t **ret)
{
    int code = https_call(c, METHOD_POST, "/v1/operations", body, ret);

    return code == EXIT_DONE ? check_text(*ret, meant) : code;
}

/* An admin proposes; only operators approve. */
static bool may_approve(const struct cli *c)
{
    const char *role = profile_text(&c->profile, "role");

    return cli_option(c, OPT_SOCKET) != NULL || (role != NULL && strcmp(role, "operator") == 0);
}

int operation_perform(struct cli *c, json_t *body, struct wire_operation *meant,
                      const struct approver *approver, json_t **ret_done)
{
    AUTO(json_t) *proposed = NULL;
    int code = propose(c, body, meant, &proposed);

    if (code != EXIT_DONE)
        return code;
    if (approver != NULL && approver->device != NULL)
        c->options.value[OPT_DEVICE] = approver->device;
    if (may_approve(c) && (approver == NULL || !approver->absent))
        code = approve(c, proposed, ret_done);
    else
        *ret_done = json_incref(proposed);
    if (code != EXIT_DONE) {
        tell_pending(proposed);
        return code;
    }
    if (option_given(&c->options, OPT_NO_WAIT)) {
        if (is_pending(*ret_done))
            tell_pending(*ret_done);
        return EXIT_DONE;
    }
    code = wait_for_others(c, ret_done);
    return code == EXIT_DONE && rotates(meant->code) ? wait_for_rotation(c) : code;
}

int operation_tell(const struct cli *c, const json_t *operation, const char *text)
{
    if (cli_json(c))
        table_print_json(operation);
    else if (operation_is_done(operation))
        say("%s", text);
    return EXIT_DONE;
}

/* --- ids ------------------------------------------------------------------------------------- */

int operation_tenant(struct cli *c, const char *tenant, struct id *ret_id)
{
    AUTO(json_t) *reply = NULL;
    char path[128];

    snprintf(path, sizeof(path), "/v1/tenants/%s", tenant);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    return reply_id(reply, "id", ret_id) ? EXIT_DONE : reply_report("id");
}

/* The id of the element of that name in the list at path. */
static int find_id(struct cli *c, const char *path, const char *member, const char *name,
                   struct id *ret_id)
{
    AUTO(json_t) *reply = NULL;
    const json_t *item = NULL;
    size_t i = 0;
    int code = https_list(c, path, member, &reply);

    if (code != EXIT_DONE)
        return code;
    json_array_foreach(json_object_get(reply, member), i, item)
    {
        const char *its = reply_text(item, "name");

        if (its != NULL && strcmp(its, name) == 0)
            return reply_id(item, "id", ret_id) ? EXIT_DONE : reply_report("id");
    }
    return report(EXIT_ABSENT, "%s is not among the %s", name, member);
}

int operation_engagement(struct cli *c, const char *tenant, const char *name, struct id *ret_id)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/tenants/%s/engagements", tenant);
    return find_id(c, path, "engagements", name, ret_id);
}

int operation_gateway(struct cli *c, const char *name, struct id *ret_id)
{
    return find_id(c, "/v1/gateways", "gateways", name, ret_id);
}

/* --- commands -------------------------------------------------------------------------------- */

int operation_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/operations", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "operations"), COLUMNS(columns),
                    "No operation waits for approval.");
    return EXIT_DONE;
}

static int check_id(const struct cli *c, const char **ret_id)
{
    struct id id;

    *ret_id = cli_argument(c, 0);
    return id_parse(*ret_id, &id) ? EXIT_DONE
                                  : report(EXIT_USAGE, "an operation's id has 32 hex digits: "
                                                       "'strongroom operation list' shows them");
}

/* Names beside the ids that the text has. */
static void describe(const json_t *operation)
{
    static const char *const names[] = { "tenant", "engagement", "gateway" };
    char text[OPERATION_TEXT_MAX + 1];

    snprintf(text, sizeof(text), "%s", reply_text(operation, "text"));
    text_tame(text);
    say("Proposed by %s:\n\n    %s\n",
        reply_text(operation, "proposer") != NULL ? reply_text(operation, "proposer") : "?", text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (reply_text(operation, names[i]) != NULL)
            say("    (%s: %s)", names[i], reply_text(operation, names[i]));
    }
}

/* The text names the operation that was asked for: else a touch meant for one that is known would
 * go to another one. Every text begins "name id=". */
static bool is_of(const json_t *operation, const char *id)
{
    const char *at = strchr(reply_text(operation, "text"), ' ');

    return strcmp(reply_text(operation, "id"), id) == 0 && at != NULL &&
           strncmp(at, " id=", 4) == 0 && strncmp(at + 4, id, ID_HEX_LENGTH) == 0 &&
           (at[4 + ID_HEX_LENGTH] == ' ' || at[4 + ID_HEX_LENGTH] == '\0');
}

/* A document of policy is part of the text by its hash: what is shown must be that document. */
static int describe_document(const json_t *operation)
{
    const char *text = strstr(reply_text(operation, "text"), " document=");
    const char *document = reply_text(operation, "document");
    uint8_t hash[32];
    char hex[65];

    if (text == NULL)
        return EXIT_DONE;
    if (document == NULL)
        return reply_report("document");
    sha256(span_text(document), hash);
    hex_format(SPAN(hash), hex);
    if (strcmp(text + strlen(" document="), hex) != 0)
        return report(EXIT_UNVERIFIED, "the vault shows another document than the one to be "
                                       "approved; do not touch the key");
    if (document[0] == '\0')
        say("    It removes the document: grants alone decide from then on.");
    while (*document != '\0') {
        char line[256];
        size_t n = strcspn(document, "\n");

        snprintf(line, sizeof(line), "%.*s", (int)(n < 250 ? n : 250), document);
        text_tame(line);
        say("    | %s", line);
        document += n + (document[n] == '\n');
    }
    return EXIT_DONE;
}

int operation_approve(struct cli *c)
{
    AUTO(json_t) *operation = NULL;
    AUTO(json_t) *approved = NULL;
    const char *id = NULL;
    int code = check_id(c, &id);

    if (code == EXIT_DONE)
        code = show(c, id, &operation);
    if (code != EXIT_DONE)
        return code;
    if (!is_of(operation, id))
        return report(EXIT_OTHER, "the vault shows another operation than was asked for; do not "
                                  "touch the key, and find out who answers there");
    if (!is_pending(operation))
        return report(EXIT_CONFLICT, "the operation is over already");
    describe(operation); /* with --yes too: what is signed was at least to be seen */
    code = describe_document(operation);
    if (code == EXIT_DONE && !option_given(&c->options, OPT_YES))
        code = cli_confirm(c, "Your touch approves exactly this.");
    if (code == EXIT_DONE)
        code = approve(c, operation, &approved);
    if (code != EXIT_DONE)
        return code;
    if (is_pending(approved) && !cli_json(c))
        tell_pending(approved);
    return operation_tell(c, approved, "Approved, and carried out.");
}

int operation_withdraw(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *id = NULL;
    char path[96];
    int code = check_id(c, &id);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/operations/%.32s", id);
    code = https_call(c, METHOD_DELETE, path, NULL, &reply);
    if (code == EXIT_DONE && cli_json(c))
        table_print_json(reply);
    else if (code == EXIT_DONE)
        say("The operation is withdrawn.");
    return code;
}
