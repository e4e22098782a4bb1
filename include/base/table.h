/*
 * Hash table from fixed-size public keys to pointers, which it does not own. Linear probing;
 * the value's key must stay in place and unchanged while it is in the table.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/bytes.h"
#include "base/status.h"

struct table_slot {
    const uint8_t *key;
    void *value;
};

struct table {
    struct table_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    size_t key_size;
};

/* key_size at least 8, all keys random enough for their first 8 bytes to be the hash. */
void table_init(struct table *t, size_t key_size);
void table_clear(struct table *t);                           /* values stay */
void table_clear_values(struct table *t);                    /* they are freed with free */
void *table_find(const struct table *t, const uint8_t *key); /* NULL if absent */
/* CONFLICT if the key is there. */
MUST_CHECK status table_add(struct table *t, const uint8_t *key, void *value, struct err *e);
/* The removed value, or NULL. */
void *table_remove(struct table *t, const uint8_t *key);
/* All values in no order; start with *cursor = 0. Removing while walking is not allowed. */
void *table_next(const struct table *t, size_t *cursor);

#endif
