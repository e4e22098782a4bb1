/* Records by filter: what fits is found, once, whichever way and in however many steps. */
#include "engine_customer.h"

static struct record_filter *filter_new(void)
{
    struct record_filter *f = calloc(1, sizeof *f);

    rig_must(f != NULL, "filter");
    f->before = INT64_MAX;
    f->until_us = UINT64_MAX;
    return f;
}

/* One request; the filter is copied. */
static struct request *ask(struct rig *r, const char *log, const struct record_filter *f,
                           uint64_t from, uint64_t limit)
{
    struct request *rq = rig_request(r, VERB_LOG_RECORDS, &r->alice, log, NULL, NULL);

    rq->filter = filter_new();
    *rq->filter = *f;
    rq->from = from;
    rq->limit = limit;
    rig_submit(r, rq);
    rig_wait(r);
    assert_int_equal(rq->outcome, OK);
    return rq;
}

static size_t count_lines(const struct request *rq)
{
    size_t count = 0;

    for (size_t i = 0; i < rq->lines_length; i++)
        count += rq->lines[i] == '\n';
    return count;
}

/* Of all pages of limit, upwards and downwards, which must agree. */
static size_t found(struct rig *r, const char *log, struct record_filter *f, uint64_t limit)
{
    size_t up = 0, down = 0;
    uint64_t at = 0, size = 1;

    f->backwards = false;
    while (at < size) {
        struct request *rq = ask(r, log, f, at, limit);

        assert_true(rq->page_end > at);
        up += count_lines(rq);
        at = rq->page_end;
        size = rq->log_size;
        request_free(rq);
    }
    f->backwards = true;
    for (at = INT64_MAX; at > 0;) {
        struct request *rq;

        f->before = at;
        rq = ask(r, log, f, 0, limit);
        assert_true(rq->page_end < at);
        down += count_lines(rq);
        at = rq->page_end;
        request_free(rq);
    }
    assert_int_equal(up, down);
    free(f);
    return up;
}

#define SET(f, member, text) snprintf((f)->member, sizeof(f)->member, "%s", (text))

/* acme with three leases of one key, one of another that was refused, and a rotation. */
static struct customer scene(struct rig *r, char token[LEASE_TOKEN_LENGTH + 1])
{
    struct customer c = customer_new(r, "acme");
    struct request *rq;

    put_key(r, &c, "spare");
    for (unsigned i = 0; i < 3; i++)
        leased(r, &c, "openai", VALUE, token);
    assert_int_equal(renew(r, &c, token), OK);
    rq = lease(r, &c, "nothing");
    assert_int_equal(rq->outcome, NOT_FOUND);
    request_free(rq);
    rq = rotate(r, &c, "openai", "sk-proj-0123456789abcdefNEXT", 0);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
    return c;
}

static void each_field_is_a_filter_and_all_of_them_must_fit(void **state)
{
    struct rig *r = rig_new();
    char token[LEASE_TOKEN_LENGTH + 1];
    struct record_filter *f;

    (void)state;
    (void)scene(r, token);
    for (uint64_t limit = 1; limit <= 500; limit += 499) {
        f = filter_new(), SET(f, type, "lease.issued");
        assert_int_equal(found(r, "acme", f, limit), 3);
        f = filter_new(), SET(f, type, "lease.");
        assert_int_equal(found(r, "acme", f, limit), 5);
        f = filter_new(), SET(f, type, "leasehold");
        assert_int_equal(found(r, "acme", f, limit), 0);
        f = filter_new(), f->has_outcome = true, f->outcome = OUTCOME_DENIED;
        assert_int_equal(found(r, "acme", f, limit), 1);
        f = filter_new(), SET(f, actor, "gateway:gw-acme");
        assert_int_equal(found(r, "acme", f, limit), 5);
        f = filter_new(), SET(f, actor, "gw-acme");
        assert_int_equal(found(r, "acme", f, limit), 5);
        f = filter_new(), SET(f, actor, "w-acme");
        assert_int_equal(found(r, "acme", f, limit), 0);
        f = filter_new(), SET(f, actor, "alice"); /* whose name is a tag there */
        assert_true(found(r, "acme", f, limit) >= 5);
        f = filter_new(), SET(f, actor, "operator:alice"), SET(f, type, "key.rotated");
        assert_int_equal(found(r, "acme", f, limit), 1);
        f = filter_new(), SET(f, actor, "admin:alice");
        assert_int_equal(found(r, "acme", f, limit), 0);
        f = filter_new(), SET(f, gateway, "gw-acme"); /* its grant too */
        assert_int_equal(found(r, "acme", f, limit), 6);
        /* put, three leases, a renewal, the rotation, and the end of the first version */
        f = filter_new(), SET(f, key, "openai");
        assert_int_equal(found(r, "acme", f, limit), 7);
        f = filter_new(), SET(f, key, "acme/openai");
        assert_int_equal(found(r, "acme", f, limit), 7);
        f = filter_new(), SET(f, key, "nothing");
        assert_int_equal(found(r, "acme", f, limit), 1);
        f = filter_new(), SET(f, key, "bolt/openai");
        assert_int_equal(found(r, "acme", f, limit), 0);
        f = filter_new(), memcpy(f->lease, token, ID_HEX_LENGTH);
        assert_int_equal(found(r, "acme", f, limit), 2);
        f = filter_new(), SET(f, actor, "gw-acme"), SET(f, type, "lease.re");
        assert_int_equal(found(r, "acme", f, limit), 2);
    }
    rig_free(r);
}

static void bounds_in_time_cut_at_the_microsecond(void **state)
{
    struct rig *r = rig_new();
    char token[LEASE_TOKEN_LENGTH + 1];
    char *lines;
    size_t size = 0;
    uint64_t times[64];

    (void)state;
    (void)scene(r, token);
    lines = trail(r, "acme");
    for (char *at = lines, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        struct record_head head;

        assert_int_equal(record_parse(span_of(at, (size_t)(end - at)), &head, NULL), OK);
        times[size++] = head.time_us;
    }
    free(lines);
    for (size_t i = 0; i < size; i++) {
        struct record_filter *since = filter_new(), *until = filter_new(), *none = filter_new();
        size_t earlier = 0;

        for (size_t k = 0; k < size; k++)
            earlier += times[k] < times[i];
        since->since_us = times[i];
        until->until_us = times[i];
        none->since_us = none->until_us = times[i];
        assert_int_equal(found(r, "acme", since, 500), size - earlier);
        assert_int_equal(found(r, "acme", until, 2), earlier);
        assert_int_equal(found(r, "acme", none, 500), 0);
    }
    rig_free(r);
}

static void a_request_looks_at_so_many_records_and_says_how_far_it_came(void **state)
{
    struct rig *r = rig_new();
    struct customer c = customer_new(r, "acme");
    struct record_filter *f = filter_new();
    struct request *asked[64], *rq;

    (void)state;
    SET(f, type, "tenant.");
    for (unsigned round = 0; round < 2100 / 60; round++) {
        for (unsigned i = 0; i < 60; i++)
            asked[i] = rig_submit(r, rig_request(r, VERB_LEASE_ISSUE, &c.gateway, NULL, NULL,
                                                 lease_body(&c, "openai")));
        rig_wait(r);
        for (unsigned i = 0; i < 60; i++)
            request_free(asked[i]);
    }
    rq = ask(r, "acme", f, 0, 10);
    assert_int_equal(count_lines(rq), 1);
    assert_int_equal(rq->page_end, 2000);
    assert_true(rq->log_size > 2100);
    request_free(rq);
    f->backwards = true;
    rq = ask(r, "acme", f, 0, 10);
    assert_int_equal(rq->lines_length, 0);
    assert_true(rq->page_end > 100 && rq->page_end < 200);
    request_free(rq);
    assert_int_equal(found(r, "acme", f, 10), 1);
    rig_free(r);
}

static void beyond_the_end_there_is_nothing_and_nothing_goes_back(void **state)
{
    struct rig *r = rig_new();
    struct record_filter *f = filter_new();
    struct request *rq;

    (void)state;
    (void)customer_new(r, "acme");
    SET(f, type, "key.");
    rq = ask(r, "acme", f, 1000000, 10);
    assert_int_equal(rq->lines_length, 0);
    assert_int_equal(rq->page_end, 1000000);
    request_free(rq);
    free(f);
    rig_free(r);
}

/* It would with every record that wakes it. */
static void who_waits_with_a_filter_looks_at_no_record_twice(void **state)
{
    struct rig *r = rig_new();
    struct record_filter *f = filter_new();
    char token[LEASE_TOKEN_LENGTH + 1];
    struct request *rq;

    (void)state;
    (void)scene(r, token);
    SET(f, type, "vault.created");
    rq = ask(r, "acme", f, 0, 10);
    assert_int_equal(count_lines(rq), 0);
    assert_true(rq->log_size > 0);
    assert_int_equal(rq->from, rq->log_size);
    request_free(rq);
    free(f);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_is_a_filter_and_all_of_them_must_fit),
        cmocka_unit_test(bounds_in_time_cut_at_the_microsecond),
        cmocka_unit_test(a_request_looks_at_so_many_records_and_says_how_far_it_came),
        cmocka_unit_test(beyond_the_end_there_is_nothing_and_nothing_goes_back),
        cmocka_unit_test(who_waits_with_a_filter_looks_at_no_record_twice),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
