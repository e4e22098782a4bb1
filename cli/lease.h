/* Leases for more than one command. */
#ifndef CLI_LEASE_H
#define CLI_LEASE_H

#include <jansson.h>

#include "base/bytes.h"

struct cli;

#define LEASE_KEY (2 * NAME_MAX_LENGTH + 2) /* TENANT/NAME with its NUL */

/* What policy is asked with, as far as options give it: --purpose, --model, --environment and
 * --classification. */
int lease_claims(const struct cli *c, json_t *body);
/* Leases key as these, --ttl, --region and --sealed say. The reply has "value". */
int lease_take(struct cli *c, const char *key, json_t **ret_reply);

#endif
