/* Nothing of a reply is believed before its signature: the server is only the messenger. */
#include "delivery.h"

#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "crypto/crypto.h"
#include "file.h"
#include "identity/identity.h"
#include "reply.h"
#include "wire/delivery.h"

/* As pinned; else the one that the vault says now, and from now on. */
static int delivery_key(struct cli *c, uint8_t out[static 32])
{
    AUTO(json_t) *reply = NULL;
    int code = profile_load(c);

    if (code != EXIT_DONE || profile_hex(&c->profile, "delivery_key", out, 32))
        return code;
    code = https_call(c, METHOD_GET, "/v1/keys", NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    if (!reply_hex(reply, "delivery_key", out, 32))
        return reply_report("delivery key");
    return profile_pin(c, "delivery_key", span_of(out, 32));
}

static int add_hex(json_t *body, const char *name, struct span value)
{
    char text[2 * 32 + 1];

    hex_format(value, text);
    if (json_object_set_new(body, name, json_string(text)) != 0)
        return report(EXIT_OTHER, "no memory");
    return EXIT_DONE;
}

int delivery_ask(struct cli *c, struct delivery *d, json_t *body)
{
    uint8_t public_key[32];
    struct err e = { 0 };
    int code = delivery_key(c, d->signer);

    if (code != EXIT_DONE)
        return code;
    if (secret_random(KEY_SIZE, &d->private_key, &e) != OK)
        return report_err("a key for the delivery", &e);
    box_public(secret_view(d->private_key), public_key);
    random_bytes((struct mspan){ d->nonce, sizeof(d->nonce) });
    code = add_hex(body, "seal_to", SPAN(public_key));
    return code == EXIT_DONE ? add_hex(body, "nonce", SPAN(d->nonce)) : code;
}

/* Whom the vault knows this profile by. */
static int own_certificate(const struct cli *c, const struct id *vault, uint8_t out[static 32])
{
    struct identity_verifier *verifier = NULL;
    struct holder holder = { 0 };
    char certificate[PATH_MAX], ca[PATH_MAX], text[PEM_MAX];
    uint8_t der[LIMIT_CERTIFICATE];
    struct out o;
    struct err e = { 0 };

    profile_path(&c->profile, PROFILE_CERTIFICATE, certificate);
    profile_path(&c->profile, PROFILE_CA, ca);
    out_init(&o, der, sizeof(der));
    status st = file_read(ca, text, sizeof(text), &e);
    if (st == OK)
        st = identity_verifier_new(span_text(text), vault, &verifier, &e);
    if (st == OK)
        st = file_read(certificate, text, sizeof(text), &e);
    if (st == OK)
        st = identity_pem_to_der(span_text(text), &o, &e);
    if (st == OK)
        st = identity_verify(verifier, span_of(o.p, o.n), clock_wall_us(), &holder, &e);
    identity_verifier_free(verifier);
    if (st != OK)
        return report_err("the profile's certificate", &e);
    memcpy(out, holder.spki, sizeof(holder.spki));
    return EXIT_DONE;
}

/* What the reply says was delivered; vault, certificate and nonce are what this side knows. */
static int claim(struct cli *c, const struct delivery *d, const json_t *reply,
                 struct wire_delivery *ret_claim)
{
    const char *expires = reply_text(reply, "expires");
    uint8_t token[2 * sizeof(struct id)];
    uint64_t version = 0;

    if (!profile_hex(&c->profile, "vault", ret_claim->vault.b, sizeof(ret_claim->vault.b)))
        return report(EXIT_OTHER, "the profile names no vault");
    if (!reply_hex(reply, "lease", token, sizeof(token)))
        return reply_report("lease");
    memcpy(ret_claim->lease.b, token, sizeof(ret_claim->lease.b));
    if (!reply_id(reply, "gateway_id", &ret_claim->gateway) ||
        !reply_id(reply, "key_id", &ret_claim->key) ||
        !reply_number(reply, "version", UINT32_MAX, &version))
        return reply_report("key and gateway");
    ret_claim->version = (uint32_t)version;
    if (expires == NULL || !time_parse(expires, strlen(expires), &ret_claim->expires_us))
        return reply_report("end of the lease");
    memcpy(ret_claim->nonce, d->nonce, sizeof(d->nonce));
    return own_certificate(c, &ret_claim->vault, ret_claim->certificate);
}

static int verify(const struct delivery *d, const struct wire_delivery *claimed,
                  const json_t *reply)
{
    uint8_t signature[ED25519_SIGNATURE_SIZE], bytes[DELIVERY_SIGNED_MAX];
    struct out o;

    if (!reply_hex(reply, "signature", signature, sizeof(signature)))
        return reply_report("signature");
    out_init(&o, bytes, sizeof(bytes));
    wire_delivery_signed(claimed, &o);
    if (o.overflow || !ed25519_verify(SPAN(d->signer), span_of(o.p, o.n), SPAN(signature)))
        return report(EXIT_UNVERIFIED,
                      "the delivery is not signed by the vault's keeper for this request: someone "
                      "may have put another key in its place. Do not use it. If the vault was made "
                      "anew, use a new profile");
    return EXIT_DONE;
}

static int show(const struct delivery *d, struct span sealed, json_t *reply)
{
    AUTO(secret) *value = NULL;
    struct err e = { 0 };

    if (box_open(secret_view(d->private_key), sealed, &value, &e) != OK)
        return report_err("the delivery", &e);
    struct span plain = secret_view(value);

    if (json_object_set_new(reply, "value", json_stringn((const char *)plain.p, plain.n)) != 0)
        return report(EXIT_OTHER, "the provider key is not text");
    json_object_del(reply, "sealed_value");
    json_object_del(reply, "signature");
    return EXIT_DONE;
}

int delivery_open(struct cli *c, const struct delivery *d, json_t *reply)
{
    const char *text = reply_text(reply, "sealed_value");
    struct wire_delivery claimed = { .version = 0 };
    uint8_t sealed[LIMIT_DELIVERY];
    size_t n = text != NULL ? strlen(text) / 2 : 0;

    if (n == 0 || n > sizeof(sealed) || !hex_parse(text, strlen(text), sealed, n))
        return reply_report("sealed value");
    claimed.sealed = span_of(sealed, n);
    int code = claim(c, d, reply, &claimed);

    if (code == EXIT_DONE)
        code = verify(d, &claimed, reply);
    return code == EXIT_DONE ? show(d, claimed.sealed, reply) : code;
}

void delivery_clear(struct delivery *d)
{
    secret_cleanup(&d->private_key);
}
