/*
 * The server's end of the socketpair. It believes nothing but its own request number: a reply
 * with another one answers a server that died before this one started, and is dropped.
 */
#include "wire/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/crypto.h"

struct wire_client {
    int fd;
    uint64_t number; /* of the last request */
    enum wire_op op;
    uint64_t awaited; /* number of the one whose reply is to come */
    enum wire_op awaited_op;
    struct secret *request;
    struct secret *reply;
    struct out out;
    size_t received; /* bytes in reply */
};

static void client_cleanup(struct wire_client **c)
{
    wire_client_free(*c);
}

status wire_client_new(int fd, struct wire_client **ret_client, struct err *e)
{
    __attribute__((cleanup(client_cleanup))) struct wire_client *c = calloc(1, sizeof(*c));
    int size = 2 * LIMIT_FRAME;

    if (c == NULL)
        return fail(e, NO_MEMORY, "no memory for the keeper client", 0);
    c->fd = -1; /* the caller's until this succeeds */
    status st = secret_new(LIMIT_FRAME, &c->request, e);
    if (st == OK)
        st = secret_new(LIMIT_FRAME, &c->reply, e);
    if (st != OK)
        return st;
    /* One message must fit into the buffer as a whole, or it cannot be sent at all. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) != 0)
        return fail(e, IO, "cannot size the keeper socket's buffer", errno);
    /* A random start: the dead server's last request may still be answered on this socket. */
    random_bytes((struct mspan){ (uint8_t *)&c->number, sizeof(c->number) });
    c->fd = fd;
    *ret_client = c;
    c = NULL;
    return OK;
}

void wire_client_free(struct wire_client *c)
{
    if (c == NULL)
        return;
    secret_free(c->request);
    secret_free(c->reply);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static void wipe_request(struct wire_client *c)
{
    /* What lies behind is zero already: whoever takes back what it wrote wipes it. */
    size_t written = c->out.overflow ? LIMIT_FRAME : c->out.n;

    secret_wipe((struct mspan){ secret_fill(c->request).p, written });
    c->out.n = 0;
}

void wire_client_wipe(struct wire_client *c)
{
    secret_wipe((struct mspan){ secret_fill(c->reply).p, c->received });
    c->received = 0;
}

struct out *wire_client_begin(struct wire_client *c, enum wire_op op)
{
    struct mspan room = secret_fill(c->request);

    wipe_request(c);
    wire_client_wipe(c);
    c->number++;
    c->op = op;
    out_init(&c->out, room.p, room.n);
    wire_put_header(&c->out, &(struct wire_header){ .op = (uint16_t)op, .number = c->number });
    return &c->out;
}

status wire_client_send(struct wire_client *c, struct err *e)
{
    ssize_t sent = 0;

    wire_finish(&c->out);
    if (c->out.overflow)
        return fail(e, LIMIT, "the request is too long for one message", 0);
    do {
        sent = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return fail(e, IO, "the keeper is gone", errno);
    if ((size_t)sent != c->out.n)
        return fail(e, IO, "the keeper took half a message", 0);
    c->awaited = c->number;
    c->awaited_op = c->op;
    wipe_request(c);
    return OK;
}

/* One message, whoever it is for. */
static status client_receive(struct wire_client *c, size_t *ret_length, struct err *e)
{
    struct mspan room = secret_fill(c->reply);
    ssize_t got = 0;

    do {
        got = recv(c->fd, room.p, room.n, MSG_TRUNC);
    } while (got < 0 && errno == EINTR);
    c->received = got < 0 || (size_t)got > room.n ? room.n : (size_t)got;
    if (got < 0)
        return fail(e, IO, "the keeper is gone", errno);
    if (got == 0)
        return fail(e, IO, "the keeper hung up", 0);
    if ((size_t)got > room.n)
        return fail(e, IO, "the keeper's reply is too long", got);
    *ret_length = (size_t)got;
    return OK;
}

/* The literal would be the keeper's own; it cannot cross, so the text goes to the caller. */
static status client_refused(status code, struct in *body, struct in *ret_body, struct err *e)
{
    struct span reason = in_span16(body);

    if (!in_end(body))
        return fail(e, IO, "the keeper's refusal is malformed", 0);
    *ret_body = in_of(reason);
    return fail(e, code, "the keeper refused", 0);
}

status wire_client_receive(struct wire_client *c, struct in *ret_body, struct err *e)
{
    struct wire_header h = { 0 };
    struct in body = { 0 };
    size_t length = 0;

    do {
        status st = client_receive(c, &length, e);
        if (st != OK)
            return st;
        body = in_of(span_of(secret_fill(c->reply).p, length));
        wire_get_header(&body, &h);
        if (body.bad)
            return fail(e, IO, "the keeper's reply has a bad header", 0);
    } while (h.number != c->awaited);
    if (h.op != (uint16_t)c->awaited_op)
        return fail(e, IO, "the keeper answered another question", h.op);
    if (h.status != OK)
        return client_refused((status)h.status, &body, ret_body, e);
    *ret_body = body;
    return OK;
}

status wire_client_call(struct wire_client *c, struct in *ret_body, struct err *e)
{
    status st = wire_client_send(c, e);

    return st == OK ? wire_client_receive(c, ret_body, e) : st;
}
