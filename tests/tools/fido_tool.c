/*
 * The fido module on the command line, for tests. Prints "name value" lines, and for a failure
 *   status <name>, why <sentence>, detail <number>, tries <number>
 * with exit code 1. SIGINT cancels, as in the shipped program. The PIN comes from the environment.
 * DEVICE "-": without a path.
 *
 *   fido_tool enrol  DEVICE HASH [ID PUBLIC]...      excluding these
 *   fido_tool assert DEVICE ID PUBLIC HASH SALT SALT_NEXT [again]
 *   fido_tool has    DEVICE ID PUBLIC
 *   fido_tool find   DEVICE [ID PUBLIC]...           opens the key that has one of them
 *   fido_tool unlock DEVICE HASH SALT SALT_NEXT      enrol and assert with one PIN
 *   fido_tool verify PUBLIC HASH AUTH_DATA SIGNATURE
 *   fido_tool open   DEVICE
 *   fido_tool list
 */
#include "fido/fido.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREDENTIALS_MAX 16

static struct fido_device *device;
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static bool cancelled(void *context)
{
    (void)context;
    return stopped != 0;
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

static const struct fido_ui ui = { .say = say, .pin = ask, .cancelled = cancelled };

/* [ID PUBLIC]... */
static size_t parse_credentials(int argc, char **argv, struct fido_credential *out)
{
    size_t n = 0;

    for (int i = 0; i + 1 < argc && n < CREDENTIALS_MAX; i += 2, n++) {
        out[n].id_length = parse(argv[i], out[n].id, sizeof out[n].id);
        parse(argv[i + 1], out[n].cose_public, sizeof out[n].cose_public);
    }
    return n;
}

/* argv: HASH [ID PUBLIC]... */
static int enrol(int argc, char **argv, struct fido_credential *credential)
{
    struct fido_credential exclude[CREDENTIALS_MAX];
    size_t count = parse_credentials(argc - 1, argv + 1, exclude);
    uint8_t hash[64];
    struct err e = { 0 };
    size_t n = parse(argv[0], hash, sizeof hash);

    if (fido_enrol(device, "ann", span_of(hash, n), exclude, count, credential, &e) != OK)
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

    if (fido_assert(device, credential, span_of(hash, hash_n), span_of(salt, salt_n),
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

static int list(void)
{
    struct fido_key keys[FIDO_KEYS_MAX];
    struct err e = { 0 };
    size_t count = 0;

    if (fido_list(keys, &count, &e) != OK)
        return failed(&e);
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", keys[i].path, keys[i].name);
    return 0;
}

static int find(const char *path, int argc, char **argv)
{
    struct fido_credential credentials[CREDENTIALS_MAX];
    size_t count = parse_credentials(argc, argv, credentials), found = 0;
    struct err e = { 0 };

    if (fido_open_with(path, &ui, credentials, count, &device, &found, &e) != OK)
        return failed(&e);
    printf("found %zu\n", found);
    return 0;
}

static int on_device(const char *command, int argc, char **argv)
{
    static const char *const answers[] = { "no", "unknown", "yes" };
    struct fido_credential credential = { 0 };
    int code;

    if (strcmp(command, "open") == 0)
        return 0;
    if (strcmp(command, "enrol") == 0 && argc % 2 == 1)
        return enrol(argc, argv, &credential);
    if (strcmp(command, "unlock") == 0 && argc == 3) {
        code = enrol(1, argv, &credential);
        return code != 0 ? code : assertion(&credential, argv);
    }
    if (argc < 2)
        return 2;
    parse_credentials(2, argv, &credential);
    if (strcmp(command, "has") == 0) {
        printf("has %s\n", answers[fido_has(device, &credential)]);
        return 0;
    }
    if (strcmp(command, "assert") != 0 || argc < 5)
        return 2;
    code = assertion(&credential, argv + 2);
    if (argc == 6) { /* on the same open device: what a failure left behind shows here */
        stopped = 0;
        code = assertion(&credential, argv + 2);
    }
    return code;
}

static int on_path(const char *command, const char *path, int argc, char **argv)
{
    struct err e = { 0 };

    if (strcmp(command, "find") == 0)
        return find(path, argc, argv);
    if (fido_open(path, &ui, &device, &e) != OK)
        return failed(&e);
    puts("opened yes");
    return on_device(command, argc, argv);
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
    if (argc == 2 && strcmp(argv[1], "list") == 0)
        return list();
    if (argc < 3)
        return 2;
    sigaction(SIGINT, &action, NULL);
    code = on_path(argv[1], strcmp(argv[2], "-") == 0 ? NULL : argv[2], argc - 3, argv + 3);
    fido_close(device);
    if (secret_in_use() != 0)
        return 3;
    return code;
}
