/*
 * How long a server takes from its start to its first answer, with a trail of so many records and so
 * many leases that are live. Usage: bench_restart [RECORDS [LIVE]]
 *
 * The database is made by the engine and a keeper of its own, through leases like any others; what
 * is measured is the engine: opening, recovering, rebuilding, and one lease. Prints a line.
 */
#include "unit/engine_customer.h"

#define KEYS    100
#define AT_ONCE 512

static struct {
    struct rig *r;
    struct customer customers[10];
    uint64_t left;
    json_int_t ttl_s;
    unsigned in_flight;
} load;

static struct request *next_request(void)
{
    const struct customer *c = &load.customers[load.left % 10];
    char name[32];
    json_t *body;

    snprintf(name, sizeof name, "key-%u", (unsigned)(load.left / 10 % (KEYS / 10)));
    body = lease_body(c, name);
    json_object_set_new(body, "ttl_s", json_integer(load.ttl_s));
    return rig_request(load.r, VERB_LEASE_ISSUE, &c->gateway, NULL, NULL, body);
}

/* On the engine's thread: one is answered, the next is asked. */
static void again(struct request *rq)
{
    rig_must(rq->outcome == OK, rq->outcome == OK ? "lease" : rq->err.why);
    request_free(rq);
    if (load.left == 0) {
        __atomic_sub_fetch(&load.in_flight, 1, __ATOMIC_SEQ_CST);
        return;
    }
    load.left--;
    rq = next_request();
    rq->done = again;
    engine_submit(load.r->en, rq);
}

static void lease_many(uint64_t count, json_int_t ttl_s)
{
    load.left = count > AT_ONCE ? count - AT_ONCE : 0;
    load.ttl_s = ttl_s;
    load.in_flight = count > AT_ONCE ? AT_ONCE : (unsigned)count;
    rig_hold(load.r);
    for (unsigned i = load.in_flight; i > 0; i--) {
        struct request *rq = next_request();

        rq->done = again;
        engine_submit(load.r->en, rq);
    }
    rig_let_go(load.r);
    while (__atomic_load_n(&load.in_flight, __ATOMIC_SEQ_CST) > 0)
        usleep(10000);
}

static void make_customers(void)
{
    for (unsigned i = 0; i < 10; i++) {
        char name[32];

        snprintf(name, sizeof name, "tenant-%u", i);
        load.customers[i] = customer_new(load.r, name);
        for (unsigned k = 0; k < KEYS / 10; k++) {
            snprintf(name, sizeof name, "key-%u", k);
            put_key(load.r, &load.customers[i], name);
        }
    }
}

/* Of the thread that attaches: what is left on a machine that does other things beside. */
static uint64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SECOND_US + (uint64_t)t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    uint64_t records = 1000000, live = 100000, began;
    char token[LEASE_TOKEN_LENGTH + 1];
    uint64_t first, cpu;

    if ((argc > 1 && !number_parse(argv[1], 1, 100000000, &records)) ||
        (argc > 2 && !number_parse(argv[2], 0, records, &live)) || rig_slab(NULL) != 0)
        return 2;
    load.r = rig_new();
    load.r->settings.alert.spike_factor = 0;
    make_customers();
    began = rig_mono();
    lease_many(records - live, 1);
    lease_many(live, 3600);
    fprintf(stderr, "made in %.1f s\n", (double)(rig_mono() - began) / 1e6);
    /* The short ones are over, and nobody may report late on them: else they are read too. */
    sleep((unsigned)(LEASE_RECENT_US / SECOND_US) + 3);
    rig_stop_engine(load.r);
    cpu = cpu_us();
    began = rig_mono();
    rig_start_engine(load.r);
    first = rig_mono();
    cpu = cpu_us() - cpu;
    leased(load.r, &load.customers[0], "openai", VALUE, token);
    printf("restart_s %.3f attach_s %.3f attach_cpu_s %.3f records %llu live %zu\n",
           (double)(rig_mono() - began) / 1e6, (double)(first - began) / 1e6, (double)cpu / 1e6,
           (unsigned long long)records, leases_count(load.r->en->leases) - 1);
    if (argc > 3) { /* again and again, for a profiler */
        for (unsigned i = 0; i < 5; i++) {
            rig_stop_engine(load.r);
            cpu = cpu_us();
            began = rig_mono();
            rig_start_engine(load.r);
            printf("attach_s %.3f attach_cpu_s %.3f live %zu\n", (double)(rig_mono() - began) / 1e6,
                   (double)(cpu_us() - cpu) / 1e6, leases_count(load.r->en->leases));
        }
    }
    rig_free(load.r);
    return 0;
}
