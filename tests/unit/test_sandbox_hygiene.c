/* The facts, each measured with and without what makes it true; and who is refused for lack of one. */
#include "sandbox_child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

#include "sandbox/hygiene.h"

#define LOCKED_SIZE ((size_t)64 * 1024)

static const char *const no_dirs[] = { NULL };

/* What keeper and server do before they serve, or all but one thing of it. */
enum step { DUMP = 1, USER = 2, PATHS = 4, FILTER = 8, LOCK = 16 };
static enum hygiene_process process;
static unsigned skipped;
static uint32_t allowed;

static bool prepared(struct hygiene *h)
{
    bool fine = true;

    *h = (struct hygiene){ .process = process, .slab_size = LOCKED_SIZE };
    void *p = mmap(NULL, LOCKED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if ((skipped & LOCK) == 0)
        fine = p != MAP_FAILED && syscall(SYS_mlock2, p, LOCKED_SIZE, 0) == 0;
    if ((skipped & DUMP) == 0)
        fine = fine && sandbox_no_dump(NULL) == OK;
    if ((skipped & USER) == 0 && geteuid() == 0)
        fine = fine && sandbox_drop_user("nobody", NULL) == OK;
    fine = fine && hygiene_begin(h, NULL) == OK;
    if (process == HYGIENE_SERVER && (skipped & PATHS) == 0)
        fine = fine && sandbox_paths(no_dirs, no_dirs, NULL) == OK;
    if ((skipped & FILTER) == 0)
        fine = fine && sandbox_syscalls(process == HYGIENE_SERVER ? SANDBOX_SERVER : SANDBOX_KEEPER,
                                        NULL) == OK;
    return fine;
}

/* 0: no fact is missing that is required; else the number of the missing one's bit, plus 1. */
static int verdict(void)
{
    struct hygiene h;
    struct err e = { 0 };
    uint32_t have = 0;

    if (!prepared(&h))
        return 100;
    status st = hygiene_finish(&h, allowed, &have, &e);
    if (st == OK)
        return 0;
    if (st != DENIED || e.detail <= 0 || (have & (uint32_t)e.detail) != 0)
        return 101;
    return ffs((int)e.detail);
}

static int of(enum hygiene_fact fact)
{
    return ffs((int)fact);
}

static int judged(enum hygiene_process who, unsigned without, uint32_t allow)
{
    process = who;
    skipped = without;
    allowed = allow;
    return in_child(verdict);
}

static bool has_landlock(void)
{
    return (hygiene_machine() & HYGIENE_LANDLOCK) != 0;
}

static void a_process_that_has_done_everything_may_serve(void **state)
{
    (void)state;
    assert_int_equal(judged(HYGIENE_KEEPER, 0, 0), 0);
    if (has_landlock())
        assert_int_equal(judged(HYGIENE_SERVER, 0, 0), 0);
}

static void whoever_lacks_what_is_required_is_refused(void **state)
{
    (void)state;
    assert_int_equal(judged(HYGIENE_KEEPER, DUMP | USER, 0), of(HYGIENE_NOT_DUMPABLE));
    assert_int_equal(judged(HYGIENE_KEEPER, LOCK, 0), of(HYGIENE_LOCKED_MEMORY));
    assert_int_equal(judged(HYGIENE_KEEPER, FILTER, 0), of(HYGIENE_NO_NEW_PRIVS));
    assert_int_equal(judged(HYGIENE_SERVER, PATHS, 0), of(HYGIENE_LANDLOCK));
    assert_int_equal(judged(HYGIENE_SERVER, PATHS | FILTER, HYGIENE_NO_NEW_PRIVS),
                     of(HYGIENE_SYSCALL_FILTER));
    if (geteuid() == 0)
        assert_int_equal(judged(HYGIENE_KEEPER, USER, 0), of(HYGIENE_UNPRIVILEGED));
}

static void what_the_setting_allows_to_be_missing_refuses_nobody(void **state)
{
    (void)state;
    assert_int_equal(judged(HYGIENE_SERVER, PATHS, HYGIENE_LANDLOCK), 0);
    assert_int_equal(judged(HYGIENE_KEEPER, DUMP, HYGIENE_NOT_DUMPABLE | HYGIENE_NO_CORE_FILES), 0);
    assert_int_equal(judged(HYGIENE_KEEPER, DUMP, HYGIENE_NOT_DUMPABLE), of(HYGIENE_NO_CORE_FILES));
}

static int landlock_of_an_older_kernel(void)
{
    if (!forget_call(SYS_landlock_create_ruleset) || has_landlock())
        return 102;
    return verdict();
}

static void a_server_without_landlock_is_refused_unless_that_is_allowed(void **state)
{
    (void)state;
    process = HYGIENE_SERVER;
    skipped = 0;
    allowed = 0;
    assert_int_equal(in_child(landlock_of_an_older_kernel), of(HYGIENE_LANDLOCK));
    allowed = HYGIENE_LANDLOCK;
    assert_int_equal(in_child(landlock_of_an_older_kernel), 0);
}

static int traced(void)
{
    /* Before it gives up being dumpable; the parent then waits for its exit. */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return 103;
    return verdict();
}

static void a_process_that_is_traced_is_refused(void **state)
{
    (void)state;
    process = HYGIENE_KEEPER;
    skipped = 0;
    allowed = 0;
    assert_int_equal(in_child(traced), of(HYGIENE_NO_TRACER));
}

/* --- names ----------------------------------------------------------------------------------- */

static void facts_are_named_by_words_between_commas_or_spaces(void **state)
{
    uint32_t facts = 99;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(hygiene_parse("", &facts, NULL), OK);
    assert_int_equal(facts, 0);
    assert_int_equal(hygiene_parse(" landlock, memfd-secret,,no-swap ", &facts, NULL), OK);
    assert_int_equal(facts, HYGIENE_LANDLOCK | HYGIENE_MEMFD_SECRET | HYGIENE_NO_SWAP);
    assert_int_equal(hygiene_parse("landlock firewall", &facts, &e), BAD_INPUT);
    assert_int_equal(hygiene_parse("land", &facts, NULL), BAD_INPUT);
    assert_int_equal(hygiene_parse("landlocked", &facts, NULL), BAD_INPUT);
}

static void every_fact_has_one_bit_a_name_and_something_to_do(void **state)
{
    const struct hygiene_row *row = NULL;
    size_t count = 0;

    (void)state;
    for (; (row = hygiene_row(count)) != NULL; count++) {
        uint32_t facts = 0;

        assert_int_equal(row->fact, 1U << count); /* in order, none left out */
        assert_int_equal(hygiene_parse(row->name, &facts, NULL), OK);
        assert_int_equal(facts, row->fact);
        assert_true(strlen(row->missing) > 0 && strlen(row->remedy) > 0);
        assert_non_null(strstr(row->refusal, row->name));
        assert_non_null(strstr(row->refusal, "allow_missing"));
        assert_true(strlen(row->refusal) < 128); /* more would be cut off in the log */
        assert_true(row->expected != 0);
    }
    assert_int_equal(count, 13);
}

/* An older kernel than the one that can hide memory is good enough; one that cannot filter is not. */
static void what_only_newer_kernels_have_is_reported_and_not_required(void **state)
{
    (void)state;
    for (size_t i = 0; hygiene_row(i) != NULL; i++) {
        if (hygiene_row(i)->fact == HYGIENE_MEMFD_SECRET)
            assert_false(hygiene_row(i)->required);
        if (hygiene_row(i)->fact == HYGIENE_SYSCALL_FILTER)
            assert_true(hygiene_row(i)->required);
    }
}

/* --- the machine ----------------------------------------------------------------------------- */

static int machine_without_memfd_secret(void)
{
    if (!forget_call(447))
        return 1;
    return (hygiene_machine() & HYGIENE_MEMFD_SECRET) == 0 ? 0 : 2;
}

static int machine_with_little_to_lock(void)
{
    const struct rlimit little = { 65536, 65536 };

    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0)
        return 1;
    if (geteuid() == 0 && (hygiene_machine() & HYGIENE_LOCKED_MEMORY) == 0)
        return 2; /* the limit does not bind root */
    if (geteuid() == 0 && setuid(65534) != 0)
        return 3;
    return (hygiene_machine() & HYGIENE_LOCKED_MEMORY) == 0 ? 0 : 4;
}

static void a_machine_is_judged_by_what_it_offers(void **state)
{
    (void)state;
    assert_int_equal(in_child(machine_without_memfd_secret), 0);
    assert_int_equal(in_child(machine_with_little_to_lock), 0);
}

static void what_is_freed_is_overwritten_and_counts_so(void **state)
{
    struct hygiene h = { .process = HYGIENE_KEEPER };

    (void)state;
    if (SANITIZED)
        skip(); /* the sanitizer's allocator is another one */
    assert_int_equal(hygiene_begin(&h, NULL), OK);
    assert_true((h.have & HYGIENE_FREED_MEMORY) != 0);
}

/* In the same place or another: what it held is there, and what is left behind is not. */
static void resized_memory_keeps_what_it_holds(void **state)
{
    char *p = NULL;

    (void)state;
    for (size_t n = 1; n <= 1 << 18; n = n * 3 + 1) {
        p = realloc(p, n);
        assert_non_null(p);
        p[n - 1] = (char)n;
        for (size_t k = 1; k < n; k = k * 3 + 1)
            assert_int_equal(p[k - 1], (char)k);
    }
    for (size_t n = 1 << 18; n > 0; n /= 5) {
        p = realloc(p, n);
        for (size_t k = 1; k <= n && k < 1 << 17; k = k * 3 + 1)
            assert_int_equal(p[k - 1], (char)k);
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_has_done_everything_may_serve),
        cmocka_unit_test(whoever_lacks_what_is_required_is_refused),
        cmocka_unit_test(what_the_setting_allows_to_be_missing_refuses_nobody),
        cmocka_unit_test(a_server_without_landlock_is_refused_unless_that_is_allowed),
        cmocka_unit_test(a_process_that_is_traced_is_refused),
        cmocka_unit_test(facts_are_named_by_words_between_commas_or_spaces),
        cmocka_unit_test(every_fact_has_one_bit_a_name_and_something_to_do),
        cmocka_unit_test(what_only_newer_kernels_have_is_reported_and_not_required),
        cmocka_unit_test(a_machine_is_judged_by_what_it_offers),
        cmocka_unit_test(what_is_freed_is_overwritten_and_counts_so),
        cmocka_unit_test(resized_memory_keeps_what_it_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
