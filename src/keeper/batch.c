/*
 * A batch: entries in order, their keyring changes made durable together, their records appended
 * to the trees, and a copy of the records kept until the server says that it has them.
 *
 * 1. The request is decoded as a whole before anything happens.
 * 2. Nothing of a refused batch remains: the trees go back and the staged keyring changes are
 *    forgotten. That covers a reply that would not fit.
 * 3. The reply is complete before the keyring is committed, and leaves only after that.
 * 4. The copy that RECOVER gives out is written without results' data and lease tokens.
 */
#include <string.h>

#include "round.h"

/* The logs may have grown by this much before the keyring is told again. */
#define ANCHOR_EVERY 1024

/* --- the batch before this one --------------------------------------------------------------- */

/* The keyring's digest of what is alive, beside the number of records, in all logs together, that
 * are known to be durable. It never goes back: right after an unlock less is known than the last
 * one said. */
void keeper_anchor(struct keeper *k)
{
    struct err e = { 0 };

    keeper_insist(keyring_anchor(k->ring, moment_anchor(k), &e), &e);
}

/* The oldest. */
static void acknowledge(struct keeper *k)
{
    struct pending oldest = k->pending[0];
    struct err e = { 0 };

    for (size_t i = 1; i < PENDING; i++)
        k->pending[i - 1] = k->pending[i];
    k->pending[PENDING - 1].body = oldest.body;
    k->pending_count--;
    if (oldest.folded > 0)
        keeper_insist(journal_drop(k->journal, oldest.folded, &e), &e);
    k->records_durable = oldest.records;
    if (oldest.folded > 0 || k->records_durable >= moment_anchored(k) + ANCHOR_EVERY)
        keeper_anchor(k);
}

/* Whoever leaves out a batch must know of the one before it: a server that was started anew, and
 * has acknowledged nothing, does not. */
status keeper_take_ack(struct keeper *k, uint64_t ack, size_t but, struct err *e)
{
    size_t left = 0;

    for (size_t i = 0; i < k->pending_count; i++)
        left += k->pending[i].number > ack;
    if (left > but || (left > 0 && (ack == 0 || ack + left < k->batch_number)))
        return fail(e, CONFLICT, "recover first", 0);
    if (ack > k->batch_number)
        return fail(e, BAD_INPUT, "acknowledges a batch that never was", 0);
    while (k->pending_count > left)
        acknowledge(k);
    return OK;
}

status keeper_recover(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint64_t after = in_u64(body);

    if (!in_end(body))
        return fail(e, BAD_INPUT, "malformed request", 0);
    for (size_t i = 0; i < k->pending_count; i++) {
        if (k->pending[i].number > after) {
            out_raw(reply, span_of(k->pending[i].body, k->pending[i].length));
            return OK;
        }
    }
    out_u64(reply, k->batch_number);
    out_u16(reply, 0);
    out_u16(reply, 0);
    out_span16(reply, span_of(NULL, 0));
    return OK;
}

/* Steps over the results of our own reply body, up to its heads. */
static void skip_results(struct in *body)
{
    struct wire_result result;
    struct wire_record record;

    in_u64(body);
    for (size_t count = in_u16(body); count > 0 && !body->bad; count--) {
        wire_get_result(body, &result);
        for (size_t i = 0; i < result.record_count && !body->bad; i++)
            wire_get_record(body, &record);
    }
}

static struct in heads_in(const struct pending *p, size_t *ret_count)
{
    struct in body = in_of(span_of(p->body, p->length));

    skip_results(&body);
    *ret_count = in_u16(&body);
    return body;
}

/* Each of them begins with its log. */
static bool is_touched(const struct pending *p, const struct id *log)
{
    size_t count;
    struct in heads = heads_in(p, &count);

    for (; count > 0; count--) {
        struct in head = in_of(in_span16(&heads));
        struct id id = in_id(&head);

        if (id_same(&id, log))
            return true;
    }
    return false;
}

static status check_heads(struct keeper *k, const struct pending *p, const struct pending *later,
                          struct err *e)
{
    const struct secret *mac = NULL;
    struct ledger_tree tree;
    size_t count;
    struct in heads = heads_in(p, &count);

    for (; count > 0; count--) {
        status st = opened_mac(k, OPENED_HEAD, &mac, e);
        if (st == OK)
            st = ledger_head_decode(in_span16(&heads), mac, &tree, e);
        if (st != OK)
            return st;
        if (later != NULL && is_touched(later, &tree.log))
            continue;
        const struct log_head *head = heads_find(&k->heads, &tree.log);
        if (head == NULL || head->tree.size != tree.size ||
            !span_same(SPAN(head->tree.prev), SPAN(tree.prev)))
            return fail(e, CONFLICT, "recover first", 0);
    }
    return OK;
}

status keeper_pending_check(struct keeper *k, struct err *e)
{
    status st = OK;

    for (size_t i = 0; st == OK && i < k->pending_count; i++)
        st =
            check_heads(k, &k->pending[i], i + 1 < k->pending_count ? &k->pending[i + 1] : NULL, e);
    return st;
}

/* --- records --------------------------------------------------------------------------------- */

/* Where the reply and the copy for RECOVER are written side by side. */
struct writers {
    struct out *reply;
    struct out copy;
    size_t records;
};

/* The tree that a record goes to. What concerns an unknown tenant is the vault's business. */
static struct log_head *log_of(const struct keeper *k, const struct made *made)
{
    struct log_head *head = heads_find(&k->heads, &made->log);

    if (id_same(&made->log, &ledger_log_tree) && made->type != RECORD_TREE_COMMITTED)
        head = NULL;
    return head != NULL ? head : heads_find(&k->heads, &ledger_log_vault);
}

static status append(struct keeper *k, const struct made *made, struct span engine_fields,
                     struct wire_record *ret_record, struct err *e)
{
    const struct secret *mac = NULL;
    struct batch *b = k->batch;
    struct log_head *head = log_of(k, made);
    uint8_t leaf[SHA256_SIZE];
    struct out line;

    if (head == NULL)
        return fail(e, BUG, "the vault has no log", 0);
    status st = heads_touch(&k->heads, head, e);
    if (st != OK)
        return st;
    struct ledger_tree *tree = &head->tree;
    st = heads_place(&k->heads, head, e);
    if (st != OK)
        return st;
    struct record_head h = { .log = tree->log,
                             .seq = tree->size,
                             .time_us = b->time_us > tree->time_us ? b->time_us : tree->time_us,
                             .type = made->type,
                             .outcome = (enum outcome)made->outcome };
    memcpy(h.prev, tree->prev, sizeof(h.prev));
    if (made->fields.out.overflow)
        return fail(e, BUG, "the keeper's fields do not fit", made->type);
    out_init(&line, b->line, sizeof(b->line));
    st = record_compose(&h, fields_view(&made->fields), engine_fields, &line, e);
    if (st == OK)
        st = opened_log_mac(k, &h.log, &mac, e);
    if (st != OK)
        return st;
    *ret_record = (struct wire_record){ .log = h.log,
                                        .seq = h.seq,
                                        .time_us = h.time_us,
                                        .type = h.type,
                                        .outcome = made->outcome,
                                        .line = span_of(line.p, line.n) };
    st = ledger_mac(mac, ret_record->line, ret_record->mac, e);
    if (st != OK)
        return st;
    ledger_leaf(ret_record->line, leaf);
    return ledger_append(tree, leaf, h.time_us, e);
}

static void put_result(struct writers *w, const struct wire_result *result)
{
    struct wire_result copy = *result;

    wire_put_result(w->reply, result);
    copy.data = span_of(NULL, 0);
    copy.lease = (struct id){ { 0 } };
    secret_wipe((struct mspan){ copy.lease_mac, sizeof(copy.lease_mac) });
    wire_put_result(&w->copy, &copy);
}

static void put_head(struct keeper *k, struct writers *w, struct log_head *head, struct err *e)
{
    const struct secret *mac = NULL;
    uint8_t bytes[LEDGER_HEAD_MAX];
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    if (opened_mac(k, OPENED_HEAD, &mac, e) != OK ||
        ledger_head_encode(&head->tree, mac, &o, e) != OK)
        o.overflow = true;
    if (o.overflow || moment_term(k, span_of(o.p, o.n), head->term_next, e) != OK)
        w->reply->overflow = true;
    out_span16(w->reply, span_of(o.p, o.n));
    out_span16(&w->copy, span_of(o.p, o.n));
}

static void put_heads(struct keeper *k, struct writers *w, struct err *e)
{
    uint16_t count = 0;

    for (const struct log_head *head = k->heads.touched; head != NULL; head = head->next_touched)
        count++;
    out_u16(w->reply, count);
    out_u16(&w->copy, count);
    for (struct log_head *head = k->heads.touched; head != NULL; head = head->next_touched)
        put_head(k, w, head, e);
}

static void put_seal(struct keeper *k, struct writers *w, struct err *e)
{
    uint8_t bytes[HEADS_SEAL_MAX];
    struct out o;

    out_init(&o, bytes, sizeof(bytes));
    if (w->records > 0 && moment_seal(k, &o, e) != OK)
        w->reply->overflow = true;
    out_span16(w->reply, span_of(o.p, o.n));
    out_span16(&w->copy, span_of(o.p, o.n));
}

/* --- entries --------------------------------------------------------------------------------- */

static void entry_begin(struct batch *b, const struct wire_entry *entry)
{
    secret_cleanup(&b->plain);
    b->entry = entry;
    b->result = (struct wire_result){ 0 };
    b->made_count = 0;
    b->staged = false;
}

static status run_entry(struct keeper *k, struct writers *w, const struct wire_entry *entry,
                        struct err *e)
{
    struct batch *b = k->batch;
    struct span engine_fields = entry->fields;
    struct err why = { 0 };

    entry_begin(b, entry);
    status st = record_fields_check(entry->fields, &why);
    if (st != OK)
        engine_fields = span_of(NULL, 0);
    else
        st = entry_perform(k, b, &why);
    if (st != OK && b->staged)
        return err_note(e, st, why.where, why.why, why.detail);
    if (st != OK)
        entry_failed(k, b, &why);
    b->result.record_count = (uint16_t)b->made_count;
    put_result(w, &b->result);
    for (size_t i = 0; i < b->made_count; i++) {
        struct wire_record record;
        st = append(k, &b->made[i], engine_fields, &record, e);
        if (st != OK)
            return st;
        size_t at = w->reply->n;
        wire_put_record(w->reply, &record);
        out_raw(&w->copy, span_of(w->reply->p + at, w->reply->n - at));
        w->records++;
    }
    return OK;
}

static status run(struct keeper *k, struct writers *w, struct err *e)
{
    struct batch *b = k->batch;

    out_u64(w->reply, k->batch_number + 1);
    out_u16(w->reply, (uint16_t)b->entry_count);
    out_u64(&w->copy, k->batch_number + 1);
    out_u16(&w->copy, (uint16_t)b->entry_count);
    for (size_t i = 0; i < b->entry_count; i++) {
        status st = run_entry(k, w, &b->entries[i], e);
        if (st != OK)
            return st;
        if (w->reply->overflow)
            break;
    }
    put_heads(k, w, e);
    put_seal(k, w, e);
    if (w->reply->overflow || w->copy.overflow || w->reply->n > LIMIT_FRAME)
        return fail(e, LIMIT, "the reply does not fit: send fewer entries", 0);
    return OK;
}

/* Slots change with the batch's cells already durable. What is cut short here is a slot too many or
 * too few, never a vault that does not open: the root is dealt anew to whatever slots there are. */
static void change_slots(struct keeper *k, const struct slot_change *c)
{
    struct err e = { 0 };

    for (size_t i = 0; i < c->gone_count; i++) {
        struct journal_entry entry = { .type = RECORD_SLOT_DESTROYED, .subject = c->gone[i] };
        keeper_journal(k, &entry, 1);
        keeper_insist(keyring_destroy_slot(k->ring, &c->gone[i], &e), &e);
    }
    for (size_t i = 0; i < c->put_count; i++) {
        keeper_insist(keyring_put_slot(k->ring, &c->put[i], &e), &e);
        if (c->put[i].used) {
            struct journal_entry entry = { .type = RECORD_CARD_USED,
                                           .outcome = OUTCOME_FAILED,
                                           .subject = c->put[i].id,
                                           .number = 1 };
            keeper_journal(k, &entry, 1);
        }
    }
    if (c->gone_count > 0)
        approvals_drop(k);
    if (c->approved_x != 0)
        approvals_note(k, c->operation, c->approved_x);
    if (c->consumes)
        approvals_consume(k, c->operation);
}

/* Everything that the batch does beside its reply. */
static void settle(struct keeper *k, const struct writers *w)
{
    struct batch *b = k->batch;
    struct err e = { 0 };

    if (w->records > 0)
        moment_begin(k);
    keeper_insist(keyring_commit(k->ring, &e), &e);
    change_slots(k, &b->change);
    if (b->system) {
        opened_forget(k);
        keeper_insist(keys_open_system(&k->keys, k->ring, &e), &e);
    }
    rekey_look(k);
    if (b->entry_count > 0)
        k->active_us = keeper_monotonic(k);
    if (b->destroyed)
        keeper_anchor(k);
    heads_settle(&k->heads);
    k->batch_number++;
    if (w->records > 0) {
        struct pending *p = &k->pending[k->pending_count++];
        p->number = k->batch_number;
        p->length = w->copy.n;
        p->folded = b->folded;
        p->records = k->heads.records;
    }
    if (b->round)
        round_settle(k);
    if (b->confirm)
        keeper_time_confirm(k);
    if (b->held)
        keeper_due_refresh(k);
    if (b->due_us != 0 && (k->next_due_us == 0 || b->due_us < k->next_due_us))
        k->next_due_us = b->due_us;
}

static status decode(struct in *body, struct batch *b, uint64_t *ret_ack, struct err *e)
{
    *ret_ack = in_u64(body);
    b->entry_count = in_u16(body);
    if (b->entry_count > LIMIT_BATCH_ENTRIES)
        return fail(e, BAD_INPUT, "too many entries", b->entry_count);
    for (size_t i = 0; i < b->entry_count; i++)
        wire_get_entry(body, &b->entries[i]);
    return in_end(body) ? OK : fail(e, BAD_INPUT, "malformed request", 0);
}

/* Such a batch may come before the one before it is known to be durable: nothing that it does has
 * to wait for that, and its server answers nobody before it has stored both. */
static bool only_leases(const struct batch *b)
{
    for (size_t i = 0; i < b->entry_count; i++) {
        uint8_t kind = b->entries[i].kind;

        if (kind != ENTRY_KEY_OPEN && kind != ENTRY_LEASE_RENEW && kind != ENTRY_LEASE_RELEASE &&
            kind != ENTRY_RECORD) /* of a refusal */
            return false;
    }
    return b->entry_count > 0;
}

status keeper_batch(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    struct writers w = { .reply = reply };
    struct batch *b = k->batch;
    uint64_t ack = 0;

    status st = decode(body, b, &ack, e);
    if (st != OK)
        return st;
    if (!k->heads_loaded)
        return fail(e, CONFLICT, "load the heads first", 0);
    st = keeper_take_ack(k, ack, only_leases(b) ? PENDING - 1 : 0, e);
    if (st != OK)
        return st;
    b->time_us = keeper_now(k);
    b->confirm = false;
    b->destroyed = false;
    b->system = false;
    b->round = false;
    b->accepts = false;
    b->change = (struct slot_change){ 0 };
    b->folded = 0;
    b->due_us = 0;
    b->held = false;
    out_init(&w.copy, k->pending[k->pending_count].body, LIMIT_FRAME);
    st = run(k, &w, e);
    secret_cleanup(&b->plain);
    lease_ids_end(b);
    if (st != OK) {
        heads_undo(&k->heads);
        keyring_abort(k->ring);
        if (b->accepts)
            k->accepted = (struct accepted){ 0 };
        return st;
    }
    settle(k, &w);
    return OK;
}
