/* The two ends of the socketpair: client against a scripted peer, and against a real keeper. */
#include "keeper_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "wire/client.h"

struct pair {
    struct wire_client *client;
    int peer;
};

static struct pair pair_new(void)
{
    struct pair p = { 0 };
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(wire_client_new(fds[0], &p.client, NULL), OK);
    p.peer = fds[1];
    return p;
}

static void pair_free(struct pair *p)
{
    wire_client_free(p->client);
    close(p->peer);
}

static void answer(const struct pair *p, const struct wire_header *h, const char *text)
{
    uint8_t frame[256];
    struct out o;

    out_init(&o, frame, sizeof(frame));
    wire_put_header(&o, h);
    if (text != NULL)
        out_span16(&o, span_text(text));
    wire_finish(&o);
    assert_int_equal(send(p->peer, o.p, o.n, 0), (ssize_t)o.n);
}

/* What the client is about to send, so that a reply can wait for it. */
static uint64_t number_of(const struct out *request)
{
    struct in i = in_of(span_of(request->p + 8, 8));
    return in_u64(&i);
}

static void a_reply_reaches_the_caller(void **state)
{
    struct pair p = pair_new();
    struct in body;

    (void)state;
    uint64_t number = number_of(wire_client_begin(p.client, WIRE_LOCK));
    answer(&p, &(struct wire_header){ .op = WIRE_LOCK, .number = number }, "hello");
    assert_int_equal(wire_client_call(p.client, &body, NULL), OK);
    assert_true(span_same(in_span16(&body), span_text("hello")));
    assert_true(in_end(&body));
    pair_free(&p);
}

static void replies_to_a_dead_server_are_dropped(void **state)
{
    struct pair p = pair_new();
    struct in body;

    (void)state;
    uint64_t number = number_of(wire_client_begin(p.client, WIRE_LOCK));
    answer(&p, &(struct wire_header){ .op = WIRE_BATCH, .number = number - 1 }, "stale");
    answer(&p, &(struct wire_header){ .op = WIRE_LOCK, .number = number + 1 }, "stale");
    answer(&p, &(struct wire_header){ .op = WIRE_LOCK, .number = number }, "fresh");
    assert_int_equal(wire_client_call(p.client, &body, NULL), OK);
    assert_true(span_same(in_span16(&body), span_text("fresh")));
    pair_free(&p);
}

static void a_refusal_keeps_its_code_and_its_reason(void **state)
{
    struct pair p = pair_new();
    struct err e = { 0 };
    struct in body;

    (void)state;
    uint64_t number = number_of(wire_client_begin(p.client, WIRE_BATCH));
    answer(&p, &(struct wire_header){ .op = WIRE_BATCH, .status = LIMIT, .number = number },
           "too much");
    assert_int_equal(wire_client_call(p.client, &body, &e), LIMIT);
    assert_string_equal(e.why, "the keeper refused");
    assert_true(span_same(span_of(body.p, body.n), span_text("too much")));
    pair_free(&p);
}

static void a_keeper_that_is_gone_or_mad_is_an_io_error(void **state)
{
    struct pair p = pair_new();
    struct in body;

    (void)state;
    uint64_t number = number_of(wire_client_begin(p.client, WIRE_BATCH));
    answer(&p, &(struct wire_header){ .op = WIRE_LOCK, .number = number }, NULL);
    assert_int_equal(wire_client_call(p.client, &body, NULL), IO);
    wire_client_begin(p.client, WIRE_BATCH);
    assert_int_equal(send(p.peer, "garbage", 7, 0), 7);
    assert_int_equal(wire_client_call(p.client, &body, NULL), IO);
    shutdown(p.peer, SHUT_RDWR);
    wire_client_begin(p.client, WIRE_BATCH);
    assert_int_equal(wire_client_call(p.client, &body, NULL), IO);
    pair_free(&p);
}

/* The next frame as the peer gets it: its number, and its body. */
static struct span take(const struct pair *p, uint64_t *ret_number)
{
    static uint8_t frame[256];
    struct wire_header h;
    ssize_t n = recv(p->peer, frame, sizeof(frame), MSG_DONTWAIT);
    struct in i = in_of(span_of(frame, n > 0 ? (size_t)n : 0));

    wire_get_header(&i, &h);
    assert_false(i.bad);
    *ret_number = h.number;
    return span_of(i.p, i.n);
}

static void the_next_request_may_be_begun_while_a_reply_is_awaited(void **state)
{
    struct pair p = pair_new();
    uint64_t first, second;
    struct in body;

    (void)state;
    out_text(wire_client_begin(p.client, WIRE_BATCH), "the first");
    assert_int_equal(wire_client_send(p.client, NULL), OK);
    assert_true(span_same(take(&p, &first), span_text("the first")));
    struct out *o = wire_client_begin(p.client, WIRE_BATCH);
    out_text(o, "the ");
    answer(&p, &(struct wire_header){ .op = WIRE_BATCH, .number = first }, "to the first");
    assert_int_equal(wire_client_receive(p.client, &body, NULL), OK);
    out_text(o, "second"); /* beside the views of the reply */
    assert_true(span_same(in_span16(&body), span_text("to the first")));
    wire_client_wipe(p.client);
    assert_int_equal(wire_client_send(p.client, NULL), OK);
    assert_true(span_same(take(&p, &second), span_text("the second")));
    assert_int_not_equal(first, second);
    answer(&p, &(struct wire_header){ .op = WIRE_BATCH, .number = second }, "to the second");
    assert_int_equal(wire_client_receive(p.client, &body, NULL), OK);
    assert_true(span_same(in_span16(&body), span_text("to the second")));
    pair_free(&p);
}

/* However many were begun since. */
static void a_reply_is_known_by_the_request_that_was_sent(void **state)
{
    struct pair p = pair_new();
    uint64_t number;
    struct in body;

    (void)state;
    wire_client_begin(p.client, WIRE_LOCK);
    assert_int_equal(wire_client_send(p.client, NULL), OK);
    take(&p, &number);
    uint64_t next = number_of(wire_client_begin(p.client, WIRE_BATCH));
    answer(&p, &(struct wire_header){ .op = WIRE_BATCH, .number = next }, "made up");
    answer(&p, &(struct wire_header){ .op = WIRE_LOCK, .number = number }, "right");
    assert_int_equal(wire_client_receive(p.client, &body, NULL), OK);
    assert_true(span_same(in_span16(&body), span_text("right")));
    pair_free(&p);
}

static void a_request_is_wiped_when_it_was_sent(void **state)
{
    struct pair p = pair_new();
    uint64_t number;

    (void)state;
    struct out *o = wire_client_begin(p.client, WIRE_BATCH);
    const uint8_t *at = o->p;
    out_text(o, "a lease's token");
    size_t n = o->n;
    assert_int_equal(wire_client_send(p.client, NULL), OK);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(at[i], 0);
    assert_true(span_same(take(&p, &number), span_text("a lease's token")));
    /* And one that was not. */
    out_text(wire_client_begin(p.client, WIRE_BATCH), "a lease's token");
    wire_client_begin(p.client, WIRE_HELLO);
    for (size_t i = WIRE_HEADER; i < n; i++)
        assert_int_equal(at[i], 0);
    pair_free(&p);
}

static void a_request_that_is_too_long_is_not_sent(void **state)
{
    struct pair p = pair_new();
    struct in body;
    uint8_t byte;

    (void)state;
    struct out *o = wire_client_begin(p.client, WIRE_BATCH);
    while (!o->overflow)
        out_u64(o, 0);
    assert_int_equal(wire_client_call(p.client, &body, NULL), LIMIT);
    assert_int_equal(recv(p.peer, &byte, 1, MSG_DONTWAIT), -1);
    pair_free(&p);
}

/* --- against a keeper ------------------------------------------------------------------------ */

struct service {
    struct rig *rig;
    int fd;
    volatile sig_atomic_t stop;
    status st;
};

static void *serve(void *context)
{
    struct service *s = context;

    s->st = keeper_serve(s->rig->k, s->fd, NULL);
    return NULL;
}

static void the_longest_frames_pass_both_ways(void **state)
{
    struct service s = { .rig = rig_new() };
    struct wire_client *client = NULL;
    struct wire_hello hello;
    pthread_t thread;
    struct in body;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(wire_client_new(fds[0], &client, NULL), OK);
    s.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);

    struct out *o = wire_client_begin(client, WIRE_HELLO);
    while (o->n < LIMIT_FRAME)
        out_u8(o, 0);
    assert_int_equal(wire_client_call(client, &body, NULL), BAD_INPUT);
    wire_client_begin(client, WIRE_HELLO);
    assert_int_equal(wire_client_call(client, &body, NULL), OK);
    wire_get_hello(&body, &hello);
    assert_true(in_end(&body));
    assert_int_equal(hello.state, KEEPER_EMPTY);
    wire_client_free(client);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.st, OK);
    close(fds[1]);
    rig_free(s.rig);
}

/* The frames of a real keeper lie in the slab that a lock wipes. */
static void a_lock_is_answered_although_it_wipes_the_frames(void **state)
{
    struct service s = { .rig = rig_new() };
    struct wire_client *client = NULL;
    pthread_t thread;
    struct in body;
    int fds[2];

    (void)state;
    rig_init(s.rig);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(wire_client_new(fds[0], &client, NULL), OK);
    s.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
    wire_client_begin(client, WIRE_LOCK);
    assert_int_equal(wire_client_call(client, &body, NULL), OK);
    assert_true(in_end(&body));
    wire_client_begin(client, WIRE_SYSTEM_KEYS);
    assert_int_equal(wire_client_call(client, &body, NULL), LOCKED);
    wire_client_free(client);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fds[1]);
    rig_free(s.rig);
}

static void an_overlong_frame_is_refused_whatever_it_claims(void **state)
{
    struct service s = { .rig = rig_new() };
    static uint8_t frame[LIMIT_FRAME + 64];
    struct wire_header h;
    pthread_t thread;
    struct out o;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    s.fd = fds[1];
    assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
    out_init(&o, frame, sizeof(frame));
    wire_put_header(&o,
                    &(struct wire_header){ .length = LIMIT_FRAME, .op = WIRE_HELLO, .number = 5 });
    assert_int_equal(send(fds[0], frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
    ssize_t n = recv(fds[0], frame, sizeof(frame), 0);
    assert_true(n > WIRE_HEADER);
    struct in in = in_of(span_of(frame, (size_t)n));
    wire_get_header(&in, &h);
    assert_int_equal(h.status, BAD_INPUT);
    assert_int_equal(h.number, 5);
    assert_true(span_same(in_span16(&in), span_text("malformed frame")));
    close(fds[0]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fds[1]);
    rig_free(s.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_reaches_the_caller),
        cmocka_unit_test(replies_to_a_dead_server_are_dropped),
        cmocka_unit_test(a_refusal_keeps_its_code_and_its_reason),
        cmocka_unit_test(a_keeper_that_is_gone_or_mad_is_an_io_error),
        cmocka_unit_test(the_next_request_may_be_begun_while_a_reply_is_awaited),
        cmocka_unit_test(a_reply_is_known_by_the_request_that_was_sent),
        cmocka_unit_test(a_request_is_wiped_when_it_was_sent),
        cmocka_unit_test(a_request_that_is_too_long_is_not_sent),
        cmocka_unit_test(the_longest_frames_pass_both_ways),
        cmocka_unit_test(a_lock_is_answered_although_it_wipes_the_frames),
        cmocka_unit_test(an_overlong_frame_is_refused_whatever_it_claims),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
