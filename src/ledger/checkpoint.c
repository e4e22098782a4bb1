/*
 * Checkpoints as C2SP signed notes. The three lines of the text are read as strictly as they
 * are written; our signature must be there, and every line that claims to be ours must verify.
 */
#include "ledger/checkpoint.h"

#include "note_lines.h"
#include "text.h"

#define ORIGIN_PREFIX  "strongroom/"
#define PREFIX_LENGTH  (sizeof(ORIGIN_PREFIX) - 1)
#define ORIGIN_LENGTH  (PREFIX_LENGTH + ID_HEX_LENGTH + 1 + ID_HEX_LENGTH)
#define SIGNATURE_SIZE (NOTE_KEY_ID + ED25519_SIGNATURE_SIZE)
#define BASE64_SIZE(n) (4 * (((n) + 2) / 3) + 1)

static void origin_put(struct out *o, const struct id *vault, const struct id *log)
{
    out_text(o, ORIGIN_PREFIX);
    text_hex_put(o, SPAN(vault->b));
    out_u8(o, '/');
    text_hex_put(o, SPAN(log->b));
}

/* One log's name, and the key it signs with. */
static status signer_init(struct note_key *key, const struct id *vault, const struct id *log,
                          struct span public32, struct err *e)
{
    uint8_t origin[ORIGIN_LENGTH];
    struct out o;

    out_init(&o, origin, sizeof(origin));
    origin_put(&o, vault, log);
    return note_key_set(key, SPAN(origin), NOTE_ED25519, public32, e);
}

void checkpoint_text(const struct id *vault, const struct id *log, uint64_t size,
                     const uint8_t root[static SHA256_SIZE], struct out *out)
{
    char text[BASE64_SIZE(SHA256_SIZE)];

    origin_put(out, vault, log);
    out_u8(out, '\n');
    text_number_put(out, size);
    out_u8(out, '\n');
    base64_format(span_of(root, SHA256_SIZE), text);
    out_text(out, text);
    out_u8(out, '\n');
}

status checkpoint_sign(const struct id *vault, const struct ledger_tree *t, struct span seed32,
                       struct out *out, struct err *e)
{
    uint8_t root[SHA256_SIZE];

    ledger_root(t, root);
    return checkpoint_sign_root(vault, &t->log, t->size, root, seed32, out, e);
}

status checkpoint_sign_root(const struct id *vault, const struct id *log, uint64_t size,
                            const uint8_t root[static SHA256_SIZE], struct span seed32,
                            struct out *out, struct err *e)
{
    struct note_key key;
    uint8_t public32[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t blob[SIGNATURE_SIZE];
    uint8_t bytes[CHECKPOINT_MAX];
    char text[BASE64_SIZE(SIGNATURE_SIZE)];
    struct out note;
    struct out o;
    status st = OK;

    if (seed32.n != KEY_SIZE)
        return fail(e, BAD_INPUT, "signing seed has a wrong size", seed32.n);
    ed25519_public(seed32, public32);
    st = signer_init(&key, vault, log, SPAN(public32), e);
    if (st != OK)
        return st;

    out_init(&note, bytes, sizeof(bytes));
    checkpoint_text(vault, log, size, root, &note);
    ed25519_sign(seed32, span_of(note.p, note.n), signature);

    out_init(&o, blob, sizeof(blob));
    out_raw(&o, SPAN(key.id));
    out_raw(&o, SPAN(signature));
    base64_format(SPAN(blob), text);
    out_text(&note, "\n" NOTE_DASH);
    origin_put(&note, vault, log);
    out_u8(&note, ' ');
    out_text(&note, text);
    out_u8(&note, '\n');
    out_raw(out, span_of(note.p, note.n));
    if (note.overflow || out->overflow)
        return fail(e, LIMIT, "no room for the checkpoint", 0);
    return OK;
}

/* The form of a checkpoint of anybody's. */
struct parts {
    struct span origin;
    struct span text;     /* what is signed */
    struct in signatures; /* the lines after it */
    uint64_t size;
    uint8_t root[SHA256_SIZE];
};

static bool parse(struct span note, struct parts *p)
{
    struct in rest = in_of(note);
    struct span size;
    struct span root;
    struct span blank;
    size_t n = 0;

    /* An extension line would stand where the blank line must be. */
    if (!note_allowed(note) || !note_take_line(&rest, &p->origin) ||
        !note_take_line(&rest, &size) || !note_take_line(&rest, &root) ||
        !note_take_line(&rest, &blank) || blank.n != 0 ||
        !text_number_parse(size, LEDGER_SIZE_MAX, &p->size) ||
        !base64_parse((const char *)root.p, root.n, p->root, sizeof(p->root), &n) ||
        n != sizeof(p->root))
        return false;
    p->text = span_of(note.p, (size_t)(blank.p - note.p));
    p->signatures = rest;
    return true;
}

static void give_root(const struct parts *p, uint8_t ret_root[static SHA256_SIZE])
{
    struct in root = in_of(SPAN(p->root));

    in_copy(&root, ret_root, SHA256_SIZE);
}

status checkpoint_verify(struct span note, const struct id *vault, const struct id *log,
                         struct span public32, uint64_t *ret_size,
                         uint8_t ret_root[static SHA256_SIZE], struct err *e)
{
    struct note_key key;
    struct parts p;
    uint64_t time_s = 0;

    if (signer_init(&key, vault, log, public32, NULL) != OK)
        return fail(e, CORRUPT, "public key has a wrong size", public32.n);
    if (!parse(note, &p))
        return fail(e, CORRUPT, "malformed checkpoint", 0);
    if (!span_same(p.origin, span_of(key.name, key.name_length)))
        return fail(e, CORRUPT, "checkpoint of another log", 0);
    switch (note_judge(&key, p.text, p.signatures, &time_s)) {
    case SIGNATURE_GOOD: break;
    case SIGNATURE_MALFORMED: return fail(e, CORRUPT, "malformed checkpoint", 0);
    case SIGNATURE_WRONG:
    case SIGNATURE_ABSENT: return fail(e, CORRUPT, "bad signature", 0);
    }
    *ret_size = p.size;
    give_root(&p, ret_root);
    return OK;
}

status checkpoint_read(struct span note, struct id *ret_vault, struct id *ret_log,
                       uint64_t *ret_size, uint8_t ret_root[static SHA256_SIZE],
                       struct span *ret_text, struct err *e)
{
    uint8_t origin[ORIGIN_LENGTH];
    const char *vault = NULL;
    struct parts p;
    struct out o;

    if (!parse(note, &p) || p.origin.n != ORIGIN_LENGTH)
        return fail(e, CORRUPT, "malformed checkpoint", 0);
    vault = (const char *)p.origin.p + PREFIX_LENGTH;
    if (!hex_parse(vault, ID_HEX_LENGTH, ret_vault->b, sizeof(ret_vault->b)) ||
        !hex_parse(vault + ID_HEX_LENGTH + 1, ID_HEX_LENGTH, ret_log->b, sizeof(ret_log->b)))
        return fail(e, CORRUPT, "malformed checkpoint", 0);
    /* Prefix, slash and letter case by one comparison. */
    out_init(&o, origin, sizeof(origin));
    origin_put(&o, ret_vault, ret_log);
    if (!span_same(p.origin, SPAN(origin)))
        return fail(e, CORRUPT, "malformed checkpoint", 0);
    *ret_size = p.size;
    *ret_text = p.text;
    give_root(&p, ret_root);
    return OK;
}
