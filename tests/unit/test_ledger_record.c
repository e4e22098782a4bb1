/* Composing and parsing of audit records: one form, and nothing else. */
#include "test_ledger_log.h"

static status check(const char *fields)
{
    struct err e = { 0 };
    status st = record_fields_check(span_text(fields), &e);

    assert_int_equal(st, e.code);
    return st;
}

static status parse(const char *line)
{
    struct record_head head;

    return record_parse(span_text(line), &head, NULL);
}

static void a_fragment_of_flat_fields_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(check(""), OK);
    assert_int_equal(check(",\"actor\":\"gateway:edge-1\""), OK);
    assert_int_equal(check(",\"a\":0,\"b\":12,\"c\":true,\"d\":false,\"e\":\"\""), OK);
    assert_int_equal(check(",\"a\":999999999999999"), OK);
    assert_int_equal(check(",\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""), OK);
    assert_int_equal(check(",\"a\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91\x7f\""), OK);
    assert_int_equal(check(",\"a\":\"\\ud83d\\udd11\""), OK);
    assert_int_equal(check(",\"abcdefghijklmnopqrstuvwxyz_abcde\":1"), OK);
    /* Names of the engine's own, also where the keeper has a similar one. */
    assert_int_equal(check(",\"key\":\"x\",\"gateway\":\"x\",\"engagement\":\"x\",\"why\":\"x\""),
                     OK);
}

static void a_malformed_fragment_is_refused(void **state)
{
    static const char *const bad[] = { ",",
                                       "\"a\":1",
                                       ",a:1",
                                       ",\"a\"",
                                       ",\"a\":",
                                       ",\"a\":1,",
                                       ",\"a\":1}",
                                       ",\"a\" :1",
                                       ", \"a\":1",
                                       ",\"a\": 1",
                                       ",\"a\":1 ",
                                       ",\"a\":1\n",
                                       ",\"\":1",
                                       ",\"A\":1",
                                       ",\"a1\":1",
                                       ",\"a-b\":1",
                                       ",\"\\u0061\":1",
                                       ",'a':1",
                                       ",\"a\":'b'",
                                       ",\"abcdefghijklmnopqrstuvwxyz_abcdef\":1" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(check(bad[i]), BAD_INPUT);
}

static void values_other_than_text_whole_numbers_and_truth_are_refused(void **state)
{
    static const char *const bad[] = { "null", "{}",   "[]",    "1.0", "1e3",
                                       "-1",   "+1",   "01",    "00",  "1000000000000000",
                                       "0x10", "TRUE", "truex", "tru", "falsetrue",
                                       "NaN",  "1\"" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char fields[64] = ",\"a\":";

        strcat(fields, bad[i]);
        assert_int_equal(check(fields), BAD_INPUT);
    }
}

static void text_that_readers_could_take_differently_is_refused(void **state)
{
    static const char *const bad[] = { "\t",
                                       "\n",
                                       "\x1f",
                                       "\\x41",
                                       "\\u12g4",
                                       "\\u123",
                                       "\\",
                                       "\\u0000", /* ends the text for some */
                                       "\\ud800",
                                       "\\udc00",
                                       "\\ud83dx",
                                       "\\ud83d\\u0041",
                                       "\\ud83d\\n",
                                       "\\ud83d\\ud83d",
                                       "\x80",
                                       "\xc0\xaf",
                                       "\xc1\xbf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xc3",
                                       "\xe2\x82",
                                       "\xf0\x9f\x94",
                                       "\xe2\x82\x28",
                                       "\xf0\x9f\x28\x91" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char fields[64] = ",\"a\":\"";

        strcat(fields, bad[i]);
        strcat(fields, "\"");
        assert_int_equal(check(fields), BAD_INPUT);
    }
    assert_int_equal(record_fields_check(span_of(",\"a\":\"x\0y\"", 10), NULL), BAD_INPUT);
}

static void every_prefix_of_a_fragment_is_refused_but_those_that_end_a_field(void **state)
{
    static const char all[] = ",\"a\":\"x\\ud83d\\udd11\xc3\xa9\",\"b\":true,\"c\":0";
    size_t good = 0;

    (void)state;
    for (size_t n = 0; n < sizeof(all); n++) {
        /* A copy of exactly n bytes, so that a read beyond them is seen. */
        uint8_t *copy = malloc(n > 0 ? n : 1);

        assert_non_null(copy);
        memcpy(copy, all, n);
        good += record_fields_check(span_of(copy, n), NULL) == OK ? 1u : 0u;
        free(copy);
    }
    assert_int_equal(good, 4); /* none, a, a and b, all three */
}

static void a_repeated_name_is_refused(void **state)
{
    (void)state;
    assert_int_equal(check(",\"a\":1,\"b\":2,\"a\":1"), BAD_INPUT);
    assert_int_equal(check(",\"a\":1,\"aa\":2,\"aaa\":1"), OK);
}

static void the_engine_cannot_use_a_name_that_the_keeper_writes(void **state)
{
    static const char *const kept[] = {
        "v",       "log",        "seq",      "prev",       "time",          "type",      "outcome",
        "key_id",  "version",    "lease_id", "gateway_id", "engagement_id", "tenant_id", "slot_id",
        "expires", "due",        "reason",   "attempt",    "number",        "operation", "text",
        "context", "public_key", "operator", "have",       "need",          "share",     "delivery"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct fields f;

        fields_init(&f);
        fields_text(&f, "actor", "gateway:edge-1");
        fields_number(&f, kept[i], 1);
        assert_int_equal(record_fields_check(fields_view(&f), NULL), BAD_INPUT);
    }
}

static void a_fragment_above_its_limit_is_refused_as_too_long(void **state)
{
    char text[LIMIT_FIELDS + 2];

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, ",\"a\":\"", 6);
    text[LIMIT_FIELDS - 1] = '"';
    assert_int_equal(record_fields_check(span_of(text, LIMIT_FIELDS), NULL), OK);
    text[LIMIT_FIELDS - 1] = 'x';
    text[LIMIT_FIELDS] = '"';
    assert_int_equal(record_fields_check(span_of(text, LIMIT_FIELDS + 1), NULL), LIMIT);
}

static void the_builder_escapes_what_it_is_given(void **state)
{
    struct fields f;

    (void)state;
    fields_init(&f);
    fields_text(&f, "a", "q\"b\\n\nt\tz\x01\xc3\xa9/");
    fields_text(&f, "gone", NULL);
    fields_number(&f, "n", 0);
    fields_hex(&f, "h", span_of("\x00\xff", 2));
    fields_id(&f, "i", &log_id);
    fields_time(&f, "t", START_US);
    assert_true(
        span_same(fields_view(&f),
                  span_text(",\"a\":\"q\\\"b\\\\n\\nt\\tz\\u0001\xc3\xa9/\",\"n\":0,\"h\":\"00ff\","
                            "\"i\":\"101112131415161718191a1b1c1d1e1f\","
                            "\"t\":\"2026-11-21T09:00:33.123456Z\"")));
    assert_int_equal(record_fields_check(fields_view(&f), NULL), OK);
}

/* Each case spoils a builder; its view must then be refused wherever it goes. */
static void assert_spoiled(const struct fields *f)
{
    struct record_head head = { .log = log_id, .type = RECORD_VAULT_LOCKED };
    uint8_t line[LIMIT_RECORD];
    struct out o;

    assert_true(f->out.overflow);
    assert_int_equal(record_fields_check(fields_view(f), NULL), BAD_INPUT);
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, fields_view(f), span_of(NULL, 0), &o, NULL), BUG);
}

static void a_builder_that_overflowed_yields_nothing_usable(void **state)
{
    char text[LIMIT_FIELDS + 1];
    struct fields f;

    (void)state;
    memset(text, 'x', sizeof(text));
    text[LIMIT_FIELDS] = '\0';
    fields_init(&f);
    fields_text(&f, "a", text);
    fields_text(&f, "b", "fits");
    assert_spoiled(&f);
    fields_init(&f);
    fields_text(&f, "a", "\xff");
    assert_spoiled(&f);
    fields_init(&f);
    fields_span(&f, "a", span_of("x\0y", 3));
    assert_spoiled(&f);
    fields_init(&f);
    fields_number(&f, "a", 1000000000000000);
    assert_spoiled(&f);
    fields_init(&f);
    fields_time(&f, "a", UINT64_MAX);
    assert_spoiled(&f);
}

static const char example[] =
    "{\"v\":1,\"log\":\"101112131415161718191a1b1c1d1e1f\",\"seq\":7,\"prev\":"
    "\"0101010101010101010101010101010101010101010101010101010101010101\","
    "\"time\":\"2026-11-21T09:00:33.123456Z\",\"type\":\"lease.issued\",\"outcome\":\"denied\","
    "\"number\":3,\"actor\":\"gateway:edge-1\"}";

static void a_line_parses_to_the_head_it_was_composed_from(void **state)
{
    struct record_head head = { .log = log_id,
                                .seq = 7,
                                .time_us = START_US,
                                .type = RECORD_LEASE_ISSUED,
                                .outcome = OUTCOME_DENIED };
    struct record_head back;
    uint8_t line[LIMIT_RECORD];
    struct err e = { 0 };
    struct out o;

    (void)state;
    memset(head.prev, 1, sizeof(head.prev));
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, span_text(",\"number\":3"),
                                    span_text(",\"actor\":\"gateway:edge-1\""), &o, &e),
                     OK);
    assert_true(span_same(span_of(o.p, o.n), span_text(example)));
    assert_int_equal(record_parse(span_of(o.p, o.n), &back, &e), OK);
    assert_true(id_same(&back.log, &head.log));
    assert_int_equal(back.seq, head.seq);
    assert_memory_equal(back.prev, head.prev, sizeof(head.prev));
    assert_int_equal(back.time_us, head.time_us);
    assert_int_equal(back.type, head.type);
    assert_int_equal(back.outcome, head.outcome);
}

/* example with the first `from` replaced by `to`. */
static status parse_changed(const char *from, const char *to)
{
    char line[2 * sizeof(example)];
    const char *at = strstr(example, from);
    size_t before = 0;

    assert_non_null(at);
    before = (size_t)(at - example);
    memcpy(line, example, before);
    line[before] = '\0';
    strcat(line, to);
    strcat(line, at + strlen(from));
    return parse(line);
}

static void a_head_in_any_other_form_is_refused(void **state)
{
    static const char *const change[][2] = { { "\"v\":1", "\"v\":2" },
                                             { "\"v\":1", "\"v\":01" },
                                             { "{\"v\"", "{ \"v\"" },
                                             { "1a1b", "1A1B" },
                                             { "1e1f\"", "1e\"" },
                                             { "\"seq\":7", "\"seq\":07" },
                                             { "\"seq\":7", "\"seq\":\"7\"" },
                                             { "\"seq\":7", "\"seq\":1099511627776" },
                                             { "\"seq\":7,", "" },
                                             { "\"seq\":7,", "\"seq\":7,\"seq\":7," },
                                             { "\"seq\"", "\"sep\"" },
                                             { "2026-11-21", "2026-02-30" },
                                             { "123456Z", "12345Z" },
                                             { "123456Z", "123456z" },
                                             { "lease.issued", "lease.stolen" },
                                             { "lease.issued", "lease.\\u0069ssued" },
                                             { "denied", "Denied" },
                                             { "denied", "" },
                                             { "\"outcome\"", "\"actor\"" } };

    (void)state;
    assert_int_equal(parse(example), OK);
    for (size_t i = 0; i < sizeof(change) / sizeof(change[0]); i++)
        assert_int_equal(parse_changed(change[i][0], change[i][1]), CORRUPT);
    assert_int_equal(parse_changed("\"seq\":7", "\"seq\":1099511627775"), OK);
}

static void a_tail_that_is_no_fragment_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse_changed("\"}", "\"}\n"), CORRUPT);
    assert_int_equal(parse_changed("\"}", "\"} "), CORRUPT);
    assert_int_equal(parse_changed("\"}", "\"}}"), CORRUPT);
    assert_int_equal(parse_changed("\"}", "\",}"), CORRUPT);
    assert_int_equal(parse_changed("\"}", "\""), CORRUPT);
    assert_int_equal(parse_changed("\"actor\"", "\"number\""), CORRUPT);
    assert_int_equal(parse_changed("\"actor\"", "\"log\""), CORRUPT);
    assert_int_equal(parse_changed("\"actor\"", "\"v\""), CORRUPT);
    assert_int_equal(parse(""), CORRUPT);
    assert_int_equal(parse("{\"v\":1}"), CORRUPT);
}

static void a_failed_parse_leaves_its_result_alone(void **state)
{
    struct record_head head = { .seq = 99 };

    (void)state;
    assert_int_equal(record_parse(span_of(example, sizeof(example) - 2), &head, NULL), CORRUPT);
    assert_int_equal(head.seq, 99);
}

static void a_line_may_have_the_limit_and_not_a_byte_more(void **state)
{
    struct record_head head = { .log = log_id, .type = RECORD_VAULT_LOCKED };
    static char text[LIMIT_RECORD + 1];
    static uint8_t line[2 * LIMIT_RECORD];
    struct record_head back;
    struct out o;
    size_t head_length = 0;
    size_t n = 0;

    (void)state;
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, span_of(NULL, 0), span_of(NULL, 0), &o, NULL), OK);
    head_length = o.n;
    n = LIMIT_RECORD - head_length;
    memset(text, 'x', sizeof(text));
    memcpy(text, ",\"a\":\"", 6);
    text[n - 1] = '"';
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, span_of(NULL, 0), span_of(text, n), &o, NULL), OK);
    assert_int_equal(o.n, LIMIT_RECORD);
    assert_int_equal(record_parse(span_of(o.p, o.n), &back, NULL), OK);
    text[n - 1] = 'x';
    text[n] = '"';
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, span_of(NULL, 0), span_of(text, n + 1), &o, NULL),
                     LIMIT);
    out_init(&o, line, 100);
    assert_int_equal(record_compose(&head, span_of(NULL, 0), span_of(NULL, 0), &o, NULL), LIMIT);
}

static void a_line_that_would_not_parse_is_never_composed(void **state)
{
    struct record_head head = { .log = log_id, .type = RECORD_VAULT_LOCKED };
    struct span none = span_of(NULL, 0);
    uint8_t line[LIMIT_RECORD];
    struct out o;

    (void)state;
    out_init(&o, line, sizeof(line));
    assert_int_equal(
        record_compose(&head, span_text(",\"number\":1"), span_text(",\"number\":2"), &o, NULL),
        BUG);
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, none, span_text(",\"seq\":2"), &o, NULL), BUG);
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, none, span_text(",\"v\":1"), &o, NULL), BUG);
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, none, span_text("}"), &o, NULL), BUG);
    head.type = 999;
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, none, none, &o, NULL), BAD_INPUT);
    head.type = RECORD_VAULT_LOCKED;
    head.outcome = (enum outcome)3;
    assert_int_equal(record_compose(&head, none, none, &o, NULL), BAD_INPUT);
    head.outcome = OUTCOME_OK;
    head.seq = (uint64_t)1 << LIMIT_TREE_LEVELS;
    assert_int_equal(record_compose(&head, none, none, &o, NULL), LIMIT);
    head.seq = 0;
    head.time_us = UINT64_MAX; /* has no text */
    out_init(&o, line, sizeof(line));
    assert_int_equal(record_compose(&head, none, none, &o, NULL), LIMIT);
}

static void a_field_is_found_by_its_whole_name(void **state)
{
    struct span line = span_text(example);
    struct span value = { NULL, 0 };

    (void)state;
    assert_true(record_field(line, "actor", &value));
    assert_true(span_same(value, span_text("gateway:edge-1")));
    assert_true(record_field(line, "number", &value));
    assert_true(span_same(value, span_text("3")));
    assert_true(record_field(line, "type", &value));
    assert_true(span_same(value, span_text("lease.issued")));
    assert_true(record_field(line, "v", &value));
    assert_true(span_same(value, span_text("1")));
    assert_false(record_field(line, "act", &value));
    assert_false(record_field(line, "actor_", &value));
    assert_false(record_field(line, "", &value));
    assert_false(record_field(span_text("nonsense"), "actor", &value));
}

static void several_fields_are_found_in_one_pass(void **state)
{
    static const char *const names[] = { "type", "actor", "number", "act" };
    struct span value[4];

    (void)state;
    assert_true(record_fields(span_text(example), names, 4, 3, value));
    assert_true(span_same(value[0], span_text("lease.issued")));
    assert_true(span_same(value[1], span_text("gateway:edge-1")));
    assert_true(span_same(value[2], span_text("3")));
    assert_null(value[3].p);
    assert_false(record_fields(span_text(example), names, 4, 4, value));
    assert_false(record_fields(span_text("nonsense"), names, 4, 0, value));
}

static void every_type_has_one_name_and_unknown_codes_have_none(void **state)
{
    size_t known = 0;

    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        const char *name = record_type_name((uint16_t)code);

        if (name == NULL) {
            assert_true(record_type_keeper_only((uint16_t)code));
            continue;
        }
        known++;
        assert_int_equal(record_type_parse(span_text(name)), code);
    }
    assert_int_equal(known, 67);
    assert_int_equal(record_type_parse(span_text("lease.issue")), 0);
    assert_int_equal(record_type_parse(span_text("lease.issuedx")), 0);
    assert_int_equal(record_type_parse(span_text("")), 0);
    assert_true(record_type_keeper_only(RECORD_LEASE_ISSUED));
    assert_false(record_type_keeper_only(RECORD_LEASE_REFUSED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fragment_of_flat_fields_is_accepted),
        cmocka_unit_test(a_malformed_fragment_is_refused),
        cmocka_unit_test(values_other_than_text_whole_numbers_and_truth_are_refused),
        cmocka_unit_test(text_that_readers_could_take_differently_is_refused),
        cmocka_unit_test(every_prefix_of_a_fragment_is_refused_but_those_that_end_a_field),
        cmocka_unit_test(a_repeated_name_is_refused),
        cmocka_unit_test(the_engine_cannot_use_a_name_that_the_keeper_writes),
        cmocka_unit_test(a_fragment_above_its_limit_is_refused_as_too_long),
        cmocka_unit_test(the_builder_escapes_what_it_is_given),
        cmocka_unit_test(a_builder_that_overflowed_yields_nothing_usable),
        cmocka_unit_test(a_line_parses_to_the_head_it_was_composed_from),
        cmocka_unit_test(a_head_in_any_other_form_is_refused),
        cmocka_unit_test(a_tail_that_is_no_fragment_is_refused),
        cmocka_unit_test(a_failed_parse_leaves_its_result_alone),
        cmocka_unit_test(a_line_may_have_the_limit_and_not_a_byte_more),
        cmocka_unit_test(a_line_that_would_not_parse_is_never_composed),
        cmocka_unit_test(a_field_is_found_by_its_whole_name),
        cmocka_unit_test(several_fields_are_found_in_one_pass),
        cmocka_unit_test(every_type_has_one_name_and_unknown_codes_have_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
