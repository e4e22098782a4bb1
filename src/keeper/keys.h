/* Every derivation and every sealing context, and the slots that lead to the root key. */
#ifndef KEEPER_KEYS_H
#define KEEPER_KEYS_H

#include "crypto/crypto.h"
#include "keyring/keyring.h"

/* Stored as the last byte of a system cell's id; never reused. */
enum system_key {
    SYSTEM_DATABASE = 1,
    SYSTEM_LEDGER = 2, /* Ed25519 seed that signs checkpoints */
    SYSTEM_INTAKE = 3, /* X25519: clients seal provider keys to it */
    SYSTEM_CA = 4,     /* private scalar, made by the server at init */
    SYSTEM_AUDIT = 5,  /* root of the record MAC keys */
    SYSTEM_COUNT = 6   /* 0 is not used */
};

/* What an unlocked keeper knows. The root key itself is gone once these are derived. */
struct keys {
    struct id vault;
    char region[LIMIT_REGION + 1];
    uint32_t epoch;
    struct secret *tenant_root;
    struct secret *seed_wrap;
    struct secret *system_wrap;
    struct secret *keyring_mac;
    struct secret *lease_mac;
    struct secret *head_mac;
    struct secret *system[SYSTEM_COUNT];
};

/* Which value: everything that its seal is bound to. */
struct key_name {
    struct id tenant;
    struct id key;
    uint32_t version;
    uint16_t provider;
};

MUST_CHECK status keys_root_check(const struct keyring_info *info, const struct secret *root,
                                  uint8_t out[static 32], struct err *e);
MUST_CHECK status keys_derive(const struct keyring_info *info, const struct secret *root,
                              struct keys *keys, struct err *e);
void keys_clear(struct keys *keys);

MUST_CHECK status keys_seal_system(const struct keys *keys, enum system_key purpose,
                                   struct cell *ret_cell, struct err *e);
MUST_CHECK status keys_open_system(struct keys *keys, const struct keyring *ring, struct err *e);

MUST_CHECK status keys_new_seed(const struct keys *keys, const struct id *tenant,
                                struct cell *ret_cell, struct err *e);
/* CORRUPT if the seed does not belong to this vault and tenant. */
MUST_CHECK status keys_tenant(const struct keys *keys, const struct cell *seed,
                              struct secret **ret_tenant_key, struct err *e);
MUST_CHECK status keys_seal_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct secret *data_key,
                                     uint8_t ret_sealed[static SEALED_KEY_SIZE], struct err *e);
MUST_CHECK status keys_open_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct cell *cell,
                                     struct secret **ret_data_key, struct err *e);
/* Pads, then seals. ret_sealed has room for LIMIT_SEALED_KEY bytes. */
MUST_CHECK status keys_seal_value(const struct keys *keys, const struct secret *data_key,
                                  const struct key_name *name, struct span value,
                                  uint8_t *ret_sealed, size_t *ret_n, struct err *e);
MUST_CHECK status keys_open_value(const struct keys *keys, const struct secret *data_key,
                                  const struct key_name *name, struct span sealed,
                                  struct secret **ret_value, struct err *e);

/* What a lease token proves. The expiry is left out: a renewed lease keeps its token. */
struct lease_name {
    struct id tenant;
    struct id lease;
    struct id gateway;
    struct id key;
    uint32_t version;
    struct span certificate;
};
#define LEASE_MAC_SIZE 16
MUST_CHECK status keys_lease_mac(const struct keys *keys, const struct lease_name *name,
                                 uint8_t out[static LEASE_MAC_SIZE], struct err *e);

/* --- slot.c: the ways in --------------------------------------------------------------------- */

/* Fills key pair, seals and share; the caller has filled the descriptive fields and the salts. */
MUST_CHECK status slot_make(const struct id *vault, struct span secret32, uint8_t x,
                            const struct secret *root, struct slot *slot, struct err *e);
/* The root key from the slot's share. DENIED if the secret is not the slot's. */
MUST_CHECK status slot_open(const struct id *vault, const struct slot *slot, struct span secret32,
                            struct secret **ret_root, struct err *e);

#endif
