/* The sandbox from inside: every case runs in a child of its own, since there is no way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox_child.h"

static int no_dump(void)
{
    struct rlimit core;

    if (sandbox_no_dump(NULL) != OK || getrlimit(RLIMIT_CORE, &core) != 0)
        return 1;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && core.rlim_max == 0 ? 0 : 2;
}

static void a_process_can_forbid_its_own_dumps(void **state)
{
    (void)state;
    assert_int_equal(in_child(no_dump), 0);
}

static int wrong_parent(void)
{
    return sandbox_die_with_parent((int)getpid(), NULL) == DENIED ? 0 : 1;
}

static int right_parent(void)
{
    int death_signal = 0;

    if (sandbox_die_with_parent((int)getppid(), NULL) != OK)
        return 1;
    prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    return death_signal == SIGKILL ? 0 : 2;
}

static void a_child_of_a_dead_parent_does_not_start(void **state)
{
    (void)state;
    assert_int_equal(in_child(wrong_parent), 0);
    assert_int_equal(in_child(right_parent), 0);
}

static int drop_to_nobody(void)
{
    int death_signal = 0;

    if (sandbox_die_with_parent((int)getppid(), NULL) != OK || sandbox_no_dump(NULL) != OK)
        return 1;
    if (sandbox_drop_user("nobody", NULL) != OK)
        return 2;
    if (getuid() == 0 || geteuid() == 0 || setuid(0) == 0)
        return 3;
    /* The kernel resets these with the user; the sandbox puts them back. */
    prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    if (death_signal != SIGKILL || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 4;
    return sandbox_drop_user(NULL, NULL) == OK && sandbox_drop_user("nobody", NULL) == OK ? 0 : 5;
}

static int drop_nowhere(void)
{
    if (sandbox_drop_user("no-such-user-here", NULL) != NOT_FOUND)
        return 1;
    if (sandbox_drop_user("root", NULL) != DENIED)
        return 2;
    return sandbox_drop_user(NULL, NULL) == DENIED && sandbox_drop_user("", NULL) == DENIED ? 0 : 3;
}

static void root_is_given_up_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(in_child(drop_to_nobody), 0);
    assert_int_equal(in_child(drop_nowhere), 0);
}

/* --- system calls ---------------------------------------------------------------------------- */

static int keeper_works(void)
{
    int fds[2];
    char byte = 'x';
    FILE *file = tmpfile();

    if (file == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0)
        return 1;
    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 2;
    if (send(fds[0], &byte, 1, MSG_NOSIGNAL) != 1 || recv(fds[1], &byte, 1, 0) != 1)
        return 3;
    if (pwrite(fileno(file), &byte, 1, 5) != 1 || pread(fileno(file), &byte, 1, 5) != 1 ||
        fdatasync(fileno(file)) != 0)
        return 4;
    void *large = malloc((size_t)8 << 20);
    if (large == NULL)
        return 5;
    free(large);
    return 0;
}

static int keeper_opens(void)
{
    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 2;
    return syscall(SYS_openat, AT_FDCWD, "/etc/hostname", O_RDONLY) >= 0 ? 0 : 3;
}

static int keeper_connects(void)
{
    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 2;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 3;
}

static int keeper_executes(void)
{
    char *const none[] = { NULL };

    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 2;
    execve("/bin/true", none, none);
    return 3;
}

static int empty_then_full(void)
{
    if (sandbox_syscalls(SANDBOX_KEEPER_EMPTY, NULL) != OK)
        return 2;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return 3;
    close(fd);
    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 4;
    syscall(SYS_mkdirat, AT_FDCWD, "/tmp/never", 0700);
    return 5;
}

static void the_keeper_can_do_its_work_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(in_child(keeper_works), 0);
    assert_int_equal(in_child(keeper_opens), SANITIZED ? 0 : KILLED);
    assert_int_equal(in_child(keeper_connects), KILLED);
    assert_int_equal(in_child(keeper_executes), KILLED);
}

static void an_empty_keeper_gives_up_opening_later(void **state)
{
    (void)state;
    assert_int_equal(in_child(empty_then_full), KILLED);
}

static void *idle(void *context)
{
    return context;
}

static int server_works(void)
{
    pthread_t thread;

    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    if (pthread_create(&thread, NULL, idle, NULL) != 0 || pthread_join(thread, NULL) != 0)
        return 3;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 && errno != EAFNOSUPPORT)
        return 4;
    if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0 || errno != EAFNOSUPPORT)
        return 5;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED ||
        errno != EPERM)
        return 6;
    FILE *file = tmpfile();
    if (file == NULL || fputs("x", file) < 0 || fflush(file) != 0)
        return 7;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 8;
    return setrlimit(RLIMIT_NOFILE, &limit) != 0 && errno == EPERM ? 0 : 9;
}

static int server_forks(void)
{
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    return 3;
}

static int server_executes(void)
{
    char *const none[] = { NULL };

    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    execve("/bin/true", none, none);
    return 3;
}

static int server_traces(void)
{
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
    return 3;
}

static int server_kills_others(void)
{
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    syscall(SYS_tgkill, getppid(), getppid(), 0);
    return 3;
}

static void the_server_has_threads_and_sockets_but_no_other_process(void **state)
{
    (void)state;
    assert_int_equal(in_child(server_works), 0);
    assert_int_equal(in_child(server_forks), SANITIZED ? 3 : KILLED);
    assert_int_equal(in_child(server_executes), KILLED);
    assert_int_equal(in_child(server_traces), KILLED);
    assert_int_equal(in_child(server_kills_others), KILLED);
}

/* --- paths ----------------------------------------------------------------------------------- */

static char top[64];

static int paths_hold(void)
{
    char inside[80];
    char outside[80];
    char read_only[80];

    snprintf(inside, sizeof(inside), "%s/inside", top);
    snprintf(outside, sizeof(outside), "%s/outside", top);
    snprintf(read_only, sizeof(read_only), "%s/read", top);
    const char *const reads[] = { read_only, "/no/such/directory", NULL };
    const char *const writes[] = { inside, NULL };
    struct err e = { 0 };
    if (sandbox_paths(reads, writes, &e) != OK)
        return e.code == DENIED ? 77 : 1;
    if (chdir(inside) != 0)
        return 2;
    int fd = open("new", O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 || rename("new", "newer") != 0 || unlink("newer") != 0)
        return 3;
    if (open("../read/file", O_RDONLY) < 0)
        return 4;
    if (open("../read/file", O_WRONLY) >= 0 || errno != EACCES)
        return 5;
    if (open("../outside/file", O_RDONLY) >= 0 || errno != EACCES)
        return 6;
    if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
        return 7;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 8;
}

static void touch(const char *name)
{
    char path[80];

    snprintf(path, sizeof(path), "%s/%s", top, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void only_the_named_paths_are_left(void **state)
{
    static const char *const dirs[] = { "inside", "outside", "read" };
    char path[80];

    (void)state;
    snprintf(top, sizeof(top), "/tmp/strongroom-sandbox-XXXXXX");
    assert_non_null(mkdtemp(top));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    touch("outside/file");
    touch("read/file");
    int how = in_child(paths_hold);
    snprintf(path, sizeof(path), "rm -r %s", top);
    assert_int_equal(system(path), 0);
    if (how == 77)
        skip(); /* this kernel has no Landlock */
    assert_int_equal(how, 0);
}

static int paths_on_an_older_kernel(void)
{
    static const char *const none[] = { NULL };

    if (!forget_call(SYS_landlock_create_ruleset) || sandbox_paths(none, none, NULL) != OK)
        return 1;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 2;
    return open("/etc/passwd", O_RDONLY) >= 0 ? 0 : 3;
}

static void a_kernel_without_landlock_restricts_nothing(void **state)
{
    (void)state;
    assert_int_equal(in_child(paths_on_an_older_kernel), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_can_forbid_its_own_dumps),
        cmocka_unit_test(a_child_of_a_dead_parent_does_not_start),
        cmocka_unit_test(root_is_given_up_for_good),
        cmocka_unit_test(the_keeper_can_do_its_work_and_nothing_else),
        cmocka_unit_test(an_empty_keeper_gives_up_opening_later),
        cmocka_unit_test(the_server_has_threads_and_sockets_but_no_other_process),
        cmocka_unit_test(only_the_named_paths_are_left),
        cmocka_unit_test(a_kernel_without_landlock_restricts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
