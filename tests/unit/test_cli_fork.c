/* Two checkpoints that do not go together: what proves a fork, what does not, and the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/file.c"
#include "../../cli/fork.c"
#include "../../cli/report.c"

#define RECORDS 20

static const struct id vault = { .b = { 1 } };
static const struct id log_id = { .b = { 2 } };
static const uint8_t seed[32] = { 3 };
static char directory[] = "/tmp/strongroom-fork-XXXXXX";

void profile_path(const struct profile *p, const char *file, char out[static PATH_MAX])
{
    (void)p;
    snprintf(out, PATH_MAX, "%s/%s", directory, file);
}

/* Leaves of a history: those from `changed` on are others than usual. */
struct history {
    uint64_t changed;
};

static void leaf(const struct history *h, uint64_t seq, uint8_t out[static 32])
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%c%llu", seq >= h->changed ? 'b' : 'a',
                     (unsigned long long)seq);

    ledger_leaf(span_of(line, (size_t)n), out);
}

static struct ledger_tree grow(const struct history *h, uint64_t size)
{
    struct ledger_tree t;

    ledger_genesis(&vault, &log_id, &t);
    for (uint64_t seq = 0; seq < size; seq++) {
        uint8_t hash[32];

        leaf(h, seq, hash);
        assert_int_equal(ledger_append(&t, hash, 1, NULL), OK);
    }
    return t;
}

static void sign(const struct history *h, uint64_t size, char out[static TRAIL_NOTE])
{
    struct ledger_tree t = grow(h, size);
    struct out note;

    memset(out, 0, TRAIL_NOTE);
    out_init(&note, (uint8_t *)out, TRAIL_NOTE - 1);
    assert_int_equal(checkpoint_sign(&vault, &t, SPAN(seed), &note, NULL), OK);
}

static status node(void *context, unsigned level, uint64_t number, uint8_t ret[static 32],
                   struct err *e)
{
    struct ledger_tree t;

    ledger_genesis(&vault, &log_id, &t);
    for (uint64_t seq = number << level; seq < (number + 1) << level; seq++) {
        uint8_t hash[32];

        leaf(context, seq, hash);
        if (ledger_append(&t, hash, 1, e) != OK)
            return BUG;
    }
    ledger_root(&t, ret);
    return OK;
}

/* What a vault of this history answers about its first records. */
static void add_sides(struct fork *f, struct history *h, uint64_t small, uint64_t large)
{
    f->has_sides = true;
    assert_int_equal(
        proof_range(small, small, large, node, h, &f->sides.left, &f->sides.right, NULL), OK);
}

static struct fork *make(struct history first, uint64_t first_size, struct history second,
                         uint64_t second_size)
{
    struct fork *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->vault = vault;
    f->log = log_id;
    ed25519_public(SPAN(seed), f->public_key);
    sign(&first, first_size, f->remembered.text);
    sign(&second, second_size, f->given.text);
    return f;
}

/* Judged as it is, and once more after it was written and read. */
static void is(struct fork *f, enum fork_verdict expected)
{
    static struct fork again;
    struct cli c = { .options = { .given = 0 } };
    const char *why = NULL;
    char path[PATH_MAX];

    assert_int_equal(fork_judge(f, &why), expected);
    assert_non_null(why);
    assert_int_equal(fork_write(&c, f, "acme", path), EXIT_DONE);
    assert_int_equal(fork_read(path, &again), EXIT_DONE);
    assert_int_equal(fork_judge(&again, &why), expected);
    unlink(path);
    free(f);
}

static const struct history usual = { .changed = UINT64_MAX };

static void two_roots_of_one_size_are_a_fork(void **state)
{
    (void)state;
    is(make(usual, 7, (struct history){ .changed = 3 }, 7), FORK_PROVEN);
    is(make(usual, 7, usual, 7), FORK_NONE);
}

static void a_larger_tree_that_began_otherwise_is_a_fork_whichever_was_first(void **state)
{
    (void)state;
    for (uint64_t small = 1; small < RECORDS; small++) {
        for (uint64_t large = small + 1; large <= RECORDS; large++) {
            struct history other = { .changed = small - 1 };
            struct fork *f = make(usual, small, other, large);

            add_sides(f, &other, small, large);
            is(f, FORK_PROVEN);
            f = make(other, large, usual, small);
            add_sides(f, &other, small, large);
            is(f, FORK_PROVEN);
        }
    }
}

static void a_tree_that_goes_on_is_none(void **state)
{
    struct history later = { .changed = 9 };
    struct history same = usual;
    struct fork *f = make(usual, 9, later, 13);

    (void)state;
    add_sides(f, &later, 9, 13);
    is(f, FORK_NONE);
    f = make(usual, 8, usual, 16);
    add_sides(f, &same, 8, 16);
    is(f, FORK_NONE);
}

static void without_the_subtrees_of_the_larger_one_nothing_is_proven(void **state)
{
    struct history other = { .changed = 2 };
    struct history third = { .changed = 1 };
    struct fork *f = make(usual, 5, other, 9);

    (void)state;
    is(f, FORK_UNPROVEN);
    f = make(usual, 9, usual, 5); /* a rollback: both are of one history */
    is(f, FORK_UNPROVEN);
    f = make(usual, 5, other, 9);
    add_sides(f, &third, 5, 9); /* of another tree than the signed one */
    is(f, FORK_UNPROVEN);
    f = make(usual, 5, other, 9);
    add_sides(f, &other, 4, 9); /* of another size */
    is(f, FORK_UNPROVEN);
}

static void a_note_that_is_not_signed_proves_nothing(void **state)
{
    struct fork *f = make(usual, 7, (struct history){ .changed = 3 }, 7);

    (void)state;
    f->public_key[0] ^= 1;
    is(f, FORK_BAD_NOTE);
    f = make(usual, 7, (struct history){ .changed = 3 }, 7);
    f->log.b[5] ^= 1;
    is(f, FORK_BAD_NOTE);
    f = make(usual, 7, (struct history){ .changed = 3 }, 7);
    f->given.text[strlen(f->given.text) - 10] ^= 1;
    is(f, FORK_BAD_NOTE);
}

static void any_other_file_is_said_to_be_none(void **state)
{
    static struct fork again;
    struct history other = { .changed = 2 };
    struct fork *f = make(usual, 5, other, 9);
    struct cli c = { .options = { .given = 0 } };
    char path[PATH_MAX];
    char text[8192];
    char said[512];

    (void)state;
    add_sides(f, &other, 5, 9);
    assert_int_equal(fork_write(&c, f, "acme", path), EXIT_DONE);
    assert_int_equal(file_read(path, text, sizeof(text), NULL), OK);
    report_catch(said, sizeof(said));
    for (size_t n = 0; n < strlen(text); n += 7) { /* cut off; the last hashes may miss unnoticed */
        assert_int_equal(file_write(path, FILE_PUBLIC, span_of(text, n), NULL), OK);
        if (fork_read(path, &again) == EXIT_DONE)
            assert_int_not_equal(fork_judge(&again, &(const char *){ NULL }), FORK_PROVEN);
    }
    assert_int_equal(fork_read("/nowhere/at/all", &again), EXIT_ABSENT);
    report_catch(NULL, 0);
    unlink(path);
    free(f);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_roots_of_one_size_are_a_fork),
        cmocka_unit_test(a_larger_tree_that_began_otherwise_is_a_fork_whichever_was_first),
        cmocka_unit_test(a_tree_that_goes_on_is_none),
        cmocka_unit_test(without_the_subtrees_of_the_larger_one_nothing_is_proven),
        cmocka_unit_test(a_note_that_is_not_signed_proves_nothing),
        cmocka_unit_test(any_other_file_is_said_to_be_none),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
