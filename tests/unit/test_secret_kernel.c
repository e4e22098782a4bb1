/* What the kernel does for the slab: hidden or at least locked, kept apart, closed between uses. */
#include "secret_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define SLAB_SIZE ((size_t)256 * 1024)

static int start_slab(void **state)
{
    (void)state;
    return secret_start(SLAB_SIZE, NULL) == OK ? 0 : -1;
}

static struct secret *take(size_t cap)
{
    struct secret *s = NULL;

    assert_int_equal(secret_new(cap, &s, NULL), OK);
    return s;
}

/* Whether the kernel's flags of the mapping that holds p contain flag. */
static bool mapping_has(const void *p, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false;
    bool found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from = 0;
        unsigned long to = 0;

        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    fclose(maps);
    return found;
}

/* Locked, not in dumps, not in children, not in huge pages; not one that other processes share. */
static bool slab_is_kept_apart(const void *p)
{
    return mapping_has(p, " lo") && mapping_has(p, " dd") && mapping_has(p, " dc") &&
           mapping_has(p, " nh") && !mapping_has(p, " mg");
}

static void the_slab_is_locked_and_absent_from_dumps_children_and_huge_pages(void **state)
{
    AUTO(secret) *s = take(32);
    int elsewhere = 0;

    (void)state;
    assert_true(slab_is_kept_apart(s));
    assert_false(mapping_has(&elsewhere, " dd"));
}

/* What root can do to any process, done to ourselves. */
static bool others_can_read(const void *p)
{
    uint8_t byte = 0;
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    struct iovec to = { &byte, 1 };
    union {
        const void *read;
        void *write;
    } where = { .read = p };
    struct iovec from = { where.write, 1 };
    bool read = false;

    if (memory < 0)
        return true;
    read = pread(memory, &byte, 1, (off_t)(uintptr_t)p) == 1 ||
           process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
    close(memory);
    return read;
}

static bool kernel_has_memfd_secret(void)
{
    int fd = (int)syscall(447, O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void the_slab_is_hidden_from_every_other_process_where_the_kernel_can(void **state)
{
    AUTO(secret) *s = take(32);

    (void)state;
    assert_true(others_can_read(state)); /* as long as it is not hidden */
    assert_int_equal(secret_is_hidden(), kernel_has_memfd_secret());
    assert_int_equal(others_can_read(s), !secret_is_hidden());
}

/* From here on the kernel is an older one, without memfd_secret. */
static bool forget_memfd_secret(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 447, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int live_on_an_older_kernel(struct secret *unused)
{
    struct secret *s = NULL;

    (void)unused;
    if (!forget_memfd_secret() || kernel_has_memfd_secret())
        return 1;
    if (secret_start(SLAB_SIZE, NULL) != OK || secret_is_hidden())
        return 2;
    if (secret_copy(span_text("old"), &s, NULL) != OK || !slab_is_kept_apart(s))
        return 3;
    secret_close();
    secret_open();
    return span_same(secret_view(s), span_text("old")) ? 0 : 4;
}

static void an_older_kernel_gives_a_slab_that_is_locked(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(live_on_an_older_kernel, NULL), 0);
}

/* --- closed ---------------------------------------------------------------------------------- */

UNCHECKED static uint8_t read_raw(const volatile uint8_t *p)
{
    return *p;
}

static struct secret *closed_secret(void)
{
    struct secret *s = NULL;

    if (secret_start(SLAB_SIZE, NULL) != OK || secret_copy(span_text("k"), &s, NULL) != OK)
        _exit(2);
    if (read_raw(secret_view(s).p) != 'k') /* so that it is the closing that makes it crash */
        _exit(3);
    secret_close();
    return s;
}

static int read_while_closed(struct secret *unused)
{
    (void)unused;
    return read_raw((const uint8_t *)closed_secret() + 16);
}

static int read_while_closed_on_an_older_kernel(struct secret *unused)
{
    return forget_memfd_secret() ? read_while_closed(unused) : 4;
}

static int take_while_closed(struct secret *unused)
{
    struct secret *s = NULL;

    (void)unused;
    closed_secret();
    return secret_new(32, &s, NULL) == OK ? 0 : 4;
}

static int free_while_closed(struct secret *unused)
{
    (void)unused;
    secret_free(closed_secret());
    return 0;
}

static void whoever_touches_the_closed_slab_is_killed(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(read_while_closed, NULL), -1);
    assert_int_equal(in_a_child(read_while_closed_on_an_older_kernel, NULL), -1);
    assert_int_equal(in_a_child(take_while_closed, NULL), -1);
    assert_int_equal(in_a_child(free_while_closed, NULL), -1);
}

static int close_and_open(struct secret *unused)
{
    struct secret *s = closed_secret();

    (void)unused;
    secret_close();
    if (secret_in_use() == 0 || !mapping_has(s, " dd"))
        return 4;
    secret_open(); /* one is enough */
    if (!span_same(secret_view(s), span_text("k")) || !slab_is_kept_apart(s))
        return 5;
    secret_open();
    secret_free(s);
    return secret_in_use() == 0 ? 0 : 6;
}

static void an_opened_slab_is_what_it_was(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_and_open, NULL), 0);
}

static int wipe_while_closed(struct secret *unused)
{
    struct secret *s = closed_secret();

    (void)unused;
    secret_wipe_all();
    return secret_view(s).n == 0 && is_zero(secret_fill(s).p, 1) ? 0 : 4;
}

static void wiping_all_opens_a_closed_slab(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(wipe_while_closed, NULL), 0);
}

static int use_after_the_parents(struct secret *parents)
{
    struct secret *s = NULL;

    secret_free(parents);
    if (secret_in_use() != 0 || secret_new(32, &s, NULL) != BUG)
        return 1;
    secret_open(); /* there is none */
    secret_close();
    if (secret_start(SLAB_SIZE, NULL) != OK || secret_copy(span_text("child"), &s, NULL) != OK)
        return 2;
    return span_same(secret_view(s), span_text("child")) ? 0 : 3;
}

static void a_child_of_a_closed_parent_starts_a_slab_of_its_own(void **state)
{
    AUTO(secret) *s = take(32);

    (void)state;
    secret_close();
    int how = in_a_child(use_after_the_parents, s);
    secret_open();
    assert_int_equal(how, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_slab_is_locked_and_absent_from_dumps_children_and_huge_pages),
        cmocka_unit_test(the_slab_is_hidden_from_every_other_process_where_the_kernel_can),
        cmocka_unit_test(an_older_kernel_gives_a_slab_that_is_locked),
        cmocka_unit_test(whoever_touches_the_closed_slab_is_killed),
        cmocka_unit_test(an_opened_slab_is_what_it_was),
        cmocka_unit_test(wiping_all_opens_a_closed_slab),
        cmocka_unit_test(a_child_of_a_closed_parent_starts_a_slab_of_its_own),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
