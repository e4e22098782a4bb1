#include "fork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "file.h"

#define TITLE    "strongroom checkpoints that do not go together, version 1"
#define FILE_MAX ((size_t)64 * 1024)

static bool read_note(const struct fork *f, struct fork_note *n)
{
    return checkpoint_verify(span_text(n->text), &f->vault, &f->log, SPAN(f->public_key), &n->size,
                             n->root, NULL) == OK;
}

/* The smaller one's root as the larger one's tree has it; false unless the subtrees make up the
 * larger one's root. */
static bool root_within(const struct fork *f, const struct fork_note *small,
                        const struct fork_note *large, uint8_t out[static 32])
{
    struct ledger_tree tree = { .log = f->log };
    uint8_t root[32];

    if (!f->has_sides || ledger_tree_start(&tree, small->size, &f->sides.left, NULL) != OK)
        return false;
    ledger_root(&tree, out);
    if (ledger_tree_finish(&tree, large->size, &f->sides.right, NULL) != OK)
        return false;
    ledger_root(&tree, root);
    return span_same(SPAN(root), span_of(large->root, sizeof(large->root)));
}

enum fork_verdict fork_judge(struct fork *f, const char **ret_why)
{
    const struct fork_note *small = &f->remembered;
    const struct fork_note *large = &f->given;
    uint8_t root[32];

    if (!read_note(f, &f->remembered) || !read_note(f, &f->given)) {
        *ret_why = "a checkpoint is malformed, of another log, or not signed with this key";
        return FORK_BAD_NOTE;
    }
    if (small->size == large->size) {
        bool same = span_same(SPAN(small->root), SPAN(large->root));

        *ret_why = same ? "both checkpoints are the same" : "two roots of one size are signed";
        return same ? FORK_NONE : FORK_PROVEN;
    }
    if (small->size > large->size) {
        small = &f->given;
        large = &f->remembered;
    }
    if (!root_within(f, small, large, root)) {
        *ret_why = "both checkpoints are signed, but nothing shows that they contradict each "
                   "other: that the smaller one was given after the larger one is the word of "
                   "whoever wrote this";
        return FORK_UNPROVEN;
    }
    if (span_same(SPAN(root), SPAN(small->root))) {
        *ret_why = "the larger one goes on from the smaller one";
        return FORK_NONE;
    }
    *ret_why = "the larger one begins with other records than the smaller one, and both are signed";
    return FORK_PROVEN;
}

/* --- the file -------------------------------------------------------------------------------- */

static void put_hashes(struct out *o, const char *title, const struct ledger_proof *p)
{
    char text[48];

    out_text(o, title);
    for (size_t i = 0; i < p->count; i++) {
        base64_format(SPAN(p->hash[i]), text);
        out_text(o, text);
        out_text(o, "\n");
    }
}

static void put(struct out *o, const struct fork *f)
{
    char text[48];

    out_text(o, TITLE "\nvault ");
    hex_format(SPAN(f->vault.b), text);
    out_text(o, text);
    out_text(o, "\nlog ");
    hex_format(SPAN(f->log.b), text);
    out_text(o, text);
    out_text(o, "\npublic-key ");
    base64_format(SPAN(f->public_key), text);
    out_text(o, text);
    out_text(o, "\n== remembered\n");
    out_text(o, f->remembered.text);
    out_text(o, "== given\n");
    out_text(o, f->given.text);
    if (f->has_sides) {
        put_hashes(o, "== left\n", &f->sides.left);
        put_hashes(o, "== right\n", &f->sides.right);
    }
}

int fork_write(const struct cli *c, const struct fork *f, const char *log,
               char out[static PATH_MAX])
{
    static uint8_t bytes[FILE_MAX];
    char name[160];
    char time[TIME_TEXT_LENGTH + 1];
    struct err e = { 0 };
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    put(&o, f);
    time_format(clock_wall_us(), time);
    snprintf(name, sizeof(name), "fork-%.63s-%s.txt", log, time);
    profile_path(&c->profile, name, out);
    if (o.overflow || file_write(out, FILE_PUBLIC, span_of(o.p, o.n), &e) != OK)
        return o.overflow ? report(EXIT_OTHER, "the proof is too long") : report_file(out, &e);
    return EXIT_DONE;
}

/* The text up to the next line that begins with "== ", or to the end. */
static struct span section(const char **at)
{
    const char *begin = *at;
    const char *end = begin;

    while (*end != '\0' && strncmp(end, "== ", 3) != 0) {
        const char *newline = strchr(end, '\n');

        end = newline != NULL ? newline + 1 : end + strlen(end);
    }
    *at = end;
    return span_of(begin, (size_t)(end - begin));
}

static bool starts(const char **at, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

/* The rest of the line behind a word that it must begin with. */
static bool word(const char **at, const char *name, char *out, size_t cap)
{
    size_t n = 0;

    if (!starts(at, name))
        return false;
    n = strcspn(*at, "\n");
    if (n == 0 || n >= cap || (*at)[n] != '\n')
        return false;
    memcpy(out, *at, n);
    out[n] = '\0';
    *at += n + 1;
    return true;
}

static bool note(const char **at, const char *title, struct fork_note *out)
{
    struct span text = { 0 };

    if (!starts(at, title))
        return false;
    text = section(at);
    if (text.n == 0 || text.n >= sizeof(out->text))
        return false;
    memcpy(out->text, text.p, text.n);
    out->text[text.n] = '\0';
    return true;
}

static bool hashes(const char **at, const char *title, struct ledger_proof *out)
{
    out->count = 0;
    if (!starts(at, title))
        return false;
    while (**at != '\0' && strncmp(*at, "== ", 3) != 0) {
        size_t n = strcspn(*at, "\n");
        size_t got = 0;

        if (out->count == PROOF_MAX || (*at)[n] != '\n' ||
            !base64_parse(*at, n, out->hash[out->count], SHA256_SIZE, &got) || got != SHA256_SIZE)
            return false;
        out->count++;
        *at += n + 1;
    }
    return true;
}

static bool parse(const char *text, struct fork *f)
{
    const char *at = text;
    char vault[64];
    char log[64];
    char key[64];
    size_t n = 0;

    if (!starts(&at, TITLE "\n") || !word(&at, "vault ", vault, sizeof(vault)) ||
        !word(&at, "log ", log, sizeof(log)) || !word(&at, "public-key ", key, sizeof(key)) ||
        !id_parse(vault, &f->vault) || !id_parse(log, &f->log) ||
        !base64_parse(key, strlen(key), f->public_key, sizeof(f->public_key), &n) ||
        n != sizeof(f->public_key) || !note(&at, "== remembered\n", &f->remembered) ||
        !note(&at, "== given\n", &f->given))
        return false;
    if (*at == '\0')
        return true;
    f->has_sides =
        hashes(&at, "== left\n", &f->sides.left) && hashes(&at, "== right\n", &f->sides.right);
    return f->has_sides && *at == '\0';
}

int fork_read(const char *path, struct fork *ret)
{
    char *text = malloc(FILE_MAX); /* public */
    struct err e = { 0 };
    int code = EXIT_DONE;

    if (text == NULL)
        return report(EXIT_OTHER, "no memory");
    memset(ret, 0, sizeof(*ret));
    if (file_read(path, text, FILE_MAX, &e) != OK)
        code = report_file(path, &e);
    else if (!parse(text, ret))
        code =
            report(EXIT_USAGE, "%s is not a pair of checkpoints as 'strongroom' writes it", path);
    free(text);
    return code;
}
