#include "applier.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "db.h"

/* Less is not worth waking a thread for: it is done with what comes next. */
#define WORTH_WAKING ((size_t)64 * 1024)

#define AFTER_OTHERS 10 /* of 19 */

struct job {
    struct job *next;
    bool commit; /* and the bytes are the generation; else they are steps */
    size_t n;
    uint8_t bytes[];
};

struct applier {
    struct store *owner;
    struct store store; /* of this side: its own statements on the owner's connection */
    bool given;         /* the owner's: since it waited */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct job *first, **end;
    size_t bytes;    /* that wait */
    bool committing; /* a commit waits or is under way: never two */
    bool busy, stopping;
    status st; /* the first that failed */
    struct err e;
};

/* --- what is done -------------------------------------------------------------------------- */

static status commit(struct applier *a, struct span generation, struct err *e)
{
    status st = transaction_settle(&a->store, generation, e);

    if (st != OK)
        return st;
    a->store.wal_pages = a->owner->wal_pages;
    return transaction_shrink_wal(&a->store, e);
}

static status do_job(struct applier *a, const struct job *job, struct err *e)
{
    struct span bytes = span_of(job->bytes, job->n);

    return job->commit ? commit(a, bytes, e) : tail_do(&a->store, bytes, e);
}

static void drop(struct job *list)
{
    while (list != NULL) {
        struct job *next = list->next;

        free(list);
        list = next;
    }
}

/* Takes all that waits, and is busy meanwhile. Called with the lock, and returns with it. */
static void work(struct applier *a)
{
    struct job *list = a->first;
    struct err e = { 0 };
    bool commits = false;
    status st = a->st;

    a->first = NULL;
    a->end = &a->first;
    a->bytes = 0;
    a->busy = true;
    pthread_mutex_unlock(&a->lock);
    for (const struct job *job = list; job != NULL; job = job->next) {
        commits |= job->commit;
        if (st == OK)
            st = do_job(a, job, &e);
    }
    drop(list);
    pthread_mutex_lock(&a->lock);
    if (a->st == OK && st != OK) {
        a->st = st;
        a->e = e;
    }
    a->committing &= !commits;
    a->busy = false;
    pthread_cond_broadcast(&a->idle);
}

static void *run(void *context)
{
    struct applier *a = context;

    pthread_setname_np(pthread_self(), "applier");
    (void)setpriority(PRIO_PROCESS, 0, AFTER_OTHERS); /* of this thread: the answers go first */
    pthread_mutex_lock(&a->lock);
    while (!a->stopping) {
        if (!a->busy && (a->committing || a->bytes >= WORTH_WAKING))
            work(a);
        else
            pthread_cond_wait(&a->work, &a->lock);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* --- the owner's side ---------------------------------------------------------------------- */

status applier_new(struct store *s, struct applier **ret_applier, struct err *e)
{
    struct applier *a = calloc(1, sizeof *a);
    int error;

    if (a == NULL)
        return fail(e, NO_MEMORY, "no memory for the store", 0);
    a->owner = s;
    a->store.db = s->db;
    a->store.phase = s->phase;
    a->store.taken = true;
    a->store.transaction = true;
    a->end = &a->first;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->work, NULL);
    pthread_cond_init(&a->idle, NULL);
    error = pthread_create(&a->thread, NULL, run, a);
    if (error != 0) {
        free(a);
        return fail(e, IO, "cannot start the thread that fills the database", error);
    }
    *ret_applier = a;
    return OK;
}

void applier_free(struct applier *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->stopping = true;
    pthread_cond_signal(&a->work);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    drop(a->first);
    db_finalize(&a->store);
    pthread_cond_destroy(&a->idle);
    pthread_cond_destroy(&a->work);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static status outcome(const struct applier *a, struct err *e)
{
    return a->st == OK ? OK : err_note(e, a->st, a->e.where, a->e.why, a->e.detail);
}

static status add(struct applier *a, bool is_commit, struct span bytes, struct err *e)
{
    struct job *job = malloc(sizeof *job + bytes.n);
    status st;

    if (job == NULL)
        return fail(e, NO_MEMORY, "no memory for what the database is to take in", bytes.n);
    *job = (struct job){ .commit = is_commit, .n = bytes.n };
    memcpy(job->bytes, bytes.p, bytes.n);
    if (!a->given)
        a->store.begun = a->owner->begun;
    a->given = true;
    pthread_mutex_lock(&a->lock);
    while (is_commit && a->committing && a->st == OK)
        pthread_cond_wait(&a->idle, &a->lock);
    st = outcome(a, e);
    *a->end = job;
    a->end = &job->next;
    a->bytes += bytes.n;
    a->committing |= is_commit;
    if (!a->busy && (is_commit || a->bytes >= WORTH_WAKING))
        pthread_cond_signal(&a->work);
    pthread_mutex_unlock(&a->lock);
    return st;
}

status applier_give(struct applier *a, struct span steps, struct err *e)
{
    return add(a, false, steps, e);
}

status applier_commit(struct applier *a, struct span generation, struct err *e)
{
    return add(a, true, generation, e);
}

/* What nobody has begun yet is done here: two threads need not be woken for it. */
status applier_wait(struct applier *a, struct err *e)
{
    status st;

    if (!a->given)
        return OK;
    pthread_mutex_lock(&a->lock);
    while (a->busy)
        pthread_cond_wait(&a->idle, &a->lock);
    if (a->first != NULL)
        work(a);
    st = outcome(a, e);
    pthread_mutex_unlock(&a->lock);
    if (st != OK)
        return st;
    a->given = false;
    a->owner->begun = a->store.begun;
    return OK;
}
