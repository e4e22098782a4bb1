/*
 * Unlock and lock.
 *
 * 1. A session is spent by its first attempt, whatever comes of it.
 * 2. Nothing is believed before the root key has passed the root check and the whole keyring the
 *    MAC that is derived from it.
 * 3. Shares of an incomplete quorum are kept for APPROVAL_S seconds from the first one and then
 *    forgotten, as they are by lock and by a quorum that did not open the vault.
 * 4. Every slot that helped to open the vault rolls: the secret that was just used opens it no
 *    more.
 * 5. Shares, success and failure all go to the journal.
 * 6. Lock wipes the whole slab. A batch that the server has not acknowledged stays: it holds
 *    record lines and heads, never a result's data.
 */
#include "base/clock.h"
#include "base/log.h"
#include "crypto/shamir.h"
#include "keyring/successor.h"
#include "round.h"

/* How many secrets the client seals for a slot of this kind. */
size_t session_secrets(uint8_t slot_kind)
{
    return slot_kind == SLOT_RECOVERY ? 1 : 2;
}

/* --- the quorum ------------------------------------------------------------------------------ */

void keeper_forget_shares(struct keeper *k)
{
    for (size_t i = 0; i < k->quorum.count; i++) {
        secret_cleanup(&k->quorum.given[i].share);
        secret_cleanup(&k->quorum.given[i].next_secret);
    }
    k->quorum.count = 0;
}

void keeper_expire_shares(struct keeper *k)
{
    if (k->quorum.count > 0 && keeper_monotonic(k) - k->quorum.since_us > APPROVAL_S * SECOND_US)
        keeper_forget_shares(k);
}

/* A second key of the same operator is no second share. */
static bool has_share(const struct keeper *k, uint8_t x)
{
    size_t i = 0;

    while (i < k->quorum.count && k->quorum.given[i].x != x)
        i++;
    return i < k->quorum.count;
}

/* Opens the slot and adds its share to those that were given. */
static status give_share(struct keeper *k, const struct session *session, const struct slot *slot,
                         struct span sealed, struct err *e)
{
    AUTO(secret) *secrets = NULL;
    AUTO(secret) *private_key = NULL;
    const struct id *vault = &keyring_info(k->ring)->vault;

    if (slot->epoch != keyring_info(k->ring)->epoch)
        return fail(e, CONFLICT, "this slot is new and has no share yet: unlock with another", 0);
    status st = session_open(session, sealed, session_secrets(slot->kind), &secrets, e);
    if (st == OK)
        st = slot_open(vault, slot, span_of(secret_view(secrets).p, KEY_SIZE), &private_key, e);
    if (st != OK || has_share(k, slot->x))
        return st;
    if (k->quorum.count == 0)
        k->quorum.since_us = keeper_monotonic(k);
    struct given *g = &k->quorum.given[k->quorum.count];
    *g = (struct given){ .slot = slot->id, .x = slot->x };
    st = slot_share(slot, private_key, &g->share, e);
    if (st == OK && slot->kind == SLOT_FIDO2)
        st = secret_copy(span_of(secret_view(secrets).p + KEY_SIZE, KEY_SIZE), &g->next_secret, e);
    if (st != OK) {
        secret_cleanup(&g->share);
        return st;
    }
    k->quorum.count++;
    return OK;
}

static status combine(const struct keeper *k, struct secret **ret_root, struct err *e)
{
    AUTO(secret) *shares = NULL;
    struct out o;

    status st = secret_new(k->quorum.count * SHARE_SIZE, &shares, e);
    if (st != OK)
        return st;
    out_init(&o, secret_fill(shares).p, k->quorum.count * SHARE_SIZE);
    for (size_t i = 0; i < k->quorum.count; i++)
        out_raw(&o, secret_view(k->quorum.given[i].share));
    return shamir_combine(secret_view(shares), SHARE_SIZE, ret_root, e);
}

/* The next generation of a slot that was opened, durable before the old one goes. The vault opens
 * without it as well: only a disk that fails is a reason to stop. */
static void roll(struct keeper *k, const struct given *g)
{
    struct err e = { 0 };
    struct slot slot;

    status st = keyring_slot(k->ring, &g->slot, &slot, &e);
    if (st == OK && slot.kind == SLOT_RECOVERY)
        slot.used = 1;
    else if (st == OK)
        st = slot_roll(&keyring_info(k->ring)->vault, &slot, secret_view(g->next_secret), g->share,
                       &e);
    if (st == OK)
        st = keyring_put_slot(k->ring, &slot, &e);
    if (st == IO)
        keeper_fatal(&e);
    if (st != OK)
        log_err(LOG_ERROR_, "keeper.slot-not-rolled", &e);
}

/* --- opening --------------------------------------------------------------------------------- */

static status check_root(const struct keeper *k, const struct secret *root, struct err *e)
{
    const struct keyring_info *info = keyring_info(k->ring);
    uint8_t check[32];

    status st = keys_root_check(info, root, check, e);
    if (st != OK)
        return st;
    if (!secret_equal(SPAN(check), SPAN(info->root_check)))
        return fail(e, CORRUPT, "the slots hold another root key", 0);
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

static void note_share(struct keeper *k, const struct slot *slot)
{
    bool card = slot->kind == SLOT_RECOVERY;
    struct journal_entry entry = { .type = card ? RECORD_CARD_USED : RECORD_UNLOCK_SHARE,
                                   .outcome = card ? OUTCOME_FAILED : OUTCOME_OK,
                                   .subject = slot->id,
                                   .number = card };

    if (card || keyring_info(k->ring)->k > 1)
        keeper_journal(k, &entry, 1);
}

static void unlocked(struct keeper *k, const struct slot *slot, struct err *e)
{
    struct journal_entry entry = { .type = RECORD_VAULT_UNLOCKED,
                                   .subject = slot->id,
                                   .number = slot->kind == SLOT_RECOVERY };

    k->state = KEEPER_UNLOCKED;
    k->rekey_not_before_us = 0; /* whoever unlocks may have made room for it */
    k->heads_loaded = false;
    k->found_changes = keyring_seq(k->ring);
    k->unlocked_us = k->active_us = keeper_monotonic(k);
    keeper_journal(k, &entry, 1);
    keeper_insist(keeper_check_tombstones(k, e), e);
    for (size_t i = 0; i < k->quorum.count; i++)
        roll(k, &k->quorum.given[i]);
    keeper_forget_shares(k);
    k->tenant_work = (struct tenant_work){ .search = true };
    rekey_look(k);
}

/* With the last share the vault opens, or every share is forgotten. */
static status unlock(struct keeper *k, const struct session *session, const struct slot *slot,
                     struct span sealed, struct err *e)
{
    AUTO(secret) *root = NULL;
    size_t before = k->quorum.count;

    status st = give_share(k, session, slot, sealed, e);
    if (st != OK)
        return st;
    if (k->quorum.count > before)
        note_share(k, slot);
    if (k->quorum.count < keyring_info(k->ring)->k)
        return OK;
    st = combine(k, &root, e);
    if (st == OK)
        st = open_vault(k, root, e);
    if (st == OK)
        unlocked(k, slot, e);
    else
        keeper_forget_shares(k);
    return st;
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
    keeper_expire_shares(k);
    st = keyring_slot(k->ring, &request.slot, &slot, e);
    if (st == OK)
        st = unlock(k, &session, &slot, request.sealed_secret, e);
    session_clear(&session);
    if (st != OK) {
        keeper_journal_failure(k, &request.slot, st == DENIED ? OUTCOME_DENIED : OUTCOME_FAILED);
        return st;
    }
    uint8_t need = keyring_info(k->ring)->k;
    uint8_t have = k->state == KEEPER_UNLOCKED ? need : (uint8_t)k->quorum.count;
    wire_put_unlock(reply, &(struct wire_unlock){ (uint8_t)k->state, have, need });
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
    rekey_abandon(k);
    if (k->state == KEEPER_UNLOCKED) {
        if (k->records_durable > moment_anchored(k))
            keeper_anchor(k);
        keyring_forget(k->ring);
        k->state = KEEPER_LOCKED;
    }
    /* First everything at once, then the bookkeeping: nothing may be left behind. */
    secret_wipe_all();
    opened_forget(k);
    keys_clear(&k->keys);
    keeper_forget_shares(k);
    approvals_forget(k);
    for (size_t i = 0; i < SESSIONS; i++)
        session_clear(&k->sessions[i]);
    round_forget_all(k);
    heads_clear(&k->heads);
    k->heads_loaded = false;
    k->records_durable = k->heads_found = 0;
    k->moment = (struct moment){ 0 };
    k->found = (struct found){ 0 };
    k->rolled_back = false;
    k->accepted = (struct accepted){ 0 };
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
