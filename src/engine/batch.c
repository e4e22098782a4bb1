/*
 * Group commit. A batch is everything that was queued while the one before it was being made
 * durable: there is no artificial wait. Order inside: decide and collect entries, one keeper call,
 * effects and records in one transaction, COMMIT, answers.
 *
 * While the keeper is at work on a batch of nothing but leases, the one before it becomes durable
 * and is answered, and the one after it is decided, if all three are of nothing but leases: those
 * change nothing that the others are decided by, except what counts as in a batch. So at any time
 * one is written and not synced, one is at the keeper, and one is under construction.
 */
#include "alert.h"
#include "events.h"
#include "judge.h"
#include "nodes.h"
#include "queue.h"
#include "syncer.h"
#include "usage.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* What an entry adds to the larger of request and reply, besides its data and fields. */
#define ENTRY_COST   1024
#define FOLD_COST    (32 * 1024)
#define BATCH_BUDGET (LIMIT_FRAME - 8192)
/* What one request may need: an operation's entries, a provider key of the largest size. */
#define ROOM_COST    (48 * 1024)
#define ROOM_ENTRIES 16
/* Many long reads would hold back whoever is decided with them: the rest is taken in turn again. */
#define DECIDE_US   10000
#define AHEAD_US    20000 /* the engine's other work waits for so long */
#define AHEAD_LEAST 16

/* Names that records of this batch have tags for: durable before the keeper writes the records. */
static status store_names(struct engine *en, struct err *e)
{
    status st = store_begin(en->store, e);

    if (st == OK)
        st = persons_store(en, e);
    return st == OK ? store_commit(en->store, e) : st;
}

/* Its transaction, with the names in front of it. */
static status open_transaction(struct engine *en, struct err *e)
{
    status st = persons_waiting(en) ? store_names(en, e) : OK;

    return st == OK ? store_begin_append(en->store, e) : st;
}

static void begin_frame(struct engine *en)
{
    en->batch = wire_client_begin(en->client, WIRE_BATCH);
    en->batch_head_at = en->batch->n;
    out_u64(en->batch, 0);
    out_u16(en->batch, 0);
    en->batch_count = 0;
    en->batch_cost = 0;
    en->batch_no_room = false;
}

status batch_begin(struct engine *en, struct err *e)
{
    status st = open_transaction(en, e);

    if (st != OK)
        return st;
    begin_frame(en);
    en->nodes_kept = false;
    return OK;
}

status batch_entry(struct engine *en, struct request *rq, const struct wire_entry *entry,
                   struct err *e)
{
    size_t cost =
        (entry->kind == ENTRY_FOLD ? FOLD_COST : ENTRY_COST) + entry->data.n + entry->fields.n;

    if (en->batch_cost + cost > BATCH_BUDGET || en->batch_count >= LIMIT_BATCH_ENTRIES) {
        en->batch_no_room = true;
        return fail(e, LIMIT, "too much for one batch", en->batch_count);
    }
    wire_put_entry(en->batch, entry);
    if (en->batch->overflow)
        return fail(e, BUG, "the batch outgrew its frame", 0);
    en->batch_cost += cost;
    en->batch_count++;
    if (rq != NULL)
        rq->entry_count++;
    return OK;
}

/* What comes next may be large, so it waits for the next batch. */
bool batch_full(const struct engine *en)
{
    return en->batch_cost > BATCH_BUDGET - ROOM_COST ||
           en->batch_count > LIMIT_BATCH_ENTRIES - ROOM_ENTRIES;
}

static status store_heads_of(struct engine *en, struct in *body, struct err *e)
{
    uint16_t count = in_u16(body);
    status st = OK;

    for (uint16_t i = 0; st == OK && i < count && !body->bad; i++) {
        struct span head = in_span16(body);
        struct in fields = in_of(head);
        struct id log = in_id(&fields);
        uint64_t size = in_u64(&fields);

        st = store_head_set(en->store, &log, size, head, e);
        rounds_heard(en->rounds, &log);
    }
    return st;
}

static status store_records_of(struct engine *en, struct in *body, uint16_t count,
                               const struct batch_listener *listener, struct err *e)
{
    status st = OK;

    for (uint16_t i = 0; st == OK && i < count && !body->bad; i++) {
        struct wire_record r;
        struct store_record row;

        wire_get_record(body, &r);
        if (body->bad)
            break;
        metrics_recorded(&en->metrics, r.type);
        row = (struct store_record){ .log = r.log,
                                     .seq = r.seq,
                                     .time_us = r.time_us,
                                     .type = r.type,
                                     .outcome = r.outcome,
                                     .line = r.line };
        memcpy(row.mac, r.mac, sizeof row.mac);
        row.until_us = lease_until(&row);
        st = store_record_add(en->store, &row, e);
        if (st == OK)
            st = nodes_keep(en, &r.log, r.seq, r.line, e);
        if (st == OK)
            st = alerts_heard(en, &row, e);
        if (st == OK)
            st = usage_heard(en, &row, e);
        engine_time_heard(en, r.time_us);
        waiting_stored(en, &r.log);
        events_heard(en, r.type);
        if (listener != NULL && listener->record != NULL)
            listener->record(&r, listener->context);
    }
    return st;
}

status batch_store(struct engine *en, struct in *body, const struct batch_listener *listener,
                   uint64_t *ret_number, struct err *e)
{
    uint16_t count;
    status st = OK;

    *ret_number = in_u64(body);
    count = in_u16(body);
    for (uint16_t i = 0; st == OK && i < count && !body->bad; i++) {
        struct wire_result r;

        wire_get_result(body, &r);
        st = store_records_of(en, body, r.record_count, listener, e);
        if (st != OK || body->bad)
            break;
        if (listener != NULL && listener->result != NULL)
            st = listener->result(en, &r, listener->context, e);
        else if (r.status != OK && listener == NULL)
            st = fail(e, BUG, "the keeper could not carry out the engine's own entry", r.status);
    }
    if (st == OK)
        st = store_heads_of(en, body, e);
    struct span seal = in_span16(body);
    if (st == OK && !body->bad && seal.n > 0)
        st = store_fact_set(en->store, "heads", seal, e);
    if (st == OK && !in_end(body))
        st = fail(e, BUG, "the keeper's reply is malformed", 0);
    return st;
}

static status commit(struct engine *en, struct err *e)
{
    uint64_t begun = clock_monotonic_us();
    status st = store_commit_append(en->store, e);

    metrics_since(&en->metrics.commit, begun);
    return st;
}

/* The head of the frame is not known before: the batch before this one may have been under way. */
static status send_batch(struct engine *en, struct err *e)
{
    struct out head;

    out_init(&head, en->batch->p + en->batch_head_at, 10);
    out_u64(&head, en->acked);
    out_u16(&head, en->batch_count);
    judge_batch_sent(en);
    en->batch_repeats_sent = en->batch_repeat_count;
    en->batch_releases_sent = en->batch_release_count;
    return engine_send(en, e);
}

/* What was sent is decided for good: only what is still under construction counts beside what is
 * stored. */
static void batch_over(struct engine *en)
{
    judge_batch_over(en);
    en->batch_repeat_count -= en->batch_repeats_sent;
    memmove(en->batch_repeats, en->batch_repeats + en->batch_repeats_sent,
            en->batch_repeat_count * sizeof *en->batch_repeats);
    en->batch_repeats_sent = 0;
    en->batch_release_count -= en->batch_releases_sent;
    memmove(en->batch_releases, en->batch_releases + en->batch_releases_sent,
            en->batch_release_count * sizeof *en->batch_releases);
    en->batch_releases_sent = 0;
}

/* What came back is in the transaction then. */
static status receive_batch(struct engine *en, const struct batch_listener *listener,
                            uint64_t *ret_number, struct err *e)
{
    struct in body;
    status st = engine_receive(en, &body, e);

    if (st == OK)
        st = batch_store(en, &body, listener, ret_number, e);
    wire_client_wipe(en->client);
    batch_over(en);
    return st;
}

status batch_finish(struct engine *en, const struct batch_listener *listener, struct err *e)
{
    uint64_t number;
    status st;

    if (en->batch_count == 0 && en->nodes_kept)
        return store_commit(en->store, e);
    if (en->batch_count == 0) {
        store_rollback(en->store);
        return OK;
    }
    if (persons_waiting(en)) { /* what came to them in this transaction is nothing but new names */
        store_rollback(en->store);
        st = store_names(en, e);
        if (st == OK)
            st = store_begin(en->store, e);
        if (st != OK)
            return st;
    }
    st = send_batch(en, e);
    if (st == OK)
        st = receive_batch(en, listener, &number, e);
    if (st == OK)
        st = commit(en, e);
    if (st == OK)
        en->acked = number;
    return st;
}

static status tolerate(struct engine *en, const struct wire_result *r, void *context, struct err *e)
{
    (void)en;
    (void)r;
    (void)context;
    (void)e;
    return OK;
}

const struct batch_listener batch_tolerant = { .result = tolerate };

status batch_single(struct engine *en, const struct wire_entry *entry,
                    const struct batch_listener *listener, struct err *e)
{
    status st = batch_begin(en, e);

    if (st == OK)
        st = batch_entry(en, NULL, entry, e);
    return st == OK ? batch_finish(en, listener, e) : st;
}

status batch_acknowledge(struct engine *en, struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_BATCH);
    struct in body;
    status st;

    out_u64(out, en->acked);
    out_u16(out, 0);
    st = engine_call(en, &body, e);
    if (st == OK)
        en->acked = in_u64(&body);
    return st;
}

/* Forgets what deciding rq has done, so that it can be decided again. */
static void undecide(struct request *rq)
{
    json_decref(rq->reply);
    free(rq->plan);
    rq->reply = NULL;
    rq->plan = NULL;
    rq->outcome = OK;
    rq->err = (struct err){ 0 };
    rq->log = (struct id){ { 0 } };
}

/* Decides one request; its entries join the batch, or its refusal does. false: there is no room for
 * it beside the others, and nothing was done. A failure is never fatal here: a store that is not to
 * be trusted any more shows at the commit, and a damaged row must not stop everybody else. */
static bool decide(struct engine *en, struct request *rq)
{
    size_t batch_n = en->batch->n, batch_cost = en->batch_cost;
    uint16_t batch_count = en->batch_count;
    struct err trouble = { 0 };

    en->batch_no_room = false;
    rq->outcome = verb_permit(en, rq, &rq->err);
    if (rq->outcome == OK)
        rq->outcome = verb_row(rq->verb)->apply(en, rq, &rq->err);
    if (rq->outcome == OK)
        return true;
    secret_wipe((struct mspan){ en->batch->p + batch_n, en->batch->n - batch_n });
    en->batch->n = batch_n;
    en->batch_cost = batch_cost;
    en->batch_count = batch_count;
    rq->entry_count = 0;
    /* Beside the batch at the keeper it may be one that is asked for twice, or given back. */
    if (en->batch_no_room && batch_count + en->batch_repeats_sent + en->batch_releases_sent > 0) {
        undecide(rq);
        return false;
    }
    if (refusal_record(en, rq, &trouble) != OK)
        engine_die(__func__, &trouble);
    return true;
}

/* Results come in the order of the entries: hand each to the request that made the entry. */
static status hand_result(struct engine *en, const struct wire_result *r, void *context,
                          struct err *e)
{
    struct request **at = context;
    struct request *rq;
    status (*complete)(struct engine *, struct request *, const struct wire_result *, struct err *);

    while (*at != NULL && (*at)->result_index >= (*at)->entry_count)
        *at = (*at)->next;
    rq = *at;
    if (rq == NULL)
        return fail(e, BUG, "the keeper answered more than was asked", 0);
    rq->result_index++;
    if (rq->outcome != OK) /* this was the record of its refusal */
        return OK;
    if (r->status != OK &&
        !(r->status == NOT_FOUND && (verb_row(rq->verb)->flags & FLAG_DESTROYS) != 0)) {
        size_t n =
            r->reason.n < sizeof rq->keeper_why - 1 ? r->reason.n : sizeof rq->keeper_why - 1;

        memcpy(rq->keeper_why, r->reason.p, n);
        rq->outcome = (status)(r->status < STATUS_COUNT ? r->status : BUG);
        err_note(&rq->err, rq->outcome, __func__, rq->keeper_why, 0);
        return OK;
    }
    complete = verb_row(rq->verb)->complete;
    return complete == NULL ? OK : complete(en, rq, r, e);
}

/* Requests whose entries are in one batch, in the order of these. */
struct company {
    struct request *first, **end;
    size_t count;
};

static void join(struct company *c, struct request *rq)
{
    rq->next = NULL;
    *(c->count == 0 ? &c->first : c->end) = rq;
    c->end = &rq->next;
    c->count++;
}

/* Takes requests off the queue into the batch: those that fit and may stand beside each other, have
 * all the flags that are wanted, and no more than most in all. */
static void fill(struct engine *en, struct request **queue, uint8_t wanted, size_t most,
                 struct company *c)
{
    uint64_t until = clock_monotonic_us() + DECIDE_US;

    while (*queue != NULL && c->count < most && !batch_full(en) &&
           (c->count == 0 || clock_monotonic_us() < until)) {
        struct request *rq = *queue;
        uint8_t flags = verb_row(rq->verb)->flags;

        if ((flags & FLAG_DIRECT) != 0 || (flags & wanted) != wanted || !decide(en, rq))
            break;
        *queue = rq->next;
        join(c, rq);
        if ((flags & FLAG_EXCLUSIVE) != 0 && rq->outcome == OK)
            break;
    }
}

static void answer(struct engine *en, const struct company *c)
{
    struct request *list = c->count == 0 ? NULL : c->first;

    if (list != NULL)
        metrics_size(&en->metrics.batch_requests, c->count);
    while (list != NULL) {
        struct request *rq = list;

        list = rq->next; /* done may free it */
        if (rq->waits)
            waiting_add(en, rq);
        else
            engine_answer(en, rq);
    }
    engine_answered(en);
}

/* The rows are overwritten; older pages with them leave the WAL. */
static status erase(struct engine *en, struct err *e)
{
    en->erased = false;
    return store_checkpoint(en->store, e);
}

static size_t count_of(const struct request *list)
{
    size_t count = 0;

    for (; list != NULL; list = list->next)
        count++;
    return count;
}

static bool is_ahead(const struct request *rq)
{
    return rq != NULL && (verb_row(rq->verb)->flags & FLAG_AHEAD) != 0;
}

/* Half of what is under way, so that there is something to decide while the keeper has the other
 * half; small batches are not worth their sync. */
static size_t half_of(size_t sent, size_t waiting)
{
    return (sent + waiting) / 2 < AHEAD_LEAST ? AHEAD_LEAST : (sent + waiting + 1) / 2;
}

/* What waits is decided, beside what is at the keeper or was just answered. */
static void fill_ahead(struct engine *en, size_t sent, struct company *c)
{
    size_t waiting, clients;
    struct request *queue;

    engine_queue_size(en, &waiting, &clients);
    queue = waiting == 0 ? NULL : engine_take(en);
    if (is_ahead(queue))
        fill(en, &queue, FLAG_AHEAD, half_of(sent, c->count + waiting), c);
    engine_give_back(en, queue);
}

/* One whose records are written, and not durable as long as it is syncing. */
struct written {
    struct company company;
    uint64_t number;
    uint64_t begun_us;
    bool unsynced, syncing;
};

static status make_durable(struct engine *en, struct written *w, struct err *e)
{
    status st = OK;

    if (w->company.count == 0)
        return OK;
    if (w->syncing)
        st = syncer_wait(en->syncer, e);
    else if (w->unsynced)
        st = store_sync(en->store, e);
    if (st != OK)
        return st;
    metrics_since(&en->metrics.commit, w->begun_us);
    en->acked = w->number;
    answer(en, &w->company);
    w->company.count = 0;
    return OK;
}

/* Nobody waits for his answer longer than for the disk, as far as the engine looks. */
static status answer_if_durable(struct engine *en, struct written *w, struct err *e)
{
    return !w->syncing || syncer_over(en->syncer) ? make_durable(en, w, e) : OK;
}

/* With something else to do meanwhile another thread waits for the disk. */
static status write_batch(struct engine *en, const struct company *c, uint64_t number,
                          struct written *w, struct err *e)
{
    status st;

    w->company = *c;
    w->number = number;
    w->begun_us = clock_monotonic_us();
    st = store_append(en->store, &w->unsynced, e);
    w->syncing = st == OK && w->unsynced && en->batch_count > 0;
    if (w->syncing)
        syncer_begin(en->syncer, en->store);
    return st;
}

/* Sends what is decided. The keeper works on it while the batch before it becomes durable and the
 * next one is decided; then its records are written. */
static status step_ahead(struct engine *en, const struct company *now, struct written *w,
                         struct company *next, bool goes_on, struct err *e)
{
    struct request *at = now->first;
    struct batch_listener listener = { .result = hand_result, .context = &at };
    uint64_t number;
    status st = send_batch(en, e);

    begin_frame(en);
    if (st == OK)
        st = answer_if_durable(en, w, e);
    if (st == OK && goes_on)
        fill_ahead(en, now->count, next);
    if (st == OK)
        st = answer_if_durable(en, w, e);
    if (st == OK)
        st = receive_batch(en, &listener, &number, e);
    if (st == OK)
        st = make_durable(en, w, e);
    if (st == OK && goes_on)
        fill_ahead(en, now->count, next);
    if (st == OK)
        st = write_batch(en, now, number, w, e);
    if (st == OK && en->batch_count > 0)
        st = open_transaction(en, e);
    return st;
}

/* Batches of leases, one after the other, until there are no more, or until the engine should look
 * at what else there is to do. The first one is decided and not sent. */
static void run_ahead(struct engine *en, struct company now)
{
    uint64_t begun = clock_monotonic_us(), until = begun + AHEAD_US;
    struct written w = { .number = 0 };
    struct err e = { 0 };

    while (en->batch_count > 0) {
        struct company next = { .count = 0 };

        if (step_ahead(en, &now, &w, &next, begun < until, &e) != OK)
            engine_die(__func__, &e);
        metrics_since(&en->metrics.batch_duration, begun);
        begun = clock_monotonic_us();
        now = next;
    }
    if (make_durable(en, &w, &e) != OK)
        engine_die(__func__, &e);
    answer(en, &now); /* refused, each without a record of its own */
}

void batch_run(struct engine *en, struct request **queue)
{
    struct request *at;
    struct company c = { .count = 0 };
    struct batch_listener listener = { .result = hand_result, .context = &at };
    uint64_t begun = clock_monotonic_us();
    struct err e = { 0 };
    bool ahead = is_ahead(*queue);

    if (batch_begin(en, &e) != OK)
        engine_die(__func__, &e);
    fill(en, queue, ahead ? FLAG_AHEAD : 0, ahead ? half_of(0, count_of(*queue)) : SIZE_MAX, &c);
    if (ahead && en->batch_count > 0 && !persons_waiting(en)) {
        engine_give_back(en, *queue);
        *queue = NULL;
        run_ahead(en, c);
        return;
    }
    at = c.first;
    if (batch_finish(en, &listener, &e) != OK)
        engine_die(__func__, &e);
    if ((en->grace_over && destroy_grace_over(en, &e) != OK) ||
        (en->revoke_more && destroy_revoked(en, &e) != OK) ||
        (en->revoked && revocation_finish(en, &e) != OK) || (en->erased && erase(en, &e) != OK))
        engine_die(__func__, &e);
    metrics_since(&en->metrics.batch_duration, begun);
    answer(en, &c);
}
