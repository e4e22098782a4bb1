/*
 * One table says which members an operation has; text and encoding both walk it, so that nothing
 * can be part of an operation without being part of what is signed.
 */
#include <string.h>

#include "crypto/crypto.h"
#include "internal.h"
#include "wire/operation.h"

enum {
    HAS_OPERATOR = 1 << 0,
    HAS_SLOT = 1 << 1,
    HAS_PUBLIC_KEY = 1 << 2,
    HAS_NUMBER = 1 << 3,
    HAS_RECOVERY_KEY = 1 << 4,
    HAS_TENANT = 1 << 5,
    HAS_ENGAGEMENT = 1 << 6,
    HAS_GATEWAY = 1 << 7,
    HAS_KEY = 1 << 8, /* with max_ttl */
    RECOVERS = 1 << 9,
    HAS_HEADS = 1 << 10,
    HAS_DOCUMENT = 1 << 12,
    IN_VAULT = 1 << 11 /* records of a tenant's operation in the vault's log */
};

static const struct {
    const char *name;
    uint16_t has;
    uint8_t people;
} rows[] = {
    [OPERATION_OPERATOR_ADD] = { "operator.add",
                                 HAS_OPERATOR | HAS_SLOT | HAS_PUBLIC_KEY | RECOVERS,
                                 PEOPLE_QUORUM },
    [OPERATION_OPERATOR_REMOVE] = { "operator.remove", HAS_OPERATOR | HAS_SLOT | RECOVERS,
                                    PEOPLE_QUORUM },
    [OPERATION_QUORUM_SET] = { "quorum.set", HAS_NUMBER | RECOVERS, PEOPLE_QUORUM },
    [OPERATION_CARD_RENEW] = { "card.renew", HAS_NUMBER | HAS_RECOVERY_KEY | RECOVERS,
                               PEOPLE_QUORUM },
    [OPERATION_REKEY_ROOT] = { "rekey.root", 0, PEOPLE_QUORUM },
    [OPERATION_REKEY_TENANT] = { "rekey.tenant", HAS_TENANT, PEOPLE_ONE },
    [OPERATION_REKEY_DATABASE] = { "rekey.database", 0, PEOPLE_ONE },
    [OPERATION_PURGE_NOW] = { "purge.now", HAS_TENANT | HAS_ENGAGEMENT, PEOPLE_TWO },
    [OPERATION_HOLD_SET] = { "hold.set", HAS_TENANT | HAS_ENGAGEMENT, PEOPLE_TWO },
    [OPERATION_HOLD_LIFT] = { "hold.lift", HAS_TENANT | HAS_ENGAGEMENT, PEOPLE_TWO },
    [OPERATION_GRANT_ADD] = { "grant.add", HAS_TENANT | HAS_GATEWAY | HAS_KEY, PEOPLE_ONE },
    [OPERATION_ROLLBACK_ACCEPT] = { "rollback.accept", HAS_HEADS, PEOPLE_QUORUM },
    [OPERATION_RETENTION_SET] = { "retention.set", HAS_TENANT | HAS_NUMBER | IN_VAULT, PEOPLE_TWO },
    [OPERATION_POLICY_SET] = { "policy.set", HAS_TENANT | HAS_DOCUMENT, PEOPLE_ONE },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

const char *operation_name(uint8_t code)
{
    return code < ROW_COUNT ? rows[code].name : NULL;
}

uint8_t operation_parse(const char *name)
{
    for (uint8_t i = 1; i < ROW_COUNT; i++) {
        if (rows[i].name != NULL && span_same(span_text(rows[i].name), span_text(name)))
            return i;
    }
    return 0;
}

uint8_t operation_need(uint8_t code, uint8_t quorum, uint8_t operators)
{
    uint8_t two = operators < 2 ? operators : 2;

    switch (code < ROW_COUNT ? rows[code].people : PEOPLE_QUORUM) {
    case PEOPLE_ONE: return 1;
    case PEOPLE_TWO: return two > quorum ? two : quorum;
    case PEOPLE_QUORUM: break;
    }
    return quorum;
}

static unsigned has(uint8_t code)
{
    return operation_name(code) != NULL ? rows[code].has : 0;
}

bool operation_recovers(uint8_t code)
{
    return (has(code) & RECOVERS) != 0;
}

bool operation_of_tenant(uint8_t code)
{
    return (has(code) & (HAS_TENANT | IN_VAULT)) == HAS_TENANT;
}

void wire_put_operation(struct out *o, const struct wire_operation *m)
{
    unsigned h = has(m->code);

    if (operation_name(m->code) == NULL)
        o->overflow = true;
    out_u8(o, m->code);
    out_id(o, &m->id);
    if (h & HAS_OPERATOR)
        out_span16(o, m->operator_name);
    if (h & HAS_SLOT)
        out_id(o, &m->slot);
    if (h & HAS_PUBLIC_KEY)
        out_raw(o, SPAN(m->public_key));
    if (h & HAS_NUMBER)
        out_u32(o, m->number);
    if (h & HAS_RECOVERY_KEY)
        out_raw(o, SPAN(m->recovery_key));
    if (h & HAS_TENANT)
        out_id(o, &m->tenant);
    if (h & HAS_ENGAGEMENT)
        out_id(o, &m->engagement);
    if (h & HAS_GATEWAY)
        out_id(o, &m->gateway);
    if (h & HAS_KEY) {
        out_span16(o, m->key);
        out_u32(o, m->max_ttl_s);
    }
    if (h & HAS_HEADS) {
        out_u64(o, m->size);
        out_raw(o, SPAN(m->root));
        out_u64(o, m->known_size);
        out_raw(o, SPAN(m->known_root));
    }
    if (h & HAS_DOCUMENT)
        out_raw(o, SPAN(m->document));
}

/* A name without NUL, as text for name_valid. */
static bool is_name(struct span s)
{
    char text[NAME_MAX_LENGTH + 1];

    if (s.n == 0 || s.n > NAME_MAX_LENGTH || memchr(s.p, 0, s.n) != NULL)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return name_valid(text);
}

/* A name or a pattern: nothing in it may end a member of the text early. */
static bool is_key(struct span s)
{
    bool good = s.n > 0 && s.n <= OPERATION_KEY_MAX;

    for (size_t i = 0; good && i < s.n; i++)
        good = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '=';
    return good;
}

void wire_get_operation(struct in *i, struct wire_operation *m)
{
    *m = (struct wire_operation){ .code = in_u8(i) };
    unsigned h = has(m->code);

    if (operation_name(m->code) == NULL)
        i->bad = true;
    m->id = in_id(i);
    if (h & HAS_OPERATOR)
        m->operator_name = wire_get_bounded(i, NAME_MAX_LENGTH);
    if (h & HAS_SLOT)
        m->slot = in_id(i);
    if (h & HAS_PUBLIC_KEY)
        in_copy(i, m->public_key, sizeof(m->public_key));
    if (h & HAS_NUMBER)
        m->number = in_u32(i);
    if (h & HAS_RECOVERY_KEY)
        in_copy(i, m->recovery_key, sizeof(m->recovery_key));
    if (h & HAS_TENANT)
        m->tenant = in_id(i);
    if (h & HAS_ENGAGEMENT)
        m->engagement = in_id(i);
    if (h & HAS_GATEWAY)
        m->gateway = in_id(i);
    if (h & HAS_KEY) {
        m->key = wire_get_bounded(i, OPERATION_KEY_MAX);
        m->max_ttl_s = in_u32(i);
    }
    if (h & HAS_HEADS) {
        m->size = in_u64(i);
        in_copy(i, m->root, sizeof(m->root));
        m->known_size = in_u64(i);
        in_copy(i, m->known_root, sizeof(m->known_root));
    }
    if (h & HAS_DOCUMENT)
        in_copy(i, m->document, sizeof(m->document));
    if (((h & HAS_OPERATOR) && !is_name(m->operator_name)) || ((h & HAS_KEY) && !is_key(m->key)))
        i->bad = true;
}

/* --- the text -------------------------------------------------------------------------------- */

static void put_name(struct out *o, const char *name)
{
    out_text(o, " ");
    out_text(o, name);
    out_text(o, "=");
}

static void put_hex(struct out *o, const char *name, struct span value)
{
    char text[2 * 64 + 1];

    put_name(o, name);
    hex_format(value, text);
    out_text(o, text);
}

static void put_number(struct out *o, const char *name, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put_name(o, name);
    out_raw(o, span_of(digits + n, sizeof(digits) - n));
}

void operation_text(const struct wire_operation *m, struct out *o)
{
    unsigned h = has(m->code);

    if (operation_name(m->code) == NULL || ((h & HAS_OPERATOR) && !is_name(m->operator_name)) ||
        ((h & HAS_KEY) && !is_key(m->key))) {
        o->overflow = true;
        return;
    }
    out_text(o, operation_name(m->code));
    put_hex(o, "id", SPAN(m->id.b));
    if (h & HAS_OPERATOR) {
        put_name(o, "operator");
        out_raw(o, m->operator_name);
    }
    if ((h & HAS_SLOT) && id_is_zero(&m->slot))
        out_text(o, " slot=all");
    else if (h & HAS_SLOT)
        put_hex(o, "slot", SPAN(m->slot.b));
    if (h & HAS_PUBLIC_KEY)
        put_hex(o, "public_key", SPAN(m->public_key));
    if (h & HAS_NUMBER)
        put_number(o, "number", m->number);
    if (h & HAS_RECOVERY_KEY)
        put_hex(o, "recovery_key", SPAN(m->recovery_key));
    if (h & HAS_TENANT)
        put_hex(o, "tenant", SPAN(m->tenant.b));
    if (h & HAS_ENGAGEMENT)
        put_hex(o, "engagement", SPAN(m->engagement.b));
    if (h & HAS_GATEWAY)
        put_hex(o, "gateway", SPAN(m->gateway.b));
    if (h & HAS_KEY) {
        put_name(o, "key");
        out_raw(o, m->key);
        put_number(o, "max_ttl", m->max_ttl_s);
    }
    if (h & HAS_HEADS) {
        put_number(o, "size", m->size);
        put_hex(o, "root", SPAN(m->root));
        put_number(o, "known_size", m->known_size);
        put_hex(o, "known_root", SPAN(m->known_root));
    }
    if (h & HAS_DOCUMENT)
        put_hex(o, "document", SPAN(m->document));
}

void operation_hash(struct span text, uint8_t out[static 32])
{
    struct label label;

    label_init(&label, "operation");
    label_field(&label, text);
    sha256(label_view(&label), out);
}

void operation_signed(const uint8_t operation[static 32], const uint8_t context[static 32],
                      uint8_t out[static 32])
{
    struct label label;

    label_init(&label, "step-up");
    label_field(&label, span_of(operation, 32));
    label_field(&label, span_of(context, 32));
    sha256(label_view(&label), out);
}
