/* A connection's own memory, and how long each stretch of it may take: deadline.c. */
#ifndef HTTP_LINK_H
#define HTTP_LINK_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/status.h"
#include "identity/identity.h"

struct http;
struct link;
struct loop;
struct place;

/* Looks after connections once a second, see deadline.c. */
struct watch {
    pthread_t thread;
    bool running;
    pthread_mutex_t sleep; /* around stopping */
    pthread_cond_t wake;
    bool stopping;
    pthread_mutex_t lock; /* around the list */
    struct link *links;
};

/* What a connection is doing. OURS: what takes as long as the vault likes. */
enum stretch { STRETCH_FIRST, STRETCH_HEAD, STRETCH_BODY, STRETCH_OURS, STRETCH_REPLY };

/* What was read of a connection and not yet asked for, see transport.c. */
struct inflow {
    int socket;
    bool resumed; /* and libmicrohttpd's handler was not called since */
    size_t at, end;
    uint8_t bytes[1024];
};

/* Kept for the life of a TLS connection, so that its certificate is verified once. */
struct link {
    bool verified;
    struct holder holder;
    int fd; /* -1: it was shut down */
    atomic_int stretch;
    atomic_uint_fast64_t since_us; /* monotonic */
    struct place *place;
    struct inflow in;
    struct link *next, *before;
};

/* NULL for the local socket, where nobody waits for a place. */
struct link *link_of(struct MHD_Connection *connection);
/* Takes on->place over. */
struct link *link_open(struct loop *on, struct MHD_Connection *connection);
void link_close(struct http *h, struct link *l);
/* Reads for l what GnuTLS reads of the connection. */
void transport_set(struct link *l, struct MHD_Connection *connection);
void link_enter(struct link *l, enum stretch stretch);
status watch_start(struct http *h, struct err *e);
void watch_stop(struct http *h);

#endif
