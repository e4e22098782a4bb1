/*
 * Frame header, state and cells: the messages without a secret and without a choice. Nothing
 * here allocates or decides; a message that cannot exist leaves in.bad set, and the receiver
 * refuses it as a whole.
 */
#include "internal.h"

struct span wire_get_bounded(struct in *i, size_t max)
{
    struct span s = in_span16(i);
    if (s.n > max) {
        i->bad = true;
        return span_of(NULL, 0);
    }
    return s;
}

void wire_put_header(struct out *o, const struct wire_header *h)
{
    out_u32(o, h->length);
    out_u16(o, h->op);
    out_u8(o, h->status);
    out_u8(o, 0);
    out_u64(o, h->number);
}

void wire_finish(struct out *o)
{
    if (o->overflow || o->n < WIRE_HEADER || o->n > LIMIT_FRAME) {
        o->overflow = true;
        return;
    }
    struct out length;
    out_init(&length, o->p, 4);
    out_u32(&length, (uint32_t)o->n);
}

void wire_get_header(struct in *i, struct wire_header *h)
{
    size_t available = i->n;
    h->length = in_u32(i);
    h->op = in_u16(i);
    h->status = in_u8(i);
    uint8_t zero = in_u8(i);
    h->number = in_u64(i);
    if (zero != 0 || h->length != available || h->length > LIMIT_FRAME || h->status >= STATUS_COUNT)
        i->bad = true;
}

void wire_put_hello(struct out *o, const struct wire_hello *m)
{
    out_u16(o, m->version);
    out_u8(o, m->state);
    out_u8(o, m->heads_loaded);
    out_u8(o, m->batch_pending);
    out_u8(o, m->clock_held);
    out_id(o, &m->vault);
    out_span16(o, m->region);
    out_u32(o, m->epoch);
    out_u64(o, m->changes);
    out_u32(o, m->journal_count);
    out_u64(o, m->anchor_size);
    out_u64(o, m->next_due_us);
    out_u64(o, m->time_us);
    out_span16(o, m->broken_reason);
    out_u8(o, m->need);
    out_u8(o, m->have);
    out_u8(o, m->operators);
    out_u8(o, m->holders);
    out_u8(o, m->cards_used);
    out_u8(o, m->lock_due);
    out_u8(o, m->rekey);
    out_u32(o, m->rekey_done);
    out_u32(o, m->rekey_total);
    out_u32(o, m->hygiene);
    out_u8(o, m->rolled_back);
    out_u64(o, m->found_records);
    out_u64(o, m->found_anchored);
    out_u64(o, m->found_size);
    out_raw(o, SPAN(m->found_root));
}

void wire_get_hello(struct in *i, struct wire_hello *m)
{
    m->version = in_u16(i);
    m->state = in_u8(i);
    m->heads_loaded = in_u8(i);
    m->batch_pending = in_u8(i);
    m->clock_held = in_u8(i);
    m->vault = in_id(i);
    m->region = wire_get_bounded(i, LIMIT_REGION);
    m->epoch = in_u32(i);
    m->changes = in_u64(i);
    m->journal_count = in_u32(i);
    m->anchor_size = in_u64(i);
    m->next_due_us = in_u64(i);
    m->time_us = in_u64(i);
    m->broken_reason = in_span16(i);
    m->need = in_u8(i);
    m->have = in_u8(i);
    m->operators = in_u8(i);
    m->holders = in_u8(i);
    m->cards_used = in_u8(i);
    m->lock_due = in_u8(i);
    m->rekey = in_u8(i);
    m->rekey_done = in_u32(i);
    m->rekey_total = in_u32(i);
    m->hygiene = in_u32(i);
    m->rolled_back = in_u8(i);
    m->found_records = in_u64(i);
    m->found_anchored = in_u64(i);
    m->found_size = in_u64(i);
    in_copy(i, m->found_root, sizeof(m->found_root));
    if (m->state > KEEPER_BROKEN || m->heads_loaded > 1 || m->batch_pending > 1 ||
        m->clock_held > 1 || m->lock_due > 1 || m->rolled_back > 1)
        i->bad = true;
}

void wire_put_system_keys(struct out *o, const struct wire_system_keys *m)
{
    out_span16(o, m->database_key);
    out_span16(o, m->database_next);
    out_span16(o, m->ca_key);
    out_raw(o, SPAN(m->intake_public));
    out_raw(o, SPAN(m->ledger_public));
    out_raw(o, SPAN(m->delivery_public));
}

void wire_get_system_keys(struct in *i, struct wire_system_keys *m)
{
    m->database_key = in_span16(i);
    m->database_next = in_span16(i);
    m->ca_key = in_span16(i);
    in_copy(i, m->intake_public, sizeof(m->intake_public));
    in_copy(i, m->ledger_public, sizeof(m->ledger_public));
    in_copy(i, m->delivery_public, sizeof(m->delivery_public));
    if (m->database_key.n != 32 || m->ca_key.n != 32 ||
        (m->database_next.n != 0 && m->database_next.n != 32))
        i->bad = true;
}

void wire_put_cell(struct out *o, const struct wire_cell *m)
{
    out_u8(o, m->type);
    out_id(o, &m->id);
    out_id(o, &m->parent);
    out_id(o, &m->engagement);
    out_u32(o, m->version);
    out_u64(o, m->created_us);
    out_u64(o, m->due_us);
}

void wire_get_cell(struct in *i, struct wire_cell *m)
{
    m->type = in_u8(i);
    m->id = in_id(i);
    m->parent = in_id(i);
    m->engagement = in_id(i);
    m->version = in_u32(i);
    m->created_us = in_u64(i);
    m->due_us = in_u64(i);
}
