/*
 * What the vault says of its trail without being asked: every checkpoint_s a signed checkpoint
 * of each log that grew, then a round of the vault tree over all of them; every checkpoint_idle_s
 * both, whatever happened. All in slices between batches, so that a lease waits for one at most:
 * SIGN_SLICE signatures, or a slice of the keeper's round, or a commit of STORE_AT checkpoints.
 */
#include "trail.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"
#include "ledger/checkpoint.h"

#define SIGN_SLICE 16
#define STORE_AT   128
#define TREE_NOTES 64 /* recent checkpoints of the vault tree that a witness may still cosign */

_Static_assert(SIGN_SLICE <= CHECKPOINTS_AT_ONCE, "a slice fits a message");

struct known_log {
    struct id log;
    struct known_log *next;
    bool due;
};

struct signed_log {
    struct id log;
    uint64_t size;
    size_t n;
    uint8_t note[CHECKPOINT_MAX];
};

struct rounds {
    struct table known;
    struct known_log *first, **last; /* due, oldest first */
    size_t due;
    size_t left; /* of these, what the sweep under way is to sign */
    enum { ROUND_REST, ROUND_SIGN, ROUND_BUILD } phase;
    uint64_t next_us, idle_us; /* monotonic */
    size_t count;              /* signed, and not stored yet */
    struct signed_log list[STORE_AT];
};

status rounds_new(struct rounds **ret_rounds, struct err *e)
{
    struct rounds *r = calloc(1, sizeof *r);

    if (r == NULL)
        return fail(e, NO_MEMORY, "no memory for rounds", 0);
    table_init(&r->known, sizeof(struct id));
    r->last = &r->first;
    *ret_rounds = r;
    return OK;
}

void rounds_forget(struct rounds *r)
{
    if (r == NULL)
        return;
    table_clear_values(&r->known);
    table_init(&r->known, sizeof(struct id));
    r->first = NULL;
    r->last = &r->first;
    r->due = r->left = r->count = 0;
    r->phase = ROUND_REST;
}

void rounds_free(struct rounds *r)
{
    rounds_forget(r);
    free(r);
}

/* --- which logs are due ----------------------------------------------------------------------- */

/* The vault tree is signed for with each round, and does not ask for one. */
void rounds_heard(struct rounds *r, const struct id *log)
{
    struct known_log *k;

    if (id_same(log, &ledger_log_tree))
        return;
    k = table_find(&r->known, log->b);
    if (k == NULL) {
        k = calloc(1, sizeof *k);
        if (k == NULL)
            return;
        k->log = *log;
        if (table_add(&r->known, k->log.b, k, NULL) != OK) {
            free(k);
            return;
        }
    }
    if (k->due)
        return;
    k->due = true;
    k->next = NULL;
    *r->last = k;
    r->last = &k->next;
    r->due++;
}

static struct known_log *take_due(struct rounds *r)
{
    struct known_log *k = r->first;

    r->first = k->next;
    if (r->first == NULL)
        r->last = &r->first;
    k->due = false;
    r->due--;
    r->left--;
    return k;
}

static bool all_due(void *context, const struct id *log, uint64_t size, struct span head)
{
    (void)size;
    (void)head;
    rounds_heard(context, log);
    return true;
}

static status begin(struct engine *en, uint64_t now, struct err *e)
{
    struct rounds *r = en->rounds;
    status st = OK;

    if (now >= r->idle_us) {
        st = store_heads(en->store, all_due, r, e);
        r->idle_us = now + en->settings.checkpoint_idle_s * SECOND_US;
    }
    r->next_us = now + en->settings.checkpoint_s * SECOND_US;
    r->left = r->due;
    r->phase = r->left > 0 ? ROUND_SIGN : ROUND_REST;
    return st;
}

status rounds_start(struct engine *en, struct err *e)
{
    (void)e;
    en->rounds->next_us = en->rounds->idle_us = 0;
    return OK;
}

/* --- checkpoints ------------------------------------------------------------------------------ */

static status keep(struct rounds *r, const struct id *log, struct span note, struct err *e)
{
    struct signed_log *s = &r->list[r->count];
    uint8_t root[SHA256_SIZE];
    struct id vault, of;
    struct span text;
    status st = checkpoint_read(note, &vault, &of, &s->size, root, &text, e);

    if (st == OK && (!id_same(&of, log) || note.n > sizeof s->note))
        st = fail(e, BUG, "the keeper's checkpoint is malformed", 0);
    if (st != OK)
        return st;
    s->log = *log;
    s->n = note.n;
    memcpy(s->note, note.p, note.n);
    r->count++;
    return OK;
}

static status sign(struct engine *en, const struct id *logs, size_t count, struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_CHECKPOINT);
    struct in body;
    status st;

    out_u64(out, en->acked);
    out_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        out_id(out, &logs[i]);
    st = engine_call(en, &body, e);
    for (size_t i = 0; st == OK && i < count; i++)
        st = keep(en->rounds, &logs[i], in_span16(&body), e);
    if (st == OK && !in_end(&body))
        st = fail(e, BUG, "the keeper's checkpoint is malformed", 0);
    return st;
}

static status store_one(struct engine *en, const struct signed_log *s, struct err *e)
{
    struct store_note n = {
        .log = s->log, .size = s->size, .time_us = engine_now_us(en), .note = span_of(s->note, s->n)
    };
    status st = store_note_set(en->store, &n, e);

    if (st == OK && id_same(&s->log, &ledger_log_tree))
        st = store_tree_note_add(en->store, s->size, n.note,
                                 s->size > TREE_NOTES ? s->size - TREE_NOTES : 0, e);
    return st;
}

static status store_signed(struct engine *en, struct err *e)
{
    struct rounds *r = en->rounds;
    status st = store_begin(en->store, e);

    for (size_t i = 0; st == OK && i < r->count; i++)
        st = store_one(en, &r->list[i], e);
    r->count = 0;
    return st == OK ? store_commit(en->store, e) : st;
}

static status sign_slice(struct engine *en, struct err *e)
{
    struct rounds *r = en->rounds;
    struct id logs[SIGN_SLICE];
    size_t count = 0;
    status st = OK;

    if (r->count + SIGN_SLICE > STORE_AT || (r->left == 0 && r->count > 0))
        return store_signed(en, e);
    if (r->left == 0) {
        r->phase = ROUND_BUILD;
        return OK;
    }
    while (count < SIGN_SLICE && r->left > 0)
        logs[count++] = take_due(r)->log;
    st = sign(en, logs, count, e);
    return st;
}

/* --- the round -------------------------------------------------------------------------------- */

static status commit(struct engine *en, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_TREE_COMMITTED };
    struct fields f;
    status st;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    st = batch_single(en, &entry, NULL, e);
    if (st == OK)
        st = sign(en, &ledger_log_tree, 1, e);
    return st == OK ? store_signed(en, e) : st;
}

static status build_slice(struct engine *en, struct err *e)
{
    struct out *out = wire_client_begin(en->client, WIRE_ROUND);
    uint8_t complete;
    struct in body;
    status st;

    out_u64(out, en->acked);
    st = engine_call(en, &body, e);
    if (st != OK)
        return st;
    complete = in_u8(&body);
    if (!in_end(&body))
        return fail(e, BUG, "the keeper's round is malformed", 0);
    if (complete == 0)
        return OK;
    en->rounds->phase = ROUND_REST;
    return commit(en, e);
}

bool rounds_work(struct engine *en)
{
    struct rounds *r = en->rounds;
    uint64_t now = clock_monotonic_us();
    struct err e = { 0 };
    status st = OK;

    /* The room that is left is for records that cannot wait. */
    if (en->state != VAULT_UNLOCKED || (r->phase == ROUND_REST && en->disk_low))
        return false;
    switch (r->phase) {
    case ROUND_REST:
        if (now >= r->idle_us || (r->due > 0 && now >= r->next_us))
            st = begin(en, now, &e);
        break;
    case ROUND_SIGN: st = sign_slice(en, &e); break;
    case ROUND_BUILD: st = build_slice(en, &e); break;
    }
    if (st != OK)
        engine_die(__func__, &e);
    return r->phase != ROUND_REST;
}
