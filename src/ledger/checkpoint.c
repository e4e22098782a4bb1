/*
 * Checkpoints as C2SP signed notes. The three lines of the text are read as strictly as they
 * are written. Signature lines of other keys are passed over, as that specification demands,
 * so that a witness may add its own without breaking anyone's verification; ours must be
 * there, and every line that claims to be ours must verify.
 */
#include "ledger/checkpoint.h"

#include <string.h>

#include "text.h"

#define ORIGIN_PREFIX       "strongroom/"
#define ORIGIN_LENGTH       (sizeof(ORIGIN_PREFIX) - 1 + ID_HEX_LENGTH + 1 + ID_HEX_LENGTH)
#define KEY_ID_SIZE         4
#define SIGNATURE_SIZE      (KEY_ID_SIZE + ED25519_SIGNATURE_SIZE)
#define SIGNATURE_TYPE      0x01            /* Ed25519 over the note's text */
#define DASH                "\xe2\x80\x94 " /* U+2014 and a space begin a signature line */
#define SIGNATURE_LINES_MAX 16
#define SIZE_MAX_LOG        (((uint64_t)1 << LIMIT_TREE_LEVELS) - 1)
#define BASE64_SIZE(n)      (4 * (((n) + 2) / 3) + 1)

/* One log's name and the key it signs with. */
struct signer {
    uint8_t origin[ORIGIN_LENGTH]; /* also the key name */
    uint8_t public32[32];
    uint8_t key_id[KEY_ID_SIZE];
};

static void signer_init(struct signer *s, const struct id *vault, const struct id *log,
                        struct span public32)
{
    uint8_t named[ORIGIN_LENGTH + 2 + sizeof(s->public32)];
    uint8_t hash[SHA256_SIZE];
    struct in from = in_of(public32);
    struct out o;

    out_init(&o, s->origin, sizeof(s->origin));
    out_text(&o, ORIGIN_PREFIX);
    text_hex_put(&o, SPAN(vault->b));
    out_u8(&o, '/');
    text_hex_put(&o, SPAN(log->b));
    in_copy(&from, s->public32, sizeof(s->public32));

    out_init(&o, named, sizeof(named));
    out_raw(&o, SPAN(s->origin));
    out_u8(&o, '\n');
    out_u8(&o, SIGNATURE_TYPE);
    out_raw(&o, SPAN(s->public32));
    sha256(SPAN(named), hash);
    out_init(&o, s->key_id, sizeof(s->key_id));
    out_raw(&o, span_of(hash, KEY_ID_SIZE));
}

status checkpoint_sign(const struct id *vault, const struct ledger_tree *t, struct span seed32,
                       struct out *out, struct err *e)
{
    struct signer s;
    uint8_t root[SHA256_SIZE];
    uint8_t public32[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t blob[SIGNATURE_SIZE];
    uint8_t bytes[CHECKPOINT_MAX];
    char text[BASE64_SIZE(SIGNATURE_SIZE)];
    struct out note;
    struct out o;

    if (seed32.n != KEY_SIZE)
        return fail(e, BAD_INPUT, "signing seed has a wrong size", seed32.n);
    ed25519_public(seed32, public32);
    signer_init(&s, vault, &t->log, SPAN(public32));
    ledger_root(t, root);

    out_init(&note, bytes, sizeof(bytes));
    out_raw(&note, SPAN(s.origin));
    out_u8(&note, '\n');
    text_number_put(&note, t->size);
    out_u8(&note, '\n');
    base64_format(SPAN(root), text);
    out_text(&note, text);
    out_u8(&note, '\n');
    ed25519_sign(seed32, span_of(note.p, note.n), signature);

    out_init(&o, blob, sizeof(blob));
    out_raw(&o, SPAN(s.key_id));
    out_raw(&o, SPAN(signature));
    base64_format(SPAN(blob), text);
    out_text(&note, "\n" DASH);
    out_raw(&note, SPAN(s.origin));
    out_u8(&note, ' ');
    out_text(&note, text);
    out_u8(&note, '\n');
    out_raw(out, span_of(note.p, note.n));
    if (note.overflow || out->overflow)
        return fail(e, LIMIT, "no room for the checkpoint", 0);
    return OK;
}

/* The next line without its newline; false if no whole line is left. */
static bool take_line(struct in *i, struct span *ret_line)
{
    const uint8_t *end = i->n == 0 ? NULL : memchr(i->p, '\n', i->n);

    if (end == NULL)
        return false;
    *ret_line = in_raw(i, (size_t)(end - i->p));
    in_u8(i);
    return true;
}

/* Whole lines of UTF-8 without control characters. */
static bool text_allowed(struct span note)
{
    struct in rest = in_of(note);

    if (note.n == 0 || note.p[note.n - 1] != '\n')
        return false;
    while (rest.n > 0) {
        size_t length = text_character(span_of(rest.p, rest.n));

        if (length == 0 || (rest.p[0] < 0x20 && rest.p[0] != '\n'))
            return false;
        in_raw(&rest, length);
    }
    return true;
}

enum signature { SIGNATURE_MALFORMED, SIGNATURE_WRONG, SIGNATURE_FOREIGN, SIGNATURE_GOOD };

/* Judges the line  DASH name space base64  over text. */
static enum signature signature_judge(const struct signer *s, struct span text, struct span line)
{
    struct span dash = span_text(DASH);
    uint8_t blob[SIGNATURE_SIZE];
    const uint8_t *space = NULL;
    struct span name;
    struct span code;
    size_t n = 0;

    if (line.n <= dash.n || !span_same(span_of(line.p, dash.n), dash))
        return SIGNATURE_MALFORMED;
    line = span_of(line.p + dash.n, line.n - dash.n);
    space = memchr(line.p, ' ', line.n);
    if (space == NULL)
        return SIGNATURE_MALFORMED;
    name = span_of(line.p, (size_t)(space - line.p));
    code = span_of(space + 1, line.n - name.n - 1);
    if (name.n == 0 || code.n == 0 || memchr(code.p, ' ', code.n) != NULL)
        return SIGNATURE_MALFORMED;
    /* A key is known by its name and its id together; either one alone may be another's. */
    if (!span_same(name, SPAN(s->origin)) ||
        !base64_parse((const char *)code.p, code.n, blob, sizeof(blob), &n) || n != sizeof(blob) ||
        !span_same(span_of(blob, KEY_ID_SIZE), SPAN(s->key_id)))
        return SIGNATURE_FOREIGN;
    return ed25519_verify(SPAN(s->public32), text,
                          span_of(blob + KEY_ID_SIZE, ED25519_SIGNATURE_SIZE))
               ? SIGNATURE_GOOD
               : SIGNATURE_WRONG;
}

static status signatures_check(const struct signer *s, struct span text, struct in rest,
                               struct err *e)
{
    struct span line;
    unsigned good = 0;

    for (unsigned count = 0; rest.n > 0; count++) {
        if (count == SIGNATURE_LINES_MAX || !take_line(&rest, &line))
            return fail(e, CORRUPT, "malformed checkpoint", count);
        switch (signature_judge(s, text, line)) {
        case SIGNATURE_MALFORMED: return fail(e, CORRUPT, "malformed checkpoint", count);
        case SIGNATURE_WRONG: return fail(e, CORRUPT, "bad signature", count);
        case SIGNATURE_FOREIGN: break;
        case SIGNATURE_GOOD: good++; break;
        }
    }
    if (good == 0)
        return fail(e, CORRUPT, "bad signature", 0);
    return OK;
}

status checkpoint_verify(struct span note, const struct id *vault, const struct id *log,
                         struct span public32, uint64_t *ret_size,
                         uint8_t ret_root[static SHA256_SIZE], struct err *e)
{
    struct in rest = in_of(note);
    struct span origin;
    struct span size_text;
    struct span root_text;
    struct span blank;
    struct span text;
    struct signer s;
    struct out o;
    uint8_t root[SHA256_SIZE];
    uint64_t size = 0;
    size_t n = 0;
    status st = OK;

    if (public32.n != sizeof(s.public32))
        return fail(e, CORRUPT, "public key has a wrong size", public32.n);
    signer_init(&s, vault, log, public32);
    /* An extension line would stand where the blank line must be. */
    if (!text_allowed(note) || !take_line(&rest, &origin) || !take_line(&rest, &size_text) ||
        !take_line(&rest, &root_text) || !take_line(&rest, &blank) || blank.n != 0 ||
        !text_number_parse(size_text, SIZE_MAX_LOG, &size) ||
        !base64_parse((const char *)root_text.p, root_text.n, root, sizeof(root), &n) ||
        n != sizeof(root))
        return fail(e, CORRUPT, "malformed checkpoint", 0);
    if (!span_same(origin, SPAN(s.origin)))
        return fail(e, CORRUPT, "checkpoint of another log", 0);
    text = span_of(note.p, (size_t)(blank.p - note.p));
    st = signatures_check(&s, text, rest, e);
    if (st != OK)
        return st;
    *ret_size = size;
    out_init(&o, ret_root, SHA256_SIZE);
    out_raw(&o, SPAN(root));
    return OK;
}
