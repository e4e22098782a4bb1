/* The table of live leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lease/lease.h"

#define SECOND ((uint64_t)1000000)
#define BEGIN  (UINT64_C(1790000000) * SECOND) /* times are of this century */

/* Member by member: what is between them is nobody's. */
static void assert_lease(const struct lease *a, const struct lease *b)
{
    assert_memory_equal(a, b, offsetof(struct lease, version) + sizeof a->version);
    assert_int_equal(a->issued_us, b->issued_us);
    assert_int_equal(a->expires_us, b->expires_us);
    assert_int_equal(a->max_expires_us, b->max_expires_us);
    assert_memory_equal(a->idempotency, b->idempotency, sizeof a->idempotency);
    assert_memory_equal(a->asked, b->asked, sizeof a->asked);
}

static struct lease numbered(unsigned i)
{
    struct lease lease = { .id = { { (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 7 } },
                           .tenant = { { (uint8_t)(i % 2) } },
                           .key = { { (uint8_t)(i % 4) } },
                           .gateway = { { (uint8_t)(i % 5) } },
                           .certificate = { (uint8_t)(i % 5) },
                           .version = 1 + i % 3u,
                           .issued_us = BEGIN,
                           .expires_us = BEGIN + i * SECOND,
                           .max_expires_us = BEGIN + 3600 * SECOND };

    lease.tenant.b[15] = lease.key.b[15] = lease.gateway.b[15] = 1;
    return lease;
}

static int make(void **state)
{
    struct leases *l;

    if (leases_new(&l, NULL) != OK)
        return -1;
    for (unsigned i = 1; i <= 100; i++) {
        struct lease lease = numbered(i);

        if (leases_set(l, &lease, NULL) != OK)
            return -1;
    }
    *state = l;
    return 0;
}

static int drop(void **state)
{
    leases_free(*state);
    return 0;
}

static void a_lease_is_found_until_it_expires(void **state)
{
    struct lease wanted = numbered(7), unknown = numbered(200), found;

    assert_true(leases_find(*state, &wanted.id, wanted.expires_us - 1, &found));
    assert_lease(&found, &wanted);
    assert_false(leases_find(*state, &wanted.id, wanted.expires_us, &found));
    assert_false(leases_find(*state, &unknown.id, 0, &found));
}

static void expired_leases_are_counted_off(void **state)
{
    struct lease some = numbered(2);

    assert_false(leases_expire(*state, BEGIN + 51 * SECOND, SIZE_MAX));
    assert_int_equal(leases_count(*state), 49);
    assert_int_equal(leases_live(*state, &some.tenant, NULL, BEGIN + 51 * SECOND), 25);
    assert_int_equal(leases_live(*state, &some.tenant, &some.gateway, BEGIN + 51 * SECOND), 5);
    assert_int_equal(leases_live(*state, &some.tenant, NULL, BEGIN + 71 * SECOND), 15);
}

static void expiring_takes_no_more_steps_than_it_is_given(void **state)
{
    struct leases *l = *state;
    unsigned calls = 1;

    while (leases_expire(l, BEGIN + 50 * SECOND, 10))
        calls++;
    assert_true(calls >= 10);
    assert_int_equal(leases_count(l), 50);
}

static void a_lease_that_is_over_is_known_for_a_while_and_live_nowhere(void **state)
{
    struct lease expired = numbered(10), released = numbered(80), revoked = numbered(90), found;
    uint64_t now = BEGIN + 20 * SECOND, last = now + LEASE_RECENT_US - 1;
    enum lease_state how;

    leases_release(*state, &released.id, now);
    leases_release(*state, &released.id, now + 1);
    assert_int_equal(leases_end(*state, &(struct lease){ .id = revoked.id }, now), 1);
    assert_int_equal(leases_end(*state, &(struct lease){ .id = revoked.id }, now), 0);
    assert_false(leases_expire(*state, now, SIZE_MAX));
    assert_false(leases_find(*state, &released.id, now, &found));
    assert_false(leases_find(*state, &revoked.id, now, &found));
    assert_int_equal(leases_count(*state), 100 - 20 - 2);
    assert_true(leases_recent(*state, &released.id, last, &found, &how));
    assert_int_equal(how, LEASE_RELEASED);
    assert_int_equal(found.expires_us, now);
    assert_true(leases_recent(*state, &revoked.id, last, &found, &how));
    assert_int_equal(how, LEASE_REVOKED);
    assert_true(
        leases_recent(*state, &expired.id, expired.expires_us + LEASE_RECENT_US - 1, &found, &how));
    assert_int_equal(how, LEASE_EXPIRED);
    assert_false(leases_recent(*state, &released.id, last + 1, &found, &how));
    assert_false(
        leases_recent(*state, &expired.id, expired.expires_us + LEASE_RECENT_US, &found, &how));
}

static void leases_end_by_key_version_gateway_and_tenant(void **state)
{
    struct lease by_key = { .key = numbered(1).key, .version = 2 },
                 by_gateway = { .gateway = numbered(2).gateway },
                 by_tenant = { .tenant = numbered(2).tenant };
    struct lease hit = numbered(13), found;
    enum lease_state how;
    size_t ended;

    by_key.version = 1 + 1 % 3u;
    assert_int_equal(leases_matching(*state, &by_key), 9);
    assert_int_equal(leases_end(*state, &by_key, BEGIN), 9); /* 1 mod 4 and 1 mod 3: 1, 13, ... */
    assert_int_equal(leases_end(*state, &by_gateway, BEGIN), 20 - 2); /* 37 and 97 ended above */
    ended = leases_end(*state, &by_tenant, BEGIN);
    assert_int_equal(leases_count(*state), 100 - 9 - 18 - ended);
    assert_int_equal(leases_live(*state, &by_tenant.tenant, NULL, BEGIN), 0);
    assert_false(leases_find(*state, &hit.id, BEGIN, &found));
    assert_true(leases_recent(*state, &hit.id, BEGIN, &found, &how));
    assert_int_equal(how, LEASE_REVOKED);
    assert_int_equal(leases_end(*state, &(struct lease){ .version = 0 }, BEGIN),
                     100 - 9 - 18 - ended);
    assert_int_equal(leases_count(*state), 0);
}

static void a_lease_after_an_end_is_live_beside_those_that_ended(void **state)
{
    struct lease fresh = numbered(101), old = numbered(41), found; /* of the same group */
    struct lease_cursor cursor = { 0 };

    leases_end(*state, &(struct lease){ .version = 0 }, BEGIN);
    fresh.version = old.version = numbered(41).version;
    fresh.key = old.key;
    fresh.tenant = old.tenant;
    assert_int_equal(leases_set(*state, &fresh, NULL), OK);
    assert_true(leases_find(*state, &fresh.id, BEGIN + 1, &found));
    assert_false(leases_find(*state, &old.id, BEGIN + 1, &found));
    assert_int_equal(leases_set(*state, &old, NULL), OK); /* it does not come back */
    assert_false(leases_find(*state, &old.id, BEGIN + 1, &found));
    assert_true(leases_next(*state, NULL, BEGIN + 1, &cursor, &found));
    assert_true(id_same(&found.id, &fresh.id));
    assert_false(leases_next(*state, NULL, BEGIN + 1, &cursor, &found));
}

static void a_renewed_lease_replaces_itself(void **state)
{
    struct lease longer = numbered(7), found;

    longer.expires_us = BEGIN + 1000 * SECOND;
    assert_int_equal(leases_set(*state, &longer, NULL), OK);
    assert_int_equal(leases_count(*state), 100);
    assert_false(leases_expire(*state, BEGIN + 999 * SECOND, SIZE_MAX));
    assert_true(leases_find(*state, &longer.id, BEGIN + 999 * SECOND, &found));
    assert_int_equal(leases_count(*state), 1);
    longer.expires_us = BEGIN + 1100 * SECOND; /* and when it has been counted off already */
    assert_false(leases_expire(*state, BEGIN + 1001 * SECOND, SIZE_MAX));
    assert_int_equal(leases_count(*state), 0);
    assert_int_equal(leases_set(*state, &longer, NULL), OK);
    assert_int_equal(leases_count(*state), 1);
    longer.expires_us = BEGIN + 1005 * SECOND; /* a shorter one too */
    assert_int_equal(leases_set(*state, &longer, NULL), OK);
    assert_false(leases_expire(*state, BEGIN + 1006 * SECOND, SIZE_MAX));
    assert_int_equal(leases_count(*state), 0);
}

static void an_idempotency_key_finds_the_newest_lease_of_its_certificate(void **state)
{
    struct lease first = numbered(201), second = numbered(206), found;
    enum lease_state how;

    memset(first.idempotency, 5, sizeof first.idempotency);
    first.asked[0] = 1;
    second.expires_us = first.expires_us + 100 * SECOND;
    memcpy(second.idempotency, first.idempotency, sizeof second.idempotency);
    assert_int_equal(leases_set(*state, &first, NULL), OK);
    assert_true(leases_repeated(*state, first.certificate, first.idempotency, BEGIN, &found, &how));
    assert_lease(&found, &first);
    assert_int_equal(how, LEASE_LIVE);
    assert_false(
        leases_repeated(*state, numbered(202).certificate, first.idempotency, BEGIN, &found, &how));
    assert_true(leases_repeated(*state, first.certificate, first.idempotency, first.expires_us,
                                &found, &how));
    assert_int_equal(how, LEASE_EXPIRED);
    assert_int_equal(leases_set(*state, &second, NULL), OK);
    assert_true(leases_repeated(*state, first.certificate, first.idempotency, first.expires_us,
                                &found, &how));
    assert_true(id_same(&found.id, &second.id));
    /* What is left of the first does not take the key along. */
    leases_expire(*state, first.expires_us + LEASE_RECENT_US + SECOND, SIZE_MAX);
    assert_true(leases_repeated(*state, first.certificate, first.idempotency, first.expires_us,
                                &found, &how));
}

/* --- against a model that keeps everything in a list ------------------------------------------ */

#define MODEL_MAX 3000

struct modelled {
    struct lease lease;
    enum lease_state how; /* but for expiry */
    uint64_t over_us;
};

struct model {
    struct modelled all[MODEL_MAX];
    unsigned count;
};

static enum lease_state model_state(const struct modelled *m, uint64_t now, uint64_t *over)
{
    *over = m->how == LEASE_LIVE ? m->lease.expires_us : m->over_us;
    return m->how == LEASE_LIVE && m->lease.expires_us <= now ? LEASE_EXPIRED : m->how;
}

static bool alike(const struct lease *pattern, const struct lease *l)
{
    return (id_is_zero(&pattern->tenant) || id_same(&pattern->tenant, &l->tenant)) &&
           (id_is_zero(&pattern->gateway) || id_same(&pattern->gateway, &l->gateway)) &&
           (id_is_zero(&pattern->key) || id_same(&pattern->key, &l->key)) &&
           (pattern->version == 0 || pattern->version == l->version);
}

static size_t model_live(const struct model *m, const struct lease *pattern, uint64_t now)
{
    size_t live = 0;
    uint64_t over;

    for (unsigned i = 0; i < m->count; i++)
        live +=
            alike(pattern, &m->all[i].lease) && model_state(&m->all[i], now, &over) == LEASE_LIVE;
    return live;
}

static void model_end(struct modelled *m, enum lease_state how, uint64_t now)
{
    uint64_t over;

    if (model_state(m, now, &over) != LEASE_LIVE)
        return;
    m->how = how;
    m->over_us = now;
}

static void compare(struct leases *l, const struct model *m, uint64_t now)
{
    struct lease_cursor cursor = { 0 };
    struct lease found;
    enum lease_state how;
    uint64_t over;
    size_t walked = 0;

    leases_expire(l, now, SIZE_MAX);
    assert_int_equal(leases_count(l), model_live(m, &(struct lease){ .version = 0 }, now));
    for (unsigned t = 0; t < 2; t++) {
        struct lease pattern = { .tenant = numbered(t).tenant };

        assert_int_equal(leases_live(l, &pattern.tenant, NULL, now), model_live(m, &pattern, now));
        pattern.gateway = numbered(3).gateway;
        assert_int_equal(leases_live(l, &pattern.tenant, &pattern.gateway, now),
                         model_live(m, &pattern, now));
        assert_int_equal(leases_matching(l, &pattern), model_live(m, &pattern, now));
    }
    while (leases_next(l, NULL, now, &cursor, &found))
        walked++;
    assert_int_equal(walked, leases_count(l));
    for (unsigned i = 0; i < m->count; i++) {
        enum lease_state state = model_state(&m->all[i], now, &over);
        bool recent = state == LEASE_LIVE || now < over + LEASE_RECENT_US;

        assert_int_equal(leases_recent(l, &m->all[i].lease.id, now, &found, &how), recent);
        if (recent)
            assert_int_equal(how, state);
        if (recent && state == LEASE_LIVE)
            assert_lease(&found, &m->all[i].lease);
    }
}

static void step(struct leases *l, struct model *m, uint64_t now)
{
    struct lease pattern = { .version = 0 };
    struct modelled *some = &m->all[(unsigned)rand() % (m->count + 1)];
    unsigned what = (unsigned)rand() % 100;
    uint64_t over;

    if (what < 60 && m->count < MODEL_MAX) {
        struct lease fresh = numbered((unsigned)rand() % 60);

        fresh.id = (struct id){ { 0 } };
        memcpy(fresh.id.b, &m->count, sizeof m->count);
        fresh.issued_us = now;
        fresh.expires_us = now + ((unsigned)rand() % 400) * SECOND / 4;
        if (what == 0) /* further than the wheel reaches */
            fresh.expires_us += 6000 * SECOND;
        fresh.max_expires_us = now + 7200 * SECOND;
        m->all[m->count++] = (struct modelled){ .lease = fresh };
        assert_int_equal(leases_set(l, &fresh, NULL), OK);
    } else if (what < 75 && some < &m->all[m->count]) {
        if (model_state(some, now, &over) != LEASE_LIVE)
            return;
        some->lease.expires_us = now + ((unsigned)rand() % 300) * SECOND;
        assert_int_equal(leases_set(l, &some->lease, NULL), OK);
    } else if (what < 90 && some < &m->all[m->count]) {
        model_end(some, LEASE_RELEASED, now);
        leases_release(l, &some->lease.id, now);
    } else if (what < 95 && some < &m->all[m->count]) {
        model_end(some, LEASE_REVOKED, now);
        leases_end(l, &(struct lease){ .id = some->lease.id }, now);
    } else if (what > 97) {
        pattern = numbered((unsigned)rand() % 60);
        pattern.id = (struct id){ { 0 } };
        memset(pattern.certificate, 0, sizeof pattern.certificate);
        if (rand() % 2 == 0)
            pattern.gateway = (struct id){ { 0 } };
        leases_expire(l, now, SIZE_MAX);
        assert_int_equal(leases_end(l, &pattern, now), model_live(m, &pattern, now));
        for (unsigned i = 0; i < m->count; i++) {
            if (alike(&pattern, &m->all[i].lease))
                model_end(&m->all[i], LEASE_REVOKED, now);
        }
    }
}

/* Times are whole quarters of the wheel's slots, so that both expire the same ones. */
static void whatever_happens_a_plain_list_would_say_the_same(void **state)
{
    struct model *m = calloc(1, sizeof *m);
    uint64_t now = BEGIN >> 18 << 18;
    struct leases *l;

    (void)state;
    assert_non_null(m);
    srand(20260114);
    assert_int_equal(leases_new(&l, NULL), OK);
    for (unsigned round = 0; round < 6000; round++) {
        step(l, m, now);
        if (rand() % 8 == 0)
            now += (uint64_t)(rand() % 4) << 18;
        if (rand() % 600 == 0)
            now += (uint64_t)(rand() % 20000) << 18;
        if (round % 50 == 0)
            compare(l, m, now);
    }
    leases_free(l);
    free(m);
}

static void a_token_reads_back_and_nothing_else_does(void **state)
{
    const struct id id = { { 1, 2, 3 } };
    const uint8_t mac[16] = { 9, 8, 7 };
    char token[LEASE_TOKEN_LENGTH + 1];
    uint8_t mac_again[16];
    struct id again;

    (void)state;
    lease_token_format(&id, mac, token);
    assert_int_equal(strlen(token), LEASE_TOKEN_LENGTH);
    assert_true(lease_token_parse(token, &again, mac_again));
    assert_true(id_same(&id, &again));
    assert_memory_equal(mac, mac_again, 16);
    token[5] = 'g';
    assert_false(lease_token_parse(token, &again, mac_again));
    assert_false(lease_token_parse("", &again, mac_again));
    token[5] = '0';
    token[63] = '\0';
    assert_false(lease_token_parse(token, &again, mac_again));
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_lease_is_found_until_it_expires),
        WITH(expired_leases_are_counted_off),
        WITH(expiring_takes_no_more_steps_than_it_is_given),
        WITH(a_lease_that_is_over_is_known_for_a_while_and_live_nowhere),
        WITH(leases_end_by_key_version_gateway_and_tenant),
        WITH(a_lease_after_an_end_is_live_beside_those_that_ended),
        WITH(a_renewed_lease_replaces_itself),
        WITH(an_idempotency_key_finds_the_newest_lease_of_its_certificate),
        cmocka_unit_test(whatever_happens_a_plain_list_would_say_the_same),
        cmocka_unit_test(a_token_reads_back_and_nothing_else_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
