/*
 * Asking an enrolled key. "Success" of the library proves nothing: the answer is used only if it
 * names our credential, carries its signature and flags, and brings a secret of the right length.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static int get(fido_dev_t *dev, void *object, const char *pin)
{
    return fido_dev_get_assert(dev, object, pin);
}

static int fill(fido_assert_t *assertion, const struct fido_credential *credential,
                struct span client_data_hash)
{
    int code = fido_assert_set_clientdata_hash(assertion, client_data_hash.p, client_data_hash.n);

    if (code == FIDO_OK)
        code = fido_assert_set_rp(assertion, FIDO_RP_ID);
    if (code == FIDO_OK)
        code = fido_assert_allow_cred(assertion, credential->id, credential->id_length);
    return code;
}

/* Answer number i as raw bytes, if it is one of this credential. */
static bool take(const fido_assert_t *assertion, size_t i, const struct fido_credential *credential,
                 struct fido_assertion *ret_assertion)
{
    struct span id = span_of(fido_assert_id_ptr(assertion, i), fido_assert_id_len(assertion, i));
    struct span data = fido_unwrap(
        span_of(fido_assert_authdata_ptr(assertion, i), fido_assert_authdata_len(assertion, i)));
    struct span signature =
        span_of(fido_assert_sig_ptr(assertion, i), fido_assert_sig_len(assertion, i));
    struct fido_assertion a = { .auth_data_length = data.n, .signature_length = signature.n };

    /* A key that was asked for one id may leave it out. */
    if (id.n != 0 && !span_same(id, span_of(credential->id, credential->id_length)))
        return false;
    if (data.n == 0 || data.n > sizeof a.auth_data || signature.n == 0 ||
        signature.n > sizeof a.signature)
        return false;
    memcpy(a.auth_data, data.p, data.n);
    memcpy(a.signature, signature.p, signature.n);
    *ret_assertion = a;
    return true;
}

/* The answer of this credential, checked, and its two secrets. */
static status take_secrets(const fido_assert_t *assertion, const struct fido_credential *credential,
                           struct span client_data_hash, struct fido_assertion *ret_assertion,
                           struct secret **ret_secrets, struct err *e)
{
    size_t count = fido_assert_count(assertion), i = 0;
    struct fido_assertion a;
    struct secret *secrets = NULL;
    struct span hmac;
    status st;

    while (i < count && !take(assertion, i, credential, &a))
        i++;
    if (i == count)
        return fido_fail(e, FIDO_ERR_INVALID_PARAM);
    hmac = span_of(fido_assert_hmac_secret_ptr(assertion, i),
                   fido_assert_hmac_secret_len(assertion, i));
    if (hmac.p == NULL || hmac.n != (size_t)2 * SALT_BYTES)
        return fail(e, DENIED, "The key did not deliver the secret.", hmac.n);
    /* The library's reason is for developers; the user hears that this is the wrong key. */
    if (fido_verify(credential->cose_public, client_data_hash, &a, NULL) != OK)
        return fido_fail(e, FIDO_ERR_INVALID_SIG);
    st = secret_copy(hmac, &secrets, e);
    if (st != OK)
        return st;
    *ret_assertion = a;
    *ret_secrets = secrets;
    return OK;
}

status fido_assert(struct fido_device *d, const struct fido_credential *credential,
                   struct span client_data_hash32, struct span salt32, struct span salt_next32,
                   struct fido_assertion *ret_assertion, struct secret **ret_secrets, struct err *e)
{
    AUTO_ASSERT *assertion = NULL;
    uint8_t salts[2 * SALT_BYTES];
    status st;
    int code;

    if (client_data_hash32.n != HASH_BYTES || salt32.n != SALT_BYTES ||
        salt_next32.n != SALT_BYTES || credential->id_length == 0 ||
        credential->id_length > sizeof credential->id)
        return fail(e, BAD_INPUT, "hash, salt or credential id of the wrong length", 0);
    memcpy(salts, salt32.p, SALT_BYTES);
    memcpy(salts + SALT_BYTES, salt_next32.p, SALT_BYTES);
    /* A new one each time: the library cannot empty a used one. */
    assertion = fido_assert_new();
    if (assertion == NULL)
        return fail(e, NO_MEMORY, "no memory for an assertion", 0);
    code = fill(assertion, credential, client_data_hash32);
    if (code == FIDO_OK)
        code = fido_assert_set_extensions(assertion, FIDO_EXT_HMAC_SECRET);
    if (code == FIDO_OK)
        code = fido_assert_set_hmac_salt(assertion, salts, sizeof salts);
    if (code == FIDO_OK)
        code = fido_assert_set_up(assertion, FIDO_OPT_OMIT); /* true is the key's default */
    if (code == FIDO_OK)
        code = fido_assert_set_uv(assertion, FIDO_OPT_TRUE);
    if (code != FIDO_OK)
        return fail(e, BUG, "cannot fill an assertion", code);

    st = fido_user_run(d, get, assertion, "Touch your key", e);
    if (st != OK)
        return st;
    return take_secrets(assertion, credential, client_data_hash32, ret_assertion, ret_secrets, e);
}

/* Is there a good answer of this credential, as signed by its key? */
static bool proves(const fido_assert_t *assertion, const struct fido_credential *credential,
                   struct span client_data_hash, struct fido_expect expect)
{
    struct fido_assertion a;

    for (size_t i = 0; i < fido_assert_count(assertion); i++)
        if (take(assertion, i, credential, &a) &&
            fido_verify_as(credential->cose_public, client_data_hash, &a, expect, NULL) == OK)
            return true;
    return false;
}

/* A question without touch, over a fresh hash. */
static fido_assert_t *silent_question(const struct fido_credential *credential,
                                      uint8_t hash[static HASH_BYTES])
{
    fido_assert_t *assertion = fido_assert_new();

    if (assertion == NULL || credential->id_length == 0 ||
        credential->id_length > sizeof credential->id ||
        getrandom(hash, HASH_BYTES, 0) != HASH_BYTES ||
        fill(assertion, credential, span_of(hash, HASH_BYTES)) != FIDO_OK ||
        fido_assert_set_up(assertion, FIDO_OPT_FALSE) != FIDO_OK)
        fido_assert_free(&assertion);
    return assertion;
}

enum fido_answer fido_has(struct fido_device *d, const struct fido_credential *credential)
{
    uint8_t hash[HASH_BYTES];
    AUTO_ASSERT *assertion = silent_question(credential, hash);
    int code;

    if (assertion == NULL)
        return FIDO_NO;
    code = fido_device_ask(d, PROBE_MS, get, assertion, NULL);
    /* Keys that always verify their user do not answer strangers. */
    if ((code == FIDO_ERR_PIN_REQUIRED || code == FIDO_ERR_UP_REQUIRED ||
         code == FIDO_ERR_UNSUPPORTED_OPTION) &&
        d->pin != NULL)
        code = fido_device_ask(d, PROBE_MS, get, assertion, (const char *)secret_view(d->pin).p);
    if (code == FIDO_ERR_NO_CREDENTIALS || code == FIDO_ERR_INVALID_CREDENTIAL ||
        code == CODE_REMOVED)
        return FIDO_NO;
    /* There are keys that invent an answer as long as nobody gave the PIN. */
    if (code != FIDO_OK || !proves(assertion, credential, SPAN(hash), (struct fido_expect){ 0 }))
        return FIDO_UNKNOWN;
    return FIDO_YES;
}

status fido_find(struct fido_device *d, const struct fido_credential *credentials, size_t count,
                 size_t *ret_index, struct err *e)
{
    const struct fido_expect verified = { .flags = CTAP_AUTHDATA_USER_VERIFIED };

    for (size_t i = 0; i < count; i++) {
        uint8_t hash[HASH_BYTES];
        AUTO_ASSERT *assertion = silent_question(&credentials[i], hash);
        struct err problem = { 0 };
        status st;

        if (assertion == NULL || fido_assert_set_uv(assertion, FIDO_OPT_TRUE) != FIDO_OK)
            return fail(e, BUG, "cannot fill an assertion", 0);
        /* Some keys want a touch for everything. */
        st = fido_user_run(d, get, assertion, i == 0 ? "Touch your key if it blinks" : NULL,
                           &problem);
        if (st == OK && proves(assertion, &credentials[i], SPAN(hash), verified)) {
            *ret_index = i;
            return OK;
        }
        if (st != OK && (st != NOT_FOUND || problem.detail == CODE_REMOVED))
            return err_note(e, st, problem.where, problem.why, problem.detail);
    }
    return fido_fail(e, FIDO_ERR_NO_CREDENTIALS);
}
