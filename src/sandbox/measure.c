/* How each fact is found out. What cannot be found out does not hold. */
#include "measure.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* --- files ----------------------------------------------------------------------------------- */

static bool read_from(int fd, char text[MEASURE_TEXT])
{
    ssize_t n = fd < 0 ? -1 : pread(fd, text, MEASURE_TEXT - 1, 0);

    text[n < 0 ? 0 : n] = '\0';
    return n >= 0;
}

/* The beginning of a small file. */
static bool read_text(const char *path, char text[MEASURE_TEXT])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool there = read_from(fd, text);

    if (fd >= 0)
        close(fd);
    return there;
}

bool measure_status(int fd, char text[MEASURE_TEXT])
{
    return read_from(fd, text);
}

uint64_t measure_field(const char *text, const char *name, int base)
{
    char line[32];
    char *end = NULL;

    snprintf(line, sizeof line, "\n%s:", name);
    const char *at = strstr(text, line);
    if (at == NULL)
        return UINT64_MAX;
    at += strlen(line);
    uint64_t value = strtoull(at, &end, base);
    return end == at ? UINT64_MAX : value;
}

/* --- this process ---------------------------------------------------------------------------- */

bool measure_dumpable(void)
{
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0;
}

bool measure_core_limit_zero(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
}

bool measure_lock_limit(size_t bytes)
{
    struct rlimit limit;

    /* Whoever is root when the slab is made is not bound by the limit. */
    return geteuid() == 0 || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= bytes);
}

bool measure_root_opens(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

/* --- this machine ---------------------------------------------------------------------------- */

/* The limit of a control group holds for all below it. */
static bool group_forbids_swap(void)
{
    static const char mount[] = "/sys/fs/cgroup";
    char text[MEASURE_TEXT];
    char path[sizeof mount + 512 + sizeof "/memory.swap.max"];
    char group[512];

    if (!read_text("/proc/self/cgroup", text))
        return false;
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line == NULL || sscanf(strstr(line, "0::"), "0::%511[^\n]", group) != 1)
        return false;
    for (char *slash = group + strlen(group); slash != NULL; slash = strrchr(group, '/')) {
        *slash = '\0';
        snprintf(path, sizeof path, "%s%s/memory.swap.max", mount, group);
        if (read_text(path, text) && strcmp(text, "0\n") == 0)
            return true;
    }
    return false;
}

/* A line for the head of the table, and one for each device or file. */
static bool machine_has_no_swap(void)
{
    char text[MEASURE_TEXT];

    if (!read_text("/proc/swaps", text))
        return false;
    const char *end = strchr(text, '\n');
    return end != NULL && end[1] == '\0';
}

bool measure_no_swap(void)
{
    return machine_has_no_swap() || group_forbids_swap();
}

bool measure_core_pattern_is_file(void)
{
    char text[MEASURE_TEXT];

    return read_text("/proc/sys/kernel/core_pattern", text) && text[0] != '|';
}

bool measure_nobody_attaches(void)
{
    char text[MEASURE_TEXT];

    return read_text("/proc/sys/kernel/yama/ptrace_scope", text) && text[0] == '3';
}

bool measure_landlock_there(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION) >
           0;
}

bool measure_seccomp_there(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0U, &action) == 0;
}

bool measure_memfd_secret_there(void)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}
