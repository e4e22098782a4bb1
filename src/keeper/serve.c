/*
 * The loop: one frame, one answer, and the clock in between. Frames live in the slab, because a
 * request can carry the CA's key and a reply provider keys; both are wiped after use. The slab is
 * closed while the loop waits: keys can be read only while a message is at work.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

static bool stopped(const struct keeper *k)
{
    return k->settings.stop != NULL && *k->settings.stop != 0;
}

/* OK with *ret_ready false when the time is over or a signal came. Signals that are blocked
 * outside are let in only here, so that one cannot be missed just before the wait. */
static status wait_for_frame(int fd, int wait_ms, bool *ret_ready, struct err *e)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct timespec t = { .tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000 };
    sigset_t none;

    sigemptyset(&none);
    *ret_ready = false;
    int n = ppoll(&p, 1, &t, &none);
    if (n < 0 && errno != EINTR)
        return fail(e, IO, "cannot wait for the server", errno);
    *ret_ready = n > 0;
    return OK;
}

/* 0 length: the other end is closed. */
static status receive(int fd, struct mspan room, size_t *ret_length, struct err *e)
{
    ssize_t got = 0;

    do {
        got = recv(fd, room.p, room.n, MSG_TRUNC);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != ECONNRESET)
        return fail(e, IO, "cannot receive from the server", errno);
    if (got < 0)
        got = 0;
    *ret_length = (size_t)got;
    if ((size_t)got > room.n) {
        /* Cut off by the kernel: its header must not be believed, whatever length it claims. */
        *ret_length = room.n;
        secret_wipe((struct mspan){ room.p, sizeof(uint32_t) });
    }
    return OK;
}

/* A server that died does not get its answer; the next one asks RECOVER. */
static status reply(int fd, struct span frame, struct err *e)
{
    ssize_t sent = 0;

    do {
        sent = send(fd, frame.p, frame.n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET)
        return fail(e, IO, "cannot answer the server", errno);
    return OK;
}

static status serve_one(struct keeper *k, int fd, struct mspan in, struct mspan out, bool *ret_open,
                        struct err *e)
{
    size_t length = 0;
    size_t answer = 0;

    status st = receive(fd, in, &length, e);
    if (st != OK)
        return st;
    if (length == 0) {
        *ret_open = false;
        return OK;
    }
    keeper_answer(k, span_of(in.p, length), out, &answer);
    if (answer > 0)
        st = reply(fd, span_of(out.p, answer), e);
    /* What lies behind is zero: keeper_answer wipes all of a reply that it takes back. */
    secret_wipe((struct mspan){ in.p, length });
    secret_wipe((struct mspan){ out.p, answer > 0 ? answer : out.n });
    return st;
}

status keeper_serve(struct keeper *k, int fd, struct err *e)
{
    AUTO(secret) *request = NULL;
    AUTO(secret) *answer = NULL;
    int size = 2 * LIMIT_FRAME;
    bool open = true;

    status st = secret_new(LIMIT_FRAME, &request, e);
    if (st == OK)
        st = secret_new(LIMIT_FRAME, &answer, e);
    /* One message must fit into the buffer as a whole, or it cannot be sent at all. */
    if (st == OK && setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0)
        st = fail(e, IO, "cannot size the server socket's buffer", errno);
    while (st == OK && open && !stopped(k)) {
        bool ready = false;
        keeper_tick(k);
        int wait_ms = keeper_wait_ms(k);
        if (k->settings.close_slab && wait_ms > 0)
            secret_close();
        st = wait_for_frame(fd, wait_ms, &ready, e);
        secret_open();
        if (st == OK && ready && !stopped(k))
            st = serve_one(k, fd, secret_fill(request), secret_fill(answer), &open, e);
        else if (st == OK)
            keeper_work(k);
    }
    keeper_lock(k);
    return st;
}
