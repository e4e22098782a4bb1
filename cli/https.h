/*
 * The HTTP API by libcurl: TLS 1.3 with the profile's certificate and only the vault's own CA, or
 * plain HTTP over the daemon's local socket. Failures are reported here, once: with what the
 * server said, its request id, and what to do next.
 */
#ifndef CLI_HTTPS_H
#define CLI_HTTPS_H

#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>

#include "base/bytes.h"

struct cli;

struct https {
    CURL *curl; /* NULL until the first request */
    struct curl_slist *headers;
    char base[320];
    struct mspan body; /* the last reply; wiped before the next and at the end */
    size_t body_length;
    bool body_overflow;
    const volatile sig_atomic_t *stop; /* set before the first request: true ends a request */
    long patience_s;                   /* likewise; 0: 60 */
    bool certificate_known;
    uint8_t certificate[32];           /* SHA-256 of the server's DER certificate */
    uint64_t certificate_not_after_us; /* 0 if unknown */
};

enum method { METHOD_GET, METHOD_POST, METHOD_DELETE };

/* One request. Takes body (NULL: none). A reply that is not a JSON object is a failure. */
int https_call(struct cli *c, enum method method, const char *path, json_t *body,
               json_t **ret_reply);
/* A GET whose reply is lines: a view that dies with the next request. */
int https_lines(struct cli *c, const char *path, struct span *ret_lines);
/* A number in a header of the last reply. */
bool https_header_number(struct cli *c, const char *name, uint64_t *ret_number);
/* All pages of a list: GET path, ?after=, ..., collected into {member: [...], "next": null}. */
int https_list(struct cli *c, const char *path, const char *member, json_t **ret_reply);
/* SHA-256 of the certificate of the server that answered the last request. */
int https_server_certificate(struct cli *c, uint8_t out[static 32]);
/* Is text an https URL of a host and a port, and nothing else? */
bool https_url_valid(const char *text);
void https_clear(struct https *h);

#endif
