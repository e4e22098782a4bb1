/* The face on its local socket in front of a real engine: what it refuses itself, and its end. */
#include "engine_rig.h"

#include <sys/un.h>

#include "http/http.h"

#define ROOM 65536

struct face {
    struct rig *r;
    struct http *http;
    char socket[96];
};

static struct face face_new(void)
{
    struct face f = { .r = rig_empty() };
    struct http_settings settings = {
        .region = RIG_REGION, .threads = 1, .connections = 16, .idle_s = 60
    };

    snprintf(f.socket, sizeof f.socket, "%s/api", f.r->dir);
    snprintf(settings.socket, sizeof settings.socket, "%s", f.socket);
    snprintf(settings.tls_dir, sizeof settings.tls_dir, "%s", f.r->tls);
    assert_int_equal(http_new(&settings, &f.http, NULL), OK);
    assert_int_equal(http_start_local(f.http, f.r->en, NULL), OK);
    return f;
}

static void face_free(struct face *f)
{
    engine_stop(f->r->en);
    http_free(f->http);
    engine_free(f->r->en);
    wire_client_free(f->r->client);
    f->r->en = NULL;
    rig_free(f->r);
}

static int dial(const struct face *f)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->socket);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *method, const char *path, const char *body, size_t n)
{
    char head[256];
    int length = snprintf(head, sizeof head,
                          "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          method, path, n);

    assert_int_equal(send(fd, head, (size_t)length, MSG_NOSIGNAL), length);
    while (n > 0) {
        ssize_t sent = send(fd, body, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* cut off: the answer, or its absence, says the rest */
        body += sent;
        n -= (size_t)sent;
    }
}

static char *hear(int fd)
{
    char *text = calloc(1, ROOM);
    size_t n = 0;
    ssize_t got;

    while (n < ROOM - 1 && (got = read(fd, text + n, ROOM - 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    return text;
}

static void answers(const struct face *f, const char *method, const char *path, const char *body,
                    size_t n, const char *code, const char *part)
{
    int fd = dial(f);
    char *text;

    say(fd, method, path, body, n);
    text = hear(fd);
    if (strncmp(text, "HTTP/1.1 ", 9) != 0 || strncmp(text + 9, code, 3) != 0 ||
        strstr(text, part) == NULL)
        print_error("%s %s: %.600s\n", method, path, text);
    assert_int_equal(strncmp(text + 9, code, 3), 0);
    assert_non_null(strstr(text, part));
    free(text);
}

#define ANSWERS(f, method, path, body, code, part) \
    answers((f), (method), (path), (body), strlen(body), (code), (part))

static void what_is_no_request_is_refused_by_its_own_code(void **state)
{
    struct face f = face_new();

    (void)state;
    ANSWERS(&f, "GET", "/v1/status", "", "200", "\"state\":\"empty\"");
    ANSWERS(&f, "GET", "/v1/nothing", "", "404", "not-found");
    ANSWERS(&f, "DELETE", "/v1/status", "", "405", "method-not-allowed");
    ANSWERS(&f, "POST", "/v1/init/session", "{", "400", "bad-input");
    ANSWERS(&f, "POST", "/v1/init/session", "[]", "400", "bad-input");
    ANSWERS(&f, "POST", "/v1/init/session", "{\"a\":1,\"a\":1}", "400", "bad-input");
    ANSWERS(&f, "POST", "/v1/init/session", "{\"x\":1}", "400", "not known here");
    ANSWERS(&f, "POST", "/v1/init/session", "{\"\":1}", "400", "not known here");
    ANSWERS(&f, "GET", "/v1/status?from=-1", "", "400", "bad-input");
    ANSWERS(&f, "GET", "/v1/tenants", "", "403", "denied");
    ANSWERS(&f, "POST", "/v1/init/session", "", "200", "keeper_key");
    face_free(&f);
}

static void a_body_above_64_kib_is_too_large_and_an_endless_one_is_cut_off(void **state)
{
    struct face f = face_new();
    size_t n = 8 * 1024 * 1024;
    char *body = calloc(1, n), *text;
    int fd;

    (void)state;
    memset(body, ' ', n);
    answers(&f, "POST", "/v1/init/session", body, 65537, "413", "too-large");
    answers(&f, "POST", "/v1/init/session", body, 65536, "400", "bad-input");
    memcpy(body, "{}", 2);
    answers(&f, "POST", "/v1/init/session", body, 65536, "200", "keeper_key");
    fd = dial(&f);
    say(fd, "POST", "/v1/init/session", body, n);
    text = hear(fd);
    assert_null(strstr(text, "200 OK"));
    free(text);
    free(body);
    face_free(&f);
}

static void deep_nesting_harms_nobody(void **state)
{
    struct face f = face_new();
    char *body = calloc(1, 65536);

    (void)state;
    memset(body, '[', 60000);
    answers(&f, "POST", "/v1/init/session", body, 60000, "400", "bad-input");
    ANSWERS(&f, "GET", "/v1/status", "", "200", "\"state\":\"empty\"");
    free(body);
    face_free(&f);
}

struct ending {
    struct face *f;
};

static void *stop_engine(void *context)
{
    struct ending *e = context;

    engine_stop(e->f->r->en);
    http_stop(e->f->http);
    return NULL;
}

/* SIGTERM while requests are in flight: every one of them is answered before the listener goes. */
static void requests_in_flight_are_answered_when_the_server_stops(void **state)
{
    struct face f = face_new();
    struct ending e = { .f = &f };
    int fds[8];
    pthread_t thread;

    (void)state;
    rig_hold(f.r);
    for (size_t i = 0; i < 8; i++) {
        fds[i] = dial(&f);
        say(fds[i], "GET", "/v1/status", "", 0);
    }
    usleep(100000); /* they are suspended by now */
    assert_int_equal(pthread_create(&thread, NULL, stop_engine, &e), 0);
    usleep(20000);
    rig_let_go(f.r);
    for (size_t i = 0; i < 8; i++) {
        char *text = hear(fds[i]);

        assert_non_null(strstr(text, "200 OK"));
        assert_non_null(strstr(text, "\"state\":\"empty\""));
        free(text);
    }
    pthread_join(thread, NULL);
    face_free(&f);
}

static void a_client_that_hangs_up_while_it_waits_harms_nobody(void **state)
{
    struct face f = face_new();

    (void)state;
    rig_hold(f.r);
    for (size_t i = 0; i < 8; i++) {
        int fd = dial(&f);

        say(fd, "GET", "/v1/status", "", 0);
        usleep(5000);
        close(fd);
    }
    rig_let_go(f.r);
    ANSWERS(&f, "GET", "/v1/status", "", "200", "\"state\":\"empty\"");
    face_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_request_is_refused_by_its_own_code),
        cmocka_unit_test(a_body_above_64_kib_is_too_large_and_an_endless_one_is_cut_off),
        cmocka_unit_test(deep_nesting_harms_nobody),
        cmocka_unit_test(requests_in_flight_are_answered_when_the_server_stops),
        cmocka_unit_test(a_client_that_hangs_up_while_it_waits_harms_nobody),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
