/* Assignments: which tenants a limited auditor sees. */
#include "db.h"

status store_assignment_add(struct store *s, const struct store_assignment *a, struct err *e)
{
    AUTO(query) q = { 0 };
    status st = query_begin(s, SQL_ASSIGNMENT_ADD, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, a->auditor);
    query_put_text(&q, a->tenant_name);
    query_put_id(&q, &a->tenant);
    query_put_number(&q, a->assigned_us);
    return query_run(&q, NULL, e);
}

status store_assignment_remove(struct store *s, const struct store_assignment *a, struct err *e)
{
    AUTO(query) q = { 0 };
    size_t changes = 0;
    status st = query_begin(s, SQL_ASSIGNMENT_REMOVE, &q, e);

    if (st != OK)
        return st;
    query_put_text(&q, a->auditor);
    query_put_text(&q, a->tenant_name);
    query_put_id(&q, &a->tenant);
    st = query_run(&q, &changes, e);
    if (st == OK && changes == 0)
        return fail(e, NOT_FOUND, "no such assignment", 0);
    return st;
}

static status get_assignment(struct query *q, struct store_assignment *ret_assignment,
                             struct err *e)
{
    struct store_assignment a = { 0 };
    status st = OK;

    query_get_text(q, a.auditor, sizeof(a.auditor));
    query_get_text(q, a.tenant_name, sizeof(a.tenant_name));
    query_get_id(q, &a.tenant);
    a.assigned_us = query_get_number(q, INT64_MAX);
    st = query_end(q, e);
    if (st == OK)
        *ret_assignment = a;
    return st;
}

status store_assignments(struct store *s, size_t offset, struct store_assignment *ret_assignments,
                         size_t cap, size_t *ret_count, struct err *e)
{
    AUTO(query) q = { 0 };
    bool row = true;
    size_t n = 0;
    status st = query_begin(s, SQL_ASSIGNMENT_LIST, &q, e);

    if (st != OK)
        return st;
    query_put_number(&q, cap);
    query_put_number(&q, offset);
    while (n < cap) {
        st = query_step(&q, &row, e);
        if (st != OK || !row)
            break;
        st = get_assignment(&q, &ret_assignments[n], e);
        if (st != OK)
            break;
        n++;
    }
    if (st == OK)
        *ret_count = n;
    return st;
}
