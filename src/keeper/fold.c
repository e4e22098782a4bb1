/*
 * Folding: what the journal was told while no audit key was at hand becomes records, oldest
 * first. Tombstones that an entry explains get their MAC in the same commit. The entries leave
 * the journal with the server's acknowledgement, not before: a crash in between folds them a
 * second time, under the same journal number, rather than never.
 */
#include "batch.h"

static const char *const reason_names[] = {
    [DESTROY_REPLACED] = "replaced",     [DESTROY_REVOKED] = "revoked",
    [DESTROY_GRACE_OVER] = "grace-over", [DESTROY_PURGED] = "purged",
    [DESTROY_UNANSWERED] = "unanswered",
};

const char *destroy_reason_name(uint8_t reason)
{
    return reason < sizeof(reason_names) / sizeof(reason_names[0]) ? reason_names[reason] : NULL;
}

static void put_subject(struct fields *f, const struct journal_entry *entry)
{
    switch (entry->type) {
    case RECORD_VAULT_UNLOCKED:
    case RECORD_VAULT_UNLOCK_FAILED:
    case RECORD_UNLOCK_SHARE:
    case RECORD_CARD_USED:
    case RECORD_SLOT_DESTROYED:
        fields_id(f, "slot_id", &entry->subject);
        if (entry->number == 1)
            out_text(&f->out, ",\"recovery\":true");
        return;
    case RECORD_KEY_DESTROYED:
        fields_id(f, "key_id", &entry->subject);
        fields_number(f, "version", entry->version);
        fields_id(f, "engagement_id", &entry->engagement);
        return;
    case RECORD_PURGE_KEYS_DESTROYED:
        fields_id(f, "engagement_id", &entry->subject);
        fields_number(f, "number", entry->number);
        return;
    case RECORD_TENANT_SEED_DESTROYED: fields_id(f, "tenant_id", &entry->subject); return;
    case RECORD_VAULT_LOCKED: fields_text(f, "reason", keeper_lock_reason(entry->number)); return;
    case RECORD_REKEY_DONE:
        fields_text(f, "what", id_is_zero(&entry->tenant) ? "root" : "tenant");
        fields_number(f, "epoch", entry->number);
        return;
    case RECORD_TOMBSTONE_ALARM:
        if (entry->number == CELL_EMPTY) {
            fields_number(f, "scars", entry->version);
            return;
        }
        fields_id(f, "key_id", &entry->subject);
        fields_number(f, "version", entry->version);
        fields_number(f, "number", entry->number);
        if (!id_is_zero(&entry->tenant))
            fields_id(f, "tenant_id", &entry->tenant);
        return;
    default: fields_number(f, "number", entry->number); return;
    }
}

static void make(struct keeper *k, struct batch *b, const struct journal_entry *entry)
{
    /* An alarm is for those who run the vault; what its tombstone says of a tenant is unproven. */
    bool of_tenant =
        entry->type != RECORD_TOMBSTONE_ALARM && heads_find(&k->heads, &entry->tenant) != NULL;
    struct made *made = entry_make(b, of_tenant ? &entry->tenant : &ledger_log_vault, entry->type);

    made->outcome = entry->outcome <= OUTCOME_FAILED ? entry->outcome : OUTCOME_FAILED;
    put_subject(&made->fields, entry);
    fields_text(&made->fields, "reason", destroy_reason_name(entry->reason));
    fields_time(&made->fields, "happened", entry->time_us);
    fields_number(&made->fields, "journal", entry->seq);
}

/* The tombstone may be proven already: then it died while the vault was unlocked. */
static status prove(struct keeper *k, const struct journal_entry *entry, struct err *e)
{
    struct err inner = { 0 };
    uint8_t was = keeper_destroyed_type(entry);

    if (was == CELL_EMPTY)
        return OK;
    status st = keyring_prove(k->ring, was, &entry->subject, entry->version, &inner);
    if (st == IO)
        keeper_fatal(&inner);
    return st == OK || st == NOT_FOUND ? OK : err_note(e, st, inner.where, inner.why, inner.detail);
}

status entry_fold(struct keeper *k, struct batch *b, struct err *e)
{
    struct journal_entry entry;
    size_t cursor = 0;

    for (size_t skip = b->folded; skip > 0; skip--) {
        if (!journal_next(k->journal, &cursor, &entry))
            return OK;
    }
    while (b->made_count < FOLD_MAX && journal_next(k->journal, &cursor, &entry)) {
        status st = prove(k, &entry, e);
        b->staged = true; /* a proof may be: from here on all or nothing */
        if (st != OK)
            return st;
        make(k, b, &entry);
    }
    b->folded += b->made_count;
    return OK;
}
