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
#include "engine/filter.h"
#include "engine/judged.h"
#include "identity/identity.h"
#include "secret/secret.h"

enum verb {
    VERB_NONE = 0, /* nothing matched: recorded as a refusal with err as given */
    VERB_STATUS,
    VERB_INIT_SESSION,
    VERB_INIT,
    VERB_SLOTS,
    VERB_UNLOCK_SESSION,
    VERB_UNLOCK,
    VERB_LOCK,
    VERB_CLOCK_CONFIRM,
    VERB_PUBLIC_KEYS,
    VERB_DOCTOR,
    VERB_OPERATOR_SESSION,
    VERB_OPERATOR_ENROL,
    VERB_OPERATION_PROPOSE,
    VERB_OPERATION_LIST,
    VERB_OPERATION_SHOW,
    VERB_OPERATION_WITHDRAW,
    VERB_OPERATION_SESSION,
    VERB_OPERATION_APPROVE,
    VERB_TENANT_LIST,
    VERB_TENANT_CREATE,
    VERB_TENANT_SHOW,
    VERB_ENGAGEMENT_LIST,
    VERB_ENGAGEMENT_START,
    VERB_ENGAGEMENT_END,
    VERB_KEY_LIST,
    VERB_KEY_SHOW,
    VERB_KEY_PUT,
    VERB_KEY_ROTATE,
    VERB_KEY_REVOKE,
    VERB_GATEWAY_LIST,
    VERB_GATEWAY_ADD,
    VERB_GATEWAY_REMOVE,
    VERB_GRANT_ADD,
    VERB_GRANT_REMOVE,
    VERB_CERTIFICATE_LIST,
    VERB_CERTIFICATE_ISSUE,
    VERB_CERTIFICATE_REVOKE,
    VERB_AUDITOR_LIST,
    VERB_AUDITOR_ASSIGN,
    VERB_AUDITOR_UNASSIGN,
    VERB_LEASE_ISSUE,
    VERB_LEASE_RENEW,
    VERB_LEASE_RELEASE,
    VERB_LEASE_LIST,
    VERB_LEASE_REVOKE,
    VERB_LOG_SHOW,
    VERB_LOG_RECORDS,
    VERB_LOG_CHECK,
    VERB_LOG_CONSISTENCY,
    VERB_LOG_INCLUSION,
    VERB_LOG_RANGE,
    VERB_LOG_OPERATORS,
    VERB_LOG_COMMITMENT,
    VERB_LOG_COSIGN,
    VERB_PERSON_LIST,
    VERB_PERSON_ERASE,
    VERB_RECORD_FEED,
    VERB_REVOCATION_LIST,
    VERB_REVOCATION_ACKNOWLEDGE,
    VERB_LEASE_FORWARD, /* of the face, which makes VERB_LEASE_ISSUE of it */
    VERB_POLICY_SHOW,
    VERB_POLICY_VERSIONS,
    VERB_POLICY_SET,
    VERB_COUNT
};
/* "lease.issue": as refusal records name it. */
const char *verb_name(enum verb verb);

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
    bool shares, streams;         /* a lease for all of this certificate; a reply of many parts */
    struct record_filter *filter; /* owned; of records, NULL: all */
    json_t *body;                 /* owned; NULL or an object */
    bool has_idempotency;         /* of a lease to be issued: */
    uint8_t idempotency[16];      /* begin of the SHA-256 of its Idempotency-Key */
    void (*done)(struct request *rq);
    void *context;

    /* the answer */
    status outcome;
    struct err err;
    enum problem problem;
    bool created;         /* 201 instead of 200 */
    json_t *reply;        /* owned */
    struct secret *value; /* owned: a provider key, added to the reply as "value" */
    char *lines;          /* owned: an NDJSON body instead of reply */
    size_t lines_length;
    uint64_t log_size;      /* with lines */
    uint64_t page_end;      /* with lines of a filter or a feed: where the next page begins */
    unsigned retry_after_s; /* of a refusal: when to ask again; 0: it does not say */
    unsigned line;          /* of a text that was refused: where; 0: it does not say */

    /* the engine's own */
    struct request *next;
    struct id log;               /* where a refusal is recorded: zero is the vault's log */
    struct id tenant, gateway;   /* of a certificate of theirs */
    bool limited;                /* an auditor who sees only what is assigned to its name */
    void *plan;                  /* owned: from apply to complete */
    struct judged judged;        /* of a lease that was asked for */
    bool waits, waits_for_event; /* it is answered later; when there is no record but an event */
    bool due;                    /* something was stored that it may be waiting for */
    uint64_t waits_for;          /* bits of logs, see waiting.c */
    uint64_t wait_until;         /* monotonic; 0: it has not waited yet */
    uint16_t entry_count;        /* entries it put into the batch */
    uint16_t result_index;       /* results seen so far */
    char keeper_why[96];         /* copy of a keeper's literal reason */
};

/* A zeroed request with a fresh random id; NULL without memory. free wipes and frees everything. */
struct request *request_new(void);
void request_free(struct request *rq);

#endif
