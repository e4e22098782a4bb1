/* What the face's files share. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "authz.h"
#include "compat/path.h"
#include "http/http.h"
#include "link.h"
#include "loop.h"
#include "stream.h"

/* Certificates of the TLS listener. Replaced as a whole at renewal; never freed while serving. */
struct credentials {
    char *ca;
    char *certificate;
    char *key; /* freed and wiped once libmicrohttpd has it */
    uint8_t fingerprint[32];
    struct identity_verifier *verifier;
};

/* Of a listener. */
struct loops {
    struct loop *all; /* kept until http_free, once there are some */
    unsigned count;
    bool open;
};

/* See place.c. */
struct places {
    pthread_mutex_t lock;
    void *root;
};

struct http {
    struct http_settings settings;
    struct engine *engine;
    struct loops doors[DOORS];  /* DOOR_COMPAT if it is configured */
    _Atomic(struct loop *) due; /* those to be woken */
    struct credentials credentials;
    pthread_mutex_t lock;
    struct watch watch;
    struct places places;
    atomic_uint exchanges; /* that have not ended */
    atomic_uint large;     /* bodies above LIMIT_HTTP_BODY */
};

/* One exchange: from the first callback to the end of the reply. */
struct exchange {
    struct http *http;
    struct loop *loop;
    struct exchange *next_answered; /* see loop.c */
    struct MHD_Connection *connection;
    struct request *rq;
    enum door door;
    struct compat_path path; /* DOOR_COMPAT */
    bool answered;           /* by the engine */
    bool last;               /* the connection ends with the reply */
    uint8_t *body;
    size_t body_length;
    size_t body_room;
    bool large; /* counted in http->large */
    bool too_large;
    bool too_many;   /* it would have been one large body too many */
    size_t surplus;  /* bytes of a body that is too large */
    unsigned status; /* overrides the mapping of rq->outcome, e.g. 405 */
    const char *title;
    struct stream stream;
    bool authz;           /* a proxy asks: authz.c */
    bool aigw;            /* ... for the headers that Envoy AI Gateway takes */
    struct err authz_why; /* ... and could not be given what it leased */
};

/* server.c: hands x->rq to the engine; the connection waits. The engine may have answered before
 * this returns: nothing of x is touched after it. */
void exchange_ask(struct exchange *x);

/* place.c: a place for a connection from an address, into l->place; false: it has too many. */
bool place_take(struct loop *l, const struct sockaddr *from);
void place_leave(struct http *h, struct place *p); /* NULL: nothing */
/* IPv4 as ::ffff:a.b.c.d; false, and zeros: it is neither. */
bool address_read(const struct sockaddr *from, uint8_t out[static 16]);

/* route.c: the table of paths. Fills verb and params; false with 404 or 405 noted in x. */
void route_find(struct exchange *x, const char *method, const char *url);

/* head.c: refuses what can be read in two ways. Of a path, %2F and %00 stay what they are. */
void head_check(struct exchange *x);
size_t head_unescape(void *context, struct MHD_Connection *connection, char *text);

/* peer.c: who is at the other end. NO_IDENTITY goes into rq->err. */
void peer_identify(struct exchange *x);
/* The connection's certificate, verified; NO_IDENTITY. */
status peer_certificate(struct exchange *x, struct holder *ret_holder, struct err *e);
bool peer_local_allowed(struct MHD_Connection *connection);
status credentials_load(struct http *h, struct err *e);
void credentials_forget_key(struct credentials *c);
void credentials_clear(struct credentials *c);

/* body.c: the uploaded bytes as a JSON object into rq->body, or as reports into rq->usage; refusals
 * into rq->err. */
void body_parse(struct exchange *x);
/* Another piece of it. false: there is no point in going on. */
bool body_collect(struct exchange *x, const char *data, size_t n);
void body_free(struct exchange *x);

/* query.c: the filter for records, if there is one, into rq->filter. false: malformed. */
bool query_filter(struct exchange *x);
/* The same for sums of usage, into rq->usage_filter. */
bool query_usage(struct exchange *x);

/* header.c: an Idempotency-Key into rq; malformed: refused in rq->err. */
void header_read(struct exchange *x);

/* reply.c */
enum MHD_Result reply_send(struct exchange *x);
void reply_map(const struct exchange *x, unsigned *ret_http, const char **ret_title);
void reply_free_text(void *text); /* that jansson made */

#endif
