/* The Vault-compatible face: tenants that opt in, and what gateways get that cannot log in with a
 * certificate. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "file.h"
#include "reply.h"
#include "table.h"

static const struct column columns[] = {
    { "ENABLED", "enabled", COLUMN_TEXT },
    { "BINDING", "binding", COLUMN_TEXT },
    { "SINCE", "since", COLUMN_TIME },
};

static const struct column role_columns[] = {
    { "ROLE-ID", "role_id", COLUMN_TEXT },
    { "BINDING", "binding", COLUMN_TEXT },
    { "CIDR", "cidr", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
};

static const struct column token_columns[] = {
    { "ACCESSOR", "accessor", COLUMN_TEXT },
    { "CIDR", "cidr", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
    { "EXPIRES", "expires", COLUMN_TIME },
};

static int show(const struct cli *c, const json_t *reply)
{
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print_one(reply, COLUMNS(columns));
    return EXIT_DONE;
}

/* GET without a body, or POST; it takes the body. */
static int call_tenant(struct cli *c, json_t *taken)
{
    AUTO(json_t) *body = taken;
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    char path[128];
    int code = cli_name(c, 0, "a tenant", &name);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s/compat", name);
    code = https_call(c, body == NULL ? METHOD_GET : METHOD_POST, path, json_incref(body), &reply);
    return code == EXIT_DONE ? show(c, reply) : code;
}

int compat_enable(struct cli *c)
{
    return call_tenant(
        c, json_pack("{s:b, s:s*}", "enabled", 1, "binding", cli_option(c, OPT_BINDING)));
}

int compat_disable(struct cli *c)
{
    return call_tenant(c, json_pack("{s:b}", "enabled", 0));
}

int compat_show(struct cli *c)
{
    return call_tenant(c, NULL);
}

/* --- what a gateway gets --------------------------------------------------------------------- */

/* The reply as JSON, to a new file that only its owner may read, or to standard output. */
static int hand_out(const struct cli *c, const json_t *reply)
{
    AUTO(secret) *text = NULL;
    const char *out = cli_option(c, OPT_OUT);
    struct err e = { 0 };
    size_t n = json_dumpb(reply, NULL, 0, JSON_INDENT(2));
    status st;

    if (out == NULL) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    st = secret_new(n + 1, &text, &e);
    if (st == OK) {
        json_dumpb(reply, (char *)secret_fill(text).p, n, JSON_INDENT(2));
        secret_fill(text).p[n] = '\n';
        st = file_write(out, FILE_PRIVATE_NEW, secret_view(text), &e);
    }
    return st == OK ? EXIT_DONE : report_file(out, &e);
}

static int post_gateway(struct cli *c, const char *what, json_t *taken)
{
    AUTO(json_t) *body = taken;
    AUTO(json_t) *reply = NULL;
    const char *out = cli_option(c, OPT_OUT);
    const char *name = NULL;
    char path[128];
    int code = cli_name(c, 0, "a gateway", &name);

    if (code != EXIT_DONE)
        return code;
    if (out != NULL && access(out, F_OK) == 0) /* before there is a secret that would be lost */
        return report(EXIT_CONFLICT, "%s exists: --out never replaces a file", out);
    snprintf(path, sizeof(path), "/v1/gateways/%s/%s", name, what);
    code = https_call(c, METHOD_POST, path, json_incref(body), &reply);
    return code == EXIT_DONE ? hand_out(c, reply) : code;
}

int gateway_approle(struct cli *c)
{
    return post_gateway(c, "approles",
                        json_pack("{s:s*, s:s*}", "binding", cli_option(c, OPT_BINDING), "cidr",
                                  cli_option(c, OPT_CIDR)));
}

int gateway_token(struct cli *c)
{
    const char *text = cli_option(c, OPT_DAYS);
    uint64_t days = 90;

    if (text != NULL && !number_parse(text, 1, 825, &days))
        return report(EXIT_USAGE, "--days must be a number from 1 to 825");
    return post_gateway(
        c, "tokens",
        json_pack("{s:s, s:I}", "cidr", cli_option(c, OPT_CIDR), "days", (json_int_t)days));
}

static int get_compat(struct cli *c, const char *name, json_t **ret_reply)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/gateways/%s/compat", name);
    return https_call(c, METHOD_GET, path, NULL, ret_reply);
}

int gateway_logins(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    int code = cli_name(c, 0, "a gateway", &name);

    if (code == EXIT_DONE)
        code = get_compat(c, name, &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    table_print(json_object_get(reply, "approles"), COLUMNS(role_columns), "It has no roles.");
    table_print(json_object_get(reply, "tokens"), COLUMNS(token_columns),
                "It has no issued tokens.");
    return EXIT_DONE;
}

static bool is_listed(const json_t *reply, const char *list, const char *member, const char *id)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(reply, list), i, item)
    {
        const char *text = reply_text(item, member);

        if (text != NULL && strcmp(text, id) == 0)
            return true;
    }
    return false;
}

/* A role by its id or a token by its accessor: both are 32 digits, and no two are alike. */
int gateway_forget(struct cli *c)
{
    AUTO(json_t) *listed = NULL;
    AUTO(json_t) *reply = NULL;
    const char *name = NULL, *what, *id = cli_argument(c, 1);
    char path[192];
    struct id parsed;
    int code = cli_name(c, 0, "a gateway", &name);

    if (code != EXIT_DONE)
        return code;
    if (!id_parse(id, &parsed))
        return report(EXIT_USAGE, "give the 32 digits that 'strongroom gateway logins' shows");
    code = get_compat(c, name, &listed);
    if (code != EXIT_DONE)
        return code;
    what = is_listed(listed, "tokens", "accessor", id) ? "tokens" : "approles";
    code = cli_confirm(c, "Whoever reads keys by it is shut out at once; its leases end.");
    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/gateways/%s/%s/%s", name, what, id);
    code = https_call(c, METHOD_DELETE, path, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("It is gone.");
    return EXIT_DONE;
}
