/*
 * Every key that is derived and every context that a seal is bound to, in one place.
 *
 *   root --+-- tenant-root --+              data keys, system keys and tenant seeds are random;
 *          +-- seed-wrap     +-- tenant key  what is derived here only wraps or authenticates.
 *          +-- system-wrap, keyring-mac
 *
 * A context names ids, never names: a rename needs no new seal. A value moved to another vault,
 * region, tenant, key, version or provider does not open.
 */
#include <string.h>

#include "internal.h"

static struct span region_of(const struct keys *keys)
{
    return span_text(keys->region);
}

/* --- from the root --------------------------------------------------------------------------- */

status keys_root_check(const struct keyring_info *info, const struct secret *root,
                       uint8_t out[static 32], struct err *e)
{
    AUTO(secret) *check = NULL;
    struct label l;
    struct out o;

    label_init(&l, "root-check");
    label_id(&l, &info->vault);
    label_u32(&l, info->epoch);
    status st = crypto_derive(secret_view(root), &l, 32, &check, e);
    if (st != OK)
        return st;
    out_init(&o, out, 32);
    out_raw(&o, secret_view(check));
    return OK;
}

/* What hangs below the root. Where tenants hang below it, the region is part of the label. */
static const struct {
    const char *purpose;
    size_t at; /* in struct keys */
    bool regional;
} derived[] = {
    { "tenant-root", offsetof(struct keys, tenant_root), true },
    { "seed-wrap", offsetof(struct keys, seed_wrap), true },
    { "system-wrap", offsetof(struct keys, system_wrap), false },
    { "keyring-mac", offsetof(struct keys, keyring_mac), false },
};
#define DERIVED_COUNT (sizeof(derived) / sizeof(derived[0]))

static struct secret **derived_key(struct keys *keys, size_t i)
{
    return (struct secret **)(void *)((uint8_t *)keys + derived[i].at);
}

status keys_derive(const struct keyring_info *info, const struct secret *root, struct keys *keys,
                   struct err *e)
{
    struct label l;

    keys_clear(keys);
    keys->vault = info->vault;
    keys->epoch = info->epoch;
    memcpy(keys->region, info->region, sizeof(keys->region));
    for (size_t i = 0; i < DERIVED_COUNT; i++) {
        label_init(&l, derived[i].purpose);
        label_id(&l, &keys->vault);
        if (derived[i].regional)
            label_field(&l, region_of(keys));
        label_u32(&l, keys->epoch);
        status st = crypto_derive(secret_view(root), &l, KEY_SIZE, derived_key(keys, i), e);
        if (st != OK) {
            keys_clear(keys);
            return st;
        }
    }
    return OK;
}

void keys_clear(struct keys *keys)
{
    for (size_t i = 0; i < DERIVED_COUNT; i++)
        secret_cleanup(derived_key(keys, i));
    for (size_t i = 0; i < SYSTEM_COUNT; i++)
        secret_cleanup(&keys->system[i]);
}

void keys_take_system(struct keys *to, struct keys *from)
{
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        if (from->system[i] == NULL)
            continue;
        secret_cleanup(&to->system[i]);
        to->system[i] = from->system[i];
        from->system[i] = NULL;
    }
}

/* --- system keys ----------------------------------------------------------------------------- */

static void system_context(const struct keys *keys, enum system_key purpose, struct label *l)
{
    label_init(l, "aad.system");
    label_id(l, &keys->vault);
    label_u16(l, (uint16_t)purpose);
    label_u32(l, keys->epoch);
}

struct id keys_system_id(enum system_key purpose)
{
    struct id id = { { 0 } };

    id.b[15] = (uint8_t)purpose;
    return id;
}

status keys_seal_system(const struct keys *keys, enum system_key purpose, struct cell *ret_cell,
                        struct err *e)
{
    struct label aad;

    system_context(keys, purpose, &aad);
    ret_cell->type = CELL_SYSTEM;
    ret_cell->epoch = keys->epoch;
    ret_cell->id = keys_system_id(purpose);
    return crypto_seal(secret_view(keys->system_wrap), keys->epoch, label_view(&aad),
                       secret_view(keys->system[purpose]), ret_cell->sealed, e);
}

status keys_open_system(struct keys *keys, const struct keyring *ring, struct err *e)
{
    struct label aad;
    struct cell cell;

    for (enum system_key purpose = SYSTEM_DATABASE; purpose < SYSTEM_COUNT; purpose++) {
        struct id id = keys_system_id(purpose);
        status st = keyring_cell(ring, CELL_SYSTEM, &id, 0, &cell,
                                 purpose == SYSTEM_DATABASE_NEXT ? NULL : e);
        secret_cleanup(&keys->system[purpose]);
        if (st == NOT_FOUND && purpose == SYSTEM_DATABASE_NEXT)
            continue;
        if (st == NOT_FOUND)
            return fail(e, CORRUPT, "a system key is missing", purpose);
        if (st != OK)
            return st;
        system_context(keys, purpose, &aad);
        st = crypto_open(secret_view(keys->system_wrap), label_view(&aad), SPAN(cell.sealed),
                         &keys->system[purpose], e);
        if (st != OK)
            return st;
    }
    return OK;
}

/* --- tenants --------------------------------------------------------------------------------- */

static void seed_context(const struct keys *keys, const struct cell *seed, struct label *l)
{
    label_init(l, "aad.seed");
    label_id(l, &keys->vault);
    label_field(l, region_of(keys));
    label_id(l, &seed->id);
    label_u32(l, keys->epoch);
    label_u64(l, seed->due_us);
}

static status seal_seed(const struct keys *keys, struct span seed, struct cell *cell, struct err *e)
{
    struct label aad;

    cell->epoch = keys->epoch;
    seed_context(keys, cell, &aad);
    return crypto_seal(secret_view(keys->seed_wrap), keys->epoch, label_view(&aad), seed,
                       cell->sealed, e);
}

static status open_seed(const struct keys *keys, const struct cell *cell, struct secret **ret_seed,
                        struct err *e)
{
    struct label aad;

    seed_context(keys, cell, &aad);
    return crypto_open(secret_view(keys->seed_wrap), label_view(&aad), SPAN(cell->sealed), ret_seed,
                       e);
}

status keys_new_seed(const struct keys *keys, const struct id *tenant, uint32_t epoch,
                     struct cell *ret_cell, struct err *e)
{
    AUTO(secret) *seed = NULL;

    status st = secret_random(KEY_SIZE, &seed, e);
    if (st != OK)
        return st;
    ret_cell->type = CELL_TENANT_SEED;
    ret_cell->id = *tenant;
    ret_cell->version = epoch % 2;
    ret_cell->due_us = epoch;
    return seal_seed(keys, secret_view(seed), ret_cell, e);
}

status keys_rewrap_seed(const struct keys *from, const struct keys *to, struct cell *seed,
                        struct err *e)
{
    AUTO(secret) *opened = NULL;

    status st = open_seed(from, seed, &opened, e);
    return st == OK ? seal_seed(to, secret_view(opened), seed, e) : st;
}

status keys_tenant(const struct keys *keys, const struct cell *seed, struct secret **ret_tenant_key,
                   struct err *e)
{
    AUTO(secret) *opened = NULL;
    AUTO(secret) *extracted = NULL;
    struct label l;

    status st = open_seed(keys, seed, &opened, e);
    if (st == OK)
        st = secret_new(KEY_SIZE, &extracted, e);
    if (st != OK)
        return st;
    /* Losing either half loses the tenant: HMAC keyed with one is a PRF in the other. */
    hkdf_extract(secret_view(opened), secret_view(keys->tenant_root), secret_fill(extracted).p);
    label_init(&l, "tenant-wrap");
    label_id(&l, &keys->vault);
    label_field(&l, region_of(keys));
    label_id(&l, &seed->id);
    label_u32(&l, keys->epoch);
    label_u64(&l, seed->due_us);
    return crypto_derive(secret_view(extracted), &l, KEY_SIZE, ret_tenant_key, e);
}

/* --- data keys and values -------------------------------------------------------------------- */

static void value_context(const struct keys *keys, const char *purpose, const struct key_name *name,
                          struct label *l)
{
    label_init(l, purpose);
    label_id(l, &keys->vault);
    label_field(l, region_of(keys));
    label_id(l, &name->tenant);
    label_id(l, &name->key);
    label_u32(l, name->version);
}

status keys_seal_data_key(const struct keys *keys, const struct secret *tenant_key,
                          const struct key_name *name, const struct secret *data_key,
                          struct cell *cell, struct err *e)
{
    struct label aad;

    value_context(keys, "aad.data-key", name, &aad);
    label_u32(&aad, cell->epoch);
    return crypto_seal(secret_view(tenant_key), cell->epoch, label_view(&aad),
                       secret_view(data_key), cell->sealed, e);
}

status keys_open_data_key(const struct keys *keys, const struct secret *tenant_key,
                          const struct key_name *name, const struct cell *cell,
                          struct secret **ret_data_key, struct err *e)
{
    struct label aad;

    value_context(keys, "aad.data-key", name, &aad);
    label_u32(&aad, cell->epoch);
    return crypto_open(secret_view(tenant_key), label_view(&aad), SPAN(cell->sealed), ret_data_key,
                       e);
}

status keys_seal_value(const struct keys *keys, const struct secret *data_key,
                       const struct key_name *name, struct span value, uint8_t *ret_sealed,
                       size_t *ret_n, struct err *e)
{
    AUTO(secret) *padded = NULL;
    struct label aad;

    status st = crypto_pad(value, &padded, e);
    if (st != OK)
        return st;
    struct span plain = secret_view(padded);
    if (plain.n + SEAL_OVERHEAD > LIMIT_SEALED_KEY)
        return fail(e, LIMIT, "provider key is too long", 0);
    value_context(keys, "aad.provider-key", name, &aad);
    label_u16(&aad, name->provider);
    st = crypto_seal(secret_view(data_key), keys->epoch, label_view(&aad), plain, ret_sealed, e);
    if (st != OK)
        return st;
    *ret_n = plain.n + SEAL_OVERHEAD;
    return OK;
}

status keys_value_key(const struct keys *keys, const struct secret *data_key,
                      const struct key_name *name, struct span sealed, struct secret **ret_key,
                      struct err *e)
{
    struct label aad;

    value_context(keys, "aad.provider-key", name, &aad);
    label_u16(&aad, name->provider);
    return crypto_open_key(secret_view(data_key), label_view(&aad), sealed, ret_key, e);
}

status keys_open_value(const struct keys *keys, const struct secret *value_key,
                       const struct key_name *name, struct span sealed, struct secret **ret_value,
                       struct err *e)
{
    AUTO(secret) *value = NULL;
    struct label aad;

    value_context(keys, "aad.provider-key", name, &aad);
    label_u16(&aad, name->provider);
    status st = crypto_open_with(value_key, label_view(&aad), sealed, &value, e);
    if (st == OK)
        st = crypto_unpad(value, e);
    if (st != OK)
        return st;
    *ret_value = value;
    value = NULL;
    return OK;
}

/* --- lease tokens ---------------------------------------------------------------------------- */

/* Nothing is begun but the key: how many fields a label has stands before the first of them. */
status keys_lease_mac_key(const struct keys *keys, struct secret **ret_mac_key, struct err *e)
{
    return crypto_mac_begin(secret_view(keys->system[SYSTEM_LEASE]), span_of(NULL, 0), ret_mac_key,
                            e);
}

status keys_lease_mac(const struct keys *keys, const struct secret *mac_key,
                      const struct lease_name *name, uint8_t out[static LEASE_MAC_SIZE],
                      struct err *e)
{
    uint8_t mac[MAC_SIZE];
    struct label l;

    label_init(&l, "lease");
    label_id(&l, &keys->vault);
    label_id(&l, &name->tenant);
    label_id(&l, &name->lease);
    label_id(&l, &name->gateway);
    label_field(&l, name->certificate);
    label_id(&l, &name->key);
    label_u32(&l, name->version);
    status st = crypto_mac_end(mac_key, label_view(&l), mac, e);
    if (st != OK)
        return st;
    memcpy(out, mac, LEASE_MAC_SIZE);
    return OK;
}
