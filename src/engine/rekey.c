/*
 * The database under another key, while leases flow: the keeper has a next key, the store copies in
 * slices between batches, and when the file is swapped the keeper forgets the old key. Whatever is
 * cut off is found at the next attach: the keeper still has both keys, and the file opens with one.
 */
#include "internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/rekey.h"

#define SLICE_PAGES 64

/* The key that the database is to change to; NOT_FOUND if it is to stay as it is. */
static status next_key(struct engine *en, struct secret **ret_key, struct err *e)
{
    struct wire_system_keys keys;
    struct in body;
    status st;

    wire_client_begin(en->client, WIRE_SYSTEM_KEYS);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    wire_get_system_keys(&body, &keys);
    if (!in_end(&body))
        st = fail(e, BUG, "the keeper's system keys are malformed", 0);
    else if (keys.database_next.n == 0)
        st = NOT_FOUND;
    else
        st = secret_copy(keys.database_next, ret_key, e);
    wire_client_wipe(en->client);
    return st;
}

status database_rekeyed(struct engine *en, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_DATABASE_REKEYED };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, NULL, e);
}

/* A failure that the store survives is tried again a while later. */
static status give_up(struct engine *en, status st, const struct err *why, struct err *e)
{
    if (st == IO)
        return err_note(e, st, why->where, why->why, why->detail);
    log_err(LOG_ERROR_, "the database could not be rekeyed", why);
    store_rekey_abandon(en->store);
    en->database.phase = DATABASE_REST;
    return OK;
}

static status copy(struct engine *en, struct err *e)
{
    AUTO(secret) *key = NULL;
    struct err why = { 0 };
    uint32_t left = 1;
    status st = store_rekey_step(en->store, SLICE_PAGES, &left, &en->database.total, &why);

    en->database.left = left;
    if (st == OK && left == 0) {
        st = next_key(en, &key, &why);
        if (st == OK)
            st = store_rekey_finish(&en->store, key, &why);
        if (st == OK) {
            en->database.phase = DATABASE_ERASE;
            return database_rekeyed(en, e);
        }
    }
    return st == OK ? OK : give_up(en, st, &why, e);
}

static status erase(struct engine *en, struct err *e)
{
    struct err why = { 0 };
    uint32_t left = 0;
    status st = store_rekey_erase(en->store, SLICE_PAGES, &left, &why);

    (void)e;
    if (st != OK)
        log_err(LOG_ERROR_, "the database's old file could not be erased", &why);
    if (st != OK || left == 0)
        en->database.phase = DATABASE_REST;
    return OK;
}

status database_watch(struct engine *en, struct err *e)
{
    AUTO(secret) *key = NULL;
    struct err why = { 0 };
    status st;

    if (en->database.phase != DATABASE_REST)
        return OK;
    st = next_key(en, &key, e);
    if (st == NOT_FOUND)
        return OK;
    if (st == OK)
        st = store_rekey_begin(en->store, key, &why);
    if (st != OK)
        return give_up(en, st, &why, e);
    en->database.phase = DATABASE_COPY;
    return OK;
}

bool database_rekey(struct engine *en)
{
    struct err e = { 0 };
    status st = OK;

    if (en->state != VAULT_UNLOCKED || en->database.phase == DATABASE_REST)
        return false;
    st = en->database.phase == DATABASE_COPY ? copy(en, &e) : erase(en, &e);
    if (st != OK)
        engine_die(__func__, &e);
    return en->database.phase != DATABASE_REST;
}
