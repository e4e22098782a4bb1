/*
 * Operations that change nothing on disk: they report, or load what the server kept for us.
 */
#include <string.h>

#include "internal.h"
#include "keyring/successor.h"

#define CELLS_AT_ONCE 1024

static bool asks_nothing(const struct in *body)
{
    return in_end(body);
}

static uint8_t cards_used(const struct keeper *k)
{
    struct slot slot;
    size_t cursor = 0;
    uint8_t used = 0;

    while (keyring_next_slot(k->ring, &cursor, &slot))
        used = (uint8_t)(used + slot.used);
    return used;
}

status keeper_hello(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct wire_hello hello = { .version = WIRE_VERSION,
                                .state = (uint8_t)k->state,
                                .heads_loaded = k->heads_loaded,
                                .batch_pending = k->pending_count > 0,
                                .clock_held = k->clock.held,
                                .next_due_us = k->next_due_us,
                                .time_us = keeper_now(k),
                                .hygiene = k->hygiene };
    struct slot slots[SLOTS_ROOM];

    if (!asks_nothing(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    if (k->ring != NULL) {
        const struct keyring_info *info = keyring_info(k->ring);
        hello.vault = info->vault;
        hello.region = span_text(info->region);
        hello.epoch = info->epoch;
        hello.changes = k->state == KEEPER_UNLOCKED && !k->heads_loaded ? k->found_changes
                                                                        : keyring_seq(k->ring);
        hello.anchor_size = moment_anchored(k);
        hello.need = info->k;
        hello.holders = info->n;
        hello.operators = slots_operators(slots, keeper_all_slots(k, slots));
        hello.cards_used = cards_used(k);
        keeper_expire_shares(k);
        hello.have = (uint8_t)k->quorum.count;
        hello.lock_due = keeper_lock_due(k);
        hello.rekey = rekey_asked(k);
        rekey_progress(k, &hello.rekey_done, &hello.rekey_total);
    }
    if (k->journal != NULL)
        hello.journal_count = (uint32_t)journal_count(k->journal);
    if (k->broken != NULL)
        hello.broken_reason = span_text(k->broken);
    hello.rolled_back = k->rolled_back;
    hello.found_records = k->heads_found;
    hello.found_anchored = k->found.anchored;
    hello.found_size = k->found.size;
    memcpy(hello.found_root, k->found.root, sizeof(hello.found_root));
    wire_put_hello(reply, &hello);
    return OK;
}

/* Where a count goes that is known only at the end; NULL on overflow. */
static uint8_t *count_room(struct out *reply)
{
    return out_room(reply, 2);
}

static void count_fill(uint8_t *at, size_t count)
{
    struct out o;

    if (at == NULL)
        return;
    out_init(&o, at, 2);
    out_u16(&o, (uint16_t)count);
}

status keeper_slots(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct slot slot;
    size_t cursor = 0;
    size_t count = 0;

    if (!asks_nothing(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    uint8_t *count_at = count_room(reply);
    while (keyring_next_slot(k->ring, &cursor, &slot)) {
        struct wire_slot m = { .id = slot.id,
                               .kind = slot.kind,
                               .user_verification = slot.user_verification,
                               .generation = slot.generation,
                               .label = span_text(slot.label),
                               .x = slot.x,
                               .used = slot.used,
                               .pending = slot.epoch != keyring_info(k->ring)->epoch,
                               .created_us = slot.created_us };
        m.credential_id = span_of(slot.credential_id, slot.credential_id_length);
        memcpy(m.cose_public, slot.cose_public, sizeof(m.cose_public));
        memcpy(m.aaguid, slot.aaguid, sizeof(m.aaguid));
        wire_put_slot(reply, &m);
        count++;
    }
    count_fill(count_at, count);
    return OK;
}

status keeper_system_keys(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct wire_system_keys m;

    if (!asks_nothing(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    m.database_key = secret_view(k->keys.system[SYSTEM_DATABASE]);
    m.database_next = k->keys.system[SYSTEM_DATABASE_NEXT] != NULL
                          ? secret_view(k->keys.system[SYSTEM_DATABASE_NEXT])
                          : span_of(NULL, 0);
    m.ca_key = secret_view(k->keys.system[SYSTEM_CA]);
    box_public(secret_view(k->keys.system[SYSTEM_INTAKE]), m.intake_public);
    ed25519_public(secret_view(k->keys.system[SYSTEM_LEDGER]), m.ledger_public);
    ed25519_public(secret_view(k->keys.system[SYSTEM_DELIVERY]), m.delivery_public);
    wire_put_system_keys(reply, &m);
    return OK;
}

/* --- heads ----------------------------------------------------------------------------------- */

static status load_page(struct keeper *k, struct in *heads, size_t count, struct err *e)
{
    const struct secret *mac = NULL;
    struct ledger_tree tree;
    uint8_t term[MAC_SIZE];

    for (size_t i = 0; i < count; i++) {
        struct span head = in_span16(heads);
        status st = opened_mac(k, OPENED_HEAD, &mac, e);
        if (st == OK)
            st = ledger_head_decode(head, mac, &tree, e);
        if (st == OK)
            st = moment_term(k, head, term, e);
        if (st == OK)
            st = heads_add(&k->heads, &tree, term, HEADS_LOADED, e);
        if (st != OK)
            return st;
        keeper_time_raise(k, tree.time_us);
    }
    return OK;
}

/* The last page is in. A store that was put back to an older state shows here. */
static status load_end(struct keeper *k, struct span seal, bool old, struct err *e)
{
    const struct keyring_info *info = keyring_info(k->ring);
    struct ledger_tree tree;

    if (heads_find(&k->heads, &ledger_log_vault) == NULL) {
        ledger_genesis(&info->vault, &ledger_log_vault, &tree);
        status st = heads_add(&k->heads, &tree, NULL, HEADS_LOADED, e);
        if (st != OK)
            return st;
    }
    status st = moment_load(k, seal, old, e);
    if (st == OK)
        st = keeper_pending_check(k, e);
    if (st != OK)
        return st;
    k->records_durable = k->heads_found = k->heads.records;
    k->heads_loaded = true;
    k->rolled_back = old;
    k->found.anchored = moment_anchored(k);
    k->found.size = heads_find(&k->heads, &ledger_log_vault)->tree.size;
    ledger_root(&heads_find(&k->heads, &ledger_log_vault)->tree, k->found.root);
    return OK;
}

status keeper_load_heads(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint8_t last = in_u8(body);
    uint16_t count = in_u16(body);
    struct in heads = *body;

    (void)reply;
    for (size_t i = 0; i < count && !body->bad; i++)
        in_span16(body);
    struct span seal = last >= 1 ? in_span16(body) : span_of(NULL, 0);
    if (!in_end(body) || last > 2)
        return fail(e, BAD_INPUT, "malformed request", 0);
    if (k->heads_loaded)
        return fail(e, CONFLICT, "the heads are loaded already", 0);
    status st = load_page(k, &heads, count, e);
    if (st == OK && last >= 1)
        st = load_end(k, seal, last == 2, e);
    if (st != OK)
        heads_clear(&k->heads); /* begin again with the first page */
    return st;
}

/* --- cells ----------------------------------------------------------------------------------- */

status keeper_cells(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint64_t from = in_u64(body);
    size_t cursor = (size_t)from;
    size_t count = 0;
    struct cell cell;
    struct out next;

    if (!in_end(body) || cursor != from)
        return fail(e, BAD_INPUT, "malformed request", 0);
    uint8_t *next_at = out_room(reply, 8);
    uint8_t *count_at = count_room(reply);
    bool more = false;
    while (count < CELLS_AT_ONCE && (more = keyring_next(k->ring, &cursor, &cell))) {
        wire_put_cell(reply, &(struct wire_cell){ .type = cell.type,
                                                  .id = cell.id,
                                                  .parent = cell.parent,
                                                  .engagement = cell.engagement,
                                                  .version = cell.version,
                                                  .created_us = cell.created_us,
                                                  .due_us = cell.due_us });
        count++;
    }
    count_fill(count_at, count);
    if (next_at != NULL) {
        out_init(&next, next_at, 8);
        out_u64(&next, more ? cursor : 0);
    }
    return OK;
}

/* --- audit ----------------------------------------------------------------------------------- */

status keeper_check_macs(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    const struct secret *mac_key = NULL;
    struct id log = in_id(body);
    uint16_t count = in_u16(body);
    struct in lines = *body;
    uint8_t mac[MAC_SIZE];
    uint16_t good = 0;

    for (size_t i = 0; i < count && !body->bad; i++) {
        in_span16(body);
        in_raw(body, MAC_SIZE);
    }
    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = opened_log_mac(k, &log, &mac_key, e);
    for (; st == OK && good < count; good++) {
        struct span line = in_span16(&lines);
        st = ledger_mac(mac_key, line, mac, e);
        if (st == OK && !secret_equal(SPAN(mac), in_raw(&lines, MAC_SIZE)))
            break;
    }
    if (st != OK)
        return st;
    out_u16(reply, good);
    return OK;
}
