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
    SYSTEM_LEASE = 6,  /* MACs lease tokens */
    SYSTEM_HEAD = 7,   /* MACs the heads that the server keeps */
    /* The database is to change to it; absent otherwise. */
    SYSTEM_DATABASE_NEXT = 8,
    SYSTEM_DELIVERY = 9, /* Ed25519 seed that signs sealed deliveries of leases */
    SYSTEM_COUNT = 10    /* 0 is not used */
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
/* Gives to the system keys of from, which then has none; what from has not, to keeps. */
void keys_take_system(struct keys *to, struct keys *from);

struct id keys_system_id(enum system_key purpose);
MUST_CHECK status keys_seal_system(const struct keys *keys, enum system_key purpose,
                                   struct cell *ret_cell, struct err *e);
MUST_CHECK status keys_open_system(struct keys *keys, const struct keyring *ring, struct err *e);

/*
 * A tenant's seed has an epoch, from 1. Its cell has version = epoch modulo 2, so that the seed of
 * the next epoch can stand beside it while the data keys move over, and the epoch in due_us. A data
 * key's cell says in epoch which seed wraps it.
 */
MUST_CHECK status keys_new_seed(const struct keys *keys, const struct id *tenant, uint32_t epoch,
                                struct cell *ret_cell, struct err *e);
/* CORRUPT if the seed does not belong to this vault and tenant. */
MUST_CHECK status keys_tenant(const struct keys *keys, const struct cell *seed,
                              struct secret **ret_tenant_key, struct err *e);
/* The same seed under other keys of the vault. */
MUST_CHECK status keys_rewrap_seed(const struct keys *from, const struct keys *to,
                                   struct cell *seed, struct err *e);
MUST_CHECK status keys_seal_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct secret *data_key,
                                     struct cell *cell, struct err *e);
MUST_CHECK status keys_open_data_key(const struct keys *keys, const struct secret *tenant_key,
                                     const struct key_name *name, const struct cell *cell,
                                     struct secret **ret_data_key, struct err *e);
/* Pads, then seals. ret_sealed has room for LIMIT_SEALED_KEY bytes. */
MUST_CHECK status keys_seal_value(const struct keys *keys, const struct secret *data_key,
                                  const struct key_name *name, struct span value,
                                  uint8_t *ret_sealed, size_t *ret_n, struct err *e);
/* What opens this one sealed value, derived from the data key; then the value. */
MUST_CHECK status keys_value_key(const struct keys *keys, const struct secret *data_key,
                                 const struct key_name *name, struct span sealed,
                                 struct secret **ret_key, struct err *e);
MUST_CHECK status keys_open_value(const struct keys *keys, const struct secret *value_key,
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
/* What makes them (crypto_mac_begin), and one. */
MUST_CHECK status keys_lease_mac_key(const struct keys *keys, struct secret **ret_mac_key,
                                     struct err *e);
MUST_CHECK status keys_lease_mac(const struct keys *keys, const struct secret *mac_key,
                                 const struct lease_name *name, uint8_t out[static LEASE_MAC_SIZE],
                                 struct err *e);

/* --- slot.c: the ways in --------------------------------------------------------------------- */

/* Fills key pair and private key's seal; the caller has filled the descriptive fields and the
 * salts. The slot has no share yet: its epoch becomes 0. */
MUST_CHECK status slot_make(const struct id *vault, struct span secret32, struct slot *slot,
                            struct err *e);
/* The slot's private key. DENIED if the secret is not the slot's. */
MUST_CHECK status slot_open(const struct id *vault, const struct slot *slot, struct span secret32,
                            struct secret **ret_private, struct err *e);
/* Its share, x | 32 bytes. CORRUPT if it is not for this private key, or of another x. */
MUST_CHECK status slot_share(const struct slot *slot, const struct secret *private_key,
                             struct secret **ret_share, struct err *e);
/* The next generation of an opened slot: salt_next becomes its salt, next_secret32 opens it. */
MUST_CHECK status slot_roll(const struct id *vault, struct slot *slot, struct span next_secret32,
                            const struct secret *share, struct err *e);
/* Splits root into shares, k of which give it back, and seals to each slot the one of its x.
 * *ret_holders: how many different x there are. */
MUST_CHECK status slots_deal(struct slot *slots, size_t count, const struct secret *root,
                             uint8_t quorum, uint32_t epoch, uint8_t *ret_holders, struct err *e);
/* The x for a new slot among the given ones: that of the operator's other slots, or a free one. */
uint8_t slots_x(const struct slot *slots, size_t count, uint8_t kind, const char *label);
/* Operators with a slot of their own. */
uint8_t slots_operators(const struct slot *slots, size_t count);

#endif
