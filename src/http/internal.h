/* What the face's files share. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "compat/path.h"
#include "http/http.h"

/* Certificates of the TLS listener. Replaced as a whole at renewal; never freed while serving. */
struct credentials {
    char *ca;
    char *certificate;
    char *key; /* freed and wiped once libmicrohttpd has it */
    uint8_t fingerprint[32];
    struct identity_verifier *verifier;
};

struct http {
    struct http_settings settings;
    struct engine *engine;
    struct MHD_Daemon *local;
    struct MHD_Daemon *tls;
    struct MHD_Daemon *compat; /* the Vault-compatible face, if it is configured */
    struct credentials credentials;
    pthread_mutex_t lock;
    atomic_uint exchanges; /* that have not ended */
};

/* Which listener. */
enum door { DOOR_TLS, DOOR_LOCAL, DOOR_COMPAT };

/* One exchange: from the first callback to the end of the reply. */
struct exchange {
    struct http *http;
    struct MHD_Connection *connection;
    struct request *rq;
    enum door door;
    struct compat_path path; /* DOOR_COMPAT */
    bool answered;           /* by the engine */
    uint8_t *body;
    size_t body_length;
    bool too_large;
    size_t surplus;  /* bytes of a body that is too large */
    unsigned status; /* overrides the mapping of rq->outcome, e.g. 405 */
    const char *title;
};

/* route.c: the table of paths. Fills verb and params; false with 404 or 405 noted in x. */
void route_find(struct exchange *x, const char *method, const char *url);

/* Kept for the life of a TLS connection, so that its certificate is verified once. */
struct link {
    bool verified;
    struct holder holder;
};

/* peer.c: who is at the other end. NO_IDENTITY goes into rq->err. */
void peer_identify(struct exchange *x);
/* The connection's certificate, verified; NO_IDENTITY. */
status peer_certificate(struct exchange *x, struct holder *ret_holder, struct err *e);
bool peer_local_allowed(struct MHD_Connection *connection);
status credentials_load(struct http *h, struct err *e);
void credentials_forget_key(struct credentials *c);
void credentials_clear(struct credentials *c);

/* body.c: the uploaded bytes as a JSON object into rq->body; refusals into rq->err. */
void body_parse(struct exchange *x);

/* query.c: the filter for records, if there is one, into rq->filter. false: malformed. */
bool query_filter(struct exchange *x);

/* reply.c */
enum MHD_Result reply_send(struct exchange *x);
void free_json_text(void *text); /* of json_dumps */

/* pieces.c: a body in locked memory, wiped when it has been sent. */
struct piece {
    struct span text;
    bool escaped; /* it stands inside a JSON string, so that RFC 8259 section 7 counts */
};
struct MHD_Response *pieces_response(const struct piece *pieces, size_t count);

/* compat_request.c: what a request to the Vault-compatible face asks for, and its body. */
void compat_route(struct exchange *x, const char *method, const char *url);
void compat_body(struct exchange *x);
/* What it shows: address, certificate, token. */
void compat_identify(struct exchange *x);
const char *compat_token(const struct exchange *x); /* NULL; it lives as long as the exchange */
/* compat_reply.c */
enum MHD_Result compat_send(struct exchange *x);

#endif
