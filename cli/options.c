/* getopt_long does the work; its own messages are silenced, because they repeat values. */
#include "options.h"

#include <getopt.h>
#include <string.h>

#include "report.h"

static const struct option_row rows[OPTION_COUNT] = {
    [OPT_PROFILE] = { "profile", "DIR", "profile to use (default: ~/.config/strongroom)" },
    [OPT_URL] = { "url", "URL", "https://host:port of the vault (default: the profile's)" },
    [OPT_SOCKET] = { "socket", "PATH", "speak to the daemon's local socket instead" },
    [OPT_DEVICE] = { "device", "PATH", "hardware key to use (default: found by looking)" },
    [OPT_JSON] = { "json", NULL, "print JSON for programs" },
    [OPT_HELP] = { "help", NULL, "print help on this noun" },
    [OPT_ACKNOWLEDGE] = { "acknowledge", NULL, "tell the vault of each that was printed" },
    [OPT_ACTOR] = { "actor", "NAME", "only what this one did; gateway:NAME, or only the name" },
    [OPT_ALL] = { "all", NULL, "all live leases" },
    [OPT_ALL_LOGS] = { "all-logs", NULL, "in every log that you may read" },
    [OPT_BUNDLE] = { "bundle", "FILE", "verify an exported trail, without a vault" },
    [OPT_BY] = { "by", "WORDS", "tell apart day, tenant, key, gateway, model: with commas" },
    [OPT_CA] = { "ca", "FILE", "the vault's CA certificate" },
    [OPT_CA_OUT] = { "ca-out", "FILE", "write the vault's CA certificate there" },
    [OPT_CARDS] = { "cards", "N", "recovery cards to make (default: as many as the quorum)" },
    [OPT_CERTIFICATE] = { "certificate", "FILE", "certificate of the new profile" },
    [OPT_CLASSIFICATION] = { "classification", "WORD", "of the data: what policy is asked with" },
    [OPT_CSR] = { "csr", "FILE", "certificate request (PEM)" },
    [OPT_CSV] = { "csv", NULL, "print CSV for a spreadsheet" },
    [OPT_CURSOR] = { "cursor", "FILE", "remembers how far it is; one for each sink" },
    [OPT_ENGAGEMENT] = { "engagement", "NAME", "engagement the key belongs to" },
    [OPT_ENVIRONMENT] = { "environment", "WORD", "where it runs: what policy is asked with" },
    [OPT_EXIT_CODE] = { "exit-code", NULL, "exit 6 unless the vault is unlocked" },
    [OPT_FOLLOW] = { "follow", NULL, "go on with new records as they come" },
    [OPT_FORK_PROOF] = { "fork-proof", "FILE", "verify checkpoints that do not go together" },
    [OPT_FROM] = { "from", "SEQ", "first record (default: the last ones)" },
    [OPT_GATEWAY] = { "gateway", "NAME",
                      "records of what it did or what was done to it; or its leases" },
    [OPT_GRACE] = { "grace", "SECONDS", "how long the old version lives on; 0 destroys it now" },
    [OPT_GRANT] = { "grant", "TENANT/PATTERN[=MAX_TTL]", "what it may lease; repeatable" },
    [OPT_KEY] = { "key", "KEY",
                  "private key (file) of the new profile; or records or leases of this key" },
    [OPT_LEASE] = { "lease", "ID", "only records of this lease" },
    [OPT_LIMIT] = { "limit", "N", "at most so many records (default: 50)" },
    [OPT_LOG] = { "log", "LOG", "only this log (default: all that there are)" },
    [OPT_MAX_TTL] = { "max-ttl", "SECONDS", "longest lease under this grant" },
    [OPT_MODEL] = { "model", "NAME", "the model to be used, for policy; or only this model" },
    [OPT_NAME] = { "name", "NAME", "who holds it; for role tenant, the tenant" },
    [OPT_NO_WAIT] = { "no-wait", NULL, "do not wait for other operators, nor for a rotation" },
    [OPT_ONCE] = { "once", NULL, "do what there is to do, and end" },
    [OPT_OPERATOR] = { "operator", "NAME", "name of the first operator; again for each further" },
    [OPT_OUT] = { "out", "FILE", "write there" },
    [OPT_OUTCOME] = { "outcome", "OUTCOME", "only records that say ok, denied or failed" },
    [OPT_OUT_CSR] = { "out-csr", "FILE", "write the certificate request there" },
    [OPT_OUT_KEY] = { "out-key", "FILE", "write the private key there; never replaces a file" },
    [OPT_PIN_STDIN] = { "pin-stdin", NULL, "read PIN or recovery code from standard input" },
    [OPT_PROVIDER] = { "provider", "NAME", "openai, anthropic, google, ..., generic" },
    [OPT_PUBLIC_KEY] = { "public-key", "KEY", "the vault's ledger key, from a trusted source" },
    [OPT_PURPOSE] = { "purpose", "TEXT", "note for the audit trail" },
    [OPT_QUORUM] = { "quorum", "K/N", "operators that open the vault together, of how many" },
    [OPT_RECOVERY] = { "recovery", NULL, "use the recovery card instead of a hardware key" },
    [OPT_REGION] = { "region", "NAME", "region; refused if the vault serves another" },
    [OPT_ROLE] = { "role", "ROLE", "operator, admin, tenant or auditor" },
    [OPT_SEALED] = { "sealed", NULL, "have it sealed to a key of your own, past the server" },
    [OPT_SECRET_FILE] = { "secret-file", "FILE", "whsec_ secret that signs what a webhook gets" },
    [OPT_SINCE] = { "since", "TIME", "not before: 2h, 7d, or 2026-11-21T08:30Z" },
    [OPT_SINK_CA] = { "sink-ca", "FILE", "CA of the receiver (default: the system's)" },
    [OPT_SINK_CERTIFICATE] = { "sink-certificate", "FILE",
                               "key and certificate (PEM) to show the receiver" },
    [OPT_SLOT] = { "slot", "ID", "slot to open (default: found by looking)" },
    [OPT_STEP_UPS] = { "step-ups", NULL, "check that privileged operations were approved" },
    [OPT_TENANT] = { "tenant", "NAME",
                     "a tenant the auditor may see, repeatable; or whose leases" },
    [OPT_TO] = { "to", "TO",
                 "file:///PATH, syslog+tls://HOST:PORT or https://...; or before which record" },
    [OPT_TTL] = { "ttl", "SECONDS", "lease time to ask for" },
    [OPT_TYPE] = { "type", "TYPE", "only types that begin so, such as lease. or key.put" },
    [OPT_UNTIL] = { "until", "TIME", "before that time" },
    [OPT_VAULT] = { "vault", NULL, "the document is the vault's, not a tenant's" },
    [OPT_VAULT_BUNDLE] = { "vault-bundle", "FILE",
                           "the vault's exported trail: whose keys approved" },
    [OPT_VERSION] = { "version", "N", "this version (default: the newest)" },
    [OPT_WAIT] = { "wait", NULL, "wait until the other operators have given their shares" },
    [OPT_WITNESS] = { "witness", "URL", "https://... of a witness, before /add-checkpoint" },
    [OPT_WITNESS_KEY] = { "witness-key", "VKEY", "the witness's verifier key: NAME+ID+KEY" },
    [OPT_YES] = { "yes", NULL, "do not ask for confirmation" },
    [OPT_BINDING] = { "binding", "HOW", "cert (default), cert_if_presented, source_ip or none" },
    [OPT_CIDR] = { "cidr", "RANGE", "addresses it counts from, such as 10.0.0.0/8" },
    [OPT_DAYS] = { "days", "N", "how long it lasts (default: 90)" },
    [OPT_AS] = { "as", "NAME[=FIELD]", "variable for the value, or for one of its fields" },
    [OPT_CLASS] = { "class", "CLASS", "what ending a lease is worth: static, killable or minted" },
    [OPT_FILE] = { "file", NULL,
                   "hand the value over in a file in memory, which follows rotation" },
    [OPT_FORCE] = { "force", NULL, "store it even if it looks like something else" },
    [OPT_KILL_ON_REVOKE] = { "kill-on-revoke", NULL, "end the command when a lease is lost" },
    [OPT_RESTART] = { "restart", NULL, "start the command anew when a value has changed" },
    [OPT_SCOPE] = { "scope", "SCOPE", "inference, admin (never leased) or billing_read" },
    [OPT_SIGNAL] = { "signal", "NAME",
                     "what the command gets after a file changed (default: HUP)" },
};

const struct option_row *option_row(enum option_id option)
{
    return &rows[option];
}

/* The option as it was written, without a value that may follow '='. */
static int report_option(const char *word, const char *problem)
{
    int n = (int)strcspn(word, "=");

    return report(EXIT_USAGE, "option %.*s %s; see 'strongroom help'", n < 40 ? n : 40, word,
                  problem);
}

/* The list of an option that may be repeated; NULL of any other. */
static struct repeated *repeated(struct options *o, enum option_id option)
{
    switch (option) {
    case OPT_GRANT: return &o->grants;
    case OPT_OPERATOR: return &o->operators;
    case OPT_DEVICE: return &o->devices;
    case OPT_TENANT: return &o->tenants;
    default: return NULL;
    }
}

static int take_option(struct options *o, enum option_id option, const char *value)
{
    struct repeated *list = repeated(o, option);

    if (list == NULL && option_given(o, option))
        return report(EXIT_USAGE, "--%s is given twice", rows[option].name);
    if (list != NULL && list->count == REPEAT_MAX)
        return report(EXIT_USAGE, "--%s is given more than %d times", rows[option].name,
                      REPEAT_MAX);
    if (list != NULL)
        list->value[list->count++] = value;
    /* Of a repeated one the first counts where only one is asked for. */
    if (!option_given(o, option))
        o->value[option] = value != NULL ? value : "";
    o->given |= BIT(option);
    return EXIT_DONE;
}

#define VALUES 256 /* beyond the characters that getopt_long returns by itself */

int options_parse(struct options *o, int argc, char **argv)
{
    struct option table[OPTION_COUNT + 1] = { 0 };
    int found = 0;

    *o = (struct options){ 0 };
    for (int i = 0; i < OPTION_COUNT; i++) {
        table[i].name = rows[i].name;
        table[i].has_arg = rows[i].argument != NULL ? required_argument : no_argument;
        table[i].val = VALUES + i;
    }
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", table, NULL)) != -1) {
        if (found == ':')
            return report_option(argv[optind - 1], "needs a value");
        if (found == '?')
            return report_option(argv[optind - 1], "is not known, or takes no value");
        int code = take_option(o, (enum option_id)(found - VALUES), optarg);

        if (code != EXIT_DONE)
            return code;
    }
    for (; optind < argc; optind++) {
        if (o->argument_count == ARGUMENT_MAX)
            return report(EXIT_USAGE, "too many arguments; see 'strongroom help'");
        o->argument[o->argument_count++] = argv[optind];
    }
    return EXIT_DONE;
}

int option_number(const struct options *o, enum option_id option, struct bounds bounds,
                  uint64_t *ret_value)
{
    *ret_value = bounds.fallback;
    if (!option_given(o, option) ||
        number_parse(o->value[option], bounds.min, bounds.max, ret_value))
        return EXIT_DONE;
    return report(EXIT_USAGE, "--%s must be a whole number from %llu to %llu", rows[option].name,
                  (unsigned long long)bounds.min, (unsigned long long)bounds.max);
}
