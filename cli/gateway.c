/* Gateways, and what they may lease. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "operation.h"
#include "reply.h"
#include "table.h"

#define TTL_MAX_S 86400

static const struct column columns[] = {
    { "NAME", "name", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
    { "GRANTS", "grants", COLUMN_GRANTS },
};

/* Whether text is TENANT/NAME, TENANT/PREFIX* or TENANT/ *. */
static bool grant_key_valid(const char *text)
{
    char part[NAME_MAX_LENGTH + 1];
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : 0;

    if (slash == NULL || n > NAME_MAX_LENGTH)
        return false;
    snprintf(part, sizeof(part), "%.*s", (int)n, text);
    if (!name_valid(part))
        return false;
    n = strlen(slash + 1);
    if (n > 0 && slash[n] == '*')
        n--;
    else if (n == 0)
        return false;
    if (n > NAME_MAX_LENGTH)
        return false;
    snprintf(part, sizeof(part), "%.*s", (int)n, slash + 1);
    return n == 0 || name_valid(part);
}

static int report_grant(void)
{
    return report(EXIT_USAGE, "a grant is TENANT/NAME, TENANT/PREFIX* or 'TENANT/*'; with --grant "
                              "also =SECONDS behind it");
}

/* "acme/openai-*=900" as the API has it; NULL if it is malformed. */
static json_t *parse_grant(const char *text)
{
    char key[2 * NAME_MAX_LENGTH + 4];
    const char *equals = strchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : strlen(text);
    uint64_t ttl = 0;

    if (n >= sizeof(key))
        return NULL;
    snprintf(key, sizeof(key), "%.*s", (int)n, text);
    if (!grant_key_valid(key))
        return NULL;
    if (equals == NULL)
        return json_pack("{s:s}", "key", key);
    if (!number_parse(equals + 1, 1, TTL_MAX_S, &ttl))
        return NULL;
    return json_pack("{s:s, s:I}", "key", key, "max_ttl_s", (json_int_t)ttl);
}

/* A grant takes an operator's touch unless the vault is set not to ask for it; taken: the grant as
 * the API has it. */
static int propose_grant(struct cli *c, const char *name, const struct id *gateway, json_t *taken)
{
    AUTO(json_t) *grant = taken;
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_GRANT_ADD, .gateway = *gateway };
    const char *path = reply_text(grant, "key");
    const char *slash = strchr(path, '/');
    char tenant[NAME_MAX_LENGTH + 1];
    char text[2 * NAME_MAX_LENGTH + 128];
    uint64_t ttl = 0;

    snprintf(tenant, sizeof(tenant), "%.*s", (int)(slash - path), path);
    (void)reply_number(grant, "max_ttl_s", TTL_MAX_S, &ttl);
    meant.key = span_text(slash + 1);
    meant.max_ttl_s = (uint32_t)ttl;
    int code = operation_tenant(c, tenant, &meant.tenant);

    if (code != EXIT_DONE)
        return code;
    json_object_set_new(grant, "operation", json_string("grant.add"));
    json_object_set_new(grant, "gateway", json_string(name));
    code = operation_perform(c, json_incref(grant), &meant, NULL, &done);
    if (code == EXIT_DONE && operation_is_done(done) && !cli_json(c)) {
        snprintf(text, sizeof(text), "%s may now lease %s.", name, path);
        say("%s", text);
    }
    return code;
}

/* Whether the vault wants a touch for grants; it says so in its status. */
static int grants_step_up(struct cli *c, bool *ret_step_up)
{
    AUTO(json_t) *reply = NULL;
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &reply);

    *ret_step_up = json_is_true(json_object_get(reply, "grant_step_up"));
    return code;
}

static int post_gateway(struct cli *c, const char *name, json_t *grants, json_t **ret_reply)
{
    char csr[PEM_MAX];
    int code = cli_csr(c, csr);

    if (code != EXIT_DONE)
        return code;
    return https_call(c, METHOD_POST, "/v1/gateways",
                      json_pack("{s:s, s:s, s:O}", "name", name, "csr", csr, "grants", grants),
                      ret_reply);
}

int gateway_add(struct cli *c)
{
    AUTO(json_t) *grants = json_array();
    AUTO(json_t) *none = json_array();
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    bool step_up = false;
    struct id gateway;
    int code = cli_name(c, 0, "a gateway", &name);

    if (code != EXIT_DONE)
        return code;
    for (size_t i = 0; i < c->options.grants.count; i++) {
        if (json_array_append_new(grants, parse_grant(c->options.grants.value[i])) != 0)
            return report_grant();
    }
    if (c->options.grants.count > 0)
        code = grants_step_up(c, &step_up);
    if (code == EXIT_DONE)
        code = post_gateway(c, name, step_up ? none : grants, &reply);
    if (code == EXIT_DONE)
        code = cli_certificate_out(c, reply);
    if (code == EXIT_DONE && step_up && !reply_id(reply, "id", &gateway))
        code = reply_report("id");
    /* The gateway is there; each grant is an operation of its own. */
    for (size_t i = 0; code == EXIT_DONE && step_up && i < json_array_size(grants); i++)
        code = propose_grant(c, name, &gateway, json_incref(json_array_get(grants, i)));
    return code;
}

int gateway_remove(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    char path[128];
    char question[256];
    int code = cli_name(c, 0, "a gateway", &name);

    if (code != EXIT_DONE)
        return code;
    snprintf(question, sizeof(question),
             "Removing %s ends its leases at once and revokes its certificate.", name);
    code = cli_confirm(c, question);
    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/gateways/%s", name);
    code = https_call(c, METHOD_DELETE, path, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("%s is removed.", name);
    return EXIT_DONE;
}

int gateway_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_list(c, "/v1/gateways", "gateways", &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "gateways"), COLUMNS(columns),
                    "There are no gateways yet: 'strongroom gateway add' makes one.");
    return EXIT_DONE;
}

/* Posts body (taken) about a grant of the gateway that the first argument names. */
static int change_grant(struct cli *c, const char *action, json_t *taken, const char *done)
{
    AUTO(json_t) *body = taken;
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    char path[160];
    int code = cli_name(c, 0, "a gateway", &name);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/gateways/%s/grants%s", name, action);
    code = https_call(c, METHOD_POST, path, json_incref(body), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("%s %s %s.", name, done, cli_argument(c, 1));
    return EXIT_DONE;
}

int gateway_grant(struct cli *c)
{
    const char *key = cli_argument(c, 1);
    const char *name = NULL;
    uint64_t ttl = 0;
    bool step_up = false;
    struct id gateway;
    struct bounds bounds = { .min = 1, .max = TTL_MAX_S };
    int code = option_number(&c->options, OPT_MAX_TTL, bounds, &ttl);

    if (code == EXIT_DONE)
        code = cli_name(c, 0, "a gateway", &name);
    if (code != EXIT_DONE)
        return code;
    if (!grant_key_valid(key))
        return report_grant();
    code = grants_step_up(c, &step_up);
    if (code == EXIT_DONE && step_up)
        code = operation_gateway(c, name, &gateway);
    if (code != EXIT_DONE)
        return code;
    json_t *body = ttl > 0 ? json_pack("{s:s, s:I}", "key", key, "max_ttl_s", (json_int_t)ttl)
                           : json_pack("{s:s}", "key", key);

    return step_up ? propose_grant(c, name, &gateway, body)
                   : change_grant(c, "", body, "may now lease");
}

int gateway_ungrant(struct cli *c)
{
    const char *key = cli_argument(c, 1);

    if (!grant_key_valid(key))
        return report_grant();
    return change_grant(c, "/remove", json_pack("{s:s}", "key", key), "may no longer lease");
}
