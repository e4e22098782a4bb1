/*
 * Sealed delivery (wire/delivery.h), the gateway's end: a key pair and a nonce for one lease, and
 * the check that what came back is the keeper's answer to exactly that.
 */
#ifndef CLI_DELIVERY_H
#define CLI_DELIVERY_H

#include <jansson.h>

#include "secret/secret.h"

struct cli;

struct delivery {
    struct secret *private_key; /* X25519, for one lease */
    uint8_t nonce[32];
    uint8_t signer[32]; /* the vault's delivery key, as pinned */
};

/* Makes the key pair and the nonce, adds what asks for them to body. The first use pins the
 * vault's delivery key. */
int delivery_ask(struct cli *c, struct delivery *d, json_t *body);
/* Verifies and opens: in reply "value" takes the place of "sealed_value" and "signature".
 * EXIT_UNVERIFIED if the signature is not the keeper's for this lease, nonce and certificate. */
int delivery_open(struct cli *c, const struct delivery *d, json_t *reply);
void delivery_clear(struct delivery *d);

#endif
