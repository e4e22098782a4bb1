/*
 * A privileged operation from the command line: proposed, approved with the hardware key that is
 * here, waited for until the others have approved and what it started is done.
 */
#ifndef CLI_OPERATION_H
#define CLI_OPERATION_H

#include <jansson.h>

#include "wire/operation.h"

struct cli;

/* Who approves here. NULL in place of it: the hardware key that is found by looking. */
struct approver {
    bool absent;        /* nobody: others do */
    const char *device; /* the path of the key */
};

/*
 * Posts body (taken). meant: the same, as this side means it, without its id: what the vault asks
 * to have signed must say exactly that. *ret_done: the operation as it is at the end, with its
 * result; its state is "pending" if --no-wait was given, which the user was told. A touch that
 * fails ends the command; the operation then still waits, and the user was told how to go on.
 */
int operation_perform(struct cli *c, json_t *body, struct wire_operation *meant,
                      const struct approver *approver, json_t **ret_done);
bool operation_is_done(const json_t *operation);
/* Shows the operation as JSON, or says text. */
int operation_tell(const struct cli *c, const json_t *operation, const char *text);

/* Ids by name, for meant. EXIT_ABSENT. */
int operation_tenant(struct cli *c, const char *tenant, struct id *ret_id);
int operation_engagement(struct cli *c, const char *tenant, const char *name, struct id *ret_id);
int operation_gateway(struct cli *c, const char *name, struct id *ret_id);

#endif
