/*
 * The face: TLS 1.3 and HTTP by libmicrohttpd and GnuTLS, JSON by jansson. It parses, finds out who
 * the peer is, hands a request to the engine, suspends the connection and sends what comes back. It
 * knows no SQL and no keys.
 *
 * libmicrohttpd asks for a client certificate but does not require one, so every connection's
 * certificate is verified here before its first request counts.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/status.h"
#include "engine/engine.h"

struct http;

struct http_settings {
    char tls_dir[256];
    char listen[256];        /* address:port */
    char compat_listen[256]; /* of the Vault-compatible face; empty: there is none */
    char socket[256];        /* path of the local Unix socket */
    char region[16];
    unsigned threads;
    unsigned connections;             /* at once */
    unsigned connections_per_address; /* 0: any number of them */
    unsigned idle_s;                  /* how long one may do nothing */
};

/* Also gives jansson an allocator that wipes, for the whole process: before any other use of it. */
MUST_CHECK status http_new(const struct http_settings *settings, struct http **ret_http,
                           struct err *e);
/* Opens the local socket. engine must outlive the http. */
MUST_CHECK status http_start_local(struct http *h, struct engine *engine, struct err *e);
/* Opens the TLS listener. NOT_FOUND while tls_dir has no certificates yet, CONFLICT if it is open:
 * a renewed certificate needs a new server process. Thread-safe. */
MUST_CHECK status http_start_tls(struct http *h, struct engine *engine, struct err *e);
/* Closes the listeners and waits for the connections' threads. */
void http_stop(struct http *h);
void http_free(struct http *h);

#endif
