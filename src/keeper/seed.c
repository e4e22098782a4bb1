/* Which seed of a tenant wraps what: two stand side by side while the tenant is rekeyed. */
#include "internal.h"

static status find(const struct keeper *k, const struct id *tenant, uint32_t parity,
                   struct cell *ret_seed, struct err *e)
{
    struct err inner = { 0 };

    status st = keyring_cell(k->ring, CELL_TENANT_SEED, tenant, parity, ret_seed, &inner);
    if (st == IO)
        keeper_fatal(&inner);
    return st == OK || st == NOT_FOUND ? st : err_note(e, st, inner.where, inner.why, inner.detail);
}

status seed_find(const struct keeper *k, const struct id *tenant, uint32_t epoch,
                 struct cell *ret_seed, struct err *e)
{
    struct cell even;
    struct cell odd;

    if (epoch != 0) {
        status st = find(k, tenant, epoch % 2, ret_seed, e);
        return st == OK && ret_seed->due_us != epoch ? NOT_FOUND : st;
    }
    status st_even = find(k, tenant, 0, &even, e);
    status st_odd = find(k, tenant, 1, &odd, e);
    if (st_even != OK && st_even != NOT_FOUND)
        return st_even;
    if (st_odd != OK)
        *ret_seed = even;
    else if (st_even != OK)
        *ret_seed = odd;
    else
        *ret_seed = odd.due_us > even.due_us ? odd : even;
    return st_odd == OK ? OK : st_odd == NOT_FOUND ? st_even : st_odd;
}
