/*
 * RFC 5424 messages with octet counting over TLS (RFC 5425). The protocol has no acknowledgement:
 * what went into a connection may be lost with it. So a connection is ended now and then, and how
 * it ends tells: after our end of the stream the receiver's system answers with an end of its own
 * only if its program has taken everything, and with a reset if something was left.
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli.h"
#include "stream.h"

#define PATIENCE_MS 15000

static int open_settings(struct cli *c, struct sink *s)
{
    char url[288];

    (void)c;
    s->fd = -1;
    snprintf(url, sizeof(url), "https://%.260s", s->target);
    if (strlen(s->target) > 250 || !https_url_valid(url) || strrchr(s->target, ':') == NULL)
        return report(EXIT_USAGE, "--to syslog+tls:// takes HOST:PORT; the usual port is 6514");
    return EXIT_DONE;
}

static void let_go(struct sink *s)
{
    curl_easy_cleanup(s->curl);
    s->curl = NULL;
}

static status connect_tls(struct sink *s, struct err *e)
{
    char url[288];
    CURL *curl;
    CURLcode rc;
    status st;

    if (s->curl != NULL)
        return OK;
    s->curl = curl = curl_easy_init();
    if (curl == NULL)
        return fail(e, NO_MEMORY, "no memory for a connection", 0);
    snprintf(url, sizeof(url), "https://%.260s/", s->target);
    st = sink_tls(s, curl, e);
    if (st != OK)
        return st;
    if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_SSL_ENABLE_ALPN, 0L) != CURLE_OK)
        return fail(e, IO, "libcurl refuses its settings", 0);
    rc = curl_easy_perform(curl);
    return rc == CURLE_OK ? OK : fail(e, IO, "no TLS connection to the receiver", (int64_t)rc);
}

static int socket_of(struct sink *s)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    (void)curl_easy_getinfo(s->curl, CURLINFO_ACTIVESOCKET, &fd);
    return fd;
}

/* Receivers say nothing: whatever comes is the end of the connection, or none of our business. */
static status hear(struct sink *s, struct err *e)
{
    char ignored[256];
    size_t n = 0;
    CURLcode rc;

    do
        rc = curl_easy_recv(s->curl, ignored, sizeof(ignored), &n);
    while (rc == CURLE_OK && n > 0);
    return rc == CURLE_AGAIN ? OK : fail(e, IO, "the receiver closed the connection", (int64_t)rc);
}

static status send_all(struct sink *s, struct err *e)
{
    size_t sent = 0;

    while (sent < s->used) {
        struct pollfd ready = { .fd = socket_of(s), .events = POLLOUT };
        size_t n = 0;
        CURLcode rc = curl_easy_send(s->curl, s->buffer + sent, s->used - sent, &n);

        if (rc != CURLE_OK && rc != CURLE_AGAIN)
            return fail(e, IO, "the connection to the receiver broke", (int64_t)rc);
        sent += n;
        if (rc == CURLE_AGAIN && poll(&ready, 1, PATIENCE_MS) == 0)
            return fail(e, IO, "the receiver takes nothing", 0);
    }
    return OK;
}

static status send_lines(struct sink *s, struct span lines, struct err *e)
{
    char host[256] = "-", head[SYSLOG_HEAD_MAX + 1];
    struct span line;
    status st = connect_tls(s, e);

    if (st == OK)
        st = hear(s, e);
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    s->used = 0;
    while (st == OK && take_line(&lines, &line)) {
        char count[24];
        size_t n = syslog_head(line, host, head);

        snprintf(count, sizeof(count), "%zu ", n + line.n);
        st = sink_put_text(s, count, e);
        if (st == OK)
            st = sink_put(s, span_of(head, n), e);
        if (st == OK)
            st = sink_put(s, line, e);
    }
    return st == OK ? send_all(s, e) : st;
}

/* Until the other side's end of the stream. */
static status await_end(int fd, struct err *e)
{
    char ignored[4096];

    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        int found = poll(&ready, 1, PATIENCE_MS);
        ssize_t n;

        if (found < 0 && errno == EINTR)
            continue;
        if (found <= 0)
            return fail(e, IO, "the receiver does not end the connection", 0);
        n = recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT);
        if (n == 0)
            return OK;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail(e, IO, "the receiver did not take everything", errno);
    }
}

/* The TLS library says goodbye on its own descriptor; ours keeps the connection for the answer. */
static status confirm(struct sink *s, struct err *e)
{
    int fd = s->curl == NULL ? -1 : fcntl(socket_of(s), F_DUPFD_CLOEXEC, 3);
    status st;

    if (fd < 0)
        return fail(e, IO, "there is no connection to the receiver", 0);
    st = hear(s, e);
    let_go(s);
    if (st == OK && shutdown(fd, SHUT_WR) != 0)
        st = fail(e, IO, "the connection to the receiver broke", errno);
    if (st == OK)
        st = await_end(fd, e);
    close(fd);
    return st;
}

const struct sink_kind sink_syslog = { .scheme = "syslog+tls://",
                                       .page = 500,
                                       .open = open_settings,
                                       .send = send_lines,
                                       .confirm = confirm,
                                       .close = let_go };
