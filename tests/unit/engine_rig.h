/*
 * A real engine against a real keeper: the keeper serves in a forked child, the engine runs in this
 * process (or in another child, to be killed), on directories of their own. The rig is the
 * supervisor, the gateways, the operators and their hardware key. The keeper's clocks, which the
 * engine follows, can be moved.
 */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the headers it needs */
#include <cmocka.h>

#include <ftw.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/internal.h"
#include "fido/fido.h"
#include "keeper/keeper.h"
#include "wire/message.h"

#define RIG_SLAB   ((size_t)8 << 20)
#define RIG_REGION "eu"

/* Moves the keeper's clocks, in memory that it shares with us. */
struct rig_clock {
    uint64_t wall_us; /* to be added */
    uint64_t mono_us;
};
static struct rig_clock *rig_clock;

static inline uint64_t rig_wall(void)
{
    return clock_wall_us() + __atomic_load_n(&rig_clock->wall_us, __ATOMIC_SEQ_CST);
}

static inline uint64_t rig_mono(void)
{
    return clock_monotonic_us() + __atomic_load_n(&rig_clock->mono_us, __ATOMIC_SEQ_CST);
}

static inline void rig_pass(uint64_t seconds)
{
    __atomic_add_fetch(&rig_clock->wall_us, seconds * SECOND_US, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&rig_clock->mono_us, seconds * SECOND_US, __ATOMIC_SEQ_CST);
}

struct rig {
    char dir[64], keyring[80], store[80], tls[80];
    pid_t keeper;
    int end; /* of the socketpair, kept for the engines to come */
    struct engine_settings settings;
    struct wire_client *client;
    struct engine *en;

    gnutls_privkey_t authenticator;
    uint8_t cose[64];
    uint8_t device_secret[32];
    struct id vault, slot;
    char ca[LIMIT_CERTIFICATE];
    uint8_t intake[32];

    struct holder local, nobody, alice; /* alice is the first operator */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waiting; /* requests that are not answered */
    bool gate;        /* closed: see rig_hold */
    bool held;
};

/* --- processes ------------------------------------------------------------------------------- */

static inline void rig_must(bool fine, const char *what)
{
    if (!fine) {
        print_error("rig: %s\n", what);
        abort();
    }
}

static inline void rig_keep(struct rig *r, int fd)
{
    struct keeper_settings settings = { .keyring_dir = r->keyring,
                                        .allow_cow = true,
                                        .now_wall_us = rig_wall,
                                        .now_monotonic_us = rig_mono };
    struct keeper *k = NULL;

    close(r->end);
    signal(SIGTERM, SIG_DFL);
    if (secret_start(KEEPER_SLAB, NULL) != OK || keeper_new(&settings, &k, NULL) != OK)
        _exit(1);
    _exit(keeper_serve(k, fd, NULL) == OK ? 0 : 1);
}

static inline void rig_start_keeper(struct rig *r)
{
    int ends[2];

    rig_must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
    r->end = ends[0];
    r->keeper = fork();
    rig_must(r->keeper >= 0, "fork");
    if (r->keeper == 0)
        rig_keep(r, ends[1]);
    close(ends[1]);
}

static inline void rig_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static inline void rig_tls_ready(void *context, bool renewed)
{
    (void)context;
    (void)renewed;
}

static inline struct wire_client *rig_connect(const struct rig *r)
{
    struct wire_client *client = NULL;

    rig_must(wire_client_new(dup(r->end), &client, NULL) == OK, "client");
    return client;
}

static inline void rig_start_engine(struct rig *r)
{
    struct err e = { 0 };

    r->client = rig_connect(r);
    if (engine_new(&r->settings, r->client, &r->en, &e) != OK)
        print_error("engine_new: %s\n", e.why == NULL ? "?" : e.why);
    rig_must(r->en != NULL, "engine");
}

/* An orderly end, as on SIGTERM. */
static inline void rig_stop_engine(struct rig *r)
{
    if (r->en == NULL)
        return;
    engine_stop(r->en);
    engine_free(r->en);
    wire_client_free(r->client);
    r->en = NULL;
    r->client = NULL;
}

static inline void rig_restart_engine(struct rig *r)
{
    rig_stop_engine(r);
    rig_start_engine(r);
}

/* --- requests -------------------------------------------------------------------------------- */

/* On the engine's thread. */
static inline void rig_done(struct request *rq)
{
    struct rig *r = rq->context;

    pthread_mutex_lock(&r->lock);
    r->waiting--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static inline struct request *rig_request(struct rig *r, enum verb verb, const struct holder *peer,
                                          const char *a, const char *b, json_t *body)
{
    struct request *rq = request_new();

    rig_must(rq != NULL, "request");
    rq->verb = verb;
    rq->peer = *peer;
    rq->server_certificate[0] = 7;
    snprintf(rq->param[0], sizeof rq->param[0], "%s", a == NULL ? "" : a);
    snprintf(rq->param[1], sizeof rq->param[1], "%s", b == NULL ? "" : b);
    rq->body = body == NULL ? json_object() : body;
    rq->context = r;
    rq->done = rig_done;
    return rq;
}

static inline struct request *rig_submit(struct rig *r, struct request *rq)
{
    pthread_mutex_lock(&r->lock);
    r->waiting++;
    pthread_mutex_unlock(&r->lock);
    engine_submit(r->en, rq);
    return rq;
}

/* How many requests that were submitted wait for their answer. */
static inline unsigned rig_unanswered(struct rig *r)
{
    unsigned n;

    pthread_mutex_lock(&r->lock);
    n = r->waiting;
    pthread_mutex_unlock(&r->lock);
    return n;
}

static inline void rig_wait(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->waiting > 0)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

/* Submits, waits, and gives the answered request, which the caller frees. */
static inline struct request *rig_ask(struct rig *r, enum verb verb, const struct holder *peer,
                                      const char *a, const char *b, json_t *body)
{
    struct request *rq = rig_submit(r, rig_request(r, verb, peer, a, b, body));

    rig_wait(r);
    return rq;
}

static inline status rig_try(struct rig *r, enum verb verb, const struct holder *peer,
                             const char *a, const char *b, json_t *body)
{
    struct request *rq = rig_ask(r, verb, peer, a, b, body);
    status st = rq->outcome;

    request_free(rq);
    return st;
}

/* The reply of a request that has to succeed. */
static inline json_t *rig_get(struct rig *r, enum verb verb, const struct holder *peer,
                              const char *a, const char *b, json_t *body)
{
    struct request *rq = rig_ask(r, verb, peer, a, b, body);
    json_t *reply = json_incref(rq->reply);

    if (rq->outcome != OK)
        print_error("%s: %s\n", verb_name(verb), rq->err.why);
    assert_int_equal(rq->outcome, OK);
    request_free(rq);
    return reply;
}

static inline void rig_do(struct rig *r, enum verb verb, const struct holder *peer, const char *a,
                          const char *b, json_t *body)
{
    json_decref(rig_get(r, verb, peer, a, b, body));
}

static inline const char *rig_text(const json_t *reply, const char *member)
{
    const char *text = json_string_value(json_object_get(reply, member));

    rig_must(text != NULL, member);
    return text;
}

static inline void rig_hex(const json_t *reply, const char *member, uint8_t *out, size_t n)
{
    const char *text = rig_text(reply, member);

    rig_must(hex_parse(text, strlen(text), out, n), member);
}

/* The engine's thread waits in here: what is submitted meanwhile is queued together. */
static inline void rig_gate(struct request *rq)
{
    struct rig *r = rq->context;

    pthread_mutex_lock(&r->lock);
    r->held = true;
    pthread_cond_broadcast(&r->changed);
    while (r->gate)
        pthread_cond_wait(&r->changed, &r->lock);
    r->held = false;
    pthread_mutex_unlock(&r->lock);
    request_free(rq);
}

static inline void rig_hold(struct rig *r)
{
    struct request *rq = rig_request(r, VERB_STATUS, &r->local, NULL, NULL, NULL);

    rq->done = rig_gate;
    r->gate = true;
    engine_submit(r->en, rq);
    pthread_mutex_lock(&r->lock);
    while (!r->held)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

static inline void rig_let_go(struct rig *r)
{
    pthread_mutex_lock(&r->lock);
    r->gate = false;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* --- the hardware key ------------------------------------------------------------------------ */

static inline void rig_make_authenticator(struct rig *r)
{
    gnutls_datum_t x, y, k;
    gnutls_ecc_curve_t curve;

    rig_must(gnutls_privkey_init(&r->authenticator) == 0, "key");
    rig_must(gnutls_privkey_generate(r->authenticator, GNUTLS_PK_ECDSA, 256, 0) == 0, "key");
    rig_must(gnutls_privkey_export_ecc_raw2(r->authenticator, &curve, &x, &y, &k,
                                            GNUTLS_EXPORT_FLAG_NO_LZ) == 0,
             "key");
    memcpy(r->cose + 32 - x.size, x.data, x.size);
    memcpy(r->cose + 64 - y.size, y.data, y.size);
    gnutls_free(x.data);
    gnutls_free(y.data);
    gnutls_free(k.data);
    random_bytes((struct mspan){ r->device_secret, sizeof r->device_secret });
}

static inline json_t *rig_as_hex(struct span s)
{
    char text[2 * 1024 + 1];

    hex_format(s, text);
    return json_string(text);
}

/* What the key answers to one touch: the members auth_data and signature. */
static inline void rig_touch(const struct rig *r, const uint8_t transcript[32], json_t *body)
{
    static const char extension[] = "\xa1\x6bhmac-secret\x58\x50";
    uint8_t message[37 + sizeof extension - 1 + 80 + 32] = { 0 };
    size_t n = sizeof message - 32;
    gnutls_datum_t data = { message, sizeof message }, signature;

    sha256(span_text(FIDO_RP_ID), message);
    message[32] = 0x01 | 0x04 | 0x80; /* present, verified, extension data */
    message[36] = 9;
    memcpy(message + 37, extension, sizeof extension - 1);
    memcpy(message + n, transcript, 32);
    rig_must(gnutls_privkey_sign_data(r->authenticator, GNUTLS_DIG_SHA256, 0, &data, &signature) ==
                 0,
             "sign");
    json_object_set_new(body, "auth_data", rig_as_hex(span_of(message, n)));
    json_object_set_new(body, "signature", rig_as_hex(span_of(signature.data, signature.size)));
    gnutls_free(signature.data);
}

/* From the reply of a session to the members that prove the touch and carry the secrets. text: of
 * the operation that is approved, else NULL. */
static inline json_t *rig_prove(const struct rig *r, const json_t *opened, uint8_t purpose,
                                const char *text)
{
    struct wire_session_request request = { .purpose = purpose };
    struct wire_session s = { .epoch =
                                  (uint32_t)json_integer_value(json_object_get(opened, "epoch")) };
    uint8_t plain[96], sealed[96 + BOX_OVERHEAD];
    json_t *body = json_object();

    if (purpose != SESSION_INIT)
        request.server_certificate[0] = 7;
    if (purpose == SESSION_UNLOCK || purpose == SESSION_APPROVE)
        request.slot = r->slot;
    if (text != NULL)
        operation_hash(span_text(text), request.operation);
    rig_hex(opened, "session", s.session.b, 16);
    rig_hex(opened, "nonce", s.nonce, 32);
    rig_hex(opened, "keeper_key", s.keeper_key, 32);
    rig_hex(opened, "vault", s.vault.b, 16);
    rig_hex(opened, "salt", s.salt, 32);
    rig_hex(opened, "salt_next", s.salt_next, 32);
    wire_transcript(&request, &s, plain);
    hmac_sha256(SPAN(r->device_secret), SPAN(s.salt), plain + 32);
    hmac_sha256(SPAN(r->device_secret), SPAN(s.salt_next), plain + 64);
    rig_must(box_seal(SPAN(s.keeper_key), SPAN(plain), sealed, NULL) == OK, "seal");
    json_object_set_new(body, "session", rig_as_hex(SPAN(s.session.b)));
    json_object_set_new(body, "sealed_secret", rig_as_hex(SPAN(sealed)));
    rig_touch(r, plain, body);
    return body;
}

/* --- the vault ------------------------------------------------------------------------------- */

static inline char *rig_csr(void)
{
    AUTO(secret) *key = NULL;
    char *csr = calloc(1, LIMIT_CSR);

    rig_must(identity_key_new(&key, NULL) == OK, "key");
    rig_must(identity_csr_new(key, "whoever", csr, LIMIT_CSR, NULL) == OK, "csr");
    return csr;
}

/* Who a certificate names, as the face would find out. */
static inline struct holder rig_holder(const struct rig *r, const char *pem)
{
    struct identity_verifier *v = NULL;
    struct holder holder = { .role = ROLE_NONE };
    uint8_t der[LIMIT_CERTIFICATE];
    struct out out;

    out_init(&out, der, sizeof der);
    rig_must(identity_verifier_new(span_text(r->ca), &r->vault, &v, NULL) == OK, "verifier");
    rig_must(identity_pem_to_der(span_text(pem), &out, NULL) == OK, "pem");
    rig_must(identity_verify(v, span_of(der, out.n), clock_wall_us(), &holder, NULL) == OK,
             "certificate");
    identity_verifier_free(v);
    return holder;
}

/* The body of init; csr NULL: a good one. */
static inline json_t *rig_init_body(struct rig *r, const char *csr)
{
    static const uint8_t card_private[32] = { 5 }, aaguid[16] = { 3 };
    json_t *opened = rig_get(r, VERB_INIT_SESSION, &r->local, NULL, NULL, NULL);
    json_t *alice = rig_prove(r, opened, SESSION_INIT, NULL);
    json_t *body = json_object();
    char *good = rig_csr();
    uint8_t card[32];

    box_public(SPAN(card_private), card);
    json_object_set(body, "session", json_object_get(alice, "session"));
    json_object_del(alice, "session");
    json_object_set_new(alice, "operator", json_string("alice"));
    json_object_set_new(alice, "credential_id", rig_as_hex(span_text("credential")));
    json_object_set_new(alice, "public_key", rig_as_hex(SPAN(r->cose)));
    json_object_set_new(alice, "aaguid", rig_as_hex(SPAN(aaguid)));
    json_object_set_new(body, "operators", json_pack("[o]", alice));
    json_object_set_new(body, "recovery_key", rig_as_hex(SPAN(card)));
    json_object_set_new(body, "csr", json_string(csr == NULL ? good : csr));
    free(good);
    json_decref(opened);
    return body;
}

static inline void rig_init(struct rig *r)
{
    json_t *made = rig_get(r, VERB_INIT, &r->local, NULL, NULL, rig_init_body(r, NULL));

    rig_hex(made, "vault", r->vault.b, 16);
    rig_must(hex_parse(json_string_value(json_array_get(json_object_get(made, "slots"), 0)), 32,
                       r->slot.b, 16),
             "slot");
    rig_hex(made, "intake_key", r->intake, 32);
    snprintf(r->ca, sizeof r->ca, "%s", rig_text(made, "ca"));
    r->alice = rig_holder(r, rig_text(made, "certificate"));
    json_decref(made);
}

static inline struct request *rig_try_unlock(struct rig *r)
{
    json_t *slot = json_pack("{s:o}", "slot", rig_as_hex(SPAN(r->slot.b)));
    json_t *opened = rig_get(r, VERB_UNLOCK_SESSION, &r->alice, NULL, NULL, slot);
    json_t *body = rig_prove(r, opened, SESSION_UNLOCK, NULL);

    json_object_set_new(body, "slot", rig_as_hex(SPAN(r->slot.b)));
    json_decref(opened);
    return rig_ask(r, VERB_UNLOCK, &r->alice, NULL, NULL, body);
}

static inline void rig_unlock(struct rig *r)
{
    struct request *rq = rig_try_unlock(r);

    if (rq->outcome != OK)
        print_error("unlock: %s\n", rq->err.why);
    assert_int_equal(rq->outcome, OK);
    assert_string_equal(rig_text(rq->reply, "state"), "unlocked");
    request_free(rq);
}

static inline bool rig_is(struct rig *r, const char *state)
{
    json_t *reply = rig_get(r, VERB_STATUS, &r->local, NULL, NULL, NULL);
    bool is = strcmp(rig_text(reply, "state"), state) == 0;

    json_decref(reply);
    return is;
}

/* --- birth and death ------------------------------------------------------------------------- */

static inline int rig_slab(void **state)
{
    (void)state;
    rig_clock =
        mmap(NULL, sizeof *rig_clock, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return rig_clock != MAP_FAILED && secret_start(RIG_SLAB, NULL) == OK ? 0 : -1;
}

static inline struct rig *rig_empty(void)
{
    struct rig *r = calloc(1, sizeof *r);

    rig_must(r != NULL, "memory");
    *rig_clock = (struct rig_clock){ 0 };
    snprintf(r->dir, sizeof r->dir, "/tmp/strongroom-engine-XXXXXX");
    rig_must(mkdtemp(r->dir) != NULL, "directory");
    snprintf(r->keyring, sizeof r->keyring, "%s/keyring", r->dir);
    snprintf(r->store, sizeof r->store, "%s/store", r->dir);
    snprintf(r->tls, sizeof r->tls, "%s/tls", r->dir);
    rig_must(mkdir(r->keyring, 0700) == 0 && mkdir(r->store, 0700) == 0 && mkdir(r->tls, 0700) == 0,
             "directories");
    r->settings = (struct engine_settings){ .region = RIG_REGION,
                                            .server_names = "localhost",
                                            .lease_ttl_s = 300,
                                            .lease_max_ttl_s = 900,
                                            .lease_max_lifetime_s = 3600,
                                            .token_ttl_s = 1800,
                                            .rotate_grace_s = 60,
                                            .checkpoint_s = 10,
                                            .checkpoint_idle_s = 3600,
                                            .certificate_days = 90,
                                            .waiting_max = 2000,
                                            .waiting_events = 2000,
                                            .waiting_each = 2000,
                                            .disk_reserve_mib = 1,
                                            .tls_ready = rig_tls_ready };
    snprintf(r->settings.store_dir, sizeof r->settings.store_dir, "%s", r->store);
    snprintf(r->settings.tls_dir, sizeof r->settings.tls_dir, "%s", r->tls);
    r->local.role = ROLE_LOCAL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    rig_make_authenticator(r);
    rig_start_keeper(r);
    rig_start_engine(r);
    return r;
}

/* An unlocked vault. */
static inline struct rig *rig_new(void)
{
    struct rig *r = rig_empty();

    rig_init(r);
    return r;
}

static inline int rig_remove(const char *path, const struct stat *s, int type, struct FTW *f)
{
    (void)s;
    (void)type;
    (void)f;
    return remove(path);
}

static inline void rig_free(struct rig *r)
{
    rig_stop_engine(r);
    close(r->end);
    rig_kill(r->keeper);
    gnutls_privkey_deinit(r->authenticator);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    nftw(r->dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
}

/* The keeper dies, and so does whatever spoke to it; the new vault is locked. */
static inline void rig_replace_keeper(struct rig *r)
{
    rig_kill(r->keeper);
    close(r->end);
    rig_start_keeper(r);
}

#endif
