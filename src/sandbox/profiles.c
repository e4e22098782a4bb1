/*
 * Who needs which system calls. Calls that only one architecture has are in marked blocks: the
 * newer architecture never got the older forms.
 */
#include "profiles.h"

#include <stddef.h>
#include <sys/syscall.h>

#include "sanitized.h"

#define END            \
    {                  \
        -1, RULE_ALLOW \
    }

/* What every C program on glibc does between its own calls. */
static const struct sandbox_rule basic[] = {
    { SYS_read, RULE_ALLOW },
    { SYS_write, RULE_ALLOW },
    { SYS_writev, RULE_ALLOW },
    { SYS_close, RULE_ALLOW },
    { SYS_brk, RULE_ALLOW },
    { SYS_mmap, RULE_NOT_EXECUTABLE },
    { SYS_munmap, RULE_ALLOW },
    { SYS_mremap, RULE_ALLOW },
    { SYS_mprotect, RULE_NOT_EXECUTABLE },
    { SYS_madvise, RULE_ALLOW },
    { SYS_futex, RULE_ALLOW },
    { SYS_clock_gettime, RULE_ALLOW },
    { SYS_clock_getres, RULE_ALLOW },
    { SYS_gettimeofday, RULE_ALLOW },
    { SYS_getrandom, RULE_ALLOW },
    { SYS_getpid, RULE_ALLOW },
    { SYS_gettid, RULE_ALLOW },
    { SYS_tgkill, RULE_OWN_PROCESS },
    { SYS_rt_sigaction, RULE_ALLOW },
    { SYS_rt_sigprocmask, RULE_ALLOW },
    { SYS_rt_sigreturn, RULE_ALLOW },
    { SYS_restart_syscall, RULE_ALLOW },
    { SYS_exit, RULE_ALLOW },
    { SYS_exit_group, RULE_ALLOW },
    END,
};

/* The keeper's whole life: frames on one socket, places in two files, and a keyring exchanged for a
 * new one by descriptors that are open already. */
static const struct sandbox_rule keeper[] = {
    { SYS_recvfrom, RULE_ALLOW },     { SYS_sendto, RULE_ALLOW },
    { SYS_setsockopt, RULE_ALLOW },   { SYS_ppoll, RULE_ALLOW },
    { SYS_pread64, RULE_ALLOW },      { SYS_pwrite64, RULE_ALLOW },
    { SYS_lseek, RULE_ALLOW },        { SYS_fstat, RULE_ALLOW },
    { SYS_ftruncate, RULE_ALLOW },    { SYS_fallocate, RULE_ALLOW },
    { SYS_fsync, RULE_ALLOW },        { SYS_fdatasync, RULE_ALLOW },
    { SYS_renameat2, RULE_EXCHANGE }, END,
};

/* To create the keyring, and then to give these up. */
static const struct sandbox_rule keeper_empty[] = {
    { SYS_openat, RULE_ALLOW },
    { SYS_newfstatat, RULE_ALLOW },
    { SYS_statx, RULE_ALLOW },
    { SYS_fstatfs, RULE_ALLOW },
    { SYS_statfs, RULE_ALLOW },
    { SYS_mkdirat, RULE_ALLOW },
    { SYS_renameat2, RULE_ALLOW },
    { SYS_unlinkat, RULE_ALLOW },
    { SYS_flock, RULE_ALLOW },
    { SYS_fcntl, RULE_ALLOW },
    { SYS_geteuid, RULE_ALLOW },
    { SYS_faccessat, RULE_ALLOW },
    { SYS_faccessat2, RULE_ALLOW },
    { SYS_prctl, RULE_TIGHTEN },
    { SYS_seccomp, RULE_ALLOW },
#ifdef SYS_open
    { SYS_open, RULE_ALLOW },
    { SYS_stat, RULE_ALLOW },
    { SYS_lstat, RULE_ALLOW },
    { SYS_mkdir, RULE_ALLOW },
    { SYS_unlink, RULE_ALLOW },
#endif
    END,
};

static const struct sandbox_rule server_files[] = {
    { SYS_openat, RULE_ALLOW },
    { SYS_readv, RULE_ALLOW },
    { SYS_pread64, RULE_ALLOW },
    { SYS_pwrite64, RULE_ALLOW },
    { SYS_preadv, RULE_ALLOW },
    { SYS_pwritev, RULE_ALLOW },
    { SYS_lseek, RULE_ALLOW },
    { SYS_fstat, RULE_ALLOW },
    { SYS_newfstatat, RULE_ALLOW },
    { SYS_statx, RULE_ALLOW },
    { SYS_statfs, RULE_ALLOW },
    { SYS_fstatfs, RULE_ALLOW },
    { SYS_faccessat, RULE_ALLOW },
    { SYS_ftruncate, RULE_ALLOW },
    { SYS_fallocate, RULE_ALLOW },
    { SYS_fsync, RULE_ALLOW },
    { SYS_fdatasync, RULE_ALLOW },
    { SYS_renameat, RULE_ALLOW },
    { SYS_renameat2, RULE_ALLOW },
    { SYS_unlinkat, RULE_ALLOW },
    { SYS_mkdirat, RULE_ALLOW },
    { SYS_readlinkat, RULE_ALLOW },
    { SYS_getdents64, RULE_ALLOW },
    { SYS_getcwd, RULE_ALLOW },
    { SYS_fchmod, RULE_ALLOW },
    { SYS_fchmodat, RULE_ALLOW },
    { SYS_flock, RULE_ALLOW },
    { SYS_fcntl, RULE_ALLOW },
    { SYS_dup, RULE_ALLOW },
    { SYS_dup3, RULE_ALLOW },
    { SYS_ioctl, RULE_IOCTL },
#ifdef SYS_faccessat2
    { SYS_faccessat2, RULE_ALLOW },
#endif
#ifdef SYS_open
    { SYS_open, RULE_ALLOW },
    { SYS_stat, RULE_ALLOW },
    { SYS_lstat, RULE_ALLOW },
    { SYS_access, RULE_ALLOW },
    { SYS_rename, RULE_ALLOW },
    { SYS_unlink, RULE_ALLOW },
    { SYS_mkdir, RULE_ALLOW },
    { SYS_readlink, RULE_ALLOW },
    { SYS_chmod, RULE_ALLOW },
    { SYS_dup2, RULE_ALLOW },
#endif
    END,
};

static const struct sandbox_rule server_network[] = {
    { SYS_socket, RULE_FAMILY },
    { SYS_bind, RULE_ALLOW },
    { SYS_listen, RULE_ALLOW },
    { SYS_accept, RULE_ALLOW },
    { SYS_accept4, RULE_ALLOW },
    { SYS_connect, RULE_ALLOW },
    { SYS_shutdown, RULE_ALLOW },
    { SYS_getsockname, RULE_ALLOW },
    { SYS_getpeername, RULE_ALLOW },
    { SYS_getsockopt, RULE_ALLOW },
    { SYS_setsockopt, RULE_ALLOW },
    { SYS_sendto, RULE_ALLOW },
    { SYS_sendmsg, RULE_ALLOW },
    { SYS_sendfile, RULE_ALLOW },
    { SYS_recvfrom, RULE_ALLOW },
    { SYS_recvmsg, RULE_ALLOW },
    { SYS_epoll_create1, RULE_ALLOW },
    { SYS_epoll_ctl, RULE_ALLOW },
    { SYS_epoll_pwait, RULE_ALLOW },
    { SYS_eventfd2, RULE_ALLOW },
    { SYS_pipe2, RULE_ALLOW },
    { SYS_signalfd4, RULE_ALLOW },
    { SYS_timerfd_create, RULE_ALLOW },
    { SYS_timerfd_settime, RULE_ALLOW },
    { SYS_ppoll, RULE_ALLOW },
    { SYS_pselect6, RULE_ALLOW },
#ifdef SYS_poll
    { SYS_epoll_create, RULE_ALLOW },
    { SYS_epoll_wait, RULE_ALLOW },
    { SYS_poll, RULE_ALLOW },
    { SYS_select, RULE_ALLOW },
    { SYS_pipe, RULE_ALLOW },
#endif
    END,
};

static const struct sandbox_rule server_threads[] = {
    { SYS_clone, RULE_THREAD },
#ifdef SYS_clone3
    { SYS_clone3, RULE_MISSING }, /* its flags are in memory, where a filter cannot look */
#endif
    { SYS_set_robust_list, RULE_ALLOW },
    { SYS_get_robust_list, RULE_ALLOW },
#ifdef SYS_rseq
    { SYS_rseq, RULE_ALLOW },
#endif
    { SYS_membarrier, RULE_ALLOW },
    { SYS_sigaltstack, RULE_ALLOW },
    { SYS_rt_sigtimedwait, RULE_ALLOW },
    { SYS_setpriority, RULE_OWN_THREAD },
    { SYS_sched_yield, RULE_ALLOW },
    { SYS_sched_getaffinity, RULE_ALLOW },
    { SYS_sched_getparam, RULE_ALLOW },
    { SYS_sched_getscheduler, RULE_ALLOW },
    { SYS_prctl, RULE_NAME },
    { SYS_prlimit64, RULE_ASKING },
    { SYS_mlock, RULE_ALLOW },
    { SYS_munlock, RULE_ALLOW },
    { SYS_getuid, RULE_ALLOW },
    { SYS_geteuid, RULE_ALLOW },
    { SYS_getgid, RULE_ALLOW },
    { SYS_getegid, RULE_ALLOW },
    { SYS_getppid, RULE_ALLOW },
    { SYS_getrusage, RULE_ALLOW },
    { SYS_sysinfo, RULE_ALLOW },
    { SYS_uname, RULE_ALLOW },
    { SYS_times, RULE_ALLOW },
    { SYS_nanosleep, RULE_ALLOW },
    { SYS_clock_nanosleep, RULE_ALLOW },
#ifdef SYS_time
    { SYS_time, RULE_ALLOW },
#endif
    END,
};

/* What a sanitizer's runtime does to find out and report. Never in a release build. */
static const struct sandbox_rule sanitizer[] = {
#ifdef SANITIZED
    { SYS_openat, RULE_ALLOW },
    { SYS_readlinkat, RULE_ALLOW },
    { SYS_newfstatat, RULE_ALLOW },
    { SYS_fstat, RULE_ALLOW },
    { SYS_lseek, RULE_ALLOW },
    { SYS_pread64, RULE_ALLOW },
    { SYS_fcntl, RULE_ALLOW },
    { SYS_ioctl, RULE_IOCTL },
    { SYS_sigaltstack, RULE_ALLOW },
    { SYS_sched_yield, RULE_ALLOW },
    { SYS_sched_getaffinity, RULE_ALLOW },
    { SYS_getrusage, RULE_ALLOW },
    { SYS_prlimit64, RULE_ASKING },
    { SYS_prctl, RULE_ALLOW },
    { SYS_getppid, RULE_ALLOW },
    { SYS_getuid, RULE_ALLOW },
    { SYS_geteuid, RULE_ALLOW },
    { SYS_nanosleep, RULE_ALLOW },
    { SYS_clock_nanosleep, RULE_ALLOW },
    { SYS_uname, RULE_ALLOW },
    { SYS_getcwd, RULE_ALLOW },
    { SYS_clone, RULE_ALLOW }, /* the leak checker looks from a process of its own */
    { SYS_ptrace, RULE_ALLOW },
    { SYS_wait4, RULE_ALLOW },
    { SYS_getdents64, RULE_ALLOW },
#ifdef SYS_open
    { SYS_open, RULE_ALLOW },
    { SYS_stat, RULE_ALLOW },
    { SYS_readlink, RULE_ALLOW },
    { SYS_access, RULE_ALLOW },
    { SYS_getdents, RULE_ALLOW },
#endif
#endif
    END,
};

/* The first rule of a call wins, hence the wider lists stand first. */
static const struct sandbox_rule *const lists[][6] = {
    [SANDBOX_KEEPER] = { sanitizer, basic, keeper },
    [SANDBOX_KEEPER_EMPTY] = { sanitizer, basic, keeper_empty, keeper },
    [SANDBOX_SERVER] = { sanitizer, basic, server_files, server_network, server_threads },
};

const struct sandbox_rule *sandbox_rules(enum sandbox_profile profile, unsigned position)
{
    return position < sizeof(lists[0]) / sizeof(lists[0][0]) ? lists[profile][position] : NULL;
}
