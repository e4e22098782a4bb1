/*
 * A real keeper on a temporary directory, driven frame by frame as a server would, with its own
 * clocks and a server's memory of heads and acknowledgements.
 */
#ifndef KEEPER_RIG_H
#define KEEPER_RIG_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/crypto.h"
#include "keeper/keeper.h"
#include "keyring/keyring.h"
#include "ledger/checkpoint.h"
#include "ledger/record.h"
#include "ledger/tree.h"
#include "wire/message.h"

#define RIG_START_US ((uint64_t)1793000000 * SECOND_US)
#define RIG_HEADS    64
#define RIG_RECORDS  128
#define RIG_KEYS     8

/* A record with a line of its own. */
struct rig_record {
    struct wire_record r;
    char line[LIMIT_RECORD + 1];
};

struct rig {
    char dir[64];
    char keyring[80];
    struct keeper *k;
    uint8_t request[LIMIT_FRAME];
    uint8_t reply[LIMIT_FRAME];
    struct out out;
    size_t reply_n;
    struct in body;
    char reason[256]; /* of the last refusal */
    uint64_t number;
    uint64_t ack;
    struct keeper_settings settings; /* of the next keeper; what matters to the rig is set by it */

    struct id vault;
    uint8_t key_seeds[RIG_KEYS][32]; /* a hardware key: its secret for a salt is HMAC(seed, salt) */
    struct id slots[RIG_KEYS];       /* where each is enrolled */
    struct id cards[CARDS_MAX];
    uint8_t codes[CARDS_MAX][32];
    size_t card_count;
    uint8_t intake[32];

    struct wire_result result; /* of the last entry, data copied below */
    uint8_t data[LIMIT_SEALED_KEY];
    char hint[16];
    struct rig_record records[RIG_RECORDS];
    size_t record_count;
    struct {
        struct id log;
        uint8_t bytes[LEDGER_HEAD_MAX];
        size_t n;
    } heads[RIG_HEADS];
    size_t head_count;
    uint8_t seal[HEADS_SEAL_MAX];
    size_t seal_n;
};

static uint64_t rig_wall_us = RIG_START_US;
static uint64_t rig_mono_us = 5 * SECOND_US;

static inline uint64_t rig_wall(void)
{
    return rig_wall_us;
}

static inline uint64_t rig_mono(void)
{
    return rig_mono_us;
}

static inline void rig_pass(uint64_t seconds)
{
    rig_wall_us += seconds * SECOND_US;
    rig_mono_us += seconds * SECOND_US;
}

static inline struct id rig_id(uint8_t n)
{
    struct id id;

    for (size_t i = 0; i < sizeof(id.b); i++)
        id.b[i] = (uint8_t)(n ^ (0x10 * i));
    return id;
}

static inline int rig_slab(void **state)
{
    (void)state;
    return secret_start((size_t)4 << 20, NULL) == OK ? 0 : -1;
}

/* --- frames ---------------------------------------------------------------------------------- */

static inline struct out *rig_begin(struct rig *r, unsigned op)
{
    out_init(&r->out, r->request, sizeof(r->request));
    wire_put_header(&r->out, &(struct wire_header){ .op = (uint16_t)op, .number = ++r->number });
    return &r->out;
}

static inline status rig_call(struct rig *r)
{
    struct wire_header h;

    wire_finish(&r->out);
    assert_false(r->out.overflow);
    keeper_answer(r->k, span_of(r->out.p, r->out.n), (struct mspan){ r->reply, sizeof(r->reply) },
                  &r->reply_n);
    r->body = in_of(span_of(r->reply, r->reply_n));
    wire_get_header(&r->body, &h);
    assert_false(r->body.bad);
    assert_int_equal(h.number, r->number);
    r->reason[0] = '\0';
    if (h.status != OK) {
        struct span reason = in_span16(&r->body);
        assert_true(in_end(&r->body));
        snprintf(r->reason, sizeof(r->reason), "%.*s", (int)reason.n, (const char *)reason.p);
    }
    return (status)h.status;
}

static inline struct wire_hello rig_hello(struct rig *r)
{
    struct wire_hello hello;

    rig_begin(r, WIRE_HELLO);
    assert_int_equal(rig_call(r), OK);
    wire_get_hello(&r->body, &hello);
    assert_true(in_end(&r->body));
    return hello;
}

/* --- life ------------------------------------------------------------------------------------ */

static inline void rig_open(struct rig *r)
{
    r->settings.keyring_dir = r->keyring;
    r->settings.allow_cow = true;
    r->settings.now_wall_us = rig_wall;
    r->settings.now_monotonic_us = rig_mono;
    assert_int_equal(keeper_new(&r->settings, &r->k, NULL), OK);
}

static inline struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof(*r));

    assert_non_null(r);
    rig_wall_us = RIG_START_US;
    rig_mono_us = 5 * SECOND_US;
    /* In memory if possible: a test syncs some thousand times. */
    snprintf(r->dir, sizeof(r->dir), "%s/strongroom-keeper-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->keyring, sizeof(r->keyring), "%s/keyring", r->dir);
    random_bytes((struct mspan){ r->key_seeds[0], sizeof(r->key_seeds) });
    rig_open(r);
    return r;
}

/* The keeper dies and comes back; the server's memory stays. */
static inline void rig_restart(struct rig *r)
{
    keeper_free(r->k);
    r->k = NULL;
    rig_open(r);
    r->ack = 0;
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
    keeper_free(r->k);
    nftw(r->dir, rig_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
}

/* --- sessions -------------------------------------------------------------------------------- */

/* operation: of SESSION_APPROVE, else NULL. */
static inline status rig_session_for(struct rig *r, uint8_t purpose, const struct id *slot,
                                     const uint8_t *operation, struct wire_session *ret)
{
    struct wire_session_request request = { .purpose = purpose };

    if (slot != NULL) {
        request.slot = *slot;
        request.server_certificate[0] = 7;
    }
    if (operation != NULL)
        memcpy(request.operation, operation, 32);
    wire_put_session_request(rig_begin(r, WIRE_SESSION), &request);
    status st = rig_call(r);
    if (st != OK)
        return st;
    wire_get_session(&r->body, ret);
    assert_true(in_end(&r->body));
    uint8_t transcript[32];
    wire_transcript(&request, ret, transcript);
    assert_memory_equal(transcript, ret->transcript, 32);
    return OK;
}

static inline status rig_session(struct rig *r, uint8_t purpose, const struct id *slot,
                                 struct wire_session *ret)
{
    return rig_session_for(r, purpose, slot, NULL, ret);
}

/* What hardware key number key answers to the salts of a session: two secrets, good until the next
 * answer. */
static inline struct span rig_touch(const struct rig *r, size_t key, const struct wire_session *s)
{
    static uint8_t secrets[64];

    hmac_sha256(SPAN(r->key_seeds[key]), SPAN(s->salt), secrets);
    hmac_sha256(SPAN(r->key_seeds[key]), SPAN(s->salt_next), secrets + 32);
    return SPAN(secrets);
}

/* T | secrets, sealed to the session; returns its length. */
static inline size_t rig_seal(const struct wire_session *s, struct span secrets, uint8_t *out)
{
    uint8_t plain[96];

    memcpy(plain, s->transcript, 32);
    memcpy(plain + 32, secrets.p, secrets.n);
    assert_int_equal(box_seal(SPAN(s->keeper_key), span_of(plain, 32 + secrets.n), out, NULL), OK);
    return 32 + secrets.n + BOX_OVERHEAD;
}

#define RIG_SEALED 160

/* Hardware key number key as an enrolment under that operator's name. */
static inline struct wire_enrolment rig_enrolment(struct rig *r, size_t key, const char *name,
                                                  const struct wire_session *s, uint8_t *sealed)
{
    struct wire_enrolment m = { .label = span_text(name),
                                .credential_id = span_of(r->key_seeds[key], 16) };

    memcpy(m.cose_public, r->key_seeds[key], 32);
    m.sealed_secret = span_of(sealed, rig_seal(s, rig_touch(r, key, s), sealed));
    return m;
}

/* --- init and unlock ------------------------------------------------------------------------- */

static inline void rig_take_system_keys(struct rig *r)
{
    struct wire_system_keys keys;

    rig_begin(r, WIRE_SYSTEM_KEYS);
    assert_int_equal(rig_call(r), OK);
    wire_get_system_keys(&r->body, &keys);
    assert_true(in_end(&r->body));
    memcpy(r->intake, keys.intake_public, 32);
}

static const uint8_t rig_card_private[32] = { 5 };
static const char *const rig_names[RIG_KEYS] = { "alice", "bob",  "carol", "dave",
                                                 "erin",  "fred", "gina",  "hugo" };

static inline void rig_take_cards(struct rig *r, struct span sealed)
{
    AUTO(secret) *opened = NULL;

    assert_int_equal(box_open(SPAN(rig_card_private), sealed, &opened, NULL), OK);
    struct in i = in_of(secret_view(opened));
    r->card_count = 0;
    while (i.n > 0) {
        r->cards[r->card_count] = in_id(&i);
        in_copy(&i, r->codes[r->card_count++], 32);
    }
    assert_true(in_end(&i));
}

/* A vault of that many operators, each with a key of the same number, and of as many cards. */
struct rig_plan {
    const char *region;
    uint8_t operators;
    uint8_t quorum;
    uint8_t cards;
};
static inline status rig_try_init(struct rig *r, const struct wire_session *s, struct rig_plan plan)
{
    static const uint8_t ca_key[32] = { 9 };
    uint8_t sealed[RIG_KEYS][RIG_SEALED];
    struct wire_init_request request = { .session = s->session,
                                         .region = span_text(plan.region),
                                         .quorum = plan.quorum,
                                         .cards = plan.cards,
                                         .ca_key = SPAN(ca_key),
                                         .operator_count = plan.operators };
    struct wire_init made;

    for (size_t i = 0; i < plan.operators; i++)
        request.operators[i] = rig_enrolment(r, i, rig_names[i], s, sealed[i]);
    box_public(SPAN(rig_card_private), request.recovery_key);
    wire_put_init_request(rig_begin(r, WIRE_INIT), &request);
    status st = rig_call(r);
    if (st != OK)
        return st;
    wire_get_init(&r->body, &made);
    assert_true(in_end(&r->body));
    assert_int_equal(made.slot_count, plan.operators);
    r->vault = made.vault;
    memcpy(r->slots, made.slots, plan.operators * sizeof(r->slots[0]));
    rig_take_cards(r, made.sealed_cards);
    assert_int_equal(r->card_count, plan.cards);
    return OK;
}

static inline void rig_init_plan(struct rig *r, struct rig_plan plan)
{
    struct wire_session s;

    assert_int_equal(rig_session(r, SESSION_INIT, NULL, &s), OK);
    assert_int_equal(rig_try_init(r, &s, plan), OK);
    rig_take_system_keys(r);
}

#define RIG_SIMPLE(where) \
    ((struct rig_plan){ .region = (where), .operators = 1, .quorum = 1, .cards = 1 })

static inline void rig_init(struct rig *r)
{
    rig_init_plan(r, RIG_SIMPLE("eu-central"));
}

static inline status rig_try_unlock(struct rig *r, const struct wire_session *s,
                                    const struct id *slot, struct span secrets)
{
    uint8_t sealed[RIG_SEALED];
    struct wire_unlock_request request = { .session = s->session, .slot = *slot };

    request.sealed_secret = span_of(sealed, rig_seal(s, secrets, sealed));
    wire_put_unlock_request(rig_begin(r, WIRE_UNLOCK), &request);
    return rig_call(r);
}

/* Hardware key number key gives its share; *ret_have may be NULL. */
static inline status rig_share(struct rig *r, size_t key, uint8_t *ret_have)
{
    struct wire_session s;
    struct wire_unlock answer;
    status st = rig_session(r, SESSION_UNLOCK, &r->slots[key], &s);

    if (st != OK)
        return st;
    st = rig_try_unlock(r, &s, &r->slots[key], rig_touch(r, key, &s));
    if (st != OK)
        return st;
    wire_get_unlock(&r->body, &answer);
    assert_true(in_end(&r->body));
    if (ret_have != NULL)
        *ret_have = answer.have;
    return OK;
}

static inline status rig_card_share(struct rig *r, size_t card)
{
    struct wire_session s;
    status st = rig_session(r, SESSION_UNLOCK, &r->cards[card], &s);

    return st == OK ? rig_try_unlock(r, &s, &r->cards[card], SPAN(r->codes[card])) : st;
}

static inline status rig_load_heads(struct rig *r)
{
    struct out *o = rig_begin(r, WIRE_HEADS);

    out_u8(o, 1);
    out_u16(o, (uint16_t)r->head_count);
    for (size_t i = 0; i < r->head_count; i++)
        out_span16(o, span_of(r->heads[i].bytes, r->heads[i].n));
    out_span16(o, span_of(r->seal, r->seal_n));
    return rig_call(r);
}

static inline void rig_unlock(struct rig *r)
{
    assert_int_equal(rig_share(r, 0, NULL), OK);
    assert_int_equal(rig_load_heads(r), OK);
}

static inline void rig_lock(struct rig *r)
{
    rig_begin(r, WIRE_LOCK);
    assert_int_equal(rig_call(r), OK);
    assert_int_equal(rig_hello(r).state, KEEPER_LOCKED);
}

/* --- batches --------------------------------------------------------------------------------- */

static inline void rig_take_head(struct rig *r, struct span head)
{
    struct in i = in_of(head);
    struct id log = in_id(&i);
    size_t at = 0;

    while (at < r->head_count && !id_same(&r->heads[at].log, &log))
        at++;
    assert_true(at < RIG_HEADS && head.n <= LEDGER_HEAD_MAX);
    if (at == r->head_count)
        r->head_count++;
    r->heads[at].log = log;
    r->heads[at].n = head.n;
    memcpy(r->heads[at].bytes, head.p, head.n);
}

/* Reads a BATCH reply: keeps the last result and all records, remembers heads. */
static inline size_t rig_take_batch(struct rig *r)
{
    uint64_t number = in_u64(&r->body);
    uint16_t count = in_u16(&r->body);

    r->record_count = 0;
    for (uint16_t i = 0; i < count; i++) {
        wire_get_result(&r->body, &r->result);
        assert_false(r->body.bad);
        assert_true(r->result.data.n <= sizeof(r->data));
        if (r->result.data.n > 0)
            memcpy(r->data, r->result.data.p, r->result.data.n);
        snprintf(r->hint, sizeof(r->hint), "%.*s", (int)r->result.hint.n,
                 (const char *)r->result.hint.p);
        for (uint16_t j = 0; j < r->result.record_count; j++) {
            struct rig_record *record = &r->records[r->record_count++];
            assert_true(r->record_count <= RIG_RECORDS);
            wire_get_record(&r->body, &record->r);
            assert_false(r->body.bad);
            memcpy(record->line, record->r.line.p, record->r.line.n);
            record->line[record->r.line.n] = '\0';
            record->r.line = span_text(record->line);
        }
    }
    uint16_t heads = in_u16(&r->body);
    for (uint16_t i = 0; i < heads; i++)
        rig_take_head(r, in_span16(&r->body));
    struct span seal = in_span16(&r->body);
    assert_true(seal.n <= sizeof(r->seal));
    if (seal.n > 0) {
        memcpy(r->seal, seal.p, seal.n);
        r->seal_n = seal.n;
    }
    assert_true(in_end(&r->body));
    r->ack = number;
    return count;
}

/* Asks for one log's checkpoint: the note is next in body. */
static inline status rig_checkpoint(struct rig *r, struct id log)
{
    struct out *o = rig_begin(r, WIRE_CHECKPOINT);

    out_u64(o, r->ack);
    out_u16(o, 1);
    out_id(o, &log);
    return rig_call(r);
}

static inline status rig_recover(struct rig *r, uint64_t after)
{
    out_u64(rig_begin(r, WIRE_RECOVER), after);
    return rig_call(r);
}

static inline void rig_put_batch(struct rig *r, const struct wire_entry *entries, size_t count)
{
    struct out *o = rig_begin(r, WIRE_BATCH);

    out_u64(o, r->ack);
    out_u16(o, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        wire_put_entry(o, &entries[i]);
}

static inline status rig_batch(struct rig *r, const struct wire_entry *entries, size_t count)
{
    rig_put_batch(r, entries, count);
    status st = rig_call(r);
    if (st == OK)
        assert_int_equal(rig_take_batch(r), count);
    return st;
}

/* One entry; its own status. */
static inline status rig_entry(struct rig *r, struct wire_entry entry)
{
    assert_int_equal(rig_batch(r, &entry, 1), OK);
    return (status)r->result.status;
}

static inline bool rig_line_has(const struct rig_record *record, const char *text)
{
    return strstr(record->line, text) != NULL;
}

/* --- a usual tenant -------------------------------------------------------------------------- */

static inline void rig_tenant(struct rig *r, struct id tenant, struct id engagement)
{
    assert_int_equal(
        rig_entry(r, (struct wire_entry){ .kind = ENTRY_TENANT_NEW, .tenant = tenant }), OK);
    assert_int_equal(rig_entry(r, (struct wire_entry){ .kind = ENTRY_ENGAGEMENT_START,
                                                       .tenant = tenant,
                                                       .engagement = engagement }),
                     OK);
}

/* Puts value; the sealed value is then in r->data with length r->result.data.n. */
static inline status rig_put(struct rig *r, struct id tenant, struct id engagement, struct id key,
                             uint32_t version, const char *value)
{
    uint8_t delivery[LIMIT_DELIVERY + 1];
    size_t n = strlen(value);
    struct wire_entry entry = { .kind = ENTRY_KEY_PUT,
                                .tenant = tenant,
                                .engagement = engagement,
                                .key = key,
                                .version = version,
                                .provider = 3 };

    assert_int_equal(box_seal(SPAN(r->intake), span_text(value), delivery, NULL), OK);
    entry.data = span_of(delivery, n + BOX_OVERHEAD);
    return rig_entry(r, entry);
}

static inline struct wire_entry rig_open_entry(struct id tenant, struct id key, uint32_t version,
                                               struct span sealed)
{
    struct wire_entry entry = { .kind = ENTRY_KEY_OPEN,
                                .tenant = tenant,
                                .key = key,
                                .version = version,
                                .provider = 3,
                                .gateway = rig_id(200),
                                .certificate = { 1, 2, 3 },
                                .expires_us = RIG_START_US + 900 * SECOND_US,
                                .data = sealed };
    return entry;
}

#endif
