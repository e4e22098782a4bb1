/*
 * The command's process. Its environment is in the slab, which no fork has: vfork lends the child
 * our memory until it has become the command, and the kernel copies from there. Between vfork and
 * execve there are system calls and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec.h"

extern char **environ;

#define OURS        ((size_t)128 * 1024)
#define OURS_MAX    256 /* variables */
#define DESCRIPTORS 1024

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

volatile sig_atomic_t child_stop, child_told;
static volatile sig_atomic_t running; /* process id; 0: none */
static int wake_pipe[2] = { -1, -1 };
static bool inherited[DESCRIPTORS]; /* open when we began: the command's, as ours */
static struct sigaction given[PASSED_ON], given_pipe; /* what we were started with */

/* --- environment ------------------------------------------------------------------------------ */

status environment_begin(struct environment *v, struct err *e)
{
    size_t n = 0;

    while (environ[n] != NULL)
        n++;
    *v = (struct environment){ .cap = n + OURS_MAX };
    v->list = calloc(v->cap + 1, sizeof(*v->list));
    if (v->list == NULL)
        return fail(e, NO_MEMORY, "no memory for the environment", 0);
    memcpy(v->list, environ, n * sizeof(*v->list));
    v->count = n;
    return secret_new(OURS, &v->ours, e);
}

static bool is_named(const char *variable, const char *name)
{
    size_t n = strlen(name);

    return strncmp(variable, name, n) == 0 && variable[n] == '=';
}

static bool is_ours(const struct environment *v, const char *variable)
{
    struct mspan m = secret_fill(v->ours);
    uintptr_t at = (uintptr_t)variable, begin = (uintptr_t)m.p;

    return at >= begin && at < begin + m.n;
}

/* Takes what the environment has under that name out. */
static status make_way(struct environment *v, const char *name, struct err *e)
{
    size_t to = 0;

    for (size_t i = 0; i < v->count; i++) {
        if (is_named(v->list[i], name) && is_ours(v, v->list[i]))
            return fail(e, CONFLICT,
                        "two values are to be in one variable: tell them apart with "
                        "--as",
                        0);
    }
    for (size_t i = 0; i < v->count; i++) {
        if (!is_named(v->list[i], name))
            v->list[to++] = v->list[i];
    }
    for (size_t i = to; i < v->count; i++)
        v->list[i] = NULL;
    v->count = to;
    return OK;
}

status environment_room(struct environment *v, const char *name, struct mspan *ret_room,
                        struct err *e)
{
    struct mspan m = secret_fill(v->ours);
    size_t n = strlen(name) + 1;

    if (m.n - v->used < n + 1 || v->count == v->cap)
        return fail(e, LIMIT, "there is no room for more variables", 0);
    memcpy(m.p + v->used, name, n - 1);
    m.p[v->used + n - 1] = '=';
    *ret_room = (struct mspan){ m.p + v->used + n, m.n - v->used - n - 1 };
    return OK;
}

status environment_add(struct environment *v, const char *name, size_t n, struct err *e)
{
    char *begin = (char *)secret_fill(v->ours).p + v->used;
    size_t end = strlen(name) + 1 + n;
    status st = make_way(v, name, e);

    if (st != OK)
        return st;
    begin[end] = '\0';
    v->list[v->count++] = begin;
    v->used += end + 1;
    return OK;
}

status environment_text(struct environment *v, const char *name, const char *text, struct err *e)
{
    struct mspan room;
    size_t n = strlen(text);
    status st = environment_room(v, name, &room, e);

    if (st == OK && n > room.n)
        st = fail(e, LIMIT, "there is no room for more variables", 0);
    if (st != OK)
        return st;
    memcpy(room.p, text, n);
    return environment_add(v, name, n, e);
}

void environment_clear(struct environment *v)
{
    secret_cleanup(&v->ours);
    free(v->list);
    *v = (struct environment){ 0 };
}

/* --- signals ---------------------------------------------------------------------------------- */

/* What the terminal sends, it sends to the command too. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    int saved = errno;

    (void)context;
    if (number == SIGINT || number == SIGTERM || number == SIGQUIT)
        child_told = number;
    if (running == 0)
        child_stop = child_told != 0;
    else if (running != 0 && info->si_code <= 0)
        (void)kill((pid_t)running, number);
    errno = saved;
}

static void note_end(int number)
{
    int saved = errno;

    (void)number;
    if (write(wake_pipe[1], "", 1) < 0)
        errno = saved; /* it is full: there is enough to wake up from */
    errno = saved;
    child_stop = 1;
}

/* What is open already was meant for the command; what we open is not. */
static void note_descriptors(void)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        int flags = fcntl(fd, F_GETFD);

        inherited[fd] = flags >= 0 && (flags & FD_CLOEXEC) == 0;
    }
}

static void close_with_exec(void)
{
    for (int fd = 3; fd < DESCRIPTORS; fd++) {
        int flags = inherited[fd] ? -1 : fcntl(fd, F_GETFD);

        if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
            (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}

int child_prepare(int *ret_wake)
{
    struct sigaction forward = { .sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART };
    struct sigaction end = { .sa_handler = note_end, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
    struct sigaction ignore = { .sa_handler = SIG_IGN };

    note_descriptors();
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return report(EXIT_OTHER, "no pipe: %s", strerror(errno));
    for (size_t i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &forward, &given[i]);
    sigaction(SIGCHLD, &end, NULL);
    sigaction(SIGPIPE, &ignore, &given_pipe); /* of a vault that closes the connection */
    *ret_wake = wake_pipe[0];
    return EXIT_DONE;
}

/* --- the process ------------------------------------------------------------------------------ */

/* In the child, before it is the command. */
static void become(char *const *command, char *const *list, const sigset_t *mask, pid_t parent)
{
    struct sigaction usual = { .sa_handler = SIG_DFL };

    for (size_t i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &given[i], NULL);
    sigaction(SIGPIPE, &given_pipe, NULL);
    sigaction(SIGCHLD, &usual, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent) {
        sigprocmask(SIG_SETMASK, mask, NULL);
        execvpe(command[0], command, list);
    }
}

int child_start(char *const *command, const struct environment *v)
{
    volatile int error = 0;
    pid_t parent = getpid(), pid;
    sigset_t all, mask;

    close_with_exec();
    v->list[v->count] = NULL;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask);
    pid = vfork();
    if (pid == 0) {
        become(command, v->list, &mask, parent);
        error = errno;
        _exit(127);
    }
    if (pid > 0 && error != 0)
        (void)waitpid(pid, NULL, 0);
    else if (pid > 0)
        running = pid;
    if (pid < 0)
        error = errno;
    child_stop = 0;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (error == 0)
        return EXIT_DONE;
    (void)report(EXIT_OTHER, "cannot run %.200s: %s", command[0], strerror(error));
    return error == ENOENT ? 127 : 126;
}

bool child_runs(void)
{
    return running != 0;
}

void child_signal(int number)
{
    if (running != 0)
        (void)kill((pid_t)running, number);
}

/* Its id is forgotten before it can be somebody else's. */
static bool reap(int *ret_code)
{
    siginfo_t info = { .si_pid = 0 };
    pid_t pid = (pid_t)running;
    int how = 0;

    if (pid == 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return false;
    running = 0;
    if (waitpid(pid, &how, 0) != pid)
        return false;
    *ret_code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    return true;
}

bool child_wait(uint64_t until_us, int *ret_code)
{
    struct pollfd wake = { .fd = wake_pipe[0], .events = POLLIN };
    uint8_t drained[64];

    for (;;) {
        uint64_t now = clock_monotonic_us();
        uint64_t left = until_us > now ? (until_us - now + 999) / 1000 : 0;

        while (read(wake_pipe[0], drained, sizeof(drained)) > 0)
            continue;
        child_stop = 0; /* before the look: whoever ends behind it sets it again */
        if (reap(ret_code))
            return true;
        if (left == 0)
            return false;
        (void)poll(&wake, 1, left > 60000 ? 60000 : (int)left);
    }
}
