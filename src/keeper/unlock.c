/*
 * Unlock and lock.
 *
 * 1. A session is spent by its first attempt, whatever comes of it.
 * 2. Nothing is believed before the root key has passed the root check and the whole keyring the
 *    MAC that is derived from it.
 * 3. Success and failure both go to the journal.
 * 4. Lock wipes the whole slab. A batch that the server has not acknowledged stays: it holds
 *    record lines and heads, never a result's data.
 */
#include "internal.h"

/* How many secrets the client seals for a slot of this kind. */
static size_t secrets_of(uint8_t kind)
{
    return kind == SLOT_RECOVERY ? 1 : 2;
}

static status check_root(const struct keeper *k, const struct secret *root, struct err *e)
{
    const struct keyring_info *info = keyring_info(k->ring);
    uint8_t check[32];

    status st = keys_root_check(info, root, check, e);
    if (st != OK)
        return st;
    if (!secret_equal(SPAN(check), SPAN(info->root_check)))
        return fail(e, CORRUPT, "the slot holds another root key", 0);
    return OK;
}

static status open_vault(struct keeper *k, const struct secret *root, struct err *e)
{
    status st = check_root(k, root, e);
    if (st == OK)
        st = keys_derive(keyring_info(k->ring), root, &k->keys, e);
    if (st == OK)
        st = keyring_authenticate(k->ring, k->keys.keyring_mac, e);
    if (st == IO)
        keeper_fatal(e);
    if (st == OK)
        st = keys_open_system(&k->keys, k->ring, e);
    if (st != OK) {
        keyring_forget(k->ring);
        keys_clear(&k->keys);
    }
    return st;
}

static status unlock(struct keeper *k, const struct session *session, const struct slot *slot,
                     struct span sealed, struct err *e)
{
    AUTO(secret) *secrets = NULL;
    AUTO(secret) *root = NULL;

    /* The place for a quorum: with k shares needed, this is where they would be collected. */
    if (keyring_info(k->ring)->k != 1)
        return fail(e, CORRUPT, "this version opens vaults with one share only", 0);
    status st = session_open(session, sealed, secrets_of(slot->kind), &secrets, e);
    if (st == OK)
        st = slot_open(&keyring_info(k->ring)->vault, slot,
                       span_of(secret_view(secrets).p, KEY_SIZE), &root, e);
    return st == OK ? open_vault(k, root, e) : st;
}

static void unlocked(struct keeper *k, const struct slot *slot, struct err *e)
{
    struct journal_entry entry = { .type = RECORD_VAULT_UNLOCKED,
                                   .subject = slot->id,
                                   .number = slot->kind == SLOT_RECOVERY };

    k->state = KEEPER_UNLOCKED;
    k->heads_loaded = false;
    keeper_journal(k, &entry, 1);
    keeper_insist(keeper_check_tombstones(k, e), e);
}

status keeper_unlock(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct wire_unlock_request request;
    struct session session = { 0 };
    struct slot slot;

    wire_get_unlock_request(body, &request);
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = session_take(k, SESSION_UNLOCK, &request.session, &request.slot, &session, e);
    if (st != OK)
        return st;
    st = keyring_slot(k->ring, &request.slot, &slot, e);
    if (st == OK)
        st = unlock(k, &session, &slot, request.sealed_secret, e);
    session_clear(&session);
    if (st != OK) {
        keeper_journal_failure(k, &request.slot, st == DENIED ? OUTCOME_DENIED : OUTCOME_FAILED);
        return st;
    }
    unlocked(k, &slot, e);
    wire_put_unlock(reply, &(struct wire_unlock){ KEEPER_UNLOCKED, 1, 1 });
    return OK;
}

status keeper_unlock_failed(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct session session = { 0 };
    struct id id = in_id(body);
    struct id slot = in_id(body);

    (void)reply;
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = session_take(k, SESSION_UNLOCK, &id, &slot, &session, e);
    if (st != OK)
        return st;
    session_clear(&session);
    keeper_journal_failure(k, &slot, OUTCOME_DENIED);
    return OK;
}

/* --- lock ------------------------------------------------------------------------------------ */

void keeper_lock(struct keeper *k)
{
    if (k->state == KEEPER_UNLOCKED) {
        if (k->records_durable > keyring_info(k->ring)->anchor_size)
            keeper_anchor(k);
        keyring_forget(k->ring);
        k->state = KEEPER_LOCKED;
    }
    /* First everything at once, then the bookkeeping: nothing may be left behind. */
    secret_wipe_all();
    keys_clear(&k->keys);
    for (size_t i = 0; i < sizeof(k->sessions) / sizeof(k->sessions[0]); i++)
        session_clear(&k->sessions[i]);
    heads_clear(&k->heads);
    k->heads_loaded = false;
    k->records_durable = 0;
    keeper_time_write(k);
}

status keeper_lock_now(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    (void)reply;
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    keeper_lock(k);
    return OK;
}
