/*
 * strongroom-keeper --config FILE --fd NUMBER --parent PID
 *
 * The process that holds the keys, started by the supervisor with one end of a socketpair. It
 * gives up everything else before it reads the first byte from there: descriptors, dumps, the
 * user's rights, and every system call that is not on a short list. Without a vault it keeps the
 * calls that create the keyring until INIT has done so.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "keeper/keeper.h"
#include "sandbox/hygiene.h"
#include "sandbox/sandbox.h"
#include "secret/secret.h"

#define FD_MAX      1024
#define PID_MAX     ((uint64_t)1 << 22)
#define EXIT_CONFIG 78 /* EX_CONFIG: restarting will not help */

_Static_assert(KEEPER_SLAB <= HYGIENE_MEMLOCK, "the documented RLIMIT_MEMLOCK is enough");

static volatile sig_atomic_t stop;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

struct arguments {
    const char *config;
    uint64_t fd;
    uint64_t parent;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--config") == 0)
            a->config = value;
        else if (strcmp(argv[i], "--fd") == 0) {
            if (!number_parse(value, 3, FD_MAX, &a->fd))
                return false;
        } else if (strcmp(argv[i], "--parent") == 0) {
            if (!number_parse(value, 1, PID_MAX, &a->parent))
                return false;
        } else {
            return false;
        }
    }
    return argc % 2 == 1 && a->config != NULL && a->fd != 0 && a->parent != 0;
}

/* Whatever the supervisor or its parent forgot to mark close-on-exec. */
static status close_others(unsigned fd, struct err *e)
{
    bool closed = (fd == 3 || syscall(SYS_close_range, 3U, fd - 1, 0U) == 0) &&
                  syscall(SYS_close_range, fd + 1, ~0U, 0U) == 0;

    return closed ? OK : fail(e, IO, "cannot close what was inherited", 0);
}

/* The stop signals are blocked, and let in only while the keeper waits: see keeper_serve. */
static status catch_signals(struct err *e)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    struct sigaction action = { .sa_handler = on_stop };
    sigset_t blocked;

    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaddset(&blocked, numbers[i]);
        if (sigaction(numbers[i], &action, NULL) != 0)
            return fail(e, IO, "cannot catch signals", 0);
    }
    if (sigprocmask(SIG_BLOCK, &blocked, NULL) != 0)
        return fail(e, IO, "cannot block signals", 0);
    return OK;
}

static status load_settings(const char *path, struct conf *conf, struct err *e)
{
    struct conf_trouble trouble = { 0 };

    conf_init(conf);
    status st = conf_load(path, conf, &trouble, e);
    if (st != OK)
        log_number(LOG_ERROR_, "keeper.settings", "line", trouble.line);
    return st;
}

static status tighten(struct err *e)
{
    return sandbox_syscalls(SANDBOX_KEEPER, e);
}

static void keeper_cleanup(struct keeper **k)
{
    keeper_free(*k);
}

static status serve(const struct conf *conf, int fd, struct err *e)
{
    __attribute__((cleanup(keeper_cleanup))) struct keeper *keeper = NULL;
    char dir[CONF_TEXT + sizeof("/keyring")];
    struct keeper_settings settings = { .keyring_dir = dir,
                                        .allow_cow = conf->allow_copy_on_write != 0,
                                        .created = tighten,
                                        .unlocked_max_s = conf->unlocked_max_s,
                                        .idle_lock_s = conf->idle_lock_s,
                                        .stop = &stop,
                                        .close_slab = true };
    struct hygiene hygiene = { .process = HYGIENE_KEEPER,
                               .slab_size = KEEPER_SLAB,
                               .slab_hidden = secret_is_hidden() };
    uint32_t allowed = 0, have = 0;

    snprintf(dir, sizeof(dir), "%s/keyring", conf->data_dir);
    status st = hygiene_parse(conf->allow_missing, &allowed, e);
    if (st == OK)
        st = keeper_new(&settings, &keeper, e);
    if (st == OK)
        st = hygiene_begin(&hygiene, e);
    if (st == OK)
        st = sandbox_syscalls(keeper_is_empty(keeper) ? SANDBOX_KEEPER_EMPTY : SANDBOX_KEEPER, e);
    if (st == OK)
        st = hygiene_finish(&hygiene, allowed, &have, e);
    if (st != OK)
        return st;
    keeper_tell_hygiene(keeper, have);
    log_info("keeper.started");
    st = keeper_serve(keeper, fd, e);
    if (st == OK)
        log_info("keeper.stopped");
    return st;
}

static status run(const struct arguments *a, struct err *e)
{
    struct conf conf;

    status st = sandbox_die_with_parent((int)a->parent, e);
    if (st == OK)
        st = sandbox_no_dump(e);
    if (st == OK)
        st = close_others((unsigned)a->fd, e);
    if (st == OK)
        st = catch_signals(e);
    if (st == OK)
        st = load_settings(a->config, &conf, e);
    if (st != OK)
        return st;
    log_start("keeper", (enum log_level)conf.log_level);
    st = secret_start(KEEPER_SLAB, e);
    if (st == OK)
        st = crypto_selftest(e);
    if (st == OK)
        st = sandbox_drop_user(conf.user, e);
    return st == OK ? serve(&conf, (int)a->fd, e) : st;
}

int main(int argc, char **argv)
{
    struct arguments arguments = { 0 };
    struct err e = { 0 };
    int code = 0;

    log_start("keeper", LOG_INFO_);
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: strongroom-keeper --config FILE --fd NUMBER --parent PID\n"
                        "strongroomd starts it; it is of no use alone.\n");
        return 2;
    }
    if (run(&arguments, &e) != OK) {
        log_err(LOG_ERROR_, "keeper.failed", &e);
        code = e.code == DENIED || e.code == LIMIT ? EXIT_CONFIG : 1;
    }
    /* Not exit: a library's exit handler would not expect the sandbox. */
    _exit(code);
}
