/*
 * Old records of a tenant go if operators allowed it (retention.set), a multiple of 256 at a time,
 * so that the subtrees that proofs need are rows:
 *
 *  1. The subtrees of what is to go are stored.
 *  2. The keeper states what goes, and its root, in the tenant's own log. In the transaction that
 *     stores the statement the log begins later.
 *  3. The rows go in slices. Whoever dies in between leaves rows that nobody reads, and the next
 *     attach goes on with them.
 *
 * While an engagement waits for its purge nothing goes; nor after it, until the records of the
 * purge are themselves old enough.
 */
#include "retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "nodes.h"

#define PAGE      32
#define DAY_US    ((uint64_t)86400 * SECOND_US)
#define MARGIN_US (60 * SECOND_US) /* the keeper's clock decides */
#define SLICE     512              /* rows of one transaction */
#define SLICES    8                /* of one run */

/* --- how much is old enough ------------------------------------------------------------------ */

/* A record with its line. */
struct kept {
    struct store_record r;
    uint8_t line[LIMIT_RECORD];
    bool found;
};

static bool keep_record(void *context, const struct store_record *r)
{
    struct kept *kept = context;

    kept->r = *r;
    memcpy(kept->line, r->line.p, r->line.n);
    kept->r.line = span_of(kept->line, r->line.n);
    kept->found = true;
    return false;
}

static status read_record(struct engine *en, const struct id *log, uint64_t seq, struct kept *kept,
                          struct err *e)
{
    status st;

    kept->found = false;
    st = store_records(en->store, log, seq, 1, keep_record, kept, e);
    if (st == OK && (!kept->found || kept->r.seq != seq))
        st = fail(e, CORRUPT, "a record of the log is missing", seq);
    return st;
}

/* How many units of 256 records, from the beginning of all, end before cutoff. Time in a log never
 * runs backwards. */
static status count_old(struct engine *en, const struct id *log, uint64_t first, uint64_t size,
                        uint64_t cutoff_us, struct kept *room, uint64_t *ret_units, struct err *e)
{
    uint64_t least = first / DROP_UNIT, most = size / DROP_UNIT;
    status st = OK;

    while (st == OK && least < most) {
        uint64_t middle = least + (most - least + 1) / 2;

        st = read_record(en, log, middle * DROP_UNIT - 1, room, e);
        if (st == OK && room->r.time_us <= cutoff_us)
            least = middle;
        else
            most = middle - 1;
    }
    *ret_units = least;
    return st;
}

/* Is there an engagement whose purge is to come, or whose purge is younger than the cutoff? */
static status has_purge(struct engine *en, const struct id *tenant, uint64_t cutoff_us, bool *ret,
                        struct err *e)
{
    struct store_engagement page[PAGE];
    char after[STORE_NAME];
    size_t count = 0;
    status st = store_engagements(en->store, tenant, NULL, page, PAGE, &count, e);

    *ret = false;
    while (st == OK && count > 0) {
        for (size_t i = 0; i < count; i++)
            *ret = *ret || page[i].state == ENGAGEMENT_ENDED || page[i].state == ENGAGEMENT_HELD ||
                   (page[i].state == ENGAGEMENT_PURGED && page[i].purged_us > cutoff_us);
        memcpy(after, page[count - 1].name, sizeof after);
        st = store_engagements(en->store, tenant, after, page, PAGE, &count, e);
    }
    return st;
}

/* --- the statement --------------------------------------------------------------------------- */

/* Rows for all that proofs will need of [first, from), from before there were any. */
static status keep_nodes(struct engine *en, const struct id *log, uint64_t first, uint64_t from,
                         struct err *e)
{
    struct nodes nodes = { .en = en, .log = *log };
    uint8_t hash[SHA256_SIZE];
    status st = store_begin(en->store, e);

    for (uint64_t i = first / DROP_UNIT; st == OK && i < from / DROP_UNIT; i++) {
        st = nodes_of(&nodes, NODE_STEP, i, hash, e);
        if (st == OK)
            st = store_node_add(en->store, log, NODE_STEP, i, hash, e);
    }
    return st == OK ? store_commit(en->store, e) : st;
}

struct stated {
    struct id log;
    uint64_t from;
};

/* In the transaction that holds the statement. */
static status on_stated(struct engine *en, const struct wire_result *r, void *context,
                        struct err *e)
{
    const struct stated *s = context;

    if (r->status != OK) { /* its record says why; tomorrow is another day */
        log_number(LOG_WARN_, "the keeper does not let records go", "status", r->status);
        return OK;
    }
    en->dropping = true;
    return store_log_begin(en->store, &s->log, s->from, e);
}

struct statement_room {
    struct kept allowed, last;
    struct ledger_proof left, right;
    uint8_t data[DROP_DATA_MAX];
};

static status send(struct engine *en, const struct store_retention *r, uint64_t from,
                   struct statement_room *room, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORDS_DROP, .log = r->tenant, .tenant = r->tenant };
    struct stated stated = { .log = r->tenant, .from = from };
    struct batch_listener listener = { .result = on_stated, .context = &stated };
    struct wire_drop drop = {
        .allowed = room->allowed.r.line,
        .last = room->last.r.line,
        .left = span_of(room->left.hash[0], room->left.count * SHA256_SIZE),
        .right = span_of(room->right.hash[0], room->right.count * SHA256_SIZE),
    };
    struct fields f;
    struct out out;

    memcpy(drop.allowed_mac, room->allowed.r.mac, sizeof drop.allowed_mac);
    memcpy(drop.last_mac, room->last.r.mac, sizeof drop.last_mac);
    out_init(&out, room->data, sizeof room->data);
    wire_put_drop(&out, &drop);
    if (out.overflow)
        return fail(e, BUG, "a statement does not fit", out.n);
    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.data = span_of(out.p, out.n);
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, &listener, e);
}

static status state_drop(struct engine *en, const struct store_retention *r, uint64_t from,
                         uint64_t size, struct statement_room *room, struct err *e)
{
    struct nodes nodes = { .en = en, .log = r->tenant };
    status st = read_record(en, &ledger_log_vault, r->seq, &room->allowed, e);

    if (st == OK)
        st = read_record(en, &r->tenant, from - 1, &room->last, e);
    if (st == OK)
        st = proof_range(from, from, size, nodes_of, &nodes, &room->left, &room->right, e);
    return st == OK ? send(en, r, from, room, e) : st;
}

static status look_at(struct engine *en, const struct store_retention *r,
                      struct statement_room *room, struct err *e)
{
    uint64_t now = engine_now_us(en);
    uint64_t keep_us = r->days * DAY_US, live_us = en->settings.lease_max_lifetime_s * SECOND_US;
    uint64_t first = 0, size = 0, units = 0, cutoff_us;
    bool purge = false;
    status st;

    keep_us = (keep_us > live_us ? keep_us : live_us) + MARGIN_US;
    if (now < keep_us)
        return OK;
    cutoff_us = now - keep_us;
    st = store_log_first(en->store, &r->tenant, &first, e);
    if (st == OK)
        st = store_log_size(en->store, &r->tenant, &size, e);
    if (st == OK)
        st = count_old(en, &r->tenant, first, size, cutoff_us, &room->last, &units, e);
    if (st != OK || units * DROP_UNIT <= first)
        return st;
    st = has_purge(en, &r->tenant, cutoff_us, &purge, e);
    if (st != OK || purge)
        return st;
    st = keep_nodes(en, &r->tenant, first, units * DROP_UNIT, e);
    return st == OK ? state_drop(en, r, units * DROP_UNIT, size, room, e) : st;
}

/* A log that is damaged is told of by whoever verifies it, and stays as it is. */
static status look_tolerantly(struct engine *en, const struct store_retention *r,
                              struct statement_room *room, struct err *e)
{
    struct err why = { 0 };
    status st = look_at(en, r, room, &why);

    if (st != CORRUPT)
        return st == OK ? OK : err_note(e, st, why.where, why.why, why.detail);
    store_rollback(en->store);
    log_err(LOG_WARN_, "a log is damaged: its records are kept", &why);
    return OK;
}

status retention_state(struct engine *en, struct err *e)
{
    struct statement_room *room = malloc(sizeof *room);
    struct store_retention page[PAGE];
    struct id after;
    size_t count = 0;
    status st = room == NULL ? fail(e, NO_MEMORY, "no memory for a statement", 0)
                             : store_retentions(en->store, NULL, page, PAGE, &count, e);

    en->dropping = true; /* what a dead server left */
    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count; i++)
            st = look_tolerantly(en, &page[i], room, e);
        after = page[count - 1].tenant;
        if (st == OK)
            st = store_retentions(en->store, &after, page, PAGE, &count, e);
    }
    free(room); /* public */
    return st;
}

/* --- rows ------------------------------------------------------------------------------------ */

static status delete_of(struct engine *en, const struct id *log, size_t *ret_deleted, struct err *e)
{
    status st = store_begin(en->store, e);

    if (st == OK)
        st = store_records_delete(en->store, log, SLICE, ret_deleted, e);
    return st == OK ? store_commit(en->store, e) : st;
}

status retention_delete(struct engine *en, struct err *e)
{
    struct id page[PAGE], after;
    size_t count = 0, slices = 0, deleted = 0;
    status st = OK;

    if (!en->dropping)
        return OK;
    st = store_beginnings(en->store, NULL, page, PAGE, &count, e);
    while (st == OK && count > 0) {
        for (size_t i = 0; st == OK && i < count && slices < SLICES; i += deleted == 0) {
            st = delete_of(en, &page[i], &deleted, e);
            slices += deleted > 0;
        }
        if (st != OK || slices == SLICES)
            return st;
        after = page[count - 1];
        st = store_beginnings(en->store, &after, page, PAGE, &count, e);
    }
    en->dropping = false; /* nothing is left */
    return st;
}

/* --- recovery, reading ----------------------------------------------------------------------- */

status retention_recover(struct engine *en, const struct wire_record *r, struct err *e)
{
    struct store_retention set = { .seq = r->seq };
    uint64_t number;

    if (r->type == RECORD_RECORDS_DROPPED &&
        record_field_number(r->line, "last_seq", 0, INT64_MAX, &number))
        return store_log_begin(en->store, &r->log, number + 1, e);
    if (r->type != RECORD_RETENTION_SET ||
        !record_field_number(r->line, "days", 0, RETENTION_MAX, &number) ||
        !record_field_id(r->line, "tenant_id", &set.tenant))
        return OK;
    set.days = (uint32_t)number;
    return store_retention_set(en->store, &set, e);
}

status retention_kept(struct engine *en, struct request *rq, const struct id *log, uint64_t from,
                      struct err *e)
{
    uint64_t first = 0;
    status st = store_log_first(en->store, log, &first, e);

    if (st != OK || from >= first)
        return st;
    rq->problem = PROBLEM_GONE;
    return fail(e, NOT_FOUND, "records this old are not kept any more: see where the log begins",
                0);
}
