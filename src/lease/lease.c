/* One hash table by lease id. Ending by anything else walks it: a walk over 100,000 leases takes a
 * few milliseconds and happens when a person revokes something. */
#include "lease/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"

struct leases {
    struct table table;
};

void lease_token_format(const struct id *lease, const uint8_t mac[static 16],
                        char out[LEASE_TOKEN_LENGTH + 1])
{
    hex_format(SPAN(lease->b), out);
    hex_format(span_of(mac, 16), out + ID_HEX_LENGTH);
}

bool lease_token_parse(const char *text, struct id *ret_lease, uint8_t ret_mac[static 16])
{
    return strlen(text) == LEASE_TOKEN_LENGTH &&
           hex_parse(text, ID_HEX_LENGTH, ret_lease->b, sizeof ret_lease->b) &&
           hex_parse(text + ID_HEX_LENGTH, ID_HEX_LENGTH, ret_mac, 16);
}

status leases_new(struct leases **ret_leases, struct err *e)
{
    struct leases *l = calloc(1, sizeof *l);

    if (l == NULL)
        return fail(e, NO_MEMORY, "no memory for leases", 0);
    table_init(&l->table, sizeof(struct id));
    *ret_leases = l;
    return OK;
}

void leases_free(struct leases *l)
{
    struct lease *lease;
    size_t cursor = 0;

    if (l == NULL)
        return;
    while ((lease = table_next(&l->table, &cursor)) != NULL)
        free(lease);
    table_clear(&l->table);
    free(l);
}

status leases_set(struct leases *l, const struct lease *lease, struct err *e)
{
    struct lease *held = table_find(&l->table, lease->id.b);
    status st;

    if (held != NULL) {
        *held = *lease;
        return OK;
    }
    held = malloc(sizeof *held);
    if (held == NULL)
        return fail(e, NO_MEMORY, "no memory for a lease", 0);
    *held = *lease;
    st = table_add(&l->table, held->id.b, held, e);
    if (st != OK)
        free(held);
    return st;
}

const struct lease *leases_find(const struct leases *l, const struct id *id, uint64_t now_us)
{
    const struct lease *lease = table_find(&l->table, id->b);

    return lease != NULL && lease->expires_us > now_us ? lease : NULL;
}

void leases_remove(struct leases *l, const struct id *id)
{
    free(table_remove(&l->table, id->b));
}

static bool wanted(const struct id *pattern, const struct id *value)
{
    return id_is_zero(pattern) || id_same(pattern, value);
}

static bool wanted_certificate(const uint8_t pattern[static 32], const uint8_t value[static 32])
{
    static const uint8_t any[32];

    return memcmp(pattern, any, sizeof any) == 0 || memcmp(pattern, value, sizeof any) == 0;
}

static bool matches(const struct lease *pattern, const struct lease *lease)
{
    return wanted(&pattern->id, &lease->id) && wanted(&pattern->tenant, &lease->tenant) &&
           wanted(&pattern->engagement, &lease->engagement) && wanted(&pattern->key, &lease->key) &&
           wanted(&pattern->gateway, &lease->gateway) &&
           wanted_certificate(pattern->certificate, lease->certificate) &&
           (pattern->version == 0 || pattern->version == lease->version) &&
           (pattern->expires_us == 0 || lease->expires_us <= pattern->expires_us);
}

/* The table may not change while it is walked: collect first, then remove. */
status leases_end(struct leases *l, const struct lease *pattern, size_t *ret_count, struct err *e)
{
    struct lease **doomed = calloc(l->table.count + 1, sizeof(struct lease *));
    struct lease *lease;
    size_t cursor = 0, count = 0;

    if (doomed == NULL)
        return fail(e, NO_MEMORY, "no memory to end leases", 0);
    while ((lease = table_next(&l->table, &cursor)) != NULL) {
        if (matches(pattern, lease))
            doomed[count++] = lease;
    }
    for (size_t i = 0; i < count; i++)
        free(table_remove(&l->table, doomed[i]->id.b));
    free(doomed);
    *ret_count = count;
    return OK;
}

status leases_expire(struct leases *l, uint64_t now_us, struct err *e)
{
    struct lease pattern = { .expires_us = now_us };
    size_t count;

    return leases_end(l, &pattern, &count, e);
}

size_t leases_count(const struct leases *l)
{
    return l->table.count;
}

const struct lease *leases_next(const struct leases *l, size_t *cursor)
{
    return table_next(&l->table, cursor);
}

size_t leases_live(const struct leases *l, const struct id *tenant, const struct id *gateway,
                   uint64_t now_us)
{
    const struct lease *lease;
    size_t cursor = 0, count = 0;

    while ((lease = leases_next(l, &cursor)) != NULL)
        count += lease->expires_us > now_us && id_same(&lease->tenant, tenant) &&
                 (gateway == NULL || id_same(&lease->gateway, gateway));
    return count;
}
