/*
 * Verifies every small change of a bundle and prints one verdict a line, in a fixed order:
 *
 *   tamper BUNDLE [VKEY FROM TO]
 *   tamper PROOF VKEY KEY
 *
 *   for each line: for each of its bytes, newline included: the byte xor 1; xor 0x80; the file cut
 *   before the byte. Then for each line: without it; twice; exchanged with the next one.
 *
 * A verdict is "SEQ REASON", "unusable" or "good". A change is verified from what was known before
 * its line, so that all of them take seconds. The key is the bundle's own. Of a proof, which is
 * short, only bytes are changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/bundle.h"
#include "ledger/tlog_proof.h"

#define FILE_MAX  ((size_t)1 << 20)
#define LINES_MAX 1000

struct change {
    size_t count;
    size_t size;
    size_t start[LINES_MAX + 1];     /* of each line, and the end */
    struct bundle before[LINES_MAX]; /* each line */
    uint8_t bytes[FILE_MAX];
};

static struct change c;
static struct bundle_feed feed;

static void print_verdict(const struct bundle *b, status st)
{
    if (st == OK)
        puts("good");
    else if (st == BAD_INPUT)
        puts("unusable");
    else
        printf("%llu %s\n", (unsigned long long)b->bad_seq, b->err.why);
}

/* What comes of these pieces after the lines before at. */
static void judge(size_t at, const struct span *pieces, size_t count)
{
    static struct bundle b;
    status st = OK;

    b = c.before[at];
    bundle_feed_begin(&feed, &b);
    for (size_t i = 0; i < count && st == OK; i++)
        st = bundle_feed(&feed, pieces[i], NULL);
    print_verdict(&b, st == OK ? bundle_feed_end(&feed, NULL) : st);
}

static struct span between(size_t from, size_t to)
{
    return span_of(c.bytes + from, to - from);
}

static struct span lines(size_t from, size_t to)
{
    return between(c.start[from], c.start[to]);
}

static void change_bytes(size_t line)
{
    for (size_t i = c.start[line]; i < c.start[line + 1]; i++) {
        static const uint8_t bits[] = { 1, 0x80 };

        for (size_t k = 0; k < sizeof(bits); k++) {
            struct span rest = lines(line, c.count);

            c.bytes[i] ^= bits[k];
            judge(line, &rest, 1);
            c.bytes[i] ^= bits[k];
        }
        struct span cut = between(c.start[line], i);

        judge(line, &cut, 1);
    }
}

static void change_lines(size_t line)
{
    size_t next = line + 1 < c.count ? line + 1 : line;
    const struct span without[] = { lines(line + 1, c.count) };
    const struct span twice[] = { lines(line, line + 1), lines(line, c.count) };
    const struct span exchanged[] = { lines(next, next + 1), lines(line, line + 1),
                                      lines(next + 1, c.count) };

    judge(line, without, 1);
    judge(line, twice, 2);
    judge(line, exchanged, next == line ? 1 : 3);
}

static void load(const char *path, const struct bundle_reader *reader)
{
    FILE *file = fopen(path, "re");
    struct bundle b;

    if (file == NULL)
        exit(2);
    c.size = fread(c.bytes, 1, sizeof(c.bytes), file);
    fclose(file);
    bundle_begin(&b, reader);
    for (size_t at = 0; at < c.size; c.count++) {
        const uint8_t *end = memchr(c.bytes + at, '\n', c.size - at);

        if (end == NULL || c.count == LINES_MAX)
            exit(2);
        c.start[c.count] = at;
        c.before[c.count] = b;
        if (bundle_line(&b, between(at, (size_t)(end - c.bytes)), NULL) != OK)
            exit(2);
        at = (size_t)(end - c.bytes) + 1;
    }
    c.start[c.count] = c.size;
    if (bundle_end(&b, NULL) != OK)
        exit(2);
}

/* --- proofs ----------------------------------------------------------------------------------- */

static void judge_proof(size_t size, const struct note_key *witness, const uint8_t key[static 32])
{
    static struct tlog_proof p;
    struct record_head head;
    struct err e = { 0 };
    struct id vault;
    uint64_t records = 0;

    if (tlog_proof_read(between(0, size), &p, NULL) != OK)
        puts("unusable");
    else if (tlog_proof_verify(&p, span_of(key, 32), witness, 1, &vault, &head, &records, &e) == OK)
        puts("good");
    else
        printf("%llu %s\n", (unsigned long long)p.index, e.why);
}

static int change_proof(const char *path, const char *vkey, const char *hex)
{
    FILE *file = fopen(path, "re");
    struct note_key witness;
    uint8_t key[32];

    if (file == NULL || !hex_parse(hex, strlen(hex), key, sizeof(key)) ||
        note_key_parse(span_text(vkey), &witness, NULL) != OK)
        return 2;
    c.size = fread(c.bytes, 1, sizeof(c.bytes), file);
    fclose(file);
    for (size_t i = 0; i < c.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            c.bytes[i] ^= (uint8_t)(1u << bit);
            judge_proof(c.size, &witness, key);
            c.bytes[i] ^= (uint8_t)(1u << bit);
        }
        judge_proof(i, &witness, key);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct bundle_reader reader = { .witnesses = 0 };
    static struct note_key witness;

    if (argc == 4)
        return change_proof(argv[1], argv[2], argv[3]);
    if (argc != 2 && argc != 5)
        return 2;
    if (argc == 5) {
        if (note_key_parse(span_text(argv[2]), &witness, NULL) != OK ||
            !number_parse(argv[3], 0, UINT32_MAX, &reader.from) ||
            !number_parse(argv[4], 0, UINT32_MAX, &reader.to))
            return 2;
        reader.witness = &witness;
        reader.witnesses = 1;
        reader.range = true;
    }
    load(argv[1], &reader);
    for (size_t line = 0; line < c.count; line++)
        change_bytes(line);
    for (size_t line = 0; line < c.count; line++)
        change_lines(line);
    return 0;
}
