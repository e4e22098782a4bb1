/* Proofs of single records as files. The reader takes exactly the form that the writer gives. */
#include "ledger/tlog_proof.h"

#include "note_lines.h"
#include "text.h"

#define BASE64_SIZE(n) (4 * (((n) + 2) / 3) + 1)

status tlog_proof_write(struct span record, uint64_t index, const struct ledger_proof *proof,
                        struct span note, struct out *out, struct err *e)
{
    char text[BASE64_SIZE(LIMIT_RECORD)];

    if (record.n > LIMIT_RECORD || proof->count > PROOF_MAX)
        return fail(e, LIMIT, "record or proof too long", record.n);
    out_text(out, TLOG_PROOF_MAGIC "extra ");
    base64_format(record, text);
    out_text(out, text);
    out_text(out, "\nindex ");
    text_number_put(out, index);
    out_u8(out, '\n');
    for (size_t i = 0; i < proof->count; i++) {
        base64_format(SPAN(proof->hash[i]), text);
        out_text(out, text);
        out_u8(out, '\n');
    }
    out_u8(out, '\n');
    out_raw(out, note);
    if (out->overflow)
        return fail(e, LIMIT, "no room for the proof", 0);
    return OK;
}

/* The next line, which must begin with word; what comes after it. */
static bool take_named(struct in *i, const char *word, struct span *ret_rest)
{
    struct span begins = span_text(word);
    struct span line;

    if (!note_take_line(i, &line) || line.n < begins.n ||
        !span_same(span_of(line.p, begins.n), begins))
        return false;
    *ret_rest = span_of(line.p + begins.n, line.n - begins.n);
    return true;
}

/* Hashes up to the empty line. */
static bool take_hashes(struct in *i, struct ledger_proof *p)
{
    struct span line;

    for (p->count = 0; note_take_line(i, &line); p->count++) {
        size_t n = 0;

        if (line.n == 0)
            return true;
        if (p->count == PROOF_MAX ||
            !base64_parse((const char *)line.p, line.n, p->hash[p->count], SHA256_SIZE, &n) ||
            n != SHA256_SIZE)
            return false;
    }
    return false;
}

status tlog_proof_read(struct span text, struct tlog_proof *ret, struct err *e)
{
    struct span magic = span_text(TLOG_PROOF_MAGIC);
    struct in rest = in_of(text);
    struct span extra;
    struct span index;

    if (text.n > TLOG_PROOF_MAX || text.n < magic.n || !span_same(in_raw(&rest, magic.n), magic))
        return fail(e, BAD_INPUT, "it does not begin as a proof", 0);
    if (!take_named(&rest, "extra ", &extra) ||
        !base64_parse((const char *)extra.p, extra.n, ret->record, sizeof(ret->record),
                      &ret->record_length))
        return fail(e, BAD_INPUT, "the proof has no record with it", 0);
    if (!take_named(&rest, "index ", &index) ||
        !text_number_parse(index, LEDGER_SIZE_MAX, &ret->index) || !take_hashes(&rest, &ret->proof))
        return fail(e, BAD_INPUT, "the proof is malformed", 0);
    ret->note = span_of(rest.p, rest.n);
    return OK;
}

static status check_witnesses(struct span note, const struct note_key *witness, size_t witnesses,
                              struct err *e)
{
    for (size_t i = 0; i < witnesses; i++) {
        struct err why = { 0 };

        if (note_verify(note, &witness[i], NULL, &why) == OK)
            continue;
        if (span_same(span_text(why.why), span_text("bad signature")))
            return fail(e, CORRUPT, "bad signature of a witness", 0);
        return fail(e, CORRUPT, "not signed by a witness that was asked for", 0);
    }
    return OK;
}

status tlog_proof_verify(const struct tlog_proof *p, struct span public32,
                         const struct note_key *witness, size_t witnesses, struct id *ret_vault,
                         struct record_head *ret_head, uint64_t *ret_size, struct err *e)
{
    struct span record = span_of(p->record, p->record_length);
    uint8_t root[SHA256_SIZE];
    uint8_t leaf[SHA256_SIZE];
    struct span text;
    struct id log;
    status st = OK;

    if (record_parse(record, ret_head, NULL) != OK)
        return fail(e, CORRUPT, "malformed", 0);
    if (ret_head->seq != p->index)
        return fail(e, CORRUPT, "wrong sequence", 0);
    st = checkpoint_read(p->note, ret_vault, &log, ret_size, root, &text, e);
    if (st != OK)
        return st;
    if (!id_same(&log, &ret_head->log))
        return fail(e, CORRUPT, "wrong log", 0);
    st = checkpoint_verify(p->note, ret_vault, &log, public32, ret_size, root, e);
    if (st != OK)
        return st;
    ledger_leaf(record, leaf);
    st = proof_inclusion_check(leaf, p->index, *ret_size, root, &p->proof, e);
    return st == OK ? check_witnesses(p->note, witness, witnesses, e) : st;
}
