/*
 * Versions that the engine has destroyed by itself, a batch of them at a time: the keyring's data
 * keys, the rows and the leases together.
 */
#include "internal.h"

#include <string.h>

#include "keyring_codes.h"

#define AT_ONCE 32

static status destroy_entry(struct engine *en, const struct store_version *v, uint8_t reason,
                            struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_KEY_DESTROY,
                                .log = v->tenant,
                                .tenant = v->tenant,
                                .key = v->key,
                                .version = v->version,
                                .reason = reason };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    return batch_entry(en, NULL, &entry, e);
}

/* At most AT_ONCE. That the keyring has one no more is as good. */
static status destroy_some(struct engine *en, const struct store_version *list, size_t count,
                           uint8_t reason, struct err *e)
{
    uint64_t now = engine_now_us(en);
    status st = count == 0 ? OK : batch_begin(en, e);

    for (size_t i = 0; st == OK && i < count; i++) {
        st = destroy_entry(en, &list[i], reason, e);
        if (st == OK)
            st = store_version_destroyed(en->store, &list[i].tenant, &list[i].key, list[i].version,
                                         now, e);
    }
    if (st == OK && count > 0)
        st = batch_finish(en, &batch_tolerant, e);
    for (size_t i = 0; st == OK && en->leases != NULL && i < count; i++) {
        struct lease pattern = { .key = list[i].key, .version = list[i].version };

        leases_end(en->leases, &pattern, now);
    }
    return st;
}

status destroy_grace_over(struct engine *en, struct err *e)
{
    struct store_version due[AT_ONCE];
    size_t count = AT_ONCE;
    status st = OK;

    en->grace_over = false;
    while (st == OK && count == AT_ONCE) {
        st = store_versions_due(en->store, engine_now_us(en), due, AT_ONCE, &count, e);
        if (st == OK)
            st = destroy_some(en, due, count, WIRE_DESTROY_GRACE_OVER, e);
    }
    return st;
}

status destroy_revoked(struct engine *en, struct err *e)
{
    struct store_version doomed[AT_ONCE];
    size_t count = AT_ONCE;
    status st = OK;

    en->revoke_more = false;
    while (st == OK && count == AT_ONCE) {
        st = store_versions_revoked(en->store, doomed, AT_ONCE, &count, e);
        if (st == OK)
            st = destroy_some(en, doomed, count, WIRE_DESTROY_REVOKED, e);
    }
    return st;
}
