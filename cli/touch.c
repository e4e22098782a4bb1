/*
 * Must:
 *  1. What the keeper is told is bound to what was signed: the transcript is computed here from
 *     the session and from the server certificate that this side saw, never taken from the server.
 *  2. A PIN is never tried twice by itself: keys count wrong ones.
 */
#include "touch.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "crypto/crypto.h"
#include "prompt.h"
#include "reply.h"

#define PIN_MAX 63

static volatile sig_atomic_t cancel_count;

/* First the key is told to stop blinking; whoever insists gets the usual course. */
static void on_signal(int number)
{
    cancel_count++;
    if (cancel_count > 1) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

static void catch_signals(bool on)
{
    struct sigaction action = { .sa_handler = on ? on_signal : SIG_DFL };

    cancel_count = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static bool on_cancelled(void *context)
{
    (void)context;
    return cancel_count > 0;
}

static void on_say(void *context, const char *text)
{
    (void)context;
    say("%s", text);
}

/* The device keeps a PIN that was right, so one command asks once. */
static status on_pin(void *context, int retries_left, struct secret **ret_pin, struct err *e)
{
    struct touch *t = context;
    char question[80];

    if (t->pin_stdin) {
        /* One line is one try: a program that pipes a wrong PIN must not use the key up. */
        if (t->pin_read)
            return fail(e, DENIED, "the key does not accept this PIN", 0);
        t->pin_read = true;
        return prompt_stdin_line(PIN_MAX, ret_pin, e);
    }
    if (retries_left >= 0)
        snprintf(question, sizeof(question),
                 "PIN of the hardware key (%d tries left): ", retries_left);
    else
        snprintf(question, sizeof(question), "PIN of the hardware key: ");
    status st = prompt_secret(question, PIN_MAX, ret_pin, e);

    if (st == NOT_FOUND)
        say("There is no terminal to ask for the PIN: a program gives it with --pin-stdin.");
    return st;
}

static int report_key(const struct err *e)
{
    int tries = fido_tries_left(e);

    if (cancel_count > 0)
        return report(EXIT_AUTHENTICATOR, "cancelled; nothing was changed");
    if (tries >= 0)
        return report(EXIT_AUTHENTICATOR, "hardware key: %s (%d tries left)", e->why, tries);
    if (strcmp(e->why, FIDO_ENROLLED) == 0)
        return report(EXIT_CONFLICT, "hardware key: %s", e->why);
    if (e->code == BUG)
        return report(EXIT_AUTHENTICATOR, "hardware key: %s (%lld)", e->why, (long long)e->detail);
    return report(EXIT_AUTHENTICATOR, "hardware key: %s", e->why);
}

/* Whether a person who slipped may try again: not a pipe, and never without asking anew. */
static bool may_retry(struct touch *t, struct err *e)
{
    bool refused = strcmp(e->why, FIDO_REFUSED_PROOF) == 0 && !t->proof_retried;

    if (t->pin_stdin || cancel_count > 0 || (fido_tries_left(e) <= 0 && !refused))
        return false;
    t->proof_retried |= refused;
    say("%s", e->why);
    *e = (struct err){ 0 };
    return true;
}

static void begin(const struct cli *c, struct touch *t)
{
    *t = (struct touch){ .pin_stdin = option_given(&c->options, OPT_PIN_STDIN) };
    t->ui =
        (struct fido_ui){ .say = on_say, .pin = on_pin, .cancelled = on_cancelled, .context = t };
    catch_signals(true);
}

int touch_open_path(struct cli *c, struct touch *t, const char *path_or_null)
{
    struct err e = { 0 };

    begin(c, t);
    if (fido_open(path_or_null, &t->ui, &t->device, &e) != OK)
        return report_key(&e);
    return EXIT_DONE;
}

int touch_open(struct cli *c, struct touch *t)
{
    return touch_open_path(c, t, cli_option(c, OPT_DEVICE));
}

int touch_find(struct cli *c, struct touch *t, const struct fido_credential *credentials,
               size_t count, size_t *ret_index)
{
    struct err e = { 0 };
    status st;

    begin(c, t);
    do
        st = fido_open_with(cli_option(c, OPT_DEVICE), &t->ui, credentials, count, &t->device,
                            ret_index, &e);
    while (st != OK && may_retry(t, &e));
    return st == OK ? EXIT_DONE : report_key(&e);
}

void touch_clear(struct touch *t)
{
    catch_signals(false);
    fido_close(t->device);
    *t = (struct touch){ 0 };
}

int touch_enrol(struct touch *t, const char *user, const struct fido_credential *exclude,
                size_t exclude_count, struct fido_credential *ret_credential)
{
    uint8_t fresh[32];
    struct err e = { 0 };
    status st;

    /* Nobody checks this signature later: the credential proves itself by the assertion. */
    random_bytes((struct mspan){ .p = fresh, .n = sizeof(fresh) });
    do
        st = fido_enrol(t->device, user, SPAN(fresh), exclude, exclude_count, ret_credential, &e);
    while (st != OK && may_retry(t, &e));
    return st == OK ? EXIT_DONE : report_key(&e);
}

int touch_assert(struct touch *t, const struct fido_credential *credential,
                 const struct wire_session *session, struct fido_assertion *ret_assertion,
                 struct secret **ret_secrets)
{
    struct err e = { 0 };
    status st;

    do
        st = fido_assert(t->device, credential, SPAN(session->transcript), SPAN(session->salt),
                         SPAN(session->salt_next), ret_assertion, ret_secrets, &e);
    while (st != OK && may_retry(t, &e));
    return st == OK ? EXIT_DONE : report_key(&e);
}

/* The pinned ledger key; pinned now if it has never been seen. */
static int ledger_key(struct cli *c, uint8_t out[static 32])
{
    AUTO(json_t) *reply = NULL;

    if (profile_hex(&c->profile, "ledger_key", out, 32))
        return EXIT_DONE;
    int code = https_call(c, METHOD_GET, "/v1/keys", NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    if (!reply_hex(reply, "ledger_key", out, 32))
        return reply_report("ledger_key");
    return profile_pin(c, "ledger_key", span_of(out, 32));
}

/* Does keeper_key come from the keeper of the vault that we know? An open vault can say so. Over
 * the local socket there may be no profile to know it by. */
static int check_keeper(struct cli *c, const struct wire_session_request *request,
                        const struct wire_session *s)
{
    uint8_t key[32];
    struct label l;

    if (request->purpose != SESSION_ENROL && request->purpose != SESSION_APPROVE)
        return EXIT_DONE;
    if (cli_option(c, OPT_SOCKET) != NULL && !profile_hex(&c->profile, "ledger_key", key, 32))
        return EXIT_DONE;
    int code = ledger_key(c, key);

    if (code != EXIT_DONE)
        return code;
    wire_session_signed(request, s, &l);
    return ed25519_verify(SPAN(key), label_view(&l), SPAN(s->signature))
               ? EXIT_DONE
               : report(EXIT_UNVERIFIED,
                        "the session is not signed by this vault's keeper; the key "
                        "was not asked. Find out who answers there");
}

int session_begin(struct cli *c, const char *path, json_t *body,
                  struct wire_session_request *request, struct wire_session *ret_session)
{
    AUTO(json_t) *reply = NULL;
    struct wire_session s = { 0 };
    uint64_t epoch = 0;
    int code = https_call(c, METHOD_POST, path, body, &reply);

    if (code != EXIT_DONE)
        return code;
    const char *rp_id = reply_text(reply, "rp_id");

    if (!reply_id(reply, "session", &s.session) || !reply_id(reply, "vault", &s.vault) ||
        !reply_hex(reply, "nonce", s.nonce, sizeof(s.nonce)) ||
        !reply_hex(reply, "keeper_key", s.keeper_key, sizeof(s.keeper_key)) ||
        !reply_hex(reply, "salt", s.salt, sizeof(s.salt)) ||
        !reply_hex(reply, "salt_next", s.salt_next, sizeof(s.salt_next)) ||
        !reply_hex(reply, "signature", s.signature, sizeof(s.signature)) ||
        !reply_number(reply, "epoch", UINT32_MAX, &epoch))
        return reply_report("session");
    if (rp_id == NULL || strcmp(rp_id, FIDO_RP_ID) != 0)
        return report(EXIT_OTHER, "the vault asks the hardware key for another relying party");
    s.epoch = (uint32_t)epoch;
    /* Over the local socket there is no certificate, and nobody in between. */
    if (request->purpose != SESSION_INIT && cli_option(c, OPT_SOCKET) == NULL) {
        code = https_server_certificate(c, request->server_certificate);
        if (code != EXIT_DONE)
            return code;
    }
    wire_transcript(request, &s, s.transcript);
    *ret_session = s;
    return check_keeper(c, request, &s);
}

int session_seal(const struct wire_session *session, struct span secret,
                 char out[static SESSION_SEALED_HEX])
{
    AUTO(secret) *plain = NULL;
    uint8_t sealed[3 * 32 + BOX_OVERHEAD];
    struct err e = { 0 };
    status st = secret.n <= 64 ? secret_new(32 + secret.n, &plain, &e)
                               : fail(&e, BUG, "the secret is too long", 0);

    if (st == OK) {
        uint8_t *p = secret_fill(plain).p;

        memcpy(p, session->transcript, 32);
        memcpy(p + 32, secret.p, secret.n);
        st = box_seal(SPAN(session->keeper_key), secret_view(plain), sealed, &e);
    }
    if (st != OK)
        return report_err("sealing to the keeper", &e);
    hex_format(span_of(sealed, 32 + secret.n + BOX_OVERHEAD), out);
    return EXIT_DONE;
}

static json_t *json_hex(struct span s)
{
    char text[2 * FIDO_AUTH_DATA_MAX + 1];

    hex_format(s, text);
    return json_string(text);
}

int session_add_assertion(json_t *request, const struct fido_assertion *assertion)
{
    struct span data = span_of(assertion->auth_data, assertion->auth_data_length);
    struct span signature = span_of(assertion->signature, assertion->signature_length);

    if (json_object_set_new(request, "auth_data", json_hex(data)) != 0 ||
        json_object_set_new(request, "signature", json_hex(signature)) != 0)
        return report(EXIT_OTHER, "no memory");
    return EXIT_DONE;
}
