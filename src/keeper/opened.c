/* Two tables in which an entry has one of a few places, and a new one without a free place takes
 * that of another: a collision costs time, never an answer. */
#include "opened.h"

#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The first of the places, which follow each other. */
static size_t place_of(const struct id *id, size_t count)
{
    struct in i = in_of(SPAN(id->b));

    return (size_t)in_u64(&i) & (count - 1) & ~(size_t)(OPENED_WAYS - 1);
}

/* Of full places, one that the id chooses. */
static size_t way_of(const struct id *id)
{
    return id->b[sizeof(id->b) - 1] & (OPENED_WAYS - 1);
}

static void key_clear(struct opened_key *o)
{
    secret_free(o->value_key);
    *o = (struct opened_key){ 0 };
}

void opened_forget(struct keeper *k)
{
    struct opened *o = &k->opened;

    for (size_t i = 0; o->keys != NULL && i < OPENED_KEYS; i++)
        key_clear(&o->keys[i]);
    for (size_t i = 0; o->logs != NULL && i < OPENED_LOGS; i++)
        secret_cleanup(&o->logs[i].mac_key);
    for (size_t i = 0; i < OPENED_MACS; i++)
        secret_cleanup(&o->macs[i]);
    free(o->keys);
    free(o->logs);
    *o = (struct opened){ 0 };
}

void opened_settle(struct keeper *k)
{
    if (k->ring == NULL || k->state != KEEPER_UNLOCKED ||
        k->opened.edition != keyring_edition(k->ring))
        opened_forget(k);
}

/* Within a batch, too: what an entry staged, the next one sees. */
static void follow(struct keeper *k)
{
    opened_settle(k);
    k->opened.edition = keyring_edition(k->ring);
}

struct opened_key *opened_find(struct keeper *k, const struct id *tenant, const struct id *key,
                               uint32_t version)
{
    struct opened_key *o;

    follow(k);
    if (k->opened.keys == NULL || version == 0)
        return NULL;
    o = &k->opened.keys[place_of(key, OPENED_KEYS)];
    for (size_t i = 0; i < OPENED_WAYS; i++, o++) {
        if (o->version == version && id_same(&o->key, key) && id_same(&o->tenant, tenant))
            return o;
    }
    return NULL;
}

static struct opened_key *room_for_key(struct opened_key *places, const struct id *key)
{
    for (size_t i = 0; i < OPENED_WAYS; i++) {
        if (places[i].version == 0)
            return &places[i];
    }
    return &places[way_of(key)];
}

struct opened_key *opened_keep(struct keeper *k, const struct id *tenant, const struct cell *cell)
{
    struct opened_key *o;

    follow(k);
    if (k->opened.keys == NULL)
        k->opened.keys = calloc(OPENED_KEYS, sizeof(*k->opened.keys));
    if (k->opened.keys == NULL)
        return NULL;
    o = room_for_key(&k->opened.keys[place_of(&cell->id, OPENED_KEYS)], &cell->id);
    key_clear(o);
    o->tenant = *tenant;
    o->key = cell->id;
    o->version = cell->version;
    o->cell = *cell;
    return o;
}

const struct secret *opened_value_key(const struct opened_key *o, uint16_t provider,
                                      struct span sealed)
{
    if (o->value_key == NULL || o->provider != provider || sealed.n < SEAL_PREFIX ||
        !span_same(span_of(sealed.p, SEAL_PREFIX), SPAN(o->prefix)))
        return NULL;
    return o->value_key;
}

void opened_keep_value_key(struct opened_key *o, uint16_t provider, struct span sealed,
                           struct secret *value_key)
{
    secret_free(o->value_key);
    o->value_key = value_key;
    o->provider = provider;
    memcpy(o->prefix, sealed.p, SEAL_PREFIX); /* of what has just been derived from it */
}

static status log_mac_key(const struct keeper *k, const struct id *log, struct secret **ret_key,
                          struct err *e)
{
    AUTO(secret) *audit_key = NULL;

    status st = ledger_audit_key(k->keys.system[SYSTEM_AUDIT], &k->keys.vault, log, &audit_key, e);
    return st == OK ? ledger_mac_key(secret_view(audit_key), ret_key, e) : st;
}

/* Where the log's is, or else where it goes. */
static struct opened_log *place_of_log(struct opened_log *places, const struct id *log)
{
    struct opened_log *room = NULL;

    for (struct opened_log *o = places; o < places + OPENED_WAYS; o++) {
        if (o->mac_key != NULL && id_same(&o->log, log))
            return o;
        if (o->mac_key == NULL && room == NULL)
            room = o;
    }
    return room != NULL ? room : &places[way_of(log)];
}

status opened_log_mac(struct keeper *k, const struct id *log, const struct secret **ret_mac,
                      struct err *e)
{
    struct opened_log *o;
    struct secret *key = NULL;
    status st;

    follow(k);
    if (k->opened.logs == NULL)
        k->opened.logs = calloc(OPENED_LOGS, sizeof(*k->opened.logs));
    if (k->opened.logs == NULL)
        return fail(e, NO_MEMORY, "no memory for a log's key", 0);
    o = place_of_log(&k->opened.logs[place_of(log, OPENED_LOGS)], log);
    if (o->mac_key == NULL || !id_same(&o->log, log)) {
        st = log_mac_key(k, log, &key, e);
        if (st != OK)
            return st;
        secret_free(o->mac_key);
        *o = (struct opened_log){ .log = *log, .mac_key = key };
    }
    *ret_mac = o->mac_key;
    return OK;
}

static status begin_mac(const struct keeper *k, enum opened_mac which, struct secret **ret_mac,
                        struct err *e)
{
    switch (which) {
    case OPENED_LEASE: return keys_lease_mac_key(&k->keys, ret_mac, e);
    case OPENED_HEAD:
        return ledger_head_mac_key(secret_view(k->keys.system[SYSTEM_HEAD]), ret_mac, e);
    case OPENED_TERM: return moment_term_key(k, ret_mac, e);
    case OPENED_MACS: break;
    }
    return fail(e, BUG, "no such MAC", which);
}

status opened_mac(struct keeper *k, enum opened_mac which, const struct secret **ret_mac,
                  struct err *e)
{
    status st = OK;

    follow(k);
    if (k->opened.macs[which] == NULL)
        st = begin_mac(k, which, &k->opened.macs[which], e);
    *ret_mac = k->opened.macs[which];
    return st;
}
