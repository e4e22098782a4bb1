/*
 * Offline verification. It holds no key and needs no vault: what it knows is the records it is
 * fed and, at the end, one signed checkpoint. The chain finds where a log was changed; only the
 * checkpoint finds a log that was rewritten as a whole or cut at its end.
 */
#include "ledger/verify.h"

/* Remembers the first failure and its place. Later ones change nothing. */
#define refuse(v, seq, why, e) note_failure((v), (seq), fail(&(v)->err, CORRUPT, why, (seq)), (e))

static status note_failure(struct ledger_verify *v, uint64_t seq, status code, struct err *e)
{
    if (!v->failed) {
        v->failed = true;
        v->bad_seq = seq;
    }
    return err_note(e, code, v->err.where, v->err.why, v->err.detail);
}

static status again(const struct ledger_verify *v, struct err *e)
{
    return err_note(e, v->err.code, v->err.where, v->err.why, v->err.detail);
}

void ledger_verify_init(struct ledger_verify *v, const struct id *vault, const struct id *log)
{
    *v = (struct ledger_verify){ .vault = *vault };
    ledger_genesis(vault, log, &v->tree);
}

status ledger_verify_from(struct ledger_verify *v, const struct id *vault, const struct id *log,
                          uint64_t from, const struct ledger_proof *left, struct err *e)
{
    struct in last;
    status st = OK;

    ledger_verify_init(v, vault, log);
    if (from == 0 && left->count == 0)
        return OK;
    st = ledger_tree_start(&v->tree, from, left, e);
    v->begun_within = from % 2 == 0;
    if (st != OK || v->begun_within)
        return st;
    /* Of an odd number of records the last stands alone: its leaf is the next one's prev. */
    last = in_of(SPAN(left->hash[left->count - 1]));
    in_copy(&last, v->tree.prev, sizeof(v->tree.prev));
    return OK;
}

status ledger_verify_line(struct ledger_verify *v, struct span line, struct err *e)
{
    uint64_t seq = v->tree.size;
    uint8_t leaf[SHA256_SIZE];
    struct record_head head;

    if (v->failed)
        return again(v, e);
    if (record_parse(line, &head, NULL) != OK)
        return refuse(v, seq, "malformed", e);
    if (!id_same(&head.log, &v->tree.log))
        return refuse(v, seq, "wrong log", e);
    if (head.seq != seq)
        return refuse(v, seq, "wrong sequence", e);
    if (!v->begun_within && !span_same(SPAN(head.prev), SPAN(v->tree.prev)))
        return refuse(v, seq, "prev does not match", e);
    if (head.time_us < v->tree.time_us)
        return refuse(v, seq, "time runs backwards", e);
    ledger_leaf(line, leaf);
    if (ledger_append(&v->tree, leaf, head.time_us, NULL) != OK)
        return refuse(v, seq, "log is full", e);
    v->begun_within = false;
    v->head = head;
    return OK;
}

status ledger_verify_finish(struct ledger_verify *v, struct span note, struct span public32,
                            struct err *e)
{
    uint64_t fed = v->tree.size;
    uint64_t size = 0;
    uint8_t signed_root[SHA256_SIZE];
    uint8_t root[SHA256_SIZE];
    status st = OK;

    if (v->failed)
        return again(v, e);
    st = checkpoint_verify(note, &v->vault, &v->tree.log, public32, &size, signed_root, &v->err);
    if (st != OK)
        return note_failure(v, fed, st, e);
    /* The first record that is missing, or the first that nobody signed for. */
    if (size != fed)
        return refuse(v, size < fed ? size : fed, "size differs from checkpoint", e);
    ledger_root(&v->tree, root);
    /* The chain is whole, so if just one record was changed it is the last. */
    if (!span_same(SPAN(root), SPAN(signed_root)))
        return refuse(v, fed > 0 ? fed - 1 : 0, "root differs", e);
    return OK;
}
