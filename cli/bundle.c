/*
 * What a bundle says of itself is verified by the ledger module; here is which key it is held
 * against, and how it is written.
 */
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "ledger/bundle.h"
#include "reply.h"

#define PIECE   ((size_t)256 * 1024)
#define VERSION 2

static int append(struct file_writer *w, struct span s)
{
    struct err e = { 0 };

    return file_append(w, s, &e) == OK ? EXIT_DONE : report_file(w->path, &e);
}

int bundle_write_line(struct file_writer *w, struct span line)
{
    int code = append(w, line);

    return code == EXIT_DONE ? append(w, span_text("\n")) : code;
}

int bundle_write_json(struct file_writer *w, json_t *taken)
{
    AUTO(json_t) *object = taken;
    AUTO(wiped) *text = (struct wiped *)json_dumps(object, JSON_COMPACT);

    if (text == NULL)
        return report(EXIT_OTHER, "no memory");
    return bundle_write_line(w, span_text((const char *)text));
}

int bundle_write_header(struct file_writer *w, const struct trail *t)
{
    char vault[ID_HEX_LENGTH + 1];
    char log[ID_HEX_LENGTH + 1];
    char key[45];

    hex_format(SPAN(t->vault.b), vault);
    hex_format(SPAN(t->log.b), log);
    base64_format(SPAN(t->public_key), key);
    return bundle_write_json(
        w, json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "strongroom_export", VERSION,
                     "vault", vault, "log", log, "name", t->name, "public_key", key, "size",
                     (json_int_t)t->size, "from", (json_int_t)t->from, "to", (json_int_t)t->to));
}

int bundle_write_checkpoint(struct file_writer *w, const struct trail *t)
{
    return bundle_write_json(w, json_pack("{s:s}", "checkpoint", t->note));
}

static int report_bundle(const char *path, const char *what)
{
    return report(EXIT_USAGE, "%s is not a bundle of 'strongroom audit export': %s", path, what);
}

/* A bundle on its way through the verifier. */
struct reading {
    const struct cli *cli;
    struct trail *trail;
    bool own_key;
    uint8_t trusted[32];
    struct bundle bundle;
    struct bundle_feed feed;
    uint8_t piece[PIECE];
};

/* --public-key, or the pinned key if the bundle is of the profile's vault; else the bundle's own,
 * which proves only that it was not damaged. */
static const uint8_t *choose_key(struct reading *r, const struct id *of_vault)
{
    const char *given = cli_option(r->cli, OPT_PUBLIC_KEY);
    struct id vault;

    if (r->own_key)
        return NULL;
    if (given != NULL)
        return bundle_key_parse(given, r->trusted) ? r->trusted : NULL;
    if (profile_hex(&r->cli->profile, "vault", vault.b, sizeof(vault.b)) &&
        id_same(&vault, of_vault) &&
        profile_hex(&r->cli->profile, "ledger_key", r->trusted, sizeof(r->trusted)))
        return r->trusted;
    say("The key was taken from the bundle itself: this shows damage, not forgery. Give the "
        "vault's ledger key with --public-key.");
    return NULL;
}

static const uint8_t *begin(void *context, const struct bundle_header *header)
{
    struct reading *r = context;
    struct trail *t = r->trail;

    t->vault = header->vault;
    t->log = header->log;
    t->size = header->size;
    t->from = header->from;
    t->to = header->to;
    memcpy(t->public_key, header->public32, sizeof(t->public_key));
    snprintf(t->name, sizeof(t->name), "%s", header->name);
    t->tree = &r->bundle.verify.tree;
    trail_begin(r->cli, t);
    return choose_key(r, &header->vault);
}

static void take_verified(void *context, struct span line, const struct ledger_tree *tree)
{
    struct reading *r = context;

    (void)tree; /* trail->tree is the same */
    trail_record(r->trail, line);
}

static void take_operator(void *context, struct span line)
{
    struct reading *r = context;

    if (r->trail->step_ups != NULL)
        step_ups_operator(r->trail->step_ups, line);
}

static status read_pieces(struct reading *r, FILE *file)
{
    status st = OK;

    while (st == OK) {
        size_t n = fread(r->piece, 1, sizeof(r->piece), file);

        if (n == 0)
            break;
        st = bundle_feed(&r->feed, span_of(r->piece, n), NULL);
    }
    return st == OK && ferror(file) == 0 ? bundle_feed_end(&r->feed, NULL) : st;
}

bool bundle_key_parse(const char *text, uint8_t key[static 32])
{
    size_t n = 0;

    return hex_parse(text, strlen(text), key, 32) ||
           (base64_parse(text, strlen(text), key, 32, &n) && n == 32);
}

int bundle_read(const struct cli *c, const char *path, bool own_key, struct trail *t)
{
    static struct reading r; /* the trail's tree stays there */
    struct bundle_reader reader = {
        .context = &r, .begin = begin, .record = take_verified, .operator_record = take_operator
    };
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return report(errno == ENOENT ? EXIT_ABSENT : EXIT_OTHER, "%s: %s", path, strerror(errno));
    r.cli = c;
    r.trail = t;
    r.own_key = own_key;
    bundle_begin(&r.bundle, &reader);
    bundle_feed_begin(&r.feed, &r.bundle);
    status st = read_pieces(&r, file);
    bool broken = ferror(file) != 0;

    fclose(file);
    if (broken)
        return report(EXIT_OTHER, "%s cannot be read", path);
    if (st == BAD_INPUT)
        return report_bundle(path, r.bundle.err.why);
    t->judged = true;
    t->bad_why = st == OK ? NULL : r.bundle.err.why;
    t->bad_seq = r.bundle.bad_seq;
    if (st == OK && t->step_ups != NULL)
        step_ups_release(t->step_ups);
    return EXIT_DONE;
}
