/* The command line, and that help, completion and manual agree on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/help.c"
#include "../../cli/options.c"
#include "../../cli/report.c"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX_READ 65536

static int parse(struct options *o, int argc, const char **argv)
{
    static char copies[24][64];
    static char *pointers[25];

    memset(pointers, 0, sizeof(pointers));
    for (int i = 0; i < argc; i++) {
        snprintf(copies[i], sizeof(copies[i]), "%s", argv[i]);
        pointers[i] = copies[i];
    }
    optind = 0; /* getopt starts anew */
    return options_parse(o, argc, pointers);
}
#define PARSE(o, ...)                                                       \
    parse((o), (int)COUNT(((const char *[]){ "strongroom", __VA_ARGS__ })), \
          (const char *[]){ "strongroom", __VA_ARGS__ })

static void options_and_arguments_may_come_in_any_order(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, "--json", "key", "put", "--provider", "openai", "a/b"), EXIT_DONE);
    assert_int_equal(o.argument_count, 3);
    assert_string_equal(o.argument[0], "key");
    assert_string_equal(o.argument[2], "a/b");
    assert_true(option_given(&o, OPT_JSON));
    assert_string_equal(o.value[OPT_PROVIDER], "openai");
    assert_false(option_given(&o, OPT_YES));
    assert_null(o.value[OPT_YES]);
}

static void unknown_incomplete_and_repeated_options_are_usage_errors(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, "--nonsense"), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "--provider"), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "--json=1"), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "--url", "a", "--url", "b"), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "-x"), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "a", "b", "c", "d", "e"), EXIT_USAGE);
}

static void grants_are_collected(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, "--grant", "a/b", "--grant=c/*"), EXIT_DONE);
    assert_int_equal(o.grants.count, 2);
    assert_string_equal(o.grants.value[0], "a/b");
    assert_string_equal(o.grants.value[1], "c/*");
}

static void numbers_are_bounded(void **state)
{
    struct options o;
    uint64_t value = 0;
    struct bounds bounds = { .min = 1, .max = 100, .fallback = 7 };

    (void)state;
    assert_int_equal(PARSE(&o, "x"), EXIT_DONE);
    assert_int_equal(option_number(&o, OPT_TTL, bounds, &value), EXIT_DONE);
    assert_int_equal(value, 7);
    assert_int_equal(PARSE(&o, "--ttl", "100"), EXIT_DONE);
    assert_int_equal(option_number(&o, OPT_TTL, bounds, &value), EXIT_DONE);
    assert_int_equal(value, 100);
    assert_int_equal(PARSE(&o, "--ttl", "101"), EXIT_DONE);
    assert_int_equal(option_number(&o, OPT_TTL, bounds, &value), EXIT_USAGE);
    assert_int_equal(PARSE(&o, "--ttl", "1s"), EXIT_DONE);
    assert_int_equal(option_number(&o, OPT_TTL, bounds, &value), EXIT_USAGE);
}

static void arguments_are_counted_from_the_usage_text(void **state)
{
    const struct command none = { .arguments = "" };
    const struct command two = { .arguments = "NAME TENANT/PATTERN" };
    const struct command maybe = { .arguments = "[LOG]" };
    size_t least = 9;

    (void)state;
    assert_int_equal(help_arguments(&none, &least), 0);
    assert_int_equal(least, 0);
    assert_int_equal(help_arguments(&two, &least), 2);
    assert_int_equal(least, 2);
    assert_int_equal(help_arguments(&maybe, &least), 1);
    assert_int_equal(least, 0);
}

static void text_from_elsewhere_cannot_steer_the_terminal(void **state)
{
    char escape[] = "a\033[31mred\007\177";
    char c1[] = "x\xc2\x9b"
                "31m\xc3\xa4\n";

    (void)state;
    text_tame(escape);
    assert_string_equal(escape, "a?[31mred??");
    text_tame(c1);
    assert_string_equal(c1, "x??31m\xc3\xa4?");
}

static void a_status_has_its_exit_code(void **state)
{
    static const struct {
        status code;
        enum exit_code exit;
    } pairs[] = {
        { BAD_INPUT, EXIT_USAGE },  { NO_IDENTITY, EXIT_DENIED }, { DENIED, EXIT_DENIED },
        { NOT_FOUND, EXIT_ABSENT }, { CONFLICT, EXIT_CONFLICT },  { LIMIT, EXIT_BOUND },
        { LOCKED, EXIT_LOCKED },    { CORRUPT, EXIT_OTHER },      { IO, EXIT_OTHER },
        { NO_MEMORY, EXIT_OTHER },  { BUG, EXIT_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct err e = { .code = pairs[i].code, .why = "a test" };

        assert_int_equal(report_err("test", &e), pairs[i].exit);
    }
}

static size_t read_text(const char *path, char out[static TEXT_MAX_READ])
{
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    size_t n = fread(out, 1, TEXT_MAX_READ - 1, file);

    out[n] = '\0';
    fclose(file);
    return n;
}

static void expect_in(const char *manual, const char *wanted)
{
    if (strstr(manual, wanted) == NULL)
        print_error("the manual lacks: %s\n", wanted);
    assert_non_null(strstr(manual, wanted));
}

static void the_manual_has_every_option_and_exit_code(void **state)
{
    static char manual[TEXT_MAX_READ];
    char wanted[64];

    (void)state;
    read_text(SOURCE_DIR "/docs/man/strongroom.1", manual);
    for (int i = 0; i < OPTION_COUNT; i++) {
        snprintf(wanted, sizeof(wanted), "Fl -%s", option_row((enum option_id)i)->name);
        expect_in(manual, wanted);
    }
    for (int i = 0; i < EXIT_CODE_COUNT; i++) {
        snprintf(wanted, sizeof(wanted), ".It %d\n", i);
        expect_in(manual, wanted);
    }
}

/* The completion file names every command: each must be in the manual. */
static void the_manual_has_every_command(void **state)
{
    static char manual[TEXT_MAX_READ];
    static char completion[TEXT_MAX_READ];
    char wanted[96];
    size_t count = 0;

    (void)state;
    read_text(SOURCE_DIR "/docs/man/strongroom.1", manual);
    read_text(SOURCE_DIR "/packaging/completion/strongroom", completion);
    for (char *line = completion; line != NULL; line = strchr(line, '\n')) {
        char noun[32] = "";
        char verb[32] = "";

        line += *line == '\n' ? 1 : 0;
        if (sscanf(line, "    '%31[a-z] %31[a-z]')", noun, verb) != 2)
            continue;
        snprintf(wanted, sizeof(wanted), ".It Cm %s %s", noun, verb);
        expect_in(manual, wanted);
        count++;
    }
    assert_true(count > 25);
}

/* The program stands beside the tests, if it was built. */
static void the_packaged_completion_is_what_the_program_prints(void **state)
{
    static char packaged[TEXT_MAX_READ];
    static char printed[TEXT_MAX_READ];
    char self[400];
    char command[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    (void)state;
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(command, sizeof(command), "%s/../../bin/strongroom", self);
    if (access(command, X_OK) != 0)
        skip();
    snprintf(command, sizeof(command), "%s/../../bin/strongroom completion", self);
    FILE *pipe = popen(command, "re");

    assert_non_null(pipe);
    printed[fread(printed, 1, sizeof(printed) - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
    read_text(SOURCE_DIR "/packaging/completion/strongroom", packaged);
    assert_string_equal(printed, packaged);
}

/* What is behind "--" is the command's, whatever it looks like. */
static void the_command_of_exec_is_left_as_it_is(void **state)
{
    struct options o;

    (void)state;
    assert_int_equal(PARSE(&o, "exec", "--lease", "a/b", "--as", "X", "--as", "Y", "--lease", "c/d",
                           "--as", "Z", "--", "run", "--json", "--", "--lease", "e/f"),
                     EXIT_DONE);
    assert_int_equal(o.argument_count, 1);
    assert_int_equal(o.leases.count, 2);
    assert_false(option_given(&o, OPT_JSON));
    assert_string_equal(o.command[0], "run");
    assert_string_equal(o.command[2], "--");
    assert_string_equal(o.command[4], "e/f");
    assert_null(o.command[5]);
    assert_int_equal(o.variable_lease[0], 1);
    assert_int_equal(o.variable_lease[1], 1);
    assert_int_equal(o.variable_lease[2], 2);
    assert_int_equal(PARSE(&o, "audit", "show", "vault", "--lease", "1", "--lease", "2"),
                     EXIT_USAGE);
    assert_int_equal(PARSE(&o, "tenant", "show", "--", "--odd"), EXIT_DONE);
    assert_string_equal(o.argument[2], "--odd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_may_come_in_any_order),
        cmocka_unit_test(unknown_incomplete_and_repeated_options_are_usage_errors),
        cmocka_unit_test(grants_are_collected),
        cmocka_unit_test(the_command_of_exec_is_left_as_it_is),
        cmocka_unit_test(numbers_are_bounded),
        cmocka_unit_test(arguments_are_counted_from_the_usage_text),
        cmocka_unit_test(text_from_elsewhere_cannot_steer_the_terminal),
        cmocka_unit_test(a_status_has_its_exit_code),
        cmocka_unit_test(the_manual_has_every_option_and_exit_code),
        cmocka_unit_test(the_manual_has_every_command),
        cmocka_unit_test(the_packaged_completion_is_what_the_program_prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
