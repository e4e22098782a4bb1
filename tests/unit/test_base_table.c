/* The hash table, held against a plain array through many random changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define KEYS 500

struct item {
    struct id id;
    bool in;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void it_agrees_with_a_plain_list_through_random_changes(void **state)
{
    static struct item items[KEYS];
    struct table t;
    uint32_t seed = 7;
    size_t held = 0;

    (void)state;
    table_init(&t, sizeof(struct id));
    for (size_t i = 0; i < KEYS; i++) {
        for (size_t j = 0; j < sizeof items[i].id.b; j++)
            items[i].id.b[j] = (uint8_t)next_random(&seed);
    }
    for (size_t step = 0; step < 20000; step++) {
        struct item *item = &items[next_random(&seed) % KEYS];

        assert_ptr_equal(table_find(&t, item->id.b), item->in ? item : NULL);
        if (item->in) {
            assert_ptr_equal(table_remove(&t, item->id.b), item);
            held--;
        } else {
            assert_int_equal(table_add(&t, item->id.b, item, NULL), OK);
            held++;
        }
        item->in = !item->in;
        assert_int_equal(t.count, held);
    }
    for (size_t i = 0; i < KEYS; i++)
        assert_ptr_equal(table_find(&t, items[i].id.b), items[i].in ? &items[i] : NULL);
    table_clear(&t);
}

static void counting_keys_do_not_pile_up(void **state)
{
    static struct item items[4096];
    struct table t;

    (void)state;
    table_init(&t, sizeof(struct id));
    for (size_t i = 0; i < 4096; i++) {
        items[i].id.b[15] = (uint8_t)i;
        items[i].id.b[7] = (uint8_t)(i >> 8);
        assert_int_equal(table_add(&t, items[i].id.b, &items[i], NULL), OK);
    }
    assert_int_equal(t.count, 4096);
    table_clear(&t);
}

static void a_key_is_added_only_once(void **state)
{
    struct item item = { .id = { { 1 } } };
    struct table t;
    struct err e = { 0 };

    (void)state;
    table_init(&t, sizeof(struct id));
    assert_null(table_find(&t, item.id.b));
    assert_null(table_remove(&t, item.id.b));
    assert_int_equal(table_add(&t, item.id.b, &item, &e), OK);
    assert_int_equal(table_add(&t, item.id.b, &item, &e), CONFLICT);
    assert_int_equal(t.count, 1);
    table_clear(&t);
}

static void walking_meets_every_value_once(void **state)
{
    static struct item items[200];
    struct table t;
    size_t cursor = 0, met = 0;
    struct item *item;

    (void)state;
    table_init(&t, sizeof(struct id));
    for (size_t i = 0; i < 200; i++) {
        items[i] = (struct item){ .id = { { (uint8_t)i, (uint8_t)(i * 7) } } };
        assert_int_equal(table_add(&t, items[i].id.b, &items[i], NULL), OK);
    }
    while ((item = table_next(&t, &cursor)) != NULL) {
        assert_false(item->in);
        item->in = true;
        met++;
    }
    assert_int_equal(met, 200);
    table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_plain_list_through_random_changes),
        cmocka_unit_test(counting_keys_do_not_pile_up),
        cmocka_unit_test(a_key_is_added_only_once),
        cmocka_unit_test(walking_meets_every_value_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
