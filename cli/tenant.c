/* Tenants: the customers whose keys the vault holds. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "reply.h"
#include "table.h"

static const struct column columns[] = {
    { "NAME", "name", COLUMN_TEXT },
    { "REGION", "region", COLUMN_TEXT },
    { "CREATED", "created", COLUMN_TIME },
    { "ID", "id", COLUMN_TEXT },
};

static int show(const struct cli *c, const json_t *tenant)
{
    if (cli_json(c))
        table_print_json(tenant);
    else
        table_print_one(tenant, COLUMNS(columns));
    return EXIT_DONE;
}

int tenant_create(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    int code = cli_name(c, 0, "a tenant", &name);

    if (code != EXIT_DONE)
        return code;
    json_t *body = json_pack("{s:s, s:s*}", "name", name, "region", cli_option(c, OPT_REGION));

    code = https_call(c, METHOD_POST, "/v1/tenants", body, &reply);
    return code == EXIT_DONE ? show(c, reply) : code;
}

int tenant_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    int code = https_list(c, "/v1/tenants", "tenants", &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "tenants"), COLUMNS(columns),
                    "There are no tenants yet: 'strongroom tenant create NAME' makes one.");
    return EXIT_DONE;
}

int tenant_show(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *name = NULL;
    char path[128];
    int code = cli_name(c, 0, "a tenant", &name);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s", name);
    code = https_call(c, METHOD_GET, path, NULL, &reply);
    return code == EXIT_DONE ? show(c, reply) : code;
}
