/* Files are replaced whole: written beside, synced, renamed. */
#include "tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define RENEW_US (30 * DAY_S * SECOND_US)
#define PATH     300
/* As long as the CA lives: it can be renewed only while the vault is open, and a vault that was
 * locked beyond its end could not be reached to be unlocked. */
#define SERVER_DAYS 3650

static status write_all(int fd, struct span content)
{
    while (content.n > 0) {
        ssize_t n = write(fd, content.p, content.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return IO;
        content = span_of(content.p + n, content.n - (size_t)n);
    }
    return fsync(fd) == 0 ? OK : IO;
}

static status sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int synced = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    return synced == 0 ? OK : IO;
}

static status replace(const struct engine *en, const char *name, struct span content, mode_t mode,
                      struct err *e)
{
    char path[PATH], beside[PATH + 8];
    int fd;
    status st;

    snprintf(path, sizeof path, "%s/%s", en->settings.tls_dir, name);
    snprintf(beside, sizeof beside, "%s.new", path);
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return fail(e, IO, "cannot write a certificate file", errno);
    st = write_all(fd, content);
    if (close(fd) != 0 || st != OK || rename(beside, path) != 0 ||
        sync_directory(en->settings.tls_dir) != OK)
        return fail(e, IO, "cannot write a certificate file", errno);
    return OK;
}

static status server_certificate(struct engine *en, const struct identity_ca *ca,
                                 const struct id *vault, const struct secret *key, struct err *e)
{
    struct identity_request request = { .vault = vault,
                                        .role = ROLE_NONE,
                                        .name = "server",
                                        .now_us = engine_now_us(en),
                                        .days = SERVER_DAYS };
    char pem[LIMIT_CERTIFICATE];
    status st =
        identity_issue_server(ca, key, en->settings.server_names, &request, pem, sizeof pem, e);

    return st == OK ? replace(en, "server.crt", span_text(pem), 0644, e) : st;
}

static status write_vault(const struct engine *en, const struct id *vault, struct err *e)
{
    char text[ID_HEX_LENGTH + 1];

    hex_format(SPAN(vault->b), text);
    return replace(en, "vault", span_text(text), 0644, e);
}

void tls_files_vault(const struct engine *en, struct id *ret_vault)
{
    char path[PATH], text[ID_HEX_LENGTH + 1] = "";
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof path, "%s/vault", en->settings.tls_dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, ID_HEX_LENGTH);
        close(fd);
    }
    if (n != ID_HEX_LENGTH || !id_parse(text, ret_vault))
        *ret_vault = (struct id){ { 0 } };
}

status tls_files_make(struct engine *en, const struct id *vault, struct secret **ret_ca_key,
                      struct identity_ca **ret_ca, struct err *e)
{
    AUTO(secret) *server_key = NULL;
    AUTO(secret) *scalar = NULL;
    AUTO(identity_ca) *ca = NULL;
    char pem[LIMIT_CERTIFICATE];
    status st = identity_ca_new(vault, pem, sizeof pem, &scalar, e);

    if (st == OK)
        st = identity_ca_load(span_text(pem), scalar, &ca, e);
    if (st == OK)
        st = identity_key_new(&server_key, e);
    if (st == OK)
        st = replace(en, "server.key", secret_view(server_key), 0600, e);
    if (st == OK)
        st = server_certificate(en, ca, vault, server_key, e);
    if (st == OK)
        st = replace(en, "ca.crt", span_text(pem), 0644, e);
    if (st == OK)
        st = write_vault(en, vault, e);
    if (st != OK)
        return st;
    *ret_ca_key = scalar;
    *ret_ca = ca;
    scalar = NULL;
    ca = NULL;
    return OK;
}

static status read_file(const struct engine *en, const char *name, struct secret **ret_content,
                        struct err *e)
{
    AUTO(secret) *content = NULL;
    char path[PATH];
    ssize_t n = -1;
    int fd;
    status st = secret_new(LIMIT_CERTIFICATE, &content, e);

    if (st != OK)
        return st;
    snprintf(path, sizeof path, "%s/%s", en->settings.tls_dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, secret_fill(content).p, secret_fill(content).n);
        close(fd);
    }
    if (n <= 0)
        return fail(e, IO, "cannot read a certificate file", errno);
    st = secret_trim(content, (size_t)n, e);
    if (st != OK)
        return st;
    *ret_content = content;
    content = NULL;
    return OK;
}

status tls_files_end(const struct engine *en, uint64_t *ret_not_after_us, struct err *e)
{
    AUTO(secret) *held = NULL;
    status st = read_file(en, "server.crt", &held, e);

    return st == OK ? identity_not_after(secret_view(held), ret_not_after_us, e) : st;
}

status tls_files_renew(struct engine *en, struct err *e)
{
    AUTO(secret) *key = NULL;
    AUTO(secret) *held = NULL;
    char probe[LIMIT_CSR];
    uint64_t not_after = 0;
    status st = read_file(en, "server.crt", &held, e);

    if (st == OK)
        st = read_file(en, "server.key", &key, e);
    if (st == OK) /* can the key be used at all? */
        st = identity_csr_new(key, "probe", probe, sizeof probe, e);
    if (st == OK)
        st = identity_not_after(secret_view(held), &not_after, e);
    if (st == OK && not_after > engine_now_us(en) + RENEW_US)
        return OK;
    if (st != OK) { /* lost or damaged: a new pair */
        *e = (struct err){ 0 };
        secret_cleanup(&key);
        st = identity_key_new(&key, e);
        if (st == OK)
            st = replace(en, "server.key", secret_view(key), 0600, e);
    }
    if (st == OK)
        st = server_certificate(en, en->ca, &en->vault, key, e);
    if (st == OK)
        en->settings.tls_ready(en->settings.tls_context, true);
    return st;
}
