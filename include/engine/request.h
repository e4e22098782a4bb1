/*
 * One request on its way through the engine. The face (http) fills the first part, submits it and
 * hears back exactly once through done, on the engine's thread. By then the records of the request
 * are on disk: no record, no answer.
 */
#ifndef ENGINE_REQUEST_H
#define ENGINE_REQUEST_H

#include <jansson.h>

#include "base/bytes.h"
#include "base/status.h"
#include "engine/asked.h"
#include "engine/filter.h"
#include "engine/judged.h"
#include "engine/verb_id.h"
#include "secret/secret.h"
#include "usage/usage.h"

/* Reactions that HTTP tells apart and status does not. */
enum problem { PROBLEM_BY_STATUS, PROBLEM_WRONG_REGION, PROBLEM_STORAGE, PROBLEM_GONE };

#define REQUEST_PARAMS 2
#define REQUEST_PARAM  72 /* a name, or a lease token */
#define REQUEST_ABSENT UINT64_MAX

struct request {
    /* from the face */
    enum verb verb;
    struct holder peer;             /* role ROLE_NONE: nobody known; ROLE_LOCAL: the Unix socket */
    uint8_t server_certificate[32]; /* SHA-256 of the DER certificate shown to this peer */
    char id[ID_HEX_LENGTH + 1];
    char param[REQUEST_PARAMS][REQUEST_PARAM]; /* from the path, names or tokens */
    char after[REQUEST_PARAM];                 /* ?after= */
    uint64_t from;                             /* ?from= */
    uint64_t limit;                            /* ?limit=, 0: default */
    uint64_t to, size, seq;                    /* of proofs; REQUEST_ABSENT */
    uint64_t version;                          /* ?version=, 0: the newest */
    uint64_t wait_s;                           /* ?wait=: how long it may wait for a record */
    bool shares;                               /* a lease for all of this certificate */
    bool streams;                              /* the reply is one part of many */
    struct record_filter *filter;              /* owned; of records, NULL: all */
    json_t *body;                              /* owned; NULL or an object */
    struct usage *usage;                       /* owned; of VERB_USAGE_*: reports */
    struct usage_filter *usage_filter;         /* owned; of VERB_USAGE_SHOW, NULL: all */
    bool has_idempotency;                      /* of a lease to be issued: */
    uint8_t idempotency[16];                   /* begin of the SHA-256 of its Idempotency-Key */
    struct compat_asked face;
    void (*done)(struct request *rq);
    void *context;

    /* the answer */
    status outcome;
    struct err err;
    enum problem problem;
    bool created;         /* 201 instead of 200 */
    json_t *reply;        /* owned */
    struct secret *value; /* owned: a provider key, or another that is shown once */
    char *lines;          /* owned: an NDJSON body instead of reply */
    size_t lines_length;
    uint64_t log_size;      /* with lines */
    uint64_t page_end;      /* with lines of a filter or a feed: where the next page begins */
    unsigned retry_after_s; /* of a refusal: when to ask again; 0: it does not say */
    unsigned line;          /* of a text that was refused: where; 0: it does not say */

    /* the engine's own */
    struct request *next;
    struct id log;         /* where a refusal is recorded: zero is the vault's log */
    struct id tenant;      /* of a tenant certificate */
    struct id gateway;     /* of a gateway certificate */
    bool limited;          /* an auditor who sees only what is assigned to its name */
    void *plan;            /* owned: from apply to complete */
    struct judged judged;  /* of a lease that was asked for */
    bool waits;            /* it found nothing: it is answered later */
    bool waits_for_event;  /* and not for records */
    bool due;              /* something was stored that it may be waiting for */
    uint64_t waits_for;    /* bits of logs, see waiting.c */
    uint64_t wait_until;   /* monotonic; 0: it has not waited yet */
    uint64_t arrived_us;   /* monotonic */
    bool crowded;          /* too many of its client's wait: to be refused */
    uint8_t charged;       /* which rates it was counted for, see rate.h */
    uint16_t entry_count;  /* entries it put into the batch */
    uint16_t result_index; /* results seen so far */
    char keeper_why[96];   /* copy of a keeper's literal reason */
};

/* A zeroed request with a fresh random id; NULL without memory. free wipes and frees everything. */
struct request *request_new(void);
void request_free(struct request *rq);

#endif
