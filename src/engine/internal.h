/* What the engine's files share. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <pthread.h>

#include "answer.h"
#include "compat/token.h"
#include "crypto/crypto.h"
#include "engine/engine.h"
#include "lease/lease.h"
#include "ledger/record.h"
#include "metrics.h"
#include "policy/policy.h"
#include "provider/provider.h"
#include "store/store.h"
#include "waiting.h"
#include "wire/client.h"

/* VAULT_ROLLED_BACK: open, but only to accept that (rollback.h). */
enum vault_state {
    VAULT_EMPTY = 1,
    VAULT_LOCKED = 2,
    VAULT_UNLOCKED = 4,
    VAULT_BROKEN = 8,
    VAULT_ROLLED_BACK = 16
};
#define VAULT_ANY 31
const char *vault_state_name(enum vault_state state); /* vault.c */

struct alerts;
struct documents;
struct operations;
struct persons;
struct events;
struct revocation;
struct rounds;
struct syncer;
struct tally;
struct shared;

/* One that the keeper opened, and what it was opened for. */
struct session {
    struct wire_session_request request;
    struct wire_session opened;
    uint8_t slot_kind; /* of the slot it is for */
    uint8_t cose_public[64];
};
#define SESSIONS 16

struct engine {
    struct engine_settings settings;
    struct wire_client *client;

    /* queue, under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue *queue;
    bool stopping;
    bool stopped; /* joined; the owner's own */

    /* the engine thread's own */
    struct answers answers;
    enum vault_state state;
    char keeper_why[96];     /* the keeper's literal of its last refusal */
    const char *broken_why;  /* literal */
    bool rolled_keyring;     /* VAULT_ROLLED_BACK: it, and not the database, is the older one */
    struct wire_hello hello; /* as last heard; its spans are dead, see region */
    struct id vault;
    char region[LIMIT_REGION + 1];
    struct store *store;
    struct syncer *syncer;
    struct policy *policy;
    struct leases *leases;
    struct revocation *revocation; /* of leases of several tenants, until all of them are told */
    struct documents *documents;
    struct tokens *tokens;
    struct refusals *refusals;
    struct persons *persons; /* while the database is open */
    struct alerts *alerts;
    struct growth *growth; /* nodes.c: the newest subtrees of some logs; NULL: none yet */
    struct events *events;
    struct tally *tally; /* of reported usage, while the database is open */
    struct shared *shared;
    struct identity_ca *ca;
    char ca_pem[LIMIT_CERTIFICATE];
    uint8_t intake_public[32];
    uint8_t ledger_public[32];
    uint8_t delivery_public[32];
    uint64_t acked;        /* number of the last batch whose records are durable */
    uint64_t sent_us;      /* monotonic: the last request to the keeper */
    uint64_t time_us;      /* the keeper's, as last heard */
    uint64_t time_mono_us; /* when that was */
    bool disk_low;
    /* What is to be destroyed before the batch is answered: */
    bool grace_over;  /* a version that was replaced without grace */
    bool revoke_more; /* versions of a revoked key, more than its batch could take */
    bool revoked;     /* leases of several tenants, whose logs are still to say so */
    bool erased;      /* a name that the WAL still holds */
    bool dropping;    /* there may be records that were stated to be dropped */
    struct session sessions[SESSIONS]; /* the newest replace the oldest */
    size_t session_next;
    struct operations *operations;
    struct rounds *rounds;
    struct waiting waiting;
    struct metrics metrics;
    struct rates *rates;
    struct {
        enum { DATABASE_REST, DATABASE_COPY, DATABASE_ERASE } phase;
        uint32_t left, total; /* pages */
    } database;               /* its change to another key */

    uint64_t rotation_at;      /* how far the first rotation is */
    uint32_t rotation_still_s; /* seconds of an open vault since that changed */

    /* the batch under construction */
    struct out *batch;
    size_t batch_head_at;
    uint16_t batch_count;
    size_t batch_cost;
    bool batch_no_room; /* an entry did not fit */
    /* Those with idempotency keys: at the keeper, and behind them those under construction. */
    const struct request *batch_repeats[2 * LIMIT_BATCH_ENTRIES];
    size_t batch_repeats_sent, batch_repeat_count;
    struct id batch_releases[2 * LIMIT_BATCH_ENTRIES]; /* leases given back, likewise */
    size_t batch_releases_sent, batch_release_count;
    bool nodes_kept; /* subtrees were written: to be committed, even if there is no entry */
};

/* engine.c: the keeper's time, carried on by the monotonic clock: never behind the last record, and
 * not to be moved by whoever moves this machine's clock. */
uint64_t engine_now_us(struct engine *en);
void engine_time_heard(struct engine *en, uint64_t keeper_us);
/* Ends the process: the state on disk is the truth from here on. */
void engine_die(const char *where, const struct err *e) __attribute__((noreturn));

#include "attach.h"
#include "batch.h"
#include "body.h"
#include "call.h"
#include "person.h"
#include "refusal.h"
#include "rekey.h"
#include "revoke.h"
#include "rounds.h"
#include "schedule.h"
#include "verb.h"

#endif
