/*
 * The engine: one thread that takes whatever is queued, decides, makes one keeper call for all of
 * it, stores effects and records in one transaction, commits once, and only then answers.
 *
 *   peer -> principal -> policy -> [ keeper + effects + records + COMMIT ] -> answer
 *
 * Must:
 *  1. Nothing is answered before its records are durable. Reads excepted, everything has a record.
 *  2. A failed commit, or a keeper that is gone, ends the process; it restarts from the disk.
 *  3. The keyring is the truth: after a start the database follows it, never the other way round.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/hours.h"
#include "base/limits.h"
#include "engine/request.h"

struct engine;
struct wire_client;

/* What raises alerts; zero: nothing. */
struct alert_settings {
    bool first_use;
    bool after_rotation;
    uint64_t denied_per_minute;
    uint64_t spike_factor;
    uint64_t spike_minimum; /* leases an hour below which nothing is a spike */
    struct hours hours;     /* when unlocking is expected */
};

struct engine_settings {
    char store_dir[256];
    char tls_dir[256];
    char region[LIMIT_REGION + 1];
    char server_names[256];
    uint64_t lease_ttl_s;
    uint64_t lease_max_ttl_s;
    uint64_t lease_max_lifetime_s;
    uint64_t token_ttl_s; /* of the Vault-compatible face */
    uint64_t rotate_grace_s;
    uint64_t checkpoint_s;      /* logs that changed are signed for, and committed to, that often */
    uint64_t checkpoint_idle_s; /* all logs, whatever happened */
    uint64_t certificate_days;
    uint64_t disk_reserve_mib;
    size_t waiting_max;    /* requests that may wait for records at once */
    size_t waiting_events; /* and for revocations */
    size_t waiting_each;   /* of one certificate, for either */
    bool grant_step_up;    /* a grant, or a wider policy, takes an operator's touch */
    bool policy_required;  /* a tenant without a document leases nothing */
    struct alert_settings alert;
    uint32_t hygiene; /* enum hygiene_fact bits that hold in this process */
    /* For doctor only: what the configuration weakens. */
    uint32_t hygiene_allowed; /* facts that may be missing */
    bool allow_copy_on_write;
    bool locks_itself; /* after some time, unlocked or idle */
    /* Called on the engine's thread when tls_dir holds a CA and server certificate: the first, or
     * (renewed) others than before. */
    void (*tls_ready)(void *context, bool renewed);
    void *tls_context;
    /* Limits, and what the metrics tell of others. */
    size_t queue_per_client; /* requests of one certificate that may wait for a batch; 0: any */
    uint64_t gateway_rate;   /* lease requests a second of one gateway, and for one tenant's */
    uint64_t tenant_rate;    /* keys; 0: any */
    size_t connections_max;  /* of the face */
    int keeper_statm;        /* the keeper's /proc/PID/statm, open; 0: none */
};

/* Asks the keeper for its state and, if it is unlocked already (the server died and came back),
 * attaches the database. Starts the thread. Borrows client until engine_free. */
MUST_CHECK status engine_new(const struct engine_settings *settings, struct wire_client *client,
                             struct engine **ret_engine, struct err *e);
/* Answers what is queued, closes the database, ends the thread. Later requests are refused.
 * A second call does nothing. */
void engine_stop(struct engine *en);
void engine_free(struct engine *en); /* after engine_stop and after the last engine_submit */

/* Takes rq; rq->done is called once: from the engine's thread, or at once when it has stopped. */
void engine_submit(struct engine *en, struct request *rq);
/* The same for all of a list, linked by their next: one hand-over. */
void engine_submit_all(struct engine *en, struct request *list);
/* told is called on the engine's thread when done was called for a batch, or for what else there
 * was: so that a batch's answers need one signal. Replaces what was given before. */
void engine_tell(struct engine *en, void (*told)(void *context), void *context);

/* The face opened (1) or closed (-1) a connection. From any thread. */
void engine_connected(struct engine *en, int difference);

/* Id of the vault; zero while it is empty. From any thread. */
struct id engine_vault(struct engine *en);

#endif
