/*
 * Primitives and the sealing format, over libsodium and, for SHA-256 and what is made of it,
 * nettle. Nothing else in version 1 than:
 * SHA-256 (FIPS 180-4), HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869), AES-256-GCM
 * (NIST SP 800-38D, 128-bit tags), Ed25519 (RFC 8032), X25519 sealed boxes.
 * No I/O; the only randomness is the seal salt.
 */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/bytes.h"
#include "base/status.h"
#include "secret/secret.h"

#define SHA256_SIZE 32
#define MAC_SIZE    32
#define KEY_SIZE    32

/* Known-answer tests of each primitive on the backend actually chosen; BUG on a mismatch.
 * Every process that uses keys calls it at start and refuses to run otherwise. */
MUST_CHECK status crypto_selftest(struct err *e);

void sha256(struct span in, uint8_t out[static SHA256_SIZE]);
void sha256_two(struct span a, struct span b, uint8_t out[static SHA256_SIZE]); /* a | b */
/* Any key length. */
void hmac_sha256(struct span key, struct span in, uint8_t out[static MAC_SIZE]);
void random_bytes(struct mspan out);

/*
 * Domain separation: u8(len d) | d | u8(n) | (u16(len f) | f)*, d = "strongroom/v1/" purpose.
 * Injective: no two different calls share a byte string. Fields are added in order; a label
 * that does not fit sets overflow and the functions below answer BUG; label_view aborts, so
 * that a cut-off label is never used as a context.
 */
#define LABEL_SIZE 1024
struct label {
    struct out out;
    size_t count_at;
    uint8_t bytes[LABEL_SIZE];
};

void label_init(struct label *l, const char *purpose);
void label_field(struct label *l, struct span field);
void label_id(struct label *l, const struct id *id);
void label_u16(struct label *l, uint16_t v);
void label_u32(struct label *l, uint32_t v);
void label_u64(struct label *l, uint64_t v);
struct span label_view(const struct label *l);

/* RFC 5869 2.2 and 2.3. expand: out.n <= 255 * 32. */
void hkdf_extract(struct span salt, struct span ikm, uint8_t out[static MAC_SIZE]);
void hkdf_expand(struct span prk, struct span info, struct mspan out);
/* EXP: HKDF-Expand(key, label | u16(L), L) into a new secret of L bytes. Here and below BUG
 * for a key under 32 bytes: a wiped secret has length 0 and would be everybody's key. */
MUST_CHECK status crypto_derive(struct span key, const struct label *l, size_t length,
                                struct secret **ret_secret, struct err *e);
/* HMAC-SHA256(key, label | in). */
MUST_CHECK status crypto_mac(struct span key, const struct label *l, struct span in,
                             uint8_t out[static MAC_SIZE], struct err *e);
/* The two halves of it, for one key and many messages: what is kept of key and beginning, which is
 * a label's view, or empty where each message is one, and is as secret as the key; and the MAC of
 * beginning | in, as often as wanted, which costs in alone. BUG for one that was wiped. */
MUST_CHECK status crypto_mac_begin(struct span key, struct span beginning,
                                   struct secret **ret_begun, struct err *e);
MUST_CHECK status crypto_mac_end(const struct secret *begun, struct span in,
                                 uint8_t out[static MAC_SIZE], struct err *e);

/* Raw AES-256-GCM with a 96-bit nonce: only for the sealing format and its vectors. */
void aes256gcm_encrypt(struct span key32, struct span nonce12, struct span aad, struct span plain,
                       uint8_t *ret_cipher_and_tag);
bool aes256gcm_decrypt(struct span key32, struct span nonce12, struct span aad,
                       struct span cipher_and_tag, uint8_t *ret_plain);

/*
 * Sealing format: "SR" | version 1 | suite 1 | u32 epoch | salt 32 | commitment 32 |
 * ciphertext | tag 16. One fresh key and nonce a message by HKDF from a hedged salt, and a
 * commitment to key and context that is compared before decryption:
 *   okm = HKDF-Expand(HKDF-Extract(salt, kek), LBL("seal"; header8, SHA-256(aad)) | u16(76), 76)
 *   key | nonce | commitment = okm[0:32] | okm[32:44] | okm[44:76]; GCM aad = header8 | aad
 */
#define SEAL_OVERHEAD   88
#define SEALED_KEY_SIZE (KEY_SIZE + SEAL_OVERHEAD)

/* Writes plain.n + SEAL_OVERHEAD bytes to ret_sealed. BUG for an aad above LABEL_SIZE. The
 * first call keeps one small secret for the life of the process: the key of the salts. */
MUST_CHECK status crypto_seal(struct span kek, uint32_t epoch, struct span aad, struct span plain,
                              uint8_t *ret_sealed, struct err *e);
/* The same with a given salt: vectors and tests only. */
MUST_CHECK status crypto_seal_with_salt(struct span kek, uint32_t epoch, struct span aad,
                                        struct span plain, struct span salt32, uint8_t *ret_sealed,
                                        struct err *e);
/* CORRUPT, always with the same reason, if anything differs. */
/* The two halves of crypto_open, for what is opened over and over: the derived bytes, which open
 * this one message and are as secret as it is, and opening with them. A sealed value with another
 * first SEAL_PREFIX bytes needs others. Errors as of crypto_open. */
#define SEAL_PREFIX 40
MUST_CHECK status crypto_open_key(struct span kek, struct span aad, struct span sealed,
                                  struct secret **ret_key, struct err *e);
MUST_CHECK status crypto_open_with(const struct secret *key, struct span aad, struct span sealed,
                                   struct secret **ret_plain, struct err *e);
MUST_CHECK status crypto_open(struct span kek, struct span aad, struct span sealed,
                              struct secret **ret_plain, struct err *e);

/* Pads a provider key to a multiple of 64 (0x80, zeros: ISO/IEC 7816-4) and back. */
MUST_CHECK status crypto_pad(struct span plain, struct secret **ret_padded, struct err *e);
MUST_CHECK status crypto_unpad(struct secret *padded, struct err *e); /* trims in place */

/* Ed25519, deterministic from a 32-byte seed. */
#define ED25519_SIGNATURE_SIZE 64
void ed25519_public(struct span seed32, uint8_t out[static 32]);
void ed25519_sign(struct span seed32, struct span message,
                  uint8_t out[static ED25519_SIGNATURE_SIZE]);
bool ed25519_verify(struct span public32, struct span message, struct span signature);

/* X25519 sealed boxes (libsodium crypto_box_seal): ephemeral key | box. */
#define BOX_OVERHEAD 48
void box_public(struct span private32, uint8_t out[static 32]);
/* Writes plain.n + BOX_OVERHEAD bytes. BAD_INPUT for a degenerate public key. */
MUST_CHECK status box_seal(struct span public32, struct span plain, uint8_t *ret_sealed,
                           struct err *e);
/* CORRUPT if it was not sealed to this key or was changed. */
MUST_CHECK status box_open(struct span private32, struct span sealed, struct secret **ret_plain,
                           struct err *e);

#endif
