/*
 * The statement that a tenant's oldest records are not kept any more. It is the keeper's word for
 * their root, so nothing in it is the server's:
 *
 * 1. That they may be dropped is said by a retention.set record of the vault's log, with the
 *    keeper's MAC, which was written only after approvals (operation.c).
 * 2. How old they are is said by the last of them, with the keeper's MAC: time in a log never runs
 *    backwards.
 * 3. What their root is follows from the keeper's own tree: subtrees that do not make up its root
 *    are refused.
 *
 * A server could show a retention.set that another one has replaced. The record names it, so that
 * whoever has the vault's log finds that out.
 */
#include <string.h>

#include "base/clock.h"
#include "batch.h"
#include "ledger/proof.h"

#define DAY_US ((uint64_t)86400 * SECOND_US)

/* A record of log as this keeper wrote it. */
static status read_record(struct keeper *k, const struct id *log, struct span line,
                          const uint8_t mac[static MAC_SIZE], struct record_head *ret_head,
                          struct err *e)
{
    const struct secret *mac_key = NULL;
    uint8_t expected[MAC_SIZE];

    status st = opened_log_mac(k, log, &mac_key, e);
    if (st == OK)
        st = ledger_mac(mac_key, line, expected, e);
    if (st != OK)
        return st;
    if (!secret_equal(SPAN(expected), span_of(mac, MAC_SIZE)) ||
        record_parse(line, ret_head, NULL) != OK || !id_same(&ret_head->log, log))
        return fail(e, DENIED, "not a record of this log", 0);
    return OK;
}

/* For how many days the tenant's records are kept. */
static status read_allowed(struct keeper *k, const struct id *tenant, const struct wire_drop *m,
                           uint64_t *ret_days, struct span *ret_by, struct err *e)
{
    struct record_head head;
    struct id whose;

    status st = read_record(k, &ledger_log_vault, m->allowed, m->allowed_mac, &head, e);
    if (st != OK)
        return st;
    if (head.type != RECORD_RETENTION_SET || head.outcome != OUTCOME_OK ||
        !record_field_id(m->allowed, "tenant_id", &whose) || !id_same(&whose, tenant) ||
        !record_field_number(m->allowed, "days", 0, RETENTION_MAX, ret_days) ||
        !record_field(m->allowed, "operation", ret_by) || *ret_days < RETENTION_MIN)
        return fail(e, DENIED, "the tenant's records are to be kept", 0);
    return OK;
}

static void copy_hashes(struct ledger_proof *p, struct span hashes)
{
    struct in from = in_of(hashes);

    p->count = hashes.n / SHA256_SIZE;
    for (size_t i = 0; i < p->count; i++)
        in_copy(&from, p->hash[i], SHA256_SIZE);
}

/* The root of the first `from` records, if left and right are what the tree consists of. */
static status read_root(const struct ledger_tree *tree, uint64_t from, const struct wire_drop *m,
                        uint8_t ret_root[static SHA256_SIZE], struct err *e)
{
    struct ledger_tree t = { .log = tree->log };
    struct ledger_proof p;
    uint8_t root[SHA256_SIZE], own[SHA256_SIZE];

    copy_hashes(&p, m->left);
    status st = ledger_tree_start(&t, from, &p, e);
    if (st != OK)
        return st;
    ledger_root(&t, ret_root);
    copy_hashes(&p, m->right);
    st = ledger_tree_finish(&t, tree->size, &p, e);
    if (st != OK)
        return st;
    ledger_root(&t, root);
    ledger_root(tree, own);
    return span_same(SPAN(root), SPAN(own)) ? OK
                                            : fail(e, DENIED, "the log has other subtrees", from);
}

status entry_records_drop(struct keeper *k, struct batch *b, struct err *e)
{
    const struct id *tenant = &b->entry->tenant;
    const struct log_head *log = heads_find(&k->heads, tenant);
    struct in data = in_of(b->entry->data);
    uint8_t root[SHA256_SIZE];
    struct record_head last;
    struct wire_drop m;
    struct span allowed_by;
    uint64_t days = 0;

    if (log == NULL || id_is_zero(tenant))
        return fail(e, NOT_FOUND, "no such tenant", 0);
    wire_get_drop(&data, &m);
    if (!in_end(&data))
        return fail(e, BAD_INPUT, "malformed request", 0);
    status st = read_allowed(k, tenant, &m, &days, &allowed_by, e);
    if (st == OK)
        st = read_record(k, tenant, m.last, m.last_mac, &last, e);
    if (st != OK)
        return st;
    if ((last.seq + 1) % DROP_UNIT != 0)
        return fail(e, BAD_INPUT, "not a multiple of 256 records", last.seq);
    if (b->time_us < days * DAY_US || last.time_us > b->time_us - days * DAY_US)
        return fail(e, DENIED, "the records are not old enough", last.seq);
    st = read_root(&log->tree, last.seq + 1, &m, root, e);
    if (st != OK)
        return st;
    struct made *made = entry_make(b, tenant, RECORD_RECORDS_DROPPED);
    fields_number(&made->fields, "first_seq", 0);
    fields_number(&made->fields, "last_seq", last.seq);
    fields_number(&made->fields, "records", last.seq + 1);
    fields_hex(&made->fields, "root", SPAN(root));
    fields_number(&made->fields, "days", days);
    fields_span(&made->fields, "allowed_by", allowed_by);
    return OK;
}
