/* Engagements: the work for a tenant, whose end starts the clock of destruction. */
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "cli.h"
#include "commands.h"
#include "reply.h"
#include "table.h"

static const struct column columns[] = {
    { "NAME", "name", COLUMN_TEXT },       { "STATE", "state", COLUMN_TEXT },
    { "STARTED", "started", COLUMN_TIME }, { "ENDED", "ended", COLUMN_TIME },
    { "DUE", "due", COLUMN_TIME },         { "PURGED", "purged", COLUMN_TIME },
};

int engagement_start(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct pair pair;
    char path[256];
    int code = cli_pair(c, 0, &pair);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s/engagements", pair.tenant);
    code = https_call(c, METHOD_POST, path, json_pack("{s:s}", "name", pair.name), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print_one(reply, COLUMNS(columns));
    return EXIT_DONE;
}

static int confirm_end(const struct cli *c, const struct pair *pair)
{
    char question[512];
    char due[TIME_TEXT_LENGTH + 1];

    time_format(clock_wall_us() + PURGE_DELAY_S * SECOND_US, due);
    snprintf(
        question, sizeof(question),
        "Ending %s/%s ends its leases at once; its keys are destroyed about %.16sZ, in backups "
        "too. This cannot be undone.",
        pair->tenant, pair->name, due);
    return cli_confirm(c, question);
}

int engagement_end(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    struct pair pair;
    char path[256];
    int code = cli_pair(c, 0, &pair);

    if (code == EXIT_DONE)
        code = confirm_end(c, &pair);
    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s/engagements/%s/end", pair.tenant, pair.name);
    code = https_call(c, METHOD_POST, path, json_object(), &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print_one(reply, COLUMNS(columns));
    return EXIT_DONE;
}

int engagement_list(struct cli *c)
{
    AUTO(json_t) *reply = NULL;
    const char *tenant = NULL;
    char path[128];
    int code = cli_name(c, 0, "a tenant", &tenant);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s/engagements", tenant);
    code = https_list(c, path, "engagements", &reply);
    if (code != EXIT_DONE)
        return code;
    if (cli_json(c))
        table_print_json(reply);
    else
        table_print(json_object_get(reply, "engagements"), COLUMNS(columns),
                    "This tenant has no engagements yet.");
    return EXIT_DONE;
}
