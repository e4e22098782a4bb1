/* The lists of system calls behind each profile. */
#ifndef SANDBOX_PROFILES_H
#define SANDBOX_PROFILES_H

#include "sandbox/sandbox.h"

enum sandbox_check {
    RULE_ALLOW,
    RULE_NOT_EXECUTABLE, /* mmap, mprotect: refuse PROT_EXEC */
    RULE_EXCHANGE,       /* renameat2: of two files that exist, with each other */
    RULE_FAMILY,         /* socket: Unix and internet only */
    RULE_THREAD,         /* clone: threads only */
    RULE_OWN_PROCESS,    /* signals: to this process only */
    RULE_OWN_THREAD,     /* setpriority: of the thread that asks */
    RULE_NAME,           /* prctl: naming a thread */
    RULE_TIGHTEN,        /* prctl: giving up more */
    RULE_IOCTL,          /* the few that libraries use on sockets and terminals */
    RULE_ASKING,         /* prlimit64: reading limits */
    RULE_MISSING         /* ENOSYS: the library falls back to an older call */
};

struct sandbox_rule {
    int number; /* -1 ends a list */
    enum sandbox_check check;
};

/* The profile's list of this position, NULL after the last. */
const struct sandbox_rule *sandbox_rules(enum sandbox_profile profile, unsigned position);

#endif
