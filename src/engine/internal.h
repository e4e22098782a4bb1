/* What the engine's files share. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <pthread.h>

#include "crypto/crypto.h"
#include "engine/engine.h"
#include "lease/lease.h"
#include "ledger/record.h"
#include "policy/policy.h"
#include "store/store.h"
#include "wire/client.h"

enum vault_state { VAULT_EMPTY = 1, VAULT_LOCKED = 2, VAULT_UNLOCKED = 4, VAULT_BROKEN = 8 };
#define VAULT_ANY 15

struct refusals;

struct engine {
    struct engine_settings settings;
    struct wire_client *client;

    /* queue, under lock */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct request *first;
    struct request **last;
    bool stopping;

    /* the engine thread's own */
    enum vault_state state;
    const char *broken_why; /* literal */
    struct wire_hello hello; /* as last heard; its spans are dead, see region */
    struct id vault;
    char region[LIMIT_REGION + 1];
    struct store *store;
    struct policy *policy;
    struct leases *leases;
    struct refusals *refusals;
    struct identity_ca *ca;
    char ca_pem[LIMIT_CERTIFICATE];
    uint8_t intake_public[32];
    uint8_t ledger_public[32];
    uint64_t acked;      /* number of the last batch whose records are durable */
    uint64_t time_us;    /* the keeper's, as last heard */
    uint64_t time_mono_us; /* when that was */
    bool disk_low;
    bool grace_over;     /* a version was replaced without grace: destroy it before answering */
    struct wire_session_request session_request; /* of the unlock or init under way */
    struct wire_session session;

    /* the batch under construction */
    struct out *batch;
    size_t batch_count_at;
    uint16_t batch_count;
    size_t batch_cost;
    bool batch_no_room; /* an entry did not fit */
};

/* engine.c */
/* The keeper's time, carried on by the monotonic clock: never behind the last record, and not to be
 * moved by whoever moves this machine's clock. */
uint64_t engine_now_us(struct engine *en);
void engine_time_heard(struct engine *en, uint64_t keeper_us);
/* Ends the process: the state on disk is the truth from here on. */
void engine_die(const char *where, const struct err *e) __attribute__((noreturn));
/* Sends what was begun and waits. The keeper's refusal is returned, with its reason text in
 * *ret_body; a keeper that is gone ends the process. */
status engine_call(struct engine *en, struct in *ret_body, struct err *e);
status engine_hello(struct engine *en, struct err *e); /* refreshes en->hello and state facts */
/* Makes the keeper forget all keys, and forgets what it needed them for. */
status engine_lock_keeper(struct engine *en, struct err *e);

/* verb.c: one row a verb; the security summary of the product on one screen */
struct verb_row {
    const char *name;
    uint16_t roles;   /* 1 << role */
    uint8_t states;   /* enum vault_state */
    uint8_t flags;    /* enum verb_flag */
    const char *members; /* of the body, separated by spaces */
    status (*apply)(struct engine *en, struct request *rq, struct err *e);
    status (*complete)(struct engine *en, struct request *rq, const struct wire_result *result,
                       struct err *e);
};
enum verb_flag {
    FLAG_DIRECT = 1,    /* talks to the keeper itself, outside batches */
    FLAG_EXCLUSIVE = 2, /* changes what others read: last in its batch */
    FLAG_TENANT = 4,    /* the first path parameter names a tenant */
    FLAG_READ = 8,      /* makes no record */
    FLAG_STORES = 16,   /* refused when the disk is nearly full */
    FLAG_DESTROYS = 32  /* what the keyring does not have any more counts as destroyed */
};
const struct verb_row *verb_row(enum verb verb);
/* Role, state, tenant and body members. */
status verb_permit(struct engine *en, struct request *rq, struct err *e);
/* The tenant that the path names, into rq->log: NOT_FOUND if it is none of this peer's business. */
status verb_tenant(struct engine *en, struct request *rq, struct err *e);

/* batch.c */
void batch_run(struct engine *en, struct request **queue); /* takes requests off the queue */
status batch_entry(struct engine *en, struct request *rq, const struct wire_entry *entry,
                   struct err *e);
/* A batch of the engine's own: begin, batch_entry(en, NULL, ...), finish. */
bool batch_full(const struct engine *en);
status batch_begin(struct engine *en, struct err *e);
struct batch_listener {
    status (*result)(struct engine *en, const struct wire_result *r, void *context, struct err *e);
    void (*record)(const struct wire_record *r, void *context); /* may be NULL */
    void *context;
};
/* For entries whose failure is as good as success, or at least no reason to stop. */
extern const struct batch_listener batch_tolerant;
/* Without entries: rolls back and says OK. listener may be NULL: any failed entry is an error. */
status batch_finish(struct engine *en, const struct batch_listener *listener, struct err *e);
/* Stores records and heads of a WIRE_BATCH or WIRE_RECOVER reply in the open transaction. */
status batch_store(struct engine *en, struct in *body, const struct batch_listener *listener,
                   uint64_t *ret_number, struct err *e);

/* An empty batch: tells the keeper that everything so far is durable. */
status batch_acknowledge(struct engine *en, struct err *e);
/* One entry as a batch of its own. */
status batch_single(struct engine *en, const struct wire_entry *entry,
                    const struct batch_listener *listener, struct err *e);

/* attach.c */
/* created: init made the vault just now, so that there is no database yet. */
status engine_attach(struct engine *en, bool created, struct err *e);
void engine_detach(struct engine *en);

/* rebuild.c: certificates, grants and live leases, from the database into memory */
status rebuild(struct engine *en, struct err *e);

/* reconcile.c: the database follows the keyring */
status reconcile(struct engine *en, struct err *e);
status reconcile_purged(struct engine *en, struct err *e); /* engagements whose keys are gone */

/* schedule.c */
void schedule_start(struct engine *en);
void schedule_run(struct engine *en);
status schedule_end_grace(struct engine *en, struct err *e); /* versions whose grace is over */
status schedule_fold(struct engine *en, struct err *e);
status schedule_purge(struct engine *en, struct err *e);
status engagement_purge(struct engine *en, struct store_engagement *g, struct err *e);
bool schedule_disk_low(const struct engine *en);

/* refusal.c: refusals are records; floods of one actor are counted instead of written */
status refusals_new(struct refusals **ret_refusals, struct err *e);
void refusals_free(struct refusals *r);
/* Adds the record of rq's refusal to the batch, or counts it. */
status refusal_record(struct engine *en, struct request *rq, struct err *e);
status refusals_flush(struct engine *en, bool all, struct err *e); /* aggregates whose minute is over */

/* fields.c: what every record of a request says, and replies */
void fields_of(struct fields *f, const struct request *rq);
const char *actor_of(const struct request *rq, char out[2 * STORE_NAME]);
json_t *json_time(uint64_t time_us);  /* null for 0 */
json_t *json_id(const struct id *id);
json_t *json_hex(struct span s);
json_t *json_next(const char *last, size_t count, size_t page); /* name, or null on the last page */

/* body.c: members of a request's body. BAD_INPUT when absent (unless optional) or of another form.
 * Views die with the body. */
status body_name(const struct request *rq, const char *member, const char **ret_name,
                 struct err *e);
status body_text(const struct request *rq, const char *member, bool optional, size_t max,
                 const char **ret_text, struct err *e);
status body_number(const struct request *rq, const char *member, uint64_t absent, uint64_t min,
                   uint64_t max, uint64_t *ret_number, struct err *e);
status body_hex(const struct request *rq, const char *member, size_t max, struct out *out,
                struct err *e);
status body_hex_exact(const struct request *rq, const char *member, uint8_t *out, size_t n,
                      struct err *e);
status body_id(const struct request *rq, const char *member, struct id *ret_id, struct err *e);
/* "tenant/name" or "tenant/pattern" into two parts. */
status key_path_parse(const char *path, bool pattern, char tenant[STORE_NAME],
                      char key[STORE_PATTERN], struct err *e);

/* provider.c */
uint16_t provider_parse(const char *name); /* 0: unknown */
const char *provider_name(uint16_t code);

/* The handlers, by file. */
#define APPLY(name) status name(struct engine *en, struct request *rq, struct err *e)
#define COMPLETE(name) \
    status name(struct engine *en, struct request *rq, const struct wire_result *result, \
                struct err *e)
/* vault.c */
APPLY(vault_status);
APPLY(vault_init_session);
APPLY(vault_init);
APPLY(vault_slots);
APPLY(vault_unlock_session);
APPLY(vault_unlock);
APPLY(vault_lock);
APPLY(vault_clock_confirm);
COMPLETE(vault_clock_confirmed);
APPLY(vault_public_keys);
/* tenant.c */
APPLY(tenant_list);
APPLY(tenant_create);
COMPLETE(tenant_created);
APPLY(tenant_show);
APPLY(engagement_list);
APPLY(engagement_start);
COMPLETE(engagement_started);
APPLY(engagement_end);
COMPLETE(engagement_ended);
/* key.c */
APPLY(key_list);
APPLY(key_show);
APPLY(key_put);
APPLY(key_rotate);
COMPLETE(key_stored);
APPLY(key_revoke);
COMPLETE(key_revoked);
/* gateway.c */
APPLY(gateway_list);
APPLY(gateway_add);
COMPLETE(gateway_added);
APPLY(gateway_remove);
COMPLETE(gateway_removed);
APPLY(grant_add);
COMPLETE(grant_added);
APPLY(grant_remove);
COMPLETE(grant_removed);
/* certificate.c */
APPLY(certificate_list);
APPLY(certificate_issue);
COMPLETE(certificate_issued);
APPLY(certificate_revoke);
COMPLETE(certificate_revoked);
/* Signs rq's "csr" and fills c. */
status certificate_sign(const struct identity_ca *ca, const struct identity_request *request,
                        const struct request *rq, struct store_certificate *c, char *ret_pem,
                        struct err *e);
/* The same for a public key that has no certificate yet; shared with gateway_add. */
status certificate_make(struct engine *en, struct request *rq, enum role role, const char *name,
                        struct store_certificate *c, char *ret_pem, struct err *e);
status certificate_keep(struct engine *en, const struct store_certificate *c, struct err *e);
/* lease.c */
APPLY(lease_issue);
COMPLETE(lease_issued);
APPLY(lease_renew);
COMPLETE(lease_renewed);
APPLY(lease_release);
COMPLETE(lease_released);
APPLY(lease_list);
/* trail.c */
APPLY(log_show);
APPLY(log_records);
APPLY(log_check);

#endif
