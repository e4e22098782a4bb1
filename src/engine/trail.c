/* Reading the audit trail: records as stored, the keeper's checkpoint and its word on MACs. */
#include "trail.h"

#include <string.h>

#include "nodes.h"
#include "page.h"
#include "retention.h"

/* The vault tree says nothing of anybody, so everybody may see it, and gateways nothing else. */
status trail_find(struct engine *en, struct request *rq, struct id *ret_log, struct err *e)
{
    status st;

    *ret_log = ledger_log_tree;
    if (strcmp(rq->param[0], "tree") == 0)
        return OK;
    *ret_log = (struct id){ { 0 } };
    if (rq->peer.role == ROLE_GATEWAY)
        return fail(e, NOT_FOUND, "there is no such tenant", 0);
    if (strcmp(rq->param[0], "vault") == 0 && rq->peer.role != ROLE_TENANT && !rq->limited)
        return OK;
    st = verb_tenant(en, rq, e);
    if (st == OK)
        *ret_log = rq->log;
    return st;
}

status trail_checkpoint(struct engine *en, const struct id *log, json_t **ret_note, struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_CHECKPOINT);
    struct span note;
    struct in body;
    status st;

    out_u64(out, en->acked);
    out_u16(out, 1);
    out_id(out, log);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    note = in_span16(&body);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's checkpoint is malformed", 0);
    *ret_note = json_stringn((const char *)note.p, note.n);
    return OK;
}

/* Where the log begins, and what a verifier needs who begins there. */
static status add_beginning(struct engine *en, const struct id *log, json_t *reply, struct err *e)
{
    struct nodes nodes = { .en = en, .log = *log };
    struct ledger_proof left, right;
    uint64_t first = 0;
    json_t *list;
    status st = store_log_first(en->store, log, &first, e);

    if (st == OK)
        json_object_set_new(reply, "first", json_integer((json_int_t)first));
    if (st != OK || first == 0)
        return st;
    st = proof_range(first, first, first, nodes_of, &nodes, &left, &right, e);
    if (st != OK)
        return st;
    list = json_array();
    for (size_t i = 0; i < left.count; i++)
        json_array_append_new(list, json_hex(SPAN(left.hash[i])));
    json_object_set_new(reply, "left", list);
    return OK;
}

APPLY(log_show)
{
    char public_key[48];
    struct id log;
    uint64_t size;
    json_t *note;
    status st = trail_find(en, rq, &log, e);

    if (st == OK)
        st = store_log_size(en->store, &log, &size, e);
    if (st == OK)
        st = trail_checkpoint(en, &log, &note, e);
    if (st != OK)
        return st;
    base64_format(SPAN(en->ledger_public), public_key);
    rq->reply = json_pack("{s:o, s:o, s:s, s:I, s:o, s:s}", "vault", json_id(&en->vault), "log",
                          json_id(&log), "name", rq->param[0], "size", (json_int_t)size,
                          "checkpoint", note, "public_key", public_key);
    st = add_beginning(en, &log, rq->reply, e);
    return st == OK && id_same(&log, &ledger_log_tree) ? cosigned_add(en, rq->reply, e) : st;
}

APPLY(log_records)
{
    struct page page = { 0 };
    struct id log;
    status st = trail_find(en, rq, &log, e);

    if (st == OK)
        st = store_log_size(en->store, &log, &rq->log_size, e);
    if (st == OK && rq->filter != NULL)
        return log_search(en, rq, &log, e);
    if (st == OK)
        st = retention_kept(en, rq, &log, rq->from, e);
    if (st == OK)
        st = store_records(en->store, &log, rq->from, page_limit(rq), page_add, &page, e);
    return st == OK ? page_finish(en, rq, &page, &log, e) : page_abandon(&page, st);
}

/* Lines and MACs for the keeper, as many as one frame holds. */
struct check {
    struct out *out;
    size_t count_at;
    uint16_t count;
    uint64_t next;
};

static bool check_add(void *context, const struct store_record *r)
{
    struct check *c = context;

    if (r->seq != c->next || c->out->n + r->line.n + 64 > LIMIT_FRAME - 64)
        return false; /* a gap ends the range: its first record is the bad one */
    out_span16(c->out, r->line);
    out_raw(c->out, SPAN(r->mac));
    c->count++;
    c->next = r->seq + 1;
    return true;
}

/* One frame's worth of [from, to). *ret_bad: sequence number of the first wrong MAC, or -1. */
static status check_some(struct engine *en, const struct id *log, uint64_t *from, uint64_t to,
                         int64_t *ret_bad, struct err *e)
{
    struct check c = { .out = wire_client_begin(en->client, WIRE_CHECK_MACS), .next = *from };
    struct in body;
    uint16_t first_bad;
    status st;

    out_id(c.out, log);
    c.count_at = c.out->n;
    out_u16(c.out, 0);
    st = store_records(en->store, log, *from, (size_t)(to - *from), check_add, &c, e);
    if (st != OK)
        return st;
    if (c.count == 0) { /* a record is missing */
        *ret_bad = (int64_t)*from;
        return OK;
    }
    c.out->p[c.count_at] = (uint8_t)(c.count >> 8);
    c.out->p[c.count_at + 1] = (uint8_t)c.count;
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    first_bad = in_u16(&body);
    *ret_bad = first_bad < c.count ? (int64_t)(*from + first_bad) : -1;
    *from = c.next;
    return OK;
}

APPLY(log_check)
{
    struct id log;
    uint64_t from = 0, to = 0, size = 0, at;
    int64_t bad = -1;
    status st = trail_find(en, rq, &log, e);

    if (st == OK)
        st = store_log_size(en->store, &log, &size, e);
    if (st == OK)
        st = body_number(rq, "from", 0, 0, INT64_MAX, &from, e);
    if (st == OK)
        st = body_number(rq, "to", 0, 0, INT64_MAX, &to, e);
    if (st == OK && (to < from || to - from > PAGE_MAX))
        st = fail(e, BAD_INPUT, "from and to span at most 500 records", 0);
    if (st == OK)
        st = retention_kept(en, rq, &log, from, e);
    to = to < size ? to : size; /* what lies beyond the end is not bad but not there */
    at = from = from < to ? from : to;
    while (st == OK && bad < 0 && at < to)
        st = check_some(en, &log, &at, to, &bad, e);
    if (st != OK)
        return st;
    rq->reply = json_pack("{s:I, s:o}", "checked", (json_int_t)(to - from), "bad",
                          bad < 0 ? json_null() : json_integer((json_int_t)bad));
    return OK;
}
