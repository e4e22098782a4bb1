/* The steps from an entry of a batch to the provider key in clear. */
#ifndef KEEPER_VALUE_H
#define KEEPER_VALUE_H

#include "batch.h"

/* The value in m->data, sealed under the data key in cell. What opens it is kept in opened, unless
 * that is NULL. CORRUPT. */
MUST_CHECK status value_open(const struct keeper *k, const struct wire_entry *m,
                             const struct cell *cell, struct opened_key *opened,
                             struct secret **ret_value, struct err *e);

#endif
