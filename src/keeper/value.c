#include "value.h"

static status data_key_of(const struct keeper *k, const struct key_name *name,
                          const struct cell *cell, struct secret **ret_key, struct err *e)
{
    AUTO(secret) *wrap = NULL;
    uint32_t epoch = cell->epoch;

    status st = entry_tenant_key(k, &name->tenant, &epoch, &wrap, e);
    return st == OK ? keys_open_data_key(&k->keys, wrap, name, cell, ret_key, e) : st;
}

/* Which part of a sealed value is damaged is of no use to anybody. */
static status told(status st, const struct err *inner, struct err *e)
{
    if (st == CORRUPT)
        return fail(e, CORRUPT, "the sealed value does not open", 0);
    return st == OK ? OK : err_note(e, st, inner->where, inner->why, inner->detail);
}

status value_open(const struct keeper *k, const struct wire_entry *m, const struct cell *cell,
                  struct opened_key *opened, struct secret **ret_value, struct err *e)
{
    AUTO(secret) *data_key = NULL;
    AUTO(secret) *derived = NULL;
    struct key_name name = entry_key_name(m);
    struct err inner = { 0 };
    const struct secret *key =
        opened == NULL ? NULL : opened_value_key(opened, m->provider, m->data);
    status st = OK;

    if (key == NULL) {
        st = data_key_of(k, &name, cell, &data_key, e);
        if (st != OK)
            return st;
        st = keys_value_key(&k->keys, data_key, &name, m->data, &derived, &inner);
        key = derived;
    }
    if (st == OK)
        st = keys_open_value(&k->keys, key, &name, m->data, ret_value, &inner);
    if (st == OK && derived != NULL && opened != NULL) {
        opened_keep_value_key(opened, m->provider, m->data, derived);
        derived = NULL;
    }
    return told(st, &inner, e);
}
