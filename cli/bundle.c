/*
 * Reading is strict where a forger could profit: nothing in the header is signed, so whatever it
 * says is compared with the records, and the vault's key with one from elsewhere if there is one.
 */
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "reply.h"

#define LINE_MAX_BYTES 65536

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

static int write_json(struct file_writer *w, json_t *taken)
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
    return write_json(w, json_pack("{s:i, s:s, s:s, s:s, s:s, s:I}", "strongroom_export", 1,
                                   "vault", vault, "log", log, "name", t->name, "public_key", key,
                                   "size", (json_int_t)t->size));
}

int bundle_write_checkpoint(struct file_writer *w, const struct trail *t)
{
    return write_json(w, json_pack("{s:s}", "checkpoint", t->note));
}

/* Lines of a file in one buffer of fixed size. */
struct reader {
    FILE *file;
    size_t start;
    size_t end;
    bool over; /* the end of the file was seen */
    bool bad;  /* a line does not fit, or reading failed */
    uint8_t buffer[2 * LINE_MAX_BYTES];
};

/* false at the end. The view dies with the next call. A missing newline at the end is forgiven. */
static bool next_line(struct reader *r, struct span *ret_line)
{
    for (;;) {
        uint8_t *from = r->buffer + r->start;
        size_t have = r->end - r->start;
        uint8_t *newline = have > 0 ? memchr(from, '\n', have) : NULL;

        if (newline != NULL || (r->over && have > 0)) {
            size_t n = newline != NULL ? (size_t)(newline - from) : have;

            *ret_line = span_of(from, n);
            r->start += newline != NULL ? n + 1 : n;
            return true;
        }
        if (r->over || have >= LINE_MAX_BYTES) {
            r->bad = !r->over;
            return false;
        }
        memmove(r->buffer, from, have);
        r->start = 0;
        r->end = have + fread(r->buffer + have, 1, LINE_MAX_BYTES, r->file);
        r->over = r->end == have;
        r->bad = ferror(r->file) != 0;
        if (r->bad)
            return false;
    }
}

static int report_bundle(const char *path, const char *what)
{
    return report(EXIT_USAGE, "%s is not a bundle of 'strongroom audit export': %s", path, what);
}

static json_t *parse_object(struct span line, size_t members)
{
    AUTO(json_t) *object = json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(object) || json_object_size(object) != members)
        return NULL;
    return json_incref(object);
}

static int read_header(const char *path, struct span line, struct trail *t)
{
    AUTO(json_t) *header = parse_object(line, 6);
    const char *key = reply_text(header, "public_key");
    const char *name = reply_text(header, "name");
    uint64_t version = 0;
    size_t n = 0;

    if (!reply_number(header, "strongroom_export", 1, &version) || version != 1)
        return report_bundle(path, "its first line is no header of version 1");
    if (!reply_id(header, "vault", &t->vault) || !reply_id(header, "log", &t->log) ||
        !reply_number(header, "size", INT64_MAX, &t->size) || name == NULL ||
        strlen(name) >= sizeof(t->name) || key == NULL ||
        !base64_parse(key, strlen(key), t->public_key, sizeof(t->public_key), &n) || n != 32)
        return report_bundle(path, "its header is malformed");
    snprintf(t->name, sizeof(t->name), "%s", name);
    text_tame(t->name);
    return EXIT_DONE;
}

static int read_checkpoint(const char *path, struct span line, struct trail *t)
{
    AUTO(json_t) *last = parse_object(line, 1);
    const char *note = reply_text(last, "checkpoint");

    if (note == NULL)
        return report_bundle(path, "its last line is no checkpoint; it may be cut off");
    if (strlen(note) >= sizeof(t->note))
        return report_bundle(path, "its checkpoint is too long");
    snprintf(t->note, sizeof(t->note), "%s", note);
    return EXIT_DONE;
}

/* The last line is the checkpoint, whatever it looks like, so one line is always held back. */
static int read_lines(const struct cli *c, const char *path, struct reader *r, struct trail *t)
{
    static uint8_t held[LINE_MAX_BYTES * 2];
    size_t held_n = 0;
    bool holds = false;
    struct span line;
    int code =
        next_line(r, &line) ? read_header(path, line, t) : report_bundle(path, "it is empty");

    if (code != EXIT_DONE)
        return code;
    trail_begin(c, t);
    while (next_line(r, &line)) {
        if (holds)
            trail_line(t, span_of(held, held_n));
        memcpy(held, line.p, line.n);
        held_n = line.n;
        holds = true;
    }
    if (r->bad)
        return report_bundle(path, "a line is too long, or the file cannot be read");
    if (!holds)
        return report_bundle(path, "it has no checkpoint");
    return read_checkpoint(path, span_of(held, held_n), t);
}

int bundle_read(const struct cli *c, const char *path, struct trail *t)
{
    static struct reader r;

    r.start = r.end = 0;
    r.over = r.bad = false;
    r.file = fopen(path, "re");
    if (r.file == NULL)
        return report(errno == ENOENT ? EXIT_ABSENT : EXIT_OTHER, "%s: %s", path, strerror(errno));
    int code = read_lines(c, path, &r, t);

    fclose(r.file);
    return code;
}
