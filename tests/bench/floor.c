/*
 * What the vault's TLS and HTTP alone would reach: the same listener with the same threads and
 * priorities, which asks for a client certificate, verifies it once a connection, reads the body
 * and answers the same bytes each time.
 *
 *   floor PORT TLS_DIRECTORY VAULT_ID THREADS REPLY_FILE
 *
 * Ends when its standard input does.
 */
#include "http/internal.h"
#include "http/priorities.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "identity/identity.h"

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
    (void)context, (void)connection;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *link = calloc(1, sizeof(struct link));
    } else {
        free(*link);
        *link = NULL;
    }
}

int main(int argc, char **argv)
{
    struct MHD_Daemon *daemon;
    struct id vault;
    struct err e = { 0 };
    char *ca, end;

    if (argc != 6 || !id_parse(argv[3], &vault))
        die("usage: floor PORT TLS_DIRECTORY VAULT_ID THREADS REPLY_FILE");
    ca = read_file(argv[2], "ca.crt", NULL);
    shared.reply = read_file("", argv[5], &shared.reply_n);
    if (identity_verifier_new(span_text(ca), &vault, &shared.verifier, &e) != OK)
        die(e.why);
    daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TLS,
        (uint16_t)strtoul(argv[1], NULL, 10), NULL, NULL, handle, NULL, MHD_OPTION_HTTPS_MEM_CERT,
        read_file(argv[2], "server.crt", NULL), MHD_OPTION_HTTPS_MEM_KEY,
        read_file(argv[2], "server.key", NULL), MHD_OPTION_HTTPS_MEM_TRUST, ca,
        MHD_OPTION_HTTPS_PRIORITIES, HTTP_PRIORITIES, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)strtoul(argv[4], NULL, 10), MHD_OPTION_CONNECTION_LIMIT, 1024U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(LIMIT_HTTP_HEADERS * 2),
        MHD_OPTION_NOTIFY_CONNECTION, connected, NULL, MHD_OPTION_END);
    if (daemon == NULL)
        die("cannot listen");
    puts("ready");
    fflush(stdout);
    while (read(STDIN_FILENO, &end, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    return 0;
}
