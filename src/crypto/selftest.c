/*
 * Known-answer tests of every primitive, on the code that will run: the right library may
 * still have chosen the wrong backend on this processor. All values are published ones;
 * the source stands with each. They are small because every process runs them at start.
 */
#include <sodium.h>
#include <string.h>

#include "crypto/crypto.h"
#include "internal.h"

#define KNOWN_MAX 128 /* bytes of the largest value below */

/* A value written as hex text, decoded. */
struct known {
    uint8_t b[KNOWN_MAX];
    size_t n;
};

static struct known known_of(const char *hex)
{
    struct known k = { .n = strlen(hex) / 2 };

    insist(k.n <= sizeof(k.b) && hex_parse(hex, strlen(hex), k.b, k.n));
    return k;
}

static struct span view(const struct known *k)
{
    return span_of(k->b, k->n);
}

/* Compared openly: everything here is published. */
static bool is(const uint8_t *got, size_t n, const char *hex)
{
    struct known k = known_of(hex);

    return span_same(span_of(got, n), view(&k));
}

/* FIPS 180-4: the example message "abc", and the empty one. */
static bool sha256_works(void)
{
    uint8_t out[SHA256_SIZE];
    bool works = true;

    sha256(span_text("abc"), out);
    works &=
        is(out, sizeof(out), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    /* The same in two parts, as the tree hashes use it. */
    sha256_two(span_text("a"), span_text("bc"), out);
    works &=
        is(out, sizeof(out), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256(span_of(NULL, 0), out);
    works &=
        is(out, sizeof(out), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    return works;
}

/* RFC 4231 sections 4.2, 4.3, 4.4 and 4.7; the last key is longer than a hash block. */
static bool hmac_works(void)
{
    uint8_t key[131];
    uint8_t data[50];
    uint8_t out[MAC_SIZE];
    bool works = true;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = 0xdd;
    for (size_t i = 0; i < 20; i++)
        key[i] = 0x0b;
    hmac_sha256(span_of(key, 20), span_text("Hi There"), out);
    works &=
        is(out, sizeof(out), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_sha256(span_text("Jefe"), span_text("what do ya want for nothing?"), out);
    works &=
        is(out, sizeof(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = 0xaa;
    hmac_sha256(span_of(key, 20), SPAN(data), out);
    works &=
        is(out, sizeof(out), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    hmac_sha256(SPAN(key), span_text("Test Using Larger Than Block-Size Key - Hash Key First"),
                out);
    works &=
        is(out, sizeof(out), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    return works;
}

struct hkdf_case {
    const char *salt;
    const char *ikm;
    const char *info;
    const char *prk;
    const char *okm;
};

/* RFC 5869 appendix A.1 to A.3. */
static const struct hkdf_case hkdf_cases[] = {
    {
        .salt = "000102030405060708090a0b0c",
        .ikm = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        .info = "f0f1f2f3f4f5f6f7f8f9",
        .prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        .okm = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
               "34007208d5b887185865",
    },
    {
        .salt = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        .ikm = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
               "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
               "404142434445464748494a4b4c4d4e4f",
        .info = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
                "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
        .prk = "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        .okm = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
               "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
               "cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
        .salt = "",
        .ikm = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
        .info = "",
        .prk = "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        .okm = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
               "9d201395faa4b61a96c8",
    },
};

static bool hkdf_works(void)
{
    bool works = true;

    for (size_t i = 0; i < sizeof(hkdf_cases) / sizeof(hkdf_cases[0]); i++) {
        const struct hkdf_case *c = &hkdf_cases[i];
        struct known salt = known_of(c->salt);
        struct known ikm = known_of(c->ikm);
        struct known info = known_of(c->info);
        uint8_t prk[MAC_SIZE];
        uint8_t okm[KNOWN_MAX];
        size_t n = strlen(c->okm) / 2;

        /* Both steps apart, so that two mistakes cannot cancel out. */
        hkdf_extract(view(&salt), view(&ikm), prk);
        hkdf_expand(SPAN(prk), view(&info), (struct mspan){ okm, n });
        works &= is(prk, sizeof(prk), c->prk) && is(okm, n, c->okm);
    }
    return works;
}

/* NIST CAVP gcmEncryptExtIV256.rsp: PTlen 128, AADlen 128, Taglen 128, count 0. */
static bool gcm_works(void)
{
    static const char answer[] = "8995ae2e6df3dbf96fac7b7137bae67f"
                                 "eca5aa77d51d4a0a14d9c51e1da474ab";
    struct known key = known_of("92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b");
    struct known nonce = known_of("ac93a1a6145299bde902f21a");
    struct known plain = known_of("2d71bcfa914e4ac045b2aa60955fad24");
    struct known aad = known_of("1e0889016f67601c8ebea4943bc23ad6");
    uint8_t cipher[32];
    uint8_t back[16];
    bool works = true;

    aes256gcm_encrypt(view(&key), view(&nonce), view(&aad), view(&plain), cipher);
    works &= is(cipher, sizeof(cipher), answer);
    works &= aes256gcm_decrypt(view(&key), view(&nonce), view(&aad), SPAN(cipher), back);
    works &= span_same(SPAN(back), view(&plain));
    /* A backend that decrypts but does not authenticate would pass everything above. */
    for (size_t i = 0; i < sizeof(cipher); i++) {
        cipher[i] ^= 1;
        works &= !aes256gcm_decrypt(view(&key), view(&nonce), view(&aad), SPAN(cipher), back);
        cipher[i] ^= 1;
    }
    aad.b[0] ^= 1;
    works &= !aes256gcm_decrypt(view(&key), view(&nonce), view(&aad), SPAN(cipher), back);
    return works;
}

struct ed25519_case {
    const char *seed;
    const char *public_key;
    const char *message;
    const char *signature;
};

/* RFC 8032 section 7.1, tests 1 to 3. */
static const struct ed25519_case ed25519_cases[] = {
    {
        .seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        .public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        .message = "",
        .signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
                     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    },
    {
        .seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        .public_key = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        .message = "72",
        .signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
    {
        .seed = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        .public_key = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        .message = "af82",
        .signature = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
                     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    },
};

static bool ed25519_works(void)
{
    bool works = true;

    for (size_t i = 0; i < sizeof(ed25519_cases) / sizeof(ed25519_cases[0]); i++) {
        const struct ed25519_case *c = &ed25519_cases[i];
        struct known seed = known_of(c->seed);
        struct known message = known_of(c->message);
        uint8_t public_key[32];
        uint8_t signature[ED25519_SIGNATURE_SIZE];

        ed25519_public(view(&seed), public_key);
        ed25519_sign(view(&seed), view(&message), signature);
        works &= is(public_key, sizeof(public_key), c->public_key);
        works &= is(signature, sizeof(signature), c->signature);
        works &= ed25519_verify(SPAN(public_key), view(&message), SPAN(signature));
        /* A verifier that says yes to everything would pass so far. */
        signature[i] ^= 1;
        works &= !ed25519_verify(SPAN(public_key), view(&message), SPAN(signature));
    }
    return works;
}

/* RFC 7748 section 5.2, both single steps, and the public key of section 6.1. */
static bool x25519_works(void)
{
    struct known k = known_of("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    struct known u = known_of("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    uint8_t out[32];
    bool works = crypto_scalarmult(out, k.b, u.b) == 0;

    works &=
        is(out, sizeof(out), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    k = known_of("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d");
    u = known_of("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493");
    works &= crypto_scalarmult(out, k.b, u.b) == 0;
    works &=
        is(out, sizeof(out), "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    /* Alice's pair: the path that box_public takes. */
    k = known_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    box_public(view(&k), out);
    works &=
        is(out, sizeof(out), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    return works;
}

status crypto_selftest(struct err *e)
{
    if (!sha256_works())
        return fail(e, BUG, "SHA-256 gives a wrong answer", 0);
    if (!hmac_works())
        return fail(e, BUG, "HMAC-SHA256 gives a wrong answer", 0);
    if (!hkdf_works())
        return fail(e, BUG, "HKDF-SHA256 gives a wrong answer", 0);
    if (!gcm_works())
        return fail(e, BUG, "AES-256-GCM gives a wrong answer", 0);
    if (!ed25519_works())
        return fail(e, BUG, "Ed25519 gives a wrong answer", 0);
    if (!x25519_works())
        return fail(e, BUG, "X25519 gives a wrong answer", 0);
    return OK;
}
