/*
 * The keeper as its header promises it: birth, death, and one frame in, one frame out. Which
 * operation is possible in which state is one table.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "round.h"

#define EXIT_FATAL 70

void keeper_fatal(const struct err *e)
{
    secret_wipe_all();
    log_err(LOG_ERROR_, "keeper.fatal", e);
    _exit(EXIT_FATAL);
}

void keeper_insist(status st, const struct err *e)
{
    if (st != OK)
        keeper_fatal(e);
}

/* --- birth and death ------------------------------------------------------------------------- */

static void keeper_cleanup(struct keeper **k)
{
    keeper_free(*k);
}

/* A keyring that is there but cannot be used: stay up and say so, rather than fall into a loop of
 * restarts in which nobody can ask for the reason. */
static void keeper_break(struct keeper *k, const struct err *e)
{
    keyring_cleanup(&k->ring);
    k->state = KEEPER_BROKEN;
    k->broken = e->why;
    log_err(LOG_ERROR_, "keeper.broken", e);
}

static status keeper_load(struct keeper *k, struct err *e)
{
    struct err inner = { 0 };

    status st = keyring_open(k->dir, k->settings.allow_cow, &k->ring, &inner);
    if (st == NOT_FOUND) {
        k->state = KEEPER_EMPTY;
        return OK;
    }
    if (st == OK)
        st = journal_open(k->dir, &k->journal, &inner);
    if (st == CONFLICT || st == NO_MEMORY)
        return err_note(e, st, inner.where, inner.why, inner.detail);
    if (st != OK)
        keeper_break(k, &inner);
    else
        k->state = KEEPER_LOCKED;
    return OK;
}

status keeper_new(const struct keeper_settings *settings, struct keeper **ret_keeper, struct err *e)
{
    __attribute__((cleanup(keeper_cleanup))) struct keeper *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return fail(e, NO_MEMORY, "no memory for the keeper", 0);
    k->settings = *settings;
    k->dir = strdup(settings->keyring_dir);
    k->batch = calloc(1, sizeof(*k->batch));
    if (k->dir == NULL || k->batch == NULL)
        return fail(e, NO_MEMORY, "no memory for the keeper", 0);
    for (size_t i = 0; i < PENDING; i++) {
        k->pending[i].body = malloc(LIMIT_FRAME);
        if (k->pending[i].body == NULL)
            return fail(e, NO_MEMORY, "no memory for the keeper", 0);
    }
    status st = heads_init(&k->heads, e);
    if (st == OK)
        st = keeper_load(k, e);
    if (st != OK)
        return st;
    keeper_time_start(k);
    keeper_due_refresh(k);
    *ret_keeper = k;
    k = NULL;
    return OK;
}

void keeper_free(struct keeper *k)
{
    if (k == NULL)
        return;
    rekey_abandon(k);
    if (k->ring != NULL)
        keyring_forget(k->ring);
    opened_forget(k);
    keys_clear(&k->keys);
    keeper_forget_shares(k);
    for (size_t i = 0; i < SESSIONS; i++)
        session_clear(&k->sessions[i]);
    if (k->batch != NULL)
        secret_free(k->batch->plain);
    round_forget_all(k);
    heads_free(&k->heads);
    journal_cleanup(&k->journal);
    keyring_cleanup(&k->ring);
    for (size_t i = 0; i < PENDING; i++)
        free(k->pending[i].body);
    free(k->batch);
    free(k->dir);
    free(k);
}

void keeper_tell_hygiene(struct keeper *k, uint32_t facts)
{
    k->hygiene = facts;
}

bool keeper_is_empty(const struct keeper *k)
{
    return k->state == KEEPER_EMPTY;
}

/* --- one frame ------------------------------------------------------------------------------- */

enum {
    IN_EMPTY = 1 << KEEPER_EMPTY,
    IN_LOCKED = 1 << KEEPER_LOCKED,
    IN_UNLOCKED = 1 << KEEPER_UNLOCKED,
    IN_ANY = IN_EMPTY | IN_LOCKED | IN_UNLOCKED | 1 << KEEPER_BROKEN
};

static const struct {
    uint16_t op;
    uint16_t states;
    keeper_operation *perform;
} operations[] = {
    { WIRE_HELLO, IN_ANY, keeper_hello },
    { WIRE_SESSION, IN_EMPTY | IN_LOCKED | IN_UNLOCKED, keeper_session },
    { WIRE_SLOTS, IN_LOCKED | IN_UNLOCKED, keeper_slots },
    { WIRE_INIT, IN_EMPTY, keeper_init },
    { WIRE_UNLOCK, IN_LOCKED, keeper_unlock },
    { WIRE_UNLOCK_FAILED, IN_LOCKED, keeper_unlock_failed },
    { WIRE_LOCK, IN_ANY, keeper_lock_now },
    { WIRE_SYSTEM_KEYS, IN_UNLOCKED, keeper_system_keys },
    { WIRE_HEADS, IN_UNLOCKED, keeper_load_heads },
    { WIRE_BATCH, IN_UNLOCKED, keeper_batch },
    { WIRE_RECOVER, IN_LOCKED | IN_UNLOCKED, keeper_recover },
    { WIRE_CELLS, IN_UNLOCKED, keeper_cells },
    { WIRE_CHECK_MACS, IN_UNLOCKED, keeper_check_macs },
    { WIRE_CHECKPOINT, IN_UNLOCKED, keeper_checkpoint },
    { WIRE_ROUND, IN_UNLOCKED, keeper_round },
    { WIRE_COMMITMENT, IN_UNLOCKED, keeper_commitment },
    { WIRE_ENROL, IN_UNLOCKED, keeper_enrol },
};

static status wrong_state(const struct keeper *k, struct err *e)
{
    switch (k->state) {
    case KEEPER_EMPTY: return fail(e, CONFLICT, "there is no vault yet", 0);
    case KEEPER_LOCKED: return fail(e, LOCKED, "the vault is locked", 0);
    case KEEPER_UNLOCKED: return fail(e, CONFLICT, "the vault is unlocked already", 0);
    case KEEPER_BROKEN: return fail(e, CORRUPT, "the keyring cannot be used", 0);
    }
    return fail(e, BUG, "the keeper is in no known state", 0);
}

static status perform(struct keeper *k, uint16_t op, struct in *body, struct out *reply,
                      struct err *e)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (operations[i].op != op)
            continue;
        /* A vault that is there already is a clearer answer than the state of its lock. */
        if (op == WIRE_INIT && (k->state == KEEPER_LOCKED || k->state == KEEPER_UNLOCKED))
            return fail(e, CONFLICT, "there is a vault already", 0);
        if ((operations[i].states >> k->state & 1) == 0)
            return wrong_state(k, e);
        return operations[i].perform(k, body, reply, e);
    }
    return fail(e, BAD_INPUT, "unknown operation", op);
}

static void put_header(struct mspan reply, const struct wire_header *h)
{
    struct out o;

    out_init(&o, reply.p, reply.n < WIRE_HEADER ? reply.n : WIRE_HEADER);
    wire_put_header(&o, h);
}

void keeper_answer(struct keeper *k, struct span frame, struct mspan reply, size_t *ret_length)
{
    struct wire_header h = { 0 };
    struct in body = in_of(frame);
    struct err e = { 0 };
    struct out out;
    status st = OK;

    keeper_tick(k);
    wire_get_header(&body, &h);
    out_init(&out, reply.p, reply.n);
    out_room(&out, WIRE_HEADER);
    if (body.bad)
        st = fail(&e, BAD_INPUT, "malformed frame", 0);
    else
        st = perform(k, h.op, &body, &out, &e);
    if (st == OK && out.overflow)
        st = fail(&e, LIMIT, "the reply does not fit", 0);
    if (st != OK) {
        /* What was begun may hold anything. */
        secret_wipe(reply);
        out_init(&out, reply.p, reply.n);
        out_room(&out, WIRE_HEADER);
        out_span16(&out, span_text(e.why != NULL ? e.why : status_name(st)));
    }
    /* Only now: a lock wipes the slab, and with it the frames. */
    put_header(reply,
               &(struct wire_header){ .op = h.op, .status = (uint8_t)st, .number = h.number });
    wire_finish(&out);
    *ret_length = out.overflow ? 0 : out.n;
}
