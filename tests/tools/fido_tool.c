/*
 * The fido module on the command line, for tests. Prints "name value" lines, and for a failure
 *   status <name>, why <sentence>, detail <number>, tries <number>
 * with exit code 1. SIGINT cancels, as in the shipped program. The PIN comes from the environment.
 *
 *   fido_tool enrol  DEVICE HASH
 *   fido_tool assert DEVICE ID PUBLIC HASH SALT SALT_NEXT [again]
 *   fido_tool has    DEVICE ID PUBLIC
 *   fido_tool unlock DEVICE HASH SALT SALT_NEXT      enrol and assert with one PIN
 *   fido_tool verify PUBLIC HASH AUTH_DATA SIGNATURE
 *   fido_tool open   DEVICE                          "-": the only one plugged in
 */
#include "fido/fido.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fido_device *device;

static void stop(int number)
{
    (void)number;
    if (device != NULL)
        fido_cancel(device);
}

static int failed(const struct err *e)
{
    printf("status %s\nwhy %s\ndetail %lld\ntries %d\n", status_name(e->code), e->why,
           (long long)e->detail, fido_tries_left(e));
    return 1;
}

static void show(const char *name, struct span bytes)
{
    char hex[2 * FIDO_AUTH_DATA_MAX + LIMIT_CREDENTIAL_ID + 1];

    hex_format(bytes, hex);
    printf("%s %s\n", name, hex);
}

static size_t parse(const char *hex, uint8_t *out, size_t cap)
{
    size_t n = strlen(hex) / 2;

    if (n > cap || !hex_parse(hex, strlen(hex), out, n)) {
        fprintf(stderr, "bad hex: %s\n", hex);
        exit(2);
    }
    return n;
}

static void say(void *context, const char *text)
{
    (void)context;
    printf("say %s\n", text);
    fflush(stdout);
}

static status ask(void *context, int retries_left, struct secret **ret_pin, struct err *e)
{
    const char *pin = getenv("FIDO_TOOL_PIN");

    (void)context;
    printf("asked %d\n", retries_left);
    return secret_copy(span_text(pin != NULL ? pin : ""), ret_pin, e);
}

static const struct fido_ui ui = { .say = say, .pin = ask };

static int enrol(const char *hash_hex, struct fido_credential *credential)
{
    uint8_t hash[64];
    struct err e = { 0 };
    size_t n = parse(hash_hex, hash, sizeof hash);

    if (fido_enrol(device, &ui, "ann", span_of(hash, n), credential, &e) != OK)
        return failed(&e);
    show("id", span_of(credential->id, credential->id_length));
    show("public", SPAN(credential->cose_public));
    show("aaguid", SPAN(credential->aaguid));
    return 0;
}

/* argv: HASH SALT SALT_NEXT */
static int assertion(const struct fido_credential *credential, char **argv)
{
    uint8_t hash[64], salt[64], next[64];
    struct fido_assertion a;
    AUTO(secret) *secrets = NULL;
    struct err e = { 0 };
    size_t hash_n = parse(argv[0], hash, sizeof hash), salt_n = parse(argv[1], salt, sizeof salt);
    size_t next_n = parse(argv[2], next, sizeof next);

    if (fido_assert(device, &ui, credential, span_of(hash, hash_n), span_of(salt, salt_n),
                    span_of(next, next_n), &a, &secrets, &e) != OK)
        return failed(&e);
    show("auth", span_of(a.auth_data, a.auth_data_length));
    show("signature", span_of(a.signature, a.signature_length));
    show("secrets", secret_view(secrets));
    return 0;
}

static int verify(char **argv)
{
    uint8_t public[64], hash[64];
    struct fido_assertion a;
    struct err e = { 0 };
    size_t hash_n = parse(argv[1], hash, sizeof hash);

    parse(argv[0], public, sizeof public);
    a.auth_data_length = parse(argv[2], a.auth_data, sizeof a.auth_data);
    a.signature_length = parse(argv[3], a.signature, sizeof a.signature);
    if (fido_verify(public, span_of(hash, hash_n), &a, &e) != OK)
        return failed(&e);
    puts("good yes");
    return 0;
}

static int on_device(const char *command, int argc, char **argv)
{
    struct fido_credential credential = { 0 };
    int code;

    if (strcmp(command, "open") == 0)
        return 0;
    if (strcmp(command, "enrol") == 0 && argc == 1)
        return enrol(argv[0], &credential);
    if (strcmp(command, "unlock") == 0 && argc == 3) {
        code = enrol(argv[0], &credential);
        return code != 0 ? code : assertion(&credential, argv);
    }
    if (argc < 2)
        return 2;
    credential.id_length = parse(argv[0], credential.id, sizeof credential.id);
    parse(argv[1], credential.cose_public, sizeof credential.cose_public);
    if (strcmp(command, "has") == 0) {
        printf("has %s\n", fido_has(device, &credential) ? "yes" : "no");
        return 0;
    }
    if (strcmp(command, "assert") != 0 || argc < 5)
        return 2;
    code = assertion(&credential, argv + 2);
    if (argc == 6) /* on the same open device: what a failure left behind shows here */
        code = assertion(&credential, argv + 2);
    return code;
}

int main(int argc, char **argv)
{
    const struct sigaction action = { .sa_handler = stop };
    struct err e = { 0 };
    int code;

    if (secret_start((size_t)1 << 18, &e) != OK)
        return failed(&e);
    if (argc == 6 && strcmp(argv[1], "verify") == 0)
        return verify(argv + 2);
    if (argc < 3)
        return 2;
    sigaction(SIGINT, &action, NULL);
    if (fido_open(strcmp(argv[2], "-") == 0 ? NULL : argv[2], &device, &e) != OK)
        return failed(&e);
    puts("opened yes");
    code = on_device(argv[1], argc - 3, argv + 3);
    fido_close(device);
    if (secret_in_use() != 0)
        return 3;
    return code;
}
