/*
 * What keeps the trail from going back: the anchor in the keyring and the seal on the heads.
 *
 * A run is what one life of the loaded heads appends: within it the logs are one history. Its
 * number is one more than any before, since the keyring is told of it before its first record
 * leaves. The seal says that heads belong together, at one moment of one run; the anchor says of
 * which run, and of how many records, the least moment is that is still believed. A checkpoint is
 * signed only if the anchor covers what is signed: whatever is put back afterwards, the keeper
 * never goes on from a state that it has signed more than.
 *
 *   anchor = run 18 bits | back 6 bits | records 40 bits
 *
 * back = 0: so many records of the run are covered. Else the run has begun and nothing of it is
 * covered yet: until then what it began with, so many records of run - back, is as good, for of the
 * new run nothing may have come to be stored. A run's number is used once, whatever became of it.
 * Vaults from before have run 0 and heads without a seal; their first batch begins run 1.
 */
#include <string.h>

#include "batch.h"

#define RECORDS_BITS 40
#define BACK_BITS    6
#define BACK_MAX     ((1U << BACK_BITS) - 1)
#define RUN_MAX      ((1U << (64 - RECORDS_BITS - BACK_BITS)) - 1)
/* Beside the number of the run it came from: what a rolled back vault appends. It is no run of the
 * anchor's, so nothing goes on from there but an acceptance. */
#define RUN_ASIDE (1U << 31)

static uint64_t anchor_make(uint32_t run, uint32_t back, uint64_t records)
{
    return (uint64_t)run << (RECORDS_BITS + BACK_BITS) | (uint64_t)back << RECORDS_BITS | records;
}

static uint32_t anchor_run(const struct keeper *k)
{
    return (uint32_t)(keyring_info(k->ring)->anchor_size >> (RECORDS_BITS + BACK_BITS));
}

static uint32_t anchor_back(const struct keeper *k)
{
    return (uint32_t)(keyring_info(k->ring)->anchor_size >> RECORDS_BITS) & BACK_MAX;
}

uint64_t moment_anchored(const struct keeper *k)
{
    return keyring_info(k->ring)->anchor_size & (((uint64_t)1 << RECORDS_BITS) - 1);
}

uint64_t moment_anchor(const struct keeper *k)
{
    if (!k->rolled_back && k->records_durable > moment_anchored(k))
        return anchor_make(k->moment.run, 0, k->records_durable);
    return keyring_info(k->ring)->anchor_size;
}

/* --- the run ---------------------------------------------------------------------------------- */

static uint32_t next_run(const struct keeper *k)
{
    uint32_t run = anchor_run(k);

    if (k->rolled_back && !k->batch->accepts)
        return k->moment.run | RUN_ASIDE;
    if (k->moment.begun)
        return k->moment.run;
    if (k->rolled_back && (k->moment.run & ~RUN_ASIDE) > run) /* the keyring is the older one */
        run = k->moment.run & ~RUN_ASIDE;
    return run + 1;
}

/* From here on what is there is the truth: nothing before the acceptance is believed any more. */
static void moment_accept(struct keeper *k)
{
    struct heads_sum s = heads_sum(&k->heads);
    struct err e = { 0 };
    uint32_t run = next_run(k);

    if (run > RUN_MAX)
        keeper_insist(fail(&e, LIMIT, "too many unlocks", run), &e);
    keeper_insist(keyring_anchor(k->ring, anchor_make(run, 0, s.records), &e), &e);
    k->moment = (struct moment){ .run = run, .begun = true };
    k->rolled_back = false;
}

void moment_begin(struct keeper *k)
{
    struct err e = { 0 };
    uint32_t run = next_run(k);
    uint32_t back = run - k->moment.run;

    if (k->rolled_back && k->batch->accepts)
        moment_accept(k);
    if (k->rolled_back || k->moment.begun)
        return;
    if (run > RUN_MAX || back > BACK_MAX)
        keeper_insist(fail(&e, LIMIT, "too many unlocks", run), &e);
    keeper_insist(keyring_anchor(k->ring, anchor_make(run, back, k->heads.records), &e), &e);
    k->moment = (struct moment){ .run = run, .begun = true };
}

/* --- the seal --------------------------------------------------------------------------------- */

/*
 * Known to nobody but the keeper. A sum of what the server knows, as the heads' own MACs, would not
 * hold: of some thousand logs with a few old heads each, others can be found that sum up to the
 * same (Wagner's generalized birthday problem).
 */
status moment_term_key(const struct keeper *k, struct secret **ret_mac_key, struct err *e)
{
    struct label l;

    label_init(&l, "heads-term");
    return crypto_mac_begin(secret_view(k->keys.system[SYSTEM_HEAD]), label_view(&l), ret_mac_key,
                            e);
}

status moment_term(struct keeper *k, struct span head, uint8_t out[static 32], struct err *e)
{
    const struct secret *mac = NULL;

    status st = opened_mac(k, OPENED_TERM, &mac, e);
    return st == OK ? crypto_mac_end(mac, head, out, e) : st;
}

static status seal_mac(const struct keeper *k, uint32_t run, const struct heads_sum *s,
                       uint8_t out[static MAC_SIZE], struct err *e)
{
    struct label l;

    label_init(&l, "heads-seal");
    label_u32(&l, run);
    label_u64(&l, s->records);
    label_u64(&l, s->count);
    return crypto_mac(secret_view(k->keys.system[SYSTEM_HEAD]), &l, SPAN(s->sum), out, e);
}

status moment_seal(const struct keeper *k, struct out *out, struct err *e)
{
    struct heads_sum s = heads_sum(&k->heads);
    uint8_t mac[MAC_SIZE];

    status st = seal_mac(k, next_run(k), &s, mac, e);
    if (st != OK)
        return st;
    out_u32(out, next_run(k));
    out_raw(out, SPAN(mac));
    return out->overflow ? fail(e, LIMIT, "no room for the heads' seal", 0) : OK;
}

/* Does the seal hold for the loaded heads, and of which run is it? */
static status seal_check(const struct keeper *k, struct span seal, uint32_t *ret_run, struct err *e)
{
    struct heads_sum s = heads_sum(&k->heads);
    struct in i = in_of(seal);
    uint8_t mac[MAC_SIZE];

    *ret_run = 0;
    if (seal.n == 0) /* as it was before there were any */
        return OK;
    *ret_run = in_u32(&i);
    struct span given = in_raw(&i, MAC_SIZE);
    if (!in_end(&i) || *ret_run == 0)
        return fail(e, CORRUPT, "the heads are not of one moment", 0);
    status st = seal_mac(k, *ret_run, &s, mac, e);
    if (st == OK && !secret_equal(SPAN(mac), given))
        return fail(e, CORRUPT, "the heads are not of one moment", 0);
    return st;
}

status moment_load(struct keeper *k, struct span seal, bool old, struct err *e)
{
    uint64_t records = k->heads.records;
    uint64_t anchored = moment_anchored(k);
    uint32_t back = anchor_back(k);
    uint32_t run = 0;

    if (records < anchored && !old)
        return fail(e, CORRUPT, "the database is older than the keyring", 0);
    if (old &&
        seal.n == 0) /* a backup has one: without it old heads of any moments could be mixed */
        return fail(e, CORRUPT, "the heads are not of one moment", 0);
    status st = seal_check(k, seal, &run, e);
    if (st != OK)
        return st;
    bool same = run == anchor_run(k);
    bool before = back > 0 && run == anchor_run(k) - back && records == anchored;
    if (!same && !before && !old)
        return fail(e, CORRUPT, "the database is older than the keyring", 0);
    k->moment = (struct moment){ .run = run };
    return OK;
}
