#include "syncer.h"

#include <pthread.h>
#include <stdlib.h>

struct syncer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store *store; /* to be synced; NULL: nothing is to be done */
    bool stopping;
    status st; /* of the last one */
    struct err e;
};

static void *run(void *context)
{
    struct syncer *s = context;

    pthread_mutex_lock(&s->lock);
    for (;;) {
        struct err e = { 0 };
        status st;

        while (s->store == NULL && !s->stopping)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->store == NULL)
            break;
        struct store *store = s->store;
        pthread_mutex_unlock(&s->lock);
        st = store_sync(store, &e);
        pthread_mutex_lock(&s->lock);
        s->st = st;
        s->e = e;
        s->store = NULL;
        pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

status syncer_new(struct syncer **ret_syncer, struct err *e)
{
    struct syncer *s = calloc(1, sizeof *s);
    int error;

    if (s == NULL)
        return fail(e, NO_MEMORY, "no memory for the engine", 0);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    error = pthread_create(&s->thread, NULL, run, s);
    if (error != 0) {
        free(s);
        return fail(e, IO, "cannot start the thread that waits for the disk", error);
    }
    *ret_syncer = s;
    return OK;
}

void syncer_free(struct syncer *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void syncer_begin(struct syncer *s, struct store *store)
{
    pthread_mutex_lock(&s->lock);
    s->store = store;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool syncer_over(struct syncer *s)
{
    bool over;

    pthread_mutex_lock(&s->lock);
    over = s->store == NULL;
    pthread_mutex_unlock(&s->lock);
    return over;
}

status syncer_wait(struct syncer *s, struct err *e)
{
    struct err why;
    status st;

    pthread_mutex_lock(&s->lock);
    while (s->store != NULL)
        pthread_cond_wait(&s->changed, &s->lock);
    st = s->st;
    why = s->e;
    pthread_mutex_unlock(&s->lock);
    return st == OK ? OK : err_note(e, st, why.where, why.why, why.detail);
}
