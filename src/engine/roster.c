/* Who the operators were, for those who read another log than the vault's: the vault's creation,
 * the records of their hardware keys and of the quorum, and the rotations that bring a higher one,
 * each proven to be in the vault's log. */
#include "nodes.h"
#include "trail.h"

#include <string.h>

#define PAGE 32

struct roster {
    struct nodes nodes; /* of the vault's log */
    uint64_t size;
    json_t *list;
    uint64_t next;
    size_t count;
    status st;
    struct err *e;
};

static bool add_record(void *context, const struct store_record *r)
{
    struct roster *roster = context;

    if (r->seq >= roster->size)
        return false;
    json_array_append_new(roster->list,
                          json_pack("{s:I, s:o}", "seq", (json_int_t)r->seq, "line",
                                    json_stringn((const char *)r->line.p, r->line.n)));
    roster->next = r->seq + 1;
    return ++roster->count < PAGE;
}

/* Once the records are read: making a proof reads others. */
static status add_proofs(struct roster *roster, struct err *e)
{
    size_t i;
    json_t *record;
    status st = OK;

    json_array_foreach(roster->list, i, record)
    {
        struct ledger_proof p = { 0 };
        uint64_t seq = (uint64_t)json_integer_value(json_object_get(record, "seq"));

        st = proof_inclusion(seq, roster->size, nodes_of, &roster->nodes, &p, e);
        if (st != OK)
            break;
        json_object_set_new(record, "proof", proof_json(&p));
    }
    return st;
}

/* The first page comes with the checkpoint; the others are of the same size. */
APPLY(log_operators)
{
    struct roster roster = { .nodes = { .en = en, .keep = !en->disk_low } };
    struct id log;
    uint64_t held = 0;
    json_t *note = NULL;
    status st = trail_find(en, rq, &log, e);

    if (st == OK)
        st = store_log_size(en->store, &roster.nodes.log, &held, e);
    if (st == OK && rq->size == REQUEST_ABSENT)
        st = trail_checkpoint(en, &roster.nodes.log, &note, e);
    if (st != OK)
        return st;
    roster.size = rq->size == REQUEST_ABSENT ? held : rq->size;
    roster.list = json_array();
    rq->reply = json_pack("{s:I, s:o, s:o}", "size", (json_int_t)roster.size, "checkpoint",
                          note == NULL ? json_null() : note, "records", roster.list);
    if (roster.size > held)
        return fail(e, BAD_INPUT, "the log has not grown that far", 0);
    st = store_operator_records(en->store, rq->from, add_record, &roster, e);
    if (st == OK)
        st = store_begin(en->store, e);
    if (st == OK)
        st = add_proofs(&roster, e);
    if (st == OK)
        st = store_commit(en->store, e);
    else
        store_rollback(en->store);
    json_object_set_new(rq->reply, "next",
                        roster.count < PAGE ? json_null() : json_integer((json_int_t)roster.next));
    return st;
}
