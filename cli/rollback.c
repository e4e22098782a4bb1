/*
 * A database or a keyring that was put back: what is given up is shown, with both heads, before a
 * key is touched for it.
 */
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "ledger/tree.h"
#include "operation.h"
#include "reply.h"

/* What the vault found, as the operation will say it. */
static int read_found(const json_t *now, struct wire_operation *meant, uint64_t *ret_records,
                      uint64_t *ret_anchored)
{
    const json_t *found = json_object_get(now, "found");

    return reply_number(found, "size", INT64_MAX, &meant->size) &&
                   reply_number(found, "records", INT64_MAX, ret_records) &&
                   reply_number(found, "anchored", INT64_MAX, ret_anchored) &&
                   reply_hex(found, "root", meant->root, sizeof(meant->root))
               ? EXIT_DONE
               : report(EXIT_CONFLICT, "there is nothing to accept: the vault is not open");
}

static void tell(const json_t *now, const struct wire_operation *meant, uint64_t records,
                 uint64_t anchored)
{
    const char *reason = reply_text(now, "reason");

    say("What is there: %llu records in all logs, %llu in the vault's own.",
        (unsigned long long)records, (unsigned long long)meant->size);
    say("What the keyring remembers: %llu records in all logs.", (unsigned long long)anchored);
    if (meant->known_size > 0)
        say("What this profile remembers: %llu records in the vault's log.",
            (unsigned long long)meant->known_size);
    if (reason != NULL)
        say("The vault says: %.90s.", reason);
    else
        say("The vault itself noticed nothing: keyring and database are of one time.");
}

int rollback_accept(struct cli *c)
{
    AUTO(json_t) *now = NULL;
    AUTO(json_t) *done = NULL;
    struct wire_operation meant = { .code = OPERATION_ROLLBACK_ACCEPT };
    struct seen seen = { 0 };
    uint64_t records = 0;
    uint64_t anchored = 0;
    char root[2 * sizeof(seen.root) + 1];
    int code = https_call(c, METHOD_GET, "/v1/status", NULL, &now);

    if (code == EXIT_DONE)
        code = read_found(now, &meant, &records, &anchored);
    if (code != EXIT_DONE)
        return code;
    if (profile_exists(c) && profile_load(c) == EXIT_DONE)
        profile_seen(&c->profile, &ledger_log_vault, &seen);
    meant.known_size = seen.size;
    memcpy(meant.known_root, seen.root, sizeof(meant.known_root));
    tell(now, &meant, records, anchored);
    code = cli_confirm(c, "Whatever is newer than that is given up: records, and provider keys "
                          "that only the keyring or only the database still has.");
    if (code != EXIT_DONE)
        return code;
    hex_format(SPAN(seen.root), root);
    code = operation_perform(c,
                             json_pack("{s:s, s:I, s:s}", "operation", "rollback.accept",
                                       "known_size", (json_int_t)seen.size, "known_root", root),
                             &meant, NULL, &done);
    if (code == EXIT_DONE && operation_is_done(done) && seen.known)
        code = profile_forget_seen(c);
    return code == EXIT_DONE
               ? operation_tell(c, done, "The rollback is accepted, and the vault is open.")
               : code;
}
