/* Certificates of people and programs: made here, signed by the vault, revoked by key hash. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli.h"
#include "commands.h"
#include "file.h"
#include "identity/identity.h"
#include "reply.h"
#include "table.h"

static const struct column columns[] = {
    { "ROLE", "role", COLUMN_TEXT },           { "NAME", "name", COLUMN_TEXT },
    { "SEES", "scope", COLUMN_TEXT },          { "ISSUED", "issued", COLUMN_TIME },
    { "NOT AFTER", "not_after", COLUMN_TIME }, { "REVOKED", "revoked", COLUMN_TIME },
    { "SPKI", "spki", COLUMN_TEXT },
};

/* Key and request, without any other program and without a vault. */
int certificate_request(struct cli *c)
{
    AUTO(secret) *key = NULL;
    char csr[LIMIT_CSR];
    struct err e = { 0 };
    const char *name = cli_option(c, OPT_NAME);
    const char *key_path = cli_option(c, OPT_OUT_KEY);
    const char *csr_path = cli_option(c, OPT_OUT_CSR);

    if (!name_valid(name))
        return report(EXIT_USAGE,
                      "--name must be 1 to 63 of a-z 0-9 - _ . , beginning with a letter "
                      "or digit");
    if (identity_key_new(&key, &e) != OK || identity_csr_new(key, name, csr, sizeof(csr), &e) != OK)
        return report_err("making a key", &e);
    if (file_write(key_path, FILE_PRIVATE_NEW, secret_view(key), &e) != OK)
        return report_file(key_path, &e);
    if (file_write(csr_path, FILE_PUBLIC, span_text(csr), &e) != OK)
        return report_file(csr_path, &e);
    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:s, s:s, s:s}", "name", name, "key", key_path, "csr", csr_path);
        table_print_json(summary);
    } else {
        say("The private key is in %s and stays with you; hand in %s.", key_path, csr_path);
    }
    return EXIT_DONE;
}

/* What an auditor is to see, into body; nothing: the whole vault. */
static int add_tenants(const struct cli *c, enum role role, json_t *body)
{
    const struct repeated *tenants = &c->options.tenants;
    json_t *list = json_array();

    if (tenants->count == 0) {
        json_decref(list);
        return EXIT_DONE;
    }
    if (json_object_set_new(body, "tenants", list) != 0)
        return report(EXIT_OTHER, "no memory");
    if (role != ROLE_AUDITOR)
        return report(EXIT_USAGE, "--tenant goes with --role auditor");
    for (size_t i = 0; i < tenants->count; i++) {
        if (!name_valid(tenants->value[i]))
            return report(EXIT_USAGE, "--tenant must be the name of a tenant");
        if (json_array_append_new(list, json_string(tenants->value[i])) != 0)
            return report(EXIT_OTHER, "no memory");
    }
    return EXIT_DONE;
}

int certificate_issue(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    char csr[PEM_MAX];
    const char *role = cli_option(c, OPT_ROLE);
    enum role parsed = role_parse(role);

    if (parsed == ROLE_GATEWAY)
        return report(EXIT_USAGE, "certificates of gateways come with 'strongroom gateway add'");
    if (parsed == ROLE_NONE || parsed == ROLE_LOCAL)
        return report(EXIT_USAGE, "--role must be operator, admin, tenant or auditor");
    if (!name_valid(cli_option(c, OPT_NAME)))
        return report(EXIT_USAGE,
                      "--name must be 1 to 63 of a-z 0-9 - _ . , beginning with a letter "
                      "or digit");
    int code = cli_csr(c, csr);

    if (code != EXIT_DONE)
        return code;
    AUTO(json_t) *body =
        json_pack("{s:s, s:s, s:s}", "role", role, "name", cli_option(c, OPT_NAME), "csr", csr);

    code = add_tenants(c, parsed, body);
    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, "/v1/certificates", json_incref(body), &reply);
    if (code == EXIT_DONE && parsed == ROLE_AUDITOR && c->options.tenants.count == 0)
        say("This auditor sees the whole vault; --tenant would have limited the certificate.");
    return code == EXIT_DONE ? cli_certificate_out(c, reply) : code;
}

int certificate_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_list(c, "/v1/certificates", "certificates", &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "certificates"), COLUMNS(columns),
                    "There are no certificates.");
    return EXIT_DONE;
}

int certificate_revoke(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *spki = cli_argument(c, 0);
    uint8_t parsed[32];

    if (!hex_parse(spki, strlen(spki), parsed, sizeof(parsed)))
        return report(EXIT_USAGE,
                      "give the 64 hexadecimal digits that 'strongroom certificate list' "
                      "shows as SPKI");
    int code = cli_confirm(c, "Who holds this certificate is shut out at once.");

    if (code == EXIT_DONE)
        code = https_call(c, METHOD_POST, "/v1/certificates/revoke",
                          json_pack("{s:s}", "spki", spki), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("The certificate is revoked.");
    return EXIT_DONE;
}
