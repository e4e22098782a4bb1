/* Digits are found by arithmetic, not in a table by index: the code must not pick cache lines. */
#include "card.h"

#include "crypto/crypto.h"

#define CODE_CHARACTERS 52
#define GROUP           4

static uint8_t digit_format(unsigned int value)
{
    return (uint8_t)(value < 26 ? 'A' + value : '2' + value - 26);
}

/* 0 to 31, or -1. */
static int digit_parse(uint8_t c)
{
    if (c >= 'a' && c <= 'z')
        c = (uint8_t)(c - 'a' + 'A');
    if (c == '0')
        c = 'O';
    if (c == '1')
        c = 'I';
    if (c == '8')
        c = 'B';
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

/* The five bits at position i of code | check | zeros. */
static unsigned int five_bits(struct span code, struct span check, size_t i)
{
    /* The code's last character has one bit of code and four zeros; the check starts afresh. */
    struct span from = i < CODE_CHARACTERS ? code : check;
    size_t bit = 5 * (i < CODE_CHARACTERS ? i : i - CODE_CHARACTERS);
    unsigned int two = (unsigned int)from.p[bit / 8] << 8;

    if (bit / 8 + 1 < from.n)
        two |= from.p[bit / 8 + 1];
    return two >> (11 - bit % 8) & 31;
}

status card_format(struct span code, struct secret **ret_text, struct err *e)
{
    AUTO(secret) *text = NULL;
    uint8_t check[SHA256_SIZE];

    if (code.n != CARD_CODE)
        return fail(e, BUG, "a recovery code has 32 bytes", 0);
    status st = secret_new(CARD_TEXT, &text, e);

    if (st != OK)
        return st;
    uint8_t *p = secret_fill(text).p;

    sha256(code, check);
    for (size_t i = 0; i < CARD_CHARACTERS; i++) {
        if (i > 0 && i % GROUP == 0)
            *p++ = ' ';
        *p++ = digit_format(five_bits(code, SPAN(check), i));
    }
    secret_wipe((struct mspan){ .p = check, .n = sizeof(check) });
    *ret_text = text;
    text = NULL;
    return OK;
}

/* 56 values of five bits, one a byte. */
static status digits_parse(struct span text, struct mspan digits, struct err *e)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == ' ' || text.p[i] == '-')
            continue;
        int digit = digit_parse(text.p[i]);

        if (digit < 0)
            return fail(e, BAD_INPUT, "a recovery code has only letters and the digits 2 to 7", 0);
        if (n == digits.n)
            return fail(e, BAD_INPUT, "a recovery code has 56 characters; these are more", 0);
        digits.p[n++] = (uint8_t)digit;
    }
    if (n != digits.n)
        return fail(e, BAD_INPUT, "a recovery code has 56 characters; these are fewer", 0);
    return OK;
}

/* Packs the digits of the code; any bit that is left over makes the code wrong. */
static void pack(struct span digits, uint8_t code[static CARD_CODE])
{
    unsigned int held = 0;
    unsigned int bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < CODE_CHARACTERS; i++) {
        held = (held << 5 | digits.p[i]) & 0xfff;
        bits += 5;
        if (bits >= 8 && n < CARD_CODE) {
            bits -= 8;
            code[n++] = (uint8_t)(held >> bits);
        }
    }
}

status card_parse(struct span text, struct secret **ret_code, struct err *e)
{
    AUTO(secret) *digits = NULL;
    AUTO(secret) *code = NULL;
    uint8_t check[SHA256_SIZE];
    unsigned int differs = 0;
    status st = secret_new(CARD_CHARACTERS, &digits, e);

    if (st == OK)
        st = secret_new(CARD_CODE, &code, e);
    if (st == OK)
        st = digits_parse(text, secret_fill(digits), e);
    if (st != OK)
        return st;
    struct span values = secret_view(digits);

    pack(values, secret_fill(code).p);
    sha256(secret_view(code), check);
    for (size_t i = 0; i < CARD_CHARACTERS; i++)
        differs |= five_bits(secret_view(code), SPAN(check), i) ^ values.p[i];
    secret_wipe((struct mspan){ .p = check, .n = sizeof(check) });
    if (differs != 0)
        return fail(e, BAD_INPUT, "the recovery code has a mistake in it: compare it again", 0);
    *ret_code = code;
    code = NULL;
    return OK;
}
