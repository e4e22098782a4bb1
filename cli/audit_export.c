/*
 * A trail for others, as one file: the records, hashes of what is around them, the names behind
 * tags, whose hardware keys approved, and how the vault bound itself to the checkpoint. What this
 * vault does not have, or this user may not see, is left out: the file is good without it.
 */
#include <stdio.h>
#include <string.h>

#include "bundle.h"
#include "cli.h"
#include "commands.h"
#include "ledger/commitment.h"
#include "range.h"
#include "reply.h"

struct export
{
    struct cli *cli;
    struct trail *trail;
    struct file_writer *writer;
};

static int take(void *context, struct span line)
{
    struct export *x = context;

    trail_line(x->trail, line);
    return bundle_write_line(x->writer, line);
}

/* A request whose refusal only means that a section is left out. */
static int ask(struct cli *c, const char *path, json_t **ret_reply)
{
    char refusal[1024];

    report_catch(refusal, sizeof(refusal));
    int code = https_call(c, METHOD_GET, path, NULL, ret_reply);

    report_catch(NULL, 0);
    if (code == EXIT_DONE || code == EXIT_ABSENT || code == EXIT_DENIED || code == EXIT_CONFLICT)
        return EXIT_DONE;
    return report((enum exit_code)code, "%s", refusal);
}

/* --- sections -------------------------------------------------------------------------------- */

static int write_hashes(struct export *x, const char *member, const struct ledger_proof *p)
{
    char text[65];
    int code = EXIT_DONE;

    for (size_t i = 0; i < p->count && code == EXIT_DONE; i++) {
        hex_format(SPAN(p->hash[i]), text);
        code = bundle_write_json(x->writer, json_pack("{s:s}", member, text));
    }
    return code;
}

static int write_people(struct export *x)
{
    char path[224];
    char after[80] = "";

    for (bool more = true; more;) {
        AUTO(json_t) *reply = NULL;
        size_t i = 0;
        const json_t *person = NULL;

        snprintf(path, sizeof(path), "/v1/logs/%s/people%s%s", x->trail->name,
                 after[0] != '\0' ? "?after=" : "", after);
        int code = ask(x->cli, path, &reply);

        json_array_foreach(json_object_get(reply, "people"), i, person)
        {
            const char *tag = reply_text(person, "tag");
            const char *salt = reply_text(person, "salt");
            const char *name = reply_text(person, "name");

            if (code == EXIT_DONE && tag != NULL && salt != NULL && name != NULL)
                code = bundle_write_json(x->writer, json_pack("{s:s, s:s, s:s}", "person", tag,
                                                              "salt", salt, "name", name));
        }
        if (code != EXIT_DONE)
            return code;
        const char *next = reply_text(reply, "next");

        more = next != NULL && strspn(next, "0123456789abcdef") == strlen(next);
        snprintf(after, sizeof(after), "%.64s", more ? next : "");
    }
    return EXIT_DONE;
}

/* Hashes in base64 as one text of hexadecimal digits; false if they are none. */
static bool join_hashes(const json_t *list, char *out, size_t cap)
{
    struct ledger_proof p;
    size_t used = 0;

    if (!proof_parse(list, &p) || p.count * 64 + 1 > cap)
        return false;
    out[0] = '\0';
    for (size_t i = 0; i < p.count; i++, used += 64)
        hex_format(SPAN(p.hash[i]), out + used);
    return true;
}

static int write_operators(struct export *x)
{
    char path[256];
    char note[TRAIL_NOTE] = "";
    uint64_t from = 0;
    uint64_t size = 0;
    bool any = false;

    for (bool more = true; more;) {
        AUTO(json_t) *reply = NULL;
        size_t i = 0;
        const json_t *record = NULL;
        char at[96] = "";

        if (size > 0)
            snprintf(at, sizeof(at), "?from=%llu&size=%llu", (unsigned long long)from,
                     (unsigned long long)size);
        snprintf(path, sizeof(path), "/v1/logs/%s/operators%s", x->trail->name, at);
        int code = ask(x->cli, path, &reply);

        if (code != EXIT_DONE || reply == NULL)
            return code;
        if (size == 0 && (reply_text(reply, "checkpoint") == NULL ||
                          !reply_number(reply, "size", INT64_MAX, &size)))
            return reply_report("checkpoint");
        if (note[0] == '\0')
            snprintf(note, sizeof(note), "%s", reply_text(reply, "checkpoint"));
        json_array_foreach(json_object_get(reply, "records"), i, record)
        {
            char proof[PROOF_MAX * 64 + 1];
            uint64_t seq = 0;
            const char *line = reply_text(record, "line");

            if (line == NULL || !reply_number(record, "seq", INT64_MAX, &seq) ||
                !join_hashes(json_object_get(record, "proof"), proof, sizeof(proof)))
                return reply_report("proof");
            code = bundle_write_json(x->writer, json_pack("{s:s, s:I, s:I, s:s}", "operator_record",
                                                          line, "seq", (json_int_t)seq, "size",
                                                          (json_int_t)size, "proof", proof));
            if (code != EXIT_DONE)
                return code;
            any = true;
        }
        more = reply_number(reply, "next", INT64_MAX, &from);
    }
    return any ? bundle_write_json(x->writer, json_pack("{s:s}", "vault_checkpoint", note))
               : (int)EXIT_DONE;
}

/* The commitment of the newest round is to the checkpoint that is exported, or it is of no use
 * here. The note that was committed takes the place of the one we got; its text is the same. */
static int write_commitment(struct export *x)
{
    AUTO(json_t) *reply = NULL;
    struct trail *t = x->trail;
    char path[192];
    char siblings[COMMITMENT_LEVELS * 64 + 1];
    char proof[PROOF_MAX * 64 + 1];
    uint64_t round = 0;
    uint64_t index = 0;
    uint64_t size = 0;
    uint64_t tree_size = 0;
    uint8_t root[32];
    uint8_t committed[32];
    size_t used = 0;
    size_t i = 0;
    const json_t *sibling = NULL;

    snprintf(path, sizeof(path), "/v1/logs/%s/commitment", t->name);
    int code = ask(x->cli, path, &reply);

    if (code != EXIT_DONE || reply == NULL)
        return code;
    const char *note = reply_text(reply, "checkpoint");
    const char *line = reply_text(reply, "record");
    const char *blind = reply_text(reply, "blind");
    const char *tree_note = reply_text(reply, "tree_checkpoint");

    json_array_foreach(json_object_get(reply, "siblings"), i, sibling)
    {
        const char *text = json_string_value(sibling);

        if (text == NULL || strlen(text) != 64 || used + 64 >= sizeof(siblings))
            return reply_report("commitment");
        memcpy(siblings + used, text, 65);
        used += 64;
    }
    if (note == NULL || strlen(note) >= sizeof(t->note) || line == NULL || blind == NULL ||
        tree_note == NULL || used != sizeof(siblings) - 1 ||
        !reply_number(reply, "round", INT64_MAX, &round) ||
        !reply_number(reply, "index", UINT32_MAX, &index) ||
        !reply_number(reply, "tree_size", INT64_MAX, &tree_size) ||
        !join_hashes(json_object_get(reply, "tree_proof"), proof, sizeof(proof)))
        return reply_report("commitment");
    ledger_root(&t->verify.tree, root);
    if (checkpoint_verify(span_text(note), &t->vault, &t->log, SPAN(t->public_key), &size,
                          committed, NULL) != OK ||
        size != t->size || !span_same(SPAN(root), SPAN(committed))) {
        say("The newest records are not committed yet; an export in some seconds will say so.");
        return EXIT_DONE;
    }
    snprintf(t->note, sizeof(t->note), "%s", note);
    return bundle_write_json(
        x->writer, json_pack("{s:s, s:I, s:I, s:s, s:s, s:I, s:s, s:s}", "commitment", blind,
                             "round", (json_int_t)round, "index", (json_int_t)index, "siblings",
                             siblings, "record", line, "tree_size", (json_int_t)tree_size, "proof",
                             proof, "tree_checkpoint", tree_note));
}

/* --- the file -------------------------------------------------------------------------------- */

static int write_bundle(struct export *x)
{
    static struct proof_sides sides;
    struct trail *t = x->trail;
    bool part = range_given(x->cli);
    int code = bundle_write_header(x->writer, t);

    if (code == EXIT_DONE && part)
        code = range_begin(x->cli, t, &sides);
    if (code == EXIT_DONE && part)
        code = write_hashes(x, "left", &sides.left);
    if (code == EXIT_DONE && !part) /* of what was dropped */
        code = write_hashes(x, "left", &t->left);
    if (code == EXIT_DONE)
        code = trail_stream(x->cli, t, take, x);
    if (code == EXIT_DONE && part)
        code = write_hashes(x, "right", &sides.right);
    if (code == EXIT_DONE && part)
        code = range_end(x->cli, t, &sides);
    if (code == EXIT_DONE)
        code = write_people(x);
    if (code == EXIT_DONE && !id_is_zero(&t->log)) /* the vault's own log has them anyway */
        code = write_operators(x);
    if (code == EXIT_DONE)
        code = write_commitment(x);
    return code == EXIT_DONE ? bundle_write_checkpoint(x->writer, t) : code;
}

/* A trail that does not verify is exported too: it is evidence. */
int audit_export(struct cli *c)
{
    struct trail t = { .step_ups = NULL };
    struct file_writer w;
    struct export x = { .cli = c, .trail = &t, .writer = &w };
    struct err e = { 0 };
    const char *path = cli_option(c, OPT_OUT);
    int code = trail_open(c, cli_argument(c, 0), &t);

    if (code == EXIT_DONE && range_given(c))
        code = range_read(c, &t);
    if (code != EXIT_DONE)
        return code;
    if (file_begin(&w, path, FILE_PUBLIC, &e) != OK)
        return report_file(path, &e);
    trail_begin(c, &t);
    code = write_bundle(&x);
    if (code != EXIT_DONE) {
        file_abandon(&w);
        return code;
    }
    if (file_commit(&w, &e) != OK)
        return report_file(path, &e);
    if (!cli_json(c))
        say("%s is written to %s.", t.name, path);
    return trail_finish(c, &t);
}
