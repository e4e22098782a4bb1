/* Signed checkpoints: only of what is durable, and only when the keyring's anchor covers it, so
 * that no later life of this vault goes on from less than it has signed. */
#include "ledger/checkpoint.h"

#include "internal.h"

/* One write of the superblock when something is new, none otherwise. */
static void cover(struct keeper *k, const struct log_head *head)
{
    uint64_t at = head->at != 0 ? head->at : k->heads_found;

    if (moment_anchored(k) < at)
        keeper_anchor(k);
}

static status sign(struct keeper *k, const struct id *log, struct out *reply, struct err *e)
{
    uint8_t note[CHECKPOINT_MAX];
    struct out o;

    const struct log_head *head = heads_find(&k->heads, log);
    if (head == NULL)
        return fail(e, NOT_FOUND, "no such log", 0);
    cover(k, head);
    out_init(&o, note, sizeof(note));
    status st = checkpoint_sign(&k->keys.vault, &head->tree,
                                secret_view(k->keys.system[SYSTEM_LEDGER]), &o, e);
    if (st == OK)
        out_span16(reply, span_of(o.p, o.n));
    return st;
}

status keeper_checkpoint(struct keeper *k, struct in *body, struct out *reply, struct err *e)
{
    uint64_t ack = in_u64(body);
    uint16_t count = in_u16(body);
    struct in logs = *body;

    in_raw(body, (size_t)count * sizeof(struct id));
    if (!in_end(body) || count > CHECKPOINTS_AT_ONCE)
        return fail(e, BAD_INPUT, "malformed request", 0);
    if (!k->heads_loaded)
        return fail(e, CONFLICT, "load the heads first", 0);
    if (k->rolled_back)
        return fail(e, CONFLICT, "the vault was rolled back: it signs nothing", 0);
    status st = keeper_take_ack(k, ack, 0, e);
    for (uint16_t i = 0; st == OK && i < count; i++) {
        struct id log = in_id(&logs);
        st = sign(k, &log, reply, e);
    }
    return st;
}
