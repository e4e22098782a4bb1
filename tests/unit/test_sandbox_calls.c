/* Every system call there is, tried in each profile: what is not on the lists here kills. */
#include "sandbox_child.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define CALLS 480 /* more than any kernel has; those it has not are not on a list either */

static enum sandbox_profile profile;
static long number;

/* With arguments that no call takes for good: addresses, descriptors and sizes of all ones. */
static int try_call(void)
{
    const struct rlimit no_core = { 0, 0 };

    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGALRM, SIG_DFL);
    alarm(20); /* none should wait */
    if (sandbox_syscalls(profile, NULL) != OK)
        return 2;
    syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
    return 0;
}

static bool kills(enum sandbox_profile in, long call)
{
    profile = in;
    number = call;
    return in_child(try_call) == KILLED;
}

/* uretprobe and uprobe of x86_64: the kernel lets its own probes pass every filter, and they do
 * nothing for anybody else. */
static bool exempt(long call)
{
    return call == 335 || call == 336;
}

static bool listed(const int *list, size_t count, long call)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == call)
            return true;
    }
    return false;
}

/* The whole list, but for two calls that depend on their arguments: tgkill and renameat2. */
static const int keepers[] = {
    SYS_read,           SYS_write,        SYS_writev,
    SYS_close,          SYS_brk,          SYS_mmap,
    SYS_munmap,         SYS_mremap,       SYS_mprotect,
    SYS_madvise,        SYS_futex,        SYS_clock_gettime,
    SYS_clock_getres,   SYS_gettimeofday, SYS_getrandom,
    SYS_getpid,         SYS_gettid,       SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall,
    SYS_exit,           SYS_exit_group,   SYS_recvfrom,
    SYS_sendto,         SYS_setsockopt,   SYS_ppoll,
    SYS_pread64,        SYS_pwrite64,     SYS_lseek,
    SYS_fstat,          SYS_ftruncate,    SYS_fallocate,
    SYS_fsync,          SYS_fdatasync,
};

static void the_keepers_calls_are_exactly_these(void **state)
{
    size_t count = sizeof keepers / sizeof keepers[0];
    long wrong = -1;

    (void)state;
    if (SANITIZED)
        skip(); /* the sanitizer's own calls are allowed, too */
    for (long call = 0; call < CALLS; call++) {
        if (!exempt(call) && kills(SANDBOX_KEEPER, call) == listed(keepers, count, call))
            wrong = call;
    }
    assert_int_equal(wrong, -1);
}

/* What would reach other processes, programs, the kernel's inside or around the lists. */
static const int nobodys[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_tkill,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setuid,
    SYS_setresuid,
    SYS_setgid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_capset,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_init_module,
    SYS_finit_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_personality,
    SYS_memfd_create,
    SYS_pkey_mprotect,
    SYS_remap_file_pages,
    SYS_process_madvise,
    SYS_mlockall,
    SYS_munlockall,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_vmsplice,
    SYS_splice,
    SYS_tee,
    SYS_copy_file_range,
    SYS_symlinkat,
    SYS_linkat,
    SYS_mknodat,
    SYS_setxattr,
    SYS_shmget,
    SYS_shmat,
    SYS_msgget,
    SYS_semget,
    SYS_inotify_init1,
    SYS_fanotify_init,
    SYS_timer_create,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_kcmp,
    SYS_setpriority,
    SYS_sched_setaffinity,
    SYS_umask,
    SYS_setrlimit,
    SYS_fchown,
};

static void nobody_reaches_other_processes_programs_or_the_kernel(void **state)
{
    static const enum sandbox_profile profiles[] = { SANDBOX_KEEPER, SANDBOX_KEEPER_EMPTY,
                                                     SANDBOX_SERVER };
    long wrong = -1;

    (void)state;
    for (size_t p = 0; p < sizeof profiles / sizeof profiles[0]; p++) {
        for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
            bool sanitizers = SANITIZED && nobodys[i] == SYS_ptrace;
            if (!sanitizers && !kills(profiles[p], nobodys[i]))
                wrong = nobodys[i];
        }
    }
    assert_int_equal(wrong, -1);
}

static const int networks[] = { SYS_socket,  SYS_connect,    SYS_bind,         SYS_listen,
                                SYS_accept4, SYS_socketpair, SYS_sendmsg,      SYS_recvmsg,
                                SYS_dup,     SYS_dup3,       SYS_epoll_create1 };

/* sendmsg and recvmsg could pass descriptors. */
static void a_keeper_makes_no_connections_even_without_a_vault(void **state)
{
    long wrong = -1;

    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (!kills(SANDBOX_KEEPER_EMPTY, networks[i]))
            wrong = networks[i];
    }
    assert_int_equal(wrong, -1);
}

/* --- calls that depend on their arguments ---------------------------------------------------- */

static const char *const names[] = { "one", "other" };

static int directory_of_two(void)
{
    char path[] = "/tmp/strongroom-exchange-XXXXXX";

    if (mkdtemp(path) == NULL)
        return -1;
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < 2; i++) {
        int fd = openat(dir, names[i], O_WRONLY | O_CREAT, 0600);
        if (fd < 0 || write(fd, names[i], 3) != 3)
            return -1;
        close(fd);
    }
    return dir;
}

static int two_dir = -1;

static int exchange(void)
{
    char content[3] = { 0 };
    int one = openat(two_dir, names[0], O_RDONLY);

    if (one < 0 || sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 1;
    if (renameat2(two_dir, names[0], two_dir, names[1], RENAME_EXCHANGE) != 0)
        return 2;
    return fsync(two_dir) == 0 && pread(one, content, 3, 0) == 3 && content[0] == 'o' ? 0 : 3;
}

static int replace(void)
{
    if (sandbox_syscalls(SANDBOX_KEEPER, NULL) != OK)
        return 1;
    renameat2(two_dir, names[0], two_dir, names[1], 0);
    return 2;
}

static void the_keeper_exchanges_two_files_but_replaces_none(void **state)
{
    char byte = 0;

    (void)state;
    two_dir = directory_of_two();
    assert_true(two_dir >= 0);
    assert_int_equal(in_child(exchange), 0);
    int fd = openat(two_dir, names[0], O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, 1), 1);
    close(fd);
    assert_int_equal(byte, 't'); /* of "other" */
    assert_int_equal(in_child(replace), KILLED);
    char path[64];
    char here[64];
    snprintf(here, sizeof here, "/proc/self/fd/%d", two_dir);
    ssize_t n = readlink(here, path, sizeof path - 1);
    assert_true(n > 0);
    path[n] = '\0';
    assert_int_equal(unlinkat(two_dir, names[0], 0), 0);
    assert_int_equal(unlinkat(two_dir, names[1], 0), 0);
    assert_int_equal(rmdir(path), 0);
    close(two_dir);
}

static int execute_memory(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || sandbox_syscalls(profile, NULL) != OK)
        return 1;
    if (mprotect(p, page, PROT_NONE) != 0 || mprotect(p, page, PROT_READ | PROT_WRITE) != 0)
        return 2; /* how the slab is closed and opened */
    if (mprotect(p, page, PROT_READ | PROT_EXEC) == 0 || errno != EPERM)
        return 3;
    return mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? 0
               : 4;
}

static void memory_can_be_closed_and_opened_but_not_executed(void **state)
{
    (void)state;
    for (int p = SANDBOX_KEEPER; p <= SANDBOX_SERVER; p++) {
        profile = (enum sandbox_profile)p;
        assert_int_equal(in_child(execute_memory), 0);
    }
}

/* Up again it goes with a capability only, which a server has dropped by then; who is nobody special
 * has none to drop. */
static int lower_own_priority(void)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return 3;
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    return setpriority(PRIO_PROCESS, 0, 10) == 0 && setpriority(PRIO_PROCESS, 0, 0) != 0 ? 0 : 1;
}

static int lower_anothers_priority(void)
{
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    return setpriority(PRIO_PROCESS, (id_t)getppid(), 10);
}

static int lower_everybodys_priority(void)
{
    if (sandbox_syscalls(SANDBOX_SERVER, NULL) != OK)
        return 2;
    return setpriority(PRIO_USER, 0, 10);
}

static void a_servers_thread_lowers_its_own_priority_and_no_others(void **state)
{
    (void)state;
    assert_int_equal(in_child(lower_own_priority), 0);
    assert_int_equal(in_child(lower_anothers_priority), KILLED);
    assert_int_equal(in_child(lower_everybodys_priority), KILLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keepers_calls_are_exactly_these),
        cmocka_unit_test(nobody_reaches_other_processes_programs_or_the_kernel),
        cmocka_unit_test(a_keeper_makes_no_connections_even_without_a_vault),
        cmocka_unit_test(the_keeper_exchanges_two_files_but_replaces_none),
        cmocka_unit_test(a_servers_thread_lowers_its_own_priority_and_no_others),
        cmocka_unit_test(memory_can_be_closed_and_opened_but_not_executed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
