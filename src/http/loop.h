/*
 * A thread of ours for each of libmicrohttpd's daemons. What crosses between it and the engine's
 * thread crosses in lists: whatever its handlers ask for in one round is handed over under one lock
 * with one signal, and a batch's answers wake it once. libmicrohttpd's own threads take a signal
 * for every request, each way.
 */
#ifndef HTTP_LOOP_H
#define HTTP_LOOP_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/status.h"

struct exchange;
struct http;
struct place;
struct request;

/* Which listener. */
enum door { DOOR_TLS, DOOR_LOCAL, DOOR_COMPAT, DOORS };

/* To be given to MHD_start_daemon for such a thread. A daemon is one thread's alone, until that has
 * ended: where libmicrohttpd knows a flag for that, it wakes nobody at resuming. */
#if MHD_VERSION >= 0x00097707
#define LOOP_FLAGS (MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_THREAD_SAFETY)
#else
#define LOOP_FLAGS (MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME)
#endif

enum loop_order { LOOP_SERVE, LOOP_DRAIN, LOOP_END };

struct loop {
    struct http *http;
    enum door door;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool running;
    int wake;                            /* an eventfd: there is something for a loop that sleeps */
    atomic_int order;                    /* enum loop_order */
    atomic_bool sleeping;                /* or about to look once more whether it may */
    _Atomic(struct exchange *) answered; /* the newest first */
    atomic_bool due;                     /* in the list of those to be woken */
    struct loop *next_due;
    /* Of its own thread: */
    struct request *asked, *asked_last; /* since the last handing over */
    struct place *place;                /* of a connection that is about to be */
    unsigned connections;
};

/* l is zeroed, or was closed. */
MUST_CHECK status loop_open(struct loop *l, struct err *e);
/* l->daemon is there. */
MUST_CHECK status loop_start(struct loop *l, struct err *e);
/* From any thread. DRAIN: no new connections, the listening socket is closed. END: it ends. */
void loop_order(struct loop *l, enum loop_order order);
/* Ends the thread and the daemon, if there are any. By now the engine has answered everything. */
void loop_close(struct loop *l);

/* On the loop's thread: rq goes to the engine when libmicrohttpd has had its turn. */
void loop_ask(struct loop *l, struct request *rq);
/* From any thread: x->connection may go on. The loop is woken by loops_wake, unless this is its
 * own thread. */
void loop_answer(struct loop *l, struct exchange *x);
/* Wakes whom loop_answer was called for. */
void loops_wake(struct http *h);

#endif
