/*
 * The birth of a vault: root key, system keys, the operators' slots and the recovery cards, made
 * together and durable together. What fails before the keyring exists leaves nothing.
 */
#include <string.h>

#include "internal.h"

struct birth {
    struct wire_init_request request;
    struct session session;
    struct keyring_info info;
    size_t slot_count; /* the operators' first, then the cards' */
    struct slot slots[INIT_OPERATORS_MAX + CARDS_MAX];
    struct cell cells[SYSTEM_COUNT];
    size_t cell_count;
    struct secret *root;
    struct secret *codes; /* (slot id | code)* of the cards */
    struct wire_init made;
};

static void birth_clear(struct birth *b)
{
    session_clear(&b->session);
    secret_cleanup(&b->root);
    secret_cleanup(&b->codes);
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

static status describe(struct keeper *k, struct birth *b, struct err *e)
{
    const struct wire_init_request *r = &b->request;

    if (!region_valid(r->region))
        return fail(e, BAD_INPUT, "region is not 1 to 15 of a-z 0-9 -", 0);
    memcpy(b->info.region, r->region.p, r->region.n);
    b->info.vault = b->session.opened.vault;
    b->info.epoch = b->session.opened.epoch;
    b->info.k = r->quorum;
    b->info.created_us = keeper_now(k);
    return OK;
}

static status add_operators(struct birth *b, struct err *e)
{
    for (size_t i = 0; i < b->request.operator_count; i++) {
        struct slot *slot = &b->slots[b->slot_count];
        status st = enrol_slot(&b->info.vault, &b->session, &b->request.operators[i],
                               b->info.created_us, slot, e);
        if (st != OK)
            return st;
        for (size_t j = 0; j < b->slot_count; j++) {
            if (span_same(SPAN(slot->cose_public), SPAN(b->slots[j].cose_public)))
                return fail(e, BAD_INPUT, "one hardware key was enrolled twice", 0);
        }
        slot->x = slots_x(b->slots, b->slot_count, SLOT_FIDO2, slot->label);
        b->made.slots[i] = slot->id;
        b->slot_count++;
    }
    b->made.slot_count = b->request.operator_count;
    if (b->info.k == 0 || b->info.k > slots_operators(b->slots, b->slot_count))
        return fail(e, BAD_INPUT, "the quorum is not between 1 and the number of operators", 0);
    return OK;
}

/* All cards are worth one share each. */
static status add_cards(struct birth *b, struct err *e)
{
    struct out o;

    status st = secret_new((size_t)b->request.cards * (sizeof(struct id) + KEY_SIZE), &b->codes, e);
    if (st != OK)
        return st;
    out_init(&o, secret_fill(b->codes).p, secret_fill(b->codes).n);
    for (size_t i = 0; st == OK && i < b->request.cards; i++) {
        AUTO(secret) *code = NULL;
        struct slot *slot = &b->slots[b->slot_count];
        st = enrol_card(&b->info.vault, b->info.created_us, slot, &code, e);
        if (st != OK)
            return st;
        slot->x = slots_x(b->slots, b->slot_count, SLOT_RECOVERY, slot->label);
        b->slot_count++;
        out_id(&o, &slot->id);
        out_raw(&o, secret_view(code));
    }
    return st;
}

static status make_system_keys(struct keeper *k, struct birth *b, struct err *e)
{
    status st = keys_root_check(&b->info, b->root, b->info.root_check, e);
    if (st == OK)
        st = keys_derive(&b->info, b->root, &k->keys, e);
    for (enum system_key purpose = SYSTEM_DATABASE; st == OK && purpose < SYSTEM_COUNT; purpose++) {
        struct cell *cell = &b->cells[b->cell_count];
        if (purpose == SYSTEM_DATABASE_NEXT)
            continue;
        cell->created_us = b->info.created_us;
        st = purpose == SYSTEM_CA ? secret_copy(b->request.ca_key, &k->keys.system[purpose], e)
                                  : secret_random(KEY_SIZE, &k->keys.system[purpose], e);
        if (st == OK)
            st = keys_seal_system(&k->keys, purpose, cell, e);
        b->cell_count++;
    }
    return st;
}

/* From here on the vault exists. */
static status make_keyring(struct keeper *k, struct birth *b, struct err *e)
{
    struct ledger_tree tree;

    status st = keyring_create(k->dir, k->settings.allow_cow, &b->info, b->slots, b->slot_count,
                               b->cells, b->cell_count, k->keys.keyring_mac, &k->ring, e);
    if (st != OK)
        return st;
    keeper_insist(journal_open(k->dir, &k->journal, e), e);
    /* A journal that was there before belongs to a keyring that is no more. */
    keeper_insist(journal_drop(k->journal, journal_count(k->journal), e), e);
    k->state = KEEPER_UNLOCKED;
    k->unlocked_us = k->active_us = keeper_monotonic(k);
    keeper_time_raise(k, journal_time(k->journal));
    keeper_time_write(k);
    ledger_genesis(&b->info.vault, &ledger_log_vault, &tree);
    keeper_insist(heads_add(&k->heads, &tree, NULL, HEADS_LOADED, e), e);
    k->heads_loaded = true;
    k->records_durable = k->heads_found = 0;
    k->moment = (struct moment){ 0 };
    return OK;
}

static status give_birth(struct keeper *k, struct birth *b, struct out *reply, struct err *e)
{
    uint8_t sealed[CARDS_MAX * (sizeof(struct id) + KEY_SIZE) + BOX_OVERHEAD];

    status st = describe(k, b, e);
    if (st == OK)
        st = add_operators(b, e);
    if (st == OK)
        st = add_cards(b, e);
    if (st == OK)
        st = box_seal(SPAN(b->request.recovery_key), secret_view(b->codes), sealed, e);
    if (st == OK)
        st = secret_random(KEY_SIZE, &b->root, e);
    if (st == OK)
        st = slots_deal(b->slots, b->slot_count, b->root, b->info.k, b->info.epoch, &b->info.n, e);
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
    b->made.vault = b->info.vault;
    b->made.sealed_cards = span_of(sealed, secret_view(b->codes).n + BOX_OVERHEAD);
    wire_put_init(reply, &b->made);
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
