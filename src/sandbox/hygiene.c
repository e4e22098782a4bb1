/* The table of facts, and the verdict. How each is measured is in measure.c. */
#include "sandbox/hygiene.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

#define CHILDREN (HYGIENE_KEEPER | HYGIENE_SERVER)
#define MACHINE  HYGIENE_MACHINE

/* label, what is wrong, what to do. */
#define TEXTS(label, wrong, todo)                            \
    .name = label, .missing = wrong ".", .remedy = todo ".", \
    .refusal = label ": " wrong "; or list it in allow_missing"

static const struct hygiene_row rows[] = {
    { HYGIENE_NOT_DUMPABLE, CHILDREN, true,
      TEXTS("not-dumpable", "the process can be dumped, and traced by its own user",
            "Find out what undoes PR_SET_DUMPABLE: a preloaded library or the container") },
    { HYGIENE_NO_CORE_FILES, CHILDREN, true,
      TEXTS("no-core-files", "the limit of core files is not 0",
            "Find out what undoes RLIMIT_CORE: a preloaded library or the container") },
    { HYGIENE_NO_TRACER, CHILDREN, true,
      TEXTS("no-tracer", "a debugger or tracer is attached", "Start without debugger or strace") },
    { HYGIENE_UNPRIVILEGED, CHILDREN, true,
      TEXTS("unprivileged", "the process is root or holds a capability",
            "Name an unprivileged user in the setting user, and grant no capabilities") },
    { HYGIENE_NO_NEW_PRIVS, CHILDREN, true,
      TEXTS("no-new-privs", "the process could gain rights by executing a program",
            "Use a kernel with PR_SET_NO_NEW_PRIVS (3.5 or newer)") },
    { HYGIENE_SYSCALL_FILTER, CHILDREN | MACHINE, true,
      TEXTS("syscall-filter", "no filter of system calls is active",
            "Use a kernel with CONFIG_SECCOMP_FILTER and allow seccomp in the container") },
    { HYGIENE_LANDLOCK, HYGIENE_SERVER | MACHINE, true,
      TEXTS("landlock", "the server's files are not restricted by Landlock",
            "Use a kernel from 5.13 on with landlock in its lsm= parameter") },
    { HYGIENE_LOCKED_MEMORY, CHILDREN | MACHINE, true,
      TEXTS("locked-memory", "memory for keys is not locked and may be swapped",
            "Raise RLIMIT_MEMLOCK (LimitMEMLOCK=) to 8388608 bytes or more") },
    { HYGIENE_MEMFD_SECRET, CHILDREN | MACHINE, false,
      TEXTS("memfd-secret", "root can read the keys from outside the process",
            "Use a kernel from 6.5 on, or from 5.14 on with secretmem.enable=1") },
    { HYGIENE_NO_SWAP, CHILDREN | MACHINE, false,
      TEXTS("no-swap", "memory that is not locked may be swapped, with leased keys in TLS buffers",
            "Turn swap off or set MemorySwapMax=0") },
    { HYGIENE_FREED_MEMORY, CHILDREN, false,
      TEXTS("freed-memory", "freed memory keeps its old bytes",
            "Use a build without sanitizers, and no other allocator (LD_PRELOAD)") },
    { HYGIENE_CORE_PATTERN, MACHINE, false,
      TEXTS("core-pattern", "core dumps of this machine are handed to a program",
            "Set kernel.core_pattern to a file name; no part of this product can be dumped") },
    { HYGIENE_PTRACE_SCOPE, MACHINE, false,
      TEXTS("ptrace-scope", "root may attach a debugger to any process",
            "Set kernel.yama.ptrace_scope to 3 if nobody debugs on this machine") },
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct hygiene_row *hygiene_row(size_t i)
{
    return i < ROW_COUNT ? &rows[i] : NULL;
}

static uint32_t fact_named(struct span name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (span_same(name, span_text(rows[i].name)))
            return rows[i].fact;
    }
    return 0;
}

status hygiene_parse(const char *names, uint32_t *ret_facts, struct err *e)
{
    static const char separators[] = ", \t";
    uint32_t facts = 0;

    for (names += strspn(names, separators); *names != '\0'; names += strspn(names, separators)) {
        size_t n = strcspn(names, separators);
        uint32_t fact = fact_named(span_of((const uint8_t *)names, n));

        if (fact == 0)
            return fail(e, BAD_INPUT, "allow_missing holds a word that is no name of a protection",
                        0);
        facts |= fact;
        names += n;
    }
    *ret_facts = facts;
    return OK;
}

static uint32_t if_so(bool holds, enum hygiene_fact fact)
{
    return holds ? fact : 0;
}

status hygiene_begin(struct hygiene *h, struct err *e)
{
    h->status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (h->status_fd < 0)
        return fail(e, IO, "/proc/self/status cannot be read: mount /proc", 0);
    h->root_was_open = measure_root_opens();
    h->have = if_so(!measure_dumpable(), HYGIENE_NOT_DUMPABLE) |
              if_so(measure_core_limit_zero(), HYGIENE_NO_CORE_FILES) |
              if_so(h->slab_hidden, HYGIENE_MEMFD_SECRET) |
              if_so(measure_no_swap(), HYGIENE_NO_SWAP) |
              if_so(measure_freed_memory_is_overwritten(), HYGIENE_FREED_MEMORY);
    return OK;
}

static uint32_t facts_of_status(const struct hygiene *h)
{
    char text[MEASURE_TEXT];

    if (!measure_status(h->status_fd, text))
        return 0;
    uint64_t locked_kib = measure_field(text, "VmLck", 10);
    uint64_t user = measure_field(text, "Uid", 10); /* the real one; the others are the same */
    bool powerless =
        measure_field(text, "CapPrm", 16) == 0 && measure_field(text, "CapEff", 16) == 0;

    return if_so(measure_field(text, "TracerPid", 10) == 0, HYGIENE_NO_TRACER) |
           if_so(user != 0 && user != UINT64_MAX && powerless, HYGIENE_UNPRIVILEGED) |
           if_so(measure_field(text, "NoNewPrivs", 10) == 1, HYGIENE_NO_NEW_PRIVS) |
           if_so(measure_field(text, "Seccomp", 10) == 2, HYGIENE_SYSCALL_FILTER) |
           if_so(locked_kib != UINT64_MAX && locked_kib >= h->slab_size / 1024,
                 HYGIENE_LOCKED_MEMORY);
}

status hygiene_finish(struct hygiene *h, uint32_t allowed, uint32_t *ret_have, struct err *e)
{
    h->have |= facts_of_status(h);
    close(h->status_fd);
    /* It could be opened before, so that only Landlock can have come between; the keeper, which has
     * none, must not try: opening anything would end it. */
    if (h->process == HYGIENE_SERVER)
        h->have |= if_so(h->root_was_open && !measure_root_opens(), HYGIENE_LANDLOCK);
    *ret_have = h->have;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        bool needed = rows[i].required && (rows[i].expected & h->process) != 0;

        if (needed && ((h->have | allowed) & rows[i].fact) == 0)
            return err_note(e, DENIED, __func__, rows[i].refusal, rows[i].fact);
    }
    return OK;
}

uint32_t hygiene_machine(void)
{
    return if_so(measure_seccomp_there(), HYGIENE_SYSCALL_FILTER) |
           if_so(measure_landlock_there(), HYGIENE_LANDLOCK) |
           if_so(measure_lock_limit(HYGIENE_MEMLOCK), HYGIENE_LOCKED_MEMORY) |
           if_so(measure_memfd_secret_there(), HYGIENE_MEMFD_SECRET) |
           if_so(measure_no_swap(), HYGIENE_NO_SWAP) |
           if_so(measure_core_pattern_is_file(), HYGIENE_CORE_PATTERN) |
           if_so(measure_nobody_attaches(), HYGIENE_PTRACE_SCOPE);
}
