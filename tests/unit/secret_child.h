/* Crashes on purpose, in children; and what the kernel says about a mapping. */
#ifndef TEST_SECRET_CHILD_H
#define TEST_SECRET_CHILD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "secret/secret.h"

#define UNCHECKED __attribute__((no_sanitize("address"))) /* may look at wiped memory */

UNCHECKED static inline bool is_zero(const volatile uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

/* Runs body in a child, which says by its exit code how it went; -1 if it was killed. */
static inline int in_a_child(int (*body)(struct secret *), struct secret *s)
{
    const struct rlimit no_core = { 0, 0 };
    int how = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        /* The test library and the sanitizers would turn a crash into something else. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO); /* the reports of deliberate crashes are noise */
        _exit(body(s));
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

#endif
