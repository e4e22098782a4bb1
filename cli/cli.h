/* What every command gets, and what most commands do with it. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>

#include "https.h"
#include "memory.h"
#include "options.h"
#include "profile.h"
#include "report.h"

struct cli {
    struct options options;
    struct profile profile;
    struct https https;
};

/* One row of the table in main.c: everything that help and completion say comes from it. */
struct command {
    const char *noun;
    const char *verb;          /* NULL: the noun is the command */
    int (*run)(struct cli *c); /* exit code; failures are reported */
    const char *arguments;     /* "TENANT/NAME"; in brackets what may be left out */
    option_set required;
    option_set optional;
    const char *help;
};

/* Locked memory for what is secret, and the self-test of the cryptography. The errors of
 * secret_start and crypto_selftest. */
status cli_start(struct err *e);
#define CLI_MEMLOCK_REMEDY                                                          \
    "Raise the limit to 2048 (KiB) or more with 'ulimit -l 2048', or 'memlock' in " \
    "/etc/security/limits.conf."

/* The n-th argument after noun and verb, or NULL. */
const char *cli_argument(const struct cli *c, size_t n);
static inline const char *cli_option(const struct cli *c, enum option_id option)
{
    return c->options.value[option];
}
static inline bool cli_json(const struct cli *c)
{
    return option_given(&c->options, OPT_JSON);
}

/* The n-th argument, checked to be a name; what: "a tenant". */
int cli_name(const struct cli *c, size_t n, const char *what, const char **ret_name);
/* The n-th argument as TENANT/NAME. */
struct pair {
    char tenant[NAME_MAX_LENGTH + 1];
    char name[NAME_MAX_LENGTH + 1];
};
int cli_pair(const struct cli *c, size_t n, struct pair *ret_pair);

/* Asks for "yes" on the terminal; without one the user is told of --yes. */
int cli_confirm(const struct cli *c, const char *question);

/* The time between two looks at something that others bring about. */
void cli_pause(void);

/* The --csr file as text. */
#define PEM_MAX 16384
int cli_csr(const struct cli *c, char out[static PEM_MAX]);
/* An issued certificate: to --out or standard output, and its CA to --ca-out. */
int cli_certificate_out(const struct cli *c, const json_t *reply);

#endif
