/*
 * A slot: one way to the root key. It is as public as the keyring file: whatever is secret in it
 * is sealed.
 */
#ifndef KEYRING_SLOT_H
#define KEYRING_SLOT_H

#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/crypto.h"

enum slot_kind { SLOT_NONE = 0, SLOT_FIDO2 = 1, SLOT_RECOVERY = 2 };

#define SLOT_SIZE  2048
#define SHARE_SIZE 33 /* x, then 32 bytes; with k = 1 the share is the root key */
#define SLOT_LABEL 63

/* One way in: asymmetric, so that shares can be re-dealt without the hardware key present. */
struct slot {
    uint8_t kind;
    uint8_t user_verification; /* 1: the secret is the one made with user verification */
    uint8_t x;                 /* number of the share, 1..255; one operator's slots have one x */
    uint8_t used;              /* 1: recovery card whose code was used */
    uint32_t generation;       /* grows at each roll */
    uint32_t epoch;            /* of the root key the share belongs to; 0: none was dealt yet */
    struct id id;
    char label[SLOT_LABEL + 1]; /* operator name */
    uint8_t aaguid[16];
    uint16_t credential_id_length;
    uint8_t credential_id[LIMIT_CREDENTIAL_ID];
    uint8_t cose_public[64];                         /* ES256: x | y */
    uint8_t salt[32];                                /* hmac-secret salt of this generation */
    uint8_t salt_next[32];                           /* proposed for the next (rolling slots) */
    uint8_t public_key[32];                          /* X25519 of the slot */
    uint8_t sealed_private[SEALED_KEY_SIZE];         /* under the slot key */
    uint8_t sealed_share[SHARE_SIZE + BOX_OVERHEAD]; /* to public_key */
    uint64_t created_us;
};

#endif
