/*
 * No connection keeps its place by doing next to nothing. libmicrohttpd takes every byte for a sign
 * of life; here each stretch of a connection has to end in time: handshake and head of the first
 * request, head of a later one, body, and the taking of a reply.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

/* To a few milliseconds, for a tenth of the time. */
static uint64_t coarse_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

struct link *link_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}

struct link *link_open(struct loop *on, struct MHD_Connection *connection)
{
    struct http *h = on->http;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct link *l = calloc(1, sizeof *l);

    if (l == NULL)
        return NULL;
    l->fd = info == NULL ? -1 : info->connect_fd;
    l->place = on->place;
    on->place = NULL;
    transport_set(l, connection);
    link_enter(l, STRETCH_FIRST);
    pthread_mutex_lock(&h->watch.lock);
    l->next = h->watch.links;
    if (l->next != NULL)
        l->next->before = l;
    h->watch.links = l;
    pthread_mutex_unlock(&h->watch.lock);
    return l;
}

/* libmicrohttpd closes the socket after this: whoever holds the lock has no other one's number. */
void link_close(struct http *h, struct link *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&h->watch.lock);
    *(l->before == NULL ? &h->watch.links : &l->before->next) = l->next;
    if (l->next != NULL)
        l->next->before = l->before;
    pthread_mutex_unlock(&h->watch.lock);
    place_leave(h, l->place);
    free(l);
}

void link_enter(struct link *l, enum stretch stretch)
{
    if (l == NULL)
        return;
    l->in.resumed = false;
    atomic_store(&l->since_us, coarse_us());
    atomic_store(&l->stretch, (int)stretch);
}

/* In thirds of the idle time; 0: for ever. */
static const unsigned thirds[] = {
    [STRETCH_FIRST] = 1, [STRETCH_HEAD] = 3,   [STRETCH_BODY] = 3,
    [STRETCH_OURS] = 0,  [STRETCH_REPLY] = 15,
};

static bool overdue(const struct http *h, struct link *l, uint64_t now)
{
    unsigned limit = thirds[atomic_load(&l->stretch)];

    return limit > 0 &&
           now > atomic_load(&l->since_us) + limit * (h->settings.idle_s * SECOND_US / 3);
}

static void look(struct http *h)
{
    uint64_t now = coarse_us();

    pthread_mutex_lock(&h->watch.lock);
    for (struct link *l = h->watch.links; l != NULL; l = l->next) {
        if (l->fd >= 0 && overdue(h, l, now)) {
            shutdown(l->fd, SHUT_RDWR); /* libmicrohttpd hears that and does the rest */
            l->fd = -1;
        }
    }
    pthread_mutex_unlock(&h->watch.lock);
}

static void *watch(void *context)
{
    struct http *h = context;
    struct timespec until;

    pthread_mutex_lock(&h->watch.sleep);
    while (!h->watch.stopping) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&h->watch.wake, &h->watch.sleep, &until) == ETIMEDOUT)
            look(h);
    }
    pthread_mutex_unlock(&h->watch.sleep);
    return NULL;
}

status watch_start(struct http *h, struct err *e)
{
    int error;

    if (h->watch.running)
        return OK;
    error = pthread_create(&h->watch.thread, NULL, watch, h);
    h->watch.running = error == 0;
    return error == 0 ? OK : fail(e, IO, "cannot start the listener's watch", error);
}

void watch_stop(struct http *h)
{
    if (!h->watch.running)
        return;
    pthread_mutex_lock(&h->watch.sleep);
    h->watch.stopping = true;
    pthread_cond_signal(&h->watch.wake);
    pthread_mutex_unlock(&h->watch.sleep);
    pthread_join(h->watch.thread, NULL);
    h->watch.running = false;
}
