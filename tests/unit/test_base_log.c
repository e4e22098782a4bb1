/* Log lines: well-formed, whole, and free of anything that came from outside. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

/* While a test runs, standard error is a socket that keeps each write apart. */
static int wire[2];
static int real_stderr;

static int capture_start(void **state)
{
    (void)state;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, wire) != 0)
        return -1;
    real_stderr = dup(STDERR_FILENO);
    return dup2(wire[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int capture_stop(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(wire[0]);
    close(wire[1]);
    return 0;
}

/* Everything one write carried, with a NUL; empty if there was none. */
static size_t take_write(char *line, size_t size)
{
    ssize_t n = recv(wire[0], line, size - 1, MSG_DONTWAIT);

    line[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

static json_t *take_line(void)
{
    char line[4096];
    size_t n = take_write(line, sizeof(line));
    json_t *object = NULL;

    assert_true(n > 0);
    assert_int_equal(line[n - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void a_line_is_one_write_of_one_object(void **state)
{
    json_t *line = NULL;
    uint64_t when = 0;
    char more[16];

    (void)state;
    log_start("keeper", LOG_INFO_);
    log_info("started");
    line = take_line();
    assert_string_equal(text_of(line, "level"), "info");
    assert_string_equal(text_of(line, "process"), "keeper");
    assert_string_equal(text_of(line, "event"), "started");
    assert_int_equal(json_object_size(line), 4);
    assert_true(time_parse(text_of(line, "time"), strlen(text_of(line, "time")), &when));
    assert_int_equal(take_write(more, sizeof(more)), 0);
    json_decref(line);
}

static void a_number_is_logged_under_its_name(void **state)
{
    static const int64_t values[] = { 0, 7, -7, INT64_MAX, INT64_MIN };

    (void)state;
    log_start("server", LOG_INFO_);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        json_t *line = NULL;

        log_number(LOG_WARN_, "queue-long", "entries", values[i]);
        line = take_line();
        assert_string_equal(text_of(line, "level"), "warn");
        assert_true(json_integer_value(json_object_get(line, "entries")) == values[i]);
        json_decref(line);
    }
}

static void a_failure_is_logged_with_code_place_reason_and_detail(void **state)
{
    struct err e = { 0 };
    json_t *line = NULL;

    (void)state;
    log_start("keeper", LOG_INFO_);
    (void)!fail(&e, CORRUPT, "sealed value does not open", 0);
    log_err(LOG_ERROR_, "unlock-failed", &e);
    line = take_line();
    assert_string_equal(text_of(line, "level"), "error");
    assert_string_equal(text_of(line, "code"), "corrupt");
    assert_string_equal(text_of(line, "where"), __func__);
    assert_string_equal(text_of(line, "why"), "sealed value does not open");
    assert_int_equal(json_integer_value(json_object_get(line, "detail")), 0);
    json_decref(line);
}

static void an_empty_failure_still_gives_a_whole_line(void **state)
{
    const struct err nothing = { 0 };
    json_t *line = NULL;

    (void)state;
    log_start("keeper", LOG_INFO_);
    log_err(LOG_ERROR_, "odd", &nothing);
    line = take_line();
    assert_string_equal(text_of(line, "code"), "ok");
    assert_string_equal(text_of(line, "where"), "");
    assert_string_equal(text_of(line, "why"), "");
    json_decref(line);
}

static void lines_below_the_level_are_dropped(void **state)
{
    char line[256];
    json_t *kept = NULL;

    (void)state;
    log_start("keeper", LOG_WARN_);
    log_info("chatter");
    log_number(LOG_DEBUG_, "chatter", "n", 1);
    assert_int_equal(take_write(line, sizeof(line)), 0);
    log_warn("matters");
    kept = take_line();
    assert_string_equal(text_of(kept, "event"), "matters");
    json_decref(kept);
}

static void quotes_and_control_characters_do_not_break_the_line(void **state)
{
    json_t *line = NULL;

    (void)state;
    log_start("keeper", LOG_INFO_);
    log_info("a \"quoted\" \\ word\nand\x01 more");
    line = take_line();
    assert_string_equal(text_of(line, "event"), "a \"quoted\" \\ wordand more");
    json_decref(line);
}

static void a_line_fits_whatever_the_literals_are(void **state)
{
    char quotes[1000];
    struct err e = { .code = BUG, .where = quotes, .why = quotes, .detail = INT64_MIN };
    json_t *line = NULL;

    (void)state;
    memset(quotes, '"', sizeof(quotes) - 1);
    quotes[sizeof(quotes) - 1] = '\0';
    log_start(quotes, LOG_INFO_);
    log_line(LOG_ERROR_, quotes, &e, quotes, INT64_MIN);
    line = take_line();
    assert_int_equal(strlen(text_of(line, "why")), 128);
    json_decref(line);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, capture_start, capture_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_is_one_write_of_one_object),
        LOG_TEST(a_number_is_logged_under_its_name),
        LOG_TEST(a_failure_is_logged_with_code_place_reason_and_detail),
        LOG_TEST(an_empty_failure_still_gives_a_whole_line),
        LOG_TEST(lines_below_the_level_are_dropped),
        LOG_TEST(quotes_and_control_characters_do_not_break_the_line),
        LOG_TEST(a_line_fits_whatever_the_literals_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
