/* Checkpoints: what is signed verifies, in its one place and form only. */
#include "test_ledger_log.h"

static uint8_t public32[32];

struct fixture {
    struct log *log;
    uint8_t bytes[CHECKPOINT_MAX];
    struct span note;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    ed25519_public(SPAN(seed32), public32);
    f->log = log_new(3);
    f->note = log_note(f->log, f->bytes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    free(f->log);
    free(f);
    return 0;
}

static status verify(struct span note)
{
    uint8_t root[SHA256_SIZE];
    uint64_t size = 0;

    return checkpoint_verify(note, &vault, &log_id, SPAN(public32), &size, root, NULL);
}

static void a_signed_checkpoint_verifies_and_says_size_and_root(void **state)
{
    struct fixture *f = *state;
    uint8_t expected[SHA256_SIZE];
    uint8_t root[SHA256_SIZE];
    uint64_t size = 0;

    assert_int_equal(checkpoint_verify(f->note, &vault, &log_id, SPAN(public32), &size, root, NULL),
                     OK);
    ledger_root(&f->log->tree, expected);
    assert_int_equal(size, 3);
    assert_memory_equal(root, expected, sizeof(root));
}

static void a_checkpoint_of_another_vault_log_or_key_is_refused(void **state)
{
    static const uint8_t other_seed[32] = { 1 };
    struct fixture *f = *state;
    uint8_t other[32];
    uint8_t root[SHA256_SIZE];
    uint64_t size = 77;
    struct err e = { 0 };

    ed25519_public(SPAN(other_seed), other);
    assert_int_equal(checkpoint_verify(f->note, &log_id, &log_id, SPAN(public32), &size, root, &e),
                     CORRUPT);
    assert_string_equal(e.why, "checkpoint of another log");
    assert_int_equal(checkpoint_verify(f->note, &vault, &vault, SPAN(public32), &size, root, NULL),
                     CORRUPT);
    e = (struct err){ 0 };
    assert_int_equal(checkpoint_verify(f->note, &vault, &log_id, SPAN(other), &size, root, &e),
                     CORRUPT);
    assert_string_equal(e.why, "bad signature");
    assert_int_equal(
        checkpoint_verify(f->note, &vault, &log_id, span_of(public32, 31), &size, root, NULL),
        CORRUPT);
    assert_int_equal(size, 77); /* untouched */
}

static void every_changed_byte_and_every_cut_is_refused(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < f->note.n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            f->bytes[i] ^= (uint8_t)(1u << bit);
            assert_int_equal(verify(f->note), CORRUPT);
            f->bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t n = 0; n < f->note.n; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);

        assert_non_null(copy);
        memcpy(copy, f->note.p, n);
        assert_int_equal(verify(span_of(copy, n)), CORRUPT);
        free(copy);
    }
    assert_int_equal(verify(span_of(NULL, 0)), CORRUPT);
    assert_int_equal(verify(f->note), OK);
}

/* f's note followed by count times extra. */
static status verify_with(const struct fixture *f, const char *extra, size_t count)
{
    static uint8_t bytes[8192];
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    out_raw(&o, f->note);
    for (size_t i = 0; i < count; i++)
        out_text(&o, extra);
    assert_false(o.overflow);
    return verify(span_of(o.p, o.n));
}

static void signatures_of_other_keys_are_passed_over(void **state)
{
    static const char witness[] = "\xe2\x80\x94 witness.example/w1 AAAAAAAA\n";
    struct fixture *f = *state;

    assert_int_equal(verify_with(f, witness, 1), OK);
    assert_int_equal(verify_with(f, witness, 15), OK);
    assert_int_equal(verify_with(f, witness, 16), CORRUPT); /* with ours 17 */
    assert_int_equal(verify_with(f, "\xe2\x80\x94 a b c\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94 a\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94  b\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94 a \n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94 \n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "- a b\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94 a\xff b\n", 1), CORRUPT);
    assert_int_equal(verify_with(f, "\xe2\x80\x94 a b\r\n", 1), CORRUPT);
}

static void a_second_line_under_our_name_and_key_must_verify_too(void **state)
{
    struct fixture *f = *state;
    const char *text = (const char *)f->note.p;
    const char *dash = strstr(text, "\n\n") + 2;
    char line[CHECKPOINT_MAX] = { 0 };
    size_t length = f->note.n - (size_t)(dash - text);

    memcpy(line, dash, length);
    assert_int_equal(verify_with(f, line, 1), OK);
    line[length - 20] = line[length - 20] == 'A' ? 'B' : 'A';
    assert_int_equal(verify_with(f, line, 1), CORRUPT);
}

/* The note of f with the given lines between text and signatures, signed as it then stands. */
static status verify_between(const struct fixture *f, const char *extension, const char *separator)
{
    const char *blank = strstr((const char *)f->note.p, "\n\n") + 1;
    size_t text_length = (size_t)((const uint8_t *)blank - f->note.p);
    const char *dash = blank + 1;
    const char *code = strchr(strchr(dash, ' ') + 1, ' ') + 1;
    uint8_t blob[4 + ED25519_SIGNATURE_SIZE];
    uint8_t copy[CHECKPOINT_MAX];
    char text[100];
    size_t n = 0;
    struct out o;

    assert_true(base64_parse(code, strlen(code) - 1, blob, sizeof(blob), &n));
    out_init(&o, copy, sizeof(copy));
    out_raw(&o, span_of(f->note.p, text_length));
    out_text(&o, extension);
    ed25519_sign(SPAN(seed32), span_of(o.p, o.n), blob + 4);
    base64_format(SPAN(blob), text);
    out_text(&o, separator);
    out_raw(&o, span_of(dash, (size_t)(code - dash)));
    out_text(&o, text);
    out_u8(&o, '\n');
    assert_false(o.overflow);
    return verify(span_of(o.p, o.n));
}

static void an_extension_line_is_refused_even_when_it_is_signed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_between(f, "", "\n"), OK);
    assert_int_equal(verify_between(f, "extension\n", "\n"), CORRUPT);
    assert_int_equal(verify_between(f, "\n", "\n"), CORRUPT);
}

static void something_in_the_place_of_the_blank_line_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(verify_between(f, "", "extension\n"), CORRUPT);
    assert_int_equal(verify_between(f, "", " \n"), CORRUPT);
    assert_int_equal(verify_between(f, "", ""), CORRUPT);
    assert_int_equal(verify_between(f, "", "\n\n"), CORRUPT);
}

static void a_checkpoint_is_not_written_into_too_small_a_buffer(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[CHECKPOINT_MAX];
    struct out o;

    out_init(&o, bytes, f->note.n - 1);
    assert_int_equal(checkpoint_sign(&vault, &f->log->tree, SPAN(seed32), &o, NULL), LIMIT);
    assert_int_equal(o.n, 0);
    out_init(&o, bytes, sizeof(bytes));
    assert_int_equal(checkpoint_sign(&vault, &f->log->tree, span_of(seed32, 31), &o, NULL),
                     BAD_INPUT);
}

static void the_largest_size_fits_a_checkpoint(void **state)
{
    struct fixture *f = *state;

    f->log->tree.size = ((uint64_t)1 << LIMIT_TREE_LEVELS) - 1;
    f->note = log_note(f->log, f->bytes);
    assert_int_equal(verify(f->note), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signed_checkpoint_verifies_and_says_size_and_root, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_of_another_vault_log_or_key_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_changed_byte_and_every_cut_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(signatures_of_other_keys_are_passed_over, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_line_under_our_name_and_key_must_verify_too,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_extension_line_is_refused_even_when_it_is_signed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(something_in_the_place_of_the_blank_line_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_checkpoint_is_not_written_into_too_small_a_buffer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_largest_size_fits_a_checkpoint, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
