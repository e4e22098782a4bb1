/*
 * What GnuTLS reads from a connection's socket. By itself it asks the kernel for the five bytes of
 * a record's header, then for the rest; and libmicrohttpd asks once more for every connection that
 * is resumed, to hear that there is nothing. Here a small record is read at once, and a resumed
 * connection is said to have nothing: libmicrohttpd took its socket out of epoll to suspend it, and
 * the kernel tells at putting it back what has come meanwhile.
 *
 * "Nothing" otherwise means that buffer and socket are empty, as libmicrohttpd assumes.
 */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

static size_t take(struct link *l, void *to, size_t size)
{
    size_t n = l->in.end - l->in.at < size ? l->in.end - l->in.at : size;

    memcpy(to, l->in.bytes + l->in.at, n); /* ciphertext */
    l->in.at += n;
    return n;
}

static ssize_t pull(gnutls_transport_ptr_t from, void *to, size_t size)
{
    struct link *l = from;
    ssize_t n;

    if (l->in.at < l->in.end)
        return (ssize_t)take(l, to, size);
    if (l->in.resumed) {
        errno = EAGAIN;
        return -1;
    }
    if (size >= sizeof l->in.bytes)
        return recv(l->in.socket, to, size, 0);
    n = recv(l->in.socket, l->in.bytes, sizeof l->in.bytes, 0);
    if (n <= 0)
        return n;
    l->in.at = 0;
    l->in.end = (size_t)n;
    return (ssize_t)take(l, to, size);
}

static int pull_timeout(gnutls_transport_ptr_t from, unsigned ms)
{
    struct link *l = from;
    struct pollfd wanted = { .fd = l->in.socket, .events = POLLIN };

    return l->in.at < l->in.end ? 1 : poll(&wanted, 1, (int)ms);
}

/* libmicrohttpd may tell the next thing in the place of the last one: each is taken at once. */
void transport_set(struct link *l, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t tls = info == NULL ? NULL : (gnutls_session_t)info->tls_session;

    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (tls == NULL || info == NULL)
        return;
    l->in.socket = info->connect_fd;
    gnutls_transport_set_ptr2(tls, l, gnutls_transport_get_ptr(tls));
    gnutls_transport_set_pull_function(tls, pull);
    gnutls_transport_set_pull_timeout_function(tls, pull_timeout);
}
