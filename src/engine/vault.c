/* The vault as a whole: create, unlock, lock, status. These verbs speak to the keeper directly. */
#include "alert.h"
#include "rollback.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "fido/fido.h"
#include "ledger/tree.h"
#include "tls_files.h"

const char *vault_state_name(enum vault_state state)
{
    switch (state) {
    case VAULT_EMPTY: return "empty";
    case VAULT_LOCKED: return "locked";
    case VAULT_UNLOCKED: return "unlocked";
    case VAULT_ROLLED_BACK: return "rolled-back";
    case VAULT_BROKEN: break;
    }
    return "broken";
}

/* How far the rotation that was asked for first is; null when there is none. */
static json_t *rekey_json(const struct engine *en)
{
    const struct wire_hello *h = &en->hello;

    if ((h->rekey & REKEY_OF_ROOT) != 0)
        return json_pack("{s:s, s:I, s:I}", "what", "root", "done", (json_int_t)h->rekey_done,
                         "total", (json_int_t)h->rekey_total);
    if ((h->rekey & REKEY_OF_TENANT) != 0)
        return json_pack("{s:s, s:i, s:i}", "what", "tenant", "done", 0, "total", 0);
    if ((h->rekey & REKEY_OF_DATABASE) != 0)
        return json_pack("{s:s, s:I, s:I}", "what", "database", "done",
                         (json_int_t)en->database.total - (json_int_t)en->database.left, "total",
                         (json_int_t)en->database.total);
    return json_null();
}

APPLY(vault_status)
{
    status st = engine_hello(en, e);

    if (st != OK)
        return st;
    rq->reply = json_pack("{s:s, s:s, s:s}", "state", vault_state_name(en->state), "region",
                          en->region, "version", STRONGROOM_VERSION);
    if (rq->peer.role == ROLE_TENANT || rq->peer.role == ROLE_GATEWAY || rq->limited)
        return OK;
    if (en->state == VAULT_BROKEN)
        json_object_set_new(rq->reply, "reason", json_string(en->broken_why));
    if (en->state == VAULT_ROLLED_BACK)
        json_object_set_new(rq->reply, "reason", json_string(rollback_why(en)));
    if (en->state == VAULT_ROLLED_BACK || en->state == VAULT_UNLOCKED)
        json_object_set_new(rq->reply, "found", rollback_json(en));
    json_object_set_new(rq->reply, "vault",
                        id_is_zero(&en->vault) ? json_null() : json_id(&en->vault));
    json_object_set_new(rq->reply, "epoch", json_integer(en->hello.epoch));
    json_object_set_new(rq->reply, "next_purge", json_time(en->hello.next_due_us));
    json_object_set_new(rq->reply, "clock_held", json_boolean(en->hello.clock_held));
    json_object_set_new(rq->reply, "quorum",
                        json_pack("{s:i, s:i, s:i}", "have", (int)en->hello.have, "need",
                                  (int)en->hello.need, "holders", (int)en->hello.holders));
    json_object_set_new(rq->reply, "grant_step_up", json_boolean(en->settings.grant_step_up));
    json_object_set_new(rq->reply, "policy_required", json_boolean(en->settings.policy_required));
    json_object_set_new(rq->reply, "cards_used", json_integer(en->hello.cards_used));
    json_object_set_new(rq->reply, "rekey", rekey_json(en));
    json_object_set_new(rq->reply, "journal", json_integer(en->hello.journal_count));
    json_object_set_new(rq->reply, "time", json_time(en->hello.time_us));
    if (en->state == VAULT_UNLOCKED)
        json_object_set_new(rq->reply, "leases",
                            json_integer((json_int_t)leases_count(en->leases)));
    if (en->state == VAULT_UNLOCKED)
        json_object_set_new(rq->reply, "alerts", json_integer((json_int_t)alerts_today(en)));
    return OK;
}

/* The last records of an open vault: who was refused how often, and who locked it. */
static status lock_records(struct engine *en, const struct fields *who, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_RECORD,
                                .type = RECORD_VAULT_LOCKED,
                                .fields = fields_view(who) };
    status st = refusals_flush(en, true, e);

    if (st == OK)
        st = alerts_write(en, e);
    if (st == OK)
        st = batch_single(en, &entry, &batch_tolerant, e);
    return st == OK ? batch_acknowledge(en, e) : st;
}

/* It was open or idle for as long as the settings allow, or the keeper has locked already. */
status vault_lock_itself(struct engine *en, struct err *e)
{
    struct fields f;
    status st = OK;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    if (en->hello.state == KEEPER_UNLOCKED)
        st = lock_records(en, &f, e);
    log_info("the vault locks itself");
    return st == OK ? engine_lock_keeper(en, e) : st;
}

/* The keys go whatever becomes of the records: a full disk must not keep the vault open. Of a
 * locked vault the shares of an unlock under way go. */
APPLY(vault_lock)
{
    bool open = en->state == VAULT_UNLOCKED;
    struct err trouble = { 0 };
    struct fields f;
    status st;

    (void)e;
    if (open)
        fields_of(en, &f, rq, &ledger_log_vault);
    rq->reply = json_pack("{s:s}", "state", "locked");
    st = open ? lock_records(en, &f, &trouble) : OK;
    if (engine_lock_keeper(en, &trouble) != OK || st != OK)
        engine_die(__func__, &trouble);
    return OK;
}

APPLY(vault_clock_confirm)
{
    struct wire_entry entry = { .kind = ENTRY_CLOCK_CONFIRM };
    struct fields f;

    fields_of(en, &f, rq, &entry.log);
    entry.fields = fields_view(&f);
    return batch_entry(en, rq, &entry, e);
}

COMPLETE(vault_clock_confirmed)
{
    (void)en;
    (void)result;
    (void)e;
    rq->reply = json_object();
    return OK;
}

APPLY(vault_public_keys)
{
    (void)e;
    rq->reply = json_pack("{s:o, s:o, s:o}", "intake_key", json_hex(SPAN(en->intake_public)),
                          "ledger_key", json_hex(SPAN(en->ledger_public)), "delivery_key",
                          json_hex(SPAN(en->delivery_public)));
    return OK;
}
