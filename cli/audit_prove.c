/* One lease, proven to somebody who is not to see the rest of the trail: its record, where it
 * stands in the tree, and the checkpoint that the vault signed. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "file.h"
#include "ledger/tlog_proof.h"
#include "remember.h"
#include "reply.h"
#include "table.h"

/* The id is the first half of what the gateway was given; the other half stays here. */
static int read_lease(const struct cli *c, char out[static ID_HEX_LENGTH + 1])
{
    const char *text = cli_argument(c, 0);
    size_t n = strlen(text);
    struct id id;

    snprintf(out, ID_HEX_LENGTH + 1, "%.*s", ID_HEX_LENGTH, text);
    if ((n != ID_HEX_LENGTH && n != (size_t)2 * ID_HEX_LENGTH) || !id_parse(out, &id))
        return report(EXIT_USAGE, "a lease is the 32 hexadecimal digits of its id, or the 64 of "
                                  "what its gateway was given");
    return EXIT_DONE;
}

/* The lease's record in a log, from the newest down. Not there: EXIT_ABSENT, silently. */
static int find_record(struct cli *c, const char *log, const char *lease,
                       char line[static LIMIT_RECORD + 1])
{
    uint64_t before = INT64_MAX;

    while (before > 0) {
        char path[256];
        uint64_t next = 0;
        struct span page;

        snprintf(path, sizeof(path),
                 "/v1/logs/%s/records?before=%llu&limit=1&type=lease.issued&lease=%s", log,
                 (unsigned long long)before, lease);
        int code = https_lines(c, path, &page);

        if (code != EXIT_DONE)
            return code;
        if (page.n > 1 && page.n <= LIMIT_RECORD + 1) {
            memcpy(line, page.p, page.n - 1);
            line[page.n - 1] = '\0';
            return EXIT_DONE;
        }
        if (!https_header_number(c, "Strongroom-Next", &next) || next >= before)
            return report(EXIT_OTHER, "the server's answer does not say how far it looked");
        before = next;
    }
    return EXIT_ABSENT;
}

/* In the log that was named, or in one tenant's after the other. */
static int find_lease(struct cli *c, const char *lease, char log[static TRAIL_NAME],
                      char line[static LIMIT_RECORD + 1])
{
    AUTO(json_t) *reply = NULL;
    const char *named = cli_option(c, OPT_LOG);
    size_t i = 0;
    const json_t *tenant = NULL;
    int code = EXIT_DONE;

    if (named != NULL && !name_valid(named))
        return report(EXIT_USAGE, "--log is the name of a tenant");
    if (named == NULL)
        code = https_list(c, "/v1/tenants", "tenants", &reply);
    if (code == EXIT_DENIED)
        return report(EXIT_DENIED, "say with --log whose trail the lease is in");
    if (code != EXIT_DONE)
        return code;
    if (named != NULL) {
        snprintf(log, TRAIL_NAME, "%s", named);
        code = find_record(c, log, lease, line);
    } else {
        code = EXIT_ABSENT;
    }
    json_array_foreach(json_object_get(reply, "tenants"), i, tenant)
    {
        const char *name = reply_text(tenant, "name");

        if (code != EXIT_ABSENT || name == NULL)
            break;
        snprintf(log, TRAIL_NAME, "%s", name);
        code = find_record(c, log, lease, line);
    }
    return code == EXIT_ABSENT ? report(EXIT_ABSENT, "no trail that you see has such a lease")
                               : code;
}

static int fetch_proof(struct cli *c, const struct trail *t, uint64_t seq, struct ledger_proof *ret)
{
    AUTO(json_t) *reply = NULL;
    char path[192];

    snprintf(path, sizeof(path), "/v1/logs/%s/inclusion?seq=%llu&size=%llu", t->name,
             (unsigned long long)seq, (unsigned long long)t->size);
    int code = https_call(c, METHOD_GET, path, NULL, &reply);

    if (code != EXIT_DONE)
        return code;
    return proof_parse(json_object_get(reply, "proof"), ret) ? (int)EXIT_DONE
                                                             : reply_report("proof");
}

/* As whoever gets the file will check it. */
static int check(const struct trail *t, struct span text, const char *lease)
{
    static struct tlog_proof p;
    struct record_head head;
    struct id vault;
    struct span found;
    uint64_t size = 0;
    struct err e = { 0 };

    if (tlog_proof_read(text, &p, &e) != OK ||
        tlog_proof_verify(&p, SPAN(t->public_key), NULL, 0, &vault, &head, &size, &e) != OK)
        return report(EXIT_UNVERIFIED, "the vault's proof does not hold: %s", e.why);
    if (!id_same(&vault, &t->vault) || !id_same(&head.log, &t->log) ||
        head.type != RECORD_LEASE_ISSUED ||
        !record_field(span_of(p.record, p.record_length), "lease_id", &found) ||
        !span_same(found, span_text(lease)))
        return report(EXIT_UNVERIFIED, "the vault proves another record than that of the lease");
    return EXIT_DONE;
}

static int write_out(struct cli *c, const struct trail *t, struct span text, uint64_t seq)
{
    const char *path = cli_option(c, OPT_OUT);
    struct err e = { 0 };

    if (path == NULL) {
        print_span(text);
        return EXIT_DONE;
    }
    if (file_write(path, FILE_PUBLIC, text, &e) != OK)
        return report_file(path, &e);
    if (cli_json(c)) {
        AUTO(json_t) *summary =
            json_pack("{s:s, s:I, s:I, s:s}", "log", t->name, "seq", (json_int_t)seq, "size",
                      (json_int_t)t->size, "out", path);
        table_print_json(summary);
    } else {
        say("Record %llu of %s is proven in %s; 'strongroom-verify' checks it without a vault.",
            (unsigned long long)seq, t->name, path);
    }
    return EXIT_DONE;
}

int audit_prove(struct cli *c)
{
    static uint8_t text[TLOG_PROOF_MAX];
    static struct ledger_proof proof;
    static char line[LIMIT_RECORD + 1];
    struct trail t = { .step_ups = NULL };
    struct record_head head;
    char log[TRAIL_NAME] = "";
    char lease[ID_HEX_LENGTH + 1];
    struct err e = { 0 };
    struct out out;
    int code = read_lease(c, lease);

    if (code == EXIT_DONE)
        code = find_lease(c, lease, log, line);
    if (code == EXIT_DONE)
        code = trail_open(c, log, &t);
    if (code == EXIT_DONE)
        code = remember_trail(c, &t);
    if (code != EXIT_DONE)
        return code;
    if (record_parse(span_text(line), &head, &e) != OK)
        return report(EXIT_UNVERIFIED, "a record is malformed: run 'strongroom audit verify'");
    code = fetch_proof(c, &t, head.seq, &proof);
    if (code != EXIT_DONE)
        return code;
    out_init(&out, text, sizeof(text));
    if (tlog_proof_write(span_text(line), head.seq, &proof, span_text(t.note), &out, &e) != OK)
        return report_err("proof", &e);
    code = check(&t, span_of(out.p, out.n), lease);
    return code == EXIT_DONE ? write_out(c, &t, span_of(out.p, out.n), head.seq) : code;
}
