#include "remember.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "table.h"

/* Size and root of t's note, whose signature must be good. */
static int read_note(const struct trail *t, struct seen *now)
{
    struct err e = { 0 };

    now->known = true;
    snprintf(now->note, sizeof(now->note), "%s", t->note);
    if (checkpoint_verify(span_text(t->note), &t->vault, &t->log, SPAN(t->public_key), &now->size,
                          now->root, &e) == OK)
        return EXIT_DONE;
    return report(EXIT_UNVERIFIED, "the vault's checkpoint of %s does not verify: %s", t->name,
                  e.why);
}

/* The vault is asked how the remembered tree lies in the present one: if they contradict each
 * other, what it says may be what proves it. */
static void add_sides(struct cli *c, const struct trail *t, struct fork *f, uint64_t small,
                      uint64_t large)
{
    char refusal[1024];

    report_catch(refusal, sizeof(refusal));
    f->has_sides = proof_fetch_range(c, t->name, small, small, large, &f->sides) == EXIT_DONE;
    report_catch(NULL, 0);
}

static void collect(const struct trail *t, const struct seen *seen, struct fork *f)
{
    memset(f, 0, sizeof(*f));
    f->vault = t->vault;
    f->log = t->log;
    memcpy(f->public_key, t->public_key, sizeof(f->public_key));
    snprintf(f->remembered.text, sizeof(f->remembered.text), "%s", seen->note);
    snprintf(f->given.text, sizeof(f->given.text), "%s", t->note);
}

static int refuse(struct cli *c, const struct trail *t, const struct fork *f,
                  const struct seen *seen, uint64_t size, const char *why)
{
    char path[PATH_MAX] = "";

    if (seen->note[0] != '\0' && fork_write(c, f, t->name, path) != EXIT_DONE)
        path[0] = '\0';
    say("*** THIS VAULT IS NOT AS IT WAS: %s ***", t->name);
    say("It was seen with %llu records and now shows %llu: %s.", (unsigned long long)seen->size,
        (unsigned long long)size, why);
    say("Either an older copy was put back, or it tells different people different stories.");
    if (path[0] != '\0')
        say("Both signed checkpoints are in %s: show them to others.", path);
    if (cli_json(c)) {
        AUTO(json_t) *summary = json_pack("{s:s, s:b, s:I, s:I, s:s, s:s}", "log", t->name,
                                          "verified", 0, "remembered_size", (json_int_t)seen->size,
                                          "size", (json_int_t)size, "reason", why, "proof", path);
        table_print_json(summary);
    }
    return report(EXIT_UNVERIFIED,
                  "%s does NOT go on from what was seen before: do not use this vault until its "
                  "operators have explained it. If they accepted a rollback: 'strongroom profile "
                  "forget'",
                  t->name);
}

/* Both notes are signed. In *ret_why what is wrong with them, or NULL. */
static int compare(struct cli *c, const struct trail *t, const struct seen *seen,
                   const struct seen *now, struct fork *f, const char **ret_why)
{
    struct ledger_tree tree = { .log = t->log };
    uint8_t root[32];

    *ret_why = NULL;
    if (now->size < seen->size) {
        *ret_why = "records are missing";
        return EXIT_DONE;
    }
    if (now->size == seen->size) {
        if (!span_same(SPAN(now->root), SPAN(seen->root)))
            *ret_why = "other records are in their place";
        return EXIT_DONE;
    }
    if (seen->size == 0) /* the beginning of everything */
        return EXIT_DONE;
    int code = proof_fetch_range(c, t->name, seen->size, seen->size, now->size, &f->sides);

    if (code != EXIT_DONE)
        return code;
    f->has_sides = true;
    if (ledger_tree_start(&tree, seen->size, &f->sides.left, NULL) != OK) {
        *ret_why = "its proof that it goes on from there does not hold";
        return EXIT_DONE;
    }
    ledger_root(&tree, root);
    if (!span_same(SPAN(root), SPAN(seen->root)))
        *ret_why = "it began with other records";
    if (ledger_tree_finish(&tree, now->size, &f->sides.right, NULL) != OK)
        *ret_why = "its proof that it goes on from there does not hold";
    ledger_root(&tree, root);
    if (*ret_why == NULL && !span_same(SPAN(root), SPAN(now->root)))
        *ret_why = "its proof that it goes on from there does not hold";
    return EXIT_DONE;
}

int remember_trail(struct cli *c, struct trail *t)
{
    static struct fork f;
    struct seen seen;
    struct seen now;
    const char *why = NULL;
    int code = read_note(t, &now);

    if (code != EXIT_DONE)
        return code;
    profile_seen(&c->profile, &t->log, &seen);
    if (seen.known) {
        collect(t, &seen, &f);
        code = compare(c, t, &seen, &now, &f, &why);
    }
    if (code != EXIT_DONE)
        return code;
    return why == NULL ? profile_see(c, &t->log, &now) : refuse(c, t, &f, &seen, now.size, why);
}

int remember_refuse(struct cli *c, const struct trail *t)
{
    static struct fork f;
    struct seen seen;
    struct seen now;
    int code = read_note(t, &now);

    if (code != EXIT_DONE)
        return code;
    profile_seen(&c->profile, &t->log, &seen);
    collect(t, &seen, &f);
    if (seen.known && now.size > seen.size)
        add_sides(c, t, &f, seen.size, now.size);
    return refuse(c, t, &f, &seen, now.size,
                  now.size < seen.size ? "records are missing" : "it began with other records");
}

/* Was a checkpoint of the log called so ever seen? Only of those whose ids are fixed. */
static bool is_known(const struct cli *c, const char *name)
{
    bool tree = strcmp(name, "tree") == 0;
    struct seen seen;

    if (!tree && strcmp(name, "vault") != 0)
        return false;
    profile_seen(&c->profile, tree ? &ledger_log_tree : &ledger_log_vault, &seen);
    return seen.known;
}

int remember_check(struct cli *c, const char *log)
{
    struct trail t = { .step_ups = NULL };
    char refusal[1024] = "";
    int code = profile_load(c);

    if (code != EXIT_DONE)
        return code;
    report_catch(refusal, sizeof(refusal));
    code = trail_open(c, log, &t);
    report_catch(NULL, 0);
    if ((code == EXIT_ABSENT || code == EXIT_DENIED) && !is_known(c, log))
        return EXIT_DONE;
    if (code == EXIT_ABSENT)
        return report(EXIT_UNVERIFIED,
                      "the vault has no log %s any more, and it had one: do not use it until its "
                      "operators have explained it",
                      log);
    if (code != EXIT_DONE)
        return report((enum exit_code)code, "%s", refusal);
    return remember_trail(c, &t);
}

int remember_verify_file(struct cli *c, const char *path)
{
    static struct fork f;
    const char *why = NULL;
    char key[48];
    char log[ID_HEX_LENGTH + 1];
    int code = fork_read(path, &f);

    if (code != EXIT_DONE)
        return code;
    enum fork_verdict verdict = fork_judge(&f, &why);

    base64_format(SPAN(f.public_key), key);
    hex_format(SPAN(f.log.b), log);
    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:b, s:s, s:s, s:s, s:I, s:I}", "proven", verdict == FORK_PROVEN, "reason",
                      why, "log", log, "public_key", key, "remembered_size",
                      (json_int_t)f.remembered.size, "given_size", (json_int_t)f.given.size);
        table_print_json(summary);
    }
    if (verdict != FORK_PROVEN)
        return report(EXIT_UNVERIFIED, "%s proves nothing: %s", path, why);
    if (!cli_json(c)) {
        print("Proven: %s.\n", why);
        print("The log is %s, with %llu and %llu records; the key that signed is %s.\n", log,
              (unsigned long long)f.remembered.size, (unsigned long long)f.given.size, key);
        say("Compare the key with the vault's from a source that you trust.");
    }
    return EXIT_DONE;
}
