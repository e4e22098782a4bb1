/*
 * Who is at the other end: the verified client certificate of a TLS connection, or the user of a
 * local one. libmicrohttpd only requests certificates; without this file anybody would be let in.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "identity/identity.h"

bool peer_local_allowed(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct ucred peer;
    socklen_t length = sizeof peer;

    if (info == NULL || getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

static status verify_certificate(struct exchange *x, struct holder *ret_holder, struct err *e)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const gnutls_datum_t *chain;
    unsigned count = 0;

    if (info == NULL || info->tls_session == NULL)
        return fail(e, NO_IDENTITY, "the connection has no TLS session", 0);
    chain = gnutls_certificate_get_peers((gnutls_session_t)info->tls_session, &count);
    if (chain == NULL || count == 0)
        return fail(e, NO_IDENTITY, "a client certificate of this vault is required", 0);
    return identity_verify(x->http->credentials.verifier, span_of(chain[0].data, chain[0].size),
                           clock_wall_us(), ret_holder, e);
}

/* Once for a connection; only the end of validity is looked at again for each request. */
status peer_certificate(struct exchange *x, struct holder *ret_holder, struct err *e)
{
    struct link *link = link_of(x->connection);
    status st;

    if (link == NULL)
        return fail(e, NO_MEMORY, "no memory for a connection", 0);
    if (link->verified && clock_wall_us() >= link->holder.not_after_us)
        return fail(e, NO_IDENTITY, "certificate has expired", 0);
    if (!link->verified) {
        st = verify_certificate(x, &link->holder, e);
        if (st != OK)
            return st;
        link->verified = true;
    }
    *ret_holder = link->holder;
    return OK;
}

void peer_identify(struct exchange *x)
{
    struct err why = { 0 };

    if (x->door == DOOR_LOCAL) {
        if (peer_local_allowed(x->connection))
            x->rq->peer.role = ROLE_LOCAL;
        return;
    }
    memcpy(x->rq->server_certificate, x->http->credentials.fingerprint, 32);
    if (peer_certificate(x, &x->rq->peer, &why) == OK)
        return;
    x->rq->peer = (struct holder){ .role = ROLE_NONE };
    x->rq->err = why;
    x->status = 0; /* who it is comes before whether the path exists */
    x->title = NULL;
}

/* A whole small file with a NUL behind it. */
static status read_file(const char *dir, const char *name, char **ret_text, struct err *e)
{
    char path[300];
    struct stat st;
    char *text = NULL;
    ssize_t n = -1;
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, errno == ENOENT ? NOT_FOUND : IO, "cannot open a certificate file", errno);
    if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < 65536)
        text = calloc(1, (size_t)st.st_size + 1);
    if (text != NULL)
        n = read(fd, text, (size_t)st.st_size);
    close(fd);
    if (n <= 0) {
        free(text);
        return fail(e, IO, "cannot read a certificate file", errno);
    }
    *ret_text = text;
    return OK;
}

void credentials_forget_key(struct credentials *c)
{
    if (c->key == NULL)
        return;
    secret_wipe((struct mspan){ (uint8_t *)c->key, strlen(c->key) });
    free(c->key);
    c->key = NULL;
}

void credentials_clear(struct credentials *c)
{
    credentials_forget_key(c);
    identity_verifier_free(c->verifier);
    free(c->ca);
    free(c->certificate);
    *c = (struct credentials){ 0 };
}

status credentials_load(struct http *h, struct err *e)
{
    struct id vault = engine_vault(h->engine);
    struct credentials c = { 0 };
    status st = read_file(h->settings.tls_dir, "ca.crt", &c.ca, e);

    if (st == OK)
        st = read_file(h->settings.tls_dir, "server.crt", &c.certificate, e);
    if (st == OK)
        st = read_file(h->settings.tls_dir, "server.key", &c.key, e);
    if (st == OK)
        st = identity_fingerprint(span_text(c.certificate), c.fingerprint, e);
    if (st == OK)
        st = identity_verifier_new(span_text(c.ca), &vault, &c.verifier, e);
    if (st != OK) {
        credentials_clear(&c);
        return st;
    }
    h->credentials = c;
    return OK;
}
