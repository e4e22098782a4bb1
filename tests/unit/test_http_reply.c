/* From an answered request to bytes on the wire: status codes, problems, values, lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/internal.h"

#define ROOM 262144

static struct http http = { .settings = { .region = "eu" } };

/* A daemon that answers whatever it is asked with one given exchange. */
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_size, void **state)
{
    struct exchange *x = context;

    (void)url;
    (void)method;
    (void)version;
    (void)data;
    if (*state == NULL) {
        *state = x;
        return MHD_YES;
    }
    *data_size = 0;
    x->connection = connection;
    return reply_send(x);
}

/* The whole response as text, "" if the connection was closed without one. */
static char *fetch(struct request *rq, unsigned http_code, const char *title, size_t *ret_n)
{
    static const char get[] = "GET / HTTP/1.0\r\n\r\n";
    struct exchange x = { .http = &http, .rq = rq, .status = http_code, .title = title };
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct MHD_Daemon *daemon;
    char *text = calloc(1, ROOM);
    size_t n = 0;
    ssize_t got;

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/strongroom-reply-%d", (int)getpid());
    unlink(address.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, &x,
                              MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_END);
    assert_non_null(daemon);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(client, get, sizeof get - 1), sizeof get - 1);
    while (n < ROOM - 1 && (got = read(client, text + n, ROOM - 1 - n)) > 0)
        n += (size_t)got;
    close(client);
    MHD_stop_daemon(daemon);
    unlink(address.sun_path);
    if (ret_n != NULL)
        *ret_n = n;
    return text;
}

static const char *body_of(const char *response)
{
    const char *end = strstr(response, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

static unsigned code_of(const char *response)
{
    unsigned code = 0;

    assert_int_equal(sscanf(response, "HTTP/1.%*d %u", &code), 1);
    return code;
}

static struct request *refused(status outcome, const char *why)
{
    struct request *rq = request_new();

    assert_non_null(rq);
    rq->outcome = err_note(&rq->err, outcome, "test", why, 0);
    return rq;
}

static void problem_is(struct request *rq, unsigned http_code, const char *title, unsigned code,
                       const char *wanted_title, const char *wanted_detail)
{
    char *response = fetch(rq, http_code, title, NULL);
    json_t *problem = json_loads(body_of(response), 0, NULL);

    assert_int_equal(code_of(response), code);
    assert_non_null(strstr(response, "Content-Type: application/problem+json\r\n"));
    assert_non_null(problem);
    assert_int_equal(json_object_size(problem), 5);
    assert_string_equal(json_string_value(json_object_get(problem, "title")), wanted_title);
    assert_string_equal(json_string_value(json_object_get(problem, "detail")), wanted_detail);
    assert_string_equal(json_string_value(json_object_get(problem, "request_id")), rq->id);
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), code);
    json_decref(problem);
    free(response);
    request_free(rq);
}

static void every_status_is_the_code_and_title_that_are_documented(void **state)
{
    static const struct {
        status st;
        unsigned code;
        const char *title;
    } rows[] = {
        { BAD_INPUT, 400, "bad-input" }, { NO_IDENTITY, 401, "no-identity" },
        { DENIED, 403, "denied" },       { NOT_FOUND, 404, "not-found" },
        { CONFLICT, 409, "conflict" },   { LIMIT, 429, "limit" },
        { LOCKED, 503, "locked" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        problem_is(refused(rows[i].st, "so it is"), 0, NULL, rows[i].code, rows[i].title,
                   "so it is");
}

static void trouble_of_ours_is_500_and_does_not_tell_why(void **state)
{
    static const status ours[] = { CORRUPT, IO, NO_MEMORY, BUG };

    (void)state;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        problem_is(refused(ours[i], "page 7 of the database is damaged"), 0, NULL, 500, "internal",
                   "the request could not be carried out");
}

static void region_and_storage_have_codes_of_their_own(void **state)
{
    struct request *rq = refused(DENIED, "elsewhere");

    (void)state;
    rq->problem = PROBLEM_WRONG_REGION;
    problem_is(rq, 0, NULL, 421, "wrong-region", "elsewhere");
    rq = refused(LIMIT, "full");
    rq->problem = PROBLEM_STORAGE;
    problem_is(rq, 0, NULL, 507, "storage", "full");
}

static void what_the_face_found_wrong_keeps_its_code_unless_nobody_asked(void **state)
{
    (void)state;
    problem_is(refused(BAD_INPUT, "x"), 405, "method-not-allowed", 405, "method-not-allowed", "x");
    problem_is(refused(LIMIT, "x"), 413, "too-large", 413, "too-large", "x");
    problem_is(refused(NO_IDENTITY, "x"), 404, "not-found", 401, "no-identity", "x");
}

static void a_reply_is_json_with_the_request_id_and_the_region(void **state)
{
    struct request *rq = request_new();
    char *response, header[80];

    (void)state;
    rq->reply = json_pack("{s:s}", "name", "acme");
    response = fetch(rq, 0, NULL, NULL);
    assert_int_equal(code_of(response), 200);
    assert_string_equal(body_of(response), "{\"name\":\"acme\"}");
    snprintf(header, sizeof header, "Strongroom-Request-Id: %s\r\n", rq->id);
    assert_non_null(strstr(response, header));
    assert_non_null(strstr(response, "Strongroom-Region: eu\r\n"));
    assert_non_null(strstr(response, "Cache-Control: no-store\r\n"));
    assert_null(strstr(response, "Strongroom-Log-Size"));
    free(response);
    rq->created = true;
    response = fetch(rq, 0, NULL, NULL);
    assert_int_equal(code_of(response), 201);
    free(response);
    request_free(rq);
}

static void value_reads_back(struct span value)
{
    struct request *rq = request_new();
    size_t before = secret_in_use(), n;
    char *response;
    const json_t *read;
    json_t *reply;

    rq->reply = json_pack("{s:s}", "lease", "token");
    rq->created = true;
    assert_int_equal(secret_copy(value, &rq->value, NULL), OK);
    response = fetch(rq, 0, NULL, &n);
    assert_int_equal(code_of(response), 201);
    reply = json_loads(body_of(response), 0, NULL);
    assert_non_null(reply);
    assert_int_equal(json_object_size(reply), 2);
    read = json_object_get(reply, "value");
    assert_int_equal(json_string_length(read), value.n);
    assert_memory_equal(json_string_value(read), value.p, value.n);
    json_decref(reply);
    free(response);
    request_free(rq);
    assert_int_equal(secret_in_use(), before); /* the reply's copy is gone with the response */
}

static void a_value_reads_back_as_it_was_whatever_is_in_it(void **state)
{
    static const char *const values[] = {
        "sk-plain",
        "\"",
        "\\",
        "\"\\\"\\",
        "\\u0041",
        "a\"}b",
        "</script>",
        "\x7f",
        "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
        "ends with a backslash\\",
    };
    uint8_t control[32];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        value_reads_back(span_text(values[i]));
    for (uint8_t c = 1; c < 32; c++)
        control[c - 1] = c;
    value_reads_back(span_of(control, 31));
}

static void the_longest_value_of_only_control_bytes_reads_back(void **state)
{
    static uint8_t value[LIMIT_PROVIDER_KEY];

    (void)state;
    memset(value, 0x1b, sizeof value);
    value_reads_back(SPAN(value));
}

static void without_room_for_a_value_the_connection_is_closed(void **state)
{
    struct secret *held[64];
    struct request *rq = request_new();
    size_t count = 0, n;
    char *response;

    (void)state;
    rq->reply = json_pack("{s:s}", "lease", "token");
    assert_int_equal(secret_copy(span_text("sk-secret"), &rq->value, NULL), OK);
    for (size_t size = (size_t)1 << 20; size >= 8; size /= 2) {
        while (count < 64 && secret_new(size, &held[count], NULL) == OK)
            count++;
    }
    response = fetch(rq, 0, NULL, &n);
    assert_int_equal(n, 0);
    free(response);
    while (count > 0)
        secret_free(held[--count]);
    response = fetch(rq, 0, NULL, &n);
    assert_int_equal(code_of(response), 200);
    free(response);
    request_free(rq);
}

static void lines_are_sent_byte_for_byte_with_the_size_of_their_log(void **state)
{
    static const char lines[] = "{\"v\":1}\n{\"v\":1,\"x\":\"\\u00e9\"}\n";
    struct request *rq = request_new();
    char *response;

    (void)state;
    rq->lines = strdup(lines);
    rq->lines_length = sizeof lines - 1;
    rq->log_size = 42;
    response = fetch(rq, 0, NULL, NULL);
    assert_int_equal(code_of(response), 200);
    assert_non_null(strstr(response, "Content-Type: application/x-ndjson\r\n"));
    assert_non_null(strstr(response, "Strongroom-Log-Size: 42\r\n"));
    assert_string_equal(body_of(response), lines);
    assert_null(rq->lines);
    free(response);
    request_free(rq);
}

static int start(void **state)
{
    (void)state;
    return secret_start((size_t)4 << 20, NULL) == OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_the_code_and_title_that_are_documented),
        cmocka_unit_test(trouble_of_ours_is_500_and_does_not_tell_why),
        cmocka_unit_test(region_and_storage_have_codes_of_their_own),
        cmocka_unit_test(what_the_face_found_wrong_keeps_its_code_unless_nobody_asked),
        cmocka_unit_test(a_reply_is_json_with_the_request_id_and_the_region),
        cmocka_unit_test(a_value_reads_back_as_it_was_whatever_is_in_it),
        cmocka_unit_test(the_longest_value_of_only_control_bytes_reads_back),
        cmocka_unit_test(without_room_for_a_value_the_connection_is_closed),
        cmocka_unit_test(lines_are_sent_byte_for_byte_with_the_size_of_their_log),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
