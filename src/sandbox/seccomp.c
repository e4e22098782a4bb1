/*
 * System call filters, as small classic BPF programs built from tables.
 *
 * 1. Lists allow; what is on no list kills the whole process.
 * 2. A call that some libraries try and can do without is answered with an error instead.
 * 3. Another architecture's numbers, and x32's, never pass.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiles.h"
#include "sandbox/sandbox.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define X32  0x40000000U /* the same architecture to the kernel, other call numbers */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows x86_64 and aarch64 only"
#endif

#define PROGRAM_MAX 1024

struct program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short length;
    bool overflow;
};

/* --- assembler ------------------------------------------------------------------------------- */

static void emit(struct program *p, struct sock_filter instruction)
{
    if (p->length >= PROGRAM_MAX) {
        p->overflow = true;
        return;
    }
    p->code[p->length++] = instruction;
}

static void load(struct program *p, size_t offset)
{
    emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void answer(struct program *p, uint32_t action)
{
    emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void refuse(struct program *p, int error)
{
    answer(p, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA));
}

/* Unless the loaded word is value, skips the next count instructions. */
static void unless_equal_skip(struct program *p, uint32_t value, uint8_t count)
{
    emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, count));
}

static void if_any_bit_skip(struct program *p, uint32_t bits, uint8_t count)
{
    emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, count, 0));
}

/* The lower half of an argument; both architectures are little-endian. */
static size_t argument(unsigned i)
{
    return offsetof(struct seccomp_data, args) + i * sizeof(uint64_t);
}

/* If the lower half of the argument is value: allow. */
static void allow_value(struct program *p, uint32_t value)
{
    unless_equal_skip(p, value, 1);
    answer(p, SECCOMP_RET_ALLOW);
}

/* --- conditions ------------------------------------------------------------------------------ */

static void check_exec(struct program *p)
{
    load(p, argument(2));
    if_any_bit_skip(p, PROT_EXEC, 1);
    answer(p, SECCOMP_RET_ALLOW);
    refuse(p, EPERM);
}

static void check_exchange(struct program *p)
{
    load(p, argument(4));
    allow_value(p, RENAME_EXCHANGE);
    answer(p, SECCOMP_RET_KILL_PROCESS);
}

static void check_family(struct program *p)
{
    load(p, argument(0));
    allow_value(p, AF_UNIX);
    allow_value(p, AF_INET);
    allow_value(p, AF_INET6);
    refuse(p, EAFNOSUPPORT);
}

static void check_thread(struct program *p)
{
    load(p, argument(0));
    if_any_bit_skip(p, CLONE_THREAD, 1);
    answer(p, SECCOMP_RET_KILL_PROCESS);
    answer(p, SECCOMP_RET_ALLOW);
}

static void check_own_process(struct program *p)
{
    load(p, argument(0));
    allow_value(p, (uint32_t)getpid());
    answer(p, SECCOMP_RET_KILL_PROCESS);
}

static void check_own_thread(struct program *p)
{
    load(p, argument(0));
    unless_equal_skip(p, PRIO_PROCESS, 3); /* of a thread, in truth */
    load(p, argument(1));
    allow_value(p, 0);
    answer(p, SECCOMP_RET_KILL_PROCESS);
}

static void check_name(struct program *p)
{
    load(p, argument(0));
    allow_value(p, PR_SET_NAME);
    refuse(p, EINVAL);
}

static void check_tighten(struct program *p)
{
    load(p, argument(0));
    allow_value(p, PR_SET_NO_NEW_PRIVS);
    refuse(p, EINVAL);
}

static void check_ioctl(struct program *p)
{
    static const uint32_t harmless[] = { 0x5401 /* TCGETS */, 0x5421 /* FIONBIO */,
                                         0x541b /* FIONREAD */ };

    load(p, argument(1));
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        allow_value(p, harmless[i]);
    refuse(p, ENOTTY);
}

/* A null pointer for the new limit, both halves: only asking. */
static void check_asking(struct program *p)
{
    load(p, argument(2));
    unless_equal_skip(p, 0, 3);
    load(p, argument(2) + sizeof(uint32_t));
    unless_equal_skip(p, 0, 1);
    answer(p, SECCOMP_RET_ALLOW);
    refuse(p, EPERM);
}

static void check_missing(struct program *p)
{
    refuse(p, ENOSYS);
}

static void (*const checks[])(struct program *p) = {
    [RULE_NOT_EXECUTABLE] = check_exec,
    [RULE_EXCHANGE] = check_exchange,
    [RULE_FAMILY] = check_family,
    [RULE_THREAD] = check_thread,
    [RULE_OWN_PROCESS] = check_own_process,
    [RULE_OWN_THREAD] = check_own_thread,
    [RULE_NAME] = check_name,
    [RULE_TIGHTEN] = check_tighten,
    [RULE_IOCTL] = check_ioctl,
    [RULE_ASKING] = check_asking,
    [RULE_MISSING] = check_missing,
};

/* --- programs -------------------------------------------------------------------------------- */

static void emit_rule(struct program *p, const struct sandbox_rule *rule)
{
    unsigned short at = p->length;

    if (rule->check == RULE_ALLOW) {
        allow_value(p, (uint32_t)rule->number);
        return;
    }
    unless_equal_skip(p, (uint32_t)rule->number, 0);
    checks[rule->check](p);
    /* Every check ends in an answer, so what follows is reached only by skipping it. */
    if (!p->overflow)
        p->code[at].jf = (uint8_t)(p->length - at - 1);
}

static void build(struct program *p, enum sandbox_profile profile)
{
    load(p, offsetof(struct seccomp_data, arch));
    unless_equal_skip(p, ARCH, 1);
    emit(p, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
#ifdef X32
    emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1));
    answer(p, SECCOMP_RET_KILL_PROCESS);
#endif
    const struct sandbox_rule *rules;
    for (unsigned list = 0; (rules = sandbox_rules(profile, list)) != NULL; list++) {
        for (size_t i = 0; rules[i].number >= 0; i++)
            emit_rule(p, &rules[i]);
    }
    answer(p, SECCOMP_RET_KILL_PROCESS);
}

status sandbox_syscalls(enum sandbox_profile profile, struct err *e)
{
    struct program p = { .length = 0 };

    build(&p, profile);
    if (p.overflow)
        return fail(e, BUG, "the filter program is too long", 0);
    struct sock_fprog program = { .len = p.length, .filter = p.code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fail(e, IO, "cannot set no-new-privs", errno);
    long failed =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (failed != 0)
        return fail(e, IO, "cannot install the system call filter", failed > 0 ? 0 : errno);
    return OK;
}
