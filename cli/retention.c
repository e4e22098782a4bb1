/* For how long a tenant's records are kept. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "operation.h"
#include "reply.h"
#include "table.h"

static int read_days(const struct cli *c, uint32_t *ret_days)
{
    const char *text = cli_argument(c, 1);
    uint64_t days = 0;

    if (strcmp(text, "keep") != 0 && !number_parse(text, RETENTION_MIN, RETENTION_MAX, &days))
        return report(EXIT_USAGE, "the days are a number from 30 to 36500, or 'keep'");
    *ret_days = (uint32_t)days;
    return EXIT_DONE;
}

int retention_set(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_RETENTION_SET };
    const char *tenant = NULL;
    int code = cli_name(c, 0, "a tenant", &tenant);

    if (code == EXIT_DONE)
        code = read_days(c, &meant.number);
    if (code == EXIT_DONE && meant.number != 0)
        code = cli_confirm(c, "Older records of this tenant are deleted, today and every day. "
                              "Who needs them exports them before.");
    if (code == EXIT_DONE)
        code = operation_tenant(c, tenant, &meant.tenant);
    if (code == EXIT_DONE)
        code = operation_perform(c,
                                 json_pack("{s:s, s:s, s:i}", "operation", "retention.set",
                                           "tenant", tenant, "number", (int)meant.number),
                                 &meant, NULL, &done);
    if (code != EXIT_DONE)
        return code;
    return operation_tell(c, done,
                          meant.number == 0 ? "The tenant's records are kept for ever."
                                            : "Older records of the tenant go from now on.");
}

int retention_show(struct cli *c)
{
    AUTO(json_t) *tenant = NULL;
    AUTO(json_t) *log = NULL;
    const char *name = NULL;
    char path[128];
    uint64_t days = 0;
    uint64_t first = 0;
    int code = cli_name(c, 0, "a tenant", &name);

    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/tenants/%s", name);
    code = https_call(c, METHOD_GET, path, NULL, &tenant);
    if (code != EXIT_DONE)
        return code;
    snprintf(path, sizeof(path), "/v1/logs/%s", name);
    code = https_call(c, METHOD_GET, path, NULL, &log);
    if (code != EXIT_DONE)
        return code;
    if (!reply_number(log, "first", INT64_MAX, &first))
        return reply_report("beginning of the log");
    (void)reply_number(tenant, "retention_days", RETENTION_MAX, &days); /* null: for ever */
    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:s, s:O?, s:I}", "tenant", name, "days",
                      json_object_get(tenant, "retention_days"), "first", (json_int_t)first);
        table_print_json(summary);
    } else if (days == 0) {
        print("%s: records are kept for ever\n", name);
    } else {
        print("%s: records are kept for %llu days\n", name, (unsigned long long)days);
    }
    if (!cli_json(c) && first > 0)
        print("%s: the log begins with record %llu\n", name, (unsigned long long)first);
    return EXIT_DONE;
}
