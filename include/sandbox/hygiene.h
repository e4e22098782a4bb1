/*
 * What stands between the keys and everybody else on the machine, as facts measured from inside a
 * process once its sandbox is in place. A fact that is required and missing refuses the start,
 * unless the setting allow_missing names it; the others are only reported.
 */
#ifndef SANDBOX_HYGIENE_H
#define SANDBOX_HYGIENE_H

#include "base/bytes.h"
#include "base/status.h"

/* One bit each. They travel in HELLO: a bit never gets another meaning. */
enum hygiene_fact {
    HYGIENE_NOT_DUMPABLE = 1 << 0,  /* so its own user cannot trace or read it either */
    HYGIENE_NO_CORE_FILES = 1 << 1, /* RLIMIT_CORE is 0 */
    HYGIENE_NO_TRACER = 1 << 2,     /* nobody is attached */
    HYGIENE_UNPRIVILEGED = 1 << 3,  /* neither root nor any capability */
    HYGIENE_NO_NEW_PRIVS = 1 << 4,
    HYGIENE_SYSCALL_FILTER = 1 << 5, /* seccomp */
    HYGIENE_LANDLOCK = 1 << 6,
    HYGIENE_LOCKED_MEMORY = 1 << 7, /* the slab is; of a machine: it could be */
    HYGIENE_MEMFD_SECRET = 1 << 8,  /* the slab is; of a machine: it could be */
    HYGIENE_NO_SWAP = 1 << 9,       /* neither on this machine nor for this control group */
    HYGIENE_FREED_MEMORY = 1 << 10, /* what is freed is overwritten */
    HYGIENE_CORE_PATTERN = 1 << 11, /* core dumps go to files, not to a program */
    HYGIENE_PTRACE_SCOPE = 1 << 12  /* nobody may attach to anything, not even root */
};

/* Whose facts: masks in struct hygiene_row. */
enum hygiene_process { HYGIENE_KEEPER = 1, HYGIENE_SERVER = 2, HYGIENE_MACHINE = 4 };

struct hygiene_row {
    uint32_t fact;       /* one bit */
    unsigned expected;   /* of these processes; to the others it means nothing */
    bool required;       /* else only reported */
    const char *name;    /* "memfd-secret", as allow_missing takes it */
    const char *missing; /* a sentence: what is wrong without it */
    const char *remedy;  /* a sentence: what to do */
    const char *refusal; /* why a start is refused */
};

/* All facts, in the order of their bits; NULL after the last. */
const struct hygiene_row *hygiene_row(size_t i);

/* The facts that names lists, separated by spaces or commas. BAD_INPUT for an unknown name. */
MUST_CHECK status hygiene_parse(const char *names, uint32_t *ret_facts, struct err *e);

/* Bytes that a process locks at most: what RLIMIT_MEMLOCK must allow, unless it starts as root. */
#define HYGIENE_MEMLOCK ((size_t)8 << 20)

struct hygiene {
    /* from the caller */
    enum hygiene_process process;
    size_t slab_size; /* bytes that are to be locked */
    bool slab_hidden; /* it is memfd_secret */
    /* its own */
    int status_fd;
    bool root_was_open;
    uint32_t have;
};

/* First half, after the change of user and before Landlock and seccomp, which forbid to look. IO if
 * /proc is missing. */
MUST_CHECK status hygiene_begin(struct hygiene *h, struct err *e);
/* Second half, when the sandbox is in place; closes what the first one opened. *ret_have: the facts
 * that hold, also on error. DENIED, with the fact in e->detail, if a required one is missing and
 * not among allowed. */
MUST_CHECK status hygiene_finish(struct hygiene *h, uint32_t allowed, uint32_t *ret_have,
                                 struct err *e);

/* The facts of HYGIENE_MACHINE, as far as they can be told without starting anything. */
uint32_t hygiene_machine(void);

#endif
