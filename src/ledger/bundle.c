/*
 * The order of a bundle's lines, and its records. A line is of the kind that its first bytes say,
 * and a record if they say nothing else, so that a record with any damage is still counted as one.
 */
#include "bundle_lines.h"

#include <string.h>

#include "fragment.h"
#include "text.h"

#define VERSION 2

static const struct {
    const char *begins;
    enum stage stage;
} kinds[] = {
    { "{\"left\":", STAGE_LEFT },
    { "{\"right\":", STAGE_RIGHT },
    { "{\"person\":", STAGE_PERSONS },
    { "{\"operator_record\":", STAGE_OPERATORS },
    { "{\"vault_checkpoint\":", STAGE_VAULT_CHECKPOINT },
    { "{\"commitment\":", STAGE_COMMITMENT },
    { "{\"checkpoint\":", STAGE_CHECKPOINT },
};

static enum stage kind_of(struct span line)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct span begins = span_text(kinds[i].begins);

        if (line.n >= begins.n && span_same(span_of(line.p, begins.n), begins))
            return kinds[i].stage;
    }
    return STAGE_RECORDS;
}

/* --- failures -------------------------------------------------------------------------------- */

static status again(const struct bundle *b, struct err *e)
{
    return err_note(e, b->err.code, b->err.where, b->err.why, b->err.detail);
}

status bundle_failed(struct bundle *b, uint64_t seq, status code, struct err *e)
{
    (void)code; /* it is in b->err, and the first one counts */
    b->bad_seq = seq;
    return again(b, e);
}

/* Not a bundle at all. */
#define no_bundle(b, why, e) bundle_failed((b), 0, fail(&(b)->err, BAD_INPUT, why, 0), (e))

/* --- header ---------------------------------------------------------------------------------- */

static bool name_take(struct span value, char name[static BUNDLE_NAME_SIZE])
{
    struct in i = in_of(value);

    if (value.n >= BUNDLE_NAME_SIZE)
        return false;
    in_copy(&i, (uint8_t *)name, value.n);
    name[value.n] = '\0';
    return strlen(name) == value.n && name_valid(name);
}

static bool header_take(struct span line, struct bundle_header *h)
{
    static const struct fragment_member members[] = {
        { "strongroom_export", false }, { "vault", true }, { "log", true },   { "name", true },
        { "public_key", true },         { "size", false }, { "from", false }, { "to", false },
    };
    struct span value[sizeof(members) / sizeof(members[0])];
    uint64_t version = 0;
    size_t n = 0;

    return fragment_object(line, members, sizeof(members) / sizeof(members[0]), value) &&
           text_number_parse(value[0], VERSION, &version) && version == VERSION &&
           hex_parse((const char *)value[1].p, value[1].n, h->vault.b, sizeof(h->vault.b)) &&
           hex_parse((const char *)value[2].p, value[2].n, h->log.b, sizeof(h->log.b)) &&
           name_take(value[3], h->name) &&
           base64_parse((const char *)value[4].p, value[4].n, h->public32, sizeof(h->public32),
                        &n) &&
           n == sizeof(h->public32) && text_number_parse(value[5], LEDGER_SIZE_MAX, &h->size) &&
           text_number_parse(value[6], LEDGER_SIZE_MAX, &h->from) &&
           text_number_parse(value[7], LEDGER_SIZE_MAX, &h->to) && h->from <= h->to &&
           h->to <= h->size;
}

static status take_header(struct bundle *b, struct span line, struct err *e)
{
    const uint8_t *key = NULL;
    struct in from;

    if (!header_take(line, &b->header))
        return no_bundle(b, "the first line is no header of a bundle of version 2", e);
    b->stage = STAGE_LEFT;
    b->next = b->header.from;
    if (b->reader.begin != NULL)
        key = b->reader.begin(b->reader.context, &b->header);
    from = in_of(span_of(key != NULL ? key : b->header.public32, sizeof(b->public32)));
    in_copy(&from, b->public32, sizeof(b->public32));
    if (!span_same(SPAN(b->public32), SPAN(b->header.public32)))
        return bundle_refuse(b, b->next, "public key is not the one given", e);
    return OK;
}

/* --- records --------------------------------------------------------------------------------- */

static bool hash_take(struct span line, const char *name, struct ledger_proof *p)
{
    const struct fragment_member member = { name, true };
    struct span value;

    if (p->count == PROOF_MAX || !fragment_object(line, &member, 1, &value) ||
        !hex_parse((const char *)value.p, value.n, p->hash[p->count], SHA256_SIZE))
        return false;
    p->count++;
    return true;
}

/* The left side is complete. */
static status begin_records(struct bundle *b, struct err *e)
{
    b->stage = STAGE_RECORDS;
    if (ledger_verify_from(&b->verify, &b->header.vault, &b->header.log, b->header.from, &b->left,
                           NULL) != OK)
        return bundle_refuse(b, b->next, "wrong number of hashes on the left", e);
    ledger_root(&b->verify.tree, b->from_root);
    return OK;
}

/* A statement about just the records that are missing must give their root. */
static status take_dropped(struct bundle *b, struct span line, struct err *e)
{
    uint8_t root[SHA256_SIZE];
    uint64_t last = 0;
    struct span seq;
    struct span hex;

    if (!record_field(line, "last_seq", &seq) || !text_number_parse(seq, LEDGER_SIZE_MAX, &last) ||
        !record_field(line, "root", &hex) ||
        !hex_parse((const char *)hex.p, hex.n, root, sizeof(root)))
        return bundle_refuse(b, b->verify.head.seq, "malformed statement of dropped records", e);
    if (last + 1 != b->header.from)
        return OK;
    if (!span_same(SPAN(root), SPAN(b->from_root)))
        return bundle_refuse(b, b->verify.head.seq, "dropped records had another root", e);
    b->dropped_stated = true;
    return OK;
}

static status take_record(struct bundle *b, struct span line, struct err *e)
{
    if (ledger_verify_line(&b->verify, line, &b->err) != OK)
        return bundle_failed(b, b->verify.bad_seq, CORRUPT, e);
    if (b->next == b->header.to)
        return bundle_refuse(b, b->next, "more records than the header says", e);
    b->next++;
    if (b->verify.head.type == RECORD_RECORDS_DROPPED) {
        status st = take_dropped(b, line, e);

        if (st != OK)
            return st;
    }
    if (b->reader.record != NULL)
        b->reader.record(b->reader.context, line, &b->verify.tree);
    return OK;
}

/* --- checkpoint ------------------------------------------------------------------------------ */

/* The three lines that are signed; a checkpoint that verified has them. */
static struct span signed_text(struct span note)
{
    size_t n = 1;

    while (n + 1 < note.n && (note.p[n - 1] != '\n' || note.p[n] != '\n'))
        n++;
    return span_of(note.p, n);
}

static status check_commitment(struct bundle *b, struct span note, struct err *e)
{
    uint8_t root[SHA256_SIZE];

    if (!b->committed)
        return OK;
    commitment_root(&b->commitment, signed_text(note), root);
    if (!span_same(SPAN(root), SPAN(b->commitment_root)))
        return bundle_refuse(b, b->next, "commitment does not hold", e);
    return OK;
}

/* What is not there must have been dropped with a statement, or not been asked for. */
static status check_range(struct bundle *b, struct err *e)
{
    const struct bundle_header *h = &b->header;

    if (b->reader.range) {
        if (h->from > b->reader.from)
            return bundle_refuse(b, b->reader.from, "record was asked for and is missing", e);
        if (h->to < b->reader.to)
            return bundle_refuse(b, h->to, "record was asked for and is missing", e);
        return OK;
    }
    if (h->from > 0 && !b->dropped_stated)
        return bundle_refuse(b, 0, "records are missing without a statement", e);
    if (h->to < h->size)
        return bundle_refuse(b, h->to, "records are missing without a statement", e);
    return OK;
}

static status check_tree(struct bundle *b, struct span note, struct err *e)
{
    uint8_t signed_root[SHA256_SIZE];
    uint8_t root[SHA256_SIZE];
    uint64_t size = 0;

    if (checkpoint_verify(note, &b->header.vault, &b->header.log, SPAN(b->public32), &size,
                          signed_root, &b->err) != OK)
        return bundle_failed(b, b->next, CORRUPT, e);
    if (size != b->header.size)
        return bundle_refuse(b, size < b->next ? size : b->next, "size differs from checkpoint", e);
    if (ledger_tree_finish(&b->verify.tree, size, &b->right, NULL) != OK)
        return bundle_refuse(b, b->next, "wrong number of hashes on the right", e);
    ledger_root(&b->verify.tree, root);
    /* The chain is whole, so if just one record was changed it is the last. */
    if (!span_same(SPAN(root), SPAN(signed_root)))
        return bundle_refuse(b, b->next > 0 ? b->next - 1 : 0, "root differs", e);
    return OK;
}

static status take_checkpoint(struct bundle *b, struct span line, struct err *e)
{
    uint8_t bytes[BUNDLE_LINE_MAX];
    struct span note;
    status st = OK;

    if (b->operators > 0)
        return bundle_refuse(b, b->next, "no checkpoint for the operators' records", e);
    if (!bundle_text(line, "checkpoint", bytes, &note))
        return bundle_refuse(b, b->next, "malformed line", e);
    st = check_tree(b, note, e);
    if (st == OK)
        st = check_commitment(b, note, e);
    if (st == OK)
        st = check_range(b, e);
    if (st == OK)
        st = bundle_witnesses(b, note, e);
    if (st == OK && b->witnessed != ((uint32_t)1 << b->reader.witnesses) - 1)
        st = bundle_refuse(b, b->next, "not signed by a witness that was asked for", e);
    return st;
}

/* --- lines ----------------------------------------------------------------------------------- */

static status take_right(struct bundle *b, struct span line, struct err *e)
{
    if (!hash_take(line, "right", &b->right))
        return bundle_refuse(b, b->next, "malformed line", e);
    return OK;
}

/* A line after the records. */
static status take_section(struct bundle *b, enum stage kind, struct span line, struct err *e)
{
    if (b->stage == STAGE_RECORDS && b->next < b->header.to)
        return bundle_refuse(b, b->next, "a record is missing", e);
    if (kind < b->stage || kind == STAGE_RECORDS)
        return bundle_refuse(b, b->next, "line is out of place", e);
    b->stage = kind;
    switch (kind) {
    case STAGE_RIGHT: return take_right(b, line, e);
    case STAGE_PERSONS: return bundle_person(b, line, e);
    case STAGE_OPERATORS: return bundle_operator(b, line, e);
    case STAGE_VAULT_CHECKPOINT: b->stage++; return bundle_vault_checkpoint(b, line, e);
    case STAGE_COMMITMENT: b->stage++; return bundle_commitment(b, line, e);
    case STAGE_CHECKPOINT: b->stage++; return take_checkpoint(b, line, e);
    default: return bundle_refuse(b, b->next, "line is out of place", e);
    }
}

void bundle_begin(struct bundle *b, const struct bundle_reader *reader)
{
    *b = (struct bundle){ .reader = *reader };
}

status bundle_line(struct bundle *b, struct span line, struct err *e)
{
    enum stage kind = kind_of(line);

    if (b->err.code != OK)
        return again(b, e);
    if (b->stage == STAGE_HEADER)
        return take_header(b, line, e);
    if (line.n > BUNDLE_LINE_MAX)
        return bundle_refuse(b, b->next, "malformed", e);
    if (b->stage == STAGE_LEFT && kind == STAGE_LEFT) {
        if (!hash_take(line, "left", &b->left))
            return bundle_refuse(b, b->next, "malformed line", e);
        return OK;
    }
    if (b->stage == STAGE_LEFT) {
        status st = begin_records(b, e);

        if (st != OK)
            return st;
    }
    if (b->stage == STAGE_RECORDS && kind <= STAGE_RECORDS)
        return take_record(b, line, e);
    return take_section(b, kind, line, e);
}

status bundle_end(struct bundle *b, struct err *e)
{
    if (b->err.code != OK)
        return again(b, e);
    if (b->stage == STAGE_HEADER)
        return no_bundle(b, "it is empty", e);
    if (b->stage != STAGE_DONE)
        return bundle_refuse(b, b->next, "bundle is cut off", e);
    return OK;
}

/* --- pieces of a file ------------------------------------------------------------------------- */

void bundle_feed_begin(struct bundle_feed *f, struct bundle *b)
{
    f->bundle = b;
    f->n = 0;
}

/* Keeps what is no whole line yet. One byte above the limit is enough to see that it is. */
static void keep(struct bundle_feed *f, struct span part)
{
    size_t room = sizeof(f->bytes) - f->n;
    struct in i = in_of(span_of(part.p, part.n < room ? part.n : room));
    size_t n = i.n;

    in_copy(&i, f->bytes + f->n, n);
    f->n += n;
}

status bundle_feed(struct bundle_feed *f, struct span piece, struct err *e)
{
    while (piece.n > 0) {
        const uint8_t *end = memchr(piece.p, '\n', piece.n);
        size_t n = end != NULL ? (size_t)(end - piece.p) : piece.n;
        struct span line = span_of(piece.p, n);
        status st = OK;

        if (end == NULL || f->n > 0) {
            keep(f, line);
            line = span_of(f->bytes, f->n);
        }
        if (end == NULL)
            return f->n > BUNDLE_LINE_MAX ? bundle_line(f->bundle, line, e) : OK;
        f->n = 0;
        st = bundle_line(f->bundle, line, e);
        if (st != OK)
            return st;
        piece = span_of(end + 1, piece.n - n - 1);
    }
    return OK;
}

status bundle_feed_end(struct bundle_feed *f, struct err *e)
{
    status st = f->n > 0 ? bundle_line(f->bundle, span_of(f->bytes, f->n), e) : OK;

    f->n = 0;
    return st == OK ? bundle_end(f->bundle, e) : st;
}
