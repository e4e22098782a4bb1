/*
 * A vault whose database or keyring was put back to an older state: it says so, and serves again
 * when operators have accepted what is there. From the acceptance on the keyring is the truth as
 * ever: what it has and the database lacks is destroyed, and what it lacks is marked so. That goes
 * on after a crash, because the acceptance leaves a fact until it is over.
 */
#include <string.h>

#include "base/log.h"
#include "rollback.h"

#define TENANTS_AT_ONCE 64

static const char fact[] = "rollback";

const char *rollback_why(const struct engine *en)
{
    return en->rolled_keyring ? "the keyring is older than the database"
                              : "the database is older than the keyring";
}

status rollback_refused(const struct engine *en, struct err *e)
{
    if (en->rolled_keyring)
        return fail(e, LOCKED,
                    "the keyring is older than the database: put the right one back, or see "
                    "strongroom rollback accept",
                    0);
    return fail(e, LOCKED,
                "the database is older than the keyring: put the right one back, or see "
                "strongroom rollback accept",
                0);
}

json_t *rollback_json(const struct engine *en)
{
    char root[2 * sizeof en->hello.found_root + 1];

    hex_format(SPAN(en->hello.found_root), root);
    return json_pack("{s:I, s:I, s:I, s:s}", "records", (json_int_t)en->hello.found_records,
                     "anchored", (json_int_t)en->hello.found_anchored, "size",
                     (json_int_t)en->hello.found_size, "root", root);
}

static status set(struct engine *en, uint8_t value, struct err *e)
{
    return store_fact_set(en->store, fact, span_of(&value, 1), e);
}

status rollback_accepted(struct engine *en, struct err *e)
{
    status st = set(en, 1, e);

    return st == OK ? keyring_set_age(en, e) : st;
}

status rollback_under_way(struct engine *en, bool *ret, struct err *e)
{
    struct err absent = { 0 };
    struct span held = { 0 };
    status st = store_fact(en->store, fact, &held, &absent);

    if (st != OK && st != NOT_FOUND)
        return err_note(e, st, absent.where, absent.why, absent.detail);
    *ret = st == OK && held.n == 1 && held.p[0] != 0;
    return OK;
}

/* The keeper remembers what was accepted until it is locked; one that does not says nothing. */
static status tell(struct engine *en, const struct store_tenant *tenant, struct err *e)
{
    struct wire_entry entry = { .kind = ENTRY_ROLLBACK_TOLD, .tenant = tenant->id };
    struct fields f;

    fields_init(&f);
    fields_text(&f, "actor", "system");
    entry.fields = fields_view(&f);
    return batch_single(en, &entry, &batch_tolerant, e);
}

static status tell_tenants(struct engine *en, struct err *e)
{
    struct store_tenant page[TENANTS_AT_ONCE];
    char after[STORE_NAME] = "";
    size_t count = 0;
    status st;

    do {
        st = store_tenants(en->store, after, page, TENANTS_AT_ONCE, &count, e);
        for (size_t i = 0; st == OK && i < count; i++)
            st = tell(en, &page[i], e);
        if (st == OK && count > 0)
            memcpy(after, page[count - 1].name, sizeof after);
    } while (st == OK && count == TENANTS_AT_ONCE);
    return st;
}

status rollback_finish(struct engine *en, struct err *e)
{
    bool under_way = false;
    status st = rollback_under_way(en, &under_way, e);

    if (st != OK || !under_way)
        return st;
    st = tell_tenants(en, e);
    if (st == OK)
        st = store_begin(en->store, e);
    if (st == OK)
        st = set(en, 0, e);
    return st == OK ? store_commit(en->store, e) : st;
}

status rollback_resume(struct engine *en, struct request *rq, struct err *e)
{
    struct err trouble = { 0 };
    status st = engine_hello(en, &trouble);

    if (st == OK)
        st = en->state == VAULT_ROLLED_BACK ? engine_serve(en, false, &trouble)
                                            : rollback_finish(en, &trouble);
    if (st == OK)
        return OK;
    log_err(LOG_ERROR_, "what was accepted cannot be served", &trouble);
    snprintf(rq->keeper_why, sizeof rq->keeper_why, "locked again: %s", trouble.why);
    if (engine_lock_keeper(en, &trouble) != OK)
        engine_die(__func__, &trouble);
    return err_note(e, LOCKED, __func__, rq->keeper_why, 0);
}
