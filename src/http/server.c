/*
 * The listeners and the life of an exchange: first callback, upload, submit and suspend; the
 * engine answers on its own thread, the loop resumes; then the reply is queued.
 */
#include "compat.h"
#include "priorities.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "identity/identity.h"
#include "secret/wiping.h"

/* The Vault-compatible face: TLS 1.2 as well, with forward secrecy and AEAD only. */
#define PRIORITIES_COMPAT                                                                  \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"          \
    "-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:%NO_TICKETS:-SIGN-RSA-SHA1:" \
    "-SIGN-ECDSA-SHA1:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1"
#define IDLE_SECONDS 60   /* of the local socket */
#define BACKLOG      4096 /* the kernel takes less if it allows less */
#define DRAIN_MS     2000

/* On the engine's thread, as a rule: the records are durable, the connection may go on. */
static void answered(struct request *rq)
{
    struct exchange *x = rq->context;

    x->answered = true;
    loop_answer(x->loop, x);
}

static void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    atomic_fetch_sub(&x->http->exchanges, 1);
    request_free(x->rq);
    body_free(x);
    free(x->stream.text);
    free(x);
}

static void copy_query(struct exchange *x)
{
    struct request *rq = x->rq;
    const char *after = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "after");
    const char *from = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "from");
    const char *limit = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "limit");
    const char *wait = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "wait");
    static const char *const names[] = { "to", "size", "seq", "version" };
    uint64_t *const values[] = { &rq->to, &rq->size, &rq->seq, &rq->version };
    bool bad = (rq->verb == VERB_LOG_RECORDS && !query_filter(x)) ||
               (rq->verb == VERB_USAGE_SHOW && !query_usage(x));

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value =
            MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, names[i]);

        if (value != NULL)
            bad |= !number_parse(value, 0, INT64_MAX, values[i]);
    }
    if (after != NULL && strlen(after) < sizeof rq->after)
        memcpy(rq->after, after, strlen(after) + 1);
    else
        bad |= after != NULL;
    if (from != NULL)
        bad |= !number_parse(from, 0, INT64_MAX, &rq->from);
    if (limit != NULL)
        bad |= !number_parse(limit, 1, 1000000, &rq->limit);
    if (wait != NULL)
        bad |= !number_parse(wait, 0, LIMIT_WAIT_S, &rq->wait_s);
    bad |= !stream_begin(x);
    if (bad && x->status == 0) {
        rq->verb = VERB_NONE;
        err_note(&rq->err, BAD_INPUT, __func__, "a query argument is out of range", 0);
    }
}

static enum MHD_Result begin(struct loop *l, struct MHD_Connection *connection, const char *url,
                             const char *method, void **state)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (x == NULL)
        return MHD_NO;
    x->http = l->http;
    x->loop = l;
    x->connection = connection;
    x->door = l->door;
    x->rq = request_new();
    if (x->rq == NULL) {
        free(x);
        return MHD_NO;
    }
    atomic_fetch_add(&l->http->exchanges, 1);
    x->rq->context = x;
    x->rq->done = answered;
    if (x->door == DOOR_COMPAT) {
        compat_route(x, method, url);
    } else {
        route_find(x, method, url);
        copy_query(x);
    }
    header_read(x);
    *state = x;
    return MHD_YES;
}

void exchange_ask(struct exchange *x)
{
    link_enter(link_of(x->connection), STRETCH_OURS);
    MHD_suspend_connection(x->connection);
    loop_ask(x->loop, x->rq);
}

static enum MHD_Result submit(struct exchange *x)
{
    if (x->door == DOOR_COMPAT) {
        compat_identify(x);
        compat_body(x);
    } else {
        if (x->rq->peer.role == ROLE_NONE) /* a large body's was asked for before */
            peer_identify(x);
        if (x->rq->peer.role != ROLE_NONE) /* nobody's body is not looked at */
            body_parse(x);
    }
    exchange_ask(x);
    return MHD_YES;
}

/* libmicrohttpd calls this first with the headers, then with each piece of the body, then with
 * none, and once more after the connection was resumed. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **state)
{
    struct exchange *x = *state;

    (void)version;
    if (x == NULL) {
        if (begin(context, connection, url, method, state) == MHD_NO)
            return MHD_NO;
        x = *state;
        head_check(x);
        link_enter(link_of(connection), STRETCH_BODY);
        return x->last ? submit(x) : MHD_YES; /* where such a one's body ends is not known */
    }
    if (*data_size > 0) {
        bool going_on = body_collect(x, data, *data_size);

        *data_size = 0;
        return going_on ? MHD_YES : MHD_NO;
    }
    if (x->answered) {
        link_enter(link_of(connection), x->rq->streams ? STRETCH_OURS : STRETCH_REPLY);
        return x->door == DOOR_COMPAT ? compat_send(x) : reply_send(x);
    }
    return submit(x);
}

/* Names need no escapes: what is spelled with them is no name, and no slash is made of one. */
static size_t as_it_is(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode why)
{
    (void)context;
    (void)why;
    link_enter(link_of(connection), STRETCH_HEAD);
    exchange_free(*state);
    *state = NULL;
}

/* A connection's own memory: what is known about its peer. */
static void connected(void *context, struct MHD_Connection *connection, void **link,
                      enum MHD_ConnectionNotificationCode code)
{
    struct loop *l = context;

    engine_connected(l->http->engine, code == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *link = link_open(l, connection);
    } else {
        link_close(l->http, *link);
        *link = NULL;
    }
}

static enum MHD_Result admit(void *context, const struct sockaddr *from, socklen_t length)
{
    (void)length;
    return place_take(context, from) ? MHD_YES : MHD_NO;
}

status http_new(const struct http_settings *settings, struct http **ret_http, struct err *e)
{
    struct http *h = calloc(1, sizeof *h);

    if (h == NULL)
        return fail(e, NO_MEMORY, "no memory for the listeners", 0);
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    h->settings = *settings;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->places.lock, NULL);
    pthread_mutex_init(&h->watch.sleep, NULL);
    pthread_mutex_init(&h->watch.lock, NULL);
    pthread_cond_init(&h->watch.wake, NULL);
    *ret_http = h;
    return OK;
}

/* --- a listener and its threads --------------------------------------------------------------- */

static struct MHD_Daemon *start_local(struct loop *l, int fd)
{
    return MHD_start_daemon(LOOP_FLAGS, 0, NULL, NULL, handle, l, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(LIMIT_HTTP_HEADERS * 2),
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
                            MHD_OPTION_CONNECTION_LIMIT, 16, MHD_OPTION_UNESCAPE_CALLBACK,
                            head_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
                            MHD_OPTION_END);
}

static struct MHD_Daemon *start_tls(struct loop *l, int fd, unsigned connections)
{
    const struct http_settings *s = &l->http->settings;
    const struct credentials *c = &l->http->credentials;
    bool compat = l->door == DOOR_COMPAT;

    return MHD_start_daemon(
        LOOP_FLAGS | MHD_USE_TLS, 0, admit, l, handle, l, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_HTTPS_MEM_CERT, c->certificate, MHD_OPTION_HTTPS_MEM_KEY, c->key,
        MHD_OPTION_HTTPS_MEM_TRUST, c->ca, MHD_OPTION_HTTPS_PRIORITIES,
        compat ? PRIORITIES_COMPAT : HTTP_PRIORITIES, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HTTP_HEADERS,
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_s, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, compat ? as_it_is : head_unescape, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, connected, l,
        MHD_OPTION_END);
}

static void shut(struct http *h, enum door door)
{
    struct loops *loops = &h->doors[door];

    for (unsigned i = 0; i < loops->count; i++)
        loop_close(&loops->all[i]);
    loops->open = false;
}

/* Loop i of those that listen on fd: each with a descriptor of its own, because it closes it. */
static status open_loop(struct loop *l, int fd, unsigned connections, struct err *e)
{
    status st = loop_open(l, e);
    int own;

    if (st != OK)
        return st;
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return fail(e, IO, "cannot share a listening socket", errno);
    errno = 0;
    l->daemon = l->door == DOOR_LOCAL ? start_local(l, own) : start_tls(l, own, connections);
    if (l->daemon != NULL)
        return OK;
    fail(e, IO, "cannot start a listener", errno);
    close(own);
    return IO;
}

/* Its threads are still to be started. Takes fd. */
static status open_door(struct http *h, enum door door, int fd, struct err *e)
{
    struct loops *loops = &h->doors[door];
    unsigned n = door == DOOR_LOCAL || h->settings.threads < 1 ? 1 : h->settings.threads;
    unsigned connections = h->settings.connections;
    status st = OK;

    if (loops->all == NULL)
        loops->all = calloc(n, sizeof *loops->all);
    if (loops->all == NULL)
        st = fail(e, NO_MEMORY, "no memory for a listener", 0);
    else
        loops->count = n;
    for (unsigned i = 0; i < n && st == OK; i++) {
        loops->all[i].http = h;
        loops->all[i].door = door;
        atomic_store(&loops->all[i].order, LOOP_SERVE);
        st = open_loop(&loops->all[i], fd, connections / n + (i < connections % n), e);
    }
    close(fd);
    if (st != OK)
        shut(h, door);
    loops->open = st == OK;
    return st;
}

static status start_threads(struct http *h, enum door door, struct err *e)
{
    status st = OK;

    for (unsigned i = 0; i < h->doors[door].count && st == OK; i++)
        st = loop_start(&h->doors[door].all[i], e);
    return st;
}

static void told(void *context)
{
    loops_wake(context);
}

static status listen_local(const char *path, int *ret_fd, struct err *e)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd;

    if (strlen(path) >= sizeof address.sun_path)
        return fail(e, BAD_INPUT, "the path of the local socket is too long", 0);
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(e, IO, "cannot make the local socket", errno);
    unlink(path); /* one keeper, hence one server: a file that is there is a dead one's */
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0600) != 0 ||
        listen(fd, 16) != 0) {
        int error = errno;

        close(fd);
        return fail(e, IO, "cannot listen on the local socket", error);
    }
    *ret_fd = fd;
    return OK;
}

status http_start_local(struct http *h, struct engine *engine, struct err *e)
{
    int fd;
    status st = listen_local(h->settings.socket, &fd, e);

    if (st != OK)
        return st;
    h->engine = engine;
    engine_tell(engine, told, h);
    st = open_door(h, DOOR_LOCAL, fd, e);
    if (st == OK)
        st = start_threads(h, DOOR_LOCAL, e);
    if (st != OK)
        shut(h, DOOR_LOCAL);
    return st;
}

/* "address:port" or "[v6]:port". */
static status listen_tcp(const char *where, int *ret_fd, struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
    struct addrinfo *found = NULL;
    const char *colon = strrchr(where, ':');
    char address[256] = "";
    int fd, one = 1, error;

    if (colon == NULL)
        return fail(e, BAD_INPUT, "listen is address:port", 0);
    if (where[0] == '[' && colon > where + 2 && colon[-1] == ']')
        memcpy(address, where + 1, (size_t)(colon - where - 2));
    else
        memcpy(address, where, (size_t)(colon - where));
    if (getaddrinfo(address, colon + 1, &hints, &found) != 0)
        return fail(e, BAD_INPUT, "listen is address:port with a numeric address", 0);
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        error = errno;
        freeaddrinfo(found);
        if (fd >= 0)
            close(fd);
        return fail(e, IO, "cannot listen on the configured address", error);
    }
    freeaddrinfo(found);
    *ret_fd = fd;
    return OK;
}

/* Both or none: whoever configured the second is not left to find out that it is not there. */
static status start_all(struct http *h, struct err *e)
{
    const char *const where[DOORS] = {
        [DOOR_TLS] = h->settings.listen, [DOOR_COMPAT] = h->settings.compat_listen
    };
    static const enum door doors[] = { DOOR_TLS, DOOR_COMPAT };
    status st = OK;
    int fd;

    for (size_t i = 0; i < 2 && st == OK; i++) {
        if (doors[i] == DOOR_COMPAT && where[DOOR_COMPAT][0] == '\0')
            continue;
        st = listen_tcp(where[doors[i]], &fd, e);
        if (st == OK)
            st = open_door(h, doors[i], fd, e);
    }
    /* No thread before everything else is there: nobody's request is under way when it fails. */
    for (size_t i = 0; i < 2 && st == OK; i++)
        st = start_threads(h, doors[i], e);
    for (size_t i = 0; i < 2 && st != OK; i++)
        shut(h, doors[i]);
    return st;
}

status http_start_tls(struct http *h, struct engine *engine, struct err *e)
{
    status st;

    pthread_mutex_lock(&h->lock);
    if (h->doors[DOOR_TLS].open) {
        pthread_mutex_unlock(&h->lock);
        return fail(e, CONFLICT, "the TLS listener runs already", 0);
    }
    h->engine = engine;
    engine_tell(engine, told, h);
    st = credentials_load(h, e);
    if (st == OK)
        st = watch_start(h, e);
    if (st == OK)
        st = start_all(h, e);
    credentials_forget_key(&h->credentials);
    if (st != OK)
        credentials_clear(&h->credentials);
    pthread_mutex_unlock(&h->lock);
    return st;
}

/* The engine has answered everything by now; what it said should still arrive. */
static void drain(struct http *h)
{
    const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };

    for (size_t door = 0; door < DOORS; door++) {
        for (unsigned i = 0; h->doors[door].open && i < h->doors[door].count; i++)
            loop_order(&h->doors[door].all[i], LOOP_DRAIN);
    }
    for (unsigned waited = 0; waited < DRAIN_MS && atomic_load(&h->exchanges) > 0; waited += 5)
        nanosleep(&pause, NULL);
}

void http_stop(struct http *h)
{
    drain(h);
    for (size_t door = 0; door < DOORS; door++)
        shut(h, (enum door)door);
    watch_stop(h);
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    http_stop(h);
    for (size_t door = 0; door < DOORS; door++)
        free(h->doors[door].all);
    credentials_clear(&h->credentials);
    pthread_cond_destroy(&h->watch.wake);
    pthread_mutex_destroy(&h->watch.lock);
    pthread_mutex_destroy(&h->watch.sleep);
    pthread_mutex_destroy(&h->places.lock);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
