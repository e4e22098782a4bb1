/*
 * A load driver: N connections over TLS 1.3 with a client certificate, each with one request under
 * way at any time, from one thread. It says how many were answered a second, with which statuses,
 * and how long they took.
 *
 *   load PORT CERTIFICATE KEY REQUESTS [connections N] [seconds S] [replies N] [cold 1] [once 1]
 *        [save FILE]
 *
 * REQUESTS is a file of lines "METHOD PATH BODY", taken in turn by whichever connection is free;
 * "once" ends when each was sent. "cold" makes a connection for every request. "save" writes the
 * member "lease" of each reply to a file. The server's certificate is not verified: it is the
 * server that is measured, and whoever compares two servers drives both with this.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REPLY_MAX       16384
#define SAMPLES_MAX     (1 << 24)
#define EVENTS          64

enum phase { HANDSHAKE, SEND, RECEIVE };

struct connection {
    int fd;
    gnutls_session_t tls;
    enum phase phase;
    uint64_t began_ns;
    const char *request;
    size_t request_n, sent;
    size_t n; /* of reply */
    char reply[REPLY_MAX + 1];
};

struct request {
    char *text;
    size_t n;
};

static struct {
    uint16_t port;
    const char *certificate, *key, *requests, *save;
    uint64_t connections, seconds, replies, cold, once;
} options = { .connections = 1, .seconds = 5 };

static struct request *requests;
static size_t request_count, request_next, open_count;
static struct connection *connections;
static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priorities;
static uint32_t *samples; /* microseconds */
static size_t sample_count, statuses[600];
static int epoll_fd;
static FILE *saved;
static bool over;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "load: %s: %s\n", what, why);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0')
        die(text, "not a number");
    return value;
}

static void parse(int argc, char **argv)
{
    if (argc < 5 || argc % 2 == 0)
        die("usage", "load PORT CERTIFICATE KEY REQUESTS [connections N] [seconds S] [replies N] "
                     "[cold 1] [once 1] [save FILE]");
    options.port = (uint16_t)number(argv[1]);
    options.certificate = argv[2];
    options.key = argv[3];
    options.requests = argv[4];
    for (int i = 5; i < argc; i += 2) {
        if (strcmp(argv[i], "connections") == 0)
            options.connections = number(argv[i + 1]);
        else if (strcmp(argv[i], "seconds") == 0)
            options.seconds = number(argv[i + 1]);
        else if (strcmp(argv[i], "replies") == 0)
            options.replies = number(argv[i + 1]);
        else if (strcmp(argv[i], "cold") == 0)
            options.cold = number(argv[i + 1]);
        else if (strcmp(argv[i], "once") == 0)
            options.once = number(argv[i + 1]);
        else if (strcmp(argv[i], "save") == 0)
            options.save = argv[i + 1];
        else
            die(argv[i], "no such option");
    }
    if (options.connections == 0 || options.connections > CONNECTIONS_MAX)
        die("connections", "1 to 1024");
}

/* One line of the file as the bytes of an HTTP request. */
static struct request compose(char *line)
{
    char *path = strchr(line, ' '), *body = path == NULL ? NULL : strchr(path + 1, ' ');
    struct request r = { 0 };
    size_t cap;

    if (body == NULL)
        die(line, "not METHOD PATH BODY");
    *path++ = *body++ = '\0';
    cap = strlen(line) + strlen(path) + strlen(body) + 128;
    r.text = malloc(cap);
    if (r.text == NULL)
        die("memory", strerror(errno));
    r.n = (size_t)snprintf(r.text, cap,
                           "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           line, path, strlen(body), body);
    return r;
}

static void read_requests(void)
{
    FILE *file = fopen(options.requests, "r");
    size_t lines = 0, cap = 0;
    char *line = NULL;
    ssize_t n;

    if (file == NULL)
        die(options.requests, strerror(errno));
    while (getline(&line, &cap, file) > 0)
        lines++;
    requests = calloc(lines, sizeof *requests);
    if (lines == 0 || requests == NULL)
        die(options.requests, "empty");
    rewind(file);
    while (request_count < lines && (n = getline(&line, &cap, file)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        requests[request_count++] = compose(line);
    }
    free(line);
    fclose(file);
}

static void connection_close(struct connection *c)
{
    if (c->tls != NULL) {
        gnutls_deinit(c->tls);
        open_count--;
    }
    if (c->fd >= 0)
        close(c->fd);
    c->tls = NULL;
    c->fd = -1;
}

static void connection_open(struct connection *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(options.port) };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 ||
        (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS))
        die("connect", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) != 0 ||
        gnutls_priority_set(c->tls, priorities) != 0 ||
        gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, credentials) != 0)
        die("TLS", "cannot make a session");
    gnutls_transport_set_int(c->tls, c->fd);
    c->phase = HANDSHAKE;
    open_count++;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll", strerror(errno));
}

/* The next request for this connection; false: none is left. */
static bool take(struct connection *c)
{
    if (over || (options.once != 0 && request_next == request_count) ||
        (options.replies != 0 && request_next == options.replies))
        return false;
    c->request = requests[request_next % request_count].text;
    c->request_n = requests[request_next % request_count].n;
    request_next++;
    c->sent = c->n = 0;
    c->began_ns = now_ns();
    return true;
}

static void save(const char *reply)
{
    const char *at = strstr(reply, "\"lease\":\"");

    if (at != NULL)
        fprintf(saved, "%.64s\n", at + strlen("\"lease\":\""));
}

/* Whether the reply is whole; then it is counted. */
static bool reply_ended(struct connection *c)
{
    char *head, *length;
    unsigned long status;

    c->reply[c->n] = '\0';
    head = strstr(c->reply, "\r\n\r\n");
    if (head == NULL)
        return false;
    length = strcasestr(c->reply, "\r\ncontent-length:");
    if (length == NULL || length > head)
        die("reply", "without a length");
    if (c->n < (size_t)(head + 4 - c->reply) + strtoul(length + 17, NULL, 10))
        return false;
    status = strtoul(c->reply + 9, NULL, 10);
    statuses[status < 600 ? status : 599]++;
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = (uint32_t)((now_ns() - c->began_ns) / 1000);
    if (saved != NULL)
        save(head);
    return true;
}

/* As far as it goes without waiting; negative: an error that is not "again". */
static int step(struct connection *c)
{
    ssize_t n;

    switch (c->phase) {
    case HANDSHAKE:
        n = gnutls_handshake(c->tls);
        if (n != 0)
            return (int)n;
        if (options.cold == 0)
            c->began_ns = now_ns();
        c->phase = SEND;
        return 0;
    case SEND:
        n = gnutls_record_send(c->tls, c->request + c->sent, c->request_n - c->sent);
        if (n < 0)
            return (int)n;
        c->sent += (size_t)n;
        if (c->sent == c->request_n)
            c->phase = RECEIVE;
        return 0;
    default:
        n = gnutls_record_recv(c->tls, c->reply + c->n, REPLY_MAX - c->n);
        if (n <= 0)
            return n == 0 ? GNUTLS_E_PREMATURE_TERMINATION : (int)n;
        c->n += (size_t)n;
        if (!reply_ended(c))
            return 0;
        c->phase = SEND;
        if (options.cold != 0)
            connection_close(c);
        if (!take(c))
            connection_close(c);
        else if (options.cold != 0)
            connection_open(c);
        return 0;
    }
}

static void go_on(struct connection *c)
{
    int rc = 0;

    while (c->tls != NULL && (rc == 0 || rc == GNUTLS_E_INTERRUPTED))
        rc = step(c);
    if (c->tls != NULL && rc < 0 && gnutls_error_is_fatal(rc) != 0)
        die("connection", gnutls_strerror(rc));
}

static int smaller(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

static double percentile(double share)
{
    return sample_count == 0 ? 0 : samples[(size_t)((double)(sample_count - 1) * share)] / 1000.0;
}

static void report(uint64_t took_ns)
{
    qsort(samples, sample_count, sizeof *samples, smaller);
    printf("replies %zu\n", sample_count);
    printf("rate %.1f\n", (double)sample_count * 1e9 / (double)took_ns);
    printf("p50_ms %.3f\n", percentile(0.5));
    printf("p99_ms %.3f\n", percentile(0.99));
    printf("p999_ms %.3f\n", percentile(0.999));
    printf("max_ms %.3f\n", percentile(1));
    for (size_t i = 0; i < 600; i++) {
        if (statuses[i] > 0)
            printf("status_%zu %zu\n", i, statuses[i]);
    }
}

static void prepare(void)
{
    if (gnutls_certificate_allocate_credentials(&credentials) != 0 ||
        gnutls_certificate_set_x509_key_file(credentials, options.certificate, options.key,
                                             GNUTLS_X509_FMT_PEM) != 0 ||
        gnutls_priority_init(&priorities, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) != 0)
        die(options.certificate, "cannot be used");
    samples = malloc(sizeof *samples * SAMPLES_MAX);
    connections = calloc(options.connections, sizeof *connections);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (samples == NULL || connections == NULL || epoll_fd < 0)
        die("memory", strerror(errno));
    if (options.save != NULL && (saved = fopen(options.save, "w")) == NULL)
        die(options.save, strerror(errno));
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    uint64_t began, now;

    signal(SIGPIPE, SIG_IGN);
    parse(argc, argv);
    read_requests();
    prepare();
    began = now = now_ns();
    for (size_t i = 0; i < options.connections; i++) {
        connections[i].fd = -1;
        if (take(&connections[i]))
            connection_open(&connections[i]);
    }
    while (open_count > 0) {
        int count = epoll_wait(epoll_fd, events, EVENTS, 10000);

        if (count == 0)
            die("no reply", "for ten seconds");
        for (int i = 0; i < count; i++)
            go_on(events[i].data.ptr);
        now = now_ns();
        over = over || now - began >= options.seconds * 1000000000;
    }
    report(now - began);
    if (saved != NULL && fclose(saved) != 0)
        die(options.save, strerror(errno));
    return 0;
}
