/*
 * Makes a vault: enrols the operators' hardware keys one after the other, asks each once more for
 * the secret of its slot, and keeps what the vault answers: a certificate for the first of them,
 * the keys to pin, and the recovery cards, which are shown once and kept nowhere.
 *
 * Must:
 *  1. Whatever can fail on this machine fails before the vault is made.
 *  2. Once the vault is made, the cards are shown, whatever else goes wrong.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "card.h"
#include "card_list.h"
#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "file.h"
#include "identity/identity.h"
#include "prompt.h"
#include "reply.h"
#include "table.h"
#include "touch.h"

#define DEFAULT_URL    "https://127.0.0.1:8443"
#define DEFAULT_SOCKET "/run/strongroom/strongroom.sock"

struct birth {
    struct wire_session session;
    uint64_t quorum;
    uint64_t cards;
    json_t *operators; /* as the API has them */
    struct fido_credential enrolled[INIT_OPERATORS_MAX];
    size_t enrolled_count;
    struct secret *client_key;
    char csr[LIMIT_CSR];
    struct secret *recovery_private;
    uint8_t recovery_public[32];
    /* of the answer */
    uint8_t intake_key[32];
    uint8_t ledger_key[32];
    uint8_t delivery_key[32];
    struct card_list list;
};

static void birth_clear(struct birth *b)
{
    json_decref(b->operators);
    secret_free(b->client_key);
    secret_free(b->recovery_private);
    card_list_clear(&b->list);
    *b = (struct birth){ 0 };
}

static const char *operator_at(const struct cli *c, size_t i)
{
    return c->options.operators.value[i];
}

/* "2" or "2/3"; the second number only says again how many operators there are. */
static int check_quorum(struct cli *c, struct birth *b)
{
    const char *text = cli_option(c, OPT_QUORUM);
    const char *slash = text != NULL ? strchr(text, '/') : NULL;
    size_t operators = c->options.operators.count;
    char first[8];
    uint64_t n = operators;

    b->quorum = 1;
    if (text != NULL) {
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, "/"), text);
        if (!number_parse(first, 1, INIT_OPERATORS_MAX, &b->quorum) ||
            (slash != NULL && !number_parse(slash + 1, 1, INIT_OPERATORS_MAX, &n)))
            return report(EXIT_USAGE, "--quorum is a number such as 2, or 2/3 for two of three");
    }
    if (n != operators)
        return report(EXIT_USAGE,
                      "--quorum %s needs %llu operators: give --operator once for each; their "
                      "hardware keys are enrolled here, one after the other",
                      text, (unsigned long long)n);
    if (b->quorum > operators)
        return report(EXIT_USAGE, "the quorum cannot be larger than the number of operators");
    struct bounds bounds = { .min = 0, .max = CARDS_MAX, .fallback = b->quorum };

    return option_number(&c->options, OPT_CARDS, bounds, &b->cards);
}

static int check_operators(struct cli *c)
{
    size_t count = c->options.operators.count;

    if (count > INIT_OPERATORS_MAX)
        return report(EXIT_USAGE, "at most %d operators can be enrolled at once",
                      INIT_OPERATORS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!name_valid(operator_at(c, i)))
            return report(EXIT_USAGE, "--operator must be 1 to 63 of a-z 0-9 - _ . , beginning "
                                      "with a letter or digit");
    }
    if (c->options.devices.count > 1 && c->options.devices.count != count)
        return report(EXIT_USAGE, "give --device once, or once for each operator, in their order");
    return EXIT_DONE;
}

static int check_arguments(struct cli *c, struct birth *b)
{
    int code = check_operators(c);

    if (code == EXIT_DONE)
        code = check_quorum(c, b);
    if (code != EXIT_DONE)
        return code;
    if (cli_option(c, OPT_URL) == NULL)
        c->options.value[OPT_URL] = DEFAULT_URL;
    if (!https_url_valid(cli_option(c, OPT_URL)))
        return report(EXIT_USAGE, "--url must be https://host:port");
    if (cli_option(c, OPT_SOCKET) == NULL)
        c->options.value[OPT_SOCKET] = DEFAULT_SOCKET;
    if (profile_exists(c))
        return report(EXIT_CONFLICT,
                      "there is a profile in %s already: give this vault another with "
                      "--profile DIR",
                      c->profile.directory);
    return EXIT_DONE;
}

/* The vault must be empty and serve the region that was asked for. */
static int check_vault(struct cli *c, char region[static LIMIT_REGION + 1])
{
    AUTO(json_t) *reply = NULL;
    const char *wanted = cli_option(c, OPT_REGION);
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *state = reply_text(reply, "state");
    const char *its_region = reply_text(reply, "region");

    if (state == NULL || its_region == NULL || strlen(its_region) > LIMIT_REGION)
        return reply_report("state");
    if (strcmp(state, "empty") != 0)
        return report(EXIT_CONFLICT,
                      "the vault exists already and is %.20s: init makes only new "
                      "ones",
                      state);
    if (wanted != NULL && strcmp(wanted, its_region) != 0)
        return report(EXIT_DENIED,
                      "this daemon is set to region %s, not %s: change 'region' in its "
                      "configuration first",
                      its_region, wanted);
    snprintf(region, LIMIT_REGION + 1, "%s", its_region);
    return EXIT_DONE;
}

static int make_keys(struct cli *c, struct birth *b)
{
    struct err e = { 0 };
    char path[PATH_MAX];

    if (file_make_directory(c->profile.directory, &e) != OK)
        return report_file(c->profile.directory, &e);
    if (identity_key_new(&b->client_key, &e) != OK ||
        identity_csr_new(b->client_key, operator_at(c, 0), b->csr, sizeof(b->csr), &e) != OK ||
        secret_random(32, &b->recovery_private, &e) != OK)
        return report_err("making keys", &e);
    box_public(secret_view(b->recovery_private), b->recovery_public);
    profile_path(&c->profile, PROFILE_KEY, path);
    if (file_write(path, FILE_PRIVATE, secret_view(b->client_key), &e) != OK)
        return report_file(path, &e);
    return EXIT_DONE;
}

/* The key of each operator but the first has to be plugged in first, unless it has a path of its
 * own. */
static int open_key(struct cli *c, size_t i, struct touch *t)
{
    const struct repeated *devices = &c->options.devices;
    char text[160];
    struct err e = { 0 };

    *t = (struct touch){ .device = NULL };
    if (i < devices->count)
        return touch_open_path(c, t, devices->value[i]);
    if (i > 0) {
        snprintf(text, sizeof(text), "Unplug that key and plug in the hardware key of %s.",
                 operator_at(c, i));
        status st = prompt_enter(text, &e);
        if (st == NOT_FOUND)
            return report(EXIT_USAGE, "there is no terminal to ask for the next hardware key: give "
                                      "--device for each operator");
        if (st != OK)
            return report(EXIT_AUTHENTICATOR, "cancelled; nothing was changed");
    }
    return touch_open(c, t);
}

static json_t *operator_json(const char *name, const struct fido_credential *credential,
                             const char *sealed)
{
    char aaguid[33];
    char credential_id[2 * LIMIT_CREDENTIAL_ID + 1];
    char public_key[129];

    hex_format(SPAN(credential->aaguid), aaguid);
    hex_format(span_of(credential->id, credential->id_length), credential_id);
    hex_format(SPAN(credential->cose_public), public_key);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "operator", name, "credential_id", credential_id,
                     "public_key", public_key, "aaguid", aaguid, "sealed_secret", sealed);
}

static int use_key(struct cli *c, struct birth *b, size_t i, struct touch *t)
{
    AUTO(secret) *secrets = NULL;
    AUTO(json_t) *one = NULL;
    struct fido_credential *credential = &b->enrolled[b->enrolled_count];
    struct fido_assertion assertion;
    char sealed[SESSION_SEALED_HEX];

    say("The hardware key of %s asks for its PIN and for two touches: one enrols it, one opens.",
        operator_at(c, i));
    int code = touch_enrol(t, operator_at(c, i), b->enrolled, b->enrolled_count, credential);

    if (code == EXIT_DONE)
        code = touch_assert(t, credential, &b->session, &assertion, &secrets);
    if (code == EXIT_DONE)
        code = session_seal(&b->session, secret_view(secrets), sealed);
    if (code != EXIT_DONE)
        return code;
    one = operator_json(operator_at(c, i), credential, sealed);
    code = session_add_assertion(one, &assertion);
    json_array_append(b->operators, one);
    b->enrolled_count++;
    return code;
}

static int use_keys(struct cli *c, struct birth *b)
{
    struct wire_session_request request = { .purpose = SESSION_INIT };
    int code = session_begin(c, "/v1/init/session", json_object(), &request, &b->session);

    b->operators = json_array();
    for (size_t i = 0; code == EXIT_DONE && i < c->options.operators.count; i++) {
        struct touch t;

        code = open_key(c, i, &t);
        if (code == EXIT_DONE)
            code = use_key(c, b, i, &t);
        touch_clear(&t);
    }
    return code;
}

static int post_init(struct cli *c, const struct birth *b, json_t **ret_reply)
{
    char session[ID_HEX_LENGTH + 1];
    char recovery_key[65];

    hex_format(SPAN(b->session.session.b), session);
    hex_format(SPAN(b->recovery_public), recovery_key);
    return https_call(c, METHOD_POST, "/v1/init",
                      json_pack("{s:s, s:I, s:I, s:O, s:s, s:s}", "session", session, "quorum",
                                (json_int_t)b->quorum, "cards", (json_int_t)b->cards, "operators",
                                b->operators, "recovery_key", recovery_key, "csr", b->csr),
                      ret_reply);
}

/* Is the certificate what was asked for: this vault, this CA, this operator? */
static int check_certificate(struct cli *c, const struct birth *b, const json_t *reply)
{
    struct identity_verifier *verifier = NULL;
    struct holder holder = { 0 };
    uint8_t der[LIMIT_CERTIFICATE];
    struct out out;
    struct err e = { 0 };
    const char *certificate = reply_text(reply, "certificate");
    const char *ca = reply_text(reply, "ca");

    if (certificate == NULL || ca == NULL)
        return reply_report("certificate");
    out_init(&out, der, sizeof(der));
    status st = identity_pem_to_der(span_text(certificate), &out, &e);

    if (st == OK)
        st = identity_verifier_new(span_text(ca), &b->session.vault, &verifier, &e);
    if (st == OK)
        st = identity_verify(verifier, span_of(out.p, out.n), clock_wall_us(), &holder, &e);
    identity_verifier_free(verifier);
    if (st != OK)
        return report_err("the new certificate", &e);
    if (holder.role != ROLE_OPERATOR || strcmp(holder.name, operator_at(c, 0)) != 0)
        return report(EXIT_OTHER, "the new certificate names somebody else");
    return EXIT_DONE;
}

static int check_reply(struct cli *c, struct birth *b, const json_t *reply)
{
    struct id vault;

    if (!reply_id(reply, "vault", &vault) || !id_same(&vault, &b->session.vault))
        return report(EXIT_OTHER, "the vault was made under another identifier than agreed");
    if (!reply_hex(reply, "intake_key", b->intake_key, 32) ||
        !reply_hex(reply, "ledger_key", b->ledger_key, 32) ||
        !reply_hex(reply, "delivery_key", b->delivery_key, 32))
        return reply_report("public keys");
    return check_certificate(c, b, reply);
}

static int write_profile(struct cli *c, const struct birth *b, const json_t *reply,
                         const char *region)
{
    static const char *const files[][2] = { { PROFILE_CERTIFICATE, "certificate" },
                                            { PROFILE_CA, "ca" } };
    char path[PATH_MAX];
    struct err e = { 0 };
    const char *operator= operator_at(c, 0);

    for (size_t i = 0; i < 2; i++) {
        profile_path(&c->profile, files[i][0], path);
        if (file_write(path, FILE_PUBLIC, span_text(reply_text(reply, files[i][1])), &e) != OK)
            return report_file(path, &e);
    }
    (void)b;
    return profile_write_new(
        c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{}}", "url",
                     cli_option(c, OPT_URL), "vault", reply_text(reply, "vault"), "region", region,
                     "role", "operator", "name", operator, "operator", operator, "intake_key",
                     reply_text(reply, "intake_key"), "ledger_key", reply_text(reply, "ledger_key"),
                     "delivery_key", reply_text(reply, "delivery_key"), "checkpoints"));
}

/* The reply's public part and the cards, for programs. */
static int show_json(struct cli *c, const struct birth *b, const json_t *reply, const char *region)
{
    AUTO(json_t) *summary = json_pack(
        "{s:O, s:O, s:s, s:I, s:s, s:s, s:s, s:o}", "vault", json_object_get(reply, "vault"),
        "slots", json_object_get(reply, "slots"), "operator", operator_at(c, 0), "quorum",
        (json_int_t)b->quorum, "region", region, "url", cli_option(c, OPT_URL), "profile",
        c->profile.directory, "cards", card_list_json(&b->list));

    if (summary == NULL)
        return reply_report("vault");
    table_print_json(summary);
    return EXIT_DONE;
}

static int finish(struct cli *c, struct birth *b, const json_t *reply, const char *region)
{
    int code = card_list_open(&b->list, b->recovery_private, reply);
    int other = check_reply(c, b, reply);

    if (other == EXIT_DONE)
        other = write_profile(c, b, reply, region);
    if (code == EXIT_DONE && cli_json(c))
        code = show_json(c, b, reply, region);
    else if (code == EXIT_DONE && reply_text(reply, "vault") != NULL)
        card_list_print(&b->list, reply_text(reply, "vault"));
    if (code != EXIT_DONE || other != EXIT_DONE) {
        say("The vault was made, but not all of it is usable here: see above. If nothing is in it "
            "yet, empty the daemon's data directory and begin again.");
        return code != EXIT_DONE ? code : other;
    }
    say("The vault is made and unlocked. Your profile is in %s; keep a copy of it.",
        c->profile.directory);
    return EXIT_DONE;
}

int init_run(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct birth b = { 0 };
    char region[LIMIT_REGION + 1] = "";
    char path[PATH_MAX];
    int code = check_arguments(c, &b);

    if (code == EXIT_DONE)
        code = check_vault(c, region);
    if (code == EXIT_DONE && !option_given(&c->options, OPT_YES)) {
        say("This makes a new vault in region %s. %llu of its %zu operators open it together; "
            "%s is the first.",
            region, (unsigned long long)b.quorum, c->options.operators.count, operator_at(c, 0));
        code = cli_confirm(c, "A vault's region stays as it is.");
    }
    if (code == EXIT_DONE)
        code = make_keys(c, &b);
    if (code == EXIT_DONE)
        code = use_keys(c, &b);
    if (code == EXIT_DONE)
        code = post_init(c, &b, &reply);
    if (code == EXIT_DONE) {
        code = finish(c, &b, reply, region);
    } else if (b.client_key != NULL) {
        if (code == EXIT_UNREACHABLE && b.enrolled_count > 0)
            say("If 'strongroom status' shows a vault now, it was made without you: empty the "
                "daemon's data directory and begin again.");
        profile_path(&c->profile, PROFILE_KEY, path);
        unlink(path);
    }
    birth_clear(&b);
    return code;
}
