/*
 * strongroom-server: TLS, HTTP, policy, database. Holds no root, tenant or data key. Started by the
 * supervisor with the keeper's socket; the order in main is the security posture: open what is
 * needed, drop the user, jail, and only then start threads.
 */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "engine/engine.h"
#include "http/http.h"
#include "provider/provider.h"
#include "sandbox/hygiene.h"
#include "sandbox/sandbox.h"
#include "secret/secret.h"
#include "wire/client.h"

#define OTHER_FILES 64
#define SERVER_SLAB ((size_t)6 * 1024 * 1024)
/* At the end of a heap; the kernel does not get it back. */
#define KEPT_FREE (2 * 1024 * 1024)

_Static_assert(SERVER_SLAB <= HYGIENE_MEMLOCK, "the documented RLIMIT_MEMLOCK is enough");

/* What the signal thread and the callbacks of the engine need. */
struct server {
    struct conf conf;
    uint32_t hygiene; /* enum hygiene_fact bits that hold */
    uint32_t allowed; /* to be missing */
    struct wire_client *client;
    struct engine *engine;
    struct http *http;
    pthread_t main_thread;
    int keeper_statm; /* how much memory the keeper has; 0: that cannot be seen */
};

struct arguments {
    const char *config;
    int fd;
    int parent;
    int keeper;
};

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "fd", required_argument, NULL, 'f' },
                                             { "parent", required_argument, NULL, 'p' },
                                             { "keeper", required_argument, NULL, 'k' },
                                             { NULL, 0, NULL, 0 } };
    uint64_t fd = 0, parent = 0, keeper = 0;
    int option;

    *a = (struct arguments){ 0 };
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            a->config = optarg;
        else if (option == 'f' && !number_parse(optarg, 3, 1024, &fd))
            return false;
        else if (option == 'p' && !number_parse(optarg, 1, INT32_MAX, &parent))
            return false;
        else if (option == 'k' && !number_parse(optarg, 1, INT32_MAX, &keeper))
            return false;
        else if (option == '?')
            return false;
    }
    a->fd = (int)fd;
    a->parent = (int)parent;
    a->keeper = (int)keeper;
    return a->config != NULL && fd != 0 && parent != 0 && optind == argc;
}

#define DIRECTORY 256

/* Longer ones are refused before: see prepare. */
static void directory(const struct conf *c, const char *name, char out[DIRECTORY])
{
    snprintf(out, DIRECTORY, "%.*s/%s", DIRECTORY - 16, c->data_dir, name);
}

/* Only what the server must reach: the database, the certificates, the local socket's directory. */
static status jail(const struct conf *c, struct err *e)
{
    char store[DIRECTORY], tls[DIRECTORY], run[DIRECTORY];
    const char *read_dirs[] = {
        "/usr", "/lib", "/lib64", "/etc", "/dev", "/proc/self", "/sys", NULL
    };
    const char *write_dirs[] = { store, tls, run, NULL };
    char *slash;
    status st;

    directory(c, "store", store);
    directory(c, "tls", tls);
    snprintf(run, sizeof run, "%.255s", c->socket);
    slash = strrchr(run, '/');
    if (slash == NULL || slash == run)
        return fail(e, BAD_INPUT, "socket must be a path below a directory of its own", 0);
    *slash = '\0';
    st = sandbox_paths(read_dirs, write_dirs, e);
    return st == OK ? sandbox_syscalls(SANDBOX_SERVER, e) : st;
}

/* Jails the process and measures what that has brought. */
static status protect(struct server *s, struct err *e)
{
    struct hygiene hygiene = { .process = HYGIENE_SERVER,
                               .slab_size = SERVER_SLAB,
                               .slab_hidden = secret_is_hidden() };
    status st = hygiene_parse(s->conf.allow_missing, &s->allowed, e);

    if (st == OK)
        st = hygiene_begin(&hygiene, e);
    if (st == OK)
        st = jail(&s->conf, e);
    return st == OK ? hygiene_finish(&hygiene, s->allowed, &s->hygiene, e) : st;
}

/* One file a connection, and some for everything else. With less than that allowed it serves fewer
 * connections, rather than find at the next commit that nothing can be opened. */
static status open_files(struct server *s, struct err *e)
{
    uint64_t allowed, wanted = s->conf.http_connections + OTHER_FILES;
    status st = sandbox_files(wanted, &allowed, e);

    if (st != OK || allowed >= wanted)
        return st;
    if (allowed < 2 * OTHER_FILES)
        return fail(e, LIMIT, "too few open files are allowed: raise LimitNOFILE (ulimit -n)",
                    (int64_t)allowed);
    log_number(LOG_WARN_,
               "fewer connections than http_connections: raise LimitNOFILE (ulimit -n) above it",
               "connections", (int64_t)(allowed - OTHER_FILES));
    s->conf.http_connections = allowed - OTHER_FILES;
    return OK;
}

/* Where /proc hides other processes, there is no such number. */
static void see_keeper(struct server *s, int keeper)
{
    char path[32];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/statm", keeper);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    s->keeper_statm = fd < 0 ? 0 : fd;
}

static status prepare(const struct arguments *a, struct server *s, struct err *e)
{
    struct conf_trouble trouble;
    status st = sandbox_no_dump(e);

    if (st == OK)
        st = conf_load(a->config, &s->conf, &trouble, e);
    if (st == OK && strlen(s->conf.data_dir) > DIRECTORY - 16)
        st = fail(e, BAD_INPUT, "the path of data_dir is too long", 0);
    if (st == OK)
        st = open_files(s, e);
    see_keeper(s, a->keeper);
    if (st == OK)
        st = secret_start(SERVER_SLAB, e);
    if (st == OK)
        st = crypto_selftest(e);
    if (st == OK)
        st = provider_start(e);
    if (st == OK)
        st = sandbox_drop_user(s->conf.user, e);
    if (st == OK) /* a change of user clears it, hence after */
        st = sandbox_die_with_parent(a->parent, e);
    if (st == OK)
        st = sandbox_no_dump(e);
    return st == OK ? protect(s, e) : st;
}

static status open_tls(struct server *s, struct err *e)
{
    status st = http_start_tls(s->http, s->engine, e);

    if (st == OK)
        log_info("tls listener ready");
    return st;
}

/* The vault was created, or the server's certificate renewed. The former opens the listener, unless
 * the main thread saw the certificate first; the latter ends this process: its successor starts
 * with the new certificate and without an unlock. */
static void tls_ready(void *context, bool renewed)
{
    struct server *s = context;
    struct err e = { 0 };
    status st = open_tls(s, &e);

    if (st == CONFLICT && renewed)
        pthread_kill(s->main_thread, SIGHUP);
    else if (st != OK && st != CONFLICT)
        log_err(LOG_ERROR_, "the TLS listener could not be opened", &e);
}

static status start_engine(struct server *s, struct err *e)
{
    struct engine_settings es = { .lease_ttl_s = s->conf.lease_ttl_s,
                                  .lease_max_ttl_s = s->conf.lease_max_ttl_s,
                                  .lease_max_lifetime_s = s->conf.lease_max_lifetime_s,
                                  .token_ttl_s = s->conf.compat_token_ttl_s,
                                  .rotate_grace_s = s->conf.rotate_grace_s,
                                  .checkpoint_s = s->conf.checkpoint_s,
                                  .checkpoint_idle_s = s->conf.checkpoint_idle_s,
                                  .certificate_days = s->conf.certificate_days,
                                  /* Connections are left for those who do not wait. */
                                  .waiting_max = s->conf.http_connections / 4,
                                  .waiting_events = s->conf.http_connections / 2,
                                  .waiting_each = s->conf.http_connections / 16,
                                  .disk_reserve_mib = s->conf.disk_reserve_mib,
                                  .grant_step_up = s->conf.grant_step_up != 0,
                                  .policy_required = s->conf.policy_required != 0,
                                  .alert = { .first_use = s->conf.alert_first_use != 0,
                                             .after_rotation = s->conf.alert_after_rotation != 0,
                                             .denied_per_minute = s->conf.alert_denied_per_minute,
                                             .spike_factor = s->conf.alert_spike_factor,
                                             .spike_minimum = s->conf.alert_spike_minimum },
                                  .hygiene = s->hygiene,
                                  .hygiene_allowed = s->allowed,
                                  .allow_copy_on_write = s->conf.allow_copy_on_write != 0,
                                  .locks_itself =
                                      s->conf.unlocked_max_s != 0 || s->conf.idle_lock_s != 0,
                                  .tls_ready = tls_ready,
                                  .tls_context = s,
                                  .queue_per_client = s->conf.queue_per_client,
                                  .gateway_rate = s->conf.gateway_rate,
                                  .tenant_rate = s->conf.tenant_rate,
                                  .connections_max = s->conf.http_connections,
                                  .keeper_statm = s->keeper_statm };

    if (!hours_parse(span_text(s->conf.alert_hours), &es.alert.hours))
        return fail(e, BUG, "alert_hours was not checked", 0);
    directory(&s->conf, "store", es.store_dir);
    directory(&s->conf, "tls", es.tls_dir);
    memcpy(es.server_names, s->conf.server_names, sizeof es.server_names);
    memcpy(es.region, s->conf.region, sizeof es.region);
    return engine_new(&es, s->client, &s->engine, e);
}

/* Before the engine starts, which may want to open the TLS listener at once. */
static status make_http(struct server *s, struct err *e)
{
    struct http_settings hs = { .threads = (unsigned)s->conf.http_threads,
                                .connections = (unsigned)s->conf.http_connections,
                                .connections_per_address =
                                    (unsigned)s->conf.http_connections_per_address,
                                .idle_s = (unsigned)s->conf.http_idle_s };

    directory(&s->conf, "tls", hs.tls_dir);
    memcpy(hs.listen, s->conf.listen, sizeof hs.listen);
    memcpy(hs.compat_listen, s->conf.compat_listen, sizeof hs.compat_listen);
    memcpy(hs.socket, s->conf.socket, sizeof hs.socket);
    memcpy(hs.region, s->conf.region, sizeof hs.region);
    return http_new(&hs, &s->http, e);
}

/* Opens the TLS listener as soon as it can be. What is in its way (a port that is taken, a damaged
 * certificate) may go away or be mended over the local socket, so it is tried again. */
static bool listening(struct server *s, bool first)
{
    struct id vault = engine_vault(s->engine);
    struct err e = { 0 };
    status st;

    if (id_is_zero(&vault))
        return false;
    st = open_tls(s, &e);
    if (st != OK && st != CONFLICT && first)
        log_err(LOG_ERROR_, "the TLS listener cannot be opened yet", &e);
    return st == OK || st == CONFLICT;
}

/* Until a signal asks to stop. */
static int await_signal(struct server *s, const sigset_t *signals)
{
    static const struct timespec pause = { .tv_sec = 2 };
    bool open = listening(s, true);
    int received;

    while (!open) {
        received = sigtimedwait(signals, NULL, &pause);
        if (received > 0)
            return received;
        open = listening(s, false);
    }
    return sigwait(signals, &received) == 0 ? received : SIGTERM;
}

static status serve(int fd, struct server *s, struct err *e)
{
    sigset_t signals;
    status st;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->main_thread = pthread_self();
    st = wire_client_new(fd, &s->client, e);
    if (st == OK)
        st = make_http(s, e);
    if (st == OK)
        st = start_engine(s, e);
    if (st != OK)
        return st;
    st = http_start_local(s->http, s->engine, e);
    if (st == OK) {
        log_info("server ready");
        log_number(LOG_INFO_, "server stopping", "signal", await_signal(s, &signals));
    }
    engine_stop(s->engine);
    http_free(s->http);
    engine_free(s->engine);
    wire_client_free(s->client);
    return st;
}

int main(int argc, char **argv)
{
    static struct server server;
    struct arguments arguments;
    struct err e = { 0 };

    log_start("server", LOG_INFO_);
    /* What one batch frees the next one needs again. */
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
    if (!read_arguments(argc, argv, &arguments)) {
        fputs("strongroom-server is started by strongroomd\n", stderr);
        return 2;
    }
    if (prepare(&arguments, &server, &e) != OK) {
        log_err(LOG_ERROR_, "the server cannot start", &e);
        return 78; /* EX_CONFIG: restarting will not help */
    }
    log_start("server", (enum log_level)server.conf.log_level);
    if (serve(arguments.fd, &server, &e) != OK) {
        log_err(LOG_ERROR_, "the server stops", &e);
        secret_wipe_all();
        return 70;
    }
    secret_wipe_all();
    return 0;
}
