#include "tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applier.h"
#include "base/limits.h"
#include "crypto/crypto.h"
#include "db.h"
#include "store/checkpoint.h"

#define HALF_SIZE    ((size_t)2 * 1024 * 1024)
#define FILE_SIZE    (2 * HALF_SIZE)
#define STEPS_MAX    ((size_t)256 * 1024)
#define FRAME_MAX    (4 + SEAL_OVERHEAD + STEPS_MAX)
#define TURN_MAX     (4 + SEAL_OVERHEAD + 1 + GENERATION)
#define RECORDS_MAX  2048 /* then the pages are written, beside what goes into the other half */
#define GENERATION   8
#define FACT_NAME    "tail"
#define FACT_CARRIED "heads" /* the seal on them changes with each batch */

enum step { STEP_RECORD = 1, STEP_HEAD = 2, STEP_NODE = 3, STEP_FACT = 4, STEP_TURN = 5 };

struct tail {
    int fd;
    struct secret *key;
    uint64_t generation; /* of the database that frames follow */
    uint64_t next;       /* what it will be after the commit */
    uint32_t index;      /* of the next frame */
    size_t half;         /* where the one that is written to begins */
    size_t at;           /* where the next frame goes */
    uint64_t records;    /* carried in this generation */
    bool others;         /* this transaction changes what cannot be carried */
    bool again;          /* steps are being done again, not noted */
    struct out steps;    /* of this transaction */
    uint8_t *frame;
    struct applier *applier;
};

/* --- frames ---------------------------------------------------------------------------------- */

static void context_of(const struct tail *t, uint32_t index, struct label *l)
{
    label_init(l, "aad.store-tail");
    label_u64(l, t->generation);
    label_u32(l, index);
}

static status write_frame(struct tail *t, struct span steps, struct err *e)
{
    uint8_t salt[32];
    struct label aad;
    struct out o;
    size_t n = 4 + SEAL_OVERHEAD + steps.n, done = 0;
    status st;

    context_of(t, t->index, &aad);
    random_bytes((struct mspan){ salt, sizeof salt });
    out_init(&o, t->frame, 4);
    out_u32(&o, (uint32_t)(n - 4));
    st = crypto_seal_with_salt(secret_view(t->key), 0, label_view(&aad), steps, SPAN(salt),
                               t->frame + 4, e);
    while (st == OK && done < n) {
        ssize_t wrote = pwrite(t->fd, t->frame + done, n - done, (off_t)(t->at + done));

        if (wrote > 0)
            done += (size_t)wrote;
        else if (wrote == 0 || errno != EINTR)
            st = fail(e, IO, "the tail of the database cannot be written", errno);
    }
    t->at += n;
    t->index++;
    return st;
}

/* NOT_FOUND: there is no frame of this generation and index here. */
static status read_frame(struct tail *t, size_t at, uint32_t index, struct secret **ret_steps,
                         size_t *ret_size, struct err *e)
{
    struct label aad;
    struct in head;
    size_t left = t->half + HALF_SIZE - at, room = left < FRAME_MAX ? left : FRAME_MAX, n;
    ssize_t got = pread(t->fd, t->frame, room, (off_t)at);
    status st;

    if (got < 0)
        return fail(e, IO, "the tail of the database cannot be read", errno);
    head = in_of(span_of(t->frame, (size_t)got));
    n = in_u32(&head);
    if (head.bad || n < SEAL_OVERHEAD || n > head.n)
        return NOT_FOUND;
    context_of(t, index, &aad);
    st = crypto_open(secret_view(t->key), label_view(&aad), span_of(head.p, n), ret_steps, e);
    *ret_size = 4 + n;
    return st == CORRUPT ? NOT_FOUND : st;
}

/* --- steps ----------------------------------------------------------------------------------- */

/* What a step takes beside its own bytes, at most. */
#define STEP_COST 128

bool tail_defers(const struct store *s, struct span bytes)
{
    const struct tail *t = s->tail;

    return t != NULL && s->transaction && !s->taken && s->copy == NULL &&
           t->steps.cap - t->steps.n >= STEP_COST + bytes.n;
}

bool tail_has_noted(const struct store *s)
{
    return s->tail != NULL && s->tail->steps.n > 0;
}

static struct out *noting(struct store *s)
{
    return s->tail == NULL || s->tail->again || !s->transaction ? NULL : &s->tail->steps;
}

void tail_record(struct store *s, const struct store_record *r)
{
    struct out *o = noting(s);

    if (o == NULL)
        return;
    out_u8(o, STEP_RECORD);
    out_id(o, &r->log);
    out_u64(o, r->seq);
    out_u64(o, r->time_us);
    out_u64(o, r->until_us);
    out_u16(o, r->type);
    out_u8(o, r->outcome);
    out_raw(o, SPAN(r->mac));
    out_span16(o, r->line);
}

void tail_head(struct store *s, const struct id *log, uint64_t size, struct span head)
{
    struct out *o = noting(s);

    if (o == NULL)
        return;
    out_u8(o, STEP_HEAD);
    out_id(o, log);
    out_u64(o, size);
    out_span16(o, head);
}

void tail_node(struct store *s, const struct id *log, unsigned level, uint64_t number,
               const uint8_t hash[static 32])
{
    struct out *o = noting(s);

    if (o == NULL)
        return;
    out_u8(o, STEP_NODE);
    out_id(o, log);
    out_u8(o, (uint8_t)level);
    out_u64(o, number);
    out_raw(o, span_of(hash, 32));
}

bool tail_is_carried(const char *fact)
{
    return strcmp(fact, FACT_CARRIED) == 0;
}

void tail_fact(struct store *s, const char *name, struct span value)
{
    struct out *o = noting(s);

    if (o == NULL)
        return;
    if (!tail_is_carried(name)) {
        s->tail->others = true;
        return;
    }
    out_u8(o, STEP_FACT);
    out_span16(o, value);
}

static status do_record(struct store *s, struct in *i, struct err *e)
{
    struct store_record r = { .log = in_id(i), .seq = in_u64(i) };

    r.time_us = in_u64(i);
    r.until_us = in_u64(i);
    r.type = in_u16(i);
    r.outcome = in_u8(i);
    in_copy(i, r.mac, sizeof r.mac);
    r.line = in_span16(i);
    return i->bad ? OK : store_record_add(s, &r, e);
}

static status do_head(struct store *s, struct in *i, struct err *e)
{
    struct id log = in_id(i);
    uint64_t size = in_u64(i);
    struct span head = in_span16(i);

    return i->bad ? OK : store_head_set(s, &log, size, head, e);
}

static status do_node(struct store *s, struct in *i, struct err *e)
{
    struct id log = in_id(i);
    unsigned level = in_u8(i);
    uint64_t number = in_u64(i);
    uint8_t hash[32];

    in_copy(i, hash, sizeof hash);
    return i->bad ? OK : store_node_add(s, &log, level, number, hash, e);
}

/* What follows is in the other half. */
static void turn_to(struct tail *t, uint64_t generation)
{
    t->generation = generation;
    t->half = HALF_SIZE - t->half;
    t->at = t->half;
    t->index = 0;
    t->records = 0;
}

static void do_turn(struct store *s, struct in *i)
{
    uint64_t generation = in_u64(i);

    if (s->tail == NULL)
        i->bad = true;
    else if (!i->bad)
        turn_to(s->tail, generation);
}

status tail_do(struct store *s, struct span steps, struct err *e)
{
    struct in i = in_of(steps);
    status st = OK;

    while (st == OK && i.n > 0 && !i.bad) {
        switch (in_u8(&i)) {
        case STEP_RECORD: st = do_record(s, &i, e); break;
        case STEP_HEAD: st = do_head(s, &i, e); break;
        case STEP_NODE: st = do_node(s, &i, e); break;
        case STEP_FACT: st = store_fact_set(s, FACT_CARRIED, in_span16(&i), e); break;
        case STEP_TURN: do_turn(s, &i); break;
        default: i.bad = true;
        }
    }
    return st == OK && i.bad ? fail(e, CORRUPT, "the tail of the database is malformed", 0) : st;
}

status tail_do_noted(struct store *s, struct err *e)
{
    struct tail *t = s->tail;
    uint64_t pending = s->records_pending;
    status st;

    t->again = true;
    st = tail_do(s, span_of(t->steps.p, t->steps.n), e);
    t->again = false;
    s->records_pending = pending;
    return st;
}

/* Does the frames of this half from its beginning, and what follows, in the open transaction. */
static status do_frames(struct store *s, uint64_t *ret_count, struct err *e)
{
    struct tail *t = s->tail;
    status st = OK;

    t->again = true;
    t->at = t->half;
    t->index = 0;
    for (*ret_count = 0; st == OK; ++*ret_count) {
        AUTO(secret) *steps = NULL;
        size_t n;

        st = read_frame(t, t->at, t->index, &steps, &n, e);
        if (st != OK)
            break;
        t->at += n;
        t->index++;
        st = tail_do(s, secret_view(steps), e); /* which may turn to the other half */
    }
    t->again = false;
    return st == NOT_FOUND ? OK : st;
}

/* --- transactions ---------------------------------------------------------------------------- */

void tail_begin(struct store *s)
{
    if (s->tail == NULL)
        return;
    s->tail->steps.n = 0;
    s->tail->steps.overflow = false;
    s->tail->others = false;
}

void tail_changes(struct store *s, enum statement which)
{
    if (s->tail == NULL)
        return;
    switch (which) {
    case SQL_BEGIN:
    case SQL_RECORD_ADD:
    case SQL_HEAD_SET:
    case SQL_NODE_ADD:
    case SQL_FACT_SET: return; /* which one is for tail_fact to say */
    default: s->tail->others = true;
    }
}

bool tail_carries(const struct store *s)
{
    return s->tail != NULL && s->tail->index > 0;
}

status tail_wait(struct store *s, struct err *e)
{
    return s->tail == NULL || s->tail->applier == NULL ? OK : applier_wait(s->tail->applier, e);
}

/* At random, so that no two states of the database have the same, however often it was put back. */
static uint64_t new_generation(void)
{
    uint64_t generation;

    random_bytes((struct mspan){ (uint8_t *)&generation, sizeof generation });
    return generation;
}

static struct span put_generation(uint64_t generation, uint8_t bytes[static GENERATION])
{
    struct out o;

    out_init(&o, bytes, GENERATION);
    out_u64(&o, generation);
    return span_of(bytes, GENERATION);
}

static bool has_room(const struct store *s)
{
    const struct tail *t = s->tail;

    return t->records + s->records_pending <= RECORDS_MAX &&
           t->half + HALF_SIZE - t->at >= 4 + SEAL_OVERHEAD + t->steps.n + TURN_MAX;
}

/* What was carried goes to the pages while the other half takes what comes; that one is free when
 * what it carried is committed. */
static status turn(struct tail *t, struct err *e)
{
    uint8_t step[1 + GENERATION] = { STEP_TURN };
    uint64_t next = new_generation();
    struct span generation = put_generation(next, step + 1);
    status st = write_frame(t, SPAN(step), e);

    if (st == OK)
        st = applier_commit(t->applier, generation, e);
    turn_to(t, next);
    return st;
}

status tail_carry(struct store *s, bool *ret_carried, struct err *e)
{
    struct tail *t = s->tail;
    struct span steps;
    status st = OK;

    *ret_carried = false;
    if (t == NULL || t->others || t->steps.overflow || t->steps.n == 0 || s->copy != NULL ||
        (s->taken && !has_room(s)))
        return OK;
    if (!has_room(s))
        st = turn(t, e);
    steps = span_of(t->steps.p, t->steps.n);
    if (st == OK)
        st = write_frame(t, steps, e);
    if (st == OK && !s->taken)
        st = applier_give(t->applier, steps, e);
    t->records += s->records_pending;
    *ret_carried = st == OK;
    return st;
}

status tail_sync(struct store *s, struct err *e)
{
    return s->tail == NULL || fdatasync(s->tail->fd) == 0
               ? OK
               : fail(e, IO, "the tail of the database cannot be synced", errno);
}

status tail_set_generation(struct store *s, struct span generation, struct err *e)
{
    return store_fact_set(s, FACT_NAME, generation, e);
}

status tail_settle(struct store *s, struct err *e)
{
    struct tail *t = s->tail;
    uint8_t bytes[GENERATION];

    if (t == NULL)
        return OK;
    t->next = t->generation;
    if (t->index == 0 && sqlite3_total_changes(s->db) == s->changes_before)
        return OK;
    t->next = new_generation();
    return tail_set_generation(s, put_generation(t->next, bytes), e);
}

void tail_settled(struct store *s)
{
    struct tail *t = s->tail;

    if (t == NULL)
        return;
    t->generation = t->next;
    t->index = 0;
    t->at = t->half;
    t->records = 0;
}

status tail_again(struct store *s, struct err *e)
{
    uint64_t pending = s->records_pending, count;
    uint32_t index = s->tail->index;
    status st = do_frames(s, &count, e);

    s->records_pending = pending;
    if (st == OK && s->tail->index != index)
        st = fail(e, CORRUPT, "the tail of the database cannot be read again", s->tail->index);
    return st;
}

/* --- opening --------------------------------------------------------------------------------- */

static status overwrite(struct tail *t, struct err *e)
{
    t->half = 0;
    t->at = 0;
    memset(t->frame, 0, FRAME_MAX);
    for (size_t at = 0; at < FILE_SIZE;) {
        size_t n = FILE_SIZE - at < FRAME_MAX ? FILE_SIZE - at : FRAME_MAX;
        ssize_t wrote = pwrite(t->fd, t->frame, n, (off_t)at);

        if (wrote <= 0)
            return fail(e, IO, "the tail of the database cannot be written", errno);
        at += (size_t)wrote;
    }
    return fdatasync(t->fd) == 0 ? OK
                                 : fail(e, IO, "the tail of the database cannot be synced", errno);
}

static status read_generation(struct store *s, struct err *e)
{
    struct err absent = { 0 };
    struct span value;
    struct in i;
    status st = store_fact(s, FACT_NAME, &value, &absent);

    if (st == NOT_FOUND)
        return OK;
    if (st != OK)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    i = in_of(value);
    s->tail->generation = in_u64(&i);
    return in_end(&i) ? OK : fail(e, CORRUPT, "the tail's generation cannot be read", 0);
}

/* Nobody knows which half it was. */
static status take_in(struct store *s, struct err *e)
{
    uint64_t count = 0;
    status st = read_generation(s, e);

    if (st == OK)
        st = store_begin(s, e);
    if (st != OK)
        return st;
    st = do_frames(s, &count, e);
    if (st == OK && count == 0) {
        turn_to(s->tail, s->tail->generation);
        st = do_frames(s, &count, e);
    }
    if (st == OK && count > 0)
        return store_commit(s, e);
    s->tail->index = 0;
    store_rollback(s);
    return st;
}

static status begin(struct store *s, const char *path, const struct secret *key, struct err *e)
{
    char name[PATH_MAX];
    struct tail *t = s->tail;
    struct label l;
    uint8_t *steps = malloc(STEPS_MAX);
    status st = file_name(path, "-tail", name, e);

    t->frame = malloc(FRAME_MAX);
    if (steps != NULL)
        out_init(&t->steps, steps, STEPS_MAX);
    if (st == OK && (t->frame == NULL || steps == NULL))
        st = fail(e, NO_MEMORY, "no memory for the tail of the database", 0);
    if (st == OK)
        st = file_create(name, e);
    if (st == OK) {
        label_init(&l, "store-tail");
        st = crypto_derive(secret_view(key), &l, KEY_SIZE, &t->key, e);
    }
    if (st != OK)
        return st;
    t->fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return t->fd < 0 ? fail(e, IO, "the tail of the database cannot be opened", errno) : OK;
}

status tail_open(struct store *s, const char *path, const struct secret *key, struct err *e)
{
    status st;

    s->tail = calloc(1, sizeof *s->tail);
    if (s->tail == NULL)
        return fail(e, NO_MEMORY, "no memory for the tail of the database", 0);
    s->tail->fd = -1;
    st = begin(s, path, key, e);
    if (st == OK)
        st = take_in(s, e);
    if (st == OK)
        st = overwrite(s->tail, e);
    return st == OK ? applier_new(s, &s->tail->applier, e) : st;
}

void tail_close(struct store *s)
{
    struct tail *t = s->tail;

    if (t == NULL)
        return;
    applier_free(t->applier);
    if (t->fd >= 0)
        (void)close(t->fd);
    secret_free(t->key);
    free(t->steps.p);
    free(t->frame);
    free(t);
    s->tail = NULL;
}
