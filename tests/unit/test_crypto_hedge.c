/* With a random generator that always gives the same bytes, no key seals two messages. */
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/crypto.h"

#define CHECK_OK(call) assert_string_equal(status_name(call), status_name(OK))
#define MESSAGES       3000
#define STUCK          0x5a

static const uint8_t kek[32] = { 0x4b, 0x45, 0x4b };

static const char *stuck_name(void)
{
    return "stuck";
}

static uint32_t stuck_random(void)
{
    return 0x01010101U * STUCK;
}

static void stuck_buffer(void *const out, const size_t n)
{
    memset(out, STUCK, n);
}

static struct randombytes_implementation stuck = {
    .implementation_name = stuck_name,
    .random = stuck_random,
    .buf = stuck_buffer,
};

static int start_slab_with_a_stuck_generator(void **state)
{
    (void)state;
    if (randombytes_set_implementation(&stuck) != 0)
        return -1;
    return secret_start((size_t)256 * 1024, NULL) == OK ? 0 : -1;
}

static void seal_number(uint32_t message, uint32_t context, uint8_t sealed[4 + SEAL_OVERHEAD])
{
    uint8_t plain[4];
    uint8_t aad[4];
    struct out o;

    out_init(&o, plain, sizeof(plain));
    out_u32(&o, message);
    out_init(&o, aad, sizeof(aad));
    out_u32(&o, context);
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(plain), sealed, NULL));
}

static void the_generator_is_stuck_indeed(void **state)
{
    uint8_t bytes[2] = { 0 };

    (void)state;
    random_bytes((struct mspan){ bytes, sizeof(bytes) });
    assert_int_equal(bytes[0], STUCK);
    assert_int_equal(bytes[1], STUCK);
}

static void the_salt_is_a_mac_over_randomness_context_and_content(void **state)
{
    static const char plain[] = "sk-test";
    static const char aad[] = "context";
    uint8_t sealed[sizeof(plain) + SEAL_OVERHEAD];
    uint8_t fixed[32]; /* both the process key and the message's randomness */
    uint8_t digest[SHA256_SIZE];
    uint8_t expected[MAC_SIZE];
    struct label l;

    (void)state;
    memset(fixed, STUCK, sizeof(fixed));
    label_init(&l, "hedge");
    label_field(&l, SPAN(fixed));
    sha256(SPAN(aad), digest);
    label_field(&l, SPAN(digest));
    sha256(SPAN(plain), digest);
    label_field(&l, SPAN(digest));
    hmac_sha256(SPAN(fixed), label_view(&l), expected);
    CHECK_OK(crypto_seal(SPAN(kek), 7, SPAN(aad), SPAN(plain), sealed, NULL));
    assert_memory_equal(sealed + 8, expected, sizeof(expected));
}

static void different_messages_or_contexts_still_get_different_salts(void **state)
{
    static uint8_t salts[2 * MESSAGES][32];

    (void)state;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        uint8_t sealed[4 + SEAL_OVERHEAD];

        seal_number(i, 0, sealed);
        memcpy(salts[2 * i], sealed + 8, 32);
        seal_number(0, i + 1, sealed);
        memcpy(salts[2 * i + 1], sealed + 8, 32);
    }
    for (size_t i = 0; i < 2 * MESSAGES; i++) {
        for (size_t k = 0; k < i; k++) {
            if (memcmp(salts[i], salts[k], 32) == 0)
                assert_int_equal(i, k);
        }
    }
}

static void the_same_message_only_repeats_its_ciphertext(void **state)
{
    uint8_t a[4 + SEAL_OVERHEAD];
    uint8_t b[4 + SEAL_OVERHEAD];

    (void)state;
    seal_number(1, 1, a);
    seal_number(1, 1, b);
    assert_memory_equal(a, b, sizeof(a));
}

static void a_forked_child_makes_a_salt_key_of_its_own(void **state)
{
    int how = 0;
    pid_t child = 0;
    uint8_t sealed[4 + SEAL_OVERHEAD];

    (void)state;
    seal_number(1, 1, sealed);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Touching the parent's key would crash: its memory is not here. */
        if (secret_start(64 * 1024, NULL) != OK)
            _exit(1);
        if (crypto_seal(SPAN(kek), 7, span_of(NULL, 0), SPAN(kek), (uint8_t[SEALED_KEY_SIZE]){ 0 },
                        NULL) != OK)
            _exit(2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    seal_number(1, 1, sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_stuck_indeed),
        cmocka_unit_test(the_salt_is_a_mac_over_randomness_context_and_content),
        cmocka_unit_test(different_messages_or_contexts_still_get_different_salts),
        cmocka_unit_test(the_same_message_only_repeats_its_ciphertext),
        cmocka_unit_test(a_forked_child_makes_a_salt_key_of_its_own),
    };

    return cmocka_run_group_tests(tests, start_slab_with_a_stuck_generator, NULL);
}
