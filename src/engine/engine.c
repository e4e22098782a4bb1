/* The engine's thread: take what is queued, run it, answer, and do what time demands. */
#include "alert.h"
#include "queue.h"
#include "rate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "events.h"
#include "operation.h"
#include "secret/wiping.h"
#include "session.h"
#include "shared.h"
#include "syncer.h"
#include "tls_files.h"

#define EXPIRED_AT_ONCE 2048 /* leases, between two batches: under a millisecond */
#define IDS_AT_ONCE     32
#define EXIT_RESTART    70 /* EX_SOFTWARE: the supervisor starts a new server */

uint64_t engine_now_us(struct engine *en)
{
    return en->time_us + (clock_monotonic_us() - en->time_mono_us);
}

void engine_time_heard(struct engine *en, uint64_t keeper_us)
{
    if (keeper_us <= engine_now_us(en))
        return;
    en->time_us = keeper_us;
    en->time_mono_us = clock_monotonic_us();
}

void engine_die(const char *where, const struct err *e)
{
    struct err at = *e;

    if (at.where == NULL)
        at.where = where;
    log_err(LOG_ERROR_, "the engine stops: the state on disk is the truth", &at);
    /* Nothing is wiped: other threads may be sending what lies in the slab, and a gateway would be
     * given an empty key. The kernel clears the pages when it takes them back. */
    _exit(EXIT_RESTART);
}

status engine_send(struct engine *en, struct err *e)
{
    struct err why = { 0 };
    status st;

    en->sent_us = clock_monotonic_us();
    st = wire_client_send(en->client, &why);
    if (st == IO)
        engine_die(__func__, &why);
    return st == OK ? OK : err_note(e, st, why.where, why.why, why.detail);
}

status engine_receive(struct engine *en, struct in *ret_body, struct err *e)
{
    struct err why = { 0 };
    status st;

    *ret_body = (struct in){ 0 };
    st = wire_client_receive(en->client, ret_body, &why);
    metrics_since(&en->metrics.keeper, en->sent_us);
    if (st == OK)
        return OK;
    /* The keeper may refuse for a disk of its own; anything else of this code is its end. */
    if (st == IO && strcmp(why.why, "the keeper refused") != 0)
        engine_die(__func__, &why);
    if (ret_body->n > 0) {
        snprintf(en->keeper_why, sizeof en->keeper_why, "%.*s", (int)ret_body->n,
                 (const char *)ret_body->p);
        why.why = en->keeper_why;
    }
    return err_note(e, st, why.where, why.why, why.detail);
}

status engine_call(struct engine *en, struct in *ret_body, struct err *e)
{
    status st = engine_send(en, e);

    return st == OK ? engine_receive(en, ret_body, e) : st;
}

/* Written by the engine's thread, read by whoever opens a listener. */
static void engine_vault_set(struct engine *en, const struct id *vault)
{
    pthread_mutex_lock(&en->lock);
    en->vault = *vault;
    pthread_mutex_unlock(&en->lock);
}

status engine_hello(struct engine *en, struct err *e)
{
    struct wire_hello *hello = &en->hello;
    struct in body;
    status st;

    wire_client_begin(en->client, WIRE_HELLO);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    wire_get_hello(&body, hello);
    if (!in_end(&body) || hello->version != WIRE_VERSION || hello->region.n > LIMIT_REGION)
        return fail(e, BUG, "keeper and server are of different versions", hello->version);
    if (hello->state != KEEPER_EMPTY && !id_is_zero(&hello->vault))
        engine_vault_set(en, &hello->vault);
    if (hello->region.n > 0)
        snprintf(en->region, sizeof en->region, "%.*s", (int)hello->region.n,
                 (const char *)hello->region.p);
    else /* no vault yet, or one that cannot be read */
        memcpy(en->region, en->settings.region, sizeof en->region);
    engine_time_heard(en, hello->time_us);
    return OK;
}

static enum vault_state state_of_keeper(uint8_t keeper)
{
    switch (keeper) {
    case KEEPER_EMPTY: return VAULT_EMPTY;
    case KEEPER_LOCKED:
    case KEEPER_UNLOCKED: /* still to be attached */ return VAULT_LOCKED;
    default: return VAULT_BROKEN;
    }
}

static void broken(struct engine *en, const char *why)
{
    en->state = VAULT_BROKEN;
    en->broken_why = why;
}

/* What the server found: an empty, locked, broken or (after a crash of the server) open vault. */
static status find_state(struct engine *en, struct err *e)
{
    struct id vault;
    struct err trouble = { 0 };
    status st = engine_hello(en, e);

    if (st != OK)
        return st;
    en->state = state_of_keeper(en->hello.state);
    if (en->state == VAULT_BROKEN) {
        broken(en, "the keyring cannot be read: see the keeper's log");
        tls_files_vault(en, &vault);
        engine_vault_set(en, &vault);
        return OK;
    }
    if (en->state == VAULT_EMPTY && store_exists(en->settings.store_dir))
        broken(en, "there is a database but no keyring: put the keyring back, or empty data_dir");
    if (en->state != VAULT_EMPTY && strcmp(en->region, en->settings.region) != 0)
        broken(en, "the vault belongs to another region than the configuration says");
    if (en->hello.state != KEEPER_UNLOCKED || en->state == VAULT_BROKEN)
        return OK;
    st = engine_attach(en, false, &trouble);
    if (st != OK) {
        log_err(LOG_ERROR_, "the unlocked vault could not be attached", &trouble);
        engine_detach(en);
        broken(en, "the database cannot be used: see the server's log, then lock and unlock");
    }
    return OK;
}

status engine_lock_keeper(struct engine *en, struct err *e)
{
    struct err trouble = { 0 };
    struct in body;
    status st;

    /* What fails here must not keep the vault open. */
    if (en->state == VAULT_UNLOCKED &&
        (engine_hello(en, &trouble) != OK || keyring_note_age(en, &trouble) != OK))
        log_err(LOG_WARN_, "the keyring's age could not be noted", &trouble);
    wire_client_begin(en->client, WIRE_LOCK);
    st = engine_call(en, &body, e);
    engine_detach(en);
    sessions_forget(en);
    operations_forget(en->operations);
    en->acked = 0;
    return st == OK ? find_state(en, e) : st;
}

/* Waits for work or the next tick, not at all if there is a slice of something to do. false:
 * stopping, and nothing is left. */
static bool take(struct engine *en, bool busy, struct request **ret_list)
{
    struct timespec until;
    bool goes_on;

    pthread_mutex_lock(&en->lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += busy ? 0 : 1;
    while ((*ret_list = queue_take(en->queue, QUEUE_TAKEN)) == NULL && !en->stopping) {
        if (pthread_cond_timedwait(&en->wake, &en->lock, &until) == ETIMEDOUT)
            break;
    }
    goes_on = *ret_list != NULL || !en->stopping;
    pthread_mutex_unlock(&en->lock);
    return goes_on;
}

struct request *engine_take(struct engine *en)
{
    struct request *list;

    pthread_mutex_lock(&en->lock);
    list = queue_take(en->queue, QUEUE_TAKEN);
    pthread_mutex_unlock(&en->lock);
    return list;
}

void engine_give_back(struct engine *en, struct request *list)
{
    if (list == NULL)
        return;
    pthread_mutex_lock(&en->lock);
    queue_return(en->queue, list);
    pthread_mutex_unlock(&en->lock);
}

void engine_answer(struct engine *en, struct request *rq)
{
    metrics_answered(&en->metrics, rq);
    rq->done(rq);
    en->answers.untold = true;
}

void engine_answered(struct engine *en)
{
    void (*told)(void *);
    void *context;

    if (!en->answers.untold)
        return;
    en->answers.untold = false;
    pthread_mutex_lock(&en->lock);
    told = en->answers.told;
    context = en->answers.context;
    pthread_mutex_unlock(&en->lock);
    if (told != NULL)
        told(context);
}

void engine_tell(struct engine *en, void (*told)(void *context), void *context)
{
    pthread_mutex_lock(&en->lock);
    en->answers.told = told;
    en->answers.context = context;
    pthread_mutex_unlock(&en->lock);
}

/* A verb that speaks to the keeper by itself. An entry that it made has left its record. */
static void run_direct(struct engine *en, struct request *rq)
{
    struct err trouble = { 0 };

    rq->outcome = verb_permit(en, rq, &rq->err);
    if (rq->outcome == OK)
        rq->outcome = verb_row(rq->verb)->apply(en, rq, &rq->err);
    if (rq->outcome != OK && en->state == VAULT_UNLOCKED && rq->entry_count == 0) {
        if (batch_begin(en, &trouble) != OK || refusal_record(en, rq, &trouble) != OK ||
            batch_finish(en, &batch_tolerant, &trouble) != OK)
            engine_die(__func__, &trouble);
    }
    engine_answer(en, rq);
    engine_answered(en);
}

/* One batch, or one request that is none's. */
static void step(struct engine *en, struct request **list)
{
    struct request *rq = *list;

    if (rq == NULL)
        return;
    if ((verb_row(rq->verb)->flags & FLAG_DIRECT) == 0 &&
        (en->state == VAULT_UNLOCKED || en->state == VAULT_ROLLED_BACK)) {
        batch_run(en, list);
        return;
    }
    *list = rq->next;
    run_direct(en, rq);
}

/* Whoever waits for what has just been stored. */
static void events_work(struct engine *en)
{
    struct err e = { 0 };

    if (en->state != VAULT_UNLOCKED)
        return;
    if (events_read(en, &e) != OK)
        engine_die(__func__, &e);
    if (en->waiting.event)
        shared_sweep(en, true);
}

/* A second without work: what commits have appended goes to its pages. */
static void settle(struct engine *en)
{
    struct err e = { 0 };

    if (en->store != NULL && store_settle(en->store, &e) != OK)
        engine_die(__func__, &e);
}

static void *run(void *context)
{
    struct engine *en = context;
    struct request *list;
    bool busy = false;

    while (take(en, busy, &list)) {
        if (list == NULL && !busy)
            settle(en);
        step(en, &list);
        engine_give_back(en, list);
        schedule_run(en);
        events_work(en);
        busy = database_rekey(en);
        busy |= waiting_wake(en);
        busy |= rounds_work(en);
        busy |= en->leases != NULL && leases_expire(en->leases, engine_now_us(en), EXPIRED_AT_ONCE);
        engine_answered(en);
    }
    waiting_end(en);
    en->answers.untold = true; /* of what was refused because it stops, too */
    engine_answered(en);
    return NULL;
}

static status start(struct engine *en, struct err *e)
{
    pthread_condattr_t attributes;
    status st;
    int error;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&en->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    en->metrics.started_us = clock_wall_us();
    st = syncer_new(&en->syncer, e);
    if (st == OK)
        st = queue_new(en->settings.queue_per_client, &en->queue, e);
    if (st == OK)
        st = rates_new(&en->rates, e);
    if (st != OK)
        return st;
    error = pthread_create(&en->thread, NULL, run, en);
    return error == 0 ? OK : fail(e, IO, "cannot start the engine's thread", error);
}

status engine_new(const struct engine_settings *settings, struct wire_client *client,
                  struct engine **ret_engine, struct err *e)
{
    struct engine *en = calloc(1, sizeof *en);
    status st;

    if (en == NULL)
        return fail(e, NO_MEMORY, "no memory for the engine", 0);
    pthread_mutex_init(&en->lock, NULL);
    en->settings = *settings;
    en->client = client;
    table_init(&en->waiting.people, sizeof(((struct holder *)0)->spki));
    st = refusals_new(&en->refusals, e);
    if (st == OK)
        st = operations_new(&en->operations, e);
    if (st == OK)
        st = rounds_new(&en->rounds, e);
    if (st == OK)
        st = find_state(en, e);
    *ret_engine = en; /* tls_ready may be called from now on */
    if (st == OK)
        st = start(en, e);
    if (st != OK) {
        *ret_engine = NULL;
        engine_detach(en);
        rounds_free(en->rounds);
        operations_free(en->operations);
        refusals_free(en->refusals);
        rates_free(en->rates);
        queue_free(en->queue);
        syncer_free(en->syncer);
        free(en);
    }
    return st;
}

void engine_stop(struct engine *en)
{
    struct err trouble = { 0 };

    if (en->stopped)
        return;
    en->stopped = true;
    pthread_mutex_lock(&en->lock);
    en->stopping = true;
    pthread_cond_signal(&en->wake);
    pthread_mutex_unlock(&en->lock);
    pthread_join(en->thread, NULL);
    /* A successor should find nothing to recover: what was answered is no unanswered batch. */
    if (en->state == VAULT_UNLOCKED &&
        (refusals_flush(en, true, &trouble) != OK || alerts_write(en, &trouble) != OK ||
         batch_acknowledge(en, &trouble) != OK || engine_hello(en, &trouble) != OK ||
         keyring_note_age(en, &trouble) != OK))
        engine_die(__func__, &trouble);
    engine_detach(en);
}

void engine_free(struct engine *en)
{
    if (en == NULL)
        return;
    table_clear(&en->waiting.people);
    rounds_free(en->rounds);
    operations_free(en->operations);
    refusals_free(en->refusals);
    rates_free(en->rates);
    queue_free(en->queue);
    syncer_free(en->syncer);
    pthread_cond_destroy(&en->wake);
    pthread_mutex_destroy(&en->lock);
    free(en);
}

void engine_submit(struct engine *en, struct request *rq)
{
    rq->next = NULL;
    engine_submit_all(en, rq);
}

void engine_submit_all(struct engine *en, struct request *list)
{
    uint64_t now = clock_monotonic_us();
    bool stopping;

    pthread_mutex_lock(&en->lock);
    stopping = en->stopping;
    while (!stopping && list != NULL) {
        struct request *rq = list;

        list = rq->next;
        if (rq->arrived_us == 0)
            rq->arrived_us = now;
        queue_add(en->queue, rq);
    }
    pthread_cond_signal(&en->wake);
    pthread_mutex_unlock(&en->lock);
    while (list != NULL) {
        struct request *rq = list;

        list = rq->next;
        rq->outcome = fail(&rq->err, LOCKED, "the server is stopping: try again", 0);
        rq->done(rq);
    }
}

void engine_queue_size(struct engine *en, size_t *ret_requests, size_t *ret_clients)
{
    pthread_mutex_lock(&en->lock);
    *ret_requests = queue_size(en->queue);
    *ret_clients = queue_clients(en->queue);
    pthread_mutex_unlock(&en->lock);
}

void engine_connected(struct engine *en, int difference)
{
    atomic_fetch_add(&en->metrics.connections, difference);
}

struct id engine_vault(struct engine *en)
{
    struct id vault;

    pthread_mutex_lock(&en->lock);
    vault = en->vault;
    pthread_mutex_unlock(&en->lock);
    return vault;
}

/* They are no secrets: randomness for some is fetched at once. */
static void id_fresh(char text[static ID_HEX_LENGTH + 1])
{
    static _Thread_local struct id pool[IDS_AT_ONCE];
    static _Thread_local size_t left;

    if (left == 0) {
        random_bytes((struct mspan){ pool[0].b, sizeof pool });
        left = IDS_AT_ONCE;
    }
    left--;
    hex_format(SPAN(pool[left].b), text);
}

struct request *request_new(void)
{
    struct request *rq = calloc(1, sizeof *rq);

    if (rq == NULL)
        return NULL;
    id_fresh(rq->id);
    rq->to = rq->size = rq->seq = REQUEST_ABSENT;
    return rq;
}

void request_free(struct request *rq)
{
    if (rq == NULL)
        return;
    json_decref(rq->body);
    usage_free(rq->usage);
    free(rq->usage_filter);
    json_decref(rq->reply);
    wiping_free(rq->text);
    secret_free(rq->value);
    free(rq->lines);
    free(rq->filter);
    free(rq->plan);
    free(rq);
}
