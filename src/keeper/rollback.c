/*
 * A database or a keyring that was put back to an older state.
 *
 * 1. Nothing goes on by itself: only records, approvals and the acceptance are written, the anchor
 *    stays as it is, no checkpoint is signed and nothing rotates. Putting back what belongs there,
 *    instead of accepting, finds it as it was left.
 * 2. The acceptance names both heads: what is there, which operators touched their keys for, and
 *    what the keyring's anchor and the proposer remember. From then on the anchor covers what is
 *    there, in a run that is newer than any before, so that what was given up cannot come back.
 */
#include <string.h>

#include "batch.h"

bool rollback_allows(const struct wire_entry *m)
{
    return m->kind == ENTRY_RECORD || m->kind == ENTRY_APPROVE ||
           (m->kind == ENTRY_OPERATION && m->operation.code == OPERATION_ROLLBACK_ACCEPT);
}

static void put_anchor(struct fields *f, uint64_t records, uint64_t anchored)
{
    fields_number(f, "records", records);
    fields_number(f, "anchored", anchored);
}

/* Also in a vault that noticed nothing, because both were put back: then it is only said. */
status rollback_accept(struct keeper *k, struct batch *b, struct err *e)
{
    const struct wire_operation *m = &b->entry->operation;

    if (m->size != k->found.size || !span_same(SPAN(m->root), SPAN(k->found.root)))
        return fail(e, CONFLICT, "the vault's log is not the one that was approved", 0);
    struct made *made = entry_make(b, &ledger_log_vault, RECORD_ROLLBACK_ACCEPTED);
    fields_number(&made->fields, "size", m->size);
    fields_hex(&made->fields, "root", SPAN(m->root));
    fields_number(&made->fields, "known_size", m->known_size);
    fields_hex(&made->fields, "known_root", SPAN(m->known_root));
    put_anchor(&made->fields, k->heads_found, k->found.anchored);
    k->accepted = (struct accepted){ .exists = true,
                                     .records = k->heads_found,
                                     .anchored = k->found.anchored };
    b->accepts = true;
    return OK;
}

/* The same in the log of a tenant, with the head of that log. */
status entry_rollback_told(struct keeper *k, struct batch *b, struct err *e)
{
    const struct log_head *head = heads_find(&k->heads, &b->entry->tenant);
    uint8_t root[SHA256_SIZE];

    if (!k->accepted.exists)
        return fail(e, CONFLICT, "no rollback was accepted", 0);
    if (head == NULL || id_same(&head->tree.log, &ledger_log_vault) ||
        id_same(&head->tree.log, &ledger_log_tree))
        return fail(e, NOT_FOUND, "no such tenant", 0);
    ledger_root(&head->tree, root);
    struct made *made = entry_make(b, &head->tree.log, RECORD_ROLLBACK_ACCEPTED);
    fields_number(&made->fields, "size", head->tree.size);
    fields_hex(&made->fields, "root", SPAN(root));
    put_anchor(&made->fields, k->accepted.records, k->accepted.anchored);
    fields_hex(&made->fields, "accepted_by", SPAN(k->accepted.operation));
    return OK;
}
