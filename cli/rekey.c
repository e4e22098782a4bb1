/* Rotations, and the other operations on engagements and tenants that take an operator's touch. */
#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "operation.h"

int rekey_root(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_REKEY_ROOT };
    int code =
        operation_perform(c, json_pack("{s:s}", "operation", "rekey.root"), &meant, NULL, &done);

    return code == EXIT_DONE ? operation_tell(c, done, "The root key is rotated.") : code;
}

int rekey_database(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_REKEY_DATABASE };
    int code = operation_perform(c, json_pack("{s:s}", "operation", "rekey.database"), &meant, NULL,
                                 &done);

    return code == EXIT_DONE ? operation_tell(c, done, "The database has a new key.") : code;
}

int rekey_tenant(struct cli *c)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_REKEY_TENANT };
    const char *tenant = NULL;
    int code = cli_name(c, 0, "a tenant", &tenant);

    if (code == EXIT_DONE)
        code = operation_tenant(c, tenant, &meant.tenant);
    if (code == EXIT_DONE)
        code = operation_perform(
            c, json_pack("{s:s, s:s}", "operation", "rekey.tenant", "tenant", tenant), &meant, NULL,
            &done);
    return code == EXIT_DONE ? operation_tell(c, done, "The tenant's keys are rotated.") : code;
}

/* One of the operations on an engagement, after a question if there is one. */
static int on_engagement(struct cli *c, uint8_t operation, const char *question, const char *text)
{
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = operation };
    struct pair pair;
    int code = cli_pair(c, 0, &pair);

    if (code == EXIT_DONE && question != NULL)
        code = cli_confirm(c, question);
    if (code == EXIT_DONE)
        code = operation_tenant(c, pair.tenant, &meant.tenant);
    if (code == EXIT_DONE)
        code = operation_engagement(c, pair.tenant, pair.name, &meant.engagement);
    if (code == EXIT_DONE)
        code =
            operation_perform(c,
                              json_pack("{s:s, s:s, s:s}", "operation", operation_name(operation),
                                        "tenant", pair.tenant, "engagement", pair.name),
                              &meant, NULL, &done);
    return code == EXIT_DONE ? operation_tell(c, done, text) : code;
}

int engagement_hold(struct cli *c)
{
    return on_engagement(c, OPERATION_HOLD_SET, NULL,
                         "The purge is on hold: its clock stands still.");
}

int engagement_lift(struct cli *c)
{
    return on_engagement(c, OPERATION_HOLD_LIFT, NULL,
                         "The hold is lifted: the time that was left runs again.");
}

int engagement_purge(struct cli *c)
{
    return on_engagement(c, OPERATION_PURGE_NOW,
                         "The engagement's keys are destroyed at once, in backups too. This cannot "
                         "be undone.",
                         "The engagement's keys are being destroyed.");
}
