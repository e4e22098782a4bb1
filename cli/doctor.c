/*
 * doctor: what is wrong on this machine and with the vault, and what to do about it. One table of
 * checks, in the order in which one finding explains the next; what a check needs and is not there
 * leaves it unchecked. Nothing is changed, no key is touched, no PIN is used.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "commands.h"
#include "reply.h"
#include "sandbox/hygiene.h"
#include "secret/secret.h"
#include "table.h"

#define TEXT_MAX    768
#define CLOCK_OFF_S 60
#define SOON_US     (30 * DAY_S * SECOND_US)

static const char *const verdicts[VERDICT_COUNT] = { "ok", "warn", "fail", "unchecked" };

static void keep(struct examination *x, enum verdict v, const char *what, const char *todo)
{
    if (v == FAILED && x->worst == EXIT_DONE)
        x->worst = (int)x->code;
    (void)json_array_append_new(x->findings,
                                json_pack("{s:s, s:s, s:s, s:s, s:s?}", "of", x->place, "name",
                                          x->name, "state", verdicts[v], "what", what, "do", todo));
}

/* Names of devices and paths need not be UTF-8, or may have been cut within a character. */
static void tame(char *text)
{
    json_t *valid = json_string(text);

    for (char *p = text; valid == NULL && *p != '\0'; p++)
        *p = (*p & 0x80) != 0 ? '?' : *p;
    json_decref(valid);
    text_tame(text);
}

void found(struct examination *x, enum verdict v, const char *todo, const char *format, ...)
{
    char what[TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    tame(what);
    keep(x, v, what, todo);
}

void found_refusal(struct examination *x, enum verdict v, const char *todo)
{
    char *gap = strstr(x->why, ". ");

    if (gap != NULL) {
        *gap = '\0';
        todo = gap + 2;
    }
    size_t n = strlen(x->why);

    found(x, v, v == UNCHECKED ? NULL : todo, "%s%s%s", v == UNCHECKED ? "Not checked: " : "",
          x->why, n > 0 && x->why[n - 1] == '.' ? "" : ".");
}

int doctor_get(struct examination *x, const char *path, json_t **ret_reply)
{
    report_catch(x->why, sizeof(x->why));
    int code = https_call(x->c, METHOD_GET, path, NULL, ret_reply);

    report_catch(NULL, 0);
    return code;
}

/* --- this process ---------------------------------------------------------------------------- */

static const struct hygiene_row *protection(uint32_t fact)
{
    const struct hygiene_row *row = NULL;

    for (size_t i = 0; (row = hygiene_row(i)) != NULL && row->fact != fact; i++)
        continue;
    return row;
}

static void look_at_locking(struct examination *x)
{
    struct err e = { 0 };
    status st = cli_start(&e);

    if (st == OK) {
        x->facts |= HAS_SECRETS;
        found(x, FINE, NULL, "Memory for secrets is locked.");
    } else if (st == LIMIT || st == IO) {
        found(x, FAILED, CLI_MEMLOCK_REMEDY, "Memory for secrets cannot be locked.");
    } else {
        found(x, FAILED, "Use another machine or build.", "The cryptography does not start: %s.",
              e.why);
    }
}

static void look_at_hiding(struct examination *x)
{
    const struct hygiene_row *row = protection(HYGIENE_MEMFD_SECRET);

    if (secret_is_hidden())
        found(x, FINE, NULL, "Not even root can read the memory for secrets.");
    else
        found(x, WARNED, row->remedy, "%s", row->missing);
}

static void look_at_dumps(struct examination *x)
{
    struct rlimit limit = { 1, 1 };
    const struct hygiene_row *row = NULL;

    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        row = protection(HYGIENE_NOT_DUMPABLE);
    else if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0)
        row = protection(HYGIENE_NO_CORE_FILES);
    if (row == NULL)
        found(x, FINE, NULL, "This program leaves no core dumps.");
    else
        found(x, FAILED, row->remedy, "%s", row->missing);
}

/* --- the way to the vault -------------------------------------------------------------------- */

static void look_at_connection(struct examination *x)
{
    bool local = cli_option(x->c, OPT_SOCKET) != NULL;

    if (!local && (x->facts & HAS_PROFILE) == 0) {
        found(x, UNCHECKED, NULL,
              "Not checked: there is neither a profile that can be read nor --socket.");
        return;
    }
    int code = doctor_get(x, "/v1/status", &x->status);

    if (code != EXIT_DONE) {
        x->code = (enum exit_code)code;
        found_refusal(x, FAILED,
                      "Check the URL, what is said above of the certificate, and both clocks.");
        return;
    }
    const char *state = reply_text(x->status, "state");

    x->facts |= HAS_VAULT | (local ? 0 : HAS_TLS);
    found(x, FINE, NULL, "The vault answers over %s; it is %s.",
          local ? "the local socket" : "TLS 1.3", state != NULL ? state : "in an unknown state");
}

static void look_at_identity(struct examination *x)
{
    struct id here, there;

    if (!profile_hex(&x->c->profile, "vault", here.b, sizeof(here.b)) ||
        !reply_id(x->status, "vault", &there))
        found(x, UNCHECKED, NULL, "Not checked: the vault does not tell its identifier.");
    else if (id_same(&here, &there))
        found(x, FINE, NULL, "It is the vault of the profile.");
    else
        found(x, FAILED,
              "Name the profile of this vault with --profile; if there is none other, find out who "
              "answers there before you touch a key.",
              "It is not the vault of the profile.");
}

static void look_at_server_certificate(struct examination *x)
{
    uint64_t end = x->c->https.certificate_not_after_us;
    char text[TIME_TEXT_LENGTH + 1];

    time_format(end, text);
    if (end == 0)
        found(x, UNCHECKED, NULL, "Not checked: the TLS library does not show it.");
    else if (end < clock_wall_us() + SOON_US)
        found(x, WARNED, "Unlock the vault: it renews the certificate by itself.",
              "The server's certificate ends on %.10s.", text);
    else
        found(x, FINE, NULL, "The server's certificate is good until %.10s.", text);
}

static void look_at_clock(struct examination *x)
{
    const char *text = reply_text(x->status, "time");
    uint64_t here = clock_wall_us();
    uint64_t there = 0;

    if (text == NULL || !time_parse(text, strlen(text), &there)) {
        found(x, UNCHECKED, NULL, "Not checked: the vault does not tell its time to this role.");
        return;
    }
    uint64_t apart = (here > there ? here - there : there - here) / SECOND_US;

    if (apart > CLOCK_OFF_S)
        found(x, WARNED,
              "Set the clock of the machine that is wrong; if it is the vault's, see 'strongroom "
              "help clock'.",
              "This machine's clock is %llu s %s the vault's.", (unsigned long long)apart,
              here > there ? "ahead of" : "behind");
    else
        found(x, FINE, NULL, "This machine's clock agrees with the vault's.");
}

/* --- the vault itself ------------------------------------------------------------------------ */

/* What else than EXIT_OTHER a failed check of the daemon means. */
static const struct {
    const char *name;
    enum exit_code code;
} vault_codes[] = {
    { "vault-state", EXIT_LOCKED },
    { "disk-space", EXIT_BOUND },
};

static void pass_on(struct examination *x, const json_t *item)
{
    const char *state = reply_text(item, "state");
    const char *what = reply_text(item, "what");
    enum verdict v = FINE;

    x->name = reply_text(item, "name");
    if (x->name == NULL || state == NULL || what == NULL)
        return;
    while (v < VERDICT_COUNT && strcmp(verdicts[v], state) != 0)
        v++;
    x->code = EXIT_OTHER;
    for (size_t i = 0; i < sizeof(vault_codes) / sizeof(vault_codes[0]); i++) {
        if (strcmp(vault_codes[i].name, x->name) == 0)
            x->code = vault_codes[i].code;
    }
    keep(x, v < VERDICT_COUNT ? v : UNCHECKED, what, reply_text(item, "do"));
}

static void look_at_vault(struct examination *x)
{
    AUTO(json_t) *reply = NULL;
    const json_t *item = NULL;
    size_t i = 0;

    x->place = "vault";
    if (doctor_get(x, "/v1/doctor", &reply) != EXIT_DONE) {
        found_refusal(x, UNCHECKED, NULL);
        return;
    }
    json_array_foreach(json_object_get(reply, "checks"), i, item) pass_on(x, item);
}

/* --- all of it ------------------------------------------------------------------------------- */

static const struct check {
    const char *name;
    enum exit_code code; /* if it fails */
    unsigned needs;      /* facts */
    void (*look)(struct examination *x);
} checks[] = {
    { "memory-locked", EXIT_OTHER, 0, look_at_locking },
    { "memory-hidden", EXIT_OTHER, HAS_SECRETS, look_at_hiding },
    { "core-dumps", EXIT_OTHER, 0, look_at_dumps },
    { "profile", EXIT_OTHER, 0, look_at_profile },
    { "profile-directory", EXIT_OTHER, HAS_PROFILE, look_at_directory },
    { "private-key", EXIT_DENIED, HAS_PROFILE, look_at_private_key },
    { "pinned-keys", EXIT_OTHER, HAS_PROFILE, look_at_pins },
    { "certificate", EXIT_DENIED, HAS_PROFILE, look_at_certificate },
    { "certificate-key", EXIT_DENIED, HAS_CERTIFICATE | HAS_SECRETS, look_at_pair },
    { "certificate-validity", EXIT_DENIED, HAS_CERTIFICATE, look_at_validity },
    { "connection", EXIT_UNREACHABLE, 0, look_at_connection },
    { "vault-identity", EXIT_CONFLICT, HAS_PROFILE | HAS_VAULT, look_at_identity },
    { "server-certificate", EXIT_DENIED, HAS_VAULT | HAS_TLS, look_at_server_certificate },
    { "clock", EXIT_OTHER, HAS_VAULT, look_at_clock },
    { "hardware-key", EXIT_AUTHENTICATOR, 0, look_at_hardware_keys },
    { "vault", EXIT_OTHER, HAS_VAULT, look_at_vault },
};

static const struct {
    enum doctor_fact fact;
    const char *absent;
} absences[] = {
    { HAS_SECRETS, "memory for secrets is not locked" },
    { HAS_PROFILE, "there is no profile that can be read" },
    { HAS_CERTIFICATE, "there is no certificate of this vault" },
    { HAS_VAULT, "the vault was not reached" },
    { HAS_TLS, "there is no TLS on the local socket" },
};

static void run_check(struct examination *x, const struct check *row)
{
    x->name = row->name;
    x->code = row->code;
    for (size_t i = 0; i < sizeof(absences) / sizeof(absences[0]); i++) {
        if ((row->needs & ~x->facts & absences[i].fact) != 0) {
            found(x, UNCHECKED, NULL, "Not checked: %s.", absences[i].absent);
            return;
        }
    }
    row->look(x);
}

static void print_findings(const json_t *findings)
{
    const json_t *item = NULL;
    const char *place = "";
    char what[TEXT_MAX], todo[TEXT_MAX];
    size_t i = 0;

    json_array_foreach(findings, i, item)
    {
        const char *here = reply_text(item, "of");

        if (strcmp(place, here) != 0)
            print("%s%s\n", i > 0 ? "\n" : "",
                  strcmp(here, "here") == 0 ? "This machine" : "The vault");
        place = here;
        snprintf(what, sizeof(what), "%-9s  %-21.40s  %.600s", reply_text(item, "state"),
                 reply_text(item, "name"), reply_text(item, "what"));
        text_tame(what);
        print("%s\n", what);
        if (reply_text(item, "do") == NULL)
            continue;
        snprintf(todo, sizeof(todo), "%.700s", reply_text(item, "do"));
        text_tame(todo);
        print("%34s%s\n", "", todo);
    }
}

int doctor_run(struct cli *c)
{
    AUTO(json_t) *result = json_pack("{s:[]}", "checks");
    struct examination x = { .c = c,
                             .place = "here",
                             .findings = json_object_get(result, "checks") };

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        run_check(&x, &checks[i]);
    json_t_cleanup(&x.status);
    if (cli_json(c))
        table_print_json(result);
    else
        print_findings(x.findings);
    return x.worst;
}
