/*
 * Making a credential: non-resident, ES256, with hmac-secret, protected at level 2 so that nobody
 * without the id can even ask for it. Attestation is checked for what it is worth, a signature over
 * this very answer; which model a key is does not matter here.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define USER_ID_BYTES 32
/* Bytes of a request: all but the exclude list, and for each entry of it besides the id. */
#define MESSAGE_REST 500
#define LIST_ENTRY   25
#define FLAGS        (CTAP_AUTHDATA_USER_PRESENT | CTAP_AUTHDATA_USER_VERIFIED)

static int make(fido_dev_t *dev, void *object, const char *pin)
{
    return fido_dev_make_cred(dev, object, pin);
}

static int set_extensions(fido_cred_t *cred, int protection)
{
    int code = fido_cred_set_extensions(cred, 0);

    if (code == FIDO_OK)
        code = fido_cred_set_prot(cred, protection); /* 0 takes it out */
    if (code == FIDO_OK)
        code = fido_cred_set_extensions(cred, FIDO_EXT_HMAC_SECRET);
    return code;
}

/* The library compares asked and granted extensions exactly, but keys differ in credProtect: some
 * ignore it, some have a level of their own. As the user is verified each time, any level will do;
 * which one it is shows when the verification passes. */
static int verify_signature(fido_cred_t *cred)
{
    static const int protections[] = { FIDO_CRED_PROT_UV_OPTIONAL_WITH_ID, 0,
                                       FIDO_CRED_PROT_UV_REQUIRED, FIDO_CRED_PROT_UV_OPTIONAL };
    int code = FIDO_ERR_INVALID_PARAM;

    for (size_t i = 0; i < sizeof protections / sizeof *protections; i++) {
        code = set_extensions(cred, protections[i]);
        if (code != FIDO_OK)
            return code;
        code = fido_cred_x5c_len(cred) > 0 ? fido_cred_verify(cred) : fido_cred_verify_self(cred);
        if (code != FIDO_ERR_INVALID_PARAM)
            return code;
    }
    return code;
}

static status check(fido_cred_t *cred, struct err *e)
{
    const char *format = fido_cred_fmt(cred);
    const uint8_t *data = fido_cred_authdata_raw_ptr(cred);
    int code;

    if (data == NULL || fido_cred_authdata_raw_len(cred) < HASH_BYTES || !fido_rp_hash_ours(data) ||
        (fido_cred_flags(cred) & FLAGS) != FLAGS)
        return fido_fail(e, FIDO_ERR_INVALID_PARAM);
    /* Without attestation there is no signature yet. The first assertion, the second touch of an
     * enrolment, has one by this public key. */
    if (format != NULL && strcmp(format, "none") == 0)
        return OK;
    code = verify_signature(cred);
    if (code != FIDO_OK)
        return fido_fail(e, code);
    return OK;
}

static status extract(const fido_cred_t *cred, struct fido_credential *ret_credential,
                      struct err *e)
{
    struct fido_credential c = { .id_length = fido_cred_id_len(cred) };
    const uint8_t *id = fido_cred_id_ptr(cred), *key = fido_cred_pubkey_ptr(cred);
    const uint8_t *aaguid = fido_cred_aaguid_ptr(cred);

    if (id == NULL || c.id_length == 0 || c.id_length > sizeof c.id)
        return fail(e, LIMIT, "The key's credential id has an unusable length.", c.id_length);
    if (key == NULL || fido_cred_pubkey_len(cred) != sizeof c.cose_public || aaguid == NULL ||
        fido_cred_aaguid_len(cred) != sizeof c.aaguid)
        return fido_fail(e, FIDO_ERR_INVALID_PARAM);
    memcpy(c.id, id, c.id_length);
    memcpy(c.cose_public, key, sizeof c.cose_public);
    memcpy(c.aaguid, aaguid, sizeof c.aaguid);
    *ret_credential = c;
    return OK;
}

/* A key that has one of them and answers silently says so before anybody typed a PIN. The others
 * are named in the request, as many as the key takes. */
static status set_exclude(struct fido_device *d, fido_cred_t *cred,
                          const struct fido_credential *exclude, size_t count, struct err *e)
{
    size_t named = 0, bytes = MESSAGE_REST;
    enum fido_answer answer = FIDO_NO;

    for (size_t i = 0; i < count; i++) {
        size_t n = exclude[i].id_length;

        /* Who did not answer one silent question is spared the others. */
        if (answer == FIDO_NO)
            answer = fido_has(d, &exclude[i]);
        if (answer == FIDO_YES)
            return fido_fail(e, FIDO_ERR_CREDENTIAL_EXCLUDED);
        bytes += n + LIST_ENTRY;
        if (named == d->list_max || bytes > d->message_max || n == 0 || n > sizeof exclude[i].id)
            continue;
        if (fido_cred_exclude(cred, exclude[i].id, n) != FIDO_OK)
            return fail(e, NO_MEMORY, "no memory for an exclude list", i);
        named++;
    }
    return OK;
}

static int fill(fido_cred_t *cred, const char *user, struct span client_data_hash, int protection,
                struct span user_id)
{
    int code = fido_cred_set_type(cred, COSE_ES256);

    if (code == FIDO_OK)
        code = fido_cred_set_clientdata_hash(cred, client_data_hash.p, client_data_hash.n);
    if (code == FIDO_OK)
        code = fido_cred_set_rp(cred, FIDO_RP_ID, "Strongroom");
    if (code == FIDO_OK)
        code = fido_cred_set_user(cred, user_id.p, user_id.n, user, user, NULL);
    if (code == FIDO_OK)
        code = set_extensions(cred, protection);
    if (code == FIDO_OK)
        code = fido_cred_set_rk(cred, FIDO_OPT_OMIT);
    if (code == FIDO_OK)
        code = fido_cred_set_uv(cred, FIDO_OPT_TRUE);
    return code;
}

status fido_enrol(struct fido_device *d, const char *user, struct span client_data_hash32,
                  const struct fido_credential *exclude, size_t exclude_count,
                  struct fido_credential *ret_credential, struct err *e)
{
    int protection = d->protects ? FIDO_CRED_PROT_UV_OPTIONAL_WITH_ID : 0;
    AUTO_CRED *cred = NULL;
    uint8_t user_id[USER_ID_BYTES];
    status st;
    int code;

    if (!name_valid(user) || client_data_hash32.n != HASH_BYTES)
        return fail(e, BAD_INPUT, "not a valid operator name or hash", 0);
    /* Random: a credential must not replace another one of the same operator. */
    if (getrandom(user_id, sizeof user_id, 0) != (ssize_t)sizeof user_id)
        return fail(e, IO, "no random bytes", errno);
    cred = fido_cred_new();
    if (cred == NULL)
        return fail(e, NO_MEMORY, "no memory for a credential", 0);
    code = fill(cred, user, client_data_hash32, protection, SPAN(user_id));
    if (code != FIDO_OK)
        return fail(e, BUG, "cannot fill a credential", code);

    st = set_exclude(d, cred, exclude, exclude_count, e);
    if (st == OK)
        st = fido_user_run(d, make, cred, "Touch your key", e);
    if (st == OK)
        st = check(cred, e);
    if (st == OK)
        st = extract(cred, ret_credential, e);
    return st;
}
