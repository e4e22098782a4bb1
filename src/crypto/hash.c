/*
 * SHA-256, HMAC-SHA256 and HKDF-SHA256. The first two are nettle's, which uses the processor's own
 * instructions for SHA-256 where there are any: libsodium's are portable C, and a lease is mostly
 * hashing. A state of nettle's is a plain struct on our stack, and each that has seen a key is
 * wiped.
 */
#include <nettle/hmac.h>
#include <nettle/sha2.h>
#include <sodium.h>
#include <string.h>

#include "crypto/crypto.h"
#include "internal.h"

#define EXPAND_MAX ((size_t)255 * MAC_SIZE)

/* An empty span may hold NULL, which is not nettle's to be given. */
static void take(struct sha256_ctx *state, struct span s)
{
    if (s.n > 0)
        sha256_update(state, s.n, s.p);
}

void sha256(struct span in, uint8_t out[static SHA256_SIZE])
{
    sha256_two(in, span_of(NULL, 0), out);
}

/* Two parts, for prefixed hashes such as those of Merkle trees, without a joined copy. */
void sha256_two(struct span a, struct span b, uint8_t out[static SHA256_SIZE])
{
    struct sha256_ctx state;

    sha256_init(&state);
    take(&state, a);
    take(&state, b);
    sha256_digest(&state, SHA256_SIZE, out);
    sodium_memzero(&state, sizeof(state)); /* what is hashed is sometimes a secret */
}

/* An empty key is a valid one (HKDF without salt), but its pointer may be NULL. */
static void set_key(struct hmac_sha256_ctx *state, struct span key)
{
    hmac_sha256_set_key(state, key.n, key.n > 0 ? key.p : (const uint8_t *)"");
}

/* HMAC over up to three parts, so that nobody needs to join them in a buffer. */
static void hmac_parts(struct span key, const struct span parts[3], uint8_t out[static MAC_SIZE])
{
    struct hmac_sha256_ctx state;

    set_key(&state, key);
    for (size_t i = 0; i < 3; i++)
        take(&state.state, parts[i]);
    hmac_sha256_digest(&state, MAC_SIZE, out);
    sodium_memzero(&state, sizeof(state));
}

void hmac_sha256(struct span key, struct span in, uint8_t out[static MAC_SIZE])
{
    const struct span parts[3] = { in, { NULL, 0 }, { NULL, 0 } };

    hmac_parts(key, parts, out);
}

void random_bytes(struct mspan out)
{
    if (out.n > 0)
        randombytes_buf(out.p, out.n);
}

void hkdf_extract(struct span salt, struct span ikm, uint8_t out[static MAC_SIZE])
{
    /* An absent salt and a salt of 32 zeros are the same HMAC key. */
    hmac_sha256(salt, ikm, out);
}

void hkdf_expand(struct span prk, struct span info, struct mspan out)
{
    uint8_t block[MAC_SIZE];
    size_t done = 0;
    uint8_t counter = 0;

    insist(out.n <= EXPAND_MAX); /* the counter is one byte */
    /* T(i) = HMAC(prk, T(i-1) | info | i), where T(0) is empty. */
    while (done < out.n) {
        size_t n = out.n - done < MAC_SIZE ? out.n - done : MAC_SIZE;
        const struct span parts[3] = {
            span_of(block, counter == 0 ? 0 : sizeof(block)),
            info,
            span_of(&(uint8_t){ (uint8_t)(counter + 1) }, 1),
        };

        hmac_parts(prk, parts, block);
        memcpy(out.p + done, block, n);
        done += n;
        counter++;
    }
    sodium_memzero(block, sizeof(block)); /* the last block is key material */
}

status crypto_derive(struct span key, const struct label *l, size_t length,
                     struct secret **ret_secret, struct err *e)
{
    uint8_t info[LABEL_SIZE + 2];
    struct out o;
    AUTO(secret) *s = NULL;
    status st = OK;

    /* A wiped secret has length 0: deriving from it would give keys that anyone can. */
    if (key.n < KEY_SIZE)
        return fail(e, BUG, "key to derive from is too short", 0);
    if (l->out.overflow)
        return fail(e, BUG, "label does not fit", 0);
    if (length == 0 || length > EXPAND_MAX)
        return fail(e, BUG, "no key can be derived in this length", 0);
    /* The length goes in as well: plain HKDF outputs of two lengths share their beginning. */
    out_init(&o, info, sizeof(info));
    out_raw(&o, label_view(l));
    out_u16(&o, (uint16_t)length);
    st = secret_new(length, &s, e);
    if (st != OK)
        return st;
    hkdf_expand(key, span_of(info, o.n), secret_fill(s));
    *ret_secret = s;
    s = NULL;
    return OK;
}

status crypto_mac(struct span key, const struct label *l, struct span in,
                  uint8_t out[static MAC_SIZE], struct err *e)
{
    if (key.n < KEY_SIZE)
        return fail(e, BUG, "MAC key is too short", 0);
    if (l->out.overflow)
        return fail(e, BUG, "label does not fit", 0);
    hmac_parts(key, (const struct span[3]){ label_view(l), in, { NULL, 0 } }, out);
    return OK;
}

/* Of the three states that nettle has for an HMAC the two that a MAC is made of: the third begins
 * the next one anew, which is what this is kept for. */
struct begun {
    struct sha256_ctx outer;
    struct sha256_ctx state;
};

status crypto_mac_begin(struct span key, struct span beginning, struct secret **ret_begun,
                        struct err *e)
{
    struct hmac_sha256_ctx mac;
    struct begun begun;
    status st = OK;

    if (key.n < KEY_SIZE)
        return fail(e, BUG, "MAC key is too short", 0);
    set_key(&mac, key);
    take(&mac.state, beginning);
    begun = (struct begun){ .outer = mac.outer, .state = mac.state };
    st = secret_copy(span_of(&begun, sizeof(begun)), ret_begun, e);
    sodium_memzero(&mac, sizeof(mac));
    sodium_memzero(&begun, sizeof(begun));
    return st;
}

status crypto_mac_end(const struct secret *begun, struct span in, uint8_t out[static MAC_SIZE],
                      struct err *e)
{
    struct span kept = secret_view(begun);
    struct hmac_sha256_ctx mac;
    struct begun b;

    /* A wiped secret has length 0. */
    if (kept.n != sizeof(b))
        return fail(e, BUG, "no MAC was begun", kept.n);
    memcpy(&b, kept.p, sizeof(b));
    mac = (struct hmac_sha256_ctx){ .outer = b.outer, .inner = b.state, .state = b.state };
    take(&mac.state, in);
    hmac_sha256_digest(&mac, MAC_SIZE, out);
    sodium_memzero(&mac, sizeof(mac));
    sodium_memzero(&b, sizeof(b));
    return OK;
}
