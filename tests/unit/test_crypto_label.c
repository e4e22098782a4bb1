/* Labels: one byte string for each meaning, and none at all when one does not fit. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/crypto.h"

#define CHECK_STATUS(call, want) assert_string_equal(status_name(call), status_name(want))
#define COUNT(array)             (sizeof(array) / sizeof((array)[0]))

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

static void a_label_is_prefix_purpose_count_and_fields_with_their_lengths(void **state)
{
    static const char bytes[] = "\x15strongroom/v1/genesis\x02\x00\x02hi\x00\x04\x00\x00\x01\x02";
    struct label l;

    (void)state;
    label_init(&l, "genesis");
    label_field(&l, span_text("hi"));
    label_u32(&l, 258);
    assert_true(span_same(label_view(&l), span_of(bytes, sizeof(bytes) - 1)));
}

/* Two labels of up to three fields, given as texts; NULL ends them. */
struct pair {
    const char *purpose[2];
    const char *fields[2][4];
};

static const struct pair pairs[] = {
    { { "a", "b" }, { { NULL }, { NULL } } },
    { { "a", "ab" }, { { "b" }, { NULL } } },
    { { "a", "a" }, { { NULL }, { "" } } },
    { { "a", "a" }, { { "" }, { "", "" } } },
    { { "a", "a" }, { { "xy" }, { "x", "y" } } },
    { { "a", "a" }, { { "x", "y" }, { "y", "x" } } },
    { { "a", "a" }, { { "xy", "z" }, { "x", "yz" } } },
    { { "a", "a" }, { { "x", "" }, { "", "x" } } },
    { { "a", "a/b" }, { { "/b" }, { NULL } } },
};

static void different_meanings_never_share_their_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct label l[2];

        for (size_t side = 0; side < 2; side++) {
            label_init(&l[side], pairs[i].purpose[side]);
            for (size_t f = 0; pairs[i].fields[side][f] != NULL; f++)
                label_field(&l[side], span_text(pairs[i].fields[side][f]));
        }
        assert_false(span_same(label_view(&l[0]), label_view(&l[1])));
    }
}

/* Reads a label back by the format's text: if that works for all, no two can collide. */
static bool parses_to(struct span bytes, const char *domain, const struct span *fields, size_t n)
{
    struct in i = in_of(bytes);
    uint8_t length = in_u8(&i);
    struct span read = in_raw(&i, length);

    if (!span_same(read, span_text(domain)) || in_u8(&i) != n)
        return false;
    for (size_t f = 0; f < n; f++) {
        if (!span_same(in_span16(&i), fields[f]))
            return false;
    }
    return in_end(&i);
}

static void every_label_can_be_read_back_to_what_it_says(void **state)
{
    uint32_t random = 1;

    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        uint8_t content[40];
        struct span fields[8];
        struct label l;
        size_t n = 0;

        random = random * 1664525 + 1013904223;
        n = (random >> 16) % 9;
        for (size_t i = 0; i < sizeof(content); i++)
            content[i] = (uint8_t)((random >> 9) % 3); /* few values: many near collisions */
        label_init(&l, "p");
        for (size_t f = 0; f < n; f++) {
            fields[f] = span_of(content, (random >> f) % sizeof(content));
            label_field(&l, fields[f]);
        }
        assert_true(parses_to(label_view(&l), "strongroom/v1/p", fields, n));
    }
}

static void the_same_number_in_another_width_is_another_label(void **state)
{
    const struct id id = { .b = { [15] = 1 } };
    struct label l[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        label_init(&l[i], "a");
    label_u16(&l[0], 1);
    label_u32(&l[1], 1);
    label_u64(&l[2], 1);
    label_id(&l[3], &id);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < i; k++)
            assert_false(span_same(label_view(&l[i]), label_view(&l[k])));
    }
}

static void a_copy_goes_on_by_itself(void **state)
{
    struct label first;
    struct label second;
    struct label expected;

    (void)state;
    label_init(&first, "a");
    label_u16(&first, 1);
    second = first;
    label_u16(&second, 2);
    label_u16(&first, 3);
    label_init(&expected, "a");
    label_u16(&expected, 1);
    label_u16(&expected, 2);
    assert_true(span_same(label_view(&second), label_view(&expected)));
    assert_false(span_same(label_view(&first), label_view(&second)));
}

static void check_refused(const struct label *l)
{
    static const uint8_t key[32] = { 1 };
    struct secret *s = NULL;
    uint8_t mac[MAC_SIZE];

    assert_true(l->out.overflow);
    CHECK_STATUS(crypto_derive(SPAN(key), l, 32, &s, NULL), BUG);
    CHECK_STATUS(crypto_mac(SPAN(key), l, span_text("x"), mac, NULL), BUG);
    assert_null(s);
}

static void a_label_that_does_not_fit_is_refused_everywhere(void **state)
{
    static const uint8_t large[LABEL_SIZE];
    char purpose[300];
    struct label l;

    (void)state;
    label_init(&l, "bytes");
    label_field(&l, SPAN(large));
    check_refused(&l);
    label_u16(&l, 1); /* fits, and changes nothing */
    check_refused(&l);

    label_init(&l, "fields");
    for (size_t i = 0; i < 255; i++)
        label_field(&l, span_of(NULL, 0));
    assert_false(l.out.overflow);
    label_field(&l, span_of(NULL, 0)); /* the count is one byte */
    check_refused(&l);

    memset(purpose, 'p', sizeof(purpose));
    purpose[241] = '\0';
    label_init(&l, purpose);
    assert_false(l.out.overflow);
    purpose[241] = 'p';
    purpose[242] = '\0';
    label_init(&l, purpose);
    check_refused(&l);
}

static void looking_at_a_label_that_does_not_fit_aborts(void **state)
{
    static const uint8_t large[LABEL_SIZE];
    const struct rlimit no_core = { 0, 0 };
    int how = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        struct label l;

        signal(SIGABRT, SIG_DFL); /* the test library has a handler of its own */
        setrlimit(RLIMIT_CORE, &no_core);
        label_init(&l, "bytes");
        label_field(&l, SPAN(large));
        (void)label_view(&l);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_is_prefix_purpose_count_and_fields_with_their_lengths),
        cmocka_unit_test(different_meanings_never_share_their_bytes),
        cmocka_unit_test(every_label_can_be_read_back_to_what_it_says),
        cmocka_unit_test(the_same_number_in_another_width_is_another_label),
        cmocka_unit_test(a_copy_goes_on_by_itself),
        cmocka_unit_test(a_label_that_does_not_fit_is_refused_everywhere),
        cmocka_unit_test(looking_at_a_label_that_does_not_fit_aborts),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
