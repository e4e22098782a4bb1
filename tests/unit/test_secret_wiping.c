/* wrap: free */
/* The allocator that wipes: what libraries free, and what they leave when they grow, is zero. */
#include "secret_child.h"

#include <stdlib.h>

#include "secret/wiping.h"

#define SIZE 4096

static bool watching;
static size_t freed;
static size_t freed_dirty;

void __real_free(void *p);
void __wrap_free(void *p);

/* What the module gives back to the C library: behind the head, which is a size, all must be zero. */
void __wrap_free(void *p)
{
    if (watching) {
        freed++;
        freed_dirty += !is_zero((const uint8_t *)p + sizeof(max_align_t), SIZE);
    }
    __real_free(p);
}

static uint8_t *marked(size_t size)
{
    uint8_t *p = wiping_malloc(size);

    assert_non_null(p);
    memset(p, 0x5a, size);
    return p;
}

static void what_is_freed_is_zero(void **state)
{
    (void)state;
    watching = true;
    wiping_free(marked(SIZE));
    wiping_free(NULL);
    watching = false;
    assert_int_equal(freed, 1);
    assert_int_equal(freed_dirty, 0);
}

static void growing_and_shrinking_leave_nothing_behind(void **state)
{
    uint8_t *p = marked(SIZE);
    uint8_t *larger = NULL;

    (void)state;
    freed = 0;
    watching = true;
    larger = wiping_resize(p, 2 * SIZE);
    assert_non_null(larger);
    assert_int_equal(larger[0], 0x5a);
    assert_int_equal(larger[SIZE - 1], 0x5a);
    p = wiping_resize(larger, SIZE);
    assert_non_null(p);
    assert_int_equal(p[SIZE - 1], 0x5a);
    wiping_free(p);
    watching = false;
    assert_int_equal(freed, 3);
    assert_int_equal(freed_dirty, 0);
}

static void a_size_that_cannot_be_is_refused_and_costs_nothing(void **state)
{
    uint8_t *p = marked(SIZE);

    (void)state;
    assert_null(wiping_malloc(SIZE_MAX));
    assert_null(wiping_resize(p, SIZE_MAX));
    assert_int_equal(p[SIZE - 1], 0x5a);
    wiping_free(p);
    p = wiping_resize(NULL, 8);
    assert_non_null(p);
    wiping_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_is_zero),
        cmocka_unit_test(growing_and_shrinking_leave_nothing_behind),
        cmocka_unit_test(a_size_that_cannot_be_is_refused_and_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
