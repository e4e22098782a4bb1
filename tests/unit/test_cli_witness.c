/* What a witness answers, read as C2SP tlog-witness says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../cli/witness.c"

#include "crypto/crypto.h"

#define BODY "strongroom/a/b\n12\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define NAME "witness.example/w1"

static struct note_key key_of(const uint8_t seed[32])
{
    struct note_key key;
    uint8_t public32[32];

    ed25519_public(span_of(seed, 32), public32);
    assert_int_equal(note_key_set(&key, span_text(NAME), NOTE_COSIGNATURE, SPAN(public32), NULL),
                     OK);
    return key;
}

/* A cosignature line over BODY, with its newline. */
static void cosign(const uint8_t seed[32], uint64_t time_s, char out[512])
{
    struct note_key key = key_of(seed);
    uint8_t blob[4 + 8 + 64];
    char message[512], text[128];
    int n = snprintf(message, sizeof(message), "cosignature/v1\ntime %llu\n" BODY,
                     (unsigned long long)time_s);

    memcpy(blob, key.id, 4);
    for (size_t i = 0; i < 8; i++)
        blob[4 + i] = (uint8_t)(time_s >> (56 - 8 * i));
    ed25519_sign(span_of(seed, 32), span_of(message, (size_t)n), blob + 12);
    base64_format(SPAN(blob), text);
    snprintf(out, 512, "\xe2\x80\x94 " NAME " %s\n", text);
}

static void the_size_is_the_second_line_of_a_checkpoint(void **state)
{
    static const char *const bad[] = { "",        "a",
                                       "a\n",     "a\n12",
                                       "a\n\n",   "a\n1x\n",
                                       "a\n-1\n", "a\n123456789012345678901234567890\n" };
    uint64_t size = 0;

    (void)state;
    assert_true(witness_size(span_text(BODY), &size));
    assert_int_equal(size, 12);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(witness_size(span_text(bad[i]), &size));
}

static enum witness_verdict verdict(long http_status, const char *type, const char *body,
                                    uint64_t *size)
{
    struct witness_answer a = { .status = http_status, .body = span_text(body) };

    snprintf(a.type, sizeof(a.type), "%s", type);
    return witness_verdict(&a, size);
}

static void each_answer_has_its_meaning(void **state)
{
    uint64_t size = 0;

    (void)state;
    assert_int_equal(verdict(200, "", "", &size), WITNESS_SIGNED);
    assert_int_equal(verdict(403, "", "", &size), WITNESS_NO_KEY);
    assert_int_equal(verdict(404, "", "", &size), WITNESS_NO_LOG);
    assert_int_equal(verdict(422, "", "", &size), WITNESS_FORK);
    assert_int_equal(verdict(429, "", "", &size), WITNESS_BUSY);
    assert_int_equal(verdict(503, "", "", &size), WITNESS_BUSY);
    assert_int_equal(verdict(400, "", "", &size), WITNESS_MISFIT);
    assert_int_equal(verdict(301, "", "", &size), WITNESS_MISFIT);
    assert_int_equal(verdict(409, "text/x.tlog.size", "34\n", &size), WITNESS_OTHER_SIZE);
    assert_int_equal(size, 34);
    assert_int_equal(verdict(409, "text/plain", "34\n", &size), WITNESS_FORK);
    assert_int_equal(verdict(409, "text/x.tlog.size", "34", &size), WITNESS_FORK);
    assert_int_equal(verdict(409, "text/x.tlog.size", "\n", &size), WITNESS_FORK);
    assert_int_equal(verdict(409, "text/x.tlog.size", "x\n", &size), WITNESS_FORK);
}

static void only_a_good_line_of_the_witness_counts(void **state)
{
    static const uint8_t seed[32] = { 1 }, other[32] = { 2 };
    const char note[] = BODY "\n\xe2\x80\x94 strongroom/a/b AAAAAAAAAAAA\n";
    struct note_key key = key_of(seed);
    char good[512], strange[512], answer[1200];
    struct span line = { 0 };
    uint64_t time_s = 0;

    (void)state;
    cosign(seed, 1679315147, good);
    cosign(other, 1679315147, strange);
    snprintf(answer, sizeof(answer), "%s%s", strange, good);
    assert_int_equal(witness_line(span_text(answer), span_text(note), &key, &line, &time_s, NULL),
                     OK);
    assert_int_equal(time_s, 1679315147);
    assert_int_equal(line.n, strlen(good) - 1);
    assert_memory_equal(line.p, good, line.n);
    assert_int_equal(witness_line(span_text(strange), span_text(note), &key, &line, &time_s, NULL),
                     CORRUPT);
    good[strlen(good) - 8] ^= 1;
    assert_int_equal(witness_line(span_text(good), span_text(note), &key, &line, &time_s, NULL),
                     CORRUPT);
    good[strlen(good) - 8] ^= 1;
    good[strlen(good) - 1] = '\0'; /* cut off */
    assert_int_equal(witness_line(span_text(good), span_text(note), &key, &line, &time_s, NULL),
                     CORRUPT);
    assert_int_equal(witness_line(span_text(""), span_text(note), &key, &line, &time_s, NULL),
                     CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_is_the_second_line_of_a_checkpoint),
        cmocka_unit_test(each_answer_has_its_meaning),
        cmocka_unit_test(only_a_good_line_of_the_witness_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
