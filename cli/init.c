/*
 * Makes a vault: enrols the first operator's hardware key, asks it once more for the secret of its
 * slot, and keeps what the vault answers: a certificate, the keys to pin, and the recovery card,
 * which is shown once and kept nowhere.
 *
 * Must:
 *  1. Whatever can fail on this machine fails before the vault is made.
 *  2. Once the vault is made, the card is shown, whatever else goes wrong.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "card.h"
#include "cli.h"
#include "commands.h"
#include "crypto/crypto.h"
#include "file.h"
#include "identity/identity.h"
#include "reply.h"
#include "table.h"
#include "touch.h"

#define DEFAULT_URL    "https://127.0.0.1:8443"
#define DEFAULT_SOCKET "/run/strongroom/strongroom.sock"

struct birth {
    struct wire_session session;
    struct fido_credential credential;
    struct fido_assertion assertion;
    char sealed[SESSION_SEALED_HEX];
    struct secret *client_key;
    char csr[LIMIT_CSR];
    struct secret *recovery_private;
    uint8_t recovery_public[32];
    /* of the answer */
    struct id slot;
    uint8_t intake_key[32];
    uint8_t ledger_key[32];
    struct secret *card; /* as text */
};

static void birth_clear(struct birth *b)
{
    secret_free(b->client_key);
    secret_free(b->recovery_private);
    secret_free(b->card);
    *b = (struct birth){ 0 };
}

static int check_arguments(struct cli *c)
{
    if (!name_valid(cli_option(c, OPT_OPERATOR)))
        return report(EXIT_USAGE, "--operator must be 1 to 63 of a-z 0-9 - _ . , beginning with a "
                                  "letter or digit");
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
        identity_csr_new(b->client_key, cli_option(c, OPT_OPERATOR), b->csr, sizeof(b->csr), &e) !=
            OK ||
        secret_random(32, &b->recovery_private, &e) != OK)
        return report_err("making keys", &e);
    box_public(secret_view(b->recovery_private), b->recovery_public);
    profile_path(&c->profile, PROFILE_KEY, path);
    if (file_write(path, FILE_PRIVATE, secret_view(b->client_key), &e) != OK)
        return report_file(path, &e);
    return EXIT_DONE;
}

static int use_key(struct cli *c, struct birth *b)
{
    AUTO(secret) *secrets = NULL;
    struct wire_session_request request = { .purpose = SESSION_INIT };
    struct touch t;
    int code = touch_open(c, &t);

    if (code == EXIT_DONE) {
        say("The hardware key asks for its PIN and for two touches: one enrols it, one opens.");
        code = touch_enrol(&t, cli_option(c, OPT_OPERATOR), NULL, 0, &b->credential);
    }
    /* Only now: a session does not wait for a slow first touch. */
    if (code == EXIT_DONE)
        code = session_begin(c, "/v1/init/session", json_object(), &request, &b->session);
    if (code == EXIT_DONE)
        code = touch_assert(&t, &b->credential, &b->session, &b->assertion, &secrets);
    if (code == EXIT_DONE)
        code = session_seal(&b->session, secret_view(secrets), b->sealed);
    touch_clear(&t);
    return code;
}

static int post_init(struct cli *c, const struct birth *b, json_t **ret_reply)
{
    char session[ID_HEX_LENGTH + 1];
    char aaguid[33];
    char credential_id[2 * LIMIT_CREDENTIAL_ID + 1];
    char public_key[129];
    char recovery_key[65];

    hex_format(SPAN(b->session.session.b), session);
    hex_format(SPAN(b->credential.aaguid), aaguid);
    hex_format(span_of(b->credential.id, b->credential.id_length), credential_id);
    hex_format(SPAN(b->credential.cose_public), public_key);
    hex_format(SPAN(b->recovery_public), recovery_key);
    AUTO(json_t) *request = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "session", session, "operator",
        cli_option(c, OPT_OPERATOR), "credential_id", credential_id, "public_key", public_key,
        "aaguid", aaguid, "sealed_secret", b->sealed, "recovery_key", recovery_key, "csr", b->csr);
    int code = session_add_assertion(request, &b->assertion);

    if (code != EXIT_DONE)
        return code;
    return https_call(c, METHOD_POST, "/v1/init", json_incref(request), ret_reply);
}

/* slot id | code, sealed to our one-time key. */
static int open_card(struct birth *b, const json_t *reply)
{
    AUTO(secret) *plain = NULL;
    uint8_t sealed[16 + CARD_CODE + BOX_OVERHEAD];
    struct err e = { 0 };

    if (!reply_hex(reply, "sealed_recovery", sealed, sizeof(sealed)))
        return reply_report("recovery card");
    status st = box_open(secret_view(b->recovery_private), SPAN(sealed), &plain, &e);

    if (st == OK) {
        struct span all = secret_view(plain);

        memcpy(b->slot.b, all.p, sizeof(b->slot.b));
        st = card_format(span_of(all.p + 16, CARD_CODE), &b->card, &e);
    }
    return st == OK ? EXIT_DONE : report_err("the sealed recovery card", &e);
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
    if (holder.role != ROLE_OPERATOR || strcmp(holder.name, cli_option(c, OPT_OPERATOR)) != 0)
        return report(EXIT_OTHER, "the new certificate names somebody else");
    return EXIT_DONE;
}

static int check_reply(struct cli *c, struct birth *b, const json_t *reply)
{
    struct id vault;

    if (!reply_id(reply, "vault", &vault) || !id_same(&vault, &b->session.vault))
        return report(EXIT_OTHER, "the vault was made under another identifier than agreed");
    if (!reply_hex(reply, "intake_key", b->intake_key, 32) ||
        !reply_hex(reply, "ledger_key", b->ledger_key, 32))
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
    const char *operator= cli_option(c, OPT_OPERATOR);

    for (size_t i = 0; i < 2; i++) {
        profile_path(&c->profile, files[i][0], path);
        if (file_write(path, FILE_PUBLIC, span_text(reply_text(reply, files[i][1])), &e) != OK)
            return report_file(path, &e);
    }
    (void)b;
    return profile_write_new(
        c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{}}", "url",
                     cli_option(c, OPT_URL), "vault", reply_text(reply, "vault"), "region", region,
                     "role", "operator", "name", operator, "operator", operator, "intake_key",
                     reply_text(reply, "intake_key"), "ledger_key", reply_text(reply, "ledger_key"),
                     "checkpoints"));
}

static void show_card(const struct birth *b, const json_t *reply)
{
    char slot[ID_HEX_LENGTH + 1];
    struct span text = secret_view(b->card);

    hex_format(SPAN(b->slot.b), slot);
    print("\nRECOVERY CARD of vault %.32s\n\n", reply_text(reply, "vault"));
    print("    slot   %s\n    code   ", slot);
    /* Two lines of seven groups; each group has a space behind it but the last. */
    print_span(span_of(text.p, CARD_TEXT / 2));
    print("\n           ");
    print_span(span_of(text.p + CARD_TEXT / 2 + 1, CARD_TEXT / 2));
    print(
        "\n\nWrite it on paper, now, and lock it away. It opens the vault when every hardware key "
        "is\nlost ('strongroom unlock --recovery'). It is shown this once and stored nowhere.\n\n");
}

/* The reply's public part and the card, for programs. */
static int show_json(struct cli *c, const struct birth *b, const json_t *reply, const char *region)
{
    char slot[ID_HEX_LENGTH + 1];
    struct span text = secret_view(b->card);

    hex_format(SPAN(b->slot.b), slot);
    AUTO(json_t) *summary = json_pack(
        "{s:O, s:O, s:s, s:s, s:s, s:s, s:{s:s, s:s%}}", "vault", json_object_get(reply, "vault"),
        "slot", json_object_get(reply, "slot"), "operator", cli_option(c, OPT_OPERATOR), "region",
        region, "url", cli_option(c, OPT_URL), "profile", c->profile.directory, "recovery", "slot",
        slot, "code", (const char *)text.p, text.n);

    if (summary == NULL)
        return reply_report("vault");
    table_print_json(summary);
    return EXIT_DONE;
}

static int finish(struct cli *c, struct birth *b, const json_t *reply, const char *region)
{
    int code = open_card(b, reply);
    int other = check_reply(c, b, reply);

    if (other == EXIT_DONE)
        other = write_profile(c, b, reply, region);
    if (code == EXIT_DONE && cli_json(c))
        code = show_json(c, b, reply, region);
    else if (code == EXIT_DONE && reply_text(reply, "vault") != NULL)
        show_card(b, reply);
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
    int code = check_arguments(c);

    if (code == EXIT_DONE)
        code = check_vault(c, region);
    if (code == EXIT_DONE && !option_given(&c->options, OPT_YES)) {
        say("This makes a new vault in region %s with %s as its first operator.", region,
            cli_option(c, OPT_OPERATOR));
        code = cli_confirm(c, "A vault's region and its first operator stay.");
    }
    if (code == EXIT_DONE)
        code = make_keys(c, &b);
    if (code == EXIT_DONE)
        code = use_key(c, &b);
    if (code == EXIT_DONE)
        code = post_init(c, &b, &reply);
    if (code == EXIT_DONE) {
        code = finish(c, &b, reply, region);
    } else if (b.client_key != NULL) {
        if (code == EXIT_UNREACHABLE && b.sealed[0] != '\0')
            say("If 'strongroom status' shows a vault now, it was made without you: empty the "
                "daemon's data directory and begin again.");
        profile_path(&c->profile, PROFILE_KEY, path);
        unlink(path);
    }
    birth_clear(&b);
    return code;
}
