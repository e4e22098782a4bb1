#include "sha256.h"

#include <string.h>

#include "internal.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static const uint32_t rounds[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

/* Once a process; two threads that find out at once find the same. */
static bool has_instructions(void)
{
    static volatile int known; /* 0: not yet, 1: no, 2: yes */
    unsigned a, b, c, d;

    if (known == 0)
        known = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSSE3) != 0 &&
                        (c & bit_SSE4_1) != 0 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
                        (b & bit_SHA) != 0
                    ? 2
                    : 1;
    return known == 2;
}

/* The state is held as the instructions want it: a, b, e, f and c, d, g, h. */
__attribute__((target("sha,sse4.1,ssse3"))) static void compress(uint32_t h[static 8],
                                                                 const uint8_t *p, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const void *)h), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const void *)(h + 4)), 0x1b);
    __m128i abef = _mm_alignr_epi8(abcd, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);

    for (; blocks > 0; blocks--, p += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];

        for (size_t i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const void *)(p + 16 * i)), swap);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) {
            __m128i k = _mm_add_epi32(w[i % 4], _mm_load_si128((const void *)(rounds + 4 * i)));

            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
            if (i < 12) /* four words of the schedule, from the sixteen before them */
                w[i % 4] = _mm_sha256msg2_epu32(
                    _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]),
                                  _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4)),
                    w[(i + 3) % 4]);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    abcd = _mm_shuffle_epi32(abef, 0x1b);
    efgh = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((void *)h, _mm_blend_epi16(abcd, efgh, 0xf0));
    _mm_storeu_si128((void *)(h + 4), _mm_alignr_epi8(efgh, abcd, 8));
}
#else
static const uint32_t first[8];

static bool has_instructions(void)
{
    return false;
}

static void compress(uint32_t h[static 8], const uint8_t *p, size_t blocks)
{
    (void)h, (void)p, (void)blocks;
}
#endif

void sha256_init_slow(struct sha256_state *s)
{
    s->fast = false;
    crypto_hash_sha256_init(&s->slow);
}

void sha256_init(struct sha256_state *s)
{
    if (!has_instructions()) {
        sha256_init_slow(s);
        return;
    }
    s->fast = true;
    s->length = 0;
    memcpy(s->h, first, sizeof s->h);
}

void sha256_update(struct sha256_state *s, struct span in)
{
    size_t held = (size_t)(s->length % 64);

    if (!s->fast) {
        crypto_hash_sha256_update(&s->slow, in.p, in.n);
        return;
    }
    if (in.n == 0)
        return;
    s->length += in.n;
    if (held > 0) {
        size_t n = in.n < 64 - held ? in.n : 64 - held;

        memcpy(s->block + held, in.p, n);
        if (held + n < 64)
            return;
        compress(s->h, s->block, 1);
        in = span_of(in.p + n, in.n - n);
    }
    if (in.n >= 64)
        compress(s->h, in.p, in.n / 64);
    if (in.n % 64 > 0)
        memcpy(s->block, in.p + in.n / 64 * 64, in.n % 64);
}

void sha256_final(struct sha256_state *s, uint8_t out[static 32])
{
    static const uint8_t padding[64] = { 0x80 };
    uint64_t bits = s->length * 8;
    struct out o;

    if (!s->fast) {
        crypto_hash_sha256_final(&s->slow, out);
        sodium_memzero(s, sizeof *s);
        return;
    }
    /* One bit, zeros up to 56 bytes of a block, the length in bits. */
    sha256_update(s, span_of(padding, 1 + (119 - s->length % 64) % 64));
    out_init(&o, s->block + 56, 8);
    out_u64(&o, bits);
    compress(s->h, s->block, 1);
    out_init(&o, out, 32);
    for (size_t i = 0; i < 8; i++)
        out_u32(&o, s->h[i]);
    sodium_memzero(s, sizeof *s);
}
