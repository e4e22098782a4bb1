/* Tokens in memory: until when they count, from where, with what, and what ends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "compat/duration.h"
#include "compat/token.h"

static struct token token_new(uint8_t number, uint8_t gateway)
{
    struct token t = { .kind = TOKEN_BY_CERT,
                       .binding = BINDING_CERT,
                       .gateway = { { gateway } },
                       .issued_us = 10,
                       .expires_us = 100,
                       .max_expires_us = 1000 };

    memset(t.hash, number, sizeof t.hash);
    memset(t.certificate, gateway, sizeof t.certificate);
    t.address[15] = 1;
    return t;
}

static void a_token_is_found_until_it_expires(void **state)
{
    struct tokens *all;
    struct token t = token_new(1, 1), other = token_new(2, 1);

    (void)state;
    assert_int_equal(tokens_new(&all, NULL), OK);
    assert_int_equal(tokens_add(all, &t, NULL), OK);
    assert_int_equal(tokens_add(all, &t, NULL), CONFLICT);
    assert_non_null(tokens_find(all, t.hash, 99));
    assert_null(tokens_find(all, t.hash, 100));
    assert_null(tokens_find(all, other.hash, 50));
    assert_int_equal(tokens_expire(all, 99, NULL), OK);
    assert_int_equal(tokens_count(all), 1);
    assert_int_equal(tokens_expire(all, 100, NULL), OK);
    assert_int_equal(tokens_count(all), 0);
    assert_int_equal(tokens_of_gateway(all, &t.gateway), 0);
    tokens_free(all);
}

static void collect(void *context, const uint8_t hash[static 32])
{
    uint64_t *seen = context;

    *seen = *seen * 10 + hash[0];
}

static void tokens_end_by_certificate_gateway_or_role_and_no_others(void **state)
{
    struct tokens *all;
    struct token t[4] = { token_new(1, 1), token_new(2, 2), token_new(3, 1), token_new(4, 3) };
    struct token_pattern by_certificate = { .expires_us = 0 }, by_gateway = by_certificate,
                         by_role = by_certificate;
    uint64_t seen = 0;

    (void)state;
    t[2].role.b[0] = 9;
    memset(t[2].certificate, 0, sizeof t[2].certificate); /* a role's login without one */
    assert_int_equal(tokens_new(&all, NULL), OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tokens_add(all, &t[i], NULL), OK);
    memset(by_certificate.certificate, 1, sizeof by_certificate.certificate);
    assert_int_equal(tokens_end(all, &by_certificate, collect, &seen, NULL), OK);
    assert_int_equal(seen, 1);
    by_gateway.gateway.b[0] = 2;
    assert_int_equal(tokens_end(all, &by_gateway, NULL, NULL, NULL), OK);
    assert_null(tokens_find(all, t[1].hash, 50));
    by_role.role.b[0] = 9;
    assert_int_equal(tokens_end(all, &by_role, NULL, NULL, NULL), OK);
    assert_int_equal(tokens_count(all), 1);
    assert_non_null(tokens_find(all, t[3].hash, 50));
    tokens_free(all);
}

static void a_gateway_holds_no_more_than_its_share(void **state)
{
    struct tokens *all;
    struct token t = token_new(1, 1), other = token_new(0xff, 2);

    (void)state;
    assert_int_equal(tokens_new(&all, NULL), OK);
    for (uint32_t i = 0; i < TOKENS_OF_GATEWAY; i++) {
        memcpy(t.hash, &i, sizeof i);
        assert_int_equal(tokens_add(all, &t, NULL), OK);
    }
    t.hash[31] = 7;
    assert_int_equal(tokens_add(all, &t, NULL), LIMIT);
    assert_int_equal(tokens_add(all, &other, NULL), OK);
    t.hash[31] = 1;
    tokens_remove(all, t.hash);
    t.hash[31] = 7;
    assert_int_equal(tokens_add(all, &t, NULL), OK);
    tokens_free(all);
}

static void what_a_binding_asks_for_must_be_there(void **state)
{
    struct token t = token_new(1, 1), bare = token_new(2, 1);
    uint8_t same[32], other[32], here[16] = { [15] = 1 }, there[16] = { [15] = 2 };
    const struct {
        uint8_t binding;
        const uint8_t *certificate, *address;
        bool permitted;
    } cases[] = {
        { BINDING_CERT, same, here, true },
        { BINDING_CERT, same, there, true },
        { BINDING_CERT, NULL, here, false },
        { BINDING_CERT, other, here, false },
        { BINDING_SOURCE_IP, NULL, here, true },
        { BINDING_SOURCE_IP, same, there, false },
        { BINDING_SOURCE_IP, other, here, false },
        { BINDING_CERT_IF_PRESENTED, NULL, there, true },
        { BINDING_CERT_IF_PRESENTED, same, there, true },
        { BINDING_CERT_IF_PRESENTED, other, here, false },
        { BINDING_NONE, other, there, true },
        { 0, same, here, false },
        { 77, same, here, false },
    };

    (void)state;
    memset(same, 1, sizeof same);
    memset(other, 2, sizeof other);
    memset(bare.certificate, 0, sizeof bare.certificate);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            token_permits(&t, cases[i].binding, cases[i].certificate, cases[i].address),
            cases[i].permitted);
    assert_false(token_permits(&bare, BINDING_CERT, same, here));
    assert_true(net_parse("10.0.0.0/8", &t.from));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_false(token_permits(&t, cases[i].binding, cases[i].certificate, here));
    for (uint8_t binding = BINDING_NONE; binding <= BINDING_CERT; binding++)
        assert_int_equal(binding_parse(binding_name(binding)), binding);
    assert_int_equal(binding_parse("CERT"), 0);
}

static void a_token_without_a_login_is_bound_to_its_range(void **state)
{
    struct token t = token_new(1, 1);
    uint8_t inside[16], outside[16];
    struct net a, b;

    (void)state;
    memset(t.address, 0, sizeof t.address);
    assert_true(net_parse("10.1.2.3", &a));
    assert_true(net_parse("192.0.2.1", &b));
    memcpy(inside, a.address, sizeof inside);
    memcpy(outside, b.address, sizeof outside);
    assert_false(token_permits(&t, BINDING_SOURCE_IP, NULL, inside));
    assert_true(net_parse("10.0.0.0/8", &t.from));
    assert_true(token_permits(&t, BINDING_SOURCE_IP, NULL, inside));
    assert_false(token_permits(&t, BINDING_SOURCE_IP, NULL, outside));
    assert_true(net_parse("0.0.0.0/0", &t.from));
    assert_false(token_permits(&t, BINDING_SOURCE_IP, NULL, inside));
}

static void ranges_are_read_and_written_and_hold_what_they_say(void **state)
{
    static const char *const fine[] = { "10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32",
                                        "2001:db8::1" };
    static const char *const bad[] = { "",          "10.0.0.1/8",     "10.0.0.0/33", "10.0.0.0/",
                                       "/8",        "10.0.0/8",       "::/129",      "10.0.0.0/8 ",
                                       "localhost", "2001:db8::1/32", "10.0.0.0/08" };
    struct net net, one;
    char text[NET_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        assert_true(net_parse(fine[i], &net));
        net_format(&net, text);
        assert_string_equal(text, fine[i]);
        assert_true(net_holds(&net, net.address));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(net_parse(bad[i], &net));
    assert_true(net_parse("172.16.0.0/12", &net));
    assert_true(net_parse("172.31.255.255", &one));
    assert_true(net_holds(&net, one.address));
    assert_true(net_parse("172.32.0.0", &one));
    assert_false(net_holds(&net, one.address));
    assert_true(net_parse("::1", &one));
    assert_false(net_holds(&net, one.address));
}

static void durations_are_seconds_or_say_their_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t s;
    } fine[] = { { "0", 0 }, { "90", 90 }, { "90s", 90 }, { "1h30m", 5400 }, { "2d", 172800 } };
    static const char *const bad[] = { "",      "s",  "1x",          "-1",          "1.5h",
                                       "1h 2m", " 1", "99999999999", "9999999999d", "1h1h1y" };
    uint64_t s;

    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        assert_true(duration_parse(fine[i].text, &s));
        assert_int_equal(s, fine[i].s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(duration_parse(bad[i], &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_until_it_expires),
        cmocka_unit_test(tokens_end_by_certificate_gateway_or_role_and_no_others),
        cmocka_unit_test(a_gateway_holds_no_more_than_its_share),
        cmocka_unit_test(what_a_binding_asks_for_must_be_there),
        cmocka_unit_test(a_token_without_a_login_is_bound_to_its_range),
        cmocka_unit_test(ranges_are_read_and_written_and_hold_what_they_say),
        cmocka_unit_test(durations_are_seconds_or_say_their_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
