/*
 * What the vault's TLS and HTTP alone would reach: the same listener with the same threads, loop
 * and priorities, which asks for a client certificate, verifies it once a connection, reads the body
 * and answers the same bytes each time.
 *
 *   floor PORT TLS_DIRECTORY VAULT_ID THREADS REPLY_FILE
 *
 * Ends when its standard input does.
 */
#include "http/internal.h"
#include "http/priorities.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "identity/identity.h"

#define THREADS_MAX 64

static struct {
    struct identity_verifier *verifier;
    char *reply;
    size_t reply_n;
} shared;

static void die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static char *read_file(const char *directory, const char *name, size_t *ret_n)
{
    char path[4096], *text = calloc(1, 65536);
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "%s%s%s", directory, *directory == '\0' ? "" : "/", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || text == NULL || (n = read(fd, text, 65535)) <= 0)
        die(path);
    close(fd);
    if (ret_n != NULL)
        *ret_n = (size_t)n;
    return text;
}

static bool verify(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct link *link = info->socket_context;
    const gnutls_datum_t *chain;
    struct err e = { 0 };
    unsigned count = 0;

    if (link->verified)
        return clock_wall_us() < link->holder.not_after_us;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    chain = gnutls_certificate_get_peers((gnutls_session_t)info->tls_session, &count);
    link->verified =
        count > 0 && identity_verify(shared.verifier, span_of(chain[0].data, chain[0].size),
                                     clock_wall_us(), &link->holder, &e) == OK;
    return link->verified;
}

/* The headers are those of a lease. */
static enum MHD_Result answer(struct MHD_Connection *connection)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(shared.reply_n, shared.reply, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Strongroom-Request-Id", "00112233445566778899aabbccddeeff");
    MHD_add_response_header(response, "Strongroom-Region", "eu");
    result = MHD_queue_response(connection, MHD_HTTP_CREATED, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **state)
{
    static int seen;

    (void)context, (void)url, (void)method, (void)version, (void)data;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    if (*data_size > 0) {
        *data_size = 0;
        return MHD_YES;
    }
    return verify(connection) ? answer(connection) : MHD_NO;
}

static void connected(void *context, struct MHD_Connection *connection, void **link,
                      enum MHD_ConnectionNotificationCode code)
{
    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *link = calloc(1, sizeof(struct link));
        if (*link == NULL)
            die("no memory");
        transport_set(*link, connection);
    } else {
        free(*link);
        *link = NULL;
    }
}

static int listen_on(uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0)
        die("cannot listen");
    return fd;
}

static struct MHD_Daemon *start(int fd, char **argv, const char *ca)
{
    struct MHD_Daemon *daemon = MHD_start_daemon(
        LOOP_FLAGS | MHD_USE_TLS, 0, NULL, NULL, handle, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_HTTPS_MEM_CERT, read_file(argv[2], "server.crt", NULL), MHD_OPTION_HTTPS_MEM_KEY,
        read_file(argv[2], "server.key", NULL), MHD_OPTION_HTTPS_MEM_TRUST, ca,
        MHD_OPTION_HTTPS_PRIORITIES, HTTP_PRIORITIES, MHD_OPTION_CONNECTION_LIMIT, 1024U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HTTP_HEADERS,
        MHD_OPTION_NOTIFY_CONNECTION, connected, NULL, MHD_OPTION_END);

    if (daemon == NULL)
        die("cannot listen");
    return daemon;
}

int main(int argc, char **argv)
{
    static struct loop loops[THREADS_MAX];
    struct id vault;
    struct err e = { 0 };
    unsigned threads;
    char *ca, end;
    int fd;

    if (argc != 6 || !id_parse(argv[3], &vault))
        die("usage: floor PORT TLS_DIRECTORY VAULT_ID THREADS REPLY_FILE");
    ca = read_file(argv[2], "ca.crt", NULL);
    threads = (unsigned)strtoul(argv[4], NULL, 10);
    shared.reply = read_file("", argv[5], &shared.reply_n);
    if (identity_verifier_new(span_text(ca), &vault, &shared.verifier, &e) != OK)
        die(e.why);
    if (threads < 1 || threads > THREADS_MAX)
        die("a floor has 1 to 64 threads");
    fd = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
    for (unsigned i = 0; i < threads; i++) {
        loops[i].daemon = start(dup(fd), argv, ca);
        if (loop_open(&loops[i], &e) != OK || loop_start(&loops[i], &e) != OK)
            die(e.why);
    }
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &end, 1) > 0)
        ;
    for (unsigned i = 0; i < threads; i++)
        loop_close(&loops[i]);
    close(fd);
    return 0;
}
