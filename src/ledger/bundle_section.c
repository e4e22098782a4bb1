/*
 * What a bundle has beside its records: names behind tags, records of the vault's own log that say
 * who its operators are, and the place of the checkpoint in the vault's tree. Each is proven on
 * its own, by a hash, or by a checkpoint that the same key has signed.
 */
#include "bundle_lines.h"
#include "fragment.h"
#include "ledger/person.h"
#include "text.h"

#define MEMBERS(list) (list), sizeof(list) / sizeof((list)[0])

/* The text of a value, in bytes, which hold BUNDLE_LINE_MAX: it is never longer than written. */
static struct span unescape(struct span value, uint8_t *bytes)
{
    struct out o;

    out_init(&o, bytes, BUNDLE_LINE_MAX);
    fragment_unescape(value, &o);
    return span_of(o.p, o.overflow ? 0 : o.n);
}

bool bundle_text(struct span line, const char *name, uint8_t *bytes, struct span *ret_text)
{
    const struct fragment_member member = { name, true };
    struct span value;

    if (!fragment_object(line, &member, 1, &value))
        return false;
    *ret_text = unescape(value, bytes);
    return true;
}

static bool hex_take(struct span value, uint8_t *out, size_t n)
{
    return hex_parse((const char *)value.p, value.n, out, n);
}

/* Hashes one after the other. */
static bool proof_take(struct span value, struct ledger_proof *p)
{
    p->count = value.n / (2 * SHA256_SIZE);
    return value.n % (2 * SHA256_SIZE) == 0 && p->count <= PROOF_MAX &&
           hex_take(value, p->hash[0], p->count * SHA256_SIZE);
}

status bundle_person(struct bundle *b, struct span line, struct err *e)
{
    static const struct fragment_member members[] = { { "person", true },
                                                      { "salt", true },
                                                      { "name", true } };
    struct span value[sizeof(members) / sizeof(members[0])];
    uint8_t bytes[BUNDLE_LINE_MAX];
    uint8_t expected[PERSON_TAG];
    struct span name;
    struct id salt;
    struct id tag;

    if (!fragment_object(line, MEMBERS(members), value) ||
        !hex_take(value[0], tag.b, sizeof(tag.b)) || !hex_take(value[1], salt.b, sizeof(salt.b)))
        return bundle_refuse(b, b->next, "malformed line", e);
    name = unescape(value[2], bytes);
    if (name.n > NAME_MAX_LENGTH)
        return bundle_refuse(b, b->next, "malformed line", e);
    person_tag(salt.b, name, expected);
    if (!span_same(SPAN(tag.b), SPAN(expected)))
        return bundle_refuse(b, b->next, "name does not belong to its tag", e);
    b->persons++;
    if (b->reader.person != NULL)
        b->reader.person(b->reader.context, &tag, name);
    return OK;
}

static bool says_who(uint16_t type)
{
    return type == RECORD_VAULT_CREATED || type == RECORD_OPERATOR_ENROLLED ||
           type == RECORD_OPERATOR_REMOVED || type == RECORD_QUORUM_CHANGED ||
           type == RECORD_REKEY_DONE;
}

/* All of them are held against the root that the first one leads to; that one against the
 * checkpoint that follows. */
static status place_operator(struct bundle *b, struct span record, uint64_t seq, uint64_t size,
                             const struct ledger_proof *p, struct err *e)
{
    uint8_t leaf[SHA256_SIZE];
    status st = OK;

    ledger_leaf(record, leaf);
    if (b->operators == 0) {
        b->operator_size = size;
        st = proof_inclusion_root(leaf, seq, size, p, b->operator_root, &b->err);
    } else if (size != b->operator_size) {
        return bundle_refuse(b, b->next, "operators' records are of several trees", e);
    } else {
        st = proof_inclusion_check(leaf, seq, size, b->operator_root, p, &b->err);
    }
    return st == OK ? OK : bundle_failed(b, b->next, st, e);
}

status bundle_operator(struct bundle *b, struct span line, struct err *e)
{
    static const struct fragment_member members[] = {
        { "operator_record", true }, { "seq", false }, { "size", false }, { "proof", true }
    };
    struct span value[sizeof(members) / sizeof(members[0])];
    uint8_t bytes[BUNDLE_LINE_MAX];
    struct ledger_proof proof;
    struct record_head head;
    struct span record;
    uint64_t size = 0;
    uint64_t seq = 0;
    status st = OK;

    if (!fragment_object(line, MEMBERS(members), value) ||
        !text_number_parse(value[1], LEDGER_SIZE_MAX, &seq) ||
        !text_number_parse(value[2], LEDGER_SIZE_MAX, &size) || !proof_take(value[3], &proof))
        return bundle_refuse(b, b->next, "malformed line", e);
    record = unescape(value[0], bytes);
    if (record_parse(record, &head, NULL) != OK || !id_same(&head.log, &ledger_log_vault) ||
        head.seq != seq || !says_who(head.type))
        return bundle_refuse(b, b->next, "malformed record of operators", e);
    if (seq < b->operator_next)
        return bundle_refuse(b, b->next, "operators' records are out of order", e);
    st = place_operator(b, record, seq, size, &proof, e);
    if (st != OK)
        return st;
    b->operator_next = seq + 1;
    b->operators++;
    if (b->reader.operator_record != NULL)
        b->reader.operator_record(b->reader.context, record);
    return OK;
}

status bundle_vault_checkpoint(struct bundle *b, struct span line, struct err *e)
{
    uint8_t bytes[BUNDLE_LINE_MAX];
    uint8_t root[SHA256_SIZE];
    uint64_t size = 0;
    struct span note;

    if (b->operators == 0)
        return bundle_refuse(b, b->next, "line is out of place", e);
    if (!bundle_text(line, "vault_checkpoint", bytes, &note))
        return bundle_refuse(b, b->next, "malformed line", e);
    if (checkpoint_verify(note, &b->header.vault, &ledger_log_vault, SPAN(b->public32), &size, root,
                          &b->err) != OK)
        return bundle_failed(b, b->next, CORRUPT, e);
    if (size != b->operator_size || !span_same(SPAN(root), SPAN(b->operator_root)))
        return bundle_refuse(b, b->next, "operators' records are not in the vault's log", e);
    b->operators_proven = b->operators;
    b->operators = 0;
    return OK;
}

status bundle_witnesses(struct bundle *b, struct span note, struct err *e)
{
    for (size_t i = 0; i < b->reader.witnesses; i++) {
        struct err why = { 0 };

        if (note_verify(note, &b->reader.witness[i], NULL, &why) == OK)
            b->witnessed |= (uint32_t)1 << i;
        else if (span_same(span_text(why.why), span_text("bad signature")))
            return bundle_refuse(b, b->next, "bad signature of a witness", e);
    }
    return OK;
}

/* The record of the round in the tree's own log, and its place there. */
static status check_round(struct bundle *b, struct span record, uint64_t size,
                          const struct ledger_proof *proof, struct span note, struct err *e)
{
    uint8_t leaf[SHA256_SIZE];
    uint8_t root[SHA256_SIZE];
    struct record_head head;
    struct span round;
    struct span hex;
    uint64_t signed_size = 0;
    uint64_t number = 0;

    if (record_parse(record, &head, NULL) != OK || !id_same(&head.log, &ledger_log_tree) ||
        head.type != RECORD_TREE_COMMITTED || !record_field(record, "round", &round) ||
        !text_number_parse(round, FRAGMENT_NUMBER_MAX, &number) || number != b->commitment.round ||
        !record_field(record, "root", &hex) ||
        !hex_take(hex, b->commitment_root, sizeof(b->commitment_root)))
        return bundle_refuse(b, b->next, "malformed record of a commitment", e);
    if (checkpoint_verify(note, &b->header.vault, &ledger_log_tree, SPAN(b->public32), &signed_size,
                          root, &b->err) != OK)
        return bundle_failed(b, b->next, CORRUPT, e);
    ledger_leaf(record, leaf);
    if (signed_size != size || proof_inclusion_check(leaf, head.seq, size, root, proof, NULL) != OK)
        return bundle_refuse(b, b->next, "commitment is not in the vault's tree", e);
    b->committed = true;
    return bundle_witnesses(b, note, e);
}

status bundle_commitment(struct bundle *b, struct span line, struct err *e)
{
    static const struct fragment_member members[] = {
        { "commitment", true }, { "round", false },          { "index", false },
        { "siblings", true },   { "record", true },          { "tree_size", false },
        { "proof", true },      { "tree_checkpoint", true },
    };
    struct span value[sizeof(members) / sizeof(members[0])];
    uint8_t record[BUNDLE_LINE_MAX];
    uint8_t note[BUNDLE_LINE_MAX];
    struct commitment *c = &b->commitment;
    struct ledger_proof proof;
    uint64_t index = 0;
    uint64_t size = 0;

    if (!fragment_object(line, MEMBERS(members), value) ||
        !hex_take(value[0], c->blind, sizeof(c->blind)) ||
        !text_number_parse(value[1], FRAGMENT_NUMBER_MAX, &c->round) ||
        !text_number_parse(value[2], ((uint64_t)1 << COMMITMENT_LEVELS) - 1, &index) ||
        !hex_take(value[3], c->sibling[0], sizeof(c->sibling)) ||
        !text_number_parse(value[5], LEDGER_SIZE_MAX, &size) || !proof_take(value[6], &proof))
        return bundle_refuse(b, b->next, "malformed line", e);
    c->index = (uint32_t)index;
    return check_round(b, unescape(value[4], record), size, &proof, unescape(value[7], note), e);
}
