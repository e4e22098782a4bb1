/* Signatures: deterministic, strict about sizes, and broken by any change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"

static const uint8_t seed[32] = { 0x53, 0x45, 0x45, 0x44 };
static const uint8_t message[] = "strongroom.example/t/acme\n2\nWgKY4I\n";

static int start_slab(void **state)
{
    (void)state;
    return secret_start((size_t)64 * 1024, NULL) == OK ? 0 : -1;
}

static void a_signature_verifies_under_the_key_of_its_seed(void **state)
{
    uint8_t public_key[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];

    (void)state;
    ed25519_public(SPAN(seed), public_key);
    ed25519_sign(SPAN(seed), SPAN(message), signature);
    assert_true(ed25519_verify(SPAN(public_key), SPAN(message), SPAN(signature)));
    ed25519_sign(SPAN(seed), span_of(NULL, 0), signature);
    assert_true(ed25519_verify(SPAN(public_key), span_of(NULL, 0), SPAN(signature)));
    assert_false(ed25519_verify(SPAN(public_key), SPAN(message), SPAN(signature)));
}

static void signing_twice_gives_the_same_bytes(void **state)
{
    uint8_t a[ED25519_SIGNATURE_SIZE];
    uint8_t b[ED25519_SIGNATURE_SIZE];

    (void)state;
    ed25519_sign(SPAN(seed), SPAN(message), a);
    ed25519_sign(SPAN(seed), SPAN(message), b);
    assert_memory_equal(a, b, sizeof(a));
}

static void any_changed_bit_breaks_a_signature(void **state)
{
    uint8_t public_key[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t text[sizeof(message)];

    (void)state;
    memcpy(text, message, sizeof(text));
    ed25519_public(SPAN(seed), public_key);
    ed25519_sign(SPAN(seed), SPAN(message), signature);
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(ed25519_verify(SPAN(public_key), SPAN(text), SPAN(signature)));
        signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof(public_key); bit++) {
        public_key[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(ed25519_verify(SPAN(public_key), SPAN(text), SPAN(signature)));
        public_key[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] ^= 1;
        assert_false(ed25519_verify(SPAN(public_key), SPAN(text), SPAN(signature)));
        text[i] ^= 1;
    }
    assert_true(ed25519_verify(SPAN(public_key), SPAN(text), SPAN(signature)));
}

static void keys_and_signatures_of_another_size_are_invalid(void **state)
{
    uint8_t public_key[33] = { 0 };
    uint8_t signature[ED25519_SIGNATURE_SIZE + 1] = { 0 };

    (void)state;
    ed25519_public(SPAN(seed), public_key);
    ed25519_sign(SPAN(seed), SPAN(message), signature);
    assert_true(ed25519_verify(span_of(public_key, 32), SPAN(message), span_of(signature, 64)));
    assert_false(ed25519_verify(span_of(public_key, 33), SPAN(message), span_of(signature, 64)));
    assert_false(ed25519_verify(span_of(public_key, 31), SPAN(message), span_of(signature, 64)));
    assert_false(ed25519_verify(span_of(public_key, 32), SPAN(message), span_of(signature, 65)));
    assert_false(ed25519_verify(span_of(public_key, 32), SPAN(message), span_of(signature, 63)));
    assert_false(ed25519_verify(span_of(NULL, 0), SPAN(message), span_of(NULL, 0)));
}

/* Adds the group order to the second half: the same signature to a lax verifier. */
static void a_second_form_of_a_valid_signature_is_refused(void **state)
{
    static const uint8_t order[32] = {
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,        0xd6,
        0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10,
    };
    uint8_t public_key[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    unsigned carry = 0;

    (void)state;
    ed25519_public(SPAN(seed), public_key);
    ed25519_sign(SPAN(seed), SPAN(message), signature);
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_false(ed25519_verify(SPAN(public_key), SPAN(message), SPAN(signature)));
}

static void a_degenerate_public_key_verifies_nothing(void **state)
{
    static const uint8_t identity[32] = { 1 };
    static const uint8_t zero[32];
    uint8_t signature[ED25519_SIGNATURE_SIZE] = { 1 }; /* R = identity, S = 0 */

    (void)state;
    assert_false(ed25519_verify(SPAN(identity), SPAN(message), SPAN(signature)));
    assert_false(ed25519_verify(SPAN(zero), SPAN(message), SPAN(signature)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_verifies_under_the_key_of_its_seed),
        cmocka_unit_test(signing_twice_gives_the_same_bytes),
        cmocka_unit_test(any_changed_bit_breaks_a_signature),
        cmocka_unit_test(keys_and_signatures_of_another_size_are_invalid),
        cmocka_unit_test(a_second_form_of_a_valid_signature_is_refused),
        cmocka_unit_test(a_degenerate_public_key_verifies_nothing),
    };

    return cmocka_run_group_tests(tests, start_slab, NULL);
}
