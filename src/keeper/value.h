/* Provider keys and what wraps them: the steps from an entry of a batch to the value in clear. */
#ifndef KEEPER_VALUE_H
#define KEEPER_VALUE_H

#include "internal.h"

struct key_name value_name(const struct wire_entry *m);
/* The tenant key of an epoch, or with *epoch 0 the newest; *epoch says which. */
MUST_CHECK status value_tenant_key(const struct keeper *k, const struct id *tenant, uint32_t *epoch,
                                   struct secret **ret_key, struct err *e);
/* The value in m->data, sealed under the data key in cell. What opens it is kept in opened, unless
 * that is NULL. CORRUPT. */
MUST_CHECK status value_open(const struct keeper *k, const struct wire_entry *m,
                             const struct cell *cell, struct opened_key *opened,
                             struct secret **ret_value, struct err *e);

#endif
