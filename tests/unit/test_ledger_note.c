/* Signed notes: a published one, cosignatures of witnesses, and what is refused. */
#include "test_ledger_log.h"

#include <stdio.h>

#include "ledger/note.h"

/* The key, and the note by it, that the Go project's golang.org/x/mod/sumdb/note is documented and
 * tested with, and other implementations of C2SP signed-note too. */
#define PETER "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETERS_TEXT                                              \
    "If you think cryptography is the answer to your problem,\n" \
    "then you don't know what your problem is.\n"
#define PETERS_LINE                                                                  \
    "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN" \
    "1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"

static const uint8_t witness_seed[32] = { 0x57 };

static struct note_key peter(void)
{
    struct note_key key;

    assert_int_equal(note_key_parse(span_text(PETER), &key, NULL), OK);
    return key;
}

static void the_published_note_verifies(void **state)
{
    struct note_key key = peter();
    uint64_t time_s = 77;

    (void)state;
    assert_int_equal(key.type, NOTE_ED25519);
    assert_hex(SPAN(key.id), "c74f20a3");
    assert_int_equal(note_verify(span_text(PETERS_TEXT "\n" PETERS_LINE), &key, &time_s, NULL), OK);
    assert_int_equal(time_s, 0);
    assert_int_equal(
        note_verify(span_text(PETERS_TEXT "\n" PETERS_LINE PETERS_LINE), &key, NULL, NULL), OK);
}

static void a_note_with_any_changed_byte_is_refused(void **state)
{
    char note[] = PETERS_TEXT "\n" PETERS_LINE;
    struct note_key key = peter();

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(note); i++) {
        note[i] ^= 1;
        assert_int_equal(note_verify(span_text(note), &key, NULL, NULL), CORRUPT);
        note[i] ^= 1;
        assert_int_equal(note_verify(span_of(note, i), &key, NULL, NULL), CORRUPT);
    }
}

static const char *why(const char *note)
{
    struct note_key key = peter();
    struct err e = { 0 };

    assert_int_equal(note_verify(span_text(note), &key, NULL, &e), CORRUPT);
    return e.why;
}

static void the_reason_says_what_is_missing(void **state)
{
    (void)state;
    assert_string_equal(why(PETERS_TEXT "\n"), "not signed by this key");
    assert_string_equal(why("Another text.\n\n" PETERS_LINE), "bad signature");
    assert_string_equal(why(PETERS_TEXT "\n\xe2\x80\x94 Peter x08go/ZJ\n"),
                        "not signed by this key");
    assert_string_equal(why(PETERS_TEXT PETERS_LINE), "malformed note");
    assert_string_equal(why("\t\n\n" PETERS_LINE), "malformed note");
    assert_string_equal(why("Peter\n\n" PETERS_LINE "x\n"), "bad signature");
    assert_string_equal(why("Peter\n\nx\n" PETERS_LINE), "malformed note");
    assert_string_equal(why(""), "malformed note");
    assert_string_equal(why("\n"), "malformed note");
}

static void a_verifier_key_with_any_changed_byte_is_refused(void **state)
{
    struct note_key key = { .type = 99 };
    char text[] = PETER;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        text[i]++;
        assert_int_equal(note_key_parse(span_text(text), &key, NULL), BAD_INPUT);
        text[i]--;
        assert_int_equal(note_key_parse(span_of(text, i), &key, NULL), BAD_INPUT);
    }
    assert_int_equal(key.type, 99);
}

/* A key of another type, or with another name, that fits otherwise. */
static status parse_made(const char *name, uint8_t type)
{
    uint8_t named[NOTE_NAME_MAX + 40];
    uint8_t hash[SHA256_SIZE];
    uint8_t blob[33] = { type };
    char hex[9];
    char base64[45];
    char text[NOTE_NAME_MAX + 100];
    struct note_key key;
    struct out o;

    out_init(&o, named, sizeof(named));
    out_text(&o, name);
    out_u8(&o, '\n');
    out_raw(&o, SPAN(blob));
    sha256(span_of(o.p, o.n), hash);
    hex_format(span_of(hash, 4), hex);
    base64_format(SPAN(blob), base64);
    snprintf(text, sizeof(text), "%s+%s+%s", name, hex, base64);
    return note_key_parse(span_text(text), &key, NULL);
}

static void only_known_types_and_plain_names_are_keys(void **state)
{
    (void)state;
    assert_int_equal(parse_made("witness.example/w1", NOTE_ED25519), OK);
    assert_int_equal(parse_made("witness.example/w1", NOTE_COSIGNATURE), OK);
    assert_int_equal(parse_made("witness.example/w1", 0x06), BAD_INPUT);
    assert_int_equal(parse_made("witness example", NOTE_COSIGNATURE), BAD_INPUT);
    assert_int_equal(parse_made("", NOTE_COSIGNATURE), BAD_INPUT);
    assert_int_equal(parse_made("w\x7f", NOTE_COSIGNATURE), BAD_INPUT);
}

/* A checkpoint's note with the line that a witness adds, into bytes. */
static struct span cosign(struct span note, const struct note_key *witness, uint64_t time_s,
                          uint8_t *bytes, size_t cap)
{
    uint8_t message[1024];
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t blob[4 + 8 + ED25519_SIGNATURE_SIZE];
    char text[128];
    const uint8_t *end = memmem(note.p, note.n, "\n\n", 2);
    struct out o;

    out_init(&o, message, sizeof(message));
    snprintf(text, sizeof(text), "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
    out_text(&o, text);
    out_raw(&o, span_of(note.p, (size_t)(end - note.p) + 1));
    ed25519_sign(SPAN(witness_seed), span_of(o.p, o.n), signature);
    out_init(&o, blob, sizeof(blob));
    out_raw(&o, SPAN(witness->id));
    out_u64(&o, time_s);
    out_raw(&o, SPAN(signature));
    base64_format(SPAN(blob), text);
    out_init(&o, bytes, cap);
    out_raw(&o, note);
    out_text(&o, "\xe2\x80\x94 ");
    out_raw(&o, span_of(witness->name, witness->name_length));
    out_u8(&o, ' ');
    out_text(&o, text);
    out_u8(&o, '\n');
    assert_false(o.overflow);
    return span_of(o.p, o.n);
}

static void a_cosignature_says_who_saw_a_checkpoint_and_when(void **state)
{
    struct log *log = log_new(3);
    uint8_t bytes[CHECKPOINT_MAX];
    uint8_t more[2 * CHECKPOINT_MAX];
    uint8_t public32[32];
    uint8_t root[SHA256_SIZE];
    struct note_key witness;
    struct span note;
    uint64_t time_s = 0;
    uint64_t size = 0;
    struct err e = { 0 };

    (void)state;
    ed25519_public(SPAN(witness_seed), public32);
    assert_int_equal(note_key_set(&witness, span_text("witness.example/w1"), NOTE_COSIGNATURE,
                                  SPAN(public32), NULL),
                     OK);
    note = log_note(log, bytes);
    assert_int_equal(note_verify(note, &witness, &time_s, &e), CORRUPT);
    assert_string_equal(e.why, "not signed by this key");
    note = cosign(note, &witness, 1795251633, more, sizeof(more));
    assert_int_equal(note_verify(note, &witness, &time_s, NULL), OK);
    assert_int_equal(time_s, 1795251633);
    /* The log's own signature is not disturbed by it. */
    ed25519_public(SPAN(seed32), public32);
    assert_int_equal(checkpoint_verify(note, &vault, &log_id, SPAN(public32), &size, root, NULL),
                     OK);
    for (size_t i = 0; i < note.n; i++) {
        if (i == 120) /* the text is over; what the log signed is not the witness's matter */
            i = log_note(log, bytes).n;
        more[i] ^= 1;
        assert_int_equal(note_verify(note, &witness, &time_s, NULL), CORRUPT);
        more[i] ^= 1;
    }
    note = cosign(log_note(log, bytes), &witness, (uint64_t)1 << 63, more, sizeof(more));
    assert_int_equal(note_verify(note, &witness, &time_s, NULL), CORRUPT);
    free(log);
}

static void a_checkpoint_says_whose_it_is(void **state)
{
    struct log *log = log_new(3);
    uint8_t bytes[CHECKPOINT_MAX];
    struct span note = log_note(log, bytes);
    uint8_t root[SHA256_SIZE];
    struct span text;
    struct id of_vault;
    struct id of_log;
    uint64_t size = 0;

    (void)state;
    assert_int_equal(checkpoint_read(note, &of_vault, &of_log, &size, root, &text, NULL), OK);
    assert_true(id_same(&of_vault, &vault) && id_same(&of_log, &log_id));
    assert_int_equal(size, 3);
    assert_int_equal(text.p[text.n - 1], '\n');
    assert_int_equal(text.p[text.n], '\n');
    for (size_t i = 0; i < 76; i++) { /* the origin: hex digits differ, all else is refused */
        bytes[i] ^= 0x20;
        assert_int_equal(checkpoint_read(note, &of_vault, &of_log, &size, root, &text, NULL),
                         CORRUPT);
        bytes[i] ^= 0x20;
    }
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_note_verifies),
        cmocka_unit_test(a_note_with_any_changed_byte_is_refused),
        cmocka_unit_test(the_reason_says_what_is_missing),
        cmocka_unit_test(a_verifier_key_with_any_changed_byte_is_refused),
        cmocka_unit_test(only_known_types_and_plain_names_are_keys),
        cmocka_unit_test(a_cosignature_says_who_saw_a_checkpoint_and_when),
        cmocka_unit_test(a_checkpoint_says_whose_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
