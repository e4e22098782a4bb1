/* Which requests were told of lately by formats without report numbers: the last ONCE_MAX of all
 * gateways, since the vault was opened. What is older would be counted twice. */
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define ONCE_MAX 65536

struct once {
    struct table table;
    size_t next;
    struct {
        uint8_t hash[ONCE_HASH];
        bool used;
    } ring[ONCE_MAX];
};

status once_new(struct once **ret_once, struct err *e)
{
    struct once *o = calloc(1, sizeof *o);

    if (o == NULL)
        return fail(e, NO_MEMORY, "no memory for what was reported", 0);
    table_init(&o->table, ONCE_HASH);
    *ret_once = o;
    return OK;
}

void once_free(struct once *o)
{
    if (o == NULL)
        return;
    table_clear(&o->table);
    free(o);
}

void once_hash(const struct id *gateway, const char *text, uint8_t out[static ONCE_HASH])
{
    uint8_t hash[SHA256_SIZE];
    struct label label;

    label_init(&label, "usage-once");
    label_id(&label, gateway);
    label_field(&label, span_text(text));
    sha256(label_view(&label), hash);
    memcpy(out, hash, ONCE_HASH);
}

bool once_seen(const struct once *o, const uint8_t hash[static ONCE_HASH])
{
    return table_find(&o->table, hash) != NULL;
}

void once_note(struct once *o, const uint8_t hash[static ONCE_HASH])
{
    if (once_seen(o, hash))
        return;
    if (o->ring[o->next].used)
        table_remove(&o->table, o->ring[o->next].hash);
    memcpy(o->ring[o->next].hash, hash, ONCE_HASH);
    /* Without memory it is not remembered, which is no reason to fail. */
    o->ring[o->next].used =
        table_add(&o->table, o->ring[o->next].hash, &o->ring[o->next], NULL) == OK;
    o->next = (o->next + 1) % ONCE_MAX;
}
