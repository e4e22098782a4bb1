/* Profiles of those who did not run init: tenants, admins, auditors, gateways, more operators. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli.h"
#include "commands.h"
#include "file.h"
#include "identity/identity.h"
#include "table.h"

/* The vault's identifier in the certificate's URI name, strongroom://<32 hex>/... It is text in the
 * DER; what it is worth is decided by the verification that follows. */
static bool find_vault(struct span der, struct id *ret_vault)
{
    static const char scheme[] = "strongroom://";
    const uint8_t *p = memmem(der.p, der.n, scheme, sizeof(scheme) - 1);

    if (p == NULL)
        return false;
    p += sizeof(scheme) - 1;
    if ((size_t)(der.p + der.n - p) < ID_HEX_LENGTH)
        return false;
    return hex_parse((const char *)p, ID_HEX_LENGTH, ret_vault->b, sizeof(ret_vault->b));
}

static int check(const char *certificate, const char *ca, struct id *ret_vault,
                 struct holder *ret_holder)
{
    struct identity_verifier *verifier = NULL;
    uint8_t der[LIMIT_CERTIFICATE];
    struct out out;
    struct err e = { 0 };

    out_init(&out, der, sizeof(der));
    if (identity_pem_to_der(span_text(certificate), &out, &e) != OK)
        return report_err("--certificate", &e);
    if (!find_vault(span_of(out.p, out.n), ret_vault))
        return report(EXIT_USAGE, "--certificate is not one that a vault issued to a client");
    status st = identity_verifier_new(span_text(ca), ret_vault, &verifier, &e);

    if (st == OK)
        st = identity_verify(verifier, span_of(out.p, out.n), clock_wall_us(), ret_holder, &e);
    identity_verifier_free(verifier);
    return st == OK ? EXIT_DONE : report_err("--certificate and --ca", &e);
}

struct parts {
    char certificate[PEM_MAX];
    char ca[PEM_MAX];
    struct secret *key;
};

static int read_parts(const struct cli *c, struct parts *p)
{
    const char *path = cli_option(c, OPT_CERTIFICATE);
    struct err e = { 0 };
    status st = file_read(path, p->certificate, PEM_MAX, &e);

    if (st == OK) {
        path = cli_option(c, OPT_CA);
        st = file_read(path, p->ca, PEM_MAX, &e);
    }
    if (st == OK) {
        path = cli_option(c, OPT_KEY);
        st = file_read_secret(path, PEM_MAX, &p->key, &e);
    }
    return st == OK ? EXIT_DONE : report_file(path, &e);
}

static int write_parts(struct cli *c, const struct parts *p)
{
    const struct {
        const char *file;
        enum file_mode mode;
        struct span content;
    } files[] = {
        { PROFILE_KEY, FILE_PRIVATE, secret_view(p->key) },
        { PROFILE_CERTIFICATE, FILE_PUBLIC, span_text(p->certificate) },
        { PROFILE_CA, FILE_PUBLIC, span_text(p->ca) },
    };
    char path[PATH_MAX];
    struct err e = { 0 };

    if (file_make_directory(c->profile.directory, &e) != OK)
        return report_file(c->profile.directory, &e);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        profile_path(&c->profile, files[i].file, path);
        if (file_write(path, files[i].mode, files[i].content, &e) != OK)
            return report_file(path, &e);
    }
    return EXIT_DONE;
}

static int create(struct cli *c, const struct parts *p)
{
    struct holder holder = { 0 };
    struct id vault;
    char vault_text[ID_HEX_LENGTH + 1];
    int code = check(p->certificate, p->ca, &vault, &holder);

    if (code == EXIT_DONE)
        code = write_parts(c, p);
    if (code != EXIT_DONE)
        return code;
    hex_format(SPAN(vault.b), vault_text);
    code = profile_write_new(
        c, json_pack("{s:s, s:s, s:s, s:s, s:s*, s:{}}", "url", cli_option(c, OPT_URL), "vault",
                     vault_text, "role", role_name(holder.role), "name", holder.name, "operator",
                     holder.role == ROLE_OPERATOR ? holder.name : NULL, "checkpoints"));
    if (code == EXIT_DONE && cli_json(c))
        table_print_json(c->profile.root);
    else if (code == EXIT_DONE)
        say("The profile of %s %s is in %s.", role_name(holder.role), holder.name,
            c->profile.directory);
    return code;
}

int profile_create(struct cli *c)
{
    struct parts parts = { .key = NULL };

    if (!https_url_valid(cli_option(c, OPT_URL)))
        return report(EXIT_USAGE, "--url must be https://host:port");
    if (profile_exists(c))
        return report(EXIT_CONFLICT,
                      "there is a profile in %s already: name another directory with "
                      "--profile",
                      c->profile.directory);
    int code = read_parts(c, &parts);

    if (code == EXIT_DONE)
        code = create(c, &parts);
    secret_free(parts.key);
    return code;
}

static const struct column columns[] = {
    { "url", "url", COLUMN_TEXT },
    { "vault", "vault", COLUMN_TEXT },
    { "region", "region", COLUMN_TEXT },
    { "role", "role", COLUMN_TEXT },
    { "name", "name", COLUMN_TEXT },
    { "intake key", "intake_key", COLUMN_TEXT },
    { "ledger key", "ledger_key", COLUMN_TEXT },
    { "delivery key", "delivery_key", COLUMN_TEXT },
};

int profile_show(struct cli *c)
{
    char path[PATH_MAX];
    char certificate[PEM_MAX];
    char time[TIME_TEXT_LENGTH + 1];
    uint64_t not_after = 0;
    int code = profile_load(c);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        table_print_json(c->profile.root);
        return EXIT_DONE;
    }
    table_print_one(c->profile.root, COLUMNS(columns));
    profile_path(&c->profile, PROFILE_CERTIFICATE, path);
    if (file_read(path, certificate, sizeof(certificate), NULL) == OK &&
        identity_not_after(span_text(certificate), &not_after, NULL) == OK) {
        time_format(not_after, time);
        print("valid until %.19sZ\n", time);
    }
    return EXIT_DONE;
}

/* For everybody but the one who accepted a rollback: whose profile knew what was given up. */
int profile_forget(struct cli *c)
{
    int code = profile_load(c);

    if (code == EXIT_DONE)
        code =
            cli_confirm(c, "What was seen of this vault's trails is forgotten: whatever it shows "
                           "next is believed. Do this only if its operators have accepted a "
                           "rollback, and look for their record 'rollback.accepted' afterwards.");
    if (code == EXIT_DONE)
        code = profile_forget_seen(c);
    if (code == EXIT_DONE && !cli_json(c))
        say("Forgotten. Run 'strongroom audit verify' and compare with what others have seen.");
    return code;
}
