/* Text forms of bytes and numbers, names, and the sticky writer and reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void spans_compare_by_length_and_content(void **state)
{
    (void)state;
    assert_true(span_same(span_text("abc"), span_of("abcd", 3)));
    assert_false(span_same(span_text("abc"), span_text("abd")));
    assert_false(span_same(span_text("abc"), span_text("ab")));
    assert_true(span_same(span_of(NULL, 0), span_text("")));
}

static void identifiers_compare_and_know_when_they_are_zero(void **state)
{
    struct id zero = { 0 };
    struct id last = { .b = { [15] = 1 } };

    (void)state;
    assert_true(id_is_zero(&zero));
    assert_false(id_is_zero(&last));
    assert_true(id_same(&last, &last));
    assert_false(id_same(&last, &zero));
}

static void hex_goes_there_and_back(void **state)
{
    const uint8_t bytes[] = { 0x00, 0x0f, 0xa5, 0xff };
    char text[2 * sizeof(bytes) + 1];
    uint8_t back[sizeof(bytes)];

    (void)state;
    hex_format(SPAN(bytes), text);
    assert_string_equal(text, "000fa5ff");
    assert_true(hex_parse(text, strlen(text), back, sizeof(back)));
    assert_memory_equal(bytes, back, sizeof(bytes));
    assert_true(hex_parse("000FA5Ff", 8, back, sizeof(back)));
    assert_memory_equal(bytes, back, sizeof(bytes));
    hex_format(span_of(NULL, 0), text);
    assert_string_equal(text, "");
    assert_true(hex_parse("", 0, back, 0));
}

static void hex_of_another_form_is_refused_and_nothing_is_written(void **state)
{
    static const char *const wrong[] = {
        "",         "000fa5f",  "000fa5ff0", "000fa5ff00",  "000fa5fg", " 00fa5ff",
        "0x0fa5ff", "000fa5f ", "+00fa5ff",  "000fa5f\xe4", "00 0fa5f",
    };
    uint8_t out[4] = { 1, 2, 3, 4 };
    const uint8_t untouched[4] = { 1, 2, 3, 4 };

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_false(hex_parse(wrong[i], strlen(wrong[i]), out, sizeof(out)));
        assert_memory_equal(out, untouched, sizeof(out));
    }
    assert_false(hex_parse("000fa5f\0", 8, out, sizeof(out)));
}

static void an_identifier_is_exactly_32_hex_digits(void **state)
{
    struct id id;

    (void)state;
    assert_true(id_parse("000102030405060708090a0b0c0d0e0f", &id));
    for (size_t i = 0; i < sizeof(id.b); i++)
        assert_int_equal(id.b[i], i);
    assert_false(id_parse("000102030405060708090a0b0c0d0e0", &id));
    assert_false(id_parse("000102030405060708090a0b0c0d0e0f0", &id));
    assert_false(id_parse("00010203-0405-0607-0809-0a0b0c0d", &id));
    assert_false(id_parse("", &id));
}

/* RFC 4648 section 10. */
static const char *const base64_cases[][2] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
};

static void base64_gives_the_texts_of_the_standard(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(base64_cases); i++) {
        const char *plain = base64_cases[i][0];
        const char *text = base64_cases[i][1];
        char formatted[16];
        uint8_t back[8];
        size_t n = 99;

        base64_format(span_text(plain), formatted);
        assert_string_equal(formatted, text);
        assert_true(base64_parse(text, strlen(text), back, strlen(plain), &n));
        assert_int_equal(n, strlen(plain));
        assert_memory_equal(back, plain, n);
    }
}

static void base64_carries_every_byte_value(void **state)
{
    uint8_t bytes[256];
    uint8_t back[256];
    char text[4 * 86 + 1];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(255 - i);
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        base64_format(span_of(bytes, length), text);
        assert_int_equal(strlen(text), 4 * ((length + 2) / 3));
        assert_true(base64_parse(text, strlen(text), back, length, &n));
        assert_int_equal(n, length);
        assert_memory_equal(back, bytes, n);
    }
}

static void base64_of_another_form_is_refused(void **state)
{
    static const char *const wrong[] = {
        "Z",     "Zg",    "Zg=",    "Zg===",        "=",     "====",    "Z===", "Zm9v=",
        "Zm9vY", "Zm 9v", "Zm9v\n", "Zm9v\n\n\n\n", " Zm9v", "Zm9-",    "Zm9_", "Zg==Zg==",
        "Zh==",  "Zm9=",  "Zm=v",   "Z=9v",         "=m9v",  "Zm\xe4/", "Zg=v",
    };
    uint8_t out[16] = { 7 };
    size_t n = 99;

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_false(base64_parse(wrong[i], strlen(wrong[i]), out, sizeof(out), &n));
        assert_int_equal(n, 99);
        assert_int_equal(out[0], 7);
    }
}

static void base64_never_writes_more_than_it_may(void **state)
{
    uint8_t out[3] = { 7, 7, 7 };
    size_t n = 99;

    (void)state;
    assert_false(base64_parse("Zm9v", 4, out, 2, &n));
    assert_false(base64_parse("Zm8=", 4, out, 1, &n));
    assert_false(base64_parse("Zg==", 4, out, 0, &n));
    assert_int_equal(out[0], 7);
    assert_true(base64_parse("Zm8=", 4, out, 2, &n));
    assert_int_equal(n, 2);
    assert_int_equal(out[2], 7);
}

static void numbers_are_plain_decimal_within_their_bounds(void **state)
{
    uint64_t v = 0;

    (void)state;
    assert_true(number_parse("0", 0, 0, &v));
    assert_int_equal(v, 0);
    assert_true(number_parse("60", 1, 3600, &v));
    assert_int_equal(v, 60);
    assert_true(number_parse("18446744073709551615", 0, UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
}

static void numbers_of_another_form_or_out_of_bounds_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "00",
        "01",
        "0x10",
        "1e3",
        "1.0",
        "1_000",
        "abc",
        "\xb2",
        "18446744073709551616",
        "99999999999999999999999999",
    };
    uint64_t v = 42;

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(number_parse(wrong[i], 0, UINT64_MAX, &v));
    assert_false(number_parse("0", 1, 10, &v));
    assert_false(number_parse("11", 1, 10, &v));
    assert_int_equal(v, 42);
}

static void names_are_short_and_plain(void **state)
{
    static const char *const right[] = { "a", "0", "acme", "acme-2.eu_west", "a--__..", "9lives" };
    static const char *const wrong[] = {
        "",        "-acme",  ".acme",    "_acme", "Acme",  "ac me",
        "acme/..", "acme\n", "\xc3\xa4", "a:b",   "a\x7f",
    };
    char longest[NAME_MAX_LENGTH + 2];

    (void)state;
    for (size_t i = 0; i < COUNT(right); i++)
        assert_true(name_valid(right[i]));
    for (size_t i = 0; i < COUNT(wrong); i++)
        assert_false(name_valid(wrong[i]));
    memset(longest, 'a', sizeof(longest));
    longest[NAME_MAX_LENGTH] = '\0';
    assert_true(name_valid(longest));
    longest[NAME_MAX_LENGTH] = 'a';
    longest[NAME_MAX_LENGTH + 1] = '\0';
    assert_false(name_valid(longest));
}

static void what_is_written_is_read_back_big_endian(void **state)
{
    static const uint8_t bytes[] = {
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e,
        0x0f, 'r',  'a',  'w',  0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0x77, 0x00, 0x02, 'h',  'i',  't',  'x',  't',
    };
    const struct id id = { .b = { [15] = 0x77 } };
    uint8_t buffer[sizeof(bytes)];
    struct out o;
    struct in i;
    struct id id_back;

    (void)state;
    out_init(&o, buffer, sizeof(buffer));
    out_u8(&o, 0x01);
    out_u16(&o, 0x0203);
    out_u32(&o, 0x04050607);
    out_u64(&o, 0x08090a0b0c0d0e0f);
    out_raw(&o, span_text("raw"));
    out_id(&o, &id);
    out_span16(&o, span_text("hi"));
    out_text(&o, "txt");
    assert_false(o.overflow);
    assert_int_equal(o.n, sizeof(bytes));
    assert_memory_equal(buffer, bytes, sizeof(bytes));

    i = in_of(SPAN(buffer));
    assert_int_equal(in_u8(&i), 0x01);
    assert_int_equal(in_u16(&i), 0x0203);
    assert_int_equal(in_u32(&i), 0x04050607);
    assert_true(in_u64(&i) == 0x08090a0b0c0d0e0f);
    assert_true(span_same(in_raw(&i, 3), span_text("raw")));
    id_back = in_id(&i);
    assert_true(id_same(&id_back, &id));
    assert_true(span_same(in_span16(&i), span_text("hi")));
    assert_false(in_end(&i));
    assert_true(span_same(in_raw(&i, 3), span_text("txt")));
    assert_true(in_end(&i));
}

static void a_writer_that_overflowed_stays_so_and_writes_nothing_more(void **state)
{
    uint8_t buffer[4] = { 9, 9, 9, 9 };
    struct out o;

    (void)state;
    out_init(&o, buffer, 3);
    out_u8(&o, 1);
    out_u32(&o, 2);
    assert_true(o.overflow);
    assert_int_equal(o.n, 1);
    out_u8(&o, 3); /* would fit, but the sequence is broken already */
    out_raw(&o, span_of(NULL, 0));
    assert_null(out_room(&o, 1));
    assert_true(o.overflow);
    assert_int_equal(o.n, 1);
    assert_int_equal(buffer[1], 9);
    assert_int_equal(buffer[3], 9);
}

static void a_length_is_never_written_without_its_bytes(void **state)
{
    static const uint8_t large[UINT16_MAX + 1];
    static uint8_t room[sizeof(large) + 2];
    uint8_t buffer[5] = { 9, 9, 9, 9, 9 };
    struct out o;

    (void)state;
    out_init(&o, buffer, sizeof(buffer));
    out_span16(&o, span_text("four"));
    assert_true(o.overflow);
    assert_int_equal(o.n, 0);
    assert_int_equal(buffer[0], 9);
    out_init(&o, room, sizeof(room));
    out_span16(&o, SPAN(large)); /* its length would wrap to 0 */
    assert_true(o.overflow);
    assert_int_equal(o.n, 0);
    out_init(&o, room, sizeof(room));
    out_span16(&o, span_of(large, UINT16_MAX));
    assert_false(o.overflow);
    assert_int_equal(o.n, UINT16_MAX + 2);
}

static void a_writer_takes_exactly_its_capacity(void **state)
{
    uint8_t buffer[4];
    struct out o;

    (void)state;
    out_init(&o, buffer, sizeof(buffer));
    assert_ptr_equal(out_room(&o, 4), buffer);
    assert_false(o.overflow);
    out_raw(&o, span_of(NULL, 0));
    assert_false(o.overflow);
    assert_null(out_room(&o, 1));
    assert_true(o.overflow);
    out_init(&o, buffer, sizeof(buffer));
    assert_null(out_room(&o, SIZE_MAX));
    out_init(&o, NULL, 0);
    out_text(&o, "");
    assert_false(o.overflow);
    out_u8(&o, 1);
    assert_true(o.overflow);
}

static void a_reader_that_ran_dry_gives_zeros_from_then_on(void **state)
{
    const uint8_t bytes[] = { 1, 2, 3 };
    uint8_t copy[2] = { 9, 9 };
    struct in i = in_of(SPAN(bytes));
    struct id id;

    (void)state;
    assert_int_equal(in_u8(&i), 1);
    assert_int_equal(in_u32(&i), 0);
    assert_true(i.bad);
    assert_int_equal(in_u8(&i), 0); /* there, but behind the fault */
    assert_int_equal(in_u16(&i), 0);
    assert_int_equal(in_u64(&i), 0);
    assert_null(in_raw(&i, 1).p);
    assert_int_equal(in_raw(&i, 0).n, 0);
    assert_int_equal(in_span16(&i).n, 0);
    in_copy(&i, copy, sizeof(copy));
    assert_int_equal(copy[0] | copy[1], 0);
    id = in_id(&i);
    assert_true(id_is_zero(&id));
    assert_false(in_end(&i));
}

static void a_length_that_points_past_the_end_is_bad(void **state)
{
    const uint8_t bytes[] = { 0, 3, 'a', 'b' };
    struct in i = in_of(SPAN(bytes));
    struct in huge = in_of(SPAN(bytes));

    (void)state;
    assert_int_equal(in_span16(&i).n, 0);
    assert_true(i.bad);
    assert_null(in_raw(&huge, SIZE_MAX).p);
    assert_true(huge.bad);
}

static void left_over_bytes_are_not_an_end(void **state)
{
    const uint8_t bytes[] = { 1, 2 };
    struct in i = in_of(SPAN(bytes));
    struct in nothing = in_of(span_of(NULL, 0));

    (void)state;
    in_u8(&i);
    assert_false(in_end(&i));
    in_u8(&i);
    assert_true(in_end(&i));
    in_u8(&i);
    assert_false(in_end(&i));
    assert_true(in_end(&nothing));
    in_copy(&nothing, NULL, 0);
    assert_true(in_end(&nothing));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_by_length_and_content),
        cmocka_unit_test(identifiers_compare_and_know_when_they_are_zero),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_of_another_form_is_refused_and_nothing_is_written),
        cmocka_unit_test(an_identifier_is_exactly_32_hex_digits),
        cmocka_unit_test(base64_gives_the_texts_of_the_standard),
        cmocka_unit_test(base64_carries_every_byte_value),
        cmocka_unit_test(base64_of_another_form_is_refused),
        cmocka_unit_test(base64_never_writes_more_than_it_may),
        cmocka_unit_test(numbers_are_plain_decimal_within_their_bounds),
        cmocka_unit_test(numbers_of_another_form_or_out_of_bounds_are_refused),
        cmocka_unit_test(names_are_short_and_plain),
        cmocka_unit_test(what_is_written_is_read_back_big_endian),
        cmocka_unit_test(a_writer_that_overflowed_stays_so_and_writes_nothing_more),
        cmocka_unit_test(a_length_is_never_written_without_its_bytes),
        cmocka_unit_test(a_writer_takes_exactly_its_capacity),
        cmocka_unit_test(a_reader_that_ran_dry_gives_zeros_from_then_on),
        cmocka_unit_test(a_length_that_points_past_the_end_is_bad),
        cmocka_unit_test(left_over_bytes_are_not_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
