/* Policy documents: versions are only ever added. */
#include "store/policy.h"

#include <string.h>

#include "db.h"

status store_policy_add(struct store *s, const struct store_policy *p, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_POLICY_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, &p->owner);
    query_put_number(&q, p->version);
    query_put_span(&q, SPAN(p->hash));
    query_put_span(&q, p->document);
    query_put_number(&q, p->set_us);
    query_put_text(&q, p->actor);
    return query_run(&q, NULL, e);
}

static status get_policy(struct query *q, bool with_document, struct store_policy *ret_policy,
                         struct err *e)
{
    struct store_policy p = { 0 };
    status st;

    query_get_id(q, &p.owner);
    p.version = (uint32_t)query_get_number(q, UINT32_MAX);
    query_get_bytes(q, p.hash, sizeof(p.hash));
    p.set_us = query_get_number(q, INT64_MAX);
    query_get_text(q, p.actor, sizeof(p.actor));
    if (with_document)
        p.document = query_get_view(q);
    st = query_end(q, e);
    if (st == OK)
        *ret_policy = p;
    return st;
}

static status one(struct query *q, struct store_policy *ret_policy, struct err *e)
{
    bool row = false;
    status st = query_step(q, &row, e);

    if (st != OK)
        return st;
    return row ? get_policy(q, true, ret_policy, e) : fail(e, NOT_FOUND, "no such document", 0);
}

status store_policy(struct store *s, const struct id *owner, uint32_t version,
                    struct store_policy *ret_policy, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_POLICY_GET, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, owner);
    query_put_number(&q, version);
    return one(&q, ret_policy, e);
}

status store_policy_by_hash(struct store *s, const struct id *owner, const uint8_t hash[static 32],
                            struct store_policy *ret_policy, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_POLICY_BY_HASH, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, owner);
    query_put_span(&q, span_of(hash, 32));
    return one(&q, ret_policy, e);
}

status store_policies(struct store *s, const struct id *owner, uint32_t before,
                      struct store_policy *ret_policies, size_t cap, size_t *ret_count,
                      struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_POLICY_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_id(&q, owner);
    query_put_number(&q, before == 0 ? UINT32_MAX : before);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_policy(&q, false, &ret_policies[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}

status store_policy_owner(struct store *s, const struct id *after, struct id *ret_owner,
                          struct err *e)
{
    AUTO(query) q = { 0 };
    struct id owner = { { 0 } };
    bool row = false;
    status st = query_begin(s, SQL_POLICY_OWNER, &q, e);

    if (st != OK)
        return st;
    query_put_span(&q, after == NULL ? span_of("", 0) : SPAN(after->b));
    st = query_step(&q, &row, e);
    if (st == OK && !row)
        return fail(e, NOT_FOUND, "no such owner", 0);
    if (st != OK)
        return st;
    query_get_id(&q, &owner);
    st = query_end(&q, e);
    if (st == OK)
        *ret_owner = owner;
    return st;
}
