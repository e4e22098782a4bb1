/*
 * Text forms: characters, numbers, hex, instants. Every value has exactly one text here, and
 * the parsers accept no other, because a record that could be written in two ways would have
 * two hashes.
 */
#include "text.h"

#include <string.h>

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t text_character(struct span s)
{
    uint8_t first = s.n > 0 ? s.p[0] : 0xff;
    uint8_t least = 0x80; /* of the second byte */
    uint8_t most = 0xbf;
    size_t length = 0;

    if (first < 0x80)
        return 1;
    /* 0xc0 and 0xc1 could only begin an overlong form, 0xf5 and up nothing at all. */
    if (first >= 0xc2 && first <= 0xdf)
        length = 2;
    else if (first >= 0xe0 && first <= 0xef)
        length = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        length = 4;
    if (length == 0 || s.n < length)
        return 0;
    if (first == 0xe0)
        least = 0xa0; /* below: overlong */
    else if (first == 0xed)
        most = 0x9f; /* above: surrogates */
    else if (first == 0xf0)
        least = 0x90; /* below: overlong */
    else if (first == 0xf4)
        most = 0x8f; /* above: beyond U+10FFFF */
    if (s.p[1] < least || s.p[1] > most)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (!is_tail(s.p[i]))
            return 0;
    }
    return length;
}

#define EACH(byte) ((uint64_t)(byte)*0x0101010101010101)

/* Eight bytes at once: whether one of them, all below 0x80, is less than byte. */
static uint64_t any_below(uint64_t eight, uint8_t byte)
{
    return (eight - EACH(byte)) & ~eight & EACH(0x80);
}

/* Whether eight bytes are characters that need no look: ASCII from the space on, but for quotes and
 * backslashes. May say no wrongly. */
static bool all_plain(const uint8_t *p)
{
    uint64_t eight = 0;

    memcpy(&eight, p, sizeof(eight));
    return ((eight & EACH(0x80)) | any_below(eight, 0x20) | any_below(eight ^ EACH('"'), 1) |
            any_below(eight ^ EACH('\\'), 1)) == 0;
}

/* Most bytes of most records are passed over here. */
size_t text_plain_run(struct span s)
{
    size_t i = 0;

    while (s.n - i >= 8 && all_plain(s.p + i))
        i += 8;
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x80 && s.p[i] != '"' && s.p[i] != '\\')
        i++;
    return i;
}

void text_number_put(struct out *o, uint64_t value)
{
    uint8_t digits[20]; /* as many as 2^64 has */
    size_t at = sizeof(digits);

    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    out_raw(o, span_of(digits + at, sizeof(digits) - at));
}

bool text_number_parse(struct span text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.n == 0 || (text.n > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        uint64_t digit = (uint64_t)text.p[i] - '0';

        /* Tested before each step, so the value itself never wraps. */
        if (text.p[i] < '0' || text.p[i] > '9' || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (value > max)
        return false;
    *ret_value = value;
    return true;
}

void text_hex_put(struct out *o, struct span in)
{
    uint8_t *at = out_room(o, 2 * in.n);

    if (at != NULL)
        hex_put(in, at);
}

void text_time_put(struct out *o, uint64_t time_us)
{
    char text[TIME_TEXT_LENGTH + 1];

    /* After the year 9999 the clock's text stands still: better no record than a wrong one. */
    if (time_us >= TIME_END_US)
        o->overflow = true;
    time_format(time_us, text);
    out_raw(o, span_of(text, TIME_TEXT_LENGTH));
}
