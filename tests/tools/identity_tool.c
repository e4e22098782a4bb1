/*
 * Certificates on the command line, for tests that look at them with other programs.
 *
 *   identity_tool make DIRECTORY    writes ca.pem, server.key, server.pem, client.key, client.csr
 *                                   and client.pem, and issued.pem for a request.csr if there is one
 *   identity_tool who CA DER        prints who a client certificate names
 */
#include "base/clock.h"
#include "identity/identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 8192

static const struct id vault = { { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 } };
static struct err e;

static void need(status st)
{
    if (st == OK)
        return;
    printf("status %s\nwhy %s\n", status_name(st), e.why);
    exit(1);
}

static void write_file(const char *dir, const char *name, struct span bytes)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    if (f == NULL || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f) != 0) {
        perror(path);
        exit(2);
    }
}

static size_t read_file(const char *path, uint8_t *out, size_t cap)
{
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, out, cap);

    if (fd >= 0)
        close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static int make(const char *dir)
{
    AUTO(secret) *scalar = NULL, *key = NULL;
    AUTO(identity_ca) *ca = NULL;
    struct identity_request request = {
        .vault = &vault, .role = ROLE_GATEWAY, .name = "gw-1", .now_us = clock_wall_us(), .days = 30
    };
    char ca_pem[ROOM], csr[ROOM], pem[ROOM], path[512];
    struct holder holder;
    uint8_t foreign[ROOM];
    size_t n;

    need(identity_ca_new(&vault, ca_pem, sizeof ca_pem, &scalar, &e));
    need(identity_ca_load(span_text(ca_pem), scalar, &ca, &e));
    need(identity_key_new(&key, &e));
    need(identity_csr_new(key, "gw-1", csr, sizeof csr, &e));
    need(identity_issue_client(ca, span_text(csr), &request, pem, sizeof pem, &holder, &e));
    write_file(dir, "ca.pem", span_text(ca_pem));
    write_file(dir, "client.key", secret_view(key));
    write_file(dir, "client.csr", span_text(csr));
    write_file(dir, "client.pem", span_text(pem));

    snprintf(path, sizeof path, "%s/request.csr", dir);
    n = read_file(path, foreign, sizeof foreign);
    if (n > 0) {
        need(
            identity_issue_client(ca, span_of(foreign, n), &request, pem, sizeof pem, &holder, &e));
        write_file(dir, "issued.pem", span_text(pem));
    }
    request.name = NULL;
    need(identity_issue_server(ca, key, "localhost,vault.example,127.0.0.1,::1", &request, pem,
                               sizeof pem, &e));
    write_file(dir, "server.key", secret_view(key));
    write_file(dir, "server.pem", span_text(pem));
    return 0;
}

static int who(const char *ca_path, const char *der_path)
{
    struct identity_verifier *v = NULL;
    uint8_t ca[ROOM], der[ROOM];
    char spki[65];
    struct holder holder;
    size_t ca_n = read_file(ca_path, ca, sizeof ca), der_n = read_file(der_path, der, sizeof der);
    status st;

    need(identity_verifier_new(span_of(ca, ca_n), &vault, &v, &e));
    st = identity_verify(v, span_of(der, der_n), clock_wall_us(), &holder, &e);
    identity_verifier_free(v);
    need(st);
    hex_format(SPAN(holder.spki), spki);
    printf("role %s\nname %s\nspki %s\n", role_name(holder.role), holder.name, spki);
    return 0;
}

int main(int argc, char **argv)
{
    need(secret_start((size_t)1 << 18, &e));
    if (argc == 3 && strcmp(argv[1], "make") == 0)
        return make(argv[2]);
    if (argc == 4 && strcmp(argv[1], "who") == 0)
        return who(argv[2], argv[3]);
    return 2;
}
