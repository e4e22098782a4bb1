/*
 * Shamir's secret sharing. The field has no tables and no branch on a value: both have told
 * keys to whoever measured the time. Loops run over sizes and share numbers, which are public.
 */
#include <string.h>

#include "crypto/shamir.h"
#include "internal.h"

#define POLYNOMIAL 0x11bu /* x^8 + x^4 + x^3 + x + 1 */

/* All ones for bit 1, zero for bit 0. Where the mask is from is hidden from the compiler, which
 * might otherwise make a jump of it. */
static unsigned mask_of(unsigned bit)
{
    unsigned mask = 0u - bit;

    __asm__("" : "+r"(mask));
    return mask;
}

/* From the highest bit of b down: double what there is, add a if the bit is set. */
uint8_t gf256_multiply(uint8_t a, uint8_t b)
{
    unsigned product = 0;

    for (unsigned i = 8; i-- > 0;) {
        product = (product << 1) ^ (POLYNOMIAL & mask_of(product >> 7));
        product ^= a & mask_of((unsigned)b >> i & 1);
    }
    return (uint8_t)product;
}

/* a^254, as a^255 = 1 for all but 0: 254 is 11111110, so seven squares and six products. */
uint8_t gf256_inverse(uint8_t a)
{
    uint8_t power = a;

    for (unsigned i = 0; i < 6; i++)
        power = gf256_multiply(gf256_multiply(power, power), a);
    return gf256_multiply(power, power);
}

/* The polynomial of column i at x, by Horner's rule. */
static uint8_t value_at(struct span polynomials, size_t width, size_t i, uint8_t x)
{
    uint8_t y = 0;

    for (size_t row = polynomials.n; row > 0; row -= width)
        y = gf256_multiply(y, x) ^ polynomials.p[row - width + i];
    return y;
}

void shamir_evaluate(struct span polynomials, size_t width, struct span xs, uint8_t *ret_shares)
{
    for (size_t s = 0; s < xs.n; s++) {
        uint8_t *share = ret_shares + s * (1 + width);

        share[0] = xs.p[s];
        for (size_t i = 0; i < width; i++)
            share[1 + i] = value_at(polynomials, width, i, xs.p[s]);
    }
}

/* Share number 0 is where the secret is. */
static status check_numbers(const uint8_t *numbers, size_t count, size_t stride, struct err *e)
{
    bool seen[SHAMIR_MAX + 1] = { true };

    for (size_t s = 0; s < count; s++) {
        if (seen[numbers[s * stride]])
            return fail(e, BAD_INPUT, "share number is 0 or comes twice", numbers[s * stride]);
        seen[numbers[s * stride]] = true;
    }
    return OK;
}

status shamir_split(struct span secret, unsigned k, struct span xs, struct secret **ret_shares,
                    struct err *e)
{
    AUTO(secret) *polynomials = NULL;
    AUTO(secret) *shares = NULL;
    status st = OK;

    if (secret.n == 0 || secret.n > SHAMIR_SECRET_MAX)
        return fail(e, BAD_INPUT, "no secret of this size can be shared", secret.n);
    if (k == 0 || k > xs.n || xs.n > SHAMIR_MAX)
        return fail(e, BAD_INPUT, "needs 1 to 255 shares, and no more than there are", k);
    st = check_numbers(xs.p, xs.n, 1, e);
    if (st != OK)
        return st;
    /* Zero is as likely as any coefficient: without it, shares would exclude secrets. */
    st = secret_random(k * secret.n, &polynomials, e);
    if (st != OK)
        return st;
    memcpy(secret_fill(polynomials).p, secret.p, secret.n);
    st = secret_new(xs.n * (1 + secret.n), &shares, e);
    if (st != OK)
        return st;
    shamir_evaluate(secret_view(polynomials), secret.n, xs, secret_fill(shares).p);
    *ret_shares = shares;
    shares = NULL;
    return OK;
}

/* How much share s counts in the value at 0: the product over all others of xj / (xj - xs). */
static uint8_t weight_at_zero(struct span shares, size_t share_size, size_t s)
{
    uint8_t above = 1;
    uint8_t below = 1;

    for (size_t at = 0; at < shares.n; at += share_size) {
        if (at == s)
            continue;
        above = gf256_multiply(above, shares.p[at]);
        below = gf256_multiply(below, shares.p[at] ^ shares.p[s]);
    }
    return gf256_multiply(above, gf256_inverse(below));
}

status shamir_combine(struct span shares, size_t share_size, struct secret **ret_secret,
                      struct err *e)
{
    AUTO(secret) *sum = NULL;
    status st = OK;

    if (share_size < 2 || share_size > 1 + SHAMIR_SECRET_MAX)
        return fail(e, BAD_INPUT, "no share has this size", share_size);
    if (shares.n == 0 || shares.n % share_size != 0)
        return fail(e, BAD_INPUT, "not a whole number of shares", shares.n);
    st = check_numbers(shares.p, shares.n / share_size, share_size, e);
    if (st != OK)
        return st;
    st = secret_new(share_size - 1, &sum, e); /* zeroed */
    if (st != OK)
        return st;
    for (size_t s = 0; s < shares.n; s += share_size) {
        uint8_t weight = weight_at_zero(shares, share_size, s);

        for (size_t i = 1; i < share_size; i++)
            secret_fill(sum).p[i - 1] ^= gf256_multiply(shares.p[s + i], weight);
    }
    *ret_secret = sum;
    sum = NULL;
    return OK;
}
