/*
 * Sealed delivery of a lease: the keeper seals the provider key to a key of the gateway's own and
 * signs what it is for. The server carries it and can neither read nor change it.
 *
 *   sealed    = crypto_box_seal(seal_to, provider key)
 *   signature = Ed25519(delivery key, LBL("delivery"; vault, lease, gateway, certificate, nonce,
 *               key, u32 version, u64 expires, SHA-256(sealed)))
 */
#ifndef WIRE_DELIVERY_H
#define WIRE_DELIVERY_H

#include "base/bytes.h"

struct wire_delivery {
    struct id vault;
    struct id lease;
    struct id gateway;
    uint8_t certificate[32]; /* SHA-256 of the gateway's SubjectPublicKeyInfo */
    uint8_t nonce[32];       /* the gateway's, fresh: an older delivery is for another one */
    struct id key;
    uint32_t version;
    uint64_t expires_us; /* of the lease as issued; a renewal is not signed */
    struct span sealed;
};

/* Room for the signed bytes. */
#define DELIVERY_SIGNED_MAX 256
/* Appends the signed bytes to o. */
void wire_delivery_signed(const struct wire_delivery *m, struct out *o);

#endif
