/*
 * Bytes and their text forms. Everything here refuses rather than repairs: a parser
 * accepts exactly the texts that the matching formatter can produce (hex also in upper
 * case), and leaves its result untouched otherwise. Nothing here knows about secrets:
 * comparisons are not constant time.
 */
#include "base/bytes.h"

#include <string.h>

/* All zero stands for "no such thing" wherever an identifier is optional. */
bool id_is_zero(const struct id *a)
{
    static const struct id zero;

    return id_same(a, &zero);
}

void hex_put(struct span in, uint8_t *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < in.n; i++) {
        out[2 * i] = (uint8_t)digits[in.p[i] >> 4];
        out[2 * i + 1] = (uint8_t)digits[in.p[i] & 15];
    }
}

void hex_format(struct span in, char *out)
{
    hex_put(in, (uint8_t *)out);
    out[2 * in.n] = '\0';
}

/* One more than the digit's value; 0 for what is none. A table, because trails have many digits. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool hex_parse(const char *text, size_t text_length, uint8_t *out, size_t n)
{
    const uint8_t *digit = (const uint8_t *)text;

    /* Halving instead of doubling n: the product could wrap. */
    if (text_length % 2 != 0 || text_length / 2 != n)
        return false;
    /* Two passes, so that a text which is wrong at its end leaves nothing behind. */
    for (size_t i = 0; i < text_length; i++) {
        if (hex_digits[digit[i]] == 0)
            return false;
    }
    for (size_t i = 0; i < n; i++)
        out[i] =
            (uint8_t)((hex_digits[digit[2 * i]] - 1) << 4 | (hex_digits[digit[2 * i + 1]] - 1));
    return true;
}

bool id_parse(const char *text, struct id *ret_id)
{
    return hex_parse(text, strlen(text), ret_id->b, sizeof(ret_id->b));
}

void base64_format(struct span in, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        uint32_t group = (uint32_t)in.p[i] << 16;

        if (left > 1)
            group |= (uint32_t)in.p[i + 1] << 8;
        if (left > 2)
            group |= in.p[i + 2];
        /* A group always has two digits and two pads, which further bytes then replace. */
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = '=';
        *out++ = '=';
        if (left > 1)
            out[-2] = digits[group >> 6 & 63];
        if (left > 2)
            out[-1] = digits[group & 63];
    }
    *out = '\0';
}

/* 0 to 63, or -1; '=' is not a digit. */
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Whether text is canonical, and how many '=' end it. */
static bool base64_check(const char *text, size_t text_length, size_t *ret_pads)
{
    size_t pads = 0;
    int last = 0;

    if (text_length % 4 != 0)
        return false;
    while (pads < 2 && pads < text_length && text[text_length - 1 - pads] == '=')
        pads++;
    for (size_t i = 0; i < text_length - pads; i++) {
        last = base64_digit(text[i]);
        if (last < 0)
            return false;
    }
    /* The bits that padding cuts off must be zero, or one value would have many texts. */
    if ((pads == 1 && (last & 3) != 0) || (pads == 2 && (last & 15) != 0))
        return false;
    *ret_pads = pads;
    return true;
}

bool base64_parse(const char *text, size_t text_length, uint8_t *out, size_t cap, size_t *ret_n)
{
    size_t pads = 0;
    size_t n = 0;

    if (!base64_check(text, text_length, &pads))
        return false;
    n = text_length / 4 * 3 - pads;
    if (n > cap)
        return false;
    /* From here on nothing can be wrong: every character was looked at. */
    for (size_t i = 0, at = 0; i < text_length; i += 4) {
        uint32_t group = 0;

        for (size_t k = 0; k < 4; k++) {
            int digit = base64_digit(text[i + k]);

            group = group << 6 | (digit < 0 ? 0 : (uint32_t)digit); /* '=' counts as zero */
        }
        /* The last group stops early, where its padding begins. */
        for (unsigned shift = 16; at < n; shift -= 8) {
            out[at++] = (uint8_t)(group >> shift);
            if (shift == 0)
                break;
        }
    }
    *ret_n = n;
    return true;
}

bool number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    /* One text for one number: what was accepted can be shown again unchanged. */
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (const char *c = text; *c != '\0'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');

        if (*c < '0' || *c > '9')
            return false;
        if (value > (UINT64_MAX - digit) / 10)
            return false; /* the next step would wrap */
        value = value * 10 + digit;
    }
    if (value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

bool name_valid(const char *text)
{
    size_t n = 0;

    for (; text[n] != '\0'; n++) {
        char c = text[n];
        /* Compared by value: isalnum would follow the locale. */
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (n == NAME_MAX_LENGTH)
            return false;
        /* A leading sign would read as an option or a hidden file somewhere. */
        if (!plain && (n == 0 || (c != '-' && c != '_' && c != '.')))
            return false;
    }
    return n > 0;
}

void out_init(struct out *o, uint8_t *p, size_t cap)
{
    *o = (struct out){ .p = p, .n = 0, .cap = cap, .overflow = false };
}

/* The low `size` bytes of v, most significant first. */
static void out_number(struct out *o, uint64_t v, size_t size)
{
    uint8_t *at = out_room(o, size);

    if (at == NULL)
        return;
    for (size_t i = size; i-- > 0; v >>= 8)
        at[i] = (uint8_t)v;
}

void out_u8(struct out *o, uint8_t v)
{
    out_number(o, v, sizeof(v));
}

void out_u16(struct out *o, uint16_t v)
{
    out_number(o, v, sizeof(v));
}

void out_u32(struct out *o, uint32_t v)
{
    out_number(o, v, sizeof(v));
}

void out_u64(struct out *o, uint64_t v)
{
    out_number(o, v, sizeof(v));
}

void out_id(struct out *o, const struct id *id)
{
    out_raw(o, SPAN(id->b));
}

void out_span16(struct out *o, struct span s)
{
    /* Both parts or neither: a length without its bytes must never be left behind. */
    if (o->overflow || s.n > UINT16_MAX || s.n + 2 > o->cap - o->n) {
        o->overflow = true;
        return;
    }
    out_u16(o, (uint16_t)s.n);
    out_raw(o, s);
}

struct in in_of(struct span s)
{
    return (struct in){ .p = s.p, .n = s.n, .bad = false };
}

/* Zero after an underrun, because the view is empty then. */
static uint64_t in_number(struct in *i, size_t size)
{
    struct span s = in_raw(i, size);
    uint64_t v = 0;

    for (size_t k = 0; k < s.n; k++)
        v = v << 8 | s.p[k];
    return v;
}

uint8_t in_u8(struct in *i)
{
    return (uint8_t)in_number(i, sizeof(uint8_t));
}

uint16_t in_u16(struct in *i)
{
    return (uint16_t)in_number(i, sizeof(uint16_t));
}

uint32_t in_u32(struct in *i)
{
    return (uint32_t)in_number(i, sizeof(uint32_t));
}

uint64_t in_u64(struct in *i)
{
    return in_number(i, sizeof(uint64_t));
}

void in_copy(struct in *i, uint8_t *to, size_t n)
{
    struct span s = in_raw(i, n);

    if (n == 0)
        return;
    /* Zeros, so that a caller who checks late never acts on stale memory. */
    if (i->bad)
        memset(to, 0, n);
    else
        memcpy(to, s.p, n);
}

struct id in_id(struct in *i)
{
    struct id id;

    in_copy(i, id.b, sizeof(id.b));
    return id;
}

struct span in_span16(struct in *i)
{
    size_t n = in_u16(i);

    return in_raw(i, n);
}

bool in_end(const struct in *i)
{
    return !i->bad && i->n == 0;
}
