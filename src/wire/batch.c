/*
 * The messages of the work: entries, records, results. One table says which members an entry of
 * each kind carries, so that nothing a kind does not use travels or has to be checked.
 */
#include "wire/message.h"

enum {
    HAS_LOG = 1 << 0, /* with type and outcome */
    HAS_TENANT = 1 << 1,
    HAS_ENGAGEMENT = 1 << 2,
    HAS_KEY = 1 << 3, /* with version */
    HAS_PROVIDER = 1 << 4,
    HAS_GATEWAY = 1 << 5, /* with certificate */
    HAS_EXPIRES = 1 << 6,
    HAS_LEASE = 1 << 7, /* with its MAC */
    HAS_REASON = 1 << 8,
    HAS_DATA = 1 << 9,
    HAS_APPROVER = 1 << 10, /* session and slot */
    HAS_OPERATION = 1 << 11,
    HAS_DELIVERY = 1 << 12, /* key and nonce */
    KNOWN = 1 << 15
};

static const uint16_t members[] = {
    [ENTRY_RECORD] = KNOWN | HAS_LOG,
    [ENTRY_TENANT_NEW] = KNOWN | HAS_TENANT,
    [ENTRY_ENGAGEMENT_START] = KNOWN | HAS_TENANT | HAS_ENGAGEMENT,
    [ENTRY_ENGAGEMENT_END] = KNOWN | HAS_TENANT | HAS_ENGAGEMENT,
    [ENTRY_KEY_PUT] = KNOWN | HAS_TENANT | HAS_ENGAGEMENT | HAS_KEY | HAS_PROVIDER | HAS_DATA,
    [ENTRY_KEY_OPEN] = KNOWN | HAS_TENANT | HAS_KEY | HAS_PROVIDER | HAS_GATEWAY | HAS_EXPIRES |
                       HAS_DELIVERY | HAS_LEASE | HAS_DATA,
    [ENTRY_LEASE_RENEW] = KNOWN | HAS_TENANT | HAS_KEY | HAS_GATEWAY | HAS_EXPIRES | HAS_LEASE,
    [ENTRY_LEASE_RELEASE] = KNOWN | HAS_TENANT | HAS_KEY | HAS_GATEWAY | HAS_EXPIRES | HAS_LEASE,
    [ENTRY_KEY_DESTROY] = KNOWN | HAS_TENANT | HAS_KEY | HAS_REASON,
    [ENTRY_FOLD] = KNOWN,
    [ENTRY_CLOCK_CONFIRM] = KNOWN,
    [ENTRY_VAULT_CREATED] = KNOWN,
    [ENTRY_APPROVE] = KNOWN | HAS_APPROVER | HAS_OPERATION | HAS_DATA,
    [ENTRY_OPERATION] = KNOWN | HAS_OPERATION,
    [ENTRY_DATABASE_REKEYED] = KNOWN,
    [ENTRY_TREE_COMMITTED] = KNOWN,
    [ENTRY_ROLLBACK_TOLD] = KNOWN | HAS_TENANT,
    [ENTRY_RECORDS_DROP] = KNOWN | HAS_TENANT | HAS_DATA,
};

/* 0 for a kind that does not exist. */
static unsigned members_of(uint8_t kind)
{
    return kind < sizeof(members) / sizeof(members[0]) ? members[kind] : 0;
}

void wire_put_entry(struct out *o, const struct wire_entry *m)
{
    unsigned has = members_of(m->kind);
    if (has == 0)
        o->overflow = true;
    out_u8(o, m->kind);
    if (has & HAS_LOG) {
        out_id(o, &m->log);
        out_u16(o, m->type);
        out_u8(o, m->outcome);
    }
    if (has & HAS_TENANT)
        out_id(o, &m->tenant);
    if (has & HAS_ENGAGEMENT)
        out_id(o, &m->engagement);
    if (has & HAS_KEY) {
        out_id(o, &m->key);
        out_u32(o, m->version);
    }
    if (has & HAS_PROVIDER)
        out_u16(o, m->provider);
    if (has & HAS_GATEWAY) {
        out_id(o, &m->gateway);
        out_raw(o, SPAN(m->certificate));
    }
    if (has & HAS_EXPIRES)
        out_u64(o, m->expires_us);
    if (has & HAS_DELIVERY) {
        out_raw(o, SPAN(m->seal_to));
        out_raw(o, SPAN(m->nonce));
    }
    if (has & HAS_LEASE) {
        out_id(o, &m->lease);
        out_raw(o, SPAN(m->lease_mac));
    }
    if (has & HAS_REASON)
        out_u8(o, m->reason);
    if (has & HAS_APPROVER) {
        out_id(o, &m->session);
        out_id(o, &m->slot);
    }
    if (has & HAS_OPERATION)
        wire_put_operation(o, &m->operation);
    if (has & HAS_DATA)
        out_span16(o, m->data);
    out_span16(o, m->fields);
}

void wire_get_entry(struct in *i, struct wire_entry *m)
{
    *m = (struct wire_entry){ .kind = in_u8(i) };
    unsigned has = members_of(m->kind);
    if (has == 0)
        i->bad = true;
    if (has & HAS_LOG) {
        m->log = in_id(i);
        m->type = in_u16(i);
        m->outcome = in_u8(i);
    }
    if (has & HAS_TENANT) {
        m->tenant = in_id(i);
        m->log = m->tenant;
    }
    if (has & HAS_ENGAGEMENT)
        m->engagement = in_id(i);
    if (has & HAS_KEY) {
        m->key = in_id(i);
        m->version = in_u32(i);
    }
    if (has & HAS_PROVIDER)
        m->provider = in_u16(i);
    if (has & HAS_GATEWAY) {
        m->gateway = in_id(i);
        in_copy(i, m->certificate, sizeof(m->certificate));
    }
    if (has & HAS_EXPIRES)
        m->expires_us = in_u64(i);
    if (has & HAS_DELIVERY) {
        in_copy(i, m->seal_to, sizeof(m->seal_to));
        in_copy(i, m->nonce, sizeof(m->nonce));
    }
    if (has & HAS_LEASE) {
        m->lease = in_id(i);
        in_copy(i, m->lease_mac, sizeof(m->lease_mac));
    }
    if (has & HAS_REASON)
        m->reason = in_u8(i);
    if (has & HAS_APPROVER) {
        m->session = in_id(i);
        m->slot = in_id(i);
    }
    if (has & HAS_OPERATION) {
        wire_get_operation(i, &m->operation);
        if (operation_of_tenant(m->operation.code)) {
            m->tenant = m->operation.tenant;
            m->log = m->tenant;
        }
    }
    if (has & HAS_DATA)
        m->data = in_span16(i);
    m->fields = in_span16(i);
}

static void put_hashes(struct out *o, struct span hashes)
{
    if (hashes.n % 32 != 0 || hashes.n > LIMIT_TREE_LEVELS * 32)
        o->overflow = true;
    out_u8(o, (uint8_t)(hashes.n / 32));
    out_raw(o, hashes);
}

void wire_put_drop(struct out *o, const struct wire_drop *m)
{
    out_span16(o, m->allowed);
    out_raw(o, SPAN(m->allowed_mac));
    out_span16(o, m->last);
    out_raw(o, SPAN(m->last_mac));
    put_hashes(o, m->left);
    put_hashes(o, m->right);
}

static struct span get_hashes(struct in *i)
{
    size_t count = in_u8(i);

    if (count > LIMIT_TREE_LEVELS)
        i->bad = true;
    return i->bad ? span_of(NULL, 0) : in_raw(i, count * 32);
}

void wire_get_drop(struct in *i, struct wire_drop *m)
{
    m->allowed = in_span16(i);
    in_copy(i, m->allowed_mac, sizeof(m->allowed_mac));
    m->last = in_span16(i);
    in_copy(i, m->last_mac, sizeof(m->last_mac));
    m->left = get_hashes(i);
    m->right = get_hashes(i);
}

void wire_put_record(struct out *o, const struct wire_record *m)
{
    out_id(o, &m->log);
    out_u64(o, m->seq);
    out_u64(o, m->time_us);
    out_u16(o, m->type);
    out_u8(o, m->outcome);
    out_raw(o, SPAN(m->mac));
    out_span16(o, m->line);
}

void wire_get_record(struct in *i, struct wire_record *m)
{
    m->log = in_id(i);
    m->seq = in_u64(i);
    m->time_us = in_u64(i);
    m->type = in_u16(i);
    m->outcome = in_u8(i);
    in_copy(i, m->mac, sizeof(m->mac));
    m->line = in_span16(i);
    if (m->line.n > LIMIT_RECORD)
        i->bad = true;
}

void wire_put_result(struct out *o, const struct wire_result *m)
{
    out_u8(o, m->status);
    out_id(o, &m->lease);
    out_raw(o, SPAN(m->lease_mac));
    out_u64(o, m->due_us);
    out_span16(o, m->hint);
    out_span16(o, m->data);
    out_span16(o, m->reason);
    out_u16(o, m->record_count);
}

void wire_get_result(struct in *i, struct wire_result *m)
{
    m->status = in_u8(i);
    m->lease = in_id(i);
    in_copy(i, m->lease_mac, sizeof(m->lease_mac));
    m->due_us = in_u64(i);
    m->hint = in_span16(i);
    m->data = in_span16(i);
    m->reason = in_span16(i);
    m->record_count = in_u16(i);
    if (m->status >= STATUS_COUNT)
        i->bad = true;
}
