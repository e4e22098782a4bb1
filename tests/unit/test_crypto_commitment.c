/*
 * GCM does not commit to its key: with some algebra one ciphertext and tag is valid under two
 * keys, and two parties who each trust their own key read different things. This file makes
 * such a ciphertext, shows that raw GCM takes it twice, and that the sealing format does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

#define CHECK_OK(call)           assert_string_equal(status_name(call), status_name(OK))
#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))
#define BLOCK                    16
#define CIPHER_SIZE              (2 * BLOCK)

/* An element of GCM's field; bit 0 is the highest bit of the first byte (SP 800-38D 6.3). */
struct block {
    uint8_t b[BLOCK];
};

static struct block block_add(struct block x, struct block y)
{
    for (size_t i = 0; i < BLOCK; i++)
        x.b[i] ^= y.b[i];
    return x;
}

static struct block block_multiply(struct block x, struct block y)
{
    struct block product = { 0 };

    for (size_t bit = 0; bit < 128; bit++) {
        bool low = (y.b[BLOCK - 1] & 1) != 0;

        if ((x.b[bit / 8] >> (7 - bit % 8) & 1) != 0)
            product = block_add(product, y);
        for (size_t i = BLOCK; i-- > 1;)
            y.b[i] = (uint8_t)(y.b[i] >> 1 | y.b[i - 1] << 7);
        y.b[0] >>= 1;
        y.b[0] ^= low ? 0xe1 : 0;
    }
    return product;
}

/* x to the power 2^128 - 2, which is its inverse. */
static struct block block_invert(struct block x)
{
    struct block power = x;
    struct block inverse = { .b = { 0x80 } }; /* one */

    for (size_t i = 1; i < 128; i++) {
        power = block_multiply(power, power);
        inverse = block_multiply(inverse, power);
    }
    return inverse;
}

/* One message key as its owner would use it, and what GHASH knows about it. */
struct party {
    uint8_t key[32];
    uint8_t nonce[12];
    struct block h;    /* E(0), the hash key */
    struct block mask; /* E(J0), added to the hash to make the tag */
};

static struct block lengths_block(size_t aad_size, size_t cipher_size)
{
    struct block block;
    struct out o;

    out_init(&o, block.b, sizeof(block.b));
    out_u64(&o, 8 * (uint64_t)aad_size);
    out_u64(&o, 8 * (uint64_t)cipher_size);
    return block;
}

static struct block tag_of(const struct party *p, struct span aad)
{
    struct block tag;

    aes256gcm_encrypt(SPAN(p->key), SPAN(p->nonce), aad, span_of(NULL, 0), tag.b);
    return tag;
}

/* Learns h and mask from tags alone: the tag of nothing is the mask, and one empty block as
 * context gives lengths * h on top of it. */
static void party_learn(struct party *p)
{
    const struct block zero = { 0 };
    struct block hashed;

    p->mask = tag_of(p, span_of(NULL, 0));
    hashed = block_add(tag_of(p, SPAN(zero.b)), p->mask);
    p->h = block_multiply(hashed, block_invert(lengths_block(BLOCK, 0)));
}

static struct block tag_by_hand(const struct party *p, struct span aad, const uint8_t *cipher)
{
    struct block sum = { 0 };

    for (size_t i = 0; i < aad.n; i += BLOCK) {
        struct block part = { 0 };

        memcpy(part.b, aad.p + i, aad.n - i < BLOCK ? aad.n - i : BLOCK);
        sum = block_multiply(block_add(sum, part), p->h);
    }
    for (size_t i = 0; i < CIPHER_SIZE; i += BLOCK) {
        struct block part;

        memcpy(part.b, cipher + i, BLOCK);
        sum = block_multiply(block_add(sum, part), p->h);
    }
    sum = block_multiply(block_add(sum, lengths_block(aad.n, CIPHER_SIZE)), p->h);
    return block_add(sum, p->mask);
}

/* Solves for the last ciphertext block so that both tags agree, and appends that tag. The
 * block enters each tag as block * h^2, so the difference is block * (h1^2 + h2^2). */
static void make_two_faced(const struct party *one, const struct party *two, struct span aad,
                           uint8_t cipher[CIPHER_SIZE + BLOCK])
{
    struct block difference;
    struct block factor;
    struct block last;
    struct block tag;

    memcpy(cipher, "any first block.", BLOCK);
    memset(cipher + BLOCK, 0, BLOCK);
    difference = block_add(tag_by_hand(one, aad, cipher), tag_by_hand(two, aad, cipher));
    factor = block_add(block_multiply(one->h, one->h), block_multiply(two->h, two->h));
    last = block_multiply(difference, block_invert(factor));
    memcpy(cipher + BLOCK, last.b, BLOCK);
    tag = tag_by_hand(one, aad, cipher);
    memcpy(cipher + CIPHER_SIZE, tag.b, BLOCK);
}

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

static void raw_gcm_opens_one_ciphertext_under_two_keys(void **state)
{
    struct party one = { .key = { 1 }, .nonce = { 2 } };
    struct party two = { .key = { 3 }, .nonce = { 4 } };
    uint8_t cipher[CIPHER_SIZE + BLOCK];
    uint8_t plain_one[CIPHER_SIZE];
    uint8_t plain_two[CIPHER_SIZE];
    const struct span aad = span_text("some context, not aligned");

    (void)state;
    party_learn(&one);
    party_learn(&two);
    make_two_faced(&one, &two, aad, cipher);
    assert_true(aes256gcm_decrypt(SPAN(one.key), SPAN(one.nonce), aad, SPAN(cipher), plain_one));
    assert_true(aes256gcm_decrypt(SPAN(two.key), SPAN(two.nonce), aad, SPAN(cipher), plain_two));
    assert_memory_not_equal(plain_one, plain_two, CIPHER_SIZE);
}

/* The keys that the format derives for a message, by the text of the format. */
static void party_of_message(struct party *p, struct span kek, struct span header, struct span salt,
                             struct span aad, uint8_t commitment[32])
{
    AUTO(secret) *okm = NULL;
    uint8_t prk[MAC_SIZE];
    uint8_t digest[SHA256_SIZE];
    struct label l;
    struct in i;

    hkdf_extract(salt, kek, prk);
    sha256(aad, digest);
    label_init(&l, "seal");
    label_field(&l, header);
    label_field(&l, SPAN(digest));
    CHECK_OK(crypto_derive(SPAN(prk), &l, 76, &okm, NULL));
    i = in_of(secret_view(okm));
    in_copy(&i, p->key, sizeof(p->key));
    in_copy(&i, p->nonce, sizeof(p->nonce));
    in_copy(&i, commitment, 32);
    party_learn(p);
}

static void a_two_faced_sealed_value_opens_for_the_committed_key_only(void **state)
{
    static const uint8_t header[8] = { 'S', 'R', 1, 1, 0, 0, 0, 7 };
    static const uint8_t salt[32] = { 0x73 };
    static const uint8_t kek_one[32] = { 1 };
    static const uint8_t kek_two[32] = { 2 };
    const struct span aad = span_text("tenant, key, version");
    uint8_t commitments[2][32];
    uint8_t bound[64];
    uint8_t sealed[SEAL_OVERHEAD + CIPHER_SIZE];
    uint8_t plain[CIPHER_SIZE];
    struct party one;
    struct party two;
    struct out o;

    (void)state;
    party_of_message(&one, SPAN(kek_one), SPAN(header), SPAN(salt), aad, commitments[0]);
    party_of_message(&two, SPAN(kek_two), SPAN(header), SPAN(salt), aad, commitments[1]);
    out_init(&o, bound, sizeof(bound));
    out_raw(&o, SPAN(header));
    out_raw(&o, aad);
    make_two_faced(&one, &two, span_of(bound, o.n), sealed + 72);
    /* The attack itself works: both message keys take the ciphertext. */
    assert_true(aes256gcm_decrypt(SPAN(one.key), SPAN(one.nonce), span_of(bound, o.n),
                                  span_of(sealed + 72, CIPHER_SIZE + BLOCK), plain));
    assert_true(aes256gcm_decrypt(SPAN(two.key), SPAN(two.nonce), span_of(bound, o.n),
                                  span_of(sealed + 72, CIPHER_SIZE + BLOCK), plain));

    for (size_t owner = 0; owner < 2; owner++) {
        struct secret *for_one = NULL;
        struct secret *for_two = NULL;

        out_init(&o, sealed, 72);
        out_raw(&o, SPAN(header));
        out_raw(&o, SPAN(salt));
        out_raw(&o, SPAN(commitments[owner]));
        CHECK_STATUS(crypto_open(SPAN(kek_one), aad, SPAN(sealed), &for_one, NULL),
                     owner == 0 ? OK : CORRUPT);
        CHECK_STATUS(crypto_open(SPAN(kek_two), aad, SPAN(sealed), &for_two, NULL),
                     owner == 1 ? OK : CORRUPT);
        secret_free(for_one);
        secret_free(for_two);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_gcm_opens_one_ciphertext_under_two_keys),
        cmocka_unit_test(a_two_faced_sealed_value_opens_for_the_committed_key_only),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
