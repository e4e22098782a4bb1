/*
 * Signed notes. Lines by other keys are passed over, as the specification demands, so that a
 * witness may add its own without breaking anyone's verification; a line that bears the name and
 * the id of a key in question must verify with it.
 */
#include "ledger/note.h"

#include <string.h>

#include "crypto/crypto.h"
#include "note_lines.h"
#include "text.h"

#define TIME_SIZE     8
#define TIME_MAX      ((uint64_t)INT64_MAX)
#define BLOB_MAX      (NOTE_KEY_ID + TIME_SIZE + ED25519_SIGNATURE_SIZE)
#define VKEY_SIZE     (1 + 32)
#define COSIGNED_MAX  1024 /* a checkpoint's text and the two lines before it */
#define COSIGNED_HEAD "cosignature/v1\ntime "

/* --- keys ------------------------------------------------------------------------------------ */

static bool name_allowed(struct span name)
{
    if (name.n == 0 || name.n > NOTE_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] == '+' || name.p[i] >= 0x7f)
            return false;
    }
    return true;
}

status note_key_set(struct note_key *ret_key, struct span name, uint8_t type, struct span public32,
                    struct err *e)
{
    struct note_key key = { .type = type };
    uint8_t named[NOTE_NAME_MAX + 2 + sizeof(key.public32)];
    uint8_t hash[SHA256_SIZE];
    struct in from = in_of(name);
    struct out o;

    if (!name_allowed(name) || public32.n != sizeof(key.public32))
        return fail(e, BAD_INPUT, "no name or key for notes", name.n);
    key.name_length = name.n;
    in_copy(&from, key.name, name.n);
    from = in_of(public32);
    in_copy(&from, key.public32, sizeof(key.public32));

    out_init(&o, named, sizeof(named));
    out_raw(&o, name);
    out_u8(&o, '\n');
    out_u8(&o, type);
    out_raw(&o, public32);
    sha256(span_of(o.p, o.n), hash);
    from = in_of(SPAN(hash));
    in_copy(&from, key.id, sizeof(key.id));
    *ret_key = key;
    return OK;
}

/* Takes what stands before the next plus sign. */
static bool take_part(struct in *i, struct span *ret_part)
{
    const uint8_t *plus = i->n == 0 ? NULL : memchr(i->p, '+', i->n);

    if (plus == NULL)
        return false;
    *ret_part = in_raw(i, (size_t)(plus - i->p));
    in_u8(i);
    return true;
}

status note_key_parse(struct span text, struct note_key *ret_key, struct err *e)
{
    struct in rest = in_of(text);
    uint8_t id[NOTE_KEY_ID];
    uint8_t key[VKEY_SIZE];
    char hex[2 * NOTE_KEY_ID + 1];
    struct note_key made;
    struct span name;
    struct span digits;
    size_t n = 0;
    status st = OK;

    if (!take_part(&rest, &name) || !take_part(&rest, &digits) ||
        !hex_parse((const char *)digits.p, digits.n, id, sizeof(id)) ||
        !base64_parse((const char *)rest.p, rest.n, key, sizeof(key), &n) || n != sizeof(key))
        return fail(e, BAD_INPUT, "malformed verifier key", 0);
    if (key[0] != NOTE_ED25519 && key[0] != NOTE_COSIGNATURE)
        return fail(e, BAD_INPUT, "verifier key of an unknown type", key[0]);
    st = note_key_set(&made, name, key[0], span_of(key + 1, 32), e);
    if (st != OK)
        return st;
    hex_format(SPAN(made.id), hex);
    if (!span_same(digits, span_text(hex)))
        return fail(e, BAD_INPUT, "verifier key does not fit its name", 0);
    *ret_key = made;
    return OK;
}

/* --- signature lines ------------------------------------------------------------------------- */

bool note_take_line(struct in *i, struct span *ret_line)
{
    const uint8_t *end = i->n == 0 ? NULL : memchr(i->p, '\n', i->n);

    if (end == NULL)
        return false;
    *ret_line = in_raw(i, (size_t)(end - i->p));
    in_u8(i);
    return true;
}

bool note_allowed(struct span note)
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

/* A witness signs the text under a header and the time. */
static bool cosignature_good(const struct note_key *key, struct span text, struct in *signature,
                             uint64_t *ret_time_s)
{
    uint64_t time_s = in_u64(signature);
    uint8_t bytes[COSIGNED_MAX];
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    out_text(&o, COSIGNED_HEAD);
    text_number_put(&o, time_s);
    out_u8(&o, '\n');
    out_raw(&o, text);
    if (o.overflow || time_s > TIME_MAX ||
        !ed25519_verify(SPAN(key->public32), span_of(o.p, o.n),
                        in_raw(signature, ED25519_SIGNATURE_SIZE)))
        return false;
    *ret_time_s = time_s;
    return true;
}

/* Judges one line,  DASH name space base64 . */
static enum signature judge_line(const struct note_key *key, struct span text, struct span line,
                                 uint64_t *ret_time_s)
{
    struct span dash = span_text(NOTE_DASH);
    bool timed = key->type == NOTE_COSIGNATURE;
    size_t size = NOTE_KEY_ID + ED25519_SIGNATURE_SIZE + (timed ? (size_t)TIME_SIZE : 0);
    uint8_t blob[BLOB_MAX];
    const uint8_t *space = NULL;
    struct in signature;
    struct span name;
    struct span code;
    size_t n = 0;
    bool good = false;

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
    if (!span_same(name, span_of(key->name, key->name_length)) ||
        !base64_parse((const char *)code.p, code.n, blob, sizeof(blob), &n) || n != size ||
        !span_same(span_of(blob, NOTE_KEY_ID), SPAN(key->id)))
        return SIGNATURE_ABSENT;
    signature = in_of(span_of(blob + NOTE_KEY_ID, n - NOTE_KEY_ID));
    good = timed ? cosignature_good(key, text, &signature, ret_time_s)
                 : ed25519_verify(SPAN(key->public32), text, span_of(signature.p, signature.n));
    return good ? SIGNATURE_GOOD : SIGNATURE_WRONG;
}

enum signature note_judge(const struct note_key *key, struct span text, struct in rest,
                          uint64_t *ret_time_s)
{
    enum signature all = SIGNATURE_ABSENT;
    struct span line;

    *ret_time_s = 0;
    for (unsigned count = 0; rest.n > 0; count++) {
        enum signature one = SIGNATURE_MALFORMED;

        if (count < NOTE_SIGNATURES && note_take_line(&rest, &line))
            one = judge_line(key, text, line, ret_time_s);
        if (one == SIGNATURE_MALFORMED || one == SIGNATURE_WRONG)
            return one;
        if (one == SIGNATURE_GOOD)
            all = one;
    }
    return all;
}

/* The length of the text: up to the last empty line. 0 if there is none. */
static size_t text_length(struct span note)
{
    for (size_t n = note.n; n > 1; n--) {
        if (note.p[n - 1] == '\n' && note.p[n - 2] == '\n')
            return n - 1;
    }
    return 0;
}

status note_verify(struct span note, const struct note_key *key, uint64_t *ret_time_s,
                   struct err *e)
{
    size_t n = note_allowed(note) ? text_length(note) : 0;
    uint64_t time_s = 0;

    if (n == 0)
        return fail(e, CORRUPT, "malformed note", 0);
    switch (note_judge(key, span_of(note.p, n), in_of(span_of(note.p + n + 1, note.n - n - 1)),
                       &time_s)) {
    case SIGNATURE_GOOD: break;
    case SIGNATURE_WRONG: return fail(e, CORRUPT, "bad signature", 0);
    case SIGNATURE_ABSENT: return fail(e, CORRUPT, "not signed by this key", 0);
    case SIGNATURE_MALFORMED: return fail(e, CORRUPT, "malformed note", 0);
    }
    if (ret_time_s != NULL)
        *ret_time_s = time_s;
    return OK;
}
