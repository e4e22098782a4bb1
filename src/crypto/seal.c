/*
 * The sealing format.
 *
 * 1. A key and nonce seal one message: both come from a fresh salt, never from a counter
 *    that a restored backup or a cloned machine could repeat.
 * 2. The salt is hedged: it also depends on a process key, the plaintext and the context,
 *    so a broken random generator repeats a ciphertext at worst, never a key for two
 *    different messages.
 * 3. The commitment binds key, header and context, and is compared before decryption: GCM
 *    alone lets one ciphertext open under two keys.
 * 4. Whatever differs, the answer is the same CORRUPT.
 */
#include <pthread.h>
#include <sodium.h>

#include "crypto/crypto.h"
#include "internal.h"

#define HEADER_SIZE     8
#define COMMITMENT_SIZE 32
#define OKM_SIZE        (KEY_SIZE + NONCE_SIZE + COMMITMENT_SIZE)
#define SALT_AT         HEADER_SIZE
#define COMMITMENT_AT   (SALT_AT + SALT_SIZE)
#define CIPHER_AT       (COMMITMENT_AT + COMMITMENT_SIZE)

#define FORMAT_VERSION 1
#define SUITE          1 /* HKDF-SHA256, AES-256-GCM, 32-byte commitment */

_Static_assert(CIPHER_AT + TAG_SIZE == SEAL_OVERHEAD, "the header promises this overhead");
_Static_assert(COMMITMENT_AT == SEAL_PREFIX, "the header promises this prefix");

/* The process's own key for salts. Not secret_free'd: it lives as long as the process. */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct secret *key;
} hedge = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT };

static void hedge_lock(void)
{
    insist(pthread_mutex_lock(&hedge.lock) == 0);
}

static void hedge_unlock(void)
{
    insist(pthread_mutex_unlock(&hedge.lock) == 0);
}

/* The slab is not inherited by a forked child, so neither is the key in it. */
static void hedge_forget_in_child(void)
{
    hedge.key = NULL;
    hedge_unlock();
}

static void hedge_register_fork_handlers(void)
{
    insist(pthread_atfork(hedge_lock, hedge_unlock, hedge_forget_in_child) == 0);
}

/* Makes the key on first use, and again after secret_wipe_all has emptied it. */
static status hedge_ready(struct err *e)
{
    if (hedge.key == NULL)
        return secret_random(KEY_SIZE, &hedge.key, e);
    if (secret_view(hedge.key).n != KEY_SIZE) {
        random_bytes(secret_fill(hedge.key));
        return secret_trim(hedge.key, KEY_SIZE, e);
    }
    return OK;
}

/* salt = HMAC(process key, LBL("hedge"; random 32, SHA-256(aad), SHA-256(plaintext))) */
static status hedged_salt(struct span aad, struct span plain, uint8_t salt[static SALT_SIZE],
                          struct err *e)
{
    uint8_t random[32];
    uint8_t digest[SHA256_SIZE];
    struct label l;
    status st = OK;

    /* Computed outside the lock; hashing a large value must not hold up other threads. */
    label_init(&l, "hedge");
    random_bytes((struct mspan){ random, sizeof(random) });
    label_field(&l, SPAN(random));
    sha256(aad, digest);
    label_field(&l, SPAN(digest));
    sha256(plain, digest);
    label_field(&l, SPAN(digest));

    insist(pthread_once(&hedge.once, hedge_register_fork_handlers) == 0);
    hedge_lock();
    st = hedge_ready(e);
    if (st == OK)
        st = crypto_mac(secret_view(hedge.key), &l, span_of(NULL, 0), salt, e);
    hedge_unlock();
    /* The digest of a short plaintext would let someone confirm a guess. */
    sodium_memzero(digest, sizeof(digest));
    sodium_memzero(&l, sizeof(l));
    sodium_memzero(random, sizeof(random));
    return st;
}

/* Key, nonce and commitment of one message, from its header and salt. */
static status message_keys(struct span kek, struct span header, struct span salt, struct span aad,
                           struct secret **ret_okm, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    AUTO(secret) *prk = NULL;
    struct label l;
    status st = secret_new(MAC_SIZE, &prk, e);

    if (st != OK)
        return st;
    sha256(aad, digest);
    /* The digest keeps the label short and of one size, whatever the context is. */
    label_init(&l, "seal");
    label_field(&l, header);
    label_field(&l, SPAN(digest));
    hkdf_extract(salt, kek, secret_fill(prk).p);
    return crypto_derive(secret_view(prk), &l, OKM_SIZE, ret_okm, e);
}

/* The three parts of the derived bytes, borrowed from the secret that holds them. */
struct message {
    struct span key;
    struct span nonce;
    struct span commitment;
    /* header | aad: what GCM authenticates, although both are inputs of the key already. */
    uint8_t bound[HEADER_SIZE + LABEL_SIZE];
    size_t bound_size;
};

static void message_init(struct message *m, const struct secret *okm, struct span header,
                         struct span aad)
{
    struct in i = in_of(secret_view(okm));
    struct out o;

    m->key = in_raw(&i, KEY_SIZE);
    m->nonce = in_raw(&i, NONCE_SIZE);
    m->commitment = in_raw(&i, COMMITMENT_SIZE);
    out_init(&o, m->bound, sizeof(m->bound));
    out_raw(&o, header);
    out_raw(&o, aad);
    insist(in_end(&i) && !o.overflow);
    m->bound_size = o.n;
}

static status check_inputs(struct span kek, struct span aad, struct err *e)
{
    /* A wiped secret has length 0: sealing under it would be sealing for everyone. */
    if (kek.n != KEY_SIZE)
        return fail(e, BUG, "sealing key is not 32 bytes", 0);
    if (aad.n > LABEL_SIZE)
        return fail(e, BUG, "sealing context is too long", 0);
    return OK;
}

status crypto_seal_with_salt(struct span kek, uint32_t epoch, struct span aad, struct span plain,
                             struct span salt32, uint8_t *ret_sealed, struct err *e)
{
    AUTO(secret) *okm = NULL;
    uint8_t header[HEADER_SIZE];
    struct message m;
    struct out o;
    status st = check_inputs(kek, aad, e);

    if (st != OK)
        return st;
    if (salt32.n != SALT_SIZE)
        return fail(e, BUG, "salt is not 32 bytes", 0);
    out_init(&o, header, sizeof(header));
    out_text(&o, "SR");
    out_u8(&o, FORMAT_VERSION);
    out_u8(&o, SUITE);
    out_u32(&o, epoch);
    st = message_keys(kek, SPAN(header), salt32, aad, &okm, e);
    if (st != OK)
        return st;
    message_init(&m, okm, SPAN(header), aad);
    /* Nothing is written before this line: on failure the caller's buffer is untouched. */
    out_init(&o, ret_sealed, CIPHER_AT);
    out_raw(&o, SPAN(header));
    out_raw(&o, salt32);
    out_raw(&o, m.commitment);
    aes256gcm_encrypt(m.key, m.nonce, span_of(m.bound, m.bound_size), plain,
                      ret_sealed + CIPHER_AT);
    return OK;
}

status crypto_seal(struct span kek, uint32_t epoch, struct span aad, struct span plain,
                   uint8_t *ret_sealed, struct err *e)
{
    uint8_t salt[SALT_SIZE];
    status st = hedged_salt(aad, plain, salt, e);

    if (st != OK)
        return st;
    return crypto_seal_with_salt(kek, epoch, aad, plain, SPAN(salt), ret_sealed, e);
}

/* One reason for every difference: which check failed is of use to attackers only. */
static status does_not_open(struct err *e)
{
    return fail(e, CORRUPT, "sealed value does not open", 0);
}

status crypto_open_key(struct span kek, struct span aad, struct span sealed,
                       struct secret **ret_key, struct err *e)
{
    static const uint8_t kind[] = { 'S', 'R', FORMAT_VERSION, SUITE };
    struct in i = in_of(sealed);
    struct span header = in_raw(&i, HEADER_SIZE);
    struct span salt = in_raw(&i, SALT_SIZE);
    status st = check_inputs(kek, aad, e);

    if (st != OK)
        return st;
    /* No negotiation: one version and suite are written, and only they are read. */
    if (sealed.n < SEAL_OVERHEAD || !span_same(span_of(header.p, sizeof(kind)), SPAN(kind)))
        return does_not_open(e);
    return message_keys(kek, header, salt, aad, ret_key, e);
}

status crypto_open_with(const struct secret *key, struct span aad, struct span sealed,
                        struct secret **ret_plain, struct err *e)
{
    AUTO(secret) *plain = NULL;
    struct message m;
    status st;

    /* A wiped secret has length 0. */
    if (secret_view(key).n != OKM_SIZE || aad.n > LABEL_SIZE)
        return fail(e, BUG, "not what opens a sealed value", 0);
    if (sealed.n < SEAL_OVERHEAD)
        return does_not_open(e);
    message_init(&m, key, span_of(sealed.p, HEADER_SIZE), aad);
    /* Before decryption: a ciphertext made for two keys must not even be tried. */
    if (!secret_equal(m.commitment, span_of(sealed.p + COMMITMENT_AT, COMMITMENT_SIZE)))
        return does_not_open(e);
    st = secret_new(sealed.n - SEAL_OVERHEAD, &plain, e);
    if (st != OK)
        return st;
    if (!aes256gcm_decrypt(m.key, m.nonce, span_of(m.bound, m.bound_size),
                           span_of(sealed.p + CIPHER_AT, sealed.n - CIPHER_AT),
                           secret_fill(plain).p))
        return does_not_open(e);
    *ret_plain = plain;
    plain = NULL;
    return OK;
}

status crypto_open(struct span kek, struct span aad, struct span sealed, struct secret **ret_plain,
                   struct err *e)
{
    AUTO(secret) *okm = NULL;
    status st = crypto_open_key(kek, aad, sealed, &okm, e);

    return st == OK ? crypto_open_with(okm, aad, sealed, ret_plain, e) : st;
}
