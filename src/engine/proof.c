/* Proofs about a log, for those who check its checkpoints: inclusion, consistency, ranges. */
#include "nodes.h"
#include "retention.h"
#include "trail.h"

json_t *proof_json(const struct ledger_proof *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->count; i++) {
        char text[48];

        base64_format(SPAN(p->hash[i]), text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

/* The log, and how far of it the proof is to reach: no further than there are records. */
static status begin(struct engine *en, struct request *rq, uint64_t *size, struct nodes *ret_nodes,
                    struct err *e)
{
    uint64_t held = 0;
    status st = trail_find(en, rq, &ret_nodes->log, e);

    ret_nodes->en = en;
    if (st == OK)
        st = store_log_size(en->store, &ret_nodes->log, &held, e);
    if (st != OK)
        return st;
    if (*size == REQUEST_ABSENT)
        *size = held;
    return *size <= held ? OK : fail(e, BAD_INPUT, "the log has not grown that far", 0);
}

/* A place amid records that were dropped: of those only units of DROP_UNIT have a subtree. */
static status check_cut(struct request *rq, const struct nodes *nodes, uint64_t at, struct err *e)
{
    return at % DROP_UNIT == 0 ? OK : retention_kept(nodes->en, rq, &nodes->log, at, e);
}

APPLY(log_consistency)
{
    struct ledger_proof p = { 0 };
    struct nodes nodes;
    status st = begin(en, rq, &rq->to, &nodes, e);

    if (st == OK)
        st = check_cut(rq, &nodes, rq->from, e);
    if (st == OK)
        st = check_cut(rq, &nodes, rq->to, e);
    if (st == OK)
        st = proof_consistency(rq->from, rq->to, nodes_of, &nodes, &p, e);
    if (st != OK)
        return st;
    rq->reply = json_pack("{s:I, s:I, s:o}", "from", (json_int_t)rq->from, "to", (json_int_t)rq->to,
                          "proof", proof_json(&p));
    return OK;
}

APPLY(log_inclusion)
{
    struct ledger_proof p = { 0 };
    uint8_t leaf[SHA256_SIZE];
    char text[48];
    struct nodes nodes;
    status st = begin(en, rq, &rq->size, &nodes, e);

    if (st == OK && rq->seq == REQUEST_ABSENT)
        st = fail(e, BAD_INPUT, "seq is missing", 0);
    if (st == OK)
        st = retention_kept(en, rq, &nodes.log, rq->seq, e);
    if (st == OK)
        st = proof_inclusion(rq->seq, rq->size, nodes_of, &nodes, &p, e);
    if (st == OK)
        st = nodes_of(&nodes, 0, rq->seq, leaf, e);
    if (st != OK)
        return st;
    base64_format(SPAN(leaf), text);
    rq->reply = json_pack("{s:I, s:I, s:s, s:o}", "seq", (json_int_t)rq->seq, "size",
                          (json_int_t)rq->size, "leaf", text, "proof", proof_json(&p));
    return OK;
}

APPLY(log_range)
{
    struct ledger_proof left = { 0 }, right = { 0 };
    struct nodes nodes;
    status st = begin(en, rq, &rq->size, &nodes, e);

    if (st == OK && rq->to == REQUEST_ABSENT)
        rq->to = rq->size;
    if (st == OK)
        st = check_cut(rq, &nodes, rq->from, e);
    if (st == OK)
        st = check_cut(rq, &nodes, rq->to, e);
    if (st == OK)
        st = check_cut(rq, &nodes, rq->size, e);
    if (st == OK)
        st = proof_range(rq->from, rq->to, rq->size, nodes_of, &nodes, &left, &right, e);
    if (st != OK)
        return st;
    rq->reply = json_pack("{s:I, s:I, s:I, s:o, s:o}", "from", (json_int_t)rq->from, "to",
                          (json_int_t)rq->to, "size", (json_int_t)rq->size, "left",
                          proof_json(&left), "right", proof_json(&right));
    return OK;
}
