/* Reports as they arrive: what is taken of each format, what is refused, and that nothing else is
 * kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "usage/usage.h"

#define SECRET "what somebody said to a model"

static struct usage *parsed(enum usage_format format, const char *text)
{
    struct usage *u = NULL;
    struct err e = { 0 };

    if (usage_parse(format, span_text(text), &u, &e) != OK)
        print_error("%s: %s\n", text, e.why);
    assert_non_null(u);
    return u;
}

static status refusal(enum usage_format format, const char *text)
{
    struct usage *u = NULL;
    status st = usage_parse(format, span_text(text), &u, NULL);

    usage_free(u);
    return st;
}

static bool holds(const struct usage *u, const char *text)
{
    return memmem(u, sizeof *u + u->count * sizeof u->items[0], text, strlen(text)) != NULL;
}

/* --- numbers --------------------------------------------------------------------------------- */

static void decimals_are_read_without_binary_fractions(void **state)
{
    static const struct {
        const char *text;
        uint64_t micro;
    } good[] = {
        { "0", 0 },
        { "0.1", 100000 },
        { "0.000001", 1 },
        { "0.0000005", 1 },
        { "0.00000049", 0 },
        { "1.2e-05", 12 },
        { "1E3", 1000000000 },
        { "12.345678", 12345678 },
        { "0.30000000", 300000 },
        { "1.1e+1", 11000000 },
        { "0e999", 0 },
        { "1e-999", 0 },
        { "000000000000000000000.5", 500000 },
        { "0.1234564999999999999999999999", 123456 },
    };
    static const char *const bad[] = {
        "",   ".",   "1.", ".5",  "-1",    "1e",        "1e+",   "a",
        "1a", "NaN", "1 ", "0x1", "1e1e1", "1000000.1", "1e999", "99999999999999999999999999"
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        value = 7;
        assert_true(usage_decimal(span_text(good[i].text), 6, 1000000000000, &value));
        if (value != good[i].micro)
            print_error("%s is %llu\n", good[i].text, (unsigned long long)value);
        assert_int_equal(value, good[i].micro);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(usage_decimal(span_text(bad[i]), 6, 1000000000000, &value));
}

/* --- native ---------------------------------------------------------------------------------- */

static void a_report_says_what_it_says(void **state)
{
    struct usage *u =
        parsed(USAGE_NATIVE,
               " {\"reports\" : [ {\"lease\":\"00112233445566778899aabbccddeeff\",\"report\":3,"
               "\"requests\":12,\"model\":\"us.anthropic.claude-3-5-sonnet-20241022-v2:0\","
               "\"input_tokens\":5,\"output_tokens\":6,\"cost\":\"0.0000015\","
               "\"status\":{\"200\":8,\"201\":1,\"404\":1,\"429\":1,\"529\":1},"
               "\"request_ids\":[\"a\",\"b-1\",\"c\",\"d\",\"e\"],\"from\":1764500000.25,"
               "\"to\":\"2026-11-30T10:00:00.000000Z\"} ] } ");
    const struct usage_item *item = &u->items[0];

    (void)state;
    assert_int_equal(u->count, 1);
    assert_null(item->why);
    assert_string_equal(item->lease, "00112233445566778899aabbccddeeff");
    assert_string_equal(item->model, "us.anthropic.claude-3-5-sonnet-20241022-v2:0");
    assert_string_equal(item->ids, "a b-1 c d e");
    assert_int_equal(item->report, 3);
    assert_int_equal(item->requests, 12);
    assert_int_equal(item->cost_nano, 1500);
    assert_int_equal(item->ended[ENDED_WELL], 9);
    assert_int_equal(item->ended[ENDED_CLIENT_ERROR], 1);
    assert_int_equal(item->ended[ENDED_THROTTLED], 1);
    assert_int_equal(item->ended[ENDED_SERVER_ERROR], 1);
    assert_int_equal(item->from_us, 1764500000250000);
    assert_int_equal(u->dropped + item->dropped, 0);
    usage_free(u);
}

static void what_is_left_out_has_a_default(void **state)
{
    struct usage *u = parsed(USAGE_NATIVE, "{\"reports\":[{\"report\":1},{\"report\":2,"
                                           "\"status\":{\"200\":2,\"500\":1}}]}");

    (void)state;
    assert_int_equal(u->items[0].requests, 1);
    assert_string_equal(u->items[0].model, "unknown");
    assert_int_equal(u->items[1].requests, 3);
    usage_free(u);
}

static void a_report_that_is_wrong_is_refused_alone_and_says_why(void **state)
{
    static const char *const wrong[] = {
        "{}",
        "7",
        "[]",
        "{\"report\":0}",
        "{\"report\":-1}",
        "{\"report\":\"1\"}",
        "{\"report\":1,\"report\":1}",
        "{\"report\":1e2}",
        "{\"report\":1.5}",
        "{\"report\":100000000000000}",
        "{\"report\":1,\"lease\":\"xyz\"}",
        "{\"report\":1,\"lease\":7}",
        "{\"report\":1,\"lease\":\"00112233445566778899aabbccddeeff\",\"key\":\"a/b\"}",
        "{\"report\":1,\"key\":\"\"}",
        "{\"report\":1,\"requests\":1000000001}",
        "{\"report\":1,\"model\":\"two words\"}",
        "{\"report\":1,\"model\":\"\"}",
        "{\"report\":1,\"model\":\"m\\u00e9\"}",
        "{\"report\":1,\"cost\":\"1 EUR\"}",
        "{\"report\":1,\"cost\":1000001}",
        "{\"report\":1,\"cost\":null}",
        "{\"report\":1,\"requests\":1,\"status\":{\"200\":2}}",
        "{\"report\":1,\"status\":{\"99\":1}}",
        "{\"report\":1,\"status\":{\"2xx\":1}}",
        "{\"report\":1,\"status\":[200]}",
        "{\"report\":1,\"request_ids\":[\"a b\"]}",
        "{\"report\":1,\"request_ids\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
        "{\"report\":1,\"from\":\"yesterday\"}",
        "{\"report\":1,\"from\":2,\"to\":1}",
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct usage *u;

        snprintf(text, sizeof text, "{\"reports\":[%s,{\"report\":9}]}", wrong[i]);
        u = parsed(USAGE_NATIVE, text);
        if (u->items[0].why == NULL)
            print_error("not refused: %s\n", wrong[i]);
        assert_int_equal(u->count, 2);
        assert_non_null(u->items[0].why);
        assert_null(u->items[1].why);
        usage_free(u);
    }
}

static void a_body_that_is_no_json_is_refused_as_a_whole(void **state)
{
    static const char *const wrong[] = {
        "",
        " ",
        "{",
        "[]",
        "7",
        "{\"reports\":[]}",
        "{\"reports\":{}}",
        "{}",
        "{\"reports\":[{\"report\":1}]",
        "{\"reports\":[{\"report\":1}]} x",
        "{\"reports\":[{\"report\":1},]}",
        "{\"reports\":[{\"report\":1}{\"report\":2}]}",
        "{\"reports\":[{\"report\":01}]}",
        "{\"reports\":[{\"report\":1,}]}",
        "{\"reports\":[{\"report\" 1}]}",
        "{\"reports\":[{\"report\":1,\"x\":\"\\q\"}]}",
        "{\"reports\":[{\"report\":1,\"x\":\"\\u12g4\"}]}",
        "{\"reports\":[{\"report\":1,\"x\":\"\n\"}]}",
        "{\"reports\":[{\"report\":1,\"x\":truth}]}",
        "{\"reports\":[{\"report\":1,\"x\":+1}]}",
        "{\"reports\":[{\"report\":1,\"x\":1.}]}",
        "{\"reports\":[{\"report\":1,\"x\":\"open",
        "{\"reports\":[{report:1}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (refusal(USAGE_NATIVE, wrong[i]) != BAD_INPUT)
            print_error("not refused: %s\n", wrong[i]);
        assert_int_equal(refusal(USAGE_NATIVE, wrong[i]), BAD_INPUT);
    }
}

/* count times `inner` between two texts; the caller frees it. */
static char *repeated(const char *before, const char *inner, size_t count, const char *after)
{
    size_t n = strlen(before) + count * strlen(inner) + strlen(after) + 1;
    char *text = malloc(n), *at = text;

    assert_non_null(text);
    at += snprintf(at, n, "%s", before);
    for (size_t i = 0; i < count; i++)
        at += snprintf(at, n - (size_t)(at - text), "%s", inner);
    snprintf(at, n - (size_t)(at - text), "%s", after);
    return text;
}

static void too_much_is_refused(void **state)
{
    char *fits = repeated("{\"reports\":[{\"report\":1}", ",{\"report\":1}", 63, "]}");
    char *more = repeated("{\"reports\":[{\"report\":1}", ",{\"report\":1}", 64, "]}");
    char *deep = repeated("{\"x\":", "[", 200, "");
    char *many = repeated("[{}", ",{}", 1024, "]");

    (void)state;
    assert_int_equal(refusal(USAGE_NATIVE, fits), OK);
    assert_int_equal(refusal(USAGE_NATIVE, more), LIMIT);
    assert_int_equal(refusal(USAGE_NATIVE, deep), BAD_INPUT);
    assert_int_equal(refusal(USAGE_LITELLM, many), LIMIT);
    free(fits);
    free(more);
    free(deep);
    free(many);
}

static void what_is_not_known_is_dropped_and_counted(void **state)
{
    struct usage *u = parsed(
        USAGE_NATIVE, "{\"user\":\"" SECRET "\",\"reports\":[{\"report\":1,\"prompt\":\"" SECRET
                      "\",\"messages\":[{\"content\":[\"" SECRET "\"]}],\"" SECRET "\":1}]}");

    (void)state;
    assert_int_equal(u->dropped, 1);
    assert_int_equal(u->items[0].dropped, 3);
    assert_null(u->items[0].why);
    assert_false(holds(u, "somebody"));
    usage_free(u);
}

/* --- LiteLLM --------------------------------------------------------------------------------- */

/* As its documentation has it, shortened. */
#define PAYLOAD(more)                                                                              \
    "{\"id\":\"chatcmpl-9\",\"trace_id\":\"t\",\"call_type\":\"acompletion\",\"stream\":false,"    \
    "\"response_cost\":3.5e-05,\"cost_breakdown\":{\"input_cost\":1e-05,\"output_cost\":2.5e-05,"  \
    "\"total_cost\":3.5e-05},\"status\":\"success\",\"total_tokens\":30,\"prompt_tokens\":10,"     \
    "\"completion_tokens\":20,\"startTime\":1764500000.5,\"endTime\":1764500001.75,"               \
    "\"completionStartTime\":1764500001.0,\"response_time\":1.25,\"model_map_information\":{"      \
    "\"model_map_key\":\"gpt-4o\",\"model_map_value\":null},\"model\":\"gpt-4o\","                 \
    "\"model_id\":\"e0\",\"model_group\":\"gpt\",\"api_base\":\"https://api.openai.com\","         \
    "\"metadata\":{\"user_api_key_hash\":null,\"user_api_key_alias\":\"x\",\"requester_metadata\"" \
    ":null},\"cache_hit\":null,\"messages\":[{\"role\":\"user\",\"content\":\"" SECRET "\"}],"     \
    "\"response\":{\"choices\":[{\"message\":{\"content\":\"" SECRET "\"}}]},"                     \
    "\"error_str\":null,\"model_parameters\":{\"temperature\":0.1},"                               \
    "\"hidden_params\":{\"model_id\":\"e0\",\"cache_key\":null}" more "}"

static void a_litellm_payload_is_read_without_what_was_said(void **state)
{
    struct usage *u = parsed(
        USAGE_LITELLM, PAYLOAD(",\"request_tags\":[\"prod\",\"strongroom_key:acme/openai\"]"));
    const struct usage_item *item = &u->items[0];

    (void)state;
    assert_int_equal(u->count, 1);
    assert_string_equal(item->key, "acme/openai");
    assert_string_equal(item->model, "gpt-4o");
    assert_string_equal(item->once, "chatcmpl-9");
    assert_string_equal(item->ids, "chatcmpl-9");
    assert_int_equal(item->cost_nano, 35000);
    assert_int_equal(item->input_tokens, 10);
    assert_int_equal(item->output_tokens, 20);
    assert_int_equal(item->ended[ENDED_WELL], 1);
    assert_int_equal(item->from_us, 1764500000500000);
    assert_int_equal(item->to_us, 1764500001750000);
    assert_int_equal(item->dropped, 2); /* messages, response */
    assert_false(holds(u, "somebody"));
    usage_free(u);
}

static void litellm_sends_an_array_an_object_or_lines(void **state)
{
    static const char *const bodies[] = {
        "[" PAYLOAD("") "," PAYLOAD("") "]",
        PAYLOAD("") "\n" PAYLOAD("") "\n",
        "[" PAYLOAD("") "]\n[" PAYLOAD("") "]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct usage *u = parsed(USAGE_LITELLM, bodies[i]);

        assert_int_equal(u->count, 2);
        usage_free(u);
    }
    assert_int_equal(refusal(USAGE_LITELLM, "7"), BAD_INPUT);
    assert_int_equal(refusal(USAGE_LITELLM, "{} x"), BAD_INPUT);
    assert_int_equal(refusal(USAGE_LITELLM, ""), BAD_INPUT);
    assert_int_equal(refusal(USAGE_LITELLM, "[]"), OK);
}

#define LEASE "00112233445566778899aabbccddeeff"

static void a_litellm_payload_is_joined_by_lease_or_key_wherever_they_stand(void **state)
{
    static const struct {
        const char *text, *lease, *key;
    } rows[] = {
        { "{\"metadata\":{\"strongroom_lease\":\"" LEASE "\"}}", LEASE, "" },
        { "{\"metadata\":{\"requester_metadata\":{\"strongroom_lease\":\"" LEASE "\"}}}", LEASE,
          "" },
        { "{\"metadata\":{\"spend_logs_metadata\":{\"strongroom_key\":\"a/b\"}}}", "", "a/b" },
        { "{\"hidden_params\":{\"strongroom_lease\":\"" LEASE "\"}}", LEASE, "" },
        { "{\"request_tags\":[\"strongroom_lease:" LEASE "\"]}", LEASE, "" },
        { "{\"request_tags\":[\"Credential: a/c\",\"strongroom_key:a/b\"]}", "", "a/b" },
        { "{\"request_tags\":[\"x\",\"Credential: a/c\"]}", "", "a/c" },
        { "{\"request_tags\":[\"Credential: mine\",7,null]}", "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct usage *u = parsed(USAGE_LITELLM, rows[i].text);

        assert_null(u->items[0].why);
        assert_string_equal(u->items[0].lease, rows[i].lease);
        assert_string_equal(u->items[0].key, rows[i].key);
        usage_free(u);
    }
}

static void a_failure_is_counted_by_its_code(void **state)
{
    static const struct {
        const char *code;
        enum usage_ending ending;
    } rows[] = { { "\"429\"", ENDED_THROTTLED },
                 { "401", ENDED_CLIENT_ERROR },
                 { "\"503\"", ENDED_SERVER_ERROR },
                 { "\"\"", ENDED_BADLY },
                 { "null", ENDED_BADLY },
                 { "\"Timeout\"", ENDED_BADLY },
                 { "200", ENDED_BADLY } };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct usage *u;

        snprintf(text, sizeof text,
                 "{\"status\":\"failure\",\"response_cost\":null,\"model\":\"a model, perhaps\","
                 "\"error_information\":{\"error_code\":%s,\"error_message\":\"" SECRET "\"}}",
                 rows[i].code);
        u = parsed(USAGE_LITELLM, text);
        assert_int_equal(u->items[0].ended[rows[i].ending], 1);
        assert_string_equal(u->items[0].model, "other");
        usage_free(u);
    }
}

/* --- OTLP ------------------------------------------------------------------------------------ */

#define TEXT(name, value)   "{\"key\":\"" name "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define NUMBER(name, value) "{\"key\":\"" name "\",\"value\":{\"intValue\":" value "}}"
#define SPAN_OF(attributes)                                                                      \
    "{\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"spanId\":\"EEE19B7EC3C1B174\","         \
    "\"parentSpanId\":\"EEE19B7EC3C1B173\",\"name\":\"chat gpt-5\","                             \
    "\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":\"1544712661000000000\"," \
    "\"kind\":2,\"attributes\":[" attributes "]}"
#define RESOURCE                                                                           \
    "\"resource\":{\"attributes\":[" TEXT("service.name", "gw") "," TEXT("strongroom.key", \
                                                                         "acme/openai") "]}"
#define SCOPE(spans) \
    "\"scopeSpans\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1\"},\"spans\":[" spans "]}]"
#define TRACE(inner) "{\"resourceSpans\":[{" inner "}]}"

static void a_span_of_a_call_is_read_by_its_attributes(void **state)
{
    static const char *const bodies[] = {
        TRACE(RESOURCE "," SCOPE(SPAN_OF(
            TEXT("gen_ai.operation.name", "chat") "," TEXT("gen_ai.request.model", "gpt-5") "," TEXT(
                "gen_ai.response.model",
                "gpt-5-2025") "," TEXT("gen_ai.response.id",
                                       "r-1") "," NUMBER("gen_ai.usage.input_tokens",
                                                         "\"100\"") "," NUMBER("gen_ai.usage.output_tokens",
                                                                               "20") ","
                                                                                     "{\"key\":\"gen_ai.usage.cost\",\"value\":{\"doubleValue\":0.25}}," TEXT(
                                                                                         "gen_ai.input.messages",
                                                                                         SECRET)))),
        /* the resource behind its spans, the value before its name, the names of before */
        TRACE(SCOPE(SPAN_OF(TEXT("gen_ai.response.model", "gpt-5-2025") "," TEXT(
            "gen_ai.request.model",
            "gpt-5") ","
                     "{\"value\":{\"stringValue\":\"r-1\"},\"key\":\"gen_ai.response.id\"}," NUMBER(
                         "gen_ai.usage.prompt_tokens",
                         "100") "," NUMBER("gen_ai.usage.completion_tokens",
                                           "\"20\"") "," TEXT("strongroom.cost",
                                                              "0.25") "," TEXT("gen_ai.prompt.0.content",
                                                                               SECRET))) "," RESOURCE),
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct usage *u = parsed(USAGE_TRACES, bodies[i]);
        const struct usage_item *item = &u->items[0];

        assert_int_equal(u->count, 1);
        assert_string_equal(item->key, "acme/openai");
        assert_string_equal(item->model, "gpt-5-2025");
        assert_string_equal(item->ids, "r-1");
        assert_string_equal(item->once, "5B8EFFF798038103D269B633813FC60C:EEE19B7EC3C1B174");
        assert_int_equal(item->input_tokens, 100);
        assert_int_equal(item->output_tokens, 20);
        assert_int_equal(item->cost_nano, 250000000);
        assert_int_equal(item->from_us, 1544712660000000);
        assert_int_equal(item->to_us, 1544712661000000);
        assert_int_equal(item->ended[ENDED_WELL], 1);
        assert_int_equal(item->dropped, 1);
        assert_false(holds(u, "somebody"));
        usage_free(u);
    }
}

static void spans_that_are_no_calls_are_passed_over(void **state)
{
    struct usage *u =
        parsed(USAGE_TRACES,
               TRACE(RESOURCE "," SCOPE(SPAN_OF(TEXT("http.request.method", "GET")) "," SPAN_OF(
                   TEXT("gen_ai.operation.name", "invoke_agent") "," NUMBER(
                       "gen_ai.usage.input_tokens",
                       "100")) "," SPAN_OF(TEXT("gen_ai.operation.name", "execute_tool")))));

    (void)state;
    assert_int_equal(u->count, 0);
    usage_free(u);
}

static void a_span_that_failed_says_how(void **state)
{
    static const struct {
        const char *body;
        enum usage_ending ending;
    } rows[] = {
        { TRACE(SCOPE(SPAN_OF(
              TEXT("gen_ai.system", "openai") "," NUMBER("http.response.status_code", "429")))),
          ENDED_THROTTLED },
        { TRACE(SCOPE(SPAN_OF(TEXT("gen_ai.system", "openai") "," TEXT("error.type", "500")))),
          ENDED_SERVER_ERROR },
        { TRACE(SCOPE(SPAN_OF(TEXT("gen_ai.system", "openai") "," TEXT("error.type", "timeout")))),
          ENDED_BADLY },
        { TRACE(SCOPE("{\"status\":{\"code\":2,\"message\":\"" SECRET
                      "\"},\"attributes\":[" TEXT("gen_ai.system", "openai") "]}")),
          ENDED_BADLY },
        { TRACE(SCOPE("{\"status\":{\"code\":\"STATUS_CODE_ERROR\"},\"attributes\":[" TEXT(
              "gen_ai.system", "openai") "]}")),
          ENDED_BADLY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct usage *u = parsed(USAGE_TRACES, rows[i].body);

        assert_int_equal(u->count, 1);
        assert_int_equal(u->items[0].ended[rows[i].ending], 1);
        assert_false(holds(u, "somebody"));
        usage_free(u);
    }
}

static void a_log_record_counts_if_it_tells_of_tokens_or_cost(void **state)
{
    struct usage *u = parsed(
        USAGE_LOGS,
        "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":["
        "{\"timeUnixNano\":\"1544712660300000000\",\"body\":{\"stringValue\":\"" SECRET "\"},"
        "\"attributes\":[" TEXT("gen_ai.system", "openai") "," TEXT(
            "strongroom.lease_id",
            LEASE) "," NUMBER("gen_ai.usage.input_tokens",
                              "\"7\"") "]},"
                                       "{\"body\":{\"stringValue\":\"" SECRET
                                       "\"},\"attributes\":[" TEXT("gen_ai.system",
                                                                   "openai") "]}]}]}]}");

    (void)state;
    assert_int_equal(u->count, 1);
    assert_string_equal(u->items[0].lease, LEASE);
    assert_string_equal(u->items[0].once, "");
    assert_int_equal(u->items[0].dropped, 1);
    assert_false(holds(u, "somebody"));
    usage_free(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_read_without_binary_fractions),
        cmocka_unit_test(a_report_says_what_it_says),
        cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(a_report_that_is_wrong_is_refused_alone_and_says_why),
        cmocka_unit_test(a_body_that_is_no_json_is_refused_as_a_whole),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(what_is_not_known_is_dropped_and_counted),
        cmocka_unit_test(a_litellm_payload_is_read_without_what_was_said),
        cmocka_unit_test(litellm_sends_an_array_an_object_or_lines),
        cmocka_unit_test(a_litellm_payload_is_joined_by_lease_or_key_wherever_they_stand),
        cmocka_unit_test(a_failure_is_counted_by_its_code),
        cmocka_unit_test(a_span_of_a_call_is_read_by_its_attributes),
        cmocka_unit_test(spans_that_are_no_calls_are_passed_over),
        cmocka_unit_test(a_span_that_failed_says_how),
        cmocka_unit_test(a_log_record_counts_if_it_tells_of_tokens_or_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
