/* The recovery card: its text, and what is forgiven when it is typed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../cli/card.c"

/* By an independent implementation (Python: base64.b32encode and hashlib) of bytes 0, 1, ... 31. */
static const char known[] = "AAAQ EAYE AUDA OCAJ BIFQ YDIO B4IB CEQT CQKR MFYY DENB WHA5 DYPQ MMG4";

static void code_bytes(uint8_t code[CARD_CODE])
{
    for (size_t i = 0; i < CARD_CODE; i++)
        code[i] = (uint8_t)i;
}

static void a_code_is_written_in_fourteen_groups(void **state)
{
    uint8_t code[CARD_CODE];
    struct secret *text = NULL;

    (void)state;
    code_bytes(code);
    assert_int_equal(card_format(SPAN(code), &text, NULL), OK);
    assert_int_equal(secret_view(text).n, CARD_TEXT);
    assert_memory_equal(secret_view(text).p, known, CARD_TEXT);
    secret_free(text);
}

static void a_code_of_another_length_is_refused(void **state)
{
    uint8_t code[CARD_CODE];
    struct secret *text = NULL;

    (void)state;
    code_bytes(code);
    assert_int_equal(card_format(span_of(code, CARD_CODE - 1), &text, NULL), BUG);
    assert_null(text);
}

static void expect_code(const char *typed)
{
    uint8_t code[CARD_CODE];
    struct secret *parsed = NULL;

    code_bytes(code);
    assert_int_equal(card_parse(span_text(typed), &parsed, NULL), OK);
    assert_int_equal(secret_view(parsed).n, CARD_CODE);
    assert_memory_equal(secret_view(parsed).p, code, CARD_CODE);
    secret_free(parsed);
}

static void case_spaces_hyphens_and_lookalikes_are_forgiven(void **state)
{
    (void)state;
    expect_code(known);
    expect_code("aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqmmg4");
    expect_code("AAAQ-EAYE-AUDA-OCAJ-BIFQ-YDIO-B4IB-CEQT-CQKR-MFYY-DENB-WHA5-DYPQ-MMG4");
    expect_code("AAAQ EAYE AUDA 0CAJ 81FQ YD10 841B CEQT CQKR MFYY DEN8 WHA5 DYPQ MMG4");
}

static void every_single_wrong_character_is_noticed(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char typed[sizeof(known)];

    (void)state;
    for (size_t i = 0; i < CARD_TEXT; i++) {
        for (size_t k = 0; k < 32 && known[i] != ' '; k++) {
            struct secret *parsed = NULL;

            memcpy(typed, known, sizeof(known));
            if (typed[i] == digits[k])
                continue;
            typed[i] = digits[k];
            assert_int_equal(card_parse(span_text(typed), &parsed, NULL), BAD_INPUT);
            assert_null(parsed);
        }
    }
}

static void other_lengths_and_characters_are_named(void **state)
{
    static const struct {
        const char *typed;
        const char *why;
    } wrong[] = {
        { "", "a recovery code has 56 characters; these are fewer" },
        { "AAAQ", "a recovery code has 56 characters; these are fewer" },
        { "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQMMG4A",
          "a recovery code has 56 characters; these are more" },
        { "AAAQ EAYE AUDA 9", "a recovery code has only letters and the digits 2 to 7" },
        { "AAAQ EAYE\tAUDA", "a recovery code has only letters and the digits 2 to 7" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err e = { 0 };
        struct secret *parsed = NULL;

        assert_int_equal(card_parse(span_text(wrong[i].typed), &parsed, &e), BAD_INPUT);
        assert_string_equal(e.why, wrong[i].why);
        assert_null(parsed);
    }
}

static void any_code_comes_back(void **state)
{
    uint8_t code[CARD_CODE];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct secret *text = NULL;
        struct secret *parsed = NULL;

        random_bytes((struct mspan){ .p = code, .n = sizeof(code) });
        assert_int_equal(card_format(SPAN(code), &text, NULL), OK);
        assert_int_equal(card_parse(secret_view(text), &parsed, NULL), OK);
        assert_memory_equal(secret_view(parsed).p, code, CARD_CODE);
        secret_free(text);
        secret_free(parsed);
    }
}

static int start(void **state)
{
    (void)state;
    return secret_start(65536, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_written_in_fourteen_groups),
        cmocka_unit_test(a_code_of_another_length_is_refused),
        cmocka_unit_test(case_spaces_hyphens_and_lookalikes_are_forgiven),
        cmocka_unit_test(every_single_wrong_character_is_noticed),
        cmocka_unit_test(other_lengths_and_characters_are_named),
        cmocka_unit_test(any_code_comes_back),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
