/*
 * strongroom: the command line of the vault. One table says what it can do; help, completion and
 * the check of options and arguments all read it.
 *
 * Before anything else: no core dumps, no debugger of the same user, no variable of the environment
 * that makes a library write keys somewhere, and locked memory for what is secret.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli.h"
#include "commands.h"
#include "help.h"
#include "secret/secret.h"

/* What an operation that takes a touch may be told. */
#define STEP_UP (BIT(OPT_PIN_STDIN) | BIT(OPT_RECOVERY) | BIT(OPT_SLOT) | BIT(OPT_NO_WAIT))

/* What policy is asked with. */
#define CLAIMS (BIT(OPT_PURPOSE) | BIT(OPT_MODEL) | BIT(OPT_ENVIRONMENT) | BIT(OPT_CLASSIFICATION))

/* Which records are shown. */
#define SHOWN                                                                             \
    (BIT(OPT_SINCE) | BIT(OPT_UNTIL) | BIT(OPT_ACTOR) | BIT(OPT_KEY) | BIT(OPT_GATEWAY) | \
     BIT(OPT_OUTCOME) | BIT(OPT_TYPE) | BIT(OPT_LEASE))

static int help_run(struct cli *c);
static int completion_run(struct cli *c);
static int version_run(struct cli *c);

static const struct command commands[] = {
    { "init", NULL, init_run, "", BIT(OPT_OPERATOR),
      BIT(OPT_REGION) | BIT(OPT_QUORUM) | BIT(OPT_CARDS) | BIT(OPT_PIN_STDIN) | BIT(OPT_YES),
      "make a new vault with the hardware keys of its operators" },
    { "unlock", NULL, unlock_run, "", 0,
      BIT(OPT_RECOVERY) | BIT(OPT_SLOT) | BIT(OPT_PIN_STDIN) | BIT(OPT_WAIT),
      "open the vault with a hardware key or the recovery card" },
    { "lock", NULL, lock_run, "", 0, 0, "wipe the vault's keys from memory at once" },
    { "status", NULL, status_run, "", 0, BIT(OPT_EXIT_CODE), "show the state of the vault" },
    { "doctor", NULL, doctor_run, "", 0, 0,
      "what is wrong here or with the vault, and what to do" },
    { "slot", "list", slot_list, "", 0, 0, "list the ways in: hardware keys, recovery cards" },
    { "operator", "add", operator_add, "NAME", 0, STEP_UP,
      "enrol a hardware key: a new operator's, or a spare one" },
    { "operator", "list", operator_list, "", 0, 0, "list operators and the quorum" },
    { "operator", "remove", operator_remove, "NAME", 0, STEP_UP | BIT(OPT_YES),
      "remove an operator, or with --slot one key; rotates the root key" },
    { "operation", "list", operation_list, "", 0, 0, "list what waits for approval" },
    { "operation", "approve", operation_approve, "ID", 0, STEP_UP | BIT(OPT_YES),
      "approve an operation with your hardware key" },
    { "operation", "withdraw", operation_withdraw, "ID", 0, 0, "take a proposal back" },
    { "quorum", "set", quorum_set, "K", 0, STEP_UP, "how many operators open the vault together" },
    { "card", "renew", card_renew, "", 0, STEP_UP | BIT(OPT_CARDS) | BIT(OPT_YES),
      "make new recovery cards; the old ones become worthless" },
    { "rekey", "tenant", rekey_tenant, "NAME", 0, STEP_UP, "rotate a tenant's key" },
    { "rekey", "database", rekey_database, "", 0, STEP_UP, "rotate the database key" },
    { "rekey", NULL, rekey_root, "", 0, STEP_UP, "rotate the root key, while leases flow" },
    { "rollback", "accept", rollback_accept, "", 0, STEP_UP | BIT(OPT_YES),
      "go on from an older database or keyring that was put back" },
    { "clock", "confirm", clock_confirm, "", 0, BIT(OPT_YES),
      "accept the vault's clock after a jump" },

    { "tenant", "create", tenant_create, "NAME", 0, BIT(OPT_REGION), "create a tenant" },
    { "tenant", "list", tenant_list, "", 0, 0, "list tenants" },
    { "tenant", "show", tenant_show, "NAME", 0, 0, "show one tenant" },

    { "retention", "set", retention_set, "TENANT DAYS", 0, STEP_UP | BIT(OPT_YES),
      "let a tenant's records go after so many days, or 'keep' them" },
    { "retention", "show", retention_show, "TENANT", 0, 0,
      "for how long a tenant's records are kept" },

    { "engagement", "start", engagement_start, "TENANT/NAME", 0, 0, "start an engagement" },
    { "engagement", "end", engagement_end, "TENANT/NAME", 0, BIT(OPT_YES),
      "end it: no leases from now on, keys destroyed in 7 days" },
    { "engagement", "hold", engagement_hold, "TENANT/NAME", 0, STEP_UP,
      "stop the clock of its purge" },
    { "engagement", "lift", engagement_lift, "TENANT/NAME", 0, STEP_UP,
      "let the clock of its purge run again" },
    { "engagement", "purge", engagement_purge, "TENANT/NAME", 0, STEP_UP | BIT(OPT_YES),
      "destroy its keys now instead of when they are due" },
    { "engagement", "list", engagement_list, "TENANT", 0, 0, "list a tenant's engagements" },

    { "provider", "list", provider_list, "", 0, 0, "list the providers whose keys are known" },
    { "provider", "show", provider_show, "NAME", 0, 0,
      "show what is known of one: fields, headers, variables, what its keys look like" },

    { "key", "put", key_put, "TENANT/NAME", BIT(OPT_PROVIDER),
      BIT(OPT_ENGAGEMENT) | BIT(OPT_SCOPE) | BIT(OPT_CLASS) | BIT(OPT_FORCE),
      "store a provider key, from standard input or a prompt" },
    { "key", "rotate", key_rotate, "TENANT/NAME", 0, BIT(OPT_GRACE) | BIT(OPT_FORCE),
      "store the next version, from standard input or a prompt" },
    { "key", "revoke", key_revoke, "TENANT/NAME", 0, BIT(OPT_YES), "destroy all versions at once" },
    { "key", "list", key_list, "TENANT", 0, 0, "list a tenant's keys" },
    { "key", "show", key_show, "TENANT/NAME", 0, 0, "show one key and its versions" },

    { "gateway", "add", gateway_add, "NAME", BIT(OPT_CSR),
      STEP_UP | BIT(OPT_GRANT) | BIT(OPT_OUT) | BIT(OPT_CA_OUT),
      "admit a gateway and sign its certificate" },
    { "gateway", "list", gateway_list, "", 0, 0, "list gateways and their grants" },
    { "gateway", "remove", gateway_remove, "NAME", 0, BIT(OPT_YES),
      "shut a gateway out; its leases end" },
    { "gateway", "grant", gateway_grant, "NAME TENANT/PATTERN", 0, STEP_UP | BIT(OPT_MAX_TTL),
      "let it lease a key or a pattern" },
    { "gateway", "ungrant", gateway_ungrant, "NAME TENANT/PATTERN", 0, 0, "take a grant back" },

    { "gateway", "approle", gateway_approle, "NAME", 0,
      BIT(OPT_BINDING) | BIT(OPT_CIDR) | BIT(OPT_OUT),
      "make a role to log in with where Vault's API is spoken" },
    { "gateway", "token", gateway_token, "NAME", BIT(OPT_CIDR), BIT(OPT_DAYS) | BIT(OPT_OUT),
      "issue a token for a client that cannot log in" },
    { "gateway", "logins", gateway_logins, "NAME", 0, 0, "list its roles and issued tokens" },
    { "gateway", "forget", gateway_forget, "NAME ID", 0, BIT(OPT_YES),
      "remove a role, or revoke an issued token" },

    { "compat", "enable", compat_enable, "TENANT", 0, BIT(OPT_BINDING),
      "let gateways read a tenant's keys by Vault's API" },
    { "compat", "disable", compat_disable, "TENANT", 0, 0, "do not, any more" },
    { "compat", "show", compat_show, "TENANT", 0, 0, "whether they may, and how" },

    { "certificate", "request", certificate_request, "",
      BIT(OPT_NAME) | BIT(OPT_OUT_KEY) | BIT(OPT_OUT_CSR), 0, "make a private key and a request" },
    { "certificate", "issue", certificate_issue, "", BIT(OPT_ROLE) | BIT(OPT_NAME) | BIT(OPT_CSR),
      BIT(OPT_TENANT) | BIT(OPT_OUT) | BIT(OPT_CA_OUT),
      "sign a request for an operator, admin, tenant or auditor" },
    { "certificate", "list", certificate_list, "", 0, 0, "list certificates" },
    { "certificate", "revoke", certificate_revoke, "SPKI", 0, BIT(OPT_YES),
      "revoke a certificate at once" },

    { "auditor", "assign", auditor_assign, "NAME TENANT", 0, 0,
      "let a limited auditor see a tenant" },
    { "auditor", "unassign", auditor_unassign, "NAME TENANT", 0, 0, "the auditor sees it no more" },
    { "auditor", "list", auditor_list, "", 0, 0, "list auditors and what they see" },

    { "lease", "get", lease_get, "TENANT/NAME", 0,
      BIT(OPT_TTL) | BIT(OPT_REGION) | BIT(OPT_SEALED) | CLAIMS,
      "lease a key; JSON on standard output" },
    { "lease", "renew", lease_renew, "LEASE", 0, BIT(OPT_TTL) | CLAIMS,
      "the same key for more time" },
    { "lease", "release", lease_release, "LEASE", 0, 0, "give a lease back" },
    { "lease", "list", lease_list, "", 0, 0, "list live leases" },
    { "lease", "watch", lease_watch, "", 0, BIT(OPT_ACKNOWLEDGE) | BIT(OPT_CURSOR) | BIT(OPT_ONCE),
      "print what ends, as it ends, until you stop it" },
    { "lease", "revoke", lease_revoke, "[LEASE]", 0,
      BIT(OPT_KEY) | BIT(OPT_GATEWAY) | BIT(OPT_TENANT) | BIT(OPT_ALL) | BIT(OPT_YES),
      "end live leases: one, or those of a key, gateway or tenant, or all" },

    { "policy", "check", policy_check, "FILE", 0, BIT(OPT_VAULT) | BIT(OPT_TENANT),
      "is a document of policy well formed, and is anything odd about it?" },
    { "policy", "test", policy_test, "FILE CASES", 0, BIT(OPT_VAULT),
      "does a document decide the cases of a file as they expect?" },
    { "policy", "show", policy_show, "OWNER", 0, BIT(OPT_VERSION),
      "show the document of a tenant, or of 'vault'" },
    { "policy", "list", policy_list, "OWNER", 0, 0, "list the versions of a document" },
    { "policy", "set", policy_set, "OWNER FILE", 0, STEP_UP,
      "put a document into force; an empty file removes it" },
    { "policy", "explain", policy_explain, "LOG ID", 0, 0,
      "why a lease was issued or refused, rule by rule" },
    { "policy", "replay", policy_replay, "OWNER FILE", 0, BIT(OPT_SINCE),
      "what a document would have decided of the leases of the last days" },

    { "usage", "show", usage_show, "[TENANT]", 0,
      BIT(OPT_KEY) | BIT(OPT_GATEWAY) | BIT(OPT_MODEL) | BIT(OPT_SINCE) | BIT(OPT_UNTIL) |
          BIT(OPT_BY) | BIT(OPT_CSV),
      "what gateways reported: requests, tokens and cost (default: by day, 31 days)" },

    { "audit", "show", audit_show, "LOG", 0,
      SHOWN | BIT(OPT_FROM) | BIT(OPT_LIMIT) | BIT(OPT_FOLLOW),
      "show records of a tenant's trail, or of 'vault'" },
    { "audit", "verify", audit_verify, "[LOG]", 0,
      BIT(OPT_BUNDLE) | BIT(OPT_FORK_PROOF) | BIT(OPT_FROM) | BIT(OPT_TO) | BIT(OPT_PUBLIC_KEY) |
          BIT(OPT_STEP_UPS) | BIT(OPT_VAULT_BUNDLE),
      "verify a trail of the vault, or an exported one" },
    { "audit", "export", audit_export, "LOG", BIT(OPT_OUT), BIT(OPT_FROM) | BIT(OPT_TO),
      "write a trail that anyone can verify" },
    { "audit", "prove", audit_prove, "LEASE", 0, BIT(OPT_LOG) | BIT(OPT_OUT),
      "prove to others that a lease is in the trail" },
    { "audit", "stream", audit_stream, "", BIT(OPT_TO) | BIT(OPT_CURSOR),
      BIT(OPT_LOG) | BIT(OPT_ONCE) | BIT(OPT_SECRET_FILE) | BIT(OPT_SINK_CA) |
          BIT(OPT_SINK_CERTIFICATE),
      "carry records to a file, a syslog server or a webhook as they happen" },
    { "audit", "witness", audit_witness, "", BIT(OPT_WITNESS) | BIT(OPT_WITNESS_KEY),
      BIT(OPT_CURSOR) | BIT(OPT_ONCE) | BIT(OPT_SINK_CA),
      "have a witness cosign the vault tree's checkpoints" },
    { "audit", "erase", audit_erase, "[LOG] NAME", 0, BIT(OPT_ALL_LOGS) | BIT(OPT_YES),
      "forget a person's name; the trail stays as it is" },

    { "profile", "create", profile_create, "",
      BIT(OPT_CERTIFICATE) | BIT(OPT_KEY) | BIT(OPT_CA) | BIT(OPT_URL), 0,
      "make a profile from a certificate" },
    { "profile", "forget", profile_forget, "", 0, BIT(OPT_YES),
      "forget the checkpoints it has seen, after a rollback that was accepted" },
    { "profile", "show", profile_show, "", 0, 0, "show the profile and its pinned keys" },

    { "help", NULL, help_run, "[NOUN]", 0, 0, "show help" },
    { "completion", NULL, completion_run, "", 0, 0, "print the completion script for bash" },
    { "version", NULL, version_run, "", 0, 0, "print the version" },
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int help_run(struct cli *c)
{
    return help_print(commands, COMMAND_COUNT, cli_argument(c, 0));
}

static int completion_run(struct cli *c)
{
    (void)c;
    help_print_completion(commands, COMMAND_COUNT);
    return EXIT_DONE;
}

static int version_run(struct cli *c)
{
    if (cli_json(c))
        print("{\"version\": \"%s\"}\n", STRONGROOM_VERSION);
    else
        print("strongroom %s\n", STRONGROOM_VERSION);
    return EXIT_DONE;
}

/* Finds the row and takes noun and verb off the arguments. */
static const struct command *find_command(struct options *o)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *row = &commands[i];
        size_t words = row->verb != NULL ? 2 : 1;

        if (o->argument_count < words || strcmp(o->argument[0], row->noun) != 0 ||
            (row->verb != NULL && strcmp(o->argument[1], row->verb) != 0))
            continue;
        for (size_t k = words; k < o->argument_count; k++)
            o->argument[k - words] = o->argument[k];
        o->argument_count -= words;
        return row;
    }
    return NULL;
}

/* The options and arguments that row takes, no others, and those it needs. */
static int check_command(const struct command *row, const struct options *o)
{
    const char *verb = row->verb != NULL ? row->verb : "";
    const char *gap = row->verb != NULL ? " " : "";
    option_set allowed = GLOBAL_OPTIONS | row->required | row->optional;
    size_t least = 0;
    size_t most = help_arguments(row, &least);

    for (int i = 0; i < OPTION_COUNT; i++) {
        const char *name = option_row((enum option_id)i)->name;

        if ((o->given & ~allowed & BIT(i)) != 0)
            return report(EXIT_USAGE, "'%s%s%s' has no option --%s; see 'strongroom help %s'",
                          row->noun, gap, verb, name, row->noun);
        if ((row->required & ~o->given & BIT(i)) != 0)
            return report(EXIT_USAGE, "'%s%s%s' needs --%s; see 'strongroom help %s'", row->noun,
                          gap, verb, name, row->noun);
    }
    if (o->argument_count < least || o->argument_count > most)
        return report(EXIT_USAGE, "'%s%s%s' takes %s%s; see 'strongroom help %s'", row->noun, gap,
                      verb, most == 0 ? "no arguments" : "", row->arguments, row->noun);
    return EXIT_DONE;
}

/* Lets go of what would leak: memory images, and what libraries do when these variables are set. */
static void protect_process(void)
{
    static const char *const loud[] = { "SSLKEYLOGFILE", "FIDO_DEBUG", "GNUTLS_DEBUG_LEVEL",
                                        "CURL_SSL_BACKEND" };
    struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (size_t i = 0; i < sizeof(loud) / sizeof(loud[0]); i++)
        unsetenv(loud[i]);
}

static int start_secrets(void)
{
    struct err e = { 0 };
    status st = cli_start(&e);

    if (st == IO || st == LIMIT)
        return report(EXIT_OTHER,
                      "memory for secrets cannot be locked. %s 'strongroom doctor' "
                      "tells more.",
                      CLI_MEMLOCK_REMEDY);
    return st == OK ? EXIT_DONE : report_err("start", &e);
}

static int run(struct cli *c, int argc, char **argv)
{
    int code = options_parse(&c->options, argc, argv);

    if (code != EXIT_DONE)
        return code;
    const char *noun = c->options.argument_count > 0 ? c->options.argument[0] : NULL;

    if (noun == NULL || option_given(&c->options, OPT_HELP)) {
        code = help_print(commands, COMMAND_COUNT, noun);
        return noun == NULL && c->options.given == 0 ? (int)EXIT_USAGE : code;
    }
    const struct command *row = find_command(&c->options);

    if (row == NULL)
        return report(EXIT_USAGE, "there is no such command; see 'strongroom help%s%.63s'",
                      help_knows(commands, COMMAND_COUNT, noun) ? " " : "",
                      help_knows(commands, COMMAND_COUNT, noun) ? noun : "");
    code = check_command(row, &c->options);
    /* It tells itself what stands in its way. */
    if (code == EXIT_DONE && row->run == doctor_run)
        return doctor_run(c);
    if (code == EXIT_DONE)
        code = profile_locate(c);
    if (code == EXIT_DONE)
        code = start_secrets();
    return code == EXIT_DONE ? row->run(c) : code;
}

int main(int argc, char **argv)
{
    struct cli c = { 0 };

    protect_process();
    memory_start();
    int code = print_finish(run(&c, argc, argv));

    https_clear(&c.https);
    profile_clear(&c.profile);
    secret_wipe_all();
    return code;
}
