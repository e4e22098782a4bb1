/*
 * Our own format, byte for byte: strongroom_v1.json is made by check_vectors.py, which shares
 * no code with the product. A value that differs here means that stored data would not open
 * any more: that needs a new format version, not a new vector.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "wire/delivery.h"

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif

#define CHECK_OK(call) assert_string_equal(status_name(call), status_name(OK))
#define MAX_VALUE      8192

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors =
        json_load_file(SOURCE_DIR "/tests/golden/strongroom_v1.json", JSON_REJECT_DUPLICATES, NULL);
    return vectors != NULL && secret_start((size_t)256 * 1024, NULL) == OK ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return secret_in_use() == 0 ? 0 : -1; /* nothing here uses the salt's process key */
}

/* A decoded hex value of a row. */
struct value {
    uint8_t bytes[MAX_VALUE];
    size_t size;
};

static struct span decode(const json_t *text, struct value *v)
{
    size_t n = json_string_length(text);

    assert_true(json_is_string(text));
    v->size = n / 2;
    assert_true(v->size <= sizeof(v->bytes));
    assert_true(hex_parse(json_string_value(text), n, v->bytes, v->size));
    return span_of(v->bytes, v->size);
}

static struct span value_of(const json_t *row, const char *name, struct value *v)
{
    return decode(json_object_get(row, name), v);
}

static void check_same(const json_t *row, struct span got, const char *name)
{
    struct value expected;
    bool same = span_same(got, value_of(row, name, &expected));

    if (!same)
        print_error("%s of \"%s\" differs\n", name,
                    json_string_value(json_object_get(row, "name")));
    assert_true(same);
}

static struct label label_of(const json_t *row)
{
    const json_t *fields = json_object_get(row, "fields");
    struct value v;
    struct label l;

    label_init(&l, json_string_value(json_object_get(row, "purpose")));
    for (size_t i = 0; i < json_array_size(fields); i++)
        label_field(&l, decode(json_array_get(fields, i), &v));
    return l;
}

/* Calls check for every row of a group, which must have as many as were written. */
static void for_each_row(const char *group, size_t count, void (*check)(const json_t *row))
{
    const json_t *rows = json_object_get(vectors, group);

    assert_int_equal(json_array_size(rows), count);
    for (size_t i = 0; i < count; i++)
        check(json_array_get(rows, i));
}

static void check_label(const json_t *row)
{
    const struct label l = label_of(row);

    check_same(row, label_view(&l), "bytes");
}

static void check_derive(const json_t *row)
{
    const struct label l = label_of(row);
    size_t length = (size_t)json_integer_value(json_object_get(row, "length"));
    AUTO(secret) *derived = NULL;
    struct value key;

    CHECK_OK(crypto_derive(value_of(row, "key", &key), &l, length, &derived, NULL));
    check_same(row, secret_view(derived), "output");
}

static void check_mac(const json_t *row)
{
    const struct label l = label_of(row);
    uint8_t mac[MAC_SIZE];
    struct value key;
    struct value in;

    CHECK_OK(crypto_mac(value_of(row, "key", &key), &l, value_of(row, "in", &in), mac, NULL));
    check_same(row, SPAN(mac), "mac");
}

static void check_pad(const json_t *row)
{
    AUTO(secret) *s = NULL;
    struct value plain;

    CHECK_OK(crypto_pad(value_of(row, "plain", &plain), &s, NULL));
    check_same(row, secret_view(s), "padded");
    CHECK_OK(crypto_unpad(s, NULL));
    check_same(row, secret_view(s), "plain");
}

static void check_seal(const json_t *row)
{
    static uint8_t sealed[MAX_VALUE];
    static struct value kek;
    static struct value aad;
    static struct value plain;
    static struct value salt;
    uint32_t epoch = (uint32_t)json_integer_value(json_object_get(row, "epoch"));
    AUTO(secret) *opened = NULL;
    struct span in = value_of(row, "plain", &plain);
    struct span context = value_of(row, "aad", &aad);

    value_of(row, "kek", &kek);
    assert_true(in.n + SEAL_OVERHEAD <= sizeof(sealed));
    CHECK_OK(crypto_seal_with_salt(span_of(kek.bytes, kek.size), epoch, context, in,
                                   value_of(row, "salt", &salt), sealed, NULL));
    check_same(row, span_of(sealed, in.n + SEAL_OVERHEAD), "sealed");
    CHECK_OK(crypto_open(span_of(kek.bytes, kek.size), context,
                         span_of(sealed, in.n + SEAL_OVERHEAD), &opened, NULL));
    check_same(row, secret_view(opened), "plain");
}

/* The salt as the format describes it; that crypto_seal makes it so is a unit test's matter. */
static void check_hedge(const json_t *row)
{
    struct value key;
    struct value v;
    uint8_t digest[SHA256_SIZE];
    uint8_t salt[MAC_SIZE];
    struct label l;

    label_init(&l, "hedge");
    label_field(&l, value_of(row, "random", &v));
    sha256(value_of(row, "aad", &v), digest);
    label_field(&l, SPAN(digest));
    sha256(value_of(row, "plain", &v), digest);
    label_field(&l, SPAN(digest));
    CHECK_OK(crypto_mac(value_of(row, "key", &key), &l, span_of(NULL, 0), salt, NULL));
    check_same(row, SPAN(salt), "salt");
}

static void copy_value(const json_t *row, const char *name, uint8_t *out, size_t n)
{
    struct value v;

    assert_int_equal(value_of(row, name, &v).n, n);
    memcpy(out, v.bytes, n);
}

static void check_delivery(const json_t *row)
{
    static struct value sealed;
    struct wire_delivery d = { .sealed = value_of(row, "sealed", &sealed) };
    uint8_t bytes[DELIVERY_SIGNED_MAX], signature[ED25519_SIGNATURE_SIZE], seed[32];
    uint8_t numbers[4 + 8];
    struct in i = in_of(SPAN(numbers));
    struct out o;

    copy_value(row, "vault", d.vault.b, 16);
    copy_value(row, "lease", d.lease.b, 16);
    copy_value(row, "gateway", d.gateway.b, 16);
    copy_value(row, "certificate", d.certificate, 32);
    copy_value(row, "nonce", d.nonce, 32);
    copy_value(row, "key", d.key.b, 16);
    copy_value(row, "version", numbers, 4);
    copy_value(row, "expires", numbers + 4, 8);
    copy_value(row, "seed", seed, 32);
    d.version = in_u32(&i);
    d.expires_us = in_u64(&i);
    out_init(&o, bytes, sizeof(bytes));
    wire_delivery_signed(&d, &o);
    assert_false(o.overflow);
    check_same(row, span_of(o.p, o.n), "signed");
    ed25519_sign(SPAN(seed), span_of(o.p, o.n), signature);
    check_same(row, SPAN(signature), "signature");
}

static void labels_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("label", 9, check_label);
}

static void derived_keys_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("derive", 7, check_derive);
}

static void macs_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("mac", 3, check_mac);
}

static void padded_keys_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("pad", 5, check_pad);
}

static void sealed_values_have_the_bytes_of_the_format_and_open(void **state)
{
    (void)state;
    for_each_row("seal", 5, check_seal);
}

static void salts_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("hedge", 2, check_hedge);
}

static void signed_deliveries_have_the_bytes_of_the_format(void **state)
{
    (void)state;
    for_each_row("delivery", 2, check_delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_have_the_bytes_of_the_format),
        cmocka_unit_test(derived_keys_have_the_bytes_of_the_format),
        cmocka_unit_test(macs_have_the_bytes_of_the_format),
        cmocka_unit_test(padded_keys_have_the_bytes_of_the_format),
        cmocka_unit_test(sealed_values_have_the_bytes_of_the_format_and_open),
        cmocka_unit_test(salts_have_the_bytes_of_the_format),
        cmocka_unit_test(signed_deliveries_have_the_bytes_of_the_format),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
