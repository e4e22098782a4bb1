/*
 * strongroomd: a small supervisor. It joins keeper and server by a socketpair and starts them
 * again: a server that ends gets a successor with the same keeper, hence without a new unlock; a
 * keeper that ends takes the server with it, and the vault is locked. It holds no key.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "conf/conf.h"
#include "sandbox/hygiene.h"
#include "sandbox/sandbox.h"

#define CHILD_FD    3
#define EXIT_USAGE  2
#define EXIT_CONFIG 78        /* EX_CONFIG, from a child: restarting will not help */
#define QUICK_US    SECOND_US /* a child that lived shorter waits before its successor */
#define QUICK_EXITS 2
#define GRACE_S     10 /* for a child that was asked to stop */

enum child { KEEPER, SERVER, CHILDREN };

static const char *const programs[CHILDREN] = { "strongroom-keeper", "strongroom-server" };

struct supervisor {
    const char *config;
    char paths[CHILDREN][512];
    pid_t pids[CHILDREN];
    int ends[CHILDREN]; /* of the socketpair; ends[SERVER] is kept for the server's successors */
    uint64_t started_us[CHILDREN];
    unsigned quick_exits[CHILDREN];
    bool served; /* a child ran for a while: the configuration was good once */
};

static int usage(FILE *to, int code)
{
    fputs("usage: strongroomd --config FILE          run in the foreground\n"
          "       strongroomd --config FILE --check  check configuration and machine, then exit\n"
          "       strongroomd --sample-config        print a commented configuration\n"
          "       strongroomd --version\n"
          "\n"
          "SIGHUP restarts the server part (for an upgrade) without locking the vault;\n"
          "SIGTERM stops everything: the vault is locked then.\n",
          to);
    return code;
}

/* Beside this program, or where packages put helpers. */
static bool find_programs(struct supervisor *s)
{
    static const char *const places[] = { "", "../libexec/strongroom/" };
    char self[400];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0)
        return false;
    self[n] = '\0';
    slash = strrchr(self, '/');
    slash[1] = '\0';
    for (size_t p = 0; p < 2; p++) {
        bool all = true;

        for (size_t c = 0; c < CHILDREN; c++) {
            snprintf(s->paths[c], sizeof s->paths[c], "%s%s%s", self, places[p], programs[c]);
            all = all && access(s->paths[c], X_OK) == 0;
        }
        if (all)
            return true;
    }
    return false;
}

/* Below the first one the owner could have put a link to anything in a directory's place, hence
 * none is followed there. */
static bool make_directory(const char *path, const struct passwd *owner, bool follow)
{
    int fd;
    bool owned;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return false;
    if (owner == NULL)
        return true;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return false;
    owned = fchown(fd, owner->pw_uid, owner->pw_gid) == 0;
    close(fd);
    return owned;
}

/* The data directory and what is in it, belonging to the user the children will be. */
static bool make_directories(const struct conf *c)
{
    static const char *const names[] = { "", "/keyring", "/store", "/tls" };
    const struct passwd *owner = NULL;
    char path[CONF_TEXT + 16];
    char *slash;

    if (geteuid() == 0) {
        owner = getpwnam(c->user);
        if (owner == NULL) {
            fprintf(stderr, "strongroomd: there is no such user as the setting user names\n");
            return false;
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", c->data_dir, names[i]);
        if (!make_directory(path, owner, i == 0)) {
            fprintf(stderr, "strongroomd: data_dir cannot be made: %s\n", strerror(errno));
            return false;
        }
    }
    snprintf(path, sizeof path, "%s", c->socket);
    slash = strrchr(path, '/');
    if (slash != NULL && slash != path) {
        *slash = '\0';
        if (access(path, F_OK) != 0 && !make_directory(path, owner, true)) {
            fprintf(stderr, "strongroomd: the socket's directory cannot be made: %s\n",
                    strerror(errno));
            return false;
        }
    }
    return true;
}

static bool join(struct supervisor *s)
{
    int size = 4 * LIMIT_FRAME;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->ends) != 0)
        return false;
    for (size_t c = 0; c < CHILDREN; c++) {
        /* As root beyond the system's bound; otherwise as far as it goes: a frame fits anyway. */
        if (setsockopt(s->ends[c], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
            (void)setsockopt(s->ends[c], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    return true;
}

static void run_child(const struct supervisor *s, enum child c, pid_t parent)
{
    char fd[16], pid[16], keeper[16];
    char *arguments[] = { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL };
    static char config[] = "--config", fd_name[] = "--fd", parent_name[] = "--parent";
    static char keeper_name[] = "--keeper";
    sigset_t none;

    snprintf(fd, sizeof fd, "%d", CHILD_FD);
    snprintf(pid, sizeof pid, "%d", (int)parent);
    arguments[0] = strdup(programs[c]);
    arguments[1] = config;
    arguments[2] = strdup(s->config);
    arguments[3] = fd_name;
    arguments[4] = fd;
    arguments[5] = parent_name;
    arguments[6] = pid;
    if (c == SERVER) { /* which tells how much memory it has */
        snprintf(keeper, sizeof keeper, "%d", (int)s->pids[KEEPER]);
        arguments[7] = keeper_name;
        arguments[8] = keeper;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* dup2 onto itself would keep close-on-exec, hence the flag is cleared in either case. */
    if (dup2(s->ends[c], CHILD_FD) == CHILD_FD && fcntl(CHILD_FD, F_SETFD, 0) == 0)
        execv(s->paths[c], arguments);
    _exit(EXIT_CONFIG);
}

static bool start(struct supervisor *s, enum child c)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        return false;
    if (pid == 0)
        run_child(s, c, parent);
    s->pids[c] = pid;
    s->started_us[c] = clock_monotonic_us();
    return true;
}

static bool start_both(struct supervisor *s)
{
    if (!join(s))
        return false;
    if (!start(s, KEEPER) || !start(s, SERVER))
        return false;
    /* Only the keeper holds its end, so that the server notices when the keeper is gone. The
     * server's end stays here for its successors. */
    close(s->ends[KEEPER]);
    s->ends[KEEPER] = -1;
    return true;
}

static void stop(struct supervisor *s, enum child c, int signal_number)
{
    sigset_t child;
    struct timespec wait = { .tv_sec = GRACE_S };

    if (s->pids[c] <= 0)
        return;
    kill(s->pids[c], signal_number);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    while (waitpid(s->pids[c], NULL, WNOHANG) == 0) {
        if (sigtimedwait(&child, NULL, &wait) < 0 && errno == EAGAIN)
            kill(s->pids[c], SIGKILL);
    }
    s->pids[c] = 0;
}

/* One that ends right after its start again and again must not keep the machine busy. */
static void pause_if_quick(struct supervisor *s, enum child c)
{
    static const struct timespec pause = { .tv_nsec = 500 * 1000 * 1000 };
    bool quick = clock_monotonic_us() - s->started_us[c] < QUICK_US;

    s->served |= !quick;
    s->quick_exits[c] = quick ? s->quick_exits[c] + 1 : 0;
    if (s->quick_exits[c] > QUICK_EXITS)
        nanosleep(&pause, NULL);
}

/* The keeper is gone: nothing that the server still holds is worth anything. */
static bool keeper_ended(struct supervisor *s)
{
    log_warn("the keeper ended: the vault is locked");
    stop(s, SERVER, SIGKILL);
    close(s->ends[SERVER]);
    pause_if_quick(s, KEEPER);
    if (!s->served && s->quick_exits[KEEPER] > QUICK_EXITS)
        return false; /* it never worked: another daemon may have the keyring */
    return start_both(s);
}

static bool server_ended(struct supervisor *s)
{
    pause_if_quick(s, SERVER);
    log_number(LOG_WARN_, "the server ended and is started again", "quick_exits",
               s->quick_exits[SERVER]);
    return start(s, SERVER);
}

/* Reaps whoever ended. false: nothing can be started any more. */
static bool reap(struct supervisor *s)
{
    bool fine = true;
    pid_t pid;
    int how;

    while (fine && (pid = waitpid(-1, &how, WNOHANG)) > 0) {
        bool hopeless = WIFEXITED(how) && WEXITSTATUS(how) == EXIT_CONFIG;

        for (size_t c = 0; c < CHILDREN; c++) {
            if (pid != s->pids[c])
                continue;
            s->pids[c] = 0;
            /* A configuration that was spoilt since is no reason to lose an open vault: the server
             * is tried again until it is mended. */
            if (hopeless && (c == KEEPER || !s->served))
                return false;
            fine = c == KEEPER ? keeper_ended(s) : server_ended(s);
            break;
        }
    }
    return fine;
}

static int supervise(struct supervisor *s)
{
    sigset_t signals;
    int received, code = 0;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (!start_both(s)) {
        fprintf(stderr, "strongroomd: cannot start its parts: %s\n", strerror(errno));
        return 1;
    }
    log_info("supervisor ready");
    while (sigwait(&signals, &received) == 0) {
        if (received == SIGTERM || received == SIGINT)
            break;
        if (received == SIGHUP && s->pids[SERVER] > 0)
            kill(s->pids[SERVER], SIGTERM);
        if (received == SIGCHLD && !reap(s)) {
            code = 1;
            break;
        }
    }
    stop(s, SERVER, SIGTERM);
    stop(s, KEEPER, SIGTERM);
    log_info("supervisor stopped");
    return code;
}

static bool load(const char *path, struct conf *c, uint32_t *ret_allowed)
{
    struct conf_trouble trouble;
    struct err e = { 0 };

    if (conf_load(path, c, &trouble, &e) == OK) {
        if (hygiene_parse(c->allow_missing, ret_allowed, &e) == OK)
            return true;
        trouble = (struct conf_trouble){ .why = e.why };
    }
    if (trouble.line == 0)
        fprintf(stderr, "strongroomd: %s: %s%s%s\n", path,
                trouble.setting == NULL ? "" : trouble.setting, trouble.setting == NULL ? "" : ": ",
                trouble.why);
    else
        fprintf(stderr, "strongroomd: %s:%u: %s%s%s\n", path, trouble.line,
                trouble.setting == NULL ? "" : trouble.setting, trouble.setting == NULL ? "" : ": ",
                trouble.why);
    return false;
}

/* What this machine does not offer, as far as it can be told from here; whether keeper and server
 * would start without it. They measure again, and more, when they do. */
static int check(const char *config)
{
    struct conf conf;
    uint32_t allowed = 0;
    bool fine = true;

    if (!load(config, &conf, &allowed))
        return EXIT_CONFIG;
    uint32_t have = hygiene_machine();
    const struct hygiene_row *row;
    for (size_t i = 0; (row = hygiene_row(i)) != NULL; i++) {
        if ((row->expected & HYGIENE_MACHINE) == 0 || (have & row->fact) != 0)
            continue;
        bool refused = row->required && (allowed & row->fact) == 0;
        printf("missing %s: %s %s%s\n", row->name, row->missing, row->remedy,
               refused ? " The daemon will not start." : "");
        fine = fine && !refused;
    }
    puts("the configuration is fine; 'strongroom doctor' tells more of a daemon that runs");
    return fine ? 0 : EXIT_CONFIG;
}

static int run(const char *config)
{
    static struct supervisor s;
    struct conf conf;
    uint32_t allowed;
    struct err e = { 0 };

    if (!load(config, &conf, &allowed))
        return EXIT_CONFIG;
    if (geteuid() == 0 && conf.user[0] == '\0') {
        fputs("strongroomd: will not run as root: name an unprivileged user by the setting user\n",
              stderr);
        return EXIT_CONFIG;
    }
    s.config = config;
    if (!find_programs(&s)) {
        fputs("strongroomd: strongroom-keeper and strongroom-server must be beside this program\n",
              stderr);
        return EXIT_CONFIG;
    }
    log_start("supervisor", (enum log_level)conf.log_level);
    umask(0077);
    if (!make_directories(&conf) || sandbox_no_dump(&e) != OK)
        return EXIT_CONFIG;
    return supervise(&s);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },  { "check", no_argument, NULL, 'k' },
        { "sample-config", no_argument, NULL, 's' }, { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 }
    };
    const char *config = NULL;
    bool checking = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': config = optarg; break;
        case 'k': checking = true; break;
        case 's': conf_sample(stdout); return 0;
        case 'v': puts("strongroomd " STRONGROOM_VERSION); return 0;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, EXIT_USAGE);
        }
    }
    if (config == NULL || optind != argc)
        return usage(stderr, EXIT_USAGE);
    return checking ? check(config) : run(config);
}
