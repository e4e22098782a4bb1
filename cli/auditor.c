/* Auditors, and which tenants they see. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "table.h"

static const struct column columns[] = {
    { "NAME", "name", COLUMN_TEXT },
    { "SEES", "scope", COLUMN_TEXT },
    { "TENANTS", "shown", COLUMN_TEXT },
};

/* Both arguments are names: of the auditor and of the tenant. */
static int names(const struct cli *c, const char **ret_auditor, const char **ret_tenant)
{
    int code = cli_name(c, 0, "an auditor", ret_auditor);

    return code == EXIT_DONE ? cli_name(c, 1, "a tenant", ret_tenant) : code;
}

/* Lets the auditor see the tenant, or no longer. */
static int change(struct cli *c, bool sees)
{
    AUTO(json_t) *reply = NULL;
    const char *auditor = NULL;
    const char *tenant = NULL;
    char path[192];
    int code = names(c, &auditor, &tenant);

    if (code != EXIT_DONE)
        return code;
    if (sees) {
        snprintf(path, sizeof(path), "/v1/auditors/%s/tenants", auditor);
        code = https_call(c, METHOD_POST, path, json_pack("{s:s}", "tenant", tenant), &reply);
    } else {
        snprintf(path, sizeof(path), "/v1/auditors/%s/tenants/%s", auditor, tenant);
        code = https_call(c, METHOD_DELETE, path, NULL, &reply);
    }
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        say("%s may %s see %s.", auditor, sees ? "now" : "no longer", tenant);
    return EXIT_DONE;
}

int auditor_assign(struct cli *c)
{
    return change(c, true);
}

int auditor_unassign(struct cli *c)
{
    return change(c, false);
}

/* The first few tenants in one line, and how many more there are. */
static void add_shown(json_t *auditor)
{
    const json_t *tenants = json_object_get(auditor, "tenants");
    json_int_t count = json_integer_value(json_object_get(auditor, "tenant_count"));
    char text[320] = "";
    size_t used = 0;
    size_t shown = 0;

    if (!json_is_array(tenants))
        return;
    for (; shown < json_array_size(tenants) && used < sizeof(text) - 96; shown++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.63s", shown > 0 ? " " : "",
                                 json_string_value(json_array_get(tenants, shown)));
    if ((json_int_t)shown < count)
        snprintf(text + used, sizeof(text) - used, " and %lld more",
                 (long long)count - (long long)shown);
    (void)json_object_set_new(auditor, "shown", json_string(count == 0 ? "none" : text));
}

int auditor_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    json_t *auditor = NULL;
    size_t i = 0;
    int code = https_list(c, "/v1/auditors", "auditors", &reply);

    if (code != EXIT_DONE)
        return code;
    if (cli_json(c)) {
        table_print_json(reply);
        return EXIT_DONE;
    }
    json_array_foreach(json_object_get(reply, "auditors"), i, auditor) add_shown(auditor);
    table_print(json_object_get(reply, "auditors"), COLUMNS(columns),
                "There are no auditors: 'strongroom certificate issue --role auditor' makes one.");
    return EXIT_DONE;
}
