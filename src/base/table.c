/* Linear probing with backward-shift deletion, so that look-ups never meet tombstones. Keys are
 * random identifiers or hashes that clients cannot choose, hence their first bytes are the hash. */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

void table_init(struct table *t, size_t key_size)
{
    *t = (struct table){ .key_size = key_size };
}

void table_clear(struct table *t)
{
    free(t->slots);
    table_init(t, t->key_size);
}

static size_t home(const struct table *t, const uint8_t *key)
{
    uint64_t hash;

    memcpy(&hash, key, sizeof hash);
    hash ^= hash >> 29; /* ids in tests may count instead of being random */
    hash *= 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 32) & (t->capacity - 1);
}

static bool same(const struct table *t, const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, t->key_size) == 0; /* public */
}

/* Where key is, or the empty slot where it would go. */
static size_t place(const struct table *t, const uint8_t *key)
{
    size_t i = home(t, key);

    while (t->slots[i].value != NULL && !same(t, t->slots[i].key, key))
        i = (i + 1) & (t->capacity - 1);
    return i;
}

void *table_find(const struct table *t, const uint8_t *key)
{
    return t->capacity == 0 ? NULL : t->slots[place(t, key)].value;
}

static status grow(struct table *t, struct err *e)
{
    struct table wider = *t;

    wider.capacity = t->capacity == 0 ? FIRST_CAPACITY : t->capacity * 2;
    wider.slots = calloc(wider.capacity, sizeof *wider.slots);
    if (wider.slots == NULL)
        return fail(e, NO_MEMORY, "no memory for a table", 0);
    for (size_t i = 0; i < t->capacity; i++) {
        if (t->slots[i].value != NULL)
            wider.slots[place(&wider, t->slots[i].key)] = t->slots[i];
    }
    free(t->slots);
    *t = wider;
    return OK;
}

status table_add(struct table *t, const uint8_t *key, void *value, struct err *e)
{
    struct table_slot *slot;

    if (t->count * 4 >= t->capacity * 3) {
        status st = grow(t, e);

        if (st != OK)
            return st;
    }
    slot = &t->slots[place(t, key)];
    if (slot->value != NULL)
        return fail(e, CONFLICT, "the key is in the table", 0);
    *slot = (struct table_slot){ key, value };
    t->count++;
    return OK;
}

void *table_remove(struct table *t, const uint8_t *key)
{
    size_t hole, i;
    void *value;

    if (t->capacity == 0)
        return NULL;
    hole = place(t, key);
    value = t->slots[hole].value;
    if (value == NULL)
        return NULL;
    /* Move back every follower that the hole would hide from its look-up. */
    for (i = (hole + 1) & (t->capacity - 1); t->slots[i].value != NULL;
         i = (i + 1) & (t->capacity - 1)) {
        size_t from_home = (i - home(t, t->slots[i].key)) & (t->capacity - 1);
        size_t from_hole = (i - hole) & (t->capacity - 1);

        if (from_home >= from_hole) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = (struct table_slot){ NULL, NULL };
    t->count--;
    return value;
}

void *table_next(const struct table *t, size_t *cursor)
{
    while (*cursor < t->capacity) {
        void *value = t->slots[(*cursor)++].value;

        if (value != NULL)
            return value;
    }
    return NULL;
}

void table_clear_values(struct table *t)
{
    size_t cursor = 0;
    void *value;

    while ((value = table_next(t, &cursor)) != NULL)
        free(value);
    table_clear(t);
}
