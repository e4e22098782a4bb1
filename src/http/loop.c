#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

status loop_open(struct loop *l, struct err *e)
{
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return l->wake >= 0 ? OK : fail(e, IO, "cannot make an eventfd", errno);
}

static void ring(const struct loop *l)
{
    static const uint64_t one = 1;

    while (write(l->wake, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void loop_order(struct loop *l, enum loop_order order)
{
    atomic_store(&l->order, (int)order);
    ring(l);
}

/* --- between the threads ---------------------------------------------------------------------- */

void loop_answer(struct loop *l, struct exchange *x)
{
    struct http *h = l->http;

    x->next_answered = atomic_load(&l->answered);
    while (!atomic_compare_exchange_weak(&l->answered, &x->next_answered, x))
        ;
    if (atomic_exchange(&l->due, true))
        return;
    l->next_due = atomic_load(&h->due);
    while (!atomic_compare_exchange_weak(&h->due, &l->next_due, l))
        ;
}

void loops_wake(struct http *h)
{
    struct loop *l = atomic_exchange(&h->due, NULL);

    while (l != NULL) {
        struct loop *next = l->next_due;

        atomic_store(&l->due, false); /* whoever answers from now on puts it into the list again */
        if (atomic_exchange(&l->sleeping, false))
            ring(l);
        l = next;
    }
}

void loop_ask(struct loop *l, struct request *rq)
{
    rq->next = NULL;
    if (l->asked == NULL)
        l->asked = rq;
    else
        l->asked_last->next = rq;
    l->asked_last = rq;
}

static void hand_over(struct loop *l)
{
    struct request *list = l->asked;

    l->asked = NULL;
    if (list != NULL)
        engine_submit_all(l->http->engine, list);
}

/* In the order of the answers. */
static void resume(struct loop *l)
{
    struct exchange *newest = atomic_exchange(&l->answered, NULL), *oldest = NULL;

    while (newest != NULL) {
        struct exchange *x = newest;

        newest = x->next_answered;
        x->next_answered = oldest;
        oldest = x;
    }
    while (oldest != NULL) {
        struct exchange *x = oldest;
        struct link *link = link_of(x->connection);

        oldest = x->next_answered;
        if (link != NULL)
            link->in.resumed = true;
        MHD_resume_connection(x->connection);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool has_nothing(struct loop *l, enum loop_order done)
{
    return atomic_load(&l->answered) == NULL && atomic_load(&l->order) == (int)done;
}

/* Until there is something to do. done: the order that was carried out. */
static void rest(struct loop *l, int epoll, enum loop_order done)
{
    struct pollfd wanted[] = { { .fd = epoll, .events = POLLIN },
                               { .fd = l->wake, .events = POLLIN } };
    MHD_UNSIGNED_LONG_LONG ms = 0;
    int timeout = -1;
    uint64_t count;

    if (MHD_get_timeout(l->daemon, &ms) == MHD_YES)
        timeout = ms > INT_MAX ? INT_MAX : (int)ms;
    if (timeout == 0)
        return;
    atomic_store(&l->sleeping, true); /* first: nobody answers between the look and the sleep */
    if (has_nothing(l, done))
        poll(wanted, 2, timeout);
    atomic_store(&l->sleeping, false);
    if (wanted[1].revents != 0)
        while (read(l->wake, &count, sizeof count) < 0 && errno == EINTR)
            ;
}

/* libmicrohttpd takes a full listener's socket out of epoll, and puts it back in the round after
 * the one that made room: there has to be one. */
static bool made_room(struct loop *l)
{
    unsigned before = l->connections;

    l->connections =
        MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
    return l->connections < before;
}

static void *run(void *context)
{
    struct loop *l = context;
    int epoll = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    enum loop_order done = LOOP_SERVE;

    pthread_setname_np(pthread_self(), "http");
    while (done != LOOP_END) {
        enum loop_order order = (enum loop_order)atomic_load(&l->order);

        if (order != LOOP_SERVE && done == LOOP_SERVE)
            close(MHD_quiesce_daemon(l->daemon));
        done = order;
        resume(l);
        MHD_run(l->daemon);
        hand_over(l);
        if (!made_room(l) && done != LOOP_END)
            rest(l, epoll, done);
    }
    return NULL;
}

status loop_start(struct loop *l, struct err *e)
{
    int error = pthread_create(&l->thread, NULL, run, l);

    l->running = error == 0;
    return error == 0 ? OK : fail(e, IO, "cannot start a listener's thread", error);
}

void loop_close(struct loop *l)
{
    if (l->running) {
        loop_order(l, LOOP_END);
        pthread_join(l->thread, NULL);
    }
    l->running = false;
    if (l->daemon != NULL) {
        resume(l); /* libmicrohttpd ends no daemon with connections that wait */
        MHD_stop_daemon(l->daemon);
    }
    l->daemon = NULL;
    if (l->wake > 0)
        close(l->wake);
    l->wake = 0;
}
