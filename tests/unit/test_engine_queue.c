/* Whose turn it is: a client that sends much waits behind itself. */
#include "engine_customer.h"

#include "engine/queue.h"

#define FLOOD 300

/* --- the queue alone ------------------------------------------------------------------------- */

static struct request *of(uint8_t client, uint64_t number)
{
    struct request *rq = request_new();

    rig_must(rq != NULL, "request");
    rq->peer.role = ROLE_GATEWAY;
    memset(rq->peer.spki, client, sizeof rq->peer.spki);
    rq->from = number;
    return rq;
}

static void add(struct queue *q, uint8_t client, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        queue_add(q, of(client, i));
}

/* Clients and numbers of a list, such as "a0 b0 a1 ". Frees it. */
static const char *said(struct request *list)
{
    static char text[4096];
    size_t n = 0;

    text[0] = '\0';
    while (list != NULL) {
        struct request *rq = list;

        list = rq->next;
        n += (size_t)snprintf(text + n, sizeof text - n, "%c%llu%s ", rq->peer.spki[0],
                              (unsigned long long)rq->from, rq->crowded ? "!" : "");
        request_free(rq);
    }
    return text;
}

static struct queue *queue_of(size_t per_client)
{
    struct queue *q = NULL;

    rig_must(queue_new(per_client, &q, NULL) == OK, "queue");
    return q;
}

static void clients_are_served_in_turn_and_each_in_its_order(void **state)
{
    struct queue *q = queue_of(0);

    (void)state;
    add(q, 'a', 4);
    add(q, 'b', 2);
    add(q, 'c', 1);
    assert_int_equal(queue_size(q), 7);
    assert_int_equal(queue_clients(q), 3);
    assert_string_equal(said(queue_take(q, 100)), "a0 b0 c0 a1 b1 a2 a3 ");
    assert_null(queue_take(q, 100));
    assert_int_equal(queue_size(q) + queue_clients(q), 0);
    queue_free(q);
}

static void the_turn_goes_on_where_it_was(void **state)
{
    struct queue *q = queue_of(0);

    (void)state;
    add(q, 'a', 4);
    add(q, 'b', 4);
    assert_string_equal(said(queue_take(q, 3)), "a0 b0 a1 ");
    add(q, 'c', 1);
    assert_string_equal(said(queue_take(q, 3)), "b1 a2 c0 ");
    assert_string_equal(said(queue_take(q, 9)), "b2 a3 b3 ");
    queue_free(q);
}

static void what_is_given_back_comes_first_and_in_its_order(void **state)
{
    struct queue *q = queue_of(0);
    struct request *list, *rest;

    (void)state;
    add(q, 'a', 4);
    add(q, 'b', 3);
    list = queue_take(q, 5); /* a0 b0 a1 b1 a2 */
    rest = list->next;
    list->next = NULL;
    assert_string_equal(said(list), "a0 ");
    add(q, 'c', 1);
    queue_return(q, rest);
    assert_int_equal(queue_size(q), 7);
    assert_string_equal(said(queue_take(q, 9)), "b0 a1 c0 b1 a2 b2 a3 ");
    queue_free(q);
}

static void what_is_given_back_of_a_client_that_has_nothing_else_has_its_turn(void **state)
{
    struct queue *q = queue_of(0);

    (void)state;
    add(q, 'a', 2);
    queue_return(q, queue_take(q, 9));
    assert_int_equal(queue_clients(q), 1);
    assert_string_equal(said(queue_take(q, 9)), "a0 a1 ");
    queue_free(q);
}

static void more_than_a_client_may_have_is_taken_to_be_refused_and_nobody_elses_is(void **state)
{
    struct queue *q = queue_of(3);

    (void)state;
    add(q, 'a', 5);
    add(q, 'b', 1);
    assert_int_equal(queue_size(q), 4);
    assert_string_equal(said(queue_take(q, 8)), "a3! a4! a0 b0 a1 a2 ");
    queue_free(q);
}

static void refusals_leave_room_for_those_who_are_not_refused(void **state)
{
    struct queue *q = queue_of(1);
    struct request *list;

    (void)state;
    add(q, 'a', 9);
    add(q, 'b', 1);
    list = queue_take(q, 4);
    queue_return(q, list);
    assert_string_equal(said(queue_take(q, 4)), "a1! a2! a0 b0 ");
    assert_string_equal(said(queue_take(q, 4)), "a3! a4! ");
    (void)said(queue_take(q, 100));
    queue_free(q);
}

static void who_waited_for_a_record_always_has_room_again(void **state)
{
    struct queue *q = queue_of(1);
    struct request *back = of('a', 7);

    (void)state;
    add(q, 'a', 1);
    back->wait_until = 1;
    queue_add(q, back);
    assert_string_equal(said(queue_take(q, 9)), "a0 a7 ");
    queue_free(q);
}

static void those_without_a_certificate_are_one_client_and_the_local_socket_is_another(void **state)
{
    struct queue *q = queue_of(2);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        struct request *rq = of((uint8_t)('a' + i), i);

        rq->peer.role = i < 3 ? ROLE_NONE : i < 5 ? ROLE_LOCAL : ROLE_GATEWAY;
        queue_add(q, rq);
    }
    assert_int_equal(queue_clients(q), 3);
    assert_string_equal(said(queue_take(q, 9)), "c2! a0 d3 f5 b1 e4 ");
    queue_free(q);
}

static void a_token_is_of_the_address_that_it_comes_from(void **state)
{
    struct queue *q = queue_of(0);

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct request *rq = of('a', i);

        rq->peer.role = ROLE_NONE;
        rq->face.on = true;
        rq->face.address[15] = i < 3 ? 1 : 2;
        rq->face.token[0] = (uint8_t)i;
        queue_add(q, rq);
    }
    assert_int_equal(queue_clients(q), 2);
    assert_string_equal(said(queue_take(q, 9)), "a0 a3 a1 a2 ");
    queue_free(q);
}

/* --- in the engine --------------------------------------------------------------------------- */

/* In which order answers came. */
static unsigned answers;

static void number_answer(struct request *rq)
{
    rq->page_end = ++answers;
    rig_done(rq);
}

static struct request *numbered(struct rig *r, const struct customer *c)
{
    struct request *rq =
        rig_request(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, "openai"));

    rq->done = number_answer;
    return rig_submit(r, rq);
}

static void a_gateway_is_answered_at_once_however_many_another_one_has_waiting(void **state)
{
    struct rig *r = rig_new();
    struct customer busy = customer_new(r, "busy"), calm = customer_new(r, "calm");
    struct request *flood[FLOOD], *few[3];

    (void)state;
    answers = 0;
    rig_hold(r);
    for (size_t i = 0; i < FLOOD; i++)
        flood[i] = numbered(r, &busy);
    for (size_t i = 0; i < 3; i++)
        few[i] = numbered(r, &calm);
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(few[i]->outcome, OK);
        assert_int_equal(few[i]->page_end, 2 * i + 2); /* every second answer */
        request_free(few[i]);
    }
    for (size_t i = 0; i < FLOOD; i++) {
        assert_int_equal(flood[i]->outcome, OK);
        request_free(flood[i]);
    }
    rig_free(r);
}

/* Changes are alone at the end of their batch: a client that sends only those must not put a batch
 * of each in front of what others ask. */
static void many_changes_of_one_do_not_stand_before_the_leases_of_others(void **state)
{
    struct rig *r = rig_new();
    struct customer calm = customer_new(r, "calm");
    struct request *changes[40], *few[3];

    (void)state;
    answers = 0;
    rig_hold(r);
    for (size_t i = 0; i < 40; i++) {
        char name[32];

        snprintf(name, sizeof name, "tenant-%zu", i);
        changes[i] = rig_request(r, VERB_TENANT_CREATE, &r->alice, NULL, NULL,
                                 json_pack("{s:s}", "name", name));
        changes[i]->done = number_answer;
        rig_submit(r, changes[i]);
    }
    for (size_t i = 0; i < 3; i++)
        few[i] = numbered(r, &calm);
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(few[i]->outcome, OK);
        assert_true(few[i]->page_end <= 2 * i + 2);
        request_free(few[i]);
    }
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(changes[i]->outcome, OK);
        request_free(changes[i]);
    }
    rig_free(r);
}

/* While a flood is being answered, somebody asks one thing after the other. */
struct asker {
    struct rig *r;
    const struct customer *calm;
    unsigned left, worst, asked_at;
};

static void one_more(struct request *rq)
{
    struct asker *a = rq->context;
    struct rig *r = a->r;

    answers++;
    if (a->asked_at > 0 && answers - a->asked_at > a->worst)
        a->worst = answers - a->asked_at;
    rig_must(rq->outcome == OK, "a lease of the calm one");
    a->asked_at = answers;
    request_free(rq);
    if (a->left-- > 1) {
        rq = rig_request(r, VERB_LEASE_ISSUE, &a->calm->gateway, NULL, NULL,
                         lease_body(a->calm, "openai"));
        rq->context = a;
        rq->done = one_more;
        engine_submit(r->en, rq);
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->waiting--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void who_asks_again_and_again_is_in_every_batch_of_a_flood(void **state)
{
    struct rig *r = rig_new();
    struct customer busy = customer_new(r, "busy"), calm = customer_new(r, "calm");
    struct asker asker = { .r = r, .calm = &calm, .left = 5 };
    struct request *flood[FLOOD], *first;

    (void)state;
    answers = 0;
    first =
        rig_request(r, VERB_LEASE_ISSUE, &calm.gateway, NULL, NULL, lease_body(&calm, "openai"));
    first->context = &asker;
    first->done = one_more;
    rig_hold(r);
    for (size_t i = 0; i < FLOOD; i++)
        flood[i] = numbered(r, &busy);
    pthread_mutex_lock(&r->lock);
    r->waiting++;
    pthread_mutex_unlock(&r->lock);
    engine_submit(r->en, first);
    rig_let_go(r);
    rig_wait(r);
    /* The next one was asked while a batch was answered, and another may have been decided then: it
     * is in the one after that. */
    assert_true(asker.worst > 0 && asker.worst <= 2 * LIMIT_BATCH_ENTRIES + 16);
    for (size_t i = 0; i < FLOOD; i++)
        request_free(flood[i]);
    rig_free(r);
}

static void a_full_queue_refuses_with_a_time_to_ask_again_and_counts_it_in_the_trail(void **state)
{
    struct rig *r = rig_empty();
    struct customer busy, calm;
    struct request *flood[60], *other;
    unsigned refused = 0;

    (void)state;
    rig_stop_engine(r);
    r->settings.queue_per_client = 30;
    rig_start_engine(r);
    rig_init(r);
    busy = customer_new(r, "busy");
    calm = customer_new(r, "calm");
    rig_hold(r);
    for (size_t i = 0; i < 60; i++)
        flood[i] = numbered(r, &busy);
    other = numbered(r, &calm);
    rig_let_go(r);
    rig_wait(r);
    assert_int_equal(other->outcome, OK);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(flood[i]->outcome, i < 30 ? OK : LIMIT);
        assert_int_equal(flood[i]->retry_after_s, i < 30 ? 0 : 1);
        refused += flood[i]->outcome == LIMIT;
        request_free(flood[i]);
    }
    assert_int_equal(refused, 30);
    assert_int_equal(recorded(r, "vault", "too many requests of this client"), 20);
    rig_stop_engine(r); /* writes what was only counted */
    rig_start_engine(r);
    assert_int_equal(recorded(r, "vault", "\"count\":10"), 1);
    request_free(other);
    rig_free(r);
}

/* --- rates ----------------------------------------------------------------------------------- */

static struct rig *rated(uint64_t gateway_rate, uint64_t tenant_rate)
{
    struct rig *r = rig_empty();

    rig_stop_engine(r);
    r->settings.gateway_rate = gateway_rate;
    r->settings.tenant_rate = tenant_rate;
    rig_start_engine(r);
    rig_init(r);
    return r;
}

static bool leases_again(struct rig *r, const void *context)
{
    const struct customer *c = context;

    return rig_try(r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, lease_body(c, "openai")) == OK;
}

/* How many of 8 that are queued together are granted. */
static unsigned granted_of_eight(struct rig *r, const struct customer *c)
{
    struct request *rq[8];
    unsigned granted = 0;

    rig_hold(r);
    for (size_t i = 0; i < 8; i++)
        rq[i] = numbered(r, c);
    rig_let_go(r);
    rig_wait(r);
    for (size_t i = 0; i < 8; i++) {
        granted += rq[i]->outcome == OK;
        assert_true(rq[i]->outcome == OK || rq[i]->outcome == LIMIT);
        assert_int_equal(rq[i]->retry_after_s, rq[i]->outcome == OK ? 0 : 1);
        request_free(rq[i]);
    }
    return granted;
}

static void a_gateway_has_a_second_of_its_rate_at_once_and_then_waits(void **state)
{
    struct rig *r = rated(2, 0);
    struct customer c = customer_new(r, "acme"), other = customer_new(r, "bolt");

    (void)state;
    assert_int_equal(granted_of_eight(r, &c), 2);
    assert_int_equal(
        rig_try(r, VERB_LEASE_ISSUE, &other.gateway, NULL, NULL, lease_body(&other, "openai")), OK);
    assert_true(soon(leases_again, r, &c));
    rig_free(r);
}

static void a_tenant_has_its_rate_over_all_its_gateways(void **state)
{
    struct rig *r = rated(0, 2);
    struct customer c = customer_new(r, "acme"), second = c, other = customer_new(r, "bolt");

    (void)state;
    second.gateway = gateway_new(r, "second", "acme/*");
    assert_int_equal(granted_of_eight(r, &c), 2);
    assert_int_equal(
        rig_try(r, VERB_LEASE_ISSUE, &second.gateway, NULL, NULL, lease_body(&second, "openai")),
        LIMIT);
    assert_int_equal(
        rig_try(r, VERB_LEASE_ISSUE, &other.gateway, NULL, NULL, lease_body(&other, "openai")), OK);
    rig_free(r);
}

static void who_may_not_have_a_key_does_not_use_up_its_tenants_rate(void **state)
{
    struct rig *r = rated(0, 2);
    struct customer c = customer_new(r, "acme"), stranger = c;

    (void)state;
    stranger.gateway = gateway_new(r, "stranger", NULL);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(rig_try(r, VERB_LEASE_ISSUE, &stranger.gateway, NULL, NULL,
                                 lease_body(&stranger, "openai")),
                         DENIED);
    assert_int_equal(granted_of_eight(r, &c), 2);
    rig_free(r);
}

static void releasing_is_never_too_fast_and_renewing_counts(void **state)
{
    struct rig *r = rated(2, 0);
    struct customer c = customer_new(r, "acme");
    char token[LEASE_TOKEN_LENGTH + 1];

    (void)state;
    leased(r, &c, "openai", VALUE, token);
    for (unsigned i = 0; i < 2; i++)
        (void)renew(r, &c, token);
    assert_int_equal(renew(r, &c, token), LIMIT);
    assert_int_equal(rig_try(r, VERB_LEASE_RELEASE, &c.gateway, token, NULL, NULL), OK);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_served_in_turn_and_each_in_its_order),
        cmocka_unit_test(the_turn_goes_on_where_it_was),
        cmocka_unit_test(what_is_given_back_comes_first_and_in_its_order),
        cmocka_unit_test(what_is_given_back_of_a_client_that_has_nothing_else_has_its_turn),
        cmocka_unit_test(more_than_a_client_may_have_is_taken_to_be_refused_and_nobody_elses_is),
        cmocka_unit_test(refusals_leave_room_for_those_who_are_not_refused),
        cmocka_unit_test(who_waited_for_a_record_always_has_room_again),
        cmocka_unit_test(
            those_without_a_certificate_are_one_client_and_the_local_socket_is_another),
        cmocka_unit_test(a_token_is_of_the_address_that_it_comes_from),
        cmocka_unit_test(a_gateway_is_answered_at_once_however_many_another_one_has_waiting),
        cmocka_unit_test(many_changes_of_one_do_not_stand_before_the_leases_of_others),
        cmocka_unit_test(who_asks_again_and_again_is_in_every_batch_of_a_flood),
        cmocka_unit_test(a_full_queue_refuses_with_a_time_to_ask_again_and_counts_it_in_the_trail),
        cmocka_unit_test(a_gateway_has_a_second_of_its_rate_at_once_and_then_waits),
        cmocka_unit_test(a_tenant_has_its_rate_over_all_its_gateways),
        cmocka_unit_test(who_may_not_have_a_key_does_not_use_up_its_tenants_rate),
        cmocka_unit_test(releasing_is_never_too_fast_and_renewing_counts),
    };

    return cmocka_run_group_tests(tests, rig_slab, NULL);
}
