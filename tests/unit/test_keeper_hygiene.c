/* What protects the keeper is part of its answer to HELLO. */
#include "keeper_rig.h"

static void hello_says_what_protects_the_keeper(void **state)
{
    struct rig *r = rig_new();

    (void)state;
    assert_int_equal(rig_hello(r).hygiene, 0);
    keeper_tell_hygiene(r->k, 0x1234);
    assert_int_equal(rig_hello(r).hygiene, 0x1234);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_says_what_protects_the_keeper),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
