/* The one vault that most tests of the keeper begin with: a tenant, an engagement, a key. */
#ifndef TEST_KEEPER_CUSTOMER_H
#define TEST_KEEPER_CUSTOMER_H

#include "keeper_rig.h"

static const char provider_key[] = "sk-proj-0123456789abcdefghijWXYZ";

#define TENANT     rig_id(1)
#define OTHER      rig_id(2)
#define ENGAGEMENT rig_id(11)
#define KEY        rig_id(21)

static inline int setup(void **state)
{
    struct rig *r = rig_new();

    rig_init(r);
    *state = r;
    return rig_entry(r, (struct wire_entry){ .kind = ENTRY_VAULT_CREATED }) == OK ? 0 : -1;
}

static inline int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

/* Puts provider_key as version 1 of KEY; returns the sealed value. */
static inline struct span put_key(struct rig *r, uint8_t sealed[LIMIT_SEALED_KEY])
{
    rig_tenant(r, TENANT, ENGAGEMENT);
    assert_int_equal(rig_put(r, TENANT, ENGAGEMENT, KEY, 1, provider_key), OK);
    memcpy(sealed, r->data, r->result.data.n);
    return span_of(sealed, r->result.data.n);
}

#endif
