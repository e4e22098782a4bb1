/*
 * The command line, taken apart. Every option of the program has one row in one table; which of
 * them a command takes is a set of bits in the command's row. Help and completion read both.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
    OPT_PROFILE,
    OPT_URL,
    OPT_SOCKET,
    OPT_DEVICE,
    OPT_JSON,
    OPT_HELP,
    OPT_ACKNOWLEDGE,
    OPT_ACTOR,
    OPT_ALL,
    OPT_ALL_LOGS,
    OPT_BUNDLE,
    OPT_BY,
    OPT_CA,
    OPT_CA_OUT,
    OPT_CARDS,
    OPT_CERTIFICATE,
    OPT_CLASSIFICATION,
    OPT_CSR,
    OPT_CSV,
    OPT_CURSOR,
    OPT_ENGAGEMENT,
    OPT_ENVIRONMENT,
    OPT_EXIT_CODE,
    OPT_FOLLOW,
    OPT_FORK_PROOF,
    OPT_FROM,
    OPT_GATEWAY,
    OPT_GRACE,
    OPT_GRANT,
    OPT_KEY,
    OPT_LEASE,
    OPT_LIMIT,
    OPT_LOG,
    OPT_MAX_TTL,
    OPT_MODEL,
    OPT_NAME,
    OPT_NO_WAIT,
    OPT_ONCE,
    OPT_OPERATOR,
    OPT_OUT,
    OPT_OUTCOME,
    OPT_OUT_CSR,
    OPT_OUT_KEY,
    OPT_PIN_STDIN,
    OPT_PROVIDER,
    OPT_PUBLIC_KEY,
    OPT_PURPOSE,
    OPT_QUORUM,
    OPT_RECOVERY,
    OPT_REGION,
    OPT_ROLE,
    OPT_SEALED,
    OPT_SECRET_FILE,
    OPT_SINCE,
    OPT_SINK_CA,
    OPT_SINK_CERTIFICATE,
    OPT_SLOT,
    OPT_STEP_UPS,
    OPT_TENANT,
    OPT_TO,
    OPT_TTL,
    OPT_TYPE,
    OPT_UNTIL,
    OPT_VAULT,
    OPT_VAULT_BUNDLE,
    OPT_VERSION,
    OPT_WAIT,
    OPT_WITNESS,
    OPT_WITNESS_KEY,
    OPT_YES,
    OPT_BINDING,
    OPT_CIDR,
    OPT_DAYS,
    OPT_AS,
    OPT_CLASS,
    OPT_FILE,
    OPT_FORCE,
    OPT_KILL_ON_REVOKE,
    OPT_RESTART,
    OPT_SCOPE,
    OPT_SIGNAL,
    OPTION_COUNT /* at most 128 */
};

/* A set of options, one bit each. */
typedef unsigned __int128 option_set;
#define BIT(option)    ((option_set)1 << (option))
#define GLOBAL_OPTIONS (BIT(OPT_HELP + 1) - 1)

struct option_row {
    const char *name;
    const char *argument; /* NULL: a flag */
    const char *help;
};
const struct option_row *option_row(enum option_id option);

#define ARGUMENT_MAX 4
#define REPEAT_MAX   64

/* An option that may be given more than once. */
struct repeated {
    const char *value[REPEAT_MAX];
    size_t count;
};

struct options {
    option_set given;
    const char *value[OPTION_COUNT]; /* "" for a flag, NULL if not given */
    struct repeated grants;
    struct repeated operators;
    struct repeated devices;
    struct repeated tenants;
    const char *argument[ARGUMENT_MAX]; /* noun and verb first */
    size_t argument_count;
};

/* Returns an exit code; anything but 0 was reported. */
int options_parse(struct options *o, int argc, char **argv);
static inline bool option_given(const struct options *o, enum option_id option)
{
    return (o->given & BIT(option)) != 0;
}
/* A number option; fallback if not given. Reports and returns EXIT_USAGE out of [min, max]. */
struct bounds {
    uint64_t min;
    uint64_t max;
    uint64_t fallback;
};
int option_number(const struct options *o, enum option_id option, struct bounds bounds,
                  uint64_t *ret_value);

#endif
