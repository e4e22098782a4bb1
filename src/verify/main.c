/*
 * strongroom-verify: whether an exported trail, or the proof of one record, is what the vault
 * signed. It reads one file and nothing else: no vault, no network, no configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/bundle.h"
#include "ledger/tlog_proof.h"

#define PIECE          ((size_t)256 * 1024)
#define PROGRESS_BYTES ((uint64_t)16 * 1024 * 1024) /* between two looks at the terminal */

enum exit_code { EXIT_VERIFIED = 0, EXIT_BAD = 1, EXIT_UNUSABLE = 2 };

enum { OPT_PUBLIC_KEY = 1000, OPT_WITNESS, OPT_FROM, OPT_TO, OPT_JSON, OPT_HELP, OPT_VERSION };

static const struct option options[] = {
    { "public-key", required_argument, NULL, OPT_PUBLIC_KEY },
    { "witness", required_argument, NULL, OPT_WITNESS },
    { "from", required_argument, NULL, OPT_FROM },
    { "to", required_argument, NULL, OPT_TO },
    { "json", no_argument, NULL, OPT_JSON },
    { "help", no_argument, NULL, OPT_HELP },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

static const char help[] =
    "Usage: strongroom-verify FILE [OPTION]...\n"
    "Verifies a trail that 'strongroom audit export' wrote, or the proof of one record.\n"
    "\n"
    "  --public-key KEY  the vault's ledger key, base64 or hexadecimal, from a source you trust\n"
    "  --witness VKEY    a witness that must have signed (name+id+key); may be repeated\n"
    "  --from N, --to N  be content with records N to N - 1 of the trail\n"
    "  --json            say it in JSON\n"
    "\n"
    "Exit status: 0 it verifies, 1 it does not (the first bad record is named), 2 unusable "
    "input.\n";

/* What was asked for, and the file. */
struct job {
    const char *path;
    bool json;
    bool key_given;
    uint8_t public32[32];
    struct note_key witness[BUNDLE_WITNESSES_MAX];
    size_t witnesses;
    bool range;
    uint64_t from;
    uint64_t to;
    int fd;
    uint64_t file_size; /* 0: not known */
    uint64_t done;
};

__attribute__((format(printf, 1, 2))) static int unusable(const char *form, ...)
{
    va_list list;

    fputs("strongroom-verify: ", stderr);
    va_start(list, form);
    vfprintf(stderr, form, list);
    va_end(list);
    fputc('\n', stderr);
    return EXIT_UNUSABLE;
}

/* --- what was asked for ----------------------------------------------------------------------- */

static bool take_key(struct job *j, const char *text)
{
    size_t n = 0;

    j->key_given = hex_parse(text, strlen(text), j->public32, sizeof(j->public32)) ||
                   (base64_parse(text, strlen(text), j->public32, sizeof(j->public32), &n) &&
                    n == sizeof(j->public32));
    return j->key_given;
}

static bool take_witness(struct job *j, const char *text)
{
    return j->witnesses < BUNDLE_WITNESSES_MAX &&
           note_key_parse(span_text(text), &j->witness[j->witnesses++], NULL) == OK;
}

/* EXIT_VERIFIED: go on. *ret_done: there is nothing more to do. */
static int take_options(struct job *j, int argc, char **argv, bool *ret_done)
{
    uint64_t most = ((uint64_t)1 << LIMIT_TREE_LEVELS) - 1;
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool good = true;

        switch (option) {
        case OPT_PUBLIC_KEY: good = take_key(j, optarg); break;
        case OPT_WITNESS: good = take_witness(j, optarg); break;
        case OPT_FROM: good = j->range = number_parse(optarg, 0, most, &j->from); break;
        case OPT_TO: good = j->range = number_parse(optarg, 0, most, &j->to); break;
        case OPT_JSON: j->json = true; break;
        case OPT_HELP:
            fputs(help, stdout);
            *ret_done = true;
            return EXIT_VERIFIED;
        case OPT_VERSION:
            puts("strongroom-verify " STRONGROOM_VERSION);
            *ret_done = true;
            return 0;
        default: return EXIT_UNUSABLE; /* getopt has said why */
        }
        if (!good)
            return unusable("not a key or number that can be used: %s", optarg);
    }
    if (optind + 1 != argc)
        return unusable("give one file; --help says more");
    j->path = argv[optind];
    return EXIT_VERIFIED;
}

/* --- what is said ----------------------------------------------------------------------------- */

static void say_hex(const char *name, struct span bytes)
{
    printf(",\"%s\":\"", name);
    for (size_t i = 0; i < bytes.n; i++)
        printf("%02x", bytes.p[i]);
    putchar('"');
}

static void say_number(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

static int say_bad(const struct job *j, const char *log, uint64_t seq, const char *why)
{
    if (j->json)
        printf("{\"verified\":false,\"log\":\"%s\",\"bad_seq\":%llu,\"reason\":\"%s\"}\n", log,
               (unsigned long long)seq, why);
    else
        printf("%s does NOT verify at record %llu: %s\n", log, (unsigned long long)seq, why);
    return EXIT_BAD;
}

static void say_good_json(const struct job *j, const struct bundle *b)
{
    uint8_t root[SHA256_SIZE];

    ledger_root(&b->verify.tree, root);
    printf("{\"verified\":true,\"log\":\"%s\"", b->header.name);
    say_hex("vault_id", SPAN(b->header.vault.b));
    say_hex("log_id", SPAN(b->header.log.b));
    say_number("records", b->header.to - b->header.from);
    say_number("from", b->header.from);
    say_number("to", b->header.to);
    say_number("size", b->header.size);
    say_hex("root", SPAN(root));
    if (b->committed)
        say_number("round", b->commitment.round);
    say_number("persons", b->persons);
    say_number("operator_records", b->operators_proven);
    say_number("witnesses", b->reader.witnesses);
    printf(",\"key_given\":%s}\n", j->key_given ? "true" : "false");
}

static int say_good(const struct job *j, const struct bundle *b)
{
    const struct bundle_header *h = &b->header;
    unsigned long long records = (unsigned long long)(h->to - h->from);

    if (j->json) {
        say_good_json(j, b);
        return EXIT_VERIFIED;
    }
    printf("%s: %llu records verified: chained, gapless, checkpoint signed\n", h->name, records);
    if (records < h->size)
        printf("records %llu to %llu of %llu\n", (unsigned long long)h->from,
               (unsigned long long)h->to, (unsigned long long)h->size);
    if (b->dropped_stated)
        puts("a record states that those before were dropped");
    if (b->committed)
        printf("committed to in round %llu of the vault's tree\n",
               (unsigned long long)b->commitment.round);
    if (b->operators_proven > 0)
        printf("%llu records of operators are in the vault's own log\n",
               (unsigned long long)b->operators_proven);
    if (j->witnesses > 0)
        printf("%zu witnesses have signed\n", j->witnesses);
    if (!j->key_given)
        fputs("The key was taken from the file itself: this shows damage, not forgery. Give the "
              "vault's ledger key with --public-key.\n",
              stderr);
    return EXIT_VERIFIED;
}

static void show_progress(const struct job *j, const struct bundle *b, bool last)
{
    static bool shown;
    unsigned long long next = (unsigned long long)b->next;

    if (!isatty(STDERR_FILENO) || (last && !shown))
        return;
    shown = true;
    if (j->file_size > 0)
        fprintf(stderr, "\r%3llu %%  %llu records%s",
                (unsigned long long)(j->done * 100 / j->file_size), next, last ? "\n" : "");
    else
        fprintf(stderr, "\r%llu records%s", next, last ? "\n" : "");
}

/* --- files ------------------------------------------------------------------------------------ */

/* As much as there is of a piece. -1: reading failed. */
static ssize_t read_piece(struct job *j, uint8_t *piece)
{
    size_t n = 0;

    while (n < PIECE) {
        ssize_t got = read(j->fd, piece + n, PIECE - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    j->done += n;
    return (ssize_t)n;
}

static const uint8_t *given_key(void *context, const struct bundle_header *header)
{
    const struct job *j = context;

    (void)header;
    return j->key_given ? j->public32 : NULL;
}

static int verify_bundle(struct job *j, uint8_t *piece, size_t n)
{
    static struct bundle b;
    static struct bundle_feed feed;
    struct bundle_reader reader = { .witness = j->witness,
                                    .witnesses = j->witnesses,
                                    .range = j->range,
                                    .from = j->from,
                                    .to = j->to,
                                    .context = j,
                                    .begin = given_key };
    uint64_t look = PROGRESS_BYTES;
    status st = OK;

    bundle_begin(&b, &reader);
    bundle_feed_begin(&feed, &b);
    while (n > 0 && st == OK) {
        ssize_t got = 0;

        st = bundle_feed(&feed, span_of(piece, n), NULL);
        if (j->done >= look) {
            show_progress(j, &b, false);
            look = j->done + PROGRESS_BYTES;
        }
        got = st == OK ? read_piece(j, piece) : 0;
        if (got < 0)
            return unusable("%s: %s", j->path, strerror(errno));
        n = (size_t)got;
    }
    if (st == OK)
        st = bundle_feed_end(&feed, NULL);
    show_progress(j, &b, true);
    if (st == BAD_INPUT)
        return unusable("%s is neither a bundle nor a proof: %s", j->path, b.err.why);
    return st == OK ? say_good(j, &b) : say_bad(j, b.header.name, b.bad_seq, b.err.why);
}

static int verify_proof(struct job *j, struct span text)
{
    static struct tlog_proof p;
    struct record_head head;
    struct err e = { 0 };
    struct id vault;
    uint64_t size = 0;

    if (tlog_proof_read(text, &p, &e) != OK)
        return unusable("%s: %s", j->path, e.why);
    if (!j->key_given)
        return unusable("a proof needs the vault's ledger key: give --public-key");
    if (tlog_proof_verify(&p, SPAN(j->public32), j->witness, j->witnesses, &vault, &head, &size,
                          &e) != OK)
        return say_bad(j, "the proof", p.index, e.why);
    if (j->json) {
        printf("{\"verified\":true");
        say_hex("vault_id", SPAN(vault.b));
        say_hex("log_id", SPAN(head.log.b));
        say_number("seq", p.index);
        say_number("size", size);
        say_number("witnesses", j->witnesses);
        printf(",\"type\":\"%s\"}\n", record_type_name(head.type));
    } else {
        printf("record %llu of %llu is in the log:\n%.*s\n", (unsigned long long)p.index,
               (unsigned long long)size, (int)p.record_length, (const char *)p.record);
    }
    return EXIT_VERIFIED;
}

static int verify(struct job *j)
{
    struct span magic = span_text(TLOG_PROOF_MAGIC);
    static uint8_t piece[PIECE];
    ssize_t n = read_piece(j, piece);

    if (n < 0)
        return unusable("%s: %s", j->path, strerror(errno));
    if ((size_t)n >= magic.n && span_same(span_of(piece, magic.n), magic))
        return verify_proof(j, span_of(piece, (size_t)n));
    return verify_bundle(j, piece, (size_t)n);
}

int main(int argc, char **argv)
{
    static struct job j;
    struct stat about;
    bool done = false;
    int code = take_options(&j, argc, argv, &done);

    if (code != EXIT_VERIFIED || done)
        return code;
    if (j.range && j.to == 0)
        j.to = j.from; /* --from alone: however far it goes */
    if (j.to < j.from)
        return unusable("--to must not be less than --from");
    j.fd = open(j.path, O_RDONLY | O_CLOEXEC);
    if (j.fd < 0)
        return unusable("%s: %s", j.path, strerror(errno));
    if (fstat(j.fd, &about) == 0 && S_ISREG(about.st_mode))
        j.file_size = (uint64_t)about.st_size;
    code = verify(&j);
    close(j.fd);
    if (fflush(stdout) != 0)
        return unusable("cannot write: %s", strerror(errno));
    return code;
}
