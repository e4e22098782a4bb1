/* The records of all logs in the order in which they were stored, for whoever carries them on. */
#include "page.h"

/* Who sees only some logs reads them one by one: of what else is going on here, not even the
 * numbers. */
static status permit(const struct request *rq, struct err *e)
{
    if (rq->peer.role == ROLE_TENANT || rq->limited)
        return fail(e, DENIED, "the records of all logs are not yours: read /v1/logs/NAME/records",
                    0);
    return OK;
}

static status read_after(const struct request *rq, uint64_t *ret_after, struct err *e)
{
    *ret_after = 0;
    if (rq->after[0] != '\0' && !number_parse(rq->after, 0, INT64_MAX, ret_after))
        return fail(e, BAD_INPUT, "after is the number that Strongroom-Next gave", 0);
    return OK;
}

static bool note_record(void *context, const struct store_record *r)
{
    (void)r;
    *(bool *)context = true;
    return false;
}

/* Whoever is ahead of the vault heard of records that it does not have any more. */
static status check_after(struct engine *en, uint64_t after, struct err *e)
{
    bool there = after == 0;
    status st = there ? OK : store_feed(en->store, after - 1, 1, note_record, &there, e);

    if (st == OK && !there)
        return fail(e, CONFLICT, "there is no such record yet: was the vault set back?", 0);
    return st;
}

APPLY(record_feed)
{
    struct page page = { 0 };
    uint64_t after = 0;
    status st = permit(rq, e);

    if (st == OK)
        st = read_after(rq, &after, e);
    if (st == OK)
        st = store_feed(en->store, after, page_limit(rq), page_add, &page, e);
    if (st == OK && page.length == 0)
        st = check_after(en, after, e);
    if (st != OK)
        return page_abandon(&page, st);
    rq->page_end = page.length > 0 ? page.last : after;
    return page_finish(en, rq, &page, NULL, e);
}
