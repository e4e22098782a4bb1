/*
 * Process hygiene, applied in this order by every process before its first thread: limits and
 * no dump, then open what is needed, then drop the user, then no-new-privs, Landlock, seccomp.
 * Each function refuses (DENIED or IO) when the kernel does not give what was asked.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "base/bytes.h"
#include "base/status.h"

/* PR_SET_DUMPABLE 0, RLIMIT_CORE 0, umask 0077, MCL is left to the slab. */
MUST_CHECK status sandbox_no_dump(struct err *e);
/* Dies with its parent: PR_SET_PDEATHSIG SIGKILL; DENIED if the parent is already gone. */
MUST_CHECK status sandbox_die_with_parent(int parent_pid, struct err *e);
/* Lets the process have `wanted` open files, or as many as it may: *ret_allowed. */
MUST_CHECK status sandbox_files(uint64_t wanted, uint64_t *ret_allowed, struct err *e);
/* setgroups, setresgid, setresuid to a named user and checks that there is no way back. Keeps
 * what the two functions above have set, which the kernel would forget. OK without effect when
 * the process is not root and user is NULL, empty or its own; DENIED for root without a user. */
MUST_CHECK status sandbox_drop_user(const char *user, struct err *e);

/* Landlock: after this the process may only read below read_dirs and read and write below
 * write_dirs (NULL-terminated lists; missing read_dirs are skipped). Sets no-new-privs. On a
 * kernel without Landlock it does nothing else and is OK: hygiene_finish judges that. */
MUST_CHECK status sandbox_paths(const char *const *read_dirs, const char *const *write_dirs,
                                struct err *e);

enum sandbox_profile {
    /* read, write, poll, pread, pwrite, fdatasync, clock, exit; no socket, no open */
    SANDBOX_KEEPER,
    /* A keeper without a vault: may also create the keyring, and install SANDBOX_KEEPER on top
     * once it has. */
    SANDBOX_KEEPER_EMPTY,
    SANDBOX_SERVER /* what libmicrohttpd, GnuTLS and SQLCipher need; no exec, no ptrace */
};
/* Allow-list by syscall number for x86_64 and aarch64; anything else kills the process. For all
 * threads (SECCOMP_FILTER_FLAG_TSYNC). Sets no-new-privs. Filters stack: a second call can only
 * narrow. Sanitizer builds allow what their runtime needs. */
MUST_CHECK status sandbox_syscalls(enum sandbox_profile profile, struct err *e);

#endif
