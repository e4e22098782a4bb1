/* The audit trail, verified here without trusting the vault. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundle.h"
#include "cli.h"
#include "commands.h"
#include "range.h"
#include "remember.h"
#include "reply.h"
#include "table.h"

/* The keeper holds the MAC keys: it checks what only it can check. */
static int check_macs(struct cli *c, struct trail *t)
{
    char path[128];

    snprintf(path, sizeof(path), "/v1/logs/%s/check", t->name);
    for (uint64_t from = t->from; from < t->to; from += TRAIL_PAGE) {
        AUTO(json_t) *reply = NULL;
        uint64_t to = t->to - from < TRAIL_PAGE ? t->to : from + TRAIL_PAGE;
        uint64_t checked = 0;
        uint64_t bad = 0;
        int code = https_call(
            c, METHOD_POST, path,
            json_pack("{s:I, s:I}", "from", (json_int_t)from, "to", (json_int_t)to), &reply);

        if (code != EXIT_DONE)
            return code;
        if (reply_number(reply, "bad", INT64_MAX, &bad))
            return trail_report_bad(c, t, bad, "its MAC is wrong: the keeper did not write it");
        if (!json_is_null(json_object_get(reply, "bad")) ||
            !reply_number(reply, "checked", TRAIL_PAGE, &checked) || checked != to - from)
            return reply_report("check of MACs");
    }
    t->macs = true;
    return EXIT_DONE;
}

static int take_for_verify(void *context, struct span line)
{
    trail_line(context, line);
    return EXIT_DONE;
}

/* The vault's own log, if one was given, must be the one that this trail is to be held against. */
static int check_fit(const struct trail *t, const struct trail *vault)
{
    if (vault == NULL)
        return EXIT_DONE;
    if (id_is_zero(&t->log))
        return report(EXIT_USAGE, "--vault-bundle goes with a tenant's trail: this is the vault's");
    if (!id_same(&t->vault, &vault->vault) ||
        !span_same(SPAN(t->public_key), SPAN(vault->public_key)))
        return report(EXIT_USAGE, "--vault-bundle is of another vault than the trail");
    return EXIT_DONE;
}

static int verify_range(struct cli *c, struct trail *t)
{
    static struct proof_sides sides;
    int code = range_read(c, t);

    if (code == EXIT_DONE && t->step_ups != NULL)
        return report(EXIT_USAGE, "--step-ups takes the whole trail, not --from and --to");
    if (code == EXIT_DONE)
        code = remember_trail(c, t);
    if (code == EXIT_DONE)
        code = range_begin(c, t, &sides);
    if (code == EXIT_DONE)
        code = trail_stream(c, t, take_for_verify, t);
    if (code == EXIT_DONE)
        code = range_end(c, t, &sides);
    if (code == EXIT_DONE && !t->verify.failed)
        code = check_macs(c, t);
    return code == EXIT_DONE ? trail_finish(c, t) : code;
}

static int verify_whole(struct cli *c, struct trail *t)
{
    struct seen now = { .known = true };

    if (t->seen.known && t->size < t->seen.size)
        return remember_refuse(c, t);
    int code = trail_stream(c, t, take_for_verify, t);

    if (code == EXIT_DONE && t->forked)
        return remember_refuse(c, t);
    if (code == EXIT_DONE && !t->verify.failed)
        code = check_macs(c, t);
    if (code == EXIT_DONE)
        code = trail_finish(c, t);
    if (code != EXIT_DONE)
        return code;
    now.size = t->verify.tree.size;
    ledger_root(&t->verify.tree, now.root);
    snprintf(now.note, sizeof(now.note), "%s", t->note);
    return profile_see(c, &t->log, &now);
}

static int verify_live(struct cli *c, struct trail *t, const struct trail *vault)
{
    int code = trail_open(c, cli_argument(c, 0), t);

    if (code == EXIT_DONE)
        code = check_fit(t, vault);
    if (code != EXIT_DONE)
        return code;
    trail_begin(c, t);
    return range_given(c) ? verify_range(c, t) : verify_whole(c, t);
}

static int verify_bundle(struct cli *c, const char *path, struct trail *t,
                         const struct trail *vault)
{
    const char *given = cli_option(c, OPT_PUBLIC_KEY);
    uint8_t key[32];

    if (given != NULL && !bundle_key_parse(given, key))
        return report(EXIT_USAGE, "--public-key must be 32 bytes in base64 or hexadecimal");
    int code = bundle_read(c, path, false, t);

    if (code == EXIT_DONE)
        code = check_fit(t, vault);
    return code == EXIT_DONE ? trail_finish(c, t) : code;
}

/* Signed by the key that it names; check_fit compares that one with the trail's. */
static int verify_vault(struct cli *c, const char *path, struct trail *vault)
{
    int code = bundle_read(c, path, true, vault);

    if (code == EXIT_DONE && !id_is_zero(&vault->log))
        return report(EXIT_USAGE, "--vault-bundle takes the export of the log 'vault'");
    return code == EXIT_DONE ? trail_check(c, vault) : code;
}

static int verify(struct cli *c, struct trail *t, struct trail *vault)
{
    const char *bundle = cli_option(c, OPT_BUNDLE);
    const char *vault_bundle = cli_option(c, OPT_VAULT_BUNDLE);
    int code = profile_exists(c) ? profile_load(c) : EXIT_DONE;

    if (code == EXIT_DONE && vault_bundle != NULL)
        code = verify_vault(c, vault_bundle, vault);
    if (code != EXIT_DONE)
        return code;
    if (vault_bundle == NULL)
        vault = NULL;
    return bundle != NULL ? verify_bundle(c, bundle, t, vault) : verify_live(c, t, vault);
}

int audit_verify(struct cli *c)
{
    const char *bundle = cli_option(c, OPT_BUNDLE);
    struct step_ups vault_ups = { .vault = NULL };
    struct step_ups ups = { .vault = NULL };
    struct trail vault = { .step_ups = &vault_ups };
    struct trail t = { .step_ups = NULL };

    if ((bundle != NULL) + (cli_argument(c, 0) != NULL) +
            option_given(&c->options, OPT_FORK_PROOF) !=
        1)
        return report(EXIT_USAGE, "give the name of a log, --bundle FILE or --fork-proof FILE");
    if (option_given(&c->options, OPT_FORK_PROOF))
        return remember_verify_file(c, cli_option(c, OPT_FORK_PROOF));
    if (bundle != NULL && range_given(c))
        return report(EXIT_USAGE, "--from and --to go with a log; strongroom-verify has them too");
    if (bundle == NULL && cli_option(c, OPT_PUBLIC_KEY) != NULL)
        return report(EXIT_USAGE, "--public-key goes with --bundle; a profile has its pinned key");
    if (cli_option(c, OPT_VAULT_BUNDLE) != NULL && cli_option(c, OPT_STEP_UPS) == NULL)
        return report(EXIT_USAGE, "--vault-bundle goes with --step-ups");
    if (cli_option(c, OPT_STEP_UPS) != NULL)
        t.step_ups = &ups;
    if (cli_option(c, OPT_VAULT_BUNDLE) != NULL)
        ups.vault = &vault_ups;
    else if (bundle != NULL)
        ups.enclosed = &vault_ups;
    int code = verify(c, &t, &vault);

    step_ups_clear(&ups);
    step_ups_clear(&vault_ups);
    return code;
}
