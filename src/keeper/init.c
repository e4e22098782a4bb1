/*
 * The birth of a vault: root key, system keys, the first operator's slot and the recovery card,
 * made together and durable together. What fails before the keyring exists leaves nothing.
 */
#include <string.h>

#include "internal.h"

struct birth {
    struct wire_init_request request;
    struct session session;
    struct keyring_info info;
    struct slot slots[2]; /* the operator's, the recovery card's */
    struct cell cells[SYSTEM_COUNT - 1];
    struct secret *root;
    struct secret *code; /* slot id | code of the recovery card */
};

static void birth_clear(struct birth *b)
{
    session_clear(&b->session);
    secret_cleanup(&b->root);
    secret_cleanup(&b->code);
}

static bool region_valid(struct span region)
{
    bool valid = region.n >= 1 && region.n <= LIMIT_REGION;

    for (size_t i = 0; valid && i < region.n; i++) {
        uint8_t c = region.p[i];
        valid = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return valid;
}

/* As NUL-terminated text; false if it does not fit. */
static bool copy_text(struct span from, char *to, size_t size)
{
    if (from.n >= size || (from.n > 0 && memchr(from.p, 0, from.n) != NULL))
        return false;
    memcpy(to, from.p, from.n);
    to[from.n] = '\0';
    return true;
}

static status describe(struct keeper *k, struct birth *b, struct err *e)
{
    const struct wire_init_request *r = &b->request;
    struct slot *operator_slot = &b->slots[0];
    struct slot *card = &b->slots[1];
    uint64_t now = keeper_now(k);

    if (!region_valid(r->region) || !copy_text(r->region, b->info.region, sizeof(b->info.region)))
        return fail(e, BAD_INPUT, "region is not 1 to 15 of a-z 0-9 -", 0);
    if (!copy_text(r->label, operator_slot->label, sizeof(operator_slot->label)) ||
        !name_valid(operator_slot->label))
        return fail(e, BAD_INPUT, "operator name is not valid", 0);
    if (r->credential_id.n == 0 || r->credential_id.n > LIMIT_CREDENTIAL_ID)
        return fail(e, BAD_INPUT, "credential id has a bad length", 0);
    b->info.vault = b->session.opened.vault;
    b->info.epoch = b->session.opened.epoch;
    b->info.k = 1;
    b->info.n = 2;
    b->info.created_us = now;

    for (size_t i = 0; i < 2; i++) {
        struct slot *slot = &b->slots[i];
        random_bytes((struct mspan){ slot->id.b, sizeof(slot->id.b) });
        slot->x = (uint8_t)(i + 1);
        slot->generation = 1;
        slot->epoch = b->info.epoch;
        slot->created_us = now;
    }
    operator_slot->kind = SLOT_FIDO2;
    operator_slot->user_verification = 1;
    operator_slot->credential_id_length = (uint16_t)r->credential_id.n;
    memcpy(operator_slot->credential_id, r->credential_id.p, r->credential_id.n);
    memcpy(operator_slot->cose_public, r->cose_public, sizeof(r->cose_public));
    memcpy(operator_slot->aaguid, r->aaguid, sizeof(r->aaguid));
    memcpy(operator_slot->salt, b->session.opened.salt, sizeof(operator_slot->salt));
    memcpy(operator_slot->salt_next, b->session.opened.salt_next, sizeof(operator_slot->salt_next));
    card->kind = SLOT_RECOVERY;
    random_bytes((struct mspan){ card->salt, sizeof(card->salt) });
    return copy_text(span_text("recovery"), card->label, sizeof(card->label))
               ? OK
               : fail(e, BUG, "the card's label does not fit", 0);
}

static status make_slots(struct birth *b, struct err *e)
{
    AUTO(secret) *secrets = NULL;

    status st = session_open(&b->session, b->request.sealed_secret, 2, &secrets, e);
    if (st == OK)
        st = secret_random(KEY_SIZE, &b->root, e);
    if (st == OK)
        st = secret_random(sizeof(struct id) + KEY_SIZE, &b->code, e);
    if (st != OK)
        return st;
    memcpy(secret_fill(b->code).p, b->slots[1].id.b, sizeof(struct id));
    struct span code = span_of(secret_view(b->code).p + sizeof(struct id), KEY_SIZE);
    st = slot_make(&b->info.vault, span_of(secret_view(secrets).p, KEY_SIZE), 1, b->root,
                   &b->slots[0], e);
    if (st == OK)
        st = slot_make(&b->info.vault, code, 2, b->root, &b->slots[1], e);
    return st;
}

static status make_system_keys(struct keeper *k, struct birth *b, struct err *e)
{
    status st = keys_root_check(&b->info, b->root, b->info.root_check, e);
    if (st == OK)
        st = keys_derive(&b->info, b->root, &k->keys, e);
    for (enum system_key purpose = SYSTEM_DATABASE; st == OK && purpose < SYSTEM_COUNT; purpose++) {
        struct cell *cell = &b->cells[purpose - 1];
        cell->created_us = b->info.created_us;
        st = purpose == SYSTEM_CA ? secret_copy(b->request.ca_key, &k->keys.system[purpose], e)
                                  : secret_random(KEY_SIZE, &k->keys.system[purpose], e);
        if (st == OK)
            st = keys_seal_system(&k->keys, purpose, cell, e);
    }
    return st;
}

/* From here on the vault exists. */
static status make_keyring(struct keeper *k, struct birth *b, struct err *e)
{
    struct ledger_tree tree;
    const struct id vault_log = { { 0 } };

    status st = keyring_create(k->dir, k->settings.allow_cow, &b->info, b->slots, 2, b->cells,
                               SYSTEM_COUNT - 1, k->keys.keyring_mac, &k->ring, e);
    if (st != OK)
        return st;
    keeper_insist(journal_open(k->dir, &k->journal, e), e);
    /* A journal that was there before belongs to a keyring that is no more. */
    keeper_insist(journal_drop(k->journal, journal_count(k->journal), e), e);
    k->state = KEEPER_UNLOCKED;
    keeper_time_raise(k, journal_time(k->journal));
    keeper_time_write(k);
    ledger_genesis(&b->info.vault, &vault_log, &tree);
    keeper_insist(heads_add(&k->heads, &tree, HEADS_LOADED, e), e);
    k->heads_loaded = true;
    k->records_durable = 0;
    return OK;
}

static status give_birth(struct keeper *k, struct birth *b, struct out *reply, struct err *e)
{
    uint8_t sealed[sizeof(struct id) + KEY_SIZE + BOX_OVERHEAD];

    status st = describe(k, b, e);
    if (st == OK)
        st = make_slots(b, e);
    if (st == OK)
        st = box_seal(SPAN(b->request.recovery_key), secret_view(b->code), sealed, e);
    if (st == OK)
        st = make_system_keys(k, b, e);
    if (st == OK)
        st = make_keyring(k, b, e);
    if (st != OK) {
        keys_clear(&k->keys);
        return st;
    }
    if (k->settings.created != NULL)
        keeper_insist(k->settings.created(e), e);
    wire_put_init(reply, &(struct wire_init){ .vault = b->info.vault,
                                              .slot = b->slots[0].id,
                                              .sealed_recovery = SPAN(sealed) });
    return OK;
}

status keeper_init(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct birth b = { 0 };
    const struct id no_slot = { { 0 } };

    wire_get_init_request(body, &b.request);
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = session_take(k, SESSION_INIT, &b.request.session, &no_slot, &b.session, e);
    if (st == OK)
        st = give_birth(k, &b, reply, e);
    birth_clear(&b);
    return st;
}
